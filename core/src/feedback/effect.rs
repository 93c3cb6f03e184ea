//! Whether a loop's adjustments help: what came after those that happened, against those withheld by chance.
//!
//! Looking at "before" and "after" of what was done proves nothing. A loop acts when its aim is bad; a noisy aim that is
//! bad now is better soon by itself (regression to the mean), so a loop that does nothing looks right nine times in ten.
//! Therefore a coin withholds some adjustments, and each that happened is set against the withheld one that stood where
//! it stood: the one with the nearest `before`. Chance alone decides which of the two a situation became, so that the
//! share of pairs in which the adjustment did better is one half when adjustments do nothing, whatever the aim does.
//!
//! What it cannot see: it asks how often an adjustment did better, not by how much, and reads nothing that chance could
//! have done. Where adjustments move their aim by half of its standard deviation it finds that in about three of four runs of
//! a thousand trials, and seldom where they move it by three tenths. So "no effect" means not told from chance: an effect
//! of less than half a standard deviation mostly reads the same.
//!
//! Variance of that share. With S = mean over n treated of [treated better than its match], and w_j the part of the
//! matches that falls on withheld j, Hoeffding's decomposition of the comparison of two like numbers (1/12 from either
//! side, 1/12 from the pair; 1/4 together) gives Var S = (2/n + sum of w_j squared) / 12. A withheld one that serves as
//! the match of many counts as the one observation that it is. Matching every treated with every withheld would give the
//! (1/n + 1/m + 1/nm) / 12 of Mann and Whitney (1947).

use crate::feedback::Target;
use crate::time::{Span, Timestamp};
use crate::units::Ratio;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many trials are awaited at once; the oldest gives way.
const AWAITED_MAX: usize = 1_000;
/// How many measured trials are kept, treated and withheld together, so that both come from the same stretch of time: at
/// 1 in 5 they are 800 and 200. Withheld ones from an older stretch would measure the weather and call it effect.
const MEASURED_MAX: usize = 1_000;
/// Fewer say nothing: 20 pairs, over the five withheld that come with 20 treated at 1 in 5.
const PAIRS_MIN: usize = 20;
const WITHHELD_MIN: usize = 5;
/// A share this many standard errors from one half is no chance. The reading may be looked at after every trial: for a
/// thousand trials kept, a level of z is passed about z phi(z) times, either way, per thousand more; 4 makes that one
/// false reading in some 900,000 trials, where 3.3 (one look in a thousand) would give one in 90,000, and the usual 1.96
/// one in 4,400.
const Z_READ: f64 = 4.0;
/// A damped loop is paused when it still reads as harmful after so many more pairs.
const PAIRS_TO_PAUSE: u64 = 20;
/// How long a paused loop rests before it may try again, knowing nothing: long enough for the situation to be another,
/// short enough for four tries a day.
pub const PAUSE: Span = Span::hours(6);
/// What a damped loop's steps are multiplied with.
pub const DAMPED: f64 = 0.5;

/// One adjustment whose effect is awaited: it happened, or was withheld by chance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// The change's id, or the withheld adjustment's.
    pub id: u64,
    pub target: Target,
    /// The aim when it was decided, in its own unit; lower is better.
    pub before: f64,
    pub due: Timestamp,
    pub withheld: bool,
}

/// A trial whose aim was measured again when it was due.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub before: f64,
    /// before − after: positive is better.
    pub improvement: f64,
    pub withheld: bool,
}

/// What the pairs say of a loop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Too few pairs to say.
    #[default]
    Unknown,
    Helps,
    /// No effect that could be told from chance.
    NoEffect,
    Harms,
}

impl Reading {
    pub const ALL: [Reading; 4] = [Reading::Unknown, Reading::Helps, Reading::NoEffect, Reading::Harms];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reading::Unknown => "unknown",
            Reading::Helps => "helps",
            Reading::NoEffect => "no_effect",
            Reading::Harms => "harms",
        }
    }
}

/// The measured effect of one loop. Plain data; every part has its end.
///
/// A loop that reads as harmful is damped at once: its steps are halved, until it reads so no more. When it still does
/// after 20 more pairs it should be paused; six hours later it may begin again, with no evidence for or against it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Effect {
    awaited: VecDeque<Trial>,
    measured: VecDeque<Measured>,
    /// Treated trials measured since the evidence was last cleared.
    treated_total: u64,
    /// What `treated_total` was when the loop was damped; none when it is not.
    damped_at: Option<u64>,
    /// Until when the loop rests.
    paused_until: Option<Timestamp>,
}

/// Share of pairs won by the treated, and its variance were there no effect.
#[derive(Clone, Copy, Debug)]
struct Pairs {
    share: f64,
    variance: f64,
}

impl Effect {
    /// A trial begins. `before` has to be finite.
    pub fn open(&mut self, trial: Trial) {
        assert!(trial.before.is_finite(), "a trial needs an aim that was measured");
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back(trial);
    }

    /// The trials that are due; each is to be taken out and closed.
    pub fn due(&self, now: Timestamp) -> Vec<Trial> {
        self.awaited.iter().filter(|trial| trial.due <= now).cloned().collect()
    }

    /// Takes a trial out, by its number.
    pub fn take(&mut self, id: u64) -> Option<Trial> {
        let at = self.awaited.iter().position(|trial| trial.id == id)?;
        self.awaited.remove(at)
    }

    /// A trial ends with the aim as it stands now; one without is dropped, as nothing can be said of it.
    pub fn close(&mut self, trial: Trial, after: Option<f64>) {
        let Some(improvement) = after.map(|after| trial.before - after).filter(|change| change.is_finite()) else {
            return;
        };
        if self.measured.len() == MEASURED_MAX {
            self.measured.pop_front();
        }
        self.measured.push_back(Measured { before: trial.before, improvement, withheld: trial.withheld });
        if trial.withheld {
            return;
        }
        self.treated_total += 1;
        match self.reading() {
            Reading::Harms => _ = self.damped_at.get_or_insert(self.treated_total),
            Reading::Helps | Reading::NoEffect | Reading::Unknown => self.damped_at = None,
        }
    }

    /// How many trials are awaited.
    pub fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// What was measured, oldest first.
    pub fn measured(&self) -> impl ExactSizeIterator<Item = &Measured> {
        self.measured.iter()
    }

    /// The share (0 to 1) of adjustments after which the aim improved more than in the like situation where one was
    /// withheld; equal counts half. One half is no effect. None under 20 pairs.
    pub fn effectiveness(&self) -> Option<f64> {
        self.pairs().map(|pairs| pairs.share)
    }

    pub fn reading(&self) -> Reading {
        match self.pairs() {
            None => Reading::Unknown,
            Some(pairs) => {
                let z = (pairs.share - 0.5) / pairs.variance.sqrt();
                if z > Z_READ {
                    Reading::Helps
                } else if z < -Z_READ {
                    Reading::Harms
                } else {
                    Reading::NoEffect
                }
            }
        }
    }

    /// What the loop's steps are to be multiplied with: 1, or one half while it reads as harmful.
    pub fn damping(&self) -> f64 {
        if self.damped_at.is_some() { DAMPED } else { 1.0 }
    }

    /// Whether the loop, damped, went on doing harm and should be stopped.
    pub fn should_pause(&self) -> bool {
        self.paused_until.is_none() && self.damped_at.is_some_and(|then| self.treated_total >= then + PAIRS_TO_PAUSE)
    }

    /// The loop is stopped: it rests for six hours.
    pub fn pause(&mut self, now: Timestamp) {
        self.paused_until = Some(now + PAUSE);
    }

    /// Until when the loop rests, when it does.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    /// Whether a paused loop has rested long enough.
    pub fn should_resume(&self, now: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| now >= until)
    }

    /// The loop goes on, with cleared evidence: what it did before was done in another situation.
    pub fn resume(&mut self) {
        *self = Effect::default();
    }

    fn pairs(&self) -> Option<Pairs> {
        let mut withheld: Vec<Measured> = self.measured.iter().filter(|m| m.withheld).copied().collect();
        let treated = self.measured.len() - withheld.len();
        if treated < PAIRS_MIN || withheld.len() < WITHHELD_MIN {
            return None;
        }
        withheld.sort_by(|a, b| a.before.total_cmp(&b.before));
        let mut weights = vec![0.0; withheld.len()];
        let mut won = 0.0;
        for one in self.measured.iter().filter(|m| !m.withheld) {
            let like = nearest(&withheld, one.before);
            let count = like.len() as f64;
            let mut halves = 0;
            for at in like {
                weights[at] += 1.0 / count;
                halves += match one.improvement.total_cmp(&withheld[at].improvement) {
                    std::cmp::Ordering::Greater => 2,
                    std::cmp::Ordering::Equal => 1,
                    std::cmp::Ordering::Less => 0,
                };
            }
            won += f64::from(halves) / (2.0 * count);
        }
        let n = treated as f64;
        let reuse: f64 = weights.iter().map(|weight| (weight / n).powi(2)).sum();
        Some(Pairs { share: won / n, variance: (2.0 / n + reuse) / 12.0 })
    }
}

/// Those whose `before` is nearest, among them sorted by it: all of one value, as an aim often has few of them.
fn nearest(sorted: &[Measured], before: f64) -> std::ops::Range<usize> {
    let up = sorted.partition_point(|m| m.before < before);
    let distance = |at: usize| (sorted[at].before - before).abs();
    let at = match (up.checked_sub(1), up < sorted.len()) {
        (Some(down), true) => {
            if distance(down) < distance(up) {
                down
            } else {
                up
            }
        }
        (Some(down), false) => down,
        (None, _) => up,
    };
    let value = sorted[at].before;
    sorted.partition_point(|m| m.before < value)..sorted.partition_point(|m| m.before <= value)
}

/// Whether an adjustment is withheld: true in `share` of all calls. `chance` is the caller's, and moves on by one draw.
pub fn withhold(chance: &mut u64, share: Ratio) -> bool {
    // The upper 53 bits are a number from 0 to 1, 1 excluded: a share of 0 never withholds, a share of 1 always does.
    ((splitmix64(chance) >> 11) as f64) / ((1u64 << 53) as f64) < share.get()
}

/// The next of a sequence of 64-bit numbers that look like chance (Steele, Lea and Flood, OOPSLA 2014). Not for secrets.
pub(crate) fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::ParameterKind;

    fn uniform(chance: &mut u64) -> f64 {
        (splitmix64(chance) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Twelve uniforms make a bell, near enough.
    fn bell(chance: &mut u64) -> f64 {
        (0..12).map(|_| uniform(chance)).sum::<f64>() - 6.0
    }

    fn trial(id: u64, before: f64, withheld: bool) -> Trial {
        let target = Target::Factor(ParameterKind::LearningRate);
        Trial { id, target, before, due: Timestamp::from_secs(id as i64), withheld }
    }

    /// What a whole run of a loop showed.
    struct Told {
        effect: Effect,
        /// Readings seen along the way, every tenth adjustment.
        seen: Vec<Reading>,
        /// Share of adjustments that happened after which the aim was better than before.
        better: f64,
        /// The first adjustment at which the loop was damped, and at which it should be paused.
        damped: Option<usize>,
        pause: Option<usize>,
    }

    /// A loop that acts whenever its noisy aim (mean 0, spread 1, `memory` of its last value) is over 1. Its act moves
    /// what is measured next by `effect`.
    fn run(seed: u64, adjustments: usize, memory: f64, effect: f64) -> Told {
        let mut chance = seed;
        let mut told = Told { effect: Effect::default(), seen: vec![], better: 0.0, damped: None, pause: None };
        let (mut aim, mut better, mut acted) = (0.0, 0, 0);
        let mut id = 0;
        while id < adjustments {
            aim = memory * aim + (1.0 - memory * memory).sqrt() * bell(&mut chance);
            if aim <= 1.0 {
                continue;
            }
            id += 1;
            let withheld = withhold(&mut chance, Ratio::clamped(0.2));
            told.effect.open(trial(id as u64, aim, withheld));
            aim = memory * aim + (1.0 - memory * memory).sqrt() * bell(&mut chance);
            let after = aim + if withheld { 0.0 } else { effect };
            for due in told.effect.due(Timestamp::from_secs(id as i64)) {
                if !withheld {
                    acted += 1;
                    better += usize::from(after < due.before);
                }
                let due = told.effect.take(due.id).expect("awaited");
                told.effect.close(due, Some(after));
            }
            if id % 10 == 0 {
                told.seen.push(told.effect.reading());
            }
            if told.effect.damping() < 1.0 {
                told.damped.get_or_insert(id);
            }
            if told.effect.should_pause() {
                told.pause.get_or_insert(id);
            }
        }
        told.better = better as f64 / acted as f64;
        told
    }

    #[test]
    fn a_loop_that_does_nothing_reads_no_effect_although_all_looks_better_afterwards() {
        for memory in [0.0, 0.3] {
            let mut honest = 0;
            for seed in 1..=20 {
                let told = run(seed, 2_000, memory, 0.0);
                assert!(told.better > 0.8, "before and after alone would praise it: {} (seed {seed})", told.better);
                let never_misled = told.seen.iter().all(|r| matches!(r, Reading::Unknown | Reading::NoEffect));
                honest += usize::from(never_misled && told.effect.reading() == Reading::NoEffect);
                let share = told.effect.effectiveness().unwrap();
                assert!((share - 0.5).abs() < 0.13, "{share} (seed {seed})");
            }
            assert!(honest >= 19, "{honest} of 20 placebo loops were never misread (memory {memory})");
        }
    }

    #[test]
    fn the_variance_is_what_many_placebo_loops_show() {
        let (mut squares, mut runs) = (0.0, 0.0);
        for seed in 1..=300 {
            let pairs = run(seed, 400, 0.3, 0.0).effect.pairs().unwrap();
            squares += (pairs.share - 0.5).powi(2) / pairs.variance;
            runs += 1.0;
        }
        let ratio: f64 = squares / runs;
        assert!((0.8..1.2).contains(&ratio), "mean square of z is {ratio}, 1 is right");
    }

    #[test]
    fn a_loop_that_helps_reads_helps() {
        for seed in 1..=20 {
            let told = run(seed, 500, 0.3, -1.0);
            assert_eq!(told.effect.reading(), Reading::Helps, "seed {seed}");
            assert!(told.effect.effectiveness().unwrap() > 0.65);
            assert_eq!((told.damped, told.pause), (None, None), "seed {seed}");
        }
    }

    #[test]
    fn a_small_effect_reads_none() {
        let read = |effect: f64| {
            let helps = (1..=24).filter(|seed| run(*seed, 1_000, 0.3, effect).effect.reading() == Reading::Helps);
            helps.count()
        };
        let (large, half, small) = (read(-0.7), read(-0.5), read(-0.3));
        println!("of 24 runs (seeds 1 to 24) read as help: {large} of .7 sigma, {half} of .5, {small} of .3");
        assert!(large >= 22 && (13..=23).contains(&half) && small <= 8, "{large} {half} {small}");
    }

    #[test]
    fn a_loop_that_harms_is_damped_then_paused_then_may_begin_anew() {
        for seed in 1..=20 {
            let told = run(seed, 500, 0.3, 1.0);
            assert_eq!(told.effect.reading(), Reading::Harms, "seed {seed}");
            assert!(told.better > 0.3, "and yet {} look better than before", told.better);
            let (damped, pause) = (told.damped.expect("damped"), told.pause.expect("to be paused"));
            assert!(damped < pause && pause - damped >= 20 && pause < 500, "seed {seed}: {damped} {pause}");

            let mut effect = told.effect;
            let now = Timestamp::from_secs(1_700_000_000);
            effect.pause(now);
            assert!(!effect.should_pause() && !effect.should_resume(now + Span::minutes(359)));
            assert!(effect.should_resume(now + Span::hours(6)));
            effect.resume();
            assert_eq!((effect.reading(), effect.damping(), effect.paused_until()), (Reading::Unknown, 1.0, None));
        }
    }

    #[test]
    fn nothing_is_said_under_twenty_pairs_or_without_enough_that_was_withheld() {
        let mut effect = Effect::default();
        let mut close = |count: usize, withheld: bool, after: f64| {
            for _ in 0..count {
                effect.close(trial(1, 1.0, withheld), Some(after));
            }
            (effect.effectiveness(), effect.reading())
        };
        assert_eq!(close(100, false, 0.0), (None, Reading::Unknown), "no control");
        assert_eq!(close(4, true, 1.0), (None, Reading::Unknown));
        // All better than their like, but five controls are five: that is no proof.
        assert_eq!(close(1, true, 1.0), (Some(1.0), Reading::NoEffect));
        assert_eq!(close(10, true, 1.0), (Some(1.0), Reading::Helps));

        let mut effect = Effect::default();
        for id in 0..19 {
            effect.close(trial(id, 1.0, false), Some(0.0));
            effect.close(trial(id, 1.0, true), Some(0.0));
        }
        assert_eq!(effect.effectiveness(), None);
        effect.close(trial(20, 1.0, false), Some(0.0));
        assert_eq!(effect.effectiveness(), Some(0.5), "equal counts half");
    }

    #[test]
    fn like_is_compared_with_like() {
        // From 0.9 all fall by 0.8 by themselves, from 0.1 by nothing; the adjustment adds nothing in either place, but
        // happened mostly where the fall is deep.
        let mut effect = Effect::default();
        for turn in 0..300 {
            let withheld = turn % 5 == 0;
            let high = if withheld { turn % 2 == 0 } else { turn % 10 != 1 };
            let before = if high { 0.9 } else { 0.1 };
            effect.close(trial(turn, before, withheld), Some(0.1));
        }
        let share = effect.effectiveness().unwrap();
        assert!((share - 0.5).abs() < 1e-9, "{share}");
    }

    #[test]
    fn trials_come_back_when_due_and_everything_has_an_end() {
        let mut effect = Effect::default();
        for id in 0..1_500 {
            effect.open(trial(id, 0.5, false));
        }
        assert_eq!(effect.awaited(), 1_000, "the oldest gave way");
        let due = effect.due(Timestamp::from_secs(999));
        assert_eq!((due.len(), due[0].id, due[499].id), (500, 500, 999));
        for trial in due {
            let trial = effect.take(trial.id).expect("awaited");
            effect.close(trial, None);
        }
        assert_eq!(effect.awaited(), 500);
        effect.close(trial(1, 0.5, false), Some(f64::NAN));
        assert_eq!(effect.measured().len(), 0, "what could not be measured says nothing");
        for id in 0..3_000 {
            effect.close(trial(id, 0.5, false), Some(0.4));
        }
        assert_eq!(effect.measured().len(), 1_000);
        let text = serde_json::to_string(&effect).unwrap();
        assert_eq!(serde_json::from_str::<Effect>(&text).unwrap(), effect);
    }

    #[test]
    fn chance_withholds_its_share_and_repeats_from_its_seed() {
        let draw = |seed: u64, share: f64| -> Vec<bool> {
            let mut chance = seed;
            (0..10_000).map(|_| withhold(&mut chance, Ratio::clamped(share))).collect()
        };
        let withheld = draw(1, 0.2).iter().filter(|withheld| **withheld).count();
        assert!((1_850..2_150).contains(&withheld), "{withheld} of 10,000");
        assert_eq!(draw(1, 0.2), draw(1, 0.2));
        assert_ne!(draw(1, 0.2), draw(2, 0.2));
        assert!(draw(1, 0.0).iter().all(|withheld| !withheld) && draw(1, 1.0).iter().all(|withheld| *withheld));
        let mut state = 0;
        assert_eq!(splitmix64(&mut state), 0xe220_a839_7b1d_cdaf, "the reference implementation's first number");
    }
}
