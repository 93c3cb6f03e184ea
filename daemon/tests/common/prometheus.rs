//! A real Prometheus beside the tests, from Debian's package: `.ci/run` unpacks it where nobody installed it.

use super::{PATIENCE, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server on a port of its own, killed when it is dropped. What it says goes to `prometheus.log` in its folder.
pub struct Prometheus {
    child: Child,
    /// HOST:PORT
    pub address: String,
}

/// A port of loopback that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Starts a program on a free port, until one is taken by nobody else in between. `command` is told the address.
pub fn on_free_port(
    dir: &Path,
    log: &str,
    command: impl Fn(&str) -> Command,
    (path, ready): (&str, &dyn Fn(u16) -> bool),
) -> (Child, String) {
    for _ in 0..5 {
        let address = format!("127.0.0.1:{}", free_port());
        let file = std::fs::File::create(dir.join(log)).expect("a file");
        let mut command = command(&address);
        let name = format!("{:?}", command.get_program());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}; .ci/run unpacks it"));
        let started = wait_until(&format!("{name} at {address}"), || match child.try_wait().expect("a child") {
            Some(_) => Some(false),
            None => get(&address, path).filter(|(status, _)| ready(*status)).map(|_| true),
        });
        if started {
            return (child, address);
        }
    }
    panic!("it ends as soon as it starts: {}", std::fs::read_to_string(dir.join(log)).unwrap_or_default());
}

/// Status and body of an answer; none when nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Everything but letters and digits as percent and two hex digits.
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Makes blocks in the folder's `tsdb` of OpenMetrics text with times, as promtool does.
pub fn create_blocks(dir: &Path, openmetrics: &str) {
    std::fs::write(dir.join("history.om"), openmetrics).expect("written");
    create_blocks_of_file(dir);
}

/// The same of the folder's `history.om`.
pub fn create_blocks_of_file(dir: &Path) {
    let file = dir.join("history.om");
    let mut command = Command::new("promtool");
    command
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=744h"])
        .arg(file)
        .arg(dir.join("tsdb"));
    let ran = command.output().expect("promtool, which .ci/run unpacks");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

impl Prometheus {
    /// With this configuration, on the folder's `tsdb`; ready when this returns.
    pub fn start(dir: impl AsRef<Path>, config: &str) -> Prometheus {
        Prometheus::started(dir.as_ref(), config, None)
    }

    /// The same behind what a configuration of its web server wants: certificates, passwords.
    pub fn behind(dir: impl AsRef<Path>, config: &str, web: &str) -> Prometheus {
        Prometheus::started(dir.as_ref(), config, Some(web))
    }

    fn started(dir: &Path, config: &str, web: Option<&str>) -> Prometheus {
        std::fs::write(dir.join("prometheus.yml"), config).expect("written");
        let command = |address: &str| {
            let mut command = Command::new("prometheus");
            command.current_dir(dir).args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]);
            command.args([
                "--storage.tsdb.retention.time=20y",
                "--web.enable-lifecycle",
                "--web.enable-remote-write-receiver",
            ]);
            command.arg(format!("--web.listen-address={address}"));
            command.args(web.map(|web| format!("--web.config.file={web}")));
            command
        };
        // Who does not speak TLS is told so, which is an answer as well.
        let ready = |status| if web.is_some() { status == 400 } else { status == 200 };
        let (child, address) = on_free_port(dir, "prometheus.log", command, ("/-/ready", &ready));
        Prometheus { child, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has it read its configuration again.
    pub fn reload(&self) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "POST /-/reload HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.address).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }

    /// What stands under `data` of an answer of the API; `parameters` are escaped.
    pub fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let (status, body) = get(&self.address, &format!("/api/v1/{path}?{}", query.join("&"))).expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON")["data"].take()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
