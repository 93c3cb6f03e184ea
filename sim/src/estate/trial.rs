//! The month as cases for the rule doctor: what it learns from, and what it is judged on.

use super::rules::{Published, RULES};
use super::shape::WEEK;
use super::{Estate, Incident, START};
use crate::chance::Chance;
use homeostat::doctor::{self, Finding, Limits};
use homeostat::feedback::Verdict;
use homeostat::replay::score::{self, Said};
use homeostat::replay::{Page, Range, Replayer, Rule, Track};
use homeostat::time::zone::Zone;
use homeostat::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Where what is learned ends and what is judged begins: the fourth week.
pub const CUT: usize = 3 * WEEK;

/// One published rule over the month.
pub struct Case {
    pub published: &'static Published,
    pub rule: Rule,
    pub literals: Vec<f64>,
    pub limits: Vec<Limits>,
    /// Three weeks of the leaves, and the fourth.
    pub past: Vec<Range>,
    pub future: Vec<Range>,
}

pub fn cases(estate: &Estate) -> Vec<Case> {
    let history = estate.history();
    let case = |published: &'static Published| {
        let leaves = (published.leaves)(&history);
        let limits = |tuned: super::rules::Tuned| Limits { clamp: tuned.clamp, whole: tuned.whole, ..Limits::FREE };
        Case {
            published,
            rule: Rule {
                alert: published.alert.to_owned(),
                labels: BTreeMap::from([("severity".to_owned(), published.severity.to_owned())]),
                formula: (published.formula)(),
                for_ms: span(published.hold).millis() as i64,
                keep_firing_for_ms: 0,
                limit: None,
                interval_ms: 60_000,
            },
            literals: published.tuned.iter().map(|tuned| tuned.literal).collect(),
            limits: published.tuned.into_iter().map(limits).collect(),
            past: leaves.iter().map(|leaf| part(leaf, 0, CUT)).collect(),
            future: leaves.iter().map(|leaf| part(leaf, CUT, leaf.steps)).collect(),
        }
    };
    RULES.iter().map(case).collect()
}

/// When the fourth week begins.
pub fn cut() -> Timestamp {
    START + Span::minutes(CUT as u64)
}

/// The incidents of the fourth week.
pub fn incidents(estate: &Estate) -> Vec<&Incident> {
    estate.incidents.iter().filter(|incident| incident.start >= cut()).collect()
}

fn span(text: &str) -> Span {
    if text.is_empty() { Span::default() } else { Span::parse(text).expect("a duration of the table") }
}

/// The evaluations from `from` on, before `to`.
fn part(range: &Range, from: usize, to: usize) -> Range {
    let track = |track: &Track| Track { labels: track.labels.clone(), values: track.values[from..to].to_vec() };
    Range {
        start: range.at(from),
        step: range.step,
        steps: to - from,
        tracks: range.tracks.iter().map(track).collect(),
    }
}

/// How a way of choosing literals does in the fourth week.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    pub pages: usize,
    pub pages_true: usize,
    /// Of the incidents of the week, those that some page told of: by their place in the week.
    pub told: BTreeSet<usize>,
}

impl Outcome {
    fn add(&mut self, pages: &[Page], incidents: &[score::Incident]) {
        for page in pages {
            let about: Vec<usize> = (0..incidents.len()).filter(|at| incidents[*at].told_by(page)).collect();
            self.pages += 1;
            self.pages_true += usize::from(!about.is_empty());
            self.told.extend(about);
        }
    }
}

/// A literal and a `for` for a rule; `None` where the rule stays as it is.
pub type Chosen = Option<(f64, i64)>;

/// What people who look at one page in `every` said of those of the first three weeks: the truth.
pub fn verdicts(estate: &Estate, cases: &[Case], every: usize, seed: u64) -> Vec<Said> {
    let mut chance = Chance::stream(seed, "verdicts");
    let incidents = of_score(estate.incidents.iter());
    let mut said = Vec::new();
    for case in cases {
        for page in Replayer::new(&case.rule, &case.past).replay(&case.literals, case.rule.for_ms).pages {
            if chance.below(every) == 0 {
                let mattered = incidents.iter().any(|incident| incident.told_by(&page));
                let verdict = if mattered { Verdict::True } else { Verdict::False };
                said.push(Said { alert: case.rule.alert.clone(), labels: page.labels, at: page.began, verdict });
            }
        }
    }
    said
}

pub fn of_score<'a>(incidents: impl Iterator<Item = &'a Incident>) -> Vec<score::Incident> {
    let one = |incident: &Incident| score::Incident {
        start: incident.start,
        end: incident.end,
        labels: incident.labels.clone(),
    };
    incidents.map(one).collect()
}

/// The fourth week with what was chosen for each case.
pub fn outcome(cases: &[Case], chosen: &[Chosen], incidents: &[score::Incident]) -> Outcome {
    let mut outcome = Outcome::default();
    for (case, chosen) in cases.iter().zip(chosen) {
        let (literals, for_ms) = match chosen {
            Some((literal, for_ms)) => (vec![*literal], *for_ms),
            None => (case.literals.clone(), case.rule.for_ms),
        };
        outcome.add(&Replayer::new(&case.rule, &case.future).replay(&literals, for_ms).pages, incidents);
    }
    outcome
}

/// What the doctor says, having seen three weeks.
pub fn advised(cases: &[Case], said: &[Said]) -> Vec<doctor::Advice> {
    let zone = Zone::named("UTC").expect("UTC is known");
    let advise = |case: &Case| {
        doctor::advise(&doctor::Case {
            rule: &case.rule,
            literals: &case.literals,
            leaves: &case.past,
            for_most_ms: None,
            limits: &case.limits,
            budget: 1.0,
            said,
            zone: &zone,
        })
    };
    cases.iter().map(advise).collect()
}

pub fn chosen(advice: &doctor::Advice) -> Chosen {
    match &advice.finding {
        Finding::Change(change) => Some((change.literals[0], change.for_ms)),
        Finding::Leave(_) => None,
    }
}

/// A literal from the values of three weeks, the `for` staying what it is: what people do in a spreadsheet.
pub fn from_values(cases: &[Case], literal: impl Fn(&[f64], bool) -> f64) -> Vec<Chosen> {
    let choose = |case: &Case| {
        let tuned = case.published.tuned?;
        let tracks = &case.past[0].tracks;
        let mut values: Vec<f64> = tracks.iter().flat_map(|track| track.values.iter().flatten().copied()).collect();
        values.sort_by(f64::total_cmp);
        Some((literal(&values, tuned.below), case.rule.for_ms))
    };
    cases.iter().map(choose).collect()
}

/// The best literal and `for` of each rule for the fourth week itself, incidents known: what can be had at all.
pub fn hindsight(cases: &[Case], incidents: &[score::Incident]) -> Vec<Chosen> {
    let choose = |case: &Case| {
        case.published.tuned?;
        let replayer = Replayer::new(&case.rule, &case.future);
        let tracks = &case.future[0].tracks;
        let mut values: Vec<f64> = tracks.iter().flat_map(|track| track.values.iter().flatten().copied()).collect();
        values.sort_by(f64::total_cmp);
        let below = case.published.tuned.is_some_and(|tuned| tuned.below);
        let mut best = (f64::NEG_INFINITY, None);
        for nth in 0..30 {
            let beyond = 0.5 * 0.75_f64.powi(nth);
            let share = if below { beyond } else { 1.0 - beyond };
            let literal = values[((values.len() - 1) as f64 * share) as usize];
            for minutes in [0, 2, 5, 8, 10, 15, 20, 30] {
                let mut one = Outcome::default();
                one.add(&replayer.replay(&[literal], minutes * 60_000).pages, incidents);
                let worth = 4.0 * one.told.len() as f64 - (one.pages - one.pages_true) as f64 - 0.05 * one.pages as f64;
                if worth > best.0 {
                    best = (worth, Some((literal, minutes * 60_000)));
                }
            }
        }
        best.1
    };
    cases.iter().map(choose).collect()
}
