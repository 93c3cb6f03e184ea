//! Quantiles in bounded memory: DDSketch (Masson, Rim, Lee, VLDB 2019) of the distances from a middle, collapsed evenly where it
//! would grow too large (Epicoco et al., "UDDSketch", 2020).
//!
//! The published sketch is exact to a share of the value, which is little use for a series at 1000 ± 1. Here it is exact to a share
//! of the distance from a middle, and what lies nearer to that than a floor is the middle. Which bins there are depends on the
//! values alone, not on their order, nor on the order in which sketches are merged.

use crate::varint;

/// Two bins next to each other differ by this factor in their distance from the middle, before any collapse: distances are exact to one
/// part in a hundred.
const GAMMA: f64 = 1.02;

/// Parts that a value counts for at first; others may count for more or less.
pub(crate) const WHOLE: u32 = 16;

/// Where the bins of a sketch lie.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Frame {
    /// Finite.
    pub middle: f64,
    /// Over 0 and finite: what lies nearer to the middle is the middle.
    pub floor: f64,
}

impl Frame {
    /// One that suits values (finite; ascending; at least one): around their median, as fine as an eighth of their spread.
    pub fn of(sorted: &[f64]) -> Frame {
        let at = |share: usize| sorted[(sorted.len() - 1) * share / 4];
        let (middle, ends) = (at(2), sorted[sorted.len() - 1] / 2.0 - sorted[0] / 2.0);
        let spread = if at(3) > at(1) { at(3) / 2.0 - at(1) / 2.0 } else { ends };
        let finest = (middle.abs() * 1e-9).max(f64::MIN_POSITIVE);
        Frame { middle, floor: (spread / FINE).clamp(finest, f64::MAX) }
    }

    /// Whether values (as for [`of`](Frame::of)) lie where it is fine enough for them, and not finer than it has to be.
    pub fn suits(&self, sorted: &[f64]) -> bool {
        let other = Frame::of(sorted);
        let apart = (other.middle / 2.0 - self.middle / 2.0).abs();
        apart <= FAR * FINE * (self.floor / 2.0) && (self.floor / FAR..=self.floor * FAR).contains(&other.floor)
    }
}

/// The floor is this part of the spread of values, and a frame is given up when spread or middle changed by so many times the spread.
const FINE: f64 = 8.0;
const FAR: f64 = 8.0;

/// How values were distributed. All of them are finite.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sketch {
    frame: Frame,
    /// How often it was collapsed: bins differ by `GAMMA` to the power of two to this power.
    level: u8,
    /// 0 is the middle, 1 and on lie above it, -1 and on below; ascending, none empty. Counted in parts of [`WHOLE`].
    bins: Vec<(i32, u32)>,
    lowest: f64,
    highest: f64,
}

impl Sketch {
    pub fn new(frame: Frame) -> Sketch {
        Sketch { frame, level: 0, bins: Vec::new(), lowest: f64::INFINITY, highest: f64::NEG_INFINITY }
    }

    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// How many whole values it holds.
    pub fn count(&self) -> f64 {
        self.parts() as f64 / f64::from(WHOLE)
    }

    fn parts(&self) -> u64 {
        self.bins.iter().map(|(_, parts)| u64::from(*parts)).sum()
    }

    /// Takes in values, each for so many parts; then no more than `most` bins are left.
    pub fn add(&mut self, values: &[f64], parts: u32, most: usize) {
        let mut new: Vec<(i32, u32)> = values.iter().map(|value| (self.bin(*value), parts)).collect();
        for value in values {
            self.reach(*value, *value);
        }
        self.take_in(&mut new, most);
    }

    /// Takes in another one: bin by bin where both have the same frame, else by where its bins lie.
    pub fn merge(&mut self, other: &Sketch, most: usize) {
        if self.frame != other.frame {
            return self.take_over(other, most);
        }
        while self.level < other.level {
            self.collapse();
        }
        let by = self.level - other.level;
        let halved = |bin: i32| (0..by).fold(bin, |bin, _| halved(bin));
        let mut new: Vec<(i32, u32)> = other.bins.iter().map(|(bin, parts)| (halved(*bin), *parts)).collect();
        self.reach(other.lowest, other.highest);
        self.take_in(&mut new, most);
    }

    /// Takes in another one by where its bins lie, which leaves this one as fine as it is: what comes later is known better than what the
    /// other knew.
    pub fn take_over(&mut self, other: &Sketch, most: usize) {
        let mut new: Vec<(i32, u32)> =
            other.bins.iter().map(|(bin, parts)| (self.bin(other.value(*bin)), *parts)).collect();
        self.reach(other.lowest, other.highest);
        self.take_in(&mut new, most);
    }

    /// Lets what it holds count for so much less, 0 to 1; what comes to less than a part is let go of.
    pub fn fade(&mut self, by: f64) {
        for (_, parts) in &mut self.bins {
            *parts = (f64::from(*parts) * by).round() as u32;
        }
        self.bins.retain(|(_, parts)| *parts > 0);
        let (Some((first, _)), Some((last, _))) = (self.bins.first().copied(), self.bins.last().copied()) else {
            (self.lowest, self.highest) = (f64::INFINITY, f64::NEG_INFINITY);
            return;
        };
        // The outermost value is known as long as its bin is.
        if self.bin(self.lowest) != first {
            self.lowest = self.value(first);
        }
        if self.bin(self.highest) != last {
            self.highest = self.value(last);
        }
    }

    /// Its ends are at least these. Of two zeros the one below zero is the lower one, whichever came first.
    fn reach(&mut self, lowest: f64, highest: f64) {
        let lower = |one: f64, other: f64| if one.total_cmp(&other).is_le() { one } else { other };
        self.lowest = lower(self.lowest, lowest);
        self.highest = -lower(-self.highest, -highest);
    }

    fn take_in(&mut self, new: &mut [(i32, u32)], most: usize) {
        new.sort_unstable();
        let mut bins: Vec<(i32, u32)> = Vec::with_capacity(self.bins.len() + new.len());
        let (mut ours, mut others) = (self.bins.iter().peekable(), new.iter().peekable());
        loop {
            let next = match (ours.peek(), others.peek()) {
                (Some(one), Some(other)) if one.0 <= other.0 => ours.next(),
                (_, Some(_)) => others.next(),
                (Some(_), None) => ours.next(),
                (None, None) => break,
            };
            let Some(&(bin, parts)) = next else { break };
            put(&mut bins, bin, parts);
        }
        self.bins = bins;
        while self.bins.len() > most.max(3) {
            self.collapse();
        }
    }

    /// Every two bins become one.
    fn collapse(&mut self) {
        self.level += 1;
        let mut bins = Vec::with_capacity(self.bins.len());
        for (bin, parts) in self.bins.drain(..) {
            put(&mut bins, halved(bin), parts);
        }
        self.bins = bins;
    }

    fn bin(&self, value: f64) -> i32 {
        // Halves, since two finite values may be farther apart than any finite one says.
        let distance = (value / 2.0 - self.frame.middle / 2.0) / (self.frame.floor / 2.0);
        let away = distance.abs();
        if away <= 1.0 {
            return 0;
        }
        let at_first = (away.min(f64::MAX).ln() / GAMMA.ln()).ceil() as i32;
        let bin = (0..self.level).fold(at_first, |bin, _| halved(bin));
        if distance > 0.0 { bin } else { -bin }
    }

    /// Where the values of a bin lie: the one whose distance differs from theirs by the same share at both ends.
    fn value(&self, bin: i32) -> f64 {
        if bin == 0 {
            return self.frame.middle.clamp(self.lowest, self.highest);
        }
        let step = GAMMA.ln() * f64::from(1_u32 << self.level.min(31));
        // floor * e^(bin * step) * 2 / (1 + e^step), in a way that no step is too large for.
        let inwards = if step > 30.0 { step } else { step.exp().ln_1p() };
        let away = self.frame.floor * (2.0_f64.ln() + f64::from(bin.abs()) * step - inwards).exp();
        let value = if bin > 0 { self.frame.middle + away } else { self.frame.middle - away };
        value.clamp(self.lowest, self.highest)
    }

    /// So many values that are distributed as those it took in, ascending: that at the middle of each equal share of them.
    pub fn spread_out(&self, count: usize, to: &mut Vec<f64>) {
        let all = self.parts();
        if all == 0 {
            return;
        }
        let (mut bins, mut below) = (self.bins.iter(), 0_u64);
        let (mut value, mut upto) = (self.lowest, 0_u64);
        for at in 0..count as u64 {
            // The middle of the share: (at + 1/2) / count of all.
            let rank = (2 * at + 1) * all / (2 * count as u64);
            while upto <= rank {
                let Some((bin, parts)) = bins.next() else { break };
                below += u64::from(*parts);
                (value, upto) = (self.value(*bin), below);
            }
            to.push(value);
        }
    }

    /// The values of a sketch in the same bytes, whatever order they came in.
    pub fn encode(&self, to: &mut Vec<u8>) {
        for number in [self.frame.middle, self.frame.floor, self.lowest, self.highest] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.push(self.level);
        varint::put(self.bins.len() as u64, to);
        let mut before = 0_i64;
        for (bin, parts) in &self.bins {
            varint::put(varint::zigzag(i64::from(*bin) - before), to);
            before = i64::from(*bin);
            varint::put(u64::from(*parts), to);
        }
    }

    /// None: these bytes are no sketch.
    pub fn decode(from: &mut &[u8]) -> Option<Sketch> {
        let mut number = || -> Option<f64> {
            let (eight, rest) = from.split_first_chunk()?;
            *from = rest;
            Some(f64::from_le_bytes(*eight))
        };
        let (frame, lowest, highest) = (Frame { middle: number()?, floor: number()? }, number()?, number()?);
        let (level, rest) = from.split_first()?;
        *from = rest;
        let count = varint::take(from)?;
        let mut bins = Vec::with_capacity(usize::try_from(count).ok()?.min(from.len()));
        let mut before = 0_i64;
        for _ in 0..count {
            let step = varint::unzigzag(varint::take(from)?);
            before = before.checked_add(step)?;
            if step <= 0 && !bins.is_empty() {
                return None;
            }
            let parts = u32::try_from(varint::take(from)?).ok().filter(|parts| *parts > 0)?;
            bins.push((i32::try_from(before).ok()?, parts));
        }
        let sound = frame.middle.is_finite() && frame.floor.is_finite() && frame.floor > 0.0 && *level < 32;
        let ends = lowest.is_finite() && highest.is_finite() && lowest <= highest;
        (sound && (ends || bins.is_empty())).then_some(Sketch { frame, level: *level, bins, lowest, highest })
    }
}

/// The bin that holds this one, where bins are twice as wide.
fn halved(bin: i32) -> i32 {
    bin.signum() * (bin.abs() + 1) / 2
}

fn put(bins: &mut Vec<(i32, u32)>, bin: i32, parts: u32) {
    match bins.last_mut() {
        Some((last, sum)) if *last == bin => *sum = sum.saturating_add(parts),
        _ => bins.push((bin, parts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    }

    fn bytes(sketch: &Sketch) -> Vec<u8> {
        let mut bytes = Vec::new();
        sketch.encode(&mut bytes);
        bytes
    }

    #[test]
    fn quantiles_are_near_in_a_share_of_their_distance_from_the_middle() {
        // A thousand and something: of the value itself a hundredth would be ten.
        let values: Vec<f64> = (0..1000).map(|n| 1000.0 + f64::from(n) / 100.0).collect();
        let mut sketch = Sketch::new(Frame::of(&values));
        sketch.add(&values, WHOLE, 4096);
        let mut out = Vec::new();
        sketch.spread_out(1000, &mut out);
        for (is, was) in out.iter().zip(&values) {
            assert!(
                (is - was).abs() <= 0.011 * (was - sketch.frame.middle).abs() + sketch.frame.floor,
                "{is} for {was}"
            );
        }
        sketch.merge(&sketch.clone(), 48);
        assert!(sketch.bins.len() <= 48 && sketch.count() == 2000.0);
        out.clear();
        sketch.spread_out(100, &mut out);
        assert!((out[97] - 1009.75).abs() < 0.6, "{}", out[97]);
    }

    #[test]
    fn zeros_of_either_sign_are_the_same_bytes_in_any_order() {
        let of = |values: &[f64]| {
            let mut sketch = Sketch::new(Frame { middle: 0.0, floor: 1.0 });
            values.iter().for_each(|value| sketch.add(&[*value], WHOLE, 8));
            bytes(&sketch)
        };
        assert_eq!(of(&[-0.0, 0.0]), of(&[0.0, -0.0]));
    }

    #[test]
    fn what_is_old_counts_for_less_and_is_forgotten() {
        let mut sketch = Sketch::new(Frame { middle: 0.0, floor: 0.1 });
        sketch.add(&[1.0, 1.0, 50.0], WHOLE, 64);
        (0..5).for_each(|_| sketch.fade(0.5));
        assert!(sketch.count() < 0.2 && sketch.highest == 50.0);
        sketch.add(&[2.0; 10], WHOLE, 64);
        sketch.fade(0.4);
        assert!(sketch.highest < 3.0 && sketch.count() > 3.0, "{sketch:?}");
    }

    proptest! {
        #[test]
        fn the_order_of_values_and_of_merges_changes_no_byte(
            values in prop::collection::vec(prop_oneof![-1e3..1e3_f64, any::<f64>()], 1..300),
            parts in 1..7_usize,
            most in 4..80_usize,
        ) {
            let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
            prop_assume!(!values.is_empty());
            let frame = Frame::of(&sorted(&values));
            let mut whole = Sketch::new(frame);
            whole.add(&values, WHOLE, most);
            let sketches: Vec<Sketch> = values.chunks(values.len().div_ceil(parts)).map(|some| {
                let mut sketch = Sketch::new(frame);
                some.iter().rev().for_each(|value| sketch.add(&[*value], WHOLE, most));
                sketch
            }).collect();
            for order in [sketches.iter().collect::<Vec<_>>(), sketches.iter().rev().collect()] {
                let mut merged = Sketch::new(frame);
                order.into_iter().for_each(|sketch| merged.merge(sketch, most));
                prop_assert_eq!(bytes(&merged), bytes(&whole));
            }
            prop_assert!(whole.bins.len() <= most && whole.count() == values.len() as f64);
            let encoded = bytes(&whole);
            let mut rest = encoded.as_slice();
            prop_assert_eq!(Sketch::decode(&mut rest), Some(whole.clone()));
            prop_assert!(rest.is_empty());
            let mut out = Vec::new();
            whole.spread_out(values.len(), &mut out);
            prop_assert!(out.len() == values.len() && out.is_sorted());
            let (low, high) = (sorted(&values)[0], sorted(&values)[values.len() - 1]);
            prop_assert!(out.iter().all(|value| (low..=high).contains(value)));
        }

        #[test]
        fn any_bytes_are_a_sketch_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Sketch::decode(&mut bytes.as_slice());
        }
    }
}
