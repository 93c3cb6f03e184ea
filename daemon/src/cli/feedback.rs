//! `homeostat feedback SERIES VERDICT`: what a breach was, said by a person.

use super::client::{Daemon, series};
use super::output::Out;
use super::{Done, Failed};
use homeostat::time::Timestamp;
use serde_json::json;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat feedback host_load1 false                      the last breach did not matter: widen the bounds
  homeostat feedback host_load1 missed --at 2026-01-31T12:00:00Z
  homeostat feedback host_load1 true --output json         prints {\"id\":ID} once it is durable")]
pub struct FeedbackArgs {
    /// NAME or NAME{label=\"value\"}
    series: String,
    /// It mattered (true), it did not (false), or nothing was said of it (missed)
    verdict: Word,
    /// What time it is about: Unix seconds or RFC 3339 [default: the latest breach]
    #[arg(long, value_name = "T")]
    at: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Word {
    True,
    False,
    Missed,
}

pub fn feedback(args: &FeedbackArgs, out: &Out) -> Result<Done, Failed> {
    let name = series(&args.series)?;
    let verdict = match args.verdict {
        Word::True => "true",
        Word::False => "false",
        Word::Missed => "missed",
    };
    let mut body = json!({ "series": name, "verdict": verdict });
    if let Some(at) = &args.at {
        let at = Timestamp::parse(at).map_err(|error| Failed::Use(format!("--at: {error}")))?;
        body["at"] = json!(at.to_string());
    }
    let answer = args.daemon.post("/api/v1/feedback", &body);
    let answer = answer.map_err(|failed| args.daemon.with_nearest(&name, failed))?;
    match out.is_json() {
        true => out.json(&answer)?,
        false => out.text(&format!("recorded as verdict {}; its bounds follow in the next cycle", answer["id"]))?,
    }
    Ok(Done::Quietly)
}
