//! Sums over everything that is held.

use crate::driver::View;
use crate::http::rows::fates;
use crate::store::Begun;
use homeostat::knowledge::Shared;
use homeostat::knowledge::claims::{Claims, Tenth};
use homeostat::plan::guard::Refusal;
use homeostat::series::SeriesName;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize, JsonSchema)]
pub struct AnomalyRate {
    #[schemars(with = "String")]
    series: SeriesName,
    judged: u64,
    breached: u64,
    /// Breached over judged.
    rate: f64,
}

/// What came of confidences whose week is over: each said how likely the series' pages stay in its budget.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfidenceOutcomes {
    kept: u64,
    broken: u64,
    /// Of whose weeks too little was seen.
    void: u64,
    /// Whose week is not over.
    running: u64,
    /// Mean of what was said, and the share that was kept, which should be the same; null before the first.
    said_ratio: Option<f64>,
    kept_ratio: Option<f64>,
}

impl ConfidenceOutcomes {
    fn of(claims: &Claims, running: u64) -> ConfidenceOutcomes {
        let Tenth { kept, broken, void, said } = claims.all();
        let share = |of: f64| (kept + broken > 0).then(|| of / (kept + broken) as f64);
        ConfidenceOutcomes { kept, broken, void, running, said_ratio: share(said), kept_ratio: share(kept as f64) }
    }
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

/// How the life before ended, and what was brought back of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StartRow {
    /// first_start, stopped, broken_off, backup, not_told by an earlier version, or damaged: the store does not say any more.
    before: &'static str,
    /// The same in words.
    said: String,
    /// Taken in again from journal and samples, after what the snapshot holds.
    events: u64,
    samples: u64,
    /// What was damaged or torn off.
    found: Vec<String>,
}

impl StartRow {
    fn of(begun: &Begun) -> StartRow {
        let Begun { ended, events, samples, found } = begun;
        let (before, said) = (ended.as_str(), ended.to_string());
        StartRow { before, said, events: *events, samples: *samples, found: found.clone() }
    }
}

/// How learning stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Statistics {
    series: usize,
    watched_series: usize,
    /// How many remember how much of their samples, by tier: exact, hourly, faded, bounds.
    series_by_tier: BTreeMap<&'static str, usize>,
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
    /// Alerts a week that the budget leaves all series together (null: none), and that there were lately without what was
    /// judged true (null: seen for under an hour).
    budget_per_week: Option<f64>,
    alerts_per_week: Option<f64>,
    /// The same of each budget that the series share which a rule names.
    shared_budgets: Vec<SharedBudget>,
    confidence_outcomes: ConfidenceOutcomes,
    history: HistoryCounts,
    cycles: u64,
    /// Share of settled expectations that came true; null under 10.
    decision_quality_ratio: Option<f64>,
    series_forgotten: u64,
    /// How often a new series found no room: `series_max` (limits.series_max) were held, and all of them alive.
    series_refused: u64,
    series_max: usize,
    /// Changes that the guard held back.
    changes_refused: u64,
    /// The same by its reason; what was held back by an earlier version is in the sum alone.
    changes_refused_because: BTreeMap<&'static str, u64>,
    /// What became of all samples that ever came.
    fates: BTreeMap<&'static str, u64>,
    start: StartRow,
    /// Why events cannot be stored at present; null: they can.
    store_problem: Option<String>,
}

/// A budget of those series that a rule with `share_budget` names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharedBudget {
    #[serde(rename = "match")]
    selector: String,
    /// How many share it now.
    series: usize,
    budget_per_week: Option<f64>,
    alerts_per_week: Option<f64>,
}

impl SharedBudget {
    fn of(shared: &Shared<'_>) -> Option<SharedBudget> {
        Some(SharedBudget {
            selector: shared.selector?.to_string(),
            series: shared.series,
            budget_per_week: shared.asked.per_week(),
            alerts_per_week: shared.alerts_per_week,
        })
    }
}

impl Statistics {
    /// `anomaly_rates` holds every series and is in no order yet: see [`ranked`](Statistics::ranked).
    pub fn of(view: &View<'_>) -> Statistics {
        let knowledge = view.engine.knowledge();
        let enough = view.settings.engine.learning.min_data_points;
        let (series_forgotten, series_refused, changes_refused) = knowledge.losses();
        let budgets = knowledge.budgets(view.now);
        let mut statistics = Statistics {
            series: knowledge.series_count(),
            watched_series: 0,
            series_by_tier: BTreeMap::new(),
            series_with_enough_data: 0,
            samples: 0,
            recommendations: 0,
            active_recommendations: 0,
            anomaly_rate: None,
            anomaly_rates: Vec::new(),
            budget_per_week: knowledge.config().budget.per_week(),
            alerts_per_week: budgets.first().and_then(|of_all| of_all.alerts_per_week),
            shared_budgets: budgets.iter().filter_map(SharedBudget::of).collect(),
            confidence_outcomes: ConfidenceOutcomes::of(
                knowledge.claims(),
                knowledge.series_as_they_lie().filter(|series| series.claim().is_some()).count() as u64,
            ),
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
            series_max: knowledge.config().limits.series_max,
            changes_refused,
            changes_refused_because: Refusal::ALL
                .map(|because| (because.as_str(), knowledge.refused(because)))
                .into_iter()
                .collect(),
            fates: fates(knowledge.fates()),
            start: StartRow::of(&view.stats.begun),
            store_problem: view.stats.store_problem.clone(),
        };
        for series in knowledge.series_as_they_lie() {
            *statistics.series_by_tier.entry(series.tier().as_str()).or_default() += 1;
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
