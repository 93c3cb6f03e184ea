//! The default: judges sample by sample, in constant time and under two kilobytes of memory a series.
//!
//! Two parts read each value. The scorer says how strange a series is, for ranking and for the eye; the decider says whether to
//! page, at a budget of pages. Both judge before they learn, and need no setting: every size is in units of what the series
//! usually does.

mod decider;
mod histogram;
#[cfg(test)]
mod holidays;
mod log;
mod parts;
mod scorer;
mod season;
mod tail;
mod week;

use super::{Asked, Baseline, Detector, DetectorState, Outlook, Voice};
use crate::config::StrategyName;
use crate::feedback::Verdict;
use crate::feedback::weights::{PAGING, SCORING, Spoke};
use crate::monitor::Judged;
use crate::time::Timestamp;
use crate::units::Sensitivity;
use decider::Decider;
use log::log2;
pub use parts::{Part, Without};
use scorer::Scorer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::f32::consts::LN_2;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Auto {
    without: Without,
}

impl Auto {
    /// Without some of its parts: to see what they are worth.
    pub fn without(without: Without) -> Auto {
        Auto { without }
    }
}

/// The name it goes by.
pub const AUTO: &str = "auto";

/// Values are clipped to this size, so that squares and sums stay finite.
const LARGEST: f64 = 1e18;

/// How much of the score is the decider's severity, and how fast its mean moves.
const SEVERITY_SHARE: f32 = 0.2;
const SEVERITY_RATE: f32 = 0.03;

/// How fast the usual interval is followed, on its logarithm.
const INTERVAL_RATE: f64 = 0.02;

/// What is remembered of one series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct State {
    scorer: Scorer,
    decider: Decider,
    severity: f32,
    /// Usual seconds between samples; 0 until there were two.
    interval: f64,
    gaps: u32,
    last: i64,
}

impl State {
    fn new(first: f64, at: Timestamp) -> State {
        let first = first.clamp(-LARGEST, LARGEST);
        State {
            scorer: Scorer::new(first as f32),
            decider: Decider::new(first),
            severity: 0.0,
            interval: 0.0,
            gaps: 0,
            last: at.millis(),
        }
    }

    /// Reads from most places that a step will, so that they are near then.
    #[inline]
    pub(crate) fn touched(&self) -> u64 {
        u64::from(self.scorer.touched() ^ self.decider.touched()) ^ self.last as u64
    }

    /// Bytes that it takes in memory.
    pub const fn size() -> usize {
        size_of::<State>()
    }

    fn step(&mut self, at: Timestamp, value: f64, asked: &Asked, without: Without) -> Judged {
        self.see_interval(at);
        let tame = value.clamp(-LARGEST, LARGEST);
        let clock = asked.moment.clock(at);
        let interval = self.usual_interval();
        let (pages, scores) = weights(asked, without);
        let scores = self.scorer.step(tame as f32, clock, asked.moment.holiday, self.decider.week(), &scores);
        let decision = self.decider.step(tame, clock, interval as f32, asked, &pages, without);
        let severity = decision.severity.min(1.0) + 0.3 * LN_2 * log2(decision.severity.max(1.0));
        self.severity += SEVERITY_RATE * (severity - self.severity);
        let score = (1.0 - SEVERITY_SHARE) * scores.lasting + SEVERITY_SHARE * 0.5 * (severity + self.severity);
        if decision.early {
            return Judged::default();
        }
        let (lower, upper) = decision.bounds.map_or((None, None), |(lower, upper)| (Some(lower), Some(upper)));
        Judged {
            lower,
            upper,
            breach: lower.is_some_and(|lower| value < lower) || upper.is_some_and(|upper| value > upper),
            score: share(score),
            alert_score: share(scores.onset),
            alert: decision.alert,
            why: decision.why,
            spoke: decision.spoke.map_or_else(Spoke::default, |pages| Spoke::of(&pages, &scores.spoke)),
        }
    }

    /// What is usual is again as it was before; where the series is now, and the alert that holds, stay.
    fn forget(&mut self, before: State) {
        self.scorer.forget(before.scorer);
        self.decider.forget(before.decider);
    }

    /// The usual seconds between samples; a minute as long as nothing is known.
    fn usual_interval(&self) -> f64 {
        if self.interval > 0.0 { self.interval } else { 60.0 }
    }

    fn voices(&self, at: Timestamp, value: f64, asked: &Asked, without: Without) -> Vec<Voice> {
        let (pages, _) = weights(asked, without);
        let value = value.clamp(-LARGEST, LARGEST);
        let clock = asked.moment.clock(at);
        self.decider.voices(value, clock, self.usual_interval() as f32, asked, &pages, without)
    }

    /// Follows the median of the gaps between samples: equal steps up and down, smaller ones as more were seen.
    fn see_interval(&mut self, at: Timestamp) {
        let gap = (at.millis() - self.last) as f64 / 1000.0;
        self.last = at.millis();
        if gap <= 0.0 {
            return;
        }
        self.gaps = self.gaps.saturating_add(1);
        if self.interval == 0.0 {
            self.interval = gap;
        } else if (gap / self.interval - 1.0).abs() > INTERVAL_RATE {
            let step = 1.0 + INTERVAL_RATE.max(1.0 / f64::from(self.gaps));
            self.interval =
                if gap > self.interval { (self.interval * step).min(gap) } else { (self.interval / step).max(gap) };
        } else {
            self.interval = gap;
        }
    }
}

/// How far each feature is heard: of those that page, and of those that score. One that is left out is not.
#[inline]
fn weights(asked: &Asked, without: Without) -> ([f32; PAGING], [f32; SCORING]) {
    let (mut pages, mut scores) = ([1.0; PAGING], [1.0; SCORING]);
    if !asked.weights.is_default() || without != Without::NOTHING {
        for (feature, weight) in pages.iter_mut().chain(&mut scores).enumerate() {
            *weight = if without.silences(feature) { 0.0 } else { asked.weights.by_number(feature) };
        }
    }
    (pages, scores)
}

/// A score that may be any size, between 0 and 1 in the same order.
fn share(score: f32) -> f64 {
    let score = f64::from(score).max(0.0);
    score / (1.0 + score)
}

impl Detector for Auto {
    fn name(&self) -> StrategyName {
        AUTO.into()
    }

    fn formula(&self, _: Sensitivity) -> String {
        "five features against their own past".to_owned()
    }

    fn start(&self, baseline: &Baseline, prior: Option<&DetectorState>) -> DetectorState {
        let first = Timestamp::from_millis(baseline.at[0]);
        let mut state = State::new(baseline.values[0], first);
        if let Some(DetectorState::Auto(prior)) = prior {
            state.scorer.inherit(&prior.scorer);
            state.decider.inherit(&prior.decider);
        }
        for (at, value) in baseline.at.iter().zip(baseline.values) {
            let at = Timestamp::from_millis(*at);
            let asked = Asked { moment: baseline.reckoning.moment(at), ..Asked::default() };
            state.step(at, *value, &asked, self.without);
        }
        DetectorState::Auto(Box::new(state))
    }

    fn prior(&self, sibling: &DetectorState) -> Option<DetectorState> {
        match sibling {
            DetectorState::Auto(state) if state.decider.is_settled() && !self.without.has(Part::Siblings) => {
                Some(sibling.clone())
            }
            _ => None,
        }
    }

    fn alerts(&self) -> bool {
        true
    }

    fn told(&self, state: &mut DetectorState, verdict: Verdict, weight: f64) {
        if let DetectorState::Auto(state) = state {
            state.decider.told(verdict, weight);
        }
    }

    fn calm(&self, state: &mut DetectorState) {
        if let DetectorState::Auto(state) = state {
            state.decider.calm();
        }
    }

    fn step(&self, state: &mut DetectorState, at: Timestamp, value: f64, asked: &Asked) -> Judged {
        match state {
            DetectorState::Auto(state) => state.step(at, value, asked, self.without),
            DetectorState::Numbers { .. } => Judged::default(),
        }
    }

    fn step_aside(&self, state: &mut DetectorState, at: Timestamp, value: f64, asked: &Asked) -> Judged {
        let before = state.clone();
        let judged = self.step(state, at, value, asked);
        match (state, before) {
            (DetectorState::Auto(state), DetectorState::Auto(before)) if !asked.moment.silent => state.forget(*before),
            (state, before) => *state = before,
        }
        judged
    }

    fn voices(&self, state: &DetectorState, at: Timestamp, value: f64, asked: &Asked) -> Vec<Voice> {
        match state {
            DetectorState::Auto(state) => state.voices(at, value, asked, self.without),
            DetectorState::Numbers { .. } => Vec::new(),
        }
    }

    fn outlook(&self, state: &DetectorState) -> Option<Outlook> {
        match state {
            DetectorState::Auto(state) if state.interval > 0.0 => Some(state.decider.outlook()),
            _ => None,
        }
    }
}

/// Counts are stored as bytes, two each, the lower first.
fn packed(counts: &[u16]) -> Packed {
    Packed(counts.iter().flat_map(|count| count.to_le_bytes()).collect())
}

struct Packed(Vec<u8>);

impl Packed {
    fn counts<E: serde::de::Error, const N: usize>(self) -> Result<[u16; N], E> {
        let found = self.0.len();
        let counts: Vec<u16> = self.0.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        counts.try_into().map_err(|_| E::custom(format!("{found} bytes where {} are wanted", 2 * N)))
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Packed, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Packed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Packed, E> {
                Ok(Packed(bytes.to_vec()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Packed, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Packed(bytes))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
