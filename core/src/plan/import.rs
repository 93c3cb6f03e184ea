//! Thresholds that were not learned here: by another engine, or set by a person. Checked at the door, and from then on
//! changes like others, with an expectation that can fail.
//!
//! An imported threshold judges until the series is learned again, at the earliest after `optimization_interval`.

use super::guard::{self, Refusal, Rules};
use super::holds;
use crate::analyze::learn::alert_sigmas;
use crate::config::StrategyName;
use crate::execute::{Change, Knob, Setting};
use crate::knowledge::Knowledge;
use crate::knowledge::series::Series;
use crate::series::SeriesName;
use crate::stats::{Statistics, Trend, effective_count};
use crate::threshold::{Bounds, NotBounds, Pair, Supporting, Threshold};
use crate::time::Timestamp;
use crate::units::{Confidence, Sensitivity};

/// The strategy that imported thresholds are said to come from: it is not one of ours that is to be praised or blamed.
pub const IMPORTED: StrategyName = StrategyName::Borrowed("imported");

/// How imported thresholds begin to say why they are so.
const BECAUSE: &str = "imported";

/// A longer reasoning is cut, in characters: it is for a person.
const REASONING_LEN_MAX: usize = 1000;

/// A threshold as somebody else says it, in the series' own unit.
#[derive(Clone, PartialEq, Debug)]
pub struct Import {
    pub bounds: Pair,
    /// Where an alert begins; what is left out is laid as far beyond the bounds as for a learned threshold.
    pub alert: Pair,
    /// In sigmas of a bell; none: the series' own stays.
    pub sensitivity: Option<Sensitivity>,
    /// None: just enough to be used.
    pub confidence: Option<Confidence>,
    pub reasoning: Option<String>,
}

/// Why a threshold was not taken in.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum NotImported {
    #[error("no such series is known")]
    UnknownSeries,
    #[error("the series is not watched, as it is of kind {0}; a rule with `watch: true` changes that")]
    NotWatched(&'static str),
    #[error("the series has no sample yet")]
    NoSample,
    #[error("{0}")]
    Bounds(#[from] NotBounds),
    #[error("an alert has to begin at its bound or beyond")]
    Alert,
    #[error("all changes are stopped; let them go on first")]
    Frozen,
    #[error("the change was refused ({})", .0.as_str())]
    Refused(Refusal),
}

/// What is to happen: a threshold, and the changes that put it in force, without their numbers.
#[derive(Debug)]
pub(crate) struct Planned {
    pub sensitivity: Option<Change>,
    pub threshold: Threshold,
    pub change: Change,
}

/// None: the series stands there already.
pub(crate) fn import(
    knowledge: &Knowledge,
    name: &SeriesName,
    import: &Import,
    now: Timestamp,
) -> Result<Option<Planned>, NotImported> {
    let series = knowledge.find(name).ok_or(NotImported::UnknownSeries)?;
    if !series.watched() {
        return Err(NotImported::NotWatched(series.kind().as_str()));
    }
    let threshold = threshold(knowledge, series, import, now)?;
    let from = series.in_force().map_or(Setting::Unset, |before| Setting::Bounds(before.bounds.at(now)));
    let to = Setting::Bounds(import.bounds);
    if from == to && threshold.sensitivity == series.sensitivity() {
        return Ok(None);
    }
    let change = |knob, from, to| {
        let expect = holds(knowledge, name, now);
        super::change(knowledge, knob, (from, to), threshold.reasoning.clone(), expect, now)
    };
    let rules = Rules { execution: &knowledge.config().execution, frozen: knowledge.frozen() };
    // A person's word is limited by no rate.
    let admitted = |change: Change| match guard::refuses(&change, 0, true, &rules) {
        // The sensitivity alone may be new: the threshold is put in force with it.
        None | Some(Refusal::Unchanged) => Ok(change),
        Some(Refusal::Frozen) => Err(NotImported::Frozen),
        Some(refusal) => Err(NotImported::Refused(refusal)),
    };
    let number = |sensitivity: Sensitivity| Setting::Number(sensitivity.get());
    let sensitivity = (threshold.sensitivity != series.sensitivity()).then(|| {
        let (from, to) = (number(series.sensitivity()), number(threshold.sensitivity));
        admitted(change(Knob::Sensitivity(name.clone()), from, to))
    });
    let sensitivity = sensitivity.transpose()?;
    let change = admitted(change(Knob::Threshold(name.clone()), from, to))?;
    Ok(Some(Planned { sensitivity, threshold, change }))
}

fn threshold(
    knowledge: &Knowledge,
    series: &Series,
    import: &Import,
    now: Timestamp,
) -> Result<Threshold, NotImported> {
    let (lower, upper) = import.bounds;
    let bounds = Bounds::constant(lower, upper)?;
    let values: Vec<f64> = series.window().iter().map(|(_, value)| value).collect();
    if values.is_empty() {
        return Err(NotImported::NoSample);
    }
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let statistics = Statistics::of(&values, &sorted);
    let sensitivity = import.sensitivity.unwrap_or(series.sensitivity());
    let alert_sigmas = alert_sigmas(sensitivity, series.sensitivity_prior());
    let center = center(import.bounds, statistics.median);
    let wider = alert_sigmas / sensitivity.get();
    let beyond = |bound: Option<f64>| bound.map(|bound| (center + (bound - center) * wider).clamp(f64::MIN, f64::MAX));
    let alert = (import.alert.0.or(beyond(lower)), import.alert.1.or(beyond(upper)));
    let outside = |alert: Option<f64>, bound: Option<f64>| match (alert, bound) {
        (Some(alert), Some(bound)) => alert >= bound,
        _ => true,
    };
    if !outside(alert.1, upper) || !outside(lower, alert.0) {
        return Err(NotImported::Alert);
    }
    Ok(Threshold {
        bounds,
        alert: Bounds::constant(alert.0, alert.1)?,
        alert_sigmas,
        center,
        sensitivity,
        confidence: import.confidence.unwrap_or(knowledge.config().learning.confidence_min),
        strategy: IMPORTED,
        reasoning: reasoning(import.reasoning.as_deref()).into(),
        supporting: Supporting {
            statistics,
            trend: Trend::Unknown,
            effective_count: effective_count(&values, statistics.mean, statistics.std_dev),
        },
        rivals: Box::default(),
        learned_at: now,
        young: false,
        level_since: series.level(),
    })
}

/// The ordinary value: the median where it lies between the bounds, else the middle, else some way inside the one bound.
fn center((lower, upper): Pair, median: f64) -> f64 {
    let inside = lower.is_none_or(|lower| lower < median) && upper.is_none_or(|upper| median < upper);
    let center = match (lower, upper) {
        _ if inside => median,
        (Some(lower), Some(upper)) => lower / 2.0 + upper / 2.0,
        (Some(bound), None) => bound + bound.abs().max(1.0) / 2.0,
        (None, Some(bound)) => bound - bound.abs().max(1.0) / 2.0,
        (None, None) => median,
    };
    center.clamp(f64::MIN, f64::MAX)
}

/// Said once, however often a threshold is handed on.
fn reasoning(said: Option<&str>) -> String {
    let said = said.unwrap_or_default().trim();
    let said = said.strip_prefix(BECAUSE).unwrap_or(said).trim_start_matches([':', ' ']);
    let mut text = BECAUSE.to_owned();
    if !said.is_empty() {
        text.push_str(": ");
        text.extend(said.chars().take(REASONING_LEN_MAX));
        if said.chars().nth(REASONING_LEN_MAX).is_some() {
            text.push('…');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reasoning_is_handed_on_once_and_not_without_end() {
        assert_eq!(reasoning(None), "imported");
        assert_eq!(reasoning(Some("by hand")), "imported: by hand");
        assert_eq!(reasoning(Some("imported: by hand")), "imported: by hand");
        assert_eq!(reasoning(Some("imported")), "imported");
        assert!(reasoning(Some(&"é".repeat(5000))).chars().count() < 1020);
    }

    #[test]
    fn the_ordinary_value_lies_inside_the_bounds() {
        for (bounds, median, wanted) in [
            ((Some(1.0), Some(9.0)), 2.0, 2.0),
            ((Some(1.0), Some(9.0)), 50.0, 5.0),
            ((None, Some(9.0)), 50.0, 4.5),
            ((Some(-0.2), None), -3.0, 0.3),
        ] {
            assert_eq!(center(bounds, median), wanted);
        }
    }
}
