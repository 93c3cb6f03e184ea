//! `homeostat status`: how the running loop is doing, on one screen.

use super::client::Daemon;
use super::output::{Out, number};
use super::{Done, Failed};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    daemon: Daemon,
}

pub fn status(args: &StatusArgs, out: &Out) -> Result<Done, Failed> {
    let get = |path: &str| args.daemon.get(path, &[]).map(|mut answer| answer["data"].take());
    let (state, statistics) = (get("/api/v1/state")?, get("/api/v1/statistics")?);
    let (parameters, loops) = (get("/api/v1/parameters")?, get("/api/v1/loops")?);
    if out.is_json() {
        out.json(&json!({ "data": { "state": state, "statistics": statistics, "parameters": parameters, "loops": loops } }))?;
        return Ok(Done::Quietly);
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), number),
        other => other.to_string(),
    };
    let evidence = state["evidence"].as_array().into_iter().flatten();
    let evidence: Vec<String> = evidence.map(|e| format!("{} {}", text(&e["name"]), text(&e["value"]))).collect();
    let frozen = if state["frozen"] == Value::Bool(true) { " (frozen: nothing is changed)" } else { "" };
    out.pairs(&[
        ("state", format!("{}{frozen} since {}", text(&state["state"]), text(&state["since"]))),
        ("evidence", evidence.join(", ")),
        ("series", format!("{}, {} with enough data", text(&statistics["series"]), text(&statistics["series_with_enough_data"]))),
        ("thresholds", format!("{}, {} in force", text(&statistics["recommendations"]), text(&statistics["active_recommendations"]))),
        ("samples", text(&statistics["samples"])),
        ("cycles", text(&statistics["cycles"])),
        ("interval", format!("{} s", text(&parameters["monitoring_interval_s"]))),
    ])?;
    let rows: Vec<Vec<String>> = loops
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| ["loop", "signals", "actions", "withheld", "reading", "paused"].map(|key| text(&row[key])).to_vec())
        .collect();
    out.table(&["loop", "signals", "actions", "withheld", "effect", "paused"], &rows)?;
    Ok(Done::Quietly)
}
