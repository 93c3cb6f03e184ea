//! The whole loop on simulated time: what a user of the engine would notice.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::{Event, Phase};
use homeostat::execute::Setting;
use homeostat::feedback::{LoopKind, Verdict};
use homeostat::plan::state::SystemState;
use homeostat::time::Span;
use world::World;

#[test]
fn a_series_is_learned_as_soon_as_it_has_enough_samples_and_then_judged() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 99);
    assert!(world.series(id).learned().is_none());
    world.learn("latency", 1);
    world.cycle();
    let threshold = world.series(id).in_force().expect("learned at a hundred");
    let (lower, upper) = threshold.bounds.at(world.now);
    assert!((95.0..99.5).contains(&lower.expect("lower")), "{threshold:?}");
    assert!((100.5..105.0).contains(&upper.expect("upper")), "{threshold:?}");
    assert!(threshold.confidence.get() > 0.5 && !threshold.reasoning.is_empty());
}

#[test]
fn an_alert_begins_after_two_samples_far_out_and_ends_after_two_inside() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    world.events.clear();
    world.sample(id, 200.0);
    assert!(!world.events.iter().any(|event| matches!(event, Event::Alerted(_))), "one sample is no alert");
    for value in [200.0, 200.0, 100.0, 100.0] {
        world.sample(id, value);
    }
    let phases =
        world.events.iter().filter_map(|event| if let Event::Alerted(a) = event { Some(a.phase) } else { None });
    assert_eq!(phases.collect::<Vec<_>>(), [Phase::Onset, Phase::End]);
}

#[test]
fn a_false_verdict_widens_the_bounds_by_the_next_cycle_and_a_missed_one_narrows_them() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let (sensitivity, upper) = (world.series(id).sensitivity().get(), world.upper(id));
    let signal = world.verdict("latency", Verdict::False);
    world.cycle();
    assert!(world.series(id).sensitivity().get() > sensitivity);
    let wider = world.upper(id);
    assert!(wider > upper, "{wider} {upper}");
    let action = world.engine.knowledge().actions().last().expect("an action");
    assert_eq!((action.of, action.adjustment.cause), (LoopKind::AnomalyFeedback, signal));
    world.verdict("latency", Verdict::Missed);
    world.cycle();
    assert!(world.upper(id) < wider);
}

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
fn a_snapshot_goes_on_as_if_nothing_had_happened_also_in_another_number_of_shards() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    world.verdict("latency", Verdict::False);
    let parts = world.engine.snapshot();
    let mut restored =
        Engine::restore(Config::default(), Methods::built_in(), 3, &parts, world.now).expect("a snapshot is readable");
    assert_eq!(restored.snapshot()[0], parts[0], "the general part is the same");
    let name = world.series(id).name().clone();
    assert_eq!(restored.knowledge().find(&name), Some(world.series(id)));
    let (one, other) = (world.engine.cycle(world.now).events, restored.cycle(world.now).events);
    assert_eq!(one, other, "and so is what it decides next");
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
fn a_series_that_moved_loses_trust_and_still_gets_new_bounds_within_hours() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    for _ in 0..6 * 360 {
        let value = 200.0 + world.bell();
        world.sample(id, value);
    }
    let series = world.series(id);
    let breaches = series.breaches_in_last(100);
    assert!(breaches < 20, "{breaches} of the last 100 breach {:?}", series.in_force().map(|t| &t.bounds));
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
fn an_incident_is_not_learned_as_ordinary_and_the_next_one_is_found() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 600);
    let level = |world: &World| world.series(id).in_force().and_then(|t| t.alert.at(world.now).1).expect("a level");
    for _ in 0..3 {
        for _ in 0..30 {
            let value = 140.0 + world.bell();
            world.sample(id, value);
        }
        world.learn("latency", 600);
        assert!(level(&world) < 120.0, "{}", level(&world));
    }
    let series = world.series(id);
    assert_eq!(
        (series.tally().alerts, series.masked()),
        (3, 93),
        "each with its first sample and the one that ends it"
    );
    let why = &series.learned().expect("learned").reasoning;
    assert!(why.contains("without 93 of alerts") || why.contains("without 62 of alerts"), "{why}");
}

#[test]
fn bounds_that_proved_wrong_are_withdrawn_and_their_alert_ends_with_them() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 120);
    assert!(world.series(id).in_force().is_some());
    // It wanders off, and nothing that is learned on the way can be trusted.
    let mut value = 100.0;
    for _ in 0..400 {
        value += 5.0 + 2.0 * world.bell();
        world.sample(id, value);
    }
    let withdrawn = world.events.iter().position(|event| {
        matches!(event, Event::ChangeDispatched { change } if change.knob.series().is_some() && change.to == Setting::Unset)
    });
    let after = &world.events[withdrawn.expect("withdrawn")..];
    assert!(matches!(&after[1], Event::Alerted(alerted) if alerted.phase == Phase::End), "{:?}", after[1]);
    assert!(world.series(id).alert_since().is_none());
}

#[test]
fn a_series_that_moved_forgets_its_old_level() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 600);
    for _ in 0..1_200 {
        let value = 110.0 + world.bell();
        world.sample(id, value);
    }
    let threshold = world.series(id).in_force().expect("learned");
    assert!(threshold.level_since.is_some());
    let (lower, upper) = threshold.bounds.at(world.now);
    assert!(lower.is_some_and(|lower| lower > 105.0) && upper.is_some_and(|upper| upper < 115.0), "{threshold:?}");
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
