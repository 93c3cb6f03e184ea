//! A range of evaluations, cut into pieces.
//!
//! Evaluations lie on multiples of the step since the epoch, and pieces on multiples of a power of two of them: whoever asks
//! again a minute later asks for the same pieces, so that they can be kept; and a piece cut in half gives two of the same grid.

use std::ops::Range;

/// The most evaluations of one piece. Prometheus refuses more than 11,000; fewer make more of them old enough to be kept, and
/// whole when the range moves on.
pub const STEPS_MAX: u32 = 2048;

/// Some evaluations, by their numbers since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Piece {
    pub first: i64,
    pub steps: u32,
}

impl Piece {
    pub fn end(self) -> i64 {
        self.first + i64::from(self.steps)
    }

    /// Two parts of it, cut at the roundest number inside; none of a single evaluation.
    pub fn halves(self) -> Option<(Piece, Piece)> {
        if self.steps < 2 {
            return None;
        }
        let mut power = i64::from(self.steps.next_power_of_two());
        loop {
            let cut = (self.first.div_euclid(power) + 1) * power;
            if cut < self.end() {
                let steps = (cut - self.first) as u32;
                return Some((Piece { steps, ..self }, Piece { first: cut, steps: self.steps - steps }));
            }
            power /= 2;
        }
    }

    /// Whether it is a whole cell of its grid, and so what others ask for too.
    pub fn is_whole(self) -> bool {
        self.steps.is_power_of_two() && self.first.rem_euclid(i64::from(self.steps)) == 0
    }
}

/// The largest power of two that is no more than `steps`, at most [`STEPS_MAX`] and at least one.
pub fn size(steps: u64) -> u32 {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX).clamp(1, STEPS_MAX);
    1 << steps.ilog2()
}

/// Pieces of at most `size` (a power of two) that cover `range`, ascending.
pub fn cover(range: Range<i64>, size: u32) -> impl Iterator<Item = Piece> {
    let size = i64::from(size);
    let mut first = range.start;
    std::iter::from_fn(move || {
        let end = ((first.div_euclid(size) + 1) * size).min(range.end);
        let piece = (first < end).then(|| Piece { first, steps: (end - first) as u32 });
        first = end;
        piece
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
    #![proptest_config(super::super::tests::settings())]
        #[test]
        fn pieces_cover_a_range_without_overlap_and_so_do_halves(
            start in -5000_i64..5000, len in 0_i64..20_000, power in 0_u32..12,
        ) {
            let size = 1 << power;
            let mut at = start;
            for piece in cover(start..start + len, size) {
                prop_assert!(piece.first == at && piece.steps >= 1 && piece.steps <= size);
                at = piece.end();
                match piece.halves() {
                    None => prop_assert_eq!(piece.steps, 1),
                    Some((one, other)) => {
                        prop_assert!(one.first == piece.first && one.end() == other.first && other.end() == piece.end());
                        prop_assert!(one.steps >= 1 && other.steps >= 1);
                        prop_assert!(!piece.is_whole() || one.is_whole() && other.is_whole());
                    }
                }
            }
            prop_assert_eq!(at, start + len);
        }

        #[test]
        fn who_asks_a_little_later_asks_for_the_same_pieces(start in 0_i64..100_000, later in 0_i64..500) {
            let whole = |from: i64| -> Vec<Piece> { cover(from..from + 10_000, 1024).filter(|p| p.is_whole()).collect() };
            let (before, after) = (whole(start), whole(start + later));
            let same = after.iter().filter(|piece| before.contains(piece)).count();
            prop_assert!(same + 2 >= before.len(), "but for those at both ends");
        }
    }

    #[test]
    fn a_size_is_a_power_of_two_within_its_limits() {
        assert_eq!([0, 1, 3, 500, 11_000, u64::MAX].map(size), [1, 1, 2, 256, 2048, 2048]);
    }
}
