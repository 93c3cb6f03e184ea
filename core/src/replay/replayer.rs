//! One rule over one history, for as many literals and durations as one likes.
//!
//! What does not depend on them is done once: labels, matching, and for the shape nearly all rules have (a leaf compared
//! with a number, perhaps beside guards) tracks that are ready to be scanned. There an alert depends on its own track alone,
//! and stretches of it in which nothing can hold are passed over by their extreme.

use super::alert::{Alert, Durations};
use super::evaluate::{Failure, Keys, Plan, Slots};
use super::formula::{Formula, Op};
use super::labels::{Labels, METRIC_NAME};
use super::page::Page;
use super::{Range, Rule};
use crate::time::Timestamp;

/// How many values share one extreme: one cache line's worth of extremes then stands for eight pages of values.
const BLOCK: usize = 64;

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
    /// Evaluations that Prometheus would have refused: its alerts stay as they were.
    pub failed: usize,
    /// The first of them.
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
    /// Step by step: for every slot of the plan, the alert that it is.
    Steps {
        plan: Box<Plan>,
        alerts: Vec<Labels>,
        alert_of: Vec<usize>,
    },
    Scan(Scan),
}

/// `track op scalar`, each track an alert of its own.
struct Scan {
    op: Op,
    /// What the tracks are compared with: depends on literals alone.
    scalar: Plan,
    tracks: Vec<ScanTrack>,
}

struct ScanTrack {
    labels: Labels,
    /// One per evaluation; NaN where there is none, which compares like no value at all.
    values: Vec<f64>,
    /// Per block of them the one that holds if any does.
    extremes: Vec<f64>,
}

impl<'a> Replayer<'a> {
    pub fn new(rule: &'a Rule, leaves: &'a [Range]) -> Replayer<'a> {
        let (step, steps) = leaves.first().map_or((1, 0), |range| (range.step.max(1), range.steps));
        let stride = usize::try_from(rule.interval_ms / step).unwrap_or(1).max(1);
        let same = |range: &Range| (range.start, range.step, range.steps) == (leaves[0].start, leaves[0].step, steps);
        let way = if !leaves.iter().all(same) {
            Way::Never(Failure::Malformed("its parts were not fetched for the same evaluations"))
        } else {
            match Plan::compile(&rule.formula, rule.formula.literals(), leaves) {
                Err(failure) => Way::Never(failure),
                Ok(plan) => {
                    let mut alerts = Slots::default();
                    let alert_of: Vec<usize> =
                        plan.labels.iter().map(|labels| alerts.of(rule.alert_labels(labels))).collect();
                    let alerts = alerts.labels;
                    // One alert per slot, or two may get into each other's way.
                    let apart = alerts.len() == alert_of.len();
                    match Scan::of(rule, leaves, stride).filter(|_| apart) {
                        Some(scan) => Way::Scan(scan),
                        None => Way::Steps { plan: Box::new(plan), alerts, alert_of },
                    }
                }
            }
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
            Way::Steps { plan, alerts, alert_of } => {
                self.steps(plan.as_ref().clone(), alerts, alert_of, literals, durations, &mut replayed);
            }
            Way::Scan(scan) => match scan.level(literals) {
                Ok(level) => {
                    for track in &scan.tracks {
                        self.scan(scan.op, track, level, durations, &mut replayed);
                    }
                }
                Err(failure) => self.never(failure, &mut replayed),
            },
        }
        replayed.pages.sort_by(|a, b| (a.began, &a.labels).cmp(&(b.began, &b.labels)));
        replayed
    }

    /// Whether it is scanned track by track, which is many times as fast as evaluation by evaluation.
    pub fn is_scan(&self) -> bool {
        matches!(self.way, Way::Scan(_))
    }

    fn at(&self, evaluation: usize) -> Timestamp {
        self.leaves.first().map_or(Timestamp::EPOCH, |range| range.at(evaluation * self.stride))
    }

    fn never(&self, failure: Failure, replayed: &mut Replayed) {
        replayed.failed = self.evaluations;
        replayed.failure = (self.evaluations > 0).then(|| (self.at(0), failure));
    }

    fn steps(
        &self,
        mut plan: Plan,
        labels: &[Labels],
        alert_of: &[usize],
        literals: &[f64],
        durations: Durations,
        replayed: &mut Replayed,
    ) {
        let mut alerts = vec![Alert::Inactive; labels.len()];
        let mut holds = vec![false; labels.len()];
        for evaluation in 0..self.evaluations {
            let at = self.at(evaluation);
            holds.fill(false);
            let filled = plan.fill(evaluation * self.stride, literals, self.leaves).and_then(|()| {
                for (value, alert) in plan.values.iter().zip(alert_of) {
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
            for ((alert, holds), labels) in alerts.iter_mut().zip(&holds).zip(labels) {
                replayed.held += usize::from(*holds);
                if let Some((pending_since, began)) = alert.step(at, *holds, durations) {
                    replayed.pages.push(Page { labels: labels.clone(), pending_since, began, ended: Some(at) });
                }
            }
        }
        for (alert, labels) in alerts.iter().zip(labels) {
            still_firing(*alert, labels, replayed);
        }
    }

    fn scan(&self, op: Op, track: &ScanTrack, level: f64, durations: Durations, replayed: &mut Replayed) {
        let holds = |value: f64| op.compares(value, level) == Some(true);
        let mut alert = Alert::Inactive;
        let mut evaluation = 0;
        loop {
            if alert == Alert::Inactive {
                match track.next(evaluation, holds) {
                    Some(next) => evaluation = next,
                    None => break,
                }
            }
            let Some(value) = track.values.get(evaluation) else { break };
            let (at, held) = (self.at(evaluation), holds(*value));
            replayed.held += usize::from(held);
            if let Some((pending_since, began)) = alert.step(at, held, durations) {
                replayed.pages.push(Page { labels: track.labels.clone(), pending_since, began, ended: Some(at) });
            }
            evaluation += 1;
        }
        still_firing(alert, &track.labels, replayed);
    }
}

fn still_firing(alert: Alert, labels: &Labels, replayed: &mut Replayed) {
    if let Alert::Firing { pending_since, began, .. } = alert {
        replayed.pages.push(Page { labels: labels.clone(), pending_since, began, ended: None });
    }
}

impl ScanTrack {
    /// The first evaluation from `from` on whose value holds.
    fn next(&self, from: usize, holds: impl Fn(f64) -> bool) -> Option<usize> {
        let mut block = from / BLOCK;
        let mut from = from;
        while let Some(extreme) = self.extremes.get(block) {
            let end = ((block + 1) * BLOCK).min(self.values.len());
            if holds(*extreme)
                && let Some(at) = self.values[from..end].iter().position(|value| holds(*value))
            {
                return Some(from + at);
            }
            block += 1;
            from = end;
        }
        None
    }
}

impl Scan {
    /// A rule that is `LEAF op SCALAR`, or that with `and LEAF` or `unless LEAF` behind it, once or more; the scalar depends
    /// on nothing but literals.
    fn of(rule: &Rule, leaves: &[Range], stride: usize) -> Option<Scan> {
        let mut guards = Vec::new();
        let mut formula = &rule.formula;
        let (op, range, scalar) = loop {
            let Formula::Binary { op, bool: false, matching, left, right } = formula else { return None };
            match (op, left.as_ref(), right.as_ref()) {
                (Op::And | Op::Unless, left, Formula::Leaf(guard)) => {
                    guards.push((*op, matching, *guard));
                    formula = left;
                }
                (op, Formula::Leaf(range), scalar) => break (*op, *range, scalar),
                (op, scalar, Formula::Leaf(range)) => break (op.mirrored(), *range, scalar),
                _ => return None,
            }
        };
        let upper = match op {
            Op::Greater | Op::GreaterEqual => true,
            Op::Less | Op::LessEqual => false,
            _ => return None,
        };
        let scalar = scalar.is_constant().then(|| Plan::compile(scalar, rule.formula.literals(), leaves))?.ok()?;
        let range = &leaves[range];
        let labels: Vec<Labels> = range.tracks.iter().map(|track| track.labels.clone()).collect();
        let steps = (0..range.steps).step_by(stride);
        let mut tracks: Vec<ScanTrack> = range
            .tracks
            .iter()
            .map(|track| ScanTrack {
                labels: rule.alert_labels(&track.labels),
                values: steps.clone().map(|k| track.values.get(k).copied().flatten().unwrap_or(f64::NAN)).collect(),
                extremes: Vec::new(),
            })
            .collect();
        for (op, matching, guard) in guards {
            let guard = &leaves[guard].tracks;
            let guard_labels: Vec<Labels> = guard.iter().map(|track| track.labels.clone()).collect();
            let keys = Keys::new(&matching.by, &labels, &guard_labels);
            let mut there = vec![vec![false; range.steps.div_ceil(stride)]; keys.count];
            for (track, key) in guard.iter().zip(&keys.right) {
                for (there, k) in there[*key].iter_mut().zip(steps.clone()) {
                    *there |= track.values.get(k).is_some_and(Option::is_some);
                }
            }
            for (track, key) in tracks.iter_mut().zip(&keys.left) {
                for (value, there) in track.values.iter_mut().zip(&there[*key]) {
                    if *there != (op == Op::And) {
                        *value = f64::NAN;
                    }
                }
            }
        }
        for track in &mut tracks {
            // `max` and `min` pass over NaN.
            let extreme = |block: &[f64]| block.iter().copied().fold(f64::NAN, if upper { f64::max } else { f64::min });
            track.extremes = track.values.chunks(BLOCK).map(extreme).collect();
        }
        Some(Scan { op, scalar, tracks })
    }

    /// What the tracks are compared with.
    fn level(&self, literals: &[f64]) -> Result<f64, Failure> {
        let mut scalar = self.scalar.clone();
        scalar.fill(0, literals, &[])?;
        Ok(scalar.values.first().copied().flatten().unwrap_or(f64::NAN))
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
