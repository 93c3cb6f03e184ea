//! The state, what it was decided from, and the parameters that follow from it.

use crate::driver::View;
use homeostat::config::{Limit, Parameters};
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

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
    /// When degraded, critical or recovering is left at the earliest, if nothing gets worse; null while something still holds
    /// it, and in the other states.
    #[schemars(with = "Option<String>")]
    leaves_at: Option<Timestamp>,
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
            leaves_at: state.leaves_at(),
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
