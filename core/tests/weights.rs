//! What verdicts do to single features of the detector: one that cries wolf is heard less, the others as before.

mod world;

use homeostat::analyze::strategy::auto::{Auto, Part, Without};
use homeostat::analyze::strategy::{Asked, Baseline, Detector, DetectorState, Methods};
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::event::{Alerted, Event, Phase};
use homeostat::feedback::weights::{Feature, Heard, Spoke, Weights};
use homeostat::feedback::{Subject, Verdict};
use homeostat::stats::Scratch;
use homeostat::time::{Span, Timestamp};
use world::{World, certain, name};

// --- the detector by itself -----------------------------------------------------------------------------------------

/// A series by the minute, and who judges its pages.
struct Watch {
    detector: Auto,
    state: DetectorState,
    heard: Heard,
    /// Whether verdicts move weights; the level they move in any case.
    weighted: bool,
    minutes: i64,
    alert: bool,
    pages: Vec<Spoke>,
    noise: World,
}

impl Watch {
    fn new(weighted: bool) -> Watch {
        Watch::without(weighted, Without::NOTHING)
    }

    fn without(weighted: bool, without: Without) -> Watch {
        let mut noise = World::new(Config::default());
        let detector = Auto::without(without);
        let (at, values): (Vec<i64>, Vec<f64>) = (0..1_000).map(|n| (60_000 * n, 100.0 + noise.bell())).unzip();
        let mut scratch = Scratch::default();
        let state = detector.start(&Baseline::sorted(Kind::Gauge, &at, &values, &mut scratch), None);
        Watch {
            detector,
            state,
            heard: Heard::default(),
            weighted,
            minutes: 1_000,
            alert: false,
            pages: Vec::new(),
            noise,
        }
    }

    fn asked(&self) -> Asked {
        let weights = Weights::of(&self.heard, &Heard::default());
        Asked { weights: if self.weighted { weights } else { Weights::default() }, ..Asked::default() }
    }

    fn value(&mut self, value: f64) {
        let (at, asked) = (Timestamp::from_millis(60_000 * self.minutes), self.asked());
        let judged = self.detector.step(&mut self.state, at, value, &asked);
        if judged.alert && !self.alert {
            assert!(!judged.spoke.is_empty() && judged.why.is_some(), "{judged:?}");
            self.pages.push(judged.spoke);
        }
        self.alert = judged.alert;
        self.minutes += 1;
    }

    fn calm(&mut self, minutes: usize) {
        for _ in 0..minutes {
            let value = 100.0 + self.noise.bell();
            self.value(value);
        }
    }

    /// To and fro for twenty minutes, no value of it far off. Whether that paged.
    fn unrest(&mut self) -> bool {
        let before = self.pages.len();
        for n in 0..20 {
            self.value(100.0 + if n % 2 == 0 { 3.8 } else { -3.8 });
        }
        self.calm(240);
        self.pages.len() > before
    }

    fn judge(&mut self, verdict: Verdict) {
        let spoke = *self.pages.last().expect("a page to judge");
        let _ = self.heard.add(&spoke, verdict, 1.0);
        self.detector.told(&mut self.state, verdict, 1.0);
    }

    /// The least distance above, or with -1 below, that pages now, in steps of a quarter.
    fn pages_from(&self, sign: f64) -> f64 {
        let asked = self.asked();
        let at = Timestamp::from_millis(60_000 * self.minutes);
        let pages = |away: f64| self.detector.step(&mut self.state.clone(), at, 100.0 + sign * away, &asked).alert;
        (4..200).map(|n| f64::from(n) / 4.0).find(|away| pages(*away)).expect("50 sigmas page")
    }
}

fn share(spoke: &Spoke, wanted: Feature) -> f64 {
    spoke.iter().find(|(feature, _)| *feature == wanted).map_or(0.0, |(_, share)| share)
}

/// One sample far above, every fifth day for half a year, each page of it judged false: how many of 40 paged, and from what
/// distance below the series pages in the end.
fn pages_above(weighted: bool) -> (usize, f64) {
    let mut watch = Watch::new(weighted);
    let mut paged = 0;
    for _ in 0..40 {
        let before = watch.pages.len();
        watch.value(105.5);
        if watch.pages.len() > before {
            let spoke = *watch.pages.last().expect("it paged");
            assert!(share(&spoke, Feature::High).max(share(&spoke, Feature::Above)) == 1.0, "{spoke:?}");
            watch.judge(Verdict::False);
            paged += 1;
        }
        watch.calm(5 * 1440);
    }
    (paged, watch.pages_from(-1.0))
}

#[test]
fn a_feature_that_cries_wolf_stops_paging_sooner_than_by_the_level_alone_and_the_others_page_on() {
    let ((weighted, below), (by_level, below_by_level)) = (pages_above(true), pages_above(false));
    assert!(weighted >= 1 && 2 * weighted < by_level, "{weighted} of 40 pages, {by_level} by the level alone");
    // Fewer pages and verdicts raised the level less: what nobody complained of is heard no worse.
    assert!(below <= below_by_level, "{below} below, {below_by_level} by the level alone");
}

#[test]
fn the_other_features_page_as_before_however_much_is_said_of_one() {
    let after = |weighted: bool| {
        let mut watch = Watch::new(weighted);
        let mut told = 0;
        while told < 2 {
            assert!(watch.unrest() || told > 0, "the first unrest pages");
            watch.judge(Verdict::False);
            told += 1;
        }
        watch.calm(500);
        (watch.asked().weights, watch.pages_from(1.0))
    };
    let ((weights, weighted), (_, by_level)) = (after(true), after(false));
    assert!(weights.get(Feature::Restless) < 0.85 && weights.get(Feature::High) == 1.0, "{weights:?}");
    // The level is the same; what is learned meanwhile may differ by a step.
    assert!((weighted - by_level).abs() <= 0.25, "{weighted} {by_level}");
}

#[test]
fn what_mattered_is_heard_more_and_no_feature_ever_falls_silent() {
    let mut watch = Watch::new(true);
    assert!(watch.unrest());
    let from = watch.pages_from(1.0);
    let restless = *watch.pages.last().expect("a page");
    for _ in 0..1_000 {
        let _ = watch.heard.add(&restless, Verdict::True, 1.0);
    }
    let raised = watch.asked().weights.get(Feature::Restless);
    assert!(raised > 1.2 && raised <= 1.25, "{raised}");
    for _ in 0..10_000 {
        let _ = watch.heard.add(&restless, Verdict::False, 1.0);
    }
    assert!(watch.asked().weights.get(Feature::Restless) >= 0.25);
    assert_eq!(watch.pages_from(1.0), from, "and above as before");
    for n in 0..60 {
        watch.value(100.0 + if n % 2 == 0 { 40.0 } else { -40.0 });
    }
    assert!(watch.alert, "what is beyond doubt pages all the same");
}

#[test]
fn a_part_that_is_left_out_is_not_heard() {
    let paged = |part: Part| {
        let mut watch = Watch::without(true, [part].into_iter().collect());
        watch.unrest()
    };
    assert!(paged(Part::Stuck) && paged(Part::ScoreRestless), "it pages for unrest");
    assert!(!paged(Part::Restless));
    // Every part matters somewhere: to what is said of a series with a day, jumps, whole numbers, unrest and silence in it.
    let said = |without: Without| {
        let (detector, mut noise) = (Auto::without(without), World::new(Config::default()));
        let mut scratch = Scratch::default();
        let mut state = detector.start(&Baseline::sorted(Kind::Gauge, &[0], &[100.0], &mut scratch), None);
        let mut all = Vec::new();
        for n in 1..12_000_i64 {
            let day = 6.0 * (n as f64 / 288.0 * std::f64::consts::TAU).sin();
            let odd = match n % 1_000 {
                900..=905 => 60.0,
                700..=760 if n % 2 == 0 => 9.0,
                500..=620 => 0.03 * (n % 1_000 - 500) as f64,
                _ if n == 30 || n == 45 => 30.0,
                _ => 0.0,
            };
            let value = (100.0 + day + odd + noise.bell()).round();
            let value = if (n % 3_000) > 2_950 { 80.0 } else { value };
            let judged = detector.step(&mut state, Timestamp::from_secs(300 * n), value, &Asked::default());
            all.push((judged.score, judged.alert_score, judged.alert, judged.lower, judged.upper));
        }
        (all, state)
    };
    let (whole, state) = said(Without::NOTHING);
    for part in Part::ALL {
        let (left, _) = said([part].into_iter().collect());
        let alone = part == Part::Siblings;
        assert_eq!(left == whole, alone, "{}", part.as_str());
    }
    let tells = |without: Without| Auto::without(without).prior(&state).is_some();
    assert!(tells(Without::NOTHING) && !tells([Part::Siblings].into_iter().collect()));
}

// --- in the engine --------------------------------------------------------------------------------------------------

/// To and fro for five minutes, then calm.
fn unrest(world: &mut World, series: &str) {
    let id = world.intern(series);
    for n in 0..30 {
        world.sample(id, 100.0 + if n % 2 == 0 { 3.5 } else { -3.5 });
    }
    world.learn(series, 120);
}

fn onsets(world: &World) -> Vec<Alerted> {
    let onset = |event: &Event| match event {
        Event::Alerted(alerted) if alerted.phase == Phase::Onset => Some(alerted.clone()),
        _ => None,
    };
    world.events.iter().filter_map(onset).collect()
}

/// A series with one alert for unrest, and when that was.
fn with_unrest() -> (World, Timestamp) {
    let mut world = World::new(certain());
    world.learn("queue", 1_000);
    world.learn("latency", 1_000);
    unrest(&mut world, "latency");
    let all = onsets(&world);
    let [alerted] = &all[..] else { panic!("one alert: {all:?}") };
    assert!(share(&alerted.spoke, Feature::Restless) > 0.5, "{alerted:?}");
    let at = alerted.at;
    (world, at)
}

#[test]
fn a_verdict_moves_what_spoke_in_the_series_at_once_and_a_little_in_all_others_with_the_next_cycle() {
    let (mut world, at) = with_unrest();
    let weight = |world: &World, series: &str| {
        world.engine.knowledge().find(&name(series)).expect(series).weights().get(Feature::Restless)
    };
    assert_eq!((weight(&world, "latency"), weight(&world, "queue")), (1.0, 1.0), "nobody said anything");
    world.say("latency", Verdict::False, Subject::Moment { at });
    let own = weight(&world, "latency");
    assert!(own < 0.95 && weight(&world, "queue") == 1.0, "{own}");
    let series = world.engine.knowledge().find(&name("latency")).expect("held");
    assert_eq!(series.weights().get(Feature::Stuck), 1.0);
    assert!(series.heard().of(Feature::Restless).did_not > 0.5 && series.heard().of(Feature::Restless).mattered == 0.0);
    world.cycle();
    let (lower, other) = (weight(&world, "latency"), weight(&world, "queue"));
    assert!(lower <= own && own < other && other < 1.0, "{lower} {own} {other}");
    world.intern("connections");
    assert_eq!(weight(&world, "connections"), other, "a new one starts at the fleet's");
    // What nothing spoke in moves nothing.
    world.say("latency", Verdict::False, Subject::Moment { at: at - Span::minutes(30) });
    assert_eq!(weight(&world, "latency"), lower);
    world.say("latency", Verdict::True, Subject::Period { from: at - Span::minutes(1), until: at + Span::minutes(1) });
    assert!(weight(&world, "latency") > lower, "it mattered");
}

#[test]
fn what_was_missed_raises_what_would_have_spoken() {
    let (mut world, _) = with_unrest();
    let id = world.intern("queue");
    world.learn("queue", 500);
    let from = world.now + Span::from_secs(1);
    // Somewhat to and fro: too little to page.
    for n in 0..20 {
        world.sample(id, 100.0 + if n % 2 == 0 { 2.1 } else { -2.1 });
    }
    let until = world.now + Span::from_secs(1);
    assert_eq!(onsets(&world).len(), 1, "missed");
    let weights = |world: &World| *world.series(id).weights();
    assert!(weights(&world).is_default());
    world.say("queue", Verdict::Missed, Subject::Period { from, until });
    let after = weights(&world);
    assert!(after.get(Feature::Restless) > 1.0, "{after:?}");
    assert!(Feature::ALL.into_iter().all(|feature| after.get(feature) >= 1.0), "{after:?}");
    assert_eq!(world.series(id).heard().of(Feature::Stuck).mattered, 0.0);
}

#[test]
fn weights_outlive_a_restore_and_a_replay_and_go_on_alike() {
    let (mut world, at) = with_unrest();
    let before = world.engine.snapshot();
    let from = world.events.len();
    let restored = |parts: &[(String, Vec<u8>)], now: Timestamp| {
        Engine::restore(certain(), Methods::built_in(), 3, parts, now).expect("a snapshot of its own")
    };
    let began = world.now;
    world.say("latency", Verdict::False, Subject::Moment { at });
    // Between the verdict and the cycle that tells all series of it.
    let between = restored(&world.engine.snapshot(), world.now);
    let weights = |engine: &Engine, series: &str| *engine.knowledge().find(&name(series)).expect(series).weights();
    for series in ["latency", "queue"] {
        assert_eq!(weights(&between, series), weights(&world.engine, series), "{series}");
    }
    world.cycle();
    let mut replayed = restored(&before, began);
    for event in &world.events[from..] {
        replayed.replay(event, world.now);
    }
    for series in ["latency", "queue"] {
        assert!(!weights(&world.engine, series).is_default(), "{series}");
        assert_eq!(weights(&replayed, series), weights(&world.engine, series), "{series}");
    }
    let mut again = restored(&world.engine.snapshot(), world.now);
    assert_eq!(again.snapshot(), restored(&world.engine.snapshot(), world.now).snapshot());
    let id = again.knowledge().id(&name("latency")).expect("held");
    for n in 0..400 {
        world.now = world.now + Span::from_secs(10);
        let value = 100.0 + world.bell() * if n % 100 > 70 { 2.5 } else { 1.0 };
        let here = world.intern("latency");
        let mut said = (None, None);
        let now = world.now;
        let sample = |series| homeostat::monitor::Sample { series, at: now, value };
        drop(world.engine.observe_each(&[sample(here)], now, |_, _, judged| said.0 = Some(*judged)));
        drop(again.observe_each(&[sample(id)], now, |_, _, judged| said.1 = Some(*judged)));
        assert_eq!(said.0, said.1, "sample {n}");
    }
}

#[test]
fn what_is_written_of_an_engine_that_alerted_is_all_of_the_present_form() {
    let (world, _) = with_unrest();
    assert!(world.engine.knowledge().series().any(|series| series.spoken().next().is_some()), "something spoke");
    for (part, bytes) in world.engine.snapshot() {
        // A map of two, the version first.
        assert_eq!(bytes[..10], *b"\x82\xa7version\x03", "part {part}");
    }
}

#[test]
fn a_snapshot_of_an_earlier_version_knows_nothing_of_weights_and_can_be_read() {
    let mut world = World::new(certain());
    world.learn("latency", 200);
    // Under other names they are not known, as they were not then.
    let unknown = |bytes: &[u8]| {
        let (mut bytes, mut found) = (bytes.to_vec(), 0);
        for key in ["\u{8}features", "\u{5}fleet", "\u{6}spoken"] {
            // A field in the table of those: its length, then its name.
            while let Some(at) = bytes.windows(key.len()).position(|part| part == key.as_bytes()) {
                bytes[at + 1] = b'X';
                found += 1;
            }
        }
        (bytes, found)
    };
    let mut found = 0;
    let earlier: Vec<(String, Vec<u8>)> = world
        .engine
        .snapshot()
        .into_iter()
        .map(|(part, bytes)| {
            let (bytes, keys) = unknown(&bytes);
            found += keys;
            (part, bytes)
        })
        .collect();
    assert_eq!(found, 4, "heard of all and of the series, the fleet, what spoke");
    let engine = Engine::restore(certain(), Methods::built_in(), 8, &earlier, world.now).expect("an earlier snapshot");
    let series = engine.knowledge().find(&name("latency")).expect("held");
    assert!(series.weights().is_default() && series.heard().is_empty() && series.spoken().next().is_none());
    assert_eq!(series.window().len(), world.engine.knowledge().find(&name("latency")).expect("held").window().len());
}
