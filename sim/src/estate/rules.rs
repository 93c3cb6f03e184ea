//! The 25 rules that watch the fleet, with the literals that public collections hand out, and what each looks at.
//!
//! Nothing in them was fitted to the fleet: that is the point. Their text is what `homeostat tune` reads; the formulas are the
//! same for those who work without a Prometheus.

use super::kinds::Kind;
use super::leaf::{History, quantile, ratio, scaled, sum_by};
use homeostat::replay::{By, Formula, Matching, Op, Range};
use std::fmt::Write as _;

/// One rule as it is published.
pub struct Published {
    pub group: &'static str,
    pub alert: &'static str,
    /// The incidents that it is there to tell of.
    pub kinds: &'static [Kind],
    /// As in the rule file: may run over several lines.
    pub expr: &'static str,
    /// `for`; empty where the rule has none.
    pub hold: &'static str,
    pub severity: &'static str,
    /// The number that may be tuned, and between which values it has a meaning; `None` where there is none.
    pub tuned: Option<Tuned>,
    /// The upper part; its leaves are those of `leaves`, its literal the tuned one.
    pub formula: fn() -> Formula,
    pub leaves: fn(&History<'_>) -> Vec<Range>,
}

#[derive(Clone, Copy, Debug)]
pub struct Tuned {
    pub literal: f64,
    pub clamp: Option<(f64, f64)>,
    pub whole: bool,
    /// The left side is alarming below the literal.
    pub below: bool,
}

const fn above(literal: f64) -> Option<Tuned> {
    Some(Tuned { literal, clamp: None, whole: false, below: false })
}

const fn percent(literal: f64) -> Option<Tuned> {
    Some(Tuned { literal, clamp: Some((0.0, 100.0)), whole: false, below: false })
}

const fn share(literal: f64) -> Option<Tuned> {
    Some(Tuned { literal, clamp: Some((0.0, 1.0)), whole: false, below: false })
}

fn compared(op: Op) -> Formula {
    Formula::binary(op, Formula::Leaf(0), Formula::Literal(0))
}

fn greater() -> Formula {
    compared(Op::Greater)
}

fn less() -> Formula {
    compared(Op::Less)
}

fn fixed(op: Op, number: f64) -> Formula {
    Formula::binary(op, Formula::Leaf(0), Formula::Number(number))
}

/// The comparison, and a guard that is fetched as it stands.
fn guarded(comparison: Formula, on: &[&str]) -> Formula {
    let on = Matching { by: By::On(on.iter().map(|label| (*label).to_owned()).collect()), ..Matching::default() };
    Formula::matched(Op::And, on, comparison, Formula::Leaf(1))
}

fn one(history: &History<'_>, tracks: Vec<homeostat::replay::Track>) -> Vec<Range> {
    vec![history.range(tracks)]
}

/// Tracks without the values that `keep` does not want, as a filter of PromQL leaves them.
fn kept(mut tracks: Vec<homeostat::replay::Track>, keep: impl Fn(f64) -> bool) -> Vec<homeostat::replay::Track> {
    for value in tracks.iter_mut().flat_map(|track| &mut track.values) {
        *value = value.filter(|value| keep(*value));
    }
    tracks
}

fn cpu(h: &History<'_>) -> Vec<Range> {
    let mut idle = scaled(h.rate("node_cpu_seconds_total", &[("mode", "idle")], 5), -100.0);
    idle.iter_mut().flat_map(|track| &mut track.values).flatten().for_each(|value| *value += 100.0);
    one(h, sum_by(&["instance"], &idle))
}

fn error_share(h: &History<'_>) -> Vec<homeostat::replay::Track> {
    let errors = sum_by(&["job"], &h.rate("http_requests_total", &[("code", "500")], 5));
    ratio(errors, &sum_by(&["job"], &h.rate("http_requests_total", &[], 5)))
}

pub const RULES: [Published; 25] = [
    Published {
        group: "node",
        alert: "HostHighCpuLoad",
        kinds: &[Kind::NodeCpu],
        expr: "100 - (avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) * 100) > 80",
        hold: "0m",
        severity: "warning",
        tuned: percent(80.0),
        formula: greater,
        leaves: cpu,
    },
    Published {
        group: "node",
        alert: "HostHighCpuLoad",
        kinds: &[Kind::NodeCpu],
        expr: "100 - (avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) * 100) > 95",
        hold: "5m",
        severity: "critical",
        tuned: percent(95.0),
        formula: greater,
        leaves: cpu,
    },
    Published {
        group: "node",
        alert: "HostOutOfMemory",
        kinds: &[Kind::NodeMemory],
        expr: "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100 < 10",
        hold: "2m",
        severity: "warning",
        tuned: Some(Tuned { literal: 10.0, clamp: Some((0.0, 100.0)), whole: false, below: true }),
        formula: less,
        leaves: |h| {
            let (free, all) =
                (h.instant("node_memory_MemAvailable_bytes", &[]), h.instant("node_memory_MemTotal_bytes", &[]));
            one(h, scaled(ratio(free, &all), 100.0))
        },
    },
    Published {
        group: "node",
        alert: "HostOutOfDiskSpace",
        kinds: &[Kind::NodeDisk],
        expr: "(node_filesystem_avail_bytes{mountpoint=\"/\"} * 100) / node_filesystem_size_bytes{mountpoint=\"/\"} < 10\n\
               and on (instance, device, mountpoint) node_filesystem_readonly == 0",
        hold: "2m",
        severity: "warning",
        tuned: Some(Tuned { literal: 10.0, clamp: Some((0.0, 100.0)), whole: false, below: true }),
        formula: || guarded(less(), &["instance", "device", "mountpoint"]),
        leaves: |h| {
            let root = [("mountpoint", "/")];
            let (free, all) =
                (h.instant("node_filesystem_avail_bytes", &root), h.instant("node_filesystem_size_bytes", &root));
            let writable = kept(h.instant("node_filesystem_readonly", &[]), |value| value == 0.0);
            vec![h.range(scaled(ratio(free, &all), 100.0)), h.range(writable)]
        },
    },
    Published {
        group: "node",
        alert: "HostUnusualDiskIo",
        kinds: &[Kind::NodeIo],
        expr: "rate(node_disk_io_time_seconds_total[5m]) > 0.5",
        hold: "5m",
        severity: "warning",
        tuned: share(0.5),
        formula: greater,
        leaves: |h| one(h, h.rate("node_disk_io_time_seconds_total", &[], 5)),
    },
    Published {
        group: "node",
        alert: "HostUnusualNetworkThroughputIn",
        kinds: &[Kind::NodeNetwork],
        expr: "sum by (instance) (rate(node_network_receive_bytes_total[2m])) / 1024 / 1024 > 100",
        hold: "0m",
        severity: "warning",
        tuned: above(100.0),
        formula: greater,
        leaves: |h| {
            let received = sum_by(&["instance"], &h.rate("node_network_receive_bytes_total", &[], 2));
            one(h, scaled(received, 1.0 / 1024.0 / 1024.0))
        },
    },
    Published {
        group: "node",
        alert: "HostHighLoad",
        kinds: &[Kind::NodeCpu, Kind::NodeIo],
        expr: "node_load1 > 5",
        hold: "5m",
        severity: "warning",
        tuned: above(5.0),
        formula: greater,
        leaves: |h| one(h, h.instant("node_load1", &[])),
    },
    Published {
        group: "node",
        alert: "HostDown",
        kinds: &[Kind::Down],
        expr: "up{job=\"node\"} == 0",
        hold: "1m",
        severity: "critical",
        tuned: None,
        formula: || fixed(Op::Equal, 0.0),
        leaves: |h| one(h, h.instant("up", &[("job", "node")])),
    },
    Published {
        group: "container",
        alert: "ContainerHighCpuUtilization",
        kinds: &[Kind::ContainerCpu],
        expr: "(sum(rate(container_cpu_usage_seconds_total{name!=\"\"}[3m])) by (instance, name) * 100) > 80",
        hold: "2m",
        severity: "warning",
        tuned: above(80.0),
        formula: greater,
        leaves: |h| {
            let used = sum_by(&["instance", "name"], &h.rate("container_cpu_usage_seconds_total", &[], 3));
            one(h, scaled(used, 100.0))
        },
    },
    Published {
        group: "container",
        alert: "ContainerHighMemoryUsage",
        kinds: &[Kind::ContainerMemory],
        expr: "(sum(container_memory_working_set_bytes{name!=\"\"}) by (instance, name)\n  \
               / sum(container_spec_memory_limit_bytes > 0) by (instance, name) * 100) > 80",
        hold: "2m",
        severity: "warning",
        tuned: percent(80.0),
        formula: greater,
        leaves: |h| {
            let by = ["instance", "name"];
            let used = sum_by(&by, &h.instant("container_memory_working_set_bytes", &[]));
            let limit = sum_by(&by, &h.instant("container_spec_memory_limit_bytes", &[]));
            one(h, scaled(ratio(used, &limit), 100.0))
        },
    },
    Published {
        group: "container",
        alert: "ContainerHighThrottleRate",
        kinds: &[Kind::ContainerThrottled],
        expr: "sum(rate(container_cpu_cfs_throttled_periods_total{name!=\"\"}[5m])) by (name, pod, namespace)\n  \
               / sum(rate(container_cpu_cfs_periods_total[5m])) by (name, pod, namespace) > 0.25",
        hold: "5m",
        severity: "warning",
        tuned: share(0.25),
        formula: greater,
        leaves: |h| {
            let by = ["name", "pod", "namespace"];
            let throttled = sum_by(&by, &h.rate("container_cpu_cfs_throttled_periods_total", &[], 5));
            one(h, ratio(throttled, &sum_by(&by, &h.rate("container_cpu_cfs_periods_total", &[], 5))))
        },
    },
    Published {
        group: "container",
        alert: "PodCrashLooping",
        kinds: &[Kind::ContainerRestarts],
        expr: "increase(kube_pod_container_status_restarts_total[10m]) > 2",
        hold: "",
        severity: "warning",
        tuned: above(2.0),
        formula: greater,
        leaves: |h| one(h, h.increase("kube_pod_container_status_restarts_total", &[], 10)),
    },
    Published {
        group: "container",
        alert: "ContainerAbsent",
        kinds: &[],
        expr: "absent(container_memory_working_set_bytes{name=\"api\"})",
        hold: "5m",
        severity: "warning",
        tuned: None,
        formula: || Formula::Leaf(0),
        leaves: |h| one(h, h.absent("container_memory_working_set_bytes", &[("name", "api")])),
    },
    Published {
        group: "http",
        alert: "HighErrorRate",
        kinds: &[Kind::HttpErrors],
        expr: "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05",
        hold: "1m",
        severity: "warning",
        tuned: share(0.05),
        formula: greater,
        leaves: |h| one(h, error_share(h)),
    },
    Published {
        group: "http",
        alert: "HighErrorRateWithTraffic",
        kinds: &[Kind::HttpErrors],
        expr: "100 * sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 10\n\
               and sum by (job) (rate(http_requests_total[5m])) > 1",
        hold: "5m",
        severity: "critical",
        tuned: percent(10.0),
        formula: || guarded(greater(), &["job"]),
        leaves: |h| {
            let traffic = kept(sum_by(&["job"], &h.rate("http_requests_total", &[], 5)), |value| value > 1.0);
            vec![h.range(scaled(error_share(h), 100.0)), h.range(traffic)]
        },
    },
    Published {
        group: "http",
        alert: "HighLatency",
        kinds: &[Kind::HttpLatency],
        expr: "histogram_quantile(0.99, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m]))) > 1",
        hold: "2m",
        severity: "warning",
        tuned: above(1.0),
        formula: greater,
        leaves: |h| {
            let buckets = sum_by(&["job", "le"], &h.rate("http_request_duration_seconds_bucket", &[], 5));
            one(h, quantile(0.99, &buckets))
        },
    },
    Published {
        group: "http",
        alert: "HighRequestRate",
        kinds: &[Kind::HttpRate],
        expr: "sum by (job) (rate(http_requests_total[2m])) > 1000",
        hold: "0m",
        severity: "warning",
        tuned: above(1000.0),
        formula: greater,
        leaves: |h| one(h, sum_by(&["job"], &h.rate("http_requests_total", &[], 2))),
    },
    Published {
        group: "database",
        alert: "MysqlTooManyConnections",
        kinds: &[Kind::MysqlConnections],
        expr: "mysql_global_status_threads_connected / mysql_global_variables_max_connections * 100 > 80",
        hold: "2m",
        severity: "warning",
        tuned: percent(80.0),
        formula: greater,
        leaves: |h| {
            let open = h.instant("mysql_global_status_threads_connected", &[]);
            one(h, scaled(ratio(open, &h.instant("mysql_global_variables_max_connections", &[])), 100.0))
        },
    },
    Published {
        group: "database",
        alert: "MysqlSlowQueries",
        kinds: &[Kind::MysqlSlow],
        expr: "increase(mysql_global_status_slow_queries[2m]) > 0",
        hold: "2m",
        severity: "warning",
        tuned: None,
        formula: || fixed(Op::Greater, 0.0),
        leaves: |h| one(h, h.increase("mysql_global_status_slow_queries", &[], 2)),
    },
    Published {
        group: "database",
        alert: "PostgresReplicationLag",
        kinds: &[Kind::PostgresLag],
        expr: "pg_replication_lag_seconds > 30 and on (instance) pg_replication_is_replica == 1",
        hold: "0m",
        severity: "critical",
        tuned: above(30.0),
        formula: || guarded(greater(), &["instance"]),
        leaves: |h| {
            let replica = kept(h.instant("pg_replication_is_replica", &[]), |value| value == 1.0);
            vec![h.range(h.instant("pg_replication_lag_seconds", &[])), h.range(replica)]
        },
    },
    Published {
        group: "database",
        alert: "RedisOutOfConfiguredMaxmemory",
        kinds: &[Kind::RedisMemory],
        expr: "redis_memory_used_bytes / redis_memory_max_bytes * 100 > 90",
        hold: "2m",
        severity: "warning",
        tuned: percent(90.0),
        formula: greater,
        leaves: |h| {
            let used = h.instant("redis_memory_used_bytes", &[]);
            one(h, scaled(ratio(used, &h.instant("redis_memory_max_bytes", &[])), 100.0))
        },
    },
    Published {
        group: "queue",
        alert: "RabbitmqTooManyReadyMessages",
        kinds: &[Kind::QueueReady],
        expr: "sum(rabbitmq_queue_messages_ready) by (queue) > 1000",
        hold: "1m",
        severity: "warning",
        tuned: Some(Tuned { literal: 1000.0, clamp: None, whole: true, below: false }),
        formula: greater,
        leaves: |h| one(h, sum_by(&["queue"], &h.instant("rabbitmq_queue_messages_ready", &[]))),
    },
    Published {
        group: "queue",
        alert: "RabbitmqNoConsumer",
        kinds: &[Kind::QueueConsumers],
        expr: "rabbitmq_queue_consumers < 1",
        hold: "1m",
        severity: "critical",
        tuned: None,
        formula: || fixed(Op::Less, 1.0),
        leaves: |h| one(h, h.instant("rabbitmq_queue_consumers", &[])),
    },
    Published {
        group: "queue",
        alert: "RabbitmqTooManyUnackMessages",
        kinds: &[Kind::QueueUnacked],
        expr: "sum(rabbitmq_queue_messages_unacked) by (queue) > 1000",
        hold: "1m",
        severity: "warning",
        tuned: Some(Tuned { literal: 1000.0, clamp: None, whole: true, below: false }),
        formula: greater,
        leaves: |h| one(h, sum_by(&["queue"], &h.instant("rabbitmq_queue_messages_unacked", &[]))),
    },
    Published {
        group: "queue",
        alert: "KafkaConsumersGroupLag",
        kinds: &[Kind::KafkaLag],
        expr: "sum(kafka_consumergroup_lag) by (consumergroup) > 50",
        hold: "1m",
        severity: "warning",
        tuned: Some(Tuned { literal: 50.0, clamp: None, whole: true, below: false }),
        formula: greater,
        leaves: |h| one(h, sum_by(&["consumergroup"], &h.instant("kafka_consumergroup_lag", &[]))),
    },
];

/// The rules as a rule file.
pub fn yaml() -> String {
    let mut text = "# Alerts of the fleet, as public collections have them.\ngroups:\n".to_owned();
    let mut group = "";
    for rule in &RULES {
        if rule.group != group {
            group = rule.group;
            write!(text, "- name: {group}\n  interval: 1m\n  rules:\n").expect("text");
        }
        writeln!(text, "  - alert: {}", rule.alert).expect("text");
        if rule.expr.contains('\n') {
            text.push_str("    expr: |\n");
            rule.expr.lines().for_each(|line| writeln!(text, "      {line}").expect("text"));
        } else {
            writeln!(text, "    expr: {}", rule.expr).expect("text");
        }
        if !rule.hold.is_empty() {
            writeln!(text, "    for: {}", rule.hold).expect("text");
        }
        writeln!(text, "    labels:\n      severity: {}", rule.severity).expect("text");
        if let Some(tuned) = rule.tuned {
            let (side, literal) = (if tuned.below { "below" } else { "above" }, tuned.literal);
            writeln!(text, "    annotations:\n      summary: \"{}: {side} {literal} ({{{{ $value }}}})\"", rule.alert)
                .expect("text");
        }
    }
    text
}
