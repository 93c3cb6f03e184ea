//! A daemon as tests meet it: real process, real port, real folder. What is waited for is a condition, never time.

#![allow(dead_code, reason = "every test binary takes what it needs of these")]

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What does not happen by then does not happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

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

/// No host is watched; two series of 300 samples each, one of them with labels. A cycle every second.
pub fn configure(dir: &Path, more: &str) {
    let now = now();
    let mut rows = String::new();
    for n in 0..300_u64 {
        let at = now - 3000 + n * 10;
        let noise = (n * 7919 % 101) as f64 / 101.0;
        writeln!(rows, r#"{{"series":"load","timestamp":{at},"value":{}}}"#, 10.0 + noise).expect("text");
        let name = r#""queue{job=\"a b\",zone=\"é\"}""#;
        writeln!(rows, r#"{{"series":{name},"timestamp":{at},"value":{}}}"#, 100.0 - noise).expect("text");
    }
    std::fs::write(dir.join("rows.jsonl"), rows).expect("a file");
    let config = format!(
        "host: {{enabled: false}}\nfiles: [{{path: {}}}]\nstates: {{healthy: {{monitoring_interval: 1s}}}}\n{more}",
        dir.join("rows.jsonl").display()
    );
    std::fs::write(dir.join("homeostat.yaml"), config).expect("a file");
}

/// The daemon, to be run on the folder: its configuration and its data lie there.
pub fn command(dir: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(["run", "--listen", listen, "--config"]).arg(dir.join("homeostat.yaml"));
    command.arg("--data").arg(dir.join("data"));
    command
}

pub struct Daemon {
    pub child: Child,
    /// HOST:PORT
    pub address: String,
}

impl Daemon {
    pub fn start(dir: &Path, more: &str) -> Daemon {
        configure(dir, more);
        Daemon::go_on(dir)
    }

    /// With what lies in the folder.
    pub fn go_on(dir: &Path) -> Daemon {
        Daemon::listening(dir, "127.0.0.1:0")
    }

    pub fn listening(dir: &Path, listen: &str) -> Daemon {
        Daemon::spawned(command(dir, listen).stderr(Stdio::null()), listen)
    }

    /// Waits until it is ready. What it says on standard error lies in `err` in the folder.
    pub fn told(dir: &Path) -> Daemon {
        let file = std::fs::File::create(dir.join("err")).expect("a file");
        Daemon::spawned(command(dir, "127.0.0.1:0").stderr(file), "127.0.0.1:0")
    }

    fn spawned(command: &mut Command, listen: &str) -> Daemon {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        // Behind a name of its own the line tells that one; where it listens is then for the process to know.
        let address = match line.split_once("http://") {
            Some((_, address)) => address.trim_end().trim_end_matches('/').to_owned(),
            None => listen.to_owned(),
        };
        let daemon = Daemon { child, address };
        wait_until("ready", || (daemon.get("/-/ready").status == 200).then_some(()));
        daemon
    }

    pub fn learned(dir: &Path) -> Daemon {
        let daemon = Daemon::start(dir, "");
        daemon.wait_for_thresholds(2);
        daemon
    }

    /// Waits until so many series have a threshold in force.
    pub fn wait_for_thresholds(&self, count: usize) {
        wait_until("thresholds", || {
            let all = self.get("/api/v1/thresholds").json();
            let rows = all["data"].as_array().expect("a list");
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
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        let answer = Answer { status, head: head.to_owned(), text: body.to_owned() };
        match answer.header("content-length") {
            Some(length) if length != body.len().to_string() => Err(std::io::ErrorKind::UnexpectedEof.into()),
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
        self.get(path).json()["data"].take()
    }

    pub fn post_with(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.raw(&format!("POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.address), body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).expect("an answer")
    }

    pub fn try_post(&self, path: &str, body: &Value) -> std::io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", self.address);
        self.try_raw(&head, &body.to_string())
    }

    pub fn sensitivity(&self, series: &str) -> f64 {
        let all = self.get("/api/v1/thresholds").json();
        let rows = all["data"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["series"] == series).expect("learned");
        row["sensitivity"].as_f64().expect("a number")
    }

    /// The value of a metric without labels, at `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not exported")).parse().expect("a number")
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
