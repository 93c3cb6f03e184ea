//! Comparisons with a literal in an expression: where they stand, and which one decides whether the rule fires.
//!
//! What a rule alerts on is what comes out at its top. So a comparison decides when nothing but and, or, unless, arithmetic
//! and other comparisons stand above it; beside one that decides, others guard.

use super::expr::{Expr, Kind, Node, turned};
use super::judge::{self, Measure};
use super::reason::Reason;
use homeostat::replay::Op;
use std::ops::Range;

/// An expression and what in it can be tuned.
#[derive(Debug)]
pub struct Analysis {
    pub expr: Expr,
    /// In the order of the text.
    pub comparisons: Vec<Comparison>,
    /// Which of them to tune, or why none.
    pub tuned: Result<Vec<usize>, Reason>,
}

/// One comparison with a literal; spans count bytes of the expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    pub span: Range<usize>,
    /// The side that is measured.
    pub measured: Range<usize>,
    /// As if the measured side stood on the left.
    pub op: Op,
    pub bool: bool,
    pub literal: Literal,
    pub measure: Measure,
    /// Why it is left alone; None: it is the one to tune, or one of them.
    pub reason: Option<Reason>,
}

/// A number as it is written: `0.80`, `100*1024*1024`, `(25/100)`, `-5`.
#[derive(Clone, PartialEq, Debug)]
pub struct Literal {
    pub span: Range<usize>,
    pub value: f64,
}

impl Comparison {
    /// Whether it fires above its literal.
    pub fn is_upper(&self) -> bool {
        matches!(self.op, Op::Greater | Op::GreaterEqual)
    }
}

/// Reads an expression and finds what it compares.
pub fn analyse(text: &str) -> Result<Analysis, Reason> {
    let expr = Expr::parse(text).map_err(|wrong| Reason::NotPromql { at: wrong.at, problem: wrong.problem })?;
    let mut found = Found { text, comparisons: Vec::new(), against_series: false };
    let candidates = found.walk(&expr, &Above::default());
    let tuned = found.verdict(&expr, candidates);
    let mut comparisons = found.comparisons;
    if let Ok(tuned) = &tuned {
        for (at, one) in comparisons.iter_mut().enumerate() {
            if !tuned.contains(&at) && one.reason.is_none() {
                one.reason = Some(Reason::Guard);
            }
        }
    }
    Ok(Analysis { expr, comparisons, tuned })
}

/// What stands above a part of an expression.
#[derive(Clone, Default)]
struct Above {
    /// A call or an aggregation, by its name; or arithmetic below a comparison.
    inside: Option<String>,
    arithmetic: bool,
    /// A comparison takes its value up.
    compared: bool,
    /// The comparison above asks whether this one, with `bool`, came out true.
    asked: bool,
}

struct Found<'a> {
    text: &'a str,
    comparisons: Vec<Comparison>,
    against_series: bool,
}

impl Found<'_> {
    /// Notes all comparisons below; answers with those that could be tuned, first choice first.
    fn walk(&mut self, expr: &Expr, above: &Above) -> Vec<usize> {
        match &expr.node {
            Node::Number(_) | Node::Text(_) | Node::Selector { .. } => Vec::new(),
            Node::Paren(of) => self.walk(of, above),
            Node::Signed { of, .. } => self.walk(of, &Above { arithmetic: true, ..above.clone() }),
            Node::Ranged { of, .. } => self.inside(std::iter::once(&**of), "a subquery", above),
            Node::Call { name, args } | Node::Aggregation { name, args, .. } => {
                self.inside(args.iter(), &format!("{name}(…)"), above)
            }
            Node::Binary { op, left, right, .. } if op.is_set() => {
                let first = self.walk(left, above);
                let second = self.walk(right, above);
                self.joined(*op, first, second)
            }
            Node::Binary { op, bool, left, right, .. } if op.is_comparison() => {
                self.comparison(expr, (*op, *bool), left, right, above)
            }
            Node::Binary { left, right, .. } => {
                let above = Above { arithmetic: true, ..above.clone() };
                let mut found = self.walk(left, &above);
                found.extend(self.walk(right, &above));
                found
            }
        }
    }

    fn inside<'e>(&mut self, parts: impl Iterator<Item = &'e Expr>, what: &str, above: &Above) -> Vec<usize> {
        let above = Above { inside: Some(above.inside.clone().unwrap_or_else(|| what.to_owned())), ..above.clone() };
        for part in parts {
            self.walk(part, &above);
        }
        Vec::new()
    }

    /// Of two sides joined by a set operator: both branches of `or`; else the first side that has one, and the other side
    /// guards it.
    fn joined(&mut self, op: Op, first: Vec<usize>, second: Vec<usize>) -> Vec<usize> {
        if op == Op::Or {
            return [first, second].concat();
        }
        if op == Op::And {
            for one in &first {
                for other in &second {
                    self.same_quantity(*one, *other);
                }
            }
        }
        let free = |found: &Self, these: &[usize]| these.iter().any(|at| found.comparisons[*at].reason.is_none());
        let (kept, guards) = match (op, free(self, &first), free(self, &second)) {
            (Op::And, false, true) => (second, first),
            _ => (first, second),
        };
        for at in guards {
            self.comparisons[at].reason.get_or_insert(Reason::Guard);
        }
        kept
    }

    /// Two comparisons joined by `and` that bind each other.
    fn same_quantity(&mut self, one: usize, other: usize) {
        let shape = |at: usize| {
            let comparison = &self.comparisons[at];
            let measured = &self.text[comparison.measured.clone()];
            let literal = &self.text[comparison.literal.span.clone()];
            (squeezed(measured), squeezed(literal), comparison.is_upper())
        };
        let ((left, literal, upper), (other_left, other_literal, other_upper)) = (shape(one), shape(other));
        let reason = if left == other_left && upper != other_upper {
            Reason::Band
        } else if left != other_left && without_digits(&left) == without_digits(&other_left) && literal == other_literal
        {
            Reason::Windows
        } else {
            return;
        };
        for at in [one, other] {
            self.comparisons[at].reason.get_or_insert_with(|| reason.clone());
        }
    }

    fn comparison(
        &mut self,
        expr: &Expr,
        (op, bool): (Op, bool),
        left: &Expr,
        right: &Expr,
        above: &Above,
    ) -> Vec<usize> {
        let (measured, literal, op, value) = match (left.constant(), right.constant()) {
            (None, Some(value)) => (left, right, op, value),
            (Some(value), None) => (right, left, turned(op), value),
            (Some(_), Some(_)) => return Vec::new(),
            (None, None) => {
                let scaled = |side: &Expr| {
                    side.any(|part| {
                        matches!(&part.node, Node::Binary { left, right, .. }
                        if left.constant().is_some() != right.constant().is_some())
                    })
                };
                self.against_series |= scaled(left) || scaled(right);
                let above = Above { compared: true, arithmetic: true, ..above.clone() };
                return [self.walk(left, &above), self.walk(right, &above)].concat();
            }
        };
        // `(x > bool 5) == 1` asks for what `x > 5` asks.
        let asks = matches!((op, value), (Op::Equal | Op::GreaterEqual, 1.0) | (Op::Greater | Op::NotEqual, 0.0))
            && !above.compared;
        let at = self.comparisons.len();
        let inside = |what: &str| Some(Reason::Inside { what: what.to_owned() });
        let own = || judge::reason(measured, op, value, &self.text[literal.span.clone()], literal);
        let reason = match &above.inside {
            Some(what) if what.starts_with("absent") => Some(Reason::Absent),
            // What an objective leaves stays that, however often it is counted or labelled.
            Some(what) => own().filter(|reason| *reason == Reason::Objective).or_else(|| inside(what)),
            None if above.compared && above.arithmetic && !above.asked => inside("arithmetic"),
            None if bool && !above.asked && above.compared => inside("arithmetic"),
            None if bool && !above.asked => Some(Reason::FiresAlways),
            None if measured.kind == Kind::Scalar => Some(Reason::Clock),
            None => own(),
        };
        self.comparisons.push(Comparison {
            span: expr.span.clone(),
            measured: measured.span.clone(),
            op,
            bool,
            literal: Literal { span: literal.span.clone(), value },
            measure: judge::measure(measured, value),
            reason,
        });
        let is_comparison = matches!(&measured.bare().node, Node::Binary { op, .. } if op.is_comparison());
        let below = Above { compared: true, asked: asks && is_comparison, ..above.clone() };
        let inner = self.walk(measured, &below);
        if is_comparison && !below.asked {
            for one in inner.iter().copied().chain([at]) {
                self.comparisons[one].reason.get_or_insert(Reason::Band);
            }
        }
        [vec![at], inner].concat()
    }

    fn verdict(&self, expr: &Expr, candidates: Vec<usize>) -> Result<Vec<usize>, Reason> {
        let free: Vec<usize> = candidates.iter().copied().filter(|at| self.comparisons[*at].reason.is_none()).collect();
        if !free.is_empty() {
            return Ok(free);
        }
        let reasons = || self.comparisons.iter().filter_map(|one| one.reason.clone());
        // What is counted or summed says more of a rule than that it has to be above 0.
        let inside = || {
            self.comparisons.iter().find_map(|one| match &one.reason {
                Some(reason @ Reason::Inside { .. }) if one.literal.value != 0.0 && !is_equality(one.op) => {
                    Some(reason.clone())
                }
                _ => None,
            })
        };
        let absent = expr.any(|part| matches!(&part.node, Node::Call { name, .. } if name.starts_with("absent")));
        let outer = reasons().find(|reason| !matches!(reason, Reason::Guard));
        Err(match outer {
            Some(Reason::Zero | Reason::AnyAtAll | Reason::Quorum) => inside().or(outer).unwrap_or(Reason::Zero),
            Some(reason) => reason,
            None if absent => Reason::Absent,
            None if self.against_series => Reason::AgainstSeries,
            None => Reason::NoLiteral,
        })
    }
}

pub fn is_equality(op: Op) -> bool {
    matches!(op, Op::Equal | Op::NotEqual)
}

/// Without white space and comments.
pub fn squeezed(text: &str) -> String {
    let mut squeezed = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') => {
                chars.by_ref().find(|c| *c == '\n');
            }
            (None, c) if c.is_whitespace() => {}
            (Some(open), c) => {
                squeezed.push(c);
                if c == '\\' && open != '`' {
                    squeezed.extend(chars.next());
                } else if c == open {
                    quote = None;
                }
            }
            (None, c) => {
                squeezed.push(c);
                quote = matches!(c, '"' | '\'' | '`').then_some(c);
            }
        }
    }
    squeezed
}

/// Durations and windows in names are digits with a unit: without them two windows of a quantity look alike.
fn without_digits(text: &str) -> String {
    let mut shorter = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        shorter.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
        rest = rest.strip_prefix("ms").or_else(|| rest.strip_prefix(['s', 'm', 'h', 'd', 'w', 'y'])).unwrap_or(rest);
    }
    shorter + rest
}

#[cfg(test)]
mod tests;
