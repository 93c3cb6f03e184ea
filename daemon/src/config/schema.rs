//! The configuration's JSON Schema, derived from the types, and the questions the layers ask of it: is there such a
//! key, what kind of value does it take, and which known key is nearest to an unknown one.

use serde_json::{Map, Value};
use std::sync::OnceLock;

/// What a key takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape<'a> {
    Section(&'a Map<String, Value>),
    List(&'a Value),
    Text,
    /// A number, true or false, or null.
    Plain,
}

/// The schema of the whole file.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = schemars::schema_for!(super::Config).to_value();
        if let Some(top) = schema.as_object_mut() {
            top.insert("title".to_owned(), "Configuration of homeostat".into());
            top.insert("description".to_owned(), "Every key has a default; unknown keys are refused.".into());
            top.remove("unevaluatedProperties");
        }
        close(&mut schema);
        schema
    })
}

/// Says of every section that no other keys are allowed, as the layers see to.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) && map.get("type").is_some() {
                map.insert("additionalProperties".to_owned(), false.into());
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// What the key described by `node` takes.
pub fn shape(node: &Value) -> Shape<'_> {
    let node = resolve(node);
    if let Some(properties) = node.get("properties").and_then(Value::as_object) {
        return Shape::Section(properties);
    }
    let is = |wanted: &str| match node.get("type") {
        Some(Value::String(name)) => name == wanted,
        Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
        _ => false,
    };
    match node.get("items") {
        Some(items) if is("array") => Shape::List(items),
        _ if is("string") || node.get("enum").is_some() => Shape::Text,
        _ => Shape::Plain,
    }
}

/// Follows references, and of alternatives takes the one that is not null.
fn resolve(node: &Value) -> &Value {
    if let Some(name) = node.get("$ref").and_then(Value::as_str) {
        let target = name.strip_prefix("#/$defs/").and_then(|name| schema().get("$defs")?.get(name));
        return target.map_or(node, resolve);
    }
    let null = |node: &&Value| node.get("type").is_none_or(|name| name != "null");
    for word in ["anyOf", "oneOf"] {
        if let Some(found) = node.get(word).and_then(Value::as_array).and_then(|list| list.iter().find(null)) {
            return resolve(found);
        }
    }
    node
}

/// Says null where a section leaves a key out because it has no value: left out in a file, it would be the default.
pub fn say_null(values: &mut Value, node: &Value) {
    if let (Value::Object(map), Shape::Section(properties)) = (values, shape(node)) {
        for (name, child) in properties {
            say_null(map.entry(name.as_str()).or_insert(Value::Null), child);
        }
    }
}

/// Every key that can be set, dotted; elements of a list stand under `[]`.
pub fn known_keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut keys = Vec::new();
        collect(schema(), "", &mut keys);
        keys
    })
}

fn collect(node: &Value, path: &str, keys: &mut Vec<String>) {
    match shape(node) {
        Shape::Section(properties) => {
            for (name, child) in properties {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                keys.push(path.clone());
                collect(child, &path, keys);
            }
        }
        Shape::List(items) => collect(items, &format!("{path}[]"), keys),
        Shape::Text | Shape::Plain => {}
    }
}

/// The known key most like `key` (dotted): the least edits of the whole, or of the last word where that alone tells.
pub fn nearest(key: &str) -> &'static str {
    let last = |path: &str| path.rsplit('.').next().unwrap_or("").to_owned();
    let word = last(key);
    let distance = |known: &String| {
        let whole = strsim::damerau_levenshtein(known, key);
        // Right word, wrong section: one more than a slip of the same size in the right section.
        whole.min(strsim::damerau_levenshtein(&last(known), &word) + 2)
    };
    known_keys().iter().min_by_key(|known| (distance(known), strsim::damerau_levenshtein(known, key))).map_or("", |k| k)
}
