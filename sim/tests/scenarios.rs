//! Every scenario gives the transcript that lies beside it. `UPDATE=1 cargo test -p homeostat-sim` rewrites them: read
//! the difference, it is what changed.

use homeostat::event::Event;
use homeostat::plan::state::SystemState;
use homeostat::time::Span;
use homeostat_sim::driver::Driver;
use homeostat_sim::judge::{Row, Table};
use homeostat_sim::run::step;
use homeostat_sim::world::World;
use homeostat_sim::{Report, run_named, scenario, scenarios};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn run(name: &str) -> Report {
    run_named(name, &mut |_| {}).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_file_in_the_folder_comes_along() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known: BTreeSet<String> = scenarios().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, known, "a scenario is a file and a name in lib.rs");
}

/// All at once, two at a time: each is a thread of its own and the machine has few.
#[test]
fn every_transcript_is_as_kept() {
    let update = std::env::var_os("UPDATE").is_some();
    let names: Vec<&str> = scenarios().iter().map(|(name, _)| *name).collect();
    let (front, back) = names.split_at(names.len() / 2);
    let run_all = |names: &[&'static str]| names.iter().map(|name| (*name, run(name))).collect::<Vec<_>>();
    let reports = std::thread::scope(|scope| {
        let other = scope.spawn(|| run_all(back));
        let mut reports = run_all(front);
        reports.extend(other.join().expect("a scenario runs to its end"));
        reports
    });
    // One table over all, so that a review sees at a glance what moved.
    let mut all = Table::default();
    let mut texts: Vec<(&str, String)> = Vec::new();
    for (name, report) in reports {
        let named = |row: &Row| Row { series: format!("{name}: {}", row.series), ..row.clone() };
        all.rows.extend(report.table.rows.iter().map(named));
        texts.push((name, report.text()));
    }
    texts.push(("TABLE", format!("{}\n", all.rows_text())));
    let mut differing = Vec::new();
    for (name, text) in texts {
        let path = folder().join(format!("{name}.txt"));
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept == text {
            continue;
        }
        if update {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let line = kept
            .lines()
            .zip(text.lines())
            .position(|(a, b)| a != b)
            .unwrap_or(kept.lines().count().min(text.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("(ends here)").to_owned();
        differing.push(format!("{name}.txt, line {}:\n  kept {}\n  now  {}", line + 1, at(&kept), at(&text)));
    }
    assert!(differing.is_empty(), "run with UPDATE=1 and read the difference\n{}", differing.join("\n"));
}

/// The times of cycles and the transitions of a run.
fn cycles_and_transitions(name: &str) -> (Vec<Span>, Vec<(Span, SystemState)>) {
    let scenario = scenario(name).expect("a scenario that is kept runs");
    let mut world = World::new(scenario).expect("a scenario that is kept runs");
    let mut driver = Driver::new(scenario.config.clone(), 1).expect("a scenario that is kept runs");
    let (mut cycles, mut transitions) = (Vec::new(), Vec::new());
    while let Some(step) = step(&mut world, &mut driver) {
        for event in &step.events {
            match event {
                Event::CycleCompleted(_) => cycles.push(step.into),
                Event::StateChanged { transition, .. } => transitions.push((step.into, transition.to)),
                _ => {}
            }
        }
    }
    (cycles, transitions)
}

#[test]
fn a_processor_at_its_limit_is_critical_within_two_cycles() {
    let (cycles, transitions) = cycles_and_transitions("pressure");
    let pressed_at = Span::hours(3);
    let critical = transitions.iter().find(|(_, to)| *to == SystemState::Critical).expect("it becomes critical");
    let before = cycles.iter().filter(|at| **at > pressed_at && **at <= critical.0).count();
    assert!(critical.0 >= pressed_at && before <= 2, "critical at {}, after {before} cycles", critical.0);
    let after: Vec<SystemState> =
        transitions.iter().filter(|(at, _)| *at > critical.0).map(|(_, to)| *to).take(2).collect();
    assert_eq!(after, [SystemState::Recovering, SystemState::Healthy]);
}

#[test]
fn a_processor_around_its_limit_does_not_make_the_state_flap() {
    let (cycles, transitions) = cycles_and_transitions("flapping");
    assert!(cycles.len() >= 1000, "{} cycles", cycles.len());
    for thousand in cycles.windows(1000).step_by(50) {
        let within = transitions.iter().filter(|(at, _)| (thousand[0]..=thousand[999]).contains(at)).count();
        assert!(within <= 2, "{within} transitions in the thousand cycles from {}", thousand[0]);
    }
}
