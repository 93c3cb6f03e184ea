//! A homeostat of its own: started with a configuration, asked for what it measures of itself, stopped and started again.

use super::program::{Folder, PATIENCE, Program, broken, until};
use crate::cli::Failed;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

/// How long learning may take, and for each series.
const LEARNING: Duration = Duration::from_secs(300);
const LEARNING_ONE: Duration = Duration::from_millis(1);

/// More memory than any work takes.
pub const AMPLE: u64 = 64 << 30;

/// Its data, within its folder.
const DATA: &str = "data";

pub struct Daemon {
    program: Program,
    pub folder: Folder,
    /// HOST:PORT
    pub address: String,
}

/// Without this host's own series, and with room for all that is sent. Cycles come as often as people have them come; in one all
/// series are learned, so that what is measured afterwards is judged by bounds. `more`: further lines.
pub fn config(series: usize, strategy: &str, memory_max: u64, more: &str) -> String {
    let row = "{monitoring_interval: 10s, execution_parallelism: 64}";
    // Who sends and what else is measured makes this host busy: that is no reason here to learn less.
    let limits = "{host_processor: {degraded: {enter: 2, leave: 1.5}, critical: {enter: 2, leave: 1.5}}}";
    format!(
        "host: {{enabled: false}}\nlimits: {{series_max: {}, memory_max: {memory_max}}}\nlog: {{level: error}}\n\
         states: {{limits: {limits}, healthy: {row}, optimizing: {row}, degraded: {row}, recovering: {row}}}\n\
         learning:\n  strategy: {strategy}\n{more}",
        // Where series may have to give way, requests are taken in one by one.
        2 * series + 100_000
    )
}

impl Daemon {
    pub fn start(config: &str) -> Result<Daemon, Failed> {
        let folder = Folder::new()?;
        let file = folder.path().join("homeostat.yaml");
        std::fs::write(file, config).map_err(|error| broken("no folder for a daemon", &error))?;
        let address = free_address()?;
        let (program, _) = started(&folder, &address)?;
        Ok(Daemon { program, folder, address })
    }

    /// Stops it in order and starts it again: seconds from the start of the process until it is ready.
    pub fn again(self) -> Result<(Daemon, f64), Failed> {
        let Daemon { program, folder, .. } = self;
        program.end()?;
        let address = free_address()?;
        let (program, seconds) = started(&folder, &address)?;
        Ok((Daemon { program, folder, address }, seconds))
    }

    pub fn processor_seconds(&self) -> Result<f64, Failed> {
        self.program.processor_seconds()
    }

    pub fn resident(&self) -> Result<u64, Failed> {
        self.program.resident()
    }

    /// Bytes in its folder of data.
    pub fn stored(&self) -> u64 {
        self.folder.bytes(DATA)
    }

    /// The sum of one of its own metrics over all labels.
    pub fn metric(&self, name: &str) -> Result<f64, Failed> {
        let text = text(&self.address, "/metrics")?;
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        Ok(text.lines().filter_map(of).sum())
    }

    /// How many series the latest cycles learned, the first time and again.
    pub fn learned_in_cycles(&self) -> Result<u64, Failed> {
        let text = text(&self.address, "/api/v1/events?kind=cycle_completed&limit=1000")?;
        let answer: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| broken("what is measured answers with no events", &error))?;
        let rows = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(rows.iter().filter_map(|row| row["event"]["learned"].as_u64()).sum())
    }

    /// Waits until so many series have learned bounds. To say how many there are costs it time: it is asked ever less often.
    pub fn learned(&self, series: usize) -> Result<(), Failed> {
        let (what, mut pause) = (format!("{series} series are learned"), 0.1);
        until(&what, LEARNING + LEARNING_ONE * series as u32, || {
            std::thread::sleep(Duration::from_secs_f64(pause));
            pause = f64::min(2.0 * pause, 5.0);
            Ok(self.metric("homeostat_thresholds")? >= series as f64)
        })
        .map(|_| ())
    }
}

fn text(address: &str, path: &str) -> Result<String, Failed> {
    let answer = ureq::get(format!("http://{address}{path}")).call();
    let text = answer.and_then(|mut answer| answer.body_mut().with_config().limit(64 << 20).read_to_string());
    text.map_err(|error| broken("what is measured does not answer", &error))
}

/// An address of this machine that was free a moment ago.
pub fn free_address() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.to_string()).map_err(|error| broken("this machine has no free port", &error))
}

fn started(folder: &Folder, address: &str) -> Result<(Program, f64), Failed> {
    let program = std::env::current_exe().map_err(|error| broken("where this program lies is not known", &error))?;
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(folder.path().join("homeostat.yaml"));
    command.args(["--listen", address, "--data"]).arg(folder.path().join(DATA));
    let program = Program::start(&mut command)?;
    let seconds = ready(&program, address)?;
    Ok((program, seconds))
}

/// Seconds until `/-/ready` answers that it is.
pub fn ready(program: &Program, address: &str) -> Result<f64, Failed> {
    until("what is to be measured is ready", PATIENCE, || {
        program.resident()?;
        Ok(text(address, "/-/ready").is_ok())
    })
}
