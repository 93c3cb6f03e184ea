//! When a rule's new thresholds go a step on, and when they are taken back.

use super::{Made, Release, Rollout, Rule, Step};
use crate::event::Event;
use crate::knowledge::Knowledge;
use crate::knowledge::series::Series;
use crate::plan::import::IMPORTED;
use crate::series::SeriesName;
use crate::stats::anytime;
use crate::threshold::Threshold;
use crate::time::{Span, Timestamp};
use crate::versus::{Book, alone, report};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const WEEK_SECS: f64 = 7.0 * 86_400.0;

/// What both thresholds would have paged for up to now, of all series that are in the trial together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// Series in the trial.
    pub series: u64,
    /// For how long they were watched, on average; what was held at the beginning included.
    pub watched_s: f64,
    /// Pages by the threshold before (or the literal), and by the proposed one.
    pub pages_before: u64,
    pub pages_proposed: u64,
    /// Episodes that mattered, by verdicts, and of which each said nothing.
    pub missed_before: u64,
    pub missed_proposed: u64,
    /// Occasions on which the one alone paged for a series, and the other alone: what begins within an hour, of whatever series, is
    /// one.
    pub alone_before: u64,
    pub alone_proposed: u64,
    /// On how many more of them a week the proposed one may page: `rollout.more`; none: any number.
    pub allowed_per_week: Option<f64>,
}

impl Evidence {
    /// What is worse about the proposed one, in words for a person.
    fn regression(&self) -> Option<String> {
        if self.missed_proposed > self.missed_before {
            let (missed, before) = (self.missed_proposed, self.missed_before);
            return Some(format!("it missed {missed} that mattered, by verdicts; before it would have been {before}"));
        }
        let allowed = self.allowed_per_week?;
        let expected = self.alone_before as f64 + allowed * self.watched_s / WEEK_SECS;
        anytime::exceeds(self.alone_proposed, expected).then(|| {
            let (alone, before) = (self.alone_proposed, self.alone_before);
            let watched = Span::from_secs(self.watched_s as u64);
            format!(
                "it alone paged on {alone} occasions in {watched}, the one before alone on {before}, and {allowed} more a week \
                 are allowed"
            )
        })
    }
}

/// What a person wants done with what is tried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Serve it for all now.
    Promote,
    /// Serve what was before, and try nothing for a while. Where nothing is tried out: what was before that which was kept last.
    RollBack,
}

/// Why an order was not carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotMoved {
    #[error("there is no rule `{0}`; /api/v1/rollouts lists them")]
    Unknown(String),
    #[error("nothing of rule `{0}` is tried out now")]
    Nothing(String),
    #[error("nothing of rule `{0}` is tried out now, and nothing was kept that can be taken back")]
    NothingKept(String),
    #[error("it is served for all series of rule `{0}` already")]
    Served(String),
    #[error("all changes are stopped; let them go on first")]
    Frozen,
}

/// What a person's order does.
pub fn ordered(knowledge: &Knowledge, rule: &str, order: Order, comment: Option<String>) -> Result<Event, NotMoved> {
    let known = knowledge.config().rules.iter().find(|one| one.name == rule);
    let rule = known.ok_or_else(|| NotMoved::Unknown(rule.to_owned()))?;
    let name = || rule.name.clone();
    let nothing = Rollout::default();
    let rollout = knowledge.rollouts().get(&rule.name).unwrap_or(&nothing);
    let step = rollout.now().map(|now| now.step);
    match (order, step) {
        (Order::Promote, None) => return Err(NotMoved::Nothing(name())),
        (Order::RollBack, None) if !kept(knowledge).contains_key(rule.name.as_str()) => {
            return Err(NotMoved::NothingKept(name()));
        }
        _ if knowledge.frozen() => return Err(NotMoved::Frozen),
        (Order::Promote, Some(Step::Active)) => return Err(NotMoved::Served(name())),
        _ => {}
    }
    let to = match (order, step) {
        (Order::Promote, _) => Step::Active,
        (Order::RollBack, Some(Step::Shadow)) => Step::Refused,
        (Order::RollBack, _) => Step::RolledBack,
    };
    let (said, evidence) = match step {
        Some(_) => ("a person said so", evidence(knowledge, rule)),
        None => ("a person took back what was kept", kept_for(rollout)),
    };
    let because = comment.map_or(said.to_owned(), |comment| format!("{said}: {comment}"));
    Ok(moved(knowledge, rule, rollout.id, to, because, Some(evidence)))
}

/// By rule, of how many series it is known what was served before what was kept last: that can be taken back.
pub fn kept(knowledge: &Knowledge) -> BTreeMap<&str, usize> {
    let mut kept = BTreeMap::new();
    for (rule, release) in knowledge.series().flat_map(Series::releases) {
        if release.before_kept.is_some() {
            *kept.entry(rule.name.as_str()).or_default() += 1;
        }
    }
    kept
}

/// What both had done when it was kept, of a trial that may be long ago.
fn kept_for(rollout: &Rollout) -> Evidence {
    let kept = rollout.steps.iter().rfind(|made| made.step == Step::Kept);
    kept.and_then(|made| made.evidence.clone()).unwrap_or_default()
}

/// What becomes of all rules now.
pub fn decided(knowledge: &Knowledge, now: Timestamp) -> Vec<Event> {
    if knowledge.frozen() {
        return Vec::new();
    }
    let rules = &knowledge.config().rules;
    if rules.is_empty() {
        return Vec::new();
    }
    let mut members: BTreeMap<&str, Vec<Member<'_>>> = BTreeMap::new();
    for series in knowledge.series() {
        for (rule, release) in series.releases() {
            members.entry(&rule.name).or_default().push((series, release));
        }
    }
    let of = |name: &str| members.get(name).map_or(&[][..], Vec::as_slice);
    rules.iter().flat_map(|rule| of_rule(knowledge, rule, of(&rule.name), now)).collect()
}

/// A series of a rule, and what the rule is served of it.
type Member<'a> = (&'a Series, &'a Release);

fn of_rule(knowledge: &Knowledge, rule: &Rule, members: &[Member<'_>], now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let nothing = Rollout::default();
    let rollout = knowledge.rollouts().get(&rule.name).unwrap_or(&nothing);
    let settings = &knowledge.config().rollout;
    let of_other = rollout.of_other(rule);
    if let Some((step, before)) = of_other
        && !matches!(step, Step::Refused | Step::RolledBack)
    {
        let to = if step == Step::Shadow { Step::Refused } else { Step::RolledBack };
        let because = format!("the rule compares otherwise now, {} in place of {before}", rule.compares());
        events.push(moved(knowledge, rule, rollout.id, to, because, None));
        return events;
    }
    // What did worse in another comparison may do well in this one.
    let rests = of_other.is_none() && rollout.rests_until(settings.watch).is_some_and(|until| now < until);
    if rests {
        return events;
    }
    let said = |(series, release): &&Member<'_>| {
        let imported = series.in_force().is_some_and(|threshold| threshold.strategy == IMPORTED);
        // What was said and is not learned yet has moved nothing yet.
        let asked = imported || series.verdicts() != release.verdicts && !series.relearn;
        asked && release.served.is_some() && new(series, rule, release, true).is_some()
    };
    let series: Vec<SeriesName> = members.iter().filter(said).map(|(series, _)| series.name().clone()).collect();
    if !series.is_empty() {
        let because = "a person's word moved it".to_owned();
        let situation = knowledge.situation();
        events.push(Event::ThresholdReleased { rule: rule.name.clone(), series, because, situation });
    }
    let differ = || {
        let waits =
            |(series, release): &&Member<'_>| release.trial.is_none() && new(series, rule, release, false).is_some();
        members.iter().filter(waits).count()
    };
    let Some(Made { step, at, .. }) = rollout.now() else {
        let count = differ();
        if count > 0 {
            let because = format!("what was learned of {count} series differs from what the rule is served");
            events.push(moved(knowledge, rule, rollout.id + 1, Step::Shadow, because, None));
        }
        return events;
    };
    if members.iter().all(|(_, release)| release.trial.is_none()) {
        let to = if *step == Step::Shadow { Step::Refused } else { Step::RolledBack };
        events.push(moved(knowledge, rule, rollout.id, to, "nothing is left of it to try out".to_owned(), None));
        return events;
    }
    let evidence = evidence_of(knowledge, members);
    let due = |span: Span| now.since(*at) >= span;
    let next = match (step, evidence.regression()) {
        (Step::Shadow, Some(worse)) => Some((Step::Refused, worse)),
        (_, Some(worse)) => Some((Step::RolledBack, worse)),
        (Step::Shadow, None) if due(settings.shadow) => {
            let no_worse = format!("it did no worse in {}", settings.shadow);
            match splits(knowledge, rule, members) {
                true => Some((Step::Canary, no_worse)),
                false => Some((Step::Active, format!("{no_worse}, and its series cannot be parted"))),
            }
        }
        (Step::Canary, None) if due(settings.canary) => {
            Some((Step::Active, format!("it did no worse in {}", settings.canary)))
        }
        (Step::Active, None) if due(settings.watch) => {
            Some((Step::Kept, format!("it did no worse in {}", settings.watch)))
        }
        _ => None,
    };
    if let Some((to, because)) = next {
        events.push(moved(knowledge, rule, rollout.id, to, because, Some(evidence)));
    } else if *step == Step::Shadow
        && let count @ 1.. = differ()
    {
        let because = format!("what was learned of {count} more series differs from what the rule is served");
        events.push(moved(knowledge, rule, rollout.id, Step::Shadow, because, None));
    }
    events
}

fn moved(knowledge: &Knowledge, rule: &Rule, id: u64, to: Step, because: String, evidence: Option<Evidence>) -> Event {
    let evidence = evidence.map(Box::new);
    let (name, compares) = (rule.name.clone(), Some(rule.compares()));
    Event::RolloutMoved { rule: name, id, to, because, evidence, compares, situation: knowledge.situation() }
}

/// The threshold of a series that the rule should be served in place of what it is. One that is too young to alert is none, nor
/// is one that has no bound on the rule's side.
pub(crate) fn new<'a>(series: &'a Series, rule: &Rule, release: &Release, at_all: bool) -> Option<&'a Arc<Threshold>> {
    let threshold = series.judging().filter(|_| series.active())?;
    let has_bound = threshold.alert.pairs().any(|pair| rule.side(threshold, pair).is_some());
    (!threshold.young && has_bound && release.differs(rule, threshold, at_all)).then_some(threshold)
}

/// Whether the share that comes first holds some of the keys in the trial and not all of them.
fn splits(knowledge: &Knowledge, rule: &Rule, members: &[Member<'_>]) -> bool {
    let in_trial = members.iter().filter(|(_, release)| release.trial.is_some());
    let keys: BTreeSet<Vec<String>> = in_trial.map(|(series, _)| rule.key(series.name())).collect();
    !rule.first(&keys, knowledge.config().rollout.share.get()).is_empty()
}

/// What both thresholds of all series in the rule's trial would have paged for.
pub fn evidence(knowledge: &Knowledge, rule: &Rule) -> Evidence {
    let own = |series| {
        let release = Series::releases(series).find(|(one, _)| one.name == rule.name);
        release.map(|(_, release)| (series, release))
    };
    evidence_of(knowledge, &knowledge.series().filter_map(own).collect::<Vec<_>>())
}

fn evidence_of(knowledge: &Knowledge, members: &[Member<'_>]) -> Evidence {
    let books: Vec<&Book> = members.iter().filter_map(|(_, release)| Some(release.trial.as_ref()?.book())).collect();
    let told = report(&books);
    let [alone_proposed, alone_before] = alone(&books);
    Evidence {
        series: told.series,
        watched_s: told.weeks * WEEK_SECS,
        pages_before: told.fixed.pages,
        pages_proposed: told.learned.pages,
        missed_before: told.fixed.missed,
        missed_proposed: told.learned.missed,
        alone_before,
        alone_proposed,
        allowed_per_week: knowledge.config().rollout.more.per_week(),
    }
}
