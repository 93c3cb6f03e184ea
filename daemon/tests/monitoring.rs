//! The rules and dashboards of `monitoring/` in a real Prometheus, which reads a real daemon. That they name what there is, a
//! test beside the metrics sees without either.

mod common;

use common::prometheus::{Prometheus, free_port};
use common::{Daemon, configure, folder, read, wait_until, write};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring")
}

#[test]
#[ignore = "needs promtool: ./dev check runs it"]
fn prometheus_own_tool_takes_the_rules_and_finds_their_cases_right() {
    for script in [
        "promtool check rules homeostat.rules.yml",
        "promtool check config prometheus.yml",
        "promtool test rules tests/*.yml",
    ] {
        let ran = Command::new("sh").args(["-c", script]).current_dir(monitoring()).output().expect("a shell");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && !said.contains("FAILED"), "{script}: {said}");
    }
}

/// A panel of a dashboard, and an expression of it with its variables as Grafana would fill them in.
struct Query {
    dashboard: String,
    panel: String,
    expr: String,
}

fn queries() -> Vec<Query> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(monitoring().join("grafana/dashboards")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("read");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("a list") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let mut expr = target["expr"].as_str().expect("an expression").to_owned();
                for (variable, value) in
                    [("$__rate_interval", "15s"), ("$job", ".+"), ("$instance", ".+"), ("$metric", "load")]
                {
                    expr = expr.replace(variable, value);
                }
                let dashboard = path.file_stem().expect("a name").to_string_lossy().into_owned();
                all.push(Query { dashboard, panel: panel["title"].as_str().expect("a title").to_owned(), expr });
            }
        }
    }
    all
}

/// Of these Prometheus has to take the query, and no more: they tell of alerts on homeostat, of an hour and more that it ran, of
/// verdicts, of weeks that are over, of what a receiver took, or of series that Prometheus does not have.
const MAY_BE_EMPTY: [&str; 13] = [
    "Alerts on homeostat",
    "Alerts a week, and how many may be",
    "Is it right?",
    "By verdicts",
    "Moves",
    "Effectiveness",
    "Decision quality",
    "Evidence",
    "The series",
    "What rules look up",
    "Lower bounds",
    "How much later",
    "Since a receiver took something",
];

#[test]
#[ignore = "needs prometheus: ./dev check runs it"]
fn prometheus_answers_every_query_of_the_dashboards_with_something() {
    let folder = folder();
    // Each needs the other's address.
    let listen = format!("127.0.0.1:{}", free_port());
    write(&folder, "homeostat.rules.yml", &read(monitoring(), "homeostat.rules.yml"));
    let config = read(monitoring(), "prometheus.yml").replace("127.0.0.1:9797", &listen);
    let often = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";
    let prometheus = Prometheus::start(&folder, &format!("{often}{config}"));
    // Something of everything; nobody takes what is told.
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let (url, expr) =
        (prometheus.url(), "{expressions: [{expr: up, name: target_up}], step: 1s, delay: 1s, backfill: 1m");
    configure(
        &folder,
        &format!(
            "series: [{{match: load, static: {{upper: 60}}}}]\n\
             rules: [{{alert: Busy, expr: load, op: '>', literal: 1000, match: load}}]\nwebhooks: [{{url: '{nobody}'}}]\n\
             receivers: [{{kind: webhook, url: '{nobody}'}}]\npromql: [{expr}, url: '{url}'}}]\n\
             remote_write: [{{url: '{url}/api/v1/write', interval: 1s}}]\n"
        ),
    );
    let daemon = Daemon::listening(&folder, &listen);
    daemon.wait_for_thresholds(2);

    let result = |expr: &str| prometheus.api("query", &[("query", expr)])["result"].take();
    let empty = |query: &&Query| result(&query.expr).as_array().is_some_and(Vec::is_empty);
    let queries = queries();
    // A rate has two scrapes to wait for, a source its first answer. Those that may be empty are asked as well: an answer that is
    // none would not have come back.
    for query in &queries {
        let Query { dashboard, panel, expr } = query;
        let may_be_empty = MAY_BE_EMPTY.contains(&panel.as_str());
        let what = format!("something of {dashboard}, `{panel}`: {expr}");
        wait_until(&what, || (!empty(&query) || may_be_empty).then_some(()));
    }
    for group in prometheus.api("rules", &[])["groups"].as_array().expect("a list") {
        for rule in group["rules"].as_array().expect("a list") {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    }
}
