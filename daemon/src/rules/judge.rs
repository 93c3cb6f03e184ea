//! Whether a comparison with a literal is about a level, which history can teach, or about a meaning, which it cannot.
//!
//! The signs are those of published rules: how metrics are called, what stands on the measured side, and how the literal
//! is written.

use super::expr::{Expr, Node};
use super::reason::Reason;
use homeostat::replay::Op;

/// What kind of quantity the measured side is, as far as the expression tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A share of a whole, 0 to 1.
    Ratio,
    /// The same, 0 to 100.
    Percent,
    Seconds,
    Bytes,
    Other,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measure {
    pub unit: Unit,
    /// No value lies outside; None: nothing is known.
    pub clamp: Option<(f64, f64)>,
}

/// Words in the names of metrics that say yes or no, or a state.
const STATES: [&str; 36] = [
    "up",
    "status",
    "state",
    "healthy",
    "health",
    "ready",
    "enabled",
    "connected",
    "online",
    "alive",
    "success",
    "successful",
    "ok",
    "valid",
    "leader",
    "synced",
    "running",
    "present",
    "reachable",
    "locked",
    "paused",
    "degraded",
    "readonly",
    "condition",
    "suspended",
    "unschedulable",
    "active",
    "available",
    "failed",
    "failing",
    "firing",
    "info",
    "exists",
    "initialized",
    "enough",
    "is",
];

/// Words that say that a name is a quantity whatever else is in it.
const QUANTITIES: [&str; 20] = [
    "total",
    "bytes",
    "seconds",
    "count",
    "ratio",
    "percent",
    "percentage",
    "sum",
    "bucket",
    "milliseconds",
    "latency",
    "duration",
    "size",
    "age",
    "time",
    "lag",
    "rate",
    "usage",
    "used",
    "connections",
];

/// Words in the names of counts of members.
const MEMBERS: [&str; 14] = [
    "nodes",
    "members",
    "replicas",
    "brokers",
    "leaders",
    "peers",
    "workers",
    "instances",
    "masters",
    "slaves",
    "controllers",
    "voters",
    "backends",
    "servers",
];

/// A count of members up to this is a quorum; above, it is a load.
const MEMBERS_MAX: f64 = 12.0;

/// What the burn rates of the usual windows are written as.
const BURN_RATES: [f64; 8] = [14.4, 13.44, 6.0, 5.6, 3.0, 2.8, 1.0, 36.0];

/// Why the literal `value` (written as `written`) is no level of `measured`; None: it is one.
pub(super) fn reason(measured: &Expr, op: Op, value: f64, written: &str, literal: &Expr) -> Option<Reason> {
    if matches!(op, Op::Equal | Op::NotEqual) {
        return Some(Reason::Equality);
    }
    if !value.is_finite() {
        return Some(Reason::NotFinite);
    }
    if calls(measured, |name| name.starts_with("absent")) {
        return Some(Reason::Absent);
    }
    if measured.metrics().is_empty() && !measured.any(|part| matches!(part.node, Node::Selector { .. })) {
        return Some(Reason::Clock);
    }
    if value == 0.0 {
        return Some(if calls(measured, |name| name == "predict_linear") { Reason::Prediction } else { Reason::Zero });
    }
    let below = matches!(op, Op::Less | Op::LessEqual);
    if is_objective(measured, below, value, written, literal) {
        return Some(Reason::Objective);
    }
    if below && is_expiry(measured) {
        return Some(Reason::Expiry);
    }
    core(measured, op, value)
}

/// What is left when everything is taken off that passes values through.
struct Core<'a> {
    expr: &'a Expr,
    /// Summed or averaged over series on the way.
    joined: bool,
}

fn core_of(expr: &Expr) -> Core<'_> {
    let mut core = Core { expr, joined: false };
    loop {
        core.expr = core.expr.bare();
        let next = match &core.expr.node {
            Node::Aggregation { name, args, .. } => match name.as_str() {
                "sum" | "avg" => {
                    core.joined = true;
                    args.last()
                }
                "min" | "max" | "group" | "topk" | "bottomk" => args.last(),
                _ => None,
            },
            Node::Call { name, args } => match name.as_str() {
                "avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time" | "quantile_over_time"
                | "sort" | "sort_desc" | "label_replace" | "label_join" | "round" | "floor" | "ceil" | "clamp_max"
                | "clamp_min" | "clamp" | "vector" | "scalar" => {
                    args.iter().find(|arg| arg.any(|part| matches!(part.node, Node::Selector { .. })))
                }
                _ => None,
            },
            Node::Ranged { of, .. } => Some(&**of),
            Node::Binary { op, left, .. } if op.is_set() || op.is_comparison() => Some(&**left),
            // `… * on (instance) group_left (nodename) node_uname_info` adds labels alone.
            Node::Binary { op: Op::Mul, left, right, .. } if is_info(right) => Some(&**left),
            Node::Binary { op: Op::Mul, left, right, .. } if is_info(left) => Some(&**right),
            _ => None,
        };
        match next {
            Some(next) => core.expr = next,
            None => return core,
        }
    }
}

fn is_info(expr: &Expr) -> bool {
    let metrics = expr.metrics();
    !metrics.is_empty() && metrics.iter().all(|name| name.ends_with("_info") || name.ends_with("_labels"))
}

fn core(measured: &Expr, op: Op, value: f64) -> Option<Reason> {
    let core = core_of(measured);
    let whole = value.fract() == 0.0;
    // `sum(x > bool 5)` and `(x > bool 5) + (y > bool 3)` count those that say yes.
    let says_yes = |part: &Expr| matches!(part.node, Node::Binary { bool: true, .. });
    if whole && value.abs() <= MEMBERS_MAX && !says_yes(measured.bare()) && measured.any(says_yes) {
        return Some(Reason::Quorum);
    }
    match &core.expr.node {
        Node::Selector { .. } => {
            let name = core.expr.metrics().first().copied().unwrap_or_default();
            let state = is_state(name);
            if state && core.joined && (whole && value.abs() <= MEMBERS_MAX || value < 1.0) {
                return Some(Reason::Quorum);
            }
            let enumerated = ["status", "state", "health"].iter().any(|word| name.ends_with(word));
            let code = words(name).any(|word| matches!(word, "code" | "exitcode"));
            if state && (0.0..=if enumerated && whole { 10.0 } else { 1.0 }).contains(&value) || code && whole {
                return Some(Reason::State);
            }
            if op == Op::Less && value == 1.0 && !is_quantity(name) && measure(measured, value).unit == Unit::Other {
                return Some(Reason::AnyAtAll);
            }
            let members = words(name).any(|word| MEMBERS.contains(&word)) && !is_quantity(name);
            (members && whole && value.abs() <= MEMBERS_MAX).then_some(Reason::Quorum)
        }
        Node::Aggregation { name, .. } if matches!(name.as_str(), "count" | "count_values") => {
            (whole && value.abs() <= MEMBERS_MAX).then_some(Reason::Quorum)
        }
        Node::Call { name, .. } if matches!(name.as_str(), "increase" | "changes" | "resets") => {
            let first =
                matches!(op, Op::GreaterEqual) && value == 1.0 || op == Op::Greater && (0.0..1.0).contains(&value);
            first.then_some(Reason::AnyAtAll)
        }
        // How many of those that there are say yes.
        Node::Binary { .. } => {
            let metrics = core.expr.metrics();
            let states = !metrics.is_empty() && metrics.iter().all(|name| is_state(name) || *name == "ALERTS");
            let counted = core.expr.any(
                |part| matches!(&part.node, Node::Aggregation { name, .. } if matches!(name.as_str(), "count" | "sum" | "avg")),
            );
            match states {
                true if counted => Some(Reason::Quorum),
                true if (0.0..=1.0).contains(&value) => Some(Reason::State),
                _ => None,
            }
        }
        _ => None,
    }
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['_', ':'])
}

fn is_quantity(name: &str) -> bool {
    words(name).any(|word| QUANTITIES.contains(&word))
}

pub(super) fn is_state(name: &str) -> bool {
    !is_quantity(name) && words(name).any(|word| STATES.contains(&word))
}

fn calls(expr: &Expr, is: impl Fn(&str) -> bool) -> bool {
    expr.any(|part| matches!(&part.node, Node::Call { name, .. } if is(name)))
}

/// A burn rate, or what an objective leaves.
fn is_objective(measured: &Expr, below: bool, value: f64, written: &str, literal: &Expr) -> bool {
    let named = |name: &&str| {
        let name = name.to_ascii_lowercase();
        ["burnrate", "burn_rate", "error_budget", "errorbudget", "errorbudget", "apdex"]
            .iter()
            .any(|word| name.contains(word))
            || words(&name).any(|word| matches!(word, "slo" | "sli" | "slos" | "objective"))
    };
    if measured.metrics().iter().any(named) {
        return true;
    }
    // `14.4 * 0.001`, `14.4 * (1 - 0.999)`, `(14.4 * 0.01)`
    let mut numbers = Vec::new();
    let mut product = false;
    literal.walk(&mut |part| match &part.node {
        Node::Number(number) => numbers.push(*number),
        Node::Binary { op: Op::Mul, .. } => product = true,
        _ => {}
    });
    let burns = numbers.iter().any(|number| BURN_RATES.contains(number));
    let left_over = numbers.iter().any(|number| *number > 0.0 && *number <= 0.1 || *number >= 0.9 && *number < 1.0);
    if product && burns && left_over || written.contains("14.4") || written.contains("13.44") {
        return true;
    }
    // Three nines are promised, not observed.
    let unit = measure(measured, value).unit;
    below
        && (unit == Unit::Ratio && (0.99..1.0).contains(&value)
            || unit == Unit::Percent && (99.0..100.0).contains(&value))
}

/// A time that is left: a moment less now, or a metric that is called so.
fn is_expiry(measured: &Expr) -> bool {
    let now = |expr: &Expr| calls(expr, |name| name == "time");
    let left_over = measured.any(|part| {
        matches!(&part.node, Node::Binary { op: Op::Sub, left, right, .. } if now(right) && !now(left) && right.metrics().is_empty())
    });
    let named = measured.metrics().iter().any(|name| {
        let name = name.to_ascii_lowercase();
        let about = words(&name)
            .any(|word| matches!(word, "cert" | "certs" | "certificate" | "certificates" | "ssl" | "x509" | "license"));
        let time = words(&name)
            .any(|word| matches!(word, "ttl" | "seconds" | "days" | "validity" | "after" | "left" | "remaining"));
        name.contains("expir") || name.contains("not_after") || about && time
    });
    left_over || named
}

/// What the measured side is, as far as the expression says; the literal decides between a share and a percentage.
pub(super) fn measure(measured: &Expr, value: f64) -> Measure {
    let core = core_of(measured);
    let share = scaled(core.expr);
    let name_says = |words: &[&str]| {
        let metrics = core.expr.metrics();
        metrics.len() == 1 && words.iter().any(|word| metrics[0].ends_with(word))
    };
    let of_whole = |share: &Share| {
        let inside = if share.sure { value <= share.of } else { value < share.of };
        value >= 0.0 && inside
    };
    let named = if name_says(&["_ratio"]) && value.abs() <= 1.0 {
        Some((Unit::Ratio, Share { of: 1.0, sure: false }))
    } else if name_says(&["_percent", "_percentage", "_pct"]) && value.abs() <= 100.0 {
        Some((Unit::Percent, Share { of: 100.0, sure: false }))
    } else {
        None
    };
    match share.filter(of_whole).or_else(|| named.map(|(_, share)| share).filter(of_whole)) {
        Some(share) => {
            let unit = if share.of == 100.0 { Unit::Percent } else { Unit::Ratio };
            Measure { unit, clamp: Some((0.0, share.of)) }
        }
        None => Measure { unit: named.map_or_else(|| plain_unit(core.expr), |(unit, _)| unit), clamp: None },
    }
}

/// The least and the most that the measured side can be: of a share, of what nobody would bound from below at `value` if it could be
/// negative, or anything. What was seen has the last word.
pub fn possible(measured: &Expr, value: f64) -> (f64, f64) {
    let least = if value > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    measure(measured, value).clamp.unwrap_or((least, f64::INFINITY))
}

/// A part of a whole that is called 1 or 100.
#[derive(Clone, Copy)]
struct Share {
    of: f64,
    /// Part and whole are counted in the same thing. A quotient that may be something else counts as a share while its
    /// literal is one, and history is asked whether it ever was more.
    sure: bool,
}

fn scaled(expr: &Expr) -> Option<Share> {
    let expr = core_of(expr).expr;
    let Node::Binary { op, left, right, .. } = &expr.node else {
        return is_idle_rate(expr).then_some(Share { of: 1.0, sure: true });
    };
    let hundredfold = |share: Option<Share>| share.map(|share| Share { of: share.of * 100.0, ..share });
    match (op, left.constant(), right.constant()) {
        (Op::Mul, Some(100.0), None) => hundredfold(scaled(right)),
        (Op::Mul, None, Some(100.0)) => hundredfold(scaled(left)),
        // What is left of a whole.
        (Op::Sub, Some(whole), None) => scaled(right).filter(|share| share.of == whole),
        (Op::Div, None, None) => {
            let (part, factor) = without_hundred(left);
            let mean = part.metrics().iter().any(|name| name.ends_with("_sum"));
            (!mean).then(|| Share { of: factor, sure: is_share(part, right) })
        }
        (Op::Sub | Op::Add, None, None) => {
            let (one, other) = (scaled(left)?, scaled(right)?);
            (one.of == other.of).then_some(Share { of: one.of, sure: one.sure && other.sure })
        }
        _ => None,
    }
}

/// `x * 100` as x and 100, also below a sum.
fn without_hundred(expr: &Expr) -> (&Expr, f64) {
    match &core_of(expr).expr.node {
        Node::Binary { op: Op::Mul, left, right, .. } if right.constant() == Some(100.0) => (&**left, 100.0),
        Node::Binary { op: Op::Mul, left, right, .. } if left.constant() == Some(100.0) => (&**right, 100.0),
        _ => (expr, 1.0),
    }
}

/// `rate(…{mode="idle"}[5m])`: seconds of a second.
fn is_idle_rate(expr: &Expr) -> bool {
    let Node::Call { name, args } = &expr.node else { return false };
    matches!(name.as_str(), "rate" | "irate")
        && args.iter().any(|arg| {
            arg.any(|part| {
                let Node::Selector { name, matchers } = &part.node else { return false };
                name.as_deref().is_some_and(|name| name.contains("cpu"))
                    && matchers.iter().any(|one| one.label == "mode" && one.sign == "=")
            })
        })
}

/// Whether a quotient is a share: part and whole are counted in the same thing.
fn is_share(part: &Expr, whole: &Expr) -> bool {
    // A part that something was taken from is a part still.
    let (part_names, whole_names) = (part.metrics(), whole.metrics());
    if part_names.is_empty() || whole_names.is_empty() {
        return false;
    }
    let rates = |expr: &Expr| calls(expr, |name| matches!(name, "rate" | "irate" | "increase" | "delta" | "idelta"));
    if rates(part) != rates(whole) {
        return false;
    }
    let unit = |name: &str| -> Option<&'static str> {
        ["bytes", "bytes_total", "seconds_total", "files", "inodes"]
            .into_iter()
            .find(|unit| name.ends_with(&format!("_{unit}")) || name == *unit)
    };
    let stem = |name: &str| -> String { words(name).next().unwrap_or_default().to_owned() };
    let same_name = whole_names.iter().all(|name| part_names.contains(name)) && part_names.len() <= 2;
    let same_unit =
        part_names.iter().chain(&whole_names).all(|name| unit(name).is_some_and(|it| Some(it) == unit(part_names[0])));
    let requests = whole_names.iter().all(|name| {
        let name = name.trim_end_matches("_total").trim_end_matches("_count");
        ["requests", "queries", "calls", "messages", "started", "handled", "operations", "lookups", "attempts"]
            .iter()
            .any(|word| name.ends_with(word))
    }) && part_names.iter().all(|name| {
        stem(name) == stem(whole_names[0])
            && ["error", "fail", "drop", "miss", "hit", "5xx", "reject", "handled"]
                .iter()
                .any(|word| name.contains(word))
    });
    same_name || same_unit || requests
}

fn plain_unit(expr: &Expr) -> Unit {
    let metrics = expr.metrics();
    let every = |endings: &[&str]| {
        !metrics.is_empty() && metrics.iter().all(|name| endings.iter().any(|ending| name.ends_with(ending)))
    };
    // A rate or a number of changes is in another unit than what changes.
    let rated = calls(expr, |name| {
        matches!(name, "rate" | "irate" | "deriv" | "changes" | "resets" | "count_over_time" | "stddev_over_time")
    });
    let quotient = matches!(&expr.node, Node::Binary { op: Op::Div, .. });
    let quantile = calls(expr, |name| name == "histogram_quantile") && every(&["_seconds_bucket"]);
    let mean = quotient
        && every(&["_seconds_sum", "_seconds_count", "_seconds_total", "_total", "_count"])
        && metrics.iter().any(|name| name.ends_with("_seconds_sum"));
    let age = calls(expr, |name| name == "time");
    if quantile || mean || age || !rated && !quotient && every(&["_seconds"]) {
        Unit::Seconds
    } else if !quotient
        && !calls(expr, |name| matches!(name, "changes" | "resets" | "count_over_time"))
        && every(&["_bytes", "_bytes_total"])
    {
        Unit::Bytes
    } else {
        Unit::Other
    }
}
