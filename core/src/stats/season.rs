//! Whether a window repeats itself, and after how long.
//!
//! A day and a week by the clock are tried first, then what the window's autocorrelation shows. Each is put to one test. The
//! window is cut into periods, and each period into its first few waves. Where nothing repeats, the phases of a wave are
//! independent from one period to the next: then the squared length of their sum, over what it would be if all agreed, exceeds
//! r with the chance (1 − r)^(m − 1) in m periods (as in Rayleigh's test, with Gaussian lengths). Either one wave stands out,
//! or all do a little (Fisher's method). What climbs or wanders would agree by its ends alone, so each period is laid between its ends
//! first: what is left of a random walk is a bridge, whose waves are independent and have no preferred phase.

use super::{quantile, sum};
use std::f64::consts::TAU;

const DAY: u64 = 86_400_000;
const WEEK: u64 = 7 * DAY;

/// The window is read in so many parts at most, and as many of its last samples one by one.
const BINS: usize = 256;
const LAST: usize = 384;

/// The variance of a window is read off so many of its values in order.
const ORDERED: usize = 256;

/// Sums of smaller numbers stay finite.
const LARGEST: f64 = 1e290;

/// Of fewer samples nothing is said.
const BINS_MIN: usize = 24;

/// So many waves of a period are looked at.
const WAVES: usize = 4;

/// A period is at least so many bins long: fewer show no wave.
const BINS_PER_PERIOD: usize = 4;

/// A season that chance would show as clearly in so many windows is none.
const CHANCE: f64 = 0.005;

/// The waves have to make up this share of the variance at least: less, and no bound becomes better by it.
const SHARE_MIN: f64 = 0.02;

/// A week that adds less than this share to what the day explains is a day.
const WEEK_SHARE: f64 = 0.1;

/// A lag's correlation is at least so many times what it is by chance, if its period is to be looked at.
const CORRELATION_MIN: f32 = 3.0;

/// So many of the highest peaks of the autocorrelation are looked at, of short lags and of long ones.
const PEAKS: usize = 4;

/// What repeats after a while does so after twice that as well: of periods whose evidence is at least this share of the
/// clearest, the shortest is taken.
const AS_CLEAR: f64 = 0.7;

/// Values at these quantiles stand for what lies farther out, and so do those so many interquartile ranges from the
/// quartiles: wild readings are no season, and hide none.
const OUTERMOST: f64 = 0.005;
const OUTERMOST_RANGES: f64 = 5.0;

/// The period of a window in milliseconds; None: it shows none, or was not seen for two whole ones.
///
/// Times (milliseconds) ascend, as many as values; `sorted` are the same values in ascending order.
pub fn find(at: &[i64], values: &[f64], sorted: &[f64]) -> Option<u64> {
    assert!(at.len() == values.len() && at.len() == sorted.len(), "a time for each value, and each value sorted");
    let whole = Bins::of(at, values, sorted, BINS)?;
    let day = whole.clock(DAY);
    if let Some(week) = whole.clock(WEEK)
        && day.is_none_or(|day| week.share >= WEEK_SHARE * day.share)
    {
        return Some(WEEK);
    }
    if day.is_some() {
        return Some(DAY);
    }
    if !whole.is_white(values.len())
        && let Some(period) = whole.search(whole.means.len() / 2)
    {
        return Some(period);
    }
    // What repeats within a bin of the whole window is seen in its last samples only.
    let last = if values.len() < 2 * LAST { BINS } else { LAST };
    if values.len() < 2 * last {
        return None;
    }
    let start = values.len() - last;
    let period = Bins::of(&at[start..], &values[start..], sorted, last)?.search(last / 4)?;
    // A length that is a little wrong has lost its phase over the whole window.
    repeats(at, values, sorted, period).then_some(period)
}

/// A window in equal parts.
struct Bins {
    width_ms: f64,
    /// Mean of each bin, around the window's middle, in units of its range.
    means: Vec<f32>,
    /// Variance of the values, in the same unit.
    variance: f64,
}

/// What the test says of a period.
#[derive(Clone, Copy)]
struct Found {
    /// How likely chance would show it as clearly.
    chance: f64,
    /// Its share of the variance.
    share: f64,
}

impl Bins {
    /// Into so many bins at most. `sorted` are the values of the window that these are of.
    fn of(at: &[i64], values: &[f64], sorted: &[f64], most: usize) -> Option<Bins> {
        let count = values.len().min(most);
        let (low, high) = ordinary(sorted);
        let range = high - low;
        let unit = 1.0 / range;
        // What could overflow in a sum, or is too small to be divided by, has no season.
        let usable = low.abs().max(high.abs()) < LARGEST && range > 0.0 && unit.is_finite();
        if count < BINS_MIN || !usable {
            return None;
        }
        let (first, last) = (at[0], at[at.len() - 1]);
        // The last sample stands for the time after it, as each does.
        let span = (last - first) as f64 * values.len() as f64 / (values.len() - 1) as f64;
        let width_ms = span / count as f64;
        if width_ms < 1.0 {
            return None;
        }
        let middle = low / 2.0 + high / 2.0;
        let clipped = |v: f64| v.max(low).min(high);
        let mut means = vec![f32::NAN; count];
        let (mut from, mut empty) = (0, 0);
        for (bin, mean) in means.iter_mut().enumerate() {
            // Half a millisecond is where equal steps end that cannot be whole milliseconds.
            let end = first as f64 + width_ms * (bin + 1) as f64 - 0.5;
            let mut to = (from + values.len() / count).min(at.len());
            while to > from && at[to - 1] as f64 >= end {
                to -= 1;
            }
            while to < at.len() && (at[to] as f64) < end {
                to += 1;
            }
            match to - from {
                0 => empty += 1,
                seen => *mean = ((sum(&values[from..to], clipped) / seen as f64 - middle) * unit) as f32,
            }
            from = to;
        }
        if 2 * empty > count {
            return None;
        }
        fill(&mut means);
        // Read off so many order statistics.
        let (mut total, mut squares) = (0.0, 0.0);
        for n in 0..ORDERED {
            let value = (clipped(sorted[(2 * n + 1) * sorted.len() / (2 * ORDERED)]) - middle) * unit;
            total += value / ORDERED as f64;
            squares += value * value / ORDERED as f64;
        }
        let variance = squares - total * total;
        Some(Bins { width_ms, means, variance })
    }

    /// The bins vary as the means of as many independent samples do: nothing repeats over more than one of them.
    fn is_white(&self, samples: usize) -> bool {
        let (per_bin, count) = (samples as f64 / self.means.len() as f64, self.means.len() as f64);
        let mean = self.means.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let variance = self.means.iter().map(|v| (f64::from(*v) - mean) * (f64::from(*v) - mean)).sum::<f64>() / count;
        per_bin >= 4.0 && variance * per_bin < 1.3 * self.variance
    }

    /// A period that is known beforehand, when the window shows it.
    fn clock(&self, period_ms: u64) -> Option<Found> {
        let found = self.test(period_ms as f64 / self.width_ms)?;
        (found.chance < CHANCE).then_some(found)
    }

    /// The period of at most so many bins that the autocorrelation shows, in milliseconds.
    fn search(&self, lags: usize) -> Option<u64> {
        let correlation = self.autocorrelation(lags + 1);
        let least = correlation[0] * (CORRELATION_MIN / (self.means.len() as f32).sqrt());
        let is_peak = |lag: &usize| {
            let here = correlation[*lag];
            here >= least && here >= correlation[lag - 1] && here > correlation[lag + 1]
        };
        let mut peaks: Vec<usize> = (BINS_PER_PERIOD..=lags).filter(is_peak).collect();
        peaks.sort_by(|a, b| correlation[*b].total_cmp(&correlation[*a]));
        // Of what repeats often, all multiples have peaks, and the highest is any of them: the short lags come first.
        let (short, long): (Vec<usize>, Vec<usize>) = peaks.into_iter().partition(|lag| *lag <= lags / 4);
        let peaks = short.into_iter().take(PEAKS).chain(long.into_iter().take(PEAKS));
        // As many lags as were looked at had as many chances.
        let mut found: Vec<(f64, f64)> = Vec::new();
        for lag in peaks {
            let (bins, error) = refined(&correlation, lag, lags);
            // The peak may be that of two or three periods, if what lies one of them apart is alike as well.
            let is_alike = |part: &f64| correlation[(lag as f64 / part).round() as usize] >= least;
            for part in [1.0, 2.0, 3.0].into_iter().filter(is_alike) {
                let period = round(bins / part * self.width_ms, error / part * self.width_ms);
                if let Some(Found { chance, .. }) = self.test(period / self.width_ms) {
                    found.push((period, -(chance * lags as f64).ln()));
                }
            }
        }
        let clearest = found.iter().map(|(_, nats)| *nats).fold(-CHANCE.ln(), f64::max);
        let nearly = found.iter().filter(|(_, nats)| *nats >= AS_CLEAR * clearest && *nats >= -CHANCE.ln());
        nearly.map(|(period, _)| *period).reduce(f64::min).map(|period| period as u64)
    }

    /// Correlation (times the variance) with itself so many bins later, for lags under `lags`, of what a straight line leaves.
    fn autocorrelation(&self, lags: usize) -> Vec<f32> {
        let count = self.means.len() as f32;
        let middle = (count - 1.0) / 2.0;
        let (mut mean, mut slope) = (0.0, 0.0);
        for (i, value) in self.means.iter().enumerate() {
            mean += value / count;
            slope += value * (i as f32 - middle);
        }
        slope *= 12.0 / (count * (count * count - 1.0));
        let rest: Vec<f32> =
            self.means.iter().enumerate().map(|(i, value)| value - mean - slope * (i as f32 - middle)).collect();
        (0..=lags)
            .map(|lag| {
                let (now, later) = (&rest[..rest.len() - lag], &rest[lag..]);
                product(now, later) / now.len() as f32
            })
            .collect()
    }

    /// Puts a period of so many bins to the test, over the last whole ones. None: there are fewer than two.
    fn test(&self, period: f64) -> Option<Found> {
        let count = self.means.len();
        let waves = WAVES.min((period / BINS_PER_PERIOD as f64) as usize);
        // A part of a bin may be missing to two whole ones.
        let periods = ((count as f64 + 0.5) / period) as usize;
        if waves == 0 || periods < 2 {
            return None;
        }
        let start = (count as f64 - periods as f64 * period).max(0.0);
        let mut sums = [(0.0, 0.0); WAVES];
        let mut squares = [0.0; WAVES];
        for n in 0..periods {
            let from = start + n as f64 * period;
            for (wave, (re, im)) in self.waves(from, period).into_iter().enumerate().take(waves) {
                sums[wave].0 += re;
                sums[wave].1 += im;
                squares[wave] += re * re + im * im;
            }
        }
        let m = periods as f64;
        let (mut evidence, mut clearest, mut power) = (0.0, 0.0_f64, 0.0);
        for wave in 0..waves {
            let together = sums[wave].0 * sums[wave].0 + sums[wave].1 * sums[wave].1;
            if squares[wave] > 0.0 {
                let agreement = (together / (m * squares[wave])).min(1.0 - 1e-12);
                let nats = -(m - 1.0) * (1.0 - agreement).ln();
                evidence += nats;
                clearest = clearest.max(nats);
            }
            power += 2.0 * together / (m * m);
        }
        // One clear wave, or all of them a little.
        let chance = 2.0 * gamma_tail(waves, evidence).min(waves as f64 * (-clearest).exp());
        let share = power / self.variance;
        (share >= SHARE_MIN).then_some(Found { chance, share })
    }

    /// The first waves of what one period does between its ends, from a place between bins on.
    fn waves(&self, from: f64, period: f64) -> [(f64, f64); WAVES] {
        let to = from + period;
        // A bin at an end counts as far as it lies inside, and a place is told from the start, at the middle of the bin.
        let (first, last) = (from as usize, (to.ceil() as usize).min(self.means.len()));
        let inside = |i: usize| ((i + 1) as f64).min(to) - (i as f64).max(from);
        let place = |i: usize| i as f64 + 0.5 - from;
        let climb = (self.end(to, period) - self.end(from, period)) / period;
        let bridge = |i: usize| f64::from(self.means[i]) - climb * place(i);
        let mean = (first..last).map(|i| inside(i) * bridge(i)).sum::<f64>() / period;
        // Each wave turns by itself, side by side: one that is made from the one before would wait for it.
        let turn = TAU / period;
        let (mut cos, mut sin) = multiples(place(first) * turn);
        let (step_cos, step_sin) = multiples(turn);
        let (mut re, mut im) = ([0.0; WAVES], [0.0; WAVES]);
        for i in first..last {
            let y = inside(i) * (bridge(i) - mean) / period;
            for wave in 0..WAVES {
                re[wave] += y * cos[wave];
                im[wave] += y * sin[wave];
                let before = cos[wave];
                cos[wave] = before * step_cos[wave] - sin[wave] * step_sin[wave];
                sin[wave] = before * step_sin[wave] + sin[wave] * step_cos[wave];
            }
        }
        std::array::from_fn(|wave| (re[wave], im[wave]))
    }

    /// The value at a place between bins: the mean of what is a sixteenth of a period around it, at most three bins to
    /// either side. The noise of a single bin would climb through the whole period.
    fn end(&self, place: f64, period: f64) -> f64 {
        let half = (period / 16.0).clamp(0.5, 3.5);
        let (from, to) = ((place - half).max(0.0), (place + half).min(self.means.len() as f64));
        let (mut sum, mut weight) = (0.0, 0.0);
        for i in from as usize..(to.ceil() as usize).min(self.means.len()) {
            let inside = ((i + 1) as f64).min(to) - (i as f64).max(from);
            sum += inside * f64::from(self.means[i]);
            weight += inside;
        }
        sum / weight
    }
}

/// Cosine and sine of an angle and its multiples.
fn multiples(angle: f64) -> ([f64; WAVES], [f64; WAVES]) {
    let (sin, cos) = angle.sin_cos();
    let (mut cosines, mut sines) = ([cos; WAVES], [sin; WAVES]);
    for wave in 1..WAVES {
        cosines[wave] = cosines[wave - 1] * cos - sines[wave - 1] * sin;
        sines[wave] = cosines[wave - 1] * sin + sines[wave - 1] * cos;
    }
    (cosines, sines)
}

/// Between which values a reading counts as it is.
fn ordinary(sorted: &[f64]) -> (f64, f64) {
    let (low, high) = (quantile(sorted, OUTERMOST), quantile(sorted, 1.0 - OUTERMOST));
    let (q1, q3) = (quantile(sorted, 0.25), quantile(sorted, 0.75));
    let reach = OUTERMOST_RANGES * (q3 - q1);
    if reach > 0.0 { (low.max(q1 - reach), high.min(q3 + reach)) } else { (low, high) }
}

/// Bins without a sample lie on the line between their neighbours.
fn fill(means: &mut [f32]) {
    let mut last: Option<usize> = None;
    for i in 0..means.len() {
        if means[i].is_nan() {
            continue;
        }
        let from = last.map_or(0, |last| last + 1);
        let before = last.map_or(means[i], |last| means[last]);
        for gap in from..i {
            let along = (gap + 1 - from) as f32 / (i + 1 - from) as f32;
            means[gap] = before + (means[i] - before) * along;
        }
        last = Some(i);
    }
    if let Some(last) = last {
        let value = means[last];
        means[last + 1..].fill(value);
    }
}

/// Sum of products, many side by side.
fn product(a: &[f32], b: &[f32]) -> f32 {
    const WIDE: usize = 32;
    let mut sums = [0.0_f32; WIDE];
    let (mut blocks, mut others) = (a.chunks_exact(WIDE), b.chunks_exact(WIDE));
    for (block, other) in (&mut blocks).zip(&mut others) {
        for ((sum, a), b) in sums.iter_mut().zip(block).zip(other) {
            *sum += a * b;
        }
    }
    let rest = blocks.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// The period in bins, and how wrong it may be, from the peak at `lag` and at its multiples: those far out tell it more
/// finely.
fn refined(correlation: &[f32], lag: usize, lags: usize) -> (f64, f64) {
    let top = |lag: usize| {
        let [before, here, after] = [lag - 1, lag, lag + 1].map(|lag| f64::from(correlation[lag]));
        let bend = before - 2.0 * here + after;
        if bend < 0.0 { lag as f64 + (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { lag as f64 }
    };
    let (mut period, mut multiple) = (top(lag), 1.0_f64);
    // A peak is looked for near where it should be, and never as far off as the next one.
    let near = if lag < 8 { 1 } else { 2 };
    while period * 2.0 * multiple <= lags as f64 {
        multiple *= 2.0;
        let expected = (period * multiple).round() as usize;
        let around = expected - near..=(expected + near).min(lags);
        let Some(peak) = around.max_by(|a, b| correlation[*a].total_cmp(&correlation[*b])) else { break };
        period = top(peak) / multiple;
    }
    (period, 1.0 / multiple)
}

/// The roundest length (whole hours before quarters of one, down to seconds) that is within the error: what repeats is
/// mostly somebody's timetable.
fn round(period_ms: f64, error_ms: f64) -> f64 {
    const UNITS_MS: [f64; 7] = [3_600_000.0, 900_000.0, 300_000.0, 60_000.0, 10_000.0, 5_000.0, 1_000.0];
    let nearest = |unit: f64| (period_ms / unit).round() * unit;
    let close = |round: &f64| *round > 0.0 && (round - period_ms).abs() <= error_ms;
    UNITS_MS.into_iter().map(nearest).find(close).unwrap_or_else(|| period_ms.round().max(1.0))
}

/// The chance that a sum of so many standard exponentials exceeds `x`.
fn gamma_tail(count: usize, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..count {
        sum += term;
        term *= x / (k + 1) as f64;
    }
    (-x).exp() * sum
}

/// Whether the whole window is less far from the means of the parts of a period than from its own mean, by more than
/// chance: what few parts explain of many samples.
fn repeats(at: &[i64], values: &[f64], sorted: &[f64], period: u64) -> bool {
    const PARTS: usize = 12;
    let (low, high) = ordinary(sorted);
    let range = high - low;
    let (mut sums, mut counts) = ([0.0; PARTS], [0.0; PARTS]);
    let (mut total, mut squares) = (0.0, 0.0);
    for (at, value) in at.iter().zip(values) {
        let part = (at.rem_euclid(period as i64) as f64 / period as f64 * PARTS as f64) as usize;
        let value = (value.clamp(low, high) - low) / range;
        sums[part.min(PARTS - 1)] += value;
        counts[part.min(PARTS - 1)] += 1.0;
        total += value;
        squares += value * value;
    }
    let count = values.len() as f64;
    let mean = total / count;
    let between: f64 =
        sums.iter().zip(counts).filter(|(_, n)| *n > 0.0).map(|(sum, n)| n * (sum / n - mean) * (sum / n - mean)).sum();
    between >= SHARE_MIN.max(4.0 * PARTS as f64 / count) * (squares - count * mean * mean)
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;

    const MINUTE: i64 = 60_000;

    fn times(count: usize, step_ms: i64) -> Vec<i64> {
        (0..count as i64).map(|i| 1_700_000_000_000 + i * step_ms).collect()
    }

    fn found(at: &[i64], values: &[f64]) -> Option<u64> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        find(at, values, &sorted)
    }

    /// Of seeds 1 to 300, how many windows of so many samples show a season.
    fn shows(count: usize, step_ms: i64, values: impl Fn(&mut Noise) -> Vec<f64>) -> f64 {
        let at = times(count, step_ms);
        let shown = (1..=300).filter(|seed| found(&at, &values(&mut Noise::new(*seed))).is_some()).count();
        shown as f64 / 300.0
    }

    #[test]
    fn noise_and_walks_have_no_season() {
        for (count, step_ms) in [
            (100, MINUTE),
            (600, 5 * MINUTE),
            (2_016, 5 * MINUTE),
            (6_048, 5 * MINUTE),
            (10_000, 10_000),
            (700, 60 * MINUTE),
        ] {
            let white = shows(count, step_ms, |noise| (0..count).map(|_| noise.bell()).collect());
            let leaning = |phi: f64| {
                shows(count, step_ms, |noise| {
                    let mut memory = noise.bell() / (1.0 - phi * phi).sqrt();
                    let mut next = || {
                        memory = phi * memory + noise.bell();
                        memory
                    };
                    (0..count).map(|_| next()).collect()
                })
            };
            let (some, much) = (leaning(0.9), leaning(0.99));
            let walk = shows(count, step_ms, |noise| {
                let mut level = 0.0;
                (0..count)
                    .map(|_| {
                        level += noise.bell();
                        level
                    })
                    .collect()
            });
            let climbing = shows(count, step_ms, |noise| {
                (0..count).map(|i| 10.0 * i as f64 / count as f64 + noise.bell()).collect()
            });
            println!(
                "{count} of {step_ms} ms: white {white}, φ .9 {some}, φ .99 {much}, walk {walk}, climb {climbing}"
            );
            for share in [white, some, much, walk, climbing] {
                assert!(
                    share <= 0.03,
                    "{count} of {step_ms} ms: white {white}, φ .9 {some}, φ .99 {much}, walk {walk}, climb {climbing}"
                );
            }
        }
    }

    #[test]
    fn a_day_a_week_and_what_no_clock_says_are_found() {
        let wave = |t: i64, period: f64| (t as f64 / period * TAU).sin();
        let hours = 3_600_000.0;
        let workday = |t: i64| if t.rem_euclid(WEEK as i64) / DAY as i64 > 1 { 1.0 } else { 0.0 };
        type Shape<'a> = &'a dyn Fn(i64) -> f64;
        let cases: [(&str, usize, i64, f64, Shape, u64); 10] = [
            ("a day in three weeks", 6_048, 5 * MINUTE, 0.3, &|t| wave(t, 24.0 * hours), DAY),
            ("a day in noise", 6_048, 5 * MINUTE, 1.5, &|t| wave(t, 24.0 * hours), DAY),
            ("a day in two", 2_880, MINUTE, 0.1, &|t| wave(t, 24.0 * hours), DAY),
            ("a day in three", 4_320, MINUTE, 0.3, &|t| wave(t, 24.0 * hours), DAY),
            ("two peaks a day", 6_048, 5 * MINUTE, 0.5, &|t| wave(t, 12.0 * hours), DAY),
            ("an hour's job a day", 6_048, 5 * MINUTE, 0.2, &|t| f64::from(t.rem_euclid(DAY as i64) < 3_600_000), DAY),
            ("a week in four", 672, 60 * MINUTE, 0.2, &|t| workday(t) * (1.5 + wave(t, 24.0 * hours)), WEEK),
            ("a week in three", 6_048, 5 * MINUTE, 0.2, &|t| workday(t) * (1.5 + wave(t, 24.0 * hours)), WEEK),
            ("45 minutes", 8_640, 10_000, 0.5, &|t| wave(t, 0.75 * hours), 45 * 60_000),
            ("5 minutes", 8_640, 10_000, 0.5, &|t| wave(t, hours / 12.0), 5 * 60_000),
        ];
        for (what, count, step_ms, noisy, shape, wanted) in cases {
            let at = times(count, step_ms);
            let right = (1..=40)
                .filter(|seed| {
                    let mut noise = Noise::new(*seed);
                    let values: Vec<f64> = at.iter().map(|t| shape(*t) + noisy * noise.bell()).collect();
                    let found = found(&at, &values);
                    if found != Some(wanted) {
                        println!("{what}, seed {seed}: {found:?}");
                    }
                    found == Some(wanted)
                })
                .count();
            assert!(right >= 38, "{what}: {right} of 40");
        }
    }

    #[test]
    fn a_season_is_seen_through_gaps_wild_readings_and_a_wandering_level() {
        let mut noise = Noise::new(4);
        let mut level = 0.0;
        let all = times(4_032, 5 * MINUTE);
        let at: Vec<i64> = all.into_iter().filter(|t| t.rem_euclid(3 * DAY as i64) > 40_000_000).collect();
        let values: Vec<f64> = at
            .iter()
            .map(|t| {
                level += 0.03 * noise.bell();
                let wild = if noise.share() < 0.002 { 1e9 } else { 0.0 };
                (*t as f64 / DAY as f64 * TAU).sin() + level + 0.3 * noise.bell() + wild
            })
            .collect();
        assert_eq!(found(&at, &values), Some(DAY));
    }

    #[test]
    fn where_nothing_can_be_said_nothing_is() {
        let at = times(600, MINUTE);
        for value in [0.0, 50.0, 1e308] {
            assert_eq!(found(&at, &[value; 600]), None);
        }
        let ends: Vec<f64> = (0..600).map(|i| if i / 60 % 2 == 0 { f64::MAX } else { f64::MIN }).collect();
        assert_eq!(found(&at, &ends), None, "a range beyond the largest double");
        assert_eq!(found(&at[..1], &[1.0]), None);
        assert_eq!(found(&[5; 100], &(0..100).map(f64::from).collect::<Vec<_>>()), None, "all at once");
        // A wave and a half of a day is no day.
        let at = times(36 * 12, 5 * MINUTE);
        let values: Vec<f64> = at.iter().map(|t| (*t as f64 / DAY as f64 * TAU).sin()).collect();
        assert_eq!(found(&at, &values), None);
    }
}
