//! What an expression gives at one evaluation.

use crate::{above, labels, range, rule};
use homeostat::replay::{By, Failure, Formula, Group, Matching, Op, Range, evaluate};

/// The first evaluation, as sorted lines: labels and value.
fn gives(formula: &Formula, literals: &[f64], leaves: &[Range]) -> Vec<String> {
    let elements = evaluate(formula, literals, leaves, 0).expect("evaluated");
    let mut lines: Vec<String> = elements.iter().map(|(labels, value)| format!("{labels} {value}")).collect();
    lines.sort();
    lines
}

fn fails(formula: &Formula, leaves: &[Range]) -> Failure {
    evaluate(formula, &[], leaves, 0).expect_err("refused")
}

fn leaf(at: usize) -> Formula {
    Formula::Leaf(at)
}

fn number(value: f64) -> Formula {
    Formula::Number(value)
}

fn on(names: &[&str]) -> Matching {
    Matching { by: By::On(names.iter().map(|name| (*name).to_owned()).collect()), group: Group::OneToOne }
}

fn ignoring(names: &[&str]) -> Matching {
    Matching { by: By::Ignoring(names.iter().map(|name| (*name).to_owned()).collect()), group: Group::OneToOne }
}

fn bool_of(op: Op, left: Formula, right: Formula) -> Formula {
    let (left, right) = (Box::new(left), Box::new(right));
    Formula::Binary { op, bool: true, matching: Matching::default(), left, right }
}

#[test]
fn a_comparison_filters_and_keeps_name_and_value() {
    let load = [range(&[("__name__=load i=a", "4"), ("__name__=load i=b", "6")])];
    assert_eq!(gives(&above(), &[5.0], &load), [r#"{__name__="load", i="b"} 6"#]);
    // The number on the left: the vector's value comes through all the same.
    let mirrored = Formula::binary(Op::Greater, Formula::Literal(0), leaf(0));
    assert_eq!(gives(&mirrored, &[5.0], &load), [r#"{__name__="load", i="a"} 4"#]);
}

#[test]
fn bool_says_of_each_and_drops_the_name() {
    let load = [range(&[("__name__=load i=a", "4"), ("__name__=load i=b", "6"), ("__name__=load i=c", "NaN")])];
    let said = bool_of(Op::Less, leaf(0), number(5.0));
    assert_eq!(gives(&said, &[], &load), [r#"{i="a"} 1"#, r#"{i="b"} 0"#, r#"{i="c"} 0"#]);
    assert_eq!(gives(&bool_of(Op::Less, number(5.0), number(6.0)), &[], &load), ["{} 1"]);
}

#[test]
fn nothing_compares_with_nan_but_unequal() {
    let nan = [range(&[("i=a", "NaN")])];
    for op in [Op::Equal, Op::Greater, Op::GreaterEqual, Op::Less, Op::LessEqual] {
        assert!(gives(&Formula::binary(op, leaf(0), number(1.0)), &[], &nan).is_empty(), "{op:?}");
        assert!(gives(&Formula::binary(op, leaf(0), number(f64::NAN)), &[], &nan).is_empty(), "{op:?}");
    }
    assert_eq!(gives(&Formula::binary(Op::NotEqual, leaf(0), number(1.0)), &[], &nan), [r#"{i="a"} NaN"#]);
}

#[test]
fn arithmetic_drops_the_name_and_atan2_of_this_version_does_not() {
    let x = [range(&[("__name__=x i=a", "7")])];
    let of = |op| gives(&Formula::binary(op, leaf(0), number(2.0)), &[], &x);
    assert_eq!(of(Op::Add), [r#"{i="a"} 9"#]);
    assert_eq!(of(Op::Sub), [r#"{i="a"} 5"#]);
    assert_eq!(of(Op::Mul), [r#"{i="a"} 14"#]);
    assert_eq!(of(Op::Div), [r#"{i="a"} 3.5"#]);
    assert_eq!(of(Op::Mod), [r#"{i="a"} 1"#]);
    assert_eq!(of(Op::Pow), [r#"{i="a"} 49"#]);
    assert_eq!(of(Op::Atan2), [format!(r#"{{__name__="x", i="a"}} {}"#, 7.0_f64.atan2(2.0))]);
    assert_eq!(gives(&Formula::Negate(Box::new(leaf(0))), &[], &x), [r#"{i="a"} -7"#]);
    // The sign of a remainder is that of what is divided.
    let rest = |left, right| gives(&Formula::binary(Op::Mod, number(left), number(right)), &[], &x);
    assert_eq!([rest(-7.0, 2.0), rest(7.0, -2.0)], [["{} -1"], ["{} 1"]]);
}

#[test]
fn dropping_names_that_told_elements_apart_fails() {
    let two = [range(&[("__name__=x i=a", "7"), ("__name__=y i=a", "8")])];
    assert_eq!(fails(&Formula::binary(Op::Add, leaf(0), number(1.0)), &two), Failure::SameLabels);
    assert_eq!(fails(&Formula::Negate(Box::new(leaf(0))), &two), Failure::SameLabels);
    // Where only one of them is there at a time, there is nothing to be told apart.
    let one = [range(&[("__name__=x i=a", "7"), ("__name__=y i=a", "_")])];
    assert_eq!(gives(&Formula::binary(Op::Add, leaf(0), number(1.0)), &[], &one), [r#"{i="a"} 8"#]);
}

#[test]
fn two_vectors_match_by_all_labels_but_the_name() {
    let leaves = [
        range(&[("__name__=used i=a", "8"), ("__name__=used i=b", "9"), ("__name__=used i=c", "1")]),
        range(&[("__name__=size i=a", "10"), ("__name__=size i=b", "0")]),
    ];
    let share = Formula::binary(Op::Div, leaf(0), leaf(1));
    assert_eq!(gives(&share, &[], &leaves), [r#"{i="a"} 0.8"#, r#"{i="b"} inf"#]);
    let more = Formula::binary(Op::Greater, leaf(0), leaf(1));
    assert_eq!(gives(&more, &[], &leaves), [r#"{__name__="used", i="b"} 9"#]);
}

#[test]
fn on_keeps_what_it_names_and_ignoring_drops_it() {
    let leaves = [range(&[("__name__=used i=a p=1", "8")]), range(&[("__name__=size i=a q=2", "4")])];
    let by_on = Formula::matched(Op::Greater, on(&["i"]), leaf(0), leaf(1));
    assert_eq!(gives(&by_on, &[], &leaves), [r#"{i="a"} 8"#]);
    let by_ignoring = Formula::matched(Op::Greater, ignoring(&["p", "q"]), leaf(0), leaf(1));
    assert_eq!(gives(&by_ignoring, &[], &leaves), [r#"{__name__="used", i="a"} 8"#]);
    let unmatched = Formula::binary(Op::Greater, leaf(0), leaf(1));
    assert!(gives(&unmatched, &[], &leaves).is_empty());
}

#[test]
fn group_left_keeps_the_many_and_takes_labels_over() {
    let leaves = [
        range(&[("__name__=cpu n=1 c=0", "8"), ("__name__=cpu n=1 c=1", "3"), ("__name__=cpu n=2 c=0", "9")]),
        range(&[("__name__=limit n=1 role=db", "5"), ("__name__=limit n=2", "5")]),
    ];
    let group = |group| Matching { by: By::On(vec!["n".to_owned()]), group };
    let left = Formula::matched(Op::Greater, group(Group::Left(vec!["role".to_owned()])), leaf(0), leaf(1));
    assert_eq!(
        gives(&left, &[], &leaves),
        [r#"{__name__="cpu", c="0", n="1", role="db"} 8"#, r#"{__name__="cpu", c="0", n="2"} 9"#]
    );
    // Turned around: the labels are those of the many, the value is the left one's.
    let right = Formula::matched(Op::Less, group(Group::Right(Vec::new())), leaf(1), leaf(0));
    assert_eq!(
        gives(&right, &[], &leaves),
        [r#"{__name__="cpu", c="0", n="1"} 5"#, r#"{__name__="cpu", c="0", n="2"} 5"#]
    );
    let sub = Formula::matched(Op::Sub, group(Group::Right(Vec::new())), leaf(1), leaf(0));
    assert_eq!(gives(&sub, &[], &leaves), [r#"{c="0", n="1"} -3"#, r#"{c="0", n="2"} -4"#, r#"{c="1", n="1"} 2"#]);
}

#[test]
fn matches_that_are_not_clear_fail() {
    let many = range(&[("i=a c=0", "8"), ("i=a c=1", "3")]);
    let one = range(&[("i=a", "5")]);
    let nothing = range(&[("i=z", "_")]);
    let matched = |op, left, right| Formula::matched(op, on(&["i"]), left, right);
    let leaves = [many, one, nothing];
    assert_eq!(fails(&matched(Op::Greater, leaf(1), leaf(0)), &leaves), Failure::NotUnique);
    assert_eq!(fails(&matched(Op::Add, leaf(0), leaf(1)), &leaves), Failure::ManyMatches);
    // Only one of the two is above: what is filtered out is in nobody's way.
    assert_eq!(gives(&matched(Op::Greater, leaf(0), leaf(1)), &[], &leaves), [r#"{i="a"} 8"#]);
    // Where one side is empty nobody looks.
    assert!(gives(&matched(Op::Greater, leaf(2), leaf(0)), &[], &leaves).is_empty());
    // Labels that are taken over make two results one.
    let lend = Matching { by: By::On(vec!["i".to_owned()]), group: Group::Left(vec!["c".to_owned()]) };
    assert_eq!(fails(&Formula::matched(Op::Add, lend, leaf(0), leaf(1)), &leaves), Failure::ManyMatches);
}

#[test]
fn a_metric_name_does_not_tell_apart_what_ignoring_matches() {
    let leaves = [range(&[("__name__=x i=a", "8"), ("__name__=y i=a", "9")]), range(&[("__name__=z i=a", "5")])];
    assert_eq!(fails(&Formula::binary(Op::Greater, leaf(0), leaf(1)), &leaves), Failure::ManyMatches);
}

#[test]
fn and_or_unless_ask_who_is_there() {
    let leaves = [
        range(&[("__name__=x i=a", "1"), ("__name__=x i=b", "2")]),
        range(&[("__name__=y i=b", "0"), ("__name__=y i=b z=1", "5"), ("__name__=y i=c", "7")]),
    ];
    let matched = |op, matching| gives(&Formula::matched(op, matching, leaf(0), leaf(1)), &[], &leaves);
    assert_eq!(matched(Op::And, Matching::default()), [r#"{__name__="x", i="b"} 2"#]);
    assert_eq!(matched(Op::And, on(&["i"])), [r#"{__name__="x", i="b"} 2"#]);
    assert_eq!(matched(Op::And, on(&[])), [r#"{__name__="x", i="a"} 1"#, r#"{__name__="x", i="b"} 2"#]);
    assert_eq!(matched(Op::Unless, ignoring(&["z"])), [r#"{__name__="x", i="a"} 1"#]);
    assert_eq!(
        matched(Op::Or, on(&["i"])),
        [r#"{__name__="x", i="a"} 1"#, r#"{__name__="x", i="b"} 2"#, r#"{__name__="y", i="c"} 7"#]
    );
    assert_eq!(
        matched(Op::Or, Matching::default()),
        [
            r#"{__name__="x", i="a"} 1"#,
            r#"{__name__="x", i="b"} 2"#,
            r#"{__name__="y", i="b", z="1"} 5"#,
            r#"{__name__="y", i="c"} 7"#
        ]
    );
}

#[test]
fn a_scalar_that_is_fetched_moves_with_time_and_is_nan_where_it_is_missing() {
    let leaves = [range(&[("i=a", "6 6 6")]), range(&[("", "5 7 _")])];
    let formula = Formula::binary(Op::Greater, leaf(0), Formula::binary(Op::Mul, number(1.0), Formula::ScalarLeaf(1)));
    let counts: Vec<usize> = (0..3).map(|k| evaluate(&formula, &[], &leaves, k).expect("evaluated").len()).collect();
    assert_eq!(counts, [1, 0, 0]);
}

#[test]
fn what_prometheus_would_not_load_fails() {
    let leaves = [range(&[("i=a", "6")])];
    let malformed =
        |formula: Formula| assert!(matches!(fails(&formula, &leaves), Failure::Malformed(_)), "{formula:?}");
    malformed(Formula::binary(Op::Greater, number(1.0), number(2.0)));
    malformed(Formula::binary(Op::And, leaf(0), number(2.0)));
    malformed(bool_of(Op::Add, leaf(0), number(2.0)));
    malformed(leaf(1));
    malformed(Formula::Literal(0));
    let group = Matching { by: By::On(Vec::new()), group: Group::Left(Vec::new()) };
    malformed(Formula::matched(Op::Or, group, leaf(0), leaf(0)));
}

#[test]
fn a_formula_is_written_as_promql() {
    let texts = ["sum by (i) (rate(x[5m]))", r#"y{a="(b"}"#, "z offset 5m"];
    let group = Matching { by: By::Ignoring(Vec::new()), group: Group::Left(vec!["role".to_owned()]) };
    let written = |formula: &Formula| formula.promql(&texts, &[-5.0, 1e-9]).to_string();
    assert_eq!(written(&above()), "(sum by (i) (rate(x[5m]))) > -5");
    assert_eq!(
        written(&Formula::matched(Op::And, on(&["i", "j"]), above(), Formula::Negate(Box::new(leaf(1))))),
        r#"((sum by (i) (rate(x[5m]))) > -5) and on(i, j) (-y{a="(b"})"#
    );
    assert_eq!(
        written(&Formula::matched(Op::Div, group, leaf(1), leaf(2))),
        r#"y{a="(b"} / ignoring() group_left(role) (z offset 5m)"#
    );
    assert_eq!(written(&bool_of(Op::Less, Formula::Literal(1), leaf(1))), r#"1e-9 < bool y{a="(b"}"#);
    assert_eq!(written(&Formula::binary(Op::Pow, Formula::Literal(0), number(f64::INFINITY))), "(-5) ^ +Inf");
    assert_eq!(written(&Formula::matched(Op::Unless, on(&[]), leaf(1), leaf(7))), r#"y{a="(b"} unless on() (?)"#);
}

#[test]
fn labels_of_an_alert_are_those_of_the_element_under_those_of_the_rule() {
    let mut rule = rule(above(), 0);
    let set = [
        ("severity", "page"),
        ("job", ""),
        ("who", "{{ $labels.i }}@{{.Labels.nowhere}}{{$labels.__name__}}"),
        ("value", "{{ $value | humanize }}"),
        ("alertname", "B"),
    ];
    rule.labels = set.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let alert = rule.alert_labels(&labels("__name__=x i=a job=j severity=none"));
    assert_eq!(
        alert.to_string(),
        r#"{alertname="A", i="a", severity="page", value="{{ $value | humanize }}", who="a@x"}"#
    );
    assert_eq!(rule.opaque_labels(), ["value"]);
}
