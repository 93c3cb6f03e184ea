//! Forty-five cases that anyone would name first, under their six headings, each briefly. What is said here in one case is
//! watched from all sides in the other files.

mod world;

mod buffer {
    use super::world::{World, certain};
    use homeostat::knowledge::SeriesId;
    use homeostat::stats::{Statistics, Trend};

    fn learned(world: &World, id: SeriesId) -> Statistics {
        world.series(id).learned().expect("learned").supporting.statistics
    }

    /// Learns a series of these values in one cycle.
    fn of(values: &[f64]) -> (World, SeriesId) {
        let mut config = certain();
        config.learning.min_data_points = values.len().max(10);
        config.learning.confidence_min = homeostat::units::Confidence::clamped(0.0);
        let mut world = World::new(config);
        let id = world.intern("latency");
        values.iter().for_each(|value| world.sample(id, *value));
        world.cycle();
        (world, id)
    }

    #[test]
    fn starts_empty_and_takes_the_size_it_was_given() {
        let mut config = certain();
        config.learning.min_data_points = 20;
        config.learning.window_len = 50;
        let mut world = World::new(config);
        let id = world.intern("latency");
        assert!(world.series(id).window().is_empty());
        world.learn("latency", 60);
        assert_eq!(world.series(id).window().len(), 50);
    }

    #[test]
    fn holds_one_point_with_its_time_and_value() {
        let mut world = World::new(certain());
        let id = world.intern("latency");
        world.sample(id, 42.5);
        let window = world.series(id).window();
        assert_eq!(
            (window.len(), window.newest(), window.oldest()),
            (1, Some((world.now, 42.5)), Some((world.now, 42.5)))
        );
    }

    #[test]
    fn holds_many_points_in_their_order() {
        let mut world = World::new(certain());
        let id = world.intern("latency");
        (0..500).for_each(|n| world.sample(id, f64::from(n)));
        let window = world.series(id).window();
        assert!(window.iter().map(|(_, value)| value).eq((0..500).map(f64::from)));
        assert!(window.iter().zip(window.iter().skip(1)).all(|((before, _), (after, _))| before < after));
    }

    #[test]
    fn lets_the_oldest_go_when_it_is_full() {
        let mut config = certain();
        config.learning.window_len = 100;
        let mut world = World::new(config);
        let id = world.intern("latency");
        (0..1_000).for_each(|n| world.sample(id, f64::from(n)));
        let window = world.series(id).window();
        assert_eq!((window.len(), window.oldest().map(|(_, value)| value)), (100, Some(900.0)));
    }

    #[test]
    fn has_exact_statistics() {
        // 1 to 100, shuffled: mean and median 50.5, population deviation sqrt((100² − 1) / 12).
        let values: Vec<f64> = (0..100_u32).map(|n| f64::from(n * 37 % 100 + 1)).collect();
        let (world, id) = of(&values);
        let s = learned(&world, id);
        assert_eq!((s.count, s.min, s.max, s.mean, s.median), (100, 1.0, 100.0, 50.5, 50.5));
        assert!((s.std_dev - (9_999.0_f64 / 12.0).sqrt()).abs() < 1e-12, "{}", s.std_dev);
    }

    #[test]
    fn keeps_what_was_worked_out_and_says_as_of_when() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 150);
        let (before, as_of) = (learned(&world, id), world.series(id).learned_at());
        world.learn("latency", 50);
        assert_eq!((learned(&world, id), world.series(id).learned_at()), (before, as_of), "kept, and dated");
        world.reconfigure(|config| config.learning.optimization_interval = homeostat::time::Span::from_secs(1));
        let after = |world: &World| world.series(id).learned_at() > as_of;
        assert!(!after(&world));
        world.learn("latency", 50);
        assert!(after(&world), "and worked out anew when it is due");
    }

    #[test]
    fn knows_whether_it_goes_up_down_or_nowhere() {
        for (slope, wanted) in [(0.05, Trend::Increasing), (-0.05, Trend::Decreasing), (0.0, Trend::Stable)] {
            let mut noise = World::new(certain());
            let values: Vec<f64> = (0..200).map(|n| 100.0 + slope * f64::from(n) + noise.bell()).collect();
            let (world, id) = of(&values);
            assert_eq!(world.series(id).learned().expect("learned").supporting.trend, wanted);
        }
    }

    #[test]
    fn has_percentiles_that_interpolate() {
        let values: Vec<f64> = (0..100_u32).map(|n| f64::from(n * 37 % 100 + 1)).collect();
        let (world, id) = of(&values);
        let s = learned(&world, id);
        for (measured, wanted) in
            [(s.p25, 25.75), (s.p75, 75.25), (s.p90, 90.1), (s.p95, 95.05), (s.p99, 99.01), (s.iqr, 49.5)]
        {
            assert!((measured - wanted).abs() < 1e-9, "{measured} {wanted}");
        }
    }
}

mod learner {
    use super::world::{World, certain};
    use homeostat::config::Config;
    use homeostat::feedback::Verdict;
    use homeostat::monitor::Fate;
    use homeostat::threshold::Threshold;
    use homeostat::time::Span;
    use homeostat::units::Sensitivity;

    #[test]
    fn starts_with_its_own_settings() {
        let mut config = Config::default();
        config.learning.sensitivity = Sensitivity::clamped(2.5);
        config.learning.strategy = "robust".into();
        let mut world = World::new(config);
        let id = world.learn("latency", 150);
        let threshold = world.series(id).learned().expect("learned");
        assert_eq!((threshold.sensitivity.get(), &*threshold.strategy), (2.5, "robust"));
    }

    #[test]
    fn takes_in_what_it_is_given() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 25);
        assert_eq!((world.series(id).admitted(), world.engine.knowledge().fates().of(Fate::Admitted)), (25, 25));
    }

    #[test]
    fn learns_again_only_after_its_interval() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 150);
        let first = world.series(id).learned_at().expect("learned");
        world.learn("latency", 150);
        assert_eq!(world.series(id).learned_at(), Some(first));
        world.learn("latency", 300);
        let next = world.series(id).learned_at().expect("learned");
        assert!(next.since(first) >= Span::hours(1), "{first} {next}");
    }

    #[test]
    fn says_nothing_from_too_little() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 99);
        world.cycles(5);
        assert!(world.series(id).learned().is_none() && world.series(id).in_force().is_none());
    }

    #[test]
    fn learns_from_a_hundred() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 100);
        world.cycle();
        assert_eq!(world.series(id).learned().map(|threshold| threshold.supporting.statistics.count), Some(100));
    }

    #[test]
    fn recommends_with_value_confidence_strategy_reasoning_and_data() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 200);
        let threshold = world.series(id).learned().expect("learned");
        let (lower, upper) = threshold.bounds.at(world.now);
        let s = &threshold.supporting.statistics;
        assert!(lower.is_some_and(|v| s.min < v && v < s.median) && upper.is_some_and(|v| s.median < v && v < s.max));
        assert!(threshold.confidence.get() > 0.5);
        assert!(
            threshold.reasoning.contains("samples") && threshold.reasoning.ends_with('.'),
            "{}",
            threshold.reasoning
        );
        let own = threshold.rivals.iter().find(|rival| rival.strategy == threshold.strategy);
        assert!(threshold.rivals.len() >= 4 && own.is_some_and(|own| own.loss.is_some()));
    }

    #[test]
    fn finds_anomalies_and_fewer_with_a_larger_sensitivity() {
        let breaches = |sensitivity: f64| {
            let mut config = certain();
            config.learning.sensitivity = Sensitivity::clamped(sensitivity);
            let mut world = World::new(config);
            let id = world.learn("latency", 400);
            world.series(id).breaches_in_last(400)
        };
        let (narrow, ordinary, wide) = (breaches(1.5), breaches(2.0), breaches(2.5));
        assert!(narrow > ordinary && ordinary > wide, "{narrow} {ordinary} {wide}");
    }

    #[test]
    fn learns_several_series_each_by_itself() {
        let mut world = World::new(certain());
        let ids = [("latency", 100.0), ("queue", 5.0), ("temperature", -70.0)].map(|(name, level)| {
            let id = world.intern(name);
            for _ in 0..150 {
                let value = level + world.bell();
                world.sample(id, value);
            }
            (id, level)
        });
        for (id, level) in ids {
            let (lower, upper) = world.series(id).in_force().expect("learned").bounds.at(world.now);
            assert!(lower.is_some_and(|v| (level - 4.0..level - 1.0).contains(&v)), "{level} {lower:?}");
            assert!(upper.is_some_and(|v| (level + 1.0..level + 4.0).contains(&v)), "{level} {upper:?}");
        }
    }

    #[test]
    fn keeps_the_last_hundred_optimizations() {
        let mut world = World::new(certain());
        world.learn("latency", 120);
        for turn in 0..120 {
            world.verdict("latency", if turn % 2 == 0 { Verdict::False } else { Verdict::Missed });
            world.cycle();
        }
        let history = world.engine.knowledge().optimizations();
        assert_eq!(history.len(), 100);
        assert!(history.total() > 100);
        assert!(history.iter().zip(history.iter().skip(1)).all(|(before, after)| before.at <= after.at));
    }

    #[test]
    fn exports_what_it_learned_and_counts_what_it_knows() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 300);
        world.learn("young", 20);
        let threshold = world.series(id).learned().expect("learned");
        let text = serde_json::to_string(threshold).expect("a threshold is JSON");
        assert_eq!(&serde_json::from_str::<Threshold>(&text).expect("and comes back"), threshold);

        let knowledge = world.engine.knowledge();
        let enough = knowledge.series().filter(|series| series.window().len() >= 100).count();
        let active = knowledge.series().filter(|series| series.active()).count();
        assert_eq!((knowledge.series_count(), enough, active), (2, 1, 1));
        assert_eq!(knowledge.series().map(|series| series.admitted()).sum::<u64>(), 320);
        let tally = world.series(id).tally();
        assert!(tally.judged >= 190 && tally.breached > 0 && tally.breached < tally.judged / 5, "{tally:?}");
        assert!(knowledge.optimizations().total() >= 1);
    }
}

mod dynamic_optimizer {
    use super::world::{World, certain, numbers};
    use homeostat::plan::state::{EvidenceKind, SystemState};
    use homeostat::time::Span;

    #[test]
    fn starts_healthy_with_the_healthy_row() {
        let world = World::new(certain());
        assert_eq!(world.state(), SystemState::Healthy);
        assert_eq!(world.parameters(), numbers(&world.engine.knowledge().row()));
    }

    #[test]
    fn finds_the_state_from_what_is_measured() {
        for (value, cycles, wanted) in
            [(0.3, 5, SystemState::Healthy), (0.9, 3, SystemState::Degraded), (0.99, 2, SystemState::Critical)]
        {
            let mut world = World::new(certain());
            assert_eq!(world.cycles_under(EvidenceKind::HostProcessor, value, cycles), wanted, "{value}");
        }
    }

    #[test]
    fn works_with_the_healthy_row() {
        let mut world = World::new(certain());
        world.cycles_under(EvidenceKind::HostProcessor, 0.3, 3);
        assert_eq!(world.parameters(), [60.0, 100.0, 300.0, 4.0, 0.10]);
    }

    #[test]
    fn works_with_the_critical_row() {
        let mut world = World::new(certain());
        world.cycles_under(EvidenceKind::CycleLatency, 1.2, 2);
        assert_eq!(world.state(), SystemState::Critical);
        let [interval, depth, _, parallelism, rate] = world.parameters();
        assert_eq!((interval, depth, parallelism, rate), (10.0, 20.0, 1.0, 0.05));
    }

    #[test]
    fn records_its_transitions_with_time_cause_and_evidence() {
        let mut world = World::new(certain());
        world.cycles_under(EvidenceKind::HostProcessor, 0.99, 2);
        let at = world.now;
        world.cycles_under(EvidenceKind::HostProcessor, 0.1, 60);
        let moves: Vec<_> = world.engine.knowledge().transitions().iter().collect();
        let way: Vec<_> = moves.iter().map(|moved| (moved.from, moved.to)).collect();
        use SystemState::{Critical, Healthy, Recovering};
        assert_eq!(way, [(Healthy, Critical), (Critical, Recovering), (Recovering, Healthy)]);
        assert_eq!((moves[0].at, moves[0].evidence.get(EvidenceKind::HostProcessor)), (at, Some(0.99)));
        assert!(moves.iter().all(|moved| !moved.cause.is_empty()));
    }

    #[test]
    fn counts_its_transitions_and_keeps_five_hundred() {
        let mut world = World::new(certain());
        for turn in 0..600 {
            let state = if turn % 2 == 0 { SystemState::Degraded } else { SystemState::Healthy };
            let _ = world.engine.force(state, Span::minutes(1), world.now);
        }
        let moves = world.engine.knowledge().transitions();
        assert_eq!((moves.len(), moves.total()), (500, 600));
        let in_degraded = moves.iter().filter(|moved| moved.to == SystemState::Degraded).count();
        assert_eq!(in_degraded, 250);
    }
}

mod feedback {
    use super::world::{World, certain};
    use homeostat::event::Event;
    use homeostat::execute::Verification;
    use homeostat::feedback::effect::Reading;
    use homeostat::feedback::{LoopKind, ParameterKind, Verdict};
    use homeostat::plan::state::EvidenceKind;

    #[test]
    fn starts_with_five_loops_that_heard_nothing() {
        let world = World::new(certain());
        for of in LoopKind::ALL {
            let memory = world.memory(of);
            assert_eq!((memory.signals, memory.actions, memory.withheld, memory.paused), (0, 0, 0, false));
            assert_eq!(memory.effect.reading(), Reading::Unknown);
        }
    }

    #[test]
    fn calls_back_whoever_subscribed_to_a_loop() {
        let mut world = World::new(certain());
        let subscriptions = LoopKind::ALL.map(|of| (of, world.engine.subscribe(of, 100)));
        world.learn("latency", 101);
        world.evidence(EvidenceKind::CycleLatency, 0.4);
        world.evidence(EvidenceKind::HostMemory, 0.4);
        world.verdict("latency", Verdict::False);
        world.outcome(Verification::Met, "sigma");
        for (of, subscription) in subscriptions {
            let news = subscription.drain();
            let signals = news.iter().filter(|event| matches!(event, Event::Signalled { signal } if signal.of == of));
            assert!(signals.count() >= 1, "{}", of.as_str());
        }
    }

    #[test]
    fn hears_what_came_of_a_threshold() {
        let mut world = World::new(certain());
        world.learn("latency", 250);
        let signals = world.engine.knowledge().signals();
        let heard = signals.iter().find(|signal| signal.of == LoopKind::MetricsLearning).expect("heard");
        assert_eq!((heard.value, heard.series.as_ref().map(|name| name.as_str())), (1.0, Some("latency")));
    }

    #[test]
    fn acts_on_degraded_performance() {
        let mut world = World::new(certain());
        world.cycles_under(EvidenceKind::CycleLatency, 0.45, 3);
        assert!(world.factor(ParameterKind::MonitoringInterval) > 1.2 && world.parameters()[0] > 60.0);
    }

    #[test]
    fn acts_on_the_quality_of_decisions() {
        let mut world = World::new(certain());
        (0..20).for_each(|n| world.outcome(if n < 13 { Verification::Met } else { Verification::Failed }, "sigma"));
        world.cycles(2);
        assert!(world.factor(ParameterKind::LearningRate) < 1.0);
        assert!(world.engine.knowledge().preference("sigma") > 1.0);
    }

    #[test]
    fn acts_on_what_people_say_of_anomalies() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 150);
        for (verdict, moves) in [(Verdict::False, 1.0), (Verdict::Missed, -1.0)] {
            let before = world.series(id).sensitivity().get();
            world.verdict("latency", verdict);
            world.cycle();
            assert!((world.series(id).sensitivity().get() - before) * moves > 0.0, "{verdict:?}");
        }
    }

    #[test]
    fn acts_on_how_much_of_its_resources_is_used() {
        let mut world = World::new(certain());
        world.cycle();
        let before = world.parameters();
        world.cycles_under(EvidenceKind::OwnMemory, 0.93, 10);
        assert!(world.parameters()[3] < before[3] && world.parameters()[1] < before[1]);
        assert!(world.memory(LoopKind::ResourceOptimization).actions > 0);
    }

    #[test]
    fn keeps_its_signals_to_be_asked_for_by_loop() {
        let mut world = World::new(certain());
        for n in 0..10 {
            world.evidence(EvidenceKind::CycleLatency, f64::from(n) / 100.0);
            world.evidence(EvidenceKind::HostProcessor, 0.1);
        }
        let signals = world.engine.knowledge().signals();
        let performance = signals.iter().rev().filter(|signal| signal.of == LoopKind::PerformanceAdaptation);
        assert_eq!(performance.map(|signal| signal.value).take(2).collect::<Vec<_>>(), [0.09, 0.08]);
    }

    #[test]
    fn keeps_its_actions_to_be_asked_for_by_loop() {
        let mut world = World::new(certain());
        world.learn("latency", 150);
        let cause = world.verdict("latency", Verdict::False);
        world.cycles_under(EvidenceKind::CycleLatency, 0.45, 1);
        let actions = world.engine.knowledge().actions();
        let by_people: Vec<_> = actions.iter().filter(|action| action.of == LoopKind::AnomalyFeedback).collect();
        assert_eq!((by_people.len(), by_people[0].adjustment.cause), (1, cause));
        assert!(by_people[0].adjustment.from == 2.0 && by_people[0].adjustment.to > 2.0);
        assert!(actions.iter().any(|action| action.of == LoopKind::PerformanceAdaptation));
    }

    #[test]
    fn has_numbers_for_each_loop() {
        let mut world = World::new(certain());
        world.cycles_under(EvidenceKind::CycleLatency, 0.45, 4);
        let memory = world.memory(LoopKind::PerformanceAdaptation);
        assert_eq!((memory.signals, memory.actions, memory.withheld), (4, 8, 0));
        assert_eq!(world.memory(LoopKind::ResourceOptimization).signals, 0);
    }

    #[test]
    fn has_numbers_for_all_loops_together() {
        let mut world = World::new(certain());
        world.learn("latency", 150);
        world.verdict("latency", Verdict::True);
        world.cycles_under(EvidenceKind::CycleLatency, 0.45, 4);
        let knowledge = world.engine.knowledge();
        let sum = |of: fn(&homeostat::knowledge::LoopMemory) -> u64| {
            LoopKind::ALL.iter().map(|kind| of(knowledge.loop_memory(*kind))).sum::<u64>()
        };
        assert_eq!(
            (sum(|memory| memory.signals), sum(|memory| memory.actions)),
            (knowledge.signals().total(), knowledge.actions().total())
        );
        assert!(sum(|memory| memory.signals) >= 5);
    }
}

mod integration {
    use super::world::{World, certain};
    use homeostat::event::Event;
    use homeostat::feedback::{LoopKind, Verdict};
    use homeostat::plan::state::{EvidenceKind, SystemState};
    use homeostat::time::Span;
    use std::collections::BTreeSet;

    #[test]
    fn work_for_the_learner_raises_the_optimizer() {
        let mut world = World::new(certain());
        world.learn("latency", 100);
        world.cycles_under(EvidenceKind::HostProcessor, 0.2, 1);
        let moves = world.engine.knowledge().transitions();
        let to: Vec<_> = moves.iter().map(|moved| moved.to).collect();
        assert!(to.contains(&SystemState::Optimizing), "{to:?}");
        world.cycles_under(EvidenceKind::HostProcessor, 0.2, 20);
        assert_eq!(world.state(), SystemState::Healthy, "and it comes back when the work is done");
    }

    #[test]
    fn one_cycle_uses_every_part() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 250);
        world.verdict("latency", Verdict::False);
        world.evidence(EvidenceKind::CycleLatency, 0.45);
        let _ = world.engine.force(SystemState::Degraded, Span::minutes(5), world.now);
        let cycles = world.engine.knowledge().cycles();
        world.events.clear();
        world.cycle();
        let kinds: BTreeSet<&str> = world.events.iter().map(Event::kind).collect();
        for kind in ["threshold_learned", "change_dispatched", "adjusted", "cycle_completed"] {
            assert!(kinds.contains(kind), "{kind}: {kinds:?}");
        }
        assert_eq!(world.engine.knowledge().cycles(), cycles + 1);
        assert!(world.series(id).active() && world.parameters()[4] == 0.2);
    }

    #[test]
    fn subscribers_hear_of_a_whole_cycle_in_order() {
        let mut world = World::new(certain());
        let subscription = world.engine.subscribe(LoopKind::AnomalyFeedback, 100);
        world.learn("latency", 150);
        world.verdict("latency", Verdict::False);
        world.cycle();
        let kinds: Vec<&str> = subscription.drain().iter().map(Event::kind).collect();
        assert_eq!(kinds, ["signalled", "adjusted"]);
    }

    #[test]
    fn the_loop_runs_on_for_a_day() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 8_640);
        let knowledge = world.engine.knowledge();
        assert!(knowledge.cycles() >= 1_400, "one a minute: {}", knowledge.cycles());
        assert_eq!(knowledge.last_cycle().max(world.now), world.now);
        assert_eq!(world.state(), SystemState::Healthy);
        let share = world.series(id).tally().breached as f64 / world.series(id).tally().judged as f64;
        assert!((0.02..0.09).contains(&share), "{share}");
    }
}

mod edge_cases {
    use super::world::{World, certain};
    use homeostat::knowledge::SeriesId;
    use homeostat::monitor::{Fate, Sample};
    use homeostat::plan::state::{EvidenceKind, SystemState};
    use homeostat::time::Span;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_at_all() {
        let mut world = World::new(certain());
        world.cycles(100);
        let knowledge = world.engine.knowledge();
        assert_eq!((knowledge.cycles(), knowledge.series_count(), knowledge.transitions().total()), (100, 0, 0));
        assert_eq!(world.engine.observe(&[], world.now).fates.total(), 0);
    }

    #[test]
    fn a_single_value() {
        let mut world = World::new(certain());
        let id = world.intern("latency");
        world.sample(id, 42.0);
        world.cycles(10);
        assert!(world.series(id).learned().is_none());
        assert_eq!((world.series(id).tally().judged, world.series(id).window().len()), (0, 1));
    }

    #[test]
    fn what_is_not_a_number() {
        let mut world = World::new(certain());
        let id = world.learn("latency", 150);
        let before = world.series(id).window().clone();
        for value in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            world.sample(id, value);
        }
        assert_eq!(world.series(id).fates().of(Fate::NotFinite), 4);
        assert_eq!(*world.series(id).window(), before);
    }

    #[test]
    fn no_variance_at_all() {
        let mut world = World::new(certain());
        let id = world.intern("latency");
        (0..100).for_each(|n| world.sample(id, if n == 0 { 51.0 } else { 50.0 }));
        (0..200).for_each(|_| world.sample(id, 50.0));
        let (lower, upper) = world.series(id).in_force().expect("learned").bounds.at(world.now);
        assert!(lower.is_none_or(|v| v < 50.0) && upper.is_none_or(|v| v > 50.0), "{lower:?} {upper:?}");
        let tally = world.series(id).tally();
        assert!(tally.judged > 100 && tally.breached == 0, "{tally:?}");
    }

    /// A new series with enough samples to be learned.
    fn ripe(world: &mut World) -> SeriesId {
        let id = world.intern(&format!("series_{}", world.engine.knowledge().series_count()));
        let history: Vec<_> =
            (0..120_u64).map(|n| (world.now + Span::from_millis(n), 100.0 + (n * 7 % 11) as f64 + 0.5)).collect();
        let _ = world.engine.backfill(id, &history, world.now);
        id
    }

    #[test]
    fn every_legal_move_of_the_machine() {
        use SystemState::{Critical, Degraded, Healthy, Optimizing, Recovering};
        let mut seen = BTreeSet::new();
        // The processor's share in use until the state is reached; each way from a fresh start.
        let ways: [&[(f64, SystemState)]; 5] = [
            &[(0.9, Degraded), (0.1, Recovering), (0.1, Healthy)],
            &[(0.99, Critical), (0.1, Recovering), (0.9, Degraded), (0.99, Critical)],
            &[(0.9, Degraded), (0.1, Recovering), (0.99, Critical)],
            &[(0.2, Optimizing), (0.2, Healthy)],
            &[(0.2, Optimizing), (0.9, Degraded)],
        ];
        let to_critical: &[(f64, SystemState)] = &[(0.2, Optimizing), (0.99, Critical)];
        for way in ways.into_iter().chain([to_critical]) {
            let mut world = World::new(certain());
            for (processor, wanted) in way {
                let mut cycles = 0;
                while world.state() != *wanted {
                    if *wanted == Optimizing || world.state() == Optimizing && *wanted != Healthy {
                        ripe(&mut world);
                    }
                    world.cycles_under(EvidenceKind::HostProcessor, *processor, 1);
                    cycles += 1;
                    assert!(cycles < 200, "{wanted} is reached by {processor}");
                }
            }
            seen.extend(world.engine.knowledge().transitions().iter().map(|moved| (moved.from, moved.to)));
        }
        let legal: BTreeSet<_> = [
            (Healthy, Optimizing),
            (Healthy, Degraded),
            (Healthy, Critical),
            (Optimizing, Healthy),
            (Optimizing, Degraded),
            (Optimizing, Critical),
            (Degraded, Critical),
            (Degraded, Recovering),
            (Critical, Recovering),
            (Recovering, Healthy),
            (Recovering, Degraded),
            (Recovering, Critical),
        ]
        .into();
        assert_eq!(seen, legal);
    }

    #[test]
    fn all_limits_at_once() {
        let mut config = certain();
        config.learning.min_data_points = 20;
        config.learning.window_len = 20;
        config.limits.series_max = 10;
        config.feedback.signal_history = 5;
        config.feedback.action_history = 5;
        config.execution.changes_per_hour = 1;
        let mut world = World::new(config);
        let ids: Vec<SeriesId> = (0..10).map(|_| ripe(&mut world)).collect();
        assert!(world.engine.intern(&super::world::name("one_too_many"), None, world.now).is_err());
        for _ in 0..30 {
            for kind in [
                EvidenceKind::CycleLatency,
                EvidenceKind::OwnMemory,
                EvidenceKind::HostProcessor,
                EvidenceKind::HostMemory,
            ] {
                world.evidence(kind, 0.99);
            }
            for id in &ids {
                let sample = Sample { series: *id, at: world.now, value: 1e308 };
                let _ = world.engine.observe(&[sample], world.now);
            }
            world.cycle();
        }
        let knowledge = world.engine.knowledge();
        assert_eq!(world.state(), SystemState::Critical);
        assert_eq!((knowledge.series_count(), knowledge.signals().len()), (10, 5));
        assert!(knowledge.actions().len() <= 5);
        assert!(ids.iter().all(|id| world.series(*id).window().len() == 20));
        let (_, refused_series, refused_changes) = knowledge.losses();
        assert!(refused_series == 1 && refused_changes > 0, "{refused_series} {refused_changes}");
        let bounds =
            knowledge.series().filter_map(|series| series.in_force()).map(|threshold| threshold.bounds.at(world.now));
        for (lower, upper) in bounds {
            assert!(lower.is_none_or(f64::is_finite) && upper.is_none_or(f64::is_finite), "{lower:?} {upper:?}");
        }
    }
}
