//! Windows that lie in no cache, as those of many series do: what they say, learned anew, slid on, judged by for hours.

use super::learning::{SORT, learn_each, naive_learn, naive_statistics};
use super::samples::{Watched, by_bounds, eager, values};
use super::{MS, Measured, NS, US, Work, fastest, processor_seconds, rates, room, times};
use crate::cli::Failed;
use homeostat::feedback::{LoopKind, Signal};
use homeostat::series::SeriesName;
use homeostat::stats::{Scratch, Statistics, quantile, sort_into};
use homeostat::time::Span;
use std::collections::VecDeque;
use std::hint::black_box;

const SAMPLES: usize = 10_000;

/// Windows that are read by turns: 160 MB, which is more than caches hold.
const WINDOWS: usize = 2_000;

pub const WORKS: &[Work] = &[
    Work {
        name: "all statistics of 10,000 cold samples",
        unit: "µs",
        goal: 50.0,
        reference: SORT,
        measure: statistics,
    },
    Work {
        name: "a sample taken into a full window of 10,000, judged",
        unit: "ns",
        goal: 300.0,
        reference: "a deque, and a sorted copy searched and shifted",
        measure: slide,
    },
    Work {
        name: "six ranks of a window of 10,000 that slid on by one",
        unit: "ns",
        goal: 100.0,
        reference: "a copy sorted",
        measure: ranks,
    },
    Work {
        name: "bounds in force each minute, learned anew as they age: an hour of one series",
        unit: "ms",
        goal: 0.11,
        reference: "all strategies each minute",
        measure: hours,
    },
    Work {
        name: "signals taken in, of 100,000 series",
        unit: "signals/s",
        goal: 1e7,
        reference: "a bounded list of texts",
        measure: signals,
    },
];

pub const LONG: &[Work] = &[Work {
    name: "100,000 series of 10,000 samples learned anew",
    unit: "s",
    goal: 6.0,
    reference: "each strategy for itself: sort, bounds, sort again to test (one series in twenty, times twenty)",
    measure: relearned,
}];

fn statistics() -> Result<Option<Measured>, Failed> {
    let all = values(WINDOWS * SAMPLES);
    let mut scratch = Scratch::default();
    let mut each = |of: &mut dyn FnMut(&[f64], &mut Scratch)| {
        fastest(|| {
            let begun = processor_seconds();
            all.chunks_exact(SAMPLES).for_each(|window| of(black_box(window), &mut scratch));
            processor_seconds() - begun
        }) / WINDOWS as f64
    };
    let ours = each(&mut |window, scratch| {
        let sorted = sort_into(window, scratch);
        black_box(Statistics::of(window, sorted));
    });
    let reference = each(&mut |window, _| _ = black_box(naive_statistics(window)));
    times(US, ours, reference)
}

/// Engines with full windows.
fn full(series: usize, config: homeostat::config::Config) -> Result<Watched, Failed> {
    let mut watched = Watched::new(config, series)?;
    watched.samples(SAMPLES);
    watched.learn();
    Ok(watched)
}

fn slide() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 200;
    let mut watched = full(SERIES, by_bounds(SERIES))?;
    let ours = fastest(|| (0..50).map(|_| watched.sample()).sum::<f64>() / (50 * SERIES) as f64);
    let values = values(2 * SAMPLES);
    let mut window: VecDeque<f64> = values[..SAMPLES].iter().copied().collect();
    let mut sorted: Vec<f64> = values[..SAMPLES].to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut next = values.iter().cycle();
    let reference = super::seconds(1_000, || {
        let new = *next.next().expect("a cycle has no end");
        let old = window.pop_front().expect("full");
        window.push_back(new);
        let out = sorted.partition_point(|value| *value < old);
        sorted.remove(out);
        sorted.insert(sorted.partition_point(|value| *value < new), new);
    });
    times(NS, ours, reference)
}

/// What the engine has to do for ranks: it keeps none from one sample to the next.
fn ranks() -> Result<Option<Measured>, Failed> {
    let (values, mut scratch) = (values(SAMPLES + 100), Scratch::default());
    let six = |sorted: &[f64]| [0.25, 0.5, 0.75, 0.9, 0.95, 0.99].map(|q| quantile(sorted, q));
    let (mut at, mut naive_at) = (0, 0);
    let ours = super::seconds(50, || {
        at = (at + 1) % 100;
        black_box(six(sort_into(black_box(&values[at..at + SAMPLES]), &mut scratch)));
    });
    let reference = super::seconds(50, || {
        naive_at = (naive_at + 1) % 100;
        let mut sorted = values[naive_at..naive_at + SAMPLES].to_vec();
        sorted.sort_by(f64::total_cmp);
        black_box(six(&sorted));
    });
    times(NS, ours, reference)
}

/// Six hours of samples a minute apart, judged as they come, with the cycles that learn again what has aged.
fn hours() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 50;
    const HOURS: usize = 6;
    let mut watched = full(SERIES, by_bounds(SERIES))?;
    let mut spent = 0.0;
    for _ in 0..HOURS {
        for _ in 0..60 {
            watched.now = watched.now + Span::from_secs(59);
            spent += watched.sample();
        }
        let begun = processor_seconds();
        let _ = black_box(watched.engine.cycle(watched.now));
        spent += processor_seconds() - begun;
    }
    let window = values(SAMPLES);
    let reference = super::seconds(2, || _ = black_box(naive_learn(black_box(&window))));
    times(MS, spent / (SERIES * HOURS) as f64, 60.0 * reference)
}

fn signals() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 100_000;
    let mut watched = Watched::new(eager(SERIES), SERIES)?;
    let names: Vec<SeriesName> = watched.engine.knowledge().series().map(|series| series.name().clone()).collect();
    let Watched { engine, now, .. } = &mut watched;
    let ours = super::seconds(1, || {
        for name in &names {
            let mut signal = Signal::new(LoopKind::MetricsLearning, "outcome", 0.5, *now);
            signal.series = Some(name.clone());
            let _ = black_box(engine.signal(signal, *now));
        }
    });
    let mut kept = VecDeque::new();
    let reference = super::seconds(1, || {
        for name in &names {
            if kept.len() == 10_000 {
                kept.pop_front();
            }
            kept.push_back(format!("{now} metrics_learning {name} 0.5"));
        }
    });
    rates(SERIES, ours, reference)
}

fn relearned() -> Result<Option<Measured>, Failed> {
    const TIMES: usize = 100_000 / WINDOWS;
    if !room("windows of 100,000 series", 1e9)? {
        return Ok(None);
    }
    let all = values(WINDOWS * SAMPLES);
    let mut scratch = Scratch::default();
    let begun = processor_seconds();
    (0..TIMES).for_each(|_| learn_each(&all, SAMPLES, "adaptive", &mut scratch));
    let ours = processor_seconds() - begun;
    let begun = processor_seconds();
    all[..WINDOWS / 20 * SAMPLES].chunks_exact(SAMPLES).for_each(|window| _ = black_box(naive_learn(window)));
    times(1.0, ours, (processor_seconds() - begun) * 20.0 * TIMES as f64)
}

/// What it takes to learn from windows of so many samples, one after the other, in processor seconds for all of them.
pub struct Learned {
    pub sigma: f64,
    pub percentile: f64,
    pub adaptive: f64,
    pub statistics: f64,
}

pub fn windows_learned(all: &[f64], samples: usize) -> Learned {
    let mut scratch = Scratch::default();
    let mut by = |strategy| super::seconds(1, || learn_each(all, samples, strategy, &mut scratch));
    let (sigma, percentile, adaptive) = (by("sigma"), by("percentile"), by("adaptive"));
    let statistics = super::seconds(1, || {
        for window in all.chunks_exact(samples) {
            black_box(Statistics::of(window, sort_into(window, &mut scratch)));
        }
    });
    Learned { sigma, percentile, adaptive, statistics }
}
