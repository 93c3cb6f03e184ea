//! Laying one source of configuration over another, key by key, remembering for each key who spoke last.

use super::schema::{self, Shape};
use super::tree::{Node, Tree};
use super::{Config, ConfigError, Flags};
use homeostat::time::Span;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What commands read that talk to a daemon.
const OTHERS: [&str; 2] = ["HOMEOSTAT_URL", "HOMEOSTAT_TOKEN"];

/// Variables with this prefix are configuration: `HOMEOSTAT__SECTION__KEY`.
const PREFIX: &str = "HOMEOSTAT__";

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: u64 },
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Where each value came from, by dotted key (`states.healthy.analysis_depth`, `series[0].match`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Provenance(BTreeMap<String, Origin>);

impl Provenance {
    /// Where the value of `key` came from; of a section, where the first of its keys did that is no default.
    pub fn origin(&self, key: &str) -> &Origin {
        let inside = |known: &str| known.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '[']));
        let mut outer = Some(key);
        while let Some(path) = outer {
            if let Some(origin) = self.0.get(path) {
                return origin;
            }
            outer = path.rfind(['.', '[']).map(|at| &path[..at]);
        }
        self.0.iter().find(|(known, _)| inside(known)).map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// How many values were written somewhere, each part of a list by itself.
    pub fn written(&self) -> usize {
        let holds = |path: &str, key: &str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
        let written = |origin: &Origin| *origin != Origin::Default;
        let is_leaf = |path: &&String| !self.0.keys().any(|key| holds(path, key));
        self.0.iter().filter(|(_, origin)| written(origin)).map(|(path, _)| path).filter(is_leaf).count()
    }

    /// The same, as text for a message.
    pub fn place(&self, key: &str) -> String {
        match self.origin(key) {
            Origin::Default => "its default".to_owned(),
            origin => origin.to_string(),
        }
    }
}

/// How a variable of an earlier generation writes its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Legacy {
    Seconds,
    Count,
    Switch,
}

/// The earlier names that are still honoured, and the key each one sets.
const LEGACY: [(&str, &str, Legacy); 9] = [
    ("MAPEK_LEARNING_WINDOW", "learning.learning_window", Legacy::Seconds),
    ("MAPEK_OPTIMIZATION_INTERVAL", "learning.optimization_interval", Legacy::Seconds),
    ("MAPEK_MIN_DATA_POINTS", "learning.min_data_points", Legacy::Count),
    ("MAPEK_INITIAL_MONITORING", "states.healthy.monitoring_interval", Legacy::Seconds),
    ("MAPEK_INITIAL_PARALLELISM", "states.healthy.execution_parallelism", Legacy::Count),
    ("MAPEK_FEEDBACK_SIGNAL_HISTORY", "feedback.signal_history", Legacy::Count),
    ("MAPEK_FEEDBACK_ACTION_HISTORY", "feedback.action_history", Legacy::Count),
    ("MAPEK_ENABLE_PROMETHEUS", "prometheus.enabled", Legacy::Switch),
    ("MAPEK_ENABLE_TRACING", "tracing.enabled", Legacy::Switch),
];

/// Who is speaking, while a layer is laid.
#[derive(Clone, Copy)]
enum Speaker<'a> {
    File(&'a Path),
    Environment(&'a str),
    Flag(&'static str),
}

impl Speaker<'_> {
    fn origin(self, line: u64) -> Origin {
        match self {
            Speaker::File(path) => Origin::File { path: path.to_owned(), line },
            Speaker::Environment(name) => Origin::Environment(name.to_owned()),
            Speaker::Flag(name) => Origin::Flag(name),
        }
    }

    fn place(self, line: u64, column: u64) -> String {
        match self {
            Speaker::File(path) => format!("{}:{line}:{column}", path.display()),
            Speaker::Environment(name) => format!("environment {name}"),
            Speaker::Flag(name) => format!("flag {name}"),
        }
    }
}

pub struct Layers {
    values: Value,
    provenance: Provenance,
    /// The one default that depends on who runs the daemon.
    data: Option<PathBuf>,
}

impl Layers {
    /// The defaults alone.
    pub fn new() -> Layers {
        let values = serde_json::to_value(Config::default()).expect("a configuration of plain values is JSON");
        Layers { values, provenance: Provenance::default(), data: None }
    }

    /// Where data goes when no layer says so, or one says null.
    pub fn default_data(&mut self, path: PathBuf) {
        self.data = Some(path);
    }

    pub fn file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let node = Node::parse(text).map_err(|error| {
            let at = error.place.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
            ConfigError::Syntax { place: format!("{}{at}", path.display()), problem: error.problem }
        })?;
        self.lay(&node, "", schema::schema(), Speaker::File(path))
    }

    /// Lays the variables that are ours; answers with those that only look so.
    pub fn environment(&mut self, env: &BTreeMap<String, String>) -> Result<Vec<String>, ConfigError> {
        let ours = || env.iter().filter(|(name, _)| name.starts_with(PREFIX));
        // The new names alone, to see what they say of a key that an earlier name sets too.
        let mut alone = Layers::new();
        for (name, text) in ours() {
            alone.variable(name, text)?;
        }
        for (old, key, form) in LEGACY {
            let Some(text) = env.get(old) else { continue };
            let value = legacy(old, key, form, text)?;
            if let Origin::Environment(new) = alone.provenance.origin(key)
                && !same(get(&alone.values, key), Some(&value))
            {
                return Err(ConfigError::Conflict {
                    key: key.to_owned(),
                    old: old.to_owned(),
                    old_value: text.clone(),
                    new: new.clone(),
                    new_value: env.get(new).cloned().unwrap_or_default(),
                });
            }
            self.set(key, value, Origin::Environment(old.to_owned()));
        }
        for (name, text) in ours() {
            self.variable(name, text)?;
        }
        let mut ignored = Vec::new();
        for name in env.keys() {
            let new = name.starts_with("HOMEOSTAT_") && !name.starts_with(PREFIX) && !OTHERS.contains(&name.as_str());
            let old = name.starts_with("MAPEK_") && !LEGACY.iter().any(|(old, _, _)| old == name);
            if new || old {
                ignored.push(name.clone());
            }
        }
        Ok(ignored)
    }

    pub fn flags(&mut self, flags: &Flags) -> Result<(), ConfigError> {
        if let Some(listen) = &flags.listen {
            self.set("http.listen", json!(listen), Origin::Flag("--listen"));
        }
        if let Some(data) = &flags.data {
            let data = data.to_str().ok_or_else(|| ConfigError::Value {
                key: "data".to_owned(),
                problem: format!("{} is not Unicode; give a folder whose name is", data.display()),
                place: Speaker::Flag("--data").place(0, 0),
            })?;
            self.set("data", json!(data), Origin::Flag("--data"));
        }
        if let Some(timezone) = &flags.timezone {
            self.set("learning.timezone", json!(timezone), Origin::Flag("--timezone"));
        }
        if let Some(access) = &flags.access {
            let access = access.to_str().ok_or_else(|| ConfigError::Value {
                key: "http.access".to_owned(),
                problem: format!("{} is not Unicode; give a file whose name is", access.display()),
                place: Speaker::Flag("--access").place(0, 0),
            })?;
            self.set("http.access", json!(access), Origin::Flag("--access"));
        }
        if flags.insecure {
            self.set("http.insecure", json!(true), Origin::Flag("--insecure"));
        }
        Ok(())
    }

    /// The values as types.
    pub fn finish(self) -> Result<(Config, Provenance), ConfigError> {
        let Layers { values, mut provenance, data: default_data } = self;
        let Value::Object(mut daemon) = values else { unreachable!("the defaults are a section, and stay one") };
        // The engine's keys are whatever its own configuration has: one that is added there is read here.
        let engines = serde_json::to_value(homeostat::config::Config::default());
        let Ok(Value::Object(mut engine)) = engines else {
            unreachable!("a configuration of plain values is a section")
        };
        for (key, value) in &mut engine {
            *value = daemon.remove(key).unwrap_or_default();
        }
        let engine = typed(Value::Object(engine), &provenance)?;
        let mut daemon: super::Daemon = typed(Value::Object(daemon), &provenance)?;
        if daemon.data.is_none() {
            daemon.data = default_data;
            provenance.0.remove("data");
        }
        Ok((Config { engine, daemon }, provenance))
    }

    fn variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let speaker = Speaker::Environment(name);
        let words: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        let mut node = schema::schema();
        for word in &words {
            node = match schema::shape(node) {
                Shape::Section(keys) if keys.contains_key(word) => &keys[word],
                Shape::Section(_) | Shape::List(_) | Shape::Text | Shape::Plain => {
                    return Err(ConfigError::UnknownKey {
                        place: "the environment".to_owned(),
                        key: name.to_owned(),
                        nearest: variable(schema::nearest(&words.join("."))),
                    });
                }
            };
        }
        let tree = match schema::shape(node) {
            // Text is taken as it stands: `on` or `5` need no quotes here.
            Shape::Text => Node { line: 0, column: 0, tree: Tree::Scalar(text.into()) },
            Shape::Section(_) | Shape::List(_) | Shape::Plain => Node::parse(text)
                .map_err(|error| ConfigError::Syntax { place: speaker.place(0, 0), problem: error.problem })?,
        };
        self.lay(&tree, &words.join("."), node, speaker)
    }

    /// Lays what `node` says over the values at `path`, which `schema` describes.
    fn lay(&mut self, node: &Node, path: &str, schema: &Value, speaker: Speaker<'_>) -> Result<(), ConfigError> {
        match (&node.tree, schema::shape(schema)) {
            (Tree::Map(entries), Shape::Section(keys)) => {
                for entry in entries {
                    let inner = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    let Some(schema) = keys.get(&entry.key) else {
                        return Err(unknown(&inner, speaker.place(entry.line, entry.column)));
                    };
                    self.lay(&entry.node, &inner, schema, speaker)?;
                }
                Ok(())
            }
            // A section whose keys are all commented out.
            (Tree::Scalar(Value::Null), Shape::Section(_)) if !nullable(schema) => Ok(()),
            (Tree::Scalar(Value::Null), Shape::List(_)) => {
                self.set(path, json!([]), speaker.origin(node.line));
                Ok(())
            }
            _ => {
                let mut origins = BTreeMap::new();
                let value = value(node, path, schema, speaker, &mut origins)?;
                self.set(path, value, speaker.origin(node.line));
                self.provenance.0.extend(origins);
                Ok(())
            }
        }
    }

    fn set(&mut self, path: &str, value: Value, origin: Origin) {
        let inside = |known: &String| known.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
        self.provenance.0.retain(|known, _| !inside(known));
        self.provenance.0.insert(path.to_owned(), origin);
        let mut at = &mut self.values;
        for word in path.split('.') {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[word];
        }
        *at = value;
    }
}

fn unknown(key: &str, place: String) -> ConfigError {
    let mut plain = String::new();
    let mut inside = false;
    for c in key.chars() {
        if c == ']' {
            inside = false;
        }
        if !inside {
            plain.push(c);
        }
        if c == '[' {
            inside = true;
        }
    }
    ConfigError::UnknownKey { place, key: key.to_owned(), nearest: schema::nearest(&plain).to_owned() }
}

/// What `node` says as one value, its text and numbers brought to the kind the schema wants.
fn value(
    node: &Node,
    path: &str,
    schema: &Value,
    speaker: Speaker<'_>,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<Value, ConfigError> {
    let place = speaker.place(node.line, node.column);
    let refuse = |problem: &str| {
        let key = if path.is_empty() { "the configuration" } else { path };
        Err(ConfigError::Value { key: key.to_owned(), problem: problem.to_owned(), place: place.clone() })
    };
    match (&node.tree, schema::shape(schema)) {
        (Tree::Map(entries), Shape::Section(keys)) => {
            let mut map = Map::new();
            for entry in entries {
                let inner = format!("{path}.{}", entry.key);
                let Some(schema) = keys.get(&entry.key) else {
                    return Err(unknown(&inner, speaker.place(entry.line, entry.column)));
                };
                origins.insert(inner.clone(), speaker.origin(entry.line));
                map.insert(entry.key.clone(), value(&entry.node, &inner, schema, speaker, origins)?);
            }
            Ok(Value::Object(map))
        }
        (Tree::List(items), Shape::List(schema)) => {
            let mut list = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                let inner = format!("{path}[{at}]");
                origins.insert(inner.clone(), speaker.origin(item.line));
                list.push(value(item, &inner, schema, speaker, origins)?);
            }
            Ok(Value::Array(list))
        }
        // A person writes 5 where text is wanted; what is said of it then is said in the key's own words.
        (Tree::Scalar(Value::Number(number)), Shape::Text) => Ok(number.to_string().into()),
        (Tree::Scalar(Value::Bool(on)), Shape::Text) => Ok(on.to_string().into()),
        (Tree::Scalar(scalar), Shape::Text | Shape::Plain) => Ok(scalar.clone()),
        (Tree::Scalar(Value::Null), Shape::Section(_)) => Ok(Value::Null),
        (_, Shape::Section(keys)) => {
            let known: Vec<&str> = keys.keys().map(String::as_str).collect();
            refuse(&format!("this is a section with the keys {}", known.join(", ")))
        }
        (_, Shape::List(_)) => refuse("this is a list; start each of its items with a dash"),
        (Tree::List(_) | Tree::Map(_), Shape::Text | Shape::Plain) => {
            refuse("one value is wanted here, not a list or a section")
        }
    }
}

fn nullable(schema: &Value) -> bool {
    let null = |node: &Value| node.get("type").is_some_and(|name| name == "null");
    schema.get("anyOf").and_then(Value::as_array).is_some_and(|list| list.iter().any(null))
}

/// The variable that sets `key`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.split("[]").next().unwrap_or(key).to_ascii_uppercase().replace('.', "__"))
}

fn legacy(name: &str, key: &str, form: Legacy, text: &str) -> Result<Value, ConfigError> {
    let text = text.trim();
    let value = match form {
        Legacy::Seconds => text
            .parse::<f64>()
            .ok()
            .filter(|secs| (0.0..=1e10).contains(secs))
            .map(|secs| json!(Span::from_millis((secs * 1000.0).round() as u64)))
            .ok_or("a number of seconds, like 3600"),
        Legacy::Count => text.parse::<u64>().map(|count| json!(count)).map_err(|_| "a whole number"),
        Legacy::Switch => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(json!(true)),
            "false" | "0" | "no" | "off" => Ok(json!(false)),
            _ => Err("true or false"),
        },
    };
    value.map_err(|wanted| ConfigError::Value {
        key: key.to_owned(),
        problem: format!("`{text}` is not {wanted}"),
        place: Speaker::Environment(name).place(0, 0),
    })
}

/// Whether two values mean the same: 86400s is 1d.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    let span = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| Span::parse(text).ok());
    one == other || span(one).is_some() && span(one) == span(other)
}

fn get<'a>(values: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(values, |at, word| at.get(word))
}

fn typed<T: serde::de::DeserializeOwned>(values: Value, provenance: &Provenance) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(values).map_err(|error| {
        let key = error.path().to_string();
        let mut problem = error.inner().to_string();
        for (rust, plain) in [("usize", "a whole number, 0 or more"), ("u64", "a whole number, 0 or more")] {
            problem = problem.replace(rust, plain);
        }
        problem = problem.replace("u32", "a whole number from 0 to 4294967295").replace("f64", "a number");
        problem = problem.replace("a boolean", "true or false");
        let place = provenance.place(&key);
        ConfigError::Value { key, problem, place }
    })
}

/// Every key with its value and origin, in the order of the file; lists and sections are walked into.
pub fn entries<'a>(values: &'a Value, provenance: &'a Provenance) -> Vec<(String, &'a Value, &'a Origin)> {
    let mut found = Vec::new();
    walk(values, String::new(), &mut |key, value| found.push((key, value)));
    let with_origin = |(key, value): (String, &'a Value)| {
        let origin = provenance.origin(&key);
        (key, value, origin)
    };
    found.into_iter().map(with_origin).collect()
}

fn walk<'a>(value: &'a Value, path: String, found: &mut impl FnMut(String, &'a Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                walk(value, if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (at, value) in list.iter().enumerate() {
                walk(value, format!("{path}[{at}]"), found);
            }
        }
        value => found(path, value),
    }
}
