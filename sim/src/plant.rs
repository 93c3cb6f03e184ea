//! A managed system to watch: requests queue before a few servers, and the machine sweats accordingly.
//!
//! A G/G/k queue, first come first served, by the recursion of Kiefer and Wolfowitz (1955): a request starts when it
//! has come and the first server is free. Arrivals are Poisson at the workload's rate, service times lognormal. Exact,
//! with no step error: the fixed step is only how often the rate is looked at and, for a caller, the grain of time.

use crate::chance::Chance;
use crate::workload::{Range, Workload};
use homeostat::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantSpec {
    /// How often its series are read.
    pub every: Span,
    /// Requests per second.
    pub arrivals: Workload,
    /// How many requests are served at once. At least 1.
    pub servers: usize,
    /// Mean service time, in seconds.
    pub service_seconds: f64,
    /// Spread of the service time's logarithm.
    pub service_spread: f64,
    /// The most requests that wait; one more is an error.
    pub queue_max: usize,
}

/// What the plant shows at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    /// Requests waiting now.
    pub queue_length: f64,
    /// Mean time from arrival to completion of those that came since the last reading; none when none came.
    pub latency_seconds: Option<f64>,
    /// Share of the servers' time that was spent serving since the last reading.
    pub utilization_ratio: f64,
    /// Counted from the start.
    pub arrivals_total: f64,
    pub errors_total: f64,
    /// What its host reports: shares of processor and memory in use.
    pub host_processor: f64,
    pub host_memory: f64,
}

impl Reading {
    /// Each series' name and value, where there is one.
    pub fn series(&self) -> [(&'static str, Option<f64>); 5] {
        [
            (SERIES[0], Some(self.queue_length)),
            (SERIES[1], self.latency_seconds),
            (SERIES[2], Some(self.utilization_ratio)),
            (SERIES[3], Some(self.arrivals_total)),
            (SERIES[4], Some(self.errors_total)),
        ]
    }
}

pub const SERIES: [&str; 5] =
    ["queue_length", "latency_seconds", "utilization_ratio", "arrivals_total", "errors_total"];

/// The host does a little besides serving, and needs a little memory for each request that waits.
const HOST_PROCESSOR_IDLE: f64 = 0.04;
const HOST_MEMORY_IDLE: f64 = 0.30;
const HOST_MEMORY_OF_FULL_QUEUE: f64 = 0.50;

/// How often the arrival rate is looked at.
const STEP: Span = Span::from_secs(1);

#[derive(Clone, Debug)]
pub struct Plant {
    spec: PlantSpec,
    chance: Chance,
    /// Up to when it has been advanced, since the start.
    now: Span,
    /// When each server is free, in seconds since the start.
    free_at: Vec<f64>,
    /// When each waiting request will start, in order.
    starts: VecDeque<f64>,
    arrivals: u64,
    errors: u64,
    since: Since,
}

/// What is summed up between two readings.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    at: f64,
    served: u64,
    latency_sum: f64,
    /// Seconds of service: unfinished at the last reading, and taken on since.
    work_left: f64,
    work_taken: f64,
}

/// Requests per second that a plant is sent at most: a heavy tail has no end of its own.
const ARRIVALS_MAX: f64 = 1000.0;

impl Plant {
    pub fn new(spec: PlantSpec, chance: Chance) -> Plant {
        assert!(spec.servers > 0 && spec.service_seconds > 0.0, "a plant has a server that takes its time");
        let free_at = vec![0.0; spec.servers];
        Plant {
            spec,
            chance,
            now: Span::ZERO,
            free_at,
            starts: VecDeque::new(),
            arrivals: 0,
            errors: 0,
            since: Since::default(),
        }
    }

    /// When the arrivals are such that a person would want to hear of it.
    pub fn incidents(&self, duration: Span) -> Vec<Range> {
        self.spec.arrivals.incidents(duration)
    }

    /// Lives until `until` and says how things stand then.
    pub fn advance(&mut self, until: Span) -> Reading {
        while self.now < until {
            let step_end = (self.now + STEP).min(until);
            self.step(self.now.secs(), step_end.secs());
            self.now = step_end;
        }
        self.read()
    }

    /// Arrivals from `from` until before `until`, in seconds. The rate is constant in between, and a Poisson process
    /// has no memory, so each step may start its gaps anew.
    fn step(&mut self, from: f64, until: f64) {
        let rate = self.spec.arrivals.value(self.now, &mut self.chance).filter(|rate| *rate > 0.0);
        let Some(rate) = rate.map(|rate| rate.min(ARRIVALS_MAX)) else { return };
        let mut at = from + self.chance.exponential(1.0 / rate);
        while at < until {
            self.arrive(at);
            at += self.chance.exponential(1.0 / rate);
        }
    }

    fn arrive(&mut self, at: f64) {
        self.arrivals += 1;
        while self.starts.front().is_some_and(|start| *start <= at) {
            self.starts.pop_front();
        }
        // Drawn for the refused too, so that a longer queue would meet the same requests. Mean of a lognormal:
        // median × exp(spread² / 2).
        let spread = self.spec.service_spread;
        let service = self.chance.lognormal(self.spec.service_seconds * (-spread * spread / 2.0).exp(), spread);
        let all_busy = self.free_at.iter().all(|free| *free > at);
        if all_busy && self.starts.len() >= self.spec.queue_max {
            self.errors += 1;
            return;
        }
        let first = self.free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("a plant has a server");
        let start = first.max(at);
        *first = start + service;
        if start > at {
            self.starts.push_back(start);
        }
        self.since.served += 1;
        self.since.work_taken += service;
        self.since.latency_sum += start + service - at;
    }

    fn read(&mut self) -> Reading {
        let now = self.now.secs();
        while self.starts.front().is_some_and(|start| *start <= now) {
            self.starts.pop_front();
        }
        let span = now - self.since.at;
        // Time spent busy: the work that was left then, and what came, less what is left now.
        let work_left: f64 = self.free_at.iter().map(|free| (free - now).max(0.0)).sum();
        let busy = self.since.work_left + self.since.work_taken - work_left;
        let capacity = self.spec.servers as f64 * span;
        let utilization_ratio = if capacity > 0.0 { (busy / capacity).clamp(0.0, 1.0) } else { 0.0 };
        let latency_seconds = (self.since.served > 0).then(|| self.since.latency_sum / self.since.served as f64);
        self.since = Since { at: now, work_left, ..Since::default() };
        let waiting = self.starts.len() as f64;
        Reading {
            queue_length: waiting,
            latency_seconds,
            utilization_ratio,
            arrivals_total: self.arrivals as f64,
            errors_total: self.errors as f64,
            host_processor: HOST_PROCESSOR_IDLE + (1.0 - HOST_PROCESSOR_IDLE) * utilization_ratio,
            host_memory: HOST_MEMORY_IDLE + HOST_MEMORY_OF_FULL_QUEUE * waiting / self.spec.queue_max.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Effect, Incident, Shape};

    fn spec(rate: f64, servers: usize, spread: f64) -> PlantSpec {
        PlantSpec {
            every: Span::minutes(1),
            arrivals: Workload { level: rate, noise: 0.0, shape: Shape::Steady, incidents: Vec::new() },
            servers,
            service_seconds: 0.1,
            service_spread: spread,
            queue_max: 500,
        }
    }

    /// Mean latency and utilization over a day of readings.
    fn day(spec: PlantSpec) -> (f64, f64) {
        let mut plant = Plant::new(spec, Chance::new(11));
        let readings: Vec<Reading> = (1..=1440).map(|minute| plant.advance(Span::minutes(minute))).collect();
        let latencies: Vec<f64> = readings.iter().filter_map(|r| r.latency_seconds).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        (mean(&latencies), mean(&readings.iter().map(|r| r.utilization_ratio).collect::<Vec<_>>()))
    }

    #[test]
    fn one_server_waits_as_pollaczek_and_khinchine_say() {
        // Wait = ρ s (1 + c²) / 2 (1 - ρ), with c² = exp(spread²) - 1: here ρ = .7, s = .1 s, c² = .2840.
        let (latency, utilization) = day(spec(7.0, 1, 0.5));
        let wanted = 0.1 + 0.7 * 0.1 * 1.2840 / (2.0 * 0.3);
        assert!((latency - wanted).abs() < 0.05 * wanted, "latency {latency} s is not {wanted} s");
        assert!((utilization - 0.7).abs() < 0.01, "utilization {utilization}");
    }

    #[test]
    fn several_servers_share_the_work() {
        let (one, _) = day(spec(7.0, 1, 0.5));
        let (four, utilization) = day(spec(28.0, 4, 0.5));
        assert!(four < one, "at equal utilization a pool waits less: {four} s against {one} s");
        assert!((utilization - 0.7).abs() < 0.01, "utilization {utilization}");
    }

    #[test]
    fn overload_fills_the_queue_to_its_end_and_no_further() {
        let mut spec = spec(7.0, 1, 0.5);
        spec.arrivals.incidents =
            vec![Incident { at: Span::minutes(10), lasting: Span::minutes(10), effect: Effect::Times(3.0) }];
        let mut plant = Plant::new(spec, Chance::new(5));
        let readings: Vec<Reading> = (1..=40).map(|minute| plant.advance(Span::minutes(minute))).collect();
        assert!(readings[8].queue_length < 30.0 && readings[8].errors_total == 0.0);
        assert!(readings[19].queue_length > 450.0 && readings.iter().all(|r| r.queue_length <= 500.0));
        assert!(readings[19].errors_total > 1000.0 && readings[19].host_processor > 0.99);
        assert_eq!(readings[39].errors_total, readings[25].errors_total, "the queue drains and nothing is refused");
        assert!(readings.windows(2).all(|two| two[0].arrivals_total <= two[1].arrivals_total));
    }
}
