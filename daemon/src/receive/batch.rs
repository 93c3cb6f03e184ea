//! What one request holds, as it is handed to the driver: the bytes it came in, and where in them what stands.
//!
//! Nothing is owned per sample or per series: labels stay in the arena as they came and are known by a hash over them. Only a
//! series whose hash nobody knows is ever taken apart.

use super::proto::{Message, Wrong};
use crate::prometheus::text::Type;
use homeostat::time::Timestamp;
use std::ops::Range;

/// Samples in one request; senders have some thousands.
pub const SAMPLES_MAX: usize = 1_000_000;

/// Symbols in one request of 2.0.
pub const SYMBOLS_MAX: usize = 1_000_000;

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

impl Batch {
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
        self.symbols.shrink_to(keep / 16);
        self.symbol_hashes.shrink_to(keep / 16);
        self.series.shrink_to(keep / 16);
        self.samples.shrink_to(keep / 16);
        self.families.shrink_to(keep / 16);
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
