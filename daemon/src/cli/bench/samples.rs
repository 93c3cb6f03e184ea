//! Samples: taken in, judged, remembered.

use super::{Measured, NS, US, Work, fastest, processor_seconds, rates, room, seconds, times};
use crate::cli::Failed;
use homeostat::analyze::strategy::ADAPTIVE;
use homeostat::analyze::strategy::auto::State;
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use homeostat::units::Confidence;
use homeostat_sim::chance::Chance;
use std::collections::{HashMap, VecDeque};
use std::hint::black_box;

const NAIVE: &str = "a map of deques by name, mean and deviation summed anew";

pub const WORKS: &[Work] = &[
    Work {
        name: "samples taken in, one at a time",
        unit: "samples/s",
        goal: 2e6,
        reference: "a map of deques by name",
        measure: one_at_a_time,
    },
    Work {
        name: "samples judged by bounds and remembered, 1,000 series",
        unit: "samples/s",
        goal: 5e6,
        reference: NAIVE,
        measure: || samples_by_bounds(1_000),
    },
    Work {
        name: "samples judged by bounds and remembered, 100,000 series",
        unit: "samples/s",
        goal: 5e6,
        reference: NAIVE,
        measure: || samples_by_bounds(100_000),
    },
    Work {
        name: "one sample judged by bounds and remembered, 1,000 series",
        unit: "ns",
        goal: 20.0,
        reference: NAIVE,
        measure: || sample_by_bounds(1_000),
    },
    Work {
        name: "one sample judged by bounds and remembered, 100,000 series",
        unit: "ns",
        goal: 40.0,
        reference: NAIVE,
        measure: || sample_by_bounds(100_000),
    },
    Work {
        name: "one sample judged by bounds and remembered, 1,000,000 series",
        unit: "ns",
        goal: 100.0,
        reference: NAIVE,
        measure: sample_of_a_million,
    },
    Work {
        name: "one sample judged by auto and remembered, 1,000 series",
        unit: "ns",
        goal: 1_000.0,
        reference: NAIVE,
        measure: || sample_by_auto(1_000),
    },
    Work {
        name: "one sample judged by auto and remembered, 100,000 series",
        unit: "ns",
        goal: 1_000.0,
        reference: NAIVE,
        measure: || sample_by_auto(100_000),
    },
    Work {
        name: "memory of auto, one series",
        unit: "bytes",
        goal: 2_000.0,
        reference: "the last 1,000 values",
        measure: state_of_auto,
    },
    Work {
        name: "two series judged, a sample each",
        unit: "µs",
        goal: 2.0,
        reference: "mean and deviation of the last 1,000 of both",
        measure: two_series,
    },
];

/// Every series is sampled this often: a second apart, so that windows grow by number and not by age.
const STEP: Span = Span::from_secs(1);

/// Samples that come in one call: about what one scrape brings.
const BATCH: usize = 2_000;

/// Values that a series has, in turns: made beforehand, so that making them is not measured.
pub fn values(count: usize) -> Vec<f64> {
    let mut chance = Chance::new(7);
    (0..count).map(|_| 100.0 + chance.normal()).collect()
}

/// A configuration that learns all there is in few cycles, and lets what it learned judge.
pub fn eager(series: usize) -> Config {
    let mut config = Config::default();
    // What is measured is not what is remembered where memory is short.
    config.limits.memory_max = 1 << 40;
    config.limits.series_max = series.max(config.limits.series_max);
    config.learning.confidence_min = Confidence::clamped(0.0);
    config.states.healthy.execution_parallelism = 1024;
    config.states.optimizing.execution_parallelism = 1024;
    config
}

/// The same where alerts are what lies beyond the bounds, and no detector reads the samples.
pub fn by_bounds(series: usize) -> Config {
    let mut config = eager(series);
    config.learning.strategy = ADAPTIVE.into();
    config
}

/// An engine, the series that it watches, and what they measure.
pub struct Watched {
    pub engine: Engine,
    pub ids: Vec<SeriesId>,
    pub now: Timestamp,
    values: Vec<f64>,
    batch: Vec<Sample>,
}

impl Watched {
    pub fn new(config: Config, series: usize) -> Result<Watched, Failed> {
        let now = Timestamp::from_secs(1_700_000_000);
        let mut engine = Engine::new(config, now);
        let mut ids = Vec::with_capacity(series);
        for n in 0..series {
            let name = SeriesName::parse(&name(n)).map_err(|error| Failed::Use(error.to_string()))?;
            let id = engine.intern(&name, Some(Kind::Gauge), now);
            ids.push(id.map_err(|error| Failed::World(error.to_string()))?);
            // Whoever runs an engine takes its events as they come: together they are no memory of it.
            if n % BATCH == 0 {
                let _ = engine.observe(&[], now);
            }
        }
        let _ = engine.observe(&[], now);
        Ok(Watched { engine, ids, now, values: values(8191), batch: Vec::with_capacity(series) })
    }

    /// One sample of each series, and the processor time that taking them in took.
    pub fn sample(&mut self) -> f64 {
        self.now = self.now + STEP;
        let (now, turn) = (self.now, self.now.millis() as usize / 1000 * 977);
        let value = |n: usize| self.values[(turn + n * 31) % self.values.len()];
        self.batch.clear();
        self.batch.extend(self.ids.iter().enumerate().map(|(n, id)| Sample { series: *id, at: now, value: value(n) }));
        let begun = processor_seconds();
        for batch in self.batch.chunks(BATCH) {
            let _ = black_box(self.engine.observe(batch, now));
        }
        processor_seconds() - begun
    }

    pub fn samples(&mut self, count: usize) {
        (0..count).for_each(|_| _ = self.sample());
    }

    /// Learns all series and brings their bounds into force.
    pub fn learn(&mut self) {
        let judged = |engine: &Engine| {
            engine.knowledge().series_as_they_lie().filter(|series| series.in_force().is_some()).count()
        };
        // A cycle learns some thousands of those whose turn it is; the others wait for theirs.
        for _ in 0..16 + self.ids.len() / 1_000 {
            self.now = self.now + STEP;
            let _ = self.engine.cycle(self.now);
            if judged(&self.engine) == self.ids.len() {
                return;
            }
        }
        panic!("each of {} series has samples enough to be judged", self.ids.len());
    }
}

pub fn name(n: usize) -> String {
    format!("requests{{instance=\"host-{n}\"}}")
}

/// Windows by name, as one would write them at first.
pub struct Naive {
    windows: HashMap<String, VecDeque<f64>>,
    len_max: usize,
}

impl Naive {
    pub fn new(len_max: usize) -> Naive {
        Naive { windows: HashMap::new(), len_max }
    }

    pub fn take(&mut self, name: &str, value: f64) {
        match self.windows.get_mut(name) {
            Some(window) => {
                if window.len() == self.len_max {
                    window.pop_front();
                }
                window.push_back(value);
            }
            None => _ = self.windows.insert(name.to_owned(), VecDeque::from([value])),
        }
    }

    /// Whether a value is more than two deviations from the mean.
    pub fn breaches(&self, name: &str, value: f64) -> bool {
        let Some(window) = self.windows.get(name) else { return false };
        let count = window.len() as f64;
        let mean = window.iter().sum::<f64>() / count;
        let variance = window.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        (value - mean).abs() > 2.0 * variance.sqrt()
    }
}

fn one_at_a_time() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 100;
    const EACH: usize = 1_000;
    let mut watched = Watched::new(Config::default(), SERIES)?;
    let values = values(SERIES * EACH);
    let mut now = watched.now;
    let ours = seconds(1, || {
        for values in values.chunks_exact(SERIES) {
            now = now + STEP;
            for (id, value) in watched.ids.iter().zip(values) {
                let _ = black_box(watched.engine.observe(&[Sample { series: *id, at: now, value: *value }], now));
            }
        }
    });
    let names: Vec<String> = (0..SERIES).map(name).collect();
    let mut naive = Naive::new(10_000);
    let reference = seconds(1, || {
        for values in values.chunks_exact(SERIES) {
            names.iter().zip(values).for_each(|(name, value)| naive.take(name, *value));
        }
    });
    rates(SERIES * EACH, ours, reference)
}

fn samples_by_bounds(series: usize) -> Result<Option<Measured>, Failed> {
    let (ours, reference) = judged(by_bounds(series), series)?;
    rates(series, ours, reference)
}

fn sample_by_bounds(series: usize) -> Result<Option<Measured>, Failed> {
    let (ours, reference) = judged(by_bounds(series), series)?;
    times(NS, ours / series as f64, reference / series as f64)
}

fn sample_by_auto(series: usize) -> Result<Option<Measured>, Failed> {
    let (ours, reference) = judged(eager(series), series)?;
    times(NS, ours / series as f64, reference / series as f64)
}

fn state_of_auto() -> Result<Option<Measured>, Failed> {
    times(1.0, State::size() as f64, 1_000.0 * size_of::<f64>() as f64)
}

/// The same where there is memory for so many series.
fn sample_of_a_million() -> Result<Option<Measured>, Failed> {
    if !room("a million series", 6e9)? {
        return Ok(None);
    }
    sample_by_bounds(1_000_000)
}

/// Processor seconds for a sample of each of so many series, in the order in which they were named, as scrapes come.
fn judged(mut config: Config, series: usize) -> Result<(f64, f64), Failed> {
    // So many windows of the usual length would take gigabytes and minutes to fill.
    if series > 100_000 {
        config.learning.min_data_points = 20;
    }
    let samples = config.learning.min_data_points + 10;
    let mut watched = Watched::new(config, series)?;
    watched.samples(samples);
    watched.learn();
    let rounds = (1_000_000 / series).clamp(1, 100);
    let ours = fastest(|| (0..rounds).map(|_| watched.sample()).sum::<f64>() / rounds as f64);
    let values = std::mem::take(&mut watched.values);
    drop(watched);

    // The naive version costs the same for each sample, whatever came before: fewer rounds fill its windows.
    let names: Vec<String> = (0..series).map(name).collect();
    let mut naive = Naive::new(samples);
    for round in 0..samples {
        let value = values[round % values.len()];
        names.iter().for_each(|name| naive.take(name, value));
    }
    let reference = fastest(|| {
        let begun = processor_seconds();
        for (n, name) in names.iter().enumerate() {
            let value = values[n % values.len()];
            black_box(naive.breaches(name, value));
            naive.take(name, value);
        }
        processor_seconds() - begun
    });
    Ok((ours, reference))
}

fn two_series() -> Result<Option<Measured>, Failed> {
    let mut watched = Watched::new(eager(2), 2)?;
    watched.samples(1_000);
    watched.learn();
    let ours = fastest(|| (0..1_000).map(|_| watched.sample()).sum::<f64>() / 1_000.0);
    let names = [name(0), name(1)];
    let mut naive = Naive::new(1_000);
    for value in &watched.values[..1_000] {
        names.iter().for_each(|name| naive.take(name, *value));
    }
    let reference = seconds(1_000, || {
        for name in &names {
            black_box(naive.breaches(name, 101.0));
            naive.take(name, 101.0);
        }
    });
    times(US, ours, reference)
}
