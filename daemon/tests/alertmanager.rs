//! Verdicts from what people do: an Alertmanager's webhook, its silences, a paging tool; and Debian's real Alertmanager, beside a
//! real Prometheus whose rule looks its threshold up here.

mod common;

use common::listener::Listener;
use common::prometheus::{Prometheus, escaped, free_port, get, on_free_port};
use common::{Daemon, PATIENCE, configure, folder, now, read, run, wait_until, write};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

fn time(seconds_ago: u64) -> String {
    jiff::Timestamp::from_second((now() - seconds_ago) as i64).expect("a time").to_string()
}

/// What an Alertmanager sends of one alert.
fn message(status: &str, labels: &Value, starts: u64, ends: u64) -> Value {
    let alert = json!({
        "status": status, "labels": labels, "annotations": {}, "startsAt": time(starts), "endsAt": time(ends),
        "generatorURL": "", "fingerprint": "0",
    });
    json!({ "version": "4", "groupKey": "{}", "status": status, "receiver": "homeostat", "alerts": [alert] })
}

fn sources(daemon: &Daemon) -> Vec<Value> {
    daemon.list("/api/v1/verdicts").iter().map(|row| row["source"].clone()).collect()
}

#[test]
fn what_a_webhook_tells_becomes_verdicts_once_known_or_not_and_is_exported_for_tune() {
    let folder = folder();
    let prometheus = Listener::start("200 OK");
    let slow = r#"{"type":"alerting","name":"Slow","query":"x","duration":3600}"#;
    prometheus.answers(
        "200 OK",
        &format!(
            r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","interval":1,"rules":[{slow}]}}]}}}}"#
        ),
    );
    let rules = format!(
        "rules: [{{alert: LoadHigh, expr: load, op: '>', literal: 99, match: load, for: 5m}}]\n\
         promql: [{{url: 'http://{}', expressions: [{{expr: x}}]}}]\n",
        prometheus.address
    );
    let daemon = Daemon::learned(&folder, &rules);
    let before = daemon.sensitivity("load");
    let labels = json!({ "alertname": "LoadHigh", "severity": "page" });
    let short = message("resolved", &labels, 600, 100);
    let taken = daemon.post("/api/v1/alertmanager", &short);
    assert_eq!(taken.status, 200, "{}", taken.text);
    let data = taken.json()["data"].clone();
    assert_eq!(data, json!({ "alerts": 1, "known": 1, "verdicts": 1, "unreadable": [] }));
    let after = wait_until("the sensitivity", || Some(daemon.sensitivity("load")).filter(|now| *now > before));
    // As often as it comes, it counts once.
    for _ in 0..3 {
        assert_eq!(daemon.post("/api/v1/alertmanager", &short).json()["data"]["verdicts"], 0);
    }
    let strange = message("resolved", &json!({ "alertname": "Elsewhere", "job": "x" }), 200, 100);
    assert_eq!(daemon.post("/api/v1/alertmanager", &strange).json()["data"]["known"], 0);
    let long = message("resolved", &labels, 5000, 100);
    assert_eq!(daemon.post("/api/v1/alertmanager", &long).json()["data"]["verdicts"], 0, "it held for long");
    assert_eq!(sources(&daemon), ["short_lived", "short_lived"]);
    let signals = daemon.list("/api/v1/signals?loop=anomaly_feedback");
    let heard: Vec<_> = signals.iter().filter(|signal| !signal["verdict"].is_null()).collect();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((&heard[0]["weight"], &heard[0]["source"]), (&json!(0.2), &json!("short_lived")));
    assert!(heard[0]["metadata"]["why"].as_str().is_some_and(|why| why.contains("ended by itself")), "{heard:?}");
    // A rule that is evaluated elsewhere has the `for` that its Prometheus says: an hour.
    let mut ago = 7000;
    wait_until("the rules", || {
        ago -= 1;
        let slow = message("resolved", &json!({ "alertname": "Slow" }), ago, 100);
        (daemon.post("/api/v1/alertmanager", &slow).json()["data"]["verdicts"] == 1).then_some(())
    });
    // A paging tool, by fingerprint, by labels, and a person's word by way of it.
    let fingerprint = "no such";
    let unknown = daemon.post("/api/v1/pager", &json!({ "event": "acknowledged", "fingerprint": fingerprint }));
    assert!(unknown.problem(404).contains("`no such`"));
    // One moment, also where a second passes between two of them.
    let at = time(600);
    let note = |event: &str| {
        let body = json!({ "event": event, "labels": labels, "at": at, "comment": "disk full" });
        daemon.post("/api/v1/pager", &body).json()["data"].clone()
    };
    let incident = note("incident");
    assert_eq!((&incident["verdict"]["verdict"], &incident["verdict"]["weight"]), (&json!("true"), &json!(0.8)));
    assert_eq!(note("incident")["repeated"], true);
    let word = note("true");
    assert_eq!((&word["verdict"]["source"], &word["verdict"]["weight"]), (&json!("verdict"), &json!(1.0)));
    wait_until("the word", || Some(daemon.sensitivity("load")).filter(|now| *now < after));
    // Refused, each by what is wrong with it.
    let refused = |body: &Value| daemon.post("/api/v1/alertmanager", body).problem(422);
    assert!(refused(&json!({ "version": "3", "alerts": [] })).contains("\"3\" is not read"));
    assert!(daemon.post("/api/v1/pager", &json!({ "event": "sneezed" })).problem(422).contains("`sneezed`"));
    let huge = json!({ "version": "4", "alerts": [], "more": "x".repeat(9 << 20) });
    // It is refused before it is read: the connection may end before the answer is.
    if let Ok(answer) = daemon.try_post("/api/v1/alertmanager", &huge) {
        assert!(answer.problem(413).contains("over 8 MiB"));
    }
    let metric = |name: &str| daemon.metric(&format!("homeostat_{name}"));
    assert!(metric("alertmanager_alerts_total{known=\"false\"}") >= 2.0);
    assert_eq!(metric("alert_verdicts_total{source=\"short_lived\"}"), 3.0);
    assert!(metric("alert_verdicts_repeated_total") >= 4.0);
    // What was kept outlives a kill, and counts no more than once after it.
    daemon.kill();
    let daemon = Daemon::go_on(&folder);
    assert_eq!(daemon.post("/api/v1/alertmanager", &strange).json()["data"]["verdicts"], 0);
    let export = run(&folder, &["verdicts", "export", "--weight-min", "0", "--url", &daemon.url()]);
    assert_eq!(export.code, 0, "{}", export.err);
    let lines: Vec<Value> = export.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let said: Vec<_> = lines.iter().map(|line| (line["alert"].as_str(), line["verdict"].as_str())).collect();
    let (load, no, yes) = (Some("LoadHigh"), Some("false"), Some("true"));
    assert_eq!(said, [(load, no), (Some("Elsewhere"), no), (Some("Slow"), no), (load, yes), (load, yes)]);
    assert_eq!(lines[1]["labels"], json!({ "job": "x" }));
    let strict = run(&folder, &["verdicts", "export", "--alert", "LoadHigh", "--url", &daemon.url()]);
    assert_eq!(strict.out.lines().count(), 2, "half a word and more: {}", strict.out);
    daemon.stop();
}

/// A real Alertmanager that tells a homeostat of everything at once.
struct Alertmanager {
    child: Child,
    address: String,
}

impl Alertmanager {
    fn start(dir: &Path, homeostat: &str) -> Alertmanager {
        let config = format!(
            "route: {{receiver: homeostat, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers: [{{name: homeostat, webhook_configs: [{{url: 'http://{homeostat}/api/v1/alertmanager'}}]}}]\n"
        );
        write(dir, "alertmanager.yml", &config);
        let command = |address: &str| {
            let mut command = Command::new("prometheus-alertmanager");
            command.current_dir(dir).args(["--config.file=alertmanager.yml", "--storage.path=alertmanager"]);
            command.args([format!("--web.listen-address={address}").as_str(), "--cluster.listen-address="]);
            command
        };
        let (child, address) = on_free_port(dir, "alertmanager.log", command, ("/-/ready", &|status| status == 200));
        Alertmanager { child, address }
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = get(&self.address, path).expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The alert with this label, once it is there.
    fn alert(&self, name: &str, value: &str) -> Value {
        let filter = escaped(&format!("{name}=\"{value}\""));
        wait_until("the alert", || self.get(&format!("/api/v2/alerts?filter={filter}")).get(0).cloned())
    }

    fn silence(&self, name: &str, value: &str) {
        let body = json!({
            "matchers": [{ "name": name, "value": value, "isRegex": false, "isEqual": true }],
            "startsAt": time(0), "endsAt": "2099-01-01T00:00:00Z", "createdBy": "night shift", "comment": "only noise",
        })
        .to_string();
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = format!(
            "POST /api/v2/silences HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains("silenceID"), "{answer}");
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where alerts of a series begin, above.
fn alert_upper(daemon: &Daemon, series: &str) -> f64 {
    let rows = daemon.list("/api/v1/thresholds");
    let row = rows.iter().find(|row| row["series"] == series).expect("learned");
    row["alert_upper"].as_f64().expect("a number")
}

#[test]
#[ignore = "needs prometheus-alertmanager, which .ci/run unpacks: ./dev check runs it"]
fn a_page_reaches_a_real_alertmanager_is_silenced_there_and_moves_the_threshold() {
    let folder = folder();
    let listen = format!("127.0.0.1:{}", free_port());
    let manager = Alertmanager::start(folder.path(), &listen);
    let settings = format!(
        "budget: none\nseries: [{{match: load, page: true}}]\nverdicts: {{poll_interval: 1s}}\n\
         pages: {{watchdog_interval: 1s, keep_firing_for: 10m}}\nreceivers: [{{kind: alertmanager, url: 'http://{}', resend: 1s}}]\n",
        manager.address
    );
    configure(&folder, &settings);
    let text = read(&folder, "homeostat.yaml")
        .replace("[{path: rows.jsonl}]", "[{path: rows.jsonl}, {path: live.jsonl, speed: 100x}]");
    write(&folder, "homeostat.yaml", &text);
    let daemon = Daemon::listening(&folder, &listen);
    daemon.wait_for_thresholds(2);
    let watchdog = manager.alert("alertname", "HomeostatWatchdog");
    assert_eq!(watchdog["status"]["state"], "active");
    // Steady first, so that it is known how wide bounds stand before somebody does something.
    let mut rows = String::new();
    for step in 0..200_u64 {
        let level = if (20..60).contains(&step) { 500.0 } else { 10.0 };
        let value = level + (step * 7919 % 101) as f64 / 101.0;
        writeln!(rows, r#"{{"series":"load","timestamp":{},"value":{value}}}"#, now() + step * 10).expect("text");
    }
    write(&folder, "new.jsonl", &rows);
    std::fs::rename(folder.path().join("new.jsonl"), folder.path().join("live.jsonl")).expect("moved into place");
    let alert = manager.alert("series", "load");
    assert_eq!(alert["labels"]["alertname"], "HomeostatAnomaly");
    assert!(alert["annotations"]["judge"].as_str().is_some_and(|link| link.contains("#series=load&judge=")), "{alert}");
    // Its webhook came here: our own alert is known, and the watchdog is nobody's series.
    for known in ["true", "false"] {
        let name = format!("homeostat_alertmanager_alerts_total{{known=\"{known}\"}}");
        wait_until("the webhook", || daemon.try_metric(&name).filter(|count| *count >= 1.0));
    }
    assert!(sources(&daemon).is_empty());
    let (before, upper) = (daemon.sensitivity("load"), alert_upper(&daemon, "load"));
    manager.silence("series", "load");
    let verdict = wait_until("the verdict", || daemon.list("/api/v1/verdicts").first().cloned());
    assert_eq!((&verdict["source"], &verdict["verdict"]), (&json!("silenced"), &json!("false")));
    assert_eq!((&verdict["weight"], &verdict["series"]), (&json!(0.5), &json!(["load"])));
    assert!(verdict["why"].as_str().is_some_and(|why| why.contains("night shift") && why.contains("only noise")));
    wait_until("the sensitivity", || Some(daemon.sensitivity("load")).filter(|now| *now > before));
    wait_until("the threshold", || Some(alert_upper(&daemon, "load")).filter(|now| *now > upper));
    // The Alertmanager knows the alert by the same fingerprint as we do.
    let acknowledged = json!({ "event": "acknowledged", "fingerprint": alert["fingerprint"] });
    let noted = daemon.post("/api/v1/pager", &acknowledged);
    assert_eq!(noted.json()["data"]["verdict"]["labels"], alert["labels"], "{}", noted.text);
    assert_eq!(daemon.metric("homeostat_alertmanager_poll_failures_total"), 0.0);
    daemon.stop();
}

/// A target with one gauge.
fn target(value: f64) -> Listener {
    let target = Listener::start("200 OK");
    target.answers("200 OK\r\nContent-Type: text/plain; version=0.0.4", &gauge(value));
    target
}

fn gauge(value: f64) -> String {
    format!("# TYPE queue_length gauge\nqueue_length {value}\n")
}

#[test]
#[ignore = "needs prometheus and prometheus-alertmanager, which .ci/run unpacks: ./dev check runs it"]
fn an_alert_goes_from_prometheus_by_alertmanager_to_a_verdict_and_the_next_evaluation_differs() {
    let folder = folder();
    let listen = format!("127.0.0.1:{}", free_port());
    let manager = Alertmanager::start(folder.path(), &listen);
    // The threshold is learned from `load`; a verdict moves it far, so that what fired then does not now.
    let settings = "rules: [{alert: QueueLong, expr: queue_length, op: '>', literal: 1000000, match: load, for: 15s}]\n\
                    rollout: {shadow: 0s, canary: 0s, watch: 0s}\nverdicts: {short_lived: 0.9}\n";
    configure(&folder, settings);
    let text = read(&folder, "homeostat.yaml")
        .replace("healthy: {monitoring_interval: 1s}", "healthy: {monitoring_interval: 1s, learning_rate: 0.5}")
        .replace("states: {", "states: {optimizing: {monitoring_interval: 1s, learning_rate: 0.5}, ");
    write(&folder, "homeostat.yaml", &text);
    let daemon = Daemon::listening(&folder, &listen);
    daemon.wait_for_thresholds(2);
    let ran = run(&folder, &["thresholds", "rules", "--config", "homeostat.yaml", "--write", "rules.yml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let target = target(0.0);
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\nscrape_configs:\n\
         - {{job_name: queue, static_configs: [{{targets: ['{}']}}]}}\n\
         - {{job_name: homeostat, honor_labels: true, metrics_path: /metrics/thresholds, static_configs: [{{targets: ['{listen}']}}]}}\n",
        manager.address, target.address
    );
    let prometheus = Prometheus::start(&folder, &config);
    let threshold = || {
        let found = prometheus.api("query", &[("query", "homeostat_threshold{rule=\"QueueLong\"}")]);
        found["result"][0]["value"][1].as_str().and_then(|value| value.parse::<f64>().ok())
    };
    let before = wait_until("the threshold", threshold);
    let value = before * 1.01;
    let set = |value: f64| target.answers("200 OK\r\nContent-Type: text/plain; version=0.0.4", &gauge(value));
    let state = || {
        let found = prometheus.api("query", &[("query", "ALERTS{alertname=\"QueueLong\"}")]);
        found["result"][0]["metric"]["alertstate"].as_str().map(str::to_owned)
    };
    set(value);
    wait_until("the alert", || state().filter(|state| state == "firing"));
    manager.alert("alertname", "QueueLong");
    set(0.0);
    // Over as soon as it fired: less than twice the 15 s for which it has to hold.
    let verdict = wait_until("the verdict", || daemon.list("/api/v1/verdicts").first().cloned());
    assert_eq!((&verdict["source"], &verdict["series"]), (&json!("short_lived"), &json!(["load"])), "{verdict}");
    let after = wait_until("the threshold", || threshold().filter(|now| *now > before));
    assert!(after > value, "{before} to {after}");
    wait_until("nothing pends", || state().is_none().then_some(()));
    set(value);
    wait_until("the same value", || {
        let found = prometheus.api("query", &[("query", "queue_length")]);
        let now = found["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok())?;
        ((now - value).abs() < 1e-9).then_some(())
    });
    let rule = "queue_length > on() homeostat_threshold{rule=\"QueueLong\",direction=\"upper\"}";
    assert_eq!(prometheus.api("query", &[("query", rule)])["result"], json!([]), "what fired then does not now");
    assert_eq!(state(), None);
    daemon.stop();
}
