//! `homeostat audit`: who changed what, from where, and with which result.

use super::client::{Daemon, text};
use super::output::Out;
use super::{Done, Failed};
use serde_json::Value;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat audit                         the latest changes, newest first
  homeostat audit --who 'token ci'        those of one token

It is kept as long as events are (store.retention). A daemon with an access file shows it to who has the role operate.")]
pub struct AuditArgs {
    /// Only of this one: `token NAME`, `user NAME`, `client SUBJECT`, anyone or signal
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// So many at most
    #[arg(long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    daemon: Daemon,
}

pub fn audit(args: &AuditArgs, out: &Out) -> Result<Done, Failed> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.who.as_deref().map(|who| ("who", who)));
    let mut answer = args.daemon.connect()?.get("audit", &query)?;
    let rows = answer.get_mut("data").map_or(Value::Null, Value::take);
    if out.is_json() {
        out.data(&rows)?;
        return Ok(Done::Quietly);
    }
    const FIELDS: [&str; 6] = ["at", "who", "peer", "action", "status", "what"];
    let line = |row: &Value| FIELDS.map(|field| text(row, field)).to_vec();
    out.table(&FIELDS, &rows.as_array().into_iter().flatten().map(line).collect::<Vec<_>>())?;
    Ok(Done::Quietly)
}
