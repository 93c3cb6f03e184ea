//! How much of a Prometheus' time homeostat takes: so many queries at once, and so many seconds of them in a minute.
//!
//! A bucket of seconds fills at the pace of the budget and holds a minute's worth. How long a query takes is known at its
//! end alone, so a query may begin as long as anything is in the bucket, and what it took is paid then, on credit where it has
//! to be: over any time the budget is kept but for one bucket and the queries that were under way.

use super::clock::Clock;
use homeostat::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What queries may cost.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct QueryBudget {
    /// How many queries run at once. 1 to 16.
    pub at_once: u32,
    /// The most samples that one query may give; what is more is asked in pieces. 1000 to 50000000.
    pub samples_max: u64,
    /// Seconds of query time in each minute, all queries together. Over 0, up to 960; null: as much as it takes.
    pub seconds_per_minute: Option<f64>,
    /// A query that takes longer is given up, and asked again in smaller pieces. 1s to 10m.
    pub timeout: Span,
}

impl Default for QueryBudget {
    fn default() -> QueryBudget {
        QueryBudget { at_once: 2, samples_max: 5_000_000, seconds_per_minute: Some(10.0), timeout: Span::from_secs(30) }
    }
}

impl QueryBudget {
    /// Which key is out of its range, and the range.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let outside = |key, value: String, range: &str| Err((key, format!("{value} is outside {range}")));
        if !(1..=16).contains(&self.at_once) {
            return outside("at_once", self.at_once.to_string(), "1 to 16");
        }
        if !(1000..=50_000_000).contains(&self.samples_max) {
            return outside("samples_max", self.samples_max.to_string(), "1000 to 50000000");
        }
        if let Some(seconds) = self.seconds_per_minute
            && !(seconds > 0.0 && seconds <= 960.0)
        {
            return outside("seconds_per_minute", seconds.to_string(), "over 0 to 960");
        }
        if self.timeout < Span::from_secs(1) || self.timeout > Span::minutes(10) {
            return outside("timeout", self.timeout.to_string(), "1s to 10m");
        }
        Ok(())
    }
}

/// Seconds of query time that are there to be spent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    per_minute: f64,
    level: f64,
    /// When the level was right.
    at: Duration,
}

impl Bucket {
    /// A full one.
    pub fn new(per_minute: f64, now: Duration) -> Bucket {
        Bucket { per_minute, level: per_minute, at: now }
    }

    /// How long until a query may begin; zero: now.
    pub fn wait(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_minute / 60.0).min(self.per_minute);
        self.at = self.at.max(now);
        if self.level > 0.0 {
            return Duration::ZERO;
        }
        // A little over nothing, so that who waited so long may begin.
        Duration::from_secs_f64((0.001 - self.level) * 60.0 / self.per_minute)
    }

    pub fn spend(&mut self, took: Duration) {
        self.level -= took.as_secs_f64();
    }
}

/// Where queries wait for their turn.
pub struct Gate {
    at_once: u32,
    inside: Mutex<Inside>,
    freed: Condvar,
}

struct Inside {
    running: u32,
    bucket: Option<Bucket>,
}

/// A query's turn; it ends when this is dropped.
pub struct Turn<'a> {
    gate: &'a Gate,
    clock: &'a dyn Clock,
    began: Duration,
}

impl Gate {
    pub fn new(budget: &QueryBudget, now: Duration) -> Gate {
        let bucket = budget.seconds_per_minute.map(|seconds| Bucket::new(seconds, now));
        Gate { at_once: budget.at_once, inside: Mutex::new(Inside { running: 0, bucket }), freed: Condvar::new() }
    }

    /// Waits for a turn. Says how long the budget made it wait.
    pub fn enter<'a>(&'a self, clock: &'a dyn Clock) -> (Turn<'a>, Duration) {
        let mut waited = Duration::ZERO;
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if inside.running >= self.at_once {
                inside = self.freed.wait(inside).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let wait = inside.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(clock.elapsed()));
            if wait.is_zero() {
                inside.running += 1;
                return (Turn { gate: self, clock, began: clock.elapsed() }, waited);
            }
            drop(inside);
            clock.sleep(wait);
            waited += wait;
            inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Turn<'_> {
    /// How long it has lasted.
    pub fn lasted(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let took = self.lasted();
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.running -= 1;
        if let Some(bucket) = &mut inside.bucket {
            bucket.spend(took);
        }
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::TestClock;
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_minute_has_ten_seconds_of_query_time_and_a_debt_is_waited_off() {
        let mut bucket = Bucket::new(10.0, Duration::ZERO);
        assert_eq!(bucket.wait(Duration::ZERO), Duration::ZERO);
        bucket.spend(25 * SECOND);
        let wait = bucket.wait(Duration::ZERO);
        assert!((90.0..91.0).contains(&wait.as_secs_f64()), "15 s of debt at 1 s in 6: {wait:?}");
        assert!(bucket.wait(wait - SECOND) > Duration::ZERO);
        assert_eq!(bucket.wait(wait), Duration::ZERO);
        // However long nobody asks, no more than a minute's worth is there.
        assert_eq!(bucket.wait(10_000 * SECOND), Duration::ZERO);
        bucket.spend(11 * SECOND);
        assert!(bucket.wait(10_000 * SECOND) > Duration::ZERO);
    }

    #[test]
    fn over_an_hour_the_budget_is_kept_but_for_one_bucket_and_one_query() {
        let clock = TestClock::default();
        let gate = Gate::new(&QueryBudget::default(), clock.elapsed());
        let mut spent = Duration::ZERO;
        while clock.elapsed() < 3600 * SECOND {
            let (turn, _) = gate.enter(&clock);
            clock.sleep(Duration::from_millis(700));
            spent += turn.lasted();
        }
        assert!(spent <= 612 * SECOND && spent >= 590 * SECOND, "{spent:?} of 600 s");
    }

    #[test]
    fn no_more_are_inside_at_once_than_may_be() {
        let clock = TestClock::default();
        let gate = Gate::new(&QueryBudget { seconds_per_minute: None, ..QueryBudget::default() }, clock.elapsed());
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let turn = gate.enter(&clock);
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
    }
}
