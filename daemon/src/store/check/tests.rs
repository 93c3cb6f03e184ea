use super::*;
use crate::store::samples::SampleLog;
use crate::store::{Store, backup};
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::time::Span;
use std::path::PathBuf;
use tempfile::TempDir;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

/// A folder with a snapshot, events behind it, and two segments of samples; stopped in order when `stopped`, else killed.
fn folder(stopped: bool) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("a new store");
    let mut samples = SampleLog::open(dir.path(), 1, Span::from_millis(10)).expect("a log");
    let mut engine = Engine::new(Config::default(), at(0));
    store.begins().expect("room");
    let added = |n: usize| {
        let series = SeriesName::parse(&format!("load{{n=\"{n}\"}}")).expect("a name");
        (at(0), Event::SeriesAdded { series, declared: None, derived_from: None })
    };
    let names: Vec<SeriesName> = (0..20).filter_map(|n| added(n).1.series().cloned()).collect();
    let take = |samples: &mut SampleLog, engine: &mut Engine, seq: u64, secs: i64| {
        let ids = names.iter().map(|name| engine.intern(name, None, at(secs)).expect("room"));
        let read: Vec<Sample> = ids.map(|series| Sample { series, at: at(secs), value: secs as f64 }).collect();
        let knowledge = engine.knowledge();
        let name = |sample: &Sample| Some((knowledge.get(sample.series)?.name().clone(), None));
        samples.append(&read, seq, at(secs), name).expect("room");
        let _ = engine.observe(&read, at(secs));
    };
    take(&mut samples, &mut engine, 0, 1);
    store.append(&(0..20).map(added).collect::<Vec<_>>()).expect("room");
    let segment = samples.cut().expect("room");
    let mut parts = engine.snapshot();
    parts.push((SAMPLES.to_owned(), segment.to_string().into_bytes()));
    parts.push((FILES.to_owned(), b"[]".to_vec()));
    store.write_snapshot(&parts).expect("room");
    samples.forget_before(segment).expect("writable");
    take(&mut samples, &mut engine, 20, 2);
    store.append(&(20..25).map(added).collect::<Vec<_>>()).expect("room");
    samples.cut().expect("room");
    take(&mut samples, &mut engine, 25, 3);
    take(&mut samples, &mut engine, 25, 4);
    if stopped {
        store.ends().expect("room");
    }
    dir
}

fn checked(dir: &Path) -> Report {
    check(dir, true, at(100), &mut |_| {}).expect("it can be read")
}

/// What is wrong, in one text.
fn wrong(dir: &Path) -> String {
    let problems = checked(dir).problems;
    assert!(problems.iter().all(|problem| problem.remedy.len() > 20), "each has a remedy: {problems:?}");
    problems.iter().map(|each| format!("{}: {}\n", each.what, each.problem)).collect()
}

fn harm(dir: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(dir.join("homeostat.db")).expect("a store");
    connection.execute_batch(sql).expect("it is done");
}

/// Every file with its bytes.
fn bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(bytes(&path)),
            false => all.push((path.clone(), std::fs::read(&path).expect("readable"))),
        }
    }
    all.sort();
    all
}

#[test]
fn a_folder_that_is_whole_has_nothing_wrong_and_every_thing_counted() {
    let dir = folder(true);
    let report = checked(dir.path());
    assert_eq!(report.problems, []);
    assert_eq!((report.form, report.events, report.last_event), (STORE_VERSION, 25, 25));
    assert_eq!((report.segments, report.records, report.samples), (2, 3, 60));
    assert!(report.parts > 3 && report.running.is_none(), "{report:?}");
    assert_eq!(report.ended, "stopped in order");
    let killed = folder(false);
    assert_eq!(checked(killed.path()).ended, "broken off, by a kill or a loss of power");
    assert_eq!(wrong(killed.path()), "");
    let store = Store::open(dir.path()).expect("it opens");
    let report = checked(dir.path());
    assert_eq!((report.running, report.problems), (Some(std::process::id().to_string()), Vec::new()));
    drop(store);
}

/// A log that was not taken over yet is read, with and without its index, and stays.
#[test]
fn nothing_is_changed_by_a_look_whatever_the_last_life_left() {
    let dir = folder(false);
    // As a kill leaves it: the log is there, since nobody closed the store.
    let open = rusqlite::Connection::open(dir.path().join("homeostat.db")).expect("a store");
    open.execute_batch("update counters set value = 26 where name = 'seq'").expect("written");
    let killed = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(killed.path().join("samples")).expect("a folder");
    for (path, bytes) in bytes(dir.path()) {
        let inner = path.strip_prefix(dir.path()).expect("in it");
        std::fs::write(killed.path().join(inner), bytes).expect("written");
    }
    drop(open);
    for without in ["", "homeostat.db-shm"] {
        let _ = std::fs::remove_file(killed.path().join(without));
        assert!(killed.path().join("homeostat.db-wal").metadata().is_ok_and(|about| about.len() > 0));
        let before = bytes(killed.path());
        let said = wrong(killed.path());
        assert!(
            said.contains("event 26 to 26") || said.contains("events 26 to 26 are missing"),
            "the log is read: {said}"
        );
        assert!(before == bytes(killed.path()), "not a byte is another");
    }
    let whole = folder(true);
    let before = bytes(whole.path());
    assert_eq!(wrong(whole.path()), "");
    assert!(before == bytes(whole.path()));
}

#[test]
fn each_damage_is_found_and_told_with_what_to_do() {
    for (sql, said) in [
        ("delete from events where seq between 22 and 23", "journal: events 22 to 23 are missing"),
        ("delete from events where seq > 23", "journal: events 24 to 25 are missing at its end"),
        ("delete from events where seq < 23", "journal: events 21 to 22 are missing, which the snapshot does not know"),
        ("update events set body = '{}' where seq = 7", "journal: 1 events cannot be read, the first is 7"),
        ("update counters set value = 22 where name = 'seq'", "counts up to 22 alone"),
        ("update snapshot set body = x'00' where part = 'series/0'", "snapshot: part series/0 is not what was written"),
        (
            "update snapshot set body = x'00', sum = null where part = 'series/0'",
            "part `series/0` of the snapshot is damaged",
        ),
        ("update snapshot set body = x'00', sum = null where part = 'files'", "snapshot: part files cannot be read"),
        ("delete from snapshot where part = 'general'", "the snapshot has no part"),
    ] {
        let dir = folder(true);
        harm(dir.path(), sql);
        let found = wrong(dir.path());
        assert!(found.contains(said), "{sql}: {found}");
        assert_eq!(found.lines().count(), 1, "{sql}: {found}");
    }
    // Where much is damaged nobody is told that nothing has to be done, and of what no snapshot holds that it is lost.
    let dir = folder(true);
    harm(
        dir.path(),
        "delete from events where seq in (7, 22); update snapshot set body = x'00' where part = 'series/0'; \
         update counters set value = 30 where name = 'seq'",
    );
    let remedies: Vec<(String, String)> =
        checked(dir.path()).problems.into_iter().map(|problem| (problem.problem, problem.remedy)).collect();
    let remedy = |of: &str| &remedies.iter().find(|(problem, _)| problem.contains(of)).expect(of).1;
    assert!(remedy("events 7 to 7").contains("by the snapshot"), "{remedies:?}");
    for lost in ["events 22 to 22", "events 26 to 30"] {
        assert!(remedy(lost).contains("what they decided is lost"), "{remedies:?}");
    }
    assert!(!remedies.iter().any(|(_, remedy)| remedy.contains("nothing has to be done")), "{remedies:?}");
    // An event of a later version is none of ours, and no damage.
    let dir = folder(true);
    harm(dir.path(), "update events set v = 99 where seq = 7");
    assert_eq!(wrong(dir.path()), "");
}

#[test]
fn a_damaged_record_is_told_from_a_torn_one_and_a_missing_segment_is_missed() {
    let segment = |dir: &Path, number: u64| dir.join(format!("samples/{number:010}.log"));
    let dir = folder(true);
    let whole = std::fs::read(segment(dir.path(), 3)).expect("readable");
    let mut spoiled = whole.clone();
    spoiled[100] ^= 1;
    std::fs::write(segment(dir.path(), 3), &spoiled).expect("written");
    let found = wrong(dir.path());
    assert!(found.contains("0000000003.log from byte 12 on") && found.lines().count() == 1, "{found}");
    // A tail that is torn off is what a kill leaves; after an orderly stop there is none.
    for (stopped, problems) in [(false, 0), (true, 1)] {
        let dir = folder(stopped);
        std::fs::write(segment(dir.path(), 3), &whole[..whole.len() - 5]).expect("written");
        let report = checked(dir.path());
        assert_eq!(report.problems.len(), problems, "{report:?}");
        assert_eq!(report.samples, 40);
        assert_eq!(report.looked.iter().any(|looked| looked.found.contains("torn record")), !stopped);
    }
    for (gone, said) in [(vec![2], "segments 2 to 2 are missing"), (vec![2, 3], "segment 2 is missing")] {
        let dir = folder(true);
        gone.iter().for_each(|number| std::fs::remove_file(segment(dir.path(), *number)).expect("it was there"));
        let found = wrong(dir.path());
        assert!(found.contains(said), "{found}");
    }
    let mut later = whole;
    later[8] = 9;
    std::fs::write(segment(dir.path(), 3), &later).expect("written");
    let refused = check(dir.path(), false, at(100), &mut |_| {}).expect_err("a later form");
    assert!(matches!(refused, StoreError::Newer { found: 9, .. }), "{refused}");
}

/// A backup has no torn end: cut off anywhere, it has lost something. One of an earlier version does not say what it was made with.
#[test]
fn a_backup_whose_sample_log_was_cut_off_is_not_whole() {
    let dir = folder(false);
    let copy = dir.path().join("copy");
    let fresh = || {
        let _ = std::fs::remove_dir_all(&copy);
        let data = dir.path().join("data");
        backup(&data, &copy, at(90), &mut |_, _| true).expect("a copy");
        copy.join("samples/0000000003.log")
    };
    std::fs::create_dir(dir.path().join("data")).expect("a folder");
    for name in ["homeostat.db", "samples"] {
        std::fs::rename(dir.path().join(name), dir.path().join("data").join(name)).expect("one disk");
    }
    let whole = std::fs::read(fresh()).expect("readable");
    assert_eq!(wrong(&copy), "");
    // In the middle of its last record, behind the first of its two, behind its head, and all of it.
    let first = 12 + 8 + u32::from_le_bytes([whole[12], whole[13], whole[14], whole[15]]) as usize;
    for (left, records) in [(whole.len() - 5, 2), (first, 2), (12, 1), (0, 1)] {
        let path = fresh();
        std::fs::write(path, &whole[..left]).expect("written");
        let found = wrong(&copy);
        let all = format!("samples: {records} records in ");
        assert!(found.contains(&all) && found.contains("the backup was made with 3 in"), "{left}: {found}");
    }
    std::fs::remove_file(fresh()).expect("it was there");
    assert!(wrong(&copy).contains("samples: 1 records in"), "{}", wrong(&copy));
    // Of an earlier version what was torn off may be what a kill left, and what is missing shows by nothing.
    let path = fresh();
    std::fs::write(path, &whole[..whole.len() - 5]).expect("written");
    harm(&copy, "delete from counters where name in ('backup_records', 'backup_bytes')");
    assert_eq!(wrong(&copy), "");
    // Once it is started on, it is a backup no more.
    let path = fresh();
    let mut store = Store::open(&copy).expect("it opens");
    store.begins().expect("room");
    drop(store);
    std::fs::write(path, &whole[..whole.len() - 5]).expect("written");
    assert_eq!(wrong(&copy), "");
}

/// Whatever page is overwritten: told, without a panic, or none of what is used.
#[test]
fn whatever_page_is_damaged_it_is_told() {
    let dir = folder(true);
    let path = dir.path().join("homeostat.db");
    let whole = std::fs::read(&path).expect("readable");
    let mut told = 0;
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&path, &bytes).expect("written");
        match check(dir.path(), true, at(100), &mut |_| {}) {
            Ok(report) if report.problems.is_empty() => panic!("page {page} is nothing that is used"),
            Ok(_) => told += 1,
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    assert!(told > 8, "{told}");
}

#[test]
fn what_is_no_data_folder_or_of_a_newer_homeostat_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |dir: &Path| check(dir, false, at(0), &mut |_| {}).expect_err("it cannot be read").to_string();
    assert!(refused(dir.path()).contains("homeostat.db"), "{}", refused(dir.path()));
    std::fs::write(dir.path().join("homeostat.db"), "").expect("written");
    assert!(refused(dir.path()).contains("it is empty"));
    std::fs::write(dir.path().join("homeostat.db"), "a text that is long enough to be none").expect("written");
    assert!(refused(dir.path()).contains("not a store"));
    let newer = folder(true);
    harm(newer.path(), "pragma user_version = 99");
    let said = refused(newer.path());
    assert!(said.contains("a newer homeostat (form 99") && said.contains("use that version"), "{said}");
    let copy = tempfile::tempdir().expect("a folder");
    let said = backup(newer.path(), &copy.path().join("to"), at(0), &mut |_, _| true).expect_err("newer").to_string();
    assert!(said.contains("form 99"), "{said}");
}
