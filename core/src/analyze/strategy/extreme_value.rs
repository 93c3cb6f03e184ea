//! Peaks over threshold (Siffer et al., 2017): each side's outermost twentieth is described by a generalised Pareto
//! distribution, so that bounds lie where few or no samples were seen yet; inside of it the window itself says.

use super::{Baseline, Level, Proposal, Strategy, proposal};
use crate::config::StrategyName;
use crate::stats::{normal, tail};

pub struct ExtremeValue;

impl Strategy for ExtremeValue {
    fn name(&self) -> StrategyName {
        "extreme_value".into()
    }

    fn formula(&self, level: Level) -> String {
        format!("the {:.3} % tail of peaks over P95 and under P5", 100.0 * beyond(level))
    }

    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let (p, floor, sorted) = (beyond(level), baseline.resolution(), baseline.sorted);
        let (lower, upper) = (tail::lower_level(sorted, p, floor, 1.0), tail::upper_level(sorted, p, floor, 1.0));
        proposal(baseline, lower, baseline.statistics.median, upper)
    }
}

/// The share of samples beyond the bound on each side: a bell's at that width.
fn beyond(level: Level) -> f64 {
    let (Level::Formula(k) | Level::Holding(k)) = level;
    normal::cdf(-k.get())
}
