//! Remote-write, end to end: a daemon of its own takes real bytes from a socket, writes them down, judges and remembers them.
//!
//! What is measured is the daemon's processor time, user and system, over at least ten million samples after every series was seen
//! and learned. The sender is this process and costs nothing of it.

use super::{Measured, NS, Work, fastest, processor_seconds, times};
use crate::cli::Failed;
use homeostat_sim::chance::Chance;
use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Samples in a request.
const AT_ONCE: usize = 2_000;

/// Samples that are measured, and those of each series before that: enough to be learned from.
const MEASURED: usize = 10_000_000;
const LEARNED: usize = 110;

/// From one sample of a series to the next.
const STEP_MS: i64 = 5_000;

/// How long learning may take.
const PATIENCE: Duration = Duration::from_secs(120);

const NAIVE: &str = "labels as owned text, a map by name, two bounds";

pub const WORKS: &[Work] = &[
    Work {
        name: "one sample by remote-write, written down and judged by bounds, 1,000 series",
        unit: "ns",
        goal: 250.0,
        reference: NAIVE,
        measure: || sent(1_000, "adaptive"),
    },
    Work {
        name: "one sample by remote-write, written down and judged by auto, 1,000 series",
        unit: "ns",
        goal: 600.0,
        reference: NAIVE,
        measure: || sent(1_000, "auto"),
    },
];

/// A daemon with a folder of its own; both end with it.
struct Daemon {
    child: Child,
    dir: PathBuf,
    address: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Daemon {
    fn start(series: usize, strategy: &str) -> Result<Daemon, Failed> {
        let failed = |what: &str, error: &dyn std::fmt::Display| Failed::World(format!("{what}: {error}"));
        let dir = std::env::temp_dir().join(format!("homeostat-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|error| failed("no folder for a daemon", &error))?;
        let row = "{monitoring_interval: 1s, execution_parallelism: 64}";
        let config = format!(
            "host: {{enabled: false}}\nlearning: {{strategy: {strategy}}}\n\
             limits: {{series_max: {}, memory_max: 68719476736}}\nlog: {{level: error}}\n\
             states: {{healthy: {row}, optimizing: {row}, degraded: {row}, critical: {{monitoring_interval: 1s}}, recovering: {row}}}\n",
            2 * series
        );
        let file = dir.join("homeostat.yaml");
        std::fs::write(&file, config).map_err(|error| failed("no folder for a daemon", &error))?;
        let program =
            std::env::current_exe().map_err(|error| failed("where this program lies is not known", &error))?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(&file).args(["--listen", "127.0.0.1:0", "--data"]).arg(dir.join("data"));
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| failed("no daemon could be started", &error))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut line);
        }
        let address = line.trim().rsplit_once("http://").map(|(_, rest)| rest.trim_end_matches('/').to_owned());
        let daemon = Daemon { child, dir, address: address.clone().unwrap_or_default() };
        match address {
            Some(_) => Ok(daemon),
            None => Err(Failed::World(format!("the daemon to be measured did not start: {line}"))),
        }
    }

    fn processor_seconds(&self) -> Result<f64, Failed> {
        let pid = Pid::from_u32(self.child.id());
        let unknown = || Failed::World("this machine does not say what a process spends".to_owned());
        let mut system = System::new().map_err(|_| unknown())?;
        let what = ProcessRefreshKind::nothing().with_cpu();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
        system.process(pid).map(|process| process.accumulated_cpu_time() as f64 / 1e3).ok_or_else(unknown)
    }

    /// Waits until nothing is left to be learned.
    fn learned(&self, series: usize) -> Result<(), Failed> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let text = ureq::get(format!("http://{}/metrics", self.address)).call();
            let text = text.and_then(|mut answer| answer.body_mut().read_to_string()).unwrap_or_default();
            let learned: f64 = text
                .lines()
                .filter(|line| line.starts_with("homeostat_learned_confidence_ratio_count"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum();
            if learned >= series as f64 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Err(Failed::World(format!("{series} series were not learned in {} s", PATIENCE.as_secs())))
    }
}

/// Who sends: what of each series stands in every request, and a connection that stays.
struct Sender {
    stream: TcpStream,
    address: String,
    labels: Vec<Vec<u8>>,
    chance: Chance,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Sender {
    fn new(address: &str, series: usize) -> std::io::Result<Sender> {
        Ok(Sender {
            stream: connect(address)?,
            address: address.to_owned(),
            labels: (0..series).map(labels).collect(),
            chance: Chance::new(5),
            raw: Vec::new(),
            packed: Vec::new(),
        })
    }

    /// A sample of each of some series, in one request.
    fn encode(&mut self, from: usize, to: usize, at: i64) {
        self.raw.clear();
        for labels in &self.labels[from..to] {
            let value = (1000.0 * (50.0 + 5.0 * self.chance.normal())).round() / 1000.0;
            let mut sample = [0_u8; 24];
            sample[0] = 0x09;
            sample[1..9].copy_from_slice(&value.to_le_bytes());
            sample[9] = 0x10;
            let mut length = 10;
            length += varint(at as u64, &mut sample[10..]);
            let inner = labels.len() + 2 + length;
            self.raw.push(0x0a);
            push_varint(inner as u64, &mut self.raw);
            self.raw.extend_from_slice(labels);
            self.raw.extend_from_slice(&[0x12, length as u8]);
            self.raw.extend_from_slice(&sample[..length]);
        }
    }

    /// Sends one sample of every series.
    fn round(&mut self, at: i64) -> Result<(), Failed> {
        let broken =
            |error: &dyn std::fmt::Display| Failed::World(format!("the daemon to be measured went away: {error}"));
        let all = self.labels.len();
        let mut encoder = snap::raw::Encoder::new();
        for from in (0..all).step_by(AT_ONCE) {
            self.encode(from, (from + AT_ONCE).min(all), at);
            self.packed.resize(snap::raw::max_compress_len(self.raw.len()), 0);
            let length = encoder.compress(&self.raw, &mut self.packed).map_err(|error| broken(&error))?;
            let head = format!(
                "POST /api/v1/write HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                 X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {length}\r\n\r\n",
                self.address
            );
            self.stream.write_all(head.as_bytes()).map_err(|error| broken(&error))?;
            self.stream.write_all(&self.packed[..length]).map_err(|error| broken(&error))?;
            self.answered()?;
        }
        Ok(())
    }

    fn answered(&mut self) -> Result<(), Failed> {
        let mut answer = [0_u8; 4096];
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut answer[length..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        match answer.starts_with(b"HTTP/1.1 204") {
            true => Ok(()),
            false => Err(Failed::World(format!(
                "the daemon to be measured did not take a request: {}",
                String::from_utf8_lossy(&answer[..length])
            ))),
        }
    }
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The labels of a series, seven of them, as they stand in a message.
fn labels(n: usize) -> Vec<u8> {
    let values = [
        ("__name__", "http_requests_in_flight".to_owned()),
        ("cluster", "europe-west".to_owned()),
        ("instance", format!("10.0.{}.{}:9100", n / 250 % 250, n % 250)),
        ("job", "frontend".to_owned()),
        ("namespace", "production".to_owned()),
        ("pod", format!("frontend-7d9f8b6c5-{n:06}")),
        ("zone", format!("zone-{}", n % 3)),
    ];
    let mut bytes = Vec::new();
    for (name, value) in &values {
        let inner = 4 + name.len() + value.len();
        bytes.extend_from_slice(&[0x0a, inner as u8, 0x0a, name.len() as u8]);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&[0x12, value.len() as u8]);
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

fn varint(mut value: u64, into: &mut [u8]) -> usize {
    let mut length = 0;
    while value >= 0x80 {
        into[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    into[length] = value as u8;
    length + 1
}

fn push_varint(value: u64, into: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let length = varint(value, &mut bytes);
    into.extend_from_slice(&bytes[..length]);
}

fn sent(series: usize, strategy: &str) -> Result<Option<Measured>, Failed> {
    let daemon = Daemon::start(series, strategy)?;
    let silent = |error: std::io::Error| Failed::World(format!("the daemon to be measured does not answer: {error}"));
    let mut sender = Sender::new(&daemon.address, series).map_err(silent)?;
    let rounds = MEASURED.div_ceil(series);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let mut at = now - (rounds + LEARNED) as i64 * STEP_MS;
    let mut go_on = |sender: &mut Sender, rounds: usize| -> Result<(), Failed> {
        for _ in 0..rounds {
            at += STEP_MS;
            sender.round(at)?;
        }
        Ok(())
    };
    go_on(&mut sender, LEARNED)?;
    daemon.learned(series)?;
    // One that was idle meanwhile is closed.
    sender.stream = connect(&daemon.address).map_err(silent)?;
    let begun = daemon.processor_seconds()?;
    go_on(&mut sender, rounds)?;
    let ours = (daemon.processor_seconds()? - begun) / (rounds * series) as f64;
    times(NS, ours, naive(series)?)
}

/// Seconds a sample of a receiver that takes every request apart into text and looks that up.
fn naive(series: usize) -> Result<f64, Failed> {
    let mut known: HashMap<String, (f64, f64, u64)> = HashMap::new();
    let labels: Vec<Vec<u8>> = (0..series).map(labels).collect();
    let mut breaches = 0_u64;
    let spent = fastest(|| {
        let begun = processor_seconds();
        for (n, labels) in labels.iter().enumerate() {
            let mut rest = &labels[..];
            let mut pairs: Vec<(String, String)> = Vec::new();
            while rest.len() > 4 {
                let (name, value_at) = (usize::from(rest[3]), 4 + usize::from(rest[3]));
                let value = usize::from(rest[value_at + 1]);
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                pairs.push((text(&rest[4..4 + name]), text(&rest[value_at + 2..value_at + 2 + value])));
                rest = &rest[value_at + 2 + value..];
            }
            pairs.sort();
            let key = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
            let (lower, upper, count) = known.entry(key).or_insert((40.0, 60.0, 0));
            let value = 50.0 + (n % 7) as f64;
            breaches += u64::from(value < *lower || value > *upper);
            *count += 1;
        }
        processor_seconds() - begun
    });
    black_box((breaches, known.len()));
    Ok(spent / series as f64)
}
