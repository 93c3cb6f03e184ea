//! Resources → utilization → allocation: pressure lowers how much the loop does at once and how deep it looks; the end of
//! the pressure raises both again.
//!
//! It owns the factors of execution parallelism and analysis depth.

use super::{Adjustment, FeedbackLoop, LoopKind, ParameterKind, Signal, Target};
use crate::event::Event;
use crate::knowledge::Knowledge;
use crate::plan::parameters::FACTORS;
use crate::plan::state::EvidenceKind;
use crate::time::Timestamp;

pub struct ResourceOptimization;

const RESOURCES: [EvidenceKind; 3] = [EvidenceKind::HostProcessor, EvidenceKind::HostMemory, EvidenceKind::OwnMemory];

impl FeedbackLoop for ResourceOptimization {
    fn kind(&self) -> LoopKind {
        LoopKind::ResourceOptimization
    }

    fn hear(&self, _: &Event, _: &Knowledge, _: Timestamp) -> Option<Signal> {
        // Utilization is measured by the caller and comes as signals.
        None
    }

    fn reflect(&self, signals: &[Signal], knowledge: &Knowledge, now: Timestamp) -> Vec<Adjustment> {
        // The latest word on each resource, and the one under most pressure.
        let limits = &knowledge.config().states.limits;
        let latest = RESOURCES.iter().filter_map(|kind| {
            let signal = signals.iter().rev().find(|signal| signal.source == kind.as_str())?;
            Some((signal, limits.pairs()[*kind as usize].1.degraded))
        });
        let over = |signal: &Signal, enter: f64| signal.value / enter;
        let Some((signal, limit)) = latest.max_by(|(a, al), (b, bl)| over(a, al.enter).total_cmp(&over(b, bl.enter)))
        else {
            return Vec::new();
        };
        let rate = knowledge.parameters().learning_rate.get();
        let row = knowledge.row();
        let adjust = |(parameter, row): (ParameterKind, u32)| {
            let from = knowledge.factors().at(parameter, now);
            let row = f64::from(row);
            let stands = (row * from).round();
            // A parameter counts in whole units: a step that would round away is made one unit long.
            let to = if signal.value > limit.enter {
                (from * (1.0 - rate)).min((stands - 1.0) / row).max(*FACTORS.start())
            } else if signal.value < limit.leave && from < 1.0 {
                (from * (1.0 + rate)).max((stands + 1.0) / row).min(1.0)
            } else {
                return None;
            };
            // What would round to where the parameter stands already is no adjustment.
            if (row * to).round() == stands || !FACTORS.contains(&to) {
                return None;
            }
            let reason = format!("{} at {:.2}; the limit is {:.2}", signal.source, signal.value, limit.enter);
            let target = Target::Factor(parameter);
            let aim = self.aim(&target, knowledge, now);
            Some(Adjustment { target, from, to, reason, cause: signal.id, explicit: false, aim })
        };
        [
            (ParameterKind::ExecutionParallelism, row.execution_parallelism),
            (ParameterKind::AnalysisDepth, row.analysis_depth),
        ]
        .into_iter()
        .filter_map(adjust)
        .collect()
    }

    /// The utilization of the resource under most pressure.
    fn aim(&self, _: &Target, knowledge: &Knowledge, _: Timestamp) -> Option<f64> {
        RESOURCES.iter().filter_map(|kind| knowledge.measured(*kind)).map(|(value, _)| value).max_by(f64::total_cmp)
    }
}
