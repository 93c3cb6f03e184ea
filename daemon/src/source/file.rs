//! Rows of CSV or JSON lines, one at a time, whatever the length of the file.
//!
//! What does not parse is told with its line and the reason, and the rest is used: one torn row must not cost a
//! day of data. For the same reason a quote that never closes ends with its line. Which of the two forms a file has is
//! seen from its first character. Values may be NaN or infinite: what becomes of them is the engine's to say.

use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A longer line is no row, in bytes. It is skipped, not held.
const LINE_LEN_MAX: usize = 1 << 20;

/// So many series one file may name; rows of further ones do not count as rows.
const NAMES_MAX: usize = 1_000_000;

/// Bytes that are read from a file in one go.
const BUFFER: usize = 1 << 16;

/// The year 2100 in milliseconds.
const MILLIS_MAX: f64 = 4_102_444_800_000.0;

/// First bytes of files that are no text yet, what they are, and what makes text of them.
const PACKED: [(&[u8], &str, &str); 7] = [
    (b"\x1f\x8b", "compressed with gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc"),
    (b"\xfd7zXZ\0", "compressed with xz", "xz -dc"),
    (b"BZh", "compressed with bzip2", "bzip2 -dc"),
    (b"PK\x03\x04", "a zip archive", "funzip"),
    (b"\xff\xfe", "text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "iconv -f UTF-16 -t UTF-8"),
];

/// What the column, or the key, of each kind may be called; upper or lower case.
const TIME_NAMES: [&str; 4] = ["timestamp", "time", "t", "ts"];

/// One row that parsed. Its series is known by number and by name; both stay the same for the whole file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row<'a> {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 0 in the order in which the file names them.
    pub series: usize,
    pub name: &'a SeriesName,
    pub at: Timestamp,
    /// The time as it is written.
    pub at_text: &'a str,
    pub value: f64,
    /// The value as it is written.
    pub value_text: &'a str,
}

/// A row that did not parse.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct RowError {
    /// Counted from 1.
    pub line: u64,
    pub reason: String,
    /// Time and value as they are written, where the row has them.
    pub at_text: String,
    pub value_text: String,
}

/// What a line turned out to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Line<'a> {
    Row(Row<'a>),
    Bad(RowError),
}

/// A file that cannot be used, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot open {}: {source}; check the path and its permissions", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{} is a folder; name a file in it", path.display())]
    Folder { path: PathBuf },
    #[error("the folder {} of {} is not there; make it, or mend the path", folder.display(), path.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("cannot read {} after line {line}: {source}", path.display())]
    Read { path: PathBuf, line: u64, source: io::Error },
    #[error("{} is {what}, which is not read as it stands; make it readable with: {remedy}", path.display())]
    Packed { path: PathBuf, what: &'static str, remedy: String },
    #[error(
        "{} line {line}: no column is called {wanted}; the first row names the columns, like timestamp,value (found: {found})",
        path.display()
    )]
    NoColumn { path: PathBuf, line: u64, wanted: &'static str, found: String },
}

/// The rows of one file, in order. Ask with [`Rows::next_line`] until it says `None`.
pub struct Rows {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    form: Form,
    line: u64,
    /// Bytes that were taken from the input.
    taken: u64,
    position: Position,
    /// A last line without its end is no line yet.
    whole_only: bool,
    buffer: Vec<u8>,
    names: Names,
}

/// The end of the last line that was whole: a file that grows goes on behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Lines before it.
    pub line: u64,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// Nothing but empty lines so far.
    Unknown,
    Csv(Columns),
    Json,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Columns {
    separator: u8,
    at: usize,
    value: usize,
    series: Option<usize>,
    label: Option<usize>,
    /// How many there are: a row with more is not what its header says, a decimal comma mostly.
    count: usize,
}

/// The series named so far.
struct Names {
    /// The series of rows that name none.
    fallback: SeriesName,
    list: Vec<SeriesName>,
    by_text: HashMap<Box<str>, usize>,
    /// The number of the fallback, once a row had no name.
    unnamed: Option<usize>,
}

impl Rows {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Rows, FileError> {
        if path == Path::new("-") {
            return Ok(Rows::from_reader(path, "stdin", io::stdin()));
        }
        let file = File::open(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        Rows::of(path, file)
    }

    /// The rows of an open file.
    pub fn of(path: &Path, file: File) -> Result<Rows, FileError> {
        // Nobody has to be waited for, so that a file of another kind is told before anything else is done.
        let is_regular = file.metadata().is_ok_and(|about| about.is_file());
        let stem = path.file_stem().map_or(Cow::Borrowed("file"), |stem| stem.to_string_lossy());
        let mut rows = Rows::from_reader(path, &stem, file);
        if is_regular {
            rows.refuse_packed()?;
        }
        Ok(rows)
    }

    /// The rows of an open file from a place on where an earlier reading ended. What its first line says of the form holds.
    pub fn of_rest(path: &Path, mut file: File, from: Position) -> Result<Rows, FileError> {
        let failed = |source| FileError::Read { path: path.to_owned(), line: from.line, source };
        let mut rows = Rows::of(path, file.try_clone().map_err(failed)?)?;
        rows.next_line()?;
        file.seek(SeekFrom::Start(from.offset)).map_err(failed)?;
        rows.input = Box::new(BufReader::with_capacity(BUFFER, file));
        (rows.line, rows.taken, rows.position) = (from.line, from.offset, from);
        Ok(rows)
    }

    /// The same of a file that somebody is writing: a last line without its end may be half of one, and is not given.
    pub fn whole_only(mut self) -> Rows {
        self.whole_only = true;
        self
    }

    /// Where reading stands: behind the last whole line that was given.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Reads from anywhere; `path` is named in errors, `stem` names the series of rows that name none.
    pub fn from_reader(path: &Path, stem: &str, input: impl Read + Send + 'static) -> Rows {
        let fallback =
            SeriesName::new(stem, []).or_else(|_| SeriesName::new("file", [])).expect("`file` is the name of a series");
        Rows {
            path: path.to_owned(),
            input: Box::new(BufReader::with_capacity(BUFFER, input)),
            form: Form::Unknown,
            line: 0,
            taken: 0,
            position: Position::default(),
            whole_only: false,
            buffer: Vec::new(),
            names: Names { fallback, list: Vec::new(), by_text: HashMap::new(), unnamed: None },
        }
    }

    /// The next row, good or bad; `None` at the end. Empty lines are no rows.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, FileError> {
        if self.line == 0 {
            self.refuse_packed()?;
        }
        loop {
            match self.fill() {
                Err(source) => return Err(FileError::Read { path: self.path.clone(), line: self.line, source }),
                Ok(Filled::End) => return Ok(None),
                Ok(Filled::TooLong) => {
                    let reason = format!("longer than {LINE_LEN_MAX} bytes");
                    return Ok(Some(Line::Bad(bad(self.line, reason, "", ""))));
                }
                Ok(Filled::Line) => {}
            }
            if self.buffer.iter().all(|byte| byte.is_ascii_whitespace()) {
                continue;
            }
            if matches!(self.form, Form::Unknown) {
                self.form = form(&self.buffer, &self.path, self.line)?;
                if matches!(self.form, Form::Csv(_)) && !is_headless(&self.buffer) {
                    continue;
                }
            }
            break;
        }
        let Rows { line, form, buffer, names, .. } = self;
        Ok(Some(match std::str::from_utf8(buffer) {
            Err(_) => Line::Bad(bad(*line, "not UTF-8".to_owned(), "", "")),
            Ok(text) => match form {
                Form::Csv(columns) => csv_row(text, columns, names, *line),
                Form::Json => json_row(text, names, *line),
                Form::Unknown => unreachable!("the first line with content says which form the file has"),
            },
        }))
    }

    /// A file that is no text is told by its first bytes; they stay where they are.
    fn refuse_packed(&mut self) -> Result<(), FileError> {
        let path = &self.path;
        let start = loop {
            match self.input.fill_buf() {
                Ok(start) => break start,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(FileError::Read { path: path.clone(), line: 0, source }),
            }
        };
        match PACKED.iter().find(|(magic, _, _)| start.starts_with(magic)) {
            None => Ok(()),
            Some((_, what, tool)) => {
                let remedy = match path == Path::new("-") {
                    true => format!("… | {tool} | homeostat …"),
                    false => format!("{tool} < {} > {}", quoted(path), quoted(&readable(path))),
                };
                Err(FileError::Packed { path: path.clone(), what, remedy })
            }
        }
    }

    /// Whether there is a column `label`; known once a line was read. Only CSV has one.
    pub fn has_labels(&self) -> bool {
        matches!(self.form, Form::Csv(Columns { label: Some(_), .. }))
    }

    /// What the line read last says in its column `label`, whether or not the rest of it parsed.
    pub fn label(&self) -> Option<Cow<'_, str>> {
        let Form::Csv(Columns { separator, label: Some(label), .. }) = self.form else { return None };
        Fields::new(std::str::from_utf8(&self.buffer).ok()?, separator).nth(label)?
    }

    /// Reads one line into the buffer, without its end.
    fn fill(&mut self) -> io::Result<Filled> {
        self.buffer.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                if !any || self.whole_only {
                    return Ok(Filled::End);
                }
                break;
            }
            any = true;
            let end = memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            too_long |= self.buffer.len() + part.len() > LINE_LEN_MAX;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.taken += used as u64;
            if end.is_some() {
                self.position = Position { offset: self.taken, line: self.line + 1 };
                break;
            }
        }
        self.line += 1;
        if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.buffer.drain(..3);
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        Ok(if too_long { Filled::TooLong } else { Filled::Line })
    }
}

/// What the readable copy of a file may be called.
fn readable(path: &Path) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if ["gz", "zst", "xz", "bz2", "zip"].contains(&&*extension) {
        return path.with_extension("");
    }
    let dot = if extension.is_empty() { "" } else { "." };
    path.with_file_name(format!("{}_utf8{dot}{extension}", path.file_stem().unwrap_or_default().to_string_lossy()))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

enum Filled {
    Line,
    TooLong,
    End,
}

fn memchr(wanted: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

fn bad(line: u64, reason: String, at_text: &str, value_text: &str) -> RowError {
    RowError { line, reason, at_text: at_text.to_owned(), value_text: value_text.to_owned() }
}

/// Which form a file has, by its first line with content.
fn form(line: &[u8], path: &Path, number: u64) -> Result<Form, FileError> {
    if line.trim_ascii_start().starts_with(b"{") {
        return Ok(Form::Json);
    }
    let separator = [b',', b';', b'\t'].into_iter().find(|byte| line.contains(byte)).unwrap_or(b',');
    if is_headless(line) {
        let count = Fields::new(&String::from_utf8_lossy(line), separator).count();
        return Ok(Form::Csv(Columns { separator, at: 0, value: 1, series: None, label: None, count }));
    }
    let text = String::from_utf8_lossy(line);
    let names: Vec<String> =
        Fields::new(&text, separator).map(|field| field.unwrap_or_default().trim().to_ascii_lowercase()).collect();
    let find = |wanted: &[&str]| wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
    let missing = |wanted: &'static str| {
        // A file of another kind may have anything in its first line.
        let found = names.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
        FileError::NoColumn { path: path.to_owned(), line: number, wanted, found }
    };
    Ok(Form::Csv(Columns {
        separator,
        at: find(&TIME_NAMES).ok_or_else(|| missing("timestamp"))?,
        value: find(&["value"]).ok_or_else(|| missing("value"))?,
        series: find(&["series"]),
        label: find(&["label"]),
        count: names.len(),
    }))
}

/// Whether a first line is a row already: it starts with a time.
fn is_headless(line: &[u8]) -> bool {
    let first = line.split(|byte| matches!(byte, b',' | b';' | b'\t')).next().unwrap_or(line);
    std::str::from_utf8(first).is_ok_and(|text| {
        let text = text.trim().trim_matches('"');
        time(text).is_some() || looks_like_millis(text)
    })
}

/// What is said of times in another unit, and what to do.
pub const MILLIS: &str = "times look like milliseconds: divide by 1000";

/// Whether a text that is no time would be one of this age, were it read as milliseconds.
pub fn looks_like_millis(text: &str) -> bool {
    time(text).is_none() && text.trim().parse::<f64>().is_ok_and(|millis| (0.0..MILLIS_MAX).contains(&millis))
}

/// Unix seconds or RFC 3339; a date and time without a zone, as many tools write it, is taken for UTC.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(at) = Timestamp::parse(text) {
        return Some(at);
    }
    // Not for numbers: 20200101 is a number of seconds that is not plausible, not a date.
    let civil: jiff::civil::DateTime = text.contains('-').then(|| text.trim().parse().ok()).flatten()?;
    let at = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

/// The fields of a line, quotes removed. `None` for a field whose quotes do not close or that goes on after them.
struct Fields<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Fields<'a> {
    fn new(line: &'a str, separator: u8) -> Fields<'a> {
        Fields { rest: Some(line), separator }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Cow<'a, str>>;

    fn next(&mut self) -> Option<Option<Cow<'a, str>>> {
        let rest = self.rest?;
        let mut split = |at: Option<usize>| match at {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                &rest[..at]
            }
            None => {
                self.rest = None;
                rest
            }
        };
        let bytes = rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            return Some(Some(Cow::Borrowed(split(memchr(self.separator, bytes)))));
        }
        let mut at = 1;
        let mut doubled = false;
        loop {
            match memchr(b'"', &bytes[at..]) {
                None => {
                    split(None);
                    return Some(None);
                }
                Some(found) if bytes.get(at + found + 1) == Some(&b'"') => {
                    doubled = true;
                    at += found + 2;
                }
                Some(found) => {
                    at += found;
                    break;
                }
            }
        }
        let inside = &rest[1..at];
        let end = memchr(self.separator, &bytes[at..]).map(|found| at + found);
        let whole = split(end);
        if !whole[at + 1..].trim().is_empty() {
            return Some(None);
        }
        Some(Some(if doubled { Cow::Owned(inside.replace("\"\"", "\"")) } else { Cow::Borrowed(inside) }))
    }
}

fn csv_row<'a>(text: &'a str, columns: &Columns, names: &'a mut Names, line: u64) -> Line<'a> {
    let (mut at_text, mut value_text, mut series) = (None, None, None);
    for (at, field) in Fields::new(text, columns.separator).enumerate() {
        let wanted = if at == columns.at {
            &mut at_text
        } else if at == columns.value {
            &mut value_text
        } else if Some(at) == columns.series {
            &mut series
        } else if at >= columns.count && field.as_ref().is_none_or(|field| !field.trim().is_empty()) {
            let reason = format!("more than the {} fields that the first line names", columns.count);
            return Line::Bad(bad(line, reason, "", ""));
        } else {
            continue;
        };
        match field {
            Some(field) => *wanted = Some(field),
            None => return Line::Bad(bad(line, format!("the quotes of column {} do not close", at + 1), "", "")),
        }
    }
    // Quoted twice over is nothing a time or a number can be: only what was borrowed from the line can parse.
    let plain = |field: Option<Cow<'a, str>>| match field {
        Some(Cow::Borrowed(text)) => Some(text.trim()),
        Some(Cow::Owned(_)) => Some(""),
        None => None,
    };
    row(plain(at_text), plain(value_text), series.as_deref().map(str::trim), names, line)
}

#[derive(Deserialize)]
struct JsonRow<'a> {
    #[serde(borrow, default, deserialize_with = "present", alias = "time", alias = "t", alias = "ts")]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    series: Option<Cow<'a, str>>,
}

/// A key that is there, be it null: unlike for a key that is not, something was said.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn json_row<'a>(text: &'a str, names: &'a mut Names, line: u64) -> Line<'a> {
    let read: JsonRow<'a> = match serde_json::from_str(text) {
        Ok(read) => read,
        Err(error) => return Line::Bad(bad(line, format!("not JSON with timestamp and value: {error}"), "", "")),
    };
    // A number or a text; null is how JSON writers say that a value is not a number.
    let plain = |raw: Option<&'a RawValue>| {
        raw.map(|raw| match raw.get() {
            "null" => "NaN",
            raw => raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw).trim(),
        })
    };
    row(plain(read.timestamp), plain(read.value), read.series.as_deref(), names, line)
}

fn row<'a>(
    at_text: Option<&'a str>,
    value_text: Option<&'a str>,
    series: Option<&str>,
    names: &'a mut Names,
    line: u64,
) -> Line<'a> {
    let refuse =
        |reason: String| Line::Bad(bad(line, reason, at_text.unwrap_or_default(), value_text.unwrap_or_default()));
    let Some(at_text) = at_text.filter(|text| !text.is_empty()) else {
        return refuse("no timestamp".to_owned());
    };
    let Some(value_text) = value_text.filter(|text| !text.is_empty()) else {
        return refuse("no value".to_owned());
    };
    let Some(at) = time(at_text) else {
        return match Timestamp::parse(at_text) {
            Err(error) if looks_like_millis(at_text) => refuse(short(&format!("{error}; {MILLIS}"))),
            Err(error) => refuse(short(&error.to_string())),
            Ok(_) => unreachable!("what parses is a time"),
        };
    };
    let Ok(value) = value_text.parse::<f64>() else {
        return refuse(short(&format!("`{value_text}` is not a number")));
    };
    let series = match names.number(series.filter(|text| !text.is_empty())) {
        Ok(series) => series,
        Err(reason) => return refuse(short(&reason)),
    };
    Line::Row(Row { line, series, name: &names.list[series], at, at_text, value, value_text })
}

/// What is quoted from a hostile file stays readable.
fn short(reason: &str) -> String {
    match reason.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &reason[..at]),
        None => reason.to_owned(),
    }
}

impl Names {
    fn number(&mut self, text: Option<&str>) -> Result<usize, String> {
        // Most files have one series and no column for it: nothing has to be looked up for each of their rows.
        let Some(text) = text else {
            let number = self.unnamed.map_or_else(|| self.add(""), Ok)?;
            self.unnamed = Some(number);
            return Ok(number);
        };
        match self.by_text.get(text) {
            Some(number) => Ok(*number),
            None => self.add(text),
        }
    }

    fn add(&mut self, text: &str) -> Result<usize, String> {
        if self.by_text.len() >= NAMES_MAX {
            return Err(format!("more than {NAMES_MAX} series in one file"));
        }
        let name = match text {
            "" => self.fallback.clone(),
            text => SeriesName::parse(text).map_err(|error| error.to_string())?,
        };
        // Two ways to write one series are one series.
        let number = match self.by_text.get(name.as_str()) {
            Some(number) => *number,
            None => {
                self.list.push(name.clone());
                self.by_text.insert(name.as_str().into(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        self.by_text.insert(text.into(), number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
