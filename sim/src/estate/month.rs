//! A month of one signal: its ordinary days, the bursts and routines laid over them, and the incidents of the fleet.

use super::kinds::{Habit, Kind, Routine, SPECS, Spec};
use super::shape::{DAY, Event, HOUR, Ordinary, Outline};
use crate::chance::Chance;

/// One measured thing of one owner, a value a minute, in literals.
#[derive(Clone, Debug)]
pub struct Signal {
    pub kind: Kind,
    /// Whose: the index of the node, container, service, database or queue among its like.
    pub owner: usize,
    pub values: Vec<f64>,
}

/// What happened to a signal and was no ordinary thing: minutes from the start.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub kind: Kind,
    pub owner: usize,
    pub start: usize,
    pub minutes: usize,
}

/// Between two incidents of one owner, so that a page can be told to belong to one of them.
const APART: usize = 4 * HOUR;

/// How a month as a whole turns out, so that no two seeds ask the same of a rule.
struct Mood {
    bursts: f64,
    length: f64,
    noise: f64,
}

/// Every signal, and every incident, in the order of their start. `owners(kind)` says how many of a kind there are.
pub fn signals(seed: u64, minutes: usize, owners: impl Fn(Kind) -> usize) -> (Vec<Signal>, Vec<Trouble>) {
    let mut chance = Chance::stream(seed, "mood");
    let mood =
        Mood { bursts: chance.lognormal(0.1, 0.4), length: chance.between(0.7, 1.3), noise: chance.between(0.7, 1.4) };
    let (mut signals, mut troubles) = (Vec::new(), Vec::new());
    for spec in &SPECS {
        let mut of_kind: Vec<Signal> = (0..owners(spec.kind))
            .map(|owner| {
                let mut chance = Chance::stream(seed, &format!("{:?} {owner}", spec.kind));
                Signal { kind: spec.kind, owner, values: background(spec, &mood, minutes, &mut chance) }
            })
            .collect();
        let mut chance = Chance::stream(seed, &format!("incidents {:?}", spec.kind));
        troubles.extend(incidents(spec, &mut of_kind, minutes, &mut chance));
        for value in of_kind.iter_mut().flat_map(|signal| &mut signal.values) {
            *value = value.min(spec.cap);
        }
        signals.append(&mut of_kind);
    }
    troubles.sort_by_key(|trouble| trouble.start);
    (signals, troubles)
}

fn background(spec: &Spec, mood: &Mood, minutes: usize, chance: &mut Chance) -> Vec<f64> {
    let range = if chance.happens(spec.close_chance) { spec.close } else { spec.quiet };
    let ordinary = Ordinary {
        life: spec.life,
        level: between_by_ratio(range, chance),
        depth: chance.between(spec.depth.0, spec.depth.1),
        weekend: chance.between(0.4, 1.0),
        peak: chance.between(10.0, 20.0) * HOUR as f64,
        slow: chance.between(spec.slow.0, spec.slow.1) * mood.noise,
        fast: chance.between(spec.fast.0, spec.fast.1) * mood.noise,
        memory: between_by_ratio((10.0, 240.0), chance),
    };
    let mut values = ordinary.values(minutes, chance);
    let noise = ordinary.fast.clamp(0.01, 0.1);
    let a_day = between_by_ratio(spec.bursts, chance) * mood.bursts;
    let median = chance.between(spec.burst_minutes.0, spec.burst_minutes.1) * mood.length;
    let mut at = 0.0;
    // A rate of 0 waits for ever.
    while let next = at + chance.exponential(DAY as f64 / a_day)
        && next < minutes as f64
    {
        at = next;
        let event = Event {
            start: at as usize,
            minutes: (chance.lognormal(median, 0.5).clamp(1.0, 9.0)) as usize,
            height: between_by_ratio(spec.burst_height, chance),
            outline: Outline::Step,
        };
        event.lay(&mut values, chance, noise);
    }
    for habit in spec.habits {
        let has = chance.happens(habit.chance);
        // Drawn in any case: a month keeps its other habits when one is taken away.
        let occasions = occasions(habit, minutes, chance);
        for event in occasions.iter().filter(|_| has) {
            event.lay(&mut values, chance, noise);
        }
    }
    values
}

/// When a habit comes, in a month.
fn occasions(habit: &Habit, minutes: usize, chance: &mut Chance) -> Vec<Event> {
    let height = between_by_ratio(habit.height, chance);
    let lasting = between_by_ratio(habit.minutes, chance);
    let (hour, minute) = (chance.below(6), chance.below(60));
    let every = *chance.one_of(&[1, 2, 4, 6, 12]);
    let weekday = 5 + chance.below(2);
    let deploys = chance.between(0.3, 1.8);
    let spread = chance.between(0.02, 0.12);
    let jitter = chance.between(0.0, 6.0);
    let mut starts: Vec<f64> = Vec::new();
    for day in 0..minutes / DAY {
        let midnight = (day * DAY) as f64;
        let night = midnight + (hour * HOUR + minute) as f64;
        match habit.routine {
            Routine::Nightly => starts.push(night + jitter * chance.uniform()),
            Routine::Weekly if day % 7 == weekday => starts.push(night + jitter * chance.uniform()),
            Routine::Weekly => {}
            Routine::Hourly => {
                starts.extend((0..24).step_by(every).map(|hour| midnight + (hour * HOUR + minute) as f64));
            }
            Routine::Deploys if day % 7 < 5 => {
                let mut at = chance.exponential(8.0 / deploys);
                while at < 8.0 {
                    starts.push(midnight + (9.0 + at) * HOUR as f64);
                    at += chance.exponential(8.0 / deploys);
                }
            }
            Routine::Deploys => {}
        }
    }
    let event = |start: f64| Event {
        start: start as usize,
        minutes: (lasting * chance.lognormal(1.0, spread)).max(1.0) as usize,
        height: height * chance.lognormal(1.0, spread * 0.6),
        outline: Outline::Step,
    };
    starts.into_iter().map(event).collect()
}

fn incidents(spec: &Spec, signals: &mut [Signal], minutes: usize, chance: &mut Chance) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = Vec::new();
    let count = spec.incidents * minutes / (28 * DAY);
    for nth in 0..count {
        let lasting = between_by_ratio(spec.minutes, chance).max(10.0) as usize;
        // One in each part of the month, at any time of it: every week has its share.
        let part = minutes as f64 / count as f64;
        let latest = (minutes - lasting - HOUR) as f64;
        let start = ((nth as f64 + chance.uniform()) * part).clamp(HOUR as f64, latest) as usize;
        let owner = chance.below(signals.len());
        let values = &mut signals[owner].values;
        let mut height = between_by_ratio(spec.height, chance);
        let usual = values.iter().step_by(7).sum::<f64>() / values.len().div_ceil(7) as f64;
        let weak = chance.between(0.6, 0.97);
        if chance.happens(spec.weak) && usual < 0.3 {
            height = weak;
        }
        let outline = *chance.one_of(spec.outlines);
        let crowded = |other: &Trouble| {
            other.owner == owner && start < other.start + other.minutes + APART && other.start < start + lasting + APART
        };
        if troubles.iter().any(crowded) {
            continue;
        }
        Event { start, minutes: lasting, height, outline }.lay(values, chance, 0.015);
        troubles.push(Trouble { kind: spec.kind, owner, start, minutes: lasting });
    }
    troubles
}

/// Even by ratio rather than by difference: levels of real fleets span orders of magnitude.
fn between_by_ratio((low, high): (f64, f64), chance: &mut Chance) -> f64 {
    if low <= 0.0 {
        return chance.between(low, high);
    }
    chance.between(low.ln(), high.ln()).exp()
}
