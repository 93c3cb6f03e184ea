//! The upper part of an expression: operators, numbers, the literals that are tuned, and leaves that are fetched whole.
//!
//! What it evaluates to is `evaluate`'s matter; here is what it is, and how it is written as PromQL.

use std::fmt;

/// An expression from its top down to what is fetched as it stands.
///
/// A leaf is the largest part that holds no literal to be tuned: `rate(x[5m])`, but also a guard such as `y > 0`.
#[derive(Clone, PartialEq, Debug)]
pub enum Formula {
    /// An instant vector: an index into the fetched ranges.
    Leaf(usize),
    /// A scalar that is fetched, such as `scalar(y)` or `time()`: an index into the fetched ranges, whose one track it is.
    ScalarLeaf(usize),
    /// A number that is not tuned.
    Number(f64),
    /// A literal that is tuned: an index into the literals.
    Literal(usize),
    /// `left op right`. Only comparisons know `bool`; between two scalars they need it.
    Binary { op: Op, bool: bool, matching: Matching, left: Box<Formula>, right: Box<Formula> },
    /// `-operand`
    Negate(Box<Formula>),
}

/// A binary operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    And,
    Or,
    Unless,
}

/// How the elements of two vectors find each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Matching {
    pub by: By,
    pub group: Group,
}

/// Which labels have to be equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    On(Vec<String>),
    /// All but these and the metric's name.
    Ignoring(Vec<String>),
}

impl Default for By {
    fn default() -> By {
        By::Ignoring(Vec::new())
    }
}

/// How many elements of one side may meet one of the other. `and`, `or` and `unless` match many to many and know no
/// groups.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Group {
    #[default]
    OneToOne,
    /// `group_left`: many on the left; these labels are taken over from the right.
    Left(Vec<String>),
    /// `group_right`: many on the right; these labels are taken over from the left.
    Right(Vec<String>),
}

impl Op {
    pub const ALL: [Op; 16] = [
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::Mod,
        Op::Pow,
        Op::Atan2,
        Op::Equal,
        Op::NotEqual,
        Op::Greater,
        Op::GreaterEqual,
        Op::Less,
        Op::LessEqual,
        Op::And,
        Op::Or,
        Op::Unless,
    ];

    /// As PromQL writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Op::Add => "+",
            Op::Sub => "-",
            Op::Mul => "*",
            Op::Div => "/",
            Op::Mod => "%",
            Op::Pow => "^",
            Op::Atan2 => "atan2",
            Op::Equal => "==",
            Op::NotEqual => "!=",
            Op::Greater => ">",
            Op::GreaterEqual => ">=",
            Op::Less => "<",
            Op::LessEqual => "<=",
            Op::And => "and",
            Op::Or => "or",
            Op::Unless => "unless",
        }
    }

    /// From how PromQL writes it, in lower case.
    pub fn parse(text: &str) -> Option<Op> {
        Op::ALL.into_iter().find(|op| op.as_str() == text)
    }

    pub const fn is_comparison(self) -> bool {
        matches!(self, Op::Equal | Op::NotEqual | Op::Greater | Op::GreaterEqual | Op::Less | Op::LessEqual)
    }

    /// Whether it is about which elements there are, not about their values.
    pub const fn is_set(self) -> bool {
        matches!(self, Op::And | Op::Or | Op::Unless)
    }

    /// The comparison that says the same with its operands changed over; other operators as they are.
    pub const fn mirrored(self) -> Op {
        match self {
            Op::Greater => Op::Less,
            Op::GreaterEqual => Op::LessEqual,
            Op::Less => Op::Greater,
            Op::LessEqual => Op::GreaterEqual,
            other => other,
        }
    }

    /// Whether what it gives is another quantity, so that the metric's name no longer fits. Prometheus 2.42 forgets
    /// `atan2` here, and so its results keep their name.
    pub const fn drops_name(self) -> bool {
        matches!(self, Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::Pow)
    }
}

impl Formula {
    /// `left op right` with everything else as it is by default.
    pub fn binary(op: Op, left: Formula, right: Formula) -> Formula {
        Formula::matched(op, Matching::default(), left, right)
    }

    pub fn matched(op: Op, matching: Matching, left: Formula, right: Formula) -> Formula {
        Formula::Binary { op, bool: false, matching, left: Box::new(left), right: Box::new(right) }
    }

    /// How many literals it needs: one more than the highest it names.
    pub fn literals(&self) -> usize {
        match self {
            Formula::Leaf(_) | Formula::ScalarLeaf(_) | Formula::Number(_) => 0,
            Formula::Literal(at) => at + 1,
            Formula::Binary { left, right, .. } => left.literals().max(right.literals()),
            Formula::Negate(operand) => operand.literals(),
        }
    }

    /// Whether it depends on nothing that is fetched.
    pub fn is_constant(&self) -> bool {
        match self {
            Formula::Leaf(_) | Formula::ScalarLeaf(_) => false,
            Formula::Number(_) | Formula::Literal(_) => true,
            Formula::Binary { left, right, .. } => left.is_constant() && right.is_constant(),
            Formula::Negate(operand) => operand.is_constant(),
        }
    }

    /// Its value where it depends on nothing that is fetched; `None` where it does, or where a literal is missing.
    pub fn constant(&self, literals: &[f64]) -> Option<f64> {
        match self {
            Formula::Leaf(_) | Formula::ScalarLeaf(_) => None,
            Formula::Number(value) => Some(*value),
            Formula::Literal(at) => literals.get(*at).copied(),
            Formula::Negate(operand) => Some(-operand.constant(literals)?),
            Formula::Binary { op, left, right, .. } => {
                Some(op.scalar(left.constant(literals)?, right.constant(literals)?))
            }
        }
    }

    /// The formula as PromQL: `leaves` are the texts of what is fetched, without comments, `literals` are written as numbers. What is
    /// missing in either is written as `?`. Operands that are operations themselves stand in parentheses.
    pub fn promql<'a, L: AsRef<str>>(&'a self, leaves: &'a [L], literals: &'a [f64]) -> Promql<'a, L> {
        Promql { formula: self, leaves, literals }
    }
}

/// A formula with what it needs to be written; see [`Formula::promql`].
pub struct Promql<'a, L> {
    formula: &'a Formula,
    leaves: &'a [L],
    literals: &'a [f64],
}

impl<L: AsRef<str>> Promql<'_, L> {
    fn part<'b>(&'b self, formula: &'b Formula) -> Promql<'b, L> {
        Promql { formula, leaves: self.leaves, literals: self.literals }
    }

    /// An operand: in parentheses unless it is one word, as a leaf is unless it is an operation itself. A number's sign
    /// binds less than `^` and another sign.
    fn operand(&self, formula: &Formula, tight: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.part(formula).to_string();
        let closed = match formula {
            Formula::Number(_) | Formula::Literal(_) => !(tight && text.starts_with(['-', '+'])),
            _ => is_closed(&text),
        };
        if closed { f.write_str(&text) } else { write!(f, "({text})") }
    }
}

/// Whether a text is one operand whatever stands around it: a name, a number, a call, a selector or something in
/// parentheses. Where that is not plain to see, it is not.
fn is_closed(text: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    let rest = text.trim_start_matches(word);
    let Some(open) = rest.chars().next() else { return true };
    if !matches!(open, '(' | '{' | '[') {
        return false;
    }
    // Closed when the bracket that was opened last closes at the very end, or another one opens right behind it.
    let mut depth = 0_usize;
    let mut quote = None;
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"' | '\''), '\\') => {
                chars.next();
            }
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '{' | '[') => depth += 1,
            (None, ')' | '}' | ']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    match chars.peek() {
                        None => return true,
                        Some('(' | '{' | '[') => {}
                        Some(_) => return false,
                    }
                }
            }
            (None, _) => {}
        }
    }
    false
}

/// A number as PromQL reads it back.
fn number(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_infinite() {
        f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value.is_nan() {
        f.write_str("NaN")
    } else if value != 0.0 && (value.abs() >= 1e15 || value.abs() < 1e-6) {
        write!(f, "{value:e}")
    } else {
        write!(f, "{value}")
    }
}

impl<L: AsRef<str>> fmt::Display for Promql<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.formula {
            Formula::Leaf(at) | Formula::ScalarLeaf(at) => match self.leaves.get(*at) {
                Some(text) => f.write_str(text.as_ref()),
                None => f.write_str("?"),
            },
            Formula::Number(value) => number(*value, f),
            Formula::Literal(at) => match self.literals.get(*at) {
                Some(value) => number(*value, f),
                None => f.write_str("?"),
            },
            Formula::Binary { op, bool, matching, left, right } => {
                self.operand(left, *op == Op::Pow, f)?;
                write!(f, " {}{}{} ", op.as_str(), if *bool { " bool" } else { "" }, matching)?;
                self.operand(right, false, f)
            }
            Formula::Negate(operand) => {
                f.write_str("-")?;
                self.operand(operand, true, f)
            }
        }
    }
}

/// As it stands behind an operator, with a space before it; nothing where all labels have to be equal.
impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match &self.by {
            By::On(labels) => Some(("on", labels)),
            By::Ignoring(labels) if labels.is_empty() && self.group == Group::OneToOne => None,
            By::Ignoring(labels) => Some(("ignoring", labels)),
        };
        if let Some((word, labels)) = by {
            write!(f, " {word}({})", labels.join(", "))?;
        }
        match &self.group {
            Group::OneToOne => Ok(()),
            Group::Left(labels) => write!(f, " group_left({})", labels.join(", ")),
            Group::Right(labels) => write!(f, " group_right({})", labels.join(", ")),
        }
    }
}
