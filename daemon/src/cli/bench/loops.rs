//! Feedback: signals taken in, reflected on, acted on, told to subscribers, looked up.

use super::samples::{Watched, eager, name};
use super::{MS, Measured, US, Work, rates, seconds, times};
use crate::cli::Failed;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::feedback::{LoopKind, Signal, Verdict};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::mpsc;

const TEXTS: &str = "a bounded list of texts";
const MEANS: &str = "a bounded list of texts, and the mean of the last 100 anew";

pub const WORKS: &[Work] = &[
    Work { name: "signals taken in", unit: "signals/s", goal: 1e6, reference: TEXTS, measure: taken_in },
    Work {
        name: "measurements of performance recorded",
        unit: "signals/s",
        goal: 1e6,
        reference: TEXTS,
        measure: || many(LoopKind::PerformanceAdaptation, "cycle_latency", false),
    },
    Work {
        name: "signals of metrics learning, heard and reflected on",
        unit: "signals/s",
        goal: 5e5,
        reference: MEANS,
        measure: || many(LoopKind::MetricsLearning, "outcome", true),
    },
    Work {
        name: "signals of performance adaptation, heard and reflected on",
        unit: "signals/s",
        goal: 5e5,
        reference: MEANS,
        measure: || many(LoopKind::PerformanceAdaptation, "cycle_latency", true),
    },
    Work {
        name: "signals of decision quality, heard and reflected on",
        unit: "signals/s",
        goal: 5e5,
        reference: MEANS,
        measure: || many(LoopKind::DecisionQuality, "outcome", true),
    },
    Work {
        name: "100 signals of all loops, and the cycle that reflects on them",
        unit: "ms",
        goal: 1.0,
        reference: MEANS,
        measure: hundred,
    },
    Work {
        name: "an action: from a verdict to new bounds in force",
        unit: "µs",
        // Every other verdict is a missed one, for which the last 200 samples are judged anew: what would have spoken?
        goal: 100.0,
        reference: "a copy sorted, and its quantiles taken",
        measure: action,
    },
    Work {
        name: "the last 1,000 signals of one loop, of 10,000 kept",
        unit: "µs",
        goal: 100.0,
        reference: "all copied, then those of the loop's name kept",
        measure: history,
    },
    Work {
        name: "a subscriber told, and its news taken out",
        unit: "µs",
        goal: 5.0,
        reference: "a channel of texts",
        measure: subscriber,
    },
];

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A bounded list of texts.
struct Texts(VecDeque<String>);

impl Texts {
    fn push(&mut self, text: String) {
        if self.0.len() == 10_000 {
            self.0.pop_front();
        }
        self.0.push_back(text);
    }

    /// Of the numbers at the end of the last hundred.
    fn mean(&self) -> f64 {
        let numbers = self.0.iter().rev().take(100).filter_map(|text| text.rsplit(' ').next()?.parse::<f64>().ok());
        numbers.sum::<f64>() / 100.0
    }
}

fn naive_signals(count: usize, of: LoopKind, reflects: bool) -> f64 {
    let mut kept = Texts(VecDeque::new());
    seconds(1, || {
        for n in 0..count {
            kept.push(format!("{n} {NOW} {} {}", of.as_str(), n as f64 * 0.001));
            if reflects {
                black_box(kept.mean());
            }
        }
    })
}

fn taken_in() -> Result<Option<Measured>, Failed> {
    const COUNT: usize = 100_000;
    let mut engine = Engine::new(Config::default(), NOW);
    let ours = seconds(1, || {
        for n in 0..COUNT {
            let signal = Signal::new(LoopKind::ALL[n % 5], "outside", 0.5, NOW);
            let _ = black_box(engine.signal(signal, NOW));
        }
    });
    rates(COUNT, ours, naive_signals(COUNT, LoopKind::DecisionQuality, false))
}

/// Signals of one loop, a thousand between two cycles where the loop is to reflect on them.
fn many(of: LoopKind, source: &'static str, reflects: bool) -> Result<Option<Measured>, Failed> {
    const COUNT: usize = 20_000;
    const BETWEEN: usize = 1_000;
    const SERIES: usize = 10;
    let mut watched = Watched::new(eager(SERIES), SERIES)?;
    watched.samples(200);
    watched.learn();
    let names: Vec<SeriesName> = watched.engine.knowledge().series().map(|series| series.name().clone()).collect();
    let strategies = [("strategy".to_owned(), "sigma".to_owned())];
    let Watched { engine, now, .. } = &mut watched;
    let ours = seconds(1, || {
        for n in 0..COUNT {
            let mut signal = Signal::new(of, source, (n % 100) as f64 / 100.0, *now);
            if of == LoopKind::MetricsLearning {
                signal.series = Some(names[n % SERIES].clone());
            } else if of == LoopKind::DecisionQuality {
                signal.metadata.extend(strategies.clone());
            }
            let _ = black_box(engine.signal(signal, *now));
            if reflects && n % BETWEEN == BETWEEN - 1 {
                *now = *now + Span::from_secs(10);
                let _ = black_box(engine.cycle(*now));
            }
        }
    });
    rates(COUNT, ours, naive_signals(COUNT, of, reflects))
}

fn hundred() -> Result<Option<Measured>, Failed> {
    const SERIES: usize = 10;
    let mut watched = Watched::new(eager(SERIES), SERIES)?;
    watched.samples(200);
    watched.learn();
    let Watched { engine, now, .. } = &mut watched;
    let kinds = [
        (LoopKind::MetricsLearning, "outcome"),
        (LoopKind::PerformanceAdaptation, "cycle_latency"),
        (LoopKind::DecisionQuality, "outcome"),
        (LoopKind::AnomalyFeedback, "verdict"),
        (LoopKind::ResourceOptimization, "host_processor"),
    ];
    let ours = seconds(20, || {
        *now = *now + Span::from_secs(10);
        for n in 0..100 {
            let (of, source) = kinds[n % kinds.len()];
            let _ = black_box(engine.signal(Signal::new(of, source, n as f64 / 100.0, *now), *now));
        }
        let _ = black_box(engine.cycle(*now));
    });
    times(MS, ours, naive_signals(100, LoopKind::DecisionQuality, true))
}

fn action() -> Result<Option<Measured>, Failed> {
    let mut watched = Watched::new(eager(1), 1)?;
    watched.samples(200);
    watched.learn();
    let series = SeriesName::parse(&name(0)).map_err(|error| Failed::Use(error.to_string()))?;
    let Watched { engine, now, .. } = &mut watched;
    let mut turn = 0;
    let ours = seconds(20, || {
        *now = *now + Span::from_secs(10);
        let before = engine.knowledge().find(&series).map(|series| series.sensitivity());
        turn += 1;
        let verdict = if turn % 2 == 0 { Verdict::False } else { Verdict::Missed };
        let mut signal = Signal::new(LoopKind::AnomalyFeedback, "verdict", 1.0, *now);
        (signal.series, signal.verdict) = (Some(series.clone()), Some(verdict));
        let _ = black_box(engine.signal(signal, *now));
        let _ = black_box(engine.cycle(*now));
        let after = engine.knowledge().find(&series).map(|series| series.sensitivity());
        assert_ne!(before, after, "a verdict takes effect in the next cycle");
    });
    let window: Vec<f64> = super::samples::values(200);
    let reference = seconds(20, || {
        let mut sorted = window.clone();
        sorted.sort_by(f64::total_cmp);
        black_box((sorted[sorted.len() / 40], sorted[sorted.len() * 39 / 40]));
    });
    times(US, ours, reference)
}

fn history() -> Result<Option<Measured>, Failed> {
    let mut engine = Engine::new(Config::default(), NOW);
    for n in 0..10_000 {
        let _ = engine.signal(Signal::new(LoopKind::ALL[n % 5], "outside", n as f64, NOW), NOW);
    }
    let signals = engine.knowledge().signals();
    let wanted = |signal: &&Signal| signal.of == LoopKind::DecisionQuality;
    let ours = seconds(20, || {
        let last: Vec<&Signal> = signals.iter().rev().filter(wanted).take(1_000).collect();
        assert_eq!(black_box(last).len(), 1_000, "a fifth of ten thousand is enough");
    });
    let reference = seconds(20, || {
        let all: Vec<Signal> = signals.iter().cloned().collect();
        let named = |signal: &Signal| signal.of.as_str() == "decision_quality";
        let mut last: Vec<Signal> = all.into_iter().filter(named).collect();
        last.drain(..last.len() - 1_000);
        black_box(last);
    });
    times(US, ours, reference)
}

fn subscriber() -> Result<Option<Measured>, Failed> {
    const COUNT: usize = 1_000;
    let mut engine = Engine::new(Config::default(), NOW);
    let subscription = engine.subscribe(LoopKind::DecisionQuality, COUNT);
    let ours = seconds(COUNT, || {
        let _ = engine.signal(Signal::new(LoopKind::DecisionQuality, "outside", 0.5, NOW), NOW);
        assert_eq!(black_box(subscription.drain()).len(), 1, "told at once");
    });
    let (tell, told) = mpsc::channel();
    let reference = seconds(COUNT, || {
        let _ = tell.send(format!("{NOW} decision_quality outside 0.5"));
        black_box(told.try_iter().collect::<Vec<String>>());
    });
    times(US, ours, reference)
}
