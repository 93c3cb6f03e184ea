//! Numbers as people write them: as few digits as the matter allows.

/// The number with the fewest digits that is no farther from `value` than `slack`; whole where it has to be.
pub fn nice(value: f64, slack: f64, whole: bool) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let decimals_most = if whole { 0 } else { 12 };
    let decades = value.abs().log10().floor() as i32;
    for decimals in -decades..=decimals_most {
        let scale = 10_f64.powi(decimals.abs());
        let rounded = if decimals >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale };
        if (rounded - value).abs() <= slack {
            return rounded;
        }
    }
    if whole { value.round() } else { value }
}
