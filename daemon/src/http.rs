//! The daemon's door for people and programs: the page, the API, live events, metrics and health.
//!
//! What arrives is hostile: bodies are small, a request for another name is refused (so a page on the web cannot reach a
//! daemon on this machine by renaming itself), and whatever changes something has to be JSON and, from a browser, ours.

mod api;
mod guard;
mod live;
mod openapi;
mod page;
mod problem;

use crate::config::{Config, ConfigError};
use crate::driver::Handle;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
pub use problem::Problem;
use std::sync::Arc;
use std::time::Duration;
use tower_http::timeout::TimeoutLayer;

/// Reads the configuration again, from all its layers.
pub type Reread = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// A larger body is refused, in bytes.
const BODY_LEN_MAX: usize = 1 << 20;

/// A request that takes longer is ended; live streams have no end.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct App {
    handle: Handle,
    reread: Reread,
    /// Turns true when the daemon stops: live streams end with it.
    stopping: tokio::sync::watch::Receiver<bool>,
}

/// Serves until `stopping` turns true, then lets running requests end.
pub async fn serve(
    listener: tokio::net::TcpListener,
    handle: Handle,
    config: &Config,
    reread: Reread,
    stopping: tokio::sync::watch::Receiver<bool>,
) -> std::io::Result<()> {
    let app = App { handle, reread, stopping: stopping.clone() };
    let mut stopped = stopping;
    axum::serve(listener, router(app, config))
        .with_graceful_shutdown(async move {
            // The sender going away means the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        })
        .await
}

fn router(app: App, config: &Config) -> Router {
    let names = guard::Names::of(config);
    let slow = Router::new().route("/api/v1/events", get(live::events));
    let quick = Router::new()
        .route("/api/v1/series", get(api::series))
        .route("/api/v1/series/samples", get(api::samples))
        .route("/api/v1/thresholds", get(api::thresholds))
        .route("/api/v1/explain", get(api::explain))
        .route("/api/v1/statistics", get(api::statistics))
        .route("/api/v1/optimizations", get(api::optimizations))
        .route("/api/v1/state", get(api::state).post(api::force))
        .route("/api/v1/transitions", get(api::transitions))
        .route("/api/v1/parameters", get(api::parameters))
        .route("/api/v1/loops", get(api::loops))
        .route("/api/v1/signals", get(api::signals))
        .route("/api/v1/actions", get(api::actions))
        .route("/api/v1/freeze", post(api::freeze))
        .route("/api/v1/feedback", post(api::feedback))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/metrics", get(crate::telemetry::metrics))
        .route("/metrics/thresholds", get(crate::telemetry::thresholds))
        .route("/-/healthy", get(async || "homeostat is healthy\n"))
        .route("/-/ready", get(api::ready))
        .route("/-/reload", post(api::reload))
        .route("/", get(page::index))
        .route("/{*path}", get(page::asset))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT));
    slow.merge(quick)
        .fallback(async || Problem::not_found("there is nothing at this address; / is the page, /api/v1/openapi.json describes the API"))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that method; /api/v1/openapi.json says which it takes"))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(middleware::from_fn_with_state(names, guard::check))
        .layer(middleware::map_response(guard::secure))
        .with_state(app)
}

impl App {
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
