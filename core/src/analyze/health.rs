//! How the series are doing right now, from their last `analysis_depth` samples: who is in breach, who has shifted, whose
//! trend leads out of bounds.

use crate::knowledge::Knowledge;
use crate::knowledge::series::Series;
use crate::series::SeriesName;
use crate::stats::Trend;
use crate::stats::trend::trend;
use crate::time::{Span, Timestamp};

/// The usual share of series in breach follows the present one within this time: it forgets half in an hour and a half, so that an
/// outage of some minutes does not become usual.
const USUAL_OVER: Span = Span::from_secs(8_000);

/// Of fewer series a share says nothing of the whole: one that goes its own way would be an outage.
const SERIES_MIN: usize = 10;

pub(crate) struct Health {
    pub breach_share_usual: Option<f64>,
    pub breach_share_above_usual: Option<f64>,
    /// Forecasts that came or went.
    pub forecasts: Vec<(SeriesName, Option<Timestamp>)>,
}

pub(crate) fn of(knowledge: &Knowledge, now: Timestamp) -> Health {
    let depth = knowledge.parameters().analysis_depth as usize;
    let lookahead = knowledge.parameters().planning_lookahead;
    let (mut judged, mut breaching) = (0_usize, 0_usize);
    let mut forecasts = Vec::new();
    let (mut at, mut values) = (Vec::with_capacity(depth), Vec::with_capacity(depth));
    for series in knowledge.attended() {
        let Some(threshold) = series.in_force() else { continue };
        // A young threshold says little, and of all of a fresh start at once.
        let crosses_at = match threshold.young {
            true => None,
            // What is done to a series on purpose leads nowhere, and says nothing of how the whole is doing.
            false if series.occasions(now).silent => None,
            false => {
                judged += 1;
                breaching += usize::from(in_breach(series, depth));
                crossing(series, depth, lookahead, now, &mut at, &mut values)
            }
        };
        // That it comes or goes is news; that it moves by a cycle is not.
        if crosses_at.is_some() != series.forecast().is_some() {
            forecasts.push((series.name().clone(), crosses_at));
        }
    }
    let share = (judged >= SERIES_MIN).then(|| breaching as f64 / judged as f64);
    let usual = match (knowledge.breach_share_usual(), share) {
        (Some(usual), Some(share)) => {
            // After a pause no more than between two cycles: what was meanwhile nobody saw.
            let since = now.since(knowledge.last_cycle()).min(knowledge.parameters().monitoring_interval);
            let passed = since.secs() / USUAL_OVER.secs();
            Some(usual - (-passed).exp_m1() * (share - usual))
        }
        (None, share) => share,
        (usual, None) => usual,
    };
    let above = share.zip(knowledge.breach_share_usual()).map(|(share, usual)| (share - usual).max(0.0));
    Health { breach_share_usual: usual, breach_share_above_usual: above, forecasts }
}

/// Whether a series is in breach now, by a tenth of the depth: long enough that one ordinary breach in twenty does not
/// count, short enough to be now.
fn in_breach(series: &Series, depth: usize) -> bool {
    let recent = (depth / 10).max(3).min(series.window().len());
    2 * series.breaches_in_last(recent) >= recent
}

/// How many of the last samples belong to a new level: going back from the newest, in steps of a quarter of the depth, as
/// long as more than half of each breach; from the first two in a row that do. None while they are fewer than a series is
/// learned from: an excursion is no new level.
pub(crate) fn shifted(knowledge: &Knowledge, series: &Series) -> Option<usize> {
    let depth = knowledge.parameters().analysis_depth as usize;
    // What is over is no new level, however many of the last samples it takes up; nor is what a person called trouble.
    if series.in_force().is_none() || series.is_in_trouble() || !in_breach(series, depth) {
        return None;
    }
    let step = (depth / 4).max(10);
    // A deploy or maintenance makes no new level until it is over.
    let breaches = |at, value| !series.occasions(at).masked && series.breaches(at, value);
    let mut newest_first = series.window().iter().rev().map(|(at, value)| breaches(at, value));
    // Up to the earliest two in a row that breach, of those that were walked over.
    let (mut walked, mut shifted, mut before) = (0, 0, false);
    loop {
        let (mut seen, mut breached) = (0, 0);
        for breach in newest_first.by_ref().take(step) {
            seen += 1;
            breached += usize::from(breach);
            if breach && before {
                shifted = walked + seen;
            }
            before = breach;
        }
        if seen < step || 2 * breached <= step {
            break;
        }
        walked += step;
    }
    (shifted >= knowledge.config().learning.min_data_points).then_some(shifted)
}

/// When the trend of the last `depth` samples, gone on for `lookahead`, lies beyond the alert level. Never where the depth is
/// less than a trend needs: in critical there is no work for what may come.
fn crossing(
    series: &Series,
    depth: usize,
    lookahead: Span,
    now: Timestamp,
    at: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Option<Timestamp> {
    let threshold = series.in_force()?;
    at.clear();
    values.clear();
    // A known season is no trend: around bounds that depend on time, it is how far values lie from their middle.
    let ordinary = |time| match threshold.bounds.period() {
        Some(_) => threshold.bounds.center_on(time, threshold.center, series.occasions(time).holiday),
        None => 0.0,
    };
    for (time, value) in series.window().last_exact(depth) {
        at.push(time.millis());
        values.push(value - ordinary(time));
    }
    let line = trend(at, values, None);
    let then = now + lookahead;
    let (lower, upper) = threshold.alert.on(then, series.occasions(then).holiday);
    let (lower, upper) = (lower.map(|v| v - ordinary(then)), upper.map(|v| v - ordinary(then)));
    let newest = *values.last()?;
    let room = match line.trend {
        Trend::Increasing => upper? - newest,
        Trend::Decreasing => lower? - newest,
        Trend::Stable | Trend::Unknown => return None,
    };
    let secs = room / line.slope_per_s;
    // Beyond already: that is an alert, no forecast.
    (secs > 0.0 && secs <= lookahead.secs()).then(|| now + Span::from_millis((secs * 1000.0) as u64))
}
