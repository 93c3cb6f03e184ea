//! What an Alertmanager says: its webhook's messages, and the answers of its API. Read as far as they can be used; what one alert
//! lacks spoils no other.

use crate::page::{Texts, fingerprint};
use homeostat::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Alerts that are read of one message; more are left out, and said to be.
pub const ALERTS_MAX: usize = 10_000;

/// More than this in one alert is no label set that anybody wrote, in bytes.
const LABELS_LEN_MAX: usize = 64 << 10;

/// An alert, as far as it matters here.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    pub fingerprint: String,
    pub labels: Texts,
    pub starts_at: Timestamp,
    /// When it ended, where it did.
    pub ended_at: Option<Timestamp>,
    /// By which silences it is silenced, as the API says.
    pub silenced_by: BTreeSet<String>,
    /// Another alert keeps it quiet.
    pub inhibited: bool,
}

impl Alert {
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }
}

/// A silence that is, or was, in force.
#[derive(Clone, PartialEq, Debug)]
pub struct Silence {
    pub id: String,
    pub starts_at: Timestamp,
    pub by: String,
    pub comment: String,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `version` and `alerts`")]
struct Webhook {
    #[serde(default)]
    version: Value,
    #[serde(default)]
    alerts: Value,
}

/// A message of an Alertmanager's webhook: its alerts, and what is wrong with those that could not be read.
pub fn webhook(body: &[u8]) -> Result<(Vec<Alert>, Vec<String>), String> {
    let message: Webhook = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not what an Alertmanager sends to a webhook: {error}"))?;
    match &message.version {
        Value::String(version) if version == "4" => {}
        Value::Null => {
            return Err(
                "`version`: is missing; what an Alertmanager sends to a webhook is wanted, version 4".to_owned()
            );
        }
        other => {
            let shown: String = other.to_string().chars().take(40).collect();
            return Err(format!(
                "`version`: {shown} is not read, version \"4\" of Alertmanager's webhook is (webhook_configs sends it)"
            ));
        }
    }
    let Value::Array(alerts) = &message.alerts else {
        return Err("`alerts`: a list is wanted".to_owned());
    };
    Ok(each(alerts, |alert| {
        let status = alert.get("status").and_then(Value::as_str);
        let ended = match status {
            Some("firing") => None,
            Some("resolved") => Some(time(alert, "endsAt")?),
            _ => return Err("`status` is neither firing nor resolved".to_owned()),
        };
        Ok(Alert { ended_at: ended, ..common(alert)? })
    }))
}

/// What `/api/v2/alerts` answers: those that hold.
pub fn alerts(body: &[u8]) -> Result<(Vec<Alert>, Vec<String>), String> {
    let alerts: Vec<Value> = serde_json::from_slice(body).map_err(|error| format!("no list of alerts: {error}"))?;
    Ok(each(&alerts, common))
}

/// What `/api/v2/silences` answers, but for those that were never in force.
pub fn silences(body: &[u8]) -> Result<Vec<Silence>, String> {
    let silences: Vec<Value> = serde_json::from_slice(body).map_err(|error| format!("no list of silences: {error}"))?;
    let text = |silence: &Value, key: &str| silence.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let one = |silence: &Value| {
        (silence.pointer("/status/state").and_then(Value::as_str) != Some("pending")).then_some(())?;
        let starts_at = time(silence, "startsAt").ok()?;
        let (by, comment) = (text(silence, "createdBy"), text(silence, "comment"));
        Some(Silence { id: text(silence, "id"), starts_at, by, comment })
    };
    Ok(silences.iter().filter_map(one).take(ALERTS_MAX).collect())
}

/// Since when the Alertmanager runs, by `/api/v2/status`.
pub fn started_at(body: &[u8]) -> Result<Timestamp, String> {
    let status: Value = serde_json::from_slice(body).map_err(|error| format!("no status: {error}"))?;
    time(&status, "uptime")
}

fn each(alerts: &[Value], read: impl Fn(&Value) -> Result<Alert, String>) -> (Vec<Alert>, Vec<String>) {
    let (mut read_ones, mut problems) = (Vec::new(), Vec::new());
    for (at, alert) in alerts.iter().take(ALERTS_MAX).enumerate() {
        match read(alert) {
            Ok(alert) => read_ones.push(alert),
            Err(problem) => problems.push(format!("alerts[{at}]: {problem}")),
        }
    }
    if alerts.len() > ALERTS_MAX {
        problems.push(format!("{} alerts are over {ALERTS_MAX}; the rest was left out", alerts.len()));
    }
    (read_ones, problems)
}

fn common(alert: &Value) -> Result<Alert, String> {
    let Some(Value::Object(labels)) = alert.get("labels") else { return Err("it has no labels".to_owned()) };
    let mut read = Texts::new();
    let mut len = 0;
    for (name, value) in labels {
        let value = value.as_str().ok_or_else(|| format!("label `{name}` is no text"))?;
        len += name.len() + value.len();
        read.insert(name.clone(), value.to_owned());
    }
    if read.is_empty() || len > LABELS_LEN_MAX {
        return Err(format!("its labels have {len} bytes; 1 to {LABELS_LEN_MAX} are read"));
    }
    let by = alert.pointer("/status/silencedBy").and_then(Value::as_array);
    let silenced_by = by.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let inhibited = alert.pointer("/status/inhibitedBy").and_then(Value::as_array);
    Ok(Alert {
        // What tells alerts apart is their labels; a fingerprint says the same in short.
        fingerprint: fingerprint(&read),
        labels: read,
        starts_at: time(alert, "startsAt")?,
        ended_at: None,
        silenced_by,
        inhibited: inhibited.is_some_and(|by| !by.is_empty()),
    })
}

fn time(of: &Value, key: &str) -> Result<Timestamp, String> {
    let text = of.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing"))?;
    let at = Timestamp::parse(text).map_err(|error| format!("`{key}`: {error}"))?;
    if at < Timestamp::EPOCH { Err(format!("`{key}`: {at} lies before 1970")) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_read_alert_by_alert_and_what_is_wrong_is_named() {
        let body = br#"{"version":"4","status":"firing","alerts":[
            {"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-26T05:00:00.123456789+01:00",
             "endsAt":"0001-01-01T00:00:00Z","fingerprint":"x"},
            {"status":"resolved","labels":{"alertname":"B"},"startsAt":"2026-11-26T04:00:00Z","endsAt":"2026-11-26T04:03:00Z"},
            {"status":"odd","labels":{"alertname":"C"},"startsAt":"2026-11-26T04:00:00Z"},
            {"status":"firing","labels":{"alertname":7},"startsAt":"2026-11-26T04:00:00Z"},
            {"status":"firing","labels":{"alertname":"D"},"startsAt":"yesterday"},
            7]}"#;
        let (alerts, problems) = webhook(body).expect("version 4");
        let read: Vec<_> = alerts.iter().map(|alert| (alert.name(), alert.ended_at.map(|at| at.to_string()))).collect();
        assert_eq!(read, [("A", None), ("B", Some("2026-11-26T04:03:00.000Z".to_owned()))]);
        assert_eq!(alerts[0].starts_at.to_string(), "2026-11-26T04:00:00.123Z");
        assert_eq!(problems.len(), 4);
        for (problem, wanted) in
            problems.iter().zip(["alerts[2]: `status`", "alerts[3]: label", "`startsAt`", "alerts[5]"])
        {
            assert!(problem.contains(wanted), "{problem}");
        }
    }

    #[test]
    fn other_versions_and_other_things_are_refused_by_name() {
        for (body, wanted) in [
            (&br#"{"version":"3","alerts":[]}"#[..], "\"3\" is not read"),
            (br#"{"version":4,"alerts":[]}"#, "`version`: 4 is not read"),
            (br#"{"alerts":[]}"#, "`version`: is missing"),
            (br#"{"version":"4","alerts":{}}"#, "`alerts`: a list"),
            (br#"[]"#, "`version`: is missing"),
            (br#"{"version":"4","aler"#, "not what an Alertmanager sends"),
        ] {
            let said = webhook(body).expect_err("refused");
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn answers_of_the_api_are_read() {
        let body =
            br#"[{"annotations":{},"endsAt":"2026-11-26T05:10:00.000Z","fingerprint":"f","receivers":[{"name":"x"}],
            "startsAt":"2026-11-26T05:00:00.000Z","status":{"inhibitedBy":[],"silencedBy":["s1"],"state":"suppressed"},
            "updatedAt":"2026-11-26T05:06:00.000Z","labels":{"alertname":"A","job":"b"}}]"#;
        let (read, problems) = alerts(body).expect("a list");
        assert!(
            problems.is_empty() && read[0].silenced_by.contains("s1") && !read[0].inhibited,
            "{read:?} {problems:?}"
        );
        let body = br#"[{"id":"s1","status":{"state":"active"},"startsAt":"2026-11-26T05:02:00Z","createdBy":"me","comment":"no"},
            {"id":"s2","status":{"state":"pending"},"startsAt":"2026-11-26T09:02:00Z"}]"#;
        let read = silences(body).expect("a list");
        assert_eq!((read.len(), read[0].by.as_str(), read[0].comment.as_str()), (1, "me", "no"));
        assert!(started_at(br#"{"uptime":"2026-11-26T05:02:00.5Z"}"#).is_ok() && started_at(b"{}").is_err());
    }
}
