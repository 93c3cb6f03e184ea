//! What a signal does on ordinary days, and the outlines by which events rise out of it.
//!
//! Values are in units of the published literal of the rule that watches the signal (1 stands at the literal), so that how
//! close a fleet lives to its rules is one number. Time is in minutes from the start, which is a Monday at midnight UTC.

use crate::chance::Chance;
use std::f64::consts::TAU;

pub const HOUR: usize = 60;
pub const DAY: usize = 24 * HOUR;
pub const WEEK: usize = 7 * DAY;

/// How a signal lives when nothing happens to it.
#[derive(Clone, Copy, Debug)]
pub enum Life {
    /// Follows people: a wave by day, less at weekends, with noise that has a memory.
    Load,
    /// Fills and is emptied again: what a garbage collector or a nightly clean-up leaves of memory or disk.
    Saw { minutes: (f64, f64) },
    /// Near a floor for most of the time, its noise skewed: errors, lags, queues.
    Floor,
}

/// One signal's ordinary days, drawn once.
#[derive(Clone, Debug)]
pub struct Ordinary {
    pub life: Life,
    /// In literals: the level of a working afternoon.
    pub level: f64,
    /// How much of the level the wave of a day takes away at night: 0 to 1.
    pub depth: f64,
    /// What a weekend leaves: 0 to 1.
    pub weekend: f64,
    /// The minute of the day of the peak.
    pub peak: f64,
    /// Standard deviation of the logarithm: of the part with a memory, and of the one without.
    pub slow: f64,
    pub fast: f64,
    /// Minutes until the slow part has forgotten (1/e).
    pub memory: f64,
}

impl Ordinary {
    /// The values of `minutes` minutes, not negative, not clipped.
    pub fn values(&self, minutes: usize, chance: &mut Chance) -> Vec<f64> {
        let keep = (-1.0 / self.memory).exp();
        let fresh = (1.0 - keep * keep).sqrt();
        let mut slow = chance.normal();
        let mut saw = Saw::new(self.life, chance);
        (0..minutes)
            .map(|minute| {
                slow = keep * slow + fresh * chance.normal();
                let noise = (self.slow * slow + self.fast * chance.normal()).exp();
                let shape = match self.life {
                    Life::Load | Life::Floor => self.wave(minute),
                    Life::Saw { .. } => (1.0 - self.depth) + self.depth * saw.next(chance),
                };
                self.level * shape * noise
            })
            .collect()
    }

    /// The day's wave, 1 at its peak, with a broad top and a flat night, as traffic has.
    fn wave(&self, minute: usize) -> f64 {
        let phase = ((minute % DAY) as f64 - self.peak) / DAY as f64;
        let top = (0.5 + 0.5 * (TAU * phase).cos()).powf(0.7);
        let day = if minute / DAY % 7 >= 5 { self.weekend } else { 1.0 };
        (1.0 - self.depth + self.depth * top) * day
    }
}

/// From 0 to 1 and back at once, each tooth of another length.
struct Saw {
    minutes: (f64, f64),
    into: f64,
    tooth: f64,
}

impl Saw {
    fn new(life: Life, chance: &mut Chance) -> Saw {
        let minutes = match life {
            Life::Saw { minutes } => minutes,
            Life::Load | Life::Floor => (1.0, 1.0),
        };
        let tooth = chance.between(minutes.0, minutes.1);
        Saw { minutes, into: tooth * chance.uniform(), tooth }
    }

    fn next(&mut self, chance: &mut Chance) -> f64 {
        self.into += 1.0;
        if self.into >= self.tooth {
            self.into = 0.0;
            self.tooth = chance.between(self.minutes.0, self.minutes.1);
        }
        self.into / self.tooth
    }
}

/// How an event rises out of the ordinary and leaves again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Outline {
    /// At once up, at once down.
    Step,
    /// Climbs for a share of its time, then stays.
    Ramp { climb: f64 },
    /// Climbs all the time and falls at the end: a leak, a disk that fills.
    Leak,
    /// Rises fast, falls away slowly: a backlog that is worked off.
    Decay,
    /// Comes and goes, down to a part of its height: a failing that is retried.
    Waves { minutes: f64 },
}

impl Outline {
    /// From 0 to 1, at `into` of `lasting` minutes.
    pub fn at(self, into: f64, lasting: f64) -> f64 {
        let part = (into / lasting).clamp(0.0, 1.0);
        match self {
            Outline::Step => 1.0,
            Outline::Ramp { climb } => (part / climb).min(1.0),
            Outline::Leak => part.powf(0.7),
            Outline::Decay if part < 0.15 => part / 0.15,
            Outline::Decay => (1.0 - (part - 0.15) / 0.85).powf(0.6),
            Outline::Waves { minutes } => 0.85 + 0.15 * (TAU * into / minutes).cos(),
        }
    }
}

/// Something that happens to a signal.
#[derive(Clone, Debug)]
pub struct Event {
    pub start: usize,
    pub minutes: usize,
    /// What it drives the signal to, in literals.
    pub height: f64,
    pub outline: Outline,
}

impl Event {
    /// Moves the signal towards the event's height, by the outline; never down. Its noise stays on it.
    pub fn lay(&self, values: &mut [f64], chance: &mut Chance, noise: f64) {
        for (into, value) in values.iter_mut().skip(self.start).take(self.minutes).enumerate() {
            let wanted = self.height * (noise * chance.normal()).exp();
            let part = self.outline.at(into as f64 + 0.5, self.minutes as f64);
            *value = value.max(*value + (wanted - *value) * part);
        }
    }
}
