//! One series: what it is called, what it holds, what is thought of it, and what becomes of a sample of it.

mod budget;
mod hear;
mod merits;
mod ordinary;
mod record;
mod release;
mod settings;
mod shift;
mod tier;

pub(crate) use hear::About;

use crate::analyze::claim::most_pages;
use crate::analyze::strategy::adaptive::Merit;
use crate::analyze::strategy::{Detector, DetectorState, Methods};
use crate::calendar::Moment;
use crate::config::{Kind, StrategyName};
use crate::feedback::weights::{Heard, Spoke};
use crate::knowledge::Pending;
use crate::knowledge::alerts::Alerts;
use crate::knowledge::changes::Changes;
use crate::knowledge::claims::Running;
use crate::knowledge::door::{self, Distinct, Door};
use crate::knowledge::fence::{Alarm, Fence, SUSTAINED};
use crate::knowledge::histogram::Part;
use crate::knowledge::mask::Masks;
use crate::knowledge::window::Window;
use crate::monitor::{Fate, Fates, Judged};
use crate::rollout::Release;
use crate::series::SeriesName;
use crate::threshold::Threshold;
use crate::time::Timestamp;
use crate::units::Sensitivity;
use crate::versus::{Book, Live, StaticBounds};
use serde::{Deserialize, Serialize};
pub use settings::Settings;
pub(crate) use settings::SharedSettings;
use std::sync::Arc;
use thin_vec::ThinVec;

/// Alerts of which it is remembered what spoke in them; the oldest is forgotten first.
const SPOKEN_KEPT: usize = 32;

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

/// What was left out of a window before it was learned from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ordinary {
    /// Since when the series has its present level, where that shifted.
    pub level_since: Option<Timestamp>,
    /// Samples of alerts.
    pub masked: usize,
    /// Samples of deploys, maintenance and holidays.
    pub set_aside: usize,
}

/// How the last sample's time counts, and between which milliseconds all others count the same. Looked up, never stored.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    moment: Moment,
    from: i64,
    until: i64,
}

/// What is looked up anew when it is needed is no part of what a series is.
impl PartialEq for Present {
    fn eq(&self, _: &Present) -> bool {
        true
    }
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
    /// Of a series that is not known.
    #[inline]
    pub(crate) fn nothing() -> Noticed {
        let judged = Judged::default();
        Noticed { fate: Fate::UnknownSeries, judged, value: f64::NAN, onset: false, end: false, ripe: false }
    }
}

/// What every sample touches stands first, in as few lines of the processor's cache as it fits: with many series, waiting
/// for memory is most of what a sample costs. All of it is held to 768 bytes, beside what it points to: the next size that memory is
/// given out in is a sixth more, for each of a million.
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
    /// Where its detector stands among the methods, when its strategy is one.
    #[serde(skip)]
    detects: Option<u16>,
    /// Its samples say nothing to others: it is no bucket, and not made of any.
    #[serde(skip)]
    pub(crate) alone: bool,
    /// The latest threshold that was learned is the one that judges.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    judges: bool,
    #[serde(skip)]
    present: Present,
    pub(crate) detector: Option<DetectorState>,
    /// The one that judges, where that is another one.
    #[serde(default, rename = "in_force", skip_serializing_if = "Option::is_none")]
    earlier: Option<Arc<Threshold>>,
    pub(crate) alert_since: Option<Timestamp>,
    #[serde(default)]
    alerts: Alerts,
    /// Static bounds beside it, and what both would have paged for.
    #[serde(default)]
    versus: Option<Box<Live>>,
    /// What alert rules elsewhere are served of it, in the order of the settings' rules.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    releases: ThinVec<Release>,
    pub(crate) fates: Fates,
    distinct: Distinct,
    #[serde(skip)]
    asks: budget::Asks,
    pub(crate) last_breach: Option<(Timestamp, f64)>,
    pub(crate) name: SeriesName,
    pub(crate) declared: Option<Kind>,
    /// The kind that the configuration said when that was last looked at.
    #[serde(default)]
    asked_kind: Option<Kind>,
    /// Its name says that its value is a moment, or nothing at all.
    #[serde(skip)]
    is_info: bool,
    /// A verdict or a failed expectation asks for it to be learned again.
    pub(crate) relearn: bool,
    /// What people said of it in so many words: verdicts without those of a weight.
    pub(crate) verdicts: u32,
    /// The histogram it is made of, by name; none: samples of it come from outside.
    #[serde(default)]
    pub(crate) derived_from: Option<Box<SeriesName>>,
    /// What a series like it says of it, until its own detector begins.
    #[serde(default)]
    pub(crate) inherited: Option<Box<DetectorState>>,
    /// Which bucket it is, when it is one; found anew from its name.
    #[serde(skip)]
    pub(crate) part: Option<Box<Part>>,
    /// Of all series that the configuration says the same of, one.
    #[serde(skip)]
    pub(crate) settings: Arc<Settings>,
    /// The latest threshold that was learned.
    pub(crate) learned: Option<Arc<Threshold>>,
    /// How the strategies did up to then, with the bounds that each would have set then.
    merits: ThinVec<Merit>,
    /// The quantile on each side that those bounds are to hold, and the last sample before them.
    merit_level: f64,
    #[serde(default)]
    merits_after: Timestamp,
    pub(crate) sensitivity: Sensitivity,
    /// Where the configuration had it start when that was last looked at.
    #[serde(default)]
    prior: Sensitivity,
    /// The same of its strategy.
    #[serde(default)]
    asked_strategy: StrategyName,
    /// By which zone its days are reckoned; none: UTC. Hardly any has one: the pointer is to be a thin one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_zone: Option<Box<Box<str>>>,
    pub(crate) trust: Trust,
    /// What those said of each feature of its detector, and what spoke at the onset of its latest alerts, oldest first.
    #[serde(default)]
    features: Heard,
    #[serde(default)]
    spoken: ThinVec<(Timestamp, Spoke)>,
    /// What was lately said of its alerts, or done about them, oldest first.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    implied: ThinVec<hear::Implied>,
    /// Samples that are not learned from.
    #[serde(default)]
    masks: Masks,
    /// When the alert began that a person called true last.
    #[serde(default)]
    excused: Option<Timestamp>,
    /// What its confidence claimed last, while the week of it runs.
    #[serde(default)]
    pub(crate) claim: Option<Box<Running>>,
    /// Since when the series has its present level, after a shift: what came before is not learned from.
    #[serde(default)]
    pub(crate) level_since: Option<Timestamp>,
    /// Times that a person called trouble as their level shifted: never learned from, however long they are.
    #[serde(default)]
    trouble: Masks,
    /// When its trend will have carried it beyond its alert level, if it goes on.
    pub(crate) forecast: Option<Timestamp>,
    /// When it was learned last, and how many samples had been admitted then.
    pub(crate) learned_at: Option<Timestamp>,
    pub(crate) learned_admitted: u64,
    /// What was changed of it lately.
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub(crate) changes: Changes,
}

impl Series {
    pub(crate) fn new(name: SeriesName, declared: Option<Kind>, settings: Arc<Settings>, now: Timestamp) -> Series {
        let is_info = door::is_info(&name);
        let declared = settings.kind.or(declared);
        let sensitivity = settings.sensitivity;
        let door = Door::of(&name, declared);
        let (asked_strategy, asked_kind) = (settings.strategy.clone(), settings.kind);
        let asked_zone = zone_of(&settings);
        let mut series = Series {
            name,
            asks: budget::Asks::default(),
            present: Present::default(),
            declared,
            derived_from: None,
            inherited: None,
            part: None,
            is_info,
            settings,
            door,
            distinct: Distinct::default(),
            window: Window::default(),
            learned: None,
            judges: false,
            earlier: None,
            fence: None,
            merits: ThinVec::new(),
            merit_level: 0.0,
            merits_after: Timestamp::EPOCH,
            detector: None,
            sensitivity,
            prior: sensitivity,
            asked_strategy,
            asked_kind,
            asked_zone,
            trust: Trust::FULL,
            verdicts: 0,
            features: Heard::default(),
            spoken: ThinVec::new(),
            implied: ThinVec::new(),
            tally: Tally::default(),
            alarm: Alarm::default(),
            detects: None,
            alone: false,
            alert_since: None,
            versus: None,
            releases: ThinVec::new(),
            masks: Masks::default(),
            trouble: Masks::default(),
            alerts: Alerts::default(),
            excused: None,
            claim: None,
            level_since: None,
            last_breach: None,
            forecast: None,
            last_seen: now,
            fates: Fates::default(),
            admitted: 0,
            learned_at: None,
            learned_admitted: 0,
            changes: Changes::default(),
            relearn: false,
        };
        series.set_asked();
        series.set_versus();
        series.set_releases();
        series
    }

    /// Finds its detector among the methods.
    pub(crate) fn set_detects(&mut self, methods: &Methods) {
        self.detects = methods.detector_at(&self.settings.strategy);
    }

    /// Brings back what is derived, after a restore or a new configuration.
    pub(crate) fn refresh(&mut self, settings: Arc<Settings>, methods: &Methods) {
        self.settings = settings;
        self.set_detects(methods);
        self.is_info = door::is_info(&self.name);
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
        // Tables of another clock would be off by hours.
        let zone = zone_of(&self.settings);
        if self.asked_zone != zone {
            self.asked_zone = zone;
            self.relearn = self.learned.is_some();
            self.detector = None;
        }
        self.present = Present::default();
        self.set_asked();
        self.set_versus();
        self.set_releases();
        self.set_fence();
    }

    /// A comparison with other bounds begins anew; one that is asked for no longer ends.
    fn set_versus(&mut self) {
        let fixed = self.settings.fixed;
        if self.versus.as_ref().map(|live| *live.bounds()) != fixed {
            self.versus = fixed.map(|bounds| Box::new(Live::new(bounds, Book::default())));
        }
    }

    /// Its static bounds, and what it paged for beside what they would have; where it has any.
    pub fn versus(&self) -> Option<(&StaticBounds, &Book)> {
        self.versus.as_ref().map(|live| (live.bounds(), live.book()))
    }

    /// Whether the configuration says another kind of it than it was read as.
    pub(crate) fn is_read_otherwise(&self) -> bool {
        self.asked_kind != self.settings.kind
    }

    /// What an earlier form held twice is held once.
    pub(crate) fn hold_once(&mut self) {
        let Some(learned) = &self.learned else { return };
        if self.earlier.as_ref() == Some(learned) {
            (self.judges, self.earlier) = (true, None);
        }
    }

    fn set_fence(&mut self) {
        self.fence = self.in_force().map(|threshold| Fence::of(threshold, threshold.learned_at, false));
    }

    /// The latest that was learned is another one; what judges stays.
    pub(crate) fn set_learned(&mut self, threshold: Arc<Threshold>) {
        let before = self.learned.replace(threshold);
        if std::mem::take(&mut self.judges) {
            self.earlier = before;
        }
    }

    /// The latest that was learned judges from now on.
    pub(crate) fn put_in_force(&mut self) {
        (self.judges, self.earlier) = (self.learned.is_some(), None);
        self.set_fence();
    }

    /// It is judged no longer, until there is a threshold to trust.
    pub(crate) fn withdraw(&mut self) {
        (self.judges, self.earlier) = (false, None);
        self.set_fence();
    }

    /// Gives the first sample that belongs to it.
    pub(crate) fn alert_begins(&mut self, at: Timestamp, spoke: Spoke) -> Timestamp {
        self.alert_since = Some(at);
        self.tally.alerts += 1;
        self.alerts.begin(at);
        if let Some(claim) = &mut self.claim {
            claim.pages += 1;
        }
        // It is noticed at the last of the samples that make it.
        let mut sustained = self.window.iter().rev().skip_while(|(time, _)| *time > at);
        let first = sustained.nth(usize::from(SUSTAINED) - 1).map_or(at, |(first, _)| first);
        self.masks.open(first);
        if !spoke.is_empty() {
            if self.spoken.len() == SPOKEN_KEPT {
                self.spoken.remove(0);
            }
            self.spoken.push((at, spoke));
        }
        first
    }

    /// From now on its confidence can be held against what happens, where that is what it claims: it is about pages, and none
    /// runs.
    pub(crate) fn claim_begins(&mut self, detector: Option<&dyn Detector>, now: Timestamp) {
        let pages = detector.is_some_and(|detector| detector.alerts()) && self.detector.is_some();
        if let (None, Some(asked), Some(learned), true) = (&self.claim, self.budget_per_week(), &self.learned, pages) {
            let gaps = self.window.len().saturating_sub(1).max(1) as f64;
            let interval = self.window.span().scaled(1.0 / gaps);
            let claims = Running::new(learned.confidence.get(), most_pages(asked), now, self.admitted, interval);
            self.claim = Some(Box::new(claims));
        }
    }

    /// Changes of it whose expectation is not settled yet.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.changes.pending()
    }

    /// What its confidence claimed last, while the week of it runs.
    pub fn claim(&self) -> Option<&Running> {
        self.claim.as_deref()
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

    /// How often it alerted lately.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Whether it was in alert then, as far back as alerts are remembered.
    pub fn alerted_at(&self, at: Timestamp) -> bool {
        self.masks.covers(at)
    }

    pub fn name(&self) -> &SeriesName {
        &self.name
    }

    /// What the configuration, else the source, says that it measures.
    pub fn declared(&self) -> Option<Kind> {
        self.declared
    }

    pub fn kind(&self) -> Kind {
        match (&self.door, self.declared) {
            (Door::Rate { .. }, _) => Kind::Counter,
            (Door::Bucket, _) => Kind::Histogram,
            (_, Some(kind @ (Kind::State | Kind::Info | Kind::Constant))) => kind,
            (_, None) if self.is_info => Kind::Info,
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

    /// Whose it is, where the configuration says.
    pub fn owner(&self) -> Option<&str> {
        self.settings.owner.as_deref()
    }

    /// The histogram it is made of, by name; none: samples of it come from outside.
    pub fn derived_from(&self) -> Option<&SeriesName> {
        self.derived_from.as_deref()
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
        self.judging().map(Arc::as_ref)
    }

    pub(crate) fn judging(&self) -> Option<&Arc<Threshold>> {
        if self.judges { self.learned.as_ref() } else { self.earlier.as_ref() }
    }

    /// Whether the latest threshold is the one that judges.
    pub fn active(&self) -> bool {
        self.judges
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

    /// Whether a value would be a breach by the bounds in force. In maintenance none is.
    pub fn breaches(&self, at: Timestamp, value: f64) -> bool {
        let moment = self.occasions(at);
        !moment.silent && self.fence_at(at, moment.holiday).is_some_and(|fence| fence.is_breached(value))
    }

    /// How many of the last `depth` samples are breaches by the bounds in force; history judged anew.
    pub fn breaches_in_last(&self, depth: usize) -> usize {
        self.window.last(depth).filter(|(at, value)| self.breaches(*at, *value)).count()
    }

    #[inline]
    fn fence_at(&self, at: Timestamp, holiday: bool) -> Option<Fence> {
        match self.fence {
            Some(fence) if fence.stands => Some(fence),
            _ => self.in_force().map(|threshold| Fence::of(threshold, at, holiday)),
        }
    }
}

/// As it is stored: UTC, which is what was before zones could be named, is none.
fn zone_of(settings: &Settings) -> Option<Box<Box<str>>> {
    settings.reckoning.zone.offsets().map(|offsets| Box::new(offsets.zone().into()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_series_fits_what_memory_is_given_out_in() {
        assert!(size_of::<super::Series>() <= 768, "{} bytes", size_of::<super::Series>());
    }
}
