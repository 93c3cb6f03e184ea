//! Learned against static: what a fixed bound would have paged for, held beside what was paged for, series by series.
//!
//! Both arms read the same samples at the same time, so each is the other's control: what both page for says nothing of
//! which is better, and what only one pages for says it all. Differences carry intervals that may be looked at every day
//! (see [`stats::anytime`](crate::stats::anytime)), and a verdict is spoken when its interval leaves out zero.

mod book;
mod live;
mod report;

pub use book::{Arm, Book, Episode};
pub use live::{Live, Watch};
pub use report::{ArmReport, Delay, Difference, Report, Verdict, alone, report};

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// The bounds that somebody would write by hand, as a rule of Prometheus reads them: an alert fires when every sample of
/// `for` lay strictly outside.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StaticBounds {
    /// In the series' own unit; a counter's are those of its rate per second.
    #[serde(default)]
    pub upper: Option<f64>,
    #[serde(default)]
    pub lower: Option<f64>,
    /// How long samples have to lie outside.
    #[serde(default, rename = "for")]
    pub hold: Span,
}

impl StaticBounds {
    /// What is wrong with them, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        match (self.lower, self.upper) {
            (None, None) => Some("neither lower nor upper is given"),
            (lower, upper) if [lower, upper].into_iter().flatten().any(|bound| !bound.is_finite()) => {
                Some("a bound has to be a finite number")
            }
            (Some(lower), Some(upper)) if lower >= upper => Some("lower has to lie under upper"),
            _ if self.hold > Span::hours(24) => Some("for is over 1d"),
            _ => None,
        }
    }

    fn is_outside(&self, value: f64) -> bool {
        self.upper.is_some_and(|upper| value > upper) || self.lower.is_some_and(|lower| value < lower)
    }
}
