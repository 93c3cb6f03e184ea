//! What a comparison sees: per alert of a rule, the values that its literal is held against, oriented so that more is worse.
//!
//! They are read off the formula itself, with a literal that lets everything through: what then comes out is the left side,
//! wherever guards let it out.

use super::Case;
use crate::replay::{Failure, Formula, Labels, Op, Plan};

/// The values that one alert of a rule depends on, one per evaluation of the rule.
pub struct Trace {
    /// As the expression gives them.
    pub labels: Labels,
    /// NaN where there is none; negative where less is worse.
    pub values: Vec<f64>,
}

/// All alerts of a rule, and how they are held against the literal.
pub struct Watched {
    pub traces: Vec<Trace>,
    /// 1 where more is worse, -1 where less is: what values and literals are to be multiplied with.
    pub sign: f64,
    /// Whether the comparison holds at the literal itself.
    pub inclusive: bool,
    /// Milliseconds from one evaluation to the next.
    pub step_ms: i64,
}

impl Watched {
    /// How many values an alert has to exceed the literal by, one after the other, until it fires.
    pub fn run(&self, for_ms: i64) -> usize {
        1 + usize::try_from((for_ms + self.step_ms - 1) / self.step_ms).unwrap_or(0)
    }

    pub fn holds(&self, value: f64, level: f64) -> bool {
        if self.inclusive { value >= level } else { value > level }
    }
}

/// The part of a formula that literal `at` decides about, and its operator as if the literal stood on the right.
///
/// What comes out of it is what is compared. Of an `or` that is the side of the literal; a comparison on the right of an
/// `and` changes places with what it guards. `None` behind arithmetic, `bool` and `unless`.
pub fn reduced(formula: &Formula, at: usize) -> Option<(Formula, Op)> {
    let Formula::Binary { op, bool: false, matching, left, right } = formula else { return None };
    let literal = |side: &Formula| matches!(side, Formula::Literal(own) if *own == at);
    let with = |inner: Formula, other: &Formula| Formula::matched(*op, matching.clone(), inner, other.clone());
    match op {
        Op::And => match reduced(left, at) {
            Some((inner, own)) => Some((with(inner, right), own)),
            None => reduced(right, at).map(|(inner, own)| (with(inner, left), own)),
        },
        Op::Or => reduced(left, at).or_else(|| reduced(right, at)),
        Op::Unless => reduced(left, at).map(|(inner, own)| (with(inner, right), own)),
        Op::Greater | Op::GreaterEqual | Op::Less | Op::LessEqual if literal(right) => Some((formula.clone(), *op)),
        Op::Greater | Op::GreaterEqual | Op::Less | Op::LessEqual if literal(left) => {
            Some((formula.clone(), op.mirrored()))
        }
        op if op.is_comparison() => reduced(left, at).map(|(inner, own)| (with(inner, right), own)),
        _ => None,
    }
}

/// The traces that literal `at` of a rule is held against, the others being `literals`; `reduced` is what [`reduced`] gave.
pub fn watched(
    case: &Case<'_>,
    literals: &[f64],
    at: usize,
    (formula, op): &(Formula, Op),
) -> Result<Watched, Failure> {
    let (sign, inclusive) = match op {
        Op::Greater => (1.0, false),
        Op::GreaterEqual => (1.0, true),
        Op::Less => (-1.0, false),
        _ => (-1.0, true),
    };
    let mut literals = literals.to_vec();
    // The infinities themselves are no alarm that a literal could be found for.
    literals[at] = -sign * f64::MAX;
    let (step, steps) = case.leaves.first().map_or((1, 0), |range| (range.step.max(1), range.steps));
    let stride = usize::try_from(case.rule.interval_ms / step).unwrap_or(1).max(1);
    let evaluations = steps.div_ceil(stride);
    let mut plan = Plan::compile(formula, literals.len(), case.leaves)?;
    let empty = |labels: &Labels| Trace { labels: labels.clone(), values: Vec::with_capacity(evaluations) };
    let mut traces: Vec<Trace> = plan.labels.iter().map(empty).collect();
    for evaluation in 0..evaluations {
        plan.fill(evaluation * stride, &literals, case.leaves)?;
        for (trace, value) in traces.iter_mut().zip(&plan.values) {
            trace.values.push(value.map_or(f64::NAN, |value| sign * value));
        }
    }
    traces.retain(|trace| trace.values.iter().any(|value| value.is_finite()));
    Ok(Watched { traces, sign, inclusive, step_ms: step * stride as i64 })
}
