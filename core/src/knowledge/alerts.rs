//! How often a series alerted lately, to be held against its budget.
//!
//! What was judged true costs nothing; what was judged false, or not judged, counts as one. Old alerts fade with a
//! half-life of four weeks, and so does the time that they are counted in.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

const HALF_LIFE_WEEKS: f64 = 4.0;

/// Of less than this a rate says nothing.
const SEEN_MIN: Span = Span::hours(1);

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Alerts {
    /// When the series was first seen.
    began: Option<Timestamp>,
    /// Alerts, faded up to then.
    count: f64,
    at: Timestamp,
}

fn weeks(span: Span) -> f64 {
    span.secs() / Span::hours(7 * 24).secs()
}

impl Alerts {
    #[inline]
    pub(crate) fn seen(&mut self, at: Timestamp) {
        if self.began.is_none() {
            self.began = Some(at);
        }
    }

    pub(crate) fn begin(&mut self, at: Timestamp) {
        self.fade(at);
        self.count += 1.0;
    }

    /// One of them mattered.
    pub(crate) fn excuse(&mut self, at: Timestamp) {
        self.fade(at);
        self.count = (self.count - 1.0).max(0.0);
    }

    fn fade(&mut self, at: Timestamp) {
        self.count = self.faded(at);
        self.at = self.at.max(at);
    }

    fn faded(&self, at: Timestamp) -> f64 {
        self.count * 0.5_f64.powf(weeks(at.since(self.at)) / HALF_LIFE_WEEKS)
    }

    /// When it alerted last, or that was spoken about.
    pub(crate) fn last(&self) -> Timestamp {
        self.at
    }

    /// When the series was first seen.
    pub fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// Alerts a week that did not matter or were not judged. None: it was seen for less than an hour.
    pub fn per_week(&self, now: Timestamp) -> Option<f64> {
        let seen = now.since(self.began?);
        if seen < SEEN_MIN {
            return None;
        }
        // The time it was seen, each week of it faded like an alert in it.
        let faded = 1.0 - 0.5_f64.powf(weeks(seen) / HALF_LIFE_WEEKS);
        Some(self.faded(now) / (faded * HALF_LIFE_WEEKS / std::f64::consts::LN_2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hours: u64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000) + Span::hours(hours)
    }

    #[test]
    fn a_steady_rate_is_told_at_any_age() {
        let mut alerts = Alerts::default();
        alerts.seen(hour(0));
        assert_eq!(alerts.per_week(hour(0)), None);
        assert_eq!(alerts.per_week(hour(5)), Some(0.0));
        for week in 0..40 {
            [40, 120].into_iter().for_each(|at| alerts.begin(hour(week * 168 + at)));
            let rate = alerts.per_week(hour((week + 1) * 168)).expect("weeks");
            assert!((rate - 2.0).abs() < 0.3, "{rate} in week {week}");
        }
    }

    #[test]
    fn what_mattered_costs_nothing_and_what_is_long_ago_fades() {
        let mut alerts = Alerts::default();
        alerts.seen(hour(0));
        (0..10).for_each(|n| alerts.begin(hour(n)));
        (0..4).for_each(|_| alerts.excuse(hour(20)));
        let soon = alerts.per_week(hour(168)).expect("a week");
        assert!((5.0..7.0).contains(&soon), "{soon}");
        let later = alerts.per_week(hour(52 * 168)).expect("a year");
        assert!(later < 0.01, "{later}");
        (0..20).for_each(|_| alerts.excuse(hour(52 * 168)));
        assert_eq!(alerts.per_week(hour(53 * 168)), Some(0.0), "never less than none");
    }
}
