//! The text that targets answer with: the classic form (0.0.4) and OpenMetrics (1.0), read line by line.
//!
//! A scrape is whole or it is none, as Prometheus has it: of half a text nobody can tell whether a series ended or was cut off, or
//! whether the last number is all of it. So the first line that cannot be read ends it, with its number and the reason.
//! Labels are taken apart on request alone: between two scrapes of a target hardly a series changes, and who has seen its text
//! before knows what it stands for. Exemplars are set aside, and so are native histograms, which text does not carry.

use super::Metadata;
use homeostat::config::Kind;
use homeostat::time::Timestamp;
use memchr::memchr;
use std::collections::{BTreeMap, HashMap};

/// A line that is longer is none, in bytes.
const LINE_LEN_MAX: usize = 256 << 10;

/// The most families whose type is kept.
const FAMILIES_MAX: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Classic,
    OpenMetrics,
}

impl Format {
    /// By what an answer says of itself; classic where it says nothing. None: something else.
    pub fn of(content_type: Option<&str>) -> Option<Format> {
        let kind = content_type.unwrap_or("text/plain").split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            "text/plain" | "" | "application/octet-stream" => Some(Format::Classic),
            _ => None,
        }
    }
}

/// Why a text cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TextError {
    /// From 1.
    pub line: usize,
    pub problem: String,
}

/// What a family is said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Type {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
    #[default]
    Unknown,
}

impl Type {
    /// By its number in the metadata of remote-write; the same in 1.0 and 2.0.
    pub fn of_number(number: u64) -> Type {
        match number {
            1 => Type::Counter,
            2 => Type::Gauge,
            3 => Type::Histogram,
            4 => Type::GaugeHistogram,
            5 => Type::Summary,
            6 => Type::Info,
            7 => Type::StateSet,
            _ => Type::Unknown,
        }
    }

    /// What a series of this name measures whose family is of this type; none where the values have to tell.
    pub fn kind(self, name: &str) -> Option<Kind> {
        let part = PARTS.into_iter().find(|part| name.ends_with(part));
        match (self, part) {
            // The sum of observations counts as a rule, and does not have to.
            (Type::Summary, Some("_sum")) => None,
            _ => part.and_then(|part| self.kind_of_part(part)).or_else(|| self.kind_of_whole(name)),
        }
    }

    /// Of a series that is called as its family.
    fn kind_of_whole(self, name: &str) -> Option<Kind> {
        match self {
            Type::Counter => Some(Kind::Counter),
            Type::Gauge if NO_LEVELS.iter().any(|end| name.ends_with(end)) => Some(Kind::Info),
            Type::Gauge => Some(Kind::Gauge),
            Type::Summary => Some(Kind::Gauge),
            Type::Info => Some(Kind::Info),
            Type::StateSet => Some(Kind::State),
            Type::Histogram | Type::GaugeHistogram | Type::Unknown => None,
        }
    }

    /// Of a series that is called as its family and one of [`PARTS`].
    fn kind_of_part(self, part: &str) -> Option<Kind> {
        match (self, part) {
            (Type::Counter, "_total") => Some(Kind::Counter),
            (_, "_created") | (Type::Info, "_info") => Some(Kind::Info),
            (Type::Histogram, "_bucket" | "_count" | "_sum") => Some(Kind::Histogram),
            (Type::Summary, "_count") => Some(Kind::Counter),
            // Its buckets rise and fall: nothing that is made of counters can be made of them.
            (Type::GaugeHistogram, "_bucket") => Some(Kind::Info),
            (Type::GaugeHistogram, "_gcount" | "_gsum" | "_count" | "_sum") => Some(Kind::Gauge),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Type> {
        Some(match text {
            "counter" => Type::Counter,
            "gauge" => Type::Gauge,
            "histogram" => Type::Histogram,
            "gaugehistogram" => Type::GaugeHistogram,
            "summary" => Type::Summary,
            "info" => Type::Info,
            "stateset" => Type::StateSet,
            "untyped" | "unknown" => Type::Unknown,
            _ => return None,
        })
    }
}

/// One sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample<'a> {
    /// Name and labels as they are written; [`parts`] takes them apart.
    pub series: &'a str,
    pub value: f64,
    /// Where the target says when it was.
    pub at: Option<Timestamp>,
    pub line: usize,
}

/// Name and labels of a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    pub name: String,
    pub labels: Vec<(String, String)>,
}

/// The families of a text, for what its samples measure.
#[derive(Default)]
pub struct Families(HashMap<Box<str>, Type>);

/// What the names of a family's parts end with.
const PARTS: [&str; 8] = ["_total", "_created", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info"];

/// Gauges with such a name hold a moment, or say something by their labels alone: nothing is to be learned of them.
const NO_LEVELS: [&str; 6] =
    ["_info", "_created", "_timestamp", "_timestamp_seconds", "_start_time_seconds", "_boot_time_seconds"];

/// Reads a text; hands out its samples in order. Answers with what is said of families.
pub fn read<'a>(
    text: &'a [u8],
    format: Format,
    each: &mut dyn FnMut(Sample<'a>) -> Result<(), String>,
) -> Result<Families, TextError> {
    read_foretold(text, format, &mut |_| None, each)
}

/// The same where the caller knows of some lines where name and labels end: of those that [begin with](begins_with) what it read before.
pub fn read_foretold<'a>(
    text: &'a [u8],
    format: Format,
    foretold: &mut dyn FnMut(&str) -> Option<usize>,
    each: &mut dyn FnMut(Sample<'a>) -> Result<(), String>,
) -> Result<Families, TextError> {
    let mut families = Families::default();
    let (mut ended, mut number) = (false, 0);
    let mut rest = Some(text);
    while let Some(text) = rest {
        let end = memchr(b'\n', text);
        let line = &text[..end.unwrap_or(text.len())];
        rest = end.map(|end| &text[end + 1..]);
        number += 1;
        let error = |problem: String| TextError { line: number, problem };
        if line.len() > LINE_LEN_MAX {
            return Err(error(format!("it has over {LINE_LEN_MAX} bytes")));
        }
        let line = std::str::from_utf8(line).map_err(|_| error("it is not UTF-8".to_owned()))?;
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() {
            continue;
        }
        if ended {
            return Err(error("it stands behind # EOF".to_owned()));
        }
        match line.strip_prefix('#') {
            Some(comment) => {
                ended = format == Format::OpenMetrics && comment.trim() == "EOF";
                families.comment(comment).map_err(error)?;
            }
            None => {
                let end = foretold(line).map_or_else(|| series_end(line), Ok);
                end.and_then(|end| sample(line, end, number, format)).and_then(&mut *each).map_err(error)?;
            }
        }
    }
    if format == Format::OpenMetrics && !ended {
        let problem = "# EOF is missing: the text was cut off on its way".to_owned();
        return Err(TextError { line: number, problem });
    }
    Ok(families)
}

/// Whether a line is one of this series, as it was written before.
pub fn begins_with(line: &str, series: &str) -> bool {
    // Behind a name and blanks its labels may follow, and a brace may stand in quotes: what stands behind has to be a value.
    let behind = line.strip_prefix(series).map(str::as_bytes);
    matches!(behind, Some([b' ' | b'\t', next, ..]) if !matches!(next, b' ' | b'\t' | b'{'))
}

fn sample(line: &str, end: usize, number: usize, format: Format) -> Result<Sample<'_>, String> {
    let (series, rest) = line.split_at(end);
    if series.is_empty() {
        return Err(format!("`{}` begins with no name of a metric", shown(line)));
    }
    // In OpenMetrics an exemplar follows.
    let rest = match format {
        Format::OpenMetrics => rest.split(" # ").next().unwrap_or_default(),
        Format::Classic => rest,
    };
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().ok_or_else(|| format!("`{}` has no value", shown(series)))?;
    let value = number_of(value).ok_or_else(|| format!("`{}` is no number", shown(value)))?;
    let at = words
        .next()
        .map(|word| time(word, format).ok_or_else(|| format!("`{}` is no time", shown(word))))
        .transpose()?;
    match words.next() {
        Some(more) => Err(format!("`{}` stands behind the time", shown(more))),
        None => Ok(Sample { series: series.trim_end(), value, at, line: number }),
    }
}

/// Where name and labels end: at the brace that closes, else at the first blank.
fn series_end(line: &str) -> Result<usize, String> {
    let bytes = line.as_bytes();
    let mut at = bytes.iter().position(|byte| matches!(byte, b'{' | b' ' | b'\t')).unwrap_or(bytes.len());
    // Blanks may stand between the name and its labels.
    let brace = at + bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if bytes.get(brace) != Some(&b'{') {
        return Ok(at);
    }
    at = brace + 1;
    let mut quoted = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Ok(at + 1),
            _ => {}
        }
        at += 1;
    }
    Err(format!("the labels of `{}` have no end", shown(line)))
}

fn number_of(word: &str) -> Option<f64> {
    // What Rust reads beside numbers: words that say infinity and NaN, in any case, as Go does.
    word.parse().ok()
}

fn time(word: &str, format: Format) -> Option<Timestamp> {
    match format {
        Format::Classic => word.parse().ok().map(Timestamp::from_millis),
        Format::OpenMetrics => {
            let millis = (word.parse::<f64>().ok()? * 1000.0).round();
            (millis.abs() < 1e15).then(|| Timestamp::from_millis(millis as i64))
        }
    }
}

/// Name and labels of a sample, taken apart. The name may stand in quotes among the labels.
pub fn parts(series: &str) -> Result<Parts, String> {
    let wrong = |wanted: &str| format!("`{}`: {wanted}", shown(series));
    let (name, rest) = match series.split_once('{') {
        None => (series, ""),
        Some((name, rest)) => (name.trim_end(), rest),
    };
    let mut parts = Parts { name: name.to_owned(), labels: Vec::new() };
    let mut rest = rest.trim_start();
    while !rest.is_empty() && !rest.starts_with('}') {
        let quoted = rest.starts_with('"');
        let label = match quoted {
            true => quoted_text(&mut rest).ok_or_else(|| wrong("a quote has no end"))?,
            false => {
                let end =
                    rest.find(|c: char| c == '=' || c == ',' || c == '}' || c.is_whitespace()).unwrap_or(rest.len());
                let (label, after) = rest.split_at(end);
                rest = after;
                label.to_owned()
            }
        };
        rest = rest.trim_start();
        match rest.strip_prefix('=') {
            Some(after) => {
                rest = after.trim_start();
                if !rest.starts_with('"') {
                    return Err(wrong("a label's value stands in quotes"));
                }
                let value = quoted_text(&mut rest).ok_or_else(|| wrong("a quote has no end"))?;
                if label.is_empty() || !quoted && !is_name(&label, false) {
                    return Err(wrong("a label has no name"));
                }
                if parts.labels.iter().any(|(own, _)| *own == label) {
                    return Err(wrong("a label comes twice"));
                }
                parts.labels.push((label, value));
            }
            None if quoted && parts.name.is_empty() => parts.name = label,
            None => return Err(wrong("a label has no value")),
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err(wrong("between labels stands a comma")),
        }
    }
    match name.is_empty() || is_name(name, true) {
        true if !parts.name.is_empty() => Ok(parts),
        _ => Err(wrong("it has no name of a metric")),
    }
}

fn is_name(text: &str, colons: bool) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || colons && c == ':')
}

/// The text in quotes that `rest` begins with, which is moved behind it. None: it has no end.
fn quoted_text(rest: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &rest[at + 1..];
                return Some(text);
            }
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                c @ ('\\' | '"') => text.push(c),
                // As Prometheus has it: what is no escape stands for itself.
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
    None
}

impl Families {
    /// From what `/api/v1/metadata` gives; where targets do not agree the first one counts.
    pub fn of_metadata(metadata: &BTreeMap<String, Vec<Metadata>>) -> Families {
        let said = metadata.iter().filter_map(|(name, said)| Some((name, Type::parse(&said.first()?.kind)?)));
        Families(said.take(FAMILIES_MAX).map(|(name, kind)| (name.as_str().into(), kind)).collect())
    }

    /// What stands behind `#`.
    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let Some(rest) = comment.trim_start().strip_prefix("TYPE ") else { return Ok(()) };
        let mut words = rest.split_whitespace();
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`#{}` is not # TYPE NAME TYPE", shown(comment)));
        };
        let kind = Type::parse(kind).ok_or_else(|| format!("`{}` is no type of a metric", shown(kind)))?;
        self.tell(name.trim_matches('"'), kind);
        Ok(())
    }

    /// What a sample of this name measures, as far as the text says; none where the values have to tell.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        if let Some(told) = self.0.get(name) {
            return told.kind_of_whole(name);
        }
        let of = |part: &'static str| Some((self.0.get(name.strip_suffix(part)?)?, part));
        let (told, part) = PARTS.into_iter().find_map(of)?;
        told.kind_of_part(part)
    }

    /// What a family is said to be. Of too many the first ones are kept.
    pub fn tell(&mut self, name: &str, told: Type) {
        if let Some(known) = self.0.get_mut(name) {
            *known = told;
        } else if self.0.len() < FAMILIES_MAX {
            self.0.insert(name.into(), told);
        }
    }
}

/// A piece of text as a message has it.
fn shown(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
