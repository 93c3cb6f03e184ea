//! What is made of data points, series by series, and what becomes of damaged requests.

#[allow(dead_code, reason = "the tests of the running daemon take the rest")]
#[path = "../../../tests/common/metrics.rs"]
mod metrics;

use super::*;
use crate::receive::labels::called;
use crate::receive::tests::{damage, harm};
use metrics::*;
use metrics::{Metric, value};
use proptest::prelude::*;
use prost::Message as _;

const NOW: i64 = 1_700_000_000_000;
const SERVICE: &[(&str, &str)] = &[("service.name", "shop"), ("service.instance.id", "a:1"), ("host.arch", "x")];

fn read(export: &Export, deltas: Option<&mut Deltas>, batch: &mut Batch) -> Result<Left, No> {
    let now = Timestamp::from_millis(NOW);
    decode(&export.encode_to_vec(), Reading { seed: 7, labels_max: 1 << 20, now, deltas }, batch)
}

/// Every sample that is made: its series, what it measures, when, and how much.
fn rows(batch: &Batch) -> Vec<(String, Type, i64, f64)> {
    let row = |told: crate::receive::batch::Told<'_>| {
        let name = called(&told, &[], &[]).expect("labels of our own are good").name.to_string();
        let kind = told.told();
        told.samples().map(move |(at, value)| (name.clone(), kind, at.millis() - NOW, value)).collect::<Vec<_>>()
    };
    batch.series().flat_map(row).collect()
}

fn made(export: &Export) -> (Vec<(String, Type, i64, f64)>, Left) {
    let mut batch = Batch::default();
    let left = read(export, None, &mut batch).expect("whole");
    (rows(&batch), left)
}

#[test]
fn points_become_series_as_in_prometheus() {
    let mut point = number(NOW, 0.5);
    point.attributes = vec![
        pair("http.method", text("GET")),
        pair("2xx", value(Is::Bool(true))),
        pair("n", value(Is::Int(-3))),
        pair("f", value(Is::Double(2.5))),
        pair("whole", value(Is::Double(2.0))),
        pair("list", value(Is::List(Array { values: vec![text("a"), value(Is::Int(1))] }))),
        pair("map", value(Is::Map(Pairs { values: vec![pair("k", text("v"))] }))),
        pair("bytes", value(Is::Bytes(b"foo".to_vec()))),
        pair("a.b", text("2")),
        pair("a_b", text("1")),
        pair("empty", text("")),
        pair("job", text("another")),
    ];
    let mut whole = number(NOW + 1, 0.0);
    (whole.as_double, whole.as_int) = (None, Some(7));
    let (rows, left) = made(&export(
        SERVICE,
        vec![
            gauge("system.memory.utilization", "1", vec![point]),
            counter("http.requests", "{request}", CUMULATIVE, vec![whole.clone()]),
            Metric {
                sum: Some(Numbers { data_points: vec![whole], temporality: CUMULATIVE, monotonic: false }),
                ..metric("queue.length", "1")
            },
        ],
    ));
    let own = r#"instance="a:1",job="shop""#;
    let first = r#"system_memory_utilization_ratio{a_b="2;1",bytes="Zm9v",f="2.5",http_method="GET",instance="a:1",job="shop",key_2xx="true",list="[\"a\",1]",map="{\"k\":\"v\"}",n="-3",whole="2"}"#.to_owned();
    assert_eq!(
        rows,
        [
            (first, Type::Gauge, 0, 0.5),
            (format!("http_requests_total{{{own}}}"), Type::Counter, 1, 7.0),
            (format!("queue_length{{{own}}}"), Type::Gauge, 1, 7.0),
        ]
    );
    assert_eq!(left, Left { points: 3, ..Left::default() });
    let (rows, _) = made(&export(
        &[("service.name", "s"), ("service.namespace", "n")],
        vec![gauge("g", "", vec![number(NOW, 1.0)])],
    ));
    assert_eq!(rows[0].0, r#"g{job="n/s"}"#);
    let (rows, _) = made(&export(&[], vec![gauge("g", "", vec![number(NOW, 1.0)])]));
    assert_eq!(rows[0].0, "g");
}

#[test]
fn histograms_and_summaries_become_buckets_and_quantiles() {
    let point = histogram(NOW, &[0.005, 1.0, 2.5], &[1, 2, 0, 4], 9.5);
    let summary = Summary {
        time: NOW as u64 * 1_000_000,
        count: 3,
        sum: 1.5,
        quantiles: vec![Quantile { quantile: 0.5, value: 0.25 }, Quantile { quantile: 0.99, value: 1.0 }],
    };
    let (rows, left) = made(&export(
        &[],
        vec![
            histograms("http.duration", "s", CUMULATIVE, vec![point]),
            Metric { summary: Some(SummaryData { data_points: vec![summary] }), ..metric("rpc.time", "ms") },
        ],
    ));
    let names: Vec<(&str, f64)> = rows.iter().map(|(name, _, _, value)| (name.as_str(), *value)).collect();
    assert_eq!(
        names,
        [
            (r#"http_duration_seconds_bucket{le="0.005"}"#, 1.0),
            (r#"http_duration_seconds_bucket{le="1"}"#, 3.0),
            (r#"http_duration_seconds_bucket{le="2.5"}"#, 3.0),
            (r#"http_duration_seconds_bucket{le="+Inf"}"#, 7.0),
            ("http_duration_seconds_sum", 9.5),
            ("http_duration_seconds_count", 7.0),
            (r#"rpc_time_milliseconds{quantile="0.5"}"#, 0.25),
            (r#"rpc_time_milliseconds{quantile="0.99"}"#, 1.0),
            ("rpc_time_milliseconds_sum", 1.5),
            ("rpc_time_milliseconds_count", 3.0),
        ]
    );
    assert!(rows[..6].iter().all(|row| row.1 == Type::Histogram) && rows[6..].iter().all(|row| row.1 == Type::Summary));
    assert_eq!(left.points, 2);
}

#[test]
fn a_point_without_a_value_ends_its_series() {
    let mut gone = number(NOW, 0.0);
    (gone.as_double, gone.flags) = (None, 1);
    let mut no_histogram = histogram(NOW, &[1.0], &[], 0.0);
    (no_histogram.flags, no_histogram.sum) = (1, None);
    let (rows, left) =
        made(&export(&[], vec![gauge("g", "", vec![gone]), histograms("h", "", CUMULATIVE, vec![no_histogram])]));
    assert_eq!((rows.len(), left.refused), (4, 0), "{left:?}");
    assert!(rows.iter().all(|(_, _, _, value)| value.to_bits() == STALE.to_bits()));
}

#[test]
fn what_no_series_can_be_made_of_is_refused_point_by_point() {
    let good = || gauge("good", "", vec![number(NOW, 1.0)]);
    let mut no_value = number(NOW, 1.0);
    no_value.as_double = None;
    let mut no_text = number(NOW, 1.0);
    no_text.attributes = vec![KeyValue { key: vec![0xff], value: Some(text("a")) }];
    let falling = histogram(NOW, &[2.0, 1.0], &[1, 1, 1], 1.0);
    let short = histogram(NOW, &[1.0, 2.0], &[1, 1], 1.0);
    let exponential = HistogramData { data_points: vec![histogram(NOW, &[], &[], 1.0); 2], temporality: CUMULATIVE };
    for (bad, refused, wanted) in [
        (gauge("é", "", vec![number(NOW, 1.0)]), 1, "name has no letters or digits"),
        (gauge("a", "", vec![number(0, 1.0), number(0, 1.0)]), 2, "a: time_unix_nano is missing"),
        (gauge("a", "", vec![no_value]), 1, "a: value is missing"),
        (gauge("a", "", vec![no_text]), 1, "a: attributes.key is not UTF-8"),
        (counter("a", "", 0, vec![number(NOW, 1.0)]), 1, "a: aggregation_temporality is neither"),
        (histograms("a", "", CUMULATIVE, vec![falling]), 1, "a: explicit_bounds do not rise"),
        (histograms("a", "", CUMULATIVE, vec![short]), 1, "a: there are 2 bucket_counts for 2 explicit_bounds"),
        (histograms("a", "", CUMULATIVE, vec![histogram(NOW, &[], &[1; 1002], 1.0)]), 1, "a: it has over 1000 buckets"),
        (Metric { exponential: Some(exponential), ..metric("a", "") }, 2, "a: exponential histograms are set aside"),
    ] {
        let (rows, left) = made(&export(&[], vec![bad, good()]));
        assert_eq!(rows, [("good".to_owned(), Type::Gauge, 0, 1.0)], "{wanted}");
        assert_eq!((left.points, left.refused), (1, refused), "{left:?}");
        assert!(left.said.len() == 1 && left.said[0].contains(wanted), "{wanted}: {left:?}");
    }
}

#[test]
fn differences_become_sums_that_outlive_a_request_and_a_lost_answer() {
    let at = |n: i64| NOW + n * 1000;
    let request = |n: i64| {
        export(
            &[],
            vec![
                counter("c", "", DELTA, vec![number(at(n), 2.0)]),
                histograms("h", "", DELTA, vec![histogram(at(n), &[1.0], &[1, 2], 0.5)]),
            ],
        )
    };
    let mut batch = Batch::default();
    assert_eq!(read(&request(1), None, &mut batch), Err(No::Deltas), "their sums have to be at hand");
    let mut deltas = Deltas::new(10);
    let mut values = |n, deltas: &mut Deltas| {
        read(&request(n), Some(deltas), &mut batch).expect("whole");
        rows(&batch).into_iter().map(|(_, _, _, value)| value).collect::<Vec<_>>()
    };
    let first = [2.0, 1.0, 3.0, 0.5, 3.0];
    assert_eq!(values(1, &mut deltas), first);
    assert_eq!(values(1, &mut deltas), first, "the one before was not taken");
    deltas.done();
    assert_eq!(values(1, &mut deltas), [0.0; 0], "it was, and comes once more");
    assert_eq!(values(2, &mut deltas), [4.0, 2.0, 6.0, 1.0, 6.0]);
    deltas.done();
    let mut few = Deltas::new(2);
    let left = read(&request(1), Some(&mut few), &mut batch).expect("whole");
    assert_eq!(left.refused, 1);
    assert!(left.said[0].contains("2 series of differences are summed up already"), "{left:?}");
}

#[test]
fn labels_that_multiply_are_bounded() {
    let mut point = histogram(NOW, &[0.0; 0], &[1], 1.0);
    point.explicit_bounds = (0..999).map(f64::from).collect();
    point.bucket_counts = vec![1; 1000];
    point.attributes = vec![pair("a", text(&"x".repeat(5000)))];
    let mut batch = Batch::default();
    let refused = read(&export(&[], vec![histograms("h", "", CUMULATIVE, vec![point])]), None, &mut batch);
    assert_eq!(refused, Err(No::NotRead(NotRead::TooMany { what: "bytes of labels", max: 1 << 20 })));
    // Values that lie within each other without end are read to some depth.
    let field = |number: u32, bytes: &[u8]| {
        let mut all = Vec::new();
        put(&mut all, number, bytes);
        all
    };
    let mut nested = text("deep").encode_to_vec();
    for _ in 0..5000 {
        nested = field(5, &field(1, &nested));
    }
    let mut point = number(NOW, 1.0).encode_to_vec();
    point.extend(field(7, &[field(1, b"a"), field(2, &nested)].concat()));
    let metric = [field(1, b"g"), field(5, &field(1, &point))].concat();
    let body = field(1, &field(2, &field(2, &metric)));
    let reading = Reading { seed: 7, labels_max: 1 << 20, now: Timestamp::from_millis(NOW), deltas: None };
    assert_eq!(decode(&body, reading, &mut batch).map(|left| left.points), Ok(1));
    assert_eq!(rows(&batch)[0].0, r#"g{a="[[[[[[[[null]]]]]]]]"}"#);
}

fn some_point() -> impl Strategy<Value = Number> {
    let attribute = ("[a-z.]{0,4}", "\\PC{0,4}").prop_map(|(key, value)| pair(&key, text(&value)));
    (prop::collection::vec(attribute, 0..3), any::<u32>(), any::<f64>())
        .prop_map(|(attributes, ms, value)| Number { attributes, ..number(NOW + i64::from(ms), value) })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_requests_are_taken_or_refused(
        points in prop::collection::vec(some_point(), 0..4),
        bounds in prop::collection::vec(any::<f64>(), 0..4),
        damage in damage(0),
    ) {
        let request = export(SERVICE, vec![
            gauge("a.b", "s", points.clone()),
            counter("c", "By", DELTA, points),
            histograms("h", "1", DELTA, vec![histogram(NOW, &bounds, &vec![1; bounds.len() + 1], 1.0)]),
        ]);
        let mut bytes = request.encode_to_vec();
        harm(&mut bytes, &damage);
        let (mut batch, mut deltas) = (Batch::default(), Deltas::new(100));
        let reading = Reading { seed: 7, labels_max: 1 << 16, now: Timestamp::from_millis(NOW), deltas: Some(&mut deltas) };
        match decode(&bytes, reading, &mut batch) {
            Ok(left) => {
                prop_assert_eq!(left.refused > 0, !left.said.is_empty());
                for told in batch.series() {
                    // Whatever the sender wrote, the labels that are made of it are good, or one is too long.
                    if let Err(refusal) = called(&told, &[], &[]) {
                        prop_assert!(refusal.message.contains("bytes"), "{}", refusal.message);
                    }
                }
            }
            Err(No::NotRead(error)) => prop_assert!(!error.to_string().is_empty()),
            Err(No::Deltas) => prop_assert!(false, "the sums are at hand"),
        }
    }
}
