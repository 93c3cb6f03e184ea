//! Which comparison of an expression decides, and why others are left alone.

use super::super::judge::Unit;
use super::*;

/// The literals to tune as they are written; or the word for why none.
fn tuned(text: &str) -> Result<Vec<&str>, &'static str> {
    let analysis = analyse(text).map_err(|reason| reason.word())?;
    for one in &analysis.comparisons {
        assert!(text.get(one.literal.span.clone()).is_some() && text.get(one.measured.clone()).is_some());
    }
    let spans = |at: &usize| &text[analysis.comparisons[*at].literal.span.clone()];
    analysis.tuned.as_ref().map(|tuned| tuned.iter().map(spans).collect()).map_err(Reason::word)
}

#[test]
fn the_one_literal_that_decides_is_found_by_its_place() {
    for (text, literal) in [
        ("cpu > 0.80", "0.80"),
        ("80 < cpu", "80"),
        ("x{quantile=\"1\"} > 1.5", "1.5"),
        ("x{le=\"0.5\"} > 0.5", "0.5"),
        ("rate(x[5m]) * 5 > 5", "5"),
        ("sum(rate(x[5m])) # more than 5\n  >\n  5", "5"),
        ("x > 100 * 1024 * 1024", "100 * 1024 * 1024"),
        ("x > (25/100)", "(25/100)"),
        ("x < -5", "-5"),
        ("x > .10", ".10"),
        ("x > 1e9", "1e9"),
        ("x > 0x1F", "0x1F"),
        ("((x)) > ((5))", "((5))"),
        ("100 - avg by (i) (rate(cpu{mode=\"idle\"}[5m])) * 100 > 80", "80"),
        // Guards, on either side.
        ("errors / requests > 0.05 and requests > 10", "0.05"),
        ("node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1 and node_filesystem_readonly == 0", "0.1"),
        ("node_filesystem_readonly == 0 and avail_bytes / size_bytes < 0.1", "0.1"),
        ("x > 9 unless on (job) y > 7", "9"),
        ("x > 9 and hour() > 8", "9"),
        ("(x > 80) * on (instance) group_left (nodename) node_uname_info", "80"),
        ("(x > 80 and x offset 1h > 0) * on () group_left () y", "80"),
        ("(x > bool 80) == 1", "80"),
        ("-x < -80", "-80"),
        ("increase(x[1h]) > 3", "3"),
        ("predict_linear(x[1h], 3600) > 90", "90"),
        ("count(x) > 1000", "1000"),
        ("time() - last_backup_timestamp_seconds > 86400", "86400"),
        ("histogram_quantile(0.99, sum by (le) (rate(x_seconds_bucket[5m]))) > 2", "2"),
        ("x > 5 or absent(x)", "5"),
    ] {
        assert_eq!(tuned(text), Ok(vec![literal]), "{text}");
    }
    assert_eq!(tuned("x > 5 or y < 7"), Ok(vec!["5", "7"]));
}

#[test]
fn what_is_no_level_is_left_alone_with_its_reason() {
    for (text, word) in [
        ("up == 0", "equality"),
        ("x != 3", "equality"),
        ("up < 1", "state"),
        ("probe_success < 0.5", "state"),
        ("bgp_neighbor_session_state < 6", "state"),
        ("probe_http_status_code >= 400", "state"),
        ("max_over_time(alertmanagers_discovered[5m]) < 1", "any_at_all"),
        ("absent(up == 1)", "absent"),
        ("max(slo:sli_error:ratio_rate5m > (14.4 * 0.001)) without (w)", "objective"),
        ("max_over_time(elasticsearch_cluster_health_status[5m]) > 1", "state"),
        ("increase(errors_total[5m]) > 0", "zero"),
        ("x > 0", "zero"),
        ("0 < x", "zero"),
        ("increase(oom_total[5m]) >= 1", "any_at_all"),
        ("predict_linear(free_bytes[6h], 4*3600) < 0", "prediction"),
        ("count(kube_node_info) < 3", "quorum"),
        ("sum(up{job=\"etcd\"}) < 2", "quorum"),
        ("avg by (job) (up) < 0.9", "quorum"),
        ("100 * (count by (job) (up == 0) / count by (job) (up)) > 10", "quorum"),
        ("zookeeper_synced_peers < 2", "quorum"),
        ("probe_ssl_earliest_cert_expiry - time() < 86400 * 14", "expiry"),
        ("kubelet_certificate_manager_client_ttl_seconds < 604800", "expiry"),
        ("rate(errors[1h]) / rate(requests[1h]) > 14.4 * 0.001", "objective"),
        ("slo:burn_rate:1h > 6", "objective"),
        ("1 - rate(errors_total[5m]) / rate(errors_total[5m]) < 0.999", "objective"),
        ("absent(up)", "absent"),
        ("absent(up) == 1", "equality"),
        ("absent(up) > 0.5", "absent"),
        ("vector(1)", "no_literal"),
        ("a > b", "no_literal"),
        ("a > b * 0.9", "against_series"),
        ("a < 0.9 * b", "against_series"),
        ("hour() > 8", "clock"),
        ("x > Inf", "not_finite"),
        ("count(x > 5) > 0", "inside"),
        ("sum(x > bool 0.5) > 3", "inside"),
        ("max_over_time((x > bool 5)[1h:]) > 0", "inside"),
        ("(a > bool 5) + (b > bool 3) > 1", "inside"),
        ("x > bool 5", "fires_always"),
        ("x > 5 and x < 10", "band"),
        ("x > 5 < 10", "band"),
        ("rate(x[5m]) > 0.7 and rate(x[1h]) > 0.7", "windows"),
        ("job:x:rate5m > 0.7 and job:x:rate1h > 0.7", "windows"),
        ("a >", "not_promql"),
    ] {
        assert_eq!(tuned(text), Err(word), "{text}");
    }
    assert!(matches!(tuned("count(x) > 3 and x > bool 5"), Err("quorum" | "fires_always")));
}

#[test]
fn shares_are_known_by_what_they_are_shares_of() {
    for (text, unit, clamp) in [
        ("avail_bytes / size_bytes < 0.1", Unit::Ratio, Some((0.0, 1.0))),
        ("avail_bytes / size_bytes * 100 < 10", Unit::Percent, Some((0.0, 100.0))),
        ("100 * (1 - (avail_bytes / size_bytes)) > 90", Unit::Percent, Some((0.0, 100.0))),
        ("1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) > 0.8", Unit::Ratio, Some((0.0, 1.0))),
        ("100 - (avg(irate(node_cpu_seconds_total{mode=\"idle\"}[5m])) * 100) > 80", Unit::Percent, Some((0.0, 100.0))),
        (
            "sum(rate(http_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_requests_total[5m])) > 0.05",
            Unit::Ratio,
            Some((0.0, 1.0)),
        ),
        ("(avail_bytes * 100) / size_bytes < 10", Unit::Percent, Some((0.0, 100.0))),
        ("(a_bytes - b_bytes) / a_bytes > 0.9", Unit::Ratio, Some((0.0, 1.0))),
        // Load over the number of processors goes above 1, and so does what is overcommitted.
        ("node_load5 / count(node_cpu_info) > 1.8", Unit::Other, None),
        // Where the literal is a share, it may be one: history tells.
        ("node_load5 / count(node_cpu_info) > 0.8", Unit::Ratio, Some((0.0, 1.0))),
        ("sum(rate(x{c=\"5xx\"}[1m]) * 100) / sum(rate(y[1m])) > 5", Unit::Percent, Some((0.0, 100.0))),
        ("node_filesystem_files_free / node_filesystem_files * 100 < 5", Unit::Percent, Some((0.0, 100.0))),
        ("changes(process_start_time_seconds[15m]) > 2", Unit::Other, None),
        ("rate(x_seconds_sum[5m]) / rate(x_seconds_count[5m]) > 0.5", Unit::Seconds, None),
        ("used_bytes / limit_bytes > 1.5", Unit::Other, None),
        ("disk_used_percent > 90", Unit::Percent, Some((0.0, 100.0))),
        ("disk_used_percent > 100", Unit::Percent, None),
        ("x_bytes > 1e9", Unit::Bytes, None),
        ("histogram_quantile(0.9, rate(x_seconds_bucket[5m])) > 1", Unit::Seconds, None),
        ("x > 5", Unit::Other, None),
    ] {
        let analysis = analyse(text).expect(text);
        let measure = analysis.comparisons[0].measure;
        assert_eq!((measure.unit, measure.clamp), (unit, clamp), "{text}");
    }
}

#[test]
fn every_reason_tells_people_something_of_its_own() {
    let all = [
        Reason::NotPromql { at: 0, problem: "x".into() },
        Reason::NoLiteral,
        Reason::AgainstSeries,
        Reason::Absent,
        Reason::Equality,
        Reason::State,
        Reason::Zero,
        Reason::AnyAtAll,
        Reason::Prediction,
        Reason::Quorum,
        Reason::Expiry,
        Reason::Objective,
        Reason::Clock,
        Reason::NotFinite,
        Reason::Inside { what: "count(…)".into() },
        Reason::Guard,
        Reason::Band,
        Reason::Windows,
        Reason::FiresAlways,
    ];
    let mut words: Vec<&str> = all.iter().map(Reason::word).collect();
    let mut sentences: Vec<String> = all.iter().map(Reason::to_string).collect();
    words.sort_unstable();
    words.dedup();
    sentences.sort();
    sentences.dedup();
    assert_eq!((words.len(), sentences.len()), (all.len(), all.len()));
}
