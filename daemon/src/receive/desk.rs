//! What all requests of senders share: their memory, their quotas, what came of them.

use super::otlp::delta::Deltas;
use super::quota::Quota;
use super::{Batch, Receive, Tally};
use homeostat::time::Timestamp;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Batches that are kept to be used again, and how many bytes of their memory.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 4 << 20;

/// Memory that requests take at once, in bytes, at least: two of the largest fit in any case.
const ROOM_MIN: u64 = 256 << 20;

/// What is made of a body takes so many times as much as the body, at most.
const TAKEN_APART: u64 = 3;

/// Room is taken in such pieces, in bytes.
const PIECE: u64 = 1024;

/// Where requests of senders come in.
#[derive(Debug)]
pub struct Desk {
    pub settings: Receive,
    pub tally: Arc<Tally>,
    /// Of every hash over labels: another one in each life, and unknown to senders.
    pub seed: u64,
    quota: Option<Mutex<Quota>>,
    kept: Mutex<Vec<Batch>>,
    /// Sums of what OTLP sends as differences: held from the reading of a request until it was taken.
    pub deltas: Arc<tokio::sync::Mutex<Deltas>>,
    room: Arc<Semaphore>,
}

/// Memory that a request may take, given back with it.
#[derive(Debug)]
pub struct Room {
    of: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Desk {
    /// `series_max` differences are summed up at most.
    pub fn open(settings: &Receive, series_max: usize) -> Desk {
        let largest = settings.body_max + TAKEN_APART * settings.body_uncompressed_max;
        let pieces = ROOM_MIN.max(2 * largest).div_ceil(PIECE);
        let pieces = usize::try_from(pieces).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Desk {
            settings: settings.clone(),
            tally: Arc::default(),
            seed: RandomState::new().build_hasher().finish(),
            quota: settings.samples_per_second_max.map(|most| Mutex::new(Quota::new(most))),
            kept: Mutex::default(),
            deltas: Arc::new(tokio::sync::Mutex::new(Deltas::new(series_max))),
            room: Arc::new(Semaphore::new(pieces)),
        }
    }

    /// No memory yet, for a request that begins.
    pub fn room(&self) -> Room {
        Room { of: Arc::clone(&self.room), permit: None, bytes: 0 }
    }

    pub fn batch(&self) -> Batch {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a batch back, for another request.
    pub fn done_with(&self, mut batch: Batch) {
        batch.clear(KEPT_BYTES);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(batch);
        }
    }

    /// Whether a sender may send so many samples now; else after how many seconds it may.
    pub fn may_send(&self, sender: IpAddr, samples: usize, now: Timestamp) -> Result<(), u64> {
        match &self.quota {
            None => Ok(()),
            Some(quota) => quota.lock().unwrap_or_else(PoisonError::into_inner).take(sender, samples, now),
        }
    }
}

impl Room {
    /// Takes memory for a body of so many bytes, uncompressed, and for what is made of it. False: others have it.
    pub fn for_body(&mut self, bytes: u64) -> bool {
        self.more(TAKEN_APART * bytes)
    }

    /// Takes so many bytes more. False: others have them.
    pub fn more(&mut self, bytes: u64) -> bool {
        let before = self.bytes.div_ceil(PIECE);
        let after = (self.bytes + bytes).div_ceil(PIECE);
        let Ok(pieces) = u32::try_from(after - before) else { return false };
        let Ok(permit) = Arc::clone(&self.of).try_acquire_many_owned(pieces) else { return false };
        self.bytes += bytes;
        match &mut self.permit {
            Some(all) => all.merge(permit),
            all => *all = Some(permit),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_take_no_more_memory_together_than_there_is_room_for() {
        let desk = Desk::open(&Receive::default(), 10);
        let largest = desk.settings.body_uncompressed_max;
        let mut rooms: Vec<Room> = (0..100).map(|_| desk.room()).collect();
        let fit = rooms.iter_mut().filter_map(|room| room.for_body(largest).then_some(())).count();
        assert!((2..10).contains(&fit), "{fit}");
        assert!(!rooms[99].for_body(largest));
        rooms.truncate(1);
        assert!(desk.room().for_body(largest), "what is done with gives its room back");
    }
}
