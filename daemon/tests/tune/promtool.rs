//! What `tune` writes, through Prometheus' own tool: texts that say the threshold in force, and cases made of what happened.

use super::*;

#[test]
#[ignore = "needs Debian's promtool, which .ci/run unpacks"]
fn prometheus_own_tool_takes_texts_that_say_the_threshold_and_says_it() {
    let (dir, server) = (folder(), server());
    write(&dir, "busy.yml", SAYS_IT);
    write(&dir, "homeostat.yaml", &tune(&dir, &server, &["busy.yml", "--as-data", "all"]).out);
    write(&dir, "a.rules.yml", &run(&dir, &["thresholds", "rules", "--config", "homeostat.yaml"]).out);
    write(&dir, "a.test.yml", SAID);
    for args in [["check", "rules", "a.rules.yml"], ["test", "rules", "a.test.yml"]] {
        let ran = std::process::Command::new("promtool").args(args).current_dir(&dir).output().expect("promtool");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{args:?}: {said}");
    }
}

/// Two hosts have thresholds, the other one the literal.
const SAID: &str = r#"
rule_files: [a.rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - { series: 'busy{host="a \"b\""}', values: 100x10 }
  - { series: 'busy{host="h1"}', values: 100x10 }
  - { series: 'busy{host="h2"}', values: 20000x10 }
  - { series: 'homeostat_threshold{rule="BusyOver99.5", direction="upper", host="a \"b\""}', values: 93.12345x10 }
  - { series: 'homeostat_threshold{rule="BusyOver99.5", direction="upper", host="h2"}', values: 12345.6x10 }
  alert_rule_test:
  - alertname: BusyOver99.5
    eval_time: 8m
    exp_alerts:
    - exp_labels: { host: 'a "b"', severity: warning, limit: above 99.5 % }
      exp_annotations:
        summary: 'Busier than 93.12 % for 5 minutes: 100'
        runbook: it is 93.12 or more
        homeostat_budget: 99.5 per week
    - exp_labels: { host: h1, severity: warning, limit: above 99.5 % }
      exp_annotations:
        summary: 'Busier than 99.5 % for 5 minutes: 100'
        runbook: it is 99.50 or more
        homeostat_budget: 99.5 per week
    - exp_labels: { host: h2, severity: warning, limit: above 99.5 % }
      exp_annotations:
        summary: 'Busier than 12346 % for 5 minutes: 20000'
        runbook: it is 12346 or more
        homeostat_budget: 99.5 per week
"#;

#[test]
#[ignore = "needs Debian's promtool, which .ci/run unpacks"]
fn cases_made_of_history_pass_promtool() {
    let (dir, server) = (folder(), server());
    write(&dir, "rules.yml", RULES);
    let ran = run_with_path(
        &dir,
        &[
            "tune",
            "rules.yml",
            "--prometheus",
            &server.url,
            "--until",
            UNTIL,
            "--since",
            "14d",
            "--tests",
            "cases",
            "--write",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains(" cases for "), "{}", ran.err);
    let promtool = |args: &[&str]| {
        let done =
            std::process::Command::new("promtool").args(args).current_dir(dir.path()).output().expect("promtool");
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        (done.status.success(), said)
    };
    let (passed, said) = promtool(&["check", "rules", "rules.yml"]);
    assert!(passed, "{said}");
    let test = read(&dir, "cases/Busy80.test.yml");
    assert!(test.contains("fires at") && test.contains("is quiet at"), "{test}");
    let (passed, said) = promtool(&["test", "rules", "cases/Busy80.test.yml"]);
    assert!(passed, "{said}");
    // A case can fail: with the literal that was published, the quiet one does.
    let rules = read(&dir, "cases/Busy80.rules.yml");
    let published: String = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with("for:"))
        .map(|line| if line.contains("expr:") { "    expr: busy > 80\n".to_owned() } else { format!("{line}\n") })
        .collect();
    write(&dir, "cases/Busy80.rules.yml", &published);
    assert!(!promtool(&["test", "rules", "cases/Busy80.test.yml"]).0);
}

#[test]
#[ignore = "needs Debian's promtool, which .ci/run unpacks"]
fn cases_pass_that_nobody_tried_out_where_others_decide_beside_the_series_that_pages() {
    let top = |host: i64| {
        let (labels, own) = busy(host);
        let others: Vec<Series> = (0..4).map(|host| busy(host).1).collect();
        let values = move |minute: i64| {
            let highest = others.iter().filter_map(|values| values(minute)).fold(0.0, f64::max);
            own(minute).filter(|value| *value == highest)
        };
        (labels, Box::new(values) as Series)
    };
    let gate = || (json!({ "__name__": "gate", "host": "elsewhere" }), Box::new(|_| Some(1.0)) as Series);
    // It is up as the history begins, and once more for an hour.
    let late = || {
        let up = |minute: i64| minute < 120 || (9 * 1440..9 * 1440 + 60).contains(&minute);
        let values = move |minute: i64| Some(if up(minute) { 95.0 } else { 20.0 + noise(minute, 3) });
        (json!({ "__name__": "late", "host": "h0" }), Box::new(values) as Series)
    };
    let server = Server::start(BTreeMap::from([
        ("busy", Given::Series((0..4).map(busy).collect())),
        ("topk(1, busy)", Given::Series((0..4).map(top).collect())),
        ("gate", Given::Series(vec![gate()])),
        ("gate == 1", Given::Series(vec![gate()])),
        ("late", Given::Series(vec![late()])),
    ]));
    let dir = folder();
    let rules = "groups:\n- name: g\n  rules:\n  - {alert: Top, expr: 'topk(1, busy) > 80'}\n  - {alert: Gated, expr: 'busy > 80 and on () gate == 1'}\n  \
                 - {alert: Late, expr: late > 80}\n";
    write(&dir, "rules.yml", rules);
    // In a world without promtool.
    let ran = tune(&dir, &server, &["rules.yml", "--tests", "cases"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for name in ["Top", "Gated", "Late"] {
        let file = format!("cases/{name}.test.yml");
        assert!(read(&dir, &file).contains("fires at"), "{name}: {}", ran.err);
        let done =
            std::process::Command::new("promtool").args(["test", "rules", &file]).current_dir(dir.path()).output();
        let done = done.expect("promtool");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// The binary with the tools of this machine.
fn run_with_path(dir: &tempfile::TempDir, args: &[&str]) -> Ran {
    let path = std::env::var_os("PATH").unwrap_or_default();
    homeostat(dir).env("PATH", path).args(args).output().expect("started").into()
}
