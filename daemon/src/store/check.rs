//! Whether a data folder is whole: every page, event, part of the snapshot and record of samples is read, and nothing is changed.

use super::begun::{COPIED_AT, COPIED_BYTES, COPIED_RECORDS, Ended, OPEN};
use super::look::{self, Look, Records, Rest};
use super::salvage::is_like_a_store;
use super::{MARK, STORE_VERSION, StoreError, sum};
use crate::driver::{FILES, QUERIES, SAMPLES};
use crate::source::feed::Place;
use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::{EVENT_VERSION, Event};
use homeostat::knowledge::snapshot::SnapshotError;
use homeostat::time::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// What SQLite says of pages, at most: one is enough to act on.
const SAID_MAX: usize = 20;

/// What is done where the store itself is damaged.
const SALVAGE: &str = "start homeostat on it, which sets the file aside and takes over what can be read; or bring back a \
                       backup. Check the disk";

/// What was looked at, and what is wrong.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    pub folder: String,
    /// The process that holds the folder, where one does.
    pub running: Option<String>,
    /// Version of the store's form, and the one that this program writes.
    pub form: u32,
    pub form_written: u32,
    /// How the last life ended, in words.
    pub ended: String,
    pub events: u64,
    pub last_event: u64,
    pub parts: u64,
    pub segments: u64,
    pub records: u64,
    pub samples: u64,
    pub looked: Vec<Looked>,
    pub problems: Vec<Problem>,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Looked {
    pub what: &'static str,
    pub found: String,
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    pub what: &'static str,
    pub problem: String,
    pub remedy: String,
}

impl Report {
    fn looked(&mut self, what: &'static str, found: impl Into<String>) {
        self.looked.push(Looked { what, found: found.into() });
    }

    fn problem(&mut self, what: &'static str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem { what, problem: problem.into(), remedy: remedy.into() });
    }
}

/// Reads all of a data folder; with `full` also whether indexes say what tables do, which takes longer. `told` hears what is looked
/// at. An error says that the folder cannot be read at all.
pub fn check(dir: &Path, full: bool, now: Timestamp, told: &mut dyn FnMut(&'static str)) -> Result<Report, StoreError> {
    let mut report = Report { folder: dir.display().to_string(), form_written: STORE_VERSION, ..Report::default() };
    aside(dir, &mut report)?;
    let look = match Look::open(dir) {
        Ok(look) => look,
        Err(StoreError::Damaged { path, reason }) => {
            report.problem("store", format!("{} is damaged ({reason})", path.display()), SALVAGE);
            return Ok(report);
        }
        Err(StoreError::NotAStore { path, reason }) if is_like_a_store(&path) => {
            let problem = format!("the first page of {} is damaged ({reason})", path.display());
            report.problem("store", problem, SALVAGE);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    report.running.clone_from(&look.holder);
    (report.form, report.last_event) = (look.form, look.last_seq);
    let ended = Ended::read(look.counter(OPEN)?, look.counter(COPIED_AT)?, look.last_seq);
    report.ended = match &look.holder {
        Some(pid) => format!("in use by process {pid}"),
        None => ended.to_string(),
    };
    let form = match look.form {
        STORE_VERSION => format!("form {STORE_VERSION}, the present one"),
        form => format!("form {form}; a start brings it up to {STORE_VERSION}"),
    };
    report.looked("store", form);
    let said = report.ended.clone();
    report.looked("last life", said);
    told("pages");
    pages(&look, full, &mut report);
    told("journal");
    journal(&look, &mut report);
    told("snapshot");
    snapshot(&look, now, &mut report);
    told("samples");
    let made_with = match ended {
        Ended::Copied(_) => look.counter(COPIED_RECORDS)?.zip(look.counter(COPIED_BYTES)?),
        _ => None,
    };
    records(&look, made_with.is_none() && ended != Ended::Stopped, &mut report)?;
    if let Some(made_with) = made_with {
        same_log(&look, made_with, &mut report);
    }
    if look.holder.is_none() && look::holder(dir)?.is_some() {
        let source = std::io::Error::other("a homeostat was started on it meanwhile; check it again");
        return Err(StoreError::Io { path: dir.to_owned(), source });
    }
    Ok(report)
}

/// What earlier damage left beside the store.
fn aside(dir: &Path, report: &mut Report) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(dir).map_err(|source| super::io_error(dir, source))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    if names.iter().any(|name| name == MARK) {
        let reason = std::fs::read_to_string(dir.join(MARK)).unwrap_or_default();
        report.problem("store", format!("a write found it damaged ({reason})"), SALVAGE);
    }
    let set_aside = |name: &&String| {
        name.starts_with("homeostat.db.damaged-") && !name.ends_with("-wal") || name.starts_with("damaged-")
    };
    let set_aside: Vec<&str> = names.iter().filter(set_aside).map(String::as_str).collect();
    if !set_aside.is_empty() {
        let them = set_aside.join(", ");
        report.looked(
            "set aside",
            format!("{them}: damaged once, and used no more; remove what nobody wants to look at"),
        );
    }
    Ok(())
}

fn pages(look: &Look, full: bool, report: &mut Report) {
    let pragma = if full { "integrity_check" } else { "quick_check" };
    let said = || -> rusqlite::Result<Vec<String>> {
        let mut select = look.connection.prepare(&format!("pragma {pragma}({SAID_MAX})"))?;
        let rows = select.query_map([], |row| row.get(0))?;
        rows.collect()
    };
    match said() {
        Ok(said) if said == ["ok"] => {
            let indexes = if full { ", and indexes say what tables do" } else { "; --full compares indexes, too" };
            report.looked("pages", format!("all can be read{indexes}"));
        }
        Ok(said) => said.into_iter().for_each(|said| report.problem("pages", said, SALVAGE)),
        Err(error) => report.problem("pages", error.to_string(), SALVAGE),
    }
}

fn journal(look: &Look, report: &mut Report) {
    let (mut first, mut last, mut read) = (None, None, 0_u64);
    let (mut later, mut spoiled): (u64, Vec<(i64, String)>) = (0, Vec::new());
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    let mut walk = || -> rusqlite::Result<()> {
        let mut select = look.connection.prepare("select seq, v, kind, body from events order by seq")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (seq, v, kind): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if let Some(last) = last.filter(|last| last + 1 < seq) {
                gaps.push((last + 1, seq - 1));
            }
            first = first.or(Some(seq));
            (last, read) = (Some(seq), read + 1);
            let body = row.get_ref(3)?.as_bytes()?;
            if v > i64::from(EVENT_VERSION) {
                later += 1;
            } else if let Err(error) = serde_json::from_slice::<Event>(body) {
                spoiled.push((seq, format!("{kind}: {error}")));
            }
        }
        Ok(())
    };
    if let Err(error) = walk() {
        let from = last.map_or_else(|| "at all".to_owned(), |last| format!("behind event {last}"));
        report.problem("journal", format!("it cannot be read {from}: {error}"), SALVAGE);
    }
    report.events = read;
    let range = first.zip(last).map_or_else(String::new, |(first, last)| format!(", {first} to {last}"));
    let of_later = if later > 0 { format!("; {later} of a later version are left alone") } else { String::new() };
    report.looked("journal", format!("{read} events{range}{of_later}"));
    // What else has to be done others say: of the journal alone nothing can be.
    let lost = |last: u64| match last <= look.snapshot_seq {
        true => "a start goes on without them, by the snapshot; to have them back, bring back a backup",
        false => "what they decided is lost; to have it back, bring back a backup",
    };
    for (from, to) in gaps.iter().take(SAID_MAX) {
        report.problem("journal", format!("events {from} to {to} are missing"), lost((*to).max(0) as u64));
    }
    if let Some((seq, error)) = spoiled.first() {
        let problem = format!("{} events cannot be read, the first is {seq} ({error})", spoiled.len());
        report.problem("journal", problem, "they are left out at a start; to have them back, bring back a backup");
    }
    let (last, known) = (last.unwrap_or(0).max(0) as u64, look.snapshot_seq);
    if last < look.last_seq && (read > 0 || known < look.last_seq) {
        let (from, to) = ((last + 1).max(first.map_or(known + 1, |_| 0)), look.last_seq);
        report.problem("journal", format!("events {from} to {to} are missing at its end"), lost(to));
    }
    if last > look.last_seq {
        let problem = format!("it has event {last}, and counts up to {} alone", look.last_seq);
        report.problem("journal", problem, SALVAGE);
    }
    let first = first.map_or(look.last_seq + 1, |first| first.max(0) as u64);
    if first > known + 1 && look.last_seq > known {
        let problem = format!("events {} to {} are missing, which the snapshot does not know", known + 1, first - 1);
        report.problem("journal", problem, lost(first - 1));
    }
    if known > look.last_seq {
        let problem = format!("the snapshot knows event {known}, and the journal ends at {}", look.last_seq);
        report.problem("journal", problem, SALVAGE);
    }
}

fn snapshot(look: &Look, now: Timestamp, report: &mut Report) {
    const STANDS_IN: &str = "start homeostat on it, which sets the part aside and lets the journal stand in for it; or bring \
                             back a backup";
    let sums = if look.form > 1 { "sum" } else { "null" };
    type Part = (String, Vec<u8>, Option<i64>);
    let read = || -> rusqlite::Result<Vec<Part>> {
        let mut select = look.connection.prepare(&format!("select part, body, {sums} from snapshot order by part"))?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    };
    let all = match read() {
        Ok(all) => all,
        Err(error) => {
            report.problem("snapshot", format!("it cannot be read: {error}"), SALVAGE);
            return;
        }
    };
    report.parts = all.len() as u64;
    if all.is_empty() {
        report.looked("snapshot", "none was written yet; memory is what journal and samples tell");
        return;
    }
    let bytes: usize = all.iter().map(|(_, body, _)| body.len()).sum();
    let mut damaged = 0;
    let mut parts = Vec::new();
    for (part, body, written) in all {
        if written.is_some_and(|written| written != sum(&body)) {
            damaged += 1;
            report.problem("snapshot", format!("part {part} is not what was written"), STANDS_IN);
            continue;
        }
        let spoiled = match part.as_str() {
            FILES => serde_json::from_slice::<Vec<Place>>(&body).err(),
            QUERIES => serde_json::from_slice::<BTreeMap<String, Timestamp>>(&body).err(),
            SAMPLES => serde_json::from_slice::<u64>(&body).err(),
            _ => None,
        };
        if let Some(error) = spoiled {
            damaged += 1;
            report.problem("snapshot", format!("part {part} cannot be read: {error}"), STANDS_IN);
        }
        parts.push((part, body));
    }
    // What a sum shows would be told once more, and in other words.
    if damaged == 0 {
        match Engine::restore(Config::default(), Methods::built_in(), 1, &parts, now) {
            Ok(engine) => {
                let series = engine.knowledge().series_count();
                let (count, known) = (report.parts, look.snapshot_seq);
                let text = format!("{count} parts of {bytes} bytes, {series} series; it knows events up to {known}");
                report.looked("snapshot", text);
            }
            Err(error @ SnapshotError::Newer { .. }) => {
                report.problem("snapshot", error.to_string(), "use that version of homeostat");
            }
            Err(error) => report.problem("snapshot", error.to_string(), STANDS_IN),
        }
    }
}

/// Whether the sample log of a backup is as long as it was made: one that ends early with a record shows it by nothing else.
fn same_log(look: &Look, made_with: (i64, i64), report: &mut Report) {
    let bytes: u64 = look.segments.iter().map(|segment| segment.bytes).sum();
    let found = (report.records as i64, bytes as i64);
    if found != made_with {
        let problem = format!(
            "{} records in {} bytes are there, and the backup was made with {} in {}",
            found.0, found.1, made_with.0, made_with.1
        );
        report.problem("samples", problem, "what is missing is lost to this backup: use another one. Check the disk");
    }
}

/// `kill_tears`: a record whose end is missing may be what a kill left.
fn records(look: &Look, kill_tears: bool, report: &mut Report) -> Result<(), StoreError> {
    const LOST: &str = "a start leaves it out; to have it back, bring back a backup. Check the disk";
    let (mut next, mut torn, mut nameless) = (look.from.max(1), 0, 0_u64);
    for (at, segment) in look.segments.iter().enumerate() {
        if segment.number > next {
            let problem = format!("segments {next} to {} are missing", segment.number - 1);
            report.problem("samples", problem, "what stood in them is lost; to have it back, bring back a backup");
        }
        next = segment.number + 1;
        report.segments += 1;
        let mut records = Records::of(segment)?;
        let (mut named, mut seq) = (HashSet::new(), 0);
        while let Some(entry) = records.next()? {
            if entry.seq < seq {
                let problem =
                    format!("{}: a record behind event {} follows one behind {seq}", segment.path.display(), entry.seq);
                report.problem(
                    "samples",
                    problem,
                    "what they decided may be decided otherwise at a start; bring back a backup",
                );
            }
            seq = entry.seq;
            named.extend(entry.named.iter().map(|named| named.id));
            nameless += entry.samples.iter().filter(|(id, ..)| !named.contains(id)).count() as u64;
            report.records += 1;
            report.samples += entry.samples.len() as u64;
        }
        let being_written = look.holder.is_some() && at + 1 == look.segments.len();
        match records.rest()? {
            Rest::Nothing => {}
            Rest::Torn(_) if being_written => {}
            Rest::Torn(bytes) if kill_tears => torn += bytes,
            Rest::Torn(bytes) | Rest::Damaged(bytes) => {
                let place = format!("{} from byte {} on", segment.path.display(), records.read);
                report.problem("samples", format!("{place}: {bytes} bytes are not what was written"), LOST);
            }
        }
    }
    if look.segments.is_empty() && look.from > 0 {
        let problem = format!("segment {} is missing, which the snapshot names as the next", look.from);
        report.problem("samples", problem, "what stood in it is lost; to have it back, bring back a backup");
    }
    if nameless > 0 {
        report.problem("samples", format!("{nameless} samples belong to no series that has a name there"), LOST);
    }
    let torn = if torn == 0 {
        String::new()
    } else {
        format!("; {torn} bytes at an end are a torn record, as a kill leaves it: nobody was told that it was taken")
    };
    let Report { records, samples, segments, .. } = report;
    let text =
        format!("{samples} samples in {records} records of {segments} segments, which no snapshot holds yet{torn}");
    report.looked("samples", text);
    Ok(())
}

#[cfg(test)]
mod tests;
