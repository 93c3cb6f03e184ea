//! `homeostat run`: memory brought back, the port taken, then the loop started; and an orderly end.
//!
//! The order matters. What can fail for a reason that a person has to remove (configuration, folder, port, files) comes
//! before the first sample is read, so that a start either works or leaves nothing behind.

use super::output::Out;
use super::{Done, Failed, config};
use crate::access::Gate;
use crate::config::{Config, Flags, Listen, Loaded};
use crate::driver::{self, Handle, Reloaded, Start};
use crate::http::Reread;
use crate::recall::{self, Memory};
use crate::source;
use crate::source::feed::FileFeed;
use crate::source::host::Host;
use crate::telemetry::Tallies;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Exit code after a second signal: as shells tell an interrupt.
const STOPPED_AT_ONCE: i32 = 130;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = "\
Examples:
  homeostat run
  homeostat run --config homeostat.yaml
  homeostat run --listen 127.0.0.1:9900 --data /var/lib/homeostat

Without a configuration it watches this host. SIGHUP reads the configuration again; SIGINT and SIGTERM stop it in order,
and a second one at once.")]
pub struct RunArgs {
    /// Configuration file; without one, no file is read
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to answer [default: 127.0.0.1:9797]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Folder of the journal and snapshots [default: $XDG_STATE_HOME/homeostat, else ~/.local/state/homeostat]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Who may do what, and the certificate to answer with; see docs/access.md
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// Answer on an address that others can reach, although TLS or passwords are missing
    #[arg(long)]
    insecure: bool,
}

impl RunArgs {
    fn flags(&self) -> Flags {
        Flags {
            listen: self.listen.clone(),
            data: self.data.clone(),
            insecure: self.insecure,
            access: self.access.clone(),
            ..Flags::default()
        }
    }

    fn load_to_start(&self) -> Result<Loaded, Failed> {
        config::load_to_start(self.config.as_deref(), &self.flags())
    }

    fn reload(&self) -> Result<Loaded, Failed> {
        config::load(self.config.as_deref(), &self.flags())
    }
}

pub fn run(args: &RunArgs, out: &Out) -> Result<Done, Failed> {
    let Loaded { config, ignored, calendar_problems, .. } = args.load_to_start()?;
    crate::log::init(&config.daemon.log, out.color);
    if !ignored.is_empty() {
        tracing::info!("ignored environment variables, which are none of ours: {}", ignored.join(", "));
    }
    let Some(data) = config.daemon.data.clone() else {
        return Err(Failed::Use("there is no home to keep data in; name a folder with --data DIR".to_owned()));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::World(format!("cannot start: {error}")))?;
    runtime.block_on(serve(args.clone(), config, calendar_problems, &data, out))?;
    Ok(Done::Quietly)
}

async fn serve(
    args: RunArgs,
    config: Config,
    calendar_problems: Vec<(usize, String)>,
    data: &Path,
    out: &Out,
) -> Result<(), Failed> {
    let world = |error: &dyn std::fmt::Display| Failed::World(error.to_string());
    // Signals first: one that comes while memory is brought back waits for its turn instead of killing.
    let mut signals = Signals::new().map_err(|error| world(&error))?;
    let gate = Arc::new(Gate::open(&config.daemon.http).map_err(Failed::Use)?);
    let (store, memory) = recall::remember(&config, data, driver::now()).map_err(Failed::World)?;
    let Memory { engine, samples, untold, places, mut reached, begun } = memory;
    let listener = bind(&config.daemon.http.listen).await?;
    let address = listener.local_addr().map_err(|error| world(&error))?;
    let files = config.daemon.files.iter().enumerate().map(|(at, source)| {
        FileFeed::open(source, &places).map_err(|error| Failed::Use(format!("files[{at}].path: {error}")))
    });
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let host = Host::new(&config.daemon.host);
    let promql = source::promql::prepare(&config, data, &mut reached).map_err(Failed::Use)?;
    let scrape = source::scrape::prepare(&config.daemon.scrape, driver::now()).map_err(Failed::Use)?;
    let start =
        Start { settings: config, engine, store, samples, untold, host, files, reached, calendar_problems, begun };
    let served = start.settings.clone();
    let (handle, thread) = driver::spawn(start).map_err(|error| world(&error))?;
    let webhooks = crate::webhook::spawn(&served.daemon.webhooks, &handle).map_err(|error| world(&error))?;
    let mut sources = source::promql::spawn(promql, &handle).map_err(|error| world(&error))?;
    sources.extend(source::scrape::spawn(scrape, &handle).map_err(|error| world(&error))?);
    let scheme = if gate.policy().tls.is_some() { "https" } else { "http" };
    let home = served.daemon.http.external_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    let receivers = crate::page::spawn(&served, &home, &handle);
    let office = crate::alertmanager::open(&served, &handle);
    let desk = Arc::new(crate::receive::desk::Desk::open(&served.daemon.receive, served.engine.limits.series_max));
    let receive = Arc::clone(&desk.tally);
    let remote_write = crate::remote_write::spawn(&served.daemon.remote_write, &handle).map_err(Failed::Use)?;
    let tallies = Tallies {
        webhooks,
        receivers,
        verdicts: Arc::clone(&office.tally),
        sources,
        remote_write,
        receive,
        door: Arc::clone(&gate.tally),
    };

    let reread: Reread = {
        let gate = Arc::clone(&gate);
        Arc::new(move || {
            let config = args.reload().map(|loaded| loaded.config).map_err(|failed| failed.to_string())?;
            // Also where the configuration names another one, which takes effect at the next start.
            gate.look()?;
            Ok(config)
        })
    };
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(Arc::clone(&gate).watch(stopping.clone()));
    let mut server = {
        let (handle, reread) = (handle.clone(), Arc::clone(&reread));
        let beside = crate::http::Beside { tallies, office, desk, gate: Arc::clone(&gate) };
        tokio::spawn(async move { crate::http::serve(listener, handle, &served, reread, beside, stopping).await })
    };
    match out.text(&format!("homeostat watches; its page: {scheme}://{address}/")) {
        // Whoever started it does not read what it says; it runs all the same.
        Ok(()) | Err(Failed::ReaderGone) => {}
        Err(failed) => return Err(failed),
    }

    while let Sent::Reload = signals.next().await {
        let read = read_again(&handle, &reread).await;
        crate::http::audit_signal(&handle, &gate.tally, read.is_ok()).await;
        match read {
            Ok(done) => crate::log::reloaded(&done),
            Err(problem) => tracing::error!("the configuration stays as it was: {problem}"),
        }
    }
    tracing::info!("stopping; once more to stop at once");
    // Streams and requests end first, while the loop can still answer; then it stores what there is.
    let _ = stop.send(true);
    let orderly = async {
        let _ = (&mut server).await;
        handle.stop();
        tokio::task::spawn_blocking(move || thread.join()).await
    };
    tokio::select! {
        ended = orderly => match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Failed::World("the loop ended by a mistake of its own, told above".to_owned())),
        },
        () = signals.stop() => {
            tracing::warn!("stopped at once: the journal is complete, the snapshot is the one before");
            std::process::exit(STOPPED_AT_ONCE)
        }
    }
}

async fn bind(listen: &Listen) -> Result<TcpListener, Failed> {
    TcpListener::bind((listen.host.as_str(), listen.port)).await.map_err(|error| {
        Failed::World(match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{listen} is in use by another program; stop that one, or choose another port with --listen (port 0 \
                 takes any free one)"
            ),
            std::io::ErrorKind::PermissionDenied => {
                format!("{listen} may not be used: ports under 1024 need a right; choose another port with --listen")
            }
            _ => format!("cannot answer on {listen}: {error}; choose another address with --listen"),
        })
    })
}

/// Reads the configuration again and hands it to the loop; all or nothing.
async fn read_again(handle: &Handle, reread: &Reread) -> Result<Reloaded, String> {
    let config = reread()?;
    handle.reload(config).await.map_err(|refused| refused.to_string())
}

enum Sent {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        // A write over a limit of file size (ulimit -f) shall fail and be told like a full disk, not kill: the registration
        // outlives the value.
        let _ = signal(SignalKind::from_raw(signal_hook::consts::SIGXFSZ))?;
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Sent {
        tokio::select! {
            _ = self.hangup.recv() => Sent::Reload,
            _ = self.interrupt.recv() => Sent::Stop,
            _ = self.terminate.recv() => Sent::Stop,
        }
    }

    async fn stop(&mut self) {
        while let Sent::Reload = self.next().await {}
    }
}
