//! What people know of a time beforehand: holidays, deploys, maintenance; and which day and hour a series takes it for.
//!
//! Plain data, given by the caller: who reads files is the caller's. In maintenance and during deploys nothing is learned, and
//! in maintenance nothing alerts. A holiday is no ordinary day: what is known by the day of the week reads it as a Sunday,
//! what is known by the time of day alone does not count, and neither learns from it.

use crate::series::{Selector, SeriesName};
use crate::time::zone::Zone;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Entries of one calendar that are kept: those nearest to the present.
pub const ENTRIES_MAX: usize = 20_000;

/// What ended so long ago lies before the windows of all but the slowest series; where there are too many, it goes first.
const BEHIND: Span = Span::hours(366 * 24);

/// Holidays are left out of what bounds are learned from while they are no more than this share of a window.
const HOLIDAYS_MAX: f64 = 0.25;

const DAY_MS: i64 = 86_400_000;

/// The epoch was a Thursday, so the first Sunday began so many days later.
const SUNDAY: i64 = 3;

/// What an entry of a calendar says of its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// Read as a Sunday, and not learned from as the weekday that it would be.
    Holiday,
    /// Not learned from. Alerts hold, and say so.
    Deploy,
    /// Not learned from, and nothing alerts.
    Maintenance,
}

impl Occasion {
    pub const ALL: [Occasion; 3] = [Occasion::Holiday, Occasion::Deploy, Occasion::Maintenance];

    pub const fn as_str(self) -> &'static str {
        match self {
            Occasion::Holiday => "holiday",
            Occasion::Deploy => "deploy",
            Occasion::Maintenance => "maintenance",
        }
    }
}

/// One period of a calendar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    pub name: Arc<str>,
}

/// Periods of one kind, for the series that it is about. They do not overlap.
#[derive(Clone, PartialEq, Debug)]
pub struct Calendar {
    occasion: Occasion,
    series: Option<Selector>,
    entries: Vec<Entry>,
    left_out: usize,
}

impl Calendar {
    /// Of entries in any order; without a selector it is about all series. Where entries overlap the earlier one goes on, and
    /// the later one follows it; an entry that does not end after it begins is left out.
    pub fn new(occasion: Occasion, series: Option<Selector>, mut entries: Vec<Entry>) -> Calendar {
        entries.retain(|entry| entry.from < entry.until);
        entries.sort_by_key(|entry| (entry.from, entry.until));
        let mut held: Timestamp = Timestamp::from_millis(i64::MIN);
        entries.retain_mut(|entry| {
            entry.from = entry.from.max(held);
            held = held.max(entry.until);
            entry.from < entry.until
        });
        Calendar { occasion, series, entries, left_out: 0 }
    }

    /// No more than [`ENTRIES_MAX`] of them: what ended more than a year ago goes first, then what lies farthest ahead, and
    /// where half are left ahead of `now`, what ended the longest ago.
    #[must_use]
    pub fn near(mut self, now: Timestamp) -> Calendar {
        let over = self.entries.len().saturating_sub(ENTRIES_MAX);
        let ended = |at: Timestamp| self.entries.partition_point(|entry| entry.until <= at);
        let ahead = self.entries.len() - ended(now);
        let old = over.min(ended(now - BEHIND));
        let far = (over - old).min(ahead.saturating_sub(ENTRIES_MAX / 2));
        self.entries.truncate(self.entries.len() - far);
        self.entries.drain(..over - far);
        self.left_out += over;
        self
    }

    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// Which series it is about; none: all.
    pub fn selector(&self) -> Option<&Selector> {
        self.series.as_ref()
    }

    /// In order of time.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many found no room in it.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    pub fn is_about(&self, series: &SeriesName) -> bool {
        self.series.as_ref().is_none_or(|selector| selector.matches(series))
    }

    /// The entry in force at an instant.
    pub fn at(&self, at: Timestamp) -> Option<&Entry> {
        let entry = &self.entries[self.begun(at).checked_sub(1)?];
        (at < entry.until).then_some(entry)
    }

    /// The first entry that begins after an instant.
    pub fn next(&self, at: Timestamp) -> Option<&Entry> {
        self.entries.get(self.begun(at))
    }

    fn begun(&self, at: Timestamp) -> usize {
        self.entries.partition_point(|entry| entry.from <= at)
    }
}

/// What the calendars say of a time in a word: the strictest of those in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct During {
    pub occasion: Occasion,
    pub name: Arc<str>,
    pub from: Timestamp,
    pub until: Timestamp,
}

impl During {
    pub fn of(calendar: &Calendar, entry: &Entry) -> During {
        During { occasion: calendar.occasion, name: Arc::clone(&entry.name), from: entry.from, until: entry.until }
    }
}

/// As a person would say it: "during deploy checkout 2.4".
impl std::fmt::Display for During {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "during {} {}", self.occasion.as_str(), self.name)
    }
}

/// How a time counts for a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moment {
    /// What its clocks are ahead of UTC.
    pub offset_ms: i64,
    pub holiday: bool,
    /// Nothing is learned from it.
    pub masked: bool,
    /// Nothing alerts.
    pub silent: bool,
}

impl Moment {
    /// The local time of an instant, in milliseconds from the clocks' own 1 January 1970.
    #[inline]
    pub fn clock(self, at: Timestamp) -> i64 {
        at.millis() + self.offset_ms
    }
}

/// The same time of day on a Sunday, of a local time in milliseconds.
#[inline]
pub fn on_sunday(clock: i64) -> i64 {
    clock.rem_euclid(DAY_MS) + SUNDAY * DAY_MS
}

/// How a series reads the time: its zone, and the calendars that are about it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reckoning {
    pub zone: Zone,
    pub calendars: Vec<Arc<Calendar>>,
}

/// UTC, and nothing known beforehand.
pub static PLAIN: Reckoning = Reckoning { zone: Zone::UTC, calendars: Vec::new() };

impl Reckoning {
    pub fn moment(&self, at: Timestamp) -> Moment {
        self.stretch(at).0
    }

    /// How an instant counts, and between which ones (milliseconds, the first inclusive) all count the same.
    pub fn stretch(&self, at: Timestamp) -> (Moment, i64, i64) {
        let stretch = self.zone.stretch(at);
        let moment = Moment { offset_ms: stretch.offset_ms, ..self.occasions(at) };
        let (mut from, mut until) = (stretch.from, stretch.until);
        for calendar in &self.calendars {
            let begun = calendar.begun(at);
            let last = begun.checked_sub(1).map(|last| &calendar.entries[last]);
            match last {
                Some(entry) if at < entry.until => {
                    (from, until) = (from.max(entry.from.millis()), until.min(entry.until.millis()));
                }
                Some(entry) => from = from.max(entry.until.millis()),
                None => {}
            }
            if let Some(next) = calendar.entries.get(begun) {
                until = until.min(next.from.millis());
            }
        }
        (moment, from, until)
    }

    /// What the calendars say of an instant; the clocks aside.
    #[inline]
    pub fn occasions(&self, at: Timestamp) -> Moment {
        let mut moment = Moment::default();
        for calendar in &self.calendars {
            if calendar.at(at).is_some() {
                match calendar.occasion {
                    Occasion::Holiday => moment.holiday = true,
                    Occasion::Deploy => moment.masked = true,
                    Occasion::Maintenance => (moment.masked, moment.silent) = (true, true),
                }
            }
        }
        moment
    }

    /// The strictest entry in force: maintenance before a deploy before a holiday.
    pub fn during(&self, at: Timestamp) -> Option<During> {
        let in_force = self.calendars.iter().filter_map(|calendar| Some(During::of(calendar, calendar.at(at)?)));
        in_force.reduce(|one, other| if other.occasion > one.occasion { other } else { one })
    }

    /// Takes out of a window (times in milliseconds, ascending, and as many values) what nothing is learned from: all that is
    /// masked, and holidays as long as they are few and `least` remain. Returns how many of each it took out.
    pub(crate) fn leave_out(&self, least: usize, at: &mut Vec<i64>, values: &mut Vec<f64>) -> (usize, usize) {
        if self.calendars.is_empty() {
            return (0, 0);
        }
        let moments: Vec<Moment> = at.iter().map(|at| self.occasions(Timestamp::from_millis(*at))).collect();
        let (masked, holidays) = left_out(least, moments.iter().copied());
        let without = holidays > 0;
        let stays = |moment: &Moment| !(moment.masked || (moment.holiday && without));
        let (mut of_time, mut of_value) = (moments.iter(), moments.iter());
        at.retain(|_| of_time.next().is_some_and(stays));
        values.retain(|_| of_value.next().is_some_and(stays));
        (masked, holidays)
    }
}

/// How many samples of such moments are left out of what is learned: those masked, and those of holidays as long as these are
/// few and `least` remain.
pub(crate) fn left_out(least: usize, moments: impl Iterator<Item = Moment>) -> (usize, usize) {
    let (mut masked, mut holidays, mut kept) = (0, 0, 0);
    for moment in moments {
        match moment {
            Moment { masked: true, .. } => masked += 1,
            Moment { holiday: true, .. } => holidays += 1,
            _ => kept += 1,
        }
    }
    let without = kept >= least && holidays as f64 <= HOLIDAYS_MAX * (kept + holidays) as f64;
    (masked, if without { holidays } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn entry(from: i64, until: i64) -> Entry {
        Entry { from: at(from), until: at(until), name: format!("{from} to {until}").into() }
    }

    fn calendar(occasion: Occasion, entries: &[(i64, i64)]) -> Calendar {
        Calendar::new(occasion, None, entries.iter().map(|(from, until)| entry(*from, *until)).collect())
    }

    #[test]
    fn entries_are_sorted_and_laid_one_after_the_other() {
        let calendar = calendar(Occasion::Deploy, &[(50, 60), (10, 30), (20, 40), (25, 28), (70, 70), (90, 80)]);
        let spans: Vec<(f64, f64)> = calendar.entries().iter().map(|e| (e.from.secs(), e.until.secs())).collect();
        assert_eq!(spans, [(10.0, 30.0), (30.0, 40.0), (50.0, 60.0)]);
        let name = |secs| calendar.at(at(secs)).map(|entry| &*entry.name);
        assert_eq!((name(9), name(29), name(30)), (None, Some("10 to 30"), Some("20 to 40")));
        assert_eq!((name(40), name(60)), (None, None));
        assert_eq!(calendar.next(at(10)).map(|entry| &*entry.name), Some("20 to 40"));
        assert_eq!(calendar.next(at(50)), None);
    }

    #[test]
    fn too_many_entries_are_left_out_far_from_the_present() {
        let kept = |days: std::ops::Range<i64>, per_day: i64, now: i64| {
            let hour = |n: i64| n * 24 * 3600 / per_day;
            let many: Vec<(i64, i64)> =
                (days.start * per_day..days.end * per_day).map(|n| (hour(n), hour(n) + 60)).collect();
            let all = many.len();
            let calendar = calendar(Occasion::Deploy, &many).near(at(now * 86_400 + 30));
            assert!(calendar.entries().len() == all.min(ENTRIES_MAX), "{days:?}");
            assert_eq!(calendar.left_out(), all.saturating_sub(ENTRIES_MAX), "{days:?}");
            assert!(calendar.at(at(now * 86_400 + 30)).is_some(), "{days:?}: what is in force stays");
            let day = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.from.millis().div_euclid(DAY_MS));
            (day(calendar.entries().first()), day(calendar.entries().last()))
        };
        assert_eq!(kept(1000..1400, 40, 1100), (1000, 1399), "all have room");
        assert_eq!(kept(0..1730, 40, 1000), (750, 1249), "half are ahead of two years");
        assert_eq!(kept(0..600, 40, 590), (100, 599), "of the past the oldest go");
        assert_eq!(kept(900..2000, 100, 1000), (900, 1099), "what is ahead goes first");
        assert_eq!(kept(700..2000, 100, 1000), (900, 1099), "and then the oldest");
    }

    #[test]
    fn a_stretch_is_as_long_as_all_instants_count_the_same() {
        let calendars = vec![
            Arc::new(calendar(Occasion::Maintenance, &[(10, 20), (40, 50)])),
            Arc::new(calendar(Occasion::Holiday, &[(15, 45)])),
            Arc::new(calendar(Occasion::Deploy, &[])),
        ];
        let reckoning = Reckoning { zone: Zone::UTC, calendars };
        let said = |secs| {
            let (moment, from, until) = reckoning.stretch(at(secs));
            (moment.holiday, moment.masked, moment.silent, from, until)
        };
        assert_eq!(said(0), (false, false, false, i64::MIN, 10_000));
        assert_eq!(said(10), (false, true, true, 10_000, 15_000));
        assert_eq!(said(19), (true, true, true, 15_000, 20_000));
        assert_eq!(said(30), (true, false, false, 20_000, 40_000));
        assert_eq!(said(47), (false, true, true, 45_000, 50_000));
        assert_eq!(said(50), (false, false, false, 50_000, i64::MAX));
        assert_eq!(reckoning.during(at(17)).map(|during| during.occasion), Some(Occasion::Maintenance));
        assert_eq!(reckoning.during(at(30)).map(|during| during.to_string()), Some("during holiday 15 to 45".into()));
    }

    #[test]
    fn what_is_masked_is_left_out_and_holidays_while_they_are_few() {
        let left = |deploys: &[(i64, i64)], holidays: &[(i64, i64)], least| {
            let calendars =
                vec![Arc::new(calendar(Occasion::Deploy, deploys)), Arc::new(calendar(Occasion::Holiday, holidays))];
            let mut times: Vec<i64> = (0..20).map(|n| n * 1000).collect();
            let mut values: Vec<f64> = (0..20).map(f64::from).collect();
            let counts = Reckoning { zone: Zone::UTC, calendars }.leave_out(least, &mut times, &mut values);
            assert_eq!(times.iter().map(|time| *time as f64 / 1000.0).collect::<Vec<_>>(), values);
            (counts, values.len())
        };
        assert_eq!(left(&[(0, 4)], &[(10, 14)], 12), ((4, 4), 12));
        assert_eq!(left(&[(0, 4)], &[(10, 14)], 13), ((4, 0), 16), "what remains would be too few");
        assert_eq!(left(&[], &[(0, 6)], 1), ((0, 0), 20), "six of twenty are no exception");
        assert_eq!(left(&[(0, 18)], &[], 10), ((18, 0), 2), "what is masked is never learned");
    }

    #[test]
    fn a_holiday_is_read_as_a_sunday_at_the_same_time_of_day() {
        let monday = Timestamp::parse("2026-05-25T10:30:00Z").expect("a time");
        let sunday = Timestamp::parse("2026-05-24T10:30:00Z").expect("a time");
        let week = 7 * DAY_MS;
        assert_eq!(on_sunday(monday.millis()).rem_euclid(week), sunday.millis().rem_euclid(week));
    }
}
