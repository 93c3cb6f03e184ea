//! Alert rules over history that is written out: what expressions give, when alerts fire, what is told of them, and what
//! it is worth. That Prometheus does the same is shown by `promtool` (`core/tests/promtool`).

mod alerts;
mod expressions;
mod grouping;
mod lookups;
mod properties;
mod scores;

use homeostat::replay::{Formula, Labels, Op, Page, Range, Rule, Track};
use homeostat::time::Timestamp;
use std::collections::BTreeMap;

/// Labels as `a=1 b=2`.
fn labels(text: &str) -> Labels {
    Labels::new(text.split_whitespace().map(|pair| pair.split_once('=').expect("name=value")))
}

/// A range of one evaluation a minute from minute 0 on: labels, and values as `1 2.5 _ NaN`.
fn range(tracks: &[(&str, &str)]) -> Range {
    let value = |text: &str| (text != "_").then(|| text.parse().expect("a number"));
    let tracks: Vec<Track> = tracks
        .iter()
        .map(|(names, values)| Track { labels: labels(names), values: values.split_whitespace().map(value).collect() })
        .collect();
    let steps = tracks.iter().map(|track| track.values.len()).max().unwrap_or(0);
    Range { start: minute(0), step: 60_000, steps, tracks }
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_secs(minute * 60)
}

/// An alert `A` that fires after `hold` minutes.
fn rule(formula: Formula, hold: i64) -> Rule {
    Rule {
        alert: "A".to_owned(),
        labels: BTreeMap::new(),
        formula,
        for_ms: hold * 60_000,
        keep_firing_for_ms: 0,
        limit: None,
        interval_ms: 60_000,
    }
}

/// The first leaf against the first literal.
fn above() -> Formula {
    Formula::binary(Op::Greater, Formula::Leaf(0), Formula::Literal(0))
}

/// A page in a line: labels but for `alertname`, and the minutes of pending, begin and end.
fn line(page: &Page) -> String {
    let labels = page.labels.filter(|name| name != "alertname");
    let names: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let minute = |at: Timestamp| at.millis() / 60_000;
    let ended = page.ended.map_or("…".to_owned(), |at| minute(at).to_string());
    format!("{} {}/{}-{ended}", names.join(","), minute(page.pending_since), minute(page.began)).trim().to_owned()
}

fn lines(pages: &[Page]) -> Vec<String> {
    pages.iter().map(line).collect()
}
