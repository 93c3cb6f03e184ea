//! What a window says: moments, quantiles, trend, tail. Knows nothing of the loop.

pub mod anytime;
pub mod histogram;
#[cfg(test)]
pub(crate) mod noise;
pub mod normal;
pub mod poisson;
pub mod season;
pub(crate) mod sketch;
mod sort;
pub mod tail;
pub mod trend;
pub(crate) use sort::sort_few;
pub use sort::{Scratch, sort_into};

use serde::{Deserialize, Serialize};

/// All statistics of a window, exact. Quantiles interpolate linearly between order statistics (type 7 of Hyndman and
/// Fan, 1996); `std_dev` is the population's.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Statistics {
    pub count: usize,
    pub mean: f64,
    pub median: f64,
    pub std_dev: f64,
    pub min: f64,
    pub max: f64,
    pub p25: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub iqr: f64,
}

/// Where a window is heading over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    Increasing,
    Decreasing,
    Stable,
    #[default]
    Unknown,
}

impl Statistics {
    /// Of a window: its values in any order, and the same in ascending order (at least one, all finite).
    pub fn of(values: &[f64], sorted: &[f64]) -> Statistics {
        assert!(!sorted.is_empty() && values.len() == sorted.len(), "a window with at least one value, sorted");
        let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
        // Brought to at most 1 while they are summed where squares would leave a double's range. No others are, since
        // dividing each would cost more than all the rest.
        let largest = max.abs().max(min.abs());
        let (unit, (mean, variance)) = match largest == 0.0 || (1e-150..=1e150).contains(&largest) {
            true => (1.0, moments(values, |v| v)),
            false => (largest, moments(values, |v| v / largest)),
        };
        let at = |q: f64| quantile(sorted, q);
        let (p25, p75) = (at(0.25), at(0.75));
        Statistics {
            count: values.len(),
            mean: (mean * unit).clamp(min, max),
            median: at(0.5),
            std_dev: (variance.sqrt() * unit).min(f64::MAX),
            min,
            max,
            p25,
            p75,
            p90: at(0.90),
            p95: at(0.95),
            p99: at(0.99),
            iqr: (p75 - p25).min(f64::MAX),
        }
    }
}

/// Mean and variance of what `of` makes of each value.
fn moments(values: &[f64], of: impl Fn(f64) -> f64) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = sum(values, &of) / count;
    (mean, sum(values, |v| (of(v) - mean) * (of(v) - mean)) / count)
}

/// Four sums side by side: one after the other they would wait for each addition.
pub(crate) fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; 4];
    let mut fours = values.chunks_exact(4);
    for four in &mut fours {
        for (sum, value) in sums.iter_mut().zip(four) {
            *sum += of(*value);
        }
    }
    sums.iter().sum::<f64>() + fours.remainder().iter().map(|v| of(*v)).sum::<f64>()
}

/// Type 7: linear between order statistics. `sorted` is ascending and not empty, `q` from 0 to 1.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, part) = (rank.floor() as usize, rank.fract());
    let low = sorted[below];
    match sorted.get(below + 1) {
        Some(high) if part > 0.0 => low * (1.0 - part) + high * part,
        _ => low,
    }
}

/// The median of the distances from `center`, from values in ascending order.
pub fn median_deviation(sorted: &[f64], center: f64) -> f64 {
    let (below, above) = sorted.split_at(sorted.partition_point(|v| *v < center));
    let wanted = (sorted.len() - 1) as f64 * 0.5;
    let (rank, part) = (wanted.floor() as usize, wanted.fract());
    let low = distance_of_rank(below, above, center, rank);
    let median =
        if part > 0.0 { low * (1.0 - part) + distance_of_rank(below, above, center, rank + 1) * part } else { low };
    median.min(f64::MAX)
}

/// The distance from `center` that `rank` others are not beyond. Outwards from it, values below and above are two ascending
/// lists of distances; halving finds how many of the nearest `rank + 1` come from below, without walking through them.
fn distance_of_rank(below: &[f64], above: &[f64], center: f64, rank: usize) -> f64 {
    let down = |i: usize| center - below[below.len() - 1 - i];
    let up = |i: usize| above[i] - center;
    let nearest = rank + 1;
    let (mut least, mut most) = (nearest.saturating_sub(above.len()), nearest.min(below.len()));
    while least < most {
        let from_below = (least + most) / 2;
        // One more from below is nearer than the last of those taken from above.
        if down(from_below) < up(nearest - from_below - 1) {
            least = from_below + 1;
        } else {
            most = from_below;
        }
    }
    let last_down = if least > 0 { down(least - 1) } else { f64::NEG_INFINITY };
    let last_up = if least < nearest { up(nearest - least - 1) } else { f64::NEG_INFINITY };
    last_down.max(last_up)
}

/// How many independent samples a window is worth: n (1 − ρ) / (1 + ρ) with its lag-1 correlation ρ, never more than n.
pub fn effective_count(values: &[f64], mean: f64, std_dev: f64) -> f64 {
    let count = values.len() as f64;
    // Scaled before they are multiplied: squares of 1e200 would be infinite.
    let unit = 1.0 / std_dev;
    if !(unit > 0.0 && unit.is_finite()) {
        return count;
    }
    let product = |a: f64, b: f64| (a - mean) * unit * ((b - mean) * unit);
    // Four sums side by side, as in `sum`.
    let mut sums = [0.0; 4];
    let next = &values[values.len().min(1)..];
    let (mut fours, mut next_fours) = (values[..next.len()].chunks_exact(4), next.chunks_exact(4));
    for (four, next) in (&mut fours).zip(&mut next_fours) {
        for ((sum, a), b) in sums.iter_mut().zip(four).zip(next) {
            *sum += product(*a, *b);
        }
    }
    let rest = fours.remainder().iter().zip(next_fours.remainder()).map(|(a, b)| product(*a, *b));
    let lagged = sums.iter().sum::<f64>() + rest.sum::<f64>();
    let rho = (lagged / count).clamp(0.0, 0.99);
    // Differences beyond the largest double say nothing of how samples lean on one another.
    if rho.is_nan() {
        return 1.0;
    }
    count * (1.0 - rho) / (1.0 + rho)
}

/// The same of whether each value is one of those that `is` picks: how many independent looks their share comes from.
pub fn effective_count_of(values: &[f64], is: impl Fn(f64) -> bool) -> f64 {
    let count = values.len() as f64;
    let (mut picked, mut pairs, mut before) = (0_u32, 0_u32, false);
    for value in values {
        let now = is(*value);
        picked += u32::from(now);
        pairs += u32::from(now && before);
        before = now;
    }
    let share = f64::from(picked) / count;
    let variance = share * (1.0 - share);
    if variance <= 0.0 {
        return count;
    }
    let rho = ((f64::from(pairs) / count - share * share) / variance).clamp(0.0, 0.99);
    count * (1.0 - rho) / (1.0 + rho)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ascending(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    proptest! {
        #[test]
        fn the_median_deviation_is_the_median_of_the_distances(
            values in prop::collection::vec(prop_oneof![-5.0..5.0_f64, (-3..3).prop_map(f64::from), Just(1e6)], 1..60),
            center in prop_oneof![-6.0..6.0_f64, (-3..3).prop_map(f64::from), Just(2e6)])
        {
            let sorted = ascending(values);
            let distances = ascending(sorted.iter().map(|v| (v - center).abs()).collect());
            prop_assert_eq!(median_deviation(&sorted, center), quantile(&distances, 0.5));
        }

        #[test]
        fn sums_side_by_side_are_the_sums(values in prop::collection::vec(-100.0..100.0_f64, 2..60)) {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
            let said = Statistics::of(&values, &ascending(values.clone()));
            prop_assert!((said.mean - mean).abs() < 1e-9 && (said.std_dev - variance.sqrt()).abs() < 1e-9, "{said:?}");
            let lagged = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
            let rho = (lagged / variance / count).clamp(0.0, 0.99);
            let effective = count * (1.0 - rho) / (1.0 + rho);
            prop_assert!((effective_count(&values, mean, variance.sqrt()) / effective - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_largest_doubles_have_statistics_too() {
        let values: Vec<f64> = (0..100).map(|n| if n % 2 == 0 { f64::MAX } else { f64::MIN }).collect();
        let said = Statistics::of(&values, &ascending(values.clone()));
        assert_eq!((said.mean, said.std_dev, said.iqr), (0.0, f64::MAX, f64::MAX));
        assert_eq!(median_deviation(&ascending(values.clone()), 0.0), f64::MAX);
        assert!((effective_count(&values, said.mean, said.std_dev) - 100.0).abs() < 1e-9);
        assert_eq!(effective_count(&[1.0; 50], 1.0, 0.0), 50.0, "a constant has no memory to take away");
    }
}
