//! What a threshold learner gets wrong when nobody looks: each trap as the behaviour that is wanted instead.

mod world;

use homeostat::config::{Config, Limit, SeriesRule};
use homeostat::event::{Alerted, Event, Phase};
use homeostat::feedback::{LoopKind, ParameterKind, Verdict};
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Fate, Sample};
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::Selector;
use homeostat::stats::Trend;
use homeostat::threshold::Pair;
use homeostat::time::Span;
use homeostat::units::{Ratio, Sensitivity};
use std::collections::BTreeSet;
use world::{World, certain};

/// Feeds so many samples of a shape.
fn feed(world: &mut World, id: SeriesId, count: usize, shape: impl Fn(&mut World, usize) -> f64) {
    for n in 0..count {
        let value = shape(world, n);
        world.sample(id, value);
    }
}

fn onsets(world: &World) -> usize {
    let onset = |event: &&Event| matches!(event, Event::Alerted(Alerted { phase: Phase::Onset, .. }));
    world.events.iter().filter(onset).count()
}

// --- which strategy, and how sure ------------------------------------------------------------------------------------

#[test]
fn which_strategy_wins_depends_on_the_shape_of_the_series() {
    let shapes: [fn(&mut World, usize) -> f64; 5] = [
        |world, _| 100.0 + world.bell(),
        |world, _| -(1.0 - world.share()).ln() * 10.0,
        |world, _| world.share() * 10.0,
        |world, n| if n % 12 == 0 { 150.0 + 30.0 * world.bell() } else { 100.0 + world.bell() },
        |world, n| 100.0 + 20.0 * (n as f64 / 30.0).sin() + world.bell(),
    ];
    let mut chosen = BTreeSet::new();
    for seed in 1..=4 {
        for (n, shape) in shapes.iter().enumerate() {
            let mut world = World::seeded(certain(), seed);
            let id = world.intern("latency");
            feed(&mut world, id, 600, shape);
            let threshold = world.series(id).learned().expect("learned");
            assert!(threshold.rivals.len() >= 4, "all are compared");
            let losses: BTreeSet<u64> =
                threshold.rivals.iter().filter_map(|rival| Some(rival.loss?.to_bits())).collect();
            assert!(losses.len() >= 3, "by measured losses, not by constants: seed {seed}, shape {n}: {losses:?}");
            chosen.insert(threshold.strategy.to_string());
        }
    }
    assert!(chosen.len() >= 3, "{chosen:?}");
}

#[test]
fn confidence_is_a_continuum_and_falls_with_few_samples_and_drift() {
    let confidence = |seed: u64, samples: usize, drift: f64| {
        let mut config = certain();
        config.learning.min_data_points = 30;
        let mut world = World::seeded(config, seed);
        let id = world.intern("latency");
        feed(&mut world, id, samples, |world, n| 100.0 + drift * n as f64 + world.bell());
        world.reconfigure(|config| config.learning.optimization_interval = Span::from_secs(1));
        world.sample(id, 100.0 + drift * samples as f64);
        world.cycle();
        world.series(id).learned().expect("learned").confidence.get()
    };
    let mut seen = BTreeSet::new();
    let mut means = [0.0; 3];
    for seed in 1..=15 {
        let of = [confidence(seed, 30, 0.0), confidence(seed, 1_000, 0.0), confidence(seed, 1_000, 0.02)];
        means.iter_mut().zip(of).for_each(|(mean, of)| *mean += of / 15.0);
        seen.extend(of.map(f64::to_bits));
    }
    let [few, many, drifting] = means;
    assert!(few < many - 0.05 && drifting < many - 0.05, "{means:?}");
    assert!(seen.len() >= 40, "{} values of 45", seen.len());
}

// --- windows that spoil thresholds ----------------------------------------------------------------------------------

#[test]
fn a_constant_series_never_alarms_and_its_first_move_does() {
    let mut config = certain();
    config.series = vec![SeriesRule { watch: Some(true), ..SeriesRule::of(Selector::parse("seats").expect("a name")) }];
    let mut world = World::new(config);
    let id = world.intern("seats");
    feed(&mut world, id, 1_000, |_, _| 50.0);
    let (lower, upper) = world.series(id).in_force().expect("asked for, so learned").bounds.at(world.now);
    assert!(lower.is_some_and(|lower| lower < 50.0) && upper.is_some_and(|upper| upper > 50.0), "{lower:?} {upper:?}");
    let tally = world.series(id).tally();
    assert!(tally.judged >= 800 && tally.breached == 0 && tally.alerts == 0, "{tally:?}");
    feed(&mut world, id, 3, |_, _| 60.0);
    assert_eq!((world.series(id).tally().breached, onsets(&world)), (3, 1));
}

#[test]
fn one_wild_reading_among_two_thousand_hardly_moves_bounds_or_alert_level() {
    let learned = |wild: bool| {
        let mut config = certain();
        config.learning.min_data_points = 2_000;
        let mut world = World::new(config);
        let id = world.intern("latency");
        feed(&mut world, id, 2_000, |world, n| {
            let value = 100.0 + world.bell();
            if wild && n == 1_000 { 1e6 } else { value }
        });
        world.cycle();
        let threshold = world.series(id).learned().expect("learned");
        let ((lower, upper), (_, alert)) = (threshold.bounds.at(world.now), threshold.alert.at(world.now));
        [lower.expect("lower"), upper.expect("upper"), alert.expect("alert")]
    };
    let (calm, wild) = (learned(false), learned(true));
    for ((calm, wild), most) in calm.iter().zip(wild).zip([0.2, 0.2, 1.0]) {
        assert!((calm - wild).abs() < most, "{most} sigmas at most: {calm} {wild}");
    }
}

#[test]
fn what_is_not_a_number_is_refused_and_detection_goes_on() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 300);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        world.now = world.now + Span::from_secs(10);
        let observed = world.engine.observe(&[Sample { series: id, at: world.now, value }], world.now);
        assert_eq!(observed.fates.of(Fate::NotFinite), 1);
    }
    world.learn("latency", 400);
    let (lower, upper) = world.series(id).in_force().expect("in force").bounds.at(world.now);
    assert!(lower.is_some_and(f64::is_finite) && upper.is_some_and(f64::is_finite));
    world.events.clear();
    feed(&mut world, id, 3, |_, _| 200.0);
    assert_eq!(onsets(&world), 1);
}

#[test]
fn noise_has_no_trend_wherever_it_lies() {
    for (mean, sigma) in [(-70.0, 1.0), (1.0, 5.0), (0.0, 1.0)] {
        let mut trends = Vec::new();
        for seed in 1..=40 {
            let mut config = certain();
            config.learning.min_data_points = 300;
            let mut world = World::seeded(config, seed);
            let id = world.intern("temperature");
            feed(&mut world, id, 300, |world, _| mean + sigma * world.bell());
            world.cycle();
            trends.push(world.series(id).learned().expect("learned").supporting.trend);
        }
        let stable = trends.iter().filter(|trend| **trend == Trend::Stable).count();
        assert!(stable >= 38, "around {mean}, sigma {sigma}: {stable} of 40 seeds");
    }
    for (slope, wanted) in [(0.02, Trend::Increasing), (-0.02, Trend::Decreasing)] {
        let mut world = World::new(certain());
        world.reconfigure(|config| config.learning.min_data_points = 300);
        let id = world.intern("temperature");
        feed(&mut world, id, 300, |world, n| -70.0 + slope * n as f64 + world.bell());
        world.cycle();
        assert_eq!(world.series(id).learned().expect("learned").supporting.trend, wanted);
    }
}

// --- detection ------------------------------------------------------------------------------------------------------

#[test]
fn what_goes_wrong_is_seen_on_either_side_within_three_samples() {
    type Fault = fn(&mut World) -> f64;
    let faults: [(&str, Fault); 5] = [
        ("a spike", |_| 150.0),
        ("a dip", |_| 50.0),
        ("a shift up", |world| 115.0 + world.bell()),
        ("a shift down", |world| 85.0 + world.bell()),
        ("a flat line at nothing", |_| 0.0),
    ];
    for seed in 1..=5 {
        for (what, fault) in faults {
            let mut world = World::seeded(certain(), seed);
            let id = world.learn("latency", 600);
            world.events.clear();
            let before = world.series(id).tally().breached;
            feed(&mut world, id, 3, |world, _| fault(world));
            assert_eq!(onsets(&world), 1, "{what}, seed {seed}");
            assert_eq!(world.series(id).tally().breached, before + 3, "{what}, seed {seed}");
            assert!(world.series(id).alert_since().is_some());
            feed(&mut world, id, 12, |world, _| 100.0 + 0.5 * world.bell());
            assert!(world.series(id).alert_since().is_none(), "{what} ends, seed {seed}");
        }
    }
}

#[test]
fn ordinary_samples_breach_as_rarely_as_was_promised_and_alert_hardly_ever() {
    let (mut judged, mut breached, mut alerts) = (0, 0, 0);
    for seed in 1..=10 {
        let mut world = World::seeded(certain(), seed);
        let id = world.learn("latency", 500);
        let before = world.series(id).tally();
        world.learn("latency", 1_000);
        let after = world.series(id).tally();
        judged += after.judged - before.judged;
        breached += after.breached - before.breached;
        alerts += after.alerts;
    }
    let share = breached as f64 / judged as f64;
    assert!((0.025..0.075).contains(&share), "{share} where 0.0455 was promised");
    assert!(alerts <= 1, "{alerts} alerts in {judged} ordinary samples");
}

#[test]
fn a_trouble_of_ten_minutes_stays_an_alert_to_its_end() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 600);
    world.events.clear();
    feed(&mut world, id, 60, |world, _| 140.0 + world.bell());
    assert!(world.series(id).alert_since().is_some(), "it is not learned away while it lasts");
    assert_eq!(onsets(&world), 1, "and told once");
    feed(&mut world, id, 12, |world, _| 100.0 + 0.5 * world.bell());
    assert!(world.series(id).alert_since().is_none());
}

// --- settings and loops that do something -----------------------------------------------------------------------------

#[test]
fn the_learning_window_says_what_is_learned_from() {
    let learned = |window: Span| {
        let mut config = certain();
        config.learning.learning_window = window;
        config.learning.optimization_interval = Span::minutes(1);
        let mut world = World::new(config);
        let id = world.intern("latency");
        feed(&mut world, id, 1_000, |world, n| if n < 500 { 50.0 + world.bell() } else { 100.0 + world.bell() });
        world.series(id).learned().expect("learned").supporting.statistics
    };
    let short = learned(Span::minutes(60));
    assert!(short.count <= 361 && short.min > 90.0, "{short:?}");
}

#[test]
fn a_processor_at_99_percent_leaves_healthy_for_critical_within_two_cycles() {
    let mut world = World::new(Config::default());
    assert_eq!(world.cycles_under(EvidenceKind::HostProcessor, 0.99, 2), SystemState::Critical);
    let moved = world.engine.knowledge().transitions().last().expect("recorded");
    assert!(moved.cause.contains("host_processor 0.99"), "{}", moved.cause);
}

#[test]
fn parallelism_sinks_under_pressure_and_rises_again_after_it() {
    let mut world = World::new(Config::default());
    world.cycle();
    let mut seen = vec![world.parameters()[3]];
    for (value, cycles) in [(0.93, 15), (0.2, 80)] {
        for _ in 0..cycles {
            world.cycles_under(EvidenceKind::HostMemory, value, 1);
            seen.push(world.parameters()[3]);
        }
    }
    let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(seen[0] == 4.0 && least < 2.0, "{seen:?}");
    assert_eq!(seen.last(), Some(&4.0), "{seen:?}");
}

#[test]
fn a_verdict_moves_the_sensitivity_the_bounds_and_what_is_a_breach() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 500);
    let (sensitivity, upper) = (world.series(id).sensitivity().get(), world.upper(id));
    let just_outside = upper + 0.05;
    assert!(world.series(id).breaches(world.now, just_outside));
    world.verdict("latency", Verdict::False);
    world.cycle();
    assert!(world.series(id).sensitivity().get() > sensitivity);
    assert!(!world.series(id).breaches(world.now, just_outside), "{upper} {}", world.upper(id));
}

#[test]
fn effectiveness_is_measured_and_no_constant() {
    let share = |better: bool| {
        let mut world = World::new(Config::default());
        let interval = ParameterKind::MonitoringInterval;
        for _ in 0..60 {
            let before = world.factor(interval);
            world.evidence(EvidenceKind::CycleLatency, 0.4);
            world.cycle();
            let longer = world.factor(interval) > before;
            world.evidence(EvidenceKind::CycleLatency, if longer == better { 0.1 } else { 0.28 });
            world.wait(Span::minutes(25));
        }
        world.memory(LoopKind::PerformanceAdaptation).effect.effectiveness().expect("enough pairs")
    };
    let (good, bad) = (share(true), share(false));
    assert!(good > 0.6 && bad < 0.4, "{good} {bad}");
}

// --- states that flap -----------------------------------------------------------------------------------------------

#[test]
fn a_processor_around_a_limit_makes_at_most_two_moves_in_a_thousand_cycles() {
    for seed in 1..=8 {
        // Around the limit at which degraded is entered, and around the one for optimizing, with work always waiting.
        for degraded in [true, false] {
            let mut config = certain();
            if degraded {
                config.states.limits.host_processor.degraded = Limit { enter: 0.60, leave: 0.50 };
                config.states.limits.optimizing_processor_max = Ratio::ZERO;
            }
            config.learning.min_data_points = 10;
            config.learning.window_len = 50;
            config.learning.optimization_interval = Span::from_secs(1);
            let mut world = World::seeded(config, seed);
            let id = world.intern("latency");
            for _ in 0..1_000 {
                let value = 0.60 + 0.03 * (2.0 * world.share() - 1.0);
                world.evidence(EvidenceKind::HostProcessor, value);
                let sample = Sample { series: id, at: world.now, value: 100.0 + world.bell() };
                let _ = world.engine.observe(&[sample], world.now);
                world.cycle();
            }
            let moves = world.engine.knowledge().transitions();
            let causes: Vec<&String> = moves.iter().map(|moved| &moved.cause).collect();
            assert!(moves.total() <= 2, "seed {seed}, degraded {degraded}: {causes:?}");
        }
    }
}

#[test]
fn optimizing_waits_for_a_host_that_has_room() {
    let run = |processor: f64| {
        let mut config = certain();
        config.learning.min_data_points = 10;
        config.learning.window_len = 50;
        config.learning.optimization_interval = Span::from_secs(1);
        let mut world = World::new(config);
        let id = world.intern("latency");
        let (start, mut optimizing) = (world.now, Span::ZERO);
        for _ in 0..300 {
            world.evidence(EvidenceKind::HostProcessor, processor);
            let sample = Sample { series: id, at: world.now, value: 100.0 + world.bell() };
            let _ = world.engine.observe(&[sample], world.now);
            let (before, state) = (world.now, world.state());
            world.cycle();
            if state == SystemState::Optimizing {
                optimizing = optimizing + world.now.since(before);
            }
        }
        optimizing.secs() / world.now.since(start).secs()
    };
    let share = run(0.2);
    assert!((0.3..0.6).contains(&share), "work that never ends has half of the time: {share}");
    for processor in [0.65, 0.8, 0.9, 0.99] {
        assert_eq!(run(processor), 0.0, "{processor}");
    }
}

// --- one who writes and others who read -----------------------------------------------------------------------------

#[test]
fn others_may_listen_from_their_own_threads_while_the_engine_runs() {
    fn moves_between_threads<T: Send>(_: &T) {}
    let mut world = World::new(certain());
    moves_between_threads(&world.engine);
    let subscriptions: Vec<_> =
        (0..4).map(|_| world.engine.subscribe(LoopKind::ResourceOptimization, 10_000)).collect();
    let heard: Vec<usize> = std::thread::scope(|scope| {
        let listeners: Vec<_> = subscriptions
            .iter()
            .map(|subscription| {
                scope.spawn(move || {
                    let mut heard = 0;
                    while heard < 500 {
                        heard += subscription.drain().len();
                    }
                    heard
                })
            })
            .collect();
        world.cycles_under(EvidenceKind::HostProcessor, 0.1, 500);
        listeners.into_iter().map(|listener| listener.join().expect("no listener is harmed")).collect()
    });
    assert_eq!(heard, [500; 4]);
}

/// Adaptive bounds hold 95 % of their own window on each side and the alert's 99 %, whichever strategy was chosen.
#[test]
fn what_was_learned_holds_what_it_should_of_its_own_window() {
    type Shape = fn(&mut World) -> f64;
    let shapes: [(&str, Shape); 4] = [
        ("bell", |world| 100.0 + world.bell()),
        ("mostly zero", |world| if world.share() < 0.8 { 0.0 } else { 3.0 + world.bell().abs() }),
        ("two levels", |world| if world.share() < 0.6 { 10.0 } else { 90.5 } + world.bell()),
        ("long tail", |world| (1.0 - world.share()).powi(-2)),
    ];
    for (shape, value) in shapes {
        for seed in 1..=5 {
            // At one sigma a strategy by itself would hold two thirds.
            let mut config = certain();
            config.learning.sensitivity = Sensitivity::clamped(1.0);
            config.learning.min_data_points = 400;
            let mut world = World::seeded(config, seed);
            let id = world.intern("latency");
            for _ in 0..400 {
                let value = value(&mut world);
                world.sample(id, value);
            }
            world.cycle();
            let threshold = world.series(id).learned().expect("learned");
            let values: Vec<f64> = world.series(id).window().iter().map(|(_, value)| value).collect();
            let share = |inside: &dyn Fn(f64) -> bool| {
                values.iter().filter(|value| inside(**value)).count() as f64 / values.len() as f64
            };
            // The smaller of what lies under the upper bound and over the lower one.
            let held = |(lower, upper): Pair| {
                let (lower, upper) = (lower.expect("a lower bound"), upper.expect("an upper bound"));
                share(&|value| value < upper).min(share(&|value| value > lower))
            };
            let (of_bounds, of_alert) = (held(threshold.bounds.at(world.now)), held(threshold.alert.at(world.now)));
            assert!(of_bounds >= 0.95 && of_alert >= 0.99, "{shape}, seed {seed}: {of_bounds} {of_alert}");
        }
    }
}
