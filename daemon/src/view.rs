//! What is shown of the engine's memory, in the words and units of the API. The command line prints the same rows.

use homeostat::config::StrategyName;
use homeostat::knowledge::series::Series;
use homeostat::series::SeriesName;
use homeostat::threshold::Supporting;
use homeostat::time::Timestamp;
use serde::Serialize;

/// A learned threshold as it stands now.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ThresholdRow {
    pub series: SeriesName,
    /// In the series' own unit; at least one of the two is there.
    pub upper: Option<f64>,
    pub lower: Option<f64>,
    /// In sigmas of a bell.
    pub sensitivity: f64,
    /// 0 to 1.
    pub confidence: f64,
    pub strategy: StrategyName,
    pub reasoning: String,
    pub supporting: Supporting,
    /// Whether it is the one that judges.
    pub active: bool,
    pub learned_at: Timestamp,
}

/// The row of a series; none while nothing was learned of it.
pub fn threshold_row(series: &Series, now: Timestamp) -> Option<ThresholdRow> {
    let learned = series.learned()?;
    let (lower, upper) = learned.bounds.at(now);
    Some(ThresholdRow {
        series: series.name().clone(),
        upper,
        lower,
        sensitivity: series.sensitivity().get(),
        confidence: learned.confidence.get(),
        strategy: learned.strategy.clone(),
        reasoning: learned.reasoning.clone(),
        supporting: learned.supporting,
        active: series.active(),
        learned_at: learned.learned_at,
    })
}
