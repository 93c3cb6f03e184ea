//! YAML as a tree whose scalars know their bytes: read to be changed in place, byte for byte.
//!
//! Anchors are kept as what they are: an alias is a reference to a node, so that what several rules share is known to be
//! shared, and a text made to explode does not.

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};
use std::collections::HashMap;
use std::ops::Range;

/// Values in one file: far above any that a person wrote.
const NODES_MAX: usize = 2_000_000;

pub type NodeId = usize;

/// All documents of one file.
#[derive(Debug)]
pub struct Yaml {
    nodes: Vec<Node>,
    /// The top of each document.
    pub documents: Vec<NodeId>,
}

#[derive(Debug)]
pub struct Node {
    /// Without its anchor and tag; of a section or list as far as its last value.
    pub span: Range<usize>,
    /// Counts from 1.
    pub line: usize,
    /// Counts from 0, in characters.
    pub column: usize,
    /// Its name after `&`, where it has one.
    pub anchor: Option<String>,
    /// How many aliases stand for it.
    pub aliases: usize,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<NodeId>),
    Map {
        flow: bool,
        entries: Vec<Entry>,
    },
    /// `*name`, by the node it stands for.
    Alias(NodeId),
}

#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub key: NodeId,
    pub value: NodeId,
}

/// A text as it is meant, and as it is written.
#[derive(Clone, PartialEq, Debug)]
pub struct Scalar {
    pub text: String,
    pub style: ScalarStyle,
    /// The file's bytes it was read from, with quotes and signs.
    pub raw: Range<usize>,
}

/// Why a text is not YAML, and the line, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotYaml {
    pub line: usize,
    pub problem: String,
}

struct Open {
    node: NodeId,
    anchor: usize,
    key: Option<NodeId>,
}

impl Yaml {
    pub fn parse(text: &str) -> Result<Yaml, NotYaml> {
        let options = granit_parser::options! {
            emit_anchor_events: true,
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: 60,
            block_nesting_limit: 60,
        };
        let mut yaml = Yaml { nodes: Vec::new(), documents: Vec::new() };
        let mut anchors: HashMap<usize, NodeId> = HashMap::new();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| not_yaml(&error))?;
            let (value, anchor) = match event {
                Event::Scalar(meant, style, anchor, _) => {
                    (Value::Scalar(Scalar { text: meant.into_owned(), style, raw: range(&span) }), anchor)
                }
                Event::SequenceStart(_, anchor, _) => (Value::List(Vec::new()), anchor),
                Event::MappingStart(style, anchor, _) => {
                    (Value::Map { flow: style == StructureStyle::Flow, entries: Vec::new() }, anchor)
                }
                Event::Alias(id) => {
                    let Some(target) = anchors.get(&id).copied() else {
                        let problem = "the name after * stands for something that holds itself; write the value out";
                        return Err(NotYaml { line: span.start.line(), problem: problem.to_owned() });
                    };
                    yaml.nodes[target].aliases += 1;
                    (Value::Alias(target), 0)
                }
                Event::UnresolvedAlias(name) => {
                    let problem = format!("nothing is called `{name}`; put a text that begins with * in quotes");
                    return Err(NotYaml { line: span.start.line(), problem });
                }
                Event::Anchor(_, name) => {
                    if let Some(last) = yaml.nodes.last_mut() {
                        last.anchor = Some(name.into_owned());
                    }
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(closed) = open.pop() {
                        let end = range(&span).end;
                        let node = &mut yaml.nodes[closed.node];
                        node.span.end = node.span.end.max(end);
                        if closed.anchor > 0 {
                            anchors.insert(closed.anchor, closed.node);
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let id = yaml.nodes.len();
            if id >= NODES_MAX {
                let problem = format!("there are more than {NODES_MAX} values in it; is it the right file?");
                return Err(NotYaml { line: span.start.line(), problem });
            }
            let opens = matches!(value, Value::List(_) | Value::Map { .. });
            let (line, column) = (span.start.line(), span.start.col());
            yaml.nodes.push(Node { span: range(&span), line, column, anchor: None, aliases: 0, value });
            yaml.place(id, &mut open);
            if opens {
                open.push(Open { node: id, anchor, key: None });
            } else if anchor > 0 {
                anchors.insert(anchor, id);
            }
        }
        Ok(yaml)
    }

    /// Hangs a node below the one that is open.
    fn place(&mut self, id: NodeId, open: &mut [Open]) {
        let Some(parent) = open.last_mut() else {
            self.documents.push(id);
            return;
        };
        match &mut self.nodes[parent.node].value {
            Value::List(items) => items.push(id),
            Value::Map { entries, .. } => match parent.key.take() {
                None => parent.key = Some(id),
                Some(key) => entries.push(Entry { key, value: id }),
            },
            Value::Scalar(_) | Value::Alias(_) => {}
        }
    }

    /// The node itself, also where it is an alias.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// What the node stands for.
    pub fn target(&self, mut id: NodeId) -> NodeId {
        while let Value::Alias(target) = self.nodes[id].value {
            id = target;
        }
        id
    }

    pub fn scalar(&self, id: NodeId) -> Option<&Scalar> {
        match &self.nodes[self.target(id)].value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub fn text(&self, id: NodeId) -> Option<&str> {
        self.scalar(id).map(|scalar| scalar.text.as_str())
    }

    /// Whether nothing is said: an empty value, `null` or `~`.
    pub fn is_null(&self, id: NodeId) -> bool {
        self.scalar(id).is_some_and(|scalar| {
            scalar.style == ScalarStyle::Plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
        })
    }

    pub fn list(&self, id: NodeId) -> Option<&[NodeId]> {
        match &self.nodes[self.target(id)].value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn entries(&self, id: NodeId) -> Option<&[Entry]> {
        match &self.nodes[self.target(id)].value {
            Value::Map { entries, .. } => Some(entries),
            _ => None,
        }
    }

    /// The value of a key that stands in the section itself.
    pub fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.entries(id)?.iter().find(|entry| self.text(entry.key) == Some(key)).map(|entry| entry.value)
    }
}

fn range(span: &Span) -> Range<usize> {
    // A text that is read whole has bytes for every mark.
    let byte = |mark: &granit_parser::Marker| mark.byte_offset().unwrap_or_default();
    let start = byte(&span.start);
    start..byte(&span.end).max(start)
}

fn not_yaml(error: &granit_parser::ScanError) -> NotYaml {
    NotYaml { line: error.marker().line().max(1), problem: crate::config::tree::in_our_words(&error.info()) }
}
