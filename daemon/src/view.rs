//! What others see of a learned threshold: the same row from the API and from commands that need no daemon.

use homeostat::knowledge::series::Series;
use homeostat::threshold::Supporting;
use homeostat::time::Timestamp;
use serde::Serialize;

/// One series' learned threshold, as `/api/v1/thresholds` and `learn` show it. Bounds are in the series' own unit.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct ThresholdRow {
    pub series: String,
    /// At least one of the two is there.
    pub upper: Option<f64>,
    pub lower: Option<f64>,
    /// Beyond these, sustained, it is an alert.
    pub alert_upper: Option<f64>,
    pub alert_lower: Option<f64>,
    /// Where bounds depend on time: how, in words; the bounds are then those of this moment. Null: they stand.
    pub rhythm: Option<String>,
    /// In sigmas of a bell; as it stands now, which may be ahead of the bounds by a cycle.
    pub sensitivity: f64,
    /// 0 to 1.
    pub confidence: f64,
    pub strategy: String,
    pub reasoning: String,
    #[schemars(schema_with = "supporting")]
    pub supporting: Supporting,
    /// Whether it judges; false while its confidence is too low.
    pub active: bool,
    #[schemars(with = "String")]
    pub learned_at: Timestamp,
}

/// The latest threshold of a series with its bounds at `now`; none while nothing is learned.
pub fn threshold_row(series: &Series, now: Timestamp) -> Option<ThresholdRow> {
    let threshold = series.learned()?;
    let holiday = series.occasions(now).holiday;
    let (lower, upper) = threshold.bounds.on(now, holiday);
    let (alert_lower, alert_upper) = threshold.alert.on(now, holiday);
    Some(ThresholdRow {
        series: series.name().to_string(),
        upper,
        lower,
        alert_upper,
        alert_lower,
        rhythm: threshold.bounds.rhythm(),
        sensitivity: series.sensitivity().get(),
        confidence: threshold.confidence.get(),
        strategy: threshold.strategy.to_string(),
        reasoning: threshold.reasoning.to_string(),
        supporting: threshold.supporting,
        active: series.active(),
        learned_at: threshold.learned_at,
    })
}

/// The schema of what a window said.
fn supporting(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    const NUMBERS: [&str; 12] =
        ["mean", "median", "std_dev", "min", "max", "p25", "p75", "p90", "p95", "p99", "iqr", "effective_count"];
    let mut properties = serde_json::Map::new();
    properties.insert("count".to_owned(), serde_json::json!({ "type": "integer" }));
    properties.extend(NUMBERS.map(|name| (name.to_owned(), serde_json::json!({ "type": "number" }))));
    let trends = ["increasing", "decreasing", "stable", "unknown"];
    properties.insert("trend".to_owned(), serde_json::json!({ "type": "string", "enum": trends }));
    let required: Vec<String> = properties.keys().cloned().collect();
    schemars::json_schema!({ "type": "object", "properties": properties, "required": required })
}
