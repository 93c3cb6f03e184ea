//! Events of an iCalendar file (RFC 5545): when each is, over and over where it repeats, and what it is called.
//!
//! Read strictly: a line that would move a window and is not understood refuses the file, with its number. A file from
//! outside may be hostile, so its size, its nesting and how often its events repeat are bounded.

use super::rule::{self, NoneYet, Rule, Until};
use homeostat::calendar::Entry;
use homeostat::time::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, ToSpan};
use std::collections::{HashMap, HashSet};

/// A file larger than this is no calendar, in bytes.
pub const FILE_LEN_MAX: u64 = 4 << 20;

/// Steps that all rules of a file may take together, and entries that they may give.
const STEPS_MAX: usize = 1_000_000;
const ENTRIES_MAX: usize = 100_000;

/// Components lie in each other so deep at most.
const DEPTH_MAX: usize = 8;

/// Of a name so many characters are kept.
const NAME_MAX: usize = 200;

/// What is wrong, and in which line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Wrong {
    pub line: usize,
    pub problem: String,
}

fn wrong<T>(line: usize, problem: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { line, problem: problem.into() })
}

/// All events of a file up to `horizon`. Dates and times without a zone are those of `zone`.
pub fn entries(text: &str, zone: &TimeZone, horizon: Timestamp) -> Result<Vec<Entry>, Wrong> {
    let events = events(text, zone)?;
    // An event that stands in for one of a series takes that one's place.
    let moved: HashSet<(String, i64)> =
        events.iter().filter_map(|event| Some((event.uid.clone(), event.stands_in_for?))).collect();
    let (mut found, mut steps) = (Vec::new(), 0);
    let last = jiff::Timestamp::from_millisecond(horizon.millis()).map(|at| TimeZone::UTC.to_datetime(at).date());
    let last = last.unwrap_or(Date::MAX).saturating_add(1.day());
    for event in events.iter().filter(|event| !event.cancelled) {
        let Some(rule) = &event.rule else {
            found.push(event.entry(event.start.day())?);
            continue;
        };
        let mut days = rule.days_from(event.start.day());
        loop {
            steps += 1;
            if steps > STEPS_MAX || found.len() > ENTRIES_MAX {
                return wrong(
                    event.line,
                    "the events up to here repeat too often; let them begin later, or end with UNTIL",
                );
            }
            let day = match days.step() {
                Ok(Some(day)) => day,
                Ok(None) => break,
                Err(NoneYet) => {
                    // Where nothing comes of a rule, it ends with what is asked for.
                    if days.passed(last) {
                        break;
                    }
                    continue;
                }
            };
            let entry = event.entry(day)?;
            if entry.from > horizon || event.is_after(rule, day, entry.from) {
                break;
            }
            let from = entry.from.millis();
            let is_moved =
                event.stands_in_for.is_none() && !moved.is_empty() && moved.contains(&(event.uid.clone(), from));
            if !event.except.contains(&from) && !is_moved {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// The start of an event, or its end.
#[derive(Clone, PartialEq, Debug)]
enum When {
    Day(Date),
    /// A local time, and by which clocks.
    Time(DateTime, TimeZone),
}

impl When {
    fn day(&self) -> Date {
        match self {
            When::Day(day) => *day,
            When::Time(time, _) => time.date(),
        }
    }

    /// The same on another day. A day begins at its first instant by the clocks of `zone`.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<Timestamp> {
        let (civil, zone) = match self {
            When::Day(_) => (day.to_datetime(jiff::civil::Time::midnight()), zone),
            When::Time(time, zone) => (day.to_datetime(time.time()), zone),
        };
        instant(civil, zone)
    }
}

/// The instant of a local time; of one that the clocks skip, the one after the gap; of one that comes twice, the first.
pub fn instant(civil: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    Some(Timestamp::from_millis(zone.to_timestamp(civil).ok()?.as_millisecond()))
}

struct Event<'a> {
    /// The line that it begins in.
    line: usize,
    uid: String,
    name: String,
    start: When,
    length: Length,
    rule: Option<Rule>,
    /// Starts that are left out, in milliseconds since the epoch.
    except: HashSet<i64>,
    stands_in_for: Option<i64>,
    cancelled: bool,
    zone: &'a TimeZone,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Days(i32),
    Exactly(SignedDuration),
}

impl Event<'_> {
    fn entry(&self, day: Date) -> Result<Entry, Wrong> {
        let from = self.start.on(day, self.zone);
        let until = match self.length {
            Length::Days(days) => day.checked_add(days.days()).ok().and_then(|end| self.start.on(end, self.zone)),
            Length::Exactly(length) => from.map(|from| {
                let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(from.millis().saturating_add(millis))
            }),
        };
        match from.zip(until) {
            Some((from, until)) if from < until => Ok(Entry { from, until, name: self.name.as_str().into() }),
            _ => wrong(self.line, "the event lies outside of the years that can be reckoned with, or has no length"),
        }
    }

    fn is_after(&self, rule: &Rule, day: Date, from: Timestamp) -> bool {
        match rule.until {
            None => false,
            Some(Until::Instant(until)) => from.millis() > until.as_millisecond(),
            Some(Until::Local(until)) => match &self.start {
                When::Day(_) => day > until.date(),
                When::Time(time, _) => day.to_datetime(time.time()) > until,
            },
        }
    }
}

/// What of an event was read so far.
#[derive(Default)]
struct Draft {
    line: usize,
    uid: String,
    name: Option<String>,
    start: Option<(When, usize)>,
    end: Option<(When, usize)>,
    duration: Option<SignedDuration>,
    days: Option<i32>,
    rule: Option<Rule>,
    except: Vec<(When, usize)>,
    stands_in_for: Option<(When, usize)>,
    cancelled: bool,
}

fn events<'a>(text: &str, zone: &'a TimeZone) -> Result<Vec<Event<'a>>, Wrong> {
    let mut zones = Zones { default: zone, known: HashMap::new() };
    let (mut open, mut events): (Vec<String>, Vec<Event<'a>>) = (Vec::new(), Vec::new());
    let mut draft: Option<Draft> = None;
    let mut seen = false;
    let mut last = 1;
    for (line, content) in lines(text) {
        last = line;
        let property = Property::parse(&content, line)?;
        match property.name.as_str() {
            "BEGIN" => {
                let component = property.value.trim().to_ascii_uppercase();
                if open.is_empty() && component != "VCALENDAR" {
                    return wrong(line, "BEGIN:VCALENDAR is wanted first; is it an iCalendar file?");
                }
                if open.len() == DEPTH_MAX {
                    return wrong(line, format!("components lie in each other more than {DEPTH_MAX} deep"));
                }
                if component == "VEVENT" && open.len() == 1 {
                    draft = Some(Draft { line, ..Draft::default() });
                }
                seen = true;
                open.push(component);
            }
            "END" => {
                let component = property.value.trim().to_ascii_uppercase();
                if open.pop().as_ref() != Some(&component) {
                    return wrong(line, format!("END:{component} ends nothing that began"));
                }
                if open.len() == 1
                    && component == "VEVENT"
                    && let Some(draft) = draft.take()
                {
                    events.push(draft.finish(zone)?);
                }
            }
            _ if open.is_empty() => return wrong(line, "BEGIN:VCALENDAR is wanted first; is it an iCalendar file?"),
            // Only what stands in an event itself: alarms and definitions of zones are others' business.
            _ if open.len() == 2 => {
                if let Some(draft) = &mut draft {
                    draft.take(&property, line, &mut zones)?;
                }
            }
            _ => {}
        }
    }
    match open.last() {
        Some(component) => wrong(last, format!("the file ends within {component}; is it complete?")),
        None if !seen => wrong(1, "BEGIN:VCALENDAR is wanted first; is it an iCalendar file?"),
        None => Ok(events),
    }
}

impl Draft {
    fn take(&mut self, property: &Property, line: usize, zones: &mut Zones<'_>) -> Result<(), Wrong> {
        let value = property.value.trim();
        match property.name.as_str() {
            "UID" => self.uid = value.to_owned(),
            "SUMMARY" => self.name = Some(plain(value)),
            "DTSTART" => self.start = Some((zones.when(property, value, line)?, line)),
            "DTEND" => self.end = Some((zones.when(property, value, line)?, line)),
            "DURATION" => {
                let Some((days, rest)) = duration(value) else {
                    return wrong(line, format!("`{value}` is not a duration like PT2H, P1D or P1W"));
                };
                (self.days, self.duration) = (Some(days), Some(rest));
            }
            "RRULE" => {
                if self.rule.is_some() {
                    return wrong(line, "a second RRULE; give it an event of its own");
                }
                self.rule = Some(Rule::parse(value).map_err(|problem| Wrong { line, problem })?);
            }
            "EXDATE" => {
                for one in value.split(',') {
                    self.except.push((zones.when(property, one.trim(), line)?, line));
                }
            }
            "RECURRENCE-ID" if property.parameter("RANGE").is_some() => {
                return wrong(
                    line,
                    "RANGE is not understood; end the series before it with UNTIL, and let another event go on from there",
                );
            }
            "RECURRENCE-ID" => self.stands_in_for = Some((zones.when(property, value, line)?, line)),
            "STATUS" => self.cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            "RDATE" | "EXRULE" => {
                let name = &property.name;
                return wrong(line, format!("{name} is not understood; write the days out with `dates` or `periods`"));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, zone: &TimeZone) -> Result<Event<'_>, Wrong> {
        let Some((start, start_line)) = self.start else {
            return wrong(self.line, "the event has no DTSTART");
        };
        let length = match (&start, self.end, self.days.zip(self.duration)) {
            (_, Some((_, line)), Some(_)) => return wrong(line, "DTEND and DURATION are both there; keep one"),
            (When::Day(day), Some((When::Day(end), line)), None) => {
                let days = (end - *day).get_days();
                if days < 0 {
                    return wrong(line, "DTEND lies before DTSTART");
                }
                // Some write the day itself where the day after is meant.
                Length::Days(days.max(1))
            }
            (When::Time(..), Some((end @ When::Time(..), line)), None) => {
                let (from, until) = (start.on(start.day(), zone), end.on(end.day(), zone));
                match from.zip(until).map(|(from, until)| until.millis() - from.millis()) {
                    Some(millis) if millis > 0 => Length::Exactly(SignedDuration::from_millis(millis)),
                    _ => return wrong(line, "DTEND does not lie after DTSTART"),
                }
            }
            (_, Some((_, line)), None) => {
                return wrong(line, "of DTSTART and DTEND one is a date and the other a time");
            }
            (_, None, Some((days, rest))) if rest.is_zero() && days > 0 => Length::Days(days),
            (When::Time(..), None, Some((days, rest))) if days >= 0 && rest.is_positive() => {
                Length::Exactly(rest + SignedDuration::from_hours(24 * i64::from(days)))
            }
            (_, None, Some(_)) => return wrong(start_line, "its DURATION is no length of such a start"),
            (When::Day(_), None, None) => Length::Days(1),
            (When::Time(..), None, None) => {
                return wrong(start_line, "the event has no end; give it DTEND or DURATION");
            }
        };
        let starts = |(when, line): (When, usize)| {
            // A date names the occurrence of that day.
            let at = match when {
                When::Day(day) => start.on(day, zone),
                When::Time(..) => when.on(when.day(), zone),
            };
            at.map(Timestamp::millis).ok_or(Wrong { line, problem: "no time that can be reckoned with".to_owned() })
        };
        let except = self.except.into_iter().map(starts).collect::<Result<_, _>>()?;
        let stands_in_for = self.stands_in_for.map(starts).transpose()?;
        let name = self.name.filter(|name| !name.is_empty()).unwrap_or_else(|| "without a name".to_owned());
        Ok(Event {
            line: self.line,
            uid: self.uid,
            name,
            start,
            length,
            rule: self.rule,
            except,
            stands_in_for,
            cancelled: self.cancelled,
            zone,
        })
    }
}

struct Zones<'a> {
    default: &'a TimeZone,
    known: HashMap<String, TimeZone>,
}

impl Zones<'_> {
    fn when(&mut self, property: &Property, value: &str, line: usize) -> Result<When, Wrong> {
        if property.parameter("VALUE").is_some_and(|kind| kind.eq_ignore_ascii_case("DATE")) || value.len() == 8 {
            return match rule::date(value) {
                Some(day) => Ok(When::Day(day)),
                None => wrong(line, format!("`{}` is not a date like 20261225", short(value))),
            };
        }
        let (text, zone) = match (value.strip_suffix(['Z', 'z']), property.parameter("TZID")) {
            (Some(utc), _) => (utc, TimeZone::UTC),
            (None, Some(name)) => (value, self.named(name, line)?),
            (None, None) => (value, self.default.clone()),
        };
        match rule::civil(text) {
            Some(time) => Ok(When::Time(time, zone)),
            None => wrong(line, format!("`{}` is not a time like 20261225T220000 or 20261225T210000Z", short(value))),
        }
    }

    fn named(&mut self, name: &str, line: usize) -> Result<TimeZone, Wrong> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        // Some write the name after a path.
        let bare = name.trim_start_matches('/');
        match TimeZoneDatabase::bundled().get(bare) {
            Ok(zone) => {
                self.known.insert(name.to_owned(), zone.clone());
                Ok(zone)
            }
            Err(_) => wrong(
                line,
                format!(
                    "TZID `{}` is no zone of the IANA database, like Europe/Berlin; export with such names",
                    short(name)
                ),
            ),
        }
    }
}

/// A content line in its parts.
struct Property {
    name: String,
    parameters: Vec<(String, String)>,
    value: String,
}

impl Property {
    fn parse(content: &str, line: usize) -> Result<Property, Wrong> {
        let end = content.find([':', ';']).filter(|end| *end > 0);
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let Some(end) = end.filter(|end| content[..*end].chars().all(named)) else {
            return wrong(line, format!("`{}` is not NAME:VALUE; is it an iCalendar file?", short(content)));
        };
        let name = content[..end].to_ascii_uppercase();
        let mut parameters = Vec::new();
        let mut rest = &content[end..];
        while let Some(more) = rest.strip_prefix(';') {
            let mut quoted = false;
            let stop = more.char_indices().find(|(_, c)| {
                quoted ^= *c == '"';
                !quoted && (*c == ';' || *c == ':')
            });
            let Some((stop, _)) = stop else { return wrong(line, format!("{name} has no value after its parameters")) };
            if let Some((key, value)) = more[..stop].split_once('=') {
                parameters.push((key.to_ascii_uppercase(), value.trim_matches('"').to_owned()));
            }
            rest = &more[stop..];
        }
        Ok(Property { name, parameters, value: rest.strip_prefix(':').unwrap_or(rest).to_owned() })
    }

    fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// Lines that were folded put together again, each with the number of its first; empty ones left out.
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut physical = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        let (at, first) = physical.find(|(_, line)| !line.trim().is_empty())?;
        let mut whole = first.to_owned();
        while let Some((_, more)) = physical.next_if(|(_, line)| line.starts_with([' ', '\t'])) {
            whole.push_str(&more[1..]);
        }
        Some((at + 1, whole))
    })
}

/// Text without its escapes, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n' | 'N') | None => ' ',
                Some(c) => c,
            },
            c if c.is_control() => ' ',
            c => c,
        });
    }
    plain.trim().chars().take(NAME_MAX).collect()
}

/// `P1DT2H`: days (weeks are seven), and the rest exactly.
fn duration(text: &str) -> Option<(i32, SignedDuration)> {
    let text = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let read = |text: &str, units: &[(char, i64)]| {
        let (mut rest, mut total) = (text, 0_i64);
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let count: i64 = rest[..end].parse().ok()?;
            let unit = rest[end..].chars().next()?;
            let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
            total = total.checked_add(count.checked_mul(*size)?)?;
            rest = &rest[end + unit.len_utf8()..];
        }
        Some(total)
    };
    let days = read(date, &[('W', 7), ('D', 1)])?;
    let secs = time.map_or(Some(0), |time| read(time, &[('H', 3600), ('M', 60), ('S', 1)]))?;
    // Longer than a century is a slip.
    if days > 36_600 || secs > 36_600 * 86_400 || (days == 0 && secs == 0) {
        return None;
    }
    Some((i32::try_from(days).ok()?, SignedDuration::from_secs(secs)))
}

fn short(text: &str) -> String {
    plain(text).chars().take(60).collect()
}
