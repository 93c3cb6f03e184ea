//! A hundred worlds nobody wrote, and what holds in each of them, whatever happens.
//!
//! `SEED=7 cargo test -p homeostat-sim --test worlds` runs one world, `WORLDS=1000` more of them. A failure names its
//! seed.

use homeostat::config::Config;
use homeostat::event::{CycleCompleted, Event};
use homeostat::execute::{Change, Knob, Setting};
use homeostat::knowledge::Knowledge;
use homeostat::plan::state::{SystemState, Transition};
use homeostat::replay::data::Direction;
use homeostat::rollout::{Rule, Step};
use homeostat::series::{Selector, SeriesName};
use homeostat::threshold::Pair;
use homeostat::time::{Span, Timestamp};
use homeostat_sim::driver::Driver;
use homeostat_sim::random::random_scenario;
use homeostat_sim::world::{START, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

const WORLDS: u64 = 100;

/// What is wrong, when something is.
type Check = Result<(), String>;

#[test]
fn what_holds_in_every_world() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("WORLDS").unwrap_or(WORLDS)).collect(),
    };
    println!("seeds {} to {}", seeds[0], seeds[seeds.len() - 1]);
    let run = |seeds: Vec<u64>| seeds.into_iter().filter_map(|seed| live(seed).err()).collect::<Vec<String>>();
    let (odd, even) = seeds.iter().partition(|seed| *seed % 2 == 1);
    let mut wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(odd));
        let mut wrong = run(even);
        wrong.extend(other.join().expect("panics are caught in each world"));
        wrong
    });
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} worlds:\n{}", wrong.len(), seeds.len(), wrong.join("\n"));
}

fn live(seed: u64) -> Check {
    let lived = catch_unwind(AssertUnwindSafe(|| four_engines(seed)));
    lived.unwrap_or_else(|_| Err("panicked".to_owned())).map_err(|error| format!("seed {seed}: {error}"))
}

/// One world, four engines: 8 shards; 1 shard; 8 shards, stopped once and restored to 3; and one that is told what the
/// first decided instead of deciding itself.
fn four_engines(seed: u64) -> Check {
    let mut scenario = random_scenario(seed);
    if seed.is_multiple_of(2) {
        look_up_thresholds(&mut scenario.config, seed);
    }
    let mut world = World::new(&scenario).map_err(|error| error.to_string())?;
    let driver = |shards| Driver::new(scenario.config.clone(), shards).map_err(|error| error.to_string());
    let (mut first, mut one_shard, mut restarted, mut replayed) = (driver(8)?, driver(1)?, driver(8)?, driver(8)?);
    let mut invariants = Invariants::new(&scenario.config);
    let restart_at = Span::from_millis(scenario.duration.millis() * (1 + seed % 7) / 9);
    let mut restarts = 0;

    loop {
        let cycle_at = first.next_cycle();
        let (into, events) = match world.next_at() {
            Some(at) if at <= cycle_at => {
                let Some(moment) = world.next_moment() else { break };
                invariants.offered += moment.samples.len() as u64;
                let events = first.moment(&moment);
                same("one shard", at, &events, &one_shard.moment(&moment))?;
                same("restarted", at, &events, &restarted.moment(&moment))?;
                same("replayed", at, &events.observed, &replayed.observe(&moment))?;
                events.done.iter().for_each(|event| replayed.engine.replay(event, START + at));
                (at, [events.observed, events.done].concat())
            }
            _ if cycle_at < world.duration() => {
                let events = first.cycle(cycle_at);
                same("one shard", cycle_at, &events, &one_shard.cycle(cycle_at))?;
                same("restarted", cycle_at, &events, &restarted.cycle(cycle_at))?;
                events.iter().for_each(|event| replayed.engine.replay(event, START + cycle_at));
                (cycle_at, events)
            }
            _ => break,
        };
        for (name, other) in [("one shard", &one_shard), ("restarted", &restarted), ("replayed", &replayed)] {
            same(name, into, &cycle_at_of(&first), &cycle_at_of(other))?;
        }
        for event in &events {
            invariants.see(event, START + into).map_err(|error| format!("{into} in: {error}"))?;
        }
        if events.iter().any(|event| matches!(event, Event::CycleCompleted(_))) {
            invariants.after_cycle(first.engine.knowledge()).map_err(|error| format!("{into} in: {error}"))?;
        }
        if restarts == 0 && into >= restart_at {
            restarted.restart(3, START + into).map_err(|error| format!("{into} in: restore: {error}"))?;
            restarts += 1;
        }
    }
    invariants.at_the_end(&first)?;
    let end = world.duration();
    let snapshot = first.engine.snapshot();
    if snapshot != replayed.engine.snapshot() {
        return Err(format!("memory replayed from events differs: {}", difference(&first, &replayed)));
    }
    restarted.restart(8, START + end).map_err(|error| format!("at the end: restore: {error}"))?;
    match snapshot == restarted.engine.snapshot() {
        true => Ok(()),
        false => Err(format!("memory after a restart differs: {}", difference(&first, &restarted))),
    }
}

/// Lets an alert rule elsewhere look up the thresholds of all series, with steps so short that a world sees them all.
fn look_up_thresholds(config: &mut Config, seed: u64) {
    let rule = Rule {
        name: "Any".to_owned(),
        selector: Selector::parse("{__name__!=\"\"}").expect("a selector"),
        direction: if seed.is_multiple_of(4) { Direction::Upper } else { Direction::Lower },
        inclusive: seed.is_multiple_of(6),
        possible: (0.0, if seed.is_multiple_of(5) { 100.0 } else { f64::INFINITY }),
        literal: 0.0,
        by: Vec::new(),
        hold: Span::minutes(seed % 3),
    };
    config.rules = vec![std::sync::Arc::new(rule)];
    let minutes = |of: u64| Span::minutes(seed / of % 7 * 10);
    (config.rollout.shadow, config.rollout.canary, config.rollout.watch) = (minutes(3), minutes(5), minutes(11));
}

fn cycle_at_of(driver: &Driver) -> Span {
    driver.next_cycle()
}

fn same<T: std::fmt::Debug + PartialEq>(name: &str, into: Span, first: &T, other: &T) -> Check {
    match first == other {
        true => Ok(()),
        // A number that is none is not equal to itself, but prints the same.
        false if format!("{first:?}") == format!("{other:?}") => Ok(()),
        false => Err(format!("{into} in: {name} differs:\n  first {first:?}\n  other {other:?}")),
    }
}

/// Where two memories differ first, as text.
fn difference(first: &Driver, other: &Driver) -> String {
    let (a, b) = (first.engine.knowledge(), other.engine.knowledge());
    for (a, b) in a.series().zip(b.series()) {
        let (a, b) = (format!("{a:?}"), format!("{b:?}"));
        if a != b {
            return around(&a, &b);
        }
    }
    around(&format!("{a:?}"), &format!("{b:?}"))
}

fn around(a: &str, b: &str) -> String {
    let at = a.bytes().zip(b.bytes()).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let part = |text: &str| text.chars().skip(at.saturating_sub(150)).take(300).collect::<String>();
    format!("\n  first …{}…\n  other …{}…", part(a), part(b))
}

const HOUR: Span = Span::hours(1);

/// The machine waits at least so long before it leaves a bad state, and before it believes that all is well again.
const LEAVE_AFTER: Span = Span::minutes(1);
const WELL_AFTER: Span = Span::minutes(5);

/// With every way in and out taken as fast as the machine allows, and what an operator forces not counted.
const TRANSITIONS_PER_HOUR: usize = 30;

/// What was seen so far, as far as it says what must not come next.
struct Invariants {
    config: Config,
    offered: u64,
    ids: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    signal_id: u64,
    frozen: bool,
    now: Timestamp,
    last_cycle: Timestamp,
    entered: (SystemState, Timestamp),
    /// The state was forced: that it is left says nothing of the machine.
    forced: bool,
    transitions: VecDeque<Timestamp>,
    changes: BTreeMap<Knob, VecDeque<Timestamp>>,
    /// Of each series: the sensitivity of its latest threshold, and of the one that judges.
    sensitivities: BTreeMap<SeriesName, (f64, Option<f64>)>,
    /// Which trial of thresholds it is, and the step it is at.
    rollout: (u64, Option<Step>),
}

impl Invariants {
    fn new(config: &Config) -> Invariants {
        Invariants {
            config: config.clone(),
            offered: 0,
            ids: BTreeSet::new(),
            settled: BTreeSet::new(),
            signal_id: 0,
            frozen: config.execution.freeze,
            now: START,
            last_cycle: START,
            entered: (SystemState::Healthy, START),
            forced: false,
            transitions: VecDeque::new(),
            changes: BTreeMap::new(),
            sensitivities: BTreeMap::new(),
            rollout: (0, None),
        }
    }

    fn see(&mut self, event: &Event, now: Timestamp) -> Check {
        let before = std::mem::replace(&mut self.now, now);
        ensure(now >= before, || format!("time runs back to {now} from {before}"))?;
        match event {
            Event::ThresholdLearned { series, threshold, .. } => {
                self.sensitivities.entry(series.clone()).or_default().0 = threshold.sensitivity.get();
                let (bounds, alert) = (threshold.bounds.at(now), threshold.alert.at(now));
                holds(bounds).and_then(|()| holds(alert)).map_err(|error| format!("{series}: {error}"))?;
                let inside =
                    |bound: Option<f64>, other: Option<f64>, further: fn(f64, f64) -> bool| match (bound, other) {
                        (Some(bound), Some(other)) => further(bound, other),
                        _ => true,
                    };
                ensure(inside(alert.0, bounds.0, |a, b| a <= b) && inside(alert.1, bounds.1, |a, b| a >= b), || {
                    format!("{series}: alerts at {alert:?} before it breaches at {bounds:?}")
                })?;
                ensure(threshold.center.is_finite(), || format!("{series}: center {}", threshold.center))
            }
            Event::ChangeDispatched { change } => self.see_change(change),
            Event::Withheld { id, .. } => self.fresh(*id),
            Event::ChangeSettled { outcome } => {
                ensure(self.ids.contains(&outcome.change), || format!("change {} was never sent", outcome.change))?;
                ensure(self.settled.insert(outcome.change), || format!("change {} was settled twice", outcome.change))
            }
            Event::Signalled { signal } => {
                self.signal_id += 1;
                ensure(signal.id == self.signal_id, || format!("signal {} follows {}", signal.id, self.signal_id - 1))
            }
            Event::Adjusted { adjustment, .. } => {
                let (from, to) = (adjustment.from, adjustment.to);
                ensure(to.is_finite() && from != to, || format!("{:?}: {from} -> {to}", adjustment.target))
            }
            Event::StateChanged { transition, .. } => self.see_transition(transition),
            Event::ClaimSettled { series, claim, .. } => {
                ensure(claim.is_over(now) && (0.0..=1.0).contains(&claim.said), || {
                    format!("{series}: {claim:?} is settled at {now}")
                })
            }
            Event::Frozen { frozen, .. } => {
                self.frozen = *frozen;
                Ok(())
            }
            Event::LevelShiftProposed { id, series, .. } => {
                let told = series.iter().all(|one| one.before.is_finite() && one.after.is_finite());
                ensure(!series.is_empty() && told, || format!("proposal {id} of {series:?}"))
            }
            Event::LevelShiftSettled { id, series, .. } => {
                ensure(!series.is_empty(), || format!("proposal {id} settled for nobody"))
            }
            Event::CycleCompleted(cycle) => self.see_cycle(cycle),
            Event::SeriesForgotten { series, .. } => {
                self.sensitivities.remove(series);
                Ok(())
            }
            Event::RolloutMoved { rule, id, to, .. } => {
                let begun = (*id, *to) == (self.rollout.0 + 1, Step::Shadow);
                let goes_on = *id == self.rollout.0 && self.rollout.1.is_some_and(|before| follows(before, *to));
                ensure(begun || goes_on, || format!("{rule}: {to:?} of trial {id} after {:?}", self.rollout))?;
                self.rollout = (*id, Some(*to));
                Ok(())
            }
            Event::SeriesAdded { .. }
            | Event::ThresholdReleased { .. }
            | Event::Alerted(_)
            | Event::Forecasted { .. }
            | Event::EffectMeasured { .. }
            | Event::LoopPaused { .. } => Ok(()),
        }
    }

    fn fresh(&mut self, id: u64) -> Check {
        let newest = self.ids.last().copied().unwrap_or(0);
        ensure(id > newest, || format!("id {id} follows {newest}"))?;
        self.ids.insert(id);
        Ok(())
    }

    fn see_change(&mut self, change: &Change) -> Check {
        self.fresh(change.id)?;
        ensure(!self.frozen, || format!("change {} was sent in a freeze: {:?}", change.id, change.knob))?;
        ensure(change.expect.due > change.at, || format!("change {} is due before it is sent", change.id))?;
        // A person's word and the row of a state are not held back; loops are, and thresholds, but for those that follow a
        // sensitivity which a person moved.
        let limited = match &change.knob {
            Knob::Sensitivity(_) | Knob::Parameters => false,
            Knob::Threshold(series) => {
                let (latest, judges) = self.sensitivities.entry(series.clone()).or_default();
                let before = std::mem::replace(judges, (change.to != Setting::Unset).then_some(*latest));
                before.is_none_or(|before| before == *latest)
            }
            Knob::Trust(_) | Knob::Preference(_) | Knob::Factor(_) => true,
        };
        let recent = self.changes.entry(change.knob.clone()).or_default();
        recent.push_back(change.at);
        recent.retain(|at| change.at.since(*at) < HOUR);
        let most = self.config.execution.changes_per_hour as usize;
        ensure(!limited || recent.len() <= most, || {
            format!("{:?} was changed {} times in an hour", change.knob, recent.len())
        })?;
        Ok(())
    }

    fn see_transition(&mut self, transition: &Transition) -> Check {
        let Transition { at, from, to, forced_until, .. } = transition;
        let (state, since) = std::mem::replace(&mut self.entered, (*to, *at));
        ensure(state == *from, || format!("a transition from {from:?} in {state:?}"))?;
        let was_forced = std::mem::replace(&mut self.forced, forced_until.is_some());
        if self.forced {
            return Ok(());
        }
        let (stayed, least) = (at.since(since), least_stay(*from, *to));
        ensure(stayed >= least, || format!("{from:?} -> {to:?} after {stayed}, under {least}"))?;
        if was_forced {
            return Ok(());
        }
        self.transitions.push_back(*at);
        self.transitions.retain(|before| at.since(*before) < HOUR);
        let count = self.transitions.len();
        ensure(count <= TRANSITIONS_PER_HOUR, || format!("{count} transitions in an hour"))
    }

    fn see_cycle(&mut self, cycle: &CycleCompleted) -> Check {
        let before = std::mem::replace(&mut self.last_cycle, cycle.at);
        ensure(cycle.at.since(before) >= Span::from_secs(1), || {
            format!("a cycle {} after the last", cycle.at.since(before))
        })?;
        let state = cycle.state.state;
        ensure(state == self.entered.0, || format!("{state:?} without a transition from {:?}", self.entered.0))
    }

    /// What memory looks like once a cycle is over.
    fn after_cycle(&self, knowledge: &Knowledge) -> Check {
        let config = &self.config;
        let bounded =
            |what: &str, len: usize, most: usize| ensure(len <= most, || format!("{len} {what}, over {most}"));
        bounded("series", knowledge.series_count(), config.limits.series_max)?;
        bounded("signals", knowledge.signals().len(), config.feedback.signal_history)?;
        bounded("actions", knowledge.actions().len(), config.feedback.action_history)?;
        bounded("transitions", knowledge.transitions().len(), 500)?;
        bounded("optimizations", knowledge.optimizations().len(), 100)?;
        for series in knowledge.series() {
            bounded("samples in a window", series.window().len(), config.learning.window_len)?;
            let (sigma, trust) = (series.sensitivity().get(), series.trust(knowledge.last_cycle()));
            let fits = (1.0..=6.0).contains(&sigma) && (0.25..=1.0).contains(&trust);
            ensure(fits, || format!("{}: sensitivity {sigma}, trust {trust}", series.name()))?;
        }
        let parameters = knowledge.parameters();
        let (shortest, longest) = (Span::from_secs(1), Span::hours(24));
        let fits = (shortest..=longest).contains(&parameters.monitoring_interval)
            && (shortest..=longest).contains(&parameters.planning_lookahead)
            && (10..=10_000).contains(&parameters.analysis_depth)
            && (1..=1024).contains(&parameters.execution_parallelism)
            && (0.0..=1.0).contains(&parameters.learning_rate.get())
            && parameters.learning_rate.get() > 0.0;
        ensure(fits, || format!("{parameters:?}"))?;
        // In a freeze nothing is changed, the parameters neither.
        if knowledge.state().state == SystemState::Critical && !knowledge.frozen() {
            let row = config.states.critical;
            ensure(parameters.execution_parallelism == 1, || format!("critical with {parameters:?}"))?;
            let calm = parameters.monitoring_interval <= row.monitoring_interval
                && parameters.analysis_depth <= row.analysis_depth;
            ensure(calm, || format!("critical does more than its row: {parameters:?}"))?;
        }
        Ok(())
    }

    fn at_the_end(&self, driver: &Driver) -> Check {
        let counted = driver.fates.total() + driver.unheld;
        ensure(counted == self.offered, || format!("{} samples came, {counted} have a fate", self.offered))?;
        let knowledge = driver.engine.knowledge();
        let pending: BTreeSet<u64> = knowledge.pending().map(|pending| pending.change.id).collect();
        let both = pending.intersection(&self.settled).next();
        ensure(both.is_none(), || format!("change {both:?} is settled and pending"))?;
        let unsent = pending.difference(&self.ids).next();
        ensure(unsent.is_none(), || format!("change {unsent:?} is pending and was never sent"))?;
        // Ten bytes a sample; what a series thinks; what everybody shares.
        let config = &self.config;
        let series = config.limits.series_max * (config.learning.window_len * 20 + 16_384);
        let shared = 512 * (config.feedback.signal_history + config.feedback.action_history) + (4 << 20);
        let of_series: u64 = knowledge.series().map(|series| series.bytes()).sum();
        let bytes = of_series as usize + driver.engine.snapshot().iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        ensure(bytes <= series + shared, || format!("memory takes {bytes} bytes, over {}", series + shared))
    }
}

fn least_stay(from: SystemState, to: SystemState) -> Span {
    match (from, to) {
        (SystemState::Degraded | SystemState::Critical, SystemState::Recovering) => LEAVE_AFTER,
        (SystemState::Recovering, SystemState::Healthy) => WELL_AFTER,
        _ => Span::ZERO,
    }
}

/// Whether a step may come after another.
fn follows(before: Step, to: Step) -> bool {
    match before {
        // Another series joins.
        Step::Shadow => matches!(to, Step::Shadow | Step::Canary | Step::Active | Step::Refused),
        Step::Canary => matches!(to, Step::Active | Step::RolledBack),
        Step::Active => matches!(to, Step::Kept | Step::RolledBack),
        // By a person, or because the rule compares otherwise.
        Step::Kept => to == Step::RolledBack,
        Step::Refused | Step::RolledBack => false,
    }
}

fn holds((lower, upper): Pair) -> Check {
    let finite = |bound: Option<f64>| bound.is_none_or(f64::is_finite);
    let ordered = match (lower, upper) {
        (Some(lower), Some(upper)) => lower < upper,
        (None, None) => false,
        _ => true,
    };
    ensure(ordered && finite(lower) && finite(upper), || format!("bounds {lower:?} .. {upper:?}"))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(otherwise()) }
}
