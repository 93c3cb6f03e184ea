//! A snapshot as it is read: part by part, when each is needed, by several threads. Of a million series all parts would take as much
//! memory as a fifth of the series themselves.

use super::{Store, StoreError, error, sum};
use homeostat::knowledge::snapshot::Parts;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All memory as it was when it was written down, in parts by name; a replay goes on from there.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    reader: Mutex<Reader>,
    /// Parts that are in the store.
    stored: BTreeSet<String>,
    /// Parts that stand in for some that are not.
    put: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    /// Why the file cannot be read, where that is the reason that a part was not.
    failed: Option<StoreError>,
}

/// A part's bytes, and by what they show that they are what was written; none where an earlier version wrote them.
type Body = (Vec<u8>, Option<i64>);

fn is_whole((body, written): &Body) -> bool {
    written.is_none_or(|written| written == sum(body))
}

impl Store {
    /// None: no snapshot was written yet.
    pub fn read_snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let path = self.path.clone();
        let sql = |source: rusqlite::Error| error(&path, source);
        // Another one than what writes: that stays with its thread.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(sql)?;
        connection.execute_batch("pragma busy_timeout = 1000").map_err(sql)?;
        let mut stored = BTreeSet::new();
        {
            let mut select = connection.prepare("select part from snapshot order by part").map_err(sql)?;
            let mut rows = select.query([]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                stored.insert(row.get(0).map_err(sql)?);
            }
        }
        let reader = Mutex::new(Reader { connection, failed: None });
        Ok((!stored.is_empty()).then(|| Snapshot { path, reader, stored, put: BTreeMap::new() }))
    }
}

impl Snapshot {
    fn reader(&self) -> MutexGuard<'_, Reader> {
        // Who panicked while reading left nothing half done.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body(&self, part: &str) -> Result<Body, StoreError> {
        let reader = self.reader();
        let select = reader.connection.prepare_cached("select body, sum from snapshot where part = ?1");
        let row =
            select.and_then(|mut select| select.query_row([part], |row| Ok((row.get(0)?, row.get(1)?))).optional());
        row.map(Option::unwrap_or_default).map_err(|source| error(&self.path, source))
    }

    /// A part as it was written. None: there is none, or it is something else now.
    pub fn part(&self, part: &str) -> Option<Vec<u8>> {
        self.read(part).ok().map(Cow::into_owned)
    }

    /// Whether a part is there, and not what was written.
    pub fn is_damaged(&self, part: &str) -> Result<bool, StoreError> {
        Ok(self.stored.contains(part) && !is_whole(&self.body(part)?))
    }

    /// All parts that are not what was written.
    pub fn damaged(&self) -> Result<Vec<String>, StoreError> {
        let damaged = self.stored.iter().map(|part| Ok(self.is_damaged(part)?.then(|| part.clone())));
        damaged.filter_map(Result::transpose).collect()
    }

    /// Leaves a part out from now on. Its bytes, as they are.
    pub fn leave_out(&mut self, part: &str) -> Result<Vec<u8>, StoreError> {
        match self.put.remove(part) {
            Some(body) => Ok(body),
            None if self.stored.remove(part) => self.body(part).map(|(body, _)| body),
            None => Ok(Vec::new()),
        }
    }

    /// Has bytes stand in for a part.
    pub fn put(&mut self, part: String, body: Vec<u8>) {
        self.put.insert(part, body);
    }

    /// Why a part could not be read, where it was the file.
    pub fn failure(&self) -> Option<StoreError> {
        self.reader().failed.take()
    }
}

impl Parts for Snapshot {
    fn names(&self) -> Vec<String> {
        self.stored.iter().chain(self.put.keys()).cloned().collect()
    }

    fn read(&self, part: &str) -> Result<Cow<'_, [u8]>, String> {
        if let Some(body) = self.put.get(part) {
            return Ok(Cow::Borrowed(body));
        }
        if !self.stored.contains(part) {
            return Err("there is none".to_owned());
        }
        match self.body(part) {
            Ok(body) if is_whole(&body) => Ok(Cow::Owned(body.0)),
            Ok(_) => Err("it is not what was written".to_owned()),
            Err(error) => {
                let reason = error.to_string();
                self.reader().failed = Some(error);
                Err(reason)
            }
        }
    }
}
