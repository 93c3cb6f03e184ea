//! How strange a series is: features of each value, each against its own past.
//!
//! A feature's strangeness is the negative logarithm of the share of its past that reached as far, over the logarithm of how
//! long that past is: 1 is "never yet", whatever the feature's distribution. A broken record adds by how many octaves.

use super::histogram::{Histogram, WHOLE, bin};
use super::log::log2;
use super::season::Table;
use super::week::Week;
use crate::calendar::on_sunday;
use crate::feedback::weights::SCORING;
use serde::{Deserialize, Serialize};

/// Rates of the running means: of some twenty, fifty and a thousand samples, and of a few.
const FAST: f32 = 0.05;
const MEDIUM: f32 = 0.02;
const SLOW: f32 = 0.001;
const FEW: f32 = 0.3;

/// Samples before anything is scored, and before anything is put into the histograms.
const WARM: u32 = 40;
const SETTLED: u32 = 21;

/// Bins of the histograms: up to 330 times the usual size. What lies above is told apart by the record.
const BINS: usize = 32;
/// Samples that a histogram holds before it forgets by halves.
const HELD: u16 = 30_000;

/// Parts of the day: ten minutes.
const DAY_PARTS: usize = 144;
const DAY_MS: i64 = 86_400_000;

/// No size is under this share of the level, or that share of the slow spread.
const LEVEL_FLOOR: f32 = 0.002;
const SPREAD_FLOOR: f32 = 0.05;

/// The features, in this order: a value's distance from the fast mean, of the medium from the slow mean; steps larger than
/// usual; the distance from the season; states never seen; steps smaller than usual; the distance from the long-term
/// median; the mean of a few from the fast mean.
const SPIKE: usize = 0;
const LEVEL: usize = 1;
const RESTLESS: usize = 2;
const SEASON: usize = 3;
const STATE: usize = 4;
const QUIET: usize = 5;
const FAR: usize = 6;
const SHORT: usize = 7;
const FEATURES: usize = SCORING;

/// Those that are held against their past, by where that is kept.
const COUNTED: [usize; FEATURES - 1] = [SPIKE, LEVEL, RESTLESS, SEASON, QUIET, FAR, SHORT];

/// What each feature counts at an onset, and while something lasts.
const ONSET: [f32; FEATURES] = [0.97, 0.84, 0.67, 0.87, 0.81, 0.85, 0.05, 0.0];
const LASTING: [f32; FEATURES] = [0.8, 0.7, 0.5, 1.2, 0.8, 0.3, 0.8, 1.0];

/// What an octave beyond the record counts.
const RECORD_ONSET: f32 = 0.4866;
const RECORD_LASTING: f32 = 0.3;
/// A record fades, so that it can be broken again.
const RECORD_FADES: f32 = 0.99995;

/// A value so many slow spreads away is no more than that for the slow means: one wild reading carries nothing away.
const WILD: f32 = 200.0;

/// A size counts as no more than so many usual ones where it is learned, and a time of day is learned from no farther: an
/// incident carries neither away.
const CLIPPED: f32 = 6.0;

/// From this strangeness on a feature speaks in an alert.
const SPEAKS: f32 = 0.5;

/// How much the largest feature counts beside the sum of all.
const LARGEST: f32 = 0.5;

/// Rates at which the scores are smoothed; the peak that an onset has to exceed fades by that.
const ONSET_SMOOTH: f32 = 0.1;
const LASTING_SMOOTH: f32 = 0.15;
const LASTING_SLOW: f32 = 0.03;
const PEAK_FADES: f32 = 0.999;

/// Of the lasting score, how much is its slow mean, and how much of the whole is its rank in its own past.
const SLOW_SHARE: f32 = 0.6;
const RANK_SHARE: f32 = 0.7;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Scorer {
    count: u32,
    fast: f32,
    medium: f32,
    slow: f32,
    few: f32,
    /// Goes up and down by equal steps: near the median.
    middle: f32,
    previous: f32,
    /// The usual sizes of the features.
    spike: f32,
    level: f32,
    short: f32,
    step_fast: f32,
    step_slow: f32,
    season: f32,
    far: f32,
    spread: f32,
    day: Table<DAY_PARTS>,
    /// How far values lie from the day's table alone, and from it with the week's.
    day_error: f32,
    week_error: f32,
    states: States,
    histograms: [Histogram<BINS>; FEATURES - 1],
    records: [f32; FEATURES - 1],
    /// The lasting score's own past.
    past: Past,
    onset_mean: f32,
    peak: f32,
    lasting_mean: f32,
    lasting_slow: f32,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Scores {
    /// How strange it is, as long as it is.
    pub lasting: f32,
    /// High when something begins, and quiet while it goes on.
    pub onset: f32,
    /// How far each feature is beyond what is half as strange as never seen: what speaks in an alert.
    pub spoke: [f32; FEATURES],
}

/// Which sequences of three coarse states were seen; some share a bit.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct States {
    seen: [u64; 8],
    last: u8,
    before: u8,
}

/// Where a coarse state ends, in deviations from the slow mean: a hyperbolic tangent in steps of a quarter, and its limit.
const STATES_END: [f32; 8] =
    [-0.972_955_1, -0.549_306_15, -0.255_412_8, 0.0, 0.255_412_8, 0.549_306_15, 0.972_955_1, 8.4616];

impl States {
    /// Whether this sequence was never seen; it is seen now.
    fn is_new(&mut self, deviations: f32) -> bool {
        let state = STATES_END.iter().map(|end| u8::from(deviations >= *end)).sum();
        let at = ((usize::from(state) * 31 + usize::from(self.last)) * 31 + usize::from(self.before)) % 512;
        (self.before, self.last) = (self.last, state);
        let (word, bit) = (at / 64, 1 << (at % 64));
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }
}

/// A score's past in eighths of octaves, from an eighth to two.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Past {
    histogram: Histogram<BINS>,
    record: f32,
}

impl Past {
    /// How strange a score is among those before it.
    fn rank(&self, score: f32) -> f32 {
        let total = self.histogram.total();
        let share = (self.histogram.from(Self::bin(score)) + 1.0) / (total + 2.0);
        let rank = -log2(share) / log2(total + 10.0);
        if score > self.record && self.record > 0.0 { rank + RECORD_ONSET * log2(score / self.record) } else { rank }
    }

    fn see(&mut self, score: f32) {
        self.histogram.add(Self::bin(score), WHOLE, HELD);
        self.record = (self.record * RECORD_FADES).max(score);
    }

    fn bin(score: f32) -> usize {
        if score > 1e-30 { (8.0 * (log2(score) + 3.0)).clamp(0.0, BINS as f32 - 1.0) as usize } else { 0 }
    }
}

#[inline]
fn toward(mean: &mut f32, value: f32, rate: f32) {
    *mean += rate * (value - *mean);
}

impl Scorer {
    /// Reads from its first, and from behind the day.
    #[inline]
    pub fn touched(&self) -> u32 {
        self.count ^ self.spread.to_bits() ^ self.day_error.to_bits() ^ u32::from(self.states.last)
    }

    pub fn new(first: f32) -> Scorer {
        Scorer {
            count: 0,
            fast: first,
            medium: first,
            slow: first,
            few: first,
            middle: first,
            previous: first,
            spike: 0.0,
            level: 0.0,
            short: 0.0,
            step_fast: 0.0,
            step_slow: 0.0,
            season: 0.0,
            far: 0.0,
            spread: 0.0,
            day: Table::default(),
            day_error: 0.0,
            week_error: 0.0,
            states: States::default(),
            histograms: Default::default(),
            records: [0.0; FEATURES - 1],
            past: Past::default(),
            onset_mean: 0.0,
            peak: 0.0,
            lasting_mean: 0.0,
            lasting_slow: 0.0,
        }
    }

    /// Takes over how features of a series like it are distributed: they are in units of what each usually does.
    pub fn inherit(&mut self, sibling: &Scorer) {
        for (mine, theirs) in self.histograms.iter_mut().zip(&sibling.histograms) {
            *mine = theirs.thinned();
        }
        self.records = sibling.records;
        self.past = Past { histogram: sibling.past.histogram.thinned(), record: sibling.past.record };
    }

    /// What is usual is again as it was before; where the series is now, and what is quiet after an onset, stay.
    pub fn forget(&mut self, before: Scorer) {
        *self = Scorer {
            fast: self.fast,
            medium: self.medium,
            few: self.few,
            previous: self.previous,
            onset_mean: self.onset_mean,
            peak: self.peak,
            lasting_mean: self.lasting_mean,
            ..before
        };
    }

    /// Scores a value against what came before, then learns from it. `clock` is the local time in milliseconds; each feature
    /// counts as much as its weight says. A holiday is compared with Sundays, as far as those are known to be days of their
    /// own, and is part of no season.
    pub fn step(&mut self, value: f32, clock: i64, holiday: bool, week: &Week, weights: &[f32; FEATURES]) -> Scores {
        self.count = self.count.saturating_add(1);
        let floor = LEVEL_FLOOR * self.slow.abs() + SPREAD_FLOOR * self.spread + 1e-12;
        let part = part_of(clock, DAY_MS, DAY_PARTS);
        let by_day = self.day.mean(part);
        let hour = week.of_hour(if holiday { on_sunday(clock) } else { clock });
        let weekly = hour.is_some();
        let by_week = hour.unwrap_or(by_day);
        let tells = weekly && self.week_error < self.day_error;
        let known = self.day.met(part) >= 2 && (tells || !holiday);
        let expected = if tells { by_week } else { by_day };

        let away = [value - self.fast, self.medium - self.slow, value - expected, value - self.middle];
        let short = self.few + FEW * (value - self.few) - self.fast;
        let step = (value - self.previous).abs();
        let restless = (self.step_fast + 0.1 * floor) / (self.step_slow + 0.1 * floor);
        let mut features = [0.0; FEATURES];
        features[SPIKE] = away[0].abs() / (self.spike + floor);
        features[LEVEL] = away[1].abs() / (self.level + floor);
        features[RESTLESS] = restless;
        features[SEASON] = away[2].abs() / (self.season + floor);
        features[QUIET] = 1.0 / restless;
        features[FAR] = away[3].abs() / (self.far + floor);
        features[SHORT] = short.abs() / (self.short + floor);
        let new_state = self.states.is_new((value - self.slow) / (2.0 * self.spread + 1e-12));

        let (onset, lasting, spoke) = self.combine(&features, known, new_state, weights);
        let scores = Scores { spoke, ..self.smooth(onset, lasting) };
        self.learn(value, away, short, step, floor);
        if known && !holiday {
            let (day, week) = ((value - by_day).abs(), (value - by_week).abs());
            let size = away[2].abs().min(CLIPPED * self.season + floor);
            let rate = SLOW.max(1.0 / (self.count as f32));
            toward(&mut self.season, size, rate);
            toward(&mut self.day_error, day, rate);
            toward(&mut self.week_error, if weekly { week } else { day }, rate);
        }
        if !holiday && let Some((part, mean)) = self.day.see(part, value) {
            let (before, reach) = (self.day.mean(part), CLIPPED * (self.season + floor));
            let known = self.day.met(part) >= 2;
            let tame = if known { mean.clamp(before - reach, before + reach) } else { mean };
            self.day.learn(part, tame, 0.25, self.spread);
        }
        self.previous = value;
        scores
    }

    /// Each feature against its past, and the past with it. Half the largest, half the sum.
    fn combine(
        &mut self,
        features: &[f32; FEATURES],
        season_known: bool,
        new_state: bool,
        weights: &[f32; FEATURES],
    ) -> (f32, f32, [f32; FEATURES]) {
        let mut spoke = [0.0; FEATURES];
        let (mut onset_sum, mut onset_most, mut lasting_sum, mut lasting_most) = (0.0, 0.0_f32, 0.0, 0.0_f32);
        let warm = self.count > WARM;
        let counted = COUNTED.map(|feature| (features[feature], bin::<BINS>(features[feature])));
        if warm {
            let mut shares = [1.0; COUNTED.len()];
            for ((share, histogram), (_, bin)) in shares.iter_mut().zip(&self.histograms).zip(counted) {
                *share = (histogram.from(bin) + 1.0) / (histogram.total() + 2.0);
            }
            let logs = shares.map(log2);
            let (mut ranks, mut octaves) = ([0.0; FEATURES], [0.0; FEATURES]);
            ranks[STATE] = if new_state { 1.0 } else { 0.0 };
            let mut known = (0.0, 1.0);
            for (place, feature) in COUNTED.into_iter().enumerate() {
                let total = self.histograms[place].total();
                if total != known.0 {
                    known = (total, log2(total + 10.0));
                }
                ranks[feature] = -logs[place] / known.1;
                let (value, highest) = (features[feature], self.records[place]);
                if value > highest && highest > 0.0 {
                    octaves[feature] = log2(value / highest);
                }
            }
            for feature in 0..FEATURES {
                if feature == SEASON && !season_known {
                    continue;
                }
                let (rank, octaves) = (ranks[feature], octaves[feature]);
                let onset = (rank + RECORD_ONSET * octaves) * ONSET[feature] * weights[feature];
                let lasting = (rank + RECORD_LASTING * octaves) * LASTING[feature] * weights[feature];
                spoke[feature] = (rank + octaves - SPEAKS) * weights[feature];
                onset_sum += onset;
                onset_most = onset_most.max(onset);
                lasting_sum += lasting;
                lasting_most = lasting_most.max(lasting);
            }
        }
        if self.count > SETTLED {
            for (place, (value, bin)) in counted.into_iter().enumerate() {
                if COUNTED[place] != SEASON || season_known {
                    self.histograms[place].add(bin, WHOLE, HELD);
                    let record = &mut self.records[place];
                    *record = (*record * RECORD_FADES).max(value).min(1e30);
                }
            }
        }
        let both = |most: f32, sum: f32| LARGEST * most + (1.0 - LARGEST) * sum;
        (both(onset_most, onset_sum), both(lasting_most, lasting_sum), spoke)
    }

    fn smooth(&mut self, onset: f32, lasting: f32) -> Scores {
        toward(&mut self.onset_mean, onset, ONSET_SMOOTH);
        let onset = 0.5 * (onset + self.onset_mean);
        let stands_out = onset > self.peak;
        if stands_out {
            self.peak = onset;
        }
        self.peak *= PEAK_FADES;

        toward(&mut self.lasting_mean, lasting, LASTING_SMOOTH);
        toward(&mut self.lasting_slow, lasting, LASTING_SLOW);
        let lasting = (1.0 - SLOW_SHARE) * 0.5 * (lasting + self.lasting_mean) + SLOW_SHARE * self.lasting_slow;
        let rank = if self.count > WARM + 20 { self.past.rank(lasting) } else { 0.0 };
        if self.count > WARM {
            self.past.see(lasting);
        }
        Scores {
            lasting: (1.0 - RANK_SHARE) * lasting + RANK_SHARE * rank,
            onset: if stands_out { onset } else { 0.1 * onset },
            ..Scores::default()
        }
    }

    fn learn(&mut self, value: f32, away: [f32; 4], short: f32, step: f32, floor: f32) {
        let early = self.count <= WARM;
        let at_least = 1.0 / (self.count as f32);
        let (fast, medium, slow, few) =
            (FAST.max(at_least), MEDIUM.max(at_least), SLOW.max(at_least), FEW.max(at_least));
        let clipped = |size: f32, usual: f32| if early { size } else { size.min(CLIPPED * usual + floor) };
        let size = clipped(away[0].abs(), self.spike);
        toward(&mut self.spike, size, medium);
        let size = clipped(away[3].abs(), self.far);
        toward(&mut self.far, size, slow);
        self.middle += slow * if away[3] > 0.0 { size } else { -size };
        self.fast += fast * away[0];
        let reach = WILD * (self.spread + floor);
        let tame = if early { value } else { value.clamp(self.slow - reach, self.slow + reach) };
        toward(&mut self.medium, value, medium);
        toward(&mut self.slow, tame, slow);
        toward(&mut self.few, value, few);
        toward(&mut self.level, away[1].abs(), slow);
        toward(&mut self.step_fast, step, fast);
        toward(&mut self.step_slow, step, slow);
        let spread = (tame - self.slow).abs();
        toward(&mut self.spread, spread, slow);
        toward(&mut self.short, short.abs(), slow);
    }
}

#[inline]
pub(super) fn part_of(clock: i64, period: i64, parts: usize) -> usize {
    (clock.rem_euclid(period) * parts as i64 / period) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART_MS: i64 = DAY_MS / DAY_PARTS as i64;
    const TEN: usize = 10 * 6;

    /// A day by the ten minutes: 100 at midnight, 160 at noon, up to 6 beside that, and what else there is at an hour.
    fn follow(scorer: &mut Scorer, day: i64, beside: impl Fn(i64) -> f32) {
        for part in 0..DAY_PARTS as i64 {
            let n = day * DAY_PARTS as i64 + part;
            let usual = 130.0 - 30.0 * (part as f32 / DAY_PARTS as f32 * std::f32::consts::TAU).cos();
            let noise = (n * 7919 % 13 - 6) as f32;
            scorer.step(usual + noise + beside(part / 6), n * PART_MS, false, &Week::default(), &[1.0; FEATURES]);
        }
    }

    #[test]
    fn an_incident_of_hours_carries_no_time_of_day_away_and_a_level_that_stays_is_learned() {
        let mut scorer = Scorer::new(100.0);
        (0..14).for_each(|day| follow(&mut scorer, day, |_| 0.0));
        let before = scorer.day.mean(TEN);
        assert!((before - 156.0).abs() < 6.0, "{before}");
        follow(&mut scorer, 14, |hour| if (8..14).contains(&hour) { 5_000.0 } else { 0.0 });
        let after = scorer.day.mean(TEN);
        assert!((after - before).abs() < 15.0, "{before} {after}: a quarter of it would be 1,250");

        (15..29).for_each(|day| follow(&mut scorer, day, |_| 400.0));
        let there = scorer.day.mean(TEN);
        assert!((there - before - 400.0).abs() < 30.0, "{before} {there}");
    }
}
