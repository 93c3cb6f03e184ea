//! What came of all requests, counted since the start.

use super::{Outcome, Why};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How something was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Protocol {
    /// remote-write 1.0
    One,
    /// remote-write 2.0
    Two,
    Otlp,
}

impl Protocol {
    pub const ALL: [Protocol; 3] = [Protocol::One, Protocol::Two, Protocol::Otlp];

    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::One => "remote_write_1",
            Protocol::Two => "remote_write_2",
            Protocol::Otlp => "otlp",
        }
    }
}

/// What is counted, each from the start.
#[derive(Debug, Default)]
pub struct Tally {
    requests: Mutex<BTreeMap<(Protocol, u16), u64>>,
    samples: [AtomicU64; Protocol::ALL.len()],
    bytes: [AtomicU64; Protocol::ALL.len()],
    refused: [AtomicU64; Why::ALL.len()],
    pub histograms: AtomicU64,
    pub exemplars: AtomicU64,
    pub standby: AtomicU64,
    pub failovers: AtomicU64,
    /// Samples of buckets that came when two later moments of their histogram had begun.
    pub late_buckets: AtomicU64,
    /// Requests that were refused since their sender is over its quota.
    pub over_quota: AtomicU64,
}

impl Tally {
    /// A request was answered; a body of so many bytes, as sent, was read for it.
    pub fn answered(&self, protocol: Protocol, status: u16, bytes: u64) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry((protocol, status)).or_default() += 1;
        self.bytes[protocol as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn came_of(&self, protocol: Protocol, outcome: &Outcome) {
        self.samples[protocol as usize].fetch_add(outcome.taken, Ordering::Relaxed);
        for (total, refused) in self.refused.iter().zip(outcome.refused) {
            total.fetch_add(refused, Ordering::Relaxed);
        }
        self.standby.fetch_add(outcome.standby, Ordering::Relaxed);
        self.failovers.fetch_add(outcome.failovers, Ordering::Relaxed);
        self.late_buckets.fetch_add(outcome.late_buckets, Ordering::Relaxed);
    }

    /// Those that were taken are there from the start: a rate begins at nothing.
    pub fn requests(&self) -> BTreeMap<(Protocol, u16), u64> {
        let mut all =
            BTreeMap::from([((Protocol::One, 204), 0), ((Protocol::Two, 204), 0), ((Protocol::Otlp, 200), 0)]);
        all.extend(self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter());
        all
    }

    pub fn samples(&self, protocol: Protocol) -> u64 {
        self.samples[protocol as usize].load(Ordering::Relaxed)
    }

    pub fn bytes(&self, protocol: Protocol) -> u64 {
        self.bytes[protocol as usize].load(Ordering::Relaxed)
    }

    pub fn refused(&self, why: Why) -> u64 {
        self.refused[why as usize].load(Ordering::Relaxed)
    }
}
