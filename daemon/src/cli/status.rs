//! `homeostat status`: how the running loop is doing, on one screen.

use super::client::{Daemon, text};
use super::output::{Out, number};
use super::{Done, Failed};
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat status
  homeostat status --output json --url http://127.0.0.1:9797")]
pub struct StatusArgs {
    #[command(flatten)]
    daemon: Daemon,
}

pub fn status(args: &StatusArgs, out: &Out) -> Result<Done, Failed> {
    let client = args.daemon.connect()?;
    let state = client.one("state")?;
    let parameters = client.one("parameters")?;
    let loops = client.all("loops", &[])?;
    let series = client.all("series", &[])?;
    let thresholds = client.all("thresholds", &[])?;
    let is_active = |row: &&Value| row.get("active").and_then(Value::as_bool) == Some(true);
    let (known, learned, active) = (series.len(), thresholds.len(), thresholds.iter().filter(is_active).count());
    if out.is_json() {
        out.json(&json!({
            "state": state,
            "parameters": parameters,
            "loops": loops,
            "series": { "known": known, "learned": learned, "active": active },
        }))?;
        return Ok(Done::Quietly);
    }
    let mut pairs = vec![("state", text(&state, "state")), ("since", text(&state, "since"))];
    pairs.extend(forced(&state));
    pairs.push(("series", format!("{known} known, {learned} learned, {active} judged by what was learned")));
    pairs.extend(evidence(&state));
    for name in
        ["monitoring_interval_s", "analysis_depth", "planning_lookahead_s", "execution_parallelism", "learning_rate"]
    {
        pairs.push((name, text(&parameters, name)));
    }
    out.pairs(&pairs)?;
    out.text("")?;
    let rows: Vec<Vec<String>> = loops
        .iter()
        .map(|row| {
            let effect = row.get("effectiveness").and_then(Value::as_f64);
            let paused = row.get("paused").and_then(Value::as_bool).unwrap_or(false);
            vec![
                text(row, "loop"),
                text(row, "signals"),
                text(row, "actions"),
                text(row, "withheld"),
                effect.map_or_else(|| "not known yet".to_owned(), number),
                if paused { "paused" } else { "runs" }.to_owned(),
            ]
        })
        .collect();
    out.table(&["loop", "signals", "actions", "withheld", "effectiveness", ""], &rows)?;
    Ok(Done::Quietly)
}

/// Until when an operator holds the state, when one does.
pub fn forced(state: &Value) -> Option<(&'static str, String)> {
    let until = state.get("forced_until")?.as_str()?;
    Some(("held until", until.to_owned()))
}

/// What the state was decided from, whichever way the items are told.
pub fn evidence(state: &Value) -> Vec<(&'static str, String)> {
    let Some(items) = state.get("evidence").and_then(Value::as_array) else { return Vec::new() };
    let line = |item: &Value| match item {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let said = fields.keys().map(|field| match field.as_str() {
                "kind" | "evidence" | "name" => text(item, field),
                field => format!("{field} {}", text(item, field)),
            });
            said.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    items.iter().map(|item| ("evidence", line(item))).collect()
}
