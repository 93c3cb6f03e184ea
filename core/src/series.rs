//! What a series is called: a name with labels, as text in Prometheus' way, and selectors over such names.
//!
//! The canonical text (`NAME{a="1",b="2"}`, labels sorted) is the identity that everything outside the engine uses;
//! its hash says which shard holds the series, and is fixed for ever.

use crate::shared_text::read;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// The longest canonical text a series may have, in bytes; longer ones are refused at the door.
pub const NAME_LEN_MAX: usize = 8192;

/// The canonical text of a series. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesName(Arc<str>);

/// Why a text names no series, or selects none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    #[error("a series needs a name or a label")]
    Empty,
    #[error("`{text}` is not a series (column {column}: {wanted}); write NAME{{label=\"value\"}}")]
    Syntax { text: String, column: usize, wanted: &'static str },
    #[error("label `{label}` of `{text}` is given twice")]
    Twice { text: String, label: String },
    #[error("`{pattern}` is not a regular expression: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("the series' text has {len} bytes; at most {NAME_LEN_MAX} are allowed")]
    TooLong { len: usize },
}

impl SeriesName {
    /// From text as people write it: `NAME`, `NAME{label="value",…}` or `{label="value"}`; labels in any order.
    pub fn parse(text: &str) -> Result<SeriesName, NameError> {
        // What was printed is read far more often than what people wrote.
        if is_canonical(text) {
            return Ok(SeriesName(text.into()));
        }
        let (name, matchers) = Parser::new(text).all()?;
        let mut labels = Vec::with_capacity(matchers.len());
        for (label, op, value) in matchers {
            if op != Op::Equal {
                return Err(NameError::Syntax {
                    text: text.to_owned(),
                    column: 1,
                    wanted: "only = may stand between label and value",
                });
            }
            labels.push((label, value));
        }
        SeriesName::new(&name, labels)
    }

    /// From a metric's name (may be empty) and its labels, in any order. Labels with an empty value are left out, as
    /// Prometheus does.
    pub fn new(name: &str, labels: impl IntoIterator<Item = (String, String)>) -> Result<SeriesName, NameError> {
        let mut labels: Vec<(String, String)> = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        labels.sort();
        let mut text = String::with_capacity(name.len() + labels.len() * 16);
        let plain = is_plain(name);
        if plain {
            text.push_str(name);
        }
        if !plain || !labels.is_empty() {
            text.push('{');
            if !plain {
                push_quoted(&mut text, name);
            }
            for (at, (label, value)) in labels.iter().enumerate() {
                if at > 0 && labels[at - 1].0 == *label {
                    return Err(NameError::Twice { text, label: label.clone() });
                }
                if at > 0 || !plain {
                    text.push(',');
                }
                if is_bare(label) {
                    text.push_str(label);
                } else {
                    push_quoted(&mut text, label);
                }
                text.push('=');
                push_quoted(&mut text, value);
            }
            text.push('}');
        }
        match text.len() {
            0 => Err(NameError::Empty),
            len if len > NAME_LEN_MAX => Err(NameError::TooLong { len }),
            _ => Ok(SeriesName(text.into())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The metric's name: siblings share it. Empty when the series has labels alone.
    pub fn metric(&self) -> &str {
        match self.0.find('{') {
            Some(at) => &self.0[..at],
            None => &self.0,
        }
    }

    /// Name and labels, taken apart.
    pub fn parts(&self) -> (String, Vec<(String, String)>) {
        let (name, matchers) =
            Parser::new(&self.0).all().expect("a canonical text parses: it was printed by SeriesName::new");
        (name, matchers.into_iter().map(|(label, _, value)| (label, value)).collect())
    }

    /// xxh3-64, seed 0, over the canonical text. Fixed for ever: stored data is found by it.
    pub fn hash64(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.0.as_bytes())
    }
}

/// Whether a metric's name stands before the braces.
fn is_plain(name: &str) -> bool {
    is_bare(name) || !name.contains(['{', '}', '"', '\\', '\n', ',']) && name.trim() == name
}

/// Whether a label stands without quotes.
fn is_bare(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Whether a text is what [`SeriesName::new`] prints. Of those with anything in quotes but plain values it may say that they are not.
fn is_canonical(text: &str) -> bool {
    if text.is_empty() || text.len() > NAME_LEN_MAX {
        return false;
    }
    let brace = text.bytes().position(|b| b == b'{');
    let (name, rest) = text.split_at(brace.unwrap_or(text.len()));
    if brace.is_none() || !is_plain(name) {
        return is_plain(text);
    }
    let (mut rest, mut before) = (&rest[1..], "");
    while let Some(equals) = rest.bytes().position(|b| b == b'=')
        && let (label, value) = rest.split_at(equals)
        && is_bare(label)
        && label > before
        && let Some(value) = value.strip_prefix("=\"")
        && let Some(end) = value.bytes().position(|b| matches!(b, b'"' | b'\\' | b'\n'))
        && end > 0
        && let Some(after) = value[end..].strip_prefix('"')
    {
        match after.strip_prefix(',') {
            Some(more) => (before, rest) = (label, more),
            None => return after == "}",
        }
    }
    false
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
}

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for SeriesName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<SeriesName, NameError> {
        SeriesName::parse(text)
    }
}

impl Serialize for SeriesName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl Borrow<str> for SeriesName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SeriesName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SeriesName, D::Error> {
        read(from, "the name of a series", |text| {
            READ_LAST.with_borrow_mut(|last| match last {
                Some(last) if last.as_str() == text => Ok(last.clone()),
                _ => SeriesName::parse(text).map(|name| last.insert(name).clone()),
            })
        })
    }
}

thread_local! {
    /// What is stored of a series names it again and again: it is taken apart once then, and held once.
    static READ_LAST: RefCell<Option<SeriesName>> = const { RefCell::new(None) };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Equal,
    NotEqual,
    Match,
    NotMatch,
}

/// Which series are meant: a name and conditions on labels (`= != =~ !~`, regular expressions anchored at both ends).
#[derive(Clone, Debug)]
pub struct Selector {
    text: String,
    name: String,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
enum Condition {
    Is { label: String, value: String, wanted: bool },
    Like { label: String, pattern: regex_lite::Regex, wanted: bool },
}

impl Selector {
    pub fn parse(text: &str) -> Result<Selector, NameError> {
        let (name, matchers) = Parser::new(text).all()?;
        if name.is_empty() && matchers.is_empty() {
            return Err(NameError::Empty);
        }
        let mut conditions = Vec::with_capacity(matchers.len());
        for (label, op, value) in matchers {
            conditions.push(match op {
                Op::Equal | Op::NotEqual => Condition::Is { label, value, wanted: op == Op::Equal },
                Op::Match | Op::NotMatch => {
                    let pattern = regex_lite::Regex::new(&format!("^(?s:{value})$"))
                        .map_err(|error| NameError::Pattern { pattern: value.clone(), reason: error.to_string() })?;
                    Condition::Like { label, pattern, wanted: op == Op::Match }
                }
            });
        }
        Ok(Selector { text: text.to_owned(), name, conditions })
    }

    pub fn matches(&self, series: &SeriesName) -> bool {
        if self.conditions.is_empty() {
            return series.metric() == self.name || series.as_str() == self.text;
        }
        let (name, labels) = series.parts();
        if !self.name.is_empty() && self.name != name {
            return false;
        }
        // A label that is not there has the empty value, as in Prometheus.
        let value_of = |wanted: &str| match wanted {
            "__name__" => name.as_str(),
            _ => labels.iter().find(|(label, _)| label == wanted).map_or("", |(_, value)| value),
        };
        self.conditions.iter().all(|condition| match condition {
            Condition::Is { label, value, wanted } => (value_of(label) == value) == *wanted,
            Condition::Like { label, pattern, wanted } => pattern.is_match(value_of(label)) == *wanted,
        })
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Selector) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Selector, D::Error> {
        let text = String::deserialize(from)?;
        Selector::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Selector {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Selector".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "NAME{label=\"value\"} with = != =~ !~" })
    }
}

/// Reads `NAME{label op "value",…}`. A text without braces is a name as it stands, whatever it contains: files are named
/// freely.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed = (String, Vec<(String, Op, String)>);

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser { text, at: 0 }
    }

    fn wanted<T>(&self, wanted: &'static str) -> Result<T, NameError> {
        Err(NameError::Syntax { text: self.text.to_owned(), column: self.text[..self.at].chars().count() + 1, wanted })
    }

    fn all(mut self) -> Result<Parsed, NameError> {
        let Some(brace) = self.text.find('{') else {
            let name = self.text.trim();
            return if name.is_empty() { Err(NameError::Empty) } else { Ok((name.to_owned(), Vec::new())) };
        };
        let mut name = self.text[..brace].trim().to_owned();
        self.at = brace + 1;
        let mut matchers = Vec::new();
        loop {
            self.spaces();
            if self.take("}") {
                break;
            }
            let quoted = self.rest().starts_with('"');
            let label = if quoted { self.quoted()? } else { self.bare()? };
            self.spaces();
            if quoted
                && name.is_empty()
                && matchers.is_empty()
                && (self.rest().starts_with(',') || self.rest().starts_with('}'))
            {
                name = label;
            } else {
                let op = self.op()?;
                self.spaces();
                matchers.push((label, op, self.quoted()?));
                self.spaces();
            }
            if !self.take(",") && !self.rest().starts_with('}') {
                return self.wanted("a comma or a closing brace is wanted here");
            }
        }
        self.spaces();
        if self.rest().is_empty() { Ok((name, matchers)) } else { self.wanted("nothing may follow the closing brace") }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let here = self.rest().starts_with(token);
        if here {
            self.at += token.len();
        }
        here
    }

    fn bare(&mut self) -> Result<String, NameError> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '.')).unwrap_or(rest.len());
        // A label without a name was printed so once, and stands so in what was stored then.
        if len == 0 && !rest.starts_with("=\"") {
            return self.wanted("a label is wanted here");
        }
        self.at += len;
        Ok(rest[..len].to_owned())
    }

    fn op(&mut self) -> Result<Op, NameError> {
        for (token, op) in [("=~", Op::Match), ("!~", Op::NotMatch), ("!=", Op::NotEqual), ("=", Op::Equal)] {
            if self.take(token) {
                return Ok(op);
            }
        }
        self.wanted("one of = != =~ !~ is wanted here")
    }

    fn quoted(&mut self) -> Result<String, NameError> {
        if !self.take("\"") {
            return self.wanted("a value in double quotes is wanted here");
        }
        let mut value = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    // In a regular expression `\d` keeps its backslash: people write it so.
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        self.at = self.text.len();
        self.wanted("the closing double quote is missing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SeriesName {
        SeriesName::parse(text).expect(text)
    }

    #[test]
    fn names_are_printed_in_one_canonical_way() {
        for (written, canonical) in [
            ("up", "up"),
            ("exchange-2_cpc results.v1", "exchange-2_cpc results.v1"),
            (r#"up{b="2", a="1"}"#, r#"up{a="1",b="2"}"#),
            (r#"{a="1"}"#, r#"{a="1"}"#),
            (r#"up{a="x\"y\\z\n"}"#, r#"up{a="x\"y\\z\n"}"#),
            (r#"{"odd,name",a="1"}"#, r#"{"odd,name",a="1"}"#),
            (r#"up{a=""}"#, "up"),
            (r#"up{"dotted-label"="1"}"#, r#"up{"dotted-label"="1"}"#),
            (r#"up{""="1"}"#, r#"up{""="1"}"#),
        ] {
            assert_eq!(name(written).as_str(), canonical);
            assert_eq!(name(canonical), name(written), "printed text parses to itself");
        }
        assert_eq!(name(r#"up{a="1"}"#).metric(), "up");
    }

    proptest::proptest! {
        /// What is taken as it stands is what would be printed of it, what is printed of plain labels is taken as it stands, and all that
        /// is printed is read again as the same.
        #[test]
        fn canonical_texts_are_taken_as_they_stand(text in r#"[ab \n]{0,2}([{](["]?[b-d.:]{0,2}["]?!?="[ab,{}=ü\\"]{0,3}",?){0,3}[}]?)?"#) {
            let printed = Parser::new(&text).all().ok().and_then(|(name, matchers)| {
                let labels = matchers.iter().map(|(label, op, value)| (*op == Op::Equal).then(|| (label.clone(), value.clone())));
                SeriesName::new(&name, labels.collect::<Option<Vec<_>>>()?).ok()
            });
            if is_canonical(&text) {
                assert_eq!(printed.as_ref().map(SeriesName::as_str), Some(text.as_str()));
            }
            if let Some(printed) = printed {
                let text = printed.as_str();
                let plain = !text.contains(['\\', '.']) && !text.contains("{\"") && !text.contains(",\"");
                assert!(!plain || is_canonical(text), "{text}");
                assert_eq!(SeriesName::parse(text).as_ref(), Ok(&printed));
            }
        }
    }

    #[test]
    fn what_is_no_series_is_refused_with_the_place() {
        for text in
            ["", "up{", "up{a}", "up{a=1}", r#"up{a="1""#, r#"up{a="1"}x"#, r#"up{a="1",a="2"}"#, r#"up{a!="1"}"#, "{}"]
        {
            let error = SeriesName::parse(text).expect_err(text);
            assert!(!error.to_string().is_empty());
        }
        let error = SeriesName::parse("up{a=1}").expect_err("no quotes").to_string();
        assert!(error.contains("column 6"), "{error}");
        assert!(SeriesName::parse(&"x".repeat(NAME_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn selectors_match_as_prometheus_does() {
        let series = name(r#"http_requests{code="200",job="api"}"#);
        for (selector, wanted) in [
            ("http_requests", true),
            ("http", false),
            (r#"{job="api"}"#, true),
            (r#"http_requests{code=~"2.."}"#, true),
            (r#"http_requests{code=~"2"}"#, false),
            (r#"http_requests{code!~"5.."}"#, true),
            (r#"http_requests{zone=""}"#, true),
            (r#"http_requests{job!="api"}"#, false),
            (r#"{__name__=~"http_.*"}"#, true),
        ] {
            assert_eq!(Selector::parse(selector).expect(selector).matches(&series), wanted, "{selector}");
        }
        assert!(Selector::parse(r#"a{b=~"("}"#).is_err());
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(name("up").hash64(), 15_936_427_031_111_332_196);
    }
}
