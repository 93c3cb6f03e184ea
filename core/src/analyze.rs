//! A: judge samples, learn thresholds, sum up health.

pub mod claim;
pub mod health;
pub mod learn;
pub mod shift;
pub mod strategy;

use crate::analyze::claim::{Claim, Grounds};
use crate::analyze::learn::{Request, learn};
use crate::analyze::strategy::{Asked, Voice};
use crate::config::StrategyName;
use crate::event::Look;
use crate::feedback::{Adjustment, LoopKind, Target};
use crate::knowledge::Knowledge;
use crate::knowledge::series::{Ordinary, Series};
use crate::plan::state::{Evidence, EvidenceKind, SystemState};
use crate::series::SeriesName;
use crate::side_by_side::side_by_side;
use crate::stats::{Scratch, Trend, normal};
use crate::threshold::Threshold;
use crate::time::{Span, Timestamp};
use crate::units::Sensitivity;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What fits one cycle: `execution_parallelism` tasks, each a sixty-fourth of all series and at least eight. So any number of
/// series is through in a few cycles, and parallelism is felt with any number.
pub fn tasks(knowledge: &Knowledge, parallelism: u32) -> usize {
    parallelism as usize * knowledge.series_count().div_ceil(64).max(8)
}

/// Of the samples under bounds at this sensitivity, so many may breach before the bounds count as wrong: five times what
/// bounds at two sigmas let through, and one and a half times what narrower ones promise.
pub(crate) fn breach_share_max(sensitivity: Sensitivity) -> f64 {
    let promised = 2.0 * normal::cdf(-sensitivity.get());
    (1.5 * promised).max(0.25)
}

/// A bound that moved by less than this share of the width is no news.
const DEADBAND: f64 = 0.05;

/// Bounds that depend on time are compared at so many times of their period.
const MOVED_STEPS: u32 = 24;

/// Nor is a confidence that moved by less than this. It grows as a series is seen for longer: what lags behind says too little.
const CONFIDENCE_DEADBAND: f64 = 0.02;

/// What the cycle found.
#[derive(Debug, Default)]
pub struct Analysis {
    pub evidence: Evidence,
    pub breach_share_usual: Option<f64>,
    /// Learned anew, with news.
    pub learned: Vec<(SeriesName, Threshold)>,
    /// Learned anew without news.
    pub confirmed: Vec<SeriesName>,
    /// Series whose bounds in force leave out more than they may, with the share of their window in breach, and whose new
    /// threshold is not trusted.
    pub refuted: Vec<(SeriesName, f64)>,
    /// Series that were due before this cycle learned any, and that still are.
    pub due: usize,
    pub waiting: usize,
    /// More than fits one cycle is due: the next one comes early.
    pub goes_on: bool,
    /// Up to which series it came then, where the next one is to begin.
    pub through: Option<SeriesName>,
    /// Of those that were learned, what a person's word is about, or makes like it: also those whose turn it is not.
    pub beside: Vec<SeriesName>,
    /// Forecasts that came or went: when the series will cross its alert level.
    pub forecasts: Vec<(SeriesName, Option<Timestamp>)>,
    /// What was seen of series whose level may have shifted.
    pub looks: Vec<Look>,
}

/// Reads memory; changes nothing.
///
/// What a person just said counts at once: where `wanted` moves a sensitivity by an explicit order, the series is learned
/// with it in this very cycle.
pub fn analyze(
    knowledge: &Knowledge,
    wanted: &[(LoopKind, Adjustment)],
    scratch: &mut Scratch,
    now: Timestamp,
) -> Analysis {
    let health = health::of(knowledge, now);
    let mut evidence = knowledge.evidence_at(now);
    evidence.set(EvidenceKind::BreachShare, health.breach_share_above_usual);
    let mut analysis = Analysis {
        evidence,
        breach_share_usual: health.breach_share_usual,
        forecasts: health.forecasts,
        looks: shift::looks(knowledge),
        ..Analysis::default()
    };

    let words = words(knowledge, wanted);
    let place = |series: &Series| words.get(series.name()).map(|word| word.place).unwrap_or(NO_WORD);
    let mut due: Vec<&Series> = knowledge
        .attended()
        .filter(|series| is_due(knowledge, series, words.contains_key(series.name()), now))
        .collect();
    // A person's word is followed at once, whose turn it may be.
    let in_turn: BTreeSet<&SeriesName> =
        due.iter().map(|series| series.name()).filter(|name| words.contains_key(name)).collect();
    let others = words.keys().filter(|name| !in_turn.contains(*name)).filter_map(|name| knowledge.find(name));
    due.extend(others.filter(|series| is_due(knowledge, series, true, now)));
    // Then those never learned, then the longest waiting; names last, so that the order does not depend on anything else.
    due.sort_by_cached_key(|series| (place(series), Reverse(series.learned_at().is_none()), series.learned_at()));
    analysis.due = due.len();
    let most = tasks(knowledge, knowledge.parameters().execution_parallelism).min(due.len());
    analysis.goes_on = in_one_go(&due[..most], SAMPLES_AT_ONCE) < most;
    if analysis.goes_on && !knowledge.attends_to_all() {
        analysis.through = cut_by_name(&mut due, most, place);
    } else {
        due.truncate(in_one_go(&due, SAMPLES_AT_ONCE).min(most));
    }
    analysis.waiting = analysis.due - due.len();
    analysis.beside = due.iter().map(|series| series.name()).filter(|name| words.contains_key(name)).cloned().collect();
    let learn = |series: &&Series, scratch: &mut Scratch| {
        let learned = learn_one(knowledge, series, words.get(series.name()).map(|word| word.sensitivity), scratch, now);
        let refuted = refuted(knowledge, series, learned.as_ref());
        (learned.filter(|threshold| is_news(series, threshold, |of| knowledge.preference(of))), refuted)
    };
    let threads = knowledge.threads().min(due.len() / SIDE_BY_SIDE_MIN);
    for (series, (learned, refuted)) in due.iter().zip(side_by_side(&due, threads, scratch, learn)) {
        analysis.refuted.extend(refuted);
        match learned {
            Some(threshold) => analysis.learned.push((series.name().clone(), threshold)),
            None => analysis.confirmed.push(series.name().clone()),
        }
    }
    analysis
}

/// Samples that are learned from in one cycle at most, which takes about a tenth of a second: the rest goes on with the next one, after
/// others had their turn. What is told of each series costs as much as so many samples.
const SAMPLES_AT_ONCE: usize = 8_000_000;
const SAMPLES_TOLD: usize = 2_000;

/// Series under which more than one thread gains nothing.
const SIDE_BY_SIDE_MIN: usize = 32;

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

/// What a person's word makes of a series.
struct Word {
    place: Place,
    sensitivity: Sensitivity,
}

fn words<'a>(knowledge: &Knowledge, wanted: &'a [(LoopKind, Adjustment)]) -> BTreeMap<&'a SeriesName, Word> {
    let heard = &knowledge.loop_memory(LoopKind::AnomalyFeedback).heard;
    let judged: BTreeSet<&SeriesName> = heard.iter().filter_map(|signal| signal.series.as_ref()).collect();
    let mut words = BTreeMap::new();
    for (at, (name, sensitivity)) in wanted.iter().filter_map(|(_, wanted)| ordered(wanted)).enumerate() {
        let place = (!judged.contains(name), at);
        words.entry(name).or_insert(Word { place, sensitivity }).sensitivity = sensitivity;
    }
    words
}

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

/// The sensitivity that a person's word gives a series.
fn ordered(adjustment: &Adjustment) -> Option<(&SeriesName, Sensitivity)> {
    match &adjustment.target {
        Target::Sensitivity(series) if adjustment.explicit => Some((series, Sensitivity::clamped(adjustment.to))),
        _ => None,
    }
}

/// A verdict's effect is always news; else only bounds that moved, or a first threshold.
fn is_news(series: &Series, threshold: &Threshold, preference: impl Fn(&str) -> f64) -> bool {
    let Some(before) = series.learned() else { return true };
    if series.wants_relearning() || before.sensitivity != threshold.sensitivity {
        return true;
    }
    if before.strategy != threshold.strategy && !costs_the_same(threshold, before, preference) {
        return true;
    }
    // One that has grown up says what is an alert.
    if before.young != threshold.young {
        return true;
    }
    let confidence_moved = (before.confidence.get() - threshold.confidence.get()).abs() > CONFIDENCE_DEADBAND;
    moved(before, threshold) > DEADBAND || confidence_moved
}

/// Losses nearer than this share to one another are the same.
const SAME_LOSS: f64 = 0.02;

/// Whether the strategy of before does as well as the one that is chosen now: two that do take turns, and where the bounds
/// stay, that is no news.
fn costs_the_same(threshold: &Threshold, before: &Threshold, preference: impl Fn(&str) -> f64) -> bool {
    let cost = |of: &StrategyName| {
        let rival = threshold.rivals.iter().find(|rival| rival.strategy == *of)?;
        Some(rival.loss? * preference(of))
    };
    let (now, then) = (cost(&threshold.strategy), cost(&before.strategy));
    now.zip(then).is_some_and(|(now, then)| then <= now * (1.0 + SAME_LOSS))
}

/// By which share of its width a bound moved, the one that moved more; of bounds that depend on time the mean over it.
fn moved(before: &Threshold, threshold: &Threshold) -> f64 {
    let one = |at: Timestamp| {
        let (was, is) = (before.bounds.at(at), threshold.bounds.at(at));
        let width = match was {
            (Some(lower), Some(upper)) => upper - lower,
            (bound, other) => bound.or(other).map_or(0.0, |bound| (bound - before.center).abs()),
        };
        let by = |was: Option<f64>, is: Option<f64>| match (was, is) {
            (Some(was), Some(is)) if was == is => 0.0,
            (Some(was), Some(is)) => (is - was).abs() / width,
            (None, None) => 0.0,
            _ => f64::INFINITY,
        };
        (by(was.0, is.0), by(was.1, is.1))
    };
    let at = threshold.learned_at;
    let period = threshold.bounds.period().or(before.bounds.period());
    let steps = if period.is_some() { MOVED_STEPS } else { 1 };
    let (mut lower, mut upper) = (0.0, 0.0);
    for step in 0..steps {
        let (low, high) = one(at + period.unwrap_or_default().scaled(step as f64 / steps as f64));
        lower += low / steps as f64;
        upper += high / steps as f64;
    }
    f64::max(lower, upper)
}

/// How long a series takes for `count` samples, from the spacing in its window; at most a day.
pub(crate) fn time_for_samples(series: &Series, count: f64) -> Span {
    let window = series.window();
    let gaps = window.len().saturating_sub(1).max(1) as f64;
    window.span().scaled(count / gaps).min(Span::hours(24))
}

/// Bounds that are not replaced by trusted ones and by which so many samples of the whole window breach that no incident
/// explains it.
fn refuted(knowledge: &Knowledge, series: &Series, learned: Option<&Threshold>) -> Option<(SeriesName, f64)> {
    let trusted = learned.is_some_and(|new| new.confidence >= knowledge.config().learning.confidence_min);
    let in_force = series.in_force().filter(|_| !trusted && !series.is_in_trouble())?;
    let samples = series.window().len();
    let share = series.breaches_in_last(samples) as f64 / samples.max(1) as f64;
    (share > breach_share_max(in_force.sensitivity)).then(|| (series.name().clone(), share))
}

/// Learns one series from what is ordinary in its window.
fn learn_one(
    knowledge: &Knowledge,
    series: &Series,
    ordered: Option<Sensitivity>,
    scratch: &mut Scratch,
    now: Timestamp,
) -> Option<Threshold> {
    with_request(knowledge, series, ordered, scratch, now, learn)
}

/// What the confidence of a series rests on now; none: too little to learn from, or nothing is claimed of its pages.
pub fn grounds(knowledge: &Knowledge, series: &Series, now: Timestamp) -> Option<Grounds> {
    with_request(knowledge, series, None, &mut Scratch::default(), now, learn::grounds)
}

/// Copies what is to be learned from, and hands it on.
fn with_request<T>(
    knowledge: &Knowledge,
    series: &Series,
    ordered: Option<Sensitivity>,
    scratch: &mut Scratch,
    now: Timestamp,
    of: impl FnOnce(&Request, &mut Scratch) -> Option<T>,
) -> Option<T> {
    let (mut at, mut values) = (std::mem::take(&mut scratch.window_at), std::mem::take(&mut scratch.window_values));
    let Ordinary { level_since, masked, set_aside } = ordinary(knowledge, series, &mut at, &mut values);
    // All that is ordinary lies in maintenance or a deploy: what was learned before stays.
    if at.len() < knowledge.config().learning.min_data_points.min(series.window().len()) {
        (scratch.window_at, scratch.window_values) = (at, values);
        return None;
    }
    let sensitivity = ordered.unwrap_or(series.sensitivity());
    // After a verdict the strategy stays, so that the bounds move with the sensitivity alone.
    let keep = series.learned().filter(|before| before.sensitivity != sensitivity).map(|before| &before.strategy);
    let merits = series.merits();
    let request = Request {
        kind: series.kind(),
        at: &at,
        values: &values,
        level_since,
        masked,
        set_aside,
        reckoning: series.reckoning(),
        methods: knowledge.methods(),
        wanted: series.strategy(),
        keep,
        sensitivity,
        default_sensitivity: series.sensitivity_prior(),
        trust: series.trust(now),
        claim: claim(knowledge, series, now),
        merits: &merits,
        preference: &|strategy| knowledge.preference(strategy),
        lookahead: knowledge.parameters().planning_lookahead,
        // What is usually planned ahead, whatever the state makes of it now.
        young_under: knowledge.config().states.healthy.planning_lookahead,
        now,
    };
    let found = if values.is_empty() { None } else { of(&request, scratch) };
    (scratch.window_at, scratch.window_values) = (at, values);
    found
}

/// What is claimed of a series' pages; none: nothing alerts by itself there, or there is no budget to keep.
pub fn claim(knowledge: &Knowledge, series: &Series, now: Timestamp) -> Option<Claim> {
    let asked = series.budget_per_week()?;
    let outlook = knowledge.methods().detector(series.strategy())?.outlook(series.detector.as_ref()?)?;
    let oldest = series.window().oldest().map(|(oldest, _)| oldest);
    let since = series.level().or(series.alerts().began().into_iter().chain(oldest).min());
    let seen = since.map_or(Span::ZERO, |since| now.since(since));
    Some(Claim { asked, outlook, seen, alerts_per_week: series.alerts().per_week(now).unwrap_or(0.0) })
}

/// How loudly each feature of a series' detector speaks now; nothing where no detector alerts by itself, or it is too early.
pub fn voices(knowledge: &Knowledge, series: &Series) -> Vec<Voice> {
    let newest = series.window().newest();
    let (Some(detector), Some((at, value))) = (knowledge.methods().detector(series.strategy()), newest) else {
        return Vec::new();
    };
    let asked = Asked { moment: series.reckoning().moment(at), ..series.asked() };
    series.detector.as_ref().map_or_else(Vec::new, |state| detector.voices(state, at, value, &asked))
}

/// Copies what is to be learned from, and says what was left out of it.
///
/// After a shift to a steady level what came before says nothing of what is ordinary now. A series that is still on its way
/// has no new level yet: it wanders, and all of its window is what it does.
fn ordinary(knowledge: &Knowledge, series: &Series, at: &mut Vec<i64>, values: &mut Vec<f64>) -> Ordinary {
    let least = knowledge.config().learning.min_data_points;
    let Some(shifted) = health::shifted(knowledge, series) else {
        return series.ordinary(least, at, values);
    };
    series.window().copy_into(at, values);
    let start = at.len() - shifted;
    let period = series.in_force().and_then(|threshold| threshold.bounds.period());
    if learn::recent_trend(&at[start..], &values[start..], period).trend != Trend::Stable {
        return Ordinary { level_since: None, masked: 0, set_aside: series.leave_out(least, at, values) };
    }
    at.drain(..start);
    values.drain(..start);
    let level_since = Some(Timestamp::from_millis(at[0]));
    Ordinary { level_since, masked: 0, set_aside: series.leave_out(least, at, values) }
}
