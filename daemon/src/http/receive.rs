//! Where Prometheus' remote-write comes in: `/api/v1/write`.
//!
//! A sender tries again on 5xx and gives a request up on 4xx, so the status says which of the two helps. What it cannot mend and what
//! cannot be taken now must not be mixed up: a full inbox or a disk that takes nothing is 503, never 429, on which senders drop
//! unless they are told otherwise.

use crate::access::Peer;
use crate::access::slow::network;
use crate::driver::{self, Handle, Refused};
use crate::http::App;
use crate::http::api::no_params;
use crate::receive::batch::Batch;
use crate::receive::desk::{Desk, Room};
use crate::receive::labels::shown;
use crate::receive::remote_write::{NotRead, Version, decode, uncompressed_len};
use crate::receive::{Outcome, Protocol};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use tokio_stream::StreamExt;

/// Who sent a request: its connection says so. Of IPv6 it is the network, which one host has all addresses of.
pub(super) fn sender<B>(request: &Request<B>) -> IpAddr {
    request.extensions().get::<Peer>().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| network(peer.address))
}

/// Of a request of 2.0 everything known is answered for, on errors as well.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// A body that is larger than this, uncompressed, is taken apart on a thread of its own: others are not kept waiting for it. Smaller ones
/// are done with before a thread would have woken up.
const APART: usize = 1 << 20;

/// When a sender whose request cannot be taken now is asked to try again, in seconds.
const SOON: u64 = 1;

/// Why a request is not taken, or not all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct No {
    pub status: StatusCode,
    /// After how many seconds another try may help.
    pub retry_after: Option<u64>,
    pub text: String,
}

impl No {
    pub fn new(status: StatusCode, text: impl Into<String>) -> No {
        No { status, retry_after: None, text: text.into() }
    }

    pub fn busy(text: impl Into<String>) -> No {
        No { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(SOON), text: text.into() }
    }
}

impl From<NotRead> for No {
    fn from(error: NotRead) -> No {
        if error == NotRead::NoRoom {
            return No::busy(error.to_string());
        }
        let status = if error.is_too_large() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        No::new(status, error.to_string())
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> No {
        // All of it passes: the inbox drains, the disk gets room, a daemon that stops is started again.
        No::busy(refused.to_string())
    }
}

pub async fn write(State(app): State<App>, request: Request<Body>) -> Response {
    if let Err(problem) = no_params(request.uri()) {
        return problem.into_response();
    }
    let version = match version(request.headers()) {
        Ok(version) => version,
        Err(no) => {
            app.desk.tally.answered(Protocol::One, no.status.as_u16(), 0);
            return plain(no);
        }
    };
    let protocol = if version == Version::One { Protocol::One } else { Protocol::Two };
    let mut bytes = 0;
    let taken = take(&app, version, protocol, request, &mut bytes).await;
    let (written, answer) = match taken {
        Ok((outcome, set_aside)) => (outcome.taken, no_content(&outcome, set_aside, version)),
        Err(no) => (0, plain(no)),
    };
    app.desk.tally.answered(protocol, answer.status().as_u16(), bytes);
    if version == Version::One { answer } else { with_written(answer, written) }
}

/// What of a request is counted and kept nowhere.
#[derive(Clone, Copy, Debug)]
struct SetAside {
    histograms: u64,
}

async fn take(
    app: &App,
    version: Version,
    protocol: Protocol,
    request: Request<Body>,
    bytes: &mut u64,
) -> Result<(Outcome, SetAside), No> {
    let sender = sender(&request);
    let mut room = app.desk.room(sender);
    let body = whole_body(&app.desk, request, &mut room).await?;
    *bytes = body.len() as u64;
    let (max, seed) = (app.desk.settings.body_uncompressed_max, app.desk.seed);
    let len = uncompressed_len(&body, max)?;
    // Once as it is, and once more where its labels are scattered and laid together.
    if !room.more(2 * len as u64) {
        return Err(No::busy(NotRead::NoRoom.to_string()));
    }
    let mut batch = app.desk.batch();
    batch.lend(room);
    let read = move || {
        let read = decode(&body, version, max, seed, &mut batch);
        (batch, read)
    };
    let (mut batch, read) = if len > APART { apart(&app.desk, read).await? } else { read() };
    let read = read.map_err(No::from).and_then(|()| may_send(&app.desk, sender, &batch));
    if let Err(no) = read {
        app.desk.done_with(batch);
        return Err(no);
    }
    let set_aside = SetAside { histograms: batch.histograms };
    app.desk.tally.histograms.fetch_add(batch.histograms, Ordering::Relaxed);
    app.desk.tally.exemplars.fetch_add(batch.exemplars, Ordering::Relaxed);
    let room = batch.give_back().unwrap_or_else(|| app.desk.room(sender));
    let outcome = hand_over(&app.handle, &app.desk, protocol, batch, room, sender).await?;
    Ok((outcome, set_aside))
}

/// Does on a thread of its own what takes long.
pub(super) async fn apart<T: Send + 'static>(desk: &Desk, work: impl FnOnce() -> T + Send + 'static) -> Result<T, No> {
    let failed = || No::new(StatusCode::INTERNAL_SERVER_ERROR, "the request was not taken by a mistake of our own");
    desk.apart(work).await.ok_or_else(failed)
}

/// Whether a sender is within its quota.
pub(super) fn may_send(desk: &Desk, sender: IpAddr, batch: &Batch) -> Result<(), No> {
    desk.may_send(sender, batch.samples(), driver::now()).map_err(|seconds| {
        desk.tally.over_quota.fetch_add(1, Ordering::Relaxed);
        let most = desk.settings.samples_per_second_max.unwrap_or_default();
        let text = format!("{sender} sends over {most} samples a second (receive.samples_per_second_max)");
        No { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(seconds), text }
    })
}

/// Hands a request to the driver, and counts what came of it.
pub(super) async fn hand_over(
    handle: &Handle,
    desk: &Desk,
    protocol: Protocol,
    batch: Batch,
    room: Room,
    sender: IpAddr,
) -> Result<Outcome, No> {
    let (batch, outcome) = handle.receive(batch, room, sender).await;
    if let Some(batch) = batch {
        desk.done_with(batch);
    }
    let outcome = outcome?;
    desk.tally.came_of(protocol, &outcome);
    Ok(outcome)
}

/// Which message the body holds; what else it may be is refused, with what is taken.
fn version(headers: &HeaderMap) -> Result<Version, No> {
    let refuse = |text: String| No::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    const TAKEN: &str = "application/x-protobuf, with proto=io.prometheus.write.v2.Request (2.0) or \
                         proto=prometheus.WriteRequest or nothing (1.0)";
    let kind = text_of(headers, &header::CONTENT_TYPE);
    let mut parts = kind.split(';').map(str::trim);
    if !parts.next().unwrap_or_default().eq_ignore_ascii_case("application/x-protobuf") {
        return Err(refuse(format!("the Content-Type `{}` is not taken here; send {TAKEN}", shown(&kind))));
    }
    let proto =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
    let version = match proto.map(|(_, message)| message.trim().trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Version::One,
        Some("io.prometheus.write.v2.Request") => Version::Two,
        Some(other) => return Err(refuse(format!("the message `{}` is not taken here; send {TAKEN}", shown(other)))),
    };
    // Senders of old say nothing and mean it so.
    let encoding = text_of(headers, &header::CONTENT_ENCODING);
    match encoding.is_empty() || encoding.eq_ignore_ascii_case("snappy") {
        true => Ok(version),
        false => {
            let encoding = shown(&encoding);
            Err(refuse(format!("the Content-Encoding `{encoding}` is not taken here; send snappy (block format)")))
        }
    }
}

/// A header as text, for a message; empty when it is not there.
pub(super) fn text_of(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    value.unwrap_or_default()
}

/// The body as it was sent. Memory is taken as it comes: a sender that says much and sends little has little.
pub(super) async fn whole_body(desk: &Desk, request: Request<Body>, room: &mut Room) -> Result<Vec<u8>, No> {
    let max = desk.settings.body_max;
    let too_large = || {
        let text = format!("the body has over {max} bytes (receive.body_max); send fewer samples at once");
        No::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let mut stream = request.into_body().into_data_stream();
    let mut body = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| No::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        if body.len() as u64 + piece.len() as u64 > max {
            return Err(too_large());
        }
        if !room.more(piece.len() as u64) {
            return Err(No::busy(NotRead::NoRoom.to_string()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// 204 when all was taken; else what was not.
fn no_content(outcome: &Outcome, set_aside: SetAside, version: Version) -> Response {
    let mut said: Vec<String> = outcome.told().into_iter().collect();
    // 1.0 does not know of native histograms, and promises nothing for them.
    if version == Version::Two && set_aside.histograms > 0 {
        said.push(format!(
            "{} native histograms were set aside: none are kept here; send classic histograms (send_native_histograms: \
             false), {} samples were taken",
            set_aside.histograms, outcome.taken
        ));
    }
    match said.is_empty() {
        true => StatusCode::NO_CONTENT.into_response(),
        false => plain(No::new(StatusCode::BAD_REQUEST, said.join("; "))),
    }
}

/// Senders write the first line of an answer into their log as it stands.
fn plain(no: No) -> Response {
    let mut response = (no.status, format!("{}\n", no.text)).into_response();
    if let Some(seconds) = no.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn with_written(mut response: Response, samples: u64) -> Response {
    for (name, count) in WRITTEN.into_iter().zip([samples, 0, 0]) {
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_known_by_its_headers_and_by_nothing_else() {
        let asked = |kind: &str, encoding: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).expect("a value"));
            if let Some(encoding) = encoding {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(encoding).expect("a value"));
            }
            version(&headers).map_err(|no| no.status.as_u16())
        };
        let snappy = Some("snappy");
        assert_eq!(asked("application/x-protobuf", snappy), Ok(Version::One));
        assert_eq!(asked("application/x-protobuf", None), Ok(Version::One));
        assert_eq!(asked("application/x-protobuf;proto=prometheus.WriteRequest", snappy), Ok(Version::One));
        let two = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        assert_eq!(asked(two, Some("Snappy")), Ok(Version::Two));
        assert_eq!(asked("Application/X-Protobuf; proto=\"io.prometheus.write.v2.Request\"", snappy), Ok(Version::Two));
        assert_eq!(asked("application/x-protobuf;proto=io.prometheus.write.v3.Request", snappy), Err(415));
        assert_eq!(asked("application/json", snappy), Err(415));
        assert_eq!(asked("", snappy), Err(415));
        assert_eq!(asked(two, Some("zstd")), Err(415));
        assert_eq!(asked(two, Some("gzip")), Err(415));
    }
}
