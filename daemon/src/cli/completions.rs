//! `homeostat completions`: so that a shell completes commands and flags.

use super::{Cli, Done, Failed};
use clap::CommandFactory;
use std::io::Write;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat completions bash > ~/.local/share/bash-completion/completions/homeostat
  homeostat completions fish > ~/.config/fish/completions/homeostat.fish")]
pub struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub fn completions(args: &CompletionsArgs) -> Result<Done, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "homeostat", &mut script);
    std::io::stdout().write_all(&script).map_err(Failed::output)?;
    Ok(Done::Quietly)
}
