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
    /// The highest of every [`BLOCK`] values, so that quiet times are passed over.
    peaks: Vec<f64>,
}

/// As many values share one peak.
const BLOCK: usize = 64;
/// More values than this are not looked at for one rule: 200 series over four weeks, once a minute.
pub const VALUES_MOST: usize = 8_000_000;

impl Trace {
    pub fn new(labels: Labels, values: Vec<f64>) -> Trace {
        // `max` passes over NaN.
        let peaks = values.chunks(BLOCK).map(|block| block.iter().copied().fold(f64::NAN, f64::max)).collect();
        Trace { labels, values, peaks }
    }

    /// The stretches in which `holds`, which what is higher than a value that holds does too: start and length.
    pub fn stretches(&self, holds: impl Fn(f64) -> bool, mut each: impl FnMut(usize, usize)) {
        let mut start = None;
        for (block, (values, peak)) in self.values.chunks(BLOCK).zip(&self.peaks).enumerate() {
            if start.is_none() && !holds(*peak) {
                continue;
            }
            for (at, value) in values.iter().enumerate() {
                let at = block * BLOCK + at;
                match (holds(*value), start) {
                    (true, None) => start = Some(at),
                    (false, Some(from)) => {
                        each(from, at - from);
                        start = None;
                    }
                    _ => {}
                }
            }
        }
        if let Some(from) = start {
            each(from, self.values.len() - from);
        }
    }
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
    /// Whether there were more series than are looked at: those that were left out exceed the literal least.
    pub cut: bool,
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
    values_most: usize,
) -> Result<Watched, Failure> {
    let (sign, inclusive) = match op {
        Op::Greater => (1.0, false),
        Op::GreaterEqual => (1.0, true),
        Op::Less => (-1.0, false),
        _ => (-1.0, true),
    };
    let mut passing = literals.to_vec();
    // The infinities themselves are no alarm that a literal could be found for.
    passing[at] = -sign * f64::MAX;
    let (step, steps) = case.leaves.first().map_or((1, 0), |range| (range.step.max(1), range.steps));
    let stride = usize::try_from(case.rule.interval_ms / step).unwrap_or(1).max(1);
    let evaluations = steps.div_ceil(stride);
    let mut plan = Plan::compile(formula, literals.len(), case.leaves)?;
    let mut values: Vec<Vec<f64>> = vec![Vec::with_capacity(evaluations); plan.labels.len()];
    for evaluation in 0..evaluations {
        plan.fill(evaluation * stride, &passing, case.leaves)?;
        for (values, value) in values.iter_mut().zip(&plan.values) {
            values.push(value.map_or(f64::NAN, |value| sign * value));
        }
    }
    let traces = plan.labels.iter().cloned().zip(values).map(|(labels, values)| Trace::new(labels, values));
    let mut traces: Vec<Trace> = traces.filter(|trace| trace.values.iter().any(|value| value.is_finite())).collect();
    let most = values_most / evaluations.max(1);
    let cut = traces.len() > most;
    if cut {
        let level = sign * literals[at];
        let beyond = |trace: &Trace| trace.values.iter().filter(|value| **value >= level).count();
        traces.sort_by_cached_key(|trace| std::cmp::Reverse(beyond(trace)));
        traces.truncate(most);
    }
    Ok(Watched { traces, sign, inclusive, step_ms: step * stride as i64, cut })
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use crate::replay::{Range, Rule, Track};
    use crate::time::Timestamp;
    use crate::time::zone::Zone;
    use std::collections::BTreeMap;

    fn labels(name: &str) -> Labels {
        Labels::new([("instance", name)])
    }

    fn range(tracks: &[(&str, &[f64])]) -> Range {
        let track = |(name, values): &(&str, &[f64])| Track {
            labels: labels(name),
            values: values.iter().map(|value| Some(*value)).collect(),
        };
        let steps = tracks[0].1.len();
        Range { start: Timestamp::EPOCH, step: 60_000, steps, tracks: tracks.iter().map(track).collect() }
    }

    fn seen(formula: Formula, leaves: &[Range], values_most: usize) -> Option<Watched> {
        let rule = Rule {
            alert: "A".to_owned(),
            labels: BTreeMap::new(),
            formula,
            for_ms: 0,
            keep_firing_for_ms: 0,
            limit: None,
            interval_ms: 60_000,
        };
        let zone = Zone::named("UTC").expect("a zone");
        let case = Case {
            rule: &rule,
            literals: &[5.0],
            leaves,
            limits: &[Limits::FREE],
            for_most_ms: None,
            budget: 1.0,
            said: &[],
            zone: &zone,
        };
        let reduced = reduced(&rule.formula, 0)?;
        Some(watched(&case, &[5.0], 0, &reduced, values_most).expect("it can be evaluated"))
    }

    fn leaf_over() -> Formula {
        Formula::binary(Op::Greater, Formula::Leaf(0), Formula::Literal(0))
    }

    #[test]
    fn what_is_compared_is_found_below_guards_and_beside_other_branches() {
        let leaves = [range(&[("a", &[1.0, 7.0])]), range(&[("a", &[100.0, 200.0])])];
        let guard = || Formula::Leaf(1);
        let own = [1.0, 7.0];
        for formula in [
            leaf_over(),
            Formula::binary(Op::And, leaf_over(), guard()),
            Formula::binary(Op::And, guard(), leaf_over()),
            Formula::binary(Op::Or, guard(), leaf_over()),
            Formula::binary(Op::Or, leaf_over(), guard()),
            Formula::binary(Op::Less, leaf_over(), Formula::Number(1000.0)),
        ] {
            let seen = seen(formula.clone(), &leaves, 100).expect("found");
            assert_eq!(seen.traces[0].values, own, "{formula:?}");
        }
        let mirrored = Formula::binary(Op::GreaterEqual, Formula::Literal(0), Formula::Leaf(0));
        let seen_below = seen(mirrored, &leaves, 100).expect("found");
        assert_eq!((seen_below.sign, seen_below.inclusive), (-1.0, true));
        assert_eq!(seen_below.traces[0].values, [-1.0, -7.0]);
        let behind = Formula::binary(Op::Add, leaf_over(), Formula::Number(1.0));
        assert!(seen(behind, &leaves, 100).is_none(), "what comes out is not what is compared");
        let hidden = Formula::binary(Op::Unless, guard(), leaf_over());
        assert!(seen(hidden, &leaves, 100).is_none(), "its values do not come out");
    }

    #[test]
    fn of_too_many_series_those_are_kept_that_exceed_the_literal_most() {
        let leaves = [range(&[("a", &[1.0, 1.0]), ("b", &[9.0, 9.0]), ("c", &[1.0, 9.0])])];
        let seen = seen(leaf_over(), &leaves, 4).expect("found");
        assert!(seen.cut);
        assert_eq!(seen.traces.iter().map(|trace| trace.labels.get("instance")).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn stretches_are_found_across_blocks_and_ended_by_what_is_missing() {
        let mut values = vec![0.0; 200];
        values[60..70].fill(2.0);
        values[65] = f64::NAN;
        values[190..].fill(3.0);
        let mut found = Vec::new();
        Trace::new(labels("a"), values).stretches(|value| value > 1.0, |from, length| found.push((from, length)));
        assert_eq!(found, [(60, 5), (66, 4), (190, 10)]);
    }
}
