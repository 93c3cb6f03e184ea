//! `homeostat state`: the state of the loop, and a hand on it.

use super::client::Daemon;
use super::output::Out;
use super::status::{evidence, forced, leaves};
use super::{Done, Failed};
use crate::cli::client::text;
use homeostat::time::Span;
use serde_json::json;

#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  homeostat state
  homeostat state set degraded --for 1h     the row of parameters of that state holds, whatever the evidence"
)]
pub struct StateArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(clap::Subcommand)]
enum What {
    /// Hold a state for a while, whatever the evidence says
    #[command(after_help = "\
Examples:
  homeostat state set degraded --for 1h     the parameters of that state hold for an hour
  homeostat state set healthy               for a quarter of an hour; then evidence decides again")]
    Set {
        #[arg(value_enum, value_name = "STATE")]
        state: Named,
        /// How long it is held
        #[arg(long = "for", value_name = "DURATION", default_value = "15m")]
        during: String,
        #[command(flatten)]
        daemon: Daemon,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Named {
    Healthy,
    Optimizing,
    Degraded,
    Critical,
    Recovering,
}

impl Named {
    const fn as_str(self) -> &'static str {
        match self {
            Named::Healthy => "healthy",
            Named::Optimizing => "optimizing",
            Named::Degraded => "degraded",
            Named::Critical => "critical",
            Named::Recovering => "recovering",
        }
    }
}

pub fn state(args: &StateArgs, out: &Out) -> Result<Done, Failed> {
    match &args.what {
        None => {
            let state = args.daemon.connect()?.one("state")?;
            if out.is_json() {
                out.data(&state)?;
            } else {
                let mut pairs = vec![("state", text(&state, "state")), ("since", text(&state, "since"))];
                pairs.extend(forced(&state));
                pairs.extend(leaves(&state));
                pairs.extend(evidence(&state));
                out.pairs(&pairs)?;
            }
        }
        Some(What::Set { state, during, daemon }) => {
            let span = Span::parse(during).map_err(|error| Failed::Use(format!("--for: {error}")))?;
            let client = daemon.connect()?;
            let answer = client.post("state", &json!({ "state": state.as_str(), "for": span }), None)?;
            match out.is_json() {
                true => out.json(&answer)?,
                false => out.text(&format!("{} is held for {span}", state.as_str()))?,
            }
        }
    }
    Ok(Done::Quietly)
}
