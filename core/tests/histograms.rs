//! Histograms: buckets go in one by one, and what comes out is the request rate and two quantiles, worth a threshold each.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, Kind, SeriesRule};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::knowledge::series::Series;
use homeostat::knowledge::{SeriesId, histogram::BUCKETS_MAX};
use homeostat::monitor::{Fate, Sample};
use homeostat::series::{Selector, SeriesName};
use homeostat::time::{Span, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const SCRAPE: Span = Span::from_secs(10);
const P50: &str = r#"latency{job="api",quantile="0.5"}"#;
const P99: &str = r#"latency{job="api",quantile="0.99"}"#;
const RATE: &str = r#"latency_count{job="api"}"#;

/// Pseudo-random numbers from a seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

fn name(text: &str) -> SeriesName {
    SeriesName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bucket(le: &str) -> String {
    format!(r#"latency_bucket{{job="api",le="{le}"}}"#)
}

/// An engine that is scraped.
struct Scraped {
    engine: Engine,
    now: Timestamp,
    events: Vec<Event>,
}

impl Scraped {
    fn new(shards: usize) -> Scraped {
        Scraped::with(Config::default(), shards)
    }

    fn with(config: Config, shards: usize) -> Scraped {
        let engine = Engine::with_methods(config, Methods::built_in(), shards, START);
        Scraped { engine, now: START, events: Vec::new() }
    }

    fn intern(&mut self, text: &str) -> SeriesId {
        self.engine.intern(&name(text), None, self.now).expect("room")
    }

    /// One sample at the present moment, in a call of its own.
    fn send(&mut self, series: &str, value: f64) -> Fate {
        let id = self.intern(series);
        let (at, mut fate) = (self.now, None);
        let sample = [Sample { series: id, at, value }];
        let observed = self.engine.observe_each(&sample, at, |_, seen, _| fate = Some(seen));
        assert_eq!(observed.fates.total(), 1, "the caller is told of its own samples alone");
        self.events.extend(observed.events);
        fate.expect("each sample has a fate")
    }

    fn scrape(&mut self, buckets: &[(&str, f64)]) {
        for (le, _) in buckets {
            self.intern(&bucket(le));
        }
        for (le, count) in buckets {
            self.send(&bucket(le), *count);
        }
        self.now = self.now + SCRAPE;
    }

    fn series(&self, text: &str) -> Option<&Series> {
        self.engine.knowledge().find(&name(text))
    }

    /// What a series holds: seconds since the start, and value.
    fn held(&self, text: &str) -> Vec<(f64, f64)> {
        let window = self.series(text).map(|series| series.window().iter().collect::<Vec<_>>()).unwrap_or_default();
        window.into_iter().map(|(at, value)| (at.since(START).secs(), value)).collect()
    }
}

/// `histogram_quantile` in the plainest way: over the counts between limits.
fn naive(q: f64, limits: &[f64], grown: &[f64]) -> Option<f64> {
    let observed = *grown.last()?;
    if observed == 0.0 {
        return None;
    }
    let rank = q * observed;
    for at in 0..limits.len() {
        if grown[at] >= rank {
            if limits[at].is_infinite() {
                return Some(limits[at - 1]);
            }
            if at == 0 && limits[0] <= 0.0 {
                return Some(limits[0]);
            }
            let (start, below) = if at == 0 { (0.0, 0.0) } else { (limits[at - 1], grown[at - 1]) };
            return Some(start + (limits[at] - start) * (rank - below) / (grown[at] - below));
        }
    }
    None
}

#[test]
fn quantiles_and_rate_equal_those_of_prometheus_whatever_the_order_and_the_number_of_shards() {
    for seed in 1..=20 {
        let mut chance = Chance(seed);
        let mut limits: Vec<f64> =
            (0..2 + chance.below(12)).map(|_| (chance.below(4000) as f64 - 500.0) / 100.0).collect();
        limits.sort_by(f64::total_cmp);
        limits.dedup();
        limits.push(f64::INFINITY);
        let texts: Vec<String> = limits
            .iter()
            .map(|limit| if limit.is_infinite() { "+Inf".to_owned() } else { limit.to_string() })
            .collect();
        let (mut one, mut eight) = (Scraped::new(1), Scraped::new(8));
        let mut counts = vec![0.0; limits.len()];
        let (mut p50, mut p99, mut rate) = (Vec::new(), Vec::new(), Vec::new());
        for scrape in 0..40 {
            let grown: Vec<f64> = (0..limits.len())
                .scan(0.0, |sum, _| {
                    *sum += if scrape % 7 == 3 { 0 } else { chance.below(50) } as f64;
                    Some(*sum)
                })
                .collect();
            counts.iter_mut().zip(&grown).for_each(|(count, grown)| *count += grown);
            let mut buckets: Vec<(&str, f64)> = texts.iter().map(String::as_str).zip(counts.iter().copied()).collect();
            chance.shuffle(&mut buckets);
            let at = one.now.since(START).secs();
            one.scrape(&buckets);
            eight.scrape(&buckets);
            if scrape > 0 {
                p50.extend(naive(0.5, &limits, &grown).map(|value| (at, value)));
                p99.extend(naive(0.99, &limits, &grown).map(|value| (at, value)));
            }
            if scrape > 1 {
                rate.push((at, grown[grown.len() - 1] / SCRAPE.secs()));
            }
        }
        let close = |held: Vec<(f64, f64)>, wanted: &[(f64, f64)]| {
            assert_eq!(held.len(), wanted.len(), "seed {seed}: {held:?} {wanted:?}");
            for (held, wanted) in held.iter().zip(wanted) {
                let near = (held.1 - wanted.1).abs() <= 1e-9 * wanted.1.abs().max(1.0);
                assert!(held.0 == wanted.0 && near, "seed {seed}: {held:?} {wanted:?}");
            }
        };
        close(one.held(P50), &p50);
        close(one.held(P99), &p99);
        close(one.held(RATE), &rate);
        assert_eq!(one.events, eight.events, "seed {seed}");
        assert_eq!(one.engine.snapshot()[0], eight.engine.snapshot()[0], "seed {seed}");
        for text in [P50, P99, RATE] {
            assert_eq!(one.series(text), eight.series(text), "seed {seed}");
        }
        assert!(one.series(RATE).is_some_and(Series::watched), "seed {seed}");
        assert!(texts.iter().all(|le| one.series(&bucket(le)).is_some_and(|series| !series.watched())));
    }
}

/// Ten requests per scrape, half of them within .1 s.
fn steady(scraped: &mut Scraped, scrapes: usize) {
    let done = scraped.held(P50).len() as f64 + if scraped.series(&bucket("0.1")).is_some() { 1.0 } else { 0.0 };
    for scrape in 0..scrapes {
        let n = done + scrape as f64;
        scraped.scrape(&[("0.1", 5.0 * n), ("1", 10.0 * n), ("+Inf", 10.0 * n)]);
    }
}

#[test]
fn what_is_made_is_a_series_like_any_other_with_a_threshold_and_alerts() {
    let mut scraped = Scraped::new(8);
    let mut chance = Chance(3);
    let mut counts = [0.0; 3];
    let mut grow = |scraped: &mut Scraped, slow: bool| {
        let fast = if slow { 0 } else { 90 + chance.below(10) };
        counts[0] += fast as f64;
        counts[1] += 100.0;
        counts[2] += 100.0;
        scraped.scrape(&[("0.1", counts[0]), ("1", counts[1]), ("+Inf", counts[2])]);
        if scraped.now >= scraped.engine.next_cycle() {
            let cycle = scraped.engine.cycle(scraped.now);
            scraped.events.extend(cycle.events);
        }
    };
    (0..300).for_each(|_| grow(&mut scraped, false));
    let p50 = scraped.series(P50).expect("made");
    let upper = p50.in_force().and_then(|threshold| threshold.bounds.at(scraped.now).1).expect("learned");
    assert!((0.05..0.07).contains(&upper), "{upper}");
    scraped.events.clear();
    (0..5).for_each(|_| grow(&mut scraped, true));
    let alerted =
        scraped.events.iter().any(|event| matches!(event, Event::Alerted(alert) if alert.series == name(P50)));
    assert!(alerted, "every request got slow");
    let p50 = scraped.series(P50).expect("made");
    assert_eq!(p50.derived_from().map(SeriesName::as_str), Some(r#"latency_bucket{job="api"}"#));
    let histogram = scraped.engine.knowledge().histogram(p50).expect("held");
    assert_eq!(histogram.limits().collect::<Vec<_>>(), [0.1, 1.0, f64::INFINITY]);
}

#[test]
fn a_count_that_the_source_sends_itself_is_not_watched_twice() {
    let mut scraped = Scraped::new(8);
    for scrape in 0..30 {
        let n = f64::from(scrape);
        scraped.send(RATE, 10.0 * n);
        scraped.scrape(&[("0.1", 5.0 * n), ("1", 10.0 * n), ("+Inf", 10.0 * n)]);
    }
    let count = scraped.series(RATE).expect("the source's own");
    assert_eq!((count.derived_from(), count.fates().of(Fate::Duplicate), count.kind()), (None, 0, Kind::Counter));
    assert_eq!(scraped.held(P50).len(), 29);
}

#[test]
fn a_reset_gives_nothing_and_other_limits_begin_anew() {
    let mut scraped = Scraped::new(8);
    steady(&mut scraped, 3);
    // The process began anew: every count fell.
    for n in [1.0, 2.0, 3.0] {
        scraped.scrape(&[("0.1", n), ("1", 2.0 * n), ("+Inf", 2.0 * n)]);
    }
    let at = |held: Vec<(f64, f64)>| held.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(at(scraped.held(P50)), [10.0, 20.0, 40.0, 50.0]);
    assert_eq!(at(scraped.held(RATE)), [20.0, 40.0, 50.0]);
    // One bucket alone that fell is a reset as well.
    scraped.scrape(&[("0.1", 2.0), ("1", 9.0), ("+Inf", 9.0)]);
    assert_eq!(scraped.held(P50).len(), 4);
    // A finer histogram: the first scrape of it is no more than a beginning.
    for n in [10.0, 20.0, 30.0] {
        scraped.scrape(&[("0.1", n), ("0.5", 2.0 * n), ("1", 2.0 * n), ("+Inf", 2.0 * n)]);
    }
    assert_eq!(at(scraped.held(P50)), [10.0, 20.0, 40.0, 50.0, 80.0, 90.0]);
    // A limit that is gone costs one scrape, and the old bucket is waited for no longer than to the next scrape.
    for n in [40.0, 50.0, 60.0, 70.0, 80.0] {
        scraped.scrape(&[("0.1", n), ("1", 2.0 * n), ("+Inf", 2.0 * n)]);
    }
    assert_eq!(at(scraped.held(P50))[6..], [120.0, 130.0]);
}

#[test]
fn one_bucket_that_is_no_number_costs_its_own_scrape_alone() {
    let mut scraped = Scraped::new(8);
    steady(&mut scraped, 3);
    assert_eq!(scraped.send(&bucket("0.1"), f64::NAN), Fate::NotFinite);
    scraped.scrape(&[("1", 30.0), ("+Inf", 30.0)]);
    scraped.scrape(&[("0.1", 20.0), ("1", 40.0), ("+Inf", 40.0)]);
    let held = scraped.held(P50);
    assert_eq!(held.last(), Some(&(40.0, 0.1)), "taken over both intervals: {held:?}");
    assert_eq!(held.len(), 3);
}

/// A sender with several shards sends the buckets of one histogram in several requests side by side, each bucket in order by itself.
#[test]
fn buckets_that_come_in_several_requests_lose_nothing_while_no_shard_is_two_scrapes_behind() {
    const LIMITS: [&str; 4] = ["0.1", "0.5", "1", "+Inf"];
    for seed in 1..=30 {
        let mut chance = Chance(seed);
        let shard: Vec<u64> = LIMITS.iter().map(|_| chance.below(3)).collect();
        let count = |limit: usize, scrape: i64| [5.0, 8.0, 10.0, 10.0][limit] * scrape as f64;
        let (mut sharded, mut whole) = (Scraped::new(8), Scraped::new(8));
        for limit in LIMITS {
            sharded.intern(&bucket(limit));
        }
        // How far each shard has come; none is ever more than one scrape ahead of another, or two at the very moment.
        let mut sent = [0_i64; 3];
        while sent.iter().any(|sent| *sent < 40) {
            let least = *sent.iter().min().expect("three");
            let next = chance.below(3) as usize;
            if sent[next] > least || sent[next] == 40 {
                continue;
            }
            sharded.now = START + SCRAPE * sent[next] as u64;
            for (limit, le) in LIMITS.iter().enumerate().filter(|(limit, _)| shard[*limit] as usize == next) {
                let fate = sharded.send(&bucket(le), count(limit, sent[next]));
                assert_eq!(fate, Fate::Folded, "seed {seed}: {le} of {}", sent[next]);
            }
            sent[next] += 1;
        }
        for scrape in 0..40 {
            let buckets: Vec<(&str, f64)> =
                LIMITS.iter().enumerate().map(|(limit, le)| (*le, count(limit, scrape))).collect();
            whole.scrape(&buckets);
        }
        assert_eq!(sharded.held(P50).len(), 39, "seed {seed}");
        for text in [P50, P99, RATE] {
            assert_eq!(sharded.held(text), whole.held(text), "seed {seed}: {text}");
        }
    }
}

#[test]
fn what_comes_when_two_later_moments_have_begun_is_left_out_and_counted() {
    let mut scraped = Scraped::new(8);
    steady(&mut scraped, 4);
    let begin = scraped.now;
    let send = |scraped: &mut Scraped, scrape: u64, le: &str, count: f64| {
        scraped.now = begin + SCRAPE * scrape;
        scraped.send(&bucket(le), count)
    };
    for scrape in 0..3 {
        assert_eq!(send(&mut scraped, scrape, "0.1", 5.0 * (4 + scrape) as f64), Fate::Folded);
    }
    let before = scraped.engine.knowledge().fates().of(Fate::OutOfOrder);
    for le in ["1", "+Inf"] {
        assert_eq!(send(&mut scraped, 0, le, 40.0), Fate::OutOfOrder, "its moment is over");
    }
    assert_eq!(scraped.engine.knowledge().fates().of(Fate::OutOfOrder), before + 2);
    // The two that are open are as good as ever, and the one that was cut short costs nothing but itself.
    for scrape in [1, 2] {
        for le in ["1", "+Inf"] {
            assert_eq!(send(&mut scraped, scrape, le, 10.0 * (4 + scrape) as f64), Fate::Folded);
        }
    }
    let held: Vec<f64> = scraped.held(P50).iter().map(|(at, _)| *at).collect();
    assert_eq!(held, [10.0, 20.0, 30.0, 50.0, 60.0]);
}

/// A moment that another shard has not begun yet comes after one that is later: it is put before it.
#[test]
fn a_moment_that_begins_late_is_taken_while_there_is_room() {
    let mut scraped = Scraped::new(8);
    steady(&mut scraped, 3);
    let begin = scraped.now;
    for (scrape, le, count) in
        [(1, "0.1", 20.0), (0, "1", 30.0), (0, "+Inf", 30.0), (0, "0.1", 15.0), (1, "1", 40.0), (1, "+Inf", 40.0)]
    {
        scraped.now = begin + SCRAPE * scrape;
        assert_eq!(scraped.send(&bucket(le), count), Fate::Folded, "{scrape} {le}");
    }
    assert_eq!(scraped.held(P50).last(), Some(&(40.0, 0.1)));
    assert_eq!(scraped.held(P50).len(), 4);
    // Half a scrape between the two that are open has no place.
    scraped.now = begin + SCRAPE * 2;
    scraped.send(&bucket("0.1"), 25.0);
    scraped.now = begin + SCRAPE * 3;
    scraped.send(&bucket("0.1"), 30.0);
    scraped.now = begin + SCRAPE * 2 + Span::from_secs(5);
    assert_eq!(scraped.send(&bucket("0.1"), 27.0), Fate::OutOfOrder);
}

#[test]
fn without_the_bucket_that_holds_all_there_is_nothing_to_say() {
    let mut scraped = Scraped::new(8);
    for n in 0..5 {
        scraped.scrape(&[("0.1", f64::from(n)), ("1", 2.0 * f64::from(n))]);
    }
    assert_eq!(scraped.engine.knowledge().series_count(), 2, "nothing was made");
}

#[test]
fn limits_that_are_no_numbers_are_held_back_and_two_ways_to_write_one_are_one() {
    let mut scraped = Scraped::new(8);
    for n in 0..4_u32 {
        let count = f64::from(n);
        for le in ["fast", "NaN", "-Inf", ""] {
            let text = if le.is_empty() { "latency_bucket{job=\"api\",le=\"x\"}".to_owned() } else { bucket(le) };
            scraped.send(&text, count);
        }
        // The sender changed how it writes the limit.
        let one = if n < 2 { "1" } else { "1.0" };
        scraped.scrape(&[("0.1", count), (one, 2.0 * count), ("+Inf", 2.0 * count)]);
    }
    assert_eq!(scraped.held(P50).len(), 3);
    assert!(scraped.series(&bucket("fast")).is_some_and(|series| !series.watched() && series.admitted() == 0));
}

#[test]
fn each_sample_of_a_bucket_has_one_fate() {
    let mut scraped = Scraped::new(8);
    scraped.scrape(&[("0.1", 1.0), ("1", 2.0), ("+Inf", 2.0)]);
    assert_eq!(scraped.send(&bucket("0.1"), 3.0), Fate::Folded);
    assert_eq!(scraped.send(&bucket("0.1"), 3.0), Fate::Duplicate);
    assert_eq!(scraped.send(&bucket("0.1"), 4.0), Fate::Conflict);
    scraped.now = START;
    assert_eq!(scraped.send(&bucket("0.1"), 1.0), Fate::OutOfOrder);
    let fates = scraped.engine.knowledge().fates();
    assert_eq!((fates.total(), fates.of(Fate::Folded)), (7, 4));
}

#[test]
fn ten_thousand_buckets_make_nothing_and_cost_no_more_than_their_series() {
    let mut scraped = Scraped::with(Config::default(), 8);
    let ids: Vec<SeriesId> = (0..10_000).map(|le| scraped.intern(&bucket(&format!("{}", 10_000 - le)))).collect();
    for round in 0..3 {
        scraped.now = scraped.now + SCRAPE;
        let samples: Vec<Sample> =
            ids.iter().map(|series| Sample { series: *series, at: scraped.now, value: f64::from(round) }).collect();
        let observed = scraped.engine.observe(&samples, scraped.now);
        assert_eq!(observed.fates.of(Fate::Folded), 10_000);
    }
    let knowledge = scraped.engine.knowledge();
    assert_eq!(knowledge.series_count(), 10_000);
    let histogram = knowledge.series().next().and_then(|series| knowledge.histogram(series)).expect("held");
    assert!(histogram.is_too_large() && histogram.limits().len() > BUCKETS_MAX);
    let parts = scraped.engine.snapshot();
    let (_, bytes) = parts.iter().find(|(part, _)| part == "histograms").expect("a part of its own");
    assert!(bytes.len() < 100, "{} bytes", bytes.len());
}

#[test]
fn at_the_most_series_nothing_is_made_and_the_buckets_stay() {
    let mut config = Config::default();
    config.limits.series_max = 4;
    let mut scraped = Scraped::with(config, 8);
    steady(&mut scraped, 4);
    let knowledge = scraped.engine.knowledge();
    assert_eq!(knowledge.series_count(), 4, "three buckets and the one that found room");
    assert!(knowledge.find(&name(RATE)).is_some());
    assert!(knowledge.losses().1 > 0, "and what found none is counted");
}

#[test]
fn a_restart_in_the_middle_of_a_scrape_changes_nothing() {
    let mut through = Scraped::new(8);
    steady(&mut through, 5);
    through.send(&bucket("1"), 50.0);
    let parts = through.engine.snapshot();
    for shards in [1, 3, 8] {
        let engine =
            Engine::restore(Config::default(), Methods::built_in(), shards, &parts, through.now).expect("read");
        let mut restarted = Scraped { engine, now: through.now, events: Vec::new() };
        let mut live = Scraped::new(8);
        steady(&mut live, 5);
        live.events.clear();
        live.send(&bucket("1"), 50.0);
        for scraped in [&mut live, &mut restarted] {
            scraped.send(&bucket("0.1"), 25.0);
            scraped.send(&bucket("+Inf"), 50.0);
            scraped.now = scraped.now + SCRAPE;
            scraped.scrape(&[("0.1", 26.0), ("1", 54.0), ("+Inf", 60.0)]);
        }
        assert_eq!(live.events, restarted.events);
        for text in [P50, P99, RATE] {
            assert_eq!(live.held(text), restarted.held(text), "{text}");
        }
        assert_eq!(live.held(P99).last().map(|(_, value)| *value), Some(1.0));
        let part = |scraped: &Scraped| scraped.engine.snapshot().into_iter().find(|(part, _)| part == "histograms");
        assert_eq!(part(&live), part(&restarted));
    }
}

#[test]
fn a_snapshot_from_before_there_were_histograms_is_read() {
    let mut scraped = Scraped::new(8);
    steady(&mut scraped, 3);
    let parts: Vec<_> = scraped.engine.snapshot().into_iter().filter(|(part, _)| part != "histograms").collect();
    let engine = Engine::restore(Config::default(), Methods::built_in(), 8, &parts, scraped.now).expect("read");
    let mut restarted = Scraped { engine, now: scraped.now, events: Vec::new() };
    restarted.scrape(&[("0.1", 15.0), ("1", 30.0), ("+Inf", 30.0)]);
    restarted.scrape(&[("0.1", 20.0), ("1", 40.0), ("+Inf", 40.0)]);
    assert_eq!(restarted.held(P50).len(), 3, "two from before, none of the scrape it began with, one since");
}

#[test]
fn the_journal_alone_says_which_series_are_made_of_a_histogram() {
    let mut scraped = Scraped::new(8);
    steady(&mut scraped, 3);
    let mut replayed = Scraped::new(8);
    for event in &scraped.events {
        let text = serde_json::to_string(event).expect("an event is JSON");
        replayed.engine.replay(&serde_json::from_str(&text).expect(&text), START);
    }
    replayed.now = scraped.now;
    for n in [3.0, 4.0, 5.0] {
        replayed.scrape(&[("0.1", 5.0 * n), ("1", 10.0 * n), ("+Inf", 10.0 * n)]);
    }
    assert_eq!(replayed.held(P50).len(), 2);
    assert_eq!(replayed.held(RATE).len(), 1, "the rate goes on: the series is known to be made, not sent");
}

#[test]
fn buckets_that_are_forgotten_take_their_histogram_with_them() {
    let mut config = Config::default();
    config.limits.series_ttl = Span::hours(1);
    let mut scraped = Scraped::with(config, 8);
    steady(&mut scraped, 3);
    scraped.now = scraped.now + Span::hours(2);
    let _ = scraped.engine.cycle(scraped.now);
    assert_eq!(scraped.engine.knowledge().series_count(), 0);
    steady(&mut scraped, 3);
    assert_eq!(scraped.held(P50).len(), 2, "it begins anew");
}

#[test]
fn an_operator_may_ask_for_a_bucket_by_itself() {
    let selector = Selector::parse(r#"latency_bucket{le="0.1"}"#).expect("a selector");
    let rule = SeriesRule { kind: Some(Kind::Counter), ..SeriesRule::of(selector) };
    let mut scraped = Scraped::with(Config { series: vec![rule], ..Config::default() }, 8);
    steady(&mut scraped, 4);
    let alone = scraped.series(&bucket("0.1")).expect("held");
    assert_eq!((alone.kind(), alone.window().len()), (Kind::Counter, 3));
    assert!(scraped.series(&bucket("1")).is_some_and(|series| !series.watched()));
    assert_eq!(scraped.held(P50).last().map(|(_, value)| *value), Some(0.5), "from the two that are left");
}

#[test]
fn history_of_buckets_and_counters_is_learned_from_as_what_it_is() {
    let mut engine = Engine::new(Config::default(), START);
    let ids = ["0.1", "1", "+Inf"].map(|le| engine.intern(&name(&bucket(le)), None, START).expect("room"));
    let total = engine.intern(&name("jobs_total"), None, START).expect("room");
    // Four rows at a time, as a file of many series comes.
    for part in 0..50 {
        let at = |n: i64| START - Span::hours(100) + Span::from_secs(10 * (part * 4 + n) as u64);
        let value = |n: i64, times: f64| times * (part * 4 + n) as f64;
        let mut samples: Vec<Sample> = Vec::new();
        for n in 0..4 {
            for (series, times) in ids.iter().zip([5.0, 10.0, 10.0]) {
                samples.push(Sample { series: *series, at: at(n), value: value(n, times) });
            }
        }
        let observed = engine.backfill_buckets(&samples, START);
        assert_eq!(observed.fates.of(Fate::Folded), 12);
        let history: Vec<(Timestamp, f64)> = (0..4).map(|n| (at(n), value(n, 3.0))).collect();
        assert_eq!(engine.backfill(total, &history, START).fates.total(), 4);
    }
    let held =
        |text: &str| engine.knowledge().find(&name(text)).map(|series| series.window().iter().collect::<Vec<_>>());
    let p50 = held(P50).expect("made");
    assert!(p50.len() == 199 && p50.iter().all(|(_, value)| *value == 0.1), "{p50:?}");
    let jobs = held("jobs_total").expect("held");
    assert!(jobs.len() == 199 && jobs.iter().all(|(_, rate)| (rate - 0.3).abs() < 1e-9), "a rate: {jobs:?}");
    assert_eq!(held(RATE).map(|rates| rates.len()), Some(198));
    assert_eq!(held(&bucket("1")).map(|window| window.len()), Some(0), "never a bucket by itself");
}
