//! Verdicts that are durable when they are acknowledged: how many share one synchronisation with the disk.
//!
//! The disk decides how long one takes, so the figure is a ratio: verdicts that a daemon of its own acknowledged in the time of one
//! synchronisation of a small file beside its data, while so many clients say one after the other.

use super::daemon::{AMPLE, Daemon, config};
use super::program::{Folder, broken};
use super::sender::{Sender, name};
use super::{Measured, Work};
use crate::cli::Failed;
use std::io::Write;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Clients that wait for an answer at the same time: the most that one synchronisation can be for.
const CLIENTS: usize = 64;
const EACH: usize = 20;
const SERIES: usize = 100;

/// Synchronisations of which the middle one counts.
const SYNCS: usize = 101;

pub const WORKS: &[Work] = &[Work {
    name: "verdicts acknowledged for each synchronisation with the disk, 64 clients",
    unit: "verdicts/sync",
    goal: CLIENTS as f64 / 2.0,
    reference: "each written and synchronised by itself",
    measure: verdicts,
}];

fn verdicts() -> Result<Option<Measured>, Failed> {
    let daemon = Daemon::start(&config(SERIES, "adaptive", AMPLE, ""))?;
    let mut sender = Sender::new(&daemon.address, SERIES)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    sender.round(now)?;
    let begun = Instant::now();
    let said: Vec<Result<(), Failed>> = std::thread::scope(|scope| {
        let address = &daemon.address;
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || say(address, client))).collect();
        let ended = || Failed::World("a client ended before it had an answer".to_owned());
        clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(ended()))).collect()
    });
    let each = begun.elapsed().as_secs_f64() / (CLIENTS * EACH) as f64;
    said.into_iter().collect::<Result<(), Failed>>()?;
    let (one, sync) = syncs(&daemon.folder)?;
    Ok(Some(Measured { ours: sync / each, reference: sync / one, keep: None }))
}

/// Says verdicts one after the other, each when the one before was acknowledged.
fn say(address: &str, client: usize) -> Result<(), Failed> {
    // One connection each, that stays.
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    for n in 0..EACH {
        let verdict = if n % 2 == 0 { "true" } else { "false" };
        let body = serde_json::json!({ "series": name((client * EACH + n) % SERIES), "verdict": verdict });
        let answer = agent.post(format!("http://{address}/api/v1/feedback")).send_json(body);
        answer
            .map_err(|error| broken("a verdict was not taken", &error))?
            .body_mut()
            .read_to_string()
            .map_err(|error| broken("a verdict was not acknowledged", &error))?;
    }
    Ok(())
}

/// Seconds to write a little and synchronise it, and of that the synchronisation alone.
fn syncs(folder: &Folder) -> Result<(f64, f64), Failed> {
    let path = folder.path().join("syncs");
    let failed = |error: std::io::Error| broken("a file cannot be synchronised", &error);
    let mut file = std::fs::File::create(path).map_err(failed)?;
    let (mut whole, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; 4096]).map_err(failed)?;
        let written = begun.elapsed();
        file.sync_data().map_err(failed)?;
        whole.push(begun.elapsed().as_secs_f64());
        alone.push((begun.elapsed() - written).as_secs_f64());
    }
    let middle = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[SYNCS / 2]
    };
    Ok((middle(whole), middle(alone)))
}
