//! A learned boundary: what is ordinary for a series, from which value on it is a breach, and from which a page.

use crate::config::StrategyName;
use crate::stats::{Statistics, Trend};
use crate::time::{Span, Timestamp};
use crate::units::{Confidence, Sensitivity};
use serde::{Deserialize, Serialize};

/// Lower and upper bound in the series' own unit. Each is finite or absent, never both absent, and lower < upper.
pub type Pair = (Option<f64>, Option<f64>);

/// Bounds that may depend on time. Every pair inside holds the invariant of [`Pair`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Bounds {
    /// The same at all times.
    Constant { lower: Option<f64>, upper: Option<f64> },
    /// Repeats every `period`, counted from the epoch; each of the pairs holds for an equal part of it.
    Periodic { period: Span, pairs: Box<[Pair]> },
}

/// Such bounds would hold nothing: not finite, or lower not under upper.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("bounds have to be finite or absent, not both absent, and lower < upper")]
pub struct NotBounds;

impl Bounds {
    pub fn constant(lower: Option<f64>, upper: Option<f64>) -> Result<Bounds, NotBounds> {
        checked((lower, upper)).map(|(lower, upper)| Bounds::Constant { lower, upper })
    }

    /// Bounds that repeat every `period` (not zero), one pair for each equal part of it.
    pub fn periodic(period: Span, pairs: Vec<Pair>) -> Result<Bounds, NotBounds> {
        if period == Span::ZERO || pairs.is_empty() {
            return Err(NotBounds);
        }
        let pairs = pairs.into_iter().map(checked).collect::<Result<_, _>>()?;
        Ok(Bounds::Periodic { period, pairs })
    }

    /// The bounds that hold at `at`.
    pub fn at(&self, at: Timestamp) -> Pair {
        match self {
            Bounds::Constant { lower, upper } => (*lower, *upper),
            Bounds::Periodic { period, pairs } => {
                let into = at.millis().rem_euclid(period.millis() as i64) as u64;
                let bin = (u128::from(into) * pairs.len() as u128 / u128::from(period.millis())) as usize;
                pairs[bin]
            }
        }
    }
}

fn checked((lower, upper): Pair) -> Result<Pair, NotBounds> {
    let finite = |bound: Option<f64>| bound.is_none_or(f64::is_finite);
    match (lower, upper) {
        (None, None) => Err(NotBounds),
        (Some(lower), Some(upper)) if lower >= upper => Err(NotBounds),
        pair if finite(pair.0) && finite(pair.1) => Ok(pair),
        _ => Err(NotBounds),
    }
}

/// What a window said when a threshold was learned from it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Supporting {
    #[serde(flatten)]
    pub statistics: Statistics,
    pub trend: Trend,
    /// How many independent samples the window is worth.
    #[serde(default)]
    pub effective_count: f64,
}

/// How one strategy would have done in the place of the one that was chosen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rival {
    pub strategy: StrategyName,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// Mean pinball loss on samples it had not seen, in the series' unit; lower is better. None: not measured yet.
    pub loss: Option<f64>,
}

/// A learned threshold, with all that says why it is so.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Threshold {
    /// A sample strictly outside these is a breach.
    pub bounds: Bounds,
    /// Samples strictly outside these, sustained, are an alert.
    pub alert: Bounds,
    /// How many sigma-equivalents out that is.
    pub alert_sigmas: f64,
    /// The ordinary value, between the bounds.
    pub center: f64,
    pub sensitivity: Sensitivity,
    pub confidence: Confidence,
    /// The strategy that gave the bounds (for adaptive: the one it chose).
    pub strategy: StrategyName,
    /// One or two sentences for a person.
    pub reasoning: String,
    pub supporting: Supporting,
    pub rivals: Vec<Rival>,
    pub learned_at: Timestamp,
    /// Learned from a time shorter than is usually planned ahead: breaches are told by it, alerts are not.
    #[serde(default)]
    pub young: bool,
    /// The level shifted then: nothing older was learned from.
    #[serde(default)]
    pub level_since: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_hold_nothing_are_refused() {
        for (lower, upper) in [
            (None, None),
            (Some(1.0), Some(1.0)),
            (Some(2.0), Some(1.0)),
            (Some(f64::NAN), None),
            (None, Some(f64::INFINITY)),
        ] {
            assert_eq!(Bounds::constant(lower, upper), Err(NotBounds), "{lower:?} {upper:?}");
        }
    }

    #[test]
    fn periodic_bounds_follow_the_clock_also_before_the_epoch() {
        let bounds =
            Bounds::periodic(Span::hours(24), vec![(None, Some(1.0)), (None, Some(2.0))]).expect("two halves of a day");
        let upper = |hours: i64| bounds.at(Timestamp::from_secs(hours * 3600)).1;
        assert_eq!(upper(3), Some(1.0));
        assert_eq!(upper(12), Some(2.0));
        assert_eq!(upper(24 + 11), Some(1.0));
        assert_eq!(upper(-1), Some(2.0));
        assert!(Bounds::periodic(Span::ZERO, vec![(None, Some(1.0))]).is_err());
    }
}
