//! One series: what it is called, what it holds, what is thought of it, and what becomes of a sample of it.

use crate::analyze::learn::alert_sigmas;
use crate::analyze::strategy::adaptive::{Merit, SMOOTHED};
use crate::analyze::strategy::{AlertLevel, Asked, Baseline, Detector, DetectorState};
use crate::budget::{ALERT_SIGMAS, Budget};
use crate::config::{Config, Kind, StrategyName};
use crate::feedback::{Subject, Verdict};
use crate::knowledge::alerts::Alerts;
use crate::knowledge::door::{self, Admission, CONFIRM_SAMPLES, Distinct, Door, Row, counts, late, turned_away};
use crate::knowledge::fence::{Alarm, Fence, SUSTAINED};
use crate::knowledge::histogram::{Histograms, Part};
use crate::knowledge::mask::Masks;
use crate::knowledge::window::Window;
use crate::monitor::{Fate, Fates, Judged};
use crate::series::SeriesName;
use crate::stats::{Scratch, normal};
use crate::threshold::{Rival, Threshold};
use crate::time::{Span, Timestamp};
use crate::units::Sensitivity;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Samples a merit is worked out from at most: ten times as many as it is smoothed over.
const MERIT_SAMPLES: usize = 10 * SMOOTHED as usize;

/// What the configuration says of this series: derived, never stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    pub kind: Option<Kind>,
    pub watch: Option<bool>,
    pub page: bool,
    pub strategy: StrategyName,
    pub sensitivity: Sensitivity,
    /// A budget of its own.
    pub budget: Option<Budget>,
}

impl Settings {
    pub fn of(name: &SeriesName, config: &Config) -> Settings {
        let mut settings = Settings {
            strategy: config.learning.strategy.clone(),
            sensitivity: config.learning.sensitivity,
            ..Settings::default()
        };
        for rule in config.series.iter().filter(|rule| rule.selector.matches(name)) {
            settings.kind = rule.kind.or(settings.kind);
            settings.watch = rule.watch.or(settings.watch);
            settings.page = rule.page.unwrap_or(settings.page);
            settings.budget = rule.budget.or(settings.budget);
            settings.sensitivity = rule.sensitivity.unwrap_or(settings.sensitivity);
            if let Some(strategy) = &rule.strategy {
                settings.strategy = strategy.clone();
            }
        }
        settings
    }
}

/// The trust in a series' thresholds as it was set, and when.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Trust {
    pub value: f64,
    pub at: Timestamp,
}

impl Trust {
    const FULL: Trust = Trust { value: 1.0, at: Timestamp::EPOCH };
}

/// How many samples were judged, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    pub judged: u64,
    pub breached: u64,
    pub alerts: u64,
}

/// Samples between two looks at whether a series without a detector has become one to watch.
const STARTED_EVERY: u64 = 32;

/// What a detector says: bounds that the engine makes alerts of, or alerts too.
enum Own {
    Bounds(Judged),
    Alerts(Judged),
}

/// What was noticed when a sample was recorded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Noticed {
    pub fate: Fate,
    pub judged: Judged,
    /// The value as it was judged: for a counter its rate.
    pub value: f64,
    pub onset: bool,
    pub end: bool,
    /// The series just reached the number of samples it is learned at.
    pub ripe: bool,
}

impl Noticed {
    pub(crate) fn unknown() -> Noticed {
        Noticed::only(Fate::UnknownSeries)
    }

    pub(crate) fn only(fate: Fate) -> Noticed {
        Noticed { fate, judged: Judged::default(), value: f64::NAN, onset: false, end: false, ripe: false }
    }
}

/// What every sample touches stands first, in as few lines of the processor's cache as it fits: with many series, waiting
/// for memory is most of what a sample costs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[repr(C)]
pub struct Series {
    /// When the last sample came, by the caller's clock.
    pub(crate) last_seen: Timestamp,
    /// Samples ever admitted.
    pub(crate) admitted: u64,
    pub(crate) window: Window,
    pub(crate) door: Door,
    #[serde(skip)]
    fence: Option<Fence>,
    pub(crate) tally: Tally,
    alarm: Alarm,
    pub(crate) alert_since: Option<Timestamp>,
    pub(crate) detector: Option<DetectorState>,
    /// The one that judges.
    pub(crate) in_force: Option<Arc<Threshold>>,
    pub(crate) fates: Fates,
    distinct: Distinct,
    pub(crate) last_breach: Option<(Timestamp, f64)>,
    pub(crate) name: SeriesName,
    pub(crate) declared: Option<Kind>,
    /// The histogram it is made of, by name; none: samples of it come from outside.
    #[serde(default)]
    pub(crate) derived_from: Option<SeriesName>,
    /// What a series like it says of it, until its own detector begins.
    #[serde(default)]
    pub(crate) inherited: Option<DetectorState>,
    /// Which bucket it is, when it is one; found anew from its name.
    #[serde(skip)]
    pub(crate) part: Option<Part>,
    #[serde(skip)]
    pub(crate) settings: Settings,
    #[serde(skip)]
    asked: Asked,
    /// The latest threshold that was learned.
    pub(crate) learned: Option<Arc<Threshold>>,
    /// How the strategies did up to then, with the bounds that each would have set then.
    merits: Vec<Merit>,
    /// The quantile on each side that those bounds are to hold, and the last sample before them.
    merit_level: f64,
    #[serde(default)]
    merits_after: Timestamp,
    pub(crate) sensitivity: Sensitivity,
    /// Where the configuration had it start when that was last looked at.
    #[serde(default)]
    prior: Sensitivity,
    /// The same of its strategy and of its kind.
    #[serde(default)]
    asked_strategy: StrategyName,
    #[serde(default)]
    asked_kind: Option<Kind>,
    pub(crate) trust: Trust,
    /// Verdicts that were heard about it.
    pub(crate) verdicts: u32,
    /// Samples that are not learned from.
    #[serde(default)]
    masks: Masks,
    #[serde(default)]
    alerts: Alerts,
    /// Since when the series has its present level, after a shift: what came before is not learned from.
    #[serde(default)]
    pub(crate) level_since: Option<Timestamp>,
    /// When its trend will have carried it beyond its alert level, if it goes on.
    pub(crate) forecast: Option<Timestamp>,
    /// When it was learned last, and how many samples had been admitted then.
    pub(crate) learned_at: Option<Timestamp>,
    pub(crate) learned_admitted: u64,
    /// A verdict or a failed expectation asks for it to be learned again.
    pub(crate) relearn: bool,
}

impl Series {
    pub(crate) fn new(name: SeriesName, declared: Option<Kind>, config: &Config, now: Timestamp) -> Series {
        let settings = Settings::of(&name, config);
        let declared = settings.kind.or(declared);
        let sensitivity = settings.sensitivity;
        let door = Door::of(&name, declared);
        let (asked_strategy, asked_kind) = (settings.strategy.clone(), settings.kind);
        let mut series = Series {
            name,
            asked: Asked::default(),
            declared,
            derived_from: None,
            inherited: None,
            part: None,
            settings,
            door,
            distinct: Distinct::default(),
            window: Window::default(),
            learned: None,
            in_force: None,
            fence: None,
            merits: Vec::new(),
            merit_level: 0.0,
            merits_after: Timestamp::EPOCH,
            detector: None,
            sensitivity,
            prior: sensitivity,
            asked_strategy,
            asked_kind,
            trust: Trust::FULL,
            verdicts: 0,
            tally: Tally::default(),
            alarm: Alarm::default(),
            alert_since: None,
            masks: Masks::default(),
            alerts: Alerts::default(),
            level_since: None,
            last_breach: None,
            forecast: None,
            last_seen: now,
            fates: Fates::default(),
            admitted: 0,
            learned_at: None,
            learned_admitted: 0,
            relearn: false,
        };
        series.set_asked();
        series
    }

    /// Brings back what is derived, after a restore or a new configuration.
    pub(crate) fn refresh(&mut self, config: &Config) {
        self.settings = Settings::of(&self.name, config);
        // A prior that was set anew, also while the engine was stopped, is followed by series that no verdict has moved.
        let before = std::mem::replace(&mut self.prior, self.settings.sensitivity);
        if self.verdicts == 0 && before != self.prior {
            self.sensitivity = self.prior;
            self.relearn = true;
        }
        if self.asked_strategy != self.settings.strategy {
            self.asked_strategy = self.settings.strategy.clone();
            self.relearn = self.learned.is_some();
            self.detector = None;
        }
        self.set_asked();
        self.set_fence();
    }

    /// Whether the configuration says another kind of it than it was read as.
    pub(crate) fn is_read_otherwise(&self) -> bool {
        self.asked_kind != self.settings.kind
    }

    fn set_fence(&mut self) {
        self.fence = self.in_force.as_ref().map(|threshold| Fence::of(threshold, threshold.learned_at));
    }

    pub(crate) fn put_in_force(&mut self, threshold: Arc<Threshold>) {
        self.in_force = Some(threshold);
        self.set_fence();
    }

    /// It is judged no longer, until there is a threshold to trust.
    pub(crate) fn withdraw(&mut self) {
        self.in_force = None;
        self.set_fence();
    }

    pub(crate) fn alert_begins(&mut self, at: Timestamp) {
        self.alert_since = Some(at);
        self.tally.alerts += 1;
        self.alerts.begin(at);
        // It is noticed at the last of the samples that make it.
        let mut sustained = self.window.iter().rev().skip_while(|(time, _)| *time > at);
        let first = sustained.nth(usize::from(SUSTAINED) - 1).map_or(at, |(first, _)| first);
        self.masks.open(first);
    }

    pub(crate) fn alert_ends(&mut self, at: Timestamp) {
        self.alert_since = None;
        self.masks.close(at);
        if let Some((oldest, _)) = self.window.oldest() {
            self.masks.forget(oldest);
        }
    }

    /// From here on it has another level: what came before is not learned from, and no alert since then stands out.
    pub(crate) fn level_since(&mut self, since: Option<Timestamp>) {
        if self.level_since != since {
            self.level_since = since;
            self.masks.clear();
        }
    }

    /// What a person says of it. Returns whether that is about an alert, or one that was missed.
    pub(crate) fn hear(&mut self, verdict: Verdict, about: Subject, detector: Option<&dyn Detector>) -> bool {
        self.verdicts += 1;
        let of_alert = match about {
            Subject::Moment { at } => self.alerted_at(at),
            Subject::Period { from, until } => self.hear_of_period(verdict, from, until),
            Subject::ChangePoint { at } => {
                self.begin_anew(at, detector);
                return false;
            }
        };
        if of_alert && verdict == Verdict::True {
            self.alerts.excuse(self.last_seen);
        }
        if !of_alert && verdict != Verdict::Missed {
            return false;
        }
        if let (Some(detector), Some(state)) = (detector, &mut self.detector) {
            detector.told(state, verdict);
        }
        true
    }

    /// What mattered is no example of the ordinary, and what did not is one. Returns whether there was an alert in it.
    fn hear_of_period(&mut self, verdict: Verdict, from: Timestamp, until: Timestamp) -> bool {
        let alerted = self.window.iter().any(|(at, _)| from <= at && at < until && self.alerted_at(at));
        match verdict {
            Verdict::True | Verdict::Missed => {
                // A level that began with the incident, or with its end, was none.
                self.level_since = self.level_since.filter(|since| *since < from || until < *since);
                self.masks.cover(from, until);
            }
            Verdict::False => self.masks.uncover(from, until),
        }
        self.relearn = self.learned.is_some();
        alerted
    }

    /// From then on it is another series: neither bounds nor a detector know what came before.
    fn begin_anew(&mut self, at: Timestamp, detector: Option<&dyn Detector>) {
        self.level_since(Some(at));
        self.relearn = self.learned.is_some();
        if let Some(detector) = detector.filter(|detector| detector.alerts()) {
            self.start(detector);
        }
    }

    /// How often it alerted lately.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Whether it was in alert then, as far back as alerts are remembered.
    pub fn alerted_at(&self, at: Timestamp) -> bool {
        self.masks.covers(at)
    }

    /// How many samples of the window are those of alerts.
    pub fn masked(&self) -> usize {
        if self.masks.is_empty() { 0 } else { self.window.iter().filter(|(at, _)| self.masks.covers(*at)).count() }
    }

    /// Since when it has its present level; none: it did not shift within the window.
    pub fn level(&self) -> Option<Timestamp> {
        self.level_since.filter(|since| self.window.oldest().is_some_and(|(oldest, _)| oldest < *since))
    }

    /// Copies what may be learned from, times in milliseconds and values, into `at` and `values`: at least `least`. Returns
    /// how many samples of alerts were left out.
    pub(crate) fn ordinary(&self, least: usize, at: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        self.window.copy_into(at, values);
        let since = self.level_since.map_or(0, |since| at.partition_point(|time| *time < since.millis()));
        if at.len() - since >= least {
            at.drain(..since);
            values.drain(..since);
        }
        self.masks.leave_out(least, at, values)
    }

    pub fn name(&self) -> &SeriesName {
        &self.name
    }

    pub fn kind(&self) -> Kind {
        match (&self.door, self.declared) {
            (Door::Rate { .. }, _) => Kind::Counter,
            (Door::Bucket, _) => Kind::Histogram,
            (_, Some(kind @ (Kind::State | Kind::Info | Kind::Constant))) => kind,
            (_, None) if door::is_info(&self.name) => Kind::Info,
            _ if self.distinct.is_constant() => Kind::Constant,
            _ if self.asked_kind.is_some() => Kind::Gauge,
            // A few values only say something once there were enough samples to have more. Sources call states gauges.
            _ if self.distinct.is_few() && self.admitted >= 100 => Kind::State,
            _ => Kind::Gauge,
        }
    }

    /// Whether it is learned and judged.
    pub fn watched(&self) -> bool {
        self.settings.watch.unwrap_or_else(|| match self.kind() {
            Kind::Gauge | Kind::State => true,
            // A counter that never moved has the constant rate 0.
            Kind::Counter => !self.distinct.is_constant(),
            Kind::Constant | Kind::Info | Kind::Histogram => false,
        })
    }

    /// Whether its alerts may page a person.
    pub fn pages(&self) -> bool {
        self.settings.page
    }

    /// The histogram it is made of, by name; none: samples of it come from outside.
    pub fn derived_from(&self) -> Option<&SeriesName> {
        self.derived_from.as_ref()
    }

    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The latest threshold that was learned.
    pub fn learned(&self) -> Option<&Threshold> {
        self.learned.as_deref()
    }

    /// The threshold that judges, when there is one.
    pub fn in_force(&self) -> Option<&Threshold> {
        self.in_force.as_deref()
    }

    /// Whether the latest threshold is the one that judges.
    pub fn active(&self) -> bool {
        match (&self.learned, &self.in_force) {
            (Some(learned), Some(in_force)) => learned.learned_at == in_force.learned_at,
            _ => false,
        }
    }

    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// Where its sensitivity started.
    pub fn sensitivity_prior(&self) -> Sensitivity {
        self.settings.sensitivity
    }

    /// How far its thresholds are trusted, 0.25 to 1. Lost trust comes back by half in an hour without news: else a series
    /// whose bounds failed could never get better ones.
    pub fn trust(&self, now: Timestamp) -> f64 {
        let hours = now.since(self.trust.at).secs() / 3600.0;
        1.0 - (1.0 - self.trust.value) * 0.5_f64.powf(hours)
    }

    pub fn strategy(&self) -> &StrategyName {
        &self.settings.strategy
    }

    /// How the strategies do on samples that they had not seen. Worked out from the window when it is asked for: on every
    /// sample it would be a third of what a sample costs.
    pub fn merits(&self) -> Vec<Merit> {
        let mut merits = self.merits.clone();
        let unseen = self.window.iter().rev().take_while(|(at, _)| *at > self.merits_after).count();
        // What lies so far back has faded.
        let faded = unseen.saturating_sub(MERIT_SAMPLES);
        for merit in &mut merits {
            merit.count += faded as u64;
            self.window.last(unseen - faded).for_each(|(_, value)| merit.see(value, self.merit_level));
        }
        merits
    }

    /// New bounds of the strategies, at a sensitivity; their losses so far stay with them.
    pub(crate) fn set_rivals(&mut self, rivals: &[Rival], sensitivity: Sensitivity) {
        let before = self.merits();
        self.merits = rivals.iter().map(|rival| Merit::carried_over(rival, &before)).collect();
        self.merit_level = normal::cdf(sensitivity.get());
        self.merits_after = self.window.newest().map_or(Timestamp::EPOCH, |(at, _)| at);
    }

    pub fn verdicts(&self) -> u32 {
        self.verdicts
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn fates(&self) -> &Fates {
        &self.fates
    }

    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    pub fn alert_since(&self) -> Option<Timestamp> {
        self.alert_since
    }

    pub fn last_breach(&self) -> Option<(Timestamp, f64)> {
        self.last_breach
    }

    /// When its trend will have carried it beyond its alert level, if it goes on.
    pub fn forecast(&self) -> Option<Timestamp> {
        self.forecast
    }

    /// When it was learned last, and how many samples had been admitted then.
    pub fn learned_at(&self) -> Option<Timestamp> {
        self.learned_at
    }

    pub fn learned_admitted(&self) -> u64 {
        self.learned_admitted
    }

    /// A verdict or a failed expectation asks for it to be learned again.
    pub fn wants_relearning(&self) -> bool {
        self.relearn
    }

    pub fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// Whether a value would be a breach by the bounds in force.
    pub fn breaches(&self, at: Timestamp, value: f64) -> bool {
        self.fence_at(at).is_some_and(|fence| fence.is_breached(value))
    }

    /// How many of the last `depth` samples are breaches by the bounds in force; history judged anew.
    pub fn breaches_in_last(&self, depth: usize) -> usize {
        self.window.last(depth).filter(|(at, value)| self.breaches(*at, *value)).count()
    }

    #[inline]
    fn fence_at(&self, at: Timestamp) -> Option<Fence> {
        match self.fence {
            Some(fence) if fence.stands => Some(fence),
            _ => self.in_force.as_deref().map(|threshold| Fence::of(threshold, at)),
        }
    }

    /// Reads from everywhere that [`record`](Series::record) will: see [`Knowledge::read_ahead`](super::Knowledge::read_ahead).
    #[inline]
    pub(crate) fn touched(&self) -> u64 {
        let newest = self.window.newest().map_or(0, |(at, value)| at.millis() as u64 ^ value.to_bits());
        let upper = self.fence.map_or(0, |fence| fence.upper.to_bits());
        let own = self.tally.judged ^ self.fates.of(Fate::Admitted) ^ self.distinct.count() as u64;
        newest ^ upper ^ own
    }

    /// One sample: what becomes of it, what is said of it, and only then is it learned from.
    #[inline]
    pub(crate) fn record(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        admission: &Admission,
        detector: Option<&dyn Detector>,
    ) -> Noticed {
        let mut noticed = self.enter(at, value, now, admission, detector);
        self.fates.add(noticed.fate);
        if noticed.fate == Fate::Stale {
            self.end(&mut noticed);
        } else {
            self.last_seen = now;
        }
        noticed
    }

    /// The series ends here, as its source says: so does an alert, and a rate begins anew when it comes back.
    fn end(&mut self, noticed: &mut Noticed) {
        if let Door::Rate { last } = &mut self.door {
            *last = None;
        }
        if let Some((_, newest)) = self.window.newest().filter(|_| self.alert_since.is_some()) {
            (noticed.end, noticed.value) = (true, newest);
        }
    }

    #[inline]
    fn enter(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        admission: &Admission,
        detector: Option<&dyn Detector>,
    ) -> Noticed {
        if let Some(fate) = turned_away(at, value, now, admission) {
            return Noticed::only(fate);
        }
        match &mut self.door {
            Door::Open => self.admit(at, value, admission, detector),
            Door::Bucket => Noticed::only(Fate::Folded),
            Door::Rate { last } => {
                let Some((last_at, last_value)) = *last else {
                    *last = Some((at, value));
                    return Noticed::only(Fate::Folded);
                };
                if at <= last_at {
                    return Noticed::only(late(at, value, last_at, last_value));
                }
                *last = Some((at, value));
                // A counter that fell was reset: what it counted in between is not known.
                if value < last_value {
                    return Noticed::only(Fate::Folded);
                }
                let rate = (value - last_value) / at.since(last_at).secs();
                if rate.is_finite() {
                    self.admit(at, rate, admission, detector)
                } else {
                    Noticed::only(Fate::NotFinite)
                }
            }
            Door::Undecided(held) => {
                if let Some((last_at, last_value)) = held.last()
                    && at <= *last_at
                {
                    return Noticed::only(late(at, value, *last_at, *last_value));
                }
                held.push((at, value));
                if held.len() < CONFIRM_SAMPLES {
                    return Noticed::only(Fate::Folded);
                }
                let held = std::mem::take(held);
                self.door = if counts(&held) { Door::Rate { last: None } } else { Door::Open };
                // The samples held so far were counted as folded; now they are read in the way that was found.
                let mut noticed = Noticed::only(Fate::Folded);
                for (at, value) in held {
                    noticed = self.enter(at, value, now, admission, detector);
                }
                noticed
            }
        }
    }

    /// One sample of a bucket, which its histogram takes. Without `admission` it is history, of whatever age.
    pub(crate) fn fold(
        &mut self,
        at: Timestamp,
        value: f64,
        now: Timestamp,
        admission: Option<&Admission>,
        histograms: &mut Histograms,
    ) -> Fate {
        self.last_seen = now;
        let refused = match admission {
            Some(admission) => turned_away(at, value, now, admission),
            None => (!value.is_finite()).then_some(Fate::NotFinite),
        };
        let fate = match (refused, self.part) {
            (Some(fate), _) => fate,
            (None, Some(part)) => histograms.take(part, at, value),
            // Its limit is no number: it belongs to no histogram, and is held back all the same.
            (None, None) => Fate::Folded,
        };
        self.fates.add(fate);
        fate
    }

    /// Judges, then remembers.
    #[inline]
    fn admit(&mut self, at: Timestamp, value: f64, admission: &Admission, detector: Option<&dyn Detector>) -> Noticed {
        if let Some((newest_at, newest_value)) = self.window.newest()
            && at <= newest_at
        {
            return Noticed::only(late(at, value, newest_at, newest_value));
        }
        let mut noticed = Noticed::only(Fate::Admitted);
        noticed.value = value;
        let own = self.detect(at, value, admission, detector);
        self.judge(at, value, own, &mut noticed);
        self.alerts.seen(at);
        self.distinct.see(value);
        self.window.push(at, value, admission.window_len, admission.window_age, admission.min_data_points);
        if self.detector.is_none()
            && let Some(detector) = detector.filter(|detector| detector.alerts())
            && self.admitted.is_multiple_of(STARTED_EVERY)
            && self.watched()
        {
            self.start(detector);
        }
        self.admitted += 1;
        noticed.ripe = self.admitted == admission.min_data_points as u64 && self.learned.is_none();
        noticed
    }

    /// What a detector says of the sample before it learns from it.
    #[inline]
    fn detect(
        &mut self,
        at: Timestamp,
        value: f64,
        admission: &Admission,
        detector: Option<&dyn Detector>,
    ) -> Option<Own> {
        let detector = detector?;
        let seen_for = self.window.oldest().map_or(Span::ZERO, |(oldest, _)| at.since(oldest));
        let asked = Asked { young: seen_for < admission.young_under, ..self.asked };
        let state = self.detector.as_mut()?;
        let judged = detector.step(state, at, value, &asked);
        Some(if detector.alerts() { Own::Alerts(judged) } else { Own::Bounds(judged) })
    }

    /// Begins with a detector that alerts by itself, from what the window holds of the present level.
    fn start(&mut self, detector: &dyn Detector) {
        let (mut at, mut values, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
        self.window.copy_into(&mut at, &mut values);
        let before = self.level_since.map_or(0, |since| at.partition_point(|at| *at < since.millis()));
        at.drain(..before);
        values.drain(..before);
        if values.is_empty() {
            self.detector = None;
            return;
        }
        let baseline = Baseline::sorted(self.kind(), &at, &values, &mut scratch);
        self.detector = Some(detector.start(&baseline, self.inherited.take().as_ref()));
    }

    /// Its part of the budget of all, unless it has one of its own.
    pub(crate) fn set_share(&mut self, share: AlertLevel) {
        self.asked.alert = self.settings.budget.map_or(share, |own| own.level(1));
    }

    /// Whether it has a part in the budget of all, when those that may page share it, or all that are watched.
    pub(crate) fn shares(&self, paging: bool) -> bool {
        self.settings.budget.is_none() && self.watched() && (self.pages() || !paging)
    }

    /// How often its ordinary samples may alert in a week. None: there is no budget.
    pub fn budget_per_week(&self) -> Option<f64> {
        match self.asked.alert {
            AlertLevel::PerWeek(pages) => Some(pages),
            AlertLevel::Rarity(_) => None,
        }
    }

    /// A budget of its own, not a part of that of all.
    pub fn own_budget(&self) -> Option<Budget> {
        self.settings.budget
    }

    /// What is asked of a detector, but for the series' age and the budget.
    fn set_asked(&mut self) {
        let sigmas = alert_sigmas(self.sensitivity, self.settings.sensitivity);
        self.asked = Asked {
            sensitivity: self.sensitivity,
            outside: normal::cdf(-self.sensitivity.get()),
            alert: self.asked.alert,
            shift: normal::rarity(sigmas) - normal::rarity(ALERT_SIGMAS),
            young: false,
        };
    }

    pub(crate) fn set_sensitivity(&mut self, sensitivity: Sensitivity) {
        self.sensitivity = sensitivity;
        self.set_asked();
    }

    /// Bounds are those in force; a detector's where it tracks, or where there are none. Alerts are a detector's own, or what
    /// lies beyond the alert level.
    fn judge(&mut self, at: Timestamp, value: f64, own: Option<Own>, noticed: &mut Noticed) {
        let fence = self.fence_at(at);
        let judged = &mut noticed.judged;
        let holds = match own {
            Some(Own::Alerts(said)) => {
                *judged = said;
                if let Some(fence) = fence {
                    (judged.lower, judged.upper) = fence.bounds();
                    judged.breach = fence.is_breached(value);
                }
                said.alert
            }
            own => {
                let Some(mut fence) = fence else { return };
                if let Some(Own::Bounds(Judged { lower: Some(lower), upper: Some(upper), .. })) = own {
                    let sigmas = alert_sigmas(self.sensitivity, self.settings.sensitivity);
                    fence = Fence::tracking(lower, upper, self.sensitivity, sigmas);
                }
                fence.judge(value, judged);
                judged.alert_score = self.alarm.hear(judged.score);
                self.alarm.count(fence.side(value));
                if self.alert_since.is_some() { !self.alarm.ends() } else { self.alarm.begins() }
            }
        };
        if judged.lower.is_some() || judged.upper.is_some() {
            self.tally.judged += 1;
        }
        if judged.breach {
            self.tally.breached += 1;
            self.last_breach = Some((at, value));
        }
        judged.alert = holds;
        noticed.onset = holds && self.alert_since.is_none();
        noticed.end = !holds && self.alert_since.is_some();
    }

    /// Takes samples older than the oldest it holds, or newer than the newest, without judging them. `history` is in order
    /// of time. Returns what became of them.
    pub(crate) fn backfill(
        &mut self,
        history: &[(Timestamp, f64)],
        admission: &Admission,
        detector: Option<&dyn Detector>,
    ) -> Fates {
        let mut fates = Fates::default();
        let mut rows: Vec<Row> = Vec::with_capacity(history.len());
        for &(at, value) in history {
            match rows.last() {
                _ if !value.is_finite() => fates.add(Fate::NotFinite),
                Some(last) if at <= last.at => fates.add(late(at, value, last.at, last.value)),
                _ => rows.push(Row { at, value, told: false }),
            }
        }
        let values = match self.door.confirmed(rows) {
            Ok(rows) => self.door.rates(rows, &mut fates),
            Err(held) => {
                (0..held).for_each(|_| fates.add(Fate::Folded));
                Vec::new()
            }
        };
        let oldest = self.window.oldest().map(|(at, _)| at);
        let newest = self.window.newest().map(|(at, _)| at);
        let (older, rest): (Vec<Row>, Vec<Row>) =
            values.into_iter().partition(|row| oldest.is_some_and(|oldest| row.at < oldest));
        let pairs: Vec<(Timestamp, f64)> = older.iter().map(|row| (row.at, row.value)).collect();
        let fitted = self.window.push_front(&pairs, admission.window_len);
        let mut tell = |row: &Row, fate| {
            if !row.told {
                fates.add(fate);
            }
        };
        // The newest of the older ones fit, if not all do.
        let (too_old, fit) = older.split_at(older.len() - fitted);
        too_old.iter().for_each(|row| tell(row, Fate::TooOld));
        fit.iter().for_each(|row| tell(row, Fate::Admitted));
        self.admitted += fit.len() as u64;
        for row in &rest {
            if newest.is_some_and(|newest| row.at <= newest) {
                tell(row, Fate::OutOfOrder);
                continue;
            }
            self.distinct.see(row.value);
            self.window.push(row.at, row.value, admission.window_len, admission.window_age, admission.min_data_points);
            self.admitted += 1;
            tell(row, Fate::Admitted);
        }
        older.iter().for_each(|row| self.distinct.see(row.value));
        // What it holds now is not what a detector saw.
        if let Some(detector) = detector.filter(|detector| detector.alerts())
            && !self.window.is_empty()
            && self.watched()
        {
            self.start(detector);
        }
        self.fates += &fates;
        fates
    }
}
