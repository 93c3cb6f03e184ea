//! Whether to page now: how far a value lies from what was to be expected, in tails fitted to what such distances were, at
//! the level that the budget of pages leaves.
//!
//! What belongs to an alert is kept out of what is learned, or one incident would hide the next; but only as long as alerts
//! are rare, or a new way of life would page for ever.

mod learn;

use super::Part;
use super::Without;
use super::histogram::{Histogram, bin};
use super::log::log10;
use super::tail::Tail;
use super::week::{Expected, Week};
use crate::analyze::strategy::{AlertLevel, Asked, Outlook, Voice};
use crate::feedback::Verdict;
use crate::feedback::weights::PAGING;
use crate::monitor::Why;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;

/// Rates of the running means and errors.
const NEAR: f32 = 0.05;
const ERRORS: f32 = 0.01;
const USUAL: f32 = 0.002;
const RECENT: f32 = 0.2;
const DRIFT: f32 = 0.2;
const UNREST: f32 = 0.1;
const SLOW: f32 = 0.001;

/// Samples before anything is decided, before distances are counted, before they are clipped.
const WARM: u32 = 150;
const SETTLED: u32 = 20;
const CLIPPED: u32 = 60;
/// And before bounds are told.
const BOUNDED: u32 = 40;
/// However often samples come, nothing is decided in the first half hour: a host does much every few minutes only, and what was
/// never seen looks like trouble.
const WARM_S: f32 = 1800.0;
/// The same for a series that knows from another one what to expect.
const INHERITED_WARM: u32 = 50;
const INHERITED_BOUNDED: u32 = 20;
/// Samples before a series is told of to others.
const TOLD: u32 = 500;

const BINS: usize = 28;
const HELD: u16 = 20_000;
const WEEK_S: f32 = 604_800.0;
const DAY_S: f32 = 86_400.0;

/// The floor of every size: a share of the level, of the spread, and half of the smallest step ever seen.
const LEVEL_FLOOR: f32 = 0.002;
const SPREAD_FLOOR: f32 = 0.02;
const STEP_FLOOR: f32 = 0.5;

/// Several distances are looked at and each may page: that many decades rarer each has to be.
const SEVERAL: f32 = 0.6;
/// The level is never under this rarity, in decades.
const RARITY_MIN: f32 = 2.0;
/// What a page moves the level, in decades, as long as nobody says what it was; once it was false; and how far it may be
/// moved.
const STEP: f64 = 0.1;
const OCTAVE: f64 = std::f64::consts::LOG10_2;
const CORRECTION: (f64, f64) = (-1.0, 1.5);

/// An hour of the week that lies so many errors of the season from its time of day is different; two weeks that lie no more
/// apart agree.
const DIFFERENT: f32 = 1.2;
const ALIKE: f32 = 3.0;

/// An alert ends inside this share of the way to its bounds.
const RELEASE: f32 = 0.6;
/// Drift and unrest go on until they are so many decades inside the level.
const EASED: f32 = 1.5;
/// What goes on for so many samples, and half an hour, counts as usual; or for six hours, where that is less.
const ACCEPTED: f32 = 30.0;
const ACCEPTED_S: (f32, f32) = (1800.0, 21_600.0);
/// Samples for which the level before is remembered, so that a return to it does not page.
const REMEMBERED: NonZeroU16 = NonZeroU16::new(2000).expect("not 0");
/// Pages within half an hour, or three samples, are one.
const APART_S: f32 = 1800.0;
/// Alerts are kept out of what is learned while they are under this share of the last hundred samples.
const ALERTS_MAX: f32 = 0.1;
/// And while pages did not raise the level by so many decades: what goes on paging so much more often than asked, and nobody says
/// it mattered, is what the series does. It is so until the level is back.
const USUAL_FROM: f64 = 0.8;
/// What was seen so often then is as rare as that.
const KNOWN_FROM: f32 = 3.0;

/// A run of equal values says something once the series moved so often, and over so many samples.
const MOVES_MIN: u16 = 20;
const RUN_AFTER: u32 = 200;
const RUN_MIN: f32 = 4.0;
/// How rare being stuck is said to be.
const STUCK_RARITY: f32 = 10.0;

/// A value that many slow errors away is no more than that for the slow mean: one wild reading carries nothing away.
const WILD: f32 = 20.0;

/// What is clipped lies half a decade beyond the rarest that as many samples hold.
const BEYOND: f32 = 0.5;

/// Distances that are counted: to the forecast and to the usual, above and below; their drift; their size.
const UP: usize = 0;
const DOWN: usize = 1;
const ABOVE: usize = 2;
const BELOW: usize = 3;
const DRIFTING: usize = 4;
const RESTLESS: usize = 5;
const COUNTED: usize = 6;
const STUCK: usize = 6;

const WHY: [Why; PAGING] = [Why::High, Why::Low, Why::Above, Why::Below, Why::Drifting, Why::Restless, Why::Stuck];

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Decider {
    count: u32,
    near: f32,
    usual: f32,
    recent: f32,
    level: f32,
    /// Where the series lies beside its season now.
    offset: f32,
    /// As it came: two values may differ by less than the others tell apart.
    previous: f64,
    near_error: f32,
    near_square: f32,
    season_error: f32,
    season_square: f32,
    usual_error: f32,
    level_error: f32,
    smallest_step: f32,
    week: Week,
    histograms: [Histogram<BINS>; COUNTED],
    tails: [Tail; COUNTED],
    drift: f32,
    unrest: f32,
    run: f32,
    longest_run: f32,
    moves: u16,
    /// What the pages so far moved the level by, in decades; how many there were lately; how much of the time is alerts.
    correction: f64,
    storm: f32,
    alert_share: f32,
    /// The sample before lay beyond the level.
    beyond: bool,
    /// What it pages for was found to be what the series does.
    #[serde(default)]
    is_usual: bool,
    /// What is counted began with what a series like it counted.
    #[serde(default)]
    inherited: bool,
    /// Samples since the last alert.
    calm: u32,
    alert: Option<Alert>,
    before: Option<Before>,
}

/// The alert that holds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Alert {
    of: u8,
    samples: u16,
    hits: u16,
    quiet: u16,
    /// Inside these it ends; they move with the season where it was known.
    low: f32,
    high: f32,
    seasonal: bool,
}

/// The level that was given up for a new one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Before {
    near: f32,
    usual: f32,
    low: f32,
    high: f32,
    left: NonZeroU16,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Decision {
    pub alert: bool,
    pub why: Option<Why>,
    /// At an onset, by how many decades each distance lies beyond the level; 0 or less: it does not.
    pub spoke: Option<[f32; PAGING]>,
    /// How rare this is, over how rare it has to be.
    pub severity: f32,
    /// Too few samples were seen to say anything.
    pub early: bool,
    /// Between these lies what is ordinary, at the sensitivity, where that is asked.
    pub bounds: Option<(f64, f64)>,
}

/// What is to be expected of the next value.
#[derive(Clone, Copy)]
struct Forecast {
    value: f32,
    /// The usual distance, floored.
    size: f32,
    floor: f32,
    clock: i64,
    /// The season's mean now; 0 where it is not known yet.
    season: f32,
    /// How far this hour of the week lies from its time of day.
    beside: f32,
    /// The season says what to expect; of a holiday only where Sundays are days of their own.
    known: bool,
    holiday: bool,
}

/// What is seen in a value.
struct Seen {
    value: f32,
    exact: f64,
    forecast: Forecast,
    /// Its distance to the forecast, in usual ones.
    away: f32,
    /// How many samples before it had the same value.
    run: f32,
    sizes: [f32; COUNTED],
    /// As far as they are heard.
    rarities: [f32; PAGING],
    /// The rarest, and how rare.
    of: usize,
    rarity: f32,
    level: f32,
}

/// What is collected from distances too small to page by themselves.
#[derive(Clone, Copy)]
struct Evidence {
    drift: f32,
    unrest: f32,
}

enum Course {
    On,
    Over,
}

#[inline]
fn toward(mean: &mut f32, value: f32, rate: f32) {
    *mean += rate * (value - *mean);
}

impl Decider {
    /// Reads from its first, its last, and what each distance is held against.
    #[inline]
    pub fn touched(&self) -> u32 {
        let counted =
            self.histograms.iter().zip(&self.tails).map(|(histogram, tail)| histogram.touched() ^ tail.touched());
        counted.fold(self.count ^ self.near_error.to_bits() ^ self.run.to_bits(), |all, one| all ^ one)
    }

    pub fn new(first: f64) -> Decider {
        let exact = first;
        let first = first as f32;
        Decider {
            count: 0,
            near: first,
            usual: first,
            recent: first,
            level: first,
            offset: 0.0,
            previous: exact,
            near_error: 0.0,
            near_square: 0.0,
            season_error: 0.0,
            season_square: 0.0,
            usual_error: 0.0,
            level_error: 0.0,
            smallest_step: 0.0,
            week: Week::default(),
            histograms: Default::default(),
            tails: [Tail::default(); COUNTED],
            drift: 0.0,
            unrest: 0.0,
            run: 0.0,
            longest_run: 0.0,
            moves: 0,
            correction: 0.0,
            storm: 0.0,
            alert_share: 0.0,
            beyond: false,
            inherited: false,
            is_usual: false,
            calm: u32::MAX,
            alert: None,
            before: None,
        }
    }

    /// Takes over how distances of a series like it are distributed, and where its pages left the level: both are in units of
    /// what each usually does. So it takes only as many samples as tell what is usual here.
    pub fn inherit(&mut self, sibling: &Decider) {
        for (mine, theirs) in self.histograms.iter_mut().zip(&sibling.histograms) {
            *mine = theirs.thinned();
        }
        self.tails = sibling.tails;
        self.correction = sibling.correction;
        self.inherited = true;
    }

    /// Whether enough was seen to tell it of others.
    pub fn is_settled(&self) -> bool {
        self.count > TOLD
    }

    /// Samples before anything is decided, and before bounds are told.
    fn patience(&self) -> (u32, u32) {
        if self.inherited { (INHERITED_WARM, INHERITED_BOUNDED) } else { (WARM, BOUNDED) }
    }

    /// Decides on a value by what came before it, then learns from it. `clock` is the local time in milliseconds, `interval`
    /// the usual time between samples in seconds; `weights` says how far each distance is heard.
    pub fn step(
        &mut self,
        value: f64,
        clock: i64,
        interval: f32,
        asked: &Asked,
        weights: &[f32; PAGING],
        without: Without,
    ) -> Decision {
        self.count = self.count.saturating_add(1);
        let per_week = WEEK_S / interval;
        let forecast = self.forecast(clock, asked.moment.holiday, without);
        let seen = self.look(value, forecast, self.level(per_week, asked), weights, without);
        let mut evidence = self.evidence(seen.away);
        let (warm, bounded) = self.patience();
        let early = self.count <= bounded;
        let wanted = !early && asked.bounds;
        let bounds = if wanted { self.bounds(&seen.forecast, asked.outside as f32) } else { None };

        let sustained = matches!(asked.alert, AlertLevel::PerWeek(_)) || self.beyond;
        let seen_long = self.inherited || self.count as f32 * interval >= WARM_S;
        let may_page = self.count > warm && seen_long && !asked.young && sustained;
        self.beyond = seen.is_beyond();
        let mut hit = may_page && seen.is_beyond();
        let mut far = hit && seen.is_far();
        if far && self.alert.is_none() {
            // Drift and unrest are collected from values inside the bounds only.
            evidence = Evidence { drift: self.drift, unrest: self.unrest };
        }
        if self.returns(&seen, hit) {
            (hit, far) = (false, false);
            evidence = self.settle(&seen.forecast);
        }
        let (mut why, mut spoke) = (None, None);
        let mut alert = self.alert.take();
        match &mut alert {
            None if hit => {
                why = Some(WHY[seen.of]);
                spoke = Some(seen.rarities.map(|rarity| rarity - seen.level));
                alert = Some(self.begin(&seen, interval, asked, weights));
                self.calm = 0;
            }
            None => self.calm = self.calm.saturating_add(1),
            Some(held) => {
                self.calm = 0;
                match held.go_on(&seen, hit, far) {
                    Course::On if held.outlasts(interval, self.drift.abs() < 2.0) => {
                        self.remember(held, &seen.forecast);
                        evidence = self.settle(&seen.forecast);
                        alert = None;
                    }
                    Course::On => {}
                    Course::Over => alert = None,
                }
            }
        }
        self.alert = alert;
        self.ease(per_week, asked);
        let severity = if self.count > warm { seen.rarity / seen.level } else { 0.0 };
        self.learn(&seen, evidence, interval, without);
        Decision { alert: self.alert.is_some(), why, spoke, severity, early, bounds }
    }

    /// How strange the newest value is by each of the distances, by what is known now; nothing where it is too early to say.
    /// What was collected from small distances is as it stands, with the newest one in it. What is heard half as far has to be
    /// twice as rare, in decades.
    pub fn voices(
        &self,
        value: f64,
        clock: i64,
        interval: f32,
        asked: &Asked,
        weights: &[f32; PAGING],
        without: Without,
    ) -> Vec<Voice> {
        if self.count <= self.patience().0 {
            return Vec::new();
        }
        let level = self.level(WEEK_S / interval, asked);
        let mut plain = [1.0; PAGING];
        plain[STUCK] = weights[STUCK];
        let forecast = self.forecast(clock, asked.moment.holiday, without);
        let mut rarities = self.look(value, forecast, level, &plain, without).rarities;
        rarities[DRIFTING] = self.rarity(DRIFTING, self.drift.abs(), without);
        rarities[RESTLESS] = self.rarity(RESTLESS, self.unrest, without);
        let voice = |(of, feature): (usize, &Why)| Voice {
            feature: *feature,
            rarity: f64::from(rarities[of]),
            level: f64::from(if of == STUCK { level } else { level / weights[of] }),
        };
        WHY.iter().enumerate().map(voice).collect()
    }

    /// What the hours of the week usually are.
    pub fn week(&self) -> &Week {
        &self.week
    }

    pub fn outlook(&self) -> Outlook {
        Outlook {
            samples: f64::from(self.count),
            correction: self.correction,
            recent_pages: f64::from(self.storm),
            wander: f64::from((self.level_error + 1e-12) / (self.near_error + 1e-12)),
            heaviness: f64::from(self.tails[UP].shape().max(self.tails[DOWN].shape())),
            is_usual: self.is_usual,
        }
    }

    /// The local mean, or the season with its present offset where that has been the better one. A holiday is like a Sunday;
    /// as long as those are not known by themselves it is expected to go on as it began.
    fn forecast(&self, clock: i64, holiday: bool, without: Without) -> Forecast {
        let smallest_step = if without.has(Part::Resolution) { 0.0 } else { self.smallest_step };
        let floor = LEVEL_FLOOR * self.usual.abs()
            + SPREAD_FLOOR * (self.usual_error + self.level_error)
            + STEP_FLOOR * smallest_step
            + 1e-12;
        let noise = DIFFERENT * self.season_square.sqrt();
        let expected = match holiday {
            _ if without.has(Part::Season) => None,
            true => self.week.on_sunday(clock, noise),
            false => self.week.expected(clock, noise),
        };
        let known = expected.is_some();
        let Expected { value: season, beside } = expected.unwrap_or_default();
        let tells = known && self.season_error > 0.0 && self.season_error < 0.95 * self.near_error;
        let (value, error) = match tells {
            true => (season + self.offset, self.season_error.max(0.8 * self.season_square.sqrt())),
            false => (self.near, self.near_error.max(0.8 * self.near_square.sqrt())),
        };
        let beside = if tells { beside } else { 0.0 };
        Forecast { value, size: error + floor, floor, clock, season, beside, known, holiday }
    }

    /// The rarity, in decades, beyond which a value pages.
    fn level(&self, per_week: f32, asked: &Asked) -> f32 {
        let decades = match asked.alert {
            AlertLevel::PerWeek(pages) => {
                let ordinary = log10((f64::from(per_week) / pages) as f32) + SEVERAL;
                (f64::from(ordinary) + self.correction + asked.shift) as f32
            }
            AlertLevel::Rarity(decades) => (decades + asked.shift) as f32,
        };
        decades.max(RARITY_MIN)
    }

    fn look(&self, exact: f64, forecast: Forecast, level: f32, weights: &[f32; PAGING], without: Without) -> Seen {
        let value = exact as f32;
        let away = (value - forecast.value) / forecast.size;
        let aside = (value - self.usual - forecast.beside) / (self.usual_error + forecast.floor);
        let run = if exact == self.previous { self.run + 1.0 } else { 0.0 };
        let evidence = self.evidence(away);
        let sizes =
            [away.max(0.0), (-away).max(0.0), aside.max(0.0), (-aside).max(0.0), evidence.drift.abs(), evidence.unrest];
        let mut rarities = [0.0; PAGING];
        for at in 0..COUNTED {
            rarities[at] = weights[at] * self.rarity(at, sizes[at], without);
        }
        let moved = self.count > RUN_AFTER && self.moves > MOVES_MIN;
        // It is as rare as ever: heard half as far, it has to last twice as long.
        if moved && run >= RUN_MIN && weights[STUCK] * run >= 2.0 * self.longest_run + 2.0 {
            rarities[STUCK] = STUCK_RARITY;
        }
        let (mut of, mut rarity) = (STUCK, 0.0);
        for (at, candidate) in rarities.iter().enumerate() {
            if *candidate > rarity {
                (of, rarity) = (at, *candidate);
            }
        }
        Seen { value, exact, forecast, away, run, sizes, rarities, of, rarity, level }
    }

    /// By the tail; and where what it pages for was found to be usual, no rarer than it was.
    fn rarity(&self, of: usize, size: f32, without: Without) -> f32 {
        let rarity = self.tails[of].rarity(size);
        if without.has(Part::Tail) {
            let histogram = &self.histograms[of];
            let count = histogram.from(bin::<BINS>(size));
            return if rarity > 0.0 { -log10((count + 1.0) / (histogram.total() + 2.0)) } else { 0.0 };
        }
        if !self.is_usual || rarity <= RARITY_MIN {
            return rarity;
        }
        let histogram = &self.histograms[of];
        let count = histogram.from(bin::<BINS>(size));
        if count < KNOWN_FROM { rarity } else { rarity.min(-log10((count + 1.0) / (histogram.total() + 2.0))) }
    }

    fn evidence(&self, away: f32) -> Evidence {
        Evidence {
            drift: self.drift + DRIFT * (away.clamp(-4.0, 4.0) - self.drift),
            unrest: self.unrest + UNREST * (away.abs().min(5.0) - self.unrest),
        }
    }

    /// Where so many of the distances to the forecast end that `outside` of them lie beyond on each side.
    #[cold]
    fn bounds(&self, forecast: &Forecast, outside: f32) -> Option<(f64, f64)> {
        let reach = |of: usize| match self.tails[of].holds(outside) {
            true => self.tails[of].value_at(-log10(outside)),
            false => Some(self.histograms[of].exceeded_by(outside)),
        };
        let (lower, upper) =
            (forecast.value - reach(DOWN)? * forecast.size, forecast.value + reach(UP)? * forecast.size);
        (lower.is_finite() && upper.is_finite() && lower < upper).then_some((lower.into(), upper.into()))
    }

    fn begin(&mut self, seen: &Seen, interval: f32, asked: &Asked, weights: &[f32; PAGING]) -> Alert {
        if let AlertLevel::PerWeek(pages) = asked.alert {
            // Many pages in a day are one incident: each counts the less.
            let apart = (APART_S / interval).max(3.0);
            let day = (2.0 * pages / 7.0) as f32;
            if (self.calm as f32) > apart {
                self.correction += STEP / f64::from(1.0 + (self.storm - day).max(0.0) / (1.0 + day));
                self.storm += 1.0;
            }
        }
        let forecast = &seen.forecast;
        let aside = self.usual_error + forecast.floor;
        let reach = |near: usize, usual: usize, sign: f32| {
            let at_level = |of: usize| self.tails[of].value_at(seen.level / weights[of]);
            let by_near = at_level(near).map(|size| forecast.value + sign * size * forecast.size);
            let by_usual = at_level(usual).map(|size| self.usual + forecast.beside + sign * size * aside);
            [by_near, by_usual].into_iter().flatten()
        };
        let upper = reach(UP, ABOVE, 1.0).fold(1e30, f32::min);
        let lower = reach(DOWN, BELOW, -1.0).fold(-1e30, f32::max);
        let from = if seen.of == ABOVE || seen.of == BELOW { self.usual + forecast.beside } else { forecast.value };
        let season = if forecast.known { forecast.season } else { 0.0 };
        Alert {
            of: seen.of as u8,
            samples: 1,
            hits: 1,
            quiet: 0,
            low: from + RELEASE * (lower - from) - season,
            high: from + RELEASE * (upper - from) - season,
            seasonal: forecast.known,
        }
    }

    /// Whether this is the way back to the level that was given up.
    fn returns(&mut self, seen: &Seen, hit: bool) -> bool {
        let Some(before) = self.before else { return false };
        let left = NonZeroU16::new(before.left.get() - 1);
        let inside = before.low <= seen.value && seen.value <= before.high;
        let back = self.alert.is_none() && hit && seen.of != STUCK && inside && left.is_some();
        if back {
            (self.near, self.usual) = (before.near, before.usual);
        }
        self.before = left.filter(|_| !back).map(|left| Before { left, ..before });
        back
    }

    /// The level is where it is now: nothing drifts.
    fn settle(&mut self, forecast: &Forecast) -> Evidence {
        if forecast.known {
            self.offset = self.near - forecast.season;
        }
        self.drift = 0.0;
        self.unrest = self.unrest.min(1.0);
        Evidence { drift: self.drift, unrest: self.unrest }
    }

    /// What went on for so long is the new level. The one before is remembered.
    fn remember(&mut self, alert: &Alert, forecast: &Forecast) {
        let season = if alert.seasonal { forecast.season } else { 0.0 };
        self.before = Some(Before {
            near: self.near,
            usual: self.usual,
            low: alert.low + season,
            high: alert.high + season,
            left: REMEMBERED,
        });
        (self.near, self.usual) = (self.recent, self.recent);
    }

    /// What a person says of a page, or of one that was missed: what mattered costs nothing, what did not an octave.
    /// `weight`: how much it counts, below 0 to take it back.
    pub fn told(&mut self, verdict: Verdict, weight: f64) {
        let step = match verdict {
            Verdict::True | Verdict::Missed => -STEP,
            Verdict::False => OCTAVE - STEP,
        };
        self.correction = (self.correction + weight * step).clamp(CORRECTION.0, CORRECTION.1);
    }

    /// What is usual is again as it was before: how far and how often, by season. Where the series is now, and what it
    /// alerts for, stay.
    pub fn forget(&mut self, before: Decider) {
        *self = Decider {
            near: self.near,
            usual: self.usual,
            recent: self.recent,
            offset: self.offset,
            previous: self.previous,
            drift: self.drift,
            unrest: self.unrest,
            run: self.run,
            correction: self.correction,
            storm: self.storm,
            alert_share: self.alert_share,
            beyond: self.beyond,
            calm: self.calm,
            alert: self.alert,
            before: self.before,
            ..before
        };
    }

    /// No alert holds, and nothing was collected for one.
    pub fn calm(&mut self) {
        self.alert = None;
        self.beyond = false;
        (self.drift, self.unrest) = (0.0, self.unrest.min(1.0));
    }

    /// Without pages the level comes down again, by as much a week as the asked ones would raise it.
    fn ease(&mut self, per_week: f32, asked: &Asked) {
        if let AlertLevel::PerWeek(pages) = asked.alert {
            self.correction = (self.correction - STEP * pages / f64::from(per_week)).clamp(CORRECTION.0, CORRECTION.1);
        }
        self.storm *= 1.0 - 7.0 / (per_week + 7.0);
    }
}

impl Alert {
    /// One more sample: whether it still holds.
    fn go_on(&mut self, seen: &Seen, hit: bool, far: bool) -> Course {
        self.samples = self.samples.saturating_add(1);
        let of = usize::from(self.of);
        let season = if self.seasonal { seen.forecast.season } else { 0.0 };
        let mut still = far || seen.value < self.low + season || seen.value > self.high + season;
        if of == DRIFTING || of == RESTLESS {
            still = still || hit || seen.rarities[of] > seen.level - EASED;
        } else if of == STUCK {
            still = seen.run > 0.0;
        }
        if still {
            self.hits = self.hits.saturating_add(1);
            self.quiet = 0;
        } else {
            self.quiet = self.quiet.saturating_add(1);
        }
        let allowed = if self.hits < 3 || of == STUCK { 0 } else { (self.hits / 2).min(8) };
        if self.quiet > allowed { Course::Over } else { Course::On }
    }

    /// Whether it went on for so long that its level is the new one. Unrest at a steady level is waited for twice as long.
    fn outlasts(&self, interval: f32, steady: bool) -> bool {
        let samples = ACCEPTED.max(ACCEPTED_S.0 / interval).min((ACCEPTED_S.1 / interval).max(6.0)).min(30_000.0);
        let of = usize::from(self.of);
        let most = if of == RESTLESS && steady { 2.0 * samples } else { samples };
        of != STUCK && f32::from(self.samples) > most
    }
}

impl Seen {
    fn is_beyond(&self) -> bool {
        self.rarity > self.level
    }

    /// Beyond the level by the value itself, not by what was collected.
    fn is_far(&self) -> bool {
        self.rarities[..=BELOW].iter().any(|rarity| *rarity > self.level)
    }
}
