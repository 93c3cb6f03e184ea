//! What all requests of senders share: their memory, their quotas, what came of them.

use super::batch::APART_MAX;
use super::otlp::delta::Deltas;
use super::quota::Quota;
use super::{Batch, Receive, Tally};
use homeostat::time::Timestamp;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Batches that are kept to be used again, and how many bytes of their memory.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 4 << 20;

/// Memory that requests take at once, in bytes, at least: two of the largest fit in any case.
const ROOM_MIN: u64 = 256 << 20;

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
    memory: Arc<Memory>,
    /// Threads that take requests apart at once: as many as can run. The driver wants to run beside them.
    hands: Arc<Semaphore>,
}

/// Memory that requests may take, and who has how much of it now.
#[derive(Debug)]
struct Memory {
    pieces: Semaphore,
    held: Mutex<HashMap<IpAddr, u64>>,
    /// Of this much one sender may have half: others have room whatever it does.
    bytes: u64,
}

/// Memory that a request takes, given back with it.
#[derive(Debug)]
pub struct Room {
    of: Arc<Memory>,
    sender: IpAddr,
    bytes: u64,
}

impl Desk {
    /// `series_max` differences are summed up at most.
    pub fn open(settings: &Receive, series_max: usize) -> Desk {
        // As it was sent, uncompressed, its labels written out, and what it is taken apart into.
        let largest = settings.body_max + 2 * settings.body_uncompressed_max + APART_MAX;
        let bytes = ROOM_MIN.max(2 * largest).next_multiple_of(2 * PIECE);
        let pieces = usize::try_from(bytes / PIECE).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Desk {
            settings: settings.clone(),
            tally: Arc::default(),
            seed: RandomState::new().build_hasher().finish(),
            quota: settings.samples_per_second_max.map(|most| Mutex::new(Quota::new(most))),
            kept: Mutex::default(),
            deltas: Arc::new(tokio::sync::Mutex::new(Deltas::new(series_max))),
            memory: Arc::new(Memory { pieces: Semaphore::new(pieces), held: Mutex::default(), bytes }),
            hands: Arc::new(Semaphore::new(cores)),
        }
    }

    /// No memory yet, for a request that begins.
    pub fn room(&self, sender: IpAddr) -> Room {
        Room { of: Arc::clone(&self.memory), sender, bytes: 0 }
    }

    /// Does on a thread of its own what takes long, when its turn comes. None: it ended by a mistake of its own.
    pub async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let hand = Arc::clone(&self.hands).acquire_owned().await.ok()?;
        let work = move || {
            let done = work();
            drop(hand);
            done
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    pub fn batch(&self) -> Batch {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a batch back, for another request.
    pub fn done_with(&self, mut batch: Batch) {
        drop(batch.give_back());
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
    /// How many bytes it has.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes so many bytes more. False: others have them.
    pub fn more(&mut self, bytes: u64) -> bool {
        let bytes = bytes.next_multiple_of(PIECE);
        let Ok(pieces) = u32::try_from(bytes / PIECE) else { return false };
        let mut held = self.of.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_sender = held.get(&self.sender).copied().unwrap_or_default() + bytes;
        if of_sender > self.of.bytes / 2 {
            return false;
        }
        match self.of.pieces.try_acquire_many(pieces) {
            // Given back by hand, when the request is done with.
            Ok(permit) => permit.forget(),
            Err(_) => return false,
        }
        held.insert(self.sender, of_sender);
        self.bytes += bytes;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.of.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = held.entry(self.sender) {
            *entry.get_mut() -= self.bytes;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        self.of.pieces.add_permits(usize::try_from(self.bytes / PIECE).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_take_no_more_memory_together_than_there_is_room_for() {
        let desk = Desk::open(&Receive::default(), 10);
        let largest = desk.settings.body_max + 2 * desk.settings.body_uncompressed_max + APART_MAX;
        let half = (desk.memory.bytes / 2) >> 20;
        assert!(half << 20 >= largest, "the largest request fits into what one may have");
        let sender = |n: u8| IpAddr::from([10, 0, 0, n]);
        // Each comes with small requests without end: the first has half, and as much is left for others.
        let fill = |n: u8| {
            let all = std::iter::from_fn(|| {
                let mut room = desk.room(sender(n));
                room.more(1 << 20).then_some(room)
            });
            all.collect::<Vec<Room>>()
        };
        let first = fill(1);
        assert_eq!(first.len() as u64, half);
        let mut other = desk.room(sender(2));
        assert!(other.more(largest), "the largest request of another fits");
        assert!(!desk.room(sender(1)).more(1));
        let rest = fill(3);
        assert_eq!(rest.len() as u64, ((half << 20) - largest) >> 20);
        assert!(!desk.room(sender(4)).more(1));
        drop((first, rest, other));
        assert_eq!(fill(5).len() as u64, half, "what is done with gives its room back");
        assert!(desk.memory.held.lock().expect("no other thread").is_empty());
    }
}
