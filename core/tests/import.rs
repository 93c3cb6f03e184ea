//! Thresholds from outside: what comes in judges, survives, and gives way like any other.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::monitor::Sample;
use homeostat::plan::import::{Import, NotImported};
use homeostat::series::SeriesName;
use homeostat::time::Span;
use homeostat::units::{Confidence, Sensitivity};
use world::World;

fn bounds(lower: f64, upper: f64) -> Import {
    Import {
        bounds: (Some(lower), Some(upper)),
        alert: (None, None),
        sensitivity: None,
        confidence: Some(Confidence::clamped(0.9)),
        reasoning: Some("set by hand".to_owned()),
    }
}

fn name(text: &str) -> SeriesName {
    SeriesName::parse(text).expect(text)
}

#[test]
fn an_imported_threshold_judges_at_once_and_is_on_record() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let events = world.engine.import(&name("latency"), &bounds(40.0, 160.0), world.now).expect("taken in");
    let kinds: Vec<&str> = events.iter().map(Event::kind).filter(|kind| *kind != "signalled").collect();
    assert_eq!(kinds, ["threshold_learned", "change_dispatched"]);
    let series = world.series(id);
    let threshold = series.in_force().expect("in force");
    assert_eq!(threshold.bounds.at(world.now), (Some(40.0), Some(160.0)));
    assert_eq!((threshold.strategy.as_ref(), threshold.confidence.get()), ("imported", 0.9));
    assert_eq!(&*threshold.reasoning, "imported: set by hand");
    assert!(series.active() && (99.0..101.0).contains(&threshold.center));
    let (lower, upper) = threshold.alert.at(world.now);
    assert!(lower < Some(40.0) && upper > Some(160.0), "an alert lies beyond: {lower:?} {upper:?}");
    let breached = world.series(id).tally().breached;
    world.sample(id, 150.0);
    assert_eq!(world.series(id).tally().breached, breached, "the learned bounds would have called it one");
    world.sample(id, 170.0);
    assert_eq!(world.series(id).tally().breached, breached + 1);
}

#[test]
fn the_journal_alone_brings_it_back() {
    let mut world = World::new(Config::default());
    world.learn("latency", 300);
    let parts = world.engine.snapshot();
    let mut import = bounds(40.0, 160.0);
    import.sensitivity = Some(Sensitivity::clamped(3.0));
    import.alert = (Some(-50.0), Some(300.0));
    let events = world.engine.import(&name("latency"), &import, world.now).expect("taken in");
    let mut restored = Engine::restore(Config::default(), Methods::built_in(), 3, &parts, world.now).expect("read");
    for event in &events {
        restored.replay(event, world.now);
    }
    let (live, back) = (world.engine.knowledge().find(&name("latency")), restored.knowledge().find(&name("latency")));
    assert_eq!(live, back);
    let series = back.expect("held");
    assert_eq!(series.sensitivity().get(), 3.0);
    assert!(!series.wants_relearning(), "it would be learned over at once");
    assert_eq!(series.in_force().map(|threshold| threshold.alert.at(world.now)), Some((Some(-50.0), Some(300.0))));
    assert_eq!(world.engine.cycle(world.now).events, restored.cycle(world.now).events);
}

#[test]
fn it_stays_for_an_interval_and_then_gives_way_to_what_is_learned() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let at = world.now;
    let _ = world.engine.import(&name("latency"), &bounds(40.0, 160.0), at).expect("taken in");
    let strategy = |world: &World| world.series(id).in_force().map(|t| t.strategy.to_string()).unwrap_or_default();
    while world.now < at + Span::minutes(55) {
        let value = 100.0 + world.bell();
        world.sample(id, value);
        assert_eq!(strategy(&world), "imported");
    }
    while world.now < at + Span::hours(3) {
        let value = 100.0 + world.bell();
        world.sample(id, value);
    }
    assert_ne!(strategy(&world), "imported");
}

#[test]
fn what_cannot_be_used_is_refused_and_changes_nothing() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let flat = world.intern("flat");
    (0..150).for_each(|_| world.sample(flat, 5.0));
    world.intern("silent");
    let before = world.series(id).clone();
    let mut reversed = bounds(40.0, 160.0);
    reversed.alert = (None, Some(100.0));
    for (series, import, wanted) in [
        ("nobody", bounds(1.0, 2.0), "no such series is known"),
        ("flat", bounds(1.0, 9.0), "not watched, as it is of kind constant"),
        ("silent", bounds(1.0, 9.0), "no sample yet"),
        ("latency", bounds(2.0, 1.0), "lower < upper"),
        ("latency", bounds(f64::NAN, 1.0), "finite"),
        ("latency", Import { bounds: (None, None), ..bounds(0.0, 1.0) }, "not both absent"),
        ("latency", reversed, "at its bound or beyond"),
    ] {
        let error = world.engine.import(&name(series), &import, world.now).expect_err(wanted);
        assert!(error.to_string().contains(wanted), "{series}: {error}");
    }
    let _ = world.engine.freeze(true, "a test".to_owned(), world.now);
    let frozen = world.engine.import(&name("latency"), &bounds(40.0, 160.0), world.now);
    assert_eq!(frozen, Err(NotImported::Frozen));
    assert_eq!(*world.series(id), before);
}

#[test]
fn what_stands_there_already_is_no_change_and_extremes_stay_finite() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let import = bounds(40.0, 160.0);
    assert!(!world.engine.import(&name("latency"), &import, world.now).expect("taken in").is_empty());
    assert_eq!(world.engine.import(&name("latency"), &import, world.now), Ok(Vec::new()));
    for (lower, upper) in [(Some(-f64::MAX), Some(f64::MAX)), (None, Some(-f64::MAX)), (Some(f64::MAX), None)] {
        let import = Import { bounds: (lower, upper), ..import.clone() };
        let taken = world.engine.import(&name("latency"), &import, world.now);
        assert!(taken.as_ref().is_ok_and(|events| !events.is_empty()), "{taken:?}");
        world.now = world.now + Span::from_secs(10);
        let observed = world.engine.observe(&[Sample { series: id, at: world.now, value: 100.0 }], world.now);
        for event in taken.into_iter().flatten().chain(observed.events) {
            let text = serde_json::to_string(&event).expect("an event is JSON");
            // What is not finite would be null, and no event when it is read again.
            serde_json::from_str::<Event>(&text).expect(&text);
        }
    }
}
