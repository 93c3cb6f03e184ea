//! Memory that belongs to no series.

use super::*;
use crate::budget::Budget;
use crate::rollout::Rollout;
use crate::series::Selector;

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
    /// What was changed lately that belongs to no series.
    #[serde(default)]
    pub changes: Changes,
    /// All of it, as an earlier form held it: read, and never written.
    #[serde(default, skip_serializing)]
    pub pending: BTreeMap<u64, Pending>,
    #[serde(default, skip_serializing)]
    pub dispatched: Turned,
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
    /// When a cycle last counted by itself.
    #[serde(default)]
    pub counted: Timestamp,
    /// The last cycle came not to all that there was to learn.
    #[serde(default)]
    pub goes_on: bool,
    /// Counters that ids are drawn from.
    pub signal_id: u64,
    pub change_id: u64,
    pub chance: u64,
    /// The seed that it began with.
    #[serde(default)]
    pub seed: u64,
    /// Changes were stopped by an order. The configuration may stop them as well.
    pub frozen: bool,
    /// Who shares which budget, as of the last round of cycles.
    #[serde(default)]
    pub sharing: Vec<(Pool, Sharing)>,
    /// Up to which series cycles have come in this round, and what they counted so far.
    #[serde(default)]
    pub turn: Option<SeriesName>,
    #[serde(default)]
    pub counting: BTreeMap<Pool, Sharing>,
    /// About how many bytes series take: counted in this round so far, and of all by the round before, less what was given back since.
    #[serde(default)]
    pub bytes_counted: u64,
    #[serde(default)]
    pub bytes: u64,
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
    /// What became of the thresholds of each alert rule elsewhere, by its name.
    #[serde(default)]
    pub rollouts: BTreeMap<String, Rollout>,
}

/// A budget that series share, and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Shared<'a> {
    /// Whose it is; none: of all that have no other.
    pub selector: Option<&'a Selector>,
    pub asked: Budget,
    /// How many share it: those that may page, or where none may all that are watched.
    pub series: usize,
    /// Alerts a week that they had together lately and that did not matter or were not judged. None: none was seen for long
    /// enough.
    pub alerts_per_week: Option<f64>,
}

/// A budget that several series share: that of all, or that of a rule for those it names, by its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Pool {
    All,
    Rule(usize),
}

/// How many series share a budget: that may page, and that are watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sharing {
    pub paging: usize,
    pub watched: usize,
}

impl General {
    /// By how many series the budget of this one is shared, itself included. Those that may page share it alone; the others
    /// alert as rarely as if all did.
    pub(super) fn sharing_with(&self, series: &Series) -> usize {
        let Some(pool) = series.pool() else { return 1 };
        let sharing =
            self.sharing.iter().find(|(of, _)| *of == pool).map_or(Sharing::default(), |(_, sharing)| *sharing);
        let count = if series.pages() && sharing.paging > 0 { sharing.paging } else { sharing.watched };
        count.max(1)
    }

    /// What its budget leaves a series.
    pub(super) fn share_of(&self, series: &Series, config: &Config) -> AlertLevel {
        series.own_budget().unwrap_or(config.budget).level(self.sharing_with(series))
    }
}
