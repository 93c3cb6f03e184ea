//! Where samples come from. Each source is one file; none of them judges what it reads.

mod counting;
pub mod feed;
pub mod file;
pub mod host;
pub mod promql;
pub mod scrape;

use crate::prometheus::cost::Cost;
use homeostat::time::{Span, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The bits of the value by which Prometheus says that a series ended.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A source that should have given something is silent after so many of its intervals.
const SILENT_AFTER: u64 = 3;

/// What came of a source that has a thread of its own, counted since the start.
#[derive(Debug)]
pub struct Tally {
    /// What it is called in the configuration.
    pub kind: &'static str,
    /// Its place there, from 1.
    pub number: usize,
    /// How often it is read.
    pub interval: Span,
    /// Samples that were handed over.
    pub samples: AtomicU64,
    /// Times that it could not be read.
    pub failures: AtomicU64,
    /// Times that should have had values and had none.
    pub gaps: AtomicU64,
    /// Series that it has given lately, and those of them that it does not give now.
    pub series: AtomicU64,
    pub silent_series: AtomicU64,
    /// Where it has more than one part: how many can be read now, of how many.
    pub parts_up: AtomicU64,
    pub parts: AtomicU64,
    /// Up to when everything was handed over, in milliseconds; the least before there is anything.
    reached: AtomicI64,
    /// When it was last read, and when it was begun, in milliseconds.
    read_at: AtomicI64,
    /// What its queries cost, where it asks any.
    pub cost: Option<Arc<Cost>>,
}

impl Tally {
    pub fn new(kind: &'static str, number: usize, interval: Span, cost: Option<Arc<Cost>>, now: Timestamp) -> Tally {
        Tally {
            kind,
            number,
            interval,
            samples: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            series: AtomicU64::new(0),
            silent_series: AtomicU64::new(0),
            parts_up: AtomicU64::new(0),
            parts: AtomicU64::new(0),
            reached: AtomicI64::new(i64::MIN),
            read_at: AtomicI64::new(now.millis()),
            cost,
        }
    }

    /// So many samples were handed over.
    pub fn read(&self, samples: u64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    /// It was read, and gave what it should.
    pub fn alive(&self, now: Timestamp) {
        self.read_at.fetch_max(now.millis(), Ordering::Relaxed);
    }

    /// Everything up to here was handed over.
    pub fn reached(&self, at: Timestamp) {
        self.reached.store(at.millis(), Ordering::Relaxed);
    }

    /// How far it is behind now; none before it has come anywhere.
    pub fn behind(&self, now: Timestamp) -> Option<Span> {
        let reached = self.reached.load(Ordering::Relaxed);
        (reached > i64::MIN).then(|| now.since(Timestamp::from_millis(reached)))
    }

    /// When it last gave something; since the start, when it never did.
    pub fn read_at(&self) -> Timestamp {
        Timestamp::from_millis(self.read_at.load(Ordering::Relaxed))
    }

    /// Whether it should have given something lately and did not.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        now.since(self.read_at()) > self.interval * SILENT_AFTER
    }
}
