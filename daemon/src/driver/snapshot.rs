//! Memory written down a little at a time, between samples: all parts are of the moment it began, and count when the last is stored.

use super::Driver;
use crate::source::feed::{FileFeed, Place};
use crate::store::{Store, StoreError};
use homeostat::time::{Span, Timestamp};
use std::time::{Duration, Instant};

/// The part of a snapshot that says how far files were read.
pub const FILES: &str = "files";

/// The part of a snapshot that says how far queries were asked.
pub const QUERIES: &str = "queries";

/// The part of a snapshot that says which segment of samples is the first it does not hold.
pub const SAMPLES: &str = "samples";

/// The first snapshot of a life comes so soon, and as soon as a threshold is learned; each next one after twice as long, up to
/// `store.snapshot_interval`. So a kill costs half of what a life has seen at most, and memory is written while it is small.
const FIRST: Span = Span::from_secs(10);

/// Writing takes its part of the processor and the disk: an early snapshot leaves so many times as long as it took until the next.
const REST: u64 = 50;

/// Memory is written down as soon as so many bytes of samples wait to be read by a restart.
const SAMPLES_MAX: u64 = 1 << 30;

/// Where the remains of an old snapshot could not be removed it is tried again so much later.
const CLEAR_AGAIN: Span = Span::minutes(1);

/// About so many bytes of memory are written in one go; whoever sends meanwhile waits for as long, some hundredths of a second.
const BYTES_AT_ONCE: u64 = 4 << 20;

/// When snapshots come, and what is known of the one that is being written.
pub(super) struct Snapshots {
    next: Timestamp,
    /// How long after the next one the one after it comes, unless the configuration wants it sooner.
    after: Span,
    writing: Option<Writing>,
    /// While one is written another is asked for.
    at_once: bool,
    /// Not before then the remains of an old one are removed.
    clear_after: Timestamp,
}

struct Writing {
    /// The last event it knows, and the first segment of samples that it does not hold.
    seq: u64,
    segment: u64,
    bytes: usize,
    /// How long those who send waited for it so far, and at most at once.
    took: Duration,
    longest: Duration,
}

impl Snapshots {
    pub fn new(now: Timestamp) -> Snapshots {
        Snapshots { next: now, after: FIRST, writing: None, at_once: false, clear_after: now }
    }

    pub fn come_at_once(&mut self, now: Timestamp) {
        self.next = self.next.min(now);
        self.at_once |= self.writing.is_some();
    }

    /// When there is something to do.
    pub fn next_step(&self, now: Timestamp, store: &Store) -> Timestamp {
        match self.writing {
            Some(_) => now,
            None if store.has_leftover() => self.clear_after.max(now),
            None => self.next,
        }
    }
}

impl Driver {
    /// Says when the next snapshot comes.
    pub(super) fn plan_snapshot(&mut self, now: Timestamp) {
        let took = self.snapshots.writing.take().map_or(Duration::ZERO, |writing| writing.took);
        // What asked for another one while this was written is not in it.
        let at_once = std::mem::take(&mut self.snapshots.at_once);
        let most = self.settings.daemon.store.snapshot_interval;
        let cost = Span::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.snapshots.next = if at_once { now } else { now + self.snapshots.after.max(cost * REST).min(most) };
        self.snapshots.after = (self.snapshots.after * 2).min(most.max(FIRST));
    }

    /// Begins a snapshot that is due, or writes some more of the one that began; then what it takes the place of is removed.
    pub(super) fn snapshot_step(&mut self, now: Timestamp) {
        if self.retry_at.is_some() {
            // Nobody knows for how long: what changes meanwhile would be copied, and never be handed out.
            if self.snapshots.writing.is_some() {
                self.end_snapshot(now);
            }
            return;
        }
        let full = self.samples.bytes() > SAMPLES_MAX;
        let stepped = match self.snapshots.writing {
            Some(_) => self.write_some(now),
            None if self.store.has_leftover() && now < self.snapshots.clear_after => return,
            None if self.store.has_leftover() => {
                let cleared = self.store.clear_some();
                // Whatever keeps it from being removed is not over at once.
                self.snapshots.clear_after = if cleared.is_err() { now + CLEAR_AGAIN } else { now };
                cleared.map(|_| ())
            }
            // Events that memory knows and the journal does not would be missing from the journal for ever.
            None if (now >= self.snapshots.next || full) && self.backlog.is_empty() => self.begin_snapshot(),
            None => return,
        };
        if let Err(error) = stepped {
            self.failed(&error);
            self.engine.end_snapshot();
            self.plan_snapshot(now);
        }
    }

    /// Whether one is being written.
    pub(super) fn takes_snapshot(&self) -> bool {
        self.snapshots.writing.is_some()
    }

    /// All of a snapshot at once. Whether it was written.
    pub(super) fn snapshot_whole(&mut self, now: Timestamp) -> bool {
        self.end_snapshot(now);
        if !self.backlog.is_empty() {
            return false;
        }
        let written = || -> Result<(), StoreError> {
            while self.store.clear_some()? {}
            self.begin_snapshot()?;
            while self.snapshots.writing.is_some() {
                self.write_some(now)?;
            }
            Ok(())
        }();
        if let Err(error) = &written {
            self.failed(error);
        }
        written.is_ok()
    }

    /// One that is being written comes to nothing, and another takes its place in time.
    pub(super) fn end_snapshot(&mut self, now: Timestamp) {
        self.engine.end_snapshot();
        if self.snapshots.writing.is_some() {
            self.plan_snapshot(now);
        }
    }

    fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        // With the samples that the rows gave: neither is there without the other.
        let places: Vec<Place> = self.files.iter_mut().filter_map(FileFeed::place).collect();
        let places = serde_json::to_vec(&places).expect("a place is text and numbers");
        let reached = serde_json::to_vec(&self.reached).expect("names and times are text");
        let segment = self.samples.cut()?;
        let mut parts = self.engine.begin_snapshot();
        let own = [(FILES, places), (QUERIES, reached), (SAMPLES, segment.to_string().into_bytes())];
        parts.extend(own.map(|(part, body)| (part.to_owned(), body)));
        let bytes = parts.iter().map(|(_, body)| body.len()).sum();
        let seq = self.store.last_seq();
        let writing = Writing { seq, segment, bytes, took: Duration::ZERO, longest: Duration::ZERO };
        let writing = self.snapshots.writing.insert(writing);
        let put = self.store.put_parts(&parts);
        writing.waited(begun);
        put
    }

    fn write_some(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let begun = Instant::now();
        let parts = self.engine.snapshot_more(BYTES_AT_ONCE);
        let Some(writing) = &mut self.snapshots.writing else { return Ok(()) };
        if !parts.is_empty() {
            writing.bytes += parts.iter().map(|(_, body)| body.len()).sum::<usize>();
            self.store.put_parts(&parts)?;
            writing.waited(begun);
            return Ok(());
        }
        self.engine.end_snapshot();
        self.store.end_snapshot(writing.seq)?;
        self.samples.forget_before(writing.segment)?;
        let kept = &self.settings.daemon.store;
        self.store.prune(now - kept.retention, kept.retention_max)?;
        writing.waited(begun);
        let Writing { bytes, took, longest, .. } = *writing;
        tracing::debug!(bytes, ?took, ?longest, "memory was written down");
        self.stats.snapshots += 1;
        self.plan_snapshot(now);
        Ok(())
    }
}

impl Writing {
    fn waited(&mut self, since: Instant) {
        let waited = since.elapsed();
        self.took += waited;
        self.longest = self.longest.max(waited);
    }
}
