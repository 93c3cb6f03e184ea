//! What an alert rule's literal and its `for` should be: learned from the history of the rule's own expression.
//!
//! History does not say which pages mattered. So every excursion of a series is asked how likely it is that it did (see
//! `episode`): whether it lasted longer at its height than excursions of that series do by chance, and whether it comes
//! back by the clock. What people said of some pages overrides that. Then the literal and the `for` are looked for that
//! keep what may have mattered and tell of little else (see `search`); in doubt the rule stays as it is.

use crate::replay::score::{self, Said, per_week};
use crate::replay::{Labels, Range, Replayer, Rule};
use crate::stats::poisson;
use crate::time::zone::Zone;
use crate::time::{Span, Timestamp};

mod episode;
mod heard;
mod levels;
mod round;
mod search;
mod trace;
mod words;

use search::Search;

/// A rule, its history, and what may be done about it.
pub struct Case<'a> {
    pub rule: &'a Rule,
    /// As they stand in the rule; the formula knows them by their index.
    pub literals: &'a [f64],
    /// The history of the formula's leaves, all over the same time.
    pub leaves: &'a [Range],
    /// One per literal, in the same order.
    pub limits: &'a [Limits],
    /// A `for` longer than this is not looked for, in milliseconds: who warns earlier waits no longer than the next tier.
    pub for_most_ms: Option<i64>,
    /// Pages a week that the rule may give in ordinary times; more than 0. What looks like an incident is on top.
    pub budget: f64,
    /// What people said of pages; those of other alerts are passed over.
    pub said: &'a [Said],
    /// The clock that backups and cron jobs go by.
    pub zone: &'a Zone,
}

/// What a literal may become.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Whether it may be changed at all: guards may not.
    pub tune: bool,
    /// What the left side can ever be, such as 0 to 100 for a percentage: the literal stays strictly inside.
    pub clamp: Option<(f64, f64)>,
    /// The literal may not come to lie under or over these, themselves allowed: the neighbouring tiers of the alert.
    pub least: Option<f64>,
    pub most: Option<f64>,
    /// A count: the literal is to be a whole number.
    pub whole: bool,
}

impl Limits {
    /// May become whatever history says.
    pub const FREE: Limits = Limits { tune: true, clamp: None, least: None, most: None, whole: false };
    /// Stays what it is.
    pub const FIXED: Limits = Limits { tune: false, ..Limits::FREE };
}

/// What the doctor says of a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Advice {
    /// How much history there was.
    pub history: Span,
    /// Pages a week of the rule as it stands, on that history.
    pub pages_per_week: f64,
    pub finding: Finding,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Finding {
    Change(Change),
    Leave(Reason),
}

/// Another literal, another `for`, or both.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// All literals of the rule, in their order; those that stay among them.
    pub literals: Vec<f64>,
    /// `for`, in milliseconds.
    pub for_ms: i64,
    /// Pages a week it would have given on the history.
    pub pages_per_week: f64,
    /// How many episodes looked as if they mattered, and how many of them it would have told of.
    pub serious: usize,
    pub serious_told: usize,
    /// 0 to 1: how likely it is that the next week has no more ordinary pages than the budget.
    pub confidence: f64,
    /// In words, a sentence each, most important first.
    pub why: Vec<String>,
    /// Where series live at levels so different that one literal serves them badly: a literal for each.
    pub per_series: Vec<SeriesLiteral>,
}

/// A literal for the one series, for thresholds as data.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesLiteral {
    pub labels: Labels,
    pub literal: f64,
}

/// Why a rule is left as it is.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Reason {
    #[error("nothing in it may be changed")]
    Untunable,
    #[error("already inside its budget: {pages_per_week:.1} pages a week")]
    InsideBudget { pages_per_week: f64 },
    #[error("no data: its expression gave nothing in the whole history")]
    NoData,
    #[error("too little history: {history} of data, and at least {wanted} are needed")]
    TooLittle { history: Span, wanted: Span },
    #[error("it cannot be evaluated: {0}")]
    CannotEvaluate(String),
    #[error("one literal cannot serve its series, which live at different levels: thresholds per series can")]
    Levels { per_series: Vec<SeriesLiteral> },
    #[error("no literal and no `for` tells incidents from ordinary times any better")]
    NothingBetter,
}

/// Most rules are at rest after two looks, all that were seen after four.
const LOOKS_MOST: usize = 6;

/// Less history than this says nothing of a week.
const HISTORY_LEAST: Span = Span::hours(24);

/// What the literals and the `for` of a rule should be.
///
/// Pure: the same case gets the same advice. Time grows with the values of the leaves; values that are no numbers are passed
/// over. Several literals are taken one after the other.
pub fn advise(case: &Case<'_>) -> Advice {
    let replayer = Replayer::new(case.rule, case.leaves);
    let now = replayer.replay(case.literals, case.rule.for_ms);
    let history = lasted(case.leaves);
    let advice = |finding| Advice { history, pages_per_week: per_week(now.pages.len(), history), finding };
    if let Some((_, failure)) = now.failure.filter(|_| now.failed == now.evaluations) {
        return advice(Finding::Leave(Reason::CannotEvaluate(failure.to_string())));
    }
    let may_change = |at: &usize| case.literals[*at].is_finite() && case.limits.get(*at).is_some_and(|l| l.tune);
    let tuned: Vec<usize> = (0..case.literals.len()).filter(may_change).collect();
    if tuned.is_empty() {
        return advice(Finding::Leave(Reason::Untunable));
    }
    let end = case.leaves.first().map_or(Timestamp::EPOCH, |range| range.at(range.steps));
    let said = score::episodes(&case.rule.alert, &now.pages, case.said, end);
    let inside = |pages: usize| pages as f64 <= case.budget * history.secs() / WEEK_SECS;
    let mut change: Option<Change> = None;
    let mut reason = None;
    for at in tuned {
        let so_far = change.as_ref();
        let literals = so_far.map_or(case.literals, |change| &change.literals);
        let for_ms = so_far.map_or(case.rule.for_ms, |change| change.for_ms);
        let found = one(case, &replayer, history, &said, literals, for_ms, at);
        // Whatever each alert does by itself: a limit may leave no more pages than the budget allows.
        if inside(now.pages.len()) && matches!(found, Ok(_) | Err(Reason::NothingBetter | Reason::Levels { .. })) {
            let pages_per_week = per_week(now.pages.len(), history);
            return advice(Finding::Leave(Reason::InsideBudget { pages_per_week }));
        }
        match found {
            // With fewer alerts a limit may drop none any more.
            Ok(found) if case.rule.limit.is_some() && found.pages_per_week > per_week(now.pages.len(), history) => {
                reason = Some(Reason::NothingBetter);
            }
            Ok(found) => change = Some(found),
            Err(why) => reason = Some(why),
        }
    }
    advice(match (change, reason) {
        (Some(change), _) => Finding::Change(change),
        (None, reason) => Finding::Leave(reason.unwrap_or(Reason::NothingBetter)),
    })
}

/// One literal, the others standing as they are.
fn one(
    case: &Case<'_>,
    replayer: &Replayer<'_>,
    history: Span,
    said: &[score::Episode],
    literals: &[f64],
    for_ms: i64,
    at: usize,
) -> Result<Change, Reason> {
    let cannot = |text: &str| Reason::CannotEvaluate(text.to_owned());
    let Some(reduced) = trace::reduced(&case.rule.formula, at) else {
        return Err(cannot("what its literal is compared with does not come out of the expression"));
    };
    let watched = trace::watched(case, literals, at, &reduced, trace::VALUES_MOST)
        .map_err(|failure| cannot(&failure.to_string()))?;
    if watched.traces.is_empty() {
        return Err(Reason::NoData);
    }
    if history < HISTORY_LEAST {
        return Err(Reason::TooLittle { history, wanted: HISTORY_LEAST });
    }
    let weeks = history.secs() / WEEK_SECS;
    let heard = |literal: f64| {
        let mut episodes = episode::episodes(&watched, &case.leaves[0], case.zone, literal * watched.sign);
        heard::hear(&mut episodes, &watched, &case.leaves[0], said);
        episodes
    };
    let episodes = heard(literals[at]);
    let search = Search {
        watched: &watched,
        episodes: &episodes,
        limits: &case.limits[at],
        chosen: literals[at],
        literal: literals[at],
        for_ms,
        for_most_ms: case.for_most_ms.unwrap_or(i64::MAX),
        keep_firing_for_ms: case.rule.keep_firing_for_ms,
        pages: case.budget * weeks,
        judged: said.len(),
    };
    let (mut best, present) = search.best();
    if present.tally.ordinary <= search.pages {
        return Err(Reason::InsideBudget { pages_per_week: present.tally.pages / weeks });
    }
    // What would be changed once more, were the rule looked at again as it is proposed, is changed now.
    for _ in 1..LOOKS_MOST {
        let episodes = heard(best.literal);
        let again = Search { episodes: &episodes, literal: best.literal, for_ms: best.for_ms, ..search };
        let (next, here) = again.best();
        if here.tally.ordinary <= search.pages || (next.literal, next.for_ms) == (best.literal, best.for_ms) {
            break;
        }
        best = next;
    }
    let best = search.choice(best.literal, best.for_ms);
    let per_series = match best.tally.ordinary > search.pages {
        true => levels::per_series(&search, &best),
        false => Vec::new(),
    };
    if (best.literal, best.for_ms) == (present.literal, present.for_ms) {
        return Err(if per_series.is_empty() { Reason::NothingBetter } else { Reason::Levels { per_series } });
    }
    let mut literals = literals.to_vec();
    literals[at] = best.literal;
    let pages = replayer.replay(&literals, best.for_ms).pages.len();
    let told = search.told(best.literal, best.for_ms);
    let serious = || episodes.iter().zip(&told).filter(|(episode, _)| episode.serious >= 0.5);
    // One page more than were counted: none in three weeks is no proof that there will be none.
    let expected = (best.tally.ordinary + 1.0) / weeks;
    let mut change = Change {
        literals,
        for_ms: best.for_ms,
        pages_per_week: per_week(pages, history),
        serious: serious().count(),
        serious_told: serious().filter(|(_, told)| **told).count(),
        confidence: poisson::cdf(case.budget.floor(), expected),
        why: Vec::new(),
        per_series,
    };
    change.why = words::why(&search, &present, &best, &change, weeks);
    Ok(change)
}

const WEEK_SECS: f64 = 604_800.0;

fn lasted(leaves: &[Range]) -> Span {
    leaves.first().map_or(Span::default(), |range| range.at(range.steps).since(range.start))
}
