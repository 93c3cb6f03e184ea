//! An exact sort of finite doubles, several times faster than comparing them: everything a window says is read off the
//! sorted window, so this one sort is most of what learning costs.
//!
//! Values are spread over nearly as many linear buckets as there are values (a distribution sort: Knuth, The Art of Computer
//! Programming 3, 5.2.1), over a range taken from a sample of them, so that one wild value does not squeeze the rest into
//! one bucket. That leaves nearly every value a few places from its own, which a sweep without branches mends. A large
//! bucket is spread again, a stubborn one by exponent: on the integers that order doubles, where ±1e308 and 1e-300 are
//! equally far from 1. What is left is compared.

/// Buffers for sorting and learning, to be used again and again: sorting does not allocate once they have grown.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) sorted: Vec<f64>,
    /// A window being learned: its values in order, kept while a part of it is sorted too; its times and values.
    pub(crate) window_sorted: Vec<f64>,
    pub(crate) window_at: Vec<i64>,
    pub(crate) window_values: Vec<f64>,
    /// What is being spread: a bucket's values, or the positions of values on the axis of their exponents.
    part: Vec<f64>,
    axis: Vec<f64>,
    /// The bucket of each value.
    places: Vec<u32>,
    /// Where each bucket begins; after the scatter, where it ends.
    starts: Vec<u32>,
    /// Large buckets still to be spread: first and last place, and on which axis.
    large: Vec<(u32, u32, Axis)>,
    keys: Vec<i64>,
}

/// What the buckets are even on.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Axis {
    Linear,
    Exponent,
}

/// Below this, comparing is faster than anything cleverer.
const SMALL: usize = 128;
/// How many values the range of the buckets is taken from.
const SAMPLE: usize = 128;
/// A bucket with more than this is sorted by itself before the sweep.
const CROWD: u32 = 12;
/// A bucket with more than this is spread again rather than compared.
const LARGE: u32 = 600;

/// Sorts finite numbers in ascending order; -0.0 becomes 0.0. The result stays in the scratch until its next use.
pub fn sort_into<'a>(values: &[f64], scratch: &'a mut Scratch) -> &'a [f64] {
    assert!(values.len() < u32::MAX as usize, "a window has fewer than four thousand million samples");
    scratch.sorted.clear();
    if values.len() < SMALL {
        scratch.sorted.extend(values.iter().map(|v| v + 0.0));
        sort_few(&mut scratch.sorted, &mut scratch.keys);
    } else if values.is_sorted() {
        scratch.sorted.extend(values.iter().map(|v| v + 0.0));
    } else {
        scratch.sorted.resize(values.len(), 0.0);
        scratch.large.clear();
        spread(values, 0, Axis::Linear, scratch);
        while let Some((start, end, axis)) = scratch.large.pop() {
            let mut part = std::mem::take(&mut scratch.part);
            part.clear();
            part.extend_from_slice(&scratch.sorted[start as usize..end as usize]);
            spread(&part, start, axis, scratch);
            scratch.part = part;
        }
        sweep(&mut scratch.sorted);
        mend(&mut scratch.sorted);
    }
    &scratch.sorted
}

/// Sorts few finite numbers by comparing the whole numbers that are ordered as they are, which is twice as fast.
pub(crate) fn sort_few(values: &mut [f64], keys: &mut Vec<i64>) {
    // The bits of a negative number ascend as it falls. Done twice, this is undone.
    let turned = |bits: i64| bits ^ ((bits >> 63) as u64 >> 1) as i64;
    keys.clear();
    keys.extend(values.iter().map(|value| turned(value.to_bits() as i64)));
    keys.sort_unstable();
    for (value, key) in values.iter_mut().zip(keys) {
        *value = f64::from_bits(turned(*key) as u64);
    }
}

/// Puts every value into its bucket's part of `sorted`, from place `offset` on; sorts the crowded buckets and notes the
/// large ones.
fn spread(values: &[f64], offset: u32, axis: Axis, scratch: &mut Scratch) {
    match axis {
        Axis::Linear => place(values, &mut scratch.places),
        Axis::Exponent => {
            scratch.axis.clear();
            scratch.axis.extend(values.iter().map(|value| {
                // The bits of a double are in the order of its magnitude. The sign turns them round.
                let bits = value.to_bits() as i64;
                (if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }) as f64
            }));
            place(&scratch.axis, &mut scratch.places);
        }
    }
    let Scratch { sorted, places, starts, large, keys, .. } = scratch;
    let sorted = &mut sorted[offset as usize..][..values.len()];
    starts.clear();
    starts.resize(last_bucket(values.len()) + 1, 0);
    for place in places.iter() {
        starts[*place as usize] += 1;
    }
    let mut crowds = 0;
    let mut before = 0;
    for start in starts.iter_mut() {
        let here = *start;
        *start = before;
        before += here;
        crowds += u32::from(here > CROWD);
    }
    for (value, place) in values.iter().zip(places.iter()) {
        let next = &mut starts[*place as usize];
        sorted[*next as usize] = value + 0.0;
        *next += 1;
    }
    if crowds == 0 {
        return;
    }
    let mut start = 0;
    for end in starts.iter().copied() {
        let here = end - start;
        if here > CROWD {
            let bucket = &mut sorted[start as usize..end as usize];
            let first = bucket[0];
            // Whole numbers, and the zeros of a series that mostly rests, share a bucket with their equals.
            if bucket.iter().all(|value| *value == first) {
            } else if here <= LARGE || axis == Axis::Exponent {
                sort_few(bucket, keys);
            } else {
                let halved = here as usize <= values.len() / 2;
                large.push((offset + start, offset + end, if halved { Axis::Linear } else { Axis::Exponent }));
            }
        }
        start = end;
    }
}

/// Four buckets for five values, and five passes of the sweep, cost least on windows that were not seen before: with fewer
/// of either, more is left to be mended, which the processor cannot foresee; with more, they cost more than they save.
const fn last_bucket(count: usize) -> usize {
    count * 4 / 5
}

/// The bucket of each value, in the order of the values.
fn place(values: &[f64], places: &mut Vec<u32>) {
    let (from, to) = range(values);
    let last = last_bucket(values.len()) as f64;
    let scale = last / (to - from);
    // Adding 2^52 leaves the nearest whole number in the low bits: a conversion that vectorises, for 0 <= x < 2^32.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    places.clear();
    places.extend(values.iter().map(|value| {
        // Written so that what is not a number (0 × infinity, when the range is) counts as 0. Each step is monotone, so
        // a smaller value never gets a higher bucket.
        let place = (value - from) * scale;
        let place = if place > 0.0 { place } else { 0.0 };
        let place = if place < last { place } else { last };
        (place + WHOLE).to_bits() as u32
    }));
}

/// The range over which the buckets are laid: that of a sample, without what lies far outside its middle.
fn range(values: &[f64]) -> (f64, f64) {
    let mut sample = [0.0; SAMPLE];
    let step = values.len() / SAMPLE;
    for (at, slot) in sample.iter_mut().enumerate() {
        *slot = values[at * step];
    }
    sample.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sample[SAMPLE / 16], sample[SAMPLE - 1 - SAMPLE / 16]);
    let middle = high - low;
    if middle > 0.0 {
        return (sample[0].max(low - middle), sample[SAMPLE - 1].min(high + middle));
    }
    values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// Five passes of bubble sort in one: each of five registers carries the largest value its pass has met. Sorts whatever
/// is at most five places from its own. A pass waits for its own comparison, so the two halves are swept side by side; what
/// should cross from one to the other is left to be mended.
fn sweep(sorted: &mut [f64]) {
    const PASSES: usize = 5;
    let half = sorted.len() / 2;
    let (left, right) = sorted.split_at_mut(half);
    let right = &mut right[..half];
    let mut carried = [[f64::MIN; 2]; PASSES];
    for at in 0..half {
        let mut value = [left[at], right[at]];
        for carried in &mut carried {
            let low = [0, 1].map(|side| if value[side] < carried[side] { value[side] } else { carried[side] });
            let high = [0, 1].map(|side| if value[side] > carried[side] { value[side] } else { carried[side] });
            (value, *carried) = (low, high);
        }
        // The first five that fall out are the registers' own beginnings.
        if at >= PASSES {
            (left[at - PASSES], right[at - PASSES]) = (value[0], value[1]);
        }
    }
    for (value, at) in carried.iter().rev().zip(half - PASSES..) {
        (left[at], right[at]) = (value[0], value[1]);
    }
}

/// Insertion sort of what is nearly sorted.
fn mend(sorted: &mut [f64]) {
    for at in 1..sorted.len() {
        let value = sorted[at];
        if sorted[at - 1] <= value {
            continue;
        }
        let mut to = at;
        while to > 0 && sorted[to - 1] > value {
            sorted[to] = sorted[to - 1];
            to -= 1;
        }
        sorted[to] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::noise::Noise;
    use proptest::prelude::*;

    fn check(name: &str, values: &[f64]) {
        let mut scratch = Scratch::default();
        let mut expected: Vec<f64> = values.iter().map(|v| v + 0.0).collect();
        expected.sort_unstable_by(f64::total_cmp);
        assert!(sort_into(values, &mut scratch) == expected, "{name} with {} values", values.len());
    }

    #[test]
    fn every_shape_of_window_is_sorted() {
        for (seed, len) in [(1, 127), (2, 128), (3, 1000), (4, 10_000)] {
            let mut noise = Noise::new(seed);
            let mut of = |shape: &mut dyn FnMut(&mut Noise) -> f64| -> Vec<f64> {
                (0..len).map(|_| shape(&mut noise)).collect()
            };
            let bell = of(&mut |n| n.bell());
            let mut wild = bell.clone();
            wild[len / 2] = 1e308;
            let mut falling = bell.clone();
            falling.sort_by(|a, b| b.total_cmp(a));
            check("bell", &bell);
            check("one wild value", &wild);
            check("falling", &falling);
            check("all equal", &vec![50.0; len]);
            check("both zeros", &of(&mut |n| if n.share() < 0.5 { -0.0 } else { 0.0 }));
            check("mostly zero", &of(&mut |n| if n.share() < 0.9 { 0.0 } else { n.share() }));
            check("whole", &of(&mut |n| (n.share() * 100.0).floor()));
            check("two far modes", &of(&mut |n| if n.share() < 0.5 { n.bell() } else { 1e9 + n.bell() }));
            check("denormal", &of(&mut |n| f64::from_bits((n.share() * 1e6) as u64)));
            check("all magnitudes", &of(&mut |n| n.bell() * 10_f64.powf(600.0 * n.share() - 300.0)));
            check("the largest", &of(&mut |n| if n.share() < 0.5 { 1e308 } else { -1e308 } * n.share()));
            check("two values far apart", &of(&mut |n| if n.share() < 0.5 { f64::MAX } else { f64::MIN }));
        }
    }

    proptest! {
        #[test]
        fn any_finite_window_is_sorted(values in prop::collection::vec(
            any::<f64>().prop_filter("finite", |v| v.is_finite()), 1..400))
        {
            check("arbitrary", &values);
        }
    }
}
