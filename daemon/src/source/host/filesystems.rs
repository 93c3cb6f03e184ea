//! How full the mounted file systems are, asked for on a thread of its own: asking one whose server has gone may take
//! for ever, and the daemon must not wait for it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;
use sysinfo::{DiskRefreshKind, Disks};

/// The first answer is waited for so long, so that the first read of the host is complete.
const FIRST_ANSWER: Duration = Duration::from_millis(200);

/// After so many reads without an answer the last one is old: no value is better than a wrong one.
const UNANSWERED_MAX: u32 = 6;

/// Mount points and the share of each in use, by name.
type Used = Vec<(String, f64)>;

/// The thread's ends; it ends with this.
pub struct Filesystems {
    ask: Sender<()>,
    answers: Receiver<Used>,
    used: Used,
    asked: bool,
    answered_once: bool,
    unanswered: u32,
}

impl Filesystems {
    /// `None` where no thread can be had; the host's other series do without.
    pub fn start() -> Option<Filesystems> {
        Filesystems::ask(|| {
            let mut disks = Disks::new().ok();
            move || {
                let Some(disks) = &mut disks else { return Vec::new() };
                disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
                used(disks)
            }
        })
    }

    fn ask<W: FnMut() -> Used>(work: impl FnOnce() -> W + Send + 'static) -> Option<Filesystems> {
        let (ask, asked) = channel::<()>();
        let (answer, answers) = channel();
        let run = move || {
            let mut work = work();
            while asked.recv().is_ok() && answer.send(work()).is_ok() {}
        };
        std::thread::Builder::new().name("filesystems".to_owned()).spawn(run).ok()?;
        let used = Vec::new();
        Some(Filesystems { ask, answers, used, asked: false, answered_once: false, unanswered: 0 })
    }

    /// As it was answered last, at the read before this one as a rule; asks anew for the next.
    pub fn used(&mut self) -> &[(String, f64)] {
        self.receive();
        if !self.asked && self.ask.send(()).is_ok() {
            self.asked = true;
            self.unanswered = 0;
            if !self.answered_once {
                self.answered_once = true;
                if let Ok(used) = self.answers.recv_timeout(FIRST_ANSWER) {
                    self.used = used;
                    self.asked = false;
                }
            }
        }
        &self.used
    }

    fn receive(&mut self) {
        match self.answers.try_recv() {
            Ok(used) => {
                self.used = used;
                self.asked = false;
            }
            Err(TryRecvError::Empty) if !self.asked => {}
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                self.unanswered += 1;
                if self.unanswered > UNANSWERED_MAX {
                    self.used.clear();
                }
            }
        }
    }
}

/// One entry per device, under its shortest mount point: containers see one device mounted on many single files.
fn used(disks: &Disks) -> Used {
    let mut devices: BTreeMap<&std::ffi::OsStr, (&std::path::Path, f64)> = BTreeMap::new();
    for disk in disks.iter() {
        if disk.total_space() == 0 || disk.is_read_only() {
            continue;
        }
        let ratio = 1.0 - disk.available_space() as f64 / disk.total_space() as f64;
        let mount = disk.mount_point();
        let entry = devices.entry(disk.name()).or_insert((mount, ratio));
        if (mount.as_os_str().len(), mount) < (entry.0.as_os_str().len(), entry.0) {
            *entry = (mount, ratio);
        }
    }
    let mut used: Used = devices
        .into_values()
        .filter(|(mount, _)| !mount.starts_with("/var/lib/docker") && !mount.starts_with("/var/lib/containers"))
        .map(|(mount, ratio)| (mount.to_string_lossy().into_owned(), ratio.clamp(0.0, 1.0)))
        .collect();
    used.sort_by(|one, other| one.0.cmp(&other.0));
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Barrier};

    #[test]
    fn a_file_system_that_hangs_loses_its_values_and_stops_nothing() {
        let barrier = Arc::new(Barrier::new(2));
        let at = Arc::clone(&barrier);
        let mut answered = 0;
        let work = move || {
            move || {
                answered += 1;
                if answered == 2 {
                    at.wait();
                }
                vec![("/".to_owned(), f64::from(answered))]
            }
        };
        let mut filesystems = Filesystems::ask(work).expect("a thread");
        assert_eq!(filesystems.used(), [("/".to_owned(), 1.0)], "the first read is complete");
        assert_eq!(filesystems.used(), [("/".to_owned(), 1.0)]);
        for _ in 0..UNANSWERED_MAX {
            assert_eq!(filesystems.used().len(), 1);
        }
        assert_eq!(filesystems.used(), [], "too old to be told");
        barrier.wait();
        let fresh = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !filesystems.used().is_empty()
        });
        assert!(fresh, "it is told again once it answers");
    }
}
