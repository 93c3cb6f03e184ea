//! What a detector's words about labelled series are worth: one row of figures for each thing it says.

use super::labelled::Series;
use homeostat::time::Span;
use homeostat_sim::score::nab::{self, nab};
use homeostat_sim::score::pages::{self, Pages, at_budget, at_threshold};
use homeostat_sim::score::{Event, events, f1_by_sample, finite, random, vus};
use serde::Serialize;

/// The score that knows nothing.
pub const RANDOM: &str = "random";

/// One series, with what can be said of it alone.
pub struct Scored {
    labels: Vec<bool>,
    interval: Span,
    /// Rows at the start that do not count.
    probation: usize,
    /// All of them, and those after probation, counted from there.
    events: Vec<Event>,
    judged_events: Vec<Event>,
    score: Signal,
    alert_score: Option<Signal>,
    random: Option<Signal>,
    alert: Option<Vec<bool>>,
}

/// Scores of all rows, in an order that has a place for each, and their VUS-PR where the series has one.
struct Signal {
    scores: Vec<f64>,
    vus_pr: Option<f64>,
}

/// One line of the answer. Absent is what does not apply: an alert has no threshold, a clean folder nothing to find.
#[derive(Serialize)]
pub struct Row {
    /// None: all folders together.
    pub folder: Option<String>,
    pub by: &'static str,
    pub series: usize,
    /// Series without any label.
    pub clean_series: usize,
    pub rows: usize,
    /// After probation, as all that follows but `in_alert_ratio`, `clean_in_alert_ratio` and `macro_f1`.
    pub events: usize,
    pub series_weeks: f64,
    pub nab_standard: Option<f64>,
    pub nab_low_fp: Option<f64>,
    pub nab_low_fn: Option<f64>,
    pub vus_pr: Option<f64>,
    pub threshold: Option<f64>,
    pub false_pages: usize,
    pub false_pages_per_week: Option<f64>,
    pub event_recall: Option<f64>,
    pub event_precision: Option<f64>,
    pub delay_median_s: Option<f64>,
    pub in_alert_ratio: Option<f64>,
    pub clean_in_alert_ratio: Option<f64>,
    pub macro_f1: Option<f64>,
}

impl Scored {
    /// `with_random`: whether a score that knows nothing is scored beside it.
    pub fn new(series: Series, with_random: bool) -> Scored {
        let Series { name, labels, values, interval, score, alert_score, alert, probation } = series;
        let from = probation.unwrap_or_else(|| homeostat_sim::score::probation(labels.len()));
        let period = vus::period(&values);
        let signal = |scores: &[f64]| {
            let scores = finite(scores);
            Signal { vus_pr: vus::vus_pr(&labels[from..], &scores[from..], period), scores }
        };
        Scored {
            interval,
            probation: from,
            events: events(&labels),
            judged_events: events(&labels[from..]),
            score: signal(&score),
            alert_score: alert_score.map(|scores| signal(&scores)),
            random: with_random.then(|| signal(&random(&name, labels.len()))),
            alert,
            labels,
        }
    }

    fn is_clean(&self) -> bool {
        self.events.is_empty()
    }
}

/// The rows of one folder, or of all together: score, alert_score and alert where they were said, random.
pub fn rows(folder: Option<&str>, series: &[&Scored], per_week: f64) -> Vec<Row> {
    let blank = |by, pages: Pages| Row {
        folder: folder.map(str::to_owned),
        by,
        series: series.len(),
        clean_series: series.iter().filter(|one| one.is_clean()).count(),
        rows: series.iter().map(|one| one.labels.len()).sum(),
        events: pages.events,
        series_weeks: pages.series_weeks,
        nab_standard: None,
        nab_low_fp: None,
        nab_low_fn: None,
        vus_pr: None,
        threshold: None,
        false_pages: pages.false_pages,
        false_pages_per_week: pages.false_per_week(),
        event_recall: pages.recall(),
        event_precision: pages.precision(),
        delay_median_s: pages.delay_median(),
        in_alert_ratio: None,
        clean_in_alert_ratio: None,
        macro_f1: None,
    };
    let by_score = |by, signals: &[&Signal]| {
        let all = series.iter().zip(signals);
        let whole: Vec<_> =
            all.clone().map(|(one, signal)| nab::Series { scores: &signal.scores, windows: &one.events }).collect();
        let judged: Vec<_> = all.map(|(one, signal)| judged(one, &signal.scores)).collect();
        let (nab, pages) = (nab(&whole), at_budget(&judged, per_week));
        Row {
            nab_standard: nab.map(|points| points.standard),
            nab_low_fp: nab.map(|points| points.low_false_positives),
            nab_low_fn: nab.map(|points| points.low_misses),
            vus_pr: mean(signals.iter().filter_map(|signal| signal.vus_pr)),
            threshold: pages.threshold,
            ..blank(by, pages)
        }
    };
    let by_alert = |alerts: &[&[bool]]| {
        let scores: Vec<Vec<f64>> =
            alerts.iter().map(|rows| rows.iter().map(|alert| f64::from(*alert)).collect()).collect();
        let judged: Vec<_> = series.iter().zip(&scores).map(|(one, scores)| judged(one, scores)).collect();
        let all = || series.iter().zip(alerts);
        let share = |clean_only: bool| {
            let rows = || all().filter(|(one, _)| !clean_only || one.is_clean()).flat_map(|(_, alert)| alert.iter());
            mean(rows().map(|alert| f64::from(*alert)))
        };
        Row {
            in_alert_ratio: share(false),
            clean_in_alert_ratio: share(true),
            macro_f1: mean(all().filter_map(|(one, alert)| f1_by_sample(&one.labels, alert))),
            ..blank("alert", at_threshold(&judged, 0.5))
        }
    };
    // What not every series has is no figure of the whole.
    let alert_scores: Option<Vec<&Signal>> = series.iter().map(|one| one.alert_score.as_ref()).collect();
    let alerts: Option<Vec<&[bool]>> = series.iter().map(|one| one.alert.as_deref()).collect();
    let mut rows = vec![by_score("score", &series.iter().map(|one| &one.score).collect::<Vec<_>>())];
    rows.extend(alert_scores.map(|signals| by_score("alert_score", &signals)));
    rows.extend(alerts.map(|alerts| by_alert(&alerts)));
    let randoms: Option<Vec<&Signal>> = series.iter().map(|one| one.random.as_ref()).collect();
    rows.extend(randoms.map(|signals| by_score(RANDOM, &signals)));
    rows
}

/// A series after probation.
fn judged<'a>(series: &'a Scored, scores: &'a [f64]) -> pages::Series<'a> {
    let from = series.probation;
    pages::Series { scores: &scores[from..], events: &series.judged_events, interval: series.interval }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0u64, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}
