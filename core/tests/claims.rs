//! What a confidence claimed is held against what came of it, in the running loop.

mod world;

use homeostat::config::Config;
use homeostat::event::{Alerted, Event, Phase};
use homeostat::feedback::{Subject, Verdict};
use homeostat::knowledge::SeriesId;
use homeostat::knowledge::claims::{Running, Tenth};
use homeostat::monitor::Sample;
use homeostat::time::{Span, Timestamp};
use world::World;

const STEP: Span = Span::minutes(5);
const DAY: Span = Span::hours(24);

fn world(seed: u64) -> World {
    println!("seed {seed}");
    World::seeded(Config { budget: "1 per week".parse().expect("a budget"), ..Config::default() }, seed)
}

/// So many days of a bell, with two hours far out at the noon of each of `bad`. Says when alerts began.
fn days(world: &mut World, id: SeriesId, count: u64, bad: &[u64]) -> Vec<Timestamp> {
    let began = world.now;
    let from = world.events.len();
    while world.now < began + DAY.scaled(count as f64) {
        world.now = world.now + STEP;
        let hours = world.now.since(began).secs() / 3600.0;
        let is_bad = bad.contains(&((hours / 24.0) as u64)) && (12.0..14.0).contains(&(hours % 24.0));
        let value = 100.0 + world.bell() + if is_bad { 80.0 } else { 0.0 };
        let observed = world.engine.observe(&[Sample { series: id, at: world.now, value }], world.now);
        world.events.extend(observed.events);
        if world.now >= world.engine.next_cycle() {
            world.events.extend(world.engine.cycle(world.now).events);
        }
    }
    let onset = |event: &Event| match event {
        Event::Alerted(Alerted { phase: Phase::Onset, at, .. }) => Some(*at),
        _ => None,
    };
    world.events[from..].iter().filter_map(onset).collect()
}

/// What a person says of the alert that began then.
fn say(world: &mut World, verdict: Verdict, at: Timestamp) {
    world.say("load", verdict, Subject::Moment { at });
}

fn settled(world: &World) -> Vec<Running> {
    let claim = |event: &Event| match event {
        Event::ClaimSettled { claim, .. } => Some(*claim),
        _ => None,
    };
    world.events.iter().filter_map(claim).collect()
}

#[test]
fn a_quiet_week_keeps_the_claim_and_is_counted_once() {
    let mut world = world(1);
    let id = world.intern("load");
    days(&mut world, id, 6, &[]);
    assert_eq!(world.engine.knowledge().claims().all(), Tenth::default(), "its week is not over");
    let said = world.series(id).claim().expect("a claim runs").said;
    days(&mut world, id, 3, &[]);
    let all = world.engine.knowledge().claims().all();
    assert_eq!((all.kept, all.broken, all.said), (1, 0, said));
    assert!(world.series(id).claim().is_some_and(|next| next.since > settled(&world)[0].since), "the next one runs");
    days(&mut world, id, 14, &[]);
    assert_eq!(world.engine.knowledge().claims().all().kept, 3);
}

#[test]
fn more_pages_than_the_budget_break_it_unless_a_person_calls_them_true() {
    for verdict in [None, Some(Verdict::True)] {
        let mut world = world(2);
        let id = world.intern("load");
        days(&mut world, id, 2, &[]);
        let since = world.series(id).claim().expect("a claim runs").since;
        let mut pages = 0;
        for _ in 0..6 {
            for at in days(&mut world, id, 1, &[0]) {
                pages += 1;
                if let Some(verdict) = verdict {
                    say(&mut world, verdict, at);
                }
            }
        }
        let claim = settled(&world).into_iter().find(|claim| claim.since == since).expect("its week is over");
        assert!(pages >= 4, "{pages} pages");
        assert_eq!(claim.holds(), verdict.is_some(), "{verdict:?}: {claim:?} of {pages} pages");
        let all = world.engine.knowledge().claims().all();
        assert_eq!(all.broken > 0, verdict.is_none(), "{all:?}");
    }
}

#[test]
fn without_a_budget_nothing_is_claimed() {
    let mut world = World::seeded(Config { budget: "none".parse().expect("a budget"), ..Config::default() }, 3);
    let id = world.intern("load");
    days(&mut world, id, 9, &[]);
    assert_eq!(world.series(id).claim(), None);
    assert_eq!(settled(&world), []);
}

#[test]
fn one_alert_is_excused_once_however_often_it_is_called_true() {
    let mut world = world(4);
    let id = world.intern("load");
    days(&mut world, id, 2, &[]);
    let alerts: Vec<Timestamp> = (0..3).flat_map(|_| days(&mut world, id, 1, &[0])).collect();
    let pages = world.series(id).claim().expect("a claim runs").pages;
    assert!(pages >= 3, "{pages} pages at {alerts:?}");
    let last = *alerts.last().expect("it alerted");
    (0..5).for_each(|_| say(&mut world, Verdict::True, last));
    assert_eq!(world.series(id).claim().expect("it still runs").pages, pages - 1);
}

#[test]
fn a_week_of_which_little_was_seen_says_nothing() {
    let mut world = world(5);
    let id = world.intern("load");
    days(&mut world, id, 2, &[]);
    world.now = world.now + DAY.scaled(6.0);
    days(&mut world, id, 1, &[]);
    let all = world.engine.knowledge().claims().all();
    assert_eq!((all.kept, all.broken, all.void, all.said), (0, 0, 1, 0.0));
}
