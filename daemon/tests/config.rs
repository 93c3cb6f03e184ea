//! Each key of the daemon's own sections changes what a running daemon does; the variables of an earlier generation too.

mod common;

use common::{Daemon, Ran, configure, folder, homeostat, now, read, run, wait_until, write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpListener;
use tempfile::TempDir;

/// A cycle every second, also where the machine that runs the tests is so busy that the state is a bad one.
const QUICK: &str = "states: {healthy: {monitoring_interval: 1s}, optimizing: {monitoring_interval: 1s}, \
    degraded: {monitoring_interval: 1s}, critical: {monitoring_interval: 1s}, recovering: {monitoring_interval: 1s}}\n";

/// What `homeostat ARGS` says with these variables.
fn with_env(folder: &TempDir, args: &[&str], env: &[(&str, &str)]) -> Ran {
    homeostat(folder.path()).args(args).envs(env.iter().copied()).output().expect("started").into()
}

fn row(daemon: &Daemon, series: &str) -> Value {
    let rows = daemon.list("/api/v1/series?limit=1000");
    rows.into_iter().find(|row| row["series"] == series).unwrap_or_default()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port").to_string()
}

#[test]
fn where_it_answers_and_where_it_keeps_data_come_from_file_environment_and_flag() {
    let folder = folder();
    let (file, variable, flag) = (free_address(), free_address(), free_address());
    write(&folder, "homeostat.yaml", &format!("http: {{listen: '{file}'}}\ndata: in-file\nhost: {{enabled: false}}\n"));
    let daemon = Daemon::start_with(&folder, &[], &[]);
    assert_eq!(daemon.address, file);
    daemon.stop();
    let env = [("HOMEOSTAT__HTTP__LISTEN", variable.as_str()), ("HOMEOSTAT__DATA", "in-environment")];
    let daemon = Daemon::start_with(&folder, &[], &env);
    assert_eq!(daemon.address, variable);
    daemon.stop();
    let daemon = Daemon::start_with(&folder, &["--listen", &flag, "--data", "in-flag"], &env);
    assert_eq!(daemon.address, flag);
    daemon.stop();
    for data in ["in-file", "in-environment", "in-flag"] {
        assert!(folder.path().join(data).join("homeostat.db").exists(), "{data}");
    }
    assert!(!folder.path().join(".local").exists(), "the default was not used beside");
    write(&folder, "homeostat.yaml", "host: {enabled: false}\n");
    Daemon::start_with(&folder, &["--listen", "127.0.0.1:0"], &[]).stop();
    assert!(folder.path().join(".local/state/homeostat/homeostat.db").exists());
}

#[test]
fn an_address_that_others_can_reach_is_used_when_it_is_meant() {
    let folder = folder();
    write(&folder, "homeostat.yaml", "http: {listen: '0.0.0.0:0', insecure: true}\nhost: {enabled: false}\n");
    let daemon = Daemon::start_with(&folder, &[], &[]);
    assert!(daemon.address.starts_with("0.0.0.0:"), "{}", daemon.address);
    daemon.stop();
    write(&folder, "homeostat.yaml", "http: {listen: '0.0.0.0:0'}\n");
    let refused = run(&folder, &["run", "--config", "homeostat.yaml"]);
    assert!(refused.code == 2 && refused.err.contains("http.insecure"), "{}", refused.err);
}

#[test]
fn metrics_are_closed_by_their_key_and_by_the_earlier_variable() {
    let folder = folder();
    write(&folder, "homeostat.yaml", "host: {enabled: false}\n");
    for (env, status) in [
        (("MAPEK_ENABLE_PROMETHEUS", "false"), 404),
        (("MAPEK_ENABLE_PROMETHEUS", "true"), 200),
        (("HOMEOSTAT__PROMETHEUS__ENABLED", "false"), 404),
    ] {
        let daemon = Daemon::start_with(&folder, &["--listen", "127.0.0.1:0"], &[env]);
        assert_eq!(daemon.get("/metrics").status, status, "{env:?}");
        assert_eq!(daemon.get("/api/v1/state").status, 200);
    }
    for env in [("MAPEK_ENABLE_TRACING", "true"), ("HOMEOSTAT__TRACING__ENABLED", "true")] {
        let refused = with_env(&folder, &["run", "--listen", "127.0.0.1:0"], &[env]);
        assert!(refused.code == 2 && refused.err.contains("writes no traces yet"), "{env:?}: {}", refused.err);
        assert!(refused.err.contains(env.0), "{}", refused.err);
    }
}

#[test]
fn every_earlier_variable_sets_its_key_and_none_may_contradict_it() {
    let folder = folder();
    for (old, key, given, shown, other) in [
        ("MAPEK_LEARNING_WINDOW", "learning.learning_window", "7200", "2h", "3h"),
        ("MAPEK_OPTIMIZATION_INTERVAL", "learning.optimization_interval", "600", "10m", "11m"),
        ("MAPEK_MIN_DATA_POINTS", "learning.min_data_points", "40", "40", "41"),
        ("MAPEK_INITIAL_MONITORING", "states.healthy.monitoring_interval", "5", "5s", "6s"),
        ("MAPEK_INITIAL_PARALLELISM", "states.healthy.execution_parallelism", "6", "6", "7"),
        ("MAPEK_FEEDBACK_SIGNAL_HISTORY", "feedback.signal_history", "70", "70", "71"),
        ("MAPEK_FEEDBACK_ACTION_HISTORY", "feedback.action_history", "80", "80", "81"),
        ("MAPEK_ENABLE_PROMETHEUS", "prometheus.enabled", "false", "false", "true"),
        ("MAPEK_ENABLE_TRACING", "tracing.enabled", "false", "false", "true"),
    ] {
        let show = with_env(&folder, &["config", "show", "--output", "json"], &[(old, given)]);
        let said: Value = serde_json::from_str(&show.out).expect("JSON");
        let value = key.split('.').fold(&said["data"]["config"], |at, word| &at[word]);
        assert_eq!(value.as_str().map_or_else(|| value.to_string(), str::to_owned), shown, "{old}");
        assert_eq!(said["data"]["origin"][key], format!("environment {old}"));
        let new = format!("HOMEOSTAT__{}", key.to_ascii_uppercase().replace('.', "__"));
        let agreed = with_env(&folder, &["config", "check"], &[(old, given), (&new, shown)]);
        assert_eq!(agreed.code, 0, "{old}: {}", agreed.err);
        let torn = with_env(&folder, &["config", "check"], &[(old, given), (&new, other)]);
        assert!(torn.code == 2 && torn.err.contains(old) && torn.err.contains(&new), "{old}: {}", torn.err);
    }
}

#[test]
fn unknown_keys_stop_the_start_and_unknown_variables_are_one_line() {
    let folder = folder();
    write(&folder, "homeostat.yaml", "host: {enabled: false, lod: true}\n");
    let refused = run(&folder, &["run", "--config", "homeostat.yaml"]);
    assert!(refused.code == 2 && refused.err.contains("did you mean `host.load`"), "{}", refused.err);
    let refused = with_env(&folder, &["run"], &[("HOMEOSTAT__HTTP__LISTN", "127.0.0.1:0")]);
    assert!(refused.code == 2 && refused.err.contains("HOMEOSTAT__HTTP__LISTEN"), "{}", refused.err);

    write(&folder, "homeostat.yaml", "host: {enabled: false}\n");
    let env = [("HOMEOSTAT_PORT", "tcp://10.0.0.1:80"), ("HOMEOSTAT_SERVICE_HOST", "10.0.0.1"), ("MAPEK_X", "1")];
    let daemon = Daemon::start_with(&folder, &["--listen", "127.0.0.1:0"], &env);
    daemon.stop();
    let said = read(&folder, "err");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("HOMEOSTAT_PORT")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("HOMEOSTAT_SERVICE_HOST") && lines[0].contains("MAPEK_X"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn each_part_of_the_host_can_be_left_out_also_while_it_runs() {
    const PARTS: [(&str, &str); 8] = [
        ("processor", "host_processor_"),
        ("memory", "host_memory_"),
        ("load", "host_load"),
        ("pressure", "host_pressure_"),
        ("disk", "host_disk_"),
        ("filesystem", "host_filesystem_"),
        ("network", "host_network_"),
        ("process", "process_"),
    ];
    let folder = folder();
    write(&folder, "homeostat.yaml", &format!("host: {{warmup_interval: 100ms}}\n{QUICK}"));
    let daemon = Daemon::go_on(&folder);
    wait_until("rates", || daemon.names().iter().any(|name| name.starts_with("host_processor")).then_some(()));
    let all = daemon.names();
    daemon.stop();
    let mut left_out = 0;
    for (part, prefix) in PARTS {
        let held = all.iter().filter(|name| name.starts_with(prefix)).count();
        if held == 0 {
            continue;
        }
        left_out += 1;
        write(&folder, "homeostat.yaml", &format!("host: {{{part}: false}}\n{QUICK}"));
        let data = format!("without-{part}");
        let daemon = Daemon::start_with(&folder, &["--listen", "127.0.0.1:0", "--data", &data], &[]);
        let names = daemon.names();
        assert!(!names.is_empty() && !names.iter().any(|name| name.starts_with(prefix)), "{part}: {names:?}");
        if part == "load" {
            // Taken in again by a reload, and the host as a whole left out by the next.
            write(&folder, "homeostat.yaml", QUICK);
            assert_eq!(daemon.post_text("/-/reload", "").status, 200);
            wait_until("the load", || daemon.names().iter().any(|name| name.starts_with(prefix)).then_some(()));
            write(&folder, "homeostat.yaml", &format!("host: {{enabled: false}}\n{QUICK}"));
            assert_eq!(daemon.post_text("/-/reload", "").json()["data"]["restart_for"], json!([]));
            let samples = |daemon: &Daemon| daemon.metric("homeostat_samples_total{fate=\"admitted\"}");
            let (before, cycles) = (samples(&daemon), daemon.metric("homeostat_cycles_total"));
            wait_until("cycles", || (daemon.metric("homeostat_cycles_total") > cycles + 2.0).then_some(()));
            assert_eq!(samples(&daemon), before, "nothing is read any more");
        }
    }
    // A container may lack some; these are everywhere.
    assert!(left_out >= 4, "{all:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_daemon_itself_needs_is_measured_also_where_the_host_gives_no_series() {
    let folder = folder();
    write(&folder, "homeostat.yaml", &format!("host: {{enabled: false}}\n{QUICK}"));
    let daemon = Daemon::go_on(&folder);
    let own_memory = || daemon.metric("homeostat_evidence_ratio{evidence=\"own_memory\"}");
    let measured = || {
        wait_until("a cycle", || daemon.try_metric("homeostat_cycle_last_seconds").filter(|seconds| *seconds > 0.0));
        assert!(own_memory() > 0.001, "over half a megabyte of 512: {}", own_memory());
        assert!(daemon.metric("process_resident_memory_bytes") > 500_000.0);
        assert!(daemon.metric("process_cpu_seconds_total") >= 0.0);
        wait_until("the processor", || daemon.try_metric("homeostat_evidence_ratio{evidence=\"host_processor\"}"));
    };
    measured();
    assert_eq!(daemon.names(), [""; 0], "no series of this host");
    // Switched on and off again while it runs.
    write(&folder, "homeostat.yaml", QUICK);
    assert_eq!(daemon.post_text("/-/reload", "").status, 200);
    wait_until("series", || (!daemon.names().is_empty()).then_some(()));
    write(&folder, "homeostat.yaml", &format!("host: {{enabled: false}}\n{QUICK}"));
    assert_eq!(daemon.post_text("/-/reload", "").status, 200);
    measured();
}

#[cfg(target_os = "linux")]
#[test]
fn a_host_without_an_interval_of_its_own_is_read_as_often_as_the_loop_turns() {
    let folder = folder();
    // An hour in every state but the one that is forced below.
    let states = "healthy: {monitoring_interval: 1h}, optimizing: {monitoring_interval: 1h}, \
        degraded: {monitoring_interval: 1h}, critical: {monitoring_interval: 1s}, recovering: {monitoring_interval: 1h}";
    let rest = format!("learning: {{min_data_points: 10}}\nstates: {{{states}}}\n");
    write(&folder, "homeostat.yaml", &format!("host: {{interval: null, warmup_interval: 100ms}}\n{rest}"));
    let daemon = Daemon::go_on(&folder);
    let samples = || row(&daemon, "host_load1")["samples"].as_u64().unwrap_or_default();
    wait_until("ten samples", || (samples() >= 10).then_some(()));
    assert_eq!(daemon.post("/api/v1/state", &json!({ "state": "critical", "for": "1h" })).status, 200);
    // With the twentieth reading nothing is young any more.
    wait_until("readings at the forced pace", || (samples() >= 25).then_some(()));
    let load = row(&daemon, "host_load1");
    assert!(load["span_s"].as_f64() > Some(4.0), "five of them lie a second apart: {load}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_host_is_read_at_the_pace_that_is_set() {
    let folder = folder();
    // Ten samples in about a second, and then none for an hour.
    let host = "host: {warmup_interval: 100ms, interval: 1h}\nlearning: {min_data_points: 10}\n";
    // A series of a file that never gets as many does not keep the host at the quick pace.
    write(&folder, "few.csv", &format!("timestamp,value\n{},1\n{},2\n", now() - 20, now() - 10));
    write(&folder, "homeostat.yaml", &format!("{host}files: [{{path: few.csv}}]\n{QUICK}"));
    let daemon = Daemon::go_on(&folder);
    let load = wait_until("ten samples", || {
        Some(row(&daemon, "host_load1")).filter(|row| row["samples"].as_u64() >= Some(10))
    });
    assert!(load["span_s"].as_f64() < Some(9.0), "ten samples a second apart would span nine: {load}");
    // Once none is young, two cycles pass without another reading.
    let admitted = || daemon.metric("homeostat_samples_total{fate=\"admitted\"}");
    let cycles = || daemon.metric("homeostat_cycles_total");
    wait_until("a pause of two cycles", || {
        let (before, from) = (admitted(), cycles());
        wait_until("two cycles", || (cycles() >= from + 2.0).then_some(()));
        (admitted() == before).then_some(())
    });
}

#[test]
fn what_the_guard_holds_back_is_told_by_its_reason() {
    let folder = folder();
    // More memory is in use than this limit allows, so that a loop asks for less in every cycle; it may do so once an hour.
    let limits = "limits: {own_memory: {degraded: {enter: 0.001, leave: 0.0005}}}";
    let states = QUICK.replacen("states: {", &format!("states: {{{limits}, "), 1);
    let rest = "host: {enabled: false}\nexecution: {changes_per_hour: 1}\nfeedback: {withhold: 0}\n";
    write(&folder, "homeostat.yaml", &format!("{rest}{states}"));
    let daemon = Daemon::go_on(&folder);
    let refused = |reason: &str| daemon.metric(&format!("homeostat_change_refusals_total{{reason=\"{reason}\"}}"));
    let often = wait_until("a refusal", || Some(refused("too_often")).filter(|count| *count > 0.0));
    assert!(daemon.metric("homeostat_changes_refused_total") >= often);
    for reason in ["frozen", "unchanged", "out_of_bounds", "wrong_setting"] {
        assert_eq!(refused(reason), 0.0, "{reason}");
    }
    let statistics = daemon.data("/api/v1/statistics");
    assert_eq!(statistics["changes_refused_because"]["too_often"], statistics["changes_refused"], "{statistics}");
    let status = run(&folder, &["status", "--url", &daemon.url()]).out;
    assert!(status.contains("changes_refused") && status.contains(" too often)"), "{status}");
}

#[test]
fn a_file_comes_at_once_or_at_the_pace_that_is_set() {
    let folder = folder();
    let mut text = "timestamp,value\n".to_owned();
    for n in 0..200_u64 {
        writeln!(text, "{},{}", 1_600_000_000 + n * 10, 5 + n * 7919 % 11).expect("text");
    }
    write(&folder, "slow.csv", &text);
    let mut text = "timestamp,value\n".to_owned();
    for n in 0..200_u64 {
        writeln!(text, "{},{}", now() - 2000 + n * 10, 5 + n * 7919 % 11).expect("text");
    }
    write(&folder, "quick.csv", &text);
    let files = "host: {enabled: false}\nfiles: [{path: slow.csv, speed: 1000x}, {path: quick.csv}]\n";
    write(&folder, "homeostat.yaml", &format!("{files}{QUICK}"));
    let daemon = Daemon::go_on(&folder);
    let whole = |series: &str| row(&daemon, series)["samples"].as_u64() == Some(200);
    wait_until("all rows", || (whole("slow") && whole("quick")).then_some(()));
    assert_eq!(row(&daemon, "quick")["span_s"], 1990.0, "as the file says");
    assert_eq!(row(&daemon, "slow")["span_s"], 1.99, "a thousand times as fast, from now on");
}

#[test]
fn the_journal_is_kept_as_long_as_is_set_and_memory_written_down_as_often() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, "store: {snapshot_interval: 1h}\n");
    // The first comes with the first threshold, the next ones after 20 s and 40 s: memory is small yet.
    wait_until("the first snapshot", || (daemon.metric("homeostat_snapshots_total") >= 1.0).then_some(()));
    assert!(daemon.metric("homeostat_snapshots_total") <= 2.0);
    daemon.stop();
    let journal = folder.path().join("data/homeostat.db");
    let edit = |sql: &str| {
        let database = rusqlite::Connection::open(&journal).expect("the journal");
        database.execute_batch(sql).expect(sql);
    };
    let count = || -> i64 {
        let database = rusqlite::Connection::open(&journal).expect("the journal");
        database.query_row("select count(*) from events", [], |row| row.get(0)).expect("a number")
    };
    // All that is there happened two hours ago, and a snapshot knows it.
    edit(&format!("update events set at = {}", (now() - 7200) * 1000));
    let old = count();
    let snapshots = |daemon: &Daemon| daemon.metric("homeostat_snapshots_total");
    let daemon = Daemon::start(&folder, "store: {snapshot_interval: 1s, retention: 3h}\n");
    wait_until("snapshots", || (snapshots(&daemon) >= 2.0).then_some(()));
    daemon.stop();
    assert!(count() >= old, "younger than three hours");
    let daemon = Daemon::start(&folder, "store: {snapshot_interval: 1s, retention: 1h}\n");
    wait_until("snapshots", || (snapshots(&daemon) >= 2.0).then_some(()));
    let first = daemon.list("/api/v1/events?limit=1000").pop();
    assert!(first.is_none_or(|event| event["seq"].as_i64() > Some(old)), "older than an hour are gone");
    daemon.stop();
    // More than are to be kept, of a kind that nobody knows any more.
    let events = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
         insert into events select (select value from counters where name = 'seq') + i, ";
    let rest = format!("{}, 99, 'unheard_of', null, '{{}}' from n;", now() * 1000);
    edit(&format!("{events}{rest} update counters set value = value + 3000 where name = 'seq';"));
    let daemon = Daemon::start(&folder, "store: {snapshot_interval: 1s, retention_max: 1000}\n");
    wait_until("a snapshot", || (snapshots(&daemon) >= 1.0).then_some(()));
    daemon.stop();
    assert!(count() <= 1000, "{}", count());
}

#[test]
fn samples_are_on_the_disk_as_soon_as_is_set() {
    let folder = folder();
    let host = "host: {interval: 1s, warmup_interval: 100ms}\n";
    let config = |every: &str| format!("{host}store: {{sync_interval: {every}}}\n");
    write(&folder, "homeostat.yaml", &config("10ms"));
    let daemon = Daemon::go_on(&folder);
    let syncs = || daemon.metric("homeostat_store_syncs_total");
    wait_until("synchronisations", || (syncs() >= 5.0).then_some(()));
    write(&folder, "homeostat.yaml", &config("1m"));
    assert_eq!(daemon.post("/-/reload", &json!({})).status, 200);
    let (then, written) = (syncs(), daemon.metric("homeostat_store_samples_bytes"));
    wait_until("samples", || (daemon.metric("homeostat_store_samples_bytes") > written + 2000.0).then_some(()));
    assert!(syncs() <= then + 1.0, "one was under way, the next comes in a minute");
}

#[test]
fn what_is_logged_and_in_which_form_is_as_set() {
    let folder = folder();
    let told = || read(&folder, "err");
    let said = |log: &str, wanted: &str| {
        configure(&folder, &format!("log: {log}\n"));
        // Another file each time: what was read in one life is not read again in the next.
        write(&folder, "rows.jsonl", &format!("{{\"timestamp\":\"soon\",\"value\":1,\"of\":\"{log}\"}}\n"));
        let daemon = Daemon::start_with(&folder, &["--listen", "127.0.0.1:0"], &[("HOMEOSTAT_PORT", "1")]);
        assert_eq!(daemon.post("/api/v1/state", &json!({ "state": "critical" })).status, 200);
        wait_until("what is said", || told().contains(wanted).then_some(()));
        daemon.stop();
        told()
    };
    // An unknown variable is worth an info, a torn row a warning, a new row of parameters a look when something is wrong.
    let text = said("{format: text}", "HOMEOSTAT_PORT");
    assert!(text.contains("`soon` is not a time") && !text.contains("parameters:") && !text.starts_with('{'), "{text}");
    assert!(!said("{level: warn}", "`soon` is not a time").contains("HOMEOSTAT_PORT"));
    assert_eq!(said("{level: error}", ""), "", "nothing went wrong");
    said("{level: debug}", "parameters:");
    let json = said("{format: json}", "HOMEOSTAT_PORT");
    for line in json.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn every_key_at_the_top_that_a_file_sets_is_in_force() {
    let set = json!({
        "budget": "3 per day",
        "learning": {"window_len": 501},
        "states": {"healthy": {"execution_parallelism": 3}},
        "feedback": {"signal_history": 71},
        "execution": {"changes_per_hour": 7},
        "limits": {"series_max": 123},
        "series": [{"match": "up", "watch": true}],
        "http": {"external_url": "https://tune.example.org"},
        "data": "elsewhere",
        "prometheus": {"enabled": false},
        "tracing": {"enabled": false},
        "calendars": [{"kind": "holiday", "dates": ["2026-12-25"]}],
        "rules": [{"alert": "A", "expr": "x", "op": ">", "literal": 0.5, "match": "x", "for": "5m", "labels": ["a=b"]}],
        "rollout": {"share": 0.5},
        "remote_write": [{"url": "http://x/api/v1/write", "interval": "30s"}],
        "host": {"enabled": false},
        "files": [{"path": "a.csv", "speed": "10x"}],
        "promql": [{"url": "http://x", "tenant": "t", "step": "2m", "expressions": [{"expr": "up", "name": "alive"}]}],
        "scrape": [{"job": "j", "targets": ["x:1"], "scheme": "https", "interval": "7s", "timeout": "3s", "username": "u",
                    "password_file": "p"}],
        "receive": {"body_max": 4096, "replica_labels": ["replica"]},
        "pages": {"group_wait": "3s"},
        "receivers": [{"kind": "webhook", "url": "http://x/"}],
        "verdicts": {"silenced": 0.25},
        "webhooks": [{"url": "http://x/", "loops": ["decision_quality"], "timeout": "1s"}],
        "store": {"retention_max": 5000},
        "log": {"level": "debug"},
    });
    let folder = folder();
    write(&folder, "all.yaml", &set.to_string());
    let json_of = |args: &[&str]| -> Value { serde_json::from_str(&run(&folder, args).out).expect("JSON") };
    let schema = json_of(&["config", "schema"]);
    let known: BTreeSet<&String> = schema["properties"].as_object().expect("a section").keys().collect();
    assert_eq!(set.as_object().expect("a section").keys().collect::<BTreeSet<_>>(), known, "a key is not tried here");
    let shown = json_of(&["config", "show", "--config", "all.yaml", "--output", "json"])["data"]["config"].clone();
    let default = json_of(&["config", "show", "--output", "json"])["data"]["config"].clone();
    for key in known {
        assert!(holds(&shown[key], &set[key]), "{key}: {} is set, {} in force", set[key], shown[key]);
        // Traces can only be left off yet.
        assert!(key == "tracing" || !holds(&default[key], &set[key]), "{key}: only its default was set");
    }
}

/// Whether all that `set` says is so in `shown`.
fn holds(shown: &Value, set: &Value) -> bool {
    match (shown, set) {
        (Value::Object(shown), Value::Object(set)) => {
            set.iter().all(|(key, set)| shown.get(key).is_some_and(|shown| holds(shown, set)))
        }
        (Value::Array(shown), Value::Array(set)) => {
            shown.len() == set.len() && shown.iter().zip(set).all(|(shown, set)| holds(shown, set))
        }
        (shown, set) => shown == set,
    }
}

#[test]
fn the_budget_comes_from_file_and_environment_and_is_followed_when_it_changes() {
    let folder = folder();
    for (budget, wanted) in [("garbage", "`garbage` is not a budget"), ("0 per week", "`0 per week` is not a budget")] {
        write(&folder, "homeostat.yaml", &format!("budget: {budget}\n"));
        for refused in [
            run(&folder, &["config", "check", "homeostat.yaml"]),
            with_env(&folder, &["config", "check"], &[("HOMEOSTAT__BUDGET", budget)]),
        ] {
            assert_eq!(refused.code, 2, "{}", refused.err);
            let said = &refused.err;
            assert!(said.contains("budget: ") && said.contains(wanted) && said.contains("1 per week"), "{said}");
        }
    }
    let a_week = |daemon: &Daemon| daemon.data("/api/v1/statistics")["budget_per_week"].clone();
    write(&folder, "homeostat.yaml", "host: {enabled: false}\nbudget: 2 per week\n");
    let daemon = Daemon::go_on(&folder);
    assert_eq!(a_week(&daemon), 2.0);
    write(&folder, "homeostat.yaml", "host: {enabled: false}\nbudget: 3 per day\n");
    assert_eq!(daemon.post_text("/-/reload", "").json()["data"]["changed"], json!(["budget"]));
    assert_eq!(a_week(&daemon), 21.0);
    daemon.stop();
    let env = [("HOMEOSTAT__BUDGET", "4 per week")];
    let daemon = Daemon::start_with(&folder, &["--listen", "127.0.0.1:0"], &env);
    assert_eq!(a_week(&daemon), 4.0, "the environment is stronger than the file");
    daemon.stop();
}
