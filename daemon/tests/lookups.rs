//! Alert rules whose thresholds are data: what the daemon serves for them, what Prometheus gets to read, and that it works
//! there, with the daemon and after it has gone.

mod common;

use common::listener::Listener;
use common::prometheus::Prometheus;
use common::{Daemon, folder, read, run, wait_until, write};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// What comes with a threshold fires by that alone, what comes without one by its literal alone.
const RULES: &str = r#"rollout: {shadow: 0s, canary: 0s}
rules:
- alert: Busy
  expr: vector(1000) # of nothing
  op: '>'
  literal: 1e9
  match: load
  labels: [severity=page, 'who={{ $labels.job }}']
  annotations: ['summary=it''s {{ $value | humanize }}: "too much"']
- alert: Short
  rule: Short of work
  expr: 1000 + sum by (job, zone) (label_replace(vector(1), "zone", "é", "", ""))
  op: <
  literal: 2000
  by: [zone, job]
  match: 'queue{zone="é"}'
- alert: Unknown
  expr: vector(1)
  op: '>='
  literal: 1
  by: [job]
  match: nobody
  for: 1m30s
  keep_firing_for: 5m
"#;

/// The lines of the thresholds that rules look up.
fn served(daemon: &Daemon) -> Vec<String> {
    let answer = daemon.get("/metrics/thresholds");
    assert_eq!(answer.status, 200);
    let of_rules = answer.text.lines().filter(|line| line.starts_with("homeostat_threshold{rule="));
    of_rules.map(str::to_owned).collect()
}

fn print(folder: impl AsRef<Path>, args: &[&str]) -> String {
    let ran = run(folder, &[&["thresholds"], args, &["--config", "homeostat.yaml"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    ran.out
}

#[test]
fn rules_are_served_where_alerts_of_their_series_begin() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, RULES);
    wait_until("both to be served", || (served(&daemon).len() == 2).then_some(()));
    let rows = daemon.list("/api/v1/thresholds");
    let side = |series: &str, side: &str| {
        let row = rows.iter().find(|row| row["series"].as_str().is_some_and(|name| name.starts_with(series)));
        row.unwrap_or_else(|| panic!("{series}"))[side].to_string()
    };
    assert_eq!(
        served(&daemon),
        [
            format!("homeostat_threshold{{rule=\"Busy\",direction=\"upper\"}} {}", side("load", "alert_upper")),
            format!(
                "homeostat_threshold{{rule=\"Short of work\",direction=\"lower\",zone=\"é\",job=\"a b\"}} {}",
                side("queue", "alert_lower")
            ),
        ]
    );
    // Another configuration holds from a reload on.
    write(&folder, "homeostat.yaml", &read(&folder, "homeostat.yaml").replace("match: load", "match: nothing"));
    assert_eq!(daemon.post("/-/reload", &json!({})).status, 200);
    assert_eq!(served(&daemon).len(), 1);
}

#[test]
fn rules_that_cannot_be_are_refused_by_key_and_place() {
    let folder = folder();
    for (rules, said) in [
        ("[{alert: A, expr: x, op: '==', literal: 1, match: x}]", "rules[0].op: `==` is no comparison with a bound"),
        ("[{alert: A, expr: x, op: '>', literal: 1, match: x, by: [rule]}]", "rules[0].by: `rule` is a label"),
        ("[{alert: A, expr: x, op: '>', literal: 1, match: x, labels: [a]}]", "`a` is not NAME=VALUE"),
    ] {
        write(&folder, "homeostat.yaml", &format!("rules: {rules}\n"));
        let ran = run(&folder, &["config", "check", "homeostat.yaml"]);
        assert!(ran.code == 2 && ran.err.contains(said), "{rules}: {}", ran.err);
    }
    write(&folder, "homeostat.yaml", "rules: []\n");
    let ran = run(&folder, &["thresholds", "rules", "--config", "homeostat.yaml"]);
    assert!(ran.code == 2 && ran.err.contains("has no `rules`"), "{}", ran.err);
}

#[test]
fn rules_are_written_whole_and_a_server_that_is_not_there_is_told() {
    let folder = folder();
    write(&folder, "homeostat.yaml", RULES);
    let printed = print(&folder, &["rules"]);
    let rules: Value = serde_saphyr::from_str(&printed).expect(&printed);
    let rules = rules["groups"][0]["rules"].as_array().expect("a list");
    assert_eq!(rules.len(), 6);
    assert_eq!(rules[2]["for"], "1m30s");
    assert_eq!(
        rules[4]["expr"],
        r#"absent(homeostat_threshold{rule="Short of work", direction="lower"}) unless on() homeostat_threshold_tried{rule="Short of work"}"#
    );
    let manifest: Value = serde_saphyr::from_str(&print(&folder, &["rules", "--manifest"])).expect("YAML");
    assert_eq!((&manifest["kind"], &manifest["spec"]["groups"][0]["rules"]), (&json!("PrometheusRule"), &json!(rules)));

    let args = ["thresholds", "rules", "--config", "homeostat.yaml", "--write", "out.yml"];
    let nobody = format!("http://127.0.0.1:{}", common::prometheus::free_port());
    let ran = run(&folder, &[args.as_slice(), &["--reload", &nobody]].concat());
    assert!(ran.code == 3 && ran.err.contains("the file is written, but"), "{}", ran.err);
    assert_eq!(read(&folder, "out.yml"), printed);
    assert_eq!(run(&folder, &["thresholds", "rules", "--reload", &nobody]).code, 2, "what is printed nobody reloads");
}

#[test]
#[ignore = "needs promtool: ./dev check runs it"]
fn prometheus_own_tool_takes_every_output() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, RULES);
    write(&folder, "a.rules.yml", &print(&folder, &["rules"]));
    write(&folder, "prometheus.yml", &(print(&folder, &["scrape-config"]) + "rule_files: [a.rules.yml]\n"));
    write(&folder, "metrics.txt", &daemon.get("/metrics/thresholds").text);
    for script in [
        "promtool check rules a.rules.yml",
        "promtool check config prometheus.yml",
        "promtool check metrics < metrics.txt",
    ] {
        let ran = Command::new("sh").args(["-c", script]).current_dir(&folder).output().expect("a shell");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{script}: {said}");
        assert!(script.contains("config") || !said.contains("FAILED"), "{said}");
    }
}

/// The alerts that fire, and their thresholds' absence that is pending.
fn alerts(prometheus: &Prometheus) -> Vec<String> {
    let answer = prometheus.api("alerts", &[]);
    let line = |alert: &Value| format!("{} {}", alert["labels"]["alertname"], alert["state"]).replace('"', "");
    let mut lines: Vec<String> = answer["alerts"].as_array().expect("a list").iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "needs prometheus: ./dev check runs it"]
fn in_prometheus_thresholds_decide_while_they_are_there_and_literals_after() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, RULES);
    let scrape = print(&folder, &["scrape-config"]).replace("127.0.0.1:9797", &daemon.address);
    write(&folder, "a.rules.yml", "groups: []\n");
    let config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [a.rules.yml]\n";
    let prometheus = Prometheus::start(&folder, &format!("{config}{scrape}"));
    let args = ["thresholds", "rules", "--config", "homeostat.yaml", "--write", "a.rules.yml", "--reload"];
    let ran = run(&folder, &[args.as_slice(), &[prometheus.url().as_str()]].concat());
    assert_eq!((ran.code, ran.err.lines().count()), (0, 2), "{}", ran.err);
    // Over its threshold, and under its literal; the other one's threshold is for the labels of its series, not for none.
    let with = ["Busy firing", "Short firing", "ThresholdsAbsent pending", "Unknown pending"];
    wait_until("thresholds that decide", || (alerts(&prometheus) == with).then_some(()));
    daemon.kill();
    let without = [
        "Short firing",
        "ThresholdsAbsent pending",
        "ThresholdsAbsent pending",
        "ThresholdsAbsent pending",
        "Unknown pending",
    ];
    wait_until("literals that decide", || (alerts(&prometheus) == without).then_some(()));
}

#[test]
#[ignore = "needs prometheus: ./dev check runs it"]
fn written_to_a_prometheus_thresholds_decide_there_without_a_scrape() {
    let folder = folder();
    write(&folder, "a.rules.yml", "groups: []\n");
    let config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [a.rules.yml]\n";
    let prometheus = Prometheus::start(&folder, config);
    let written = format!("remote_write: [{{url: '{}/api/v1/write', interval: 1s}}]\n", prometheus.url());
    let daemon = Daemon::learned(&folder, &format!("{RULES}{written}"));
    let args = ["thresholds", "rules", "--config", "homeostat.yaml", "--write", "a.rules.yml", "--reload"];
    let ran = run(&folder, &[args.as_slice(), &[prometheus.url().as_str()]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let with = ["Busy firing", "Short firing", "ThresholdsAbsent pending", "Unknown pending"];
    wait_until("thresholds that decide", || (alerts(&prometheus) == with).then_some(()));
    let found = prometheus.api("query", &[("query", "homeostat_threshold{rule=\"Busy\"}")]);
    let there = found["result"][0]["value"][1].as_str().expect("a value").to_owned();
    assert!(served(&daemon)[0].ends_with(&format!(" {there}")), "{there}: {:?}", served(&daemon));
    assert!(daemon.metric("homeostat_remote_write_samples_total{target=\"1\"}") >= 4.0);
    assert_eq!(daemon.metric("homeostat_remote_write_failures_total{target=\"1\"}"), 0.0);
    // What is taken back is gone there at once, not when nobody has heard of it for five minutes.
    let back = daemon.post("/api/v1/rollouts", &json!({ "rule": "Busy", "order": "roll_back" }));
    assert_eq!(back.status, 200, "{}", back.text);
    wait_until("the end of what was taken back", || {
        let found = prometheus.api("query", &[("query", "homeostat_threshold{rule=\"Busy\"}")]);
        (found["result"] == json!([])).then_some(())
    });
}

#[test]
fn an_address_that_takes_no_thresholds_is_told_and_tried_again() {
    let folder = folder();
    let listener = Listener::start("400 Bad Request");
    let written = format!("remote_write: [{{url: 'http://{}/api/v1/write', interval: 1s}}]\n", listener.address);
    let daemon = Daemon::learned(&folder, &format!("{RULES}{written}"));
    let failures = "homeostat_remote_write_failures_total{target=\"1\"}";
    wait_until("two failures", || daemon.try_metric(failures).filter(|count| *count >= 2.0));
    assert_eq!(daemon.metric("homeostat_remote_write_samples_total{target=\"1\"}"), 0.0);
    listener.answers("204 No Content", "");
    wait_until("what is taken", || {
        daemon.try_metric("homeostat_remote_write_last_taken_timestamp_seconds{target=\"1\"}")
    });
}
