//! A made-up host whose every number is known, and this one.

use super::*;

/// A host below a folder, made of the files given.
fn made_up(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    change(&folder, files);
    folder
}

fn change(folder: &tempfile::TempDir, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

const STAT: &str = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 50 0 50 350 50 0 0 0 0 0\ncpu1 50 0 50 350 50 0 0 0 0 0\n\
                    intr 5 0 0\nctxt 777\nprocs_running 2\nprocs_blocked 1\n";

fn without_filesystems() -> HostSource {
    HostSource { filesystem: false, ..HostSource::default() }
}

fn value(read: &HostRead, name: &str) -> Option<f64> {
    read.readings.iter().find(|reading| reading.series.as_str() == name).map(|reading| reading.value)
}

#[test]
fn every_number_lands_in_its_series() {
    let folder = made_up(&[
        ("proc/stat", STAT),
        (
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nSwapTotal: 200 kB\nSwapFree: 150 kB\n",
        ),
        ("proc/loadavg", "0.5 1.5 2.5 1/89 11892\n"),
        ("proc/pressure/cpu", "some avg10=12.50 avg60=0 avg300=0 total=5\nfull avg10=0.00 avg60=0 avg300=0 total=0\n"),
        ("proc/pressure/io", "some avg10=50.00 avg60=0 avg300=0 total=5\nfull avg10=25.00 avg60=0 avg300=0 total=0\n"),
        (
            "proc/diskstats",
            "7 0 loop0 1 0 8 0 1 0 8 0 0 1 1\n8 0 sda 10 0 20 5 30 0 40 6 0 1500 11 0\n8 1 sda1 10 0 20 5 30 0 40 6 0 7 11\n",
        ),
        ("sys/block/sda/size", "1"),
        (
            "proc/net/dev",
            "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n  \
             eth0: 100 2 3 4 5 6 7 8 900 10 11 12 13 14 15 16\nveth12: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n",
        ),
        ("proc/self/stat", "42 (a) b) S 1 1 1 0 -1 0 0 0 0 0 250 150 0 0 20 0 7 0 1 2 3\n"),
        ("proc/self/status", "Name: x\nVmRSS:\t  2048 kB\nThreads: 7\n"),
    ]);
    let mut host = Host::under(folder.path(), &without_filesystems());
    let first = host.read();
    assert_eq!(value(&first, "host_processor_ratio"), None, "a share needs two reads");
    assert_eq!(first.usage.host_processor, None);
    // 200 ticks on: 60 in use, 100 idle, 40 waiting for disks.
    change(
        &folder,
        &[(
            "proc/stat",
            "cpu  140 0 120 800 140 0 0 0 0 0\ncpu0 1\ncpu1 1\nctxt 800\nprocs_running 3\nprocs_blocked 0\n",
        )],
    );
    let read = host.read();
    for (name, wanted) in [
        ("host_processor_ratio", 0.3),
        ("host_processor_iowait_ratio", 0.2),
        ("host_processor_steal_ratio", 0.0),
        ("host_context_switches_total", 800.0),
        ("host_processes_running", 3.0),
        ("host_processes_blocked", 0.0),
        ("host_memory_used_ratio", 0.6),
        ("host_memory_available_bytes", 409_600.0),
        ("host_swap_used_ratio", 0.25),
        ("host_load1", 0.5),
        ("host_load15", 2.5),
        ("host_pressure_cpu_some_ratio", 0.125),
        ("host_pressure_io_some_ratio", 0.5),
        ("host_pressure_io_full_ratio", 0.25),
        (r#"host_disk_read_bytes_total{device="sda"}"#, 10_240.0),
        (r#"host_disk_written_bytes_total{device="sda"}"#, 20_480.0),
        (r#"host_disk_io_seconds_total{device="sda"}"#, 1.5),
        (r#"host_network_receive_bytes_total{device="eth0"}"#, 100.0),
        (r#"host_network_transmit_bytes_total{device="eth0"}"#, 900.0),
        (r#"host_network_errors_total{device="eth0"}"#, 14.0),
        ("process_cpu_seconds_total", 4.0),
        ("process_threads", 7.0),
        ("process_resident_memory_bytes", 2_097_152.0),
    ] {
        let found = value(&read, name);
        assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-9), "{name}: {found:?}, not {wanted}");
    }
    assert_eq!(read.readings.len(), 24, "{:#?}", read.readings);
    assert!(
        read.readings
            .iter()
            .all(|reading| { (reading.kind == Kind::Counter) == reading.series.metric().ends_with("_total") })
    );
    assert_eq!(read.usage.own_memory_bytes, Some(2_097_152));
    assert_eq!(read.usage.own_processor_seconds, Some(4.0));

    // The disk is pulled out: its series end, nothing else does.
    change(&folder, &[("proc/diskstats", "")]);
    assert_eq!(host.read().readings.len(), 24 - 3 - 3, "no time has passed either, so no share of the processor");
}

#[test]
fn limits_of_the_control_group_count_where_they_are_nearer() {
    let folder = made_up(&[
        ("proc/stat", STAT),
        ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n"),
        ("proc/self/cgroup", "1:name=systemd:/x\n0::/system.slice/homeostat.service\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory"),
        ("sys/fs/cgroup/system.slice/homeostat.service/memory.max", "1000\n"),
        ("sys/fs/cgroup/system.slice/homeostat.service/memory.current", "900\n"),
        ("sys/fs/cgroup/system.slice/homeostat.service/memory.stat", "anon 5\ninactive_file 100\n"),
        ("sys/fs/cgroup/system.slice/homeostat.service/cpu.max", "50000 100000\n"),
        ("sys/fs/cgroup/system.slice/homeostat.service/cpu.stat", "usage_usec 1000000\n"),
    ]);
    let mut host = Host::under(folder.path(), &without_filesystems());
    assert!((host.read().usage.host_memory.expect("known") - 0.8).abs() < 1e-9);
    // One second on for two processors; the group used .4 of the .5 seconds it may.
    change(
        &folder,
        &[
            ("proc/stat", "cpu  120 0 100 880 100 0 0 0 0 0\ncpu0 1\ncpu1 1\n"),
            ("sys/fs/cgroup/system.slice/homeostat.service/cpu.stat", "usage_usec 1400000\n"),
        ],
    );
    let read = host.read();
    assert!((read.usage.host_processor.expect("known") - 0.8).abs() < 1e-9, "{:?}", read.usage);
    let series = value(&read, "host_processor_ratio").expect("two reads");
    assert!((series - 0.1).abs() < 1e-9, "the series tells of the host: {series}");
    change(&folder, &[("sys/fs/cgroup/system.slice/homeostat.service/memory.max", "max\n")]);
    assert!((host.read().usage.host_memory.expect("known") - 0.1).abs() < 1e-9);
}

#[test]
fn what_is_not_there_or_not_readable_is_absent() {
    let folder = made_up(&[
        ("proc/stat", "cpu  what 0\n\u{0}\n"),
        ("proc/meminfo", "MemTotal: x\nnonsense\n"),
        ("proc/loadavg", "a b c"),
        ("proc/pressure/cpu", "some\n"),
        ("proc/diskstats", "8 0\n8 0 sda\n"),
        ("proc/net/dev", "eth0:\n"),
        ("proc/self/stat", "42 (x"),
    ]);
    let mut host = Host::under(folder.path(), &without_filesystems());
    host.read();
    assert!(host.read().readings.len() < 10);
    // No /proc at all: what sysinfo knows.
    let folder = made_up(&[]);
    let mut host = Host::under(folder.path(), &without_filesystems());
    host.read();
    let read = host.read();
    assert!(read.usage.host_memory.is_some_and(|ratio| ratio > 0.0));
    assert!(read.usage.own_memory_bytes > Some(0) && value(&read, "host_memory_used_ratio").is_some());
}

#[test]
fn parts_that_are_switched_off_are_evidence_all_the_same() {
    let mut host = Host::new(&HostSource { enabled: false, ..HostSource::default() });
    let read = host.read();
    assert_eq!(read.readings, []);
    assert!(read.usage.host_memory.is_some() && read.usage.own_memory_bytes > Some(0));
    let parts = HostSource { network: false, memory: false, filesystem: false, ..HostSource::default() };
    let read = Host::new(&parts).read();
    assert!(!read.readings.is_empty());
    assert!(!read.readings.iter().any(|reading| reading.series.metric().contains("network")));
    assert_eq!(value(&read, "host_memory_used_ratio"), None);
}

#[test]
fn many_devices_stay_within_the_limit() {
    let mut net = String::new();
    let mut disks = String::new();
    for at in 0..50 {
        net.push_str(&format!("eth{at}: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"));
        disks.push_str(&format!("8 0 sd{at} 1 0 8 0 1 0 8 0 0 1 1\n"));
    }
    let folder = made_up(&[("proc/stat", STAT), ("proc/net/dev", &net), ("proc/diskstats", &disks)]);
    for at in 0..50 {
        change(&folder, &[(&format!("sys/block/sd{at}/size"), "1")]);
    }
    let mut host = Host::under(folder.path(), &without_filesystems());
    host.read();
    let read = host.read();
    let of = |start: &str| read.readings.iter().filter(|reading| reading.series.as_str().starts_with(start)).count();
    assert_eq!((of("host_disk_read"), of("host_network_receive")), (DISKS_MAX, NETWORKS_MAX));
}

#[cfg(target_os = "linux")]
#[test]
fn this_host_gives_a_moderate_number_of_series_and_evidence_of_its_memory() {
    let mut host = Host::new(&HostSource::default());
    host.read();
    let read = host.read();
    assert!((10..=80).contains(&read.readings.len()), "{}", read.readings.len());
    assert!(read.usage.host_memory.is_some() && read.usage.own_memory_bytes > Some(0));
}
