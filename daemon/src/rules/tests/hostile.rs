//! Files that nobody meant to write: nothing panics, and what is changed are the bytes that were to be changed.

use super::*;
use proptest::prelude::*;

const SEEDS: [&str; 4] = [
    PLAIN,
    "a: &a {expr: x > 5}\ngroups:\r\n- name: b\r\n  rules:\r\n  - <<: *a\r\n    alert: B\r\n  - alert: C\n    expr: 'y{z=''1''} > 1'\n",
    "{\"groups\": [{\"name\": \"j\", \"rules\": [{\"alert\": \"J\", \"expr\": \"j\\u003e 1\", \"for\": \"5m\"}]}]}",
    "groups:\n- name: ü\n  rules:\n  - alert: Ä\n    expr: >\n      ü > 5\n\n        and y > 0\n      or \"z\n    annotations: {summary: 'über 5 %'}\n---\nspec:\n  groups:\n  - rules:\n    - alert: D\n      expr: |+\n        x\n        > 100*1024\n\n",
];

/// Every rule read, judged, and, where that can be, changed: only its own bytes differ.
pub(super) fn exercise(text: &str) {
    let file = read(text);
    assert_eq!(apply(&file, &[]).expect("nothing to do"), text);
    for rule in file.rules() {
        let Ok(analysis) = analyse(&rule.expr.text) else { continue };
        let tuned = analysis.tuned.clone().unwrap_or_default();
        let _ = take(&rule.expr.text, &analysis, &tuned);
        let said = Said { literal: 5.0, unit: Unit::Percent, hold: rule.hold };
        for (_, field) in &rule.annotations {
            for mention in in_text(&field.text, &said) {
                let _ = mention.rewritten(&field.text, 7.0, Span::minutes(9));
            }
        }
        let _ = in_name(&rule.name.text, &said);
        for at in tuned {
            let part = analysis.comparisons[at].literal.span.clone();
            let Ok(span) = rule.expr.span(part.clone()) else { continue };
            assert_eq!(text[span.clone()], rule.expr.text[part.clone()]);
            let new = spell(&rule.expr.text[part], 7.0).0;
            if let Ok(after) = apply(&file, &[Edit { span: span.clone(), text: new.clone() }]) {
                assert_eq!(after, format!("{}{new}{}", &text[..span.start], &text[span.end..]));
            }
        }
        if let Ok(place) = &rule.hold_place {
            let new = format!("{}7m{}", place.before, place.after);
            let at = place.span.clone();
            if let Ok(after) = apply(&file, &[Edit { span: at.clone(), text: new.clone() }]) {
                assert_eq!(after, format!("{}{new}{}", &text[..at.start], &text[at.end..]));
            }
        }
    }
}

/// A text with one of its characters replaced by another text, some times over.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{"),
        Just("\t"),
        Just("\r\n"),
        Just("\n"),
        Just("'"),
        Just("\""),
        Just("|"),
        Just(">"),
        Just("&a "),
        Just("*a"),
        Just("<<: *a"),
        Just("#"),
        Just("ß"),
        Just("  "),
        Just("- "),
        Just(": "),
        Just(","),
        Just("}"),
        Just("["),
        Just("5"),
        Just("\\"),
        Just("(")
    ];
    (0..SEEDS.len(), proptest::collection::vec((any::<prop::sample::Index>(), piece, 0..3_usize), 0..6)).prop_map(
        |(seed, edits)| {
            let mut chars: Vec<char> = SEEDS[seed].chars().collect();
            for (at, piece, taken) in edits {
                let at = at.index(chars.len() + 1);
                let end = (at + taken).min(chars.len());
                chars.splice(at..end, piece.chars());
            }
            chars.into_iter().collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_that_were_spoiled_change_in_the_bytes_meant_alone(text in mutated()) {
        exercise(&text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        exercise(&text);
        let _ = analyse(&text);
        let _ = spell(&text, 5.0);
    }

    #[test]
    fn what_looks_like_promql_is_read_or_refused(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("a"), Just("sum"), Just("("), Just(")"), Just("{"), Just("}"), Just("["), Just("]"), Just("5m"),
                Just(">"), Just("=="), Just("bool"), Just("and"), Just("or"), Just("on"), Just("by"), Just("5"),
                Just("0x1F"), Just("1e9"), Just("-"), Just("*"), Just("^"), Just("\"x\""), Just("="), Just(","),
                Just(":"), Just("@"), Just("offset"), Just("# c\n"), Just("time"), Just("inf"), Just("unless")
            ],
            0..14,
        )
    ) {
        let text = parts.join(" ");
        if let Ok(analysis) = analyse(&text) {
            let tuned = analysis.tuned.clone().unwrap_or_default();
            let taken = take(&text, &analysis, &tuned);
            prop_assert_eq!(taken.literals.len(), tuned.len());
            for at in tuned {
                let span = analysis.comparisons[at].literal.span.clone();
                // The literal alone is read as the number it is.
                prop_assert_eq!(Expr::parse(&text[span]).ok().and_then(|expr| expr.constant()), Some(analysis.comparisons[at].literal.value));
            }
        }
    }
}

#[test]
fn every_seed_is_exercised_as_it_is() {
    for seed in SEEDS {
        exercise(seed);
    }
}
