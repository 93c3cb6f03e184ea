//! The world as it unrolls: what is measured and what is done, moment by moment, whatever the engine makes of it.
//!
//! The engine's answers do not reach the world yet (its knobs are its own), so a world is a pure function of its
//! scenario.

use crate::chance::Chance;
use crate::plant::{Plant, SERIES};
use crate::scenario::{Act, Hostile, Scenario, ScenarioError};
use crate::workload::{Range, Workload};
use homeostat::feedback::Verdict;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};

/// When every world begins: a Monday, midnight.
pub const START: Timestamp = Timestamp::from_secs(1_767_571_200);

/// Prometheus' stale marker: one NaN among many.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A measurement on its way to the engine.
#[derive(Clone, PartialEq, Debug)]
pub struct Offered {
    pub series: SeriesName,
    pub at: Timestamp,
    pub value: f64,
}

/// Something that is done to the engine, with all chance drawn.
#[derive(Clone, PartialEq, Debug)]
pub enum Deed {
    Verdict { series: SeriesName, verdict: Verdict },
    Force { state: SystemState, lasting: Span },
    Evidence { kind: EvidenceKind, value: f64 },
    Freeze { frozen: bool },
}

/// All that happens at one time: samples first, then deeds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Moment {
    /// Since the start.
    pub into: Span,
    pub samples: Vec<Offered>,
    pub deeds: Vec<Deed>,
}

#[derive(Debug)]
pub struct World {
    duration: Span,
    sources: Vec<Source>,
    plant: Option<PlantSource>,
    inputs: Vec<Pending>,
    hostile: Option<Enemy>,
}

#[derive(Debug)]
struct Source {
    name: SeriesName,
    workload: Workload,
    every: Span,
    next: Span,
    chance: Chance,
}

#[derive(Debug)]
struct PlantSource {
    plant: Plant,
    names: [SeriesName; SERIES.len()],
    every: Span,
    next: Span,
}

/// An input that is still to be done, perhaps more than once.
#[derive(Debug)]
struct Pending {
    next: Option<Span>,
    until: Span,
    every: Option<Span>,
    act: Act,
    series: Option<SeriesName>,
    chance: Chance,
}

#[derive(Debug)]
struct Enemy {
    spec: Hostile,
    chance: Chance,
    next_burst: Option<Span>,
    bursts: u64,
}

impl World {
    pub fn new(scenario: &Scenario) -> Result<World, ScenarioError> {
        scenario.check()?;
        let stream = |label: &str| Chance::stream(scenario.seed, label);
        let source = |series: &crate::scenario::SeriesSpec| {
            let name = SeriesName::parse(&series.name)?;
            let chance = stream(name.as_str());
            Ok::<_, ScenarioError>(Source {
                workload: series.workload.clone(),
                every: series.every,
                next: Span::ZERO,
                chance,
                name,
            })
        };
        let sources = scenario.series.iter().map(source).collect::<Result<_, _>>()?;
        let plant = match &scenario.plant {
            None => None,
            Some(spec) => {
                let names = SERIES.map(SeriesName::parse);
                let [a, b, c, d, e] = names;
                let plant = Plant::new(spec.clone(), stream("plant"));
                Some(PlantSource { plant, names: [a?, b?, c?, d?, e?], every: spec.every, next: spec.every })
            }
        };
        let pending = |(n, input): (usize, &crate::scenario::Input)| {
            let series = match &input.act {
                Act::Verdict { series, .. } => Some(SeriesName::parse(series)?),
                Act::Force { .. } | Act::Evidence { .. } | Act::Freeze { .. } => None,
            };
            Ok::<_, ScenarioError>(Pending {
                next: Some(input.at),
                until: input.at + input.lasting.unwrap_or(Span::ZERO),
                every: input.every,
                act: input.act.clone(),
                series,
                chance: stream(&format!("input {n}")),
            })
        };
        let inputs = scenario.inputs.iter().enumerate().map(pending).collect::<Result<_, _>>()?;
        let hostile = scenario.hostile.as_ref().map(|spec| Enemy {
            spec: spec.clone(),
            chance: stream("hostile"),
            next_burst: spec.burst_every.filter(|_| spec.burst > 0),
            bursts: 0,
        });
        Ok(World { duration: scenario.duration, sources, plant, inputs, hostile })
    }

    pub fn duration(&self) -> Span {
        self.duration
    }

    /// Each series' ground truth, in the order of the scenario.
    pub fn truth(&self) -> Vec<(SeriesName, Vec<Range>)> {
        let mut truth: Vec<_> =
            self.sources.iter().map(|s| (s.name.clone(), s.workload.incidents(self.duration))).collect();
        if let Some(source) = &self.plant {
            let incidents = source.plant.incidents(self.duration);
            truth.extend(source.names.iter().map(|name| (name.clone(), incidents.clone())));
        }
        truth
    }

    /// When something happens next; none when the world is over.
    pub fn next_at(&self) -> Option<Span> {
        let sources = self.sources.iter().map(|source| source.next);
        let plant = self.plant.iter().map(|source| source.next);
        let inputs = self.inputs.iter().filter_map(|input| input.next);
        let bursts = self.hostile.iter().filter_map(|enemy| enemy.next_burst);
        sources.chain(plant).chain(inputs).chain(bursts).min().filter(|at| *at < self.duration)
    }

    /// All that happens at the next moment.
    pub fn next_moment(&mut self) -> Option<Moment> {
        let into = self.next_at()?;
        let mut moment = Moment { into, ..Moment::default() };
        for source in self.sources.iter_mut().filter(|source| source.next == into) {
            if let Some(value) = source.workload.value(into, &mut source.chance) {
                moment.samples.push(Offered { series: source.name.clone(), at: START + into, value });
            }
            source.next = into + source.every;
        }
        if let Some(source) = self.plant.as_mut().filter(|source| source.next == into) {
            let reading = source.plant.advance(into);
            for (name, (_, value)) in source.names.iter().zip(reading.series()) {
                let offered = value.map(|value| Offered { series: name.clone(), at: START + into, value });
                moment.samples.extend(offered);
            }
            moment.deeds.push(Deed::Evidence { kind: EvidenceKind::HostProcessor, value: reading.host_processor });
            moment.deeds.push(Deed::Evidence { kind: EvidenceKind::HostMemory, value: reading.host_memory });
            source.next = into + source.every;
        }
        for input in self.inputs.iter_mut().filter(|input| input.next == Some(into)) {
            moment.deeds.push(input.draw());
            input.next = input.every.map(|every| into + every).filter(|next| *next < input.until);
        }
        if let Some(enemy) = &mut self.hostile {
            enemy.spoil(&mut moment);
        }
        Some(moment)
    }
}

impl Pending {
    fn draw(&mut self) -> Deed {
        match &self.act {
            Act::Verdict { verdict, .. } => {
                let series = self.series.clone().expect("a verdict's series was parsed with the scenario");
                Deed::Verdict { series, verdict: *verdict }
            }
            Act::Force { state, lasting } => Deed::Force { state: *state, lasting: *lasting },
            Act::Evidence { kind, value, noise } => {
                Deed::Evidence { kind: *kind, value: value + noise * self.chance.between(-1.0, 1.0) }
            }
            Act::Freeze { frozen } => Deed::Freeze { frozen: *frozen },
        }
    }
}

impl Enemy {
    fn spoil(&mut self, moment: &mut Moment) {
        let chance = &mut self.chance;
        let now = START + moment.into;
        let mut spoiled = Vec::with_capacity(moment.samples.len());
        for mut sample in moment.samples.drain(..) {
            if chance.happens(self.spec.not_finite) {
                sample.value = *chance.one_of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, STALE]);
            }
            if chance.happens(self.spec.huge) {
                sample.value = *chance.one_of(&[1e308, -1e308, f64::MAX, f64::MIN_POSITIVE]);
            }
            if chance.happens(self.spec.backwards) {
                let back = Span::from_secs(chance.below(3600) as u64);
                sample.at = if chance.happens(0.1) { Timestamp::from_millis(i64::MIN) } else { now - back };
            }
            if chance.happens(self.spec.ahead) {
                let ahead = Span::from_secs(chance.below(3600) as u64);
                sample.at = if chance.happens(0.1) { Timestamp::from_millis(i64::MAX) } else { now + ahead };
            }
            if chance.happens(self.spec.duplicate) {
                spoiled.push(sample.clone());
            }
            // After the sample: of two values for one time the first is believed.
            let conflict = chance.happens(self.spec.conflict);
            let other = conflict.then(|| Offered { value: sample.value * 2.0 + 1.0, ..sample.clone() });
            spoiled.push(sample);
            spoiled.extend(other);
        }
        if self.next_burst == Some(moment.into) {
            for n in 0..self.spec.burst {
                let labels = [("burst".to_owned(), self.bursts.to_string()), ("n".to_owned(), n.to_string())];
                let series = SeriesName::new("unasked", labels).expect("two labels make a name");
                for back in [3_u64, 2, 1] {
                    let at = now - Span::from_secs(back);
                    spoiled.push(Offered { series: series.clone(), at, value: chance.normal() });
                }
            }
            self.bursts += 1;
            self.next_burst = self.spec.burst_every.map(|every| moment.into + every);
        }
        moment.samples = spoiled;
    }
}
