//! Metrics of OpenTelemetry, sent over HTTP: by an SDK as people use it, and as bytes of an encoder that is not ours.

mod common;

use common::metrics::{
    CUMULATIVE, DELTA, Export, Exported, HistogramData, Metric, Status, counter, export, gauge, histogram, histograms,
    metric, number,
};
use common::{Answer, Daemon, folder, now, wait_until, write};
use flate2::write::GzEncoder;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use prost::Message;
use std::io::Write;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const HEADERS: &str = "Content-Type: application/x-protobuf\r\n";

fn daemon(folder: &TempDir, more: &str) -> Daemon {
    write(folder, "homeostat.yaml", &format!("host: {{enabled: false}}\n{more}"));
    Daemon::go_on(folder.path())
}

fn millis() -> i64 {
    now() as i64 * 1000
}

fn send(daemon: &Daemon, export: &Export) -> Answer {
    daemon.send("/v1/metrics", HEADERS, &export.encode_to_vec())
}

/// What was answered, as a message.
fn message<M: Message + Default>(answer: &Answer) -> M {
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    M::decode(answer.bytes.as_slice()).expect("a message")
}

fn samples(daemon: &Daemon, series: &str) -> u64 {
    let rows = daemon.list("/api/v1/series?limit=1000");
    let row = rows.iter().find(|row| row["series"] == series);
    row.and_then(|row| row["samples"].as_u64()).unwrap_or_default()
}

fn kind(daemon: &Daemon, series: &str) -> String {
    let rows = daemon.list("/api/v1/series?limit=1000");
    let row =
        rows.iter().find(|row| row["series"] == series).unwrap_or_else(|| panic!("{series}: {:?}", daemon.names()));
    row["kind"].as_str().expect("text").to_owned()
}

#[test]
fn an_sdk_sends_its_instruments_with_either_temporality() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    for (temporality, service) in [(Temporality::Cumulative, "shop"), (Temporality::Delta, "till")] {
        let exporter = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("http://{}/v1/metrics", daemon.address))
            .with_temporality(temporality)
            .build()
            .expect("an exporter");
        let resource = Resource::builder_empty().with_service_name(service).build();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).with_resource(resource).build();
        let meter = provider.meter("test");
        let orders = meter.u64_counter("shop.orders").with_unit("{order}").build();
        let latency = meter.f64_histogram("http.server.request.duration").with_unit("s").build();
        let depth = meter.f64_gauge("queue.depth").build();
        let get = [KeyValue::new("http.request.method", "GET")];
        let series = format!(r#"shop_orders_total{{http_request_method="GET",job="{service}"}}"#);
        for round in 1..=3 {
            orders.add(5, &get);
            latency.record(0.03, &get);
            depth.record(round as f64, &[]);
            provider.force_flush().expect("it was taken");
            wait_until("a rate", || (samples(&daemon, &series) + 1 >= round).then_some(()));
            // Two flushes of one millisecond would be one point in time.
            let flushed = SystemTime::now();
            wait_until("another millisecond", || (flushed.elapsed().ok()? >= Duration::from_millis(1)).then_some(()));
        }
        provider.shutdown().expect("an end");
        assert_eq!(kind(&daemon, &series), "counter");
        assert_eq!(kind(&daemon, &format!(r#"queue_depth{{job="{service}"}}"#)), "gauge");
        let bucket = format!(
            r#"http_server_request_duration_seconds_bucket{{http_request_method="GET",job="{service}",le="+Inf"}}"#
        );
        assert_eq!(kind(&daemon, &bucket), "histogram");
        let made = format!(
            r#"http_server_request_duration_seconds{{http_request_method="GET",job="{service}",quantile="0.5"}}"#
        );
        assert!(daemon.names().contains(&made), "{:?}", daemon.names());
    }
    assert!(daemon.metric(r#"homeostat_receive_samples_total{protocol="otlp"}"#) > 60.0);
    assert_eq!(daemon.try_metric(r#"homeostat_receive_requests_total{protocol="otlp",code="400"}"#), None);
    let refused = daemon.get("/metrics").text;
    let mut refused = refused.lines().filter(|line| line.starts_with("homeostat_receive_refused_total"));
    assert!(refused.all(|line| line.ends_with(" 0")));
}

#[test]
fn what_is_counted_since_the_last_time_is_a_rate_and_a_lost_answer_changes_nothing() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let at = millis() - 600_000;
    for n in 0..30 {
        let time = at + n * 10_000;
        let request = export(
            &[("service.name", "shop")],
            vec![
                counter("orders", "", DELTA, vec![number(time, 20.0)]),
                histograms("took", "s", DELTA, vec![histogram(time, &[0.1, 1.0], &[5, 3, 2], 4.0)]),
            ],
        );
        // Every third one is sent again, as if its answer had been lost.
        for _ in 0..1 + usize::from(n % 3 == 0) {
            let answer = send(&daemon, &request);
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(message::<Exported>(&answer), Exported::default());
        }
    }
    let rate = |series: &str| {
        let window = daemon.data(&format!("/api/v1/series/samples?series={series}&limit=1000"))["samples"].clone();
        let values = window.as_array().expect("a list").iter().map(|pair| pair[1].as_f64().expect("a number"));
        values.collect::<Vec<_>>()
    };
    let orders = rate("orders_total%7Bjob%3D%22shop%22%7D");
    assert!(orders.len() >= 28 && orders.iter().all(|rate| *rate == 2.0), "{orders:?}");
    let took = rate("took_seconds_count%7Bjob%3D%22shop%22%7D");
    assert!(took.len() >= 27 && took.iter().all(|rate| *rate == 1.0), "{took:?}");
    assert!(daemon.names().iter().any(|name| name.starts_with("took_seconds{") && name.contains("quantile=\"0.5\"")));
}

#[test]
fn what_cannot_be_taken_is_told_in_the_answer_and_the_rest_is_taken() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let now = millis();
    let exponential = HistogramData { data_points: vec![histogram(now, &[], &[], 1.0); 3], temporality: CUMULATIVE };
    let answer = send(
        &daemon,
        &export(
            &[],
            vec![
                gauge("good", "", vec![number(now, 1.0)]),
                Metric { exponential: Some(exponential), ..metric("wide", "") },
                gauge("é", "", vec![number(now, 1.0)]),
                gauge("early", "", vec![number(now + 3_600_000, 1.0)]),
            ],
        ),
    );
    assert_eq!(answer.status, 200);
    let partial = message::<Exported>(&answer).partial_success.expect("some were refused");
    let said = &partial.error_message;
    assert_eq!(partial.rejected_data_points, 5, "{said}");
    for wanted in ["wide: exponential histograms are set aside", "over ten minutes ahead"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert_eq!(samples(&daemon, "good"), 1);
    assert_eq!(daemon.metric(r#"homeostat_receive_set_aside_total{what="histogram"}"#), 3.0);
    assert_eq!(daemon.metric(r#"homeostat_receive_refused_total{reason="point"}"#), 1.0);
    assert_eq!(daemon.metric(r#"homeostat_receive_refused_total{reason="too_new"}"#), 1.0);
}

#[test]
fn other_forms_are_refused_with_what_to_do_and_gzip_is_not() {
    let folder = folder();
    let daemon = daemon(&folder, "receive: {body_max: 100000, body_uncompressed_max: 200000}\n");
    let body = export(&[], vec![gauge("g", "", vec![number(millis(), 1.0)])]).encode_to_vec();
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    };
    let packed = format!("{HEADERS}Content-Encoding: gzip\r\n");
    let answer = daemon.send("/v1/metrics", &packed, &gzip(&body));
    assert_eq!((answer.status, message::<Exported>(&answer)), (200, Exported::default()));
    assert_eq!(samples(&daemon, "g"), 1);
    let cut = gzip(&body);
    for (headers, body, status, wanted) in [
        ("Content-Type: application/json\r\n", &b"{}"[..], 415, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ("", &body, 415, "send application/x-protobuf"),
        (&format!("{HEADERS}Content-Encoding: zstd\r\n"), &body, 415, "send gzip or none"),
        (&packed, &body, 400, "the body is not gzip"),
        (&packed, &cut[..cut.len() - 3], 400, "the body is not gzip"),
        (&packed, &gzip(&vec![0; 1 << 20]), 413, "over 200000 bytes when it is uncompressed"),
        (HEADERS, &vec![0; 100_001], 413, "over 100000 bytes (receive.body_max)"),
        (HEADERS, &[0x0a, 0xff, 0x01][..], 400, "resource_metrics[0].scope_metrics[0].metrics[0]: it is cut off"),
    ] {
        let answer = daemon.send("/v1/metrics", headers, body);
        assert_eq!(answer.status, status, "{wanted}: {}", answer.text);
        let told: Status = message(&answer);
        assert!(told.code == 3 && told.message.contains(wanted), "{wanted}: {told:?}");
    }
    assert_eq!(daemon.metric(r#"homeostat_receive_requests_total{protocol="otlp",code="415"}"#), 3.0);
}
