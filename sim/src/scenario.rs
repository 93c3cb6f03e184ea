//! A scenario: a small world, what happens in it, and what it is to show. TOML in, a transcript out.
//!
//! Everything random in a run comes from the seed; everything else is written down here.

use crate::plant::PlantSpec;
use crate::workload::{Shape, Workload};
use homeostat::config::{Config, ConfigError};
use homeostat::feedback::Verdict;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::{NameError, SeriesName};
use homeostat::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence: what it shows.
    pub about: String,
    pub seed: u64,
    pub duration: Span,
    /// Alerts and incidents before this are not judged: nobody knows a series at once.
    #[serde(default = "six_hours")]
    pub judged_from: Span,
    /// What differs from the engine's defaults.
    #[serde(default)]
    pub config: Config,
    #[serde(default)]
    pub series: Vec<SeriesSpec>,
    #[serde(default)]
    pub plant: Option<PlantSpec>,
    #[serde(default)]
    pub hostile: Option<Hostile>,
    #[serde(default, rename = "input")]
    pub inputs: Vec<Input>,
}

fn six_hours() -> Span {
    Span::hours(6)
}

/// Series that share a workload, each with noise of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSpec {
    /// As people write it: `NAME` or `NAME{label="value"}`.
    pub name: String,
    /// How often a sample comes.
    pub every: Span,
    pub workload: Workload,
}

/// Probabilities that a sample is spoiled on its way, and bursts of series nobody asked for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hostile {
    /// NaN, +inf, -inf or Prometheus' stale marker in place of the value.
    pub not_finite: f64,
    /// ±1e308 in place of the value.
    pub huge: f64,
    /// The same sample once more.
    pub duplicate: f64,
    /// Same time, another value.
    pub conflict: f64,
    /// Dated up to an hour back, or years.
    pub backwards: f64,
    /// Dated up to an hour ahead.
    pub ahead: f64,
    /// This many new series, each with a few samples, every `burst_every`.
    pub burst: usize,
    pub burst_every: Option<Span>,
}

/// Something that is done to the engine at a time of the run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub at: Span,
    pub act: Act,
    /// Done again after each of these, until `lasting` has passed. Once, when there is none.
    #[serde(default)]
    pub every: Option<Span>,
    #[serde(default)]
    pub lasting: Option<Span>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// A person's verdict on the latest breach of a series; on the time of the verdict when there was none.
    Verdict {
        series: String,
        verdict: Verdict,
    },
    /// An operator forces a state for a while.
    Force {
        state: SystemState,
        lasting: Span,
    },
    /// Evidence is measured: `value`, plus noise drawn evenly from ± `noise`.
    Evidence {
        kind: EvidenceKind,
        value: f64,
        #[serde(default)]
        noise: f64,
    },
    Freeze {
        frozen: bool,
    },
}

/// Why a scenario cannot be run.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("there is no scenario `{name}`; known are {known}")]
    Unknown { name: String, known: String },
    #[error("scenario {name}: {problem}")]
    Toml { name: String, problem: String },
    #[error("scenario: {0}")]
    Config(#[from] ConfigError),
    #[error("scenario: {0}")]
    Name(#[from] NameError),
    #[error("scenario: {key}: {problem}")]
    Impossible { key: String, problem: &'static str },
}

/// A run is bounded: so many simulated days, so many samples in all, so many repetitions of an input.
const DURATION_MAX: Span = Span::hours(24 * 365);
const SAMPLES_MAX: u64 = 50_000_000;
const BURST_MAX: usize = 10_000;

impl Scenario {
    pub fn parse(name: &str, toml: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(toml)
            .map_err(|error| ScenarioError::Toml { name: name.to_owned(), problem: error.to_string() })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Checks what the types alone cannot. The configuration is the engine's to check.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let refuse = |key: String, problem| Err(ScenarioError::Impossible { key, problem });
        if self.duration == Span::ZERO || self.duration > DURATION_MAX {
            return refuse("duration".into(), "has to be over 0 and at most a year");
        }
        if self.series.is_empty() && self.plant.is_none() {
            return refuse("series".into(), "there has to be a series or a plant");
        }
        let mut names = BTreeSet::new();
        let mut samples = 0;
        for (n, series) in self.series.iter().enumerate() {
            if !names.insert(SeriesName::parse(&series.name)?) {
                return refuse(format!("series[{n}].name"), "is given twice");
            }
            self.check_workload(&format!("series[{n}].workload"), &series.workload)?;
            samples += self.samples(&format!("series[{n}].every"), series.every)?;
        }
        if let Some(plant) = &self.plant {
            if plant.servers == 0 || plant.servers > 1024 {
                return refuse("plant.servers".into(), "has to be 1 to 1024");
            }
            let positive = |x: f64| x.is_finite() && x > 0.0;
            if !positive(plant.service_seconds) || !(0.0..=3.0).contains(&plant.service_spread) {
                return refuse("plant.service_seconds".into(), "has to be positive, with a spread of 0 to 3");
            }
            if plant.queue_max > 1_000_000 {
                return refuse("plant.queue_max".into(), "has to be at most 1,000,000");
            }
            if plant.arrivals.level > 100_000.0 {
                return refuse("plant.arrivals.level".into(), "has to be at most 100,000 a second");
            }
            self.check_workload("plant.arrivals", &plant.arrivals)?;
            samples += 5 * self.samples("plant.every", plant.every)?;
        }
        if samples > SAMPLES_MAX {
            return refuse("duration".into(), "makes more than 50,000,000 samples");
        }
        for (n, input) in self.inputs.iter().enumerate() {
            if input.every.is_some_and(|every| every < Span::from_secs(1)) {
                return refuse(format!("input[{n}].every"), "has to be at least 1s");
            }
            if input.every.is_some() != input.lasting.is_some() {
                return refuse(format!("input[{n}].every"), "goes together with `lasting`");
            }
            if let Act::Verdict { series, .. } = &input.act {
                SeriesName::parse(series)?;
            }
        }
        if let Some(hostile) = &self.hostile {
            let shares = [
                hostile.not_finite,
                hostile.huge,
                hostile.duplicate,
                hostile.conflict,
                hostile.backwards,
                hostile.ahead,
            ];
            if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
                return refuse("hostile".into(), "probabilities have to be 0 to 1");
            }
            if hostile.burst > BURST_MAX || hostile.burst_every.is_some_and(|every| every < Span::from_secs(1)) {
                return refuse("hostile.burst".into(), "has to be at most 10,000, every second at most");
            }
        }
        Ok(())
    }

    fn samples(&self, key: &str, every: Span) -> Result<u64, ScenarioError> {
        match every < Span::from_secs(1) {
            true => Err(ScenarioError::Impossible { key: key.to_owned(), problem: "has to be at least 1s" }),
            false => Ok(self.duration.millis() / every.millis()),
        }
    }

    fn check_workload(&self, key: &str, workload: &Workload) -> Result<(), ScenarioError> {
        let problem = if !workload.level.is_finite() || !workload.noise.is_finite() || workload.noise < 0.0 {
            "level and noise have to be finite, noise not negative"
        } else {
            match workload.shape {
                Shape::Spike { every, lasting, .. } if every < Span::from_secs(1) || lasting >= every => {
                    "a spike has to be over before the next begins"
                }
                Shape::Gaps { every, silent, .. } if every < Span::from_secs(1) || silent >= every => {
                    "a silence has to be over before the next begins"
                }
                _ => return Ok(()),
            }
        };
        Err(ScenarioError::Impossible { key: key.to_owned(), problem })
    }
}
