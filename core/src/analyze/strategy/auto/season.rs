//! What a series usually is at a time of day, or of the week: means of equal parts of a period.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Parts of a table that were met so often are met often.
const MET_MAX: u16 = 3;

/// Steps of a cell above and below the base.
const STEPS: f32 = 8191.0;

/// Means by part of a period. Two bytes each: a step above or below a base, and how often the part was met.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Table<const PARTS: usize> {
    base: f32,
    step: f32,
    cells: [u16; PARTS],
    /// The part that is being met, how many values of it, and their mean.
    open: u16,
    count: u16,
    so_far: f32,
}

/// A cell's low two bits count how often its part was met.
const MET_BITS: u32 = 2;

impl<const PARTS: usize> Default for Table<PARTS> {
    fn default() -> Self {
        Table { base: 0.0, step: 0.0, cells: [0; PARTS], open: 0, count: 0, so_far: 0.0 }
    }
}

impl<const PARTS: usize> Table<PARTS> {
    /// How often a part was met, up to three, its present visit not counted.
    #[inline]
    pub fn met(&self, part: usize) -> u16 {
        self.cells[part] & MET_MAX
    }

    #[inline]
    pub fn mean(&self, part: usize) -> f32 {
        self.base + f32::from((self.cells[part] as i16) >> MET_BITS) * self.step
    }

    /// Takes a value in. When that begins another part, the one before is over: which it was, and its mean this time.
    #[inline]
    pub fn see(&mut self, part: usize, value: f32) -> Option<(usize, f32)> {
        let mut over = None;
        if part != usize::from(self.open) {
            over = (self.count > 0).then_some((usize::from(self.open), self.so_far));
            self.open = part as u16;
            self.count = 0;
        }
        // Of more than that the mean is a running one.
        self.count = self.count.saturating_add(1);
        self.so_far = if self.count == 1 { value } else { self.so_far + (value - self.so_far) / f32::from(self.count) };
        over
    }

    /// Moves the mean of a part towards what it was this time, by `rate` at the least. `spread` is how far the series' values
    /// usually lie from one another.
    pub fn learn(&mut self, part: usize, value: f32, rate: f32, spread: f32) {
        let met = self.met(part);
        let mean = match met {
            0 => value,
            met => {
                let mean = self.mean(part);
                mean + rate.max(1.0 / (f32::from(met) + 1.0)) * (value - mean)
            }
        };
        self.put(part, mean, met + 1, spread);
    }

    /// A part has this mean, and was met so often.
    pub fn put(&mut self, part: usize, mean: f32, met: u16, spread: f32) {
        if (mean - self.base).abs() > STEPS * self.step {
            self.stretch(mean, spread);
        }
        self.set(part, mean, met.min(MET_MAX));
    }

    /// Makes room for a mean that lies outside of what the steps reach: but never for one a thousand spreads away, by which
    /// all others would become the same.
    fn stretch(&mut self, mean: f32, spread: f32) {
        let met: Vec<usize> = (0..PARTS).filter(|part| self.met(*part) > 0).collect();
        if met.is_empty() {
            self.base = mean;
            self.step = spread.max(mean.abs() * 1e-7).max(1e-30) / 1024.0;
            return;
        }
        let means: Vec<f32> = met.iter().map(|part| self.mean(*part)).collect();
        let (low, high) = means.iter().fold((mean, mean), |(low, high), mean| (low.min(*mean), high.max(*mean)));
        let base = low / 2.0 + high / 2.0;
        let reach = (1.25 * (high - base)).min(1000.0 * spread.max(self.step));
        self.step = self.step.max(reach / STEPS);
        // Where the reach was cut short, the base stays with the many.
        self.base = if reach >= high - base { base } else { self.base };
        for (part, mean) in met.into_iter().zip(means) {
            self.set(part, mean, self.met(part));
        }
    }

    fn set(&mut self, part: usize, mean: f32, met: u16) {
        let steps = ((mean - self.base) / self.step).round().clamp(-STEPS, STEPS) as i16;
        self.cells[part] = ((steps << MET_BITS) as u16 & !MET_MAX) | met;
    }
}

impl<const PARTS: usize> Serialize for Table<PARTS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.base, self.step, super::packed(&self.cells), self.open, self.count, self.so_far).serialize(serializer)
    }
}

impl<'de, const PARTS: usize> Deserialize<'de> for Table<PARTS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (base, step, cells, open, count, so_far) =
            <(f32, f32, super::Packed, u16, u16, f32)>::deserialize(deserializer)?;
        let cells = cells.counts()?;
        if usize::from(open) >= PARTS {
            return Err(serde::de::Error::custom("a season has fewer parts"));
        }
        Ok(Table { base, step, cells, open, count, so_far })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(table: &mut Table<96>, part: usize, value: f32, spread: f32) {
        if let Some((part, mean)) = table.see(part, value) {
            table.learn(part, mean, 0.25, spread);
        }
    }

    #[test]
    fn parts_have_their_means_to_a_thousandth_of_the_spread() {
        let mut table = Table::<96>::default();
        let wave = |part: usize| 1e6 + 500.0 * (part as f32 / 96.0 * std::f32::consts::TAU).sin();
        for day in 0..4 {
            for part in 0..96 {
                for n in 0..3 {
                    assert_eq!(table.met(part), day.min(3));
                    follow(&mut table, part, wave(part) + (n as f32 - 1.0), 320.0);
                }
            }
        }
        follow(&mut table, 0, 0.0, 320.0);
        for part in 0..96 {
            assert!((table.mean(part) - wave(part)).abs() < 0.5, "{part}: {} {}", table.mean(part), wave(part));
        }
    }

    #[test]
    fn one_wild_value_takes_no_other_parts_mean() {
        let mut table = Table::<96>::default();
        for n in 0..960 {
            let value = if n == 500 { 1e18 } else { (n % 96) as f32 };
            follow(&mut table, n % 96, value, 25.0);
        }
        for part in (0..95).filter(|part| *part != 500 % 96) {
            assert!((table.mean(part) - part as f32).abs() < 5.0, "{part}: {}", table.mean(part));
        }
    }

    #[test]
    fn a_level_that_moves_far_is_followed() {
        let mut table = Table::<96>::default();
        for n in 0..96 * 40 {
            let value = if n < 96 * 4 { 10.0 } else { 5000.0 } + (n % 96) as f32;
            follow(&mut table, n % 96, value, if n < 96 * 4 { 1.0 } else { 500.0 });
        }
        assert!((table.mean(50) - 5050.0).abs() < 50.0, "{}", table.mean(50));
    }
}
