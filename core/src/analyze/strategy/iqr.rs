//! Quartiles plus and minus 1.5 interquartile ranges (Tukey's fences, 1977): a quarter of wild values moves nothing.

use super::{Baseline, Level, Proposal, Strategy, proposal};
use crate::config::StrategyName;

pub struct Iqr;

/// The third quartile of a bell, in sigmas; its interquartile range is twice that.
const QUARTILE: f64 = 0.674_489_750_196_081_7;

impl Strategy for Iqr {
    fn name(&self) -> StrategyName {
        "iqr".into()
    }

    fn formula(&self, level: Level) -> String {
        format!("quartiles ± {:.2} interquartile ranges", ranges(level))
    }

    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let statistics = &baseline.statistics;
        let width = ranges(level) * statistics.iqr;
        proposal(baseline, statistics.p25 - width, statistics.median, statistics.p75 + width)
    }
}

fn ranges(level: Level) -> f64 {
    match level {
        Level::Formula(k) => 1.5 * k.get() / 2.0,
        Level::Holding(k) => (k.get() - QUARTILE) / (2.0 * QUARTILE),
    }
}
