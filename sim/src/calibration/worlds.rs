//! Worlds of one series, of many kinds, from a seed: what is ordinary in them, and the incidents that are not.

use crate::chance::Chance;
use homeostat::time::Span;
use std::f64::consts::TAU;

const DAY_S: f64 = 86_400.0;
const WEEK_S: f64 = 604_800.0;

/// Weeks that are looked at in each world.
const WEEKS: u64 = 6;

/// After a level shifted so long, or so many samples, its pages belong to it.
const SHIFT_NOTABLE_S: f64 = 6.0 * 3600.0;
const SHIFT_NOTABLE_SAMPLES: f64 = 12.0;

/// What most of a world is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Bell,
    Lognormal,
    /// Student's t with three degrees of freedom.
    HeavyTail,
    /// Autoregressive: each sample keeps a part of the one before.
    Memory,
    Walk,
    Daily,
    /// Working days and weekends, with the day on top.
    Weekly,
    Drift,
    /// A random walk so slow that it looks like a level.
    SlowWalk,
    /// Now and then another level, as an incident.
    Shifts,
    /// Now and then louder, as an incident.
    Bursts,
    /// Now and then one sample far off, as an incident.
    Spikes,
    /// Counts, mostly zero.
    Counts,
    /// A job that runs each night: ordinary.
    Jobs,
    /// Two levels, both of them ordinary.
    Regimes,
    /// It fills up and is emptied again, on its own schedule: ordinary.
    Sawtooth,
    /// Ordinary too: it grows louder and quieter slowly.
    Volatility,
}

impl Kind {
    pub const ALL: [(Kind, &'static str); 17] = [
        (Kind::Bell, "bell"),
        (Kind::Lognormal, "lognormal"),
        (Kind::HeavyTail, "heavy tail"),
        (Kind::Memory, "memory"),
        (Kind::Walk, "random walk"),
        (Kind::Daily, "daily season"),
        (Kind::Weekly, "weekly season"),
        (Kind::Drift, "drift"),
        (Kind::SlowWalk, "slow walk"),
        (Kind::Shifts, "level shifts"),
        (Kind::Bursts, "bursts of variance"),
        (Kind::Spikes, "spikes"),
        (Kind::Counts, "counts"),
        (Kind::Jobs, "nightly jobs"),
        (Kind::Regimes, "two regimes"),
        (Kind::Sawtooth, "sawtooth"),
        (Kind::Volatility, "slow volatility"),
    ];

    pub fn as_str(self) -> &'static str {
        Kind::ALL[self as usize].1
    }
}

/// One series, and when it has which value.
#[derive(Clone, Debug)]
pub struct World {
    pub kind: Kind,
    pub every: Span,
    pub duration: Span,
    /// The age at which it is looked at first.
    pub young: Span,
    chance: Chance,
    level: f64,
    noise: f64,
    /// Of the noise, what a sample keeps of the one before.
    memory: f64,
    daily: f64,
    weekly: f64,
    /// In noises a week, between two times: the rest of the world is level.
    drift: f64,
    drift_s: (f64, f64),
    /// Seconds from empty to empty; 0: no teeth.
    tooth_s: f64,
    /// Per sample, in noises.
    wander: f64,
    /// Values are whole multiples; 0: of nothing.
    resolution: f64,
    /// Incidents a week, how long each is in seconds, how large in noises.
    incidents: f64,
    lasting: (f64, f64),
    size: (f64, f64),
    now: Now,
}

/// What it is doing.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    bell: f64,
    walk: f64,
    shifted: f64,
    loudness: f64,
    other_regime: bool,
    /// The incident: until when, and how large.
    until_s: f64,
    size: f64,
}

/// The world of a seed.
pub fn world(seed: u64) -> World {
    let mut chance = Chance::stream(seed, "calibration");
    let c = &mut chance;
    let (kind, _) = *c.one_of(&Kind::ALL);
    let every = Span::minutes(*c.one_of(&[1, 5, 5, 5, 10, 15, 30, 60]));
    // From two hours to two days, as likely in each octave.
    let young = Span::hours(2).scaled(24_f64.powf(c.uniform()));
    let noise = 10_f64.powf(c.between(-2.0, 2.0));
    let level = noise * 10_f64.powf(c.between(0.5, 2.0));
    let maybe = |c: &mut Chance, chance: f64, low: f64, high: f64| {
        let (happens, value) = (c.happens(chance), c.between(low, high));
        if happens { value } else { 0.0 }
    };
    let mut world = World {
        kind,
        every,
        duration: young + Span::hours(7 * 24 * WEEKS) + every + Span::minutes(60),
        young,
        level,
        noise,
        memory: maybe(c, 0.3, 0.2, 0.95),
        daily: maybe(c, 0.2, 1.0, 5.0),
        weekly: 0.0,
        drift: maybe(c, 0.1, -5.0, 5.0),
        drift_s: (0.0, f64::INFINITY),
        tooth_s: 0.0,
        wander: 0.0,
        resolution: maybe(c, 0.15, 0.2, 2.0),
        incidents: maybe(c, 0.2, 0.3, 1.5),
        lasting: (300.0, 7200.0),
        size: (6.0, 20.0),
        now: Now { loudness: 1.0, ..Now::default() },
        chance: Chance::new(0),
    };
    match kind {
        Kind::Bell | Kind::Lognormal | Kind::HeavyTail | Kind::Counts => {}
        Kind::Memory => world.memory = 1.0 - 10_f64.powf(c.between(-2.5, -0.3)),
        Kind::Walk => world.wander = c.between(0.1, 1.0),
        Kind::SlowWalk => world.wander = 10_f64.powf(c.between(-2.5, -1.0)),
        Kind::Daily => world.daily = c.between(2.0, 20.0),
        Kind::Weekly => (world.daily, world.weekly) = (c.between(1.0, 10.0), c.between(1.0, 10.0)),
        Kind::Drift => {
            world.drift = 5.0 * 100_f64.powf(c.uniform()) * if c.happens(0.5) { 1.0 } else { -1.0 };
            if c.happens(0.7) {
                let begins = c.uniform() * world.duration.secs();
                world.drift_s = (begins, begins + WEEK_S * c.uniform());
            }
        }
        Kind::Sawtooth => {
            world.tooth_s = 4.0 * 3600.0 * 80_f64.powf(c.uniform());
            world.size = (5.0, c.between(10.0, 100.0));
        }
        Kind::Shifts | Kind::Bursts | Kind::Spikes => world.incidents = c.between(0.3, 2.0),
        // Here as often as incidents elsewhere, but ordinary.
        Kind::Regimes => world.incidents = 0.5 * 60_f64.powf(c.uniform()),
        Kind::Jobs => world.size = (3.0, 30.0),
        Kind::Volatility => world.wander = 0.0,
    }
    world.chance = chance;
    world
}

impl World {
    /// One of the same make with a chance of its own, at another level and scale: what a metric is on another host.
    pub fn sibling(&self) -> World {
        let mut chance = Chance::stream(self.chance.clone().next_u64(), "sibling");
        let (level, noise) = (10_f64.powf(chance.between(-0.5, 0.5)), 10_f64.powf(chance.between(-0.5, 0.5)));
        let now = Now { loudness: 1.0, ..Now::default() };
        World { level: self.level * level, noise: self.noise * noise, now, chance, ..self.clone() }
    }

    /// The value so long after the beginning, and whether it belongs to an incident. Asked for in the order of time, once
    /// for each sample.
    pub fn next(&mut self, at: Span) -> (f64, bool) {
        let (at_s, every_s) = (at.secs(), self.every.secs());
        let incident = self.incident(at_s, every_s);
        let noise = self.draw(every_s);
        let day = at_s / DAY_S * TAU;
        let louder = if incident && self.kind == Kind::Bursts { 1.0 + self.now.size.abs() / 3.0 } else { 1.0 };
        let mut value = noise * self.now.loudness * louder + self.now.walk + self.now.shifted;
        value += self.daily * (day.sin() + 0.3 * (2.0 * day).cos());
        value += if at_s % WEEK_S > 5.0 * DAY_S { -self.weekly } else { 0.0 };
        let (begins, ends) = self.drift_s;
        value += self.drift * (at_s.min(ends) - begins).max(0.0) / WEEK_S;
        if self.tooth_s > 0.0 {
            value += self.size.1 * (at_s / self.tooth_s).fract();
        }
        let hours = at_s % DAY_S / 3600.0;
        if self.kind == Kind::Jobs && (3.0..3.75).contains(&hours) {
            value += 0.5 * (self.size.0 + self.size.1);
        }
        if self.kind == Kind::Regimes && self.now.other_regime {
            value += self.size.0;
        }
        if incident && self.kind != Kind::Bursts {
            value += self.now.size;
        }
        let mut value = match self.kind {
            Kind::Counts => self.count(value),
            Kind::Lognormal => self.level * (0.5 * value).exp(),
            _ => self.level + self.noise * value,
        };
        if self.resolution > 0.0 && self.kind != Kind::Counts {
            let step = self.resolution * self.noise;
            value = (value / step).round() * step;
        }
        (value, incident || self.notable(at_s))
    }

    /// Begins and ends what happens now and then. Whether an incident is on.
    fn incident(&mut self, at_s: f64, every_s: f64) -> bool {
        let begins = self.chance.happens(self.incidents * every_s / WEEK_S);
        let (lasting, size) = (
            self.chance.between(self.lasting.0, self.lasting.1),
            self.chance.between(self.size.0, self.size.1) * if self.chance.happens(0.5) { 1.0 } else { -1.0 },
        );
        if begins && self.kind == Kind::Regimes {
            self.now.other_regime = !self.now.other_regime;
        } else if begins && self.kind == Kind::Shifts {
            // There and back again: it does not wander off.
            self.now.shifted = if self.now.shifted == 0.0 { 0.5 * size } else { 0.0 };
            self.now.until_s = at_s + SHIFT_NOTABLE_S.max(SHIFT_NOTABLE_SAMPLES * every_s);
        } else if begins && at_s >= self.now.until_s {
            let lasting = if self.kind == Kind::Spikes { every_s } else { lasting.max(2.0 * every_s) };
            (self.now.until_s, self.now.size) = (at_s + lasting, size);
        }
        self.kind != Kind::Shifts && self.kind != Kind::Regimes && at_s < self.now.until_s
    }

    /// After a shift.
    fn notable(&self, at_s: f64) -> bool {
        self.kind == Kind::Shifts && at_s < self.now.until_s
    }

    /// The next of the noise, of size 1; moves what wanders.
    fn draw(&mut self, every_s: f64) -> f64 {
        let c = &mut self.chance;
        let fresh = c.normal();
        self.now.bell = self.memory * self.now.bell + (1.0 - self.memory * self.memory).sqrt() * fresh;
        let step = c.normal();
        self.now.walk += self.wander * step;
        if self.kind == Kind::Volatility {
            // The logarithm of the loudness goes back to 0 in about a day.
            let back = (every_s / DAY_S).min(1.0);
            let log = (1.0 - back) * self.now.loudness.ln() + 0.6 * (2.0 * back).sqrt() * step;
            self.now.loudness = log.exp();
        }
        if self.kind == Kind::HeavyTail {
            let square = (0..3).map(|_| c.normal().powi(2)).sum::<f64>();
            return self.now.bell / (square / 3.0).sqrt();
        }
        self.now.bell
    }

    /// So many in a sample, mostly none: Poisson with a rate that the rest moves.
    fn count(&mut self, value: f64) -> f64 {
        let mean = (0.4 * (0.3 * value).exp()).min(1e4);
        // By exponential waits; a large mean is a bell.
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.chance.normal()).round().max(0.0);
        }
        let (mut count, mut waited) = (0.0, self.chance.exponential(1.0));
        while waited < mean {
            count += 1.0;
            waited += self.chance.exponential(1.0);
        }
        count
    }
}
