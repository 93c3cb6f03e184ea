//! Every decoder is fed what nobody meant to send: kept inputs, changed at random.
//!
//! A case is its target, a seed and a number, so that each can be had again. Cases run in a process of their own, whose memory is
//! watched, so that a stack that overflows or memory without end is found as well as a panic. As it stands some thousands of cases
//! of fixed seeds run; `./dev fuzz MINUTES` takes fresh seeds for as long. What fails is written to a file and named.

mod change;
mod seeds;
mod targets;

use change::{Chance, changed};
use std::io::{Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use targets::TARGETS;

/// The seed of the cases that always run.
const SEED: u64 = 7;

/// What a process may hold more than it did before the first case, in bytes: the largest input has some thousand.
const MEMORY_MAX: u64 = 256 << 20;

/// Between two looks at the memory.
const LOOK_EVERY: u64 = 64;

/// How many cases one process is given when it goes on for minutes.
const AT_ONCE: u64 = 20_000;

/// The name of the test below, for the processes that it starts.
const TEST: &str = "fuzz::every_decoder_takes_or_refuses_whatever_comes";

/// What is fed, how often where nobody waits for more, and what has to hold. It panics when it does not.
struct Target {
    name: &'static str,
    cases: u64,
    check: fn(&[u8]),
}

/// Cases of one target, from one number up to another.
#[derive(Clone, Copy, Debug)]
struct Cases {
    target: usize,
    seed: u64,
    from: u64,
    until: u64,
    look_every: u64,
}

impl Cases {
    /// As a process is told of them.
    fn told(&self) -> String {
        let Cases { target, seed, from, until, look_every } = self;
        format!("{target} {seed} {from} {until} {look_every}")
    }

    fn heard(text: &str) -> Option<Cases> {
        let numbers: Vec<u64> = text.split(' ').map_while(|word| word.parse().ok()).collect();
        let [target, seed, from, until, look_every] = numbers[..] else { return None };
        Some(Cases { target: usize::try_from(target).ok()?, seed, from, until, look_every })
    }
}

/// The input of one case: a kept one as it is, then kept ones that are changed.
fn input(kept: &[Vec<u8>], target: usize, seed: u64, number: u64) -> Vec<u8> {
    if let Some(whole) = usize::try_from(number).ok().and_then(|number| kept.get(number)) {
        return whole.clone();
    }
    changed(kept, &mut Chance::new(seed ^ (target as u64) << 56 ^ number << 20))
}

#[test]
fn every_decoder_takes_or_refuses_whatever_comes() {
    let told = |name: &str| std::env::var(name).ok();
    if let Some(cases) = told("HOMEOSTAT_FUZZ_CASES") {
        return run(Cases::heard(&cases).expect("five numbers"), &told("HOMEOSTAT_FUZZ_AT").expect("a file"));
    }
    let only = told("HOMEOSTAT_FUZZ_TARGET");
    let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ");
    let wanted: Vec<usize> =
        (0..TARGETS.len()).filter(|target| only.as_ref().is_none_or(|only| only == TARGETS[*target].name)).collect();
    assert!(!wanted.is_empty(), "there is no such target; they are: {}", names());
    if let Some(file) = told("HOMEOSTAT_FUZZ_INPUT") {
        let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        wanted.iter().for_each(|target| (TARGETS[*target].check)(&bytes));
        return println!("{file}: nothing is wrong with it any more");
    }
    match told("HOMEOSTAT_FUZZ_MINUTES") {
        None => {
            for &target in &wanted {
                let Target { name, cases, .. } = TARGETS[target];
                let kept = seeds::of(name).len() as u64;
                all(Cases { target, seed: SEED, from: 0, until: kept + cases, look_every: LOOK_EVERY });
            }
        }
        Some(minutes) => {
            let minutes: u64 = minutes.parse().expect("a number of minutes");
            for_minutes(&wanted, Duration::from_secs(60 * minutes));
        }
    }
}

/// Fresh seeds by turns, until the time is over.
fn for_minutes(wanted: &[usize], during: Duration) {
    let begun = Instant::now();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let first = since.as_nanos() as u64;
    let mut cases = 0;
    for round in 0_u64.. {
        for &target in wanted {
            if begun.elapsed() >= during {
                println!("{cases} cases, and nothing was wrong");
                return;
            }
            let (name, seed) = (TARGETS[target].name, first.wrapping_add(round));
            let more = TARGETS[target].cases.min(AT_ONCE) * 4;
            println!("{:>5} s {cases:>10} cases, now {more} of {name} with seed {seed}", begun.elapsed().as_secs());
            all(Cases { target, seed, from: 0, until: more, look_every: LOOK_EVERY });
            cases += more;
        }
    }
}

/// Runs cases in a process of their own. Panics with the place of the input that failed and how to have it again.
fn all(cases: Cases) {
    let Target { name, .. } = TARGETS[cases.target];
    let Ended { at, problem } = started(cases);
    let Some(mut problem) = problem else { return };
    let mut at = at;
    if problem.contains(TOO_MUCH) && cases.look_every > 1 {
        // Which one it was is known when each is looked at.
        let narrow = Cases { from: at.saturating_sub(cases.look_every), until: at + 1, look_every: 1, ..cases };
        let again = started(narrow);
        if let Some(said) = again.problem {
            (at, problem) = (again.at, said);
        }
    }
    let bytes = input(&seeds::of(name), cases.target, cases.seed, at);
    let file = std::env::temp_dir().join(format!("homeostat-fuzz-{name}-{}-{at}", cases.seed));
    let kept = std::fs::write(&file, &bytes);
    panic!(
        "{name}, seed {}, case {at}: {problem}\nThe input ({} bytes{}): {}\nOnce more: ./dev fuzz --input {} {name}",
        cases.seed,
        bytes.len(),
        if kept.is_ok() { "" } else { ", which could not be written" },
        file.display(),
        file.display()
    );
}

/// How far a process came, and what was wrong.
struct Ended {
    at: u64,
    problem: Option<String>,
}

/// What a process says that holds too much.
const TOO_MUCH: &str = "bytes more than before";

fn started(cases: Cases) -> Ended {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path().join("at");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([TEST, "--exact", "--nocapture", "--test-threads", "1"]);
    command.env("HOMEOSTAT_FUZZ_CASES", cases.told()).env("HOMEOSTAT_FUZZ_AT", &at).env("TMPDIR", dir.path());
    let out = command.stdin(Stdio::null()).output().expect("this program runs");
    let mut number = [0; 8];
    let read = std::fs::File::open(&at).and_then(|mut file| file.read_exact(&mut number));
    read.unwrap_or_else(|error| panic!("no case was begun: {error}\n{}", String::from_utf8_lossy(&out.stderr)));
    let said = String::from_utf8_lossy(&out.stdout);
    let told = said.lines().find_map(|line| line.split_once(WRONG).map(|(_, rest)| rest.to_owned()));
    let problem = match (out.status.success(), told) {
        (true, _) => None,
        (false, Some(told)) => Some(told),
        (false, None) => Some(format!("the process ended with {}: no stack or no memory was left", out.status)),
    };
    Ended { at: u64::from_le_bytes(number), problem }
}

/// Begins the line by which a process says what is wrong.
const WRONG: &str = "WRONG: ";

/// What a process does that was started for it. It ends with the first case that fails.
fn run(cases: Cases, at: &str) {
    let target = &TARGETS[cases.target];
    let kept = seeds::of(target.name);
    let mut file = std::fs::File::create(at).expect("a file");
    let begin = |file: &mut std::fs::File, number: u64| {
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&number.to_le_bytes()));
        written.expect("the number of a case");
    };
    begin(&mut file, cases.from);
    let before = most_held();
    std::panic::set_hook(Box::new(|_| {}));
    for number in cases.from..cases.until {
        begin(&mut file, number);
        let bytes = input(&kept, cases.target, cases.seed, number);
        let wrong = match catch_unwind(AssertUnwindSafe(|| (target.check)(&bytes))) {
            Ok(()) => None,
            Err(payload) => Some(said(&*payload)),
        };
        let wrong = wrong.or_else(|| {
            let look = number % cases.look_every == cases.look_every - 1;
            let more = if look { most_held()?.saturating_sub(before?) } else { 0 };
            (more > MEMORY_MAX).then(|| format!("it holds {more} {TOO_MUCH}"))
        });
        if let Some(wrong) = wrong {
            println!("\n{WRONG}{}", wrong.replace('\n', " "));
            std::process::exit(1);
        }
    }
}

fn said(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it panicked without a word").to_owned()
}

/// The most that this process ever held, in bytes; none where the system does not say.
fn most_held() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb << 10)
}

/// Where the kept inputs of a target lie, a file each.
fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(target)
}
