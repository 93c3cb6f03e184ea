//! Stores of every earlier form, as the statements of their time made them, brought up to the present one. Nothing of them is lost.

use super::{MIGRATIONS, STORE_VERSION, Store, StoreError, Wanted, check, sum};
use crate::config::Config;
use homeostat::analyze::strategy::Methods;
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::knowledge::snapshot::SNAPSHOT_VERSION;
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use rusqlite::{Connection, params};
use std::io::Read;
use std::path::Path;

/// What made each form out of the one before, as it was released. These stay as they are: a store that was made by them is still
/// out there.
const RELEASED: [&str; 5] = [
    "create table events (seq integer primary key, at integer not null, v integer not null, kind text not null, series text,
         body text not null) strict;
     create index events_by_kind on events (kind, seq);
     create index events_by_series on events (series, seq) where series is not null;
     create table snapshot (part text primary key, body blob not null) strict;
     create table counters (name text primary key, value integer not null) strict;
     insert into counters values ('seq', 0), ('snapshot_seq', 0);",
    "alter table snapshot add column sum integer;",
    "create table kept (name text primary key, body blob not null) strict;
     create table verdicts (id integer primary key autoincrement, name text not null unique, at integer not null,
         body text not null) strict;",
    "create table audit (id integer primary key autoincrement, at integer not null, body text not null) strict;",
    "create table coming (part text primary key, body blob not null, sum integer) strict;",
];

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn name() -> SeriesName {
    SeriesName::parse(r#"load{job="a"}"#).expect("a name")
}

/// Memory with one series of 150 samples.
fn engine() -> Engine {
    let mut engine = Engine::new(Config::default().engine, at(0));
    let series = engine.intern(&name(), None, at(0)).expect("room");
    for n in 0..150 {
        let _ = engine.observe(&[Sample { series, at: at(n * 10), value: (n % 7) as f64 }], at(n * 10));
    }
    engine
}

/// A store of a form with events, a snapshot, and what else that form had room for.
fn of_form(dir: &Path, form: usize) {
    let connection = Connection::open(dir.join("homeostat.db")).expect("a file");
    connection.execute_batch("pragma journal_mode = wal").expect("a log");
    for step in &RELEASED[..form] {
        connection.execute_batch(step).expect("as it was released");
    }
    connection.execute_batch(&format!("pragma user_version = {form}")).expect("a form");
    let event = Event::SeriesAdded { series: name(), declared: None, derived_from: None };
    let body = serde_json::to_string(&event).expect("plain data");
    for seq in 1..=3 {
        let insert = "insert into events (seq, at, v, kind, series, body) values (?1, ?2, 1, ?3, ?4, ?5)";
        connection.execute(insert, params![seq, at(seq).millis(), event.kind(), name().as_str(), body]).expect("room");
    }
    for (part, body) in engine().snapshot() {
        let insert =
            if form > 1 { "insert into snapshot values (?1, ?2, ?3)" } else { "insert into snapshot values (?1, ?2)" };
        match form > 1 {
            true => connection.execute(insert, params![part, body, sum(&body)]),
            false => connection.execute(insert, params![part, body]),
        }
        .expect("room");
    }
    connection.execute_batch("update counters set value = 3 where name = 'seq'").expect("a counter");
    connection.execute_batch("update counters set value = 2 where name = 'snapshot_seq'").expect("a counter");
    if form > 2 {
        connection.execute_batch("insert into kept values ('page/a', x'01')").expect("room");
        connection
            .execute_batch(r#"insert into verdicts (name, at, body) values ('v', 5, '{"alert":"x"}')"#)
            .expect("room");
    }
    if form > 3 {
        connection.execute_batch(r#"insert into audit (at, body) values (5, '{"who":"x"}')"#).expect("room");
    }
}

#[test]
fn a_store_of_every_earlier_form_is_brought_up_with_all_that_it_holds() {
    assert_eq!(RELEASED.len(), STORE_VERSION as usize, "a new form needs its statement here, and its rows above");
    for form in 1..=RELEASED.len() {
        let dir = tempfile::tempdir().expect("a folder");
        of_form(dir.path(), form);
        let report = check(dir.path(), true, at(5000), &mut |_| {}).expect("an earlier form can be looked at");
        assert_eq!((report.form as usize, report.problems.len()), (form, 0), "{report:?}");
        let mut store = Store::open(dir.path()).unwrap_or_else(|error| panic!("form {form}: {error}"));
        assert_eq!((store.last_seq(), store.ended().as_str()), (3, "not_told"), "form {form}");
        let events = store.events(&Wanted { limit: 10, ..Wanted::default() }).expect("readable");
        assert_eq!(events.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 2, 3], "form {form}");
        let snapshot = store.read_snapshot().expect("readable").expect("one was written");
        assert!(snapshot.damaged().expect("readable").is_empty(), "form {form}");
        let restored = Engine::restore_from(Config::default().engine, Methods::built_in(), 8, &snapshot, at(5000));
        let restored = restored.unwrap_or_else(|error| panic!("form {form}: {error}"));
        let series = restored.knowledge().find(&name()).expect("it is there");
        assert_eq!(series.window().len(), engine().knowledge().find(&name()).map_or(0, |series| series.window().len()));
        assert_eq!(store.kept("page/a").expect("readable").is_some(), form > 2, "form {form}");
        assert_eq!(store.has_verdict("v").expect("readable"), form > 2, "form {form}");
        assert_eq!(store.audit(None, None, 10).expect("readable").len(), usize::from(form > 3), "form {form}");
        // What is new is there to be used.
        store.keep("page/b", Some(b"x")).expect("room");
        store.keep_audit(at(1), "{}").expect("room");
        store.write_snapshot(&engine().snapshot()).expect("room");
        drop(store);
        let report = check(dir.path(), true, at(5000), &mut |_| {}).expect("readable");
        assert_eq!((report.form, report.problems.len()), (STORE_VERSION, 0), "form {form}: {report:?}");
    }
}

/// Tables that a later form added do not begin where they would in a store that was made new: without the first page they are not
/// found, and nothing else is taken for them.
#[test]
fn a_store_of_an_earlier_form_that_lost_its_first_page_is_salvaged_with_its_journal() {
    for form in 1..=RELEASED.len() {
        let dir = tempfile::tempdir().expect("a folder");
        of_form(dir.path(), form);
        drop(Store::open(dir.path()).expect("brought up"));
        let path = dir.path().join("homeostat.db");
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[..4096].fill(0);
        std::fs::write(&path, bytes).expect("written");
        let done = super::salvage(dir.path()).unwrap_or_else(|error| panic!("form {form}: {error}"));
        assert_eq!((done.events, done.events_missing), (3, Some(0)), "form {form}");
        let store = Store::open(dir.path()).expect("it opens");
        assert_eq!(store.last_seq(), 3, "form {form}");
        if let Some(snapshot) = store.read_snapshot().expect("readable") {
            assert!(snapshot.damaged().expect("readable").is_empty(), "form {form}");
            let restored = Engine::restore_from(Config::default().engine, Methods::built_in(), 8, &snapshot, at(5000));
            assert!(restored.is_ok_and(|engine| engine.knowledge().series_count() == 1), "form {form}");
        }
        let audit = store.audit(None, None, 10).expect("readable");
        assert!(audit.iter().all(|(_, body)| body == r#"{"who":"x"}"#), "form {form}: {audit:?}");
    }
}

/// What a daemon wrote with a file, a scraped target and two words of a person, and was killed over; the store brought into one file.
/// These stay as they are: a folder like them is still out there. A new form gets a folder of its own beside them.
struct Written {
    store: &'static [u8],
    samples: &'static [u8],
    /// When it was killed.
    now: &'static str,
    form: u32,
    events: u64,
    series: usize,
    /// Samples in the windows of `load`, `queue`, `jobs_total` and a bucket of `took`.
    held: [usize; 4],
}

const WRITTEN: [Written; 2] = [
    // Snapshot form 1, sample log form 1.
    Written {
        store: include_bytes!("forms/store-4.db.gz"),
        samples: include_bytes!("forms/samples-1.log.gz"),
        now: "2026-11-26T16:44:00Z",
        form: 4,
        events: 62,
        series: 13,
        held: [300, 28, 27, 27],
    },
    // Snapshot form 2, sample log form 2.
    Written {
        store: include_bytes!("forms/store-5.db.gz"),
        samples: include_bytes!("forms/samples-2.log.gz"),
        now: "2026-11-27T14:04:30Z",
        form: 5,
        events: 33,
        series: 13,
        held: [300, 33, 32, 32],
    },
];

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).expect("gzip");
    bytes
}

/// Stores, snapshots and sample logs of earlier forms, as they were written, are memory again.
#[test]
fn a_folder_that_was_written_in_earlier_forms_is_remembered_whole() {
    for written in WRITTEN {
        let form = written.form;
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("samples")).expect("a folder");
        std::fs::write(dir.path().join("homeostat.db"), unpacked(written.store)).expect("written");
        std::fs::write(dir.path().join("samples/0000000003.log"), unpacked(written.samples)).expect("written");
        let now = Timestamp::parse(written.now).expect("a time");
        let report = check(dir.path(), true, now, &mut |_| {}).expect("readable");
        assert_eq!(report.problems, [], "form {form}");
        assert_eq!((report.form, report.events, report.segments), (form, written.events, 1));
        let (store, memory) = crate::recall::remember(&Config::default(), dir.path(), now).expect("remembered");
        assert_eq!((store.last_seq(), memory.begun.ended.as_str()), (written.events, "broken_off"), "form {form}");
        assert_eq!((memory.begun.samples, memory.untold.len(), memory.begun.found.len()), (report.samples, 0, 0));
        assert!(report.samples > 50 && memory.begun.events > 0, "what came after the snapshot: {report:?}");
        let knowledge = memory.engine.knowledge();
        assert_eq!(knowledge.series_count(), written.series, "form {form}");
        assert!(knowledge.frozen(), "form {form}: the last word of a person");
        let held = ["load", "queue", "jobs_total", "took{"].map(|text| {
            let series = knowledge.series().find(|series| series.name().as_str().starts_with(text)).expect(text);
            series.window().len()
        });
        assert_eq!(held, written.held, "form {form}");
        let load = knowledge.find(&SeriesName::parse("load").expect("a name")).expect("held");
        assert!(load.learned().is_some(), "form {form}");
        assert_eq!(memory.places.len(), 1, "form {form}: how far the file was read");
    }
}

/// A store that was brought up is the one that is made new.
#[test]
fn what_is_brought_up_has_the_tables_of_what_is_new() {
    let schema = |connection: &Connection| -> Vec<String> {
        let mut select =
            connection.prepare("select sql from sqlite_schema where sql is not null order by name").expect("sql");
        let rows = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.map(|row| row.expect("text").split_whitespace().collect::<String>()).collect()
    };
    let new = Connection::open_in_memory().expect("memory");
    MIGRATIONS.iter().for_each(|step| new.execute_batch(step).expect("a form"));
    let released = Connection::open_in_memory().expect("memory");
    RELEASED.iter().for_each(|step| released.execute_batch(step).expect("a form"));
    assert_eq!(schema(&new), schema(&released));
}

#[test]
fn a_newer_form_of_the_store_and_of_a_snapshot_is_refused_by_name_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    of_form(dir.path(), 5);
    let path = dir.path().join("homeostat.db");
    Connection::open(&path).and_then(|store| store.execute_batch("pragma user_version = 6")).expect("a later form");
    let before = std::fs::read(&path).expect("readable");
    let Err(error) = Store::open(dir.path()) else { panic!("a newer form") };
    assert!(matches!(error, StoreError::Newer { found: 6, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("form 6") && said.contains("use that version, or another folder with --data"), "{said}");
    assert!(before == std::fs::read(&path).expect("readable"), "not a byte is another");
    // The head of a part: a map of two, the version first.
    let mut parts = engine().snapshot();
    let (_, general) = &mut parts[0];
    let at_version = general.windows(7).position(|seven| seven == b"version").expect("named") + 7;
    assert_eq!(u16::from(general[at_version]), SNAPSHOT_VERSION, "the present one");
    general[at_version] += 1;
    let refused = Engine::restore(Config::default().engine, Methods::built_in(), 8, &parts, at(5000)).err();
    let said = refused.expect("a later form").to_string();
    assert!(said.contains("newer version (form 4") && said.contains("use that version"), "{said}");
}
