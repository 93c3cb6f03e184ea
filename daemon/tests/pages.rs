//! Pages of a real daemon: what an Alertmanager, a webhook and a command are told, through failures and a kill.

mod common;

use common::listener::{Asked, Listener};
use common::{Daemon, configure, folder, now, read, wait_until, write};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Rows of `load` that are as usual, then far above it, then as usual: so many of each, ten seconds apart.
fn trouble(dir: &Path, counts: [u64; 3]) {
    let (mut text, mut step) = (String::new(), 0);
    for (count, level) in counts.into_iter().zip([10.0, 500.0, 10.0]) {
        for _ in 0..count {
            let (at, noise) = (now() + step * 10, (step * 7919 % 101) as f64 / 101.0);
            writeln!(text, r#"{{"series":"load","timestamp":{at},"value":{}}}"#, level + noise).expect("text");
            step += 1;
        }
    }
    write(dir, "new.jsonl", &text);
    std::fs::rename(dir.join("new.jsonl"), dir.join("live.jsonl")).expect("moved into place");
}

/// `load` may page; what is in `live.jsonl`, once it is there, is played back at a hundred times its pace.
const PAGING: &str = "budget: none\nseries: [{match: load, page: true, owner: storage team}]\n";

/// A daemon with these receivers that has learned what is usual.
fn paging(dir: &Path, more: &str) -> Daemon {
    configure(dir, &format!("{PAGING}{more}"));
    let text = read(dir, "homeostat.yaml")
        .replace("[{path: rows.jsonl}]", "[{path: rows.jsonl}, {path: live.jsonl, speed: 100x}]");
    write(dir, "homeostat.yaml", &text);
    let daemon = Daemon::go_on(dir);
    daemon.wait_for_thresholds(2);
    daemon
}

fn about_load(asked: &Asked) -> bool {
    asked.body.contains("\"series\":\"load\"")
}

#[test]
fn an_alert_reaches_an_alertmanager_is_sent_again_while_it_holds_and_then_is_over() {
    let (folder, manager) = (folder(), Listener::start("200 OK"));
    let receivers = format!(
        "pages: {{keep_firing_for: 3s, watchdog_interval: 1s, labels: [severity=page, team=ops]}}\n\
         receivers: [{{kind: alertmanager, url: 'http://{}/am/', resend: 1s, tenant: ops}}]\n",
        manager.address
    );
    let daemon = paging(folder.path(), &receivers);
    let watchdog = manager.next("the watchdog", |_| true);
    assert_eq!(watchdog.line, "POST /am/api/v2/alerts");
    assert!(watchdog.head.contains("x-scope-orgid: ops"), "{}", watchdog.head);
    assert_eq!(watchdog.json()[0]["labels"], json!({ "alertname": "HomeostatWatchdog", "severity": "none" }));
    trouble(folder.path(), [20, 20, 60]);
    let first = manager.next("the alert", about_load).json();
    let alert = &first[0];
    let labels = json!({
        "alertname": "HomeostatAnomaly", "metric": "load", "owner": "storage team", "series": "load", "severity": "page",
        "team": "ops",
    });
    assert_eq!(alert["labels"], labels);
    let says = |name: &str| alert["annotations"][name].as_str().unwrap_or_else(|| panic!("{name}: {alert}")).to_owned();
    for name in ["summary", "value", "budget", "confidence", "description"] {
        assert!(!says(name).is_empty());
    }
    assert!(says("description").contains("Budget of alerts: none"), "{}", says("description"));
    let at = alert["startsAt"].as_str().expect("a time");
    assert_eq!(says("judge"), format!("{}/#series=load&judge={at}", daemon.url()));
    assert_eq!(alert["generatorURL"], format!("{}/#series=load", daemon.url()));
    assert!(alert["endsAt"].as_str() > Some(at), "it holds: {alert}");
    let again = manager.next("the same again", about_load).json();
    assert_eq!((&again[0]["labels"], &again[0]["startsAt"]), (&alert["labels"], &alert["startsAt"]));
    assert!(again[0]["endsAt"].as_str() > alert["endsAt"].as_str(), "its end moves on");
    let end = daemon_end(&daemon);
    let over = manager.next("its end", |asked| about_load(asked) && asked.json()[0]["endsAt"] == end);
    assert_eq!(over.json()[0]["startsAt"], alert["startsAt"]);
    let metric =
        |name: &str| daemon.try_metric(&format!("homeostat_page_{name}{{receiver=\"1\",kind=\"alertmanager\"}}"));
    wait_until("the tally", || metric("notifications_total").filter(|count| *count >= 4.0));
    assert_eq!((metric("alerts_waiting"), metric("failures_total")), (Some(0.0), Some(0.0)));
    assert!(metric("watchdogs_total") > Some(0.0) && metric("last_taken_timestamp_seconds") > Some(1e9));
    daemon.stop();
    let after = manager.so_far();
    assert!(!after.iter().skip(200).any(about_load), "what is over is not sent for ever");
}

/// When the alert of `load` ended.
fn daemon_end(daemon: &Daemon) -> Value {
    wait_until("the alert's end", || {
        let events = daemon.list("/api/v1/events?kind=alerted&series=load");
        let end = events.iter().find(|stored| stored["event"]["phase"] == "end")?;
        Some(end["event"]["at"].clone())
    })
}

#[test]
fn receivers_that_fail_are_told_after_a_kill_and_others_at_once() {
    let folder = folder();
    let (manager, webhook) = (Listener::start("503 Service Unavailable"), Listener::start("200 OK"));
    let told = folder.path().join("told.json");
    let program = folder.path().join("pager.sh");
    write(folder.path(), "pager.sh", "#!/bin/sh\ncat > \"$1.new\" && mv \"$1.new\" \"$1\"\n");
    let receivers = format!(
        "pages: {{group_wait: 0s, group_interval: 1s, keep_firing_for: 1s, watchdog: null}}\nreceivers:\n\
         - {{kind: alertmanager, url: 'http://{}'}}\n- {{kind: webhook, url: 'http://{}/hook?key=secret'}}\n\
         - {{kind: command, command: [sh, '{}', '{}']}}\n- {{kind: command, command: [sh, -c, 'sleep 1000'], timeout: 200ms}}\n",
        manager.address,
        webhook.address,
        program.display(),
        told.display(),
    );
    let daemon = paging(folder.path(), &receivers);
    trouble(folder.path(), [20, 10, 60]);
    let news = webhook.next("the page", about_load);
    assert_eq!(news.line, "POST /hook?key=secret");
    let page = news.json();
    assert_eq!((&page["version"], &page["status"]), (&json!("4"), &json!("firing")));
    assert_eq!(page["alerts"][0]["labels"]["series"], "load");
    let by_command: Value =
        wait_until("the command", || serde_json::from_str(&std::fs::read_to_string(&told).ok()?).ok());
    assert_eq!(by_command["alerts"], page["alerts"]);
    let end = daemon_end(&daemon);
    let over = webhook.next("its end", |asked| asked.json()["status"] == "resolved").json();
    assert_eq!(over["alerts"][0]["endsAt"], end);
    manager.next("a try", about_load);
    let failures = |daemon: &Daemon, number: u32, kind: &str| {
        daemon.try_metric(&format!("homeostat_page_failures_total{{receiver=\"{number}\",kind=\"{kind}\"}}"))
    };
    for (number, kind) in [(1, "alertmanager"), (4, "command")] {
        wait_until("failures", || failures(&daemon, number, kind).filter(|count| *count > 0.0));
    }
    assert_eq!(failures(&daemon, 2, "webhook"), Some(0.0));
    let said = read(&folder, "err");
    assert_eq!(said.matches("503").count(), 1, "the first failure alone: {said}");
    assert!(!said.contains("secret"), "{said}");
    daemon.kill();
    // It was never told, and the alert is over by now: it is told all the same, and nobody else hears of it again.
    let _ = (manager.so_far(), webhook.so_far());
    manager.answers("200 OK", "");
    // Rows that memory did not know yet would come again, and alert again.
    std::fs::remove_file(folder.path().join("live.jsonl")).expect("it was there");
    let daemon = Daemon::go_on(&folder);
    let late = manager.next("the page", about_load).json();
    assert_eq!(late[0]["startsAt"], page["alerts"][0]["startsAt"]);
    let waiting = "homeostat_page_alerts_waiting{receiver=\"1\",kind=\"alertmanager\"}";
    wait_until("nothing waits", || daemon.try_metric(waiting).filter(|count| *count == 0.0));
    assert!(webhook.so_far().is_empty(), "told once");
    daemon.stop();
    // A receiver that is new is told of nothing that is over.
    let new = Listener::start("200 OK");
    let text = read(&folder, "homeostat.yaml");
    let more = format!("receivers:\n- {{kind: webhook, url: 'http://{}/new'}}", new.address);
    write(&folder, "homeostat.yaml", &text.replace("receivers:", &more));
    let daemon = Daemon::go_on(&folder);
    let cycles = || daemon.metric("homeostat_cycles_total");
    let before = cycles();
    wait_until("cycles", || (cycles() >= before + 3.0).then_some(()));
    assert!(new.so_far().is_empty() && webhook.so_far().is_empty());
    daemon.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn the_watchdog_is_silent_while_nothing_can_be_stored() {
    let (folder, manager) = (folder(), Listener::start("200 OK"));
    let settings = format!(
        "pages: {{watchdog: Deadman, watchdog_interval: 1s}}\nverdicts: {{poll_interval: 1s}}\n\
         receivers: [{{kind: alertmanager, url: 'http://{}'}}]\n",
        manager.address
    );
    let daemon = Daemon::learned(&folder, &settings);
    let watchdog = |asked: &Asked| asked.body.contains("\"Deadman\"");
    let first = manager.next("the watchdog", watchdog).json();
    assert!(first[0]["endsAt"].as_str() > first[0]["startsAt"].as_str(), "it ends by itself: {first}");
    daemon.limit_file_size("0");
    wait_until("the store", || (daemon.metric("homeostat_store_problem") == 1.0).then_some(()));
    let _ = manager.so_far();
    let (mut polls, mut late) = (0, 0);
    while polls < 5 {
        // Polls go on, and tell how time passes. One that was on its way may still come.
        let asked = manager.next("a poll", |_| true);
        polls += u32::from(asked.line.starts_with("GET "));
        late += u32::from(polls >= 2 && watchdog(&asked));
    }
    assert_eq!(late, 0, "it fires while nothing can be stored");
    daemon.limit_file_size("unlimited");
    manager.next("the watchdog again", watchdog);
    daemon.stop();
}
