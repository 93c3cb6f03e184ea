//! What the rules of `series` change.

use crate::world::{World, certain};
use homeostat::budget::Budget;
use homeostat::config::{Config, Kind, SeriesRule};
use homeostat::event::{Alerted, Event, Phase};
use homeostat::monitor::Sample;
use homeostat::series::Selector;
use homeostat::time::Span;
use homeostat::units::Sensitivity;
use homeostat::versus::StaticBounds;

fn rule(selector: &str) -> SeriesRule {
    SeriesRule::of(Selector::parse(selector).expect(selector))
}

pub fn series_match(_: &str) {
    let mut world = World::new(certain());
    let ids = [r#"latency{host="a"}"#, r#"latency{host="b"}"#].map(|name| world.learn(name, 5));
    let watched = |world: &World| ids.map(|id| world.series(id).watched());
    assert_eq!(watched(&world), [true, true]);
    let unwatched = |selector: &str| SeriesRule { watch: Some(false), ..rule(selector) };
    world.reconfigure(|config| config.series = vec![unwatched(r#"latency{host="a"}"#)]);
    assert_eq!(watched(&world), [false, true]);
    world.reconfigure(|config| config.series = vec![unwatched(r#"{host=~"b|c"}"#)]);
    assert_eq!(watched(&world), [true, false]);
    world.reconfigure(|config| {
        config.series = vec![unwatched("latency"), SeriesRule { watch: Some(true), ..rule(r#"{host!="a"}"#) }];
    });
    assert_eq!(watched(&world), [false, true], "the last that says something wins");
}

pub fn series_kind(_: &str) {
    let mut world = World::new(certain());
    let ups = |world: &mut World, name: &str| {
        let id = world.intern(name);
        (1..=20).for_each(|n| world.sample(id, 1_000.0 * f64::from(n)));
        id
    };
    let gauge = ups(&mut world, "requests_a");
    assert_eq!(world.series(gauge).kind(), Kind::Gauge);
    world.reconfigure(|config| config.series = vec![SeriesRule { kind: Some(Kind::Counter), ..rule("requests_b") }]);
    let counter = ups(&mut world, "requests_b");
    assert_eq!(world.series(counter).kind(), Kind::Counter);
    let newest = world.series(counter).window().newest().expect("rates");
    assert_eq!((world.series(counter).window().len(), newest.1), (19, 100.0), "1,000 more in ten seconds");
    // One that is held already begins anew: what it holds was read otherwise.
    world.reconfigure(|config| config.series = vec![SeriesRule { kind: Some(Kind::Counter), ..rule("requests_a") }]);
    let again = ups(&mut world, "requests_a");
    assert_eq!((world.series(again).kind(), world.series(again).window().len()), (Kind::Counter, 19));
}

pub fn series_watch(_: &str) {
    let mut world = World::new(certain());
    let id = world.intern("license_seats");
    (0..150).for_each(|_| world.sample(id, 50.0));
    assert!(!world.series(id).watched() && world.series(id).learned().is_none(), "a constant is only held");
    world.reconfigure(|config| config.series = vec![SeriesRule { watch: Some(true), ..rule("license_seats") }]);
    world.cycle();
    assert!(world.series(id).in_force().is_some(), "until it is asked for");
}

pub fn series_page(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 200);
    let onset_pages = |world: &mut World| {
        world.events.clear();
        for value in [1e4, 1e4, 1e4, 100.0, 100.0, 100.0] {
            world.sample(id, value);
        }
        let pages = |event: &Event| match event {
            Event::Alerted(Alerted { phase: Phase::Onset, pages, .. }) => Some(*pages),
            _ => None,
        };
        world.events.iter().filter_map(pages).collect::<Vec<_>>()
    };
    assert_eq!(onset_pages(&mut world), [false]);
    world.reconfigure(|config| config.series = vec![SeriesRule { page: Some(true), ..rule("latency") }]);
    assert_eq!(onset_pages(&mut world), [true]);
}

pub fn series_owner(_: &str) {
    let waits_after_five_days = |owner: Option<&str>| {
        let mut config = certain();
        config.series = vec![SeriesRule { owner: owner.map(Into::into), ..rule("latency") }];
        let mut world = World::new(config);
        let id = world.intern("latency");
        for n in 0..9 * 288 {
            // Two days at one level, seven at another.
            let value = if n < 2 * 288 { 100.0 } else { 130.0 } + world.bell();
            world.now = world.now + Span::minutes(5);
            let observed = world.engine.observe(&[Sample { series: id, at: world.now, value }], world.now);
            world.events.extend(observed.events);
            world.cycle();
        }
        assert_eq!(world.series(id).owner(), owner);
        let proposals = world.engine.knowledge().proposals();
        assert_eq!(proposals.iter().count(), 1);
        proposals.open().count()
    };
    assert_eq!((waits_after_five_days(None), waits_after_five_days(Some("storage team"))), (0, 1));
}

/// Pages that static bounds would have given for ten minutes far above and ten far below, after ordinary ones.
pub fn series_static(key: &str) {
    let pages = |upper: Option<f64>, lower: Option<f64>, minutes: u64| {
        let mut world = World::new(certain());
        let fixed = Some(StaticBounds { upper, lower, hold: Span::minutes(minutes) });
        world.reconfigure(|config| config.series = vec![SeriesRule { fixed, ..rule("latency") }]);
        let id = world.learn("latency", 400);
        for level in [200.0, 100.0, 0.0, 100.0] {
            (0..60).for_each(|_| world.sample(id, level));
        }
        world.series(id).versus().expect("static bounds").1.counts().pages[1]
    };
    let (without, with) = match key {
        "series[].static.upper" => (pages(Some(300.0), Some(-9.0), 5), pages(Some(150.0), Some(-9.0), 5)),
        "series[].static.lower" => (pages(Some(300.0), Some(-9.0), 5), pages(Some(300.0), Some(50.0), 5)),
        "series[].static.for" => (pages(Some(150.0), None, 15), pages(Some(150.0), None, 5)),
        other => panic!("{other}: nothing shows that it does anything"),
    };
    assert_eq!((without, with), (0, 1), "{key}");
}

/// Onsets of alerts per series in 5,000 ordinary samples of each, one every ten seconds.
fn onsets(config: Config, names: &[&str]) -> Vec<usize> {
    let mut world = World::seeded(config, 11);
    let ids: Vec<_> = names.iter().map(|name| world.intern(name)).collect();
    for _ in 0..5_000 {
        for id in &ids {
            let value = 100.0 + world.bell();
            world.sample(*id, value);
        }
    }
    let of = |wanted: &str| {
        let onset = |event: &&Event| matches!(event, Event::Alerted(Alerted { series, phase: Phase::Onset, .. }) if *series == crate::world::name(wanted));
        world.events.iter().filter(onset).count()
    };
    names.iter().map(|name| of(name)).collect()
}

fn budget_of(text: &str) -> Budget {
    text.parse().expect(text)
}

pub fn budget(_: &str) {
    let of = |text: &str, names: &[&str]| onsets(Config { budget: budget_of(text), ..certain() }, names);
    let (rare, often) = (of("1 per month", &["latency"])[0], of("1 per hour", &["latency"])[0]);
    println!("onsets: {rare} at 1 per month, {often} at 1 per hour, in 14 hours");
    assert!(rare <= 1 && (7..=28).contains(&often), "{rare} {often}");
    // It is shared: six series together alert about as often as one alone.
    let names = ["a", "b", "c", "d", "e", "f"];
    let shared: usize = of("1 per hour", &names).iter().sum();
    println!("onsets: {shared} of six together, in 83 hours");
    assert!((20..=166).contains(&shared), "{shared} of six together");
    // Those that may page share it alone; the others alert as rarely as if all did.
    let mut config = Config { budget: budget_of("6 per week"), ..certain() };
    config.series = ["a", "b"].map(|name| SeriesRule { page: Some(true), ..rule(name) }).into();
    let mut world = World::new(config);
    let ids = names.map(|name| world.intern(name));
    for _ in 0..60 {
        for id in ids {
            let value = world.bell();
            world.sample(id, value);
        }
    }
    world.cycle();
    let shares = ids.map(|id| world.series(id).budget_per_week());
    assert_eq!(shares, [Some(3.0), Some(3.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0)]);
}

pub fn series_budget(_: &str) {
    let mut config = Config { budget: budget_of("1 per month"), ..certain() };
    config.series = vec![SeriesRule { budget: Some(budget_of("1 per hour")), ..rule("latency") }];
    let onsets = onsets(config, &["latency", "queue"]);
    assert!(onsets[0] >= 10 && onsets[1] <= 1, "{onsets:?}");
}

pub fn series_share_budget(_: &str) {
    let names = ["a", "b", "c"];
    let of = |share_budget: Option<bool>| {
        let mut world = World::new(Config { budget: budget_of("1 per week"), ..certain() });
        let named = Selector::parse(r#"{job="api"}"#).expect("a selector");
        let rule = SeriesRule { budget: Some(budget_of("6 per week")), share_budget, ..SeriesRule::of(named) };
        world.reconfigure(|config| config.series = vec![rule.clone()]);
        let ids = names.map(|name| world.intern(&format!(r#"{name}{{job="api"}}"#)));
        let other = world.intern("other");
        for _ in 0..60 {
            for id in ids.into_iter().chain([other]) {
                let value = world.bell();
                world.sample(id, value);
            }
        }
        world.cycle();
        let knowledge = world.engine.knowledge();
        let shared: Vec<_> = knowledge.budgets(world.now).iter().map(|of| (of.asked, of.series)).collect();
        let part = |id| world.series(id).budget_per_week();
        (part(ids[0]), part(other), shared)
    };
    let all = (budget_of("1 per week"), 1);
    assert_eq!(of(None), (Some(6.0), Some(1.0), vec![all]));
    assert_eq!(of(Some(true)), (Some(2.0), Some(1.0), vec![all, (budget_of("6 per week"), 3)]));
    let mut world = World::new(certain());
    let before = world.engine.knowledge().config().clone();
    let mut config = before.clone();
    config.series = vec![SeriesRule { share_budget: Some(true), ..rule("a") }];
    let refused = world.engine.reconfigure(config, world.now).expect_err("nothing to share");
    assert_eq!(refused.key, "series[0].share_budget");
}

pub fn series_sensitivity(_: &str) {
    let mut world = World::new(certain());
    let (named, other) = (world.learn("latency", 200), world.learn("queue", 200));
    let before = world.upper(named);
    let sensitivity = Some(Sensitivity::clamped(2.5));
    world.reconfigure(|config| config.series = vec![SeriesRule { sensitivity, ..rule("latency") }]);
    world.cycle();
    assert!(world.upper(named) > before + 0.2);
    assert_eq!((world.series(named).sensitivity().get(), world.series(other).sensitivity().get()), (2.5, 2.0));
}

pub fn series_strategy(_: &str) {
    let mut world = World::new(certain());
    let strategy = Some("percentile".into());
    world.reconfigure(|config| config.series = vec![SeriesRule { strategy, ..rule("latency") }]);
    let id = world.learn("latency", 200);
    let threshold = world.series(id).learned().expect("learned");
    assert_eq!(threshold.strategy, "percentile");
    let statistics = threshold.supporting.statistics;
    assert_eq!(threshold.bounds.at(world.now).1, Some(statistics.p95), "exactly its formula");
    // One that is learned already follows in the next cycle.
    let strategy = Some("iqr".into());
    world.reconfigure(|config| config.series = vec![SeriesRule { strategy, ..rule("latency") }]);
    world.cycle();
    assert_eq!(world.series(id).in_force().expect("learned").strategy, "iqr");
}
