//! A restart: from the start of a process until `/-/ready` answers, with what a daemon that ended in order left, in a warm cache.

use super::daemon::{AMPLE, Daemon};
use super::receive::{STEP_MS, learned, least};
use super::sender::name;
use super::{Measured, Work, room, times};
use crate::cli::Failed;
use std::hint::black_box;
use std::time::Instant;

const JSON: &str = "names, times and values read back as JSON (one series in a hundred, times a hundred)";

pub const LONG: &[Work] = &[
    Work {
        name: "restart to ready, 100,000 series with windows of 1,000 samples",
        unit: "s",
        goal: 3.0,
        reference: JSON,
        measure: || restarted(100_000, AMPLE, 1_000),
    },
    Work {
        name: "restart to ready, 1,000,000 series held to 2.5 GB",
        unit: "s",
        goal: 3.0,
        reference: JSON,
        measure: || restarted(1_000_000, 2_500_000_000, 40),
    },
];

/// Rounds of which the middle one counts: wall time has outliers on both sides.
const ROUNDS: usize = 5;

fn restarted(series: usize, memory_max: u64, samples: usize) -> Result<Option<Measured>, Failed> {
    // While it ends all memory stands there twice, as it is and as it is written.
    if !room(
        &format!("{series} series in a daemon that is started again"),
        series as f64 * (4e3 + 40.0 * samples as f64),
    )? {
        return Ok(None);
    }
    let (mut daemon, mut sender, mut at) = learned(series, "adaptive", memory_max, samples, STEP_MS, "")?;
    let already = least(series) + 10;
    for _ in already..samples {
        sender.round(at)?;
        at += STEP_MS;
    }
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let seconds;
        (daemon, seconds) = daemon.again()?;
        held(&daemon, series)?;
        took.push(seconds);
    }
    took.sort_by(f64::total_cmp);
    times(1.0, took[ROUNDS / 2], 100.0 * naive(series / 100, samples))
}

/// What was there before has to be there again: a restart that forgets would be fast.
fn held(daemon: &Daemon, series: usize) -> Result<(), Failed> {
    let held = daemon.metric("homeostat_series")?;
    match held >= series as f64 {
        true => Ok(()),
        false => Err(Failed::World(format!("after a restart {held} of {series} series are there"))),
    }
}

/// A name, and a window.
type Held = (String, Vec<(i64, f64)>);

/// Seconds to read back what was written as JSON.
fn naive(series: usize, samples: usize) -> f64 {
    let one = |n: usize| {
        let window: Vec<(i64, f64)> = (0..samples).map(|at| (at as i64, (n * 31 + at * 17) as f64 / 1e3)).collect();
        (name(n), window)
    };
    let all: Vec<Held> = (0..series).map(one).collect();
    let text = serde_json::to_vec(&all).expect("names and numbers are JSON");
    let begun = Instant::now();
    let read = serde_json::from_slice::<Vec<Held>>(black_box(&text));
    black_box(read.is_ok());
    begun.elapsed().as_secs_f64()
}
