//! Samples as they were taken in, written down before anybody is told that they were.
//!
//! They lie beside the store, in segments. A snapshot begins a new segment, and those before it go once it is written. When an
//! append returns its record was handed to the operating system (`write(2)`): a kill loses nothing of it, a loss of power what
//! came since the last synchronisation, which is `store.sync_interval` ago at most.
//!
//! A segment stands alone. After 12 bytes (`MAGIC`, then the form as u32) come records, all numbers little-endian:
//!
//! ```text
//! u32 bytes of the body · u32 low half of its xxh3-64 · body
//! body: u64 event before it · i64 now (ms) · u32 names · u32 samples · u8 how samples stand: 1
//!       names: u64 id · u8 kind · u16 bytes · text         ids name a series within the segment
//!       samples: ids (less one more than the id before) · times (less the one before; the first less now) · values (f64)
//! ```
//!
//! Ids are given in the order in which series come, which is mostly that in which they come again. Differences are zigzag varints: one
//! byte, mostly. Form 1 had 4 or 8 for how samples stand: ids (u64) · times (i32 from now, or i64) · values (f64).
//!
//! A record that was torn off by a crash, and what stands behind one that is damaged, is left out and told.

mod read;

pub use read::{Entry, recall};
pub(super) use read::{decode, filled, next_record, segments};

use super::{StoreError, io_error};
use homeostat::config::Kind;
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use homeostat::varint::{self, zigzag};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) const MAGIC: &[u8; 8] = b"HOMEOSMP";

/// The form of a segment; those of earlier ones are read, one of a later form is not.
pub(super) const FORM: u32 = 2;

/// How samples stand since form 2: ids and times as differences.
const DIFFERENCES: u8 = 1;

/// Bytes before the first record, and before the body of each.
pub(super) const HEAD: usize = 12;
pub(super) const RECORD_HEAD: usize = 8;

/// The most bytes the body of a record may have. Appends are split to stay far below it.
const BODY_MAX: usize = 64 << 20;

/// The most samples of one record, and about the most bytes of names in one.
const SAMPLES_MAX: usize = 1 << 20;
const NAMES_MAX: usize = 8 << 20;

/// A buffer that grew beyond this is given back.
const BUFFER_KEPT: usize = 4 << 20;

/// Kinds by their number in a record; 0 is none.
const KINDS: [Kind; 6] = [Kind::Gauge, Kind::Counter, Kind::Histogram, Kind::State, Kind::Info, Kind::Constant];

/// What is called by an id for the first time in a segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Named {
    pub id: u64,
    pub series: SeriesName,
    /// What the source said it measures.
    pub declared: Option<Kind>,
}

/// Where samples are written down.
pub struct SampleLog {
    dir: PathBuf,
    file: Arc<File>,
    number: u64,
    /// Bytes of whole records in the segment, and of those in earlier ones that are still there.
    len: u64,
    earlier: u64,
    /// Something else than whole records may stand in the segment: it is begun anew before the next.
    spoiled: bool,
    /// By shard and slot: one more than the generation of the series that was named last (0: none was), and its id.
    named: Vec<Vec<(u32, u32)>>,
    /// The id that the next series is given.
    next_id: u32,
    /// Ids of the samples of the record that is made.
    ids: Vec<u32>,
    body: Vec<u8>,
    sync: SyncSender<()>,
    synced: Arc<Synced>,
}

/// What the thread that synchronises tells.
#[derive(Debug, Default)]
struct Synced {
    /// What is to be synchronised.
    file: Mutex<Option<Arc<File>>>,
    /// What lies between two synchronisations at least, in milliseconds.
    interval: AtomicU64,
    count: AtomicU64,
    failed: Mutex<Option<std::io::Error>>,
}

impl SampleLog {
    /// Begins a segment behind those that are there, at number `from` at least. `interval` lies between two synchronisations at
    /// least.
    pub fn open(store_dir: &Path, from: u64, interval: Span) -> Result<SampleLog, StoreError> {
        let dir = store_dir.join("samples");
        std::fs::create_dir_all(&dir).map_err(|error| io_error(&dir, error))?;
        let there = segments(&dir)?;
        let number = there.last().map_or(1, |(number, _)| number + 1).max(from);
        let earlier = there.iter().map(|(_, path)| path.metadata().map_or(0, |about| about.len())).sum();
        let (sync, wanted) = sync_channel(1);
        let synced = Arc::new(Synced { interval: AtomicU64::new(interval.millis()), ..Synced::default() });
        let tell = Arc::clone(&synced);
        std::thread::Builder::new()
            .name("samples".to_owned())
            .spawn(move || synchronise(&wanted, &tell))
            .map_err(|error| io_error(&dir, error))?;
        let file = Arc::new(begin(&dir, number)?);
        let named = Vec::new();
        *synced.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&file));
        let (len, body) = (HEAD as u64, Vec::new());
        let (next_id, ids) = (0, Vec::new());
        Ok(SampleLog { dir, file, number, len, earlier, spoiled: false, named, next_id, ids, body, sync, synced })
    }

    /// Bytes that a restart would have to read.
    pub fn bytes(&self) -> u64 {
        self.earlier + self.len
    }

    /// How often it was synchronised with the disk.
    pub fn syncs(&self) -> u64 {
        self.synced.count.load(Ordering::Relaxed)
    }

    /// From now on so long lies between two synchronisations at least.
    pub fn sync_every(&self, interval: Span) {
        self.synced.interval.store(interval.millis(), Ordering::Relaxed);
    }

    /// Writes samples down, all or none. `seq` is the last event decided before them; `name` says what a series is called, and is
    /// asked once in a segment.
    pub fn append(
        &mut self,
        samples: &[Sample],
        seq: u64,
        now: Timestamp,
        name: impl Fn(&Sample) -> Option<(SeriesName, Option<Kind>)>,
    ) -> Result<(), StoreError> {
        let failed = self.synced.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = failed {
            // What was not synchronised may be missing on the disk, and would hide what stands behind it.
            self.spoiled = true;
            return Err(io_error(&self.path(), error));
        }
        if self.spoiled {
            self.begin_next()?;
        }
        let before = self.len;
        let mut rest = samples;
        while !rest.is_empty() {
            let taken = self.encode(&rest[..rest.len().min(SAMPLES_MAX)], seq, now, &name);
            rest = &rest[taken..];
            if let Err(error) = self.write() {
                // What is half there is taken back, and so are the names in it: the next record says them again.
                self.named.clear();
                self.len = before;
                let back = self.file.set_len(before).and_then(|()| (&*self.file).seek(SeekFrom::Start(before)));
                self.spoiled = back.is_err();
                return Err(io_error(&self.path(), error));
            }
        }
        if self.body.capacity() > BUFFER_KEPT {
            self.body = Vec::new();
        }
        // One that waits already comes after this.
        let _ = self.sync.try_send(());
        Ok(())
    }

    fn write(&mut self) -> std::io::Result<()> {
        let body = &mut self.body;
        let length = u32::try_from(body.len() - RECORD_HEAD).ok().filter(|length| *length as usize <= BODY_MAX);
        let length = length.ok_or(std::io::ErrorKind::FileTooLarge)?;
        let sum = sum(&body[RECORD_HEAD..]);
        body[..4].copy_from_slice(&length.to_le_bytes());
        body[4..RECORD_HEAD].copy_from_slice(&sum.to_le_bytes());
        (&*self.file).write_all(body)?;
        self.len += body.len() as u64;
        Ok(())
    }

    /// A record of as many of these samples as it has room for: how many.
    fn encode(
        &mut self,
        samples: &[Sample],
        seq: u64,
        now: Timestamp,
        name: &impl Fn(&Sample) -> Option<(SeriesName, Option<Kind>)>,
    ) -> usize {
        let SampleLog { body, ids, next_id, .. } = self;
        ids.clear();
        body.clear();
        body.resize(RECORD_HEAD, 0);
        body.extend(seq.to_le_bytes());
        body.extend(now.millis().to_le_bytes());
        let counts_at = body.len();
        body.extend([0; 9]);
        let mut names: u32 = 0;
        let mut taken = samples.len();
        for (n, sample) in samples.iter().enumerate() {
            if body.len() > NAMES_MAX {
                taken = n;
                break;
            }
            let (shard, slot, generation) = sample.series.place();
            if self.named.len() <= shard {
                self.named.resize(shard + 1, Vec::new());
            }
            let slots = &mut self.named[shard];
            if slots.len() <= slot {
                slots.resize((slot + 1).next_power_of_two(), (0, 0));
            }
            let mark = u32::from(generation) + 1;
            if slots[slot].0 == mark {
                ids.push(slots[slot].1);
                continue;
            }
            let id = *next_id;
            *next_id = next_id.wrapping_add(1);
            ids.push(id);
            let Some((series, declared)) = name(sample) else { continue };
            slots[slot] = (mark, id);
            names += 1;
            let text = series.as_str().as_bytes();
            let kind = declared.and_then(|kind| KINDS.iter().position(|each| *each == kind)).map_or(0, |at| at + 1);
            body.extend(u64::from(id).to_le_bytes());
            body.push(kind as u8);
            body.extend((text.len() as u16).to_le_bytes());
            body.extend(text);
        }
        let samples = &samples[..taken];
        body[counts_at..counts_at + 4].copy_from_slice(&names.to_le_bytes());
        body[counts_at + 4..counts_at + 8].copy_from_slice(&(samples.len() as u32).to_le_bytes());
        body[counts_at + 8] = DIFFERENCES;
        let mut before = 0_u32;
        for id in ids.iter().take(taken) {
            varint::put(zigzag(i64::from(*id) - i64::from(before)), body);
            before = id.wrapping_add(1);
        }
        let mut before = now.millis();
        for sample in samples {
            varint::put(zigzag(sample.at.millis().wrapping_sub(before)), body);
            before = sample.at.millis();
        }
        samples.iter().for_each(|sample| body.extend(sample.value.to_le_bytes()));
        taken
    }

    /// Begins a segment: a snapshot that is taken now holds what all before it say. Its number.
    pub fn cut(&mut self) -> Result<u64, StoreError> {
        // Should the snapshot fail, those before are what a restart needs.
        self.file.sync_data().map_err(|error| io_error(&self.path(), error))?;
        self.begin_next()?;
        Ok(self.number)
    }

    fn begin_next(&mut self) -> Result<(), StoreError> {
        self.file = Arc::new(begin(&self.dir, self.number + 1)?);
        *self.synced.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&self.file));
        self.number += 1;
        self.earlier += self.len;
        self.len = HEAD as u64;
        self.named.clear();
        self.next_id = 0;
        self.spoiled = false;
        Ok(())
    }

    /// Removes the segments before one: a snapshot that holds them is written.
    pub fn forget_before(&mut self, number: u64) -> Result<(), StoreError> {
        let mut left = 0;
        for (each, path) in &segments(&self.dir)? {
            let io = |error| io_error(path, error);
            match *each {
                each if each < number => std::fs::remove_file(path).map_err(io)?,
                each if each < self.number => left += path.metadata().map_err(io)?.len(),
                _ => {}
            }
        }
        self.earlier = left;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        segment(&self.dir, self.number)
    }
}

pub(super) fn sum(body: &[u8]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(body) as u32
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.log"))
}

fn begin(dir: &Path, number: u64) -> Result<File, StoreError> {
    let path = segment(dir, number);
    let head = [&MAGIC[..], &FORM.to_le_bytes()].concat();
    let file = File::options().write(true).create(true).truncate(true).open(&path);
    let begun = file.and_then(|mut file| file.write_all(&head).map(|()| file));
    begun.map_err(|error| io_error(&path, error))
}

/// Synchronises as often as is wanted and no oftener. Ends with the log.
fn synchronise(wanted: &Receiver<()>, tell: &Synced) {
    while let Ok(()) = wanted.recv() {
        let file = tell.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match file.map_or(Ok(()), |file| file.sync_data()) {
            Ok(()) => _ = tell.count.fetch_add(1, Ordering::Relaxed),
            Err(error) => *tell.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
        }
        std::thread::sleep(Duration::from_millis(tell.interval.load(Ordering::Relaxed)));
    }
}

#[cfg(test)]
mod tests {
    use super::read::Recalled;
    use super::*;
    use homeostat::config::Config;
    use homeostat::engine::Engine;
    use tempfile::TempDir;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn name(text: &str) -> SeriesName {
        SeriesName::parse(text).expect(text)
    }

    /// An engine that gives out ids, and a log in a folder of its own.
    struct Written {
        dir: TempDir,
        engine: Engine,
        log: SampleLog,
    }

    impl Written {
        fn new() -> Written {
            let dir = tempfile::tempdir().expect("a folder");
            let log = SampleLog::open(dir.path(), 1, Span::from_millis(10)).expect("a log");
            Written { dir, engine: Engine::new(Config::default(), at(1000)), log }
        }

        fn append(&mut self, rows: &[(&str, i64, f64)], seq: u64) {
            let mut samples = Vec::new();
            for (series, secs, value) in rows {
                let series = self.engine.intern(&name(series), Some(Kind::Counter), at(1000)).expect("room");
                samples.push(Sample { series, at: at(*secs), value: *value });
            }
            let knowledge = self.engine.knowledge();
            let named = |sample: &Sample| Some((knowledge.get(sample.series)?.name().clone(), Some(Kind::Counter)));
            self.log.append(&samples, seq, at(2000), named).expect("room");
        }

        fn recalled(&self, from: u64) -> (Vec<Entry>, Recalled) {
            let mut entries = Vec::new();
            let recalled = recall(self.dir.path(), from, |entry| entries.push(entry)).expect("readable");
            (entries, recalled)
        }

        /// What was written, with names in place of ids.
        fn told(&self, from: u64) -> Vec<(u64, String, i64, f64)> {
            let mut names = std::collections::HashMap::new();
            let mut told = Vec::new();
            for entry in self.recalled(from).0 {
                names.extend(entry.named.iter().map(|named| ((entry.segment, named.id), named.series.to_string())));
                for (id, at, value) in entry.samples {
                    told.push((entry.seq, names[&(entry.segment, id)].clone(), at.millis() / 1000, value));
                }
            }
            told
        }
    }

    #[test]
    fn what_was_written_is_read_with_its_names_and_times_near_and_far() {
        let mut written = Written::new();
        written.append(&[("a", 1990, 1.5), ("b{x=\"y\"}", 1991, -0.0)], 7);
        written.append(&[("a", 2000, f64::NAN), ("c", 9_000_000_000, f64::MAX)], 9);
        written.append(&[], 9);
        let (entries, recalled) = written.recalled(0);
        assert_eq!((recalled.entries, recalled.samples, recalled.lost.len()), (2, 4, 0), "nothing is no record");
        assert_eq!(entries.iter().map(|entry| entry.named.len()).collect::<Vec<_>>(), [2, 1], "told once");
        assert_eq!(entries[0].named[1].declared, Some(Kind::Counter));
        assert_eq!((entries[0].seq, entries[0].now), (7, at(2000)));
        let told = written.told(0);
        assert_eq!(told[0], (7, "a".to_owned(), 1990, 1.5));
        assert_eq!(told[1], (7, "b{x=\"y\"}".to_owned(), 1991, 0.0));
        assert!(told[2].3.is_nan());
        assert_eq!(told[3], (9, "c".to_owned(), 9_000_000_000, f64::MAX));
        assert!(entries[0].samples[1].2.is_sign_negative(), "to the last bit");
    }

    #[test]
    fn a_segment_stands_alone_and_goes_with_the_snapshot_that_holds_it() {
        let mut written = Written::new();
        written.append(&[("a", 1990, 1.0)], 1);
        let before = written.log.bytes();
        let second = written.log.cut().expect("room");
        assert!(written.log.bytes() > before, "until the snapshot is written a restart reads both");
        written.append(&[("a", 1991, 2.0)], 2);
        assert_eq!(written.told(0).len(), 2);
        assert_eq!(written.told(second), [(2, "a".to_owned(), 1991, 2.0)], "its name is told again");
        written.log.forget_before(second).expect("writable");
        assert_eq!(written.told(0).len(), 1);
        assert!(written.log.bytes() < 2 * before);
        // Another life begins a segment of its own.
        let Written { dir, engine, log } = written;
        drop(log);
        let log = SampleLog::open(dir.path(), 1, Span::from_millis(10)).expect("a log");
        let mut written = Written { dir, engine, log };
        written.append(&[("a", 1992, 3.0)], 3);
        assert_eq!(written.told(0).iter().map(|row| row.0).collect::<Vec<_>>(), [2, 3]);
    }

    /// Cut off anywhere, or with any byte turned over: what stands before is read, the rest is told, nothing panics.
    #[test]
    fn what_is_sent_again_in_the_same_order_takes_ten_bytes_a_sample() {
        let mut written = Written::new();
        let names: Vec<SeriesName> = (0..1000).map(|n| name(&format!("m{{n=\"{n}\"}}"))).collect();
        let mut rounds = Vec::new();
        for round in 0..3 {
            let ids = names.iter().map(|name| written.engine.intern(name, None, at(1000)).expect("there is room"));
            let samples: Vec<Sample> =
                ids.map(|series| Sample { series, at: at(1000 + round), value: round as f64 }).collect();
            let before = written.log.bytes();
            let knowledge = written.engine.knowledge();
            let named = |sample: &Sample| Some((knowledge.get(sample.series)?.name().clone(), None));
            written.log.append(&samples, 1, at(1000 + round), named).expect("room");
            rounds.push(written.log.bytes() - before);
        }
        assert!(rounds[1] < 10_100 && rounds[2] < 10_100, "{rounds:?}");
    }

    #[test]
    fn what_is_torn_or_damaged_is_left_out_and_told() {
        let mut written = Written::new();
        written.append(&[("a", 1990, 1.0)], 1);
        let first = written.log.bytes() as usize;
        written.append(&[("a", 1991, 2.0), ("b", 1991, 3.0)], 2);
        let path = written.log.path();
        let whole = std::fs::read(&path).expect("readable");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("writable");
            let (entries, recalled) = written.recalled(0);
            assert_eq!(entries.len(), usize::from(length >= first), "{length} bytes");
            let ends = [0, HEAD, first].contains(&length);
            assert_eq!(recalled.lost.len(), usize::from(!ends), "{length} bytes");
        }
        // A form that is another is no damage.
        for at in (0..8).chain(HEAD..whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).expect("writable");
            let (entries, recalled) = written.recalled(0);
            assert_eq!(entries.len(), usize::from(at >= first), "byte {at}");
            let (_, from, bytes) = &recalled.lost[0];
            assert_eq!(from + bytes, whole.len() as u64, "byte {at}");
        }
    }

    #[test]
    fn many_long_names_take_several_records_and_a_later_form_is_refused() {
        let mut written = Written::new();
        let long = "x".repeat(8000);
        let names: Vec<String> = (0..2500).map(|n| format!("n{{a=\"{n}{long}\"}}")).collect();
        let rows: Vec<(&str, i64, f64)> = names.iter().map(|name| (name.as_str(), 1990, 1.0)).collect();
        written.append(&rows, 1);
        let (entries, recalled) = written.recalled(0);
        assert_eq!((recalled.samples, recalled.lost.len()), (2500, 0));
        assert!(entries.len() >= 2 && entries.iter().all(|entry| entry.seq == 1), "{} records", entries.len());
        assert!(written.log.body.capacity() <= BUFFER_KEPT);
        let path = written.log.path();
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[8] = 9;
        std::fs::write(&path, bytes).expect("writable");
        let refused = recall(written.dir.path(), 0, |_| {}).expect_err("a later form");
        assert!(matches!(refused, StoreError::Newer { found: 9, .. }), "{refused}");
    }

    #[test]
    fn behind_a_synchronisation_that_failed_a_segment_is_begun_and_never_before_the_one_a_snapshot_names() {
        let mut written = Written::new();
        written.append(&[("a", 1990, 1.0)], 1);
        *written.log.synced.failed.lock().expect("nobody panicked") = Some(std::io::ErrorKind::Other.into());
        let sample = Sample {
            series: written.engine.intern(&name("a"), None, at(1000)).expect("room"),
            at: at(1991),
            value: 2.0,
        };
        assert!(written.log.append(&[sample], 2, at(2000), |_| Some((name("a"), None))).is_err());
        written.append(&[("a", 1992, 3.0)], 3);
        let segments: Vec<u64> = written.recalled(0).0.iter().map(|entry| entry.segment).collect();
        assert_eq!(segments, [1, 2]);
        let dir = tempfile::tempdir().expect("a folder");
        let log = SampleLog::open(dir.path(), 7, Span::from_millis(10)).expect("a log");
        assert_eq!(log.number, 7);
    }

    #[test]
    fn what_finds_no_room_is_not_written_and_the_next_is_whole() {
        let mut written = Written::new();
        written.append(&[("a", 1990, 1.0)], 1);
        // A handle that cannot be written to stands for a disk that is full.
        let path = written.log.path();
        let good = std::mem::replace(&mut written.log.file, Arc::new(File::open(&path).expect("readable")));
        let series = written.engine.intern(&name("b"), None, at(1000)).expect("room");
        let sample = Sample { series, at: at(1991), value: 2.0 };
        let named = |_: &Sample| Some((name("b"), None));
        assert!(written.log.append(&[sample], 2, at(2000), named).is_err());
        written.log.file = good;
        written.append(&[("b", 1992, 3.0)], 3);
        assert_eq!(written.told(0), [(1, "a".to_owned(), 1990, 1.0), (3, "b".to_owned(), 1992, 3.0)]);
    }
}
