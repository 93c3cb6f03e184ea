//! Who is learned in this cycle: those that are due, as many as fit it.

use super::health;
use crate::feedback::{Adjustment, LoopKind, Target};
use crate::knowledge::Knowledge;
use crate::knowledge::series::Series;
use crate::plan::state::SystemState;
use crate::series::SeriesName;
use crate::time::Timestamp;
use crate::units::Sensitivity;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What fits one cycle: `execution_parallelism` tasks, each a sixty-fourth of all series and at least eight. So any number of
/// series is through in a few cycles, and parallelism is felt with any number.
pub fn tasks(knowledge: &Knowledge, parallelism: u32) -> usize {
    parallelism as usize * knowledge.series_count().div_ceil(64).max(8)
}

/// Samples that are learned from in one cycle at most, which takes about a tenth of a second: the rest goes on with the next one, after
/// others had their turn. What is told of each series costs as much as so many samples.
const SAMPLES_AT_ONCE: usize = 8_000_000;
const SAMPLES_TOLD: usize = 2_000;

/// What is due in a cycle, and what it comes to.
pub(super) struct Due<'a> {
    /// Those that this cycle learns.
    pub series: Vec<&'a Series>,
    /// Of how many that are due.
    pub all: usize,
    /// As many as fit were fewer than there are.
    pub goes_on: bool,
    /// The last by name that it came to then, where each has its turn.
    pub through: Option<SeriesName>,
    /// Those among the series whose turn it is not.
    pub beside: Vec<SeriesName>,
    pub words: Words<'a>,
}

/// Reads memory; changes nothing.
pub(super) fn due<'a>(knowledge: &'a Knowledge, wanted: &'a [(LoopKind, Adjustment)], now: Timestamp) -> Due<'a> {
    let words = Words::of(knowledge, wanted);
    let place = |series: &Series| words.place(series);
    let in_turn = knowledge.attended().filter(|series| is_due(knowledge, series, words.are_about(series), now));
    let mut series: Vec<&Series> = in_turn.collect();
    // A person's word is followed at once, whose turn it may be.
    let here: BTreeSet<&SeriesName> =
        series.iter().filter(|series| words.are_about(series)).map(|series| series.name()).collect();
    let others = words.0.keys().filter(|name| !here.contains(*name)).filter_map(|name| knowledge.find(name));
    series.extend(others.filter(|series| is_due(knowledge, series, true, now)));
    // Then those never learned, then the longest waiting; names last, so that the order does not depend on anything else.
    series.sort_by_cached_key(|series| (place(series), Reverse(series.learned_at().is_none()), series.learned_at()));
    let all = series.len();
    let most = tasks(knowledge, knowledge.parameters().execution_parallelism).min(all);
    let goes_on = in_one_go(&series[..most], SAMPLES_AT_ONCE) < most;
    let through = match goes_on && !knowledge.attends_to_all() {
        true => cut_by_name(&mut series, most, place),
        false => {
            series.truncate(in_one_go(&series, SAMPLES_AT_ONCE).min(most));
            None
        }
    };
    let is_beside = |series: &&&Series| words.are_about(series) && !here.contains(series.name());
    let beside = series.iter().filter(is_beside).map(|series| series.name().clone()).collect();
    Due { series, all, goes_on, through, beside, words }
}

/// How many of these come to no more than `samples`: one at least.
fn in_one_go(due: &[&Series], samples: usize) -> usize {
    let mut sum = 0;
    let over = due.iter().position(|series| {
        sum += series.window().len() + SAMPLES_TOLD;
        sum > samples
    });
    over.map_or(due.len(), |over| over.max(1))
}

/// Leaves what fits one cycle, at most so many: what words are about, which takes half of it where there is something else, and the
/// first of the others by name. Up to the last of them the cycle comes, and the next one begins there: nobody waits for a round.
fn cut_by_name(due: &mut Vec<&Series>, most: usize, place: impl Fn(&Series) -> Place) -> Option<SeriesName> {
    due.sort_by_cached_key(|series| (place(series), series.name().clone()));
    let others = due.split_off(due.partition_point(|series| place(series) < NO_WORD));
    let share = if others.is_empty() { SAMPLES_AT_ONCE } else { SAMPLES_AT_ONCE / 2 };
    due.truncate(in_one_go(due, share).min(most));
    let taken: usize = due.iter().map(|series| series.window().len() + SAMPLES_TOLD).sum();
    let fitting = in_one_go(&others, SAMPLES_AT_ONCE.saturating_sub(taken)).min((most - due.len()).max(1));
    due.extend(&others[..fitting.min(others.len())]);
    due.last().filter(|_| !others.is_empty()).map(|series| series.name().clone())
}

/// Whom a word is about comes before those that are like it, in the order of what was said; then all of which nothing was said.
type Place = (bool, usize);

const NO_WORD: Place = (true, usize::MAX);

/// Whether a series is to be learned now: for the first time, after a verdict or a failed expectation, after a shift, or
/// because the interval passed and at least a thirtieth of its window is new. While the state is optimizing, half of the
/// interval is enough: series that were learned at different times are then learned together, or each of them would turn the
/// loop to learning at its own time, many times in an interval.
fn is_due(knowledge: &Knowledge, series: &Series, ordered: bool, now: Timestamp) -> bool {
    let learning = &knowledge.config().learning;
    if !series.watched() || series.learnable() < learning.min_data_points {
        return false;
    }
    // A first threshold waits until there is something ordinary to learn from.
    let Some(learned_at) = series.learned_at() else {
        return series.window().len() - series.set_aside(learning.min_data_points) >= learning.min_data_points;
    };
    let new = series.admitted() - series.learned_admitted();
    let early = if knowledge.state().state == SystemState::Optimizing { 0.5 } else { 1.0 };
    let interval_passed = now.since(learned_at) >= learning.optimization_interval.scaled(early)
        && new >= (series.window().len() as u64 / 30).max(1);
    // A young threshold grows up by each doubling of what it was learned from.
    let doubled = series.learned().is_some_and(|threshold| threshold.young) && new >= series.learned_admitted();
    ordered
        || series.wants_relearning()
        || interval_passed
        || doubled
        || (new >= knowledge.parameters().analysis_depth.into() && health::shifted(knowledge, series).is_some())
}

/// What a person's words make of series: their places and sensitivities.
pub(super) struct Words<'a>(BTreeMap<&'a SeriesName, (Place, Sensitivity)>);

impl<'a> Words<'a> {
    fn of(knowledge: &Knowledge, wanted: &'a [(LoopKind, Adjustment)]) -> Words<'a> {
        let heard = &knowledge.loop_memory(LoopKind::AnomalyFeedback).heard;
        let judged: BTreeSet<&SeriesName> = heard.iter().filter_map(|signal| signal.series.as_ref()).collect();
        let mut words = BTreeMap::new();
        for (at, (name, sensitivity)) in wanted.iter().filter_map(|(_, wanted)| ordered(wanted)).enumerate() {
            let place = (!judged.contains(name), at);
            words.entry(name).or_insert((place, sensitivity)).1 = sensitivity;
        }
        Words(words)
    }

    fn are_about(&self, series: &Series) -> bool {
        self.0.contains_key(series.name())
    }

    fn place(&self, series: &Series) -> Place {
        self.0.get(series.name()).map_or(NO_WORD, |(place, _)| *place)
    }

    pub fn sensitivity(&self, series: &Series) -> Option<Sensitivity> {
        self.0.get(series.name()).map(|(_, sensitivity)| *sensitivity)
    }
}

/// The sensitivity that a person's word gives a series.
fn ordered(adjustment: &Adjustment) -> Option<(&SeriesName, Sensitivity)> {
    match &adjustment.target {
        Target::Sensitivity(series) if adjustment.explicit => Some((series, Sensitivity::clamped(adjustment.to))),
        _ => None,
    }
}
