//! Remote-write, end to end: a daemon of its own takes real bytes from a socket, writes them down, judges and remembers them.
//!
//! What is measured is the daemon's processor time, user and system, over at least ten million samples after every series was seen
//! and learned; and what stands in memory for it then. The sender is this process and costs nothing of it.

use super::daemon::{AMPLE, Daemon, config};
use super::memory::resident;
use super::sender::{self, Labels, Sender};
use super::{Measured, NS, Work, fastest, processor_seconds, room, times};
use crate::cli::Failed;
use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Samples that are measured.
const MEASURED: usize = 10_000_000;

/// From one sample of a series to the next.
pub const STEP_MS: i64 = 5_000;

/// Series from which on they are learned as early as may be: the memory that windows take is not what is measured here.
const MANY: usize = 1_000_000;

/// What a process takes that holds nothing, in bytes.
const EMPTY: f64 = 20e6;

const NAIVE: &str = "labels as owned text, a map by name, two bounds";
const MAP: &str = "a map from labels as text to a deque";

pub const WORKS: &[Work] = &[
    Work {
        name: "one sample by remote-write, written down and judged by bounds, 1,000 series",
        unit: "ns",
        goal: 250.0,
        reference: NAIVE,
        measure: || a_sample(1_000, "adaptive"),
    },
    Work {
        name: "one sample by remote-write, written down and judged by auto, 1,000 series",
        unit: "ns",
        goal: 600.0,
        reference: NAIVE,
        measure: || a_sample(1_000, "auto"),
    },
];

pub const LONG: &[Work] = &[
    Work {
        name: "one sample by remote-write, written down and judged by bounds, 100,000 series",
        unit: "ns",
        goal: 250.0,
        reference: NAIVE,
        measure: || a_sample(100_000, "adaptive"),
    },
    Work {
        name: "one sample by remote-write, written down and judged by auto, 100,000 series",
        unit: "ns",
        goal: 600.0,
        reference: NAIVE,
        measure: || a_sample(100_000, "auto"),
    },
    Work {
        name: "one sample by remote-write, written down and judged by bounds, 1,000,000 series",
        unit: "ns",
        goal: 250.0,
        reference: NAIVE,
        measure: || a_sample(1_000_000, "adaptive"),
    },
    Work {
        name: "one sample by remote-write, written down and judged by auto, 1,000,000 series",
        unit: "ns",
        goal: 900.0,
        reference: NAIVE,
        measure: || a_sample(1_000_000, "auto"),
    },
    Work {
        name: "memory of a daemon that is held to 2.5 GB, with 1,000,000 series judged by bounds, each",
        unit: "bytes",
        goal: 2_500.0,
        reference: MAP,
        measure: || memory(1_000_000, "adaptive", 2_500_000_000),
    },
    Work {
        name: "memory of a daemon that is held to 4.5 GB, with 1,000,000 series that ask for auto, each",
        unit: "bytes",
        goal: 4_500.0,
        reference: MAP,
        measure: || memory(1_000_000, "auto", 4_500_000_000),
    },
];

/// What one run said, of which two works tell.
#[derive(Clone, Copy)]
struct Ran {
    /// Processor time.
    seconds_a_sample: f64,
    bytes_a_series: f64,
    samples_a_series: usize,
}

/// How many samples a series has to have before it is learned.
pub fn least(series: usize) -> usize {
    if series < MANY { 100 } else { 20 }
}

/// A daemon that has seen so many series and learned them all, who sends to it, and when the next
/// sample is: there is
/// room for so many rounds more before now. Samples to learn from span minutes: younger bounds make no alerts.
pub fn learned(
    series: usize,
    strategy: &str,
    memory_max: u64,
    rounds: usize,
    step_ms: i64,
    more: &str,
) -> Result<(Daemon, Sender, i64), Failed> {
    let least = least(series);
    let daemon = Daemon::start(&config(series, strategy, memory_max, &format!("  min_data_points: {least}\n{more}")))?;
    let mut sender = Sender::new(&daemon.address, series)?;
    let before = least + 10;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let mut at = now - rounds as i64 * step_ms - before as i64 * STEP_MS;
    for _ in 0..before {
        at += STEP_MS;
        sender.round(at)?;
    }
    daemon.learned(series)?;
    // One that was idle meanwhile is closed.
    sender.connect_again(&daemon.address)?;
    Ok((daemon, sender, at + step_ms))
}

/// Sends to a daemon that has learned. A run is made once, for all works that tell of it.
fn ran(series: usize, strategy: &'static str, memory_max: u64) -> Result<Option<Ran>, Failed> {
    static RUNS: Mutex<BTreeMap<(usize, &str, u64), Ran>> = Mutex::new(BTreeMap::new());
    let run = (series, strategy, memory_max);
    let known = RUNS.lock().unwrap_or_else(PoisonError::into_inner).get(&run).copied();
    if known.is_some() {
        return Ok(known);
    }
    let each = if strategy == "auto" { 5e3 } else { 3e3 };
    if !room(&format!("{series} series in a daemon"), EMPTY + series as f64 * each)? {
        return Ok(None);
    }
    let rounds = MEASURED.div_ceil(series);
    let (daemon, mut sender, at) = learned(series, strategy, memory_max, rounds, STEP_MS, "")?;
    let begun = daemon.processor_seconds()?;
    sender.rounds((0..rounds).map(|round| at + round as i64 * STEP_MS))?;
    let seconds_a_sample = (daemon.processor_seconds()? - begun) / (rounds * series) as f64;
    let bytes_a_series = (daemon.resident()? as f64 - EMPTY) / series as f64;
    let ran = Ran { seconds_a_sample, bytes_a_series, samples_a_series: rounds + least(series) + 10 };
    RUNS.lock().unwrap_or_else(PoisonError::into_inner).insert(run, ran);
    Ok(Some(ran))
}

fn a_sample(series: usize, strategy: &'static str) -> Result<Option<Measured>, Failed> {
    match ran(series, strategy, AMPLE)? {
        Some(ran) => times(NS, ran.seconds_a_sample, naive(series)),
        None => Ok(None),
    }
}

fn memory(series: usize, strategy: &'static str, memory_max: u64) -> Result<Option<Measured>, Failed> {
    let Some(ran) = ran(series, strategy, memory_max)? else { return Ok(None) };
    // Of so many the growth is told by the pages they take.
    const NAIVE_SERIES: usize = 20_000;
    let before = resident()?;
    let one = |n: usize| (sender::name(n), VecDeque::from(vec![(0_i64, 0.0_f64); ran.samples_a_series]));
    let known: BTreeMap<String, VecDeque<(i64, f64)>> = (0..NAIVE_SERIES).map(one).collect();
    let naive = 1e6 * (resident()? - before) / NAIVE_SERIES as f64;
    let keep: Option<Box<dyn Any>> = Some(Box::new(known));
    Ok(Some(Measured { ours: ran.bytes_a_series, reference: naive, keep }))
}

/// Seconds a sample of a receiver that takes every request apart into text and looks that up.
fn naive(series: usize) -> f64 {
    let mut known: HashMap<String, (f64, f64, u64)> = HashMap::new();
    let labels = Labels::new(series);
    let mut breaches = 0_u64;
    let spent = fastest(|| {
        let begun = processor_seconds();
        for n in 0..series {
            let mut rest = labels.of(n);
            let mut pairs: Vec<(String, String)> = Vec::new();
            while rest.len() > 4 {
                let (name, value_at) = (usize::from(rest[3]), 4 + usize::from(rest[3]));
                let value = usize::from(rest[value_at + 1]);
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                pairs.push((text(&rest[4..4 + name]), text(&rest[value_at + 2..value_at + 2 + value])));
                rest = &rest[value_at + 2 + value..];
            }
            pairs.sort();
            let key = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
            let (lower, upper, count) = known.entry(key).or_insert((40.0, 60.0, 0));
            let value = 50.0 + (n % 7) as f64;
            breaches += u64::from(value < *lower || value > *upper);
            *count += 1;
        }
        processor_seconds() - begun
    });
    black_box((breaches, known.len()));
    spent / series as f64
}
