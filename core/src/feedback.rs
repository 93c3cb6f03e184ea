//! Closing the loop: what the five loops hear, and what they would change.
//!
//! A loop hears events and remembers nothing itself: what it heard is in the signals, what it did in the actions, both
//! in Knowledge. It answers with adjustments; whether those happen is the plan's business.

pub mod anomaly_feedback;
pub mod decision_quality;
pub mod effect;
pub mod metrics_learning;
pub mod performance_adaptation;
pub mod resource_optimization;
pub mod subscription;
pub mod weights;

use crate::config::StrategyName;
use crate::event::Event;
use crate::knowledge::Knowledge;
use crate::series::SeriesName;
use crate::time::Timestamp;
use crate::units::Ratio;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The five loops: a closed set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopKind {
    MetricsLearning,
    PerformanceAdaptation,
    DecisionQuality,
    AnomalyFeedback,
    ResourceOptimization,
}

impl LoopKind {
    pub const ALL: [LoopKind; 5] = [
        LoopKind::MetricsLearning,
        LoopKind::PerformanceAdaptation,
        LoopKind::DecisionQuality,
        LoopKind::AnomalyFeedback,
        LoopKind::ResourceOptimization,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            LoopKind::MetricsLearning => "metrics_learning",
            LoopKind::PerformanceAdaptation => "performance_adaptation",
            LoopKind::DecisionQuality => "decision_quality",
            LoopKind::AnomalyFeedback => "anomaly_feedback",
            LoopKind::ResourceOptimization => "resource_optimization",
        }
    }
}

/// What a person says of a breach or a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It mattered.
    True,
    /// It did not matter: be less sensitive.
    False,
    /// It mattered and nothing was said: be more sensitive.
    Missed,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Missed => "missed",
        }
    }
}

/// What a loop hears.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Signal {
    /// Counted from 1 by the engine; 0 until then.
    pub id: u64,
    pub at: Timestamp,
    #[serde(rename = "loop")]
    pub of: LoopKind,
    /// Where it comes from: an [`EvidenceKind`](crate::plan::state::EvidenceKind) by name, `verdict`, `outcome`, or a
    /// caller's own word.
    pub source: StrategyName,
    pub value: f64,
    #[serde(default)]
    pub series: Option<SeriesName>,
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// What a verdict is about; none: the time of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Subject>,
    /// How much a verdict counts that nobody gave in so many words, such as a silence: over 0 and under 1. None: a person's
    /// word, which counts whole and overrules those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Ratio>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl Signal {
    /// A value, about no series and without a verdict; its number is the engine's to give.
    pub fn new(of: LoopKind, source: impl Into<StrategyName>, value: f64, at: Timestamp) -> Signal {
        Signal {
            id: 0,
            at,
            of,
            source: source.into(),
            value,
            series: None,
            verdict: None,
            about: None,
            weight: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// What a verdict is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// What was said, or not said, then.
    Moment { at: Timestamp },
    /// All of a time. One that mattered is left out of what is learned; one that did not is learned from.
    Period { from: Timestamp, until: Timestamp },
    /// Since then the series is another one: nothing older is learned from, once there are samples enough since.
    ChangePoint { at: Timestamp },
}

impl Subject {
    /// The moment, or where it begins.
    pub const fn at(self) -> Timestamp {
        match self {
            Subject::Moment { at } | Subject::Period { from: at, .. } | Subject::ChangePoint { at } => at,
        }
    }
}

/// A parameter of the loop that a factor may scale.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    MonitoringInterval,
    AnalysisDepth,
    PlanningLookahead,
    ExecutionParallelism,
    LearningRate,
}

impl ParameterKind {
    pub const ALL: [ParameterKind; 5] = [
        ParameterKind::MonitoringInterval,
        ParameterKind::AnalysisDepth,
        ParameterKind::PlanningLookahead,
        ParameterKind::ExecutionParallelism,
        ParameterKind::LearningRate,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            ParameterKind::MonitoringInterval => "monitoring_interval",
            ParameterKind::AnalysisDepth => "analysis_depth",
            ParameterKind::PlanningLookahead => "planning_lookahead",
            ParameterKind::ExecutionParallelism => "execution_parallelism",
            ParameterKind::LearningRate => "learning_rate",
        }
    }
}

impl ParameterKind {
    /// What it is counted in; none: a ratio.
    pub const fn unit(self) -> Option<&'static str> {
        match self {
            ParameterKind::MonitoringInterval | ParameterKind::PlanningLookahead => Some("s"),
            ParameterKind::AnalysisDepth => Some("samples"),
            ParameterKind::ExecutionParallelism => Some("tasks"),
            ParameterKind::LearningRate => None,
        }
    }
}

/// What an adjustment changes. Every one is a number that the running loop uses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Factor (0.5 to 2) on the state's row.
    Factor(ParameterKind),
    /// A series' sensitivity in sigmas (1 to 6).
    Sensitivity(SeriesName),
    /// How far a series' thresholds are trusted (0.25 to 1); multiplies the confidence of the next one.
    Trust(SeriesName),
    /// Weight (0.5 to 2) on a strategy's loss when adaptive chooses; above 1 it is avoided.
    Preference(StrategyName),
}

impl Target {
    /// The series it belongs to, when it belongs to one.
    pub fn series(&self) -> Option<&SeriesName> {
        match self {
            Target::Sensitivity(series) | Target::Trust(series) => Some(series),
            Target::Factor(_) | Target::Preference(_) => None,
        }
    }

    /// The parameter's name, as actions show it.
    pub fn name(&self) -> String {
        match self {
            Target::Factor(parameter) => parameter.as_str().to_owned(),
            Target::Sensitivity(_) => "sensitivity".to_owned(),
            Target::Trust(_) => "trust".to_owned(),
            Target::Preference(strategy) => format!("preference:{strategy}"),
        }
    }
}

/// A change that a loop wants, with its reason and cause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Adjustment {
    pub target: Target,
    pub from: f64,
    pub to: f64,
    pub reason: String,
    /// Id of the signal that caused it.
    pub cause: u64,
    /// Ordered by a person: never withheld, never held back by a rate limit.
    pub explicit: bool,
    /// The loop's aim as it stands before: what the adjustment is to lower (see [`FeedbackLoop::aim`]).
    pub aim: Option<f64>,
}

/// An adjustment that took effect, as it is kept and shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Action {
    pub id: u64,
    pub at: Timestamp,
    #[serde(rename = "loop")]
    pub of: LoopKind,
    pub adjustment: Adjustment,
    /// Of a factor: what it made of its parameter, before and after, in the parameter's unit. None for other targets, and where it
    /// was written before that was kept.
    #[serde(default)]
    pub stands: Option<(f64, f64)>,
    /// What came of it; none until it settled.
    pub outcome: Option<crate::execute::Verification>,
}

/// One of the five loops. Holds no state of its own.
pub trait FeedbackLoop: Send + Sync {
    fn kind(&self) -> LoopKind;

    /// What this loop makes of an event; called for every event but signals themselves, before it is applied.
    fn hear(&self, event: &Event, knowledge: &Knowledge, now: Timestamp) -> Option<Signal>;

    /// What it would change, having heard these since the last cycle (oldest first).
    fn reflect(&self, heard: &[Signal], knowledge: &Knowledge, now: Timestamp) -> Vec<Adjustment>;

    /// What the loop exists to lower, for one target, as it stands now; none when it is not known. Effectiveness is
    /// measured on it.
    fn aim(&self, target: &Target, knowledge: &Knowledge, now: Timestamp) -> Option<f64>;
}

/// The five, in the order they speak.
pub fn all() -> Vec<Box<dyn FeedbackLoop>> {
    vec![
        Box::new(metrics_learning::MetricsLearning),
        Box::new(performance_adaptation::PerformanceAdaptation),
        Box::new(decision_quality::DecisionQuality),
        Box::new(anomaly_feedback::AnomalyFeedback),
        Box::new(resource_optimization::ResourceOptimization),
    ]
}

/// A signal that a loop makes of what it heard; its number is the engine's to give.
pub(crate) fn heard(
    of: LoopKind,
    source: &'static str,
    value: f64,
    series: Option<&SeriesName>,
    now: Timestamp,
) -> Signal {
    Signal { series: series.cloned(), ..Signal::new(of, source, value, now) }
}
