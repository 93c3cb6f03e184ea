//! What people do about alerts, beside what they say: it counts less, once, and not after a word.

mod world;

use homeostat::event::Event;
use homeostat::feedback::weights::Feature;
use homeostat::feedback::{Subject, Verdict};
use homeostat::plan::state::SystemState;
use homeostat::time::{Span, Timestamp};
use world::{World, certain};

/// A series that was learned, the sensitivity it started with, and when it alerted.
fn alerted() -> (World, homeostat::knowledge::SeriesId, f64, Timestamp) {
    let mut world = World::new(certain());
    let id = world.learn("load", 2000);
    for _ in 0..6 {
        world.sample(id, 400.0);
    }
    for _ in 0..60 {
        let value = 100.0 + world.bell();
        world.sample(id, value);
    }
    let onset = world.events.iter().find_map(|event| match event {
        Event::Alerted(alerted) => Some(alerted.at),
        _ => None,
    });
    let prior = world.series(id).sensitivity().get();
    // How far a step goes follows the state; it stands still here.
    world.force(SystemState::Healthy);
    world.cycles(40);
    (world, id, prior, onset.expect("it alerted"))
}

/// The sensitivity after these, each with a cycle: what was said, with the weight of what was done.
fn after(said: &[(Verdict, Option<f64>)]) -> (f64, f64, f32) {
    let (mut world, id, prior, at) = alerted();
    for (n, (verdict, weight)) in said.iter().enumerate() {
        // Another moment of the same alert.
        let about = Subject::Moment { at: at + Span::from_secs(n as u64) };
        world.imply("load", *verdict, about, *weight);
        world.cycle();
    }
    let series = world.series(id);
    let high = [Feature::High, Feature::Above].map(|feature| series.weights().get(feature));
    (prior, series.sensitivity().get(), high[0].min(high[1]))
}

#[test]
fn what_was_done_moves_by_its_weight_and_once() {
    let (prior, said, heard) = after(&[(Verdict::False, None)]);
    let (_, done, heard_less) = after(&[(Verdict::False, Some(0.5))]);
    assert!(said > prior && heard < 1.0, "{prior} {said} {heard}");
    assert!((done - prior - (said - prior) / 2.0).abs() < 1e-9, "half a step: {prior} {done} {said}");
    assert!(heard < heard_less && heard_less < 1.0, "{heard} {heard_less}");
    let again = after(&[(Verdict::False, Some(0.5)), (Verdict::False, Some(0.5)), (Verdict::False, Some(0.5))]);
    assert_eq!((again.1, again.2), (done, heard_less), "three silences of one alert are one");
}

#[test]
fn a_word_takes_the_place_of_what_was_done_and_what_is_done_after_it_says_nothing() {
    let (prior, word, heard) = after(&[(Verdict::True, None)]);
    let overruled = after(&[(Verdict::False, Some(0.5)), (Verdict::True, None)]);
    // The step is taken back from where it led: what is left of it is a step of the step.
    assert!((overruled.1 - word).abs() < 0.02 * prior, "{overruled:?} {word}");
    assert!((overruled.2 - heard).abs() < 0.02, "{overruled:?} {heard}");
    let after_word = after(&[(Verdict::True, None), (Verdict::False, Some(0.5))]);
    assert_eq!((after_word.1, after_word.2), (word, heard));
    let twice = after(&[(Verdict::False, Some(0.5)), (Verdict::False, None), (Verdict::False, None)]);
    let two_words = after(&[(Verdict::False, None), (Verdict::False, None)]);
    assert!((twice.1 - two_words.1).abs() < 0.02 * prior, "{twice:?} {two_words:?}");
}

#[test]
fn what_was_done_says_nothing_of_how_many_alerts_were_false() {
    let (mut world, id, _, at) = alerted();
    let before = world.series(id).verdicts();
    world.imply("load", Verdict::False, Subject::Moment { at }, Some(0.5));
    assert_eq!(world.series(id).verdicts(), before);
    world.say("load", Verdict::False, Subject::Moment { at });
    assert_eq!(world.series(id).verdicts(), before + 1);
    // A snapshot keeps what was said: the word still stands over what is done later.
    let sensitivity = |world: &mut World| {
        world.imply("load", Verdict::False, Subject::Moment { at }, Some(0.5));
        world.cycle();
        world.series(id).sensitivity().get()
    };
    let parts = world.engine.snapshot();
    let methods = homeostat::analyze::strategy::Methods::built_in();
    let engine = homeostat::engine::Engine::restore(certain(), methods, 8, &parts, world.now).expect("whole");
    let mut again = World::new(certain());
    (again.engine, again.now) = (engine, world.now);
    assert_eq!(sensitivity(&mut again), sensitivity(&mut world));
}
