//! A real daemon for tests: its own process, port, folder and environment.
#![allow(dead_code, reason = "each test file uses its own part")]

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// What does not happen by then does not happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is something.
pub fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).expect("written");
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The binary in a world of its own: no variables of whoever runs the tests.
pub fn homeostat(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

pub fn run(folder: &TempDir, args: &[&str]) -> Ran {
    homeostat(folder.path()).args(args).output().expect("started").into()
}

/// JSON lines of 300 rows each for `load` (10 to 11) and `queue{job="a"}` (99 to 100), ending now.
pub fn rows() -> String {
    let mut rows = String::new();
    for n in 0..300_u64 {
        let at = now() - 3000 + n * 10;
        let noise = (n * 7919 % 101) as f64 / 101.0;
        writeln!(rows, r#"{{"series":"load","timestamp":{at},"value":{}}}"#, 10.0 + noise).expect("text");
        writeln!(rows, r#"{{"series":"queue{{job=\"a\"}}","timestamp":{at},"value":{}}}"#, 100.0 - noise)
            .expect("text");
    }
    rows
}

/// A cycle every second, no host, and the rows of a file: `more` is laid under it.
pub fn with_rows(folder: &TempDir, more: &str) {
    write(folder, "rows.jsonl", &rows());
    let files = "host: {enabled: false}\nfiles: [{path: rows.jsonl}]\n";
    write(folder, "homeostat.yaml", &format!("{files}states: {{healthy: {{monitoring_interval: 1s}}}}\n{more}"));
}

pub struct Daemon {
    child: Child,
    /// HOST:PORT
    pub address: String,
    _out: BufReader<std::process::ChildStdout>,
}

impl Daemon {
    /// With `homeostat.yaml` of the folder, on a free port.
    pub fn start(folder: &TempDir) -> Daemon {
        Daemon::start_with(folder, &["--listen", "127.0.0.1:0"], &[])
    }

    /// What it says on standard error goes to the file `err` of the folder.
    pub fn start_with(folder: &TempDir, args: &[&str], env: &[(&str, &str)]) -> Daemon {
        let err = std::fs::File::create(folder.path().join("err")).expect("a file");
        let mut child = homeostat(folder.path())
            .args(["run", "--config", "homeostat.yaml"])
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(err)
            .spawn()
            .expect("started");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("the line with its address");
        let Some((_, address)) = line.split_once("http://") else {
            let err = std::fs::read_to_string(folder.path().join("err")).unwrap_or_default();
            panic!("no address: {line}{err}");
        };
        let address = address.trim().trim_end_matches('/').to_owned();
        let daemon = Daemon { child, address, _out: out };
        wait_until("ready", || (daemon.get("/-/ready").0 == 200).then_some(()));
        daemon
    }

    /// One that has learned every series of [`with_rows`].
    pub fn learned(folder: &TempDir) -> Daemon {
        let daemon = Daemon::start(folder);
        wait_until("thresholds", || {
            let all = daemon.json("/api/v1/thresholds")["data"].as_array().cloned().unwrap_or_default();
            (all.len() == 2 && all.iter().all(|row| row["active"] == true)).then_some(())
        });
        daemon
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn ask(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let host = &self.address;
        let len = body.len();
        write!(stream, "{head} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path}"), "")
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.ask(&format!("POST {path}"), body);
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The sample of the daemon's own metrics that begins so.
    pub fn metric(&self, begins: &str) -> Option<f64> {
        let text = self.get("/metrics").1;
        let line = text.lines().find(|line| line.starts_with(begins))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Names of all series that are held.
    pub fn names(&self) -> Vec<String> {
        let rows = self.json("/api/v1/series?limit=1000")["data"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["series"].as_str().map(str::to_owned)).collect()
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// Ends it as a service manager does.
    pub fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        assert!(wait_until("the end", || self.child.try_wait().expect("a child")).success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
