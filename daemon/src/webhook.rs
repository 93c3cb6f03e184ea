//! Callbacks: what the feedback loops hear and do, told to addresses of the operator's choice.
//!
//! Each address has a thread of its own and reads the live stream, which is bounded: events are durable before anybody is
//! told, the driver never waits, and an address that is slow or gone misses news and harms nobody. Nothing is told twice:
//! who must not miss anything reads `/api/v1/events`, where each event has its number.

use crate::config::Webhook;
use crate::driver::Handle;
use homeostat::event::Stored;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Events that are told in one request, when so many wait.
const EVENTS_AT_ONCE: usize = 100;

/// What became of the news for one address, counted since the start.
#[derive(Debug, Default)]
pub struct Tally {
    pub delivered: AtomicU64,
    pub failed: AtomicU64,
    /// Events of all kinds that passed while the address was too slow to be told.
    pub missed: AtomicU64,
}

/// One request's body.
#[derive(Serialize)]
struct News<'a> {
    data: &'a [Arc<Stored>],
}

/// Starts a thread per address; they end with the driver. Tallies in the order of the configuration.
pub fn spawn(webhooks: &[Webhook], handle: &Handle) -> std::io::Result<Vec<Arc<Tally>>> {
    let one = |webhook: &Webhook| {
        let tally = Arc::new(Tally::default());
        let caller = Caller::new(webhook.clone(), Arc::clone(&tally));
        let live = handle.live();
        std::thread::Builder::new().name("webhook".to_owned()).spawn(move || caller.run(live))?;
        Ok(tally)
    };
    webhooks.iter().map(one).collect()
}

struct Caller {
    webhook: Webhook,
    agent: ureq::Agent,
    tally: Arc<Tally>,
}

impl Caller {
    fn new(webhook: Webhook, tally: Arc<Tally>) -> Caller {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(webhook.timeout.millis())))
            .proxy(None)
            .max_redirects(0)
            .user_agent("homeostat")
            .build();
        Caller { webhook, agent: config.into(), tally }
    }

    fn run(self, mut live: Receiver<Arc<Stored>>) {
        let mut reached = true;
        loop {
            let mut news = Vec::new();
            match live.blocking_recv() {
                Ok(stored) => self.keep(stored, &mut news),
                Err(RecvError::Lagged(missed)) => self.missed(missed),
                Err(RecvError::Closed) => return,
            }
            while news.len() < EVENTS_AT_ONCE {
                match live.try_recv() {
                    Ok(stored) => self.keep(stored, &mut news),
                    Err(TryRecvError::Lagged(missed)) => self.missed(missed),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            if !news.is_empty() {
                self.tell(&news, &mut reached);
            }
        }
    }

    fn keep(&self, stored: Arc<Stored>, news: &mut Vec<Arc<Stored>>) {
        let of = stored.event.of_loop();
        if of.is_some_and(|of| self.webhook.loops.is_empty() || self.webhook.loops.contains(&of)) {
            news.push(stored);
        }
    }

    fn missed(&self, count: u64) {
        self.tally.missed.fetch_add(count, Ordering::Relaxed);
    }

    /// The first failure and the first success after one are worth a line; the rest is counted.
    fn tell(&self, news: &[Arc<Stored>], reached: &mut bool) {
        let to = self.webhook.shown();
        match self.agent.post(&self.webhook.url).send_json(News { data: news }) {
            Ok(_) => {
                self.tally.delivered.fetch_add(news.len() as u64, Ordering::Relaxed);
                if !std::mem::replace(reached, true) {
                    tracing::info!("the webhook {to} takes news again");
                }
            }
            Err(error) => {
                self.tally.failed.fetch_add(news.len() as u64, Ordering::Relaxed);
                if std::mem::replace(reached, false) {
                    tracing::warn!("the webhook {to} takes no news: {error}; it misses what happens until it does");
                }
            }
        }
    }
}
