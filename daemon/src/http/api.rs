//! The API's handlers: each copies what it needs out of the engine, and shapes it outside.

use super::App;
use super::problem::Problem;
use crate::driver::View;
use crate::view;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use homeostat::engine::FORCED_FOR;
use homeostat::feedback::{LoopKind, Signal, Verdict};
use homeostat::knowledge::series::Series;
use homeostat::plan::state::SystemState;
use homeostat::series::{Selector, SeriesName};
use homeostat::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// A query's keys and values, each as often as it was given.
pub struct Many(pub Query);

#[derive(Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn one(&self, key: &str) -> Option<String> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Many {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Many, Problem> {
        let query = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        query.map(|query| Many(Query(query.0))).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// Which part of a list is wanted.
pub struct Page {
    pub limit: usize,
    pub token: Option<String>,
}

impl Page {
    pub fn of(query: &Query) -> Result<Page, Problem> {
        let limit = match query.one("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => match text.parse() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
                _ => return Err(Problem::bad_request(format!("limit `{text}` is not a number from 1 to {LIMIT_MAX}"))),
            },
        };
        Ok(Page { limit, token: query.one("page").filter(|token| !token.is_empty()) })
    }

    fn number(&self) -> Result<Option<u64>, Problem> {
        let wrong = |token: &String| Problem::bad_request(format!("page `{token}` is none that this API gave out"));
        self.token.as_ref().map(|token| token.parse().map_err(|_| wrong(token))).transpose()
    }
}

/// A list's answer.
pub fn pages(data: &[impl Serialize], next: Option<String>) -> Response {
    Json(json!({ "data": data, "next": next })).into_response()
}

fn single(data: impl Serialize) -> Response {
    Json(json!({ "data": data })).into_response()
}

fn name(query: &Query) -> Result<SeriesName, Problem> {
    let text = query.one("series").ok_or_else(|| Problem::bad_request("say which series: ?series=NAME"))?;
    SeriesName::parse(&text).map_err(|error| Problem::bad_request(error.to_string()))
}

/// A page of series by name, those that any `match[]` matches; the token is the last name shown.
async fn by_series<T: Send + 'static>(
    app: &App,
    query: &Query,
    shape: impl Fn(&Series, &View<'_>) -> Option<T> + Send + 'static,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let page = Page::of(query)?;
    let selectors = query
        .all("match[]")
        .map(|text| Selector::parse(text).map_err(|error| Problem::bad_request(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let read = move |view: &View<'_>| {
        let mut found: Vec<(String, T)> = view
            .engine
            .knowledge()
            .series()
            .filter(|series| page.token.as_deref().is_none_or(|token| series.name().as_str() > token))
            .filter(|series| selectors.is_empty() || selectors.iter().any(|selector| selector.matches(series.name())))
            .filter_map(|series| Some((series.name().to_string(), shape(series, view)?)))
            .take(page.limit + 1)
            .collect();
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = if more { found.last().map(|(name, _)| name.clone()) } else { None };
        (found.into_iter().map(|(_, row)| row).collect(), next)
    };
    Ok(app.handle().query(read).await?)
}

pub async fn series(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let (rows, next) = by_series(&app, &query, |series, _| Some(view::series(series))).await?;
    Ok(pages(&rows, next))
}

pub async fn thresholds(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let (rows, next) = by_series(&app, &query, |series, view| view::threshold_row(series, view.now)).await?;
    Ok(pages(&rows, next))
}

pub async fn samples(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let (name, page) = (name(&query)?, Page::of(&query)?);
    let wanted = name.clone();
    let read = move |view: &View<'_>| {
        let min = view.settings.engine.learning.min_data_points;
        view.engine.knowledge().find(&wanted).map(|series| view::samples(series, page.limit, min, view.now))
    };
    app.handle().query(read).await?.map(single).ok_or_else(|| unknown(&name))
}

pub async fn explain(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let name = name(&query)?;
    let wanted = name.clone();
    let read = move |view: &View<'_>| {
        view.engine.knowledge().find(&wanted).map(|series| view::explain(view.engine, series, view.now))
    };
    app.handle().query(read).await?.map(single).ok_or_else(|| unknown(&name))
}

fn unknown(name: &SeriesName) -> Problem {
    Problem::not_found(format!("no series `{name}` is known; /api/v1/series lists them"))
}

pub async fn statistics(State(app): State<App>) -> Result<Response, Problem> {
    Ok(single(app.handle().query(|view| view::statistics(view.engine.knowledge())).await?))
}

pub async fn state(State(app): State<App>) -> Result<Response, Problem> {
    Ok(single(app.handle().query(|view| view::state(view.engine.knowledge())).await?))
}

pub async fn parameters(State(app): State<App>) -> Result<Response, Problem> {
    Ok(single(app.handle().query(|view| view::parameters(view.engine.knowledge().parameters())).await?))
}

pub async fn loops(State(app): State<App>) -> Result<Response, Problem> {
    let rows = app.handle().query(|view| view::loops(view.engine.knowledge())).await?;
    Ok(pages(&rows, None))
}

/// A page of a history, newest first; the token is how many items were older than the page, so it stays right while new
/// ones arrive.
fn newest_first<T>(
    items: impl DoubleEndedIterator<Item = T> + ExactSizeIterator,
    total: u64,
    page: &Page,
    token: Option<u64>,
    wanted: impl Fn(&T) -> bool,
    shape: impl Fn(T) -> Value,
) -> (Vec<Value>, Option<String>) {
    let mut rows = Vec::new();
    for (at, item) in (0..total).rev().zip(items.rev()) {
        if token.is_some_and(|token| at >= token) || !wanted(&item) {
            continue;
        }
        if rows.len() == page.limit {
            return (rows, Some((at + 1).to_string()));
        }
        rows.push(shape(item));
    }
    (rows, None)
}

fn loop_kind(query: &Query) -> Result<Option<LoopKind>, Problem> {
    let Some(text) = query.one("loop") else { return Ok(None) };
    let found = LoopKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    let names = LoopKind::ALL.map(LoopKind::as_str).join(", ");
    found.map(Some).ok_or_else(|| Problem::bad_request(format!("`{text}` is no loop; there are {names}")))
}

pub async fn signals(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let (page, of, series) = (Page::of(&query)?, loop_kind(&query)?, query.one("series"));
    let token = page.number()?;
    let read = move |view: &View<'_>| {
        let signals = view.engine.knowledge().signals();
        let wanted = |signal: &&Signal| {
            of.is_none_or(|of| signal.of == of)
                && series.as_ref().is_none_or(|name| signal.series.as_ref().is_some_and(|s| s.as_str() == name))
        };
        newest_first(signals.iter(), signals.total(), &page, token, wanted, view::signal)
    };
    let (rows, next) = app.handle().query(read).await?;
    Ok(pages(&rows, next))
}

pub async fn actions(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let (page, of, series) = (Page::of(&query)?, loop_kind(&query)?, query.one("series"));
    let token = page.number()?;
    let read = move |view: &View<'_>| {
        let actions = view.engine.knowledge().actions();
        let wanted = |action: &&homeostat::feedback::Action| {
            let about = action.adjustment.target.series();
            of.is_none_or(|of| action.of == of)
                && series.as_ref().is_none_or(|name| about.is_some_and(|s| s.as_str() == name))
        };
        newest_first(actions.iter(), actions.total(), &page, token, wanted, view::action)
    };
    let (rows, next) = app.handle().query(read).await?;
    Ok(pages(&rows, next))
}

pub async fn transitions(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let page = Page::of(&query)?;
    let token = page.number()?;
    let read = move |view: &View<'_>| {
        let moves = view.engine.knowledge().transitions();
        newest_first(moves.iter(), moves.total(), &page, token, |_| true, |moved| {
            json!({ "at": moved.at, "from": moved.from, "to": moved.to, "cause": moved.cause, "forced_until": moved.forced_until })
        })
    };
    let (rows, next) = app.handle().query(read).await?;
    Ok(pages(&rows, next))
}

pub async fn optimizations(State(app): State<App>, Many(query): Many) -> Result<Response, Problem> {
    let page = Page::of(&query)?;
    let token = page.number()?;
    let read = move |view: &View<'_>| {
        let all = view.engine.knowledge().optimizations();
        newest_first(all.iter(), all.total(), &page, token, |_| true, |one| json!(one))
    };
    let (rows, next) = app.handle().query(read).await?;
    Ok(pages(&rows, next))
}

fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    match body {
        Ok(Json(body)) => Ok(body),
        Err(error) => Err(Problem::new(error.status(), error.body_text())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    series: String,
    verdict: Word,
    #[serde(default)]
    at: Option<String>,
}

/// A verdict is text; JSON's own true and false are taken for what they plainly mean.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Truth(bool),
}

impl Word {
    fn verdict(&self) -> Result<Verdict, Problem> {
        match self {
            Word::Truth(true) => Ok(Verdict::True),
            Word::Truth(false) => Ok(Verdict::False),
            Word::Text(text) => match text.as_str() {
                "true" => Ok(Verdict::True),
                "false" => Ok(Verdict::False),
                "missed" => Ok(Verdict::Missed),
                _ => Err(Problem::bad_request(format!("verdict `{text}` is none of true, false, missed"))),
            },
        }
    }
}

pub async fn feedback(State(app): State<App>, given: Result<Json<Feedback>, JsonRejection>) -> Result<Response, Problem> {
    let given = body(given)?;
    let verdict = given.verdict.verdict()?;
    let series = SeriesName::parse(&given.series).map_err(|error| Problem::bad_request(format!("series: {error}")))?;
    let at = given.at.map(|at| Timestamp::parse(&at)).transpose().map_err(|error| Problem::bad_request(format!("at: {error}")))?;
    let wanted = series.clone();
    let about = app
        .handle()
        .query(move |view| {
            let breach = view.engine.knowledge().find(&wanted).and_then(|series| series.last_breach());
            at.or(breach.map(|(at, _)| at)).unwrap_or(view.now)
        })
        .await?;
    let signal = Signal {
        id: 0,
        at: about,
        of: LoopKind::AnomalyFeedback,
        source: "verdict".into(),
        value: 1.0,
        series: Some(series),
        verdict: Some(verdict),
        metadata: BTreeMap::from([("about".to_owned(), about.to_string())]),
    };
    let id = app.handle().signal(signal).await?;
    Ok(Json(json!({ "id": id })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Force {
    state: String,
    #[serde(default, rename = "for")]
    during: Option<String>,
}

pub async fn force(State(app): State<App>, given: Result<Json<Force>, JsonRejection>) -> Result<Response, Problem> {
    let given = body(given)?;
    let state = SystemState::parse(&given.state).ok_or_else(|| {
        let names = SystemState::ALL.map(SystemState::as_str).join(", ");
        Problem::bad_request(format!("state `{}` is none of {names}", given.state))
    })?;
    let during = given.during.map(|text| Span::parse(&text)).transpose();
    let during = during.map_err(|error| Problem::bad_request(format!("for: {error}")))?.unwrap_or(FORCED_FOR);
    app.handle().force(state, during).await?;
    self::state(State(app)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    frozen: bool,
}

pub async fn freeze(State(app): State<App>, given: Result<Json<Freeze>, JsonRejection>) -> Result<Response, Problem> {
    app.handle().freeze(body(given)?.frozen).await?;
    state(State(app)).await
}

/// What was stored is loaded and this host has been read once before anything is answered at all.
pub async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.handle().query(|_| ()).await?;
    Ok("homeostat is ready\n")
}

pub async fn reload(State(app): State<App>) -> Result<Response, Problem> {
    let config = (app.reread)().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    app.handle().reload(config).await?;
    Ok((StatusCode::OK, "the configuration was read again\n").into_response())
}
