//! What everyone who plugs in has to keep: every strategy, every detector and every feedback loop through the same checks.

mod world;

use homeostat::analyze::strategy::extreme_value::ExtremeValue;
use homeostat::analyze::strategy::seasonal::Seasonal;
use homeostat::analyze::strategy::state::State;
use homeostat::analyze::strategy::{
    self, Asked, Baseline, Detector, DetectorState, Level, Methods, Proposal, Strategy, auto,
};
use homeostat::config::{Kind, StrategyName};
use homeostat::engine::Engine;
use homeostat::execute::Verification;
use homeostat::feedback::{self, Adjustment, FeedbackLoop, LoopKind, ParameterKind, Signal, Target, Verdict};
use homeostat::monitor::{Judged, Sample};
use homeostat::plan::state::EvidenceKind;
use homeostat::stats::{Scratch, normal};
use homeostat::threshold::{Bounds, Pair};
use homeostat::time::{Span, Timestamp};
use homeostat::units::Sensitivity;
use std::collections::{BTreeMap, BTreeSet};
use world::{World, certain, name};

// --- windows --------------------------------------------------------------------------------------------------------

fn bell(count: usize, seed: u64) -> Vec<f64> {
    let mut noise = World::seeded(certain(), seed);
    (0..count).map(|_| noise.bell()).collect()
}

/// Windows that a strategy may meet, the well-behaved first.
fn windows() -> Vec<(&'static str, Vec<f64>)> {
    let mut noise = World::seeded(certain(), 3);
    let mut of = |count: usize, shape: &dyn Fn(&mut World, usize) -> f64| -> Vec<f64> {
        (0..count).map(|n| shape(&mut noise, n)).collect()
    };
    vec![
        ("a bell", of(400, &|w, _| 100.0 + w.bell())),
        ("skewed", of(400, &|w, _| -(1.0 - w.share()).ln())),
        ("bounded", of(400, &|w, _| w.share())),
        ("whole numbers", of(400, &|w, _| (w.share() * 100.0).floor())),
        ("constant", vec![50.0; 400]),
        ("constant nothing", vec![0.0; 400]),
        ("two values", of(400, &|w, _| f64::from(w.share() < 0.3))),
        ("two far values", of(400, &|w, _| if w.share() < 0.5 { -1e9 } else { 1e9 })),
        ("mostly nothing", of(400, &|w, _| if w.share() < 0.9 { 0.0 } else { w.share() })),
        ("one wild", of(400, &|w, n| if n == 77 { 1e12 } else { w.bell() })),
        ("negative", of(400, &|w, _| -70.0 + w.bell())),
        ("denormal", of(400, &|w, _| f64::from_bits((w.share() * 1e6) as u64))),
        ("huge", of(400, &|w, _| 1e308 * (2.0 * w.share() - 1.0))),
        ("the ends", of(400, &|w, _| if w.share() < 0.5 { f64::MAX } else { f64::MIN })),
        ("one value", vec![7.0]),
        ("two samples", vec![1.0, 2.0]),
    ]
}

fn strategies() -> Vec<Box<dyn Strategy>> {
    let mut all = strategy::all();
    all.push(Box::new(State));
    all
}

fn times(count: usize) -> Vec<i64> {
    (0..count as i64).map(|n| 1_700_000_000_000 + n * 10_000).collect()
}

fn propose(strategy: &dyn Strategy, values: &[f64], level: Level) -> Option<Proposal> {
    let (mut scratch, at) = (Scratch::default(), times(values.len()));
    strategy.propose(&Baseline::sorted(Kind::Gauge, &at, values, &mut scratch), level)
}

fn pair(proposal: &Proposal) -> Pair {
    proposal.bounds.at(Timestamp::EPOCH)
}

/// What a strategy takes for ordinary: a bell, and for the one that looks for a season ten more in the first half of every
/// quarter of an hour.
fn ordinary(strategy: &dyn Strategy, count: usize, seed: u64) -> Vec<f64> {
    let high = |at: i64| if at.rem_euclid(900_000) < 450_000 { 10.0 } else { 0.0 };
    let mut values = bell(count, seed);
    if strategy.name() == "seasonal" {
        values.iter_mut().zip(times(count)).for_each(|(value, at)| *value += high(at));
    }
    values
}

fn k(sigmas: f64) -> Sensitivity {
    Sensitivity::new(sigmas).expect("from 1 to 6")
}

const LEVELS: [fn(Sensitivity) -> Level; 2] = [Level::Formula, Level::Holding];

// --- strategies -----------------------------------------------------------------------------------------------------

#[test]
fn bounds_are_finite_or_absent_and_in_order_around_the_ordinary_value() {
    for strategy in strategies() {
        for (what, values) in windows() {
            for (level, sigmas) in LEVELS.iter().flat_map(|level| [1.0, 2.0, 3.3, 6.0].map(|sigmas| (level, sigmas))) {
                let about = format!("{} of {what} at {sigmas}", strategy.name());
                let Some(proposal) = propose(&*strategy, &values, level(k(sigmas))) else {
                    let too_large = values.iter().any(|value| value.abs() > 1e300);
                    // A state has to have common values, and where nothing repeats there is no season.
                    let may_not = ["state", "seasonal"].contains(&&*strategy.name());
                    assert!(too_large || may_not, "{about}: nothing is proposed");
                    continue;
                };
                let (lower, upper) = pair(&proposal);
                assert!(lower.is_some() || upper.is_some(), "{about}");
                assert!(lower.is_none_or(f64::is_finite) && upper.is_none_or(f64::is_finite), "{about}: {proposal:?}");
                assert!(lower.zip(upper).is_none_or(|(lower, upper)| lower < upper), "{about}: {proposal:?}");
                assert!(proposal.center.is_finite(), "{about}: {proposal:?}");
                assert!(
                    lower.is_none_or(|v| v <= proposal.center) && upper.is_none_or(|v| proposal.center <= v),
                    "{about}: {proposal:?}"
                );
                assert_eq!(Some(proposal), propose(&*strategy, &values, level(k(sigmas))), "{about}: twice the same");
            }
        }
    }
}

#[test]
fn more_sensitivity_is_wider() {
    for strategy in strategies() {
        for (what, values) in windows() {
            // A width that had shrunk to nothing was given the series' resolution, on either side.
            let (mut scratch, at) = (Scratch::default(), times(values.len()));
            let apart = Baseline::sorted(Kind::Gauge, &at, &values, &mut scratch).resolution();
            for level in LEVELS {
                let mut before: Option<(f64, f64)> = None;
                for sigmas in [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0] {
                    let Some(proposal) = propose(&*strategy, &values, level(k(sigmas))) else { continue };
                    let (lower, upper) = pair(&proposal);
                    let now = (lower.unwrap_or(f64::NEG_INFINITY), upper.unwrap_or(f64::INFINITY));
                    if let Some(before) = before {
                        let about = format!("{} of {what} at {sigmas}: {before:?} {now:?}", strategy.name());
                        assert!(now.0 <= before.0 + apart && now.1 >= before.1 - apart, "{about}");
                        let smooth = what == "a bell" && strategy.name() != "state";
                        assert!(!smooth || (now.0 < before.0 && now.1 > before.1), "{about}");
                    }
                    before = Some(now);
                }
            }
        }
    }
}

#[test]
fn bounds_scale_shift_and_mirror_with_the_series() {
    for strategy in strategy::all() {
        let values = ordinary(&*strategy, 500, 11);
        let (lower, upper) = pair(&propose(&*strategy, &values, Level::Formula(k(2.0))).expect("a bell"));
        let (lower, upper) = (lower.expect("lower"), upper.expect("upper"));
        type Change = fn(f64) -> f64;
        let changes: [(&str, Change); 4] = [
            ("scaled", |v| 4096.0 * v),
            ("in other units", |v| 0.001 * v),
            ("shifted", |v| v - 700.0),
            ("both", |v| 3.0 * v + 5.0),
        ];
        for level in LEVELS {
            let (lower, upper) = match level(k(2.0)) {
                Level::Formula(_) => (lower, upper),
                level => match pair(&propose(&*strategy, &values, level).expect("a bell")) {
                    (Some(lower), Some(upper)) => (lower, upper),
                    other => panic!("{other:?}"),
                },
            };
            for (what, change) in changes {
                let changed: Vec<f64> = values.iter().map(|v| change(*v)).collect();
                let (low, high) = pair(&propose(&*strategy, &changed, level(k(2.0))).expect("a bell"));
                for (found, wanted) in [(low, change(lower)), (high, change(upper))] {
                    let found = found.expect("both bounds");
                    let close = (found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-3);
                    assert!(close, "{} {what}: {found} {wanted}", strategy.name());
                }
            }
            let mirrored: Vec<f64> = values.iter().map(|v| -v).collect();
            let (low, high) = pair(&propose(&*strategy, &mirrored, level(k(2.0))).expect("a bell"));
            let close = |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found - wanted).abs() < 1e-9);
            assert!(close(low, -upper) && close(high, -lower), "{} is the same on either side", strategy.name());
        }
    }
}

#[test]
fn at_one_level_all_strategies_hold_what_a_bell_holds() {
    for strategy in strategy::all() {
        let values = ordinary(&*strategy, 5_000, 21);
        for (sigmas, wanted) in [(1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)] {
            let proposal = propose(&*strategy, &values, Level::Holding(k(sigmas))).expect("a bell");
            let inside = |(at, v): &(i64, &f64)| {
                let (lower, upper) = proposal.bounds.at(Timestamp::from_millis(*at));
                lower.is_none_or(|lower| **v >= lower) && upper.is_none_or(|upper| **v <= upper)
            };
            let share =
                times(values.len()).into_iter().zip(&values).filter(inside).count() as f64 / values.len() as f64;
            assert!((share - wanted).abs() < 0.02, "{} at {sigmas}: {share}", strategy.name());
        }
    }
}

/// Type 7, worked out anew.
fn naive_quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = q * (sorted.len() as f64 - 1.0);
    let below = rank.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64)
}

#[test]
fn named_strategies_give_exactly_their_formula() {
    for (what, values) in windows().into_iter().take(4) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        let q = |share| naive_quantile(&values, share);
        let (q1, median, q3) = (q(0.25), q(0.5), q(0.75));
        let distances: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
        let scaled = 1.482_602_218_505_602 * naive_quantile(&distances, 0.5);
        // The share of a bell beyond two sigmas, and the number of sigmas at its quartile, from tables.
        let (beyond, quartile) = (0.022_750_131_948_179_2, 0.674_489_750_196_081_7);
        let ranges = (2.0 - quartile) / (2.0 * quartile);
        let around = |middle: f64, width: f64| (middle - width, middle + width);
        let cases = [
            ("percentile", (q(0.05), q(0.95)), (q(beyond), q(1.0 - beyond))),
            ("sigma", around(mean, 2.0 * deviation), around(mean, 2.0 * deviation)),
            ("iqr", (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)), (q1 - ranges * (q3 - q1), q3 + ranges * (q3 - q1))),
            ("robust", around(median, 2.0 * scaled), around(median, 2.0 * scaled)),
        ];
        let all = strategy::all();
        // The formulas of two are long: their tests come next.
        assert_eq!(all.len(), cases.len() + 2, "a strategy was added: write its formula here");
        for (strategy, by_formula, holding) in cases {
            let known = all.iter().find(|known| known.name() == strategy).expect(strategy);
            for (level, wanted) in [(Level::Formula(k(2.0)), by_formula), (Level::Holding(k(2.0)), holding)] {
                let (lower, upper) = pair(&propose(&**known, &values, level).expect(what));
                for (found, wanted) in [(lower, wanted.0), (upper, wanted.1)] {
                    let found = found.expect("both bounds");
                    assert!(
                        (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0),
                        "{strategy} of {what}: {found} {wanted}"
                    );
                }
            }
        }
    }
}

/// The generalised Pareto quantile by probability-weighted moments, worked out anew, of the excesses in ascending order.
fn naive_pareto(excesses: &[f64], tail: f64, p: f64) -> f64 {
    let n = excesses.len() as f64;
    // The outermost fiftieth counts as no farther out than the next.
    let kept = excesses.len() - excesses.len().div_ceil(50);
    let tame = |i: usize| excesses[i.min(kept - 1)];
    let mean = (0..excesses.len()).map(tame).sum::<f64>() / n;
    let weighted = (0..excesses.len()).map(|i| tame(i) * (1.0 - (i as f64 + 0.65) / n)).sum::<f64>() / n;
    let shape = (2.0 - mean / (mean - 2.0 * weighted)).clamp(-0.12, 0.5) + 1.0 / (n + 1.0);
    mean * (1.0 - shape) / shape * ((tail / p).powf(shape) - 1.0)
}

#[test]
fn extreme_value_reads_the_body_off_the_window_and_the_tail_off_its_fit() {
    let values = bell(2_000, 31);
    let mirrored: Vec<f64> = values.iter().map(|v| -v).collect();
    let upper_fit = |values: &[f64], p: f64| {
        let start = naive_quantile(values, 0.95);
        let mut excesses: Vec<f64> = values.iter().filter(|v| **v > start).map(|v| v - start).collect();
        excesses.sort_by(f64::total_cmp);
        start + naive_pareto(&excesses, 0.05, p)
    };
    for level in LEVELS {
        for (sigmas, beyond) in [(1.0, 0.158_655_253_931_457), (1.5, 0.066_807_201_268_858_1)] {
            let found = pair(&propose(&ExtremeValue, &values, level(k(sigmas))).expect("a bell"));
            let close = |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found - wanted).abs() < 1e-9);
            assert!(
                close(found.0, naive_quantile(&values, beyond))
                    && close(found.1, naive_quantile(&values, 1.0 - beyond))
            );
        }
        for (sigmas, beyond) in [(2.0, 0.022_750_131_948_179_2), (4.5, 3.397_673_124_730_06e-6)] {
            let (lower, upper) = pair(&propose(&ExtremeValue, &values, level(k(sigmas))).expect("a bell"));
            let (low, high) = (-upper_fit(&mirrored, beyond), upper_fit(&values, beyond));
            let close = |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found - wanted).abs() < 1e-9);
            assert!(close(lower, low) && close(upper, high), "{sigmas}: {lower:?} {upper:?}, {low} {high}");
            // 2,000 samples of a bell say where its 4.5 sigmas are to about one.
            assert!((high - sigmas).abs() < 0.3 * sigmas && (low + sigmas).abs() < 0.3 * sigmas, "{low} {high}");
        }
    }
}

#[test]
fn seasonal_is_the_median_and_deviation_of_each_part_drawn_towards_most_parts() {
    let values = ordinary(&Seasonal, 5_000, 41);
    let Bounds::Periodic { period, pairs, .. } =
        propose(&Seasonal, &values, Level::Formula(k(2.0))).expect("a season").bounds
    else {
        panic!("a season repeats")
    };
    assert_eq!((period, pairs.len()), (Span::minutes(15), 48), "a quarter of an hour, in parts of about 19 seconds");
    let by_part: Vec<(f64, f64, f64)> = (0..48)
        .map(|part| {
            let inside = |at: i64| at.rem_euclid(900_000) * 48 / 900_000 == part;
            let of: Vec<f64> =
                times(5_000).into_iter().zip(&values).filter(|(at, _)| inside(*at)).map(|(_, v)| *v).collect();
            let median = naive_quantile(&of, 0.5);
            let distances: Vec<f64> = of.iter().map(|v| (v - median).abs()).collect();
            let n = of.len() as f64;
            (median, 1.482_602_218_505_602 * naive_quantile(&distances, 0.5) * n / (n - 0.8), n)
        })
        .collect();
    let usual = naive_quantile(&by_part.iter().map(|(_, deviation, _)| *deviation).collect::<Vec<f64>>(), 0.5);
    for ((median, deviation, n), (lower, upper)) in by_part.into_iter().zip(&pairs) {
        let width = 2.0 * ((n * deviation * deviation + 30.0 * usual * usual) / (n + 30.0)).sqrt();
        let (lower, upper) = (lower.expect("lower"), upper.expect("upper"));
        assert!((lower - (median - width)).abs() < 1e-9 && (upper - (median + width)).abs() < 1e-9, "{lower} {upper}");
    }
}

#[test]
fn a_season_that_leaves_nothing_over_gets_the_resolution_and_a_hostile_one_finite_bounds() {
    let at = times(4_000);
    let high = |at: i64| at.rem_euclid(900_000) < 450_000;
    let mut noise = World::seeded(certain(), 8);
    let mut of = |shape: &dyn Fn(&mut World, bool) -> f64| -> Vec<f64> {
        at.iter().map(|at| shape(&mut noise, high(*at))).collect()
    };
    let windows = [
        ("two values", of(&|_, high| if high { 60.0 } else { 50.0 })),
        ("mostly nothing", of(&|w, high| if high && w.share() < 0.3 { 1.0 + w.share() } else { 0.0 })),
        ("denormal", of(&|w, high| f64::from_bits((w.share() * 1e6) as u64 + if high { 5_000_000 } else { 0 }))),
        ("huge", of(&|w, high| 1e307 * (w.share() + if high { 3.0 } else { 0.0 }))),
        (
            "one wild in a hundred",
            of(&|w, high| if w.share() < 0.01 { 1e300 } else { w.bell() + if high { 9.0 } else { 0.0 } }),
        ),
    ];
    for (what, values) in windows {
        for level in LEVELS {
            for sigmas in [1.0, 2.0, 6.0] {
                let Some(proposal) = propose(&Seasonal, &values, level(k(sigmas))) else {
                    assert!(what == "huge" || what == "denormal", "{what}: no season");
                    continue;
                };
                for (lower, upper) in proposal.bounds.pairs() {
                    let (lower, upper) = (lower.expect("lower"), upper.expect("upper"));
                    assert!(lower.is_finite() && upper.is_finite() && lower < upper, "{what}: {lower} {upper}");
                    if what == "two values" {
                        let middle = lower / 2.0 + upper / 2.0;
                        assert!([50.0, 60.0].contains(&middle) && upper - middle <= 5.0, "{lower} {upper}");
                    }
                }
            }
        }
    }
}

#[test]
fn bounds_of_a_state_enclose_its_common_values_and_leave_the_rare_one_out() {
    let mut values: Vec<f64> = (0..500).map(|n| f64::from(n % 3)).collect();
    values[250] = 7.0;
    let proposal = propose(&State, &values, Level::Formula(k(2.0))).expect("a state");
    assert_eq!(pair(&proposal), (Some(-0.5), Some(2.5)));
}

// --- detectors ------------------------------------------------------------------------------------------------------

fn start(detector: &dyn Detector, values: &[f64]) -> DetectorState {
    let (mut scratch, at) = (Scratch::default(), times(values.len()));
    detector.start(&Baseline::sorted(Kind::Gauge, &at, values, &mut scratch), None)
}

/// The moment of a step so many minutes after what [`start`] saw.
fn minute(n: usize) -> Timestamp {
    Timestamp::from_secs(1_700_100_000 + 60 * n as i64)
}

fn asked(sigmas: f64) -> Asked {
    let sensitivity = k(sigmas);
    Asked { sensitivity, outside: normal::cdf(-sigmas), ..Asked::default() }
}

fn feed(detector: &dyn Detector, state: &mut DetectorState, from: usize, values: &[f64]) -> Vec<Judged> {
    let step = |(n, value): (usize, &f64)| detector.step(state, minute(from + n), *value, &asked(2.0));
    values.iter().enumerate().map(step).collect()
}

#[test]
fn a_detector_says_finite_bounds_or_none_whatever_it_saw() {
    let hostile = [0.0, -0.0, 1e308, -1e308, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::from_bits(1), 1e-300, 50.0];
    for detector in strategy::detectors() {
        for (what, values) in windows() {
            let mut state = start(&*detector, &values);
            for (n, value) in hostile.iter().cycle().take(300).enumerate() {
                for sigmas in [1.0, 2.0, 6.0] {
                    let judged = detector.step(&mut state.clone(), minute(n), *value, &asked(sigmas));
                    let about = format!("{} of {what}, sample {n}: {judged:?}", detector.name());
                    assert!(
                        judged.lower.is_none_or(f64::is_finite) && judged.upper.is_none_or(f64::is_finite),
                        "{about}"
                    );
                    assert!(judged.lower.zip(judged.upper).is_none_or(|(lower, upper)| lower < upper), "{about}");
                    let outside = judged.lower.is_some_and(|v| *value < v) || judged.upper.is_some_and(|v| *value > v);
                    assert_eq!(judged.breach, outside, "{about}");
                    let share = |score: f64| (0.0..=1.0).contains(&score);
                    assert!(share(judged.score) && share(judged.alert_score), "{about}");
                }
                detector.step(&mut state, minute(n), *value, &asked(2.0));
            }
        }
    }
}

#[test]
fn a_detectors_memory_is_small_comes_back_from_bytes_and_repeats() {
    assert!(auto::State::size() <= 2_000, "{} bytes", auto::State::size());
    for detector in strategy::detectors() {
        let run = || {
            let mut state = start(&*detector, &bell(300, 1));
            let said = feed(&*detector, &mut state, 0, &bell(10_000, 2));
            (state, said)
        };
        let (mut state, said) = run();
        let bytes = rmp_serde::to_vec_named(&state).expect("plain data");
        assert!(bytes.len() <= 3_000, "{}: {} bytes", detector.name(), bytes.len());
        let mut back: DetectorState = rmp_serde::from_slice(&bytes).expect("comes back");
        assert_eq!(back, state);
        assert_eq!(run(), (state.clone(), said));
        let more = bell(500, 3);
        let (here, there) = (feed(&*detector, &mut state, 10_000, &more), feed(&*detector, &mut back, 10_000, &more));
        assert_eq!(here, there, "it goes on as if nothing had been");
    }
}

#[test]
fn what_a_detector_says_of_a_sample_depends_on_no_later_one() {
    for detector in strategy::detectors() {
        let mut values = bell(4_000, 4);
        let begun = start(&*detector, &values[..300]);
        let all = feed(&*detector, &mut begun.clone(), 0, &values);
        for cut in [1, 150, 1_000, 2_500] {
            values[cut..].iter_mut().for_each(|value| *value = 1e9);
            let said = feed(&*detector, &mut begun.clone(), 0, &values);
            assert_eq!(said[..cut], all[..cut], "{} up to {cut}", detector.name());
            values = bell(4_000, 4);
        }
    }
}

#[test]
fn a_detector_widens_with_sensitivity_and_follows_what_it_learns() {
    for detector in strategy::detectors() {
        let mut state = start(&*detector, &bell(300, 1));
        let width = |sigmas: f64| {
            let judged = detector.step(&mut state.clone(), minute(0), 0.0, &asked(sigmas));
            judged.upper.zip(judged.lower).map(|(upper, lower)| upper - lower).expect("both bounds")
        };
        assert!(width(1.0) < width(2.0) && width(2.0) < width(6.0), "{}", detector.name());
        // Three wild readings do not carry it away, a new level does.
        let judged = |state: &DetectorState, value: f64| {
            detector.step(&mut state.clone(), minute(4_000), value, &asked(2.0)).breach
        };
        feed(&*detector, &mut state, 0, &[1e9; 3]);
        assert!(!judged(&state, 0.0) && judged(&state, 1e9), "{}: {state:?}", detector.name());
        assert!(judged(&state, 40.0));
        let moved: Vec<f64> = bell(3_000, 5).iter().map(|value| 40.0 + value).collect();
        feed(&*detector, &mut state, 3, &moved);
        assert!(!judged(&state, 40.0) && judged(&state, 0.0), "{}: {state:?}", detector.name());
    }
}

// --- methods of the caller's own ------------------------------------------------------------------------------------

/// Knows the answer.
struct Oracle;

impl Strategy for Oracle {
    fn name(&self) -> StrategyName {
        "oracle".into()
    }
    fn formula(&self, _: Level) -> String {
        "what everybody knows".to_owned()
    }
    fn propose(&self, _: &Baseline, _: Level) -> Option<Proposal> {
        Bounds::constant(Some(97.0), Some(103.0)).ok().map(|bounds| Proposal { bounds, center: 100.0 })
    }
}

/// Finds fault with whatever is negative.
struct Positive;

impl Detector for Positive {
    fn name(&self) -> StrategyName {
        "positive".into()
    }
    fn formula(&self, _: Sensitivity) -> String {
        "nothing is negative".to_owned()
    }
    fn start(&self, _: &Baseline, _: Option<&DetectorState>) -> DetectorState {
        DetectorState::Numbers { version: 1, numbers: Vec::new() }
    }
    fn step(&self, _: &mut DetectorState, _: Timestamp, value: f64, _: &Asked) -> Judged {
        Judged { lower: Some(0.0), upper: Some(1e6), breach: value < 0.0, ..Judged::default() }
    }
}

#[test]
fn a_strategy_and_a_detector_of_the_callers_own_take_part_like_the_built_in_ones() {
    let methods = || Methods::built_in().with_strategy(Box::new(Oracle)).with_detector(Box::new(Positive));
    for (wanted, lower) in [("adaptive", None), ("oracle", Some(97.0)), ("positive", Some(0.0))] {
        let mut config = certain();
        config.learning.strategy = wanted.into();
        config.check(&methods().names()).expect("its name is known");
        let mut world = World::new(config.clone());
        world.engine = Engine::with_methods(config, methods(), 4, world.now);
        let id = world.learn("latency", 150);
        let threshold = world.series(id).learned().expect("learned").clone();
        assert!(threshold.rivals.iter().any(|rival| rival.strategy == "oracle" && rival.loss.is_some()), "{wanted}");
        let mut judged = Judged::default();
        let sample = Sample { series: id, at: world.now + Span::from_secs(1), value: 100.0 };
        let _ = world.engine.observe_each(&[sample], sample.at, |_, _, said| judged = *said);
        assert!(lower.is_none() || judged.lower == lower, "{wanted}: {judged:?}");
        if wanted != "adaptive" {
            assert_eq!(threshold.strategy, wanted);
        }
    }
}

// --- feedback loops -------------------------------------------------------------------------------------------------

/// An engine in the middle of its life: series, siblings, factors, verdicts, outcomes of both kinds.
fn busy() -> World {
    let mut world = World::new(certain());
    for host in ["a", "b", "c"] {
        world.learn(&format!("latency{{host=\"{host}\"}}"), 120);
    }
    world.verdict("latency{host=\"a\"}", Verdict::False);
    world.cycles_under(EvidenceKind::CycleLatency, 0.45, 3);
    world.cycles_under(EvidenceKind::HostMemory, 0.9, 2);
    (0..20).for_each(|n| world.outcome(if n < 12 { Verification::Met } else { Verification::Failed }, "sigma"));
    world.cycles(2);
    world
}

/// One signal for every combination of what may be wrong with one.
fn hostile(of: LoopKind) -> Vec<Signal> {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 0.0, -0.0, 5e-324, 0.2, 0.99, 1.0, -3.0];
    let mut sources: Vec<&'static str> = EvidenceKind::ALL.iter().map(|kind| kind.as_str()).collect();
    sources.extend(["verdict", "outcome", "", "a word of the caller's own"]);
    let series = [None, Some("latency{host=\"a\"}"), Some("latency{host=\"c\"}"), Some("unheard_of")];
    let verdicts = [None, Some(Verdict::True), Some(Verdict::False), Some(Verdict::Missed)];
    let strategies = [None, Some("sigma"), Some("iqr"), Some("unheard of"), Some("")];
    let mut signals = Vec::new();
    for (n, value) in values.into_iter().enumerate() {
        for (m, source) in sources.iter().enumerate() {
            for (l, series) in series.into_iter().enumerate() {
                let id = signals.len() as u64 + 1;
                let mut metadata = BTreeMap::new();
                if let Some(strategy) = strategies[(n + m + l) % strategies.len()] {
                    metadata.insert("strategy".to_owned(), strategy.to_owned());
                }
                signals.push(Signal {
                    id,
                    series: series.map(name),
                    verdict: verdicts[(n + 3 * m + l) % verdicts.len()],
                    metadata,
                    ..Signal::new(of, *source, value, minute(0))
                });
            }
        }
    }
    signals
}

fn check_adjustment(by: LoopKind, adjustment: &Adjustment, signals: &[Signal]) {
    let range = match &adjustment.target {
        Target::Factor(_) | Target::Preference(_) => 0.5..=2.0,
        Target::Sensitivity(_) => 1.0..=6.0,
        Target::Trust(_) => 0.25..=1.0,
    };
    let about = format!("{}: {adjustment:?}", by.as_str());
    assert!(adjustment.from.is_finite() && range.contains(&adjustment.to), "{about}");
    assert!(adjustment.from != adjustment.to, "what changes nothing is no adjustment: {about}");
    assert!(!adjustment.reason.is_empty() && adjustment.aim.is_none_or(f64::is_finite), "{about}");
    assert!(signals.iter().any(|signal| signal.id == adjustment.cause), "{about}");
}

#[test]
fn a_loop_that_heard_nothing_wants_nothing() {
    let world = busy();
    for each in feedback::all() {
        assert!(each.reflect(&[], world.engine.knowledge(), world.now).is_empty(), "{}", each.kind().as_str());
    }
    let kinds: Vec<LoopKind> = feedback::all().iter().map(|each| each.kind()).collect();
    assert_eq!(kinds, LoopKind::ALL, "each loop once");
}

#[test]
fn whatever_a_loop_hears_it_asks_for_what_its_knobs_can_be() {
    let world = busy();
    for each in feedback::all() {
        let signals = hostile(each.kind());
        let reflect = |signals: &[Signal]| each.reflect(signals, world.engine.knowledge(), world.now);
        let mut asked = 0;
        for signal in &signals {
            let one = std::slice::from_ref(signal);
            let adjustments = reflect(one);
            asked += adjustments.len();
            adjustments.iter().for_each(|adjustment| check_adjustment(each.kind(), adjustment, one));
        }
        assert!(asked > 0, "{} answers some of them", each.kind().as_str());
        // All at once, and in the other order.
        reflect(&signals).iter().for_each(|adjustment| check_adjustment(each.kind(), adjustment, &signals));
        assert_eq!(reflect(&signals), reflect(&signals), "{} holds no state", each.kind().as_str());
        let reversed: Vec<Signal> = signals.iter().rev().cloned().collect();
        reflect(&reversed).iter().for_each(|adjustment| check_adjustment(each.kind(), adjustment, &signals));
    }
}

#[test]
fn a_running_engine_survives_all_of_it_and_its_parameters_stay_usable() {
    let mut world = busy();
    for of in LoopKind::ALL {
        for (n, mut signal) in hostile(of).into_iter().enumerate() {
            signal.at = world.now;
            world.events.push(world.engine.signal(signal, world.now));
            if n % 7 == 0 {
                world.cycle();
                let [interval, depth, lookahead, parallelism, rate] = world.parameters();
                assert!((1.0..=86_400.0).contains(&interval) && lookahead >= interval, "{interval} {lookahead}");
                assert!(depth >= 10.0 && parallelism >= 1.0 && rate > 0.0 && rate <= 1.0);
            }
        }
    }
    for series in world.engine.knowledge().series() {
        assert!((1.0..=6.0).contains(&series.sensitivity().get()));
        assert!((0.25..=1.0).contains(&series.trust(world.now)));
    }
}

#[test]
fn every_knob_has_one_owner() {
    let world = busy();
    let mut owners: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for each in feedback::all() {
        for signal in hostile(each.kind()) {
            for adjustment in each.reflect(&[signal], world.engine.knowledge(), world.now) {
                let knob = match &adjustment.target {
                    Target::Preference(_) => "preference".to_owned(),
                    target => target.name(),
                };
                owners.entry(knob).or_default().insert(each.kind().as_str());
            }
        }
    }
    for (knob, owners) in &owners {
        assert_eq!(owners.len(), 1, "{knob}: {owners:?}");
    }
    let knobs: Vec<&str> = owners.keys().map(String::as_str).collect();
    for knob in ParameterKind::ALL.map(|kind| kind.as_str()).into_iter().chain(["preference", "sensitivity", "trust"]) {
        assert!(knobs.contains(&knob), "{knob} is moved by some loop: {knobs:?}");
    }
}

#[test]
fn an_aim_is_a_number_or_absent_and_what_a_loop_hears_is_its_own() {
    let world = busy();
    let mut targets: Vec<Target> = ParameterKind::ALL.into_iter().map(Target::Factor).collect();
    for series in ["latency{host=\"a\"}", "unheard_of"] {
        targets.extend([Target::Sensitivity(name(series)), Target::Trust(name(series))]);
    }
    targets.push(Target::Preference("sigma".into()));
    for each in feedback::all() {
        for target in &targets {
            let aim = each.aim(target, world.engine.knowledge(), world.now);
            assert!(aim.is_none_or(f64::is_finite), "{} {target:?} {aim:?}", each.kind().as_str());
        }
        for event in &world.events {
            let Some(signal) = each.hear(event, world.engine.knowledge(), world.now) else { continue };
            assert_eq!(
                (signal.of, signal.id, signal.at),
                (each.kind(), 0, world.now),
                "its number is not its own to give"
            );
            assert!(signal.value.is_finite());
        }
    }
    let hearing: &dyn Fn(&dyn FeedbackLoop) -> bool =
        &|each| world.events.iter().any(|event| each.hear(event, world.engine.knowledge(), world.now).is_some());
    let heard: Vec<&str> =
        feedback::all().iter().filter(|each| hearing(&***each)).map(|each| each.kind().as_str()).collect();
    assert_eq!(heard, ["metrics_learning", "decision_quality"], "those that listen to outcomes");
}
