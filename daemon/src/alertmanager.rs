//! Verdicts from what people do about alerts: what an Alertmanager and paging tools tell, made verdicts with a weight.
//!
//! An alert is taken for one of ours, or for one of a rule that looks its thresholds up here; the series behind it hears the
//! verdict. What nobody here knows is kept all the same: `homeostat tune --verdicts` learns from it. Each is kept once, by
//! fingerprint, start and what was done, so that messages may come as often as they like.

mod holds;
pub mod message;
mod poll;
mod seen;

use crate::config::{Config, DataRule, Receiver, ReceiverKind, Verdicts};
use crate::driver::{Handle, Refused, View};
use crate::page::Texts;
use homeostat::feedback::{LoopKind, Signal, Subject, Verdict};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use homeostat::units::Ratio;
use message::Alert;
use seen::Seen;
pub use seen::{Done, Implied};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Series of a rule that hear a verdict on one of its alerts.
const SERIES_MAX: usize = 100;

/// Verdicts that are kept for export; the oldest go first.
pub const KEPT_MAX: u64 = 20_000;

/// What came, counted since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Alerts that webhooks told of, by whether a series here is behind them.
    pub known: AtomicU64,
    pub unknown: AtomicU64,
    /// Alerts that could not be read.
    pub unreadable: AtomicU64,
    /// Verdicts that were kept, in the order of [`Done::KINDS`].
    pub verdicts: [AtomicU64; Done::KINDS.len()],
    /// What had been heard before.
    pub repeated: AtomicU64,
    pub polls: AtomicU64,
    pub poll_failures: AtomicU64,
}

impl Tally {
    pub fn unreadable(&self, count: usize) {
        self.unreadable.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A verdict as it is kept and exported.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Kept {
    /// The alert's name and labels, and when it began.
    pub alert: String,
    pub labels: Texts,
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// true or false.
    #[schemars(with = "String")]
    pub verdict: Verdict,
    /// How much it counts beside a person's word, which counts 1.
    pub weight: f64,
    /// silenced, short_lived, acknowledged, incident, or verdict: a person's word.
    pub source: String,
    /// What was done, in a sentence.
    pub why: String,
    /// Series that heard it; none: nobody here knows the alert.
    #[schemars(with = "Vec<String>")]
    pub series: Vec<SeriesName>,
    /// Numbers of their signals.
    pub signals: Vec<u64>,
}

/// What became of a verdict.
#[derive(Clone, PartialEq, Debug)]
pub enum Heard {
    Kept(Kept),
    /// It was kept before.
    Repeated,
    /// Its weight is 0, or it is about the watchdog.
    NotWanted,
}

pub struct Office {
    handle: Handle,
    settings: Verdicts,
    rules: Vec<DataRule>,
    /// What our own alerts are called.
    own: String,
    /// That one is to fire always: what is done about it says nothing.
    watchdog: Option<String>,
    seen: Mutex<Seen>,
    /// By number of the source.
    holds: Mutex<BTreeMap<usize, holds::Holds>>,
    /// One verdict at a time, so that each is kept once.
    one_by_one: tokio::sync::Mutex<()>,
    pub tally: Arc<Tally>,
}

/// Makes the office, and starts a task for each Alertmanager that is asked for its alerts. To be called in the runtime.
pub fn open(config: &Config, handle: &Handle) -> Arc<Office> {
    let daemon = &config.daemon;
    let office = Arc::new(Office {
        handle: handle.clone(),
        settings: daemon.verdicts.clone(),
        rules: daemon.rules.clone(),
        own: daemon.pages.alert.clone(),
        watchdog: daemon.pages.watchdog.clone(),
        seen: Mutex::default(),
        holds: Mutex::default(),
        one_by_one: tokio::sync::Mutex::default(),
        tally: Arc::default(),
    });
    let asked = |receiver: &&Receiver| receiver.kind == ReceiverKind::Alertmanager && receiver.poll;
    for (number, receiver) in daemon.receivers.iter().filter(asked).enumerate() {
        tokio::spawn(poll::run(Arc::clone(&office), number, receiver.clone()));
    }
    for (number, source) in daemon.promql.iter().enumerate() {
        tokio::spawn(holds::run(Arc::clone(&office), number, source.clone()));
    }
    office
}

impl Office {
    fn seen<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        read(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What our own alerts are called.
    pub fn own(&self) -> &str {
        &self.own
    }

    fn weight(&self, done: Done) -> Option<Ratio> {
        match done {
            Done::Silenced => Some(self.settings.silenced),
            Done::ShortLived => Some(self.settings.short_lived),
            Done::Acknowledged => Some(self.settings.acknowledged),
            Done::Incident => Some(self.settings.incident),
            Done::Said(_) => None,
        }
    }

    fn holds<T>(&self, read: impl FnOnce(&mut BTreeMap<usize, holds::Holds>) -> T) -> T {
        read(&mut self.holds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The `for` of an alert's rule. Ours have none: when they end is for their detector to say.
    fn hold(&self, alert: &Alert) -> Option<Span> {
        let name = alert.name();
        if name == self.own {
            return None;
        }
        let configured = self.rules.iter().find(|rule| rule.alert == name).map(|rule| rule.hold);
        let told = || self.holds(|holds| holds.values().filter_map(|of| of.get(name).copied()).min());
        Some(configured.or_else(told).unwrap_or(self.settings.hold))
    }

    /// Alerts that a webhook told of. What they imply is kept; how many of them are known here, and how many verdicts came of it.
    pub async fn told(&self, alerts: Vec<Alert>, now: Timestamp) -> Result<(usize, usize), Refused> {
        let (mut known, mut verdicts) = (0, 0);
        for alert in alerts {
            let of = self.series(&alert.labels).await?;
            let counter = if of.is_empty() { &self.tally.unknown } else { &self.tally.known };
            counter.fetch_add(1, Ordering::Relaxed);
            known += usize::from(!of.is_empty());
            let hold = self.hold(&alert);
            if let Some(implied) = self.seen(|seen| seen.told(alert, hold, now)) {
                verdicts += usize::from(matches!(self.imply(implied, now).await?, Heard::Kept(_)));
            }
        }
        Ok((known, verdicts))
    }

    /// The latest alert with this fingerprint, as far as an Alertmanager told of it.
    pub fn latest(&self, fingerprint: &str) -> Option<Alert> {
        self.seen(|seen| seen.latest(fingerprint).cloned())
    }

    /// Keeps a verdict, and has the series behind the alert hear it. Durable when this returns.
    pub async fn imply(&self, implied: Implied, now: Timestamp) -> Result<Heard, Refused> {
        let Implied { alert, done, why } = implied;
        let weight = self.weight(done);
        let watchdog = self.watchdog.as_deref() == Some(alert.name());
        if watchdog || weight.is_some_and(|weight| weight.get() <= 0.0) {
            return Ok(Heard::NotWanted);
        }
        let _alone = self.one_by_one.lock().await;
        let name = format!("{}/{}/{}", alert.fingerprint, alert.starts_at.millis(), done.as_str());
        // A person may say it again, and something else.
        let name = if weight.is_none() { format!("{name}/{}/{now}", done.verdict().as_str()) } else { name };
        let asked = name.clone();
        let kept = self.handle.query(move |view| view.store.has_verdict(&asked)).await?;
        if kept.unwrap_or(false) {
            self.tally.repeated.fetch_add(1, Ordering::Relaxed);
            return Ok(Heard::Repeated);
        }
        let mut kept = Kept {
            alert: alert.name().to_owned(),
            labels: alert.labels,
            at: alert.starts_at.min(now),
            verdict: done.verdict(),
            weight: weight.map_or(1.0, Ratio::get),
            source: done.as_str().to_owned(),
            why,
            series: Vec::new(),
            signals: Vec::new(),
        };
        // Heard first, kept second: killed in between it comes again, and what was done counts once for an alert.
        for (series, value) in self.series(&kept.labels).await? {
            let signal = Signal {
                id: 0,
                at: now,
                of: LoopKind::AnomalyFeedback,
                source: done.as_str().into(),
                value,
                series: Some(series.clone()),
                verdict: Some(kept.verdict),
                about: Some(Subject::Moment { at: kept.at }),
                weight,
                metadata: BTreeMap::from([
                    ("about".to_owned(), "alert".to_owned()),
                    ("alert".to_owned(), kept.alert.clone()),
                    ("at".to_owned(), kept.at.to_string()),
                    ("why".to_owned(), kept.why.clone()),
                ]),
            };
            match self.handle.signal(signal).await {
                Ok(id) => {
                    kept.series.push(series);
                    kept.signals.push(id);
                }
                // Forgotten in between.
                Err(Refused::UnknownSeries(_)) => {}
                Err(refused) => return Err(refused),
            }
        }
        let body = serde_json::to_string(&kept).expect("texts, times and numbers are JSON");
        self.handle.keep_verdict(name, kept.at, body).await?;
        let kind = Done::KINDS.iter().position(|kind| *kind == done.as_str()).unwrap_or(0);
        self.tally.verdicts[kind].fetch_add(1, Ordering::Relaxed);
        tracing::debug!("{} of {}: {}", kept.verdict.as_str(), kept.alert, kept.why);
        Ok(Heard::Kept(kept))
    }

    /// The series behind an alert, each with its newest value.
    async fn series(&self, labels: &Texts) -> Result<Vec<(SeriesName, f64)>, Refused> {
        let alert = labels.get("alertname").map_or("", String::as_str);
        if alert == self.own {
            let name = labels.get("series").and_then(|name| SeriesName::parse(name).ok());
            return self.handle.query(move |view| name.and_then(|name| newest(view, name)).into_iter().collect()).await;
        }
        let rules: Vec<DataRule> = self.rules.iter().filter(|rule| rule.alert == alert).cloned().collect();
        if rules.is_empty() {
            return Ok(Vec::new());
        }
        let labels = labels.clone();
        self.handle
            .query(move |view| {
                let of_rules = |series: &&SeriesName| rules.iter().any(|rule| looks_up(rule, series, &labels));
                let all = view.engine.knowledge().series().map(homeostat::knowledge::series::Series::name);
                let names: Vec<SeriesName> = all.filter(of_rules).take(SERIES_MAX).cloned().collect();
                names.into_iter().filter_map(|name| newest(view, name)).collect()
            })
            .await
    }
}

fn newest(view: &View<'_>, name: SeriesName) -> Option<(SeriesName, f64)> {
    let series = view.engine.knowledge().find(&name)?;
    let value = series.window().newest().map_or(0.0, |(_, value)| value);
    Some((name, value))
}

/// Whether a rule's alert with these labels was compared with a threshold of this series.
fn looks_up(rule: &DataRule, series: &SeriesName, labels: &Texts) -> bool {
    if !rule.selector.matches(series) {
        return false;
    }
    let (_, own) = series.parts();
    rule.by.iter().all(|by| {
        let of_series = own.iter().find(|(name, _)| name == by).map_or("", |(_, value)| value.as_str());
        of_series == labels.get(by).map_or("", String::as_str)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_of_a_rule_is_about_the_series_that_its_threshold_is_looked_up_from() {
        let rule: DataRule = serde_saphyr::from_str(
            "{alert: Slow, expr: p99, op: '>', literal: 1, by: [job], match: 'p99{zone=~\"eu.*\"}'}",
        )
        .expect("a rule");
        let labels = |job: &str| Texts::from([("alertname".into(), "Slow".into()), ("job".into(), job.to_owned())]);
        let about = |series: &str, job: &str| looks_up(&rule, &SeriesName::parse(series).expect(series), &labels(job));
        assert!(about(r#"p99{job="a",zone="eu1"}"#, "a") && about(r#"p99{zone="eu1"}"#, ""));
        assert!(!about(r#"p99{job="b",zone="eu1"}"#, "a") && !about(r#"p99{job="a",zone="us"}"#, "a"));
    }
}
