//! New thresholds on their way to alert rules, as people see them and order them about.

mod common;

use common::{Daemon, folder, read, run, wait_until, write};
use serde_json::{Value, json};

const RULES: &str = "rules: [{alert: Busy, expr: load, op: '>', literal: 1000, match: load}, \
                     {alert: Short, expr: queue, op: <, literal: 1, by: [zone], match: queue}]\n";

fn row(daemon: &Daemon, rule: &str) -> Value {
    let rows = daemon.list("/api/v1/rollouts");
    rows.into_iter().find(|row| row["rule"] == rule).expect("a row of each rule")
}

fn thresholds(daemon: &Daemon) -> Vec<String> {
    let text = daemon.get("/metrics/thresholds").text;
    text.lines().filter(|line| line.contains("rule=\"Busy\"")).map(str::to_owned).collect()
}

#[test]
fn nothing_is_served_in_shadow_and_people_promote_and_roll_back() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, RULES);
    let shadow = wait_until("what is read along", || Some(row(&daemon, "Busy")).filter(|row| row["step"] == "shadow"));
    assert_eq!((&shadow["served"], &shadow["literal"], &shadow["tried"]), (&json!(0), &json!(1000.0), &json!(1)));
    assert!(shadow["until"].as_str() > shadow["since"].as_str(), "an hour later: {shadow}");
    // What is held of the past was read already.
    assert!(shadow["evidence"]["watched_s"].as_f64() > Some(2000.0), "{shadow}");
    let tried = &shadow["series"][0];
    assert_eq!((&tried["series"], &tried["before"], &tried["served"]), (&json!("load"), &json!(1000.0), &json!(false)));
    assert_eq!(thresholds(&daemon), ["homeostat_threshold_tried{rule=\"Busy\"} 1"]);
    let shown = run(&folder, &["rollouts", "--url", &daemon.url()]);
    assert!(shown.out.lines().nth(1).is_some_and(|line| line.starts_with("Busy\tshadow\t")), "{}", shown.out);

    let order = |args: &[&str]| run(&folder, &[&["rollouts"], args, &["--url", &daemon.url()]].concat());
    let promoted = order(&["promote", "Busy", "--comment", "looks good"]);
    assert_eq!(promoted.code, 0, "{}", promoted.err);
    let active = row(&daemon, "Busy");
    assert_eq!((&active["step"], &active["served"]), (&json!("active"), &json!(1)));
    assert_eq!(active["steps"][1]["because"], "a person said so: looks good");
    let alert_upper = daemon.list("/api/v1/thresholds")[0]["alert_upper"].clone();
    assert_eq!(active["series"][0]["proposed"], alert_upper);
    assert_eq!(
        thresholds(&daemon),
        [format!("homeostat_threshold{{rule=\"Busy\",direction=\"upper\"}} {alert_upper}")]
    );
    assert_eq!(row(&daemon, "Short")["step"], "shadow", "a rule by itself");

    // It outlives a kill, and can be taken back after it.
    daemon.kill();
    let daemon = Daemon::go_on(&folder);
    assert_eq!(row(&daemon, "Busy")["step"], "active");
    let back = daemon.post("/api/v1/rollouts", &json!({ "rule": "Busy", "order": "roll_back" }));
    assert_eq!(back.json()["data"]["served"], 0, "{}", back.text);
    assert_eq!(thresholds(&daemon), ["homeostat_threshold_tried{rule=\"Busy\"} 1"]);
    assert_eq!(daemon.metric("homeostat_rollout_steps_total{step=\"rolled_back\"}"), 1.0);
    assert_eq!(daemon.metric("homeostat_rollout_served{rule=\"Busy\"}"), 0.0);
    assert_eq!(daemon.metric("homeostat_rollout{rule=\"Short\",step=\"shadow\"}"), 1.0);

    let refused = |body: Value| daemon.post("/api/v1/rollouts", &body);
    let nothing = refused(json!({ "rule": "Busy", "order": "promote" }));
    assert!(nothing.problem(409).contains("nothing of rule `Busy` is tried out"), "{}", nothing.text);
    assert!(refused(json!({ "rule": "Nobody", "order": "promote" })).problem(404).contains("`Nobody`"));
    assert!(refused(json!({ "rule": "Busy", "order": "hurry" })).problem(422).contains("`hurry`"));
    let kinds: Vec<Value> =
        daemon.list("/api/v1/events?limit=1000").iter().map(|row| row["event"]["kind"].clone()).collect();
    assert!(kinds.contains(&json!("rollout_moved")), "{kinds:?}");
    daemon.stop();
}

#[test]
fn a_percentage_is_never_served_a_threshold_beyond_the_whole() {
    let folder = folder();
    // It lies between 99 and 100, so what is learned lies above.
    let rule = "rules: [{alert: Full, expr: queue_used_percent, op: '>', literal: 90, by: [zone], match: queue}]\n";
    let daemon = Daemon::learned(&folder, rule);
    wait_until("what is read along", || Some(row(&daemon, "Full")).filter(|row| row["step"] == "shadow"));
    let learned =
        daemon.list("/api/v1/thresholds").into_iter().find(|row| row["series"] != "load").expect("of the queue");
    assert!(learned["alert_upper"].as_f64() > Some(100.0), "{learned}");
    let shown = |args: &[&str]| run(&folder, &[&["rollouts"], args, &["--url", &daemon.url()]].concat()).out;
    assert!(shown(&["promote", "Full"]).contains("of 1 series lies where no value can be, and is not served"));
    let active = row(&daemon, "Full");
    assert_eq!((&active["served"], &active["out_of_reach"]), (&json!(1), &json!(1)), "{active}");
    let text = daemon.get("/metrics/thresholds").text;
    let served = "homeostat_threshold{rule=\"Full\",direction=\"upper\",zone=\"é\"} 90";
    assert!(text.lines().any(|line| line == served), "{text}");
    assert_eq!(active["rests_until"], Value::Null);
    assert!(shown(&["roll-back", "Full"]).contains("; nothing is tried out until 20"));
    assert!(row(&daemon, "Full")["rests_until"].is_string());
    daemon.stop();
}

#[test]
fn what_was_kept_is_taken_back_by_an_order_and_shown() {
    let folder = folder();
    let daemon = Daemon::learned(&folder, &format!("rollout: {{shadow: 0s, canary: 0s, watch: 1s}}\n{RULES}"));
    let kept = wait_until("what is kept", || Some(row(&daemon, "Busy")).filter(|row| row["kept"] == 1));
    assert_eq!((&kept["step"], &kept["served"]), (&Value::Null, &json!(1)), "{kept}");
    // It rests for so long afterwards.
    write(&folder, "homeostat.yaml", &read(&folder, "homeostat.yaml").replace("watch: 1s", "watch: 1d"));
    assert_eq!(daemon.post("/-/reload", &json!({})).status, 200);
    let args = ["rollouts", "roll-back", "Busy", "--comment", "too quiet", "--output", "json", "--url", &daemon.url()];
    let back = run(&folder, &args);
    assert_eq!(back.code, 0, "{}", back.err);
    let back: Value = serde_json::from_str(&back.out).expect(&back.out);
    let last = back["data"]["steps"].as_array().and_then(|steps| steps.last()).expect("a step");
    assert_eq!(last["because"], "a person took back what was kept: too quiet", "{back}");
    assert_eq!((&back["data"]["served"], &back["data"]["kept"]), (&json!(0), &json!(0)), "{back}");
    assert_eq!(thresholds(&daemon), ["homeostat_threshold_tried{rule=\"Busy\"} 1"]);
    daemon.stop();
}
