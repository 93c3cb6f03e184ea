//! Memory that belongs to no series.

use super::*;

/// Everything but the series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct General {
    pub state: StateSince,
    pub parameters: Parameters,
    /// The state whose row the parameters follow.
    pub parameters_of: SystemState,
    pub factors: Factors,
    pub preferences: BTreeMap<crate::config::StrategyName, f64>,
    /// Latest measured evidence of each kind, and when.
    pub measured: BTreeMap<EvidenceKind, (f64, Timestamp)>,
    pub breach_share_usual: Option<f64>,
    pub evidence: Evidence,
    pub pending: BTreeMap<u64, Pending>,
    pub pending_by_knob: BTreeMap<Knob, u64>,
    pub dispatched: Dispatched,
    pub outcomes: History<Verification>,
    /// How many changes ended in each way.
    pub settled: BTreeMap<Verification, u64>,
    /// Of alerts, and what was missed. What is said of a mere breach moves the sensitivity and counts no page.
    pub verdicts: History<(Timestamp, Verdict)>,
    pub signals: History<Signal>,
    pub actions: History<Action>,
    pub transitions: History<Transition>,
    pub optimizations: History<Optimization>,
    pub loops: BTreeMap<LoopKind, LoopMemory>,
    pub fates: Fates,
    pub forgotten: u64,
    pub refused_series: u64,
    pub refused_changes: u64,
    #[serde(default)]
    pub refused_because: BTreeMap<Refusal, u64>,
    pub cycles: u64,
    pub last_cycle: Timestamp,
    /// Something happened that should not wait for the next regular cycle.
    pub hurry: bool,
    /// Counters that ids are drawn from.
    pub signal_id: u64,
    pub change_id: u64,
    pub chance: u64,
    /// The seed that it began with.
    #[serde(default)]
    pub seed: u64,
    /// Changes were stopped by an order. The configuration may stop them as well.
    pub frozen: bool,
    /// How many series share the budget of all, and how many are watched, as of the last cycle.
    #[serde(default)]
    pub sharing: usize,
    #[serde(default)]
    pub watching: usize,
    /// What verdicts said of each feature, of all series; and the same as of the last cycle, which new series start at and all
    /// are shrunk to.
    #[serde(default)]
    pub features: Heard,
    #[serde(default)]
    pub fleet: Heard,
    #[serde(default)]
    pub claims: Claims,
    #[serde(default)]
    pub proposals: Proposals,
}

impl General {
    pub(super) fn sharing_with(&self, series: &Series) -> usize {
        let aside = self.sharing < self.watching && !series.pages();
        if aside { self.watching } else { self.sharing }
    }

    /// What the budget of all leaves a series.
    pub(super) fn share_of(&self, series: &Series, config: &Config) -> AlertLevel {
        config.budget.level(self.sharing_with(series))
    }
}
