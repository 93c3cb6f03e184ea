//! Chance from a seed: the same seed gives the same world, on every machine and for ever.
//!
//! xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64. Written out here, because a library that changed its
//! stream between versions would change every transcript.

/// A stream of random numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct Chance {
    state: [u64; 4],
}

impl Chance {
    pub fn new(seed: u64) -> Chance {
        let mut at = seed;
        Chance { state: std::array::from_fn(|_| split_mix(&mut at)) }
    }

    /// A stream of its own for whatever `label` names: a world that gains a series keeps the values of the others.
    pub fn stream(seed: u64, label: &str) -> Chance {
        // FNV-1a: short labels, and nothing rests on its quality, since SplitMix64 follows.
        let hash = label
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut at = seed;
        Chance::new(split_mix(&mut at) ^ hash)
    }

    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform from 0 (inclusive) to 1 (exclusive).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform from `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number from 0 to `count` - 1; `count` must not be 0.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "there is nothing to choose from");
        // The product's high half is uniform but for one part in 2^64 / count, which no simulation can see.
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }

    /// True with this probability. Draws even when the answer is certain, so that a probability may change alone.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// One of these, which must not be empty.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Normal, mean 0, standard deviation 1 (Box and Muller; the second value is let go, so that each call takes two).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// Lognormal: `spread` is the standard deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// Pareto: at least `scale`; the tail falls as x^-`shape`, so the variance is infinite at 2 and under.
    pub fn pareto(&mut self, scale: f64, shape: f64) -> f64 {
        scale / (1.0 - self.uniform()).powf(1.0 / shape)
    }
}

fn split_mix(at: &mut u64) -> u64 {
    *at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *at;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and standard deviation of 200,000 draws.
    fn moments(mut draw: impl FnMut(&mut Chance) -> f64) -> (f64, f64) {
        let mut chance = Chance::new(7);
        let draws: Vec<f64> = (0..200_000).map(|_| draw(&mut chance)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn the_stream_is_the_published_one() {
        // First outputs of xoshiro256++ from state {1, 2, 3, 4}, as in the reference implementation.
        let mut chance = Chance { state: [1, 2, 3, 4] };
        assert_eq!(
            [chance.next_u64(), chance.next_u64(), chance.next_u64()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223]
        );
    }

    #[test]
    fn each_distribution_has_the_moments_of_its_formula() {
        let near = |name: &str, got: (f64, f64), mean: f64, std_dev: f64| {
            assert!((got.0 - mean).abs() < 0.02 * mean.abs().max(1.0), "{name}: mean {} is not {mean}", got.0);
            assert!((got.1 - std_dev).abs() < 0.03 * std_dev, "{name}: deviation {} is not {std_dev}", got.1);
        };
        near("uniform", moments(Chance::uniform), 0.5, (1.0_f64 / 12.0).sqrt());
        near("normal", moments(Chance::normal), 0.0, 1.0);
        near("exponential", moments(|c| c.exponential(3.0)), 3.0, 3.0);
        // exp(s²/2), and sqrt((exp(s²) - 1) exp(s²)).
        near("lognormal", moments(|c| c.lognormal(1.0, 0.5)), 1.1331, 0.6039);
        // a / (a - 1), and sqrt(a / (a - 2)) / (a - 1), at a = 5.
        near("pareto", moments(|c| c.pareto(1.0, 5.0)), 1.25, 0.3227);
    }

    #[test]
    fn streams_are_told_apart_by_seed_and_label() {
        let first = |seed, label| Chance::stream(seed, label).next_u64();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }
}
