//! The five states on simulated time: what leads to one, what it changes, and what is written down of it.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::execute::Setting;
use homeostat::feedback::{LoopKind, Verdict};
use homeostat::monitor::{Fate, Sample};
use homeostat::plan::guard::Refusal;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::time::Span;
use std::collections::BTreeMap;
use world::{World, certain};

#[test]
fn a_processor_at_99_percent_is_critical_within_two_cycles() {
    let mut world = World::new(Config::default());
    for _ in 0..2 {
        world.measure(LoopKind::ResourceOptimization, "host_processor", 0.99);
        world.cycle();
    }
    let knowledge = world.engine.knowledge();
    assert_eq!(knowledge.state().state, SystemState::Critical);
    assert_eq!(knowledge.parameters().execution_parallelism, 1);
    assert_eq!(knowledge.parameters().monitoring_interval, Span::from_secs(10));
}

#[test]
fn while_frozen_it_learns_and_judges_and_changes_nothing_and_what_was_said_waits() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let _ = world.engine.freeze(true, "a test".to_owned(), world.now);
    world.verdict("latency", Verdict::False);
    world.cycle();
    assert_eq!(world.series(id).sensitivity().get(), 2.0);
    let _ = world.engine.freeze(false, "a test".to_owned(), world.now);
    world.cycle();
    assert!(world.series(id).sensitivity().get() > 2.0, "the verdict was not lost");
}

#[test]
fn a_measurement_that_is_no_number_is_no_evidence_and_harms_nobody() {
    let mut world = World::new(Config::default());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        world.measure(LoopKind::ResourceOptimization, "host_processor", value);
        world.measure(LoopKind::PerformanceAdaptation, "cycle_latency", value);
        world.cycle();
    }
    assert_eq!(world.engine.knowledge().state().state, SystemState::Healthy);
    assert_eq!(world.engine.knowledge().evidence().iter().count(), 0);
}

#[test]
fn a_new_row_is_one_change_and_each_cycle_tells_how_far_the_parameters_are() {
    let mut world = World::new(Config::default());
    let forced = world.engine.force(SystemState::Critical, Span::minutes(5), world.now);
    world.events.extend(forced);
    for _ in 0..200 {
        world.measure(LoopKind::ResourceOptimization, "host_processor", 0.3);
        world.cycle();
    }
    let rows = world.events.iter().filter(
        |event| matches!(event, Event::ChangeDispatched { change } if matches!(change.to, Setting::Parameters(_))),
    );
    let moves = world.events.iter().filter(|event| matches!(event, Event::StateChanged { .. })).count();
    assert_eq!((rows.count(), moves), (3, 3), "to critical, to recovering, to healthy");
    let intervals: Vec<Span> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CycleCompleted(cycle) => Some(cycle.parameters.monitoring_interval),
            _ => None,
        })
        .collect();
    assert_eq!(intervals[0], Span::from_secs(10), "towards critical at once");
    let between = intervals.iter().filter(|span| (21..60).contains(&(span.secs() as u64))).count();
    assert!(between > 5 && intervals.last() == Some(&Span::minutes(1)), "by degrees on the way back: {intervals:?}");
}

#[test]
fn a_freeze_of_the_configuration_holds_over_a_restart_and_goes_with_its_key() {
    let frozen = || {
        let mut config = Config::default();
        config.execution.freeze = true;
        config
    };
    let restart = |world: &World, config: Config| {
        Engine::restore(config, Methods::built_in(), 8, &world.engine.snapshot(), world.now).expect("readable")
    };
    let world = World::new(Config::default());
    let mut engine = restart(&world, frozen());
    assert!(engine.knowledge().frozen());
    let before = *engine.knowledge().parameters();
    let _ = engine.force(SystemState::Critical, Span::minutes(5), world.now);
    let _ = engine.cycle(world.now + Span::minutes(1));
    assert_eq!(*engine.knowledge().parameters(), before, "nothing moves");
    let world = World::new(frozen());
    assert!(!restart(&world, Config::default()).knowledge().frozen(), "the key is gone, and nobody ordered it");
}

#[test]
fn with_few_series_too_parallelism_says_how_many_are_learned_at_once() {
    let mut config = certain();
    config.states.critical.execution_parallelism = 1;
    let mut world = World::new(config);
    let ids: Vec<_> = (0..20).map(|n| world.intern(&format!("latency_{n}"))).collect();
    let forced = world.engine.force(SystemState::Critical, Span::hours(9), world.now);
    world.events.extend(forced);
    world.cycle();
    for _ in 0..100 {
        world.now = world.now + Span::from_secs(10);
        for id in &ids {
            let value = 100.0 + world.bell();
            let observed = world.engine.observe(&[Sample { series: *id, at: world.now, value }], world.now);
            world.events.extend(observed.events);
        }
    }
    let mut learned = Vec::new();
    for _ in 0..3 {
        world.cycle();
        learned.push(ids.iter().filter(|id| world.series(**id).in_force().is_some()).count());
    }
    assert_eq!(learned, [8, 16, 20]);
}

#[test]
fn ten_minutes_ahead_is_too_new_and_evidence_is_fresh_for_three_cycles() {
    let mut world = World::new(certain());
    let id = world.intern("latency");
    let mut fate = |ahead: Span| {
        let observed = world.engine.observe(&[Sample { series: id, at: world.now + ahead, value: 1.0 }], world.now);
        observed.fates.of(Fate::TooNew)
    };
    assert_eq!((fate(Span::from_secs(601)), fate(Span::minutes(10))), (1, 0));
    world.measure(LoopKind::ResourceOptimization, "host_processor", 0.3);
    world.cycle();
    let known = |world: &World| world.engine.knowledge().evidence().get(EvidenceKind::HostProcessor).is_some();
    assert!(known(&world));
    (0..2).for_each(|_| world.cycle());
    assert!(known(&world), "three intervals");
    world.cycle();
    assert!(!known(&world), "and no longer");
}

#[test]
fn unlike_evidence_is_an_unlike_situation() {
    let situation = |processor: f64| {
        let mut world = World::new(certain());
        world.measure(LoopKind::ResourceOptimization, "host_processor", processor);
        world.cycle();
        world.engine.knowledge().situation()
    };
    assert_eq!(situation(0.31), situation(0.32));
    assert_ne!(situation(0.31), situation(0.52));
}

#[test]
fn every_decision_carries_its_situation_and_journals_from_before_that_are_read_all_the_same() {
    let mut config = Config::default();
    config.learning.strategy = "adaptive".into();
    config.states.healthy.planning_lookahead = Span::from_secs(1_200);
    let mut world = World::new(config);
    world.force(SystemState::Healthy);
    let id = world.learn("disk", 300);
    for n in 0..400 {
        let value = 100.0 + 0.05 * f64::from(n) + 0.1 * world.bell();
        world.sample(id, value);
    }
    world.force(SystemState::Optimizing);
    (0..30).for_each(|_| _ = world.cycles_under(EvidenceKind::CycleLatency, 0.45, 1));
    world.events.extend(world.engine.freeze(true, "the test says so".to_owned(), world.now));
    let decisions: BTreeMap<&str, Vec<Option<u64>>> =
        world.events.iter().fold(BTreeMap::new(), |mut decisions: BTreeMap<_, Vec<_>>, event| {
            decisions.entry(event.kind()).or_default().push(event.situation());
            decisions
        });
    for kind in [
        "threshold_learned",
        "alerted",
        "forecasted",
        "state_changed",
        "change_dispatched",
        "adjusted",
        "withheld",
        "frozen",
    ] {
        let situations = decisions.get(kind).unwrap_or_else(|| panic!("{kind} was decided: {:?}", decisions.keys()));
        assert!(situations.iter().all(Option::is_some), "{kind}: {situations:?}");
    }
    assert_eq!(decisions["frozen"], [Some(world.engine.knowledge().situation())], "the one it stands in");
    let learned = &decisions["threshold_learned"];
    assert_eq!(learned[0], decisions["change_dispatched"][0], "of one cycle, in one situation");

    for row in [
        r#"{"kind":"forecasted","series":"disk","crosses_at":null}"#,
        r#"{"kind":"loop_paused","by":"decision_quality","paused":true,"because":"it did harm"}"#,
        r#"{"kind":"frozen","frozen":true,"because":"an order"}"#,
    ] {
        let event: Event = serde_json::from_str(row).expect("a row of an earlier version");
        assert_eq!(event.situation(), None);
        assert_eq!(serde_json::to_string(&event).expect("JSON"), row, "and is written as it was");
    }
}

#[test]
fn refusals_of_the_guard_are_counted_by_reason_and_stay_so_after_a_restart() {
    let mut config = certain();
    config.execution.changes_per_hour = 1;
    let mut world = World::new(config.clone());
    let parts = world.engine.snapshot();
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 5);
    let refused = world.engine.knowledge().refused(Refusal::TooOften);
    assert!(refused >= 8, "two knobs, held back in four cycles: {refused}");
    let restore = |parts: &[(String, Vec<u8>)]| {
        Engine::restore(config.clone(), Methods::built_in(), 8, parts, world.now).expect("a snapshot is readable")
    };
    assert_eq!(restore(&world.engine.snapshot()).knowledge().refused(Refusal::TooOften), refused);
    let mut replayed = restore(&parts);
    for event in &world.events {
        let text = serde_json::to_string(event).expect("JSON");
        replayed.replay(&serde_json::from_str(&text).expect("its own JSON"), world.now);
    }
    assert_eq!(replayed.knowledge().refused(Refusal::TooOften), refused);
}

/// Two hundred series that began half a minute apart: each is to be learned once an hour, in its own minute. They come to be
/// learned together, and the loop turns to learning about once an hour, not whenever it may.
#[test]
fn series_that_began_at_different_times_turn_the_loop_to_learning_once_an_interval() {
    let mut config = Config::default();
    config.learning.min_data_points = 20;
    let mut world = World::new(config);
    let start = world.now;
    let mut ids = Vec::new();
    let (mut turns, mut learned_last) = (0, Span::ZERO);
    // Bounds that were learned from few samples fail at times, and that is learned from at once.
    let settled = Span::hours(10);
    for minute in 0..34 * 60 {
        world.now = start + Span::minutes(minute);
        for _ in 0..2 {
            if ids.len() < 200 {
                ids.push(world.intern(&format!("series_{}", ids.len())));
            }
        }
        let noise: Vec<f64> = ids.iter().map(|_| world.bell()).collect();
        let samples = ids.iter().zip(noise);
        let samples: Vec<Sample> =
            samples.map(|(series, noise)| Sample { series: *series, at: world.now, value: 100.0 + noise }).collect();
        let _ = world.engine.observe(&samples, world.now);
        for event in world.engine.cycle(world.now).events {
            if let Event::StateChanged { transition, .. } = event
                && transition.to == SystemState::Optimizing
                && transition.at.since(start) >= settled
            {
                turns += 1;
            }
        }
        if world.now.since(start) >= settled {
            let ages = ids.iter().filter_map(|id| world.series(*id).learned_at()).map(|at| world.now.since(at));
            learned_last = learned_last.max(ages.max().expect("all are learned"));
        }
    }
    println!("{turns} turns to learning in a day; at most {learned_last} between two learnings of a series");
    assert!((20..=28).contains(&turns), "{turns} turns to learning in 24 hours");
    assert!(learned_last <= Span::minutes(75), "and none waits long for the others: {learned_last}");
}
