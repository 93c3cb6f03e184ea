//! What becomes of samples: judged and remembered one by one or many side by side, what histograms give, alerts that begin and end.

use super::Engine;
use crate::config::Kind;
use crate::event::{Alerted, Event, Phase};
use crate::feedback::weights::Spoke;
use crate::knowledge::SeriesId;
use crate::knowledge::batch::{READ_AHEAD, Waits};
use crate::knowledge::histogram::Derived;
use crate::knowledge::series::{Noticed, Series};
use crate::knowledge::window::Tier;
use crate::monitor::{Fate, Fates, Judged, Sample};
use crate::series::SeriesName;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// So many samples are taken in side by side before what they say is told.
const AT_ONCE: usize = 65_536;

/// What came of a batch of samples.
#[must_use = "events must be stored"]
#[derive(Debug, Default)]
pub struct Observed {
    pub events: Vec<Event>,
    pub fates: Fates,
    /// Samples that were neither admitted nor folded, by their place among those that were given, ascending. Of history nothing.
    pub turned_away: Vec<(usize, Fate)>,
}

impl Engine {
    /// Judges and remembers samples, in their order. Alerts leave at once.
    ///
    /// Many at once are taken in on as many threads as there are to use; what comes of them is the same.
    pub fn observe(&mut self, samples: &[Sample], now: Timestamp) -> Observed {
        let mut observed = self.observed();
        for (some, first) in samples.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            match self.knowledge.record_batch(some, now) {
                Some((fates, waits)) => {
                    observed.fates += &fates;
                    self.take_up(some, first, &waits, now, &mut observed);
                }
                None => self.take_each(some, first, now, &mut observed, &mut |_, _, _| {}),
            }
        }
        observed
    }

    /// The same one by one, and shows each sample's fate and judgement as it passes.
    pub fn observe_each(
        &mut self,
        samples: &[Sample],
        now: Timestamp,
        mut each: impl FnMut(&Sample, Fate, &Judged),
    ) -> Observed {
        let mut observed = self.observed();
        self.take_each(samples, 0, now, &mut observed, &mut each);
        observed
    }

    fn observed(&mut self) -> Observed {
        Observed { events: std::mem::take(&mut self.outbox), ..Observed::default() }
    }

    /// Takes samples in, one after the other; the first of them is the caller's `first`.
    fn take_each(
        &mut self,
        samples: &[Sample],
        first: usize,
        now: Timestamp,
        observed: &mut Observed,
        each: &mut impl FnMut(&Sample, Fate, &Judged),
    ) {
        for (some, begins) in samples.chunks(READ_AHEAD).zip((first..).step_by(READ_AHEAD)) {
            self.knowledge.read_ahead(some);
            for (sample, place) in some.iter().zip(begins..) {
                let mut noticed = Noticed::nothing();
                self.knowledge.record(sample, now, &mut noticed);
                observed.fates.add(noticed.fate);
                self.heard_of(sample, place, &noticed, now, observed);
                each(sample, noticed.fate, &noticed.judged);
            }
        }
    }

    /// What waited for its turn has it now: what was noticed is told, and what was not taken in is.
    fn take_up(&mut self, samples: &[Sample], first: usize, waits: &[Waits], now: Timestamp, observed: &mut Observed) {
        for Waits { place, noticed } in waits {
            let sample = &samples[*place];
            let noticed = noticed.unwrap_or_else(|| {
                let mut noticed = Noticed::nothing();
                self.knowledge.record(sample, now, &mut noticed);
                observed.fates.add(noticed.fate);
                noticed
            });
            self.heard_of(sample, first + place, &noticed, now, observed);
        }
    }

    /// What one sample says to more than its series.
    #[inline]
    fn heard_of(&mut self, sample: &Sample, place: usize, noticed: &Noticed, now: Timestamp, observed: &mut Observed) {
        if noticed.onset || noticed.end {
            self.alert(sample, noticed, now, &mut observed.events);
        }
        match noticed.fate {
            Fate::Admitted => {}
            // Only what was held back can have made a histogram whole.
            Fate::Folded => self.derive(now, &mut observed.events),
            fate => observed.turned_away.push((place, fate)),
        }
    }

    /// Judges and remembers what histograms gave. These samples are not the caller's, and not among the fates it is told.
    #[cold]
    fn derive(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        for derived in self.knowledge.histograms.given() {
            let Some(series) = self.made(&derived, now, events) else { continue };
            let Some(value) = derived.value else {
                self.knowledge.seen(series, now);
                continue;
            };
            let sample = Sample { series, at: derived.at, value };
            let mut noticed = Noticed::nothing();
            self.knowledge.record_derived(&sample, now, &mut noticed);
            if noticed.onset || noticed.end {
                self.alert(&sample, &noticed, now, events);
            }
        }
    }

    /// The series that a histogram's value belongs to, made when there is a first one. None: there is no room, or a source
    /// sends a series of that name itself (`NAME_count` mostly), which then says the same and is watched already.
    fn made(&mut self, derived: &Derived, now: Timestamp, events: &mut Vec<Event>) -> Option<SeriesId> {
        match self.knowledge.id(&derived.series) {
            Some(id) => {
                let own = self.knowledge.get(id)?.derived_from() == Some(&derived.from);
                own.then_some(id)
            }
            None if derived.value.is_none() => None,
            None => self.add(&derived.series, Some(derived.kind), Some(derived.from.clone()), now, events).ok(),
        }
    }

    fn alert(&mut self, sample: &Sample, noticed: &Noticed, now: Timestamp, events: &mut Vec<Event>) {
        let Some(series) = self.knowledge.get(sample.series) else { return };
        let bounds = match series.in_force() {
            Some(threshold) if !self.alerts_by_itself(series) => {
                threshold.alert.on(sample.at, series.occasions(sample.at).holiday)
            }
            _ => (noticed.judged.lower, noticed.judged.upper),
        };
        let proposals = self.knowledge.proposals();
        let muted = match noticed.onset {
            true => series.pages() && proposals.mutes(series, sample.at),
            false => proposals.is_muted(series.name()),
        };
        let alerted = Alerted {
            series: series.name().clone(),
            at: sample.at,
            phase: if noticed.onset { Phase::Onset } else { Phase::End },
            value: noticed.value,
            bounds,
            pages: series.pages() && !muted,
            muted,
            why: noticed.judged.why,
            during: series.during(sample.at),
            spoke: noticed.judged.spoke,
            situation: self.knowledge.situation(),
        };
        self.emit(Event::Alerted(alerted), now, events);
    }

    /// Whether alerts of a series are its detector's, not those of bounds.
    pub(super) fn alerts_by_itself(&self, series: &Series) -> bool {
        let by_itself = self.knowledge.methods().detector(series.strategy()).is_some_and(|detector| detector.alerts());
        by_itself && series.tier() != Tier::Bounds
    }

    /// An alert whose bounds are withdrawn ends with them, and one of a series that is forgotten with it.
    pub(super) fn end_alert(&mut self, name: &SeriesName, now: Timestamp, events: &mut Vec<Event>) {
        let Some(series) = self.knowledge.find(name).filter(|series| series.alert_since().is_some()) else { return };
        let Some((at, value)) = series.window().newest() else { return };
        let muted = self.knowledge.proposals().is_muted(name);
        let alerted = Alerted {
            series: name.clone(),
            at,
            phase: Phase::End,
            value,
            bounds: (None, None),
            pages: series.pages() && !muted,
            muted,
            why: None,
            during: series.during(at),
            spoke: Spoke::default(),
            situation: self.knowledge.situation(),
        };
        self.emit(Event::Alerted(alerted), now, events);
    }

    /// Takes in history, in order of time, older than what is held or newer: learned from, never judged, never paged.
    /// What lies more than ten minutes ahead of `now` is turned away, as too new.
    ///
    /// A histogram's buckets belong together: see [`backfill_buckets`](Engine::backfill_buckets).
    pub fn backfill(&mut self, series: SeriesId, history: &[(Timestamp, f64)], now: Timestamp) -> Observed {
        if self.knowledge.get(series).is_some_and(|series| series.kind() == Kind::Histogram) {
            let samples: Vec<Sample> = history.iter().map(|&(at, value)| Sample { series, at, value }).collect();
            return self.backfill_buckets(&samples, now);
        }
        let fates = self.knowledge.backfill(series, history, now);
        Observed { fates, ..self.observed() }
    }

    /// The same for the buckets of histograms, of any number of them, all in order of time: what they say together is
    /// learned from, never judged, never paged.
    pub fn backfill_buckets(&mut self, samples: &[Sample], now: Timestamp) -> Observed {
        let mut observed = self.observed();
        for sample in samples {
            observed.fates.add(self.knowledge.backfill_bucket(sample, now));
        }
        let mut histories: BTreeMap<SeriesId, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for derived in self.knowledge.histograms.given() {
            if let Some(series) = self.made(&derived, now, &mut observed.events)
                && let Some(value) = derived.value
            {
                histories.entry(series).or_default().push((derived.at, value));
            }
        }
        for (series, history) in histories {
            self.knowledge.backfill_derived(series, &history, now);
        }
        observed
    }
}
