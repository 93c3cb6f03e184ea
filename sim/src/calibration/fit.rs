//! The coefficients of a claim's chance, from claims and what became of them: logistic regression by Newton's method
//! (iteratively reweighted least squares), with a small ridge that keeps coefficients of what hardly varies near 0.

use super::Pair;
use homeostat::analyze::claim::GROUNDS;

const RIDGE: f64 = 1.0;
const STEPS: usize = 50;
const HALVINGS: i32 = 20;
const NEAR: f64 = 1e-9;

/// What fits best. Pairs without grounds say nothing.
pub fn fit(pairs: &[Pair]) -> [f64; GROUNDS] {
    let mut coefficients = [0.0; GROUNDS];
    let mut loss = loss_of(pairs, &coefficients);
    for _ in 0..STEPS {
        let (mut slope, mut curve) = ([0.0; GROUNDS], [[0.0; GROUNDS]; GROUNDS]);
        for pair in pairs {
            let Some(grounds) = &pair.grounds else { continue };
            let chance = grounds.chance_by(&coefficients);
            let missed = if pair.kept { 1.0 } else { 0.0 } - chance;
            let weight = chance * (1.0 - chance);
            for (row, value) in grounds.values.iter().enumerate() {
                slope[row] += missed * value;
                let of_row = curve[row].iter_mut().zip(grounds.values);
                of_row.for_each(|(curve, other)| *curve += weight * value * other);
            }
        }
        // The constant is free.
        for of in 1..GROUNDS {
            slope[of] -= RIDGE * coefficients[of];
            curve[of][of] += RIDGE;
        }
        let step = solve(curve, slope);
        // Far from the best a whole step leads astray.
        let shorter = (0..HALVINGS).map(|halving| 0.5_f64.powi(halving)).find_map(|share| {
            let there: [f64; GROUNDS] = std::array::from_fn(|of| coefficients[of] + share * step[of]);
            let loss_there = loss_of(pairs, &there);
            (loss_there < loss).then_some((there, loss_there))
        });
        let Some((there, loss_there)) = shorter else { break };
        let gained = loss - loss_there;
        (coefficients, loss) = (there, loss_there);
        if gained < NEAR * loss {
            break;
        }
    }
    coefficients
}

/// Minus the log-likelihood, and the ridge.
fn loss_of(pairs: &[Pair], coefficients: &[f64; GROUNDS]) -> f64 {
    let surprise = |pair: &Pair| {
        let chance = pair.grounds.as_ref()?.chance_by(coefficients);
        Some(-(if pair.kept { chance } else { 1.0 - chance }).max(f64::MIN_POSITIVE).ln())
    };
    let ridge: f64 = coefficients[1..].iter().map(|coefficient| 0.5 * RIDGE * coefficient * coefficient).sum();
    pairs.iter().filter_map(surprise).sum::<f64>() + ridge
}

/// Gauss, with the largest pivot. The matrix is positive definite.
fn solve(mut matrix: [[f64; GROUNDS]; GROUNDS], mut of: [f64; GROUNDS]) -> [f64; GROUNDS] {
    for column in 0..GROUNDS {
        let largest = (column..GROUNDS)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))
            .unwrap_or(column);
        matrix.swap(column, largest);
        of.swap(column, largest);
        for row in column + 1..GROUNDS {
            let factor = matrix[row][column] / matrix[column][column];
            let pivot = matrix[column];
            matrix[row].iter_mut().zip(pivot).skip(column).for_each(|(value, of_pivot)| *value -= factor * of_pivot);
            of[row] -= factor * of[column];
        }
    }
    for row in (0..GROUNDS).rev() {
        let known: f64 = (row + 1..GROUNDS).map(|place| matrix[row][place] * of[place]).sum();
        of[row] = (of[row] - known) / matrix[row][row];
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use homeostat::analyze::claim::Grounds;
    use homeostat::time::Span;

    /// Outcomes drawn with known coefficients give those coefficients back.
    #[test]
    fn what_was_put_in_is_found() {
        let truth: [f64; GROUNDS] = std::array::from_fn(|of| [-1.0, 0.5, 0.0, 1.5][of % 4]);
        let mut chance = Chance::new(3);
        let pairs: Vec<Pair> = (0..20_000)
            .map(|_| {
                let values = std::array::from_fn(|of| if of == 0 { 1.0 } else { chance.normal() });
                let grounds = Grounds { values };
                let kept = chance.happens(grounds.chance_by(&truth));
                Pair { age: Span::ZERO, said: 0.5, false_pages: 0, kept, grounds: Some(grounds) }
            })
            .collect();
        let found = fit(&pairs);
        for (is, was) in found.iter().zip(truth) {
            assert!((is - was).abs() < 0.12, "seed 3: {found:?} of {truth:?}");
        }
    }
}
