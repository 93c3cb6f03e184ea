//! Rules that are one but for their literal: warning at 80, critical at 90. However they move, their order stays.

use super::compare::{Analysis, squeezed};
use std::collections::BTreeMap;

/// What two tiers have in common: the expression without the literals that are tuned, and the side they bound.
pub fn shape(text: &str, analysis: &Analysis, tuned: &[usize]) -> String {
    let mut spans: Vec<_> = tuned.iter().map(|at| analysis.comparisons[*at].literal.span.clone()).collect();
    spans.sort_by_key(|span| span.start);
    let (mut shape, mut at) = (String::new(), 0);
    for span in spans {
        shape.push_str(&text[at..span.start]);
        shape.push('?');
        at = span.end;
    }
    shape.push_str(&text[at..]);
    squeezed(&shape)
}

/// Places of those that are tiers of one another: equal shapes, different literals; each from the lowest literal on.
pub fn tiers(rules: &[(String, f64)]) -> Vec<Vec<usize>> {
    let mut by_shape: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (shape, _)) in rules.iter().enumerate() {
        by_shape.entry(shape).or_default().push(at);
    }
    let several = |tier: &Vec<usize>| tier.iter().any(|at| rules[*at].1 != rules[tier[0]].1);
    let mut tiers: Vec<Vec<usize>> = by_shape.into_values().filter(several).collect();
    for tier in &mut tiers {
        tier.sort_by(|one, other| rules[*one].1.total_cmp(&rules[*other].1));
    }
    tiers
}

/// Takes back what would turn tiers over. `old` and `new` stand in the order of the tier; true: taken back.
pub fn keep_order(old: &[f64], new: &mut [f64]) -> Vec<bool> {
    let mut back = vec![false; old.len()];
    let holds = |at: usize, new: &[f64]| old[at] == old[at + 1] || new[at] < new[at + 1];
    while let Some(at) = (0..old.len().saturating_sub(1)).find(|at| !holds(*at, new)) {
        // One of the two alone, if that is enough; there is always one that was not taken back yet.
        let mut one = new.to_vec();
        one[at + 1] = old[at + 1];
        let which = if !back[at + 1] && holds(at, &one) || back[at] { at + 1 } else { at };
        new[which] = old[which];
        back[which] = true;
    }
    back
}

/// Takes back what would have a tier wait longer than the next one further out, which it did not. From the outermost tier on; true:
/// taken back.
pub fn keep_waits<T: Copy + Ord>(old: &[T], new: &mut [T]) -> Vec<bool> {
    let mut back = vec![false; old.len()];
    let holds = |at: usize, new: &[T]| old[at + 1] > old[at] || new[at + 1] <= new[at];
    while let Some(at) = (0..old.len().saturating_sub(1)).find(|at| !holds(*at, new)) {
        // Who stays as it is cannot give way.
        let which = if new[at + 1] != old[at + 1] && !back[at + 1] { at + 1 } else { at };
        if back[which] {
            break;
        }
        new[which] = old[which];
        back[which] = true;
    }
    back
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compare::analyse;

    #[test]
    fn rules_that_differ_in_their_literal_alone_are_tiers() {
        let rules: Vec<(String, f64)> = ["a > 90", "a  >  80 # first", "a < 80", "b > 80", "a > 85"]
            .iter()
            .map(|text| {
                let analysis = analyse(text).expect("PromQL");
                let tuned = analysis.tuned.clone().expect("a literal");
                (shape(text, &analysis, &tuned), analysis.comparisons[tuned[0]].literal.value)
            })
            .collect();
        assert_eq!(tiers(&rules), [vec![1, 4, 0]]);
    }

    #[test]
    fn who_warns_earlier_waits_no_longer() {
        for (old, new, kept) in [
            // The outer one came down under one that stays: back.
            (vec![10, 10], vec![5, 10], vec![10, 10]),
            (vec![5, 5], vec![5, 10], vec![5, 5]),
            (vec![5, 5], vec![10, 10], vec![10, 10]),
            (vec![0, 5], vec![2, 8], vec![2, 8]),
            (vec![5, 5, 5], vec![5, 8, 10], vec![5, 5, 5]),
        ] {
            let mut moved = new.clone();
            keep_waits(&old, &mut moved);
            assert_eq!(moved, kept, "{old:?} {new:?}");
        }
    }

    #[test]
    fn tiers_keep_their_order() {
        for (old, new, kept, back) in [
            (vec![80.0, 90.0], vec![85.0, 95.0], vec![85.0, 95.0], vec![false, false]),
            (vec![80.0, 90.0], vec![92.0, 91.0], vec![80.0, 91.0], vec![true, false]),
            (vec![80.0, 90.0], vec![85.0, 85.0], vec![85.0, 90.0], vec![false, true]),
            (vec![80.0, 90.0], vec![95.0, 70.0], vec![80.0, 90.0], vec![true, true]),
            (vec![1.0, 2.0, 3.0], vec![9.0, 8.0, 7.0], vec![1.0, 2.0, 7.0], vec![true, true, false]),
            (vec![5.0, 5.0], vec![7.0, 6.0], vec![7.0, 6.0], vec![false, false]),
        ] {
            let mut moved = new.clone();
            assert_eq!(keep_order(&old, &mut moved), back, "{new:?}");
            assert_eq!(moved, kept, "{new:?}");
        }
    }
}
