//! What happens where there is less memory than all windows would take: who remembers less, that it still judges, and that it
//! remembers again once there is room.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::analyze::voices;
use homeostat::config::{Config, SeriesRule};
use homeostat::engine::Engine;
use homeostat::event::{Event, Phase};
use homeostat::knowledge::window::Tier;
use homeostat::monitor::Sample;
use homeostat::series::Selector;
use homeostat::time::{Span, Timestamp};
use std::collections::BTreeMap;
use world::{World, certain, name};

const STEP: Span = Span::from_secs(30);

/// Bells around a hundred, every half minute; one in twenty may page.
struct Fleet {
    world: World,
    names: Vec<String>,
}

fn config(memory_max: u64) -> Config {
    let mut config = certain();
    config.limits.memory_max = memory_max;
    let selector = Selector::parse("m{page=\"yes\"}").expect("a selector");
    config.series = vec![SeriesRule { page: Some(true), ..SeriesRule::of(selector) }];
    config
}

impl Fleet {
    fn new(series: usize, memory_max: u64) -> Fleet {
        let mut world = World::new(config(memory_max));
        let page = |n: usize| if n.is_multiple_of(20) { "yes" } else { "no" };
        let names: Vec<String> = (0..series).map(|n| format!("m{{n=\"{n:04}\",page=\"{}\"}}", page(n))).collect();
        names.iter().for_each(|name| _ = world.intern(name));
        Fleet { world, names }
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let _ = self.step(|_| 0.0);
        }
    }

    /// One sample of each, so many sigmas beside its bell; what was decided.
    fn step(&mut self, beside: impl Fn(usize) -> f64) -> Vec<Event> {
        let world = &mut self.world;
        world.now = world.now + STEP;
        let mut samples = Vec::with_capacity(self.names.len());
        for (n, text) in self.names.iter().enumerate() {
            let value = 100.0 + world.bell() + beside(n);
            let series = world.engine.knowledge().id(&name(text)).expect("held");
            samples.push(Sample { series, at: world.now, value });
        }
        let mut events = world.engine.observe(&samples, world.now).events;
        if world.now >= world.engine.next_cycle() {
            events.extend(world.engine.cycle(world.now).events);
        }
        events
    }

    fn tiers(&self) -> BTreeMap<(bool, Tier), usize> {
        let mut tiers = BTreeMap::new();
        for series in self.world.engine.knowledge().series() {
            *tiers.entry((series.pages(), series.tier())).or_default() += 1;
        }
        tiers
    }

    fn bytes(&self) -> u64 {
        self.world.engine.knowledge().series().map(|series| series.bytes()).sum()
    }

    /// Upper bounds of those that may not page, on average.
    fn upper(&self) -> f64 {
        let knowledge = self.world.engine.knowledge();
        let uppers: Vec<f64> = knowledge
            .series()
            .filter(|series| !series.pages())
            .map(|series| {
                series.in_force().and_then(|threshold| threshold.bounds.at(self.world.now).1).expect("in force")
            })
            .collect();
        uppers.iter().sum::<f64>() / uppers.len() as f64
    }

    /// Of how many series five samples far up are told.
    fn told(&mut self, every: usize) -> (usize, usize) {
        let hit = |n: usize| n % every == 1;
        let mut told = 0;
        for _ in 0..5 {
            let events = self.step(|n| if hit(n) { 15.0 } else { 0.0 });
            told += events
                .iter()
                .filter(|event| matches!(event, Event::Alerted(alerted) if alerted.phase == Phase::Onset && alerted.value > 110.0))
                .count();
        }
        (told, (0..self.names.len()).filter(|n| hit(*n)).count())
    }
}

const SMALL: u64 = 16 << 20;
const LARGE: u64 = 512 << 20;

#[test]
fn those_that_are_least_used_remember_hours_and_judge_as_before() {
    let (mut short, mut ample) = (Fleet::new(300, SMALL), Fleet::new(300, LARGE));
    short.run(2_900);
    ample.run(2_900);
    assert_eq!(ample.tiers(), BTreeMap::from([((false, Tier::Exact), 285), ((true, Tier::Exact), 15)]));
    let tiers = short.tiers();
    assert_eq!(tiers.get(&(true, Tier::Exact)), Some(&15), "those that may page remember all: {tiers:?}");
    assert!(tiers.get(&(false, Tier::Hourly)).is_some_and(|hourly| *hourly > 150), "{tiers:?}");
    let room = short.world.engine.knowledge().memory_for_series();
    assert!(
        short.bytes() <= room + room / 20 && ample.bytes() > room,
        "{} and {} of {room}",
        short.bytes(),
        ample.bytes()
    );
    let (by_hours, by_all) = (short.upper(), ample.upper());
    assert!((by_hours - by_all).abs() < 0.15, "bounds from hours {by_hours}, from all samples {by_all}");
    let (told, hit) = short.told(10);
    assert_eq!(told, hit, "incidents that are told");
}

#[test]
fn the_last_tiers_hold_many_series_and_still_judge_and_memory_comes_back_with_room() {
    let mut fleet = Fleet::new(1_100, SMALL);
    fleet.run(1_500);
    let tiers = fleet.tiers();
    assert_eq!(
        tiers.iter().filter(|((pages, tier), _)| *pages && *tier < Tier::Bounds).map(|(_, n)| n).sum::<usize>(),
        55
    );
    let bounds = tiers.get(&(false, Tier::Bounds)).copied().unwrap_or(0);
    assert!(bounds > 300, "without a detector: {tiers:?}");
    let room = fleet.world.engine.knowledge().memory_for_series();
    assert!(fleet.bytes() <= room + room / 20, "{} of {room}, {tiers:?}", fleet.bytes());
    assert!((fleet.upper() - 102.2).abs() < 0.5, "{}", fleet.upper());
    let (told, hit) = fleet.told(10);
    assert!(told >= hit * 95 / 100, "{told} of {hit} incidents are told: {tiers:?}");
    // A new configuration is enough.
    fleet.world.reconfigure(|config| config.limits.memory_max = LARGE);
    fleet.run(40);
    assert!(fleet.tiers().keys().all(|(_, tier)| *tier == Tier::Exact), "{:?}", fleet.tiers());
    let knowledge = fleet.world.engine.knowledge();
    let detecting = knowledge.series().filter(|series| !voices(knowledge, series).is_empty()).count();
    assert!(detecting > 1_000, "detectors that began anew: {detecting}");
}

#[test]
fn tiers_outlive_a_restart_and_do_not_depend_on_shards() {
    let mut fleet = Fleet::new(300, SMALL);
    fleet.run(1_500);
    let engine = &fleet.world.engine;
    let tiers = |engine: &Engine| -> Vec<Tier> { engine.knowledge().series().map(|series| series.tier()).collect() };
    let parts = engine.snapshot();
    let again = Engine::restore(config(SMALL), Methods::built_in(), 3, &parts, fleet.world.now).expect("restored");
    assert_eq!(tiers(&again), tiers(engine));
    assert!(tiers(engine).contains(&Tier::Hourly));
    // Both go on in the same way.
    let mut other = Fleet { world: World::new(Config::default()), names: fleet.names.clone() };
    other.world.engine = again;
    other.world.now = fleet.world.now;
    for n in 0..200 {
        let beside = move |series: usize| ((series * 7919 + n * 104_729) % 1000) as f64 / 250.0;
        let [one, two] = [&mut fleet, &mut other].map(|fleet| {
            let at = Timestamp::from_millis(fleet.world.now.millis() + 30_000);
            fleet.world.now = at;
            let knowledge = fleet.world.engine.knowledge();
            let samples: Vec<Sample> = fleet
                .names
                .iter()
                .enumerate()
                .map(|(n, text)| Sample {
                    series: knowledge.id(&name(text)).expect("held"),
                    at,
                    value: 100.0 + beside(n),
                })
                .collect();
            let mut events = fleet.world.engine.observe(&samples, at).events;
            if at >= fleet.world.engine.next_cycle() {
                events.extend(fleet.world.engine.cycle(at).events);
            }
            events
        });
        assert_eq!(one, two, "step {n}");
    }
    let bodies =
        |engine: &Engine| -> Vec<usize> { engine.knowledge().series().map(|series| series.window().len()).collect() };
    assert_eq!(bodies(&fleet.world.engine), bodies(&other.world.engine));
}
