//! Local time: a time zone as the instants at which its offset from UTC changes.
//!
//! A day that people live by begins when their clocks say so, and twice a year at another hour of UTC. Whatever repeats by the
//! day or the week is reckoned by a [`Zone`]; all else stays in elapsed time. The data of the zones are compiled in: nothing
//! is read from the machine, so that a run is the same on every one.

use super::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Changes of offset are known from the epoch up to here: the year 2100.
const LAST: Timestamp = Timestamp::from_secs(4_102_444_800);

/// A zone with two changes a year has 260.
const CHANGES_MAX: usize = 2_000;

/// No place on Earth is farther from UTC, in seconds.
const OFFSET_MAX_S: i32 = 26 * 3600;

/// What is stored with bounds reaches so far back and ahead of when they were learned, in milliseconds: longer than bounds
/// stand.
const AROUND_MS: i64 = 400 * 86_400_000;

/// Offsets from UTC, and since when each holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offsets {
    zone: String,
    /// Seconds east of UTC before the first change.
    before_s: i32,
    /// When the offset changes, ascending, and to how many seconds east of UTC.
    changes: Vec<(Timestamp, i32)>,
}

/// A time zone. UTC costs nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Zone(Option<Arc<Offsets>>);

/// An offset, and between which instants it holds (the first inclusive), all in milliseconds. The default holds at none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stretch {
    pub offset_ms: i64,
    pub from: i64,
    pub until: i64,
}

impl Stretch {
    /// Whether it holds at an instant, in milliseconds.
    #[inline]
    pub fn holds(&self, at: i64) -> bool {
        self.from <= at && at < self.until
    }
}

/// Why a text or a list is no time zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ZoneError {
    #[error(
        "`{name}` is not the name of a time zone; {}give one of the IANA database, like Europe/Berlin, or UTC",
        .nearest.as_ref().map_or(String::new(), |nearest| format!("did you mean {nearest}? Else "))
    )]
    Unknown { name: String, nearest: Option<String> },
    #[error("changes of the offset have to ascend in time, be at most 2000, and within 26 hours of UTC")]
    NotOffsets,
}

impl Offsets {
    /// Of a zone that the caller knows: seconds east of UTC before the first change, and each change's instant and new offset.
    pub fn new(zone: String, before_s: i32, changes: Vec<(Timestamp, i32)>) -> Result<Offsets, ZoneError> {
        let ascending = changes.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let near = |offset: i32| (-OFFSET_MAX_S..=OFFSET_MAX_S).contains(&offset);
        let usable = ascending && changes.len() <= CHANGES_MAX && near(before_s);
        if !usable || !changes.iter().all(|(_, offset)| near(*offset)) {
            return Err(ZoneError::NotOffsets);
        }
        Ok(Offsets { zone, before_s, changes })
    }

    /// The zone's name.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The offset at an instant, and how long it holds.
    pub fn stretch(&self, at: Timestamp) -> Stretch {
        let next = self.changes.partition_point(|(since, _)| *since <= at);
        let last = next.checked_sub(1).map(|last| self.changes[last]);
        Stretch {
            offset_ms: i64::from(last.map_or(self.before_s, |(_, offset)| offset)) * 1000,
            from: last.map_or(i64::MIN, |(since, _)| since.millis()),
            until: self.changes.get(next).map_or(i64::MAX, |(until, _)| until.millis()),
        }
    }

    /// What the clocks say, as milliseconds from their own 1 January 1970.
    #[inline]
    pub fn local(&self, at: Timestamp) -> i64 {
        at.millis() + self.stretch(at).offset_ms
    }

    /// The changes of about a year around an instant: enough to read by what was learned then.
    fn around(&self, at: Timestamp) -> Offsets {
        let from = self.changes.partition_point(|(since, _)| since.millis() < at.millis() - AROUND_MS);
        let until = self.changes.partition_point(|(since, _)| since.millis() < at.millis() + AROUND_MS);
        let before_s = from.checked_sub(1).map_or(self.before_s, |last| self.changes[last].1);
        Offsets { zone: self.zone.clone(), before_s, changes: self.changes[from..until].to_vec() }
    }
}

impl Zone {
    pub const UTC: Zone = Zone(None);

    /// By its name in the IANA database, as it was when this was built; any case.
    pub fn named(name: &str) -> Result<Zone, ZoneError> {
        let database = TimeZoneDatabase::bundled();
        let Ok(zone) = database.get(name) else {
            let known = database.available().map(|known| known.to_string());
            let near = known.map(|known| (distance(&known, name), known)).min();
            let nearest = near.filter(|(distance, _)| *distance <= 3).map(|(_, known)| known);
            return Err(ZoneError::Unknown { name: name.to_owned(), nearest });
        };
        let epoch = jiff::Timestamp::UNIX_EPOCH;
        let changes = zone
            .following(epoch)
            .map(|change| (Timestamp::from_millis(change.timestamp().as_millisecond()), change.offset().seconds()))
            .take_while(|(since, _)| *since < LAST)
            .take(CHANGES_MAX)
            .collect();
        let canonical = zone.iana_name().unwrap_or(name).to_owned();
        Offsets::new(canonical, zone.to_offset(epoch).seconds(), changes).map(Zone::of)
    }

    /// Of offsets that the caller knows.
    pub fn of(offsets: Offsets) -> Zone {
        let is_utc = offsets.before_s == 0 && offsets.changes.is_empty();
        Zone((!is_utc).then(|| Arc::new(offsets)))
    }

    pub fn name(&self) -> &str {
        self.0.as_ref().map_or("UTC", |offsets| &offsets.zone)
    }

    /// None: UTC.
    pub fn offsets(&self) -> Option<&Offsets> {
        self.0.as_deref()
    }

    /// What to store with something that was learned then, so that it can be read by this clock. None: UTC.
    pub fn around(&self, at: Timestamp) -> Option<Arc<Offsets>> {
        self.0.as_ref().map(|offsets| Arc::new(offsets.around(at)))
    }

    /// The offset at an instant, and how long it holds.
    pub fn stretch(&self, at: Timestamp) -> Stretch {
        match &self.0 {
            None => Stretch { offset_ms: 0, from: i64::MIN, until: i64::MAX },
            Some(offsets) => offsets.stretch(at),
        }
    }

    /// What the clocks say, as milliseconds from their own 1 January 1970.
    #[inline]
    pub fn local(&self, at: Timestamp) -> i64 {
        match &self.0 {
            None => at.millis(),
            Some(offsets) => offsets.local(at),
        }
    }
}

/// By how many letters two names differ, without their case.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    // A city is written without its region.
    if one.rsplit('/').next() == Some(&other) {
        return 0;
    }
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (place, wanted) in other.iter().enumerate() {
            let change = corner + usize::from(letter != *wanted);
            corner = row[place + 1];
            row[place + 1] = change.min(corner + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Zone {
    type Err = ZoneError;
    fn from_str(text: &str) -> Result<Zone, ZoneError> {
        Zone::named(text)
    }
}

/// By its name alone.
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Zone, D::Error> {
        Zone::named(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Zone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeZone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A name of the IANA database: Europe/Berlin, America/New_York, UTC"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    #[test]
    fn clocks_change_when_the_law_says() {
        let berlin = Zone::named("europe/berlin").expect("known");
        assert_eq!(berlin.to_string(), "Europe/Berlin");
        let hours = |text: &str| (berlin.local(at(text)) - at(text).millis()) / 3_600_000;
        for (text, wanted) in [
            ("2026-03-29T00:59:59.999Z", 1),
            ("2026-03-29T01:00:00Z", 2),
            ("2026-10-25T00:59:59Z", 2),
            ("2026-10-25T01:00:00Z", 1),
            ("2090-07-01T00:00:00Z", 2),
            ("1960-07-01T00:00:00Z", 1),
        ] {
            assert_eq!(hours(text), wanted, "{text}");
        }
        let Stretch { offset_ms, from, until } = berlin.stretch(at("2026-07-01T00:00:00Z"));
        assert_eq!(offset_ms, 7_200_000);
        assert_eq!(from, at("2026-03-29T01:00:00Z").millis());
        assert_eq!(until, at("2026-10-25T01:00:00Z").millis());
    }

    #[test]
    fn utc_by_any_of_its_names_has_no_offsets() {
        for name in ["UTC", "Etc/UTC", "utc"] {
            assert_eq!(Zone::named(name), Ok(Zone::UTC), "{name}");
        }
        assert_eq!(Zone::UTC.local(at("2026-07-01T00:00:00Z")), at("2026-07-01T00:00:00Z").millis());
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (name, nearest) in [("Europe/Berln", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("Mars/Olympus", "")] {
            let said = Zone::named(name).expect_err(name).to_string();
            assert!(said.contains(name) && said.contains(nearest) && said.contains("IANA"), "{said}");
        }
        assert!(Zone::named(&"x".repeat(100_000)).is_err());
    }

    #[test]
    fn what_is_stored_reads_as_the_zone_does_for_a_year() {
        let (zone, learned) = (Zone::named("America/New_York").expect("known"), at("2026-05-01T00:00:00Z"));
        let stored = zone.around(learned).expect("no UTC");
        assert!(stored.changes.len() <= 6, "{stored:?}");
        let json = serde_json::to_string(&stored).expect("plain data");
        let read: Offsets = serde_json::from_str(&json).expect(&json);
        for day in -390..390 {
            let at = Timestamp::from_millis(learned.millis() + day * 86_400_000);
            assert_eq!(read.local(at), zone.local(at), "{at}");
        }
    }

    #[test]
    fn offsets_of_the_callers_own_are_checked() {
        let changes = vec![(at("2026-01-01T00:00:00Z"), 3600), (at("2025-01-01T00:00:00Z"), 0)];
        assert_eq!(Offsets::new("Own".to_owned(), 0, changes), Err(ZoneError::NotOffsets));
        assert_eq!(Offsets::new("Own".to_owned(), 100_000, Vec::new()), Err(ZoneError::NotOffsets));
        let own = Offsets::new("Own".to_owned(), 1800, Vec::new()).map(Zone::of).expect("half an hour east");
        assert_eq!(own.local(Timestamp::EPOCH), 1_800_000);
    }
}
