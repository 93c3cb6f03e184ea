//! Verdicts: what people say of breaches, pages and stretches of time.

use crate::http::App;
use crate::http::api::{Answer, Body, no_params, unknown};
use crate::http::problem::Problem;
use crate::http::query::Fields;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use homeostat::feedback::{LoopKind, Signal, Subject, Verdict};
use homeostat::knowledge::series::Series;
use homeostat::series::{Selector, SeriesName};
use homeostat::time::{Span, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A moment this far ahead of now is no moment to judge.
const AHEAD_MAX: Span = Span::minutes(10);

/// The number of a signal.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Id {
    /// Of the first, where a selector named several series.
    id: u64,
    /// Of all of them, in the order of their series; absent for a single series.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<u64>>,
}

/// The most series that one verdict may be about.
const VERDICT_SERIES_MAX: usize = 1000;
/// The longest comment, in characters.
const COMMENT_MAX: usize = 2000;

pub async fn feedback(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Id>> {
    no_params(&uri)?;
    let fields = Fields::read(body, &["series", "match", "verdict", "at", "until", "change_point", "comment"])?;
    let verdict = verdict(fields.required("verdict", "true, false or missed")?)?;
    let at = fields.get("at").map(|value| moment("at", value)).transpose()?;
    let until = fields.get("until").map(|value| moment("until", value)).transpose()?;
    let change_point = match fields.get("change_point") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| Problem::field("change_point", "is neither true nor false"))?,
    };
    let extent = Extent::of(at, until, change_point)?;
    extent.takes(verdict)?;
    let comment = comment(&fields)?;
    let (names, several) = verdict_series(&app, &fields).await?;
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let asked = name.clone();
        let meant = app.handle.query(move |view| {
            let series = view.engine.knowledge().find(&asked)?;
            Some((meant(series, at, view.now), view.now))
        });
        let (meant, now) = meant.await?.ok_or_else(|| unknown(&name))?;
        for (key, moment) in [("at", Some(meant.at)), ("until", until)] {
            if let Some(moment) = moment.filter(|moment| *moment > now + AHEAD_MAX) {
                return Err(Problem::field(key, format!("{moment} lies ahead of now ({now})")));
            }
        }
        let mut metadata = BTreeMap::from([
            ("about".to_owned(), extent.word(&meant).to_owned()),
            ("at".to_owned(), meant.at.to_string()),
        ]);
        metadata.extend(meant.value.map(|value| ("value".to_owned(), value.to_string())));
        metadata.extend(until.map(|until| ("until".to_owned(), until.to_string())));
        metadata.extend(comment.clone().map(|comment| ("comment".to_owned(), comment)));
        let signal = Signal {
            id: 0,
            at: now,
            of: LoopKind::AnomalyFeedback,
            source: "verdict".into(),
            // A series without any sample yet has no value to judge; the metadata says so by having none.
            value: meant.value.unwrap_or(0.0),
            series: Some(name),
            verdict: Some(verdict),
            about: Some(extent.subject(meant.at)),
            weight: None,
            metadata,
        };
        ids.push(app.handle.signal(signal).await?);
    }
    let first = ids.first().copied().unwrap_or(0);
    Ok(Json(Id { id: first, ids: several.then_some(ids) }))
}

/// What is kept with an answer, for people.
pub fn comment(fields: &Fields) -> Answer<Option<String>> {
    match fields.get("comment") {
        None => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= COMMENT_MAX => Ok(Some(text.clone())),
        Some(_) => Err(Problem::field("comment", format!("is no text of at most {COMMENT_MAX} characters"))),
    }
}

/// How much of a series' past a verdict is about.
#[derive(Clone, Copy)]
enum Extent {
    Moment,
    Until(Timestamp),
    ChangePoint,
}

impl Extent {
    fn of(at: Option<Timestamp>, until: Option<Timestamp>, change_point: bool) -> Answer<Extent> {
        match (at, until, change_point) {
            (_, Some(_), true) => Err(Problem::field("until", "a change point has no end; leave out one of the two")),
            (None, Some(_), _) => Err(Problem::field("until", "needs `at`, where the time begins")),
            (None, None, true) => {
                Err(Problem::field("change_point", "needs `at`, since when the series is another one"))
            }
            (Some(at), Some(until), false) if until <= at => {
                Err(Problem::field("until", format!("{until} is not after {at}")))
            }
            (Some(_), Some(until), false) => Ok(Extent::Until(until)),
            (Some(_), None, true) => Ok(Extent::ChangePoint),
            (_, None, false) => Ok(Extent::Moment),
        }
    }

    /// Since when a series is another one is no alert that did not matter, nor one that was missed.
    fn takes(self, verdict: Verdict) -> Answer<()> {
        match (self, verdict) {
            (Extent::ChangePoint, Verdict::False | Verdict::Missed) => Err(Problem::field(
                "verdict",
                "a change point is said with true: what came before it is forgotten; for an alert that did not matter, or \
                 one that was missed, leave out `change_point`",
            )),
            _ => Ok(()),
        }
    }

    fn subject(self, at: Timestamp) -> Subject {
        match self {
            Extent::Moment => Subject::Moment { at },
            Extent::Until(until) => Subject::Period { from: at, until },
            Extent::ChangePoint => Subject::ChangePoint { at },
        }
    }

    fn word(self, meant: &Meant) -> &'static str {
        match self {
            Extent::Moment => meant.about,
            Extent::Until(_) => "period",
            Extent::ChangePoint => "change_point",
        }
    }
}

/// The series that a verdict names, and whether it named them by a selector.
async fn verdict_series(app: &App, fields: &Fields) -> Answer<(Vec<SeriesName>, bool)> {
    let selector = match (fields.get("series"), fields.get("match")) {
        (Some(_), Some(_)) => {
            return Err(Problem::field("match", "names series as `series` does; leave out one of the two"));
        }
        (_, Some(Value::String(text))) => Selector::parse(text).map_err(|error| Problem::field("match", error))?,
        (_, Some(_)) => return Err(Problem::field("match", "is no text; give a selector like up{job=\"api\"}")),
        (_, None) => {
            let name = fields.text("series", "one that /api/v1/series lists")?;
            return Ok((vec![SeriesName::parse(name).map_err(|error| Problem::field("series", error))?], false));
        }
    };
    let named = app.handle.query(move |view| {
        let series = view.engine.knowledge().series().map(Series::name);
        series.filter(|name| selector.matches(name)).take(VERDICT_SERIES_MAX + 1).cloned().collect::<Vec<_>>()
    });
    let named = named.await?;
    match named.len() {
        0 => Err(Problem::field("match", "no series that is known matches")),
        1..=VERDICT_SERIES_MAX => Ok((named, true)),
        _ => Err(Problem::field("match", format!("more than {VERDICT_SERIES_MAX} series match"))),
    }
}

fn verdict(value: &Value) -> Answer<Verdict> {
    match value {
        Value::Bool(true) => Ok(Verdict::True),
        Value::Bool(false) => Ok(Verdict::False),
        Value::String(text) => [Verdict::True, Verdict::False, Verdict::Missed]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| Problem::field("verdict", format!("`{text}` is none of true, false, missed"))),
        _ => Err(Problem::field("verdict", "is none of true, false, missed")),
    }
}

/// Unix seconds or RFC 3339.
pub fn moment(key: &'static str, value: &Value) -> Answer<Timestamp> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Problem::field(key, "is neither Unix seconds nor RFC 3339")),
    };
    Timestamp::parse(&text).map_err(|error| Problem::field(key, error))
}

/// What a verdict is about.
struct Meant {
    about: &'static str,
    at: Timestamp,
    value: Option<f64>,
}

/// The moment that was named, with the sample that held then; else the latest breach; else now.
fn meant(series: &Series, at: Option<Timestamp>, now: Timestamp) -> Meant {
    let window = series.window();
    let newest = window.newest().map(|(_, value)| value);
    match (at, series.last_breach()) {
        (Some(at), _) => {
            let held = window.iter().rev().find(|(sample, _)| *sample <= at).map(|(_, value)| value);
            Meant { about: "moment", at, value: held }
        }
        (None, Some((at, value))) => Meant { about: "latest breach", at, value: Some(value) },
        (None, None) => Meant { about: "now", at: now, value: newest },
    }
}
