//! Learned against static bounds: on files, and in the daemon from its configuration to its metrics.

mod common;

use common::prometheus::{Prometheus, create_blocks};
use common::{Daemon, configure, folder, now, read, run, wait_until, write};
use serde_json::Value;
use std::fmt::Write as _;

/// Three weeks at one sample in five minutes: noise from 10 to 11, and two labelled incidents of an hour and a half each, one
/// five above and one five below.
fn labelled() -> String {
    let mut csv = "timestamp,value,label\n".to_owned();
    for n in 0..3 * 7 * 288_u64 {
        let (high, low) = ((4000..4018).contains(&n), (5000..5018).contains(&n));
        let value = 10.0 + noise(n) + if high { 5.0 } else { 0.0 } - if low { 5.0 } else { 0.0 };
        writeln!(csv, "{},{value:.4},{}", 1_700_000_000 + n * 300, u8::from(high || low)).expect("text");
    }
    csv
}

/// From 0 to 1, the same each time.
fn noise(n: u64) -> f64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn replayed_on_a_labelled_file_pages_misses_and_delay_are_told_with_a_verdict() {
    let home = folder();
    write(&home, "load.csv", &labelled());
    // A bound that one sample in fifty lies over.
    let args = ["ab", "report", "load.csv", "--upper", "10.98", "--output", "json"];
    let ran = run(&home, &args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let data = serde_json::from_str::<Value>(&ran.out).expect("JSON")["data"].take();
    let (row, total) = (&data["series"][0], &data["report"]);
    assert_eq!(
        (row["series"].as_str(), row["upper"].as_f64(), row["for_s"].as_f64()),
        (Some("load"), Some(10.98), Some(0.0))
    );
    assert_eq!((total["series"].as_u64(), &total["occasions"]), (Some(1), &row["occasions"]));
    let weeks = row["weeks"].as_f64().expect("weeks");
    assert!((2.5..3.0).contains(&weeks), "{weeks}");
    let (learned, fixed) = (&row["learned"], &row["static"]);
    assert!((80..150).contains(&fixed["pages"].as_u64().expect("pages")), "{row}");
    assert!(learned["pages"].as_u64() <= Some(9), "the budget is one a week beside the incidents: {row}");
    // What lies below is no matter to an upper bound.
    assert_eq!((row["mattered"].as_u64(), fixed["missed"].as_u64()), (Some(2), Some(1)), "{row}");
    assert_eq!(learned["missed"].as_u64(), Some(0), "{row}");
    assert_eq!(
        (row["occasions"]["verdict"].as_str(), row["verdict"].as_str()),
        (Some("better"), Some("better")),
        "{row}"
    );

    let table = run(&home, &["ab", "report", "load.csv", "--upper", "10.98"]);
    let lines: Vec<&str> = table.out.lines().collect();
    assert!(lines[0].starts_with("series\tweeks\tlearned, pages a week\tstatic\t"), "{}", table.out);
    assert!(lines[1].starts_with("load\t2.") && lines[1].contains("\t0 and 1 of 2\t"), "{}", table.out);
    assert!(lines[2].starts_with("all together\t") && lines[3].starts_with("learned is better: "), "{}", table.out);

    // With a `for` the incident alone lasts, and the bounds of the configuration are those of the flags.
    write(&home, "a.yaml", "series: [{match: load, static: {upper: 10.98, for: 30m}}]\n");
    let flags = run(&home, &["ab", "report", "load.csv", "--upper", "10.98", "--for", "30m", "--output", "json"]);
    let file = run(&home, &["ab", "report", ".", "--config", "a.yaml", "--output", "json"]);
    assert_eq!(flags.out, file.out, "{}", file.err);
    assert!(flags.out.contains(r#""static":{"pages":1,"#), "{}", flags.out);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let home = folder();
    write(&home, "load.csv", "timestamp,value\n1,2\n2,3\n");
    for (args, said) in [
        (["load.csv", "--upper", "1", "--lower", "2"].as_slice(), "lower has to lie under upper"),
        (&["load.csv", "--for", "5m"], "give --upper or --lower"),
        (&["load.csv", "--upper", "1", "--for", "soon"], "--for"),
        (&["--upper", "1"], "FILE"),
    ] {
        let ran = run(&home, &[["ab", "report"].as_slice(), args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
    let none = run(&home, &["ab", "report", "load.csv", "--output", "json"]);
    assert_eq!(none.code, 0);
    assert!(none.err.contains("no series has static bounds"), "{}", none.err);
    assert!(none.out.contains(r#""series":[]"#), "{}", none.out);
    write(&home, "torn.csv", "timestamp,value,label\n1,2,0\n2,3,maybe\n");
    let torn = run(&home, &["ab", "report", "torn.csv", "--upper", "1"]);
    assert_eq!(torn.code, 3);
    assert!(torn.err.contains("torn.csv line 3: the label `maybe`"), "{}", torn.err);
}

#[test]
fn the_daemon_compares_what_its_configuration_names_and_shows_it() {
    let home = folder();
    configure(&home, "series: [{match: load, static: {upper: 60}}]\n");
    let text = read(&home, "homeostat.yaml")
        .replace("[{path: rows.jsonl}]", "[{path: rows.jsonl}, {path: live.jsonl, speed: 100x}]");
    write(&home, "homeostat.yaml", &text);
    let daemon = Daemon::go_on(&home);
    daemon.wait_for_thresholds(2);
    // What is read as fast as may be is history. What comes in its time is judged: one sample over the static bound.
    let mut rows = String::new();
    let begun = now();
    for n in 0..20_u64 {
        let value = if n == 10 { 500.0 } else { 10.5 };
        writeln!(rows, r#"{{"series":"load","timestamp":{},"value":{value}}}"#, begun + n).expect("text");
    }
    write(&home, "new.jsonl", &rows);
    std::fs::rename(home.path().join("new.jsonl"), home.path().join("live.jsonl")).expect("moved into place");
    let pages = |row: &Value| row["static"]["pages"].as_u64().unwrap_or(0);
    wait_until("a page of the static bound", || (pages(&daemon.data("/api/v1/ab/report")) > 0).then_some(()));

    // Samples may come between one answer and the other. One series is all of them.
    let (total, rows) = wait_until("the same in both", || {
        let (total, rows) = (daemon.data("/api/v1/ab/report"), daemon.list("/api/v1/ab"));
        (rows[0]["learned"] == total["learned"] && rows[0]["weeks"] == total["weeks"]).then_some((total, rows))
    });
    assert_eq!(pages(&total), 1, "{total}");
    assert_eq!((rows.len(), rows[0]["series"].as_str(), rows[0]["upper"].as_f64()), (1, Some("load"), Some(60.0)));
    assert_eq!(total["mattered"].as_u64(), Some(0));
    let said = run(&home, &["feedback", "load", "missed", "--url", &daemon.url()]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(daemon.data("/api/v1/ab/report")["mattered"].as_u64(), Some(1), "a verdict is heard of");

    let report = run(&home, &["ab", "report", "--url", &daemon.url(), "--output", "json"]);
    let data = serde_json::from_str::<Value>(&report.out).expect("JSON")["data"].take();
    assert_eq!(pages(&data["report"]), pages(&total), "{}", report.err);
    assert_eq!(data["series"][0]["series"], "load");

    let metrics = daemon.get("/metrics").text;
    for line in [
        "homeostat_ab_series 1".to_owned(),
        format!("homeostat_ab_verdict{{of=\"all\",verdict=\"{}\"}} 1", total["verdict"].as_str().expect("a word")),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    wait_until("the same rate in both", || {
        let shown = daemon.try_metric("homeostat_ab_pages_per_week{arm=\"static\"}")?;
        (daemon.data("/api/v1/ab/report")["static"]["pages_per_week"].as_f64() == Some(shown)).then_some(())
    });
}

#[test]
#[ignore = "needs prometheus: ./dev check runs it"]
fn two_versions_of_a_rule_are_compared_on_the_history_of_a_prometheus() {
    let home = folder();
    let begun = now() / 60 * 60 - 3 * 86_400;
    let mut history = "# TYPE load gauge\n".to_owned();
    for minute in 0..3 * 1440_u64 {
        // Three minutes in each two hours that are nobody's business, and one hour on the second day that is.
        let spike = minute % 120 < 3 || (1500..1560).contains(&minute);
        writeln!(history, "load{{host=\"a\"}} {} {}", if spike { 90 } else { 10 }, begun + 60 * minute).expect("text");
    }
    create_blocks(home.path(), &(history + "# EOF\n"));
    let prometheus = Prometheus::start(&home, "global: {}\n");
    let rules = |hold: &str| {
        format!(
            "groups: [{{name: g, rules: [{{alert: Busy, expr: load > 50, for: {hold}, labels: {{severity: p}}}}, {{record: x, expr: load}}]}}]\n"
        )
    };
    write(&home, "now.yml", &rules("0s"));
    write(&home, "tuned.yml", &(rules("10m").replace("severity: p", "severity: q")));
    let verdict =
        format!(r#"{{"alert":"Busy","labels":{{"host":"a"}},"at":"{}","verdict":"true"}}"#, at(begun + 60 * 1520));
    write(&home, "said.jsonl", &verdict);
    let url = prometheus.url();
    let args =
        ["ab", "rules", "now.yml", "tuned.yml", "--prometheus", &url, "--since", "3d", "--verdicts", "said.jsonl"];
    let ran = run(&home, &[args.as_slice(), &["--output", "json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let data = serde_json::from_str::<Value>(&ran.out).expect("JSON")["data"].take();
    let row = &data["series"][0];
    assert_eq!((row["series"].as_str(), row["learned"]["pages"].as_u64()), (Some("Busy"), Some(1)), "{row}");
    assert!((35..=37).contains(&row["static"]["pages"].as_u64().expect("pages")), "{row}");
    assert_eq!((row["mattered"].as_u64(), row["learned"]["missed"].as_u64()), (Some(1), Some(0)), "{row}");
    assert_eq!(row["delay"]["median_s"].as_f64(), Some(600.0), "{row}");
    assert_eq!(data["report"]["verdict"], "better", "{}", data["report"]);
    let table = run(&home, &args);
    assert!(table.out.starts_with("rule\tweeks\t") && table.out.contains("\nBusy\t0.43\t"), "{}", table.out);

    write(&home, "other.yml", &rules("5m").replace("Busy", "Idle"));
    let apart = run(&home, &["ab", "rules", "now.yml", "other.yml", "--prometheus", &url]);
    assert!(apart.err.contains("Busy: left out, as other.yml has no such rule"), "{}", apart.err);
    write(&home, "none.yml", "groups: []\n");
    let none = run(&home, &["ab", "rules", "now.yml", "none.yml", "--prometheus", &url]);
    assert_eq!((none.code, none.err.contains("none.yml: there is no alert rule in it")), (2, true), "{}", none.err);
}

/// Seconds since the epoch as RFC 3339.
fn at(secs: u64) -> String {
    let secs = i64::try_from(secs).expect("a time");
    homeostat::time::Timestamp::from_secs(secs).to_string()
}
