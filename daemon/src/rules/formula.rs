//! An expression as replay works it out: from its top down to the parts that are fetched as they stand.

use super::compare::Analysis;
use super::expr::{Expr, Kind, Node};
use homeostat::replay::Formula;

/// An expression taken apart around the literals that are tuned.
#[derive(Clone, PartialEq, Debug)]
pub struct Taken {
    pub formula: Formula,
    /// What is fetched, each once.
    pub leaves: Vec<String>,
    /// As they stand now, in the order of the tuned comparisons.
    pub literals: Vec<f64>,
    /// Per literal the leaf it is compared with; None: not one leaf alone.
    pub measured: Vec<Option<usize>>,
}

/// Takes `text` apart, whose analysis this is. `tuned` are places among its comparisons; with none, all of it is one leaf.
pub fn take(text: &str, analysis: &Analysis, tuned: &[usize]) -> Taken {
    let mut take = Take { text, analysis, tuned, leaves: Vec::new() };
    let formula = take.formula(&analysis.expr);
    let literals = tuned.iter().map(|at| analysis.comparisons[*at].literal.value).collect();
    let measured = tuned.iter().map(|at| take.leaf_of(&analysis.comparisons[*at].measured)).collect();
    Taken { formula, leaves: take.leaves, literals, measured }
}

struct Take<'a> {
    text: &'a str,
    analysis: &'a Analysis,
    tuned: &'a [usize],
    leaves: Vec<String>,
}

impl Take<'_> {
    fn literal(&self, expr: &Expr) -> Option<usize> {
        self.tuned.iter().position(|at| self.analysis.comparisons[*at].literal.span == expr.span)
    }

    fn holds_literal(&self, expr: &Expr) -> bool {
        self.tuned.iter().any(|at| {
            let literal = &self.analysis.comparisons[*at].literal.span;
            expr.span.start <= literal.start && literal.end <= expr.span.end
        })
    }

    fn formula(&mut self, expr: &Expr) -> Formula {
        if let Some(at) = self.literal(expr) {
            return Formula::Literal(at);
        }
        if !self.holds_literal(expr) {
            return match expr.constant() {
                Some(value) => Formula::Number(value),
                None => self.leaf(expr),
            };
        }
        match &expr.node {
            Node::Paren(of) => self.formula(of),
            Node::Signed { minus: false, of } => self.formula(of),
            Node::Signed { minus: true, of } => Formula::Negate(Box::new(self.formula(of))),
            Node::Binary { op, bool, matching, left, right } => Formula::Binary {
                op: *op,
                bool: *bool,
                matching: matching.clone(),
                left: Box::new(self.formula(left)),
                right: Box::new(self.formula(right)),
            },
            // No literal inside these is ever tuned.
            _ => self.leaf(expr),
        }
    }

    fn leaf(&mut self, expr: &Expr) -> Formula {
        let text = &self.text[expr.span.clone()];
        let at = self.leaves.iter().position(|known| known == text).unwrap_or_else(|| {
            self.leaves.push(text.to_owned());
            self.leaves.len() - 1
        });
        if expr.kind == Kind::Scalar { Formula::ScalarLeaf(at) } else { Formula::Leaf(at) }
    }

    fn leaf_of(&self, span: &std::ops::Range<usize>) -> Option<usize> {
        self.leaves.iter().position(|leaf| *leaf == self.text[span.clone()])
    }
}
