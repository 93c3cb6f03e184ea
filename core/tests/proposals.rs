//! Levels that shifted: who is asked what, and what the answer does.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, SeriesRule};
use homeostat::engine::Engine;
use homeostat::event::{Alerted, Asked, Event, Phase, Settled};
use homeostat::feedback::{LoopKind, Signal, Subject, Verdict};
use homeostat::knowledge::proposals::{Answer, NotAnswered, Proposal, SHIFTS_MAX};
use homeostat::knowledge::series::Series;
use homeostat::monitor::Sample;
use homeostat::series::Selector;
use homeostat::time::Span;
use world::{World, by_bounds, certain, name};

/// Series that are sampled together, each at a level of its own.
struct Fleet {
    world: World,
    names: Vec<&'static str>,
    levels: Vec<f64>,
}

const EVERY: Span = Span::minutes(5);

impl Fleet {
    fn new(config: Config, names: &[&'static str]) -> Fleet {
        Fleet { world: World::new(config), names: names.to_vec(), levels: vec![100.0; names.len()] }
    }

    /// Two days around the usual level.
    fn settled(config: Config, names: &[&'static str]) -> Fleet {
        let mut fleet = Fleet::new(config, names);
        fleet.pass(Span::hours(48));
        fleet.world.events.clear();
        fleet
    }

    fn pass(&mut self, span: Span) {
        let until = self.world.now + span;
        while self.world.now < until {
            self.world.now = self.world.now + EVERY;
            let now = self.world.now;
            let mut samples = Vec::new();
            for at in 0..self.names.len() {
                let series = self.world.intern(self.names[at]);
                let value = self.levels[at] + self.world.bell();
                samples.push(Sample { series, at: now, value });
            }
            let observed = self.world.engine.observe(&samples, now);
            self.world.events.extend(observed.events);
            self.world.cycle();
        }
    }

    fn shift(&mut self, series: &str, level: f64) {
        let at = self.names.iter().position(|name| *name == series).expect(series);
        self.levels[at] = level;
    }

    fn series(&self, series: &str) -> &Series {
        self.world.engine.knowledge().find(&name(series)).expect(series)
    }

    fn open(&self) -> Vec<&Proposal> {
        self.world.engine.knowledge().proposals().open().collect()
    }

    fn upper(&self, series: &str) -> f64 {
        self.series(series).in_force().and_then(|t| t.bounds.at(self.world.now).1).expect("an upper bound")
    }

    fn answer(&mut self, id: u64, answer: Answer) -> Result<(), NotAnswered> {
        let event = self.world.engine.answer(id, answer, Some("so said".to_owned()), self.world.now)?;
        self.world.events.push(event);
        Ok(())
    }

    /// What became of questions so far.
    fn settled_as(&self) -> Vec<(Settled, Vec<String>)> {
        let of = |event: &Event| match event {
            Event::LevelShiftSettled { settled, series, .. } => {
                Some((*settled, series.iter().map(ToString::to_string).collect()))
            }
            _ => None,
        };
        self.world.events.iter().filter_map(of).collect()
    }

    fn onsets(&self, series: &str) -> Vec<&Alerted> {
        let mut onsets = Vec::new();
        for event in &self.world.events {
            if let Event::Alerted(alerted) = event
                && alerted.phase == Phase::Onset
                && alerted.series == name(series)
            {
                onsets.push(alerted);
            }
        }
        onsets
    }
}

fn names(proposal: &Proposal) -> Vec<String> {
    proposal.open().map(ToString::to_string).collect()
}

fn owned(config: Config, selector: &str) -> Config {
    let selector = Selector::parse(selector).expect("a selector");
    let rule = SeriesRule { owner: Some("storage team".into()), page: Some(true), ..SeriesRule::of(selector) };
    Config { series: vec![rule], ..config }
}

#[test]
fn three_that_shift_together_are_one_proposal_one_that_shifts_alone_is_another_and_a_spike_is_none() {
    for config in [certain(), by_bounds()] {
        let strategy = config.learning.strategy.clone();
        let mut fleet = Fleet::settled(config, &["a", "b", "c", "late", "spiky", "calm"]);
        ["a", "b"].into_iter().for_each(|series| fleet.shift(series, 130.0));
        fleet.shift("spiky", 130.0);
        fleet.pass(EVERY);
        fleet.shift("c", 70.0);
        let together = fleet.world.now;
        fleet.pass(Span::minutes(55));
        fleet.shift("spiky", 100.0);
        fleet.shift("late", 130.0);
        let late = fleet.world.now;
        fleet.pass(Span::hours(22));
        assert!(fleet.open().is_empty(), "{strategy}: not for a day yet");
        fleet.pass(Span::hours(6));
        let open = fleet.open();
        assert_eq!(
            open.iter().map(|p| names(p)).collect::<Vec<_>>(),
            [vec!["a", "b", "c"], vec!["late"]],
            "{strategy}"
        );
        assert!(together.since(open[0].since) <= EVERY && open[1].since.since(late) <= EVERY * 2, "{open:?}");
        let levels: Vec<(f64, f64)> =
            open[0].members.iter().map(|m| (m.shift.before.round(), (m.shift.after / 10.0).round())).collect();
        assert_eq!(levels, [(100.0, 13.0), (100.0, 13.0), (100.0, 7.0)], "{strategy}");
        let told: Vec<_> =
            fleet.world.events.iter().filter(|event| matches!(event, Event::LevelShiftProposed { .. })).collect();
        assert_eq!(told.len(), 2, "{strategy}: each was told of once");
        assert!(told.iter().all(|event| event.of_loop() == Some(LoopKind::AnomalyFeedback)), "webhooks are told too");
        let calm = fleet.series("calm").name();
        assert!(fleet.world.engine.knowledge().proposals().of(calm).is_none());
        assert_eq!(fleet.upper("a").round(), 132.0, "{strategy}: meanwhile the new level is learned");
    }
}

#[test]
fn one_that_is_found_to_have_shifted_with_them_later_joins_their_proposal() {
    // Every three hours: it takes longer until there were looks enough.
    let mut config = certain();
    config.learning.learning_window = Span::hours(60 * 24);
    let mut fleet = Fleet::settled(config, &["a", "b"]);
    let rare = fleet.world.intern("rare");
    let mut history = Vec::new();
    for n in 0..300_u64 {
        history.push((fleet.world.now - Span::hours(3) * (300 - n), 100.0 + fleet.world.bell()));
    }
    let observed = fleet.world.engine.backfill(rare, &history, fleet.world.now);
    fleet.world.events.extend(observed.events);
    fleet.world.cycles(3);
    assert!(fleet.series("rare").in_force().is_some());
    ["a", "b"].into_iter().for_each(|series| fleet.shift(series, 130.0));
    for n in 0..24 {
        let value = 140.0 + fleet.world.bell();
        let sample = Sample { series: rare, at: fleet.world.now + Span::minutes(1), value };
        let observed = fleet.world.engine.observe(&[sample], sample.at);
        fleet.world.events.extend(observed.events);
        fleet.pass(Span::hours(3));
        if n == 12 {
            assert_eq!(fleet.open().iter().map(|p| names(p)).collect::<Vec<_>>(), [vec!["a", "b"]]);
        }
    }
    let proposals: Vec<_> = fleet.world.engine.knowledge().proposals().iter().collect();
    assert_eq!(proposals.len(), 1, "{proposals:?}");
    assert_eq!(proposals[0].members.len(), 3);
    let joined = fleet.world.events.iter().find_map(|event| match event {
        Event::LevelShiftProposed { because: Asked::Joined, series, id, .. } => Some((*id, series.len())),
        _ => None,
    });
    assert_eq!(joined, Some((1, 1)));
}

#[test]
fn a_level_that_comes_back_is_no_question_any_more_and_its_way_back_no_shift() {
    let mut fleet = Fleet::settled(certain(), &["a"]);
    fleet.shift("a", 130.0);
    fleet.pass(Span::hours(26));
    assert_eq!(fleet.open().len(), 1);
    fleet.shift("a", 100.0);
    fleet.pass(Span::hours(5));
    assert!(fleet.open().is_empty());
    assert_eq!(fleet.settled_as(), [(Settled::Returned, vec!["a".to_owned()])]);
    fleet.pass(Span::hours(40));
    assert_eq!(fleet.world.engine.knowledge().proposals().iter().count(), 1, "nobody is asked about the way back");
}

#[test]
fn accepted_it_is_another_series_since_then() {
    let mut fleet = Fleet::settled(certain(), &["a", "b"]);
    ["a", "b"].into_iter().for_each(|series| fleet.shift(series, 130.0));
    fleet.pass(Span::hours(27));
    let (id, since) = (fleet.open()[0].id, fleet.open()[0].since);
    fleet.answer(id, Answer::Accept).expect("it is open");
    fleet.pass(EVERY);
    for series in ["a", "b"] {
        let learned = fleet.series(series).learned().expect("learned");
        assert!(learned.supporting.statistics.min > 120.0, "{learned:?}");
        assert!(fleet.world.engine.knowledge().proposals().shift(&name(series)).is_none());
    }
    assert!(fleet.open().is_empty());
    let proposal = fleet.world.engine.knowledge().proposals().get(id).expect("kept");
    assert_eq!((proposal.comment.as_deref(), proposal.since), (Some("so said"), since));
    fleet.world.events.clear();
    fleet.pass(Span::hours(24));
    assert!(fleet.onsets("a").is_empty(), "the new level is ordinary");
    assert_eq!(fleet.answer(id, Answer::Refuse), Err(NotAnswered::Settled(id)));
    assert_eq!(fleet.answer(99, Answer::Accept), Err(NotAnswered::Unknown(99)));
}

#[test]
fn refused_the_level_before_stands_again_and_nothing_is_learned_until_it_is_back() {
    for config in [certain(), by_bounds()] {
        let strategy = config.learning.strategy.clone();
        let mut fleet = Fleet::settled(config, &["a", "b"]);
        let before = fleet.upper("a");
        fleet.shift("a", 130.0);
        fleet.pass(Span::hours(27));
        assert!(fleet.upper("a") > 125.0, "{strategy}: provisionally it is ordinary");
        assert!(fleet.series("a").alert_since().is_none(), "{strategy}: and no alert");
        let id = fleet.open()[0].id;
        fleet.world.events.clear();
        fleet.answer(id, Answer::Refuse).expect("it is open");
        assert!((fleet.upper("a") - before).abs() < 1.0, "{strategy}: {} {before}", fleet.upper("a"));
        fleet.pass(Span::hours(72));
        assert_eq!(fleet.onsets("a").len(), 1, "{strategy}: one alert");
        let series = fleet.series("a");
        assert!(
            series.alert_since().is_some() && series.is_in_trouble(),
            "{strategy}: which holds as long as it lasts"
        );
        assert!((fleet.upper("a") - before).abs() < 1.0, "{strategy}: by the bounds before");
        assert_eq!(series.masked(), series.window().len(), "{strategy}: all of a day is trouble");
        fleet.shift("a", 100.0);
        fleet.pass(Span::hours(6));
        let series = fleet.series("a");
        assert!(series.alert_since().is_none() && !series.is_in_trouble(), "{strategy}");
        let settled: Vec<Settled> = fleet.settled_as().iter().map(|(settled, _)| *settled).collect();
        assert_eq!(settled, [Settled::Refused, Settled::Over], "{strategy}");
        fleet.world.events.clear();
        fleet.pass(Span::hours(30));
        let learned = fleet.series("a").learned().expect("learned");
        assert!(learned.learned_at > fleet.world.now - Span::hours(8), "{strategy}: learned again");
        assert!(learned.supporting.statistics.max < 110.0, "{strategy}: from no sample of the trouble: {learned:?}");
        assert_eq!(fleet.onsets("a").len(), 0, "{strategy}: nothing of it is strange");
        fleet.shift("a", 130.0);
        fleet.pass(Span::minutes(30));
        assert_eq!(fleet.onsets("a").len(), 1, "{strategy}: and the same trouble is found again");
    }
}

#[test]
fn what_was_refused_can_be_accepted_while_it_lasts() {
    let mut fleet = Fleet::settled(certain(), &["a"]);
    fleet.shift("a", 130.0);
    fleet.pass(Span::hours(27));
    let id = fleet.open()[0].id;
    fleet.answer(id, Answer::Refuse).expect("it is open");
    fleet.pass(Span::hours(5));
    assert_eq!(fleet.answer(id, Answer::Refuse), Err(NotAnswered::Settled(id)));
    fleet.answer(id, Answer::Accept).expect("its trouble lasts");
    fleet.pass(Span::hours(1));
    let series = fleet.series("a");
    assert!(!series.is_in_trouble() && series.alert_since().is_none() && fleet.upper("a") > 125.0);
    // So does a change point: the same said of the series itself.
    let mut fleet = Fleet::settled(certain(), &["a"]);
    fleet.shift("a", 130.0);
    fleet.pass(Span::hours(27));
    let (id, at) = (fleet.open()[0].id, fleet.open()[0].since);
    fleet.answer(id, Answer::Refuse).expect("it is open");
    let signal = Signal {
        series: Some(name("a")),
        verdict: Some(Verdict::True),
        about: Some(Subject::ChangePoint { at }),
        ..Signal::new(LoopKind::AnomalyFeedback, "verdict", 0.0, fleet.world.now)
    };
    let _ = fleet.world.engine.signal(signal, fleet.world.now);
    fleet.pass(Span::hours(1));
    assert!(!fleet.series("a").is_in_trouble() && fleet.upper("a") > 125.0);
    assert_eq!(fleet.answer(id, Answer::Accept), Err(NotAnswered::Settled(id)));
}

#[test]
fn unanswered_it_is_accepted_after_three_days_where_nobody_owns_it_and_asked_again_each_day_where_somebody_does() {
    let mut fleet = Fleet::settled(owned(certain(), "mine"), &["mine", "nobodys"]);
    ["mine", "nobodys"].into_iter().for_each(|series| fleet.shift(series, 130.0));
    fleet.pass(Span::hours(26));
    let id = fleet.open()[0].id;
    fleet.pass(Span::hours(69));
    assert_eq!(fleet.settled_as(), []);
    fleet.pass(Span::hours(4));
    assert_eq!(fleet.settled_as(), [(Settled::Unanswered, vec!["nobodys".to_owned()])]);
    fleet.pass(Span::hours(48));
    let again: Vec<usize> = fleet
        .world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::LevelShiftProposed { because: Asked::Again, series, .. } => Some(series.len()),
            _ => None,
        })
        .collect();
    assert_eq!(again, [1, 1, 1], "after three days, and each day from then on, of the one that is owned");
    assert_eq!(names(fleet.open()[0]), ["mine"]);
    assert_eq!(fleet.open()[0].asked, 4);
    fleet.answer(id, Answer::Accept).expect("still open");
    assert!(fleet.open().is_empty());
}

#[test]
fn while_all_changes_are_stopped_nothing_is_accepted_by_itself() {
    let mut fleet = Fleet::settled(certain(), &["a"]);
    fleet.shift("a", 130.0);
    fleet.pass(Span::hours(26));
    let _ = fleet.world.engine.freeze(true, "a test".to_owned(), fleet.world.now);
    fleet.pass(Span::hours(80));
    assert_eq!(fleet.open().len(), 1);
    let _ = fleet.world.engine.freeze(false, "a test".to_owned(), fleet.world.now);
    fleet.pass(EVERY);
    assert_eq!(fleet.settled_as(), [(Settled::Unanswered, vec!["a".to_owned()])]);
}

#[test]
fn an_owned_series_pages_once_a_day_while_its_question_is_open() {
    let pages = |config: Config, answer: Option<Answer>| {
        let mut fleet = Fleet::settled(config, &["a"]);
        fleet.shift("a", 130.0);
        fleet.pass(Span::hours(26));
        let id = fleet.open()[0].id;
        if let Some(answer) = answer {
            fleet.answer(id, answer).expect("it is open");
        }
        fleet.world.events.clear();
        // A spike every four hours, for two days.
        for _ in 0..12 {
            fleet.shift("a", 300.0);
            fleet.pass(EVERY * 2);
            fleet.shift("a", 130.0);
            fleet.pass(Span::minutes(230));
        }
        let onsets = fleet.onsets("a");
        let paged = onsets.iter().filter(|alerted| alerted.pages).count();
        let muted = onsets.iter().filter(|alerted| alerted.muted).count();
        let ends = fleet
            .world
            .events
            .iter()
            .filter(|event| matches!(event, Event::Alerted(a) if a.phase == Phase::End && a.muted));
        assert_eq!(ends.count(), muted, "an end says what its onset said");
        (paged, muted)
    };
    let mine = || owned(certain(), "a");
    let mut nobodys = mine();
    nobodys.series[0].owner = None;
    let (paged, muted) = pages(mine(), None);
    assert!(paged == 2 && muted >= 6, "{paged} {muted}");
    let (all, none) = pages(nobodys, None);
    assert!(all >= 8 && none == 0, "{all} {none}");
    let (answered, none) = pages(mine(), Some(Answer::Accept));
    assert!(answered >= 8 && none == 0, "{answered} {none}");
}

#[test]
fn it_is_all_in_a_snapshot_and_has_the_same_future() {
    let mut fleet = Fleet::settled(owned(certain(), "a"), &["a", "b", "c"]);
    fleet.shift("b", 130.0);
    fleet.pass(Span::hours(27));
    let id = fleet.open()[0].id;
    fleet.answer(id, Answer::Refuse).expect("it is open");
    ["a", "c"].into_iter().for_each(|series| fleet.shift(series, 130.0));
    fleet.pass(Span::hours(30));
    assert_eq!(fleet.open().len(), 1);
    let parts = fleet.world.engine.snapshot();
    let config = fleet.world.engine.knowledge().config().clone();
    let restored = Engine::restore(config, Methods::built_in(), 3, &parts, fleet.world.now).expect("readable");
    assert_eq!(restored.knowledge().proposals(), fleet.world.engine.knowledge().proposals());
    let mut twin = Fleet { world: World::new(certain()), names: fleet.names.clone(), levels: fleet.levels.clone() };
    twin.world.now = fleet.world.now;
    // The same noise for both.
    let lived = std::mem::replace(&mut fleet.world, World::new(certain()));
    fleet.world.now = lived.now;
    (fleet.world.engine, twin.world.engine) = (lived.engine, restored);
    for fleet in [&mut fleet, &mut twin] {
        fleet.pass(Span::hours(20));
        fleet.answer(2, Answer::Refuse).expect("open");
        fleet.shift("b", 100.0);
        fleet.pass(Span::hours(10));
    }
    assert!(!fleet.world.events.is_empty());
    assert_eq!(fleet.world.events, twin.world.events);
    assert_eq!(fleet.world.engine.knowledge().proposals(), twin.world.engine.knowledge().proposals());
}

#[test]
fn of_series_that_only_do_what_they_always_do_hardly_anything_is_asked() {
    const SERIES: usize = 10;
    const DAYS: usize = 21;
    type Kind = fn(&mut World, f64, &mut f64) -> f64;
    let kinds: [(&str, Kind); 6] = [
        ("noise", |world, _, _| 100.0 + world.bell()),
        ("memory", |world, _, held| {
            *held = 0.95 * *held + world.bell();
            100.0 + *held
        }),
        ("wandering", |world, _, held| {
            *held += world.bell();
            1000.0 + *held
        }),
        ("heavy tail", |world, _, _| 100.0 + world.bell() * (-world.share().ln()).powf(1.5)),
        ("by day", |world, day, _| 100.0 + 20.0 * (day * std::f64::consts::TAU).sin() + 2.0 * world.bell()),
        ("by day, less at weekends", |world, day, _| {
            let level = if day as u64 % 7 >= 5 { 60.0 } else { 100.0 };
            level * (1.0 + 0.4 * (day * std::f64::consts::TAU).sin()) + 2.0 * world.bell()
        }),
    ];
    for (seed, (kind, value)) in (31_u64..).zip(kinds) {
        let mut world = World::seeded(certain(), seed);
        let series: Vec<_> = (0..SERIES).map(|n| world.intern(&format!("s{n}"))).collect();
        let mut held = [0.0; SERIES];
        for step in 0..DAYS * 288 {
            world.now = world.now + EVERY;
            let day = step as f64 / 288.0;
            let samples: Vec<Sample> = (0..SERIES)
                .map(|n| Sample {
                    series: series[n],
                    at: world.now,
                    value: value(&mut world, day + 0.01 * n as f64, &mut held[n]),
                })
                .collect();
            let observed = world.engine.observe(&samples, world.now);
            world.events.extend(observed.events);
            if step % 3 == 0 {
                world.cycle();
            }
        }
        let asked: usize = world.engine.knowledge().proposals().iter().map(|one| one.members.len()).sum();
        println!("{kind}, seed {seed}: {asked} asked about in {} series-weeks", SERIES * DAYS / 7);
        // What wanders has no level to leave; now and then it stays away from where it was.
        let most = if kind == "wandering" { SERIES * DAYS / 7 } else { 0 };
        assert!(asked <= most, "{kind}, seed {seed}: {asked}");
    }
}

#[test]
fn of_a_thousand_shifts_people_are_asked_and_of_more_nobody() {
    let names: Vec<&'static str> = (0..SHIFTS_MAX + 10).map(|n| &*format!("s{n:04}").leak()).collect();
    let mut config = certain();
    config.learning.optimization_interval = Span::hours(24);
    let mut fleet = Fleet::new(config, &names);
    fleet.pass(Span::hours(20));
    fleet.levels.iter_mut().for_each(|level| *level = 130.0);
    fleet.pass(Span::hours(26));
    let proposals = fleet.world.engine.knowledge().proposals();
    assert_eq!(proposals.shifts().count(), SHIFTS_MAX);
    assert_eq!(fleet.open().iter().map(|one| one.open().count()).collect::<Vec<_>>(), [SHIFTS_MAX]);
    assert!(proposals.left_out() >= 10, "{}", proposals.left_out());
}
