//! Series and thresholds as lists, and the samples of one.

use crate::driver::View;
use crate::http::query::{Page, Rows, Token, take};
use crate::http::rows::{At, BoundsRow};
use crate::view::{ThresholdRow, threshold_row};
use homeostat::config::StrategyName;
use homeostat::knowledge::Knowledge;
use homeostat::knowledge::series::Series;
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Serialize, JsonSchema)]
pub struct SeriesRow {
    #[schemars(with = "String")]
    series: SeriesName,
    /// gauge, counter, histogram, state, info or constant.
    kind: &'static str,
    /// How many its window gives, and the time from the oldest to the newest: all it holds, or, in a lower tier than exact, so many like
    /// them.
    samples: usize,
    span_s: f64,
    /// How much is remembered of its samples: exact, hourly, faded or bounds.
    tier: &'static str,
    /// The strategy that is asked for; the one that was chosen stands in its threshold.
    #[schemars(with = "String")]
    strategy: StrategyName,
    /// Whether it is learned and judged.
    watched: bool,
    /// Whose it is, where the configuration says.
    owner: Option<String>,
    last: Option<At>,
    /// Samples of its window outside the bounds in force, judged anew.
    breaches: usize,
    /// Since when an alert holds, when one does.
    #[schemars(with = "Option<String>")]
    alert_since: Option<Timestamp>,
    /// When its trend will have carried it beyond its alert level, if it goes on.
    #[schemars(with = "Option<String>")]
    forecast: Option<Timestamp>,
    /// Alerts a week that its budget leaves it (null: no budget), and that it had lately without what was judged true (null:
    /// seen for under an hour).
    budget_per_week: Option<f64>,
    alerts_per_week: Option<f64>,
}

impl SeriesRow {
    fn of(series: &Series, now: Timestamp) -> SeriesRow {
        let window = series.window();
        SeriesRow {
            series: series.name().clone(),
            kind: series.kind().as_str(),
            samples: window.len(),
            span_s: window.span().secs(),
            tier: series.tier().as_str(),
            strategy: series.strategy().clone(),
            watched: series.watched(),
            owner: series.owner().map(str::to_owned),
            last: window.newest().map(At::from),
            breaches: series.breaches_in_last(window.len()),
            alert_since: series.alert_since(),
            forecast: series.forecast(),
            budget_per_week: series.budget_per_week(),
            alerts_per_week: series.alerts().per_week(now),
        }
    }
}

/// The last samples of one series, as a chart needs them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Samples {
    #[schemars(with = "String")]
    series: SeriesName,
    /// Milliseconds since the Unix epoch and value, oldest first; those that are remembered as they came.
    samples: Vec<(i64, f64)>,
    /// It is learned as soon as it has so many.
    min_data_points: usize,
    /// Those in force.
    bounds: Option<BoundsRow>,
    /// Where those change with time: as they stood at each of the samples.
    band: Option<Vec<BoundsRow>>,
    /// Which of the samples are outside of the bounds in force.
    breaches: Vec<i64>,
    /// From when to when, in milliseconds, samples are not learned from, as long as they are few: those of alerts, and what a
    /// person left out. Null: until now.
    masked: Vec<(i64, Option<i64>)>,
    /// Since when the series has its present level, in milliseconds; what came before is not learned from. Null: it did not shift.
    level_since: Option<i64>,
}

impl Samples {
    pub fn of(view: &View<'_>, series: &Series, limit: usize) -> Samples {
        // What a sketch gives is like what came, and is not what came.
        let last = || series.window().last_exact(limit);
        let moving = series.in_force().filter(|threshold| threshold.bounds.period().is_some());
        Samples {
            series: series.name().clone(),
            samples: last().map(|(at, value)| (at.millis(), value)).collect(),
            breaches: last().filter(|(at, value)| series.breaches(*at, *value)).map(|(at, _)| at.millis()).collect(),
            masked: masked(series, last().next().map(|(at, _)| at)),
            level_since: series.level().map(Timestamp::millis),
            min_data_points: view.settings.engine.learning.min_data_points,
            band: moving.map(|threshold| last().map(|(at, _)| BoundsRow::of(series, threshold, at)).collect()),
            bounds: series.in_force().map(|threshold| BoundsRow::of(series, threshold, view.now)),
        }
    }
}

/// What is not learned from, as far as it lies within the samples that are sent.
fn masked(series: &Series, oldest: Option<Timestamp>) -> Vec<(i64, Option<i64>)> {
    let in_view = |end: &Option<Timestamp>| end.is_none_or(|end| oldest.is_some_and(|oldest| oldest < end));
    let stretches = series.masks().stretches().filter(|(_, end)| in_view(end));
    stretches.map(|(from, end)| (from.millis(), end.map(Timestamp::millis))).collect()
}

pub(super) fn by_series<T>(knowledge: &Knowledge, page: &Page, row: impl Fn(&Series) -> Option<T>) -> Rows<T> {
    let after = page.after_series();
    let wanted = knowledge
        .series()
        .filter(|series| after.is_none_or(|after| series.name().as_str() > after))
        .filter(|series| page.wants(Some(series.name())));
    let token = |series: &Series| Token::Series(series.name().as_str().to_owned());
    take(page.limit, wanted.filter_map(|series| Some((row(series)?, token(series)))))
}

pub fn series(view: &View<'_>, page: &Page) -> Rows<SeriesRow> {
    by_series(view.engine.knowledge(), page, |series| Some(SeriesRow::of(series, view.now)))
}

pub fn thresholds(view: &View<'_>, page: &Page) -> Rows<ThresholdRow> {
    by_series(view.engine.knowledge(), page, |series| threshold_row(series, view.now))
}
