//! Learning: what a window says, thresholds from windows, thresholds from a file.

use super::samples::values;
use super::{MS, Measured, US, Work, fastest, processor_seconds, seconds, times};
use crate::cli::offline::{MethodArgs, WindowAge};
use crate::cli::{Failed, learn as command};
use homeostat::analyze::learn::{Request, learn};
use homeostat::analyze::strategy::Methods;
use homeostat::config::Kind;
use homeostat::stats::{Scratch, Statistics, sort_into};
use homeostat::time::{Span, Timestamp};
use homeostat::units::Sensitivity;
use homeostat_sim::chance::Chance;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

pub const SORT: &str = "a comparing sort and three passes";
const EACH_ITSELF: &str = "each strategy for itself: sort, bounds, sort again to test";

pub const WORKS: &[Work] = &[
    Work {
        name: "all statistics of 10,000 samples",
        unit: "µs",
        goal: 50.0,
        reference: SORT,
        measure: || statistics(&[values(10_000)]),
    },
    Work {
        name: "all statistics of 10,000 samples, the worst of seven shapes",
        unit: "µs",
        goal: 120.0,
        reference: SORT,
        measure: || statistics(&shapes(10_000)),
    },
    Work {
        name: "all statistics of 1,000 samples",
        unit: "µs",
        goal: 10.0,
        reference: SORT,
        measure: || statistics(&[values(1_000)]),
    },
    Work {
        name: "learn 100 series of 10,000 samples, all strategies",
        unit: "ms",
        goal: 10.0,
        reference: EACH_ITSELF,
        measure: || hundred_series(10_000),
    },
    Work {
        name: "learn 100 series of 100 samples, all strategies",
        unit: "ms",
        goal: 1.0,
        reference: EACH_ITSELF,
        measure: || hundred_series(100),
    },
    Work {
        name: "learn from a file of 10,000 rows",
        unit: "ms",
        goal: 100.0,
        reference: "lines split and parsed, then each strategy for itself",
        measure: file,
    },
];

/// Windows of all kinds, each `count` long.
fn shapes(count: usize) -> Vec<Vec<f64>> {
    let mut chance = Chance::new(7);
    let mut of = |shape: fn(&mut Chance) -> f64| -> Vec<f64> { (0..count).map(|_| shape(&mut chance)).collect() };
    let mut wild = of(Chance::normal);
    wild[count / 2] = 1e308;
    let mut falling = of(Chance::normal);
    falling.sort_by(|a, b| b.total_cmp(a));
    vec![
        wild,
        falling,
        of(|chance| chance.lognormal(1.0, 2.0)),
        of(|chance| chance.pareto(1.0, 0.5)),
        of(|chance| if chance.happens(0.9) { 0.0 } else { chance.uniform() }),
        of(|chance| if chance.happens(0.5) { chance.normal() } else { 1e9 + chance.normal() }),
        of(|chance| chance.normal() * 10_f64.powf(chance.between(-300.0, 300.0))),
    ]
}

/// The window for which it takes longest.
fn statistics(windows: &[Vec<f64>]) -> Result<Option<Measured>, Failed> {
    let mut scratch = Scratch::default();
    let costs = windows.iter().map(|values| {
        let ours = seconds(20, || {
            // Sorted apart, as learning has to: the statistics read both.
            let sorted = sort_into(black_box(values), &mut scratch);
            black_box(Statistics::of(values, sorted));
        });
        (ours, seconds(20, || _ = black_box(naive_statistics(black_box(values)))))
    });
    let (ours, reference) = costs.fold((0.0, 0.0), |most, cost| if cost.0 > most.0 { cost } else { most });
    times(US, ours, reference)
}

/// Mean, deviation and, sorted, the values.
pub fn naive_statistics(values: &[f64]) -> (f64, f64, Vec<f64>) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    (mean, variance.sqrt(), sorted)
}

/// A lower and an upper bound from a window.
type Bounds = fn(&[f64]) -> (f64, f64);

/// The four ways to find bounds, written down as they are defined.
const NAIVE_STRATEGIES: [Bounds; 4] = [
    |values| {
        let (_, _, sorted) = naive_statistics(values);
        (sorted[sorted.len() / 20], sorted[sorted.len() * 19 / 20])
    },
    |values| {
        let (mean, sigma, _) = naive_statistics(values);
        (mean - 2.0 * sigma, mean + 2.0 * sigma)
    },
    |values| {
        let (_, _, sorted) = naive_statistics(values);
        let (low, high) = (sorted[sorted.len() / 4], sorted[sorted.len() * 3 / 4]);
        (low - 1.5 * (high - low), high + 1.5 * (high - low))
    },
    |values| {
        let (_, _, sorted) = naive_statistics(values);
        let median = sorted[sorted.len() / 2];
        let distances: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
        let (_, _, distances) = naive_statistics(&distances);
        let width = 2.0 * 1.4826 * distances[distances.len() / 2];
        (median - width, median + width)
    },
];

/// The bounds of the strategy that would have cost least on the last three tenths.
pub fn naive_learn(values: &[f64]) -> (f64, f64) {
    let (seen, unseen) = values.split_at(values.len() * 7 / 10);
    let cost = |strategy: &Bounds| {
        let (lower, upper) = strategy(seen);
        unseen.iter().map(|v| 0.0455 * (upper - lower) + (v - upper).max(0.0) + (lower - v).max(0.0)).sum::<f64>()
    };
    let costs = NAIVE_STRATEGIES.map(|strategy| cost(&strategy));
    let best = (0..costs.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).unwrap_or(0);
    NAIVE_STRATEGIES[best](values)
}

/// Learns windows of so many samples each, one after the other.
pub fn learn_each(all: &[f64], samples: usize, strategy: &'static str, scratch: &mut Scratch) {
    let at: Vec<i64> = (0..samples as i64).map(|n| 1_700_000_000_000 + n * 10_000).collect();
    let methods = Methods::built_in();
    let strategy = strategy.into();
    let request = |values| Request {
        kind: Kind::Gauge,
        at: &at,
        values,
        level_since: None,
        masked: 0,
        set_aside: 0,
        reckoning: &homeostat::calendar::PLAIN,
        methods: &methods,
        wanted: &strategy,
        keep: None,
        sensitivity: Sensitivity::DEFAULT,
        default_sensitivity: Sensitivity::DEFAULT,
        trust: 1.0,
        claim: None,
        // None has seen anything yet: the strategies have to be tested on the window itself, which costs most.
        merits: &[],
        preference: &|_| 1.0,
        young_under: Span::ZERO,
        lookahead: Span::minutes(5),
        now: Timestamp::from_millis(at[samples - 1]),
    };
    for values in all.chunks_exact(samples) {
        black_box(learn(&request(values), scratch));
    }
}

fn hundred_series(samples: usize) -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 100;
    let all = values(SERIES * samples);
    let mut scratch = Scratch::default();
    let ours = seconds(1, || learn_each(&all, samples, "adaptive", &mut scratch));
    let reference = seconds(1, || all.chunks_exact(samples).for_each(|values| _ = black_box(naive_learn(values))));
    times(MS, ours, reference)
}

/// What `homeostat learn` does between its start and the printing: the start of a process costs about a millisecond more.
fn file() -> Result<Option<Measured>, Failed> {
    let mut text = "timestamp,value\n".to_owned();
    for (n, value) in values(10_000).iter().enumerate() {
        let _ = writeln!(text, "{},{value:.4}", 1_700_000_000 + n * 60);
    }
    let path = std::env::temp_dir().join(format!("homeostat-bench-{}.csv", std::process::id()));
    let failed = |error: std::io::Error| Failed::World(format!("{}: {error}", path.display()));
    std::fs::write(&path, text).map_err(failed)?;
    let measured = both(&path);
    std::fs::remove_file(&path).map_err(failed)?;
    measured
}

fn both(path: &Path) -> Result<Option<Measured>, Failed> {
    let files = [path.to_owned()];
    let mut outcome = Ok(());
    let ours = fastest(|| {
        let begun = processor_seconds();
        let learned = MethodArgs::default()
            .engine_config(WindowAge::Any, None)
            .and_then(|config| command::from_files(&files, config))
            .map(|learned| assert_eq!(learned.rows().len(), 1, "a file with one series gives one row"));
        let spent = processor_seconds() - begun;
        if let Err(failed) = learned {
            outcome = Err(failed);
        }
        spent
    });
    outcome?;
    let reference = seconds(1, || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let rows = text.lines().skip(1).filter_map(|line| line.split(',').nth(1)?.parse().ok());
        black_box(naive_learn(&rows.collect::<Vec<f64>>()));
    });
    times(MS, ours, reference)
}
