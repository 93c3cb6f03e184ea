//! The page, the API and the metrics, over HTTP/1.1.
//!
//! Nothing here decides anything: handlers ask the driver and format its answers. Everything a client can make wait or
//! grow has a limit: connections, headers, bodies, requests, streams.

mod alertmanager;
mod api;
mod assets;
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
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use problem::Problem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The largest body a request may have, in bytes.
const BODY_MAX: usize = 1 << 20;

/// The largest head; a series' name may take 16 kB of it, twice over when it is percent-encoded.
const HEAD_MAX: usize = 64 << 10;

/// A connection that sends no whole head for so long is closed, an idle one too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that is not answered by then is given up; streams answer at once and then go on.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections at once; more wait to be accepted. HTTP/1.1 has one request in each, so this bounds those as well.
const CONNECTIONS_MAX: usize = 512;

/// Streams of events at once, so that they leave connections to others.
const STREAMS_MAX: usize = 128;

/// How long requests in flight may take to finish when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Reads the configuration again, from all its layers.
/// The error says what to mend.
pub type Reread = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// What works beside the driver.
pub struct Beside {
    pub tallies: Tallies,
    pub office: Arc<Office>,
    pub desk: Arc<Desk>,
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
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let app = App {
        handle,
        reread,
        external: config.daemon.http.external_host().map(Arc::from),
        totals: Arc::default(),
        tallies: Arc::new(beside.tallies),
        office: beside.office,
        desk: beside.desk,
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stopping: stopping.clone(),
    };
    let router = router(app);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            // The sender going away means the same.
            _ = stopping.wait_for(|stop| *stop) => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(receive::Peer(peer));
            hyper::service::Service::call(&service, request)
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX);
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that goes away or talks nonsense is its own business.
            if let Err(error) = connection.await {
                tracing::debug!("connection: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight after {} s and are cut off", DRAIN.as_secs());
    }
    Ok(())
}

/// The next connection, as soon as there is room for it.
async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(connections).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole: waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                return (stream, peer.ip().to_canonical(), permit);
            }
            // Out of file descriptors, mostly: one of the open connections has to end first.
            Err(error) => {
                tracing::warn!("accepting a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Every route with its methods: what `openapi.json` describes, no more and no less.
fn routes() -> Vec<(&'static str, &'static [&'static str], MethodRouter<App>)> {
    vec![
        ("/api/v1/series", &["get"], get(api::series)),
        ("/api/v1/series/samples", &["get"], get(api::samples)),
        ("/api/v1/thresholds", &["get", "post"], get(api::thresholds).post(import::thresholds)),
        ("/api/v1/explain", &["get"], get(api::explain)),
        ("/api/v1/state", &["get", "post"], get(api::state).post(api::force)),
        ("/api/v1/parameters", &["get"], get(api::parameters)),
        ("/api/v1/loops", &["get"], get(api::loops)),
        ("/api/v1/signals", &["get"], get(api::signals)),
        ("/api/v1/actions", &["get"], get(api::actions)),
        ("/api/v1/events", &["get"], get(api::events)),
        ("/api/v1/transitions", &["get"], get(api::transitions)),
        ("/api/v1/optimizations", &["get"], get(api::optimizations)),
        ("/api/v1/statistics", &["get"], get(api::statistics)),
        ("/api/v1/ab", &["get"], get(api::ab)),
        ("/api/v1/ab/report", &["get"], get(api::ab_report)),
        ("/api/v1/calendar", &["get"], get(api::calendar)),
        ("/api/v1/feedback", &["post"], post(feedback::feedback)),
        ("/api/v1/proposals", &["get"], get(proposals::list)),
        ("/api/v1/proposals/{id}", &["post"], post(proposals::answer)),
        ("/api/v1/rollouts", &["get", "post"], get(rollouts::list).post(rollouts::order)),
        (
            "/api/v1/alertmanager",
            &["post"],
            post(alertmanager::webhook).layer(DefaultBodyLimit::max(alertmanager::BODY_MAX)),
        ),
        ("/api/v1/pager", &["post"], post(alertmanager::pager)),
        ("/api/v1/verdicts", &["get"], get(alertmanager::verdicts)),
        ("/api/v1/write", &["post"], post(receive::write)),
        ("/v1/metrics", &["post"], post(otlp::metrics)),
        ("/api/v1/freeze", &["get", "post"], get(api::frozen).post(api::freeze)),
        ("/api/v1/openapi.json", &["get"], get(api::openapi)),
        ("/metrics", &["get"], get(api::metrics)),
        ("/metrics/thresholds", &["get"], get(api::threshold_metrics)),
        ("/-/healthy", &["get"], get(api::healthy)),
        ("/-/ready", &["get"], get(api::ready)),
        ("/-/reload", &["post"], post(api::reload)),
        ("/", &["get"], get(api::page_file)),
    ]
}

fn router(app: App) -> Router {
    let mut router = Router::new();
    for (path, _, handler) in routes() {
        // For the methods it takes: any other is refused as such, whatever its type.
        router = router.route(path, handler.route_layer(middleware::from_fn(typed)));
    }
    router
        .fallback(other)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), guarded))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn(secured))
        .with_state(app)
}

/// A file of the page, or nothing.
async fn other(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") || !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = format!("there is nothing at {path}; /api/v1/openapi.json tells what there is");
        return Problem::not_found(text).into_response();
    }
    api::page_file(request.uri().clone(), request.headers().clone()).await.into_response()
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let text = format!("{path} does not take {method}; the Allow header tells what it takes");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, text)
}

async fn guarded(State(app): State<App>, request: Request, next: Next) -> Response {
    let external = app.external.as_deref();
    let checked = guard::check(request.method(), request.uri(), request.version(), request.headers(), external);
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn typed(request: Request, next: Next) -> Response {
    match guard::check_type(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("the request took longer than {} s; try again", REQUEST_TIMEOUT.as_secs());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// Headers that keep a browser from doing what the page never needs.
async fn secured(request: Request, next: Next) -> Response {
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
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_knows_every_route_and_no_other() {
        let mut served: Vec<(String, String)> = routes()
            .iter()
            .flat_map(|(path, methods, _)| methods.iter().map(|method| ((*path).to_owned(), (*method).to_owned())))
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
