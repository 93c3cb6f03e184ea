//! How near what was said came to what happened.

use super::Pair;

/// Confidences that are nearly the same.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Bin {
    pub count: usize,
    /// Means over them.
    pub said: f64,
    pub happened: f64,
}

/// Bins of equal width from 0 to 1.
pub const BINS: usize = 10;

/// What is told of many pairs.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    pub pairs: usize,
    /// The share of claims that held: what a constant would say.
    pub base_rate: f64,
    /// Mean distance of said and happened over the bins, by how many are in each.
    pub calibration_error: f64,
    /// Mean squared distance of what was said (0 to 1) to what happened (0 or 1).
    pub brier: f64,
    /// How much of the constant's Brier score was saved: 1 knows all, 0 is no better, under 0 worse. None: the constant is
    /// never wrong, or there are no pairs.
    pub brier_skill: Option<f64>,
    pub bins: [Bin; BINS],
}

impl Summary {
    pub fn of<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Summary {
        let mut bins = [Bin::default(); BINS];
        let (mut count, mut kept, mut brier) = (0_usize, 0.0, 0.0);
        for pair in pairs {
            let happened = if pair.kept { 1.0 } else { 0.0 };
            let bin = &mut bins[((pair.said * BINS as f64) as usize).min(BINS - 1)];
            bin.count += 1;
            bin.said += pair.said;
            bin.happened += happened;
            count += 1;
            kept += happened;
            brier += (pair.said - happened).powi(2);
        }
        for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
            bin.said /= bin.count as f64;
            bin.happened /= bin.count as f64;
        }
        let all = count.max(1) as f64;
        let (base_rate, brier) = (kept / all, brier / all);
        let constant = base_rate * (1.0 - base_rate);
        let apart = |bin: &Bin| bin.count as f64 / all * (bin.said - bin.happened).abs();
        Summary {
            pairs: count,
            base_rate,
            calibration_error: bins.iter().map(apart).sum(),
            brier,
            brier_skill: (constant > 0.0).then(|| 1.0 - brier / constant),
            bins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat::time::Span;

    fn pair(said: f64, kept: bool) -> Pair {
        Pair { age: Span::ZERO, said, false_pages: 0, kept, grounds: None }
    }

    #[test]
    fn measures_as_by_hand() {
        let pairs = [pair(0.9, true), pair(0.94, true), pair(0.92, false), pair(1.0, true), pair(0.2, false)];
        let summary = Summary::of(pairs.iter());
        assert_eq!((summary.pairs, summary.bins[9].count, summary.bins[2].count), (5, 4, 1));
        // Of four at 0.94 three came true, the one at 0.2 did not.
        assert!((summary.calibration_error - (0.8 * 0.19 + 0.2 * 0.2)).abs() < 1e-12, "{summary:?}");
        let brier = (0.01 + 0.0036 + 0.8464 + 0.0 + 0.04) / 5.0;
        assert!((summary.brier - brier).abs() < 1e-12, "{summary:?}");
        assert!((summary.brier_skill.expect("some") - (1.0 - brier / 0.24)).abs() < 1e-12, "{summary:?}");
    }

    #[test]
    fn a_constant_has_no_skill_and_nothing_has_none_at_all() {
        let constant = [pair(0.75, true), pair(0.75, true), pair(0.75, true), pair(0.75, false)];
        assert_eq!(Summary::of(constant.iter()).brier_skill, Some(0.0));
        assert_eq!(Summary::of([pair(0.9, true)].iter()).brier_skill, None);
        assert_eq!(Summary::of([].iter()).pairs, 0);
    }
}
