//! The left sides of the rules, worked out from the raw series without a Prometheus.
//!
//! What is here is what 25 rules need, evaluated as Prometheus 2.42 does: a selector looks back five minutes, a rate is
//! extrapolated to the ends of its window as `extrapolatedRate` does it, a quantile is laid into its bucket. An evaluation
//! stands at each full minute.

use super::fleet::Raw;
use homeostat::replay::{Labels, METRIC_NAME, Range, Track};
use homeostat::stats::histogram;
use homeostat::time::Timestamp;
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;
/// How old a sample may be for an instant selector.
const LOOKBACK: i64 = 5 * MINUTE;

/// What was scraped, ready to be asked.
pub struct History<'a> {
    raws: &'a [Raw],
    start: Timestamp,
    steps: usize,
}

impl<'a> History<'a> {
    /// Evaluations from one minute after `start` on, as many as there are scrapes.
    pub fn new(raws: &'a [Raw], start: Timestamp) -> History<'a> {
        History { raws, start, steps: raws.first().map_or(0, |raw| raw.values.len()) }
    }

    pub fn range(&self, tracks: Vec<Track>) -> Range {
        Range { start: Timestamp::from_millis(self.start.millis() + MINUTE), step: MINUTE, steps: self.steps, tracks }
    }

    fn select<'s>(&'s self, name: &'s str, matching: &'s [(&'s str, &'s str)]) -> impl Iterator<Item = &'a Raw> + 's {
        let fits = move |raw: &&Raw| {
            raw.labels.get(METRIC_NAME) == name && matching.iter().all(|(label, value)| raw.labels.get(label) == *value)
        };
        self.raws.iter().filter(fits)
    }

    /// `name{…}`
    pub fn instant(&self, name: &str, matching: &[(&str, &str)]) -> Vec<Track> {
        let value = |raw: &Raw, step: usize| {
            // The sample of minute `m` is `step - m` whole minutes old, and what is left of its own.
            let young = |back: &usize| (*back as i64 + 1) * MINUTE - raw.offset <= LOOKBACK;
            (0..=step.min(4)).take_while(young).find_map(|back| raw.values[step - back])
        };
        let track = |raw: &Raw| Track {
            labels: raw.labels.clone(),
            values: (0..self.steps).map(|step| value(raw, step)).collect(),
        };
        self.select(name, matching).map(track).collect()
    }

    /// `increase(name{…}[minutes m])`
    pub fn increase(&self, name: &str, matching: &[(&str, &str)], minutes: usize) -> Vec<Track> {
        let track = |raw: &Raw| Track {
            labels: raw.labels.nameless(),
            values: (0..self.steps).map(|step| increase(raw, step, minutes)).collect(),
        };
        self.select(name, matching).map(track).collect()
    }

    /// `rate(name{…}[minutes m])`, in units a second.
    pub fn rate(&self, name: &str, matching: &[(&str, &str)], minutes: usize) -> Vec<Track> {
        scaled(self.increase(name, matching, minutes), 1.0 / (minutes as f64 * 60.0))
    }

    /// `absent(name{…})`; `labels` are those of the matchers.
    pub fn absent(&self, name: &str, matching: &[(&str, &str)]) -> Vec<Track> {
        let present = self.instant(name, matching);
        let value = |step: usize| present.iter().all(|track| track.values[step].is_none()).then_some(1.0);
        let labels = Labels::new(matching.iter().copied());
        vec![Track { labels, values: (0..self.steps).map(value).collect() }]
    }
}

fn increase(raw: &Raw, step: usize, minutes: usize) -> Option<f64> {
    let (end, window) = ((step as i64 + 1) * MINUTE, minutes as i64 * MINUTE);
    let from = (step + 1).saturating_sub(minutes);
    let at = |minute: usize| minute as i64 * MINUTE + raw.offset;
    let samples = || (from..=step).filter_map(|minute| raw.values[minute].map(|value| (at(minute), value)));
    let (first, count) = (samples().next()?, samples().count());
    if count < 2 {
        return None;
    }
    let (mut grown, mut last) = (0.0, first);
    for sample in samples().skip(1) {
        grown += if sample.1 < last.1 { sample.1 } else { sample.1 - last.1 };
        last = sample;
    }
    let sampled = (last.0 - first.0) as f64;
    let apart = sampled / (count - 1) as f64;
    let near = apart * 1.1;
    let (mut to_start, to_end) = ((first.0 - (end - window)) as f64, (end - last.0) as f64);
    if grown > 0.0 && first.1 >= 0.0 {
        // A counter is not extrapolated to below 0.
        to_start = to_start.min(sampled * (first.1 / grown));
    }
    let reach = |to: f64| if to < near { to } else { apart / 2.0 };
    Some(grown * (sampled + reach(to_start) + reach(to_end)) / sampled)
}

pub fn scaled(mut tracks: Vec<Track>, by: f64) -> Vec<Track> {
    for value in tracks.iter_mut().flat_map(|track| &mut track.values).flatten() {
        *value *= by;
    }
    tracks.iter_mut().for_each(|track| track.labels = track.labels.nameless());
    tracks
}

/// `sum by (…) (…)`
pub fn sum_by(by: &[&str], tracks: &[Track]) -> Vec<Track> {
    let mut groups: BTreeMap<Labels, Vec<&Track>> = BTreeMap::new();
    for track in tracks {
        groups.entry(track.labels.filter(|name| by.contains(&name))).or_default().push(track);
    }
    let sum = |members: &[&Track], step: usize| {
        members.iter().filter_map(|track| track.values[step]).fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    };
    let group = |(labels, members): (Labels, Vec<&Track>)| {
        let steps = members[0].values.len();
        Track { labels, values: (0..steps).map(|step| sum(&members, step)).collect() }
    };
    groups.into_iter().map(group).collect()
}

/// `left / right`, matched by what labels they share but for the metric's name.
pub fn ratio(left: Vec<Track>, right: &[Track]) -> Vec<Track> {
    let over = |track: Track| {
        let labels = track.labels.nameless();
        let other = right.iter().find(|other| other.labels.nameless() == labels)?;
        let values = track.values.iter().zip(&other.values).map(|(a, b)| Some((*a)? / (*b)?)).collect();
        Some(Track { labels, values })
    };
    left.into_iter().filter_map(over).collect()
}

/// `histogram_quantile(q, …)`
pub fn quantile(q: f64, buckets: &[Track]) -> Vec<Track> {
    let mut groups: BTreeMap<Labels, Vec<(f64, &Track)>> = BTreeMap::new();
    for track in buckets {
        let limit = track.labels.get("le").parse().unwrap_or(f64::INFINITY);
        groups.entry(track.labels.filter(|name| name != "le")).or_default().push((limit, track));
    }
    let group = |(labels, mut members): (Labels, Vec<(f64, &Track)>)| {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let value = |step: usize| {
            let counts: Option<Vec<(f64, f64)>> =
                members.iter().map(|(limit, track)| Some((*limit, track.values[step]?))).collect();
            histogram::quantile(&counts?, q)
        };
        let steps = members[0].1.values.len();
        Track { labels, values: (0..steps).map(value).collect() }
    };
    groups.into_iter().map(group).collect()
}
