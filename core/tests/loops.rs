//! The five feedback loops on a running engine: what they hear, what they change, what that does, and what brings it back.

mod world;

use homeostat::config::Config;
use homeostat::event::Event;
use homeostat::execute::{Knob, Outcome, Verification};
use homeostat::feedback::effect::Reading;
use homeostat::feedback::{Adjustment, LoopKind, ParameterKind, Target, Verdict};
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::threshold::Threshold;
use homeostat::time::Span;
use homeostat::units::Ratio;
use world::{World, certain, name};

const LATENCY: EvidenceKind = EvidenceKind::CycleLatency;
const INTERVAL: ParameterKind = ParameterKind::MonitoringInterval;

/// Adjustments of a loop that took effect, in order.
fn adjusted(events: &[Event], of: LoopKind) -> Vec<Adjustment> {
    let adjustment = |event: &Event| match event {
        Event::Adjusted { by, adjustment, .. } if *by == of => Some(adjustment.clone()),
        _ => None,
    };
    events.iter().filter_map(adjustment).collect()
}

fn withheld(events: &[Event], of: LoopKind) -> usize {
    events.iter().filter(|event| matches!(event, Event::Withheld { by, .. } if *by == of)).count()
}

// --- metrics learning -----------------------------------------------------------------------------------------------

#[test]
fn a_threshold_that_did_not_hold_costs_trust_and_trust_comes_back() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 101);
    assert!(world.series(id).active(), "learned at a hundred");
    assert_eq!(world.series(id).trust(world.now), 1.0);

    // The series moves far away before the claim of its first threshold is looked at: all samples breach.
    for _ in 0..60 {
        let value = 200.0 + world.bell();
        world.sample(id, value);
    }
    let lost = world.series(id).trust(world.now);
    assert!((0.25..1.0).contains(&lost), "{lost}");
    let first = &adjusted(&world.events, LoopKind::MetricsLearning)[0];
    assert_eq!(first.target, Target::Trust(name("latency")));
    assert!(first.to < first.from && !first.explicit && first.reason.contains("latency"), "{first:?}");
    let signals = world.engine.knowledge().signals();
    let heard = signals.iter().find(|signal| signal.id == first.cause).expect("the signal that caused it is kept");
    assert_eq!((heard.of, heard.value), (LoopKind::MetricsLearning, 0.0));

    // Half a day at the new level: trust is back, and the bounds in force hold what they should.
    for _ in 0..12 * 360 {
        let value = 200.0 + world.bell();
        world.sample(id, value);
    }
    let back = world.series(id).trust(world.now);
    assert!(back > 0.95 && back > lost, "{back}");
    assert!(world.series(id).breaches_in_last(200) < 30, "{}", world.series(id).breaches_in_last(200));
}

#[test]
fn a_loss_of_trust_lowers_the_confidence_of_the_next_threshold() {
    // The same samples twice: once all that was claimed came true, once nothing.
    let confidence = |trusting: bool| {
        let mut world = World::new(certain());
        let id = world.learn("latency", 101);
        for _ in 0..10 {
            let outcome = Outcome {
                change: 0,
                at: world.now,
                knob: Knob::Threshold(name("latency")),
                by: None,
                strategy: None,
                verification: if trusting { Verification::Met } else { Verification::Failed },
                measured: None,
            };
            let _ = world.engine.settle(outcome, world.now);
            world.cycle();
        }
        world.learn("latency", 30);
        (world.series(id).learned().expect("learned").confidence.get(), world.series(id).trust(world.now))
    };
    let ((trusted, full), (doubted, part)) = (confidence(true), confidence(false));
    assert!(full == 1.0 && part < 0.6, "{full} {part}");
    assert!(doubted < 0.8 * trusted, "{doubted} {trusted}");
}

// --- performance adaptation -----------------------------------------------------------------------------------------

#[test]
fn a_loop_that_takes_long_gets_a_longer_interval_and_a_short_one_gets_it_back() {
    let mut world = World::new(certain());
    world.cycle();
    let before = world.parameters();
    world.cycles_under(LATENCY, 0.45, 10);
    let loaded = world.parameters();
    assert!(loaded[0] > 1.3 * before[0] && loaded[2] > before[2], "{before:?} {loaded:?}");
    assert_eq!(world.engine.next_cycle().since(world.engine.knowledge().last_cycle()).secs(), loaded[0]);
    assert_eq!(world.state(), SystemState::Healthy, "no state moved it");
    assert!(world.factor(INTERVAL) <= 2.0);

    // Between much and little nothing is asked for.
    let actions = world.memory(LoopKind::PerformanceAdaptation).actions;
    world.cycles_under(LATENCY, 0.2, 5);
    assert_eq!(world.memory(LoopKind::PerformanceAdaptation).actions, actions);

    world.wait(Span::hours(1));
    world.cycles_under(LATENCY, 0.01, 30);
    assert_eq!(world.factor(INTERVAL), 1.0, "taken back by the loop, not only by time");
    assert!(world.memory(LoopKind::PerformanceAdaptation).actions > actions);
    world.wait(Span::hours(2));
    assert_eq!(world.parameters(), before);
}

#[test]
fn what_the_performance_loop_did_fades_when_no_news_come() {
    let mut world = World::new(certain());
    world.cycles_under(LATENCY, 0.45, 10);
    let raised = world.factor(INTERVAL) - 1.0;
    world.wait(Span::hours(1));
    let left = world.factor(INTERVAL) - 1.0;
    assert!((left / raised - 0.5).abs() < 0.05, "{raised} {left}");
    world.wait(Span::hours(11));
    assert_eq!(world.factor(INTERVAL), 1.0);
    assert_eq!(world.parameters()[0], 60.0);
}

// --- decision quality -----------------------------------------------------------------------------------------------

#[test]
fn decisions_that_fail_make_steps_smaller_and_good_ones_make_them_whole_again() {
    let mut config = certain();
    config.execution.changes_per_hour = 3_600;
    let mut world = World::new(config);
    world.cycle();
    // 65 in 100 came true: too few for full steps, enough to stay healthy.
    for turn in 0..100 {
        world.outcome(if turn % 20 < 13 { Verification::Met } else { Verification::Failed }, "elsewhere's");
    }
    world.cycles(10);
    assert_eq!(world.state(), SystemState::Healthy);
    let rate = world.parameters()[4];
    assert!(world.factor(ParameterKind::LearningRate) < 1.0 && rate < 0.1, "{rate}");

    // A verdict now moves less than it did.
    let id = world.learn("latency", 150);
    let before = world.series(id).sensitivity().get();
    let rate = world.parameters()[4];
    world.verdict("latency", Verdict::False);
    world.cycle();
    let step = world.series(id).sensitivity().get() - before;
    assert!(rate < 0.1 && (step - before * rate).abs() < 1e-9 && step < 0.2, "{step} {rate}");

    for _ in 0..100 {
        world.outcome(Verification::Met, "elsewhere's");
    }
    for _ in 0..40 {
        world.outcome(Verification::Met, "elsewhere's");
        world.cycle();
    }
    let rose = |adjustment: &Adjustment| {
        adjustment.target == Target::Factor(ParameterKind::LearningRate) && adjustment.to > adjustment.from
    };
    assert!(adjusted(&world.events, LoopKind::DecisionQuality).iter().any(rose), "the loop itself brought it back");
    assert_eq!(world.factor(ParameterKind::LearningRate), 1.0);
    world.cycles(10);
    assert!((world.parameters()[4] - 0.1).abs() < 1e-9, "{:?}", world.parameters());
}

/// A series learned anew after 40 cycles in which thresholds of one strategy, if any, did not hold: what was chosen, and
/// the world. The samples are the same whatever failed, and enough else came true that the state stays.
fn chosen_after_failures_of(avoided: Option<&str>) -> (Threshold, World) {
    let mut config = certain();
    config.execution.changes_per_hour = 3_600;
    let mut world = World::new(config);
    let id = world.learn("latency", 400);
    for _ in 0..40 {
        (0..4).for_each(|_| world.outcome(Verification::Met, "elsewhere's"));
        world.outcome(
            if avoided.is_some() { Verification::Failed } else { Verification::Met },
            avoided.unwrap_or("none"),
        );
        world.cycle();
    }
    world.learn("latency", 400);
    (world.series(id).learned().expect("learned").clone(), world)
}

#[test]
fn a_strategy_whose_thresholds_fail_is_not_chosen_and_is_forgiven_when_they_hold() {
    let loss = |threshold: &Threshold, strategy: &str| {
        threshold.rivals.iter().find(|rival| rival.strategy == strategy).and_then(|rival| rival.loss).expect("measured")
    };
    let least =
        |threshold: &Threshold| threshold.rivals.iter().filter_map(|rival| rival.loss).fold(f64::INFINITY, f64::min);
    let (best, _) = chosen_after_failures_of(None);
    assert_eq!(loss(&best, &best.strategy), least(&best), "by merit alone");

    let (threshold, mut world) = chosen_after_failures_of(Some(&best.strategy));
    let avoided = world.engine.knowledge().preference(&best.strategy);
    assert!((1.3..=2.0).contains(&avoided), "{avoided}");
    assert_eq!(loss(&threshold, &best.strategy), least(&threshold), "it would have cost least");
    assert_ne!(threshold.strategy, best.strategy, "{:?}", threshold.rivals);

    for _ in 0..200 {
        world.outcome(Verification::Met, &best.strategy);
        world.cycle();
    }
    assert_eq!(world.engine.knowledge().preference(&best.strategy), 1.0);
    let id = world.learn("latency", 400);
    let threshold = world.series(id).learned().expect("learned");
    assert_eq!(loss(threshold, &threshold.strategy), least(threshold), "by merit alone again");
}

// --- anomaly feedback -----------------------------------------------------------------------------------------------

#[test]
fn a_verdict_moves_the_sensitivity_its_siblings_by_half_and_history_is_judged_again() {
    let mut world = World::new(Config::default());
    let (judged, sibling, other) = (r#"latency{host="a"}"#, r#"latency{host="b"}"#, "queue");
    let ids = [judged, sibling, other].map(|name| world.learn(name, 300));
    let sensitivity = |world: &World| ids.map(|id| world.series(id).sensitivity().get());
    assert_eq!(sensitivity(&world), [2.0; 3]);
    let breaches = world.series(ids[0]).breaches_in_last(300);

    world.verdict(judged, Verdict::False);
    world.cycle();
    let [at, near, far] = sensitivity(&world);
    assert!(at > 2.0 && ((near - 2.0) / (at - 2.0) - 0.5).abs() < 1e-9 && far == 2.0, "{at} {near} {far}");
    assert!(world.series(ids[0]).in_force().is_some_and(|threshold| threshold.sensitivity.get() == at));
    let fewer = world.series(ids[0]).breaches_in_last(300);
    assert!(fewer < breaches, "{fewer} {breaches}");

    // A sibling that was judged itself leans less on the word about another.
    world.verdict(sibling, Verdict::False);
    world.cycle();
    let [leaned, own, _] = sensitivity(&world);
    assert!(leaned - at < 0.5 * (own - near), "{leaned} {at} {own} {near}");

    world.verdict(judged, Verdict::Missed);
    world.cycle();
    assert!(sensitivity(&world)[0] < leaned);
    assert!(world.series(ids[0]).breaches_in_last(300) > fewer);
}

#[test]
fn true_verdicts_bring_the_sensitivity_back_to_where_it_started() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    for _ in 0..3 {
        world.verdict("latency", Verdict::False);
        world.cycle();
    }
    let high = world.series(id).sensitivity().get();
    world.verdict("latency", Verdict::True);
    world.cycle();
    let lower = world.series(id).sensitivity().get();
    assert!(2.0 < lower && lower < high, "{lower} {high}");
    for _ in 0..60 {
        world.verdict("latency", Verdict::True);
        world.cycle();
    }
    assert!((world.series(id).sensitivity().get() - 2.0).abs() < 0.1, "{}", world.series(id).sensitivity());
}

#[test]
fn no_number_of_verdicts_carries_a_sensitivity_beyond_its_ends() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 200);
    for (verdict, end) in [(Verdict::False, 6.0), (Verdict::Missed, 1.0)] {
        for _ in 0..60 {
            world.verdict("latency", verdict);
            world.cycle();
            // However wide it went, the bounds that judge went with it.
            let (stands, judging) = (world.series(id).sensitivity(), world.series(id).in_force());
            let follows = judging.is_some_and(|threshold| threshold.sensitivity == stands);
            assert!(follows || verdict == Verdict::Missed, "{stands} {judging:?}");
        }
        assert_eq!(world.series(id).sensitivity().get(), end, "{verdict:?}");
    }
}

#[test]
fn a_persons_word_is_neither_withheld_nor_held_back() {
    let mut config = Config::default();
    config.feedback.withhold = Ratio::clamped(0.5);
    config.execution.changes_per_hour = 1;
    let mut world = World::new(config);
    world.learn("latency", 200);
    for turn in 0..50 {
        world.verdict("latency", if turn % 2 == 0 { Verdict::False } else { Verdict::Missed });
        world.cycle();
    }
    let memory = world.memory(LoopKind::AnomalyFeedback);
    assert_eq!((memory.signals, memory.actions, memory.withheld), (50, 50, 0));
    assert!(adjusted(&world.events, LoopKind::AnomalyFeedback).iter().all(|adjustment| adjustment.explicit));
}

// --- resource optimization ------------------------------------------------------------------------------------------

#[test]
fn pressure_lowers_parallelism_and_depth_and_its_end_raises_both_again() {
    let mut world = World::new(certain());
    world.cycle();
    let before = world.parameters();
    world.cycles_under(EvidenceKind::HostMemory, 0.93, 12);
    let row = world::numbers(&world.engine.knowledge().row());
    let pressed = world.parameters();
    assert!(pressed[3] < row[3] && pressed[1] < row[1], "under the row of the state: {row:?} {pressed:?}");
    for parameter in [ParameterKind::ExecutionParallelism, ParameterKind::AnalysisDepth] {
        assert!((0.5..1.0).contains(&world.factor(parameter)), "{parameter:?} {}", world.factor(parameter));
    }
    world.cycles_under(EvidenceKind::HostMemory, 0.3, 60);
    assert_eq!(world.state(), SystemState::Healthy);
    assert_eq!(world.parameters(), before);
    let (sank, rose): (Vec<_>, Vec<_>) = adjusted(&world.events, LoopKind::ResourceOptimization)
        .into_iter()
        .filter(|adjustment| adjustment.target == Target::Factor(ParameterKind::ExecutionParallelism))
        .partition(|adjustment| adjustment.to < adjustment.from);
    assert!(!sank.is_empty() && !rose.is_empty(), "{sank:?} {rose:?}");
    // What is kept of it is where the parameter stands, not the factor alone; no such step was too small to be felt.
    let of = Target::Factor(ParameterKind::ExecutionParallelism);
    let actions = world.engine.knowledge().actions().iter().filter(|action| action.adjustment.target == of);
    let stands: Vec<(f64, f64)> = actions.map(|action| action.stands.expect("a parameter's")).collect();
    assert_eq!(stands.len(), sank.len() + rose.len());
    assert!(stands.iter().all(|(old, new)| old != new && old.fract() == 0.0 && *new >= 1.0), "{stands:?}");
    assert!(stands[0].0 > stands[0].1 && stands.iter().any(|(old, new)| old < new), "{stands:?}");
}

#[test]
fn without_pressure_the_resource_loop_asks_for_nothing() {
    let mut world = World::new(certain());
    for value in [0.1, 0.3, 0.5, 0.6, 0.4] {
        for kind in [EvidenceKind::HostProcessor, EvidenceKind::HostMemory, EvidenceKind::OwnMemory] {
            world.evidence(kind, value);
        }
        world.cycles(3);
    }
    let memory = world.memory(LoopKind::ResourceOptimization);
    assert_eq!((memory.signals, memory.actions, memory.withheld), (15, 0, 0));
}

// --- withheld controls and measured effect --------------------------------------------------------------------------

/// Rounds in which the performance loop hears of a cycle that takes 0.4 of its interval, acts or is withheld, and later
/// hears what became of it: `after(longer, chance)`, where `longer` counts the factors that the round raised.
fn rounds(world: &mut World, count: usize, after: impl Fn(usize, f64) -> f64) {
    for _ in 0..count {
        let factors = |world: &World| [INTERVAL, ParameterKind::PlanningLookahead].map(|kind| world.factor(kind));
        let before = factors(world);
        world.evidence(LATENCY, 0.4);
        world.cycle();
        let longer = before.iter().zip(factors(world)).filter(|(before, after)| after > *before).count();
        let chance = world.share();
        // Neither so much nor so little that the loop would act again.
        world.evidence(LATENCY, after(longer, chance).clamp(0.1, 0.29));
        world.wait(Span::minutes(25));
    }
}

const PERFORMANCE: LoopKind = LoopKind::PerformanceAdaptation;

#[test]
fn one_adjustment_in_five_is_withheld_by_a_seed_and_on_record() {
    let run = |seed: u64| {
        let mut config = Config::default();
        config.feedback.seed = seed;
        let mut world = World::new(config);
        rounds(&mut world, 150, |_, _| 0.2);
        let held = withheld(&world.events, PERFORMANCE);
        let memory = world.memory(PERFORMANCE);
        assert_eq!((memory.withheld, memory.actions), (held as u64, adjusted(&world.events, PERFORMANCE).len() as u64));
        let which: Vec<bool> = world
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Withheld { by: PERFORMANCE, .. } => Some(true),
                Event::Adjusted { by: PERFORMANCE, .. } => Some(false),
                _ => None,
            })
            .collect();
        (held as f64 / which.len() as f64, which)
    };
    for seed in 1..=3 {
        let (share, which) = run(seed);
        assert!((0.13..0.27).contains(&share), "seed {seed}: {share} of {}", which.len());
        assert_eq!(run(seed).1, which, "seed {seed}: the same seed, the same run");
    }
    assert_ne!(run(1).1, run(2).1);
}

#[test]
fn effectiveness_is_unknown_at_first_and_then_a_number() {
    let mut world = World::new(Config::default());
    rounds(&mut world, 5, |_, chance| chance);
    let effect = &world.memory(PERFORMANCE).effect;
    assert!(effect.measured().len() > 0, "what was done and what was withheld is measured when it is due");
    assert_eq!((effect.effectiveness(), effect.reading()), (None, Reading::Unknown));
    rounds(&mut world, 40, |_, chance| chance);
    let effect = &world.memory(PERFORMANCE).effect;
    assert!(effect.measured().len() >= 60, "{}", effect.measured().len());
    assert!(effect.effectiveness().is_some_and(|share| (0.0..=1.0).contains(&share)));
}

#[test]
fn adjustments_that_cannot_matter_read_no_effect() {
    for seed in 1..=5 {
        let mut config = Config::default();
        config.feedback.seed = seed;
        let mut world = World::seeded(config, seed);
        // What comes after is drawn whatever the loop does, and mostly better than before.
        rounds(&mut world, 80, |_, chance| 0.1 + 0.19 * chance);
        let effect = &world.memory(PERFORMANCE).effect;
        assert_eq!(effect.reading(), Reading::NoEffect, "seed {seed}");
        let share = effect.effectiveness().expect("enough pairs");
        assert!((0.3..0.7).contains(&share), "seed {seed}: {share}");
        assert_eq!(effect.damping(), 1.0);
    }
}

#[test]
fn adjustments_that_help_are_seen_to_help() {
    let mut world = World::new(Config::default());
    rounds(&mut world, 80, |longer, chance| 0.27 - 0.08 * longer as f64 + 0.02 * chance);
    let effect = &world.memory(PERFORMANCE).effect;
    assert_eq!(effect.reading(), Reading::Helps, "{:?}", effect.effectiveness());
    assert!(effect.effectiveness().is_some_and(|share| share > 0.7));
}

#[test]
fn a_loop_that_does_harm_is_damped_then_paused_and_may_try_again_when_it_rested() {
    let mut world = World::new(Config::default());
    let harm = |longer: usize, chance: f64| 0.11 + 0.08 * longer as f64 + 0.01 * chance;
    let mut damped_step = None;
    let mut rested = 0;
    while !world.memory(PERFORMANCE).paused {
        rounds(&mut world, 1, harm);
        let last = adjusted(&world.events, PERFORMANCE).pop();
        if world.memory(PERFORMANCE).effect.damping() < 1.0 && rested == 0 {
            assert_eq!(world.memory(PERFORMANCE).effect.reading(), Reading::Harms);
            rested = 1;
        } else if rested > 0 {
            damped_step = last.map(|adjustment| adjustment.to / adjustment.from - 1.0).or(damped_step);
        }
        assert!(world.events.len() < 100_000, "it is paused at last");
    }
    let rate = world.engine.knowledge().parameters().learning_rate.get();
    assert!(damped_step.is_some_and(|step| step < 0.6 * rate), "half a step: {damped_step:?} at {rate}");

    // Paused, it hears and does nothing.
    world.events.clear();
    world.evidence(LATENCY, 0.45);
    world.cycles(3);
    assert!(adjusted(&world.events, PERFORMANCE).is_empty() && withheld(&world.events, PERFORMANCE) == 0);
    assert!(world.engine.knowledge().signals().last().is_some_and(|signal| signal.of == PERFORMANCE));

    world.wait(Span::hours(7));
    assert!(!world.memory(PERFORMANCE).paused);
    let resumed = |event: &Event| matches!(event, Event::LoopPaused { by: PERFORMANCE, paused: false, .. });
    let resumed: Vec<&Event> = world.events.iter().filter(|event| resumed(event)).collect();
    assert!(resumed.len() == 1 && resumed[0].situation().is_some(), "{resumed:?}");
    assert_eq!(world.memory(PERFORMANCE).effect.reading(), Reading::Unknown, "it begins with no evidence against it");
    world.evidence(LATENCY, 0.45);
    world.cycle();
    let tried = adjusted(&world.events, PERFORMANCE).len() + withheld(&world.events, PERFORMANCE);
    assert!(tried > 0, "it acts again");
}

// --- subscriptions --------------------------------------------------------------------------------------------------

#[test]
fn any_number_may_subscribe_to_a_loop_and_each_hears_that_loop_alone() {
    let mut world = World::new(certain());
    let performance: Vec<_> = (0..20).map(|_| world.engine.subscribe(PERFORMANCE, 100)).collect();
    let resources = world.engine.subscribe(LoopKind::ResourceOptimization, 100);
    world.cycles_under(LATENCY, 0.45, 3);
    let heard: Vec<Vec<Event>> = performance.iter().map(|subscription| subscription.drain()).collect();
    assert!(heard.iter().all(|news| *news == heard[0]));
    let signals = heard[0].iter().filter(|event| matches!(event, Event::Signalled { .. })).count();
    assert_eq!((signals, heard[0].len() - signals), (3, 6), "three signals, two factors moved for each");
    assert!(performance[0].drain().is_empty(), "what was taken is gone");
    assert!(resources.drain().is_empty());
}

#[test]
fn a_slow_subscriber_loses_its_oldest_news_counted_and_harms_nobody() {
    let mut world = World::new(certain());
    let (slow, patient) = (world.engine.subscribe(PERFORMANCE, 4), world.engine.subscribe(PERFORMANCE, 1_000));
    let gone = world.engine.subscribe(PERFORMANCE, 4);
    world.cycles_under(LATENCY, 0.2, 5);
    drop(gone);
    world.cycles_under(LATENCY, 0.2, 5);
    let all = patient.drain();
    assert_eq!((all.len(), patient.dropped()), (10, 0));
    assert_eq!((slow.drain(), slow.dropped()), (all[6..].to_vec(), 6));
    assert_eq!(world.memory(PERFORMANCE).signals, 10);
    world.cycles_under(LATENCY, 0.2, 1);
    assert_eq!((slow.drain().len(), patient.drain().len()), (1, 1), "both go on");
}

// --- histories and statistics ---------------------------------------------------------------------------------------

#[test]
fn signals_and_actions_are_kept_in_order_and_bounded_and_can_be_asked_for_by_loop() {
    let mut config = certain();
    config.feedback.signal_history = 30;
    config.feedback.action_history = 8;
    let mut world = World::new(config);
    for turn in 0..20 {
        let value = if turn % 10 < 5 { 0.45 } else { 0.2 };
        world.evidence(LATENCY, value);
        world.evidence(EvidenceKind::HostProcessor, 0.1);
        world.cycle();
    }
    let knowledge = world.engine.knowledge();
    let signals = knowledge.signals();
    assert!(signals.iter().zip(signals.iter().skip(1)).all(|(a, b)| a.id < b.id && a.at <= b.at));
    assert_eq!(signals.len(), 30);
    let total: u64 = LoopKind::ALL.iter().map(|of| knowledge.loop_memory(*of).signals).sum();
    assert_eq!(signals.total(), total, "what fell out is still counted");
    let of = |kind: LoopKind| signals.iter().rev().filter(move |signal| signal.of == kind);
    // The filter comes before the limit: five of this loop, whatever else was said in between.
    let last: Vec<f64> = of(PERFORMANCE).take(5).map(|signal| signal.value).collect();
    assert_eq!(last, [0.2; 5]);
    assert!(of(LoopKind::ResourceOptimization).all(|signal| signal.source == "host_processor"));

    let actions = knowledge.actions();
    assert_eq!(actions.len(), 8);
    assert_eq!(actions.total(), LoopKind::ALL.iter().map(|of| knowledge.loop_memory(*of).actions).sum::<u64>());
    for action in actions.iter().filter(|action| action.of == PERFORMANCE) {
        let adjustment = &action.adjustment;
        assert!(adjustment.to > adjustment.from && !adjustment.reason.is_empty(), "{action:?}");
        assert!(adjustment.cause > 0 && adjustment.cause < signals.last().expect("kept").id);
    }
}

#[test]
fn an_action_is_reported_with_what_came_of_it() {
    let mut world = World::new(certain());
    world.evidence(LATENCY, 0.45);
    world.cycle();
    let outcomes = |world: &World| -> Vec<_> {
        let actions = world.engine.knowledge().actions();
        actions.iter().filter(|action| action.of == PERFORMANCE).map(|action| action.outcome).collect()
    };
    assert_eq!(outcomes(&world), [None, None]);
    for _ in 0..10 {
        world.evidence(LATENCY, 0.2);
        world.cycle();
    }
    assert_eq!(outcomes(&world), [Some(Verification::Met); 2], "latency stayed under its limit, as was claimed");
    assert!(world.engine.knowledge().settled(Verification::Met) >= 2);
}

#[test]
fn every_loop_has_its_numbers_and_together_they_are_all() {
    let mut world = World::new(Config::default());
    world.learn("latency", 300);
    world.verdict("latency", Verdict::False);
    world.cycles_under(LATENCY, 0.45, 8);
    world.cycles_under(EvidenceKind::HostMemory, 0.93, 8);
    for _ in 0..20 {
        world.outcome(Verification::Failed, "sigma");
    }
    world.wait(Span::minutes(20));
    let mut told = [0_u64; 3];
    for event in &world.events {
        match event {
            Event::Signalled { .. } => told[0] += 1,
            Event::Adjusted { .. } => told[1] += 1,
            Event::Withheld { .. } => told[2] += 1,
            _ => {}
        }
    }
    let mut sum = [0_u64; 3];
    for of in LoopKind::ALL {
        let memory = world.memory(of);
        assert!(memory.signals > 0, "{} heard something", of.as_str());
        for (sum, one) in sum.iter_mut().zip([memory.signals, memory.actions, memory.withheld]) {
            *sum += one;
        }
    }
    assert_eq!(sum, told);
    assert!(told[1] > 10 && told[2] > 0, "{told:?}");
}
