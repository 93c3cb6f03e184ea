//! Time zones and calendars as a person meets them: in the configuration, on the command line, and from a running daemon.

mod common;

use common::{Daemon, folder, now, read, run, wait_until, write};
use homeostat::time::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

fn calendar(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
}

fn event(name: &str, from: u64, until: u64) -> String {
    let text = |secs: u64| {
        let at = Timestamp::from_secs(secs as i64).to_string();
        at.replace(['-', ':'], "").replace(".000Z", "Z")
    };
    format!("BEGIN:VEVENT\r\nSUMMARY:{name}\r\nDTSTART:{}\r\nDTEND:{}\r\nEND:VEVENT\r\n", text(from), text(until))
}

/// Even between 0 and 1, from a number.
fn noise(n: u64) -> f64 {
    let mut x = n.wrapping_add(11).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    (x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1u64 << 24) as f64
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_with_its_place_and_a_remedy() {
    let folder = folder();
    write(&folder, "well.ics", &calendar(&event("x", 1_800_000_000, 1_800_003_600)));
    write(&folder, "ill.ics", &calendar("BEGIN:VEVENT\r\nDTSTART:20260101T120000\r\nEND:VEVENT\r\n"));
    for (yaml, wanted) in [
        (
            "learning:\n  timezone: Europe/Berln\n",
            &["learning.timezone", "did you mean Europe/Berlin?", "bad.yaml:2"][..],
        ),
        (
            "calendars:\n  - kind: holiday\n    file: ill.ics\n",
            &["calendars[0].file", "ill.ics line 4", "DTEND or DURATION", "bad.yaml:3"],
        ),
        ("calendars:\n  - kind: holiday\n    file: nowhere.ics\n", &["cannot read nowhere.ics", "bad.yaml:3"]),
        (
            "calendars:\n  - kind: festival\n    dates: [2026-01-01]\n",
            &["calendars[0].kind", "maintenance", "bad.yaml:2"],
        ),
        ("calendars:\n  - dates: [2026-01-01]\n", &["calendars[0]", "kind"]),
        ("calendars:\n  - kind: deploy\n", &["calendars[0]", "`file`, `dates` or `periods`"]),
        (
            "calendars:\n  - kind: deploy\n    dates: [1.1.2026]\n",
            &["calendars[0].dates[0]", "2026-12-25", "bad.yaml:3"],
        ),
        (
            "calendars:\n  - kind: holiday\n    dates: [2026-12-25, 2026-11-26T13:00]\n",
            &["calendars[0].dates[1]", "`2026-11-26T13:00`", "under `periods`", "bad.yaml:3"],
        ),
        ("calendars:\n  - kind: deploy\n    match: 'a{'\n    dates: [2026-01-01]\n", &["calendars[0].match"]),
        ("calendars:\n  - kind: deploy\n    flie: x.ics\n", &["did you mean `calendars[].file`?"]),
    ] {
        write(&folder, "bad.yaml", yaml);
        let ran = run(&folder, &["config", "check", "bad.yaml"]);
        assert_eq!(ran.code, 2, "{yaml}");
        for word in wanted {
            assert!(ran.err.contains(word), "{yaml}\nwanted {word}: {}", ran.err);
        }
    }
    let yaml = "learning: {timezone: europe/berlin}\ncalendars:\n  - kind: deploy\n    file: well.ics\n    dates: [2026-01-01]\n";
    write(&folder, "good.yaml", yaml);
    let ran = run(&folder, &["config", "check", "good.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    // What is shown can be used again.
    let shown = run(&folder, &["config", "show", "good.yaml"]).out;
    assert!(shown.contains("timezone: Europe/Berlin") && shown.contains("well.ics"), "{shown}");
    write(&folder, "shown.yaml", &shown);
    assert_eq!(run(&folder, &["config", "show", "shown.yaml", "--output", "json"]).code, 0, "{shown}");
    let ran = run(&folder, &["learn", "--timezone", "Mars", "well.ics"]);
    assert!(ran.code == 2 && ran.err.contains("`Mars`") && ran.err.contains("--timezone"), "{}", ran.err);
}

#[test]
fn of_too_many_entries_those_around_today_are_kept_and_it_is_said() {
    let dir = folder();
    // Forty jobs a day since two hundred days ago, of which one is under way now.
    let mut events = String::new();
    for n in 0..40 {
        let from = now() - 200 * 86_400 - 600 + n * 2160;
        let one = event(&format!("job {n}"), from, from + 1200);
        events += &one.replace("END:VEVENT", "RRULE:FREQ=DAILY\r\nEND:VEVENT");
    }
    let daemon = Daemon::learned(dir.path(), &configured(dir.path(), &calendar(&events)));
    let said = daemon.get("/api/v1/calendar").json()["data"].clone();
    assert_eq!(said["in_force"][0]["name"], "job 0", "{said}");
    assert_eq!(said["calendars"][0]["entries"], 20_000);
    assert!(said["calendars"][0]["left_out"].as_u64() > Some(10_000), "{said}");
    assert_eq!(said["calendars"][1]["left_out"], 0);
    assert!(read(&dir, "err").contains("calendars[0]: ") && read(&dir, "err").contains("entries are left out"));
    assert!(run(dir.path(), &["status", "--url", &daemon.url()]).out.contains("are left out, far from today"));
    let checked = run(dir.path(), &["config", "check", "homeostat.yaml"]);
    assert!(checked.code == 0 && checked.err.contains("entries are left out"), "{}", checked.err);
}

#[test]
fn a_start_does_without_a_file_that_cannot_be_read_and_takes_it_in_later() {
    let dir = folder();
    let start = now();
    let yaml = configured(dir.path(), "<html>502 Bad Gateway</html>")
        + "  - {kind: deploy, match: other, file: later.ics, periods: [{from: 2000-01-01, until: 2100-01-01, name: long}]}\n";
    let daemon = Daemon::learned(dir.path(), &yaml);
    let said = || daemon.get("/api/v1/calendar").json()["data"].clone();
    let problem = |at: usize| said()["calendars"][at]["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem(0).contains("windows.ics line 1") && problem(2).contains("cannot read later.ics"), "{}", said());
    assert_eq!((&said()["calendars"][0]["entries"], &said()["in_force"][0]["name"]), (&json!(0), &json!("long")));
    assert!(run(dir.path(), &["status", "--url", &daemon.url()]).out.contains("not read: windows.ics line 1"));
    assert!(daemon.get("/metrics").text.contains("homeostat_calendar_read_errors_total 2"), "each is counted once");
    let told = read(&dir, "err");
    assert!(told.contains("calendars[0].file: windows.ics line 1") && told.contains("once it is mended"), "{told}");
    assert_eq!(run(dir.path(), &["config", "check", "homeostat.yaml"]).code, 2, "a check is strict");
    assert!(daemon.post_text("/-/reload", "").problem(422).contains("windows.ics line 1"), "and so is a reload");
    for (file, name) in [("windows.ics", "disks"), ("later.ics", "rollout")] {
        write(&dir, file, &calendar(&event(name, start - 60, start + 3600)));
    }
    wait_until("both files", || (problem(0).is_empty() && problem(2).is_empty()).then_some(()));
    assert_eq!((&said()["in_force"][0]["name"], &said()["calendars"][2]["entries"]), (&json!("disks"), &json!(1)));
    assert_eq!(daemon.post_text("/-/reload", "").status, 200);
}

#[test]
fn learn_reckons_days_by_the_zone_that_it_is_given() {
    let folder = folder();
    let mut text = "timestamp,value\n".to_owned();
    for n in 0..14 * 144_u64 {
        let turn = (n % 144) as f64 / 144.0 * std::f64::consts::TAU;
        let _ = writeln!(text, "{},{:.3}", 1_769_904_000 + n * 600, 50.0 * turn.sin() + noise(n));
    }
    write(&folder, "load.csv", &text);
    let reasoning = |more: &[&str]| {
        let args = [&["learn", "load.csv", "--strategy", "seasonal", "--format", "json"][..], more].concat();
        let ran = run(&folder, &args);
        let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
        (said["data"][0]["reasoning"].as_str().expect("text").to_owned(), said["data"][0]["rhythm"].clone())
    };
    assert!(reasoning(&[]).0.contains("by time of day, in"), "{:?}", reasoning(&[]));
    let (text, rhythm) = reasoning(&["--timezone", "America/New_York"]);
    assert!(text.contains("by time of day in America/New_York"), "{text}");
    assert!(rhythm.as_str().is_some_and(|rhythm| rhythm.contains("America/New_York")), "{rhythm}");
    write(&folder, "zone.yaml", "learning: {timezone: Asia/Tokyo}\n");
    assert!(reasoning(&["--config", "zone.yaml"]).0.contains("in Asia/Tokyo"));
}

#[test]
fn detect_withholds_alerts_in_maintenance_and_tells_breaches_all_the_same() {
    let folder = folder();
    let start = 1_769_904_000_u64;
    let mut text = "timestamp,value\n".to_owned();
    for n in 0..3_000_u64 {
        let value = if (2_000..2_060).contains(&n) { 100.0 } else { 10.0 + noise(n) };
        let _ = writeln!(text, "{},{value:.4}", start + n * 60);
    }
    write(&folder, "load.csv", &text);
    let at = |n: u64| Timestamp::from_secs((start + n * 60) as i64);
    let of = |kind: &str| {
        let yaml = format!(
            "calendars: [{{kind: {kind}, periods: [{{from: \"{}\", until: \"{}\", name: disks}}]}}]\n",
            at(1_990),
            at(2_060)
        );
        write(&folder, "calendar.yaml", &yaml);
        let ran = run(&folder, &["detect", "load.csv", "--out", "-", "--config", "calendar.yaml"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let rows: Vec<Vec<String>> =
            ran.out.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let count = |column: usize| rows[2_000..2_100].iter().filter(|row| row[column] == "1").count();
        // Breaches, alerts.
        (count(4), count(7))
    };
    let (breaches, alerts) = of("deploy");
    assert!(breaches >= 60 && alerts >= 55, "{breaches} {alerts}");
    let (breaches, alerts) = of("maintenance");
    assert!(breaches >= 60 && alerts == 0, "{breaches} {alerts}");
}

fn configured(dir: &Path, file: &str) -> String {
    write(dir, "windows.ics", file);
    "learning: {timezone: Europe/Berlin}\ncalendars:\n  - {kind: maintenance, file: windows.ics, match: load}\n  \
     - {kind: holiday, dates: [2100-01-01], name: new century}\n"
        .to_owned()
}

#[test]
fn a_running_daemon_says_what_is_in_force_and_follows_its_files() {
    let dir = folder();
    let start = now();
    let file =
        calendar(&(event("new disks", start - 1000, start + 3600) + &event("more", start + 86_400, start + 90_000)));
    let daemon = Daemon::learned(dir.path(), &configured(dir.path(), &file));
    let said = || daemon.get("/api/v1/calendar").json()["data"].clone();
    let calendars = said();
    assert_eq!(calendars["timezone"], "Europe/Berlin");
    let entry = &calendars["in_force"][0];
    assert_eq!((&entry["kind"], &entry["name"]), (&json!("maintenance"), &json!("new disks")));
    assert_eq!(entry["match"], "load");
    assert_eq!(calendars["next"][0]["name"], "more");
    assert_eq!(calendars["next"][1]["name"], "new century");
    assert_eq!(calendars["calendars"][0]["file"], "windows.ics");
    assert_eq!(
        (&calendars["calendars"][0]["entries"], &calendars["calendars"][0]["problem"]),
        (&json!(2), &Value::Null)
    );
    daemon.get("/api/v1/calendar?x=1").problem(400);

    // Of the series that it is about, and of no other.
    let explain = |series: &str| daemon.get(&format!("/api/v1/explain?series={series}")).json()["data"].clone();
    assert_eq!(explain("load")["during"]["name"], "new disks");
    assert!(explain("load")["window"]["set_aside"].as_u64() > Some(0), "{}", explain("load")["window"]);
    let others = daemon.list("/api/v1/series");
    let other = others.iter().find(|row| row["series"] != "load").expect("two series")["series"].clone();
    let encoded = other.as_str().expect("text").bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    assert_eq!(explain(&encoded)["during"], Value::Null);
    let url = daemon.url();
    let status = run(dir.path(), &["status", "--url", &url]).out;
    assert!(status.contains("maintenance new disks until"), "{status}");
    assert!(run(dir.path(), &["explain", "load", "--url", &url]).out.contains("maintenance new disks until"));
    let metrics = || daemon.get("/metrics").text;
    assert!(metrics().contains("homeostat_calendar_entries_in_force{kind=\"maintenance\"} 1"), "{}", metrics());
    assert!(metrics().contains("homeostat_calendar_read_errors_total 0"));

    // The file is shortened, then spoiled, then made well.
    write(&dir, "windows.ics", &calendar(&event("over", start - 3600, start - 1800)));
    wait_until("the shorter file", || said()["in_force"].as_array().is_some_and(Vec::is_empty).then_some(()));
    assert_eq!(explain("load")["during"], Value::Null);
    write(&dir, "windows.ics", "BEGIN:VCALENDAR\nnonsense\n");
    let problem = wait_until("the spoiled file", || said()["calendars"][0]["problem"].as_str().map(str::to_owned));
    assert!(problem.contains("windows.ics line 2"), "{problem}");
    assert_eq!(said()["calendars"][0]["entries"], 1, "what was read before stays");
    assert!(
        metrics().contains("homeostat_calendar_read_errors_total 1")
            && metrics().contains("homeostat_calendar_problem 1")
    );
    assert!(read(&dir, "err").contains("windows.ics line 2"));
    assert!(run(dir.path(), &["status", "--url", &url]).out.contains("not read: "));
    let refused = daemon.post_text("/-/reload", "").problem(422);
    assert!(refused.contains("windows.ics line 2") && refused.contains("calendars[0].file"), "{refused}");
    write(&dir, "windows.ics", &calendar(&event("again", start - 60, start + 3600)));
    assert_eq!(daemon.post_text("/-/reload", "").status, 200, "a reload reads the file at once");
    assert_eq!(said()["in_force"][0]["name"], "again");
    assert_eq!(said()["calendars"][0]["problem"], Value::Null);

    // Without calendars in the configuration there are none.
    let yaml = read(&dir, "homeostat.yaml");
    let without = yaml.split("calendars:").next().expect("before them").to_owned();
    write(&dir, "homeostat.yaml", &without.replace("Europe/Berlin", "UTC"));
    let changed = daemon.post_text("/-/reload", "").json()["data"]["changed"].clone();
    assert!(changed.as_array().is_some_and(|keys| keys.contains(&json!("learning.timezone"))), "{changed}");
    assert_eq!((said()["timezone"].clone(), said()["calendars"].clone()), (json!("UTC"), json!([])));
}
