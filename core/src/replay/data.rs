//! Thresholds as data: a comparison with a literal made into one that looks its thresholds up, series by series.
//!
//! ```promql
//! E > on(K) group_left() homeostat_threshold{rule="R", direction="upper"}
//!   or (E > LITERAL unless on(K) homeostat_threshold{rule="R", direction="upper"})
//! ```
//!
//! Elements for which a threshold is known are compared with it, the others with the literal: where thresholds stop coming,
//! the rule is what it was. `group_left` keeps all labels of E on either way, so that an alert stays the same one when its
//! threshold comes or goes; and one threshold may stand for many elements.

use super::formula::{By, Formula, Group, Matching, Op};
use super::labels::Labels;

/// What learned thresholds are called in Prometheus.
pub const METRIC: &str = "homeostat_threshold";

/// What says of a rule that it is served none on purpose: the first ones are tried out, or were taken back.
pub const TRIED: &str = "homeostat_threshold_tried";

/// On which side of a threshold there is trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// Above it.
    Upper,
    /// Below it.
    Lower,
}

impl Direction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Upper => "upper",
            Direction::Lower => "lower",
        }
    }
}

impl Op {
    /// Which threshold a comparison with it needs, the measured side being on the left; `None` where it is no matter of more
    /// or less.
    pub const fn direction(self) -> Option<Direction> {
        match self {
            Op::Greater | Op::GreaterEqual => Some(Direction::Upper),
            Op::Less | Op::LessEqual => Some(Direction::Lower),
            _ => None,
        }
    }
}

/// How one comparison looks up its thresholds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    rule: String,
    op: Op,
    direction: Direction,
    by: Vec<String>,
}

impl Lookup {
    /// `rule` is what its thresholds carry as `rule`; `by` are the labels that tell them apart, none where one stands for
    /// all. `None` where `op` is not `>`, `>=`, `<` or `<=`.
    pub fn new(rule: impl Into<String>, op: Op, by: impl IntoIterator<Item = String>) -> Option<Lookup> {
        Some(Lookup { rule: rule.into(), op, direction: op.direction()?, by: by.into_iter().collect() })
    }

    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The selector of its thresholds.
    pub fn selector(&self) -> String {
        let labels = Labels::new([("rule", self.rule.as_str())]);
        let rule = labels.to_string();
        let rule = rule.trim_end_matches('}');
        format!("{METRIC}{rule}, direction=\"{}\"}}", self.direction.as_str())
    }

    /// The comparison of `measured` with `literal`, or with the element of `thresholds` that has the same labels.
    pub fn formula(&self, measured: Formula, literal: Formula, thresholds: Formula) -> Formula {
        let by = By::On(self.by.clone());
        let looked_up = Formula::matched(
            self.op,
            Matching { by: by.clone(), group: Group::Left(Vec::new()) },
            measured.clone(),
            thresholds.clone(),
        );
        let guarded = Formula::matched(
            Op::Unless,
            Matching { by, group: Group::OneToOne },
            Formula::binary(self.op, measured, literal),
            thresholds,
        );
        Formula::binary(Op::Or, looked_up, guarded)
    }

    /// The same as PromQL, from the texts of what is measured and of the literal as it is written. Comments in them are
    /// left out. It is an operation: beside others it needs parentheses around it.
    pub fn promql(&self, measured: &str, literal: &str) -> String {
        let texts = [without_comments(measured), without_comments(literal), self.selector()];
        self.formula(Formula::Leaf(0), Formula::Leaf(1), Formula::Leaf(2)).promql(&texts, &[]).to_string()
    }

    /// An expression that holds while there is no threshold at all, unless none is served yet on purpose.
    pub fn absent(&self) -> String {
        let rule = Labels::new([("rule", self.rule.as_str())]);
        format!("absent({}) unless on() {TRIED}{rule}", self.selector())
    }
}

/// An expression without what stands behind `#`, and without white space around it.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') => {
                chars.by_ref().find(|c| *c == '\n');
                kept.push('\n');
                continue;
            }
            (None, '"' | '\'' | '`') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (Some('"' | '\''), '\\') => {
                kept.push(c);
                kept.extend(chars.next());
                continue;
            }
            _ => {}
        }
        kept.push(c);
    }
    kept.trim().to_owned()
}
