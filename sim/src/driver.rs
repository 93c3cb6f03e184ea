//! What a caller does for an engine: names samples, hands in signals, calls for the cycle when it is due, and reports
//! what the cycle took. The daemon's part, without its clock and its disk.

use crate::world::{Deed, Moment, START};
use homeostat::analyze::strategy::Methods;
use homeostat::config::{Config, ConfigError};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::feedback::{LoopKind, Signal, Verdict};
use homeostat::knowledge::SeriesId;
use homeostat::knowledge::snapshot::SnapshotError;
use homeostat::monitor::{Fates, Sample};
use homeostat::plan::state::EvidenceKind;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::collections::BTreeMap;

pub struct Driver {
    pub engine: Engine,
    pub fates: Fates,
    /// Samples of series there was no room for.
    pub unheld: u64,
    /// Up to when the engine was told anything.
    now: Span,
}

/// The events of one moment, by where they come from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Events {
    /// From samples and new series.
    pub observed: Vec<Event>,
    /// From deeds: signals, forces, freezes.
    pub done: Vec<Event>,
}

/// What a cycle would take a machine: so much for each series it looks at, so much more for each it learns.
const LOOK_SECONDS: f64 = 5e-6;
const LEARN_SECONDS: f64 = 2e-3;

impl Driver {
    pub fn new(config: Config, shards: usize) -> Result<Driver, ConfigError> {
        config.check(&Methods::built_in().names())?;
        let engine = Engine::with_methods(config, Methods::built_in(), shards, START);
        Ok(Driver { engine, fates: Fates::default(), unheld: 0, now: Span::ZERO })
    }

    /// Stops the engine and starts another from its snapshot, perhaps with another number of shards.
    pub fn restart(&mut self, shards: usize, now: Timestamp) -> Result<(), SnapshotError> {
        let config = self.engine.knowledge().config().clone();
        self.engine = Engine::restore(config, Methods::built_in(), shards, &self.engine.snapshot(), now)?;
        Ok(())
    }

    /// Time of the next cycle since the start. What brought it forward may have come after it would have been due: then
    /// it is due now, for time does not run backwards.
    pub fn next_cycle(&self) -> Span {
        self.engine.next_cycle().since(START).max(self.now)
    }

    pub fn moment(&mut self, moment: &Moment) -> Events {
        let observed = self.observe(moment);
        let now = START + moment.into;
        let done = moment.deeds.iter().flat_map(|deed| self.deed(deed, now)).collect();
        Events { observed, done }
    }

    pub fn observe(&mut self, moment: &Moment) -> Vec<Event> {
        self.now = moment.into;
        let now = START + moment.into;
        let mut samples = Vec::with_capacity(moment.samples.len());
        // As a source that keeps the ids it was given for as long as one batch lasts.
        let mut ids: BTreeMap<&SeriesName, SeriesId> = BTreeMap::new();
        for offered in &moment.samples {
            let known = match ids.get(&offered.series) {
                Some(id) => Ok(*id),
                None => self.engine.intern(&offered.series, None, now),
            };
            match known {
                Ok(series) => {
                    ids.insert(&offered.series, series);
                    samples.push(Sample { series, at: offered.at, value: offered.value });
                }
                Err(_) => self.unheld += 1,
            }
        }
        let observed = self.engine.observe(&samples, now);
        self.fates += &observed.fates;
        observed.events
    }

    fn deed(&mut self, deed: &Deed, now: Timestamp) -> Vec<Event> {
        match deed {
            Deed::Verdict { series, verdict } => {
                let breach = self.engine.knowledge().find(series).and_then(|series| series.last_breach());
                let at = breach.map_or(now, |(at, _)| at);
                vec![self.engine.signal(verdict_signal(series.clone(), *verdict, at), now)]
            }
            Deed::Force { state, lasting } => self.engine.force(*state, *lasting, now),
            Deed::Evidence { kind, value } => vec![self.engine.signal(evidence_signal(*kind, *value, now), now)],
            Deed::Freeze { frozen } => self.engine.freeze(*frozen, "the scenario says so".to_owned(), now),
        }
    }

    /// One cycle, and the report of what it took, as far as a machine that is not there can be timed.
    pub fn cycle(&mut self, into: Span) -> Vec<Event> {
        self.now = into;
        let now = START + into;
        let mut events = self.engine.cycle(now).events;
        let learned = events.iter().find_map(|event| match event {
            Event::CycleCompleted(cycle) => Some(cycle.learned),
            _ => None,
        });
        let knowledge = self.engine.knowledge();
        let took = knowledge.series_count() as f64 * LOOK_SECONDS + f64::from(learned.unwrap_or(0)) * LEARN_SECONDS;
        let share = took / knowledge.parameters().monitoring_interval.secs();
        events.push(self.engine.signal(evidence_signal(EvidenceKind::CycleLatency, share, now), now));
        events
    }
}

fn verdict_signal(series: SeriesName, verdict: Verdict, at: Timestamp) -> Signal {
    let value = match verdict {
        Verdict::True => 1.0,
        Verdict::False | Verdict::Missed => 0.0,
    };
    let signal = Signal::new(LoopKind::AnomalyFeedback, "verdict", value, at);
    Signal { series: Some(series), verdict: Some(verdict), ..signal }
}

/// Evidence goes to the loop that acts on it.
fn evidence_signal(kind: EvidenceKind, value: f64, at: Timestamp) -> Signal {
    let of = match kind {
        EvidenceKind::CycleLatency => LoopKind::PerformanceAdaptation,
        EvidenceKind::OwnMemory | EvidenceKind::HostProcessor | EvidenceKind::HostMemory => {
            LoopKind::ResourceOptimization
        }
        EvidenceKind::BreachShare => LoopKind::MetricsLearning,
        EvidenceKind::DecisionQuality => LoopKind::DecisionQuality,
        EvidenceKind::FalseShare => LoopKind::AnomalyFeedback,
    };
    Signal::new(of, kind.as_str(), value, at)
}
