//! A Prometheus beside us: the same stream by remote-write for both, and the same windows to learn from. It stores and answers
//! queries, where we store, judge and learn; what is compared is what each makes its machine do for that.

use super::cold::windows_learned;
use super::daemon::{AMPLE, Daemon, config, free_address, ready};
use super::program::{Folder, Program, broken};
use super::receive::{STEP_MS, least};
use super::samples::values;
use super::sender::Sender;
use crate::cli::Failed;
use crate::cli::output::{Out, number};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Series of the stream, and samples that are measured after every series was seen and learned.
const SERIES: usize = 10_000;
const MEASURED: usize = 10_000_000;

/// Series to be learned from a day of samples, half a minute apart.
const LEARNED: usize = 500;
const WINDOW: usize = 24 * 120;

/// How often each query is asked.
const TIMES: usize = 5;

/// What a threshold is made of, as rules would record it.
const MEAN: &str = "avg_over_time(m[24h]) + 2 * stddev_over_time(m[24h])";
const P95: &str = "quantile_over_time(0.95, m[24h])";
const STATISTICS: [&str; 11] = [
    "count_over_time(m[24h])",
    "avg_over_time(m[24h])",
    "stddev_over_time(m[24h])",
    "min_over_time(m[24h])",
    "max_over_time(m[24h])",
    "quantile_over_time(0.25, m[24h])",
    "quantile_over_time(0.5, m[24h])",
    "quantile_over_time(0.75, m[24h])",
    "quantile_over_time(0.9, m[24h])",
    "quantile_over_time(0.95, m[24h])",
    "quantile_over_time(0.99, m[24h])",
];

/// One line of the answer, both figures in its unit.
#[derive(Serialize)]
struct Row {
    work: &'static str,
    unit: &'static str,
    homeostat: f64,
    prometheus: f64,
    /// How many times less we take.
    ratio: f64,
}

#[derive(Serialize)]
struct Rows {
    rows: Vec<Row>,
}

fn row(work: &'static str, unit: &'static str, homeostat: f64, prometheus: f64) -> Row {
    Row { work, unit, homeostat, prometheus, ratio: prometheus / homeostat }
}

/// Measures both, and prints them side by side.
pub fn beside(program: &Path, out: &Out) -> Result<(), Failed> {
    let tool = program.with_file_name("promtool");
    for path in [program, &tool] {
        if !path.is_file() {
            return Err(Failed::Use(format!(
                "--beside: {} is not there; name the program `prometheus`, with `promtool` in the same folder",
                path.display()
            )));
        }
    }
    let mut rows = stream(program)?;
    rows.extend(learning(program, &tool)?);
    match out.is_json() {
        true => out.json(&Rows { rows }),
        false => {
            let short = |value: f64| number(super::rounded(value));
            let cells: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    let [ours, theirs, ratio] = [row.homeostat, row.prometheus, row.ratio].map(short);
                    vec![row.work.to_owned(), row.unit.to_owned(), ours, theirs, ratio]
                })
                .collect();
            out.table(&["work", "unit", "homeostat", "prometheus", "times less"], &cells)
        }
    }
}

/// What one of both took for the stream.
struct Took {
    seconds_a_sample: f64,
    bytes_a_series: f64,
    stored_a_sample: f64,
}

fn stream(program: &Path) -> Result<Vec<Row>, Failed> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let before = least(SERIES) + 10;
    let rounds = MEASURED / SERIES;
    let start = now - (rounds + before) as i64 * STEP_MS;
    let all = ((rounds + before) * SERIES) as f64;
    // The same bytes: series, values and times come from the same seed.
    let send = |sender: &mut Sender, rounds: std::ops::Range<usize>| {
        sender.rounds(rounds.map(|round| start + round as i64 * STEP_MS))
    };
    let ours = {
        let daemon = Daemon::start(&config(SERIES, "adaptive", AMPLE, ""))?;
        let mut sender = Sender::new(&daemon.address, SERIES)?;
        send(&mut sender, 0..before)?;
        daemon.learned(SERIES)?;
        sender.connect_again(&daemon.address)?;
        let begun = daemon.processor_seconds()?;
        send(&mut sender, before..before + rounds)?;
        Took {
            seconds_a_sample: (daemon.processor_seconds()? - begun) / MEASURED as f64,
            bytes_a_series: daemon.resident()? as f64 / SERIES as f64,
            stored_a_sample: daemon.stored() as f64 / all,
        }
    };
    let theirs = {
        let prometheus = Prometheus::start(program)?;
        let mut sender = Sender::new(&prometheus.address, SERIES)?;
        send(&mut sender, 0..before)?;
        let begun = prometheus.program.processor_seconds()?;
        send(&mut sender, before..before + rounds)?;
        Took {
            seconds_a_sample: (prometheus.program.processor_seconds()? - begun) / MEASURED as f64,
            bytes_a_series: prometheus.program.resident()? as f64 / SERIES as f64,
            stored_a_sample: prometheus.folder.bytes("data") as f64 / all,
        }
    };
    Ok(vec![
        row(
            "remote-write, 10,000 series: processor time of a sample",
            "ns",
            1e9 * ours.seconds_a_sample,
            1e9 * theirs.seconds_a_sample,
        ),
        row("memory of a series after it, 1,110 samples each", "bytes", ours.bytes_a_series, theirs.bytes_a_series),
        row("disk for a sample of it", "bytes", ours.stored_a_sample, theirs.stored_a_sample),
    ])
}

/// A Prometheus with a folder of its own.
struct Prometheus {
    program: Program,
    folder: Folder,
    address: String,
}

impl Prometheus {
    fn start(program: &Path) -> Result<Prometheus, Failed> {
        Prometheus::over(program, Folder::new()?)
    }

    /// With what lies in a folder already.
    fn over(program: &Path, folder: Folder) -> Result<Prometheus, Failed> {
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, "global: {scrape_interval: 1m}\n").map_err(|error| broken("no folder for it", &error))?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("--config.file").arg(file).arg("--storage.tsdb.path").arg(folder.path().join("data"));
        command.args(["--web.enable-remote-write-receiver", "--log.level=error", "--storage.tsdb.retention.time=30d"]);
        command.args(["--web.listen-address", &address]).stderr(Stdio::null());
        let program = Program::start(&mut command)?;
        ready(&program, &address)?;
        Ok(Prometheus { program, folder, address })
    }

    /// Processor seconds for the answers to some queries at a time.
    fn asked(&self, queries: &[&str], at: i64) -> Result<f64, Failed> {
        let begun = self.program.processor_seconds()?;
        for query in queries.iter().cycle().take(queries.len() * TIMES) {
            let asked = ureq::get(format!("http://{}/api/v1/query", self.address));
            let answer = asked.query("query", query).query("time", at.to_string()).call();
            let text = answer.and_then(|mut answer| answer.body_mut().with_config().limit(64 << 20).read_to_string());
            let text = text.map_err(|error| broken("Prometheus does not answer", &error))?;
            let series = text.matches("\"metric\"").count();
            if series != LEARNED {
                return Err(Failed::World(format!("Prometheus answers for {series} of {LEARNED} series: {text:.200}")));
            }
        }
        Ok((self.program.processor_seconds()? - begun) / TIMES as f64)
    }
}

fn learning(program: &Path, tool: &Path) -> Result<Vec<Row>, Failed> {
    let all = values(LEARNED * WINDOW);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let folder = Folder::new()?;
    let history = history(&folder, &all, now)?;
    let made = Command::new(tool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(history)
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .output();
    let made = made.map_err(|error| broken("promtool cannot be started", &error))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(Failed::World(format!("promtool made no blocks: {said:.300}")));
    }
    let prometheus = Prometheus::over(program, folder)?;
    // What it maps and reads once is not what is compared.
    std::thread::sleep(Duration::from_secs(1));
    prometheus.asked(&STATISTICS, now)?;
    let each = |queries: &[&str]| Ok::<f64, Failed>(1e6 * prometheus.asked(queries, now)? / LEARNED as f64);
    let (mean, p95, statistics) = (each(&[MEAN])?, each(&[P95])?, each(&STATISTICS)?);
    let ours = windows_learned(&all, WINDOW);
    let us = |seconds: f64| 1e6 * seconds / LEARNED as f64;
    Ok(vec![
        row("a threshold of mean and two deviations, 24 h of 2,880 samples", "µs", us(ours.sigma), mean),
        row("a threshold of the 95th percentile, the same", "µs", us(ours.percentile), p95),
        row("all statistics, the same", "µs", us(ours.statistics), statistics),
        row("the best of all strategies, the same; there: all statistics", "µs", us(ours.adaptive), statistics),
    ])
}

/// A day of samples up to now, as OpenMetrics.
fn history(folder: &Folder, all: &[f64], now: i64) -> Result<PathBuf, Failed> {
    let failed = |error: std::io::Error| broken("no room for a history", &error);
    let path = folder.path().join("history");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).map_err(failed)?);
    let mut text = "# TYPE m gauge\n".to_owned();
    for (series, window) in all.chunks_exact(WINDOW).enumerate() {
        for (n, value) in window.iter().enumerate() {
            let at = now - 30 * (WINDOW - 1 - n) as i64;
            let _ = writeln!(text, "m{{instance=\"host-{series}\"}} {value} {at}");
        }
        file.write_all(text.as_bytes()).map_err(failed)?;
        text.clear();
    }
    file.write_all(b"# EOF\n").and_then(|()| file.flush()).map_err(failed)?;
    Ok(path)
}
