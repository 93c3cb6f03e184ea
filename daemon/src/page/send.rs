//! The forms in which receivers are told, and the ways to them.
//!
//! An Alertmanager gets its own API's alerts. Webhooks and commands get what an Alertmanager sends to a webhook (version 4), so
//! that whatever takes pages from one takes them from here.

use super::alert::{Texts, fingerprint};
use super::apart;
use super::desk::Line;
use crate::config::{Receiver, ReceiverKind};
use homeostat::time::{Span, Timestamp};
use serde::Serialize;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// An alert that is sent again takes the last one's place so many times before it is taken for ended.
const MISSED_MAX: u64 = 4;

/// As Alertmanager's API takes it: `POST /api/v2/alerts` is a list of these.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: &'a Texts,
    annotations: &'a Texts,
    starts_at: Timestamp,
    /// In the future: it holds, and is over then unless it is sent again.
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
}

/// What a webhook or a command gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct News<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'a str,
    group_labels: &'a Texts,
    common_labels: Texts,
    common_annotations: Texts,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    status: &'static str,
    labels: &'a Texts,
    annotations: &'a Texts,
    starts_at: Timestamp,
    /// While it holds the year 1, as Alertmanager has it.
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// What is told at one time.
pub struct Batch<'a> {
    pub lines: Vec<Line<'a>>,
    pub group: Texts,
    pub truncated: usize,
    /// The page's address.
    pub home: &'a str,
    /// From one time that an alert is told to the next.
    pub again: Span,
}

const NO_END: &str = "0001-01-01T00:00:00Z";

fn status(holds: bool) -> &'static str {
    if holds { "firing" } else { "resolved" }
}

impl<'a> Batch<'a> {
    /// As the receiver takes it, at `now`.
    pub fn body(&self, receiver: &Receiver, now: Timestamp) -> Vec<u8> {
        let text = match receiver.kind {
            ReceiverKind::Alertmanager => serde_json::to_vec(&self.posted(now)),
            ReceiverKind::Webhook | ReceiverKind::Command => serde_json::to_vec(&self.news(&receiver.shown())),
        };
        text.expect("texts and times are JSON")
    }

    fn posted(&self, now: Timestamp) -> Vec<Posted<'a>> {
        let until = now + self.again * MISSED_MAX;
        let posted = |line: &Line<'a>| {
            let told = line.told;
            // One that ended is over; an Alertmanager would take it to hold as long as its end lies ahead.
            let ends_at = line.ended.map_or(until, |ended| ended.min(now));
            Posted {
                labels: &told.labels,
                annotations: &told.annotations,
                starts_at: line.began.min(ends_at),
                ends_at,
                generator_url: &told.url,
            }
        };
        self.lines.iter().map(posted).collect()
    }

    fn news<'b>(&'b self, receiver: &'b str) -> News<'b> {
        let item = |line: &'b Line<'a>| Item {
            status: status(line.ended.is_none()),
            labels: &line.told.labels,
            annotations: &line.told.annotations,
            starts_at: line.began,
            ends_at: line.ended.map_or_else(|| NO_END.to_owned(), |ended| ended.to_string()),
            generator_url: &line.told.url,
            fingerprint: fingerprint(&line.told.labels),
        };
        let group = serde_json::to_string(&self.group).expect("texts are JSON");
        News {
            version: "4",
            group_key: format!("homeostat:{group}"),
            truncated_alerts: self.truncated,
            status: status(self.lines.iter().any(|line| line.ended.is_none())),
            receiver,
            group_labels: &self.group,
            common_labels: common(self.lines.iter().map(|line| &line.told.labels)),
            common_annotations: common(self.lines.iter().map(|line| &line.told.annotations)),
            external_url: self.home,
            alerts: self.lines.iter().map(item).collect(),
        }
    }
}

/// What all of them say alike.
fn common<'a>(mut texts: impl Iterator<Item = &'a Texts>) -> Texts {
    let mut common = texts.next().cloned().unwrap_or_default();
    for other in texts {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

/// Why a receiver did not take what it was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failed {
    /// Another time it may.
    Later(String),
    /// It never will: it understood, and refuses.
    Never(String),
}

/// Tells a receiver, and waits until it took it.
pub async fn send(receiver: &Receiver, body: Vec<u8>) -> Result<(), Failed> {
    match receiver.kind {
        ReceiverKind::Command => run(&receiver.command, &body, receiver.timeout).await.map_err(Failed::Later),
        ReceiverKind::Alertmanager | ReceiverKind::Webhook => {
            let receiver = receiver.clone();
            apart(move || Ok(post(&receiver, &body))).await.map_err(Failed::Later)?
        }
    }
}

fn post(receiver: &Receiver, body: &[u8]) -> Result<(), Failed> {
    let url = receiver.url.as_deref().unwrap_or_default();
    let url = match receiver.kind {
        ReceiverKind::Alertmanager => format!("{}/api/v2/alerts", url.trim_end_matches('/')),
        ReceiverKind::Webhook | ReceiverKind::Command => url.to_owned(),
    };
    let agent = receiver.access.agent(receiver.timeout).map_err(Failed::Later)?;
    let mut request = agent.post(&url).header("Content-Type", "application/json");
    for (name, value) in receiver.sent().map_err(Failed::Later)? {
        request = request.header(name, value);
    }
    let mut answer = request.send(body).map_err(|error| Failed::Later(error.to_string()))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said = answer.body_mut().with_config().limit(SAID_MAX).read_to_string().unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID_SHOWN).collect();
    let problem = format!("it answers {status} {said}");
    // What is wrong with the alerts themselves does not get better; an Alertmanager keeps those that are not.
    let never = receiver.kind == ReceiverKind::Alertmanager && status.as_u16() == 400;
    Err(if never { Failed::Never(problem) } else { Failed::Later(problem) })
}

/// Of an answer that refuses, so many bytes are read and so many letters told.
const SAID_MAX: u64 = 64 << 10;
const SAID_SHOWN: usize = 300;

/// Runs a command with what is told on its standard input. It and what it started are ended after `limit`.
async fn run(command: &[String], body: &[u8], limit: Span) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("there is no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let ended = tokio::time::timeout(Duration::from_millis(limit.millis()), fed(&mut child, body)).await;
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it ended with {status}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            end(&mut child).await;
            Err(format!("it took longer than {limit} and was ended"))
        }
    }
}

async fn fed(child: &mut Child, body: &[u8]) -> std::io::Result<std::process::ExitStatus> {
    if let Some(mut input) = child.stdin.take() {
        // One that does not read to the end says by its status whether that is fine.
        let _ = input.write_all(body).await;
    }
    child.wait().await
}

/// Ends a command with all that it started, as far as those stay in its group.
async fn end(child: &mut Child) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        // It may have ended in between.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::alert::Told;
    use serde_json::{Value, json};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn told(series: &str) -> Told {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Told {
            labels: [pair("alertname", "test"), pair("series", series)].into(),
            annotations: [pair("summary", "strange"), pair("value", series)].into(),
            url: format!("http://h/#series={series}"),
        }
    }

    fn receiver(text: &str) -> Receiver {
        serde_saphyr::from_str(text).expect(text)
    }

    fn batch<'a>(told: &'a [Told; 2], ended: Option<Timestamp>) -> Batch<'a> {
        let lines =
            vec![Line { told: &told[0], began: at(0), ended }, Line { told: &told[1], began: at(5), ended: None }];
        Batch { lines, group: Texts::new(), truncated: 3, home: "http://h", again: Span::minutes(1) }
    }

    #[test]
    fn an_alertmanager_gets_alerts_with_an_end_that_lies_ahead_while_they_hold() {
        let (told, to) = ([told("a"), told("b")], receiver("{kind: alertmanager, url: 'http://a:9093'}"));
        let body: Value = serde_json::from_slice(&batch(&told, Some(at(60))).body(&to, at(100))).expect("JSON");
        assert_eq!(body[0]["endsAt"], "2023-11-14T22:14:20.000Z");
        assert_eq!(body[1]["endsAt"], "2023-11-14T22:19:00.000Z", "four times as long as until it is sent again");
        assert_eq!(body[1]["startsAt"], "2023-11-14T22:13:25.000Z");
        assert_eq!(body[1]["labels"], json!({ "alertname": "test", "series": "b" }));
        assert_eq!(body[1]["generatorURL"], "http://h/#series=b");
    }

    #[test]
    fn others_get_what_alertmanager_sends_to_a_webhook() {
        let (told, to) = ([told("a"), told("b")], receiver("{kind: webhook, url: 'http://a/secret'}"));
        let body: Value = serde_json::from_slice(&batch(&told, Some(at(60))).body(&to, at(100))).expect("JSON");
        assert_eq!(
            (&body["version"], &body["status"], &body["truncatedAlerts"]),
            (&json!("4"), &json!("firing"), &json!(3))
        );
        assert_eq!(body["commonLabels"], json!({ "alertname": "test" }));
        assert_eq!(body["commonAnnotations"], json!({ "summary": "strange" }));
        let alerts = body["alerts"].as_array().expect("a list");
        assert_eq!((&alerts[0]["status"], &alerts[1]["status"]), (&json!("resolved"), &json!("firing")));
        assert_eq!((&alerts[0]["endsAt"], &alerts[1]["endsAt"]), (&json!("2023-11-14T22:14:20.000Z"), &json!(NO_END)));
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn a_command_gets_it_on_standard_input_and_has_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("page; rm -rf x");
        let file = file.to_str().expect("text");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let limit = Span::minutes(1);
        let long = vec![b'x'; 1 << 20];
        assert_eq!(run(&words(&["tee", file]), &long, limit).await, Ok(()));
        assert_eq!(std::fs::read(file).expect("written by the command").len(), 1 << 20);
        assert_eq!(run(&words(&["true"]), &long, limit).await, Ok(()), "it reads nothing");
        let failed = run(&words(&["false"]), b"{}", limit).await.expect_err("it fails");
        assert!(failed.contains("1"), "{failed}");
        let missing = run(&words(&["/no/such/program"]), b"{}", limit).await.expect_err("no program");
        assert!(missing.contains("cannot be started"), "{missing}");
        let slow = words(&["sh", "-c", "sleep 1000 & sleep 1000"]);
        let slow = run(&slow, b"{}", Span::from_millis(100)).await.expect_err("too slow");
        assert!(slow.contains("longer than 100ms"), "{slow}");
    }
}
