//! How samples enter a series: what is turned away, what is read as a counter's rate, and what history is read as.

use crate::config::Kind;
use crate::knowledge::histogram;
use crate::monitor::{Fate, Fates};
use crate::series::SeriesName;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How many distinct whole numbers a state may have, and how large they may be.
const STATE_VALUES_MAX: usize = 6;
const STATE_VALUE_MAX: f64 = 64.0;

/// Samples that a counter's suffix is checked against before it is believed.
pub(crate) const CONFIRM_SAMPLES: usize = 10;

/// Limits of a window and of the door, the same for all series.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Admission {
    pub window_len: usize,
    pub window_age: Span,
    pub min_data_points: usize,
    /// A series that was seen for a shorter time has no alerts yet.
    pub young_under: Span,
}

/// How samples enter: as they are, or as the rate of a counter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Door {
    Open,
    /// The name says counter; the first samples are held until they confirm it.
    Undecided(Vec<(Timestamp, f64)>),
    Rate {
        last: Option<(Timestamp, f64)>,
    },
    /// A histogram's bucket: folded into its histogram by the memory as a whole.
    Bucket,
}

impl Door {
    /// By what is said of its kind, else by its name.
    pub(crate) fn of(name: &SeriesName, declared: Option<Kind>) -> Door {
        match declared {
            Some(Kind::Counter) => Door::Rate { last: None },
            // Of what is said of a histogram as a whole, its count is a counter, and its sum is one mostly.
            Some(Kind::Histogram) if name.metric().ends_with("_count") => Door::Rate { last: None },
            Some(Kind::Histogram) if name.metric().ends_with("_sum") => Door::Undecided(Vec::new()),
            Some(Kind::Histogram) => Door::Bucket,
            Some(_) => Door::Open,
            None if histogram::is_bucket(name) => Door::Bucket,
            None if ["_total", "_count", "_sum"].iter().any(|suffix| name.metric().ends_with(suffix)) => {
                Door::Undecided(Vec::new())
            }
            None => Door::Open,
        }
    }

    /// History is read as what the series is. Where the name says counter and nothing has confirmed it yet, history does,
    /// together with what was held so far; too little of both is held on: so many of `rows`.
    pub(crate) fn confirmed(&mut self, mut rows: Vec<Row>) -> Result<Vec<Row>, usize> {
        let Door::Undecided(held) = self else { return Ok(rows) };
        let new = rows.len();
        // Told when they came; of two at one time the one that came first stays.
        rows.splice(0..0, held.iter().map(|&(at, value)| Row { at, value, told: true }));
        rows.sort_by_key(|row| row.at);
        rows.dedup_by_key(|row| row.at);
        let pairs: Vec<(Timestamp, f64)> = rows.iter().map(|row| (row.at, row.value)).collect();
        if pairs.len() < CONFIRM_SAMPLES {
            *held = pairs;
            return Err(new);
        }
        *self = if counts(&pairs) { Door::Rate { last: None } } else { Door::Open };
        Ok(rows)
    }

    /// For a counter the rates between rows, and from the last sample to the first row; else the rows themselves.
    pub(crate) fn rates(&mut self, rows: Vec<Row>, fates: &mut Fates) -> Vec<Row> {
        let (Door::Rate { last }, Some(first), Some(end)) = (self, rows.first(), rows.last()) else {
            return rows;
        };
        let mut before = last.filter(|(at, _)| *at < first.at);
        if last.is_none_or(|(at, _)| at < end.at) {
            *last = Some((end.at, end.value));
        }
        let mut rates = Vec::with_capacity(rows.len());
        for row in rows {
            let rate = match before.replace((row.at, row.value)) {
                Some((at, value)) if row.value >= value => (row.value - value) / row.at.since(at).secs(),
                // The first, or a reset.
                Some(_) | None => f64::NAN,
            };
            match rate.is_finite() {
                true => rates.push(Row { value: rate, ..row }),
                false if row.told => {}
                false => fates.add(Fate::Folded),
            }
        }
        rates
    }
}

/// The few values a series has had so far, as long as they are few.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct Distinct {
    /// How many of `values` are in use; more than it has room for: no state.
    len: u8,
    values: [f64; STATE_VALUES_MAX],
}

impl Distinct {
    const MANY: u8 = STATE_VALUES_MAX as u8 + 1;

    #[inline]
    pub(crate) fn see(&mut self, value: f64) {
        if self.len == Self::MANY || self.values[..usize::from(self.len)].contains(&value) {
            return;
        }
        let whole = |v: f64| v.fract() == 0.0 && v.abs() <= STATE_VALUE_MAX;
        let constant_so_far = self.len == 1;
        if self.len > 0
            && (usize::from(self.len) == STATE_VALUES_MAX
                || !whole(value)
                || (constant_so_far && !whole(self.values[0])))
        {
            self.len = Self::MANY;
        } else {
            self.values[usize::from(self.len)] = value;
            self.len += 1;
        }
    }

    /// How many there were; more than a state may have count as one more than that.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        usize::from(self.len)
    }

    pub(crate) fn is_constant(&self) -> bool {
        self.len == 1
    }

    pub(crate) fn is_few(&self) -> bool {
        self.len < Self::MANY
    }
}

/// One sample of history; `told`: its fate was counted before.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub at: Timestamp,
    pub value: f64,
    pub told: bool,
}

/// Whether samples are those of a counter: it only grows, but for one reset.
pub(crate) fn counts(samples: &[(Timestamp, f64)]) -> bool {
    let falls = samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    falls <= 1 + samples.len() / 1000 && samples.iter().all(|(_, value)| *value >= 0.0)
}

/// The bits of the value by which Prometheus says that a series ended.
const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

/// Clocks of senders may be a little ahead.
const TOO_NEW: Span = Span::minutes(10);

/// Why a sample is not even looked at, if it is not.
#[inline]
pub(crate) fn turned_away(at: Timestamp, value: f64, now: Timestamp, admission: &Admission) -> Option<Fate> {
    if !value.is_finite() {
        return Some(if value.to_bits() == STALE_MARKER { Fate::Stale } else { Fate::NotFinite });
    }
    if is_too_new(at, now) {
        return Some(Fate::TooNew);
    }
    (at < now - admission.window_age).then_some(Fate::TooOld)
}

/// Why a row of history is not even looked at, if it is not: it may be of whatever age, and still no later than now. One
/// row from years ahead would make all that come before then out of order.
pub(crate) fn history_turned_away(at: Timestamp, value: f64, now: Timestamp) -> Option<Fate> {
    if !value.is_finite() {
        return Some(Fate::NotFinite);
    }
    is_too_new(at, now).then_some(Fate::TooNew)
}

#[inline]
fn is_too_new(at: Timestamp, now: Timestamp) -> bool {
    at > now + TOO_NEW
}

/// Whether the name says that its value is a moment, or nothing at all: it is held and not watched.
pub(crate) fn is_info(name: &SeriesName) -> bool {
    let metric = name.metric();
    ["_info", "_created", "_timestamp", "_timestamp_seconds", "_start_time_seconds", "_boot_time_seconds"]
        .iter()
        .any(|suffix| metric.ends_with(suffix))
}

/// What a sample is that is not newer than the newest.
pub(crate) fn late(at: Timestamp, value: f64, newest_at: Timestamp, newest_value: f64) -> Fate {
    if at < newest_at {
        Fate::OutOfOrder
    } else if value == newest_value {
        Fate::Duplicate
    } else {
        Fate::Conflict
    }
}
