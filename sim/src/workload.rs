//! What a managed system's series look like: eight shapes of ordinary life, and the incidents a person would want to
//! hear of.
//!
//! An incident is laid over the shape by its own effect, so the ground truth is known to the second. A shape that is an
//! incident by itself (a spike, a step, a line gone flat) labels its own ranges.

use crate::chance::Chance;
use homeostat::time::Span;
use serde::{Deserialize, Serialize};

/// One series' values, in its own unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// The ordinary value.
    pub level: f64,
    /// Standard deviation of the noise around it; of the logarithm for a heavy tail.
    pub noise: f64,
    pub shape: Shape,
    #[serde(default, rename = "incident")]
    pub incidents: Vec<Incident>,
}

/// The eight workloads. Times count from the start of the run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// The level, and noise.
    Steady,
    /// From `at` on the level is `to`. The first `notable` of it is an incident: a person wants to hear once.
    Step { at: Span, to: f64, notable: Span },
    /// `height` more for `lasting`, every `every` from `first` on. Each is an incident.
    Spike { first: Span, every: Span, lasting: Span, height: f64 },
    /// Grows by `per_day`, for ever. No incident: it is how things are.
    Drift { per_day: f64 },
    /// A sine over the day of this amplitude, lowest at midnight.
    DailyWave { amplitude: f64 },
    /// Lognormal: the level is the median, the noise the spread of the logarithm.
    HeavyTail,
    /// Samples are missing, or NaN, with these probabilities; every `every`, nothing comes for `silent`.
    Gaps { missing: f64, nan: f64, every: Span, silent: Span },
    /// From `at` on, for `lasting`, exactly the same value: a sensor that died. An incident.
    FlatLine { at: Span, lasting: Span },
}

/// A range of time of which a person would want to hear, and what it does to the values.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    pub at: Span,
    pub lasting: Span,
    pub effect: Effect,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// So much more, or less.
    Add(f64),
    Times(f64),
    /// The ordinary level is this instead; the noise stays.
    Level(f64),
}

/// When something happened: from `from` on, until before `until`; since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Range {
    pub from: Span,
    pub until: Span,
}

impl Range {
    pub fn lasting(from: Span, lasting: Span) -> Range {
        Range { from, until: from + lasting }
    }

    pub fn holds(&self, into: Span) -> bool {
        (self.from..self.until).contains(&into)
    }
}

const DAY: Span = Span::hours(24);

impl Workload {
    /// The value `into` the run; none when nothing comes. NaN is what a source may send. Always draws the same number
    /// of random numbers, so an incident changes its own range and nothing after it.
    pub fn value(&self, into: Span, chance: &mut Chance) -> Option<f64> {
        let (noise, missing, nan) = (self.noise * chance.normal(), chance.uniform(), chance.uniform());
        let mut level = self.level;
        match self.shape {
            Shape::Steady | Shape::HeavyTail | Shape::Gaps { .. } | Shape::FlatLine { .. } => {}
            Shape::Step { at, to, .. } => level = if into >= at { to } else { level },
            Shape::Spike { height, .. } => {
                let in_spike = self.own_incidents(into).last().is_some_and(|range| range.holds(into));
                level += if in_spike { height } else { 0.0 };
            }
            Shape::Drift { per_day } => level += per_day * into.secs() / DAY.secs(),
            Shape::DailyWave { amplitude } => {
                level -= amplitude * (std::f64::consts::TAU * into.secs() / DAY.secs()).cos();
            }
        }
        let effects =
            || self.incidents.iter().filter(|i| Range::lasting(i.at, i.lasting).holds(into)).map(|i| i.effect);
        for effect in effects() {
            if let Effect::Level(instead) = effect {
                level = instead;
            }
        }
        let mut value = match self.shape {
            Shape::HeavyTail => level * noise.exp(),
            Shape::FlatLine { at, lasting } if Range::lasting(at, lasting).holds(into) => level,
            Shape::Gaps { missing: m, nan: n, every, silent } => {
                let silent_now = into >= every && into.millis() % every.millis().max(1) < silent.millis();
                match () {
                    () if silent_now || missing < m => return None,
                    () if nan < n => f64::NAN,
                    () => level + noise,
                }
            }
            _ => level + noise,
        };
        for effect in effects() {
            match effect {
                Effect::Add(more) => value += more,
                Effect::Times(times) => value *= times,
                Effect::Level(_) => {}
            }
        }
        Some(value)
    }

    /// The ground truth over a run of this length, in order of time.
    pub fn incidents(&self, duration: Span) -> Vec<Range> {
        let mut ranges = self.own_incidents(duration);
        ranges.extend(self.incidents.iter().map(|incident| Range::lasting(incident.at, incident.lasting)));
        ranges.retain(|range| range.from < duration);
        ranges.sort();
        ranges
    }

    /// The ranges that the shape itself labels, up to the one that `until` falls into.
    fn own_incidents(&self, until: Span) -> Vec<Range> {
        match self.shape {
            Shape::Step { at, notable, .. } => vec![Range::lasting(at, notable)],
            Shape::FlatLine { at, lasting } => vec![Range::lasting(at, lasting)],
            Shape::Spike { first, every, lasting, .. } => {
                let count = match (until.since_start(first), every.millis()) {
                    (None, _) => 0,
                    (Some(_), 0) => 1,
                    (Some(after), every) => 1 + after.millis() / every,
                };
                (0..count).map(|n| Range::lasting(first + every * n, lasting)).collect()
            }
            Shape::Steady | Shape::Drift { .. } | Shape::DailyWave { .. } | Shape::HeavyTail | Shape::Gaps { .. } => {
                Vec::new()
            }
        }
    }
}

/// Differences of spans that both count from the start of the run.
trait SinceStart {
    /// How long after `earlier`; none when before it.
    fn since_start(self, earlier: Span) -> Option<Span>;
}

impl SinceStart for Span {
    fn since_start(self, earlier: Span) -> Option<Span> {
        self.millis().checked_sub(earlier.millis()).map(Span::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::minutes(1);

    fn series(shape: Shape, hours: u64) -> Vec<Option<f64>> {
        let workload = Workload { level: 100.0, noise: 1.0, shape, incidents: Vec::new() };
        let mut chance = Chance::new(3);
        (0..hours * 60).map(|minute| workload.value(MINUTE * minute, &mut chance)).collect()
    }

    fn mean(values: &[Option<f64>]) -> f64 {
        let finite: Vec<f64> = values.iter().flatten().copied().filter(|v| v.is_finite()).collect();
        finite.iter().sum::<f64>() / finite.len() as f64
    }

    #[test]
    fn each_shape_does_what_its_name_says() {
        let near = |got: f64, wanted: f64| assert!((got - wanted).abs() < 0.5, "{got} is not {wanted}");
        near(mean(&series(Shape::Steady, 10)), 100.0);
        let step = series(Shape::Step { at: Span::hours(5), to: 110.0, notable: Span::hours(1) }, 10);
        near(mean(&step[..300]), 100.0);
        near(mean(&step[300..]), 110.0);
        let spike =
            Shape::Spike { first: Span::hours(2), every: Span::hours(3), lasting: Span::minutes(30), height: 8.0 };
        let spiky = series(spike, 10);
        near(mean(&spiky[120..150]), 108.0);
        near(mean(&spiky[150..300]), 100.0);
        near(mean(&spiky[300..330]), 108.0);
        let drift = series(Shape::Drift { per_day: 24.0 }, 48);
        near(mean(&drift[..60]), 100.5);
        near(mean(&drift[47 * 60..]), 147.5);
        let wave = series(Shape::DailyWave { amplitude: 50.0 }, 48);
        assert!(mean(&wave[..30]) < 52.0 && mean(&wave[12 * 60..12 * 60 + 30]) > 148.0, "low at night, high at noon");
        let flat = series(Shape::FlatLine { at: Span::hours(2), lasting: Span::hours(1) }, 4);
        assert!(flat[120..180].iter().all(|v| *v == Some(100.0)) && flat[119] != flat[118] && flat[180] != flat[181]);
        let tail = Workload { level: 10.0, noise: 1.0, shape: Shape::HeavyTail, incidents: Vec::new() };
        let mut chance = Chance::new(4);
        let mut values: Vec<f64> = (0..5000).filter_map(|m| tail.value(MINUTE * m, &mut chance)).collect();
        values.sort_by(f64::total_cmp);
        assert!((values[2500] - 10.0).abs() < 1.0 && values[4999] > 150.0, "the median is the level, the tail is long");
    }

    #[test]
    fn gaps_leave_out_and_spoil_as_often_as_they_say() {
        let gaps = Shape::Gaps { missing: 0.1, nan: 0.05, every: Span::hours(10), silent: Span::hours(1) };
        let values = series(gaps, 100);
        assert!(values[600..660].iter().all(Option::is_none) && values[660..700].iter().any(Option::is_some));
        let missing = values.iter().filter(|v| v.is_none()).count() as f64 / values.len() as f64;
        let nan = values.iter().flatten().filter(|v| v.is_nan()).count() as f64 / values.len() as f64;
        assert!((missing - (0.09 + 0.1 * 0.91)).abs() < 0.02, "{missing}");
        assert!((nan - 0.05 * 0.9 * 0.91).abs() < 0.01, "{nan}");
    }

    #[test]
    fn an_incident_changes_its_own_range_and_is_the_ground_truth() {
        let plain = Workload { level: 5.0, noise: 1.0, shape: Shape::Steady, incidents: Vec::new() };
        let incident = Incident { at: Span::minutes(10), lasting: Span::minutes(5), effect: Effect::Add(7.0) };
        let troubled = Workload { incidents: vec![incident], ..plain.clone() };
        let (mut one, mut two) = (Chance::new(9), Chance::new(9));
        for minute in 0..30 {
            let more = if (10..15).contains(&minute) { 7.0 } else { 0.0 };
            let value = plain.value(MINUTE * minute, &mut one).map(|v| v + more);
            assert_eq!(troubled.value(MINUTE * minute, &mut two), value, "minute {minute}");
        }
        assert_eq!(troubled.incidents(Span::hours(1)), [Range { from: Span::minutes(10), until: Span::minutes(15) }]);
        assert_eq!(troubled.incidents(Span::minutes(10)), []);
    }
}
