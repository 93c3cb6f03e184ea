//! Bounds that track: an exponentially weighted mean, plus and minus `k` of its equally weighted deviations.
//!
//! For series that wander. Updates after West (1979) with a fixed weight; what lies far out is clipped before it is learned,
//! so that one wild value does not carry the bounds away.

use super::{Asked, Baseline, Detector, DetectorState};
use crate::config::StrategyName;
use crate::monitor::Judged;
use crate::time::Timestamp;
use crate::units::Sensitivity;

pub struct Ewma;

const VERSION: u16 = 1;

/// The weight of a new sample: the last hundred or so count.
const WEIGHT: f64 = 0.02;

/// A sample further out than this many deviations is learned as if it lay there.
const CLIP: f64 = 4.0;

/// The deviation never falls under this share of the window's own: a quiet spell does not make the next sample strange.
const DEVIATION_MIN: f64 = 0.1;

impl Detector for Ewma {
    fn name(&self) -> StrategyName {
        "ewma".into()
    }

    fn formula(&self, sensitivity: Sensitivity) -> String {
        format!("exponentially weighted mean ± {:.2} deviations", sensitivity.get())
    }

    fn start(&self, baseline: &Baseline, _: Option<&DetectorState>) -> DetectorState {
        let floor = (baseline.statistics.std_dev * DEVIATION_MIN).max(baseline.resolution());
        let mut numbers = vec![baseline.statistics.median, baseline.statistics.std_dev.max(floor), floor];
        baseline.values.iter().for_each(|value| learn(&mut numbers, *value));
        DetectorState::Numbers { version: VERSION, numbers }
    }

    fn step(&self, state: &mut DetectorState, _: Timestamp, value: f64, asked: &Asked) -> Judged {
        let DetectorState::Numbers { numbers, .. } = state else { return Judged::default() };
        let judged = judge(numbers, value, asked.sensitivity);
        learn(numbers, value);
        judged
    }
}

fn judge(numbers: &[f64], value: f64, sensitivity: Sensitivity) -> Judged {
    let &[mean, deviation, _] = numbers else { return Judged::default() };
    let width = sensitivity.get() * deviation;
    let (lower, upper) = (mean - width, mean + width);
    if !(lower.is_finite() && upper.is_finite() && lower < upper) {
        return Judged::default();
    }
    let breach = value < lower || value > upper;
    Judged { lower: Some(lower), upper: Some(upper), breach, ..Judged::default() }
}

fn learn(numbers: &mut [f64], value: f64) {
    let [mean, deviation, floor] = numbers else { return };
    let reach = CLIP * *deviation;
    let away = (value - *mean).clamp(-reach, reach);
    if !away.is_finite() {
        return;
    }
    *mean += WEIGHT * away;
    let variance = (1.0 - WEIGHT) * (*deviation * *deviation + WEIGHT * away * away);
    *deviation = variance.sqrt().max(*floor);
}
