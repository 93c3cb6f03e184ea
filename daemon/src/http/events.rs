//! The stream of events: as a list, and live without gap or duplicate.
//!
//! A listener is subscribed first and reads the journal second, so that nothing falls between the two; what comes twice
//! is known by its number. One that lags behind the live channel goes back to the journal and comes again.

use crate::driver::{self, Handle, Refused};
use crate::http::problem::Problem;
use crate::http::query::{List, Page, Rows, Token, take};
use crate::store::{StoreError, Wanted};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use homeostat::event::Stored;
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// Events that are read from the journal in one go; the driver waits as long.
const AT_ONCE: usize = 500;

/// Rows of the journal that one page of a list looks through before it answers with what it found.
const LOOKED_AT_MAX: usize = 20_000;

/// A silent stream says so this often, so that proxies keep it open and a dead peer is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Messages that wait for a slow reader, beside those in its socket.
const WAITING: usize = 16;

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub kind: Option<String>,
    pub series: Option<SeriesName>,
}

impl Filter {
    fn wants(&self, page: &Page, stored: &Stored) -> bool {
        let series = stored.event.series();
        self.kind.as_ref().is_none_or(|kind| stored.event.kind() == kind)
            && self.series.as_ref().is_none_or(|wanted| series == Some(wanted))
            && page.wants(series)
    }
}

/// A page of the journal, newest first; only events after number `after`, when that is given.
pub async fn list(handle: &Handle, page: &Page, filter: &Filter, after: Option<u64>) -> Result<Rows<Stored>, Problem> {
    let mut before = page.before();
    let mut found: Vec<(Stored, Token)> = Vec::new();
    let mut looked_at = 0;
    loop {
        // One more than is wanted says whether there is a next page.
        let limit = (page.limit + 1).min(AT_ONCE);
        let wanted = Wanted {
            after,
            before,
            kind: filter.kind.clone(),
            series: filter.series.clone(),
            newest_first: true,
            limit,
        };
        let batch = read(handle, wanted).await?;
        let ended = batch.len() < limit;
        looked_at += batch.len();
        before = batch.last().map(|stored| stored.seq).or(before);
        let token = |stored: &Stored| Token::Number(List::Events, stored.seq);
        found.extend(batch.into_iter().filter(|stored| filter.wants(page, stored)).map(|stored| {
            let token = token(&stored);
            (stored, token)
        }));
        if ended || found.len() > page.limit {
            return Ok(take(page.limit, found.into_iter()));
        }
        if looked_at >= LOOKED_AT_MAX {
            let mut rows = take(page.limit, found.into_iter());
            rows.next = rows.next.or(before.map(|seq| Token::Number(List::Events, seq)));
            return Ok(rows);
        }
    }
}

async fn read(handle: &Handle, wanted: Wanted) -> Result<Vec<Stored>, Problem> {
    let events: Result<Vec<Stored>, StoreError> = handle.query(move |view| view.store.events(&wanted)).await?;
    events.map_err(|error| {
        Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, format!("the journal cannot be read: {error}"))
    })
}

/// Every event after a number, in order, each once, for as long as the driver runs.
pub struct Follow {
    handle: Handle,
    live: broadcast::Receiver<Arc<Stored>>,
    /// The number of the last event that was handed out.
    last: u64,
    behind: VecDeque<Stored>,
    catching_up: bool,
    /// Of what was missed only this kind is read.
    kind: Option<String>,
}

impl Follow {
    /// After event `after`; without it, or when it is in the future (another journal's), from now on.
    pub async fn start(handle: &Handle, after: Option<u64>) -> Result<Follow, Refused> {
        let live = handle.live();
        let newest = handle.query(|view| view.store.last_seq()).await?;
        let last = after.filter(|after| *after <= newest).unwrap_or(newest);
        let handle = handle.clone();
        Ok(Follow { handle, live, last, behind: VecDeque::new(), catching_up: last < newest, kind: None })
    }

    /// Those of one kind after event `after`, and all others that come from now on; from the first on, when it is in the future.
    pub async fn of_kind(handle: &Handle, kind: &str, after: u64) -> Result<Follow, Refused> {
        let newest = handle.query(|view| view.store.last_seq()).await?;
        let mut follow = Follow::start(handle, Some(if after <= newest { after } else { 0 })).await?;
        follow.kind = Some(kind.to_owned());
        Ok(follow)
    }

    /// None: the driver has stopped, or the journal cannot be read; who asks again with the last number misses nothing.
    pub async fn next(&mut self) -> Option<Arc<Stored>> {
        loop {
            if let Some(stored) = self.behind.pop_front() {
                self.last = stored.seq;
                return Some(Arc::new(stored));
            }
            if self.catching_up {
                let kind = self.kind.clone();
                let wanted = Wanted { after: Some(self.last), limit: AT_ONCE, kind, ..Wanted::default() };
                let batch = read(&self.handle, wanted).await.ok()?;
                self.catching_up = batch.len() == AT_ONCE;
                self.behind = batch.into();
                continue;
            }
            match self.live.recv().await {
                Ok(stored) if stored.seq <= self.last => {}
                Ok(stored) => {
                    self.last = stored.seq;
                    return Some(stored);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.catching_up = true,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// By when a stream ends.
pub struct Ends {
    /// Becomes true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// When whoever listens may no more.
    pub until: Option<Timestamp>,
}

impl Ends {
    async fn come(&mut self) {
        let left = self.until.map(|until| Duration::from_millis(until.since(driver::now()).millis()));
        let over = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender going away means the same.
            _ = self.stopping.wait_for(|stopping| *stopping) => {}
            () = over => {}
        }
    }
}

/// Server-sent events: the number as id, the event in its envelope as data. Ends when the client goes, may listen
/// no more, or the daemon stops.
pub fn stream(
    mut follow: Follow,
    page: Page,
    filter: Filter,
    permit: OwnedSemaphorePermit,
    mut ends: Ends,
) -> Response {
    let (to, messages) = mpsc::channel::<Result<sse::Event, serde_json::Error>>(WAITING);
    tokio::spawn(async move {
        let _permit = permit;
        loop {
            let stored = tokio::select! {
                () = ends.come() => break,
                () = to.closed() => break,
                next = follow.next() => match next {
                    Some(stored) => stored,
                    None => break,
                },
            };
            if !filter.wants(&page, &stored) {
                continue;
            }
            let message =
                serde_json::to_string(&*stored).map(|text| sse::Event::default().id(stored.seq.to_string()).data(text));
            tokio::select! {
                () = ends.come() => break,
                sent = to.send(message) => if sent.is_err() { break },
            }
        }
    });
    Sse::new(ReceiverStream::new(messages)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
