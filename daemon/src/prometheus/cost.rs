//! What queries have cost, counted as they pass: for the metrics of the daemon, and for who called a command.

use homeostat::time::Span;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts of one client, since it was made.
#[derive(Debug, Default)]
pub struct Cost {
    queries: AtomicU64,
    retries: AtomicU64,
    failed: AtomicU64,
    samples: AtomicU64,
    micros: AtomicU64,
    waited_micros: AtomicU64,
    cached: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Costs {
    /// Requests that were sent, those that were sent again included.
    pub queries: u64,
    /// Those that were sent again.
    pub retries: u64,
    /// Queries that were given up.
    pub failed: u64,
    /// Samples that came in answers.
    pub samples: u64,
    /// Time from sending to the end of the answer, all requests together.
    pub seconds: f64,
    /// Time that the budget made them wait.
    pub waited_seconds: f64,
    /// Pieces that were kept from before, and not asked.
    pub cached: u64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Cost {
    pub(super) fn query(&self, took: Duration, again: bool) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(again), Ordering::Relaxed);
        self.micros.fetch_add(micros(took), Ordering::Relaxed);
    }

    pub(super) fn waited(&self, time: Duration) {
        self.waited_micros.fetch_add(micros(time), Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn samples(&self, count: u64) {
        self.samples.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn cached(&self) {
        self.cached.fetch_add(1, Ordering::Relaxed);
    }

    pub fn now(&self) -> Costs {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Costs {
            queries: of(&self.queries),
            retries: of(&self.retries),
            failed: of(&self.failed),
            samples: of(&self.samples),
            seconds: of(&self.micros) as f64 / 1e6,
            waited_seconds: of(&self.waited_micros) as f64 / 1e6,
            cached: of(&self.cached),
        }
    }
}

/// One line for who called a command: `12 queries (1 again), 3200000 samples, 4.1s of query time, 8 pieces from before`.
impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.retries > 0 { format!(" ({} again)", self.retries) } else { String::new() };
        let queries = if self.queries == 1 { "query" } else { "queries" };
        write!(f, "{} {queries}{again}, {} samples, {:.1}s of query time", self.queries, self.samples, self.seconds)?;
        if self.waited_seconds >= 1.0 {
            let waited = Span::from_secs(self.waited_seconds.round() as u64);
            write!(f, ", {waited} waited for the budget")?;
        }
        match self.cached {
            0 => Ok(()),
            1 => write!(f, ", 1 piece from before"),
            more => write!(f, ", {more} pieces from before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_cost_is_one_line() {
        let cost = Cost::default();
        assert_eq!(cost.now().to_string(), "0 queries, 0 samples, 0.0s of query time");
        cost.query(Duration::from_millis(250), false);
        cost.query(Duration::from_millis(1250), true);
        cost.samples(42);
        cost.cached();
        cost.waited(Duration::from_secs(90));
        let said =
            "2 queries (1 again), 42 samples, 1.5s of query time, 1m30s waited for the budget, 1 piece from before";
        assert_eq!(cost.now().to_string(), said);
    }
}
