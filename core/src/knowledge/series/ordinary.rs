//! What of a window is learned from, and how an instant counts.

use super::{Ordinary, Present, Series};
use crate::calendar::{During, Moment, Reckoning};
use crate::knowledge::mask::Masks;
use crate::time::Timestamp;

impl Series {
    /// How many samples of the window are those of alerts, or of trouble.
    pub fn masked(&self) -> usize {
        if self.masks.is_empty() && self.trouble.is_empty() {
            return 0;
        }
        self.window.iter().filter(|(at, _)| self.masks.covers(*at) || self.trouble.covers(*at)).count()
    }

    /// What of it is not learned from.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Since when it has its present level; none: it did not shift within the window.
    pub fn level(&self) -> Option<Timestamp> {
        self.level_since.filter(|since| self.window.oldest().is_some_and(|(oldest, _)| oldest < *since))
    }

    /// Copies what may be learned from, times in milliseconds and values, into `at` and `values`: at least `least`, unless more
    /// lies in maintenance or deploys.
    pub(crate) fn ordinary(&self, least: usize, at: &mut Vec<i64>, values: &mut Vec<f64>) -> Ordinary {
        self.window.copy_into(at, values);
        let trouble = self.trouble.leave_out_all(at, values);
        let since = self.level_since.map_or(0, |since| at.partition_point(|time| *time < since.millis()));
        let cut = at.len() - since >= least;
        if cut {
            at.drain(..since);
            values.drain(..since);
        }
        let set_aside = self.leave_out(least, at, values);
        let masked = trouble + self.masks.leave_out(least, at, values);
        Ordinary { level_since: self.level().filter(|_| cut), masked, set_aside }
    }

    /// Takes out what its calendars say not to learn from; how many samples that were.
    pub(crate) fn leave_out(&self, least: usize, at: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        let (masked, holidays) = self.settings.reckoning.leave_out(least, at, values);
        masked + holidays
    }

    /// By which clocks and calendars it reads the time.
    pub fn reckoning(&self) -> &Reckoning {
        &self.settings.reckoning
    }

    /// What its calendars say of an instant; the clocks aside.
    #[inline]
    pub fn occasions(&self, at: Timestamp) -> Moment {
        self.settings.reckoning.occasions(at)
    }

    /// The strictest entry of its calendars that is in force at an instant.
    pub fn during(&self, at: Timestamp) -> Option<During> {
        self.settings.reckoning.during(at)
    }

    /// How many samples of the window its calendars keep from being learned: deploys, maintenance, and holidays while they are
    /// few and `least` others remain.
    pub fn set_aside(&self, least: usize) -> usize {
        if self.settings.reckoning.calendars.is_empty() {
            return 0;
        }
        let (masked, holidays) = crate::calendar::left_out(least, self.window.iter().map(|(at, _)| self.occasions(at)));
        masked + holidays
    }

    /// How this instant counts, looked up where it counts otherwise than the sample before.
    #[inline]
    pub(super) fn turn_to(&mut self, at: Timestamp) {
        if !(self.present.from..self.present.until).contains(&at.millis()) {
            let (moment, from, until) = self.settings.reckoning.stretch(at);
            self.present = Present { moment, from, until };
        }
    }
}
