//! Kills while samples are sent: what was acknowledged is there afterwards, to the last sample.
//!
//! Three kills as it stands; `HOMEOSTAT_KILLS=40` for a long evening (`./dev soak`).

mod common;

use common::sent::{held, moment};
use common::{Daemon, folder, now, wait_until, write};
use std::sync::atomic::{AtomicI64, Ordering};

/// What a window holds at most.
const WINDOW: i64 = 10_000;

/// Series of the sender; each of its requests has one sample of each.
const SERIES: usize = 400;

/// The next number of a seed (splitmix64).
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[test]
fn every_acknowledged_sample_is_there_after_kills_at_any_moment() {
    let kills: u64 = std::env::var("HOMEOSTAT_KILLS").map_or(3, |text| text.parse().expect("a number of kills"));
    let mut seed = 33;
    let dir = folder();
    // Snapshots come between the kills: some fall into one.
    let config = "host: {enabled: false}\nstore: {snapshot_interval: 1s}\n";
    write(&dir, "homeostat.yaml", config);
    // Far enough back that the sender never runs ahead of the clock, near enough that all stays in the windows.
    let begin = now() as i64 - 80_000;
    let acknowledged = AtomicI64::new(0);
    for kill in 1..=kills {
        let place = format!("seed 33, kill {kill}");
        let mut daemon = Daemon::go_on(dir.path());
        let before = acknowledged.load(Ordering::SeqCst);
        // What was on its way when the kill came may have been taken, or not; that which is sent again is no news.
        for samples in held(&daemon) {
            let wanted = before.min(WINDOW)..=(before + 1).min(WINDOW);
            assert!(wanted.contains(&samples), "{place}: {samples} samples of {before} acknowledged");
        }
        let until = before + 20 + (draw(&mut seed) % 800) as i64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut turn = before;
                while daemon.try_write_one(&moment(SERIES, begin, turn)).is_ok_and(|status| status == 204) {
                    turn += 1;
                    acknowledged.store(turn, Ordering::SeqCst);
                }
            });
            wait_until("requests that were taken", || (acknowledged.load(Ordering::SeqCst) >= until).then_some(()));
            daemon.signal("-KILL");
        });
        daemon.ended();
    }
    let daemon = Daemon::go_on(dir.path());
    let turns = acknowledged.load(Ordering::SeqCst);
    assert_eq!(daemon.write_one(&moment(SERIES, begin, turns)).status, 204);
    let held = held(&daemon);
    assert_eq!(held.len(), SERIES);
    assert!(
        held.iter().all(|samples| *samples == (turns + 1).min(WINDOW)),
        "seed 33: {turns} and one were sent, held are {held:?}"
    );
    println!("{kills} kills, {turns} requests of {SERIES} samples: all there");
}
