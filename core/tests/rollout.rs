//! Thresholds on their way to an alert rule: read along, served to some, served to all, and taken back where they do worse.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::feedback::Verdict;
use homeostat::knowledge::SeriesId;
use homeostat::plan::import::Import;
use homeostat::replay::data::Direction;
use homeostat::rollout::{self, NotMoved, Order, Rule, Step};
use homeostat::series::Selector;
use homeostat::time::Span;
use homeostat::units::{Confidence, Sensitivity};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{World, by_bounds, certain, name};

const LITERAL: f64 = 130.0;

/// A rule on `load`, series by series, whose literal is `literal`.
fn rule(literal: f64) -> Rule {
    Rule {
        name: "LoadHigh".to_owned(),
        selector: Selector::parse("load").expect("a selector"),
        direction: Direction::Upper,
        inclusive: false,
        literal,
        possible: (f64::NEG_INFINITY, f64::INFINITY),
        by: vec!["host".to_owned()],
        hold: Span::ZERO,
    }
}

fn with(rule: Rule, config: Config) -> Config {
    Config { rules: vec![Arc::new(rule)], ..config }
}

fn hosts(world: &mut World, count: usize) -> Vec<SeriesId> {
    (0..count).map(|n| world.intern(&format!("load{{host=\"h{n}\"}}"))).collect()
}

/// A sample of each series around 100 with a deviation of 1, so many times.
fn ordinary(world: &mut World, ids: &[SeriesId], rounds: usize) {
    for _ in 0..rounds {
        for id in ids {
            let value = 100.0 + world.bell();
            world.sample(*id, value);
        }
    }
}

/// The same for so long.
fn ordinary_for(world: &mut World, ids: &[SeriesId], span: Span) {
    let until = world.now + span;
    while world.now < until {
        ordinary(world, ids, 1);
    }
}

fn served(world: &World) -> BTreeMap<Vec<String>, f64> {
    rollout::served(world.engine.knowledge(), world.now).remove(0).1
}

/// The steps that the journal tells of, and why each was made.
fn steps(world: &World) -> Vec<(Step, &str)> {
    let moved = world.events.iter().filter_map(|event| match event {
        Event::RolloutMoved { to, because, .. } => Some((*to, because.as_str())),
        _ => None,
    });
    moved.collect()
}

fn names(world: &World) -> Vec<Step> {
    let mut names: Vec<Step> = steps(world).into_iter().map(|(step, _)| step).collect();
    // A series that joined is told of as well.
    names.dedup();
    names
}

/// Until something is tried out for the rule.
fn until_shadow(world: &mut World, ids: &[SeriesId]) {
    for _ in 0..300 {
        ordinary(world, ids, 1);
        if names(world).last() == Some(&Step::Shadow) {
            return;
        }
    }
    panic!("nothing is tried out: {:?}", steps(world));
}

/// Until all have something that is tried out.
fn until_all(world: &mut World, ids: &[SeriesId]) {
    until_shadow(world, ids);
    let has_trial = |world: &World, id: &SeriesId| {
        world.series(*id).releases().any(|(_, release)| release.trial.is_some() || release.served.is_some())
    };
    while !ids.iter().all(|id| has_trial(world, id)) {
        ordinary(world, ids, 1);
    }
}

/// Eight series whose rule is served what is still tried out.
fn served_to_all() -> (World, Vec<SeriesId>) {
    let mut config = with(rule(LITERAL), by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    ordinary_for(&mut world, &ids, Span::minutes(15));
    assert_eq!(names(&world), [Step::Shadow, Step::Canary, Step::Active], "{:?}", steps(&world));
    assert_eq!(served(&world).len(), 8);
    (world, ids)
}

#[test]
fn a_threshold_reads_along_then_some_are_served_it_then_all_and_then_it_is_kept() {
    let mut world = World::new(with(rule(LITERAL), certain()));
    let ids = hosts(&mut world, 8);
    until_shadow(&mut world, &ids);
    let begun = world.now;
    assert!(served(&world).is_empty(), "in shadow nothing is served");
    ordinary_for(&mut world, &ids, Span::minutes(50));
    assert_eq!((names(&world), served(&world).len()), (vec![Step::Shadow], 0));
    ordinary_for(&mut world, &ids, Span::minutes(15));
    assert_eq!(names(&world), [Step::Shadow, Step::Canary]);
    let first = served(&world);
    assert!((1..8).contains(&first.len()), "a share of them: {first:?}");
    assert!(first.values().all(|value| (103.0..115.0).contains(value)), "{first:?}");
    ordinary_for(&mut world, &ids, Span::hours(6));
    assert_eq!(names(&world), [Step::Shadow, Step::Canary, Step::Active]);
    let all = served(&world);
    assert_eq!(all.len(), 8);
    assert!(first.iter().all(|(key, value)| all[key] == *value), "what was tried out is what goes out");
    ordinary_for(&mut world, &ids, Span::hours(25));
    assert_eq!(names(&world)[..4], [Step::Shadow, Step::Canary, Step::Active, Step::Kept]);
    let Some(Event::RolloutMoved { evidence: Some(evidence), because, .. }) =
        world.events.iter().find(|event| matches!(event, Event::RolloutMoved { to: Step::Kept, .. }))
    else {
        panic!("what it was kept for is on record");
    };
    assert_eq!(because, "it did no worse in 1d");
    assert_eq!((evidence.series, evidence.missed_proposed), (8, 0));
    // A thousand seconds of what was held when it began are a part of it.
    let watched = world.now.since(begun).secs();
    assert!((watched..watched + 10_000.0).contains(&evidence.watched_s), "{} of {watched}", evidence.watched_s);
    let rollout = &world.engine.knowledge().rollouts()["LoadHigh"];
    assert_eq!((rollout.id >= 1, rollout.steps[0].step), (true, Step::Shadow));
}

/// Two jobs, each with a series around 100 and one around 200, of which a rule by job is served what is still tried out.
fn two_levels_served() -> (World, Vec<SeriesId>) {
    let mut config = with(Rule { by: vec!["job".to_owned()], ..rule(500.0) }, by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    let mut world = World::new(config);
    let level = |job: &str, host: &str| format!("load{{host=\"{host}\",job=\"{job}\"}}");
    let all = ["a", "b"].map(|job| ["low", "high"].map(|host| level(job, host)));
    let ids: Vec<SeriesId> = all.iter().flatten().map(|name| world.intern(name)).collect();
    for _ in 0..60 {
        if names(&world).last() == Some(&Step::Active) {
            break;
        }
        two_levels_for(&mut world, &ids, Span::minutes(10));
    }
    assert_eq!(names(&world).last(), Some(&Step::Active), "{:?}", steps(&world));
    let served = served(&world);
    assert!(served.len() == 2 && served.values().all(|bound| *bound > 200.0), "the widest of each: {served:?}");
    (world, ids)
}

fn two_levels_for(world: &mut World, ids: &[SeriesId], span: Span) {
    let until = world.now + span;
    while world.now < until {
        for (n, id) in ids.iter().enumerate() {
            let value = 100.0 + 100.0 * (n % 2) as f64 + world.bell();
            world.sample(*id, value);
        }
    }
}

/// Bursts to 150, every two hours of a day.
fn bursts(world: &mut World, ids: &[SeriesId]) {
    for _ in 0..12 {
        ids.iter().step_by(2).for_each(|id| world.sample(*id, 150.0));
        two_levels_for(world, ids, Span::hours(2));
    }
}

#[test]
fn series_with_the_same_labels_are_tried_out_by_what_the_rule_is_served_of_all_of_them() {
    let (mut world, ids) = two_levels_served();
    // Read again it is the same trial.
    let parts = world.engine.snapshot();
    let config = world.engine.knowledge().config().clone();
    world.engine = Engine::restore(config, Methods::built_in(), 3, &parts, world.now).expect("its own snapshot");
    let ids: Vec<SeriesId> = ids
        .iter()
        .zip(["a", "a", "b", "b"])
        .zip(["low", "high", "low", "high"])
        .map(|((_, job), host)| world.intern(&format!("load{{host=\"{host}\",job=\"{job}\"}}")))
        .collect();
    // Far beyond what its own series does, and under what the rule compares with.
    bursts(&mut world, &ids);
    two_levels_for(&mut world, &ids, Span::hours(1));
    let made = steps(&world);
    assert!(made.iter().any(|(step, _)| *step == Step::Kept), "{made:?}");
    assert!(made.iter().all(|(step, _)| *step != Step::RolledBack), "{made:?}");
}

#[test]
fn once_the_wider_of_two_leaves_the_other_is_tried_out_by_its_own() {
    let (mut world, ids) = two_levels_served();
    world.reconfigure(|config| config.limits.series_ttl = Span::hours(1));
    let low: Vec<SeriesId> = ids.iter().step_by(2).copied().collect();
    ordinary_for(&mut world, &low, Span::hours(2));
    assert!(served(&world).values().all(|bound| *bound < 150.0), "{:?}", served(&world));
    for _ in 0..8 {
        low.iter().for_each(|id| world.sample(*id, 150.0));
        ordinary_for(&mut world, &low, Span::hours(2));
    }
    let made = steps(&world);
    assert!(made.iter().any(|(step, _)| *step == Step::RolledBack), "{made:?}");
}

/// Thresholds of all series as somebody else has them.
fn import(world: &mut World, alert: f64) {
    for n in 0..8 {
        let import = Import {
            bounds: (None, Some(alert - 0.5)),
            alert: (None, Some(alert)),
            sensitivity: None,
            confidence: Some(Confidence::clamped(0.9)),
            reasoning: None,
        };
        let series = name(&format!("load{{host=\"h{n}\"}}"));
        world.events.extend(world.engine.import(&series, &import, world.now).expect("taken in"));
    }
}

#[test]
fn what_pages_far_more_often_is_refused_before_anybody_is_served_it_and_rests_for_a_while() {
    let mut config = with(rule(LITERAL), by_bounds());
    config.rollout.shadow = Span::hours(6);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    ordinary(&mut world, &ids, 80);
    // Two deviations: each series is beyond it several times an hour.
    import(&mut world, 102.0);
    ordinary_for(&mut world, &ids, Span::hours(12));
    let made = steps(&world);
    assert_eq!(names(&world), [Step::Shadow, Step::Refused], "{made:?}");
    assert!(made.last().is_some_and(|(_, because)| because.contains("1 more a week are allowed")), "{made:?}");
    assert!(served(&world).is_empty());
}

#[test]
fn what_begins_to_page_once_it_is_served_is_taken_back_by_itself() {
    let (mut world, ids) = served_to_all();
    // Bursts under the literal, of which the rule never told, every two hours.
    for _ in 0..8 {
        for id in &ids {
            world.sample(*id, 120.0);
        }
        ordinary_for(&mut world, &ids, Span::hours(2));
    }
    let made = steps(&world);
    assert_eq!(made.last().map(|(step, _)| *step), Some(Step::RolledBack), "{made:?}");
    assert!(served(&world).is_empty(), "the literal stands again");
}

#[test]
fn a_series_that_pages_all_the_time_hides_no_new_pages_of_the_others() {
    let (mut world, ids) = served_to_all();
    for round in 0..96 {
        // Over the literal: of this one the rule told before as well.
        world.sample(ids[0], 200.0);
        if round % 8 == 0 {
            ids[1..].iter().for_each(|id| world.sample(*id, 120.0));
        }
        ordinary_for(&mut world, &ids, Span::minutes(15));
    }
    let made = steps(&world);
    assert!(made.iter().any(|(step, _)| *step == Step::RolledBack), "{made:?}");
}

#[test]
fn what_misses_trouble_that_the_rule_told_of_is_taken_back_at_a_word() {
    let mut config = with(rule(110.0), by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::ZERO, Span::ZERO);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    ordinary(&mut world, &ids, 80);
    import(&mut world, 500.0);
    while names(&world).last() != Some(&Step::Active) {
        ordinary(&mut world, &ids, 1);
    }
    assert!(served(&world).values().any(|value| *value == 500.0), "{:?}", served(&world));
    for _ in 0..6 {
        world.sample(ids[0], 200.0);
    }
    ordinary(&mut world, &ids, 3);
    assert_eq!(names(&world).last(), Some(&Step::Active), "nobody said that it mattered");
    world.verdict("load{host=\"h0\"}", Verdict::True);
    world.cycles(3);
    let made = steps(&world);
    assert_eq!(made.last().map(|(step, _)| *step), Some(Step::RolledBack), "{made:?}");
    assert!(made.last().is_some_and(|(_, because)| because.contains("missed 1 that mattered")), "{made:?}");
}

#[test]
fn what_a_word_took_back_stays_so_where_a_threshold_stood_before_it() {
    let mut config = with(rule(LITERAL), by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    config.rollout.watch = Span::minutes(30);
    config.learning.confidence_min = Confidence::clamped(0.0);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    while names(&world).last() != Some(&Step::Kept) {
        ordinary(&mut world, &ids, 1);
    }
    let before = served(&world);
    assert_eq!(before.len(), 8);
    world.reconfigure(|config| config.rollout.watch = Span::hours(20));
    world.reconfigure(|config| config.learning.sensitivity = Sensitivity::clamped(6.0));
    while names(&world).last() != Some(&Step::Active) {
        ordinary(&mut world, &ids, 1);
    }
    let h0 = vec!["h0".to_owned()];
    let (low, high) = (before[&h0], served(&world)[&h0]);
    assert!(high > low + 0.1, "{low} to {high}");
    // Beyond the one before, and not beyond the one that is tried out.
    for _ in 0..3 {
        world.sample(ids[0], (low + high) / 2.0);
    }
    ordinary(&mut world, &ids, 2);
    world.verdict("load{host=\"h0\"}", Verdict::True);
    world.cycles(6);
    assert_eq!(names(&world).last(), Some(&Step::RolledBack), "{:?}", steps(&world));
    ordinary_for(&mut world, &ids, Span::hours(2));
    assert_eq!(served(&world), before, "nothing serves it again");
}

#[test]
fn a_persons_word_goes_out_at_once_to_series_that_are_served_already() {
    let mut config = with(rule(LITERAL), by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    config.learning.confidence_min = Confidence::clamped(0.0);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    ordinary_for(&mut world, &ids, Span::minutes(15));
    let before = served(&world);
    world.sample(ids[0], 120.0);
    world.verdict("load{host=\"h0\"}", Verdict::False);
    world.cycles(4);
    let after = served(&world);
    let h0 = vec!["h0".to_owned()];
    assert!(after[&h0] > before[&h0], "{} to {}", before[&h0], after[&h0]);
    let released = world.events.iter().find_map(|event| match event {
        Event::ThresholdReleased { series, because, .. } => Some((series.len(), because.as_str())),
        _ => None,
    });
    assert_eq!(released.map(|(_, because)| because), Some("a person's word moved it"));
    let learned = world.series(ids[0]).in_force().expect("it is judged").alert.at(world.now).1;
    assert_eq!(Some(after[&h0]), learned, "what was learned since the word, not what stood before it");
    // The trial goes on with it, so that it can be taken back with the others.
    let (now, order) = (world.now, Order::RollBack);
    let event = world.engine.order("LoadHigh", order, None, now).expect("an order");
    world.events.push(event);
    assert!(served(&world).is_empty());
}

#[test]
fn a_rule_of_few_series_has_a_canary_too() {
    let mut config = with(rule(LITERAL), certain());
    config.rollout.shadow = Span::minutes(10);
    for count in [2, 3, 4] {
        let mut world = World::new(config.clone());
        let ids = hosts(&mut world, count);
        until_all(&mut world, &ids);
        ordinary_for(&mut world, &ids, Span::minutes(20));
        assert_eq!((names(&world), served(&world).len()), (vec![Step::Shadow, Step::Canary], 1), "of {count}");
    }
}

#[test]
fn a_trial_of_which_nothing_is_left_ends_and_another_may_begin() {
    let mut world = World::new(with(rule(LITERAL), certain()));
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    let now = world.now;
    let event = world.engine.order("LoadHigh", Order::Promote, None, now).expect("an order");
    world.events.push(event);
    world.reconfigure(|config| config.rules.clear());
    world.reconfigure(|config| config.rules.push(Arc::new(rule(LITERAL))));
    world.cycles(3);
    let made = steps(&world);
    let ended = (Step::RolledBack, "nothing is left of it to try out");
    assert!(made.contains(&ended) && made.last().map(|(step, _)| *step) == Some(Step::Shadow), "{made:?}");
}

/// Short steps, and thresholds that a new prior sensitivity moves at once.
fn brief() -> Config {
    let mut config = with(rule(LITERAL), by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    config.rollout.watch = Span::minutes(30);
    config.learning.confidence_min = Confidence::clamped(0.0);
    config
}

/// Until so many trials were kept.
fn until_kept(world: &mut World, ids: &[SeriesId], count: usize) {
    while names(world).iter().filter(|step| **step == Step::Kept).count() < count {
        ordinary(world, ids, 1);
    }
}

#[test]
fn what_was_kept_goes_back_by_hand_to_what_was_served_before_it_and_rests() {
    let mut world = World::new(brief());
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    until_kept(&mut world, &ids, 1);
    let before = served(&world);
    world.reconfigure(|config| config.learning.sensitivity = Sensitivity::clamped(6.0));
    until_kept(&mut world, &ids, 2);
    assert_ne!(served(&world), before);
    world.reconfigure(|config| config.rollout.watch = Span::hours(20));
    let now = world.now;
    let comment = Some("too quiet".to_owned());
    let event = world.engine.order("LoadHigh", Order::RollBack, comment, now).expect("an order");
    world.events.push(event);
    assert_eq!(served(&world), before);
    assert_eq!(steps(&world).last(), Some(&(Step::RolledBack, "a person took back what was kept: too quiet")));
    ordinary_for(&mut world, &ids, Span::hours(3));
    assert_eq!(served(&world), before, "it rests");
    // One step back is remembered, not all of them.
    let (now, nothing) = (world.now, NotMoved::NothingKept("LoadHigh".to_owned()));
    assert_eq!(world.engine.order("LoadHigh", Order::RollBack, None, now), Err(nothing));
}

#[test]
fn what_was_kept_before_a_trial_that_was_refused_goes_back_to_the_literal_also_after_a_restart() {
    let mut world = World::new(brief());
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    until_kept(&mut world, &ids, 1);
    world.reconfigure(|config| config.rollout.shadow = Span::hours(20));
    world.reconfigure(|config| config.learning.sensitivity = Sensitivity::clamped(6.0));
    while names(&world).last() != Some(&Step::Shadow) {
        ordinary(&mut world, &ids, 1);
    }
    let (now, kept) = (world.now, served(&world));
    let event = world.engine.order("LoadHigh", Order::RollBack, None, now).expect("an order");
    world.events.push(event);
    assert_eq!((steps(&world).last().map(|made| made.0), served(&world)), (Some(Step::Refused), kept));
    let parts = world.engine.snapshot();
    let config = world.engine.knowledge().config().clone();
    world.engine = Engine::restore(config, Methods::built_in(), 3, &parts, now).expect("its own snapshot");
    assert_eq!(rollout::kept(world.engine.knowledge())["LoadHigh"], 8);
    let event = world.engine.order("LoadHigh", Order::RollBack, None, now).expect("an order");
    world.events.push(event);
    assert!(served(&world).is_empty(), "the literal stands again: {:?}", served(&world));
}

#[test]
fn a_threshold_that_no_value_can_be_beyond_leaves_the_literal() {
    let reached = |possible: (f64, f64), direction: Direction| {
        let mut config = with(Rule { possible, direction, ..rule(101.0) }, by_bounds());
        (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
        let mut world = World::new(config);
        let ids = hosts(&mut world, 4);
        until_all(&mut world, &ids);
        ordinary_for(&mut world, &ids, Span::minutes(15));
        let served: Vec<f64> = served(&world).into_values().collect();
        assert_eq!(served.len(), 4, "{:?}", steps(&world));
        (served, rollout::out_of_reach(world.engine.knowledge(), world.now).get("LoadHigh").copied().unwrap_or(0))
    };
    let (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
    let (upper, none) = reached((least, most), Direction::Upper);
    assert!(upper.iter().any(|bound| *bound > 113.0) && none == 0, "{upper:?} {none}");
    // Of what is never over 113 that one would never page by what was learned. It is not served the literal, beyond which it lives.
    let (held, out) = reached((0.0, 113.0), Direction::Upper);
    assert_eq!(out, 1);
    for (learned, served) in upper.iter().zip(held) {
        let wanted = if *learned > 113.0 { 101.0..105.0 } else { *learned..learned + 1e-9 };
        assert!(wanted.contains(&served), "{served} for {learned}");
    }
    // What was seen where nothing should be shows that it can.
    assert_eq!(reached((0.0, 99.0), Direction::Upper), (upper, 0));

    let (lower, none) = reached((least, most), Direction::Lower);
    let outermost = lower.iter().copied().fold(most, f64::min);
    assert!(outermost < 95.0 && none == 0, "{lower:?} {none}");
    let (held, out) = reached((outermost, most), Direction::Lower);
    assert_eq!(out, 1);
    for (learned, served) in lower.iter().zip(held) {
        let wanted = if *learned == outermost { 95.0..101.0 } else { *learned..learned + 1e-9 };
        assert!(wanted.contains(&served), "{served} for {learned}");
    }
}

#[test]
fn a_rule_that_compares_otherwise_begins_anew_and_says_so() {
    let mut config = with(rule(LITERAL), certain());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    config.rollout.watch = Span::minutes(30);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    while names(&world).last() != Some(&Step::Kept) {
        ordinary(&mut world, &ids, 1);
    }
    assert!(served(&world).values().all(|value| *value > 100.0), "{:?}", served(&world));
    let under = Rule { direction: Direction::Lower, literal: 70.0, ..rule(LITERAL) };
    world.reconfigure(|config| config.rules = vec![Arc::new(under.clone())]);
    assert!(served(&world).is_empty(), "the literal stands, as for a new rule");
    world.cycles(3);
    let made = steps(&world);
    let ended = (Step::RolledBack, "the rule compares otherwise now, < by (host) in place of > by (host)");
    assert!(made.contains(&ended) && made.last().map(|(step, _)| *step) == Some(Step::Shadow), "{made:?}");
    let trial = world.series(ids[0]).releases().find_map(|(_, release)| release.trial.as_deref()).expect("a trial");
    assert_eq!(trial.before, None, "beside the literal");
    while names(&world).last() != Some(&Step::Kept) {
        ordinary(&mut world, &ids, 1);
    }
    assert!(served(&world).values().all(|value| *value < 100.0), "{:?}", served(&world));

    // The same where it was configured otherwise while nothing ran, and where other labels tell its thresholds apart.
    let parts = world.engine.snapshot();
    let for_all = Rule { by: Vec::new(), ..under };
    let config = with(for_all, world.engine.knowledge().config().clone());
    world.engine = Engine::restore(config, Methods::built_in(), 3, &parts, world.now).expect("its own snapshot");
    assert!(served(&world).is_empty());
}

#[test]
fn what_did_worse_in_one_comparison_does_not_make_another_rest() {
    let mut world = World::new(with(rule(LITERAL), certain()));
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    let now = world.now;
    let event = world.engine.order("LoadHigh", Order::RollBack, None, now).expect("an order");
    world.events.push(event);
    world.cycles(3);
    assert_eq!(names(&world).last(), Some(&Step::Refused));
    world.reconfigure(|config| config.rules = vec![Arc::new(Rule { inclusive: true, ..rule(LITERAL) })]);
    world.cycles(3);
    assert_eq!(names(&world).last(), Some(&Step::Shadow), "{:?}", steps(&world));
}

#[test]
fn steps_of_a_rule_that_compared_otherwise_are_read_again_and_serve_nothing() {
    let mut config = with(rule(LITERAL), by_bounds());
    config.rollout.shadow = Span::hours(6);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    let parts = world.engine.snapshot();
    let (now, told) = (world.now, world.events.len());
    let event = world.engine.order("LoadHigh", Order::Promote, None, now).expect("an order");
    world.events.push(event);
    assert_eq!(served(&world).len(), 8);
    // A kill: the snapshot is from before the order, and the rule was changed meanwhile.
    let under = Rule { direction: Direction::Lower, literal: 70.0, ..rule(LITERAL) };
    let config = with(under, world.engine.knowledge().config().clone());
    world.engine = Engine::restore(config, Methods::built_in(), 3, &parts, now).expect("its own snapshot");
    for event in &world.events[told..] {
        world.engine.replay(event, now);
    }
    assert!(served(&world).is_empty(), "{:?}", served(&world));
    world.cycles(1);
    assert!(steps(&world).last().is_some_and(|(step, _)| *step == Step::RolledBack), "{:?}", steps(&world));
}

#[test]
fn a_comparison_that_came_and_went_leaves_nothing_of_what_was_before_it_also_when_it_is_read_again() {
    let (mut world, _) = served_to_all();
    let (parts, told) = (world.engine.snapshot(), world.events.len());
    world.reconfigure(|config| config.rules = vec![Arc::new(Rule { inclusive: true, ..rule(LITERAL) })]);
    world.cycles(1);
    world.reconfigure(|config| config.rules = vec![Arc::new(rule(LITERAL))]);
    assert!(served(&world).is_empty());
    let config = world.engine.knowledge().config().clone();
    world.engine = Engine::restore(config, Methods::built_in(), 3, &parts, world.now).expect("its own snapshot");
    let now = world.now;
    for event in &world.events[told..] {
        world.engine.replay(event, now);
    }
    assert!(served(&world).is_empty(), "{:?}", served(&world));
}

#[test]
fn labels_in_another_order_are_the_same_comparison() {
    let by = |by: [&str; 2]| Rule { by: by.map(str::to_owned).to_vec(), ..rule(LITERAL) };
    let mut config = with(by(["host", "job"]), by_bounds());
    (config.rollout.shadow, config.rollout.canary) = (Span::minutes(10), Span::ZERO);
    let mut world = World::new(config);
    let ids = hosts(&mut world, 8);
    until_all(&mut world, &ids);
    ordinary_for(&mut world, &ids, Span::minutes(15));
    assert_eq!(served(&world).len(), 8);
    world.reconfigure(|config| config.rules = vec![Arc::new(by(["job", "host"]))]);
    assert_eq!(served(&world).len(), 8);
}

#[test]
fn what_a_rule_is_served_counts_in_what_its_series_take() {
    let (world, ids) = served_to_all();
    let mut plain = World::new(by_bounds());
    let others = hosts(&mut plain, 8);
    while plain.now < world.now {
        ordinary(&mut plain, &others, 1);
    }
    let bytes = |world: &World, id: SeriesId| world.series(id).bytes();
    // The threshold that is served and tried out, and the book of it.
    let more = bytes(&world, ids[0]).saturating_sub(bytes(&plain, others[0]));
    assert!((800..8_000).contains(&more), "{more}");
}

#[test]
fn what_was_said_before_a_trial_is_heard_in_it() {
    let mut world = World::new(with(rule(110.0), by_bounds()));
    let ids = hosts(&mut world, 8);
    ordinary(&mut world, &ids, 80);
    for _ in 0..6 {
        world.sample(ids[0], 200.0);
    }
    world.verdict("load{host=\"h0\"}", Verdict::True);
    ordinary(&mut world, &ids, 10);
    import(&mut world, 500.0);
    world.cycles(3);
    let made = steps(&world);
    assert_eq!(names(&world), [Step::Shadow, Step::Refused], "{made:?}");
    assert!(made.last().is_some_and(|(_, because)| because.contains("missed 1 that mattered")), "{made:?}");
}

#[test]
fn people_promote_and_roll_back_and_a_freeze_stops_both() {
    let mut world = World::new(with(rule(LITERAL), certain()));
    let ids = hosts(&mut world, 8);
    let now = world.now;
    assert_eq!(
        world.engine.order("LoadHigh", Order::Promote, None, now),
        Err(NotMoved::Nothing("LoadHigh".to_owned()))
    );
    assert_eq!(world.engine.order("x", Order::Promote, None, now), Err(NotMoved::Unknown("x".to_owned())));
    until_all(&mut world, &ids);
    let now = world.now;
    world.events.extend(world.engine.freeze(true, "a test".to_owned(), now));
    assert_eq!(world.engine.order("LoadHigh", Order::Promote, None, now), Err(NotMoved::Frozen));
    ordinary_for(&mut world, &ids, Span::hours(2));
    assert_eq!(names(&world).last(), Some(&Step::Shadow), "nothing moves while all changes are stopped");
    let now = world.now;
    world.events.extend(world.engine.freeze(false, "it is over".to_owned(), now));
    let event = world.engine.order("LoadHigh", Order::Promote, Some("looks good".to_owned()), now).expect("an order");
    world.events.push(event);
    assert_eq!(served(&world).len(), 8);
    assert_eq!(steps(&world).last(), Some(&(Step::Active, "a person said so: looks good")));
    assert_eq!(world.engine.order("LoadHigh", Order::Promote, None, now), Err(NotMoved::Served("LoadHigh".to_owned())));
    let event = world.engine.order("LoadHigh", Order::RollBack, None, now).expect("an order");
    world.events.push(event);
    assert!(served(&world).is_empty());
    ordinary_for(&mut world, &ids, Span::hours(3));
    assert_eq!(names(&world).last(), Some(&Step::RolledBack), "it rests for a day");
}

#[test]
fn it_outlives_a_restart_and_a_rule_that_is_configured_no_longer_is_served_nothing() {
    let mut world = World::new(with(rule(LITERAL), certain()));
    let ids = hosts(&mut world, 8);
    until_shadow(&mut world, &ids);
    ordinary_for(&mut world, &ids, Span::minutes(65));
    let (before, steps_before) = (served(&world), world.engine.knowledge().rollouts().clone());
    assert!(!before.is_empty());
    let parts = world.engine.snapshot();
    let config = world.engine.knowledge().config().clone();
    world.engine = Engine::restore(config, Methods::built_in(), 3, &parts, world.now).expect("its own snapshot");
    assert_eq!((served(&world), world.engine.knowledge().rollouts().clone()), (before, steps_before));
    let ids = hosts(&mut world, 8);
    ordinary_for(&mut world, &ids, Span::hours(6));
    assert_eq!(names(&world).last(), Some(&Step::Active), "it goes on where it was");
    world.reconfigure(|config| config.rules.clear());
    world.reconfigure(|config| config.rules.push(Arc::new(rule(LITERAL))));
    assert!(served(&world).is_empty());
}
