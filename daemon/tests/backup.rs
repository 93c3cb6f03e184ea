//! Copies of the data folder of a running daemon: what was acknowledged before one began is in it. And whether a folder is whole.

mod common;

use common::sent::{held, moment};
use common::{Daemon, folder, homeostat, now, run, wait_until, write};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Series of the sender; each of its requests has one sample of each.
const SERIES: usize = 100;

const CONFIG: &str = "host: {enabled: false}\nstore: {snapshot_interval: 1s}\n";

fn signals(daemon: &Daemon) -> Vec<u64> {
    let rows = daemon.pages("/api/v1/signals", 1000);
    rows.iter().filter_map(|row| row["id"].as_u64()).collect()
}

/// Every file of a folder with its bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push((path.clone(), std::fs::read(&path).expect("readable"))),
        }
    }
    all.sort();
    all
}

#[test]
fn a_copy_made_while_samples_are_sent_has_all_that_was_acknowledged_before_it_began() {
    let dir = folder();
    write(&dir, "homeostat.yaml", CONFIG);
    let begin = now() as i64 - 80_000;
    let daemon = Daemon::go_on(dir.path());
    let (acknowledged, done) = (AtomicI64::new(0), AtomicBool::new(false));
    // What had been acknowledged before each copy began, and what may be in it at most.
    let mut copies: Vec<(i64, i64, Vec<u64>)> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let turn = acknowledged.load(Ordering::SeqCst);
                assert_eq!(daemon.write_one(&moment(SERIES, begin, turn)).status, 204);
                acknowledged.store(turn + 1, Ordering::SeqCst);
            }
        });
        let mut said = Vec::new();
        for copy in 0..8 {
            let more = acknowledged.load(Ordering::SeqCst) + 20 + 17 * copy;
            wait_until("samples", || (acknowledged.load(Ordering::SeqCst) >= more).then_some(()));
            let body = json!({ "series": "sent{n=\"1\"}", "verdict": "false" });
            let answer = daemon.post("/api/v1/feedback", &body);
            said.push(answer.json()["id"].as_u64().expect("taken"));
            let before = acknowledged.load(Ordering::SeqCst);
            let ran = run(&dir, &["backup", &format!("copy{copy}"), "--data", "data", "--output", "json"]);
            assert_eq!(ran.code, 0, "copy {copy}: {} {}", ran.out, ran.err);
            let told: Value = serde_json::from_str(&ran.out).expect("JSON");
            assert_eq!(told["data"]["running"], true, "{told}");
            copies.push((before, acknowledged.load(Ordering::SeqCst) + 1, said.clone()));
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(copies.last().map(|(.., said)| said.len()), Some(8), "verdicts were taken");
    let beside = run(&dir, &["check", "data"]);
    assert_eq!((beside.code, beside.out.contains("in use by process")), (0, true), "{} {}", beside.out, beside.err);
    daemon.kill();
    for (copy, (before, most, said)) in copies.into_iter().enumerate() {
        let (place, name) = (format!("copy {copy}"), format!("copy{copy}"));
        let whole = files(&dir.path().join(&name));
        let checked = run(&dir, &["check", &name, "--full"]);
        assert_eq!(checked.code, 0, "{place}: {} {}", checked.out, checked.err);
        assert!(checked.out.contains("a backup of") && checked.out.contains("is whole"), "{place}: {}", checked.out);
        assert!(whole == files(&dir.path().join(&name)), "{place}: a look changes no byte");
        let restored = folder();
        write(&restored, "homeostat.yaml", CONFIG);
        std::fs::rename(dir.path().join(&name), restored.path().join("data")).expect("one disk");
        let daemon = Daemon::go_on(restored.path());
        let held = held(&daemon);
        assert_eq!(held.len(), SERIES, "{place}");
        assert!(
            held.iter().all(|samples| (before..=most).contains(samples)),
            "{place}: {before} requests were acknowledged before it began, at most {most} sent; held are {held:?}"
        );
        let signals = signals(&daemon);
        assert!(
            said.iter().all(|id| signals.contains(id)),
            "{place}: {said:?} were acknowledged, held are {signals:?}"
        );
        let start = daemon.data("/api/v1/statistics")["start"].clone();
        assert_eq!((start["before"].as_str(), start["found"].to_string().as_str()), (Some("backup"), "[]"), "{place}");
        // It goes on, and no number of an event is given twice.
        let first = daemon.list("/api/v1/events?limit=1")[0]["seq"].as_u64().expect("a number");
        let body = json!({ "series": "sent{n=\"1\"}", "verdict": "false" });
        assert_eq!(daemon.post("/api/v1/feedback", &body).status / 100, 2, "{place}");
        let next = daemon.list("/api/v1/events?limit=1")[0]["seq"].as_u64().expect("a number");
        assert!(next > first, "{place}");
        daemon.stop();
    }
}

#[test]
fn no_secret_is_in_a_copy() {
    let dir = folder();
    let hashed = run(&dir, &["access", "hash", "ops", "--token", "--role", "operate,read,feedback,write"]);
    let token = hashed.err.trim().rsplit(' ').next().expect("a token").to_owned();
    // Where nobody should put them: in the data folder itself.
    std::fs::create_dir_all(dir.path().join("data")).expect("a folder");
    write(&dir, "data/access.yml", &format!("tokens:\n{}\n", hashed.out.trim_end()));
    write(&dir, "data/token", &token);
    write(&dir, "homeostat.yaml", &format!("{CONFIG}http: {{access: data/access.yml}}\n"));
    let mut daemon = homeostat(&dir);
    daemon.args(["run", "--config", "homeostat.yaml", "--data", "data", "--listen", "127.0.0.1:0"]);
    daemon.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = daemon.spawn().expect("the binary runs");
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
    let url = format!("http://{}", line.rsplit("://").next().expect("an address").trim().trim_end_matches('/'));
    let frozen = run(&dir, &["freeze", "on", "--url", &url, "--token-file", "data/token"]);
    assert_eq!(frozen.code, 0, "{}", frozen.err);
    let ran = run(&dir, &["backup", "copy", "--config", "homeostat.yaml", "--data", "data"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    let copied = files(&dir.path().join("copy"));
    let names: Vec<String> =
        copied.iter().map(|(path, _)| path.strip_prefix(dir.path()).expect("in it").display().to_string()).collect();
    assert!(names.iter().all(|name| name == "copy/homeostat.db" || name.starts_with("copy/samples/")), "{names:?}");
    let digest = hashed.out.split('"').find(|text| text.len() == 64).expect("a digest");
    for (path, bytes) in &copied {
        for secret in [token.as_bytes(), digest.as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
    // The audit is in it: who did what is no secret of those who keep the copy.
    let (_, store) = copied.iter().find(|(path, _)| path.ends_with("homeostat.db")).expect("a store");
    assert!(store.windows(9).any(|window| window == b"token ops"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = dir.path().join("copy").metadata().expect("a folder").permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else looks into it");
    }
}

#[test]
fn a_backup_and_a_check_that_cannot_be_say_why_and_exit_as_scripts_expect() {
    let dir = folder();
    write(&dir, "homeostat.yaml", CONFIG);
    let daemon = Daemon::go_on(dir.path());
    daemon.stop();
    for (args, code, said) in [
        (["backup", "data", "--data", "data"], 2, "is not empty: a backup writes over nothing"),
        (["backup", "data/copy", "--data", "data"], 2, "lies in the data folder itself"),
        (["backup", "copy", "--data", "none"], 3, "none"),
        (["backup", "no/copy", "--data", "data"], 3, "no"),
        (["check", "none", "--output", "json"], 2, "none"),
        (["check", "data", "--output", "json"], 0, ""),
    ] {
        let ran = run(&dir, &args);
        assert_eq!(ran.code, code, "{args:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
    // On a disk that is full in the middle of it, nothing is left; here a limit of file size stands for that.
    let full = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 8; exec \"$0\" backup copy --data data", env!("CARGO_BIN_EXE_homeostat")])
        .env("HOME", dir.path())
        .current_dir(&dir)
        .output()
        .expect("a shell");
    assert_eq!(full.status.code(), Some(3), "{}", String::from_utf8_lossy(&full.stderr));
    assert!(!dir.path().join("copy").exists() && !dir.path().join("copy.partial").exists());
    assert_eq!(run(&dir, &["backup", "copy", "--data", "data"]).code, 0);
    // A page in the middle of the copy goes bad.
    let path = dir.path().join("copy/homeostat.db");
    let mut bytes = std::fs::read(&path).expect("readable");
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&path, &bytes).expect("written");
    let ran = run(&dir, &["check", "copy", "--output", "json"]);
    assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let problems = report["data"]["problems"].as_array().expect("a list");
    assert!(!problems.is_empty() && problems.iter().all(|problem| problem["remedy"].as_str().is_some()), "{report}");
    let table = run(&dir, &["check", "copy"]);
    assert!(table.code == 1 && table.out.contains("what to do") && !table.out.contains("is whole"), "{}", table.out);
    assert!(bytes == std::fs::read(&path).expect("readable"), "nothing is mended behind anybody's back");
}

/// A kill is told at the next start, in the log, by the API and by `status`; an orderly stop is not.
#[test]
fn an_end_that_was_not_orderly_is_told_with_what_was_found() {
    let dir = folder();
    write(&dir, "homeostat.yaml", CONFIG);
    let start = |daemon: &Daemon| daemon.data("/api/v1/statistics")["start"]["before"].clone();
    let status = |daemon: &Daemon| run(&dir, &["status", "--url", &daemon.url()]).out;
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(start(&daemon), "first_start");
    assert!(!status(&daemon).contains("before the start"));
    assert_eq!(daemon.write_one(&moment(SERIES, now() as i64 - 100, 0)).status, 204);
    daemon.kill();
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(start(&daemon), "broken_off");
    let said = status(&daemon);
    let line = said.lines().find(|line| line.starts_with("before the start")).expect("told");
    assert!(line.contains("broken off, by a kill") && line.contains("samples were brought back"), "{line}");
    assert!(said.contains("no damage was found"), "{said}");
    let log = std::fs::read_to_string(dir.path().join("err")).expect("a log");
    assert!(log.contains("the life before: broken off"), "{log}");
    daemon.stop();
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(start(&daemon), "stopped");
    daemon.kill();
    // A table's page goes bad while nobody runs: the look after the kill finds it before anything is built on it.
    let path = dir.path().join("data/homeostat.db");
    let store = rusqlite::Connection::open(&path).expect("a store");
    store.execute_batch("pragma wal_checkpoint(truncate)").expect("one file");
    let text = "select rootpage from sqlite_schema where name = 'events_by_kind'";
    let page: usize = store.query_row(text, [], |row| row.get::<_, i64>(0)).expect("an index") as usize;
    drop(store);
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    std::fs::write(&path, bytes).expect("written");
    let daemon = Daemon::go_on(dir.path());
    let told = daemon.data("/api/v1/statistics")["start"].clone();
    assert!(told["found"][0].as_str().is_some_and(|found| found.contains("it was set aside as")), "{told}");
    assert!(status(&daemon).contains("lost: "), "{told}");
    daemon.kill();
    // Nothing of it is left but its head, which does not say how the life ended, and not that there was none.
    let store = rusqlite::Connection::open(&path).expect("a store");
    store.execute_batch("pragma wal_checkpoint(truncate)").expect("one file");
    drop(store);
    let bytes = std::fs::read(&path).expect("readable");
    std::fs::write(&path, [&bytes[..4096], &vec![0xa5; bytes.len() - 4096]].concat()).expect("written");
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(start(&daemon), "damaged");
    let said = status(&daemon);
    assert!(said.contains("how it ended is not known") && said.contains("it was set aside as"), "{said}");
    assert!(!said.contains("nothing was there before"), "{said}");
    // The first page goes bad, by which the file is known: what was acknowledged is there all the same, also where the kill left it
    // in the log.
    let answer = daemon.post("/api/v1/freeze", &json!({ "frozen": true }));
    assert_eq!(answer.status / 100, 2, "{}", answer.text);
    daemon.kill();
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[..4096].fill(0);
    std::fs::write(&path, bytes).expect("written");
    let checked = run(&dir, &["check", "data"]);
    assert!(checked.code == 1 && checked.out.contains("start homeostat on it"), "{} {}", checked.out, checked.err);
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(start(&daemon), "broken_off");
    assert_eq!(daemon.data("/api/v1/state")["frozen"], true);
    assert!(status(&daemon).contains("it was set aside as"), "{}", status(&daemon));
}
