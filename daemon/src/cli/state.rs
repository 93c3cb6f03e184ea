//! `homeostat state`: the state of the loop, or an order to hold one.

use super::client::Daemon;
use super::output::{Out, number};
use super::{Done, Failed};
use homeostat::time::Span;
use serde_json::json;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat state                           the state and what it is decided from
  homeostat state set critical --for 10m    hold a state for ten minutes, whatever the evidence")]
pub struct StateArgs {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(clap::Subcommand)]
enum Order {
    /// Hold a state for a while
    Set {
        /// healthy, optimizing, degraded, critical or recovering
        state: String,
        /// For how long, like 15m
        #[arg(long = "for", value_name = "DURATION", default_value = "15m")]
        during: String,
        #[command(flatten)]
        daemon: Daemon,
    },
}

pub fn state(args: &StateArgs, out: &Out) -> Result<Done, Failed> {
    let answer = match &args.order {
        None => args.daemon.get("/api/v1/state", &[])?,
        Some(Order::Set { state, during, daemon }) => {
            let during = Span::parse(during).map_err(|error| Failed::Use(format!("--for: {error}")))?;
            daemon.or(&args.daemon).post("/api/v1/state", &json!({ "state": state, "for": during.to_string() }))?
        }
    };
    if out.is_json() {
        out.json(&answer)?;
        return Ok(Done::Quietly);
    }
    let data = &answer["data"];
    let word = |key: &str| data[key].as_str().unwrap_or("-").to_owned();
    out.pairs(&[("state", word("state")), ("since", word("since")), ("forced until", word("forced_until"))])?;
    let row = |evidence: &serde_json::Value| {
        let limit = |state: &str| evidence[state]["enter"].as_f64().map_or_else(|| "-".to_owned(), number);
        let value = evidence["value"].as_f64().map_or_else(|| "-".to_owned(), number);
        vec![evidence["name"].as_str().unwrap_or("-").to_owned(), value, limit("degraded"), limit("critical")]
    };
    let rows: Vec<_> = data["evidence"].as_array().into_iter().flatten().map(row).collect();
    out.table(&["evidence", "value", "degraded", "critical"], &rows)?;
    Ok(Done::Quietly)
}
