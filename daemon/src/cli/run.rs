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
use crate::source;
use crate::source::feed::{FileFeed, Place};
use crate::source::host::Host;
use crate::store::{self, Snapshot, Store, StoreError};
use crate::telemetry::Tallies;
use homeostat::analyze::strategy::Methods;
use homeostat::engine::Engine;
use homeostat::knowledge::snapshot::{GENERAL, SnapshotError};
use homeostat::time::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Nothing that can be seen depends on the number of shards; it bounds what one part of a snapshot holds.
const SHARDS: usize = 8;

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
    let (store, Memory { engine, places, mut reached }) = remember(&config, data, driver::now())?;
    let gate = Arc::new(Gate::open(&config.daemon.http).map_err(Failed::Use)?);
    let listener = bind(&config.daemon.http.listen).await?;
    let address = listener.local_addr().map_err(|error| world(&error))?;
    let files = config.daemon.files.iter().enumerate().map(|(at, source)| {
        FileFeed::open(source, &places).map_err(|error| Failed::Use(format!("files[{at}].path: {error}")))
    });
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let host = Host::new(&config.daemon.host);
    let promql = source::promql::prepare(&config, data, &mut reached).map_err(Failed::Use)?;
    let scrape = source::scrape::prepare(&config.daemon.scrape, driver::now()).map_err(Failed::Use)?;
    let start = Start { settings: config, engine, store, host, files, reached, calendar_problems };
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

/// What an earlier life left.
struct Memory {
    engine: Engine,
    /// How far files were read.
    places: Vec<Place>,
    /// How far queries were asked, by what each is known by.
    reached: BTreeMap<String, Timestamp>,
}

/// The store, and memory as it knows it. A file that the disk has damaged is set aside, and what can be read of it taken over.
fn remember(config: &Config, data: &Path, now: Timestamp) -> Result<(Store, Memory), Failed> {
    let recall = || -> Result<(Store, Memory), StoreError> {
        let store = Store::open(data)?;
        let memory = bring_back(config, &store, now)?;
        Ok((store, memory))
    };
    let recalled = match recall() {
        Err(StoreError::Damaged { path, reason }) => {
            let salvaged = store::salvage(data).map_err(|error| Failed::World(error.to_string()))?;
            tracing::error!(
                "{} is damaged ({reason}); it was set aside as {}. Taken over: {} events. {}. Nothing has to be done; to have \
                 all back, stop homeostat and bring back a copy. Check the disk",
                path.display(),
                salvaged.aside.display(),
                salvaged.events,
                salvaged.lost()
            );
            recall()
        }
        recalled => recalled,
    };
    recalled.map_err(|error| Failed::World(error.to_string()))
}

/// Memory as the store knows it: the last snapshot, and every event after it.
fn bring_back(config: &Config, store: &Store, now: Timestamp) -> Result<Memory, StoreError> {
    let mut memory = match store.read_snapshot()? {
        None => Memory { engine: fresh(config, SHARDS, now), places: Vec::new(), reached: BTreeMap::new() },
        Some(snapshot) => from_snapshot(config, store, snapshot, now)?,
    };
    let replayed = store.replay(|stored| memory.engine.replay(&stored.event, stored.at))?;
    if replayed > 0 {
        tracing::info!(events = replayed, "memory brought back from the journal");
    }
    Ok(memory)
}

fn fresh(config: &Config, shards: usize, now: Timestamp) -> Engine {
    Engine::with_methods(config.engine.clone(), Methods::built_in(), shards, now)
}

/// Memory as a snapshot knows it. A part that cannot be used is set aside, and what the journal knows stands in for it.
fn from_snapshot(config: &Config, store: &Store, snapshot: Snapshot, now: Timestamp) -> Result<Memory, StoreError> {
    let Snapshot { mut parts, damaged } = snapshot;
    let names = parts.iter().chain(&damaged).map(|(name, _)| name);
    let shards = names.filter(|name| name.starts_with("shard/")).count().max(1);
    let mut lost = damaged;
    let mut stand_in: Option<Vec<(String, Vec<u8>)>> = None;
    let mut replaced = 0;
    let engine = loop {
        for (part, body) in &lost[replaced..] {
            let spare = match &stand_in {
                Some(spare) => spare,
                None => {
                    // With the snapshot's own shards, so that a part of one is the same series as of the other.
                    let mut engine = fresh(config, shards, now);
                    store.replay_before(|stored| engine.replay(&stored.event, stored.at))?;
                    stand_in.insert(engine.snapshot())
                }
            };
            parts.extend(spare.iter().find(|(name, _)| name == part).cloned());
            let aside = (!body.is_empty()).then(|| store.set_aside(part, body)).transpose()?;
            tell_lost(store, part, aside.as_deref());
        }
        replaced = lost.len();
        let error = match Engine::restore(config.engine.clone(), Methods::built_in(), SHARDS, &parts, now) {
            Ok(engine) => break engine,
            Err(error) => error,
        };
        let part = match &error {
            SnapshotError::Damaged { part, .. } => Some(part.clone()),
            SnapshotError::Incomplete => Some(GENERAL.to_owned()),
            SnapshotError::Newer { .. } => None,
        };
        match part.filter(|part| lost.iter().all(|(name, _)| name != part)) {
            Some(part) => {
                let body = parts.iter().position(|(name, _)| *name == part).map(|at| parts.remove(at).1);
                lost.push((part, body.unwrap_or_default()));
            }
            None => return Err(StoreError::Snapshot { path: store.path().to_owned(), source: error }),
        }
    };
    // What a lost part had of the files and of history is not in memory: they are read again.
    fn held<T: Default + serde::de::DeserializeOwned>(parts: &[(String, Vec<u8>)], part: &str) -> T {
        let bytes = parts.iter().find(|(name, _)| name == part);
        bytes.and_then(|(_, bytes)| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }
    Ok(match lost.is_empty() {
        true => Memory { engine, places: held(&parts, driver::FILES), reached: held(&parts, driver::QUERIES) },
        false => Memory { engine, places: Vec::new(), reached: BTreeMap::new() },
    })
}

fn tell_lost(store: &Store, part: &str, aside: Option<&Path>) {
    let lost = match part {
        GENERAL => "counts and histories from before the journal begins; state, loops and parameters are as it tells",
        driver::FILES => "how far files were read; they are read again from their start",
        driver::QUERIES => "how far queries were asked; their history is asked again",
        part if part.starts_with("shard/") => {
            "samples of the series in it; thresholds and sensitivities are as the journal tells, files are read and history is \
             asked again, and the rest is learned from what comes"
        }
        _ => "what the buckets of histograms held; they begin anew with what comes",
    };
    let aside = match aside {
        Some(path) => format!("is damaged; it was set aside as {}", path.display()),
        None => "is missing".to_owned(),
    };
    let store = store.path().display();
    tracing::error!(
        "part {part} of the snapshot in {store} {aside}. Lost: {lost}. Nothing has to be done; to have it back, stop \
         homeostat and bring back a copy of {store}. Check the disk"
    );
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
