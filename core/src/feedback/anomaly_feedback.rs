//! Anomalies → sensitivity → tuning: what people say of breaches and pages moves the sensitivity of the series.
//!
//! Sensitivity counts sigmas, so a false alarm raises it and a missed one lowers it; a true one brings it a little back
//! towards where it started. Series of the same metric are alike: each sibling takes half the step, less the more it has
//! been judged itself. A person's word is carried out as it is: never withheld, never held back. What people do says less than
//! what they say: such a verdict has a weight, and moves as much less; a word about the same alert undoes it.

use super::{Adjustment, FeedbackLoop, LoopKind, Signal, Subject, Target, Verdict};
use crate::event::Event;
use crate::knowledge::Knowledge;
use crate::knowledge::series::Series;
use crate::series::SeriesName;
use crate::time::Timestamp;
use crate::units::Sensitivity;
use std::collections::BTreeMap;

pub struct AnomalyFeedback;

/// A step is never smaller than this many sigmas, or a low learning rate would make a verdict mean nothing.
const STEP_MIN: f64 = 0.05;

/// Siblings take this share of a step.
const SHARED: f64 = 0.5;

/// Of very many siblings so many on each side by name, which have most labels in common: a word is not to keep the loop busy for long.
const SIBLINGS_MOVED: usize = 500;

impl FeedbackLoop for AnomalyFeedback {
    fn kind(&self) -> LoopKind {
        LoopKind::AnomalyFeedback
    }

    fn hear(&self, _: &Event, _: &Knowledge, _: Timestamp) -> Option<Signal> {
        // Verdicts come as signals from outside.
        None
    }

    fn reflect(&self, signals: &[Signal], knowledge: &Knowledge, _: Timestamp) -> Vec<Adjustment> {
        let rate = knowledge.parameters().learning_rate.get();
        // Several verdicts in one cycle follow on from one another.
        let mut stands: BTreeMap<SeriesName, f64> = BTreeMap::new();
        let mut adjustments = Vec::new();
        for signal in signals {
            let (Some(verdict), Some(name)) = (signal.verdict, &signal.series) else { continue };
            let Some(series) = knowledge.find(name) else { continue };
            let (weight, overruled) = match implied(knowledge, series, signal) {
                Implied::Nothing => continue,
                Implied::Counts(weight) => (weight, Vec::new()),
                Implied::Overrules(signals) => (1.0, signals),
            };
            for (name, moved) in moved_by(&overruled, knowledge, &adjustments) {
                if let Some(series) = knowledge.find(&name) {
                    let reason = format!("a person's word, {}, takes the place of what was done", verdict.as_str());
                    adjustments.extend(adjusted(&mut stands, series, -moved, reason, signal.id));
                }
            }
            let prior = series.sensitivity_prior().get();
            let from = stands.get(name).copied().unwrap_or(series.sensitivity().get());
            let step = weight
                * match verdict {
                    Verdict::False => (from * rate).max(STEP_MIN),
                    Verdict::Missed => -(from * rate).max(STEP_MIN),
                    Verdict::True => SHARED * rate * (prior - from),
                };
            // The series itself, then its siblings with their share of the step.
            let judged = match signal.weight {
                None => format!("judged {}", verdict.as_str()),
                Some(weight) => {
                    format!("judged {} by what was done ({}, weight {weight})", verdict.as_str(), signal.source)
                }
            };
            let mut steps = vec![(series, step, judged)];
            if verdict != Verdict::True {
                steps.extend(knowledge.siblings(name, SIBLINGS_MOVED).into_iter().map(|sibling| {
                    let weight = SHARED / f64::from(1 + sibling.verdicts());
                    (sibling, weight * step, format!("its sibling {name} was judged {}", verdict.as_str()))
                }));
            }
            for (series, step, reason) in steps {
                adjustments.extend(adjusted(&mut stands, series, step, reason, signal.id));
            }
        }
        adjustments
    }

    /// Explicit verdicts are never withheld, so there is nothing to compare with.
    fn aim(&self, _: &Target, _: &Knowledge, _: Timestamp) -> Option<f64> {
        None
    }
}

/// A sensitivity moved by a step, as far as it can be.
fn adjusted(
    stands: &mut BTreeMap<SeriesName, f64>,
    series: &Series,
    step: f64,
    reason: String,
    cause: u64,
) -> Option<Adjustment> {
    let stands = stands.entry(series.name().clone()).or_insert_with(|| series.sensitivity().get());
    let (from, to) = (*stands, Sensitivity::clamped(*stands + step).get());
    *stands = to;
    let target = Target::Sensitivity(series.name().clone());
    (to != from).then_some(Adjustment { target, from, to, reason, cause, explicit: true, aim: None })
}

/// How far these signals moved the sensitivity of each series, in this cycle and before.
fn moved_by(signals: &[u64], knowledge: &Knowledge, now: &[Adjustment]) -> BTreeMap<SeriesName, f64> {
    let mut moved = BTreeMap::new();
    if signals.is_empty() {
        return moved;
    }
    let before = knowledge.actions().iter().map(|action| &action.adjustment);
    for adjustment in before.chain(now).filter(|adjustment| signals.contains(&adjustment.cause)) {
        if let Target::Sensitivity(series) = &adjustment.target {
            *moved.entry(series.clone()).or_default() += adjustment.to - adjustment.from;
        }
    }
    moved
}

/// What a verdict is worth beside what was said, or done, of the same alert before.
enum Implied {
    /// A word was said already, or the same was done before.
    Nothing,
    Counts(f64),
    /// A person's word, which takes the place of these signals.
    Overrules(Vec<u64>),
}

fn implied(knowledge: &Knowledge, series: &Series, signal: &Signal) -> Implied {
    let when = |signal: &Signal| signal.about.map_or(signal.at, Subject::at);
    let mut standing: Vec<&Signal> = Vec::new();
    let mut word = false;
    for other in knowledge.signals().iter().take_while(|other| other.id < signal.id) {
        if other.verdict.is_none()
            || other.series.as_ref() != Some(series.name())
            || !series.same_alert(when(other), when(signal))
        {
            continue;
        }
        match other.weight {
            Some(_) => standing.push(other),
            None => {
                word = true;
                standing.clear();
            }
        }
    }
    match signal.weight {
        None => Implied::Overrules(standing.into_iter().map(|other| other.id).collect()),
        Some(_) if word || standing.iter().any(|other| other.verdict == signal.verdict) => Implied::Nothing,
        Some(weight) => Implied::Counts(weight.get()),
    }
}
