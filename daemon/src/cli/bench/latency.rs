//! How soon an alert is told while a daemon is busy: half of what it can take comes in, and a round of learning goes on.
//!
//! A hundred series are left out of the stream and lie far outside of their bounds one after the other. From the last byte of the
//! request that makes an alert of it until the event arrives at a listener: the 99th of a hundred.

use super::daemon::AMPLE;
use super::learning::naive_learn;
use super::program::{broken, until};
use super::receive::{learned, least};
use super::sender::AT_ONCE;
use super::{MS, Measured, Work, processor_seconds, room, times};
use crate::cli::Failed;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub const LONG: &[Work] = &[
    Work {
        name: "from receipt to an alert's event at half load while all is learned anew, 1,000 series, 99th of 100",
        unit: "ms",
        goal: 250.0,
        reference: IN_ONE_GO,
        measure: || alerted(1_000),
    },
    Work {
        name: "from receipt to an alert's event at half load while all is learned anew, 100,000 series, 99th of 100",
        unit: "ms",
        goal: 250.0,
        reference: IN_ONE_GO,
        measure: || alerted(100_000),
    },
];

const IN_ONE_GO: &str = "one thread that learns all series in one go, and judges then";

/// From one sample of a series to the next: with few of them much time passes in a short while.
const STEP_MS: i64 = 1_000;

/// Series that alert.
const ALERTS: usize = 100;

/// How long as much is sent as is taken, to know how much that is.
const FLAT_OUT: Duration = Duration::from_secs(5);

/// Between two of those that alert.
const APART: Duration = Duration::from_millis(200);

/// So many samples in a row lie outside.
const OUTSIDE: usize = 12;

/// When each sample that may alert was sent, by series and time, and how long after that the event came, by series.
#[derive(Default)]
struct Seen {
    sent: HashMap<(String, i64), Instant>,
    took: HashMap<String, Duration>,
}

fn alerted(series: usize) -> Result<Option<Measured>, Failed> {
    let all = series + ALERTS;
    if !room(&format!("{all} series in a daemon"), all as f64 * 5e3)? {
        return Ok(None);
    }
    // Every ten seconds all are due; the round goes on while they are learned, as many a cycle as by default.
    let more = "  optimization_interval: 10s\n";
    let (daemon, mut sender, mut at) = learned(all, "adaptive", AMPLE, 40_000_000 / all, STEP_MS, more)?;
    let mut probe = super::sender::Sender::new(&daemon.address, all)?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    listen(&daemon.address, Arc::clone(&seen))?;

    let (mut from, mut sent) = (0, 0_usize);
    let mut next = |at: &mut i64| {
        let some = from..(from + AT_ONCE).min(series);
        let count = some.len();
        from = some.end % series;
        let when = *at;
        if from == 0 {
            *at += STEP_MS;
        }
        (some, when, count)
    };
    let begun = Instant::now();
    while begun.elapsed() < FLAT_OUT {
        let (some, when, count) = next(&mut at);
        sender.some(some, when)?;
        sent += count;
    }
    let half = sent as f64 / begun.elapsed().as_secs_f64() / 2.0;

    let before = daemon.learned_in_cycles()?;
    let begun = Instant::now();
    let (mut sent, mut probed) = (0_usize, 0_usize);
    while probed < ALERTS {
        let (some, when, count) = next(&mut at);
        sender.some(some, when)?;
        sent += count;
        let due = Duration::from_secs_f64(sent as f64 / half);
        if begun.elapsed() > APART * probed as u32 {
            outside(&mut probe, series + probed, at, &seen)?;
            probed += 1;
        }
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    let known = || seen.lock().unwrap_or_else(PoisonError::into_inner).took.len();
    let all_told = until("all alerts were told", Duration::from_secs(30), || Ok(known() >= ALERTS));
    if all_told.is_err() {
        let (told, began) = (known(), daemon.metric("homeostat_alerts_total")?);
        return Err(Failed::World(format!("of {ALERTS} series {told} alerts were told, and {began} began")));
    }
    // A round of many series is longer than this takes, on a slow machine by far.
    let learned = daemon.learned_in_cycles()?.saturating_sub(before);
    if learned < all as u64 / 4 {
        return Err(Failed::World(format!("only {learned} of {all} series were learned anew while alerts were told")));
    }
    let mut took: Vec<f64> =
        seen.lock().unwrap_or_else(PoisonError::into_inner).took.values().map(Duration::as_secs_f64).collect();
    took.sort_by(f64::total_cmp);
    times(MS, took[ALERTS * 99 / 100 - 1], naive(series))
}

/// Some samples of one series that lie far outside, each in a request of its own.
fn outside(probe: &mut super::sender::Sender, series: usize, at: i64, seen: &Mutex<Seen>) -> Result<(), Failed> {
    for n in 0..OUTSIDE as i64 {
        let when = at + n * STEP_MS;
        let key = (super::sender::name(series), when);
        seen.lock().unwrap_or_else(PoisonError::into_inner).sent.insert(key, Instant::now());
        probe.one(series, when, 1e6)?;
    }
    Ok(())
}

/// Takes down when an alert is told of.
fn listen(address: &str, seen: Arc<Mutex<Seen>>) -> Result<(), Failed> {
    let asked = ureq::get(format!("http://{address}/api/v1/events?kind=alerted")).header("Accept", "text/event-stream");
    let answer = asked.call().map_err(|error| broken("what is measured tells no events", &error))?;
    let lines = BufReader::new(answer.into_body().into_reader()).lines();
    // It ends with the connection, which ends with the daemon.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let now = Instant::now();
            let Some(said) = line.strip_prefix("data:").and_then(|data| told(data.trim())) else { continue };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sent) = seen.sent.get(&said).copied() {
                seen.took.entry(said.0).or_insert(now - sent);
            }
        }
    });
    Ok(())
}

/// The series and the time of the sample of which an alert began.
fn told(data: &str) -> Option<(String, i64)> {
    let stored: serde_json::Value = serde_json::from_str(data).ok()?;
    let event = stored.get("event").unwrap_or(&stored);
    if event.get("phase")?.as_str()? != "onset" {
        return None;
    }
    let at = homeostat::time::Timestamp::parse(event.get("at")?.as_str()?).ok()?;
    Some((event.get("series")?.as_str()?.to_owned(), at.millis()))
}

/// Seconds that a sample waits while a round of all series goes on, the 99th of a hundred that come at any time of it.
fn naive(series: usize) -> f64 {
    let window: Vec<f64> = super::samples::values(least(series) + 10);
    let begun = processor_seconds();
    const ROUND: usize = 2_000;
    (0..ROUND).for_each(|_| _ = std::hint::black_box(naive_learn(std::hint::black_box(&window))));
    0.99 * (processor_seconds() - begun) / ROUND as f64 * series as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_known_by_its_series_and_the_sample_that_began_it() {
        let data = |phase| {
            format!(
                r#"{{"seq":7,"at":"2026-11-26T05:00:01.000Z","v":1,"event":{{"kind":"alerted","series":"a{{b=\"c\"}}","at":"2026-11-26T05:00:00.500Z","phase":"{phase}"}}}}"#
            )
        };
        assert_eq!(told(&data("onset")), Some(("a{b=\"c\"}".to_owned(), 1_795_669_200_500)));
        assert_eq!(told(&data("end")), None);
        assert_eq!(told("{}"), None);
    }
}
