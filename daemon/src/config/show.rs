//! The configuration in force, each value with where it came from: as YAML that can be used as a file, or as JSON.

use super::layers::{Origin, Provenance, entries};
use super::tree::Tree;
use super::{Config, Loaded, schema};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Column at which the comments start, where the value leaves room.
const COMMENT_COLUMN: usize = 48;

/// The dotted keys whose values differ between the two, in the order of the file.
pub fn changed(before: &Config, after: &Config) -> Vec<String> {
    let (before, after) = (plain(before), plain(after));
    let unset = Provenance::default();
    let before: BTreeMap<String, &Value> =
        entries(&before, &unset).into_iter().map(|(key, value, _)| (key, value)).collect();
    let after = entries(&after, &unset);
    let mut keys: Vec<String> =
        after.iter().filter(|(key, value, _)| before.get(key) != Some(value)).map(|(key, _, _)| key.clone()).collect();
    let left: BTreeSet<&String> = after.iter().map(|(key, _, _)| key).collect();
    keys.extend(before.into_keys().filter(|key| !left.contains(key)));
    keys
}

fn plain(config: &Config) -> Value {
    serde_json::to_value(config).expect("a configuration of plain values is JSON")
}

impl Loaded {
    /// YAML; every value carries its origin as a comment. Read again, it gives the same configuration.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        section(&self.values(), "", 0, &self.provenance, &mut text);
        text
    }

    /// `config` as in the file, and `origin` by dotted key.
    pub fn to_json(&self) -> Value {
        let values = self.values();
        let origin: Map<String, Value> =
            self.entries().into_iter().map(|(key, _, origin)| (key, origin.to_string().into())).collect();
        json!({ "config": values, "origin": origin })
    }

    /// Every dotted key, its value as text, and where that came from.
    pub fn entries(&self) -> Vec<(String, String, Origin)> {
        let values = self.values();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        entries(&values, &self.provenance)
            .into_iter()
            .map(|(key, value, origin)| (key, text(value), origin.clone()))
            .collect()
    }

    fn values(&self) -> Value {
        let mut values = plain(&self.config);
        schema::say_null(&mut values, schema::schema());
        values
    }
}

fn section(value: &Value, path: &str, depth: usize, provenance: &Provenance, text: &mut String) {
    let Value::Object(map) = value else { return };
    for (name, value) in map {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                apart(depth, text);
                let _ = writeln!(text, "{indent}{name}:");
                section(value, &path, depth + 1, provenance, text);
            }
            Value::Array(items) if !items.is_empty() => {
                apart(depth, text);
                let _ = writeln!(text, "{indent}{name}:");
                for (at, item) in items.iter().enumerate() {
                    let mut lines = String::new();
                    let path = format!("{path}[{at}]");
                    match item {
                        Value::Object(_) => section(item, &path, depth + 2, provenance, &mut lines),
                        item => line(&format!("{indent}    {}", scalar(item)), provenance.origin(&path), &mut lines),
                    }
                    let inside = lines.get(indent.len() + 4..).unwrap_or("");
                    let _ = write!(text, "{indent}  - {inside}");
                }
            }
            value => line(&format!("{indent}{name}: {}", scalar(value)), provenance.origin(&path), text),
        }
    }
}

/// An empty line before what stands at the top.
fn apart(depth: usize, text: &mut String) {
    if depth == 0 && !text.is_empty() {
        text.push('\n');
    }
}

fn line(said: &str, origin: &Origin, text: &mut String) {
    // A line break in a comment would end it.
    let origin = origin.to_string().replace(char::is_control, " ");
    let _ = writeln!(text, "{said:<COMMENT_COLUMN$}  # {origin}");
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(said) => {
            // Plain where a reader takes it for the same text; quoted as JSON, which YAML reads, everywhere else.
            let plain = said.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
                && said.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
                && super::tree::Node::parse(said).is_ok_and(|node| node.tree == Tree::Scalar(value.clone()));
            if plain { said.clone() } else { value.to_string() }
        }
        value => value.to_string(),
    }
}
