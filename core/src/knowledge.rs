//! K: all memory. Two doors: samples by `record`, everything else by `apply(event)`.
//!
//! Nothing else changes it, so events replayed over the same samples give the same memory, and a snapshot of it is all
//! there is to know.

pub mod alerts;
mod apply;
pub(crate) mod batch;
mod changes;
pub mod claims;
mod door;
pub(crate) mod fence;
mod general;
pub mod histogram;
pub mod history;
pub mod mask;
pub mod proposals;
mod rollouts;
pub(crate) mod rounds;
pub mod series;
mod shard;
mod siblings;
pub mod snapshot;
mod tiers;
pub mod window;

use crate::analyze::strategy::{AlertLevel, Baseline, Methods};
use crate::config::{Config, Kind, Parameters};
use crate::event::{CycleCompleted, Event, Forgotten, Phase};
use crate::execute::{Change, Knob, Outcome, Setting, Verification};
use crate::feedback::effect::{Effect, Trial};
use crate::feedback::weights::Heard;
use crate::feedback::{Action, Adjustment, LoopKind, Signal, Target, Verdict};
use crate::monitor::{Fate, Fates, Sample};
use crate::plan::guard::Refusal;
use crate::plan::parameters::Factors;
use crate::plan::state::{Evidence, EvidenceKind, StateSince, SystemState, Transition};
use crate::series::SeriesName;
use crate::stats::Scratch;
use crate::time::{Span, Timestamp};
use crate::units::Sensitivity;
use changes::{Changes, Turned};
use claims::Claims;
use door::{Admission, Door};
pub use general::Shared;
use general::{General, Pool};
use histogram::{Histogram, Histograms};
use history::History;
use proposals::Proposals;
use serde::{Deserialize, Serialize};
use series::{Noticed, Series, SharedSettings, Trust};
use shard::Shard;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Where a series is held. Only the engine that gave it out can read it; it is not stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesId {
    pub(crate) shard: u16,
    pub(crate) generation: u16,
    pub(crate) slot: u32,
}

impl SeriesId {
    /// All of it in one number, for a record that is read by the same engine, or whose reader is told what it stands for.
    pub const fn bits(self) -> u64 {
        (self.shard as u64) << 48 | (self.generation as u64) << 32 | self.slot as u64
    }

    /// Its shard, its slot there (small, and used again), and how often that was used before.
    pub const fn place(self) -> (usize, usize, u16) {
        (self.shard as usize, self.slot as usize, self.generation)
    }
}

/// Transitions and optimizations that are kept, verdicts and outcomes that count.
const TRANSITIONS_KEPT: usize = 500;
const OPTIMIZATIONS_KEPT: usize = 100;
const OUTCOMES_KEPT: usize = 100;
const VERDICTS_KEPT: usize = 50;

/// Under so many, a share of outcomes or verdicts says nothing and is absent.
const OUTCOMES_MIN: usize = 10;
const VERDICTS_MIN: usize = 5;

/// Verdicts older than this say nothing of the present.
const VERDICTS_AGE_MAX: Span = Span::hours(24);

/// With more series than this a new configuration is brought to them on several threads.
const SIDE_BY_SIDE_MIN: usize = 20_000;

/// A series idle for this long may give way to a new one.
const IDLE: Span = Span::minutes(5);

/// A change that is out, with what its expectation is measured from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pending {
    pub change: Change,
    /// Of the series it is about: samples judged and breached when it went out.
    pub judged: u64,
    pub breached: u64,
    /// The strategy whose bounds it set, when it set bounds.
    pub strategy: Option<crate::config::StrategyName>,
}

/// One learning of one series that gave something new.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Optimization {
    pub at: Timestamp,
    pub series: SeriesName,
    pub strategy: crate::config::StrategyName,
    pub confidence: crate::units::Confidence,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

/// What one feedback loop heard and did, counted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LoopMemory {
    pub signals: u64,
    pub actions: u64,
    pub withheld: u64,
    pub paused: bool,
    pub effect: Effect,
    /// Heard since the last cycle, oldest first.
    pub(crate) heard: Vec<Signal>,
}

/// All memory of the engine.
#[derive(Debug)]
pub struct Knowledge {
    pub(crate) config: Config,
    pub(crate) methods: Arc<Methods>,
    pub(crate) general: General,
    shards: Vec<Shard>,
    names: BTreeMap<SeriesName, SeriesId>,
    pub(crate) histograms: Histograms,
    /// Idle series that may give way, least recently sampled first, with when that was; and when it is worth to look for
    /// more.
    idle: VecDeque<(Timestamp, SeriesId)>,
    idle_next: Timestamp,
    pub(crate) scratch: Scratch,
    threads: usize,
    /// How many parts with series were handed out of the snapshot that is being taken.
    handed_out: usize,
    /// What the configuration says of series that are to come.
    settings: SharedSettings,
}

/// There is no room for another series: all that are held are alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "limits.series_max ({series_max}) is reached, and all series are alive: raise it, or drop labels that have many values"
)]
pub struct NoRoom {
    pub series_max: usize,
}

impl Knowledge {
    pub(crate) fn new(config: Config, methods: Arc<Methods>, shards: usize, now: Timestamp) -> Knowledge {
        assert!((1..=usize::from(u16::MAX)).contains(&shards), "a shard's number fits 16 bits");
        let general = General {
            state: StateSince::new(now),
            parameters: config.states.healthy.into(),
            parameters_of: SystemState::Healthy,
            factors: Factors::default(),
            preferences: BTreeMap::new(),
            measured: BTreeMap::new(),
            breach_share_usual: None,
            evidence: Evidence::default(),
            changes: Changes::default(),
            pending: BTreeMap::new(),
            dispatched: Turned::default(),
            outcomes: History::new(OUTCOMES_KEPT),
            settled: BTreeMap::new(),
            verdicts: History::new(VERDICTS_KEPT),
            signals: History::new(config.feedback.signal_history),
            actions: History::new(config.feedback.action_history),
            transitions: History::new(TRANSITIONS_KEPT),
            optimizations: History::new(OPTIMIZATIONS_KEPT),
            loops: LoopKind::ALL.into_iter().map(|kind| (kind, LoopMemory::default())).collect(),
            fates: Fates::default(),
            forgotten: 0,
            refused_series: 0,
            refused_changes: 0,
            refused_because: BTreeMap::new(),
            cycles: 0,
            last_cycle: now,
            hurry: false,
            goes_on: false,
            counted: Timestamp::EPOCH,
            signal_id: 0,
            change_id: 0,
            chance: config.feedback.seed,
            seed: config.feedback.seed,
            frozen: false,
            sharing: Vec::new(),
            turn: None,
            counting: BTreeMap::new(),
            bytes_counted: 0,
            bytes: 0,
            features: Heard::default(),
            fleet: Heard::default(),
            claims: Claims::default(),
            proposals: Proposals::default(),
            rollouts: BTreeMap::new(),
        };
        Knowledge {
            config,
            methods,
            general,
            shards: (0..shards).map(|_| Shard::default()).collect(),
            names: BTreeMap::new(),
            histograms: Histograms::default(),
            idle: VecDeque::new(),
            idle_next: Timestamp::from_millis(i64::MIN),
            scratch: Scratch::default(),
            threads: 1,
            handed_out: 0,
            settings: SharedSettings::default(),
        }
    }

    pub(crate) fn use_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    // --- what may be read -------------------------------------------------------------------------------------------

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What verdicts said of each feature of the detectors, of all series.
    pub fn heard(&self) -> &Heard {
        &self.general.features
    }

    /// By how many series the budget that this one has a part in is shared, as of the last cycle.
    pub fn sharing_with(&self, series: &Series) -> usize {
        self.general.sharing_with(series)
    }

    /// The budgets that series share, that of all first: what each asks, and what came of it.
    pub fn budgets(&self, now: Timestamp) -> Vec<Shared<'_>> {
        let rules = self.config.series.iter().enumerate();
        let shared = rules.filter(|(_, rule)| rule.share_budget == Some(true));
        let of_rules = shared.filter_map(|(at, rule)| Some((Pool::Rule(at), Some(&rule.selector), rule.budget?)));
        let mut budgets: Vec<(Pool, Shared<'_>)> = std::iter::once((Pool::All, None, self.config.budget))
            .chain(of_rules)
            .map(|(pool, selector, asked)| (pool, Shared { selector, asked, series: 0, alerts_per_week: None }))
            .collect();
        for series in self.series_as_they_lie().filter(|series| series.watched()) {
            let Some(pool) = series.pool() else { continue };
            let paging = self.general.sharing.iter().any(|(of, sharing)| *of == pool && sharing.paging > 0);
            if paging && !series.pages() {
                continue;
            }
            if let Some((_, shared)) = budgets.iter_mut().find(|(of, _)| *of == pool) {
                shared.series += 1;
                if let Some(rate) = series.alerts().per_week(now) {
                    *shared.alerts_per_week.get_or_insert(0.0) += rate;
                }
            }
        }
        budgets.into_iter().map(|(_, shared)| shared).collect()
    }

    /// What came of what confidences claimed.
    pub fn claims(&self) -> &Claims {
        &self.general.claims
    }

    /// All series, by name.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.names.values().filter_map(|id| self.get(*id))
    }

    /// The same in no order: far quicker where there are many.
    pub fn series_as_they_lie(&self) -> impl Iterator<Item = &Series> {
        self.shards.iter().flat_map(Shard::iter)
    }

    pub fn series_count(&self) -> usize {
        self.names.len()
    }

    pub fn find(&self, name: &SeriesName) -> Option<&Series> {
        self.get(*self.names.get(name)?)
    }

    pub fn id(&self, name: &SeriesName) -> Option<SeriesId> {
        self.names.get(name).copied()
    }

    #[inline]
    pub fn get(&self, id: SeriesId) -> Option<&Series> {
        self.shards.get(usize::from(id.shard))?.get(id)
    }

    /// The histogram that a series is a bucket of, or made of.
    pub fn histogram(&self, series: &Series) -> Option<&Histogram> {
        match (&series.part, &series.derived_from) {
            (Some(part), _) => self.histograms.get(**part),
            (None, Some(from)) => self.histograms.find(from),
            (None, None) => None,
        }
    }

    pub fn state(&self) -> &StateSince {
        &self.general.state
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        &self.general.parameters
    }

    pub fn factors(&self) -> &Factors {
        &self.general.factors
    }

    /// Weight on a strategy's loss when adaptive chooses; 1 when nothing is known.
    pub fn preference(&self, strategy: &str) -> f64 {
        self.general.preferences.get(strategy).copied().unwrap_or(1.0)
    }

    /// The evidence that the last cycle decided from.
    pub fn evidence(&self) -> &Evidence {
        &self.general.evidence
    }

    pub fn signals(&self) -> &History<Signal> {
        &self.general.signals
    }

    pub fn actions(&self) -> &History<Action> {
        &self.general.actions
    }

    /// Levels that shifted, and what was asked about them.
    pub fn proposals(&self) -> &Proposals {
        &self.general.proposals
    }

    pub fn transitions(&self) -> &History<Transition> {
        &self.general.transitions
    }

    pub fn optimizations(&self) -> &History<Optimization> {
        &self.general.optimizations
    }

    pub fn loop_memory(&self, kind: LoopKind) -> &LoopMemory {
        self.general.loops.get(&kind).expect("every loop has its memory from the start")
    }

    /// How many changes ended in this way.
    pub fn settled(&self, verification: Verification) -> u64 {
        self.general.settled.get(&verification).copied().unwrap_or(0)
    }

    pub fn fates(&self) -> &Fates {
        &self.general.fates
    }

    pub fn cycles(&self) -> u64 {
        self.general.cycles
    }

    pub fn last_cycle(&self) -> Timestamp {
        self.general.last_cycle
    }

    pub fn frozen(&self) -> bool {
        self.general.frozen || self.config.execution.freeze
    }

    /// The parameters' row of the present state, as configured.
    pub fn row(&self) -> Parameters {
        self.config.states.row(self.general.state.state)
    }

    /// The latest measurement of a kind of evidence, and when it was made.
    pub fn measured(&self, kind: EvidenceKind) -> Option<(f64, Timestamp)> {
        self.general.measured.get(&kind).copied()
    }

    /// Series that were forgotten, new series that were refused, changes that were refused.
    pub fn losses(&self) -> (u64, u64, u64) {
        (self.general.forgotten, self.general.refused_series, self.general.refused_changes)
    }

    /// How many changes the guard held back for this reason.
    pub fn refused(&self, because: Refusal) -> u64 {
        self.general.refused_because.get(&because).copied().unwrap_or(0)
    }

    /// Share of settled expectations that came true; absent until enough are settled.
    pub fn decision_quality(&self) -> Option<f64> {
        let settled = self.general.outcomes.len();
        let met = self.general.outcomes.iter().filter(|outcome| **outcome == Verification::Met).count();
        (settled >= OUTCOMES_MIN).then(|| met as f64 / settled as f64)
    }

    /// Share of the judged alerts that were judged false; absent until enough are judged.
    pub fn false_share(&self, now: Timestamp) -> Option<f64> {
        self.share_of_verdicts(Verdict::False, Verdict::True, now)
    }

    /// Share of what mattered, by verdicts, that was alerted and not missed; absent until enough is judged.
    pub fn detection_accuracy(&self, now: Timestamp) -> Option<f64> {
        self.share_of_verdicts(Verdict::True, Verdict::Missed, now)
    }

    fn share_of_verdicts(&self, of: Verdict, or: Verdict, now: Timestamp) -> Option<f64> {
        let recent = |at: Timestamp| now.since(at) <= VERDICTS_AGE_MAX;
        let verdicts = &self.general.verdicts;
        let count = |wanted: Verdict| verdicts.iter().filter(|(at, said)| recent(*at) && *said == wanted).count();
        let (these, others) = (count(of), count(or));
        (these + others >= VERDICTS_MIN).then(|| these as f64 / (these + others) as f64)
    }

    /// Evidence as it stands: what was measured and is still fresh, and what memory itself says.
    /// `breach_share` is measured by the analysis and not filled in here.
    pub(crate) fn evidence_at(&self, now: Timestamp) -> Evidence {
        let fresh = Span::minutes(1).max(self.general.parameters.monitoring_interval * 3);
        let mut evidence = Evidence::default();
        for (kind, (value, at)) in &self.general.measured {
            if now.since(*at) <= fresh {
                evidence.set(*kind, Some(*value));
            }
        }
        evidence.set(EvidenceKind::DecisionQuality, self.decision_quality());
        evidence.set(EvidenceKind::FalseShare, self.false_share(now));
        evidence
    }

    /// Hash of the situation: state, and evidence in tenths. Alike situations are equal.
    pub fn situation(&self) -> u64 {
        let mut bytes = Vec::with_capacity(2 + 2 * EvidenceKind::ALL.len());
        bytes.push(self.general.state.state as u8);
        for (kind, value) in self.general.evidence.iter() {
            bytes.push(kind as u8);
            bytes.push((value * 10.0).clamp(-100.0, 100.0) as i8 as u8);
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    /// The state whose row the parameters followed in the last cycle.
    pub(crate) fn parameters_of(&self) -> SystemState {
        self.general.parameters_of
    }

    pub(crate) fn methods(&self) -> &Methods {
        &self.methods
    }

    pub(crate) fn breach_share_usual(&self) -> Option<f64> {
        self.general.breach_share_usual
    }

    pub(crate) fn chance(&self) -> u64 {
        self.general.chance
    }

    pub(crate) fn in_a_hurry(&self) -> bool {
        self.general.hurry
    }

    pub(crate) fn goes_on(&self) -> bool {
        self.general.goes_on
    }

    pub(crate) fn last_signal_id(&self) -> u64 {
        self.general.signal_id
    }

    pub(crate) fn next_signal_id(&self) -> u64 {
        self.general.signal_id + 1
    }

    pub(crate) fn next_change_id(&self) -> u64 {
        self.general.change_id + 1
    }

    // --- the door for samples ---------------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn record(&mut self, sample: &Sample, now: Timestamp, noticed: &mut Noticed) {
        self.record_derived(sample, now, noticed);
        self.general.fates.add(noticed.fate);
    }

    /// The same for a sample that did not come from outside and is not counted among those that did.
    #[inline]
    pub(crate) fn record_derived(&mut self, sample: &Sample, now: Timestamp, noticed: &mut Noticed) {
        let admission = self.admission();
        let Some(series) = self.shards.get_mut(usize::from(sample.series.shard)).and_then(|s| s.get_mut(sample.series))
        else {
            return;
        };
        match series.door {
            Door::Bucket => {
                noticed.fate = series.fold(sample.at, sample.value, now, Some(&admission), &mut self.histograms);
            }
            _ => series.record(sample.at, sample.value, now, &admission, &self.methods, noticed),
        }
        self.general.hurry |= noticed.ripe || noticed.onset;
    }

    pub(crate) fn backfill(&mut self, id: SeriesId, history: &[(Timestamp, f64)], now: Timestamp) -> Fates {
        let fates = self.backfill_derived(id, history, now);
        self.general.fates += &fates;
        fates
    }

    /// The same for samples that did not come from outside and are not counted among those that did.
    pub(crate) fn backfill_derived(&mut self, id: SeriesId, history: &[(Timestamp, f64)], now: Timestamp) -> Fates {
        let admission = self.admission();
        let ripe_at = self.config.learning.min_data_points as u64;
        let mut fates = Fates::default();
        let methods = Arc::clone(&self.methods);
        match self.get_mut(id) {
            Some(series) => {
                series.last_seen = now;
                let before = series.admitted;
                fates = series.backfill(history, now, &admission, methods.detector(&series.settings.strategy));
                let ripe = before < ripe_at && series.admitted >= ripe_at;
                self.general.hurry |= ripe;
            }
            None => history.iter().for_each(|_| fates.add(Fate::UnknownSeries)),
        }
        fates
    }

    /// A series is alive although it had nothing to say.
    pub(crate) fn seen(&mut self, id: SeriesId, now: Timestamp) {
        if let Some(series) = self.get_mut(id) {
            series.last_seen = now;
        }
    }

    /// One sample of history of a series that is a bucket.
    pub(crate) fn backfill_bucket(&mut self, sample: &Sample, now: Timestamp) -> Fate {
        let series = self.shards.get_mut(usize::from(sample.series.shard)).and_then(|s| s.get_mut(sample.series));
        let fate = match series {
            Some(series) => series.fold(sample.at, sample.value, now, None, &mut self.histograms),
            None => Fate::UnknownSeries,
        };
        self.general.fates.add(fate);
        fate
    }

    fn admission(&self) -> Admission {
        let learning = &self.config.learning;
        Admission {
            window_len: learning.window_len,
            window_age: learning.learning_window,
            min_data_points: learning.min_data_points,
            young_under: self.config.states.healthy.planning_lookahead,
        }
    }

    /// Who has to give way so that one more series fits: nobody, somebody, or there is no room.
    pub(crate) fn room(&mut self, now: Timestamp) -> Result<Option<SeriesName>, NoRoom> {
        let series_max = self.config.limits.series_max;
        if self.names.len() < series_max {
            return Ok(None);
        }
        // Whether a series is idle is read off the last whole second, so that looking once in a second is enough and what
        // is remembered of it changes nothing: an engine that was restored decides the same.
        let second = |at: Timestamp| Timestamp::from_millis(at.millis().div_euclid(1000) * 1000);
        loop {
            while let Some((last_seen, id)) = self.idle.pop_front() {
                // Who was sampled since is no longer the least recent, however idle by now.
                if let Some(series) = self.get(id).filter(|series| series.last_seen == last_seen) {
                    return Ok(Some(series.name.clone()));
                }
            }
            // Looking at all series for each one that is refused would be work a sender could cause at will.
            if second(now) < self.idle_next {
                self.general.refused_series += 1;
                return Err(NoRoom { series_max });
            }
            let mut idle: Vec<(Timestamp, &SeriesName, SeriesId)> = Vec::new();
            let mut oldest_alive = now;
            for (name, id) in &self.names {
                let Some(series) = self.get(*id) else { continue };
                if second(now).since(series.last_seen) > IDLE {
                    idle.push((series.last_seen, name, *id));
                } else {
                    oldest_alive = oldest_alive.min(series.last_seen);
                }
            }
            idle.sort();
            self.idle = idle.into_iter().map(|(last_seen, _, id)| (last_seen, id)).collect();
            self.idle_next = second(oldest_alive + IDLE) + Span::from_secs(1);
        }
    }

    /// Series of this turn whose last sample is older than their time to live.
    pub(crate) fn ended(&self, now: Timestamp) -> Vec<SeriesName> {
        let ttl = self.config.limits.series_ttl;
        self.attended().filter(|series| now.since(series.last_seen) > ttl).map(|series| series.name.clone()).collect()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        self.shards.get_mut(usize::from(id.shard))?.get_mut(id)
    }

    fn find_mut(&mut self, name: &SeriesName) -> Option<&mut Series> {
        let id = *self.names.get(name)?;
        self.get_mut(id)
    }

    fn insert(&mut self, mut series: Series) {
        series.set_share(self.general.share_of(&series, &self.config));
        series.set_weights(&self.general.fleet);
        series.set_detects(&self.methods);
        let name = series.name.clone();
        let id = self.place(Box::new(series));
        self.names.insert(name, id);
    }

    /// Puts a series where it belongs.
    fn place(&mut self, mut series: Box<Series>) -> SeriesId {
        if matches!(series.door, Door::Bucket) {
            series.part = self.histograms.register(&series.name).map(Box::new);
        }
        series.alone = !matches!(series.door, Door::Bucket) && series.derived_from.is_none();
        let shard = (series.name.hash64() % self.shards.len() as u64) as u16;
        self.shards[usize::from(shard)].insert(shard, series)
    }

    fn share_budget(&mut self) {
        let Knowledge { shards, config, general, .. } = self;
        for series in shards.iter_mut().flat_map(Shard::iter_to_derive) {
            series.set_share(general.share_of(series, config));
        }
    }

    /// Where people said something since the last cycle, all series hear of it.
    pub(crate) fn hear_of_fleet(&mut self) {
        if self.general.fleet == self.general.features {
            return;
        }
        self.general.fleet = self.general.features.clone();
        let Knowledge { shards, general, .. } = self;
        shards.iter_mut().flat_map(Shard::iter_to_derive).for_each(|series| series.set_weights(&general.fleet));
    }

    /// Series that were read as another kind than the configuration says now: what they hold is something else.
    pub(crate) fn read_otherwise(&self) -> Vec<SeriesName> {
        let all = self.series_as_they_lie().filter(|series| series.is_read_otherwise());
        let mut names: Vec<SeriesName> = all.map(|series| series.name.clone()).collect();
        names.sort();
        names
    }

    pub(crate) fn reconfigure(&mut self, config: Config) {
        self.config = config;
        self.settings.clear();
        let Knowledge { shards, config, general, methods, .. } = self;
        let refresh = |shard: &mut Shard| {
            let mut settings = SharedSettings::default();
            for series in shard.iter_mut() {
                series.refresh(settings.of(&series.name, config), methods);
                series.set_share(general.share_of(series, config));
            }
        };
        match self.names.len() > SIDE_BY_SIDE_MIN {
            true => std::thread::scope(|scope| {
                shards.iter_mut().for_each(|shard| _ = scope.spawn(move || refresh(shard)));
            }),
            false => shards.iter_mut().for_each(refresh),
        }
        self.follow_config();
    }

    /// Brings what belongs to no one series, or to several, to what the configuration says.
    fn follow_config(&mut self) {
        let Knowledge { config, general, .. } = self;
        // Chance begins anew from another seed, also after a restart; with the same one it goes on from where it stands.
        if config.feedback.seed != general.seed {
            (general.seed, general.chance) = (config.feedback.seed, config.feedback.seed);
        }
        general.signals.resize(config.feedback.signal_history);
        general.actions.resize(config.feedback.action_history);
        self.set_all_arms();
    }
}
