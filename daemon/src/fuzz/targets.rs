//! What is fed to each decoder, and what has to hold of what it makes of it: an answer or an error that names something, no more of
//! anything than there were bytes for, and the same once more where it can be written again.

use super::Target;
use super::seeds::{self, messages, metrics};
use crate::access::file as access;
use crate::alertmanager::message;
use crate::calendar::ical;
use crate::config::{Config, Flags};
use crate::prometheus::answer::{self, Grid};
use crate::prometheus::text::{self, Format};
use crate::receive::labels::{Refusal, called};
use crate::receive::otlp::delta::Deltas;
use crate::receive::otlp::{self, No, Reading};
use crate::receive::remote_write::{Version, decode};
use crate::receive::{Batch, Why};
use crate::rules::change::apply;
use crate::rules::compare::analyse;
use crate::rules::expr::{Expr, Node};
use crate::rules::file::RuleFile;
use crate::source::file::{FileError, Line, Rows};
use crate::store::samples;
use homeostat::analyze::strategy::Methods;
use homeostat::config::StrategyName;
use homeostat::engine::Engine;
use homeostat::series::{Selector, SeriesName};
use homeostat::time::{Span, Timestamp};
use jiff::tz::TimeZone;
use prost::Message as _;
use std::fmt::Write as _;
use std::path::Path;

pub const TARGETS: &[Target] = &[
    Target { name: "remote_write_1", cases: 20_000, check: |bytes| remote_write(bytes, Version::One) },
    Target { name: "remote_write_2", cases: 20_000, check: |bytes| remote_write(bytes, Version::Two) },
    Target { name: "otlp", cases: 20_000, check: otlp },
    Target { name: "prometheus_text", cases: 10_000, check: prometheus_text },
    Target { name: "prometheus_answer", cases: 10_000, check: prometheus_answer },
    Target { name: "rows", cases: 10_000, check: rows },
    Target { name: "sample_log", cases: 1_000, check: sample_log },
    Target { name: "snapshot", cases: 1_000, check: snapshot },
    Target { name: "configuration", cases: 500, check: configuration },
    Target { name: "access", cases: 1_000, check: access_file },
    Target { name: "promql", cases: 20_000, check: promql },
    Target { name: "rules", cases: 10_000, check: rules },
    Target { name: "calendar", cases: 20_000, check: calendar },
    Target { name: "alertmanager", cases: 20_000, check: alertmanager },
    Target { name: "names", cases: 10_000, check: names },
];

const NOW: Timestamp = Timestamp::from_secs(1_795_669_200);

/// Whatever a hash is begun with.
const HASH: u64 = 7;

/// What a body may have when it is uncompressed.
const BODY_MAX: u64 = 1 << 20;

/// An error says something, in one line that a person can read.
fn says(error: &dyn std::fmt::Display) {
    let text = error.to_string();
    assert!(text.trim().len() > 3 && text.len() < 20_000, "{} bytes are no message: {text:.100}", text.len());
}

fn remote_write(bytes: &[u8], version: Version) {
    // As it comes, and as what was packed.
    let mut batch = Batch::default();
    if let Err(error) = decode(bytes, version, BODY_MAX, HASH, &mut batch) {
        says(&error);
    }
    match decode(&messages::snappy(bytes), version, BODY_MAX, HASH, &mut batch) {
        Ok(()) => {}
        Err(error) => return says(&error),
    }
    assert!(batch.samples() <= bytes.len() / 2, "{} samples of {} bytes", batch.samples(), bytes.len());
    let mut again = Vec::new();
    for told in batch.series() {
        let mut labels = Vec::new();
        let read: Result<(), Refusal> = told.labels(|name, value| {
            labels.push(messages::Label { name: name.to_vec(), value: value.to_vec() });
            Ok(())
        });
        let samples = told.samples().map(|(at, value)| messages::sample(at.millis(), value)).collect();
        match (read, called(&told, &[], &[])) {
            (Ok(()), _) => again.push(messages::TimeSeries { labels, samples, ..messages::TimeSeries::default() }),
            (Err(_), Err(refusal)) => assert!(refusal.why == Why::Labels && !refusal.message.is_empty()),
            (Err(refusal), Ok(called)) => panic!("{} is called so, and {}", called.name, refusal.message),
        }
    }
    if again.len() < batch.series().count() {
        return;
    }
    let mut batch_again = Batch::default();
    let written = messages::packed(&messages::one(again));
    decode(&written, Version::One, 16 * BODY_MAX, HASH, &mut batch_again)
        .expect("what was read can be written and read");
    assert_eq!(sent(&batch_again), sent(&batch), "what was written again says something else");
}

/// Labels of a series, and its samples to the bit.
type Sent = (Vec<(Vec<u8>, Vec<u8>)>, Vec<(i64, u64)>);

fn sent(batch: &Batch) -> Vec<Sent> {
    let one = |told: crate::receive::batch::Told<'_>| {
        let mut labels = Vec::new();
        let _: Result<(), Refusal> = told.labels(|name, value| {
            labels.push((name.to_vec(), value.to_vec()));
            Ok(())
        });
        (labels, told.samples().map(|(at, value)| (at.millis(), value.to_bits())).collect())
    };
    batch.series().map(one).collect()
}

fn otlp(bytes: &[u8]) {
    const LABELS_MAX: usize = 1 << 16;
    let (mut batch, mut deltas) = (Batch::default(), Deltas::new(100));
    let reading = Reading { seed: HASH, labels_max: LABELS_MAX, now: NOW, deltas: Some(&mut deltas) };
    match otlp::decode(bytes, reading, &mut batch) {
        Ok(left) => {
            assert_eq!(left.refused > 0, !left.said.is_empty() && left.refused > 0, "refused without a word");
            for told in batch.series() {
                if let Err(refusal) = called(&told, &[], &[]) {
                    assert!(refusal.message.contains("bytes"), "labels made here are bad: {}", refusal.message);
                }
            }
        }
        Err(No::NotRead(error)) => says(&error),
        Err(No::Deltas) => panic!("the sums are at hand"),
    }
    // What the reference reads as well.
    let _ = metrics::Export::decode(bytes);
}

fn prometheus_text(bytes: &[u8]) {
    for format in [Format::Classic, Format::OpenMetrics] {
        let (mut read, mut series) = (Vec::new(), Vec::new());
        let told = text::read(bytes, format, &mut |sample| {
            let parts = text::parts(sample.series)?;
            let name = SeriesName::new(&parts.name, parts.labels).map_err(|error| error.to_string())?;
            read.push((name, sample.value, sample.at));
            series.push(sample.series);
            Ok(())
        });
        match told {
            Ok(_) => {}
            Err(error) => {
                assert!(error.line >= 1 && error.line <= bytes.len() + 1, "line {}", error.line);
                says(&error);
                continue;
            }
        }
        assert!(read.len() <= bytes.len() / 3 + 1, "{} samples of {} bytes", read.len(), bytes.len());
        // Whatever is foretold of it, it is read as it was.
        let mut foretold = |line: &str| series.iter().find(|one| text::begins_with(line, one)).map(|one| one.len());
        let mut place = 0;
        let told = text::read_foretold(bytes, format, &mut foretold, &mut |sample| {
            assert_eq!(sample.series, series[place], "line {}", sample.line);
            assert_eq!(sample.at, read[place].2, "line {}", sample.line);
            place += 1;
            Ok(())
        });
        assert!(told.is_ok() && place == read.len(), "what was read is not read when it is foretold: {:?}", told.err());
        let mut again = String::new();
        for (name, value, at) in &read {
            let at = at.map_or(String::new(), |at| format!(" {}", at.millis()));
            let _ = writeln!(again, "{} {value}{at}", quoted(name));
        }
        let mut count = 0;
        let told = text::read(again.as_bytes(), Format::Classic, &mut |sample| {
            let parts = text::parts(sample.series)?;
            let name = SeriesName::new(&parts.name, parts.labels).map_err(|error| error.to_string())?;
            let (wanted, value, at) = &read[count];
            count += 1;
            assert!(name == *wanted && sample.at == *at, "{name} was {wanted}");
            assert!(sample.value.to_bits() == value.to_bits() || value.is_nan(), "{} was {value}", sample.value);
            Ok(())
        });
        assert!(told.is_ok() && count == read.len(), "what was read cannot be read again: {:?}\n{again}", told.err());
    }
}

/// A series with all of its names in quotes, which any text can stand in.
fn quoted(series: &SeriesName) -> String {
    let text = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let (name, labels) = series.parts();
    let labels = labels.iter().map(|(name, value)| format!(",{}={}", text(name), text(value)));
    format!("{{{}{}}}", text(&name), labels.collect::<String>())
}

fn prometheus_answer(bytes: &[u8]) {
    const MOST: u64 = 1_000;
    let grid = Grid { start: NOW, step: 60_000, steps: 5 };
    match answer::matrix(bytes, grid, MOST) {
        Ok(matrix) => {
            assert!(matrix.samples <= MOST, "{} samples", matrix.samples);
            assert!(matrix.points.iter().all(|points| points.values.len() <= 5), "more values than steps");
        }
        Err(error) => assert!(!format!("{error:?}").is_empty()),
    }
    if let Ok(read) = answer::instant(bytes, MOST) {
        assert!(format!("{:?}", read.value).len() < 1000 + 100 * bytes.len());
    }
    let _ = answer::plain::<serde_json::Value>(bytes);
    let (_, said) = answer::failure(bytes);
    assert!(said.len() <= bytes.len() + 1000, "it says more than it was told");
}

/// CSV and JSON lines: which of the two is seen from the first character.
fn rows(bytes: &[u8]) {
    type Read = Vec<(String, i64, u64)>;
    let read = |bytes: &[u8]| -> Result<Read, FileError> {
        let mut rows = Rows::from_reader(Path::new("dir/load.csv"), "load", std::io::Cursor::new(bytes.to_vec()));
        let (mut read, mut before) = (Vec::new(), 0);
        while let Some(line) = rows.next_line()? {
            let number = match &line {
                Line::Row(row) => {
                    read.push((row.name.to_string(), row.at.millis(), row.value.to_bits()));
                    row.line
                }
                Line::Bad(error) => {
                    says(error);
                    error.line
                }
            };
            assert!(number > before, "line {number} after {before}");
            before = number;
        }
        Ok(read)
    };
    let first = match read(bytes) {
        Ok(first) => first,
        Err(error) => return says(&error),
    };
    let mut again = String::new();
    for (name, at, value) in &first {
        let value = f64::from_bits(*value);
        let number = if value.is_finite() { serde_json::json!(value) } else { serde_json::json!(value.to_string()) };
        let at = Timestamp::from_millis(*at).to_string();
        let _ = writeln!(again, "{}", serde_json::json!({ "series": name, "timestamp": at, "value": number }));
    }
    let second = read(again.as_bytes()).expect("what was read can be written and read");
    let is_nan = |bits: u64| f64::from_bits(bits).is_nan();
    let same = |(one, other): (&(String, i64, u64), &(String, i64, u64))| {
        one.0 == other.0 && one.1 == other.1 && (one.2 == other.2 || is_nan(one.2) && is_nan(other.2))
    };
    assert!(first.len() == second.len() && first.iter().zip(&second).all(same), "{first:?}\n{second:?}\n{again}");
}

/// A record of the log of samples, whole by its sum; and the bytes as a whole segment.
fn sample_log(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("samples");
    std::fs::create_dir(&folder).expect("a folder");
    for (whole, segment) in [(false, bytes.to_vec()), (true, seeds::segment(bytes))] {
        std::fs::write(folder.join("0000000001.log"), &segment).expect("a segment");
        let (mut samples, mut names) = (0, 0);
        let recalled = samples::recall(dir.path(), 0, |entry| {
            samples += entry.samples.len();
            names += entry.named.len();
        });
        match recalled {
            Ok(recalled) => {
                assert_eq!(recalled.samples, samples as u64);
                assert!(samples <= segment.len() / 20 && names <= segment.len() / 11, "more than there are bytes for");
                let lost: u64 = recalled.lost.iter().map(|(_, _, bytes)| bytes).sum();
                assert!(lost <= segment.len() as u64 && (!whole || lost == 0 || samples == 0), "{lost} bytes are lost");
            }
            Err(error) => says(&error),
        }
    }
}

fn snapshot(bytes: &[u8]) {
    snapshot_part(bytes);
    if let Some(packed) = seeds::packed(bytes) {
        snapshot_part(&packed);
    }
}

fn snapshot_part(bytes: &[u8]) {
    let whole = seeds::parts();
    for (at, (part, _)) in whole.iter().enumerate() {
        let mut parts = whole.clone();
        parts[at].1 = bytes.to_vec();
        let restored =
            |parts: &[(String, Vec<u8>)]| Engine::restore(seeds::engine_config(), Methods::built_in(), 1, parts, NOW);
        match restored(&parts) {
            Ok(engine) => {
                let written = engine.snapshot();
                let again =
                    restored(&written).unwrap_or_else(|error| panic!("{part}: what was read and written: {error}"));
                assert!(again.snapshot() == written, "{part}: what is written again is something else");
            }
            Err(error) => says(&error),
        }
    }
}

fn configuration(bytes: &[u8]) {
    // A name that leads to a device is no input of a configuration that anybody fuzzes.
    let text = String::from_utf8_lossy(bytes);
    if ["/dev", "/proc", "/sys"].iter().any(|place| text.contains(place)) {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("homeostat.yaml");
    let strategies: Vec<StrategyName> = Methods::built_in().names();
    let load = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("a file");
        Config::load_to_start(Some(&file), std::iter::empty(), &Flags::default(), &strategies)
    };
    match load(bytes) {
        Ok(loaded) => {
            let written = loaded.to_yaml();
            let again =
                load(written.as_bytes()).unwrap_or_else(|error| panic!("what was read and shown: {error}\n{written}"));
            let changed = crate::config::changed(&loaded.config, &again.config);
            assert!(changed.is_empty(), "what is shown says something else: {changed:?}");
        }
        Err(error) => says(&error),
    }
}

/// Stands in an access file where no message may show it.
pub const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t-s3cr3t";

fn access_file(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("access.yaml");
    std::fs::write(&file, bytes).expect("a file");
    std::fs::write(dir.path().join("token"), SECRET).expect("a file");
    match access::read(&file) {
        Ok(policy) => assert!(policy.tokens.len() + policy.users.len() <= bytes.len(), "more than there are bytes for"),
        Err(problem) => {
            says(&problem);
            assert!(problem.contains("access.yaml"), "no place: {problem}");
            // A key that nobody knows is named; values are not.
            let named = problem.contains("there is no such key");
            assert!(named || !problem.contains(SECRET), "a secret is shown: {problem}");
        }
    }
}

fn promql(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let expr = match Expr::parse(&text) {
        Ok(expr) => expr,
        Err(error) => return says(&error),
    };
    expr.walk(&mut |part| {
        let written = text.get(part.span.clone()).expect("a part of the text");
        // A part means the same alone, but where it is a modifier's or a range's.
        if matches!(part.node, Node::Number(_) | Node::Paren(_) | Node::Call { .. }) {
            assert!(Expr::parse(written).is_ok(), "`{written}` is part of what is read, and not read");
        }
    });
    if let Ok(analysis) = analyse(&text) {
        assert!(analysis.comparisons.len() <= text.len());
    }
}

fn rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let file = RuleFile::parse("rules.yml", text.clone());
    assert_eq!(apply(&file, &[]).expect("nothing to do"), text);
    for rule in file.rules() {
        assert!(rule.line <= text.len() + 1);
    }
}

fn calendar(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let zone = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC);
    match ical::entries(&text, &zone, NOW + Span::hours(24 * 366 * 2)) {
        Ok(entries) => {
            assert!(entries.iter().all(|entry| entry.from < entry.until), "an entry that ends before it begins");
        }
        Err(wrong) => {
            assert!(wrong.line <= text.lines().count() + 1, "line {}", wrong.line);
            says(&wrong);
        }
    }
}

fn alertmanager(bytes: &[u8]) {
    for read in [message::webhook(bytes), message::alerts(bytes)] {
        match read {
            Ok((alerts, problems)) => {
                assert!(alerts.len() <= message::ALERTS_MAX && alerts.len() + problems.len() <= bytes.len());
                problems.iter().for_each(|problem| says(problem));
            }
            Err(problem) => says(&problem),
        }
    }
    if let Err(problem) = message::silences(bytes) {
        says(&problem);
    }
    if let Err(problem) = message::started_at(bytes) {
        says(&problem);
    }
}

/// What a series and a selector are called, durations and times, as they come in addresses, files and bodies.
fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        match SeriesName::parse(line) {
            Ok(name) => assert_eq!(SeriesName::parse(name.as_str()).as_ref(), Ok(&name), "a name in its own form"),
            Err(error) => says(&error),
        }
        match Selector::parse(line) {
            Ok(selector) => assert!(Selector::parse(&selector.to_string()).is_ok(), "{selector}: in its own form"),
            Err(error) => says(&error),
        }
        match Timestamp::parse(line) {
            Ok(at) => assert_eq!(Timestamp::parse(&at.to_string()).ok(), Some(at), "a time in its own form"),
            Err(error) => says(&error),
        }
        match Span::parse(line) {
            Ok(span) => assert_eq!(Span::parse(&span.to_string()).ok(), Some(span), "a duration in its own form"),
            Err(error) => says(&error),
        }
    }
}
