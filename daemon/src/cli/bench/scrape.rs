//! Text that targets answer with, end to end: a daemon of its own asks this process for it every second, and judges what it reads.
//!
//! What is measured is the daemon's processor time, user and system, for each line: the median of times of two seconds. What it learns,
//! and writes down of its memory, every so often is measured by others.

use super::daemon::{AMPLE, Daemon, config};
use super::program::{broken, until};
use super::{Measured, NS, Work, fastest, processor_seconds, times};
use crate::cli::Failed;
use homeostat_sim::chance::Chance;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub const LONG: &[Work] = &[Work {
    name: "one line of a target's text, scraped and judged by bounds, 100,000 series",
    unit: "ns",
    goal: 300.0,
    reference: "lines split into owned texts, a map by name, two bounds",
    measure: scraped,
}];

const TARGETS: usize = 10;
const LINES: usize = 10_000;

/// As few samples as bounds are learned from: the daemon scrapes once a second.
const LEAST: usize = 10;

/// Texts that are told by turns.
const TEXTS: usize = 4;

/// Times that are measured, and how often each target is asked in one of them.
const TIMES: usize = 25;
const ASKED: u64 = 2;

fn scraped() -> Result<Option<Measured>, Failed> {
    let texts: Arc<Vec<String>> = Arc::new((0..TEXTS).map(text).collect());
    let asked = Arc::new(AtomicU64::new(0));
    // One port each: targets are told apart by where they are.
    let mut targets = Vec::new();
    for _ in 0..TARGETS {
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|port| Ok((port.local_addr()?, port)));
        let (address, listener) = listener.map_err(|error| broken("this machine has no free port", &error))?;
        serve(listener, Arc::clone(&texts), Arc::clone(&asked));
        targets.push(format!("'{address}'"));
    }
    let sources = format!(
        "scrape:\n- {{job: frontend, interval: 1s, samples_max: {LINES}, targets: [{}]}}\n",
        targets.join(", ")
    );
    let (series, least) = (TARGETS * LINES, format!("  min_data_points: {LEAST}\n"));
    let daemon = Daemon::start(&config(series, "adaptive", AMPLE, &format!("{least}{sources}")))?;
    daemon.learned(series)?;

    let mut each = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let (from, begun) = (asked.load(Ordering::SeqCst), daemon.processor_seconds()?);
        until("a target is asked often enough", Duration::from_secs(60), || {
            Ok(asked.load(Ordering::SeqCst) >= from + ASKED * TARGETS as u64)
        })?;
        let lines = (asked.load(Ordering::SeqCst) - from) * LINES as u64;
        each.push((daemon.processor_seconds()? - begun) / lines as f64);
    }
    each.sort_by(f64::total_cmp);
    times(NS, each[TIMES / 2], naive(&texts[0]))
}

/// What a target says: gauges with five labels, as exporters write them.
fn text(turn: usize) -> String {
    let mut chance = Chance::new(turn as u64);
    let mut text = "# HELP http_requests_in_flight Requests.\n# TYPE http_requests_in_flight gauge\n".to_owned();
    for n in 0..LINES {
        let value = 50.0 + 5.0 * chance.normal();
        let _ = writeln!(
            text,
            "http_requests_in_flight{{cluster=\"europe-west\",namespace=\"production\",pod=\"frontend-7d9f8b6c5-{n:06}\",\
             method=\"get\",zone=\"zone-{}\"}} {value:.3}",
            n % 3
        );
    }
    text
}

/// Answers whoever asks; ends with this process.
fn serve(listener: TcpListener, texts: Arc<Vec<String>>, asked: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (texts, asked) = (Arc::clone(&texts), Arc::clone(&asked));
            std::thread::spawn(move || {
                let Ok(mut to) = stream.try_clone() else { return };
                let mut lines = BufReader::new(stream).lines();
                loop {
                    // A request ends with an empty line.
                    let mut any = false;
                    for line in lines.by_ref().map_while(Result::ok) {
                        if line.is_empty() {
                            break;
                        }
                        any = true;
                    }
                    if !any {
                        return;
                    }
                    let text = &texts[asked.fetch_add(1, Ordering::SeqCst) as usize / TARGETS % TEXTS];
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
                        text.len()
                    );
                    if to.write_all(head.as_bytes()).and_then(|()| to.write_all(text.as_bytes())).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// Seconds a line of a reader that takes each apart into text and looks that up.
fn naive(text: &str) -> f64 {
    let mut known: HashMap<Vec<(String, String)>, (f64, f64)> = HashMap::new();
    let mut breaches = 0_u64;
    let spent = fastest(|| {
        let begun = processor_seconds();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Some((name, labels)) = series.trim_end_matches('}').split_once('{') else { continue };
            let pair = |label: &str| label.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut pairs: Vec<(String, String)> = labels.split(',').filter_map(pair).collect();
            pairs.push(("__name__".to_owned(), name.to_owned()));
            pairs.sort();
            let (lower, upper) = known.entry(pairs).or_insert((40.0, 60.0));
            let value: f64 = value.parse().unwrap_or(f64::NAN);
            breaches += u64::from(value < *lower || value > *upper);
        }
        processor_seconds() - begun
    });
    black_box((breaches, known.len()));
    spent / LINES as f64
}
