//! The whole loop on simulated time: what a user of the engine would notice.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::analyze::voices;
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::event::{Event, Phase};
use homeostat::execute::Setting;
use homeostat::feedback::{LoopKind, Subject, Verdict};
use homeostat::monitor::{Fate, Sample, Why};
use homeostat::time::{Span, Timestamp};
use std::collections::BTreeMap;
use world::{World, by_bounds, certain, name};

#[test]
fn a_series_is_learned_as_soon_as_it_has_enough_samples_and_then_judged() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 99);
    assert!(world.series(id).learned().is_none());
    world.learn("latency", 1);
    world.cycle();
    let threshold = world.series(id).in_force().expect("learned at a hundred");
    let (lower, upper) = threshold.bounds.at(world.now);
    assert!((95.0..99.5).contains(&lower.expect("lower")), "{threshold:?}");
    assert!((100.5..105.0).contains(&upper.expect("upper")), "{threshold:?}");
    assert!(threshold.confidence.get() > 0.5 && !threshold.reasoning.is_empty());
}

#[test]
fn an_alert_begins_after_two_samples_far_out_and_ends_after_two_inside() {
    let mut world = World::new(by_bounds());
    let id = world.learn("latency", 300);
    world.events.clear();
    world.sample(id, 200.0);
    assert!(!world.events.iter().any(|event| matches!(event, Event::Alerted(_))), "one sample is no alert");
    for value in [200.0, 200.0, 100.0, 100.0] {
        world.sample(id, value);
    }
    let phases =
        world.events.iter().filter_map(|event| if let Event::Alerted(a) = event { Some(a.phase) } else { None });
    assert_eq!(phases.collect::<Vec<_>>(), [Phase::Onset, Phase::End]);
}

#[test]
fn the_detector_alerts_at_the_first_sample_far_out_and_says_why() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 600);
    world.events.clear();
    (0..6).for_each(|_| world.sample(id, 200.0));
    let onset = world.events.iter().find_map(|event| match event {
        Event::Alerted(alerted) if alerted.phase == Phase::Onset => Some(alerted.clone()),
        _ => None,
    });
    let onset = onset.expect("an alert");
    assert_eq!((onset.value, onset.why.map(Why::as_str)), (200.0, Some("far above what was to be expected")));
    assert!(onset.bounds.1.is_some_and(|upper| upper < 110.0), "{:?}", onset.bounds);
    world.learn("latency", 30);
    assert!(world.series(id).alert_since().is_none(), "it ended");
    assert_eq!(world.series(id).tally().alerts, 1);
}

#[test]
fn each_feature_of_the_detector_tells_how_strange_it_finds_the_newest_sample() {
    let mut world = World::new(certain());
    let early = world.learn("latency", 60);
    assert!(voices(world.engine.knowledge(), world.series(early)).is_empty(), "too early to say anything");
    let id = world.learn("latency", 600);
    let heard = |world: &World| -> BTreeMap<&str, bool> {
        let heard = voices(world.engine.knowledge(), world.series(id)).into_iter();
        heard.map(|voice| (voice.feature.word(), voice.rarity > voice.level)).collect()
    };
    let quiet = heard(&world);
    let names = ["above", "below", "drifting", "high", "low", "restless", "stuck"];
    assert!(quiet.keys().eq(names.iter()) && quiet.values().all(|loud| !loud), "{quiet:?}");
    let before = world.series(id).clone();
    assert_eq!(heard(&world), quiet);
    assert_eq!(*world.series(id), before, "asking teaches it nothing");
    world.sample(id, 200.0);
    let loud = heard(&world);
    assert!(loud["high"] && loud["above"] && !loud["low"] && !loud["below"] && !loud["stuck"], "{loud:?}");
    world.learn("latency", 300);
    let still = world.series(id).window().newest().expect("a sample").1;
    (0..30).for_each(|_| world.sample(id, still));
    assert!(heard(&world)["stuck"], "{:?}", heard(&world));
    let mut world = World::new(by_bounds());
    let id = world.learn("latency", 600);
    assert!(voices(world.engine.knowledge(), world.series(id)).is_empty(), "bounds alone have no features");
}

#[test]
fn an_alert_that_mattered_costs_nothing_of_the_budget_and_one_that_did_not_makes_the_next_rarer() {
    let after = |verdict: Option<Verdict>| {
        let mut world = World::new(certain());
        let id = world.learn("latency", 600);
        (0..3).for_each(|_| world.sample(id, 200.0));
        assert!(world.series(id).alert_since().is_some());
        if let Some(verdict) = verdict {
            world.verdict("latency", verdict);
        }
        world.learn("latency", 1_000);
        let rate = world.series(id).alerts().per_week(world.now).expect("hours");
        // How far out a value has to lie to alert now.
        let mut probe = 102.0;
        while world.series(id).alert_since().is_none() && probe < 200.0 {
            probe += 0.5;
            world.sample(id, probe);
            world.learn("latency", 5);
            let newest = world.series(id).tally().alerts;
            if newest > 1 {
                break;
            }
        }
        (rate, probe)
    };
    let (unjudged, mattered, did_not) = (after(None), after(Some(Verdict::True)), after(Some(Verdict::False)));
    assert_eq!(mattered.0, 0.0);
    assert!(unjudged.0 > 0.0 && (did_not.0 - unjudged.0).abs() < 1e-9, "{unjudged:?} {did_not:?}");
    assert!(mattered.1 <= unjudged.1 && unjudged.1 < did_not.1, "{mattered:?} {unjudged:?} {did_not:?}");
}

/// Says something of a stretch of the past of a series.
fn say(world: &mut World, series: &str, verdict: Verdict, subject: Subject) {
    world.say(series, verdict, subject);
    world.cycle();
}

#[test]
fn a_time_that_mattered_is_no_longer_learned_from_and_one_that_did_not_is_again() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 600);
    let upper = world.upper(id);
    let from = world.now + Span::from_secs(5);
    // Too little to alert, for half an hour.
    for _ in 0..180 {
        let value = 102.0 + 1.5 * world.bell();
        world.sample(id, value);
    }
    let until = world.now + Span::from_secs(1);
    world.learn("latency", 420);
    let carried_away = world.upper(id);
    assert!(carried_away > upper + 0.3, "{upper} {carried_away}");
    say(&mut world, "latency", Verdict::Missed, Subject::Period { from, until });
    assert_eq!(world.series(id).masked(), 180);
    let why = &world.series(id).learned().expect("learned").reasoning;
    assert!(why.contains("without 180 of alerts") && world.upper(id) < carried_away - 0.3, "{why}");
    say(&mut world, "latency", Verdict::False, Subject::Period { from, until });
    assert_eq!(world.series(id).masked(), 0);
    assert!(world.upper(id) > upper + 0.3);
}

#[test]
fn since_a_change_point_it_is_another_series() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 400);
    let changed = world.now + Span::from_secs(5);
    for _ in 0..200 {
        let value = 130.0 + world.bell();
        world.sample(id, value);
    }
    say(&mut world, "latency", Verdict::True, Subject::ChangePoint { at: changed });
    let series = world.series(id);
    assert_eq!(series.level(), Some(changed));
    let learned = series.learned().expect("learned");
    assert_eq!(learned.supporting.statistics.count, 200);
    assert!(learned.supporting.statistics.min > 120.0);
    world.events.clear();
    for _ in 0..100 {
        let value = 130.0 + world.bell();
        world.sample(id, value);
    }
    assert!(!world.events.iter().any(|event| matches!(event, Event::Alerted(a) if a.phase == Phase::Onset)));
}

#[test]
fn a_new_series_knows_from_those_like_it_what_to_expect() {
    // A metric with a heavy tail: what is far out for a bell is ordinary here.
    let alerts = |siblings: &[&str]| {
        let mut world = World::seeded(certain(), 5);
        let heavy = |world: &mut World, scale: f64| {
            scale * (1.0 + 0.05 * world.bell() + (-4.0 * world.share().ln()).powi(2) / 60.0)
        };
        for name in siblings {
            let id = world.intern(name);
            let idle = name.contains("idle");
            for _ in 0..if idle { 3_001 } else { 3_000 } {
                let value = if idle { 20.0 } else { heavy(&mut world, 20.0) };
                world.sample(id, value);
            }
        }
        let id = world.intern(r#"latency{host="new"}"#);
        for _ in 0..60 {
            // Another level, the same shape.
            let value = heavy(&mut world, 300.0);
            world.sample(id, value);
        }
        let quiet = world.series(id).tally().alerts;
        (0..3).for_each(|_| world.sample(id, 30_000.0));
        (quiet, world.series(id).alert_since().is_some())
    };
    assert_eq!(alerts(&[r#"latency{host="old"}"#]), (0, true), "at its sixtieth sample it can tell");
    let beside_idle = alerts(&[r#"latency{host="idle"}"#, r#"latency{host="old"}"#]);
    assert_eq!(beside_idle, (0, true), "one that has more samples and never moved has nothing to tell");
    assert_eq!(alerts(&[]), (0, false), "alone it is too early");
    assert_eq!(alerts(&[r#"queue{host="old"}"#]), (0, false), "another metric says nothing of it");
}

#[test]
fn the_detector_finds_a_line_that_no_longer_moves_within_its_bounds() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 600);
    let still = world.series(id).window().newest().expect("a sample").1;
    world.events.clear();
    (0..30).for_each(|_| world.sample(id, still));
    let onsets = world.events.iter().filter_map(|event| match event {
        Event::Alerted(alerted) if alerted.phase == Phase::Onset => alerted.why,
        _ => None,
    });
    assert_eq!(onsets.collect::<Vec<_>>(), [Why::Stuck]);
}

#[test]
fn a_false_verdict_widens_the_bounds_by_the_next_cycle_and_a_missed_one_narrows_them() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    let (sensitivity, upper) = (world.series(id).sensitivity().get(), world.upper(id));
    let signal = world.verdict("latency", Verdict::False);
    world.cycle();
    assert!(world.series(id).sensitivity().get() > sensitivity);
    let wider = world.upper(id);
    assert!(wider > upper, "{wider} {upper}");
    let action = world.engine.knowledge().actions().last().expect("an action");
    assert_eq!((action.of, action.adjustment.cause), (LoopKind::AnomalyFeedback, signal));
    world.verdict("latency", Verdict::Missed);
    world.cycle();
    assert!(world.upper(id) < wider);
}

#[test]
fn a_snapshot_goes_on_as_if_nothing_had_happened_also_in_another_number_of_shards() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    world.verdict("latency", Verdict::False);
    let parts = world.engine.snapshot();
    let mut restored =
        Engine::restore(Config::default(), Methods::built_in(), 3, &parts, world.now).expect("a snapshot is readable");
    assert_eq!(restored.snapshot()[0], parts[0], "the general part is the same");
    let name = world.series(id).name().clone();
    assert_eq!(restored.knowledge().find(&name), Some(world.series(id)));
    let (one, other) = (world.engine.cycle(world.now).events, restored.cycle(world.now).events);
    assert_eq!(one, other, "and so is what it decides next");
}

#[test]
fn a_series_that_moved_loses_trust_and_still_gets_new_bounds_within_hours() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 300);
    for _ in 0..6 * 360 {
        let value = 200.0 + world.bell();
        world.sample(id, value);
    }
    let series = world.series(id);
    let breaches = series.breaches_in_last(100);
    assert!(breaches < 20, "{breaches} of the last 100 breach {:?}", series.in_force().map(|t| &t.bounds));
}

#[test]
fn who_was_sampled_least_recently_gives_way_also_when_another_had_been_idle_before() {
    let mut config = Config::default();
    config.limits.series_max = 3;
    let mut world = World::new(config);
    let [a, b, _] = ["a", "b", "c"].map(|name| world.learn(name, 1));
    world.wait(Span::minutes(6));
    world.intern("d");
    assert!(world.engine.knowledge().get(a).is_none(), "the first to be sampled was the first to go");
    // b was idle with it, and comes back; c stays away.
    world.sample(b, 1.0);
    world.wait(Span::minutes(6));
    world.intern("e");
    let held: Vec<&str> = world.engine.knowledge().series().map(|series| series.name().as_str()).collect();
    assert_eq!(held, ["b", "d", "e"]);
    // Who still has the id of a series that went finds nothing, and it is counted.
    let late = homeostat::monitor::Sample { series: a, at: world.now, value: 1.0 };
    assert_eq!(world.engine.observe(&[late], world.now).fates.of(homeostat::monitor::Fate::UnknownSeries), 1);
}

#[test]
fn an_incident_is_not_learned_as_ordinary_and_the_next_one_is_found() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 600);
    let level = |world: &World| world.series(id).in_force().and_then(|t| t.alert.at(world.now).1).expect("a level");
    for _ in 0..3 {
        for _ in 0..30 {
            let value = 140.0 + world.bell();
            world.sample(id, value);
        }
        world.learn("latency", 600);
        assert!(level(&world) < 120.0, "{}", level(&world));
    }
    let series = world.series(id);
    assert_eq!((series.tally().alerts, series.masked()), (3, 117), "each with the nine samples that ended it");
    let why = &series.learned().expect("learned").reasoning;
    assert!(why.contains("without 117 of alerts") || why.contains("without 78 of alerts"), "{why}");
}

#[test]
fn bounds_that_proved_wrong_are_withdrawn_and_their_alert_ends_with_them() {
    let mut world = World::new(by_bounds());
    let id = world.learn("latency", 120);
    assert!(world.series(id).in_force().is_some());
    // It wanders off, and nothing that is learned on the way can be trusted.
    let mut value = 100.0;
    for _ in 0..400 {
        value += 5.0 + 2.0 * world.bell();
        world.sample(id, value);
    }
    let withdrawn = world.events.iter().position(|event| {
        matches!(event, Event::ChangeDispatched { change } if change.knob.series().is_some() && change.to == Setting::Unset)
    });
    let after = &world.events[withdrawn.expect("withdrawn")..];
    assert!(matches!(&after[1], Event::Alerted(alerted) if alerted.phase == Phase::End), "{:?}", after[1]);
    assert!(world.series(id).alert_since().is_none());
}

#[test]
fn a_series_that_moved_forgets_its_old_level() {
    let mut world = World::new(Config::default());
    let id = world.learn("latency", 600);
    for _ in 0..1_200 {
        let value = 110.0 + world.bell();
        world.sample(id, value);
    }
    let threshold = world.series(id).in_force().expect("learned");
    assert!(threshold.level_since.is_some());
    let (lower, upper) = threshold.bounds.at(world.now);
    assert!(lower.is_some_and(|lower| lower > 105.0) && upper.is_some_and(|upper| upper < 115.0), "{threshold:?}");
}

#[test]
fn a_series_that_its_source_ends_ends_its_alert_and_comes_back_with_a_rate_of_its_own() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 300);
    (0..3).for_each(|_| world.sample(id, 1e4));
    let seen = world.series(id).last_seen();
    world.events.clear();
    world.sample(id, f64::from_bits(0x7ff0_0000_0000_0002));
    let ended = |event: &Event| matches!(event, Event::Alerted(alerted) if alerted.phase == Phase::End);
    assert!(world.events.iter().any(ended) && world.series(id).alert_since().is_none());
    assert_eq!(world.series(id).last_seen(), seen, "a marker is no sign of life");

    let counter = world.intern("requests_total");
    (1..=20).for_each(|n| world.sample(counter, 100.0 * f64::from(n)));
    world.sample(counter, f64::from_bits(0x7ff0_0000_0000_0002));
    let held = world.series(counter).window().len();
    world.sample(counter, 1e6);
    assert_eq!(world.series(counter).window().len(), held, "what came in between is not known");
}

#[test]
fn what_is_forgotten_in_alert_ends_its_alert_first() {
    let mut config = certain();
    config.limits.series_ttl = Span::hours(1);
    let mut world = World::new(config);
    let id = world.learn("latency", 300);
    (0..3).for_each(|_| world.sample(id, 1e4));
    world.events.clear();
    world.wait(Span::hours(2));
    world.cycle();
    let at = |wanted: fn(&Event) -> bool| world.events.iter().position(wanted).expect("it happened");
    let end = at(|event| matches!(event, Event::Alerted(alerted) if alerted.phase == Phase::End));
    assert!(end < at(|event| matches!(event, Event::SeriesForgotten { .. })));
}

#[test]
fn moments_and_infos_are_held_and_not_watched_and_states_are_found_where_a_source_says_gauge() {
    let mut world = World::new(certain());
    for name in ["backup_last_success_timestamp_seconds", "thing_created", "app_info"] {
        let id = world.intern(name);
        (0..120).for_each(|n| world.sample(id, 1.7e9 + f64::from(n)));
        assert_eq!((world.series(id).kind(), world.series(id).watched()), (Kind::Info, false), "{name}");
    }
    let up = world.engine.intern(&world::name("up"), Some(Kind::Gauge), world.now).expect("there is room");
    (0..120).for_each(|n| world.sample(up, f64::from(u8::from(n % 10 != 0))));
    assert_eq!(world.series(up).kind(), Kind::State);
    let six = world.intern("phase");
    (0..120).for_each(|n| world.sample(six, f64::from(n % 6)));
    assert_eq!(world.series(six).kind(), Kind::State, "six values");
    let seven = world.intern("step");
    (0..120).for_each(|n| world.sample(seven, f64::from(n % 7)));
    assert_eq!(world.series(seven).kind(), Kind::Gauge, "seven are too many");
}

#[test]
fn what_was_seen_for_a_shorter_time_than_is_planned_ahead_gives_no_alert_and_grows_up_by_doubling() {
    let mut world = World::new(certain());
    let id = world.intern("latency");
    let second = |world: &mut World, value: f64| {
        world.now = world.now + Span::from_secs(1);
        let observed = world.engine.observe(&[Sample { series: id, at: world.now, value }], world.now);
        world.events.extend(observed.events);
        if world.now >= world.engine.next_cycle() {
            world.cycle();
        }
    };
    let calm = |world: &mut World, seconds: u32| {
        for _ in 0..seconds {
            let value = 100.0 + world.bell();
            second(world, value);
        }
    };
    calm(&mut world, 110);
    assert!(world.series(id).in_force().is_some_and(|threshold| threshold.young));
    (0..2).for_each(|_| second(&mut world, 1e4));
    let series = world.series(id);
    assert!(
        series.alert_since().is_none() && series.tally().breached >= 2,
        "{:?} {:?}",
        series.tally(),
        series.alert_since()
    );
    calm(&mut world, 600);
    assert!(world.series(id).in_force().is_some_and(|threshold| !threshold.young), "long before an hour");
    // What a detector alerts at by itself waits for half an hour.
    calm(&mut world, 1_200);
    (0..5).for_each(|_| second(&mut world, 1e4));
    assert!(world.series(id).alert_since().is_some());
}

#[test]
fn verdicts_on_alerts_say_how_many_were_false_and_those_missed_how_much_was_found() {
    let mut world = World::new(certain());
    let id = world.learn("latency", 300);
    (0..5).for_each(|_| _ = world.verdict("latency", Verdict::False));
    assert_eq!(world.engine.knowledge().false_share(world.now), None, "nothing was alerted");
    (0..3).for_each(|_| world.sample(id, 1e4));
    let (said, missed) = ([Verdict::True, Verdict::True, Verdict::True, Verdict::False], Verdict::Missed);
    said.into_iter().chain([Verdict::True, missed]).for_each(|verdict| _ = world.verdict("latency", verdict));
    let knowledge = world.engine.knowledge();
    assert_eq!(knowledge.false_share(world.now), Some(0.2));
    assert_eq!(knowledge.detection_accuracy(world.now), Some(0.8));
    let later = world.now + Span::hours(25);
    assert_eq!((knowledge.false_share(later), knowledge.detection_accuracy(later)), (None, None), "a day old");
}

#[test]
fn a_row_of_history_from_years_ahead_is_too_new_and_silences_nothing() {
    let mut world = World::new(certain());
    let ids = ["latency", "jobs_total", r#"wait_bucket{le="1"}"#].map(|name| world.intern(name));
    for id in ids {
        let mut history: Vec<(Timestamp, f64)> =
            (0..50_u64).map(|n| (world.now - Span::minutes(50 - n), n as f64)).collect();
        history.push((world.now + Span::minutes(10), 50.0));
        history.push((world.now + Span::minutes(10) + Span::from_millis(1), 51.0));
        history.push((world.now + Span::hours(24 * 3650), 52.0));
        let fates = world.engine.backfill(id, &history, world.now).fates;
        assert_eq!((fates.of(Fate::TooNew), fates.total()), (2, 53));
        assert_eq!(world.series(id).fates().of(Fate::TooNew), 2, "counted of the series");
    }
    assert_eq!(world.engine.knowledge().fates().of(Fate::TooNew), 6);
    world.now = world.now + Span::hours(1);
    for id in &ids[..2] {
        let observed = world.engine.observe(&[Sample { series: *id, at: world.now, value: 60.0 }], world.now);
        assert_eq!(observed.fates.of(Fate::Admitted), 1, "what comes next is let in");
    }
}

#[test]
fn what_was_expected_of_changes_of_a_series_that_leaves_is_settled_before_it_does() {
    let mut config = certain();
    config.limits.series_ttl = Span::minutes(10);
    let mut world = World::new(config);
    let id = world.intern("m");
    let of = |world: &World| -> Vec<u64> {
        world.engine.knowledge().find(&name("m")).map_or(Vec::new(), |m| m.pending().map(|p| p.change.id).collect())
    };
    for _ in 0..1_000 {
        if !of(&world).is_empty() {
            break;
        }
        let value = 100.0 + world.bell();
        world.sample(id, value);
    }
    let pending = of(&world);
    assert!(!pending.is_empty(), "its threshold is in force, and nobody knows yet how that does");
    world.events.clear();
    // It ends before anything is due.
    world.wait(Span::minutes(12));
    let at = |wanted: &dyn Fn(&Event) -> bool| world.events.iter().position(wanted);
    let settled = at(&|event| matches!(event, Event::ChangeSettled { outcome } if pending.contains(&outcome.change)));
    let left = at(&|event| matches!(event, Event::SeriesForgotten { .. }));
    assert!(settled.expect("settled") < left.expect("it ended"));
    assert!(of(&world).is_empty() && world.engine.knowledge().pending().all(|p| p.change.knob.series().is_none()));
}
