//! PromQL as far as it takes to find what a rule compares, and where: a tree whose nodes know their bytes.
//!
//! The parsers there are keep no places; a literal that is to be changed among look-alikes (`quantile="1"} > 1`) is known
//! by its place alone.

mod lexer;
mod parser;
#[cfg(test)]
mod tests;

pub use lexer::NotPromql;

use homeostat::replay::{Matching, Op};
use std::ops::Range;

/// One node, the bytes it was read from, and what it gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub span: Range<usize>,
    pub kind: Kind,
    pub node: Node,
    /// Nodes on the way to the deepest one below.
    depth: usize,
}

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Scalar,
    Vector,
    Range,
    Text,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Node {
    Number(f64),
    Text(String),
    Selector {
        name: Option<String>,
        matchers: Vec<Matcher>,
    },
    /// `x[5m]`, or a subquery `x[1h:5m]`.
    Ranged {
        of: Box<Expr>,
        seconds: f64,
        subquery: bool,
    },
    Paren(Box<Expr>),
    Signed {
        minus: bool,
        of: Box<Expr>,
    },
    Binary {
        op: Op,
        bool: bool,
        matching: Matching,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Call {
        name: String,
        args: Vec<Expr>,
    },
    Aggregation {
        name: String,
        grouping: Option<Grouping>,
        args: Vec<Expr>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matcher {
    pub label: String,
    pub sign: &'static str,
    pub value: String,
}

/// `by (…)` or `without (…)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grouping {
    pub by: bool,
    pub labels: Vec<String>,
}

impl Expr {
    pub fn parse(text: &str) -> Result<Expr, NotPromql> {
        parser::parse(text)
    }

    fn new(span: Range<usize>, kind: Kind, node: Node) -> Expr {
        let mut expr = Expr { span, kind, node, depth: 0 };
        expr.depth = 1 + expr.children().iter().map(|child| child.depth).max().unwrap_or(0);
        expr
    }

    /// What stands directly below, in order.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Number(_) | Node::Text(_) | Node::Selector { .. } => Vec::new(),
            Node::Ranged { of, .. } | Node::Paren(of) | Node::Signed { of, .. } => vec![of],
            Node::Binary { left, right, .. } => vec![left, right],
            Node::Call { args, .. } | Node::Aggregation { args, .. } => args.iter().collect(),
        }
    }

    /// This and everything below, from the top.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    pub fn any(&self, mut is: impl FnMut(&Expr) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |expr| found |= is(expr));
        found
    }

    /// Without the parentheses around it.
    pub fn bare(&self) -> &Expr {
        let mut expr = self;
        while let Node::Paren(of) = &expr.node {
            expr = of;
        }
        expr
    }

    /// The value of what holds numbers and arithmetic alone.
    pub fn constant(&self) -> Option<f64> {
        match &self.node {
            Node::Number(value) => Some(*value),
            Node::Paren(of) => of.constant(),
            Node::Signed { minus, of } => of.constant().map(|value| if *minus { -value } else { value }),
            Node::Binary { op, left, right, .. } => arithmetic(*op, left.constant()?, right.constant()?),
            _ => None,
        }
    }

    /// Names of all metrics below, as they come.
    pub fn metrics(&self) -> Vec<&str> {
        let mut metrics = Vec::new();
        self.walk(&mut |expr| {
            if let Node::Selector { name, matchers } = &expr.node {
                let named = || matchers.iter().find(|one| one.label == "__name__").map(|one| one.value.as_str());
                metrics.extend(name.as_deref().or_else(named));
            }
        });
        metrics
    }
}

/// None: not arithmetic.
fn arithmetic(op: Op, left: f64, right: f64) -> Option<f64> {
    Some(match op {
        Op::Add => left + right,
        Op::Sub => left - right,
        Op::Mul => left * right,
        Op::Div => left / right,
        Op::Mod => left % right,
        Op::Pow => left.powf(right),
        Op::Atan2 => left.atan2(right),
        _ => return None,
    })
}

/// A comparison with its sides exchanged.
pub fn turned(op: Op) -> Op {
    match op {
        Op::Greater => Op::Less,
        Op::Less => Op::Greater,
        Op::GreaterEqual => Op::LessEqual,
        Op::LessEqual => Op::GreaterEqual,
        other => other,
    }
}

impl Expr {
    /// Selectors below, each once, as they select now: without ranges and offsets.
    pub fn selectors(&self) -> Vec<String> {
        let mut selectors = Vec::new();
        self.walk(&mut |part| {
            if let Node::Selector { name, matchers } = &part.node {
                let matchers: Vec<String> =
                    matchers.iter().map(|one| format!("{}{}{}", one.label, one.sign, quoted(&one.value))).collect();
                let braces = if matchers.is_empty() { String::new() } else { format!("{{{}}}", matchers.join(",")) };
                let text = format!("{}{braces}", name.as_deref().unwrap_or_default());
                if !selectors.contains(&text) {
                    selectors.push(text);
                }
            }
        });
        selectors
    }

    /// Seconds of ranges on the deepest way down.
    pub fn looks_back(&self) -> f64 {
        let below = self.children().iter().map(|child| child.looks_back()).fold(0.0, f64::max);
        match self.node {
            Node::Ranged { seconds, .. } => below + seconds,
            _ => below,
        }
    }
}

/// A text in double quotes, as PromQL reads it.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Whether `@ start()` or `@ end()` stands in it: of a rule's evaluation both are its own moment, of a query over a range they are not.
pub fn asks_for_ends(text: &str) -> bool {
    let tokens = lexer::tokens(text).unwrap_or_default();
    tokens
        .windows(2)
        .any(|two| two[0].token == lexer::Token::Sign("@") && matches!(&text[two[1].span.clone()], "start" | "end"))
}

/// Seconds that an expression is moved into the past by all its offsets together; None: it looks at fixed times or ahead.
pub fn offsets(text: &str) -> Option<f64> {
    let tokens = lexer::tokens(text).ok()?;
    let mut total = 0.0;
    for (at, one) in tokens.iter().enumerate() {
        if one.token == lexer::Token::Sign("@") {
            return None;
        }
        if one.token == lexer::Token::Word && text[one.span.clone()].eq_ignore_ascii_case("offset") {
            match tokens.get(at + 1).map(|next| &next.token) {
                Some(lexer::Token::Duration(seconds) | lexer::Token::Number(seconds)) => total += seconds,
                Some(lexer::Token::Sign("-")) => return None,
                // A metric or a label of that name.
                _ => {}
            }
        }
    }
    Some(total)
}
