//! Where OpenTelemetry's metrics come in: `/v1/metrics`, OTLP over HTTP with protobuf.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. What was refused of a request that is otherwise taken is told in its answer;
//! errors are a `google.rpc.Status`. A sender tries again on 429, 502, 503 and 504 alone.

use crate::driver::{self, Handle};
use crate::http::App;
use crate::http::api::no_params;
use crate::http::receive::{No, apart, hand_over, may_send, sender, text_of, whole_body};
use crate::receive::batch::Batch;
use crate::receive::desk::{Desk, Room};
use crate::receive::labels::shown;
use crate::receive::otlp::delta::Deltas;
use crate::receive::otlp::{self, Left, Reading};
use crate::receive::proto::{put, put_varint};
use crate::receive::remote_write::NotRead;
use crate::receive::{Outcome, Protocol};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;
use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::OwnedMutexGuard;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Labels of a request may take so many times as much as its body, and a little more: each bucket repeats those of its histogram.
const LABELS_TIMES: u64 = 16;
const LABELS_MIN: u64 = 64 << 10;

/// What is unpacked at once, in bytes.
const PIECE: usize = 64 << 10;

pub async fn metrics(State(app): State<App>, request: Request<Body>) -> Response {
    if let Err(problem) = no_params(request.uri()) {
        return problem.into_response();
    }
    let mut bytes = 0;
    let answer = match take(&app, request, &mut bytes).await {
        Ok(left) => taken(&left),
        Err(no) => status(no),
    };
    app.desk.tally.answered(Protocol::Otlp, answer.status().as_u16(), bytes);
    answer
}

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packed {
    Plain,
    Gzip,
}

async fn take(app: &App, request: Request<Body>, bytes: &mut u64) -> Result<Left, No> {
    let packed = packed(request.headers())?;
    let sender = sender(&request);
    let mut room = app.desk.room(sender);
    let body = whole_body(&app.desk, request, &mut room).await?;
    *bytes = body.len() as u64;
    let max = app.desk.settings.body_uncompressed_max;
    let (mut room, body) = apart(&app.desk, move || {
        let body = unpacked(body, packed, max, &mut room);
        (room, body)
    })
    .await?;
    let body = body?;
    let labels_max = (LABELS_TIMES * body.len() as u64 + LABELS_MIN).min(max);
    if !room.more(labels_max) {
        return Err(busy());
    }
    let labels_max = usize::try_from(labels_max).unwrap_or(usize::MAX);
    let read = read(&app.desk, body, labels_max, room).await?;
    let Read { mut batch, mut left, deltas } = read;
    if let Err(no) = may_send(&app.desk, sender, &batch) {
        app.desk.done_with(batch);
        return Err(no);
    }
    let exponential = batch.histograms;
    app.desk.tally.histograms.fetch_add(exponential, Ordering::Relaxed);
    app.desk.tally.exemplars.fetch_add(batch.exemplars, Ordering::Relaxed);
    app.desk.tally.came_of(Protocol::Otlp, &left.outcome(exponential));
    let room = batch.give_back().unwrap_or_else(|| app.desk.room(sender));
    let outcome = handed(app.handle.clone(), Arc::clone(&app.desk), batch, deltas, room, sender).await?;
    left.add(&outcome);
    Ok(left)
}

/// Hands a request over, and has its sums count once it was taken: by itself, so that a sender that goes away before the answer
/// has them counted as its samples are.
async fn handed(
    handle: Handle,
    desk: Arc<Desk>,
    batch: Batch,
    deltas: Option<OwnedMutexGuard<Deltas>>,
    room: Room,
    sender: IpAddr,
) -> Result<Outcome, No> {
    let work = async move {
        let outcome = hand_over(&handle, &desk, Protocol::Otlp, batch, room, sender).await?;
        if let Some(mut deltas) = deltas {
            deltas.done();
        }
        Ok(outcome)
    };
    let failed = |_| No::new(StatusCode::INTERNAL_SERVER_ERROR, "the request was not taken by a mistake of our own");
    tokio::spawn(work).await.map_err(failed)?
}

/// A request taken apart, and the sums that it added to, where it did.
struct Read {
    batch: Batch,
    left: Left,
    deltas: Option<OwnedMutexGuard<Deltas>>,
}

/// Sums are held for one request at a time, and only for one that has differences: that is seen as it is read.
async fn read(desk: &Desk, body: Vec<u8>, labels_max: usize, room: Room) -> Result<Read, No> {
    let (mut batch, seed, now) = (desk.batch(), desk.seed, driver::now());
    batch.lend(room);
    let (body, mut batch, read) = apart(desk, move || {
        let read = otlp::decode(&body, Reading { seed, labels_max, now, deltas: None }, &mut batch);
        (body, batch, read)
    })
    .await?;
    let not_read = match read {
        Ok(left) => return Ok(Read { batch, left, deltas: None }),
        Err(otlp::No::NotRead(error)) => error,
        Err(otlp::No::Deltas) => {
            let mut deltas = Arc::clone(&desk.deltas).lock_owned().await;
            let (again, deltas, read) = apart(desk, move || {
                let read =
                    otlp::decode(&body, Reading { seed, labels_max, now, deltas: Some(&mut deltas) }, &mut batch);
                (batch, deltas, read)
            })
            .await?;
            match read {
                Ok(left) => return Ok(Read { batch: again, left, deltas: Some(deltas) }),
                Err(otlp::No::NotRead(error)) => {
                    batch = again;
                    error
                }
                Err(otlp::No::Deltas) => unreachable!("the sums are at hand"),
            }
        }
    };
    desk.done_with(batch);
    Err(not_read.into())
}

fn busy() -> No {
    No::busy(NotRead::NoRoom.to_string())
}

/// How the body is packed; another form than protobuf is refused, with what to do about it.
fn packed(headers: &HeaderMap) -> Result<Packed, No> {
    let refuse = |text: String| No::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    let kind = text_of(headers, &header::CONTENT_TYPE);
    let media = kind.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-protobuf") {
        let kind = shown(&kind);
        return Err(refuse(format!(
            "the Content-Type `{kind}` is not taken here; send application/x-protobuf \
             (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf; of a collector: otlphttp with encoding: proto)"
        )));
    }
    let encoding = text_of(headers, &header::CONTENT_ENCODING).to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(Packed::Plain),
        "gzip" => Ok(Packed::Gzip),
        other => {
            let encoding = shown(other);
            Err(refuse(format!("the Content-Encoding `{encoding}` is not taken here; send gzip or none")))
        }
    }
}

/// The body as it was before it was packed. Memory is taken as it comes out: how much that is, nobody says beforehand.
fn unpacked(body: Vec<u8>, packed: Packed, max: u64, room: &mut Room) -> Result<Vec<u8>, No> {
    let too_large = || {
        let text = format!("the body has over {max} bytes when it is uncompressed (receive.body_uncompressed_max)");
        No::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    if packed == Packed::Plain {
        return match (body.len() as u64 <= max, room.more(body.len() as u64)) {
            (false, _) => Err(too_large()),
            (true, false) => Err(busy()),
            (true, true) => Ok(body),
        };
    }
    let mut from = MultiGzDecoder::new(&body[..]);
    let (mut all, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let read = from.read(&mut piece);
        let len = read.map_err(|error| No::new(StatusCode::BAD_REQUEST, format!("the body is not gzip: {error}")))?;
        if len == 0 {
            return Ok(all);
        }
        if all.len() as u64 + len as u64 > max {
            return Err(too_large());
        }
        if !room.more(len as u64) {
            return Err(busy());
        }
        all.extend_from_slice(&piece[..len]);
    }
}

/// `ExportMetricsServiceResponse { partial_success = 1 { rejected_data_points = 1, error_message = 2 } }`, empty when all was taken.
fn taken(left: &Left) -> Response {
    let mut body = Vec::new();
    if left.refused > 0 || !left.said.is_empty() {
        let mut partial = vec![1 << 3];
        put_varint(&mut partial, left.refused);
        put(&mut partial, 2, left.said.join("; ").as_bytes());
        put(&mut body, 1, &partial);
    }
    ([(header::CONTENT_TYPE, PROTOBUF)], body).into_response()
}

/// `google.rpc.Status { code = 1, message = 2 }`
fn status(no: No) -> Response {
    let code = match no.status {
        StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        _ => 3,
    };
    let mut body = vec![1 << 3, code];
    put(&mut body, 2, no.text.as_bytes());
    let mut response = (no.status, [(header::CONTENT_TYPE, PROTOBUF)], body).into_response();
    if let Some(seconds) = no.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::Receive;
    use homeostat::time::Timestamp;

    #[tokio::test]
    async fn a_sender_that_goes_away_before_the_answer_has_its_differences_counted_once() {
        let (handle, taken) = driver::late();
        let desk = Arc::new(Desk::open(&Receive::default(), 10));
        let sender = IpAddr::from([10, 0, 0, 1]);
        let at = |secs: i64| Timestamp::from_secs(1_700_000_000 + secs);
        let mut deltas = Arc::clone(&desk.deltas).lock_owned().await;
        deltas.begin();
        assert_eq!(deltas.add(1, at(10), 5.0, at(10)), Ok(5.0));
        let (batch, room) = (desk.batch(), desk.room(sender));
        let waits = tokio::spawn(handed(handle, Arc::clone(&desk), batch, Some(deltas), room, sender));
        while !taken.waits() {
            tokio::task::yield_now().await;
        }
        waits.abort();
        assert!(waits.await.is_err_and(|error| error.is_cancelled()));
        taken.take();
        let mut deltas = desk.deltas.lock().await;
        deltas.begin();
        assert_eq!(deltas.add(1, at(20), 2.0, at(20)), Ok(7.0), "what the engine holds is what the next is added to");
    }
}
