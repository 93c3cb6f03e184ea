//! How far a backfill is, said in the log: at its beginning and end, and every few seconds between.

use crate::prometheus::progress::{Advance, Progress};
use homeostat::time::Span;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a backfill says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Says in the log how far a backfill is.
pub struct Told {
    /// Expressions that wait for theirs.
    waiting: usize,
    state: Mutex<State>,
}

struct State {
    steps: u64,
    done: u64,
    samples: u64,
    told: Instant,
}

impl Told {
    pub fn new(waiting: usize) -> Told {
        Told { waiting, state: Mutex::new(State { steps: 0, done: 0, samples: 0, told: Instant::now() }) }
    }
}

impl Progress for Told {
    fn begins(&self, expr: &str, steps: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.steps = steps;
        tracing::info!("history of `{expr}` is asked: {steps} evaluations; {} more expressions wait", self.waiting);
    }

    fn advances(&self, by: &Advance) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += by.steps;
        state.samples += by.samples;
        if state.told.elapsed() < TELL_EVERY || state.done == 0 {
            return;
        }
        state.told = Instant::now();
        let seconds = by.took.as_secs_f64().max(0.001);
        let left = Span::from_secs((seconds / state.done as f64 * (state.steps - state.done) as f64).ceil() as u64);
        let (percent, rate) = (100 * state.done / state.steps.max(1), state.samples as f64 / seconds);
        tracing::info!("history: {percent} % of this expression, {rate:.0} samples/s, {left} left");
    }

    fn ends(&self, expr: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        tracing::info!(samples = state.samples, "history of `{expr}` has come");
    }
}
