//! The audit: who changed what, from where, and with which result. Kept in the store as long as events are, and one line of the
//! log each.
//!
//! What was asked for is told by the plain fields of its body. Samples that are sent are no change, and are not here.

use axum::body::{Body, Bytes, HttpBody};
use homeostat::time::Timestamp;
use hyper::body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// So much of a body is looked at, in bytes; of a longer one its length is told.
const LOOKED_AT: usize = 16 << 10;

/// A text of a body, and all of them, in characters.
const TEXT_MAX: usize = 200;
const WHAT_MAX: usize = 1000;

/// One change, or a try.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// By the access file: `token NAME`, `user NAME`, `client SUBJECT`; else `anyone`, or `signal` for SIGHUP.
    pub who: String,
    /// The address it came from; null for a signal.
    pub peer: Option<String>,
    /// Method and path.
    pub action: String,
    /// The plain fields of what was sent; null: nothing was.
    pub what: Option<String>,
    /// Of the answer: 2xx says that it was done.
    pub status: u16,
}

/// The beginning of a body as it passed, and how long it was.
#[derive(Debug, Default)]
pub struct Seen {
    start: Vec<u8>,
    len: u64,
}

/// A body that is looked at as it passes.
pub struct Looked {
    body: Body,
    seen: Arc<Mutex<Seen>>,
}

/// The same body, and what will have been seen of it.
pub fn looked(body: Body) -> (Body, Arc<Mutex<Seen>>) {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    (Body::new(Looked { body, seen: Arc::clone(&seen) }), seen)
}

impl HttpBody for Looked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.len += bytes.len() as u64;
            let room = LOOKED_AT.saturating_sub(seen.start.len()).min(bytes.len());
            seen.start.extend_from_slice(&bytes[..room]);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// In words what was sent.
pub fn what(seen: &Mutex<Seen>) -> Option<String> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.len == 0 {
        return None;
    }
    if seen.len as usize > seen.start.len() {
        return Some(format!("{} bytes", seen.len));
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(&seen.start) else {
        return Some(format!("{} bytes that are no JSON object", seen.len));
    };
    Some(short(&Value::Object(fields.into_iter().map(plain).collect::<Map<_, _>>()).to_string(), WHAT_MAX))
}

/// A field as it is told: of what is no plain value how much it was.
fn plain((name, value): (String, Value)) -> (String, Value) {
    let told = match value {
        Value::String(text) => Value::String(short(&text, TEXT_MAX)),
        Value::Array(items) => Value::String(format!("{} items", items.len())),
        Value::Object(fields) => Value::String(format!("{} fields", fields.len())),
        plain => plain,
    };
    (short(&name, TEXT_MAX), told)
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

impl Record {
    /// One line of the log.
    pub fn tell(&self) {
        let (who, status) = (&self.who, self.status);
        let peer = self.peer.as_deref().unwrap_or("-");
        let what = self.what.as_deref().unwrap_or("-");
        tracing::info!(who, peer, status, what, "audit: {}", self.action);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Option<String> {
        let mut seen = Seen { len: body.len() as u64, ..Seen::default() };
        seen.start.extend_from_slice(&body.as_bytes()[..body.len().min(LOOKED_AT)]);
        what(&Mutex::new(seen))
    }

    #[test]
    fn what_was_asked_for_is_told_by_its_plain_fields_and_never_at_length() {
        assert_eq!(told(""), None);
        let body = r#"{"series":"load","verdict":false,"data":[1,2],"labels":{"a":1},"at":1.5}"#;
        let said = r#"{"series":"load","verdict":false,"data":"2 items","labels":"1 fields","at":1.5}"#;
        assert_eq!(told(body).as_deref(), Some(said));
        assert_eq!(told("[1]").as_deref(), Some("3 bytes that are no JSON object"));
        assert_eq!(told(&format!("{{\"a\":\"{}\"}}", "x".repeat(20_000))).as_deref(), Some("20008 bytes"));
        let long = told(&format!("{{\"a\":\"{}\"}}", "é".repeat(5000))).expect("told");
        assert_eq!(long.chars().count(), TEXT_MAX + 9, "{long}");
    }
}
