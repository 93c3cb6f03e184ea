//! Where a window is heading over time: a straight line, and whether it is more than chance.
//!
//! Samples of one series lean on one another, so a hundred of them may say no more than ten independent ones. The test
//! therefore counts effective samples, in two ways, and believes the fewer. From neighbours: n (1 − ρ) / (1 + ρ), where ρ
//! is the lag-1 correlation of what the line leaves over (Bayley and Hammersley, 1946), corrected for its bias in short
//! windows (Kendall, 1954). And from what is left over as a whole: n times its variance, over the mean square of its slow
//! waves (Müller, 2014; Lazarus, Lewis, Stock and Watson, 2018). A slow memory under white noise hides from the neighbours,
//! and makes the slow waves that a line is mistaken for.

use super::{Trend, sum};
use std::sync::OnceLock;

/// A straight line through a window.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Line {
    pub trend: Trend,
    /// In the series' unit per second.
    pub slope_per_s: f64,
    /// Standard deviation of what the line leaves over.
    pub residual: f64,
    /// How many independent samples the window is worth.
    pub effective: f64,
}

/// Under so many effective samples nothing is said.
const EFFECTIVE_MIN: f64 = 30.0;

/// A rise over the window of less than this many residual sigmas is none that anybody would call so.
const RISE_MIN: f64 = 0.5;

/// The slow waves that tell of a memory: so many cosines, from two half turns over the window on. One half turn is nearly
/// the line itself. With fewer, less would be found in short windows; with more, a memory that lasts a tenth of the window
/// would be missed.
const WAVES: usize = 12;

/// So many steps each wave is read in: smooth for the fastest, and cheap.
const WAVE_STEPS: usize = 32;

/// Two-sided, one per cent, of Student's t with as many degrees of freedom as there are waves.
const CRITICAL: f64 = 3.054_540;

/// Fits a line to values at times in milliseconds (ascending, as many as values). With a `period` (milliseconds) line and the
/// mean of each of its parts (24 a day, fewer where that left under 8 samples a part) are fitted together.
pub fn trend(at: &[i64], values: &[f64], period: Option<u64>) -> Line {
    assert_eq!(at.len(), values.len(), "a time for each value");
    if values.len() < 3 {
        return Line::default();
    }
    let first = at[0];
    let t: Vec<f64> = at.iter().map(|at| (at - first) as f64 / 1000.0).collect();
    let span_s = t[t.len() - 1];
    // Brought to [-1, 1] so that squares of 1e308 do not overflow.
    let scale = values.iter().fold(0.0_f64, |most, v| most.max(v.abs())).max(f64::MIN_POSITIVE);
    let y: Vec<f64> = values.iter().map(|v| v / scale).collect();
    let fit = match period.filter(|period| *period > 0) {
        None => fit(t, y, &[], 1),
        Some(period) => {
            let count = (24 * period.div_ceil(DAY)).min((y.len() / 8).max(1) as u64) as usize;
            let part = |at: &i64| {
                let into = u128::from(at.rem_euclid(period as i64) as u64);
                (into * count as u128 / u128::from(period)) as usize
            };
            fit(t, y, &at.iter().map(part).collect::<Vec<usize>>(), count)
        }
    };
    judge(&fit, span_s, scale)
}

const DAY: u64 = 86_400_000;

struct Fit {
    slope: f64,
    /// Sum of the squares of the times, each around the mean of its part.
    over_t: f64,
    /// What is left over.
    rest: Vec<f64>,
}

/// The slope common to all parts, each of which has a level of its own. `part` says for each value which of `count` it
/// belongs to.
///
/// Times and values taken from the mean of their part give the slope that a fit of slope and levels together has
/// (Frisch and Waugh, 1933): a day that is cut in the middle is no slope.
fn fit(mut t: Vec<f64>, mut y: Vec<f64>, part: &[usize], count: usize) -> Fit {
    for of in [&mut t, &mut y] {
        match count {
            1 => {
                let mean = sum(of, |v| v) / of.len() as f64;
                of.iter_mut().for_each(|v| *v -= mean);
            }
            _ => around_means(of, part, count),
        }
    }
    let over_t = sum(&t, |t| t * t);
    let over_both: f64 = t.iter().zip(&y).map(|(t, y)| t * y).sum();
    let slope = if over_t > 0.0 { over_both / over_t } else { 0.0 };
    y.iter_mut().zip(&t).for_each(|(y, t)| *y -= slope * t);
    Fit { slope, over_t, rest: y }
}

fn around_means(values: &mut [f64], part: &[usize], count: usize) {
    let mut means = vec![(0.0, 0.0); count];
    for (value, part) in values.iter().zip(part) {
        means[*part].0 += value;
        means[*part].1 += 1.0;
    }
    means.iter_mut().for_each(|(sum, samples)| *sum /= f64::max(*samples, 1.0));
    values.iter_mut().zip(part).for_each(|(value, part)| *value -= means[*part].0);
}

/// Whether a slope is more than chance, from what the line left over.
fn judge(fit: &Fit, span_s: f64, scale: f64) -> Line {
    let Fit { slope, over_t, rest } = fit;
    let (n, count) = (rest.len(), rest.len() as f64);
    let (mut squares, mut lagged, mut before) = (0.0, 0.0, 0.0);
    let mut waves = [0.0; WAVES];
    for (step, cosines) in cosines().iter().enumerate() {
        let mut total = 0.0;
        for r in &rest[step * n / WAVE_STEPS..(step + 1) * n / WAVE_STEPS] {
            total += r;
            squares += r * r;
            lagged += r * before;
            before = *r;
        }
        for (wave, cosine) in waves.iter_mut().zip(cosines) {
            *wave += total * cosine;
        }
    }
    let sigma = (squares / count).sqrt();
    let line =
        |trend: Trend, effective: f64| Line { trend, slope_per_s: slope * scale, residual: sigma * scale, effective };
    // A line that leaves nothing over is either flat, or as clear a trend as there can be.
    let rise = slope * span_s;
    if sigma <= 1e-12 * (rise.abs() + sigma) || squares == 0.0 {
        let enough = count >= EFFECTIVE_MIN;
        return line(direction(enough, rise), count);
    }
    let raw = lagged / squares;
    // Removing a line takes about (1 + 4ρ)/n out of the correlation that is measured.
    let rho = (raw + (1.0 + 4.0 * raw) / count).clamp(0.0, 0.99);
    let by_neighbours = count * (1.0 - rho) / (1.0 + rho);
    // The mean of 2/n times a wave's square is the variance of samples that are independent, and as much more as they lean.
    let slow = waves.iter().map(|wave| wave * wave).sum::<f64>() * 2.0 / (count * WAVES as f64);
    let by_waves = squares / slow;
    let effective = by_neighbours.min(by_waves).min(count);
    // A rise that bends makes slow waves as well: by those alone the clearest would be unknown.
    if by_neighbours.min(count) < EFFECTIVE_MIN {
        return line(Trend::Unknown, effective);
    }
    let error = sigma / (over_t / count * effective).sqrt();
    let clear = slope.abs() > CRITICAL * error && rise.abs() >= RISE_MIN * sigma;
    line(if clear { direction(true, rise) } else { Trend::Stable }, effective)
}

/// The slow waves at each step of a window.
fn cosines() -> &'static [[f64; WAVES]; WAVE_STEPS] {
    static COSINES: OnceLock<[[f64; WAVES]; WAVE_STEPS]> = OnceLock::new();
    COSINES.get_or_init(|| {
        std::array::from_fn(|step| {
            let turn = std::f64::consts::PI * (step as f64 + 0.5) / WAVE_STEPS as f64;
            std::array::from_fn(|wave| (turn * (wave + 2) as f64).cos())
        })
    })
}

fn direction(enough: bool, rise: f64) -> Trend {
    match enough {
        false => Trend::Unknown,
        true if rise > 0.0 => Trend::Increasing,
        true if rise < 0.0 => Trend::Decreasing,
        true => Trend::Stable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::*;

    fn minutes(n: usize) -> Vec<i64> {
        (0..n as i64).map(|i| i * 60_000).collect()
    }

    /// A memory of so much from one sample to the next, under so many sigmas of white noise.
    struct World {
        phi: f64,
        white: f64,
        mean: f64,
        sigma: f64,
        /// Over the window, in sigmas.
        rise: f64,
    }

    const STILL: World = World { phi: 0.0, white: 0.0, mean: 0.0, sigma: 1.0, rise: 0.0 };

    impl World {
        fn values(&self, n: usize, noise: &mut Noise) -> Vec<f64> {
            let mut memory = noise.bell();
            (0..n)
                .map(|i| {
                    memory = self.phi * memory + (1.0 - self.phi * self.phi).sqrt() * noise.bell();
                    let white = if self.white > 0.0 { self.white * noise.bell() } else { 0.0 };
                    self.mean + self.sigma * (memory + white + self.rise * i as f64 / n as f64)
                })
                .collect()
        }
    }

    /// Of 400 worlds (seeds 1 to 400): the share that reads so, and the share of which nothing is said.
    fn shares(n: usize, world: &World, wanted: Trend) -> (f64, f64) {
        let mut counts = (0_u32, 0_u32);
        for seed in 1..=400 {
            let said = trend(&minutes(n), &world.values(n, &mut Noise::new(seed)), None).trend;
            counts.0 += u32::from(said == wanted);
            counts.1 += u32::from(said == Trend::Unknown);
        }
        (f64::from(counts.0) / 400.0, f64::from(counts.1) / 400.0)
    }

    #[test]
    fn noise_has_no_trend_however_it_leans_on_itself_and_wherever_it_lies() {
        for (n, least, world) in [
            (2_000, 0.95, World { phi: 0.9, ..STILL }),
            (2_000, 0.97, World { mean: -70.0, ..STILL }),
            (2_000, 0.97, World { mean: 1.0, sigma: 5.0, ..STILL }),
            (300, 0.95, World { phi: 0.5, ..STILL }),
            (100, 0.97, STILL),
            // Slow memory under white noise: the neighbours say little of it.
            (5_000, 0.95, World { phi: 0.99, white: 0.5, ..STILL }),
            (5_000, 0.95, World { phi: 0.99, white: 1.0, ..STILL }),
            (5_000, 0.95, World { phi: 0.99, white: 3.0, ..STILL }),
            (500, 0.95, World { phi: 0.9, white: 1.0, ..STILL }),
            (500, 0.95, World { phi: 0.95, white: 3.0, ..STILL }),
            // A memory that lasts a tenth of the window.
            (500, 0.9, World { phi: 0.98, white: 1.0, ..STILL }),
            (500, 0.9, World { phi: 0.98, white: 3.0, ..STILL }),
            // Worth too few samples to say anything, mostly.
            (5_000, 0.95, World { phi: 0.99, ..STILL }),
            (100, 0.95, World { phi: 0.9, ..STILL }),
        ] {
            let World { phi, white, mean, sigma, .. } = world;
            let (stable, unknown) = shares(n, &world, Trend::Stable);
            println!("n {n}, φ {phi} under white {white}, {mean} ± {sigma}: stable {stable}, unknown {unknown}");
            assert!(stable + unknown >= least, "n {n}, φ {phi} under {white}: stable {stable}, unknown {unknown}");
            assert!(unknown < 0.05 || white == 0.0 && phi >= 0.9, "n {n}, φ {phi} under {white}: unknown {unknown}");
        }
    }

    #[test]
    fn a_rise_is_found_where_it_can_be_told() {
        for (n, rise, phi, least) in [
            (5_000, 1.0, 0.0, 0.97),
            (2_000, 1.0, 0.0, 0.97),
            (500, 1.0, 0.0, 0.97),
            (300, 1.0, 0.0, 0.9),
            (150, 2.0, 0.0, 0.97),
            (100, 2.0, 0.0, 0.97),
            (50, 4.0, 0.0, 0.9),
            (2_000, 1.0, 0.5, 0.97),
            (2_000, 2.0, 0.9, 0.97),
        ] {
            let (found, unknown) = shares(n, &World { rise, phi, ..STILL }, Trend::Increasing);
            println!("n {n}, φ {phi}, a rise of {rise} sigmas: found {found}, unknown {unknown}");
            assert!(found >= least, "n {n}, φ {phi}, a rise of {rise} sigmas: {found}, unknown {unknown}");
        }
    }

    #[test]
    fn a_rise_that_begins_in_the_middle_is_one_although_it_makes_slow_waves() {
        for rise in [3.0, 8.0, 15.0] {
            let mut noise = Noise::new(3);
            let values: Vec<f64> =
                (0..500).map(|i: i32| noise.bell() + rise * f64::from((i - 250).max(0)) / 250.0).collect();
            let line = trend(&minutes(500), &values, None);
            assert_eq!(line.trend, Trend::Increasing, "{rise} sigmas: {line:?}");
        }
    }

    #[test]
    fn a_climb_is_seen_also_through_noise_and_at_uneven_times() {
        let mut noise = Noise::new(7);
        let mut now = 0;
        let at: Vec<i64> = (0..500)
            .map(|_| {
                now += 1000 + (noise.share() * 100_000.0) as i64;
                now
            })
            .collect();
        let up: Vec<f64> = at.iter().map(|t| 5.0 + *t as f64 * 1e-7 + noise.bell()).collect();
        let line = trend(&at, &up, None);
        assert_eq!(line.trend, Trend::Increasing);
        assert!((line.slope_per_s / 1e-4 - 1.0).abs() < 0.2, "{line:?}");
        let down: Vec<f64> = up.iter().map(|v| -v).collect();
        assert_eq!(trend(&at, &down, None).trend, Trend::Decreasing);
    }

    #[test]
    fn a_rise_that_is_clear_and_still_small_is_no_trend() {
        let mut noise = Noise::new(11);
        let rising = |noise: &mut Noise, rise: f64| -> Trend {
            let values: Vec<f64> = (0..20_000).map(|i| rise * f64::from(i) / 20_000.0 + noise.bell()).collect();
            trend(&minutes(20_000), &values, None).trend
        };
        // Both are told from chance with ease; a third of a sigma is nothing that anybody would call a rise.
        assert_eq!((rising(&mut noise, 0.3), rising(&mut noise, 0.7)), (Trend::Stable, Trend::Increasing));
    }

    #[test]
    fn a_day_is_no_trend_when_it_is_known_to_be_a_day() {
        let at: Vec<i64> = (0..288 * 2).map(|i| i * 300_000).collect();
        let mut noise = Noise::new(5);
        let day = |t: i64| (t as f64 / 86_400_000.0 * std::f64::consts::TAU).sin();
        let values: Vec<f64> = at.iter().map(|t| day(*t) + 0.3 * noise.bell()).collect();
        assert_eq!(trend(&at, &values, Some(86_400_000)).trend, Trend::Stable);
    }

    #[test]
    fn too_little_says_nothing_and_extremes_do_not_overflow() {
        assert_eq!(trend(&minutes(20), &[1.0; 20], None).trend, Trend::Unknown);
        assert_eq!(trend(&minutes(100), &[50.0; 100], None).trend, Trend::Stable);
        let ramp: Vec<f64> = (0..100).map(|i| f64::from(i) * 1e306).collect();
        assert_eq!(trend(&minutes(100), &ramp, None).trend, Trend::Increasing);
    }
}
