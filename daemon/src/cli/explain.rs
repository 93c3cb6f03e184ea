//! `homeostat explain`: all that is known of one series, in the order a person asks for it.

use super::client::{Client, Daemon, text};
use super::output::Out;
use super::{Done, Failed};
use homeostat::series::SeriesName;
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat explain host_load1
  homeostat explain 'http_requests_total{code=\"500\",job=\"api\"}'

Says what the bounds are and why, how far they are trusted, and what people and loops did about the series.")]
pub struct ExplainArgs {
    /// The series: NAME or NAME{label="value",…}
    #[arg(value_name = "SERIES")]
    series: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// What a person typed, as a series.
pub fn series_name(text: &str) -> Result<SeriesName, Failed> {
    SeriesName::parse(text).map_err(|error| Failed::Use(error.to_string()))
}

pub fn explain(args: &ExplainArgs, out: &Out) -> Result<Done, Failed> {
    let client = args.daemon.connect()?;
    let name = series_name(&args.series)?;
    let Some(series) = row_of(&client, "series", &name)? else { return Err(client.unknown(&name)) };
    let threshold = row_of(&client, "thresholds", &name)?;
    let signals = client.newest("signals", &[("series", name.as_str())], "10")?;
    let actions = client.newest("actions", &[], "1000")?;
    let actions: Vec<Value> = actions.into_iter().filter(|a| is_of(a, &name)).take(10).collect();
    if out.is_json() {
        let said = json!({ "series": series, "threshold": threshold, "signals": signals, "actions": actions });
        out.json(&said)?;
        return Ok(Done::Quietly);
    }
    let mut pairs = vec![
        ("series", name.to_string()),
        ("kind", text(&series, "kind")),
        ("samples", text(&series, "samples")),
        ("span", format!("{} s", text(&series, "span_s"))),
    ];
    match &threshold {
        None => pairs.push(("threshold", "none yet: too few samples, or a kind that is not watched".to_owned())),
        Some(row) => {
            let is_active = row.get("active").and_then(Value::as_bool).unwrap_or(false);
            pairs.extend([
                ("lower", text(row, "lower")),
                ("upper", text(row, "upper")),
                ("active", if is_active { "yes" } else { "no: it does not judge (yet)" }.to_owned()),
                ("confidence", text(row, "confidence")),
                ("sensitivity", format!("{} sigmas", text(row, "sensitivity"))),
                ("strategy", text(row, "strategy")),
                ("learned", text(row, "learned_at")),
                ("why", text(row, "reasoning")),
            ]);
            if let Some(supporting) = row.get("supporting") {
                let said = ["count", "mean", "median", "std_dev", "min", "max", "p95", "p99", "trend"]
                    .map(|field| format!("{field} {}", text(supporting, field)));
                pairs.push(("window", said.join(", ")));
            }
        }
    }
    for signal in &signals {
        let verdict = signal.get("verdict").and_then(Value::as_str);
        let said = verdict.map_or_else(|| text(signal, "value"), |verdict| format!("verdict {verdict}"));
        pairs.push(("signal", format!("{} {}: {said}", text(signal, "at"), text(signal, "source"))));
    }
    for action in &actions {
        pairs.push((
            "action",
            format!(
                "{} {} {} → {}: {} ({})",
                text(action, "at"),
                text(action, "parameter"),
                text(action, "old"),
                text(action, "new"),
                text(action, "reason"),
                text(action, "outcome")
            ),
        ));
    }
    out.pairs(&pairs)?;
    Ok(Done::Quietly)
}

fn is_of(row: &Value, name: &SeriesName) -> bool {
    row.get("series").and_then(Value::as_str) == Some(name.as_str())
}

/// A selector matches series with more labels too; only the very one is meant.
fn row_of(client: &Client, list: &str, name: &SeriesName) -> Result<Option<Value>, Failed> {
    let rows = client.all(list, &[("match[]", name.as_str())])?;
    Ok(rows.into_iter().find(|row| is_of(row, name)))
}
