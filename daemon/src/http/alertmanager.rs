//! What an Alertmanager and paging tools tell, and the verdicts that came of it.

use crate::alertmanager::message::{self, Alert};
use crate::alertmanager::{Done, Heard, Implied, Kept};
use crate::driver;
use crate::http::App;
use crate::http::api::{Answer, Body, Listed, Single, no_params, single};
use crate::http::feedback::{comment, moment};
use crate::http::problem::Problem;
use crate::http::query::{Fields, List, Page, Params, Rows, Token, take};
use crate::page::{Texts, fingerprint};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use homeostat::feedback::Verdict;
use serde::Serialize;
use serde_json::Value;

/// The largest message of a webhook, in bytes: ten thousand alerts.
pub const BODY_MAX: usize = 8 << 20;

/// What is wrong with alerts is told of so many of them.
const PROBLEMS_TOLD: usize = 20;

/// What became of a webhook's message.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Taken {
    /// Alerts that could be read.
    alerts: usize,
    /// Those of them that are about a series here.
    known: usize,
    /// Verdicts that came of them; the same message again brings none.
    verdicts: usize,
    /// What is wrong with those that could not be read.
    unreadable: Vec<String>,
}

pub async fn webhook(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Single<Taken>>> {
    no_params(&uri)?;
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body is over {} MiB; an Alertmanager sends less when the route has max_alerts or is grouped finer",
                BODY_MAX >> 20
            ),
        ),
        status => Problem::new(status, format!("the body cannot be used: {error}")),
    })?;
    let (alerts, mut unreadable) = message::webhook(&body).map_err(|problem| {
        tracing::warn!("a message to /api/v1/alertmanager was refused: {problem}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem)
    })?;
    let read = alerts.len();
    app.office.tally.unreadable(unreadable.len());
    let (known, verdicts) = app.office.told(alerts, driver::now()).await?;
    unreadable.truncate(PROBLEMS_TOLD);
    Ok(single(Taken { alerts: read, known, verdicts, unreadable }))
}

/// What became of what a paging tool told.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Noted {
    /// It had been told before.
    repeated: bool,
    /// Null: it was told before, or its weight is 0.
    verdict: Option<Kept>,
}

const EVENTS: &str = "acknowledged, incident, true or false";

pub async fn pager(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Single<Noted>>> {
    no_params(&uri)?;
    let fields = Fields::read(body, &["event", "fingerprint", "labels", "series", "at", "comment"])?;
    let done = match fields.text("event", EVENTS)? {
        "acknowledged" => Done::Acknowledged,
        "incident" => Done::Incident,
        "true" => Done::Said(Verdict::True),
        "false" => Done::Said(Verdict::False),
        other => return Err(Problem::field("event", format!("`{other}` is none of {EVENTS}"))),
    };
    let alert = alert(&app, &fields)?;
    let said = match done {
        Done::Said(_) => "a person said so in a paging tool",
        _ => "a paging tool says so",
    };
    let why = comment(&fields)?.map_or_else(|| said.to_owned(), |comment| format!("{said}: {comment}"));
    let heard = app.office.imply(Implied { alert, done, why }, driver::now()).await?;
    Ok(single(match heard {
        Heard::Kept(kept) => Noted { repeated: false, verdict: Some(kept) },
        Heard::Repeated => Noted { repeated: true, verdict: None },
        Heard::NotWanted => Noted { repeated: false, verdict: None },
    }))
}

/// The alert that is meant: by its fingerprint, its labels, or the series of one of ours.
fn alert(app: &App, fields: &Fields) -> Answer<Alert> {
    let now = driver::now();
    let at = fields.get("at").map(|value| moment("at", value)).transpose()?;
    if let Some(at) = at.filter(|at| *at > now) {
        return Err(Problem::field("at", format!("{at} lies ahead of now ({now})")));
    }
    let labels = match (fields.get("fingerprint"), fields.get("labels"), fields.get("series")) {
        (Some(_), None, None) => {
            let fingerprint = fields.text("fingerprint", "that of an alert")?;
            let seen = app.office.latest(fingerprint).ok_or_else(|| {
                Problem::not_found(format!(
                    "no alert with the fingerprint `{fingerprint}` was told of; give its `labels` and `at`, when it began"
                ))
            })?;
            return Ok(Alert { starts_at: at.unwrap_or(seen.starts_at), ..seen });
        }
        (None, Some(Value::Object(labels)), None) if !labels.is_empty() => {
            let text = |(name, value): (&String, &Value)| {
                let value = value.as_str().ok_or_else(|| Problem::field("labels", format!("`{name}` is no text")))?;
                Ok((name.clone(), value.to_owned()))
            };
            labels.iter().map(text).collect::<Answer<Texts>>()?
        }
        (None, Some(_), None) => return Err(Problem::field("labels", "an object of texts is wanted")),
        (None, None, Some(_)) => {
            let series = fields.text("series", "one that /api/v1/series lists")?;
            Texts::from([
                ("alertname".to_owned(), app.office.own().to_owned()),
                ("series".to_owned(), series.to_owned()),
            ])
        }
        _ => {
            return Err(Problem::bad_request("give one of `fingerprint`, `labels` and `series`: which alert is meant"));
        }
    };
    let fingerprint = fingerprint(&labels);
    let seen = app.office.latest(&fingerprint).map(|seen| seen.starts_at);
    let starts_at = at.or(seen).ok_or_else(|| Problem::field("at", "is missing; give when the alert began"))?;
    Ok(Alert { fingerprint, labels, starts_at, ended_at: None, silenced_by: Default::default(), inhibited: false })
}

/// A verdict of the list.
#[derive(Serialize, schemars::JsonSchema)]
pub struct VerdictRow {
    id: u64,
    #[serde(flatten)]
    kept: Kept,
}

pub async fn verdicts(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<VerdictRow>>> {
    let known: Vec<&str> = Page::PARAMS_WITHOUT_SERIES.into_iter().chain(["alert"]).collect();
    let params = Params::read(&uri, &known)?;
    let page = Page::read(&params, List::Verdicts)?;
    let alert = params.one("alert")?.map(str::to_owned);
    let (limit, before) = (page.limit, page.before());
    // One more than is wanted says whether there is a next page.
    let read = app.handle.query(move |view| view.store.verdicts(before, alert.as_deref(), limit + 1)).await?;
    let rows = read.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the verdicts cannot be read: {error}"))
    })?;
    let row = |(id, body): (u64, String)| {
        let kept = serde_json::from_str(&body).ok()?;
        Some((VerdictRow { id, kept }, Token::Number(List::Verdicts, id)))
    };
    let rows: Rows<VerdictRow> = take(limit, rows.into_iter().filter_map(row));
    Ok(rows.into())
}
