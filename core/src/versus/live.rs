//! The comparison as it goes on: a static rule that reads every sample beside the series' own judge.

use super::StaticBounds;
use super::book::{Arm, Book};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A value older than this is none, as in Prometheus, unless the series is as slow: what was pending begins anew, what fired is
/// over, and nobody watched meanwhile.
const STALE: Span = Span::minutes(5);
const STALE_STEPS: u64 = 3;

/// Both arms of one series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Live {
    bounds: StaticBounds,
    last: Option<Timestamp>,
    /// From the sample before the last to the last.
    step: Span,
    /// Since when samples lie outside the static bounds.
    outside_since: Option<Timestamp>,
    /// Which arm fires.
    fires: [bool; 2],
    pub book: Book,
}

impl Live {
    /// Begins with a book, mostly an empty one.
    pub fn new(bounds: StaticBounds, book: Book) -> Live {
        Live { bounds, last: None, step: Span::ZERO, outside_since: None, fires: [false; 2], book }
    }

    pub fn bounds(&self) -> &StaticBounds {
        &self.bounds
    }

    /// One sample that both read; `learned` says whether the series is in alert now.
    pub fn see(&mut self, at: Timestamp, value: f64, learned: bool) {
        let step = self.last.map_or(Span::ZERO, |last| at.since(last));
        let fired = self.fires.contains(&true);
        if step <= STALE.max(self.bounds.hold).max(self.step * STALE_STEPS) {
            self.book.watched = self.book.watched + step;
        } else {
            self.outside_since = None;
            self.fires[Arm::Static as usize] = false;
        }
        (self.last, self.step) = (Some(at), step);
        self.outside_since = match self.bounds.is_outside(value) {
            true => self.outside_since.or(Some(at)),
            false => None,
        };
        let fixed = self.outside_since.is_some_and(|since| at.since(since) >= self.bounds.hold);
        for (arm, fires) in [(Arm::Learned, learned), (Arm::Static, fixed)] {
            if fires && !self.fires[arm as usize] {
                self.book.began(arm, at);
            }
            self.fires[arm as usize] = fires;
        }
        if fired && !self.fires.contains(&true) {
            self.book.ended(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_rule_fires_as_prometheus_does_after_its_for_and_gaps_begin_anew() {
        let bounds = StaticBounds { upper: Some(10.0), lower: None, hold: Span::minutes(2) };
        let mut live = Live::new(bounds, Book::default());
        let mut at = 0;
        let mut see = |live: &mut Live, minutes: i64, value: f64, learned: bool| {
            at += minutes;
            live.see(Timestamp::from_secs(60 * at), value, learned);
            live.book.counts().pages
        };
        assert_eq!(see(&mut live, 0, 10.0, false), [0, 0], "at its bound is inside");
        assert_eq!(see(&mut live, 1, 11.0, false), [0, 0]);
        assert_eq!(see(&mut live, 1, 11.0, true), [1, 0]);
        assert_eq!(see(&mut live, 1, 11.0, true), [1, 1], "two minutes outside");
        assert_eq!(see(&mut live, 1, 9.0, false), [1, 1]);
        assert_eq!(see(&mut live, 30, 11.0, false), [1, 1]);
        assert_eq!(see(&mut live, 1, 11.0, false), [1, 1], "what lay before the gap counts for nothing");
        assert_eq!(see(&mut live, 1, 11.0, false), [1, 2]);
        assert_eq!(live.book.watched, Span::minutes(6), "a gap is watched by nobody");
        assert_eq!(live.book.episodes().map(|episode| episode.pages).collect::<Vec<_>>(), [[1, 1], [0, 1]]);
        // What fired before a gap does not fire for ever.
        assert_eq!(see(&mut live, 60, 9.0, false), [1, 2]);
        assert!(live.book.episodes().all(|episode| episode.ended.is_some()));
        let both = StaticBounds { upper: Some(1.0), lower: Some(2.0), hold: Span::ZERO };
        assert!(both.problem().is_some() && bounds.problem().is_none());
        assert!(StaticBounds::default().problem().is_some());
    }

    #[test]
    fn an_hourly_series_is_watched_between_its_samples() {
        let mut live = Live::new(StaticBounds { upper: Some(10.0), ..StaticBounds::default() }, Book::default());
        for hour in 0..24 {
            let value = if hour < 20 { 1.0 } else { 11.0 };
            live.see(Timestamp::from_secs(3600 * hour), value, false);
        }
        assert_eq!((live.book.watched, live.book.counts().pages), (Span::hours(22), [0, 1]), "but for the first hour");
    }
}
