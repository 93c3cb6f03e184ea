//! How much is remembered of a series, and what that takes.

use super::Series;
use crate::analyze::strategy::DetectorState;
use crate::knowledge::window::Tier;
use crate::rollout::{Release, Trial};
use crate::threshold::{Rival, Threshold};
use crate::time::{Span, Timestamp};
use std::mem::size_of;
use std::sync::Arc;
use thin_vec::ThinVec;

/// What a series takes beside what is counted: its places in the tables that it is found by, and what allocations cost.
const TABLES: usize = 320;

/// Samples that a day of hours gives, and the one sketch, when they hold enough.
const HOURLY_GIVES: usize = 900;
const FADED_GIVES: usize = 250;

/// Recent samples that the distance of samples is taken from.
const RECENT: usize = 16;

/// Bytes of a packed sample, of the sketches of a day, and of the one sketch.
const PACKED: f64 = 4.0;
const HOURLY: usize = 4_500;
const FADED: usize = 900;

impl Series {
    pub fn tier(&self) -> Tier {
        self.window.tier()
    }

    /// Whether somebody reads what it says: it may page, an alert rule elsewhere is served it, people spoke about it, or it is in
    /// alert.
    pub(crate) fn is_used(&self) -> bool {
        self.settings.page || !self.settings.rules.is_empty() || self.verdicts > 0 || self.alert_since.is_some()
    }

    /// When it alerted last, or that was spoken about.
    pub(crate) fn used_at(&self) -> Timestamp {
        self.alerts.last()
    }

    /// The tier below; none: it remembers as little as it may. A series that is used keeps its detector, and one that is learned from no
    /// fewer samples than `least` is not brought where there are fewer.
    pub(crate) fn next_lower(&self, least: usize) -> Option<Tier> {
        match self.tier() {
            Tier::Exact => (least <= HOURLY_GIVES).then_some(Tier::Hourly),
            Tier::Hourly => (least <= FADED_GIVES).then_some(Tier::Faded),
            Tier::Faded if !self.is_used() && self.detects.is_some() => Some(Tier::Bounds),
            Tier::Faded | Tier::Bounds => None,
        }
    }

    pub(crate) fn next_higher(&self) -> Option<Tier> {
        match self.tier() {
            Tier::Exact => None,
            Tier::Hourly => Some(Tier::Exact),
            Tier::Faded => Some(Tier::Hourly),
            Tier::Bounds => Some(Tier::Faded),
        }
    }

    /// Remembers more or less from now on.
    pub(crate) fn move_to(&mut self, tier: Tier, age_max: Span) {
        self.window.move_to(tier, age_max);
        if tier == Tier::Bounds {
            (self.detector, self.inherited) = (None, None);
        }
        self.keep_what_fits();
    }

    /// With one sketch there are no samples to compare strategies on: what each would have said is not kept either.
    pub(crate) fn keep_what_fits(&mut self) {
        if self.tier() < Tier::Faded {
            return;
        }
        self.merits = ThinVec::new();
        for threshold in [&mut self.learned, &mut self.earlier] {
            if let Some(with) = threshold.as_ref().filter(|one| !one.rivals.is_empty()) {
                *threshold = Some(Arc::new(Threshold { rivals: Box::default(), ..Threshold::clone(with) }));
            }
        }
    }

    /// About how many bytes it takes; the same for the same memory, however it came to be.
    pub fn bytes(&self) -> u64 {
        (self.bytes_beside_window() + self.window.bytes()) as u64
    }

    /// The same with the detector that will begin: memory that was taken once is hardly ever given back.
    pub(crate) fn bytes_wanted(&self) -> u64 {
        self.bytes() + self.bytes_of_detector_to_come(self.tier()) as u64
    }

    fn bytes_of_detector_to_come(&self, tier: Tier) -> usize {
        let comes = tier < Tier::Bounds && self.detector.is_none() && self.detects.is_some() && self.watched();
        if comes { size_of::<crate::analyze::strategy::auto::State>() } else { 0 }
    }

    fn bytes_beside_window(&self) -> usize {
        let of_detector = |state: Option<&DetectorState>| state.map_or(0, DetectorState::bytes);
        let of_threshold = |threshold: &Option<Arc<Threshold>>| threshold.as_ref().map_or(0, |one| bytes_of(one));
        let merits = self.merits.len() * size_of::<crate::analyze::strategy::adaptive::Merit>();
        let releases: usize = self.releases.iter().map(bytes_of_release).sum();
        let versus = self.versus.as_ref().map_or(0, |live| size_of_val(&**live) + live.book().bytes());
        size_of::<Series>()
            + TABLES
            + releases
            + versus
            + self.name.as_str().len()
            + of_detector(self.detector.as_ref())
            + of_detector(self.inherited.as_deref())
            + self.changes.bytes()
            + of_threshold(&self.learned)
            + of_threshold(&self.earlier)
            + merits
    }

    /// The same in another tier, once its window is full.
    pub(crate) fn bytes_when_full(&self, tier: Tier, len_max: usize, age_max: Span) -> u64 {
        // What a sketch gives is fewer than came.
        let mut recent = self.window.last_exact(RECENT);
        let gaps = recent.len().saturating_sub(1).max(1) as f64;
        let ends = recent.next().zip(recent.next_back());
        let gap = ends.map_or(0.0, |((first, _), (last, _))| last.since(first).secs() / gaps);
        let samples = (age_max.secs() / gap.max(1e-3)).min(len_max as f64);
        let exact = (samples * PACKED) as usize;
        let window = match tier {
            Tier::Exact => exact + 2_000,
            Tier::Hourly => HOURLY.min(exact) + 1_500,
            Tier::Faded | Tier::Bounds => FADED,
        };
        let detector = self.bytes_of_detector_to_come(tier);
        (self.bytes_beside_window() + detector + window.max(self.window.bytes())) as u64
    }
}

fn bytes_of_release(release: &Release) -> usize {
    let (thresholds, book) = release.holds();
    let trial = book.map_or(0, |book| size_of::<Trial>() + book.bytes());
    size_of::<Release>() + thresholds.map(|threshold| bytes_of(threshold)).sum::<usize>() + trial
}

fn bytes_of(threshold: &Threshold) -> usize {
    size_of::<Threshold>() + threshold.rivals.len() * size_of::<Rival>() + threshold.reasoning.len() + 32
}
