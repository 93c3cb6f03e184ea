//! The small labelled folder `labelled/`, for trying `homeostat evaluate`: generated here from a seed, and as kept.
//! `UPDATE=1 cargo test -p homeostat-sim --test labelled` writes it anew.

use homeostat::time::Span;
use homeostat_sim::chance::Chance;
use homeostat_sim::workload::{Effect, Incident, Shape, Workload};
use std::fmt::Write as _;
use std::path::Path;

const SEED: u64 = 20_260_131;
const EVERY: Span = Span::minutes(5);
/// A week.
const ROWS: u64 = 7 * 24 * 12;
/// 2026-01-05, a Monday, in Unix seconds.
const START: u64 = 1_767_571_200;

fn workload(level: f64, noise: f64, shape: Shape, incidents: &[(u64, u64, Effect)]) -> Workload {
    let incident = |&(hour, minutes, effect): &(u64, u64, Effect)| Incident {
        at: Span::hours(hour),
        lasting: Span::minutes(minutes),
        effect,
    };
    Workload { level, noise, shape, incidents: incidents.iter().map(incident).collect() }
}

fn csv(name: &str, workload: &Workload) -> String {
    let mut chance = Chance::stream(SEED, name);
    let incidents = workload.incidents(EVERY * ROWS);
    let mut text = "timestamp,value,label\n".to_owned();
    for row in 0..ROWS {
        let into = EVERY * row;
        let label = u8::from(incidents.iter().any(|range| range.holds(into)));
        if let Some(value) = workload.value(into, &mut chance) {
            writeln!(text, "{},{value:.3},{label}", START + into.millis() / 1000).expect("text");
        }
    }
    text
}

#[test]
fn the_labelled_folder_is_as_generated() {
    let wave = Shape::DailyWave { amplitude: 30.0 };
    let flat = Shape::FlatLine { at: Span::hours(120), lasting: Span::hours(5) };
    let files = [
        ("requests", workload(100.0, 4.0, wave, &[(85, 60, Effect::Times(0.1)), (133, 90, Effect::Add(60.0))])),
        ("queue", workload(20.0, 2.0, Shape::Steady, &[(60, 45, Effect::Add(30.0)), (150, 60, Effect::Level(32.0))])),
        ("sensor", workload(50.0, 1.0, flat, &[])),
        ("latency_clean", workload(12.0, 0.4, Shape::HeavyTail, &[])),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("labelled");
    for (name, workload) in &files {
        let (path, text) = (folder.join(format!("{name}.csv")), csv(name, workload));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(&path, &text).expect("written");
        }
        let kept = std::fs::read_to_string(&path).expect("a file that is kept");
        let differs = kept.lines().zip(text.lines()).position(|(kept, now)| kept != now);
        assert!(kept == text, "seed {SEED}, {name}.csv: not as generated, first at line {differs:?} (from 0)");
    }
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), files.len(), "no other file lies there");
}
