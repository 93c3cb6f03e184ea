//! What a feature was so far: a histogram in thirds of octaves, from which shares of the tail are read.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Lower edge of the second bin: what lies under it is ordinary and falls into the first.
const LEAST: f32 = 0.25;

/// Bounds between the thirds of an octave: 2^(1/3) and 2^(2/3).
const THIRD: f32 = 1.259_921;
const TWO_THIRDS: f32 = 1.587_401;

/// Counts in thirds of octaves from a quarter up. A sample may count less than one, in steps of 1 / `STEPS`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Histogram<const BINS: usize> {
    counts: [u16; BINS],
    /// How many samples there were; halved with the counts.
    samples: u16,
}

/// For so many samples of its own counts what a series takes over from one like it.
const INHERITED: f32 = 500.0;

/// Steps in which a sample counts: halves.
pub(super) const WHOLE: u16 = 2;
pub(super) const HALF: u16 = 1;

/// Bins that a histogram has at most; and masks: from `MOST - bin` on, the first `bin` of them let nothing through, and the others all.
const MOST: usize = 32;
const FROM: [u16; 2 * MOST] = {
    let mut masks = [0; 2 * MOST];
    let mut at = MOST;
    while at < 2 * MOST {
        masks[at] = u16::MAX;
        at += 1;
    }
    masks
};

impl<const BINS: usize> Default for Histogram<BINS> {
    fn default() -> Self {
        Histogram { counts: [0; BINS], samples: 0 }
    }
}

/// The bin of a finite value that is not negative.
#[inline]
pub(super) fn bin<const BINS: usize>(value: f32) -> usize {
    if value <= LEAST {
        return 0;
    }
    let bits = value.to_bits();
    let octave = (bits >> 23) as i32 - 125;
    let fraction = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    let third = i32::from(fraction >= THIRD) + i32::from(fraction >= TWO_THIRDS);
    ((3 * octave + third) as usize).min(BINS - 1)
}

/// Lower edge of a bin.
#[inline]
pub(super) fn edge(bin: usize) -> f32 {
    // A quarter has the power 125 of its bits, and each octave the next one.
    f32::from_bits((bin as u32 / 3 + 125) << 23) * [1.0, THIRD, TWO_THIRDS][bin % 3]
}

impl<const BINS: usize> Histogram<BINS> {
    /// Reads from its middle and its end.
    #[inline]
    pub fn touched(&self) -> u32 {
        u32::from(self.samples ^ self.counts[BINS / 2])
    }

    pub fn add(&mut self, bin: usize, halves: u16, most: u16) {
        if self.samples >= most {
            self.samples = self.samples.div_ceil(2);
            self.counts.iter_mut().for_each(|count| *count = count.div_ceil(2));
        }
        self.samples += 1;
        self.counts[bin] = self.counts[bin].saturating_add(halves);
    }

    /// How many samples it holds.
    #[inline]
    pub fn total(&self) -> f32 {
        f32::from(self.samples)
    }

    /// The same shares, of no more than [`INHERITED`] samples: what a series like another is to expect at first.
    pub fn thinned(&self) -> Self {
        let factor = (INHERITED / self.total()).min(1.0);
        let mut thinned = self.clone();
        thinned.samples = (self.total() * factor).round() as u16;
        thinned.counts.iter_mut().for_each(|count| *count = (f32::from(*count) * factor).round() as u16);
        thinned
    }

    #[inline]
    pub fn count(&self, bin: usize) -> f32 {
        f32::from(self.counts[bin]) / f32::from(WHOLE)
    }

    /// How many samples lie in this bin or above.
    #[inline]
    pub fn from(&self, bin: usize) -> f32 {
        // All are looked at, eight at once: a loop over some of them goes one by one.
        let masks = &FROM[MOST - bin..][..BINS];
        let halves: u32 = self.counts.iter().zip(masks).map(|(count, mask)| u32::from(count & mask)).sum();
        halves as f32 / f32::from(WHOLE)
    }

    /// The value that a share of the samples exceeds, evenly spread within its bin.
    pub fn exceeded_by(&self, share: f32) -> f32 {
        let wanted = share * self.total();
        let mut above = 0.0;
        for bin in (1..BINS).rev() {
            let here = self.count(bin);
            if above + here >= wanted && here > 0.0 {
                let along = (wanted - above) / here;
                return edge(bin) + (edge(bin + 1) - edge(bin)) * (1.0 - along);
            }
            above += here;
        }
        LEAST
    }
}

impl<const BINS: usize> Serialize for Histogram<BINS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (super::packed(&self.counts), self.samples).serialize(serializer)
    }
}

impl<'de, const BINS: usize> Deserialize<'de> for Histogram<BINS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (counts, samples) = <(super::Packed, u16)>::deserialize(deserializer)?;
        Ok(Histogram { counts: counts.counts()?, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_thirds_of_octaves() {
        assert_eq!((bin::<32>(0.0), bin::<32>(0.25), bin::<32>(0.26)), (0, 0, 0));
        for at in 1..31 {
            assert_eq!(bin::<32>(edge(at) * 1.000_001), at);
            assert_eq!(bin::<32>(edge(at) * 0.999_999), at - 1);
            assert!((edge(at) - 0.25 * 2_f32.powf(at as f32 / 3.0)).abs() < 1e-6 * edge(at));
        }
        assert_eq!(bin::<32>(f32::MAX), 31);
    }

    #[test]
    fn it_says_what_a_share_exceeds_and_forgets_by_halves() {
        let mut histogram = Histogram::<28>::default();
        for n in 0..1000 {
            histogram.add(bin::<28>(n as f32 / 100.0), WHOLE, 30_000);
        }
        assert!((histogram.exceeded_by(0.1) - 9.0).abs() < 0.1, "{}", histogram.exceeded_by(0.1));
        assert!((histogram.exceeded_by(0.5) - 5.0).abs() < 0.1, "{}", histogram.exceeded_by(0.5));
        histogram.add(0, WHOLE, 1000);
        assert!((histogram.total() - 501.0).abs() < 1.0 && (histogram.from(0) - 501.0).abs() < 20.0);
        assert!((histogram.exceeded_by(0.1) - 9.0).abs() < 0.2);
    }
}
