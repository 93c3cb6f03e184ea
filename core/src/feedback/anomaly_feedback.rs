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
            let prior = series.sensitivity_prior().get();
            let from = stands.get(name).copied().unwrap_or(series.sensitivity().get());
            let whole = |verdict| match verdict {
                Verdict::False => (from * rate).max(STEP_MIN),
                Verdict::Missed => -(from * rate).max(STEP_MIN),
                Verdict::True => SHARED * rate * (prior - from),
            };
            let judged = match signal.weight {
                None => format!("judged {}", verdict.as_str()),
                Some(weight) => {
                    format!("judged {} by what was done ({}, weight {weight})", verdict.as_str(), signal.source)
                }
            };
            let implied = implied(knowledge, series, signal);
            let (word, undone) = match &implied {
                // A word was said already, or the same was done before.
                Implied::Nothing => continue,
                Implied::Counts(weight) => (*weight, 0.0),
                Implied::Overrules(said) => {
                    (1.0, said.iter().map(|(verdict, weight)| weight * whole(*verdict)).sum::<f64>())
                }
            };
            let step = word * whole(verdict) - undone;
            // The series itself, then its siblings with their share of the step.
            let mut steps = vec![(series, step, judged)];
            if verdict != Verdict::True || undone != 0.0 {
                steps.extend(siblings(knowledge, name).map(|sibling| {
                    let weight = SHARED / f64::from(1 + sibling.verdicts());
                    (sibling, weight * step, format!("its sibling {name} was judged {}", verdict.as_str()))
                }));
            }
            for (series, step, reason) in steps {
                let stands = stands.entry(series.name().clone()).or_insert_with(|| series.sensitivity().get());
                let (from, to) = (*stands, Sensitivity::clamped(*stands + step).get());
                if to != from {
                    *stands = to;
                    let target = Target::Sensitivity(series.name().clone());
                    adjustments.push(Adjustment {
                        target,
                        from,
                        to,
                        reason,
                        cause: signal.id,
                        explicit: true,
                        aim: None,
                    });
                }
            }
        }
        adjustments
    }

    /// Explicit verdicts are never withheld, so there is nothing to compare with.
    fn aim(&self, _: &Target, _: &Knowledge, _: Timestamp) -> Option<f64> {
        None
    }
}

/// What a verdict is worth beside what was said, or done, of the same alert before.
enum Implied {
    Nothing,
    Counts(f64),
    /// A person's word, which takes the place of these.
    Overrules(Vec<(Verdict, f64)>),
}

fn implied(knowledge: &Knowledge, series: &Series, signal: &Signal) -> Implied {
    let when = |signal: &Signal| signal.about.map_or(signal.at, Subject::at);
    let before = knowledge.signals().iter().filter(|other| {
        other.id < signal.id
            && other.verdict.is_some()
            && other.series.as_ref() == Some(series.name())
            && series.same_alert(when(other), when(signal))
    });
    let mut standing: Vec<(Verdict, f64)> = Vec::new();
    let mut word = false;
    for other in before {
        match (other.verdict, other.weight) {
            (Some(verdict), Some(weight)) if !word => {
                if standing.iter().all(|(said, _)| *said != verdict) {
                    standing.push((verdict, weight.get()));
                }
            }
            (Some(_), None) => {
                word = true;
                standing.clear();
            }
            _ => {}
        }
    }
    match (signal.weight, signal.verdict) {
        (None, _) => Implied::Overrules(standing),
        (Some(_), Some(verdict)) if word || standing.iter().any(|(said, _)| *said == verdict) => Implied::Nothing,
        (Some(weight), _) => Implied::Counts(weight.get()),
    }
}

/// Other series of the same metric.
fn siblings<'a>(knowledge: &'a Knowledge, name: &'a SeriesName) -> impl Iterator<Item = &'a Series> {
    let alike = move |other: &&Series| other.name() != name && other.name().metric() == name.metric();
    knowledge.series().filter(alike).filter(|_| !name.metric().is_empty())
}
