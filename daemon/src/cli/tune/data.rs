//! Rules whose thresholds had better be data, as entries of homeostat's own configuration: the expression as a source, and the
//! rule that looks its thresholds up.

use super::advise::{Outcome, Verdict};
use super::subject::Subject;
use crate::cli::Failed;
use crate::cli::output::{Out, one_line};
use crate::prometheus::endpoint::Endpoint;
use crate::rules::compare::Comparison;
use homeostat::doctor::SeriesLiteral;
use homeostat::replay::Labels;
use homeostat::time::Span;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Which rules are written.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// Those whose series live at levels that no one literal serves
    Levels,
    /// All that compare one expression with one literal
    All,
}

/// Prints the entries. What has no place in one is said on standard error.
pub(super) fn print(
    which: Which,
    subjects: &[Subject<'_>],
    outcomes: &[Outcome],
    endpoint: &Endpoint,
    out: &Out,
) -> Result<(), Failed> {
    let (mut expressions, mut rules) = (Vec::new(), Vec::new());
    let mut taken = BTreeSet::new();
    for outcome in outcomes {
        let subject = &subjects[outcome.subject];
        let own = per_series(outcome);
        if subject.tuned.is_empty() || which == Which::Levels && own.is_empty() {
            continue;
        }
        let Some(compared) = whole(subject) else {
            eprintln!(
                "{}: only its comparison would fit: what stands beside it has no place in `rules`",
                one_line(&subject.rule.name.text)
            );
            continue;
        };
        let mut name = slug(&subject.rule.name.text);
        while !taken.insert(name.clone()) {
            name.push_str("_again");
        }
        let text = |span: &std::ops::Range<usize>| subject.rule.expr.text[span.clone()].trim().to_owned();
        let measured = text(&compared.measured);
        if let Some(tier) =
            rules.iter().find(|rule: &&Value| rule["expr"] == measured && rule["op"] == compared.op.as_str())
        {
            eprintln!(
                "{}: {} compares the same and would be given the same thresholds; write one of them",
                one_line(&subject.rule.name.text),
                tier["alert"].as_str().unwrap_or_default()
            );
            continue;
        }
        let series = outcome.past.as_ref().map_or(&[][..], |past| &past.series);
        if series.is_empty() {
            eprintln!("{}: no series of it is known, so nothing tells them apart", one_line(&subject.rule.name.text));
            continue;
        }
        expressions.push(json!({ "expr": measured, "name": name }));
        rules.push(rule(subject, compared, &measured, &name, by(series)));
    }
    if rules.is_empty() {
        eprintln!("no rule is better served by thresholds per series; --as-data all writes all that can have them");
        return Ok(());
    }
    let mut source = serde_json::to_value(endpoint).unwrap_or_default();
    if let Value::Object(fields) = &mut source {
        // How one gets in, as this run did: secrets stand in files. What is not given has its default.
        fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
        fields.insert("expressions".to_owned(), expressions.into());
    }
    let entries = json!({ "promql": [source], "rules": rules });
    let text = serde_saphyr::to_string(&entries)
        .map_err(|error| Failed::World(format!("cannot write the entries: {error}")))?;
    out.text(text.trim_end())?;
    eprintln!(
        "{} of {} rules: add this to homeostat.yaml, then `homeostat thresholds rules --config homeostat.yaml` writes them for \
         Prometheus",
        rules.len(),
        outcomes.len()
    );
    Ok(())
}

fn per_series(outcome: &Outcome) -> &[SeriesLiteral] {
    match &outcome.verdict {
        Verdict::Change(proposal) => &proposal.per_series,
        Verdict::Leave { per_series, .. } => per_series,
    }
}

/// The comparison, where the expression is one and nothing else.
fn whole<'a>(subject: &'a Subject<'_>) -> Option<&'a Comparison> {
    let analysis = subject.analysis.as_ref()?;
    let [comparison] = analysis.comparisons.as_slice() else { return None };
    let text = &subject.rule.expr.text;
    let around = |span: std::ops::Range<usize>| text[span].chars().all(|c| c.is_whitespace() || c == '(' || c == ')');
    let alone = around(0..comparison.span.start) && around(comparison.span.end..text.len());
    (alone && !comparison.bool).then_some(comparison)
}

/// The labels that tell the series apart.
fn by(series: &[Labels]) -> Vec<String> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for labels in series {
        for (name, value) in labels.iter() {
            values.entry(name).or_default().insert(value);
        }
    }
    // One that some do not have tells them apart as well.
    let has = |name: &str| series.iter().filter(|labels| !labels.get(name).is_empty()).count();
    let own_names = |name: &str| name.starts_with("__") || ["rule", "direction"].contains(&name);
    let apart =
        values.into_iter().filter(|(name, values)| !own_names(name) && (values.len() > 1 || has(name) < series.len()));
    apart.map(|(name, _)| name.to_owned()).collect()
}

fn rule(subject: &Subject<'_>, compared: &Comparison, expr: &str, name: &str, by: Vec<String>) -> Value {
    let rule = subject.rule;
    let mut fields = Map::new();
    fields.insert("alert".into(), rule.name.text.as_str().into());
    if name != slug(&rule.name.text) {
        // Another tier of the same alert.
        fields.insert("rule".into(), name.into());
    }
    fields.insert("expr".into(), expr.into());
    fields.insert("op".into(), compared.op.as_str().into());
    fields.insert("literal".into(), compared.literal.value.into());
    fields.insert("by".into(), by.into());
    fields.insert("match".into(), name.into());
    for (key, span) in [("for", rule.hold), ("keep_firing_for", rule.keep_firing_for)] {
        if span > Span::ZERO {
            fields.insert(key.into(), span.to_string().into());
        }
    }
    for (key, pairs) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
        if !pairs.is_empty() {
            let texts: Vec<String> = pairs.iter().map(|(name, field)| format!("{name}={}", field.text)).collect();
            fields.insert(key.into(), texts.into());
        }
    }
    Value::Object(fields)
}

/// What the source's series are called: as the alert, in small letters. `HostHighCpuLoad` is `host_high_cpu_load`.
fn slug(alert: &str) -> String {
    let mut slug = String::new();
    let mut last = ' ';
    for c in alert.chars() {
        let part = !c.is_ascii_alphanumeric();
        let begins = c.is_ascii_uppercase() && last.is_ascii_lowercase();
        last = c;
        if (part || begins) && !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
        if !part {
            slug.push(c.to_ascii_lowercase());
        }
    }
    let slug = slug.trim_end_matches('_');
    if slug.starts_with(|c: char| c.is_ascii_alphabetic()) { slug.to_owned() } else { format!("alert_{slug}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_called_as_their_alert_in_small_letters() {
        for (alert, name) in [
            ("HostHighCpuLoad", "host_high_cpu_load"),
            ("Disk full (sda)", "disk_full_sda"),
            ("95thPercentile", "alert_95th_percentile"),
            ("HTTPErrors", "httperrors"),
            ("é", "alert_"),
        ] {
            assert_eq!(slug(alert), name);
        }
    }

    #[test]
    fn thresholds_are_looked_up_by_the_labels_that_tell_series_apart() {
        let series = [
            Labels::new([("__name__", "a"), ("instance", "a"), ("job", "x")]),
            Labels::new([("__name__", "a"), ("instance", "b"), ("job", "x"), ("zone", "1")]),
        ];
        assert_eq!(by(&series), ["instance", "zone"]);
    }
}
