//! Median plus and minus `k` median absolute deviations: half of the window may be wild and nothing moves.
//! 1.4826 makes the deviation that of a bell (Rousseeuw and Croux, 1993).

use super::{Baseline, Level, Proposal, Strategy, proposal};
use crate::config::StrategyName;
use crate::stats::median_deviation;

pub struct Robust;

const TO_SIGMA: f64 = 1.482_602_218_505_602;

impl Strategy for Robust {
    fn name(&self) -> StrategyName {
        "robust".into()
    }

    fn formula(&self, level: Level) -> String {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        format!("median ± {:.2} scaled median deviations", k.get())
    }

    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        let median = baseline.statistics.median;
        let width = k.get() * TO_SIGMA * median_deviation(baseline.sorted, median);
        proposal(baseline, median - width, median, median + width)
    }
}
