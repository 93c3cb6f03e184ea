//! Mean plus and minus `k` standard deviations: sharp on bell-shaped series, poor on skewed ones.

use super::{Baseline, Level, Proposal, Strategy, proposal};
use crate::config::StrategyName;

pub struct Sigma;

impl Strategy for Sigma {
    fn name(&self) -> StrategyName {
        "sigma".into()
    }

    fn formula(&self, level: Level) -> String {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        format!("mean ± {:.2} standard deviations", k.get())
    }

    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        let (mean, width) = (baseline.statistics.mean, k.get() * baseline.statistics.std_dev);
        proposal(baseline, mean - width, mean, mean + width)
    }
}
