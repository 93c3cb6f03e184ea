//! M: what comes in, and what becomes of it.
use crate::feedback::weights::Spoke;
use crate::knowledge::SeriesId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One measurement of one series.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    pub series: SeriesId,
    pub at: Timestamp,
    /// Anything a source may send, NaN included: the door decides.
    pub value: f64,
}

/// What became of a sample. Each has exactly one fate, and each fate is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Judged where there were bounds, then remembered.
    Admitted,
    /// Held back to find out what kind of series this is, or folded into a rate or a histogram; not remembered as it came.
    Folded,
    /// NaN or infinite.
    NotFinite,
    /// Prometheus' stale marker: the series ends here.
    Stale,
    /// Same time, same value.
    Duplicate,
    /// Same time, other value: the first wins.
    Conflict,
    /// Older than the newest that is held.
    OutOfOrder,
    /// More than ten minutes ahead of now.
    TooNew,
    /// Older than the window reaches back.
    TooOld,
    /// The series is not known: it was forgotten, or never named.
    UnknownSeries,
}

impl Fate {
    pub const ALL: [Fate; 10] = [
        Fate::Admitted,
        Fate::Folded,
        Fate::NotFinite,
        Fate::Stale,
        Fate::Duplicate,
        Fate::Conflict,
        Fate::OutOfOrder,
        Fate::TooNew,
        Fate::TooOld,
        Fate::UnknownSeries,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Admitted => "admitted",
            Fate::Folded => "folded",
            Fate::NotFinite => "not_finite",
            Fate::Stale => "stale",
            Fate::Duplicate => "duplicate",
            Fate::Conflict => "conflict",
            Fate::OutOfOrder => "out_of_order",
            Fate::TooNew => "too_new",
            Fate::TooOld => "too_old",
            Fate::UnknownSeries => "unknown_series",
        }
    }
}

/// How many samples met each fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fates([u64; Fate::ALL.len()]);

impl Fates {
    pub fn add(&mut self, fate: Fate) {
        self.0[fate as usize] += 1;
    }

    pub fn of(&self, fate: Fate) -> u64 {
        self.0[fate as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Fate, u64)> + '_ {
        Fate::ALL.iter().map(|fate| (*fate, self.of(*fate)))
    }
}

impl std::ops::AddAssign<&Fates> for Fates {
    fn add_assign(&mut self, other: &Fates) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// What was said of one sample before it was learned from.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Judged {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// Strictly outside the bounds.
    pub breach: bool,
    /// How strange, 0 to 1, while it lasts. For bounds that were learned from a window, 0.5 stands at the alert level.
    pub score: f64,
    /// High at an onset, then quiet.
    pub alert_score: f64,
    /// A condition that should page holds, from its onset until it ends.
    pub alert: bool,
    /// At an onset, what was strange, where the detector says so.
    pub why: Option<Why>,
    /// At an onset, which features spoke, where the detector says so.
    pub spoke: Spoke,
}

/// What was strange at the onset of an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Far above what was to be expected next.
    High,
    /// Far below what was to be expected next.
    Low,
    /// Far above what it usually is.
    Above,
    /// Far below what it usually is.
    Below,
    /// A little off what was to be expected, for long.
    Drifting,
    /// It moves about more than it does usually.
    Restless,
    /// It no longer moves.
    Stuck,
}

impl Why {
    /// As events have it.
    pub const fn word(self) -> &'static str {
        match self {
            Why::High => "high",
            Why::Low => "low",
            Why::Above => "above",
            Why::Below => "below",
            Why::Drifting => "drifting",
            Why::Restless => "restless",
            Why::Stuck => "stuck",
        }
    }

    /// As a person would say it of the series.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::High => "far above what was to be expected",
            Why::Low => "far below what was to be expected",
            Why::Above => "far above what it usually is",
            Why::Below => "far below what it usually is",
            Why::Drifting => "off what was to be expected for long",
            Why::Restless => "moves about more than it usually does",
            Why::Stuck => "no longer moves",
        }
    }
}
