//! P: from an analysis and what the loops want to a plan in which nothing is left to decide.

pub mod guard;
pub mod import;
pub mod parameters;
pub mod state;

use crate::analyze::{Analysis, breach_share_max, tasks, time_for_samples};
use crate::config::Parameters;
use crate::execute::{Change, Expectation, Knob, Measure, Setting};
use crate::feedback::effect::withhold;
use crate::feedback::{Adjustment, LoopKind, ParameterKind, Target};
use crate::knowledge::Knowledge;
use crate::knowledge::series::Series;
use crate::plan::guard::{Refusal, Rules};
use crate::plan::state::{EvidenceKind, Situation, StateSince, SystemState, Transition};
use crate::series::SeriesName;
use crate::shared_text::SharedText;
use crate::time::{Span, Timestamp};
use crate::units::Sensitivity;
use std::collections::BTreeMap;

/// An expectation about a series waits for this many independent samples.
const SETTLE_SAMPLES: f64 = 30.0;

/// What is to happen. Everything is decided: the dispatcher only gives out numbers.
#[derive(Debug)]
pub struct Plan {
    pub state: StateSince,
    pub transition: Option<Transition>,
    pub parameters: Parameters,
    /// The state whose row they follow.
    pub parameters_of: SystemState,
    pub changes: Vec<Planned>,
    pub withheld: Vec<(LoopKind, Adjustment)>,
    /// Changes that the guard held back, by its reason.
    pub refused: BTreeMap<Refusal, u32>,
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
    // Cycles that follow one another at once are one: a reading that stands for a while is not counted many times.
    let counts = knowledge.cycle_counts(now);
    let (state, transition) =
        if counts { knowledge.state().next(&situation) } else { (knowledge.state().clone(), None) };
    let mut plan = Plan {
        state,
        transition,
        parameters: *knowledge.parameters(),
        parameters_of: knowledge.parameters_of(),
        changes: Vec::new(),
        withheld: Vec::new(),
        refused: BTreeMap::new(),
        chance: knowledge.chance(),
    };
    if knowledge.frozen() {
        return plan;
    }
    if counts {
        plan_parameters(knowledge, &mut plan, now);
    }
    plan_thresholds(knowledge, &mut plan, &analysis.beside, now);
    plan_withdrawals(knowledge, &mut plan, &analysis.refuted, now);
    for (by, adjustment) in wanted {
        plan_adjustment(knowledge, &mut plan, by, adjustment, now);
    }
    plan
}

/// One step towards the row of the state: at once towards critical, by degrees on the way back. The change is the new
/// row, once; its steps are told by the cycles.
fn plan_parameters(knowledge: &Knowledge, plan: &mut Plan, now: Timestamp) {
    let (before, state) = (knowledge.parameters_of(), plan.state.state);
    let row = knowledge.config().states.row(state);
    let from = *knowledge.parameters();
    let to = parameters::target(&row, knowledge.factors(), state, now);
    plan.parameters =
        parameters::step(&from, &row, knowledge.factors(), state, parameters::is_worse(before, state), now);
    plan.parameters_of = state;
    if before == state || to == from {
        return;
    }
    let because = match &plan.transition {
        Some(moved) => format!("{} because of {}", state.as_str(), moved.cause),
        None => format!("the row of {}", state.as_str()),
    };
    let expect = keeps_under(knowledge, EvidenceKind::CycleLatency, now);
    let settings = (Setting::Parameters(from), Setting::Parameters(to));
    let change = change(knowledge, Knob::Parameters, settings, because.into(), expect, now);
    admit(knowledge, plan, Planned { change, adjustment: None }, false, now);
}

/// Every series whose latest threshold is trusted enough and not yet the one that judges.
fn plan_thresholds(knowledge: &Knowledge, plan: &mut Plan, beside: &[SeriesName], now: Timestamp) {
    let most = tasks(knowledge, plan.parameters.execution_parallelism);
    let confidence_min = knowledge.config().learning.confidence_min;
    // What a word is about does not wait for its turn.
    let beside = beside.iter().filter_map(|name| knowledge.find(name));
    let pending = beside.chain(knowledge.attended()).filter(|series| !series.active());
    let trusted = pending.filter_map(|series| Some((series, series.learned()?)));
    let admitted = plan.changes.len();
    for (series, learned) in trusted.filter(|(_, learned)| learned.confidence >= confidence_min) {
        // What the guard refuses takes up no place.
        if plan.changes.len() - admitted == most {
            break;
        }
        let name = series.name();
        let from = series.in_force().map_or(Setting::Unset, |before| Setting::Bounds(before.bounds.at(now)));
        let settings = (from, Setting::Bounds(learned.bounds.at(now)));
        let expect = holds(knowledge, name, now);
        let change = change(knowledge, Knob::Threshold(name.clone()), settings, learned.reasoning.clone(), expect, now);
        // Bounds that follow a sensitivity which a person moved are as much that person's word as the sensitivity is.
        let ordered = series.in_force().is_some_and(|judging| judging.sensitivity != learned.sensitivity);
        admit(knowledge, plan, Planned { change, adjustment: None }, ordered, now);
    }
}

/// Bounds that proved wrong judge no longer: better silence than a false alarm without end.
fn plan_withdrawals(knowledge: &Knowledge, plan: &mut Plan, refuted: &[(SeriesName, f64)], now: Timestamp) {
    for (name, share) in refuted {
        let Some(before) = knowledge.find(name).and_then(Series::in_force) else { continue };
        let because =
            format!("{:.0} % of the window lie outside, and no later threshold is trusted enough", 100.0 * share);
        let settings = (Setting::Bounds(before.bounds.at(now)), Setting::Unset);
        let expect = keeps_under(knowledge, EvidenceKind::BreachShare, now);
        let change = change(knowledge, Knob::Threshold(name.clone()), settings, because.into(), expect, now);
        admit(knowledge, plan, Planned { change, adjustment: None }, false, now);
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
    let settings = (Setting::Number(adjustment.from), Setting::Number(adjustment.to));
    let change =
        Change { by: Some(by), ..change(knowledge, knob, settings, adjustment.reason.as_str().into(), expect, now) };
    let admitted = plan.changes.len();
    let ordered = adjustment.explicit;
    admit(knowledge, plan, Planned { change, adjustment: Some(adjustment) }, ordered, now);
    // Chance decides among those that would go out: only they can be compared with those that do.
    if plan.changes.len() > admitted && !ordered && withhold(&mut plan.chance, knowledge.config().feedback.withhold) {
        plan.withheld.extend(plan.changes.pop().and_then(|planned| Some((by, planned.adjustment?))));
    }
}

/// A change from one setting to another, that nobody asked for and that has no number yet.
fn change(
    knowledge: &Knowledge,
    knob: Knob,
    (from, to): (Setting, Setting),
    because: SharedText,
    expect: Expectation,
    now: Timestamp,
) -> Change {
    Change { id: 0, at: now, knob, from, to, because, by: None, expect, situation: knowledge.situation() }
}

/// `ordered`: by a person, so that no rate limit holds it back.
fn admit(knowledge: &Knowledge, plan: &mut Plan, planned: Planned, ordered: bool, now: Timestamp) {
    let rules = Rules { execution: &knowledge.config().execution, frozen: knowledge.frozen() };
    let turned = knowledge.turned_within_hour(&planned.change.knob, now);
    match guard::refuses(&planned.change, turned, ordered, &rules) {
        None => plan.changes.push(planned),
        Some(refusal) => *plan.refused.entry(refusal).or_default() += 1,
    }
}

/// The series' bounds hold what they should: of the samples after the change, few enough breach.
fn holds(knowledge: &Knowledge, name: &SeriesName, now: Timestamp) -> Expectation {
    let lookahead = knowledge.parameters().planning_lookahead;
    let series = knowledge.find(name);
    let wait = series.map_or(lookahead, |series| lookahead.max(time_to_settle(series)));
    let at_most = breach_share_max(series.map_or(Sensitivity::DEFAULT, Series::sensitivity));
    Expectation { of: Measure::BreachShare(name.clone()), at_least: 0.0, at_most, due: now + wait }
}

/// Samples that lean on one another say less: a morning's says little of the evening.
fn time_to_settle(series: &Series) -> Span {
    let each = series.learned().map_or(1.0, |learned| {
        let supporting = &learned.supporting;
        supporting.statistics.count as f64 / supporting.effective_count.max(1.0)
    });
    time_for_samples(series, SETTLE_SAMPLES * each)
}

/// A kind of evidence stays under the limit at which the degraded state is entered. Where it is over it already, it gets no
/// worse: the loop's own share of a host's load may be small. Over the critical limit that is not enough.
fn keeps_under(knowledge: &Knowledge, kind: EvidenceKind, now: Timestamp) -> Expectation {
    let limit = knowledge.config().states.limits.pairs()[kind as usize].1;
    let stands = knowledge.evidence_at(now).get(kind).unwrap_or(0.0);
    let at_most = limit.degraded.enter.max(stands.min(limit.critical.map_or(stands, |critical| critical.enter)));
    let due = now + knowledge.parameters().planning_lookahead;
    Expectation { of: Measure::Evidence(kind), at_least: 0.0, at_most, due }
}

/// Decisions stay better than the limit at which the degraded state is entered, or get no worse where they are not: else
/// every attempt to mend them would count against them.
fn good_decisions(knowledge: &Knowledge, now: Timestamp) -> Expectation {
    let limit = knowledge.config().states.limits.decision_quality.degraded.enter;
    let at_least = knowledge.decision_quality().map_or(limit, |quality| quality.min(limit));
    let due = now + knowledge.parameters().planning_lookahead;
    Expectation { of: Measure::Evidence(EvidenceKind::DecisionQuality), at_least, at_most: 1.0, due }
}
