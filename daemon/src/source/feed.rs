//! A file as a source of the running daemon: at once, or at a multiple of the pace its times tell.
//!
//! At once it is history: learned from, never paged. At a pace it is played back as if it happened now: the first row is
//! now, the others follow at their distance.
//!
//! A file is read once. How far it was read is part of every snapshot, beside the samples it gave, so that a restart goes on
//! behind the last row that memory knows: after a kill some rows come again, and none is left out. A file that is not there
//! yet is waited for. Nobody knows when whoever writes it is done, so that it is followed from then on: at its end more is
//! looked for.

use crate::config::{FileSource, Speed};
use crate::source::file::{FileError, Line, Position, RowError, Rows};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How often a file that is not there, or more of one that is followed, is looked for.
const LOOK: Span = Span::from_secs(1);

/// Bytes at the start of what was read, and at its end, by which a file is known again.
const HEAD: u64 = 4096;
const TAIL: u64 = 256;

/// How far a file was read, and by what it is known again: a path may hold another file tomorrow.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Place {
    path: PathBuf,
    speed: Speed,
    position: Position,
    /// Of the first and the last bytes that were read.
    print: u64,
}

pub struct FileFeed {
    path: PathBuf,
    speed: Speed,
    input: Input,
    /// Whether it had to be waited for. It ends with the daemon.
    follow: bool,
    /// The last place that is known; none while no row was read, or of what cannot be read twice.
    place: Option<Place>,
    /// Where the file's first time was laid.
    anchor: Option<(Timestamp, Timestamp)>,
    /// The row whose time has not come.
    waiting: Option<(SeriesName, Timestamp, f64)>,
    /// The file as it was before it was read last; none before it came.
    mark: Option<Mark>,
    /// Whether it was told that its last line has no end.
    torn_told: bool,
    /// Rows that did not parse so far.
    bad: u64,
}

enum Input {
    /// Not there yet, or nothing more in it.
    Awaited(Awaited),
    /// `file` is a second hand on what `rows` reads; none where nothing can be read again.
    Open {
        rows: Box<Rows>,
        file: Option<File>,
        /// Behind the last row that was handed out.
        position: Position,
    },
    Ended,
}

/// What is known of a file that is waited for.
#[derive(Default)]
struct Awaited {
    next_look: Timestamp,
    /// What was said of it last.
    told: Option<String>,
}

/// By what is seen, without reading it, that there is something new in a file: which one it is, and its length.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    len: u64,
}

/// Rows that do not parse and are told one by one; a file of another kind has millions. All of them are counted.
const BAD_ROWS_TOLD: u64 = 20;

/// What was taken in one go.
#[derive(Debug, Default)]
pub struct Batch {
    pub rows: Vec<(SeriesName, Timestamp, f64)>,
    pub errors: Vec<RowError>,
    /// The file ended, or cannot be read any further.
    pub failed: Option<FileError>,
}

/// Whether a file can be read as a source, by a look at it: `false` when it is not there yet, and may come.
pub fn is_there(path: &Path) -> Result<bool, FileError> {
    if path == Path::new("-") {
        return Ok(true);
    }
    let failed = |source| FileError::Open { path: path.to_owned(), source };
    match path.metadata() {
        Ok(about) if about.is_dir() => Err(FileError::Folder { path: path.to_owned() }),
        // Whoever fills a pipe may come later; opening it would wait for them.
        Ok(about) if !about.is_file() => Ok(true),
        Ok(_) => Rows::open(path).map(|_| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match folder.is_dir() {
                true => Ok(false),
                false => Err(FileError::NoFolder { path: path.to_owned(), folder: folder.to_owned() }),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

impl FileFeed {
    /// Opens a file, at its start or where an earlier life came to. The error is the configuration's: a path that can never be
    /// read.
    pub fn open(source: &FileSource, places: &[Place]) -> Result<FileFeed, FileError> {
        let known = places.iter().find(|place| place.path == source.path && place.speed == source.speed).cloned();
        let mut feed = FileFeed {
            path: source.path.clone(),
            speed: source.speed,
            input: Input::Awaited(Awaited::default()),
            follow: false,
            place: known,
            anchor: None,
            waiting: None,
            mark: None,
            torn_told: false,
            bad: 0,
        };
        if is_there(&source.path)? {
            feed.input = feed.begin()?;
        } else {
            feed.follow = true;
            let file = source.path.display();
            tracing::warn!(%file, "is not there yet; it is waited for, and read when it comes");
        }
        Ok(feed)
    }

    /// Opens the file, and goes on where reading stood when it is the same.
    fn begin(&mut self) -> Result<Input, FileError> {
        if self.path == Path::new("-") {
            return Ok(Input::Open {
                rows: Box::new(Rows::open(&self.path)?),
                file: None,
                position: Position::default(),
            });
        }
        let failed = |source| FileError::Open { path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(failed)?;
        let second = file.try_clone().map_err(failed)?;
        let second = file.metadata().is_ok_and(|about| about.is_file()).then_some(second);
        let shown = self.path.display();
        let position = match (&self.place, &second) {
            (Some(place), Some(second)) if print(second, place.position.offset).ok() == Some(place.print) => {
                // Of a file that is followed that is no news.
                if self.mark.is_none() {
                    tracing::info!(file = %shown, "was read up to line {}; going on behind it", place.position.line);
                }
                place.position
            }
            (Some(_), _) => {
                tracing::info!(file = %shown, "is another file than the one that was read; reading it from its start");
                self.place = None;
                Position::default()
            }
            (None, _) => Position::default(),
        };
        let rows = match position.offset {
            0 => Rows::of(&self.path, file)?,
            _ => Rows::of_rest(&self.path, file, position)?,
        };
        let rows = if self.follow { rows.whole_only() } else { rows };
        Ok(Input::Open { rows: Box::new(rows), file: second, position })
    }

    /// Looks whether the file has come, or has more in it than was read.
    fn look(&mut self, now: Timestamp) {
        let Input::Awaited(awaited) = &mut self.input else { return };
        if now < awaited.next_look {
            return;
        }
        awaited.next_look = now + LOOK;
        let Ok(about) = self.path.metadata() else { return };
        if !about.is_file() || about.len() == 0 {
            return;
        }
        let mark = Mark { inode: about.ino(), len: about.len() };
        if self.mark == Some(mark) {
            // It has not grown for a while: who reads the log shall know what is missing.
            let read = self.place.as_ref().map_or(0, |place| place.position.offset);
            if mark.len > read && !self.torn_told {
                self.torn_told = true;
                let file = self.path.display();
                tracing::info!(%file, "ends in the middle of a line; that is read when it has an end, or at the next start");
            }
            return;
        }
        match self.begin() {
            Ok(input) => {
                if self.mark.is_none() {
                    tracing::info!(file = %self.path.display(), "is there now; it is followed from now on");
                }
                // From before it is read: what is written meanwhile makes another.
                self.mark = Some(mark);
                self.input = input;
            }
            Err(error) => {
                let said = error.to_string();
                let Input::Awaited(awaited) = &mut self.input else { return };
                if awaited.told.as_ref() != Some(&said) {
                    tracing::error!("{said}");
                    awaited.told = Some(said);
                }
            }
        }
    }

    /// How far it was read, for those who write down what it gave.
    pub fn place(&mut self) -> Option<Place> {
        if let Input::Open { file: Some(file), position, .. } = &self.input
            && position.offset > 0
            && self.place.as_ref().map(|place| place.position) != Some(*position)
        {
            let (path, speed, position) = (self.path.clone(), self.speed, *position);
            self.place = print(file, position.offset).ok().map(|print| Place { path, speed, position, print });
        }
        self.place.clone()
    }

    fn end(&mut self) {
        self.place();
        self.input = Input::Ended;
    }

    /// Tells a row that did not parse, as long as there were few.
    pub fn tell(&mut self, error: &RowError) {
        self.bad += 1;
        let file = self.path.display();
        match self.bad.cmp(&BAD_ROWS_TOLD) {
            Ordering::Less => tracing::warn!(%file, line = error.line, "{}", error.reason),
            Ordering::Equal => {
                tracing::warn!(%file, line = error.line, "{}; more like these are counted", error.reason)
            }
            Ordering::Greater => {}
        }
    }

    /// Whether its rows are history.
    pub fn at_once(&self) -> bool {
        self.speed == Speed::Max
    }

    /// When it has something next, or is looked for; none at its end.
    pub fn next_due(&self) -> Option<Timestamp> {
        match (&self.waiting, &self.input) {
            (Some((_, at, _)), _) => Some(*at),
            (None, Input::Awaited(awaited)) => Some(awaited.next_look),
            (None, Input::Open { .. }) => Some(Timestamp::EPOCH),
            (None, Input::Ended) => None,
        }
    }

    /// Up to `most` rows whose time has come.
    pub fn read(&mut self, now: Timestamp, most: usize) -> Batch {
        self.look(now);
        let mut batch = Batch::default();
        while batch.rows.len() + batch.errors.len() < most {
            let (at_once, waiting) = (self.at_once(), self.waiting.take());
            let Input::Open { rows, position, .. } = &mut self.input else { break };
            let row = match waiting {
                Some(row) => row,
                None => match rows.next_line() {
                    Ok(Some(Line::Row(row))) => {
                        let at = laid(self.speed, &mut self.anchor, row.at, now);
                        (row.name.clone(), at, row.value)
                    }
                    Ok(Some(Line::Bad(error))) => {
                        batch.errors.push(error);
                        *position = rows.position();
                        continue;
                    }
                    Ok(None) => {
                        *position = rows.position();
                        self.end();
                        if self.follow {
                            self.input = Input::Awaited(Awaited { next_look: now + LOOK, told: None });
                        }
                        break;
                    }
                    Err(error) => {
                        self.end();
                        batch.failed = Some(error);
                        break;
                    }
                },
            };
            if !at_once && row.1 > now {
                self.waiting = Some(row);
                break;
            }
            batch.rows.push(row);
            *position = rows.position();
        }
        batch
    }
}

/// When a row of the file's time `at` happens: as the file says, or, played back, at its distance from the first row.
fn laid(speed: Speed, anchor: &mut Option<(Timestamp, Timestamp)>, at: Timestamp, now: Timestamp) -> Timestamp {
    let Speed::Times(times) = speed else { return at };
    let (first, begun) = *anchor.get_or_insert((at, now));
    begun + Span::from_millis((at.since(first).millis() as f64 / times) as u64)
}

/// By what the first `offset` bytes of a file are known again; an error when there are not so many any more.
fn print(file: &File, offset: u64) -> io::Result<u64> {
    let (head, tail) = (offset.min(HEAD) as usize, offset.min(TAIL) as usize);
    let mut bytes = vec![0; head + tail];
    file.read_exact_at(&mut bytes[..head], 0)?;
    file.read_exact_at(&mut bytes[head..], offset - tail as u64)?;
    Ok(xxhash_rust::xxh3::xxh3_64(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn played_back_at_ten_times_the_pace_a_minute_takes_six_seconds() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("load.csv");
        std::fs::write(&path, "timestamp,value\n0,1\n60,2\n120,3\nx,4\n").expect("written");
        let mut feed = FileFeed::open(&FileSource { path, speed: Speed::Times(10.0) }, &[]).expect("readable");
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(feed.read(now, 100).rows.len(), 1);
        assert_eq!(feed.next_due(), Some(now + Span::from_secs(6)));
        let later = now + Span::from_secs(12);
        let batch = feed.read(later, 100);
        assert_eq!(batch.rows.iter().map(|row| row.1).collect::<Vec<_>>(), [now + Span::from_secs(6), later]);
        assert_eq!((batch.errors.len(), feed.next_due()), (1, None), "the torn row is told, and the file ends");
    }

    fn rows(feed: &mut FileFeed, now: Timestamp) -> Vec<f64> {
        feed.read(now, 100).rows.iter().map(|row| row.2).collect()
    }

    #[test]
    fn a_later_life_goes_on_behind_the_last_whole_row_that_was_handed_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("load.csv");
        let source = FileSource { path: path.clone(), speed: Speed::Max };
        let now = Timestamp::from_secs(1_000_000);
        std::fs::write(&path, "timestamp,value\n1,1\n2,2\n3,3\n4,4").expect("written");
        let mut feed = FileFeed::open(&source, &[]).expect("readable");
        assert_eq!(feed.place(), None);
        assert_eq!(feed.read(now, 2).rows.len(), 2);
        let early: Vec<Place> = feed.place().into_iter().collect();
        assert_eq!(rows(&mut feed, now), [3.0, 4.0]);
        let late: Vec<Place> = feed.place().into_iter().collect();
        assert_eq!(feed.next_due(), None);

        let again = |places: &[Place]| rows(&mut FileFeed::open(&source, places).expect("readable"), now);
        assert_eq!(again(&early), [3.0, 4.0]);
        assert_eq!(again(&late), [4.0], "a line without an end may have been half of one");
        std::fs::write(&path, "timestamp,value\n1,1\n2,2\n3,3\n4,45\n5,5\n").expect("written");
        assert_eq!(again(&late), [45.0, 5.0]);
        // Another file under the same name, shorter or longer, is read from its start.
        std::fs::write(&path, "timestamp,value\n6,6\n").expect("written");
        assert_eq!(again(&late), [6.0]);
        std::fs::write(&path, "timestamp,value\n1,9\n2,2\n3,3\n4,4\n").expect("written");
        assert_eq!(again(&late), [9.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_row_whose_time_has_not_come_is_not_behind_the_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("load.csv");
        let source = FileSource { path: path.clone(), speed: Speed::Times(1.0) };
        let now = Timestamp::from_secs(1_000_000);
        std::fs::write(&path, "timestamp,value\n0,1\n60,2\n").expect("written");
        let mut feed = FileFeed::open(&source, &[]).expect("readable");
        assert_eq!(rows(&mut feed, now), [1.0]);
        let place = feed.place().expect("a row was read");
        let mut feed = FileFeed::open(&source, &[place]).expect("readable");
        assert_eq!(rows(&mut feed, now), [2.0], "the first row of a life is now");
    }

    #[test]
    fn a_file_that_comes_is_followed_whole_line_by_whole_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("load.csv");
        let source = FileSource { path: path.clone(), speed: Speed::Max };
        let mut feed = FileFeed::open(&source, &[]).expect("its folder is there");
        let mut now = Timestamp::from_secs(1_000_000);
        let mut look = |text: &str| {
            std::fs::write(&path, text).expect("written");
            now = feed.next_due().expect("it is looked for").max(now) + LOOK;
            rows(&mut feed, now)
        };
        assert!(look("").is_empty());
        assert!(look("timestamp,val").is_empty());
        assert_eq!(look("timestamp,value\n1,1\n2,2"), [1.0]);
        assert!(look("timestamp,value\n1,1\n2,2").is_empty());
        assert_eq!(look("timestamp,value\n1,1\n2,25\n3,3\n"), [25.0, 3.0]);
        assert!(look("timestamp,value\n1,1\n2,25\n3,3\n").is_empty());
        assert_eq!(look("timestamp,value\n1,1\n2,25\n3,3\n\n4,4\n5,"), [4.0]);
        // Another file under the same name.
        assert!(look("").is_empty());
        assert_eq!(look("timestamp,value\n7,7\n8"), [7.0]);
        // At the next start it is one that is there, and read to its end.
        let places: Vec<Place> = feed.place().into_iter().collect();
        std::fs::write(&path, "timestamp,value\n7,7\n8,8").expect("written");
        let mut feed = FileFeed::open(&source, &places).expect("readable");
        assert_eq!(rows(&mut feed, Timestamp::from_secs(2_000_000)), [8.0]);
        assert_eq!(feed.next_due(), None);
    }

    #[test]
    fn a_file_that_comes_while_it_is_written_without_a_pause_is_read_all_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("load.csv");
        let source = FileSource { path: path.clone(), speed: Speed::Max };
        let mut feed = FileFeed::open(&source, &[]).expect("its folder is there");
        let (mut text, mut found) = ("timestamp,value\n".to_owned(), Vec::new());
        let mut now = Timestamp::from_secs(1_000_000);
        for n in 0..20 {
            text.push_str(&format!("{n},{n}\n"));
            std::fs::write(&path, &text).expect("written");
            now = now + LOOK;
            found.extend(rows(&mut feed, now));
        }
        assert_eq!(found, (0..20).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_path_that_can_never_be_read_is_refused_with_a_remedy() {
        let dir = tempfile::tempdir().expect("a folder");
        let refused = |path: PathBuf| is_there(&path).expect_err("not readable").to_string();
        let said = refused(dir.path().join("nowhere/load.csv"));
        assert!(said.contains("nowhere/load.csv") && said.contains("make it"), "{said}");
        let said = refused(dir.path().to_owned());
        assert!(said.contains("is a folder"), "{said}");
        std::fs::write(dir.path().join("load.csv.gz"), b"\x1f\x8b\x08\0").expect("written");
        let said = refused(dir.path().join("load.csv.gz"));
        assert!(said.contains("gzip -dc"), "{said}");
        assert!(!is_there(&dir.path().join("load.csv")).expect("it may come"));
    }
}
