//! How rare a value is beyond what was seen often: a generalised Pareto tail over the top of a histogram, by the method of
//! moments (Hosking and Wallis, Technometrics 29, 1987).

use super::histogram::{Histogram, edge};
use super::log::log10;
use serde::{Deserialize, Serialize};

/// The share of samples that the tail is fitted to.
const SHARE: f32 = 0.08;

/// Samples that the shape has to be seen in before half of it is believed.
const SHAPE_PRIOR: f32 = 20.0;

/// Shapes that are believed: a slightly bounded tail to one without a variance.
const SHAPE: (f32, f32) = (-0.12, 0.5);

/// So many of its standard errors heavier the shape is taken: what lies far beyond what was seen hangs on it, and a page too
/// many in the first days costs more than one too few.
const DOUBT: f32 = 0.3;

/// The mean excess over the tail's beginning that is expected before any was seen, in shares of it, and for how many
/// samples that counts.
const EXCESS_PRIOR: (f32, f32) = (0.4, 3.0);

/// The tail begins at one unit of its feature at the least, the seventh bin.
const FIRST_BIN: usize = 6;

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    /// Where it begins; 0 when it was not fitted yet.
    from: f32,
    /// The share of samples beyond that.
    share: f32,
    scale: f32,
    shape: f32,
}

impl Tail {
    #[inline]
    pub fn touched(&self) -> u32 {
        self.from.to_bits()
    }

    /// `apart`: what a gap sets apart from the tail is no part of it.
    pub fn fit<const BINS: usize>(histogram: &Histogram<BINS>, apart: bool) -> Tail {
        let total = histogram.total();
        let top = if apart { below_gap(histogram) } else { BINS };
        let needed = (SHARE * total).max(10.0);
        let (mut count, mut bin) = (0.0, top);
        while bin > FIRST_BIN && count < needed {
            bin -= 1;
            count += histogram.count(bin);
        }
        let from = edge(bin);
        let (mut sum, mut squares) = (0.0, 0.0);
        for at in bin..top {
            let excess = edge(at) * MIDDLE - from;
            sum += histogram.count(at) * excess;
            squares += histogram.count(at) * excess * excess;
        }
        let (mut mean, mut shape) = (0.0, 0.0);
        if count > 0.0 {
            mean = sum / count;
            let variance = (squares / count - mean * mean).max(1e-12);
            shape = 0.5 * (1.0 - mean * mean / variance) * count / (count + SHAPE_PRIOR);
        }
        let (excess, worth) = EXCESS_PRIOR;
        mean = (count * mean + worth * excess * from) / (count + worth);
        // What is predicted from an exponential tail that was seen k times is (1 + z / k)^-k.
        shape = (shape + 1.0 / (count + worth) + DOUBT / (count + worth).sqrt()).clamp(SHAPE.0, SHAPE.1);
        if shape.abs() < 1e-3 {
            shape = 1e-3;
        }
        Tail { from, share: ((count + 1.0) / (total + 2.0)), scale: (mean * (1.0 - shape)).max(0.08 * from), shape }
    }

    pub fn shape(&self) -> f32 {
        self.shape
    }

    /// Minus the decimal logarithm of the chance that an ordinary value lies beyond; 0 where the tail does not reach.
    #[inline]
    pub fn rarity(&self, value: f32) -> f32 {
        let from = self.from;
        if from <= 0.0 || !self.reaches(value) {
            return 0.0;
        }
        let shape = self.shape;
        let mut ratio = 1.0 + shape * (value - from) / self.scale;
        if ratio < 1e-2 {
            // Beyond the end of a bounded tail: large, and growing still.
            ratio = 1e-2 / (1.0 + value / from * 1e-3);
        }
        -log10(self.share) + log10(ratio) / shape
    }

    /// The value of that rarity, the tail's beginning at least. None: nothing was fitted yet.
    pub fn value_at(&self, rarity: f32) -> Option<f32> {
        let (from, shape) = (self.from, self.shape);
        if from <= 0.0 {
            return None;
        }
        let beyond = rarity + log10(self.share);
        if beyond <= 0.0 {
            return Some(from);
        }
        Some(from + self.scale * (10_f32.powf((beyond * shape).min(30.0)) - 1.0) / shape)
    }

    /// Whether a value of this feature may be in the tail at all.
    #[inline]
    pub fn reaches(&self, value: f32) -> bool {
        value > self.from
    }

    /// Whether that share of samples lies within the tail.
    pub fn holds(&self, share: f32) -> bool {
        self.from > 0.0 && share <= self.share
    }
}

/// Bins without any sample that set what lies above apart from the tail: more than an octave and a half.
const GAP: usize = 4;

/// Of what is set apart: the fewest samples, and the largest share of all, that are incidents rather than a tail.
const APART_MIN: f32 = 1.5;
const APART_MAX: f32 = 0.05;

/// The bin at which the tail ends: what a gap sets apart from it is few, but not one reading alone, and is
/// no part of it. Incidents that nobody noticed would make the next ones ordinary.
fn below_gap<const BINS: usize>(histogram: &Histogram<BINS>) -> usize {
    let (mut above, mut empty, mut top) = (0.0, 0, BINS);
    for bin in (FIRST_BIN..BINS).rev() {
        let count = histogram.count(bin);
        if count == 0.0 {
            empty += 1;
            if empty == GAP && above >= APART_MIN && above <= APART_MAX * histogram.total() {
                top = bin;
            }
        } else {
            empty = 0;
            above += count;
        }
    }
    top
}

/// The middle of a bin over its lower edge, as a logarithm has it: 2^(1/6).
const MIDDLE: f32 = 1.122;

#[cfg(test)]
mod tests {
    use super::super::histogram::{WHOLE, bin};
    use super::*;

    fn histogram(values: impl Iterator<Item = f32>) -> Histogram<28> {
        let mut histogram = Histogram::default();
        values.for_each(|value| histogram.add(bin::<28>(value), WHOLE, 30_000));
        histogram
    }

    /// The value that a share of an exponential with mean 1 exceeds, for shares spread evenly.
    fn exponential(count: usize) -> impl Iterator<Item = f32> {
        (0..count).map(move |n| -((n as f32 + 0.5) / count as f32).ln())
    }

    #[test]
    fn the_tail_of_an_exponential_is_told_beyond_its_record() {
        let tail = Tail::fit(&histogram(exponential(20_000)), true);
        // One in a million lies beyond 13.8; the record of as many is 10.6.
        let value = tail.value_at(6.0).expect("fitted");
        assert!((12.5..17.0).contains(&value), "{value} {tail:?}");
        assert!((tail.rarity(value) - 6.0).abs() < 0.01);
        let few = Tail::fit(&histogram(exponential(300)), true).value_at(6.0).expect("fitted");
        assert!(few > value, "fewer samples, more doubt: {few}");
    }

    #[test]
    fn incidents_set_apart_by_a_gap_do_not_widen_it_and_one_reading_is_no_incident() {
        let level = |wild: usize| {
            let all = exponential(2_000).chain(std::iter::repeat_n(100.0, wild));
            Tail::fit(&histogram(all), true).value_at(5.0).expect("fitted")
        };
        let ordinary = level(0);
        assert!((level(20) - ordinary).abs() < 0.05 * ordinary, "{} {ordinary}", level(20));
        assert!(level(1) > ordinary, "{} {ordinary}", level(1));
        assert!(level(400) > 2.0 * ordinary, "so many are what the series does: {} {ordinary}", level(400));
    }
}
