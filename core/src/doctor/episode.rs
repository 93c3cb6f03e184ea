//! Which excursions of a series look as if they mattered, when nobody said so.
//!
//! At every level a series makes excursions. How long they last beyond a level falls off exponentially where nothing but
//! chance holds them up (Rice, 1945; Leadbetter, Lindgren and Rootzén, 1983), so an excursion that outlasts the others of its
//! series at its level by far was held up by something. What holds it up may be a backup: that comes back by the clock. What
//! is left is weighed in odds; the weights were fitted on simulated months that the tests do not use.

use super::search::WORTH;
use super::trace::{Trace, Watched};
use crate::replay::Range;
use crate::stats;
use crate::time::Timestamp;
use crate::time::zone::Zone;

/// The levels an excursion is looked for at, as shares of the values that lie under them.
const LEVELS: [f64; 11] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9998, 0.9999];
/// And between the last of them and the highest value.
const BEYOND: [f64; 3] = [0.25, 0.5, 0.75];
/// Dips so short do not end an excursion.
const DIP_MINUTES: f64 = 3.0;
/// How long excursions last where no other one is there to say it.
const USUAL_MINUTES: f64 = 5.0;
/// Shorter ones are bursts, whatever they look like.
const SHORTEST_MINUTES: f64 = 4.0;
/// Less likely ones are none.
const LEAST: f64 = 0.02;
const DAY_MS: i64 = 86_400_000;
const WEEK_MINUTES: f64 = 10_080.0;

/// A stretch of one trace.
#[derive(Clone, PartialEq, Debug)]
pub struct Episode {
    pub trace: usize,
    /// Evaluations, the last one excluded.
    pub from: usize,
    pub to: usize,
    /// The level it stands out at.
    pub level: f64,
    pub features: Features,
    /// 0 to 1: the probability that it mattered.
    pub serious: f64,
    /// What telling of it is worth, in pages, if it did.
    pub worth: f64,
}

/// What the odds are made of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Features {
    /// Decades of surprise: minus the logarithm of how many excursions this long are to be expected by chance.
    pub surprise: f64,
    /// Others of the series at this level, a week, that last at least half as long.
    pub alike: f64,
    /// How high the series usually is at this time of day, or of the week, as a share of the height of this excursion.
    pub usual: f64,
    pub minutes: f64,
    /// Its middle value, in distances from the series' median to its 95th percentile.
    pub height: f64,
    /// Whether its middle value is beyond the literal that people chose.
    pub beyond: bool,
}

impl Features {
    /// Logistic.
    fn serious(&self) -> f64 {
        let odds = -4.4 + 0.1 * self.surprise.clamp(-1.0, 5.0)
            - 1.8 * (1.0 + self.alike).ln()
            - 5.5 * self.usual.clamp(0.0, 1.0)
            + 1.9 * (self.minutes / 20.0).ln().clamp(-2.0, 1.5)
            + 1.8 * self.height.max(0.1).ln().clamp(-1.0, 3.0)
            + 0.8 * f64::from(u8::from(self.beyond));
        1.0 / (1.0 + (-odds).exp())
    }
}

/// The episodes of all traces, none overlapping another of its trace, with any probability to have mattered. `range` says when
/// they were evaluated, `literal` is the present one, oriented as the traces are.
pub fn episodes(watched: &Watched, range: &Range, zone: &Zone, literal: f64) -> Vec<Episode> {
    let clock = Clock { start: range.start, step_ms: watched.step_ms, zone };
    let of_trace = |(at, trace): (usize, &Trace)| of_trace(at, trace, watched, &clock, literal);
    watched.traces.iter().enumerate().flat_map(of_trace).collect()
}

fn of_trace(at: usize, trace: &Trace, watched: &Watched, clock: &Clock<'_>, literal: f64) -> Vec<Episode> {
    let mut sorted: Vec<f64> = trace.values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(highest) = sorted.last().copied() else { return Vec::new() };
    let (middle, high) = (stats::quantile(&sorted, 0.5), stats::quantile(&sorted, 0.95));
    let distance = (literal - middle).abs();
    let spread = (high - middle).max(0.01 * distance).max(1e-6 * middle.abs()).max(f64::MIN_POSITIVE);
    let mut levels: Vec<f64> = LEVELS.iter().map(|share| stats::quantile(&sorted, *share)).collect();
    let outermost = levels[LEVELS.len() - 1];
    levels.extend(BEYOND.iter().map(|part| outermost + part * (highest - outermost)));
    levels.push(literal);
    levels.retain(|level| *level < highest);
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let mut found: Vec<Episode> = Vec::new();
    for level in levels {
        let excursions = Excursions::of(&trace.values, level, watched, clock);
        for (nth, run) in excursions.runs.iter().enumerate() {
            let Some((surprise, alike)) = excursions.surprise(nth) else { continue };
            let mut inside: Vec<f64> =
                trace.values[run.0..run.1].iter().copied().filter(|value| value.is_finite()).collect();
            inside.sort_by(f64::total_cmp);
            let here = stats::quantile(&inside, 0.5);
            let mut features = Features {
                surprise,
                alike,
                usual: 0.0,
                minutes: excursions.minutes(*run),
                height: (here - middle) / spread,
                beyond: watched.holds(here, literal),
            };
            if features.serious() < LEAST {
                continue;
            }
            features.usual = clock.usual(&trace.values, *run).map_or(0.0, |usual| (usual - middle) / (here - middle));
            let (from, to) = *run;
            found.push(Episode { trace: at, from, to, level, features, serious: features.serious(), worth: WORTH });
        }
    }
    found.sort_by(|a, b| b.serious.total_cmp(&a.serious).then(a.from.cmp(&b.from)));
    let mut apart: Vec<Episode> = Vec::new();
    for episode in found {
        if episode.serious >= LEAST && apart.iter().all(|other| episode.to <= other.from || other.to <= episode.from) {
            apart.push(episode);
        }
    }
    apart.sort_by_key(|episode| episode.from);
    apart
}

/// When evaluations are, by the clock that people live by.
struct Clock<'a> {
    start: Timestamp,
    step_ms: i64,
    zone: &'a Zone,
}

impl Clock<'_> {
    /// The evaluation that is so many days later by the local clock.
    fn shifted(&self, evaluation: usize, days: i64) -> i64 {
        let at = self.start.millis() + evaluation as i64 * self.step_ms;
        let local = |at: i64| self.zone.local(Timestamp::from_millis(at));
        let guess = at + days * DAY_MS;
        let at = guess + (local(at) + days * DAY_MS - local(guess));
        (at - self.start.millis()).div_euclid(self.step_ms)
    }

    /// What the values usually are at the time of `run`, on other days or on the same day of other weeks, whichever is more.
    /// They may come a little earlier or later. `None` in the first days.
    fn usual(&self, values: &[f64], run: (usize, usize)) -> Option<f64> {
        let slack = self.evaluations(10.0) as i64;
        let length = (run.1 - run.0).min(self.evaluations(60.0)) as i64;
        let on = |days: i64| {
            let from = self.shifted(run.0, days);
            let window = usize::try_from(from - slack).ok()?..usize::try_from(from + length + slack).ok()?;
            let mut there: Vec<f64> = values.get(window)?.iter().copied().filter(|value| value.is_finite()).collect();
            // What was exceeded for half as long.
            let kth = there.len().checked_sub(1 + length as usize / 2)?;
            Some(*there.select_nth_unstable_by(kth, f64::total_cmp).1)
        };
        let last = (values.len() as i64 * self.step_ms) / DAY_MS + 1;
        let median = |every: i64, least: usize| {
            let mut others: Vec<f64> =
                (-last..=last).filter(|day| *day != 0 && day % every == 0).filter_map(on).collect();
            others.sort_by(f64::total_cmp);
            (others.len() >= least).then(|| others[(others.len() - 1) / 2])
        };
        let (day, week) = (median(1, 2), median(7, 2));
        day.into_iter().chain(week).reduce(f64::max)
    }

    fn minutes(&self, evaluations: usize) -> f64 {
        evaluations as f64 * self.step_ms as f64 / 60_000.0
    }

    fn evaluations(&self, minutes: f64) -> usize {
        (minutes * 60_000.0 / self.step_ms as f64).round() as usize
    }
}

/// All excursions of one trace beyond one level.
struct Excursions<'a> {
    runs: Vec<(usize, usize)>,
    evaluations: usize,
    /// Sorted, in minutes.
    lengths: Vec<f64>,
    total: f64,
    clock: &'a Clock<'a>,
}

impl<'a> Excursions<'a> {
    fn of(values: &[f64], level: f64, watched: &Watched, clock: &'a Clock<'a>) -> Excursions<'a> {
        let dip = clock.evaluations(DIP_MINUTES);
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (at, value) in values.iter().enumerate() {
            if !watched.holds(*value, level) {
                continue;
            }
            match runs.last_mut() {
                Some(last) if at - last.1 <= dip && at - last.1 <= last.1 - last.0 => last.1 = at + 1,
                _ => runs.push((at, at + 1)),
            }
        }
        let mut lengths: Vec<f64> = runs.iter().map(|run| clock.minutes(run.1 - run.0)).collect();
        let total = lengths.iter().sum();
        lengths.sort_by(f64::total_cmp);
        Excursions { runs, evaluations: values.len(), lengths, total, clock }
    }

    fn minutes(&self, run: (usize, usize)) -> f64 {
        self.clock.minutes(run.1 - run.0)
    }

    /// Decades of surprise at the length of the `nth`, and how many a week are alike. `None` for bursts.
    fn surprise(&self, nth: usize) -> Option<(f64, f64)> {
        let minutes = self.minutes(self.runs[nth]);
        if minutes < SHORTEST_MINUTES {
            return None;
        }
        let count = self.lengths.len() as f64;
        // Of the others, and of one more that is as long as usual.
        let usual = (self.total - minutes + USUAL_MINUTES) / count;
        let surprise = (minutes / usual - count.ln()) / std::f64::consts::LN_10;
        let alike = self.lengths.len() - self.lengths.partition_point(|other| *other < minutes / 2.0) - 1;
        let weeks = self.clock.minutes(self.evaluations) / WEEK_MINUTES;
        Some((surprise, alike as f64 / weeks.max(1.0 / 7.0)))
    }
}
