//! `homeostat run`: the daemon, from its configuration to its last snapshot.
//!
//! The port is taken before anything is read, so that a second daemon fails at once; the page answers as soon as what was
//! stored is loaded and this host has been read once.

use super::output::Out;
use super::{Done, Failed};
use crate::config::{Config, Flags, Loaded};
use crate::driver::{self, Handle, Start};
use crate::http::{self, Reread};
use crate::source::feed::FileFeed;
use crate::source::host::Host;
use crate::store::Store;
use homeostat::analyze::strategy::Methods;
use homeostat::engine::Engine;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Nothing that can be observed depends on it; a few keep each part of a snapshot small.
const SHARDS: usize = 8;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = "\
Examples:
  homeostat run                                   watch this host, page at http://127.0.0.1:9797
  homeostat run --config homeostat.yaml           the same with settings; the example file explains every key
  homeostat run --listen 127.0.0.1:0 --data /tmp/try

SIGHUP, or POST /-/reload, reads the configuration again. SIGINT and SIGTERM stop it after a last snapshot.")]
pub struct RunArgs {
    /// Configuration file; without it no file is read
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to answer on [default: 127.0.0.1:9797]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Folder of the journal and the snapshots [default: $XDG_STATE_HOME/homeostat]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Answer on an address that others can reach, although anyone who reaches it may change everything
    #[arg(long)]
    insecure: bool,
}

impl RunArgs {
    fn load(&self) -> Result<Loaded, crate::config::ConfigError> {
        let flags = Flags { listen: self.listen.clone(), data: self.data.clone(), insecure: self.insecure };
        Config::load(self.config.as_deref(), crate::config::environment(), &flags, &Methods::built_in().names())
    }
}

pub fn run(args: &RunArgs, _: &Out) -> Result<Done, Failed> {
    let loaded = args.load().map_err(|error| Failed::Use(error.to_string()))?;
    crate::log::init(&loaded.config.daemon.log);
    if !loaded.ignored.is_empty() {
        tracing::info!("these variables are none of ours and were ignored: {}", loaded.ignored.join(", "));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::World(format!("cannot start: {error}")))?;
    runtime.block_on(daemon(args.clone(), loaded.config))
}

async fn daemon(args: RunArgs, config: Config) -> Result<Done, Failed> {
    let listen = config.daemon.http.listen.to_string();
    let listener = TcpListener::bind(&listen).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failed::World(format!(
            "{listen} is in use, perhaps by another homeostat; stop it, or choose another address with --listen"
        )),
        _ => Failed::World(format!("cannot listen on {listen}: {error}; choose another address with --listen")),
    })?;
    let address = listener.local_addr().map_err(|error| Failed::World(format!("cannot listen on {listen}: {error}")))?;
    let (handle, driver) = start(config.clone())?;

    let reread: Reread = Arc::new(move || args.load().map(|loaded| loaded.config));
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let signals = tokio::spawn(signals(handle.clone(), Arc::clone(&reread), stop));
    announce(&config, address);
    let served = http::serve(listener, handle.clone(), &config, reread, stopping).await;
    signals.abort();
    handle.stop();
    // The driver ends by itself once told; it stores what there is.
    let ended = tokio::task::spawn_blocking(move || driver.join()).await;
    served.map_err(|error| Failed::World(format!("serving ended: {error}")))?;
    match ended {
        Ok(Ok(())) => Ok(Done::Quietly),
        _ => Err(Failed::World("the driver ended by a mistake of ours; the journal is whole up to there".to_owned())),
    }
}

/// Opens everything and goes on where the last run stopped.
fn start(config: Config) -> Result<(Handle, std::thread::JoinHandle<()>), Failed> {
    let world = |error: &dyn std::fmt::Display| Failed::World(error.to_string());
    let data = config.daemon.data.clone().ok_or_else(|| {
        Failed::Use("there is no home folder to keep data in; say where with --data DIR".to_owned())
    })?;
    let store = Store::open(&data).map_err(|error| world(&error))?;
    let engine = restore(&config, &store)?;
    let files = config.daemon.files.iter().map(FileFeed::open).collect::<Result<Vec<_>, _>>().map_err(|error| world(&error))?;
    let host = config.daemon.host.enabled.then(|| Host::new(config.daemon.host.clone()));
    driver::spawn(Start { settings: config, engine, store, host, files })
        .map_err(|error| Failed::World(format!("cannot start a thread: {error}")))
}

fn restore(config: &Config, store: &Store) -> Result<Engine, Failed> {
    let world = |error: &dyn std::fmt::Display| Failed::World(format!("{}: {error}", store.path().display()));
    let now = driver::now();
    let snapshot = store.read_snapshot().map_err(|error| world(&error))?;
    let methods = Methods::built_in();
    let mut engine = match &snapshot {
        Some(snapshot) => Engine::restore(config.engine.clone(), methods, SHARDS, &snapshot.parts, now)
            .map_err(|error| world(&error))?,
        None => Engine::with_methods(config.engine.clone(), methods, SHARDS, now),
    };
    let replayed = store.replay(|stored| engine.replay(&stored.event, stored.at)).map_err(|error| world(&error))?;
    if snapshot.is_some() || replayed > 0 {
        let series = engine.knowledge().series_count();
        tracing::info!(series, events = replayed, "went on from {}", store.path().display());
    }
    Ok(engine)
}

fn announce(config: &Config, address: SocketAddr) {
    let page = config.daemon.http.external_url.clone().unwrap_or_else(|| format!("http://{address}"));
    // The one line that everybody needs, whatever the log's level and form.
    println!("homeostat is at {page}");
}

/// Ends the daemon on the first signal to stop, the process on the second.
async fn signals(handle: Handle, reread: Reread, stop: tokio::sync::watch::Sender<bool>) {
    let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = streams else {
        tracing::error!("signals cannot be caught: stop the daemon by killing it");
        return;
    };
    let mut asked = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {
                let told = match reread() {
                    Ok(config) => handle.reload(config).await.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                match told {
                    Ok(()) => tracing::info!("the configuration was read again"),
                    Err(error) => tracing::error!("the configuration stays as it was: {error}"),
                }
                continue;
            }
        }
        if asked {
            std::process::exit(130);
        }
        asked = true;
        tracing::info!("stopping; once more stops at once");
        // The server may have ended already.
        let _ = stop.send(true);
    }
}
