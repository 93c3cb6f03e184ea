//! Many series side by side. A series belongs to the shard its name's hash says; nobody outside needs to know how many
//! shards there are.

use crate::knowledge::SeriesId;
use crate::knowledge::series::Series;

#[derive(Debug, Default)]
pub(crate) struct Shard {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    /// Grows when a series leaves, so that an id given out before finds nothing instead of somebody else.
    generation: u16,
    series: Option<Box<Series>>,
}

impl Shard {
    pub fn insert(&mut self, shard: u16, series: Series) -> SeriesId {
        let series = Some(Box::new(series));
        match self.free.pop() {
            Some(slot) => {
                let place = &mut self.slots[slot as usize];
                place.series = series;
                SeriesId { shard, generation: place.generation, slot }
            }
            None => {
                self.slots.push(Slot { generation: 0, series });
                SeriesId { shard, generation: 0, slot: self.slots.len() as u32 - 1 }
            }
        }
    }

    pub fn remove(&mut self, id: SeriesId) -> Option<Box<Series>> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
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
        if place.generation == id.generation { place.series.as_deref_mut() } else { None }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Series> {
        self.slots.iter().filter_map(|place| place.series.as_deref())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.slots.iter_mut().filter_map(|place| place.series.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::series::SeriesName;
    use crate::time::Timestamp;

    #[test]
    fn an_id_of_a_series_that_left_finds_nothing_even_when_its_place_is_taken() {
        let series = |name: &str| {
            let name = SeriesName::parse(name).expect(name);
            Series::new(name, None, &Config::default(), Timestamp::EPOCH)
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
