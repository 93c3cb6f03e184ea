//! History from a Prometheus: what flags say, and that pieces are what one query would have been.

mod common;

use common::prometheus::{Prometheus, create_blocks};
use common::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[test]
fn what_cannot_be_asked_is_said_before_anybody_is() {
    let dir = folder();
    let cases: [(&[&str], &str); 7] = [
        (&["fetch", "up"], "--prometheus"),
        (&["fetch", "up", "--prometheus", "localhost:9090"], "no address"),
        (&["fetch", "up", "--prometheus", "http://me:hunter2@localhost"], "--prometheus: leave the name"),
        (
            &["fetch", "up", "--prometheus", "http://x", "--header", "Authorization: Bearer hunter2"],
            "secret stands in a file",
        ),
        (
            &["fetch", "up", "--prometheus", "http://x", "--queries-at-once", "99"],
            "--queries-at-once: 99 is outside 1 to 16",
        ),
        (&["fetch", "up", "--prometheus", "http://x", "--step", "0s"], "--step"),
        (&["fetch", "up", "--prometheus", "https://x", "--ca-file", "missing.pem"], "missing.pem"),
    ];
    for (args, said) in cases {
        let ran = run(&dir, args);
        let wanted = if said == "missing.pem" { 3 } else { 2 };
        assert_eq!((ran.code, ran.out.as_str()), (wanted, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("hunter2") || ran.err.contains("invalid value"), "{args:?}: {}", ran.err);
    }
}

/// A week of gauges and counters, once a minute, with a gap, a reset and values that are no numbers.
fn week() -> (u64, String) {
    let start = now() / 3600 * 3600 - 8 * 86_400;
    let mut text = String::from("# TYPE load gauge\n");
    for series in 0..12_u64 {
        for minute in 0..7 * 1440_u64 {
            if series == 3 && (3000..3300).contains(&minute) {
                continue;
            }
            let noise = (minute * 7919 + series * 104_729) % 1009;
            let value = if noise == 7 { "NaN".to_owned() } else { format!("{}", noise as f64 / 10.0) };
            let zone = series % 3;
            writeln!(text, "load{{host=\"h{series}\",zone=\"z{zone}\"}} {value} {}", start + minute * 60)
                .expect("text");
        }
    }
    text += "# TYPE requests counter\n";
    for series in 0..4_u64 {
        let mut total = 0;
        for minute in 0..7 * 1440_u64 {
            total = if minute == 5000 { 0 } else { total + (minute * 31 + series) % 17 };
            writeln!(text, "requests_total{{host=\"h{series}\"}} {total} {}", start + minute * 60).expect("text");
        }
    }
    (start, text + "# EOF\n")
}

/// By series, then by time: values as they are written.
type Rows = BTreeMap<String, BTreeMap<u64, String>>;

fn fetched(text: &str) -> Rows {
    let mut rows = Rows::new();
    for line in text.lines().skip(1) {
        let (at, rest) = line.split_once(',').expect("a time");
        let (value, series) = rest.split_once(',').expect("a value");
        let series = series.trim_matches('"').replace("\"\"", "\"");
        let before = rows.entry(series).or_default().insert(at.parse().expect("seconds"), value.to_owned());
        assert_eq!(before, None, "each time once: {line}");
    }
    rows
}

#[test]
#[ignore = "needs Debian's prometheus, which .ci/run unpacks"]
fn pieces_of_a_real_prometheus_are_what_one_query_gives() {
    let dir = folder();
    let (start, text) = week();
    create_blocks(dir.path(), &text);
    let prometheus = Prometheus::start(&dir, "global: {scrape_interval: 1h}\n");
    let end = start + 7 * 86_400 - 60;
    for expr in [
        "load",
        "rate(requests_total[5m])",
        "sum by (zone) (load) > 250",
        "max_over_time(load{host=\"h3\"}[10m]) # a comment",
        "scalar(sum(load))",
        "load > 1e6",
    ] {
        let data = prometheus.api(
            "query_range",
            &[("query", expr), ("start", &start.to_string()), ("end", &end.to_string()), ("step", "60")],
        );
        let mut whole = Rows::new();
        for series in data["result"].as_array().expect("series") {
            let metric = series["metric"].as_object().expect("labels");
            let labels: Vec<String> = metric
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let values = series["values"].as_array().expect("values").iter().map(|pair| {
                let value: f64 = pair[1].as_str().expect("text").parse().expect("a number");
                (pair[0].as_u64().expect("whole seconds"), value.to_string())
            });
            whole.insert(format!("it{labels}"), values.collect());
        }
        for samples in ["2000", "5000000"] {
            let (since, until) = (format!("{}s", end - start), end.to_string());
            let url = prometheus.url();
            let args = ["fetch", expr, "--name", "it", "--since", &since, "--until", &until, "--prometheus", &url];
            let ran = run(&dir, &[&args[..], &["--samples-per-query", samples]].concat());
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert_eq!(fetched(&ran.out), whole, "{expr} by {samples}");
            assert!(ran.err.contains("samples") && ran.err.contains("query time"), "{}", ran.err);
            assert_eq!(ran.err.contains("gives nothing"), expr == "load > 1e6", "{}", ran.err);
            // Another time what cannot change is there already.
            let again = run(&dir, &[&args[..], &["--samples-per-query", samples]].concat());
            assert_eq!(again.out, ran.out);
            assert!(again.err.contains("from before"), "{}", again.err);
            let anew = run(&dir, &[&args[..], &["--no-query-cache"]].concat());
            assert!(anew.out.len() == ran.out.len() && !anew.err.contains("from before"), "{}", anew.err);
        }
    }
    let url = prometheus.url();
    for (expr, said) in [("load >", "parse error"), ("\"text\"", "string")] {
        let ran = run(&dir, &["fetch", expr, "--prometheus", &url]);
        assert!(ran.code == 2 && ran.err.contains(said) && ran.err.contains(expr), "{}", ran.err);
    }
}

#[test]
#[ignore = "needs Debian's prometheus, which .ci/run unpacks"]
fn a_real_prometheus_behind_a_certificate_and_a_password_lets_in_who_has_both() {
    let dir = folder();
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("signed");
        write(&dir, name, &certificate.pem());
        rcgen::Issuer::new(parameters, key)
    };
    let issuer = authority("ca.pem");
    authority("other.pem");
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let certificate = parameters.signed_by(&key, &issuer).expect("signed");
    write(&dir, "cert.pem", &certificate.pem());
    write(&dir, "key.pem", &key.serialize_pem());
    // bcrypt of `open sesame`.
    let hash = "$2b$05$homeostathomeostathom.luj11QhiDeD2aSJT2DW3Nvttog8v/ei";
    let web =
        format!("tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{tuner: {hash}}}\n");
    write(&dir, "web.yml", &web);
    write(&dir, "password", "open sesame\n");
    write(&dir, "wrong", "close sesame\n");
    let prometheus = Prometheus::behind(&dir, "global: {scrape_interval: 1h}\n", "web.yml");
    let url = format!("https://{}", prometheus.address);
    let fetch = |ca: &str, password: &str| {
        let in_by = ["--ca-file", ca, "--username", "tuner", "--password-file", password];
        run(&dir, &[&["fetch", "vector(7)", "--since", "5m", "--prometheus", &url], &in_by[..]].concat())
    };
    let ran = fetch("ca.pem", "password");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.lines().count() >= 6 && ran.out.contains(",7,\"vector_7\""), "{}", ran.out);
    let ran = fetch("ca.pem", "wrong");
    assert!(ran.code == 3 && ran.err.contains("lets nobody in") && !ran.err.contains("sesame"), "{}", ran.err);
    for ran in [fetch("other.pem", "password"), run(&dir, &["fetch", "up", "--prometheus", &url])] {
        assert!(ran.code == 3 && ran.err.contains("certificate"), "{}", ran.err);
    }
}
