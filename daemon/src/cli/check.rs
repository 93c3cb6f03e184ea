//! `homeostat check`: whether a data folder, or a backup, is whole. Nothing in it is changed.

use super::backup::data_folder;
use super::output::Out;
use super::{Done, Failed};
use crate::store;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat check                               the folder that `homeostat run` uses
  homeostat check /backup/homeostat-2026-11-26  a backup
  homeostat check /var/lib/homeostat --full     also whether indexes say what tables do

Every page, event, part of the snapshot and record of samples is read. Beside a running daemon it reads what stood there at one
moment. Exit codes: 0 whole; 1 something is wrong, told with what to do; 2 it cannot be read: no data folder, or one of a newer
homeostat.")]
pub struct CheckArgs {
    /// The data folder [default: as `homeostat run` has it]
    #[arg(value_name = "DATA")]
    data: Option<PathBuf>,
    /// Compare indexes with their tables, too: takes longer
    #[arg(long)]
    full: bool,
    /// Configuration file that names the data folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn check(args: &CheckArgs, out: &Out) -> Result<Done, Failed> {
    let data = data_folder(args.data.as_deref(), args.config.as_deref())?;
    let terminal = std::io::stderr().is_terminal();
    let report = store::check(&data, args.full, crate::driver::now(), &mut |what| {
        if terminal {
            eprint!("\r\x1b[Kreading {what} …");
        }
    });
    if terminal {
        eprint!("\r\x1b[K");
    }
    let report = report.map_err(|error| Failed::Use(error.to_string()))?;
    let done = if report.problems.is_empty() { Done::Quietly } else { Done::WithFindings };
    if out.is_json() {
        out.data(&report)?;
        return Ok(done);
    }
    let looked = report.looked.iter().map(|looked| vec![looked.what.to_owned(), looked.found.clone()]);
    out.table(&["what", "found"], &looked.collect::<Vec<_>>())?;
    if report.problems.is_empty() {
        out.text(&format!("{} is whole", report.folder))?;
        return Ok(done);
    }
    let problems = report.problems.iter();
    let rows = problems.map(|each| vec![each.what.to_owned(), each.problem.clone(), each.remedy.clone()]);
    out.table(&["what", "problem", "what to do"], &rows.collect::<Vec<_>>())?;
    Ok(done)
}
