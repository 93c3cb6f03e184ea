//! A data folder seen from outside, as it is at one moment: beside a daemon that writes to it, or left by one that ended.
//!
//! The store is read in one transaction, which holds up nobody. Its snapshot names the first segment of samples that it does not
//! hold; those from there on are opened in the same moment, so that they stay although a later snapshot removes them. Of a folder
//! that nobody holds not a byte is changed.

use super::samples::{self, Entry, FORM, HEAD, MAGIC, RECORD_HEAD};
use super::{STORE_VERSION, StoreError, error, io_error, sum};
use crate::driver::SAMPLES;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::fs::{File, TryLockError};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A snapshot that comes between the store and its segments has both read again; they come seconds apart.
const TRIES: usize = 20;

/// Read ahead of a segment, in bytes.
const BUFFER: usize = 1 << 20;

/// What stands in the folder.
pub struct Look {
    /// Reads the store as it was at the moment of the look.
    pub connection: Connection,
    pub path: PathBuf,
    pub form: u32,
    pub last_seq: u64,
    pub snapshot_seq: u64,
    /// The first segment that the snapshot does not hold; 0: it does not say.
    pub from: u64,
    /// Those from there on, in order.
    pub segments: Vec<Segment>,
    /// Who holds the folder, as the file `lock` says.
    pub holder: Option<String>,
    /// Removed with it.
    _scratch: Option<Scratch>,
}

/// A segment of samples, as long as it was at the moment of the look.
pub struct Segment {
    pub number: u64,
    pub path: PathBuf,
    file: File,
    pub bytes: u64,
}

impl Look {
    pub fn open(dir: &Path) -> Result<Look, StoreError> {
        let path = dir.join("homeostat.db");
        match path.metadata() {
            Ok(about) if about.len() == 0 => {
                return Err(StoreError::NotAStore { path, reason: "it is empty".to_owned() });
            }
            Ok(_) => {}
            Err(source) => return Err(io_error(&path, source)),
        }
        let holder = holder(dir)?;
        let mut scratch = None;
        let connection = connect(&path, holder.is_some(), &mut scratch)?;
        for _ in 0..TRIES {
            if let Some(look) = Look::at(dir, &path, &connection, holder.is_some())? {
                let Seen { form, last_seq, snapshot_seq, from, segments } = look;
                return Ok(Look {
                    connection,
                    path,
                    form,
                    last_seq,
                    snapshot_seq,
                    from,
                    segments,
                    holder,
                    _scratch: scratch,
                });
            }
            connection.execute_batch("rollback").map_err(|source| error(&path, source))?;
        }
        let source = std::io::Error::other("its snapshots come faster than it can be read; try again");
        Err(StoreError::Io { path, source })
    }

    /// None: another snapshot took the place of the one that was read.
    fn at(dir: &Path, path: &Path, connection: &Connection, held: bool) -> Result<Option<Seen>, StoreError> {
        let sql = |source: rusqlite::Error| error(path, source);
        connection.execute_batch("begin").map_err(sql)?;
        let form: u32 = connection.query_row("pragma user_version", [], |row| row.get(0)).map_err(sql)?;
        if form > STORE_VERSION {
            return Err(StoreError::Newer { path: path.to_owned(), found: form });
        }
        let counter = |name: &str| {
            let text = "select value from counters where name = ?1";
            let value = connection.query_row(text, [name], |row| row.get::<_, i64>(0)).optional();
            value.map(|value| value.unwrap_or(0) as u64).map_err(sql)
        };
        if form == 0 {
            let reason = "it has no form: nothing was ever written to it".to_owned();
            return Err(StoreError::NotAStore { path: path.to_owned(), reason });
        }
        let (last_seq, snapshot_seq) = (counter("seq")?, counter("snapshot_seq")?);
        let from = first_segment(connection, form).map_err(sql)?;
        let Some(segments) = segments(dir, from)? else { return Ok(None) };
        // Segments are removed after the snapshot that holds them is in the store: while it is not, all were still there. It is
        // asked by a connection of its own, which does not stand still; nobody writes to what nobody holds.
        if !held {
            return Ok(Some(Seen { form, last_seq, snapshot_seq, from, segments }));
        }
        let now = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let moved = now.and_then(|now| first_segment(&now, form)).map_err(sql)? != from;
        Ok((!moved).then_some(Seen { form, last_seq, snapshot_seq, from, segments }))
    }

    /// A number of the store by its name; none: nobody ever wrote it.
    pub fn counter(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let text = "select value from counters where name = ?1";
        let value = self.connection.query_row(text, [name], |row| row.get(0)).optional();
        value.map_err(|source| error(&self.path, source))
    }
}

struct Seen {
    form: u32,
    last_seq: u64,
    snapshot_seq: u64,
    from: u64,
    segments: Vec<Segment>,
}

/// The process that holds a folder, as far as it says.
pub fn holder(dir: &Path) -> Result<Option<String>, StoreError> {
    let path = dir.join("lock");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Who holds it is a courtesy; that it is held is what counts.
            let _ = file.read_to_string(&mut pid);
            Ok(Some(pid.trim().to_owned()))
        }
        Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
    }
}

/// Opens the file for reading alone. Where somebody writes to it that is all; what nobody holds is read without the files that
/// SQLite would make beside it.
fn connect(path: &Path, held: bool, scratch: &mut Option<Scratch>) -> Result<Connection, StoreError> {
    let beside = |end: &str| path.with_file_name(format!("homeostat.db{end}"));
    let log = beside("-wal").metadata().map_or(0, |about| about.len());
    let uri = match (held, log, beside("-shm").exists()) {
        (true, ..) => uri(path, "mode=ro"),
        // Everything is in the one file.
        (false, 0, _) => uri(path, "immutable=1"),
        (false, _, true) => uri(path, "mode=ro&readonly_shm=1"),
        // The log cannot be read without an index of it, which would be made here.
        (false, _, false) => {
            let made = scratch.insert(Scratch::new()?);
            for from in [path.to_owned(), beside("-wal")] {
                let to = made.0.join(from.file_name().unwrap_or_default());
                std::fs::copy(&from, &to).map_err(|source| io_error(&to, source))?;
            }
            uri(&made.0.join("homeostat.db"), "mode=ro")
        }
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(uri, flags);
    let opened = opened.and_then(|opened| opened.execute_batch("pragma busy_timeout = 1000").map(|()| opened));
    opened.map_err(|source| error(path, source))
}

/// The address of a file as SQLite takes it.
fn uri(path: &Path, with: &str) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?" + with
}

/// As the snapshot says; 0 where there is none, or where that part of it is not what was written.
fn first_segment(connection: &Connection, form: u32) -> rusqlite::Result<u64> {
    let text = match form {
        ..=1 => "select body, null from snapshot where part = ?1",
        _ => "select body, sum from snapshot where part = ?1",
    };
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?));
    let found = connection.query_row(text, [SAMPLES], row).optional()?;
    let whole = found.filter(|(body, written)| written.is_none_or(|written| written == sum(body)));
    Ok(whole.and_then(|(body, _)| serde_json::from_slice(&body).ok()).unwrap_or(0))
}

/// Opens the segments from a number on. None: one went away meanwhile.
fn segments(dir: &Path, from: u64) -> Result<Option<Vec<Segment>>, StoreError> {
    let dir = dir.join("samples");
    if !dir.exists() {
        return Ok(Some(Vec::new()));
    }
    let mut all = Vec::new();
    for (number, path) in samples::segments(&dir)?.into_iter().filter(|(number, _)| *number >= from) {
        match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((bytes, file)) => all.push(Segment { number, path, file, bytes }),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path, error)),
        }
    }
    Ok(Some(all))
}

/// A folder of our own, for as long as it is needed.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, StoreError> {
        let dir = std::env::temp_dir().join(format!("homeostat-look-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|source| io_error(&dir, source))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the folder for what may go at any time.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The records of a segment, one after the other.
pub struct Records<'a> {
    segment: &'a Segment,
    from: BufReader<&'a File>,
    body: Vec<u8>,
    /// How many of its bytes are whole records.
    pub read: u64,
}

/// What stands behind the last whole record of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    Nothing,
    /// A record whose end is missing: what a kill or a loss of power leaves.
    Torn(u64),
    /// Something that is there in full length, and is not what was written.
    Damaged(u64),
}

impl<'a> Records<'a> {
    /// A segment of a later form is refused.
    pub fn of(segment: &'a Segment) -> Result<Records<'a>, StoreError> {
        let io = |error| io_error(&segment.path, error);
        (&segment.file).seek(SeekFrom::Start(0)).map_err(io)?;
        let mut from = BufReader::with_capacity(BUFFER, &segment.file);
        let mut head = [0; HEAD];
        let ours = samples::filled(&mut from, &mut head).map_err(io)? && &head[..8] == MAGIC;
        let form = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if ours && form > FORM {
            return Err(StoreError::Newer { path: segment.path.clone(), found: form });
        }
        let read = if ours && (1..=FORM).contains(&form) { HEAD as u64 } else { 0 };
        Ok(Records { segment, from, body: Vec::new(), read })
    }

    /// The next one that is whole and is what was written. None ends the segment.
    pub fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        if self.read == 0 {
            return Ok(None);
        }
        let left = self.segment.bytes.saturating_sub(self.read);
        let next = samples::next_record(&mut self.from, left, &mut self.body);
        if !next.map_err(|error| io_error(&self.segment.path, error))? {
            return Ok(None);
        }
        let entry = samples::decode(&self.body, self.segment.number);
        self.read += if entry.is_some() { (RECORD_HEAD + self.body.len()) as u64 } else { 0 };
        Ok(entry)
    }

    /// The body of the record that came last.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What stands behind what was read, once nothing more comes.
    pub fn rest(&self) -> Result<Rest, StoreError> {
        let left = self.segment.bytes.saturating_sub(self.read);
        if left == 0 {
            return Ok(Rest::Nothing);
        }
        if self.read == 0 {
            let torn = left < HEAD as u64;
            return Ok(if torn { Rest::Torn(left) } else { Rest::Damaged(left) });
        }
        let mut head = [0; 4];
        let mut length = 0;
        if left >= RECORD_HEAD as u64 {
            let read = self.segment.file.read_exact_at(&mut head, self.read);
            read.map_err(|error| io_error(&self.segment.path, error))?;
            length = u64::from(u32::from_le_bytes(head));
        }
        // Zeros are what a loss of power leaves where nothing was written yet.
        let whole = length > 0 && RECORD_HEAD as u64 + length <= left;
        Ok(if whole { Rest::Damaged(left) } else { Rest::Torn(left) })
    }
}
