//! The clocks on the wall and what people know beforehand: each is watched for what it changes, with it and without.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::calendar::{Calendar, Entry, Occasion};
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::{Alerted, Event, Phase};
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Judged, Sample};
use homeostat::series::Selector;
use homeostat::time::zone::Zone;
use homeostat::time::{Span, Timestamp};
use std::sync::Arc;
use world::{World, by_bounds, certain, name};

const STEP: Span = Span::minutes(10);
const HOUR_MS: i64 = 3_600_000;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn berlin() -> Zone {
    Zone::named("Europe/Berlin").expect("known")
}

/// Open from nine to five by the clocks of Berlin, every day.
fn opening_hours(at: Timestamp) -> f64 {
    let hour = berlin().local(at).rem_euclid(24 * HOUR_MS) / HOUR_MS;
    if (9..17).contains(&hour) { 100.0 } else { 20.0 }
}

/// Two months of samples fit.
fn patient(mut config: Config) -> Config {
    config.learning.learning_window = Span::hours(60 * 24);
    config.states.healthy.planning_lookahead = Span::hours(3);
    config
}

fn calendar(occasion: Occasion, from: &str, until: &str) -> Arc<Calendar> {
    let entry = Entry { from: at(from), until: at(until), name: "the one".into() };
    Arc::new(Calendar::new(occasion, None, vec![entry]))
}

/// How samples were judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Told {
    seen: usize,
    breaches: usize,
    alerts: usize,
}

/// A series that is followed from one time to another.
struct Followed {
    world: World,
    id: SeriesId,
}

impl Followed {
    fn new(config: Config, seed: u64, from: &str) -> Followed {
        let mut world = World::seeded(config.clone(), seed);
        world.now = at(from);
        world.engine = Engine::new(config, world.now);
        let id = world.intern("load");
        Followed { world, id }
    }

    fn until(&mut self, until: &str, shape: impl Fn(Timestamp) -> f64) -> Told {
        let mut told = Told::default();
        while self.world.now < at(until) {
            self.world.now = self.world.now + STEP;
            let value = shape(self.world.now) + self.world.bell();
            let sample = Sample { series: self.id, at: self.world.now, value };
            let observed = self.world.engine.observe_each(&[sample], self.world.now, |_, _, said: &Judged| {
                told.seen += 1;
                told.breaches += usize::from(said.breach);
                told.alerts += usize::from(said.alert);
            });
            self.world.events.extend(observed.events);
            if self.world.now >= self.world.engine.next_cycle() {
                self.world.cycle();
            }
        }
        told
    }

    fn onsets(&self) -> Vec<&Alerted> {
        let alerts = self.world.events.iter().filter_map(|event| match event {
            Event::Alerted(alerted) => Some(alerted),
            _ => None,
        });
        alerts.filter(|alerted| alerted.phase == Phase::Onset).collect()
    }

    fn bounds(&self, when: &str) -> (f64, f64) {
        let (lower, upper) = self.world.series(self.id).in_force().expect("learned").bounds.at(at(when));
        (lower.expect("lower"), upper.expect("upper"))
    }
}

/// A month of winter, then the week after the clocks went forward on 29 March 2026.
fn over_the_change(mut config: Config, zone: Zone) -> (Followed, Told) {
    config.learning.timezone = zone;
    let mut followed = Followed::new(patient(config), 3, "2026-03-01T00:00:00Z");
    followed.until("2026-03-29T00:00:00Z", opening_hours);
    let told = followed.until("2026-04-05T00:00:00Z", opening_hours);
    (followed, told)
}

#[test]
fn bounds_follow_the_clocks_on_the_wall_and_with_utc_are_off_by_an_hour() {
    let mut seasonal = by_bounds();
    seasonal.learning.strategy = "seasonal".into();
    let (local, with) = over_the_change(seasonal.clone(), berlin());
    let threshold = local.world.series(local.id).in_force().expect("learned");
    assert_eq!(threshold.bounds.zone(), Some("Europe/Berlin"), "{}", threshold.reasoning);
    assert!(threshold.reasoning.contains("in Europe/Berlin"), "{}", threshold.reasoning);
    assert!(with.breaches * 12 < with.seen && with.alerts == 0, "{with:?}");
    let (_, without) = over_the_change(seasonal, Zone::UTC);
    assert!(without.breaches > 2 * with.breaches && without.alerts > 0, "{with:?} {without:?}");
    // Half past eight in the morning, by the clocks in Berlin: shut in winter and in summer alike.
    let mut followed = local;
    followed.until("2026-04-06T00:00:00Z", opening_hours);
    let (_, before) = followed.bounds("2026-03-20T07:30:00Z");
    let (_, after) = followed.bounds("2026-04-06T06:30:00Z");
    assert!(before < 60.0 && after < 60.0, "{before} {after}");
    let (open, _) = followed.bounds("2026-04-06T07:30:00Z");
    assert!(open > 60.0, "half past nine, and open: {open}");
}

#[test]
fn the_detector_takes_the_change_for_nothing_by_the_clocks_and_for_strange_by_utc() {
    let (_, with) = over_the_change(certain(), berlin());
    let (_, without) = over_the_change(certain(), Zone::UTC);
    assert!(with.alerts <= 10, "single samples of noise, as any week: {with:?}");
    assert!(without.alerts > 10 * with.alerts, "hours of a day that is off by one: {without:?} {with:?}");
}

#[test]
fn what_was_learned_by_a_clock_is_read_by_it_after_a_restart() {
    let mut config = by_bounds();
    config.learning.strategy = "seasonal".into();
    let (followed, _) = over_the_change(config, berlin());
    let Followed { world, .. } = &followed;
    let config = world.engine.knowledge().config().clone();
    let restored = |config: Config| {
        Engine::restore(config, Methods::built_in(), 3, &world.engine.snapshot(), world.now).expect("a snapshot")
    };
    let engine = restored(config.clone());
    let in_force = |engine: &Engine| engine.knowledge().find(&name("load")).and_then(|s| s.in_force().cloned());
    assert_eq!(in_force(&engine), in_force(&world.engine));
    assert!(!engine.knowledge().find(&name("load")).is_some_and(|series| series.wants_relearning()));
    // Another clock in the configuration: what is in force stays readable, and is learned anew.
    let mut elsewhere = config;
    elsewhere.learning.timezone = Zone::named("Asia/Tokyo").expect("known");
    let engine = restored(elsewhere);
    assert_eq!(in_force(&engine), in_force(&world.engine));
    assert!(engine.knowledge().find(&name("load")).is_some_and(|series| series.wants_relearning()));
}

/// Three days at 100, two hours at another level, and the rest of the day at 100.
fn over_an_incident(mut config: Config, occasion: Option<Occasion>) -> (Followed, Told, Told) {
    let (from, until) = ("2026-03-04T12:00:00Z", "2026-03-04T14:00:00Z");
    config.calendars.extend(occasion.map(|occasion| calendar(occasion, from, until)));
    let mut followed = Followed::new(config, 5, "2026-03-01T00:00:00Z");
    followed.until(from, |_| 100.0);
    // What it alerted for in its first days is another story.
    followed.world.events.clear();
    let during = followed.until("2026-03-04T13:50:00Z", |_| 140.0);
    let after = followed.until("2026-03-05T00:00:00Z", |_| 100.0);
    (followed, during, after)
}

#[test]
fn in_maintenance_nothing_pages_and_nothing_is_learned() {
    // The one in force may be from before: where bounds stay, learning again is no news.
    let mut said = false;
    for (config, what) in [(certain(), "auto"), (by_bounds(), "adaptive")] {
        let (bare, told, _) = over_an_incident(config.clone(), None);
        assert!(told.alerts > 0 && !bare.onsets().is_empty(), "{what}: without a calendar it pages");
        let (followed, told, after) = over_an_incident(config, Some(Occasion::Maintenance));
        assert_eq!((followed.onsets().len(), told.alerts, after.alerts), (0, 0, 0), "{what}");
        assert!(told.breaches > 0, "{what}: it is still said that values lie outside");
        let series = followed.world.series(followed.id);
        assert_eq!(series.set_aside(10), 12, "{what}");
        let threshold = series.learned().expect("learned");
        said |= threshold.reasoning.contains("that the calendar sets aside");
        assert!(threshold.supporting.statistics.max < 120.0, "{what}: {:?}", threshold.supporting);
        assert!(!series.breaches(at("2026-03-04T13:00:00Z"), 140.0), "{what}: none that the state is decided from");
        assert!(series.breaches(at("2026-03-04T11:00:00Z"), 140.0), "{what}");
    }
    assert!(said, "what was learned says what it was not learned from");
}

#[test]
fn an_alert_that_maintenance_begins_in_is_withheld_from_then_on() {
    let mut config = certain();
    config.calendars.push(calendar(Occasion::Maintenance, "2026-03-04T12:30:00Z", "2026-03-04T14:00:00Z"));
    let mut followed = Followed::new(config, 5, "2026-03-01T00:00:00Z");
    followed.until("2026-03-04T12:00:00Z", |_| 100.0);
    followed.world.events.clear();
    let before = followed.until("2026-03-04T12:20:00Z", |_| 160.0);
    assert!(before.alerts > 0);
    let during = followed.until("2026-03-04T13:50:00Z", |_| 160.0);
    assert_eq!(during.alerts, 0);
    let end = |event: &Event| match event {
        Event::Alerted(alerted) if alerted.phase == Phase::End => Some(alerted.clone()),
        _ => None,
    };
    let ended = followed.world.events.iter().find_map(end).expect("it ended");
    assert_eq!(ended.at, at("2026-03-04T12:30:00Z"));
    assert_eq!(ended.during.map(|during| during.to_string()).as_deref(), Some("during maintenance the one"));
}

#[test]
fn a_deploy_pages_with_its_name_and_is_not_learned() {
    for (config, what) in [(certain(), "auto"), (by_bounds(), "adaptive")] {
        let (followed, told, _) = over_an_incident(config, Some(Occasion::Deploy));
        assert!(told.alerts > 0, "{what}");
        let onsets = followed.onsets();
        let said = onsets.first().and_then(|alerted| alerted.during.as_ref()).map(ToString::to_string);
        assert_eq!(said.as_deref(), Some("during deploy the one"), "{what}");
        let json = serde_json::to_value(onsets[0]).expect("plain data");
        assert_eq!(json["during"]["occasion"], "deploy");
        let threshold = followed.world.series(followed.id).learned().expect("learned");
        assert!(threshold.supporting.statistics.max < 120.0, "{what}: {:?}", threshold.supporting);
    }
}

#[test]
fn nobody_is_asked_about_a_level_that_lasts_as_long_as_maintenance() {
    for occasion in [None, Some(Occasion::Maintenance), Some(Occasion::Deploy)] {
        let mut config = by_bounds();
        let (from, until) = ("2026-03-04T00:00:00Z", "2026-03-07T00:00:00Z");
        config.calendars.extend(occasion.map(|occasion| calendar(occasion, from, until)));
        let mut followed = Followed::new(patient(config), 5, "2026-03-01T00:00:00Z");
        followed.until(from, |_| 100.0);
        followed.world.events.clear();
        followed.until("2026-03-06T23:50:00Z", |_| 140.0);
        followed.until("2026-03-08T00:00:00Z", |_| 100.0);
        let asked = |event: &Event| matches!(event, Event::LevelShiftProposed { .. });
        assert_eq!(followed.world.events.iter().any(asked), occasion.is_none(), "{occasion:?}");
    }
}

#[test]
fn a_calendar_is_about_the_series_that_it_names() {
    let mut config = certain();
    let entry = Entry { from: at("2026-03-01T00:00:00Z"), until: at("2026-04-01T00:00:00Z"), name: "all".into() };
    let selector = Selector::parse(r#"load{job="api"}"#).expect("a selector");
    config.calendars.push(Arc::new(Calendar::new(Occasion::Maintenance, Some(selector), vec![entry])));
    let mut world = World::new(config);
    let (named, other) = (world.intern(r#"load{job="api"}"#), world.intern(r#"load{job="db"}"#));
    let within = at("2026-03-04T12:00:00Z");
    assert!(world.series(named).occasions(within).silent && !world.series(other).occasions(within).silent);
    world.reconfigure(|config| config.calendars.clear());
    assert!(!world.series(named).occasions(within).silent, "a new configuration takes effect");
}

/// Open on each day, three weeks long, then a Monday on which it stays shut.
fn over_a_holiday(mut config: Config, told: bool) -> (Followed, Told, Told) {
    config.learning.timezone = berlin();
    if told {
        config.calendars.push(calendar(Occasion::Holiday, "2026-05-24T22:00:00Z", "2026-05-25T22:00:00Z"));
    }
    let mut followed = Followed::new(patient(config), 11, "2026-05-03T22:00:00Z");
    followed.until("2026-05-24T22:00:00Z", opening_hours);
    let holiday = followed.until("2026-05-25T22:00:00Z", |_| 20.0);
    let after = followed.until("2026-05-28T22:00:00Z", opening_hours);
    (followed, holiday, after)
}

#[test]
fn a_quiet_holiday_neither_pages_nor_spoils_the_days_after_it() {
    let mut seasonal = by_bounds();
    seasonal.learning.strategy = "seasonal".into();
    for (config, what) in [(certain(), "auto"), (seasonal, "seasonal")] {
        let (_, holiday, _) = over_a_holiday(config.clone(), false);
        assert!(holiday.alerts > 0, "{what}: without a calendar it pages: {holiday:?}");
        let (followed, holiday, after) = over_a_holiday(config, true);
        // A single sample of noise now and then is within the budget.
        assert!(holiday.alerts == 0 && after.alerts <= 2, "{what}: {holiday:?} {after:?}");
        let series = followed.world.series(followed.id);
        let of_it = series.window().iter().filter(|(at, _)| series.occasions(*at).holiday).count();
        assert!(of_it > 0 && series.set_aside(10) == of_it, "{what}: {of_it} and {}", series.set_aside(10));
        assert_eq!(series.set_aside(usize::MAX), 0, "{what}: too few others remain");
    }
}

/// Open on weekdays alone.
fn weekdays(at: Timestamp) -> f64 {
    // The epoch was a Thursday.
    let day = (berlin().local(at).div_euclid(24 * HOUR_MS) + 3) % 7;
    if day < 5 { opening_hours(at) } else { 20.0 }
}

#[test]
fn bounds_by_the_week_read_a_holiday_as_a_sunday() {
    let mut config = by_bounds();
    config.learning.strategy = "seasonal".into();
    config.learning.timezone = berlin();
    let config = |told: bool| {
        let mut config = patient(config.clone());
        let holiday = calendar(Occasion::Holiday, "2026-05-24T22:00:00Z", "2026-05-25T22:00:00Z");
        config.calendars.extend(told.then_some(holiday));
        config
    };
    let lived = |told| {
        let mut followed = Followed::new(config(told), 13, "2026-04-26T22:00:00Z");
        followed.until("2026-05-24T22:00:00Z", weekdays);
        let holiday = followed.until("2026-05-25T22:00:00Z", |_| 20.0);
        let tuesday = followed.until("2026-05-26T22:00:00Z", weekdays);
        (followed, holiday, tuesday)
    };
    let (_, without, _) = lived(false);
    let (followed, with, tuesday) = lived(true);
    let period = followed.world.series(followed.id).in_force().and_then(|threshold| threshold.bounds.period());
    assert_eq!(period, Some(Span::hours(7 * 24)));
    assert!(without.alerts > 0 && with.alerts == 0 && tuesday.alerts == 0, "{without:?} {with:?} {tuesday:?}");
    assert!(with.breaches * 8 < with.seen && without.breaches > 2 * with.breaches, "{without:?} {with:?}");
}
