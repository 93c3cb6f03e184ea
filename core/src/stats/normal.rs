//! The bell: its distribution function and that function's inverse.

use std::f64::consts::{PI, SQRT_2};

/// Share of a standard normal distribution under `z`.
pub fn cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// How rare a value of a bell beyond `z` sigmas is, in decades: minus the decimal logarithm of its chance.
pub fn rarity(z: f64) -> f64 {
    -cdf(-z).log10()
}

/// Complementary error function, to about 1e-15 relative: Abramowitz and Stegun 7.1.5 (series) for small arguments,
/// 7.1.14 (continued fraction, evaluated backwards) for large ones.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.5 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return 1.0 - 2.0 / PI.sqrt() * sum;
    }
    let mut fraction = x;
    for k in (1..=60).rev() {
        fraction = x + 0.5 * f64::from(k) / fraction;
    }
    (-x * x).exp() / PI.sqrt() / fraction
}

/// The value under which a share `p` (inside 0 and 1) of a standard normal distribution lies: Acklam's rational
/// approximation (2003), refined by two of Halley's steps.
pub fn quantile(p: f64) -> f64 {
    assert!(p > 0.0 && p < 1.0, "a share inside 0 and 1");
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |q: f64| polynomial(&C, q) / (polynomial(&D, q) * q + 1.0);
    let mut z = if p < 0.024_25 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 1.0 - 0.024_25 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let (q, r) = (p - 0.5, (p - 0.5) * (p - 0.5));
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    };
    for _ in 0..2 {
        // In the upper tail the difference is taken between small numbers, not between two that are nearly 1.
        let error = if z > 0.0 { (1.0 - p) - cdf(-z) } else { cdf(z) - p };
        let step = error * (2.0 * PI).sqrt() * (z * z / 2.0).exp();
        z -= step / (1.0 + z * step / 2.0);
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bell_agrees_with_published_values() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (2.0, 0.977_249_868_051_820_8),
            (-4.5, 3.397_673_124_730_06e-6),
        ] {
            assert!((cdf(z) / p - 1.0).abs() < 1e-12, "{z}: {} {p}", cdf(z));
        }
        for z in [-6.0, -4.5, -2.0, -0.3, 0.0, 1.0, 2.0, 4.5] {
            assert!((quantile(cdf(z)) - z).abs() < 1e-9, "{z} {}", quantile(cdf(z)));
        }
    }
}
