//! The door of a running daemon: real process, real port, real folder.

mod common;

use common::{Daemon, configure, folder, read, wait_until, write};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[test]
fn a_verdict_is_durable_when_it_is_acknowledged_and_moves_the_sensitivity() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
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
fn verdicts_of_many_at_once_are_each_acknowledged_with_a_number_of_their_own_and_all_kept() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
    let said: Vec<(u64, String)> = std::thread::scope(|scope| {
        let say = |client: usize| {
            let each = |n: usize| {
                let comment = format!("{client} says {n}");
                // Every fifth is about a series that nobody knows, and takes no number.
                let series = if n == 2 { "unknown" } else { "load" };
                let body = json!({ "series": series, "verdict": "false", "comment": comment });
                let answer = daemon.post("/api/v1/feedback", &body);
                match series {
                    "load" => Some((answer.json()["id"].as_u64().expect("an id"), comment)),
                    _ => (answer.status != 404).then(|| panic!("{}", answer.text)),
                }
            };
            (0..5).filter_map(each).collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..12).map(|client| scope.spawn(move || say(client))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client that ends")).collect()
    });
    let ids: BTreeSet<u64> = said.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), 48, "each has a number of its own");
    daemon.kill();
    let daemon = Daemon::go_on(dir.path());
    let kept = daemon.pages("/api/v1/signals?loop=anomaly_feedback", 1000);
    let kept: BTreeSet<(u64, String)> = kept
        .iter()
        .filter_map(|row| Some((row["id"].as_u64()?, row["metadata"]["comment"].as_str()?.to_owned())))
        .collect();
    assert_eq!(kept, said.into_iter().collect(), "with what was said under it, after kill -9");
}

#[test]
fn a_verdict_about_a_stretch_of_time_or_many_series_takes_it_out_of_what_is_learned() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
    let explain = || daemon.get("/api/v1/explain?series=load").json()["data"].clone();
    let window = explain()["window"].clone();
    let (oldest, samples) = (window["oldest"].clone(), window["samples"].as_u64().expect("samples"));
    assert_eq!(window["masked"], 0);
    let until = daemon.get("/api/v1/series/samples?series=load&limit=1000").json()["data"]["samples"][20][0].clone();
    let until = until.as_f64().expect("milliseconds") / 1000.0;
    let body = json!({ "match": "{__name__=~\"lo.*\"}", "verdict": "missed", "at": oldest, "until": until, "comment": "a deploy" });
    let answer = daemon.post("/api/v1/feedback", &body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["ids"].as_array().map(Vec::len), Some(1), "{}", answer.text);
    wait_until("a threshold without these samples", || {
        let said = explain();
        let used = said["window"]["used"].as_u64()?;
        (said["window"]["masked"] == 20 && used == samples - 20).then_some(())
    });
    // What its features see, and what its confidence rests on.
    let said = explain();
    let features = said["features"].as_array().expect("a list");
    let quiet = |row: &Value| row["one_in"].as_f64() >= Some(1.0) && row["loudness"].as_f64() < Some(1.0);
    assert!(features.len() == 7 && features.iter().all(quiet), "{said}");
    let rests = said["confidence_rests_on"].as_array().expect("a list");
    assert!(rests.iter().any(|sentence| sentence.as_str().is_some_and(|text| text.contains("asked"))), "{said}");
    // A chart is told from when to when; where it begins later than that, it is not.
    let chart = |limit: u64| daemon.data(&format!("/api/v1/series/samples?series=load&limit={limit}"));
    let all = chart(1000);
    assert_eq!(all["masked"], json!([[all["samples"][0][0], all["samples"][20][0]]]));
    assert_eq!((&all["level_since"], &chart(100)["masked"]), (&Value::Null, &json!([])));
    let signal = daemon.get("/api/v1/signals?loop=anomaly_feedback").json()["data"][0].clone();
    assert_eq!((&signal["metadata"]["about"], &signal["metadata"]["comment"]), (&json!("period"), &json!("a deploy")));
}

#[test]
fn what_a_verdict_says_of_features_is_told_by_explain() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    // One sample of its past lies far off.
    let rows = read(dir.path(), "rows.jsonl");
    let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
    let mut odd: Value = serde_json::from_str(&rows[500]).expect("a row");
    odd["value"] = json!(30.0);
    rows[500] = odd.to_string();
    write(dir.path(), "rows.jsonl", &(rows.join("\n") + "\n"));
    let daemon = Daemon::go_on(dir.path());
    daemon.wait_for_thresholds(2);
    let explain = || daemon.data("/api/v1/explain?series=load");
    assert_eq!((&explain()["weights"], &explain()["latest_alerts"]), (&json!([]), &json!([])));
    let answer =
        daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "missed", "at": odd["timestamp"] }));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let weights = explain()["weights"].clone();
    let row = weights.get(0).unwrap_or_else(|| panic!("what would have spoken is heard more: {weights}"));
    assert!(row["weight"].as_f64().is_some_and(|weight| weight > 1.0 && weight <= 1.25), "{row}");
    assert!(row["mattered"].as_f64() > Some(0.0) && row["did_not"] == 0.0, "{row}");
    assert_eq!(row["fleet_mattered"], row["mattered"], "nobody said anything before");
    let said = Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(["explain", "load", "--url", &daemon.url()])
        .env("NO_COLOR", "1")
        .output()
        .expect("it runs");
    let said = String::from_utf8(said.stdout).expect("text");
    let feature = row["feature"].as_str().expect("a name");
    let heard = format!("heard\t{feature} {:.2}; mattered ", row["weight"].as_f64().expect("a number"));
    assert!(said.contains(&heard), "{said}");
}

#[test]
fn a_verdict_that_cannot_be_used_is_refused_with_its_field() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
    for (body, status, word) in [
        (json!({ "series": "load", "verdict": "maybe" }), 422, "verdict"),
        (json!({ "series": "load" }), 422, "verdict"),
        (json!({ "verdict": "true" }), 422, "series"),
        (json!({ "series": 7, "verdict": "true" }), 422, "series"),
        (json!({ "series": "a{", "verdict": "true" }), 422, "series"),
        (json!({ "series": "load", "verdict": "true", "at": "yesterday" }), 422, "at"),
        (json!({ "series": "load", "verdict": "true", "at": "2999-01-01T00:00:00Z" }), 422, "at"),
        (json!({ "series": "load", "verdict": "true", "when": 1 }), 422, "when"),
        (json!({ "series": "load", "verdict": "true", "until": 1_700_000_000 }), 422, "needs `at`"),
        (json!({ "series": "load", "verdict": "true", "at": 1_700_000_000, "until": 1_700_000_000 }), 422, "not after"),
        (json!({ "series": "load", "verdict": "true", "change_point": true }), 422, "needs `at`"),
        (json!({ "series": "load", "verdict": "true", "at": 1, "until": 2, "change_point": true }), 422, "no end"),
        (json!({ "series": "load", "verdict": "false", "at": 1, "change_point": true }), 422, "said with true"),
        (json!({ "series": "load", "verdict": "missed", "at": 1, "change_point": true }), 422, "said with true"),
        (json!({ "series": "load", "verdict": "true", "comment": 7 }), 422, "comment"),
        (json!({ "series": "load", "match": "load", "verdict": "true" }), 422, "match"),
        (json!({ "match": "nobody", "verdict": "true" }), 422, "no series"),
        (json!({ "match": "{", "verdict": "true" }), 422, "match"),
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
    // What is not there needs no type, nor does a method that nothing takes.
    daemon.post_with("/api/v1/nothing", "", body).problem(404);
    let wrong = daemon.post_with("/api/v1/series", "", body);
    wrong.problem(405);
    assert!(wrong.header("allow").is_some_and(|allow| allow.contains("GET")));
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

    // What takes effect at a start alone is told as long as it differs from what runs.
    let restart_for = |more: &str| {
        std::fs::write(&path, format!("{before}{more}")).expect("writable");
        daemon.post_with("/-/reload", "", "").json()["data"]["restart_for"].clone()
    };
    let changed = |more: &str| {
        std::fs::write(&path, format!("{before}{more}")).expect("writable");
        daemon.post_with("/-/reload", "", "").json()["data"]["changed"].clone()
    };
    let told = "\nlearning: {confidence_min: 0.8, sensitivity: 3}\n";
    assert_eq!(changed(told), json!(["learning.confidence_min", "learning.sensitivity"]));
    assert_eq!(changed(told), json!([]));
    let told = "\nwebhooks: [{url: \"http://127.0.0.1:1/\"}]\n";
    assert_eq!((restart_for(told), restart_for(told)), (json!(["webhooks"]), json!(["webhooks"])));
    assert_eq!(restart_for(""), json!([]));
}

#[test]
fn pages_join_to_the_whole_list_and_filters_come_before_the_limit() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
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
    // A parameter that means nothing here is refused by its name, wherever it stands.
    let document = daemon.get("/api/v1/openapi.json").json();
    for path in document["paths"].as_object().expect("paths").keys().filter(|path| *path != "/") {
        let methods = document["paths"][path].as_object().expect("methods");
        if methods.contains_key("get") {
            let detail = daemon.get(&format!("{path}?lmit=1")).problem(400);
            assert!(detail.contains("`lmit`"), "{path}: {detail}");
        }
        if methods.contains_key("post") {
            let detail = daemon.post(&format!("{path}?lmit=1"), &json!({})).problem(400);
            assert!(detail.contains("`lmit`"), "{path}: {detail}");
        }
    }
    for list in ["loops", "transitions"] {
        let detail = daemon.get(&format!("/api/v1/{list}?match[]=load")).problem(400);
        assert!(detail.contains("`match[]`") && detail.contains("leave it out"), "{list}: {detail}");
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
    let mut daemon = Daemon::learned(dir.path(), "");
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
    let daemon = Daemon::learned(dir.path(), "");
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
fn every_event_of_a_run_is_counted_from_the_first_on() {
    let folder = folder();
    // This host gives series before anybody can ask, and a restart counts anew.
    configure(&folder, "");
    let config = read(&folder, "homeostat.yaml").replace("host: {enabled: false}", "host: {interval: 1h}");
    write(&folder, "homeostat.yaml", &config);
    let mut before = 0;
    for life in ["the first", "the second"] {
        let daemon = Daemon::go_on(&folder);
        let newest = || daemon.list("/api/v1/events?limit=1")[0]["seq"].as_u64().expect("a number");
        // Between two cycles, so that the journal stands still.
        let (events, counted) = wait_until("a journal that stands still", || {
            let events = newest();
            let text = daemon.get("/metrics").text;
            let rows = text.lines().filter(|line| line.starts_with("homeostat_events_total{"));
            let counted: f64 = rows.filter_map(|row| row.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            (events > before && newest() == events).then_some((events, counted))
        });
        assert_eq!(counted, (events - before) as f64, "{life}");
        daemon.stop();
        let journal = rusqlite::Connection::open(folder.path().join("data/homeostat.db")).expect("the journal");
        let last: i64 = journal.query_row("select max(seq) from events", [], |row| row.get(0)).expect("a number");
        before = u64::try_from(last).expect("a number of an event");
    }
}

#[test]
fn the_metrics_are_well_formed_and_can_be_closed() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
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

#[test]
#[ignore = "needs promtool: ./dev check runs it"]
fn prometheus_own_tool_finds_nothing_wrong_with_the_metrics() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
    for path in ["/metrics", "/metrics/thresholds"] {
        let tool =
            Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut tool =
            tool.unwrap_or_else(|error| panic!("promtool does not start ({error}): apt-get install prometheus"));
        tool.stdin.take().expect("piped").write_all(daemon.get(path).text.as_bytes()).expect("it reads all");
        let said = tool.wait_with_output().expect("it ends");
        assert!(said.status.success() && said.stderr.is_empty(), "{path}: {}", String::from_utf8_lossy(&said.stderr));
    }
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
