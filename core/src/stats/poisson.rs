//! Counts of rare, independent things: how many a mean allows.

use super::normal;

/// Above this mean a count is a bell for all that is asked here.
const LARGE: f64 = 500.0;

/// The least count that such a count stays at or under with at least this chance (inside 0 and 1). `mean` is above 0.
pub fn quantile(chance: f64, mean: f64) -> f64 {
    if mean > LARGE {
        // Wilson and Hilferty: the cube root of a count is nearly a bell.
        let third = 1.0 - 1.0 / (9.0 * mean) + normal::quantile(chance) / (3.0 * mean.sqrt());
        return (mean * third.powi(3)).floor().max(0.0);
    }
    let (mut count, mut term) = (0.0, (-mean).exp());
    let mut sum = term;
    while sum < chance && count < 3.0 * LARGE {
        count += 1.0;
        term *= mean / count;
        sum += term;
    }
    count
}

/// The chance that a count of this mean (above 0) stays at or under `most`.
pub fn cdf(most: f64, mean: f64) -> f64 {
    if mean > LARGE {
        return normal::cdf((most + 0.5 - mean) / mean.sqrt());
    }
    let (mut count, mut term) = (0.0, (-mean).exp());
    let mut sum = term;
    while count < most {
        count += 1.0;
        term *= mean / count;
        sum += term;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_chances_as_in_the_tables() {
        // R: qpois(0.9, …) and ppois(…, …).
        for (mean, count, chance) in
            [(0.01, 0.0, 0.990_050), (0.25, 1.0, 0.973_501), (1.0, 2.0, 0.919_699), (7.0, 10.0, 0.901_479)]
        {
            assert_eq!(quantile(0.9, mean), count, "{mean}");
            assert!((cdf(count, mean) - chance).abs() < 1e-6, "{mean}: {}", cdf(count, mean));
        }
    }

    #[test]
    fn a_large_mean_is_a_bell_without_a_seam() {
        for mean in [490.0, 510.0, 10_080.0] {
            let most = quantile(0.9, mean);
            assert!((most - (mean + 1.2816 * mean.sqrt())).abs() < 2.0, "{mean}: {most}");
            assert!((cdf(most, mean) - 0.9).abs() < 0.02, "{mean}: {}", cdf(most, mean));
        }
    }
}
