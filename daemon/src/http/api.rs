//! The handlers: read what is asked, ask the driver, answer.

use crate::access::Who;
use crate::config::AT_START;
use crate::driver::View;
use crate::http::problem::Problem;
use crate::http::query::{Fields, List, Page, Params, Rows};
use crate::http::rows::{
    AbRow, About, ActionRow, CalendarRow, Explained, LoopRow, OptimizationRow, ParametersRow, Samples, SeriesRow,
    SignalRow, StateRow, Statistics, TransitionRow,
};
use crate::http::{App, assets, events, openapi, rows};
use crate::log;
use crate::telemetry;
use crate::view::ThresholdRow;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use homeostat::engine::FORCED_FOR;
use homeostat::event::Stored;
use homeostat::feedback::LoopKind;
use homeostat::knowledge::series::Series;
use homeostat::plan::state::SystemState;
use homeostat::series::SeriesName;
use homeostat::time::Span;
use homeostat::versus::Report;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

pub type Answer<T> = Result<T, Problem>;
pub type Body = Result<Bytes, BytesRejection>;

/// A list, as it is sent.
#[derive(Serialize)]
pub struct Listed<T> {
    data: Vec<T>,
    next: Option<String>,
}

impl<T> From<Rows<T>> for Json<Listed<T>> {
    fn from(rows: Rows<T>) -> Json<Listed<T>> {
        Json(Listed { data: rows.rows, next: rows.next.map(|token| token.to_string()) })
    }
}

/// A single thing, as it is sent.
#[derive(Serialize)]
pub struct Single<T> {
    data: T,
}

pub fn single<T>(data: T) -> Json<Single<T>> {
    Json(Single { data })
}

/// A page and its parameters, `more` beside those that every list knows.
pub fn page(uri: &Uri, list: List, more: &[&str]) -> Answer<(Page, Params)> {
    let known: Vec<&str> = Page::PARAMS.iter().chain(more).copied().collect();
    let params = Params::read(uri, &known)?;
    Ok((Page::read(&params, list)?, params))
}

/// A page of a list whose rows are about no series.
fn page_without_series(uri: &Uri, list: List) -> Answer<Page> {
    Page::read(&Params::read(uri, &Page::PARAMS_WITHOUT_SERIES)?, list)
}

/// For what takes no parameters at all.
pub fn no_params(uri: &Uri) -> Answer<()> {
    Params::read(uri, &[]).map(|_| ())
}

/// How many samples of one series are sent when nothing is said, and at most.
const SAMPLES: u64 = 1000;
const SAMPLES_MAX: u64 = 20_000;

/// A state can be forced for so long at most.
const FORCED_MAX: Span = Span::hours(24 * 7);

// --- lists ------------------------------------------------------------------------------------------------------------

pub async fn series(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<SeriesRow>>> {
    let (page, _) = page(&uri, List::BySeries, &[])?;
    Ok(app.handle.query(move |view| rows::series(view, &page)).await?.into())
}

pub async fn thresholds(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<ThresholdRow>>> {
    let (page, _) = page(&uri, List::BySeries, &[])?;
    Ok(app.handle.query(move |view| rows::thresholds(view, &page)).await?.into())
}

pub async fn loops(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<LoopRow>>> {
    let page = page_without_series(&uri, List::BySeries)?;
    let mut loops = app.handle.query(|view| rows::loops(view.engine.knowledge())).await?;
    // There are five: one page.
    loops.truncate(page.limit);
    Ok(Rows { rows: loops, next: None }.into())
}

fn about(params: &Params) -> Answer<About> {
    let of = params.one("loop")?.map(|name| {
        LoopKind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = LoopKind::ALL.iter().map(|kind| kind.as_str()).collect();
            Problem::bad_request(format!("`loop`: there is no loop `{name}`; known are {}", known.join(", ")))
        })
    });
    Ok(About { of: of.transpose()?, series: params.series("series")? })
}

pub async fn signals(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<SignalRow>>> {
    let (page, params) = page(&uri, List::Signals, &["loop", "series"])?;
    let about = about(&params)?;
    Ok(app.handle.query(move |view| rows::signals(view.engine.knowledge(), &page, &about)).await?.into())
}

pub async fn actions(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<ActionRow>>> {
    let (page, params) = page(&uri, List::Actions, &["loop", "series"])?;
    let about = about(&params)?;
    Ok(app.handle.query(move |view| rows::actions(view.engine.knowledge(), &page, &about)).await?.into())
}

pub async fn transitions(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<TransitionRow>>> {
    let page = page_without_series(&uri, List::Transitions)?;
    Ok(app.handle.query(move |view| rows::transitions(view.engine.knowledge(), &page)).await?.into())
}

pub async fn optimizations(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<OptimizationRow>>> {
    let (page, _) = page(&uri, List::Optimizations, &[])?;
    Ok(app.handle.query(move |view| rows::optimizations(view.engine.knowledge(), &page)).await?.into())
}

/// Series with static bounds, each with what came of the comparison.
pub async fn ab(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<AbRow>>> {
    let (page, _) = page(&uri, List::BySeries, &[])?;
    Ok(app.handle.query(move |view| rows::ab(view, &page)).await?.into())
}

/// A list, or a stream for who accepts one.
pub async fn events(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer<Response> {
    let (page, params) = page(&uri, List::Events, &["kind", "series", "after"])?;
    let filter = events::Filter { kind: params.one("kind")?.map(str::to_owned), series: params.series("series")? };
    let after = params.number("after", 0)?;
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    if !accepts.into_iter().any(|accept| accept.to_ascii_lowercase().contains("text/event-stream")) {
        let listed: Json<Listed<Stored>> = events::list(&app.handle, &page, &filter, after).await?.into();
        return Ok(listed.into_response());
    }
    let resumed = match headers.get("last-event-id").map(|id| id.to_str().map(str::trim)) {
        None | Some(Ok("")) => after,
        Some(id) => Some(id.ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            Problem::bad_request("Last-Event-ID is not the number of an event; leave it out to begin now")
        })?),
    };
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many event streams are open; close one and try again")
    })?;
    let follow = events::Follow::start(&app.handle, resumed).await?;
    let ends = events::Ends { stopping: app.stopping.clone(), until: who.until };
    Ok(events::stream(follow, page, filter, permit, ends))
}

// --- single things ----------------------------------------------------------------------------------------------------

/// What of one series is wanted, or that there is none of that name.
async fn of_series<T: Send + 'static>(
    app: &App,
    params: &Params,
    read: impl FnOnce(&View<'_>, &Series) -> T + Send + 'static,
) -> Answer<T> {
    let name = params
        .series("series")?
        .ok_or_else(|| Problem::bad_request("`series` is missing; give one that /api/v1/series lists"))?;
    let asked = name.clone();
    let found = app.handle.query(move |view| Some(read(view, view.engine.knowledge().find(&asked)?))).await?;
    found.ok_or_else(|| unknown(&name))
}

pub fn unknown(name: &SeriesName) -> Problem {
    Problem::not_found(format!("no series `{name}` is known; /api/v1/series lists them"))
}

pub async fn samples(State(app): State<App>, uri: Uri) -> Answer<Json<Single<Samples>>> {
    let params = Params::read(&uri, &["series", "limit"])?;
    let limit = params.number("limit", 1)?.unwrap_or(SAMPLES).min(SAMPLES_MAX) as usize;
    of_series(&app, &params, move |view, series| Samples::of(view, series, limit)).await.map(single)
}

pub async fn explain(State(app): State<App>, uri: Uri) -> Answer<Json<Single<Explained>>> {
    let params = Params::read(&uri, &["series"])?;
    of_series(&app, &params, Explained::of).await.map(single)
}

pub async fn state(State(app): State<App>, uri: Uri) -> Answer<Json<Single<StateRow>>> {
    no_params(&uri)?;
    Ok(single(app.handle.query(StateRow::of).await?))
}

pub async fn parameters(State(app): State<App>, uri: Uri) -> Answer<Json<Single<ParametersRow>>> {
    no_params(&uri)?;
    Ok(single(app.handle.query(|view| view.engine.knowledge().parameters().into()).await?))
}

pub async fn statistics(State(app): State<App>, uri: Uri) -> Answer<Json<Single<Statistics>>> {
    let params = Params::read(&uri, &["limit"])?;
    let limit = params.number("limit", 1)?.unwrap_or(100).min(1000) as usize;
    Ok(single(app.handle.query(Statistics::of).await?.ranked(limit)))
}

pub async fn ab_report(State(app): State<App>, uri: Uri) -> Answer<Json<Single<Report>>> {
    no_params(&uri)?;
    Ok(single(app.handle.query(rows::ab_report).await?))
}

pub async fn calendar(State(app): State<App>, uri: Uri) -> Answer<Json<Single<CalendarRow>>> {
    no_params(&uri)?;
    Ok(single(app.handle.query(CalendarRow::of).await?))
}

pub async fn openapi(uri: Uri) -> Answer<Json<&'static Value>> {
    no_params(&uri)?;
    Ok(Json(openapi::document()))
}

// --- what changes something -------------------------------------------------------------------------------------------

pub async fn force(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Single<StateRow>>> {
    no_params(&uri)?;
    let fields = Fields::read(body, &["state", "for"])?;
    let words = "healthy, optimizing, degraded, critical or recovering";
    let state: SystemState = fields.text("state", words)?.parse().map_err(|error| Problem::field("state", error))?;
    let during = match fields.get("for") {
        None => FORCED_FOR,
        Some(Value::String(text)) => Span::parse(text).map_err(|error| Problem::field("for", error))?,
        Some(_) => return Err(Problem::field("for", "is not a duration; give text like 30m or 1h30m")),
    };
    if during < Span::from_secs(1) || during > FORCED_MAX {
        return Err(Problem::field("for", format!("{during} is outside 1s to {FORCED_MAX}")));
    }
    app.handle.force(state, during).await?;
    Ok(single(app.handle.query(StateRow::of).await?))
}

/// Whether all changes are stopped.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Frozen {
    frozen: bool,
}

pub async fn frozen(State(app): State<App>, uri: Uri) -> Answer<Json<Single<Frozen>>> {
    no_params(&uri)?;
    Ok(single(app.handle.query(|view| Frozen { frozen: view.engine.knowledge().frozen() }).await?))
}

pub async fn freeze(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Single<Frozen>>> {
    no_params(&uri)?;
    let fields = Fields::read(body, &["frozen"])?;
    let frozen = fields.required("frozen", "true or false")?;
    let frozen = frozen.as_bool().ok_or_else(|| Problem::field("frozen", "is neither true nor false"))?;
    app.handle.freeze(frozen).await?;
    Ok(single(Frozen { frozen }))
}

// --- beside the API ---------------------------------------------------------------------------------------------------

/// The page and its files.
pub async fn page_file(uri: Uri, headers: HeaderMap) -> Answer<Response> {
    assets::get(uri.path(), &headers)
}

/// Whether the process works at all.
pub async fn healthy(State(app): State<App>, uri: Uri) -> Answer<&'static str> {
    no_params(&uri)?;
    match app.handle.query(|_| ()).await {
        // A driver with much to do is alive.
        Ok(()) | Err(crate::driver::Refused::Busy) => Ok("healthy\n"),
        Err(refused) => Err(refused.into()),
    }
}

/// Whether what was stored is loaded and this host was read once: the driver answers nobody before.
pub async fn ready(State(app): State<App>, uri: Uri) -> Answer<String> {
    no_params(&uri)?;
    let problem = app.handle.query(|view| view.stats.store_problem.clone()).await?;
    Ok(match problem {
        None => "ready\n".to_owned(),
        // Paths and reasons are for those who were let in.
        Some(_) if app.gate.policy().authenticates() => {
            "ready, but events cannot be stored at present; /api/v1/statistics tells why\n".to_owned()
        }
        Some(problem) => format!("ready, but events cannot be stored at present: {problem}\n"),
    })
}

/// What a reload did.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Reloaded {
    reloaded: bool,
    /// Keys whose values are others than before.
    changed: Vec<String>,
    /// Sections that differ from the start's and take effect only after a restart.
    restart_for: Vec<&'static str>,
}

pub async fn reload(State(app): State<App>, uri: Uri) -> Answer<Json<Single<Reloaded>>> {
    no_params(&uri)?;
    let reread = Arc::clone(&app.reread);
    let refused = |problem: String| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the configuration stays as it was: {problem}"))
    };
    let settings = tokio::task::spawn_blocking(move || reread())
        .await
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("reading failed: {error}")))?
        .map_err(|error| refused(error.to_string()))?;
    let done = app.handle.reload(settings).await?;
    log::reloaded(&done);
    let waits = |section: &&str| done.at_next_start.iter().any(|key| key.split(['.', '[']).next() == Some(section));
    let restart_for = AT_START.into_iter().filter(waits).collect();
    Ok(single(Reloaded { reloaded: true, changed: done.changed, restart_for }))
}

fn exposition(headers: &HeaderMap, families: &[telemetry::Family]) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let format = telemetry::Format::accepted(accepts);
    let mut response = telemetry::encode(families, format).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

fn closed() -> Problem {
    Problem::not_found("the daemon's own metrics are switched off; set prometheus.enabled to true to open them")
}

pub async fn metrics(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer<Response> {
    no_params(&uri)?;
    let measured = app
        .handle
        .query(|view| view.settings.daemon.prometheus.enabled.then(|| telemetry::Measured::of(view)))
        .await?
        .ok_or_else(closed)?;
    let families = app.totalled(|totals| telemetry::families(&measured, totals, &app.tallies));
    Ok(exposition(&headers, &families))
}

pub async fn threshold_metrics(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Answer<Response> {
    no_params(&uri)?;
    let (learned, served) = app
        .handle
        .query(|view| {
            let daemon = &view.settings.daemon;
            daemon.prometheus.enabled.then(|| (telemetry::Learned::all(view), telemetry::Served::all(view)))
        })
        .await?
        .ok_or_else(closed)?;
    Ok(exposition(&headers, &telemetry::threshold_families(&learned, &served)))
}
