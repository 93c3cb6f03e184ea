//! Thresholds as data: what the rule looks like, and what it fires.

use crate::{above, lines, range, rule};
use homeostat::replay::data::{Direction, Lookup};
use homeostat::replay::{Formula, Op, replay};

fn lookup(op: Op, by: &[&str]) -> Lookup {
    Lookup::new("Slow", op, by.iter().map(|name| (*name).to_owned())).expect("an upper or a lower bound")
}

#[test]
fn the_rule_is_one_expression_with_the_literal_as_its_guard() {
    assert_eq!(
        lookup(Op::Greater, &["job", "path"]).promql("rate(x[5m])", "0.5"),
        r#"(rate(x[5m]) > on(job, path) group_left() homeostat_threshold{rule="Slow", direction="upper"}) or ((rate(x[5m]) > 0.5) unless on(job, path) homeostat_threshold{rule="Slow", direction="upper"})"#
    );
    assert_eq!(
        lookup(Op::LessEqual, &[]).promql("a / b # of \"all\"\n", "100*1024"),
        r#"((a / b) <= on() group_left() homeostat_threshold{rule="Slow", direction="lower"}) or (((a / b) <= (100*1024)) unless on() homeostat_threshold{rule="Slow", direction="lower"})"#
    );
    let odd = Lookup::new(r#"a "b"\c"#, Op::Less, []).expect("a lower bound");
    assert_eq!(odd.selector(), r#"homeostat_threshold{rule="a \"b\"\\c", direction="lower"}"#);
    assert_eq!(
        odd.absent(),
        r#"absent(homeostat_threshold{rule="a \"b\"\\c", direction="lower"}) unless on() homeostat_threshold_tried{rule="a \"b\"\\c"}"#
    );
    assert_eq!(lookup(Op::Greater, &[]).promql("x{a=\"#\"} # one\n+ y", "1").matches('#').count(), 2);
}

#[test]
fn only_more_and_less_have_thresholds() {
    assert!(Lookup::new("x", Op::Equal, []).is_none() && Lookup::new("x", Op::Add, []).is_none());
    assert_eq!(lookup(Op::GreaterEqual, &[]).direction(), Direction::Upper);
    assert_eq!(lookup(Op::Less, &[]).direction(), Direction::Lower);
}

/// `a` and `b` by label `i`; a threshold of 8 for `a`, at times.
fn fires(thresholds: &str) -> Vec<String> {
    let formula = lookup(Op::Greater, &["i"]).formula(Formula::Leaf(0), Formula::Literal(0), Formula::Leaf(1));
    let leaves = [
        range(&[("__name__=x i=a j=1", "6 6 9 9 6 6"), ("__name__=x i=b j=1", "6 6 6 1 1 1")]),
        range(&[("__name__=homeostat_threshold i=a rule=Slow direction=upper", thresholds)]),
    ];
    lines(&replay(&rule(formula, 0), &[5.0], &leaves))
}

#[test]
fn without_thresholds_it_fires_as_the_literal_does() {
    let leaves = [range(&[("__name__=x i=a j=1", "6 6 9 9 6 6"), ("__name__=x i=b j=1", "6 6 6 1 1 1")])];
    let literal = lines(&replay(&rule(above(), 0), &[5.0], &leaves));
    assert_eq!(fires("_ _ _ _ _ _"), literal);
    assert_eq!(literal, ["i=a,j=1 0/0-…", "i=b,j=1 0/0-3"]);
}

#[test]
fn with_a_threshold_it_fires_by_that_and_the_others_by_the_literal() {
    assert_eq!(fires("8 8 8 8 8 8"), ["i=b,j=1 0/0-3", "i=a,j=1 2/2-4"]);
}

#[test]
fn an_alert_stays_the_same_when_its_threshold_comes_and_goes() {
    // From minute 2 to 3 the threshold decides; 9 is above both.
    assert_eq!(fires("_ _ 8 8 _ _"), ["i=a,j=1 0/0-…", "i=b,j=1 0/0-3"]);
}
