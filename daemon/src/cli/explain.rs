//! `homeostat explain SERIES`: why its bounds are as they are, and what would change them.

use super::client::{Daemon, series};
use super::output::{Out, number};
use super::{Done, Failed};
use serde_json::Value;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat explain host_load1
  homeostat explain 'host_disk_read_bytes_total{device=\"sda\"}' --output json")]
pub struct ExplainArgs {
    /// NAME or NAME{label=\"value\"}
    series: String,
    #[command(flatten)]
    daemon: Daemon,
}

pub fn explain(args: &ExplainArgs, out: &Out) -> Result<Done, Failed> {
    let name = series(&args.series)?;
    let answer = args.daemon.get("/api/v1/explain", &[("series", &name)]);
    let answer = answer.map_err(|failed| args.daemon.with_nearest(&name, failed))?;
    if out.is_json() {
        out.json(&answer)?;
        return Ok(Done::Quietly);
    }
    let mut pairs = Vec::new();
    flatten("", &answer["data"], &mut pairs);
    let pairs: Vec<(&str, String)> = pairs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    out.pairs(&pairs)?;
    Ok(Done::Quietly)
}

/// Every leaf with the path to it.
fn flatten(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&under(key), value, pairs)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| flatten(&under(&at.to_string()), value, pairs)),
        Value::Null => {}
        Value::String(text) => pairs.push((path.to_owned(), text.clone())),
        Value::Number(n) => pairs.push((path.to_owned(), n.as_f64().map_or_else(|| n.to_string(), number))),
        Value::Bool(truth) => pairs.push((path.to_owned(), truth.to_string())),
    }
}
