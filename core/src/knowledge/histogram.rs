//! Histograms, put together again from buckets that come one by one.
//!
//! A bucket by itself says nothing worth watching: it is a counter of everything up to its limit. What is watched is what
//! the buckets of one histogram say together: how many observations there are per second, and their median and 99th
//! percentile since the scrape before. Each is a series of its own, with window, threshold and verdicts like any other.
//!
//! This memory stands beside the shards, by the histogram's name: its buckets hash to different shards, and nothing may
//! depend on how many there are.

use crate::config::Kind;
use crate::monitor::Fate;
use crate::series::SeriesName;
use crate::stats::histogram::quantile;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A histogram with more limits than this is none: nothing is made of it. How many histograms there can be is bounded by
/// `limits.series_max`, since each of their buckets counts as a series, as do the series made of them.
pub const BUCKETS_MAX: usize = 1000;

/// The quantiles that are watched, with their label as Prometheus' summaries write it.
const QUANTILES: [(f64, &str); 2] = [(0.5, "0.5"), (0.99, "0.99")];

/// Which bucket of which histogram a series is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Part {
    slot: u32,
    limit: f64,
}

/// What one histogram is and holds.
#[derive(Debug)]
pub struct Histogram {
    name: SeriesName,
    outputs: Vec<Output>,
    /// Upper limits, ascending, each with the number of series that write it: `1` and `1.0` are one limit.
    limits: Vec<(f64, u32)>,
    memory: Memory,
}

/// A series that is made of the buckets.
#[derive(Debug)]
struct Output {
    series: SeriesName,
    of: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Everything that was counted, from which the door for counters makes a rate.
    Total,
    Quantile(f64),
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// The last scrape that was whole.
    before: Option<Scrape>,
    /// The one that is coming in.
    coming: Option<Scrape>,
    /// One of a later moment, while that one is held open: a sender's buckets may come in several requests side by side, each in
    /// order by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    later: Option<Scrape>,
    /// The last scrape lacked buckets and was put aside.
    cut_short: bool,
}

/// The buckets of one moment: limit and count, limits ascending.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Scrape {
    at: Timestamp,
    counts: Vec<(f64, f64)>,
}

/// A value that a histogram gave for a series of its own; none: it was seen, and had nothing to say.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Derived {
    pub from: SeriesName,
    pub series: SeriesName,
    pub kind: Kind,
    pub at: Timestamp,
    pub value: Option<f64>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Histograms {
    slots: Vec<Option<Histogram>>,
    free: Vec<u32>,
    by_name: BTreeMap<SeriesName, u32>,
    /// What was given and not taken yet.
    derived: Vec<Derived>,
}

/// Whether a name says that its series is a bucket, be its limit a number or not.
pub(crate) fn is_bucket(name: &SeriesName) -> bool {
    name.metric().ends_with("_bucket") && name.parts().1.iter().any(|(label, _)| label == "le")
}

/// Name of the histogram, `NAME_bucket` with the labels but `le`, and the upper limit. None: no bucket.
pub(crate) fn bucket(name: &SeriesName) -> Option<(SeriesName, f64)> {
    if !name.metric().ends_with("_bucket") {
        return None;
    }
    let (metric, mut labels) = name.parts();
    let at = labels.iter().position(|(label, _)| label == "le")?;
    let (_, limit) = labels.remove(at);
    // No observation lies at or under minus infinity, and none beside a limit that is no number.
    let limit = limit.parse::<f64>().ok().filter(|limit| *limit > f64::NEG_INFINITY)?;
    let name = SeriesName::new(&metric, labels).ok()?;
    // A limit of -0 is one of 0.
    Some((name, limit + 0.0))
}

/// The series that are made of a histogram. One whose name cannot be written (a label `quantile` is there already) is not.
fn outputs(name: &SeriesName) -> Vec<Output> {
    let (metric, labels) = name.parts();
    let stem = metric.strip_suffix("_bucket").unwrap_or(&metric);
    let total = SeriesName::new(&format!("{stem}_count"), labels.clone());
    let mut outputs: Vec<Output> = total.into_iter().map(|series| Output { series, of: What::Total }).collect();
    for (q, text) in QUANTILES {
        let with = labels.iter().cloned().chain([("quantile".to_owned(), text.to_owned())]);
        outputs.extend(SeriesName::new(stem, with).map(|series| Output { series, of: What::Quantile(q) }));
    }
    outputs
}

impl Histogram {
    /// `NAME_bucket` with the labels of its buckets, but `le`.
    pub fn name(&self) -> &SeriesName {
        &self.name
    }

    /// Upper limits of its buckets, ascending.
    pub fn limits(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.limits.iter().map(|(limit, _)| *limit)
    }

    /// The series that are made of it, whether they are there yet or not.
    pub fn makes(&self) -> impl Iterator<Item = &SeriesName> {
        self.outputs.iter().map(|output| &output.series)
    }

    /// Whether it has too many buckets for anything to be made of it.
    pub fn is_too_large(&self) -> bool {
        self.limits.len() > BUCKETS_MAX
    }

    /// One bucket of one moment. What became of it, and the values of a scrape that it made whole.
    fn take(&mut self, limit: f64, at: Timestamp, count: f64, derived: &mut Vec<Derived>) -> Fate {
        if self.is_too_large() {
            self.memory = Memory::default();
            return Fate::Folded;
        }
        if let Some(before) = &mut self.memory.before {
            // A bucket nobody had heard of came after the others of its moment: the next scrape can build on it.
            if before.at == at && self.memory.coming.is_none() {
                return before.insert(limit, count);
            }
            if at <= before.at {
                return Fate::OutOfOrder;
            }
        }
        self.make_way(at, derived);
        let Memory { coming, later, .. } = &mut self.memory;
        let room = self.limits.len();
        let begun = || Scrape { at, counts: Vec::with_capacity(room) };
        let scrape = match (coming, later) {
            (coming @ None, _) => coming.insert(begun()),
            (Some(coming), _) if coming.at == at => coming,
            (Some(_), Some(later)) if later.at == at => later,
            (Some(coming), later @ None) if coming.at < at => later.insert(begun()),
            // Its moment was over before it began.
            (Some(coming), later @ None) => {
                *later = Some(std::mem::replace(coming, begun()));
                coming
            }
            // Between two moments that are open, or before both: there is no third.
            (Some(_), Some(_)) => return Fate::OutOfOrder,
        };
        let fate = scrape.insert(limit, count);
        self.close_whole(derived);
        fate
    }

    /// Ends scrapes that are coming in where a sample of moment `at` says that no more of them will come.
    fn make_way(&mut self, at: Timestamp, derived: &mut Vec<Derived>) {
        while let Memory { before, coming: Some(coming), later, .. } = &self.memory
            && at > coming.at
        {
            let over = match later {
                // Two moments are held open at most.
                Some(later) => at > later.at,
                // It has what the one before had: buckets that the sender gave up stay known until they are forgotten, and are
                // not waited for.
                None => before.as_ref().is_some_and(|before| before.limits().eq(coming.limits())),
            };
            if !over {
                return;
            }
            self.close(derived);
        }
    }

    /// Every bucket that is known has come: waiting for the next moment would only delay the judgement by a scrape. Senders keep
    /// the order of each bucket, so that nothing more comes of a moment before one that is whole, either.
    fn close_whole(&mut self, derived: &mut Vec<Derived>) {
        let known = self.limits.len();
        let whole = |scrape: &Option<Scrape>| scrape.as_ref().is_some_and(|scrape| scrape.counts.len() == known);
        if whole(&self.memory.later) {
            self.close(derived);
        }
        while whole(&self.memory.coming) {
            self.close(derived);
        }
    }

    /// The scrape that is coming in is as whole as it gets; the later one comes in now.
    fn close(&mut self, derived: &mut Vec<Derived>) {
        let memory = &mut self.memory;
        let Some(scrape) = memory.coming.take() else { return };
        memory.coming = memory.later.take();
        let Some(before) = &memory.before else {
            memory.before = Some(scrape);
            return;
        };
        let same = before.limits().eq(scrape.limits());
        // One bucket that was no number, or lost on the way, must not cost two scrapes: the next one is compared with the
        // one before. Twice in a row, it is how the histogram looks now.
        if !same && !memory.cut_short && scrape.limits().all(|limit| before.find(limit).is_ok()) {
            memory.cut_short = true;
            return;
        }
        // Other limits begin anew; a count that fell says that the sender began anew.
        let grown = if same { scrape.since(before) } else { None };
        let total = scrape.counts.last().filter(|(limit, _)| *limit == f64::INFINITY).map(|(_, count)| *count);
        derived.extend(self.outputs.iter().map(|output| Derived {
            from: self.name.clone(),
            series: output.series.clone(),
            kind: if matches!(output.of, What::Total) { Kind::Counter } else { Kind::Gauge },
            at: scrape.at,
            value: match output.of {
                What::Total => total,
                What::Quantile(q) => grown.as_ref().and_then(|counts| quantile(counts, q)),
            },
        }));
        memory.cut_short = false;
        memory.before = Some(scrape);
    }
}

impl Scrape {
    fn limits(&self) -> impl Iterator<Item = f64> + '_ {
        self.counts.iter().map(|(limit, _)| *limit)
    }

    fn find(&self, limit: f64) -> Result<usize, usize> {
        self.counts.binary_search_by(|(held, _)| held.total_cmp(&limit))
    }

    fn insert(&mut self, limit: f64, count: f64) -> Fate {
        match self.find(limit) {
            Ok(at) if self.counts[at].1 == count => Fate::Duplicate,
            Ok(_) => Fate::Conflict,
            Err(at) => {
                self.counts.insert(at, (limit, count));
                Fate::Folded
            }
        }
    }

    /// By how much each count grew since `before`, which has the same limits; none after a reset.
    fn since(&self, before: &Scrape) -> Option<Vec<(f64, f64)>> {
        let grown = |((limit, now), (_, then)): (&(f64, f64), &(f64, f64))| (now >= then).then(|| (*limit, now - then));
        self.counts.iter().zip(&before.counts).map(grown).collect()
    }
}

impl Histograms {
    /// A series came that is a bucket, or may be.
    pub fn register(&mut self, name: &SeriesName) -> Option<Part> {
        let (name, limit) = bucket(name)?;
        let slot = match self.by_name.get(&name) {
            Some(slot) => *slot,
            None => {
                let outputs = outputs(&name);
                let histogram =
                    Histogram { name: name.clone(), outputs, limits: Vec::new(), memory: Memory::default() };
                let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
                match self.slots.get_mut(slot as usize) {
                    Some(place) => *place = Some(histogram),
                    None => self.slots.push(Some(histogram)),
                }
                self.by_name.insert(name, slot);
                slot
            }
        };
        let limits = &mut self.slots[slot as usize].as_mut()?.limits;
        match limits.binary_search_by(|(held, _)| held.total_cmp(&limit)) {
            Ok(at) => limits[at].1 += 1,
            Err(at) => limits.insert(at, (limit, 1)),
        }
        Some(Part { slot, limit })
    }

    /// A bucket's series is held no longer; with the last one its histogram goes.
    pub fn unregister(&mut self, part: Part) {
        let Some(place) = self.slots.get_mut(part.slot as usize) else { return };
        let Some(histogram) = place else { return };
        let Ok(at) = histogram.limits.binary_search_by(|(held, _)| held.total_cmp(&part.limit)) else { return };
        histogram.limits[at].1 -= 1;
        if histogram.limits[at].1 > 0 {
            return;
        }
        histogram.limits.remove(at);
        let Memory { before, coming, later, .. } = &mut histogram.memory;
        for scrape in [before, coming, later].into_iter().flatten() {
            if let Ok(at) = scrape.find(part.limit) {
                scrape.counts.remove(at);
            }
        }
        if histogram.limits.is_empty() {
            self.by_name.remove(&histogram.name);
            *place = None;
            self.free.push(part.slot);
        }
    }

    /// One sample of a bucket, finite. What it made whole waits in [`Histograms::given`].
    pub fn take(&mut self, part: Part, at: Timestamp, count: f64) -> Fate {
        match self.slots.get_mut(part.slot as usize) {
            Some(Some(histogram)) => histogram.take(part.limit, at, count, &mut self.derived),
            _ => Fate::Folded,
        }
    }

    /// What histograms gave since this was asked last, in the order in which they did.
    pub fn given(&mut self) -> Vec<Derived> {
        std::mem::take(&mut self.derived)
    }

    pub fn get(&self, part: Part) -> Option<&Histogram> {
        self.slots.get(part.slot as usize)?.as_ref()
    }

    pub fn find(&self, name: &SeriesName) -> Option<&Histogram> {
        self.slots.get(*self.by_name.get(name)? as usize)?.as_ref()
    }

    /// What has to survive, by name.
    pub fn memory(&self) -> impl Serialize {
        let memory = |slot: &u32| self.slots[*slot as usize].as_ref().map(|histogram| &histogram.memory);
        let all = self.by_name.iter().filter_map(|(name, slot)| Some((name, memory(slot)?)));
        all.filter(|(_, memory)| **memory != Memory::default()).collect::<Vec<_>>()
    }

    /// Brings back what survived, once all series are there.
    pub fn remember(&mut self, survived: Survived) {
        for (name, memory) in survived.0 {
            let slot = self.by_name.get(&name).and_then(|slot| self.slots.get_mut(*slot as usize));
            if let Some(Some(histogram)) = slot {
                histogram.memory = memory;
            }
        }
    }
}

/// The memory of all histograms, as a snapshot keeps it.
#[derive(Deserialize)]
pub(crate) struct Survived(Vec<(SeriesName, Memory)>);
