//! This host, with no set-up: processor, memory, load, pressure, disks, file systems, network, and this process itself.
//!
//! Read every second at first, so a read is cheap: only what is shown is refreshed, names are made once. What a system does
//! not have (pressure outside Linux, a disk that went) is absent, not zero.

use crate::config::HostSource;
use homeostat::config::Kind;
use homeostat::series::SeriesName;
use std::collections::HashMap;
use std::path::Path;
use sysinfo::{Disks, Networks, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Devices that are no hardware: their numbers repeat those of what they stand for.
const VIRTUAL_NETWORK: [&str; 9] = ["lo", "veth", "docker", "br-", "virbr", "tun", "tap", "cni", "flannel"];
const VIRTUAL_DISK: [&str; 4] = ["loop", "ram", "zram", "dm-"];
const VIRTUAL_FILESYSTEM: [&str; 8] =
    ["tmpfs", "devtmpfs", "overlay", "squashfs", "proc", "sysfs", "efivarfs", "fuse.lxcfs"];

/// The most disks, file systems and network devices that are watched, each: a host with hundreds is not read in full.
const DEVICES_MAX: usize = 8;

/// One number of this host.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    pub series: SeriesName,
    pub kind: Kind,
    pub value: f64,
}

/// How much of this host, and by this process, is in use: evidence for the state.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Usage {
    /// Share of all processors, 0 to 1.
    pub host_processor: Option<f64>,
    /// Share of memory that is not available, 0 to 1.
    pub host_memory: Option<f64>,
    /// Resident memory of this process, in bytes.
    pub own_memory: Option<f64>,
    /// Processor time of this process so far, in seconds.
    pub own_processor: Option<f64>,
}

/// Everything that was read at once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Readings {
    pub readings: Vec<Reading>,
    pub usage: Usage,
}

pub struct Host {
    wanted: HostSource,
    /// Each is absent where this system gives no access to it.
    system: Option<System>,
    disks: Option<Disks>,
    networks: Option<Networks>,
    pid: Option<Pid>,
    /// Names made so far, by metric and device.
    names: HashMap<(&'static str, String), SeriesName>,
    /// Processor usage is a difference between two reads; there is none at the first.
    read_before: bool,
}

impl Host {
    pub fn new(wanted: HostSource) -> Host {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        let disks = wanted.disk || wanted.filesystem;
        Host {
            system,
            disks: disks.then(Disks::new_with_refreshed_list).and_then(Result::ok),
            networks: wanted.network.then(Networks::new_with_refreshed_list).and_then(Result::ok),
            pid: sysinfo::get_current_pid().ok(),
            names: HashMap::new(),
            read_before: false,
            wanted,
        }
    }

    /// Reads everything that is wanted. What the engine needs as evidence is read whether it is shown or not.
    pub fn read(&mut self) -> Readings {
        let mut all = Readings::default();
        self.processor(&mut all);
        self.memory(&mut all);
        self.process(&mut all);
        if self.wanted.load
            && let Ok(load) = System::load_average()
        {
            for (metric, value) in [("host_load1", load.one), ("host_load5", load.five), ("host_load15", load.fifteen)]
            {
                self.push(&mut all, metric, "", "", Kind::Gauge, value);
            }
        }
        if self.wanted.pressure {
            self.pressure(&mut all);
        }
        self.disks(&mut all);
        self.network(&mut all);
        self.read_before = true;
        all
    }

    fn push(&mut self, all: &mut Readings, metric: &'static str, label: &str, device: &str, kind: Kind, value: f64) {
        let key = (metric, device.to_owned());
        let made = self.names.entry(key).or_insert_with(|| {
            let labels = (!device.is_empty()).then(|| (label.to_owned(), device.to_owned()));
            SeriesName::new(metric, labels).unwrap_or_else(|_| {
                SeriesName::new(metric, []).expect("a metric's name alone is short enough to name a series")
            })
        });
        all.readings.push(Reading { series: made.clone(), kind, value });
    }

    fn processor(&mut self, all: &mut Readings) {
        let Some(system) = &mut self.system else { return };
        system.refresh_cpu_usage();
        if !self.read_before {
            return;
        }
        let share = f64::from(system.global_cpu_usage()) / 100.0;
        all.usage.host_processor = Some(share);
        if self.wanted.processor {
            self.push(all, "host_processor_ratio", "", "", Kind::Gauge, share);
        }
    }

    fn memory(&mut self, all: &mut Readings) {
        let Some(system) = &mut self.system else { return };
        system.refresh_memory();
        // Inside a container the limit is the container's.
        let (total, available) = match system.cgroup_limits() {
            Some(limits) if limits.total_memory > 0 && limits.total_memory < system.total_memory() => {
                (limits.total_memory, limits.free_memory)
            }
            _ => (system.total_memory(), system.available_memory()),
        };
        if total == 0 {
            return;
        }
        let share = 1.0 - available as f64 / total as f64;
        let (swap, used) = (system.total_swap(), system.used_swap());
        all.usage.host_memory = Some(share);
        if self.wanted.memory {
            self.push(all, "host_memory_used_ratio", "", "", Kind::Gauge, share);
            if swap > 0 {
                self.push(all, "host_swap_used_ratio", "", "", Kind::Gauge, used as f64 / swap as f64);
            }
        }
    }

    fn process(&mut self, all: &mut Readings) {
        let (Some(system), Some(pid)) = (&mut self.system, self.pid) else { return };
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let Some(process) = system.process(pid) else { return };
        let (memory, processor) = (process.memory() as f64, process.accumulated_cpu_time() as f64 / 1000.0);
        all.usage.own_memory = Some(memory);
        all.usage.own_processor = Some(processor);
        if self.wanted.process {
            self.push(all, "process_resident_memory_bytes", "", "", Kind::Gauge, memory);
            self.push(all, "process_cpu_seconds_total", "", "", Kind::Counter, processor);
        }
    }

    /// Share of time in which some (or all) work waited, per resource: <https://docs.kernel.org/accounting/psi.html>.
    fn pressure(&mut self, all: &mut Readings) {
        const FILES: [(&str, &str, &str); 3] = [
            ("/proc/pressure/cpu", "host_pressure_cpu_waiting_seconds_total", ""),
            (
                "/proc/pressure/memory",
                "host_pressure_memory_waiting_seconds_total",
                "host_pressure_memory_stalled_seconds_total",
            ),
            ("/proc/pressure/io", "host_pressure_io_waiting_seconds_total", "host_pressure_io_stalled_seconds_total"),
        ];
        for (path, some, full) in FILES {
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            for line in text.lines() {
                let metric = if line.starts_with("some") { some } else { full };
                let total = line.rsplit_once("total=").and_then(|(_, micros)| micros.trim().parse::<f64>().ok());
                if let (false, Some(micros)) = (metric.is_empty(), total) {
                    self.push(all, metric, "", "", Kind::Counter, micros / 1e6);
                }
            }
        }
    }

    fn disks(&mut self, all: &mut Readings) {
        let Some(mut disks) = self.disks.take() else { return };
        disks.refresh(true);
        let mut seen: Vec<&str> = Vec::new();
        for disk in disks.iter() {
            let device = disk.name().to_str().unwrap_or_default();
            let kind = disk.file_system().to_str().unwrap_or_default();
            if VIRTUAL_FILESYSTEM.contains(&kind) || seen.contains(&device) || seen.len() == DEVICES_MAX {
                continue;
            }
            // A device mounted in several places counts once, where it was mounted first.
            seen.push(device);
            if self.wanted.filesystem && disk.total_space() > 0 && !disk.is_read_only() {
                let used = 1.0 - disk.available_space() as f64 / disk.total_space() as f64;
                let mounted = disk.mount_point().display().to_string();
                self.push(all, "host_filesystem_used_ratio", "mountpoint", &mounted, Kind::Gauge, used);
            }
            let bare = Path::new(device).file_name().and_then(|name| name.to_str()).unwrap_or(device).to_owned();
            if self.wanted.disk && !VIRTUAL_DISK.iter().any(|start| bare.starts_with(start)) {
                let usage = disk.usage();
                let (read, written) = (usage.total_read_bytes as f64, usage.total_written_bytes as f64);
                self.push(all, "host_disk_read_bytes_total", "device", &bare, Kind::Counter, read);
                self.push(all, "host_disk_written_bytes_total", "device", &bare, Kind::Counter, written);
            }
        }
        self.disks = Some(disks);
    }

    fn network(&mut self, all: &mut Readings) {
        let Some(mut networks) = self.networks.take() else { return };
        networks.refresh(true);
        let mut devices: Vec<_> = networks
            .iter()
            .filter_map(|(device, data)| Some((device.to_str()?, data)))
            .filter(|(device, _)| !VIRTUAL_NETWORK.iter().any(|start| device.starts_with(start)))
            .collect();
        devices.sort_by_key(|(device, _)| *device);
        for (device, data) in devices.into_iter().take(DEVICES_MAX) {
            for (metric, value) in [
                ("host_network_received_bytes_total", data.total_received()),
                ("host_network_transmitted_bytes_total", data.total_transmitted()),
                ("host_network_receive_errors_total", data.total_errors_on_received()),
                ("host_network_transmit_errors_total", data.total_errors_on_transmitted()),
            ] {
                self.push(all, metric, "device", device, Kind::Counter, value as f64);
            }
        }
        self.networks = Some(networks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_read_with_plausible_numbers_and_without_repeating_a_series() {
        let mut host = Host::new(HostSource::default());
        host.read();
        let second = host.read();
        let names: std::collections::BTreeSet<_> = second.readings.iter().map(|reading| &reading.series).collect();
        assert_eq!(names.len(), second.readings.len(), "each series once");
        assert!((5..=120).contains(&names.len()), "{}", names.len());
        for reading in &second.readings {
            assert!(reading.value.is_finite() && reading.value >= 0.0, "{reading:?}");
            if reading.series.metric().ends_with("_ratio") {
                assert!(reading.value <= 1.0 + 1e-6, "{reading:?}");
            }
        }
        let usage = second.usage;
        assert!(usage.own_memory.is_some_and(|bytes| bytes > 1e5) && usage.host_memory.is_some());
    }

    #[test]
    fn what_is_not_wanted_is_not_read() {
        let wanted = HostSource { load: false, network: false, ..HostSource::default() };
        let all = Host::new(wanted).read();
        assert!(!all.readings.iter().any(|r| r.series.metric().starts_with("host_load")));
        assert!(!all.readings.iter().any(|r| r.series.metric().starts_with("host_network")));
    }
}
