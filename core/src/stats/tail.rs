//! Beyond which value an ordinary sample falls with a small probability, also one smaller than the window could show.
//!
//! Peaks over threshold (Pickands 1975; Siffer et al. 2017): what exceeds the outermost twentieth is described by a
//! generalised Pareto distribution, fitted by probability-weighted moments (Hosking and Wallis, 1987). The outermost
//! exceedances are taken as no further out than the next, and what a gap sets apart is left out: neither a wild reading nor an
//! incident of up to a two-hundredth of the window moves anything.

use super::quantile;

/// The share of samples, per side, that counts as tail.
const TAIL: f64 = 0.05;

/// The shape is kept where extrapolation stays sane: a little under 0 (a bounded tail) to 0.5 (a heavy one).
const SHAPE_MIN: f64 = -0.12;
const SHAPE_MAX: f64 = 0.5;

/// Exceedances under which the shape is not estimated but taken as exponential.
const EXCEEDANCES_FOR_SHAPE: usize = 40;

/// One exceedance in so many is taken as no further out than the next.
const WILD: usize = 50;

/// The value beyond which, above, a sample falls with probability `p`. Of a tail at least its threshold plus `floor`; a `p`
/// that lies inside of the body is read off the window. `sorted` is ascending and not empty, `floor` a positive distance under which values are the same, `independent` the
/// share (0 to 1) of independent samples among them: the fewer, the farther out.
pub fn upper_level(sorted: &[f64], p: f64, floor: f64, independent: f64) -> f64 {
    if p >= TAIL {
        return quantile(sorted, 1.0 - p);
    }
    let start = quantile(sorted, 1.0 - TAIL);
    let count = sorted.len() - sorted.partition_point(|v| *v <= start);
    start + reach(count, |i| sorted[sorted.len() - count + i] - start, p, floor, independent)
}

/// The same below.
pub fn lower_level(sorted: &[f64], p: f64, floor: f64, independent: f64) -> f64 {
    if p >= TAIL {
        return quantile(sorted, p);
    }
    let start = quantile(sorted, TAIL);
    let count = sorted.partition_point(|v| *v < start);
    start - reach(count, |i| start - sorted[count - 1 - i], p, floor, independent)
}

/// How far beyond the threshold. `exceedance(i)` ascends for `i` under `count`.
fn reach(count: usize, exceedance: impl Fn(usize) -> f64, p: f64, floor: f64, independent: f64) -> f64 {
    if count == 0 {
        return floor;
    }
    let count = count - wild_ones(count, &exceedance, floor);
    let wild = count.div_ceil(WILD).min(count - 1);
    let n = count as f64;
    let (each, mut mean, mut weighted) = (1.0 / n, 0.0, 0.0);
    for i in 0..count {
        let value = exceedance(i.min(count - 1 - wild)) * each;
        mean += value;
        weighted += value * (1.0 - (i as f64 + 0.65) * each);
    }
    let mean = mean.max(floor);
    let weighted = weighted.max(floor / 2.0);
    let spread = mean - 2.0 * weighted;
    let shape = match count >= EXCEEDANCES_FOR_SHAPE && spread > 0.0 {
        true => (2.0 - mean / spread).clamp(SHAPE_MIN, SHAPE_MAX),
        false => 0.0,
    };
    // What is predicted by an exponential that was seen k times has the tail (1 + z/k)^-k: of the shape 1/k.
    let shape = (shape + 1.0 / (n * independent + 1.0)).min(SHAPE_MAX);
    // The scale that goes with this shape and the mean: shape was kept in its range, the mean stays what it is.
    let scale = mean * (1.0 - shape);
    let beyond = TAIL / p;
    let reach = if shape.abs() < 1e-9 { scale * beyond.ln() } else { scale * (beyond.powf(shape) - 1.0) / shape };
    reach.max(floor)
}

/// How many of the outermost exceedances are of another kind than the rest, at most a tenth of them.
///
/// In a tail of shape ξ the k-th spacing on the log scale, times k, is exponential with the mean ξ (Rényi, 1953); of what
/// exceeds a threshold, half as much again. One that the heaviest tail we believe in shows once in a hundred windows is a
/// gap: what lies beyond it are an incident's samples.
fn wild_ones(count: usize, exceedance: impl Fn(usize) -> f64, floor: f64) -> usize {
    let most = count / 10;
    let gap = 1.5 * SHAPE_MAX * (100.0 * most as f64).ln();
    let size = |k: usize| exceedance(count - k).max(floor);
    let is_gap = |k: &usize| {
        let (ratio, wanted) = (size(*k) / size(k + 1), gap / *k as f64);
        // A logarithm is at most the number less one: most need none.
        ratio - 1.0 > wanted && ratio.ln() > wanted
    };
    (1..=most).rev().find(is_gap).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;

    fn sorted(n: usize, seed: u64, f: impl Fn(&mut Noise) -> f64) -> Vec<f64> {
        let mut noise = Noise::new(seed);
        let mut values: Vec<f64> = (0..n).map(|_| f(&mut noise)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn a_bells_tail_is_extrapolated_to_about_the_right_place() {
        for seed in 1..=20 {
            let values = sorted(5000, seed, |noise| noise.bell());
            let level = upper_level(&values, 3.4e-6, 1e-9, 1.0);
            assert!((3.4..=7.0).contains(&level), "seed {seed}: {level} for 4.5");
            assert!((-7.0..=-3.4).contains(&lower_level(&values, 3.4e-6, 1e-9, 1.0)));
        }
    }

    #[test]
    fn one_wild_reading_hardly_moves_it() {
        let calm = sorted(2000, 3, |noise| 100.0 + noise.bell());
        let mut wild = calm.clone();
        wild[1999] = 1e6;
        let (calm, wild) = (upper_level(&calm, 3.4e-6, 1e-9, 1.0), upper_level(&wild, 3.4e-6, 1e-9, 1.0));
        assert!((wild / calm - 1.0).abs() < 0.01, "{calm} {wild}");
    }

    #[test]
    fn what_was_seen_of_few_independent_samples_is_trusted_less_far_out() {
        let values = sorted(100, 9, |noise| noise.bell());
        let level = |independent| upper_level(&values, 3.4e-6, 1e-9, independent);
        assert!(level(1.0) > 4.5 && level(0.1) > 2.0 * level(1.0), "{} {}", level(1.0), level(0.1));
        let many = sorted(5000, 9, |noise| noise.bell());
        let level = |independent| upper_level(&many, 3.4e-6, 1e-9, independent);
        assert!(level(0.1) < 1.5 * level(1.0), "{} {}", level(1.0), level(0.1));
    }

    #[test]
    fn an_incident_hardly_moves_it_and_a_heavy_tail_is_no_incident() {
        for seed in 1..=20 {
            let calm = sorted(2000, seed, |noise| 100.0 + noise.bell());
            for wild in [3, 6, 9] {
                let mut values = calm.clone();
                values.extend((0..wild).map(|i| 140.0 + 30.0 * ((i * 7) % 5) as f64));
                values.sort_by(f64::total_cmp);
                let (level, calm) = (upper_level(&values, 3.4e-6, 1e-9, 1.0), upper_level(&calm, 3.4e-6, 1e-9, 1.0));
                assert!((level / calm - 1.0).abs() < 0.03, "seed {seed}, {wild} wild: {level}, {calm} without");
            }
        }
        // One in a hundred heavy tails may look like one.
        let heavy = |seed| sorted(2000, seed, |noise| (1.0 - noise.share()).max(1e-9).powf(-0.5));
        let found = (1..=400).filter(|seed| {
            let values = heavy(*seed);
            let start = quantile(&values, 1.0 - TAIL);
            let beyond: Vec<f64> = values.iter().filter(|v| **v > start).map(|v| v - start).collect();
            wild_ones(beyond.len(), |i| beyond[i], 1e-9) > 0
        });
        let found = found.count();
        assert!(found <= 12, "{found} of 400");
    }

    #[test]
    fn a_constant_has_a_level_beyond_itself() {
        assert!(upper_level(&[50.0; 200], 3.4e-6, 0.5, 1.0) > 50.0);
        assert!(lower_level(&[50.0; 200], 3.4e-6, 0.5, 1.0) < 50.0);
    }
}
