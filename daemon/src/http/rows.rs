//! The shapes the API answers with, and how they are copied out of the engine's memory.
//!
//! Copying is all that happens on the driver's thread; making text of the copies is the caller's work. The types are the
//! reference: `openapi.json` is made from them. Here is what several of them share.

mod ab;
mod calendar;
mod explain;
mod history;
mod loops;
mod proposals;
mod rollouts;
mod series;
mod state;
mod statistics;

pub use ab::{AbRow, ab, ab_report};
pub use calendar::{CalendarRow, EntryRow};
pub use explain::Explained;
pub use history::{OptimizationRow, TransitionRow, optimizations, transitions};
pub use loops::{About, ActionRow, LoopRow, SignalRow, actions, loops, signals};
pub use proposals::{ProposalRow, proposals};
pub use rollouts::{RolloutRow, rollout, rollouts};
pub use series::{Samples, SeriesRow, series, thresholds};
pub use state::{ParametersRow, StateRow};
pub use statistics::Statistics;

use homeostat::knowledge::series::Series;
use homeostat::monitor::Fates;
use homeostat::threshold::{Pair, Threshold};
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A sample: when, and the value as it was judged (for a counter its rate per second).
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct At {
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub value: f64,
}

impl From<(Timestamp, f64)> for At {
    fn from((at, value): (Timestamp, f64)) -> At {
        At { at, value }
    }
}

/// Bounds in the series' own unit; null where there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BoundsRow {
    lower: Option<f64>,
    upper: Option<f64>,
    alert_lower: Option<f64>,
    alert_upper: Option<f64>,
}

impl BoundsRow {
    /// As they stand for a series at `now`.
    fn of(series: &Series, threshold: &Threshold, now: Timestamp) -> BoundsRow {
        let holiday = series.occasions(now).holiday;
        let ((lower, upper), (alert_lower, alert_upper)): (Pair, Pair) =
            (threshold.bounds.on(now, holiday), threshold.alert.on(now, holiday));
        BoundsRow { lower, upper, alert_lower, alert_upper }
    }
}

fn fates(fates: &Fates) -> BTreeMap<&'static str, u64> {
    fates.iter().map(|(fate, count)| (fate.as_str(), count)).collect()
}
