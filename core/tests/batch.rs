//! Many samples at once, on any number of threads, give what they give one after the other.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Fate, Fates, Sample};
use homeostat::time::{Span, Timestamp};
use world::{World, name};

/// An engine with gauges, counters, and a histogram.
struct Side {
    engine: Engine,
    gauges: Vec<SeriesId>,
    buckets: Vec<SeriesId>,
    gone: SeriesId,
}

/// What came of one batch: events, what was turned away, fates.
type Told = (Vec<Event>, Vec<(usize, Fate)>, Fates);

fn side(strategy: &'static str, threads: usize, shards: usize, now: Timestamp) -> Side {
    let mut config = Config { learning: Config::default().learning, ..Config::default() };
    config.learning.strategy = strategy.into();
    config.limits.series_ttl = Span::minutes(10);
    let mut engine = Engine::with_methods(config, Methods::built_in(), shards, now);
    engine.use_threads(threads);
    let mut intern = |text: &str, kind| engine.intern(&name(text), kind, now).expect("there is room");
    let gone = intern("gone", None);
    let gauges = (0..400)
        .map(|n| match n % 7 {
            0 => intern(&format!("requests_total{{n=\"{n}\"}}"), Some(Kind::Counter)),
            _ => intern(&format!("m{{n=\"{n}\"}}"), None),
        })
        .collect();
    let buckets =
        ["0.1", "1", "+Inf"].map(|le| intern(&format!("latency_bucket{{le=\"{le}\"}}"), Some(Kind::Histogram))).into();
    Side { engine, gauges, buckets, gone }
}

/// A batch of thirty moments: bells, some far out for a while, some late, some twice, buckets among them.
fn batch(side: &Side, world: &mut World, round: i64, from: Timestamp) -> Vec<Sample> {
    let mut samples = Vec::new();
    for step in 0..30_i64 {
        let at = from + Span::from_secs(10 * step as u64);
        for (n, series) in side.gauges.iter().enumerate() {
            let passed = (round * 30 + step) as f64;
            let counter = n.is_multiple_of(7);
            let far = if n % 50 == 3 && round > 8 && (10..20).contains(&step) { 40.0 } else { 0.0 };
            let value = if counter { 100.0 * passed + n as f64 } else { 100.0 + world.bell() + far };
            let late = if n % 97 == 5 && step == 7 { Span::from_secs(30) } else { Span::ZERO };
            samples.push(Sample { series: *series, at: at - late, value });
            if n % 61 == 2 && step % 11 == 0 {
                samples.push(Sample { series: *series, at, value: f64::NAN });
            }
        }
        for (n, series) in side.buckets.iter().enumerate() {
            let value = ((round * 30 + step) * (n as i64 + 1) * 5) as f64;
            samples.push(Sample { series: *series, at, value });
        }
        if step == 3 {
            samples.push(Sample { series: side.gone, at, value: f64::from_bits(0x7ff0_0000_0000_0002) });
        }
    }
    samples
}

#[test]
fn threads_and_shards_change_nothing() {
    for strategy in ["auto", "adaptive"] {
        let begun = Timestamp::from_secs(1_700_000_000);
        // The first one by one, however many come at once.
        let mut sides =
            [(1, 8), (2, 8), (4, 8), (3, 5)].map(|(threads, shards)| side(strategy, threads, shards, begun));
        let (mut alerts, mut turned_away) = (0, 0);
        for round in 0..14 {
            let from = begun + Span::from_secs(300 * round as u64);
            let now = from + Span::from_secs(300);
            let mut first: Option<Told> = None;
            for side in &mut sides {
                let mut world = World::seeded(Config::default(), round as u64 + 1);
                let samples = batch(side, &mut world, round, from);
                assert!(samples.len() > 8_192);
                let observed = side.engine.observe(&samples, now);
                let mut events = observed.events;
                events.extend(side.engine.cycle(now).events);
                match &first {
                    None => first = Some((events, observed.turned_away, observed.fates)),
                    Some((wanted, away, fates)) => {
                        assert_eq!(&observed.fates, fates, "{strategy}, round {round}");
                        assert_eq!(&observed.turned_away, away, "{strategy}, round {round}");
                        assert_eq!(&events, wanted, "{strategy}, round {round}");
                    }
                }
            }
            let (events, away, _) = first.expect("there is a first side");
            alerts += events.iter().filter(|event| matches!(event, Event::Alerted(_))).count();
            turned_away += away.len();
        }
        assert!(alerts > 10 && turned_away > 100, "{strategy}: {alerts} alerts, {turned_away} turned away");
        let parts = |side: &Side| side.engine.snapshot();
        assert_eq!(parts(&sides[0]), parts(&sides[1]));
        assert_eq!(parts(&sides[0]), parts(&sides[2]));
    }
}
