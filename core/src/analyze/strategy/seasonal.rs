//! Bounds that follow the clock: the period is found in the window, and each of its parts has its median, plus and minus `k`
//! scaled median deviations of what the medians leave over. A part's own deviation counts as far as its samples go; for the
//! rest that of most parts stands in.

use super::{Baseline, Level, Proposal, Strategy};
use crate::config::StrategyName;
use crate::stats::{median_deviation, quantile, season, sort_few};
use crate::threshold::{Bounds, Pair};
use crate::time::zone::{Stretch, Zone};
use crate::time::{Span, Timestamp};

pub struct Seasonal;

const DAY: u64 = 86_400_000;
const WEEK: u64 = 7 * DAY;

/// Into how many equal parts a period may be cut, the finest first: such that a person can read them.
const PARTS_OF_DAY: [usize; 7] = [96, 48, 24, 12, 8, 6, 4];
const PARTS_OF_WEEK: [usize; 6] = [168, 84, 56, 28, 14, 7];
const PARTS: [usize; 6] = [48, 24, 12, 8, 6, 4];

/// So many samples a part has at least, on average: fewer do not tell a median and a deviation.
const PER_PART: usize = 24;

/// A part with fewer than this is not read by itself.
const PER_PART_MIN: usize = 8;

/// A part's own deviation and that of most parts weigh the same at so many samples.
const SHRINK: f64 = 30.0;

const TO_SIGMA: f64 = 1.482_602_218_505_602;

impl Strategy for Seasonal {
    fn name(&self) -> StrategyName {
        "seasonal".into()
    }

    fn formula(&self, level: Level) -> String {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        format!("seasonal medians ± {:.2} scaled median deviations of what they leave over", k.get())
    }

    /// None also where the window shows no season.
    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal> {
        let (Level::Formula(k) | Level::Holding(k)) = level;
        let period = season::find(baseline.at, baseline.values, baseline.sorted)?;
        let parts = parts(baseline, period)?;
        let floor = baseline.resolution();
        let pairs = pairs(&parts, k.get(), floor)?;
        let learned = Timestamp::from_millis(baseline.at[baseline.at.len() - 1]);
        let clock = baseline.reckoning.zone.around(learned);
        let bounds = Bounds::periodic(Span::from_millis(period), pairs).ok()?.by_clock(clock);
        Some(Proposal { bounds, center: baseline.statistics.median })
    }
}

/// One part of the period: what lies in the middle there, how far the samples lie from it, and how many there are.
#[derive(Clone, Copy)]
struct Part {
    median: f64,
    deviation: f64,
    count: usize,
}

/// The window by parts of a period, None where a part has too few samples. None at all: most have.
fn parts(baseline: &Baseline, period: u64) -> Option<Vec<Option<Part>>> {
    let samples = baseline.values.len();
    let span = (baseline.at[samples - 1] - baseline.at[0]) as f64;
    let per_period = samples as f64 * period as f64 / span.max(1.0);
    let ladder: &[usize] = match period {
        DAY => &PARTS_OF_DAY,
        WEEK => &PARTS_OF_WEEK,
        _ => &PARTS,
    };
    let fits = |parts: &&usize| samples >= PER_PART * **parts && per_period >= **parts as f64;
    let count = *ladder.iter().find(fits)?;
    let part =
        |at: i64| (u128::from(at.rem_euclid(period as i64) as u64) * count as u128 / u128::from(period)) as usize;
    // Days and weeks are those of the clocks on the wall; what else repeats does so in elapsed time.
    let zone = if period == DAY || period == WEEK { &baseline.reckoning.zone } else { &Zone::UTC };
    // Times ascend: an offset is looked up where it changes.
    let mut alike = Stretch::default();
    let mut local = |at: i64| {
        if !alike.holds(at) {
            alike = zone.stretch(Timestamp::from_millis(at));
        }
        at + alike.offset_ms
    };
    // Spread by part, then each part sorted.
    let places: Vec<u16> = baseline.at.iter().map(|at| part(local(*at)) as u16).collect();
    let mut ends = vec![0_usize; count];
    places.iter().for_each(|place| ends[usize::from(*place)] += 1);
    let mut before = 0;
    for end in &mut ends {
        (before, *end) = (before + *end, before);
    }
    let mut spread = vec![0.0; samples];
    for (place, value) in places.iter().zip(baseline.values) {
        let next = &mut ends[usize::from(*place)];
        spread[*next] = *value;
        *next += 1;
    }
    let mut start = 0;
    let mut found = Vec::with_capacity(count);
    let mut keys = Vec::new();
    for end in ends {
        let values = &mut spread[start..end];
        start = end;
        found.push((values.len() >= PER_PART_MIN).then(|| {
            sort_few(values, &mut keys);
            let median = quantile(values, 0.5);
            // The median was fitted to the same few samples, which brings them nearer to it.
            let few = values.len() as f64 / (values.len() as f64 - 0.8);
            Part { median, deviation: few * TO_SIGMA * median_deviation(values, median), count: values.len() }
        }));
    }
    let thin = found.iter().filter(|part| part.is_none()).count();
    (4 * thin <= count).then_some(found)
}

/// Bounds of each part. None: one of them would not be finite.
fn pairs(parts: &[Option<Part>], k: f64, floor: f64) -> Option<Vec<Pair>> {
    let mut deviations: Vec<f64> = parts.iter().flatten().map(|part| part.deviation).collect();
    deviations.sort_unstable_by(f64::total_cmp);
    let usual = quantile(&deviations, 0.5);
    let own: Vec<Option<(f64, f64)>> = parts
        .iter()
        .map(|part| {
            let Part { median, deviation, count } = (*part)?;
            let weight = count as f64 / (count as f64 + SHRINK);
            // As squares, in units of the larger: those of 1e200 would be infinite.
            let unit = usual.max(deviation).max(f64::MIN_POSITIVE);
            let square = |deviation: f64| (deviation / unit) * (deviation / unit);
            let deviation = unit * (weight * square(deviation) + (1.0 - weight) * square(usual)).sqrt();
            let width = (k * deviation).max(floor);
            Some((median - width, median + width))
        })
        .collect();
    // Where nearly nothing was seen, what holds before and after does.
    let count = own.len();
    let around = |i: usize| {
        let before = (1..count).find_map(|away| own[(i + count - away) % count])?;
        let after = (1..count).find_map(|away| own[(i + away) % count])?;
        Some((before.0.min(after.0), before.1.max(after.1)))
    };
    let pair = |i: usize| {
        let (lower, upper) = own[i].or_else(|| around(i))?;
        (lower.is_finite() && upper.is_finite()).then_some((Some(lower), Some(upper)))
    };
    (0..count).map(pair).collect()
}
