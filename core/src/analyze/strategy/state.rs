//! Bounds of a state: they enclose the values that are common, so that a rare one is a breach.

use super::{Baseline, Level, Proposal, Strategy, proposal};
use crate::config::StrategyName;
use crate::stats::normal;

pub struct State;

impl Strategy for State {
    fn name(&self) -> StrategyName {
        "state".into()
    }

    fn formula(&self, _: Level) -> String {
        "the common values ± a half".to_owned()
    }

    /// A value is common when at least as many samples have it as a bell leaves outside this width.
    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        let rare = 2.0 * normal::cdf(-k.get()) * baseline.sorted.len() as f64;
        let mut common =
            baseline.sorted.chunk_by(|a, b| a == b).filter(|run| run.len() as f64 >= rare).map(|run| run[0]);
        let lowest = common.next()?;
        let highest = common.next_back().unwrap_or(lowest);
        proposal(baseline, lowest - 0.5, baseline.statistics.median.clamp(lowest, highest), highest + 0.5)
    }
}
