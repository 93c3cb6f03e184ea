//! When alerts fire and when they end.

use crate::{above, labels, lines, minute, range, rule};
use homeostat::replay::{Failure, Formula, Op, Range, Replayer, replay};
use std::collections::BTreeMap;

fn pages(hold: i64, keep: i64, values: &str) -> Vec<String> {
    let mut rule = rule(above(), hold);
    rule.keep_firing_for_ms = keep * 60_000;
    lines(&replay(&rule, &[5.0], &[range(&[("i=a", values)])]))
}

#[test]
fn without_a_for_it_fires_where_it_holds() {
    assert_eq!(pages(0, 0, "1 9 9 1 9 1"), ["i=a 1/1-3", "i=a 4/4-5"]);
}

#[test]
fn with_a_for_it_fires_once_that_long_has_passed() {
    // Pending at minute 1, 2 minutes later it fires; a hold of one minute less than it holds is not enough.
    assert_eq!(pages(2, 0, "1 9 9 9 9 1 9 9 1"), ["i=a 1/3-5"]);
    // A `for` that is no multiple of the interval is waited for.
    let mut rule = rule(above(), 0);
    rule.for_ms = 90_000;
    assert_eq!(lines(&replay(&rule, &[5.0], &[range(&[("i=a", "9 9 9 9 1")])])), ["i=a 0/2-4"]);
}

#[test]
fn a_gap_ends_what_is_pending_and_what_fires() {
    assert_eq!(pages(2, 0, "9 9 _ 9 9 9 _ 1"), ["i=a 3/5-6"]);
    // NaN is a value, but none above.
    assert_eq!(pages(0, 0, "9 NaN 9 _"), ["i=a 0/0-1", "i=a 2/2-3"]);
}

#[test]
fn what_fires_at_the_end_has_not_ended() {
    assert_eq!(pages(1, 0, "1 1 9 9 9"), ["i=a 2/3-…"]);
    assert!(pages(3, 0, "1 1 9 9 9").is_empty());
}

#[test]
fn keep_firing_for_bridges_breaks_and_is_counted_from_the_first_that_does_not_hold() {
    assert_eq!(pages(0, 2, "9 1 1 1 1"), ["i=a 0/0-3"]);
    // The expression holds again in time: the same page, and the waiting begins anew.
    assert_eq!(pages(0, 2, "9 1 9 1 _ 9 1 1 1"), ["i=a 0/0-8"]);
    // What is pending is not kept.
    assert_eq!(pages(2, 5, "9 9 1 9 9 9 1 1"), ["i=a 3/5-…"]);
}

#[test]
fn each_label_set_is_an_alert_of_its_own() {
    let leaves = [range(&[("__name__=x i=a", "9 9 1"), ("__name__=x i=b", "1 9 9"), ("__name__=x i=c", "1 1 1")])];
    let pages = replay(&rule(above(), 0), &[5.0], &leaves);
    assert_eq!(lines(&pages), ["i=a 0/0-2", "i=b 1/1-…"]);
    assert_eq!(pages[0].labels, labels("alertname=A i=a"));
}

#[test]
fn more_alerts_than_the_limit_of_the_group_are_all_dropped() {
    let leaves = [range(&[("i=a", "9 9 9 9 9 1"), ("i=b", "1 9 9 9 1 1"), ("i=c", "1 1 9 1 1 1")])];
    let replayed = |limit, hold| {
        let mut rule = rule(above(), hold);
        rule.limit = limit;
        let replayed = Replayer::new(&rule, &leaves).replay(&[5.0], rule.for_ms);
        (lines(&replayed.pages), replayed.failed, replayed.failure)
    };
    let all = vec!["i=a 0/0-5".to_owned(), "i=b 1/1-4".to_owned(), "i=c 2/2-3".to_owned()];
    assert_eq!(replayed(Some(3), 0), (all, 0, None));
    // Three at minute 2: what fired is over, what begins there is never told, and after it they begin anew.
    let two = ["i=a 0/0-2", "i=b 1/1-2", "i=a 3/3-5", "i=b 3/3-4"].map(str::to_owned).to_vec();
    assert_eq!(replayed(Some(2), 0), (two, 1, Some((minute(2), Failure::TooMany))));
    // What is pending counts, and waits anew.
    let one = vec!["i=a 4/4-5".to_owned()];
    assert_eq!(replayed(Some(1), 0).0, [vec!["i=a 0/0-1".to_owned()], one].concat());
    assert_eq!(replayed(Some(2), 1).0, ["i=a 0/1-2", "i=a 3/4-5"]);
    // So does what is kept firing.
    let leaves = [range(&[("i=a", "9 1 1 1 1"), ("i=b", "1 9 1 1 1"), ("i=c", "1 1 9 1 1")])];
    let kept = |keep: i64| {
        let mut rule = rule(above(), 0);
        (rule.limit, rule.keep_firing_for_ms) = (Some(2), keep * 60_000);
        Replayer::new(&rule, &leaves).replay(&[5.0], 0)
    };
    assert_eq!((kept(0).pages.len(), kept(0).failed), (3, 0));
    assert_eq!((lines(&kept(3).pages), kept(3).failed), (vec!["i=a 0/0-2".into(), "i=b 1/1-2".into()], 1));
}

#[test]
fn an_evaluation_that_fails_changes_nothing() {
    // At minutes 2 and 3 there are two of them on the right: the evaluation fails, and what was pending goes on.
    let leaves = [range(&[("i=a", "9 9 9 9 9 1")]), range(&[("i=a v=1", "5 5 5 5 5 5"), ("i=a v=2", "_ _ 5 5 _ _")])];
    let formula = Formula::matched(
        Op::Greater,
        homeostat::replay::Matching { by: homeostat::replay::By::On(vec!["i".to_owned()]), ..Default::default() },
        Formula::Leaf(0),
        Formula::Leaf(1),
    );
    let rule = rule(formula, 3);
    let replayed = Replayer::new(&rule, &leaves).replay(&[], rule.for_ms);
    assert_eq!(lines(&replayed.pages), ["i=a 0/4-5"]);
    assert_eq!((replayed.failed, replayed.failure), (2, Some((minute(2), Failure::NotUnique))));
    assert_eq!((replayed.evaluations, replayed.held), (6, 3));
}

#[test]
fn alerts_that_the_rule_makes_alike_fail() {
    let mut same = rule(above(), 0);
    same.labels = BTreeMap::from([("i".to_owned(), "all".to_owned())]);
    let leaves = [range(&[("i=a", "9 9 1 1"), ("i=b", "1 9 9 1")])];
    let replayed = Replayer::new(&same, &leaves).replay(&[5.0], 0);
    // Minute 1 has both and is no evaluation; at minute 2 it is the other one, under the same labels.
    assert_eq!(lines(&replayed.pages), ["i=all 0/0-3"]);
    assert_eq!((replayed.failed, replayed.failure), (1, Some((minute(1), Failure::SameAlert))));
}

#[test]
fn a_guard_takes_elements_away() {
    let formula = Formula::binary(Op::And, above(), Formula::Leaf(1));
    let leaves = [range(&[("i=a", "9 9 9 9 9 1")]), range(&[("i=a", "1 1 _ 1 1 1"), ("i=b", "1 1 1 1 1 1")])];
    let guarded = rule(formula, 1);
    assert!(Replayer::new(&guarded, &leaves).is_scan());
    assert_eq!(lines(&replay(&guarded, &[5.0], &leaves)), ["i=a 0/1-2", "i=a 3/4-5"]);
    let unless = rule(Formula::binary(Op::Unless, above(), Formula::Leaf(1)), 0);
    assert_eq!(lines(&replay(&unless, &[5.0], &leaves)), ["i=a 2/2-3"]);
}

#[test]
fn a_scalar_is_an_alert_whatever_it_is() {
    let Formula::Binary { op, matching, left, right, .. } =
        Formula::binary(Op::Greater, Formula::ScalarLeaf(0), Formula::Literal(0))
    else {
        unreachable!("it is binary")
    };
    let said = rule(Formula::Binary { op, bool: true, matching, left, right }, 0);
    assert_eq!(lines(&replay(&said, &[5.0], &[range(&[("", "1 9 1")])])), ["0/0-…"]);
}

#[test]
fn a_rule_is_evaluated_at_its_own_interval() {
    let mut rule = rule(above(), 0);
    rule.interval_ms = 120_000;
    let leaves = [range(&[("i=a", "9 1 1 9 9 9 1")])];
    // At minutes 0, 2, 4 and 6.
    assert_eq!(lines(&replay(&rule, &[5.0], &leaves)), ["i=a 0/0-2", "i=a 4/4-6"]);
    // History that is coarser than the rule is all there is.
    rule.interval_ms = 15_000;
    assert_eq!(lines(&replay(&rule, &[5.0], &leaves)), ["i=a 0/0-1", "i=a 3/3-6"]);
}

#[test]
fn what_cannot_be_evaluated_says_so() {
    let two = [range(&[("i=a", "9 9")]), range(&[("i=a", "9 9 9")])];
    let both = rule(Formula::binary(Op::Greater, Formula::Leaf(0), Formula::Leaf(1)), 0);
    let failures = |rule, leaves: &[Range], literals: &[f64]| {
        let replayed = Replayer::new(rule, leaves).replay(literals, 0);
        (replayed.failed, replayed.evaluations, replayed.failure.expect("a reason").1.to_string())
    };
    let text = "the expression is none: its parts were not fetched for the same evaluations".to_owned();
    assert_eq!(failures(&both, &two, &[]), (2, 2, text));
    let text = "the expression is none: a literal has no value".to_owned();
    assert_eq!(failures(&rule(above(), 0), &two[..1], &[]), (2, 2, text));
    let nothing = Replayer::new(&both, &[]).replay(&[], 0);
    assert_eq!((nothing.evaluations, nothing.pages.len()), (0, 0));
}
