//! What a formula gives at one evaluation, from what its leaves gave there; as Prometheus 2.42 evaluates.
//!
//! Which labels an element of a result has depends on the labels of its operands, never on values or time. So labels are
//! worked out once, when a formula is compiled over its ranges: every element that can ever be in a vector gets a slot
//! there, and an evaluation only fills slots. An evaluation that Prometheus would refuse, because elements cannot be told
//! apart, is a [`Failure`] here as well.
//!
//! Two differences are known. `^` and `atan2` may differ in the last bit, where Go's and Rust's mathematics round differently.
//! And `ignoring() group_left` is what it says: Prometheus 2.42 loses the group when it prints a rule to evaluate it, later
//! versions do not.

use super::formula::{By, Formula, Group, Matching, Op};
use super::labels::{Labels, METRIC_NAME};
use super::{Range, Track};
use std::collections::HashMap;

/// Why an evaluation gave nothing. A rule's alerts then stay as they were; those that are too many are dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    #[error("several elements match on the side where one may: the match is many-to-many")]
    NotUnique,
    #[error(
        "several elements match the same one: the match needs group_left or group_right, or labels that tell them apart"
    )]
    ManyMatches,
    #[error("two elements of the result have the same labels")]
    SameLabels,
    #[error("two alerts have the same labels, once those of the rule are set")]
    SameAlert,
    #[error("there are more alerts than the `limit` of the group allows: all of the rule's are dropped")]
    TooMany,
    #[error("the expression is none: {0}")]
    Malformed(&'static str),
}

/// The elements that `formula` has at evaluation `k` of the ranges, in no order. A scalar is one element without labels.
///
/// # Errors
/// What Prometheus would refuse to evaluate; see [`Failure`].
pub fn evaluate(
    formula: &Formula,
    literals: &[f64],
    leaves: &[Range],
    k: usize,
) -> Result<Vec<(Labels, f64)>, Failure> {
    let mut plan = Plan::compile(formula, literals.len(), leaves)?;
    plan.fill(k, literals, leaves)?;
    Ok(plan.labels.iter().cloned().zip(plan.values).filter_map(|(labels, value)| Some((labels, value?))).collect())
}

/// A formula compiled over its ranges: the slots of its result, and how they are filled.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Of every slot; no two are equal.
    pub labels: Vec<Labels>,
    /// What each slot holds at the evaluation that was filled last.
    pub values: Vec<Option<f64>>,
    how: How,
}

#[derive(Clone)]
enum How {
    /// A scalar where a vector is wanted: only at the top.
    Scalar(Scalar),
    Leaf {
        range: usize,
        slots: Vec<usize>,
    },
    Negate {
        operand: Box<Plan>,
        slots: Vec<usize>,
    },
    WithScalar {
        op: Op,
        bool: bool,
        /// Whether the scalar stands on the left.
        swap: bool,
        vector: Box<Plan>,
        scalar: Scalar,
        slots: Vec<usize>,
    },
    Set(Box<Set>),
    Join(Box<Join>),
}

/// `and`, `or`, `unless`.
#[derive(Clone)]
struct Set {
    op: Op,
    left: Plan,
    right: Plan,
    keys: Keys,
    /// Whether a key has an element on the side that decides.
    there: Vec<bool>,
    /// Where the right side's elements go; of use to `or` alone.
    right_slots: Vec<usize>,
}

/// A comparison or arithmetic between two vectors. `one` is the side of which one element may match.
#[derive(Clone)]
struct Join {
    op: Op,
    bool: bool,
    many: Plan,
    one: Plan,
    /// Whether `many` is the right operand.
    swapped: bool,
    one_to_one: bool,
    /// Of `many` and of `one`.
    keys: Keys,
    /// What labels an element of `one` lends, as a number; elements that lend the same have the same.
    lends: Vec<usize>,
    /// For every slot of `many`: where the result goes, by what is lent.
    slots: Vec<Vec<(usize, usize)>>,
    /// The slot of `one` that a key has at this evaluation.
    found: Vec<Option<usize>>,
    matched: Vec<bool>,
}

/// The labels that have to be equal, as numbers: one per slot of either side.
#[derive(Clone)]
pub(super) struct Keys {
    pub left: Vec<usize>,
    pub right: Vec<usize>,
    pub count: usize,
}

#[derive(Clone)]
enum Scalar {
    Leaf(usize),
    Number(f64),
    Literal(usize),
    Negate(Box<Scalar>),
    Binary { op: Op, left: Box<Scalar>, right: Box<Scalar> },
}

/// Gives equal labels equal numbers, counted from 0.
#[derive(Default)]
pub(super) struct Slots {
    known: HashMap<Labels, usize>,
    pub labels: Vec<Labels>,
}

impl Slots {
    pub fn of(&mut self, labels: Labels) -> usize {
        *self.known.entry(labels).or_insert_with_key(|labels| {
            self.labels.push(labels.clone());
            self.labels.len() - 1
        })
    }
}

impl Plan {
    /// # Errors
    /// `Malformed` where Prometheus would not take the expression, or where a leaf or a literal is not there.
    pub fn compile(formula: &Formula, literals: usize, leaves: &[Range]) -> Result<Plan, Failure> {
        match compile(formula, literals, leaves)? {
            Compiled::Vector(plan) => Ok(plan),
            Compiled::Scalar(scalar) => Ok(Plan::new(vec![Labels::default()], How::Scalar(scalar))),
        }
    }

    fn new(labels: Vec<Labels>, how: How) -> Plan {
        Plan { values: vec![None; labels.len()], labels, how }
    }

    /// Fills the slots with what there is at evaluation `k`.
    pub fn fill(&mut self, k: usize, literals: &[f64], leaves: &[Range]) -> Result<(), Failure> {
        self.values.fill(None);
        let out = &mut self.values;
        match &mut self.how {
            How::Scalar(scalar) => out[0] = Some(scalar.at(k, literals, leaves)),
            How::Leaf { range, slots } => {
                for (track, &slot) in leaves[*range].tracks.iter().zip(slots.iter()) {
                    if let Some(value) = value_at(track, k) {
                        put(out, slot, value, Failure::SameLabels)?;
                    }
                }
            }
            How::Negate { operand, slots } => {
                operand.fill(k, literals, leaves)?;
                for (slot, value) in slots.iter().zip(&operand.values) {
                    if let Some(value) = value {
                        put(out, *slot, -value, Failure::SameLabels)?;
                    }
                }
            }
            How::WithScalar { op, bool, swap, vector, scalar, slots } => {
                vector.fill(k, literals, leaves)?;
                let scalar = scalar.at(k, literals, leaves);
                for (slot, value) in slots.iter().zip(&vector.values) {
                    let Some(value) = *value else { continue };
                    let (left, right) = if *swap { (scalar, value) } else { (value, scalar) };
                    let result = match op.compares(left, right) {
                        Some(holds) if *bool => f64::from(u8::from(holds)),
                        // A comparison that filters lets the vector's own value through, on whichever side it stands.
                        Some(true) => value,
                        Some(false) => continue,
                        None => op.of(left, right),
                    };
                    put(out, *slot, result, Failure::SameLabels)?;
                }
            }
            How::Set(set) => set.fill(out, k, literals, leaves)?,
            How::Join(join) => join.fill(out, k, literals, leaves)?,
        }
        Ok(())
    }
}

fn value_at(track: &Track, k: usize) -> Option<f64> {
    track.values.get(k).copied().flatten()
}

/// Fills a slot that has to be empty.
fn put(out: &mut [Option<f64>], slot: usize, value: f64, taken: Failure) -> Result<(), Failure> {
    if out[slot].replace(value).is_some() { Err(taken) } else { Ok(()) }
}

impl Set {
    fn fill(&mut self, out: &mut [Option<f64>], k: usize, literals: &[f64], leaves: &[Range]) -> Result<(), Failure> {
        self.left.fill(k, literals, leaves)?;
        self.right.fill(k, literals, leaves)?;
        let (decides, keys) = match self.op {
            Op::Or => (&self.left, &self.keys.left),
            _ => (&self.right, &self.keys.right),
        };
        self.there.fill(false);
        for (key, _) in keys.iter().zip(&decides.values).filter(|(_, value)| value.is_some()) {
            self.there[*key] = true;
        }
        for (slot, (key, value)) in self.keys.left.iter().zip(&self.left.values).enumerate() {
            let kept = match self.op {
                Op::And => self.there[*key],
                Op::Unless => !self.there[*key],
                _ => true,
            };
            if kept {
                out[slot] = *value;
            }
        }
        if self.op == Op::Or {
            for ((slot, key), value) in self.right_slots.iter().zip(&self.keys.right).zip(&self.right.values) {
                if let (Some(value), false) = (value, self.there[*key]) {
                    put(out, *slot, *value, Failure::SameLabels)?;
                }
            }
        }
        Ok(())
    }
}

impl Join {
    fn fill(&mut self, out: &mut [Option<f64>], k: usize, literals: &[f64], leaves: &[Range]) -> Result<(), Failure> {
        self.many.fill(k, literals, leaves)?;
        self.one.fill(k, literals, leaves)?;
        // Nothing matches nothing, and then nobody asks whether elements could be told apart.
        if self.many.values.iter().all(Option::is_none) {
            return Ok(());
        }
        self.found.fill(None);
        self.matched.fill(false);
        for (slot, key) in self.keys.right.iter().enumerate() {
            if self.one.values[slot].is_some() && self.found[*key].replace(slot).is_some() {
                return Err(Failure::NotUnique);
            }
        }
        for (slot, key) in self.keys.left.iter().enumerate() {
            let (Some(many), Some(found)) = (self.many.values[slot], self.found[*key]) else { continue };
            let Some(one) = self.one.values[found] else { continue };
            let (left, right) = if self.swapped { (one, many) } else { (many, one) };
            let result = match self.op.compares(left, right) {
                Some(holds) if self.bool => f64::from(u8::from(holds)),
                Some(true) => left,
                Some(false) => continue,
                None => self.op.of(left, right),
            };
            if self.one_to_one && std::mem::replace(&mut self.matched[*key], true) {
                return Err(Failure::ManyMatches);
            }
            let lent = self.lends[found];
            let (_, to) = self.slots[slot]
                .iter()
                .find(|(lends, _)| *lends == lent)
                .expect("slots were made for all that have the same key");
            put(out, *to, result, Failure::ManyMatches)?;
        }
        Ok(())
    }
}

impl Scalar {
    fn at(&self, k: usize, literals: &[f64], leaves: &[Range]) -> f64 {
        match self {
            // What `scalar()` gives where there is nothing.
            Scalar::Leaf(range) => {
                leaves[*range].tracks.first().and_then(|track| value_at(track, k)).unwrap_or(f64::NAN)
            }
            Scalar::Number(value) => *value,
            Scalar::Literal(at) => literals[*at],
            Scalar::Negate(operand) => -operand.at(k, literals, leaves),
            Scalar::Binary { op, left, right } => {
                op.scalar(left.at(k, literals, leaves), right.at(k, literals, leaves))
            }
        }
    }
}

impl Op {
    /// What a comparison says; `None` for other operators.
    pub(super) fn compares(self, left: f64, right: f64) -> Option<bool> {
        Some(match self {
            Op::Equal => left == right,
            Op::NotEqual => left != right,
            Op::Greater => left > right,
            Op::GreaterEqual => left >= right,
            Op::Less => left < right,
            Op::LessEqual => left <= right,
            _ => return None,
        })
    }

    /// What it gives between two scalars.
    pub(super) fn scalar(self, left: f64, right: f64) -> f64 {
        match self.compares(left, right) {
            Some(holds) => f64::from(u8::from(holds)),
            None => self.of(left, right),
        }
    }

    /// What arithmetic gives; NaN for other operators, which have no number.
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Op::Add => left + right,
            Op::Sub => left - right,
            Op::Mul => left * right,
            Op::Div => left / right,
            Op::Mod => left % right,
            Op::Pow => left.powf(right),
            Op::Atan2 => left.atan2(right),
            _ => f64::NAN,
        }
    }
}

enum Compiled {
    Scalar(Scalar),
    Vector(Plan),
}

fn compile(formula: &Formula, literals: usize, leaves: &[Range]) -> Result<Compiled, Failure> {
    let missing = Failure::Malformed("a leaf was not fetched");
    Ok(match formula {
        Formula::Leaf(range) => {
            let tracks = &leaves.get(*range).ok_or(missing)?.tracks;
            let (labels, slots) = relabel(tracks.iter().map(|track| &track.labels), Labels::clone);
            Compiled::Vector(Plan::new(labels, How::Leaf { range: *range, slots }))
        }
        Formula::ScalarLeaf(range) => {
            leaves.get(*range).ok_or(missing)?;
            Compiled::Scalar(Scalar::Leaf(*range))
        }
        Formula::Number(value) => Compiled::Scalar(Scalar::Number(*value)),
        Formula::Literal(at) if *at < literals => Compiled::Scalar(Scalar::Literal(*at)),
        Formula::Literal(_) => return Err(Failure::Malformed("a literal has no value")),
        Formula::Negate(operand) => match compile(operand, literals, leaves)? {
            Compiled::Scalar(scalar) => Compiled::Scalar(Scalar::Negate(Box::new(scalar))),
            Compiled::Vector(operand) => {
                let (labels, slots) = relabel(&operand.labels, Labels::nameless);
                Compiled::Vector(Plan::new(labels, How::Negate { operand: Box::new(operand), slots }))
            }
        },
        Formula::Binary { op, bool, matching, left, right } => {
            let (left, right) = (compile(left, literals, leaves)?, compile(right, literals, leaves)?);
            binary(*op, *bool, matching, left, right)?
        }
    })
}

fn binary(op: Op, bool: bool, matching: &Matching, left: Compiled, right: Compiled) -> Result<Compiled, Failure> {
    if bool && !op.is_comparison() {
        return Err(Failure::Malformed("bool is for comparisons alone"));
    }
    let plan = match (left, right) {
        (Compiled::Scalar(_), Compiled::Scalar(_)) if op.is_comparison() && !bool => {
            return Err(Failure::Malformed("comparing two scalars needs bool"));
        }
        (Compiled::Scalar(_), _) | (_, Compiled::Scalar(_)) if op.is_set() => {
            return Err(Failure::Malformed("and, or and unless are for vectors alone"));
        }
        (Compiled::Scalar(left), Compiled::Scalar(right)) => {
            return Ok(Compiled::Scalar(Scalar::Binary { op, left: Box::new(left), right: Box::new(right) }));
        }
        (Compiled::Vector(vector), Compiled::Scalar(scalar)) => with_scalar(op, bool, false, vector, scalar),
        (Compiled::Scalar(scalar), Compiled::Vector(vector)) => with_scalar(op, bool, true, vector, scalar),
        (Compiled::Vector(left), Compiled::Vector(right)) if op.is_set() => {
            if matching.group != Group::OneToOne {
                return Err(Failure::Malformed("and, or and unless know no groups"));
            }
            set(op, &matching.by, left, right)
        }
        (Compiled::Vector(left), Compiled::Vector(right)) => join(op, bool, matching, left, right),
    };
    Ok(Compiled::Vector(plan))
}

fn with_scalar(op: Op, bool: bool, swap: bool, vector: Plan, scalar: Scalar) -> Plan {
    let drops_name = bool || op.drops_name();
    let change = |labels: &Labels| if drops_name { labels.nameless() } else { labels.clone() };
    let (labels, slots) = relabel(&vector.labels, change);
    Plan::new(labels, How::WithScalar { op, bool, swap, vector: Box::new(vector), scalar, slots })
}

fn set(op: Op, by: &By, left: Plan, right: Plan) -> Plan {
    let keys = Keys::new(by, &left.labels, &right.labels);
    let mut out = Slots::default();
    for labels in &left.labels {
        out.of(labels.clone());
    }
    let right_slots = match op {
        Op::Or => right.labels.iter().map(|labels| out.of(labels.clone())).collect(),
        _ => Vec::new(),
    };
    let there = vec![false; keys.count];
    Plan::new(out.labels, How::Set(Box::new(Set { op, left, right, keys, there, right_slots })))
}

fn join(op: Op, bool: bool, matching: &Matching, left: Plan, right: Plan) -> Plan {
    let swapped = matches!(matching.group, Group::Right(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let lent: &[String] = match &matching.group {
        Group::OneToOne => &[],
        Group::Left(labels) | Group::Right(labels) => labels,
    };
    let one_to_one = matching.group == Group::OneToOne;
    let keys = Keys::new(&matching.by, &many.labels, &one.labels);

    // What elements of `one` lend, empty values as well: these take a label away.
    let mut known: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut by_key: Vec<Vec<(usize, Vec<&str>)>> = vec![Vec::new(); keys.count];
    let mut lends = Vec::with_capacity(one.labels.len());
    for (labels, key) in one.labels.iter().zip(&keys.right) {
        let values: Vec<&str> = lent.iter().map(|name| labels.get(name)).collect();
        let next = known.len();
        let number = *known.entry(values.clone()).or_insert(next);
        if by_key[*key].iter().all(|(other, _)| *other != number) {
            by_key[*key].push((number, values));
        }
        lends.push(number);
    }

    let mut out = Slots::default();
    let mut slots = Vec::with_capacity(many.labels.len());
    for (labels, key) in many.labels.iter().zip(&keys.left) {
        let own = if op.drops_name() { labels.nameless() } else { labels.clone() };
        let own = match (&matching.by, one_to_one) {
            (_, false) => own,
            (By::On(names), true) => own.filter(|name| names.iter().any(|on| on == name)),
            (By::Ignoring(names), true) => own.filter(|name| !names.iter().any(|ignored| ignored == name)),
        };
        let of_slot = by_key[*key].iter().map(|(number, values)| {
            let result = lent.iter().zip(values).fold(own.clone(), |result, (name, value)| result.with(name, value));
            (*number, out.of(if bool { result.nameless() } else { result }))
        });
        slots.push(of_slot.collect());
    }
    let (found, matched) = (vec![None; keys.count], vec![false; keys.count]);
    let join = Join { op, bool, many, one, swapped, one_to_one, keys, lends, slots, found, matched };
    Plan::new(out.labels, How::Join(Box::new(join)))
}

/// New labels for slots: the distinct ones, and which one each old slot has.
fn relabel<'a>(
    old: impl IntoIterator<Item = &'a Labels>,
    change: impl Fn(&Labels) -> Labels,
) -> (Vec<Labels>, Vec<usize>) {
    let mut out = Slots::default();
    let slots = old.into_iter().map(|labels| out.of(change(labels))).collect();
    (out.labels, slots)
}

impl Keys {
    pub fn new(by: &By, left: &[Labels], right: &[Labels]) -> Keys {
        let mut keys = Slots::default();
        let mut of = |labels: &Labels| {
            keys.of(match by {
                By::On(names) => labels.filter(|name| names.iter().any(|on| on == name)),
                By::Ignoring(names) => {
                    labels.filter(|name| name != METRIC_NAME && !names.iter().any(|ignored| ignored == name))
                }
            })
        };
        let left = left.iter().map(&mut of).collect();
        let right = right.iter().map(&mut of).collect();
        Keys { left, right, count: keys.labels.len() }
    }
}
