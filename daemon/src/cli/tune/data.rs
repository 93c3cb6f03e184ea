//! Rules whose thresholds had better be data, as entries of homeostat's own configuration: the expression as a source, and the
//! rule that looks its thresholds up.
//!
//! A text that repeats the literal would be wrong of every series that is compared with another number. An annotation says the
//! threshold in force in its place, looked up as the rule does. Names and labels tell alerts apart and have to stay what they
//! are: of those a person is told.

use super::advise::{Outcome, Verdict};
use super::subject::{BUDGET, Subject};
use crate::cli::Failed;
use crate::cli::output::{Out, one_line};
use crate::prometheus::endpoint::Endpoint;
use crate::rules::compare::Comparison;
use crate::rules::file::Field;
use crate::rules::mention::{self, Mention, Of, Said};
use homeostat::doctor::SeriesLiteral;
use homeostat::replay::Labels;
use homeostat::replay::data::Lookup;
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

/// Shows a threshold: from a thousand on decimals say nothing to a reader, and `%.4g` would write an exponent.
const SHOWN: &str = "{{ $threshold := . | first | value }}\
                     {{ if ge $threshold 1000.0 }}{{ printf \"%.0f\" $threshold }}{{ else }}{{ printf \"%.4g\" $threshold }}{{ end }}";

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
        let (entry, notes) = rule(subject, compared, &measured, &name, by(series));
        rules.push(entry);
        for note in notes {
            eprintln!("{}", one_line(&format!("{}: {note}", subject.rule.name.text)));
        }
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

/// The entry, and what a person has to know of it.
fn rule(subject: &Subject<'_>, compared: &Comparison, expr: &str, name: &str, by: Vec<String>) -> (Value, Vec<String>) {
    let rule = subject.rule;
    let mut fields = Map::new();
    fields.insert("alert".into(), rule.name.text.as_str().into());
    // Another tier of the same alert.
    let of_its_own = name != slug(&rule.name.text);
    if of_its_own {
        fields.insert("rule".into(), name.into());
    }
    let looked_up_as = if of_its_own { name } else { &rule.name.text };
    let in_force = InForce::new(looked_up_as, compared, &by);
    let said = Said { literal: compared.literal.value, unit: compared.measure.unit, hold: rule.hold };
    let mut notes = Vec::new();
    let mut tell = |what: &str, text: &str, mention: &Mention| {
        let written = &text[mention.span.clone()];
        notes.push(format!(
            "its {what} says {written}, which holds only where no threshold is known; say it in other words"
        ));
    };
    let of_literal = |mentions: Vec<Mention>| mentions.into_iter().filter(|one| matches!(one.of, Of::Literal { .. }));
    of_literal(mention::in_name(&rule.name.text, &said)).for_each(|one| tell("name", &rule.name.text, &one));
    for (label, field) in &rule.labels {
        of_literal(mention::in_text(&field.text, &said))
            .for_each(|one| tell(&format!("label {label}"), &field.text, &one));
    }
    let annotation = |(annotation, field): &(String, Field)| {
        let mut text = field.text.clone();
        let mentions: Vec<Mention> = match annotation == BUDGET {
            true => Vec::new(),
            false => of_literal(mention::in_text(&field.text, &said)).collect(),
        };
        // From the last one on, so that places before it stay.
        for one in mentions.iter().rev() {
            match in_force.as_ref().and_then(|in_force| in_force.template(&field.text, one)) {
                Some(template) => text.replace_range(one.span.clone(), &template),
                None => tell(annotation, &field.text, one),
            }
        }
        format!("{annotation}={text}")
    };
    let annotations: Vec<String> = rule.annotations.iter().map(annotation).collect();
    let labels: Vec<String> = rule.labels.iter().map(|(label, field)| format!("{label}={}", field.text)).collect();
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
    for (key, texts) in [("labels", labels), ("annotations", annotations)] {
        if !texts.is_empty() {
            fields.insert(key.into(), texts.into());
        }
    }
    (Value::Object(fields), notes)
}

/// How a template of Prometheus looks up the threshold of the series that fires.
struct InForce {
    /// The selector without its end, as a template's text between backticks, and the labels by which it goes on.
    selector: String,
    by: Vec<String>,
}

impl InForce {
    /// None: no template can say the rule's name.
    fn new(rule: &str, compared: &Comparison, by: &[String]) -> Option<InForce> {
        let selector = Lookup::new(rule, compared.op, by.iter().cloned())?.selector();
        let selector = selector.strip_suffix('}')?.to_owned();
        (!selector.contains(['`', '\n'])).then(|| InForce { selector, by: by.to_vec() })
    }

    /// What stands in place of a mention: the threshold, in the units that the text speaks in, or the literal as it is written
    /// where there is none. None: inside of a template of its own the series is not known, and no template holds another.
    fn template(&self, text: &str, mention: &Mention) -> Option<String> {
        let Of::Literal { unit } = mention.of else { return None };
        if text.contains("define ") || mention.is_in_template(text) {
            return None;
        }
        let scale = if unit == 1.0 { String::new() } else { format!(" / {unit}") };
        let looked_up = match self.by.is_empty() {
            true => format!("query `{}}}{scale}`", self.selector),
            false => {
                // What stands there already is a format now.
                let mut format = self.selector.replace('%', "%%");
                self.by.iter().for_each(|by| format.push_str(&format!(", {by}=%q")));
                let values: String = self.by.iter().map(|by| format!(" $labels.{by}")).collect();
                format!("printf `{format}}}{scale}`{values} | query")
            }
        };
        let written = &text[mention.span.clone()];
        Some(format!("{{{{ with {looked_up} }}}}{SHOWN}{{{{ else }}}}{written}{{{{ end }}}}"))
    }
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
    fn a_text_says_the_threshold_in_force_in_its_own_units() {
        let analysis = crate::rules::compare::analyse("avg by (job) (used / size) > 0.8").expect("PromQL");
        let compared = &analysis.comparisons[0];
        let said = Said { literal: 0.8, unit: compared.measure.unit, hold: Span::ZERO };
        let text = "above 80 % of it";
        let mention = &mention::in_text(text, &said)[0];
        let template = |rule: &str, by: &[&str]| {
            let by: Vec<String> = by.iter().map(|by| (*by).to_owned()).collect();
            InForce::new(rule, compared, &by)?.template(text, mention)
        };
        let by_series = "printf `homeostat_threshold{rule=\"Over 80%%\", direction=\"upper\", job=%q, zone=%q} / 0.01` \
                         $labels.job $labels.zone | query";
        let of_all = "query `homeostat_threshold{rule=\"Over 80%\", direction=\"upper\"} / 0.01`";
        for (by, looked_up) in [(&["job", "zone"][..], by_series), (&[], of_all)] {
            let wanted = format!("{{{{ with {looked_up} }}}}{SHOWN}{{{{ else }}}}80{{{{ end }}}}");
            assert_eq!(template("Over 80%", by), Some(wanted));
        }
        assert_eq!(template("a`b", &[]), None, "a person is told");
        let compared_there = "{{ if gt $value 0.8 }}much{{ end }}";
        let mention = &mention::in_text(compared_there, &said)[0];
        let in_force = InForce::new("R", compared, &[]).expect("a name that can be said");
        assert_eq!(in_force.template(compared_there, mention), None, "no template holds another");
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
