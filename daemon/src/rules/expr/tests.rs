//! What is PromQL and what is not, and that nodes know their bytes.

use super::*;

/// The tree as text with parentheses around everything that has parts.
fn shape(expr: &Expr, text: &str) -> String {
    let children: Vec<String> = expr.children().iter().map(|child| shape(child, text)).collect();
    match &expr.node {
        Node::Binary { op, bool, .. } => {
            format!("({} {}{} {})", children[0], op.as_str(), if *bool { " bool" } else { "" }, children[1])
        }
        Node::Signed { minus, .. } => format!("({}{})", if *minus { "-" } else { "+" }, children[0]),
        Node::Paren(_) => children[0].clone(),
        _ => text[expr.span.clone()].to_owned(),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (text, wanted) in [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-a * b", "((-a) * b)"),
        ("2 ^ -1", "(2 ^ (-1))"),
        ("a > 1 and b > 2 or c > 3", "(((a > 1) and (b > 2)) or (c > 3))"),
        ("a or b unless c", "(a or (b unless c))"),
        ("a > 1 < 5", "((a > 1) < 5)"),
        ("a / b * 100 > 80", "(((a / b) * 100) > 80)"),
        ("1 > bool 2", "(1 > bool 2)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a and on () b", "(a and b)"),
        ("a * on(x, y) group_left(z) b > 5", "((a * b) > 5)"),
        ("a atan2 b % c", "((a atan2 b) % c)"),
        ("sum by (x) (a) / sum(b) without (y)", "(sum by (x) (a) / sum(b) without (y))"),
        ("a offset 5m > 5", "(a offset 5m > 5)"),
        ("a[5m] offset -1d", "a[5m] offset -1d"),
        ("rate(a[5m] @ end()) > .10", "(rate(a[5m] @ end()) > .10)"),
    ] {
        let expr = Expr::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        assert_eq!(shape(&expr, text), wanted);
        expr.walk(&mut |part| assert!(text.get(part.span.clone()).is_some_and(|text| text.trim() == text)));
    }
}

#[test]
fn what_prometheus_reads_is_read() {
    for text in [
        "up",
        "{__name__=~\"a.*\"}",
        "a{b='1',c!=\"2\",d=~`3`,e!~'4',}",
        "a:b:c",
        ":a",
        "sum(a)",
        "count_values('x', a)",
        "topk(5, a) by (b)",
        "quantile(0.9, a)",
        "max_over_time(rate(a[5m])[1h:])",
        "max_over_time(a[1h:30s] offset 1w)",
        "time() - a > 86400",
        "a > Inf",
        "a < -inf",
        "a != NaN",
        "a > 0x1F",
        "a > 1e9",
        "a > 1.5E-3",
        "a > 5.",
        "a # comment > 5\n > 5",
        "a{b=\"}\"} > 5",
        "sum",
        "by",
        "sum{on=\"1\"}",
        "avg by(job)(up)",
        "label_replace(a, 'x', '$1', 'y', '(.*)')",
        "a @ 1609746000",
        "a @ start()",
        "{\"metric.name\", x=\"1\"}",
        "sum by (\"label.name\") (a)",
        "a > 5m",
        "SUM(a) BY (b) > 5",
        "a AND b",
        "absent(up{job=\"a\"})",
        "vector(1)",
        "1",
        "hour() >= 8",
        "a\u{a0}> 5",
        "a > bool 5 == 1",
        "a unless ignoring (b) c",
        "(((a)))",
        "a{b=\"\\\"\\n\\x41\\101\\u00e4\"}",
        "start > 5",
        "offset_x",
    ] {
        assert!(Expr::parse(text).is_ok(), "{text}: {:?}", Expr::parse(text));
    }
}

#[test]
fn what_prometheus_refuses_is_refused_with_its_place() {
    for (text, at, words) in [
        ("", 0, "too early"),
        ("a >", 3, "too early"),
        ("a > 5 5", 6, "cannot stand here"),
        ("(a", 2, "too early"),
        ("a)", 1, "cannot stand here"),
        ("1 > 2", 2, "`bool`"),
        ("1 and a", 2, "between vectors"),
        ("a[5m] > 5", 6, "numbers and vectors"),
        ("a[5x]", 2, "neither a number nor a duration"),
        ("sum(1)", 0, "over a vector"),
        ("a{b=5}", 4, "cannot stand here"),
        ("{}", 0, "needs a label"),
        ("\"a", 0, "does not end"),
        ("a{b=\"\\q\"}", 5, "`\\q`"),
        ("rate(a[$interval])", 7, "a template"),
        ("a |= \"error\"", 2, "no meaning"),
        ("a + bool b", 2, "comparisons"),
        ("5x", 0, "neither"),
        ("a offset b", 9, "duration"),
        ("sum(a)[5m]", 6, "[1h:5m]"),
        ("-\"x\"", 0, "a sign"),
        ("and", 0, "cannot stand here"),
    ] {
        let wrong = Expr::parse(text).expect_err(text);
        assert!(wrong.problem.contains(words), "{text}: {wrong:?}");
        assert_eq!(wrong.at, at, "{text}: {wrong:?}");
    }
}

#[test]
fn what_is_made_to_exhaust_the_stack_is_refused() {
    for text in [
        "(".repeat(100_000),
        "-".repeat(100_000),
        "a+".repeat(50_000) + "a",
        "a^".repeat(50_000) + "a",
        "sum(".repeat(30_000),
        format!("a{}", "[5m:]".repeat(30_000)),
        "x".repeat(300_000),
    ] {
        assert!(Expr::parse(&text).is_err());
    }
}

#[test]
fn numbers_are_worked_out() {
    for (text, value) in [
        ("100*1024*1024", 104_857_600.0),
        ("(25/100)", 0.25),
        ("-5", -5.0),
        ("0x1F", 31.0),
        ("2^10 - 1", 1023.0),
        (".10", 0.1),
        ("1h30m", 5400.0),
        ("14.4 * (1 - 0.999)", 14.4 * (1.0 - 0.999)),
    ] {
        assert_eq!(Expr::parse(text).expect(text).constant(), Some(value), "{text}");
    }
    assert_eq!(Expr::parse("5 * time()").expect("PromQL").constant(), None);
}
