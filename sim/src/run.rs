//! A scenario from its first to its last moment: the world and the engine in lockstep, told and judged.

use crate::driver::Driver;
use crate::judge::{Judged, Table, Track, judge};
use crate::scenario::{Scenario, ScenarioError};
use crate::transcript::Transcript;
use crate::world::{START, World};
use homeostat::event::{Event, Phase};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// How far a run has come, and the line it just told.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    pub into: Span,
    pub of: Span,
    pub line: Option<&'a str>,
}

/// What came of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub transcript: String,
    pub table: Table,
}

impl Report {
    /// Transcript and table, as kept beside the scenario.
    pub fn text(&self) -> String {
        format!("{}\n{}\n", self.transcript, self.table)
    }
}

/// Without news, progress is told this many times in a run.
const PROGRESS_STEPS: u64 = 100;

/// Nothing that can be observed depends on the number of shards; a run needs some.
const SHARDS: usize = 8;

pub fn run_scenario(scenario: &Scenario, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Report, ScenarioError> {
    let mut world = World::new(scenario)?;
    let mut driver = Driver::new(scenario.config.clone(), SHARDS)?;
    let mut transcript = Transcript::default();
    transcript.line(&format!("# {}", scenario.about));
    transcript.line(&format!("# seed {}, {} from {START}", scenario.seed, scenario.duration));
    transcript.line("");
    let mut tracks = Tracks::new(&world);
    let of = scenario.duration;
    let mut told = 0;

    while let Some(step) = step(&mut world, &mut driver) {
        tracks.see(&driver, &step);
        for event in &step.events {
            if let Some(line) = transcript.tell(event, START + step.into) {
                progress(Progress { into: step.into, of, line: Some(&line) });
            }
        }
        let part = step.into.millis() * PROGRESS_STEPS / of.millis();
        if part > told {
            told = part;
            progress(Progress { into: step.into, of, line: None });
        }
    }
    transcript.end(driver.engine.knowledge(), &driver.fates, driver.unheld);
    let over = Judged { from: scenario.judged_from, until: of };
    let table = judge(&tracks.into_list(), over, transcript.transitions());
    progress(Progress { into: of, of, line: None });
    Ok(Report { transcript: transcript.text().to_owned(), table })
}

/// What one step of the run brought.
#[derive(Debug)]
pub struct Step {
    pub into: Span,
    pub events: Vec<Event>,
}

/// The next thing to happen, in the world or in the engine; at one time the world goes first, so that a cycle has seen
/// what was measured. None when the world is over.
pub fn step(world: &mut World, driver: &mut Driver) -> Option<Step> {
    let cycle_at = driver.next_cycle();
    match world.next_at() {
        Some(world_at) if world_at <= cycle_at => {
            let moment = world.next_moment()?;
            let mut events = driver.moment(&moment);
            events.observed.append(&mut events.done);
            Some(Step { into: moment.into, events: events.observed })
        }
        _ if cycle_at < world.duration() => Some(Step { into: cycle_at, events: driver.cycle(cycle_at) }),
        _ => None,
    }
}

/// What the judge needs to know of each series of the scenario; the unasked are not judged.
struct Tracks {
    by_name: BTreeMap<SeriesName, Track>,
    order: Vec<SeriesName>,
    newest: BTreeMap<SeriesName, Timestamp>,
}

impl Tracks {
    fn new(world: &World) -> Tracks {
        let truth = world.truth();
        let order = truth.iter().map(|(name, _)| name.clone()).collect();
        let by_name = truth
            .into_iter()
            .map(|(name, incidents)| {
                let track = Track { series: name.as_str().to_owned(), incidents, ..Track::default() };
                (name, track)
            })
            .collect();
        Tracks { by_name, order, newest: BTreeMap::new() }
    }

    fn see(&mut self, driver: &Driver, step: &Step) {
        let knowledge = driver.engine.knowledge();
        for (name, track) in &mut self.by_name {
            // As it was admitted: of a counter the rate.
            let newest = knowledge.find(name).and_then(|series| series.window().newest());
            if let Some((at, value)) = newest.filter(|(at, _)| self.newest.get(name) != Some(at)) {
                self.newest.insert(name.clone(), at);
                track.values.push((at.since(START), value));
            }
        }
        for event in &step.events {
            if let Event::Alerted(alerted) = event
                && alerted.phase == Phase::Onset
                && let Some(track) = self.by_name.get_mut(&alerted.series)
            {
                track.onsets.push(alerted.at.since(START));
            }
        }
    }

    fn into_list(mut self) -> Vec<Track> {
        self.order.iter().filter_map(|name| self.by_name.remove(name)).collect()
    }
}
