//! What an answer about a shifted level does to what a series has learned.

use super::Series;
use crate::analyze::strategy::Detector;
use crate::feedback::Verdict;
use crate::knowledge::proposals::Shift;
use crate::time::Timestamp;
use std::sync::Arc;

impl Series {
    /// Whether a person called its present level trouble: until that is over nothing is learned.
    pub fn is_in_trouble(&self) -> bool {
        self.trouble.is_open()
    }

    /// How many samples of the window may be learned from, as far as trouble goes.
    pub(crate) fn learnable(&self) -> usize {
        match self.trouble.is_empty() {
            true => self.window.len(),
            false => self.window.iter().filter(|(at, _)| !self.trouble.covers(*at)).count(),
        }
    }

    /// Lets go of trouble that the window holds no sample of.
    pub(crate) fn forget_trouble(&mut self) {
        if let Some((oldest, _)) = self.window.oldest() {
            self.trouble.forget(oldest);
        }
    }

    /// The new level is ordinary: since then it is another series.
    pub(crate) fn accept_level(&mut self, since: Timestamp, detector: Option<&dyn Detector>) {
        self.verdicts += 1;
        self.begin_anew(since, detector);
    }

    /// Nobody said otherwise: what was learned of the new level stands. The detector went on long ago.
    pub(crate) fn stand_by_level(&mut self, since: Timestamp) {
        if self.level_since.is_none_or(|level| level < since) {
            self.level_since(Some(since));
            self.relearn = self.learned.is_some();
        }
    }

    /// The new level is trouble: the level before stands again, and the detector waits as it was then. Meanwhile the bounds
    /// alone say what is an alert.
    pub(crate) fn refuse_level(&mut self, shift: &Shift) {
        self.verdicts += 1;
        if self.alerted_at(shift.since()) {
            self.alerts.excuse(self.last_seen);
        }
        self.level_since = self.level_since.filter(|level| *level < shift.since());
        self.trouble.open(shift.since());
        self.detector = None;
        self.set_learned(Arc::clone(shift.before()));
        self.put_in_force();
        self.relearn = true;
    }

    /// The level before is back: samples are learned from again, and the detector takes up where it was.
    pub(crate) fn trouble_is_over(&mut self, shift: Shift, detector: Option<&dyn Detector>) {
        self.trouble.close(shift.back_since());
        self.detector = shift.into_detector(&self.settings.strategy);
        if let (Some(detector), Some(state)) = (detector, &mut self.detector) {
            detector.calm(state);
            // The alert that it knows of mattered.
            detector.told(state, Verdict::True, 1.0);
        }
        self.relearn = self.learned.is_some();
    }
}
