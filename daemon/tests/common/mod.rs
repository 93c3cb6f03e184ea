//! A daemon as tests meet it: real process, real port, real folder, and no environment but its own. What is waited for is a condition, never time.

#![allow(dead_code, reason = "every test binary takes what it needs of these")]

pub mod listener;
pub mod messages;
pub mod metrics;
pub mod prometheus;
pub mod sent;

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
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

/// Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// An answer, as far as tests look at it.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
    /// The same as it came, where it need not be text.
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Checks that it is an error in the one form, and gives its sentence.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!(body["status"], status);
        assert!(body["type"].is_string() && body["title"].is_string());
        body["detail"].as_str().expect("a sentence").to_owned()
    }
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub fn write(dir: impl AsRef<Path>, name: &str, text: &str) {
    std::fs::write(dir.as_ref().join(name), text).expect("written");
}

pub fn read(dir: impl AsRef<Path>, name: &str) -> String {
    std::fs::read_to_string(dir.as_ref().join(name)).expect("read")
}

/// The binary in a world of its own: no variables of whoever runs the tests.
pub fn homeostat(home: impl AsRef<Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.env_clear().env("HOME", home.as_ref()).current_dir(home);
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

pub fn run(home: impl AsRef<Path>, args: &[&str]) -> Ran {
    homeostat(home).args(args).output().expect("started").into()
}

/// How busy the machine is that runs the tests changes no state.
pub const WHATEVER_THE_HOST_DOES: &str = "limits: {host_processor: {degraded: {enter: 2, leave: 1}, critical: null}, \
    host_memory: {degraded: {enter: 2, leave: 1}, critical: null}, optimizing_processor_max: 1}";

/// No host is watched; two series of 300 samples each, one of them with labels. A cycle every second. `more` is laid under.
pub fn configure(dir: impl AsRef<Path>, more: &str) {
    let now = now();
    let mut rows = String::new();
    for n in 0..300_u64 {
        let at = now - 3000 + n * 10;
        let noise = (n * 7919 % 101) as f64 / 101.0;
        writeln!(rows, r#"{{"series":"load","timestamp":{at},"value":{}}}"#, 10.0 + noise).expect("text");
        let name = r#""queue{job=\"a b\",zone=\"é\"}""#;
        writeln!(rows, r#"{{"series":{name},"timestamp":{at},"value":{}}}"#, 100.0 - noise).expect("text");
    }
    write(&dir, "rows.jsonl", &rows);
    let files = "host: {enabled: false}\nfiles: [{path: rows.jsonl}]\n";
    let states = format!("states: {{healthy: {{monitoring_interval: 1s}}, {WHATEVER_THE_HOST_DOES}}}\n");
    write(&dir, "homeostat.yaml", &format!("{files}{states}{more}"));
}

/// The daemon, to be run on the folder: its configuration and its data lie there.
pub fn command(dir: impl AsRef<Path>, listen: &str) -> Command {
    let mut command = homeostat(dir);
    command.args(["run", "--config", "homeostat.yaml", "--data", "data", "--listen", listen]);
    command
}

pub struct Daemon {
    pub child: Child,
    /// HOST:PORT
    pub address: String,
    /// Kept open: a daemon whose reader went away runs on, but this is not what is tested.
    _out: BufReader<ChildStdout>,
}

/// Each waits until it is ready. What it says on standard error goes to the file `err` of its folder.
impl Daemon {
    /// With [`configure`], on a free port.
    pub fn start(dir: impl AsRef<Path>, more: &str) -> Daemon {
        configure(&dir, more);
        Daemon::go_on(dir)
    }

    /// With what lies in the folder, on a free port.
    pub fn go_on(dir: impl AsRef<Path>) -> Daemon {
        Daemon::listening(dir, "127.0.0.1:0")
    }

    pub fn listening(dir: impl AsRef<Path>, listen: &str) -> Daemon {
        Daemon::spawned(command(&dir, listen), dir.as_ref(), listen)
    }

    /// With the folder's configuration, and nothing else but these.
    pub fn start_with(dir: impl AsRef<Path>, args: &[&str], env: &[(&str, &str)]) -> Daemon {
        let mut command = homeostat(&dir);
        command.args(["run", "--config", "homeostat.yaml"]).args(args).envs(env.iter().copied());
        Daemon::spawned(command, dir.as_ref(), "")
    }

    fn spawned(mut command: Command, dir: &Path, listen: &str) -> Daemon {
        let err = std::fs::File::create(dir.join("err")).expect("a file");
        let mut child = command.stdout(Stdio::piped()).stderr(err).spawn().expect("the binary runs");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        // Behind a name of its own the line tells that one; where it listens is then for the process to know.
        let address = match line.split_once("://") {
            Some((_, address)) => address.trim_end().trim_end_matches('/').to_owned(),
            None if line.is_empty() => panic!("no address: {}", read(dir, "err")),
            None => listen.to_owned(),
        };
        let daemon = Daemon { child, address, _out: out };
        // Over TLS whoever asks has to know the certificate.
        if !line.contains("https://") {
            wait_until("ready", || (daemon.get("/-/ready").status == 200).then_some(()));
        }
        daemon
    }

    /// As [`start`](Daemon::start), and it has learned both series.
    pub fn learned(dir: impl AsRef<Path>, more: &str) -> Daemon {
        let daemon = Daemon::start(dir, more);
        daemon.wait_for_thresholds(2);
        daemon
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until so many series have a threshold in force.
    pub fn wait_for_thresholds(&self, count: usize) {
        wait_until("thresholds", || {
            let rows = self.list("/api/v1/thresholds");
            (rows.len() >= count && rows.iter().all(|row| row["active"] == true)).then_some(())
        });
    }

    /// Sends a head and a body as they are. An error says that the daemon went away before it answered whole.
    pub fn try_raw(&self, head: &str, body: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        let body = bytes.split_off(end + 4);
        let answer = Answer { status, head, text: String::from_utf8_lossy(&body).into_owned(), bytes: body };
        match answer.header("content-length") {
            Some(length) if length != answer.bytes.len().to_string() => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer),
        }
    }

    pub fn raw(&self, head: &str, body: &str) -> Answer {
        self.try_raw(head, body).expect("an answer")
    }

    pub fn get_with(&self, path: &str, headers: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.address), "")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    pub fn try_get(&self, path: &str) -> std::io::Result<Answer> {
        self.try_raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.address), "")
    }

    /// What stands under `data`.
    pub fn data(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()["data"].take()
    }

    /// The rows that stand there.
    pub fn list(&self, path: &str) -> Vec<Value> {
        self.data(path).as_array().expect("a list").clone()
    }

    /// Names of all series that are held.
    pub fn names(&self) -> Vec<String> {
        let rows = self.list("/api/v1/series?limit=1000");
        rows.iter().filter_map(|row| row["series"].as_str().map(str::to_owned)).collect()
    }

    pub fn post_with(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.raw(&format!("POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.address), body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).expect("an answer")
    }

    /// Something that says of itself that it is JSON.
    pub fn post_text(&self, path: &str, body: &str) -> Answer {
        self.post_with(path, "Content-Type: application/json\r\n", body)
    }

    pub fn try_post(&self, path: &str, body: &Value) -> std::io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", self.address);
        self.try_raw(&head, &body.to_string())
    }

    pub fn sensitivity(&self, series: &str) -> f64 {
        let rows = self.list("/api/v1/thresholds");
        let row = rows.iter().find(|row| row["series"] == series).expect("learned");
        row["sensitivity"].as_f64().expect("a number")
    }

    /// The value of a metric at `/metrics`, its name with labels; absent: it is not exported.
    pub fn try_metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }

    pub fn metric(&self, name: &str) -> f64 {
        self.try_metric(name).unwrap_or_else(|| panic!("{name} is not exported"))
    }

    /// All rows of a list, `limit` at a time.
    pub fn pages(&self, path: &str, limit: usize) -> Vec<Value> {
        self.try_pages(path, limit).expect("an answer")
    }

    pub fn try_pages(&self, path: &str, limit: usize) -> std::io::Result<Vec<Value>> {
        let (mut all, mut next) = (Vec::new(), String::new());
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.try_get(&format!("{path}{separator}limit={limit}&page={next}"))?.json();
            let rows = page["data"].as_array().expect("a list").clone();
            assert!(rows.len() <= limit);
            all.extend(rows);
            match page["next"].as_str() {
                Some(token) => next = token.to_owned(),
                None => return Ok(all),
            }
        }
    }

    /// A stream of events, resumed after `last` when it is given.
    pub fn stream(&self, last: Option<u64>) -> Stream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let resume = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        write!(
            stream,
            "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{resume}\r\n",
            self.address
        )
        .expect("sent");
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        assert!(head.contains("200") && head.contains("text/event-stream"), "{head}");
        Stream { lines }
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(done.success());
    }

    /// With a limit of nothing at all every write fails, as on a full disk, for whoever runs the tests. util-linux has `prlimit` on
    /// every Linux.
    #[cfg(target_os = "linux")]
    pub fn limit_file_size(&self, size: &str) {
        let pid = self.child.id().to_string();
        let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}:unlimited")]).status();
        assert!(done.expect("prlimit of util-linux is there").success());
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// Ends it as a service manager does.
    pub fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.ended().success());
    }

    /// Waits until the process has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        wait_until("the end", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    /// Number and event of the next message; none at the end of the stream. Frames of the transfer are skipped.
    pub fn next(&mut self) -> Option<(u64, Value)> {
        let mut id = None;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim().parse().ok();
            } else if let (Some(text), Some(id)) = (line.strip_prefix("data: "), id) {
                let stored: Value = serde_json::from_str(text).expect("JSON");
                assert_eq!(stored["seq"], id);
                return Some((id, stored["event"].clone()));
            }
        }
    }
}

/// Rows every five minutes, from so many hours ago until so many hours ago.
fn rows_at(levels: &[(&str, f64)], hours: std::ops::Range<u64>) -> String {
    let (now, mut text) = (now(), String::new());
    for step in 0..(hours.end - hours.start) * 12 {
        let at = now - hours.end * 3600 + step * 300;
        for (series, level) in levels {
            let noise = (step * 7919 % 101) as f64 / 101.0;
            writeln!(text, r#"{{"series":"{series}","timestamp":{at},"value":{}}}"#, level + noise).expect("text");
        }
    }
    text
}

/// A daemon to which `load` and `queue` shifted together, thirty hours ago, and `calm` did not; `load` is somebody's.
pub fn shifted(dir: &Path) -> Daemon {
    write(dir, "rows.jsonl", &rows_at(&[("load", 100.0), ("queue", 40.0), ("calm", 7.0)], 30..100));
    let settings = format!(
        "host: {{enabled: false}}\nfiles: [{{path: rows.jsonl}}, {{path: after.jsonl}}]\nlearning: {{learning_window: 7d}}\n\
         states: {{healthy: {{monitoring_interval: 1s}}, optimizing: {{monitoring_interval: 1s}}, {WHATEVER_THE_HOST_DOES}}}\n\
         series: [{{match: load, owner: storage team}}]\n"
    );
    write(dir, "homeostat.yaml", &settings);
    let daemon = Daemon::go_on(dir);
    daemon.wait_for_thresholds(3);
    write(dir, "after.jsonl", &rows_at(&[("load", 130.0), ("queue", 20.0), ("calm", 7.0)], 0..30));
    wait_until("a proposal", || (!daemon.list("/api/v1/proposals").is_empty()).then_some(()));
    daemon
}

/// Values that wander between 10 and 20, from a seed: no two runs differ.
pub fn value(at: u64) -> f64 {
    let mut x = at.wrapping_add(11).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    10.0 + (x >> 40) as f64 / (1u64 << 24) as f64 * 10.0
}

/// CSV with `rows` rows, one a minute.
pub fn csv(rows: u64) -> String {
    let mut text = "timestamp,value\n".to_owned();
    for at in 0..rows {
        let _ = writeln!(text, "{},{:.4}", 1_700_000_000 + at * 60, value(at));
    }
    text
}
