//! From a window to a threshold: bounds, alert level, how far to trust it, and why.

use super::claim::{Claim, Grounds, Holding};
use super::strategy::adaptive::{self, Candidate, Merit};
use super::strategy::{ADAPTIVE, Baseline, Level, Methods, Proposal, Strategy, proposal, state};
use crate::budget::ALERT_SIGMAS;
use crate::calendar::Reckoning;
use crate::config::{Kind, StrategyName};
use crate::stats::trend::{Line, trend};
use crate::stats::{self, Scratch, Statistics, Trend, normal, sort_into, tail};
use crate::threshold::{Bounds, Pair, Rival, Supporting, Threshold, middle};
use crate::time::{Span, Timestamp};
use crate::units::{Confidence, Sensitivity};
use std::sync::Arc;

/// What is to be learned, from what.
pub struct Request<'a> {
    pub kind: Kind,
    /// Milliseconds since the epoch, ascending; at least one, as many as values.
    pub at: &'a [i64],
    pub values: &'a [f64],
    /// The level shifted then, and these are the samples since.
    pub level_since: Option<Timestamp>,
    /// Samples of alerts that were left out, and those that a calendar says not to learn from.
    pub masked: usize,
    pub set_aside: usize,
    /// By which days and weeks are reckoned.
    pub reckoning: &'a Reckoning,
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
    let baseline = Baseline {
        kind: request.kind,
        at: request.at,
        values: request.values,
        sorted: &sorted,
        statistics,
        reckoning: request.reckoning,
    };
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
    let bounds = &chosen.proposal.bounds;
    let alert_sigmas = alert_sigmas(request.sensitivity, request.default_sensitivity);
    let seen = Seen::of(baseline, bounds, chosen.proposal.center);
    let (still, pair) = match &seen {
        Some(seen) => (seen.baseline(baseline), seen.pair),
        None => (*baseline, bounds.at(request.now)),
    };
    let effective_count = effective_count(&still, pair);
    let alert = alert_pair(&still, pair, alert_sigmas, effective_count / baseline.values.len() as f64);
    let alert = match &seen {
        Some(seen) => bounds.map(|pair| seen.frame(pair).outwards(alert)),
        None => Bounds::constant(alert.0, alert.1),
    };
    let alert = alert.unwrap_or_else(|_| bounds.clone());
    let line = recent_trend(request.at, request.values, bounds.period());
    let drift = drift(request, bounds, baseline.statistics.median, &line);
    let holding = holding(request, &still, pair, effective_count, drift, &chosen.rivals);
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
        reasoning: reasoning.into(),
        supporting: Supporting { statistics: baseline.statistics, trend: line.trend, effective_count },
        rivals: chosen.rivals.into(),
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
    let bounds = &candidate.proposal.bounds;
    let (lower, upper) = bounds.at(now);
    let periodic = bounds.period().map(|_| Arc::new(bounds.clone()));
    Rival { strategy: candidate.strategy.clone(), lower, upper, periodic, loss: candidate.loss }
}

/// A window as it looks from bounds that move: each value's distance from their middle, in their half widths. There the
/// bounds stand still, and what is said of windows holds of this one too.
struct Seen {
    values: Vec<f64>,
    sorted: Vec<f64>,
    /// The bounds: a side that is not there at all times is not there.
    pair: Pair,
    center: f64,
    /// A half width is at least this.
    floor: f64,
}

/// Where the bounds of one time lie, and how wide they are.
struct Frame {
    middle: f64,
    half: f64,
}

impl Seen {
    /// None: the bounds stand still.
    fn of(baseline: &Baseline, bounds: &Bounds, center: f64) -> Option<Seen> {
        bounds.period()?;
        let side =
            |side: fn(Pair) -> Option<f64>, still| bounds.pairs().all(|pair| side(pair).is_some()).then_some(still);
        let pair = (side(|pair| pair.0, -1.0), side(|pair| pair.1, 1.0));
        let mut seen = Seen { values: Vec::new(), sorted: Vec::new(), pair, center, floor: baseline.resolution() };
        let away = |(at, value): (&i64, &f64)| {
            let frame = seen.frame(bounds.at(Timestamp::from_millis(*at)));
            ((value - frame.middle) / frame.half).clamp(f64::MIN, f64::MAX)
        };
        seen.values = baseline.at.iter().zip(baseline.values).map(away).collect();
        let mut scratch = Scratch::default();
        sort_into(&seen.values, &mut scratch);
        seen.sorted = scratch.sorted;
        Some(seen)
    }

    fn frame(&self, pair: Pair) -> Frame {
        let middle = middle(pair, self.center);
        let half = pair.1.or(pair.0).map_or(self.floor, |bound| (bound - middle).abs().max(self.floor));
        Frame { middle, half }
    }

    fn baseline<'a>(&'a self, of: &Baseline<'a>) -> Baseline<'a> {
        let statistics = Statistics::of(&self.values, &self.sorted);
        Baseline { values: &self.values, sorted: &self.sorted, statistics, ..*of }
    }
}

impl Frame {
    /// A pair that stands still, at this time.
    fn outwards(&self, (lower, upper): Pair) -> Pair {
        let out = |bound: Option<f64>| bound.map(|away| self.middle + self.half * away).filter(|v| v.is_finite());
        (out(lower), out(upper))
    }
}

/// How many sigma-equivalents out an alert stands: 4.5, moved as far as verdicts moved the sensitivity.
pub fn alert_sigmas(sensitivity: Sensitivity, default: Sensitivity) -> f64 {
    (ALERT_SIGMAS * sensitivity.get() / default.get()).max(sensitivity.get() + 0.5)
}

/// Bounds that were chosen by merit hold at least what they should of their own window, and lie beyond a constant.
fn enclose(baseline: &Baseline, proposal: Proposal, now: Timestamp) -> Option<Proposal> {
    let Some(seen) = Seen::of(baseline, &proposal.bounds, proposal.center) else {
        let (lower, upper) = outermost(baseline, proposal.bounds.at(now));
        return self::proposal(baseline, lower, proposal.center, upper);
    };
    let (lower, upper) = outermost(&seen.baseline(baseline), seen.pair);
    if (Some(lower), Some(upper)) == seen.pair {
        return Some(proposal);
    }
    let (lower, upper) = (Some(lower).filter(|v| v.is_finite()), Some(upper).filter(|v| v.is_finite()));
    let bounds = proposal.bounds.map(|pair| seen.frame(pair).outwards((lower, upper))).ok()?;
    Some(Proposal { bounds, ..proposal })
}

/// Between which values at least a share of the samples (ascending) lies on each side.
fn range_holding(sorted: &[f64], share: f64) -> (f64, f64) {
    let from_end = sorted.len() - ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
    (sorted[from_end], sorted[sorted.len() - 1 - from_end])
}

/// These bounds, or those that hold what they should, whichever lie farther out.
fn outermost(baseline: &Baseline, (lower, upper): Pair) -> (f64, f64) {
    let floor = baseline.resolution();
    let sorted = baseline.sorted;
    let (most, least) = range_holding(sorted, OWN_SHARE);
    let (most_lower, least_upper) = (most - floor, least + floor);
    let upper = upper.unwrap_or(f64::INFINITY).max(least_upper);
    let lower = lower.unwrap_or(f64::NEG_INFINITY).min(most_lower);
    (lower, upper)
}

/// Where an ordinary sample falls as rarely as a bell's beyond `sigmas`: from the tail, and never inside the bounds or
/// 99 % of the window. A side without a bound has no alert either.
fn alert_pair(baseline: &Baseline, (lower, upper): Pair, sigmas: f64, independent: f64) -> Pair {
    let (p, floor, sorted) = (normal::cdf(-sigmas), baseline.resolution(), baseline.sorted);
    let out = |level: f64, own: f64, bound: Option<f64>| level.max(own).max(bound.unwrap_or(own)) + floor;
    let (highest, lowest) =
        (tail::upper_level(sorted, p, floor, independent), tail::lower_level(sorted, p, floor, independent));
    let (own_lowest, own_highest) = range_holding(sorted, OWN_SHARE_ALERT);
    let above = out(highest, own_highest, upper);
    let below = -out(-lowest, -own_lowest, lower.map(|v| -v));
    let finite = |v: f64| Some(v).filter(|v| v.is_finite());
    (lower.and_then(|_| finite(below)), upper.and_then(|_| finite(above)))
}

/// The trend of a window; with the `period` of a known season, of what that leaves over.
pub(crate) fn recent_trend(at: &[i64], values: &[f64], period: Option<Span>) -> Line {
    let period = period.map(Span::millis);
    // Every so-manieth sample over the whole window: the trend is the window's, not its end's.
    let step = values.len().div_ceil(TREND_SAMPLES).max(1);
    if step == 1 {
        return trend(at, values, period);
    }
    let at: Vec<i64> = at.iter().step_by(step).copied().collect();
    let values: Vec<f64> = values.iter().step_by(step).copied().collect();
    trend(&at, &values, period)
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
    drift: f64,
    rivals: &[Rival],
) -> Holding {
    let wanted = 2.0 * normal::cdf(-request.sensitivity.get());
    let spread = (wanted * (1.0 - wanted) / effective).sqrt();
    let estimated = 2.0 * normal::cdf(wanted.max(SHARE_NEAR) / spread) - 1.0;

    let last = &baseline.values[baseline.values.len() * 3 / 4..];
    let outside =
        |value: &&f64| lower.is_some_and(|bound| **value < bound) || upper.is_some_and(|bound| **value > bound);
    let breached = last.iter().filter(outside).count() as f64 / last.len().max(1) as f64;
    let steady = 1.0 - ((breached - 2.0 * wanted) / 0.5).clamp(0.0, 1.0);

    // Bounds that follow the clock are narrower than those that stand, which is no disagreement.
    let standing = rivals.iter().filter(|rival| rival.periodic.is_none());
    let widths: Vec<f64> = standing.filter_map(|rival| Some(rival.upper? - rival.lower?)).collect();
    let agreement = match widths.iter().copied().fold(None, |most: Option<(f64, f64)>, width| {
        Some(most.map_or((width, width), |(least, most)| (least.min(width), most.max(width))))
    }) {
        Some((least, most)) if most > 0.0 && most.is_finite() => 0.75 + 0.25 * (least / most),
        _ => 1.0,
    };
    Holding { estimated, steady, level: drift, agreement }
}

/// How far the trend, gone on for the lookahead, stays inside half a width: 1 without one.
fn drift(request: &Request, bounds: &Bounds, median: f64, line: &Line) -> f64 {
    if !matches!(line.trend, Trend::Increasing | Trend::Decreasing) {
        return 1.0;
    }
    let (mut sum, mut count) = (0.0, 0.0);
    for pair in bounds.pairs() {
        sum += match pair {
            (Some(lower), Some(upper)) => upper / 2.0 - lower / 2.0,
            (Some(bound), None) | (None, Some(bound)) => (bound - median).abs(),
            (None, None) => f64::INFINITY,
        };
        count += 1.0;
    }
    let drift = (line.slope_per_s * request.lookahead.secs() / (sum / count)).abs();
    // A trend that fills the window says that its statistics describe a time that has passed.
    0.8 / (1.0 + if drift.is_finite() { drift } else { 1.0 })
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
    let sigmas = request.sensitivity.get();
    let rhythm = chosen.proposal.bounds.rhythm().map_or(String::new(), |rhythm| format!(" {rhythm}"));
    let mut text = format!("{formula}{rhythm}, at {sigmas:.2} sigmas, over {count} samples of {span}");
    if chosen.widened {
        text += ", brought out to hold 95 % of them on each side";
    }
    if let Some(since) = request.level_since {
        text += &format!(" since its level shifted at {since}");
    }
    if request.masked > 0 {
        text += &format!(" without {} of alerts", request.masked);
    }
    if request.set_aside > 0 {
        let and = if request.masked > 0 { " and" } else { "" };
        text += &format!("{and} without {} that the calendar sets aside", request.set_aside);
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
