//! The inputs that are kept, a file each in `daemon/fuzz/TARGET`. Binary ones are written by a test: `UPDATE=1 cargo test -p homeostatd
//! --bin homeostat fuzz`. One that once failed is put beside them.

use super::folder;
use super::targets::TARGETS;
use crate::store::samples::SampleLog;
use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::feedback::{LoopKind, Signal};
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use prost::Message as _;
use std::sync::OnceLock;

#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "the tests of the running daemon take the rest, those of receivers too"
)]
#[path = "../../tests/common/messages.rs"]
pub mod messages;

#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "the tests of the running daemon take the rest, those of receivers too"
)]
#[path = "../../tests/common/metrics.rs"]
pub mod metrics;

const BEGIN: Timestamp = Timestamp::from_secs(1_795_600_000);

/// The kept inputs of a target, in the order of their names.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let dir = folder(target);
    let place = dir.display();
    let entries =
        std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{place}: {error}; UPDATE=1 writes what is made"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{place} is empty: from nothing nothing can be changed");
    files.iter().map(|path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}

/// A segment of the log of samples with one record of this body, whole by its sum.
pub fn segment(body: &[u8]) -> Vec<u8> {
    let sum = xxhash_rust::xxh3::xxh3_64(body) as u32;
    let head = [&b"HOMEOSMP"[..], &1_u32.to_le_bytes(), &(body.len() as u32).to_le_bytes(), &sum.to_le_bytes()];
    [head.concat(), body.to_vec()].concat()
}

/// Few samples make a window: what is kept shall be small.
pub fn engine_config() -> Config {
    let mut config = Config::default();
    config.learning.min_data_points = 20;
    config.learning.window_len = 40;
    config
}

/// What an engine of few series holds that has learned, alerted and heard, in parts.
pub fn parts() -> Vec<(String, Vec<u8>)> {
    static PARTS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    PARTS.get_or_init(|| experienced().snapshot()).clone()
}

fn experienced() -> Engine {
    let mut engine = Engine::with_methods(engine_config(), Methods::built_in(), 1, BEGIN);
    let kinds = [
        ("load{host=\"a\"}", Kind::Gauge),
        ("requests_total", Kind::Counter),
        ("d_bucket{le=\"1\"}", Kind::Histogram),
        ("d_bucket{le=\"+Inf\"}", Kind::Histogram),
        ("up", Kind::State),
    ];
    let ids = kinds.map(|(text, kind)| {
        let name = SeriesName::parse(text).expect(text);
        engine.intern(&name, Some(kind), BEGIN).expect("room")
    });
    let mut now = BEGIN;
    for turn in 0..60_u32 {
        now = now + Span::from_secs(30);
        let wave = f64::from(turn % 7) + if turn > 55 { 1000.0 } else { 0.0 };
        let values = [wave, f64::from(turn * 10), f64::from(turn * 2), f64::from(turn * 3), f64::from(turn % 2)];
        let samples: Vec<Sample> =
            ids.iter().zip(values).map(|(series, value)| Sample { series: *series, at: now, value }).collect();
        let _ = engine.observe(&samples, now);
        if turn % 10 == 9 {
            let signal = Signal::new(LoopKind::DecisionQuality, "outcome", 0.5, now);
            let _ = engine.signal(signal, now);
            let _ = engine.cycle(now);
        }
    }
    engine
}

/// Every binary input that is made here: target, name and bytes.
fn made() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut made = Vec::new();
    let at = BEGIN.millis();
    let mut series = vec![
        messages::series(
            &[("__name__", "http_requests_total"), ("job", "a"), ("le", "ü")],
            &[(at, 1.0), (at + 1, -0.0)],
        ),
        messages::series(&[("__name__", "b")], &[(at, f64::from_bits(0x7ff0_0000_0000_0002))]),
    ];
    series[1].exemplars = vec![vec![8, 1]];
    series[1].histograms = vec![vec![8, 1]];
    let family =
        messages::Metadata { kind: messages::COUNTER, metric_family_name: "b".to_owned(), help: "B.".to_owned() };
    let one = messages::WriteRequest { timeseries: series.clone(), metadata: vec![family] };
    made.push(("remote_write_1", "two-series".to_owned(), one.encode_to_vec()));
    made.push(("remote_write_1", "one-sample".to_owned(), messages::one(vec![series[0].clone()]).encode_to_vec()));
    made.push(("remote_write_1", "packed".to_owned(), messages::packed(&one)));
    let two = messages::two(&series, messages::HISTOGRAM);
    made.push(("remote_write_2", "two-series".to_owned(), two.encode_to_vec()));
    made.push(("remote_write_2", "packed".to_owned(), messages::packed(&two)));

    let mut point = metrics::number(at, 0.5);
    point.attributes = vec![
        metrics::pair("http.method", metrics::text("GET")),
        metrics::pair("n", metrics::value(metrics::Is::Int(-3))),
        metrics::pair("l", metrics::value(metrics::Is::List(metrics::Array { values: vec![metrics::text("a")] }))),
    ];
    let summary = metrics::Summary {
        time: at as u64 * 1_000_000,
        count: 3,
        sum: 4.5,
        quantiles: vec![metrics::Quantile { quantile: 0.5, value: 1.0 }],
    };
    let mut of_summary = metrics::gauge("s", "s", Vec::new());
    (of_summary.gauge, of_summary.summary) = (None, Some(metrics::SummaryData { data_points: vec![summary] }));
    let all = vec![
        metrics::gauge("a.b", "s", vec![point.clone()]),
        metrics::counter("c", "By", metrics::DELTA, vec![point]),
        metrics::histograms("h", "1", metrics::DELTA, vec![metrics::histogram(at, &[0.5, 1.0], &[1, 2, 3], 4.0)]),
        of_summary,
    ];
    for (n, metric) in all.iter().enumerate() {
        let alone = metrics::export(&[("service.name", "shop")], vec![metric.clone()]);
        made.push(("otlp", format!("metric-{n}"), alone.encode_to_vec()));
    }
    made.push((
        "otlp",
        "all".to_owned(),
        metrics::export(&[("service.name", "shop"), ("host", "x")], all).encode_to_vec(),
    ));

    for (part, bytes) in parts() {
        let part = part.replace('/', "-");
        made.push(("snapshot", format!("{part}-form-3-unpacked"), unpacked(&bytes)));
        made.push(("snapshot", format!("{part}-form-3"), bytes));
    }
    made.push(("sample_log", "record".to_owned(), record()));
    made.push(("sample_log", "segment".to_owned(), segment(&record())));
    made
}

/// How a part of a snapshot begins, by its form. In the first the body is not packed.
const FORMS: [&[u8]; 3] =
    [b"\x82\xa7version\x01\xa4body", b"\x82\xa7version\x02\xa4body", b"\x82\xa7version\x03\xa4body"];

/// A part of a snapshot with its body as it is before it is packed: what changes in it is not lost in unpacking it.
fn unpacked(part: &[u8]) -> Vec<u8> {
    let head = FORMS[2];
    let body = part.strip_prefix(head).expect("the present form");
    let body = match body[0] {
        0xc4 => &body[2..],
        0xc5 => &body[3..],
        _ => &body[5..],
    };
    let body = snap::raw::Decoder::new().decompress_vec(body).expect("packed");
    [head, &body].concat()
}

/// Its body packed. That of the first form makes one of the second.
pub fn packed(part: &[u8]) -> Option<Vec<u8>> {
    let form = FORMS.iter().position(|head| part.starts_with(head))?;
    let body = snap::raw::Encoder::new().compress_vec(&part[FORMS[form].len()..]).expect("few bytes");
    Some([FORMS[form.max(1)], &[0xc6], &(body.len() as u32).to_be_bytes(), &body].concat())
}

/// The body of a record with names and samples.
fn record() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let mut engine = Engine::new(engine_config(), BEGIN);
    let names = ["a{b=\"c\"}", "d"].map(|text| SeriesName::parse(text).expect(text));
    let ids = names.each_ref().map(|name| engine.intern(name, Some(Kind::Gauge), BEGIN).expect("room"));
    let sample = |n: usize| Sample { series: ids[n % 2], at: BEGIN + Span::from_secs(n as u64), value: n as f64 };
    let samples: Vec<Sample> = (0..6).map(sample).collect();
    let mut log = SampleLog::open(dir.path(), 1, Span::from_secs(1)).expect("a log");
    let name = |sample: &Sample| Some((engine.knowledge().get(sample.series)?.name().clone(), Some(Kind::Gauge)));
    log.append(&samples, 5, BEGIN, name).expect("room on the disk");
    let segment = std::fs::read(dir.path().join("samples/0000000001.log")).expect("a segment");
    // Behind the segment's head and the record's.
    segment[20..].to_vec()
}

#[test]
fn inputs_are_kept_of_every_decoder() {
    let update = std::env::var_os("UPDATE").is_some();
    for (target, name, bytes) in made() {
        assert!(TARGETS.iter().any(|each| each.name == target), "{target} is fed");
        assert!(bytes.len() < 32 << 10, "{target}/{name} has {} bytes: too many to keep", bytes.len());
        let path = folder(target).join(&name);
        if update {
            std::fs::create_dir_all(folder(target)).expect("a folder");
            std::fs::write(&path, &bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        // A later version writes other bytes; those of before are read all the same.
        assert!(path.exists(), "{} is not kept; UPDATE=1 writes it", path.display());
    }
    for target in TARGETS {
        assert!(!of(target.name).is_empty());
    }
}
