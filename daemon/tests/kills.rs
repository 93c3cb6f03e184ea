//! Kills while samples are sent: what was acknowledged is there afterwards, to the last sample.
//!
//! Three kills within seconds as it stands. `HOMEOSTAT_KILLS` says how many, `HOMEOSTAT_LIFE` how many seconds lie between two of
//! them in the middle: three and twenty in `./dev check`, forty and thirty in `./dev soak`.

mod common;

use common::messages::{WriteRequest, one, series};
use common::prometheus::escaped;
use common::sent::Connection;
use common::{Daemon, folder, now, write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What a window holds at most.
const WINDOW: i64 = 10_000;

/// Who sends at once, each as fast as it is answered. Between them they keep two cores busy.
const SENDERS: usize = 2;
/// Series of each sender; each of its requests has one sample of each.
const SERIES: usize = 400;
/// Milliseconds between two samples of a series, by their own times.
const STEP: i64 = 10;

/// The next number of a seed (splitmix64), from 0 to 1.
fn draw(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn asked(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// What a sender sends: one sample of each of its series, which [`turned`] sets.
fn request(sender: usize) -> WriteRequest {
    let sender = sender.to_string();
    let each = |n: usize| {
        let n = n.to_string();
        series(&[("__name__", "sent"), ("n", n.as_str()), ("sender", sender.as_str())], &[(0, 0.0)])
    };
    one((0..SERIES).map(each).collect())
}

/// The request of a moment.
fn turned(request: &mut WriteRequest, begin: i64, turn: i64) -> &WriteRequest {
    for (n, series) in request.timeseries.iter_mut().enumerate() {
        let sample = &mut series.samples[0];
        (sample.timestamp, sample.value) = (begin + turn * STEP, (turn * 7919 % 101) as f64 + n as f64);
    }
    request
}

/// Of each series of a sender how many samples were taken of it, and how many of them it holds.
fn taken(daemon: &Daemon, sender: usize) -> Vec<(i64, i64)> {
    let rows = daemon.pages("/api/v1/series", 1000);
    let last = format!("sender=\"{sender}\"}}");
    let names = rows.iter().filter_map(|row| row["series"].as_str()).filter(|name| name.ends_with(&last));
    let number = |value: &serde_json::Value| value.as_i64().expect("a number");
    let counts = |name: &str| {
        let told = daemon.data(&format!("/api/v1/explain?series={}", escaped(name)));
        (number(&told["fates"]["admitted"]), number(&told["window"]["samples"]))
    };
    names.map(counts).collect()
}

#[test]
fn every_acknowledged_sample_is_there_after_kills_at_any_moment() {
    let (kills, life) = (asked("HOMEOSTAT_KILLS", 3), asked("HOMEOSTAT_LIFE", 1) as f64);
    let mut seed = 33;
    let dir = folder();
    // Snapshots come between the kills: some fall into one.
    let config = "host: {enabled: false}\nstore: {snapshot_interval: 1s}\n";
    write(&dir, "homeostat.yaml", config);
    // Far enough back that no sender ever runs ahead of the clock.
    let begin = (now() as i64 - 80_000) * 1000;
    let acknowledged: [AtomicI64; SENDERS] = Default::default();
    for kill in 0..=kills {
        let mut daemon = Daemon::go_on(dir.path());
        for (sender, acknowledged) in acknowledged.iter().enumerate() {
            let place = format!("seed 33, after {kill} kills, sender {sender}");
            let sent = acknowledged.load(Ordering::SeqCst);
            let series = taken(&daemon, sender);
            assert_eq!(series.len(), if kill == 0 { 0 } else { SERIES }, "{place}");
            for (taken, held) in series {
                // What was on its way when the kill came may have been taken, or not.
                assert!((sent..=sent + 1).contains(&taken), "{place}: {taken} samples taken, {sent} acknowledged");
                assert_eq!(held, taken.min(WINDOW), "{place}");
            }
        }
        if kill == kills {
            break;
        }
        let life = Duration::from_secs_f64(life * (0.5 + draw(&mut seed)));
        std::thread::scope(|scope| {
            let (alive, all) = channel::<()>();
            for (sender, acknowledged) in acknowledged.iter().enumerate() {
                let (daemon, alive) = (&daemon, alive.clone());
                scope.spawn(move || {
                    let _alive = alive;
                    let (mut connection, mut request) = (Connection::to(daemon), request(sender));
                    let mut turn = acknowledged.load(Ordering::SeqCst);
                    // The one that the kill came between is sent again, which is no news. An error is the kill.
                    while let Ok(status) = connection.write_one(turned(&mut request, begin, turn)) {
                        assert_eq!(status, 204, "request {turn} of sender {sender}");
                        turn += 1;
                        acknowledged.store(turn, Ordering::SeqCst);
                    }
                });
            }
            drop(alive);
            assert_eq!(all.recv_timeout(life), Err(RecvTimeoutError::Timeout), "all senders gave up");
            daemon.signal("-KILL");
        });
        daemon.ended();
        println!("kill {}: {acknowledged:?} requests of {SERIES} samples acknowledged so far", kill + 1);
    }
    let requests: i64 = acknowledged.iter().map(|sent| sent.load(Ordering::SeqCst)).sum();
    println!("{kills} kills, {requests} requests of {SERIES} samples by {SENDERS} senders: all there");
}
