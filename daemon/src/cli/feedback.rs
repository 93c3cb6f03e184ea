//! `homeostat feedback`: a person's verdict, from the command line.

use super::client::Daemon;
use super::explain::series_name;
use super::output::Out;
use super::{Done, Failed};
use homeostat::time::Timestamp;
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat feedback host_load1 false                          the last breach did not matter: be less sensitive
  homeostat feedback host_load1 true --at 2026-01-31T12:00:00Z
  homeostat feedback host_load1 missed                         something happened and nothing was said: be more sensitive

Without --at it is about the latest breach of the series, else about now. It is stored before this command returns, and
the bounds follow by the next cycle.")]
pub struct FeedbackArgs {
    /// The series: NAME or NAME{label="value",…}
    #[arg(value_name = "SERIES")]
    series: String,
    #[arg(value_enum, value_name = "VERDICT")]
    verdict: Said,
    /// What moment it is about: Unix seconds or RFC 3339
    #[arg(long, value_name = "T")]
    at: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Said {
    /// It mattered
    True,
    /// It did not matter
    False,
    /// It mattered, and nothing was said
    Missed,
}

pub fn feedback(args: &FeedbackArgs, out: &Out) -> Result<Done, Failed> {
    let client = args.daemon.connect()?;
    let series = series_name(&args.series)?;
    let verdict = match args.verdict {
        Said::True => "true",
        Said::False => "false",
        Said::Missed => "missed",
    };
    let mut body = json!({ "series": series, "verdict": verdict });
    if let Some(at) = &args.at {
        let at = Timestamp::parse(at).map_err(|error| Failed::Use(format!("--at: {error}")))?;
        body["at"] = json!(at);
    }
    let answer = client.post("feedback", &body, Some(&series))?;
    match out.is_json() {
        true => out.json(&answer)?,
        false => {
            let id = answer.get("id").map_or_else(|| "-".to_owned(), Value::to_string);
            out.text(&format!("stored as signal {id}: {series} {verdict}"))?;
        }
    }
    Ok(Done::Quietly)
}
