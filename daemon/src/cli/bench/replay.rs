//! Replay: one literal and one `for` of an alert rule, tried on four weeks of a hundred series.

use super::{MS, Measured, Work, seconds, times};
use crate::cli::Failed;
use homeostat::replay::{Formula, Labels, Op, Range, Replayer, Rule, Track};
use homeostat::time::Timestamp;
use homeostat_sim::chance::Chance;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

const SERIES: usize = 100;
const STEPS: usize = 28 * 24 * 60;
const BY_MAPS: &str = "a map of what holds and one of alerts, minute by minute";

pub const WORKS: &[Work] = &[
    Work {
        name: "replay a rule that holds rarely over 28 days of 100 series",
        unit: "ms",
        goal: 5.0,
        reference: BY_MAPS,
        measure: || compared(99.0, false),
    },
    Work {
        name: "replay a rule that holds half the time over 28 days of 100 series",
        unit: "ms",
        goal: 100.0,
        reference: BY_MAPS,
        measure: || compared(50.0, false),
    },
    Work {
        name: "replay a rule with an `or` over 28 days of 100 series",
        unit: "ms",
        goal: 50.0,
        reference: BY_MAPS,
        measure: || compared(99.0, true),
    },
];

/// Percentages: noise around a level of its own, spikes once in a while, gaps.
fn history() -> Range {
    let mut chance = Chance::new(11);
    let mut track = |series: usize| {
        let level = chance.between(30.0, 70.0);
        let value = |_| match chance.uniform() {
            u if u < 0.001 => None,
            u if u < 0.002 => Some(99.5),
            _ => Some(level + 4.0 * chance.normal()),
        };
        let labels = Labels::new([("__name__", "busy".to_owned()), ("instance", format!("host-{series}:9100"))]);
        Track { labels, values: (0..STEPS).map(value).collect() }
    };
    let tracks = (0..SERIES).map(&mut track).collect();
    Range { start: Timestamp::from_secs(1_700_000_000), step: 60_000, steps: STEPS, tracks }
}

fn compared(literal: f64, or: bool) -> Result<Option<Measured>, Failed> {
    let above = Formula::binary(Op::Greater, Formula::Leaf(0), Formula::Literal(0));
    let never = Formula::binary(Op::Less, Formula::Leaf(0), Formula::Number(0.0));
    let rule = Rule {
        alert: "Busy".to_owned(),
        labels: BTreeMap::from([("severity".to_owned(), "page".to_owned())]),
        formula: if or { Formula::binary(Op::Or, above, never) } else { above },
        for_ms: 300_000,
        keep_firing_for_ms: 0,
        limit: None,
        interval_ms: 60_000,
    };
    let leaves = [history()];
    let replayer = Replayer::new(&rule, &leaves);
    let ours = seconds(1, || _ = black_box(replayer.replay(black_box(&[literal]), rule.for_ms)));
    let below = if or { 0.0 } else { f64::NEG_INFINITY };
    let reference = seconds(1, || _ = black_box(naive(&leaves[0], literal, below, rule.for_ms)));
    times(MS, ours, reference)
}

/// How many alerts fire.
fn naive(range: &Range, above: f64, below: f64, for_ms: i64) -> usize {
    let mut since: HashMap<Labels, (i64, bool)> = HashMap::new();
    let mut pages = 0;
    for k in 0..range.steps {
        let at = range.at(k).millis();
        let there = range.tracks.iter().filter_map(|track| Some((&track.labels, track.values[k]?)));
        let mut holds: HashMap<&Labels, f64> = there.clone().filter(|(_, value)| *value > above).collect();
        holds.extend(there.filter(|(_, value)| *value < below));
        since.retain(|labels, _| holds.contains_key(labels));
        for labels in holds.into_keys() {
            let (began, fires) = since.entry(labels.clone()).or_insert((at, false));
            if !*fires && at - *began >= for_ms {
                *fires = true;
                pages += 1;
            }
        }
    }
    pages
}
