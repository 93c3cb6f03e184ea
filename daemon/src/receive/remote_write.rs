//! Prometheus' remote-write, versions 1.0 and 2.0, taken apart without copying.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/> and `…/remote_write_spec_2_0/`. The wire form of 2.0 is that of the
//! specification since its fourth release candidate; what earlier ones wrote elsewhere is refused by name rather than misread.

use super::batch::{Batch, Form, NoRoom, Point, Row, SAMPLES_MAX, SYMBOLS_MAX};
use super::labels::LABELS_MAX;
use super::proto::{self, Message, Value, Wrong};
use crate::prometheus::text::Type;
use homeostat::time::Timestamp;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a family with a longer name is said to be is not kept, in bytes.
const FAMILY_LEN_MAX: usize = 256;

/// Families of which one request may say what they are.
const FAMILIES_MAX: usize = 100_000;

/// Which message a body holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Version {
    /// `prometheus.WriteRequest`
    One,
    /// `io.prometheus.write.v2.Request`
    Two,
}

/// Why a body is not taken, as a whole.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotRead {
    #[error("the body is not snappy's block format: {0}")]
    Snappy(String),
    #[error(
        "the body would have {len} bytes when it is uncompressed; at most {max} are taken: send fewer samples at once"
    )]
    TooLarge { len: u64, max: u64 },
    #[error("{place}: {problem}; nothing of the request was taken")]
    Malformed { place: String, problem: String },
    #[error("the request has over {max} {what}; send fewer at once")]
    TooMany { what: &'static str, max: usize },
    #[error("other requests have the memory that is meant for them")]
    NoRoom,
}

impl From<NoRoom> for NotRead {
    fn from(_: NoRoom) -> NotRead {
        NotRead::NoRoom
    }
}

impl NotRead {
    /// Less would be taken.
    pub fn is_too_large(&self) -> bool {
        matches!(self, NotRead::TooLarge { .. } | NotRead::TooMany { .. })
    }
}

/// How long a body in snappy's block format is, uncompressed: looked at before room is made for it.
pub fn uncompressed_len(body: &[u8], max: u64) -> Result<usize, NotRead> {
    let len = snap::raw::decompress_len(body).map_err(|error| NotRead::Snappy(error.to_string()))?;
    if len as u64 > max { Err(NotRead::TooLarge { len: len as u64, max }) } else { Ok(len) }
}

/// Takes a body apart into `batch`, which is cleared before. `seed` says how series are hashed: the same one for all requests.
pub fn decode(body: &[u8], version: Version, max: u64, seed: u64, batch: &mut Batch) -> Result<(), NotRead> {
    batch.clear(usize::MAX);
    let len = uncompressed_len(body, max)?;
    batch.arena.resize(len, 0);
    let unpacked = snap::raw::Decoder::new().decompress(body, &mut batch.arena);
    unpacked.map_err(|error| NotRead::Snappy(error.to_string()))?;
    decode_plain(version, seed, batch)
}

/// The same for what stands in the arena already.
pub(super) fn decode_plain(version: Version, seed: u64, batch: &mut Batch) -> Result<(), NotRead> {
    let arena = std::mem::take(&mut batch.arena);
    let mut spill = Vec::new();
    let read = match version {
        Version::One => one(&arena, seed, batch, &mut spill),
        Version::Two => two(&arena, seed, batch, &mut spill),
    };
    batch.arena = arena;
    batch.arena.append(&mut spill);
    read
}

fn malformed(place: impl FnOnce() -> String) -> impl FnOnce(Wrong) -> NotRead {
    move |wrong| NotRead::Malformed { place: place(), problem: wrong.to_string() }
}

/// Bodies are under 4 GiB: the limit says so.
fn narrow(range: &Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
}

/// How the fields of 1.0 begin that every request is full of.
const TIMESERIES: u8 = 1 << 3 | 2;
const LABELS: u8 = 1 << 3 | 2;
const SAMPLES: u8 = 2 << 3 | 2;

/// `timeseries = 1, metadata = 3`
fn one(arena: &[u8], seed: u64, batch: &mut Batch, spill: &mut Vec<u8>) -> Result<(), NotRead> {
    batch.form = Form::Pairs;
    let mut request = Message::new(arena);
    let (mut element, mut metadata) = (0_u32, 0_u32);
    loop {
        let (field, value) = match request.take(TIMESERIES) {
            Some(series) => (1, Value::Len(series)),
            None => match request.next().map_err(malformed(|| "WriteRequest".to_owned()))? {
                Some(field) => field,
                None => return Ok(()),
            },
        };
        match field {
            1 => {
                series_of_one(value, element, arena, seed, batch, spill)?;
                element = element.saturating_add(1);
            }
            3 => {
                family_of_one(value, batch, &|| format!("metadata[{metadata}]"))?;
                metadata = metadata.saturating_add(1);
            }
            _ => {}
        }
    }
}

/// `labels = 1, samples = 2, exemplars = 3, histograms = 4`
#[inline(always)]
fn series_of_one(
    value: Value<'_>,
    element: u32,
    arena: &[u8],
    seed: u64,
    batch: &mut Batch,
    spill: &mut Vec<u8>,
) -> Result<(), NotRead> {
    let place = || malformed(move || format!("timeseries[{element}]"));
    let wrong_sample = |wrong: NoSample| wrong.at(&|| format!("timeseries[{element}].samples"));
    let mut series = value.message().map_err(place())?;
    let first = batch.samples.len();
    // Labels stand together, before the samples: then where they stand says all.
    let run = series.run(LABELS);
    let mut labels = (!run.is_empty()).then_some(run);
    let mut scattered: Option<usize> = None;
    while let Some(parts) = series.take(SAMPLES) {
        sample(Value::Len(parts), batch).map_err(wrong_sample)?;
    }
    let mut at = series.at();
    while let Some((field, value)) = series.next().map_err(place())? {
        let here = at..series.at();
        at = here.end;
        match field {
            1 => match &mut labels {
                None => labels = Some(here),
                Some(labels) if scattered.is_none() && labels.end == here.start => labels.end = here.end,
                Some(labels) => *labels = joined(arena, labels, &arena[here], &mut scattered, spill),
            },
            2 => sample(value, batch).map_err(wrong_sample)?,
            3 => batch.exemplars += 1,
            4 => batch.histograms += 1,
            _ => {}
        }
    }
    if batch.samples.len() > first {
        let labels = labels.unwrap_or_default();
        let bytes = match scattered {
            Some(begins) => &spill[begins..],
            None => &arena[labels.clone()],
        };
        let hash = xxh3_64_with_seed(bytes, seed);
        batch.push(hash, narrow(&labels), element, Type::Unknown)?;
    }
    Ok(())
}

/// `type = 1, metric_family_name = 2`
fn family_of_one(value: Value<'_>, batch: &mut Batch, place: &dyn Fn() -> String) -> Result<(), NotRead> {
    let mut parts = value.message().map_err(malformed(place))?;
    let (mut told, mut name) = (Type::Unknown, 0..0);
    while let Some((field, value)) = parts.next().map_err(malformed(place))? {
        match field {
            1 => told = Type::of_number(value.varint().map_err(malformed(place))?),
            2 => name = value.message().map_err(malformed(place))?.range(),
            _ => {}
        }
    }
    if batch.families.len() == FAMILIES_MAX {
        return Err(NotRead::TooMany { what: "metadata", max: FAMILIES_MAX });
    }
    if (1..=FAMILY_LEN_MAX).contains(&name.len()) {
        batch.put_family(narrow(&name), told)?;
    }
    Ok(())
}

/// Lays down in one piece what stands in several: what was there `before`, then `bytes`. Answers where that is, once `spill` stands
/// behind the arena; `begins` is where in `spill`.
fn joined(
    arena: &[u8],
    before: &Range<usize>,
    bytes: &[u8],
    begins: &mut Option<usize>,
    spill: &mut Vec<u8>,
) -> Range<usize> {
    let begins = *begins.get_or_insert_with(|| {
        let begins = spill.len();
        spill.extend_from_slice(&arena[before.clone()]);
        begins
    });
    spill.extend_from_slice(bytes);
    arena.len() + begins..arena.len() + spill.len()
}

/// What an earlier release candidate wrote, told so.
fn earlier(place: String, what: &str) -> NotRead {
    let problem = format!(
        "{what}: not the wire form of remote-write 2.0 since its release candidate 4; use a newer sender, or send \
         prometheus.WriteRequest (1.0)"
    );
    NotRead::Malformed { place, problem }
}

/// `symbols = 4, timeseries = 5 { labels_refs = 1, samples = 2, histograms = 3, exemplars = 4, metadata = 5 { type = 1 } }`
fn two(arena: &[u8], seed: u64, batch: &mut Batch, spill: &mut Vec<u8>) -> Result<(), NotRead> {
    batch.form = Form::Symbols;
    symbols(arena, seed, batch)?;
    // 1.0 and 2.0 give one series two hashes, which lead to one series.
    let seed = !seed;
    let mut hashes = Vec::new();
    let mut request = Message::new(arena);
    let mut element = 0_u32;
    while let Some((field, value)) = request.next().map_err(malformed(|| "Request".to_owned()))? {
        if field != 5 {
            continue;
        }
        let place = |part: &'static str| malformed(move || format!("timeseries[{element}]{part}"));
        let mut series = value.message().map_err(place(""))?;
        let first = batch.samples.len();
        let mut told = Type::Unknown;
        let mut refs: Option<Range<usize>> = None;
        let mut scattered: Option<usize> = None;
        hashes.clear();
        while let Some((field, value)) = series.next().map_err(place(""))? {
            match field {
                1 => {
                    let number = |number: u64, hashes: &mut Vec<u8>| {
                        if hashes.len() > 2 * LABELS_MAX * size_of::<u64>() {
                            return;
                        }
                        let known = usize::try_from(number).ok().and_then(|number| batch.symbol_hashes.get(number));
                        // What there is not makes no series; that is told when it is looked up.
                        hashes.extend_from_slice(&known.copied().unwrap_or(number).to_le_bytes());
                    };
                    match value {
                        Value::Len(mut packed) => {
                            match &refs {
                                None => refs = Some(packed.range()),
                                Some(before) => {
                                    refs = Some(joined(arena, before, packed.bytes(), &mut scattered, spill));
                                }
                            }
                            while let Some(one) = packed.packed_varint().map_err(place(".labels_refs"))? {
                                number(one, &mut hashes);
                            }
                        }
                        value => {
                            let one = value.varint().map_err(place(".labels_refs"))?;
                            let mut bytes = Vec::with_capacity(10);
                            proto::put_varint(&mut bytes, one);
                            let before = refs.unwrap_or_default();
                            refs = Some(joined(arena, &before, &bytes, &mut scattered, spill));
                            number(one, &mut hashes);
                        }
                    }
                }
                2 => sample(value, batch).map_err(|wrong| wrong.at(&|| format!("timeseries[{element}].samples")))?,
                3 => batch.histograms += 1,
                4 => batch.exemplars += 1,
                5 => {
                    let mut metadata = value.message().map_err(place(".metadata"))?;
                    while let Some((field, value)) = metadata.next().map_err(place(".metadata"))? {
                        if field == 1 {
                            told = Type::of_number(value.varint().map_err(place(".metadata.type"))?);
                        }
                    }
                }
                6 => {
                    let place = format!("timeseries[{element}].created_timestamp");
                    return Err(earlier(place, "field 6, which release candidates before the fourth had"));
                }
                _ => {}
            }
        }
        if batch.samples.len() > first {
            batch.push(xxh3_64_with_seed(&hashes, seed), narrow(&refs.unwrap_or_default()), element, told)?;
        }
        element = element.saturating_add(1);
    }
    Ok(())
}

/// Where the symbols stand. They may come behind what refers to them.
fn symbols(arena: &[u8], seed: u64, batch: &mut Batch) -> Result<(), NotRead> {
    let mut request = Message::new(arena);
    while let Some((field, value)) = request.next().map_err(malformed(|| "Request".to_owned()))? {
        match field {
            4 => {
                let at = batch.symbols.len();
                let symbol = value.message().map_err(malformed(|| format!("symbols[{at}]")))?;
                if at == 0 && !symbol.range().is_empty() {
                    let problem = "the first symbol has to be the empty text".to_owned();
                    return Err(NotRead::Malformed { place: "symbols[0]".to_owned(), problem });
                }
                if at == SYMBOLS_MAX {
                    return Err(NotRead::TooMany { what: "symbols", max: SYMBOLS_MAX });
                }
                batch.put_symbol(narrow(&symbol.range()), xxh3_64_with_seed(symbol.bytes(), seed))?;
            }
            1..=3 => {
                let what =
                    "a field from 1 to 3, as prometheus.WriteRequest (1.0) and the first release candidates have";
                return Err(earlier("Request".to_owned(), what));
            }
            _ => {}
        }
    }
    Ok(())
}

enum NoSample {
    Wrong(Wrong),
    TooMany,
    NoRoom,
}

impl NoSample {
    fn at(self, place: &dyn Fn() -> String) -> NotRead {
        match self {
            NoSample::Wrong(wrong) => NotRead::Malformed { place: place(), problem: wrong.to_string() },
            NoSample::TooMany => NotRead::TooMany { what: "samples", max: SAMPLES_MAX },
            NoSample::NoRoom => NotRead::NoRoom,
        }
    }
}

impl From<Wrong> for NoSample {
    fn from(wrong: Wrong) -> NoSample {
        NoSample::Wrong(wrong)
    }
}

/// How the fields of a sample begin.
const VALUE: u8 = 1 << 3 | 1;
const TIMESTAMP: u8 = 2 << 3;

/// `value = 1, timestamp = 2`, in milliseconds; 2.0 has `start_timestamp = 3` beside them, which says nothing that the values of a
/// counter do not.
#[inline(always)]
fn sample(value: Value<'_>, batch: &mut Batch) -> Result<(), NoSample> {
    if batch.samples.len() == SAMPLES_MAX {
        return Err(NoSample::TooMany);
    }
    let mut parts = value.message()?;
    let value = f64::from_bits(parts.take_fixed64(VALUE).unwrap_or_default());
    let at = Timestamp::from_millis(parts.take_varint(TIMESTAMP).unwrap_or_default() as i64);
    let mut point = Point { at, value };
    while let Some((field, value)) = parts.next()? {
        match field {
            1 => point.value = value.double()?,
            2 => point.at = Timestamp::from_millis(value.varint()? as i64),
            _ => {}
        }
    }
    batch.put_sample(point).map_err(|NoRoom| NoSample::NoRoom)
}

impl Batch {
    fn push(&mut self, hash: u64, labels: Range<u32>, element: u32, told: Type) -> Result<(), NoRoom> {
        self.put_series(Row { hash, labels, samples_end: self.samples.len() as u32, element, told })
    }
}
