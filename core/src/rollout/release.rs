//! What one series has given a rule, and what is tried out in its place.

use super::Rule;
use crate::threshold::Threshold;
use crate::time::Timestamp;
use crate::versus::{Arm, Book, Watch};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Episodes of a trial that are kept; what older ones came to is added up.
const EPISODES_KEPT: usize = 64;

/// Of the samples that are held so many are read at the beginning of a trial: it must not hold up the loop.
const READ_BEFORE: usize = 2_000;

/// A threshold moves by this part of its distance from the ordinary value, or nothing is tried out.
const MOVES: f64 = 0.05;

/// Of one series, for one rule.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Release {
    pub(crate) rule: String,
    /// How that rule compares; empty: written before it was kept.
    #[serde(default)]
    pub(crate) compares: String,
    /// None: the rule finds none, and compares with its literal.
    pub served: Option<Arc<Threshold>>,
    /// What people had said of the series when that was served first.
    pub(crate) verdicts: u32,
    pub trial: Option<Box<Trial>>,
    /// None: it was not in the trial that was kept last, or that was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before_kept: Option<BeforeKept>,
}

/// What was served before what was kept last: a person may want it back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct BeforeKept {
    /// None: the literal.
    threshold: Option<Arc<Threshold>>,
}

/// What a rule is served of all series that have the same values of its labels, before and if it gets what is tried out: it
/// compares each of them with the widest.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Arms {
    before: Vec<Arc<Threshold>>,
    proposed: Vec<Arc<Threshold>>,
}

impl Arms {
    /// Of what each series is served, before and if it gets what is tried out. Every sample of all of them is held against these: what
    /// is never the widest is left out.
    pub(crate) fn of(rule: &Rule, before: Vec<Arc<Threshold>>, proposed: Vec<Arc<Threshold>>) -> Arms {
        let sides =
            |threshold: &Arc<Threshold>| threshold.alert.pairs().map(|pair| rule.side(threshold, pair)).collect();
        let widest = |thresholds| widest_at_times(rule, thresholds, sides);
        Arms { before: widest(before), proposed: widest(proposed) }
    }
}

/// Those whose bound on the rule's side, of which `sides` says what it ever is, may be the widest of all at some time; of equal ones
/// that never change, one.
fn widest_at_times<T>(rule: &Rule, all: Vec<T>, sides: impl Fn(&T) -> Vec<Option<f64>>) -> Vec<T> {
    // The widest that each ever is, and what it never is narrower than, if it has a bound at all times.
    let reach = |one: &T| {
        let sides = sides(one);
        let least =
            sides.iter().copied().reduce(|one, other| one.zip(other).map(|(one, other)| rule.narrower(one, other)));
        (sides.iter().flatten().copied().reduce(|one, other| rule.wider(one, other)), least.flatten())
    };
    let reaches: Vec<(Option<f64>, Option<f64>)> = all.iter().map(reach).collect();
    let least = reaches.iter().filter_map(|(_, least)| *least).reduce(|one, other| rule.wider(one, other));
    let mut said = false;
    let matters = |(most, own): (Option<f64>, Option<f64>)| match most {
        // At its widest it is no wider than another one always is, unless it is that one.
        Some(_) if most.zip(least).is_some_and(|(most, least)| rule.wider(most, least) == least) => {
            own == least && !std::mem::replace(&mut said, true)
        }
        most => most.is_some(),
    };
    let matter: Vec<bool> = reaches.into_iter().map(matters).collect();
    all.into_iter().zip(matter).filter_map(|(one, matters)| matters.then_some(one)).collect()
}

/// Two thresholds that read the same samples.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trial {
    pub before: Option<Arc<Threshold>>,
    pub proposed: Arc<Threshold>,
    /// None: no other series has the same values of the rule's labels. It follows from what those are served, and stands in no snapshot.
    #[serde(skip)]
    arms: Option<Arc<Arms>>,
    /// What each would have paged for: the proposed one is the learned arm, the one before the static one.
    watch: Watch,
    /// Since when samples lie beyond each, by [`Arm`].
    beyond_since: [Option<Timestamp>; 2],
}

impl Trial {
    pub fn book(&self) -> &Book {
        &self.watch.book
    }

    /// Reads what is held, oldest first, as if it came now: the last samples of it.
    pub(crate) fn read(
        &mut self,
        rule: &Rule,
        held: impl DoubleEndedIterator<Item = (Timestamp, f64)>,
        holiday: impl Fn(Timestamp) -> bool,
    ) {
        let mut last: Vec<(Timestamp, f64)> = held.rev().take(READ_BEFORE).collect();
        last.reverse();
        for (at, value) in last {
            self.see(rule, at, value, holiday(at));
        }
    }

    pub(crate) fn set_arms(&mut self, arms: Option<Arc<Arms>>) {
        self.arms = arms;
    }

    /// Whether other series are in it.
    pub(crate) fn is_shared(&self) -> bool {
        self.arms.is_some()
    }

    pub(crate) fn book_mut(&mut self) -> &mut Book {
        &mut self.watch.book
    }

    /// `holiday`: whether the sample lies on one.
    pub(crate) fn see(&mut self, rule: &Rule, at: Timestamp, value: f64, holiday: bool) {
        if !self.watch.goes_to(at, rule.hold, &Arm::ALL) {
            self.beyond_since = [None; 2];
        }
        // Where it finds no threshold, or one without a bound on its side, it compares with its literal.
        let widest = |thresholds: &[Arc<Threshold>]| {
            let bounds = thresholds.iter().filter_map(|threshold| rule.bound(threshold, at, holiday));
            bounds.reduce(|one, other| rule.wider(one, other)).unwrap_or(rule.literal)
        };
        let bounds = match &self.arms {
            Some(arms) => [(Arm::Learned, widest(&arms.proposed)), (Arm::Static, widest(&arms.before))],
            None => {
                let before = self.before.as_slice();
                [(Arm::Learned, widest(std::slice::from_ref(&self.proposed))), (Arm::Static, widest(before))]
            }
        };
        let fires = bounds.map(|(arm, bound)| {
            let since = &mut self.beyond_since[arm as usize];
            *since = match rule.is_beyond(value, bound) {
                true => since.or(Some(at)),
                false => None,
            };
            since.is_some_and(|since| at.since(since) >= rule.hold)
        });
        self.watch.says(at, fires);
    }
}

impl Release {
    /// The thresholds that it holds, and the book of its trial.
    pub(crate) fn holds(&self) -> (impl Iterator<Item = &Arc<Threshold>>, Option<&Book>) {
        let trial = self.trial.as_deref();
        let tried = trial.into_iter().flat_map(|trial| trial.before.iter().chain([&trial.proposed]));
        let kept = self.before_kept.iter().filter_map(|kept| kept.threshold.as_ref());
        (self.served.iter().chain(tried).chain(kept), trial.map(Trial::book))
    }

    pub(crate) fn of(rule: &Rule) -> Release {
        Release { rule: rule.name.clone(), compares: rule.compares(), ..Release::default() }
    }

    /// The same for a rule as it is configured now: anew where the name is another comparison's by now.
    pub(crate) fn for_rule(self, rule: &Rule) -> Release {
        let compares = rule.compares();
        match self.compares.is_empty() || self.compares == compares {
            true => Release { compares, ..self },
            false => Release::of(rule),
        }
    }

    /// Whether a threshold is another one than what is served, and by how much it has to be: by a part of the distance from
    /// the ordinary value, or where a person's word moved it by anything at all.
    pub(crate) fn differs(&self, rule: &Rule, threshold: &Threshold, at_all: bool) -> bool {
        let Some(served) = &self.served else { return true };
        if served.alert == threshold.alert {
            return false;
        }
        if at_all {
            return true;
        }
        let side = |threshold: &Threshold| -> Vec<Option<f64>> {
            threshold.alert.pairs().map(|pair| rule.side(threshold, pair)).collect()
        };
        let (old, new) = (side(served), side(threshold));
        let moved = |(old, new): (&Option<f64>, &Option<f64>)| match (old, new) {
            (Some(old), Some(new)) => (new - old).abs() > MOVES * (old - served.center).abs(),
            (old, new) => old != new,
        };
        old.len() != new.len() || old.iter().zip(&new).any(moved)
    }

    /// Lets a threshold read along.
    pub(crate) fn begin(&mut self, proposed: Arc<Threshold>) {
        let watch = Watch::new(Book::keeping(EPISODES_KEPT));
        let before = self.served.clone();
        self.trial = Some(Box::new(Trial { before, proposed, arms: None, watch, beyond_since: [None; 2] }));
    }

    /// What the rule is served of this series: before, and if it gets what is tried out.
    pub(crate) fn arms(&self) -> (Option<&Arc<Threshold>>, Option<&Arc<Threshold>>) {
        match self.trial.as_deref() {
            Some(trial) => (trial.before.as_ref(), Some(&trial.proposed)),
            None => (self.served.as_ref(), self.served.as_ref()),
        }
    }

    /// Serves what is tried out.
    pub(crate) fn serve(&mut self, verdicts: u32) {
        if let Some(trial) = &self.trial {
            self.served = Some(Arc::clone(&trial.proposed));
            self.verdicts = verdicts;
        }
    }

    /// Ends the trial of what is served, which stays.
    pub(crate) fn keep(&mut self) {
        self.before_kept = self.trial.take().map(|trial| BeforeKept { threshold: trial.before });
    }

    /// Serves what was served before what was kept last.
    pub(crate) fn take_back_kept(&mut self) {
        if let Some(before) = self.before_kept.take() {
            self.served = before.threshold;
        }
    }

    /// Serves what was served before the trial, and ends that.
    pub(crate) fn take_back(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.served = trial.before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::data::Direction;
    use crate::series::Selector;
    use crate::threshold::Bounds;
    use crate::time::Span;
    use proptest::prelude::*;

    fn bounds() -> impl Strategy<Value = Bounds> {
        let pair = || {
            (0..9_i8, any::<bool>()).prop_map(|(at, both)| (both.then_some(f64::from(at)), Some(f64::from(at) + 1.0)))
        };
        let missing = (0..9_i8).prop_map(|at| (Some(f64::from(at)), None));
        let pairs = proptest::collection::vec(prop_oneof![9 => pair(), 1 => missing], 1..5);
        let period = prop_oneof![Just(Span::hours(24)), Just(Span::hours(168)), Just(Span::hours(5))];
        prop_oneof![
            pair().prop_map(|(lower, upper)| Bounds::constant(lower, upper).expect("bounds")),
            (period, pairs).prop_map(|(period, pairs)| Bounds::periodic(period, pairs).expect("bounds")),
        ]
    }

    proptest! {
        #[test]
        fn what_is_left_out_is_never_the_widest(
            all in proptest::collection::vec(bounds(), 0..12),
            hours in proptest::collection::vec((0..2000_i64, any::<bool>()), 40),
            upper in any::<bool>(),
        ) {
            let rule = Rule {
                name: "R".to_owned(),
                selector: Selector::parse("m").expect("a selector"),
                direction: if upper { Direction::Upper } else { Direction::Lower },
                inclusive: false,
                literal: 0.0,
                possible: (f64::NEG_INFINITY, f64::INFINITY),
                by: Vec::new(),
                hold: Span::ZERO,
            };
            let kept = widest_at_times(&rule, all.clone(), |one| one.pairs().map(|pair| rule.learned(pair)).collect());
            let constant = kept.iter().filter(|bounds| bounds.period().is_none()).count();
            prop_assert!(constant <= 1, "of those that are always the same the widest says it all: {kept:?}");
            for (hour, holiday) in hours {
                let at = Timestamp::from_millis(hour * 3_600_000);
                let widest = |of: &[Bounds]| {
                    let sides = of.iter().filter_map(|bounds| rule.learned(bounds.on(at, holiday)));
                    sides.reduce(|one, other| rule.wider(one, other))
                };
                prop_assert_eq!(widest(&all), widest(&kept), "{:?} of {:?}", kept, all);
            }
        }
    }
}
