//! The keys of `rollout`: how far a new threshold got in the same time.

use crate::world::{World, by_bounds};
use homeostat::config::{Config, Rollout};
use homeostat::event::Event;
use homeostat::knowledge::SeriesId;
use homeostat::replay::data::Direction;
use homeostat::rollout::{Rule, Step};
use homeostat::series::Selector;
use homeostat::time::Span;
use homeostat::units::Ratio;
use std::sync::Arc;

fn ordinary(world: &mut World, ids: &[SeriesId], span: Span) {
    let until = world.now + span;
    while world.now < until {
        for id in ids {
            let value = 100.0 + world.bell();
            world.sample(*id, value);
        }
    }
}

/// Eight series whose first thresholds are tried out for so long, with bursts that only they would page for, or without.
fn steps_with(rollout: Rollout, hours: u64, bursts: bool) -> Vec<Step> {
    let rule = Rule {
        name: "LoadHigh".to_owned(),
        selector: Selector::parse("load").expect("a selector"),
        direction: Direction::Upper,
        inclusive: false,
        literal: 500.0,
        by: vec!["host".to_owned()],
        possible: (f64::NEG_INFINITY, f64::INFINITY),
        hold: Span::ZERO,
    };
    let mut world = World::new(Config { rules: vec![Arc::new(rule)], rollout, ..by_bounds() });
    let ids: Vec<SeriesId> = (0..8).map(|n| world.intern(&format!("load{{host=\"h{n}\"}}"))).collect();
    let begun = |world: &World| world.events.iter().any(|event| matches!(event, Event::RolloutMoved { .. }));
    while !begun(&world) {
        ordinary(&mut world, &ids, Span::minutes(1));
    }
    for _ in 0..hours {
        if bursts {
            ids.iter().for_each(|id| world.sample(*id, 200.0));
        }
        ordinary(&mut world, &ids, Span::hours(1));
    }
    let step = |event: &Event| match event {
        Event::RolloutMoved { to, .. } => Some(*to),
        _ => None,
    };
    let mut steps: Vec<Step> = world.events.iter().filter_map(step).collect();
    steps.dedup();
    steps
}

/// Short steps, so that what one of them changes is seen.
fn short() -> Rollout {
    Rollout { shadow: Span::minutes(20), canary: Span::minutes(20), watch: Span::hours(20), ..Rollout::default() }
}

pub fn shadow(_: &str) {
    let long = Rollout { shadow: Span::hours(20), ..short() };
    assert_eq!(steps_with(short(), 2, false), [Step::Shadow, Step::Canary, Step::Active]);
    assert_eq!(steps_with(long, 2, false), [Step::Shadow]);
}

pub fn canary(_: &str) {
    let long = Rollout { canary: Span::hours(20), ..short() };
    assert_eq!(steps_with(long, 2, false), [Step::Shadow, Step::Canary]);
}

pub fn watch(_: &str) {
    let brief = Rollout { watch: Span::minutes(20), ..short() };
    assert_eq!(steps_with(brief, 2, false)[..4], [Step::Shadow, Step::Canary, Step::Active, Step::Kept]);
}

pub fn share(_: &str) {
    for share in [0.0, 1.0] {
        let all = Rollout { share: Ratio::clamped(share), ..short() };
        assert_eq!(steps_with(all, 2, false), [Step::Shadow, Step::Active], "nobody comes first");
    }
}

pub fn more(_: &str) {
    let taken_back = steps_with(short(), 10, true);
    assert!(matches!(taken_back.last(), Some(Step::RolledBack | Step::Refused)), "{taken_back:?}");
    let any = Rollout { more: homeostat::budget::Budget::None, ..short() };
    assert_eq!(steps_with(any, 10, true), [Step::Shadow, Step::Canary, Step::Active]);
}
