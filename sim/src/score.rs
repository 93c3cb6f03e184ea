//! How well are labelled anomalies found? Measures that others publish too, so that a figure can be compared and checked.
//!
//! Each measure leaves something out. NAB's rewards the first hit of an event and its earliness, and forgets the rest;
//! VUS-PR rewards a score that is high as long as the event lasts, and knows no threshold; pages at a budget are what a
//! person on call feels. All take scores in rows of one series, higher is stranger, whatever their scale: only the order
//! of scores matters. What a random score gets belongs beside every figure: it is rarely zero.

pub mod nab;
pub mod pages;
pub mod vus;

use crate::chance::Chance;

/// The seed of the score that knows nothing.
pub const RANDOM_SEED: u64 = 1;

/// A detector learns from the first rows, and what it says of them does not count: so much of a series, at most so many
/// rows (NAB's probationary period).
const PROBATION_SHARE: f64 = 0.15;
const PROBATION_ROWS_MAX: f64 = 750.0;

/// A labelled event: its first and its last row, both inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub first: usize,
    pub last: usize,
}

/// The events of a series: runs of labelled rows, in order. No two of them touch.
pub fn events(labels: &[bool]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for row in (0..labels.len()).filter(|row| labels[*row]) {
        match events.last_mut() {
            Some(event) if event.last + 1 == row => event.last = row,
            _ => events.push(Event { first: row, last: row }),
        }
    }
    events
}

/// How many of so many rows at the start of a series do not count.
pub fn probation(rows: usize) -> usize {
    (PROBATION_SHARE * rows as f64).min(PROBATION_ROWS_MAX) as usize
}

/// Scores that can be put in order: what is not a number counts as the least there is, infinity as more than the most.
pub fn finite(scores: &[f64]) -> Vec<f64> {
    let finite = || scores.iter().copied().filter(|score| score.is_finite());
    let (least, most) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if least > most {
        return vec![0.0; scores.len()];
    }
    let ordered = |score: &f64| match *score {
        score if score.is_finite() => score,
        f64::INFINITY => most + 1.0,
        _ => least,
    };
    scores.iter().map(ordered).collect()
}

/// A score that knows nothing: uniform from 0 to 1, the same for the same name on every machine.
pub fn random(name: &str, rows: usize) -> Vec<f64> {
    let mut chance = Chance::stream(RANDOM_SEED, name);
    (0..rows).map(|_| chance.uniform()).collect()
}

/// F1 of alerts, sample by sample: the harmonic mean of how much of the labelled rows is in alert, and how much of what
/// is in alert is labelled. None where nothing is labelled.
pub fn f1_by_sample(labels: &[bool], alerts: &[bool]) -> Option<f64> {
    assert_eq!(labels.len(), alerts.len(), "there is one alert for every label");
    let count = |of: &[bool]| of.iter().filter(|row| **row).count();
    let both = labels.iter().zip(alerts).filter(|(label, alert)| **label && **alert).count();
    let (labelled, alerted) = (count(labels), count(alerts));
    (labelled > 0).then(|| 2.0 * both as f64 / (labelled + alerted) as f64)
}

/// The middle one; of an even number the mean of the two. None of none.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_runs_of_labelled_rows() {
        let of = |text: &str| events(&text.bytes().map(|byte| byte == b'1').collect::<Vec<_>>());
        let event = |first, last| Event { first, last };
        assert_eq!(of(""), []);
        assert_eq!(of("000"), []);
        assert_eq!(of("0110100"), [event(1, 2), event(4, 4)]);
        assert_eq!(of("111"), [event(0, 2)]);
        assert_eq!(of("101"), [event(0, 0), event(2, 2)]);
    }

    #[test]
    fn probation_is_a_share_that_ends_at_750_rows() {
        assert_eq!([0, 1, 20, 1000, 5000, 100_000].map(probation), [0, 0, 3, 150, 750, 750]);
    }

    #[test]
    fn scores_without_a_number_are_the_least_and_infinite_ones_the_most() {
        let spoiled = [2.0, f64::NAN, f64::INFINITY, -1.0, f64::NEG_INFINITY];
        assert_eq!(finite(&spoiled), [2.0, -1.0, 3.0, -1.0, -1.0]);
        assert_eq!(finite(&[f64::NAN, f64::INFINITY]), [0.0, 0.0]);
    }

    #[test]
    fn f1_by_sample_as_by_hand() {
        let (yes, no) = (true, false);
        // Two of three labelled rows are in alert, and two of four rows in alert are labelled: p 1/2, r 2/3, F1 4/7.
        let f1 = f1_by_sample(&[yes, yes, yes, no, no, no], &[no, yes, yes, yes, yes, no]).expect("labels");
        assert!((f1 - 4.0 / 7.0).abs() < 1e-12, "{f1}");
        assert_eq!(f1_by_sample(&[yes, no], &[no, no]), Some(0.0));
        assert_eq!(f1_by_sample(&[no, no], &[yes, no]), None);
    }

    #[test]
    fn a_random_score_is_the_same_for_the_same_name() {
        assert_eq!(random("a", 5), random("a", 5));
        assert_ne!(random("a", 5), random("b", 5));
    }
}
