//! A page gets out: alerts of series that may page are told to an Alertmanager, a webhook or a command.
//!
//! Each receiver has a task of its own that follows the journal: an alert is durable before anybody hears of it, and what a
//! receiver took is durable afterwards, so what was not told when the daemon was killed is told after the next start. Told twice
//! is possible (killed in between), not told is not. One that is slow or gone is tried again, later and later, and harms
//! nobody. While the loop turns a watchdog alert fires; when its time comes and it is not there, something is wrong here.

mod alert;
mod desk;
mod send;

use crate::config::{Config, Pages, Receiver, ReceiverKind};
use crate::driver::{self, Handle, Refused};
use crate::http::events::Follow;
use crate::store::Wanted;
use alert::Told;
pub use alert::{Texts, fingerprint};
use desk::{Desk, Kept, Line, Pace};
use homeostat::event::{Alerted, Event, Phase, Stored};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use send::{Batch, Failed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A receiver that failed is tried again after this long, then after twice as long and so on.
const RETRY: Span = Span::from_secs(1);
const RETRY_MAX: Span = Span::minutes(1);

/// The loop may be late by so much, and by so many of its intervals, before the watchdog is silent.
const LATE: Span = Span::from_secs(30);
const LATE_INTERVALS: u64 = 2;

/// So many events are heard before the clock is looked at.
const EVENTS_AT_ONCE: usize = 1000;

/// Who does not hear from the driver for so long takes the loop to stand.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of what one receiver was told, counted since the start.
#[derive(Debug)]
pub struct Tally {
    pub kind: ReceiverKind,
    /// Counted from 1, in the order of the configuration.
    pub number: usize,
    pub delivered: AtomicU64,
    pub failed: AtomicU64,
    /// Notifications that it understood and refused.
    pub refused: AtomicU64,
    /// Alerts that found no room.
    pub left_out: AtomicU64,
    /// Alerts that wait to be told for the first time.
    pub waiting: AtomicU64,
    pub watchdogs: AtomicU64,
    /// When it last took something, in milliseconds since the epoch; 0: not since the start.
    pub taken_at: AtomicI64,
}

impl Tally {
    pub fn new(kind: ReceiverKind, number: usize) -> Tally {
        let zero = AtomicU64::default;
        Tally {
            kind,
            number,
            delivered: zero(),
            failed: zero(),
            refused: zero(),
            left_out: zero(),
            waiting: zero(),
            watchdogs: zero(),
            taken_at: AtomicI64::default(),
        }
    }
}

/// Starts a task per receiver; they end with the driver. `home` is the address of the page. Tallies in the order of the
/// configuration. To be called in the runtime.
pub fn spawn(config: &Config, home: &str, handle: &Handle) -> Vec<Arc<Tally>> {
    let receivers = &config.daemon.receivers;
    let names = receivers.iter().map(Receiver::identity).collect();
    let (forgetting, pages) = (handle.clone(), Arc::new(config.daemon.pages.clone()));
    tokio::spawn(async move { forget_others(&forgetting, names).await });
    let one = |(at, receiver): (usize, &Receiver)| {
        let tally = Arc::new(Tally::new(receiver.kind, at + 1));
        let pager = Pager {
            receiver: receiver.clone(),
            pages: Arc::clone(&pages),
            home: home.trim_end_matches('/').to_owned(),
            handle: handle.clone(),
            tally: Arc::clone(&tally),
            failures: 0,
            retry_at: None,
            unkept: false,
        };
        tokio::spawn(pager.run());
        tally
    };
    receivers.iter().enumerate().map(one).collect()
}

/// What is kept of receivers that are not configured any more is of no use.
async fn forget_others(handle: &Handle, names: Vec<String>) {
    let kept = handle.query(|view| view.store.kept_names("page/")).await;
    for name in kept.ok().and_then(Result::ok).unwrap_or_default() {
        if !names.contains(&name) {
            // Where that fails it is tried at the next start.
            let _ = handle.keep(name, None).await;
        }
    }
}

struct Pager {
    receiver: Receiver,
    pages: Arc<Pages>,
    home: String,
    handle: Handle,
    tally: Arc<Tally>,
    /// In a row.
    failures: u32,
    retry_at: Option<Timestamp>,
    /// What was told could not be kept yet.
    unkept: bool,
}

impl Pager {
    async fn run(mut self) {
        let mut desk = Desk::new(Pace::of(&self.pages, &self.receiver), Kept::default());
        let mut begun = false;
        loop {
            // Where the journal cannot be read any further it is tried anew from where it ended.
            let ended = match begun {
                false => self.begin(&mut desk).await.map(|()| begun = true),
                true => self.follow(&mut desk).await.map(|never| match never {}),
            };
            if ended.is_err() {
                if matches!(self.handle.query(|_| ()).await, Err(Refused::Gone)) {
                    return;
                }
                rest().await;
            }
        }
    }

    /// What the receiver was told before. One that is new is told of what holds now, and of nothing that is over.
    async fn begin(&self, desk: &mut Desk) -> Result<(), Lost> {
        let name = self.receiver.identity();
        let kept = self.handle.query(move |view| view.store.kept(&name)).await.map_err(|_| Lost)?;
        let kept = kept.map_err(|error| {
            tracing::error!("what {} was told cannot be read: {error}", self.receiver.shown());
            Lost
        })?;
        match kept.as_deref().map(serde_json::from_slice) {
            Some(Ok(kept)) => {
                desk.kept = kept;
                return Ok(());
            }
            Some(Err(error)) => {
                let to = self.receiver.shown();
                tracing::error!("what {to} was told cannot be read ({error}): alerts that hold are told once more");
            }
            None => {}
        }
        let mut after = 0;
        let mut hold: BTreeMap<SeriesName, (Timestamp, Alerted)> = BTreeMap::new();
        loop {
            let kind = Some("alerted".to_owned());
            let wanted = Wanted { after: Some(after), kind, limit: EVENTS_AT_ONCE, ..Wanted::default() };
            let read = self.handle.query(move |view| (view.store.events(&wanted), view.store.last_seq())).await;
            let (events, last) = read.map_err(|_| Lost)?;
            let events = events.map_err(|_| Lost)?;
            let Some(newest) = events.last() else {
                after = after.max(last);
                break;
            };
            after = newest.seq;
            for stored in events {
                match stored.event {
                    Event::Alerted(alerted) if alerted.phase == Phase::End => _ = hold.remove(&alerted.series),
                    Event::Alerted(alerted) if alerted.pages => {
                        hold.insert(alerted.series.clone(), (stored.at, alerted));
                    }
                    _ => {}
                }
            }
        }
        for (series, (at, alerted)) in hold {
            let told = self.told(&alerted).await?;
            desk.begin(series.as_str(), alerted.at, told, at);
        }
        desk.kept.seq = after;
        // From here on nothing is left out, whatever happens.
        self.keep(desk).await.map(|_| ())
    }

    /// Whether what was told is durable.
    async fn keep(&self, desk: &Desk) -> Result<bool, Lost> {
        let kept = serde_json::to_vec(&desk.kept).expect("texts and times are JSON");
        match self.handle.keep(self.receiver.identity(), Some(kept)).await {
            Ok(()) => Ok(true),
            Err(Refused::Gone) => Err(Lost),
            // The store says itself what is wrong with it; at worst something is told twice.
            Err(_) => Ok(false),
        }
    }

    /// What is said of an onset.
    async fn told(&self, alerted: &Alerted) -> Result<Told, Lost> {
        loop {
            let (pages, home, event) = (Arc::clone(&self.pages), self.home.clone(), alerted.clone());
            match self.handle.query(move |view| Told::of(view, &event, &pages, &home)).await {
                Ok(told) => return Ok(told),
                Err(Refused::Gone) => return Err(Lost),
                Err(_) => rest().await,
            }
        }
    }

    async fn follow(&mut self, desk: &mut Desk) -> Result<std::convert::Infallible, Lost> {
        let mut follow = Follow::of_kind(&self.handle, "alerted", desk.kept.seq).await.map_err(|_| Lost)?;
        let started = driver::now();
        let mut watchdog = (self.pages.watchdog.is_some() && self.receiver.gets_watchdog()).then_some(started);
        let (mut due, mut heard) = (desk.due(), 0);
        loop {
            let wake = [due.map(|due| due.max(self.retry_at.unwrap_or(due))), watchdog].into_iter().flatten().min();
            let wait = match wake {
                _ if heard >= EVENTS_AT_ONCE => Duration::ZERO,
                Some(at) => Duration::from_millis(at.since(driver::now()).millis()),
                None => Duration::from_secs(3600),
            };
            // What happened already comes first: who is told of an alert is told what is known of it.
            tokio::select! {
                biased;
                stored = follow.next(), if heard < EVENTS_AT_ONCE => {
                    heard += 1;
                    if self.hear(desk, &stored.ok_or(Lost)?).await? {
                        // Looked at once there is nothing more to hear: in a flood not for every alert.
                        due = Some(driver::now());
                    }
                    continue;
                }
                () = tokio::time::sleep(wait) => heard = 0,
            }
            let now = driver::now();
            if let Some(due) = watchdog.filter(|due| *due <= now) {
                self.watch(started, now).await?;
                let next = due + self.pages.watchdog_interval;
                watchdog = Some(if next > now { next } else { now + self.pages.watchdog_interval });
            }
            if due.is_some_and(|due| due <= now) {
                if self.retry_at.is_none_or(|at| at <= now)
                    && let Some(next) = desk.next(now)
                {
                    self.tell(desk, &next, now).await?;
                }
                due = desk.due();
                self.tally.left_out.store(desk.left_out, Ordering::Relaxed);
                self.tally.waiting.store(desk.waiting() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Whether the event is about an alert.
    async fn hear(&mut self, desk: &mut Desk, stored: &Arc<Stored>) -> Result<bool, Lost> {
        desk.kept.seq = stored.seq;
        let Event::Alerted(alerted) = &stored.event else { return Ok(false) };
        let series = alerted.series.as_str();
        match alerted.phase {
            Phase::Onset if alerted.pages => {
                let told = self.told(alerted).await?;
                desk.begin(series, alerted.at, told, stored.at);
            }
            Phase::End => desk.end(series, alerted.at),
            Phase::Onset => {}
        }
        Ok(true)
    }

    async fn tell(&mut self, desk: &mut Desk, next: &desk::Notification, now: Timestamp) -> Result<(), Lost> {
        let again = self.receiver.resend;
        let batch = Batch {
            lines: desk.lines(next),
            group: desk.group_labels(next),
            truncated: next.truncated,
            home: &self.home,
            again,
        };
        let sent = send::send(&self.receiver, batch.body(&self.receiver, now)).await;
        let now = driver::now();
        match &sent {
            Ok(()) => self.reached(now),
            // Sent again it would be refused again, and hold up the rest.
            Err(Failed::Never(problem)) => {
                self.tally.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!("{} refuses to be told: {problem}", self.receiver.shown());
            }
            Err(Failed::Later(problem)) => self.missed(problem, now),
        }
        if !matches!(sent, Err(Failed::Later(_))) {
            self.unkept |= desk.taken(next, now);
            self.unkept = self.unkept && !self.keep(desk).await?;
        }
        Ok(())
    }

    fn reached(&mut self, now: Timestamp) {
        self.tally.delivered.fetch_add(1, Ordering::Relaxed);
        self.tally.taken_at.store(now.millis(), Ordering::Relaxed);
        self.retry_at = None;
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("{} is told again", self.receiver.shown());
        }
    }

    /// The first failure and the first success after one are worth a line; the rest is counted.
    fn missed(&mut self, problem: &str, now: Timestamp) {
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
        let wait = RETRY.scaled(2_f64.powi(i32::try_from(self.failures.min(16)).unwrap_or(16)));
        self.retry_at = Some(now + wait.min(RETRY_MAX));
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::warn!("{} is not told: {problem}; it is tried again until it is", self.receiver.shown());
        }
    }

    /// Sends the watchdog, if the loop turns.
    async fn watch(&mut self, started: Timestamp, now: Timestamp) -> Result<(), Lost> {
        let Some(alert) = &self.pages.watchdog else { return Ok(()) };
        let asked = self.handle.query(|view| {
            let interval = view.engine.knowledge().parameters().monitoring_interval;
            let late = view.engine.next_cycle() + interval * LATE_INTERVALS + LATE < view.now;
            !late && view.stats.store_problem.is_none()
        });
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(true)) => {}
            Ok(Err(Refused::Gone)) => return Err(Lost),
            // It stands, or cannot say that it does not: silence is what tells.
            Ok(Ok(false) | Err(_)) | Err(_) => return Ok(()),
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let told = Told {
            labels: Texts::from([pair("alertname", alert), pair("severity", "none")]),
            annotations: Texts::from([pair(
                "summary",
                "Always fires while homeostat learns, judges and stores. When it does not, be paged.",
            )]),
            url: self.home.clone() + "/",
        };
        let batch = Batch {
            lines: vec![Line { told: &told, began: started, ended: None }],
            group: Texts::new(),
            truncated: 0,
            home: &self.home,
            again: self.pages.watchdog_interval,
        };
        match send::send(&self.receiver, batch.body(&self.receiver, now)).await {
            Ok(()) => {
                self.tally.watchdogs.fetch_add(1, Ordering::Relaxed);
                self.reached(driver::now());
            }
            Err(Failed::Later(problem) | Failed::Never(problem)) => self.missed(&problem, driver::now()),
        }
        Ok(())
    }
}

/// Runs what may hang in a thread of its own: it holds up neither the page nor the end of the daemon.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("outside".to_owned()).spawn(move || {
        // Whoever waited may be gone.
        let _ = reply.send(work());
    });
    thread.map_err(|error| format!("no thread could be started: {error}"))?;
    answer.await.unwrap_or_else(|_| Err("it ended without an answer".to_owned()))
}

/// The driver has stopped, or the journal cannot be read.
struct Lost;

async fn rest() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}
