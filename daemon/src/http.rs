//! The page, the API and the metrics, over HTTP/1.1.
//!
//! Nothing here decides anything: handlers ask the driver and format its answers. Everything a client can make wait or
//! grow has a limit: connections, headers, bodies, requests, streams.

mod alertmanager;
mod api;
mod assets;
mod audit;
mod door;
pub mod events;
mod feedback;
mod guard;
mod import;
mod openapi;
mod otlp;
mod problem;
mod proposals;
mod query;
mod receive;
mod rollouts;
mod rows;
mod serve;

use crate::access::connections::{Connections, Held};
use crate::access::{Gate, Peer, Refusal, Role};
use crate::alertmanager::Office;
use crate::config::Config;
use crate::driver::Handle;
use crate::receive::desk::Desk;
use crate::telemetry::{Tallies, Totals};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use door::Needs;
use problem::Problem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// The largest body a request may have, in bytes.
const BODY_MAX: usize = 1 << 20;

/// A request that is not answered by then is given up; streams answer at once and then go on.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Streams of events at once, so that they leave connections to others.
const STREAMS_MAX: usize = 128;

/// Reads the configuration again, from all its layers.
/// The error says what to mend.
pub type Reread = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// What works beside the driver.
pub struct Beside {
    pub tallies: Tallies,
    pub office: Arc<Office>,
    pub desk: Arc<Desk>,
    pub gate: Arc<Gate>,
}

/// What every handler has.
#[derive(Clone)]
struct App {
    handle: Handle,
    reread: Reread,
    /// The name in `http.external_url`.
    external: Option<Arc<str>>,
    totals: Arc<Mutex<Totals>>,
    tallies: Arc<Tallies>,
    office: Arc<Office>,
    desk: Arc<Desk>,
    gate: Arc<Gate>,
    connections: Arc<Connections>,
    streams: Arc<Semaphore>,
    /// Becomes true when the daemon stops.
    stopping: watch::Receiver<bool>,
}

impl App {
    fn totalled<T>(&self, read: impl FnOnce(&mut Totals) -> T) -> T {
        read(&mut self.totals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Answers on `listener` until `stopping` turns true, then ends streams and finishes what is in flight.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    config: &Config,
    reread: Reread,
    beside: Beside,
    stopping: watch::Receiver<bool>,
) {
    let app = App {
        handle,
        reread,
        external: config.daemon.http.external_host().map(Arc::from),
        totals: Arc::default(),
        tallies: Arc::new(beside.tallies),
        office: beside.office,
        desk: beside.desk,
        gate: Arc::clone(&beside.gate),
        connections: Arc::default(),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stopping: stopping.clone(),
    };
    let connections = Arc::clone(&app.connections);
    serve::connections(listener, router(app), beside.gate, connections, stopping).await;
}

/// A route: its methods, each with what it needs of whoever asks, and what answers.
type Route = (&'static str, &'static [(&'static str, Needs)], MethodRouter<App>);

const LOOK: (&str, Needs) = ("get", Needs::Role(Role::Read));
const SAY: (&str, Needs) = ("post", Needs::Role(Role::Feedback));
const WRITE: (&str, Needs) = ("post", Needs::Role(Role::Write));
const OPERATE: (&str, Needs) = ("post", Needs::Role(Role::Operate));

/// Keeps that SIGHUP had the configuration read again, and whether it was taken.
pub async fn audit_signal(handle: &Handle, tally: &crate::access::Tally, taken: bool) {
    let status = if taken { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }.as_u16();
    let (who, action) = ("signal".to_owned(), "SIGHUP".to_owned());
    let record = crate::access::audit::Record { at: crate::driver::now(), who, peer: None, action, what: None, status };
    audit::keep(handle, tally, record).await;
}

/// Every route with its methods: what `openapi.json` describes, no more and no less.
fn routes() -> Vec<Route> {
    vec![
        ("/api/v1/series", &[LOOK], get(api::series)),
        ("/api/v1/series/samples", &[LOOK], get(api::samples)),
        ("/api/v1/thresholds", &[LOOK, OPERATE], get(api::thresholds).post(import::thresholds)),
        ("/api/v1/explain", &[LOOK], get(api::explain)),
        ("/api/v1/state", &[LOOK, OPERATE], get(api::state).post(api::force)),
        ("/api/v1/parameters", &[LOOK], get(api::parameters)),
        ("/api/v1/loops", &[LOOK], get(api::loops)),
        ("/api/v1/signals", &[LOOK], get(api::signals)),
        ("/api/v1/actions", &[LOOK], get(api::actions)),
        ("/api/v1/events", &[LOOK], get(api::events)),
        ("/api/v1/transitions", &[LOOK], get(api::transitions)),
        ("/api/v1/optimizations", &[LOOK], get(api::optimizations)),
        ("/api/v1/statistics", &[LOOK], get(api::statistics)),
        ("/api/v1/ab", &[LOOK], get(api::ab)),
        ("/api/v1/ab/report", &[LOOK], get(api::ab_report)),
        ("/api/v1/calendar", &[LOOK], get(api::calendar)),
        ("/api/v1/feedback", &[SAY], post(feedback::feedback)),
        ("/api/v1/proposals", &[LOOK], get(proposals::list)),
        ("/api/v1/proposals/{id}", &[SAY], post(proposals::answer)),
        ("/api/v1/rollouts", &[LOOK, OPERATE], get(rollouts::list).post(rollouts::order)),
        (
            "/api/v1/alertmanager",
            &[SAY],
            post(alertmanager::webhook).layer(DefaultBodyLimit::max(alertmanager::BODY_MAX)),
        ),
        ("/api/v1/pager", &[SAY], post(alertmanager::pager)),
        ("/api/v1/verdicts", &[LOOK], get(alertmanager::verdicts)),
        ("/api/v1/write", &[WRITE], post(receive::write)),
        ("/v1/metrics", &[WRITE], post(otlp::metrics)),
        ("/api/v1/freeze", &[LOOK, OPERATE], get(api::frozen).post(api::freeze)),
        ("/api/v1/audit", &[("get", Needs::Role(Role::Operate))], get(audit::list)),
        ("/api/v1/openapi.json", &[LOOK], get(api::openapi)),
        ("/metrics", &[LOOK], get(api::metrics)),
        ("/metrics/thresholds", &[LOOK], get(api::threshold_metrics)),
        ("/-/healthy", &[("get", Needs::Nothing)], get(api::healthy)),
        ("/-/ready", &[("get", Needs::Nothing)], get(api::ready)),
        ("/-/reload", &[OPERATE], post(api::reload)),
        ("/", &[LOOK], get(api::page_file)),
    ]
}

fn router(app: App) -> Router {
    let mut router = Router::new();
    for (path, needs, handler) in routes() {
        // For the methods it takes: any other is refused as such, whatever its type.
        let door = door::Door { app: app.clone(), needs };
        let handler = handler.route_layer(middleware::from_fn(typed));
        router = router.route(path, handler.route_layer(middleware::from_fn_with_state(door, door::pass)));
    }
    router
        .fallback(other)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
        .layer(middleware::from_fn_with_state(app.clone(), in_time))
        .layer(middleware::from_fn_with_state(app.clone(), secured))
        .with_state(app)
}

/// A file of the page, or nothing.
async fn other(State(app): State<App>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if let Err(refused) = door::enter(&app, &request, Needs::Role(Role::Read)).await {
        return refused;
    }
    let path = request.uri.path();
    if path.starts_with("/api/") || !matches!(request.method, Method::GET | Method::HEAD) {
        let text = format!("there is nothing at {path}; /api/v1/openapi.json tells what there is");
        return Problem::not_found(text).into_response();
    }
    api::page_file(request.uri, request.headers).await.into_response()
}

async fn wrong_method(State(app): State<App>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if let Err(refused) = door::enter(&app, &request, Needs::Role(Role::Read)).await {
        return refused;
    }
    let (method, path) = (&request.method, request.uri.path());
    let text = format!("{path} does not take {method}; the Allow header tells what it takes");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}

async fn guarded(State(app): State<App>, request: Request, next: Next) -> Response {
    if guard::head_len(request.uri(), request.headers()) > serve::HEAD_MAX {
        app.gate.tally.refused(Refusal::TooLarge);
        let text = format!("the head of the request is over {} KiB; send less in it", serve::HEAD_MAX >> 10);
        return Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text).into_response();
    }
    let external = app.external.as_deref();
    let checked = guard::check(request.method(), request.uri(), request.version(), request.headers(), external);
    match checked {
        Ok(()) => {
            let response = next.run(request).await;
            if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
                app.gate.tally.refused(Refusal::TooLarge);
            }
            response
        }
        Err(problem) => {
            app.gate.tally.refused(Refusal::Stranger);
            problem.into_response()
        }
    }
}

async fn typed(request: Request, next: Next) -> Response {
    match guard::check_type(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            app.gate.tally.refused(Refusal::TooSlow);
            let text = format!("the request took longer than {} s; try again", REQUEST_TIMEOUT.as_secs());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// Headers that keep a browser from doing what the page never needs. Until the answer's end the request is in flight.
async fn secured(State(app): State<App>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let encrypted = peer.is_some_and(|peer| peer.tls);
    let in_flight = request.extensions().get::<Arc<Held>>().map(|held| app.connections.begin(held));
    const HEADERS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What the API says is true for a moment; files of the page say for themselves how long.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if encrypted {
        // A year. Said over plain HTTP it would mean nothing.
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response.map(|body| door::holding(body, in_flight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_knows_every_route_and_no_other() {
        let mut served: Vec<(String, String)> = routes()
            .iter()
            .flat_map(|(path, methods, _)| methods.iter().map(|(method, _)| ((*path).to_owned(), (*method).to_owned())))
            .collect();
        let paths = openapi::document()["paths"].as_object().expect("an object");
        let mut described: Vec<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().expect("an object").keys().map(|method| (path.clone(), method.clone()))
            })
            .collect();
        served.sort();
        described.sort();
        assert_eq!(described, served);
    }
}
