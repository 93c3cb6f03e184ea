//! Recurrence rules of iCalendar (RFC 5545, 3.3.10): the parts that calendars of holidays and maintenance use. What else a
//! rule may say is refused by name, never ignored: a window in the wrong week is worse than an error.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, ToSpan};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// Until when, in the way the event's own times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// That day, or the local time of one.
    Local(DateTime),
    Instant(jiff::Timestamp),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    frequency: Frequency,
    interval: i32,
    count: Option<u32>,
    pub until: Option<Until>,
    /// With which of them in the month (or year), counted from its end where negative; none: each.
    days: Vec<(Option<i8>, Weekday)>,
    month_days: Vec<i8>,
    months: Vec<i8>,
    week_starts: Weekday,
}

/// No list of a rule is longer.
const LIST_MAX: usize = 64;

impl Rule {
    /// From `FREQ=WEEKLY;BYDAY=MO,TU`. The error is a sentence.
    pub fn parse(text: &str) -> Result<Rule, String> {
        let mut frequency = None;
        let mut rule = Rule {
            frequency: Frequency::Daily,
            interval: 1,
            count: None,
            until: None,
            days: Vec::new(),
            month_days: Vec::new(),
            months: Vec::new(),
            week_starts: Weekday::Monday,
        };
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` of the rule has no `=`"))?;
            let wrong = |wanted: &str| format!("{key}={value} of the rule is not {wanted}");
            match key.to_ascii_uppercase().as_str() {
                "FREQ" => {
                    frequency = Some(match value.to_ascii_uppercase().as_str() {
                        "DAILY" => Frequency::Daily,
                        "WEEKLY" => Frequency::Weekly,
                        "MONTHLY" => Frequency::Monthly,
                        "YEARLY" => Frequency::Yearly,
                        _ => return Err(wanted_frequency(value)),
                    });
                }
                "INTERVAL" => {
                    let read = value.parse::<i32>().ok().filter(|n| (1..=1000).contains(n));
                    rule.interval = read.ok_or_else(|| wrong("a whole number from 1 to 1000"))?;
                }
                "COUNT" => {
                    let read = value.parse::<u32>().ok().filter(|n| (1..=1_000_000).contains(n));
                    rule.count = Some(read.ok_or_else(|| wrong("a whole number from 1 to 1000000"))?);
                }
                "UNTIL" => rule.until = Some(until(value).ok_or_else(|| wrong("a date or a time"))?),
                "BYDAY" => rule.days = list(value, day).ok_or_else(|| wrong("a list of days like MO, 2TU or -1FR"))?,
                "BYMONTHDAY" => {
                    let day = |text: &str| text.parse::<i8>().ok().filter(|n| *n != 0 && (-31..=31).contains(n));
                    rule.month_days = list(value, day).ok_or_else(|| wrong("a list of days of a month"))?;
                }
                "BYMONTH" => {
                    let month = |text: &str| text.parse::<i8>().ok().filter(|n| (1..=12).contains(n));
                    rule.months = list(value, month).ok_or_else(|| wrong("a list of months, 1 to 12"))?;
                }
                "WKST" => rule.week_starts = weekday(value).ok_or_else(|| wrong("a day like MO"))?,
                other => {
                    return Err(format!(
                        "{other} of the rule is not understood (FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH and \
                         WKST are); write the days out with `dates` or `periods`"
                    ));
                }
            }
        }
        rule.frequency = frequency.ok_or_else(|| wanted_frequency(""))?;
        if rule.count.is_some() && rule.until.is_some() {
            return Err("the rule has both COUNT and UNTIL; keep one".to_owned());
        }
        let ordinals = rule.days.iter().any(|(which, _)| which.is_some());
        if ordinals && matches!(rule.frequency, Frequency::Daily | Frequency::Weekly) {
            return Err("a day with a number, like 2MO, needs FREQ=MONTHLY or YEARLY".to_owned());
        }
        if !rule.month_days.is_empty() && rule.frequency == Frequency::Weekly {
            return Err("BYMONTHDAY does not go with FREQ=WEEKLY".to_owned());
        }
        Ok(rule)
    }

    /// The days on which it occurs, from its first day on, in order. None ends it: the calendar of the world is over.
    pub fn days_from(&self, first: Date) -> Occurrences<'_> {
        Occurrences { rule: self, first, step: 0, ready: Vec::new().into_iter(), left: self.count }
    }

    /// The days of the period that lies so many steps after the first one's; None: there is none so late.
    fn period(&self, first: Date, step: i32) -> Option<Vec<Date>> {
        // More steps than there are days in all years; spans of more would be none.
        let away = step.checked_mul(self.interval).filter(|away| *away < 4_000_000)?;
        let mut days = match self.frequency {
            Frequency::Daily => vec![first.checked_add(Span::new().try_days(away).ok()?).ok()?],
            Frequency::Weekly => {
                let into = first.weekday().since(self.week_starts);
                let start = first.checked_sub(i32::from(into).days()).ok()?;
                let start = start.checked_add(Span::new().try_weeks(away).ok()?).ok()?;
                let week = (0..7).filter_map(|day| start.checked_add(i32::from(day as u8).days()).ok());
                match self.days.is_empty() {
                    true => week.filter(|day| day.weekday() == first.weekday()).collect(),
                    false => week.collect(),
                }
            }
            Frequency::Monthly => {
                let month = first.first_of_month().checked_add(Span::new().try_months(away).ok()?).ok()?;
                self.of_month(month, first)
            }
            Frequency::Yearly => {
                let year = first.first_of_year().checked_add(Span::new().try_years(away).ok()?).ok()?;
                self.of_year(year, first)
            }
        };
        days.retain(|day| self.allows(*day));
        days.sort();
        days.dedup();
        Some(days)
    }

    fn of_month(&self, month: Date, first: Date) -> Vec<Date> {
        let of_month = span_of(month, month.last_of_month());
        match (self.days.is_empty(), self.month_days.is_empty()) {
            (true, true) => of_month.into_iter().filter(|day| day.day() == first.day()).collect(),
            (true, false) => of_month,
            (false, _) => self.picked(&of_month),
        }
    }

    fn of_year(&self, year: Date, first: Date) -> Vec<Date> {
        let all = span_of(year, year.last_of_year());
        if self.months.is_empty() && !self.days.is_empty() {
            return self.picked(&all);
        }
        if self.months.is_empty() && self.month_days.is_empty() {
            return all.into_iter().filter(|day| (day.month(), day.day()) == (first.month(), first.day())).collect();
        }
        let months = if self.months.is_empty() { (1..=12).collect() } else { self.months.clone() };
        let of_months = months.into_iter().filter_map(|month| Date::new(year.year(), month, 1).ok());
        of_months.flat_map(|month| self.of_month(month, first)).collect()
    }

    /// The days by BYDAY of a month or a year.
    fn picked(&self, all: &[Date]) -> Vec<Date> {
        let mut picked = Vec::new();
        for (which, weekday) in &self.days {
            let mut alike = all.iter().filter(|day| day.weekday() == *weekday);
            match which {
                None => picked.extend(alike),
                Some(which) if *which > 0 => picked.extend(alike.nth(*which as usize - 1)),
                Some(which) => picked.extend(alike.nth_back(which.unsigned_abs() as usize - 1)),
            }
        }
        picked
    }

    fn allows(&self, day: Date) -> bool {
        let last = day.days_in_month();
        let of_month = |wanted: &i8| if *wanted > 0 { *wanted == day.day() } else { last + 1 + wanted == day.day() };
        (self.months.is_empty() || self.months.contains(&day.month()))
            && (self.month_days.is_empty() || self.month_days.iter().any(of_month))
            && (self.days.is_empty() || self.days.iter().any(|(_, weekday)| *weekday == day.weekday()))
    }
}

/// See [`Rule::days_from`].
pub struct Occurrences<'a> {
    rule: &'a Rule,
    first: Date,
    step: i32,
    ready: std::vec::IntoIter<Date>,
    left: Option<u32>,
}

impl Occurrences<'_> {
    /// The next day, or Err: one more period had none. Ok(None): it is over.
    pub fn step(&mut self) -> Result<Option<Date>, NoneYet> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(day) = self.ready.next() else {
            let Some(period) = self.rule.period(self.first, self.step) else { return Ok(None) };
            self.step += 1;
            self.ready = period.into_iter();
            return Err(NoneYet);
        };
        if day < self.first {
            return Err(NoneYet);
        }
        self.left = self.left.map(|left| left - 1);
        Ok(Some(day))
    }
}

impl Occurrences<'_> {
    /// Whether all that is to come lies after a day.
    pub fn passed(&self, day: Date) -> bool {
        let away = self.step.saturating_mul(self.rule.interval);
        let (begun, span) = match self.rule.frequency {
            Frequency::Daily => (self.first, Span::new().try_days(away)),
            // A week begins up to six days before its first day.
            Frequency::Weekly => (self.first, Span::new().try_weeks(away.saturating_sub(1))),
            Frequency::Monthly => (self.first.first_of_month(), Span::new().try_months(away)),
            Frequency::Yearly => (self.first.first_of_year(), Span::new().try_years(away)),
        };
        let next = span.and_then(|span| begun.checked_add(span));
        self.ready.len() == 0 && next.is_ok_and(|next| next > day)
    }
}

/// There was no day in this step; there may be one in the next.
#[derive(Debug)]
pub struct NoneYet;

fn wanted_frequency(found: &str) -> String {
    format!("FREQ={found} of the rule is not one of DAILY, WEEKLY, MONTHLY and YEARLY; write the days out with `dates`")
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let items: Option<Vec<T>> = text.split(',').take(LIST_MAX + 1).map(|item| read(item.trim())).collect();
    items.filter(|items| items.len() <= LIST_MAX)
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// `MO`, `2MO`, `-1FR`.
fn day(text: &str) -> Option<(Option<i8>, Weekday)> {
    let at = text.len().checked_sub(2).filter(|at| text.is_char_boundary(*at))?;
    let (which, name) = text.split_at(at);
    let weekday = weekday(name)?;
    if which.is_empty() {
        return Some((None, weekday));
    }
    let which = which.parse::<i8>().ok().filter(|n| *n != 0 && (-53..=53).contains(n))?;
    Some((Some(which), weekday))
}

fn until(text: &str) -> Option<Until> {
    if let Some(utc) = text.strip_suffix(['Z', 'z']) {
        let civil = civil(utc)?;
        return jiff::tz::TimeZone::UTC.to_timestamp(civil).ok().map(Until::Instant);
    }
    match text.len() {
        // To the end of that day.
        8 => Some(Until::Local(date(text)?.at(23, 59, 59, 999_999_999))),
        _ => civil(text).map(Until::Local),
    }
}

/// `20261225`.
pub fn date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    Date::new(number(0..4)?, i8::try_from(number(4..6)?).ok()?, i8::try_from(number(6..8)?).ok()?).ok()
}

/// `20261225T220000`.
pub fn civil(text: &str) -> Option<DateTime> {
    let (day, time) = text.split_once(['T', 't'])?;
    if time.len() != 6 || !time.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i8>().ok();
    // A leap second is the one before it.
    let time = jiff::civil::Time::new(number(0..2)?, number(2..4)?, number(4..6)?.min(59), 0).ok()?;
    Some(date(day)?.to_datetime(time))
}

fn span_of(from: Date, until: Date) -> Vec<Date> {
    let one: Span = 1.days();
    from.series(one).take_while(|day| *day <= until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurs(rule: &str, first: &str, most: usize) -> Vec<String> {
        let rule = Rule::parse(rule).expect(rule);
        let mut days = rule.days_from(date(first).expect(first));
        let mut found = Vec::new();
        for _ in 0..10_000 {
            match days.step() {
                Ok(Some(day)) if found.len() < most => found.push(day.to_string()),
                Ok(_) => break,
                Err(NoneYet) => {}
            }
        }
        found
    }

    #[test]
    fn rules_give_the_days_that_the_standard_says() {
        for (rule, first, wanted) in [
            ("FREQ=YEARLY", "20241225", vec!["2024-12-25", "2025-12-25", "2026-12-25"]),
            ("FREQ=YEARLY", "20240229", vec!["2024-02-29", "2028-02-29", "2032-02-29"]),
            ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "20241128", vec!["2024-11-28", "2025-11-27", "2026-11-26"]),
            ("FREQ=YEARLY;BYDAY=1MO", "20250106", vec!["2025-01-06", "2026-01-05", "2027-01-04"]),
            ("FREQ=WEEKLY;BYDAY=TU,SU;COUNT=3", "20260303", vec!["2026-03-03", "2026-03-08", "2026-03-10"]),
            (
                "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;COUNT=4",
                "19970805",
                vec!["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"],
            ),
            (
                "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=4",
                "19970805",
                vec!["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"],
            ),
            ("FREQ=MONTHLY;BYDAY=-1FR", "20260130", vec!["2026-01-30", "2026-02-27", "2026-03-27"]),
            ("FREQ=MONTHLY;BYMONTHDAY=-1,15", "20260101", vec!["2026-01-15", "2026-01-31", "2026-02-15"]),
            ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "19970902", vec!["1998-02-13", "1998-03-13", "1998-11-13"]),
            ("FREQ=MONTHLY", "20260131", vec!["2026-01-31", "2026-03-31", "2026-05-31"]),
            ("FREQ=DAILY;INTERVAL=10;COUNT=2", "20260101", vec!["2026-01-01", "2026-01-11"]),
            ("FREQ=DAILY;BYDAY=SA,SU;BYMONTH=3", "20260227", vec!["2026-03-01", "2026-03-07", "2026-03-08"]),
        ] {
            let most = if rule.contains("COUNT") { 100 } else { 3 };
            assert_eq!(occurs(rule, first, most), wanted, "{rule} from {first}");
        }
    }

    #[test]
    fn a_rule_ends_with_the_calendar_of_the_world() {
        assert_eq!(occurs("FREQ=YEARLY;INTERVAL=1000", "20260101", 100).len(), 8);
        assert_eq!(occurs("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "20260101", 100).len(), 0, "there is no such day");
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (rule, said) in [
            ("", "FREQ"),
            ("FREQ=HOURLY", "HOURLY"),
            ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS"),
            ("FREQ=DAILY;BYDAY=2MO", "2MO"),
            ("FREQ=DAILY;BYDAY=XX", "BYDAY=XX"),
            ("FREQ=DAILY;BYDAY=é", "BYDAY=é"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
            ("FREQ=DAILY;COUNT=99999999999", "COUNT"),
            ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "both"),
            ("FREQ=DAILY;UNTIL=20261301", "UNTIL"),
            ("FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY"),
            ("FREQ", "`=`"),
        ] {
            let error = Rule::parse(rule).expect_err(rule);
            assert!(error.contains(said), "{rule}: {error}");
        }
    }
}
