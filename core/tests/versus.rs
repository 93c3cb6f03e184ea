//! Learned bounds beside static ones, in an engine that runs: what both would have paged for, and what people say of it.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, SeriesRule};
use homeostat::engine::Engine;
use homeostat::feedback::Verdict;
use homeostat::knowledge::SeriesId;
use homeostat::series::Selector;
use homeostat::time::Span;
use homeostat::versus::{Book, Report, StaticBounds, Verdict as Said, report};
use world::{World, certain};

fn compared_with(fixed: StaticBounds) -> Config {
    let selector = Selector::parse("load").expect("a selector");
    Config { series: vec![SeriesRule { fixed: Some(fixed), ..SeriesRule::of(selector) }], ..certain() }
}

const UPPER: StaticBounds = StaticBounds { upper: Some(102.0), lower: None, hold: Span::ZERO };

fn book(world: &World, id: SeriesId) -> &Book {
    world.series(id).versus().expect("it has static bounds").1
}

fn told(world: &World, id: SeriesId) -> Report {
    report(&[book(world, id)])
}

/// A sample each ten seconds around 100, with a deviation of 1.
fn ordinary(world: &mut World, id: SeriesId, hours: u64) {
    for _ in 0..hours * 360 {
        let value = 100.0 + world.bell();
        world.sample(id, value);
    }
}

#[test]
fn a_bound_that_noise_crosses_pages_where_the_learned_one_does_not_and_that_is_known_soon() {
    let mut world = World::new(compared_with(UPPER));
    let id = world.learn("load", 400);
    let before = book(&world, id).watched;
    ordinary(&mut world, id, 30);
    let told = told(&world, id);
    assert_eq!(book(&world, id).watched.millis() - before.millis(), Span::hours(30).millis());
    // One sample in 44 lies over two deviations; all of an hour are one occasion.
    assert!((175..450).contains(&told.fixed.pages), "{}", told.fixed.pages);
    assert!(told.learned.pages <= 2, "{}", told.learned.pages);
    assert_eq!((told.occasions.verdict, told.verdict), (Said::Better, Said::Better), "{}", told.in_words);
    assert!(told.in_words.contains("nobody said what mattered"), "{}", told.in_words);
}

#[test]
fn trouble_that_both_tell_of_is_no_difference_and_what_one_misses_is_told_by_verdicts() {
    // So high that only trouble gets there; and after a quarter of an hour alone.
    let mut world =
        World::new(compared_with(StaticBounds { upper: Some(150.0), lower: None, hold: Span::minutes(15) }));
    let id = world.learn("load", 400);
    ordinary(&mut world, id, 3);
    let quiet = told(&world, id);
    assert_eq!(quiet.fixed.pages, 0);
    let trouble = |world: &mut World, minutes: u64| {
        for _ in 0..minutes * 6 {
            let value = 200.0 + world.bell();
            world.sample(id, value);
        }
        world.verdict("load", Verdict::True);
        ordinary(world, id, 2);
    };
    trouble(&mut world, 30);
    let told_of = told(&world, id);
    assert_eq!((told_of.fixed.pages, told_of.mattered), (1, 1));
    assert_eq!((told_of.learned.missed, told_of.fixed.missed), (0, 0));
    let earlier = told_of.delay.median_s.expect("both paged");
    assert!((-900.0..-800.0).contains(&earlier), "{earlier}");
    // Too short for the static rule.
    trouble(&mut world, 10);
    let short = told(&world, id);
    assert_eq!((short.mattered, short.learned.missed, short.fixed.missed), (2, 0, 1));
    // Nobody told of it at all.
    world.now = world.now + Span::hours(1);
    world.verdict("load", Verdict::Missed);
    let missed = told(&world, id);
    assert_eq!((missed.mattered, missed.learned.missed, missed.fixed.missed), (3, 1, 2));
    assert_eq!(missed.misses.verdict, Said::NotKnownYet);
}

#[test]
fn it_outlives_a_restart_and_begins_anew_with_other_bounds() {
    let mut world = World::new(compared_with(UPPER));
    let id = world.learn("load", 400);
    ordinary(&mut world, id, 1);
    let before = book(&world, id).clone();
    assert!(before.counts().pages[1] > 0);
    let config = world.engine.knowledge().config().clone();
    let parts = world.engine.snapshot();
    world.engine = Engine::restore(config, Methods::built_in(), 8, &parts, world.now).expect("its own snapshot");
    let id = world.intern("load");
    assert_eq!(*book(&world, id), before);
    let other = StaticBounds { upper: Some(110.0), ..UPPER };
    world.reconfigure(|config| config.series[0].fixed = Some(other));
    assert_eq!((told(&world, id).fixed.pages, told(&world, id).weeks), (0, 0.0));
    world.reconfigure(|config| config.series.clear());
    assert!(world.series(id).versus().is_none(), "asked for no longer");
}

#[test]
fn bounds_that_hold_nothing_are_refused_with_their_key() {
    let turned = StaticBounds { upper: Some(1.0), lower: Some(2.0), hold: Span::ZERO };
    let endless = StaticBounds { upper: Some(f64::INFINITY), ..UPPER };
    for wrong in [StaticBounds::default(), turned, endless, StaticBounds { hold: Span::hours(25), ..UPPER }] {
        let refused = compared_with(wrong).check(&["auto".into()]).expect_err("unusable");
        assert_eq!(refused.key, "series[0].static", "{wrong:?}");
    }
}
