//! The five states of the loop, and the whole machine that moves between them.

use crate::config::StateLimits;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemState {
    #[default]
    Healthy,
    Optimizing,
    Degraded,
    Critical,
    Recovering,
}

impl SystemState {
    pub const ALL: [SystemState; 5] = [
        SystemState::Healthy,
        SystemState::Optimizing,
        SystemState::Degraded,
        SystemState::Critical,
        SystemState::Recovering,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            SystemState::Healthy => "healthy",
            SystemState::Optimizing => "optimizing",
            SystemState::Degraded => "degraded",
            SystemState::Critical => "critical",
            SystemState::Recovering => "recovering",
        }
    }
}

/// What the state is decided from. All are ratios; the last two where low or high is bad as `StateLimits::pairs` says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    CycleLatency,
    OwnMemory,
    HostProcessor,
    HostMemory,
    BreachShare,
    DecisionQuality,
    FalseShare,
}

impl EvidenceKind {
    pub const ALL: [EvidenceKind; 7] = [
        EvidenceKind::CycleLatency,
        EvidenceKind::OwnMemory,
        EvidenceKind::HostProcessor,
        EvidenceKind::HostMemory,
        EvidenceKind::BreachShare,
        EvidenceKind::DecisionQuality,
        EvidenceKind::FalseShare,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EvidenceKind::CycleLatency => "cycle_latency",
            EvidenceKind::OwnMemory => "own_memory",
            EvidenceKind::HostProcessor => "host_processor",
            EvidenceKind::HostMemory => "host_memory",
            EvidenceKind::BreachShare => "breach_share",
            EvidenceKind::DecisionQuality => "decision_quality",
            EvidenceKind::FalseShare => "false_share",
        }
    }
}

/// What is known now; what is not there is absent, neither 0 nor 1.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Evidence([Option<f64>; EvidenceKind::ALL.len()]);

impl Evidence {
    pub fn get(&self, kind: EvidenceKind) -> Option<f64> {
        self.0[kind as usize]
    }

    pub fn set(&mut self, kind: EvidenceKind, value: Option<f64>) {
        self.0[kind as usize] = value.filter(|v| v.is_finite());
    }

    /// What is there, in order.
    pub fn iter(&self) -> impl Iterator<Item = (EvidenceKind, f64)> + '_ {
        EvidenceKind::ALL.iter().filter_map(|kind| self.get(*kind).map(|value| (*kind, value)))
    }
}

/// One move of the machine, with what moved it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Transition {
    pub at: Timestamp,
    pub from: SystemState,
    pub to: SystemState,
    /// One sentence: which limit, which value.
    pub cause: String,
    pub evidence: Evidence,
    /// Until when an operator holds the state, when one does.
    pub forced_until: Option<Timestamp>,
}

/// The state, since when, and what counts towards the next move. Plain data: the machine is `next`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StateSince {
    pub state: SystemState,
    pub since: Timestamp,
    /// Cycles in a row with a degraded, with a critical limit entered.
    pub degraded_cycles: u32,
    pub critical_cycles: u32,
    /// Since when all limits of the present state are under their leave values.
    pub clear_since: Option<Timestamp>,
    /// Since when there is no degraded evidence at all.
    pub calm_since: Option<Timestamp>,
    pub forced_until: Option<Timestamp>,
}
