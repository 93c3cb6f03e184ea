//! Another number in the spelling of the one that stood there: `0.80` becomes `0.93`, `100*1024*1024` becomes
//! `145*1024*1024`, `1e9` becomes `2.5e9`.

use super::expr::{Expr, Node};
use homeostat::replay::Op;
use homeostat::time::Span;
use std::ops::Range;

/// More digits would claim a precision that no threshold has.
const DIGITS: i32 = 3;

/// Numbers that are there to convert units, and stay.
const FACTORS: [f64; 11] = [1000.0, 1024.0, 60.0, 3600.0, 24.0, 86_400.0, 1e6, 1e9, 1e12, 1_048_576.0, 1_073_741_824.0];

/// Numbers that often are.
const AT_TIMES: [f64; 6] = [100.0, 7.0, 30.0, 365.0, 0.01, 0.001];

/// The new text, and the number it is read as: rounded to what people write.
pub fn spell(written: &str, value: f64) -> (String, f64) {
    let in_style = Expr::parse(written).ok().and_then(|expr| {
        let (leaf, part) = vary(&expr, value)?;
        let text =
            format!("{}{}{}", &written[..leaf.start], number(&written[leaf.clone()], part), &written[leaf.end..]);
        let read = Expr::parse(&text).ok()?.constant()?;
        let near = (read - value).abs() <= value.abs() * 10_f64.powi(1 - DIGITS);
        near.then_some((text, read))
    });
    in_style.unwrap_or_else(|| {
        let text = number("", value);
        let read = text.parse().unwrap_or(value);
        (text, read)
    })
}

/// The one number to change, and to what, so that the whole becomes `value`.
fn vary(expr: &Expr, value: f64) -> Option<(Range<usize>, f64)> {
    match &expr.node {
        Node::Number(_) => (value >= 0.0).then(|| (expr.span.clone(), value)),
        Node::Paren(of) => vary(of, value),
        Node::Signed { minus, of } => vary(of, if *minus { -value } else { value }),
        Node::Binary { op: Op::Mul, left, right, .. } => {
            let (first, second) = (left.constant()?, right.constant()?);
            match converts(left) > converts(right) {
                true => vary(right, value / first),
                false => vary(left, value / second),
            }
        }
        Node::Binary { op: Op::Div, left, right, .. } => vary(left, value * right.constant()?),
        _ => None,
    }
}

/// How surely an expression is there to convert units.
fn converts(expr: &Expr) -> u8 {
    let mut least = 2;
    expr.walk(&mut |part| {
        if let Node::Number(number) = part.node {
            let surely = FACTORS.contains(&number);
            least = least.min(if surely { 2 } else { u8::from(AT_TIMES.contains(&number)) });
        }
    });
    least
}

/// A number of at least 0 as `written` is written.
fn number(written: &str, value: f64) -> String {
    let value = rounded(value);
    let lower = written.to_ascii_lowercase();
    if lower.starts_with("0x") {
        return if value.fract() == 0.0 && value < 1e15 { format!("0x{:X}", value as u64) } else { format!("{value}") };
    }
    if lower.ends_with(|c: char| c.is_ascii_alphabetic()) {
        let millis = value * 1000.0;
        return match millis.fract() == 0.0 && millis < 1e15 {
            true => Span::from_millis(millis as u64).to_string(),
            false => format!("{value}"),
        };
    }
    if let Some(at) = lower.find('e') {
        let exponent: i32 = lower[at + 1..].parse().unwrap_or(0);
        let mantissa = value / 10_f64.powi(exponent);
        if (0.01..1e4).contains(&mantissa) {
            return format!("{}{}", decimal(&lower[..at], rounded(mantissa)), &written[at..]);
        }
        return format!("{value:e}");
    }
    decimal(&lower, value)
}

/// With at least as many decimals as there were.
fn decimal(written: &str, value: f64) -> String {
    let decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let mut text = format!("{value}");
    let have = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if have < decimals {
        if have == 0 {
            text.push('.');
        }
        text.push_str(&"0".repeat(decimals - have));
    }
    if written.starts_with('.') { text.strip_prefix('0').map(str::to_owned).unwrap_or(text) } else { text }
}

/// To the digits that matter; whole numbers of many digits keep them all where they are round already.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let places = DIGITS - 1 - value.abs().log10().floor() as i32;
    // By way of text: what is printed is what is meant.
    match places {
        places if places >= 0 => format!("{value:.*}", places as usize).parse().unwrap_or(value),
        places => {
            let unit = 10_f64.powi(-places);
            (value / unit).round() * unit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_literal_is_written_as_the_old_one_was() {
        for (written, value, text) in [
            ("0.80", 0.93, "0.93"),
            ("0.80", 0.9, "0.90"),
            ("0.80", 0.9345, "0.934"),
            (".10", 0.25, ".25"),
            ("80", 92.37, "92.4"),
            ("80", 93.0, "93"),
            ("5", 12.0, "12"),
            ("1000", 123_456.0, "123000"),
            ("1e9", 2.5e9, "2.5e9"),
            ("1E-3", 0.0025, "2.5E-3"),
            ("1e9", 1.0, "1e0"),
            ("100*1024*1024", 152_000_000.0, "145*1024*1024"),
            ("1024 * 1024 * 100", 152_000_000.0, "1024 * 1024 * 145"),
            ("(25/100)", 0.4, "(40/100)"),
            ("-5", -7.25, "-7.25"),
            ("-5", 3.0, "3"),
            ("0x10", 31.0, "0x1F"),
            ("5m", 600.0, "10m"),
            ("2 * 3600", 10_800.0, "3 * 3600"),
            ("60 * 60 * 24 * 2", 259_200.0, "60 * 60 * 24 * 3"),
            ("2^30", 2_000_000_000.0, "2000000000"),
            ("1 - 0.2", 0.7, "0.7"),
            ("0.5", 0.0, "0.0"),
            ("(  5 )", 6.0, "(  6 )"),
            ("3", 1e-7, "0.0000001"),
        ] {
            let (spelled, read) = spell(written, value);
            assert_eq!(spelled, text, "{written} as {value}");
            assert_eq!(Expr::parse(&spelled).expect("a number").constant(), Some(read), "{spelled}");
            assert!((read - value).abs() <= value.abs() * 0.01, "{written} as {value}: {read}");
        }
    }
}
