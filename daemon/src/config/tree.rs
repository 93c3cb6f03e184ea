//! YAML as a tree of plain values that know their place, so that a wrong key or value is named by line and column.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// A value and where it starts; both count from 1.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub line: u64,
    pub column: u64,
    pub tree: Tree,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Tree {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    pub key: String,
    pub line: u64,
    pub column: u64,
    pub node: Node,
}

/// Why a text is not the YAML of a configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct NotYaml {
    /// None: not at one place.
    pub place: Option<(u64, u64)>,
    pub problem: String,
}

impl Node {
    /// A text that a person writes.
    pub fn parse(text: &str) -> Result<Node, NotYaml> {
        Node::parse_within(text, 100_000)
    }

    /// A text of so many values at most.
    pub fn parse_within(text: &str, nodes_max: usize) -> Result<Node, NotYaml> {
        // What is meant stays far below these; a text made to exhaust memory or stack does not.
        let options = serde_saphyr::options! {
            with_snippet: false,
            strict_booleans: true,
            budget: serde_saphyr::budget! {
                max_depth: 32,
                max_nodes: nodes_max,
                max_events: 4 * nodes_max,
                max_documents: 1,
                max_anchors: 100,
                max_aliases: 100,
                max_merge_keys: 100,
                max_recorded_anchor_events: 10_000,
                max_recorded_anchor_bytes: 1 << 20,
                max_total_scalar_bytes: 20 * nodes_max,
            },
        };
        match serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options) {
            Ok(spanned) => Ok(spanned.into()),
            Err(error) => {
                let place = error.location().map(|at| (at.line(), at.column())).filter(|(line, _)| *line > 0);
                let problem = error.to_string().lines().next().unwrap_or("not readable").to_owned();
                Err(NotYaml { place, problem })
            }
        }
    }
}

/// The values without their places.
impl From<Tree> for Value {
    fn from(tree: Tree) -> Value {
        match tree {
            Tree::Scalar(value) => value,
            Tree::List(items) => items.into_iter().map(|item| Value::from(item.tree)).collect(),
            Tree::Map(entries) => entries.into_iter().map(|entry| (entry.key, Value::from(entry.node.tree))).collect(),
        }
    }
}

impl From<Spanned<Tree>> for Node {
    fn from(spanned: Spanned<Tree>) -> Node {
        Node { line: spanned.referenced.line(), column: spanned.referenced.column(), tree: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value, a list or a section")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(TreeVisitor)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => Ok(Tree::Scalar(number.into())),
            None => Err(E::custom(format!("{value} cannot be used: every number here is finite"))),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = from.next_element::<Spanned<Tree>>()? {
            list.push(item.into());
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = from.next_key::<Spanned<String>>()? {
            let node = from.next_value::<Spanned<Tree>>()?.into();
            map.push(Entry { line: key.referenced.line(), column: key.referenced.column(), key: key.value, node });
        }
        Ok(Tree::Map(map))
    }
}
