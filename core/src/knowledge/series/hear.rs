//! What a person says of a series, and what that does to what it has learned.

use super::Series;
use crate::analyze::strategy::{AlertLevel, Asked, Baseline, Detector};
use crate::feedback::weights::{Feature, Spoke};
use crate::feedback::{Subject, Verdict};
use crate::stats::Scratch;
use crate::time::{Span, Timestamp};
use crate::units::Ratio;
use serde::{Deserialize, Serialize};

/// How much further down the level is looked for at which a missed time would have paged, and in which steps, in decades.
const LOOSER_MAX: u32 = 24;
const LOOSER: f64 = 0.25;

/// What is usual at a missed time is learned from at most so many samples before it, and of the time itself so many are
/// judged: a verdict on many series at once must not hold up the loop.
const USUAL_SAMPLES: usize = 2_000;
const MISSED_SAMPLES: usize = 1_000;

/// What counts so much excuses an alert from the budget, as a person's word does.
const EXCUSES: f64 = 0.5;

/// Verdicts that are remembered to tell what others of the same alerts count.
const IMPLIED_MAX: usize = 32;

/// What was said, or with a weight done, of an alert.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Implied {
    begun: Timestamp,
    verdict: Verdict,
    weight: Option<Ratio>,
}

/// What a verdict is about.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct About {
    /// An alert, or one that was missed.
    pub alert: bool,
    /// What it is worth to the fleet that these features spoke in it, or would have; also of verdicts that it takes back.
    pub worth: Vec<(Verdict, Vec<(Feature, f32)>)>,
}

impl Series {
    /// What a person says of it, or with a weight what was done about it. Returns what that is about.
    pub(crate) fn hear(
        &mut self,
        verdict: Verdict,
        about: Subject,
        weight: Option<Ratio>,
        detector: Option<&dyn Detector>,
    ) -> About {
        let begun = self.masks.covered_from(about.at()).unwrap_or(about.at());
        let undone = match self.counts(verdict, weight, begun) {
            Some(undone) => undone,
            None => return About::default(),
        };
        self.verdicts += u32::from(weight.is_none());
        let weight = weight.map_or(1.0, Ratio::get);
        let (from, until) = match about {
            Subject::Moment { at } => (at, at + Span::from_millis(1)),
            Subject::Period { from, until } => (from, until),
            Subject::ChangePoint { at } => {
                self.begin_anew(at, detector);
                return About::default();
            }
        };
        if let Some(live) = &mut self.versus {
            live.book_mut().hear(verdict, from, until);
        }
        // What weighs little takes nothing back.
        if weight >= EXCUSES {
            for trial in self.releases.iter_mut().filter_map(|release| release.trial.as_mut()) {
                trial.book_mut().hear(verdict, from, until);
            }
        }
        let mut spoke = self.spoke_in(from, until);
        let of_alert = match about {
            Subject::Period { .. } => self.hear_of_period(verdict, from, until),
            _ => self.alerted_at(from),
        };
        // However often a person says it of one alert, one is excused.
        let begun = self.masks.covered_from(from).unwrap_or(from);
        if of_alert && verdict == Verdict::True && weight >= EXCUSES && self.excused != Some(begun) {
            self.excused = Some(begun);
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
            return About::default();
        }
        if spoke.is_empty() && verdict == Verdict::Missed {
            spoke = detector.map_or_else(Spoke::default, |detector| self.would_have_spoken(from, until, detector));
        }
        let mut worth = vec![(verdict, self.features.add(&spoke, verdict, weight as f32))];
        for (verdict, weight) in &undone {
            worth.push((*verdict, self.features.add(&spoke, *verdict, -weight as f32)));
        }
        if let (Some(detector), Some(state)) = (detector, &mut self.detector) {
            detector.told(state, verdict, weight);
            undone.iter().for_each(|(verdict, weight)| detector.told(state, *verdict, -weight));
        }
        About { alert: true, worth }
    }

    /// Whether a verdict about an alert counts, after what was said of the same one; if so, what it takes the place of. A person's
    /// word does of all that was done; what was done counts once, and not after a word.
    fn counts(&mut self, verdict: Verdict, weight: Option<Ratio>, begun: Timestamp) -> Option<Vec<(Verdict, f64)>> {
        let same = |said: &&Implied| said.begun == begun;
        let before: Vec<Implied> = self.implied.iter().filter(same).copied().collect();
        let mut undone = Vec::new();
        match weight {
            None => {
                undone = before.iter().filter_map(|said| Some((said.verdict, said.weight?.get()))).collect();
                self.implied.retain(|said| said.begun != begun);
            }
            Some(_) if before.iter().any(|said| said.weight.is_none() || said.verdict == verdict) => return None,
            Some(_) => {}
        }
        if self.implied.len() == IMPLIED_MAX {
            self.implied.remove(0);
        }
        self.implied.push(Implied { begun, verdict, weight });
        Some(undone)
    }

    /// What was lately said of its alerts, in words or by what weighs as much as half a word, and when each began.
    pub(super) fn words(&self) -> impl Iterator<Item = (Verdict, Timestamp)> {
        let heavy = |said: &&Implied| said.weight.is_none_or(|weight| weight.get() >= EXCUSES);
        self.implied.iter().filter(heavy).map(|said| (said.verdict, said.begun))
    }

    /// Whether two moments belong to one alert, or are one.
    pub(crate) fn same_alert(&self, one: Timestamp, other: Timestamp) -> bool {
        let begun = |at| self.masks.covered_from(at).unwrap_or(at);
        begun(one) == begun(other)
    }

    /// What spoke in the alerts of a time, as far back as they are remembered.
    fn spoke_in(&self, from: Timestamp, until: Timestamp) -> Spoke {
        // An alert that holds in the beginning of the time may have begun before it, or, by its first sample, a little later.
        let holds = self.masks.covered_from(from);
        let meant = |at: Timestamp| {
            let covered = self.masks.covered_from(at);
            covered.is_some() && (covered == holds || (from <= at && at < until))
        };
        let alerts = self.spoken.iter().filter(|(at, _)| meant(*at));
        Spoke::mean(&alerts.map(|(_, spoke)| *spoke).collect::<Vec<_>>())
    }

    /// What would have paged in a time in which nothing did: the window is judged anew, in that time at one
    /// level under the other until it pages.
    fn would_have_spoken(&self, from: Timestamp, until: Timestamp, detector: &dyn Detector) -> Spoke {
        let (mut at, mut values, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
        self.window.copy_into(&mut at, &mut values);
        let (first, end) =
            (at.partition_point(|at| *at < from.millis()), at.partition_point(|at| *at < until.millis()));
        // A moment lies between two samples, mostly: the one before it is meant.
        let first = if first == end { first.saturating_sub(1) } else { first };
        if first == 0 || first == end {
            return Spoke::default();
        }
        let reckoning = &self.settings.reckoning;
        let (usual, end) = (first.saturating_sub(USUAL_SAMPLES)..first, end.min(first + MISSED_SAMPLES));
        let before =
            Baseline::sorted(self.kind(), &at[usual.clone()], &values[usual], &mut scratch).reckoned(reckoning);
        let begun = detector.start(&before, None);
        let meant = || at[first..end].iter().zip(&values[first..end]);
        for looser in 0..=LOOSER_MAX {
            let decades = f64::from(looser) * LOOSER;
            let asked = self.asked();
            let alert = match asked.alert {
                AlertLevel::PerWeek(pages) => AlertLevel::PerWeek(pages * 10_f64.powf(decades)),
                AlertLevel::Rarity(rarity) => AlertLevel::Rarity(rarity - decades),
            };
            let mut state = begun.clone();
            let mut said = meant().map(|(at, value)| {
                let at = Timestamp::from_millis(*at);
                let asked = Asked { alert, young: false, moment: reckoning.moment(at), bounds: false, ..asked };
                detector.step(&mut state, at, *value, &asked).spoke
            });
            if let Some(spoke) = said.find(|spoke| !spoke.is_empty()) {
                return spoke;
            }
        }
        Spoke::default()
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
