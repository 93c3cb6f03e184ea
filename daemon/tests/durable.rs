//! What outlives the process, and how the process ends: killed, stopped, stopped twice, restarted, with no room on the disk.

mod common;

use common::{Daemon, command, configure, now, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The next number of a seed (splitmix64).
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A cycle every second, in whatever state the machine that runs the tests brings about.
fn quick() -> Value {
    let row = json!({ "monitoring_interval": "1s" });
    json!({ "healthy": row, "optimizing": row, "degraded": row, "critical": row, "recovering": row })
}

/// All that a client was told, over every life of the daemon.
#[derive(Default)]
struct Told {
    verdicts: BTreeSet<u64>,
    series: BTreeSet<String>,
    transitions: BTreeSet<String>,
    /// When each was learned, as text in UTC: it sorts as it was told.
    thresholds: BTreeMap<String, String>,
}

impl Told {
    /// One look at every list; an error says that the daemon went away in the middle.
    fn list(&mut self, daemon: &Daemon) -> std::io::Result<()> {
        let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
        let series = daemon.try_pages("/api/v1/series", 1000)?;
        self.series.extend(series.iter().map(|row| text(row, "series")));
        let transitions = daemon.try_pages("/api/v1/transitions", 1000)?;
        self.transitions.extend(transitions.iter().map(Value::to_string));
        let thresholds = daemon.try_pages("/api/v1/thresholds", 1000)?;
        self.thresholds.extend(thresholds.iter().map(|row| (text(row, "series"), text(row, "learned_at"))));
        Ok(())
    }
}

/// Twenty lives. In each, one client gives verdicts without a pause and another reads the lists, until the kill comes after
/// a number of readings that the seed says: in the middle of anything.
#[test]
fn what_was_acknowledged_or_listed_outlives_twenty_kills() {
    let mut seed = 20;
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    let mut told = Told::default();
    for turn in 1..=20 {
        // Every life brings series of its own: one that can be learned at once, and some that come one after another.
        let (mut history, mut live) = (String::new(), "timestamp,value,series\n".to_owned());
        for n in 0..150 {
            let row =
                json!({ "series": format!("learned_{turn}"), "timestamp": now() - 2000 + n * 10, "value": n % 7 });
            writeln!(history, "{row}").expect("text");
            writeln!(live, "{},1,live_{turn}_{n}", now() + n).expect("text");
        }
        std::fs::write(dir.path().join("history.jsonl"), history).expect("a file");
        std::fs::write(dir.path().join("live.csv"), live).expect("a file");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let config = json!({
            "host": { "enabled": false },
            "files": [
                { "path": path("rows.jsonl") }, { "path": path("history.jsonl") },
                { "path": path("live.csv"), "speed": "50x" },
            ],
            "states": quick(),
            "store": { "snapshot_interval": "1s" },
        });
        std::fs::write(dir.path().join("homeostat.yaml"), config.to_string()).expect("a file");
        let mut daemon = Daemon::go_on(dir.path());

        let place = format!("seed 20, turn {turn}");
        let mut after = Told::default();
        after.list(&daemon).expect("nobody kills it yet");
        assert_eq!(told.series.difference(&after.series).next(), None, "{place}: a series is gone");
        assert_eq!(told.transitions.difference(&after.transitions).next(), None, "{place}: a transition is gone");
        for (series, learned_at) in &told.thresholds {
            let held = after.thresholds.get(series).unwrap_or_else(|| panic!("{place}: {series} has no threshold"));
            assert!(held >= learned_at, "{place}: {series} has a threshold of {held}; one of {learned_at} was listed");
        }
        let signals = daemon.pages("/api/v1/signals?loop=anomaly_feedback", 1000);
        let held: BTreeSet<u64> = signals
            .iter()
            .filter(|signal| signal["series"] == "load" && signal["verdict"] == "false")
            .filter_map(|signal| signal["id"].as_u64())
            .collect();
        assert_eq!(told.verdicts.difference(&held).next(), None, "{place}: a verdict is gone");

        let state = if turn % 2 == 0 { "optimizing" } else { "healthy" };
        assert_eq!(daemon.post("/api/v1/state", &json!({ "state": state, "for": "1h" })).status, 200);
        if turn == 1 {
            daemon.wait_for_thresholds(3);
        }
        let readings = 1 + draw(&mut seed) % 60;
        let verdicts = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut acknowledged = Vec::new();
                while let Ok(answer) =
                    daemon.try_post("/api/v1/feedback", &json!({ "series": "load", "verdict": "false" }))
                {
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    acknowledged.push(answer.json()["id"].as_u64().expect("an id"));
                }
                acknowledged
            });
            for _ in 0..readings {
                told.list(&daemon).expect("nobody killed it yet");
            }
            daemon.signal("-KILL");
            client.join().expect("the client ends when nobody answers")
        });
        told.verdicts.extend(verdicts);
        daemon.ended();
    }
    // Verdicts, series, transitions, thresholds.
    let counts = [told.verdicts.len(), told.series.len(), told.transitions.len(), told.thresholds.len()];
    assert!(counts.iter().zip([20, 20, 20, 3]).all(|(told, least)| *told >= least), "too little was told: {counts:?}");
}

/// A loop under pressure: its own memory is beyond a limit set far too low, so parallelism is lowered. Nothing of the host
/// becomes a series.
const PRESSED: &str = "
host: {interval: 1s, processor: false, memory: false, load: false, pressure: false, disk: false, filesystem: false, network: false, process: false}
states:
  limits:
    own_memory: {degraded: {enter: 0.0002, leave: 0.0001}, critical: null}
    host_processor: {degraded: {enter: 1, leave: 0.99}, critical: null}
  healthy: {monitoring_interval: 1s, execution_parallelism: 100}
  optimizing: {monitoring_interval: 1s, execution_parallelism: 100}
  degraded: {monitoring_interval: 1s, execution_parallelism: 100}
";

fn pressed(dir: &Path) -> Daemon {
    configure(dir, "");
    let files = format!("files: [{{path: {}}}]\n", dir.join("rows.jsonl").display());
    std::fs::write(dir.join("homeostat.yaml"), files + PRESSED).expect("a file");
    Daemon::go_on(dir)
}

#[test]
fn a_restart_goes_on_where_it_was_stopped() {
    let dir = TempDir::new().expect("a folder");
    let mut daemon = pressed(dir.path());
    daemon.wait_for_thresholds(2);
    let before = daemon.sensitivity("load");
    for _ in 0..3 {
        assert_eq!(daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "false" })).status, 200);
    }
    let factor = |daemon: &Daemon| daemon.metric("homeostat_factor_ratio{parameter=\"execution_parallelism\"}");
    wait_until("a sensitivity that moved", || (daemon.sensitivity("load") > before).then_some(()));
    wait_until("a factor that moved", || (factor(&daemon) < 1.0).then_some(()));
    // From here on nothing moves, so that what is held before and after can be compared.
    assert_eq!(daemon.post("/api/v1/freeze", &json!({ "frozen": true })).status, 200);
    assert_eq!(daemon.post("/api/v1/state", &json!({ "state": "recovering", "for": "1h" })).status, 200);

    let standing = |daemon: &Daemon| {
        let state = daemon.data("/api/v1/state");
        let thresholds = daemon.pages("/api/v1/thresholds", 100);
        let held: Vec<_> = thresholds
            .iter()
            .map(|row| {
                ["series", "upper", "lower", "sensitivity", "strategy", "learned_at"].map(|key| row[key].clone())
            })
            .collect();
        json!([held, state["state"], state["since"], state["forced_until"], state["frozen"]])
    };
    let lists =
        ["/api/v1/actions", "/api/v1/signals", "/api/v1/transitions", "/api/v1/optimizations", "/api/v1/events"];
    let told = |daemon: &Daemon| lists.map(|list| daemon.pages(list, 1000));
    let (standing_before, factor_before, told_before) = (standing(&daemon), factor(&daemon), told(&daemon));
    assert!(told_before.iter().all(|rows| !rows.is_empty()), "every history has something to lose");
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().code(), Some(0));

    let daemon = Daemon::go_on(dir.path());
    assert_eq!(standing(&daemon), standing_before);
    // A factor halves its distance to 1 each hour.
    assert!((factor(&daemon) - factor_before).abs() < 0.02, "{} {factor_before}", factor(&daemon));
    for ((list, before), after) in lists.iter().zip(told_before).zip(told(&daemon)) {
        // What an action came to may have been found out since.
        let ids = |rows: &[Value]| rows.iter().map(|row| json!([row["id"], row["seq"], row["at"]])).collect::<Vec<_>>();
        assert!(ids(&after).ends_with(&ids(&before)), "{list} goes on");
    }
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(!said.contains("brought back from journal"), "an orderly end leaves nothing to replay: {said}");
}

#[test]
fn a_second_signal_stops_at_once_and_loses_nothing() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    let mut daemon = Daemon::go_on(dir.path());
    daemon.wait_for_thresholds(2);
    let id = daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "true" })).json()["id"].clone();
    // A request that never ends is waited for; that it was begun, the answer to its head tells.
    let mut unfinished = TcpStream::connect(&daemon.address).expect("it listens");
    write!(
        unfinished,
        "POST /api/v1/feedback HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: \
         100-continue\r\n\r\n",
        daemon.address
    )
    .expect("sent");
    let mut line = String::new();
    BufReader::new(&unfinished).read_line(&mut line).expect("an answer");
    assert!(line.contains("100"), "{line}");

    daemon.signal("-TERM");
    let said = || std::fs::read_to_string(dir.path().join("err")).expect("readable");
    wait_until("the end to begin", || said().contains("once more to stop at once").then_some(()));
    daemon.signal("-INT");
    assert_eq!(daemon.ended().code(), Some(130), "{}", said());

    let daemon = Daemon::go_on(dir.path());
    let signals = daemon.get("/api/v1/signals?loop=anomaly_feedback").json();
    assert_eq!(signals["data"][0]["id"], id);
    assert!(said().contains("brought back from journal"), "{}", said());
}

#[test]
fn a_hangup_reads_the_configuration_again_all_or_nothing() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    let daemon = Daemon::go_on(dir.path());
    let path = dir.path().join("homeostat.yaml");
    let before = std::fs::read_to_string(&path).expect("readable");
    let confidence_min = || daemon.data("/api/v1/explain?series=load")["confidence_min"].clone();
    let said = || std::fs::read_to_string(dir.path().join("err")).expect("readable");

    std::fs::write(&path, format!("{before}\nlearning: {{confidence_min: 0.9, window_len: 1}}\n")).expect("writable");
    daemon.signal("-HUP");
    wait_until("the refusal", || said().contains("the configuration stays as it was").then_some(()));
    assert!(said().contains("window_len"), "{}", said());
    assert_eq!(confidence_min(), 0.5);

    std::fs::write(&path, format!("{before}\nlearning: {{confidence_min: 0.9}}\n")).expect("writable");
    daemon.signal("-HUP");
    wait_until("the new configuration", || (confidence_min() == 0.9).then_some(()));
    wait_until("its keys", || said().contains("was read again; changed: learning.confidence_min").then_some(()));
    std::fs::write(&path, format!("{before}\nlearning: {{confidence_min: 0.9}}\nlog: {{level: debug}}\n"))
        .expect("writable");
    daemon.signal("-HUP");
    let waits = "changed: log.level; log.level takes effect at the next start";
    wait_until("what waits for a start", || said().contains(waits).then_some(()));
}

/// Whatever page of the file the disk has lost: it starts, keeps the file, and knows what the rest of it says.
#[test]
fn a_damaged_file_is_set_aside_and_what_can_be_read_of_it_taken_over() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
    assert_eq!(daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "false" })).status, 200);
    daemon.stop();
    let file = dir.path().join("data/homeostat.db");
    let whole = std::fs::read(&file).expect("readable");
    let pages = whole.len() / 4096;
    let mut set_aside = 0;
    for page in (1..8).map(|eighth| pages * eighth / 8) {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&file, &bytes).expect("writable");
        let daemon = Daemon::go_on(dir.path());
        wait_until("samples, of memory or of the file", || (held(&daemon).values().sum::<u64>() == 600).then_some(()));
        daemon.wait_for_thresholds(2);
        daemon.stop();
        let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
        if let Some(line) = said.lines().find(|line| line.contains("Taken over")) {
            let (_, rest) = line.split_once("homeostat.db is damaged").expect("what");
            let (_, rest) = rest.split_once("set aside as ").expect("where to");
            let aside = dir.path().join(rest.split_once(". Taken over").expect("what of it").0);
            assert_eq!(std::fs::read(&aside).expect("it is kept"), bytes, "page {page}");
            assert!(rest.contains("bring back a copy"), "page {page}: {said}");
            set_aside += 1;
        }
    }
    assert!(set_aside > 0, "none of seven pages of {pages} held anything");

    // Damage that only a write meets is mended at the next start.
    std::fs::write(&file, &whole).expect("writable");
    std::fs::write(dir.path().join("data/homeostat.db.is-damaged"), "a page of an index").expect("writable");
    Daemon::go_on(dir.path()).stop();
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(said.contains("is damaged (a page of an index); it was set aside as"), "{said}");
    Daemon::go_on(dir.path()).stop();
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(!said.contains("is damaged"), "once: {said}");

    // Cut off behind its head, it does not say how much was in it.
    let mut bytes = whole;
    bytes[4096..].fill(0xa5);
    std::fs::write(&file, &bytes).expect("writable");
    Daemon::go_on(dir.path()).stop();
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(said.contains("Taken over: 0 events. How many events were lost is not known"), "{said}");
    // Cut off to nothing, it looks like one that was never there.
    std::fs::write(&file, "").expect("writable");
    Daemon::go_on(dir.path()).stop();
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert_eq!(said.matches("homeostat.db is empty: whatever it held is lost").count(), 1, "{said}");
    Daemon::go_on(dir.path()).stop();
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(!said.contains("is empty"), "once: {said}");
}

/// How many samples each series holds.
fn held(daemon: &Daemon) -> BTreeMap<String, u64> {
    let rows = daemon.list("/api/v1/series?limit=1000");
    rows.iter().filter_map(|row| Some((row["series"].as_str()?.to_owned(), row["samples"].as_u64()?))).collect()
}

#[test]
fn a_kill_soon_after_the_start_leaves_the_windows_and_no_row_is_read_twice() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    let daemon = Daemon::go_on(dir.path());
    daemon.wait_for_thresholds(2);
    wait_until("the first snapshot", || (daemon.metric("homeostat_snapshots_total") >= 1.0).then_some(()));
    let before = held(&daemon);
    assert_eq!(before.values().sum::<u64>(), 600, "{before:?}");
    daemon.kill();

    // Five rows more than were read, and the file grew in place.
    let path = dir.path().join("rows.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("writable");
    for n in 0..5 {
        writeln!(file, r#"{{"series":"load","timestamp":{},"value":10.5}}"#, now() - 4 + n).expect("written");
    }
    drop(file);
    let daemon = Daemon::go_on(dir.path());
    wait_until("the rest", || (held(&daemon)["load"] == 305).then_some(()));
    assert_eq!(daemon.metric("homeostat_rows_total"), 5.0, "the others were read in the life before");
    assert_eq!(held(&daemon).values().sum::<u64>(), 605);
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(said.contains("was read up to line 600; going on behind it"), "{said}");
    daemon.stop();

    // Memory is what counts: with the file gone all is there, and it is waited for.
    std::fs::remove_file(&path).expect("ours");
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(held(&daemon).values().sum::<u64>(), 605);
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert_eq!(said.matches("is not there yet").count(), 1, "{said}");
}

/// What this host gave cannot be read again: it is written down before it is judged.
#[test]
fn a_kill_costs_no_sample_of_what_cannot_be_read_again() {
    let dir = TempDir::new().expect("a folder");
    // The one snapshot that comes is the first, after ten seconds.
    let config = "host: {interval: 1s, warmup_interval: 100ms}\nstore: {snapshot_interval: 1h}\n";
    std::fs::write(dir.path().join("homeostat.yaml"), config).expect("a file");
    let mut before: BTreeMap<String, u64> = BTreeMap::new();
    for life in 1..=3 {
        let daemon = Daemon::go_on(dir.path());
        let now = held(&daemon);
        for (series, samples) in &before {
            assert!(
                now.get(series) >= Some(samples),
                "life {life}: {series} had {samples} samples, now {:?}",
                now.get(series)
            );
        }
        let wanted = before.values().max().copied().unwrap_or(0) + 15;
        before =
            wait_until("samples", || Some(held(&daemon)).filter(|held| held.values().any(|count| *count >= wanted)));
        daemon.kill();
    }
    // A record that the kill tore off was told to nobody: it is left out, and the rest is there.
    let newest = std::fs::read_dir(dir.path().join("data/samples"))
        .expect("a folder")
        .map(|entry| entry.expect("a file").path());
    let newest = newest.max().expect("a segment");
    let mut file = std::fs::OpenOptions::new().append(true).open(&newest).expect("writable");
    file.write_all(&[200, 0, 0, 0, 1, 2, 3, 4, 5]).expect("written");
    drop(file);
    let daemon = Daemon::go_on(dir.path());
    let now = held(&daemon);
    assert!(before.iter().all(|(series, samples)| now.get(series) >= Some(samples)), "{before:?} {now:?}");
    let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
    assert!(said.contains(&format!("{}: 9 bytes from byte", newest.file_name().expect("a name").display())), "{said}");
    daemon.stop();
    let left = std::fs::read_dir(dir.path().join("data/samples")).expect("a folder").count();
    assert_eq!(left, 1, "an orderly end wrote memory down, and what it holds is gone");
}

#[test]
fn a_damaged_part_of_a_snapshot_is_set_aside_and_the_rest_goes_on() {
    let dir = TempDir::new().expect("a folder");
    let daemon = Daemon::learned(dir.path(), "");
    let id = daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "false" })).json()["id"].clone();
    wait_until("the change it makes", || (daemon.sensitivity("load") > 2.0).then_some(()));
    let sensitivity = daemon.sensitivity("load");
    let before = daemon.pages("/api/v1/transitions", 100);
    daemon.stop();
    let database = || rusqlite::Connection::open(dir.path().join("data/homeostat.db")).expect("the store");
    let parts: Vec<String> = {
        let database = database();
        let mut select = database.prepare("select part from snapshot order by part").expect("a query");
        let rows = select.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    };
    for part in ["general", "histograms", "files", "queries", "samples", "series/0"] {
        assert!(parts.iter().any(|written| written == part), "{part}: {parts:?}");
    }
    for part in parts {
        // One byte in the middle is another one than was written.
        let body: Vec<u8> = {
            let database = database();
            let mut body: Vec<u8> = database
                .query_row("select body from snapshot where part = ?1", [&part], |row| row.get(0))
                .expect("a part");
            let middle = body.len() / 2;
            body[middle] ^= 0x55;
            database.execute("update snapshot set body = ?1 where part = ?2", (&body, &part)).expect("writable");
            body
        };
        let daemon = Daemon::go_on(dir.path());
        let said = std::fs::read_to_string(dir.path().join("err")).expect("readable");
        let line = said.lines().find(|line| line.contains("is damaged")).unwrap_or_else(|| panic!("{part}: {said}"));
        for word in [&format!("part {part} "), "homeostat.db", "Lost: ", "Nothing has to be done"] {
            assert!(line.contains(word), "{part}: {word}: {line}");
        }
        let aside = line.split_once("set aside as ").and_then(|(_, rest)| rest.split_once(". Lost")).expect("a file").0;
        assert_eq!(std::fs::read(dir.path().join(aside)).expect("it is kept"), body, "{part}");
        // Thresholds, verdicts and histories are as the journal knows them; the file gives its samples again.
        assert_eq!(daemon.sensitivity("load"), sensitivity, "{part}");
        let signals = daemon.pages("/api/v1/signals?loop=anomaly_feedback", 100);
        assert_eq!(signals.last().map(|signal| &signal["id"]), Some(&id), "{part}");
        assert!(daemon.pages("/api/v1/transitions", 100).ends_with(&before), "{part}");
        wait_until("samples", || (held(&daemon).values().sum::<u64>() == 600).then_some(()));
        daemon.stop();
    }
}

/// Nothing else is written meanwhile: that the disk is full is found out by what is asked for.
#[cfg(target_os = "linux")]
#[test]
fn what_is_imported_or_read_again_on_a_full_disk_is_refused_and_not_done() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    let row = json!({ "monitoring_interval": "1h", "planning_lookahead": "1h" });
    let mut config = json!({
        "host": { "enabled": false, "interval": "1h" },
        "files": [{ "path": dir.path().join("rows.jsonl").display().to_string() }],
        "states": { "healthy": row, "optimizing": row, "degraded": row, "recovering": row },
        "store": { "snapshot_interval": "1d" },
    });
    let configure = |config: &Value| {
        std::fs::write(dir.path().join("homeostat.yaml"), config.to_string()).expect("a file");
    };
    configure(&config);
    let daemon = Daemon::go_on(dir.path());
    wait_until("series", || (daemon.names().len() >= 2).then_some(()));
    let bounds =
        json!({ "data": [{ "series": "load", "lower": 1.0, "upper": 2.0, "sensitivity": 2.0, "confidence": 0.9 }] });
    let import = || daemon.post("/api/v1/thresholds", &bounds);
    let imported = || daemon.list("/api/v1/thresholds").iter().any(|row| row["strategy"] == "imported");
    let reload = || daemon.post_text("/-/reload", "");
    let confidence_min = || daemon.data("/api/v1/explain?series=load")["confidence_min"].clone();
    config["learning"] = json!({ "confidence_min": 0.9 });

    let full = |ask: &dyn Fn() -> common::Answer| {
        // It takes a moment until the driver tries again by itself: until then it would know without a write.
        wait_until("the store", || (daemon.metric("homeostat_store_problem") == 0.0).then_some(()));
        daemon.limit_file_size("0");
        assert!(ask().problem(507).contains("nothing was changed"));
        daemon.limit_file_size("unlimited");
    };
    full(&import);
    assert!(!imported(), "what was refused was not done");
    configure(&config);
    full(&reload);
    assert_eq!(confidence_min(), 0.5, "what was refused was not done");

    wait_until("room", || (import().status == 200).then_some(()));
    assert!(imported());
    assert_eq!(reload().status, 200);
    assert_eq!(confidence_min(), 0.9);
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_judging_goes_on_and_nothing_is_changed_or_acknowledged_until_there_is_room() {
    let dir = TempDir::new().expect("a folder");
    configure(dir.path(), "");
    // Twenty samples a second that go on from the history.
    let mut live = "timestamp,value,series\n".to_owned();
    for n in 0..20_000 {
        writeln!(live, "{},{},load", now() + n, 10.0 + (n * 7919 % 101) as f64 / 101.0).expect("text");
    }
    std::fs::write(dir.path().join("live.csv"), live).expect("a file");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let config = json!({
        "host": { "enabled": false },
        "files": [{ "path": path("rows.jsonl") }, { "path": path("live.csv"), "speed": "20x" }],
        "states": quick(),
        "store": { "snapshot_interval": "1s" },
    });
    std::fs::write(dir.path().join("homeostat.yaml"), config.to_string()).expect("a file");
    let daemon = Daemon::go_on(dir.path());
    daemon.wait_for_thresholds(2);
    let room = |size: &str| daemon.limit_file_size(size);
    let verdict = || daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": "false" }));
    let judged = || daemon.metric("homeostat_judged_samples_total");
    let cycles = || daemon.data("/api/v1/statistics")["cycles"].as_u64().expect("a number");
    let latest = || daemon.get("/api/v1/events?limit=1").json()["data"][0]["seq"].as_u64().expect("a number");
    let mut stream = daemon.stream(None);
    let first = verdict().json()["id"].as_u64().expect("an id");

    room("0");
    let full_since = jiff::Timestamp::now();
    let detail = verdict().problem(507);
    assert!(detail.contains("homeostat.db") && detail.contains("nothing was changed"), "{detail}");
    daemon.post("/api/v1/state", &json!({ "state": "critical", "for": "1h" })).problem(507);
    daemon.post("/api/v1/freeze", &json!({ "frozen": true })).problem(507);
    let state = daemon.data("/api/v1/state");
    assert!(state["forced_until"].is_null() && state["frozen"] == false, "what was refused was not done: {state}");
    assert!(daemon.get("/-/ready").text.contains("cannot be stored"));
    assert_eq!(daemon.metric("homeostat_store_problem"), 1.0);

    // Forty samples are two seconds: a cycle and a snapshot would be due every second.
    let (begun, stood, sensitivity, stored) = (judged(), cycles(), daemon.sensitivity("load"), latest());
    wait_until("samples that are judged all the same", || (judged() >= begun + 40.0).then_some(()));
    assert_eq!(cycles(), stood, "the loop stands still");
    assert_eq!((daemon.sensitivity("load"), latest()), (sensitivity, stored));
    verdict().problem(507);
    let full_until = jiff::Timestamp::now();

    room("unlimited");
    let second = wait_until("room", || {
        let answer = verdict();
        (answer.status == 200).then(|| answer.json()["id"].as_u64().expect("an id"))
    });
    wait_until("the loop to go on", || (cycles() > stood).then_some(()));
    wait_until("bounds that move", || (daemon.sensitivity("load") > sensitivity).then_some(()));
    assert_eq!(daemon.metric("homeostat_store_problem"), 0.0);
    assert_eq!(daemon.metric("homeostat_store_events_lost_total"), 0.0);
    let mut told = Vec::new();
    loop {
        let (seq, event) = stream.next().expect("the stream outlives a full disk");
        told.push(seq);
        if event["kind"] == "signalled" && event["signal"]["id"] == second {
            break;
        }
    }
    assert!(told.windows(2).all(|pair| pair[1] == pair[0] + 1), "told in order, without a gap: {told:?}");

    drop(daemon);
    let daemon = Daemon::go_on(dir.path());
    for stored in daemon.pages("/api/v1/events", 1000) {
        let at: jiff::Timestamp = stored["at"].as_str().expect("a time").parse().expect("RFC 3339");
        let judging = ["series_added", "alerted"].iter().any(|kind| stored["event"]["kind"] == *kind);
        assert!(judging || at <= full_since || at >= full_until, "decided while nothing could be stored: {stored}");
    }
    let verdicts = daemon.pages("/api/v1/signals?loop=anomaly_feedback", 100);
    let ids: Vec<u64> = verdicts.iter().filter_map(|signal| signal["id"].as_u64()).collect();
    assert_eq!(ids, [second, first], "those that were acknowledged, and no other");
}

/// What a start says that cannot be: the world failed, and nothing was served.
fn refusal(ran: Output) -> String {
    let said = String::from_utf8(ran.stderr).expect("text");
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(ran.stdout.is_empty(), "{:?}", ran.stdout);
    said
}

#[test]
fn a_folder_of_a_newer_version_is_left_alone_and_told() {
    let dir = TempDir::new().expect("a folder");
    let mut daemon = Daemon::start(dir.path(), "");
    daemon.signal("-TERM");
    assert!(daemon.ended().success());
    let file = dir.path().join("data/homeostat.db");
    let newer = rusqlite::Connection::open(&file).expect("a database");
    newer.execute_batch("pragma user_version = 1000; create table of_the_future (n integer)").expect("writable");
    drop(newer);
    let bytes = std::fs::read(&file).expect("readable");
    let said = refusal(command(dir.path(), "127.0.0.1:0").output().expect("it runs"));
    for word in ["homeostat.db", "newer", "1000", "--data"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(std::fs::read(&file).expect("readable"), bytes, "not a byte of it was touched");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let dir = TempDir::new().expect("a folder");
    let refused = |data: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
        command.args(["run", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let said = refusal(command.output().expect("it runs"));
        assert!(said.contains(&data.display().to_string()) && said.contains("--data"), "{said}");
        said
    };
    let data = dir.path().join("shut");
    std::fs::create_dir(&data).expect("a folder");
    let shut = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&data, shut).expect("ours");
    // Nothing is shut to root: then the kernel's own folder has to do, where nobody makes files.
    if std::fs::write(data.join("probe"), "").is_err() {
        assert!(refused(&data).contains("cannot be written to"));
    }
    #[cfg(target_os = "linux")]
    assert!(refused(Path::new("/sys/homeostat")).contains("cannot be written to"));
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    refused(&file);
}
