//! Which samples of a window are not learned from: those of alerts.
//!
//! An incident that is learned as ordinary carries the bounds away, and the next one like it is missed. So the samples
//! from an alert's first to its last are left out, as long as they are few: bounds by which much of a window is in alert
//! are wrong themselves.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thin_vec::ThinVec;

/// Alerts that are remembered; the oldest is forgotten first.
const ALERTS_MAX: usize = 64;

/// The alerts of one series, oldest first, each from its first sample up to its end; the last may be open.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Masks(ThinVec<(Timestamp, Option<Timestamp>)>);

impl Masks {
    pub(crate) fn open(&mut self, from: Timestamp) {
        if self.0.len() == ALERTS_MAX {
            self.0.remove(0);
        }
        self.0.push((from, None));
    }

    pub(crate) fn close(&mut self, until: Timestamp) {
        if let Some((_, end @ None)) = self.0.last_mut() {
            *end = Some(until);
        }
    }

    /// Covers all of a time that is over, whatever of it was covered.
    pub(crate) fn cover(&mut self, from: Timestamp, until: Timestamp) {
        self.uncover(from, until);
        let at = self.0.partition_point(|(begin, _)| *begin < from);
        self.0.insert(at, (from, Some(until)));
        if self.0.len() > ALERTS_MAX {
            self.0.remove(0);
        }
    }

    /// Covers nothing of a time; what lies before and after it stays.
    pub(crate) fn uncover(&mut self, from: Timestamp, until: Timestamp) {
        let mut left = ThinVec::with_capacity(self.0.len() + 1);
        for (begin, end) in self.0.drain(..) {
            let before = (begin, Some(end.map_or(from, |end| end.min(from))));
            let after = (begin.max(until), end);
            left.extend(Some(before).filter(|(begin, end)| Some(*begin) < *end));
            left.extend(Some(after).filter(|(begin, end)| end.is_none_or(|end| *begin < end)));
        }
        self.0 = left;
    }

    /// Lets go of alerts that ended before the window's oldest sample.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        while self.0.first().is_some_and(|(_, end)| end.is_some_and(|end| end <= before)) {
            self.0.remove(0);
        }
    }

    /// Whether it covers all that comes from now on.
    pub(crate) fn is_open(&self) -> bool {
        self.0.last().is_some_and(|(_, end)| end.is_none())
    }

    /// Covers nothing from then on.
    pub(crate) fn end(&mut self, at: Timestamp) {
        self.uncover(at, Timestamp::from_millis(i64::MAX));
        self.0.retain(|(_, end)| end.is_some());
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is covered, oldest first, each from its first moment up to its end; the last may be open.
    pub fn stretches(&self) -> impl ExactSizeIterator<Item = (Timestamp, Option<Timestamp>)> {
        self.0.iter().copied()
    }

    pub fn covers(&self, at: Timestamp) -> bool {
        self.covered_from(at).is_some()
    }

    /// Since when a time is covered, where it is.
    pub(crate) fn covered_from(&self, at: Timestamp) -> Option<Timestamp> {
        // The last alert that began by then is the only one that can hold it: they do not overlap.
        let after = self.0.partition_point(|(from, _)| *from <= at);
        let (from, end) = self.0[after.checked_sub(1)?];
        end.is_none_or(|end| at < end).then_some(from)
    }
}

/// Bounds by which more than this share of a window is in alert are wrong themselves.
const MASKED_MAX: f64 = 0.25;

impl Masks {
    /// Takes all that is covered out of a window, and returns how many that were.
    pub(crate) fn leave_out_all(&self, at: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let covered = self.covered(at);
        take_out(&covered, at);
        take_out(&covered, values);
        covered.iter().map(Range::len).sum()
    }

    /// Where in a window what is covered lies: ranges that ascend and do not overlap.
    fn covered(&self, at: &[i64]) -> Vec<Range<usize>> {
        let place = |time: Timestamp| at.partition_point(|at| *at < time.millis());
        let (mut covered, mut before) = (Vec::with_capacity(self.0.len()), 0);
        for (from, until) in &self.0 {
            let start = place(*from).max(before);
            before = until.map_or(at.len(), place).max(start);
            covered.push(start..before);
        }
        covered
    }

    /// Takes the samples of alerts out of a window (times in milliseconds, ascending, and as many values), as long as they are
    /// few and `least` remain. Returns how many it took out.
    pub(crate) fn leave_out(&self, least: usize, at: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let covered = self.covered(at);
        let masked = covered.iter().map(Range::len).sum::<usize>();
        if masked as f64 > MASKED_MAX * at.len() as f64 || at.len() - masked < least {
            return 0;
        }
        take_out(&covered, at);
        take_out(&covered, values);
        masked
    }
}

/// Takes out what lies in these ranges, which ascend and do not overlap.
fn take_out<T: Copy>(ranges: &[Range<usize>], of: &mut Vec<T>) {
    let Some(first) = ranges.first() else { return };
    let mut to = first.start;
    for (n, range) in ranges.iter().enumerate() {
        let next = ranges.get(n + 1).map_or(of.len(), |next| next.start);
        of.copy_within(range.end..next, to);
        to += next - range.end;
    }
    of.truncate(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn it_covers_alerts_from_their_first_sample_up_to_their_end() {
        let mut masks = Masks::default();
        masks.open(at(10));
        assert!(!masks.covers(at(9)) && masks.covers(at(10)) && masks.covers(at(1_000)), "open");
        masks.close(at(20));
        masks.close(at(30));
        masks.open(at(40));
        let stretches: Vec<_> = masks.stretches().collect();
        assert_eq!(stretches, [(at(10), Some(at(20))), (at(40), None)]);
        let covered: Vec<i64> = (0..60).filter(|secs| masks.covers(at(*secs))).collect();
        assert_eq!(covered, (10..20).chain(40..60).collect::<Vec<_>>());
        masks.forget(at(20));
        assert!(!masks.covers(at(15)) && masks.covers(at(45)));
    }

    #[test]
    fn a_person_covers_and_uncovers_what_lies_in_the_past() {
        let mut masks = Masks::default();
        masks.open(at(10));
        masks.close(at(20));
        masks.open(at(40));
        let covered = |masks: &Masks| (0..60).filter(|secs| masks.covers(at(*secs))).collect::<Vec<i64>>();
        masks.cover(at(15), at(30));
        assert_eq!(covered(&masks), (10..30).chain(40..60).collect::<Vec<_>>());
        masks.uncover(at(12), at(45));
        assert_eq!(covered(&masks), (10..12).chain(45..60).collect::<Vec<_>>(), "the open one stays open");
        masks.cover(at(50), at(55));
        masks.close(at(58));
        assert_eq!(covered(&masks), (10..12).chain(45..58).collect::<Vec<_>>());
        masks.uncover(at(0), at(100));
        assert!(masks.is_empty());
    }

    #[test]
    fn it_leaves_out_what_is_few_and_never_under_the_least() {
        let mut masks = Masks::default();
        masks.open(at(10));
        masks.close(at(12));
        let left = |masks: &Masks, least: usize| {
            let (mut times, mut values) = ((0..20).map(|n| n * 1000).collect(), (0..20).map(f64::from).collect());
            let masked = masks.leave_out(least, &mut times, &mut values);
            assert_eq!(times.iter().map(|time| *time as f64 / 1000.0).collect::<Vec<_>>(), values);
            (masked, values.len())
        };
        assert_eq!((left(&masks, 18), left(&masks, 19)), ((2, 18), (0, 20)));
        masks.open(at(15));
        assert_eq!(left(&masks, 1), (0, 20), "seven of twenty are no exception");
    }

    #[test]
    fn it_is_bounded() {
        let mut masks = Masks::default();
        for n in 0..1_000 {
            masks.open(at(10 * n));
            masks.close(at(10 * n + 5));
        }
        assert!(!masks.covers(at(9_351)) && masks.covers(at(9_361)), "the last 64 are held");
    }

    #[test]
    fn what_is_left_out_is_what_is_covered() {
        let mut masks = Masks::default();
        masks.cover(at(3), at(5));
        masks.cover(at(5), at(6));
        masks.cover(at(30), at(34));
        masks.open(at(97));
        let times: Vec<i64> = (0..100).filter(|secs| secs % 7 != 3).map(|secs| secs * 1000).collect();
        let kept: Vec<i64> =
            times.iter().copied().filter(|time| !masks.covers(Timestamp::from_millis(*time))).collect();
        let (mut left, mut values) = (times.clone(), times.iter().map(|time| *time as f64).collect::<Vec<_>>());
        assert_eq!(masks.leave_out(1, &mut left, &mut values), times.len() - kept.len());
        assert_eq!(left, kept);
        assert_eq!(values, kept.iter().map(|time| *time as f64).collect::<Vec<_>>());
        // One more than there would be left.
        assert_eq!(masks.leave_out(kept.len() + 1, &mut times.clone(), &mut vec![0.0; times.len()]), 0);
    }
}
