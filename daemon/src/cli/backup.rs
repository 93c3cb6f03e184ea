//! `homeostat backup`: a copy of the data folder, made while the daemon runs.
//!
//! It reads the folder itself and asks no daemon. So it works on one that is stopped, busy or without room on its disk; nobody gets
//! a way to read all memory, or to have files written, through the API; and who may read the folder already needs no token.

use super::output::Out;
use super::{Done, Failed, config};
use crate::config::Flags;
use crate::store::{self, NotCopied};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat backup /backup/homeostat-$(date +%F)
  homeostat backup /mnt/usb/copy --data /var/lib/homeostat
  homeostat check /backup/homeostat-2026-11-26      whether a copy is whole
  homeostat run --data COPY                         goes on from a copy of it

Everything that was acknowledged before it began is in it: events, verdicts, audit, what receivers were told, memory, samples.
The configuration, the access file, tokens, certificates and keys are not: they do not lie in the data folder; nor is the cache
of queries, which fills again. The copy appears under its name once it is whole and on the disk.")]
pub struct BackupArgs {
    /// Folder of the copy; it must be empty, or not there
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// The data folder [default: as `homeostat run` has it]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file that names the data folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The folder that is meant: as named, else as the daemon would have it.
pub fn data_folder(named: Option<&Path>, file: Option<&Path>) -> Result<PathBuf, Failed> {
    match named {
        Some(named) => Ok(named.to_owned()),
        None => {
            config::load(file, &Flags::default())?.config.daemon.data.ok_or_else(|| {
                Failed::Use("there is no home that data would be kept in; name the data folder".to_owned())
            })
        }
    }
}

pub fn backup(args: &BackupArgs, out: &Out) -> Result<Done, Failed> {
    let data = data_folder(args.data.as_deref(), args.config.as_deref())?;
    let bar = match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(0),
        false => indicatif::ProgressBar::hidden(),
    };
    if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    // A signal, or a limit of file size, ends it in order: what was copied so far is removed.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGXFSZ] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| Failed::World(error.to_string()))?;
    }
    let copied = store::backup(&data, &args.to, crate::driver::now(), &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
        !stop.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let copied = copied.map_err(|error| match &error {
        NotCopied::NotEmpty(_) | NotCopied::NoName(_) | NotCopied::Inside(_) => Failed::Use(error.to_string()),
        _ => Failed::World(error.to_string()),
    })?;
    if out.is_json() {
        out.data(&copied)?;
    } else {
        out.pairs(&[
            ("copied to", copied.to.display().to_string()),
            ("of", format!("{}{}", data.display(), if copied.running { ", in use" } else { "" })),
            ("bytes", copied.bytes.to_string()),
            ("up to event", copied.last_event.to_string()),
            ("samples", format!("{} in {} segments, beside the snapshot", copied.samples, copied.segments)),
        ])?;
    }
    for (path, bytes) in &copied.damaged {
        eprintln!(
            "{bytes} bytes of {} are not what was written, and are not in the copy; `homeostat check` tells more",
            path.display()
        );
    }
    Ok(if copied.damaged.is_empty() { Done::Quietly } else { Done::WithFindings })
}
