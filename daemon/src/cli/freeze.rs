//! `homeostat freeze`: one switch that stops every change, for the hour in which nothing may move.

use super::client::Daemon;
use super::output::Out;
use super::{Done, Failed};
use serde_json::json;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat freeze on
  homeostat freeze off

Judging and learning go on meanwhile; what was learned takes effect once changes go on.")]
pub struct FreezeArgs {
    #[arg(value_enum, value_name = "on|off")]
    switch: Switch,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Switch {
    /// Stop all changes
    On,
    /// Let changes go on
    Off,
}

pub fn freeze(args: &FreezeArgs, out: &Out) -> Result<Done, Failed> {
    let frozen = args.switch == Switch::On;
    let answer = args.daemon.connect()?.post("freeze", &json!({ "frozen": frozen }), None)?;
    match out.is_json() {
        true => out.json(&answer)?,
        false => out.text(if frozen { "all changes are stopped" } else { "changes go on" })?,
    }
    Ok(Done::Quietly)
}
