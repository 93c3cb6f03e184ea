//! A file as a source of the running daemon: at once, or at a multiple of the pace its times tell.
//!
//! At once it is history: learned from, never paged. At a pace it is played back as if it happened now: the first row is
//! now, the others follow at their distance.

use crate::config::{FileSource, Speed};
use crate::source::file::{FileError, Line, RowError, Rows};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::cmp::Ordering;
use std::path::PathBuf;

pub struct FileFeed {
    path: PathBuf,
    rows: Rows,
    speed: Speed,
    /// Where the file's first time was laid.
    anchor: Option<(Timestamp, Timestamp)>,
    /// The row whose time has not come.
    waiting: Option<(SeriesName, Timestamp, f64)>,
    ended: bool,
    /// Rows that did not parse so far.
    bad: u64,
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

impl FileFeed {
    pub fn open(source: &FileSource) -> Result<FileFeed, FileError> {
        let rows = Rows::open(&source.path)?;
        let path = source.path.clone();
        Ok(FileFeed { path, rows, speed: source.speed, anchor: None, waiting: None, ended: false, bad: 0 })
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

    /// When it has something next; none at its end.
    pub fn next_due(&self) -> Option<Timestamp> {
        match (&self.waiting, self.ended) {
            (Some((_, at, _)), _) => Some(*at),
            (None, true) => None,
            (None, false) => Some(Timestamp::EPOCH),
        }
    }

    /// Up to `most` rows whose time has come.
    pub fn read(&mut self, now: Timestamp, most: usize) -> Batch {
        let mut batch = Batch::default();
        while batch.rows.len() + batch.errors.len() < most {
            let row = match self.waiting.take() {
                Some(row) => row,
                None if self.ended => break,
                None => match self.rows.next_line() {
                    Ok(Some(Line::Row(row))) => {
                        let (name, at, value) = (row.name.clone(), row.at, row.value);
                        (name, self.laid(at, now), value)
                    }
                    Ok(Some(Line::Bad(error))) => {
                        batch.errors.push(error);
                        continue;
                    }
                    Ok(None) => {
                        self.ended = true;
                        break;
                    }
                    Err(error) => {
                        self.ended = true;
                        batch.failed = Some(error);
                        break;
                    }
                },
            };
            if !self.at_once() && row.1 > now {
                self.waiting = Some(row);
                break;
            }
            batch.rows.push(row);
        }
        batch
    }

    /// When a row of the file's time `at` happens: as the file says, or, played back, at its distance from the first row.
    fn laid(&mut self, at: Timestamp, now: Timestamp) -> Timestamp {
        let Speed::Times(times) = self.speed else { return at };
        let (first, begun) = *self.anchor.get_or_insert((at, now));
        begun + Span::from_millis((at.since(first).millis() as f64 / times) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn played_back_at_ten_times_the_pace_a_minute_takes_six_seconds() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("load.csv");
        std::fs::write(&path, "timestamp,value\n0,1\n60,2\n120,3\nx,4\n").expect("written");
        let mut feed = FileFeed::open(&FileSource { path, speed: Speed::Times(10.0) }).expect("readable");
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(feed.read(now, 100).rows.len(), 1);
        assert_eq!(feed.next_due(), Some(now + Span::from_secs(6)));
        let later = now + Span::from_secs(12);
        let batch = feed.read(later, 100);
        assert_eq!(batch.rows.iter().map(|row| row.1).collect::<Vec<_>>(), [now + Span::from_secs(6), later]);
        assert_eq!((batch.errors.len(), feed.next_due()), (1, None), "the torn row is told, and the file ends");
    }
}
