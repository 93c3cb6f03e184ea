//! How far queries are, for who waits for them.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

/// One step forward.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Advance {
    /// Evaluations that came since the last one.
    pub steps: u64,
    /// Samples that came with them.
    pub samples: u64,
    /// Since the query began.
    pub took: Duration,
}

/// Who is told. Queries may run side by side, each with its own begin and end.
pub trait Progress: Sync {
    fn begins(&self, expr: &str, steps: u64);
    fn advances(&self, by: &Advance);
    fn ends(&self, expr: &str);
}

/// Nobody.
pub struct Silent;

impl Progress for Silent {
    fn begins(&self, _: &str, _: u64) {}
    fn advances(&self, _: &Advance) {}
    fn ends(&self, _: &str) {}
}

/// A bar on standard error for all queries of a command together: evaluations done, samples a second, what is left. Nothing
/// where it is no terminal.
pub struct Bar {
    bar: indicatif::ProgressBar,
    samples: Mutex<u64>,
}

impl Bar {
    /// For so many queries.
    pub fn new(queries: u64) -> Bar {
        let bar = match std::io::stderr().is_terminal() {
            true => indicatif::ProgressBar::new(0),
            false => indicatif::ProgressBar::hidden(),
        };
        let style = "{bar:30} {percent}% of {prefix}, {msg}, {eta} left";
        if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_prefix(if queries == 1 { "one query".to_owned() } else { format!("{queries} queries") });
        Bar { bar, samples: Mutex::new(0) }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begins(&self, _: &str, steps: u64) {
        self.bar.inc_length(steps);
    }

    fn advances(&self, by: &Advance) {
        let mut samples = self.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *samples += by.samples;
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!("{:.0} samples/s", *samples as f64 / seconds));
        self.bar.inc(by.steps);
    }

    fn ends(&self, _: &str) {}
}
