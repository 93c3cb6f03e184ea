//! Thresholds that come in: every row is checked by itself, and what is refused is told with its number and the reason.

use crate::http::App;
use crate::http::api::{Answer, Body, Single, no_params, single};
use crate::http::problem::Problem;
use crate::http::query::Fields;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use homeostat::plan::import::Import;
use homeostat::series::SeriesName;
use homeostat::units::{Confidence, Sensitivity};
use serde::Serialize;
use serde_json::{Map, Value};

/// Rows of one request: the driver judges nothing while it takes them in.
const ROWS_MAX: usize = 500;

/// What a row may say. The second half is what an export says beside, and is left to the engine that takes it in.
const FIELDS: [&str; 13] = [
    "series",
    "lower",
    "upper",
    "alert_lower",
    "alert_upper",
    "sensitivity",
    "confidence",
    "reasoning",
    "active",
    "strategy",
    "supporting",
    "learned_at",
    "rhythm",
];

/// A row that was not taken in.
#[derive(Serialize, schemars::JsonSchema)]
pub struct RefusedRow {
    /// Counted from 1.
    row: usize,
    series: Option<String>,
    reason: String,
}

/// What became of the rows.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Imported {
    /// Thresholds that judge from now on.
    imported: usize,
    /// Those that did already.
    unchanged: usize,
    /// Those that did not judge where they were exported (`active` is false).
    left_out: usize,
    refused: Vec<RefusedRow>,
}

pub async fn thresholds(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Single<Imported>>> {
    no_params(&uri)?;
    let fields = Fields::read(body, &["data", "next"])?;
    let Value::Array(rows) = fields.required("data", "a list of thresholds")? else {
        return Err(Problem::field("data", "is not a list; give thresholds as /api/v1/thresholds lists them"));
    };
    if rows.len() > ROWS_MAX {
        return Err(Problem::field("data", format!("has {} rows; give at most {ROWS_MAX} at a time", rows.len())));
    }
    let mut done = Imported { imported: 0, unchanged: 0, left_out: 0, refused: Vec::new() };
    let (mut numbers, mut wanted) = (Vec::new(), Vec::new());
    for (row, value) in (1..).zip(rows) {
        match read(value) {
            Ok(None) => done.left_out += 1,
            Ok(Some(threshold)) => {
                numbers.push(row);
                wanted.push(threshold);
            }
            Err(reason) => {
                let series = value.get("series").and_then(Value::as_str).map(str::to_owned);
                done.refused.push(RefusedRow { row, series, reason });
            }
        }
    }
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.to_string()).collect();
    let taken = app.handle.import(wanted).await?;
    for ((row, name), taken) in numbers.into_iter().zip(names).zip(taken) {
        match taken {
            Ok(true) => done.imported += 1,
            Ok(false) => done.unchanged += 1,
            Err(reason) => {
                done.refused.push(RefusedRow { row, series: Some(name), reason: reason.to_string() });
            }
        }
    }
    done.refused.sort_by_key(|refused| refused.row);
    Ok(single(done))
}

/// One row; none: it did not judge where it was exported.
fn read(row: &Value) -> Result<Option<(SeriesName, Import)>, String> {
    let Value::Object(fields) = row else { return Err("is not an object".to_owned()) };
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("`{}`: there is no such field; known are {}", short(name), FIELDS.join(", ")));
    }
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("`{name}` is not text")),
    };
    let series = text("series")?.ok_or("`series` is missing")?;
    let series = SeriesName::parse(series).map_err(|error| short(&error.to_string()))?;
    match fields.get("active") {
        None | Some(Value::Null | Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(None),
        Some(_) => return Err("`active` is neither true nor false".to_owned()),
    }
    if let Some(rhythm) = text("rhythm")? {
        let rhythm = short(rhythm);
        return Err(format!(
            "its bounds change with time ({rhythm}), and a row holds those of one moment: they are learned"
        ));
    }
    let checked = |name: &str, error: &dyn std::fmt::Display| format!("`{name}`: {error}");
    let sensitivity = number(fields, "sensitivity")?.map(Sensitivity::new).transpose();
    let confidence = number(fields, "confidence")?.map(Confidence::new).transpose();
    let import = Import {
        bounds: (number(fields, "lower")?, number(fields, "upper")?),
        alert: (number(fields, "alert_lower")?, number(fields, "alert_upper")?),
        sensitivity: sensitivity.map_err(|error| checked("sensitivity", &error))?,
        confidence: confidence.map_err(|error| checked("confidence", &error))?,
        reasoning: text("reasoning")?.map(str::to_owned),
    };
    Ok(Some((series, import)))
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{name}` is not a number")),
    }
}

/// What is quoted of a hostile row stays readable.
fn short(text: &str) -> String {
    text.chars().take(300).collect()
}
