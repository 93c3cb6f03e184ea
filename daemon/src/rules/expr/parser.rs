//! PromQL read into a tree whose nodes know their bytes.
//!
//! By the grammar of Prometheus (promql/parser/generated_parser.y): precedence, modifiers, and the types that can be told
//! without a table of functions.

use super::lexer::{self, NotPromql, Spanned, Token};
use super::{Expr, Grouping, Kind, Matcher, Node};
use homeostat::replay::{By, Group, Matching, Op};
use std::ops::Range;

/// An expression may be so long, and its tree so deep: no rule that a person wrote comes near.
const EXPR_LEN_MAX: usize = 200_000;
const DEPTH_MAX: usize = 300;

const AGGREGATIONS: [&str; 16] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
    "mad",
    "any",
];

/// The precedence of a unary sign's operand: only `^` binds tighter.
const POWER: u8 = 6;

pub(super) fn parse(text: &str) -> Result<Expr, NotPromql> {
    if text.len() > EXPR_LEN_MAX {
        return Err(NotPromql::new(0, format!("it has {} bytes; {EXPR_LEN_MAX} are read", text.len())));
    }
    let mut parser = Parser { text, tokens: lexer::tokens(text)?, at: 0, open: 0 };
    let expr = parser.expr(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some(next) => Err(parser.unexpected(next)),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    at: usize,
    /// How deep the parser itself stands.
    open: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    fn next(&mut self) -> Result<Spanned, NotPromql> {
        let next = self.tokens.get(self.at).cloned();
        self.at += 1;
        next.ok_or_else(|| NotPromql::new(self.text.len(), "it ends too early"))
    }

    fn unexpected(&self, found: &Spanned) -> NotPromql {
        let shown: String = self.text[found.span.clone()].chars().take(40).collect();
        NotPromql::new(found.span.start, format!("`{}` cannot stand here", shown.escape_debug()))
    }

    fn word(&self) -> Option<&str> {
        let spanned = self.tokens.get(self.at).filter(|spanned| spanned.token == Token::Word)?;
        Some(&self.text[spanned.span.clone()])
    }

    fn is_word(&self, word: &str) -> bool {
        self.word().is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// The end of the sign.
    fn expect(&mut self, sign: &'static str) -> Result<usize, NotPromql> {
        let next = self.next()?;
        match next.token {
            Token::Sign(found) if found == sign => Ok(next.span.end),
            _ => Err(self.unexpected(&next)),
        }
    }

    fn operator(&self) -> Option<(Op, u8)> {
        let op = match self.peek()? {
            Token::Sign(sign) => Op::parse(sign)?,
            Token::Word => Op::parse(&self.word()?.to_ascii_lowercase())?,
            _ => return None,
        };
        let precedence = match op {
            Op::Or => 1,
            Op::And | Op::Unless => 2,
            Op::Equal | Op::NotEqual | Op::Greater | Op::GreaterEqual | Op::Less | Op::LessEqual => 3,
            Op::Add | Op::Sub => 4,
            Op::Mul | Op::Div | Op::Mod | Op::Atan2 => 5,
            Op::Pow => POWER,
        };
        Some((op, precedence))
    }

    /// Operators of at least this precedence.
    fn expr(&mut self, least: u8) -> Result<Expr, NotPromql> {
        self.open += 1;
        if self.open > DEPTH_MAX {
            return Err(NotPromql::new(
                self.tokens.get(self.at).map_or(0, |next| next.span.start),
                "it is nested too deep",
            ));
        }
        let mut left = self.unary()?;
        while let Some((op, precedence)) = self.operator().filter(|(_, precedence)| *precedence >= least) {
            let at = self.next()?.span;
            let bool = self.takes_word("bool");
            if bool && !op.is_comparison() {
                return Err(NotPromql::new(at.start, "`bool` belongs to comparisons"));
            }
            let matching = self.matching()?;
            // A power binds from the right.
            let right = self.expr(if precedence == POWER { precedence } else { precedence + 1 })?;
            left = binary(op, bool, matching, left, right, at.start)?;
        }
        self.open -= 1;
        Ok(left)
    }

    fn matching(&mut self) -> Result<Matching, NotPromql> {
        let on = self.is_word("on");
        if !on && !self.is_word("ignoring") {
            return Ok(Matching::default());
        }
        self.at += 1;
        let labels = self.labels()?;
        let by = if on { By::On(labels) } else { By::Ignoring(labels) };
        let left = self.is_word("group_left");
        let mut group = Group::OneToOne;
        if left || self.is_word("group_right") {
            self.at += 1;
            let include = if self.is_sign("(") { self.labels()? } else { Vec::new() };
            group = if left { Group::Left(include) } else { Group::Right(include) };
        }
        Ok(Matching { by, group })
    }

    /// `(a, b)`
    fn labels(&mut self) -> Result<Vec<String>, NotPromql> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.takes_sign(")") {
            let next = self.next()?;
            labels.push(match next.token {
                Token::Word => self.text[next.span].to_owned(),
                Token::Text(label) => label,
                _ => return Err(self.unexpected(&next)),
            });
            if !self.takes_sign(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(labels)
    }

    fn unary(&mut self) -> Result<Expr, NotPromql> {
        let minus = self.is_sign("-");
        if !minus && !self.is_sign("+") {
            return self.postfix();
        }
        let start = self.next()?.span.start;
        let of = self.expr(POWER)?;
        if !matches!(of.kind, Kind::Scalar | Kind::Vector) {
            return Err(NotPromql::new(start, "a sign stands before a number or a vector alone"));
        }
        let (span, kind) = (start..of.span.end, of.kind);
        deep(Expr::new(span, kind, Node::Signed { minus, of: Box::new(of) }))
    }

    fn postfix(&mut self) -> Result<Expr, NotPromql> {
        let mut expr = self.primary()?;
        loop {
            if self.is_sign("[") {
                expr = self.range(expr)?;
            } else if self.takes_word("offset") {
                let sign = self.is_sign("-") || self.is_sign("+");
                self.at += usize::from(sign);
                let next = self.next()?;
                match next.token {
                    Token::Duration(_) | Token::Number(_) => expr.span.end = next.span.end,
                    _ => return Err(NotPromql::new(next.span.start, "`offset` takes a duration like 5m")),
                }
            } else if self.takes_sign("@") {
                expr.span.end = self.moment()?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// After `@`: a time, `start()` or `end()`.
    fn moment(&mut self) -> Result<usize, NotPromql> {
        if self.is_word("start") || self.is_word("end") {
            self.at += 1;
            self.expect("(")?;
            return self.expect(")");
        }
        let sign = self.is_sign("-") || self.is_sign("+");
        self.at += usize::from(sign);
        let next = self.next()?;
        match next.token {
            Token::Number(_) => Ok(next.span.end),
            _ => Err(NotPromql::new(next.span.start, "`@` takes Unix seconds, start() or end()")),
        }
    }

    /// `[5m]`, `[1h:5m]`, `[1h:]`
    fn range(&mut self, of: Expr) -> Result<Expr, NotPromql> {
        let start = self.expect("[")?;
        let length = self.next()?;
        let seconds = match length.token {
            Token::Duration(seconds) | Token::Number(seconds) => seconds,
            _ => return Err(NotPromql::new(length.span.start, "a range is a duration like 5m")),
        };
        let subquery = self.takes_sign(":");
        if subquery && !self.is_sign("]") {
            let step = self.next()?;
            if !matches!(step.token, Token::Duration(_) | Token::Number(_)) {
                return Err(NotPromql::new(step.span.start, "the step of a subquery is a duration like 5m"));
            }
        }
        let end = self.expect("]")?;
        let fits = match subquery {
            true => matches!(of.kind, Kind::Vector | Kind::Scalar),
            false => matches!(of.node, Node::Selector { .. }) && of.kind == Kind::Vector,
        };
        if !fits {
            return Err(NotPromql::new(start - 1, "a range follows a metric; for other expressions write [1h:5m]"));
        }
        let span = of.span.start..end;
        deep(Expr::new(span, Kind::Range, Node::Ranged { of: Box::new(of), seconds, subquery }))
    }

    fn primary(&mut self) -> Result<Expr, NotPromql> {
        let next = self.next()?;
        let span = next.span.clone();
        match next.token {
            Token::Number(value) | Token::Duration(value) => Ok(Expr::new(span, Kind::Scalar, Node::Number(value))),
            Token::Text(text) => Ok(Expr::new(span, Kind::Text, Node::Text(text))),
            Token::Sign("(") => {
                let of = self.expr(0)?;
                let end = self.expect(")")?;
                let kind = of.kind;
                deep(Expr::new(span.start..end, kind, Node::Paren(Box::new(of))))
            }
            Token::Sign("{") => {
                let (name, matchers, end) = self.matchers(None)?;
                if name.is_none() && matchers.is_empty() {
                    return Err(NotPromql::new(span.start, "a selector without a name needs a label"));
                }
                Ok(Expr::new(span.start..end, Kind::Vector, Node::Selector { name, matchers }))
            }
            Token::Word => self.named(span),
            Token::Sign(_) => Err(self.unexpected(&next)),
        }
    }

    /// What begins with a word.
    fn named(&mut self, span: Range<usize>) -> Result<Expr, NotPromql> {
        let word = self.text[span.clone()].to_owned();
        let lower = word.to_ascii_lowercase();
        let grouped = self.is_word("by") || self.is_word("without");
        if AGGREGATIONS.contains(&lower.as_str()) && (grouped || self.is_sign("(")) {
            return self.aggregation(lower, span);
        }
        if self.is_sign("(") {
            let (args, end) = self.arguments()?;
            let kind = match lower.as_str() {
                "time" | "scalar" | "pi" => Kind::Scalar,
                _ => Kind::Vector,
            };
            return deep(Expr::new(span.start..end, kind, Node::Call { name: lower, args }));
        }
        if !self.is_sign("{") {
            match lower.as_str() {
                "inf" => return Ok(Expr::new(span, Kind::Scalar, Node::Number(f64::INFINITY))),
                "nan" => return Ok(Expr::new(span, Kind::Scalar, Node::Number(f64::NAN))),
                "and" | "or" | "unless" | "atan2" | "bool" | "offset" | "on" | "ignoring" => {
                    return Err(NotPromql::new(span.start, format!("`{word}` cannot stand here")));
                }
                _ => {}
            }
            return Ok(Expr::new(span, Kind::Vector, Node::Selector { name: Some(word), matchers: Vec::new() }));
        }
        self.at += 1;
        let (name, matchers, end) = self.matchers(Some(word))?;
        Ok(Expr::new(span.start..end, Kind::Vector, Node::Selector { name, matchers }))
    }

    /// What stands in braces, after the first one, and the end.
    #[allow(clippy::type_complexity)]
    fn matchers(&mut self, mut name: Option<String>) -> Result<(Option<String>, Vec<Matcher>, usize), NotPromql> {
        let mut matchers = Vec::new();
        loop {
            if self.is_sign("}") {
                return Ok((name, matchers, self.expect("}")?));
            }
            let label = self.next()?;
            let quoted = match &label.token {
                Token::Word => None,
                Token::Text(text) => Some(text.clone()),
                _ => return Err(self.unexpected(&label)),
            };
            match (self.peek(), quoted) {
                (Some(Token::Sign(sign @ ("=" | "!=" | "=~" | "!~"))), quoted) => {
                    let sign = *sign;
                    self.at += 1;
                    let value = self.next()?;
                    let Token::Text(value) = value.token else { return Err(self.unexpected(&value)) };
                    let label = quoted.unwrap_or_else(|| self.text[label.span].to_owned());
                    matchers.push(Matcher { label, sign, value });
                }
                // A name in quotes, since it is no word.
                (_, Some(quoted)) if name.is_none() => name = Some(quoted),
                _ => {
                    let found = self.next()?;
                    return Err(self.unexpected(&found));
                }
            }
            if !self.takes_sign(",") {
                return Ok((name, matchers, self.expect("}")?));
            }
        }
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, NotPromql> {
        let by = self.is_word("by");
        if !by && !self.is_word("without") {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(Grouping { by, labels: self.labels()? }))
    }

    fn aggregation(&mut self, name: String, span: Range<usize>) -> Result<Expr, NotPromql> {
        let mut grouping = self.grouping()?;
        let (args, mut end) = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
            end = self.tokens[self.at - 1].span.end.max(end);
        }
        match args.last() {
            Some(last) if last.kind == Kind::Vector => {}
            _ => return Err(NotPromql::new(span.start, format!("`{name}` is taken over a vector"))),
        }
        deep(Expr::new(span.start..end, Kind::Vector, Node::Aggregation { name, grouping, args }))
    }

    /// `(a, b)`, and the end.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize), NotPromql> {
        self.expect("(")?;
        let mut args = Vec::new();
        loop {
            if self.is_sign(")") {
                return Ok((args, self.expect(")")?));
            }
            args.push(self.expr(0)?);
            if !self.takes_sign(",") {
                return Ok((args, self.expect(")")?));
            }
        }
    }
}

fn binary(op: Op, bool: bool, matching: Matching, left: Expr, right: Expr, at: usize) -> Result<Expr, NotPromql> {
    let kind = match (left.kind, right.kind) {
        (Kind::Scalar, Kind::Scalar) => Kind::Scalar,
        (Kind::Scalar | Kind::Vector, Kind::Scalar | Kind::Vector) => Kind::Vector,
        _ => return Err(NotPromql::new(at, "an operator stands between numbers and vectors alone")),
    };
    if op.is_set() && (left.kind == Kind::Scalar || right.kind == Kind::Scalar) {
        return Err(NotPromql::new(at, "and, or and unless stand between vectors alone"));
    }
    if op.is_comparison() && kind == Kind::Scalar && !bool {
        return Err(NotPromql::new(at, "two numbers are compared with `bool` alone"));
    }
    let span = left.span.start..right.span.end;
    deep(Expr::new(span, kind, Node::Binary { op, bool, matching, left: Box::new(left), right: Box::new(right) }))
}

/// Trees are walked and dropped by recursion: they may be so deep and no deeper.
fn deep(expr: Expr) -> Result<Expr, NotPromql> {
    if expr.depth > DEPTH_MAX {
        return Err(NotPromql::new(expr.span.start, "it is nested too deep"));
    }
    Ok(expr)
}
