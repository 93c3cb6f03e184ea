//! Thresholds that alert rules look up: one per rule and set of the labels that it looks up by.

use super::{Learned, Sample};
use crate::config::DataRule;
use homeostat::replay::data::Direction;
use std::collections::BTreeMap;

/// What the rules' thresholds are now. They say where alerts begin, not where samples breach, as ordinary ones do now and
/// then. A label that a series does not have is said to be empty, or a scraper would set its own. Of several
/// series with the same labels the widest threshold counts: the rule stays silent about what any of them does ordinarily.
pub(super) fn samples(rules: &[DataRule], learned: &[Learned]) -> Vec<Sample> {
    rules.iter().flat_map(|rule| of_rule(rule, learned)).collect()
}

fn of_rule(rule: &DataRule, learned: &[Learned]) -> Vec<Sample> {
    let direction = rule.op.direction;
    let mut widest: BTreeMap<Vec<String>, f64> = BTreeMap::new();
    for one in learned.iter().filter(|one| rule.selector.matches(&one.series)) {
        let (bound, wider): (_, fn(f64, f64) -> f64) = match direction {
            Direction::Upper => (one.alert.1, f64::max),
            Direction::Lower => (one.alert.0, f64::min),
        };
        let Some(bound) = bound else { continue };
        let (_, labels) = one.series.parts();
        let of =
            |by: &String| labels.iter().find(|(name, _)| name == by).map_or(String::new(), |(_, value)| value.clone());
        let key = rule.by.iter().map(of).collect();
        widest.entry(key).and_modify(|known| *known = wider(*known, bound)).or_insert(bound);
    }
    let sample = |(key, value): (Vec<String>, f64)| {
        let by = rule.by.iter().cloned().zip(key).map(|(name, value)| (name.into(), value));
        let own = [("rule".into(), rule.name().to_owned()), ("direction".into(), direction.as_str().to_owned())];
        Sample { suffix: "", labels: own.into_iter().chain(by).collect(), value }
    };
    widest.into_iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Format, encode, threshold_families};
    use homeostat::series::SeriesName;

    fn learned(series: &str, alert: (Option<f64>, Option<f64>)) -> Learned {
        let series = SeriesName::parse(series).expect(series);
        Learned { series, lower: None, upper: Some(1.0), alert, confidence: 0.9 }
    }

    /// What a rule with these settings has served of these series.
    fn served(rule: &str, all: &[Learned]) -> Vec<String> {
        let rule: DataRule = serde_saphyr::from_str(rule).expect(rule);
        let text = encode(&threshold_families(all, &[rule]), Format::Classic);
        let of_rule = text.lines().filter(|line| line.starts_with("homeostat_threshold{rule="));
        of_rule.map(|line| line.trim_start_matches("homeostat_threshold").to_owned()).collect()
    }

    #[test]
    fn a_rule_has_one_threshold_per_set_of_its_labels_and_the_widest_of_several() {
        let all = [
            learned(r#"p99{job="a",path="/"}"#, (Some(1.0), Some(5.0))),
            learned(r#"p99{job="a",path="/x"}"#, (Some(2.0), Some(7.0))),
            learned(r#"p99{path="/"}"#, (None, Some(4.0))),
            learned(r#"p99{job="young"}"#, (None, None)),
            learned(r#"p50{job="b"}"#, (None, Some(3.0))),
        ];
        let upper = "{alert: A, expr: x, op: '>', literal: 1, by: [job], match: p99}";
        assert_eq!(
            served(upper, &all),
            [r#"{rule="A",direction="upper",job=""} 4"#, r#"{rule="A",direction="upper",job="a"} 7"#]
        );
        let lower = r#"{alert: A, rule: "A 2", expr: x, op: '<=', literal: 1, match: p99}"#;
        assert_eq!(served(lower, &all), [r#"{rule="A 2",direction="lower"} 1"#]);
    }
}
