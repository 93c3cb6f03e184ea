//! Which literal and which `for` tell of what may have mattered, and of little else.
//!
//! Every pair of them is worth something: the episodes it tells of, each by the probability that it mattered, less the pages
//! that are about nothing, at a price (expected utility; Savage, 1954). The price starts low and is raised while there are
//! far more pages than the budget allows, but not so far that incidents would pay for it: one that is missed costs more than a
//! night's sleep. History is not taken at its word. The next incidents will be like those that were seen, at heights of
//! their own (a kernel estimate; Silverman, 1986), or like none: anywhere between the present literal and the highest that
//! the series reach, from ten minutes to six hours long. And the worth of a pair is averaged with that of its neighbours.
//! That is what holds a literal down and a `for` short where history says little.

use super::episode::Episode;
use super::trace::Watched;
use super::{Limits, round};
use crate::stats::normal;

/// What telling of an incident is worth, in pages.
pub const WORTH: f64 = 10.0;
/// What it is worth where people said that it mattered.
pub const WORTH_SAID: f64 = 20.0;
/// Pages about an episode that was told of already, against pages about nothing.
const AGAIN: f64 = 0.2;
/// From this probability on an episode says what the next ones may be like.
const SERIOUS: f64 = 0.3;
/// Prices of a page about nothing: the first one, and the others in turn where pages are still so many times the budget.
const PRICES: [f64; 3] = [0.15, 0.3, 0.6];
const FAR: f64 = 10.0;
/// The same where people said so often or oftener what a rule's pages were about: what looks serious is known to be, or not to be.
const FAR_JUDGED: f64 = 8.0;
const JUDGED: usize = 5;
/// A change leaves at most this part of the pages about nothing: one that does less is not worth anybody's time.
const LEFT_MOST: f64 = 0.5;
/// Where more is worse a literal comes down to this part of itself at most, and goes up as far where less is: somebody chose it.
const LOWER_MOST: f64 = 0.5;
/// Incidents like none that was seen: one in as much time again, and so many more for each that was seen.
const UNSEEN: f64 = 1.0;
const UNSEEN_PER_SEEN: f64 = 0.5;
/// What a change is worth less for being one, in pages: of two that do the same the one that stays is taken.
const CHANGE: f64 = 0.1;
/// To leave a rule over its budget as it is costs so much, in pages: of two pairs that are worth about the same the quieter is taken.
const STAY: f64 = 2.0;
/// And so much for each page about nothing beyond so many for each episode that mattered: a rule that hardly ever is about anything
/// does not stay for what nobody has seen yet.
const STAY_FALSE: f64 = 1.25;
const FALSE_MOST: f64 = 16.0;
/// What of an incident is at its height: the rest is the climb.
const AT_HEIGHT: f64 = 0.7;
/// A bandwidth is no narrower than this part of the way from the literal to the highest value.
const WIDTH_LEAST: f64 = 0.05;
/// How many literals are tried.
const LITERALS: usize = 48;
/// The durations that are tried, in minutes: a longer one misses the shorter incidents, whatever it saves.
const HOLDS: [i64; 7] = [0, 1, 2, 3, 5, 8, 10];
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
    /// How many of them mattered, each as far as it did.
    pub mattered: f64,
    /// How many of those told of people said that they mattered.
    pub heard: usize,
    /// Stretches that are too short, and how many of them end since there is no value any more, not since it comes back.
    pub short: usize,
    pub short_cut: usize,
}

impl Tally {
    /// Whether it can ever tell of anything, as far as is known. A guard that lets a value out for a moment alone, such as `unless` it
    /// was beyond a minute ago, makes every stretch too short.
    fn can_fire(&self) -> bool {
        self.pages > 0.0 || 2 * self.short_cut <= self.short
    }

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

#[derive(Clone, Copy)]
pub struct Search<'a> {
    pub watched: &'a Watched,
    pub episodes: &'a [Episode],
    pub limits: &'a Limits,
    /// The literal that somebody chose.
    pub chosen: f64,
    /// The pair that others are held against: as it stands, or would.
    pub literal: f64,
    pub for_ms: i64,
    /// None longer is looked for.
    pub for_most_ms: i64,
    pub keep_firing_for_ms: i64,
    /// Ordinary pages that the whole history may have.
    pub pages: f64,
    /// How often people said what its pages were about.
    pub judged: usize,
}

/// An episode that probably mattered: the highest level that each duration would have told of it at.
struct Seen {
    serious: f64,
    heights: Vec<f64>,
}

/// What the next incidents may be like: as those that were seen, or as nobody has seen yet.
struct Outlook {
    present: f64,
    reach: f64,
    roughness: f64,
    seen: Vec<Seen>,
    width: f64,
}

impl Outlook {
    /// Where all is above 0, levels are told apart by their ratio: errors, lags and queues span orders of magnitude.
    fn scale(&self, level: f64) -> f64 {
        if self.present > 0.0 { level.max(self.present * 1e-3).ln() } else { level }
    }

    /// How many are expected to be told of in as much time again.
    fn told(&self, level: f64, nth: usize, for_ms: i64, run: usize) -> f64 {
        let seen = |seen: &Seen| match seen.heights[nth] {
            height if height.is_finite() => {
                seen.serious * normal::cdf((self.scale(height) - self.scale(level)) / self.width)
            }
            _ => 0.0,
        };
        let unseen = UNSEEN + UNSEEN_PER_SEEN * self.seen.iter().map(|seen| seen.serious).sum::<f64>();
        self.seen.iter().map(seen).sum::<f64>() + unseen * self.unseen(level, for_ms, run)
    }

    /// The chance that one that nobody has seen yet is told of. The lowest of `run` values lies under the level of all of them.
    fn unseen(&self, level: f64, for_ms: i64, run: usize) -> f64 {
        let for_ms = for_ms as f64 / AT_HEIGHT;
        let level = self.scale(level + self.roughness * (2.0 * (run as f64).ln()).sqrt());
        let (present, reach) = (self.scale(self.present), self.scale(self.reach));
        let height =
            if level <= present || reach <= present { 1.0 } else { ((reach - level) / (reach - present)).max(0.0) };
        let minutes = for_ms / 60_000.0;
        let (shortest, longest) = UNSEEN_MINUTES;
        let lasts = 1.0 - (minutes / shortest).max(1.0).ln() / (longest / shortest).ln();
        height * lasts.max(0.0)
    }
}

/// The highest level that `run` values in a row are at or beyond; minus infinity where there are not as many.
fn sustained(values: &[f64], run: usize) -> f64 {
    let lowest = |window: &[f64]| {
        window.iter().fold(f64::INFINITY, |low, value| if value.is_nan() { f64::NEG_INFINITY } else { low.min(*value) })
    };
    values.windows(run).map(lowest).fold(f64::NEG_INFINITY, f64::max)
}

impl Search<'_> {
    /// The best pair, and the present one.
    pub fn best(&self) -> (Choice, Choice) {
        self.best_of(&self.holds())
    }

    /// The best literal for this duration, and the present pair.
    pub fn best_for(&self, for_ms: i64) -> (Choice, Choice) {
        self.best_of(&[for_ms])
    }

    /// What a pair would have given.
    pub fn choice(&self, literal: f64, for_ms: i64) -> Choice {
        Choice { literal, for_ms, tally: self.tallies(literal, &[for_ms]).0[0] }
    }

    fn best_of(&self, holds: &[i64]) -> (Choice, Choice) {
        let present = self.choice(self.literal, self.for_ms);
        let literals = self.literals();
        if literals.is_empty() {
            return (present, present);
        }
        let tallies: Vec<Vec<Tally>> = literals.iter().map(|literal| self.tallies(*literal, holds).0).collect();
        let outlook = self.outlook(holds);
        // Half of them, or as few as can be had with all that people said mattered.
        let left_most = self.pages.max(LEFT_MOST * present.tally.ordinary);
        let keeping = tallies.iter().flatten().filter(|tally| tally.heard >= present.tally.heard);
        let asked_most = keeping.map(|tally| tally.ordinary).fold(f64::INFINITY, f64::min).max(left_most);
        let far = self.pages * if self.judged < JUDGED { FAR } else { FAR_JUDGED };
        // To tell of more than anybody asked for may cost so much and no more.
        let unasked_most = left_most.min(far);
        let mut best = present;
        for price in PRICES {
            let worth: Vec<Vec<f64>> = literals
                .iter()
                .zip(&tallies)
                .map(|(literal, row)| {
                    let level = literal * self.watched.sign;
                    let ahead = |nth: usize| WORTH * outlook.told(level, nth, holds[nth], self.watched.run(holds[nth]));
                    let changed = |nth: usize| {
                        f64::from(u8::from(*literal != self.literal) + u8::from(holds[nth] != self.for_ms))
                    };
                    (0..holds.len()).map(|nth| row[nth].worth(price) + ahead(nth) - CHANGE * changed(nth)).collect()
                })
                .collect();
            let stay = STAY + STAY_FALSE * (present.tally.ordinary - FALSE_MOST * present.tally.mattered).max(0.0);
            let is_present = |i: usize, j: usize| literals[i] == self.literal && holds[j] == self.for_ms;
            let smooth = smoothed(&worth);
            let worth = |i: usize, j: usize| smooth[i][j] - if is_present(i, j) { stay } else { 0.0 };
            let pairs = (0..literals.len()).flat_map(|i| (0..holds.len()).map(move |j| (i, j)));
            let sign = self.watched.sign;
            let allowed = |(i, j): &(usize, usize)| {
                let asked = literals[*i] * sign >= self.literal * sign;
                let tally = &tallies[*i][*j];
                // What is there competes: or what was tuned would be tuned on and on, and tell of less each time.
                is_present(*i, *j)
                    || tally.can_fire() && tally.ordinary <= if asked { asked_most } else { unasked_most }
            };
            let best_pair = pairs.filter(allowed).max_by(|a, b| worth(a.0, a.1).total_cmp(&worth(b.0, b.1)));
            let Some((i, j)) = best_pair else { break };
            best = Choice { literal: literals[i], for_ms: holds[j], tally: tallies[i][j] };
            if best.tally.ordinary <= far {
                break;
            }
        }
        (best, present)
    }

    /// Which episodes a pair tells of, in their order.
    pub fn told(&self, literal: f64, for_ms: i64) -> Vec<bool> {
        self.tallies(literal, &[for_ms]).1.swap_remove(0)
    }

    /// What a literal gives with each of these durations, and which episodes it tells of.
    fn tallies(&self, literal: f64, holds: &[i64]) -> (Vec<Tally>, Vec<Vec<bool>>) {
        let level = literal * self.watched.sign;
        let runs: Vec<usize> = holds.iter().map(|hold| self.watched.run(*hold)).collect();
        let mut tallies = vec![Tally::default(); holds.len()];
        let mut told: Vec<Vec<bool>> = vec![vec![false; self.episodes.len()]; holds.len()];
        let slack = |minutes: f64| (minutes * 60_000.0 / self.watched.step_ms as f64).round() as usize;
        let (early, late) = (slack(EARLY_MINUTES), slack(LATE_MINUTES));
        let keeps =
            usize::try_from((self.keep_firing_for_ms + self.watched.step_ms - 1) / self.watched.step_ms).unwrap_or(0);
        let mut first = 0;
        for (at, trace) in self.watched.traces.iter().enumerate() {
            let mut fires_until = vec![0; runs.len()];
            let of_trace = self.episodes[first..].iter().take_while(|episode| episode.trace == at).count();
            let own = first..first + of_trace;
            first += of_trace;
            let holds = |value: f64| self.watched.holds(value, level);
            trace.stretches(holds, |start, length| {
                let end = start + length;
                let is_cut = trace.values.get(end).is_some_and(|value| value.is_nan());
                for (nth, run) in runs.iter().enumerate() {
                    let goes_on = start <= fires_until[nth] && fires_until[nth] > 0;
                    if length < *run && !goes_on {
                        tallies[nth].short += 1;
                        tallies[nth].short_cut += usize::from(is_cut);
                        continue;
                    }
                    fires_until[nth] = end + keeps;
                    if goes_on {
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
                                tally.mattered += serious;
                                tally.heard += usize::from(self.episodes[episode].worth > WORTH);
                            }
                        }
                        None => tally.ordinary += 1.0,
                    }
                }
            });
        }
        (tallies, told)
    }

    /// The highest that a literal could still tell of, oriented.
    fn reach(&self) -> f64 {
        let highest =
            |values: &[f64]| values.iter().copied().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        self.watched.traces.iter().map(|trace| highest(&trace.values)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// What the next incidents may be like, as a chance to be told of by each duration of `holds` and a level.
    fn outlook(&self, holds: &[i64]) -> Outlook {
        let reach = self.reach();
        let serious = self.episodes.iter().filter(|episode| episode.serious >= SERIOUS);
        let seen: Vec<Seen> = serious
            .map(|episode| {
                let trace = &self.watched.traces[episode.trace].values;
                let slack = (EARLY_MINUTES * 60_000.0 / self.watched.step_ms as f64) as usize;
                let (from, to) = (episode.from.saturating_sub(slack), (episode.to + slack).min(trace.len()));
                let height = |hold: &i64| sustained(&trace[from..to], self.watched.run(*hold));
                Seen { serious: episode.serious, heights: holds.iter().map(height).collect() }
            })
            .collect();
        let present = self.literal * self.watched.sign;
        let mut outlook = Outlook { present, reach, roughness: self.roughness(), seen, width: 0.0 };
        let mut first: Vec<f64> = outlook.seen.iter().map(|seen| outlook.scale(seen.heights[0])).collect();
        first.sort_by(f64::total_cmp);
        let spread = match first.as_slice() {
            [] => 0.0,
            _ => crate::stats::quantile(&first, 0.75) - crate::stats::quantile(&first, 0.25),
        };
        // Silverman's rule of thumb.
        let silverman = 0.9 * spread / 1.34 * (first.len().max(1) as f64).powf(-0.2);
        let least = WIDTH_LEAST * (outlook.scale(reach) - outlook.scale(present)).abs();
        outlook.width = silverman.max(least).max(f64::MIN_POSITIVE);
        outlook
    }

    /// How far values jump from one evaluation to the next where they are high: a median.
    fn roughness(&self) -> f64 {
        let mut jumps = Vec::new();
        for trace in &self.watched.traces {
            let mut sorted: Vec<f64> = trace.values.iter().copied().filter(|value| value.is_finite()).collect();
            sorted.sort_by(f64::total_cmp);
            let Some(high) = (!sorted.is_empty()).then(|| crate::stats::quantile(&sorted, 0.98)) else { continue };
            jumps.extend(
                trace
                    .values
                    .windows(2)
                    .filter(|two| two[0] >= high && two[1] >= high)
                    .map(|two| (two[1] - two[0]).abs()),
            );
        }
        jumps.sort_by(f64::total_cmp);
        if jumps.is_empty() { 0.0 } else { crate::stats::quantile(&jumps, 0.5) }
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
        let chosen = self.chosen * sign;
        let nearest = chosen - if sign > 0.0 { 1.0 - LOWER_MOST } else { 1.0 / LOWER_MOST - 1.0 } * chosen.abs();
        // One that nothing ever exceeded cannot be known to fire, and of series that were left out nothing is known below
        // the present one.
        let low = if self.watched.cut { chosen } else { f64::NEG_INFINITY };
        levels.retain(|level| within(level * sign) && *level < high && *level >= low.max(nearest) || *level == present);
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        levels.into_iter().map(|level| level * sign).collect()
    }

    /// The durations to try, the present one among them, none shorter than an evaluation takes unless it is none at all.
    fn holds(&self) -> Vec<i64> {
        let mut holds: Vec<i64> = HOLDS.iter().map(|minutes| minutes * 60_000).collect();
        holds.retain(|hold| *hold <= self.for_most_ms && (*hold == 0 || *hold >= self.watched.step_ms));
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
