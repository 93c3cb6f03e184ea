//! Logarithms in single precision: a few at a time where they are asked for together, and the same on every machine.

use std::f32::consts::LOG10_2;

/// The bits of the root of one half: numbers are taken as a power of two times what lies between that and the root of two.
const ROOT_OF_HALF: u32 = 0x3f35_04f3;

/// Of the series of ln((1 + s) / (1 - s)), over ln(2): two, two thirds, two fifths of s, and so on.
const SERIES: [f32; 5] = [2.885_39, 0.961_796_7, 0.577_078_04, 0.412_198_6, 0.320_598_9];

/// The binary logarithm of a finite number above 1e-37, to seven digits; of anything else some number between -150 and 129.
#[inline(always)]
pub(super) fn log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let power = (bits.wrapping_sub(ROOT_OF_HALF) as i32) >> 23;
    let rest = f32::from_bits(bits.wrapping_sub((power << 23) as u32));
    let s = (rest - 1.0) / (rest + 1.0);
    let square = s * s;
    let [a, b, c, d, e] = SERIES;
    power as f32 + s * (a + square * (b + square * (c + square * (d + square * e))))
}

/// The decimal one.
#[inline(always)]
pub(super) fn log10(value: f32) -> f32 {
    LOG10_2 * log2(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_seven_digits() {
        for n in 0..200_000 {
            let value = 10_f32.powf(-30.0 + n as f32 * 3e-4);
            let exact = f64::from(value).log2();
            let error = (f64::from(log2(value)) - exact).abs();
            assert!(error < 2e-7 * exact.abs().max(1.0), "{value}: {} {exact}", log2(value));
            assert!((f64::from(log10(value)) - f64::from(value).log10()).abs() < 2e-7 * exact.abs().max(1.0));
        }
        assert_eq!((log2(1.0), log2(8.0), log2(0.25)), (0.0, 3.0, -2.0));
    }
}
