//! The loop: the only file that knows the order.
//!
//! Samples come by `observe`, signals by `signal`, and each `cycle` reflects, analyzes, plans and dispatches. Everything
//! decided leaves as events, which the caller stores before it acts on them or acknowledges them.

mod observe;

pub use observe::Observed;

use crate::analyze::strategy::Methods;
use crate::analyze::{self, Analysis};
use crate::config::{Config, ConfigError, Kind};
use crate::event::{CycleCompleted, Event, Forgotten, Settled};
use crate::execute::{self, Change, Knob, Outcome, Setting};
use crate::feedback::subscription::{Subscriber, Subscription, subscribe};
use crate::feedback::{Adjustment, FeedbackLoop, LoopKind, Signal};
use crate::knowledge::proposals::{Answer, NotAnswered};
use crate::knowledge::rounds::GAP_MIN;
use crate::knowledge::series::Series;
use crate::knowledge::snapshot::{Parts, SnapshotError};
use crate::knowledge::{Knowledge, NoRoom, SeriesId};
use crate::plan::import::{Import, NotImported};
use crate::plan::parameters;
use crate::plan::state::SystemState;
use crate::plan::{self, Plan, Planned};
use crate::rollout::{self, NotMoved, Order};
use crate::series::SeriesName;
use crate::time::{Span, Timestamp};
use std::sync::Arc;

/// One that learned as much as fits a cycle, and not all, is followed after about as long as it took.
const GOES_ON_AFTER: Span = Span::from_millis(100);

/// A forced state ends after this long unless said otherwise.
pub const FORCED_FOR: Span = Span::minutes(15);

/// The engine. One owner, no clock, no I/O.
pub struct Engine {
    knowledge: Knowledge,
    loops: Vec<Box<dyn FeedbackLoop>>,
    subscribers: Vec<(LoopKind, Subscriber)>,
    /// Events that were decided outside of a call that returns any.
    outbox: Vec<Event>,
}

/// What came of one turn of the loop. The engine's own knobs are turned already; a change of another system's knob is
/// carried out by the caller once the events are stored.
#[must_use = "events must be stored before changes are carried out"]
#[derive(Debug)]
pub struct Cycle {
    pub events: Vec<Event>,
}

impl Engine {
    /// An engine that knows nothing yet. `config` must pass [`Config::check`].
    pub fn new(config: Config, now: Timestamp) -> Engine {
        Engine::with_methods(config, Methods::built_in(), 8, now)
    }

    /// The same with strategies and detectors of the caller's own, and a number of shards (1 to 65535; nothing that can be
    /// observed depends on it).
    pub fn with_methods(config: Config, methods: Methods, shards: usize, now: Timestamp) -> Engine {
        Engine::over(Knowledge::new(config, Arc::new(methods), shards, now))
    }

    /// An engine that goes on from a snapshot, which is at hand.
    pub fn restore(
        config: Config,
        methods: Methods,
        shards: usize,
        parts: &[(String, Vec<u8>)],
        now: Timestamp,
    ) -> Result<Engine, SnapshotError> {
        Engine::restore_from(config, methods, shards, &parts, now)
    }

    /// The same from one whose parts are read when each is needed, by several threads.
    pub fn restore_from(
        config: Config,
        methods: Methods,
        shards: usize,
        parts: &dyn Parts,
        now: Timestamp,
    ) -> Result<Engine, SnapshotError> {
        let mut engine = Knowledge::from_snapshot(config, Arc::new(methods), shards, parts, now).map(Engine::over)?;
        engine.outbox = engine.forget_read_otherwise(now);
        Ok(engine)
    }

    fn over(knowledge: Knowledge) -> Engine {
        Engine { knowledge, loops: crate::feedback::all(), subscribers: Vec::new(), outbox: Vec::new() }
    }

    /// Uses so many threads for what can be done side by side (at least 1, which it begins with). Nothing that can be observed depends on
    /// it.
    pub fn use_threads(&mut self, threads: usize) {
        self.knowledge.use_threads(threads.max(1));
    }

    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Takes a new configuration, all or nothing. The number of shards stays.
    pub fn reconfigure(&mut self, config: Config, now: Timestamp) -> Result<Vec<Event>, ConfigError> {
        config.check(&self.knowledge.methods().names())?;
        self.knowledge.reconfigure(config);
        self.knowledge.begin_round();
        let mut events = std::mem::take(&mut self.outbox);
        events.extend(self.forget_read_otherwise(now));
        Ok(events)
    }

    /// What a series holds was read as one kind; as another it begins anew.
    fn forget_read_otherwise(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        for series in self.knowledge.read_otherwise() {
            self.forget(series, Forgotten::ReadOtherwise, now, &mut events);
        }
        events
    }

    /// The id of a series, which is made when it is new. `declared` is what the source says it measures. What this decided
    /// (a series added, one that gave way) leaves with the next `observe` or `cycle`.
    pub fn intern(&mut self, name: &SeriesName, declared: Option<Kind>, now: Timestamp) -> Result<SeriesId, NoRoom> {
        if let Some(id) = self.knowledge.id(name) {
            return Ok(id);
        }
        let mut events = std::mem::take(&mut self.outbox);
        let id = self.add(name, declared, None, now, &mut events);
        self.outbox = events;
        id
    }

    fn add(
        &mut self,
        name: &SeriesName,
        declared: Option<Kind>,
        derived_from: Option<SeriesName>,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<SeriesId, NoRoom> {
        if let Some(series) = self.knowledge.room(now)? {
            self.forget(series, Forgotten::GaveWay, now, events);
        }
        self.emit(Event::SeriesAdded { series: name.clone(), declared, derived_from }, now, events);
        Ok(self.knowledge.id(name).expect("a series that was just added is held"))
    }

    /// A series leaves: its alert ends, and what was expected of changes of it is not found out any more.
    fn forget(&mut self, series: SeriesName, because: Forgotten, now: Timestamp, events: &mut Vec<Event>) {
        self.end_alert(&series, now, events);
        let pending = self.knowledge.find(&series).into_iter().flat_map(Series::pending);
        let given_up: Vec<Outcome> = pending.map(|pending| execute::given_up(pending, now)).collect();
        for outcome in given_up {
            self.emit(Event::ChangeSettled { outcome }, now, events);
        }
        self.emit(Event::SeriesForgotten { series, because }, now, events);
    }

    /// The event that [`signal`](Engine::signal) would give for this signal now: so that a caller can store it first and
    /// take it in only when that succeeded.
    pub fn numbered(&self, mut signal: Signal) -> Event {
        signal.id = self.knowledge.next_signal_id();
        Event::Signalled { signal }
    }

    /// Takes a signal in and gives it its number (in the event). The caller stores the event before it acknowledges.
    pub fn signal(&mut self, signal: Signal, now: Timestamp) -> Event {
        let event = self.numbered(signal);
        self.take_in(&event, now);
        event
    }

    /// Takes in an event that [`numbered`](Engine::numbered), [`answered`](Engine::answered) or [`ordered`](Engine::ordered) gave
    /// just now, once it is stored.
    pub fn take_in(&mut self, event: &Event, now: Timestamp) {
        self.knowledge.apply(event, now);
        self.tell(event);
    }

    /// The event that [`answer`](Engine::answer) would give, so that a caller can store it first. `comment` is kept with it.
    pub fn answered(&self, id: u64, answer: Answer, comment: Option<String>) -> Result<Event, NotAnswered> {
        let series = self.knowledge.proposals().answerable(id, answer)?;
        let settled = match answer {
            Answer::Accept => Settled::Accepted,
            Answer::Refuse => Settled::Refused,
        };
        Ok(Event::LevelShiftSettled { id, settled, series, comment, situation: self.knowledge.situation() })
    }

    /// Takes in what a person says of a proposal: all of its series that are still asked about. The caller stores the event
    /// before it acknowledges. A person's word counts also while all changes are stopped.
    pub fn answer(
        &mut self,
        id: u64,
        answer: Answer,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<Event, NotAnswered> {
        let event = self.answered(id, answer, comment)?;
        self.take_in(&event, now);
        Ok(event)
    }

    /// The event that [`order`](Engine::order) would give, so that a caller can store it first. `comment` is kept with it.
    pub fn ordered(&self, rule: &str, order: Order, comment: Option<String>) -> Result<Event, NotMoved> {
        rollout::ordered(&self.knowledge, rule, order, comment)
    }

    /// Takes in what a person wants done with what is tried out for an alert rule. The caller stores the event before it
    /// acknowledges.
    pub fn order(
        &mut self,
        rule: &str,
        order: Order,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<Event, NotMoved> {
        let event = self.ordered(rule, order, comment)?;
        self.take_in(&event, now);
        Ok(event)
    }

    /// Holds a state for a while, whatever the evidence.
    pub fn force(&mut self, state: SystemState, during: Span, now: Timestamp) -> Vec<Event> {
        let knowledge = &self.knowledge;
        let (_, transition) = knowledge.state().force(state, now + during, knowledge.evidence(), now);
        let mut events = std::mem::take(&mut self.outbox);
        let situation = knowledge.situation();
        self.emit(Event::StateChanged { transition, situation }, now, &mut events);
        events
    }

    /// Stops all changes, or lets them go on.
    pub fn freeze(&mut self, frozen: bool, because: String, now: Timestamp) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.outbox);
        let situation = Some(self.knowledge.situation());
        self.emit(Event::Frozen { frozen, because, situation }, now, &mut events);
        events
    }

    /// Puts a threshold in force that was not learned here, on a person's word: no rate limit applies, a freeze does. No
    /// event: the series stands there already.
    pub fn import(&mut self, series: &SeriesName, import: &Import, now: Timestamp) -> Result<Vec<Event>, NotImported> {
        let Some(planned) = plan::import::import(&self.knowledge, series, import, now)? else { return Ok(Vec::new()) };
        let mut events = std::mem::take(&mut self.outbox);
        if let Some(change) = planned.sensitivity {
            self.send(change, now, &mut events);
        }
        let (threshold, situation) = (Arc::new(planned.threshold), Some(self.knowledge.situation()));
        let event = Event::ThresholdLearned { series: series.clone(), threshold, active: true, situation };
        self.emit(event, now, &mut events);
        self.send(planned.change, now, &mut events);
        Ok(events)
    }

    /// What came of a change that was carried out elsewhere.
    pub fn settle(&mut self, outcome: Outcome, now: Timestamp) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.outbox);
        self.emit(Event::ChangeSettled { outcome }, now, &mut events);
        events
    }

    /// When the next cycle is due: after the interval, or as soon as may be when something should not wait.
    pub fn next_cycle(&self) -> Timestamp {
        let wait = match (self.knowledge.goes_on(), self.knowledge.in_a_hurry()) {
            (true, _) => GOES_ON_AFTER,
            (false, true) => GAP_MIN,
            (false, false) => self.knowledge.parameters().monitoring_interval,
        };
        self.knowledge.last_cycle() + wait
    }

    /// News of one loop: its signals, adjustments and pauses; the last `queue_len` that were not taken yet.
    pub fn subscribe(&mut self, of: LoopKind, queue_len: usize) -> Subscription {
        let (subscriber, subscription) = subscribe(queue_len);
        self.subscribers.push((of, subscriber));
        subscription
    }

    /// Applies an event of the journal again, in its order: how memory is brought up to date after a restart.
    pub fn replay(&mut self, event: &Event, at: Timestamp) {
        self.knowledge.apply(event, at);
    }

    /// All memory as bytes, in parts by name.
    pub fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        self.knowledge.snapshot()
    }

    /// Begins a snapshot of this moment that is taken a little at a time, whatever comes between: what changes before its part was
    /// handed out is copied first, so that all parts together are what [`snapshot`](Engine::snapshot) would give now. A snapshot that
    /// was being taken ends. Gives the parts that belong to no one series; [`snapshot_more`](Engine::snapshot_more) gives the others.
    pub fn begin_snapshot(&mut self) -> Vec<(String, Vec<u8>)> {
        self.knowledge.begin_snapshot()
    }

    /// Further parts of the snapshot that began, about so many bytes of memory in all; more where much that changed is held for
    /// it. None is left where it gives none.
    pub fn snapshot_more(&mut self, bytes: u64) -> Vec<(String, Vec<u8>)> {
        self.knowledge.snapshot_more(bytes)
    }

    /// Ends a snapshot early: nothing is copied for it any more.
    pub fn end_snapshot(&mut self) {
        self.knowledge.end_snapshot();
    }

    /// One turn: settle what is due, reflect, analyze, plan, dispatch. Time never runs back: a `now` before the last
    /// cycle's is taken as that.
    pub fn cycle(&mut self, now: Timestamp) -> Cycle {
        let now = now.max(self.knowledge.last_cycle());
        let mut events = std::mem::take(&mut self.outbox);
        for series in self.knowledge.ended(now) {
            self.forget(series, Forgotten::Ended, now, &mut events);
        }
        self.settle_due(now, &mut events);
        self.measure_effects(now, &mut events);
        self.settle_claims(now, &mut events);

        for event in analyze::shift::decided(&self.knowledge, now) {
            self.emit(event, now, &mut events);
        }
        let heard = self.knowledge.last_signal_id();
        let wanted = self.reflect(now);
        let analysis = self.analyze(&wanted, now);
        let situation = Some(self.knowledge.situation());
        for (series, threshold) in &analysis.learned {
            let active = threshold.confidence >= self.knowledge.config().learning.confidence_min;
            let (series, threshold) = (series.clone(), Arc::new(threshold.clone()));
            self.emit(Event::ThresholdLearned { series, threshold, active, situation }, now, &mut events);
        }
        for (series, crosses_at) in &analysis.forecasts {
            let (series, crosses_at) = (series.clone(), *crosses_at);
            self.emit(Event::Forecasted { series, crosses_at, situation }, now, &mut events);
        }
        let plan = plan::plan(&self.knowledge, &analysis, wanted, now);
        let completed = self.dispatch(plan, analysis, heard, now, &mut events);
        // Last: what leaves is what this turn learned.
        for event in rollout::decided(&self.knowledge, now) {
            self.emit(event, now, &mut events);
        }
        self.emit(Event::CycleCompleted(Box::new(completed)), now, &mut events);
        Cycle { events }
    }

    fn settle_due(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        let pending = self.knowledge.pending_in_turn();
        let mut due: Vec<Outcome> =
            pending.filter_map(|pending| execute::settle(&self.knowledge, pending, now)).collect();
        due.sort_by_key(|outcome| outcome.change);
        for outcome in due {
            self.emit(Event::ChangeSettled { outcome }, now, events);
        }
    }

    /// A week after a confidence was said it is counted whether it was kept.
    fn settle_claims(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        let over = |series: &Series| {
            let claim = *series.claim().filter(|claim| claim.is_over(now))?;
            let kept = claim.outcome(series.admitted());
            Some(Event::ClaimSettled { series: series.name().clone(), claim, kept })
        };
        let settled: Vec<Event> = self.knowledge.attended().filter_map(over).collect();
        for event in settled {
            self.emit(event, now, events);
        }
    }

    /// Measures the aim of adjustments, done and withheld, that are due; stops a loop that does harm.
    fn measure_effects(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        let mut measured = Vec::new();
        for each in &self.loops {
            let by = each.kind();
            for trial in self.knowledge.loop_memory(by).effect.due(now) {
                let after = each.aim(&trial.target, &self.knowledge, now);
                measured.push(Event::EffectMeasured { by, id: trial.id, after });
            }
        }
        for event in measured {
            self.emit(event, now, events);
        }
        for by in LoopKind::ALL {
            let memory = self.knowledge.loop_memory(by);
            let (paused, because) = match memory.paused {
                true if memory.effect.should_resume(now) => (false, "it rested, and may try again"),
                false if memory.effect.should_pause() => {
                    (true, "measured against those withheld, its adjustments did harm")
                }
                _ => continue,
            };
            let situation = Some(self.knowledge.situation());
            self.emit(Event::LoopPaused { by, paused, because: because.to_owned(), situation }, now, events);
        }
    }

    fn reflect(&self, now: Timestamp) -> Vec<(LoopKind, Adjustment)> {
        let mut wanted = Vec::new();
        // What was heard while all changes are stopped waits until they go on.
        if self.knowledge.frozen() {
            return wanted;
        }
        for each in &self.loops {
            let memory = self.knowledge.loop_memory(each.kind());
            if memory.paused || memory.heard.is_empty() {
                continue;
            }
            for mut adjustment in each.reflect(&memory.heard, &self.knowledge, now) {
                adjustment.to = adjustment.from + memory.effect.damping() * (adjustment.to - adjustment.from);
                // What was damped to less than a whole unit changes nothing, and is not said to.
                if parameters::is_felt(&self.knowledge.row(), &adjustment) {
                    wanted.push((each.kind(), adjustment));
                }
            }
        }
        wanted
    }

    fn analyze(&mut self, wanted: &[(LoopKind, Adjustment)], now: Timestamp) -> Analysis {
        let mut scratch = std::mem::take(&mut self.knowledge.scratch);
        let analysis = analyze::analyze(&self.knowledge, wanted, &mut scratch, now);
        self.knowledge.scratch = scratch;
        analysis
    }

    /// Gives out numbers and lets changes take effect, each taking the place of an earlier one of its knob.
    fn dispatch(
        &mut self,
        plan: Plan,
        analysis: Analysis,
        heard: u64,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> CycleCompleted {
        let situation = self.knowledge.situation();
        if let Some(transition) = plan.transition {
            self.emit(Event::StateChanged { transition, situation }, now, events);
        }
        for (by, adjustment) in plan.withheld {
            let id = self.knowledge.next_change_id();
            self.emit(Event::Withheld { by, adjustment, id, situation }, now, events);
        }
        for Planned { change, adjustment } in plan.changes {
            let by = change.by;
            let id = self.send(change, now, events);
            if let (Some(by), Some(adjustment)) = (by, adjustment) {
                self.emit(Event::Adjusted { by, adjustment, change: id, situation }, now, events);
            }
        }
        CycleCompleted {
            at: now,
            evidence: analysis.evidence,
            state: plan.state,
            breach_share_usual: analysis.breach_share_usual,
            parameters: plan.parameters,
            parameters_of: plan.parameters_of,
            learned: (analysis.learned.len() + analysis.confirmed.len()) as u32,
            confirmed: analysis.confirmed,
            looks: analysis.looks,
            waiting: analysis.waiting as u32,
            goes_on: analysis.goes_on,
            through: analysis.through,
            refused: plan.refused.values().sum(),
            refused_because: plan.refused,
            heard: if self.knowledge.frozen() { 0 } else { heard },
            chance: plan.chance,
        }
    }

    /// Gives a change its number and lets it take effect, in the place of an earlier one of its knob.
    fn send(&mut self, change: Change, now: Timestamp, events: &mut Vec<Event>) -> u64 {
        if let Some(outcome) = self.knowledge.pending_of(&change.knob).map(|before| execute::superseded(before, now)) {
            self.emit(Event::ChangeSettled { outcome }, now, events);
        }
        let id = self.knowledge.next_change_id();
        let withdrawn = match (&change.knob, &change.to) {
            (Knob::Threshold(series), Setting::Unset) => Some(series.clone()),
            _ => None,
        };
        self.emit(Event::ChangeDispatched { change: Change { id, ..change } }, now, events);
        if let Some(name) = withdrawn
            && self.knowledge.find(&name).is_some_and(|series| !self.alerts_by_itself(series))
        {
            self.end_alert(&name, now, events);
        }
        id
    }

    /// One event: applied, heard by the loops, told to subscribers, and put in line to be stored.
    fn emit(&mut self, event: Event, now: Timestamp, events: &mut Vec<Event>) {
        let signals: Vec<Signal> =
            self.loops.iter().filter_map(|each| each.hear(&event, &self.knowledge, now)).collect();
        self.knowledge.apply(&event, now);
        self.tell(&event);
        events.push(event);
        for signal in signals {
            let event = self.signal(signal, now);
            events.push(event);
        }
    }

    fn tell(&mut self, event: &Event) {
        if self.subscribers.is_empty() {
            return;
        }
        let Some(of) = event.of_loop() else { return };
        self.subscribers.retain(|(kind, subscriber)| *kind != of || subscriber.tell(event));
    }
}
