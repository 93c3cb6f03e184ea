//! Calendars of holidays, deploys and maintenance: from the configuration, and from iCalendar files that are read again when
//! they change.
//!
//! What cannot be read at a reload refuses it, as any mistake in a configuration does. A file that is spoiled later keeps what
//! was read of it before, and says so in the log, the metrics and the API. One that is spoiled at a start says the same, and
//! is tried again: better to watch without a holiday than not at all.

pub mod ical;
mod rule;

use homeostat::calendar::{Calendar, ENTRIES_MAX, Entry, Occasion};
use homeostat::series::Selector;
use homeostat::time::zone::Zone;
use homeostat::time::{Span, Timestamp};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What repeats is known for so long ahead.
const AHEAD: Span = Span::hours(2 * 366 * 24);

/// So it is worked out anew after this.
const READ_ANEW: Span = Span::hours(24);

/// How often files are looked at.
const LOOK: Span = Span::from_secs(2);

/// Each is looked up for every series.
const CALENDARS_MAX: usize = 64;

/// Days and periods that stand in the configuration itself.
const LISTED_MAX: usize = 10_000;

/// One calendar of the configuration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarSource {
    /// holiday: read as a Sunday, and not learned from. deploy: not learned from; alerts say that they come during it.
    /// maintenance: not learned from, and nothing alerts.
    #[schemars(with = "String")]
    pub kind: Occasion,
    /// Which series it is about: NAME{label="value"} with = != =~ !~; null: all.
    #[serde(rename = "match", default)]
    pub selector: Option<Selector>,
    /// An iCalendar file (.ics); read again when it changes.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Whole days by learning.timezone: 2026-12-25.
    #[serde(default)]
    pub dates: Vec<String>,
    /// What the dates are called.
    #[serde(default)]
    pub name: Option<String>,
    /// Periods of any length.
    #[serde(default)]
    pub periods: Vec<PeriodSource>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodSource {
    /// RFC 3339, or a date or a time by learning.timezone: 2026-12-24T22:00.
    pub from: String,
    /// The first instant after it; a date: the beginning of that day.
    pub until: String,
    #[serde(default)]
    pub name: Option<String>,
}

/// What cannot be read, by the dotted key that says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct CalendarError {
    pub key: String,
    pub problem: String,
}

/// All calendars of a configuration.
#[cfg(test)]
pub fn read(sources: &[CalendarSource], zone: &Zone, now: Timestamp) -> Result<Vec<Arc<Calendar>>, CalendarError> {
    let (calendars, problems) = read_to_start(sources, zone, now)?;
    match problems.into_iter().next() {
        Some((at, problem)) => Err(CalendarError { key: format!("calendars[{at}].file"), problem }),
        None => Ok(calendars),
    }
}

/// Calendars, and what is wrong with files of some, by place.
pub type Usable = (Vec<Arc<Calendar>>, Vec<(usize, String)>);

/// The same without the files that cannot be read, and what is wrong with them.
pub fn read_to_start(sources: &[CalendarSource], zone: &Zone, now: Timestamp) -> Result<Usable, CalendarError> {
    if sources.len() > CALENDARS_MAX {
        let problem = format!("{} are over {CALENDARS_MAX}; put events of a kind in one file", sources.len());
        return Err(CalendarError { key: "calendars".to_owned(), problem });
    }
    let mut problems = Vec::new();
    let read_one = |(at, source): (usize, &CalendarSource)| {
        let refuse = |key: String, problem: String| CalendarError { key: format!("calendars[{at}]{key}"), problem };
        let mut entries = listed(source, zone).map_err(|(key, problem)| refuse(key, problem))?;
        if let Some(path) = &source.file {
            match from_file(path, zone, now) {
                Ok(read) => entries.extend(read),
                Err(problem) => problems.push((at, problem)),
            }
        }
        Ok(calendar(source, entries, now))
    };
    let calendars = sources.iter().enumerate().map(read_one).collect::<Result<_, _>>()?;
    Ok((calendars, problems))
}

fn calendar(source: &CalendarSource, entries: Vec<Entry>, now: Timestamp) -> Arc<Calendar> {
    Arc::new(Calendar::new(source.kind, source.selector.clone(), entries).near(now))
}

/// Said of a calendar that is too large; the key is for its reader.
pub fn left_out(at: usize, calendar: &Calendar) -> Option<String> {
    (calendar.left_out() > 0).then(|| {
        format!(
            "calendars[{at}]: {} entries are left out, over {ENTRIES_MAX}, far from today; a file that repeats is read \
             anew every day, so they come in time, but give events that matter sooner a calendar of their own",
            calendar.left_out()
        )
    })
}

fn civil_zone(zone: &Zone) -> Result<TimeZone, String> {
    TimeZoneDatabase::bundled().get(zone.name()).map_err(|error| error.to_string())
}

/// What stands in the configuration itself; the error with the end of its key.
fn listed(source: &CalendarSource, zone: &Zone) -> Result<Vec<Entry>, (String, String)> {
    let clocks = civil_zone(zone).map_err(|problem| (String::new(), problem))?;
    if source.file.is_none() && source.dates.is_empty() && source.periods.is_empty() {
        return Err((String::new(), "nothing is in it; give it a `file`, `dates` or `periods`".to_owned()));
    }
    if source.dates.len().max(source.periods.len()) > LISTED_MAX {
        return Err((String::new(), format!("over {LISTED_MAX} dates or periods; put them in a file")));
    }
    let mut entries = Vec::new();
    let of_all = source.name.as_deref().unwrap_or(source.kind.as_str());
    for (at, text) in source.dates.iter().enumerate() {
        let wrong = || (format!(".dates[{at}]"), format!("`{text}` is not a date like 2026-12-25"));
        let day: jiff::civil::Date = text.trim().parse().map_err(|_| wrong())?;
        // More than a date can be read as one, and its time would be lost.
        if text.trim().contains(|c: char| !c.is_ascii_digit() && c != '-') {
            let problem = format!("`{text}` is more than a date, and dates are whole days; give times under `periods`");
            return Err((format!(".dates[{at}]"), problem));
        }
        let begin = |day: jiff::civil::Date| ical::instant(day.at(0, 0, 0, 0), &clocks);
        let next = day.tomorrow().map_err(|_| wrong())?;
        let (from, until) = begin(day).zip(begin(next)).ok_or_else(wrong)?;
        entries.push(Entry { from, until, name: of_all.into() });
    }
    for (at, period) in source.periods.iter().enumerate() {
        let read = |text: &str, end: &str| {
            instant(text, &clocks).ok_or_else(|| {
                let problem =
                    format!("`{text}` is not a time; give RFC 3339, or 2026-12-24T22:00 by learning.timezone");
                (format!(".periods[{at}].{end}"), problem)
            })
        };
        let (from, until) = (read(&period.from, "from")?, read(&period.until, "until")?);
        if from >= until {
            return Err((format!(".periods[{at}].until"), format!("{until} does not lie after {from}")));
        }
        entries.push(Entry { from, until, name: period.name.as_deref().unwrap_or(of_all).into() });
    }
    Ok(entries)
}

/// RFC 3339 or Unix seconds, or a date or a time by these clocks.
fn instant(text: &str, clocks: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = Timestamp::parse(text) {
        return Some(at);
    }
    // One with a zone of its own would be read without it.
    let local = !text.contains(['Z', 'z', '[', '+']);
    let civil = text.parse::<jiff::civil::DateTime>().ok().filter(|_| local)?;
    ical::instant(civil, clocks)
}

/// The error is a sentence with the file in it.
fn from_file(path: &Path, zone: &Zone, now: Timestamp) -> Result<Vec<Entry>, String> {
    let clocks = civil_zone(zone)?;
    let shown = path.display();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(ical::FILE_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {shown}: {error}; check the path and the file's permissions"))?;
    if bytes.len() as u64 > ical::FILE_LEN_MAX {
        return Err(format!("{shown} is over {} bytes; is it a calendar?", ical::FILE_LEN_MAX));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{shown} line {line}: not UTF-8; save the file as UTF-8")
    })?;
    ical::entries(&text, &clocks, now + AHEAD).map_err(|wrong| format!("{shown} {wrong}"))
}

/// By what a file is known to be another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
}

impl Stamp {
    /// None: it is not there, or not for us.
    fn of(path: &Path) -> Option<Stamp> {
        let meta = std::fs::File::open(path).and_then(|file| file.metadata()).ok()?;
        Some(Stamp { modified: meta.modified().ok(), len: meta.len() })
    }
}

/// A calendar whose file is watched.
#[derive(Debug)]
struct Watched {
    /// Its place among the calendars.
    at: usize,
    path: PathBuf,
    stamp: Option<Stamp>,
    /// It was spoiled at the start, and may have been made well before its stamp was taken.
    again: bool,
    /// Something of it is in force.
    known: bool,
}

fn tell(at: usize, problem: &str, known: bool) {
    let meanwhile = match known {
        true => "What was read before stays in force",
        false => "Nothing of it is in force; once it is mended it is read within seconds",
    };
    tracing::error!("calendars[{at}].file: {problem}. {meanwhile}");
}

/// The files of calendars, looked at from time to time.
#[derive(Debug, Default)]
pub struct Watch {
    files: Vec<Watched>,
    next_look: Timestamp,
    read_at: Timestamp,
    /// How often a file could not be read since the start, and what is wrong now, by place.
    pub errors: u64,
    pub problems: Vec<(usize, String)>,
}

impl Watch {
    /// Of calendars that were just read, but for what is wrong with some.
    pub fn new(
        sources: &[CalendarSource],
        read: &[Arc<Calendar>],
        problems: Vec<(usize, String)>,
        now: Timestamp,
    ) -> Watch {
        let mut watch = Watch::default();
        watch.restart(sources, read, now);
        for (at, problem) in &problems {
            watch.errors += 1;
            tell(*at, problem, false);
        }
        for file in &mut watch.files {
            file.again = problems.iter().any(|(at, _)| *at == file.at);
            file.known = !file.again;
        }
        watch.problems = problems;
        watch
    }

    /// The same for another configuration.
    pub fn restart(&mut self, sources: &[CalendarSource], read: &[Arc<Calendar>], now: Timestamp) {
        for said in read.iter().enumerate().filter_map(|(at, calendar)| left_out(at, calendar)) {
            tracing::warn!("{said}");
        }
        let with_file = sources.iter().enumerate().filter_map(|(at, source)| Some((at, source.file.clone()?)));
        let watched =
            |(at, path): (usize, PathBuf)| Watched { at, stamp: Stamp::of(&path), path, again: false, known: true };
        self.files = with_file.map(watched).collect();
        self.problems.clear();
        (self.read_at, self.next_look) = (now, now + LOOK);
    }

    /// When to look next; None: there is nothing to look at.
    pub fn next_look(&self) -> Option<Timestamp> {
        (!self.files.is_empty()).then_some(self.next_look)
    }

    /// Reads those anew that changed, and all of them once a day. None: nothing is to be changed.
    pub fn look(
        &mut self,
        sources: &[CalendarSource],
        before: &[Arc<Calendar>],
        zone: &Zone,
        now: Timestamp,
    ) -> Option<Vec<Arc<Calendar>>> {
        if self.files.is_empty() || now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let anew = now.since(self.read_at) >= READ_ANEW;
        if anew {
            self.read_at = now;
        }
        let (mut calendars, mut changed) = (before.to_vec(), false);
        for file in &mut self.files {
            let stamp = Stamp::of(&file.path);
            if !anew && !file.again && stamp == file.stamp {
                continue;
            }
            (file.stamp, file.again) = (stamp, false);
            let (Some(source), Some(place)) = (sources.get(file.at), calendars.get_mut(file.at)) else { continue };
            let read = listed(source, zone).map_err(|(_, problem)| problem).and_then(|mut entries| {
                entries.extend(from_file(&file.path, zone, now)?);
                Ok(entries)
            });
            let before = self.problems.iter().position(|(at, _)| *at == file.at).map(|at| self.problems.remove(at).1);
            match read {
                Ok(entries) => {
                    let read = calendar(source, entries, now);
                    if place.left_out() == 0
                        && let Some(said) = left_out(file.at, &read)
                    {
                        tracing::warn!("{said}");
                    }
                    changed |= read != *place;
                    *place = read;
                    file.known = true;
                    tracing::info!(entries = place.entries().len(), "calendar {} was read", file.path.display());
                }
                Err(problem) => {
                    if before.as_ref() != Some(&problem) {
                        self.errors += 1;
                        tell(file.at, &problem, file.known);
                    }
                    self.problems.push((file.at, problem));
                }
            }
        }
        changed.then_some(calendars)
    }
}

#[cfg(test)]
mod tests;
