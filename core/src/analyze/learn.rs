//! From a window to a threshold: bounds, alert level, how far to trust it, and why.

use super::claim::{Claim, Grounds, Holding};
use super::strategy::adaptive::{self, Candidate, Merit};
use super::strategy::{ADAPTIVE, Baseline, Level, Methods, Proposal, Strategy, proposal, state};
use crate::budget::ALERT_SIGMAS;
use crate::config::{Kind, StrategyName};
use crate::stats::trend::{Line, trend};
use crate::stats::{self, Scratch, Statistics, Trend, normal, quantile, sort_into, tail};
use crate::threshold::{Bounds, Pair, Rival, Supporting, Threshold};
use crate::time::{Span, Timestamp};
use crate::units::{Confidence, Sensitivity};

/// What is to be learned, from what.
pub struct Request<'a> {
    pub kind: Kind,
    /// Milliseconds since the epoch, ascending; at least one, as many as values.
    pub at: &'a [i64],
    pub values: &'a [f64],
    /// The level shifted then, and these are the samples since.
    pub level_since: Option<Timestamp>,
    /// Samples of alerts that were left out.
    pub masked: usize,
    pub methods: &'a Methods,
    /// A strategy's name, a detector's, or `adaptive`.
    pub wanted: &'a StrategyName,
    /// The strategy that is to stay: after a verdict the bounds move with the sensitivity alone.
    pub keep: Option<&'a StrategyName>,
    pub sensitivity: Sensitivity,
    pub default_sensitivity: Sensitivity,
    /// 0.25 to 1: multiplies the confidence.
    pub trust: f64,
    /// What is claimed of the pages; none: the confidence is that the bounds hold.
    pub claim: Option<Claim>,
    pub merits: &'a [Merit],
    /// Weight of a strategy's loss; 1 is none.
    pub preference: &'a dyn Fn(&str) -> f64,
    pub lookahead: Span,
    /// What was seen for a shorter time than this says what is a breach, and not yet what is an alert.
    pub young_under: Span,
    pub now: Timestamp,
}

/// Bounds that are to lie above and below so many of their own samples.
const OWN_SHARE: f64 = 0.95;
const OWN_SHARE_ALERT: f64 = 0.99;

/// A share of breaches known to within this is known: of bounds so wide that hardly anything breaches them no window could
/// tell the share from twice that share, and they would never be trusted, however often a person asks for them.
const SHARE_NEAR: f64 = 0.01;

/// At most so many samples are read for the trend: more do not change what it says.
const TREND_SAMPLES: usize = 500;

/// Learns one threshold. None: no strategy can say anything of this window.
pub fn learn(request: &Request, scratch: &mut Scratch) -> Option<Threshold> {
    learn_with_grounds(request, scratch).map(|(threshold, _)| threshold)
}

/// What the confidence of the same threshold rests on; none: nothing is claimed of the pages.
pub fn grounds(request: &Request, scratch: &mut Scratch) -> Option<Grounds> {
    learn_with_grounds(request, scratch)?.1
}

fn learn_with_grounds(request: &Request, scratch: &mut Scratch) -> Option<(Threshold, Option<Grounds>)> {
    sort_into(request.values, scratch);
    // Kept while a part of the window is sorted too: the buffers change places.
    let sorted = std::mem::replace(&mut scratch.sorted, std::mem::take(&mut scratch.window_sorted));
    let statistics = Statistics::of(request.values, &sorted);
    let baseline = Baseline { kind: request.kind, at: request.at, values: request.values, sorted: &sorted, statistics };
    let threshold = from_baseline(request, &baseline, scratch);
    scratch.window_sorted = sorted;
    threshold
}

fn from_baseline(
    request: &Request,
    baseline: &Baseline,
    scratch: &mut Scratch,
) -> Option<(Threshold, Option<Grounds>)> {
    let methods = request.methods;
    let chosen = choose(request, baseline, scratch)?;
    let bounds = pair(&chosen.proposal.bounds, request.now);
    let alert_sigmas = alert_sigmas(request.sensitivity, request.default_sensitivity);
    let effective_count = effective_count(baseline, bounds);
    let independent = effective_count / baseline.values.len() as f64;
    let alert = alert_bounds(baseline, bounds, alert_sigmas, independent)?;
    let line = recent_trend(request.at, request.values);
    let holding = holding(request, baseline, bounds, effective_count, &line, &chosen.rivals);
    let grounds = request.claim.map(|claim| Grounds::of(&claim, &holding));
    let likely = grounds.as_ref().map_or_else(|| holding.likely(), Grounds::chance);
    let formula = match methods.detector(&chosen.strategy) {
        Some(detector) => detector.formula(request.sensitivity),
        None => chosen.formula.clone(),
    };
    let reasoning = reasoning(request, baseline, &chosen, &formula, &line);
    let threshold = Threshold {
        bounds: chosen.proposal.bounds,
        alert,
        alert_sigmas,
        center: chosen.proposal.center,
        sensitivity: request.sensitivity,
        confidence: Confidence::clamped(likely * request.trust),
        strategy: chosen.strategy,
        reasoning,
        supporting: Supporting { statistics: baseline.statistics, trend: line.trend, effective_count },
        rivals: chosen.rivals,
        learned_at: request.now,
        young: is_young(request),
        level_since: request.level_since,
    };
    Some((threshold, grounds))
}

struct Chosen {
    strategy: StrategyName,
    formula: String,
    /// Bounds that held too little of their own window were brought out.
    widened: bool,
    proposal: Proposal,
    rivals: Vec<Rival>,
    by_merit: bool,
}

fn choose(request: &Request, baseline: &Baseline, scratch: &mut Scratch) -> Option<Chosen> {
    let methods = request.methods;
    // One that alerts by itself leaves the bounds to the best of the strategies.
    let by_merit =
        request.wanted == ADAPTIVE || methods.detector(request.wanted).is_some_and(|detector| detector.alerts());
    if request.kind == Kind::State && by_merit {
        let level = Level::Formula(request.sensitivity);
        let proposal = state::State.propose(baseline, level)?;
        let (strategy, formula) = (state::State.name(), state::State.formula(level));
        return Some(Chosen { strategy, formula, widened: false, proposal, rivals: Vec::new(), by_merit: false });
    }
    let candidates = adaptive::candidates(baseline, request.sensitivity, methods.strategies(), request.merits, scratch);
    let rivals = candidates.iter().map(|candidate| rival(candidate, request.now)).collect();
    if by_merit {
        let kept = request.keep.and_then(|name| candidates.iter().position(|candidate| candidate.strategy == *name));
        let best = kept.or_else(|| adaptive::choose(&candidates, request.preference))?;
        let Candidate { strategy, formula, proposal, .. } = candidates.into_iter().nth(best)?;
        let before = proposal.bounds.clone();
        let proposal = enclose(baseline, proposal, request.now)?;
        let widened = proposal.bounds != before;
        return Some(Chosen { strategy, formula, widened, proposal, rivals, by_merit: true });
    }
    // A detector's own bounds track; until it judges, and for those who want one number, mean and deviation stand in.
    let by_name = methods.strategy(request.wanted).or_else(|| {
        methods.detector(request.wanted)?;
        methods.strategy("sigma")
    })?;
    let level = Level::Formula(request.sensitivity);
    let proposal = by_name.propose(baseline, level)?;
    let (strategy, formula) = (request.wanted.clone(), by_name.formula(level));
    Some(Chosen { strategy, formula, widened: false, proposal, rivals, by_merit: false })
}

fn rival(candidate: &Candidate, now: Timestamp) -> Rival {
    let (lower, upper) = pair(&candidate.proposal.bounds, now);
    Rival { strategy: candidate.strategy.clone(), lower, upper, loss: candidate.loss }
}

fn pair(bounds: &Bounds, now: Timestamp) -> Pair {
    bounds.at(now)
}

/// How many sigma-equivalents out an alert stands: 4.5, moved as far as verdicts moved the sensitivity.
pub fn alert_sigmas(sensitivity: Sensitivity, default: Sensitivity) -> f64 {
    (ALERT_SIGMAS * sensitivity.get() / default.get()).max(sensitivity.get() + 0.5)
}

/// Bounds that were chosen by merit hold at least what they should of their own window, and lie beyond a constant.
fn enclose(baseline: &Baseline, proposal: Proposal, now: Timestamp) -> Option<Proposal> {
    let Bounds::Constant { .. } = proposal.bounds else { return Some(proposal) };
    let (lower, upper) = proposal.bounds.at(now);
    let floor = baseline.resolution();
    let sorted = baseline.sorted;
    let least_upper = quantile(sorted, OWN_SHARE) + floor;
    let most_lower = quantile(sorted, 1.0 - OWN_SHARE) - floor;
    let upper = upper.unwrap_or(f64::INFINITY).max(least_upper);
    let lower = lower.unwrap_or(f64::NEG_INFINITY).min(most_lower);
    self::proposal(baseline, lower, proposal.center, upper)
}

/// Where an ordinary sample falls as rarely as a bell's beyond `sigmas`: from the tail, and never inside the bounds or
/// 99 % of the window.
fn alert_bounds(baseline: &Baseline, (lower, upper): Pair, sigmas: f64, independent: f64) -> Option<Bounds> {
    let (p, floor, sorted) = (normal::cdf(-sigmas), baseline.resolution(), baseline.sorted);
    let out = |level: f64, own: f64, bound: Option<f64>| level.max(own).max(bound.unwrap_or(own)) + floor;
    let (highest, lowest) =
        (tail::upper_level(sorted, p, floor, independent), tail::lower_level(sorted, p, floor, independent));
    let above = out(highest, quantile(sorted, OWN_SHARE_ALERT), upper);
    let below = -out(-lowest, -quantile(sorted, 1.0 - OWN_SHARE_ALERT), lower.map(|v| -v));
    let finite = |v: f64| Some(v).filter(|v| v.is_finite());
    // A side without a bound has no alert either.
    let above = upper.and_then(|_| finite(above));
    let below = lower.and_then(|_| finite(below));
    Bounds::constant(below, above).or_else(|_| Bounds::constant(lower, upper)).ok()
}

pub(crate) fn recent_trend(at: &[i64], values: &[f64]) -> Line {
    // Every so-manieth sample over the whole window: the trend is the window's, not its end's.
    let step = values.len().div_ceil(TREND_SAMPLES).max(1);
    if step == 1 {
        return trend(at, values, None);
    }
    let at: Vec<i64> = at.iter().step_by(step).copied().collect();
    let values: Vec<f64> = values.iter().step_by(step).copied().collect();
    trend(&at, &values, None)
}

/// How many independent samples say where these bounds hold. Two things lean on one another: the values, which tells how
/// far the level may wander outside of what was seen, and the breaches, which tells how well their share is known inside of
/// it (the variance of an empirical quantile is that of its indicator). The geometric mean of both counts.
fn effective_count(baseline: &Baseline, (lower, upper): Pair) -> f64 {
    let Statistics { mean, std_dev, .. } = baseline.statistics;
    let by_value = stats::effective_count(baseline.values, mean, std_dev).max(1.0);
    let (lower, upper) = (lower.unwrap_or(f64::NEG_INFINITY), upper.unwrap_or(f64::INFINITY));
    let by_breach = stats::effective_count_of(baseline.values, |value| value < lower || value > upper).max(1.0);
    (by_value * by_breach).sqrt()
}

/// What speaks for these bounds going on to hold about what they should.
fn holding(
    request: &Request,
    baseline: &Baseline,
    (lower, upper): Pair,
    effective: f64,
    line: &Line,
    rivals: &[Rival],
) -> Holding {
    let statistics = &baseline.statistics;
    let wanted = 2.0 * normal::cdf(-request.sensitivity.get());
    let spread = (wanted * (1.0 - wanted) / effective).sqrt();
    let estimated = 2.0 * normal::cdf(wanted.max(SHARE_NEAR) / spread) - 1.0;

    let last = &baseline.values[baseline.values.len() * 3 / 4..];
    let outside =
        |value: &&f64| lower.is_some_and(|bound| **value < bound) || upper.is_some_and(|bound| **value > bound);
    let breached = last.iter().filter(outside).count() as f64 / last.len().max(1) as f64;
    let steady = 1.0 - ((breached - 2.0 * wanted) / 0.5).clamp(0.0, 1.0);

    let half_width = match (lower, upper) {
        (Some(lower), Some(upper)) => upper / 2.0 - lower / 2.0,
        (Some(bound), None) | (None, Some(bound)) => (bound - statistics.median).abs(),
        (None, None) => f64::INFINITY,
    };
    let climbs = matches!(line.trend, Trend::Increasing | Trend::Decreasing);
    let drift = if climbs { (line.slope_per_s * request.lookahead.secs() / half_width).abs() } else { 0.0 };
    let level = 1.0 / (1.0 + if drift.is_finite() { drift } else { 1.0 });
    // A trend that fills the window says that its statistics describe a time that has passed.
    let passed = if climbs { 0.8 } else { 1.0 };

    let widths: Vec<f64> = rivals.iter().filter_map(|rival| Some(rival.upper? - rival.lower?)).collect();
    let agreement = match widths.iter().copied().fold(None, |most: Option<(f64, f64)>, width| {
        Some(most.map_or((width, width), |(least, most)| (least.min(width), most.max(width))))
    }) {
        Some((least, most)) if most > 0.0 && most.is_finite() => 0.75 + 0.25 * (least / most),
        _ => 1.0,
    };
    Holding { estimated, steady, level: level * passed, agreement }
}

fn is_young(request: &Request) -> bool {
    span(request) < request.young_under
}

fn span(request: &Request) -> Span {
    let ends = request.at.first().zip(request.at.last());
    ends.map_or(Span::ZERO, |(first, last)| Span::from_millis((last - first) as u64))
}

fn reasoning(request: &Request, baseline: &Baseline, chosen: &Chosen, formula: &str, line: &Line) -> String {
    let count = baseline.values.len();
    let span = Span::from_secs(span(request).secs() as u64);
    let mut text = format!("{formula}, at {:.2} sigmas, over {count} samples of {span}", request.sensitivity.get());
    if chosen.widened {
        text += ", brought out to hold 95 % of them on each side";
    }
    if let Some(since) = request.level_since {
        text += &format!(" since its level shifted at {since}");
    }
    if request.masked > 0 {
        text += &format!(" without {} of alerts", request.masked);
    }
    if chosen.by_merit {
        let others = chosen.rivals.len().saturating_sub(1);
        let kept = request.keep.is_some_and(|kept| *kept == chosen.strategy);
        text += match kept {
            true => "; the strategy stayed as it was, since only the width was asked for",
            false => "; it cost least",
        };
        if !kept && others > 0 {
            text += &format!(" of {} strategies on samples they had not seen", others + 1);
        }
    }
    text += match line.trend {
        Trend::Increasing => "; the series is rising.",
        Trend::Decreasing => "; the series is falling.",
        Trend::Stable => "; it has no trend.",
        Trend::Unknown => "; too few independent samples to speak of a trend.",
    };
    if is_young(request) {
        text += " So short a time says what is a breach, and not yet what is an alert.";
    }
    text
}
