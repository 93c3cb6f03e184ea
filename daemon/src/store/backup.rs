//! A copy of the data folder, made while a daemon writes to it or while none does.
//!
//! It is what a kill at the moment of the look would have left: the store of one moment, and the samples that were written down
//! up to its last event. What was acknowledged before the copy began is in it; what came during it may be or not. A daemon that is
//! started on it goes on from there.
//!
//! It is written beside its place and put there at the end, in one step: what breaks off looks like nothing whole.

use super::begun::{self, COPIED, COPIED_AT, COPIED_BYTES, COPIED_RECORDS, OPEN};
use super::look::{Look, Records, Rest};
use super::samples::{FORM, HEAD, MAGIC, RECORD_HEAD};
use super::{StoreError, error, io_error};
use homeostat::time::Timestamp;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Pages that are copied between two words about how far it is.
const PAGES: std::os::raw::c_int = 1024;

/// Says of a folder that a backup is being written to it; held for as long.
const LOCK: &str = "backup.lock";

/// Room that is left on the disk beside what is copied, in bytes: folders, and the head of each segment.
const SPARE: u64 = 1 << 20;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum NotCopied {
    #[error("{} is not empty: a backup writes over nothing; name a folder that is empty or not there", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} cannot be a folder's name; name one that is empty or not there", .0.display())]
    NoName(PathBuf),
    #[error("{} lies in the data folder itself; name a folder outside of it, on another disk at best", .0.display())]
    Inside(PathBuf),
    #[error("{} is being written by another backup; wait for it, or name another folder", .0.display())]
    Busy(PathBuf),
    #[error("{} is in the way, and no backup made it; move it away, or name another folder", .0.display())]
    InTheWay(PathBuf),
    #[error("stopped: nothing of the copy is left")]
    Stopped,
    #[error("the copy takes {needed} bytes, and the disk of {} has {free}; make room, or name a folder on another disk", dir.display())]
    NoRoom { dir: PathBuf, needed: u64, free: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was copied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Copied {
    pub to: PathBuf,
    pub at: String,
    /// Whether a daemon held the folder.
    pub running: bool,
    pub bytes: u64,
    /// The number of the last event.
    pub last_event: u64,
    pub segments: usize,
    /// Of the samples that no snapshot holds.
    pub samples: u64,
    /// Bytes of segments that are no whole records, which a start leaves out as well: where, and how many.
    pub damaged: Vec<(PathBuf, u64)>,
}

/// Copies the data folder to `to`. `progress` is told how many bytes of how many are done, and says whether to go on.
pub fn backup(
    data: &Path,
    to: &Path,
    now: Timestamp,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Copied, NotCopied> {
    let parent = fit(data, to)?;
    let look = Look::open(data)?;
    let sql = |source: rusqlite::Error| error(&look.path, source);
    let number = |text: &str| look.connection.query_row(text, [], |row| row.get::<_, i64>(0)).map_err(sql);
    let store = number("pragma page_count")?.max(0) as u64 * number("pragma page_size")?.max(0) as u64;
    let all = store + look.segments.iter().map(|segment| segment.bytes).sum::<u64>();
    let free = rustix::fs::statvfs(&parent).map_err(|source| io_error(&parent, source.into()))?;
    fits(&parent, all, free.f_bavail.saturating_mul(free.f_frsize))?;
    let partial = Partial::begin(to)?;
    let path = partial.path.join("homeostat.db");
    let copy = copy_store(&look, &path, &mut |done| progress(store.min(done), all))?;
    let mut copied = Copied {
        to: to.to_owned(),
        at: now.to_string(),
        running: look.holder.is_some(),
        bytes: 0,
        last_event: look.last_seq,
        segments: 0,
        samples: 0,
        damaged: Vec::new(),
    };
    let log = copy_samples(&look, &partial.path, &mut copied, &mut |done| progress(store + done, all))?;
    mark(copy, now, &log).map_err(|source| error(&path, source))?;
    copied.bytes = partial.finish(to, &parent)?;
    Ok(copied)
}

/// Whether so many bytes find room.
fn fits(dir: &Path, bytes: u64, free: u64) -> Result<(), NotCopied> {
    let needed = bytes + SPARE;
    match needed <= free {
        true => Ok(()),
        false => Err(NotCopied::NoRoom { dir: dir.to_owned(), needed, free }),
    }
}

/// Whether a backup may be written there. The folder it will lie in.
fn fit(data: &Path, to: &Path) -> Result<PathBuf, NotCopied> {
    let io = |source| NotCopied::Store(io_error(to, source));
    match std::fs::read_dir(to) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(NotCopied::NotEmpty(to.to_owned()));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(NotCopied::NotEmpty(to.to_owned())),
        Err(error) => return Err(io(error)),
    }
    let Some(name) = to.file_name() else { return Err(NotCopied::NoName(to.to_owned())) };
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole = |path: &Path| path.canonicalize().map_err(|source| NotCopied::Store(io_error(path, source)));
    let parent = whole(parent)?;
    match parent.join(name).starts_with(whole(data)?) {
        true => Err(NotCopied::Inside(to.to_owned())),
        false => Ok(parent),
    }
}

/// The folder that becomes the copy; removed when it does not.
struct Partial {
    path: PathBuf,
    /// None: it is the copy now.
    lock: Option<File>,
}

impl Partial {
    fn begin(to: &Path) -> Result<Partial, NotCopied> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let path = to.with_file_name(name);
        let io = |source| NotCopied::Store(io_error(&path, source));
        if path.exists() {
            // One that broke off holds nothing any more, and was never a copy.
            let lock = File::open(path.join(LOCK)).map_err(|_| NotCopied::InTheWay(path.clone()))?;
            lock.try_lock().map_err(|_| NotCopied::Busy(path.clone()))?;
            std::fs::remove_dir_all(&path).map_err(io)?;
        }
        // What series are called and who did what is nobody else's business.
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(io)?;
        let lock = File::create_new(path.join(LOCK)).map_err(io)?;
        lock.try_lock().map_err(|_| NotCopied::Busy(path.clone()))?;
        Ok(Partial { path, lock: Some(lock) })
    }

    /// Has all of it on the disk, then gives it its name. How many bytes it has.
    fn finish(mut self, to: &Path, parent: &Path) -> Result<u64, NotCopied> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source: std::io::Error| io_error(&path, source)
        };
        std::fs::remove_file(self.path.join(LOCK)).map_err(io(&self.path))?;
        let mut bytes = 0;
        for dir in [self.path.join("samples"), self.path.clone()] {
            for entry in std::fs::read_dir(&dir).map_err(io(&dir))? {
                let path = entry.map_err(io(&dir))?.path();
                let file = File::open(&path).map_err(io(&path))?;
                file.sync_all().map_err(io(&path))?;
                let about = file.metadata().map_err(io(&path))?;
                bytes += if about.is_file() { about.len() } else { 0 };
            }
            File::open(&dir).and_then(|dir| dir.sync_all()).map_err(io(&dir))?;
        }
        std::fs::rename(&self.path, to).map_err(io(to))?;
        self.lock = None;
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(io(parent))?;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What stays is called a part, and the next backup to this place removes it.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// How much stands in the sample log of the copy: a copy has no torn end, so whatever is less was lost later.
#[derive(Default)]
struct Log {
    records: u64,
    bytes: u64,
}

/// Says in the copied store that it is a copy, and what belongs to it.
fn mark(copy: Connection, now: Timestamp, log: &Log) -> rusqlite::Result<()> {
    let (records, bytes) = (log.records as i64, log.bytes as i64);
    let numbers = [(COPIED_AT, now.millis()), (COPIED_RECORDS, records), (COPIED_BYTES, bytes), (OPEN, COPIED)];
    numbers.into_iter().try_for_each(|(name, value)| begun::put(&copy, name, value))?;
    copy.close().map_err(|(_, source)| source)
}

fn copy_store(look: &Look, to: &Path, progress: &mut dyn FnMut(u64) -> bool) -> Result<Connection, NotCopied> {
    let sql = |source: rusqlite::Error| error(to, source);
    let mut copy = Connection::open(to).map_err(sql)?;
    // Nothing of it counts before its end: what breaks off is thrown away.
    copy.execute_batch("pragma synchronous = off; pragma journal_mode = off").map_err(sql)?;
    let page: u64 = look.connection.query_row("pragma page_size", [], |row| row.get::<_, i64>(0)).map_err(sql)? as u64;
    {
        let copying = Backup::new(&look.connection, &mut copy).map_err(sql)?;
        loop {
            let step = copying.step(PAGES).map_err(|source| error(&look.path, source))?;
            let at = copying.progress();
            if !progress((at.pagecount - at.remaining).max(0) as u64 * page) {
                return Err(NotCopied::Stopped);
            }
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // The source stands still in its transaction, and nobody knows of the copy.
                _ => {
                    let source = std::io::Error::other("it is locked by another program; try again");
                    return Err(StoreError::Io { path: look.path.clone(), source }.into());
                }
            }
        }
    }
    Ok(copy)
}

/// Copies the records that belong to the store: what came after its last event rests on events that it does not have.
fn copy_samples(
    look: &Look,
    to: &Path,
    copied: &mut Copied,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Log, NotCopied> {
    let dir = to.join("samples");
    std::fs::create_dir(&dir).map_err(|source| io_error(&dir, source))?;
    let (mut done, mut log) = (0, Log::default());
    for segment in &look.segments {
        let path = dir.join(segment.path.file_name().unwrap_or_default());
        let io = |source| io_error(&path, source);
        let mut into = BufWriter::with_capacity(1 << 20, File::create_new(&path).map_err(io)?);
        into.write_all(&[&MAGIC[..], &FORM.to_le_bytes()].concat()).map_err(io)?;
        copied.segments += 1;
        log.bytes += HEAD as u64;
        let mut records = Records::of(segment)?;
        let mut later = false;
        while let Some(entry) = records.next()? {
            later = copied.running && entry.seq > look.last_seq;
            if later {
                break;
            }
            let body = records.body();
            into.write_all(&(body.len() as u32).to_le_bytes()).map_err(io)?;
            into.write_all(&super::samples::sum(body).to_le_bytes()).map_err(io)?;
            into.write_all(body).map_err(io)?;
            log.records += 1;
            log.bytes += (RECORD_HEAD + body.len()) as u64;
            copied.samples += entry.samples.len() as u64;
            if !progress(done + records.read) {
                return Err(NotCopied::Stopped);
            }
        }
        into.into_inner().map_err(|error| io(error.into_error()))?;
        if later {
            break;
        }
        if let Rest::Damaged(bytes) = records.rest()? {
            copied.damaged.push((segment.path.clone(), bytes));
        }
        done += segment.bytes;
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Ended, Store, check};
    use homeostat::event::Event;
    use homeostat::series::SeriesName;

    const AT: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn store(dir: &Path, events: usize) -> Store {
        let mut store = Store::open(dir).expect("a new store");
        let series = SeriesName::parse("a").expect("a name");
        let event = Event::SeriesAdded { series, declared: None, derived_from: None };
        store.append(&vec![(AT, event); events]).expect("room");
        store
    }

    fn copy(data: &Path, to: &Path) -> Result<Copied, NotCopied> {
        backup(data, to, AT, &mut |done, all| {
            assert!(done <= all, "{done} of {all}");
            true
        })
    }

    #[test]
    fn a_copy_that_is_stopped_or_finds_no_room_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        let _held = store(&data, 3);
        let to = dir.path().join("copy");
        let stopped = backup(&data, &to, AT, &mut |_, _| false);
        assert!(matches!(stopped, Err(NotCopied::Stopped)), "{stopped:?}");
        let left = std::fs::read_dir(dir.path()).expect("a folder").map(|entry| entry.expect("one").file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["data"]);
        let said = fits(&data, 5 << 20, 5 << 20).expect_err("nothing is left for the folders").to_string();
        assert!(said.contains("6291456 bytes") && said.contains("has 5242880") && said.contains("make room"), "{said}");
        assert!(fits(&data, 5 << 20, 6 << 20).is_ok());
    }

    #[test]
    fn a_copy_is_a_data_folder_and_says_that_it_is_a_copy() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data with blanks?#%");
        let mut held = store(&data, 3);
        let to = dir.path().join("copy");
        std::fs::create_dir(&to).expect("an empty folder may be there");
        let copied = copy(&data, &to).expect("a copy");
        assert_eq!((copied.last_event, copied.running), (3, true));
        held.append(&[]).expect("the store goes on");
        let mut names: Vec<_> =
            std::fs::read_dir(&to).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        names.sort();
        assert_eq!(names, ["homeostat.db", "samples"], "one file without a log beside it");
        let report = check(&to, true, AT, &mut |_| {}).expect("readable");
        assert_eq!((report.problems.len(), report.ended.as_str()), (0, format!("a backup of {AT}").as_str()));
        let restored = Store::open(&to).expect("it opens");
        assert_eq!((restored.last_seq(), restored.ended()), (3, Ended::Copied(AT)));
        drop((held, restored));
        // Of a stopped one, too, in a folder that may not be written to.
        assert!(!copy(&data, &dir.path().join("other")).expect("a copy").running);
    }

    #[test]
    fn nothing_is_written_over_and_what_broke_off_looks_like_nothing_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        let _held = store(&data, 3);
        let to = dir.path().join("copy");
        std::fs::create_dir(&to).expect("a folder");
        std::fs::write(to.join("mine"), "x").expect("a file");
        assert!(matches!(copy(&data, &to), Err(NotCopied::NotEmpty(_))));
        assert!(matches!(copy(&data, &to.join("mine")), Err(NotCopied::NotEmpty(_))));
        assert!(matches!(copy(&data, &data.join("copy")), Err(NotCopied::Inside(_))));
        assert!(matches!(copy(&data, Path::new("/")), Err(NotCopied::NotEmpty(_) | NotCopied::NoName(_))));
        assert!(matches!(copy(&data, &dir.path().join("no/where")), Err(NotCopied::Store(StoreError::Io { .. }))));
        assert!(matches!(copy(&dir.path().join("none"), &dir.path().join("c")), Err(NotCopied::Store(_))));
        // Another one is at it; then it broke off; then somebody else's folder has the name.
        let to = dir.path().join("second");
        let partial = Partial::begin(&to).expect("begun");
        assert!(matches!(copy(&data, &to), Err(NotCopied::Busy(_))));
        std::fs::write(partial.path.join("homeostat.db"), "half").expect("written");
        let path = partial.path.clone();
        // As a kill leaves it: not held, and not removed.
        let kept = dir.path().join("kept");
        std::fs::rename(&path, &kept).expect("ours");
        drop(partial);
        std::fs::rename(&kept, &path).expect("ours");
        assert!(path.exists() && !to.exists());
        copy(&data, &to).expect("the rest of the broken one is in nobody's way");
        assert!(!path.exists());
        let other = dir.path().join("third");
        std::fs::create_dir(dir.path().join("third.partial")).expect("a folder");
        assert!(matches!(copy(&data, &other), Err(NotCopied::InTheWay(_))));
    }
}
