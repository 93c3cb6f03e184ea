//! Targets that come, go and misbehave; the time is an argument.

use super::*;
use crate::driver::Reading;
use crate::prometheus::fake::{Fake, Reply, reply};
use crate::source::STALE;
use std::sync::atomic::AtomicU64;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn source(yaml: &str) -> ScrapeSource {
    let source: ScrapeSource = serde_saphyr::from_str(yaml).expect("well formed");
    source.check().unwrap_or_else(|(key, problem)| panic!("{key}: {problem}"));
    source
}

/// What a turn handed over: `series kind=value`, `ended` for what has ended, sorted; times are left out.
fn turned(scrape: &mut Scrape, now: Timestamp) -> Vec<String> {
    let mut told: Vec<String> = readings(scrape, now).iter().map(tell).collect();
    told.sort();
    told
}

fn tell((name, kind, _, value): &Reading) -> String {
    let kind = kind.map_or(String::new(), |kind| format!(" {}", kind.as_str()));
    match value.to_bits() == STALE.to_bits() {
        true => format!("{name} ended"),
        false => format!("{name}{kind}={value}"),
    }
}

fn readings(scrape: &mut Scrape, now: Timestamp) -> Vec<Reading> {
    let taken = Mutex::new(Vec::new());
    let take = |fed| match fed {
        Fed::Live(readings) => {
            taken.lock().expect("nobody panics with it").extend(readings);
            true
        }
        Fed::History(_) => panic!("a scrape has no history"),
    };
    scrape.turn(now, &take, &|| now);
    taken.into_inner().expect("nobody panics with it")
}

fn text(body: &str) -> Reply {
    reply(200, "Content-Type: text/plain; version=0.0.4\r\n", body)
}

/// The same, where something is said of what `a`, `b` and `timed` are.
fn gauges(body: &str) -> Reply {
    text(&format!("# TYPE a gauge\n# TYPE b gauge\n# TYPE timed gauge\n{body}"))
}

/// Answers with one text after the other, and with the last one from then on.
fn in_turn(replies: Vec<fn() -> Reply>) -> Fake {
    let asked = AtomicUsize::new(0);
    Fake::new(move |_| replies[asked.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)]())
}

fn host(fake: &Fake) -> String {
    fake.url.trim_start_matches("http://").to_owned()
}

fn of(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[test]
fn a_target_gives_its_series_with_their_kinds_and_is_known_as_up() {
    let fake = in_turn(vec![|| {
        text(
            "# TYPE requests_total counter\nrequests_total{job=\"own\",code=\"200\"} 7\n# TYPE temp gauge\ntemp 21.5 1000\n\
             # TYPE node_time_seconds gauge\nnode_time_seconds 1800000001.5\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\n",
        )
    }]);
    let host = host(&fake);
    let yaml = format!(
        "job: node\ntargets: ['{host}']\nlabels: [{{name: zone, value: eu}}]\nheaders: [{{name: X-A, value: b}}]"
    );
    let mut scrape = Scrape::new(&source(&yaml), 1, NOW).expect("no files");
    let given = readings(&mut scrape, NOW);
    let mut told: Vec<String> = given.iter().map(tell).collect();
    told.sort();
    let own = format!("instance=\"{host}\",job=\"node\",zone=\"eu\"");
    let wanted = [
        format!("h_bucket{{instance=\"{host}\",job=\"node\",le=\"+Inf\",zone=\"eu\"}} histogram=3"),
        format!("node_time_seconds{{{own}}} info=1800000001.5"),
        format!("requests_total{{code=\"200\",exported_job=\"own\",{own}}} counter=7"),
        format!("scrape_duration_seconds{{{own}}}=0"),
        format!("scrape_samples_scraped{{{own}}}=4"),
        format!("temp{{{own}}} gauge=21.5"),
        format!("up{{{own}}} state=1"),
    ];
    assert_eq!(told, wanted);
    let temp = given.iter().find(|(name, ..)| name.metric() == "temp").expect("there");
    assert_eq!(temp.2, Timestamp::from_millis(1000), "its own time counts");
    let asked = &fake.asked()[0];
    assert_eq!((asked.path.as_str(), asked.header("x-a")), ("/metrics", "b"));
    assert_eq!(asked.header("x-prometheus-scrape-timeout-seconds"), "10");
    assert!(asked.header("accept").contains("openmetrics"));
    assert_eq!((scrape.next_due(), of(&scrape.tally.samples)), (NOW + Span::from_secs(15), 4));
    // Honoured the other way round.
    let yaml = format!("job: node\ntargets: ['{}/m?x=1']\nhonor_labels: true\nhonor_timestamps: false", fake.url);
    let mut scrape = Scrape::new(&source(&yaml), 1, NOW).expect("no files");
    let given = readings(&mut scrape, NOW);
    assert!(given.iter().all(|(_, _, at, _)| *at == NOW));
    let own = format!("requests_total{{code=\"200\",instance=\"{host}\",job=\"own\"}} counter=7");
    assert!(given.iter().any(|reading| tell(reading) == own), "{given:?}");
    assert_eq!(fake.asked()[1].path, "/m");
}

#[test]
fn a_series_that_is_gone_has_ended_and_so_have_all_of_a_target_that_fails() {
    let fake = in_turn(vec![
        || gauges("a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3\ntimed 4 5\n"),
        || gauges("a 1.5\nb{x=\"2\"} 3\n"),
        || reply(500, "", "no"),
        || reply(500, "", "no"),
        || gauges("a 2\n"),
    ]);
    let host = host(&fake);
    let mut scrape = Scrape::new(&source(&format!("job: j\ntargets: ['{host}']")), 1, NOW).expect("no files");
    let own = |name: &str| format!("{name}{{instance=\"{host}\",job=\"j\"}}");
    let x = |x: u32| format!("b{{instance=\"{host}\",job=\"j\",x=\"{x}\"}}");
    let mut rounds = Vec::new();
    for round in 0..5 {
        let told = turned(&mut scrape, NOW + Span::from_secs(15 * round));
        rounds.push(told.into_iter().filter(|told| !told.starts_with("scrape_")).collect::<Vec<_>>());
        let silent = of(&scrape.tally.silent_series);
        assert_eq!(silent, [0, 1, 2, 0, 0][round as usize], "round {round}");
    }
    assert_eq!(
        rounds[0],
        [
            format!("{} gauge=1", own("a")),
            format!("{} gauge=2", x(1)),
            format!("{} gauge=3", x(2)),
            format!("{} gauge=4", own("timed")),
            format!("{} state=1", own("up"))
        ]
    );
    // What came with a time of its own may come again whenever it likes.
    assert_eq!(
        rounds[1],
        [
            format!("{} gauge=1.5", own("a")),
            format!("{} ended", x(1)),
            format!("{} gauge=3", x(2)),
            format!("{} state=1", own("up"))
        ]
    );
    assert_eq!(rounds[2], [format!("{} ended", own("a")), format!("{} ended", x(2)), format!("{} state=0", own("up"))]);
    assert_eq!(rounds[3], [format!("{} state=0", own("up"))], "once");
    assert_eq!(rounds[4], [format!("{} gauge=2", own("a")), format!("{} state=1", own("up"))]);
    assert_eq!((of(&scrape.tally.failures), of(&scrape.tally.parts_up)), (2, 1));
}

#[test]
fn what_nobody_says_anything_of_is_held_back_until_its_values_tell() {
    let asked = AtomicU64::new(0);
    let fake = Fake::new(move |_| {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        text(&format!("counts {}\nswings {}\nstands 7\nhalf {n}.5\nnamed_total {n}\n", 100 + n * 3, 10 + n * 7 % 5))
    });
    let mut scrape = Scrape::new(&source(&format!("job: j\ntargets: ['{}']", host(&fake))), 1, NOW).expect("no files");
    let mut given: Vec<Vec<String>> = Vec::new();
    for round in 0..60 {
        let told = readings(&mut scrape, NOW + Span::from_secs(15 * round));
        let metric = |metric: &str| told.iter().filter(|(name, ..)| name.metric() == metric).count();
        given.push(
            ["counts", "swings", "stands", "half", "named_total"].map(|name| format!("{name} {}", metric(name))).into(),
        );
        if round == 5 {
            let counts: Vec<&Reading> = told.iter().filter(|(name, ..)| name.metric() == "counts").collect();
            assert!(counts.iter().all(|(_, kind, ..)| *kind == Some(homeostat::config::Kind::Counter)));
            assert!(counts.windows(2).all(|two| two[1].2 == two[0].2 + Span::from_secs(15)), "each at its own time");
        }
    }
    // Half a thing is counted by nobody; what swings is known by its first fall; five rises are a counter.
    assert_eq!(given[0], ["counts 0", "swings 0", "stands 0", "half 1", "named_total 1"]);
    assert_eq!(given[3], ["counts 0", "swings 4", "stands 0", "half 1", "named_total 1"]);
    assert_eq!(given[5], ["counts 6", "swings 1", "stands 0", "half 1", "named_total 1"]);
    assert_eq!(given[58][2], "stands 0");
    assert_eq!(given[59][2], "stands 60", "what never moves is handed over at last");
}

#[test]
fn what_is_no_metrics_is_told_once_and_named() {
    type Bad = fn() -> Reply;
    let bads: [(Bad, &str); 6] = [
        (|| reply(200, "Content-Type: text/html\r\n", "<html>"), "text/html"),
        (|| reply(404, "", ""), "status 404"),
        (|| text("a 1\nb{ 2\n"), "line 2"),
        (|| reply(200, "Content-Type: application/openmetrics-text\r\n", "a 1\n"), "# EOF is missing"),
        (|| Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na 1\n".to_vec()), "broke off"),
        (|| text("a 1\nb 2\nc 3\n"), "samples_max (2)"),
    ];
    for (bad, said) in bads {
        let fake = in_turn(vec![bad]);
        let yaml = format!("job: j\ntargets: ['{}']\nsamples_max: 2", host(&fake));
        let source = source(&yaml);
        let place = discovery::Place { url: format!("{}/metrics", fake.url), labels: BTreeMap::new() };
        let mut target = Target::new(&place, "j").expect("labels");
        let agent = source.access.agent(source.timeout()).expect("no files");
        let first = target.scrape(&agent, &source.access, &source.limits(), NOW, &|| NOW);
        let problem = first.problem.expect("a problem");
        assert!(problem.contains(said) && problem.contains(&fake.url) && first.is_news, "{said}: {problem}");
        assert_eq!(first.readings.len(), 2, "up and how long it took");
        assert!(!target.scrape(&agent, &source.access, &source.limits(), NOW, &|| NOW).is_news);
    }
}

#[test]
fn targets_come_and_go_with_the_files_that_list_them() {
    let fake = Fake::new(|_| gauges("a 1\n"));
    let host = host(&fake);
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let yaml = format!(
        "job: j\ninterval: 10s\ntarget_files: ['{}', '{}']",
        file("*.json").display(),
        file("one.yml").display()
    );
    let mut scrape = Scrape::new(&source(&yaml), 1, NOW).expect("no files yet");
    let places =
        |scrape: &Scrape| scrape.targets.keys().map(|place| place.labels["instance"].clone()).collect::<Vec<_>>();
    assert!(turned(&mut scrape, NOW).is_empty());
    assert_eq!(of(&scrape.tally.failures), 1, "one.yml is not there");
    std::fs::write(file("a.json"), format!(r#"[{{"targets":["{host}"],"labels":{{"env":"x","__meta_y":"z"}}}}]"#))
        .expect("written");
    std::fs::write(
        file("one.yml"),
        "- targets: ['localhost:1']\n  labels: {__metrics_path__: /m, __scheme__: https, job: k}\n",
    )
    .expect("written");
    let now = NOW + Span::from_secs(5);
    turned(&mut scrape, now);
    assert_eq!(places(&scrape), [host.clone(), "localhost:1".to_owned()]);
    let urls: Vec<&str> = scrape.targets.keys().map(|place| place.url.as_str()).collect();
    assert_eq!(urls, [format!("http://{host}/metrics").as_str(), "https://localhost:1/m"]);
    assert_eq!(of(&scrape.tally.failures), 1, "what came is no failure");
    // Within the interval each has been scraped, at its own time.
    let mut told = Vec::new();
    for second in 0..=11 {
        told.extend(turned(&mut scrape, now + Span::from_secs(second)));
    }
    assert!(told.contains(&format!("a{{env=\"x\",instance=\"{host}\",job=\"j\"}} gauge=1")), "{told:?}");
    assert!(told.contains(&"up{instance=\"localhost:1\",job=\"k\"} state=0".to_owned()), "{told:?}");
    // A file that is spoiled leaves what it said; one that is gone takes its targets with it.
    std::fs::write(file("a.json"), "[{\"targets\": 7").expect("written");
    std::fs::remove_file(file("one.yml")).expect("there");
    let failures = of(&scrape.tally.failures);
    let told = turned(&mut scrape, now + Span::from_secs(30));
    assert_eq!(places(&scrape), [host.as_str()]);
    assert!(told.contains(&"up{instance=\"localhost:1\",job=\"k\"} ended".to_owned()), "{told:?}");
    assert!(of(&scrape.tally.failures) >= failures + 2);
    std::fs::write(file("a.json"), "[]").expect("written");
    let told = turned(&mut scrape, now + Span::from_secs(60));
    assert!(
        places(&scrape).is_empty() && told.contains(&format!("a{{env=\"x\",instance=\"{host}\",job=\"j\"}} ended")),
        "{told:?}"
    );
}

#[test]
fn a_target_keeps_its_place_in_the_interval() {
    let interval = Span::from_secs(10);
    let at = |seconds: u64| NOW + Span::from_secs(seconds);
    assert_eq!(next_time(at(3), at(3), interval), at(13));
    assert_eq!(next_time(at(3), at(7), interval), at(13), "late");
    assert_eq!(next_time(at(3), at(33), interval), at(43), "what was missed is not made up for");
    assert_eq!(next_time(at(3), at(47), interval), at(53));
}

#[test]
fn a_source_that_cannot_work_is_refused_with_its_key() {
    assert_eq!(source("{job: j, targets: [a], interval: 5s}").timeout(), Span::from_secs(5));
    assert_eq!(source("{job: j, targets: [a]}").timeout(), Span::from_secs(10));
    for (yaml, key) in [
        ("{job: '', targets: [a]}", "job"),
        ("{job: j}", "targets"),
        ("{job: j, targets: ['ftp://a']}", "targets[0]"),
        ("{job: j, targets: ['a', 'b/c']}", "targets[1]"),
        ("{job: j, targets: ['http://me:secret@a']}", "targets[0]"),
        ("{job: j, target_files: ['/a/*/b.json']}", "target_files[0]"),
        ("{job: j, targets: [a], labels: [{name: job, value: x}]}", "labels[0].name"),
        ("{job: j, targets: [a], metrics_path: metrics}", "metrics_path"),
        ("{job: j, targets: [a], interval: 0s}", "interval"),
        ("{job: j, targets: [a], interval: 5s, timeout: 6s}", "timeout"),
        ("{job: j, targets: [a], samples_max: 0}", "samples_max"),
        ("{job: j, targets: [a], headers: [{name: Cookie, value: x}]}", "headers[0].value"),
    ] {
        let source: ScrapeSource = serde_saphyr::from_str(yaml).expect("well formed");
        let (refused, problem) = source.check().expect_err(yaml);
        assert_eq!(refused, key, "{problem}");
        assert!(!problem.contains("secret@"), "{problem}");
    }
}
