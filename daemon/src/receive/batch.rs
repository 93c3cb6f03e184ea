//! What one request holds, as it is handed to the driver: the bytes it came in, and where in them what stands.
//!
//! Nothing is owned per sample or per series: labels stay in the arena as they came and are known by a hash over them. Only a
//! series whose hash nobody knows is ever taken apart.

use super::desk::Room;
use super::proto::{Message, Wrong};
use crate::prometheus::text::Type;
use homeostat::time::Timestamp;
use std::ops::Range;

/// Samples in one request; senders have some thousands.
pub const SAMPLES_MAX: usize = 1_000_000;

/// Symbols in one request of 2.0.
pub const SYMBOLS_MAX: usize = 1_000_000;

/// What a part of a batch grows by at least, in items.
const GROWS_BY: usize = 64;

/// What a batch keeps for the next request is shared by so many parts, beside its bytes.
const PARTS: usize = 8;

/// What a request is taken apart into takes so many bytes at most, beside its bytes and labels. Parts double, so that they have
/// room for as many items as the next power of two.
pub const APART_MAX: u64 = (SAMPLES_MAX.next_power_of_two() * (size_of::<Row>() + size_of::<Point>())
    + SYMBOLS_MAX.next_power_of_two() * (size_of::<Range<u32>>() + size_of::<u64>())) as u64;

/// A request taken apart. Cleared, it can take another one without asking for memory.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) arena: Vec<u8>,
    pub(super) form: Form,
    /// Where the symbols of 2.0 stand in the arena, and hashes over each.
    pub(super) symbols: Vec<Range<u32>>,
    pub(super) symbol_hashes: Vec<u64>,
    pub(super) series: Vec<Row>,
    pub(super) samples: Vec<Point>,
    /// What families are said to be.
    pub(super) families: Vec<(Range<u32>, Type)>,
    /// Native histograms and exemplars, which are counted and set aside.
    pub histograms: u64,
    pub exemplars: u64,
    /// Where the memory comes from that it grows by; none: from wherever.
    pub(super) room: Option<Room>,
}

/// How labels stand in the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Form {
    /// Messages with a name and a value each, in field 1.
    #[default]
    Pairs,
    /// Numbers of symbols, name and value by turns.
    Symbols,
    /// As pairs, written here for data points of OTLP.
    Points,
}

/// One series with its samples.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub hash: u64,
    pub labels: Range<u32>,
    /// Its samples end here; they begin where those of the row before end.
    pub samples_end: u32,
    /// Which element of the request it is.
    pub element: u32,
    /// What it is said to be.
    pub told: Type,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    pub at: Timestamp,
    pub value: f64,
}

/// A series of a request, for those who look it up.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    batch: &'a Batch,
    row: &'a Row,
    first: usize,
}

/// There is no room for what the request is taken apart into: other requests have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoRoom;

/// Puts something behind the others. What they grow by is taken from the room first: they double, as a `Vec` does.
fn put<T>(into: &mut Vec<T>, item: T, room: &mut Option<Room>) -> Result<(), NoRoom> {
    if into.len() == into.capacity() {
        let more = into.len().max(GROWS_BY);
        if let Some(room) = room
            && !room.more((more * size_of::<T>()) as u64)
        {
            return Err(NoRoom);
        }
        into.reserve_exact(more);
    }
    into.push(item);
    Ok(())
}

impl Batch {
    /// From now on it grows by what there is room for. What it has already is its own.
    pub fn lend(&mut self, room: Room) {
        self.room = Some(room);
    }

    /// The room that was lent, with all that was taken of it.
    pub fn give_back(&mut self) -> Option<Room> {
        self.room.take()
    }

    pub(super) fn put_sample(&mut self, point: Point) -> Result<(), NoRoom> {
        put(&mut self.samples, point, &mut self.room)
    }

    pub(super) fn put_series(&mut self, row: Row) -> Result<(), NoRoom> {
        put(&mut self.series, row, &mut self.room)
    }

    pub(super) fn put_symbol(&mut self, range: Range<u32>, hash: u64) -> Result<(), NoRoom> {
        put(&mut self.symbols, range, &mut self.room)?;
        put(&mut self.symbol_hashes, hash, &mut self.room)
    }

    pub(super) fn put_family(&mut self, name: Range<u32>, told: Type) -> Result<(), NoRoom> {
        put(&mut self.families, (name, told), &mut self.room)
    }

    /// Empty, with the room that it has. More than `keep` bytes of it are given back.
    pub fn clear(&mut self, keep: usize) {
        // Bytes that are there already need no zeros before the next body is laid over them.
        if self.arena.capacity() > keep {
            self.arena = Vec::new();
        }
        self.symbols.clear();
        self.symbol_hashes.clear();
        self.series.clear();
        self.samples.clear();
        self.families.clear();
        fn shrink<T>(kept: &mut Vec<T>, keep: usize) {
            kept.shrink_to(keep / PARTS / size_of::<T>());
        }
        shrink(&mut self.symbols, keep);
        shrink(&mut self.symbol_hashes, keep);
        shrink(&mut self.series, keep);
        shrink(&mut self.samples, keep);
        shrink(&mut self.families, keep);
        (self.form, self.histograms, self.exemplars) = (Form::Pairs, 0, 0);
    }

    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Every series with samples, in the order of the request.
    pub fn series(&self) -> impl Iterator<Item = Told<'_>> {
        let mut first = 0;
        self.series.iter().map(move |row| {
            let told = Told { batch: self, row, first };
            first = row.samples_end as usize;
            told
        })
    }

    /// What families are said to be, by their names.
    pub fn families(&self) -> impl Iterator<Item = (&str, Type)> {
        self.families.iter().filter_map(|(name, told)| Some((std::str::from_utf8(self.piece(name)).ok()?, *told)))
    }

    pub(super) fn piece(&self, range: &Range<u32>) -> &[u8] {
        &self.arena[range.start as usize..range.end as usize]
    }
}

impl<'a> Told<'a> {
    /// Seeded, so that nobody outside can make two series meet in it.
    pub fn hash(&self) -> u64 {
        self.row.hash
    }

    /// Where it stands in the request, as a message has it.
    pub fn place(&self) -> String {
        let what = if self.batch.form == Form::Points { "data_points" } else { "timeseries" };
        format!("{what}[{}]", self.row.element)
    }

    /// What it is said to be, where the request says so beside it.
    pub fn told(&self) -> Type {
        self.row.told
    }

    /// Its samples, in the order of the request; one at least.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = (Timestamp, f64)> + 'a {
        let samples = &self.batch.samples[self.first..self.row.samples_end as usize];
        samples.iter().map(|point| (point.at, point.value))
    }

    /// Calls `each` with every label as it came, until it says no. An error is one of the wire, or a symbol that there is not.
    pub fn labels<E: From<LabelsWrong>>(
        &self,
        mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let batch = self.batch;
        let mut fields = Message::new(batch.piece(&self.row.labels));
        match batch.form {
            Form::Pairs | Form::Points => {
                while let Some((_, label)) = fields.next().map_err(LabelsWrong::Wire)? {
                    let mut parts = label.message().map_err(LabelsWrong::Wire)?;
                    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
                    while let Some((field, part)) = parts.next().map_err(LabelsWrong::Wire)? {
                        match field {
                            1 => name = part.message().map_err(LabelsWrong::Wire)?.bytes(),
                            2 => value = part.message().map_err(LabelsWrong::Wire)?.bytes(),
                            _ => {}
                        }
                    }
                    each(name, value)?;
                }
            }
            Form::Symbols => {
                let symbol = |number: u64| {
                    let range = usize::try_from(number).ok().and_then(|number| batch.symbols.get(number));
                    range.map(|range| batch.piece(range)).ok_or(LabelsWrong::Symbol(number))
                };
                while let Some(name) = fields.packed_varint().map_err(LabelsWrong::Wire)? {
                    let value = fields.packed_varint().map_err(LabelsWrong::Wire)?.ok_or(LabelsWrong::Odd)?;
                    each(symbol(name)?, symbol(value)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Why labels cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LabelsWrong {
    #[error("{0}")]
    Wire(#[from] Wrong),
    #[error("symbol {0} is not among `symbols`")]
    Symbol(u64),
    #[error("labels_refs has an odd number of elements: the last name has no value")]
    Odd,
}

#[cfg(test)]
mod tests {
    use super::super::Receive;
    use super::super::desk::Desk;
    use super::*;

    /// What a batch has is what was taken for it, to the doubling; and where there is no room it does not grow.
    #[test]
    fn a_batch_grows_by_what_there_is_room_for() {
        let desk = Desk::open(&Receive::default(), 10);
        let mut batch = Batch::default();
        batch.lend(desk.room([10, 0, 0, 1].into()));
        let row = |end: u32| Row { hash: 1, labels: 0..1, samples_end: end, element: end, told: Type::Unknown };
        for n in 0..100_000 {
            batch.put_sample(Point { at: Timestamp::EPOCH, value: 1.0 }).expect("room");
            batch.put_series(row(n + 1)).expect("room");
            batch.put_symbol(0..1, 7).expect("room");
        }
        let has = batch.samples.capacity() * size_of::<Point>()
            + batch.series.capacity() * size_of::<Row>()
            + batch.symbols.capacity() * size_of::<Range<u32>>()
            + batch.symbol_hashes.capacity() * size_of::<u64>();
        let room = batch.give_back().expect("lent");
        let taken = room.bytes() as usize;
        assert!((has..has + (64 << 10)).contains(&taken), "{has} bytes are there, {taken} were taken");
        // Others take all but a little.
        batch.lend(desk.room([10, 0, 0, 2].into()));
        let others: Vec<_> = (3..6).map(|n| (desk.room([10, 0, 0, n].into()), n)).collect();
        let mut others: Vec<Room> = others.into_iter().map(|(room, _)| room).collect();
        others.iter_mut().for_each(|room| while room.more(1 << 20) {});
        let refused = (0..1_000_000).find(|n| batch.put_series(row(*n)).is_err());
        assert!(refused.is_some_and(|n| n < 100_000), "{refused:?}");
        drop((room, others));
        batch.put_series(row(0)).expect("what others had is free again");
    }

    #[test]
    fn what_is_kept_for_the_next_request_is_bounded_in_bytes() {
        let mut batch = Batch::default();
        for n in 0..200_000 {
            batch.put_sample(Point { at: Timestamp::EPOCH, value: 1.0 }).expect("room");
            let row = Row { hash: 1, labels: 0..1, samples_end: n, element: n, told: Type::Unknown };
            batch.put_series(row).expect("room");
        }
        batch.clear(1 << 20);
        let (rows, points) =
            (batch.series.capacity() * size_of::<Row>(), batch.samples.capacity() * size_of::<Point>());
        assert!(rows + points <= 1 << 18, "{rows} {points}");
    }
}
