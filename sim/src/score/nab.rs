//! NAB's scoring, version 1.1 (Lavin and Ahmad, ICMLA 2015; github.com/numenta/NAB).
//!
//! Of the rows that a threshold flags, the best in a window earns up to 1, the more the earlier it is; a window without
//! any costs the weight of a miss; each one outside costs up to the weight of a false positive, less when it comes soon
//! after a window. With s(x) = 2 / (1 + exp(5x)) - 1, a row in a window of w rows that ends e rows later earns
//! s(-(e + 1) / w) / s(-1); one that comes d rows after it costs -s(d / (w - 1)), and 1 beyond 3 window lengths or before
//! any window. One threshold is chosen over all series, by hindsight, for each profile. A hundred is perfect, 0 is a
//! detector that says nothing.

use super::{Event, probation};

/// What a hit earns, and what a miss and a false positive cost.
struct Profile {
    hit: f64,
    miss: f64,
    false_positive: f64,
}

const STANDARD: Profile = Profile { hit: 1.0, miss: 1.0, false_positive: 0.11 };
const LOW_FALSE_POSITIVES: Profile = Profile { hit: 1.0, miss: 1.0, false_positive: 0.22 };
const LOW_MISSES: Profile = Profile { hit: 1.0, miss: 2.0, false_positive: 0.11 };

/// A whole series: a score for every row, and the windows, in order.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub scores: &'a [f64],
    pub windows: &'a [Event],
}

/// Points of the three profiles: at most 100, and 0 for saying nothing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Nab {
    pub standard: f64,
    pub low_false_positives: f64,
    pub low_misses: f64,
}

/// One row after probation, and what it is worth when it is flagged.
struct Row {
    score: f64,
    /// In a window up to 1, outside down to -1.
    worth: f64,
    window: Option<usize>,
}

/// None where there is no window after probation.
pub fn nab(series: &[Series<'_>]) -> Option<Nab> {
    let mut rows = Vec::new();
    let mut windows = 0;
    for one in series {
        collect(one, windows, &mut rows);
        windows += one.windows.len();
    }
    let mut seen = vec![false; windows];
    for window in rows.iter().filter_map(|row| row.window) {
        seen[window] = true;
    }
    if !seen.contains(&true) {
        return None;
    }
    rows.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    let points = |profile| best(&rows, &seen, &profile);
    Some(Nab {
        standard: points(STANDARD),
        low_false_positives: points(LOW_FALSE_POSITIVES),
        low_misses: points(LOW_MISSES),
    })
}

fn sigmoid(x: f64) -> f64 {
    if x > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * x).exp()) - 1.0 }
}

/// Adds the rows of one series; its windows are numbered from `number` on.
fn collect(series: &Series<'_>, number: usize, rows: &mut Vec<Row>) {
    let Series { scores, windows } = series;
    let first = sigmoid(-1.0);
    let mut next = 0;
    for (at, score) in scores.iter().enumerate() {
        while windows.get(next).is_some_and(|window| window.last < at) {
            next += 1;
        }
        let length = |window: &Event| (window.last - window.first + 1) as f64;
        let (worth, window) = match (windows.get(next), next.checked_sub(1).map(|last| &windows[last])) {
            (Some(now), _) if now.first <= at => {
                (sigmoid(-((now.last - at + 1) as f64) / length(now)) / first, Some(number + next))
            }
            // A window of one row has no length to measure by: what follows is far.
            (_, Some(past)) => (sigmoid((at - past.last) as f64 / (length(past) - 1.0)), None),
            (_, None) => (-1.0, None),
        };
        if at >= probation(scores.len()) {
            rows.push(Row { score: *score, worth, window });
        }
    }
}

/// The points at the best threshold; rows by falling score, the windows that have any row.
fn best(rows: &[Row], seen: &[bool], profile: &Profile) -> f64 {
    // Until it is hit, a window counts as missed.
    let mut of_window: Vec<f64> = vec![-profile.miss; seen.len()];
    let nothing = -profile.miss * seen.iter().filter(|seen| **seen).count() as f64;
    let (mut sum, mut best) = (nothing, nothing);
    for (at, row) in rows.iter().enumerate() {
        if at > 0 && row.score != rows[at - 1].score {
            best = best.max(sum);
        }
        match row.window {
            None => sum += row.worth * profile.false_positive,
            Some(window) => {
                let better = (row.worth * profile.hit - of_window[window]).max(0.0);
                sum += better;
                of_window[window] += better;
            }
        }
    }
    best = best.max(sum);
    // Windows that lie in probation cannot be hit, and still count: as published.
    let perfect = seen.len() as f64 * profile.hit;
    100.0 * (best - nothing) / (perfect - nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty rows, of which three are probation; a window of five rows from 10 on. The rows named are flagged.
    fn of_twenty(flagged: &[usize]) -> Nab {
        let mut scores = [0.0; 20];
        for row in flagged {
            scores[*row] = 1.0;
        }
        nab(&[Series { scores: &scores, windows: &[Event { first: 10, last: 14 }] }]).expect("a window")
    }

    fn near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() < 1e-9, "{got} is not {wanted}");
    }

    #[test]
    fn a_window_is_worth_as_much_as_its_first_hit_is_early() {
        assert_eq!(of_twenty(&[10]), Nab { standard: 100.0, low_false_positives: 100.0, low_misses: 100.0 });
        // The last row of five: s(-0.2) / s(-1), and s(-x) is tanh(5x / 2). From -1 to that, of -1 to 1.
        let last = 0.5_f64.tanh() / 2.5_f64.tanh();
        near(of_twenty(&[14]).standard, 100.0 * (1.0 + last) / 2.0);
        near(of_twenty(&[14]).low_misses, 100.0 * (2.0 + last) / 3.0);
        // Later hits of the same window change nothing.
        assert_eq!(of_twenty(&[12, 13, 14]), of_twenty(&[12]));
    }

    #[test]
    fn a_false_positive_costs_less_soon_after_a_window() {
        let cost = |row, weight: f64| (100.0 - of_twenty(&[10, row]).standard, 100.0 * weight * 0.11 / 2.0);
        // Before any window it costs all; one row after a window of five s(1/4) = -tanh(0.625) of it.
        let (got, wanted) = cost(5, 1.0);
        near(got, wanted);
        let (got, wanted) = cost(15, 0.625_f64.tanh());
        near(got, wanted);
        near(100.0 - of_twenty(&[10, 5]).low_false_positives, 100.0 * 0.22 / 2.0);
    }

    #[test]
    fn what_is_said_in_probation_does_not_count_and_silence_is_worth_nothing() {
        assert_eq!(of_twenty(&[10, 2]), of_twenty(&[10]));
        near(100.0 - of_twenty(&[10, 3]).standard, 5.5);
        // Everything flagged: found at once, seven rows before cost all of their 0.11, five after more and more.
        let after: f64 = (1..=5).map(|row| (0.625 * f64::from(row)).tanh()).sum();
        near(of_twenty(&[]).standard, 100.0 * (2.0 - 0.11 * (7.0 + after)) / 2.0);
        assert_eq!(of_twenty(&[19]), of_twenty(&[]), "the best threshold flags everything");
        // Over two hundred rows that costs more than the window is worth: the best threshold flags nothing.
        let long = Series { scores: &[1.0; 200], windows: &[Event { first: 100, last: 104 }] };
        assert_eq!(nab(&[long]).map(|points| points.standard), Some(0.0));
    }

    #[test]
    fn a_window_of_one_row_and_one_in_probation() {
        let mut scores = [0.0; 20];
        (scores[12], scores[13]) = (1.0, 1.0);
        let windows = [Event { first: 12, last: 12 }];
        // After a single row everything is far: the false positive costs all of its 0.11.
        let points = nab(&[Series { scores: &scores, windows: &windows }]).expect("a window").standard;
        near(points, 100.0 * (2.0 - 0.11) / 2.0);
        let windows = [Event { first: 0, last: 1 }];
        assert_eq!(nab(&[Series { scores: &scores, windows: &windows }]), None);
        assert_eq!(nab(&[]), None);
    }

    #[test]
    fn one_threshold_holds_for_all_series() {
        let (mut loud, mut quiet) = ([5.0; 20], [0.0; 20]);
        (loud[10], quiet[10]) = (6.0, 1.0);
        let windows = [Event { first: 10, last: 14 }];
        let of = |scores: &[&[f64]]| {
            let series: Vec<Series<'_>> = scores.iter().map(|scores| Series { scores, windows: &windows }).collect();
            nab(&series).expect("windows").standard
        };
        assert_eq!((of(&[&loud]), of(&[&quiet])), (100.0, 100.0));
        assert!(of(&[&loud, &quiet]) < 80.0, "a threshold that finds the quiet one flags all of the loud one");
    }
}
