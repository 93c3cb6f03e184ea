//! `homeostat verdicts`: what people said of alerts, or did about them, as an Alertmanager and paging tools told it.

use super::client::{Daemon, text};
use super::output::Out;
use super::{Done, Failed};
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat verdicts                                        the latest, with what was done
  homeostat verdicts export > verdicts.jsonl                JSON lines for `homeostat tune --verdicts verdicts.jsonl`
  homeostat verdicts export --alert HighLatency --weight-min 0.2

A silence within a quarter of an hour, an alert that ended by itself almost at once, an acknowledgement and an incident each
say something of an alert, and less than a word does: their weights stand under `verdicts` in the configuration.")]
pub struct VerdictsArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Only of this alert
    #[arg(long, value_name = "NAME")]
    alert: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(clap::Subcommand)]
enum What {
    /// Print them as JSON lines that `homeostat tune --verdicts` reads, oldest first
    Export(ExportArgs),
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat verdicts export > verdicts.jsonl && homeostat tune rules/ --verdicts verdicts.jsonl --prometheus http://localhost:9090
  homeostat verdicts export --alert HighLatency --weight-min 0    also what counts for next to nothing")]
struct ExportArgs {
    /// Only of this alert
    #[arg(long, value_name = "NAME")]
    alert: Option<String>,
    /// Leave out what counts less
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.5)]
    weight_min: f64,
    #[command(flatten)]
    daemon: Daemon,
}

pub fn verdicts(args: &VerdictsArgs, out: &Out) -> Result<Done, Failed> {
    if let Some(What::Export(args)) = &args.what {
        return export(args, out);
    }
    let rows = read(&args.daemon, args.alert.as_deref())?;
    if out.is_json() {
        out.data(&rows)?;
        return Ok(Done::Quietly);
    }
    let line =
        |row: &Value| ["at", "alert", "verdict", "weight", "source", "why"].map(|field| text(row, field)).to_vec();
    out.table(&["at", "alert", "verdict", "weight", "source", "why"], &rows.iter().map(line).collect::<Vec<_>>())?;
    Ok(Done::Quietly)
}

fn read(daemon: &Daemon, alert: Option<&str>) -> Result<Vec<Value>, Failed> {
    let query: Vec<(&str, &str)> = alert.iter().map(|alert| ("alert", *alert)).collect();
    daemon.connect()?.all("verdicts", &query)
}

fn export(args: &ExportArgs, out: &Out) -> Result<Done, Failed> {
    if !(0.0..=1.0).contains(&args.weight_min) {
        return Err(Failed::Use(format!("--weight-min: {} is not from 0 to 1", args.weight_min)));
    }
    let rows = read(&args.daemon, args.alert.as_deref())?;
    for row in rows.iter().rev() {
        if row.get("weight").and_then(Value::as_f64).unwrap_or(0.0) < args.weight_min {
            continue;
        }
        let mut labels = row.get("labels").cloned().unwrap_or_else(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.remove("alertname");
        }
        let field = |name: &str| row.get(name).cloned().unwrap_or(Value::Null);
        let line = json!({
            "alert": field("alert"), "labels": labels, "at": field("at"), "verdict": field("verdict"),
            "weight": field("weight"), "source": field("source"),
        });
        out.text(&line.to_string())?;
    }
    Ok(Done::Quietly)
}
