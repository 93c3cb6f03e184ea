//! Rules as a live server tells them at `/api/v1/rules`.
//!
//! They are read and judged like those of files. They cannot be changed: what the server says is its own spelling of them.

use super::file::{Field, Fixed, Group, Problem, Rule, RuleFile, RuleKind};
use homeostat::time::Span;
use serde_json::Value;

/// What the server answered, by the files it read its groups from.
pub fn parse(answer: &str) -> Result<Vec<RuleFile>, String> {
    let wrong = |what: &str| format!("its answer to /api/v1/rules is not what Prometheus says: {what}");
    let answer: Value = serde_json::from_str(answer).map_err(|error| wrong(&error.to_string()))?;
    if answer["status"] != "success" {
        let said = answer["error"].as_str().unwrap_or("no `status: success`");
        return Err(wrong(&said.chars().take(200).collect::<String>()));
    }
    let groups = answer["data"]["groups"].as_array().ok_or_else(|| wrong("no list of groups"))?;
    let mut files: Vec<RuleFile> = Vec::new();
    for told in groups {
        let name = told["file"].as_str().unwrap_or("(no file)");
        let at = files.iter().position(|file| file.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            files.push(RuleFile { name, text: String::new(), groups: Vec::new(), problems: Vec::new() });
            files.len() - 1
        });
        let mut group = Group {
            name: told["name"].as_str().unwrap_or_default().to_owned(),
            interval: seconds(&told["interval"]).filter(|interval| *interval > Span::ZERO),
            limit: told["limit"].as_u64().unwrap_or(0),
            rules: Vec::new(),
        };
        for one in told["rules"].as_array().map(Vec::as_slice).unwrap_or_default() {
            match rule(one) {
                Some(rule) => group.rules.push(rule),
                None => {
                    let rule = one["name"].as_str().map(str::to_owned);
                    let problem = format!("a rule of group `{}` has no name or no query", group.name);
                    files[at].problems.push(Problem { line: 0, rule, problem });
                }
            }
        }
        files[at].groups.push(group);
    }
    Ok(files)
}

fn rule(told: &Value) -> Option<Rule> {
    let kind = match told["type"].as_str()? {
        "alerting" => RuleKind::Alert,
        "recording" => RuleKind::Record,
        _ => return None,
    };
    let field = |text: &str| Field { text: text.to_owned(), line: 0, places: Err(Fixed::Live) };
    let texts = |section: &Value| -> Vec<(String, Field)> {
        let section = section.as_object().into_iter().flatten();
        section.filter_map(|(name, value)| Some((name.clone(), field(value.as_str()?)))).collect()
    };
    let hold = seconds(&told["duration"]).unwrap_or(Span::ZERO);
    Some(Rule {
        line: 0,
        kind,
        name: field(told["name"].as_str()?),
        expr: field(told["query"].as_str()?),
        hold,
        hold_field: (hold > Span::ZERO).then(|| field(&hold.to_string())),
        hold_place: Err(Fixed::Live),
        keep_firing_for: seconds(&told["keepFiringFor"]).unwrap_or(Span::ZERO),
        labels: texts(&told["labels"]),
        annotations: texts(&told["annotations"]),
    })
}

fn seconds(value: &Value) -> Option<Span> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=1e10).contains(seconds))?;
    Some(Span::from_millis((seconds * 1000.0).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_rules_are_read_by_the_files_they_come_from() {
        let answer = r#"{"status": "success", "data": {"groups": [
            {"name": "a", "file": "/etc/a.yml", "interval": 30, "limit": 0, "rules": [
                {"type": "alerting", "name": "A", "query": "a > 5", "duration": 300, "keepFiringFor": 60,
                 "labels": {"severity": "page"}, "annotations": {"summary": "above 5"}, "alerts": [], "health": "ok"},
                {"type": "recording", "name": "b:c", "query": "sum(b)"},
                {"type": "alerting", "name": "Broken"}]},
            {"name": "b", "file": "/etc/b.yml", "interval": 0.5, "rules": []}]}}"#;
        let files = parse(answer).expect("an answer");
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["/etc/a.yml", "/etc/b.yml"]);
        let group = &files[0].groups[0];
        assert_eq!(
            (group.interval, files[1].groups[0].interval),
            (Some(Span::from_secs(30)), Some(Span::from_millis(500)))
        );
        let rule = &group.rules[0];
        assert_eq!((rule.hold, rule.keep_firing_for), (Span::minutes(5), Span::minutes(1)));
        assert_eq!(rule.label("severity"), Some("page"));
        assert_eq!(rule.expr.span(0..1), Err(Fixed::Live));
        assert_eq!((group.rules.len(), files[0].problems.len()), (2, 1));
        assert_eq!(files[0].problems[0].rule.as_deref(), Some("Broken"));
    }

    #[test]
    fn other_answers_are_refused_in_words() {
        for (answer, words) in [
            ("<html>", "not what Prometheus says"),
            (r#"{"status":"error","error":"no"}"#, ": no"),
            (r#"{"status":"success","data":[]}"#, "no list of groups"),
            (r#"{"status":"succ"#, "not what Prometheus says"),
        ] {
            let error = parse(answer).expect_err(answer);
            assert!(error.contains(words), "{error}");
        }
    }
}
