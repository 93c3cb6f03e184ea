//! A running daemon with less memory than its series would take: what it tells of that, and what a new configuration changes.

mod common;

use common::sent::moment;
use common::{Daemon, folder, now, run, wait_until, write};
use serde_json::Value;

const SERIES: usize = 1_500;

/// Samples of each series.
const TURNS: i64 = 60;

fn config(memory_max: u64) -> String {
    let row = "{monitoring_interval: 1s}";
    format!(
        "host: {{enabled: false}}\nlimits: {{memory_max: {memory_max}}}\n\
         states: {{healthy: {row}, optimizing: {row}, degraded: {row}, critical: {row}, recovering: {row}}}\n"
    )
}

#[test]
fn where_memory_is_short_series_remember_less_and_say_so_until_there_is_room() {
    let dir = folder();
    write(&dir, "homeostat.yaml", &config(16 << 20));
    let daemon = Daemon::go_on(dir.path());
    let begin = now() as i64 - TURNS;
    for turn in 0..TURNS {
        let answer = daemon.write_one(&moment(SERIES, begin, turn));
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
    let tier = |tier: &str| daemon.metric(&format!("homeostat_series_tier{{tier=\"{tier}\"}}"));
    wait_until("series remember less", || (tier("exact") == 0.0).then_some(()));
    let fits = || daemon.metric("homeostat_series_bytes") <= 1.05 * daemon.metric("homeostat_series_bytes_max");
    wait_until("what is remembered fits", || fits().then_some(()));
    let of = |path: &str| daemon.get(path).json()["data"].clone();
    let statistics = of("/api/v1/statistics");
    let tiers = statistics["series_by_tier"].as_object().expect("tiers");
    assert_eq!(tiers.values().filter_map(Value::as_u64).sum::<u64>() as usize, SERIES, "{tiers:?}");
    let series = "sent{n=\"7\"}";
    let query = "series=sent%7Bn%3D%227%22%7D";
    let window = of(&format!("/api/v1/explain?{query}"))["window"].clone();
    assert_ne!(window["tier"], "exact", "{window}");
    // What is shown as a sample is one that came.
    let shown = of(&format!("/api/v1/series/samples?{query}&limit=1000"))["samples"].clone();
    let shown = shown.as_array().expect("samples");
    assert!((16..TURNS as usize).contains(&shown.len()), "{} samples are shown", shown.len());
    for sample in shown {
        let turn = sample[0].as_i64().expect("a time") / 1000 - begin;
        assert_eq!(sample[1].as_f64(), Some((turn * 7919 % 101) as f64 + 7.0), "{sample}");
    }
    let url = daemon.url();
    let status = run(&dir, &["status", "--url", &url]);
    assert!(status.out.contains("limits.memory_max is short"), "{}", status.out);
    let explained = run(&dir, &["explain", series, "--url", &url]);
    assert!(explained.out.contains("memory is short"), "{}", explained.out);

    write(&dir, "homeostat.yaml", &config(512 << 20));
    daemon.signal("-HUP");
    wait_until("all is remembered again", || (tier("exact") == SERIES as f64).then_some(()));
    let status = run(&dir, &["status", "--url", &url]);
    assert!(!status.out.contains("memory_max is short"), "{}", status.out);
}
