//! What holds for any input at all: arbitrary windows, arbitrary bits for values and times, arbitrary orders of doing.
//!
//! The seed is fixed, so a failure repeats; proptest prints the smallest script that it found.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, SeriesRule};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::execute::{Knob, Outcome, Verification};
use homeostat::feedback::{LoopKind, Signal, Verdict};
use homeostat::knowledge::proposals::Answer;
use homeostat::monitor::{Fate, Fates, Sample};
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::Selector;
use homeostat::stats::trend::trend;
use homeostat::stats::{Scratch, Statistics, effective_count, median_deviation, quantile, sort_into, tail};
use homeostat::time::{Span, Timestamp};
use homeostat::units::Ratio;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use world::name;

/// `SEED=8 TIMES=100 cargo test -p homeostat --test properties` looks elsewhere, and longer.
fn settings(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().expect(name));
    ProptestConfig {
        cases: cases * number("TIMES").unwrap_or(1),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(number("SEED").unwrap_or(7).into()),
        ..ProptestConfig::default()
    }
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1000.0..1000.0,
        2 => (-20_i32..20).prop_map(f64::from),
        2 => any::<f64>().prop_filter("finite", |v| v.is_finite()),
        1 => prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(-0.0), Just(f64::from_bits(1))],
    ]
}

/// Mostly what a source sends, and now and then any bits at all.
fn value() -> impl Strategy<Value = f64> {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    prop_oneof![8 => finite(), 2 => any::<u64>().prop_map(f64::from_bits), 8 => 90.0..110.0, 1 => Just(stale)]
}

// --- statistics -----------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(settings(400))]

    #[test]
    fn statistics_equal_those_of_a_plain_sort(values in prop::collection::vec(finite(), 1..400)) {
        let mut scratch = Scratch::default();
        let sorted = sort_into(&values, &mut scratch).to_vec();
        let mut plain: Vec<f64> = values.iter().map(|v| v + 0.0).collect();
        plain.sort_by(f64::total_cmp);
        prop_assert_eq!(&sorted, &plain);

        let statistics = Statistics::of(&values, &sorted);
        let (count, largest) = (plain.len() as f64, plain[0].abs().max(plain[plain.len() - 1].abs()).max(1e-300));
        // Brought to at most 1 first: the plain sums of the largest doubles would be infinite.
        let mean = plain.iter().map(|v| v / largest).sum::<f64>() / count;
        let variance = plain.iter().map(|v| (v / largest - mean).powi(2)).sum::<f64>() / count;
        let near = |found: f64, wanted: f64| (found / largest - wanted).abs() <= 1e-7;
        prop_assert!(near(statistics.mean, mean), "{} {}", statistics.mean, mean * largest);
        prop_assert!(near(statistics.std_dev, variance.sqrt()), "{} {}", statistics.std_dev, variance.sqrt() * largest);
        let at = |q: f64| {
            let rank = q * (count - 1.0);
            let (low, high) = (plain[rank.floor() as usize] / largest, plain[rank.ceil() as usize] / largest);
            low + (high - low) * rank.fract()
        };
        for (found, q) in [
            (statistics.median, 0.5),
            (statistics.p25, 0.25),
            (statistics.p75, 0.75),
            (statistics.p90, 0.90),
            (statistics.p95, 0.95),
            (statistics.p99, 0.99),
        ] {
            prop_assert!(found.is_finite() && near(found, at(q)), "{q}: {found} {}", at(q) * largest);
        }
        prop_assert_eq!((statistics.count, statistics.min, statistics.max), (plain.len(), plain[0], plain[plain.len() - 1]));
        prop_assert!(statistics.iqr >= 0.0 && statistics.iqr.is_finite());
        let mut away: Vec<f64> = plain.iter().map(|v| (v / largest - statistics.median / largest).abs()).collect();
        away.sort_by(f64::total_cmp);
        let wanted = quantile(&away, 0.5);
        let found = median_deviation(&sorted, statistics.median);
        prop_assert!(near(found, wanted) || found == f64::MAX, "{found} {}", wanted * largest);
        let effective = effective_count(&values, statistics.mean, statistics.std_dev);
        prop_assert!(effective <= count && effective >= 0.0, "{effective} of {count}");
    }

    #[test]
    fn trend_and_tail_say_something_of_any_window(
        values in prop::collection::vec(finite(), 1..200),
        steps in prop::collection::vec(1_i64..10_000_000, 200),
        share in 1e-9..0.05,
        independent in 0.0..1.0,
    ) {
        let at: Vec<i64> = steps.iter().take(values.len()).scan(0, |now, step| { *now += step; Some(*now) }).collect();
        let line = trend(&at, &values, None);
        prop_assert!(line.effective >= 0.0 && line.effective <= values.len() as f64, "{line:?}");
        let mut scratch = Scratch::default();
        let sorted = sort_into(&values, &mut scratch);
        let below = tail::lower_level(sorted, share, 1e-9, independent);
        let above = tail::upper_level(sorted, share, 1e-9, independent);
        prop_assert!(!below.is_nan() && !above.is_nan(), "{below} {above}");
        let middle = quantile(sorted, 0.5);
        prop_assert!(below <= middle && above >= middle, "{below} {middle} {above}");
    }
}

// --- scripts --------------------------------------------------------------------------------------------------------

/// One thing that a caller does.
#[derive(Clone, Debug)]
enum Deed {
    /// A sample of one of the series, so many milliseconds from now.
    Sample(usize, i64, f64),
    /// A day and a half of a series at this level, a sample every quarter of an hour.
    Days(usize, u8),
    /// An answer to the proposal that is open, or to one that may not be there.
    Answer(bool, u8),
    /// So many ordinary samples of a series, one a second: what learning needs.
    Run(usize, u8),
    /// The newest sample of a series once more, with the same value or another.
    Again(usize, bool),
    Wait(u32),
    Cycle,
    Measure(usize, f64),
    Verdict(usize, u8),
    Outcome(usize, bool),
    Backfill(usize, Vec<(i64, f64)>),
    Force(usize),
    Freeze(bool),
}

const NAMES: [&str; 6] = [
    "latency{host=\"a\"}",
    "latency{host=\"b\"}",
    "requests_total",
    "request_seconds_bucket{le=\"0.5\"}",
    "queue",
    "replicas",
];

fn deed() -> impl Strategy<Value = Deed> {
    let series = 0..NAMES.len();
    let offset = prop_oneof![6 => -5_000_i64..5_000, 1 => -10_000_000_i64..10_000_000, 1 => any::<i64>()];
    prop_oneof![
        6 => (series.clone(), offset, value()).prop_map(|(series, offset, value)| Deed::Sample(series, offset, value)),
        6 => (series.clone(), any::<u8>()).prop_map(|(series, count)| Deed::Run(series, count % 40)),
        2 => (series.clone(), any::<u8>()).prop_map(|(series, level)| Deed::Days(series, level % 4)),
        1 => (any::<bool>(), 0_u8..4).prop_map(|(accept, id)| Deed::Answer(accept, id)),
        1 => (series.clone(), any::<bool>()).prop_map(|(series, same)| Deed::Again(series, same)),
        3 => (0_u32..900_000).prop_map(Deed::Wait),
        4 => Just(Deed::Cycle),
        2 => (0..EvidenceKind::ALL.len(), prop_oneof![3 => 0.0..1.2, 1 => value()])
            .prop_map(|(kind, value)| Deed::Measure(kind, value)),
        2 => (series.clone(), 0_u8..3).prop_map(|(series, verdict)| Deed::Verdict(series, verdict)),
        1 => (series.clone(), any::<bool>()).prop_map(|(series, met)| Deed::Outcome(series, met)),
        1 => (series, prop::collection::vec((-100_000_i64..5_000, value()), 0..40))
            .prop_map(|(series, history)| Deed::Backfill(series, history)),
        1 => (0..SystemState::ALL.len()).prop_map(Deed::Force),
        1 => any::<bool>().prop_map(Deed::Freeze),
    ]
}

fn script(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Deed>> {
    prop::collection::vec(deed(), len)
}

/// Small limits, so that a short script meets all of them.
fn small() -> Config {
    let mut config = Config::default();
    config.learning.min_data_points = 20;
    config.learning.window_len = 50;
    config.learning.learning_window = Span::hours(8);
    config.learning.optimization_interval = Span::minutes(2);
    config.limits.series_max = 4;
    config.limits.series_ttl = Span::hours(1);
    config.feedback.signal_history = 20;
    config.feedback.action_history = 10;
    config.feedback.withhold = Ratio::clamped(0.5);
    // Alerts of a detector and alerts of bounds, side by side.
    let selector = Selector::parse(r#"latency{host="b"}"#).expect("a name");
    config.learning.strategy = "adaptive".into();
    config.series = vec![SeriesRule { strategy: Some("auto".into()), ..SeriesRule::of(selector) }];
    config
}

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// An engine with its clock, and what came of what it was told.
struct Life {
    engine: Engine,
    now: Timestamp,
    fates: Fates,
    offered: u64,
    made_up: u64,
}

impl Life {
    fn new(shards: usize) -> Life {
        let engine = Engine::with_methods(small(), Methods::built_in(), shards, START);
        Life { engine, now: START, fates: Fates::default(), offered: 0, made_up: 1 << 40 }
    }

    /// The same memory in another engine.
    fn restored(&self, shards: usize) -> Life {
        let parts = self.engine.snapshot();
        let engine =
            Engine::restore(small(), Methods::built_in(), shards, &parts, self.now).expect("a snapshot is readable");
        Life { engine, fates: self.fates, ..*self }
    }

    fn observe(&mut self, series: usize, samples: &[(Timestamp, f64)]) -> Vec<Event> {
        self.offered += samples.len() as u64;
        let known = self.engine.intern(&name(NAMES[series]), None, self.now);
        let samples: Vec<Sample> = match known {
            Ok(series) => samples.iter().map(|(at, value)| Sample { series, at: *at, value: *value }).collect(),
            Err(_) => {
                self.offered -= samples.len() as u64;
                Vec::new()
            }
        };
        let observed = self.engine.observe(&samples, self.now);
        self.fates += &observed.fates;
        observed.events
    }

    /// Does one deed: what samples brought about, and what was decided.
    fn does(&mut self, deed: &Deed) -> (Vec<Event>, Vec<Event>) {
        match deed {
            Deed::Sample(series, offset, value) => {
                let at = Timestamp::from_millis(self.now.millis().saturating_add(*offset));
                (self.observe(*series, &[(at, *value)]), Vec::new())
            }
            Deed::Run(series, count) => {
                let mut events = Vec::new();
                for n in 0..*count {
                    self.now = self.now + Span::from_secs(1);
                    let value = 100.0 + f64::from(n.wrapping_mul(37) % 23) / 4.0;
                    events.extend(self.observe(*series, &[(self.now, value)]));
                }
                (events, Vec::new())
            }
            Deed::Days(series, level) => {
                let mut events = Vec::new();
                for n in 0..144_u32 {
                    self.now = self.now + Span::minutes(15);
                    let value = 100.0 + 50.0 * f64::from(*level) + f64::from(n.wrapping_mul(37) % 23) / 4.0;
                    events.extend(self.observe(*series, &[(self.now, value)]));
                }
                (events, Vec::new())
            }
            Deed::Answer(accept, id) => {
                let open = self.engine.knowledge().proposals().open().next().map(|proposal| proposal.id);
                let answer = if *accept { Answer::Accept } else { Answer::Refuse };
                let id = open.unwrap_or(u64::from(*id));
                let comment = accept.then(|| "so".to_owned());
                (Vec::new(), self.engine.answer(id, answer, comment, self.now).into_iter().collect())
            }
            Deed::Again(series, same) => {
                let held = self.engine.knowledge().find(&name(NAMES[*series]));
                let newest = held.and_then(|series| series.window().newest());
                let again = newest.map(|(at, value)| (at, if *same { value } else { value / 2.0 + 1e9 }));
                (self.observe(*series, again.as_slice()), Vec::new())
            }
            Deed::Wait(millis) => {
                self.now = self.now + Span::from_millis(u64::from(*millis));
                (Vec::new(), Vec::new())
            }
            Deed::Backfill(series, history) => {
                let mut history: Vec<_> = history
                    .iter()
                    .map(|(offset, value)| (Timestamp::from_millis(self.now.millis() + offset), *value))
                    .collect();
                history.sort_by_key(|(at, _)| *at);
                let Ok(id) = self.engine.intern(&name(NAMES[*series]), None, self.now) else {
                    return (self.engine.observe(&[], self.now).events, Vec::new());
                };
                self.offered += history.len() as u64;
                let observed = self.engine.backfill(id, &history, self.now);
                self.fates += &observed.fates;
                (observed.events, Vec::new())
            }
            Deed::Cycle => (Vec::new(), self.engine.cycle(self.now).events),
            Deed::Measure(kind, value) => {
                let kind = EvidenceKind::ALL[*kind];
                let of = match kind {
                    EvidenceKind::CycleLatency => LoopKind::PerformanceAdaptation,
                    EvidenceKind::OwnMemory | EvidenceKind::HostProcessor | EvidenceKind::HostMemory => {
                        LoopKind::ResourceOptimization
                    }
                    // Nobody sends these, and whoever does gets an answer.
                    EvidenceKind::BreachShare | EvidenceKind::DecisionQuality | EvidenceKind::FalseShare => {
                        LoopKind::MetricsLearning
                    }
                };
                (Vec::new(), vec![self.signal(of, kind.as_str(), *value, None, None)])
            }
            Deed::Verdict(series, verdict) => {
                let verdict = [Verdict::True, Verdict::False, Verdict::Missed][usize::from(*verdict)];
                let signal =
                    self.signal(LoopKind::AnomalyFeedback, "verdict", 1.0, Some(NAMES[*series]), Some(verdict));
                (Vec::new(), vec![signal])
            }
            Deed::Outcome(series, met) => {
                self.made_up += 1;
                let outcome = Outcome {
                    change: self.made_up,
                    at: self.now,
                    knob: Knob::Threshold(name(NAMES[*series])),
                    by: None,
                    strategy: Some("sigma".into()),
                    verification: if *met { Verification::Met } else { Verification::Failed },
                    measured: None,
                };
                (Vec::new(), self.engine.settle(outcome, self.now))
            }
            Deed::Force(state) => (Vec::new(), self.engine.force(SystemState::ALL[*state], Span::minutes(3), self.now)),
            Deed::Freeze(frozen) => {
                (Vec::new(), self.engine.freeze(*frozen, "the script says so".to_owned(), self.now))
            }
        }
    }

    fn signal(
        &mut self,
        of: LoopKind,
        source: &'static str,
        value: f64,
        series: Option<&str>,
        verdict: Option<Verdict>,
    ) -> Event {
        let signal = Signal { series: series.map(name), verdict, ..Signal::new(of, source, value, self.now) };
        self.engine.signal(signal, self.now)
    }

    /// What has to hold after anything.
    fn check(&self) -> Result<(), TestCaseError> {
        let knowledge = self.engine.knowledge();
        prop_assert_eq!(self.fates.total(), self.offered, "each sample has one fate");
        prop_assert_eq!(*knowledge.fates(), self.fates, "and it is counted once");
        prop_assert!(knowledge.series_count() <= 4);
        let proposals = knowledge.proposals();
        prop_assert!(proposals.shifts().all(|(series, _)| knowledge.find(series).is_some()), "of series that are held");
        for proposal in proposals.open() {
            prop_assert!(proposal.open().all(|series| proposals.of(series) == Some(proposal)), "{proposal:?}");
        }
        prop_assert!(knowledge.signals().len() <= 20 && knowledge.actions().len() <= 10);
        prop_assert!(
            knowledge.parameters().execution_parallelism >= 1 && knowledge.parameters().learning_rate.get() > 0.0
        );
        for series in knowledge.series() {
            let window = series.window();
            prop_assert!(window.len() <= 50, "{}", window.len());
            prop_assert!(window.iter().all(|(_, value)| value.is_finite()));
            prop_assert!(window.iter().zip(window.iter().skip(1)).all(|((before, _), (after, _))| before < after));
            prop_assert!(series.admitted() >= window.len() as u64);
            for threshold in series.learned().into_iter().chain(series.in_force()) {
                for (lower, upper) in [threshold.bounds.at(self.now), threshold.alert.at(self.now)] {
                    prop_assert!(lower.is_none_or(f64::is_finite) && upper.is_none_or(f64::is_finite), "{threshold:?}");
                    prop_assert!(lower.zip(upper).is_none_or(|(lower, upper)| lower < upper), "{threshold:?}");
                }
                prop_assert!((0.0..=1.0).contains(&threshold.confidence.get()));
            }
        }
        Ok(())
    }
}

/// Events as text: a number that is none is not equal to itself, but prints the same.
fn same(
    what: &str,
    at: usize,
    one: &(Vec<Event>, Vec<Event>),
    other: &(Vec<Event>, Vec<Event>),
) -> Result<(), TestCaseError> {
    let equal = one == other || format!("{one:?}") == format!("{other:?}");
    prop_assert!(equal, "{what}, deed {at}:\n{one:?}\n{other:?}");
    Ok(())
}

proptest! {
    #![proptest_config(settings(120))]

    #[test]
    fn whatever_is_done_nothing_panics_and_what_is_held_is_bounded_and_in_order(script in script(1..120)) {
        let mut life = Life::new(8);
        for deed in &script {
            let _ = life.does(deed);
            life.check()?;
        }
    }

    #[test]
    fn a_window_keeps_its_length_and_age_and_never_less_than_is_learned_from(
        gaps in prop::collection::vec(prop_oneof![5 => 1_u32..60_000, 1 => 1_u32..10_000_000], 1..200),
    ) {
        let mut life = Life::new(1);
        for (n, gap) in gaps.iter().enumerate() {
            life.now = life.now + Span::from_millis(u64::from(*gap));
            let _ = life.observe(4, &[(life.now, (n % 7) as f64 + 0.5)]);
            let series = life.engine.knowledge().find(&name("queue")).expect("held");
            let window = series.window();
            let young = window.iter().filter(|(at, _)| life.now.since(*at) <= Span::hours(8)).count();
            prop_assert_eq!(window.len(), young.max(20.min(n + 1)).min(50), "at {}", n);
            prop_assert_eq!(window.newest(), Some((life.now, (n % 7) as f64 + 0.5)));
        }
    }

    #[test]
    fn the_number_of_shards_changes_nothing(script in script(1..120)) {
        let (mut one, mut eight) = (Life::new(1), Life::new(8));
        for (at, deed) in script.iter().enumerate() {
            let (a, b) = (one.does(deed), eight.does(deed));
            same("shards", at, &a, &b)?;
        }
        prop_assert_eq!(one.engine.next_cycle(), eight.engine.next_cycle());
        prop_assert_eq!(&one.engine.snapshot()[0], &eight.engine.snapshot()[0]);
        prop_assert_eq!(one.restored(8).engine.snapshot(), eight.engine.snapshot());
    }

    #[test]
    fn a_snapshot_is_the_whole_engine_and_has_the_same_future(before in script(1..80), after in script(1..60)) {
        let mut life = Life::new(8);
        for deed in &before {
            let _ = life.does(deed);
        }
        // What was decided outside of a call that returns events is handed out first: it is in no snapshot.
        let _ = life.engine.observe(&[], life.now);
        let (mut same_shards, mut other_shards) = (life.restored(8), life.restored(3));
        prop_assert_eq!(same_shards.engine.snapshot(), life.engine.snapshot());
        for (at, deed) in after.iter().enumerate() {
            let lived = life.does(deed);
            same("restored", at, &lived, &same_shards.does(deed))?;
            same("restored to three shards", at, &lived, &other_shards.does(deed))?;
        }
        prop_assert_eq!(life.engine.snapshot(), same_shards.engine.snapshot());
        prop_assert_eq!(life.engine.snapshot(), other_shards.restored(8).engine.snapshot());
    }

    #[test]
    fn a_snapshot_that_is_taken_while_life_goes_on_is_that_of_the_moment_it_began(
        before in script(1..80),
        after in script(1..60),
        handed_out in prop::collection::vec(0..4_u8, 60),
    ) {
        let mut life = Life::new(8);
        for deed in &before {
            let _ = life.does(deed);
        }
        let _ = life.engine.observe(&[], life.now);
        let began = life.restored(8);
        let mut parts = life.engine.begin_snapshot();
        for (deed, handed_out) in after.iter().zip(handed_out) {
            let _ = life.does(deed);
            if handed_out == 0 {
                // So few bytes are one series.
                parts.extend(life.engine.snapshot_more(1));
            }
        }
        while let more = life.engine.snapshot_more(1) && !more.is_empty() {
            parts.extend(more);
        }
        let restored =
            Engine::restore(small(), Methods::built_in(), 8, &parts, began.now).expect("a snapshot is readable");
        prop_assert_eq!(restored.snapshot(), began.engine.snapshot());
    }

    #[test]
    fn events_applied_again_over_the_same_samples_give_the_same_memory(script in script(1..150)) {
        let (mut live, mut told) = (Life::new(8), Life::new(8));
        for (at, deed) in script.iter().enumerate() {
            let (observed, decided) = live.does(deed);
            let again = match deed {
                Deed::Sample(..) | Deed::Run(..) | Deed::Days(..) | Deed::Again(..) | Deed::Wait(_) | Deed::Backfill(..) => told.does(deed).0,
                _ => {
                    decided.iter().for_each(|event| told.engine.replay(event, live.now));
                    Vec::new()
                }
            };
            same("samples", at, &(observed, Vec::new()), &(again, Vec::new()))?;
            prop_assert_eq!(live.engine.next_cycle(), told.engine.next_cycle(), "deed {}", at);
        }
        prop_assert_eq!(live.engine.snapshot(), told.engine.snapshot());
    }

    #[test]
    fn an_event_that_went_through_text_says_the_same(script in script(1..100)) {
        let mut life = Life::new(2);
        for deed in &script {
            let (observed, decided) = life.does(deed);
            for event in observed.iter().chain(&decided) {
                let Event::Signalled { signal } = event else {
                    let text = serde_json::to_string(event).expect("an event is plain data");
                    let back: Event = serde_json::from_str(&text).expect("and comes back");
                    prop_assert_eq!(&back, event);
                    continue;
                };
                // A caller refuses what is not finite before it is stored.
                if signal.value.is_finite() {
                    let text = serde_json::to_string(event).expect("an event is plain data");
                    prop_assert_eq!(&serde_json::from_str::<Event>(&text).expect("and comes back"), event);
                }
            }
        }
    }
}

#[test]
fn the_scripts_reach_what_they_are_for() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::new(settings(1));
    let mut kinds = std::collections::BTreeSet::new();
    let mut fates = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let script = script(60..120).new_tree(&mut runner).expect("a script").current();
        let mut life = Life::new(8);
        for deed in &script {
            let (observed, decided) = life.does(deed);
            kinds.extend(observed.iter().chain(&decided).map(Event::kind));
        }
        fates.extend(life.fates.iter().filter(|(_, count)| *count > 0).map(|(fate, _)| fate.as_str()));
    }
    for kind in [
        "series_added",
        "series_forgotten",
        "threshold_learned",
        "alerted",
        "state_changed",
        "change_dispatched",
        "change_settled",
        "signalled",
        "adjusted",
        "withheld",
        "effect_measured",
        "frozen",
        "level_shift_proposed",
        "level_shift_settled",
        "cycle_completed",
    ] {
        assert!(kinds.contains(kind), "no script came to {kind}: {kinds:?}");
    }
    // No script holds on to the id of a series that went.
    for fate in Fate::ALL.into_iter().filter(|fate| *fate != Fate::UnknownSeries) {
        assert!(fates.contains(fate.as_str()), "no sample came to {}: {fates:?}", fate.as_str());
    }
}
