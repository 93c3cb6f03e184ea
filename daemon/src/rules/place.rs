//! Where a rule's `for` is written: over the one that is there, or on a line of its own below `expr`, as its neighbours are.

use super::file::Fixed;
use super::scalar::Places;
use super::yaml::{Entry, NodeId, Value, Yaml};
use granit_parser::ScalarStyle;
use std::ops::Range;

/// A duration is written over `span`, with what stands before and behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForPlace {
    pub span: Range<usize>,
    pub before: String,
    pub after: String,
}

/// For the rule at `rule`, which is a section of its own; `hold`: its `for`, if it has one.
pub(super) fn for_place(yaml: &Yaml, text: &str, rule: NodeId, hold: Option<NodeId>) -> Result<ForPlace, Fixed> {
    let line = yaml.node(rule).line;
    let unknown = Fixed::Style { style: "rule", line };
    if let Some(scalar) = hold.and_then(|hold| yaml.scalar(hold)) {
        let (start, end) = (scalar.raw.start, scalar.raw.end);
        return match scalar.style {
            // Nothing stands after the colon: a space does.
            ScalarStyle::Plain if start == end => {
                let key = key_of(yaml, rule, "for").ok_or(unknown)?;
                let behind = yaml.node(key).span.end;
                let colon =
                    text[behind..].find(':').map(|at| behind + at + 1).ok_or(Fixed::Style { style: "rule", line })?;
                Ok(ForPlace { span: colon..colon, before: " ".to_owned(), after: String::new() })
            }
            ScalarStyle::Plain => Ok(ForPlace { span: start..end, before: String::new(), after: String::new() }),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if end - start >= 2 => {
                Ok(ForPlace { span: start + 1..end - 1, before: String::new(), after: String::new() })
            }
            _ => Err(Fixed::Style { style: "block of `for`", line: yaml.node(rule).line }),
        };
    }
    let Value::Map { flow, entries } = &yaml.node(rule).value else { return Err(unknown) };
    let own_expr = entries.iter().find(|entry| yaml.text(entry.key) == Some("expr"));
    // A rule that inherits its `expr` has other keys of its own.
    let Some(entry) = own_expr.or_else(|| entries.last()) else { return Err(unknown) };
    let end = end_of(yaml, text, entry).ok_or_else(|| unknown.clone())?;
    let key = yaml.node(entry.key);
    let quote = match text[key.span.clone()].chars().next() {
        Some(quote @ ('"' | '\'')) => quote.to_string(),
        _ => String::new(),
    };
    if *flow {
        let before = format!(", {quote}for{quote}: {quote}");
        return Ok(ForPlace { span: end..end, before, after: quote });
    }
    // Up to the end of its last line, behind a comment.
    let rest = &text[end..];
    let len = rest.find('\n').unwrap_or(rest.len());
    let eol = if rest[..len].ends_with('\r') { "\r\n" } else { "\n" };
    let at = end + rest[..len].trim_end_matches('\r').len();
    let eol = if len == rest.len() && text.contains("\r\n") { "\r\n" } else { eol };
    let indent = " ".repeat(key.column);
    Ok(ForPlace { span: at..at, before: format!("{eol}{indent}{quote}for{quote}: {quote}"), after: quote })
}

fn key_of(yaml: &Yaml, rule: NodeId, key: &str) -> Option<NodeId> {
    yaml.entries(rule)?.iter().find(|entry| yaml.text(entry.key) == Some(key)).map(|entry| entry.key)
}

/// The byte behind an entry's value.
fn end_of(yaml: &Yaml, text: &str, entry: &Entry) -> Option<usize> {
    let node = yaml.node(entry.value);
    match &node.value {
        Value::Scalar(scalar) if matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded) => {
            Places::of(text, scalar)?.end()
        }
        Value::Scalar(_) | Value::Alias(_) => Some(node.span.end),
        // Sections and lists end where the parser saw something else begin.
        Value::List(_) | Value::Map { .. } => Some(node.span.start + text[node.span.clone()].trim_end().len()),
    }
}
