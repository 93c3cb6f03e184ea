//! The shapes the API answers with, and how they are copied out of the engine's memory.
//!
//! Copying is all that happens on the driver's thread; making text of the copies is the caller's work. The types are the
//! reference: `openapi.json` is made from them.

use crate::driver::View;
use crate::http::query::{List, Page, Rows, Token, take};
use crate::view::{ThresholdRow, threshold_row};
use homeostat::config::{Limit, Parameters, StrategyName};
use homeostat::execute::Measure;
use homeostat::feedback::{Action, LoopKind, Signal};
use homeostat::knowledge::histogram::BUCKETS_MAX;
use homeostat::knowledge::series::Series;
use homeostat::knowledge::{Knowledge, Optimization};
use homeostat::monitor::Fates;
use homeostat::plan::state::{Evidence, Transition};
use homeostat::series::SeriesName;
use homeostat::stats::Trend;
use homeostat::threshold::{Pair, Threshold};
use homeostat::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A sample: when, and the value as it was judged (for a counter its rate per second).
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct At {
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub value: f64,
}

impl From<(Timestamp, f64)> for At {
    fn from((at, value): (Timestamp, f64)) -> At {
        At { at, value }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct SeriesRow {
    #[schemars(with = "String")]
    series: SeriesName,
    /// gauge, counter, histogram, state, info or constant.
    kind: &'static str,
    /// How many its window holds, and the time from the oldest to the newest.
    samples: usize,
    span_s: f64,
    /// The strategy that is asked for; the one that was chosen stands in its threshold.
    #[schemars(with = "String")]
    strategy: StrategyName,
    /// Whether it is learned and judged.
    watched: bool,
    last: Option<At>,
    /// Samples of its window outside the bounds in force, judged anew.
    breaches: usize,
    /// Since when an alert holds, when one does.
    #[schemars(with = "Option<String>")]
    alert_since: Option<Timestamp>,
    /// When its trend will have carried it beyond its alert level, if it goes on.
    #[schemars(with = "Option<String>")]
    forecast: Option<Timestamp>,
}

impl SeriesRow {
    fn of(series: &Series) -> SeriesRow {
        let window = series.window();
        SeriesRow {
            series: series.name().clone(),
            kind: series.kind().as_str(),
            samples: window.len(),
            span_s: window.span().secs(),
            strategy: series.strategy().clone(),
            watched: series.watched(),
            last: window.newest().map(At::from),
            breaches: series.breaches_in_last(window.len()),
            alert_since: series.alert_since(),
            forecast: series.forecast(),
        }
    }
}

/// Bounds in the series' own unit; null where there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BoundsRow {
    lower: Option<f64>,
    upper: Option<f64>,
    alert_lower: Option<f64>,
    alert_upper: Option<f64>,
}

impl BoundsRow {
    fn of(threshold: &Threshold, now: Timestamp) -> BoundsRow {
        let ((lower, upper), (alert_lower, alert_upper)): (Pair, Pair) =
            (threshold.bounds.at(now), threshold.alert.at(now));
        BoundsRow { lower, upper, alert_lower, alert_upper }
    }
}

/// The last samples of one series, as a chart needs them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Samples {
    #[schemars(with = "String")]
    series: SeriesName,
    /// Milliseconds since the Unix epoch and value, oldest first.
    samples: Vec<(i64, f64)>,
    /// It is learned as soon as it has so many.
    min_data_points: usize,
    /// Those in force.
    bounds: Option<BoundsRow>,
    /// Which of the samples are outside of the bounds in force.
    breaches: Vec<i64>,
}

impl Samples {
    pub fn of(view: &View<'_>, series: &Series, limit: usize) -> Samples {
        let last = || series.window().last(limit);
        Samples {
            series: series.name().clone(),
            samples: last().map(|(at, value)| (at.millis(), value)).collect(),
            breaches: last().filter(|(at, value)| series.breaches(*at, *value)).map(|(at, _)| at.millis()).collect(),
            min_data_points: view.settings.engine.learning.min_data_points,
            bounds: series.in_force().map(|threshold| BoundsRow::of(threshold, view.now)),
        }
    }
}

/// When a limit is entered and left, as ratios.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitRow {
    enter: f64,
    leave: f64,
}

impl From<Limit> for LimitRow {
    fn from(limit: Limit) -> LimitRow {
        LimitRow { enter: limit.enter, leave: limit.leave }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct EvidenceRow {
    name: &'static str,
    /// A ratio.
    value: f64,
    degraded: LimitRow,
    /// Null: this evidence alone is never critical.
    critical: Option<LimitRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct StateRow {
    /// healthy, optimizing, degraded, critical or recovering.
    state: &'static str,
    #[schemars(with = "String")]
    since: Timestamp,
    /// What the last cycle decided from; what was not known is not here.
    evidence: Vec<EvidenceRow>,
    /// Until when an operator holds the state, when one does.
    #[schemars(with = "Option<String>")]
    forced_until: Option<Timestamp>,
    /// Whether all changes are stopped.
    frozen: bool,
}

impl StateRow {
    pub fn of(view: &View<'_>) -> StateRow {
        let knowledge = view.engine.knowledge();
        let state = knowledge.state();
        let pairs = knowledge.config().states.limits.pairs();
        let evidence = knowledge.evidence().iter().map(|(kind, value)| (kind, value, pairs[kind as usize].1));
        let evidence = evidence.map(|(kind, value, pair)| EvidenceRow {
            name: kind.as_str(),
            value,
            degraded: pair.degraded.into(),
            critical: pair.critical.map(LimitRow::from),
        });
        StateRow {
            state: state.state.as_str(),
            since: state.since,
            evidence: evidence.collect(),
            forced_until: state.forced_until.filter(|until| *until > view.now),
            frozen: knowledge.frozen(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ParametersRow {
    monitoring_interval_s: f64,
    analysis_depth: u32,
    planning_lookahead_s: f64,
    execution_parallelism: u32,
    learning_rate: f64,
}

impl From<&Parameters> for ParametersRow {
    fn from(parameters: &Parameters) -> ParametersRow {
        ParametersRow {
            monitoring_interval_s: parameters.monitoring_interval.secs(),
            analysis_depth: parameters.analysis_depth,
            planning_lookahead_s: parameters.planning_lookahead.secs(),
            execution_parallelism: parameters.execution_parallelism,
            learning_rate: parameters.learning_rate.get(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct LoopRow {
    #[serde(rename = "loop")]
    of: &'static str,
    signals: u64,
    actions: u64,
    /// Share of adjustments after which the aim improved more than where one was withheld; null under 20 pairs.
    effectiveness: Option<f64>,
    /// unknown, helps, no_effect or harms.
    reading: &'static str,
    withheld: u64,
    paused: bool,
}

pub fn loops(knowledge: &Knowledge) -> Vec<LoopRow> {
    let row = |kind: LoopKind| {
        let memory = knowledge.loop_memory(kind);
        LoopRow {
            of: kind.as_str(),
            signals: memory.signals,
            actions: memory.actions,
            effectiveness: memory.effect.effectiveness(),
            reading: memory.effect.reading().as_str(),
            withheld: memory.withheld,
            paused: memory.paused,
        }
    };
    LoopKind::ALL.map(row).into()
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct SignalRow {
    /// Counted from 1.
    id: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    #[serde(rename = "loop")]
    of: &'static str,
    #[schemars(with = "String")]
    source: StrategyName,
    value: f64,
    #[schemars(with = "Option<String>")]
    series: Option<SeriesName>,
    /// true, false or missed, as text.
    verdict: Option<&'static str>,
    metadata: BTreeMap<String, String>,
}

impl From<&Signal> for SignalRow {
    fn from(signal: &Signal) -> SignalRow {
        SignalRow {
            id: signal.id,
            at: signal.at,
            of: signal.of.as_str(),
            source: signal.source.clone(),
            value: signal.value,
            series: signal.series.clone(),
            verdict: signal.verdict.map(|verdict| verdict.as_str()),
            metadata: signal.metadata.clone(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ActionRow {
    /// The change's number.
    id: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    #[serde(rename = "loop")]
    of: &'static str,
    #[schemars(with = "Option<String>")]
    series: Option<SeriesName>,
    parameter: String,
    old: f64,
    new: f64,
    reason: String,
    /// Id of the signal that caused it.
    cause: u64,
    /// met, failed, inconclusive or superseded; null until it settled.
    outcome: Option<&'static str>,
}

impl From<&Action> for ActionRow {
    fn from(action: &Action) -> ActionRow {
        let adjustment = &action.adjustment;
        ActionRow {
            id: action.id,
            at: action.at,
            of: action.of.as_str(),
            series: adjustment.target.series().cloned(),
            parameter: adjustment.target.name(),
            old: adjustment.from,
            new: adjustment.to,
            reason: adjustment.reason.clone(),
            cause: adjustment.cause,
            outcome: action.outcome.map(|outcome| outcome.as_str()),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TransitionRow {
    #[schemars(with = "String")]
    at: Timestamp,
    from: &'static str,
    to: &'static str,
    /// Which limit, which value.
    cause: String,
    /// What was known, by name; ratios.
    evidence: BTreeMap<&'static str, f64>,
    #[schemars(with = "Option<String>")]
    forced_until: Option<Timestamp>,
}

impl From<&Transition> for TransitionRow {
    fn from(transition: &Transition) -> TransitionRow {
        TransitionRow {
            at: transition.at,
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            cause: transition.cause.clone(),
            evidence: by_name(&transition.evidence),
            forced_until: transition.forced_until,
        }
    }
}

fn by_name(evidence: &Evidence) -> BTreeMap<&'static str, f64> {
    evidence.iter().map(|(kind, value)| (kind.as_str(), value)).collect()
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct OptimizationRow {
    #[schemars(with = "String")]
    at: Timestamp,
    #[schemars(with = "String")]
    series: SeriesName,
    #[schemars(with = "String")]
    strategy: StrategyName,
    confidence: f64,
    lower: Option<f64>,
    upper: Option<f64>,
}

impl From<&Optimization> for OptimizationRow {
    fn from(optimization: &Optimization) -> OptimizationRow {
        OptimizationRow {
            at: optimization.at,
            series: optimization.series.clone(),
            strategy: optimization.strategy.clone(),
            confidence: optimization.confidence.get(),
            lower: optimization.lower,
            upper: optimization.upper,
        }
    }
}

// --- lists ------------------------------------------------------------------------------------------------------------

fn by_series<T>(knowledge: &Knowledge, page: &Page, row: impl Fn(&Series) -> Option<T>) -> Rows<T> {
    let after = page.after_series();
    let wanted = knowledge
        .series()
        .filter(|series| after.is_none_or(|after| series.name().as_str() > after))
        .filter(|series| page.wants(Some(series.name())));
    let token = |series: &Series| Token::Series(series.name().as_str().to_owned());
    take(page.limit, wanted.filter_map(|series| Some((row(series)?, token(series)))))
}

pub fn series(view: &View<'_>, page: &Page) -> Rows<SeriesRow> {
    by_series(view.engine.knowledge(), page, |series| Some(SeriesRow::of(series)))
}

pub fn thresholds(view: &View<'_>, page: &Page) -> Rows<ThresholdRow> {
    by_series(view.engine.knowledge(), page, |series| threshold_row(series, view.now))
}

/// What of signals and actions is wanted, beside the page.
#[derive(Debug)]
pub struct About {
    pub of: Option<LoopKind>,
    pub series: Option<SeriesName>,
}

impl About {
    fn is(&self, of: LoopKind, series: Option<&SeriesName>) -> bool {
        self.of.is_none_or(|wanted| wanted == of) && self.series.as_ref().is_none_or(|wanted| series == Some(wanted))
    }
}

pub fn signals(knowledge: &Knowledge, page: &Page, about: &About) -> Rows<SignalRow> {
    let below = page.before().unwrap_or(u64::MAX);
    let wanted = knowledge
        .signals()
        .iter()
        .rev()
        .filter(|signal| signal.id < below && about.is(signal.of, signal.series.as_ref()))
        .filter(|signal| page.wants(signal.series.as_ref()));
    take(page.limit, wanted.map(|signal| (signal.into(), Token::Number(List::Signals, signal.id))))
}

pub fn actions(knowledge: &Knowledge, page: &Page, about: &About) -> Rows<ActionRow> {
    let below = page.before().unwrap_or(u64::MAX);
    let wanted = knowledge
        .actions()
        .iter()
        .rev()
        .filter(|action| action.id < below && about.is(action.of, action.adjustment.target.series()))
        .filter(|action| page.wants(action.adjustment.target.series()));
    take(page.limit, wanted.map(|action| (action.into(), Token::Number(List::Actions, action.id))))
}

pub fn transitions(knowledge: &Knowledge, page: &Page) -> Rows<TransitionRow> {
    let history = knowledge.transitions();
    numbered(history.iter(), history.total(), page, List::Transitions, |_| page.wants(None))
}

pub fn optimizations(knowledge: &Knowledge, page: &Page) -> Rows<OptimizationRow> {
    let history = knowledge.optimizations();
    numbered(history.iter(), history.total(), page, List::Optimizations, |one| page.wants(Some(&one.series)))
}

/// Newest first, of a history whose entries have no number but the count of all that ever came.
fn numbered<'a, T: 'a, R: From<&'a T>>(
    history: impl DoubleEndedIterator<Item = &'a T>,
    total: u64,
    page: &Page,
    list: List,
    wants: impl Fn(&T) -> bool,
) -> Rows<R> {
    let below = page.before().unwrap_or(u64::MAX);
    let numbers = (0..total).rev();
    let wanted = history.rev().zip(numbers).filter(|(one, number)| *number < below && wants(one));
    take(page.limit, wanted.map(|(one, number)| (one.into(), Token::Number(list, number))))
}

// --- statistics -------------------------------------------------------------------------------------------------------

#[derive(Debug, Serialize, JsonSchema)]
pub struct AnomalyRate {
    #[schemars(with = "String")]
    series: SeriesName,
    judged: u64,
    breached: u64,
    /// Breached over judged.
    rate: f64,
}

/// How many entries each history holds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryCounts {
    signals: usize,
    actions: usize,
    transitions: usize,
    optimizations: usize,
    /// Events ever stored.
    events: u64,
}

/// How learning stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Statistics {
    series: usize,
    watched_series: usize,
    /// Those that have learning.min_data_points samples.
    series_with_enough_data: usize,
    /// Held in all windows.
    samples: u64,
    /// Learned thresholds, and those of them that judge.
    recommendations: usize,
    active_recommendations: usize,
    /// Breached over judged, of all series; null while nothing was judged.
    anomaly_rate: Option<f64>,
    /// By series that was ever judged, the highest first; at most `limit`.
    anomaly_rates: Vec<AnomalyRate>,
    history: HistoryCounts,
    cycles: u64,
    /// Share of settled expectations that came true; null under 10.
    decision_quality_ratio: Option<f64>,
    series_forgotten: u64,
    /// New series that found no room.
    series_refused: u64,
    /// Changes that a limit held back.
    changes_refused: u64,
    /// What became of all samples that ever came.
    fates: BTreeMap<&'static str, u64>,
}

impl Statistics {
    /// `anomaly_rates` holds every series and is in no order yet: see [`ranked`](Statistics::ranked).
    pub fn of(view: &View<'_>) -> Statistics {
        let knowledge = view.engine.knowledge();
        let enough = view.settings.engine.learning.min_data_points;
        let (series_forgotten, series_refused, changes_refused) = knowledge.losses();
        let mut statistics = Statistics {
            series: knowledge.series_count(),
            watched_series: 0,
            series_with_enough_data: 0,
            samples: 0,
            recommendations: 0,
            active_recommendations: 0,
            anomaly_rate: None,
            anomaly_rates: Vec::new(),
            history: HistoryCounts {
                signals: knowledge.signals().len(),
                actions: knowledge.actions().len(),
                transitions: knowledge.transitions().len(),
                optimizations: knowledge.optimizations().len(),
                events: view.store.last_seq(),
            },
            cycles: knowledge.cycles(),
            decision_quality_ratio: knowledge.decision_quality(),
            series_forgotten,
            series_refused,
            changes_refused,
            fates: fates(knowledge.fates()),
        };
        for series in knowledge.series() {
            let (held, tally) = (series.window().len(), series.tally());
            statistics.watched_series += usize::from(series.watched());
            statistics.series_with_enough_data += usize::from(held >= enough);
            statistics.samples += held as u64;
            statistics.recommendations += usize::from(series.learned().is_some());
            statistics.active_recommendations += usize::from(series.active());
            if tally.judged > 0 {
                statistics.anomaly_rates.push(AnomalyRate {
                    series: series.name().clone(),
                    judged: tally.judged,
                    breached: tally.breached,
                    rate: tally.breached as f64 / tally.judged as f64,
                });
            }
        }
        statistics
    }

    /// Brings the rates in order, keeps `limit` of them, and sums up all.
    pub fn ranked(mut self, limit: usize) -> Statistics {
        let sum = |of: fn(&AnomalyRate) -> u64| self.anomaly_rates.iter().map(of).sum::<u64>() as f64;
        let (judged, breached) = (sum(|rate| rate.judged), sum(|rate| rate.breached));
        self.anomaly_rate = (judged > 0.0).then(|| breached / judged);
        self.anomaly_rates.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.series.cmp(&b.series)));
        self.anomaly_rates.truncate(limit);
        self
    }
}

fn fates(fates: &Fates) -> BTreeMap<&'static str, u64> {
    fates.iter().map(|(fate, count)| (fate.as_str(), count)).collect()
}

// --- explain ----------------------------------------------------------------------------------------------------------

#[derive(Debug, Serialize, JsonSchema)]
pub struct WindowRow {
    samples: usize,
    #[schemars(with = "Option<String>")]
    oldest: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    newest: Option<Timestamp>,
    span_s: f64,
    /// Samples the threshold was learned from; null while nothing was learned.
    used: Option<usize>,
    /// Samples of the window that belong to alerts: left out when it is learned, as long as they are few.
    masked: usize,
    /// The level shifted then; what came before is not learned from. Null: it did not within the window.
    #[schemars(with = "Option<String>")]
    level_since: Option<Timestamp>,
}

/// How another strategy would have done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RivalRow {
    #[schemars(with = "String")]
    strategy: StrategyName,
    lower: Option<f64>,
    upper: Option<f64>,
    /// Mean pinball loss, in the series' unit, on samples it had not seen when it was learned; null: not measured.
    loss: Option<f64>,
    /// The same as it stands now, and over how many samples.
    loss_since: Option<f64>,
    samples_since: u64,
    /// Weight on its loss; above 1 it is avoided.
    preference: f64,
    chosen: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TallyRow {
    judged: u64,
    breached: u64,
    alerts: u64,
    /// Breached over judged; null while nothing was judged.
    breach_share: Option<f64>,
    /// What the sensitivity asks for, were the samples a bell.
    expected_share: f64,
}

/// What a change that is out claims.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PendingRow {
    change: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    because: String,
    /// breach_share or a kind of evidence.
    measure: &'static str,
    at_least: f64,
    at_most: f64,
    #[schemars(with = "String")]
    due: Timestamp,
}

/// The histogram that a series is a bucket of, or made of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistogramRow {
    /// `NAME_bucket` with the labels of its buckets, but `le`.
    #[schemars(with = "String")]
    buckets: SeriesName,
    /// Upper limits of its buckets, as text, ascending; the first hundred of them.
    limits: Vec<String>,
    buckets_held: usize,
    /// Series that are made of the buckets and held now.
    #[schemars(with = "Vec<String>")]
    makes: Vec<SeriesName>,
    /// Whether this series is one of those.
    derived: bool,
}

/// Limits of a histogram that are shown.
const LIMITS_SHOWN: usize = 100;

impl HistogramRow {
    fn of(knowledge: &Knowledge, series: &Series) -> Option<HistogramRow> {
        let histogram = knowledge.histogram(series)?;
        let made = |name: &&SeriesName| {
            knowledge.find(name).is_some_and(|series| series.derived_from() == Some(histogram.name()))
        };
        let text = |limit: f64| if limit == f64::INFINITY { "+Inf".to_owned() } else { limit.to_string() };
        Some(HistogramRow {
            buckets: histogram.name().clone(),
            limits: histogram.limits().take(LIMITS_SHOWN).map(text).collect(),
            buckets_held: histogram.limits().len(),
            makes: histogram.makes().filter(made).cloned().collect(),
            derived: series.derived_from().is_some(),
        })
    }
}

/// Everything that is known of one series, and why its threshold is as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explained {
    #[schemars(with = "String")]
    series: SeriesName,
    kind: &'static str,
    watched: bool,
    /// Of a bucket, or a series made of buckets: which histogram.
    histogram: Option<HistogramRow>,
    /// The strategy that is asked for, and the one that gave the bounds.
    #[schemars(with = "String")]
    strategy: StrategyName,
    #[schemars(with = "Option<String>")]
    chosen_strategy: Option<StrategyName>,
    window: WindowRow,
    fates: BTreeMap<&'static str, u64>,
    threshold: Option<ThresholdRow>,
    /// Those that judge now; null: none do.
    in_force: Option<BoundsRow>,
    rivals: Vec<RivalRow>,
    /// How many verdicts were heard of it, and the latest of them.
    verdicts: u32,
    latest_verdicts: Vec<SignalRow>,
    sensitivity: f64,
    /// Where its sensitivity started.
    sensitivity_prior: f64,
    /// How far its thresholds are trusted, 0.25 to 1; multiplies the confidence.
    trust: f64,
    confidence: Option<f64>,
    /// A threshold is used from this confidence on.
    confidence_min: f64,
    /// Sentences: what would raise or lower the confidence.
    confidence_would_change: Vec<String>,
    last: Option<At>,
    last_breach: Option<At>,
    #[schemars(with = "Option<String>")]
    alert_since: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    forecast: Option<Timestamp>,
    tally: TallyRow,
    pending: Vec<PendingRow>,
}

/// Verdicts that are shown of one series.
const VERDICTS_SHOWN: usize = 20;

impl Explained {
    pub fn of(view: &View<'_>, series: &Series) -> Explained {
        let knowledge = view.engine.knowledge();
        let learned = series.learned();
        let window = series.window();
        let tally = series.tally();
        let confidence_min = knowledge.config().learning.confidence_min.get();
        let latest_verdicts = knowledge
            .signals()
            .iter()
            .rev()
            .filter(|signal| signal.verdict.is_some() && signal.series.as_ref() == Some(series.name()));
        let pending = knowledge.pending().filter(|pending| pending.change.knob.series() == Some(series.name()));
        Explained {
            series: series.name().clone(),
            kind: series.kind().as_str(),
            watched: series.watched(),
            histogram: HistogramRow::of(knowledge, series),
            strategy: series.strategy().clone(),
            chosen_strategy: learned.map(|threshold| threshold.strategy.clone()),
            window: WindowRow {
                samples: window.len(),
                oldest: window.oldest().map(|(at, _)| at),
                newest: window.newest().map(|(at, _)| at),
                span_s: window.span().secs(),
                used: learned.map(|threshold| threshold.supporting.statistics.count),
                masked: series.masked(),
                level_since: series.level(),
            },
            fates: fates(series.fates()),
            threshold: threshold_row(series, view.now),
            in_force: series.in_force().map(|threshold| BoundsRow::of(threshold, view.now)),
            rivals: rivals(knowledge, series),
            verdicts: series.verdicts(),
            latest_verdicts: latest_verdicts.take(VERDICTS_SHOWN).map(SignalRow::from).collect(),
            sensitivity: series.sensitivity().get(),
            sensitivity_prior: series.sensitivity_prior().get(),
            trust: series.trust(view.now),
            confidence: learned.map(|threshold| threshold.confidence.get()),
            confidence_min,
            confidence_would_change: would_change(series, knowledge, confidence_min, view.now),
            last: window.newest().map(At::from),
            last_breach: series.last_breach().map(At::from),
            alert_since: series.alert_since(),
            forecast: series.forecast(),
            tally: TallyRow {
                judged: tally.judged,
                breached: tally.breached,
                alerts: tally.alerts,
                breach_share: (tally.judged > 0).then(|| tally.breached as f64 / tally.judged as f64),
                expected_share: 2.0 * homeostat::stats::normal::cdf(-series.sensitivity().get()),
            },
            pending: pending
                .map(|pending| PendingRow {
                    change: pending.change.id,
                    at: pending.change.at,
                    because: pending.change.because.clone(),
                    measure: match &pending.change.expect.of {
                        Measure::BreachShare(_) => "breach_share",
                        Measure::Evidence(kind) => kind.as_str(),
                    },
                    at_least: pending.change.expect.at_least,
                    at_most: pending.change.expect.at_most,
                    due: pending.change.expect.due,
                })
                .collect(),
        }
    }
}

fn rivals(knowledge: &Knowledge, series: &Series) -> Vec<RivalRow> {
    let Some(threshold) = series.learned() else { return Vec::new() };
    let merits = series.merits();
    let row = |rival: &homeostat::threshold::Rival| {
        let merit = merits.iter().find(|merit| merit.strategy == rival.strategy && merit.count > 0);
        RivalRow {
            strategy: rival.strategy.clone(),
            lower: rival.lower,
            upper: rival.upper,
            loss: rival.loss,
            loss_since: merit.map(|merit| merit.loss),
            samples_since: merit.map_or(0, |merit| merit.count),
            preference: knowledge.preference(&rival.strategy),
            chosen: rival.strategy == threshold.strategy,
        }
    };
    threshold.rivals.iter().map(row).collect()
}

/// What would move the confidence, from what it is the product of: number of samples, steadiness, trend, agreement of the
/// strategies, and trust.
fn would_change(series: &Series, knowledge: &Knowledge, confidence_min: f64, now: Timestamp) -> Vec<String> {
    let learning = &knowledge.config().learning;
    let held = series.window().len();
    let mut sentences = Vec::new();
    let mut say = |text: String| sentences.push(text);
    let Some(threshold) = series.learned() else {
        if !series.watched()
            && let Some(histogram) = knowledge.histogram(series)
        {
            say(match histogram.is_too_large() {
                true => format!(
                    "It is a bucket of a histogram of {} limits; over {BUCKETS_MAX} nothing is made of one.",
                    histogram.limits().len()
                ),
                false => {
                    "It is a bucket: the rate and the quantiles of its histogram are watched, not it alone; a rule \
                          with `kind: counter` changes that."
                        .to_owned()
                }
            });
        } else if !series.watched() {
            say(format!(
                "It is not watched, as series of kind {} are not; a rule with `watch: true` changes that.",
                series.kind().as_str()
            ));
        } else if held < learning.min_data_points {
            say(format!("It is learned once it has {} samples; it has {held}.", learning.min_data_points));
        } else {
            say("It has enough samples and is learned in one of the next cycles.".to_owned());
        }
        return sentences;
    };
    let confidence = threshold.confidence.get();
    if confidence < confidence_min {
        say(format!("At {confidence:.2} it is under learning.confidence_min ({confidence_min}) and is not used."));
    }
    if held < learning.window_len {
        let room = learning.window_len - held;
        say(format!("More independent samples raise it: the window has room for {room} more."));
    }
    match threshold.supporting.trend {
        Trend::Increasing => say("The series rises; once it is level again, the confidence grows.".to_owned()),
        Trend::Decreasing => say("The series falls; once it is level again, the confidence grows.".to_owned()),
        Trend::Stable | Trend::Unknown => {}
    }
    let recent = held.div_ceil(4);
    let breached = series.breaches_in_last(recent);
    if recent > 0 && breached * 8 > recent {
        say(format!(
            "{breached} of the last {recent} samples are outside the bounds; when that ends or is learned from, it grows."
        ));
    }
    if let Some((least, most)) = widths(threshold)
        && least < 0.5 * most
    {
        say("The strategies disagree by more than half on the width; the less they do, the higher it is.".to_owned());
    }
    if series.trust(now) < 0.995 {
        say(format!(
            "Earlier thresholds of it failed their expectation, so that it is multiplied by {:.2}; each that holds brings that back, and so does time.",
            series.trust(now)
        ));
    }
    if let Some(at) = next_learning(series, learning.optimization_interval) {
        say(format!(
            "It is worked out anew when the series is learned again: from {at} on, or at once after a verdict or a shift."
        ));
    }
    sentences
}

fn widths(threshold: &Threshold) -> Option<(f64, f64)> {
    let widths = threshold.rivals.iter().filter_map(|rival| Some(rival.upper? - rival.lower?));
    widths.fold(None, |ends, width| {
        let (least, most) = ends.unwrap_or((width, width));
        Some((f64::min(least, width), f64::max(most, width)))
    })
}

fn next_learning(series: &Series, interval: Span) -> Option<Timestamp> {
    series.learned_at().map(|at| at + interval)
}
