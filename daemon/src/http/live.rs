//! Events: a list, or a stream that goes on where it left off.
//!
//! A stream first sends what the journal has after the last event its reader saw, then what happens. Both carry the
//! event's number, so nothing comes twice and nothing is missing; a reader that falls behind is caught up from the journal.

use super::App;
use super::api::{Many, Page, pages};
use super::problem::Problem;
use crate::store::Wanted;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use homeostat::event::Stored;
use homeostat::series::SeriesName;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// Events read from the journal in one go.
const AT_ONCE: usize = 500;

pub async fn events(State(app): State<App>, headers: HeaderMap, Many(query): Many) -> Result<Response, Problem> {
    let streams = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    let number = |text: &str| text.parse::<u64>().map_err(|_| Problem::bad_request(format!("`{text}` is not an event's number")));
    if streams {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or_else(|| query.one("after"));
        let last = last.as_deref().map(number).transpose()?;
        return Ok(stream(app, last).await?.into_response());
    }
    let page = Page::of(&query)?;
    let wanted = Wanted {
        before: page.token.as_deref().map(number).transpose()?,
        after: query.one("after").as_deref().map(number).transpose()?,
        kind: query.one("kind"),
        series: query.one("series").map(|name| SeriesName::parse(&name)).transpose().map_err(|error| Problem::bad_request(error.to_string()))?,
        newest_first: true,
        limit: page.limit + 1,
    };
    let mut found = app.handle().query(move |view| view.store.events(&wanted).map_err(|error| error.to_string())).await?.map_err(|error| {
        Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error)
    })?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let next = more.then(|| found.last().map(|stored| stored.seq.to_string())).flatten();
    Ok(pages(&found, next))
}

async fn stream(app: App, last: Option<u64>) -> Result<Sse<impl futures_core::Stream<Item = Result<Message, Infallible>>>, Problem> {
    // Listening first, then reading: what happens in between comes by both, and is sent once.
    let mut live = app.handle().live();
    let mut seen = match last {
        Some(last) => last,
        None => app.handle().query(|view| view.store.last_seq()).await?,
    };
    let mut stopping = app.stopping.clone();
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut behind = true;
        loop {
            if behind {
                let Ok(found) = missed(&app, seen).await else { return };
                behind = !found.is_empty();
                for stored in found {
                    seen = stored.seq;
                    if sender.send(message(&stored)).await.is_err() {
                        return;
                    }
                }
                continue;
            }
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = sender.closed() => return,
                stored = live.recv() => match stored {
                    Ok(stored) if stored.seq <= seen => {}
                    Ok(stored) => {
                        seen = stored.seq;
                        if sender.send(message(&stored)).await.is_err() {
                            return;
                        }
                    }
                    Err(RecvError::Lagged(_)) => behind = true,
                    Err(RecvError::Closed) => return,
                },
            }
        }
    });
    Ok(Sse::new(tokio_stream::wrappers::ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()))
}

async fn missed(app: &App, after: u64) -> Result<Vec<Stored>, ()> {
    let wanted = Wanted { after: Some(after), limit: AT_ONCE, ..Wanted::default() };
    let found = app.handle().query(move |view| view.store.events(&wanted).ok()).await.map_err(|_| ())?;
    found.ok_or(())
}

fn message(stored: &Stored) -> Result<Message, Infallible>
{
    let data = serde_json::to_string(stored).unwrap_or_default();
    Ok(Message::default().id(stored.seq.to_string()).data(data))
}
