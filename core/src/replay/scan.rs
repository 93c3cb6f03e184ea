//! Tracks laid out for one question: at which evaluations is a value on the wrong side of a literal?
//!
//! Of every stretch of values the extreme is kept. Literals worth having are passed rarely, so most stretches are done with
//! by one look.

use super::Range;
use super::evaluate::Keys;
use super::formula::{Formula, Matching, Op};
use super::labels::Labels;

/// How many values share one extreme: with more, a track that passes its literal once an hour is read whole.
const BLOCK: usize = 64;

/// `LEAF op SCALAR`, where the scalar depends on literals alone and `op` is one of `>`, `>=`, `<`, `<=`.
pub(super) struct Comparison {
    op: Op,
    scalar: Formula,
    /// In the leaf's order.
    pub tracks: Vec<Dense>,
}

pub(super) struct Dense {
    /// One per evaluation; NaN where there is none, which compares like no value at all.
    pub values: Vec<f64>,
    /// Per stretch of them the one that holds if any does.
    extremes: Vec<f64>,
}

impl Dense {
    /// The first evaluation from `from` on whose value holds.
    pub fn next(&self, from: usize, holds: impl Fn(f64) -> bool) -> Option<usize> {
        let mut block = from / BLOCK;
        let mut from = from;
        while let Some(extreme) = self.extremes.get(block) {
            let end = ((block + 1) * BLOCK).min(self.values.len());
            if holds(*extreme)
                && let Some(at) = self.values[from..end].iter().position(|value| holds(*value))
            {
                return Some(from + at);
            }
            block += 1;
            from = end;
        }
        None
    }
}

/// A leaf that decides with `and` or `unless` whether an element stays.
type Guard<'a> = (Op, &'a Matching, usize);

impl Comparison {
    /// A formula that is a comparison, or one with `and LEAF` or `unless LEAF` behind it, once or more; with the index of the
    /// range that it compares.
    pub fn guarded(formula: &Formula, leaves: &[Range], stride: usize) -> Option<(Comparison, usize)> {
        let mut guards = Vec::new();
        let mut formula = formula;
        while let Formula::Binary { op: op @ (Op::And | Op::Unless), matching, left, right, .. } = formula
            && let Formula::Leaf(guard) = right.as_ref()
        {
            guards.push((*op, matching, *guard));
            formula = left;
        }
        let (op, range, scalar) = comparison(formula)?;
        Some((Comparison::new(op, range, scalar, &guards, leaves, stride), range))
    }

    fn new(
        op: Op,
        range: usize,
        scalar: &Formula,
        guards: &[Guard<'_>],
        leaves: &[Range],
        stride: usize,
    ) -> Comparison {
        let range = &leaves[range];
        let evaluations = || (0..range.steps).step_by(stride);
        let value = |values: &[Option<f64>], k: usize| values.get(k).copied().flatten();
        let mut all: Vec<Vec<f64>> = range
            .tracks
            .iter()
            .map(|track| evaluations().map(|k| value(&track.values, k).unwrap_or(f64::NAN)).collect())
            .collect();
        let labels: Vec<Labels> = range.tracks.iter().map(|track| track.labels.clone()).collect();
        for (op, matching, guard) in guards {
            let guard = &leaves[*guard].tracks;
            let guard_labels: Vec<Labels> = guard.iter().map(|track| track.labels.clone()).collect();
            let keys = Keys::new(&matching.by, &labels, &guard_labels);
            let mut there = vec![vec![false; evaluations().len()]; keys.count];
            for (track, key) in guard.iter().zip(&keys.right) {
                for (there, k) in there[*key].iter_mut().zip(evaluations()) {
                    *there |= value(&track.values, k).is_some();
                }
            }
            for (values, key) in all.iter_mut().zip(&keys.left) {
                for (value, there) in values.iter_mut().zip(&there[*key]) {
                    if *there != (*op == Op::And) {
                        *value = f64::NAN;
                    }
                }
            }
        }
        // `max` and `min` pass over NaN.
        let farther = if matches!(op, Op::Greater | Op::GreaterEqual) { f64::max } else { f64::min };
        let dense = |values: Vec<f64>| {
            let extremes = values.chunks(BLOCK).map(|block| block.iter().copied().fold(f64::NAN, farther)).collect();
            Dense { values, extremes }
        };
        Comparison { op, scalar: scalar.clone(), tracks: all.into_iter().map(dense).collect() }
    }

    /// Whether a value holds, with these literals.
    pub fn with(&self, literals: &[f64]) -> impl Fn(f64) -> bool + use<> {
        let level = self.scalar.constant(literals).unwrap_or(f64::NAN);
        let op = self.op;
        move |value| op.compares(value, level) == Some(true)
    }
}

/// The parts of a formula that is a comparison of a leaf with what is no part of the history, as if the leaf stood on the
/// left.
fn comparison(formula: &Formula) -> Option<(Op, usize, &Formula)> {
    let Formula::Binary { op, bool: false, left, right, .. } = formula else { return None };
    let (op, range, scalar) = match (left.as_ref(), right.as_ref()) {
        (Formula::Leaf(range), scalar) => (*op, *range, scalar),
        (scalar, Formula::Leaf(range)) => (op.mirrored(), *range, scalar),
        _ => return None,
    };
    let known = matches!(op, Op::Greater | Op::GreaterEqual | Op::Less | Op::LessEqual);
    (known && scalar.is_constant()).then_some((op, range, scalar))
}

/// Comparisons of which one has to hold for a formula to have any element, where it is put together from such
/// comparisons and leaves by `and`, `or` and `unless`, so that evaluating it never fails either. `None` where it is not, or
/// where there can be elements without any of them.
pub(super) fn comparisons(formula: &Formula, leaves: &[Range], stride: usize) -> Option<Vec<Comparison>> {
    if let Some((op, range, scalar)) = comparison(formula) {
        return Some(vec![Comparison::new(op, range, scalar, &[], leaves, stride)]);
    }
    let Formula::Binary { op, left, right, .. } = formula else { return None };
    match op {
        Op::Or => {
            let mut all = comparisons(left, leaves, stride)?;
            all.extend(comparisons(right, leaves, stride)?);
            Some(all)
        }
        Op::Unless if never_fails(right) => comparisons(left, leaves, stride),
        Op::And if never_fails(left) && never_fails(right) => {
            comparisons(left, leaves, stride).or_else(|| comparisons(right, leaves, stride))
        }
        _ => None,
    }
}

/// Whether it is plain to see that no evaluation of a formula fails.
fn never_fails(formula: &Formula) -> bool {
    match formula {
        Formula::Leaf(_) => true,
        Formula::Binary { op, left, right, .. } if op.is_set() => never_fails(left) && never_fails(right),
        formula => comparison(formula).is_some(),
    }
}
