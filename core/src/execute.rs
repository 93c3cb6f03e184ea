//! E: which changes go now, which wait, and what came of them.
use crate::config::{Parameters, StrategyName};
use crate::feedback::{LoopKind, ParameterKind};
use crate::knowledge::{Knowledge, Pending};
use crate::plan::state::EvidenceKind;
use crate::series::SeriesName;
use crate::shared_text::SharedText;
use crate::threshold::Pair;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a change turns. The engine's own knobs come first; those of other systems join them here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// The active threshold of a series.
    Threshold(SeriesName),
    Sensitivity(SeriesName),
    Trust(SeriesName),
    Preference(StrategyName),
    Factor(ParameterKind),
    /// The parameters: the change says where they are going, each cycle how far they are.
    Parameters,
}

impl Knob {
    /// The series it belongs to, when it belongs to one.
    pub fn series(&self) -> Option<&SeriesName> {
        match self {
            Knob::Threshold(series) | Knob::Sensitivity(series) | Knob::Trust(series) => Some(series),
            Knob::Preference(_) | Knob::Factor(_) | Knob::Parameters => None,
        }
    }
}

/// Where a knob stands: always absolute.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The knob did not stand anywhere before.
    Unset,
    Number(f64),
    Bounds(Pair),
    Parameters(Parameters),
}

/// What a change claims will be measured when it is due. It can be wrong, on record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Expectation {
    pub of: Measure,
    /// The measure is to lie within these, inclusive.
    pub at_least: f64,
    pub at_most: f64,
    /// When it is looked at.
    pub due: Timestamp,
}

/// What an expectation measures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of a series' samples in breach, among those judged since the change.
    BreachShare(SeriesName),
    /// A kind of evidence.
    Evidence(EvidenceKind),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Counted from 1, never used twice: carrying one out again after a crash is harmless.
    pub id: u64,
    pub at: Timestamp,
    pub knob: Knob,
    pub from: Setting,
    pub to: Setting,
    pub because: SharedText,
    /// The loop that asked for it, when one did.
    pub by: Option<LoopKind>,
    pub expect: Expectation,
    /// Hash of the situation it was decided in.
    pub situation: u64,
}

/// How a change ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// The expectation came true.
    Met,
    /// It did not.
    Failed,
    /// Too little was seen to say.
    Inconclusive,
    /// A later change of the same knob took its place first.
    Superseded,
}

impl Verification {
    pub const ALL: [Verification; 4] =
        [Verification::Met, Verification::Failed, Verification::Inconclusive, Verification::Superseded];

    pub const fn as_str(self) -> &'static str {
        match self {
            Verification::Met => "met",
            Verification::Failed => "failed",
            Verification::Inconclusive => "inconclusive",
            Verification::Superseded => "superseded",
        }
    }
}

/// What became of a change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub change: u64,
    pub at: Timestamp,
    pub knob: Knob,
    pub by: Option<LoopKind>,
    pub strategy: Option<StrategyName>,
    pub verification: Verification,
    /// What was measured, when something was.
    pub measured: Option<f64>,
}

/// What became of a change whose expectation is due; none while it is not.
pub(crate) fn settle(knowledge: &Knowledge, pending: &Pending, now: Timestamp) -> Option<Outcome> {
    let change = &pending.change;
    if now < change.expect.due {
        return None;
    }
    let measured = match &change.expect.of {
        // While it is in trouble, that its bounds are breached says nothing of them.
        Measure::BreachShare(name) => {
            knowledge.find(name).filter(|series| !series.is_in_trouble()).and_then(|series| {
                let judged = series.tally().judged.saturating_sub(pending.judged);
                let breached = series.tally().breached.saturating_sub(pending.breached);
                (judged >= SETTLED_MIN).then(|| breached as f64 / judged as f64)
            })
        }
        Measure::Evidence(kind) => knowledge.evidence_at(now).get(*kind),
    };
    let verification = match measured {
        Some(value) if (change.expect.at_least..=change.expect.at_most).contains(&value) => Verification::Met,
        Some(_) => Verification::Failed,
        None => Verification::Inconclusive,
    };
    Some(outcome(pending, verification, measured, now))
}

/// A change whose place was taken by a later one of the same knob.
pub(crate) fn superseded(pending: &Pending, now: Timestamp) -> Outcome {
    outcome(pending, Verification::Superseded, None, now)
}

/// A change of a series that leaves before it is due.
pub(crate) fn given_up(pending: &Pending, now: Timestamp) -> Outcome {
    outcome(pending, Verification::Inconclusive, None, now)
}

fn outcome(pending: &Pending, verification: Verification, measured: Option<f64>, now: Timestamp) -> Outcome {
    Outcome {
        change: pending.change.id,
        at: now,
        knob: pending.change.knob.clone(),
        by: pending.change.by,
        strategy: pending.strategy.clone(),
        verification,
        measured,
    }
}

/// Under so many judged samples a share says too little.
const SETTLED_MIN: u64 = 20;
