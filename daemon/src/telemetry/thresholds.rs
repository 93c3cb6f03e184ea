//! Learned thresholds as metrics: of each series, and those that alert rules look up, one per rule and set of the labels that
//! it looks up by.

use super::{Counts, Families, Family, Measured, Sample, Type, View, labels_of};
use homeostat::knowledge::Knowledge;
use homeostat::replay::data::Direction;
use homeostat::rollout::{self, Rollout, Step};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A threshold that judges.
#[derive(Debug)]
pub struct Learned {
    pub(super) series: SeriesName,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) confidence: f64,
}

impl Learned {
    pub fn all(view: &View<'_>) -> Vec<Learned> {
        let active = view.engine.knowledge().series().filter(|series| series.active());
        let learned = active.filter_map(|series| {
            let threshold = series.in_force()?;
            let holiday = series.occasions(view.now).holiday;
            let (lower, upper) = threshold.bounds.on(view.now, holiday);
            Some(Learned { series: series.name().clone(), lower, upper, confidence: threshold.confidence.get() })
        });
        learned.collect()
    }
}

/// The learned bounds themselves, to be used in alert rules: the series' own labels, its name as `metric`, the side as
/// `direction`. Beside them those that `rules` look up, which say where alerts begin.
pub fn threshold_families(learned: &[Learned], served: &[Served]) -> Vec<Family> {
    let mut bounds = Family::new("homeostat_threshold", "Learned bound that judges, in the series' unit.", Type::Gauge);
    let mut confidence = Family::new(
        "homeostat_threshold_confidence",
        "Chance that the series keeps to its budget of alerts for a week; without one, that its bounds hold.",
        Type::Gauge,
    );
    let mut taken = BTreeSet::new();
    for one in learned {
        let mut labels = labels_of(&one.series);
        // Names that differ in what a label cannot hold would be one and the same; their full text tells them apart.
        if !taken.insert(labels.clone()) {
            labels.push(("series".into(), one.series.as_str().to_owned()));
        }
        for (direction, bound) in [("lower", one.lower), ("upper", one.upper)] {
            if let Some(bound) = bound {
                let mut labels = labels.clone();
                labels.push(("direction".into(), direction.to_owned()));
                bounds.samples.push(Sample { suffix: "", labels, value: bound });
            }
        }
        confidence.samples.push(Sample { suffix: "", labels, value: one.confidence });
    }
    bounds.samples.extend(served.iter().flat_map(Served::samples));
    let mut tried = Family::new(
        "homeostat_threshold_tried",
        "1: the rule is served no threshold on purpose, as the first ones are tried out or were taken back.",
        Type::Gauge,
    );
    for one in served.iter().filter(|one| one.tried) {
        tried.samples.push(Sample { suffix: "", labels: vec![("rule".into(), one.rule.clone())], value: 1.0 });
    }
    vec![bounds, confidence, tried]
}

/// What one rule is served now. It says where alerts begin, not where samples breach, as ordinary ones do now and then.
#[derive(Clone, PartialEq, Debug)]
pub struct Served {
    rule: String,
    direction: Direction,
    by: Vec<String>,
    /// By the values of the labels `by`.
    thresholds: BTreeMap<Vec<String>, f64>,
    /// It is served none on purpose.
    tried: bool,
}

impl Served {
    pub fn all(view: &View<'_>) -> Vec<Served> {
        let served = rollout::served(view.engine.knowledge(), view.now).into_iter();
        let rollouts = view.engine.knowledge().rollouts();
        let own = served.map(|(rule, thresholds)| Served {
            rule: rule.name.clone(),
            direction: rule.direction,
            by: rule.by.clone(),
            // The first ones are read along, or were taken back.
            tried: thresholds.is_empty() && rollouts.get(&rule.name).is_some_and(Rollout::holds_back),
            thresholds,
        });
        own.collect()
    }

    /// A label that the series does not have is said to be empty, or a scraper would set its own.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> {
        self.thresholds.iter().map(|(key, value)| {
            let by = self.by.iter().zip(key).map(|(name, value)| (name.clone().into(), value.clone()));
            let own = [("rule".into(), self.rule.clone()), ("direction".into(), self.direction.as_str().to_owned())];
            Sample { suffix: "", labels: own.into_iter().chain(by).collect(), value: *value }
        })
    }
}

/// What is tried out for a rule, and how many thresholds it is served.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub rule: String,
    pub step: Option<Step>,
    pub served: usize,
}

pub(super) fn tried(knowledge: &Knowledge, now: Timestamp) -> Vec<Tried> {
    let of_rule = |(rule, served): (&rollout::Rule, BTreeMap<_, _>)| {
        let made = knowledge.rollouts().get(&rule.name).and_then(|rollout| rollout.now());
        Tried { rule: rule.name.clone(), step: made.map(|made| made.step), served: served.len() }
    };
    rollout::served(knowledge, now).into_iter().map(of_rule).collect()
}

pub(super) fn rollout_families(all: &mut Families, m: &Measured, counts: &Counts) {
    let steps = all.counter(
        "homeostat_rollout_steps_total",
        "Steps of new thresholds on their way to alert rules since the start, by where to.",
    );
    for step in Step::ALL {
        steps.put([("step", step.as_str())], counts.rollout_steps.get(&step).copied().unwrap_or(0) as f64);
    }
    all.counter(
        "homeostat_rollout_released_total",
        "Thresholds that alert rules were served without a trial, since a person's word moved them.",
    )
    .put([], counts.released as f64);
    let tried = all.gauge("homeostat_rollout", "1: new thresholds of an alert rule are tried out, and at this step.");
    for Tried { rule, step, .. } in &m.rollouts {
        for one in Step::ALL.into_iter().filter(|step| step.goes_on()) {
            tried.put([("rule", rule.as_str()), ("step", one.as_str())], f64::from(u8::from(*step == Some(one))));
        }
    }
    let served = all.gauge("homeostat_rollout_served", "Thresholds that an alert rule is served.");
    m.rollouts.iter().for_each(|one| served.put([("rule", one.rule.as_str())], one.served as f64));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Format, encode, threshold_families};

    impl Served {
        /// Two thresholds of a rule.
        pub(in crate::telemetry) fn some() -> Served {
            Served {
                rule: "A 2".to_owned(),
                direction: Direction::Lower,
                by: vec!["job".to_owned()],
                tried: true,
                thresholds: [("", 4.0), ("a", 7.0)].map(|(job, value)| (vec![job.to_owned()], value)).into(),
            }
        }
    }

    #[test]
    fn a_rule_has_one_threshold_per_set_of_its_labels() {
        let text = encode(&threshold_families(&[], &[Served::some()]), Format::Classic);
        for line in [
            r#"homeostat_threshold{rule="A 2",direction="lower",job=""} 4"#,
            r#"homeostat_threshold{rule="A 2",direction="lower",job="a"} 7"#,
            r#"homeostat_threshold_tried{rule="A 2"} 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
