//! Alert rules whose thresholds are data: what they compare, and whose thresholds they look up.

use crate::rules::expr::{Expr, Kind};
use crate::rules::judge;
use homeostat::replay::Op;
use homeostat::replay::data::{Direction, Lookup};
use homeostat::rollout;
use homeostat::series::Selector;
use homeostat::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Every scrape of the thresholds looks at every series for every rule.
const RULES_MAX: usize = 200;

/// One alert rule of Prometheus that compares with thresholds learned here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DataRule {
    /// The alert's name.
    pub alert: String,
    /// What its thresholds carry as `rule`, which no other rule's may; null: the alert's name.
    #[serde(default)]
    pub rule: Option<String>,
    /// What is compared: PromQL that gives a vector.
    pub expr: String,
    /// How: > or >= with upper thresholds, < or <= with lower ones.
    #[schemars(with = "String")]
    pub op: Sign,
    /// What stands where there is no threshold.
    pub literal: f64,
    /// Labels by which thresholds are looked up; none: one for all.
    #[serde(default)]
    pub by: Vec<String>,
    /// The series of this daemon whose thresholds these are: NAME{label="value"} with = != =~ !~. Of several with the same
    /// labels `by` the widest one counts.
    #[serde(rename = "match")]
    pub selector: Selector,
    /// How long it has to hold.
    #[serde(default, rename = "for")]
    pub hold: Span,
    /// How long it fires on.
    #[serde(default)]
    pub keep_firing_for: Span,
    /// Labels of the alert: NAME=VALUE.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub labels: Vec<Pair>,
    /// Annotations of the alert: NAME=TEXT.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub annotations: Vec<Pair>,
}

/// A comparison with an upper or a lower bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sign {
    pub op: Op,
    pub direction: Direction,
}

impl TryFrom<String> for Sign {
    type Error = String;
    fn try_from(text: String) -> Result<Sign, String> {
        let op = Op::parse(&text);
        let sign = op.and_then(|op| Some(Sign { op, direction: op.direction()? }));
        sign.ok_or_else(|| format!("`{text}` is no comparison with a bound; give one of > >= < <="))
    }
}

impl From<Sign> for String {
    fn from(sign: Sign) -> String {
        sign.op.as_str().to_owned()
    }
}

/// NAME=VALUE
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pair {
    pub name: String,
    pub value: String,
}

impl TryFrom<String> for Pair {
    type Error = String;
    fn try_from(text: String) -> Result<Pair, String> {
        match text.split_once('=') {
            Some((name, value)) if is_label(name) => Ok(Pair { name: name.to_owned(), value: value.to_owned() }),
            _ => Err(format!("`{text}` is not NAME=VALUE; a name has letters, digits and _, and no digit first")),
        }
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> String {
        format!("{}={}", pair.name, pair.value)
    }
}

fn is_label(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(inside) && !name.starts_with(|c: char| c.is_ascii_digit())
}

impl DataRule {
    /// What its thresholds carry as `rule`.
    pub fn name(&self) -> &str {
        self.rule.as_deref().unwrap_or(&self.alert)
    }

    /// What the engine needs to know of it.
    pub fn looked_up(&self) -> rollout::Rule {
        rollout::Rule {
            name: self.name().to_owned(),
            selector: self.selector.clone(),
            direction: self.op.direction,
            inclusive: matches!(self.op.op, Op::GreaterEqual | Op::LessEqual),
            literal: self.literal,
            possible: Expr::parse(&self.expr)
                .map_or((f64::NEG_INFINITY, f64::INFINITY), |measured| judge::possible(&measured, self.literal)),
            by: self.by.clone(),
            hold: self.hold,
        }
    }

    pub fn lookup(&self) -> Lookup {
        Lookup::new(self.name(), self.op.op, self.by.iter().cloned()).expect("a sign is a comparison with a bound")
    }
}

/// Checks all of them; what is wrong comes with its dotted key.
pub fn check(rules: &[DataRule]) -> Result<(), (String, String)> {
    if rules.len() > RULES_MAX {
        return Err(("rules".to_owned(), format!("{} are over {RULES_MAX}", rules.len())));
    }
    let mut names = BTreeSet::new();
    for (at, rule) in rules.iter().enumerate() {
        let refuse = |key: &str, problem: String| Err((format!("rules[{at}].{key}"), problem));
        if rule.alert.trim().is_empty() {
            return refuse("alert", "a name is wanted".to_owned());
        }
        if rule.name().contains("{{") || rule.alert.contains("{{") {
            let key = if rule.alert.contains("{{") { "alert" } else { "rule" };
            return refuse(key, "a name is no template".to_owned());
        }
        match Expr::parse(&rule.expr) {
            Ok(expr) if expr.kind == Kind::Vector => {}
            Ok(_) => return refuse("expr", "it gives no vector, which has a value per label set".to_owned()),
            Err(wrong) => return refuse("expr", wrong.to_string()),
        }
        if !names.insert(rule.name()) {
            let problem = format!("an earlier rule is called `{}` already: tell them apart with `rule`", rule.name());
            return refuse(if rule.rule.is_some() { "rule" } else { "alert" }, problem);
        }
        if !rule.literal.is_finite() {
            return refuse("literal", "a finite number is wanted".to_owned());
        }
        for by in &rule.by {
            if !is_label(by) || by.starts_with("__") {
                return refuse("by", format!("`{by}` is no label that thresholds can have"));
            }
            if ["rule", "direction"].contains(&by.as_str()) {
                return refuse("by", format!("`{by}` is a label that every threshold has"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(change: impl Fn(&mut DataRule)) -> DataRule {
        let sign = Sign::try_from(">".to_owned()).expect("a sign");
        let mut rule = DataRule {
            alert: "Slow".to_owned(),
            rule: None,
            expr: "latency".to_owned(),
            op: sign,
            literal: 0.5,
            by: vec!["job".to_owned()],
            selector: Selector::parse("latency").expect("a selector"),
            hold: Span::ZERO,
            keep_firing_for: Span::ZERO,
            labels: Vec::new(),
            annotations: Vec::new(),
        };
        change(&mut rule);
        rule
    }

    #[test]
    fn what_no_rule_can_be_made_of_is_refused_with_its_key() {
        let refused = |change: fn(&mut DataRule)| check(&[rule(change)]).expect_err("refused");
        assert_eq!(check(&[rule(|_| ())]), Ok(()));
        assert_eq!(refused(|rule| rule.alert.clear()).0, "rules[0].alert");
        assert_eq!(refused(|rule| rule.alert = "{{ $labels.job }}".to_owned()).0, "rules[0].alert");
        assert_eq!(refused(|rule| rule.rule = Some("{{".to_owned())).0, "rules[0].rule");
        for expr in [" ", "a >", "a[5m]", "1 + 1"] {
            let refused = check(&[rule(|rule| rule.expr = expr.to_owned())]).expect_err(expr);
            assert_eq!(refused.0, "rules[0].expr", "{}", refused.1);
        }
        assert_eq!(refused(|rule| rule.literal = f64::NAN).0, "rules[0].literal");
        for by in ["", "a-b", "1a", "__name__", "rule", "direction"] {
            assert_eq!(check(&[rule(|rule| rule.by = vec![by.to_owned()])]).expect_err(by).0, "rules[0].by", "{by}");
        }
        let (key, problem) = check(&[rule(|_| ()), rule(|_| ())]).expect_err("twice");
        assert_eq!(key, "rules[1].alert");
        assert!(problem.contains("`Slow`"), "{problem}");
        assert_eq!(check(&[rule(|_| ()), rule(|rule| rule.rule = Some("Slow too".to_owned()))]), Ok(()));
        let many: Vec<DataRule> = (0..201).map(|n| rule(|rule| rule.rule = Some(n.to_string()))).collect();
        assert_eq!(check(&many).expect_err("too many").0, "rules");
    }

    #[test]
    fn what_a_value_can_be_follows_from_what_is_compared() {
        let possible = |expr: &str, literal: f64| {
            rule(|rule| (rule.expr, rule.literal) = (expr.to_owned(), literal)).looked_up().possible
        };
        assert_eq!(possible("100 * disk_used_bytes / disk_size_bytes", 70.0), (0.0, 100.0));
        assert_eq!(
            possible("1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))", 0.8),
            (0.0, 1.0)
        );
        assert_eq!(possible("cpu_usage_percent", 70.0), (0.0, 100.0));
        // Of several processors together it goes further, and its literal says so.
        assert_eq!(possible("cpu_usage_percent", 250.0), (0.0, f64::INFINITY));
        assert_eq!(possible("queue_length", 50.0), (0.0, f64::INFINITY));
        assert_eq!(possible("balance", 0.0), (f64::NEG_INFINITY, f64::INFINITY), "or 0 could never be gone under");
        assert_eq!(possible("signal_dbm", -70.0), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn signs_and_pairs_are_read_and_written() {
        for (text, direction) in
            [(">", Direction::Upper), (">=", Direction::Upper), ("<", Direction::Lower), ("<=", Direction::Lower)]
        {
            let sign = Sign::try_from(text.to_owned()).expect(text);
            assert_eq!((sign.direction, String::from(sign).as_str()), (direction, text));
        }
        for text in ["==", "and", ""] {
            assert!(Sign::try_from(text.to_owned()).is_err(), "{text}");
        }
        let pair = Pair::try_from("summary=a=b".to_owned()).expect("a pair");
        assert_eq!((pair.name.as_str(), pair.value.as_str()), ("summary", "a=b"));
        assert!(Pair::try_from("a b=c".to_owned()).is_err() && Pair::try_from("a".to_owned()).is_err());
    }
}
