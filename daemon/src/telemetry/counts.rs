//! Events as they pass, counted since the start.

use homeostat::event::{Asked, Event, Phase, Settled};
use homeostat::execute::{Knob, Verification};
use homeostat::feedback::Verdict;
use homeostat::plan::state::SystemState;
use homeostat::rollout::Step;
use std::collections::BTreeMap;

/// Upper ends of the confidences that learned thresholds are sorted by.
pub(super) const CONFIDENCES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Events since the start, counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub(super) events: BTreeMap<&'static str, u64>,
    pub(super) transitions: BTreeMap<(SystemState, SystemState), u64>,
    pub(super) settled: BTreeMap<Verification, u64>,
    pub(super) dispatched: BTreeMap<&'static str, u64>,
    pub(super) verdicts: BTreeMap<Verdict, u64>,
    pub(super) alerts: u64,
    pub(super) muted: u64,
    pub(super) proposed: u64,
    pub(super) proposals: BTreeMap<Settled, u64>,
    pub(super) rollout_steps: BTreeMap<Step, u64>,
    pub(super) released: u64,
    pub(super) confidences: [u64; CONFIDENCES.len() + 1],
    pub(super) confidence_sum: f64,
}

impl Counts {
    pub fn count(&mut self, event: &Event) {
        *self.events.entry(event.kind()).or_default() += 1;
        match event {
            Event::StateChanged { transition, .. } => {
                *self.transitions.entry((transition.from, transition.to)).or_default() += 1;
            }
            Event::ChangeSettled { outcome } => *self.settled.entry(outcome.verification).or_default() += 1,
            Event::ChangeDispatched { change } => *self.dispatched.entry(knob(&change.knob)).or_default() += 1,
            Event::Signalled { signal } => {
                if let Some(verdict) = signal.verdict {
                    *self.verdicts.entry(verdict).or_default() += 1;
                }
            }
            Event::Alerted(alerted) if alerted.phase == Phase::Onset => {
                self.alerts += 1;
                self.muted += u64::from(alerted.muted);
            }
            Event::LevelShiftProposed { because, .. } => self.proposed += u64::from(*because == Asked::Opened),
            Event::LevelShiftSettled { settled, .. } => *self.proposals.entry(*settled).or_default() += 1,
            Event::RolloutMoved { to, .. } => *self.rollout_steps.entry(*to).or_default() += 1,
            Event::ThresholdReleased { series, .. } => self.released += series.len() as u64,
            Event::ThresholdLearned { threshold, .. } => {
                let confidence = threshold.confidence.get();
                let bin = CONFIDENCES.iter().position(|end| confidence <= *end).unwrap_or(CONFIDENCES.len());
                self.confidences[bin] += 1;
                self.confidence_sum += confidence;
            }
            Event::Alerted(_)
            | Event::SeriesAdded { .. }
            | Event::SeriesForgotten { .. }
            | Event::Forecasted { .. }
            | Event::ClaimSettled { .. }
            | Event::Adjusted { .. }
            | Event::Withheld { .. }
            | Event::EffectMeasured { .. }
            | Event::LoopPaused { .. }
            | Event::Frozen { .. }
            | Event::CycleCompleted(_) => {}
        }
    }

    pub(super) fn of(&self, kind: &str) -> f64 {
        self.events.get(kind).copied().unwrap_or(0) as f64
    }
}

fn knob(knob: &Knob) -> &'static str {
    match knob {
        Knob::Threshold(_) => "threshold",
        Knob::Sensitivity(_) => "sensitivity",
        Knob::Trust(_) => "trust",
        Knob::Preference(_) => "preference",
        Knob::Factor(_) => "factor",
        Knob::Parameters => "parameters",
    }
}
