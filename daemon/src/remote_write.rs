//! Learned thresholds written to a Prometheus, for one that does not scrape this daemon: what /metrics/thresholds serves, by
//! remote-write 1.0.
//!
//! A threshold is worth nothing when it is late: each time those of now are sent, and what did not get there is not sent again.

use crate::driver::{Handle, Refused};
use crate::prometheus::endpoint::{Access, wrong_address};
use crate::receive::proto::{put, put_varint};
use crate::source::STALE;
use crate::telemetry::{Family, Learned, Served, threshold_families};
use homeostat::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A Prometheus looks a sample up for five minutes: one that comes later than this leaves a gap when one fails.
const INTERVAL_MAX: Span = Span::minutes(2);
const INTERVAL_MIN: Span = Span::from_secs(1);

/// Series in one message, as senders have it.
const SERIES_AT_ONCE: usize = 2_000;

/// Who does not take a message by then is not waited for.
const TIMEOUT: Span = Span::from_secs(30);

/// What is kept of an answer that says no, in bytes.
const ANSWER_LEN_MAX: u64 = 1024;

/// More than this are a mistake.
const TARGETS_MAX: usize = 10;

/// One address that learned thresholds are written to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RemoteWrite {
    /// The whole address: http://localhost:9090/api/v1/write of a Prometheus.
    pub url: String,
    /// How often: 1s to 2m.
    #[serde(default = "each_minute")]
    pub interval: Span,
    /// Whose data it is: sent as X-Scope-OrgID.
    #[serde(default)]
    pub tenant: Option<String>,
    #[serde(flatten)]
    pub access: Access,
}

fn each_minute() -> Span {
    Span::minutes(1)
}

/// Checks all of them; what is wrong comes with its dotted key.
pub fn check(targets: &[RemoteWrite]) -> Result<(), (String, String)> {
    if targets.len() > TARGETS_MAX {
        return Err(("remote_write".to_owned(), format!("{} are over {TARGETS_MAX}", targets.len())));
    }
    for (at, target) in targets.iter().enumerate() {
        let refuse = |key: &str, problem: String| Err((format!("remote_write[{at}].{key}"), problem));
        if let Some(problem) = wrong_address(&target.url, "like http://localhost:9090/api/v1/write") {
            return refuse("url", problem);
        }
        if target.interval < INTERVAL_MIN || target.interval > INTERVAL_MAX {
            return refuse("interval", format!("{} is outside {INTERVAL_MIN} to {INTERVAL_MAX}", target.interval));
        }
        let tenant_ok = |tenant: &str| !tenant.is_empty() && tenant.bytes().all(|byte| byte.is_ascii_graphic());
        if target.tenant.as_deref().is_some_and(|tenant| !tenant_ok(tenant)) {
            return refuse("tenant", "it has to be one word of ASCII".to_owned());
        }
        target.access.check().or_else(|wrong| refuse(&wrong.key, wrong.problem))?;
    }
    Ok(())
}

/// What became of what was written to one address, since the start.
#[derive(Debug, Default)]
pub struct Tally {
    pub samples: AtomicU64,
    pub failures: AtomicU64,
    /// When it last took something, in milliseconds since the epoch; 0: not since the start.
    pub taken_at: AtomicI64,
}

/// Starts a task per address; they end with the driver. Tallies in the order of the configuration. The error is a file of
/// certificates that cannot be read. To be called in the runtime.
pub fn spawn(targets: &[RemoteWrite], handle: &Handle) -> Result<Vec<Arc<Tally>>, String> {
    let one = |(at, target): (usize, &RemoteWrite)| {
        let agent = target.access.agent(TIMEOUT).map_err(|problem| format!("remote_write[{at}]: {problem}"))?;
        let tally = Arc::new(Tally::default());
        let (target, sent) = (target.clone(), Mutex::default());
        let writer = Arc::new(Writer { target, agent, tally: Arc::clone(&tally), sent });
        tokio::spawn(writer.run(handle.clone()));
        Ok(tally)
    };
    targets.iter().enumerate().map(one).collect()
}

struct Writer {
    target: RemoteWrite,
    agent: ureq::Agent,
    tally: Arc<Tally>,
    /// What was sent the last time that all was taken.
    sent: Mutex<BTreeSet<Identity>>,
}

/// Name and labels.
type Identity = (String, Vec<(String, String)>);

fn identity((name, labels, _): &Series<'_>) -> Identity {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ((*name).to_owned(), labels.iter().map(own).collect())
}

impl Writer {
    async fn run(self: Arc<Writer>, handle: Handle) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.target.interval.millis()));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            let read = handle.query(|view| (view.now, threshold_families(&Learned::all(view), &Served::all(view))));
            let (now, families) = match read.await {
                Ok(read) => read,
                Err(Refused::Gone) => return,
                Err(_) => continue,
            };
            let writer = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || writer.write(&families, now)).await;
            let written = written.unwrap_or_else(|_| Err("the writer ended by a mistake of its own".to_owned()));
            // Told once, however long it lasts.
            match (&written, failing) {
                (Err(problem), false) => tracing::warn!("thresholds are not written to {}: {problem}", self.target.url),
                (Ok(()), true) => tracing::info!("thresholds are written to {} again", self.target.url),
                (Err(_), true) | (Ok(()), false) => {}
            }
            failing = written.is_err();
        }
    }

    /// Sends all that is known now, what rules look up first; the error says why not all of it got there. What was sent the last
    /// time and is no more ends with a stale marker, or it would be looked up for five minutes on.
    fn write(&self, families: &[Family], now: Timestamp) -> Result<(), String> {
        let mut series: Vec<Series<'_>> = families.iter().flat_map(Family::series).collect();
        series.sort_by_key(|(_, labels, _)| !labels.iter().any(|(name, _)| *name == "rule"));
        let known: BTreeSet<Identity> = series.iter().map(identity).collect();
        // Only what another thread broke off in is poisoned, and here nothing is.
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = sent.difference(&known).map(|(name, labels)| {
            let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            (name.as_str(), labels, STALE)
        });
        series.splice(0..0, ended);
        let mut problem = None;
        for some in series.chunks(SERIES_AT_ONCE) {
            match self.post(&message(some, now)) {
                Ok(()) => {
                    self.tally.samples.fetch_add(some.len() as u64, Ordering::Relaxed);
                }
                // What one message is refused for says nothing of the others.
                Err(said) => {
                    self.tally.failures.fetch_add(1, Ordering::Relaxed);
                    problem.get_or_insert(said);
                }
            }
        }
        match problem {
            Some(problem) => Err(problem),
            None => {
                *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = known;
                self.tally.taken_at.store(now.millis(), Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn post(&self, message: &[u8]) -> Result<(), String> {
        let body = snap::raw::Encoder::new().compress_vec(message).map_err(|error| error.to_string())?;
        let mut request = self.agent.post(&self.target.url).header("Content-Type", "application/x-protobuf");
        request = request.header("Content-Encoding", "snappy").header("X-Prometheus-Remote-Write-Version", "0.1.0");
        if let Some(tenant) = &self.target.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        for (name, value) in self.target.access.sent()? {
            request = request.header(name, value);
        }
        let answer = request.send(&body[..]).map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let mut said = String::new();
        // What cannot be read says nothing.
        let _ = answer.into_body().into_reader().take(ANSWER_LEN_MAX).read_to_string(&mut said);
        let line = said.lines().next().unwrap_or_default().trim().escape_debug().to_string();
        Err(format!("{status} {line}").trim_end().to_owned())
    }
}

/// Name, labels and value of one sample.
pub type Series<'a> = (&'a str, Vec<(&'a str, &'a str)>, f64);

/// A WriteRequest of prometheus/prompb, version 1.0: `timeseries = 1 { labels = 1 { name = 1, value = 2 },
/// samples = 2 { value = 1, timestamp = 2 } }`. Labels are sorted, and an empty one is none.
pub fn message(series: &[Series<'_>], now: Timestamp) -> Vec<u8> {
    let mut message = Vec::new();
    for (name, labels, value) in series {
        let mut all: Vec<(&str, &str)> = labels.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        all.push(("__name__", name));
        all.sort_unstable();
        let mut one = Vec::new();
        for (name, value) in all {
            let mut label = Vec::new();
            put(&mut label, 1, name.as_bytes());
            put(&mut label, 2, value.as_bytes());
            put(&mut one, 1, &label);
        }
        // Field 1 as eight bytes, field 2 as a varint.
        let mut sample = vec![1 << 3 | 1];
        sample.extend(value.to_le_bytes());
        sample.push(2 << 3);
        put_varint(&mut sample, now.millis() as u64);
        put(&mut one, 2, &sample);
        put(&mut message, 1, &one);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_the_wire_form_says_byte_by_byte() {
        let labels = vec![("rule", "A"), ("job", "")];
        let bytes = message(&[("m", labels, 1.0)], Timestamp::from_millis(300));
        let name = b"\x0a\x0d\x0a\x08__name__\x12\x01m";
        let rule = b"\x0a\x09\x0a\x04rule\x12\x01A";
        let sample = b"\x12\x0c\x09\0\0\0\0\0\0\xf0\x3f\x10\xac\x02";
        let inner: Vec<u8> = [name.as_slice(), rule.as_slice(), sample.as_slice()].concat();
        assert_eq!(bytes, [&[0x0a, inner.len() as u8], inner.as_slice()].concat());
    }

    #[test]
    fn addresses_and_intervals_that_cannot_work_are_refused_by_key() {
        let target = |url: &str, interval: Span| RemoteWrite {
            url: url.to_owned(),
            interval,
            tenant: None,
            access: Access::default(),
        };
        let write = "http://localhost:9090/api/v1/write";
        assert_eq!(check(&[target(write, Span::minutes(1))]), Ok(()));
        for (target, key) in [
            (target("localhost:9090", Span::minutes(1)), "remote_write[0].url"),
            (target("http://a:b@x/", Span::minutes(1)), "remote_write[0].url"),
            (target(write, Span::minutes(5)), "remote_write[0].interval"),
            (
                RemoteWrite { tenant: Some("a b".to_owned()), ..target(write, Span::minutes(1)) },
                "remote_write[0].tenant",
            ),
        ] {
            assert_eq!(check(&[target]).expect_err(key).0, key);
        }
    }
}
