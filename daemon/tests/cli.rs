//! The command line as a script meets it: the real binary on real files, what it prints, and how it ends.

mod common;

use common::{Daemon, Ran, csv, folder, homeostat, run, value, write};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

// --- learn ----------------------------------------------------------------------------------------------------------

#[test]
fn rows_that_are_not_what_the_header_says_are_told_and_what_files_say_steers_no_terminal() {
    let folder = folder();
    write(&folder, "eu.csv", "timestamp,value\n1700000000,5,3\n1700000060,5,4\n1700000120,7,\n");
    let ran = run(&folder, &["learn", "eu.csv", "--strict"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("eu.csv: line 2: more than the 2 fields") && ran.err.contains("2 of 3 rows"),
        "{}",
        ran.err
    );
    write(&folder, "esc.csv", "timestamp,value\n\u{1b}[31mEVIL\u{7},5\n");
    let ran = run(&folder, &["detect", "esc.csv", "--out", "-"]);
    assert!(ran.err.contains("EVIL") && !ran.err.contains(['\u{1b}', '\u{7}']), "{:?}", ran.err);
    write(&folder, "head.csv", "timestamp,value\n");
    assert!(run(&folder, &["learn", "head.csv"]).err.contains("head.csv: no rows"));
    let ran = run(&folder, &["learn", "eu.csv", "--strategy", "bogus"]);
    assert!(ran.code == 2 && !ran.err.contains("did you mean"), "{}", ran.err);
    assert!(run(&folder, &["learn", "eu.csv", "--strategy", "robst"]).err.contains("did you mean `robust`?"));
}

#[test]
fn learn_prints_rows_as_the_api_does() {
    let folder = folder();
    write(&folder, "load.csv", &csv(500));
    let ran = run(&folder, &["learn", "load.csv", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["data"].as_array().expect("a list under data");
    assert_eq!((answer.as_object().map(|fields| fields.len()), rows.len()), (Some(1), 1));
    let row = &rows[0];
    assert_eq!(row["series"], "load");
    let (lower, upper) = (row["lower"].as_f64().expect("lower"), row["upper"].as_f64().expect("upper"));
    assert!(8.0 < lower && lower < 12.0 && 18.0 < upper && upper < 22.0, "{lower} {upper}");
    assert_eq!(row["active"], true);
    assert_eq!(row["sensitivity"], 2.0);
    // Now is the time of the last row, never the machine's.
    assert_eq!(row["learned_at"], "2023-11-15T06:32:20.000Z");
    let supporting = row["supporting"].as_object().expect("supporting");
    for key in ["count", "mean", "median", "std_dev", "min", "max", "p25", "p75", "p90", "p95", "p99", "iqr", "trend"] {
        assert!(supporting.contains_key(key), "{key}");
    }
    assert_eq!(supporting["count"], 500);
    assert!(["increasing", "decreasing", "stable", "unknown"].contains(&supporting["trend"].as_str().expect("text")));
    for key in ["confidence", "strategy", "reasoning"] {
        assert!(!row[key].is_null(), "{key}");
    }
    // --output json is the same wish in the words of the other commands.
    assert_eq!(run(&folder, &["learn", "load.csv", "--output", "json"]).out, ran.out);
}

#[test]
fn learn_takes_the_last_ten_thousand_rows_whatever_their_age() {
    let folder = folder();
    let mut text = "timestamp,value\n".to_owned();
    // An hour apart: over a year. The first 5,000 lie elsewhere and are not of the last 10,000.
    for at in 0..15_000u64 {
        let shift = if at < 5_000 { 1_000.0 } else { 0.0 };
        let _ = writeln!(text, "{},{}", 1_600_000_000 + at * 3600, value(at) + shift);
    }
    write(&folder, "year.csv", &text);
    let ran = run(&folder, &["learn", "year.csv", "--format", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let supporting = &answer["data"][0]["supporting"];
    assert_eq!(supporting["count"], 10_000);
    assert!(supporting["max"].as_f64().expect("a number") < 21.0);
}

#[test]
fn learn_reads_several_files_and_series_in_any_order_of_time() {
    let folder = folder();
    let lines: Vec<String> = csv(400).lines().map(str::to_owned).collect();
    let (mut backwards, mut json) = ("timestamp,value,series\n".to_owned(), String::new());
    for line in lines[1..].iter().rev() {
        let _ = writeln!(backwards, "{line},\"up{{job=\"\"a\"\"}}\"");
        let (at, value) = line.split_once(',').expect("two fields");
        let _ = writeln!(json, r#"{{"series":"other","timestamp":{at},"value":{value}}}"#);
    }
    write(&folder, "a.csv", &backwards);
    write(&folder, "b.jsonl", &json);
    let ran = run(&folder, &["learn", "a.csv", "b.jsonl", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["data"].as_array().expect("a list");
    assert_eq!(
        rows.iter().map(|row| row["series"].as_str().unwrap_or("")).collect::<Vec<_>>(),
        ["other", "up{job=\"a\"}"]
    );
    assert_eq!(rows[0]["upper"], rows[1]["upper"]);
    assert_eq!(rows[0]["supporting"]["count"], 400);
}

#[test]
fn learn_reads_standard_input_and_prints_every_format() {
    let folder = folder();
    let fed = |format: &str| {
        let mut child = homeostat(folder.path())
            .args(["learn", "-", "--format", format, "--strategy", "iqr", "--sensitivity", "3"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        child.stdin.take().expect("piped").write_all(csv(300).as_bytes()).expect("fed");
        Ran::from(child.wait_with_output().expect("ended"))
    };
    let table = fed("table");
    assert_eq!(table.code, 0, "{}", table.err);
    let lines: Vec<Vec<&str>> = table.out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][..5], ["series", "lower", "upper", "confidence", "strategy"], "plain columns in a pipe");
    assert_eq!((lines[1][0], lines[1][4], lines.len()), ("stdin", "iqr", 2));
    assert!(fed("csv").out.starts_with("series,lower,upper,sensitivity,"));
    assert!(fed("yaml").out.starts_with("data:\n"));
    let json: Value = serde_json::from_str(&fed("json").out).expect("JSON");
    assert_eq!(json["data"][0]["sensitivity"], 3.0);
}

#[test]
fn learn_tells_bad_rows_by_line_and_uses_the_rest() {
    let folder = folder();
    let text = csv(300).replacen("1700000060,", "soon,", 1).replacen("1700000120,", "1700000120,much", 1);
    write(&folder, "load.csv", &text);
    let ran = run(&folder, &["learn", "load.csv", "--format", "json"]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("load.csv: line 3: `soon` is not a time"), "{}", ran.err);
    assert!(ran.err.contains("load.csv: line 4: `much"), "{}", ran.err);
    assert!(ran.err.contains("2 of 300 rows"), "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(answer["data"][0]["supporting"]["count"], 298);
    let strict = run(&folder, &["learn", "load.csv", "--format", "json", "--strict"]);
    assert_eq!((strict.code, strict.out), (1, ran.out), "strict says so by its code alone");
    write(&folder, "good.csv", &csv(300));
    assert_eq!(run(&folder, &["learn", "good.csv", "--strict"]).code, 0);
}

#[test]
fn learn_says_when_there_is_too_little() {
    let folder = folder();
    write(&folder, "young.csv", &csv(99));
    write(&folder, "empty.csv", "");
    let young = run(&folder, &["learn", "young.csv", "empty.csv", "--format", "json"]);
    assert_eq!((young.code, young.out.as_str()), (0, "{\"data\":[]}\n"));
    assert!(young.err.contains("young: 99 usable rows, 100 are needed"), "{}", young.err);
    write(&folder, "flat.csv", &(0..200).map(|at| format!("{at},7\n")).collect::<String>());
    let flat: Value =
        serde_json::from_str(&run(&folder, &["learn", "flat.csv", "--format", "json"]).out).expect("JSON");
    // A constant series is learned because the file was asked for, and its bounds leave room around it.
    let bounds = (flat["data"][0]["lower"].as_f64(), flat["data"][0]["upper"].as_f64());
    assert!(bounds.0.is_none_or(|lower| lower < 7.0) && bounds.1.is_some_and(|upper| upper > 7.0), "{bounds:?}");
}

// --- help, configuration, simulation --------------------------------------------------------------------------------

#[test]
fn help_teaches_with_examples() {
    let folder = folder();
    let help = run(&folder, &["--help"]);
    assert_eq!(help.code, 0);
    let commands = [
        "run",
        "learn",
        "detect",
        "explain",
        "status",
        "feedback",
        "state",
        "freeze",
        "thresholds",
        "config",
        "bench",
        "simulate",
        "completions",
    ];
    for command in commands {
        assert!(help.out.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
        let ran = run(&folder, &[command, "--help"]);
        assert_eq!(ran.code, 0, "{command}");
        let nested = matches!(command, "thresholds");
        assert!(nested || ran.out.contains("Examples:"), "{command} shows how it is used");
    }
    assert!(help.out.contains("Exit codes"));
    assert!(run(&folder, &["--version"]).out.starts_with("homeostat "));
    assert!(run(&folder, &["completions", "bash"]).out.contains("homeostat"));
}

#[test]
fn config_is_checked_shown_with_its_origins_and_described() {
    let folder = folder();
    write(&folder, "good.yaml", "learning:\n  window_len: 500\n");
    let check = run(&folder, &["config", "check", "good.yaml"]);
    assert_eq!((check.code, check.err.as_str()), (0, ""));
    write(&folder, "bad.yaml", "learning:\n  windw_len: 500\n");
    let check = run(&folder, &["config", "check", "bad.yaml"]);
    assert_eq!(check.code, 2);
    assert!(check.err.contains("did you mean `learning.window_len`"), "{}", check.err);
    assert!(check.err.contains("bad.yaml:2"), "the place: {}", check.err);
    let show = homeostat(folder.path())
        .args(["config", "show", "--config", "good.yaml"])
        .env("HOMEOSTAT__LEARNING__SENSITIVITY", "3")
        .env("HOMEOSTAT_PORT", "tcp://10.0.0.1:80")
        .output()
        .expect("started");
    let show = Ran::from(show);
    assert_eq!(show.code, 0);
    let line = |key: &str| show.out.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or("").to_owned();
    assert!(line("window_len").contains("good.yaml:2"), "{}", line("window_len"));
    assert!(line("sensitivity").contains("environment HOMEOSTAT__LEARNING__SENSITIVITY"), "{}", line("sensitivity"));
    assert!(line("min_data_points").contains("# default"), "{}", line("min_data_points"));
    assert!(show.err.contains("HOMEOSTAT_PORT"), "{}", show.err);
    // What is shown can be used as a file.
    write(&folder, "shown.yaml", &show.out);
    assert_eq!(run(&folder, &["config", "check", "shown.yaml"]).code, 0);
    let schema: Value = serde_json::from_str(&run(&folder, &["config", "schema"]).out).expect("JSON");
    assert!(schema["properties"]["learning"].is_object());
    let tracing = homeostat(folder.path()).args(["config", "check"]).env("MAPEK_ENABLE_TRACING", "true").output();
    let tracing = Ran::from(tracing.expect("started"));
    assert!(tracing.code == 2 && tracing.err.contains("tracing.enabled"), "{}", tracing.err);
}

#[test]
fn a_configuration_that_is_no_yaml_is_told_by_line_and_in_plain_words() {
    let folder = folder();
    for (text, said) in [
        (
            "learning:\n  sensitivity: 2\n  sensitivity: 3\n",
            "c.yaml:3:3: `learning.sensitivity` is there already, in line 2",
        ),
        ("learning:\n\tsensitivity: 2\n", "c.yaml:2:2: not YAML: a tab indents this line"),
        ("files: [{path: x}\n", "c.yaml:1:8: not YAML: the [ here is never closed"),
    ] {
        write(&folder, "c.yaml", text);
        let check = run(&folder, &["config", "check", "c.yaml"]);
        assert!(check.code == 2 && check.err.contains(said), "{text}: {}", check.err);
    }
}

#[test]
fn simulate_tells_the_same_story_twice() {
    let folder = folder();
    let list = run(&folder, &["simulate", "--list"]);
    assert!(list.code == 0 && list.out.lines().any(|line| line.starts_with("step\t")), "{}", list.out);
    let first = run(&folder, &["simulate", "flat_line"]);
    assert_eq!((first.code, first.err.as_str()), (0, ""));
    assert_eq!(first.out, run(&folder, &["simulate", "flat_line"]).out);
    assert_eq!(run(&folder, &["simulate"]).code, 2);
}

#[test]
fn bench_measures_works_by_name_each_beside_a_reference() {
    let folder = folder();
    let ran = run(&folder, &["bench", "--work", "statistics of 1,000", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["rows"].as_array().expect("rows");
    let [row] = &rows[..] else { panic!("one work has this name: {}", ran.out) };
    let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key} is a number: {row}"));
    assert_eq!((row["work"].as_str(), row["unit"].as_str()), (Some("all statistics of 1,000 samples"), Some("µs")));
    assert!(row["reference"].as_str().is_some_and(|reference| reference.contains("sort")), "{row}");
    assert!(number("figure") > 0.0 && number("reference_figure") > 0.0, "{row}");
    assert!((number("ratio") * number("figure") / number("reference_figure") - 1.0).abs() < 1e-9, "{row}");
    assert_eq!(row["met"].as_bool(), Some(number("figure") <= number("goal")), "{row}");
    let table = run(&folder, &["bench", "--work", "statistics of 1,000"]);
    assert!(table.out.starts_with("work\t") && table.out.lines().count() == 2, "{}", table.out);
    let both = run(&folder, &["bench", "--work", "statistics of 1,000", "--work", "the parameters of one"]);
    assert_eq!(both.out.lines().count(), 3, "one of both names: {}", both.out);
    let nobody = run(&folder, &["bench", "--beside", "no/prometheus"]);
    assert!(nobody.code == 2 && nobody.err.contains("no/prometheus is not there"), "{}", nobody.err);
    let unknown = run(&folder, &["bench", "--work", "flying"]);
    assert!(unknown.code == 2 && unknown.err.contains("all statistics of 1,000 samples"), "{}", unknown.err);
}

// --- a daemon -------------------------------------------------------------------------------------------------------

#[test]
fn a_daemon_that_is_not_there_is_the_world_failing() {
    let folder = folder();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}");
    for command in [
        &["status"][..],
        &["state"],
        &["state", "set", "healthy"],
        &["explain", "up"],
        &["feedback", "up", "true"],
        &["freeze", "on"],
        &["thresholds", "export"],
    ] {
        let mut args = command.to_vec();
        args.extend(["--url", &url]);
        let ran = run(&folder, &args);
        assert_eq!(ran.code, 3, "{command:?}: {}", ran.err);
        assert!(ran.err.contains("homeostat run") && ran.err.contains(&url), "{}", ran.err);
    }
    // The environment names a daemon too; a flag is stronger.
    let told = homeostat(folder.path()).arg("status").env("HOMEOSTAT_URL", "http://127.0.0.1:1").output();
    assert!(Ran::from(told.expect("started")).err.contains("127.0.0.1:1 "));
}

#[test]
fn commands_reach_a_daemon_and_hindrances_are_told_with_a_remedy() {
    let folder = folder();
    write(&folder, "homeostat.yaml", "host: {enabled: true}\n");
    let daemon = Daemon::go_on(&folder);
    let url = daemon.url();
    let ask = |args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--url", &url]);
        run(&folder, &args)
    };
    let status = ask(&["status"]);
    assert_eq!(status.code, 0, "{}", status.err);
    assert!(status.out.starts_with("state\thealthy\n") && status.out.contains("anomaly_feedback"), "{}", status.out);
    let json: Value = serde_json::from_str(&ask(&["status", "--output", "json"]).out).expect("JSON");
    assert_eq!(json["data"]["loops"].as_array().map(Vec::len), Some(5));
    // One thing is under `data` for whoever reads it, from the API as from a command.
    for (args, key) in [
        (&["state"][..], "leaves_at"),
        (&["state", "set", "healthy", "--for", "1s"], "forced_until"),
        (&["freeze", "off"], "frozen"),
        (&["explain", &daemon.names()[0]], "kind"),
        (&["config", "show"], "origin"),
        (&["config", "check"], "ok"),
    ] {
        let mut args = args.to_vec();
        args.extend(["--output", "json"]);
        let ran = if args[0] == "config" { run(&folder, &args) } else { ask(&args) };
        let json: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.err));
        assert!(json["data"].get(key).is_some(), "{args:?}: {json}");
    }

    let series = daemon.names().swap_remove(0);
    let explained = ask(&["explain", &series]);
    assert!(explained.code == 0 && explained.out.starts_with(&format!("series\t{series}\n")), "{}", explained.err);
    let picture = format!("\npicture\thttp://{}/#series=", daemon.address);
    assert!(explained.out.contains(&picture), "{}", explained.out);
    let unknown = ask(&["explain", &format!("{}x", series.split('{').next().unwrap_or(""))]);
    assert!(unknown.code == 2 && unknown.err.contains("did you mean"), "{}", unknown.err);

    let first: Value =
        serde_json::from_str(&ask(&["feedback", &series, "false", "--output", "json"]).out).expect("JSON");
    let again: Value =
        serde_json::from_str(&ask(&["feedback", &series, "false", "--output", "json"]).out).expect("JSON");
    assert!(first["id"].as_u64().expect("an id") < again["id"].as_u64().expect("an id"), "each call its own");
    let unknown = ask(&["feedback", "no_such_series", "true"]);
    assert!(unknown.code == 2 && unknown.err.contains("no_such_series"), "{}", unknown.err);
    assert_eq!(ask(&["feedback", &series, "true", "--at", "noon"]).code, 2);
    // What each was about, not only when it was heard.
    let (at, until) = ("2026-01-31T12:00:00.000Z", "2026-01-31T14:00:00.000Z");
    for args in [&["--until", until, "--comment", "disk full"][..], &["--change-point"], &[]] {
        let said = ask(&[&["feedback", &series, "true", "--at", at], args].concat());
        assert_eq!(said.code, 0, "{}", said.err);
    }
    for verdict in ["false", "missed"] {
        let refused = ask(&["feedback", &series, verdict, "--at", at, "--change-point"]);
        assert!(refused.code == 2 && refused.err.contains("said with true"), "{}", refused.err);
    }
    let told = ask(&["explain", &series]).out;
    let verdicts: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("verdict\ttrue: ")).collect();
    assert_eq!(verdicts.len(), 3, "{told}");
    assert!(verdicts[0].starts_with(&format!("moment at {at}, heard ")), "{told}");
    assert!(verdicts[1].starts_with(&format!("another series since {at}, heard ")), "{told}");
    assert!(verdicts[2].starts_with(&format!("from {at} until {until}, heard ")), "{told}");
    assert!(verdicts[2].ends_with(": disk full") && told.contains("verdict\tfalse: "), "{told}");

    let set = ask(&["state", "set", "degraded", "--for", "1h"]);
    assert_eq!((set.code, set.out.as_str()), (0, "degraded is held for 1h\n"), "{}", set.err);
    let held = ask(&["state"]).out;
    assert!(held.contains("held until") && held.contains("leaves at"), "{held}");
    assert_eq!(ask(&["state", "set", "degraded", "--for", "soon"]).code, 2);
    assert_eq!(ask(&["freeze", "on"]).out, "all changes are stopped\n");
    assert_eq!(ask(&["freeze", "off"]).code, 0);
    for format in ["json", "yaml", "csv", "prometheus"] {
        let ran = ask(&["thresholds", "export", "--format", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.err);
    }

    let second = run(&folder, &["run", "--listen", "127.0.0.1:0", "--data", "data"]);
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(second.err.contains(&format!("process {}", daemon.child.id())), "{}", second.err);
    assert!(second.err.contains("--data"), "{}", second.err);
    let second = run(&folder, &["run", "--listen", &daemon.address, "--data", "other"]);
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(second.err.contains("in use") && second.err.contains("--listen"), "{}", second.err);
}

#[test]
fn an_address_that_others_can_reach_has_to_be_meant() {
    let folder = folder();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9797", "some-host:9797"] {
        let ran = run(&folder, &["run", "--listen", listen, "--data", "data"]);
        assert_eq!(ran.code, 2, "{listen}: {}", ran.err);
        assert!(ran.err.contains("--insecure") && ran.err.contains("password"), "{}", ran.err);
    }
    assert!(!folder.path().join("data").exists(), "nothing was made");
    assert_eq!(run(&folder, &["run", "--listen", "nonsense", "--data", "data"]).code, 2);
    assert_eq!(run(&folder, &["run", "--config", "nowhere.yaml"]).code, 2);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let folder = folder();
    write(&folder, "file", "");
    let ran = run(&folder, &["run", "--listen", "127.0.0.1:0", "--data", "file/data"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("file/data"), "{}", ran.err);
}
