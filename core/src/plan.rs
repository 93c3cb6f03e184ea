//! P: from an analysis and what the loops want to a plan in which nothing is left to decide.

pub mod guard;
pub mod import;
pub mod parameters;
pub mod state;

use crate::analyze::{Analysis, LEARN_BATCH, time_for_samples};
use crate::config::Parameters;
use crate::execute::{Change, Expectation, Knob, Measure, Setting};
use crate::feedback::effect::withhold;
use crate::feedback::{Adjustment, LoopKind, ParameterKind, Target};
use crate::knowledge::Knowledge;
use crate::plan::guard::Rules;
use crate::plan::state::{EvidenceKind, Situation, StateSince, Transition};
use crate::series::SeriesName;
use crate::time::Timestamp;

/// Of the samples judged after a change of bounds, so many may breach before the bounds count as wrong: five times what
/// bounds at two sigmas let through.
const BREACH_SHARE_MAX: f64 = 0.25;

/// An expectation about a series waits for this many samples.
const SETTLE_SAMPLES: u64 = 30;

/// What is to happen. Everything is decided: the dispatcher only gives out numbers.
#[derive(Debug)]
pub struct Plan {
    pub state: StateSince,
    pub transition: Option<Transition>,
    pub parameters: Parameters,
    pub changes: Vec<Planned>,
    pub withheld: Vec<(LoopKind, Adjustment)>,
    pub refused: u32,
    pub chance: u64,
}

/// A change that is to go out, with the adjustment that it carries out, when it does.
#[derive(Debug)]
pub struct Planned {
    /// Without its number, which the dispatcher gives.
    pub change: Change,
    pub adjustment: Option<Adjustment>,
}

/// Decides. `wanted` is what the loops ask for, in the order they spoke.
pub fn plan(knowledge: &Knowledge, analysis: &Analysis, wanted: Vec<(LoopKind, Adjustment)>, now: Timestamp) -> Plan {
    let situation = Situation {
        evidence: &analysis.evidence,
        learning_waiting: analysis.due > 0,
        limits: &knowledge.config().states.limits,
        now,
    };
    let (state, transition) = knowledge.state().next(&situation);
    let mut plan = Plan {
        state,
        transition,
        parameters: *knowledge.parameters(),
        changes: Vec::new(),
        withheld: Vec::new(),
        refused: 0,
        chance: knowledge.chance(),
    };
    if knowledge.frozen() {
        return plan;
    }
    plan_parameters(knowledge, &mut plan, now);
    plan_thresholds(knowledge, &mut plan, now);
    for (by, adjustment) in wanted {
        plan_adjustment(knowledge, &mut plan, by, adjustment, now);
    }
    plan
}

/// Steps towards the row of the state: at once towards critical, by degrees on the way back.
fn plan_parameters(knowledge: &Knowledge, plan: &mut Plan, now: Timestamp) {
    let row = knowledge.config().states.row(plan.state.state);
    let worse = parameters::is_worse(knowledge.parameters_of(), plan.state.state);
    let from = *knowledge.parameters();
    let to = parameters::step(&from, &row, knowledge.factors(), plan.state.state, worse, now);
    if to == from {
        return;
    }
    plan.parameters = to;
    let because = match &plan.transition {
        Some(moved) => format!("{} because of {}", plan.state.state.as_str(), moved.cause),
        None => format!("on the way to the row of {}", plan.state.state.as_str()),
    };
    let change = Change {
        id: 0,
        at: now,
        knob: Knob::Parameters,
        from: Setting::Parameters(from),
        to: Setting::Parameters(to),
        because,
        by: None,
        expect: keeps_under(knowledge, EvidenceKind::CycleLatency, now),
        situation: knowledge.situation(),
    };
    admit(knowledge, plan, Planned { change, adjustment: None }, now);
}

/// Every series whose latest threshold is trusted enough and not yet the one that judges.
fn plan_thresholds(knowledge: &Knowledge, plan: &mut Plan, now: Timestamp) {
    let batches = plan.parameters.execution_parallelism as usize * LEARN_BATCH;
    let confidence_min = knowledge.config().learning.confidence_min;
    let pending = knowledge.series().filter(|series| !series.active());
    let trusted = pending.filter_map(|series| Some((series, series.learned()?)));
    for (series, learned) in trusted.filter(|(_, learned)| learned.confidence >= confidence_min).take(batches) {
        let change = Change {
            id: 0,
            at: now,
            knob: Knob::Threshold(series.name().clone()),
            from: series.in_force().map_or(Setting::Unset, |before| Setting::Bounds(before.bounds.at(now))),
            to: Setting::Bounds(learned.bounds.at(now)),
            because: learned.reasoning.clone(),
            by: None,
            expect: holds(knowledge, series.name(), now),
            situation: knowledge.situation(),
        };
        admit(knowledge, plan, Planned { change, adjustment: None }, now);
    }
}

fn plan_adjustment(knowledge: &Knowledge, plan: &mut Plan, by: LoopKind, adjustment: Adjustment, now: Timestamp) {
    let (knob, expect) = match &adjustment.target {
        Target::Sensitivity(series) => (Knob::Sensitivity(series.clone()), holds(knowledge, series, now)),
        Target::Trust(series) => (Knob::Trust(series.clone()), holds(knowledge, series, now)),
        Target::Preference(strategy) => (Knob::Preference(strategy.clone()), good_decisions(knowledge, now)),
        Target::Factor(parameter) => {
            let expect = match parameter {
                ParameterKind::MonitoringInterval | ParameterKind::PlanningLookahead => {
                    keeps_under(knowledge, EvidenceKind::CycleLatency, now)
                }
                ParameterKind::AnalysisDepth | ParameterKind::ExecutionParallelism => {
                    keeps_under(knowledge, EvidenceKind::HostProcessor, now)
                }
                ParameterKind::LearningRate => good_decisions(knowledge, now),
            };
            (Knob::Factor(*parameter), expect)
        }
    };
    let change = Change {
        id: 0,
        at: now,
        knob,
        from: Setting::Number(adjustment.from),
        to: Setting::Number(adjustment.to),
        because: adjustment.reason.clone(),
        by: Some(by),
        expect,
        situation: knowledge.situation(),
    };
    let admitted = plan.changes.len();
    let automatic = !adjustment.explicit;
    admit(knowledge, plan, Planned { change, adjustment: Some(adjustment) }, now);
    // Chance decides among those that would go out: only they can be compared with those that do.
    if plan.changes.len() > admitted && automatic && withhold(&mut plan.chance, knowledge.config().feedback.withhold) {
        plan.withheld.extend(plan.changes.pop().and_then(|planned| Some((by, planned.adjustment?))));
    }
}

fn admit(knowledge: &Knowledge, plan: &mut Plan, planned: Planned, now: Timestamp) {
    let explicit = planned.adjustment.as_ref().is_some_and(|adjustment| adjustment.explicit);
    let rules = Rules { execution: &knowledge.config().execution, frozen: knowledge.frozen() };
    match knowledge.dispatched().refuses(&planned.change, explicit, &rules, now) {
        None => plan.changes.push(planned),
        Some(_) => plan.refused += 1,
    }
}

/// The series' bounds hold what they should: of the samples after the change, few enough breach.
fn holds(knowledge: &Knowledge, name: &SeriesName, now: Timestamp) -> Expectation {
    let lookahead = knowledge.parameters().planning_lookahead;
    let wait = knowledge.find(name).map_or(lookahead, |series| lookahead.max(time_for_samples(series, SETTLE_SAMPLES)));
    Expectation { of: Measure::BreachShare(name.clone()), at_least: 0.0, at_most: BREACH_SHARE_MAX, due: now + wait }
}

/// A kind of evidence stays under the limit at which the degraded state is entered.
fn keeps_under(knowledge: &Knowledge, kind: EvidenceKind, now: Timestamp) -> Expectation {
    let pairs = knowledge.config().states.limits.pairs();
    let at_most = pairs[kind as usize].1.degraded.enter;
    let due = now + knowledge.parameters().planning_lookahead;
    Expectation { of: Measure::Evidence(kind), at_least: 0.0, at_most, due }
}

/// Decisions stay better than the limit at which the degraded state is entered.
fn good_decisions(knowledge: &Knowledge, now: Timestamp) -> Expectation {
    let at_least = knowledge.config().states.limits.decision_quality.degraded.enter;
    let due = now + knowledge.parameters().planning_lookahead;
    Expectation { of: Measure::Evidence(EvidenceKind::DecisionQuality), at_least, at_most: 1.0, due }
}
