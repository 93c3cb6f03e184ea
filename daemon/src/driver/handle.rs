//! How the rest of the program talks to the driver: a message for each thing it can be asked, and why it did not do it.

use super::{View, intake, receive};
use crate::config::Config;
use homeostat::event::Stored;
use homeostat::feedback::Signal;
use homeostat::knowledge::proposals::{Answer, NotAnswered};
use homeostat::plan::import::{Import, NotImported};
use homeostat::plan::state::SystemState;
use homeostat::rollout::{NotMoved, Order};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use tokio::sync::{broadcast, oneshot};

/// Messages that may wait for the driver; more are refused.
pub(super) const INBOX_LEN: usize = 1024;

/// Why the driver did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    #[error("events cannot be stored at present ({0}): nothing was changed; make room and try again")]
    NotStored(String),
    #[error("no series `{0}` is known; /api/v1/series lists them")]
    UnknownSeries(SeriesName),
    #[error("{0}")]
    NotAnswered(#[from] NotAnswered),
    #[error("{0}")]
    NotMoved(#[from] NotMoved),
    #[error("the configuration says execution.freeze: take the key out and reload")]
    FrozenByConfiguration,
    #[error("{0}")]
    Configuration(String),
    #[error("homeostat is busy: {INBOX_LEN} requests wait; try again")]
    Busy,
    #[error("homeostat is stopping")]
    Gone,
}

/// What became of an imported threshold: whether it changed anything, or why it was not taken in.
pub type Taken = Result<bool, NotImported>;

/// What reading the configuration again came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reloaded {
    /// Dotted keys whose values are others than before.
    pub changed: Vec<String>,
    /// Those whose values differ from the start's and take effect at the next start alone.
    pub at_next_start: Vec<String>,
}

pub(super) type Query = Box<dyn FnOnce(&View<'_>) + Send>;
pub(super) type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// What the driver is asked.
pub(super) enum Input {
    Query(Query),
    Signal { signal: Signal, reply: Reply<u64> },
    Answer { id: u64, answer: Answer, comment: Option<String>, reply: Reply<()> },
    Order { rule: String, order: Order, comment: Option<String>, reply: Reply<()> },
    Force { state: SystemState, during: Span, reply: Reply<()> },
    Freeze { frozen: bool, reply: Reply<()> },
    Import { thresholds: Vec<(SeriesName, Import)>, reply: Reply<Vec<Taken>> },
    Reload { settings: Box<Config>, reply: Reply<Reloaded> },
    Keep { name: String, body: Option<Vec<u8>>, reply: Reply<()> },
    KeepVerdict { name: String, at: Timestamp, body: String, reply: Reply<()> },
    KeepAudit { at: Timestamp, body: String, reply: Reply<()> },
    Feed(Box<intake::Feed>),
    Receive(Box<receive::Received>),
    Stop,
}

/// How the rest of the program talks to the driver.
#[derive(Clone)]
pub struct Handle {
    pub(super) inbox: SyncSender<Input>,
    pub(super) live: broadcast::Sender<Arc<Stored>>,
}

impl Handle {
    pub(super) fn send(&self, input: Input) -> Result<(), Refused> {
        self.inbox.try_send(input).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => Refused::Gone,
        })
    }

    async fn ask<T>(&self, input: impl FnOnce(Reply<T>) -> Input) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.send(input(reply))?;
        answer.await.unwrap_or(Err(Refused::Gone))
    }

    /// Runs `read` on the driver, between two batches. Keep it short.
    pub async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.send(Input::Query(Box::new(move |view| {
            // Nobody waits any more when a client went away.
            let _ = reply.send(read(view));
        })))?;
        answer.await.map_err(|_| Refused::Gone)
    }

    /// The signal's number, once it is durable.
    pub async fn signal(&self, signal: Signal) -> Result<u64, Refused> {
        self.ask(|reply| Input::Signal { signal, reply }).await
    }

    /// What a person says of a proposal; durable when this returns.
    pub async fn answer(&self, id: u64, answer: Answer, comment: Option<String>) -> Result<(), Refused> {
        self.ask(|reply| Input::Answer { id, answer, comment, reply }).await
    }

    /// What a person wants done with what is tried out for a rule; durable when this returns.
    pub async fn order(&self, rule: String, order: Order, comment: Option<String>) -> Result<(), Refused> {
        self.ask(|reply| Input::Order { rule, order, comment, reply }).await
    }

    /// Holds a state; durable when this returns.
    pub async fn force(&self, state: SystemState, during: Span) -> Result<(), Refused> {
        self.ask(|reply| Input::Force { state, during, reply }).await
    }

    pub async fn freeze(&self, frozen: bool) -> Result<(), Refused> {
        self.ask(|reply| Input::Freeze { frozen, reply }).await
    }

    /// Puts thresholds in force; what became of each, in their order, once it is durable. Keep them few: judging waits.
    pub async fn import(&self, thresholds: Vec<(SeriesName, Import)>) -> Result<Vec<Taken>, Refused> {
        self.ask(|reply| Input::Import { thresholds, reply }).await
    }

    pub async fn reload(&self, settings: Config) -> Result<Reloaded, Refused> {
        self.ask(|reply| Input::Reload { settings: Box::new(settings), reply }).await
    }

    /// Keeps something in the store under a name, or forgets it; durable when this returns.
    pub async fn keep(&self, name: String, body: Option<Vec<u8>>) -> Result<(), Refused> {
        self.ask(|reply| Input::Keep { name, body, reply }).await
    }

    /// Keeps a verdict on an alert, once under a name; durable when this returns.
    pub async fn keep_verdict(&self, name: String, at: Timestamp, body: String) -> Result<(), Refused> {
        self.ask(|reply| Input::KeepVerdict { name, at, body, reply }).await
    }

    /// Keeps a record of the audit; durable when this returns.
    pub async fn keep_audit(&self, at: Timestamp, body: String) -> Result<(), Refused> {
        self.ask(|reply| Input::KeepAudit { at, body, reply }).await
    }

    /// Events from now on, as they become durable.
    pub fn live(&self) -> broadcast::Receiver<Arc<Stored>> {
        self.live.subscribe()
    }

    /// Asks the driver to finish: it stores what there is, and a snapshot.
    pub fn stop(&self) {
        // A full inbox is drained soon; waiting here is right, since nothing else will be asked.
        let _ = self.inbox.send(Input::Stop);
    }
}
