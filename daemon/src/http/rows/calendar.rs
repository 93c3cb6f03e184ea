//! Which entries of the calendars are in force, and which come next.

use crate::driver::View;
use homeostat::calendar::{Calendar, During, Entry, Occasion};
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// An entry of a calendar.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EntryRow {
    #[schemars(with = "String")]
    kind: Occasion,
    name: Arc<str>,
    #[schemars(with = "String")]
    from: Timestamp,
    /// The first instant after it.
    #[schemars(with = "String")]
    until: Timestamp,
    /// Which series it is about; null: all.
    r#match: Option<String>,
}

impl EntryRow {
    fn of(calendar: &Calendar, entry: &Entry) -> EntryRow {
        EntryRow {
            kind: calendar.occasion(),
            name: Arc::clone(&entry.name),
            from: entry.from,
            until: entry.until,
            r#match: calendar.selector().map(ToString::to_string),
        }
    }
}

impl From<During> for EntryRow {
    fn from(during: During) -> EntryRow {
        let During { occasion, name, from, until } = during;
        EntryRow { kind: occasion, name, from, until, r#match: None }
    }
}

/// One calendar of the configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SourceRow {
    #[schemars(with = "String")]
    kind: Occasion,
    r#match: Option<String>,
    /// Its iCalendar file; null: it stands in the configuration.
    file: Option<String>,
    entries: usize,
    /// Entries far from today that found no room.
    left_out: usize,
    /// Why its file could not be read, at the start or again; what was read before stays in force. Null: it could.
    problem: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CalendarRow {
    /// By whose clocks days and weeks are reckoned.
    timezone: String,
    /// Maintenance first, then deploys, then holidays.
    in_force: Vec<EntryRow>,
    /// The next of each calendar, the earliest first.
    next: Vec<EntryRow>,
    calendars: Vec<SourceRow>,
}

impl CalendarRow {
    pub fn of(view: &View<'_>) -> CalendarRow {
        let config = view.engine.knowledge().config();
        let calendars = &config.calendars;
        let row = |calendar: &Calendar, entry: Option<&Entry>| entry.map(|entry| EntryRow::of(calendar, entry));
        let mut in_force: Vec<EntryRow> =
            calendars.iter().filter_map(|calendar| row(calendar, calendar.at(view.now))).collect();
        in_force.sort_by_key(|row| (std::cmp::Reverse(row.kind), row.from));
        let mut next: Vec<EntryRow> =
            calendars.iter().filter_map(|calendar| row(calendar, calendar.next(view.now))).collect();
        next.sort_by_key(|row| row.from);
        let sources = view.settings.daemon.calendars.iter().zip(calendars).enumerate();
        CalendarRow {
            timezone: config.learning.timezone.to_string(),
            in_force,
            next,
            calendars: sources
                .map(|(at, (source, calendar))| SourceRow {
                    kind: calendar.occasion(),
                    r#match: calendar.selector().map(ToString::to_string),
                    file: source.file.as_ref().map(|path| path.display().to_string()),
                    entries: calendar.entries().len(),
                    left_out: calendar.left_out(),
                    problem: view
                        .stats
                        .calendar_problems
                        .iter()
                        .find(|(place, _)| *place == at)
                        .map(|(_, problem)| problem.clone()),
                })
                .collect(),
        }
    }
}
