//! Targets that are scraped as Prometheus scrapes them: text over HTTP, each at its own time in the interval.
//!
//! A scrape is whole or it has failed. What each target gave is known from one scrape to the next: a series that is not there
//! any more has ended, and all have when the target does not answer. What a target says of its types is handed on: counters
//! become rates at the engine's door, buckets histograms. Beside its own series each target has `up`, `scrape_duration_seconds`
//! and `scrape_samples_scraped`.

mod discovery;
mod target;

use super::Tally;
use crate::driver::{Fed, Handle};
use crate::prometheus::endpoint::Access;
use discovery::Discovery;
use homeostat::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use target::{Limits, Target};

/// Targets that are scraped at once.
const AT_ONCE: usize = 64;

/// How often lists of targets are looked at, where the interval is longer.
const LOOK: Span = Span::from_secs(5);

/// When a target has failed, unless the configuration says otherwise.
const TIMEOUT: Span = Span::from_secs(10);

pub const SOURCES_MAX: usize = 64;

/// The most targets of one source.
pub const TARGETS_MAX: usize = 10_000;

/// Targets of one kind, and how they are scraped.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScrapeSource {
    /// The label `job` of all of its series.
    pub job: String,
    /// HOST:PORT of each, or a whole address.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Files with further targets, as Prometheus' file_sd has them, JSON or YAML, read again when they change. A * in the last
    /// part of a path stands for any text.
    #[serde(default)]
    pub target_files: Vec<PathBuf>,
    /// Labels of all of its series.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// http or https, of targets that do not say.
    #[serde(default)]
    pub scheme: Scheme,
    /// What is asked of them, where they do not say.
    #[serde(default = "metrics_path")]
    pub metrics_path: String,
    /// How often each is scraped. 1s to 1h.
    #[serde(default = "interval")]
    pub interval: Span,
    /// A target that takes longer has failed. 100ms to `interval`; null: 10s, where that is not longer than the interval.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Labels of a target's own win over those of this source, which are otherwise kept as exported_NAME.
    #[serde(default)]
    pub honor_labels: bool,
    /// Times that a target gives count; otherwise that of the scrape.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// A target that gives more samples has failed. 1 to 1000000.
    #[serde(default = "samples_max")]
    pub samples_max: u64,
    #[serde(flatten)]
    pub access: Access,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Label {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

fn metrics_path() -> String {
    "/metrics".to_owned()
}

const fn interval() -> Span {
    Span::from_secs(15)
}

const fn yes() -> bool {
    true
}

const fn samples_max() -> u64 {
    50_000
}

impl ScrapeSource {
    /// Which key cannot be used, and why.
    pub fn check(&self) -> Result<(), (String, String)> {
        let refuse = |key: &str, problem: String| Err((key.to_owned(), problem));
        self.access.check().map_err(|wrong| (wrong.key, wrong.problem))?;
        if self.job.is_empty() {
            return refuse("job", "it needs some letters".to_owned());
        }
        if self.targets.is_empty() && self.target_files.is_empty() {
            return refuse("targets", "there is nothing to scrape; give targets, or target_files".to_owned());
        }
        if self.targets.len() > TARGETS_MAX {
            return refuse("targets", format!("{} are over {TARGETS_MAX}", self.targets.len()));
        }
        for (at, target) in self.targets.iter().enumerate() {
            if let Err(problem) = discovery::address(target, self.scheme, &self.metrics_path) {
                return refuse(&format!("targets[{at}]"), problem);
            }
        }
        for (at, file) in self.target_files.iter().enumerate() {
            if let Err(problem) = discovery::check_pattern(file) {
                return refuse(&format!("target_files[{at}]"), problem);
            }
        }
        for (at, label) in self.labels.iter().enumerate() {
            let twice = self.labels[..at].iter().any(|before| before.name == label.name);
            if label.name.is_empty() || label.name.starts_with("__") || label.name == "job" || twice {
                let problem = format!("`{}` is no label of its own", label.name.escape_debug());
                return refuse(&format!("labels[{at}].name"), problem);
            }
        }
        if !self.metrics_path.starts_with('/') {
            return refuse("metrics_path", format!("`{}` does not begin with /", self.metrics_path.escape_debug()));
        }
        for (key, span, least, most) in [
            ("interval", self.interval, Span::from_secs(1), Span::hours(1)),
            ("timeout", self.timeout(), Span::from_millis(100), self.interval.max(Span::from_millis(100))),
        ] {
            if span < least || span > most {
                return refuse(key, format!("{span} is outside {least} to {most}"));
            }
        }
        if !(1..=1_000_000).contains(&self.samples_max) {
            return refuse("samples_max", format!("{} is outside 1 to 1000000", self.samples_max));
        }
        Ok(())
    }

    pub fn timeout(&self) -> Span {
        self.timeout.unwrap_or(TIMEOUT.min(self.interval))
    }

    fn limits(&self) -> Limits {
        Limits {
            samples_max: self.samples_max,
            honor_labels: self.honor_labels,
            honor_timestamps: self.honor_timestamps,
            timeout: self.timeout(),
        }
    }
}

/// A source that is ready to be scraped.
pub struct Scrape {
    source: ScrapeSource,
    agent: ureq::Agent,
    discovery: Discovery,
    /// By address and labels.
    targets: BTreeMap<discovery::Place, Due>,
    tally: Arc<Tally>,
}

/// A target, and when it is scraped next.
struct Due {
    at: Timestamp,
    target: Target,
}

/// Who takes what was read; false: nobody any more.
type Take<'a> = &'a (dyn Fn(Fed) -> bool + Sync);

/// Sources as configured. An error names the file that cannot be used.
pub fn prepare(sources: &[ScrapeSource], now: Timestamp) -> Result<Vec<Scrape>, String> {
    (1..)
        .zip(sources)
        .map(|(number, source)| {
            Scrape::new(source, number, now).map_err(|error| format!("scrape[{}]: {error}", number - 1))
        })
        .collect()
}

/// Starts a thread per source; they end with the driver. Tallies in the order of the configuration.
pub fn spawn(sources: Vec<Scrape>, handle: &Handle) -> std::io::Result<Vec<Arc<Tally>>> {
    let one = |mut source: Scrape| {
        let (tally, handle) = (Arc::clone(&source.tally), handle.clone());
        std::thread::Builder::new().name("scrape".to_owned()).spawn(move || {
            let alive = std::sync::atomic::AtomicBool::new(true);
            while alive.load(Ordering::Relaxed) {
                let take = |fed| {
                    let taken = handle.feed(fed, None).is_ok();
                    alive.fetch_and(taken, Ordering::Relaxed);
                    taken
                };
                source.turn(crate::driver::now(), &take, &crate::driver::now);
                let wait = source.next_due().since(crate::driver::now());
                std::thread::sleep(Duration::from_millis(wait.millis()));
            }
        })?;
        Ok(tally)
    };
    sources.into_iter().map(one).collect()
}

impl Scrape {
    fn new(source: &ScrapeSource, number: usize, now: Timestamp) -> Result<Scrape, String> {
        let agent = source.access.agent(source.timeout())?;
        let tally = Arc::new(Tally::new("scrape", number, source.interval, None, now));
        let discovery = Discovery::new(source);
        Ok(Scrape { source: source.clone(), agent, discovery, targets: BTreeMap::new(), tally })
    }

    /// When there is something to do next.
    fn next_due(&self) -> Timestamp {
        let targets = self.targets.values().map(|due| due.at).min();
        let look = self.discovery.next_look();
        targets.map_or(look, |at| at.min(look))
    }

    /// Takes in what changed in the lists of targets, and scrapes those whose time has come. `clock` says when a scrape begins.
    fn turn(&mut self, now: Timestamp, take: Take<'_>, clock: &(dyn Fn() -> Timestamp + Sync)) {
        if now >= self.discovery.next_look() {
            let problems = self.discovery.look(now);
            for problem in problems {
                self.tally.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(job = self.source.job, "{problem}");
            }
            self.take_over(now, take);
        }
        let due: Vec<Mutex<&mut Due>> = self.targets.values_mut().filter(|due| due.at <= now).map(Mutex::new).collect();
        let next = AtomicUsize::new(0);
        let (source, agent, tally) = (&self.source, &self.agent, &self.tally);
        std::thread::scope(|scope| {
            for _ in 0..due.len().min(AT_ONCE) {
                scope.spawn(|| {
                    while let Some(one) = due.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let mut one = one.lock().unwrap_or_else(PoisonError::into_inner);
                        let begun = clock();
                        let read = one.target.scrape(agent, &source.access, &source.limits(), begun, clock);
                        if let Some(problem) = &read.problem {
                            tally.failures.fetch_add(1, Ordering::Relaxed);
                            if read.is_news {
                                tracing::warn!(job = source.job, "{problem}");
                            }
                        } else {
                            tally.alive(begun);
                            if read.is_news {
                                tracing::info!(job = source.job, "{} answers again", one.target.url());
                            }
                        }
                        tally.read(read.samples);
                        take(Fed::Live(read.readings));
                        one.at = next_time(one.at, begun, source.interval);
                    }
                });
            }
        });
        self.sum_up(now);
    }

    /// Targets that are new begin, each at its own time in the interval; those that are gone have ended.
    fn take_over(&mut self, now: Timestamp, take: Take<'_>) {
        let wanted = self.discovery.targets();
        let gone: Vec<discovery::Place> =
            self.targets.keys().filter(|place| !wanted.contains(*place)).cloned().collect();
        for place in gone {
            if let Some(mut due) = self.targets.remove(&place) {
                take(Fed::Live(due.target.end(now)));
            }
        }
        for place in wanted {
            if self.targets.contains_key(place) {
                continue;
            }
            // All at once would be a burst, for them and for the driver.
            let spread =
                xxhash_rust::xxh3::xxh3_64(format!("{place:?}").as_bytes()) % self.source.interval.millis().max(1);
            let first = self.targets.is_empty() && self.discovery.is_single();
            let at = if first { now } else { now + Span::from_millis(spread) };
            match Target::new(place, &self.source.job) {
                Ok(target) => _ = self.targets.insert(place.clone(), Due { at, target }),
                Err(problem) => tracing::warn!(job = self.source.job, "{problem}"),
            }
        }
    }

    fn sum_up(&self, now: Timestamp) {
        let targets = || self.targets.values().map(|due| &due.target);
        let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        self.tally.parts.store(count(targets().count()), Ordering::Relaxed);
        self.tally.parts_up.store(count(targets().filter(|target| target.is_up()).count()), Ordering::Relaxed);
        self.tally.series.store(targets().map(|target| count(target.series())).sum(), Ordering::Relaxed);
        self.tally.silent_series.store(targets().map(|target| count(target.ended())).sum(), Ordering::Relaxed);
        if targets().all(Target::was_read) && !self.targets.is_empty() {
            self.tally.reached(now);
        }
    }
}

/// The next time of a target that keeps its place in the interval, however long it took.
fn next_time(at: Timestamp, now: Timestamp, interval: Span) -> Timestamp {
    let missed = now.since(at).millis() / interval.millis().max(1);
    at + interval * (missed + 1)
}

#[cfg(test)]
mod tests;
