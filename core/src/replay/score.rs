//! What pages are worth: how many there are, how many of them were about something, what was missed and how late it was told.
//!
//! Pages are counted before grouping, one per label set that begins to fire. A page is true when it begins between
//! [`EARLY`] before an incident's start and [`LATE`] after its end, and carries the incident's labels.

use super::labels::Labels;
use super::page::Page;
use crate::feedback::Verdict;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How long before an incident's start a page may begin and still be about it.
pub const EARLY: Span = Span::minutes(5);
/// How long after its end.
pub const LATE: Span = Span::minutes(10);

/// Something that happened, and where: pages about it carry all of its labels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Incident {
    pub start: Timestamp,
    pub end: Timestamp,
    pub labels: Labels,
}

impl Incident {
    /// Whether a page is about this.
    pub fn told_by(&self, page: &Page) -> bool {
        page.began + EARLY >= self.start && page.began <= self.end + LATE && page.labels.carries(&self.labels)
    }
}

/// Pages counted against incidents.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Score {
    pub pages: usize,
    pub pages_per_week: f64,
    /// Pages that are about an incident.
    pub pages_true: usize,
    /// Their share of the pages; `None` without pages.
    pub precision: Option<f64>,
    pub incidents: usize,
    /// Incidents with a page about them.
    pub incidents_told: usize,
    /// Their share of the incidents; `None` without incidents.
    pub recall: Option<f64>,
    /// From an incident's start to its first page, the median over those that were told, in milliseconds; below zero where
    /// pages came first.
    pub delay_ms: Option<f64>,
}

/// Counts `pages` of a time that lasted `lasted` against what happened in it.
pub fn score(pages: &[Page], incidents: &[Incident], lasted: Span) -> Score {
    let pages_true = pages.iter().filter(|page| incidents.iter().any(|incident| incident.told_by(page))).count();
    let mut delays: Vec<i64> = incidents.iter().filter_map(|incident| delay(incident, pages)).collect();
    Score {
        pages: pages.len(),
        pages_per_week: per_week(pages.len(), lasted),
        pages_true,
        precision: share(pages_true, pages.len()),
        incidents: incidents.len(),
        incidents_told: delays.len(),
        recall: share(delays.len(), incidents.len()),
        delay_ms: median(&mut delays),
    }
}

/// Of a time in which nothing can have been counted there is no rate: 0.
pub fn per_week(count: usize, lasted: Span) -> f64 {
    let weeks = lasted.secs() / Span::hours(7 * 24).secs();
    if weeks > 0.0 { count as f64 / weeks } else { 0.0 }
}

/// From an incident's start to the first page about it, in milliseconds.
fn delay(incident: &Incident, pages: &[Page]) -> Option<i64> {
    let first = pages.iter().filter(|page| incident.told_by(page)).map(|page| page.began).min()?;
    Some(first.millis() - incident.start.millis())
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn median(values: &mut [i64]) -> Option<f64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower as f64 + upper as f64) / 2.0)
}

/// What a person said of a page that the rule gave, or of one that it did not give.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Said {
    pub alert: String,
    /// Some or all labels of the page.
    #[serde(default)]
    pub labels: Labels,
    /// A time at which it fired, or should have.
    pub at: Timestamp,
    pub verdict: Verdict,
}

/// A stretch of time of which it is known whether it mattered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Episode {
    pub when: Incident,
    pub mattered: bool,
}

/// What verdicts say of the times they are about. A verdict is about the page of the rule as it stood, `pages`, that fired
/// then, or else began next to it ([`EARLY`] before to [`LATE`] after), and so about as long as that lasted, with all its
/// labels; where there is none, about that instant, with the labels it names. Where verdicts disagree about a page, the last
/// one stands. Verdicts about other alerts say nothing here. `end` is when what was replayed ends.
pub fn episodes(alert: &str, pages: &[Page], said: &[Said], end: Timestamp) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for said in said.iter().filter(|said| said.alert == alert) {
        let near =
            |page: &&Page| page.labels.carries(&said.labels) && (page.fires_at(said.at) || next_to(page, said.at));
        let distance = |page: &&Page| (!page.fires_at(said.at), page.began.millis().abs_diff(said.at.millis()));
        let when = match pages.iter().filter(near).min_by_key(distance) {
            Some(page) => Incident { start: page.began, end: page.ended.unwrap_or(end), labels: page.labels.clone() },
            None => Incident { start: said.at, end: said.at, labels: said.labels.clone() },
        };
        let mattered = said.verdict != Verdict::False;
        match episodes.iter_mut().find(|episode| episode.when == when) {
            Some(known) => known.mattered = mattered,
            None => episodes.push(Episode { when, mattered }),
        }
    }
    episodes
}

fn next_to(page: &Page, at: Timestamp) -> bool {
    page.began + EARLY >= at && page.began <= at + LATE
}

/// Pages counted against what people said.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Judged {
    /// Pages about something that mattered.
    pub pages_true: usize,
    /// Pages about something that did not.
    pub pages_false: usize,
    /// Pages of which nobody said anything.
    pub pages_unjudged: usize,
    /// The share of the true ones among those that were judged.
    pub precision: Option<f64>,
    /// Episodes that mattered, and those of them that have a page.
    pub episodes: usize,
    pub episodes_told: usize,
    pub recall: Option<f64>,
}

/// Counts `pages`, of other literals perhaps, against episodes. A page about two of which one mattered is true.
pub fn judged(pages: &[Page], episodes: &[Episode]) -> Judged {
    let about = |page: &Page, mattered: bool| {
        episodes.iter().any(|episode| episode.mattered == mattered && episode.when.told_by(page))
    };
    let pages_true = pages.iter().filter(|page| about(page, true)).count();
    let pages_false = pages.iter().filter(|page| !about(page, true) && about(page, false)).count();
    let mattered: Vec<&Incident> =
        episodes.iter().filter(|episode| episode.mattered).map(|episode| &episode.when).collect();
    let told = mattered.iter().filter(|incident| pages.iter().any(|page| incident.told_by(page))).count();
    Judged {
        pages_true,
        pages_false,
        pages_unjudged: pages.len() - pages_true - pages_false,
        precision: share(pages_true, pages_true + pages_false),
        episodes: mattered.len(),
        episodes_told: told,
        recall: share(told, mattered.len()),
    }
}
