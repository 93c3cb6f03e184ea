//! What the hot paths cost, each beside a naive version in the same run: machines differ, ratios less so.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time; the engine does not")]

use homeostat::analyze::learn::{Request, learn};
use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::feedback::{LoopKind, Signal};
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::stats::{Scratch, Statistics, sort_into};
use homeostat::time::{Span, Timestamp};
use homeostat::units::Sensitivity;
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant;

/// Seconds of the fastest of five runs.
fn fastest(mut work: impl FnMut()) -> f64 {
    (0..5)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn row(work: &str, unit: &str, figure: f64, reference: &str, by_reference: f64, goal: f64, more_is_better: bool) {
    let ratio = if more_is_better { figure / by_reference } else { by_reference / figure };
    let met = if more_is_better { figure >= goal } else { figure <= goal };
    let met = if met { "met" } else { "MISSED" };
    println!("{work:<44} {figure:>12.3} {unit:<10} {ratio:>8.1} × {reference:<28} goal {goal:>10} {met}");
}

fn noise(seed: &mut u64) -> f64 {
    let mut sum = -6.0;
    for _ in 0..12 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sum += (*seed >> 11) as f64 / (1_u64 << 53) as f64;
    }
    sum
}

fn naive_statistics(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
    sorted[values.len() * 95 / 100] + mean + variance
}

fn main() {
    let mut seed = 7;
    let values: Vec<f64> = (0..10_000).map(|_| 100.0 + noise(&mut seed)).collect();
    let at: Vec<i64> = (0..10_000).map(|n| 1_700_000_000_000 + n * 10_000).collect();
    let mut scratch = Scratch::default();

    let ours = fastest(|| {
        let sorted = sort_into(&values, &mut scratch).to_vec();
        black_box(Statistics::of(&values, &sorted));
    });
    let naive = fastest(|| _ = black_box(naive_statistics(&values)));
    row("all statistics of 10,000 samples", "µs", ours * 1e6, "a sort and three passes", naive * 1e6, 50.0, false);

    let methods = Methods::built_in();
    let adaptive = "adaptive".into();
    let request = |values| Request {
        kind: Kind::Gauge,
        at: &at,
        values,
        level_since: None,
        masked: 0,
        methods: &methods,
        wanted: &adaptive,
        keep: None,
        sensitivity: Sensitivity::DEFAULT,
        default_sensitivity: Sensitivity::DEFAULT,
        trust: 1.0,
        merits: &[],
        preference: &|_| 1.0,
        lookahead: Span::minutes(5),
        now: Timestamp::from_millis(at[9_999]),
    };
    let ours = fastest(|| (0..100).for_each(|_| _ = black_box(learn(&request(&values), &mut scratch)))) * 1e3;
    let naive = fastest(|| (0..100).for_each(|_| _ = black_box(naive_statistics(&values)))) * 1e3;
    row("learn 100 series of 10,000, all strategies", "ms", ours, "statistics alone, naive", naive, 10.0, false);

    for series in [1_000_usize, 100_000] {
        let now = Timestamp::from_secs(1_700_000_000);
        let mut config = Config::default();
        config.limits.series_max = series;
        let mut engine = Engine::new(config, now);
        let ids: Vec<_> = (0..series)
            .map(|n| {
                let name = SeriesName::parse(&format!("requests{{instance=\"{n}\"}}")).expect("a name");
                engine.intern(&name, Some(Kind::Gauge), now).expect("room")
            })
            .collect();
        let mut round = 0;
        let mut step = |engine: &mut Engine| {
            round += 1;
            let now = Timestamp::from_secs(1_700_000_000 + round);
            let sample = |(n, id): (usize, &_)| Sample {
                series: *id,
                at: now,
                value: ((n * 7 + round as usize * 13) % 101) as f64,
            };
            let samples: Vec<Sample> = ids.iter().enumerate().map(sample).collect();
            let begun = Instant::now();
            for batch in samples.chunks(2000) {
                black_box(engine.observe(batch, now).fates);
            }
            begun.elapsed().as_secs_f64()
        };
        (0..110).for_each(|_| _ = step(&mut engine));
        let _ = engine.cycle(Timestamp::from_secs(1_700_000_200));
        let seconds = (0..40).map(|_| step(&mut engine)).sum::<f64>() / 40.0;
        let ours = series as f64 / seconds / 1e6;
        let mut windows: Vec<VecDeque<f64>> = vec![(0..110).map(f64::from).collect(); series];
        let seconds = fastest(|| {
            for (n, window) in windows.iter_mut().enumerate() {
                let mean = window.iter().sum::<f64>() / window.len() as f64;
                black_box((n as f64) > mean);
                window.pop_front();
                window.push_back(n as f64);
            }
        });
        let naive = series as f64 / seconds / 1e6;
        let work = format!("observe, {series} series: judge and remember");
        row(&work, "M/s", ours, "a deque and its mean of 110", naive, 5.0, true);
    }

    let now = Timestamp::from_secs(1_700_000_000);
    let mut engine = Engine::new(Config::default(), now);
    let signal = Signal {
        id: 0,
        at: now,
        of: LoopKind::ResourceOptimization,
        source: "host_processor".into(),
        value: 0.5,
        series: None,
        verdict: None,
        metadata: Default::default(),
    };
    let ours =
        100_000.0 / fastest(|| (0..100_000).for_each(|_| _ = black_box(engine.signal(signal.clone(), now)))) / 1e6;
    let mut kept = VecDeque::new();
    let naive = 100_000.0
        / fastest(|| {
            for n in 0..100_000 {
                kept.push_back(format!("{n} {signal:?}"));
                if kept.len() > 10_000 {
                    kept.pop_front();
                }
            }
        })
        / 1e6;
    row("feedback signals", "M/s", ours, "a deque of texts", naive, 1.0, true);
}
