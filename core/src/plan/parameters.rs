//! What the loop sets on itself: the state's row times what the feedback loops made of it, reached step by step.
//!
//! Towards critical everything applies at once: a pace that is too high for a host in need does harm every second. The
//! way back is walked in shares of the distance that is left, so that a recovery that was none has cost little.

use crate::config::Parameters;
use crate::feedback::{Adjustment, ParameterKind, Target};
use crate::plan::state::SystemState;
use crate::time::{Span, Timestamp};
use crate::units::Ratio;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The range of every factor.
pub const FACTORS: RangeInclusive<f64> = 0.5..=2.0;
/// Hard limits, whatever row and factors say. They are the ones that the configuration is checked against.
pub const INTERVAL_MIN: Span = Span::from_secs(1);
pub const INTERVAL_MAX: Span = Span::hours(24);
pub const DEPTH: RangeInclusive<u32> = 10..=10_000;
pub const PARALLELISM: RangeInclusive<u32> = 1..=1024;

/// A factor without news is half as far from 1 after so long.
const HALF_LIFE_HOURS: f64 = 1.0;
/// A factor this near to 1 is 1: half a percent moves none of the five noticeably, and every parameter comes to rest.
const NO_FACTOR: f64 = 0.005;
/// The least a parameter covers of its way back in a cycle: one unit of each.
const INTERVAL_UNIT_MS: f64 = 1000.0;
const COUNT_UNIT: f64 = 1.0;
const RATE_UNIT: f64 = 0.01;

/// What the feedback loops made of the rows: one factor (½ to 2) for each parameter, kept across changes of state.
///
/// A factor is news, and news grow old: it halves its distance to 1 each hour. That is worked out when it is read, so
/// there is nothing to be forgotten and a replay comes to the same.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Factors([Option<Factor>; ParameterKind::ALL.len()]);

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Factor {
    value: f64,
    at: Timestamp,
}

impl Factors {
    /// The factor as it stands at `now`; 1 when no loop has set it.
    pub fn at(&self, kind: ParameterKind, now: Timestamp) -> f64 {
        let Some(factor) = self.0[kind as usize] else { return 1.0 };
        let hours = now.since(factor.at).secs() / 3600.0;
        let distance = (factor.value - 1.0) * 0.5f64.powf(hours / HALF_LIFE_HOURS);
        if distance.abs() < NO_FACTOR { 1.0 } else { 1.0 + distance }
    }

    /// Sets a factor; brought to the nearer end when outside ½ to 2. What is not a number changes nothing.
    pub fn set(&mut self, kind: ParameterKind, value: f64, now: Timestamp) {
        if !value.is_nan() {
            let value = value.clamp(*FACTORS.start(), *FACTORS.end());
            self.0[kind as usize] = Some(Factor { value, at: now });
        }
    }
}

/// Whether parameters can be used as they are.
pub fn are_usable(parameters: &Parameters) -> bool {
    (INTERVAL_MIN..=INTERVAL_MAX).contains(&parameters.monitoring_interval)
        && (INTERVAL_MIN..=INTERVAL_MAX).contains(&parameters.planning_lookahead)
        && parameters.planning_lookahead >= parameters.monitoring_interval
        && DEPTH.contains(&parameters.analysis_depth)
        && PARALLELISM.contains(&parameters.execution_parallelism)
        && parameters.learning_rate.get() > 0.0
}

/// Whether an adjustment moves its parameter by a whole unit at least, where it counts in such.
pub fn is_felt(row: &Parameters, adjustment: &Adjustment) -> bool {
    let units = |row: u32, factor: f64| (f64::from(row) * factor).round();
    let moves = |row: u32| units(row, adjustment.from) != units(row, adjustment.to);
    match &adjustment.target {
        Target::Factor(ParameterKind::ExecutionParallelism) => moves(row.execution_parallelism),
        Target::Factor(ParameterKind::AnalysisDepth) => moves(row.analysis_depth),
        _ => true,
    }
}

/// Whether going from one state to another is going towards critical, so that the new row applies at once.
pub fn is_worse(from: SystemState, to: SystemState) -> bool {
    to.severity() > from.severity()
}

/// Where the parameters of `state` stand in the end: its row times the factors, within the hard limits.
///
/// In critical no factor lengthens the interval or raises depth or parallelism, and parallelism is 1.
pub fn target(row: &Parameters, factors: &Factors, state: SystemState, now: Timestamp) -> Parameters {
    let critical = state == SystemState::Critical;
    let factor = |kind: ParameterKind| {
        let factor = factors.at(kind, now);
        let burdens = match kind {
            ParameterKind::MonitoringInterval | ParameterKind::AnalysisDepth | ParameterKind::ExecutionParallelism => {
                true
            }
            ParameterKind::PlanningLookahead | ParameterKind::LearningRate => false,
        };
        if critical && burdens { factor.min(1.0) } else { factor }
    };
    let monitoring_interval = scaled(row.monitoring_interval, factor(ParameterKind::MonitoringInterval));
    let planning_lookahead = scaled(row.planning_lookahead, factor(ParameterKind::PlanningLookahead));
    let parallelism = count(row.execution_parallelism, factor(ParameterKind::ExecutionParallelism), PARALLELISM);
    Parameters {
        monitoring_interval,
        analysis_depth: count(row.analysis_depth, factor(ParameterKind::AnalysisDepth), DEPTH),
        // What is not seen before the next cycle needs no projection: ahead is at least one interval.
        planning_lookahead: planning_lookahead.max(monitoring_interval),
        execution_parallelism: if critical { 1 } else { parallelism },
        learning_rate: rate(row.learning_rate, factor(ParameterKind::LearningRate)),
    }
}

/// Where one factor alone leaves its parameter in the end, in the parameter's own unit.
pub fn with_factor(row: &Parameters, kind: ParameterKind, factor: f64, state: SystemState) -> f64 {
    let mut factors = Factors::default();
    factors.set(kind, factor, Timestamp::EPOCH);
    let target = target(row, &factors, state, Timestamp::EPOCH);
    match kind {
        ParameterKind::MonitoringInterval => target.monitoring_interval.secs(),
        ParameterKind::AnalysisDepth => f64::from(target.analysis_depth),
        ParameterKind::PlanningLookahead => target.planning_lookahead.secs(),
        ParameterKind::ExecutionParallelism => f64::from(target.execution_parallelism),
        ParameterKind::LearningRate => target.learning_rate.get(),
    }
}

/// The parameters of the next cycle: one step from `current` towards those of `state`, whose row is `row`.
///
/// `worse` says that the state was entered towards critical ([`is_worse`]): then, and in critical itself, they apply at
/// once. Else each covers the row's `learning_rate` of its distance, at least one unit (1 s, 1 sample, 1 worker, 0.01),
/// and never passes its end; so it arrives, from anywhere.
pub fn step(
    current: &Parameters,
    row: &Parameters,
    factors: &Factors,
    state: SystemState,
    worse: bool,
    now: Timestamp,
) -> Parameters {
    let target = target(row, factors, state, now);
    if worse || state == SystemState::Critical {
        return target;
    }
    let share = row.learning_rate.get();
    let span = |from: Span, to: Span| {
        let next = towards(from.millis() as f64, to.millis() as f64, share, INTERVAL_UNIT_MS);
        Span::from_millis(next as u64).max(INTERVAL_MIN).min(INTERVAL_MAX)
    };
    let count = |from: u32, to: u32| towards(f64::from(from), f64::from(to), share, COUNT_UNIT) as u32;
    let monitoring_interval = span(current.monitoring_interval, target.monitoring_interval);
    Parameters {
        monitoring_interval,
        analysis_depth: count(current.analysis_depth, target.analysis_depth),
        planning_lookahead: span(current.planning_lookahead, target.planning_lookahead).max(monitoring_interval),
        execution_parallelism: count(current.execution_parallelism, target.execution_parallelism),
        learning_rate: rate_towards(current.learning_rate, target.learning_rate, share),
    }
}

/// One step in whole units: no parameter is read more finely, and a whole second reads better in the journal.
fn towards(from: f64, to: f64, share: f64, unit: f64) -> f64 {
    let distance = (to - from).abs();
    let step = ((distance * share / unit).round() * unit).max(unit);
    if step >= distance { to } else { from + step * (to - from).signum() }
}

fn rate_towards(from: Ratio, to: Ratio, share: f64) -> Ratio {
    let distance = (to.get() - from.get()).abs();
    let step = (distance * share).max(RATE_UNIT);
    if step >= distance { to } else { Ratio::clamped(from.get() + step * (to.get() - from.get()).signum()) }
}

/// In whole seconds, unless it is the row's own value: a factor that fades should not turn the knob every cycle.
fn scaled(row: Span, factor: f64) -> Span {
    let scaled = if factor == 1.0 { row } else { Span::from_secs((row.secs() * factor).round() as u64) };
    scaled.max(INTERVAL_MIN).min(INTERVAL_MAX)
}

fn count(row: u32, factor: f64, limits: RangeInclusive<u32>) -> u32 {
    ((f64::from(row) * factor).round() as u32).clamp(*limits.start(), *limits.end())
}

/// In thousandths, unless it is the row's own value; never 0, which would learn nothing.
fn rate(row: Ratio, factor: f64) -> Ratio {
    let scaled = (row.get() * factor * 1000.0).round() / 1000.0;
    if factor == 1.0 || scaled == 0.0 { row } else { Ratio::clamped(scaled) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::States;
    use ParameterKind::*;
    use SystemState::{Critical, Degraded, Healthy, Optimizing, Recovering};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn row(state: SystemState) -> Parameters {
        States::default().rows()[state as usize].1
    }

    /// The parameters cycle by cycle on the way from one state's row to another's, until they stand still.
    fn way(from: SystemState, to: SystemState, factors: &Factors) -> Vec<Parameters> {
        let mut way = vec![row(from)];
        loop {
            let last = way[way.len() - 1];
            let next = step(&last, &row(to), factors, to, false, NOW);
            if next == last {
                return way;
            }
            way.push(next);
            assert!(way.len() < 1_000, "it arrives");
        }
    }

    fn with(kind: ParameterKind, value: f64) -> Factors {
        let mut factors = Factors::default();
        factors.set(kind, value, NOW);
        factors
    }

    #[test]
    fn towards_critical_the_row_applies_at_once() {
        for (from, to) in [(Healthy, Degraded), (Healthy, Critical), (Degraded, Critical), (Recovering, Degraded)] {
            assert!(is_worse(from, to));
            assert_eq!(step(&row(from), &row(to), &Factors::default(), to, true, NOW), row(to), "{from} {to}");
        }
        for (from, to) in [(Critical, Recovering), (Degraded, Recovering), (Recovering, Healthy)] {
            assert!(!is_worse(from, to), "{from} {to}");
        }
        assert!(!is_worse(Healthy, Optimizing) && !is_worse(Optimizing, Healthy));
        // Also when nobody says that it got worse: the engine was restarted in critical.
        assert_eq!(step(&row(Healthy), &row(Critical), &Factors::default(), Critical, false, NOW), row(Critical));
    }

    #[test]
    fn the_interval_returns_a_second_at_least_in_each_cycle() {
        // Recovering moves 0.15 of the distance: 10 s to 20 s is 1.5 s, in whole seconds 2; then 1 s.
        let secs: Vec<_> = way(Critical, Recovering, &Factors::default())
            .iter()
            .map(|parameters| parameters.monitoring_interval.secs())
            .take(9)
            .collect();
        assert_eq!(secs, [10.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]);
    }

    #[test]
    fn the_depth_returns_a_sample_at_least() {
        let depths: Vec<_> =
            way(Critical, Recovering, &Factors::default()).iter().map(|parameters| parameters.analysis_depth).collect();
        assert_eq!(depths[..6], [20, 29, 37, 43, 49, 54]);
        assert_eq!(depths[depths.len() - 1], 80);
    }

    #[test]
    fn the_lookahead_returns_like_the_interval() {
        let secs: Vec<_> = way(Critical, Recovering, &Factors::default())
            .iter()
            .map(|parameters| parameters.planning_lookahead.secs())
            .collect();
        assert_eq!(secs[..4], [60.0, 87.0, 110.0, 130.0]);
        assert_eq!(secs[secs.len() - 1], 240.0);
    }

    #[test]
    fn parallelism_returns_a_worker_at_a_time() {
        let workers = |from, to| -> Vec<_> {
            let mut workers: Vec<_> =
                way(from, to, &Factors::default()).iter().map(|p| p.execution_parallelism).collect();
            workers.dedup();
            workers
        };
        assert_eq!(workers(Critical, Recovering), [1, 2, 3]);
        assert_eq!(workers(Optimizing, Healthy), [8, 7, 6, 5, 4]);
    }

    #[test]
    fn the_learning_rate_returns_by_a_hundredth_at_least() {
        let rates: Vec<_> =
            way(Critical, Recovering, &Factors::default()).iter().map(|p| p.learning_rate.get()).collect();
        assert!((rates[1] - 0.065).abs() < 1e-12, "{rates:?}");
        assert_eq!(rates[rates.len() - 1], 0.15);
        assert!(rates.windows(2).all(|pair| pair[0] <= pair[1]), "{rates:?}");
    }

    #[test]
    fn every_way_arrives_at_the_row_and_never_passes_it() {
        for from in SystemState::ALL {
            for to in SystemState::ALL {
                let way = way(from, to, &Factors::default());
                assert_eq!(way[way.len() - 1], row(to), "{from} {to}");
                for pair in way.windows(2) {
                    let nearer = |before: f64, after: f64, end: f64| {
                        assert!((end - after).abs() <= (end - before).abs() && (end - after) * (end - before) >= 0.0);
                    };
                    let end = row(to);
                    let (a, b) = (pair[0], pair[1]);
                    nearer(a.monitoring_interval.secs(), b.monitoring_interval.secs(), end.monitoring_interval.secs());
                    nearer(a.planning_lookahead.secs(), b.planning_lookahead.secs(), end.planning_lookahead.secs());
                    nearer(a.analysis_depth.into(), b.analysis_depth.into(), end.analysis_depth.into());
                    nearer(
                        a.execution_parallelism.into(),
                        b.execution_parallelism.into(),
                        end.execution_parallelism.into(),
                    );
                    nearer(a.learning_rate.get(), b.learning_rate.get(), end.learning_rate.get());
                }
            }
        }
    }

    #[test]
    fn each_factor_moves_its_own_parameter_alone_and_survives_a_change_of_state() {
        for (kind, state, expected) in [
            (MonitoringInterval, Healthy, Parameters { monitoring_interval: Span::from_secs(120), ..row(Healthy) }),
            (MonitoringInterval, Degraded, Parameters { monitoring_interval: Span::from_secs(60), ..row(Degraded) }),
            (AnalysisDepth, Healthy, Parameters { analysis_depth: 200, ..row(Healthy) }),
            (PlanningLookahead, Recovering, Parameters { planning_lookahead: Span::from_secs(480), ..row(Recovering) }),
            (ExecutionParallelism, Healthy, Parameters { execution_parallelism: 8, ..row(Healthy) }),
            (LearningRate, Healthy, Parameters { learning_rate: Ratio::clamped(0.2), ..row(Healthy) }),
        ] {
            assert_eq!(target(&row(state), &with(kind, 2.0), state, NOW), expected, "{kind:?} {state}");
        }
    }

    #[test]
    fn in_critical_no_factor_adds_a_burden() {
        let mut up = Factors::default();
        let mut down = Factors::default();
        for kind in ParameterKind::ALL {
            up.set(kind, 2.0, NOW);
            down.set(kind, 0.5, NOW);
        }
        let raised = target(&row(Critical), &up, Critical, NOW);
        assert_eq!(raised.monitoring_interval, Span::from_secs(10));
        assert_eq!((raised.analysis_depth, raised.execution_parallelism), (20, 1));
        let lowered = target(&row(Critical), &down, Critical, NOW);
        assert_eq!(lowered.monitoring_interval, Span::from_secs(5));
        assert_eq!((lowered.analysis_depth, lowered.execution_parallelism), (10, 1));
    }

    #[test]
    fn a_factor_halves_its_distance_to_one_each_hour_until_nothing_is_left() {
        let mut factors = with(AnalysisDepth, 2.0);
        let after = |factors: &Factors, hours| factors.at(AnalysisDepth, NOW + Span::hours(hours));
        assert_eq!([0, 1, 2, 3].map(|hours| after(&factors, hours)), [2.0, 1.5, 1.25, 1.125]);
        assert_eq!(after(&factors, 8), 1.0);
        factors.set(AnalysisDepth, 0.1, NOW + Span::hours(3));
        assert_eq!([3, 4].map(|hours| after(&factors, hours)), [0.5, 0.75]);
        factors.set(AnalysisDepth, f64::NAN, NOW);
        assert_eq!(after(&factors, 3), 0.5, "what is not a number is no news");
        assert_eq!(factors.at(LearningRate, NOW), 1.0);
        let text = serde_json::to_string(&factors).unwrap();
        assert_eq!(serde_json::from_str::<Factors>(&text).unwrap(), factors);
    }

    #[test]
    fn a_fading_factor_leaves_the_row_exactly() {
        let mut parameters = target(&row(Healthy), &with(MonitoringInterval, 2.0), Healthy, NOW);
        let mut turned = 0;
        for minute in 0..24 * 60 {
            let now = NOW + Span::minutes(minute);
            let next = step(&parameters, &row(Healthy), &with(MonitoringInterval, 2.0), Healthy, false, now);
            turned += usize::from(next != parameters);
            parameters = next;
        }
        assert_eq!(parameters, row(Healthy));
        assert!(turned <= 60, "{turned}: once a second at most, not once a cycle");
    }

    proptest! {
        #[test]
        fn whatever_rows_and_factors_say_the_result_can_be_used(
            (interval, ahead, depth, workers) in (1_000u64..86_400_001, 1_000u64..86_400_001, 10u32..10_001, 1u32..1025),
            rate in 0.001f64..1.0,
            factor in proptest::array::uniform5(0.0f64..4.0),
            from in 0usize..5,
            to in 0usize..5,
        ) {
            let aim = Parameters {
                monitoring_interval: Span::from_millis(interval),
                analysis_depth: depth,
                planning_lookahead: Span::from_millis(ahead),
                execution_parallelism: workers,
                learning_rate: Ratio::clamped(rate),
            };
            let mut factors = Factors::default();
            for (kind, factor) in ParameterKind::ALL.into_iter().zip(factor) {
                factors.set(kind, factor, NOW);
            }
            let state = SystemState::ALL[to];
            let mut parameters = row(SystemState::ALL[from]);
            for _ in 0..20 {
                parameters = step(&parameters, &aim, &factors, state, false, NOW);
                prop_assert!(are_usable(&parameters), "{parameters:?}");
            }
            prop_assert!(are_usable(&target(&aim, &factors, state, NOW)));
        }
    }
}
