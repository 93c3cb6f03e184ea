//! What becomes of each rule: the doctor's advice, in the spelling of the rule, replayed as it would stand there.

use super::Run;
use super::history::{History, Job};
use super::subject::Subject;
use crate::rules::judge::Unit;
use crate::rules::reason::Reason;
use crate::rules::spell::spell;
use crate::rules::tiers;
use homeostat::doctor::{self, Finding, Limits, SeriesLiteral};
use homeostat::replay::score::per_week;
use homeostat::replay::{Labels, Page, Range, Replayer};
use homeostat::time::Span;

/// One rule, what it did, and what is proposed.
pub(super) struct Outcome {
    /// Its place among the subjects.
    pub subject: usize,
    /// None: nothing could be asked.
    pub past: Option<Past>,
    pub over_budget: bool,
    pub verdict: Verdict,
    /// What there is to say of its history.
    pub notes: Vec<String>,
}

/// What a rule did as it stands.
pub(super) struct Past {
    pub history: Span,
    pub pages_per_week: f64,
    pub pages: Vec<Page>,
    /// Of all series that were fetched for it, those that never paged among them.
    pub series: Vec<Labels>,
}

pub(super) enum Verdict {
    Change(Box<Proposal>),
    Leave { word: &'static str, why: String, per_series: Vec<SeriesLiteral> },
}

pub(super) struct Proposal {
    /// One per tuned literal, in their order.
    pub literals: Vec<Spelled>,
    pub hold: Span,
    pub pages_per_week: f64,
    pub pages: Vec<Page>,
    pub serious: usize,
    pub serious_told: usize,
    pub confidence: f64,
    pub why: Vec<String>,
    pub per_series: Vec<SeriesLiteral>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spelled {
    pub old: String,
    pub old_value: f64,
    pub new: String,
    pub value: f64,
}

/// The word for rules whose history could not be had.
const NOT_FETCHED: &str = "not_fetched";

impl Spelled {
    pub fn is_changed(&self) -> bool {
        self.value != self.old_value
    }
}

impl Outcome {
    /// What the server was asked for did not come.
    pub fn is_unknown(&self) -> bool {
        matches!(self.verdict, Verdict::Leave { word: NOT_FETCHED, .. })
    }

    /// Its expression or its budget cannot be read.
    pub fn is_unread(&self) -> bool {
        matches!(self.verdict, Verdict::Leave { word: "not_promql" | "not_budget", .. })
    }

    fn left(subject: usize, reason: &Reason) -> Outcome {
        let verdict = Verdict::Leave { word: reason.word(), why: reason.to_string(), per_series: Vec::new() };
        Outcome { subject, past: None, over_budget: false, verdict, notes: Vec::new() }
    }
}

/// All rules of a job.
pub(super) fn advise(job: &Job, history: Result<History, String>, subjects: &[Subject<'_>], run: &Run) -> Vec<Outcome> {
    let history = match history {
        Ok(history) => history,
        Err(why) => {
            let left = |subject: &usize| {
                let verdict = Verdict::Leave { word: NOT_FETCHED, why: why.clone(), per_series: Vec::new() };
                Outcome { subject: *subject, past: None, over_budget: false, verdict, notes: Vec::new() }
            };
            return job.subjects.iter().map(left).collect();
        }
    };
    let mut outcomes = Vec::new();
    for tier in by_tier(&job.subjects, subjects) {
        // From the outermost one inwards: who warns earlier stays inside, and waits no longer.
        let mut outer: Option<Outer> = None;
        let mut found: Vec<Outcome> = Vec::new();
        for at in tier {
            let outcome = one(at, &subjects[at], &history, outer, run);
            let hold = hold(&outcome, &subjects[at]);
            outer = literal(&outcome, &subjects[at]).map(|literal| Outer { literal, hold });
            found.push(outcome);
        }
        keep_order(&mut found, subjects);
        outcomes.extend(found);
    }
    outcomes
}

/// What the next tier further out comes to have.
#[derive(Clone, Copy)]
struct Outer {
    literal: f64,
    hold: Span,
}

/// Groups of tiers, those of one file, each from the outermost literal on; who is no tier stands alone.
fn by_tier(job: &[usize], subjects: &[Subject<'_>]) -> Vec<Vec<usize>> {
    let single = |at: &usize| subjects[*at].tuned.len() == 1;
    // The same alert in another file is one of another place, not a tier.
    let of_shape = |at: &usize| {
        let subject = &subjects[*at];
        let shape = format!("{}\0{}", subject.file.name, subject.shape);
        (shape, subject.comparisons().next().map_or(0.0, |one| one.literal.value))
    };
    let singles: Vec<usize> = job.iter().copied().filter(single).collect();
    let shapes: Vec<(String, f64)> = singles.iter().map(of_shape).collect();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for mut tier in tiers::tiers(&shapes) {
        let is_upper = subjects[singles[tier[0]]].comparisons().next().is_some_and(|one| one.is_upper());
        if is_upper {
            tier.reverse();
        }
        groups.push(tier.into_iter().map(|at| singles[at]).collect());
    }
    let grouped: Vec<usize> = groups.iter().flatten().copied().collect();
    groups.extend(job.iter().filter(|at| !grouped.contains(at)).map(|at| vec![*at]));
    groups
}

/// The literal that a rule of one literal comes to have.
fn literal(outcome: &Outcome, subject: &Subject<'_>) -> Option<f64> {
    match &outcome.verdict {
        Verdict::Change(proposal) => proposal.literals.first().map(|one| one.value),
        Verdict::Leave { .. } => subject.comparisons().next().map(|one| one.literal.value),
    }
}

/// The `for` that a rule comes to have.
fn hold(outcome: &Outcome, subject: &Subject<'_>) -> Span {
    match &outcome.verdict {
        Verdict::Change(proposal) => proposal.hold,
        Verdict::Leave { .. } => subject.rule.hold,
    }
}

/// Takes back what would turn tiers over.
fn keep_order(tier: &mut [Outcome], subjects: &[Subject<'_>]) {
    if tier.len() < 2 {
        return;
    }
    let old: Vec<f64> = tier
        .iter()
        .map(|one| subjects[one.subject].comparisons().next().map_or(0.0, |one| one.literal.value))
        .collect();
    let new: Vec<f64> =
        tier.iter().zip(&old).map(|(one, old)| literal(one, &subjects[one.subject]).unwrap_or(*old)).collect();
    // From the lowest literal on, as the order is kept in.
    let falls = old.first() > old.last();
    let turned =
        |values: &[f64]| -> Vec<f64> { if falls { values.iter().rev().copied().collect() } else { values.to_vec() } };
    let mut kept = turned(&new);
    let mut back = tiers::keep_order(&turned(&old), &mut kept);
    if falls {
        back.reverse();
    }
    let all: Vec<usize> = tier.iter().map(|one| one.subject).collect();
    // What is taken back waits as it did.
    let waits: Vec<Span> = all.iter().map(|at| subjects[*at].rule.hold).collect();
    let mut held: Vec<Span> = tier
        .iter()
        .zip(&back)
        .map(|(one, back)| if *back { subjects[one.subject].rule.hold } else { hold(one, &subjects[one.subject]) })
        .collect();
    let later = tiers::keep_waits(&waits, &mut held);
    let back = back.iter().zip(later).map(|(back, later)| *back || later);
    for (one, _) in tier.iter_mut().zip(back).filter(|(_, back)| *back) {
        let named = |at: &usize| format!("{} ({})", subjects[*at].rule.name.text, super::place(&subjects[*at]));
        let others: Vec<String> = all.iter().filter(|at| **at != one.subject).map(named).collect();
        let why = format!("what would suit it alone would turn it over with its other tiers, {}", others.join(", "));
        one.verdict = Verdict::Leave { word: "tiers", why, per_series: Vec::new() };
    }
}

fn one(at: usize, subject: &Subject<'_>, history: &History, outer: Option<Outer>, run: &Run) -> Outcome {
    let (Some(rule), Some(taken)) = (&subject.replayed, &subject.taken) else {
        return Outcome::left(at, subject.reason.as_ref().unwrap_or(&Reason::NoLiteral));
    };
    let leaves = &history.leaves;
    let replayer = Replayer::new(rule, leaves);
    let now = replayer.replay(&taken.literals, rule.for_ms);
    let lasted = leaves.first().map_or(Span::ZERO, |range| range.at(range.steps).since(range.start));
    let mut notes = history.notes.clone();
    if let Some(limit) = rule.limit.filter(|_| now.too_many > 0) {
        notes.push(format!(
            "at {} evaluations it had more alerts than its group allows, which are {limit}: Prometheus drops them all then",
            now.too_many
        ));
    }
    if !rule.opaque_labels().is_empty() {
        let labels = rule.opaque_labels().join(", ");
        notes.push(format!(
            "its label {labels} depends on the value: each value is an alert of its own, more than are counted here"
        ));
    }
    let series = leaves.iter().flat_map(|leaf| leaf.tracks.iter().map(|track| track.labels.clone())).collect();
    let pages_per_week = per_week(now.pages.len(), lasted);
    let past = Past { history: lasted, pages_per_week, pages: now.pages, series };
    if let Some(reason) = &subject.reason {
        let over_budget = past.pages_per_week > subject.budget;
        return Outcome { past: Some(past), over_budget, notes, ..Outcome::left(at, reason) };
    }
    let limits: Vec<Limits> = (0..taken.literals.len()).map(|nth| limits(subject, nth, leaves, outer)).collect();
    let advice = doctor::advise(&doctor::Case {
        rule,
        literals: &taken.literals,
        leaves,
        limits: &limits,
        for_most_ms: outer.map(|outer| i64::try_from(outer.hold.millis()).unwrap_or(i64::MAX)),
        budget: subject.budget,
        said: &run.said,
        zone: &run.zone,
    });
    let over_budget = match &advice.finding {
        Finding::Change(_) | Finding::Leave(doctor::Reason::NothingBetter | doctor::Reason::Levels { .. }) => true,
        Finding::Leave(_) => false,
    };
    let verdict = match advice.finding {
        Finding::Leave(reason) => left(reason),
        Finding::Change(change) => {
            let literals: Vec<Spelled> = taken
                .literals
                .iter()
                .zip(&change.literals)
                .enumerate()
                .map(|(nth, (old, new))| spelled(subject.written(nth), *old, *new))
                .collect();
            let hold = Span::from_millis(u64::try_from(change.for_ms).unwrap_or(0));
            if hold == subject.rule.hold && !literals.iter().any(Spelled::is_changed) {
                left(doctor::Reason::NothingBetter)
            } else {
                // As it will stand there, to the last digit.
                let values: Vec<f64> = literals.iter().map(|one| one.value).collect();
                let pages = replayer.replay(&values, change.for_ms).pages;
                Verdict::Change(Box::new(Proposal {
                    literals,
                    hold,
                    pages_per_week: per_week(pages.len(), lasted),
                    pages,
                    serious: change.serious,
                    serious_told: change.serious_told,
                    confidence: change.confidence,
                    why: change.why,
                    per_series: change.per_series,
                }))
            }
        }
    };
    Outcome { subject: at, past: Some(past), over_budget, verdict, notes }
}

fn spelled(written: &str, old: f64, new: f64) -> Spelled {
    let unchanged = Spelled { old: written.to_owned(), old_value: old, new: written.to_owned(), value: old };
    if new == old {
        return unchanged;
    }
    let (text, value) = spell(written, new);
    if value == old { unchanged } else { Spelled { new: text, value, ..unchanged } }
}

/// What a literal may become, by its expression and by what was ever seen.
fn limits(subject: &Subject<'_>, nth: usize, leaves: &[Range], outer: Option<Outer>) -> Limits {
    let Some(comparison) = subject.comparisons().nth(nth) else { return Limits::FIXED };
    let measured = subject.taken.as_ref().and_then(|taken| *taken.measured.get(nth)?).and_then(|at| leaves.get(at));
    let every = |holds: &dyn Fn(f64) -> bool| {
        let values =
            measured.into_iter().flat_map(|range| &range.tracks).flat_map(|track| track.values.iter().flatten());
        values.filter(|value| value.is_finite()).all(|value| holds(*value))
    };
    // A share that was ever more than the whole is none.
    let clamp = comparison.measure.clamp.filter(|(low, high)| every(&|value| (*low..=*high * 1.001).contains(&value)));
    let whole = comparison.literal.value.fract() == 0.0
        && comparison.measure.unit == Unit::Other
        && measured.is_some()
        && every(&|value| value.fract() == 0.0);
    let bound = outer.map(|outer| outer.literal);
    let (least, most) = if comparison.is_upper() { (None, bound) } else { (bound, None) };
    Limits { tune: true, clamp, least, most, whole }
}

fn left(reason: doctor::Reason) -> Verdict {
    let why = reason.to_string();
    let (word, per_series) = match reason {
        doctor::Reason::Untunable => ("untunable", Vec::new()),
        doctor::Reason::InsideBudget { .. } => ("inside_budget", Vec::new()),
        doctor::Reason::NoData => ("no_data", Vec::new()),
        doctor::Reason::TooLittle { .. } => ("too_little", Vec::new()),
        doctor::Reason::CannotEvaluate(_) => ("cannot_evaluate", Vec::new()),
        doctor::Reason::Levels { per_series } => ("levels", per_series),
        doctor::Reason::NothingBetter => ("nothing_better", Vec::new()),
    };
    Verdict::Leave { word, why, per_series }
}
