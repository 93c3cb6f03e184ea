//! How the life before ended: a mark in the store says whether it was stopped in order. After any other end the tables are looked
//! through before they are used; snapshot and samples carry sums of their own, which every start compares.

use super::{Store, StoreError, error};
use homeostat::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// The number that holds the mark, and its values.
pub const OPEN: &str = "open";
const STOPPED: i64 = 0;
const RUNNING: i64 = 1;
pub const COPIED: i64 = 2;

/// The number that says when a backup was made, in milliseconds.
pub const COPIED_AT: &str = "backup_at";

/// The numbers that say how many records the sample log of a backup holds, and how many bytes. An earlier version did not write them.
pub const COPIED_RECORDS: &str = "backup_records";
pub const COPIED_BYTES: &str = "backup_bytes";

/// How the life before ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ended {
    /// There was none.
    #[default]
    Never,
    /// It stored everything, and said so.
    Stopped,
    /// Killed, or without power.
    Broken,
    /// It was of a version that does not say.
    NotTold,
    /// This is a copy, made then.
    Copied(Timestamp),
    /// Its store was damaged, and what is left of it does not say.
    NotKnown,
}

impl Ended {
    /// As the mark says; `seq` is the last event that there is.
    pub fn read(mark: Option<i64>, copied_at: Option<i64>, seq: u64) -> Ended {
        match (mark, copied_at) {
            (None, _) if seq == 0 => Ended::Never,
            (None, _) => Ended::NotTold,
            (Some(STOPPED), _) => Ended::Stopped,
            (Some(COPIED), Some(at)) => Ended::Copied(Timestamp::from_millis(at)),
            (Some(_), _) => Ended::Broken,
        }
    }

    /// As the API has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ended::Never => "first_start",
            Ended::Stopped => "stopped",
            Ended::Broken => "broken_off",
            Ended::NotTold => "not_told",
            Ended::Copied(_) => "backup",
            Ended::NotKnown => "damaged",
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Never => f.write_str("nothing was there before"),
            Ended::Stopped => f.write_str("stopped in order"),
            Ended::Broken => f.write_str("broken off, by a kill or a loss of power"),
            Ended::NotTold => f.write_str("an earlier version, which does not say how it ended"),
            Ended::Copied(at) => write!(f, "a backup of {at}"),
            Ended::NotKnown => f.write_str("how it ended is not known, since its store was damaged"),
        }
    }
}

/// What a start found and brought back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Begun {
    pub ended: Ended,
    /// After the snapshot, taken in once more.
    pub events: u64,
    pub samples: u64,
    /// What was damaged or torn off, each in a sentence.
    pub found: Vec<String>,
}

/// How it ended, by an open store. After anything but an orderly end its tables are looked through.
pub(super) fn look(path: &Path, connection: &Connection, seq: u64) -> Result<Ended, StoreError> {
    let counter = |name: &str| {
        let text = "select value from counters where name = ?1";
        let value = connection.query_row(text, [name], |row| row.get::<_, i64>(0)).optional();
        value.map_err(|source| error(path, source))
    };
    let ended = Ended::read(counter(OPEN)?, counter(COPIED_AT)?, seq);
    if !matches!(ended, Ended::Never | Ended::Stopped) {
        // All but the snapshot, which may be gigabytes and is read whole in any case.
        for table in ["events", "counters", "kept", "verdicts", "audit"] {
            let text = format!("pragma quick_check('{table}')");
            let said: String =
                connection.query_row(&text, [], |row| row.get(0)).map_err(|source| error(path, source))?;
            if said != "ok" {
                return Err(StoreError::Damaged { path: path.to_owned(), reason: said });
            }
        }
    }
    Ok(ended)
}

impl Store {
    /// How the life before ended.
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// From now on another end than an orderly one shows.
    pub fn begins(&mut self) -> Result<(), StoreError> {
        self.mark(RUNNING)
    }

    /// Everything is stored.
    pub fn ends(&mut self) -> Result<(), StoreError> {
        self.mark(STOPPED)
    }

    fn mark(&mut self, mark: i64) -> Result<(), StoreError> {
        put(&self.connection, OPEN, mark).map_err(|source| error(&self.path, source))
    }
}

pub(super) fn put(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let text = "insert into counters values (?1, ?2) on conflict (name) do update set value = excluded.value";
    connection.execute(text, rusqlite::params![name, value]).map(|_| ())
}
