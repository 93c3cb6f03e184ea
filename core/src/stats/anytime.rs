//! Intervals that may be looked at as often as one likes, and stopped at when they please: all of them hold together with the
//! level's chance, from the first event to the last.
//!
//! An ordinary interval of 95 % holds at one look that was fixed beforehand. Whoever looks every day and believes the first
//! that leaves out zero is wrong far more often than one time in twenty. Here a non-negative martingale is kept for each
//! value that the truth might have; it starts at 1, and reaches 1/(1 - level) with a chance of at most 1 - level, whatever
//! the number of looks (Ville 1939). Values whose martingale got there are left out.
//!
//! Counts. Of a process of events with compensator L (what was to be expected so far, from any rate that may change with time
//! and with what came before), theta^N exp(L (1 - theta)) is such a martingale; over an exponential prior of theta around 1
//! it comes to  e^L N! / (1 + L)^(N + 1)  (Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic
//! confidence sequences, Annals of Statistics 49, 2021, the gamma-Poisson mixture with both parameters 1).
//!
//! Medians. A sample lies under the median, or at it, with a chance of at least one half: the beta-binomial mixture for a half
//! says how many of n may, and the samples of those ranks are the interval (Howard and Ramdas: Sequential estimation of
//! quantiles, Bernoulli 28, 2022).

/// The level of all intervals here.
pub const LEVEL: f64 = 0.95;

/// Steps of a bisection between 0 and 1: what a double tells apart.
const BISECTIONS: usize = 53;

/// Of what a martingale may reach, the logarithm.
fn most() -> f64 {
    -(1.0 - LEVEL).ln()
}

/// ln of the gamma function, for x > 0: Stirling's series from 8 on (error under 1e-10), the recurrence under it.
pub fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 8.0 {
        below += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - below
}

/// Whether so many events are more than a process gives of which so many were to be `expected` so far: true with a chance of
/// 1 in 20 at most, were that so, however often one looks.
pub fn exceeds(count: u64, expected: f64) -> bool {
    count as f64 > expected && Count::new(count as f64).log_evidence(expected) > most()
}

/// A count of events, and the martingale of what was to be expected of it.
struct Count {
    count: f64,
    ln_factorial: f64,
}

impl Count {
    fn new(count: f64) -> Count {
        Count { count, ln_factorial: ln_gamma(count + 1.0) }
    }

    /// The logarithm of the martingale, were `expected` to be expected. Convex, least at the count.
    fn log_evidence(&self, expected: f64) -> f64 {
        expected + self.ln_factorial - (self.count + 1.0) * expected.ln_1p()
    }

    /// Where the slope of that is `slope` (under 1), or 0 where that would be less than nothing.
    fn sloped(&self, slope: f64) -> f64 {
        ((self.count + 1.0) / (1.0 - slope) - 1.0).max(0.0)
    }
}

/// By how much more was to be expected of the first of two counts than of the second, at [`LEVEL`] and at all looks together.
/// Counts are not negative.
///
/// The two are of events that come one at a time, so that the product of their martingales is one as well: the interval is
/// that of all differences with a pair of expectations that the product does not leave out.
pub fn difference(one: f64, other: f64) -> (f64, f64) {
    let (one, other) = (Count::new(one), Count::new(other));
    (-largest(&other, &one), largest(&one, &other))
}

/// The largest difference that the product leaves in. It lies where evidence grows as fast with the one as it grows when the
/// other is taken back (Lagrange), which leaves one number to be found.
fn largest(one: &Count, other: &Count) -> f64 {
    let pair = |slope: f64| (one.sloped(slope), other.sloped(-slope));
    let (mut inside, mut outside) = (0.0, 1.0);
    for _ in 0..BISECTIONS {
        let slope = f64::midpoint(inside, outside);
        let (x, y) = pair(slope);
        if one.log_evidence(x) + other.log_evidence(y) < most() { inside = slope } else { outside = slope }
    }
    let (x, y) = pair(inside);
    x - y
}

/// Between which samples the median lies, at [`LEVEL`] and at all looks together; `sorted` ascending. None: too few to say.
pub fn median(sorted: &[f64]) -> Option<(f64, f64)> {
    // The fewest that may lie at or under the median: their mixture does not reach the level.
    let n = sorted.len();
    let rank = (0..=n / 2).find(|under| log_evidence_of_half(*under, n) < most())?;
    // With the rank-th from below left out it would be fewer; by symmetry the same from above.
    (rank > 0).then(|| (sorted[rank - 1], sorted[n - rank]))
}

/// The logarithm of the beta-binomial martingale of `under` of `n`, were each as likely as not.
fn log_evidence_of_half(under: usize, n: usize) -> f64 {
    let (under, n) = (under as f64, n as f64);
    ln_gamma(under + 1.0) + ln_gamma(n - under + 1.0) - ln_gamma(n + 2.0) + n * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    struct Chance(u64);

    impl Chance {
        /// Over 0, up to 1.
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 11) as f64 + 1.0) / (1u64 << 53) as f64
        }

        /// Until the next event of this rate.
        fn wait(&mut self, rate: f64) -> f64 {
            -self.next().ln() / rate
        }
    }

    #[test]
    fn the_gamma_function_as_in_the_tables() {
        // R: lgamma.
        for (x, wanted) in [
            (0.5, 0.572_364_942_924_700_1),
            (1.0, 0.0),
            (2.0, 0.0),
            (3.7, 1.428_072_326_665_388_3),
            (10.0, 12.801_827_480_081_469),
            (100.5, 361.435_540_467_777_6),
        ] {
            assert!((ln_gamma(x) - wanted).abs() < 1e-8, "{x}: {}", ln_gamma(x));
        }
    }

    #[test]
    fn nothing_seen_leaves_little_and_much_seen_leaves_a_narrow_band() {
        // Two are left in doubt together by less than one alone: e^4.744 / 5.744 = 20.
        let (low, high) = difference(0.0, 0.0);
        assert!((high - 4.744).abs() < 1e-3 && (low + high).abs() < 1e-9, "{low} {high}");
        let (low, high) = difference(1000.0, 0.0);
        // A fixed look would have 1.96 times 31.6; looking forever costs about twice that.
        assert!((860.0..900.0).contains(&low) && (1105.0..1140.0).contains(&high), "{low} {high}");
        let (low, high) = difference(40.0, 10.0);
        assert!(low > 0.0 && low < 15.0 && high > 45.0 && high < 75.0, "{low} {high}");
        let (mirrored_low, mirrored_high) = difference(10.0, 40.0);
        assert!((mirrored_low + high).abs() < 1e-6 && (mirrored_high + low).abs() < 1e-6);
    }

    /// Of runs with two processes of these rates, by time: the share in which any look, after each event, leaves the truth
    /// out; by ours, and by the interval of one look (Wald).
    fn wrong(
        seed: u64,
        runs: u32,
        events: u32,
        rates: impl Fn(f64) -> (f64, f64),
        expected: impl Fn(f64) -> f64,
    ) -> (f64, f64) {
        let mut chance = Chance(seed);
        let (mut ours, mut walds) = (0, 0);
        for _ in 0..runs {
            let (mut at, mut counts) = (0.0, [0.0, 0.0]);
            let (mut out, mut out_wald) = (false, false);
            for _ in 0..events {
                // By thinning, at the most that the two rates come to.
                loop {
                    at += chance.wait(4.0);
                    let (one, other) = rates(at);
                    assert!(one + other <= 4.0);
                    let which = 4.0 * chance.next();
                    if which < one + other {
                        counts[usize::from(which >= one)] += 1.0;
                        break;
                    }
                }
                let truth = expected(at);
                let (low, high) = difference(counts[0], counts[1]);
                out |= !(low <= truth && truth <= high);
                let (mean, wide) = (counts[0] - counts[1], 1.96 * (counts[0] + counts[1]).sqrt());
                out_wald |= (truth - mean).abs() > wide;
            }
            ours += u32::from(out);
            walds += u32::from(out_wald);
        }
        (f64::from(ours) / f64::from(runs), f64::from(walds) / f64::from(runs))
    }

    #[test]
    fn however_often_one_looks_the_truth_is_left_out_in_one_of_twenty_runs_at_most() {
        // Equal rates, unequal ones, and one that falls while it is learned, by half in every 50 units of time.
        let fading = |at: f64| 2.0 * 0.5_f64.powf(at / 50.0);
        let faded = |at: f64| 2.0 * 50.0 / std::f64::consts::LN_2 * (1.0 - 0.5_f64.powf(at / 50.0));
        let cases = [
            ("equal", wrong(1, 200, 150, |_| (1.0, 1.0), |_| 0.0)),
            ("unequal", wrong(2, 200, 150, |_| (0.2, 2.0), |at| -1.8 * at)),
            ("fading", wrong(3, 200, 150, |at| (fading(at), 1.0), |at| faded(at) - at)),
        ];
        for (name, (ours, wald)) in cases {
            println!("{name}: left out in {ours} of the runs, and in {wald} by intervals for one look");
            assert!(ours <= 0.05, "{name}: {ours}");
            assert!(wald > 0.2, "{name}: looking often is what spoils ordinary intervals: {wald}");
        }
    }

    #[test]
    fn the_median_is_left_out_in_one_of_twenty_runs_at_most() {
        assert_eq!(median(&[1.0; 5]), None, "all of five on one side is no proof");
        let mut chance = Chance(4);
        let mut left_out = 0;
        for _ in 0..300 {
            let mut seen: Vec<f64> = Vec::new();
            let mut out = false;
            for _ in 0..150 {
                let value = chance.wait(1.0);
                let at = seen.partition_point(|other| *other < value);
                seen.insert(at, value);
                let truth = std::f64::consts::LN_2;
                out |= median(&seen).is_some_and(|(low, high)| truth < low || high < truth);
            }
            left_out += u32::from(out);
        }
        assert!((1..=15).contains(&left_out), "{left_out} of 300");
        let hundred: Vec<f64> = (0..100).map(f64::from).collect();
        let (low, high) = median(&hundred).expect("enough");
        assert!((25.0..45.0).contains(&low) && low + high == 99.0, "{low} {high}");
    }
}
