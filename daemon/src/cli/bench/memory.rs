//! Memory: how much the process grows by what it holds. Measured first and over many copies, since the allocator gives out
//! in pages and keeps what was freed.

use super::samples::{Watched, by_bounds, eager, name, values};
use super::{Measured, Work};
use crate::cli::Failed;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::feedback::{LoopKind, Signal};
use homeostat::monitor::Sample;
use homeostat::plan::import::Import;
use homeostat::plan::state::SystemState;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::any::Any;
use std::collections::VecDeque;

pub const WORKS: &[Work] = &[
    Work {
        name: "memory of 10,000 samples",
        unit: "MB",
        goal: 0.5,
        reference: "a deque of name, time and value",
        measure: samples,
    },
    Work {
        name: "memory of a whole engine: 100 series of 1,000 samples learned, 10,000 signals",
        unit: "MB",
        goal: 10.0,
        reference: "deques of name, time and value, and of texts",
        measure: whole,
    },
    Work {
        name: "memory of 500 transitions",
        unit: "MB",
        goal: 0.25,
        reference: "a deque of texts",
        measure: transitions,
    },
    Work {
        name: "memory of a series with imported bounds and 20 samples",
        unit: "bytes",
        goal: 600.0,
        reference: WINDOW,
        measure: bounds_only,
    },
    Work {
        name: "memory of a series with a window of 10,000 gauges of three decimals, and auto",
        unit: "bytes",
        goal: 26_000.0,
        reference: WINDOW,
        measure: whole_window,
    },
];

const WINDOW: &str = "a name, and a deque of time and value";

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// What stands in memory for this process, in MB.
pub fn resident() -> Result<f64, Failed> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
    let unknown = || Failed::World("the system does not say how much memory this process has".to_owned());
    let pid = sysinfo::get_current_pid().map_err(|_| unknown())?;
    let mut system = System::new().map_err(|_| unknown())?;
    let wanted = ProcessRefreshKind::nothing().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted);
    Ok(system.process(pid).ok_or_else(unknown)?.memory() as f64 / 1e6)
}

/// How much the process grows with `copies` of each, per copy.
pub fn growth<O: 'static, R: 'static>(
    copies: usize,
    ours: impl Fn() -> Result<O, Failed>,
    reference: impl Fn() -> R,
) -> Result<Option<Measured>, Failed> {
    let before = resident()?;
    let held = (0..copies).map(|_| ours()).collect::<Result<Vec<_>, _>>()?;
    let between = resident()?;
    let also: Vec<R> = (0..copies).map(|_| reference()).collect();
    let after = resident()?;
    let each = |from: f64, to: f64| (to - from) / copies as f64;
    let keep: Option<Box<dyn Any>> = Some(Box::new((held, also)));
    Ok(Some(Measured { ours: each(before, between), reference: each(between, after), keep }))
}

fn rows(count: usize) -> VecDeque<(String, Timestamp, f64)> {
    (0..count).map(|n| (name(0), NOW + Span::from_secs(n as u64), n as f64)).collect()
}

fn texts(count: usize) -> VecDeque<String> {
    (0..count).map(|n| format!("{NOW}: from healthy to degraded because of evidence number {n}")).collect()
}

fn samples() -> Result<Option<Measured>, Failed> {
    let window = || {
        let mut watched = Watched::new(Config::default(), 1)?;
        watched.samples(10_000);
        Ok(watched.engine)
    };
    growth(100, window, || rows(10_000))
}

fn whole() -> Result<Option<Measured>, Failed> {
    let engine = || {
        let mut watched = Watched::new(eager(100), 100)?;
        watched.samples(1_000);
        watched.learn();
        let Watched { mut engine, now, .. } = watched;
        for n in 0..10_000 {
            let _ = engine.signal(Signal::new(LoopKind::ALL[n % 5], "outside", 0.5, now), now);
        }
        Ok(engine)
    };
    growth(10, engine, || ((0..100).map(|_| rows(1_000)).collect::<Vec<_>>(), texts(10_000)))
}

fn transitions() -> Result<Option<Measured>, Failed> {
    // An engine has other memory too; here it is small beside what is asked for.
    let engine = || {
        let mut engine = Engine::new(Config::default(), NOW);
        for n in 0..500 {
            let _ = engine.force(SystemState::ALL[n % SystemState::ALL.len()], Span::minutes(15), NOW);
        }
        Ok(engine)
    };
    growth(100, engine, || texts(500))
}

fn bounds_only() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 50_000;
    let import = Import {
        bounds: (Some(90.0), Some(110.0)),
        alert: (None, None),
        sensitivity: None,
        confidence: None,
        reasoning: None,
    };
    let engine = || -> Result<Engine, Failed> {
        let mut config = by_bounds(SERIES);
        config.execution.changes_per_hour = 3_600;
        let mut watched = Watched::new(config, SERIES)?;
        watched.samples(20);
        let Watched { mut engine, now, .. } = watched;
        let names: Vec<SeriesName> = engine.knowledge().series().map(|series| series.name().clone()).collect();
        for name in &names {
            let taken = engine.import(name, &import, now);
            let _ = taken.map_err(|error| Failed::World(format!("{name}: {error}")))?;
        }
        Ok(engine)
    };
    let naive = || (0..SERIES).map(|n| (name(n), VecDeque::from(vec![(0_i64, 0.0_f64); 20]))).collect::<Vec<_>>();
    per_series(growth(1, engine, naive)?, SERIES)
}

fn whole_window() -> Result<Option<Measured>, Failed> {
    // So many that what learning needs for a moment, and the allocator keeps, is nothing beside them.
    const SERIES: usize = 2_000;
    const SAMPLES: usize = 10_000;
    let gauges: Vec<f64> = values(8_191).iter().map(|value| (1000.0 * value).round() / 1000.0).collect();
    let engine = || -> Result<Engine, Failed> {
        let mut watched = Watched::new(eager(SERIES), SERIES)?;
        for n in 0..SAMPLES {
            watched.now = watched.now + Span::from_secs(10);
            let (now, ids) = (watched.now, &watched.ids);
            let sample = |(at, id)| Sample { series: id, at: now, value: gauges[(n * 977 + at * 31) % gauges.len()] };
            let samples: Vec<Sample> = ids.iter().copied().enumerate().map(sample).collect();
            let _ = watched.engine.observe(&samples, now);
        }
        watched.learn();
        Ok(watched.engine)
    };
    let window =
        |n: usize| (name(n), (0..SAMPLES).map(|at| (at as i64, gauges[at % gauges.len()])).collect::<VecDeque<_>>());
    per_series(growth(1, engine, || (0..SERIES).map(window).collect::<Vec<_>>())?, SERIES)
}

/// From MB of all to bytes of each.
fn per_series(measured: Option<Measured>, series: usize) -> Result<Option<Measured>, Failed> {
    let each = |mb: f64| mb * 1e6 / series as f64;
    Ok(measured.map(|m| Measured { ours: each(m.ours), reference: each(m.reference), keep: m.keep }))
}
