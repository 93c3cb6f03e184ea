//! The one task that owns the engine: samples in, events stored, changes out. The only clock.
//!
//! A thread of its own. Whoever wants something of the engine sends a message; reads are closures that run here, between
//! two batches. Events are durable before a verdict is acknowledged and before anybody hears of them. While they cannot be
//! stored (a full disk), judging goes on, and the loop stands still until they can.

mod handle;
mod intake;
mod receive;
mod snapshot;
mod words;

pub use handle::{Handle, Refused, Reloaded};
pub use intake::{Fed, Past, Reading};
#[cfg(test)]
pub use receive::late;
pub use snapshot::{FILES, QUERIES, SAMPLES};

use crate::access::Rarely;
use crate::calendar::Watch;
use crate::config::{self, Config};
use crate::recurring::Recurring;
use crate::source::feed::FileFeed;
use crate::source::host::{Host, Usage};
use crate::store::samples::SampleLog;
use crate::store::{Begun, Store, StoreError};
use crate::telemetry::Counts;
use handle::{INBOX_LEN, Input};
use homeostat::engine::Engine;
use homeostat::event::{EVENT_VERSION, Event, Stored};
use homeostat::feedback::{LoopKind, Signal};
use homeostat::knowledge::SeriesId;
use homeostat::plan::state::EvidenceKind;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// Events a slow listener may lag behind before it has to read them from the store.
const LIVE_LEN: usize = 4096;

/// Events that may wait for a store that is full or broken; after that judging goes on without a record, and says so.
const BACKLOG_MAX: usize = 100_000;

/// How often a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Events that are stored in one transaction.
const EVENTS_AT_ONCE: usize = 10_000;

/// Rows of a file that are taken in one go, so that a large file does not keep others waiting.
const ROWS_AT_ONCE: usize = 4096;

/// What the driver knows beside the engine, for those who read.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub started_at: Timestamp,
    /// Why events cannot be stored at present, when they cannot.
    pub store_problem: Option<String>,
    pub backlog: usize,
    pub events_lost: u64,
    pub events_stored: u64,
    /// Every event that was stored since the start, by what it says.
    pub counts: Counts,
    pub usage: Usage,
    pub cycle_seconds_total: f64,
    pub cycle_seconds_last: f64,
    pub observe_seconds_total: f64,
    pub snapshots: u64,
    /// Rows of files that were read, and those that were not usable.
    pub rows: u64,
    pub rows_bad: u64,
    /// How often a calendar's file could not be read again, and what is wrong now, by the calendar's place.
    pub calendar_errors: u64,
    pub calendar_problems: Vec<(usize, String)>,
    /// How the life before ended, and what was brought back of it.
    pub begun: Begun,
}

/// What a query sees.
pub struct View<'a> {
    pub engine: &'a Engine,
    pub store: &'a Store,
    pub stats: &'a Stats,
    pub samples: &'a SampleLog,
    pub settings: &'a Config,
    pub now: Timestamp,
}

/// What the driver starts with.
pub struct Start {
    pub settings: Config,
    pub engine: Engine,
    pub store: Store,
    pub samples: SampleLog,
    /// What an earlier life decided and could not store.
    pub untold: Vec<(Timestamp, Event)>,
    pub host: Host,
    pub files: Vec<FileFeed>,
    /// How far sources have come, by what each of them calls its parts.
    pub reached: BTreeMap<String, Timestamp>,
    /// What is wrong with files of calendars, by place.
    pub calendar_problems: Vec<(usize, String)>,
    /// How the life before ended, and what was brought back of it.
    pub begun: Begun,
}

/// The state of the driver's thread.
struct Driver {
    settings: Config,
    /// Those it started with: what takes effect at a start alone is as they say.
    started_with: Config,
    engine: Engine,
    store: Store,
    samples: SampleLog,
    host: Host,
    files: Vec<FileFeed>,
    reached: BTreeMap<String, Timestamp>,
    live: broadcast::Sender<Arc<Stored>>,
    stats: Stats,
    clock: Clock,
    /// Events that are decided and not stored yet.
    backlog: Vec<(Timestamp, Event)>,
    retry_at: Option<Instant>,
    /// A cycle that took long leaves those who send as long before the next one.
    cycle_after: Instant,
    /// None: this host is to be read at once.
    host_read_at: Option<Timestamp>,
    /// Some series of this host has few samples yet.
    host_young: bool,
    calendars: Watch,
    snapshots: snapshot::Snapshots,
    ids: Recurring<SeriesName, SeriesId>,
    /// What is known of series that others send.
    received: receive::Table,
    /// Series of sources that find no room.
    left_out: Rarely<()>,
}

/// The wall clock, kept from going back: a step back stands still until the time is reached again.
struct Clock {
    latest: Timestamp,
}

impl Clock {
    fn now(&mut self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        self.latest = self.latest.max(now);
        self.latest
    }
}

/// The time, for those who have to prepare something before there is a driver.
pub fn now() -> Timestamp {
    Clock { latest: Timestamp::EPOCH }.now()
}

/// Starts the driver. It has read this host once and judged what it read when this returns.
pub fn spawn(start: Start) -> std::io::Result<(Handle, std::thread::JoinHandle<()>)> {
    let (inbox, receiver) = sync_channel(INBOX_LEN);
    let (live, _) = broadcast::channel(LIVE_LEN);
    let handle = Handle { inbox, live: live.clone() };
    let mut clock = Clock { latest: start.engine.knowledge().last_cycle() };
    let now = clock.now();
    let Config { daemon, engine } = &start.settings;
    let calendars = Watch::new(&daemon.calendars, &engine.calendars, start.calendar_problems, now);
    let stats = Stats {
        started_at: now,
        calendar_errors: calendars.errors,
        calendar_problems: calendars.problems.clone(),
        begun: start.begun,
        ..Stats::default()
    };
    let mut driver = Driver {
        started_with: start.settings.clone(),
        settings: start.settings,
        engine: start.engine,
        store: start.store,
        samples: start.samples,
        host: start.host,
        files: start.files,
        reached: start.reached,
        live,
        stats,
        clock,
        backlog: start.untold,
        retry_at: None,
        cycle_after: Instant::now(),
        host_read_at: None,
        host_young: true,
        calendars,
        snapshots: snapshot::Snapshots::new(now),
        ids: Recurring::default(),
        received: receive::Table::default(),
        left_out: Rarely::default(),
    };
    driver.plan_snapshot(now);
    driver.read_host(now);
    let thread = std::thread::Builder::new().name("driver".to_owned()).spawn(move || driver.run(&receiver))?;
    Ok((handle, thread))
}

impl Driver {
    fn run(mut self, inbox: &Receiver<Input>) {
        loop {
            let now = self.clock.now();
            match inbox.recv_timeout(self.wait(now)) {
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(input) => {
                    let mut next = Some(input);
                    while let Some(input) = next.take() {
                        match input {
                            Input::Stop => return self.finish(),
                            Input::Receive(received) => next = self.receive(*received, inbox),
                            Input::Signal { signal, reply } => next = self.signals((signal, reply), inbox),
                            input => self.handle(input),
                        }
                        // Also between two of a stream that never ends.
                        self.turn();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.turn(),
            }
        }
        self.finish();
    }

    /// How long there is nothing to do.
    fn wait(&self, now: Timestamp) -> Duration {
        let rest = self.cycle_after.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        let cycle = self.engine.next_cycle().max(now + Span::from_millis(u64::try_from(rest).unwrap_or(0)));
        let mut next = cycle.min(self.snapshots.next_step(now, &self.store)).min(self.next_host(now));
        for file in &self.files {
            next = next.min(file.next_due().unwrap_or(next));
        }
        next = next.min(self.calendars.next_look().unwrap_or(next));
        let wait = Duration::from_millis(next.since(now).millis());
        match self.retry_at {
            Some(at) => at.saturating_duration_since(Instant::now()).min(wait.max(Duration::from_millis(100))),
            None => wait,
        }
    }

    /// Everything that is due.
    fn turn(&mut self) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.commit(Vec::new());
        }
        let now = self.clock.now();
        if now >= self.next_host(now) {
            self.read_host(now);
        }
        self.read_files(now);
        self.read_calendars(now);
        // Events that cannot be stored stop the loop: a change that nobody recorded must not happen. Whether they can is
        // found out by a write, before there are any.
        let rested = Instant::now() >= self.cycle_after;
        if rested && now >= self.engine.next_cycle() && self.backlog.is_empty() && self.tried().is_ok() {
            self.cycle(now);
        }
        self.snapshot_step(now);
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Query(read) => {
                let Driver { engine, store, stats, samples, settings, .. } = self;
                read(&View { engine, store, stats, samples, settings, now });
            }
            Input::Answer { id, answer, comment, reply } => {
                let _ = reply.send(self.answer(id, answer, comment, now));
            }
            Input::Order { rule, order, comment, reply } => {
                let _ = reply.send(self.order(&rule, order, comment, now));
            }
            Input::Force { state, during, reply } => {
                let result = self.tried().map(|()| {
                    let events = self.engine.force(state, during, now);
                    self.commit(events);
                });
                let _ = reply.send(result.and_then(|()| self.storable()));
            }
            Input::Freeze { frozen: false, reply } if self.engine.knowledge().config().execution.freeze => {
                let _ = reply.send(Err(Refused::FrozenByConfiguration));
            }
            Input::Freeze { frozen, reply } => {
                let result = self.tried().map(|()| {
                    let because = "an operator asked for it".to_owned();
                    let events = self.engine.freeze(frozen, because, now);
                    self.commit(events);
                });
                let _ = reply.send(result.and_then(|()| self.storable()));
            }
            Input::Import { thresholds, reply } => {
                let result = self.tried().map(|()| {
                    let (mut taken, mut events) = (Vec::with_capacity(thresholds.len()), Vec::new());
                    for (series, threshold) in &thresholds {
                        taken.push(self.engine.import(series, threshold, now).map(|more| {
                            let changed = !more.is_empty();
                            events.extend(more);
                            changed
                        }));
                    }
                    self.commit(events);
                    taken
                });
                let _ = reply.send(result.and_then(|taken| self.storable().map(|()| taken)));
            }
            Input::Reload { settings, reply } => {
                let _ = reply.send(self.reload(*settings, now));
            }
            Input::Keep { name, body, reply } => {
                let kept = self.storable().and_then(|()| {
                    let kept = self.store.keep(&name, body.as_deref());
                    kept.map_err(|error| Refused::NotStored(self.failed(&error)))
                });
                let _ = reply.send(kept);
            }
            Input::KeepVerdict { name, at, body, reply } => {
                let kept = self.storable().and_then(|()| {
                    let kept = self.store.keep_verdict(&name, at, &body, crate::alertmanager::KEPT_MAX);
                    kept.map_err(|error| Refused::NotStored(self.failed(&error)))
                });
                let _ = reply.send(kept);
            }
            Input::KeepAudit { at, body, reply } => {
                let kept = self.storable().and_then(|()| {
                    let kept = self.store.keep_audit(at, &body);
                    kept.map_err(|error| Refused::NotStored(self.failed(&error)))
                });
                let _ = reply.send(kept);
            }
            Input::Feed(feed) => self.feed(*feed, now),
            Input::Signal { .. } | Input::Receive(_) | Input::Stop => {
                unreachable!("the loop does by itself what they ask")
            }
        }
    }

    fn storable(&self) -> Result<(), Refused> {
        match &self.stats.store_problem {
            None => Ok(()),
            Some(problem) => Err(Refused::NotStored(problem.clone())),
        }
    }

    /// The same, found out by a write: what the engine took in as it made the event of it cannot be refused afterwards.
    fn tried(&mut self) -> Result<(), Refused> {
        self.storable()?;
        self.store.probe().map_err(|error| Refused::NotStored(self.failed(&error)))
    }

    fn reload(&mut self, settings: Config, now: Timestamp) -> Result<Reloaded, Refused> {
        self.tried()?;
        self.end_snapshot(now);
        let at_start =
            |key: &String| key.split(['.', '[']).next().is_some_and(|section| config::AT_START.contains(&section));
        let reloaded = Reloaded {
            changed: config::changed(&self.settings, &settings),
            at_next_start: config::changed(&self.started_with, &settings).into_iter().filter(at_start).collect(),
        };
        let events = self
            .engine
            .reconfigure(settings.engine.clone(), now)
            .map_err(|error| Refused::Configuration(error.to_string()))?;
        // The files of this host are opened anew only when something else is to be read.
        let (before, after) = (&self.settings.daemon.host, &settings.daemon.host);
        if before != after {
            self.host = Host::new(after);
            self.host_read_at = None;
        }
        self.samples.sync_every(settings.daemon.store.sync_interval);
        self.calendars.restart(&settings.daemon.calendars, &settings.engine.calendars, now);
        self.stats.calendar_problems.clear();
        self.settings = settings;
        self.commit(events);
        self.storable().map(|()| reloaded)
    }

    /// Takes in what changed in the files of calendars.
    fn read_calendars(&mut self, now: Timestamp) {
        let (engine, daemon) = (&self.settings.engine, &self.settings.daemon);
        let read = self.calendars.look(&daemon.calendars, &engine.calendars, &engine.learning.timezone, now);
        if self.stats.calendar_errors != self.calendars.errors || !self.stats.calendar_problems.is_empty() {
            self.stats.calendar_errors = self.calendars.errors;
            self.stats.calendar_problems.clone_from(&self.calendars.problems);
        }
        let Some(calendars) = read else { return };
        let config = homeostat::config::Config { calendars, ..engine.clone() };
        self.end_snapshot(now);
        match self.engine.reconfigure(config.clone(), now) {
            Ok(events) => {
                self.settings.engine = config;
                self.commit(events);
            }
            Err(error) => tracing::error!("calendars stay as they were: {error}"),
        }
    }

    /// One turn of the loop, with the evidence measured just before it.
    fn cycle(&mut self, now: Timestamp) {
        let usage = self.stats.usage;
        let memory_max = self.settings.engine.limits.memory_max as f64;
        let own_memory = usage.own_memory_bytes.map(|bytes| bytes as f64 / memory_max);
        let evidence = [
            (LoopKind::ResourceOptimization, EvidenceKind::HostProcessor, usage.host_processor),
            (LoopKind::ResourceOptimization, EvidenceKind::HostMemory, usage.host_memory),
            (LoopKind::ResourceOptimization, EvidenceKind::OwnMemory, own_memory),
        ];
        let mut events = Vec::new();
        for (of, kind, value) in evidence {
            if let Some(value) = value {
                events.push(self.engine.signal(Signal::new(of, kind.as_str(), value, now), now));
            }
        }
        let begun = Instant::now();
        let cycle = self.engine.cycle(now);
        let seconds = begun.elapsed().as_secs_f64();
        self.stats.cycle_seconds_last = seconds;
        self.stats.cycle_seconds_total += seconds;
        events.extend(cycle.events);
        let interval = self.engine.knowledge().parameters().monitoring_interval.secs();
        let latency =
            Signal::new(LoopKind::PerformanceAdaptation, EvidenceKind::CycleLatency.as_str(), seconds / interval, now);
        events.push(self.engine.signal(latency, now));
        self.commit(events);
        self.cycle_after = Instant::now() + begun.elapsed();
    }

    /// Makes events durable, then tells everybody. What cannot be stored waits, the latest of it.
    fn commit(&mut self, events: Vec<Event>) {
        let now = self.clock.latest;
        self.backlog.extend(events.into_iter().map(|event| (now, event)));
        // After a failure the store is tried even when nothing waits: a verdict that was refused left no event behind.
        let nothing = self.backlog.is_empty() && self.stats.store_problem.is_none();
        if !nothing && self.retry_at.is_none_or(|at| at <= Instant::now()) {
            self.store_backlog(now);
        }
        let over = self.backlog.len().saturating_sub(BACKLOG_MAX);
        if over > 0 {
            self.backlog.drain(..over);
            self.stats.events_lost += over as u64;
        }
        self.stats.backlog = self.backlog.len();
    }

    fn store_backlog(&mut self, now: Timestamp) {
        if self.backlog.is_empty() {
            match self.store.probe() {
                Ok(()) => self.store_is_well(),
                Err(error) => _ = self.failed(&error),
            }
            return;
        }
        // Many are stored a piece at a time: what waits is then in memory once, not twice.
        let backlog = std::mem::take(&mut self.backlog);
        let mut rest = backlog.into_iter().peekable();
        while rest.peek().is_some() {
            let piece: Vec<(Timestamp, Event)> = rest.by_ref().take(EVENTS_AT_ONCE).collect();
            match self.store.append(&piece) {
                Ok(first) => {
                    self.store_is_well();
                    crate::log::notable(piece.iter().map(|(_, event)| event));
                    let learned = |(_, event): &(Timestamp, Event)| matches!(event, Event::ThresholdLearned { .. });
                    if self.stats.snapshots == 0 && piece.iter().any(learned) {
                        self.snapshots.come_at_once(now);
                    }
                    for (seq, (at, event)) in (first..).zip(piece) {
                        self.publish(seq, at, event);
                    }
                }
                Err(error) => {
                    self.backlog = piece.into_iter().chain(rest).collect();
                    self.failed(&error);
                    return;
                }
            }
        }
    }

    fn store_is_well(&mut self) {
        if self.stats.store_problem.take().is_some() {
            tracing::info!("events can be stored again");
        }
        self.retry_at = None;
    }

    fn failed(&mut self, error: &StoreError) -> String {
        let problem = error.to_string();
        if let StoreError::Damaged { reason, .. } = error {
            self.store.mark_damaged(reason);
        }
        if self.stats.store_problem.as_ref() != Some(&problem) {
            tracing::error!(
                "events cannot be stored: {problem}. Judging goes on; nothing is changed until they can be"
            );
        }
        self.stats.store_problem = Some(problem.clone());
        self.retry_at = Some(Instant::now() + RETRY);
        problem
    }

    fn publish(&mut self, seq: u64, at: Timestamp, event: Event) {
        self.stats.events_stored += 1;
        self.stats.counts.count(&event);
        // An error says that nobody listens, which is fine.
        let _ = self.live.send(Arc::new(Stored { seq, at, v: EVENT_VERSION, event }));
    }

    /// Stores what there is, and a snapshot.
    fn finish(mut self) {
        self.retry_at = None;
        self.commit(Vec::new());
        let now = self.clock.now();
        if self.snapshot_whole(now)
            && let Err(error) = self.store.ends()
        {
            tracing::warn!("the store does not say that it was stopped in order: {error}");
        }
        if !self.backlog.is_empty() {
            tracing::error!(events = self.backlog.len(), "stopped with events that could not be stored");
        }
    }
}
