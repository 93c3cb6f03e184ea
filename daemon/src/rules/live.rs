//! Rules as a live server tells them at `/api/v1/rules`.
//!
//! They are read and judged like those of files. They cannot be changed: what the server says is its own spelling of them.

use super::file::{Field, Fixed, Group, Rule, RuleFile, RuleKind, limit_of};
use crate::prometheus::{LiveRule, LiveRules};
use homeostat::time::Span;
use std::collections::BTreeMap;

/// What the server answered, by the files it read its groups from.
pub fn files(live: &LiveRules) -> Vec<RuleFile> {
    let mut files: Vec<RuleFile> = Vec::new();
    for told in &live.groups {
        let name = if told.file.is_empty() { "(no file)" } else { &told.file };
        let at = files.iter().position(|file| file.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            files.push(RuleFile { name, text: String::new(), groups: Vec::new(), problems: Vec::new() });
            files.len() - 1
        });
        files[at].groups.push(Group {
            name: told.name.clone(),
            interval: Some(seconds(told.interval)).filter(|interval| *interval > Span::ZERO),
            limit: limit_of(told.limit),
            rules: told.rules.iter().filter_map(rule).collect(),
        });
    }
    files
}

fn rule(told: &LiveRule) -> Option<Rule> {
    let kind = match told.kind.as_str() {
        "alerting" => RuleKind::Alert,
        "recording" => RuleKind::Record,
        _ => return None,
    };
    let field = |text: &str| Field { text: text.to_owned(), line: 0, places: Err(Fixed::Live) };
    let texts =
        |section: &BTreeMap<String, String>| section.iter().map(|(name, value)| (name.clone(), field(value))).collect();
    Some(Rule {
        line: 0,
        kind,
        name: field(&told.name),
        expr: field(&told.query),
        hold: seconds(told.duration),
        hold_place: Err(Fixed::Live),
        keep_firing_for: seconds(told.keep_firing_for),
        labels: texts(&told.labels),
        annotations: texts(&told.annotations),
    })
}

fn seconds(value: f64) -> Span {
    let inside = (0.0..=1e10).contains(&value);
    Span::from_millis(if inside { (value * 1000.0).round() as u64 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_rules_are_read_by_the_files_they_come_from() {
        let answer = r#"{"groups": [
            {"name": "a", "file": "/etc/a.yml", "interval": 30, "limit": 4, "rules": [
                {"type": "alerting", "name": "A", "query": "a > 5", "duration": 300, "keepFiringFor": 60,
                 "labels": {"severity": "page"}, "annotations": {"summary": "above 5"}, "alerts": [], "health": "ok"},
                {"type": "recording", "name": "b:c", "query": "sum(b)"},
                {"type": "alerting"},
                {"type": "mystery", "name": "x", "query": "x"}]},
            {"name": "b", "file": "/etc/b.yml", "interval": 0.5, "rules": []},
            {"name": "c", "file": "/etc/a.yml", "interval": -1, "rules": []}]}"#;
        let files = files(&serde_json::from_str(answer).expect("an answer"));
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["/etc/a.yml", "/etc/b.yml"]);
        let group = &files[0].groups[0];
        assert_eq!((group.interval, group.limit), (Some(Span::from_secs(30)), Some(4)));
        assert_eq!((files[1].groups[0].interval, files[0].groups[1].interval), (Some(Span::from_millis(500)), None));
        // One that has neither a name nor a query hides no other: it is left to whoever judges rules.
        assert_eq!(group.rules.len(), 3);
        let rule = &group.rules[0];
        assert_eq!((rule.hold, rule.keep_firing_for), (Span::minutes(5), Span::minutes(1)));
        assert_eq!(rule.label("severity"), Some("page"));
        assert_eq!(rule.expr.span(0..1), Err(Fixed::Live));
    }
}
