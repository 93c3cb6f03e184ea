//! The command line: what can be asked for, and how an answer or a failure leaves the program.
//!
//! One file per command. A command returns what it found or why it failed; exit codes are made here and nowhere else,
//! because scripts rely on them: 0 done, 1 done and found something, 2 wrong use or configuration, 3 the world failed.

mod ab;
mod access;
mod audit;
mod backup;
mod bench;
mod calibrate;
mod check;
mod client;
mod completions;
mod config;
mod detect;
mod evaluate;
mod explain;
mod feedback;
mod fetch;
mod freeze;
mod learn;
mod offline;
mod output;
mod proposals;
mod rollouts;
mod run;
mod simulate;
mod state;
mod status;
mod thresholds;
mod tune;
mod verdicts;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{Format, Out};
use std::io;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "homeostat",
    version,
    about = "Learns what is ordinary for your metrics, judges every sample, and tunes its own loop",
    after_help = "\
Examples:
  homeostat                                 watch this host; prints the address of its page
  homeostat learn load.csv                  learn thresholds from a file, and print them
  homeostat detect load.csv --out out.csv   judge every row of a file
  homeostat status                          how the running loop is doing
  homeostat feedback host_load1 false       tell it that the last breach did not matter

Without a command it runs, as with `homeostat run`.
Exit codes: 0 done; 1 done and found something (--strict, check); 2 wrong use or configuration; 3 the world failed."
)]
pub struct Cli {
    /// How answers are printed
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
    /// No colours, as with the environment variable NO_COLOR
    #[arg(long, global = true)]
    no_color: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the loop: watch this host and files, learn, judge, and serve a page
    Run(run::RunArgs),
    /// Learn thresholds from files and print them
    Learn(learn::LearnArgs),
    /// Judge every row of a file, each by what came before it
    Detect(detect::DetectArgs),
    /// Write the history of an expression, from a Prometheus, as CSV
    Fetch(fetch::FetchArgs),
    /// Score a detector on labelled files, beside a score that knows nothing
    Evaluate(evaluate::EvaluateArgs),
    /// Hold what is learned against static bounds: pages, misses, delay, and which is better
    Ab(ab::AbArgs),
    /// Check whether confidences come true, in simulated worlds or on files
    Calibrate(calibrate::CalibrateArgs),
    /// Say what is known of one series, and why its bounds are as they are
    Explain(explain::ExplainArgs),
    /// Show the state of the running loop
    Status(status::StatusArgs),
    /// Tell the loop what a breach was: true, false, or one that it missed
    Feedback(feedback::FeedbackArgs),
    /// Show levels that shifted, and say whether that is ordinary now
    Proposals(proposals::ProposalsArgs),
    /// Show how far new thresholds got on their way to alert rules, and hurry or stop them
    Rollouts(rollouts::RolloutsArgs),
    /// Show what was said of alerts, or done about them, as an Alertmanager told
    Verdicts(verdicts::VerdictsArgs),
    /// Show the state, or hold one for a while
    State(state::StateArgs),
    /// Stop all changes, or let them go on; judging and learning never stop
    Freeze(freeze::FreezeArgs),
    /// Print the learned thresholds in a form that other tools read
    Thresholds(thresholds::ThresholdsArgs),
    /// Check, show or describe the configuration
    Config(config::ConfigArgs),
    /// Run the loop in a simulated world, and judge it against the best static threshold
    Simulate(simulate::SimulateArgs),
    /// Measure what the engine costs on this machine, each work beside a naive version of it
    Bench(bench::BenchArgs),
    /// Say what the literals of alert rules should be, by the history of what they measure
    Tune(tune::TuneArgs),
    /// Make tokens and passwords for the access file, and check it
    Access(access::AccessArgs),
    /// Show who changed what, as the running daemon kept it
    Audit(audit::AuditArgs),
    /// Copy the data folder, while the daemon runs or not
    Backup(backup::BackupArgs),
    /// Check whether a data folder or a backup is whole
    Check(check::CheckArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// A command that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    Quietly,
    /// It found what it was asked to look for: bad rows under `--strict`.
    WithFindings,
}

/// A command that did not. Both texts say what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Asked for in a way that cannot work.
    #[error("{0}")]
    Use(String),
    /// Asked for rightly; a file, a port or a daemon was not as needed.
    #[error("{0}")]
    World(String),
    /// Whoever read our output has seen enough, like `| head`: no error of anybody.
    #[error("the reader of the output went away")]
    ReaderGone,
}

impl Failed {
    /// Writing to standard output failed.
    fn output(error: io::Error) -> Failed {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failed::ReaderGone,
            _ => Failed::World(format!("cannot write the output: {error}")),
        }
    }
}

/// What stands on the command line; help and what is wrong with it are printed, without colours where none are wanted.
fn parsed() -> Cli {
    let plain = std::env::args_os().any(|arg| arg == "--no-color");
    let color = if plain { clap::ColorChoice::Never } else { clap::ColorChoice::Auto };
    let matches = Cli::command().color(color).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Reads the command line, does what it says, and answers with an exit code.
pub fn main() -> ExitCode {
    let cli = parsed();
    let out = Out::new(cli.output, cli.no_color);
    let done = match cli.command.unwrap_or_else(|| Command::Run(run::RunArgs::default())) {
        Command::Run(args) => run::run(&args, &out),
        Command::Learn(args) => learn::learn(&args, &out),
        Command::Detect(args) => detect::detect(&args),
        Command::Fetch(args) => fetch::fetch(&args, &out),
        Command::Evaluate(args) => evaluate::evaluate(&args, &out),
        Command::Ab(args) => ab::ab(&args, &out),
        Command::Calibrate(args) => calibrate::calibrate(&args, &out),
        Command::Explain(args) => explain::explain(&args, &out),
        Command::Status(args) => status::status(&args, &out),
        Command::Feedback(args) => feedback::feedback(&args, &out),
        Command::Proposals(args) => proposals::proposals(&args, &out),
        Command::Rollouts(args) => rollouts::rollouts(&args, &out),
        Command::Verdicts(args) => verdicts::verdicts(&args, &out),
        Command::State(args) => state::state(&args, &out),
        Command::Freeze(args) => freeze::freeze(&args, &out),
        Command::Thresholds(args) => thresholds::thresholds(&args, &out),
        Command::Config(args) => config::config(&args, &out),
        Command::Simulate(args) => simulate::simulate(&args, &out),
        Command::Bench(args) => bench::bench(&args, &out),
        Command::Tune(args) => tune::tune(&args, &out),
        Command::Access(args) => access::access(&args, &out),
        Command::Audit(args) => audit::audit(&args, &out),
        Command::Backup(args) => backup::backup(&args, &out),
        Command::Check(args) => check::check(&args, &out),
        Command::Completions(args) => completions::completions(&args),
    };
    match done {
        Ok(Done::Quietly) | Err(Failed::ReaderGone) => ExitCode::SUCCESS,
        Ok(Done::WithFindings) => ExitCode::from(1),
        Err(failed) => {
            eprintln!("homeostat: {}", output::printable(&failed.to_string()));
            ExitCode::from(if matches!(failed, Failed::Use(_)) { 2 } else { 3 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_teaches_by_example() {
        fn silent(command: &clap::Command, path: &str) -> Vec<String> {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let own = (!help.contains("Example")).then(|| path.to_owned());
            let below = command.get_subcommands().filter(|one| one.get_name() != "help");
            own.into_iter().chain(below.flat_map(|one| silent(one, &format!("{path} {}", one.get_name())))).collect()
        }
        assert_eq!(silent(&Cli::command(), "homeostat"), Vec::<String>::new());
    }
}
