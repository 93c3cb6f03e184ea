//! Many samples at once: judged and remembered shard by shard, on several threads, with what comes of them as if one came after the
//! other.
//!
//! Series do not know of one another, so their samples may be taken in any order, as long as those of each are in theirs. What a sample
//! says to more than its series waits until its turn in the order of all: alerts, and all later samples of a series that one begins or ends
//! for; what belongs to a histogram, and what is made of one.

use super::door::Admission;
use super::series::{Noticed, Series};
use super::shard::Shard;
use super::{Knowledge, SeriesId};
use crate::analyze::strategy::Methods;
use crate::monitor::{Fate, Fates, Sample};
use crate::time::Timestamp;

/// So many samples are read ahead at once: what they touch fits the nearest cache.
pub(crate) const READ_AHEAD: usize = 32;

/// Under so many samples another thread costs more than it saves.
const SIDE_BY_SIDE_MIN: usize = 4_096;

/// With fewer series all of them are near.
const NEAR: usize = 256;

/// What waits for its turn: a sample by its place, and what came of it where it was taken in.
#[derive(Debug, PartialEq)]
pub(crate) struct Waits {
    pub place: usize,
    /// None: it was not taken in yet.
    pub noticed: Option<Noticed>,
}

/// What came of the samples of one shard.
#[derive(Default)]
struct OfShard {
    waits: Vec<Waits>,
    fates: Fates,
    hurry: bool,
}

impl Knowledge {
    /// Takes in all samples that may be; the others wait, in their order, as does what of those taken in is to be told: an alert, or
    /// that one was turned away. None: they are too few, nothing was taken in.
    pub(crate) fn record_batch(&mut self, samples: &[Sample], now: Timestamp) -> Option<(Fates, Vec<Waits>)> {
        let threads = self.threads.min(samples.len() / SIDE_BY_SIDE_MIN + 1).min(self.shards.len());
        // What a histogram makes may have to take the place of a series that has its sample in the same batch.
        let full = self.names.len() + samples.len() / SIDE_BY_SIDE_MIN * 64 >= self.config.limits.series_max;
        if threads <= 1 || full {
            return None;
        }
        let mut places: Vec<Vec<u32>> =
            vec![Vec::with_capacity(samples.len() / self.shards.len() * 2); self.shards.len()];
        let mut waits = Vec::new();
        for (place, sample) in samples.iter().enumerate() {
            match places.get_mut(usize::from(sample.series.shard)) {
                Some(places) => places.push(place as u32),
                None => waits.push(Waits { place, noticed: None }),
            }
        }
        let (admission, methods) = (self.admission(), &*self.methods);
        let each = self.shards.len().div_ceil(threads);
        let done = std::thread::scope(|scope| {
            let mut work = self.shards.chunks_mut(each).zip(places.chunks(each));
            let mine = work.next();
            let take = |(shards, places): (&mut [Shard], &[Vec<u32>])| -> Vec<OfShard> {
                let both = shards.iter_mut().zip(places);
                both.map(|(shard, places)| of_shard(shard, places, samples, now, &admission, methods)).collect()
            };
            let workers: Vec<_> = work.map(|part| scope.spawn(move || take(part))).collect();
            let mut done = mine.map_or_else(Vec::new, take);
            for worker in workers {
                match worker.join() {
                    Ok(some) => done.extend(some),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        let mut all = Fates::default();
        for OfShard { waits: some, fates, hurry } in done {
            waits.extend(some);
            all += &fates;
            self.general.hurry |= hurry;
        }
        self.general.fates += &all;
        waits.sort_unstable_by_key(|one| one.place);
        Some((all, waits))
    }

    /// Reads what the samples' series hold, so that it is near when they are recorded. With many series most of it lies in far memory;
    /// asked for together the answers overlap, while each `record` waits for the one before.
    #[inline]
    pub(crate) fn read_ahead(&self, samples: &[Sample]) {
        if self.names.len() > NEAR {
            let touched = samples.iter().filter_map(|sample| self.get(sample.series)).map(Series::touched);
            std::hint::black_box(touched.fold(0, |all, one| all ^ one));
        }
    }
}

fn of_shard(
    shard: &mut Shard,
    places: &[u32],
    samples: &[Sample],
    now: Timestamp,
    admission: &Admission,
    methods: &Methods,
) -> OfShard {
    let mut done = OfShard::default();
    // Few: those for which an alert begins or ends in this batch.
    let mut held: Vec<SeriesId> = Vec::new();
    for some in places.chunks(READ_AHEAD) {
        let series = some.iter().filter_map(|place| shard.get(samples[*place as usize].series));
        std::hint::black_box(series.map(Series::touched).fold(0, |all, one| all ^ one));
        for place in some {
            let place = *place as usize;
            let sample = &samples[place];
            let mut noticed = Noticed::nothing();
            match shard.get_mut(sample.series) {
                Some(series) if !series.alone || (!held.is_empty() && held.contains(&sample.series)) => {
                    done.waits.push(Waits { place, noticed: None });
                    continue;
                }
                Some(series) => series.record(sample.at, sample.value, now, admission, methods, &mut noticed),
                None => {}
            }
            done.fates.add(noticed.fate);
            done.hurry |= noticed.ripe || noticed.onset;
            if noticed.onset || noticed.end {
                held.push(sample.series);
            }
            if noticed.onset || noticed.end || !matches!(noticed.fate, Fate::Admitted | Fate::Folded) {
                done.waits.push(Waits { place, noticed: Some(noticed) });
            }
        }
    }
    done
}
