//! What others see of the engine: the shapes of the API, the same for the daemon and for commands that need none.
//!
//! A unit ends a key (`_s`, `_ratio`, `_bytes`); times are RFC 3339; what is not there is null.

use homeostat::config::Parameters;
use homeostat::engine::Engine;
use homeostat::execute::{Measure, Pending};
use homeostat::feedback::{Action, LoopKind, Signal};
use homeostat::knowledge::Knowledge;
use homeostat::knowledge::series::Series;
use homeostat::threshold::{Supporting, Threshold};
use homeostat::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// One series' learned threshold, as `/api/v1/thresholds` and `learn` show it.
#[derive(Clone, Debug, Serialize)]
pub struct ThresholdRow {
    pub series: String,
    pub upper: Option<f64>,
    pub lower: Option<f64>,
    pub alert_upper: Option<f64>,
    pub alert_lower: Option<f64>,
    /// As it stands now, which may be ahead of the bounds by a cycle.
    pub sensitivity: f64,
    pub confidence: f64,
    pub strategy: String,
    pub reasoning: String,
    pub supporting: Supporting,
    /// Whether it judges; false while its confidence is too low.
    pub active: bool,
    pub learned_at: Timestamp,
}

/// The latest threshold of a series with its bounds at `now`; none while nothing is learned.
pub fn threshold_row(series: &Series, now: Timestamp) -> Option<ThresholdRow> {
    let threshold = series.learned()?;
    let ((lower, upper), (alert_lower, alert_upper)) = (threshold.bounds.at(now), threshold.alert.at(now));
    Some(ThresholdRow {
        series: series.name().to_string(),
        upper,
        lower,
        alert_upper,
        alert_lower,
        sensitivity: series.sensitivity().get(),
        confidence: threshold.confidence.get(),
        strategy: threshold.strategy.to_string(),
        reasoning: threshold.reasoning.clone(),
        supporting: threshold.supporting,
        active: series.active(),
        learned_at: threshold.learned_at,
    })
}

pub fn series(series: &Series) -> Value {
    json!({
        "series": series.name(),
        "kind": series.kind().as_str(),
        "samples": series.window().len(),
        "span_s": series.window().span().secs(),
        "strategy": series.learned().map_or(series.strategy(), |threshold| &threshold.strategy),
        "watched": series.watched(),
        "last": series.window().newest().map(|(at, value)| json!({ "at": at, "value": value })),
        "breaches": series.breaches_in_last(usize::MAX),
        "alert_since": series.alert_since(),
        "forecast": series.forecast(),
    })
}

/// The last `limit` samples with the bounds in force now: history is judged anew by what is known now.
pub fn samples(series: &Series, limit: usize, min_data_points: usize, now: Timestamp) -> Value {
    let samples: Vec<(i64, f64)> = series.window().last(limit).map(|(at, value)| (at.millis(), value)).collect();
    let breaches: Vec<i64> = series
        .window()
        .last(limit)
        .filter(|(at, value)| series.breaches(*at, *value))
        .map(|(at, _)| at.millis())
        .collect();
    let bounds = series.in_force().map(|threshold| {
        let ((lower, upper), (alert_lower, alert_upper)) = (threshold.bounds.at(now), threshold.alert.at(now));
        json!({ "lower": lower, "upper": upper, "alert_lower": alert_lower, "alert_upper": alert_upper })
    });
    json!({
        "series": series.name(),
        "samples": samples,
        "min_data_points": min_data_points,
        "bounds": bounds,
        "breaches": breaches,
    })
}

pub fn state(knowledge: &Knowledge) -> Value {
    let limits = knowledge.config().states.limits.pairs();
    let evidence: Vec<Value> = knowledge
        .evidence()
        .iter()
        .map(|(kind, value)| {
            let (name, pair, _) = limits[kind as usize];
            json!({ "name": name, "value": value, "degraded": pair.degraded, "critical": pair.critical })
        })
        .collect();
    let state = knowledge.state();
    json!({
        "state": state.state.as_str(),
        "since": state.since,
        "evidence": evidence,
        "forced_until": state.forced_until,
        "frozen": knowledge.frozen(),
    })
}

pub fn parameters(parameters: &Parameters) -> Value {
    json!({
        "monitoring_interval_s": parameters.monitoring_interval.secs(),
        "analysis_depth": parameters.analysis_depth,
        "planning_lookahead_s": parameters.planning_lookahead.secs(),
        "execution_parallelism": parameters.execution_parallelism,
        "learning_rate": parameters.learning_rate.get(),
    })
}

pub fn loops(knowledge: &Knowledge) -> Vec<Value> {
    LoopKind::ALL
        .into_iter()
        .map(|kind| {
            let memory = knowledge.loop_memory(kind);
            json!({
                "loop": kind.as_str(),
                "signals": memory.signals,
                "actions": memory.actions,
                "effectiveness": memory.effect.effectiveness(),
                "reading": memory.effect.reading().as_str(),
                "withheld": memory.withheld,
                "paused": memory.paused,
            })
        })
        .collect()
}

pub fn signal(signal: &Signal) -> Value {
    json!({
        "id": signal.id,
        "at": signal.at,
        "loop": signal.of.as_str(),
        "source": signal.source,
        "value": signal.value,
        "series": signal.series,
        "verdict": signal.verdict.map(|verdict| verdict.as_str()),
        "metadata": signal.metadata,
    })
}

pub fn action(action: &Action) -> Value {
    let adjustment = &action.adjustment;
    json!({
        "id": action.id,
        "at": action.at,
        "loop": action.of.as_str(),
        "series": adjustment.target.series(),
        "parameter": adjustment.target.name(),
        "old": adjustment.from,
        "new": adjustment.to,
        "reason": adjustment.reason,
        "cause": adjustment.cause,
        "outcome": action.outcome.map(|outcome| outcome.as_str()),
    })
}

/// Everything that made a series' bounds what they are, and what would change them.
pub fn explain(engine: &Engine, series: &Series, now: Timestamp) -> Value {
    let knowledge = engine.knowledge();
    let tally = series.tally();
    let learned: Option<&Threshold> = series.learned();
    let pending: Vec<Value> = knowledge.pending().filter(|pending| about(pending, series)).map(expectation).collect();
    let min = knowledge.config().learning.min_data_points;
    json!({
        "series": series.name(),
        "kind": series.kind().as_str(),
        "watched": series.watched(),
        "pages": series.pages(),
        "configured_strategy": series.strategy(),
        "window": {
            "samples": series.window().len(),
            "span_s": series.window().span().secs(),
            "oldest": series.window().oldest().map(|(at, _)| at),
            "newest": series.window().newest().map(|(at, value)| json!({ "at": at, "value": value })),
            "samples_wanted": min,
        },
        "fates": series.fates().iter().map(|(fate, count)| (fate.as_str().to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "threshold": threshold_row(series, now),
        "rivals": learned.map(|threshold| &threshold.rivals),
        "merits": series.merits().iter().map(|merit| json!({
            "strategy": merit.strategy, "loss": merit.loss, "samples": merit.count,
            "preference": knowledge.preference(&merit.strategy),
        })).collect::<Vec<_>>(),
        "sensitivity": { "now": series.sensitivity().get(), "started_at": series.sensitivity_prior().get(), "verdicts": series.verdicts() },
        "trust": series.trust(),
        "judged": { "samples": tally.judged, "breaches": tally.breached, "alerts": tally.alerts,
                    "breaches_by_present_bounds": series.breaches_in_last(usize::MAX), "last_breach": series.last_breach().map(|(at, value)| json!({ "at": at, "value": value })) },
        "alert_since": series.alert_since(),
        "forecast": series.forecast(),
        "expectations": pending,
        "would_change_it": would_change(knowledge, series),
    })
}

fn about(pending: &Pending, series: &Series) -> bool {
    pending.change.knob.series() == Some(series.name())
}

fn expectation(pending: &Pending) -> Value {
    let expect = &pending.change.expect;
    let of = match &expect.of {
        Measure::BreachShare(_) => "share of samples in breach since the change".to_owned(),
        Measure::Evidence(kind) => kind.as_str().to_owned(),
    };
    json!({ "change": pending.change.id, "because": pending.change.because, "of": of,
            "at_least": expect.at_least, "at_most": expect.at_most, "due": expect.due })
}

/// Sentences for a person.
fn would_change(knowledge: &Knowledge, series: &Series) -> Vec<String> {
    let learning = &knowledge.config().learning;
    let mut says = Vec::new();
    let samples = series.window().len();
    if !series.watched() {
        says.push(format!("it is of kind {} and not watched; a rule in `series:` with watch: true would have it judged", series.kind().as_str()));
    } else if samples < learning.min_data_points {
        says.push(format!("{} more samples: it is learned at {}", learning.min_data_points - samples, learning.min_data_points));
    }
    if series.learned().is_some() && !series.active() {
        says.push(format!("a confidence of at least {} ({} now) would put its bounds in force", learning.confidence_min, series.learned().map_or(0.0, |t| t.confidence.get())));
    }
    if series.trust() < 1.0 {
        says.push("thresholds of it that hold would raise the trust in the next ones".to_owned());
    }
    says.push("a verdict `false` widens its bounds, `missed` narrows them".to_owned());
    says.push(format!("it is learned anew every {}, or at once when most of its last samples are in breach", learning.optimization_interval));
    says
}

/// Learning statistics of all series.
pub fn statistics(knowledge: &Knowledge) -> Value {
    let min = knowledge.config().learning.min_data_points;
    let (mut enough, mut samples, mut active, mut learned) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut rates = serde_json::Map::new();
    for series in knowledge.series() {
        enough += usize::from(series.window().len() >= min);
        samples += series.window().len();
        learned += usize::from(series.learned().is_some());
        active += usize::from(series.active());
        let tally = series.tally();
        if tally.judged > 0 {
            rates.insert(series.name().to_string(), json!(tally.breached as f64 / tally.judged as f64));
        }
    }
    let (forgotten, refused_series, refused_changes) = knowledge.losses();
    json!({
        "series": knowledge.series_count(),
        "series_with_enough_data": enough,
        "samples": samples,
        "recommendations": learned,
        "active_recommendations": active,
        "anomaly_rate_ratio": rates,
        "history": {
            "signals": knowledge.signals().len(), "actions": knowledge.actions().len(),
            "transitions": knowledge.transitions().len(), "optimizations": knowledge.optimizations().len(),
        },
        "cycles": knowledge.cycles(),
        "decision_quality_ratio": knowledge.decision_quality(),
        "fates": knowledge.fates().iter().map(|(fate, count)| (fate.as_str().to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "series_forgotten": forgotten, "series_refused": refused_series, "changes_refused": refused_changes,
    })
}
