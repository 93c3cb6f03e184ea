//! What was seen of alerts, and what people's doings about them imply: without clock or network.
//!
//! An alert that is silenced soon after it began did not matter to whoever silenced it; a silence that was there before says
//! nothing of it. One that ended by itself almost as soon as it fired mattered little. Both are read from the alerts' own times:
//! when we hear of them says nothing.

use super::message::{Alert, Silence};
use homeostat::feedback::Verdict;
use homeostat::time::{Span, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// Alerts that are remembered; the one that was heard of longest ago is forgotten first.
const SEEN_MAX: usize = 20_000;

/// What somebody did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Done {
    Silenced,
    ShortLived,
    Acknowledged,
    Incident,
    /// A person's word, by way of a paging tool.
    Said(Verdict),
}

impl Done {
    pub const KINDS: [&'static str; 5] = ["silenced", "short_lived", "acknowledged", "incident", "verdict"];

    /// As the record has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Done::Silenced => "silenced",
            Done::ShortLived => "short_lived",
            Done::Acknowledged => "acknowledged",
            Done::Incident => "incident",
            Done::Said(_) => "verdict",
        }
    }

    pub const fn verdict(self) -> Verdict {
        match self {
            Done::Silenced | Done::ShortLived => Verdict::False,
            Done::Acknowledged | Done::Incident => Verdict::True,
            Done::Said(verdict) => verdict,
        }
    }
}

/// What is implied of an alert, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Implied {
    pub alert: Alert,
    pub done: Done,
    pub why: String,
}

/// When something implies something.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub silenced_within: Span,
    /// Between two polls that are further apart alerts may have ended and begun unseen.
    pub poll_gap_max: Span,
}

#[derive(Clone, Debug)]
struct One {
    alert: Alert,
    /// Something else than itself ended it, or will have.
    silenced: bool,
    heard_at: Timestamp,
    /// The poll of which Alertmanager it was seen in last.
    polled: Option<usize>,
}

/// One Alertmanager, as it was polled last.
#[derive(Clone, Copy, Debug)]
struct Polled {
    at: Timestamp,
    started_at: Timestamp,
}

#[derive(Debug, Default)]
pub struct Seen {
    alerts: HashMap<(String, Timestamp), One>,
    polled: BTreeMap<usize, Polled>,
}

impl Seen {
    /// An alert that a webhook told of. `hold` is its rule's `for`; none: nothing can be told of how short it was.
    pub fn told(&mut self, alert: Alert, hold: Option<Span>, now: Timestamp) -> Option<Implied> {
        let key = (alert.fingerprint.clone(), alert.starts_at);
        let one = self.note(&key, &alert, now);
        let ended_at = alert.ended_at?;
        let silenced = one.silenced;
        short(&alert, ended_at, silenced, hold?)
    }

    /// All alerts that an Alertmanager holds, and its silences, as they were polled at `now`.
    pub fn polled(
        &mut self,
        number: usize,
        (alerts, silences, started_at): (&[Alert], &[Silence], Timestamp),
        limits: Limits,
        hold: impl Fn(&Alert) -> Option<Span>,
        now: Timestamp,
    ) -> Vec<Implied> {
        let silences: HashMap<&str, &Silence> = silences.iter().map(|one| (one.id.as_str(), one)).collect();
        let before = self.polled.insert(number, Polled { at: now, started_at });
        let mut implied = Vec::new();
        for alert in alerts {
            let key = (alert.fingerprint.clone(), alert.starts_at);
            let one = self.note(&key, alert, now);
            one.polled = Some(number);
            one.silenced |= !alert.silenced_by.is_empty() || alert.inhibited;
            let soon = |silence: &&&Silence| {
                silence.starts_at >= alert.starts_at
                    && silence.starts_at.since(alert.starts_at) <= limits.silenced_within
            };
            let by = alert.silenced_by.iter().filter_map(|id| silences.get(id.as_str()));
            if let Some(silence) = by.filter(soon).min_by_key(|silence| silence.starts_at) {
                implied.push(Implied { alert: alert.clone(), done: Done::Silenced, why: because(alert, silence) });
            }
        }
        // What is not there any more has ended since the last poll, unless all was forgotten or too much may have passed.
        let known =
            before.is_some_and(|before| before.started_at == started_at && now.since(before.at) <= limits.poll_gap_max);
        let mut gone = Vec::new();
        for (key, one) in &mut self.alerts {
            let ended = one.polled == Some(number) && one.heard_at < now && one.alert.ended_at.is_none();
            if ended {
                one.polled = None;
                gone.push((key.clone(), known));
            }
        }
        gone.sort();
        for (key, known) in gone {
            let Some(one) = self.alerts.get(&key).filter(|_| known) else { continue };
            implied.extend(hold(&one.alert).and_then(|hold| short(&one.alert, now, one.silenced, hold)));
        }
        implied
    }

    /// The latest alert with this fingerprint.
    pub fn latest(&self, fingerprint: &str) -> Option<&Alert> {
        let same = self.alerts.values().filter(|one| one.alert.fingerprint == fingerprint);
        same.map(|one| &one.alert).max_by_key(|alert| alert.starts_at)
    }

    fn note(&mut self, key: &(String, Timestamp), alert: &Alert, now: Timestamp) -> &mut One {
        if !self.alerts.contains_key(key) && self.alerts.len() >= SEEN_MAX {
            self.forget();
        }
        let new = One { alert: alert.clone(), silenced: false, heard_at: now, polled: None };
        let one = self.alerts.entry(key.clone()).or_insert(new);
        one.heard_at = now;
        one.alert.ended_at = alert.ended_at.or(one.alert.ended_at);
        one
    }
}

impl Seen {
    /// Makes room: those go that were heard of longest ago, a tenth of all.
    fn forget(&mut self) {
        let mut heard: Vec<Timestamp> = self.alerts.values().map(|one| one.heard_at).collect();
        heard.sort_unstable();
        let oldest = heard[SEEN_MAX / 10];
        self.alerts.retain(|_, one| one.heard_at > oldest);
    }
}

fn short(alert: &Alert, ended_at: Timestamp, silenced: bool, hold: Span) -> Option<Implied> {
    let lasted = ended_at.since(alert.starts_at);
    let short = !silenced && ended_at >= alert.starts_at && lasted < hold * 2;
    let why = format!("it ended by itself after {lasted}; its rule's `for` is {hold}");
    short.then(|| Implied { alert: alert.clone(), done: Done::ShortLived, why })
}

fn because(alert: &Alert, silence: &Silence) -> String {
    let after = silence.starts_at.since(alert.starts_at);
    let comment: String = silence.comment.chars().filter(|c| !c.is_control()).take(200).collect();
    let by: String = silence.by.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("silenced by {by} {after} after it began: {comment}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{Texts, fingerprint};

    const LIMITS: Limits = Limits { silenced_within: Span::minutes(15), poll_gap_max: Span::minutes(2) };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn alert(name: &str, starts: i64) -> Alert {
        let labels = Texts::from([("alertname".to_owned(), name.to_owned())]);
        Alert {
            fingerprint: fingerprint(&labels),
            labels,
            starts_at: at(starts),
            ended_at: None,
            silenced_by: Default::default(),
            inhibited: false,
        }
    }

    fn silenced(name: &str, starts: i64) -> Alert {
        Alert { silenced_by: ["s".to_owned()].into(), ..alert(name, starts) }
    }

    fn silence(starts: i64) -> Silence {
        Silence { id: "s".to_owned(), starts_at: at(starts), by: "me".to_owned(), comment: "noise".to_owned() }
    }

    /// What a poll implies: alert and doing.
    fn poll(seen: &mut Seen, alerts: &[Alert], silences: &[Silence], started: i64, now: i64) -> Vec<(String, Done)> {
        let hold = |_: &Alert| Some(Span::minutes(5));
        let implied = seen.polled(0, (alerts, silences, at(started)), LIMITS, hold, at(now));
        implied.into_iter().map(|one| (one.alert.name().to_owned(), one.done)).collect()
    }

    #[test]
    fn a_silence_soon_after_the_start_says_that_it_did_not_matter_and_others_say_nothing() {
        let mut seen = Seen::default();
        let done = |name: &str| vec![(name.to_owned(), Done::Silenced)];
        assert_eq!(poll(&mut seen, &[silenced("A", 0)], &[silence(900)], 0, 1000), done("A"));
        assert_eq!(poll(&mut seen, &[silenced("B", 0)], &[silence(901)], 0, 1000), []);
        assert_eq!(poll(&mut seen, &[silenced("C", 0)], &[silence(-1)], 0, 1000), [], "it was there before");
        assert_eq!(poll(&mut seen, &[silenced("D", 0)], &[], 0, 1000), [], "nobody knows since when");
    }

    #[test]
    fn what_ended_by_itself_almost_at_once_mattered_little_by_its_own_times() {
        let mut seen = Seen::default();
        let short = |name: &str| vec![(name.to_owned(), Done::ShortLived)];
        assert_eq!(poll(&mut seen, &[alert("A", 0), alert("B", -600), silenced("C", 0)], &[], -9000, 60), []);
        assert_eq!(poll(&mut seen, &[], &[], -9000, 120), short("A"), "B held for over ten minutes, C was silenced");
        assert_eq!(poll(&mut seen, &[], &[], -9000, 180), [], "told once");
        // A webhook says it by its own end, however late it comes.
        let hold = Some(Span::minutes(5));
        let ended = |starts: i64, ends: i64| Alert { ended_at: Some(at(ends)), ..alert("W", starts) };
        assert!(seen.told(ended(0, 599), hold, at(90_000)).is_some_and(|one| one.done == Done::ShortLived));
        assert_eq!(seen.told(ended(1, 601), hold, at(90_000)), None);
        assert_eq!(seen.told(ended(2, 3), None, at(90_000)), None, "no `for` is known");
    }

    #[test]
    fn an_alertmanager_that_forgot_and_a_gap_between_polls_end_nothing() {
        let mut seen = Seen::default();
        assert_eq!(poll(&mut seen, &[alert("A", 0)], &[], -9000, 60), []);
        assert_eq!(poll(&mut seen, &[], &[], 100, 120), [], "it started anew and knows nothing");
        assert_eq!(poll(&mut seen, &[alert("B", 100)], &[], 100, 150), []);
        assert_eq!(poll(&mut seen, &[], &[], 100, 300), [], "two and a half minutes unseen");
        assert_eq!(seen.latest(&alert("B", 0).fingerprint).map(|alert| alert.starts_at), Some(at(100)));
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut seen = Seen::default();
        for n in 0..(SEEN_MAX as i64 + 10) {
            seen.told(alert("A", n), None, at(n));
        }
        assert!(seen.alerts.len() <= SEEN_MAX && seen.alerts.len() > SEEN_MAX / 2, "{}", seen.alerts.len());
        assert!(!seen.alerts.keys().any(|(_, starts)| *starts < at(10)));
    }
}
