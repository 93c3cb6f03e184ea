//! A learned boundary: what is ordinary for a series, from which value on it is a breach, and from which a page.

use crate::calendar::on_sunday;
use crate::config::StrategyName;
use crate::shared_text::SharedText;
use crate::stats::{Statistics, Trend};
use crate::time::zone::Offsets;
use crate::time::{Span, Timestamp};
use crate::units::{Confidence, Sensitivity};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Lower and upper bound in the series' own unit. Each is finite or absent, never both absent, and lower < upper.
pub type Pair = (Option<f64>, Option<f64>);

/// Bounds that may depend on time. Every pair inside holds the invariant of [`Pair`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Bounds {
    /// The same at all times.
    Constant { lower: Option<f64>, upper: Option<f64> },
    /// Repeats every `period`, counted from the epoch; each of the pairs holds for an equal part of it.
    Periodic {
        period: Span,
        pairs: Box<[Pair]>,
        /// By these clocks, where the period is a day or a week; none: by UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<Arc<Offsets>>,
    },
}

const DAY: Span = Span::hours(24);
const WEEK: Span = Span::hours(7 * 24);

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
        Ok(Bounds::Periodic { period, pairs, clock: None })
    }

    /// The same, read by these clocks: days and weeks alone are, what else repeats does so in elapsed time.
    #[must_use]
    pub fn by_clock(mut self, offsets: Option<Arc<Offsets>>) -> Bounds {
        if let Bounds::Periodic { period: DAY | WEEK, clock, .. } = &mut self {
            *clock = offsets;
        }
        self
    }

    /// The zone whose clocks they follow; None: they do not, or by UTC.
    pub fn zone(&self) -> Option<&str> {
        match self {
            Bounds::Periodic { clock: Some(offsets), .. } => Some(offsets.zone()),
            Bounds::Periodic { .. } | Bounds::Constant { .. } => None,
        }
    }

    /// The bounds that hold at `at`, on an ordinary day.
    pub fn at(&self, at: Timestamp) -> Pair {
        match self {
            Bounds::Constant { lower, upper } => (*lower, *upper),
            Bounds::Periodic { period, pairs, clock: None } => pairs[part(at.millis(), *period, pairs.len())],
            Bounds::Periodic { period, pairs, clock: Some(clock) } => by_clock(clock, at, *period, pairs),
        }
    }

    /// The bounds that hold at `at`. On a holiday those of a Sunday do; of bounds by the time of day alone what any time of a
    /// day allows.
    #[inline]
    pub fn on(&self, at: Timestamp, holiday: bool) -> Pair {
        if holiday { self.on_holiday(at) } else { self.at(at) }
    }

    #[cold]
    fn on_holiday(&self, at: Timestamp) -> Pair {
        match self {
            Bounds::Periodic { period: DAY, pairs, .. } => {
                let outermost = |one: Pair, other: &Pair| {
                    let lower = one.0.zip(other.0).map(|(one, other)| one.min(other));
                    (lower, one.1.zip(other.1).map(|(one, other)| one.max(other)))
                };
                pairs.iter().skip(1).fold(pairs[0], outermost)
            }
            Bounds::Periodic { period: WEEK, pairs, clock } => {
                let local = clock.as_ref().map_or(at.millis(), |clock| clock.local(at));
                pairs[part(on_sunday(local), WEEK, pairs.len())]
            }
            Bounds::Periodic { .. } | Bounds::Constant { .. } => self.at(at),
        }
    }

    /// The pairs of all parts of the period; one, when there is none.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        let (one, many): (Option<Pair>, &[Pair]) = match self {
            Bounds::Constant { lower, upper } => (Some((*lower, *upper)), &[]),
            Bounds::Periodic { pairs, .. } => (None, pairs),
        };
        one.into_iter().chain(many.iter().copied())
    }

    /// The same with each pair as `change` has it.
    pub fn map(&self, change: impl Fn(Pair) -> Pair) -> Result<Bounds, NotBounds> {
        match self {
            Bounds::Constant { lower, upper } => {
                let (lower, upper) = change((*lower, *upper));
                Bounds::constant(lower, upper)
            }
            Bounds::Periodic { period, pairs, clock } => {
                let bounds = Bounds::periodic(*period, pairs.iter().copied().map(change).collect())?;
                Ok(bounds.by_clock(clock.clone()))
            }
        }
    }

    /// How long they take to repeat; None: they are the same at all times.
    pub fn period(&self) -> Option<Span> {
        match self {
            Bounds::Constant { .. } => None,
            Bounds::Periodic { period, .. } => Some(*period),
        }
    }

    /// When they repeat, for a person: "by time of day, in 48 parts of 30m".
    pub fn rhythm(&self) -> Option<String> {
        let Bounds::Periodic { period, pairs, .. } = self else { return None };
        let zone = self.zone().map_or(String::new(), |zone| format!(" in {zone}"));
        let by = match *period {
            DAY => format!("by time of day{zone}"),
            WEEK => format!("by time of week{zone}"),
            other => format!("by the part of {other}"),
        };
        let parts = pairs.len() as u64;
        Some(match period.millis() % parts {
            0 => format!("{by}, in {parts} parts of {}", Span::from_millis(period.millis() / parts)),
            _ => format!("{by}, in {parts} parts"),
        })
    }

    /// The ordinary value at a time, of bounds around `center`: theirs where they stand, their middle where they move.
    pub fn center(&self, at: Timestamp, center: f64) -> f64 {
        self.center_on(at, center, false)
    }

    /// The same on a holiday, when it is one.
    pub fn center_on(&self, at: Timestamp, center: f64, holiday: bool) -> f64 {
        match self {
            Bounds::Constant { .. } => center,
            Bounds::Periodic { .. } => middle(self.on(at, holiday), center),
        }
    }
}

/// By itself, so that who needs no clock pays for none.
#[inline(never)]
fn by_clock(clock: &Offsets, at: Timestamp, period: Span, pairs: &[Pair]) -> Pair {
    pairs[part(clock.local(at), period, pairs.len())]
}

/// In which of so many equal parts of a period a time lies, in milliseconds.
#[inline]
fn part(at: i64, period: Span, parts: usize) -> usize {
    let into = at.rem_euclid(period.millis() as i64) as u64;
    // A period of many million years is divided the long way.
    let part = match into.checked_mul(parts as u64) {
        Some(product) => product / period.millis(),
        None => (u128::from(into) * parts as u128 / u128::from(period.millis())) as u64,
    };
    part as usize
}

/// Between two bounds; of one the nearest to `center` that is inside.
pub fn middle(pair: Pair, center: f64) -> f64 {
    match pair {
        (Some(lower), Some(upper)) => lower / 2.0 + upper / 2.0,
        (lower, upper) => center.max(lower.unwrap_or(f64::MIN)).min(upper.unwrap_or(f64::MAX)),
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
#[serde(from = "Flat", into = "Flat")]
pub struct Supporting {
    pub statistics: Statistics,
    pub trend: Trend,
    /// How many independent samples the window is worth.
    pub effective_count: f64,
}

/// The same as it is stored: side by side. Serde's own `flatten` would gather it as owned names and values first, for each of many series.
#[derive(Serialize, Deserialize)]
struct Flat {
    count: usize,
    mean: f64,
    median: f64,
    std_dev: f64,
    min: f64,
    max: f64,
    p25: f64,
    p75: f64,
    p90: f64,
    p95: f64,
    p99: f64,
    iqr: f64,
    trend: Trend,
    #[serde(default)]
    effective_count: f64,
}

impl From<Flat> for Supporting {
    fn from(flat: Flat) -> Supporting {
        let Flat { count, mean, median, std_dev, min, max, p25, p75, p90, p95, p99, iqr, trend, effective_count } =
            flat;
        let statistics = Statistics { count, mean, median, std_dev, min, max, p25, p75, p90, p95, p99, iqr };
        Supporting { statistics, trend, effective_count }
    }
}

impl From<Supporting> for Flat {
    fn from(supporting: Supporting) -> Flat {
        let Supporting { statistics, trend, effective_count } = supporting;
        let Statistics { count, mean, median, std_dev, min, max, p25, p75, p90, p95, p99, iqr } = statistics;
        Flat { count, mean, median, std_dev, min, max, p25, p75, p90, p95, p99, iqr, trend, effective_count }
    }
}

/// How one strategy would have done in the place of the one that was chosen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rival {
    pub strategy: StrategyName,
    /// Its bounds when the threshold was learned.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// The same at all times, where they depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periodic: Option<Arc<Bounds>>,
    /// Mean pinball loss on samples it had not seen, in the series' unit; lower is better. None: not measured yet.
    pub loss: Option<f64>,
}

impl Rival {
    /// Its bounds as they stand at `at`.
    pub fn at(&self, at: Timestamp) -> Pair {
        self.periodic.as_ref().map_or((self.lower, self.upper), |bounds| bounds.at(at))
    }
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
    /// The ordinary value, between the bounds; of periodic ones that of the whole window.
    pub center: f64,
    pub sensitivity: Sensitivity,
    pub confidence: Confidence,
    /// The strategy that gave the bounds (for adaptive: the one it chose).
    pub strategy: StrategyName,
    /// One or two sentences for a person.
    pub reasoning: SharedText,
    pub supporting: Supporting,
    pub rivals: Box<[Rival]>,
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

    fn hourly(days: usize) -> Bounds {
        let pairs = (0..24 * days).map(|hour| (Some(hour as f64), Some(hour as f64 + 0.5))).collect();
        Bounds::periodic(Span::hours(24 * days as u64), pairs).expect("hours")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    #[test]
    fn bounds_by_the_clock_follow_it_over_a_change_also_when_they_were_stored() {
        let learned = at("2026-03-20T00:00:00Z");
        let zone = crate::time::zone::Zone::named("Europe/Berlin").expect("known");
        let bounds = hourly(1).by_clock(zone.around(learned));
        let json = serde_json::to_string(&bounds).expect("plain data");
        let read: Bounds = serde_json::from_str(&json).expect(&json);
        for bounds in [&bounds, &read, &bounds.map(|pair| pair).expect("the same")] {
            for (time, hour) in [("2026-03-28T08:10:00Z", 9.0), ("2026-03-29T08:10:00Z", 10.0)] {
                assert_eq!(bounds.at(at(time)).0, Some(hour), "{time}");
            }
            assert_eq!(bounds.rhythm().as_deref(), Some("by time of day in Europe/Berlin, in 24 parts of 1h"));
        }
        let ordinary = serde_json::to_string(&hourly(1)).expect("plain data");
        assert!(!ordinary.contains("clock"), "by UTC they are stored as ever: {ordinary}");
        let other = Bounds::periodic(Span::hours(5), vec![(None, Some(1.0))]).expect("one part");
        assert_eq!(other.by_clock(zone.around(learned)).zone(), None, "elapsed time");
    }

    #[test]
    fn on_a_holiday_sundays_bounds_hold_or_those_of_any_time_of_day() {
        let (monday, sunday) = (at("2026-05-25T10:30:00Z"), at("2026-05-24T10:30:00Z"));
        assert_eq!(hourly(7).on(monday, true), hourly(7).at(sunday));
        assert_ne!(hourly(7).on(monday, true), hourly(7).at(monday));
        assert_eq!(hourly(1).on(monday, true), (Some(0.0), Some(23.5)));
    }
}
