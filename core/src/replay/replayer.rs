//! One rule over one history, for as many literals and durations as one likes.
//!
//! What does not depend on them is done once: labels, matching, and for the shape nearly all rules have (a leaf compared
//! with a number, perhaps beside guards) tracks that are ready to be scanned. There an alert depends on its own track alone.
//! Of what is put together from such comparisons by `and`, `or` and `unless` only those evaluations are worked out at which
//! one of them holds; of everything else, all.

use super::alert::{Alert, Durations};
use super::evaluate::{Failure, Plan, Slots};
use super::labels::{Labels, METRIC_NAME};
use super::page::Page;
use super::scan::{Comparison, Dense, comparisons};
use super::{Range, Rule};
use crate::time::Timestamp;

/// What a replay gave.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Replayed {
    /// By when they began, then by their labels.
    pub pages: Vec<Page>,
    /// How often the rule was evaluated.
    pub evaluations: usize,
    /// How often the expression held, counted per alert and evaluation. Zero may mean that it never can: labels that do
    /// not match, or no data.
    pub held: usize,
    /// Evaluations that Prometheus would have refused: its alerts stay as they were, or are dropped where they are more than the
    /// group's limit.
    pub failed: usize,
    /// Those of them at which alerts were dropped.
    pub too_many: usize,
    /// The first of all of them.
    pub failure: Option<(Timestamp, Failure)>,
}

/// A rule, ready to be replayed.
pub struct Replayer<'a> {
    rule: &'a Rule,
    leaves: &'a [Range],
    /// Every how many steps of the ranges the rule is evaluated, and how often that is.
    stride: usize,
    evaluations: usize,
    way: Way,
}

enum Way {
    /// It cannot be evaluated at all.
    Never(Failure),
    /// Evaluation by evaluation.
    Steps(Steps),
    /// Track by track, each an alert of its own, with these labels.
    Scan { comparison: Comparison, alerts: Vec<Labels> },
}

struct Steps {
    plan: Plan,
    /// The distinct alerts, and for every slot of the plan which one it is.
    alerts: Vec<Labels>,
    alert_of: Vec<usize>,
    /// Comparisons of which one has to hold for there to be anything at all, where that can be said.
    needed: Option<Vec<Comparison>>,
}

impl<'a> Replayer<'a> {
    pub fn new(rule: &'a Rule, leaves: &'a [Range]) -> Replayer<'a> {
        let (step, steps) = leaves.first().map_or((1, 0), |range| (range.step.max(1), range.steps));
        let stride = usize::try_from(rule.interval_ms / step).unwrap_or(1).max(1);
        let same = |range: &Range| (range.start, range.step, range.steps) == (leaves[0].start, leaves[0].step, steps);
        let way = match leaves.iter().all(same) {
            false => Way::Never(Failure::Malformed("its parts were not fetched for the same evaluations")),
            true => Way::of(rule, leaves, stride).unwrap_or_else(Way::Never),
        };
        Replayer { rule, leaves, stride, evaluations: steps.div_ceil(stride), way }
    }

    /// The rule with these literals and this `for`, in milliseconds. Too few literals make a rule that cannot be evaluated.
    pub fn replay(&self, literals: &[f64], for_ms: i64) -> Replayed {
        let durations = Durations { hold: for_ms, keep_firing: self.rule.keep_firing_for_ms };
        let mut replayed = Replayed { evaluations: self.evaluations, ..Replayed::default() };
        match &self.way {
            _ if literals.len() < self.rule.formula.literals() => {
                self.never(Failure::Malformed("a literal has no value"), &mut replayed);
            }
            Way::Never(failure) => self.never(*failure, &mut replayed),
            Way::Steps(steps) => self.steps(steps, literals, durations, &mut replayed),
            Way::Scan { comparison, alerts } => {
                for (track, labels) in comparison.tracks.iter().zip(alerts) {
                    self.scan(comparison, track, labels, literals, durations, &mut replayed);
                }
            }
        }
        replayed.pages.sort_by(|a, b| (a.began, &a.labels).cmp(&(b.began, &b.labels)));
        replayed
    }

    /// Whether it is scanned track by track, which is many times as fast as evaluation by evaluation.
    pub fn is_scan(&self) -> bool {
        matches!(self.way, Way::Scan { .. })
    }

    fn at(&self, evaluation: usize) -> Timestamp {
        self.leaves.first().map_or(Timestamp::EPOCH, |range| range.at(evaluation * self.stride))
    }

    fn never(&self, failure: Failure, replayed: &mut Replayed) {
        replayed.failed = self.evaluations;
        replayed.failure = (self.evaluations > 0).then(|| (self.at(0), failure));
    }

    fn steps(&self, steps: &Steps, literals: &[f64], durations: Durations, replayed: &mut Replayed) {
        let mut plan = steps.plan.clone();
        let mut alerts = vec![Alert::Inactive; steps.alerts.len()];
        let mut holds = vec![false; steps.alerts.len()];
        let wanted = steps.needed.as_ref().map(|needed| self.any_holds(needed, literals));
        let mut all_inactive = true;
        for evaluation in 0..self.evaluations {
            if all_inactive && wanted.as_ref().is_some_and(|wanted| !wanted[evaluation]) {
                continue;
            }
            let at = self.at(evaluation);
            holds.fill(false);
            let filled = plan.fill(evaluation * self.stride, literals, self.leaves).and_then(|()| {
                for (value, alert) in plan.values.iter().zip(&steps.alert_of) {
                    if value.is_some() && std::mem::replace(&mut holds[*alert], true) {
                        return Err(Failure::SameAlert);
                    }
                }
                Ok(())
            });
            if let Err(failure) = filled {
                replayed.failed += 1;
                replayed.failure.get_or_insert((at, failure));
                continue;
            }
            replayed.held += holds.iter().filter(|holds| **holds).count();
            if self.too_many(&alerts, &holds, at, durations) {
                (replayed.failed, replayed.too_many) = (replayed.failed + 1, replayed.too_many + 1);
                replayed.failure.get_or_insert((at, Failure::TooMany));
                for (alert, labels) in alerts.iter_mut().zip(&steps.alerts) {
                    if let Alert::Firing { pending_since, began, .. } = std::mem::replace(alert, Alert::Inactive) {
                        replayed.pages.push(Page { labels: labels.clone(), pending_since, began, ended: Some(at) });
                    }
                }
                all_inactive = true;
                continue;
            }
            all_inactive = true;
            for ((alert, holds), labels) in alerts.iter_mut().zip(&holds).zip(&steps.alerts) {
                if let Some((pending_since, began)) = alert.step(at, *holds, durations) {
                    replayed.pages.push(Page { labels: labels.clone(), pending_since, began, ended: Some(at) });
                }
                all_inactive &= *alert == Alert::Inactive;
            }
        }
        for (alert, labels) in alerts.iter().zip(&steps.alerts) {
            still_firing(*alert, labels, replayed);
        }
    }

    /// Whether this evaluation would leave more alerts than the group's limit. None of those that it makes fire is told then.
    fn too_many(&self, alerts: &[Alert], holds: &[bool], at: Timestamp, durations: Durations) -> bool {
        self.rule.limit.filter(|limit| alerts.len() > *limit).is_some_and(|limit| {
            let active = alerts.iter().zip(holds).filter(|(alert, holds)| {
                let mut alert = **alert;
                alert.step(at, **holds, durations);
                alert != Alert::Inactive
            });
            active.count() > limit
        })
    }

    /// For every evaluation, whether one of the comparisons holds for any of its tracks.
    fn any_holds(&self, comparisons: &[Comparison], literals: &[f64]) -> Vec<bool> {
        let mut any = vec![false; self.evaluations];
        for comparison in comparisons {
            let holds = comparison.with(literals);
            for track in &comparison.tracks {
                let mut from = 0;
                while let Some(at) = track.next(from, &holds) {
                    any[at] = true;
                    from = at + 1;
                }
            }
        }
        any
    }

    fn scan(
        &self,
        comparison: &Comparison,
        track: &Dense,
        labels: &Labels,
        literals: &[f64],
        durations: Durations,
        replayed: &mut Replayed,
    ) {
        let holds = comparison.with(literals);
        let mut alert = Alert::Inactive;
        let mut evaluation = 0;
        loop {
            if alert == Alert::Inactive {
                match track.next(evaluation, &holds) {
                    Some(next) => evaluation = next,
                    None => break,
                }
            }
            let Some(value) = track.values.get(evaluation) else { break };
            let (at, held) = (self.at(evaluation), holds(*value));
            replayed.held += usize::from(held);
            if let Some((pending_since, began)) = alert.step(at, held, durations) {
                replayed.pages.push(Page { labels: labels.clone(), pending_since, began, ended: Some(at) });
            }
            evaluation += 1;
        }
        still_firing(alert, labels, replayed);
    }
}

impl Way {
    fn of(rule: &Rule, leaves: &[Range], stride: usize) -> Result<Way, Failure> {
        let plan = Plan::compile(&rule.formula, rule.formula.literals(), leaves)?;
        let mut alerts = Slots::default();
        let alert_of: Vec<usize> = plan.labels.iter().map(|labels| alerts.of(rule.alert_labels(labels))).collect();
        let alerts = alerts.labels;
        // Where two slots are one alert, or there may be too many of them, they can get into each other's way.
        if alerts.len() == alert_of.len()
            && rule.limit.is_none_or(|limit| alerts.len() <= limit)
            && let Some((comparison, range)) = Comparison::guarded(&rule.formula, leaves, stride)
        {
            let alerts = leaves[range].tracks.iter().map(|track| rule.alert_labels(&track.labels)).collect();
            return Ok(Way::Scan { comparison, alerts });
        }
        let needed = comparisons(&rule.formula, leaves, stride);
        Ok(Way::Steps(Steps { plan, alerts, alert_of, needed }))
    }
}

fn still_firing(alert: Alert, labels: &Labels, replayed: &mut Replayed) {
    if let Alert::Firing { pending_since, began, .. } = alert {
        replayed.pages.push(Page { labels: labels.clone(), pending_since, began, ended: None });
    }
}

impl Rule {
    /// The labels that an element of the expression's result has as an alert.
    pub fn alert_labels(&self, element: &Labels) -> Labels {
        let own = self.labels.iter().fold(element.filter(|name| name != METRIC_NAME), |labels, (name, text)| {
            labels.with(name, &super::template::fill(text, element))
        });
        own.with("alertname", &self.alert)
    }

    /// Labels of the rule whose text is a template that is not filled in, such as one of `$value`: pages carry it as it is
    /// written.
    pub fn opaque_labels(&self) -> Vec<&str> {
        let opaque = |text: &str| super::template::fill(text, &Labels::default()).contains("{{");
        self.labels.iter().filter(|(_, text)| opaque(text)).map(|(name, _)| name.as_str()).collect()
    }
}
