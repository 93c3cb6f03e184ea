//! `homeostat bench`: what the engine costs on this machine, work by work, each beside a naive version of the same run.
//!
//! Machines differ and are shared: a figure alone says little, its ratio to a plain version measured a moment later says
//! more. Times are processor time of this thread, the least of several rounds. Memory is the growth of what the process
//! holds, its resident size, over many copies; so the works about memory come first, when nothing has been freed yet.

mod beside;
mod cold;
mod daemon;
mod durable;
mod latency;
mod learning;
mod loops;
mod memory;
mod program;
mod receive;
mod replay;
mod restart;
mod samples;
mod scrape;
mod sender;
mod states;

use super::output::{Out, number};
use super::{Done, Failed};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::any::Any;
use std::io::IsTerminal;
use std::path::PathBuf;
use sysinfo::System;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat bench                              what is measured in a minute or two
  homeostat bench --all                        everything: half an hour, and up to 8 GB of memory
  homeostat bench --work learn                 the works whose name contains this text, also such as take long
  homeostat bench --beside /usr/bin/prometheus side by side with a Prometheus
  homeostat bench --output json > bench.json   for comparing two machines, or two versions

Each work is measured beside a naive version of it in the same run; `ratio` says how many times better ours is, above 1 also
where more is better. A goal is met at most where the unit is a time or a size, and at least where it is a rate (…/s,
…/sync). Of works with a daemon of its own it is that daemon's processor time, user and system; figures of restarts and of alerts are
wall time.
Use a release build on an otherwise idle machine.")]
pub struct BenchArgs {
    /// Only the works whose name contains this text; several times: one of them
    #[arg(long, value_name = "TEXT", conflicts_with = "all")]
    work: Vec<String>,
    /// Also the works that take minutes or gigabytes; what this machine has no room for is left out, and said to be
    #[arg(long)]
    all: bool,
    /// Instead of all that: the same stream and the same windows for us and for this Prometheus (the program; promtool beside it)
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["all", "work"])]
    beside: Option<PathBuf>,
}

/// One work that can be measured, with what is asked of it.
struct Work {
    name: &'static str,
    unit: &'static str,
    goal: f64,
    /// The naive version in a few words.
    reference: &'static str,
    /// None: this machine has no room for it, which was told.
    measure: fn() -> Result<Option<Measured>, Failed>,
}

/// What was measured, both in the unit of the work.
struct Measured {
    ours: f64,
    reference: f64,
    /// What has to stay until the next work is measured: memory that is given back would be used again unseen.
    keep: Option<Box<dyn Any>>,
}

/// One line of the answer.
#[derive(Serialize)]
struct Row {
    work: &'static str,
    figure: f64,
    unit: &'static str,
    reference: &'static str,
    reference_figure: f64,
    /// Times better than the reference.
    ratio: f64,
    goal: f64,
    met: bool,
}

#[derive(Serialize)]
struct Rows {
    rows: Vec<Row>,
}

pub fn bench(args: &BenchArgs, out: &Out) -> Result<Done, Failed> {
    if cfg!(debug_assertions) {
        eprintln!("homeostat: this is no release build; its figures say little");
    }
    if let Some(program) = &args.beside {
        beside::beside(program, out)?;
        return Ok(Done::Quietly);
    }
    let named = |work: &&Work| args.work.iter().any(|text| work.name.contains(text.as_str()));
    let wanted: Vec<&Work> = match (args.all, args.work.is_empty()) {
        (true, _) => works().chain(long_works()).collect(),
        (false, true) => works().collect(),
        (false, false) => works().chain(long_works()).filter(named).collect(),
    };
    if wanted.is_empty() {
        let names: Vec<&str> = works().chain(long_works()).map(|work| work.name).collect();
        return Err(Failed::Use(format!(
            "--work: no name contains this text; the names are\n  {}",
            names.join("\n  ")
        )));
    }
    let (rows, failed) = measure(&wanted);
    match out.is_json() {
        true => out.json(&Rows { rows })?,
        false => print(&rows, out)?,
    }
    match failed {
        0 => Ok(Done::Quietly),
        _ => Err(Failed::World(format!("{failed} of {} works could not be measured, as told above", wanted.len()))),
    }
}

/// What is measured unless something else is asked for, in two minutes.
fn works() -> impl Iterator<Item = &'static Work> {
    let lists = [
        memory::WORKS,
        samples::WORKS,
        learning::WORKS,
        cold::WORKS,
        states::WORKS,
        loops::WORKS,
        replay::WORKS,
        durable::WORKS,
        receive::WORKS,
    ];
    lists.into_iter().flatten()
}

/// What takes minutes or gigabytes, and is measured when it is asked for.
fn long_works() -> impl Iterator<Item = &'static Work> {
    [cold::LONG, receive::LONG, scrape::LONG, latency::LONG, restart::LONG].into_iter().flatten()
}

/// Whether this machine has so many bytes of memory to spare; that it has not is told.
fn room(what: &str, bytes: f64) -> Result<bool, Failed> {
    let mut system = System::new().map_err(|error| Failed::World(error.to_string()))?;
    system.refresh_memory();
    let (needed, available) = (bytes / 1e9, system.available_memory() as f64 / 1e9);
    if available < needed {
        eprintln!("{what} are left out: that takes {needed:.1} GB, and {available:.1} are available");
    }
    Ok(available >= needed)
}

/// The rows of what was measured, and how many could not be: what was measured for minutes is not lost for another.
fn measure(wanted: &[&Work]) -> (Vec<Row>, usize) {
    let bar = match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(wanted.len() as u64),
        false => indicatif::ProgressBar::hidden(),
    };
    bar.set_style(indicatif::ProgressStyle::with_template("{pos}/{len} {wide_msg}").expect("a template that is right"));
    let mut kept = Vec::new();
    let (mut rows, mut failed) = (Vec::new(), 0);
    for work in wanted {
        bar.set_message(work.name);
        match (work.measure)() {
            Ok(Some(measured)) => {
                match measured.keep {
                    Some(held) => kept.push(held),
                    None => kept.clear(),
                }
                rows.push(row(work, measured.ours, measured.reference));
            }
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                bar.suspend(|| eprintln!("homeostat: {}: {error}", work.name));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    (rows, failed)
}

fn row(work: &Work, figure: f64, reference_figure: f64) -> Row {
    let more_is_better = work.unit.ends_with("/s") || work.unit.ends_with("/sync");
    let (ratio, met) = match more_is_better {
        true => (figure / reference_figure, figure >= work.goal),
        false => (reference_figure / figure, figure <= work.goal),
    };
    let Work { name: work, unit, goal, reference, .. } = *work;
    Row { work, figure, unit, reference, reference_figure, ratio, goal, met }
}

fn print(rows: &[Row], out: &Out) -> Result<(), Failed> {
    let short = |value: f64| number(rounded(value));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let met = if row.met { "met" } else { "MISSED" };
            vec![
                row.work.to_owned(),
                short(row.figure),
                row.unit.to_owned(),
                short(row.goal),
                met.to_owned(),
                short(row.ratio),
                row.reference.to_owned(),
            ]
        })
        .collect();
    out.table(&["work", "figure", "unit", "goal", "", "times better than", "a naive version"], &cells)
}

/// To three digits: more would claim more than a shared machine can tell.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Rounds of which the fastest counts: whatever else the machine did only ever adds.
const ROUNDS: usize = 5;

/// Processor time of this thread, in seconds.
fn processor_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 * 1e-9
}

/// Processor seconds of one of `count` calls, in the fastest round.
fn seconds(count: usize, mut work: impl FnMut()) -> f64 {
    fastest(|| {
        let begun = processor_seconds();
        (0..count).for_each(|_| work());
        processor_seconds() - begun
    }) / count as f64
}

/// The least that a round returns: for work that has to be prepared outside of what is measured.
fn fastest(round: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(round).take(ROUNDS).fold(f64::INFINITY, f64::min)
}

/// Ours and the reference, both times in seconds, in a unit of which a second has `units`.
fn times(units: f64, ours: f64, reference: f64) -> Result<Option<Measured>, Failed> {
    Ok(Some(Measured { ours: ours * units, reference: reference * units, keep: None }))
}

/// The same as rates, of `count` per time.
fn rates(count: usize, ours: f64, reference: f64) -> Result<Option<Measured>, Failed> {
    Ok(Some(Measured { ours: count as f64 / ours, reference: count as f64 / reference, keep: None }))
}

const MS: f64 = 1e3;
const US: f64 = 1e6;
const NS: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_an_upper_limit_for_times_and_a_lower_one_for_rates() {
        let work = |unit, goal| Work { name: "", unit, goal, reference: "", measure: || rates(1, 1.0, 1.0) };
        let time = row(&work("ms", 10.0), 5.0, 20.0);
        assert!(time.met && time.ratio == 4.0);
        assert!(!row(&work("ms", 4.0), 5.0, 20.0).met);
        let rate = row(&work("signals/s", 100.0), 200.0, 50.0);
        assert!(rate.met && rate.ratio == 4.0);
        assert!(!row(&work("signals/s", 300.0), 200.0, 50.0).met);
    }

    #[test]
    fn three_digits_are_printed() {
        assert_eq!([1234.5, 0.012_345, 11_400_000.0].map(rounded), [1230.0, 0.0123, 11_400_000.0]);
    }
}
