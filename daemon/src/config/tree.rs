//! YAML as a tree of plain values that know their place, so that a wrong key or value is named by line and column.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::collections::HashMap;

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
            // They are found below, where their names are known in full.
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
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
            Ok(spanned) => {
                let node = Node::from(spanned);
                node.twice("").map_or(Ok(node), Err)
            }
            Err(error) => {
                let place = error.location().map(|at| (at.line(), at.column())).filter(|(line, _)| *line > 0);
                let text = error.to_string();
                let text = text.lines().next().unwrap_or_default();
                let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
                Err(NotYaml { place, problem: format!("not YAML: {}", in_our_words(text)) })
            }
        }
    }

    /// The first key below `path` that stands twice in its section: the reader would keep one of the two, and nobody knows
    /// which one is meant.
    fn twice(&self, path: &str) -> Option<NotYaml> {
        match &self.tree {
            Tree::Scalar(_) => None,
            Tree::List(items) => items.iter().enumerate().find_map(|(at, item)| item.twice(&format!("{path}[{at}]"))),
            Tree::Map(entries) => {
                let mut lines: HashMap<&str, u64> = HashMap::with_capacity(entries.len());
                entries.iter().find_map(|entry| {
                    let key = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                    match lines.insert(&entry.key, entry.line) {
                        Some(first) => {
                            let problem = format!("`{key}` is there already, in line {first}; keep one of the two");
                            Some(NotYaml { place: Some((entry.line, entry.column)), problem })
                        }
                        None => entry.node.twice(&key),
                    }
                })
            }
        }
    }
}

/// What the reader of YAML says, by words it says it in, and what a person can do about it. More special words come first.
const WORDS: [(&str, &str); 21] = [
    ("unclosed bracket '['", "the [ here is never closed; close it with ]"),
    ("unclosed bracket '{'", "the { here is never closed; close it with }"),
    ("unclosed quote", "the quote that begins here does not end; close it"),
    ("tabs disallowed", "a tab indents this line; indent it with spaces"),
    ("found a tab", "a tab indents the next line; indent it with spaces"),
    (
        "mapping values are not allowed",
        "no `KEY: VALUE` can begin here; indent the line as those beside it, and put a text with a colon in quotes",
    ),
    ("unknown anchor", "nothing is called by the name after *; put a text that begins with * in quotes"),
    ("recursive references", "the name after * stands for something that holds itself; write the value out"),
    ("Documents {", "a second document begins here; remove the line with ---"),
    ("block collection", "this line belongs to no list; indent it as the lines beside it"),
    ("block mapping", "this line belongs to no section; indent it as the keys beside it"),
    ("flow mapping", "a comma is missing before this, or the } that closes the section"),
    ("flow sequence", "a comma is missing before this, or the ] that closes the list"),
    ("simple key expected", "this line is no `KEY: VALUE`; put a colon and a space behind the key"),
    ("misplaced bracket", "this bracket closes nothing; take it out, or put the text in quotes"),
    ("unexpected character", "no value begins with this character; put the text in quotes"),
    ("document start", "a line cannot begin with %; put the text in quotes"),
    ("unknown escape", "a \\ in double quotes means something else; write it twice, or use single quotes"),
    ("string", "a key is a word; put it in quotes when it looks like something else"),
    ("merge value", "<< takes a section, or a list of sections; write the keys out"),
    ("budget breached", "there is more in it than is read (values, levels, names with &); is it the right file?"),
];

/// What a reader of YAML says of a text, in words that tell what to do.
pub fn in_our_words(said: &str) -> String {
    if let Some((_, ours)) = WORDS.iter().find(|(theirs, _)| said.contains(theirs)) {
        return (*ours).to_owned();
    }
    if said.contains("non-finite") {
        return "this number cannot be used: every number here is finite".to_owned();
    }
    format!("{said}; put texts in quotes, and indent with spaces")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_yaml_is_told_in_plain_words_with_its_place() {
        for (text, place, words) in [
            ("a: [1, 2\n", (1, 4), "never closed; close it with ]"),
            ("a: {b: 1\n", (1, 4), "never closed; close it with }"),
            ("a: \"x\n", (1, 4), "quote that begins here does not end"),
            ("a:\n\tb: 1\n", (2, 2), "indent it with spaces"),
            ("a: 1\n b: 2\n", (2, 3), "indent the line as those beside it"),
            ("a: *x\n", (1, 4), "put a text that begins with * in quotes"),
            ("a: &x [*x]\n", (1, 8), "write the value out"),
            ("a: 1\n---\nb: 2\n", (2, 1), "remove the line with ---"),
            ("- a\nb: 1\n", (2, 1), "belongs to no list"),
            ("a:\n  - 1\n - 2\n", (3, 2), "belongs to no section"),
            ("host: {interval: 5s\nfiles: []\n", (2, 6), "a comma is missing before this"),
            ("a: |\nb", (2, 1), "no `KEY: VALUE`"),
            ("a: ]\n", (1, 4), "closes nothing"),
            ("a: @x\n", (1, 4), "put the text in quotes"),
            ("%x\n", (2, 1), "cannot begin with %"),
            ("a: \"\\q\"\n", (1, 4), "use single quotes"),
            ("~: 2\n", (1, 1), "a key is a word"),
            ("<<: 1\n", (1, 5), "write the keys out"),
            ("a: .nan\n", (1, 4), "every number here is finite"),
        ] {
            let error = Node::parse(text).expect_err(text);
            assert_eq!(error.place, Some(place), "{text:?}: {error:?}");
            assert!(error.problem.starts_with("not YAML: "), "{text:?}: {error:?}");
            assert!(error.problem.contains(words), "{text:?}: {error:?}");
            assert!(!error.problem.contains(" at line "), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named_in_full_with_both_lines() {
        for (text, place, key, first) in [
            ("a: 1\nb: 2\na: 3\n", (3, 1), "`a`", "line 1"),
            ("learning:\n  sensitivity: 2\n  sensitivity: 3\n", (3, 3), "`learning.sensitivity`", "line 2"),
            ("files:\n  - {path: x}\n  - {path: y, path: z}\n", (3, 15), "`files[1].path`", "line 3"),
        ] {
            let error = Node::parse(text).expect_err(text);
            assert_eq!(error.place, Some(place), "{text:?}: {error:?}");
            assert!([key, first, "keep one"].iter().all(|word| error.problem.contains(word)), "{text:?}: {error:?}");
        }
        assert!(Node::parse("a: {x: 1}\nb: {x: 1}\n").is_ok());
    }
}
