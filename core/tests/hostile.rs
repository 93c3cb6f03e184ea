//! Series that break detectors: whatever comes, bounds are finite or absent, lower lies under upper, scores are shares, and
//! what is ordinary for a strange series is no alert.

mod world;

use homeostat::analyze::strategy::Methods;
use homeostat::budget::Budget;
use homeostat::config::{Config, Kind, SeriesRule};
use homeostat::engine::Engine;
use homeostat::monitor::{Fates, Judged, Sample};
use homeostat::series::Selector;
use homeostat::time::Timestamp;
use world::{World, certain, name};

/// Feeds one series, of a kind that is found by itself unless it is said, and returns what was said of each sample.
fn judged(kind: Option<Kind>, samples: impl Iterator<Item = (f64, f64)>) -> (Vec<Judged>, Fates) {
    let mut config: Config = certain();
    let selector = Selector::parse("series").expect("a name");
    config.series =
        vec![SeriesRule { kind, watch: Some(true), budget: Some(Budget::ONE_PER_WEEK), ..SeriesRule::of(selector) }];
    let start = Timestamp::from_secs(1_700_000_000);
    let mut engine = Engine::with_methods(config, Methods::built_in(), 1, start);
    let id = engine.intern(&name("series"), None, start).expect("room");
    let (mut said, mut fates) = (Vec::new(), Fates::default());
    let mut now = start;
    for (secs, value) in samples {
        let at = Timestamp::from_millis(start.millis() + (secs * 1000.0) as i64);
        now = now.max(at);
        if now >= engine.next_cycle() {
            let _ = engine.cycle(now);
        }
        let mut judged = Judged::default();
        let observed = engine.observe_each(&[Sample { series: id, at, value }], now, |_, _, each| judged = *each);
        fates += &observed.fates;
        let outside =
            judged.lower.is_some_and(|bound| value < bound) || judged.upper.is_some_and(|bound| value > bound);
        assert!(kind == Some(Kind::Counter) || judged.breach == outside, "{value}: {judged:?}");
        assert!(judged.lower.is_none_or(f64::is_finite) && judged.upper.is_none_or(f64::is_finite), "{judged:?}");
        assert!(judged.lower.zip(judged.upper).is_none_or(|(lower, upper)| lower < upper), "{judged:?}");
        let share = |score: f64| (0.0..=1.0).contains(&score);
        assert!(share(judged.score) && share(judged.alert_score), "{judged:?}");
        said.push(judged);
    }
    (said, fates)
}

fn onsets(said: &[Judged]) -> usize {
    said.windows(2).filter(|pair| !pair[0].alert && pair[1].alert).count()
}

/// `count` values, `gap` seconds apart.
fn every(gap: f64, count: usize, mut value: impl FnMut(usize) -> f64) -> impl Iterator<Item = (f64, f64)> {
    (0..count).map(move |n| (gap * n as f64, value(n)))
}

fn chance(seed: u64) -> World {
    World::seeded(certain(), seed)
}

#[test]
fn a_million_identical_values_are_no_alert_and_the_first_other_one_is() {
    let (said, _) = judged(None, every(1.0, 1_000_003, |n| if n < 1_000_000 { 50.0 } else { 80.0 }));
    assert_eq!(onsets(&said[..1_000_000]), 0);
    assert!(said[..1_000_000].iter().all(|judged| !judged.breach));
    assert!(said[1_000_000].alert || said[1_000_001].alert, "{:?}", &said[1_000_000..]);
}

#[test]
fn a_series_at_the_end_of_the_numbers_is_judged_or_not_and_harms_nothing() {
    for scale in [1e308, -1e308, f64::MIN_POSITIVE, f64::from_bits(1), 1e-300, 1e18] {
        let mut world = chance(1);
        let (said, _) = judged(None, every(60.0, 3_000, |_| scale * (0.8 + 0.01 * world.bell())));
        assert!(onsets(&said) <= 2, "{scale}: {}", onsets(&said));
    }
    // And one such reading among ordinary ones carries nothing away.
    let mut world = chance(2);
    let wild =
        |n: usize| [(1_500, 1e308), (1_700, -1e308), (1_900, f64::MAX)].iter().find(|(at, _)| *at == n).map(|w| w.1);
    let (said, _) = judged(None, every(60.0, 4_000, |n| wild(n).unwrap_or_else(|| 100.0 + world.bell())));
    for at in [1_500, 1_700, 1_900] {
        assert!(said[at].alert, "{at}: {:?}", said[at]);
    }
    let last = said[3_999];
    assert!(last.upper.is_some_and(|upper| upper < 106.0) && last.lower.is_some_and(|lower| lower > 94.0), "{last:?}");
    assert!(onsets(&said) <= 6, "{}", onsets(&said));
}

#[test]
fn counts_that_are_mostly_zero_alert_as_seldom_as_was_asked() {
    let mut world = chance(3);
    let mut count = || if world.share() < 0.93 { 0.0 } else { (3.0 + 1.5 * world.bell()).round().max(1.0) };
    let (said, _) = judged(None, every(60.0, 40_000, |_| count()));
    // Four weeks.
    assert!(onsets(&said) <= 10, "{}", onsets(&said));
    let (said, _) = judged(None, every(60.0, 5_000, |n| if (4_000..4_003).contains(&n) { 400.0 } else { count() }));
    assert!(said[4_000].alert, "and a burst is found");
}

#[test]
fn a_sparse_series_and_one_with_gaps_of_days_go_on_where_they_stopped() {
    let mut world = chance(4);
    let mut at = 0.0;
    let irregular: Vec<(f64, f64)> = (0..5_000)
        .map(|n| {
            at += if n % 500 == 499 { 3.0 * 86_400.0 } else { 20.0 + 200.0 * world.share() };
            (at, 100.0 + world.bell())
        })
        .collect();
    let (said, fates) = judged(None, irregular.into_iter());
    assert_eq!(fates.total(), 5_000);
    assert!(onsets(&said) <= 8, "{}", onsets(&said));
    // Once a day, for two years.
    let (said, _) = judged(None, every(86_400.0, 730, |n| if n == 700 { 300.0 } else { 100.0 + 3.0 * world.bell() }));
    assert!(said[700].alert && onsets(&said[..700]) <= 20, "{:?} {}", said[700], onsets(&said[..700]));
}

#[test]
fn duplicate_and_backward_times_are_told_apart_and_change_nothing() {
    let mut world = chance(5);
    let plain: Vec<(f64, f64)> = every(60.0, 3_000, |_| 100.0 + world.bell()).collect();
    let mut troubled = Vec::new();
    for (n, (at, value)) in plain.iter().enumerate() {
        troubled.push((*at, *value));
        match n % 100 {
            40 => troubled.push((*at, *value)),
            60 => troubled.push((*at, *value + 50.0)),
            80 => troubled.push((at - 600.0, 1e6)),
            _ => {}
        }
    }
    let (said, _) = judged(None, plain.into_iter());
    let (with_trouble, fates) = judged(None, troubled.into_iter());
    let admitted = |judged: &&Judged| judged.lower.is_some();
    let (clean, rest): (Vec<_>, Vec<_>) =
        (said.iter().filter(admitted).collect(), with_trouble.iter().filter(admitted).collect());
    assert_eq!(clean, rest);
    assert_eq!(fates.total(), 3_090);
}

#[test]
fn a_counter_with_resets_is_judged_by_its_rate() {
    let mut world = chance(6);
    let mut total = 0.0;
    let counter: Vec<(f64, f64)> = every(15.0, 6_000, |n| {
        if n % 700 == 699 {
            total = 0.0;
        }
        total += if (5_000..5_040).contains(&n) { 4_000.0 } else { 600.0 + 30.0 * world.bell() };
        total
    })
    .collect();
    let (said, _) = judged(Some(Kind::Counter), counter.into_iter());
    assert!(onsets(&said[..4_990]) <= 4, "{}", onsets(&said[..4_990]));
    assert!(said[5_000..5_010].iter().any(|judged| judged.alert), "a rush is found");
}

#[test]
fn what_is_bounded_or_whole_is_not_paged_for_touching_its_end() {
    let mut world = chance(7);
    // A percentage that lies at its end a third of the time, and whole numbers of few values.
    let (said, _) = judged(None, every(60.0, 20_000, |_| (99.0 + 2.0 * world.bell()).min(100.0)));
    assert!(onsets(&said) <= 8, "{}", onsets(&said));
    let (said, _) = judged(None, every(60.0, 20_000, |_| (4.0 + world.bell()).round()));
    assert!(onsets(&said) <= 8, "{}", onsets(&said));
}

#[test]
fn from_a_second_to_a_day_between_samples_the_budget_is_about_kept() {
    for (gap, count) in [(1.0, 120_000), (10.0, 60_000), (300.0, 20_000), (3_600.0, 5_000), (86_400.0, 1_500)] {
        let mut world = chance(8);
        let (said, _) = judged(None, every(gap, count, |_| 100.0 + 3.0 * world.bell()));
        let weeks = gap * count as f64 / 604_800.0;
        let most = (2.0 * weeks).max(3.0) + 2.0;
        println!("{gap} s: {} alerts in {weeks:.1} weeks", onsets(&said));
        assert!((onsets(&said) as f64) <= most, "{gap} s: {} in {weeks:.1} weeks", onsets(&said));
    }
}
