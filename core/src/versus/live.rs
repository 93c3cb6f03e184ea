//! The comparison as it goes on: a static rule that reads every sample beside the series' own judge.

use super::StaticBounds;
use super::book::{Arm, Book};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A value older than this is none, as in Prometheus, unless the series is as slow: what was pending begins anew, what fired is
/// over, and nobody watched meanwhile.
const STALE: Span = Span::minutes(5);
const STALE_STEPS: u64 = 3;

/// Two arms that read the same samples of one series, whatever each goes by.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Watch {
    last: Option<Timestamp>,
    /// From the sample before the last to the last.
    step: Span,
    /// Which arm fires.
    fires: [bool; 2],
    pub book: Book,
}

impl Watch {
    /// Begins with a book, mostly an empty one.
    pub fn new(book: Book) -> Watch {
        Watch { last: None, step: Span::ZERO, fires: [false; 2], book }
    }

    /// Goes on to a sample. False: nobody watched meanwhile, and what `lapses` fires no longer.
    pub(crate) fn goes_to(&mut self, at: Timestamp, hold: Span, lapses: &[Arm]) -> bool {
        let step = self.last.map_or(Span::ZERO, |last| at.since(last));
        let whole = step <= STALE.max(hold).max(self.step * STALE_STEPS);
        (self.last, self.step) = (Some(at), step);
        if whole {
            self.book.watched = self.book.watched + step;
            return true;
        }
        let fired = self.fires.contains(&true);
        lapses.iter().for_each(|arm| self.fires[*arm as usize] = false);
        if fired && !self.fires.contains(&true) {
            self.book.ended(Some(at));
        }
        false
    }

    /// What each arm says of the sample, by [`Arm`].
    pub(crate) fn says(&mut self, at: Timestamp, fires: [bool; 2]) {
        let fired = self.fires.contains(&true);
        for arm in Arm::ALL {
            if fires[arm as usize] && !self.fires[arm as usize] {
                self.book.began(arm, at);
            }
        }
        self.fires = fires;
        if fired && !self.fires.contains(&true) {
            self.book.ended(Some(at));
        }
    }
}

/// Static bounds beside the series' own judge.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Live {
    bounds: StaticBounds,
    /// Since when samples lie outside the static bounds.
    outside_since: Option<Timestamp>,
    watch: Watch,
}

impl Live {
    /// Begins with a book, mostly an empty one.
    pub fn new(bounds: StaticBounds, book: Book) -> Live {
        Live { bounds, outside_since: None, watch: Watch::new(book) }
    }

    pub fn bounds(&self) -> &StaticBounds {
        &self.bounds
    }

    pub fn book(&self) -> &Book {
        &self.watch.book
    }

    pub fn book_mut(&mut self) -> &mut Book {
        &mut self.watch.book
    }

    /// One sample that both read; `learned` says whether the series is in alert now.
    pub fn see(&mut self, at: Timestamp, value: f64, learned: bool) {
        if !self.watch.goes_to(at, self.bounds.hold, &[Arm::Static]) {
            self.outside_since = None;
        }
        self.outside_since = match self.bounds.is_outside(value) {
            true => self.outside_since.or(Some(at)),
            false => None,
        };
        let fixed = self.outside_since.is_some_and(|since| at.since(since) >= self.bounds.hold);
        self.watch.says(at, [learned, fixed]);
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
            live.book().counts().pages
        };
        assert_eq!(see(&mut live, 0, 10.0, false), [0, 0], "at its bound is inside");
        assert_eq!(see(&mut live, 1, 11.0, false), [0, 0]);
        assert_eq!(see(&mut live, 1, 11.0, true), [1, 0]);
        assert_eq!(see(&mut live, 1, 11.0, true), [1, 1], "two minutes outside");
        assert_eq!(see(&mut live, 1, 9.0, false), [1, 1]);
        assert_eq!(see(&mut live, 30, 11.0, false), [1, 1]);
        assert_eq!(see(&mut live, 1, 11.0, false), [1, 1], "what lay before the gap counts for nothing");
        assert_eq!(see(&mut live, 1, 11.0, false), [1, 2]);
        assert_eq!(live.book().watched, Span::minutes(6), "a gap is watched by nobody");
        assert_eq!(live.book().episodes().map(|episode| episode.pages).collect::<Vec<_>>(), [[1, 1], [0, 1]]);
        // What fired before a gap does not fire for ever.
        assert_eq!(see(&mut live, 60, 9.0, false), [1, 2]);
        assert!(live.book().episodes().all(|episode| episode.ended.is_some()));
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
        assert_eq!(
            (live.book().watched, live.book().counts().pages),
            (Span::hours(22), [0, 1]),
            "but for the first hour"
        );
    }
}
