//! Every key of the configuration, changed on a running engine: what it then does differently.
//!
//! The table at the end names a check for each key, and a test compares it with the keys that there are: a key without a
//! check fails, so none can be added that nothing reads.

mod rollout;
mod series;
mod states;
#[path = "../world/mod.rs"]
mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::budget::Budget;
use homeostat::config::{Config, Kind, Limit, SeriesRule};
use homeostat::engine::Engine;
use homeostat::event::{Event, Forgotten};
use homeostat::feedback::{LoopKind, Verdict};
use homeostat::monitor::{Fate, Sample};
use homeostat::plan::guard::Refusal;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::Selector;
use homeostat::time::Span;
use homeostat::time::zone::Zone;
use homeostat::units::{Confidence, Ratio, Sensitivity};
use homeostat::versus::StaticBounds;
use std::collections::BTreeSet;
use world::{World, certain, name};

// --- learning -------------------------------------------------------------------------------------------------------

fn learning_window(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 400);
    assert_eq!(world.series(id).window().len(), 400);
    world.reconfigure(|config| config.learning.learning_window = Span::from_secs(2_000));
    world.sample(id, 100.0);
    assert_eq!(world.series(id).window().span(), Span::from_secs(2_000));
    // It is the door's limit too: what is older is refused.
    let late = Sample { series: id, at: world.now - Span::from_secs(2_001), value: 1.0 };
    assert_eq!(world.engine.observe(&[late], world.now).fates.of(Fate::TooOld), 1);
}

fn window_len(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 300);
    world.reconfigure(|config| config.learning.window_len = 150);
    world.sample(id, 100.0);
    assert_eq!(world.series(id).window().len(), 150);
    world.reconfigure(|config| config.learning.window_len = 200);
    world.learn("latency", 100);
    assert_eq!(world.series(id).window().len(), 200);
}

fn min_data_points(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 60);
    world.cycle();
    assert!(world.series(id).learned().is_none());
    world.reconfigure(|config| config.learning.min_data_points = 50);
    world.cycle();
    assert!(world.series(id).learned().is_some());
    // Age alone leaves so many: the rest of the window is gone after a day of silence.
    world.reconfigure(|config| config.limits.series_ttl = Span::hours(24 * 30));
    world.wait(Span::hours(25));
    world.sample(id, 100.0);
    assert_eq!(world.series(id).window().len(), 50);
}

fn optimization_interval(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 200);
    let learned_at = world.series(id).learned_at();
    world.learn("latency", 100);
    assert_eq!(world.series(id).learned_at(), learned_at, "not within the hour");
    world.reconfigure(|config| config.learning.optimization_interval = Span::minutes(5));
    world.learn("latency", 100);
    let learned_at = world.series(id).learned_at().expect("learned");
    assert!(world.now.since(learned_at) <= Span::minutes(7), "{learned_at} {}", world.now);
}

fn confidence_min(_: &str) {
    let mut world = World::new(certain());
    world.reconfigure(|config| config.learning.confidence_min = Confidence::clamped(1.0));
    let id = world.learn("latency", 150);
    assert!(world.series(id).learned().is_some() && world.series(id).in_force().is_none());
    world.reconfigure(|config| config.learning.confidence_min = Confidence::clamped(0.1));
    world.cycle();
    assert!(world.series(id).active());
}

fn learning_sensitivity(_: &str) {
    let mut world = World::new(certain());
    let (id, judged) = (world.learn("latency", 200), world.learn("queue", 200));
    world.verdict("queue", Verdict::False);
    world.cycle();
    let (before, own) = (world.upper(id), world.series(judged).sensitivity());
    world.reconfigure(|config| config.learning.sensitivity = Sensitivity::clamped(2.5));
    world.cycle();
    assert_eq!(world.series(id).sensitivity().get(), 2.5);
    assert!(world.upper(id) > before + 0.2, "{} {before}", world.upper(id));
    assert_eq!(world.series(judged).sensitivity(), own, "what a person said stays");
    // Also when the file was changed while nothing ran.
    let mut config = certain();
    config.learning.sensitivity = Sensitivity::clamped(3.0);
    let parts = world.engine.snapshot();
    let restored = Engine::restore(config, Methods::built_in(), 8, &parts, world.now).expect("readable");
    let of = |series: &str| restored.knowledge().find(&name(series)).expect("held").sensitivity();
    assert_eq!((of("latency").get(), of("queue")), (3.0, own));
}

fn learning_strategy(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 200);
    for wanted in ["percentile", "sigma", "iqr", "robust", "ewma"] {
        world.reconfigure(|config| config.learning.strategy = wanted.into());
        world.learn("latency", 400);
        let threshold = world.series(id).learned().expect("learned");
        assert_eq!(threshold.strategy, wanted);
    }
}

fn timezone(_: &str) {
    let mut config = certain();
    config.learning.strategy = "seasonal".into();
    config.learning.learning_window = Span::hours(24 * 30);
    let mut world = World::new(config);
    let id = world.intern("load");
    let step = Span::minutes(10);
    let begin = world.now - Span::hours(24 * 14);
    let history: Vec<_> = (0..14 * 144)
        .map(|n| {
            let turn = f64::from(n % 144) / 144.0 * std::f64::consts::TAU;
            (begin + step.scaled(f64::from(n)), 50.0 * turn.sin() + world.bell())
        })
        .collect();
    let _ = world.engine.backfill(id, &history, world.now);
    world.cycle();
    let zone = |world: &World| {
        let threshold = world.series(id).learned().expect("learned");
        assert_eq!(threshold.bounds.period(), Some(Span::hours(24)));
        threshold.bounds.zone().map(str::to_owned)
    };
    assert_eq!(zone(&world), None);
    world.reconfigure(|config| config.learning.timezone = Zone::named("Europe/Berlin").expect("known"));
    world.cycle();
    assert_eq!(zone(&world).as_deref(), Some("Europe/Berlin"));
}

// --- feedback -------------------------------------------------------------------------------------------------------

fn signal_history(_: &str) {
    let mut world = World::new(certain());
    (0..20).for_each(|n| _ = world.evidence(EvidenceKind::HostProcessor, f64::from(n) / 100.0));
    world.reconfigure(|config| config.feedback.signal_history = 5);
    let last = |world: &World| world.engine.knowledge().signals().iter().map(|signal| signal.value).collect::<Vec<_>>();
    assert_eq!(last(&world), [0.15, 0.16, 0.17, 0.18, 0.19]);
    world.evidence(EvidenceKind::HostProcessor, 0.2);
    assert_eq!(last(&world), [0.16, 0.17, 0.18, 0.19, 0.2]);
}

fn action_history(_: &str) {
    let mut world = World::new(certain());
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 5);
    assert_eq!(world.engine.knowledge().actions().len(), 10);
    world.reconfigure(|config| config.feedback.action_history = 3);
    assert_eq!(world.engine.knowledge().actions().len(), 3);
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 1);
    assert_eq!((world.engine.knowledge().actions().len(), world.engine.knowledge().actions().total()), (3, 12));
}

const PERFORMANCE: LoopKind = LoopKind::PerformanceAdaptation;

/// Which of the adjustments that come were withheld.
fn withheld(world: &mut World, hours: u64) -> Vec<bool> {
    world.events.clear();
    for _ in 0..6 * hours {
        world.evidence(EvidenceKind::CycleLatency, 0.4);
        world.cycle();
        world.wait(Span::minutes(9));
    }
    let fate = |event: &Event| match event {
        Event::Withheld { by: PERFORMANCE, .. } => Some(true),
        Event::Adjusted { by: PERFORMANCE, .. } => Some(false),
        _ => None,
    };
    world.events.iter().filter_map(fate).collect()
}

fn withhold(_: &str) {
    let mut world = World::new(Config::default());
    world.reconfigure(|config| config.feedback.withhold = Ratio::ZERO);
    let none = withheld(&mut world, 10);
    assert!(none.len() > 50 && none.iter().all(|withheld| !withheld));
    world.reconfigure(|config| config.feedback.withhold = Ratio::clamped(0.5));
    let half = withheld(&mut world, 20);
    let share = half.iter().filter(|withheld| **withheld).count() as f64 / half.len() as f64;
    assert!((0.35..0.65).contains(&share), "{share} of {}", half.len());
}

fn seed(_: &str) {
    let run = |seed: u64| {
        let mut world = World::new(Config::default());
        let start = withheld(&mut world, 5);
        world.reconfigure(|config| config.feedback.seed = seed);
        (start, withheld(&mut world, 20))
    };
    assert_eq!(run(1).0, run(2).0);
    assert_ne!(run(1).1, run(2).1, "another seed, another run");
    assert_eq!(run(2), run(2), "the same seed, the same run");
}

// --- execution ------------------------------------------------------------------------------------------------------

fn freeze(_: &str) {
    let mut world = World::new(certain());
    let id = world.learn("latency", 200);
    world.reconfigure(|config| config.execution.freeze = true);
    assert!(world.engine.knowledge().frozen());
    let (sensitivity, judged) = (world.series(id).sensitivity(), world.series(id).tally().judged);
    world.verdict("latency", Verdict::False);
    world.events.clear();
    world.cycles(3);
    world.sample(id, 100.0);
    assert_eq!(world.series(id).sensitivity(), sensitivity);
    assert_eq!(world.series(id).tally().judged, judged + 1, "it goes on judging");
    assert!(!world.events.iter().any(|event| matches!(event, Event::ChangeDispatched { .. } | Event::Adjusted { .. })));
    world.reconfigure(|config| config.execution.freeze = false);
    world.cycle();
    assert!(world.series(id).sensitivity() > sensitivity, "what was said meanwhile was not lost");
}

fn changes_per_hour(_: &str) {
    let mut world = World::new(certain());
    world.reconfigure(|config| config.execution.changes_per_hour = 1);
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 10);
    assert_eq!(world.memory(PERFORMANCE).actions, 2, "one for each of the two knobs");
    let (_, _, refused) = world.engine.knowledge().losses();
    assert!(refused >= 18, "{refused}");
    assert_eq!(world.engine.knowledge().refused(Refusal::TooOften), refused, "all for the one reason");
    let rest = Refusal::ALL.into_iter().filter(|because| *because != Refusal::TooOften);
    assert_eq!(rest.map(|because| world.engine.knowledge().refused(because)).sum::<u64>(), 0);
    world.reconfigure(|config| config.execution.changes_per_hour = 4);
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 10);
    assert_eq!(world.memory(PERFORMANCE).actions, 8);
}

// --- limits ---------------------------------------------------------------------------------------------------------

fn series_max(_: &str) {
    let mut world = World::new(certain());
    (0..3).for_each(|n| _ = world.learn(&format!("series_{n}"), 1));
    world.reconfigure(|config| config.limits.series_max = 3);
    let refused = world.engine.intern(&name("fourth"), None, world.now).expect_err("all are alive");
    assert_eq!(refused.series_max, 3);
    // Who has been silent for more than five minutes gives way.
    world.wait(Span::minutes(6));
    assert!(world.engine.intern(&name("fourth"), None, world.now).is_ok());
    assert_eq!(world.engine.knowledge().series_count(), 3);
    assert!(world.engine.knowledge().find(&name("series_0")).is_none(), "the least recently sampled");
    world.reconfigure(|config| config.limits.series_max = 4);
    assert!(world.engine.intern(&name("fifth"), None, world.now).is_ok());
    assert_eq!(world.engine.knowledge().series_count(), 4);
}

fn series_ttl(_: &str) {
    let mut world = World::new(certain());
    world.learn("latency", 5);
    world.wait(Span::hours(2));
    assert_eq!(world.engine.knowledge().series_count(), 1);
    world.reconfigure(|config| config.limits.series_ttl = Span::hours(1));
    world.cycle();
    assert_eq!(world.engine.knowledge().series_count(), 0);
    let ended = |event: &Event| matches!(event, Event::SeriesForgotten { because: Forgotten::Ended, .. });
    assert_eq!(world.events.iter().filter(|event| ended(event)).count(), 1);
}

/// The engine cannot see its own memory: whoever runs it measures the share, of this number. What the engine does with the
/// share is checked at `states.limits.own_memory`; here, that a number nobody could stay under is refused.
fn memory_max(key: &str) {
    let mut world = World::new(certain());
    let mut config = certain();
    config.limits.memory_max = 1 << 20;
    assert_eq!(world.engine.reconfigure(config, world.now).expect_err("too little to run in").key, key);
    assert_eq!(world.engine.knowledge().config().limits.memory_max, Config::default().limits.memory_max, "none of it");
    world.reconfigure(|config| config.limits.memory_max = 64 << 20);
    assert_eq!(world.engine.knowledge().config().limits.memory_max, 64 << 20);
}

// --- the table ------------------------------------------------------------------------------------------------------

type Check = fn(&str);

/// A key, or all that begin so when it ends in a point, and what has to happen when it is changed.
const CHECKS: &[(&str, Check)] = &[
    ("learning.learning_window", learning_window),
    ("learning.window_len", window_len),
    ("learning.min_data_points", min_data_points),
    ("learning.optimization_interval", optimization_interval),
    ("learning.confidence_min", confidence_min),
    ("learning.sensitivity", learning_sensitivity),
    ("learning.strategy", learning_strategy),
    ("learning.timezone", timezone),
    ("states.limits.optimizing_processor_max", states::optimizing_processor_max),
    ("states.limits.", states::state_limit),
    ("states.healthy.", states::row),
    ("states.optimizing.", states::row),
    ("states.degraded.", states::row),
    ("states.critical.", states::row),
    ("states.recovering.", states::row),
    ("feedback.signal_history", signal_history),
    ("feedback.action_history", action_history),
    ("feedback.withhold", withhold),
    ("feedback.seed", seed),
    ("execution.freeze", freeze),
    ("execution.changes_per_hour", changes_per_hour),
    ("limits.series_max", series_max),
    ("limits.series_ttl", series_ttl),
    ("limits.memory_max", memory_max),
    ("rollout.shadow", rollout::shadow),
    ("rollout.canary", rollout::canary),
    ("rollout.watch", rollout::watch),
    ("rollout.share", rollout::share),
    ("rollout.more", rollout::more),
    ("series[].match", series::series_match),
    ("series[].kind", series::series_kind),
    ("series[].watch", series::series_watch),
    ("series[].owner", series::series_owner),
    ("series[].page", series::series_page),
    ("budget", series::budget),
    ("series[].budget", series::series_budget),
    ("series[].share_budget", series::series_share_budget),
    ("series[].sensitivity", series::series_sensitivity),
    ("series[].strategy", series::series_strategy),
    ("series[].static.", series::series_static),
];

fn check_of(key: &str) -> Option<Check> {
    let named = |known: &str| known == key || (known.ends_with('.') && key.starts_with(known));
    CHECKS.iter().find(|(known, _)| named(known)).map(|(_, check)| *check)
}

/// Every key there is, as `section.key`, from a configuration in which nothing is left out.
fn keys() -> BTreeSet<String> {
    fn walk(path: &str, value: &serde_json::Value, keys: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                walk(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, keys);
            }),
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(&format!("{path}[]"), item, keys)),
            _ => _ = keys.insert(path.to_owned()),
        }
    }
    let mut full = Config::default();
    full.states.limits.false_share.critical = Some(Limit { enter: 0.9, leave: 0.8 });
    // Without `..`: a new key of a rule does not compile until it is written here.
    full.series = vec![SeriesRule {
        selector: Selector::parse("latency").expect("a name"),
        kind: Some(Kind::Gauge),
        watch: Some(true),
        page: Some(true),
        budget: Some(Budget::ONE_PER_WEEK),
        share_budget: Some(true),
        owner: Some("storage team".into()),
        sensitivity: Some(Sensitivity::DEFAULT),
        strategy: Some("sigma".into()),
        fixed: Some(StaticBounds { upper: Some(2.0), lower: Some(1.0), hold: Span::minutes(5) }),
    }];
    let mut keys = BTreeSet::new();
    walk("", &serde_json::to_value(&full).expect("a configuration is JSON"), &mut keys);
    keys
}

fn run(section: &str) {
    let keys = keys();
    let mine: Vec<&String> = keys.iter().filter(|key| key.starts_with(section)).collect();
    assert!(!mine.is_empty(), "{section} has keys");
    for key in mine {
        println!("{key}");
        check_of(key).unwrap_or_else(|| panic!("{key} has no check: nothing shows that it does anything"))(key);
    }
}

#[test]
fn every_key_has_a_check_and_every_check_a_key() {
    let keys = keys();
    let unchecked: Vec<&String> = keys.iter().filter(|key| check_of(key).is_none()).collect();
    assert!(unchecked.is_empty(), "keys that nothing shows to do anything: {unchecked:?}");
    for (known, _) in CHECKS.iter() {
        assert!(keys.iter().any(|key| key == known || (known.ends_with('.') && key.starts_with(known))), "{known}");
    }
    assert!(keys.len() >= 70, "{}", keys.len());
}

#[test]
fn keys_of_the_rollout_change_how_far_new_thresholds_get() {
    run("rollout.");
}

#[test]
fn keys_of_learning_change_how_it_learns() {
    run("learning.");
}

#[test]
fn limits_of_the_states_change_when_they_are_entered_and_left() {
    run("states.limits.");
}

#[test]
fn rows_of_the_states_change_the_parameters_in_force() {
    SystemState::ALL.iter().for_each(|state| run(&format!("states.{state}.")));
}

#[test]
fn keys_of_feedback_change_what_is_kept_and_withheld() {
    run("feedback.");
}

#[test]
fn keys_of_execution_change_what_goes_out() {
    run("execution.");
}

#[test]
fn keys_of_limits_change_how_much_is_held() {
    run("limits.");
}

#[test]
fn keys_of_the_budget_change_how_often_ordinary_samples_alert() {
    run("budget");
}

#[test]
fn keys_of_a_series_rule_change_that_series_alone() {
    run("series[].");
}

#[test]
fn what_is_refused_changes_nothing_at_all() {
    let mut world = World::new(certain());
    let mut config = certain();
    config.learning.sensitivity = Sensitivity::clamped(5.0);
    config.learning.strategy = "magic".into();
    assert_eq!(world.engine.reconfigure(config, world.now).expect_err("no such strategy").key, "learning.strategy");
    assert_eq!(*world.engine.knowledge().config(), certain());
}
