//! What a Prometheus answers, read as it comes.
//!
//! An answer of five million samples is 200 MB of text, so that it is never held as text nor as a tree: values go to their
//! places as they are read, and reading ends where a limit is passed. Members may come in any order. Whatever comes instead of
//! an answer (a page of HTML, half an answer, other times than were asked) is told apart by what can be done about it.

use homeostat::replay::Labels;
use homeostat::time::Timestamp;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};

/// An answer that is longer is not read on, in bytes.
pub const BYTES_MAX: u64 = 512 << 20;

/// How much of an answer that was not understood is shown, in characters.
const SHOWN: usize = 80;

/// Warnings that are kept of one answer.
const WARNINGS_MAX: usize = 8;

/// The evaluations that were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    pub start: Timestamp,
    /// In milliseconds, over 0.
    pub step: i64,
    pub steps: u32,
}

impl Grid {
    fn place(self, at: f64) -> Option<u32> {
        let past = (at * 1000.0).round() as i64 - self.start.millis();
        let place = u32::try_from(past / self.step).ok()?;
        (past % self.step == 0 && place < self.steps).then_some(place)
    }
}

/// One label set with the values it has, by the number of the evaluation, ascending.
#[derive(Clone, PartialEq, Debug)]
pub struct Points {
    pub labels: Labels,
    pub values: Vec<(u32, f64)>,
}

/// What one range query gave.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Matrix {
    pub points: Vec<Points>,
    pub samples: u64,
    /// Label sets with native histograms, which are no numbers and left out.
    pub histograms: u64,
    /// What the server warns of: that something is missing, mostly.
    pub warnings: Vec<String>,
}

/// What an instant query gave.
#[derive(Clone, PartialEq, Debug)]
pub enum Instant {
    Vector(Vec<(Labels, f64)>),
    Scalar(f64),
    String(String),
}

/// The same, with what was left out and warned of.
#[derive(Clone, PartialEq, Debug)]
pub struct InstantAnswer {
    pub value: Instant,
    pub histograms: u64,
    pub warnings: Vec<String>,
}

/// Why an answer was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unread {
    /// It says itself that it is an error: its kind, and the text.
    Error {
        kind: String,
        text: String,
    },
    /// More than was allowed.
    TooMuch(String),
    /// It broke off. Another time it may not.
    Cut(String),
    TimedOut,
    /// It is no answer, or to another question.
    Wrong(String),
}

/// Reads the answer of a range query over `grid`, up to so many samples.
pub fn matrix(from: impl Read, grid: Grid, samples_max: u64) -> Result<Matrix, Unread> {
    let mut found = Found::new(Some(grid), samples_max);
    let read = read(from, QueryData(&mut found));
    if let Some(text) = found.over.take() {
        return Err(Unread::TooMuch(text));
    }
    let warnings = read?.warnings;
    match found.alone {
        Some(alone) => Err(Unread::Wrong(format!("it is {}, where series were to come", alone.what()))),
        None => Ok(Matrix { points: found.points, samples: found.samples, histograms: found.histograms, warnings }),
    }
}

/// Reads the answer of an instant query, up to so many series.
pub fn instant(from: impl Read, series_max: u64) -> Result<InstantAnswer, Unread> {
    let mut found = Found::new(None, series_max);
    let read = read(from, QueryData(&mut found));
    if let Some(text) = found.over.take() {
        return Err(Unread::TooMuch(text));
    }
    let warnings = read?.warnings;
    let value = match found.alone {
        // A text that is a number belongs to a scalar, and to a string where it says so.
        Some(Alone { text, is_string: true, .. }) => Instant::String(text),
        Some(alone) => match alone.text.parse() {
            Ok(value) => Instant::Scalar(value),
            Err(_) => Instant::String(alone.text),
        },
        None => {
            let one = |points: Points| Some((points.labels, points.values.first()?.1));
            Instant::Vector(found.points.into_iter().filter_map(one).collect())
        }
    };
    Ok(InstantAnswer { value, histograms: found.histograms, warnings })
}

/// Reads an answer of another kind.
pub fn plain<T: DeserializeOwned>(from: impl Read) -> Result<T, Unread> {
    read(from, std::marker::PhantomData::<T>)?.data.ok_or_else(|| Unread::Wrong("it holds no data".to_owned()))
}

/// What an answer with a status of failure says: the kind and the text of the error, or what it begins with.
pub fn failure(from: impl Read) -> (String, String) {
    let mut text = Vec::new();
    // As far as it can be read it helps.
    let _ = from.take(64 << 10).read_to_end(&mut text);
    match serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(&text) {
        Ok(members) => {
            let text = |name: &str| members.get(name).and_then(|value| value.as_str()).map(one_line);
            let kind = text("errorType").unwrap_or_default();
            (kind, text("error").or_else(|| text("message")).unwrap_or_default())
        }
        Err(_) => (String::new(), beginning(&text)),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ").replace(char::is_control, "");
    match line.char_indices().nth(400) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// What a text begins with, without the marks of HTML.
fn beginning(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let (mut plain, mut inside) = (String::new(), false);
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push(' ');
            }
            c if !inside => plain.push(c),
            _ => {}
        }
    }
    let line = one_line(&plain);
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Reads up to [`BYTES_MAX`], and remembers the beginning.
struct Counted<R> {
    from: R,
    count: u64,
    beginning: Vec<u8>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.count > BYTES_MAX {
            return Err(io::Error::other("too long"));
        }
        let len = self.from.read(to)?;
        self.count += len as u64;
        if self.beginning.len() < 4 * SHOWN {
            self.beginning.extend(to[..len].iter().take(4 * SHOWN));
        }
        Ok(len)
    }
}

/// Reads one answer to its end.
fn read<T>(from: impl Read, data: impl for<'de> DeserializeSeed<'de, Value = T>) -> Result<Envelope<T>, Unread> {
    let mut counted = Counted { from, count: 0, beginning: Vec::new() };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, &mut counted));
    let members = json.deserialize_map(EnvelopeVisitor(Some(data)));
    let members = members.and_then(|members| json.end().map(|()| members));
    drop(json);
    let members = members.map_err(|error| why(error, &counted))?;
    match members.status.as_str() {
        "success" => Ok(Envelope { data: members.data, warnings: members.warnings }),
        "error" => Err(Unread::Error { kind: members.kind, text: one_line(&members.text) }),
        _ => Err(Unread::Wrong("it does not say whether it is a success".to_owned())),
    }
}

fn why<R>(error: serde_json::Error, counted: &Counted<R>) -> Unread {
    if counted.count > BYTES_MAX {
        return Unread::TooMuch(format!("over {} MiB of text", BYTES_MAX >> 20));
    }
    if error.is_io() {
        let error = io::Error::from(error);
        return match timed_out(&error) {
            true => Unread::TimedOut,
            false => Unread::Cut(format!("it broke off after {} bytes: {error}", counted.count)),
        };
    }
    if error.is_eof() {
        return Unread::Cut(format!("it broke off after {} bytes", counted.count));
    }
    match error.is_syntax() {
        true => Unread::Wrong(format!("it is not JSON, and begins with `{}`", beginning(&counted.beginning))),
        false => Unread::Wrong(error.to_string()),
    }
}

fn timed_out(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    error.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
}

// --- the envelope ----------------------------------------------------------------------------------------------------

struct Envelope<T> {
    data: Option<T>,
    warnings: Vec<String>,
}

/// Members as they come; which they are is known at the end alone.
struct Members<T> {
    status: String,
    kind: String,
    text: String,
    data: Option<T>,
    warnings: Vec<String>,
}

struct EnvelopeVisitor<S>(Option<S>);

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for EnvelopeVisitor<S> {
    type Value = Members<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer with status and data")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members {
            status: String::new(),
            kind: String::new(),
            text: String::new(),
            data: None,
            warnings: Vec::new(),
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => members.status = map.next_value()?,
                "errorType" => members.kind = map.next_value()?,
                "error" => members.text = map.next_value()?,
                "warnings" | "infos" => {
                    let more: Option<Vec<String>> = map.next_value()?;
                    members.warnings.extend(more.unwrap_or_default().iter().map(|text| one_line(text)));
                    members.warnings.truncate(WARNINGS_MAX);
                }
                "data" => match self.0.take() {
                    Some(seed) => members.data = Some(map.next_value_seed(seed)?),
                    None => return Err(A::Error::custom("data comes twice")),
                },
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(members)
    }
}

// --- what a query gave -----------------------------------------------------------------------------------------------

/// What was found so far.
struct Found {
    grid: Option<Grid>,
    samples_max: u64,
    points: Vec<Points>,
    samples: u64,
    series: u64,
    histograms: u64,
    /// A scalar or a string, which stands alone.
    alone: Option<Alone>,
    /// Which limit was passed.
    over: Option<String>,
}

#[derive(Default)]
struct Alone {
    text: String,
    /// The answer says that it is a string, or that it is a scalar.
    is_string: bool,
    is_scalar: bool,
}

impl Alone {
    fn what(&self) -> &'static str {
        if self.is_scalar { "a scalar" } else { "a string" }
    }
}

impl Found {
    fn new(grid: Option<Grid>, samples_max: u64) -> Found {
        Found { grid, samples_max, points: Vec::new(), samples: 0, series: 0, histograms: 0, alone: None, over: None }
    }

    /// Looks whether there are too many by now. A series takes room without a sample, too.
    fn bounded<E: Error>(&mut self) -> Result<(), E> {
        if self.samples.max(self.series) > self.samples_max {
            self.over = Some(format!("over {} samples, {} series so far", self.samples_max, self.series));
            return Err(E::custom("too much"));
        }
        Ok(())
    }
}

struct QueryData<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for QueryData<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        // An error may say `"data": null`.
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for QueryData<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut kind = String::new();
        let mut given = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resultType" => kind = map.next_value()?,
                "result" => {
                    map.next_value_seed(ResultSeed(self.0))?;
                    given = true;
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        if !given {
            return Err(A::Error::custom("it holds no result"));
        }
        if let Some(alone) = &mut self.0.alone {
            alone.is_string = kind == "string";
            alone.is_scalar = kind == "scalar";
        }
        Ok(())
    }
}

struct ResultSeed<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for ResultSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ResultSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series, or a time and a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(ElementSeed(self.0))?.is_some() {}
        Ok(())
    }
}

/// A series, or of a scalar or a string the time, then the value.
struct ElementSeed<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series, a time or a value")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.alone = Some(Alone { text: text.to_owned(), ..Alone::default() });
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.series += 1;
        self.0.bounded()?;
        let (mut labels, mut values, mut histograms) = (Labels::default(), Vec::new(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metric" => labels = map.next_value()?,
                "values" => map.next_value_seed(ValuesSeed { found: self.0, values: &mut values })?,
                "value" => {
                    values.push(map.next_value_seed(PairSeed(self.0))?);
                    self.0.samples += 1;
                }
                "histograms" | "histogram" => {
                    map.next_value::<IgnoredAny>()?;
                    histograms = true;
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        self.0.histograms += u64::from(histograms);
        if !values.is_empty() {
            values.shrink_to_fit();
            self.0.points.push(Points { labels, values });
        }
        Ok(())
    }
}

struct ValuesSeed<'a> {
    found: &'a mut Found,
    values: &'a mut Vec<(u32, f64)>,
}

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some((place, value)) = seq.next_element_seed(PairSeed(self.found))? {
            if self.values.last().is_some_and(|(before, _)| *before >= place) {
                return Err(A::Error::custom("its times do not grow"));
            }
            self.found.samples += 1;
            self.found.bounded()?;
            self.values.push((place, value));
        }
        Ok(())
    }
}

/// A time and a value: the number of the evaluation, and what it gave.
struct PairSeed<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for PairSeed<'_> {
    type Value = (u32, f64);
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(u32, f64), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairSeed<'_> {
    type Value = (u32, f64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(u32, f64), A::Error> {
        let at: f64 = seq.next_element()?.ok_or_else(|| A::Error::custom("a time is missing"))?;
        let value = seq.next_element_seed(ValueSeed)?.ok_or_else(|| A::Error::custom("a value is missing"))?;
        let place = match self.0.grid {
            None => 0,
            Some(grid) => {
                grid.place(at).ok_or_else(|| A::Error::custom(format!("it has a time, {at}, that was not asked")))?
            }
        };
        Ok((place, value))
    }
}

/// A number as text, as it may be one that JSON has none for.
struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = f64;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<f64, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for ValueSeed {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number as text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        text.parse().map_err(|_| E::custom(format!("`{}` is no number", one_line(text))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }
}
