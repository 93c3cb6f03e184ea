//! Expressions of a Prometheus as a source: history at the start, then what is new, over restarts and within the budget.

mod common;

use common::prometheus::{Prometheus, create_blocks};
use common::*;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Answers every query with two series that swing with the time; nothing while it is down. Notes what it was asked.
struct Small {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    down: Arc<AtomicBool>,
}

fn parameter<'a>(target: &'a str, name: &str) -> &'a str {
    let pairs = target.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).next().unwrap_or("")
}

fn answer(target: &str) -> String {
    if target.starts_with("/api/v1/query?") {
        return r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}"#
            .to_owned();
    }
    if !target.starts_with("/api/v1/query_range?") {
        return r#"{"status":"success","data":{"groups":[]}}"#.to_owned();
    }
    let number = |name: &str| parameter(target, name).parse::<u64>().expect("whole seconds");
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let series = |zone: &str, level: f64| {
        let values: Vec<String> = (start..=end)
            .step_by(step as usize)
            .map(|at| format!("[{at},\"{}\"]", level + (at * 7919 % 101) as f64 / 101.0))
            .collect();
        format!(r#"{{"metric":{{"zone":"{zone}"}},"values":[{}]}}"#, values.join(","))
    };
    let both = format!("{},{}", series("a", 10.0), series("b", 90.0));
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{both}]}}}}"#)
}

impl Small {
    fn start() -> Small {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/prometheus", listener.local_addr().expect("an address"));
        let (asked, down) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, off) = (Arc::clone(&asked), Arc::clone(&down));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = String::new();
                let mut reader = BufReader::new(&stream);
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
                // Who ends in the middle of a question has asked nothing.
                if !head.ends_with("\r\n\r\n") {
                    continue;
                }
                log.lock().expect("nobody panics with it").push(head.clone());
                let target = head.split(' ').nth(1).unwrap_or_default().trim_start_matches("/prometheus");
                let (status, body) = match off.load(Ordering::SeqCst) {
                    true => (400, r#"{"status":"error","errorType":"bad_data","error":"going down"}"#.to_owned()),
                    false => (200, answer(target)),
                };
                let length = body.len();
                // Who goes away does not want it.
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
            }
        });
        Small { url, asked, down }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// Of the source that stands first.
fn of_source(daemon: &Daemon, name: &str) -> Option<f64> {
    daemon.try_metric(&format!("{name}{{source=\"promql\",number=\"1\"}}"))
}

#[test]
fn history_gives_thresholds_at_once_and_a_restart_asks_for_the_rest_alone() {
    let (dir, small) = (folder(), Small::start());
    write(&dir, "token", "hunter2\n");
    let states = format!("states: {{healthy: {{monitoring_interval: 1s}}, {WHATEVER_THE_HOST_DOES}}}\n");
    let source = format!(
        "promql:\n- url: {}\n  tenant: team-a\n  bearer_token_file: token\n  headers: [{{name: X-Key, file: token}}]\n  step: 1s\n  \
         delay: 1s\n  backfill: 10m\n  expressions: [{{expr: 'sum by (zone) (load)', name: load}}]\n",
        small.url
    );
    write(&dir, "homeostat.yaml", &format!("host: {{enabled: false}}\n{states}{source}"));
    let daemon = Daemon::go_on(&dir);
    daemon.wait_for_thresholds(2);
    assert_eq!(daemon.names(), [r#"load{zone="a"}"#, r#"load{zone="b"}"#]);
    let first = small.asked();
    assert!(
        first.iter().all(|head| head.contains("uthorization: Bearer hunter2") && head.contains("team-a")),
        "{first:?}"
    );
    wait_until("news", || of_source(&daemon, "homeostat_source_samples_total").filter(|count| *count > 1204.0));
    // What is asked, what it costs, and that it is there.
    assert!(of_source(&daemon, "homeostat_queries_total") >= Some(3.0));
    assert!(of_source(&daemon, "homeostat_query_samples_total") >= Some(1200.0));
    assert!(of_source(&daemon, "homeostat_query_seconds_total") > Some(0.0));
    for (name, value) in [
        ("homeostat_source_parts", 1.0),
        ("homeostat_source_parts_up", 1.0),
        ("homeostat_source_series", 2.0),
        ("homeostat_source_silent_series", 0.0),
        ("homeostat_source_silent", 0.0),
        ("homeostat_source_gaps_total", 0.0),
        ("homeostat_source_failures_total", 0.0),
        ("homeostat_query_retries_total", 0.0),
        ("homeostat_query_failures_total", 0.0),
        ("homeostat_query_waited_seconds_total", 0.0),
        ("homeostat_query_cached_pieces_total", 0.0),
    ] {
        assert_eq!(of_source(&daemon, name), Some(value), "{name}");
    }
    assert!(of_source(&daemon, "homeostat_source_behind_seconds").is_some_and(|behind| behind < 60.0));
    assert!(
        of_source(&daemon, "homeostat_source_last_sample_timestamp_seconds").is_some_and(|at| at > now() as f64 - 60.0)
    );
    // It goes down: that is told once, counted, and seen in the metrics.
    small.down.store(true, Ordering::SeqCst);
    wait_until("a failure", || of_source(&daemon, "homeostat_source_failures_total").filter(|count| *count > 0.0));
    wait_until("silence", || of_source(&daemon, "homeostat_source_silent").filter(|silent| *silent == 1.0));
    assert_eq!(of_source(&daemon, "homeostat_source_parts_up"), Some(0.0));
    let said = read(&dir, "err");
    assert!((1..=3).contains(&said.matches("going down").count()), "each of what is asked tells it once: {said}");
    assert!(said.contains("history of `sum by (zone) (load)`") && !said.contains("hunter2"), "{said}");
    daemon.stop();
    small.down.store(false, Ordering::SeqCst);
    small.asked.lock().expect("nobody panics with it").clear();
    let daemon = Daemon::go_on(&dir);
    wait_until("news", || of_source(&daemon, "homeostat_source_samples_total").filter(|count| *count > 0.0));
    let asked = small.asked();
    // Its rules and metadata are asked for as well.
    let range = asked.iter().find(|head| head.contains("/query_range?")).expect("a range");
    let (start, end) = (parameter(range, "start"), parameter(range, "end"));
    let seconds = end.parse::<u64>().expect("seconds") - start.parse::<u64>().expect("seconds");
    assert!(seconds < 300, "only what was missed: {seconds} s");
    daemon.stop();
    let shown = run(&dir, &["config", "show", "homeostat.yaml"]);
    assert!(shown.out.contains("bearer_token_file: token") && !shown.out.contains("hunter2"), "{}", shown.out);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_its_place() {
    let dir = folder();
    for (source, said) in [
        ("{url: 'http://a', expressions: []}", "promql[0].expressions"),
        ("{url: 'http://me:hunter2@a', expressions: [{expr: up}]}", "promql[0].url"),
        ("{url: 'http://a', expression: [{expr: up}]}", "did you mean `promql[].expressions`"),
        ("{url: 'http://a', query_budget: {at_once: 99}, expressions: [{expr: up}]}", "promql[0].query_budget.at_once"),
        (
            "{url: 'http://a', headers: [{name: Cookie, value: hunter2}], expressions: [{expr: up}]}",
            "promql[0].headers[0].value",
        ),
        ("{expressions: [{expr: up}]}", "url"),
    ] {
        write(&dir, "homeostat.yaml", &format!("promql: [{source}]\n"));
        let ran = run(&dir, &["config", "check", "homeostat.yaml"]);
        assert!(ran.code == 2 && ran.err.contains(said), "{source}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
}

/// Asks longer than others, as there is much to do.
fn wait_long<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(400), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// 500 series, a week of them, once a minute.
fn week(end: u64) -> String {
    let mut text = String::from("# TYPE load gauge\n");
    for series in 0..500_u64 {
        for minute in 0..7 * 1440_u64 {
            let noise = (minute * 7919 + series * 104_729) % 1009;
            let (at, zone) = (end - (7 * 1440 - 1 - minute) * 60, series % 5);
            writeln!(text, "load{{host=\"h{series}\",zone=\"z{zone}\"}} {}.{} {at}", noise / 10, noise % 10)
                .expect("text");
        }
    }
    text + "# EOF\n"
}

#[test]
#[ignore = "needs Debian's prometheus, which .ci/run unpacks"]
fn five_hundred_series_of_a_week_are_learned_from_within_the_budget() {
    let dir = folder();
    let end = now() / 60 * 60 - 60;
    create_blocks(dir.path(), &week(end));
    // What is scraped from now on goes on with one of them.
    let prometheus = Prometheus::start(&dir, "global: {scrape_interval: 1h}\n");
    let source = format!(
        "promql:\n- url: {}\n  step: 1m\n  backfill: 7d\n  expressions: [{{expr: load}}, {{expr: 'sum by (zone) (load)', name: \
         zones}}, {{expr: 'no_such_metric'}}]\n",
        prometheus.url()
    );
    let states = format!("states: {{healthy: {{monitoring_interval: 1s}}, {WHATEVER_THE_HOST_DOES}}}\n");
    let learning = "learning: {window_len: 10080, learning_window: 7d}\n";
    write(&dir, "homeostat.yaml", &format!("host: {{enabled: false}}\n{learning}{states}{source}"));
    let begun = Instant::now();
    let daemon = Daemon::go_on(&dir);
    let behind = || of_source(&daemon, "homeostat_source_behind_seconds").filter(|behind| *behind < 200.0);
    wait_long("the backfill", behind);
    let took = begun.elapsed().as_secs_f64();
    let metric = |name: &str| of_source(&daemon, name).unwrap_or_else(|| panic!("{name} is not exported"));
    let samples = metric("homeostat_source_samples_total");
    assert!(samples >= 505.0 * 10_070.0, "{samples}");
    assert_eq!(metric("homeostat_source_series"), 505.0);
    assert_eq!(metric("homeostat_query_failures_total"), 0.0);
    let (seconds, queries) = (metric("homeostat_query_seconds_total"), metric("homeostat_queries_total"));
    assert!(seconds <= 10.0 + took / 6.0 + 30.0, "{seconds} s of queries in {took} s");
    println!("{samples} samples by {queries} queries in {seconds:.1} s of query time, {took:.1} s in all");
    let said = read(&dir, "err");
    assert!(said.contains("history of `load` is asked") && said.contains("history of `load` has come"), "{said}");
    assert!(said.contains("`no_such_metric` gives nothing"), "{said}");
    // All of a week is held, and thresholds stand on it.
    let rows = daemon.pages("/api/v1/series", 1000);
    assert_eq!(rows.len(), 505);
    wait_long("thresholds", || (daemon.pages("/api/v1/thresholds", 1000).len() == 505).then_some(()));
    daemon.stop();
}
