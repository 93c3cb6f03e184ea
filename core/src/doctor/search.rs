//! Which literal and which `for` tell of what may have mattered, and of little else.
//!
//! Every pair of them is worth something: the episodes it tells of, each by the probability that it mattered, less the pages
//! that are about nothing, at a price. The price is raised until the pages are within the budget, and no further: an incident
//! that is missed costs more than a night's sleep. So that history is not taken at its word, the worth of a pair is averaged with that of its
//! neighbours, and one incident is counted in that nobody has seen yet: it may stand anywhere between the present literal and
//! the highest that the series reach, and last from ten minutes to six hours. That is what holds a literal down and a `for` short
//! where history says nothing, and makes the smallest change that does the best one.

use super::episode::Episode;
use super::trace::Watched;
use super::{Limits, round};

/// What telling of an incident is worth, in pages.
pub const WORTH: f64 = 10.0;
/// What it is worth where people said that it mattered.
pub const WORTH_SAID: f64 = 40.0;
/// Pages about an episode that was told of already, against pages about nothing.
const AGAIN: f64 = 0.2;
/// Prices of a page about nothing, tried in this order.
const PRICES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];
/// How many literals are tried.
const LITERALS: usize = 48;
/// How long a `for` is tried, in minutes.
const HOLDS: [i64; 9] = [0, 1, 2, 3, 5, 10, 15, 20, 30];
/// Incidents that nobody has seen last so long, in minutes, evenly by ratio.
const UNSEEN_MINUTES: (f64, f64) = (10.0, 360.0);
/// A page begins no earlier and no later than this about an episode, in minutes.
const EARLY_MINUTES: f64 = 5.0;
const LATE_MINUTES: f64 = 10.0;

/// What one pair would have given on the history.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tally {
    pub pages: f64,
    /// Pages about nothing, each as far as it is.
    pub ordinary: f64,
    /// Pages about what was told of already.
    pub again: f64,
    /// The worth of the episodes told of.
    pub told: f64,
}

impl Tally {
    fn worth(&self, price: f64) -> f64 {
        self.told - price * (self.ordinary + AGAIN * self.again)
    }
}

/// A pair, in the rule's own terms.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Choice {
    pub literal: f64,
    pub for_ms: i64,
    pub tally: Tally,
}

pub struct Search<'a> {
    pub watched: &'a Watched,
    pub episodes: &'a [Episode],
    pub limits: &'a Limits,
    /// As they stand.
    pub literal: f64,
    pub for_ms: i64,
    /// Ordinary pages that the whole history may have.
    pub pages: f64,
}

/// The stretches of one trace beyond a level: where each starts, and how many evaluations it lasts.
fn stretches(values: &[f64], watched: &Watched, level: f64, mut each: impl FnMut(usize, usize)) {
    let mut start = None;
    for (at, value) in values.iter().enumerate() {
        match (watched.holds(*value, level), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                each(from, at - from);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        each(from, values.len() - from);
    }
}

impl Search<'_> {
    /// The best pair, and the present one.
    pub fn best(&self) -> (Choice, Choice) {
        let present =
            Choice { literal: self.literal, for_ms: self.for_ms, tally: self.tallies(self.literal, &[self.for_ms])[0] };
        let (literals, holds) = (self.literals(), self.holds());
        if literals.is_empty() {
            return (present, present);
        }
        let tallies: Vec<Vec<Tally>> = literals.iter().map(|literal| self.tallies(*literal, &holds)).collect();
        let reach = self.reach();
        let mut best = present;
        for price in PRICES {
            let worth: Vec<Vec<f64>> = literals
                .iter()
                .zip(&tallies)
                .map(|(literal, row)| {
                    let unseen = |hold: &i64| WORTH * self.unseen(*literal, *hold, reach);
                    row.iter().zip(&holds).map(|(tally, hold)| tally.worth(price) + unseen(hold)).collect()
                })
                .collect();
            let worth = smoothed(&worth);
            let pairs = (0..literals.len()).flat_map(|i| (0..holds.len()).map(move |j| (i, j)));
            let Some((i, j)) = pairs.max_by(|a, b| worth[a.0][a.1].total_cmp(&worth[b.0][b.1])) else { break };
            best = Choice { literal: literals[i], for_ms: holds[j], tally: tallies[i][j] };
            if best.tally.ordinary <= self.pages {
                break;
            }
        }
        (best, present)
    }

    /// What a literal gives with each of these durations.
    fn tallies(&self, literal: f64, holds: &[i64]) -> Vec<Tally> {
        let level = literal * self.watched.sign;
        let runs: Vec<usize> = holds.iter().map(|hold| self.watched.run(*hold)).collect();
        let mut tallies = vec![Tally::default(); holds.len()];
        let mut told: Vec<Vec<bool>> = vec![vec![false; self.episodes.len()]; holds.len()];
        let slack = |minutes: f64| (minutes * 60_000.0 / self.watched.step_ms as f64).round() as usize;
        let (early, late) = (slack(EARLY_MINUTES), slack(LATE_MINUTES));
        let mut first = 0;
        for (at, trace) in self.watched.traces.iter().enumerate() {
            let of_trace = self.episodes[first..].iter().take_while(|episode| episode.trace == at).count();
            let own = first..first + of_trace;
            first += of_trace;
            stretches(&trace.values, self.watched, level, |start, length| {
                for (nth, run) in runs.iter().enumerate() {
                    if length < *run {
                        continue;
                    }
                    let began = start + run - 1;
                    let about = |nth: &usize| {
                        let episode = &self.episodes[*nth];
                        began + early >= episode.from && began < episode.to + late
                    };
                    let tally = &mut tallies[nth];
                    tally.pages += 1.0;
                    // Of two that it may be about, the likelier one.
                    let likelier =
                        |a: &usize, b: &usize| self.episodes[*a].serious.total_cmp(&self.episodes[*b].serious);
                    match own.clone().filter(about).max_by(likelier) {
                        Some(episode) => {
                            let serious = self.episodes[episode].serious;
                            tally.ordinary += 1.0 - serious;
                            if std::mem::replace(&mut told[nth][episode], true) {
                                tally.again += serious;
                            } else {
                                tally.told += self.episodes[episode].worth * serious;
                            }
                        }
                        None => tally.ordinary += 1.0,
                    }
                }
            });
        }
        tallies
    }

    /// The highest that a literal could still tell of, oriented.
    fn reach(&self) -> f64 {
        let highest =
            |values: &[f64]| values.iter().copied().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        self.watched.traces.iter().map(|trace| highest(&trace.values)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The chance that an incident that nobody has seen yet is told of.
    fn unseen(&self, literal: f64, for_ms: i64, reach: f64) -> f64 {
        let (level, present) = (literal * self.watched.sign, self.literal * self.watched.sign);
        let height =
            if level <= present || reach <= present { 1.0 } else { ((reach - level) / (reach - present)).max(0.0) };
        let minutes = for_ms as f64 / 60_000.0;
        let (shortest, longest) = UNSEEN_MINUTES;
        let lasts = 1.0 - (minutes / shortest).max(1.0).ln() / (longest / shortest).ln();
        height * lasts.max(0.0)
    }

    /// The literals to try, from the least alarming to the most, the present one among them.
    fn literals(&self) -> Vec<f64> {
        let sign = self.watched.sign;
        let mut seen: Vec<f64> = Vec::new();
        // What is exceeded a little less often than the fifth of all times, so that literals lie where series live.
        let total: usize = self.watched.traces.iter().map(|trace| trace.values.len()).sum();
        let every = (total / 200_000).max(1);
        for trace in &self.watched.traces {
            seen.extend(trace.values.iter().step_by(every).copied().filter(|value| value.is_finite()));
        }
        seen.sort_by(f64::total_cmp);
        let (Some(highest), false) = (seen.last().copied(), seen.is_empty()) else { return Vec::new() };
        let present = self.literal * sign;
        let low = crate::stats::quantile(&seen, 0.8).min(present);
        let high = self.reach().max(highest);
        let by_ratio = low > 0.0 && high / low > 5.0;
        let at = |part: f64| if by_ratio { low * (high / low).powf(part) } else { low + (high - low) * part };
        let mut levels: Vec<f64> = (0..LITERALS).map(|nth| at(nth as f64 / LITERALS as f64)).collect();
        let apart = |nth: usize| (at((nth as f64 + 1.0) / LITERALS as f64) - at(nth as f64 / LITERALS as f64)).abs();
        for (nth, level) in levels.iter_mut().enumerate() {
            *level = sign * round::nice(*level * sign, apart(nth) / 2.0, self.limits.whole);
        }
        levels.push(present);
        let within = |literal: f64| {
            let inside = self.limits.clamp.is_none_or(|(least, most)| least < literal && literal < most);
            inside
                && self.limits.least.is_none_or(|least| literal >= least)
                && self.limits.most.is_none_or(|most| literal <= most)
        };
        // One that nothing ever exceeded cannot be known to fire.
        levels.retain(|level| within(level * sign) && *level < high || *level == present);
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        levels.into_iter().map(|level| level * sign).collect()
    }

    /// The durations to try, the present one among them, none shorter than an evaluation takes unless it is none at all.
    fn holds(&self) -> Vec<i64> {
        let mut holds: Vec<i64> = HOLDS.iter().map(|minutes| minutes * 60_000).collect();
        holds.retain(|hold| *hold == 0 || *hold >= self.watched.step_ms);
        holds.push(self.for_ms);
        holds.sort_unstable();
        holds.dedup();
        holds
    }
}

/// Each averaged with its neighbours in both directions, itself counting twice.
fn smoothed(worth: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let over = |values: &dyn Fn(usize) -> f64, at: usize, count: usize| {
        let (before, after) = (at.saturating_sub(1), (at + 1).min(count - 1));
        (values(before) + 2.0 * values(at) + values(after)) / 4.0
    };
    let rows: Vec<Vec<f64>> =
        worth.iter().map(|row| (0..row.len()).map(|j| over(&|at| row[at], j, row.len())).collect()).collect();
    (0..rows.len()).map(|i| (0..rows[i].len()).map(|j| over(&|at| rows[at][j], i, rows.len())).collect()).collect()
}
