//! The five parameters that the loop sets on itself: each is changed (by configuration, by state, by a factor), and what
//! the loop then does differently is watched.

mod world;

use homeostat::config::Config;
use homeostat::event::{CycleCompleted, Event};
use homeostat::execute::Knob;
use homeostat::feedback::{ParameterKind, Verdict};
use homeostat::knowledge::SeriesId;
use homeostat::monitor::Sample;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::time::Span;
use homeostat::units::Ratio;
use world::{World, by_bounds, certain, numbers};

use ParameterKind::{AnalysisDepth, ExecutionParallelism, LearningRate, MonitoringInterval, PlanningLookahead};
use SystemState::{Critical, Degraded, Healthy, Optimizing, Recovering};

/// From the last cycle to the next.
fn gap(world: &World) -> f64 {
    world.engine.next_cycle().since(world.engine.knowledge().last_cycle()).secs()
}

// --- monitoring interval --------------------------------------------------------------------------------------------

#[test]
fn the_next_cycle_comes_after_the_interval_of_the_configuration() {
    let mut world = World::new(certain());
    world.cycle();
    assert_eq!(gap(&world), 60.0);
    world.reconfigure(|config| config.states.healthy.monitoring_interval = Span::from_secs(20));
    world.cycles(40);
    assert_eq!(gap(&world), 20.0);
}

#[test]
fn the_next_cycle_comes_after_the_interval_of_the_state() {
    let mut world = World::new(certain());
    for (state, wanted) in [(Critical, 10.0), (Degraded, 30.0), (Recovering, 20.0), (Optimizing, 30.0), (Healthy, 60.0)]
    {
        world.force(state);
        world.cycles(40);
        assert_eq!(gap(&world), wanted, "{state}");
    }
}

#[test]
fn the_next_cycle_comes_later_by_the_factor_of_the_interval() {
    let mut world = World::new(certain());
    world.cycle();
    world.cycles_with_factor(MonitoringInterval, 1.5, 1);
    assert!(gap(&world) > 60.0);
    world.cycles_with_factor(MonitoringInterval, 1.5, 20);
    assert_eq!(gap(&world), 90.0);
}

#[test]
fn a_first_look_at_a_critical_limit_brings_the_next_cycle_forward() {
    let mut world = World::new(certain());
    assert_eq!(world.cycles_under(EvidenceKind::HostProcessor, 0.99, 1), Healthy);
    assert!(gap(&world) < 10.0, "{}", gap(&world));
    assert_eq!(world.cycles_under(EvidenceKind::HostProcessor, 0.99, 1), Critical);
    assert_eq!(gap(&world), 10.0);
}

// --- analysis depth -------------------------------------------------------------------------------------------------

/// A dozen series, learned; a third of them had so many last samples far out.
fn a_third_in_breach(config: Config, last: usize) -> World {
    let mut world = World::new(config);
    world.force(Healthy);
    let names: Vec<String> = (0..12).map(|n| format!("series_{n}")).collect();
    let ids: Vec<SeriesId> = names.iter().map(|name| world.intern(name)).collect();
    let samples = |world: &mut World, count: usize, out: bool| {
        for _ in 0..count {
            world.now = world.now + Span::from_secs(10);
            for (n, id) in ids.iter().enumerate() {
                let value = if out && n % 3 == 0 { 500.0 } else { 100.0 + world.bell().clamp(-1.5, 1.5) };
                let sample = Sample { series: *id, at: world.now, value };
                let _ = world.engine.observe(&[sample], world.now);
            }
        }
    };
    // So many that the last ones are less than the twentieth that bounds may leave out.
    samples(&mut world, 130, false);
    world.cycles(3);
    samples(&mut world, last, true);
    world
}

/// The share of series in breach above the usual one, as the next cycle measures it.
fn breach_share(world: &mut World) -> f64 {
    world.cycle();
    world.engine.knowledge().evidence().get(EvidenceKind::BreachShare).expect("enough series")
}

#[test]
fn health_reads_as_many_last_samples_as_the_depth_says() {
    // Four samples far out: most of the last three, few of the last ten.
    let mut deep = a_third_in_breach(by_bounds(), 4);
    assert_eq!(breach_share(&mut deep), 0.0);
    let mut by_configuration = a_third_in_breach(by_bounds(), 4);
    by_configuration.reconfigure(|config| config.states.healthy.analysis_depth = 20);
    by_configuration.cycles(60);
    assert!(breach_share(&mut by_configuration) > 0.2);
    let mut by_state = a_third_in_breach(by_bounds(), 4);
    by_state.force(Critical);
    by_state.cycle();
    assert!(breach_share(&mut by_state) > 0.2);
}

#[test]
fn health_reads_fewer_samples_by_the_factor_of_the_depth() {
    // Five of the last ten are half, and half is in breach; of the last twenty they are a quarter.
    let run = |factor: f64| {
        let mut config = certain();
        config.states.healthy.analysis_depth = 200;
        let mut world = a_third_in_breach(config, 6);
        world.cycles_with_factor(AnalysisDepth, factor, 60);
        (world.parameters()[1], breach_share(&mut world))
    };
    assert_eq!(run(1.0), (200.0, 0.0));
    let (depth, share) = run(0.5);
    assert!(depth == 100.0 && share > 0.1, "{depth} {share}");
}

// --- planning lookahead ---------------------------------------------------------------------------------------------

/// A series that learned a calm level and then climbs, slowly enough that a depth of samples is one line: how many seconds
/// ahead the engine foresees that it crosses its alert level. `news` comes before every sample.
fn foreseen(config: Config, news: impl Fn(&mut World)) -> Option<f64> {
    let mut world = World::new(config);
    world.force(Healthy);
    let id = world.intern("disk");
    for n in 0..700 {
        news(&mut world);
        let value = if n < 300 { 100.0 + world.bell() } else { 100.0 + 0.05 * f64::from(n - 300) + 0.1 * world.bell() };
        world.sample(id, value);
        if let Some(crosses_at) = world.series(id).forecast().filter(|_| n >= 300) {
            return Some(crosses_at.since(world.now).secs());
        }
    }
    None
}

#[test]
fn a_crossing_is_foreseen_as_far_ahead_as_the_lookahead_and_no_farther() {
    let short = foreseen(certain(), |_| {}).expect("the trend is foreseen");
    assert!(short <= 300.0, "{short}");
    let mut config = certain();
    config.states.healthy.planning_lookahead = Span::from_secs(1_200);
    let long = foreseen(config, |_| {}).expect("the trend is foreseen");
    assert!(300.0 < long && long <= 1_200.0, "{short} {long}");
    let doubled = foreseen(certain(), |world| world.set_factor(PlanningLookahead, 2.0));
    assert!(doubled.is_some_and(|ahead| ahead > 300.0 && ahead <= 600.0), "{doubled:?}");
}

#[test]
fn a_forecast_goes_when_the_lookahead_no_longer_reaches_it() {
    let mut config = certain();
    config.states.healthy.planning_lookahead = Span::from_secs(1_200);
    let mut world = World::new(config);
    world.force(Healthy);
    let id = world.learn("disk", 300);
    let mut level = 100.0;
    while world.series(id).forecast().is_none() {
        level += 0.02;
        let value = level + 0.1 * world.bell();
        world.sample(id, value);
        assert!(level < 120.0, "it is foreseen at last");
    }
    world.events.clear();
    world.force(Degraded);
    world.reconfigure(|config| {
        config.states.degraded.planning_lookahead = Span::from_secs(60);
        config.states.degraded.analysis_depth = 100;
    });
    world.cycles(2);
    assert!(world.series(id).forecast().is_none());
    let went = |event: &Event| matches!(event, Event::Forecasted { crosses_at: None, .. });
    assert!(world.events.iter().any(went), "that it went is told");
}

/// A trend needs thirty samples and critical reads twenty: nothing is foreseen there, and nothing stands from before.
#[test]
fn in_critical_nothing_is_foreseen_unless_it_is_given_the_depth() {
    let run = |depth: u32| {
        let mut config = certain();
        config.states.critical.analysis_depth = depth;
        config.states.critical.planning_lookahead = Span::from_secs(1_200);
        config.states.healthy.planning_lookahead = Span::from_secs(1_200);
        config.states.healthy.learning_rate = Ratio::clamped(1.0);
        let mut world = World::new(config);
        world.force(Healthy);
        let id = world.learn("disk", 300);
        let mut level = 100.0;
        let mut climb = |world: &mut World, samples: usize| {
            for _ in 0..samples {
                level += 0.02;
                let value = level + 0.1 * world.bell();
                world.sample(id, value);
            }
            world.series(id).forecast().is_some()
        };
        // For five minutes: what is foreseen by bounds that are just being learned anew may go with them.
        let mut foreseen = 0;
        let mut stands = |world: &mut World| {
            foreseen = if climb(world, 1) { foreseen + 1 } else { 0 };
            foreseen == 30
        };
        assert!((0..600).any(|_| stands(&mut world)), "it is foreseen at last");
        world.events.clear();
        world.force(Critical);
        world.cycle();
        let critical = climb(&mut world, 12);
        let withdrawn = |event: &Event| matches!(event, Event::Forecasted { crosses_at: None, .. });
        let told = world.events.iter().filter(|event| withdrawn(event)).count();
        world.force(Healthy);
        world.cycle();
        (critical, told, (0..200).any(|_| climb(&mut world, 1)))
    };
    assert_eq!(run(20), (false, 1, true), "withdrawn, which is told, and foreseen again afterwards");
    let (critical, _, _) = run(100);
    assert!(critical, "with the depth of the healthy state it stands");
}

#[test]
fn what_a_change_claims_is_looked_at_after_the_lookahead() {
    for (state, secs) in [(Healthy, 300), (Degraded, 180)] {
        let mut world = World::new(certain());
        world.force(state);
        world.cycles(60);
        world.events.clear();
        world.evidence(EvidenceKind::CycleLatency, 0.4);
        world.cycle();
        let claims: Vec<Span> = world
            .events
            .iter()
            .filter_map(|event| match event {
                Event::ChangeDispatched { change } if matches!(change.knob, Knob::Factor(_)) => {
                    Some(change.expect.due.since(change.at))
                }
                _ => None,
            })
            .collect();
        assert_eq!(claims, [Span::from_secs(secs); 2], "{state}");
    }
}

// --- execution parallelism ------------------------------------------------------------------------------------------

/// What the next cycle learned of so many new series, and how many thresholds it put in force.
fn learned_at_once(config: Config, series: usize, prepare: impl Fn(&mut World)) -> (CycleCompleted, usize) {
    let mut config = config;
    config.learning.min_data_points = 20;
    config.learning.confidence_min = homeostat::units::Confidence::clamped(0.0);
    let mut world = World::new(config);
    world.force(Healthy);
    prepare(&mut world);
    world.force(world.state());
    for n in 0..series {
        let id = world.intern(&format!("series_{n}"));
        let history: Vec<_> =
            (0..20_u64).map(|i| (world.now + Span::from_millis(i), 100.0 + (i * 7 % 11) as f64 + 0.5)).collect();
        let _ = world.engine.backfill(id, &history, world.now);
    }
    world.now = world.now + Span::from_secs(1);
    world.events.clear();
    world.cycle();
    let threshold = |event: &&Event| matches!(event, Event::ChangeDispatched { change } if matches!(change.knob, Knob::Threshold(_)));
    let changes = world.events.iter().filter(threshold).count();
    match world.events.pop() {
        Some(Event::CycleCompleted(cycle)) => (*cycle, changes),
        event => panic!("a cycle ends with its completion: {event:?}"),
    }
}

#[test]
fn as_many_series_are_learned_and_changed_in_a_cycle_as_the_parallelism_allows() {
    let (four, changes) = learned_at_once(certain(), 700, |_| {});
    let batch = four.learned / 4;
    assert!(batch > 0 && four.learned == 4 * batch && four.waiting == 700 - 4 * batch, "{four:?}");
    assert!(changes <= four.learned as usize && changes > 0, "{changes}");

    let mut config = certain();
    config.states.healthy.execution_parallelism = 2;
    let (two, fewer) = learned_at_once(config, 700, |_| {});
    assert_eq!((two.learned, two.waiting), (2 * batch, 700 - 2 * batch));
    assert!(fewer < changes, "{fewer} {changes}");

    let (one, _) = learned_at_once(certain(), 700, |world| {
        world.force(Critical);
        world.cycle();
    });
    assert_eq!(one.learned, batch);

    let (halved, _) = learned_at_once(certain(), 700, |world| {
        world.cycles_with_factor(ExecutionParallelism, 0.5, 10);
    });
    assert_eq!(halved.learned, 2 * batch);
}

// --- learning rate --------------------------------------------------------------------------------------------------

/// By which share of itself a false verdict moves a sensitivity.
fn moved(config: Config, prepare: impl Fn(&mut World)) -> f64 {
    let mut world = World::new(config);
    let id = world.learn("latency", 150);
    prepare(&mut world);
    let before = world.series(id).sensitivity().get();
    world.verdict("latency", Verdict::False);
    world.cycle();
    world.series(id).sensitivity().get() / before - 1.0
}

#[test]
fn a_verdict_moves_a_sensitivity_as_far_as_the_learning_rate_says() {
    let near = |share: f64, wanted: f64| assert!((share - wanted).abs() < 1e-9, "{share} {wanted}");
    let settle = |world: &mut World, state| {
        world.force(state);
        world.cycles(60);
    };
    near(moved(certain(), |world| settle(world, Healthy)), 0.1);
    near(moved(certain(), |world| settle(world, Degraded)), 0.2);
    near(moved(certain(), |world| settle(world, Optimizing)), 0.3);
    near(moved(certain(), |world| settle(world, Critical)), 0.05);
    let mut config = certain();
    config.states.healthy.learning_rate = Ratio::clamped(0.5);
    near(moved(config, |world| settle(world, Healthy)), 0.5);
    let halved = moved(certain(), |world| {
        settle(world, Healthy);
        world.cycles_with_factor(LearningRate, 0.5, 20);
    });
    near(halved, 0.05);
}

// --- the way to a row and back --------------------------------------------------------------------------------------

fn row(world: &World, state: SystemState) -> [f64; 5] {
    numbers(&world.engine.knowledge().config().states.row(state))
}

#[test]
fn towards_critical_the_whole_row_applies_in_the_cycle_that_enters_it() {
    let mut world = World::new(certain());
    world.cycle();
    assert_eq!(world.cycles_under(EvidenceKind::OwnMemory, 0.9, 3), Degraded);
    let mut degraded = row(&world, Degraded);
    // The resource loop spoke as well: what it owns may stand lower, never higher.
    let stands = world.parameters();
    assert!(stands[1] <= degraded[1] && stands[3] <= degraded[3], "{stands:?}");
    (degraded[1], degraded[3]) = (stands[1], stands[3]);
    assert_eq!(stands, degraded);
    assert_eq!(world.cycles_under(EvidenceKind::OwnMemory, 0.99, 2), Critical);
    let stands = world.parameters();
    let critical = row(&world, Critical);
    assert_eq!([stands[0], stands[2], stands[3], stands[4]], [critical[0], critical[2], 1.0, critical[4]]);
    assert!(stands[1] <= critical[1], "{stands:?}");
}

#[test]
fn the_way_back_covers_a_share_of_the_distance_and_at_least_a_unit_until_it_is_there() {
    const UNITS: [f64; 5] = [1.0, 1.0, 1.0, 1.0, 0.01];
    for (from, to) in [(Critical, Recovering), (Degraded, Recovering), (Recovering, Healthy), (Optimizing, Healthy)] {
        let mut world = World::new(certain());
        world.force(from);
        world.cycles(60);
        assert_eq!(world.parameters(), row(&world, from));
        world.force(to);
        let (end, share) = (row(&world, to), row(&world, to)[4]);
        let mut cycles = 0;
        while world.parameters() != end {
            let before = world.parameters();
            world.cycle();
            let after = world.parameters();
            for n in 0..5 {
                let (distance, step) = ((end[n] - before[n]).abs(), (after[n] - before[n]).abs());
                let wanted = (share * distance).max(UNITS[n]).min(distance);
                assert!((step - wanted).abs() <= UNITS[n] / 2.0 + 1e-9, "{from} {to} {n}: {before:?} {after:?}");
                assert!((end[n] - after[n]) * (end[n] - before[n]) >= 0.0, "never beyond its end");
            }
            cycles += 1;
            assert!(cycles < 100, "it arrives");
        }
        assert!(cycles > 3, "{from} {to}: by degrees, in {cycles} cycles");
    }
}

#[test]
fn a_factor_stays_within_a_half_and_two_whatever_a_loop_hears() {
    let mut config = certain();
    config.execution.changes_per_hour = 3_600;
    let mut world = World::new(config);
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 40);
    assert!((1.99..=2.0).contains(&world.factor(MonitoringInterval)), "{}", world.factor(MonitoringInterval));
    assert!(world.parameters()[0] <= 120.0);
    world.set_factor(ExecutionParallelism, 100.0);
    world.set_factor(AnalysisDepth, 0.0);
    assert_eq!((world.factor(ExecutionParallelism), world.factor(AnalysisDepth)), (2.0, 0.5));
}

#[test]
fn a_factor_survives_a_change_of_state_and_halves_its_distance_to_one_each_hour() {
    let mut world = World::new(certain());
    world.set_factor(LearningRate, 0.5);
    world.set_factor(PlanningLookahead, 2.0);
    world.force(Degraded);
    world.cycles(40);
    assert!(world.factor(LearningRate) < 1.0 && world.factor(PlanningLookahead) > 1.0);
    for _ in 0..40 {
        world.now = world.engine.next_cycle();
        world.set_factor(LearningRate, 0.5);
        world.cycles_with_factor(PlanningLookahead, 2.0, 1);
    }
    let start = world.now;
    assert_eq!([world.parameters()[2], world.parameters()[4]], [360.0, 0.1], "twice and half of degraded's row");
    for (hours, half, two) in [(1, 0.75, 1.5), (2, 0.875, 1.25), (3, 0.9375, 1.125), (12, 1.0, 1.0)] {
        let until = start + Span::hours(hours);
        world.wait(until.since(world.now));
        assert_eq!((world.factor(LearningRate), world.factor(PlanningLookahead)), (half, two), "{hours} h");
    }
    assert_eq!(world.parameters(), row(&world, Degraded));
}

#[test]
fn in_critical_no_factor_lengthens_the_interval_or_raises_depth_or_parallelism() {
    let mut world = World::new(certain());
    let burdens = [MonitoringInterval, AnalysisDepth, ExecutionParallelism];
    burdens.into_iter().for_each(|kind| world.set_factor(kind, 2.0));
    world.force(Critical);
    world.cycle();
    assert_eq!(world.parameters(), row(&world, Critical));
    burdens.into_iter().for_each(|kind| world.set_factor(kind, 0.5));
    world.cycle();
    let [interval, depth, _, parallelism, _] = world.parameters();
    assert_eq!((interval, depth, parallelism), (5.0, 10.0, 1.0), "one that relieves still counts");
}

#[test]
fn a_factor_of_one_parameter_moves_no_other() {
    for (n, kind) in ParameterKind::ALL.into_iter().enumerate() {
        let mut world = World::new(certain());
        world.cycles_with_factor(kind, 1.5, 40);
        let (row, stands) = (row(&world, Healthy), world.parameters());
        for other in 0..5 {
            let wanted = if other == n { 1.5 } else { 1.0 };
            assert!((stands[other] / row[other] - wanted).abs() < 1e-9, "{kind:?}: {stands:?}");
        }
    }
}
