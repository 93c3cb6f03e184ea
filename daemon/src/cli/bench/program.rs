//! A program of its own that is measured: a homeostat, or what runs beside it. It ends, and its folder with it, when it is let go.

use crate::cli::Failed;
use rustix::process::{Pid as ProcessId, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

/// How long a program may take until it is ready, or has ended.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Between two looks at whether it is.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until something is so; `what` says what it was, should it never be.
pub fn until(what: &str, patience: Duration, mut so: impl FnMut() -> Result<bool, Failed>) -> Result<f64, Failed> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if so()? {
            return Ok(begun.elapsed().as_secs_f64());
        }
        std::thread::sleep(LOOK);
    }
    Err(Failed::World(format!("{what} not in {} s", patience.as_secs())))
}

pub fn broken(what: &str, error: &dyn std::fmt::Display) -> Failed {
    Failed::World(format!("{what}: {error}"))
}

/// A folder of its own in the system's folder for such things; it goes when it is let go.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Result<Folder, Failed> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("homeostat-bench-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|error| broken("no folder for what is measured", &error))?;
        Ok(Folder(dir))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Bytes of all files in a folder within it.
    pub fn bytes(&self, within: &str) -> u64 {
        fn of(path: &Path) -> u64 {
            let Ok(entries) = std::fs::read_dir(path) else { return path.metadata().map_or(0, |about| about.len()) };
            entries.flatten().map(|entry| of(&entry.path())).sum()
        }
        of(&self.0.join(within))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends when it is let go.
pub struct Program {
    child: Child,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// What it prints goes nowhere.
    pub fn start(command: &mut Command) -> Result<Program, Failed> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let named = command.get_program().to_string_lossy().into_owned();
        Ok(Program { child: spawned.map_err(|error| broken(&format!("{named} cannot be started"), &error))? })
    }

    /// Processor time so far, user and system, in seconds.
    pub fn processor_seconds(&self) -> Result<f64, Failed> {
        self.about(ProcessRefreshKind::nothing().with_cpu(), |process| process.accumulated_cpu_time() as f64 / 1e3)
    }

    /// Bytes that stand in memory for it now.
    pub fn resident(&self) -> Result<u64, Failed> {
        self.about(ProcessRefreshKind::nothing().with_memory(), Process::memory)
    }

    fn about<T>(&self, what: ProcessRefreshKind, of: impl Fn(&Process) -> T) -> Result<T, Failed> {
        let pid = Pid::from_u32(self.child.id());
        let mut system =
            System::new().map_err(|_| Failed::World("this machine does not say what a process spends".to_owned()))?;
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what.without_tasks());
        system.process(pid).map(of).ok_or_else(|| Failed::World("what was to be measured has ended".to_owned()))
    }

    /// Asks it to end in order, and waits until it has.
    pub fn end(mut self) -> Result<(), Failed> {
        let pid = i32::try_from(self.child.id()).ok().and_then(ProcessId::from_raw);
        let asked = pid.map(|pid| kill_process(pid, Signal::TERM));
        if !matches!(asked, Some(Ok(()))) {
            return Err(Failed::World("what was measured cannot be asked to end".to_owned()));
        }
        let ended = || Ok(matches!(self.child.try_wait(), Ok(Some(_))));
        until("what was measured ended", PATIENCE, ended).map(|_| ())
    }
}
