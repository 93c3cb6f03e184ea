//! From signals to what exporters would have said: raw metrics under their usual names, scraped once a minute.
//!
//! Counters start anew when their process does, a scrape is missed now and then, and the monitoring itself was down for a
//! while: a history without these would be easier than any real one.

use super::kinds::Kind;
use super::month::Signal;
use crate::chance::Chance;
use homeostat::replay::Labels;

/// One raw series: a value a minute, `None` where it was not scraped.
#[derive(Clone, Debug)]
pub struct Raw {
    /// With `__name__`.
    pub labels: Labels,
    /// How long after the full minute its target is scraped, in milliseconds.
    pub offset: i64,
    pub values: Vec<Option<f64>>,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub nodes: usize,
    pub containers: usize,
    pub services: usize,
    pub databases: usize,
    pub queues: usize,
}

impl Size {
    pub const FULL: Size = Size { nodes: 12, containers: 10, services: 4, databases: 3, queues: 3 };
    /// So few that a real Prometheus has its blocks within a minute.
    pub const SMALL: Size = Size { nodes: 6, containers: 6, services: 3, databases: 2, queues: 2 };

    pub fn owners(&self, kind: Kind) -> usize {
        match kind {
            Kind::NodeCpu | Kind::NodeMemory | Kind::NodeDisk | Kind::NodeIo | Kind::NodeNetwork | Kind::Down => {
                self.nodes
            }
            Kind::ContainerCpu | Kind::ContainerMemory | Kind::ContainerThrottled | Kind::ContainerRestarts => {
                self.containers
            }
            Kind::HttpErrors | Kind::HttpLatency | Kind::HttpRate => self.services,
            Kind::MysqlConnections | Kind::MysqlSlow | Kind::PostgresLag | Kind::RedisMemory => self.databases,
            Kind::QueueReady | Kind::QueueUnacked | Kind::QueueConsumers | Kind::KafkaLag => self.queues,
        }
    }
}

const CONTAINERS: [&str; 10] =
    ["api", "web", "worker", "cart", "search", "auth", "mailer", "billing", "indexer", "gateway"];
const SERVICES: [&str; 4] = ["shop", "login", "catalog", "payments"];
const QUEUES: [&str; 3] = ["orders", "mails", "exports"];

/// The limits of the latency histogram's buckets, in seconds.
pub const BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What a disturbance of this kind says of whom it concerns: the labels of its incidents.
pub fn whose(kind: Kind, owner: usize) -> Labels {
    let pair = |name: &str, value: String| Labels::new([(name, value)]);
    match kind {
        Kind::NodeCpu | Kind::NodeMemory | Kind::NodeDisk | Kind::NodeIo | Kind::NodeNetwork | Kind::Down => {
            pair("instance", format!("node-{}:9100", owner + 1))
        }
        Kind::ContainerCpu | Kind::ContainerMemory | Kind::ContainerThrottled => pair("name", container(owner)),
        Kind::ContainerRestarts => pair("pod", pod(owner)),
        Kind::HttpErrors | Kind::HttpLatency | Kind::HttpRate => pair("job", SERVICES[owner].to_owned()),
        Kind::MysqlConnections | Kind::MysqlSlow => pair("instance", format!("mysql-{}:9104", owner + 1)),
        Kind::PostgresLag => pair("instance", format!("postgres-{}:9187", owner + 1)),
        Kind::RedisMemory => pair("instance", format!("redis-{}:9121", owner + 1)),
        Kind::QueueReady | Kind::QueueUnacked | Kind::QueueConsumers => pair("queue", QUEUES[owner].to_owned()),
        Kind::KafkaLag => pair("consumergroup", QUEUES[owner].to_owned()),
    }
}

fn container(owner: usize) -> String {
    CONTAINERS[owner].to_owned()
}

fn pod(owner: usize) -> String {
    format!("{}-7c9f{owner}", CONTAINERS[owner])
}

/// One target: its series share labels, scrapes, gaps and restarts.
struct Target<'a> {
    labels: Labels,
    offset: i64,
    scraped: Vec<bool>,
    restarts: Vec<usize>,
    into: &'a mut Vec<Raw>,
}

impl Target<'_> {
    fn write(&mut self, name: &str, more: &[(&str, &str)], value: impl Fn(usize) -> f64) {
        let mut labels = self.labels.with("__name__", name);
        for (label, text) in more {
            labels = labels.with(label, text);
        }
        let values = self.scraped.iter().enumerate().map(|(minute, scraped)| scraped.then(|| value(minute)));
        self.into.push(Raw { labels, offset: self.offset, values: values.collect() });
    }

    /// A counter that grows by `growth` a minute, from 0 again at each restart.
    fn count(&mut self, name: &str, more: &[(&str, &str)], start: f64, growth: impl Fn(usize) -> f64) {
        let mut total = start;
        let totals: Vec<f64> = (0..self.scraped.len())
            .map(|minute| {
                if self.restarts.contains(&minute) {
                    total = 0.0;
                }
                total += growth(minute);
                total
            })
            .collect();
        self.write(name, more, |minute| totals[minute]);
    }
}

/// Everything that was scraped in the month.
pub fn raws(seed: u64, minutes: usize, size: &Size, signals: &[Signal]) -> Vec<Raw> {
    let mut raws = Vec::new();
    let mut shared = Chance::stream(seed, "monitoring");
    // The monitoring was down once, for a few minutes.
    let outage = shared.below(minutes.saturating_sub(60).max(1));
    let outage = outage..outage + 4 + shared.below(20);
    let of = |kind: Kind, owner: usize| -> &[f64] {
        match signals.iter().find(|signal| signal.kind == kind && signal.owner == owner) {
            Some(signal) => &signal.values,
            None => &[],
        }
    };
    let target = |job: &str, instance: &str, down: &[f64], into: &mut dyn FnMut(Target<'_>)| {
        let mut chance = Chance::stream(seed, instance);
        let mut scraped: Vec<bool> = (0..minutes).map(|minute| !outage.contains(&minute)).collect();
        for _ in 0..chance.below(6) {
            let (at, length) = (chance.below(minutes), 1 + chance.exponential(4.0) as usize);
            scraped.iter_mut().skip(at).take(length).for_each(|scraped| *scraped = false);
        }
        let restarts: Vec<usize> = (0..chance.below(4)).map(|_| chance.below(minutes)).collect();
        let labels = Labels::new([("job", job), ("instance", instance)]);
        let mut own = Vec::new();
        let up: Vec<bool> = (0..minutes).map(|minute| down.get(minute).is_none_or(|down| *down < 0.5)).collect();
        let offset = chance.below(55_000) as i64;
        let mut writer = Target { labels, offset, scraped, restarts, into: &mut own };
        writer.write("up", &[], |minute| f64::from(u8::from(up[minute])));
        writer.scraped.iter_mut().zip(&up).for_each(|(scraped, up)| *scraped &= *up);
        into(writer);
        own
    };

    for owner in 0..size.nodes {
        let instance = format!("node-{}:9100", owner + 1);
        let (cpu, memory, disk) = (of(Kind::NodeCpu, owner), of(Kind::NodeMemory, owner), of(Kind::NodeDisk, owner));
        let (io, network) = (of(Kind::NodeIo, owner), of(Kind::NodeNetwork, owner));
        let mut chance = Chance::stream(seed, &format!("load {owner}"));
        let cores = f64::from(1_u32 << (1 + chance.below(3)));
        let gigabytes = f64::from(4_u32 << chance.below(5)) * 1024.0 * 1024.0 * 1024.0;
        let load: Vec<f64> =
            (0..minutes).map(|m| cores * (cpu[m] * 0.8 + io[m] * 0.5 * 0.2) * (0.12 * chance.normal()).exp()).collect();
        raws.extend(target("node", &instance, of(Kind::Down, owner), &mut |mut node| {
            let start = 1e5 * cores;
            node.count("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "idle")], start, |m| {
                60.0 * (1.0 - (0.8 * cpu[m]).min(1.0))
            });
            node.write("node_load1", &[], |m| (load[m] * 100.0).round() / 100.0);
            node.write("node_memory_MemTotal_bytes", &[], |_| gigabytes);
            node.write("node_memory_MemAvailable_bytes", &[], |m| (gigabytes * (1.0 - 0.9 * memory[m])).round());
            let root = [("device", "/dev/sda1"), ("mountpoint", "/"), ("fstype", "ext4")];
            node.write("node_filesystem_size_bytes", &root, |_| 40.0 * gigabytes);
            node.write("node_filesystem_avail_bytes", &root, |m| (40.0 * gigabytes * (1.0 - 0.9 * disk[m])).round());
            node.write("node_filesystem_readonly", &root, |_| 0.0);
            node.count("node_disk_io_time_seconds_total", &[("device", "sda")], 5e4, |m| 60.0 * (0.5 * io[m]).min(1.0));
            let megabytes = 100.0 * 1024.0 * 1024.0 * 60.0;
            node.count("node_network_receive_bytes_total", &[("device", "eth0")], 1e12, |m| {
                (megabytes * network[m]).round()
            });
        }));
    }
    raws.extend(target("cadvisor", "cadvisor:8080", &[], &mut |mut cadvisor| {
        // A container that starts anew starts its counters anew too: `restarts` of the whole exporter stand for it.
        for owner in 0..size.containers {
            let (cpu, memory) = (of(Kind::ContainerCpu, owner), of(Kind::ContainerMemory, owner));
            let throttled = of(Kind::ContainerThrottled, owner);
            let (name, pod) = (container(owner), pod(owner));
            let of_it = [("name", name.as_str()), ("pod", pod.as_str()), ("namespace", "prod")];
            let limit = f64::from(1_u32 << (owner % 4)) * 512.0 * 1024.0 * 1024.0;
            cadvisor.count("container_cpu_usage_seconds_total", &of_it, 1e4, |m| 60.0 * 0.8 * cpu[m]);
            cadvisor.write("container_memory_working_set_bytes", &of_it, |m| (limit * 0.8 * memory[m]).round());
            cadvisor.write("container_spec_memory_limit_bytes", &of_it, |_| limit);
            cadvisor.count("container_cpu_cfs_periods_total", &of_it, 1e6, |_| 600.0);
            cadvisor.count("container_cpu_cfs_throttled_periods_total", &of_it, 1e5, |m| {
                (600.0 * (0.25 * throttled[m]).min(1.0)).round()
            });
        }
    }));
    raws.extend(target("kube-state-metrics", "kube-state-metrics:8080", &[], &mut |mut kube| {
        kube.restarts.clear();
        for owner in 0..size.containers {
            let restarts = of(Kind::ContainerRestarts, owner);
            let (name, pod) = (container(owner), pod(owner));
            let mut carried = 0.0;
            let grown: Vec<f64> = (0..minutes)
                .map(|m| {
                    // Two restarts in ten minutes stand at the literal.
                    carried += restarts[m] * 0.2;
                    let whole = f64::floor(carried);
                    carried -= whole;
                    whole
                })
                .collect();
            let of_it = [("container", name.as_str()), ("pod", pod.as_str()), ("namespace", "prod")];
            kube.count("kube_pod_container_status_restarts_total", &of_it, 0.0, |m| grown[m]);
        }
    }));
    for (owner, job) in SERVICES.into_iter().enumerate().take(size.services) {
        let (errors, latency) = (of(Kind::HttpErrors, owner), of(Kind::HttpLatency, owner));
        let rate = of(Kind::HttpRate, owner);
        raws.extend(target(job, &format!("{job}:8000"), &[], &mut |mut service| {
            let requests = |m: usize| 1000.0 * rate[m] * 60.0;
            let handler = ("handler", "/");
            service.count("http_requests_total", &[handler, ("code", "200")], 1e7, |m| {
                (requests(m) * (1.0 - (0.05 * errors[m]).min(1.0))).round()
            });
            service.count("http_requests_total", &[handler, ("code", "500")], 1e3, |m| {
                (requests(m) * (0.05 * errors[m]).min(1.0)).round()
            });
            // Exponential, so that one in a hundred takes as long as the signal says.
            let share = |m: usize, limit: f64| 1.0 - (-100_f64.ln() * limit / latency[m].max(1e-4)).exp();
            for limit in BUCKETS {
                service.count(
                    "http_request_duration_seconds_bucket",
                    &[handler, ("le", &limit.to_string())],
                    1e6,
                    |m| (requests(m) * share(m, limit)).round(),
                );
            }
            let all = [handler, ("le", "+Inf")];
            service.count("http_request_duration_seconds_bucket", &all, 1e6, |m| requests(m).round());
        }));
    }
    for owner in 0..size.databases {
        let (connections, slow) = (of(Kind::MysqlConnections, owner), of(Kind::MysqlSlow, owner));
        let most = [151.0, 500.0, 2000.0][owner % 3];
        raws.extend(target("mysql", &format!("mysql-{}:9104", owner + 1), &[], &mut |mut mysql| {
            mysql.write("mysql_global_status_threads_connected", &[], |m| (most * 0.8 * connections[m]).round());
            mysql.write("mysql_global_variables_max_connections", &[], |_| most);
            mysql.count("mysql_global_status_slow_queries", &[], 10.0, |m| slow[m].floor());
        }));
        let lag = of(Kind::PostgresLag, owner);
        raws.extend(target("postgres", &format!("postgres-{}:9187", owner + 1), &[], &mut |mut postgres| {
            postgres.write("pg_replication_lag_seconds", &[], |m| (30.0 * lag[m] * 1000.0).round() / 1000.0);
            postgres.write("pg_replication_is_replica", &[], |_| 1.0);
        }));
        let used = of(Kind::RedisMemory, owner);
        raws.extend(target("redis", &format!("redis-{}:9121", owner + 1), &[], &mut |mut redis| {
            redis.write("redis_memory_used_bytes", &[], |m| (4e9 * (0.9 * used[m]).min(1.0)).round());
            redis.write("redis_memory_max_bytes", &[], |_| 4e9);
        }));
    }
    raws.extend(target("rabbitmq", "rabbitmq:15692", &[], &mut |mut rabbit| {
        for (owner, queue) in QUEUES.iter().enumerate().take(size.queues) {
            let (ready, unacked) = (of(Kind::QueueReady, owner), of(Kind::QueueUnacked, owner));
            let of_it = [("queue", *queue), ("vhost", "/")];
            rabbit.write("rabbitmq_queue_messages_ready", &of_it, |m| (1000.0 * ready[m]).round());
            rabbit.write("rabbitmq_queue_messages_unacked", &of_it, |m| (1000.0 * unacked[m]).round());
            let gone = of(Kind::QueueConsumers, owner);
            let consumers = 1.0 + (owner * 2) as f64;
            rabbit.write("rabbitmq_queue_consumers", &of_it, |m| if gone[m] > 0.5 { 0.0 } else { consumers });
        }
    }));
    raws.extend(target("kafka", "kafka-exporter:9308", &[], &mut |mut kafka| {
        for (owner, group) in QUEUES.iter().enumerate().take(size.queues) {
            let lag = of(Kind::KafkaLag, owner);
            let of_it = [("consumergroup", *group), ("topic", *group)];
            let part = |m: usize, share: f64| (50.0 * lag[m] * share).round();
            kafka.write("kafka_consumergroup_lag", &[of_it[0], of_it[1], ("partition", "0")], |m| part(m, 0.6));
            kafka.write("kafka_consumergroup_lag", &[of_it[0], of_it[1], ("partition", "1")], |m| part(m, 0.4));
        }
    }));
    raws
}
