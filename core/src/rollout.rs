//! How a threshold gets out to the alert rule that looks it up: in shadow beside the present one first, then for a share of the
//! rule's series, then for all, and back by itself where it does worse.
//!
//! A rule elsewhere believes what it is given, and what it is given was learned by a machine. So a new threshold has to show
//! first what it would page for, on the samples that are held and on those that come; and while it is tried out, the one
//! before reads every sample too.

mod decide;
mod release;

pub(crate) use decide::new;
pub use decide::{Evidence, NotMoved, Order, decided, evidence, kept, ordered};
pub(crate) use release::Arms;
pub use release::{Release, Trial};

use crate::knowledge::Knowledge;
use crate::plan::import::IMPORTED;
use crate::replay::data::Direction;
use crate::series::{Selector, SeriesName};
use crate::threshold::{Pair, Threshold};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Steps of a rule that are remembered; the journal has the older ones.
const STEPS_KEPT: usize = 20;

/// What is taken back again and again rests sixteen times as long in the end: half a month, of days.
const REST_DOUBLED_MOST: usize = 4;

/// An alert rule elsewhere whose thresholds are learned here.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// What its thresholds carry as `rule`; no other rule has it.
    pub name: String,
    /// Whose thresholds these are.
    pub selector: Selector,
    pub direction: Direction,
    /// Whether a value at its threshold is beyond it.
    pub inclusive: bool,
    /// What it compares with where it finds no threshold.
    pub literal: f64,
    /// What is compared is never less than the one and never more than the other, as far as the rule tells.
    pub possible: (f64, f64),
    /// Labels that tell its thresholds apart.
    pub by: Vec<String>,
    /// Its `for`.
    pub hold: Span,
}

impl Rule {
    /// The values of the labels `by`; a label that the series does not have is empty.
    pub fn key(&self, series: &SeriesName) -> Vec<String> {
        let (_, labels) = series.parts();
        let value = |by: &String| labels.iter().find(|(name, _)| name == by).map(|(_, value)| value.clone());
        self.by.iter().map(|by| value(by).unwrap_or_default()).collect()
    }

    /// How it compares, as `> by (host)`: what was learned for one comparison says nothing of another. The order of its labels does
    /// not matter.
    pub fn compares(&self) -> String {
        let op = match (self.direction, self.inclusive) {
            (Direction::Upper, false) => ">",
            (Direction::Upper, true) => ">=",
            (Direction::Lower, false) => "<",
            (Direction::Lower, true) => "<=",
        };
        let mut by: Vec<&str> = self.by.iter().map(String::as_str).collect();
        by.sort_unstable();
        format!("{op} by ({})", by.join(", "))
    }

    /// Where alerts begin by a threshold, on this rule's side.
    pub fn bound(&self, threshold: &Threshold, at: Timestamp, holiday: bool) -> Option<f64> {
        self.side(threshold, threshold.alert.on(at, holiday))
    }

    /// The bound of a threshold on this rule's side. One that no value can be beyond would turn the rule off for good: in its place
    /// stands the literal, or the outermost value that was seen where that is ordinary beyond the literal.
    fn side(&self, threshold: &Threshold, pair: Pair) -> Option<f64> {
        let bound = self.learned(pair)?;
        if self.can_fire(threshold, bound) {
            return Some(bound);
        }
        let outermost = self.outermost(threshold);
        Some(if self.can_fire(threshold, outermost) { self.wider(self.literal, outermost) } else { self.literal })
    }

    /// The value farthest out on this rule's side that a threshold was learned from.
    fn outermost(&self, threshold: &Threshold) -> f64 {
        let seen = &threshold.supporting.statistics;
        match self.direction {
            Direction::Upper => seen.max,
            Direction::Lower => seen.min,
        }
    }

    fn learned(&self, pair: Pair) -> Option<f64> {
        match self.direction {
            Direction::Upper => pair.1,
            Direction::Lower => pair.0,
        }
    }

    /// Whether a value can be beyond a bound. A series that was seen outside of what is possible shows that more is.
    fn can_fire(&self, threshold: &Threshold, bound: f64) -> bool {
        let (end, kept_to) = match self.direction {
            Direction::Upper => (self.possible.1, self.outermost(threshold) <= self.possible.1),
            Direction::Lower => (self.possible.0, self.outermost(threshold) >= self.possible.0),
        };
        threshold.strategy == IMPORTED || !kept_to || self.is_beyond(end, bound)
    }

    /// Whether what was learned lies where no value can be, and is not what is served.
    pub fn is_out_of_reach(&self, threshold: &Threshold, at: Timestamp, holiday: bool) -> bool {
        self.learned(threshold.alert.on(at, holiday)).is_some_and(|bound| !self.can_fire(threshold, bound))
    }

    /// Of two bounds the one that pages less.
    fn wider(&self, one: f64, other: f64) -> f64 {
        match self.direction {
            Direction::Upper => one.max(other),
            Direction::Lower => one.min(other),
        }
    }

    /// The other one of them.
    fn narrower(&self, one: f64, other: f64) -> f64 {
        if self.wider(one, other) == one { other } else { one }
    }

    fn is_beyond(&self, value: f64, bound: f64) -> bool {
        match (self.direction, self.inclusive) {
            (Direction::Upper, false) => value > bound,
            (Direction::Upper, true) => value >= bound,
            (Direction::Lower, false) => value < bound,
            (Direction::Lower, true) => value <= bound,
        }
    }

    /// The share of these keys that comes first, always in the same order: one at least, and not all of them. None where they
    /// cannot be parted, or are not to be.
    pub(crate) fn first(&self, keys: &BTreeSet<Vec<String>>, share: f64) -> BTreeSet<Vec<String>> {
        if keys.len() < 2 || share <= 0.0 || share >= 1.0 {
            return BTreeSet::new();
        }
        let place =
            |key: &&Vec<String>| xxhash_rust::xxh3::xxh3_64(format!("{}\0{}", self.name, key.join("\0")).as_bytes());
        let mut all: Vec<&Vec<String>> = keys.iter().collect();
        all.sort_by_cached_key(place);
        let count = ((keys.len() as f64 * share).round() as usize).clamp(1, keys.len() - 1);
        all.into_iter().take(count).cloned().collect()
    }
}

/// How far a new threshold of a rule got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It reads along; the one before is served.
    Shadow,
    /// It is served for a share of the series.
    Canary,
    /// It is served for all; the one before reads along.
    Active,
    /// It did no worse in that time, and stays, unless a person takes it back.
    Kept,
    /// It did worse in shadow, or a person did not want it: it was never served.
    Refused,
    /// It did worse, or a person did not want it: the one before is served again.
    RolledBack,
}

impl Step {
    pub const ALL: [Step; 6] = [Step::Shadow, Step::Canary, Step::Active, Step::Kept, Step::Refused, Step::RolledBack];

    pub const fn as_str(self) -> &'static str {
        match self {
            Step::Shadow => "shadow",
            Step::Canary => "canary",
            Step::Active => "active",
            Step::Kept => "kept",
            Step::Refused => "refused",
            Step::RolledBack => "rolled_back",
        }
    }

    /// Whether something is still tried out.
    pub const fn goes_on(self) -> bool {
        matches!(self, Step::Shadow | Step::Canary | Step::Active)
    }
}

/// A step that was made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Made {
    pub step: Step,
    pub at: Timestamp,
    pub because: String,
    /// What both had done up to then.
    pub evidence: Option<Evidence>,
}

/// What became of the thresholds of one rule.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// Counts what was tried out, from 1.
    pub id: u64,
    /// The latest steps, oldest first.
    pub steps: VecDeque<Made>,
    /// How the rule compared at the latest of them; none: written before it was kept.
    #[serde(default)]
    pub(crate) compares: Option<String>,
}

impl Rollout {
    /// The step that it is at, while something is tried out.
    pub fn now(&self) -> Option<&Made> {
        self.steps.back().filter(|made| made.step.goes_on())
    }

    /// The step that it is at, or that ended it, if that was made for another comparison than the rule's; and that comparison.
    fn of_other(&self, rule: &Rule) -> Option<(Step, &str)> {
        let compares = self.compares.as_deref().filter(|compares| *compares != rule.compares())?;
        Some((self.steps.back()?.step, compares))
    }

    pub(crate) fn make(&mut self, id: u64, made: Made, compares: Option<String>) {
        self.compares = compares;
        let again = self.id == id && self.steps.back().is_some_and(|last| last.step == made.step);
        self.id = id;
        if let Some(last) = self.steps.back_mut().filter(|_| again) {
            // Series joined: the time runs from the first of them.
            last.because = made.because;
            return;
        }
        if self.steps.len() == STEPS_KEPT {
            self.steps.pop_front();
        }
        self.steps.push_back(made);
    }

    /// Whether what was learned is kept from the rule: it is read along, or was taken back.
    pub fn holds_back(&self) -> bool {
        self.steps.back().is_some_and(|made| matches!(made.step, Step::Shadow | Step::Refused | Step::RolledBack))
    }

    /// Until when nothing is tried out, where what was tried out last was taken back for what it did: for `watch`, and twice as long
    /// each further time in a row.
    pub fn rests_until(&self, watch: Span) -> Option<Timestamp> {
        let taken_back = |made: &&Made| matches!(made.step, Step::Refused | Step::RolledBack);
        let last = self.steps.back().filter(taken_back).filter(|made| made.evidence.is_some())?;
        let ended = self.steps.iter().rev().filter(|made| !made.step.goes_on());
        let in_a_row = ended.take_while(|made| taken_back(made) && made.evidence.is_some()).count();
        let times = 1 << (in_a_row - 1).min(REST_DOUBLED_MOST);
        Some(last.at + Span::from_millis(watch.millis().saturating_mul(times)))
    }
}

/// The thresholds that each rule is served at `now`, by the values of its labels `by`. Of several series with the same ones the
/// widest counts: the rule stays silent about what any of them does ordinarily.
pub fn served(knowledge: &Knowledge, now: Timestamp) -> Vec<(&Rule, BTreeMap<Vec<String>, f64>)> {
    let rules = &knowledge.config().rules;
    let mut all: BTreeMap<&str, BTreeMap<Vec<String>, f64>> = BTreeMap::new();
    for series in knowledge.series() {
        for (rule, release) in series.releases() {
            // What the engine itself has withdrawn it does not serve either.
            let Some(threshold) = release.served.as_ref().filter(|_| series.in_force().is_some()) else { continue };
            let Some(bound) = rule.bound(threshold, now, series.occasions(now).holiday) else { continue };
            let of_rule = all.entry(&rule.name).or_default();
            of_rule
                .entry(rule.key(series.name()))
                .and_modify(|known| *known = rule.wider(*known, bound))
                .or_insert(bound);
        }
    }
    rules.iter().map(|rule| (rule.as_ref(), all.remove(rule.name.as_str()).unwrap_or_default())).collect()
}

/// By rule, of how many series what was learned lies where no value can be, so that something else is served.
pub fn out_of_reach(knowledge: &Knowledge, now: Timestamp) -> BTreeMap<&str, usize> {
    let mut out = BTreeMap::new();
    for series in knowledge.series().filter(|series| series.in_force().is_some()) {
        for (rule, release) in series.releases() {
            let holiday = series.occasions(now).holiday;
            if release.served.as_ref().is_some_and(|threshold| rule.is_out_of_reach(threshold, now, holiday)) {
                *out.entry(rule.name.as_str()).or_default() += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_again_and_again_is_tried_out_ever_more_rarely() {
        let (day, hour) = (Span::hours(24), |hour: u64| Timestamp::EPOCH + Span::hours(hour));
        let mut rollout = Rollout::default();
        let mut make = |id: u64, step: Step, at: u64, shown: bool| {
            let evidence = shown.then(Evidence::default);
            rollout.make(id, Made { step, at: hour(at), because: String::new(), evidence }, None);
            rollout.rests_until(day)
        };
        assert_eq!(make(1, Step::Shadow, 0, false), None);
        for (id, days) in
            [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 16), (7, 16), (8, 16), (9, 16), (10, 16), (11, 16)]
        {
            assert_eq!(make(id, Step::Refused, 10 * id, true), Some(hour(10 * id + 24 * days)), "the {id}. time");
            assert_eq!(make(id + 1, Step::Shadow, 10 * id + 1, false), None);
        }
        // What is kept ends the row, and what ended for no fault of its own rests not at all.
        assert_eq!(make(12, Step::Kept, 200, true), None);
        assert_eq!(make(13, Step::Shadow, 201, false), None);
        assert_eq!(make(13, Step::RolledBack, 202, true), Some(hour(202 + 24)));
        assert_eq!(make(14, Step::Shadow, 300, false), None);
        assert_eq!(make(14, Step::Refused, 301, false), None);
    }
}
