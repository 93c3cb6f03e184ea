//! The loop itself: its states, their parameters, a whole cycle.

use super::learning::naive_learn;
use super::samples::{Watched, values};
use super::{MS, Measured, US, Work, fastest, processor_seconds, rates, seconds, times};
use crate::cli::Failed;
use homeostat::config::{Config, Parameters};
use homeostat::engine::Engine;
use homeostat::feedback::{LoopKind, ParameterKind, Signal};
use homeostat::plan::parameters::{Factors, step};
use homeostat::plan::state::{Evidence, EvidenceKind, Situation, StateSince, SystemState};
use homeostat::time::{Span, Timestamp};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;

const MAPS: &str = "maps of text and number, without hysteresis";

pub const WORKS: &[Work] = &[
    Work { name: "the state decided from all evidence", unit: "µs", goal: 1.0, reference: MAPS, measure: decide },
    Work { name: "the parameters of one state", unit: "µs", goal: 1.0, reference: MAPS, measure: parameters },
    Work {
        name: "states changed and recorded",
        unit: "transitions/s",
        goal: 1e5,
        reference: "a bounded list of texts",
        measure: transitions,
    },
    Work {
        name: "cycles from new evidence to parameters in force",
        unit: "cycles/s",
        goal: 20_000.0,
        reference: "maps of text and number, and a text kept of each cycle",
        measure: cycles,
    },
    Work {
        name: "a whole cycle that learns 100 series of 1,000 samples",
        unit: "ms",
        goal: 5.0,
        reference: "each strategy for itself: sort, bounds, sort again to test",
        measure: whole_cycle,
    },
];

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Evidence of all kinds, on one side or the other of the limits by turns.
fn evidence(turn: usize) -> Evidence {
    let mut evidence = Evidence::default();
    for (n, kind) in EvidenceKind::ALL.into_iter().enumerate() {
        evidence.set(kind, Some(((turn * 7 + n * 3) % 10) as f64 / 10.0));
    }
    evidence
}

/// The state as a few ifs would say it.
fn naive_state(evidence: &HashMap<String, f64>, limits: &HashMap<String, (f64, f64)>) -> &'static str {
    let over = |which: fn(&(f64, f64)) -> f64| {
        evidence.iter().any(|(kind, value)| limits.get(kind).is_some_and(|limit| *value > which(limit)))
    };
    if over(|limit| limit.1) {
        "critical"
    } else if over(|limit| limit.0) {
        "degraded"
    } else {
        "healthy"
    }
}

fn naive_evidence(turn: usize) -> HashMap<String, f64> {
    evidence(turn).iter().map(|(kind, value)| (kind.as_str().to_owned(), value)).collect()
}

fn naive_limits() -> HashMap<String, (f64, f64)> {
    EvidenceKind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), (0.85, 0.97))).collect()
}

fn naive_parameters() -> BTreeMap<String, f64> {
    ParameterKind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), 100.0)).collect()
}

/// A tenth of the way to the row.
fn naive_step(parameters: &mut BTreeMap<String, f64>, row: f64) {
    for kind in ParameterKind::ALL {
        if let Some(value) = parameters.get_mut(kind.as_str()) {
            *value += 0.1 * (row - *value);
        }
    }
}

fn decide() -> Result<Option<Measured>, Failed> {
    let limits = Config::default().states.limits;
    let turns: Vec<Evidence> = (0..100).map(evidence).collect();
    let mut state = StateSince::new(NOW);
    let mut now = NOW;
    let ours = seconds(100, || {
        for evidence in &turns {
            now = now + Span::from_secs(10);
            let situation = Situation { evidence, learning_waiting: true, limits: &limits, now };
            state = black_box(state.next(&situation)).0;
        }
    });
    let (turns, limits) = ((0..100).map(naive_evidence).collect::<Vec<_>>(), naive_limits());
    let reference =
        seconds(100, || turns.iter().for_each(|evidence| _ = black_box(naive_state(black_box(evidence), &limits))));
    times(US, ours / 100.0, reference / 100.0)
}

fn parameters() -> Result<Option<Measured>, Failed> {
    let states = Config::default().states;
    let mut factors = Factors::default();
    ParameterKind::ALL.into_iter().for_each(|kind| factors.set(kind, 1.3, NOW));
    let mut current: Parameters = states.healthy.into();
    let ours = seconds(1_000, || {
        for state in SystemState::ALL {
            let row = states.row(state);
            current = step(black_box(&current), &row, &factors, state, false, NOW + Span::minutes(7));
        }
    });
    let mut map = naive_parameters();
    let reference = seconds(1_000, || SystemState::ALL.iter().for_each(|_| naive_step(black_box(&mut map), 60.0)));
    times(US, ours / 5.0, reference / 5.0)
}

fn transitions() -> Result<Option<Measured>, Failed> {
    const COUNT: usize = 10_000;
    let mut engine = Engine::new(Config::default(), NOW);
    let ours = seconds(1, || {
        for n in 0..COUNT {
            let state = SystemState::ALL[n % SystemState::ALL.len()];
            let _ = black_box(engine.force(state, Span::minutes(15), NOW));
        }
    });
    let mut kept = VecDeque::new();
    let reference = seconds(1, || {
        for n in 0..COUNT {
            let (from, to) = (SystemState::ALL[n % 5], SystemState::ALL[(n + 1) % 5]);
            if kept.len() == 500 {
                kept.pop_front();
            }
            kept.push_back(format!("{NOW}: from {from} to {to}, ordered until {}", NOW + Span::minutes(15)));
        }
    });
    rates(COUNT, ours, reference)
}

fn cycles() -> Result<Option<Measured>, Failed> {
    const COUNT: usize = 2_000;
    let mut engine = Engine::new(Config::default(), NOW);
    let mut now = NOW;
    let ours = seconds(1, || {
        for n in 0..COUNT {
            now = now + Span::from_secs(60);
            let processor = if n / 50 % 2 == 0 { 0.2 } else { 0.99 };
            let signal = Signal::new(LoopKind::ResourceOptimization, "host_processor", processor, now);
            let _ = black_box(engine.signal(signal, now));
            let _ = black_box(engine.cycle(now));
        }
    });
    let (limits, mut parameters) = (naive_limits(), naive_parameters());
    let mut kept = VecDeque::new();
    let reference = seconds(1, || {
        for turn in 0..COUNT {
            let state = naive_state(&naive_evidence(turn), &limits);
            naive_step(&mut parameters, 60.0);
            if kept.len() == 500 {
                kept.pop_front();
            }
            kept.push_back(format!("{state} {parameters:?}"));
        }
    });
    rates(COUNT, ours, reference)
}

fn whole_cycle() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 100;
    const SAMPLES: usize = 1_000;
    let mut config = Config::default();
    // As many tasks as one cycle needs for all of them.
    config.states.healthy.execution_parallelism = 16;
    let mut watched = Vec::new();
    for _ in 0..super::ROUNDS {
        let mut world = Watched::new(config.clone(), SERIES)?;
        world.samples(SAMPLES);
        watched.push(world);
    }
    let ours = fastest(|| {
        let mut world = watched.pop().expect("one for each round");
        let begun = processor_seconds();
        let cycle = world.engine.cycle(world.now);
        let spent = processor_seconds() - begun;
        let learned = cycle.events.iter().filter(|event| event.kind() == "threshold_learned").count();
        assert_eq!(learned, SERIES, "one cycle learns all of them");
        spent
    });
    let values = values(SERIES * SAMPLES);
    let reference = seconds(1, || values.chunks_exact(SAMPLES).for_each(|one| _ = black_box(naive_learn(one))));
    times(MS, ours, reference)
}
