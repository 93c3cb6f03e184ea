//! What the engine decided, as facts in order.
//!
//! One stream of events is the journal, the page's feed, the metrics and the test transcript. Applying the same events
//! over the same samples gives the same memory.

use crate::calendar::During;
use crate::config::{Kind, Parameters};
use crate::execute::{Change, Outcome};
use crate::feedback::weights::Spoke;
use crate::feedback::{Adjustment, LoopKind, Signal};
use crate::knowledge::claims::Running;
use crate::knowledge::proposals::Side;
use crate::monitor::Why;
use crate::plan::guard::Refusal;
use crate::plan::state::{Evidence, StateSince, SystemState, Transition};
use crate::rollout::{self, Step};
use crate::series::SeriesName;
use crate::threshold::{Pair, Threshold};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Version of the events' form, kept beside each in the journal. An event of a later version is kept and skipped.
pub const EVENT_VERSION: u16 = 1;

/// Every decision carries `situation`, the fingerprint of the situation it was made in: see
/// [`situation`](Event::situation).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A series was seen for the first time (or again after it was forgotten).
    SeriesAdded {
        series: SeriesName,
        declared: Option<Kind>,
        /// The histogram it is made of; none: samples of it come from outside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        derived_from: Option<SeriesName>,
    },
    SeriesForgotten {
        series: SeriesName,
        because: Forgotten,
    },
    /// A threshold was learned. `active` says whether its confidence suffices to use it.
    ThresholdLearned {
        series: SeriesName,
        threshold: Arc<Threshold>,
        active: bool,
        /// None: written before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        situation: Option<u64>,
    },
    Alerted(Alerted),
    /// A trend leads a series beyond its alert level within the lookahead. No time: the forecast is withdrawn, because the
    /// trend leads there no longer or because nothing can be said of it (in critical, whose analysis depth is less than a
    /// trend needs).
    Forecasted {
        series: SeriesName,
        crosses_at: Option<Timestamp>,
        /// None: written before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        situation: Option<u64>,
    },
    /// The week of what a confidence claimed is over: it was kept, or there were more pages. `kept` is not there where too
    /// little of the week was seen.
    ClaimSettled {
        series: SeriesName,
        claim: Running,
        #[serde(default)]
        kept: Option<bool>,
    },
    StateChanged {
        transition: Transition,
        situation: u64,
    },
    /// A change goes out; for the engine's own knobs it takes effect with this event.
    ChangeDispatched {
        change: Change,
    },
    ChangeSettled {
        outcome: Outcome,
    },
    Signalled {
        signal: Signal,
    },
    /// A loop's adjustment takes effect, by the change named.
    Adjusted {
        by: LoopKind,
        adjustment: Adjustment,
        change: u64,
        situation: u64,
    },
    /// A loop's adjustment was held back by chance, to measure what the others do.
    Withheld {
        by: LoopKind,
        adjustment: Adjustment,
        id: u64,
        situation: u64,
    },
    /// The aim of an adjustment was measured again when it was due.
    EffectMeasured {
        by: LoopKind,
        id: u64,
        after: Option<f64>,
    },
    /// A loop that did harm was stopped, or goes on.
    LoopPaused {
        by: LoopKind,
        paused: bool,
        because: String,
        /// None: written before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        situation: Option<u64>,
    },
    /// All changes stop, or may go on. Judging and learning do not stop.
    Frozen {
        frozen: bool,
        because: String,
        /// None: written before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        situation: Option<u64>,
    },
    /// The level of a series, or of several together, shifted and stayed so for a day: a person is asked whether that is
    /// ordinary now. The same proposal again where another series joins it, and where it is asked again.
    LevelShiftProposed {
        id: u64,
        /// When the first of them shifted.
        since: Timestamp,
        because: Asked,
        /// All of them, or those that joined, or those that it is asked again about.
        series: Vec<LevelShift>,
        situation: u64,
    },
    /// What became of series of a proposal.
    LevelShiftSettled {
        id: u64,
        settled: Settled,
        series: Vec<SeriesName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        situation: u64,
    },
    /// What is tried out for an alert rule elsewhere goes a step on, or is taken back. `id` counts what was tried out for it.
    RolloutMoved {
        rule: String,
        id: u64,
        to: Step,
        because: String,
        /// What both thresholds would have paged for; none at the beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<rollout::Evidence>>,
        /// How the rule compares, as `> by (host)`; none: written before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compares: Option<String>,
        situation: u64,
    },
    /// A rule is served thresholds of these series at once, without a trial.
    ThresholdReleased {
        rule: String,
        series: Vec<SeriesName>,
        because: String,
        situation: u64,
    },
    /// One turn of the loop ended. Carries what the turn measured, so that a replay need not measure again.
    CycleCompleted(Box<CycleCompleted>),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CycleCompleted {
    pub at: Timestamp,
    pub evidence: Evidence,
    pub state: StateSince,
    /// Share of series usually in breach, slowly averaged.
    pub breach_share_usual: Option<f64>,
    /// Series learned in this cycle without news: their threshold stays as it is.
    pub confirmed: Vec<SeriesName>,
    /// What was seen of series whose level may have shifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
    /// Series learned in this cycle, and still waiting to be.
    pub learned: u32,
    pub waiting: u32,
    /// There was more to learn than fits one cycle: the next one comes early.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
    /// The last series by name that it came to, where it did not come to all whose turn it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<SeriesName>,
    /// Changes that the guard held back, and how many of them for which reason (none: written before that was kept).
    pub refused: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_because: BTreeMap<Refusal, u32>,
    /// Where the parameters stand, and the state whose row they follow.
    pub parameters: Parameters,
    pub parameters_of: SystemState,
    /// Signals up to this id were reflected on.
    pub heard: u64,
    /// Where chance stands.
    pub chance: u64,
}

/// A series whose level shifted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LevelShift {
    pub series: SeriesName,
    pub since: Timestamp,
    /// The ordinary value before, and the middle of what it was lately, when it was asked about first.
    pub before: f64,
    pub after: f64,
}

/// Why a proposal is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// It is new.
    Opened,
    /// Another series shifted at the same time.
    Joined,
    /// Nobody answered, and some of the series have an owner.
    Again,
}

/// What became of a question about a series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// A person said that it is ordinary now.
    Accepted,
    /// A person said that it is trouble.
    Refused,
    /// Nobody answered, and it has no owner: it counts as ordinary.
    Unanswered,
    /// The level before came back, unanswered; or the series did not stay.
    Returned,
    /// The trouble that it was called is over: the level before is back.
    Over,
}

impl Settled {
    pub const ALL: [Settled; 5] =
        [Settled::Accepted, Settled::Refused, Settled::Unanswered, Settled::Returned, Settled::Over];

    pub const fn as_str(self) -> &'static str {
        match self {
            Settled::Accepted => "accepted",
            Settled::Refused => "refused",
            Settled::Unanswered => "unanswered",
            Settled::Returned => "returned",
            Settled::Over => "over",
        }
    }
}

/// What an hour of samples says of a series whose level may have shifted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Look {
    pub series: SeriesName,
    /// The first and the last of its samples.
    pub from: Timestamp,
    pub until: Timestamp,
    /// On which side of the bounds before most of them lie; none: on neither.
    pub side: Option<Side>,
    /// The middle of them.
    pub level: f64,
}

/// Why a series is held no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgotten {
    /// No sample for `series_ttl`.
    Ended,
    /// It gave way to a new one at `series_max`.
    GaveWay,
    /// The configuration says another kind of it now; it begins anew with its next sample.
    ReadOtherwise,
}

/// An alert begins or ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alerted {
    pub series: SeriesName,
    pub at: Timestamp,
    pub phase: Phase,
    pub value: f64,
    /// The alert's bounds at that time.
    pub bounds: Pair,
    /// Whether it may page a person.
    pub pages: bool,
    /// It would page, were its series not asked about: see [`Event::LevelShiftProposed`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
    /// At an onset, what was strange, where the detector says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The entry of a calendar that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
    /// At an onset, which features spoke and how much, where the detector says so: what a verdict about it moves.
    #[serde(default, skip_serializing_if = "Spoke::is_empty")]
    pub spoke: Spoke,
    pub situation: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Onset,
    End,
}

/// An event in its envelope, as the journal keeps it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// Counted from 1 without gaps.
    pub seq: u64,
    pub at: Timestamp,
    /// Version of the event's form.
    pub v: u16,
    pub event: Event,
}

impl Event {
    /// The word the event is known by, as in its JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Event::SeriesAdded { .. } => "series_added",
            Event::SeriesForgotten { .. } => "series_forgotten",
            Event::ThresholdLearned { .. } => "threshold_learned",
            Event::Alerted(_) => "alerted",
            Event::Forecasted { .. } => "forecasted",
            Event::ClaimSettled { .. } => "claim_settled",
            Event::StateChanged { .. } => "state_changed",
            Event::ChangeDispatched { .. } => "change_dispatched",
            Event::ChangeSettled { .. } => "change_settled",
            Event::Signalled { .. } => "signalled",
            Event::Adjusted { .. } => "adjusted",
            Event::Withheld { .. } => "withheld",
            Event::EffectMeasured { .. } => "effect_measured",
            Event::LoopPaused { .. } => "loop_paused",
            Event::Frozen { .. } => "frozen",
            Event::LevelShiftProposed { .. } => "level_shift_proposed",
            Event::LevelShiftSettled { .. } => "level_shift_settled",
            Event::RolloutMoved { .. } => "rollout_moved",
            Event::ThresholdReleased { .. } => "threshold_released",
            Event::CycleCompleted(_) => "cycle_completed",
        }
    }

    /// The feedback loop whose news it is, when it is one's: signals, adjustments, pauses and proposals.
    pub const fn of_loop(&self) -> Option<LoopKind> {
        match self {
            Event::Signalled { signal } => Some(signal.of),
            Event::Adjusted { by, .. } | Event::Withheld { by, .. } | Event::LoopPaused { by, .. } => Some(*by),
            // What people are asked, and what they say.
            Event::LevelShiftProposed { .. } | Event::LevelShiftSettled { .. } => Some(LoopKind::AnomalyFeedback),
            _ => None,
        }
    }

    /// The fingerprint of the situation that it was decided in: alike situations are equal. None for what is no decision
    /// (what was seen, heard or measured, and what became of a change, whose own event has it), and for decisions of journals
    /// that were written before it was kept.
    pub const fn situation(&self) -> Option<u64> {
        match self {
            Event::ThresholdLearned { situation, .. }
            | Event::Forecasted { situation, .. }
            | Event::LoopPaused { situation, .. }
            | Event::Frozen { situation, .. } => *situation,
            Event::StateChanged { situation, .. }
            | Event::LevelShiftProposed { situation, .. }
            | Event::LevelShiftSettled { situation, .. }
            | Event::RolloutMoved { situation, .. }
            | Event::ThresholdReleased { situation, .. }
            | Event::Adjusted { situation, .. }
            | Event::Withheld { situation, .. } => Some(*situation),
            Event::Alerted(alerted) => Some(alerted.situation),
            Event::ChangeDispatched { change } => Some(change.situation),
            Event::SeriesAdded { .. }
            | Event::SeriesForgotten { .. }
            | Event::ClaimSettled { .. }
            | Event::ChangeSettled { .. }
            | Event::Signalled { .. }
            | Event::EffectMeasured { .. }
            | Event::CycleCompleted(_) => None,
        }
    }

    /// The series it is about, when it is about one.
    pub fn series(&self) -> Option<&SeriesName> {
        match self {
            Event::SeriesAdded { series, .. }
            | Event::Forecasted { series, .. }
            | Event::SeriesForgotten { series, .. }
            | Event::ClaimSettled { series, .. }
            | Event::ThresholdLearned { series, .. } => Some(series),
            Event::Alerted(alerted) => Some(&alerted.series),
            Event::Signalled { signal } => signal.series.as_ref(),
            Event::ChangeDispatched { change } => change.knob.series(),
            Event::ChangeSettled { outcome } => outcome.knob.series(),
            Event::Adjusted { adjustment, .. } | Event::Withheld { adjustment, .. } => adjustment.target.series(),
            Event::LevelShiftProposed { series, .. } => match series.as_slice() {
                [one] => Some(&one.series),
                _ => None,
            },
            Event::LevelShiftSettled { series, .. } | Event::ThresholdReleased { series, .. } => {
                match series.as_slice() {
                    [one] => Some(one),
                    _ => None,
                }
            }
            Event::StateChanged { .. }
            | Event::EffectMeasured { .. }
            | Event::LoopPaused { .. }
            | Event::Frozen { .. }
            | Event::RolloutMoved { .. }
            | Event::CycleCompleted(_) => None,
        }
    }
}
