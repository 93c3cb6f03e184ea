//! Series that come and go: what is held of them stays what it was, and those that ended are forgotten.
//!
//! A test alone in its process, since it looks at what the process takes.
#![cfg(target_os = "linux")]

mod world;

use homeostat::config::Config;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::Sample;
use homeostat::time::Span;
use world::{World, name};

const SERIES: usize = 6_000;
const STEP: Span = Span::from_secs(15);

/// Bytes that this process holds in memory.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux says what a process takes");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096.0
}

#[test]
fn memory_stays_level_while_a_tenth_of_the_series_changes_every_minute() {
    let mut config = Config::default();
    config.limits.series_max = 2 * SERIES;
    config.limits.series_ttl = Span::minutes(5);
    config.limits.memory_max = 8 << 30;
    let mut world = World::new(config);
    let mut made = 0;
    let intern = |world: &mut World, made: &mut usize| {
        *made += 1;
        world.engine.intern(&name(&format!("m{{pod=\"web-{made}\"}}")), None, world.now).expect("there is room")
    };
    let mut series: Vec<SeriesId> = (0..SERIES).map(|_| intern(&mut world, &mut made)).collect();
    let mut seen: Vec<f64> = Vec::new();
    // Half an hour until as many are of each age as always, then the half hour that is looked at.
    for minute in 0..65 {
        for n in 0..SERIES / 10 {
            let at = (minute * SERIES / 10 + n * 7) % SERIES;
            series[at] = intern(&mut world, &mut made);
        }
        for _ in 0..4 {
            world.now = world.now + STEP;
            let mut samples = Vec::with_capacity(SERIES);
            for series in &series {
                samples.push(Sample { series: *series, at: world.now, value: 100.0 + world.bell() });
            }
            drop(world.engine.observe(&samples, world.now));
            if world.now >= world.engine.next_cycle() {
                drop(world.engine.cycle(world.now));
            }
        }
        if minute >= 35 {
            seen.push(resident());
        }
    }
    let held = world.engine.knowledge().series_count();
    let alive = SERIES + 6 * SERIES / 10;
    assert!((SERIES..=alive).contains(&held), "{held} series are held, {SERIES} are alive");
    assert_eq!(world.engine.knowledge().losses().0 as usize, made - held, "all others were forgotten");
    let (least, most) = seen.iter().fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
    let middle = (least + most) / 2.0;
    assert!(most - middle <= 0.05 * middle, "between {:.1} and {:.1} MB", least / 1e6, most / 1e6);
}
