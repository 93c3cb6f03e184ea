//! What repeats by the clock: it is found, bounds and alerts follow it, and where nothing repeats nothing changes.

mod world;

use homeostat::analyze::learn::{Request, learn};
use homeostat::analyze::strategy::Methods;
use homeostat::analyze::strategy::adaptive::Merit;
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Judged, Sample};
use homeostat::stats::{Scratch, Trend};
use homeostat::threshold::{Bounds, Rival, Threshold};
use homeostat::time::{Span, Timestamp};
use homeostat::units::Sensitivity;
use std::f64::consts::TAU;
use world::{World, by_bounds, name};

const DAY: Span = Span::hours(24);
const STEP: Span = Span::minutes(5);

/// Midnight before the start of all windows: 14 November 2023, a Tuesday.
const MIDNIGHT: Timestamp = Timestamp::from_secs(1_699_920_000);

fn at(days: u64, hours: u64) -> Timestamp {
    MIDNIGHT + DAY.scaled(days as f64) + Span::hours(hours)
}

/// Between 20 at midnight and 100 at noon.
fn daily(at: Timestamp) -> f64 {
    60.0 - 40.0 * (TAU * at.since(MIDNIGHT).secs() / DAY.secs()).cos()
}

/// The same on five days, and 20 on the last two of the week.
fn weekly(at: Timestamp) -> f64 {
    // The first day is a Tuesday.
    let weekday = (at.since(MIDNIGHT).millis() / DAY.millis() + 1) % 7;
    if weekday < 5 { daily(at) } else { 20.0 }
}

/// Two months of samples fit.
fn patient(strategy: &'static str) -> Config {
    let mut config = by_bounds();
    config.learning.strategy = strategy.into();
    config.learning.learning_window = Span::hours(60 * 24);
    // So far ahead a morning's climb, gone on in a line, would be out of everything that was ever seen.
    config.states.healthy.planning_lookahead = Span::hours(3);
    config
}

/// So many days of history at five minutes, learned from.
fn lived(strategy: &'static str, seed: u64, days: u64, shape: fn(Timestamp) -> f64) -> (World, SeriesId) {
    let mut world = World::seeded(patient(strategy), seed);
    world.now = at(days, 0);
    world.engine = Engine::new(patient(strategy), world.now);
    let id = world.intern("load");
    let steps = days * DAY.millis() / STEP.millis();
    let history: Vec<(Timestamp, f64)> = (0..steps)
        .map(|n| {
            let at = MIDNIGHT + STEP.scaled(n as f64);
            (at, shape(at) + 3.0 * world.bell())
        })
        .collect();
    let _ = world.engine.backfill(id, &history, world.now);
    world.cycle();
    (world, id)
}

fn learned(world: &World, id: SeriesId) -> Threshold {
    world.series(id).learned().expect("a threshold is learned").clone()
}

/// Judges the next days as they come; how many breached, and how many samples lay in an alert.
fn live(world: &mut World, id: SeriesId, days: u64, shape: fn(Timestamp) -> f64) -> (usize, usize, usize) {
    let (mut seen, mut breaches, mut alerts) = (0, 0, 0);
    let until = world.now + DAY.scaled(days as f64);
    while world.now < until {
        world.now = world.now + STEP;
        let value = shape(world.now) + 3.0 * world.bell();
        let sample = Sample { series: id, at: world.now, value };
        let _ = world.engine.observe_each(&[sample], world.now, |_, _, said: &Judged| {
            seen += 1;
            breaches += usize::from(said.breach);
            alerts += usize::from(said.alert);
        });
        if world.now >= world.engine.next_cycle() {
            world.cycle();
        }
    }
    (seen, breaches, alerts)
}

#[test]
fn a_day_is_found_by_itself_and_noons_value_at_three_in_the_morning_is_a_breach() {
    let (mut world, id) = lived("adaptive", 5, 21, daily);
    let threshold = learned(&world, id);
    assert_eq!(threshold.strategy, "seasonal", "{:?}", threshold.rivals);
    assert!(threshold.reasoning.contains("by time of day, in 96 parts of 15m"), "{}", threshold.reasoning);
    assert_eq!(threshold.supporting.trend, Trend::Stable);
    assert!(threshold.confidence.get() >= 0.6, "{:?}", threshold.confidence);
    // The others see a band from 20 to 100; noon is 100 and three in the morning is 32.
    for (hours, ordinary) in [(12, 100.0), (3, 31.7), (0, 20.0), (18, 60.0)] {
        let (lower, upper) = threshold.bounds.at(at(40, hours));
        let (lower, upper) = (lower.expect("lower"), upper.expect("upper"));
        assert!((lower..=upper).contains(&ordinary) && upper - lower < 30.0, "{hours} h: {lower} to {upper}");
        let (low, high) = threshold.alert.at(at(40, hours));
        let (low, high) = (low.expect("lower"), high.expect("upper"));
        assert!(low < lower && upper < high && high - low < 80.0, "{hours} h: alert outside {low} to {high}");
    }
    // Three days go as the others did; then noon comes at night.
    let (seen, breaches, alerts) = live(&mut world, id, 3, daily);
    assert_eq!(alerts, 0, "an ordinary peak is no alert");
    let foreseen = |event: &Event| matches!(event, Event::Forecasted { crosses_at: Some(_), .. });
    assert!(!world.events.iter().any(foreseen), "and an ordinary morning leads nowhere");
    assert!(breaches * 10 < seen, "{breaches} of {seen}");
    world.now = at(24, 3);
    let mut said = Judged::default();
    for n in 0..4 {
        let sample = Sample { series: id, at: world.now + STEP.scaled(f64::from(n)), value: 100.0 };
        let _ = world.engine.observe_each(&[sample], sample.at, |_, _, judged| said = *judged);
    }
    assert!(said.breach && said.alert, "{said:?}");
}

#[test]
fn a_week_is_found_where_the_week_end_differs() {
    let (mut world, id) = lived("adaptive", 6, 28, weekly);
    let threshold = learned(&world, id);
    assert_eq!(threshold.strategy, "seasonal", "{:?}", threshold.rivals);
    assert!(threshold.reasoning.contains("by time of week, in 168 parts of 1h"), "{}", threshold.reasoning);
    // Noon of a Saturday (the fifth day from a Tuesday) is as quiet as its night; noon of a Tuesday is not.
    let upper = |days| threshold.bounds.at(at(days, 12)).1.expect("upper");
    assert!(upper(32) < 50.0 && upper(35) > 90.0, "{} {}", upper(32), upper(35));
    let (seen, breaches, alerts) = live(&mut world, id, 7, weekly);
    assert_eq!(alerts, 0, "a week-end is no alert");
    assert!(breaches * 8 < seen, "{breaches} of {seen}");
}

/// One window, learned by `adaptive` without an engine.
fn from_window(times: &[i64], values: &[f64], strategy: &'static str) -> Option<Threshold> {
    let methods = Methods::built_in();
    let request = Request {
        kind: Kind::Gauge,
        at: times,
        values,
        level_since: None,
        masked: 0,
        set_aside: 0,
        reckoning: &homeostat::calendar::PLAIN,
        methods: &methods,
        wanted: &strategy.into(),
        keep: None,
        sensitivity: Sensitivity::DEFAULT,
        default_sensitivity: Sensitivity::DEFAULT,
        claim: None,
        trust: 1.0,
        merits: &[],
        preference: &|_| 1.0,
        lookahead: Span::minutes(5),
        young_under: Span::minutes(5),
        now: Timestamp::from_millis(times[times.len() - 1]),
    };
    learn(&request, &mut Scratch::default())
}

#[test]
fn forty_five_minutes_are_found_in_a_day_of_the_default_window() {
    let mut world = World::seeded(by_bounds(), 9);
    let times: Vec<i64> = (0..8_640).map(|n| MIDNIGHT.millis() + n * 10_000).collect();
    let wave = |at: i64| 50.0 + 10.0 * (TAU * at as f64 / 2_700_000.0).sin();
    let values: Vec<f64> = times.iter().map(|at| wave(*at) + world.bell()).collect();
    let threshold = from_window(&times, &values, "adaptive").expect("a threshold");
    assert_eq!(threshold.strategy, "seasonal");
    assert_eq!(threshold.bounds.period(), Some(Span::minutes(45)));
    assert!(threshold.reasoning.contains("by the part of 45m, in 48 parts of 56s250ms"), "{}", threshold.reasoning);
}

#[test]
fn enclosed_bounds_hold_95_percent_of_their_own_window_on_each_side() {
    let mut world = World::seeded(by_bounds(), 10);
    let times: Vec<i64> = (0..4_032).map(|n| MIDNIGHT.millis() + n * 300_000).collect();
    // Skewed: a tenth of the samples lies far above the rest.
    let values: Vec<f64> = times
        .iter()
        .map(|at| {
            daily(Timestamp::from_millis(*at)) + if world.share() < 0.1 { 30.0 * world.share() } else { world.bell() }
        })
        .collect();
    let threshold = from_window(&times, &values, "adaptive").expect("a threshold");
    assert_eq!(threshold.strategy, "seasonal");
    let share = |is: &dyn Fn(f64, Option<f64>, Option<f64>) -> bool, bounds: &Bounds| {
        let held = times.iter().zip(&values).filter(|(at, value)| {
            let (lower, upper) = bounds.at(Timestamp::from_millis(**at));
            is(**value, lower, upper)
        });
        held.count() as f64 / values.len() as f64
    };
    let under = |value: f64, _: Option<f64>, upper: Option<f64>| upper.is_none_or(|upper| value <= upper);
    let over = |value: f64, lower: Option<f64>, _: Option<f64>| lower.is_none_or(|lower| value >= lower);
    for (bounds, wanted) in [(&threshold.bounds, 0.95), (&threshold.alert, 0.99)] {
        assert!(share(&under, bounds) >= wanted && share(&over, bounds) >= wanted, "{wanted}: {bounds:?}");
    }
    assert!(threshold.reasoning.contains("brought out to hold 95 %"), "{}", threshold.reasoning);
    let effective = threshold.supporting.effective_count;
    assert!((1.0..=4_032.0).contains(&effective), "{effective} independent samples");
}

#[test]
fn noise_and_walks_are_given_no_season() {
    let times: Vec<i64> = (0..2_016).map(|n| MIDNIGHT.millis() + n * 300_000).collect();
    for (what, memory) in [("white noise", 0.0), ("a random walk", 1.0)] {
        let seasonal = (1..=200)
            .filter(|seed| {
                let mut world = World::seeded(by_bounds(), *seed);
                let mut level = 0.0;
                let values: Vec<f64> = times
                    .iter()
                    .map(|_| {
                        level = memory * level + world.bell();
                        level
                    })
                    .collect();
                from_window(&times, &values, "seasonal").is_some()
            })
            .count();
        assert!(seasonal <= 6, "{what}: {seasonal} of seeds 1 to 200");
    }
}

#[test]
fn a_strategy_that_finds_no_season_says_nothing_and_adaptive_goes_on_without_it() {
    let mut world = World::seeded(by_bounds(), 4);
    let times: Vec<i64> = (0..2_016).map(|n| MIDNIGHT.millis() + n * 300_000).collect();
    let values: Vec<f64> = times.iter().map(|_| world.bell()).collect();
    assert_eq!(from_window(&times, &values, "seasonal"), None);
    let threshold = from_window(&times, &values, "adaptive").expect("a threshold");
    assert!(threshold.rivals.iter().all(|rival| rival.strategy != "seasonal"), "{:?}", threshold.rivals);
    assert!(threshold.rivals.iter().any(|rival| rival.strategy == "extreme_value" && rival.loss.is_some()));
    // A day is seen once in the default window: not enough.
    let day = &times[..288];
    let values: Vec<f64> = day.iter().map(|at| daily(Timestamp::from_millis(*at))).collect();
    assert_eq!(from_window(day, &values, "seasonal"), None);
}

#[test]
fn a_level_that_rises_under_a_day_is_a_rise_and_a_day_alone_is_none() {
    let times: Vec<i64> = (0..2_016).map(|n| MIDNIGHT.millis() + n * 300_000 + 21_600_000).collect();
    for (rise, wanted) in [(0.0, Trend::Stable), (20.0, Trend::Increasing)] {
        let right = (1..=40)
            .filter(|seed| {
                let mut world = World::seeded(by_bounds(), *seed);
                let values: Vec<f64> = times
                    .iter()
                    .enumerate()
                    .map(|(n, at)| daily(Timestamp::from_millis(*at)) + rise * n as f64 / 2_016.0 + 3.0 * world.bell())
                    .collect();
                let threshold = from_window(&times, &values, "seasonal").expect("a day seven times");
                threshold.supporting.trend == wanted
            })
            .count();
        assert!(right >= 38, "a rise of {rise}: {right} of seeds 1 to 40 read {wanted:?}");
    }
}

#[test]
fn losses_of_bounds_that_follow_the_clock_are_taken_at_each_samples_time_and_survive_a_snapshot() {
    let (mut world, id) = lived("adaptive", 7, 14, daily);
    live(&mut world, id, 2, daily);
    let merits = world.series(id).merits();
    let of = |name: &str| merits.iter().find(|merit| merit.strategy == name).expect(name);
    let (seasonal, sigma) = (of("seasonal"), of("sigma"));
    assert!(seasonal.count >= 200 && seasonal.count == sigma.count, "{} {}", seasonal.count, sigma.count);
    // At the wanted level the cost is mostly a twentieth of the width: 12 against 110.
    assert!(seasonal.loss < 0.3 * sigma.loss, "{} {}", seasonal.loss, sigma.loss);
    let parts = world.engine.snapshot();
    let restored = Engine::restore(patient("adaptive"), Methods::built_in(), 3, &parts, world.now)
        .expect("a snapshot is readable");
    let there = restored.knowledge().find(&name("load")).expect("held");
    assert_eq!(there.merits(), merits);
    assert_eq!(there.learned(), world.series(id).learned());
    // The engine goes on to choose by what was measured.
    assert_eq!(learned(&world, id).strategy, "seasonal");
}

#[test]
fn rivals_and_losses_from_before_there_were_seasons_are_read() {
    let rival: Rival =
        serde_json::from_str(r#"{"strategy":"iqr","lower":1.0,"upper":2.0,"loss":0.5}"#).expect("as it was written");
    assert_eq!((rival.at(MIDNIGHT), rival.at(at(3, 7))), ((Some(1.0), Some(2.0)), (Some(1.0), Some(2.0))));
    #[derive(serde::Serialize)]
    struct Before {
        strategy: &'static str,
        lower: f64,
        upper: f64,
        loss: f64,
        count: u64,
    }
    let before = Before { strategy: "iqr", lower: f64::NEG_INFINITY, upper: 2.0, loss: 0.5, count: 300 };
    let bytes = rmp_serde::to_vec_named(&before).expect("plain data");
    let mut merit: Merit = rmp_serde::from_slice(&bytes).expect("as it was written");
    merit.see(MIDNIGHT, 2.5, 0.975);
    assert!(merit.count == 301 && merit.loss.is_finite(), "{merit:?}");
}
