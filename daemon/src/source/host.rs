//! This host, as Prometheus-named series, and how busy it and this process are, as evidence for the engine's state.
//!
//! It is read every second at first, so a read has to be cheap: the files of /proc are kept open and read again from
//! their start into one buffer, and every series' name is made once. Where there is no /proc (not Linux) what sysinfo
//! knows is used. A file that is not there gives no series; that is no error. Devices that only stand for others
//! (loop, device mapper, bridges, the host's ends of containers) are left out, or each byte would count twice.

mod filesystems;

use crate::config::HostSource;
use filesystems::Filesystems;
use homeostat::config::Kind;
use homeostat::series::SeriesName;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most disks, network devices and file systems that become series; the first by name stay. With the series that
/// every host has that is 71 at most.
const DISKS_MAX: usize = 8;
const NETWORKS_MAX: usize = 6;
const FILESYSTEMS_MAX: usize = 8;

/// A file of /proc is read up to here, in bytes; what is looked for stands before it also on the largest hosts.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Ticks of processor time in a second, as Linux reports them to every program.
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes in a sector, as Linux counts them whatever the disk has.
const SECTOR_LEN: f64 = 512.0;

/// One series' value now.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    pub series: SeriesName,
    pub kind: Kind,
    pub value: f64,
}

/// How much of the host and of what this process may have is in use. Measured with every read, also for parts that
/// are switched off as series, or all of them. None: it could not be measured.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Usage {
    /// Share of the processor in use since the read before; of the control group's (cgroup v2) quota where that is
    /// nearer to its limit. None at the first read.
    pub host_processor: Option<f64>,
    /// Share of memory in use, what can be freed at once not counted; of the control group's limit where that is
    /// nearer.
    pub host_memory: Option<f64>,
    pub own_memory_bytes: Option<u64>,
    pub own_processor_seconds: Option<f64>,
}

/// What one read gave.
#[derive(Clone, PartialEq, Debug)]
pub struct HostRead {
    pub readings: Vec<Reading>,
    pub usage: Usage,
}

/// This host as a source.
pub struct Host {
    parts: HostSource,
    files: Files,
    group: Option<Group>,
    filesystems: Option<Filesystems>,
    /// What sysinfo measures instead, where there is no /proc/stat.
    portable: Option<sysinfo::System>,
    ticks: Option<Ticks>,
    names: HashMap<&'static str, SeriesName>,
    disks: BTreeMap<String, Device<3>>,
    networks: BTreeMap<String, Device<3>>,
    mounts: BTreeMap<String, SeriesName>,
    len_hint: usize,
}

/// A device and its series; `seen` in the present read.
struct Device<const N: usize> {
    series: Option<[SeriesName; N]>,
    seen: bool,
}

/// Processor time of all processors since the start, in ticks.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Ticks {
    total: u64,
    idle: u64,
    waiting: u64,
    stolen: u64,
    processors: u32,
}

struct Files {
    root: PathBuf,
    stat: ProcFile,
    meminfo: ProcFile,
    loadavg: ProcFile,
    pressure: [(ProcFile, [Option<&'static str>; 2]); 3],
    diskstats: ProcFile,
    net: ProcFile,
    own_stat: ProcFile,
    own_status: ProcFile,
}

/// The control group (cgroup v2) this process is in, where there is one.
struct Group {
    memory_max: ProcFile,
    memory_current: ProcFile,
    memory_stat: ProcFile,
    processor_max: ProcFile,
    processor_stat: ProcFile,
    used_micros: Option<u64>,
}

impl Host {
    /// Ready to read; opens nothing that is not there.
    pub fn new(parts: &HostSource) -> Host {
        Host::under(Path::new("/"), parts)
    }

    /// The host whose /proc and /sys lie below `root`.
    fn under(root: &Path, parts: &HostSource) -> Host {
        let files = Files::new(root);
        let portable = (!root.join("proc/stat").exists()).then(|| sysinfo::System::new().ok()).flatten();
        Host {
            group: Group::find(root),
            filesystems: (parts.enabled && parts.filesystem).then(Filesystems::start).flatten(),
            parts: parts.clone(),
            files,
            portable,
            ticks: None,
            names: HashMap::new(),
            disks: BTreeMap::new(),
            networks: BTreeMap::new(),
            mounts: BTreeMap::new(),
            len_hint: 0,
        }
    }

    /// Reads the host. Ratios over time span from the read before to this one.
    pub fn read(&mut self) -> HostRead {
        let mut usage = Usage::default();
        let mut readings = Vec::with_capacity(self.len_hint);
        let on = self.parts.enabled;
        let mut out = Out { names: &mut self.names, readings: &mut readings, on: false };

        out.on = on && self.parts.processor;
        let (busy, elapsed_secs) = processor(&mut self.files.stat, &mut self.ticks, &mut out);
        usage.host_processor = busy;
        out.on = on && self.parts.memory;
        usage.host_memory = memory(&mut self.files.meminfo, &mut out);
        if let Some(group) = &mut self.group {
            let (processor, memory) = group.read(elapsed_secs);
            let nearer = |host: Option<f64>, group: Option<f64>| match (host, group) {
                (Some(host), Some(group)) => Some(host.max(group)),
                (host, group) => host.or(group),
            };
            usage.host_processor = nearer(usage.host_processor, processor);
            usage.host_memory = nearer(usage.host_memory, memory);
        }
        out.on = on && self.parts.process;
        own(&mut self.files, &mut out, &mut usage);
        if let Some(system) = &mut self.portable {
            let parts = &self.parts;
            portable(system, &mut out, &mut usage, |part: fn(&HostSource) -> bool| on && part(parts));
        }
        if on && self.parts.load {
            out.on = true;
            load(&mut self.files.loadavg, &mut out);
        }
        if on && self.parts.pressure {
            for (file, names) in &mut self.files.pressure {
                pressure(file, *names, &mut out);
            }
        }
        if on && self.parts.disk {
            disks(&mut self.files, &mut self.disks, &mut readings);
        }
        if on && self.parts.network {
            networks(&mut self.files.net, &mut self.networks, &mut readings);
        }
        if let Some(filesystems) = &mut self.filesystems {
            mounts(filesystems.used(), &mut self.mounts, &mut readings);
        }
        self.len_hint = readings.len();
        HostRead { readings, usage }
    }
}

/// Where readings of series without labels go.
struct Out<'a> {
    names: &'a mut HashMap<&'static str, SeriesName>,
    readings: &'a mut Vec<Reading>,
    /// Whether the part being read is wanted as series.
    on: bool,
}

impl Out<'_> {
    fn push(&mut self, name: &'static str, kind: Kind, value: f64) {
        if self.on {
            let series = self.names.entry(name).or_insert_with(|| series(name, &[])).clone();
            self.readings.push(Reading { series, kind, value });
        }
    }

    fn gauge(&mut self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.push(name, Kind::Gauge, value);
        }
    }

    fn counter(&mut self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.push(name, Kind::Counter, value);
        }
    }
}

/// A series of ours. A device's name that is too long to be a label's value is cut.
fn series(name: &str, labels: &[(&str, &str)]) -> SeriesName {
    let short = |text: &str| text.chars().take(200).collect::<String>();
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), short(value)));
    SeriesName::new(name, labels).expect("a short name with labels that differ names a series")
}

/// A file that is read again and again.
struct ProcFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl ProcFile {
    fn new(root: &Path, path: &str) -> ProcFile {
        ProcFile { path: root.join(path), file: None, buffer: Vec::new() }
    }

    /// What it holds now; `None` when it is not there, or is not text.
    fn read(&mut self) -> Option<&str> {
        self.buffer.clear();
        let again = self.file.take().filter(|mut file| file.rewind().is_ok());
        // Kept open where that works; opened anew where a file has gone and come back.
        for file in [again, File::open(&self.path).ok()].into_iter().flatten() {
            self.buffer.clear();
            if (&file).take(FILE_LEN_MAX).read_to_end(&mut self.buffer).is_ok() {
                self.file = Some(file);
                return std::str::from_utf8(&self.buffer).ok();
            }
        }
        None
    }
}

impl Files {
    fn new(root: &Path) -> Files {
        let file = |path| ProcFile::new(root, path);
        Files {
            root: root.to_owned(),
            stat: file("proc/stat"),
            meminfo: file("proc/meminfo"),
            loadavg: file("proc/loadavg"),
            // For the processor there is no `full`: something always runs.
            pressure: [
                (file("proc/pressure/cpu"), [Some("host_pressure_cpu_some_ratio"), None]),
                (
                    file("proc/pressure/memory"),
                    [Some("host_pressure_memory_some_ratio"), Some("host_pressure_memory_full_ratio")],
                ),
                (file("proc/pressure/io"), [Some("host_pressure_io_some_ratio"), Some("host_pressure_io_full_ratio")]),
            ],
            diskstats: file("proc/diskstats"),
            net: file("proc/net/dev"),
            own_stat: file("proc/self/stat"),
            own_status: file("proc/self/status"),
        }
    }
}

/// The number at `index` of a line's words.
fn word<T: FromStr>(line: &str, index: usize) -> Option<T> {
    line.split_ascii_whitespace().nth(index)?.parse().ok()
}

/// Share of the processor in use and seconds since the read before.
fn processor(file: &mut ProcFile, before: &mut Option<Ticks>, out: &mut Out<'_>) -> (Option<f64>, Option<f64>) {
    let Some(text) = file.read() else { return (None, None) };
    let mut now = Ticks::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next().unwrap_or("") {
            "cpu" => {
                // user nice system idle iowait irq softirq steal; what guests use is in user already.
                let mut ticks = [0u64; 8];
                for (tick, word) in ticks.iter_mut().zip(words) {
                    *tick = word.parse().unwrap_or(0);
                }
                now.total = ticks.iter().sum();
                (now.idle, now.waiting, now.stolen) = (ticks[3], ticks[4], ticks[7]);
            }
            "ctxt" => out.counter("host_context_switches_total", words.next().and_then(|word| word.parse().ok())),
            "procs_running" => out.gauge("host_processes_running", words.next().and_then(|word| word.parse().ok())),
            "procs_blocked" => out.gauge("host_processes_blocked", words.next().and_then(|word| word.parse().ok())),
            name if name.starts_with("cpu") => now.processors += 1,
            _ => {}
        }
    }
    let Some(before) = before.replace(now) else { return (None, None) };
    let total = now.total.saturating_sub(before.total);
    if total == 0 {
        return (None, None);
    }
    // A kernel may take back some idle time; that is no time in use.
    let share = |now: u64, before: u64| (now.saturating_sub(before) as f64 / total as f64).clamp(0.0, 1.0);
    let waiting = share(now.waiting, before.waiting);
    let busy = (1.0 - share(now.idle, before.idle) - waiting).clamp(0.0, 1.0);
    out.gauge("host_processor_ratio", Some(busy));
    out.gauge("host_processor_iowait_ratio", Some(waiting));
    out.gauge("host_processor_steal_ratio", Some(share(now.stolen, before.stolen)));
    let elapsed_secs = total as f64 / TICKS_PER_SECOND / f64::from(now.processors.max(1));
    (Some(busy), Some(elapsed_secs))
}

/// Share of memory in use.
fn memory(file: &mut ProcFile, out: &mut Out<'_>) -> Option<f64> {
    let (mut total, mut available, mut swap_total, mut swap_free) =
        (None::<f64>, None::<f64>, None::<f64>, None::<f64>);
    for line in file.read()?.lines() {
        let wanted = match line.split(':').next().unwrap_or("") {
            "MemTotal" => &mut total,
            "MemAvailable" => &mut available,
            "SwapTotal" => &mut swap_total,
            "SwapFree" => &mut swap_free,
            _ => continue,
        };
        *wanted = word::<f64>(line, 1).map(|kibibytes| kibibytes * 1024.0);
        if swap_free.is_some() {
            break;
        }
    }
    let used = |total: Option<f64>, free: Option<f64>| match (total, free) {
        (Some(total), Some(free)) if total > 0.0 => Some((1.0 - free / total).clamp(0.0, 1.0)),
        _ => None,
    };
    let ratio = used(total, available);
    out.gauge("host_memory_used_ratio", ratio);
    out.gauge("host_memory_available_bytes", available);
    out.gauge("host_swap_used_ratio", used(swap_total, swap_free));
    ratio
}

const LOADS: [&str; 3] = ["host_load1", "host_load5", "host_load15"];

fn load(file: &mut ProcFile, out: &mut Out<'_>) {
    let Some(text) = file.read() else { return };
    for (at, name) in LOADS.into_iter().enumerate() {
        out.gauge(name, word(text, at));
    }
}

/// Share of the last ten seconds in which some work, or all of it, waited.
fn pressure(file: &mut ProcFile, names: [Option<&'static str>; 2], out: &mut Out<'_>) {
    let Some(text) = file.read() else { return };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let name = match words.next() {
            Some("some") => names[0],
            Some("full") => names[1],
            _ => None,
        };
        let percent = words.next().and_then(|word| word.strip_prefix("avg10=")?.parse::<f64>().ok());
        if let (Some(name), Some(percent)) = (name, percent) {
            out.gauge(name, Some(percent / 100.0));
        }
    }
}

/// Devices come and go; what is not there in this read is forgotten with it.
fn device<'a, const N: usize>(
    devices: &'a mut BTreeMap<String, Device<N>>,
    name: &str,
    make: impl FnOnce() -> Option<[SeriesName; N]>,
) -> Option<&'a [SeriesName; N]> {
    if !devices.contains_key(name) {
        devices.insert(name.to_owned(), Device { series: make(), seen: true });
    }
    let device = devices.get_mut(name)?;
    device.seen = true;
    device.series.as_ref()
}

fn forget_unseen<const N: usize>(devices: &mut BTreeMap<String, Device<N>>) {
    devices.retain(|_, device| std::mem::take(&mut device.seen));
}

fn count<const N: usize>(devices: &BTreeMap<String, Device<N>>) -> usize {
    devices.values().filter(|device| device.series.is_some()).count()
}

fn disks(files: &mut Files, known: &mut BTreeMap<String, Device<3>>, readings: &mut Vec<Reading>) {
    let Some(text) = files.diskstats.read() else { return };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(name) = words.next() else { continue };
        if ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"].iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let room = count(known) < DISKS_MAX;
        let root = &files.root;
        let made = device(known, name, || {
            // A partition's bytes are its disk's: only whole disks stand in /sys/block.
            let whole = root.join("sys/block").join(name).exists();
            let labels = [("device", name)];
            (room && whole).then(|| {
                ["host_disk_read_bytes_total", "host_disk_written_bytes_total", "host_disk_io_seconds_total"]
                    .map(|metric| series(metric, &labels))
            })
        });
        let Some(made) = made else { continue };
        // reads merged sectors ms, writes merged sectors ms, in flight, ms busy
        let mut fields = [0.0; 10];
        for (field, word) in fields.iter_mut().zip(words) {
            *field = word.parse().unwrap_or(0.0);
        }
        for (series, value) in made.iter().zip([fields[2] * SECTOR_LEN, fields[6] * SECTOR_LEN, fields[9] / 1000.0]) {
            readings.push(Reading { series: series.clone(), kind: Kind::Counter, value });
        }
    }
    forget_unseen(known);
}

/// Devices whose bytes are counted elsewhere too, or that lead nowhere.
const VIRTUAL: [&str; 17] = [
    "lo", "veth", "docker", "br-", "virbr", "cni", "flannel", "cali", "cilium", "lxc", "vnet", "tap", "dummy", "ifb",
    "sit", "ip6tnl", "podman",
];

fn networks(file: &mut ProcFile, known: &mut BTreeMap<String, Device<3>>, readings: &mut Vec<Reading>) {
    let Some(text) = file.read() else { return };
    for line in text.lines() {
        // The two lines of the head have no colon.
        let Some((name, counts)) = line.rsplit_once(':') else { continue };
        let name = name.trim();
        if VIRTUAL.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let room = count(known) < NETWORKS_MAX;
        let made = device(known, name, || {
            let labels = [("device", name)];
            room.then(|| {
                ["host_network_receive_bytes_total", "host_network_transmit_bytes_total", "host_network_errors_total"]
                    .map(|metric| series(metric, &labels))
            })
        });
        let Some(made) = made else { continue };
        // Received: bytes packets errors drops fifo frame compressed multicast; sent: bytes packets errors …
        let mut fields = [0.0; 11];
        for (field, word) in fields.iter_mut().zip(counts.split_ascii_whitespace()) {
            *field = word.parse().unwrap_or(0.0);
        }
        for (series, value) in made.iter().zip([fields[0], fields[8], fields[2] + fields[10]]) {
            readings.push(Reading { series: series.clone(), kind: Kind::Counter, value });
        }
    }
    forget_unseen(known);
}

fn mounts(used: &[(String, f64)], known: &mut BTreeMap<String, SeriesName>, readings: &mut Vec<Reading>) {
    known.retain(|mount, _| used.iter().any(|(name, _)| name == mount));
    for (mount, ratio) in used.iter().take(FILESYSTEMS_MAX) {
        if !known.contains_key(mount) {
            known.insert(mount.clone(), series("host_filesystem_used_ratio", &[("mountpoint", mount)]));
        }
        let Some(series) = known.get(mount) else { continue };
        readings.push(Reading { series: series.clone(), kind: Kind::Gauge, value: *ratio });
    }
}

/// This process.
fn own(files: &mut Files, out: &mut Out<'_>, usage: &mut Usage) {
    if let Some(text) = files.own_stat.read()
        && let Some((_, fields)) = text.rsplit_once(')')
        && let (Some(user), Some(system)) = (word::<f64>(fields, 11), word::<f64>(fields, 12))
    {
        usage.own_processor_seconds = Some((user + system) / TICKS_PER_SECOND);
        out.counter("process_cpu_seconds_total", usage.own_processor_seconds);
        out.gauge("process_threads", word(fields, 17));
    }
    let resident = files.own_status.read().and_then(|text| text.lines().find(|line| line.starts_with("VmRSS:")));
    if let Some(kibibytes) = resident.and_then(|line| word::<u64>(line, 1)) {
        usage.own_memory_bytes = Some(kibibytes * 1024);
        out.gauge("process_resident_memory_bytes", usage.own_memory_bytes.map(|bytes| bytes as f64));
    }
    if out.on
        && let Ok(list) = std::fs::read_dir(files.root.join("proc/self/fd"))
    {
        // The listing holds one open itself.
        out.gauge("process_open_fds", Some(list.count().saturating_sub(1) as f64));
    }
}

/// The same from sysinfo, where there is no /proc.
fn portable(
    system: &mut sysinfo::System,
    out: &mut Out<'_>,
    usage: &mut Usage,
    on: impl Fn(fn(&HostSource) -> bool) -> bool,
) {
    use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate};
    let first = system.cpus().is_empty();
    system.refresh_cpu_usage();
    if !first {
        let busy = (f64::from(system.global_cpu_usage()) / 100.0).clamp(0.0, 1.0);
        usage.host_processor = Some(busy);
        out.on = on(|parts| parts.processor);
        out.gauge("host_processor_ratio", usage.host_processor);
    }
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    if system.total_memory() > 0 {
        let ratio = 1.0 - system.available_memory() as f64 / system.total_memory() as f64;
        usage.host_memory = Some(ratio.clamp(0.0, 1.0));
        out.on = on(|parts| parts.memory);
        out.gauge("host_memory_used_ratio", usage.host_memory);
        out.gauge("host_memory_available_bytes", Some(system.available_memory() as f64));
    }
    out.on = on(|parts| parts.load);
    if let Ok(load) = sysinfo::System::load_average() {
        for (name, value) in LOADS.into_iter().zip([load.one, load.five, load.fifteen]) {
            out.gauge(name, Some(value));
        }
    }
    let Ok(pid) = sysinfo::get_current_pid() else { return };
    let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted);
    if let Some(process) = system.process(pid) {
        usage.own_memory_bytes = Some(process.memory());
        usage.own_processor_seconds = Some(process.accumulated_cpu_time() as f64 / 1000.0);
        out.on = on(|parts| parts.process);
        out.gauge("process_resident_memory_bytes", usage.own_memory_bytes.map(|bytes| bytes as f64));
        out.counter("process_cpu_seconds_total", usage.own_processor_seconds);
    }
}

impl Group {
    /// Only the process' own group: what its parents allow is seen where they are the root, as in a container.
    fn find(root: &Path) -> Option<Group> {
        let mut own = ProcFile::new(root, "proc/self/cgroup");
        let path = own.read()?.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        let mount = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
            .into_iter()
            .map(|mount| root.join(mount))
            .find(|mount| mount.join("cgroup.controllers").exists())?;
        let folder = mount.join(path);
        let file = |name| ProcFile::new(&folder, name);
        Some(Group {
            memory_max: file("memory.max"),
            memory_current: file("memory.current"),
            memory_stat: file("memory.stat"),
            processor_max: file("cpu.max"),
            processor_stat: file("cpu.stat"),
            used_micros: None,
        })
    }

    /// Shares in use of the group's quota of the processor and of its limit of memory; `None` where it has none.
    fn read(&mut self, elapsed_secs: Option<f64>) -> (Option<f64>, Option<f64>) {
        (self.processor(elapsed_secs), self.memory())
    }

    fn memory(&mut self) -> Option<f64> {
        let max = word::<f64>(self.memory_max.read()?, 0).filter(|max| *max > 0.0)?;
        let current = word::<f64>(self.memory_current.read()?, 0)?;
        // The cache of files read once is freed before anything is refused.
        let inactive = self.memory_stat.read().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse::<f64>().ok()
        });
        Some(((current - inactive.unwrap_or(0.0)) / max).clamp(0.0, 1.0))
    }

    fn processor(&mut self, elapsed_secs: Option<f64>) -> Option<f64> {
        let text = self.processor_max.read()?;
        let (quota, period) = (word::<f64>(text, 0)?, word::<f64>(text, 1).filter(|period| *period > 0.0)?);
        let stat = self.processor_stat.read()?;
        let used: u64 = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
        let before = self.used_micros.replace(used)?;
        let allowed = elapsed_secs.filter(|secs| *secs > 0.0)? * quota / period;
        Some((used.saturating_sub(before) as f64 / 1e6 / allowed).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests;
