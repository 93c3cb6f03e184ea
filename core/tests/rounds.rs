//! More series than one cycle attends to: each has its turn, all are learned soon, and nobody's word waits for it.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::engine::Engine;
use homeostat::event::{CycleCompleted, Event};
use homeostat::feedback::{Subject, Verdict};
use homeostat::monitor::Sample;
use homeostat::time::Span;
use homeostat::units::Confidence;
use std::collections::BTreeMap;
use world::{World, by_bounds, name};

/// More than a cycle attends to at least.
const MANY: usize = 20_000;

const STEP: Span = Span::from_secs(30);

fn text(n: usize) -> String {
    format!("m{{n=\"{n:05}\"}}")
}

/// So many series with thirty samples each, of which none was learned yet.
fn fleet(series: usize) -> World {
    let mut config = by_bounds();
    config.learning.min_data_points = 20;
    config.learning.confidence_min = Confidence::clamped(0.1);
    config.limits.series_max = 100_000;
    config.limits.memory_max = 8 << 30;
    config.states.healthy.execution_parallelism = 64;
    let mut world = World::new(config);
    let ids: Vec<_> = (0..series).map(|n| world.intern(&text(n))).collect();
    for _ in 0..30 {
        world.now = world.now + STEP;
        let samples: Vec<Sample> =
            ids.iter().map(|id| Sample { series: *id, at: world.now, value: 100.0 + world.bell() }).collect();
        let _ = world.engine.observe(&samples, world.now);
    }
    world
}

/// The next cycle; what it learned, by name, and how it ended.
fn cycle(world: &mut World) -> (Vec<String>, CycleCompleted) {
    world.now = world.now.max(world.engine.next_cycle());
    let (mut learned, mut completed) = (Vec::new(), None);
    for event in world.engine.cycle(world.now).events {
        match event {
            Event::ThresholdLearned { series, .. } => learned.push(series.to_string()),
            Event::CycleCompleted(cycle) => completed = Some(*cycle),
            _ => {}
        }
    }
    (learned, completed.expect("a cycle ends"))
}

#[test]
fn all_of_many_series_are_learned_once_in_seconds() {
    let mut world = fleet(MANY);
    let begun = world.now;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut most = 0;
    while times.len() < MANY {
        assert!(world.now.since(begun) < Span::from_secs(60), "{} of {MANY} were learned in a minute", times.len());
        let (learned, _) = cycle(&mut world);
        most = most.max(learned.len());
        learned.into_iter().for_each(|series| *times.entry(series).or_default() += 1);
    }
    assert!(most < MANY / 4, "{most} were learned in one cycle, and all else waited for it");
    assert!(times.values().all(|times| *times == 1), "some were learned again before all were once");
    assert!(world.now.since(begun) < Span::from_secs(5), "{}", world.now.since(begun));
}

#[test]
fn a_cycle_that_comes_not_to_all_says_up_to_which_and_the_next_begins_there() {
    let mut world = fleet(MANY);
    let (learned, first) = cycle(&mut world);
    let through = first.through.expect("it came not to all");
    assert!(first.goes_on && learned.iter().max() == Some(&through.to_string()), "{through}");
    let (learned, _) = cycle(&mut world);
    assert!(learned.iter().all(|series| *series > through.to_string()), "{:?}", learned.iter().min());
    // Of few, each cycle attends to all.
    let mut few = fleet(6_000);
    let (_, first) = cycle(&mut few);
    assert!(first.goes_on && first.through.is_none());
}

#[test]
fn a_word_about_a_series_is_followed_at_once_whose_turn_it_may_be() {
    let mut world = fleet(MANY);
    while cycle(&mut world).1.goes_on {}
    let about = text(MANY - 1);
    let sensitivity = |world: &World| world.engine.knowledge().find(&name(&about)).expect("held").sensitivity();
    let before = sensitivity(&world);
    world.say(&about, Verdict::False, Subject::Moment { at: world.now });
    let (learned, _) = cycle(&mut world);
    assert!(learned.contains(&about), "{} others were learned", learned.len());
    let series = world.engine.knowledge().find(&name(&about)).expect("held");
    assert!(series.active(), "and it judges");
    assert!(sensitivity(&world) > before, "{} after {}", sensitivity(&world).get(), before.get());
}

#[test]
fn a_word_moves_those_next_to_it_of_very_many_siblings_and_all_of_few() {
    let moved = |series: usize, about: usize| -> Vec<usize> {
        let mut world = fleet(series);
        for other in ["m", "m_b{n=\"1\"}", "l{n=\"1\"}", "n"] {
            world.intern(other);
        }
        while cycle(&mut world).1.goes_on {}
        let usual = world.engine.knowledge().find(&name("n")).expect("held").sensitivity();
        world.say(&text(about), Verdict::False, Subject::Moment { at: world.now });
        let _ = cycle(&mut world);
        let knowledge = world.engine.knowledge();
        let is_moved = |text: &str| knowledge.find(&name(text)).expect("held").sensitivity() > usual;
        assert!(is_moved("m") && !["m_b{n=\"1\"}", "l{n=\"1\"}"].into_iter().any(is_moved));
        (0..series).filter(|n| is_moved(&text(*n))).collect()
    };
    assert_eq!(moved(800, 100), (0..601).collect::<Vec<usize>>());
    assert_eq!(moved(3_000, 1_500), (1_000..2_001).collect::<Vec<usize>>());
    assert_eq!(moved(300, 299), (0..300).collect::<Vec<usize>>());
}

#[test]
fn old_series_are_all_learned_again_without_a_pause_however_few_fit_one_cycle() {
    let mut world = fleet(MANY);
    while cycle(&mut world).1.goes_on {}
    // A sample more of each, long after; few cycles' work is let through at once.
    world.now = world.now + Span::hours(3);
    let ids: Vec<_> = (0..MANY).map(|n| world.intern(&text(n))).collect();
    let samples: Vec<Sample> = ids.iter().map(|id| Sample { series: *id, at: world.now, value: 100.0 }).collect();
    let _ = world.engine.observe(&samples, world.now);
    let (begun, mut done) = (world.now, 0);
    while done < MANY {
        let (_, completed) = cycle(&mut world);
        done += completed.learned as usize;
        assert!(world.now.since(begun) < Span::from_secs(10), "{done} of {MANY} in ten seconds");
    }
}

#[test]
fn in_the_middle_of_a_round_a_restart_and_other_shards_change_nothing() {
    let mut world = fleet(MANY);
    let _ = cycle(&mut world);
    let parts = world.engine.snapshot();
    let config = world.engine.knowledge().config().clone();
    let mut other = Engine::restore(config, Methods::built_in(), 1, &parts, world.now).expect("its own snapshot");
    assert_eq!(other.next_cycle(), world.engine.next_cycle());
    for _ in 0..4 {
        world.now = world.now.max(world.engine.next_cycle());
        assert_eq!(world.engine.cycle(world.now).events, other.cycle(world.now).events);
    }
    // What was decided, read again, leads to the same memory.
    let config = world.engine.knowledge().config().clone();
    let mut again = Engine::restore(config, Methods::built_in(), 8, &world.engine.snapshot(), world.now).expect("read");
    let events = world.engine.cycle(world.engine.next_cycle()).events;
    events.iter().for_each(|event| again.replay(event, world.engine.knowledge().last_cycle()));
    assert!(again.snapshot() == world.engine.snapshot());
}
