//! Metrics → learning → thresholds: what came of a threshold says how far the next one of that series is trusted.
//!
//! A threshold whose expectation failed lowers the trust, which multiplies the confidence of the next one; at too little
//! confidence it is not used. Expectations that are met bring the trust back.

use super::{Adjustment, FeedbackLoop, LoopKind, Signal, Target, heard};
use crate::event::Event;
use crate::execute::{Knob, Verification};
use crate::knowledge::Knowledge;
use crate::time::Timestamp;
use std::collections::BTreeMap;

pub struct MetricsLearning;

/// Trust never falls so low that a series could not come back.
const TRUST_MIN: f64 = 0.25;

/// Nearer to full trust than this is full trust.
const NEAR: f64 = 0.01;

/// Samples of a series that its breach share is taken from.
const AIM_SAMPLES: usize = 100;

/// Share of ordinary samples that bounds at two sigmas let through.
const BREACH_SHARE_WANTED: f64 = 0.0455;

impl FeedbackLoop for MetricsLearning {
    fn kind(&self) -> LoopKind {
        LoopKind::MetricsLearning
    }

    fn hear(&self, event: &Event, _: &Knowledge, now: Timestamp) -> Option<Signal> {
        let Event::ChangeSettled { outcome } = event else { return None };
        let Knob::Threshold(series) = &outcome.knob else { return None };
        let value = match outcome.verification {
            Verification::Met => 1.0,
            Verification::Failed => 0.0,
            Verification::Inconclusive | Verification::Superseded => return None,
        };
        Some(heard(self.kind(), "outcome", value, Some(series), now))
    }

    fn reflect(&self, signals: &[Signal], knowledge: &Knowledge, now: Timestamp) -> Vec<Adjustment> {
        // One word per series: the latest outcome.
        let latest: BTreeMap<_, _> =
            signals.iter().filter_map(|signal| Some((signal.series.as_ref()?, signal))).collect();
        let rate = knowledge.parameters().learning_rate.get();
        let adjust = |(name, signal): (&crate::series::SeriesName, &Signal)| {
            let from = knowledge.find(name)?.trust(now);
            let met = signal.value > 0.5;
            // Losing trust is quicker than gaining it: a wrong threshold costs more than a cautious one.
            let to = if met { from + rate * (1.0 - from) } else { from - 2.0 * rate * (from - TRUST_MIN) };
            let to = if met && 1.0 - to < NEAR { 1.0 } else { to.max(TRUST_MIN) };
            let reason = match met {
                true => format!("the last threshold of {name} held"),
                false => format!("the last threshold of {name} did not hold"),
            };
            let target = Target::Trust(name.clone());
            let aim = self.aim(&target, knowledge, signal.at);
            (to != from).then_some(Adjustment { target, from, to, reason, cause: signal.id, explicit: false, aim })
        };
        latest.into_iter().filter_map(adjust).collect()
    }

    /// How far the share of breaches is from the wanted one.
    fn aim(&self, target: &Target, knowledge: &Knowledge, _: Timestamp) -> Option<f64> {
        let series = knowledge.find(target.series()?)?;
        let samples = series.window().len().min(AIM_SAMPLES);
        series.in_force()?;
        Some((series.breaches_in_last(samples) as f64 / samples.max(1) as f64 - BREACH_SHARE_WANTED).abs())
    }
}
