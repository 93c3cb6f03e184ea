//! Time as an argument: instants and spans in milliseconds, and how people write them.
//!
//! The engine has no clock. Whoever calls it says what time it is, so a day can pass in a millisecond and a run can be
//! repeated. Instants print as RFC 3339 in UTC; spans print as Prometheus durations (`1h30m`).

pub mod zone;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU64;

/// Milliseconds since the Unix epoch, UTC; between the years 0000 and 9999, so that it always prints.
///
/// They are counted from before the first that there is, so that none is 0: an instant that may be missing takes no more room than one
/// that may not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(u64);

/// Why a text is not an instant or a span.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TimeError {
    #[error("`{0}` is not a time: give Unix seconds (1700000000 or 1700000000.5) or RFC 3339 (2026-01-31T12:00:00Z)")]
    NotATime(String),
    #[error("`{0}` is not a duration: give a number with a unit, largest first, like 30s, 5m, 1h30m, 7d or 1w")]
    NotASpan(String),
}

impl Timestamp {
    pub const EPOCH: Timestamp = Timestamp::from_millis(0);
    const FIRST_MS: i64 = -62_167_219_200_000;
    const LAST_MS: i64 = 253_402_207_199_999;

    /// From milliseconds since the epoch; what lies outside the years 0000 to 9999 is brought to the nearer end.
    pub const fn from_millis(millis: i64) -> Timestamp {
        let inside = if millis < Self::FIRST_MS {
            Self::FIRST_MS
        } else if millis > Self::LAST_MS {
            Self::LAST_MS
        } else {
            millis
        };
        Timestamp(NonZeroU64::MIN.saturating_add((inside - Self::FIRST_MS) as u64))
    }

    pub const fn from_secs(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs.saturating_mul(1000))
    }

    #[inline]
    pub const fn millis(self) -> i64 {
        self.0.get() as i64 - 1 + Self::FIRST_MS
    }

    /// Seconds since the epoch.
    pub fn secs(self) -> f64 {
        self.millis() as f64 / 1000.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// From Unix seconds (a fraction is allowed) or RFC 3339.
    pub fn parse(text: &str) -> Result<Timestamp, TimeError> {
        let text = text.trim();
        let error = || TimeError::NotATime(text.to_owned());
        if let Ok(secs) = text.parse::<f64>() {
            let millis = (secs * 1000.0).round();
            let inside = millis >= Self::FIRST_MS as f64 && millis <= Self::LAST_MS as f64;
            return if inside { Ok(Timestamp::from_millis(millis as i64)) } else { Err(error()) };
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(at) if (Self::FIRST_MS..=Self::LAST_MS).contains(&at.as_millisecond()) => {
                Ok(Timestamp::from_millis(at.as_millisecond()))
            }
            _ => Err(error()),
        }
    }
}

impl Default for Timestamp {
    fn default() -> Timestamp {
        Timestamp::EPOCH
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.millis()).finish()
    }
}

impl std::ops::Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp::from_millis(self.millis().saturating_add_unsigned(span.0))
    }
}

impl std::ops::Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp::from_millis(self.millis().saturating_sub_unsigned(span.0))
    }
}

/// RFC 3339, UTC, milliseconds: `2026-01-31T12:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.millis()).map_err(|_| fmt::Error)?;
        write!(f, "{at:.3}")
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Timestamp, TimeError> {
        Timestamp::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { to.serialize_i64(self.millis()) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        if from.is_human_readable() {
            let text = String::deserialize(from)?;
            Timestamp::parse(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(from).map(Timestamp::from_millis)
        }
    }
}

/// Units of a Prometheus duration, largest first, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_millis(millis: u64) -> Span {
        Span(millis)
    }

    pub const fn from_secs(secs: u64) -> Span {
        Span(secs.saturating_mul(1000))
    }

    pub const fn minutes(minutes: u64) -> Span {
        Span::from_secs(minutes.saturating_mul(60))
    }

    pub const fn hours(hours: u64) -> Span {
        Span::minutes(hours.saturating_mul(60))
    }

    pub const fn millis(self) -> u64 {
        self.0
    }

    pub fn secs(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This span times `factor`, which must not be negative; to the nearest millisecond.
    pub fn scaled(self, factor: f64) -> Span {
        Span((self.0 as f64 * factor).round() as u64)
    }

    /// From a Prometheus duration: numbers with units, largest unit first, each at most once (`1h30m`, `250ms`, `0`).
    pub fn parse(text: &str) -> Result<Span, TimeError> {
        let error = || TimeError::NotASpan(text.to_owned());
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Span::ZERO);
        }
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(error());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: u64 = rest[..digits].parse().map_err(|_| error())?;
            rest = &rest[digits..];
            let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
            let unit = &rest[..letters];
            rest = &rest[letters..];
            // Going on with the same iterator refuses a unit that repeats or comes out of order.
            let (_, millis) = units.by_ref().find(|(name, _)| *name == unit).ok_or_else(error)?;
            total = count.checked_mul(*millis).and_then(|ms| total.checked_add(ms)).ok_or_else(error)?;
        }
        Ok(Span(total))
    }
}

impl std::ops::Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl std::ops::Mul<u64> for Span {
    type Output = Span;
    fn mul(self, times: u64) -> Span {
        Span(self.0.saturating_mul(times))
    }
}

/// The shortest Prometheus duration that means the same: `1h30m`, `250ms`, `0s`. Years and weeks are written as days.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, millis) in &UNITS[2..] {
            let count = rest / millis;
            rest %= millis;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Span {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Span, TimeError> {
        Span::parse(text)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { to.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        if from.is_human_readable() {
            let text = String::deserialize(from)?;
            Span::parse(&text).map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(from).map(Span)
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$",
            "description": "A Prometheus duration: 30s, 5m, 1h30m, 7d"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_seconds_or_rfc_3339_and_printed_as_rfc_3339() {
        for (text, millis) in [
            ("1700000000", 1_700_000_000_000),
            ("1700000000.25", 1_700_000_000_250),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
            ("-1", -1000),
        ] {
            assert_eq!(Timestamp::parse(text), Ok(Timestamp::from_millis(millis)), "{text}");
        }
        assert_eq!(Timestamp::from_millis(1_700_000_000_250).to_string(), "2023-11-14T22:13:20.250Z");
        for text in ["", "yesterday", "NaN", "inf", "1e300", "2023-11-14"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end + Span::hours(1), end);
        assert!(end.to_string().starts_with("9999-12-30"));
        assert!(Timestamp::from_millis(i64::MIN).to_string().starts_with("0000-01-01"));
        assert_eq!(Timestamp::EPOCH.since(end), Span::ZERO);
    }

    #[test]
    fn spans_are_prometheus_durations() {
        for (text, millis, printed) in [
            ("30d", 2_592_000_000, "30d"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("90s", 90_000, "1m30s"),
            ("0", 0, "0s"),
            ("1w", 604_800_000, "7d"),
        ] {
            let span = Span::parse(text).expect(text);
            assert_eq!(span.millis(), millis, "{text}");
            assert_eq!(span.to_string(), printed);
        }
        for text in ["", "5", "m5", "1m1h", "1s1s", "-5m", "1.5h", "5x", "99999999999999y", "5 m"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
