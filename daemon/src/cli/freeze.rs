//! `homeostat freeze on|off`: the switch that stops every change.

use super::client::Daemon;
use super::output::Out;
use super::{Done, Failed};
use serde_json::json;

#[derive(clap::Args)]
pub struct FreezeArgs {
    /// on: nothing is changed from now on; off: changes go on
    switch: Switch,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

pub fn freeze(args: &FreezeArgs, out: &Out) -> Result<Done, Failed> {
    let frozen = args.switch == Switch::On;
    let answer = args.daemon.post("/api/v1/freeze", &json!({ "frozen": frozen }))?;
    match (out.is_json(), frozen) {
        (true, _) => out.json(&answer)?,
        (false, true) => out.text("frozen: judging and learning go on, nothing is changed")?,
        (false, false) => out.text("changes go on")?,
    }
    Ok(Done::Quietly)
}
