//! What a window says: moments, quantiles, trend, tail. Knows nothing of the loop.

pub mod histogram;
#[cfg(test)]
pub(crate) mod noise;
pub mod normal;
mod sort;
pub mod tail;
pub mod trend;
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
        let count = values.len() as f64;
        // Brought to at most 1 while they are summed: squares of numbers near the ends of a double's range are not in it.
        let largest = max.abs().max(min.abs());
        let unit = if largest == 0.0 || (1e-150..=1e150).contains(&largest) { 1.0 } else { largest };
        let mean = sum(values, |v| v / unit) / count;
        let variance = sum(values, |v| (v / unit - mean) * (v / unit - mean)) / count;
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

/// Four sums side by side: one after the other they would wait for each addition.
fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
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

/// The median of the distances from `center`, from values in ascending order: the two halves are walked outwards at once.
pub fn median_deviation(sorted: &[f64], center: f64) -> f64 {
    let above = sorted.partition_point(|v| *v < center);
    let (mut low, mut high) = (above, above);
    let wanted = (sorted.len() - 1) as f64 * 0.5;
    let (mut before, mut last) = (0.0, 0.0);
    for _ in 0..=wanted.ceil() as usize {
        let down = if low > 0 { center - sorted[low - 1] } else { f64::INFINITY };
        let up = sorted.get(high).map_or(f64::INFINITY, |v| v - center);
        before = last;
        last = if down <= up {
            low -= 1;
            down
        } else {
            high += 1;
            up
        };
    }
    let part = wanted.fract();
    (if part > 0.0 { before * (1.0 - part) + last * part } else { last }).min(f64::MAX)
}

/// How many independent samples a window is worth: n (1 − ρ) / (1 + ρ) with its lag-1 correlation ρ, never more than n.
pub fn effective_count(values: &[f64], mean: f64, std_dev: f64) -> f64 {
    let count = values.len() as f64;
    if std_dev <= 0.0 || !std_dev.is_finite() {
        return count;
    }
    let lagged: f64 = values.windows(2).map(|pair| (pair[0] - mean) / std_dev * ((pair[1] - mean) / std_dev)).sum();
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
