//! What a window says.
use serde::{Deserialize, Serialize};

/// All statistics of a window, exact. Quantiles interpolate linearly between order statistics (type 7 of Hyndman and
/// Fan, 1996); `std_dev` is the population's.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Statistics {
    pub count: usize,
    pub mean: f64,
    pub median: f64,
    pub std_dev: f64,
    pub min: f64,
    pub max: f64,
    pub p25: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub iqr: f64,
}

/// Where a window is heading over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    Increasing,
    Decreasing,
    Stable,
    #[default]
    Unknown,
}
