//! What a person says of a series, and what that does to what it has learned.

use super::Series;
use crate::analyze::strategy::Detector;
use crate::feedback::{Subject, Verdict};
use crate::time::Timestamp;

impl Series {
    /// What a person says of it. Returns whether that is about an alert, or one that was missed.
    pub(crate) fn hear(&mut self, verdict: Verdict, about: Subject, detector: Option<&dyn Detector>) -> bool {
        self.verdicts += 1;
        let of_alert = match about {
            Subject::Moment { at } => self.alerted_at(at),
            Subject::Period { from, until } => self.hear_of_period(verdict, from, until),
            Subject::ChangePoint { at } => {
                self.begin_anew(at, detector);
                return false;
            }
        };
        if of_alert && verdict == Verdict::True {
            self.alerts.excuse(self.last_seen);
            let at = match about {
                Subject::Moment { at } | Subject::ChangePoint { at } => at,
                Subject::Period { until, .. } => until,
            };
            if let Some(claim) = self.claim.as_mut().filter(|claim| claim.since <= at) {
                claim.pages = claim.pages.saturating_sub(1);
            }
        }
        if !of_alert && verdict != Verdict::Missed {
            return false;
        }
        if let (Some(detector), Some(state)) = (detector, &mut self.detector) {
            detector.told(state, verdict);
        }
        true
    }

    /// What mattered is no example of the ordinary, and what did not is one. Returns whether there was an alert in it.
    fn hear_of_period(&mut self, verdict: Verdict, from: Timestamp, until: Timestamp) -> bool {
        let alerted = self.window.iter().any(|(at, _)| from <= at && at < until && self.alerted_at(at));
        match verdict {
            Verdict::True | Verdict::Missed => {
                // A level that began within the incident was none.
                self.level_since = self.level_since.filter(|since| *since <= from || until <= *since);
                self.masks.cover(from, until);
            }
            Verdict::False => self.masks.uncover(from, until),
        }
        self.relearn = self.learned.is_some();
        alerted
    }

    /// From then on it is another series: neither bounds nor a detector know what came before.
    pub(super) fn begin_anew(&mut self, at: Timestamp, detector: Option<&dyn Detector>) {
        self.trouble.end(at);
        self.level_since(Some(at));
        self.relearn = self.learned.is_some();
        if let Some(detector) = detector.filter(|detector| detector.alerts()) {
            self.start(detector);
        }
    }
}
