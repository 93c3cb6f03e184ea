//! Rule files as they are found, with all that makes them hard to read and to change.

mod collections;
mod hostile;
mod written;

use hostile::exercise;

use super::change::{Edit, NotWritten, apply, diff, write};
use super::compare::analyse;
use super::expr::Expr;
use super::file::{Fixed, RuleFile, RuleKind};
use super::formula::take;
use super::judge::Unit;
use super::mention::{Said, in_name, in_text};
use super::spell::spell;
use homeostat::replay::Formula;
use homeostat::time::Span;

fn read(text: &str) -> RuleFile {
    let file = RuleFile::parse("rules.yml", text.to_owned());
    assert_eq!(file.text, text);
    file
}

/// The rules of a text in which nothing is wrong.
fn sound(text: &str) -> RuleFile {
    let file = read(text);
    assert_eq!(file.problems, [], "{text}");
    file
}

/// The file's bytes of `part` of an expression.
fn cut<'a>(file: &'a RuleFile, rule: usize, part: &str) -> Result<&'a str, Fixed> {
    let rule = file.rules().nth(rule).expect("a rule");
    let at = rule.expr.text.find(part).expect(part);
    rule.expr.span(at..at + part.len()).map(|span| &file.text[span])
}

const PLAIN: &str = "\
groups:
- name: node
  interval: 30s
  rules:
  # How full.
  - alert: DiskFull
    expr: |
      # 5 percent left
      node_filesystem_avail_bytes{le=\"0.5\"}
        / node_filesystem_size_bytes < 0.05
    for: 15m # long enough
    labels: {severity: warning, expr: x > 5}
    annotations:
      summary: 'Below 5 %'
  - record: a:b
    expr: sum(b)
";

#[test]
fn a_file_of_prometheus_is_read_with_places() {
    let file = sound(PLAIN);
    let group = &file.groups[0];
    assert_eq!((group.name.as_str(), group.interval, group.limit), ("node", Some(Span::from_secs(30)), None));
    let rule = &group.rules[0];
    assert_eq!((rule.line, rule.kind, rule.name.text.as_str()), (6, RuleKind::Alert, "DiskFull"));
    assert_eq!((rule.hold, rule.label("severity")), (Span::minutes(15), Some("warning")));
    assert_eq!(rule.label("expr"), Some("x > 5"));
    assert_eq!(cut(&file, 0, "0.05"), Ok("0.05"));
    assert_eq!(rule.expr.line_of(&file.text, rule.expr.text.find("0.05").expect("it")), 10);
    assert_eq!(rule.annotations[0].1.text, "Below 5 %");
    assert_eq!(group.rules[1].kind, RuleKind::Record);
}

#[test]
fn manifests_lists_documents_and_values_are_read() {
    let manifest = "\
# one
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: a}
spec:
  groups:
    - name: a
      rules:
        - alert: A
          expr: a > 1
---
kind: List
items:
  - kind: PrometheusRule
    spec: {groups: [{name: b, rules: [{alert: B, expr: b > 2}]}]}
---
additional:
  x:
    groups:
      - {name: c, rules: [{alert: C, expr: 'c > 3'}]}
...
";
    let names: Vec<String> = sound(manifest).rules().map(|rule| rule.name.text.clone()).collect();
    assert_eq!(names, ["A", "B", "C"]);
    let json = r#"{"groups": [{"name": "j", "rules": [{"alert": "J", "expr": "j > 1", "for": "5m"}]}]}"#;
    assert_eq!(cut(&sound(json), 0, "1"), Ok("1"));
}

#[test]
fn what_is_wrong_with_one_rule_is_said_with_its_line_and_the_rest_is_read() {
    let text = "\
groups:
- name: a
  interval: soon
  rules:
  - alert: NoExpr
  - alert: Twice
    expr: a > 1
    expr: a > 2
  - 5
  - alert: BadFor
    expr: a > 1
    for: 300
  - alert: Both
    record: both
    expr: a
  - expr: a > 1
  - alert: Fine
    expr: a > 1
- 7
- name: none
  rules:
";
    let file = read(text);
    let told: Vec<(usize, &str)> = file.problems.iter().map(|one| (one.line, one.problem.as_str())).collect();
    let wanted = [
        (3, "like 5m"),
        (5, "no `expr`"),
        (8, "`expr` stands twice"),
        (9, "a section"),
        (12, "`for`: `300` is no duration"),
        (13, "not both"),
        (16, "neither `alert` nor `record`"),
        (19, "a group is a section"),
    ];
    assert_eq!(told.len(), wanted.len(), "{told:?}");
    for ((line, problem), (wanted_line, words)) in told.iter().zip(wanted) {
        assert!(*line == wanted_line && problem.contains(words), "{line}: {problem}");
    }
    assert_eq!(file.rules().map(|rule| rule.name.text.as_str()).collect::<Vec<_>>(), ["Fine"]);
}

#[test]
fn templates_are_refused_with_the_line() {
    for (text, line) in [
        ("groups:\n{{- if .Values.alerts }}\n- name: a\n{{- end }}\n", 2),
        ("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: a > {{ .Values.limit }}\n", 5),
        ("groups:\n{% for x in y %}\n- name: a\n{% endfor %}\n", 2),
        ("groups:\n- name: <%= @name %>\n  rules: []\n", 2),
        ("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: {{ limit }}\n", 5),
        ("a: '{{`{{ $value }}`}}'\ngroups: []\n", 1),
    ] {
        let file = read(text);
        assert_eq!(file.rules().count(), 0, "{text}");
        assert!(file.problems[0].problem.contains("template"), "{:?}", file.problems);
        assert_eq!(file.problems[0].line, line, "{text}");
    }
    // One value that a template fills in spoils its own rule alone.
    let text = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: |\n      a\n      > {{ limit }}\n  - alert: B\n    expr: b > 1\n";
    assert_eq!(cut(&sound(text), 0, "a"), Err(Fixed::Template { line: 7 }));
    assert_eq!(cut(&sound(text), 1, "1"), Ok("1"));
    // The templates of annotations are Prometheus' own.
    let text = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: a > 1\n    annotations:\n      x: |\n        {{- range query \"up\" }}\n        {{ .Value }}{{ end }}\n";
    sound(text);
}

#[test]
fn what_is_no_rule_file_says_so() {
    for (text, line, words) in [
        ("", 1, "no alert rules"),
        ("a: 1\n", 1, "no alert rules"),
        ("groups:\n- name: a\n\trules: []\n", 2, "indent it with spaces"),
        ("groups: [\n", 1, "close"),
        ("groups:\n- name: a\n  limit: many\n  rules: []\n", 3, "`limit`: a whole number"),
        ("groups:\n- name: a\n  rules: *x\n", 3, "nothing is called `x`"),
        ("data:\n  a.yml: |\n    groups:\n    - name: a\n", 3, "a text in another file"),
        ("\u{0}", 1, ""),
    ] {
        let file = read(text);
        let first = &file.problems[0];
        assert!(first.problem.contains(words), "{text:?}: {first:?}");
        assert_eq!(first.line, line, "{text:?}: {first:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(read(&deep).rules().count(), 0);
    let laughs =
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\ngroups: [{name: a, rules: *c}]\n";
    assert_eq!(read(laughs).rules().count(), 0);
    // A section that merges itself ends.
    assert_eq!(
        read("groups:\n- name: a\n  rules:\n  - &a\n    <<: *a\n    alert: A\n    expr: a > 1\n").rules().count(),
        0
    );
}

#[test]
fn what_rules_inherit_is_read_and_changed_where_it_is_theirs_alone() {
    let text = "\
x-shared: &shared
  expr: a > 5
  for: 5m
x-own: &own {expr: b > 6}
groups:
- name: a
  rules:
  - alert: A
    <<: *shared
  - <<: *shared
    alert: B
    for: 10m
  - <<: *own
    alert: C
  - &d
    alert: D
    expr: &e d > 7
  - *d
  - alert: E
    expr: *e
  - alert: F
    expr: f > 8
    annotations: &n {summary: Above 8}
  - alert: G
    expr: g > 8
    annotations: *n
";
    let file = sound(text);
    let rules: Vec<_> = file.rules().collect();
    let told: Vec<(&str, &str, u64)> = rules
        .iter()
        .map(|rule| (rule.name.text.as_str(), rule.expr.text.as_str(), rule.hold.millis() / 60_000))
        .collect();
    let wanted = [
        ("A", "a > 5", 5),
        ("B", "a > 5", 10),
        ("C", "b > 6", 0),
        ("D", "d > 7", 0),
        ("D", "d > 7", 0),
        ("E", "d > 7", 0),
        ("F", "f > 8", 0),
        ("G", "g > 8", 0),
    ];
    assert_eq!(told, wanted);
    let shared = |anchor: &str, line, rules| Err(Fixed::Shared { anchor: anchor.to_owned(), line, rules });
    assert_eq!(cut(&file, 0, "5"), shared("shared", 2, 2));
    assert_eq!(cut(&file, 1, "5"), shared("shared", 2, 2));
    assert_eq!(cut(&file, 2, "6"), Ok("6"));
    for rule in [3, 4, 5] {
        assert!(matches!(cut(&file, rule, "7"), Err(Fixed::Shared { rules: 3, .. })), "{rule}");
    }
    assert_eq!(cut(&file, 6, "8"), Ok("8"));
    assert!(matches!(rules[6].annotations[0].1.places, Err(Fixed::Shared { rules: 2, .. })));
    // B's `for` is its own, A's is not its alone: one more rule would have it.
    assert!(rules[1].hold_place.is_ok());
    assert!(matches!(rules[4].hold_place, Err(Fixed::Alias { line: 16 })), "{:?}", rules[4].hold_place);
    assert!(matches!(rules[3].hold_place, Err(Fixed::Shared { rules: 2, .. })), "{:?}", rules[3].hold_place);
    let said = cut(&file, 0, "5").expect_err("it is shared").to_string();
    assert_eq!(said, "it stands in line 2 (`&shared`) for 2 rules; write it out for each of them");
}

/// Writes over the tuned literals of a rule, its `for`, or both, and gives the new text.
fn changed(text: &str, rule: usize, literal: Option<f64>, hold: Option<&str>) -> String {
    let file = sound(text);
    let rule = file.rules().nth(rule).expect("a rule");
    let mut edits = Vec::new();
    if let Some(value) = literal {
        let analysis = analyse(&rule.expr.text).expect("PromQL");
        for at in analysis.tuned.expect("a literal to tune") {
            let part = analysis.comparisons[at].literal.span.clone();
            let (new, _) = spell(&rule.expr.text[part.clone()], value);
            edits.push(Edit { span: rule.expr.span(part).expect("a place"), text: new });
        }
    }
    if let Some(hold) = hold {
        let place = rule.hold_place.clone().expect("a place");
        edits.push(Edit { span: place.span, text: format!("{}{hold}{}", place.before, place.after) });
    }
    apply(&file, &edits).expect("changes")
}

#[test]
fn a_literal_is_changed_in_every_style_and_nothing_beside_it() {
    for (before, after) in [
        ("expr: x{quantile=\"1\"} > 1 # 1", "expr: x{quantile=\"1\"} > 2 # 1"),
        ("expr: 'x{a=''1''} > 1'", "expr: 'x{a=''1''} > 2'"),
        ("expr: \"x{a=\\\"1\\\"} > 1\"", "expr: \"x{a=\\\"1\\\"} > 2\""),
        ("expr: \"x{a=\\\"1\\\"}\\\n      > 1\"", "expr: \"x{a=\\\"1\\\"}\\\n      > 2\""),
        ("expr: >-\n      x\n      >\n      1", "expr: >-\n      x\n      >\n      2"),
        ("expr: x\n      > 1", "expr: x\n      > 2"),
        ("expr: |2\n        # 1\n        x > 1", "expr: |2\n        # 1\n        x > 2"),
        ("expr: x{a=\"größe 1\"} > 1.0", "expr: x{a=\"größe 1\"} > 2.0"),
    ] {
        for eol in ["\n", "\r\n"] {
            for end in ["", "\n    labels: {a: b}\n"] {
                let text = |part: &str| {
                    format!("groups:\n- name: a\n  rules:\n  - alert: A\n    {part}{end}").replace('\n', eol)
                };
                assert_eq!(changed(&text(before), 0, Some(2.0), None), text(after));
            }
        }
    }
}

#[test]
fn a_for_is_written_as_its_neighbours_are() {
    let rules = |part: &str| format!("groups:\n- name: a\n  rules:\n  {part}");
    for (before, after) in [
        ("- alert: A\n    expr: x > 1\n    for: 5m # why\n", "- alert: A\n    expr: x > 1\n    for: 15m # why\n"),
        ("- alert: A\n    expr: x > 1\n    for: '0m'\n", "- alert: A\n    expr: x > 1\n    for: '15m'\n"),
        ("- alert: A\n    expr: x > 1\n    for:\n", "- alert: A\n    expr: x > 1\n    for: 15m\n"),
        (
            "- alert: A\n    expr: x > 1 # why\n    labels: {}\n",
            "- alert: A\n    expr: x > 1 # why\n    for: 15m\n    labels: {}\n",
        ),
        ("- expr: x > 1\n    alert: A", "- expr: x > 1\n    for: 15m\n    alert: A"),
        ("- alert: A\n    expr: x > 1", "- alert: A\n    expr: x > 1\n    for: 15m"),
        (
            "- alert: A\n    expr: |\n      x\n      > 1\n\n    # labels\n    labels: {}\n",
            "- alert: A\n    expr: |\n      x\n      > 1\n    for: 15m\n\n    # labels\n    labels: {}\n",
        ),
        ("- alert: A\n    expr: |-\n      x > 1", "- alert: A\n    expr: |-\n      x > 1\n    for: 15m"),
        ("- {alert: A, expr: x > 1}\n", "- {alert: A, expr: x > 1, for: 15m}\n"),
        (
            "- {\"alert\": \"A\", \"expr\": \"x > 1\", \"labels\": {}}\n",
            "- {\"alert\": \"A\", \"expr\": \"x > 1\", \"for\": \"15m\", \"labels\": {}}\n",
        ),
        (
            "- \"alert\": \"A\"\n    \"expr\": \"x > 1\"\n",
            "- \"alert\": \"A\"\n    \"expr\": \"x > 1\"\n    \"for\": \"15m\"\n",
        ),
        (
            "- <<: &b {expr: x > 1}\n    alert: A\n    labels:\n      a: b # c\n",
            "- <<: &b {expr: x > 1}\n    alert: A\n    labels:\n      a: b # c\n    for: 15m\n",
        ),
    ] {
        for eol in ["\n", "\r\n"] {
            let text = rules(before).replace('\n', eol);
            let after = rules(after).replace('\n', eol);
            let got = changed(&text, 0, None, Some("15m"));
            assert_eq!(got, after);
            assert_eq!(sound(&got).rules().next().map(|rule| rule.hold), Some(Span::minutes(15)));
        }
    }
}

#[test]
fn a_diff_shows_what_changes_and_a_file_is_replaced_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yml");
    let before = PLAIN.to_owned();
    let after = changed(PLAIN, 0, Some(0.07), Some("20m"));
    let shown = diff("./rules.yml", &before, &after);
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(
        lines,
        [
            "--- a/rules.yml",
            "+++ b/rules.yml",
            "-        / node_filesystem_size_bytes < 0.05",
            "-    for: 15m # long enough",
            "+        / node_filesystem_size_bytes < 0.07",
            "+    for: 20m # long enough",
        ]
    );
    assert_eq!(diff("x", &before, &before), "");

    std::fs::write(&path, &before).expect("written");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    write(&path, &before, &after).expect("written");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), after);
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);

    // Meanwhile it is another one; a link leads elsewhere; a folder is none.
    assert!(matches!(write(&path, &before, &after), Err(NotWritten::Changed(_))));
    let link = folder.path().join("link.yml");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    assert!(matches!(write(&link, &after, &before), Err(NotWritten::Link { .. })));
    assert!(matches!(write(folder.path(), &after, &before), Err(NotWritten::NoFile(_))));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), after);
}

#[test]
fn changes_that_meet_or_garble_are_refused() {
    let file = sound(PLAIN);
    let edit = |span: std::ops::Range<usize>, text: &str| Edit { span, text: text.to_owned() };
    assert!(matches!(apply(&file, &[edit(10..20, ""), edit(15..25, "")]), Err(NotWritten::Overlap(..))));
    assert!(matches!(apply(&file, &[edit(0..7, "other:")]), Err(NotWritten::Garbled(_))));
    assert!(matches!(apply(&file, &[edit(9_999..10_000, "")]), Err(NotWritten::Overlap(..))));
    assert_eq!(apply(&file, &[]).expect("nothing"), PLAIN);
}

#[test]
fn an_expression_is_taken_apart_around_the_literal() {
    for (text, formula, leaves) in [
        ("x > 5", "0 > 7", vec!["x"]),
        ("5 < x", "7 < 0", vec!["x"]),
        ("x{a=\"1\"} / y > (25/100) and on (a) y > 0", "(0 > 7) and on(a) 1", vec!["x{a=\"1\"} / y", "y > 0"]),
        ("(x > 5) * on (a) group_left (b) i", "(0 > 7) * on(a) group_left(b) 1", vec!["x", "i"]),
        ("-x < -5", "0 < 7", vec!["-x"]),
        ("-(x > 5)", "-(0 > 7)", vec!["x"]),
        ("x > 5 and x offset 1h > 0 unless x", "((0 > 7) and 1) unless 0", vec!["x", "x offset 1h > 0"]),
        ("(x > bool 5) == 1", "(0 > bool 7) == 1", vec!["x"]),
        ("(x > 5) * scalar(y)", "(0 > 7) * 1", vec!["x", "scalar(y)"]),
    ] {
        let analysis = analyse(text).expect(text);
        let tuned = analysis.tuned.clone().expect(text);
        let taken = take(text, &analysis, &tuned);
        let names: Vec<String> = (0..taken.leaves.len()).map(|at| at.to_string()).collect();
        assert_eq!(taken.formula.promql(&names, &[7.0]).to_string(), formula, "{text}");
        assert_eq!(taken.leaves, leaves, "{text}");
        assert_eq!(taken.measured, [Some(0)], "{text}");
        assert_eq!(taken.literals, [analysis.comparisons[tuned[0]].literal.value], "{text}");
    }
    let analysis = analyse("(x > 5) * scalar(y)").expect("PromQL");
    let taken = take("(x > 5) * scalar(y)", &analysis, &[0]);
    assert!(matches!(taken.formula, Formula::Binary { right, .. } if *right == Formula::ScalarLeaf(1)));
}
