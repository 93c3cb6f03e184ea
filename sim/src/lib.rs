//! The world in a bottle: plants, workloads, scenarios, a judge and scores, for an engine that has no clock of its own.
//!
//! A [`Scenario`] unrolls as a [`World`](world::World), a [`Driver`](driver::Driver) hands it to the engine, and what
//! comes out is told as a [`Transcript`](transcript::Transcript) and judged against the best static threshold.

pub mod calibration;
pub mod chance;
pub mod driver;
pub mod estate;
pub mod judge;
pub mod plant;
pub mod random;
pub mod run;
pub mod scenario;
pub mod score;
pub mod transcript;
pub mod workload;
pub mod world;

pub use judge::Table;
pub use run::{Progress, Report, run_scenario};
pub use scenario::{Scenario, ScenarioError};

use std::sync::LazyLock;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*] };
}

/// The scenarios of this crate: name and TOML. The eight workloads first.
const EMBEDDED: [(&str, &str); 12] = embedded![
    "steady",
    "step",
    "spike",
    "drift",
    "daily_wave",
    "heavy_tail",
    "gaps",
    "flat_line",
    "pressure",
    "verdicts",
    "flapping",
    "overload",
];

static PARSED: LazyLock<Vec<(&'static str, Scenario)>> = LazyLock::new(|| {
    let parse = |(name, toml)| match Scenario::parse(name, toml) {
        Ok(scenario) => (name, scenario),
        Err(error) => panic!("an embedded scenario can be run: {error}"),
    };
    EMBEDDED.map(parse).into()
});

static ABOUT: LazyLock<Vec<(&'static str, &'static str)>> =
    LazyLock::new(|| PARSED.iter().map(|(name, scenario)| (*name, scenario.about.as_str())).collect());

/// The scenarios that come along: name, and what each shows.
pub fn scenarios() -> &'static [(&'static str, &'static str)] {
    &ABOUT
}

/// A scenario that comes along, by name.
pub fn scenario(name: &str) -> Result<&'static Scenario, ScenarioError> {
    let known = || PARSED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match PARSED.iter().find(|(known, _)| *known == name) {
        Some((_, scenario)) => Ok(scenario),
        None => Err(ScenarioError::Unknown { name: name.to_owned(), known: known() }),
    }
}

/// Runs a scenario that comes along.
pub fn run_named(name: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Report, ScenarioError> {
    run_scenario(scenario(name)?, progress)
}

/// Runs a world nobody wrote: any shape, size and configuration, a hostile source, an erratic operator. From a seed.
pub fn random_world(seed: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Report, ScenarioError> {
    run_scenario(&random::random_scenario(seed), progress)
}
