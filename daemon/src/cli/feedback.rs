//! `homeostat feedback`: a person's verdict, from the command line.

use super::client::Daemon;
use super::explain::series_name;
use super::output::Out;
use super::{Done, Failed};
use homeostat::series::Selector;
use homeostat::time::Timestamp;
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat feedback host_load1 false                          the last breach did not matter: be less sensitive
  homeostat feedback host_load1 true --at 2026-01-31T12:00:00Z
  homeostat feedback host_load1 missed                         something happened and nothing was said: be more sensitive
  homeostat feedback host_load1 true --at 2026-01-31T12:00:00Z --until 2026-01-31T14:00:00Z --comment 'disk full'
                                                               an incident: these hours are not learned from
  homeostat feedback host_load1 true --at 2026-01-31T12:00:00Z --change-point
                                                               since then it is another series: forget what was before
  homeostat feedback 'host_disk_read_bytes_per_second{device=~\"sd.*\"}' false --matching

Without --at it is about the latest breach of the series, else about now. A period that is true or missed is left out of what
is learned; one that is false is learned from again, also where it was in alert. It is stored before this command returns, and
the bounds follow by the next cycle: the past is then judged by them.")]
pub struct FeedbackArgs {
    /// The series: NAME or NAME{label="value",…}; with --matching a selector with = != =~ !~
    #[arg(value_name = "SERIES")]
    series: String,
    #[arg(value_enum, value_name = "VERDICT")]
    verdict: Said,
    /// What moment it is about, or when it began: Unix seconds or RFC 3339
    #[arg(long, value_name = "T")]
    at: Option<String>,
    /// It is about all of the time from --at until then
    #[arg(long, value_name = "T", requires = "at", conflicts_with = "change_point")]
    until: Option<String>,
    /// With true: since --at the series is another one: nothing older is learned from, once there are samples enough since
    #[arg(long, requires = "at")]
    change_point: bool,
    /// It is about every series that SERIES selects
    #[arg(long)]
    matching: bool,
    /// Kept with the verdict, for people
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
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
    if args.change_point && args.verdict != Said::True {
        return Err(Failed::Use(
            "--change-point is said with true: the series is another one since then, and what came before is forgotten; for \
             an alert that did not matter, or one that was missed, leave out --change-point"
                .to_owned(),
        ));
    }
    let client = args.daemon.connect()?;
    let verdict = match args.verdict {
        Said::True => "true",
        Said::False => "false",
        Said::Missed => "missed",
    };
    let mut body = json!({ "verdict": verdict });
    let name = match args.matching {
        true => {
            Selector::parse(&args.series).map_err(|error| Failed::Use(error.to_string()))?;
            body["match"] = json!(args.series);
            None
        }
        false => {
            let name = series_name(&args.series)?;
            body["series"] = json!(name);
            Some(name)
        }
    };
    for (key, text) in [("at", &args.at), ("until", &args.until)] {
        if let Some(text) = text {
            let at = Timestamp::parse(text).map_err(|error| Failed::Use(format!("--{key}: {error}")))?;
            body[key] = json!(at);
        }
    }
    if args.change_point {
        body["change_point"] = json!(true);
    }
    if let Some(comment) = &args.comment {
        body["comment"] = json!(comment);
    }
    let answer = client.post("feedback", &body, name.as_ref())?;
    if out.is_json() {
        out.json(&answer)?;
        return Ok(Done::Quietly);
    }
    let id = answer.get("id").map_or_else(|| "-".to_owned(), Value::to_string);
    match answer.get("ids").and_then(Value::as_array) {
        Some(ids) => out.text(&format!("stored for {} series, from signal {id} on: {verdict}", ids.len()))?,
        None => out.text(&format!("stored as signal {id}: {} {verdict}", args.series))?,
    }
    Ok(Done::Quietly)
}
