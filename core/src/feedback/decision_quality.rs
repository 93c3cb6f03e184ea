//! Outcomes → quality → strategy: decisions that did not come true make the loop move in smaller steps, and turn it away
//! from the strategies that proposed them.
//!
//! It owns the factor of the learning rate and the preferences among strategies.

use super::{Adjustment, FeedbackLoop, LoopKind, ParameterKind, Signal, Target, heard};
use crate::config::StrategyName;
use crate::event::Event;
use crate::execute::Verification;
use crate::knowledge::Knowledge;
use crate::plan::parameters::FACTORS;
use crate::time::Timestamp;
use std::collections::BTreeMap;

pub struct DecisionQuality;

/// From this quality on, the learning rate may return to its row.
const GOOD: f64 = 0.9;

/// Nearer to no preference than this is none.
const NEAR: f64 = 0.01;

const STRATEGY: &str = "strategy";

impl FeedbackLoop for DecisionQuality {
    fn kind(&self) -> LoopKind {
        LoopKind::DecisionQuality
    }

    fn hear(&self, event: &Event, _: &Knowledge, now: Timestamp) -> Option<Signal> {
        let Event::ChangeSettled { outcome } = event else { return None };
        let value = match outcome.verification {
            Verification::Met => 1.0,
            Verification::Failed => 0.0,
            Verification::Inconclusive | Verification::Superseded => return None,
        };
        let mut signal = heard(self.kind(), "outcome", value, outcome.knob.series(), now);
        signal.metadata.insert("change".to_owned(), outcome.change.to_string());
        if let Some(strategy) = &outcome.strategy {
            signal.metadata.insert(STRATEGY.to_owned(), strategy.to_string());
        }
        Some(signal)
    }

    fn reflect(&self, signals: &[Signal], knowledge: &Knowledge, now: Timestamp) -> Vec<Adjustment> {
        let Some(last) = signals.last() else { return Vec::new() };
        let rate = knowledge.parameters().learning_rate.get();
        let mut adjustments = Vec::new();
        if let Some(quality) = knowledge.decision_quality() {
            let from = knowledge.factors().at(ParameterKind::LearningRate, now);
            let limit = knowledge.config().states.limits.decision_quality.degraded.leave;
            let to = if quality < limit {
                (from * (1.0 - rate)).max(*FACTORS.start())
            } else if quality >= GOOD && from < 1.0 {
                (from * (1.0 + rate)).min(1.0)
            } else {
                from
            };
            if (to - from).abs() > 1e-6 {
                let target = Target::Factor(ParameterKind::LearningRate);
                let reason = format!("{:.0} % of the settled decisions came true", quality * 100.0);
                let aim = self.aim(&target, knowledge, now);
                adjustments.push(Adjustment { target, from, to, reason, cause: last.id, explicit: false, aim });
            }
        }
        // Met and failed expectations by the strategy that set the bounds.
        let mut by_strategy: BTreeMap<&String, (u32, u32, u64)> = BTreeMap::new();
        for signal in signals {
            let Some(strategy) = signal.metadata.get(STRATEGY) else { continue };
            let (met, failed, cause) = by_strategy.entry(strategy).or_default();
            *(if signal.value > 0.5 { met } else { failed }) += 1;
            *cause = signal.id;
        }
        for (strategy, (met, failed, cause)) in by_strategy {
            let from = knowledge.preference(strategy);
            let failed_share = f64::from(failed) / f64::from(met + failed);
            // Failures push away, in proportion; what holds is forgiven by degrees.
            let away = from * (1.0 + rate * failed_share);
            let to = away + rate * (1.0 - failed_share) * (1.0 - away);
            let to = if (to - 1.0).abs() < NEAR { 1.0 } else { to.clamp(*FACTORS.start(), *FACTORS.end()) };
            if to == from {
                continue;
            }
            let target = Target::Preference(StrategyName::from(strategy.clone()));
            let reason = format!("{met} of {} thresholds by {strategy} held", met + failed);
            let aim = self.aim(&target, knowledge, now);
            adjustments.push(Adjustment { target, from, to, reason, cause, explicit: false, aim });
        }
        adjustments
    }

    /// The share of decisions that did not come true.
    fn aim(&self, _: &Target, knowledge: &Knowledge, _: Timestamp) -> Option<f64> {
        knowledge.decision_quality().map(|quality| 1.0 - quality)
    }
}
