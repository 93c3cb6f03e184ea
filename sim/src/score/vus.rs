//! VUS-PR: the volume under precision and recall, over thresholds and over tolerances around an event.
//!
//! As TSB-AD computes it (Paparrizos et al., PVLDB 15, 2022; Liu and Paparrizos, NeurIPS 2024). For every width w from 0
//! to the window, rows up to w / 2 before and after an event count in part, sqrt(1 - distance / w), and recall is
//! multiplied by the share of events that were touched at all. The mean of the areas over all widths is the volume. The
//! window is the series' period. A score that knows nothing gets about the share of labelled rows, or a little more.
//!
//! A row near two events counts fully: each alone gives at least sqrt(1/2). So it is enough to know its nearest and its
//! second nearest event, and how many rows of each distance each threshold adds. Sorting aside, a series costs O(rows +
//! window² x thresholds), however its events lie.

use super::{Event, events};

/// So many thresholds, at even ranks from the highest score to the lowest.
const LEVELS: usize = 250;

/// The period of a series that shows none, in rows.
const PERIOD_DEFAULT: usize = 125;
const PERIOD_ROWS_MAX: usize = 20_000;
/// Shorter lags are noise, longer ones are not looked at.
const LAG_MIN: usize = 3;
const LAG_MAX: usize = 400;

/// The lag, in rows, at which a series is most like itself: the highest local maximum of its autocorrelation up to
/// [`LAG_MAX`]. 125 where there is none between 6 and 303, or where a value is not a number.
pub fn period(values: &[f64]) -> usize {
    let values = &values[..values.len().min(PERIOD_ROWS_MAX)];
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let squares: f64 = centred.iter().map(|x| x * x).sum();
    // What is left of a constant is rounding, not shape; the comparison is false for what is not a number.
    let rounding = (f64::EPSILON * mean).powi(2) * values.len() as f64;
    if values.len() < 10 || squares.is_infinite() || squares.partial_cmp(&rounding) != Some(std::cmp::Ordering::Greater)
    {
        return PERIOD_DEFAULT;
    }
    let likeness = |lag: usize| centred.iter().zip(&centred[lag..]).map(|(a, b)| a * b).sum::<f64>() / squares;
    let likeness: Vec<f64> = (0..=LAG_MAX.min(values.len() - 1)).map(likeness).collect();
    let is_peak = |lag: &usize| likeness[*lag] > likeness[lag - 1] && likeness[*lag] > likeness[lag + 1];
    let peaks = (LAG_MIN + 1..likeness.len().saturating_sub(1)).filter(is_peak);
    match peaks.max_by(|a, b| likeness[*a].total_cmp(&likeness[*b])) {
        Some(lag) if (2 * LAG_MIN..=300 + LAG_MIN).contains(&lag) => lag,
        _ => PERIOD_DEFAULT,
    }
}

/// The volume, 0 to 1. None where nothing is labelled, or everything is.
pub fn vus_pr(labels: &[bool], scores: &[f64], window: usize) -> Option<f64> {
    assert_eq!(labels.len(), scores.len(), "there is one score for every label");
    let events = events(labels);
    if events.is_empty() || labels.iter().all(|label| *label) {
        return None;
    }
    let levels = Levels::of(scores);
    let mut labelled = [0.0; LEVELS];
    for level in (0..labels.len()).filter(|row| labels[*row]).map(|row| levels.of_row[row]) {
        labelled[usize::from(level)] += 1.0;
    }
    let mut near = Near::of(&events, &levels.of_row, window / 2);
    let mut touched = Touched::of(&events, &levels.of_row);
    let mut volume = 0.0;
    for width in 0..=window {
        let reach = width / 2;
        if width % 2 == 0 && reach > 0 {
            near.widen(reach);
            touched.widen(reach);
        }
        let added = near.added(width);
        let (first_touched, count) = touched.at(reach);
        volume += area(&labelled, &added, &first_touched, count, &levels.flagged);
    }
    Some(volume / (window + 1) as f64)
}

/// The area under precision and recall at one width. Arrays say what each threshold adds to the one before: labelled
/// rows, rows near events in part, events touched.
fn area(
    labelled: &[f64; LEVELS],
    near: &[f64; LEVELS],
    touched: &[f64; LEVELS],
    events: usize,
    flagged: &[f64; LEVELS],
) -> f64 {
    let all: f64 = labelled.iter().sum();
    let (mut hit, mut partly, mut found, mut before, mut area) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for level in 0..LEVELS {
        hit += labelled[level];
        partly += near[level];
        found += touched[level];
        let recall = ((hit + partly) / (all + 0.5 * partly)).min(1.0) * found / events as f64;
        area += (recall - before) * (hit + partly) / flagged[level];
        before = recall;
    }
    area
}

/// The thresholds, and from which on each row is flagged.
struct Levels {
    of_row: Vec<u8>,
    /// Rows flagged at each threshold.
    flagged: [f64; LEVELS],
}

impl Levels {
    fn of(scores: &[f64]) -> Levels {
        let mut falling = scores.to_vec();
        falling.sort_unstable_by(|a, b| b.total_cmp(a));
        let last = scores.len() - 1;
        let step = last as f64 / (LEVELS - 1) as f64;
        let rank = |level: usize| if level == LEVELS - 1 { last } else { (level as f64 * step) as usize };
        let thresholds: [f64; LEVELS] = std::array::from_fn(|level| falling[rank(level)]);
        // The last threshold is the lowest score, so every row has one.
        let of_row: Vec<u8> =
            scores.iter().map(|score| thresholds.partition_point(|threshold| threshold > score) as u8).collect();
        let mut flagged = [0.0; LEVELS];
        for level in &of_row {
            flagged[usize::from(*level)] += 1.0;
        }
        for level in 1..LEVELS {
            flagged[level] += flagged[level - 1];
        }
        Levels { of_row, flagged }
    }
}

/// Rows that are not labelled but near events.
struct Near {
    /// By distance, from 1, and level: rows with one event near enough so far.
    by_one: Vec<[f64; LEVELS]>,
    /// By level: rows with more.
    by_more: [f64; LEVELS],
    /// By the distance of the second nearest event: distance of the nearest, and level.
    seconds: Vec<Vec<(usize, u8)>>,
}

impl Near {
    fn of(events: &[Event], levels: &[u8], reach: usize) -> Near {
        let mut near = Near {
            by_one: vec![[0.0; LEVELS]; reach + 1],
            by_more: [0.0; LEVELS],
            seconds: vec![Vec::new(); reach + 1],
        };
        let mut start = 0;
        for after in 0..=events.len() {
            let end = events.get(after).map_or(levels.len(), |event| event.first);
            for (row, level) in (start..end).zip(&levels[start..end]) {
                // Two on either side: nobody else can be among the nearest two.
                let before = events[..after].iter().rev().take(2).map(|event| row - event.last);
                let behind = events[after..].iter().take(2).map(|event| event.first - row);
                let (mut first, mut second) = (usize::MAX, usize::MAX);
                for distance in before.chain(behind) {
                    if distance < first {
                        (first, second) = (distance, first);
                    } else {
                        second = second.min(distance);
                    }
                }
                if first <= reach {
                    near.by_one[first][usize::from(*level)] += 1.0;
                }
                if second <= reach {
                    near.seconds[second].push((first, *level));
                }
            }
            start = events.get(after).map_or(end, |event| event.last + 1);
        }
        near
    }

    /// Events are near up to this distance from now on.
    fn widen(&mut self, reach: usize) {
        for (first, level) in self.seconds[reach].drain(..) {
            self.by_one[first][usize::from(level)] -= 1.0;
            self.by_more[usize::from(level)] += 1.0;
        }
    }

    /// By level: what these rows count at a width.
    fn added(&self, width: usize) -> [f64; LEVELS] {
        let mut added = self.by_more;
        for distance in 1..=width / 2 {
            let part = (1.0 - distance as f64 / width as f64).sqrt();
            for (added, rows) in added.iter_mut().zip(&self.by_one[distance]) {
                *added += part * rows;
            }
        }
        added
    }
}

/// From which threshold on each event is touched, with what is near it.
struct Touched<'a> {
    events: &'a [Event],
    levels: &'a [u8],
    first: Vec<u8>,
}

impl<'a> Touched<'a> {
    fn of(events: &'a [Event], levels: &'a [u8]) -> Touched<'a> {
        let first = |event: &Event| levels[event.first..=event.last].iter().copied().min().unwrap_or(u8::MAX);
        Touched { events, levels, first: events.iter().map(first).collect() }
    }

    fn widen(&mut self, reach: usize) {
        for (event, first) in self.events.iter().zip(&mut self.first) {
            let ends = [event.first.checked_sub(reach), Some(event.last + reach)];
            for level in ends.into_iter().flatten().filter_map(|row| self.levels.get(row)) {
                *first = (*level).min(*first);
            }
        }
    }

    /// By level: events touched first at it; and how many events there are. Those that reach each other are one.
    fn at(&self, reach: usize) -> ([f64; LEVELS], usize) {
        let mut touched = [0.0; LEVELS];
        let (mut count, mut at) = (0, 0);
        while at < self.events.len() {
            let mut first = self.first[at];
            while at + 1 < self.events.len() && self.events[at].last + 2 * reach >= self.events[at + 1].first {
                at += 1;
                first = first.min(self.first[at]);
            }
            touched[usize::from(first)] += 1.0;
            count += 1;
            at += 1;
        }
        (touched, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// The definition, word by word, in O(rows x events x thresholds) for every width.
    fn plain(labels: &[bool], scores: &[f64], window: usize) -> f64 {
        let events = events(labels);
        let mut falling = scores.to_vec();
        falling.sort_by(|a, b| b.total_cmp(a));
        let rank = |level: usize| (level as f64 * ((scores.len() - 1) as f64 / 249.0)) as usize;
        let thresholds: Vec<f64> =
            (0..250).map(|level| falling[if level == 249 { scores.len() - 1 } else { rank(level) }]).collect();
        let mut volume = 0.0;
        for width in 0..=window {
            let half = width / 2;
            let weight = |row: usize| match labels[row] {
                true => 1.0,
                false => {
                    let distance = |event: &Event| if row < event.first { event.first - row } else { row - event.last };
                    let near = events.iter().map(distance).filter(|distance| *distance <= half);
                    near.map(|distance| (1.0 - distance as f64 / width as f64).sqrt()).sum::<f64>().min(1.0)
                }
            };
            let weights: Vec<f64> = (0..labels.len()).map(weight).collect();
            // Widened events, as ranges of rows; those that reach each other are one.
            let mut widened: Vec<(usize, usize)> = Vec::new();
            for event in &events {
                let range = (event.first.saturating_sub(half), (event.last + half).min(labels.len() - 1));
                match widened.last_mut() {
                    Some(last) if range.0 <= last.1 => last.1 = range.1,
                    _ => widened.push(range),
                }
            }
            let (mut before, mut area) = (0.0, 0.0);
            for threshold in &thresholds {
                let flagged: Vec<usize> = (0..scores.len()).filter(|row| scores[*row] >= *threshold).collect();
                let hit: f64 = flagged.iter().map(|row| weights[*row]).sum();
                let partly: f64 = flagged.iter().filter(|row| !labels[**row]).map(|row| weights[*row]).sum();
                let labelled = labels.iter().filter(|label| **label).count() as f64;
                let touched = widened.iter().filter(|(a, b)| flagged.iter().any(|row| a <= row && row <= b)).count();
                let recall = (hit / (labelled + 0.5 * partly)).min(1.0) * touched as f64 / widened.len() as f64;
                area += (recall - before) * hit / flagged.len() as f64;
                before = recall;
            }
            volume += area;
        }
        volume / (window + 1) as f64
    }

    #[test]
    fn it_is_the_definition_only_faster() {
        for seed in 0..60 {
            let mut chance = Chance::new(seed);
            let rows = 20 + chance.below(400);
            let mut labels = vec![false; rows];
            // Few long events, or many that reach each other.
            for _ in 0..1 + chance.below(12) {
                let first = chance.below(rows);
                let last = (first + chance.below(10)).min(rows - 1);
                labels[first..=last].fill(true);
            }
            // Coarse scores have ties.
            let grain = *chance.one_of(&[3.0, 20.0, 1e6]);
            let scores: Vec<f64> =
                labels.iter().map(|l| ((chance.uniform() + f64::from(*l) * 0.4) * grain).floor()).collect();
            let window = chance.below(40);
            let (Some(got), wanted) = (vus_pr(&labels, &scores, window), plain(&labels, &scores, window)) else {
                continue;
            };
            assert!((got - wanted).abs() < 1e-9, "seed {seed}: {got} is not {wanted}");
        }
    }

    fn labels() -> Vec<bool> {
        (0..2000).map(|row| (700..800).contains(&row) || (1500..1600).contains(&row)).collect()
    }

    #[test]
    fn without_tolerance_it_is_the_area_under_precision_and_recall() {
        // Ten rows, two labelled. By falling score: yes, no, yes, no... so precision 1 and 2/3 at recalls 1/2 and 1.
        let labels = [true, false, false, true, false, false, false, false, false, false];
        let scores = [9.0, 8.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        // Recall is multiplied by the events touched: one of two at first, so recall is 1/4 and then 1.
        let wanted = 0.25 * 1.0 + 0.75 * (2.0 / 3.0);
        let got = vus_pr(&labels, &scores, 0).expect("labels");
        assert!((got - wanted).abs() < 1e-12, "{got} is not {wanted}");
    }

    #[test]
    fn perfect_random_and_constant_scores() {
        let labels = labels();
        let perfect: Vec<f64> = labels.iter().map(|label| f64::from(*label)).collect();
        assert_eq!(vus_pr(&labels, &perfect, 0), Some(1.0));
        assert!(vus_pr(&labels, &perfect, 50).expect("labels") > 0.85);
        // A tenth is labelled, and the tolerance makes it a little more.
        let random = vus_pr(&labels, &super::super::random("x", 2000), 50).expect("labels");
        assert!((0.1..0.16).contains(&random), "{random}");
        let constant = vus_pr(&labels, &[3.0; 2000], 0).expect("labels");
        assert!((constant - 0.1).abs() < 1e-12, "{constant}");
    }

    #[test]
    fn only_the_order_of_scores_matters() {
        let labels = labels();
        let scores = super::super::random("y", 2000);
        let stretched: Vec<f64> = scores.iter().map(|score| (9.0 * score).exp() - 4.0).collect();
        assert_eq!(vus_pr(&labels, &scores, 60), vus_pr(&labels, &stretched, 60));
    }

    #[test]
    fn where_nothing_or_everything_is_labelled_there_is_none() {
        assert_eq!(vus_pr(&[false; 9], &[1.0; 9], 5), None);
        assert_eq!(vus_pr(&[true; 9], &[1.0; 9], 5), None);
        assert_eq!(vus_pr(&[], &[], 5), None);
        assert!(vus_pr(&[true, false], &[1.0, 0.0], 300).is_some_and(f64::is_finite), "shorter than the window");
    }

    #[test]
    fn a_wave_has_its_period_and_a_constant_has_none() {
        let wave: Vec<f64> = (0..3000).map(|row| (f64::from(row) * std::f64::consts::TAU / 48.0).sin()).collect();
        assert_eq!(period(&wave), 48);
        assert_eq!(period(&[0.1; 500]), PERIOD_DEFAULT);
        assert_eq!(period(&[]), PERIOD_DEFAULT);
        let mut spoiled = wave;
        for spoil in [f64::NAN, f64::INFINITY, 1e300] {
            spoiled[7] = spoil;
            assert_eq!(period(&spoiled), PERIOD_DEFAULT);
        }
    }
}
