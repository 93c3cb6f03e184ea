//! Thresholds out of one daemon and into another, by the real binary, and what is made of rows that nobody should send.

mod common;

use common::{Daemon, Ran, folder, homeostat, now, run, wait_until, write};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use tempfile::TempDir;

fn ask(folder: &TempDir, daemon: &Daemon, args: &[&str]) -> Ran {
    let url = daemon.url();
    run(folder, &[args, &["--url", &url]].concat())
}

/// What judges, by series: bounds, alert level, sensitivity and confidence.
fn judging(daemon: &Daemon) -> Vec<Value> {
    let rows = daemon.list("/api/v1/thresholds");
    let fields = ["series", "lower", "upper", "alert_lower", "alert_upper", "sensitivity", "confidence", "active"];
    rows.iter().map(|row| fields.iter().map(|field| (field.to_string(), row[*field].clone())).collect()).collect()
}

#[test]
fn what_is_exported_and_imported_again_is_the_same_in_every_format_and_outlives_a_kill() {
    let from = folder();
    let source = Daemon::learned(&from, "");
    assert_eq!(source.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "false" })).status, 200);
    wait_until("the verdict's effect", || (judging(&source)[0]["sensitivity"] != 2.0).then_some(()));
    // Nothing moves between one export and the next.
    assert_eq!(ask(&from, &source, &["freeze", "on"]).code, 0);
    let wanted = judging(&source);
    for format in ["json", "yaml", "csv"] {
        let exported = ask(&from, &source, &["thresholds", "export", "--format", format]);
        assert_eq!(exported.code, 0, "{}", exported.err);
        let to = folder();
        // Other bounds than the source's, or nothing could be told from an import.
        let target = Daemon::learned(&to, "learning: {strategy: sigma, sensitivity: 2.5}\n");
        assert_ne!(judging(&target), wanted);
        write(&to, &format!("thresholds.{format}"), &exported.out);
        let imported =
            ask(&to, &target, &["thresholds", "import", &format!("thresholds.{format}"), "--output", "json"]);
        assert_eq!((imported.code, imported.err.as_str()), (0, ""), "{format}: {}", imported.out);
        let said: Value = serde_json::from_str(&imported.out).expect("JSON");
        assert_eq!(said["data"], json!({ "imported": 2, "unchanged": 0, "left_out": 0, "refused": [] }), "{format}");
        assert_eq!(judging(&target), wanted, "{format}");
        let row = &target.data("/api/v1/thresholds")[0];
        assert_eq!(row["strategy"], "imported");
        assert!(row["reasoning"].as_str().is_some_and(|why| why.starts_with("imported: ")), "{row}");
        let again = ask(&to, &target, &["thresholds", "import", &format!("thresholds.{format}"), "--output", "json"]);
        let said: Value = serde_json::from_str(&again.out).expect("JSON");
        assert_eq!(said["data"]["unchanged"], 2, "{format}");
        target.kill();
        let target = Daemon::go_on(&to);
        let held = judging(&target);
        assert_eq!(held[0]["sensitivity"], wanted[0]["sensitivity"], "{format}: after kill -9");
        assert_eq!(held, wanted, "{format}: after kill -9");
    }
}

#[test]
fn what_was_learned_from_a_file_can_be_handed_to_a_daemon_by_a_pipe() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, "");
    let learned = run(&folder, &["learn", "rows.jsonl", "--strategy", "iqr", "--format", "csv"]);
    assert_eq!(learned.code, 0, "{}", learned.err);
    let mut child = homeostat(folder.path())
        .args(["thresholds", "import", "-", "--url", &daemon.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("piped").write_all(learned.out.as_bytes()).expect("taken");
    let ran: Ran = child.wait_with_output().expect("ended").into();
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "2 thresholds imported, 0 stood there already, 0 refused\n"),
        "{}",
        ran.err
    );
}

#[test]
fn rows_that_cannot_be_used_are_told_by_line_and_the_rest_is_used() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, "");
    let csv = "series,lower,upper,confidence,active\n\
               load,1,20,0.8,true\n\
               nobody,1,2,0.8,true\n\
               load,2,20,0.8,true\n\
               up{,1,2,0.8,true\n\
               \"queue{job=\"\"a b\"\",zone=\"\"é\"\"}\",9,much,0.8,true\n\
               x,9,3,7,true\n\
               y,9,3,0.5,false\n";
    write(&folder, "t.csv", csv);
    let ran = ask(&folder, &daemon, &["thresholds", "import", "t.csv"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "1 thresholds imported, 0 stood there already, 1 left out (not active), 5 refused\n");
    let lines: Vec<&str> = ran.err.lines().collect();
    for (line, (number, reason)) in lines.iter().zip([
        (3, "nobody: no such series is known"),
        (4, "the series was on line 2 before"),
        (5, "`up{` is not a series"),
        (6, "`upper`: `much` is no finite number"),
        (7, "`confidence`: 7 is not a confidence from 0 to 1"),
    ]) {
        assert!(line.starts_with(&format!("t.csv: line {number}:")) && line.contains(reason), "{line} / {reason}");
    }
    assert_eq!(lines.len(), 5, "{}", ran.err);
    assert_eq!(judging(&daemon)[0]["upper"], 20.0);
    assert_eq!(ask(&folder, &daemon, &["thresholds", "import", "t.csv", "--strict"]).code, 1);

    write(&folder, "none.csv", "series,upper\nnobody,3\n");
    assert_eq!(ask(&folder, &daemon, &["thresholds", "import", "none.csv"]).code, 2);
    for (name, text) in
        [("x.json", "{"), ("x.json", "[".repeat(200_000).as_str()), ("x.csv", "a,b\n1,2\n"), ("x.yaml", "- [")]
    {
        write(&folder, name, text);
        let ran = ask(&folder, &daemon, &["thresholds", "import", name]);
        assert!(ran.code == 2 && ran.err.contains(name) && ran.err.len() < 600, "{name}: {}", ran.err);
    }
    assert_eq!(ask(&folder, &daemon, &["thresholds", "import", "nowhere.csv"]).code, 3);

    assert_eq!(ask(&folder, &daemon, &["freeze", "on"]).code, 0);
    write(&folder, "t.csv", "series,lower,upper\nload,1,30\n");
    let frozen = ask(&folder, &daemon, &["thresholds", "import", "t.csv"]);
    assert!(frozen.code == 2 && frozen.err.contains("all changes are stopped"), "{}", frozen.err);
    assert_eq!(judging(&daemon)[0]["upper"], 20.0);
}

#[test]
fn the_door_for_thresholds_refuses_row_by_row_and_has_its_limits() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, "");
    let before = judging(&daemon);
    let row = |fields: Value| {
        let answer = daemon.post("/api/v1/thresholds", &json!({ "data": [fields] }));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let said = answer.json();
        assert_eq!(said["data"]["imported"], 0);
        said["data"]["refused"][0]["reason"].as_str().expect("a reason").to_owned()
    };
    for (fields, reason) in [
        (json!(5), "not an object"),
        (json!({}), "`series` is missing"),
        (json!({ "series": 5 }), "`series` is not text"),
        (json!({ "series": "load" }), "not both absent"),
        (json!({ "series": "load", "upper": "9" }), "`upper` is not a number"),
        (json!({ "series": "load", "lower": 9, "upper": 3 }), "lower < upper"),
        (json!({ "series": "load", "upper": 9, "sensitivity": 40 }), "`sensitivity`"),
        (json!({ "series": "load", "upper": 9, "alert_upper": 8 }), "at its bound or beyond"),
        (json!({ "series": "load", "upper": 9, "rhythm": "by time of day" }), "bounds change with time"),
        (json!({ "series": "load", "upper": 9, "active": 1 }), "neither true nor false"),
        (json!({ "series": "load", "uper": 9 }), "`uper`: there is no such field"),
        (json!({ "series": "x".repeat(10_000), "upper": 9 }), "bytes"),
    ] {
        let said = row(fields);
        assert!(said.contains(reason) && said.len() < 600, "{said}");
    }
    assert_eq!(daemon.post_text("/api/v1/thresholds", "{").status, 400);
    assert_eq!(daemon.post_text("/api/v1/thresholds", "{}").status, 422);
    assert_eq!(daemon.post_text("/api/v1/thresholds", r#"{"data": 5}"#).status, 422);
    assert_eq!(daemon.post_text("/api/v1/thresholds", r#"{"data": 1e400}"#).status, 400);
    let many = vec![json!({ "series": "a", "upper": 1 }); 501];
    assert_eq!(daemon.post("/api/v1/thresholds", &json!({ "data": many })).status, 422);
    let large = json!({ "data": [{ "series": "a", "upper": 1, "reasoning": "x".repeat(1 << 20) }] });
    assert_eq!(daemon.post("/api/v1/thresholds", &large).status, 413);
    assert_eq!(judging(&daemon), before, "what was refused changed nothing");
}

#[test]
fn statistics_say_how_learning_stands() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, "");
    let statistics = daemon.data("/api/v1/statistics");
    for (field, wanted) in
        [("series", 2), ("series_with_enough_data", 2), ("samples", 600), ("active_recommendations", 2)]
    {
        assert_eq!(statistics[field], wanted, "{field}: {statistics}");
    }
    assert_eq!(statistics["history"]["optimizations"], 2);
    let said = ask(&folder, &daemon, &["status", "--output", "json"]);
    let said = serde_json::from_str::<Value>(&said.out).expect("JSON")["data"].take();
    assert_eq!(said["statistics"]["samples"], 600);
    for part in ["signals", "actions", "transitions", "events"] {
        assert!(said["statistics"]["history"][part].is_u64(), "{part}");
    }
}

/// Buckets of a histogram in a file: 150 scrapes of a hundred requests, ninety or so of them within .1 s.
fn buckets() -> String {
    let mut text = String::new();
    let mut fast = 0;
    for scrape in 0..150_u64 {
        let at = now() - 1500 + scrape * 10;
        fast += 85 + scrape * 7919 % 11;
        let all = 100 * (scrape + 1);
        // Not in order of their limits, as nothing says that they are.
        for (le, count) in [("+Inf", all), ("0.1", fast), ("1", all)] {
            let series = format!(r#"latency_bucket{{job="api",le="{le}"}}"#);
            text.push_str(&json!({ "series": series, "timestamp": at, "value": count }).to_string());
            text.push('\n');
        }
    }
    text
}

#[test]
fn a_histogram_in_a_file_is_watched_by_its_rate_and_quantiles() {
    let folder = folder();
    write(&folder, "buckets.jsonl", &buckets());
    let ran = run(&folder, &["learn", "buckets.jsonl", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let rows: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = rows["data"].as_array().expect("a list");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["series"].as_str()).collect();
    let (rate, p50, p99) = (
        r#"latency_count{job="api"}"#,
        r#"latency{job="api",quantile="0.5"}"#,
        r#"latency{job="api",quantile="0.99"}"#,
    );
    assert_eq!(names, [rate, p50, p99], "and no bucket by itself");
    assert_eq!((&rows[0]["supporting"]["count"], &rows[0]["supporting"]["median"]), (&json!(148), &json!(10.0)));
    assert_eq!(rows[1]["supporting"]["count"], 149);
    let median = rows[1]["supporting"]["median"].as_f64().expect("a number");
    assert!((0.05..0.06).contains(&median), "{median}");

    // The same file as a source of the daemon.
    let config = "host: {enabled: false}\nfiles: [{path: buckets.jsonl}]\nstates: {healthy: {monitoring_interval: 1s}, degraded: {monitoring_interval: 1s}}\n";
    write(&folder, "homeostat.yaml", config);
    let daemon = Daemon::go_on(&folder);
    // The rate never changed, so that it is not watched unless somebody asks for it.
    wait_until("thresholds", || (daemon.list("/api/v1/thresholds").len() == 2).then_some(()));
    let said = ask(&folder, &daemon, &["explain", r#"latency{job="api",quantile="0.5"}"#]);
    assert!(said.out.contains("made of\tlatency_bucket{job=\"api\"} (3 limits)"), "{}", said.out);
    assert!(said.out.contains("claim\tThat in the 7 days after it was learned at most "), "{}", said.out);
    let said = ask(&folder, &daemon, &["explain", r#"latency_bucket{job="api",le="1"}"#]);
    assert!(said.out.contains("bucket of\t") && said.out.contains("quantile=\"0.99\""), "{}", said.out);
}
