//! A: judge samples, learn thresholds, sum up health.

pub mod claim;
mod due;
pub mod health;
pub mod learn;
pub mod shift;
pub mod strategy;

use crate::analyze::claim::{Claim, Grounds};
pub(crate) use crate::analyze::due::tasks;
use crate::analyze::learn::{Request, learn};
use crate::analyze::strategy::{Asked, Voice};
use crate::config::StrategyName;
use crate::event::Look;
use crate::feedback::{Adjustment, LoopKind};
use crate::knowledge::Knowledge;
use crate::knowledge::series::{Ordinary, Series};
use crate::plan::state::{Evidence, EvidenceKind};
use crate::series::SeriesName;
use crate::side_by_side::side_by_side;
use crate::stats::{Scratch, Trend, normal};
use crate::threshold::Threshold;
use crate::time::{Span, Timestamp};
use crate::units::Sensitivity;

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
    /// Series that were learned although it is not their turn, since a person's word is about them or moves them.
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

    let due = due::due(knowledge, wanted, now);
    (analysis.due, analysis.waiting) = (due.all, due.all - due.series.len());
    (analysis.goes_on, analysis.through, analysis.beside) = (due.goes_on, due.through, due.beside);
    let learn = |series: &&Series, scratch: &mut Scratch| {
        let learned = learn_one(knowledge, series, due.words.sensitivity(series), scratch, now);
        let refuted = refuted(knowledge, series, learned.as_ref());
        (learned.filter(|threshold| is_news(series, threshold, |of| knowledge.preference(of))), refuted)
    };
    let threads = knowledge.threads().min(due.series.len() / SIDE_BY_SIDE_MIN);
    for (series, (learned, refuted)) in due.series.iter().zip(side_by_side(&due.series, threads, scratch, learn)) {
        analysis.refuted.extend(refuted);
        match learned {
            Some(threshold) => analysis.learned.push((series.name().clone(), threshold)),
            None => analysis.confirmed.push(series.name().clone()),
        }
    }
    analysis
}

/// Series under which more than one thread gains nothing.
const SIDE_BY_SIDE_MIN: usize = 32;

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
