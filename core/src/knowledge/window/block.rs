//! Samples of a window that are no longer its newest: packed, or as the sketch of an hour or of all that came before.

use super::{Tier, packed};
use crate::stats::sketch::{Frame, Sketch, WHOLE};
use crate::time::Span;
use crate::varint;
use thin_vec::{ThinVec, thin_vec};

/// Bins of the sketch of an hour, and samples that are given of it, at most.
const HOUR_BINS: usize = 40;
const HOUR_GIVEN: usize = 40;

/// The same of the one sketch in which older samples count for less.
const FADED_BINS: usize = 100;
const FADED_GIVEN: usize = 250;

/// A sample of the one sketch counts half after this part of the window's age: then their mean age is that of a window.
const HALF: f64 = 3.0;

const HOUR_MS: i64 = 3_600_000;

/// Samples behind the newest, in as few bytes as the tier allows.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Block {
    Packed(Box<[u8]>),
    Hour(Box<[u8]>),
    Faded(Box<[u8]>),
}

/// The weight of new samples at which all weights are brought back.
const WEIGHT_MAX: f64 = 16.0;

/// A sketch, and between which times (milliseconds) its samples lay.
struct Sketched {
    since: i64,
    until: i64,
    /// Where older samples count for less: a sample of then counts for one, newer ones for more (forward decay: Cormode and others, ICDE
    /// 2009). So nothing that is held has to be changed for each new one, and nothing is lost by rounding.
    one_at: i64,
    sketch: Sketch,
}

impl Sketched {
    /// None: these bytes are none.
    fn decode(mut bytes: &[u8]) -> Option<(Sketched, usize)> {
        let since = varint::unzigzag(varint::take(&mut bytes)?);
        let until = since.checked_add_unsigned(varint::take(&mut bytes)?)?;
        let given =
            usize::try_from(varint::take(&mut bytes)?).ok().filter(|given| (1..=FADED_GIVEN).contains(given))?;
        let one_at = until.checked_sub_unsigned(varint::take(&mut bytes)?)?;
        let sketch = Sketch::decode(&mut bytes)?;
        (bytes.is_empty() && sketch.count() > 0.0).then_some((Sketched { since, until, one_at, sketch }, given))
    }

    fn encode(&self, given: usize) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(320);
        let apart = self.until.saturating_sub(self.since).max(0) as u64;
        // Never more than there are milliseconds.
        let given =
            (self.sketch.count().round() as usize).clamp(1, given).min(usize::try_from(apart).unwrap_or(given) + 1);
        varint::put(varint::zigzag(self.since), &mut bytes);
        varint::put(apart, &mut bytes);
        varint::put(given as u64, &mut bytes);
        varint::put(self.until.saturating_sub(self.one_at).max(0) as u64, &mut bytes);
        self.sketch.encode(&mut bytes);
        Box::from(&bytes[..])
    }

    /// Samples that are distributed as those that the sketch took in, evenly over its time and in no order.
    fn give(&self, given: usize, at: &mut Vec<i64>, values: &mut Vec<f64>) {
        let mut ascending = Vec::with_capacity(given);
        self.sketch.spread_out(given, &mut ascending);
        let apart = i128::from(self.until) - i128::from(self.since);
        let stride =
            (2..=given).rev().filter(|stride| gcd(*stride, given) == 1).find(|stride| stride * 13 <= given * 8);
        for place in 0..ascending.len() {
            let along = apart * place as i128 / (given as i128 - 1).max(1);
            at.push(self.since.saturating_add(along as i64));
            values.push(ascending[place * stride.unwrap_or(1) % given]);
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Block {
    /// None: these bytes are no such block.
    pub fn read_back(kind: u8, bytes: Box<[u8]>) -> Option<Block> {
        match kind {
            0 => packed::is_block(&bytes).then_some(Block::Packed(bytes)),
            1 => Sketched::decode(&bytes).map(|_| Block::Hour(bytes)),
            2 => Sketched::decode(&bytes).map(|_| Block::Faded(bytes)),
            _ => None,
        }
    }

    /// Which kind it is, and its bytes.
    pub fn stored(&self) -> (u8, &[u8]) {
        match self {
            Block::Packed(bytes) => (0, bytes),
            Block::Hour(bytes) => (1, bytes),
            Block::Faded(bytes) => (2, bytes),
        }
    }

    pub fn is_packed(&self) -> bool {
        matches!(self, Block::Packed(_))
    }

    /// How many samples it gives.
    pub fn len(&self) -> usize {
        match self {
            Block::Packed(bytes) => packed::count(bytes),
            Block::Hour(bytes) | Block::Faded(bytes) => {
                let mut rest: &[u8] = bytes;
                let mut number = || varint::take(&mut rest);
                number().and_then(|_| number()).and_then(|_| number()).map_or(0, |given| given as usize)
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.stored().1.len()
    }

    /// Appends the samples that it gives, in order of time.
    pub fn read(&self, at: &mut Vec<i64>, values: &mut Vec<f64>) {
        match self {
            Block::Packed(bytes) => {
                let whole = packed::unpack(bytes, at, values);
                debug_assert!(whole.is_some(), "a block is what was packed, or was checked as it was read back");
            }
            Block::Hour(bytes) | Block::Faded(bytes) => {
                if let Some((sketched, given)) = Sketched::decode(bytes) {
                    sketched.give(given, at, values);
                }
            }
        }
    }

    pub fn sample(&self, place: usize) -> Option<(i64, f64)> {
        if let Block::Packed(bytes) = self {
            return packed::sample(bytes, place);
        }
        let (mut at, mut values) = (Vec::new(), Vec::new());
        self.read(&mut at, &mut values);
        at.get(place).copied().zip(values.get(place).copied())
    }

    pub fn newest(&self) -> i64 {
        match self {
            Block::Packed(bytes) => packed::sample(bytes, packed::count(bytes) - 1).map_or(i64::MIN, |(at, _)| at),
            Block::Hour(bytes) | Block::Faded(bytes) => until(bytes).unwrap_or(i64::MIN),
        }
    }

    /// How many of its samples are older than this; of a sketch none, which goes as a whole.
    pub fn older_than(&self, oldest: i64) -> usize {
        let Block::Packed(bytes) = self else { return 0 };
        let (mut low, mut high) = (0, packed::count(bytes));
        while low < high {
            let middle = low.midpoint(high);
            match packed::sample(bytes, middle) {
                Some((at, _)) if at < oldest => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}

fn until(mut bytes: &[u8]) -> Option<i64> {
    let since = varint::unzigzag(varint::take(&mut bytes)?);
    since.checked_add_unsigned(varint::take(&mut bytes)?)
}

/// Puts samples (ascending, at least one) behind the blocks there are. Gives by how many the samples that blocks give grew.
pub(super) fn put_away(blocks: &mut ThinVec<Block>, samples: &[(i64, f64)], tier: Tier, age_max: Span) -> i32 {
    if blocks.is_empty() {
        // Mostly, where memory is short, it stays at one.
        blocks.reserve_exact(1);
    }
    match tier {
        Tier::Exact => {
            blocks.push(Block::Packed(packed::pack(samples)));
            samples.len() as i32
        }
        Tier::Hourly => samples
            .chunk_by(|one, other| one.0.div_euclid(HOUR_MS) == other.0.div_euclid(HOUR_MS))
            .map(|hour| {
                let same = |block: &Block| {
                    matches!(block, Block::Hour(_))
                        && block.newest().div_euclid(HOUR_MS) == hour[0].0.div_euclid(HOUR_MS)
                };
                let before = if blocks.last().is_some_and(same) { blocks.pop() } else { None };
                let frame =
                    before.as_ref().or(blocks.last()).and_then(sketched).map(|sketched| sketched.sketch.frame());
                let held = before.as_ref().map_or(0, Block::len);
                let block = Block::Hour(added(before.as_ref(), frame, hour, HOUR_BINS, None).encode(HOUR_GIVEN));
                let grown = block.len() as i32 - held as i32;
                blocks.push(block);
                grown
            })
            .sum(),
        Tier::Faded | Tier::Bounds => {
            let is_faded = matches!(blocks.last(), Some(Block::Faded(_)));
            let before = if is_faded { blocks.pop() } else { None };
            let held = before.as_ref().map_or(0, Block::len);
            let frame = before.as_ref().or(blocks.last()).and_then(sketched).map(|sketched| sketched.sketch.frame());
            let mut all = added(before.as_ref(), frame, samples, FADED_BINS, Some(age_max));
            all.since = all.since.max(all.until.saturating_sub_unsigned(age_max.millis()));
            let block = Block::Faded(all.encode(FADED_GIVEN));
            let grown = block.len() as i32 - held as i32;
            blocks.push(block);
            grown
        }
    }
}

fn sketched(block: &Block) -> Option<Sketched> {
    match block {
        Block::Packed(_) => None,
        Block::Hour(bytes) | Block::Faded(bytes) => Sketched::decode(bytes).map(|(sketched, _)| sketched),
    }
}

/// What was held, and these samples with it: around the same middle as before, as long as that is where they are. With a window's age
/// what is older counts for less.
fn added(
    before: Option<&Block>,
    frame: Option<Frame>,
    samples: &[(i64, f64)],
    bins: usize,
    fades: Option<Span>,
) -> Sketched {
    let mut values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let frame = frame.filter(|frame| frame.suits(&values)).unwrap_or_else(|| Frame::of(&values));
    let (since, until) = (samples[0].0, samples[samples.len() - 1].0);
    let mut all = Sketched { since, until, one_at: until, sketch: Sketch::new(frame) };
    if let Some(before) = before.and_then(sketched) {
        (all.since, all.one_at) = (before.since, before.one_at);
        match before.sketch.frame() == frame {
            true => all.sketch = before.sketch,
            false => all.sketch.merge(&before.sketch, bins),
        }
    }
    let mut weight = fades.map_or(1.0, |age_max| weight(until, all.one_at, age_max));
    if fades.is_none() || weight >= WEIGHT_MAX {
        all.sketch.fade(1.0 / weight);
        (all.one_at, weight) = (until, 1.0);
    }
    all.sketch.add(&values, (f64::from(WHOLE) * weight).round() as u32, bins);
    all
}

/// For how many samples of an earlier time one of `at` counts.
fn weight(at: i64, than: i64, age_max: Span) -> f64 {
    let halves = at.saturating_sub(than).max(0) as f64 * HALF / (age_max.millis() as f64).max(1.0);
    2.0_f64.powf(halves)
}

/// The same in a lower tier; the first `fallen` of the first block are left out.
pub(super) fn made_less(blocks: ThinVec<Block>, fallen: usize, tier: Tier, age_max: Span) -> ThinVec<Block> {
    let (mut hours, mut at, mut values) = (ThinVec::new(), Vec::new(), Vec::new());
    for block in blocks {
        if block.is_packed() {
            block.read(&mut at, &mut values);
        } else {
            hours.push(block);
        }
    }
    // Packed blocks stand behind all others, so the first of them is the first where any fell out.
    let packed: Vec<(i64, f64)> = at.into_iter().zip(values).skip(fallen).collect();
    if !packed.is_empty() {
        put_away(&mut hours, &packed, Tier::Hourly, age_max);
    }
    if tier == Tier::Hourly {
        return hours;
    }
    let (Some(first), Some(last)) = (hours.first().and_then(sketched), hours.last().and_then(sketched)) else {
        return hours;
    };
    let (until, sketch) = (last.until, Sketch::new(last.sketch.frame()));
    let mut all = Sketched { since: first.since, until, one_at: until, sketch };
    for mut hour in hours.iter().filter_map(sketched) {
        hour.sketch.fade(1.0 / weight(until, hour.one_at, age_max));
        all.sketch.take_over(&hour.sketch, FADED_BINS);
    }
    all.since = all.since.max(all.until.saturating_sub_unsigned(age_max.millis()));
    thin_vec![Block::Faded(all.encode(FADED_GIVEN))]
}
