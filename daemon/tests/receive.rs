//! Samples that others send, by remote-write and OTLP: real process, real port, bytes of an encoder that is not ours.

mod common;

use common::messages::{COUNTER, GAUGE, HISTOGRAM, Metadata, TimeSeries, one, packed, series, two};
use common::prometheus::Prometheus;
use common::sent::ONE;
use common::{Daemon, folder, now, read, run, wait_until, write};
use tempfile::TempDir;

const HOST_OFF: &str = "host: {enabled: false}\n";

fn daemon(folder: &TempDir, more: &str) -> Daemon {
    write(folder, "homeostat.yaml", &format!("{HOST_OFF}{more}"));
    Daemon::go_on(folder.path())
}

fn millis() -> i64 {
    now() as i64 * 1000
}

/// So many samples every ten seconds, the last one now.
fn samples(count: i64, value: impl Fn(i64) -> f64) -> Vec<(i64, f64)> {
    let now = millis();
    (0..count).map(|n| (now - (count - 1 - n) * 10_000, value(n))).collect()
}

fn row(daemon: &Daemon, series: &str) -> serde_json::Value {
    let rows = daemon.list("/api/v1/series?limit=1000");
    rows.into_iter().find(|row| row["series"] == series).unwrap_or_default()
}

#[test]
fn what_is_sent_by_either_version_is_one_series_that_is_learned() {
    let folder = folder();
    let daemon = daemon(&folder, "states: {healthy: {monitoring_interval: 1s}}\n");
    let all = samples(300, |n| 10.0 + (n * 7919 % 101) as f64 / 101.0);
    let labels = [("__name__", "queue_length"), ("job", "mail")];
    let answer = daemon.write_one(&one(vec![series(&labels, &all[..150])]));
    assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{}", answer.head);
    let mut rest = series(&labels, &all[150..]);
    rest.exemplars.push(Vec::new());
    let answer = daemon.write_two(&two(&[rest], GAUGE));
    assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{}", answer.head);
    let written = |what: &str| answer.header(&format!("x-prometheus-remote-write-{what}-written")).map(str::to_owned);
    assert_eq!(written("samples").as_deref(), Some("150"));
    assert_eq!((written("histograms").as_deref(), written("exemplars").as_deref()), (Some("0"), Some("0")));
    // What was acknowledged is there.
    let name = r#"queue_length{job="mail"}"#;
    assert_eq!(row(&daemon, name)["samples"], 300, "{}", row(&daemon, name));
    wait_until("a threshold", || {
        daemon.list("/api/v1/thresholds").iter().any(|row| row["series"] == name).then_some(())
    });
    let metric = |protocol: &str| daemon.metric(&format!("homeostat_receive_samples_total{{protocol=\"{protocol}\"}}"));
    assert_eq!((metric("remote_write_1"), metric("remote_write_2"), metric("otlp")), (150.0, 150.0, 0.0));
    let requests = r#"homeostat_receive_requests_total{protocol="remote_write_2",code="204"}"#;
    assert_eq!(daemon.metric(requests), 1.0);
    assert_eq!(daemon.metric(r#"homeostat_receive_set_aside_total{what="exemplar"}"#), 1.0);
    assert!(daemon.metric(r#"homeostat_receive_bytes_total{protocol="remote_write_1"}"#) > 100.0);
}

#[test]
fn what_is_said_of_families_and_series_tells_how_they_are_read() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    // 1.0 says it of families, in requests of their own.
    let told = |kind, name: &str| Metadata { kind, metric_family_name: name.to_owned(), help: "Help.".to_owned() };
    let mut request = one(Vec::new());
    request.metadata = vec![told(COUNTER, "handled"), told(GAUGE, "made_total"), told(HISTOGRAM, "took_seconds")];
    assert_eq!(daemon.write_one(&request).status, 204);
    let rising = samples(20, |n| n as f64 * 5.0);
    let named = |name: &str| series(&[("__name__", name)], &rising);
    let bucket = |le: &str, times: f64| {
        let at: Vec<(i64, f64)> = rising.iter().map(|(at, value)| (*at, value * times)).collect();
        series(&[("__name__", "took_seconds_bucket"), ("le", le)], &at)
    };
    let request =
        one(vec![named("handled"), named("made_total"), bucket("+Inf", 3.0), bucket("0.1", 1.0), bucket("1", 2.0)]);
    assert_eq!(daemon.write_one(&request).status, 204);
    // 2.0 says it of each series.
    assert_eq!(daemon.write_two(&two(&[named("served")], COUNTER)).status, 204);
    assert_eq!(daemon.write_two(&two(&[named("level")], GAUGE)).status, 204);
    let kind = |name: &str| row(&daemon, name)["kind"].clone();
    for (name, wanted) in [
        ("handled", "counter"),
        ("made_total", "gauge"),
        ("served", "counter"),
        ("level", "gauge"),
        (r#"took_seconds_bucket{le="1"}"#, "histogram"),
        ("took_seconds_count", "counter"),
    ] {
        assert_eq!(kind(name), wanted, "{name}: {:?}", daemon.names());
    }
    assert!(
        daemon.names().contains(&r#"took_seconds{quantile="0.99"}"#.to_owned()),
        "a whole histogram in one request"
    );
}

#[test]
fn the_end_of_a_series_ends_it_and_the_same_again_is_no_mistake() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let now = millis();
    let request =
        one(vec![series(&[("__name__", "gone")], &[(now - 30_000, 1.0), (now - 20_000, f64::NAN), (now, stale)])]);
    for _ in 0..2 {
        // Sent again after a lost answer: older than the newest, and no news.
        let answer = daemon.write_one(&one(vec![series(&[("__name__", "again")], &[(now, 1.0)])]));
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
    assert_eq!(daemon.write_one(&request).status, 204);
    let fate = |fate: &str| daemon.metric(&format!("homeostat_samples_total{{fate=\"{fate}\"}}"));
    assert_eq!((fate("stale"), fate("not_finite"), fate("duplicate")), (1.0, 1.0, 1.0));
}

/// As a Prometheus with several shards sends: each bucket in order by itself, and side by side with the others.
#[test]
fn buckets_that_come_in_several_requests_make_one_histogram_and_those_too_late_are_counted() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let begin = millis() - 600_000;
    let send = |le: &str, scrape: i64, count: f64| {
        let labels = [("__name__", "took_bucket"), ("le", le)];
        let answer = daemon.write_one(&one(vec![series(&labels, &[(begin + scrape * 10_000, count)])]));
        assert_eq!(answer.status, 204, "{le} of {scrape}: {}", answer.text);
    };
    send("0.1", 0, 0.0);
    send("+Inf", 0, 0.0);
    for scrape in 1..20 {
        // One shard is a scrape ahead of the other.
        send("0.1", scrape, 5.0 * scrape as f64);
        if scrape > 1 {
            send("+Inf", scrape - 1, 10.0 * (scrape - 1) as f64);
        }
    }
    let held = daemon.data("/api/v1/series/samples?series=took%7Bquantile%3D%220.5%22%7D");
    let values = held["samples"].as_array().expect("a list");
    assert!(values.len() >= 17 && values.iter().all(|pair| pair[1] == 0.1), "{held}");
    let late = || daemon.metric("homeostat_receive_late_buckets_total");
    assert_eq!(late(), 0.0);
    // The other one goes on alone: nothing waits for ever, and what comes then is told.
    send("0.1", 20, 100.0);
    send("0.1", 21, 105.0);
    send("+Inf", 19, 190.0);
    assert_eq!(late(), 1.0);
    assert_eq!(daemon.metric("homeostat_samples_total{fate=\"out_of_order\"}"), 1.0);
}

#[test]
fn the_good_part_of_a_request_is_taken_and_the_bad_one_named() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let now = millis();
    let good = |n: i64| series(&[("__name__", "good")], &[(now - 60_000 + n, n as f64)]);
    let long = "x".repeat(10_000);
    let some = "y".repeat(4200);
    let bad = |labels: &[(&str, &str)]| series(labels, &[(now, 1.0)]);
    let mut no_text = bad(&[("__name__", "a"), ("b", "c")]);
    no_text.labels[1].value = vec![0xff, 0xfe];
    let mut no_name = bad(&[("__name__", "a"), ("b", "c")]);
    no_name.labels[1].name = vec![0xc0];
    let cases: Vec<(TimeSeries, &str)> = vec![
        (bad(&[("__name__", "a"), ("z", "1"), ("b", "2")]), "labels[2].name: `b` stands behind `z`"),
        (bad(&[("__name__", "a"), ("b", "1"), ("b", "2")]), "labels[2].name: `b` comes twice"),
        (bad(&[("__name__", "a"), ("b", "")]), "labels[1].value, of `b`, is empty"),
        (bad(&[("", "b"), ("__name__", "a")]), "labels[0].name is empty"),
        (bad(&[("__name__", "")]), "labels[0].value, of `__name__`, is empty"),
        (bad(&[("job", "a")]), "labels: there is no `__name__`"),
        (bad(&[]), "labels: there is no `__name__`"),
        (bad(&[("__name__", "a"), ("b", &long)]), "labels[1].value, of `b`, has 10000 bytes"),
        (bad(&[("__name__", "a"), (&long, "b")]), "labels[1].name, of `xxx"),
        (bad(&[("__name__", &long)]), "labels[0].value, of `__name__`, has 10000 bytes"),
        (
            bad(&[("__name__", "a"), ("b", &some), ("c", &some), ("d", "1")]),
            "bytes; at most 8192 are allowed; the longest is `",
        ),
        (no_text, "labels[1].value, of `b`, is not UTF-8"),
        (no_name, "labels[1].name is not UTF-8"),
        (series(&[("__name__", "good")], &[(now - 120_000, 1.0)]), "of good is older than the newest"),
        (series(&[("__name__", "twice")], &[(now, 1.0), (now, 2.0)]), "of twice is there with another value"),
        (series(&[("__name__", "good")], &[(now + 3_600_000, 1.0)]), "of good is over ten minutes ahead"),
        (series(&[("__name__", "new")], &[(i64::MAX, 1.0)]), "of new is over ten minutes ahead"),
        (series(&[("__name__", "old")], &[(i64::MIN, 1.0)]), "of old is older than the learning window"),
        (series(&[("__name__", "old")], &[(now - 10 * 86_400_000, 1.0)]), "of old is older than the learning window"),
    ];
    assert_eq!(daemon.write_one(&one(vec![good(0)])).status, 204);
    for (n, (bad, wanted)) in (1..).zip(&cases) {
        for version in [1, 2] {
            let taken = bad.samples.len().to_string();
            let all = vec![bad.clone(), good(2 * n + version)];
            let answer = if version == 1 { daemon.write_one(&one(all)) } else { daemon.write_two(&two(&all, GAUGE)) };
            assert_eq!(answer.status, 400, "{wanted}: {}", answer.text);
            assert!(answer.text.contains(wanted), "{wanted}: {}", answer.text);
            assert!(
                answer.text.starts_with("1 samples were refused (1 ")
                    && answer.text.contains(&format!("), {taken} taken: ")),
                "{}",
                answer.text
            );
            let written = answer.header("x-prometheus-remote-write-samples-written");
            assert_eq!(written, (version == 2).then_some(taken.as_str()));
        }
    }
    assert_eq!(row(&daemon, "good")["samples"], 1 + 2 * cases.len(), "every good one is there");
    let refused = |why: &str| daemon.metric(&format!("homeostat_receive_refused_total{{reason=\"{why}\"}}"));
    assert_eq!((refused("labels"), refused("conflict"), refused("too_new")), (26.0, 2.0, 4.0));
    assert_eq!((refused("out_of_order"), refused("too_old")), (2.0, 4.0));
    assert_eq!(daemon.names().len(), 4, "no bad labels made a series: {:?}", daemon.names());
}

#[test]
fn native_histograms_are_set_aside_which_a_sender_of_2_0_is_told() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let mut both = series(&[("__name__", "both")], &[(millis(), 1.0)]);
    both.histograms = vec![vec![8, 1], vec![8, 2]];
    assert_eq!(daemon.write_one(&one(vec![both.clone()])).status, 204, "1.0 promises nothing for them");
    both.samples[0].timestamp += 1;
    let answer = daemon.write_two(&two(&[both], GAUGE));
    assert_eq!(answer.status, 400);
    assert!(
        answer.text.contains("2 native histograms were set aside") && answer.text.contains("1 samples were taken"),
        "{}",
        answer.text
    );
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("1"));
    assert_eq!(answer.header("x-prometheus-remote-write-histograms-written"), Some("0"));
    assert_eq!(daemon.metric(r#"homeostat_receive_set_aside_total{what="histogram"}"#), 4.0);
    assert_eq!(row(&daemon, "both")["samples"], 2);
}

/// Whoever reads the log or `status` need not be who sends: both say which limit it is and what helps, and how often it was met.
#[test]
fn a_limit_of_series_that_is_reached_is_told_in_the_log_and_by_status() {
    let folder = folder();
    let limits = "limits: {series_max: 2}\n";
    let start = || daemon(&folder, limits);
    let send = |daemon: &Daemon, name: &str| {
        daemon.write_one(&one(vec![series(&[("__name__", name), ("id", name)], &[(millis(), 1.0)])]))
    };
    let status = |daemon: &Daemon| run(&folder, &["status", "--url", &daemon.url()]).out;
    let first = start();
    assert_eq!(send(&first, "a").status, 204);
    assert!(!status(&first).contains("series_max"), "{}", status(&first));
    assert_eq!(send(&first, "b").status, 204);
    assert_eq!((0..3).map(|n| send(&first, &format!("more_{n}")).status).collect::<Vec<_>>(), [400; 3]);
    let log = read(&folder, "err");
    let told: Vec<&str> = log.lines().filter(|line| line.contains("limits.series_max (2) is reached")).collect();
    assert_eq!(told.len(), 1, "once a minute: {log}");
    assert!(told[0].contains("new series of the sender 127.0.0.1 are refused"), "{log}");
    assert!(told[0].contains("raise it, or drop labels") && told[0].contains("`id` has the most values (2"), "{log}");
    let said = status(&first);
    assert!(said.contains("limits.series_max (2) is reached") && said.contains("3 times so far"), "{said}");
    assert!(said.contains("raise it, or drop labels"), "{said}");
    let statistics = first.data("/api/v1/statistics");
    assert_eq!((&statistics["series_max"], &statistics["series_refused"]), (&2.into(), &3.into()), "{statistics}");
    first.stop();
    // A sender that has brought nothing yet.
    let second = start();
    let answer = send(&second, "more");
    assert!(answer.status == 400 && answer.text.contains("limits.series_max (2) is reached"), "{}", answer.text);
    let log = read(&folder, "err");
    assert!(log.contains("limits.series_max (2) is reached") && !log.contains("0 series"), "{log}");
    second.stop();
}

#[test]
fn a_source_whose_series_find_no_room_says_so() {
    let folder = folder();
    let daemon = Daemon::start(&folder, "limits: {series_max: 1}\n");
    wait_until("a series", || (daemon.names() == ["load"]).then_some(()));
    let told = wait_until("a line", || {
        read(&folder, "err").lines().find(|line| line.contains("limits.series_max (1)")).map(str::to_owned)
    });
    assert!(told.contains("queue{job=\"a b\"") && told.contains("are not taken"), "{told}");
}

#[test]
fn where_names_are_asked_for_a_sender_needs_one_that_may_write() {
    let folder = folder();
    let sha256 = |text: &str| {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let token = |role: &str| format!("- {{name: the-{role}, sha256: '{}', roles: [{role}]}}\n", sha256(role));
    write(&folder, "access.yml", &format!("tokens:\n{}{}", token("write"), token("read")));
    let daemon = daemon(&folder, "http: {access: access.yml}\n");
    let body = packed(&one(vec![series(&[("__name__", "m")], &[(millis(), 1.0)])]));
    let send = |who: &str| daemon.send("/api/v1/write", &format!("{who}{ONE}"), &body).status;
    assert_eq!(
        (send(""), send("Authorization: Bearer read\r\n"), send("Authorization: Bearer write\r\n")),
        (401, 403, 204)
    );
    let rows = daemon.get_with("/api/v1/series", "Authorization: Bearer read\r\n").json();
    assert_eq!(rows["data"][0]["samples"], 1, "{rows}");
}

#[test]
#[ignore = "needs Debian's prometheus, which .ci/run unpacks"]
fn a_real_prometheus_sends_what_it_scrapes_and_ends_what_is_gone() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    // It scrapes the daemon and sends all of it; then the daemon is no target any more.
    let config = |targets: &str| {
        format!(
            "global: {{scrape_interval: 1s, external_labels: {{cluster: eu}}}}\n\
             scrape_configs: [{{job_name: homeostat, static_configs: [{{targets: [{targets}]}}]}}]\n\
             remote_write:\n- url: http://{}/api/v1/write\n  queue_config: {{batch_send_deadline: 1s}}\n  \
             metadata_config: {{send: true, send_interval: 1s}}\n",
            daemon.address
        )
    };
    let prometheus = Prometheus::start(folder.path(), &config(&format!("'{}'", daemon.address)));
    let labels = format!(r#"{{cluster="eu",instance="{}",job="homeostat"}}"#, daemon.address);
    let up = format!("up{labels}");
    wait_until("samples of five scrapes", || (row(&daemon, &up)["samples"].as_u64()? >= 5).then_some(()));
    let answered = |code: u16| {
        let name = format!("homeostat_receive_requests_total{{protocol=\"remote_write_1\",code=\"{code}\"}}");
        daemon.try_metric(&name).unwrap_or_default()
    };
    assert!(answered(204) >= 2.0);
    // It holds the same itself.
    let query = format!(r#"up{{instance="{}"}}[1m]"#, daemon.address);
    let held = prometheus.api("query", &[("query", &query)])["result"][0]["values"].clone();
    assert!(
        held.as_array().is_some_and(|values| values.len() >= 5 && values.iter().all(|pair| pair[1] == "1")),
        "{held}"
    );

    let stale = || daemon.metric(r#"homeostat_samples_total{fate="stale"}"#);
    let before = stale();
    write(&folder, "prometheus.yml", &config(""));
    prometheus.reload();
    wait_until("the end of its series", || (stale() > before + 50.0).then_some(()));
    assert_eq!((answered(400), answered(415), answered(413)), (0.0, 0.0, 0.0), "nothing was refused");
    let refused = daemon.get("/metrics").text;
    let refused = refused.lines().filter(|line| line.starts_with("homeostat_receive_refused_total"));
    assert!(refused.clone().all(|line| line.ends_with(" 0")), "{:?}", refused.collect::<Vec<_>>());
}
