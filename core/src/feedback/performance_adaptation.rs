//! Performance → optimization → parameters: a loop that takes too much of its interval gets a longer one.
//!
//! It owns the factors of the monitoring interval and of the lookahead, which move together: what is looked at less often
//! has to be planned further ahead. What is acted on is the measured ratio of cycle latency to interval.

use super::{Adjustment, FeedbackLoop, LoopKind, ParameterKind, Signal, Target};
use crate::event::Event;
use crate::knowledge::Knowledge;
use crate::plan::parameters::FACTORS;
use crate::plan::state::EvidenceKind;
use crate::time::Timestamp;

pub struct PerformanceAdaptation;

/// Under this share of the limit there is so much room that the interval may shorten again.
const ROOM: f64 = 0.25;

impl FeedbackLoop for PerformanceAdaptation {
    fn kind(&self) -> LoopKind {
        LoopKind::PerformanceAdaptation
    }

    fn hear(&self, _: &Event, _: &Knowledge, _: Timestamp) -> Option<Signal> {
        // Latency is measured by the caller, which has the clock, and comes as a signal.
        None
    }

    fn reflect(&self, signals: &[Signal], knowledge: &Knowledge, now: Timestamp) -> Vec<Adjustment> {
        let is_latency = |signal: &&Signal| signal.source == EvidenceKind::CycleLatency.as_str();
        let Some(signal) = signals.iter().rev().find(is_latency) else { return Vec::new() };
        let rate = knowledge.parameters().learning_rate.get();
        let limit = knowledge.config().states.limits.cycle_latency.degraded.leave;
        let adjust = |parameter: ParameterKind| {
            let from = knowledge.factors().at(parameter, now);
            let to = if signal.value > limit {
                (from * (1.0 + rate)).min(*FACTORS.end())
            } else if signal.value < ROOM * limit && from > 1.0 {
                (from * (1.0 - rate)).max(1.0)
            } else {
                return None;
            };
            let reason = format!("a cycle took {:.2} of its interval; up to {limit:.2} is well", signal.value);
            let target = Target::Factor(parameter);
            let aim = self.aim(&target, knowledge, now);
            let moved = (to - from).abs() > 1e-6 && FACTORS.contains(&to);
            moved.then_some(Adjustment { target, from, to, reason, cause: signal.id, explicit: false, aim })
        };
        [ParameterKind::MonitoringInterval, ParameterKind::PlanningLookahead].into_iter().filter_map(adjust).collect()
    }

    /// The measured ratio of cycle latency to interval.
    fn aim(&self, _: &Target, knowledge: &Knowledge, _: Timestamp) -> Option<f64> {
        knowledge.measured(EvidenceKind::CycleLatency).map(|(value, _)| value)
    }
}
