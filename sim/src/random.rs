//! Worlds nobody wrote: any shape, any size, any configuration, a hostile source and an erratic operator. From a seed.

use crate::chance::Chance;
use crate::plant::PlantSpec;
use crate::scenario::{Act, Hostile, Input, Scenario, SeriesSpec};
use crate::workload::{Effect, Incident, Shape, Workload};
use homeostat::config::{Config, Limits};
use homeostat::feedback::Verdict;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::time::Span;
use homeostat::units::{Confidence, Ratio, Sensitivity};

const STRATEGIES: [&str; 9] =
    ["auto", "adaptive", "percentile", "sigma", "iqr", "robust", "extreme_value", "seasonal", "ewma"];

/// Small enough that a hundred run within a minute, large enough that every part has something to do.
pub fn random_scenario(seed: u64) -> Scenario {
    let mut chance = Chance::stream(seed, "random world");
    let chance = &mut chance;
    let duration = Span::minutes(120 + chance.below(480) as u64);
    let within = |chance: &mut Chance| Span::from_secs(chance.below((duration.millis() / 1000) as usize) as u64);
    let names: Vec<String> = (0..1 + chance.below(12)).map(|n| format!("load{{n=\"{n}\"}}")).collect();
    let series = names
        .iter()
        .map(|name| SeriesSpec {
            name: if chance.happens(0.15) { name.replace("load", "load_total") } else { name.clone() },
            every: Span::from_secs(*chance.one_of(&[5, 10, 15, 30, 60])),
            workload: random_workload(chance, within),
        })
        .collect::<Vec<_>>();
    let plant = chance.happens(0.3).then(|| PlantSpec {
        every: Span::from_secs(*chance.one_of(&[10, 30, 60])),
        arrivals: Workload { level: chance.between(1.0, 12.0), noise: 0.5, ..random_workload(chance, within) },
        servers: 1 + chance.below(8),
        service_seconds: chance.between(0.05, 0.5),
        service_spread: chance.between(0.1, 1.5),
        queue_max: chance.below(2000),
    });
    let spoiled = |chance: &mut Chance, most: f64| if chance.happens(0.6) { chance.between(0.0, most) } else { 0.0 };
    let hostile = chance.happens(0.8).then(|| Hostile {
        not_finite: spoiled(chance, 0.1),
        huge: spoiled(chance, 0.02),
        duplicate: spoiled(chance, 0.2),
        conflict: spoiled(chance, 0.2),
        backwards: spoiled(chance, 0.2),
        ahead: spoiled(chance, 0.05),
        burst: chance.below(80),
        burst_every: chance.happens(0.5).then(|| Span::minutes(5 + chance.below(60) as u64)),
    });
    let inputs = (0..chance.below(24)).map(|_| random_input(chance, &series, within)).collect();
    let scenario = Scenario {
        about: format!("a random world from seed {seed}"),
        seed,
        duration,
        judged_from: Span::minutes(60),
        config: random_config(chance, seed, series.len()),
        series,
        plant,
        hostile,
        inputs,
    };
    debug_assert_eq!(scenario.check(), Ok(()), "what is drawn can be run");
    scenario
}

fn random_workload(chance: &mut Chance, within: impl Fn(&mut Chance) -> Span) -> Workload {
    let level = *chance.one_of(&[0.0, 0.5, 1.0, 40.0, 1e6, -70.0, 1e-9, 1e15]);
    let scale = f64::abs(level).max(0.01);
    let noise = scale * *chance.one_of(&[0.0, 0.01, 0.1, 0.5]);
    let change = scale * chance.between(-5.0, 5.0);
    let shape = match chance.below(8) {
        0 => Shape::Steady,
        1 => Shape::Step { at: within(chance), to: level + change, notable: Span::minutes(30) },
        2 => Shape::Spike {
            first: within(chance),
            every: Span::minutes(40 + chance.below(200) as u64),
            lasting: Span::minutes(1 + chance.below(20) as u64),
            height: change,
        },
        3 => Shape::Drift { per_day: change * 4.0 },
        4 => Shape::DailyWave { amplitude: change },
        5 => Shape::HeavyTail,
        6 => Shape::Gaps {
            missing: chance.between(0.0, 0.5),
            nan: chance.between(0.0, 0.2),
            every: Span::minutes(60 + chance.below(120) as u64),
            silent: Span::minutes(1 + chance.below(50) as u64),
        },
        _ => Shape::FlatLine { at: within(chance), lasting: Span::minutes(5 + chance.below(200) as u64) },
    };
    let noise = if shape == Shape::HeavyTail { chance.between(0.1, 2.0) } else { noise };
    let incidents = (0..chance.below(3))
        .map(|_| Incident {
            at: within(chance),
            lasting: Span::minutes(2 + chance.below(40) as u64),
            effect: match chance.below(3) {
                0 => Effect::Add(change),
                1 => Effect::Times(chance.between(0.0, 10.0)),
                _ => Effect::Level(level + change),
            },
        })
        .collect();
    Workload { level, noise, shape, incidents }
}

fn random_input(chance: &mut Chance, series: &[SeriesSpec], within: impl Fn(&mut Chance) -> Span) -> Input {
    let act = match chance.below(10) {
        0..5 => Act::Verdict {
            series: chance.one_of(series).name.clone(),
            verdict: *chance.one_of(&[Verdict::True, Verdict::False, Verdict::Missed]),
        },
        5..8 => Act::Evidence {
            kind: *chance.one_of(&[EvidenceKind::HostProcessor, EvidenceKind::HostMemory, EvidenceKind::CycleLatency]),
            value: chance.between(0.3, 1.05),
            noise: chance.between(0.0, 0.2),
        },
        8 => {
            Act::Force { state: *chance.one_of(&SystemState::ALL), lasting: Span::minutes(1 + chance.below(30) as u64) }
        }
        _ => Act::Freeze { frozen: chance.happens(0.5) },
    };
    let repeated = chance.happens(0.5);
    let every = Span::from_secs(5 + chance.below(120) as u64);
    let lasting = Span::minutes(1 + chance.below(60) as u64);
    Input { at: within(chance), act, every: repeated.then_some(every), lasting: repeated.then_some(lasting) }
}

fn random_config(chance: &mut Chance, seed: u64, series: usize) -> Config {
    let mut config = Config::default();
    let learning = &mut config.learning;
    learning.min_data_points = 10 + chance.below(150);
    learning.window_len = learning.min_data_points + chance.below(1000);
    learning.learning_window = Span::minutes(10 + chance.below(600) as u64);
    learning.optimization_interval = Span::minutes(1 + chance.below(120) as u64);
    learning.confidence_min = Confidence::clamped(chance.uniform());
    learning.sensitivity = Sensitivity::clamped(chance.between(1.0, 6.0));
    learning.strategy = (*chance.one_of(&STRATEGIES)).into();
    let states = &mut config.states;
    states.healthy.monitoring_interval = Span::from_secs(5 + chance.below(120) as u64);
    states.healthy.analysis_depth = 10 + chance.below(300) as u32;
    states.healthy.execution_parallelism = 1 + chance.below(16) as u32;
    states.healthy.learning_rate = Ratio::clamped(chance.between(0.01, 1.0));
    states.optimizing.monitoring_interval = Span::from_secs(5 + chance.below(60) as u64);
    states.critical.monitoring_interval = Span::from_secs(1 + chance.below(20) as u64);
    config.feedback.signal_history = 1 + chance.below(500);
    config.feedback.action_history = 1 + chance.below(200);
    config.feedback.withhold = Ratio::clamped(chance.between(0.0, 0.5));
    config.feedback.seed = seed;
    config.execution.changes_per_hour = 1 + chance.below(60) as u32;
    config.limits = Limits {
        series_max: 1 + chance.below(2 * series + 60),
        series_ttl: Span::minutes(5 + chance.below(240) as u64),
        ..Limits::default()
    };
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn random_worlds_can_be_run_and_repeat() {
        for seed in 0..200 {
            let scenario = random_scenario(seed);
            assert_eq!(scenario.check(), Ok(()), "seed {seed}");
            assert_eq!(random_scenario(seed), scenario, "seed {seed}");
        }
        let unroll = |seed| {
            let mut world = World::new(&random_scenario(seed)).expect("runs");
            let mut text = String::new();
            while let Some(moment) = world.next_moment() {
                text.push_str(&format!("{moment:?}\n"));
            }
            text
        };
        assert_eq!(unroll(3), unroll(3));
        assert_ne!(unroll(3), unroll(4));
    }
}
