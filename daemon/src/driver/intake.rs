//! What sources read, taken in: judged as it comes, or learned from as history.
//!
//! This host and files are read by the driver itself, which costs next to nothing. A source that waits for others has a thread of
//! its own and hands over what it read; it waits until that was taken in, so that no more is held than one hand full.

use super::{Driver, Handle, Input, ROWS_AT_ONCE, Refused};
use crate::receive::labels::shown;
use homeostat::config::Kind;
use homeostat::knowledge::{NoRoom, SeriesId};
use homeostat::monitor::{Fate, Sample};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

/// One sample as a source tells it: what it belongs to, what that is said to measure, when, and how much.
pub type Reading = (SeriesName, Option<Kind>, Timestamp, f64);

/// What a series has been so far: what it is said to measure, and its samples.
pub type Past = (SeriesName, Option<Kind>, Vec<(Timestamp, f64)>);

/// What a source hands over.
#[derive(Clone, PartialEq, Debug)]
pub enum Fed {
    /// Older than now: learned from, never judged. Of each series in order of time; all buckets of one moment of a histogram
    /// together.
    History(Vec<Past>),
    /// In order of time, to be judged.
    Live(Vec<Reading>),
}

/// The same with how far the source has come by it: written down together, so that a restart goes on behind it.
#[derive(Debug)]
pub struct Feed {
    pub fed: Fed,
    /// Which part of the source, and the time up to which all is handed over.
    pub place: Option<(String, Timestamp)>,
    /// Told when it was taken in.
    done: SyncSender<()>,
}

impl Handle {
    /// Hands over what a source read, and waits until it was taken in.
    pub fn feed(&self, fed: Fed, place: Option<(String, Timestamp)>) -> Result<(), Refused> {
        let (done, taken) = sync_channel(1);
        let feed = Feed { fed, place, done };
        self.inbox.send(Input::Feed(Box::new(feed))).map_err(|_| Refused::Gone)?;
        taken.recv().map_err(|_| Refused::Gone)
    }
}

impl Driver {
    /// Takes in what a source handed over.
    pub(super) fn feed(&mut self, feed: Feed, now: Timestamp) {
        match feed.fed {
            Fed::History(series) => self.learn_from(series, now),
            // What has a place is asked for again from there; what has none is gone when it is not written down.
            Fed::Live(readings) => self.observe(readings.into_iter(), feed.place.is_none(), now),
        }
        if let Some((part, up_to)) = feed.place {
            self.reached.insert(part, up_to);
        }
        // Whoever handed it over may be gone.
        let _ = feed.done.send(());
    }

    /// Takes in what a source read; `once`: it cannot be read again, and is written down first. Series that are new are made;
    /// those that find no room are told, and counted by the engine.
    pub(super) fn observe(
        &mut self,
        readings: impl Iterator<Item = (SeriesName, Option<Kind>, Timestamp, f64)>,
        once: bool,
        now: Timestamp,
    ) {
        let mut samples = Vec::new();
        for (name, kind, at, value) in readings {
            let known = self.ids.get(&name).copied().filter(|id| self.engine.knowledge().get(*id).is_some());
            let id = match known {
                Some(id) => id,
                None => match self.engine.intern(&name, kind, now) {
                    Ok(id) => {
                        self.remember_id(name, id);
                        id
                    }
                    Err(full) => {
                        self.leave_out(&name, full, now);
                        continue;
                    }
                },
            };
            samples.push(Sample { series: id, at, value });
        }
        if once {
            // A failure is told there. Judging goes on.
            let _ = self.write_down(&samples, now);
        }
        self.observe_samples(&samples, now);
    }

    /// Judges samples and remembers them. Answers with those that were turned away, by their place, in their order.
    pub(super) fn observe_samples(&mut self, samples: &[Sample], now: Timestamp) -> Vec<(usize, Fate)> {
        let begun = Instant::now();
        let observed = self.engine.observe(samples, now);
        self.stats.observe_seconds_total += begun.elapsed().as_secs_f64();
        self.commit(observed.events);
        observed.turned_away
    }

    /// Writes samples down before they are judged: a kill loses nothing of them when this returns.
    pub(super) fn write_down(&mut self, samples: &[Sample], now: Timestamp) -> Result<(), Refused> {
        self.storable()?;
        let seq = self.store.last_seq() + self.backlog.len() as u64;
        let knowledge = self.engine.knowledge();
        let name = |sample: &Sample| {
            let series = knowledge.get(sample.series)?;
            Some((series.name().clone(), series.declared()))
        };
        let written = self.samples.append(samples, seq, now, name);
        written.map_err(|error| Refused::NotStored(self.failed(&error)))
    }

    /// Without an interval of its own the pace is the loop's, as it is in force now: a state that is entered in between counts.
    pub(super) fn next_host(&self, now: Timestamp) -> Timestamp {
        let Some(read_at) = self.host_read_at else { return now };
        let host = &self.settings.daemon.host;
        let interval = host.interval.unwrap_or(self.engine.knowledge().parameters().monitoring_interval);
        read_at + if self.host_young { host.warmup_interval.min(interval) } else { interval }
    }

    pub(super) fn read_host(&mut self, now: Timestamp) {
        let reading = self.host.read();
        self.stats.usage = reading.usage;
        let names: Vec<SeriesName> = reading.readings.iter().map(|reading| reading.series.clone()).collect();
        let readings = reading.readings.into_iter().map(|r| (r.series, Some(r.kind), now, r.value));
        self.observe(readings, true, now);
        // Every second until all of them have been learned once, so that a person sees bounds soon; then at leisure. A short
        // file beside them is none of the host's business.
        let wanted = self.settings.engine.learning.min_data_points as u64;
        let mut held = names.iter().filter_map(|name| self.engine.knowledge().find(name));
        self.host_young = held.any(|series| series.admitted() < wanted && series.fates().total() < 2 * wanted);
        self.host_read_at = Some(now);
    }

    pub(super) fn read_files(&mut self, now: Timestamp) {
        let mut files = std::mem::take(&mut self.files);
        for file in &mut files {
            let batch = file.read(now, ROWS_AT_ONCE);
            self.stats.rows += batch.rows.len() as u64 + batch.errors.len() as u64;
            self.stats.rows_bad += batch.errors.len() as u64;
            for error in &batch.errors {
                file.tell(error);
            }
            if let Some(error) = &batch.failed {
                tracing::error!("{error}");
            }
            if file.at_once() {
                self.backfill(&batch.rows, now);
            } else if !batch.rows.is_empty() {
                let rows = batch.rows.into_iter().map(|(name, at, value)| (name, None, at, value));
                self.observe(rows, false, now);
            }
        }
        self.files = files;
    }

    fn backfill(&mut self, rows: &[(SeriesName, Timestamp, f64)], now: Timestamp) {
        let mut by_series: BTreeMap<&SeriesName, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for (name, at, value) in rows {
            by_series.entry(name).or_default().push((*at, *value));
        }
        self.learn_from(by_series.into_iter().map(|(name, history)| (name.clone(), None, history)), now);
    }

    fn learn_from(&mut self, histories: impl IntoIterator<Item = Past>, now: Timestamp) {
        // All are known first: what is made of a histogram leaves out what the source holds itself.
        let mut interned = Vec::new();
        for (name, kind, history) in histories {
            match self.engine.intern(&name, kind, now) {
                Ok(id) => interned.push((id, history)),
                Err(full) => self.leave_out(&name, full, now),
            }
        }
        let mut buckets = Vec::new();
        for (series, history) in interned {
            let held = self.engine.knowledge().get(series);
            if held.is_some_and(|series| series.kind() == Kind::Histogram) {
                buckets.extend(history.into_iter().map(|(at, value)| Sample { series, at, value }));
                continue;
            }
            let observed = self.engine.backfill(series, &history, now);
            self.commit(observed.events);
        }
        buckets.sort_by_key(|sample| sample.at);
        let observed = self.engine.backfill_buckets(&buckets, now);
        self.commit(observed.events);
    }

    /// Tells of a series that finds no room: with one there are many, so one of them says it for all.
    fn leave_out(&mut self, name: &SeriesName, full: NoRoom, now: Timestamp) {
        if let Some(before) = self.left_out.tell((), now) {
            tracing::warn!(before, "{} and others like it are not taken: {full}", shown(name.as_str()));
        }
    }

    /// Remembers the id of a series; those that the engine has forgotten are let go of when they are many.
    fn remember_id(&mut self, name: SeriesName, id: SeriesId) {
        if self.ids.len() > 2 * self.settings.engine.limits.series_max {
            let knowledge = self.engine.knowledge();
            self.ids.retain(|_, id| knowledge.get(*id).is_some());
        }
        self.ids.put(name, id);
    }
}
