//! What to do with a file that the disk has damaged: a new one is made of all that can be read of it, and the old one is kept
//! under another name. A loop that forgot some of its past works; one that does not start helps nobody.

use super::begun::{self, COPIED_AT, OPEN};
use super::{MARK, StoreError, error, lock, migrate};
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What was found, and where the damaged file is now.
#[derive(Debug)]
pub struct Salvaged {
    pub aside: PathBuf,
    pub events: u64,
    /// Events that were numbered and could not be read, or had been removed as too old; none where it cannot be read how many
    /// there were.
    pub events_missing: Option<u64>,
    /// Parts of the snapshot that could not be read; none where it cannot be read which there were. Names that can be read
    /// stay, so that the journal can stand in for them.
    pub parts_missing: Option<u64>,
}

impl Salvaged {
    /// What is gone, for a person.
    pub fn lost(&self) -> String {
        let events = self.events_missing.map_or_else(
            || "How many events were lost is not known".to_owned(),
            |missing| format!("Lost or removed as too old: {missing} events"),
        );
        let parts = self.parts_missing.map_or_else(
            || "how much of the snapshot was lost is not known: nothing was taken over of it".to_owned(),
            |missing| format!("lost: {missing} parts of the snapshot"),
        );
        format!("{events}; {parts}")
    }
}

/// Makes a new store of what can be read of the damaged one in `dir`. Nobody may hold the folder.
pub fn salvage(dir: &Path) -> Result<Salvaged, StoreError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source: std::io::Error| StoreError::Io { path, source }
    };
    let _lock = lock(dir, &io)?;
    remove(&dir.join(MARK))?;
    let path = dir.join("homeostat.db");
    let new_path = dir.join("homeostat.db.new");
    remove(&new_path)?;
    let scratch = dir.join("homeostat.db.headed");
    let opened = open_old(&path, &scratch);
    let found = opened.and_then(|old| {
        let mut new = Connection::open(&new_path).map_err(|source| error(&new_path, source))?;
        migrate(&new_path, &new)?;
        copy(&old, &mut new, &new_path)
    });
    remove_all(&scratch)?;
    let Found { events, events_missing, parts_missing } = found?;
    let aside = (1..)
        .map(|n| dir.join(format!("homeostat.db.damaged-{n}")))
        .find(|aside| !aside.exists())
        .expect("there is a number that no file has");
    // A log that stayed would be taken for the new file's.
    match std::fs::rename(beside(&path, "-wal"), beside(&aside, "-wal")) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(io(&path)(source)),
        Ok(()) | Err(_) => {}
    }
    remove(&beside(&path, "-shm"))?;
    // One of the two stands under the name at any moment, where the file system knows links.
    std::fs::hard_link(&path, &aside).or_else(|_| std::fs::rename(&path, &aside)).map_err(io(&aside))?;
    std::fs::rename(&new_path, &path).map_err(io(&path))?;
    Ok(Salvaged { aside, events, events_missing, parts_missing })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}{end}"))
}

/// With what SQLite keeps beside it.
fn remove_all(path: &Path) -> Result<(), StoreError> {
    ["", "-wal", "-shm", "-journal"].into_iter().try_for_each(|end| remove(&beside(path, end)))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Bytes of a page, and of the head of the file, with which the first one begins.
const PAGE: usize = 4096;
const HEAD: usize = 100;

/// Pages among which a store's numbers are looked for; they are made with it.
const LOOKED_AT: usize = 64;

/// How much of a damaged first page is made anew, and what makes that of a new store fit. Its page says where each table begins,
/// which is where it began in a store that was made new as well, but for the two tables of snapshots, which change places. Where
/// it cannot be known which is which, neither is taken.
const HEADS: [(usize, &str); 4] = [
    (HEAD, ""),
    (PAGE, ""),
    (
        PAGE,
        "alter table snapshot rename to one; alter table coming rename to snapshot; alter table one rename to coming",
    ),
    (PAGE, "alter table snapshot rename to one; alter table coming rename to other"),
];

/// Opens the damaged file. Where its first page is damaged, so that nobody can say what is in it, a copy at `scratch` that has
/// another one. A file in which nothing of a store is found by that either is none, and refused.
fn open_old(path: &Path, scratch: &Path) -> Result<Connection, StoreError> {
    let opened = Connection::open(path).map_err(|source| error(path, source))?;
    let known = "select 1 from sqlite_schema where name = 'counters'";
    let Err(source) = opened.query_row(known, [], |_| Ok(())) else { return Ok(opened) };
    let io = |source| super::io_error(scratch, source);
    if is_like_a_store(path) {
        let pages = path.metadata().map_err(io)?.len() / PAGE as u64;
        remove_all(scratch)?;
        std::fs::copy(path, scratch).map_err(io)?;
        match std::fs::copy(beside(path, "-wal"), beside(scratch, "-wal")) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(io(source)),
            Ok(_) | Err(_) => {}
        }
        for (anew, fit) in HEADS {
            let mut head = first_page(&beside(scratch, ".first"), fit)?;
            // How many pages there are, and that the log beside it is read.
            head[28..32].copy_from_slice(&(pages as u32).to_be_bytes());
            head[18..20].copy_from_slice(&[2, 2]);
            let file = File::options().write(true).open(scratch).map_err(io)?;
            file.write_all_at(&head[..anew], 0).map_err(io)?;
            let headed = Connection::open(scratch).map_err(|source| error(scratch, source))?;
            if fits(&headed, anew == HEAD) {
                return Ok(headed);
            }
        }
    }
    match error(path, source) {
        none @ StoreError::NotAStore { .. } => Err(none),
        _ => Ok(opened),
    }
}

/// Whether a file may be a store though its first page is damaged: what every one counts stands among the next.
pub(super) fn is_like_a_store(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take((LOOKED_AT * PAGE) as u64).read_to_end(&mut begin));
    let counter = b"snapshot_seq";
    read.is_ok() && begin.get(PAGE..).is_some_and(|rest| rest.windows(counter.len()).any(|bytes| bytes == counter))
}

/// Whether what every store has stands where it should. Where the page's `own` word for it is gone, no snapshot that is being
/// written, or removed, shall be taken for the one that counts either.
fn fits(headed: &Connection, own: bool) -> bool {
    let number = |text: &str| headed.query_row(text, [], |row| row.get::<_, i64>(0));
    let none_comes = || match number("select count(*) from sqlite_schema where name = 'coming'") {
        Ok(0) => true,
        _ => number("select count(*) from coming") == Ok(0),
    };
    // What was being written when there was no snapshot yet is none.
    let is_whole = || {
        number("select value from counters where name = 'snapshot_seq'") != Ok(0)
            || number("select count(*) from snapshot") == Ok(0)
    };
    number("select value from counters where name = 'seq'").is_ok() && (own || none_comes() && is_whole())
}

/// That of a new store, made at `place` for a moment.
fn first_page(place: &Path, fit: &str) -> Result<Vec<u8>, StoreError> {
    // A life that was killed over it may have left one.
    remove_all(place)?;
    let new = Connection::open(place).map_err(|source| error(place, source))?;
    migrate(place, &new)?;
    new.execute_batch(fit).map_err(|source| error(place, source))?;
    drop(new);
    let mut page = std::fs::read(place).map_err(|source| super::io_error(place, source))?;
    page.truncate(PAGE);
    remove_all(place)?;
    Ok(page)
}

/// As in [`Salvaged`].
struct Found {
    events: u64,
    events_missing: Option<u64>,
    parts_missing: Option<u64>,
}

/// Copies what can be read.
fn copy(old: &Connection, new: &mut Connection, new_path: &Path) -> Result<Found, StoreError> {
    let sql = |source: rusqlite::Error| error(new_path, source);
    let counter = |name: &str| {
        let text = "select value from counters where name = ?1";
        old.query_row(text, [name], |row| row.get::<_, i64>(0)).optional().ok().flatten()
    };
    let (seq, snapshot_seq) = (counter("seq"), counter("snapshot_seq"));
    let transaction = new.transaction().map_err(sql)?;
    let (mut events, mut last) = (0, 0);
    // Where the way through the file breaks, the next event behind the break is looked for, further and further away.
    let (mut after, mut step) = (0_i64, 0_i64);
    let horizon = seq.unwrap_or(1 << 40);
    while after < horizon {
        let ended = copy_events(old, &transaction, after + step, |seq| {
            (events, last, step) = (events + 1, seq, 0);
        });
        match ended {
            Ok(()) => break,
            Err(Torn::Old) if last > after => after = last,
            Err(Torn::Old) => step = (2 * step).max(1),
            Err(Torn::New(source)) => return Err(sql(source)),
        }
        if after + step >= horizon {
            break;
        }
    }
    let events_missing = seq.map(|seq| (seq.max(last) as u64).saturating_sub(events));
    let seq = seq.unwrap_or(last).max(last);
    let mut parts_missing = Some(0);
    let snapshot_seq = match (snapshot_seq, part_names(old)) {
        (Some(snapshot_seq), Ok(names)) if !names.is_empty() => {
            for name in names {
                let text = "select body, sum from snapshot where part = ?1";
                let read = old.query_row(text, [&name], |row| Ok((row.get(0)?, row.get(1)?)));
                let (body, sum): (Vec<u8>, Option<i64>) = read.unwrap_or_else(|_| {
                    parts_missing = parts_missing.map(|missing| missing + 1);
                    // Nothing has this sum: it counts as damaged.
                    (Vec::new(), Some(super::sum(&[]) ^ 1))
                });
                let text = "insert into snapshot (part, body, sum) values (?1, ?2, ?3)";
                transaction.execute(text, params![name, body, sum]).map_err(sql)?;
            }
            snapshot_seq
        }
        // Without its number, or its parts, a snapshot is none: all memory is what the journal tells.
        (_, names) => {
            parts_missing = names.ok().map(|names| names.len() as u64);
            0
        }
    };
    // What receivers were told, verdicts on alerts, and the audit: without them something is told twice, `tune` knows less, and
    // who changed what is forgotten.
    for copied in [
        rows(old, "select name, body from kept", |row| {
            let text = "insert or ignore into kept (name, body) values (?1, ?2)";
            let (name, body): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            transaction.execute(text, params![name, body])
        }),
        rows(old, "select id, name, at, body from verdicts order by id", |row| {
            let text = "insert or ignore into verdicts (id, name, at, body) values (?1, ?2, ?3, ?4)";
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let (at, body): (i64, String) = (row.get(2)?, row.get(3)?);
            transaction.execute(text, params![id, name, at, body])
        }),
        rows(old, "select id, at, body from audit order by id", |row| {
            let (id, at, body): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            transaction.execute("insert or ignore into audit (id, at, body) values (?1, ?2, ?3)", params![id, at, body])
        }),
    ] {
        if let Err(reason) = copied {
            tracing::warn!("{reason}");
        }
    }
    let set = "update counters set value = ?1 where name = ?2";
    transaction.execute(set, params![seq, "seq"]).map_err(sql)?;
    transaction.execute(set, params![snapshot_seq, "snapshot_seq"]).map_err(sql)?;
    for (name, value) in [OPEN, COPIED_AT].into_iter().filter_map(|name| Some((name, counter(name)?))) {
        begun::put(&transaction, name, value).map_err(sql)?;
    }
    transaction.commit().map_err(sql)?;
    Ok(Found { events, events_missing, parts_missing })
}

/// Hands on rows until they end, or one cannot be read.
fn rows(
    old: &Connection,
    text: &str,
    mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<usize>,
) -> Result<(), String> {
    let lost = |error: rusqlite::Error| format!("of `{text}` the rest is lost: {error}");
    let mut select = old.prepare(text).map_err(lost)?;
    let mut rows = select.query([]).map_err(lost)?;
    while let Some(row) = rows.next().map_err(lost)? {
        each(row).map_err(lost)?;
    }
    Ok(())
}

/// From the index, which is small and apart from the bodies.
fn part_names(old: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut select = old.prepare("select part from snapshot order by part")?;
    let names = select.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Which of the two files broke.
enum Torn {
    Old,
    New(rusqlite::Error),
}

fn copy_events(old: &Connection, new: &Connection, after: i64, mut copied: impl FnMut(i64)) -> Result<(), Torn> {
    let text = "select seq, at, v, kind, series, body from events where seq > ?1 order by seq";
    let mut select = old.prepare_cached(text).map_err(|_| Torn::Old)?;
    let mut insert = new.prepare_cached("insert into events values (?1, ?2, ?3, ?4, ?5, ?6)").map_err(Torn::New)?;
    let mut rows = select.query([after]).map_err(|_| Torn::Old)?;
    while let Some(row) = rows.next().map_err(|_| Torn::Old)? {
        type Event = (i64, i64, i64, String, Option<String>, String);
        let read = || -> rusqlite::Result<Event> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        };
        // A row that holds something else than was written is skipped, and the next one read.
        let Ok((seq, at, v, kind, series, body)) = read() else { continue };
        insert.execute(params![seq, at, v, kind, series, body]).map_err(Torn::New)?;
        copied(seq);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HEAD, PAGE};
    use crate::config::Config;
    use crate::store::{Snapshot, Store, StoreError, Wanted};
    use homeostat::event::Event;
    use homeostat::series::SeriesName;
    use homeostat::time::Timestamp;
    use std::path::Path;

    /// A page of the file after the other is overwritten: whatever was in it, the rest is found, in order, and no part of the
    /// snapshot is taken for another.
    #[test]
    fn whatever_page_is_lost_the_rest_is_found_and_the_damaged_file_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("homeostat.db");
        let mut store = Store::open(dir.path()).expect("a new store");
        let added = |n: usize| {
            let series = SeriesName::parse(&format!("series_{n}")).expect("a name");
            (Timestamp::from_secs(1000), Event::SeriesAdded { series, declared: None, derived_from: None })
        };
        let events: Vec<_> = (0..500).map(added).collect();
        store.append(&events[..400]).expect("room");
        let part = |name: &str, byte: u8| (name.to_owned(), vec![byte; 20_000]);
        let parts = [part("general", 1), part("series/0", 2), part("series/1", 3)];
        store.write_snapshot(&parts).expect("room");
        store.append(&events[400..]).expect("room");
        drop(store);
        let whole = std::fs::read(&path).expect("readable");
        let (mut salvaged, mut refused) = (0, 0);
        // The first page is the head of the file, which SQLite knows it by.
        for page in 0..whole.len() / 4096 {
            let mut bytes = whole.clone();
            bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
            std::fs::write(&path, &bytes).expect("written");
            let all = Wanted { limit: 1000, ..Wanted::default() };
            let read = || {
                let store = Store::open(dir.path())?;
                let snapshot = store.read_snapshot()?;
                // All of it is read.
                snapshot.as_ref().map(Snapshot::damaged).transpose()?;
                Ok::<_, StoreError>((store.events(&all)?, snapshot, store.last_seq()))
            };
            let (found, snapshot, last) = match read() {
                Ok(found) => found,
                Err(StoreError::Damaged { .. } | StoreError::NotAStore { .. }) => {
                    let done = match super::salvage(dir.path()) {
                        Ok(done) => done,
                        // What says which tables there are is gone too.
                        Err(StoreError::Damaged { .. }) => {
                            refused += 1;
                            continue;
                        }
                        Err(error) => panic!("page {page}: {error}"),
                    };
                    salvaged += 1;
                    assert_eq!(std::fs::read(&done.aside).expect("kept"), bytes, "page {page}");
                    std::fs::remove_file(&done.aside).expect("ours");
                    read().unwrap_or_else(|error| panic!("page {page}: {error}"))
                }
                Err(error) => panic!("page {page}: {error}"),
            };
            assert_eq!(last, 500, "page {page}: a number is never given twice");
            assert!(found.len() >= 300 || snapshot.is_some(), "page {page}: {} events", found.len());
            for stored in &found {
                assert_eq!(stored.event, events[stored.seq as usize - 1].1, "page {page}");
            }
            assert!(found.windows(2).all(|pair| pair[0].seq < pair[1].seq), "page {page}");
            for (name, body) in &parts {
                let held = snapshot.as_ref().and_then(|snapshot| snapshot.part(name));
                assert!(held.is_none_or(|held| held == *body), "page {page}: what is not damaged is as it was written");
            }
        }
        assert!(salvaged > 10 && refused <= 1, "{salvaged} {refused}");
        // Of the first page all of it, or the head that SQLite knows the file by: nothing else is lost for that.
        for (bytes, byte) in [(PAGE, 0xa5), (PAGE, 0), (HEAD, 0), (HEAD, 0xa5), (16, 0)] {
            let mut spoiled = whole.clone();
            spoiled[..bytes].fill(byte);
            std::fs::write(&path, &spoiled).expect("written");
            let done = super::salvage(dir.path()).unwrap_or_else(|error| panic!("{bytes} of {byte}: {error}"));
            assert_eq!(std::fs::read(&done.aside).expect("kept"), spoiled);
            assert_eq!((done.events, done.events_missing, done.parts_missing), (500, Some(0), Some(0)), "{bytes}");
            let store = Store::open(dir.path()).expect("it opens");
            let snapshot = store.read_snapshot().expect("readable").expect("taken over");
            assert!(parts.iter().all(|(name, body)| snapshot.part(name).is_some_and(|held| held == *body)), "{bytes}");
            assert_eq!(store.journal().next().expect("readable").map(|stored| stored.seq), Some(401), "{bytes}");
            drop(store);
            std::fs::remove_file(&done.aside).expect("ours");
        }
        assert!(left(dir.path()).iter().all(|name| !name.contains("headed")), "{:?}", left(dir.path()));
        // Nothing is left but the head: nobody can say how much there was, and nobody says that nothing is lost.
        let mut bytes = whole;
        bytes[4096..].fill(0xa5);
        std::fs::write(&path, &bytes).expect("written");
        let done = super::salvage(dir.path()).expect("a new store");
        assert_eq!((done.events, done.events_missing, done.parts_missing), (0, None, None));
        let said = done.lost();
        assert_eq!(said.matches("not known").count(), 2, "{said}");
    }

    fn left(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("one").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A first page that is gone says as little of which of two snapshots counts: none is taken, and the journal is.
    #[test]
    fn of_two_snapshots_without_a_first_page_neither_is_taken_for_the_other() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("homeostat.db");
        let mut store = Store::open(dir.path()).expect("a new store");
        let added =
            Event::SeriesAdded { series: SeriesName::parse("a").expect("a name"), declared: None, derived_from: None };
        store.append(&[(Timestamp::from_secs(1000), added)]).expect("room");
        let part = |byte: u8| ("general".to_owned(), vec![byte; 10]);
        store.write_snapshot(&[part(1)]).expect("room");
        store.put_parts(&[part(2)]).expect("room");
        drop(store);
        let mut bytes = std::fs::read(&path).expect("readable");
        for (spoiled, taken) in [(HEAD, Some(part(1).1)), (PAGE, None)] {
            bytes[..spoiled].fill(0);
            std::fs::write(&path, &bytes).expect("written");
            let done = super::salvage(dir.path()).expect("a new store");
            assert_eq!((done.events, done.parts_missing), (1, taken.as_ref().map(|_| 0)), "{spoiled}");
            let store = Store::open(dir.path()).expect("it opens");
            let snapshot = store.read_snapshot().expect("readable");
            assert_eq!(snapshot.and_then(|snapshot| snapshot.part("general")), taken, "{spoiled}");
        }
    }

    #[test]
    fn what_was_never_a_store_is_refused_and_left_as_it_is() {
        let noise = |n: usize| (n.wrapping_mul(0x9e37_79b9) >> 7) as u8;
        for bytes in [b"a text of somebody".repeat(1000), vec![0; 20 * PAGE], (0..20 * PAGE).map(noise).collect()] {
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join("homeostat.db");
            std::fs::write(&path, &bytes).expect("written");
            let refused = crate::recall::remember(&Config::default(), dir.path(), Timestamp::from_secs(1000)).err();
            assert!(refused.as_ref().is_some_and(|said| said.contains("is not a store of homeostat")), "{refused:?}");
            assert!(std::fs::read(&path).expect("readable") == bytes, "not a byte is another");
            assert_eq!(left(dir.path()), ["homeostat.db", "lock"]);
        }
    }
}
