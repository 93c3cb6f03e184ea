//! Formulas that were written as PromQL are read back as the formulas they were.

use super::super::compare::analyse;
use super::super::expr::Expr;
use super::super::formula::take;
use homeostat::replay::{By, Formula, Group, Matching, Op};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const LEAVES: [&str; 4] = ["a", "rate(b{x=\"> 1\"}[5m])", "sum by (i) (c)", "d > 7"];

fn names() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![Just(vec!["i".to_owned()]), Just(vec!["i".to_owned(), "j".to_owned()])]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::default()), names().prop_map(By::On), Just(By::On(Vec::new())), names().prop_map(By::Ignoring)]
}

fn matching() -> impl Strategy<Value = Matching> {
    let group = prop_oneof![
        3 => Just(Group::OneToOne),
        1 => Just(Group::Left(vec!["k".to_owned()])),
        1 => Just(Group::Right(Vec::new())),
    ];
    (by(), group).prop_map(|(by, group)| Matching { by, group })
}

/// A comparison of a leaf with a literal, on either side.
fn comparison() -> impl Strategy<Value = Formula> {
    let op = prop::sample::select(Op::ALL.into_iter().filter(|op| op.is_comparison()).collect::<Vec<_>>());
    (op, 0..LEAVES.len(), any::<[bool; 2]>()).prop_map(|(op, leaf, [swap, bool])| {
        let (leaf, literal) = (Box::new(Formula::Leaf(leaf)), Box::new(Formula::Literal(0)));
        let (left, right) = if swap { (literal, leaf) } else { (leaf, literal) };
        Formula::Binary { op, bool, matching: Matching::default(), left, right }
    })
}

fn formula() -> impl Strategy<Value = Formula> {
    comparison().prop_recursive(4, 12, 2, |inner| {
        let sets = prop_oneof![Just(Op::And), Just(Op::Or), Just(Op::Unless)];
        let others = prop_oneof![Just(Op::Mul), Just(Op::Sub), Just(Op::Pow), Just(Op::Atan2), Just(Op::Greater)];
        let guard = (0..LEAVES.len()).prop_map(Formula::Leaf);
        prop_oneof![
            (sets.clone(), by(), inner.clone(), prop_oneof![inner.clone(), guard]).prop_map(|(op, by, left, right)| {
                Formula::matched(op, Matching { by, ..Matching::default() }, left, right)
            }),
            (others, matching(), inner.clone(), inner.clone())
                .prop_map(|(op, matching, left, right)| Formula::matched(op, matching, left, right)),
            inner.prop_map(|operand| Formula::Negate(Box::new(operand))),
        ]
    })
}

/// Numbers the literals by where they stand in the text.
fn number(formula: &mut Formula, next: &mut usize) {
    match formula {
        Formula::Literal(at) => {
            *at = *next;
            *next += 1;
        }
        Formula::Binary { left, right, .. } => {
            number(left, next);
            number(right, next);
        }
        Formula::Negate(operand) => number(operand, next),
        Formula::Leaf(_) | Formula::ScalarLeaf(_) | Formula::Number(_) => {}
    }
}

/// With leaves by the order in which they come, as they are fetched.
fn in_order(formula: &mut Formula, seen: &mut Vec<usize>) {
    match formula {
        Formula::Leaf(at) => {
            let place = seen.iter().position(|known| known == at).unwrap_or_else(|| {
                seen.push(*at);
                seen.len() - 1
            });
            *at = place;
        }
        Formula::Binary { left, right, .. } => {
            in_order(left, seen);
            in_order(right, seen);
        }
        Formula::Negate(operand) => in_order(operand, seen),
        Formula::ScalarLeaf(_) | Formula::Number(_) | Formula::Literal(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read_back(
        formula in formula(),
        values in prop::collection::vec(
            prop_oneof![-1e6..1e6, Just(0.0), Just(1e-9), Just(-3e18), Just(f64::INFINITY)], 16
        ),
    ) {
        let mut formula = formula;
        let mut count = 0;
        number(&mut formula, &mut count);
        let literals = &values[..count.min(values.len())];
        prop_assume!(literals.len() == count);
        let text = formula.promql(&LEAVES, literals).to_string();
        let analysis = analyse(&text).map_err(|reason| TestCaseError::fail(format!("{text}: {reason}")))?;
        // All of them, but for those that a leaf holds.
        let within = |at: &usize| {
            let start = analysis.comparisons[*at].literal.span.start;
            LEAVES.iter().any(|leaf| text[..start].ends_with(leaf.trim_end_matches(char::is_numeric)) && leaf.contains("> 7"))
        };
        let mut tuned: Vec<usize> = (0..analysis.comparisons.len()).filter(|at| !within(at)).collect();
        tuned.sort_by_key(|at| analysis.comparisons[*at].literal.span.start);
        let taken = take(&text, &analysis, &tuned);
        prop_assert_eq!(&taken.literals, literals, "{}", text);
        let mut seen = Vec::new();
        in_order(&mut formula, &mut seen);
        prop_assert_eq!(&taken.formula, &formula, "{}", text);
        let bare = |text: &str| Expr::parse(text).map(|expr| text[expr.bare().span.clone()].to_owned());
        for (leaf, at) in taken.leaves.iter().zip(&seen) {
            prop_assert_eq!(bare(leaf).ok(), Some(LEAVES[*at].to_owned()));
        }
        prop_assert_eq!(taken.formula.promql(&taken.leaves, &taken.literals).to_string(), text);
    }
}
