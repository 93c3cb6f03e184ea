//! The door of each route: who is asking, whether they have its role, and the record of what they changed.

use super::{App, Problem, alertmanager};
use crate::access::audit::{self, Record};
use crate::access::connections::{Held, InFlight};
use crate::access::{Denied, Peer, Policy, Refusal, Role, Who};
use crate::driver;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

/// No route takes a longer body: one that is announced so need not come. Each has its own limit below this.
const ANNOUNCED_MAX: u64 = alertmanager::BODY_MAX as u64;

/// What a method of a route needs of whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nobody says who they are: only whether the daemon lives is told.
    Nothing,
    Role(Role),
}

/// A route's door.
#[derive(Clone)]
pub struct Door {
    pub app: App,
    pub needs: &'static [(&'static str, Needs)],
}

impl Door {
    /// By the method. The router lets no other pass; were there one, it would need the most.
    fn needs(&self, method: &Method) -> Needs {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let needs = self.needs.iter().find(|(known, _)| method.as_str().eq_ignore_ascii_case(known));
        needs.map_or(Needs::Role(Role::Operate), |(_, needs)| *needs)
    }
}

/// Lets a request pass that may, and records it where it changes something.
pub async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let needs = door.needs(request.method());
    let (mut parts, body) = request.into_parts();
    let who = match enter(&door.app, &parts, needs).await {
        Ok(who) => who,
        Err(refused) => return refused,
    };
    parts.extensions.insert(who.clone());
    let changes = parts.method == Method::POST && needs != Needs::Role(Role::Write);
    if !changes {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let mut record = begun(&parts, &who);
    let announced = body.size_hint().lower();
    if announced > ANNOUNCED_MAX {
        record.status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
        if let Some(before) = told(&door.app, &who) {
            record.what = not_kept(before);
            keep(&door.app, record).await;
        }
        let text = format!("a body of {announced} bytes is announced; at most {} MiB are taken", ANNOUNCED_MAX >> 20);
        return closing(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text).into_response());
    }
    let (body, seen) = audit::looked(body);
    // By itself: whoever goes away before the answer takes no record of what they changed along.
    let done = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, body)).await;
        record.what = audit::what(&seen);
        record.status = response.status().as_u16();
        keep(&door.app, record).await;
        response
    });
    match done.await {
        Ok(response) => response,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Who a request is from, if they may do what it needs; else the answer that says what is missing.
pub async fn enter(app: &App, request: &Parts, needs: Needs) -> Result<Who, Response> {
    let Needs::Role(role) = needs else { return Ok(Who::anyone()) };
    let peer = request.extensions.get::<Peer>().expect("each connection says who is at its other end");
    let mut all = request.headers.get_all(header::AUTHORIZATION).iter();
    let authorization = all.next().map(HeaderValue::as_bytes);
    let who = match all.next() {
        None => app.gate.who(authorization, peer, driver::now()).await,
        Some(_) => Err(Denied::Unreadable),
    };
    let who = who.map_err(|denied| unauthorized(app, peer, &denied))?;
    if !who.roles.has(role) {
        app.gate.tally.refused(Refusal::Role);
        if let Some(before) = told(app, &who) {
            tracing::info!(who = %who.name, peer = %peer.address, "refused: {} {}", request.method, request.uri.path());
            if request.method == Method::POST {
                let mut record = begun(request, &who);
                (record.status, record.what) = (StatusCode::FORBIDDEN.as_u16(), not_kept(before));
                keep(app, record).await;
            }
        }
        let (name, needed) = (&who.name, role.as_str());
        let text = format!("{name} lacks the role {needed} (it has {}); give it in the access file", who.roles);
        return Err(Problem::new(StatusCode::FORBIDDEN, text).into_response());
    }
    if let Some(held) = request.extensions.get::<Arc<Held>>() {
        held.let_in();
    }
    Ok(who)
}

/// Whether a refused try of somebody is told, and how many were not since the last one that was. All are counted.
fn told(app: &App, who: &Who) -> Option<u64> {
    let mut tries = app.gate.tries.lock().unwrap_or_else(PoisonError::into_inner);
    tries.tell(Arc::clone(&who.name), driver::now())
}

fn not_kept(before: u64) -> Option<String> {
    (before > 0).then(|| format!("{before} more tries were refused since the record before, and are not kept"))
}

fn unauthorized(app: &App, peer: &Peer, denied: &Denied) -> Response {
    let reason = denied.reason();
    app.gate.tally.refused(reason);
    match denied {
        Denied::NoCredentials => tracing::debug!(peer = %peer.address, "refused: {}", reason.as_str()),
        _ => tracing::warn!(peer = %peer.address, "refused: {}", reason.as_str()),
    }
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, denied.to_string()).into_response();
    for challenge in challenges(&app.gate.policy(), denied) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    closing(response)
}

/// The body is not read: whoever may not enter need not be listened to.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What would be taken. A browser asks its person where Basic is among them.
fn challenges(policy: &Policy, denied: &Denied) -> Vec<&'static str> {
    let bearer = match denied {
        Denied::Expired(..) => "Bearer realm=\"homeostat\", error=\"invalid_token\", error_description=\"expired\"",
        Denied::WrongToken => "Bearer realm=\"homeostat\", error=\"invalid_token\"",
        _ => "Bearer realm=\"homeostat\"",
    };
    let basic = "Basic realm=\"homeostat\", charset=\"UTF-8\"";
    let mut all = Vec::new();
    if !policy.users.is_empty() {
        all.push(basic);
    }
    if !policy.tokens.is_empty() || all.is_empty() {
        all.push(bearer);
    }
    all
}

fn begun(request: &Parts, who: &Who) -> Record {
    let peer = request.extensions.get::<Peer>().map(|peer| peer.address.to_string());
    Record {
        at: driver::now(),
        who: who.name.to_string(),
        peer,
        action: format!("{} {}", request.method, request.uri.path()),
        what: None,
        status: 0,
    }
}

/// Keeps a record, and tells it. What cannot be kept is told all the same, and counted.
pub async fn keep(app: &App, record: Record) {
    super::audit::keep(&app.handle, &app.gate.tally, record).await;
}

/// A body that holds something until it was sent, or its reader went away.
struct Holding {
    body: Body,
    _held: Option<InFlight>,
}

pub fn holding(body: Body, held: Option<InFlight>) -> Body {
    Body::new(Holding { body, _held: held })
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
