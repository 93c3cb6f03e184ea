//! Many series side by side. A series belongs to the shard its name's hash says; nobody outside needs to know how many
//! shards there are.
//!
//! A snapshot is handed out a little at a time, while samples are judged, and is that of one moment all the same: a series that is
//! about to change, and was not handed out yet, is copied first.

use crate::knowledge::SeriesId;
use crate::knowledge::series::Series;
use std::borrow::Cow;

#[derive(Debug, Default)]
pub(crate) struct Shard {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The number of the latest snapshot that began.
    snapshot: u16,
    /// Where those begin that were not looked at for it.
    next: usize,
    /// Series that changed or left since it began and are to be handed out, as they were.
    before: Vec<Series>,
    /// About how many bytes those take.
    before_bytes: u64,
}

#[derive(Debug)]
struct Slot {
    /// Grows when a series leaves, so that an id given out before finds nothing instead of somebody else.
    generation: u16,
    /// The latest snapshot that needs nothing of this place any more.
    snapshot: u16,
    series: Option<Box<Series>>,
}

impl Slot {
    /// The snapshot that is being taken needs what is here, and it is about to change.
    #[cold]
    fn copy_to(&mut self, snapshot: u16, before: &mut Vec<Series>, bytes: &mut u64) {
        self.snapshot = snapshot;
        if let Some(series) = &self.series {
            *bytes += series.bytes_wanted();
            before.push(Series::clone(series));
        }
    }
}

impl Shard {
    /// From here on a snapshot is taken of what is here now.
    pub fn begin_snapshot(&mut self) {
        self.end_snapshot();
        self.snapshot = self.snapshot.wrapping_add(1);
        self.next = 0;
    }

    /// Whatever was not handed out of the snapshot is not wanted any more.
    pub fn end_snapshot(&mut self) {
        self.slots.iter_mut().for_each(|place| place.snapshot = self.snapshot);
        (self.before, self.before_bytes, self.next) = (Vec::new(), 0, self.slots.len());
    }

    /// About how many bytes are held of what changed since and was not handed out.
    pub fn bytes_before(&self) -> u64 {
        self.before_bytes
    }

    /// Hands out series that changed or left since the snapshot began, as they were: about as many bytes as are `left`, which it
    /// lowers.
    pub fn hand_out_before(&mut self, left: &mut u64, to: &mut Vec<Cow<'_, Series>>) {
        while *left > 0
            && let Some(series) = self.before.pop()
        {
            let bytes = series.bytes_wanted();
            self.before_bytes = self.before_bytes.saturating_sub(bytes);
            *left = left.saturating_sub(bytes);
            to.push(Cow::Owned(series));
        }
    }

    /// The same of those that are as they were.
    pub fn hand_out<'a>(&'a mut self, left: &mut u64, to: &mut Vec<Cow<'a, Series>>) {
        for place in &mut self.slots[self.next..] {
            if *left == 0 {
                break;
            }
            self.next += 1;
            if place.snapshot == self.snapshot {
                continue;
            }
            place.snapshot = self.snapshot;
            if let Some(series) = place.series.as_deref() {
                *left = left.saturating_sub(series.bytes_wanted());
                to.push(Cow::Borrowed(series));
            }
        }
    }

    pub fn insert(&mut self, shard: u16, series: Box<Series>) -> SeriesId {
        let series = Some(series);
        match self.free.pop() {
            Some(slot) => {
                let place = &mut self.slots[slot as usize];
                (place.series, place.snapshot) = (series, self.snapshot);
                SeriesId { shard, generation: place.generation, slot }
            }
            None => {
                self.slots.push(Slot { generation: 0, snapshot: self.snapshot, series });
                SeriesId { shard, generation: 0, slot: self.slots.len() as u32 - 1 }
            }
        }
    }

    pub fn remove(&mut self, id: SeriesId) -> Option<Box<Series>> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
        if place.snapshot != self.snapshot {
            place.copy_to(self.snapshot, &mut self.before, &mut self.before_bytes);
        }
        let series = place.series.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(series)
    }

    #[inline]
    pub fn get(&self, id: SeriesId) -> Option<&Series> {
        let place = self.slots.get(id.slot as usize)?;
        if place.generation == id.generation { place.series.as_deref() } else { None }
    }

    #[inline]
    pub fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        let place = self.slots.get_mut(id.slot as usize)?;
        if place.generation != id.generation {
            return None;
        }
        if place.snapshot != self.snapshot {
            place.copy_to(self.snapshot, &mut self.before, &mut self.before_bytes);
        }
        place.series.as_deref_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Series> {
        self.slots.iter().filter_map(|place| place.series.as_deref())
    }

    /// All series, to change what is derived and stands in no snapshot.
    pub fn iter_to_derive(&mut self) -> impl Iterator<Item = &mut Series> {
        self.slots.iter_mut().filter_map(|place| place.series.as_deref_mut())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        let Shard { slots, snapshot, before, before_bytes, .. } = self;
        slots.iter_mut().filter_map(move |place| {
            if place.snapshot != *snapshot {
                place.copy_to(*snapshot, before, before_bytes);
            }
            place.series.as_deref_mut()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::knowledge::series::SharedSettings;
    use crate::series::SeriesName;
    use crate::time::Timestamp;

    #[test]
    fn an_id_of_a_series_that_left_finds_nothing_even_when_its_place_is_taken() {
        let series = |name: &str| {
            let name = SeriesName::parse(name).expect(name);
            let settings = SharedSettings::default().of(&name, &Config::default());
            Box::new(Series::new(name, None, settings, Timestamp::EPOCH))
        };
        let mut shard = Shard::default();
        let first = shard.insert(3, series("a"));
        assert!(shard.remove(first).is_some());
        let second = shard.insert(3, series("b"));
        assert_eq!(second.slot, first.slot, "the place is used again");
        assert!(shard.get(first).is_none() && shard.remove(first).is_none());
        assert_eq!(shard.get(second).map(|s| s.name().as_str()), Some("b"));
    }
}
