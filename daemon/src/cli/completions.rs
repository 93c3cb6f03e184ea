//! `homeostat completions SHELL`.

use super::{Cli, Done, Failed};
use clap::CommandFactory;
use std::io::Write;

#[derive(clap::Args)]
#[command(after_help = "Example: homeostat completions bash > /etc/bash_completion.d/homeostat")]
pub struct CompletionsArgs {
    shell: clap_complete::Shell,
}

pub fn completions(args: &CompletionsArgs) -> Result<Done, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "homeostat", &mut script);
    std::io::stdout().write_all(&script).map_err(Failed::output)?;
    Ok(Done::Quietly)
}
