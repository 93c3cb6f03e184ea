//! Ways to find bounds: from a window at once (`Strategy`) or sample by sample (`Detector`).

use crate::config::{Kind, StrategyName};
use crate::monitor::Judged;
use crate::stats::Statistics;
use crate::threshold::Bounds;
use crate::time::Timestamp;
use crate::units::Sensitivity;
use serde::{Deserialize, Serialize};

/// A window as the strategies see it. All slices have the same length, at least 1, and hold finite numbers.
#[derive(Clone, Copy, Debug)]
pub struct Baseline<'a> {
    pub kind: Kind,
    /// Milliseconds since the epoch, ascending.
    pub at: &'a [i64],
    /// In order of time.
    pub values: &'a [f64],
    /// The same values in ascending order.
    pub sorted: &'a [f64],
    pub statistics: Statistics,
}

/// At which width bounds are wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Level {
    /// The strategy's own formula, which stands at 2.0 sigma; another sensitivity scales it.
    Formula(Sensitivity),
    /// The width that holds as many ordinary samples as this many sigmas of a bell do: for comparing strategies.
    Holding(Sensitivity),
}

/// Bounds a strategy would set.
#[derive(Clone, PartialEq, Debug)]
pub struct Proposal {
    pub bounds: Bounds,
    /// The ordinary value, strictly between the bounds.
    pub center: f64,
}

/// A way to find bounds from a window. Stateless.
pub trait Strategy: Send + Sync {
    /// Text, not an enum: library users bring their own.
    fn name(&self) -> StrategyName;

    /// The formula in a few words, for the reasoning: "mean ± k standard deviations".
    fn formula(&self) -> &'static str;

    /// None: the window is too thin to say.
    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal>;
}

/// A detector's memory of one series: plain data with a version, at most 2 kB, so that a snapshot is complete.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DetectorState {
    pub version: u16,
    pub numbers: Vec<f64>,
}

/// A way to judge sample by sample. Its state is the series'.
pub trait Detector: Send + Sync {
    fn name(&self) -> StrategyName;

    fn formula(&self) -> &'static str;

    /// The state after what the window holds.
    fn start(&self, baseline: &Baseline) -> DetectorState;

    /// Score and bounds for a value, before it is learned from. `alert` and `alert_score` are the engine's to fill.
    fn judge(&self, state: &DetectorState, at: Timestamp, value: f64, sensitivity: Sensitivity) -> Judged;

    /// Learns from a value. `weight` 0 leaves the state as it is: a masked sample.
    fn learn(&self, state: &mut DetectorState, at: Timestamp, value: f64, weight: f64);
}
