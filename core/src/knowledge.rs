//! K: all memory. Two doors: samples by `record`, everything else by `apply(event)`.
//!
//! Nothing else changes it, so events replayed over the same samples give the same memory, and a snapshot of it is all
//! there is to know.

pub mod history;
pub mod series;
mod shard;
pub mod snapshot;
pub mod window;

use crate::analyze::strategy::adaptive::Merit;
use crate::analyze::strategy::{Baseline, Methods};
use crate::config::{Config, Kind, Parameters};
use crate::event::{CycleCompleted, Event, Forgotten, Phase};
use crate::execute::{Change, Knob, Measure, Outcome, Setting, Verification};
use crate::feedback::effect::{Effect, Trial};
use crate::feedback::{Action, Adjustment, LoopKind, Signal, Target, Verdict};
use crate::monitor::{Fate, Fates, Sample};
use crate::plan::guard::Dispatched;
use crate::plan::parameters::Factors;
use crate::plan::state::{Evidence, EvidenceKind, StateSince, SystemState, Transition};
use crate::series::SeriesName;
use crate::stats::Scratch;
use crate::time::{Span, Timestamp};
use crate::units::Sensitivity;
use history::History;
use serde::{Deserialize, Serialize};
use series::{Admission, Noticed, Series, Trust};
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

/// Everything but the series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct General {
    pub state: StateSince,
    pub parameters: Parameters,
    /// The state whose row the parameters follow.
    pub parameters_of: SystemState,
    pub factors: Factors,
    pub preferences: BTreeMap<crate::config::StrategyName, f64>,
    /// Latest measured evidence of each kind, and when.
    pub measured: BTreeMap<EvidenceKind, (f64, Timestamp)>,
    pub breach_share_usual: Option<f64>,
    pub evidence: Evidence,
    pub pending: BTreeMap<u64, Pending>,
    pub pending_by_knob: BTreeMap<Knob, u64>,
    pub dispatched: Dispatched,
    pub outcomes: History<Verification>,
    /// How many changes ended in each way.
    pub settled: BTreeMap<Verification, u64>,
    pub verdicts: History<(Timestamp, Verdict)>,
    pub signals: History<Signal>,
    pub actions: History<Action>,
    pub transitions: History<Transition>,
    pub optimizations: History<Optimization>,
    pub loops: BTreeMap<LoopKind, LoopMemory>,
    pub fates: Fates,
    pub forgotten: u64,
    pub refused_series: u64,
    pub refused_changes: u64,
    pub cycles: u64,
    pub last_cycle: Timestamp,
    /// Something happened that should not wait for the next regular cycle.
    pub hurry: bool,
    /// Counters that ids are drawn from.
    pub signal_id: u64,
    pub change_id: u64,
    pub chance: u64,
    pub frozen: bool,
}

/// All memory of the engine.
#[derive(Debug)]
pub struct Knowledge {
    pub(crate) config: Config,
    pub(crate) methods: Arc<Methods>,
    pub(crate) general: General,
    shards: Vec<Shard>,
    names: BTreeMap<SeriesName, SeriesId>,
    /// Idle series that may give way, least recently sampled first, and when it is worth to look for more.
    idle: VecDeque<SeriesId>,
    idle_next: Timestamp,
    pub(crate) scratch: Scratch,
}

/// There is no room for another series: all that are held are alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{series_max} series are held and all are alive: raise limits.series_max or send fewer")]
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
            pending: BTreeMap::new(),
            pending_by_knob: BTreeMap::new(),
            dispatched: Dispatched::default(),
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
            cycles: 0,
            last_cycle: now,
            hurry: false,
            signal_id: 0,
            change_id: 0,
            chance: config.feedback.seed,
            frozen: config.execution.freeze,
        };
        Knowledge {
            config,
            methods,
            general,
            shards: (0..shards).map(|_| Shard::default()).collect(),
            names: BTreeMap::new(),
            idle: VecDeque::new(),
            idle_next: now,
            scratch: Scratch::default(),
        }
    }

    // --- what may be read -------------------------------------------------------------------------------------------

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All series, by name.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.names.values().filter_map(|id| self.get(*id))
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

    pub fn transitions(&self) -> &History<Transition> {
        &self.general.transitions
    }

    pub fn optimizations(&self) -> &History<Optimization> {
        &self.general.optimizations
    }

    pub fn loop_memory(&self, kind: LoopKind) -> &LoopMemory {
        self.general.loops.get(&kind).expect("every loop has its memory from the start")
    }

    /// Changes whose expectation is not settled yet.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.general.pending.values()
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
        self.general.frozen
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

    /// Share of settled expectations that came true; absent until enough are settled.
    pub fn decision_quality(&self) -> Option<f64> {
        let settled = self.general.outcomes.len();
        let met = self.general.outcomes.iter().filter(|outcome| **outcome == Verification::Met).count();
        (settled >= OUTCOMES_MIN).then(|| met as f64 / settled as f64)
    }

    /// Share of the judged that was judged false; absent until enough is judged.
    pub fn false_share(&self, now: Timestamp) -> Option<f64> {
        let recent = self.general.verdicts.iter().filter(|(at, _)| now.since(*at) <= VERDICTS_AGE_MAX);
        let (mut judged, mut wrong) = (0, 0);
        for (_, verdict) in recent {
            judged += usize::from(*verdict != Verdict::Missed);
            wrong += usize::from(*verdict == Verdict::False);
        }
        (judged >= VERDICTS_MIN).then(|| wrong as f64 / judged as f64)
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

    /// Hash of the situation: state, evidence in tenths, and how much of each knob is out. Alike situations are equal.
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

    pub(crate) fn dispatched(&self) -> &Dispatched {
        &self.general.dispatched
    }

    pub(crate) fn chance(&self) -> u64 {
        self.general.chance
    }

    pub(crate) fn in_a_hurry(&self) -> bool {
        self.general.hurry
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

    /// The change of this knob that is not settled yet.
    pub(crate) fn pending_of(&self, knob: &Knob) -> Option<&Pending> {
        self.general.pending.get(self.general.pending_by_knob.get(knob)?)
    }

    // --- the door for samples ---------------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn record(&mut self, sample: &Sample, now: Timestamp) -> Noticed {
        let admission = self.admission();
        let noticed = match self.shards.get_mut(usize::from(sample.series.shard)).and_then(|s| s.get_mut(sample.series))
        {
            Some(series) => {
                let detector = match series.detector {
                    Some(_) => self.methods.detector(&series.settings.strategy),
                    None => None,
                };
                series.record(sample.at, sample.value, now, &admission, detector)
            }
            None => Noticed::unknown(),
        };
        self.general.fates.add(noticed.fate);
        self.general.hurry |= noticed.ripe || noticed.onset;
        noticed
    }

    pub(crate) fn backfill(&mut self, id: SeriesId, history: &[(Timestamp, f64)], now: Timestamp) -> Fates {
        let admission = self.admission();
        let ripe_at = self.config.learning.min_data_points as u64;
        let mut fates = Fates::default();
        match self.get_mut(id) {
            Some(series) => {
                series.last_seen = now;
                let before = series.admitted;
                fates = series.backfill(history, &admission);
                let ripe = before < ripe_at && series.admitted >= ripe_at;
                self.general.hurry |= ripe;
            }
            None => history.iter().for_each(|_| fates.add(Fate::UnknownSeries)),
        }
        self.general.fates += &fates;
        fates
    }

    fn admission(&self) -> Admission {
        let learning = &self.config.learning;
        Admission {
            window_len: learning.window_len,
            window_age: learning.learning_window,
            min_data_points: learning.min_data_points,
        }
    }

    /// Who has to give way so that one more series fits: nobody, somebody, or there is no room.
    pub(crate) fn room(&mut self, now: Timestamp) -> Result<Option<SeriesName>, NoRoom> {
        let series_max = self.config.limits.series_max;
        if self.names.len() < series_max {
            return Ok(None);
        }
        loop {
            while let Some(id) = self.idle.pop_front() {
                let still = self.get(id).filter(|series| now.since(series.last_seen) > IDLE);
                if let Some(series) = still {
                    return Ok(Some(series.name.clone()));
                }
            }
            // Looking at all series for each one that is refused would be work a sender could cause at will.
            if now < self.idle_next {
                self.general.refused_series += 1;
                return Err(NoRoom { series_max });
            }
            let mut idle: Vec<(Timestamp, &SeriesName, SeriesId)> = Vec::new();
            let mut oldest_alive = now;
            for (name, id) in &self.names {
                let Some(series) = self.get(*id) else { continue };
                if now.since(series.last_seen) > IDLE {
                    idle.push((series.last_seen, name, *id));
                } else {
                    oldest_alive = oldest_alive.min(series.last_seen);
                }
            }
            idle.sort();
            self.idle = idle.into_iter().map(|(_, _, id)| id).collect();
            self.idle_next = oldest_alive + IDLE + Span::from_secs(1);
        }
    }

    /// Series whose last sample is older than their time to live.
    pub(crate) fn ended(&self, now: Timestamp) -> Vec<SeriesName> {
        let ttl = self.config.limits.series_ttl;
        self.series().filter(|series| now.since(series.last_seen) > ttl).map(|series| series.name.clone()).collect()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        self.shards.get_mut(usize::from(id.shard))?.get_mut(id)
    }

    fn find_mut(&mut self, name: &SeriesName) -> Option<&mut Series> {
        let id = *self.names.get(name)?;
        self.get_mut(id)
    }

    fn insert(&mut self, series: Series) -> SeriesId {
        let shard = (series.name.hash64() % self.shards.len() as u64) as u16;
        let name = series.name.clone();
        let id = self.shards[usize::from(shard)].insert(shard, series);
        self.names.insert(name, id);
        id
    }

    pub(crate) fn reconfigure(&mut self, config: Config) {
        self.config = config;
        let Knowledge { shards, config, general, .. } = self;
        shards.iter_mut().flat_map(Shard::iter_mut).for_each(|series| series.refresh(config));
        general.signals.resize(config.feedback.signal_history);
        general.actions.resize(config.feedback.action_history);
    }

    // --- the door for events ----------------------------------------------------------------------------------------

    /// Takes in what was decided. The only other way that memory changes.
    pub(crate) fn apply(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::SeriesAdded { series, declared } => self.apply_added(series, *declared, now),
            Event::SeriesForgotten { series, because: Forgotten::Ended | Forgotten::GaveWay } => {
                self.apply_forgotten(series)
            }
            Event::ThresholdLearned { series, threshold, .. } => {
                self.general.optimizations.push(Optimization {
                    at: threshold.learned_at,
                    series: series.clone(),
                    strategy: threshold.strategy.clone(),
                    confidence: threshold.confidence,
                    lower: threshold.bounds.at(now).0,
                    upper: threshold.bounds.at(now).1,
                });
                self.apply_learned(series, threshold);
            }
            Event::Alerted(alerted) => {
                if let Some(series) = self.find_mut(&alerted.series) {
                    series.alert_since = (alerted.phase == Phase::Onset).then_some(alerted.at);
                    series.tally.alerts += u64::from(alerted.phase == Phase::Onset);
                }
            }
            Event::Forecasted { series, crosses_at } => {
                if let Some(series) = self.find_mut(series) {
                    series.forecast = *crosses_at;
                }
            }
            Event::StateChanged { transition, .. } => {
                self.general.transitions.push(transition.clone());
                self.general.hurry |= transition.forced_until.is_some();
                if let Some(until) = transition.forced_until {
                    self.general.state =
                        self.general.state.force(transition.to, until, &transition.evidence, transition.at).0;
                }
            }
            Event::ChangeDispatched { change } => self.apply_dispatched(change),
            Event::ChangeSettled { outcome } => self.apply_settled(outcome),
            Event::Signalled { signal } => self.apply_signal(signal),
            Event::Adjusted { by, adjustment, change, .. } => {
                let due = now + self.general.parameters.planning_lookahead;
                let memory = self.loop_mut(*by);
                memory.actions += 1;
                open_trial(memory, adjustment, *change, due, false);
                let action = Action { id: *change, at: now, of: *by, adjustment: adjustment.clone(), outcome: None };
                self.general.actions.push(action);
            }
            Event::Withheld { by, adjustment, id, .. } => {
                let due = now + self.general.parameters.planning_lookahead;
                self.general.change_id = self.general.change_id.max(*id);
                let memory = self.loop_mut(*by);
                memory.withheld += 1;
                open_trial(memory, adjustment, *id, due, true);
            }
            Event::EffectMeasured { by, id, after } => {
                let effect = &mut self.loop_mut(*by).effect;
                if let Some(trial) = effect.take(*id) {
                    effect.close(trial, *after);
                }
            }
            Event::LoopPaused { by, paused, .. } => {
                let memory = self.loop_mut(*by);
                memory.paused = *paused;
                match paused {
                    true => memory.effect.pause(now),
                    false => memory.effect.resume(),
                }
            }
            Event::Frozen { frozen, .. } => self.general.frozen = *frozen,
            Event::CycleCompleted(cycle) => self.apply_cycle(cycle),
        }
    }

    fn loop_mut(&mut self, kind: LoopKind) -> &mut LoopMemory {
        self.general.loops.entry(kind).or_default()
    }

    fn apply_added(&mut self, name: &SeriesName, declared: Option<Kind>, now: Timestamp) {
        if !self.names.contains_key(name) {
            let series = Series::new(name.clone(), declared, &self.config, now);
            self.insert(series);
        }
    }

    fn apply_forgotten(&mut self, name: &SeriesName) {
        if let Some(id) = self.names.remove(name) {
            self.shards[usize::from(id.shard)].remove(id);
            self.general.forgotten += 1;
        }
    }

    fn apply_learned(&mut self, name: &SeriesName, threshold: &Arc<crate::threshold::Threshold>) {
        let methods = Arc::clone(&self.methods);
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some(series) = self.find_mut(name) {
            let losses = std::mem::take(&mut series.merits);
            series.merits = threshold.rivals.iter().map(|rival| Merit::carried_over(rival, &losses)).collect();
            series.merit_level = crate::stats::normal::cdf(threshold.sensitivity.get());
            series.learned = Some(Arc::clone(threshold));
            series.learned_at = Some(threshold.learned_at);
            series.learned_admitted = series.admitted;
            series.relearn = false;
            series.detector = methods.detector(&threshold.strategy).map(|detector| {
                let (mut at, mut values) = (Vec::new(), Vec::new());
                series.window.copy_into(&mut at, &mut values);
                detector.start(&Baseline::sorted(series.kind(), &at, &values, &mut scratch))
            });
        }
        self.scratch = scratch;
    }

    fn apply_dispatched(&mut self, change: &Change) {
        self.general.change_id = self.general.change_id.max(change.id);
        self.general.dispatched.note(&change.knob, change.at);
        match (&change.knob, &change.to) {
            (Knob::Threshold(name), _) => {
                if let Some(series) = self.find_mut(name)
                    && let Some(learned) = series.learned.clone()
                {
                    series.put_in_force(learned);
                }
            }
            (Knob::Sensitivity(name), Setting::Number(value)) => {
                if let Some(series) = self.find_mut(name) {
                    series.sensitivity = Sensitivity::clamped(*value);
                    series.relearn = series.learned.as_ref().is_none_or(|t| t.sensitivity != series.sensitivity);
                }
            }
            (Knob::Trust(name), Setting::Number(value)) => {
                if let Some(series) = self.find_mut(name) {
                    series.trust = Trust { value: *value, at: change.at };
                    series.relearn = true;
                }
            }
            (Knob::Preference(strategy), Setting::Number(value)) => {
                self.general.preferences.insert(strategy.clone(), *value);
            }
            (Knob::Factor(parameter), Setting::Number(value)) => {
                self.general.factors.set(*parameter, *value, change.at)
            }
            (Knob::Parameters, Setting::Parameters(parameters)) => self.general.parameters = *parameters,
            // An event whose setting does not fit its knob was not written by this engine; it changes nothing.
            _ => {}
        }
        let about = match &change.expect.of {
            Measure::BreachShare(name) => self.find(name),
            Measure::Evidence(_) => None,
        };
        let pending = Pending {
            change: change.clone(),
            judged: about.map_or(0, |series| series.tally.judged),
            breached: about.map_or(0, |series| series.tally.breached),
            strategy: match &change.knob {
                Knob::Threshold(_) => about.and_then(|series| series.learned.as_ref()).map(|t| t.strategy.clone()),
                _ => None,
            },
        };
        self.general.pending_by_knob.insert(change.knob.clone(), change.id);
        self.general.pending.insert(change.id, pending);
    }

    fn apply_settled(&mut self, outcome: &Outcome) {
        if let Some(pending) = self.general.pending.remove(&outcome.change) {
            let knob = &pending.change.knob;
            if self.general.pending_by_knob.get(knob) == Some(&outcome.change) {
                self.general.pending_by_knob.remove(knob);
            }
        }
        *self.general.settled.entry(outcome.verification).or_default() += 1;
        if matches!(outcome.verification, Verification::Met | Verification::Failed) {
            self.general.outcomes.push(outcome.verification);
        }
        let action = self.general.actions.iter_mut().rev().find(|action| action.id == outcome.change);
        if let Some(action) = action {
            action.outcome = Some(outcome.verification);
        }
    }

    fn apply_signal(&mut self, signal: &Signal) {
        self.general.signal_id = self.general.signal_id.max(signal.id);
        if let Some(kind) = EvidenceKind::ALL.into_iter().find(|kind| kind.as_str() == signal.source) {
            self.general.measured.insert(kind, (signal.value, signal.at));
        }
        if let Some(verdict) = signal.verdict {
            self.general.verdicts.push((signal.at, verdict));
            self.general.hurry = true;
            if let Some(series) = signal.series.as_ref().and_then(|name| self.find_mut(name)) {
                series.verdicts += 1;
            }
        }
        let memory = self.loop_mut(signal.of);
        memory.signals += 1;
        // What is not reflected on by the next cycle is bounded: a flood of signals keeps the latest.
        if memory.heard.len() == HEARD_MAX {
            memory.heard.drain(..HEARD_MAX / 2);
        }
        memory.heard.push(signal.clone());
        self.general.signals.push(signal.clone());
    }

    fn apply_cycle(&mut self, cycle: &CycleCompleted) {
        let general = &mut self.general;
        general.evidence = cycle.evidence;
        general.state = cycle.state.clone();
        general.parameters_of = cycle.state.state;
        general.breach_share_usual = cycle.breach_share_usual;
        general.refused_changes += u64::from(cycle.refused);
        general.cycles += 1;
        general.last_cycle = cycle.at;
        general.hurry = general.state.wants_early_cycle();
        general.chance = cycle.chance;
        general.loops.values_mut().for_each(|memory| memory.heard.retain(|signal| signal.id > cycle.heard));
        for name in &cycle.confirmed {
            if let Some(series) = self.find_mut(name) {
                series.learned_at = Some(cycle.at);
                series.learned_admitted = series.admitted;
                series.relearn = false;
            }
        }
    }
}

/// Signals a loop may have waiting for the next cycle.
const HEARD_MAX: usize = 4096;

fn open_trial(memory: &mut LoopMemory, adjustment: &Adjustment, id: u64, due: Timestamp, withheld: bool) {
    if let (Some(before), false) = (adjustment.aim, adjustment.explicit) {
        memory.effect.open(Trial { id, target: Target::clone(&adjustment.target), before, due, withheld });
    }
}
