//! Input series, and what a selector finds of them: the latest sample of the last five minutes, unless it is a marker of
//! staleness.

use crate::Chance;
use homeostat::replay::{Labels, Range, Track};
use homeostat::time::Timestamp;

/// How far back a selector looks, in milliseconds; a sample just as old still counts in Prometheus 2.42.
const LOOKBACK: i64 = 300_000;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Point {
    Missing,
    Stale,
    Value(f64),
}

pub struct Series {
    pub labels: Labels,
    /// From one sample to the next, in seconds; the first one is at 0.
    pub every: i64,
    pub points: Vec<Point>,
}

impl Series {
    /// Levels that last a while, with gaps, markers, values that are no numbers; or a counter that is reset.
    pub fn random(labels: Labels, every: i64, count: usize, chance: &mut Chance) -> Series {
        let counter = chance.happens(20);
        let mut points = Vec::new();
        let mut level = 0.0;
        while points.len() < count {
            if chance.happens(15) {
                level = 0.0;
            }
            level = if counter { level + 1.0 } else { chance.below(9) as f64 };
            let (point, times) = match chance.below(100) {
                0..10 => (Point::Missing, 1 + chance.below(12)),
                10..14 => (Point::Stale, 1),
                14..18 => (Point::Value(f64::NAN), 1 + chance.below(3)),
                18..20 => (Point::Value(chance.one_of(&[f64::INFINITY, f64::NEG_INFINITY])), 1),
                20..26 => (Point::Value(-level), 1 + chance.below(4)),
                26..32 => (Point::Value(level + 0.5), 1 + chance.below(4)),
                _ => (Point::Value(level), 1 + chance.below(if counter { 2 } else { 9 })),
            };
            points.extend(std::iter::repeat_n(point, times));
        }
        points.truncate(count);
        Series { labels, every, points }
    }

    pub fn name(&self) -> String {
        self.labels.to_string()
    }

    /// As promtool reads it.
    pub fn values_text(&self) -> String {
        let text = |point: &Point| match point {
            Point::Missing => "_".to_owned(),
            Point::Stale => "stale".to_owned(),
            Point::Value(value) if value.is_infinite() => if *value > 0.0 { "Inf" } else { "-Inf" }.to_owned(),
            Point::Value(value) => value.to_string(),
        };
        self.points.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// What a selector finds at a time, in milliseconds.
    fn at(&self, at: i64) -> Option<f64> {
        let every = self.every * 1000;
        let newest = (at / every).min(self.points.len() as i64 - 1);
        let latest = (0..=newest).rev().find(|sample| self.points[*sample as usize] != Point::Missing)?;
        match self.points[latest as usize] {
            Point::Value(value) if latest * every >= at - LOOKBACK => Some(value),
            _ => None,
        }
    }
}

/// What evaluating a selector of these metrics gives, at evaluations that many seconds apart.
pub fn select(series: &[Series], metrics: &[String], step: i64, steps: usize) -> Range {
    let start = Timestamp::EPOCH;
    let at = |k: usize| k as i64 * step * 1000;
    let tracks = series
        .iter()
        .filter(|series| metrics.iter().any(|metric| metric == series.labels.get("__name__")))
        .map(|series| Track { labels: series.labels.clone(), values: (0..steps).map(|k| series.at(at(k))).collect() })
        .collect();
    Range { start, step: step * 1000, steps, tracks }
}
