//! Targets that are scraped: our own metrics, a list of targets that changes, and a real node_exporter.

mod common;

use common::prometheus::on_free_port;
use common::*;
use std::process::Command;

/// Of the source that stands first.
fn of_source(daemon: &Daemon, name: &str) -> Option<f64> {
    daemon.try_metric(&format!("{name}{{source=\"scrape\",number=\"1\"}}"))
}

fn config(scrape: &str) -> String {
    let states = format!("states: {{healthy: {{monitoring_interval: 1s}}, {WHATEVER_THE_HOST_DOES}}}\n");
    format!("host: {{enabled: false}}\n{states}scrape: [{scrape}]\n")
}

#[test]
fn another_homeostat_is_scraped_and_its_counters_are_read_as_rates() {
    let (dir, other_dir) = (folder(), folder());
    let other = Daemon::learned(&other_dir, "");
    write(&dir, "targets.json", &format!(r#"[{{"targets":["{}"],"labels":{{"zone":"eu"}}}}]"#, other.address));
    write(&dir, "homeostat.yaml", &config("{job: own, target_files: [targets.json], interval: 1s, timeout: 1s}"));
    let daemon = Daemon::go_on(&dir);
    let labels = format!("instance=\"{}\",job=\"own\",zone=\"eu\"", other.address);
    let series = |name: &str| format!("{name}{{{labels}}}");
    let row = |name: &str| {
        let rows = daemon.pages("/api/v1/series", 1000);
        rows.into_iter().find(|row| row["series"] == series(name).as_str())
    };
    let up = wait_until("a scrape", || row("up"));
    assert_eq!(up["series"], series("up").as_str());
    wait_until("rates", || row("homeostat_cycles_total").filter(|row| row["kind"] == "counter"));
    wait_until("histograms", || {
        row("homeostat_learned_confidence_ratio_count").or_else(|| row("homeostat_learned_confidence_ratio_bucket"))
    });
    for (name, value) in [
        ("homeostat_source_parts", 1.0),
        ("homeostat_source_parts_up", 1.0),
        ("homeostat_source_failures_total", 0.0),
        ("homeostat_source_silent", 0.0),
        ("homeostat_source_silent_series", 0.0),
    ] {
        assert_eq!(of_source(&daemon, name), Some(value), "{name}");
    }
    assert!(of_source(&daemon, "homeostat_source_samples_total") > Some(50.0));
    assert!(of_source(&daemon, "homeostat_source_series") > Some(50.0));
    assert_eq!(of_source(&daemon, "homeostat_queries_total"), None, "a scrape asks no queries");
    // It dies: its series end, and up says so.
    other.kill();
    wait_until("the failure", || of_source(&daemon, "homeostat_source_failures_total").filter(|count| *count > 0.0));
    wait_until("it to be down", || of_source(&daemon, "homeostat_source_parts_up").filter(|up| *up == 0.0));
    wait_until("stale markers", || {
        daemon.try_metric("homeostat_samples_total{fate=\"stale\"}").filter(|count| *count > 50.0)
    });
    wait_until("silence", || of_source(&daemon, "homeostat_source_silent").filter(|silent| *silent == 1.0));
    let said = read(&dir, "err");
    assert_eq!(said.matches("refused").count() + said.matches("reset").count(), 1, "the first failure alone: {said}");
    // Nobody lists it any more.
    write(&dir, "targets.json", "[]");
    wait_until("it to be gone", || of_source(&daemon, "homeostat_source_parts").filter(|parts| *parts == 0.0));
    daemon.stop();
}

#[test]
#[ignore = "needs Debian's prometheus-node-exporter, which .ci/run unpacks"]
fn a_real_node_exporter_is_scraped_whole() {
    let dir = folder();
    let command = |address: &str| {
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address={address}"));
        command
    };
    let (mut child, address) = on_free_port(dir.path(), "node_exporter.log", command, ("/", &|status| status == 200));
    let (_, text) = common::prometheus::get(&address, "/metrics").expect("an answer");
    let given = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count() as f64;
    write(
        &dir,
        "homeostat.yaml",
        &config(&format!("{{job: node, targets: ['{address}'], interval: 1s, timeout: 1s}}")),
    );
    let daemon = Daemon::go_on(&dir);
    wait_until("thirty scrapes", || {
        of_source(&daemon, "homeostat_source_samples_total").filter(|samples| *samples > 30.0 * given * 0.9)
    });
    let series = of_source(&daemon, "homeostat_source_series").expect("exported");
    assert!(given > 100.0 && (series - given).abs() < given / 10.0, "{series} of {given}");
    assert_eq!(of_source(&daemon, "homeostat_source_failures_total"), Some(0.0), "{}", read(&dir, "err"));
    let rows = daemon.pages("/api/v1/series", 1000);
    let kind = |metric: &str| {
        let row = rows.iter().find(|row| row["series"].as_str().is_some_and(|series| series.starts_with(metric)));
        row.map(|row| row["kind"].as_str().expect("a kind").to_owned())
    };
    assert_eq!(kind("node_cpu_seconds_total{").as_deref(), Some("counter"));
    assert_eq!(kind("node_time_seconds{").as_deref(), Some("info"));
    assert_eq!(kind("node_uname_info{").as_deref(), Some("info"));
    for fate in ["conflict", "duplicate", "out_of_order", "too_new", "too_old"] {
        assert_eq!(daemon.metric(&format!("homeostat_samples_total{{fate=\"{fate}\"}}")), 0.0, "{fate}");
    }
    daemon.stop();
    child.kill().expect("it ran");
    child.wait().expect("it ended");
}
