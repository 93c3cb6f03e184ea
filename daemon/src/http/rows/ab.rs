//! Learned against static bounds, series by series and together.

use super::series::by_series;
use crate::driver::View;
use crate::http::query::{Page, Rows};
use homeostat::series::SeriesName;
use homeostat::versus::{Book, Report, report};
use schemars::JsonSchema;
use serde::Serialize;

/// One series: the static bounds it is compared with, and what came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AbRow {
    #[schemars(with = "String")]
    series: SeriesName,
    /// The static bounds, in the series' own unit, and how long samples have to lie outside.
    upper: Option<f64>,
    lower: Option<f64>,
    for_s: f64,
    #[serde(flatten, serialize_with = "of_one")]
    report: Report,
}

/// Without how many series it is of: `series` is the name here.
fn of_one<S: serde::Serializer>(report: &Report, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serde_json::to_value(report).map_err(serde::ser::Error::custom)?;
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("series");
    }
    fields.serialize(serializer)
}

pub fn ab(view: &View<'_>, page: &Page) -> Rows<AbRow> {
    by_series(view.engine.knowledge(), page, |series| {
        let (bounds, book) = series.versus()?;
        Some(AbRow {
            series: series.name().clone(),
            upper: bounds.upper,
            lower: bounds.lower,
            for_s: bounds.hold.secs(),
            report: report(&[book]),
        })
    })
}

/// All series that have static bounds, together.
pub fn ab_report(view: &View<'_>) -> Report {
    let books: Vec<&Book> = view.engine.knowledge().series().filter_map(|series| Some(series.versus()?.1)).collect();
    report(&books)
}
