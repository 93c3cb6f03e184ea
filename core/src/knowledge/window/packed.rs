//! Samples in few bytes, and exactly: how far their times are from an even distance, and their values as whole numbers, each in as
//! many bits as the largest of the block needs. So any one of them can be read without the others.
//!
//! Most values that are measured have a few decimals: they are whole numbers over a power of ten, found by trying (as in ALP: Afroozeh,
//! Kuffó, Boncz, SIGMOD 2023). Others are read as whole numbers that rise as they do, of which a block shares the first bits.

use crate::varint;

/// Samples in a block at most.
pub(super) const BLOCK: usize = 192;

/// Decimals that are tried.
const DECIMALS_MAX: u8 = 9;

/// The place of the decimals where values are not read as decimals.
const BITS: u8 = 0xff;

/// Whole numbers up to here are exact as doubles, and so is what they are over a power of ten.
const EXACT: f64 = (1_u64 << 51) as f64;

/// Doubles from here on differ by one at least.
const NO_PARTS: f64 = (3_u64 << 51) as f64;

const POWERS: [f64; DECIMALS_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Packs samples: at least one, at most [`BLOCK`], times ascending, values finite.
pub(super) fn pack(samples: &[(i64, f64)]) -> Box<[u8]> {
    let mut numbers = [0_i64; BLOCK];
    let numbers = &mut numbers[..samples.len()];
    let mut bytes = Vec::with_capacity(48 + 16 * samples.len());
    bytes.push((samples.len() - 1) as u8);
    let (first, last) = (samples[0].0, samples[samples.len() - 1].0);
    let step = last.wrapping_sub(first) / (samples.len() as i64 - 1).max(1);
    varint::put(varint::zigzag(step), &mut bytes);
    for ((number, (at, _)), place) in numbers.iter_mut().zip(samples).zip(0..) {
        *number = at.wrapping_sub(step.wrapping_mul(place));
    }
    pack_numbers(numbers, &mut bytes);
    let decimals =
        (0..=DECIMALS_MAX).find(|decimals| samples.iter().all(|(_, value)| whole(*value, *decimals).is_some()));
    bytes.push(decimals.unwrap_or(BITS));
    for (number, (_, value)) in numbers.iter_mut().zip(samples) {
        *number = decimals.and_then(|decimals| whole(*value, decimals)).unwrap_or_else(|| rising(*value));
    }
    pack_numbers(numbers, &mut bytes);
    // A copy: what was asked for while it grew is more than it is.
    Box::from(&bytes[..])
}

/// What a block says before its numbers.
struct Opened<'a> {
    count: usize,
    step: i64,
    times: Numbers<'a>,
    /// None: values are read as bits.
    power: Option<f64>,
    values: Numbers<'a>,
}

impl<'a> Opened<'a> {
    fn new(mut bytes: &'a [u8]) -> Option<Opened<'a>> {
        let count = usize::from(*take(&mut bytes)?) + 1;
        let step = varint::unzigzag(varint::take(&mut bytes)?);
        let times = Numbers::take(&mut bytes, count)?;
        let power = match *take(&mut bytes)? {
            BITS => None,
            decimals => Some(*POWERS.get(usize::from(decimals))?),
        };
        let values = Numbers::take(&mut bytes, count)?;
        (count <= BLOCK && bytes.is_empty()).then_some(Opened { count, step, times, power, values })
    }

    fn value(&self, number: i64) -> f64 {
        match self.power {
            Some(power) => number as f64 / power,
            None => risen(number),
        }
    }
}

/// Appends the samples of a block. None: these bytes are no block.
pub(super) fn unpack(bytes: &[u8], at: &mut Vec<i64>, values: &mut Vec<f64>) -> Option<()> {
    let block = Opened::new(bytes)?;
    let mut numbers = [0_i64; BLOCK];
    let numbers = &mut numbers[..block.count];
    block.times.all(numbers);
    at.extend(numbers.iter().zip(0..).map(|(number, place)| number.wrapping_add(block.step.wrapping_mul(place))));
    block.values.all(numbers);
    match block.power {
        Some(power) => values.extend(numbers.iter().map(|number| *number as f64 / power)),
        None => values.extend(numbers.iter().map(|number| risen(*number))),
    }
    Some(())
}

/// One sample of a block.
pub(super) fn sample(bytes: &[u8], place: usize) -> Option<(i64, f64)> {
    let block = Opened::new(bytes).filter(|block| place < block.count)?;
    let at = block.times.at(place).wrapping_add(block.step.wrapping_mul(place as i64));
    Some((at, block.value(block.values.at(place))))
}

/// Whether these bytes are a block of samples in order of time.
pub(super) fn is_block(bytes: &[u8]) -> bool {
    let (mut at, mut values) = (Vec::new(), Vec::new());
    unpack(bytes, &mut at, &mut values).is_some()
        && at.is_sorted_by(|one, other| one < other)
        && values.iter().all(|value| value.is_finite())
}

/// How many samples a block holds.
pub(super) fn count(block: &[u8]) -> usize {
    block.first().map_or(0, |count| usize::from(*count) + 1)
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a u8> {
    let (one, rest) = from.split_first()?;
    *from = rest;
    Some(one)
}

/// The value as a whole number over a power of ten, where that gives the same bits.
fn whole(value: f64, decimals: u8) -> Option<i64> {
    let power = POWERS[usize::from(decimals)];
    // The nearest whole number, as a double that large has no others.
    let whole = value * power + NO_PARTS - NO_PARTS;
    let same = whole.abs() < EXACT && (whole as i64 as f64 / power).to_bits() == value.to_bits();
    same.then_some(whole as i64)
}

/// A whole number that rises as the value does.
fn rising(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    if bits >= 0 { bits } else { !(bits & i64::MAX) }
}

fn risen(number: i64) -> f64 {
    f64::from_bits(if number >= 0 { number as u64 } else { !number as u64 | 1 << 63 })
}

/// The least of the numbers, how many bits the others are above it at most, and these.
fn pack_numbers(numbers: &[i64], to: &mut Vec<u8>) {
    let least = numbers.iter().copied().min().unwrap_or(0);
    let above = |number: &i64| number.wrapping_sub(least) as u64;
    let width = 64 - numbers.iter().map(above).max().unwrap_or(0).leading_zeros();
    varint::put(varint::zigzag(least), to);
    to.push(width as u8);
    let first = to.len();
    let len = (numbers.len() * width as usize).div_ceil(8);
    to.resize(first + len + 8, 0);
    let packed = &mut to[first..];
    let mut bit = 0;
    for number in numbers {
        let (at, shift) = (bit / 8, bit % 8);
        if let Some(eight) = packed[at..].first_chunk_mut::<8>() {
            *eight = (u64::from_le_bytes(*eight) | above(number) << shift).to_le_bytes();
        }
        // Of a number so wide some bits may lie in a ninth byte.
        if width as usize + shift > 64 {
            packed[at + 8] |= (above(number) >> (64 - shift)) as u8;
        }
        bit += width as usize;
    }
    to.truncate(first + len);
}

/// Numbers as they were packed.
struct Numbers<'a> {
    least: i64,
    width: u32,
    packed: &'a [u8],
}

impl<'a> Numbers<'a> {
    fn take(from: &mut &'a [u8], count: usize) -> Option<Numbers<'a>> {
        let least = varint::unzigzag(varint::take(from)?);
        let width = u32::from(*take(from)?);
        let (packed, rest) = from.split_at_checked((count * width as usize).div_ceil(8))?;
        *from = rest;
        (width <= 64).then_some(Numbers { least, width, packed })
    }

    fn all(&self, numbers: &mut [i64]) {
        let Numbers { least, width, packed } = *self;
        if width == 0 {
            return numbers.fill(least);
        }
        let mask = u64::MAX >> (64 - width);
        let mut bit = 0;
        let mut slow = 0;
        // As long as eight bytes can be read at once, and hold all of a number however it is shifted.
        if width <= 57 {
            for number in numbers.iter_mut() {
                let Some((eight, _)) = packed.get(bit / 8..).and_then(|here| here.split_first_chunk::<8>()) else {
                    break;
                };
                *number = least.wrapping_add((u64::from_le_bytes(*eight) >> (bit % 8) & mask) as i64);
                bit += width as usize;
                slow += 1;
            }
        }
        for (number, place) in numbers[slow..].iter_mut().zip(slow..) {
            *number = self.at(place);
        }
    }

    fn at(&self, place: usize) -> i64 {
        if self.width == 0 {
            return self.least;
        }
        let bit = place * self.width as usize;
        let here = self.packed.get(bit / 8..).unwrap_or_default();
        let mut sixteen = [0; 16];
        let held = here.len().min(16);
        sixteen[..held].copy_from_slice(&here[..held]);
        let number = (u128::from_le_bytes(sixteen) >> (bit % 8)) as u64 & u64::MAX >> (64 - self.width);
        self.least.wrapping_add(number as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(samples: &[(i64, f64)]) -> usize {
        let block = pack(samples);
        let (mut at, mut values) = (Vec::new(), Vec::new());
        unpack(&block, &mut at, &mut values).expect("what was packed can be unpacked");
        assert_eq!(at, samples.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(values), bits(samples.iter().map(|(_, value)| *value).collect()));
        assert_eq!(count(&block), samples.len());
        for (place, (at, value)) in samples.iter().enumerate() {
            let one = sample(&block, place).expect("it is there");
            assert_eq!((one.0, one.1.to_bits()), (*at, value.to_bits()));
        }
        assert!(sample(&block, samples.len()).is_none());
        block.len()
    }

    #[test]
    fn a_gauge_of_three_decimals_takes_two_bytes_a_sample() {
        let samples: Vec<(i64, f64)> = (0..BLOCK as i64)
            .map(|n| (1_700_000_000_000 + n * 15_000, (40_000 + n * 7919 % 9973) as f64 / 1000.0))
            .collect();
        assert!(through(&samples) < 2 * BLOCK, "{}", through(&samples));
    }

    #[test]
    fn whatever_a_block_holds_comes_back() {
        for values in [
            vec![0.0],
            vec![-0.0, 0.0],
            vec![f64::MAX, f64::MIN, f64::MIN_POSITIVE],
            vec![0.1 + 0.2, 0.3],
            vec![1e15, 1e-9],
        ] {
            let samples: Vec<(i64, f64)> = (0..).zip(values).collect();
            through(&samples);
        }
        through(&[(i64::MIN, 1.0), (0, 2.0), (i64::MAX, 3.0)]);
    }

    proptest! {
        #[test]
        fn packed_is_exact(
            steps in prop::collection::vec((1..10_i64.pow(9), prop_oneof![any::<f64>(), (-9999..9999_i64).prop_map(|n| n as f64 / 100.0)]), 1..=BLOCK),
            begin in -10_i64.pow(13)..10_i64.pow(13),
        ) {
            let mut at = begin;
            let samples: Vec<(i64, f64)> = steps.into_iter().filter(|(_, value)| value.is_finite()).map(|(step, value)| {
                at += step;
                (at, value)
            }).collect();
            prop_assume!(!samples.is_empty());
            through(&samples);
        }

        #[test]
        fn any_bytes_are_a_block_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes, &mut Vec::new(), &mut Vec::new());
        }
    }
}
