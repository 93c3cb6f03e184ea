//! `homeostat proposals`: levels that shifted, and a person's answer whether that is ordinary now.

use super::client::{Daemon, text};
use super::output::Out;
use super::{Done, Failed};
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat proposals                                      what waits for an answer
  homeostat proposals --all                                also what was settled, and how
  homeostat proposals accept 3 --comment 'more memory'     since then these are other series: that is ordinary now
  homeostat proposals refuse 3 --comment 'leaks'           it is trouble: the level before stands again

A level that shifts is learned as soon as it is steady, so that it does not page for ever; a day later you are asked, once for
all series that shifted within minutes of each other. Accepted, nothing older than the shift is learned from. Refused, the
bounds from before judge again, the series is in alert, and no sample since the shift is learned from until the level before is
back; what was refused can still be accepted. Without an answer it counts as accepted after three days; a series with an owner
(`series: - match: …, owner: NAME` in the configuration) is asked about again each day, and pages once a day at most.
An answer is stored before this command returns.")]
pub struct ProposalsArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Also those that are settled
    #[arg(long)]
    all: bool,
    /// Only about series that match: NAME{label="value"} with = != =~ !~
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(clap::Subcommand)]
enum What {
    /// The new level is ordinary
    #[command(after_help = "\
Example:
  homeostat proposals accept 3 --comment 'more memory'     3 is its number in `homeostat proposals`")]
    Accept(AnswerArgs),
    /// The new level is trouble
    #[command(after_help = "\
Example:
  homeostat proposals refuse 3 --comment 'leaks'     the level before stands again")]
    Refuse(AnswerArgs),
}

#[derive(clap::Args)]
struct AnswerArgs {
    /// The number of the proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Kept with the answer, for people
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

pub fn proposals(args: &ProposalsArgs, out: &Out) -> Result<Done, Failed> {
    match &args.what {
        None => list(args, out),
        Some(What::Accept(said)) => answer(said, "accept", out),
        Some(What::Refuse(said)) => answer(said, "refuse", out),
    }
}

fn list(args: &ProposalsArgs, out: &Out) -> Result<Done, Failed> {
    let mut query: Vec<(&str, &str)> = args.selector.iter().map(|text| ("match[]", text.as_str())).collect();
    if !args.all {
        query.push(("open", "true"));
    }
    let rows = args.daemon.connect()?.all("proposals", &query)?;
    if out.is_json() {
        out.data(&rows)?;
        return Ok(Done::Quietly);
    }
    out.table(&HEAD, &rows.iter().flat_map(lines).collect::<Vec<_>>())?;
    Ok(Done::Quietly)
}

fn answer(args: &AnswerArgs, answer: &str, out: &Out) -> Result<Done, Failed> {
    let mut body = json!({ "answer": answer });
    if let Some(comment) = &args.comment {
        body["comment"] = json!(comment);
    }
    let answered = args.daemon.connect()?.post(&format!("proposals/{}", args.id), &body, None)?;
    if out.is_json() {
        out.json(&answered)?;
        return Ok(Done::Quietly);
    }
    out.table(&HEAD, &answered.get("data").map(lines).unwrap_or_default())?;
    Ok(Done::Quietly)
}

const HEAD: [&str; 7] = ["id", "series", "since", "before", "after", "owner", "answer"];

/// One line for each series of a proposal.
fn lines(row: &Value) -> Vec<Vec<String>> {
    let series = row.get("series").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let line = |one: &Value| {
        let mut cells = vec![text(row, "id")];
        cells.extend(["series", "since", "before", "after", "owner"].map(|field| text(one, field)));
        let settled = one.get("settled").and_then(Value::as_str);
        cells.push(match (settled, row.get("accepted_at").and_then(Value::as_str), one.get("owner")) {
            (Some(settled), ..) => settled.to_owned(),
            (None, Some(at), None | Some(Value::Null)) => format!("waits; accepted at {at} without one"),
            _ => "waits".to_owned(),
        });
        cells
    };
    series.iter().map(line).collect()
}

/// What is asked of one series, or was answered, in a sentence for `explain`.
pub fn sentence(proposal: &Value, series: &str) -> String {
    let members = proposal.get("series").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own = members.iter().find(|one| one.get("series").and_then(Value::as_str) == Some(series));
    let own = own.unwrap_or(&Value::Null);
    let others = match members.len().saturating_sub(1) {
        0 => String::new(),
        count => format!(" with {count} others"),
    };
    let id = text(proposal, "id");
    let said = match own.get("settled").and_then(Value::as_str) {
        Some("refused") => "called trouble: nothing since then is learned until the level before is back".to_owned(),
        _ => format!("is that ordinary? `homeostat proposals accept {id}`, or `refuse {id}`"),
    };
    let (since, before, after) = (text(own, "since"), text(own, "before"), text(own, "after"));
    format!("{id}: its level shifted at {since}{others}, from {before} to {after}; {said}")
}
