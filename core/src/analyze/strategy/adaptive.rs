//! Chooses among the strategies by merit: all are brought to one level, and the one whose bounds cost the least on samples
//! it had not seen is taken.
//!
//! The cost is pinball loss (Koenker and Bassett, 1978): its least expected value lies at the wanted quantile, so it cannot
//! be won by bounds that are merely wide or merely narrow. Losses are kept as samples arrive; while they are few, a
//! back-test inside the window stands in.

use super::{Baseline, Level, Proposal, Strategy};
use crate::config::StrategyName;
use crate::stats::{Scratch, normal, sum};
use crate::threshold::{Bounds, Pair, Rival};
use crate::time::Timestamp;
use crate::units::Sensitivity;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A loss is an average over this many samples at least; newer ones count more from then on.
pub const SMOOTHED: u64 = 200;

/// How one strategy's bounds do on samples as they arrive.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Merit {
    pub strategy: StrategyName,
    /// Infinite when absent.
    pub lower: f64,
    pub upper: f64,
    /// The bounds at each time, where they depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periodic: Option<Arc<Bounds>>,
    pub loss: f64,
    pub count: u64,
}

impl Merit {
    /// New bounds of a strategy; its losses so far stay with it.
    pub fn carried_over(rival: &Rival, before: &[Merit]) -> Merit {
        let known = before.iter().find(|merit| merit.strategy == rival.strategy);
        Merit {
            strategy: rival.strategy.clone(),
            lower: rival.lower.unwrap_or(f64::NEG_INFINITY),
            upper: rival.upper.unwrap_or(f64::INFINITY),
            periodic: rival.periodic.clone(),
            loss: known.map_or(0.0, |merit| merit.loss),
            count: known.map_or(0, |merit| merit.count),
        }
    }

    /// Adds what a value costs at the wanted `level` (share of samples under the upper bound, and above the lower).
    #[inline]
    pub fn see(&mut self, at: Timestamp, value: f64, level: f64) {
        let (lower, upper) = self.periodic.as_ref().map_or((self.lower, self.upper), |bounds| infinite(bounds.at(at)));
        let loss = pinball(value, lower, upper, level);
        if loss.is_finite() {
            self.count += 1;
            self.loss += (loss - self.loss) / self.count.min(SMOOTHED) as f64;
        }
    }
}

/// Bounds with an absent one infinite.
fn infinite((lower, upper): Pair) -> (f64, f64) {
    (lower.unwrap_or(f64::NEG_INFINITY), upper.unwrap_or(f64::INFINITY))
}

/// Loss of both bounds; an absent (infinite) bound costs nothing, as nothing can be said of it.
#[inline]
fn pinball(value: f64, lower: f64, upper: f64, level: f64) -> f64 {
    let over = value - upper;
    let under = lower - value;
    let above = if over > 0.0 { level * over } else { (level - 1.0) * over };
    let below = if under > 0.0 { level * under } else { (level - 1.0) * under };
    (if above.is_finite() { above } else { 0.0 }) + (if below.is_finite() { below } else { 0.0 })
}

/// The mean of [`pinball`] over many values. With both bounds there it is the interval score (Gneiting and Raftery, 2007):
/// a share of the width, which no value changes, and how far values lie outside.
fn mean_loss(values: &[f64], lower: f64, upper: f64, level: f64) -> f64 {
    let width = (1.0 - level) * (upper - lower);
    if width.is_finite() {
        let outside = sum(values, |v| {
            let (over, under) = (v - upper, lower - v);
            (if over > 0.0 { over } else { 0.0 }) + (if under > 0.0 { under } else { 0.0 })
        });
        let loss = width + outside / values.len() as f64;
        if loss.is_finite() {
            return loss;
        }
    }
    values.iter().map(|value| pinball(*value, lower, upper, level)).sum::<f64>() / values.len() as f64
}

/// What each strategy would set, at one level, and what it costs.
pub struct Candidate {
    pub strategy: StrategyName,
    pub formula: String,
    pub proposal: Proposal,
    pub loss: Option<f64>,
}

/// All strategies at the level of `sensitivity`, with their losses: from `merits` where they have seen enough, else from
/// a back-test.
pub fn candidates<'a>(
    baseline: &Baseline,
    sensitivity: Sensitivity,
    strategies: impl Iterator<Item = &'a dyn Strategy>,
    merits: &[Merit],
    scratch: &mut Scratch,
) -> Vec<Candidate> {
    let level = Level::Holding(sensitivity);
    let known = |name: &StrategyName| merits.iter().find(|merit| merit.strategy == *name && merit.count >= SMOOTHED);
    let proposed: Vec<(&dyn Strategy, Proposal)> =
        strategies.filter_map(|strategy| Some((strategy, strategy.propose(baseline, level)?))).collect();
    // One that has nothing to say of the whole window is not asked about a part of it.
    let cold = proposed.iter().any(|(strategy, _)| known(&strategy.name()).is_none());
    let compared = proposed.iter().map(|(strategy, _)| *strategy);
    let tested = if cold { back_test(baseline, level, compared, scratch) } else { Vec::new() };
    proposed
        .into_iter()
        .map(|(strategy, proposal)| {
            let name = strategy.name();
            let loss = match known(&name) {
                Some(merit) => Some(merit.loss),
                None => tested.iter().find(|(tested, _)| *tested == name).map(|(_, loss)| *loss),
            };
            Candidate {
                proposal,
                formula: strategy.formula(level),
                strategy: name,
                // A loss beyond the largest double is none: it could not be stored, nor compared.
                loss: loss.filter(|loss| loss.is_finite()),
            }
        })
        .collect()
}

/// The one with the least loss, weighed by preference; those without a loss come last.
pub fn choose(candidates: &[Candidate], preference: impl Fn(&str) -> f64) -> Option<usize> {
    let cost =
        |candidate: &Candidate| candidate.loss.map_or(f64::INFINITY, |loss| loss * preference(&candidate.strategy));
    (0..candidates.len()).min_by(|a, b| cost(&candidates[*a]).total_cmp(&cost(&candidates[*b])))
}

/// Bounds from the first seven tenths of the window, loss on the rest.
fn back_test<'a>(
    baseline: &Baseline,
    level: Level,
    strategies: impl Iterator<Item = &'a dyn Strategy>,
    scratch: &mut Scratch,
) -> Vec<(StrategyName, f64)> {
    let split = baseline.values.len() * 7 / 10;
    let (seen, unseen) = baseline.values.split_at(split);
    if seen.is_empty() {
        return Vec::new();
    }
    let (Level::Holding(k) | Level::Formula(k)) = level;
    let quantile = normal::cdf(k.get());
    let earlier = Baseline::sorted(baseline.kind, &baseline.at[..split], seen, scratch).reckoned(baseline.reckoning);
    strategies
        .filter_map(|strategy| {
            let loss = match strategy.propose(&earlier, level)?.bounds {
                Bounds::Constant { lower, upper } => {
                    let (lower, upper) = infinite((lower, upper));
                    mean_loss(unseen, lower, upper, quantile)
                }
                bounds => {
                    let loss = |(at, value): (&i64, &f64)| {
                        let (lower, upper) = infinite(bounds.at(Timestamp::from_millis(*at)));
                        pinball(*value, lower, upper, quantile)
                    };
                    baseline.at[split..].iter().zip(unseen).map(loss).sum::<f64>() / unseen.len() as f64
                }
            };
            Some((strategy.name(), loss))
        })
        .collect()
}
