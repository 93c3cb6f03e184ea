//! Time as the client of a Prometheus needs it: how much has passed, and waiting. Tests bring their own.

use std::time::{Duration, Instant};

pub trait Clock: Send + Sync {
    /// Time since some fixed moment.
    fn elapsed(&self) -> Duration;
    fn sleep(&self, during: Duration);
}

/// The clock on the wall that never goes back.
pub struct Monotonic(Instant);

impl Default for Monotonic {
    fn default() -> Monotonic {
        Monotonic(Instant::now())
    }
}

impl Clock for Monotonic {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, during: Duration) {
        std::thread::sleep(during);
    }
}

/// Time passes when somebody sleeps, and at once.
#[cfg(test)]
#[derive(Default)]
pub struct TestClock(std::sync::Mutex<Duration>);

#[cfg(test)]
impl Clock for TestClock {
    fn elapsed(&self) -> Duration {
        *self.0.lock().expect("nobody panics with it")
    }

    fn sleep(&self, during: Duration) {
        *self.0.lock().expect("nobody panics with it") += during;
    }
}
