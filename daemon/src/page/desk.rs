//! What one receiver has been told, and what it is to be told when: without clock or network.
//!
//! Alerts are told in groups. An alert that nobody was told of yet is told as one that holds, also when it is over by then; one
//! that ended is told to have ended once it was told to hold for `keep_firing_for`. What is told is struck off only when the
//! receiver took it.

use super::alert::{Texts, Told};
use crate::config::{Pages, Receiver, ReceiverKind};
use homeostat::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Alerts that wait or hold at once; more are counted and not told.
pub const ALERTS_MAX: usize = 10_000;

/// Alerts in one notification; a group of more is told in part, one by one alerts go in several.
const ALERTS_AT_ONCE: usize = 100;

/// When what is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// None: every alert is for itself.
    pub group_by: Option<Vec<String>>,
    pub wait: Span,
    pub interval: Span,
    pub repeat: Span,
    pub keep: Span,
}

impl Pace {
    pub fn of(pages: &Pages, receiver: &Receiver) -> Pace {
        let keep = pages.keep_firing_for;
        match receiver.kind {
            // It groups, waits and repeats itself, and has to be told again and again.
            ReceiverKind::Alertmanager => {
                Pace { group_by: None, wait: Span::ZERO, interval: Span::ZERO, repeat: receiver.resend, keep }
            }
            ReceiverKind::Webhook | ReceiverKind::Command => Pace {
                group_by: Some(pages.group_by.clone()),
                wait: pages.group_wait,
                interval: pages.group_interval,
                repeat: pages.repeat_interval,
                keep,
            },
        }
    }
}

/// An alert as one receiver knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Alert {
    told: Told,
    /// The group that it is told in.
    group: String,
    began: Timestamp,
    ended: Option<Timestamp>,
    /// When the receiver took it first.
    told_at: Option<Timestamp>,
}

impl Alert {
    /// Since when it is to be told as ended.
    fn settles(&self, keep: Span) -> Option<Timestamp> {
        Some(self.ended?.max(self.told_at? + keep))
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Group {
    /// Of its first alert, as it was heard.
    since: Timestamp,
    told_at: Option<Timestamp>,
}

/// What is kept over a restart.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The last event that was heard.
    pub seq: u64,
    /// By series.
    alerts: BTreeMap<String, Alert>,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
pub struct Desk {
    pace: Pace,
    pub kept: Kept,
    /// Onsets that found no room.
    pub left_out: u64,
}

/// An alert as it is told.
#[derive(Clone, PartialEq, Debug)]
pub struct Line<'a> {
    pub told: &'a Told,
    pub began: Timestamp,
    /// None: it holds.
    pub ended: Option<Timestamp>,
}

/// What is due for one receiver.
#[derive(Clone, PartialEq, Debug)]
pub struct Notification {
    groups: Vec<String>,
    alerts: Vec<(String, Option<Timestamp>)>,
    /// Alerts of the group that found no room in it.
    pub truncated: usize,
}

impl Desk {
    pub fn new(pace: Pace, kept: Kept) -> Desk {
        Desk { pace, kept, left_out: 0 }
    }

    /// An alert began. One that was not told to have ended yet goes on.
    pub fn begin(&mut self, series: &str, at: Timestamp, told: Told, now: Timestamp) {
        if let Some(alert) = self.kept.alerts.get_mut(series) {
            alert.ended = None;
            return;
        }
        if self.kept.alerts.len() >= ALERTS_MAX {
            self.left_out += 1;
            return;
        }
        let key = self.key(series, &told.labels);
        self.kept.groups.entry(key.clone()).or_insert(Group { since: now, told_at: None });
        let alert = Alert { told, group: key, began: at, ended: None, told_at: None };
        self.kept.alerts.insert(series.to_owned(), alert);
    }

    /// An alert ended; one that nobody was told of is told all the same.
    pub fn end(&mut self, series: &str, at: Timestamp) {
        if let Some(alert) = self.kept.alerts.get_mut(series) {
            alert.ended.get_or_insert(at.max(alert.began));
        }
    }

    /// Alerts that wait to be told for the first time.
    pub fn waiting(&self) -> usize {
        self.kept.alerts.values().filter(|alert| alert.told_at.is_none()).count()
    }

    fn key(&self, series: &str, labels: &Texts) -> String {
        match &self.pace.group_by {
            None => series.to_owned(),
            Some(by) => serde_json::to_string(&group_labels(by, labels)).expect("texts are JSON"),
        }
    }

    /// The labels that all alerts of a notification have in common by `group_by`.
    pub fn group_labels(&self, notification: &Notification) -> Texts {
        let first = notification.alerts.first().and_then(|(series, _)| self.kept.alerts.get(series));
        match (&self.pace.group_by, first) {
            (Some(by), Some(alert)) => group_labels(by, &alert.told.labels),
            _ => Texts::new(),
        }
    }

    /// When each group that has anything to tell is due.
    fn due_by_group(&self) -> BTreeMap<&str, Timestamp> {
        let Pace { wait, interval, repeat, keep, .. } = self.pace;
        let mut due: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for alert in self.kept.alerts.values() {
            let Some(group) = self.kept.groups.get(&alert.group) else { continue };
            let changes = match (alert.told_at, alert.settles(keep)) {
                (None, _) => Some(group.since),
                (Some(_), settles) => settles,
            };
            let at = match (group.told_at, changes) {
                (None, _) => group.since + wait,
                (Some(told), Some(changed)) => changed.max(told + interval).min(told + repeat),
                (Some(told), None) => told + repeat,
            };
            due.entry(&alert.group).and_modify(|earliest| *earliest = at.min(*earliest)).or_insert(at);
        }
        due
    }

    /// When there is something to tell next.
    pub fn due(&self) -> Option<Timestamp> {
        self.due_by_group().into_values().min()
    }

    /// What is to be told now; one group at a time, where there are groups.
    pub fn next(&self, now: Timestamp) -> Option<Notification> {
        let at_once = if self.pace.group_by.is_some() { 1 } else { ALERTS_AT_ONCE };
        let groups = self.due_by_group().into_iter().filter(|(_, at)| *at <= now).map(|(group, _)| group);
        let groups: BTreeSet<&str> = groups.take(at_once).collect();
        let of_group = |(_, alert): &(&String, &Alert)| groups.contains(alert.group.as_str());
        let mut alerts: Vec<(&String, &Alert)> = self.kept.alerts.iter().filter(of_group).collect();
        // What is new, or over, before what was told already.
        let ended = |alert: &Alert| alert.settles(self.pace.keep).filter(|at| *at <= now).and(alert.ended);
        alerts.sort_by_key(|(_, alert)| (alert.told_at.is_some() && ended(alert).is_none(), alert.began));
        let truncated = alerts.len().saturating_sub(ALERTS_AT_ONCE);
        alerts.truncate(ALERTS_AT_ONCE);
        let alerts: Vec<_> = alerts.into_iter().map(|(series, alert)| (series.clone(), ended(alert))).collect();
        let groups = groups.into_iter().map(str::to_owned).collect();
        (!alerts.is_empty()).then_some(Notification { groups, alerts, truncated })
    }

    pub fn lines(&self, notification: &Notification) -> Vec<Line<'_>> {
        let line = |(series, ended): &(String, Option<Timestamp>)| {
            let alert = self.kept.alerts.get(series)?;
            Some(Line { told: &alert.told, began: alert.began, ended: *ended })
        };
        notification.alerts.iter().filter_map(line).collect()
    }

    /// The receiver took it. Whether that has to be remembered: more than a repetition.
    pub fn taken(&mut self, notification: &Notification, now: Timestamp) -> bool {
        let mut news = false;
        for (series, ended) in &notification.alerts {
            match ended {
                Some(_) => news |= self.kept.alerts.remove(series).is_some(),
                None => {
                    if let Some(alert) = self.kept.alerts.get_mut(series) {
                        news |= alert.told_at.is_none();
                        alert.told_at.get_or_insert(now);
                    }
                }
            }
        }
        let left: BTreeSet<String> = self.kept.alerts.values().map(|alert| alert.group.clone()).collect();
        for key in &notification.groups {
            if let Some(group) = self.kept.groups.get_mut(key) {
                group.told_at = Some(now);
            }
        }
        self.kept.groups.retain(|key, _| left.contains(key));
        news
    }
}

fn group_labels(by: &[String], labels: &Texts) -> Texts {
    by.iter().filter_map(|name| Some((name.clone(), labels.get(name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    fn told(series: &str, zone: &str) -> Told {
        let labels = [("series", series), ("zone", zone)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        Told { labels: labels.into(), annotations: Texts::new(), url: String::new() }
    }

    fn grouped() -> Desk {
        let pace = Pace {
            group_by: Some(vec!["zone".to_owned()]),
            wait: Span::from_secs(10),
            interval: Span::minutes(5),
            repeat: Span::hours(4),
            keep: Span::minutes(2),
        };
        Desk::new(pace, Kept::default())
    }

    /// What is told at a time: the series, + for one that holds; and it is taken.
    fn tell(desk: &mut Desk, now: i64) -> Option<String> {
        let next = desk.next(at(now))?;
        let word = |line: &Line<'_>| {
            let sign = if line.ended.is_some() { '-' } else { '+' };
            format!("{sign}{}", line.told.labels["series"])
        };
        let words: Vec<String> = desk.lines(&next).iter().map(word).collect();
        desk.taken(&next, at(now));
        Some(words.join(" "))
    }

    #[test]
    fn a_group_waits_for_others_is_told_of_changes_and_repeated() {
        let mut desk = grouped();
        desk.begin("a", at(0), told("a", "eu"), at(0));
        desk.begin("b", at(4), told("b", "eu"), at(4));
        desk.begin("c", at(5), told("c", "us"), at(5));
        assert_eq!((desk.due(), desk.next(at(9))), (Some(at(10)), None));
        assert_eq!(tell(&mut desk, 10).as_deref(), Some("+a +b"));
        assert_eq!(tell(&mut desk, 15).as_deref(), Some("+c"));
        desk.begin("d", at(20), told("d", "eu"), at(20));
        desk.end("a", at(30));
        assert_eq!(desk.due(), Some(at(310)), "a change waits for the interval");
        assert_eq!(tell(&mut desk, 310).as_deref(), Some("-a +d +b"));
        assert_eq!(desk.due(), Some(at(15 + 4 * 3600)), "the other zone is repeated");
        desk.end("b", at(400));
        desk.end("c", at(400));
        desk.end("d", at(400));
        assert_eq!(tell(&mut desk, 400).as_deref(), Some("-c"));
        assert_eq!(tell(&mut desk, 610).as_deref(), Some("-b -d"));
        assert_eq!((desk.due(), &desk.kept.groups.len()), (None, &0));
    }

    #[test]
    fn what_is_over_before_anybody_was_told_is_told_and_what_comes_back_at_once_is_the_same() {
        let mut desk = grouped();
        desk.begin("a", at(0), told("a", "eu"), at(0));
        desk.end("a", at(1));
        assert_eq!(tell(&mut desk, 5000).as_deref(), Some("+a"), "the receiver was away for long");
        desk.begin("a", at(5010), told("a", "eu"), at(5010));
        desk.end("a", at(5020));
        assert_eq!(desk.due(), Some(at(5300)));
        assert_eq!(tell(&mut desk, 5300).as_deref(), Some("-a"));
        desk.begin("a", at(5301), told("a", "eu"), at(5301));
        assert_eq!(tell(&mut desk, 5311).as_deref(), Some("+a"), "another alert");
    }

    #[test]
    fn one_by_one_each_is_told_at_once_and_again_and_again_until_it_ended() {
        let pace = Pace {
            group_by: None,
            wait: Span::ZERO,
            interval: Span::ZERO,
            repeat: Span::minutes(1),
            keep: Span::minutes(2),
        };
        let mut desk = Desk::new(pace.clone(), Kept::default());
        desk.begin("a", at(0), told("a", "eu"), at(0));
        assert_eq!(tell(&mut desk, 0).as_deref(), Some("+a"));
        desk.begin("b", at(30), told("b", "eu"), at(30));
        assert_eq!(tell(&mut desk, 30).as_deref(), Some("+b"));
        desk.end("a", at(40));
        assert_eq!(tell(&mut desk, 60).as_deref(), Some("+a"), "told to hold for two minutes");
        assert_eq!(tell(&mut desk, 90).as_deref(), Some("+b"));
        // A restart in between: what was kept goes on.
        let text = serde_json::to_string(&desk.kept).expect("plain data");
        let mut desk = Desk::new(pace, serde_json::from_str(&text).expect(&text));
        assert_eq!(tell(&mut desk, 120).as_deref(), Some("-a"));
        assert_eq!(tell(&mut desk, 150).as_deref(), Some("+b"));
        assert_eq!(desk.waiting(), 0);
    }

    #[test]
    fn what_was_not_taken_stays_due_and_a_flood_is_told_in_parts() {
        let mut desk = grouped();
        for n in 0..ALERTS_MAX + 5 {
            desk.begin(&n.to_string(), at(0), told(&n.to_string(), "eu"), at(0));
        }
        assert_eq!((desk.left_out, desk.waiting()), (5, ALERTS_MAX));
        let next = desk.next(at(10)).expect("due");
        assert_eq!((desk.lines(&next).len(), next.truncated), (ALERTS_AT_ONCE, ALERTS_MAX - ALERTS_AT_ONCE));
        assert_eq!(desk.next(at(11)), Some(next.clone()));
        assert!(desk.taken(&next, at(11)), "news");
        assert_eq!(desk.due(), Some(at(311)));
    }
}
