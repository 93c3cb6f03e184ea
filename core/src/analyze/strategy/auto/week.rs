//! What a series usually is at an hour of the week. A time of day is the median of its hours on the seven days, so no single
//! day spoils it; an hour of the week is known by itself once two weeks agreed about it.

use super::season::Table;
use crate::calendar::on_sunday;
use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;
const HOURS: usize = 24;
const DAYS: usize = 7;

/// How fast an hour of the week follows what it was this week.
const RATE: f32 = 0.34;

/// Weeks that agree before an hour is known by itself.
const AGREED: u16 = 2;

/// Two weeks agree about an hour when they differ by a spread, or by that share of how far it lies from its time of day.
const LIKE: f32 = 0.33;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Week {
    /// Each beside the mean of the day before it, so that a level which shifted or wanders spoils no more than a day of them.
    hours: Table<{ HOURS * DAYS }>,
    /// The mean of about a day.
    level: f32,
}

/// What the week says of an instant.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Expected {
    pub value: f32,
    /// How far that lies from what is usual at its time of day.
    pub beside: f32,
}

impl Week {
    /// What is usual at this local time; nothing before two days were seen at that time of day. `noise` is how far values lie
    /// from what is usual: an hour that differs from its time of day by not more is not different.
    pub fn expected(&self, clock: i64, noise: f32) -> Option<Expected> {
        let by_day = self.by_day(hour_of(clock))?;
        let beside = self.known(hour_of(clock)).map(|mean| mean - by_day).filter(|beside| beside.abs() > noise);
        // Of a difference, what noise alone would make of it is taken off (James and Stein 1961, for one mean).
        let beside = beside.map_or(0.0, |beside| beside * (1.0 - (noise / beside) * (noise / beside)));
        Some(Expected { value: self.level + by_day + beside, beside })
    }

    /// What is usual at this time of a Sunday, where that is another than at this time of day: holidays are like them.
    pub fn on_sunday(&self, clock: i64, noise: f32) -> Option<Expected> {
        self.expected(on_sunday(clock), noise).filter(|expected| expected.beside != 0.0)
    }

    /// What is usual at this hour of the week, once two weeks agreed about it.
    pub fn of_hour(&self, clock: i64) -> Option<f32> {
        let hour = hour_of(clock);
        self.known(hour).map(|mean| self.level + mean)
    }

    fn known(&self, hour: usize) -> Option<f32> {
        (self.hours.met(hour) >= AGREED).then(|| self.hours.mean(hour))
    }

    /// Takes a value in. `share` is the part of a day that it stands for, and of what was seen where that is less; an hour that
    /// differs by more than `alike` from the week before does not agree with it; `spread` is how far the series' values usually lie
    /// from one another.
    pub fn see(&mut self, clock: i64, value: f32, share: f32, alike: f32, spread: f32) {
        self.level += share * (value - self.level);
        let Some((hour, mean)) = self.hours.see(hour_of(clock), value - self.level) else { return };
        let (met, before) = (self.hours.met(hour), self.hours.mean(hour));
        let like = LIKE * self.by_day(hour).map_or(0.0, |by_day| (before - by_day).abs());
        if met > 0 && (mean - before).abs() <= alike.max(like) {
            let rate = RATE.max(1.0 / (f32::from(met) + 1.0));
            self.hours.put(hour, before + rate * (mean - before), met + 1, spread);
        } else {
            self.hours.put(hour, mean, 1, spread);
        }
    }

    fn by_day(&self, hour: usize) -> Option<f32> {
        let mut means = [0.0; DAYS];
        let mut known = 0;
        for day in 0..DAYS {
            let at = day * HOURS + hour % HOURS;
            if self.hours.met(at) > 0 {
                means[known] = self.hours.mean(at);
                known += 1;
            }
        }
        let means = &mut means[..known];
        if known < 2 {
            return None;
        }
        means.sort_unstable_by(f32::total_cmp);
        Some((means[(known - 1) / 2] + means[known / 2]) / 2.0)
    }
}

fn hour_of(clock: i64) -> usize {
    clock.div_euclid(HOUR_MS).rem_euclid((HOURS * DAYS) as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * HOUR_MS;

    /// Follows `days` days by the half hour, from the day `from` on.
    fn follow(week: &mut Week, from: i64, days: i64, value: impl Fn(i64, i64) -> f32) {
        for n in from * 48..(from + days) * 48 {
            let clock = n * HOUR_MS / 2;
            week.see(clock, value(clock / DAY_MS, clock / HOUR_MS % 24), 1.0 / (n as f32 + 1.0).min(48.0), 10.0, 10.0);
        }
    }

    /// How far an hour of a day lies from midnight's.
    fn beyond_midnight(week: &Week, day: i64, hour: i64) -> Option<f32> {
        let of = |hour: i64| week.expected(day * DAY_MS + hour * HOUR_MS, 1.0).map(|expected| expected.value);
        Some(of(hour)? - of(0)?)
    }

    #[test]
    fn a_time_of_day_is_known_after_two_days_and_no_single_day_spoils_it() {
        let mut week = Week::default();
        follow(&mut week, 0, 1, |_, hour| 100.0 * hour as f32);
        assert_eq!(beyond_midnight(&week, 1, 8), None);
        follow(&mut week, 1, 3, |_, hour| 100.0 * hour as f32);
        let eight = beyond_midnight(&week, 4, 8).expect("known");
        follow(&mut week, 4, 1, |_, _| 0.0);
        let after = beyond_midnight(&week, 5, 8).expect("known");
        assert!((eight - after).abs() < 50.0, "{eight} {after}");
    }

    #[test]
    fn a_level_that_shifted_is_that_of_all_hours_a_day_later() {
        let mut week = Week::default();
        let daily = |hour: i64| 100.0 * hour as f32;
        follow(&mut week, 0, 9, |_, hour| daily(hour));
        let shape =
            |week: &Week, day: i64| (1..24).map(|hour| beyond_midnight(week, day, hour)).collect::<Option<Vec<_>>>();
        let before = shape(&week, 9).expect("known");
        follow(&mut week, 9, 4, |_, hour| 2_000.0 + daily(hour));
        for (then, now) in before.iter().zip(shape(&week, 13).expect("known")) {
            assert!((now - then).abs() < 200.0, "{now} {then}");
        }
    }

    #[test]
    fn an_hour_of_the_week_is_known_once_two_weeks_agree_and_doubted_when_one_does_not() {
        let weekly = |day: i64, hour: i64| if day % 7 == 2 && (8..12).contains(&hour) { 500.0 } else { 100.0 };
        let mut week = Week::default();
        follow(&mut week, 0, 8, weekly);
        assert!((beyond_midnight(&week, 9, 8).expect("known")).abs() < 60.0, "one week tells nothing of it");
        follow(&mut week, 8, 7, weekly);
        assert!((beyond_midnight(&week, 16, 8).expect("known") - 400.0).abs() < 60.0, "two did");
        assert!((beyond_midnight(&week, 17, 8).expect("known")).abs() < 60.0, "of that day alone");
        follow(&mut week, 15, 7, |_, _| 100.0);
        assert!((beyond_midnight(&week, 23, 8).expect("known")).abs() < 60.0, "it did not come");
    }
}
