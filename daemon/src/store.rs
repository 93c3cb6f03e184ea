//! What must survive: the journal of events, and snapshots of all memory.
//!
//! One SQLite file in one folder that one process holds at a time. Write-ahead log and full synchronisation: an append is
//! on disk when it returns. A snapshot carries the number of the last event it knows; a restart replays those after it.

mod backup;
mod begun;
mod check;
#[cfg(test)]
mod forms;
mod kept;
mod look;
mod salvage;
pub mod samples;
mod snapshot;

pub use backup::{NotCopied, backup};
pub use begun::{Begun, Ended};
pub use check::check;
pub use salvage::salvage;
pub use snapshot::Snapshot;

use homeostat::event::{EVENT_VERSION, Event, Stored};
use homeostat::knowledge::snapshot::SnapshotError;
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the file's form. A file of a later one is refused; an earlier one is brought up by [`MIGRATIONS`].
const STORE_VERSION: u32 = 5;

/// What brings a file from one version to the next; the first makes an empty file.
const MIGRATIONS: [&str; STORE_VERSION as usize] = [
    "create table events (
         seq integer primary key,
         at integer not null,
         v integer not null,
         kind text not null,
         series text,
         body text not null
     ) strict;
     create index events_by_kind on events (kind, seq);
     create index events_by_series on events (series, seq) where series is not null;
     create table snapshot (part text primary key, body blob not null) strict;
     create table counters (name text primary key, value integer not null) strict;
     insert into counters values ('seq', 0), ('snapshot_seq', 0);",
    // xxh3-64 of the body; null where an earlier version wrote it.
    "alter table snapshot add column sum integer;",
    "create table kept (name text primary key, body blob not null) strict;
     create table verdicts (
         id integer primary key autoincrement,
         name text not null unique,
         at integer not null,
         body text not null
     ) strict;",
    "create table audit (id integer primary key autoincrement, at integer not null, body text not null) strict;",
    // The snapshot that is being written, or what is left of the one before.
    "create table coming (part text primary key, body blob not null, sum integer) strict;",
];

/// Parts of an old snapshot that are removed in one go.
const CLEARED_AT_ONCE: usize = 4;

/// Bytes that a snapshot leaves on the disk for events.
const LEFT_FREE: u64 = 16 << 20;

/// A file beside the store that says of it that it is damaged.
const MARK: &str = "homeostat.db.is-damaged";

/// How often a folder that is held is asked for again, and what lies between.
const LOOKS: usize = 5;
const LOOK: Duration = Duration::from_millis(10);

/// Why the store does not do what it should, with the place and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the folder {} is used by another homeostat{}; stop that one, or give this one a folder of its own with --data", dir.display(), pid.as_ref().map_or(String::new(), |pid| format!(" (process {pid})")))]
    InUse { dir: PathBuf, pid: Option<String> },
    #[error("{} was written by a newer homeostat (form {found}; this one reads up to {STORE_VERSION}); use that version, or another folder with --data", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{} cannot be written to; make it writable, or give another folder with --data", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the disk that holds {} is full; make room", path.display())]
    Full { path: PathBuf },
    #[error("{} could not be written ({reason}); the disk may be failing, or a quota or a limit of file size may be reached", path.display())]
    Disk { path: PathBuf, reason: String },
    #[error("{} is damaged ({reason}); start anew, which sets it aside and takes over what can be read; where that fails, move it away or bring back a copy", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} is not a store of homeostat ({reason}); move it away, or give another folder with --data", path.display())]
    NotAStore { path: PathBuf, reason: String },
    #[error("{}: {source}", path.display())]
    Snapshot { path: PathBuf, source: SnapshotError },
    #[error("{}: {source}; mend that, or give another folder with --data", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Sql { path: PathBuf, source: rusqlite::Error },
}

pub struct Store {
    path: PathBuf,
    connection: Connection,
    /// Released when dropped.
    _lock: File,
    last_seq: u64,
    snapshot_seq: u64,
    /// The table of the snapshot that is to come may hold something.
    leftover: bool,
    ended: Ended,
}

/// Which events are wanted; the first `limit` of them in the order asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub after: Option<u64>,
    pub before: Option<u64>,
    pub kind: Option<String>,
    pub series: Option<SeriesName>,
    pub newest_first: bool,
    pub limit: usize,
}

impl Store {
    /// Opens the store in a folder, which is made when missing and held until the store is dropped.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source: std::io::Error| io_error(&path, source)
        };
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        let lock = lock(dir, &io)?;
        let path = dir.join("homeostat.db");
        if let Ok(reason) = std::fs::read_to_string(dir.join(MARK)) {
            return Err(StoreError::Damaged { path, reason });
        }
        // A file that was cut off to nothing is no damage to SQLite, and looks like one that is new.
        if path.metadata().is_ok_and(|about| about.len() == 0) {
            tracing::warn!(
                "{} is empty: whatever it held is lost, and memory begins anew; to have it back, stop homeostat and bring back \
                 a copy",
                path.display()
            );
        }
        let sql = |source: rusqlite::Error| error(&path, source);
        let connection = Connection::open(&path).map_err(sql)?;
        connection
            .execute_batch("pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 1000;")
            .map_err(sql)?;
        migrate(&path, &connection)?;
        let counter = |name: &str| {
            connection
                .query_row("select value from counters where name = ?1", [name], |row| row.get::<_, i64>(0))
                .map(|value| value as u64)
                .map_err(sql)
        };
        let (last_seq, snapshot_seq) = (counter("seq")?, counter("snapshot_seq")?);
        let ended = begun::look(&path, &connection, last_seq)?;
        Ok(Store { connection, last_seq, snapshot_seq, leftover: true, ended, _lock: lock, path })
    }

    /// Has the next start set the file aside: damage that a write met may be where no reading comes by.
    pub fn mark_damaged(&self, reason: &str) {
        // Where that cannot be written the next write says again what this one did.
        let _ = std::fs::write(self.path.with_file_name(MARK), reason);
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the latest event; 0 when there is none.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Appends events, all or none; durable when it returns. The number of the first.
    pub fn append(&mut self, events: &[(Timestamp, Event)]) -> Result<u64, StoreError> {
        let path = self.path.clone();
        let sql = |source: rusqlite::Error| error(&path, source);
        let first = self.last_seq + 1;
        let transaction = self.connection.transaction().map_err(sql)?;
        {
            let mut insert = transaction
                .prepare_cached("insert into events (seq, at, v, kind, series, body) values (?1, ?2, ?3, ?4, ?5, ?6)")
                .map_err(sql)?;
            for (seq, (at, event)) in (first..).zip(events) {
                let body = serde_json::to_string(event).expect("an event is plain data with text keys");
                let series = event.series().map(SeriesName::as_str);
                insert
                    .execute(params![seq as i64, at.millis(), EVENT_VERSION, event.kind(), series, body])
                    .map_err(sql)?;
            }
            let last = self.last_seq + events.len() as u64;
            transaction.execute("update counters set value = ?1 where name = 'seq'", [last as i64]).map_err(sql)?;
        }
        transaction.commit().map_err(sql)?;
        self.last_seq += events.len() as u64;
        Ok(first)
    }

    /// Finds out by a write whether there is room for events. The write counts itself: one that changes nothing would not
    /// reach the disk.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        let text = "insert into counters values ('probes', 1) on conflict (name) do update set value = value + 1";
        self.connection.execute(text, []).map(|_| ()).map_err(|source| error(&self.path, source))
    }

    /// Events as wanted. Those of a later version, of a kind that is not known, or that a disk has damaged stay in the journal and are
    /// skipped.
    pub fn events(&self, wanted: &Wanted) -> Result<Vec<Stored>, StoreError> {
        let sql = |source: rusqlite::Error| error(&self.path, source);
        let order = if wanted.newest_first { "desc" } else { "asc" };
        let text = format!(
            "select seq, at, v, body from events
             where seq > ?1 and seq < ?2 and (?3 is null or kind = ?3) and (?4 is null or series = ?4)
             order by seq {order}"
        );
        let mut select = self.connection.prepare_cached(&text).map_err(sql)?;
        let after = wanted.after.unwrap_or(0).min(i64::MAX as u64) as i64;
        let before = wanted.before.unwrap_or(u64::MAX).min(i64::MAX as u64) as i64;
        let series = wanted.series.as_ref().map(SeriesName::as_str);
        let mut rows = select.query(params![after, before, wanted.kind, series]).map_err(sql)?;
        let mut found = Vec::new();
        while found.len() < wanted.limit
            && let Some(row) = rows.next().map_err(sql)?
        {
            let (seq, at, v): (i64, i64, i64) =
                (row.get(0).map_err(sql)?, row.get(1).map_err(sql)?, row.get(2).map_err(sql)?);
            // A damaged one may not even be a text.
            let body = row.get_ref(3).and_then(|body| Ok(body.as_bytes()?)).map_err(sql)?;
            if v <= i64::from(EVENT_VERSION)
                && let Ok(event) = serde_json::from_slice(body)
            {
                found.push(Stored { seq: seq as u64, at: Timestamp::from_millis(at), v: v as u16, event });
            }
        }
        Ok(found)
    }

    /// Hands on every event that the snapshot knows and the journal still holds, oldest first.
    pub fn replay_before(&self, mut each: impl FnMut(&Stored)) -> Result<(), StoreError> {
        let mut journal = Journal { store: self, after: 0, before: Some(self.snapshot_seq + 1), read: VecDeque::new() };
        while let Some(stored) = journal.next()? {
            each(&stored);
        }
        Ok(())
    }

    /// The events after the snapshot, to be taken one by one.
    pub fn journal(&self) -> Journal<'_> {
        Journal { store: self, after: self.snapshot_seq, before: None, read: VecDeque::new() }
    }

    /// Writes a whole snapshot, which knows all events so far.
    #[cfg(test)]
    pub fn write_snapshot(&mut self, parts: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        while self.clear_some()? {}
        self.put_parts(parts)?;
        self.end_snapshot(self.last_seq)
    }

    /// Writes parts of the snapshot that is to come. They count when it ends, and not before.
    pub fn put_parts(&mut self, parts: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        self.leftover = true;
        self.room_for(parts.iter().map(|(_, body)| body.len() as u64).sum())?;
        self.unsynchronised(|connection| {
            let transaction = connection.transaction()?;
            for (part, body) in parts {
                let text = "insert into coming (part, body, sum) values (?1, ?2, ?3)";
                transaction.execute(text, params![part, body, sum(body)])?;
            }
            transaction.commit()
        })
    }

    /// A snapshot that fills the disk would leave no room for events, nor for its own removal.
    fn room_for(&self, bytes: u64) -> Result<(), StoreError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let disk = rustix::fs::statvfs(dir).map_err(|source| io_error(dir, source.into()))?;
        match fits(bytes, disk.f_bavail.saturating_mul(disk.f_frsize)) {
            true => Ok(()),
            false => Err(StoreError::Full { path: self.path.clone() }),
        }
    }

    /// From here on the parts that were put are the snapshot, which knows events up to `knows`.
    pub fn end_snapshot(&mut self, knows: u64) -> Result<(), StoreError> {
        let sql = |source: rusqlite::Error| error(&self.path, source);
        let transaction = self.connection.transaction().map_err(sql)?;
        // The tables change their names, whatever they hold.
        let text = "alter table snapshot rename to before;
                    alter table coming rename to snapshot;
                    alter table before rename to coming;";
        transaction.execute_batch(text).map_err(sql)?;
        transaction
            .execute("update counters set value = ?1 where name = 'snapshot_seq'", [knows as i64])
            .map_err(sql)?;
        transaction.commit().map_err(sql)?;
        self.snapshot_seq = knows;
        Ok(())
    }

    /// Whether parts lie around of a snapshot that counts no longer, or never did.
    pub fn has_leftover(&self) -> bool {
        self.leftover
    }

    /// Removes some of those. Whether more of them are left.
    pub fn clear_some(&mut self) -> Result<bool, StoreError> {
        let cleared = self.unsynchronised(|connection| {
            let text = "delete from coming where rowid in (select rowid from coming limit ?1)";
            connection.execute(text, [CLEARED_AT_ONCE as i64])
        })?;
        self.leftover = cleared == CLEARED_AT_ONCE;
        Ok(self.leftover)
    }

    /// Does what counts only once something later is on the disk, which takes it along.
    fn unsynchronised<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let done =
            self.connection.execute_batch("pragma synchronous = normal").and_then(|()| work(&mut self.connection));
        let again = self.connection.execute_batch("pragma synchronous = full");
        done.and_then(|done| again.map(|()| done)).map_err(|source| error(&self.path, source))
    }

    /// Puts a part of the snapshot that cannot be used into a file beside the store: the next snapshot takes its place.
    pub fn set_aside(&self, part: &str, body: &[u8]) -> Result<PathBuf, StoreError> {
        let name = format!("damaged-{}-{}", part.replace(|c: char| !c.is_ascii_alphanumeric(), "-"), self.snapshot_seq);
        let path = self.path.with_file_name(name);
        std::fs::write(&path, body).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        Ok(path)
    }

    /// Removes events older than `oldest` and those over `rows_max`, as far as the snapshot knows them.
    pub fn prune(&mut self, oldest: Timestamp, rows_max: u64) -> Result<(), StoreError> {
        let sql = |source: rusqlite::Error| error(&self.path, source);
        let by_age: Option<i64> = self
            .connection
            .query_row("select seq from events where at >= ?1 order by seq limit 1", [oldest.millis()], |row| {
                row.get(0)
            })
            .optional()
            .map_err(sql)?;
        let by_age = by_age.map_or(self.last_seq, |seq| seq as u64 - 1);
        let by_count = self.last_seq.saturating_sub(rows_max);
        let through = by_age.max(by_count).min(self.snapshot_seq);
        self.connection.execute("delete from events where seq <= ?1", [through as i64]).map_err(sql)?;
        self.prune_audit(oldest, rows_max)?;
        Ok(())
    }
}

/// Events in their order, read some thousands at a time.
pub struct Journal<'a> {
    store: &'a Store,
    after: u64,
    before: Option<u64>,
    read: VecDeque<Stored>,
}

impl Journal<'_> {
    /// The next one, which stays.
    pub fn peek(&mut self) -> Result<Option<&Stored>, StoreError> {
        const AT_ONCE: usize = 10_000;
        if self.read.is_empty() {
            let (after, before) = (Some(self.after), self.before);
            self.read = self.store.events(&Wanted { after, before, limit: AT_ONCE, ..Wanted::default() })?.into();
        }
        Ok(self.read.front())
    }

    pub fn next(&mut self) -> Result<Option<Stored>, StoreError> {
        self.peek()?;
        let next = self.read.pop_front();
        self.after = next.as_ref().map_or(self.after, |stored| stored.seq);
        Ok(next)
    }
}

/// By what a part of a snapshot shows that it is what was written.
fn sum(body: &[u8]) -> i64 {
    xxhash_rust::xxh3::xxh3_64(body) as i64
}

/// Holds the folder. The file says who does, for the message to whoever comes second.
fn lock<F: FnOnce(std::io::Error) -> StoreError>(dir: &Path, io: &impl Fn(&Path) -> F) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io(&path))?;
    let mut locked = file.try_lock();
    for _ in 0..LOOKS {
        // Who only asks whether it is held has it for an instant.
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            std::thread::sleep(LOOK);
            locked = file.try_lock();
        }
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Who holds it is a courtesy; that it is held is what counts.
            let _ = file.read_to_string(&mut pid);
            let pid = Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty());
            return Err(StoreError::InUse { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(io(&path)(source)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io(&path))?;
    Ok(file)
}

/// Whether so many bytes of a snapshot find room in `free` ones and leave some: they stand in the log before they do in the file.
fn fits(bytes: u64, free: u64) -> bool {
    bytes.saturating_mul(2).saturating_add(LEFT_FREE) <= free
}

fn migrate(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let sql = |source: rusqlite::Error| error(path, source);
    let found: u32 = connection.query_row("pragma user_version", [], |row| row.get(0)).map_err(sql)?;
    if found > STORE_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found });
    }
    for (version, step) in (1..).zip(MIGRATIONS).skip(found as usize) {
        connection
            .execute_batch(&format!("begin immediate; {step} pragma user_version = {version}; commit;"))
            .map_err(sql)?;
    }
    Ok(())
}

fn io_error(path: &Path, source: std::io::Error) -> StoreError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        ErrorKind::StorageFull => StoreError::Full { path },
        ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Disk { path, reason: source.to_string() },
        _ => StoreError::Io { path, source },
    }
}

fn error(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly { path }
        }
        // What a quota or a limit of file size says, too: SQLite knows no other full disk than ENOSPC.
        Some(ErrorCode::SystemIoFailure) => StoreError::Disk { path, reason: source.to_string() },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, reason: source.to_string() },
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore { path, reason: source.to_string() },
        _ => StoreError::Sql { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat::knowledge::snapshot::Parts;

    fn added(name: &str) -> (Timestamp, Event) {
        let series = SeriesName::parse(name).expect(name);
        (Timestamp::from_secs(1000), Event::SeriesAdded { series, declared: None, derived_from: None })
    }

    #[test]
    fn what_was_appended_is_there_after_opening_again_in_order_and_by_kind() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        assert_eq!(store.append(&[added("a"), added("b")]).expect("room"), 1);
        assert_eq!(store.append(&[added("c")]).expect("room"), 3);
        drop(store);
        let store = Store::open(dir.path()).expect("the same store");
        let all = store.events(&Wanted { limit: 10, newest_first: true, ..Wanted::default() }).expect("readable");
        assert_eq!(all.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [3, 2, 1]);
        let series = SeriesName::parse("b").ok();
        let one = store.events(&Wanted { series, limit: 10, ..Wanted::default() }).expect("readable");
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].event, added("b").1);
    }

    #[test]
    fn a_folder_in_use_says_by_whom_and_a_newer_file_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).expect("a new store");
        let Err(error) = Store::open(dir.path()) else { panic!("two at once") };
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        store.connection.execute_batch("pragma user_version = 99").expect("writable");
        drop(store);
        let Err(error) = Store::open(dir.path()) else { panic!("a newer form") };
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_keeps_nothing_half_and_goes_on_once_there_is_room() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.append(&[added("a")]).expect("room");
        let pages: i64 = store.connection.query_row("pragma page_count", [], |row| row.get(0)).expect("a number");
        store.connection.execute_batch(&format!("pragma max_page_count = {pages}")).expect("a limit");
        let many: Vec<_> = (0..5000).map(|n| added(&format!("series_{n}"))).collect();
        assert!(matches!(store.append(&many), Err(StoreError::Full { .. })));
        store.probe().expect("a counter finds room where many events do not");
        assert_eq!(store.last_seq(), 1);
        store.connection.execute_batch("pragma max_page_count = 1000000").expect("a limit");
        assert_eq!(store.append(&many).expect("room again"), 2);
    }

    #[test]
    fn a_replay_begins_after_the_snapshot_and_pruning_leaves_what_it_needs() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.append(&[added("a"), added("b")]).expect("room");
        store.write_snapshot(&[("general".to_owned(), vec![1, 2, 3])]).expect("room");
        store.append(&[added("c")]).expect("room");
        store.prune(Timestamp::from_secs(5000), 1).expect("writable");
        let mut seen = Vec::new();
        let mut journal = store.journal();
        while let Some(stored) = journal.next().expect("readable") {
            seen.push(stored.seq);
        }
        assert_eq!(seen, [3]);
        let snapshot = store.read_snapshot().expect("readable").expect("one was written");
        assert_eq!((snapshot.names(), snapshot.part("general")), (vec!["general".to_owned()], Some(vec![1, 2, 3])));
        let left = store.events(&Wanted { limit: 10, ..Wanted::default() }).expect("readable");
        assert_eq!(left.len(), 1, "two were old enough to go");
    }

    #[test]
    fn a_part_that_is_not_what_was_written_is_told_from_the_others_and_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        let part = |name: &str, body: &[u8]| (name.to_owned(), body.to_vec());
        store.write_snapshot(&[part("general", &[1, 2]), part("series/0", &[3, 4])]).expect("room");
        store.connection.execute_batch("update snapshot set body = x'0305' where part = 'series/0'").expect("writable");
        let mut snapshot = store.read_snapshot().expect("readable").expect("one was written");
        assert_eq!((snapshot.part("general"), snapshot.part("series/0")), (Some(vec![1, 2]), None));
        assert_eq!(snapshot.damaged().expect("readable"), ["series/0"]);
        assert_eq!(snapshot.leave_out("series/0").expect("readable"), [3, 5]);
        assert_eq!((snapshot.names(), snapshot.damaged().expect("readable")), (vec!["general".to_owned()], Vec::new()));
        let aside = store.set_aside("series/0", &[3, 5]).expect("room");
        assert_eq!(std::fs::read(aside).expect("kept"), [3, 5]);
    }

    #[test]
    fn a_snapshot_leaves_room_for_events_and_one_that_broke_off_leaves_the_one_before() {
        assert!(!fits(0, LEFT_FREE - 1) && fits(0, LEFT_FREE));
        assert!(!fits(4 << 20, LEFT_FREE + (4 << 20)) && fits(4 << 20, LEFT_FREE + (8 << 20)));
        let dir = tempfile::tempdir().expect("a folder");
        let part = |name: &str, body: u8| (name.to_owned(), vec![body]);
        let mut store = Store::open(dir.path()).expect("a new store");
        store.append(&[added("a")]).expect("room");
        store.write_snapshot(&[part("general", 1), part("series/0", 1)]).expect("room");
        store.append(&[added("b")]).expect("room");
        while store.clear_some().expect("writable") {}
        // Ten parts of the next one, and no end.
        (0..10).for_each(|n| store.put_parts(&[part(&format!("series/{n}"), 2)]).expect("room"));
        drop(store);
        let mut store = Store::open(dir.path()).expect("it opens");
        let read = |store: &Store| {
            let snapshot = store.read_snapshot().expect("readable").expect("one was written");
            let whole = |name: String| (name.clone(), snapshot.part(&name).expect("whole"));
            snapshot.names().into_iter().map(whole).collect::<Vec<_>>()
        };
        assert_eq!(read(&store), [part("general", 1), part("series/0", 1)]);
        assert_eq!(store.journal().next().expect("readable").map(|stored| stored.seq), Some(2));
        assert!(store.has_leftover());
        let mut removals = 1;
        while store.clear_some().expect("writable") {
            removals += 1;
        }
        assert!(removals == 3 && !store.has_leftover(), "{removals}");
        store.put_parts(&[part("general", 3)]).expect("room");
        store.end_snapshot(1).expect("room");
        assert_eq!(read(&store), [part("general", 3)]);
        assert_eq!(
            store.journal().next().expect("readable").map(|stored| stored.seq),
            Some(2),
            "it knows the first alone"
        );
    }

    #[test]
    fn a_store_of_an_earlier_version_is_brought_up_with_its_snapshot() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.append(&[added("a")]).expect("room");
        store.write_snapshot(&[("general".to_owned(), vec![1, 2, 3])]).expect("room");
        let first = "alter table snapshot drop column sum; drop table kept; drop table verdicts; drop table audit; drop table coming; pragma user_version = 1";
        store.connection.execute_batch(first).expect("as the first version made it");
        drop(store);
        let store = Store::open(dir.path()).expect("brought up");
        let snapshot = store.read_snapshot().expect("readable").expect("one was written");
        assert_eq!((snapshot.part("general"), store.last_seq()), (Some(vec![1, 2, 3]), 1));
    }

    #[test]
    fn an_event_that_is_damaged_is_skipped_and_the_others_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.append(&[added("a"), added("b"), added("c")]).expect("room");
        // A bit of it, so that it is no text any more, and all of its end.
        for damage in ["x'7bff7d'", "x'7b22'"] {
            let damage = format!("update events set body = cast({damage} as text) where seq = 2");
            store.connection.execute_batch(&damage).expect("writable");
            let seen = store.events(&Wanted { limit: 10, ..Wanted::default() }).expect("readable");
            assert_eq!(seen.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 3]);
            let mut journal = store.journal();
            while journal.next().expect("readable").is_some() {}
        }
    }

    #[test]
    fn an_event_of_a_later_version_is_kept_and_skipped() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(dir.path()).expect("a new store");
        store.append(&[added("a")]).expect("room");
        store
            .connection
            .execute_batch("insert into events values (2, 0, 99, 'unheard_of', null, '{\"kind\":\"unheard_of\"}')")
            .expect("writable");
        let seen = store.events(&Wanted { limit: 10, ..Wanted::default() }).expect("readable");
        assert_eq!(seen.len(), 1);
        let rows: i64 =
            store.connection.query_row("select count(*) from events", [], |row| row.get(0)).expect("a number");
        assert_eq!(rows, 2);
    }
}
