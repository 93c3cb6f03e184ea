//! What was changed lately of one series, or of what belongs to none: changes whose expectation waits, and when knobs were turned.

use super::{Knowledge, Pending, Series};
use crate::execute::{Change, Knob, Measure, Outcome};
use crate::plan::guard::is_limited;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::mem::size_of;
use thin_vec::ThinVec;

/// What `changes_per_hour` counts over.
const HOUR: Span = Span::hours(1);

/// Oldest first. Bounded: a change that waits for each knob, and an hour's times.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changes(ThinVec<Recent>);

/// A change of the last hour, or one that waits for longer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recent {
    Pending(Pending),
    /// It is settled: all that counts is when its knob was turned.
    Settled(Knob, Timestamp),
}

impl Recent {
    fn turned(&self) -> (&Knob, Timestamp) {
        match self {
            Recent::Pending(pending) => (&pending.change.knob, pending.change.at),
            Recent::Settled(knob, at) => (knob, *at),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        matches!(self, Recent::Settled(_, at) if now.since(*at) >= HOUR)
    }

    /// Whether it counts how often its knob was turned.
    fn counts(&self, knob: &Knob) -> bool {
        is_limited(knob) && self.turned().0 == knob
    }
}

/// The same as it stood before series held their own: all of it in one place. Read, never written.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub(crate) struct Turned {
    times: Vec<(Knob, VecDeque<Timestamp>)>,
}

impl Changes {
    /// Of each knob at most so many are known that are settled: no more are counted.
    fn push(&mut self, recent: Recent, most: usize) {
        let (knob, now) = recent.turned();
        let is_settled = |other: &Recent| matches!(other, Recent::Settled(of, _) if of == knob);
        self.0.retain(|other| !other.is_over(now));
        if self.0.iter().filter(|other| is_settled(other)).count() > most
            && let Some(oldest) = self.0.iter().position(is_settled)
        {
            self.0.remove(oldest);
        }
        // Most have one: the usual room for four would be three too many, for each series.
        self.0.reserve_exact(1);
        self.0.push(recent);
    }

    /// One of which it may be known already that its knob was turned then.
    fn wait_for(&mut self, pending: Pending, most: usize) {
        let (knob, at) = (&pending.change.knob, pending.change.at);
        if self.pending().any(|known| known.change.id == pending.change.id) {
            return;
        }
        let known = |recent: &&mut Recent| matches!(recent, Recent::Settled(of, then) if of == knob && *then == at);
        match self.0.iter_mut().find(known) {
            Some(recent) => *recent = Recent::Pending(pending),
            None => self.push(Recent::Pending(pending), most),
        }
    }

    fn settle(&mut self, change: u64) -> bool {
        let is_this = |recent: &&mut Recent| matches!(recent, Recent::Pending(it) if it.change.id == change);
        let Some(recent) = self.0.iter_mut().find(is_this) else { return false };
        let (knob, at) = recent.turned();
        *recent = Recent::Settled(knob.clone(), at);
        true
    }

    fn turned_within_hour(&self, knob: &Knob, now: Timestamp) -> usize {
        let counts = |recent: &&Recent| recent.counts(knob) && now.since(recent.turned().1) < HOUR;
        self.0.iter().filter(counts).count()
    }

    pub fn pending(&self) -> impl DoubleEndedIterator<Item = &Pending> {
        self.0.iter().filter_map(|recent| match recent {
            Recent::Pending(pending) => Some(pending),
            Recent::Settled(..) => None,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is something that need not be remembered any more.
    pub fn some_are_over(&self, now: Timestamp) -> bool {
        self.0.iter().any(|recent| recent.is_over(now))
    }

    pub fn forget_what_is_over(&mut self, now: Timestamp) {
        self.0.retain(|recent| !recent.is_over(now));
        self.0.shrink_to_fit();
    }

    /// About how many bytes they take beside their texts.
    pub fn bytes(&self) -> usize {
        self.0.len() * size_of::<Recent>()
    }
}

impl Knowledge {
    /// Changes whose expectation is not settled yet: [`of_no_series`](Knowledge::pending_of_no_series) and of each.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.pending_of_no_series().chain(self.series().flat_map(Series::pending))
    }

    pub fn pending_of_no_series(&self) -> impl Iterator<Item = &Pending> {
        self.general.changes.pending()
    }

    /// Those that may be settled in this turn: of no series, and of the series whose turn it is.
    pub(crate) fn pending_in_turn(&self) -> impl Iterator<Item = &Pending> {
        self.pending_of_no_series().chain(self.attended().flat_map(Series::pending))
    }

    /// The change of this knob that is not settled yet.
    pub(crate) fn pending_of(&self, knob: &Knob) -> Option<&Pending> {
        self.changes_of(knob)?.pending().rev().find(|pending| pending.change.knob == *knob)
    }

    /// How often the knob was turned in the hour before `now`.
    pub(crate) fn turned_within_hour(&self, knob: &Knob, now: Timestamp) -> usize {
        self.changes_of(knob).map_or(0, |changes| changes.turned_within_hour(knob, now))
    }

    fn changes_of(&self, knob: &Knob) -> Option<&Changes> {
        match knob.series() {
            Some(series) => Some(&self.find(series)?.changes),
            None => Some(&self.general.changes),
        }
    }

    fn changes_mut(&mut self, knob: &Knob) -> Option<&mut Changes> {
        match knob.series() {
            Some(series) => Some(&mut self.find_mut(series)?.changes),
            None => Some(&mut self.general.changes),
        }
    }

    /// A change is out.
    pub(super) fn begin_change(&mut self, change: &Change) {
        let about = match &change.expect.of {
            Measure::BreachShare(name) => self.find(name),
            Measure::Evidence(_) => None,
        };
        let pending = Pending {
            change: change.clone(),
            judged: about.map_or(0, |series| series.tally.judged),
            breached: about.map_or(0, |series| series.tally.breached),
            strategy: match &change.knob {
                Knob::Threshold(_) => about
                    .and_then(|series| series.learned.as_ref())
                    .map(|threshold| threshold.strategy.clone())
                    .filter(|strategy| *strategy != crate::plan::import::IMPORTED),
                _ => None,
            },
        };
        let most = self.config.execution.changes_per_hour as usize;
        if let Some(changes) = self.changes_mut(&change.knob) {
            changes.push(Recent::Pending(pending), most);
        }
    }

    /// What came of a change is known.
    pub(super) fn end_change(&mut self, outcome: &Outcome) {
        let found = self.changes_mut(&outcome.knob).is_some_and(|changes| changes.settle(outcome.change));
        if !found {
            // Of a series that left before such changes were settled as it leaves.
            self.general.changes.settle(outcome.change);
        }
    }

    /// Gives changes that an earlier form held all in one place to the series they are about.
    pub(super) fn hand_out_changes(&mut self) {
        let (pending, turned) =
            (std::mem::take(&mut self.general.pending), std::mem::take(&mut self.general.dispatched));
        let most = self.config.execution.changes_per_hour as usize;
        for (knob, times) in turned.times {
            if let Some(changes) = self.changes_mut(&knob) {
                times.into_iter().for_each(|at| changes.push(Recent::Settled(knob.clone(), at), most));
            }
        }
        for pending in pending.into_values() {
            match self.changes_mut(&pending.change.knob) {
                Some(changes) => changes.wait_for(pending, most),
                None => self.general.changes.wait_for(pending, most),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::strategy::Methods;
    use crate::config::Config;
    use crate::event::Event;
    use crate::execute::{Expectation, Setting};
    use crate::feedback::ParameterKind;
    use crate::knowledge::general::General;
    use crate::knowledge::snapshot::GENERAL;
    use crate::series::SeriesName;
    use std::collections::BTreeMap;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn name() -> SeriesName {
        SeriesName::parse("m{a=\"b\"}").expect("a name")
    }

    fn change(id: u64, knob: Knob, of: Measure) -> Change {
        let expect = Expectation { of, at_least: 0.0, at_most: 0.1, due: NOW + HOUR };
        let to = Setting::Number(2.5);
        Change { id, at: NOW, knob, from: Setting::Unset, to, because: "so".into(), by: None, expect, situation: 0 }
    }

    /// One change of a series, one of none.
    fn memory() -> Knowledge {
        let methods = std::sync::Arc::new(Methods::built_in());
        let mut knowledge = Knowledge::new(Config::default(), methods, 1, NOW);
        knowledge.apply(&Event::SeriesAdded { series: name(), declared: None, derived_from: None }, NOW);
        let quality = Measure::Evidence(crate::plan::state::EvidenceKind::DecisionQuality);
        knowledge.begin_change(&change(1, Knob::Sensitivity(name()), Measure::BreachShare(name())));
        knowledge.begin_change(&change(2, Knob::Factor(ParameterKind::LearningRate), quality));
        knowledge
    }

    fn ids(knowledge: &Knowledge) -> Vec<u64> {
        knowledge.pending().map(|pending| pending.change.id).collect()
    }

    fn restored(parts: &[(String, Vec<u8>)]) -> Knowledge {
        let methods = std::sync::Arc::new(Methods::built_in());
        Knowledge::from_snapshot(Config::default(), methods, 1, &parts, NOW).expect("a snapshot")
    }

    #[derive(Serialize)]
    struct Out<T> {
        version: u16,
        body: T,
    }

    #[derive(Serialize)]
    struct Before<'a> {
        #[serde(flatten)]
        general: &'a General,
        pending: BTreeMap<u64, &'a Pending>,
        dispatched: Dispatched,
    }

    #[derive(Serialize)]
    struct Dispatched {
        times: Vec<(Knob, Vec<Timestamp>)>,
        swept: Timestamp,
    }

    #[test]
    fn what_an_earlier_form_held_in_one_place_is_handed_out_to_the_series() {
        let now = memory();
        let knob = Knob::Sensitivity(name());
        // As it was written then: all pending changes and all times in the general part, nothing in the series.
        let all: BTreeMap<u64, &Pending> = now.pending().map(|pending| (pending.change.id, pending)).collect();
        let mut before = memory();
        before.find_mut(&name()).expect("held").changes = Changes::default();
        before.general.changes = Changes::default();
        let times = vec![(knob.clone(), vec![NOW, NOW + Span::minutes(10)])];
        let body = Before { general: &before.general, pending: all, dispatched: Dispatched { times, swept: NOW } };
        let mut parts = before.snapshot();
        let (_, bytes) = parts.iter_mut().find(|(part, _)| part == GENERAL).expect("a general part");
        *bytes = rmp_serde::to_vec_named(&Out { version: 1, body }).expect("plain data");
        let then = restored(&parts);
        assert_eq!(ids(&then), ids(&now));
        assert_eq!(then.pending_of(&knob), now.pending_of(&knob));
        assert_eq!(then.find(&name()).expect("held").pending().count(), 1);
        assert_eq!(then.turned_within_hour(&knob, NOW + Span::minutes(20)), 2);
        assert_eq!(then.turned_within_hour(&knob, NOW + Span::minutes(65)), 1);
    }

    #[test]
    fn what_a_series_holds_of_changes_goes_when_it_is_over_and_not_before() {
        let mut knowledge = memory();
        let held = |knowledge: &Knowledge| !knowledge.find(&name()).expect("held").changes.is_empty();
        let early = NOW + Span::minutes(30);
        knowledge.end_turn(None, early);
        assert!(held(&knowledge) && ids(&knowledge) == [2, 1]);
        let pending = knowledge.pending_of(&Knob::Sensitivity(name())).expect("pending").clone();
        knowledge.end_change(&crate::execute::given_up(&pending, early));
        knowledge.end_turn(None, early);
        assert!(held(&knowledge), "it was turned within the hour");
        assert_eq!(restored(&knowledge.snapshot()).turned_within_hour(&Knob::Sensitivity(name()), early), 1);
        knowledge.end_turn(None, NOW + Span::hours(1));
        assert!(!held(&knowledge) && ids(&knowledge) == [2]);
    }
}
