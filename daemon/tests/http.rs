//! The door of a running daemon: real process, real port, real folder.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// What does not happen by then does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is something.
fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Daemon {
    child: Child,
    /// HOST:PORT
    address: String,
}

/// An answer, as far as tests look at it.
struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Checks that it is an error in the one form, and gives its sentence.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body = self.json();
        assert_eq!(body["status"], status);
        assert!(body["type"].is_string() && body["title"].is_string());
        body["detail"].as_str().expect("a sentence").to_owned()
    }
}

/// No host is watched; two series of 300 samples each, one of them with labels. A cycle every second.
fn configure(dir: &Path, more: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
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

impl Daemon {
    fn start(dir: &Path, more: &str) -> Daemon {
        configure(dir, more);
        Daemon::go_on(dir)
    }

    /// With what lies in the folder.
    fn go_on(dir: &Path) -> Daemon {
        Daemon::listening(dir, "127.0.0.1:0")
    }

    fn listening(dir: &Path, listen: &str) -> Daemon {
        let mut child = Command::new(env!("CARGO_BIN_EXE_homeostat"))
            .args(["run", "--listen", listen, "--config"])
            .arg(dir.join("homeostat.yaml"))
            .arg("--data")
            .arg(dir.join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
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

    fn learned(dir: &Path) -> Daemon {
        let daemon = Daemon::start(dir, "");
        wait_until("thresholds", || {
            let all = daemon.get("/api/v1/thresholds").json();
            (all["data"].as_array().is_some_and(|rows| rows.len() == 2 && rows.iter().all(|row| row["active"] == true)))
                .then_some(())
        });
        daemon
    }

    /// Sends a head and a body as they are.
    fn raw(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Answer { status, head: head.to_owned(), text: body.to_owned() }
    }

    fn get_with(&self, path: &str, headers: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.address), "")
    }

    fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    fn post_with(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.raw(&format!("POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.address), body)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, "Content-Type: application/json\r\n", &body.to_string())
    }

    fn sensitivity(&self, series: &str) -> f64 {
        let all = self.get("/api/v1/thresholds").json();
        let rows = all["data"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["series"] == series).expect("learned");
        row["sensitivity"].as_f64().expect("a number")
    }

    /// All rows of a list, `limit` at a time.
    fn pages(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut all, mut next) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit={limit}&page={next}")).json();
            let rows = page["data"].as_array().expect("a list").clone();
            assert!(rows.len() <= limit);
            all.extend(rows);
            match page["next"].as_str() {
                Some(token) => next = token.to_owned(),
                None => return all,
            }
        }
    }

    /// A stream of events, resumed after `last` when it is given.
    fn stream(&self, last: Option<u64>) -> Stream {
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

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(done.success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    /// Number and event of the next message; none at the end of the stream. Frames of the transfer are skipped.
    fn next(&mut self) -> Option<(u64, Value)> {
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

#[test]
fn a_verdict_is_durable_when_it_is_acknowledged_and_moves_the_sensitivity() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path());
    let before = daemon.sensitivity("load");
    let give = |verdict: Value| {
        let answer = daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": verdict }));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["id"].as_u64().expect("an id, not inside data")
    };
    let ids = [give(json!("false")), give(json!("false")), give(json!(false))];
    assert!(ids[0] >= 1 && ids[0] < ids[1] && ids[1] < ids[2], "each call has an id of its own: {ids:?}");
    wait_until("a wider sensitivity", || (daemon.sensitivity("load") > before).then_some(()));
    let actions = daemon.get("/api/v1/actions?loop=anomaly_feedback&series=load").json();
    assert!(ids.contains(&actions["data"][0]["cause"].as_u64().expect("a cause")), "{actions}");

    let moved = daemon.sensitivity("load");
    daemon.signal("-KILL");
    drop(daemon);
    let daemon = Daemon::go_on(dir.path());
    let signals = daemon.get("/api/v1/signals?loop=anomaly_feedback").json();
    let kept: Vec<u64> =
        signals["data"].as_array().expect("a list").iter().filter_map(|signal| signal["id"].as_u64()).collect();
    assert_eq!(kept, [ids[2], ids[1], ids[0]], "newest first, all there after kill -9");
    assert_eq!(signals["data"][0]["verdict"], "false");
    assert!(daemon.sensitivity("load") >= moved);
}

#[test]
fn a_verdict_that_cannot_be_used_is_refused_with_its_field() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path());
    for (body, status, word) in [
        (json!({ "series": "load", "verdict": "maybe" }), 422, "verdict"),
        (json!({ "series": "load" }), 422, "verdict"),
        (json!({ "verdict": "true" }), 422, "series"),
        (json!({ "series": 7, "verdict": "true" }), 422, "series"),
        (json!({ "series": "a{", "verdict": "true" }), 422, "series"),
        (json!({ "series": "load", "verdict": "true", "at": "yesterday" }), 422, "at"),
        (json!({ "series": "load", "verdict": "true", "at": "2999-01-01T00:00:00Z" }), 422, "at"),
        (json!({ "series": "load", "verdict": "true", "when": 1 }), 422, "when"),
        (json!({ "series": "nobody", "verdict": "true" }), 404, "nobody"),
        (json!([1]), 400, "object"),
    ] {
        let detail = daemon.post("/api/v1/feedback", &body).problem(status);
        assert!(detail.contains(word), "{body}: {detail}");
    }
    daemon.post_with("/api/v1/feedback", "Content-Type: application/json\r\n", "{").problem(400);
    let large = " ".repeat((1 << 20) + 1);
    daemon.post_with("/api/v1/feedback", "Content-Type: application/json\r\n", &large).problem(413);
    let signals = daemon.get("/api/v1/signals?loop=anomaly_feedback").json();
    assert_eq!(signals["data"], json!([]), "what was refused left nothing");
}

#[test]
fn strangers_are_refused() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "http: {external_url: \"https://tune.example.org/x\"}");
    // The line that is printed tells the external address: the port has to be known beforehand.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port");
    let daemon = Daemon::listening(dir.path(), &free.to_string());
    let host = |host: &str| daemon.raw(&format!("GET /api/v1/state HTTP/1.1\r\nHost: {host}\r\n"), "").status;
    assert_eq!(host("evil.example"), 403);
    assert_eq!([host("localhost:1"), host("10.1.2.3"), host("[::1]:80"), host("tune.example.org")], [200; 4]);
    daemon.raw("GET /api/v1/state HTTP/1.1\r\n", "").problem(400);

    let json = "Content-Type: application/json\r\n";
    let body = r#"{"frozen":false}"#;
    daemon.post_with("/api/v1/freeze", "", body).problem(415);
    daemon.post_with("/api/v1/freeze", "Content-Type: text/plain\r\n", body).problem(415);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        daemon.post_with("/api/v1/freeze", &format!("{json}Origin: {origin}\r\n"), body).problem(403);
        daemon.post_with("/-/reload", &format!("Origin: {origin}\r\n"), "").problem(403);
    }
    let own = format!("{json}Origin: http://{}\r\n", daemon.address);
    assert_eq!(daemon.post_with("/api/v1/freeze", &own, body).status, 200);
    assert_eq!(daemon.post_with("/-/reload", "", "").status, 200);

    let page = daemon.get("/");
    for header in ["content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options"] {
        assert!(page.header(header).is_some(), "{header}");
    }
}

#[test]
fn a_reload_takes_all_or_nothing() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::start(dir.path(), "");
    let path = dir.path().join("homeostat.yaml");
    let before = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, format!("{before}\nlearning: {{confidence_min: 0.9, window_len: 1}}\n")).expect("writable");
    let detail = daemon.post_with("/-/reload", "", "").problem(422);
    assert!(detail.contains("window_len"), "{detail}");
    let confidence_min =
        |daemon: &Daemon| daemon.get("/api/v1/explain?series=load").json()["data"]["confidence_min"].clone();
    assert_eq!(confidence_min(&daemon), 0.5);
    std::fs::write(&path, format!("{before}\nlearning: {{confidence_min: 0.9}}\n")).expect("writable");
    assert_eq!(daemon.post_with("/-/reload", "", "").status, 200);
    assert_eq!(confidence_min(&daemon), 0.9);
}

#[test]
fn pages_join_to_the_whole_list_and_filters_come_before_the_limit() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path());
    let names = |rows: Vec<Value>| rows.into_iter().map(|row| row["series"].clone()).collect::<Vec<_>>();
    let series = names(daemon.pages("/api/v1/series", 1));
    assert_eq!(series, [json!("load"), json!(r#"queue{job="a b",zone="é"}"#)]);
    assert_eq!(names(daemon.pages("/api/v1/thresholds", 1)), series);

    let events = daemon.pages("/api/v1/events", 3);
    let numbers: Vec<u64> = events.iter().filter_map(|stored| stored["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=numbers[0]).rev().collect::<Vec<_>>(), "newest first, without gap or repetition");
    let added = daemon.get("/api/v1/events?kind=series_added&limit=2").json();
    assert_eq!(added["data"].as_array().map(Vec::len), Some(2), "filtered before the limit");

    let selected = daemon.get("/api/v1/series?match%5B%5D=queue%7Bjob%3D~%22a.%2A%22%7D").json();
    assert_eq!(selected["data"].as_array().map(Vec::len), Some(1), "{selected}");
    let both = daemon.get("/api/v1/series?match[]=load&match[]=queue").json();
    assert_eq!(both["data"].as_array().map(Vec::len), Some(2));
    let samples = daemon.get("/api/v1/series/samples?series=load&limit=7").json();
    assert_eq!(samples["data"]["samples"].as_array().map(Vec::len), Some(7));
    assert!(samples["data"]["bounds"]["upper"].is_number(), "{samples}");

    for query in
        ["series?limit=0", "series?page=zz", "series?lmit=1", "signals?loop=none", "explain", "series?match[]=a{"]
    {
        daemon.get(&format!("/api/v1/{query}")).problem(400);
    }
    daemon.get("/api/v1/explain?series=nobody").problem(404);
    daemon.get("/api/v1/nothing").problem(404);
    daemon.get("/nothing.js").problem(404);
    let wrong = daemon.post("/api/v1/series", &json!({}));
    wrong.problem(405);
    assert!(wrong.header("allow").is_some_and(|allow| allow.contains("GET")));
}

#[test]
fn a_stream_goes_on_where_it_broke_and_ends_with_the_daemon() {
    let dir = TempDir::new().expect("a folder");
    let mut daemon = Daemon::learned(dir.path());
    let mut stream = daemon.stream(Some(0));
    let mut seen: Vec<u64> = (0..3).map(|_| stream.next().expect("from the journal").0).collect();
    drop(stream);
    assert_eq!(seen, [1, 2, 3]);

    let mut stream = daemon.stream(Some(3));
    let id = daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "missed" })).json()["id"].clone();
    loop {
        let (seq, event) = stream.next().expect("the verdict comes");
        seen.push(seq);
        if event["kind"] == "signalled" && event["signal"]["id"] == id {
            break;
        }
    }
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>(), "no gap, no duplicate, from the journal into now");

    daemon.signal("-TERM");
    while stream.next().is_some() {}
    let ended = wait_until("the end", || daemon.child.try_wait().expect("a child"));
    assert!(ended.success());
}

#[test]
fn what_the_description_promises_is_there() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path());
    let document = daemon.get("/api/v1/openapi.json").json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let Some(get) = methods.get("get") else { continue };
        let needs_series = get["parameters"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "series" && one["required"] == true));
        let answer = daemon.get(&if needs_series { format!("{path}?series=load") } else { path.clone() });
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let promised = get["responses"]["200"]["content"].as_object().expect("a content");
        let kind = answer.header("content-type").expect("a type");
        assert!(promised.keys().any(|key| kind.starts_with(key.split(';').next().expect("a type"))), "{path}: {kind}");
        // Every field that is sent is described.
        let schema = &promised.get("application/json").unwrap_or(&Value::Null)["schema"];
        let data = answer.header("content-type").is_some_and(|kind| kind == "application/json").then(|| answer.json());
        if let Some(data) = data.filter(|_| schema["properties"]["data"].is_object()) {
            let (described, sent) = match &data["data"] {
                Value::Array(rows) => (&schema["properties"]["data"]["items"], rows.first().cloned()),
                one => (&schema["properties"]["data"], Some(one.clone())),
            };
            let described = match described["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).expect(reference),
                None => described,
            };
            for key in sent.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
                assert!(described["properties"].get(key).is_some(), "{path}: {key} is not described");
            }
        }
    }
}

#[test]
fn the_metrics_are_well_formed_and_can_be_closed() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path());
    daemon.post("/api/v1/state", &json!({ "state": "critical", "for": "1m" }));
    let classic = daemon.get("/metrics");
    assert!(classic.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    check(&classic.text);
    assert!(classic.text.contains("homeostat_state{state=\"critical\"} 1\n"));
    wait_until("the transition to be counted", || {
        let text = daemon.get("/metrics").text;
        let mut lines = text.lines().filter(|line| line.starts_with("homeostat_state_transitions_total{"));
        lines.any(|line| line.ends_with("to=\"critical\"} 1")).then_some(())
    });
    let thresholds = daemon.get("/metrics/thresholds").text;
    check(&thresholds);
    let bound = r#"homeostat_threshold{metric="queue",job="a b",zone="é",direction="upper"} "#;
    assert!(thresholds.contains(bound), "{thresholds}");
    let open = daemon.get_with("/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(open.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    assert!(open.text.ends_with("# EOF\n"));

    drop(daemon);
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::start(dir.path(), "prometheus: {enabled: false}");
    assert!(daemon.get("/metrics").problem(404).contains("prometheus.enabled"));
    daemon.get("/metrics/thresholds").problem(404);
}

/// What `promtool check metrics` looks at: help and type before the samples, names that fit their type, nothing twice.
fn check(text: &str) {
    let (mut families, mut samples) = (BTreeSet::new(), BTreeSet::new());
    let (mut family, mut kind) = ("", "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(families.insert(name), "{name} twice");
            assert!(!help.is_empty());
            family = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').expect("a type");
            assert_eq!(name, family, "help and type belong together");
            kind = of;
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        } else {
            let (id, value) = line.rsplit_once(' ').expect("a value");
            let name = id.split('{').next().expect("a name");
            let base = match kind {
                "histogram" => ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)),
                _ => Some(name),
            };
            assert_eq!(base, Some(family), "{line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert!(samples.insert(id), "{id} twice");
            value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
    assert!(!samples.is_empty());
}

#[test]
fn the_page_comes_whole_and_is_asked_for_anew() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::start(dir.path(), "");
    let page = daemon.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.text.contains("<html") && page.text.contains("</html>"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let tag = page.header("etag").expect("a tag");
    assert_eq!(daemon.get_with("/", &format!("If-None-Match: {tag}\r\n")).status, 304);
    let script = daemon.get("/app.js");
    assert!(script.header("content-type").is_some_and(|kind| kind.starts_with("text/javascript")), "{}", script.head);
}

#[test]
fn a_state_is_held_and_changes_are_stopped_on_order() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::start(dir.path(), "");
    let answer = daemon.post("/api/v1/state", &json!({ "state": "critical", "for": "10m" }));
    assert_eq!(answer.json()["data"]["state"], "critical");
    assert!(answer.json()["data"]["forced_until"].is_string());
    assert_eq!(daemon.get("/api/v1/transitions").json()["data"][0]["to"], "critical");
    for (body, word) in [
        (json!({ "state": "fine" }), "state"),
        (json!({}), "state"),
        (json!({ "state": "healthy", "for": "soon" }), "for"),
        (json!({ "state": "healthy", "for": 5 }), "for"),
        (json!({ "state": "healthy", "for": "0s" }), "for"),
    ] {
        assert!(daemon.post("/api/v1/state", &body).problem(422).contains(word), "{body}");
    }
    assert_eq!(daemon.post("/api/v1/freeze", &json!({ "frozen": true })).json()["data"]["frozen"], true);
    assert_eq!(daemon.get("/api/v1/freeze").json()["data"]["frozen"], true);
    assert!(daemon.post("/api/v1/freeze", &json!({ "frozen": "yes" })).problem(422).contains("frozen"));
}
