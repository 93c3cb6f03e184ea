//! Memory brought back at a start: the last snapshot, then the events and samples after it.
//!
//! A file that the disk has damaged is set aside, a part of a snapshot too, and what is known otherwise stands in for it.

use crate::config::Config;
use crate::driver;
use crate::source::feed::Place;
use crate::store::samples::{self, Entry, SampleLog};
use crate::store::{self, Begun, Ended, Journal, Snapshot, Store, StoreError};
use homeostat::analyze::strategy::Methods;
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::knowledge::SeriesId;
use homeostat::knowledge::snapshot::{GENERAL, SnapshotError, holds_series};
use homeostat::monitor::Sample;
use homeostat::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Nothing that can be seen depends on the number of shards; samples are judged on as many threads at most.
const SHARDS: usize = 8;

/// What an earlier life left.
pub struct Memory {
    pub engine: Engine,
    /// Where samples are written down from now on.
    pub samples: SampleLog,
    /// What was decided last and is not stored.
    pub untold: Vec<(Timestamp, Event)>,
    /// How far files were read.
    pub places: Vec<Place>,
    /// How far queries were asked, by what each is known by.
    pub reached: BTreeMap<String, Timestamp>,
    /// How the life before ended, and what was brought back.
    pub begun: Begun,
}

/// What a snapshot held.
struct Taken {
    engine: Engine,
    places: Vec<Place>,
    reached: BTreeMap<String, Timestamp>,
    /// The first segment of samples that it does not hold.
    from: u64,
    /// Parts that could not be used, each in a sentence.
    lost: Vec<String>,
}

/// The store, and memory as it knows it. A file that the disk has damaged is set aside, and what can be read of it taken over.
pub fn remember(config: &Config, data: &Path, now: Timestamp) -> Result<(Store, Memory), String> {
    let recall = || -> Result<(Store, Memory), StoreError> {
        let store = Store::open(data)?;
        let memory = bring_back(config, &store, data, now)?;
        Ok((store, memory))
    };
    let mut salvage = None;
    let recalled = match recall() {
        // What is no store for want of its first page alone is found out there, and anything else refused and left as it is.
        Err(StoreError::Damaged { path, reason } | StoreError::NotAStore { path, reason }) => {
            let salvaged = store::salvage(data).map_err(|error| error.to_string())?;
            let told = format!(
                "{} is damaged ({reason}); it was set aside as {}. Taken over: {} events. {}",
                path.display(),
                salvaged.aside.display(),
                salvaged.events,
                salvaged.lost()
            );
            tracing::error!(
                "{told}. Nothing has to be done; to have all back, stop homeostat and bring back a copy. Check the disk"
            );
            salvage = Some(told);
            recall()
        }
        recalled => recalled,
    };
    let (mut store, mut memory) = recalled.map_err(|error| error.to_string())?;
    if salvage.is_some() && matches!(memory.begun.ended, Ended::Never | Ended::NotTold) {
        memory.begun.ended = Ended::NotKnown;
    }
    memory.begun.found.splice(0..0, salvage);
    let Begun { ended, found, .. } = &memory.begun;
    match ended {
        Ended::Never | Ended::Stopped => {}
        _ => tracing::info!("the life before: {ended}; {} was found damaged or torn off", found_of(found)),
    }
    // Where that cannot be written it is told as the first thing that cannot be stored.
    if let Err(error) = store.begins() {
        tracing::warn!("the store does not say that it is in use: {error}");
    }
    Ok((store, memory))
}

fn found_of(found: &[String]) -> String {
    if found.is_empty() { "nothing".to_owned() } else { format!("this: {}", found.join("; ")) }
}

/// Memory as the store knows it: the last snapshot, and what came after it, events and samples in the order they came in.
fn bring_back(config: &Config, store: &Store, data: &Path, now: Timestamp) -> Result<Memory, StoreError> {
    let Taken { mut engine, places, reached, from, lost: mut found } = match store.read_snapshot()? {
        None => {
            let engine = fresh(config, SHARDS, now);
            Taken { engine, places: Vec::new(), reached: BTreeMap::new(), from: 0, lost: Vec::new() }
        }
        Some(snapshot) => from_snapshot(config, store, snapshot, now)?,
    };
    let mut replay = Replay::new(&mut engine, store, now);
    let mut failed = None;
    let recalled = samples::recall(data, from, |entry| {
        if failed.is_none() {
            failed = replay.entry(&entry).err();
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let (events, untold) = replay.finish()?;
    if events > 0 || recalled.samples > 0 {
        tracing::info!(events, samples = recalled.samples, "memory brought back from journal and samples");
    }
    for (path, at, bytes) in &recalled.lost {
        tracing::warn!(
            "{}: {bytes} bytes from byte {at} on are no whole record and were left out. After a kill or a loss of power that is \
             a record nobody was told of; else check the disk",
            path.display()
        );
        found.push(format!("{bytes} bytes of {} that are no whole record", path.display()));
    }
    let samples = SampleLog::open(data, from, config.daemon.store.sync_interval)?;
    let begun = Begun { ended: store.ended(), events, samples: recalled.samples, found };
    Ok(Memory { engine, samples, untold, places, reached, begun })
}

/// Brings memory up to date. Samples are judged again as they were; what that decides stands in the journal already, all but the
/// last of it, which a kill kept from being stored.
struct Replay<'a> {
    engine: &'a mut Engine,
    journal: Journal<'a>,
    events: u64,
    /// Decided now, and not stored.
    untold: Vec<(Timestamp, Event)>,
    /// Decided with the last samples, and not met in the journal yet: it may tell of them in another order.
    ahead: Vec<Event>,
    segment: u64,
    ids: HashMap<u64, SeriesId>,
    read: Vec<Sample>,
}

impl<'a> Replay<'a> {
    fn new(engine: &'a mut Engine, store: &'a Store, now: Timestamp) -> Replay<'a> {
        // What bringing back a snapshot decided is none of what the samples will.
        let untold = engine.observe(&[], now).events.into_iter().map(|event| (now, event)).collect();
        let (ahead, ids, read) = (Vec::new(), HashMap::new(), Vec::new());
        Replay { engine, journal: store.journal(), events: 0, untold, ahead, segment: 0, ids, read }
    }

    /// Samples, after the events that were decided before them.
    fn entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        while self.journal.peek()?.is_some_and(|next| next.seq <= entry.seq) {
            self.event()?;
        }
        // Another version decided otherwise: what was told then stands.
        self.ahead.clear();
        if self.segment != entry.segment {
            self.segment = entry.segment;
            self.ids.clear();
        }
        for named in &entry.named {
            // One that finds no room now had some then: its samples are left out.
            match self.engine.intern(&named.series, named.declared, entry.now) {
                Ok(id) => _ = self.ids.insert(named.id, id),
                Err(_) => _ = self.ids.remove(&named.id),
            }
        }
        self.read.clear();
        for &(id, at, value) in &entry.samples {
            self.read.extend(self.ids.get(&id).map(|&series| Sample { series, at, value }));
        }
        for decided in self.engine.observe(&self.read, entry.now).events {
            match self.journal.peek()? {
                Some(next) if is_same(&decided, &next.event) => {
                    self.journal.next()?;
                    self.events += 1;
                }
                Some(_) => self.ahead.push(decided),
                None => self.untold.push((entry.now, decided)),
            }
        }
        Ok(())
    }

    fn event(&mut self) -> Result<bool, StoreError> {
        let Some(stored) = self.journal.next()? else { return Ok(false) };
        // What memory knows already, since the samples decided it once more, is not taken in twice.
        match self.ahead.iter().position(|decided| is_same(decided, &stored.event)) {
            Some(known) => _ = self.ahead.remove(known),
            None => self.engine.replay(&stored.event, stored.at),
        }
        self.events += 1;
        Ok(true)
    }

    /// The events after the last samples. How many there were in all, and what is to be stored now.
    fn finish(mut self) -> Result<(u64, Vec<(Timestamp, Event)>), StoreError> {
        while self.event()? {}
        Ok((self.events, self.untold))
    }
}

/// Whether an event is the one in the journal. What a source said of a series may since be overruled by the configuration.
fn is_same(decided: &Event, stored: &Event) -> bool {
    match (decided, stored) {
        (Event::SeriesAdded { series: decided, .. }, Event::SeriesAdded { series: stored, .. }) => decided == stored,
        _ => decided == stored,
    }
}

fn fresh(config: &Config, shards: usize, now: Timestamp) -> Engine {
    let mut engine = Engine::with_methods(config.engine.clone(), Methods::built_in(), shards, now);
    engine.use_threads(threads());
    engine
}

/// As many as there are cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory as a snapshot knows it. A part that cannot be used is set aside, and what the journal knows stands in for it.
fn from_snapshot(config: &Config, store: &Store, mut snapshot: Snapshot, now: Timestamp) -> Result<Taken, StoreError> {
    let mut lost = Vec::new();
    // What the engine does not read.
    for part in [driver::FILES, driver::QUERIES, driver::SAMPLES] {
        if snapshot.is_damaged(part)? {
            lost.push(part.to_owned());
        }
    }
    let mut stand_in: Option<Vec<(String, Vec<u8>)>> = None;
    let mut shards_stand_in = false;
    let mut replaced = 0;
    let engine = loop {
        for part in &lost[replaced..] {
            let spare = match &stand_in {
                Some(spare) => spare,
                None => {
                    let mut engine = fresh(config, SHARDS, now);
                    store.replay_before(|stored| engine.replay(&stored.event, stored.at))?;
                    stand_in.insert(engine.snapshot())
                }
            };
            let body = snapshot.leave_out(part)?;
            // Which series a part of these held nobody knows: all of them stand behind those that are there.
            match holds_series(part) {
                true if shards_stand_in => {}
                true => {
                    shards_stand_in = true;
                    for (name, body) in spare.iter().filter(|(name, _)| holds_series(name)) {
                        snapshot.put(format!("{name}/journal"), body.clone());
                    }
                }
                false => {
                    let spare = spare.iter().find(|(name, _)| name == part);
                    spare.into_iter().for_each(|(name, body)| snapshot.put(name.clone(), body.clone()));
                }
            }
            let aside = (!body.is_empty()).then(|| store.set_aside(part, &body)).transpose()?;
            tell_lost(store, part, aside.as_deref());
        }
        replaced = lost.len();
        let error = match Engine::restore_from(config.engine.clone(), Methods::built_in(), SHARDS, &snapshot, now) {
            Ok(mut engine) => {
                engine.use_threads(threads());
                break engine;
            }
            Err(error) => error,
        };
        if let Some(error) = snapshot.failure() {
            return Err(error);
        }
        // One that is not what was written may not be the only one.
        let mut found = match &error {
            SnapshotError::Damaged { part, .. } => BTreeSet::from([part.clone()]),
            SnapshotError::Incomplete => BTreeSet::from([GENERAL.to_owned()]),
            SnapshotError::Newer { .. } => {
                return Err(StoreError::Snapshot { path: store.path().to_owned(), source: error });
            }
        };
        found.extend(snapshot.damaged()?);
        found.retain(|part| !lost.contains(part));
        if found.is_empty() {
            return Err(StoreError::Snapshot { path: store.path().to_owned(), source: error });
        }
        lost.extend(found);
    };
    // What a lost part had of the files and of history is not in memory: they are read again.
    fn held<T: Default + serde::de::DeserializeOwned>(snapshot: &Snapshot, part: &str) -> T {
        snapshot.part(part).and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }
    let from = held(&snapshot, driver::SAMPLES);
    let (places, reached) = match lost.is_empty() {
        true => (held(&snapshot, driver::FILES), held(&snapshot, driver::QUERIES)),
        false => (Vec::new(), BTreeMap::new()),
    };
    let lost = lost.iter().map(|part| format!("part {part} of the snapshot")).collect();
    Ok(Taken { engine, places, reached, from, lost })
}

fn tell_lost(store: &Store, part: &str, aside: Option<&Path>) {
    let lost = match part {
        GENERAL => "counts and histories from before the journal begins; state, loops and parameters are as it tells",
        driver::FILES => "how far files were read; they are read again from their start",
        driver::SAMPLES => {
            "which samples it holds; those that are written down are taken in once more, and known again"
        }
        driver::QUERIES => "how far queries were asked; their history is asked again",
        part if holds_series(part) => {
            "samples of the series in it; thresholds and sensitivities are as the journal tells, files are read and history is \
             asked again, and the rest is learned from what comes"
        }
        _ => "what the buckets of histograms held; they begin anew with what comes",
    };
    let aside = match aside {
        Some(path) => format!("is damaged; it was set aside as {}", path.display()),
        None => "is missing".to_owned(),
    };
    let store = store.path().display();
    tracing::error!(
        "part {part} of the snapshot in {store} {aside}. Lost: {lost}. Nothing has to be done; to have it back, stop \
         homeostat and bring back a copy of {store}. Check the disk"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat::series::SeriesName;
    use homeostat::time::Span;

    /// A life as the driver leads it: samples are written down, then judged; what is decided is stored when `store` says so.
    struct Life {
        engine: Engine,
        store: Store,
        samples: SampleLog,
        backlog: Vec<(Timestamp, Event)>,
    }

    impl Life {
        fn take(&mut self, rows: &[(&SeriesName, f64)], now: Timestamp) {
            let mut read = Vec::new();
            for (name, value) in rows {
                let series = self.engine.intern(name, None, now).expect("room");
                read.push(Sample { series, at: now, value: *value });
            }
            let seq = self.store.last_seq() + self.backlog.len() as u64;
            let knowledge = self.engine.knowledge();
            let name = |sample: &Sample| {
                let series = knowledge.get(sample.series)?;
                Some((series.name().clone(), series.declared()))
            };
            self.samples.append(&read, seq, now, name).expect("room");
            let events = self.engine.observe(&read, now).events;
            self.backlog.extend(events.into_iter().map(|event| (now, event)));
        }

        fn cycle(&mut self, now: Timestamp) {
            let events = self.engine.cycle(now).events;
            self.backlog.extend(events.into_iter().map(|event| (now, event)));
        }

        fn store(&mut self) {
            self.store.append(&self.backlog).expect("room");
            self.backlog.clear();
        }
    }

    fn draw(seed: &mut u64) -> f64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Killed at any moment, memory is brought back to the last bit, and what was decided and not stored is decided once more.
    #[test]
    fn a_life_that_was_killed_is_brought_back_to_the_last_bit() {
        for seed in 1..=6 {
            let mut state = seed;
            let dir = tempfile::tempdir().expect("a folder");
            let config = Config::default();
            let begin = Timestamp::from_secs(1_700_000_000);
            let store = Store::open(dir.path()).expect("a store");
            let samples = SampleLog::open(dir.path(), 1, Span::from_millis(200)).expect("a log");
            let engine = fresh(&config, SHARDS, begin);
            let mut life = Life { engine, store, samples, backlog: Vec::new() };
            let names: Vec<SeriesName> =
                (0..12).map(|n| SeriesName::parse(&format!("load{{n=\"{n}\"}}")).expect("a name")).collect();
            let end = 500 + (draw(&mut state) * 400.0) as i64;
            let snapshot_at = (draw(&mut state) * 450.0) as i64;
            let mut alerts = 0;
            for turn in 0..end {
                let now = begin + Span::from_secs(10) * turn as u64;
                let held = 1 + (turn as usize / 30).min(names.len() - 1);
                let trouble = if turn % 97 > 90 { 40.0 } else { 0.0 };
                let rows: Vec<(&SeriesName, f64)> = names[..held]
                    .iter()
                    .enumerate()
                    .map(|(n, name)| (name, 10.0 + draw(&mut state) + if n % 3 == 0 { trouble } else { 0.0 }))
                    .collect();
                life.take(&rows, now);
                alerts += life.backlog.iter().filter(|(_, event)| matches!(event, Event::Alerted(_))).count();
                // What was decided last is not stored when the kill comes.
                if turn + 1 < end {
                    life.store();
                }
                if turn % 3 == 0 && turn + 1 < end {
                    life.cycle(now);
                    life.store();
                }
                if turn == snapshot_at {
                    let mut parts = life.engine.snapshot();
                    let segment = life.samples.cut().expect("room");
                    parts.push((driver::SAMPLES.to_owned(), segment.to_string().into_bytes()));
                    life.store.write_snapshot(&parts).expect("room");
                    life.samples.forget_before(segment).expect("writable");
                }
            }
            assert!(alerts > 3, "seed {seed}: {alerts} alerts");
            let Life { engine: before, store, samples, backlog } = life;
            drop((store, samples));
            let now = begin + Span::from_secs(10) * end as u64;
            let (_, memory) = remember(&config, dir.path(), now).expect("brought back");
            assert_eq!(memory.untold, backlog, "seed {seed}");
            for ((name, before), (other, after)) in before.snapshot().iter().zip(&memory.engine.snapshot()) {
                assert_eq!(name, other);
                assert!(before == after, "seed {seed}: part {name} is another");
            }
        }
    }
}
