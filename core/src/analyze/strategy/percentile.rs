//! P95, and P5 below: no assumption about the shape, and no word about what lies beyond the data.

use super::{Baseline, Level, Proposal, Strategy, proposal};
use crate::config::StrategyName;
use crate::stats::{normal, quantile};

pub struct Percentile;

/// The share of samples beyond the bound on each side, at two sigmas.
const TAIL: f64 = 0.05;

impl Strategy for Percentile {
    fn name(&self) -> StrategyName {
        "percentile".into()
    }

    fn formula(&self, level: Level) -> String {
        let tail = 100.0 * tail(level);
        format!("P{tail:.1} to P{:.1}", 100.0 - tail)
    }

    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let tail = tail(level);
        let (lower, upper) = (quantile(baseline.sorted, tail), quantile(baseline.sorted, 1.0 - tail));
        proposal(baseline, lower, baseline.statistics.median, upper)
    }
}

/// The share of samples beyond the bound on each side.
fn tail(level: Level) -> f64 {
    match level {
        // The same multiple of the tail as a bell's at that width.
        Level::Formula(k) => (TAIL * normal::cdf(-k.get()) / normal::cdf(-2.0)).min(0.5),
        Level::Holding(k) => normal::cdf(-k.get()),
    }
}
