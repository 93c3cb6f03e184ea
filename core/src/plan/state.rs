//! The five states of the loop, and the whole machine that moves between them.
//!
//! A machine of this kind fails by flapping: noise around one limit moves it to and fro, and every move changes the pace
//! of the loop. Four things hold it still. A limit is entered and left at different values. Entering takes several
//! cycles, leaving takes time. The time it takes to leave doubles with every return over the limit, as a router damps a
//! route that flaps. And the processor's limit for optimizing, which has one value only, gets a margin of its own.
//!
//! Evidence that is absent changes no count and starts or ends no wait; where all of it is absent the state stands still.

use crate::config::{Limit, StateLimits};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// So many cycles in a row one limit has to be entered: three for degraded, where a wrong move costs pace; two for
/// critical, where waiting costs more.
const DEGRADED_CYCLES: u32 = 3;
const CRITICAL_CYCLES: u32 = 2;

/// How long all limits of a state have to be clear before it is left, the first time.
const CLEAR: Span = Span::minutes(1);
/// It doubles up to four times, to 16 minutes: over 30 cycles without one on the wrong side is no longer chance.
const CLEAR_DOUBLINGS_MAX: u32 = 4;
/// Calm for this long, in a state that is neither degraded nor critical, forgives all returns: as long as the longest wait.
const FORGIVEN: Span = Span::minutes(16);
/// Recovering ends after so long in it without degraded evidence.
const CALM: Span = Span::minutes(5);
/// The longest stretch of optimizing, and the least rest between two: learning goes on in healthy, only slower, so that
/// work which never ends holds the raised pace half of the time and no more.
const OPTIMIZING_MAX: Span = Span::minutes(10);
const OPTIMIZING_REST: Span = Span::minutes(10);
/// A processor that was seen at its limit for optimizing has room again under this share of it, held for [`CLEAR`].
const ROOM_SHARE: f64 = 0.9;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemState {
    #[default]
    Healthy,
    Optimizing,
    Degraded,
    Critical,
    Recovering,
}

impl SystemState {
    pub const ALL: [SystemState; 5] = [
        SystemState::Healthy,
        SystemState::Optimizing,
        SystemState::Degraded,
        SystemState::Critical,
        SystemState::Recovering,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            SystemState::Healthy => "healthy",
            SystemState::Optimizing => "optimizing",
            SystemState::Degraded => "degraded",
            SystemState::Critical => "critical",
            SystemState::Recovering => "recovering",
        }
    }

    /// The state of that name, as [`as_str`](SystemState::as_str) gives it.
    pub fn parse(name: &str) -> Option<SystemState> {
        SystemState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// How near to critical: healthy and optimizing 0, recovering 1, degraded 2, critical 3.
    pub const fn severity(self) -> u8 {
        match self {
            SystemState::Healthy | SystemState::Optimizing => 0,
            SystemState::Recovering => 1,
            SystemState::Degraded => 2,
            SystemState::Critical => 3,
        }
    }
}

/// A word that names none of the five states.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no state; the states are healthy, optimizing, degraded, critical and recovering")]
pub struct NotAState(pub String);

impl std::str::FromStr for SystemState {
    type Err = NotAState;
    fn from_str(name: &str) -> Result<SystemState, NotAState> {
        SystemState::parse(name).ok_or_else(|| NotAState(name.to_owned()))
    }
}

impl std::fmt::Display for SystemState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the state is decided from. All are ratios; the last two where low or high is bad as `StateLimits::pairs` says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    CycleLatency,
    OwnMemory,
    HostProcessor,
    HostMemory,
    BreachShare,
    DecisionQuality,
    FalseShare,
}

impl EvidenceKind {
    pub const ALL: [EvidenceKind; 7] = [
        EvidenceKind::CycleLatency,
        EvidenceKind::OwnMemory,
        EvidenceKind::HostProcessor,
        EvidenceKind::HostMemory,
        EvidenceKind::BreachShare,
        EvidenceKind::DecisionQuality,
        EvidenceKind::FalseShare,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EvidenceKind::CycleLatency => "cycle_latency",
            EvidenceKind::OwnMemory => "own_memory",
            EvidenceKind::HostProcessor => "host_processor",
            EvidenceKind::HostMemory => "host_memory",
            EvidenceKind::BreachShare => "breach_share",
            EvidenceKind::DecisionQuality => "decision_quality",
            EvidenceKind::FalseShare => "false_share",
        }
    }
}

/// What is known now; what is not there is absent, neither 0 nor 1.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Evidence([Option<f64>; EvidenceKind::ALL.len()]);

impl Evidence {
    pub fn get(&self, kind: EvidenceKind) -> Option<f64> {
        self.0[kind as usize]
    }

    pub fn set(&mut self, kind: EvidenceKind, value: Option<f64>) {
        self.0[kind as usize] = value.filter(|v| v.is_finite());
    }

    /// What is there, in order.
    pub fn iter(&self) -> impl Iterator<Item = (EvidenceKind, f64)> + '_ {
        EvidenceKind::ALL.iter().filter_map(|kind| self.get(*kind).map(|value| (*kind, value)))
    }
}

/// One move of the machine, with what moved it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Transition {
    pub at: Timestamp,
    pub from: SystemState,
    pub to: SystemState,
    /// One sentence: which limit, which value.
    pub cause: String,
    pub evidence: Evidence,
    /// Until when an operator holds the state, when one does.
    pub forced_until: Option<Timestamp>,
}

/// What one cycle shows the machine.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub evidence: &'a Evidence,
    /// Whether series wait to be learned.
    pub learning_waiting: bool,
    pub limits: &'a StateLimits,
    pub now: Timestamp,
}

/// The state, since when, and what counts towards the next move. Plain data: the machine is [`next`](StateSince::next).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StateSince {
    pub state: SystemState,
    pub since: Timestamp,
    /// By kind of evidence: how many cycles in a row, of those that measured it, its degraded limit was entered.
    pub degraded_cycles: [u32; EvidenceKind::ALL.len()],
    /// The same for the critical limit.
    pub critical_cycles: [u32; EvidenceKind::ALL.len()],
    /// The last cycle entered a critical limit that no cycle before it had.
    pub critical_entered: bool,
    /// Since when all limits of the present state are behind their leave values.
    pub clear_since: Option<Timestamp>,
    /// Since when there is no degraded evidence at all; counted anew when recovering begins.
    pub calm_since: Option<Timestamp>,
    /// How often degraded, how often critical evidence came up since it was last forgiven: what leaving waits for.
    pub degraded_rises: u32,
    pub critical_rises: u32,
    /// The processor was seen at its limit for optimizing, and has no room again yet.
    pub processor_busy: bool,
    /// Since when a busy processor is well under that limit.
    pub room_since: Option<Timestamp>,
    /// When optimizing last ended.
    pub optimized_at: Option<Timestamp>,
    /// Until when an operator holds the state, when one does.
    pub forced_until: Option<Timestamp>,
}

impl StateSince {
    /// Healthy, with nothing seen yet.
    pub fn new(now: Timestamp) -> StateSince {
        StateSince {
            state: SystemState::Healthy,
            since: now,
            degraded_cycles: [0; EvidenceKind::ALL.len()],
            critical_cycles: [0; EvidenceKind::ALL.len()],
            critical_entered: false,
            clear_since: None,
            calm_since: None,
            degraded_rises: 0,
            critical_rises: 0,
            processor_busy: false,
            room_since: None,
            optimized_at: None,
            forced_until: None,
        }
    }

    /// The state after one cycle, and the move to it when there was one. Called once per cycle: it counts them.
    ///
    /// While an operator holds the state it counts and waits, and moves nothing; the first cycle from `forced_until` on
    /// decides from there.
    pub fn next(&self, s: &Situation<'_>) -> (StateSince, Option<Transition>) {
        let mut next = self.clone();
        next.see(s);
        if next.forced_until.is_some_and(|until| s.now < until) {
            return (next, None);
        }
        next.forced_until = None;
        let Some((to, cause)) = next.decide(s) else { return (next, None) };
        let transition = next.enter(to, cause, s.evidence, s.now);
        (next, Some(transition))
    }

    /// An operator's order: the state from now on, held until `until` whatever the evidence says.
    pub fn force(
        &self,
        to: SystemState,
        until: Timestamp,
        evidence: &Evidence,
        now: Timestamp,
    ) -> (StateSince, Transition) {
        let mut next = self.clone();
        next.forced_until = Some(until);
        let cause = format!("forced to {to} by an operator until {until}");
        let transition = next.enter(to, cause, evidence, now);
        (next, transition)
    }

    /// Whether the next cycle should come early: the last one entered a critical limit, and the one that confirms it or
    /// not should not wait a whole interval.
    pub fn wants_early_cycle(&self) -> bool {
        self.critical_entered && self.state != SystemState::Critical && self.forced_until.is_none()
    }

    /// Every legal move, the worst first.
    fn decide(&self, s: &Situation<'_>) -> Option<(SystemState, String)> {
        use SystemState::{Critical, Degraded, Healthy, Optimizing, Recovering};
        let critical = || held(Critical, &self.critical_cycles, CRITICAL_CYCLES, s).map(|cause| (Critical, cause));
        let degraded = || held(Degraded, &self.degraded_cycles, DEGRADED_CYCLES, s).map(|cause| (Degraded, cause));
        let recovered = || self.cleared(s).map(|cause| (Recovering, cause));
        match self.state {
            Healthy => critical().or_else(degraded).or_else(|| self.may_optimize(s).map(|cause| (Optimizing, cause))),
            Optimizing => critical().or_else(degraded).or_else(|| self.optimized(s).map(|cause| (Healthy, cause))),
            Degraded => critical().or_else(recovered),
            Critical => recovered(),
            Recovering => critical().or_else(degraded).or_else(|| self.calmed(s).map(|cause| (Healthy, cause))),
        }
    }

    /// Counts what this cycle shows.
    fn see(&mut self, s: &Situation<'_>) {
        let mut degraded = Counted::new(&self.degraded_cycles);
        let mut critical = Counted::new(&self.critical_cycles);
        for seen in seen(s) {
            let at = seen.kind as usize;
            degraded.count(&mut self.degraded_cycles[at], seen.over(seen.degraded));
            if let Some(limit) = seen.critical {
                critical.count(&mut self.critical_cycles[at], seen.over(limit));
            }
        }
        self.critical_entered = critical.entered;
        self.degraded_rises = self.degraded_rises.saturating_add(u32::from(degraded.rose()));
        self.critical_rises = self.critical_rises.saturating_add(u32::from(critical.rose()));

        match clear(self.state, s) {
            Some(true) => _ = self.clear_since.get_or_insert(s.now),
            Some(false) => self.clear_since = None,
            None => {}
        }
        match degraded.measured {
            true if degraded.over => self.calm_since = None,
            true => _ = self.calm_since.get_or_insert(s.now),
            false => {}
        }
        let forgiven = self.calm_since.is_some_and(|calm| s.now.since(calm) >= FORGIVEN);
        if forgiven && self.state.severity() < SystemState::Degraded.severity() {
            self.degraded_rises = 0;
            self.critical_rises = 0;
        }
        if let Some(processor) = s.evidence.get(EvidenceKind::HostProcessor) {
            self.see_processor(processor, s.limits.optimizing_processor_max.get(), s.now);
        }
    }

    fn see_processor(&mut self, processor: f64, most: f64, now: Timestamp) {
        if processor >= most {
            self.processor_busy = true;
            self.room_since = None;
        } else if self.processor_busy && processor < most * ROOM_SHARE {
            let since = *self.room_since.get_or_insert(now);
            self.processor_busy = now.since(since) < CLEAR;
        } else {
            self.room_since = None;
        }
    }

    fn may_optimize(&self, s: &Situation<'_>) -> Option<String> {
        let rested = self.optimized_at.is_none_or(|ended| s.now.since(ended) >= OPTIMIZING_REST);
        let degraded = seen(s).any(|seen| seen.over(seen.degraded));
        if !s.learning_waiting || !rested || degraded {
            return None;
        }
        match s.evidence.get(EvidenceKind::HostProcessor) {
            None => Some("learning work is waiting; host_processor is not known".to_owned()),
            Some(_) if self.processor_busy => None,
            Some(processor) => Some(format!(
                "learning work is waiting; host_processor {} under {}",
                shown(processor),
                shown(s.limits.optimizing_processor_max.get())
            )),
        }
    }

    fn optimized(&self, s: &Situation<'_>) -> Option<String> {
        if !s.learning_waiting {
            return Some("the learning work is done".to_owned());
        }
        (s.now.since(self.since) >= OPTIMIZING_MAX)
            .then(|| format!("optimizing for {OPTIMIZING_MAX}, the longest stretch; learning goes on in healthy"))
    }

    fn cleared(&self, s: &Situation<'_>) -> Option<String> {
        clear(self.state, s)?;
        let held_for = s.now.since(self.clear_since?);
        let wait = self.clear_wait();
        (held_for >= wait).then(|| {
            let nearest = nearest(s, |seen| seen.limit(self.state).map(|limit| limit.leave));
            format!("all {} limits behind their leave values for {wait}, {nearest}", self.state)
        })
    }

    /// How long the limits of the present state have to be clear before it is left.
    fn clear_wait(&self) -> Span {
        let rises = match self.state {
            SystemState::Critical => self.critical_rises,
            _ => self.degraded_rises,
        };
        CLEAR * 2u64.pow(rises.saturating_sub(1).min(CLEAR_DOUBLINGS_MAX))
    }

    fn calmed(&self, s: &Situation<'_>) -> Option<String> {
        clear(self.state, s)?;
        (s.now.since(self.calm_since?) >= CALM).then(|| {
            let nearest = nearest(s, |seen| Some(seen.degraded.enter));
            format!("no degraded evidence for {CALM}, {nearest}")
        })
    }

    fn enter(&mut self, to: SystemState, cause: String, evidence: &Evidence, now: Timestamp) -> Transition {
        let from = self.state;
        if from == SystemState::Optimizing && to != SystemState::Optimizing {
            self.optimized_at = Some(now);
        }
        if to == SystemState::Recovering {
            // What kept the old state is over: degraded evidence that is still there has to hold anew.
            self.degraded_cycles = [0; EvidenceKind::ALL.len()];
            self.calm_since = self.calm_since.map(|_| now);
        }
        self.state = to;
        self.since = now;
        self.critical_entered = false;
        self.clear_since = None;
        Transition { at: now, from, to, cause, evidence: *evidence, forced_until: self.forced_until }
    }
}

/// One kind of evidence that is there, with its limits.
struct Seen {
    kind: EvidenceKind,
    value: f64,
    degraded: Limit,
    critical: Option<Limit>,
    low_is_bad: bool,
}

impl Seen {
    fn over(&self, limit: Limit) -> bool {
        if self.low_is_bad { self.value < limit.enter } else { self.value > limit.enter }
    }

    fn behind(&self, limit: Limit) -> bool {
        if self.low_is_bad { self.value > limit.leave } else { self.value < limit.leave }
    }

    /// The limit that has to be clear for this state to be left.
    fn limit(&self, of: SystemState) -> Option<Limit> {
        match of {
            SystemState::Critical => self.critical,
            SystemState::Healthy | SystemState::Optimizing | SystemState::Degraded | SystemState::Recovering => {
                Some(self.degraded)
            }
        }
    }

    /// "host_processor 0.99 over 0.97", or "under" on the other side.
    fn against(&self, limit: f64) -> String {
        let side = if self.value < limit { "under" } else { "over" };
        format!("{} {} {side} {}", self.kind.as_str(), shown(self.value), shown(limit))
    }
}

fn seen<'a>(s: &'a Situation<'_>) -> impl Iterator<Item = Seen> + 'a {
    EvidenceKind::ALL.into_iter().zip(s.limits.pairs()).filter_map(|(kind, (_, pair, low_is_bad))| {
        let value = s.evidence.get(kind)?;
        Some(Seen { kind, value, degraded: pair.degraded, critical: pair.critical, low_is_bad })
    })
}

/// Whether all that is measured is behind the state's leave values; none when nothing is.
fn clear(state: SystemState, s: &Situation<'_>) -> Option<bool> {
    seen(s)
        .filter_map(|seen| seen.limit(state).map(|limit| seen.behind(limit)))
        .fold(None, |all: Option<bool>, one| Some(all.unwrap_or(true) && one))
}

/// What holds a limit of `state` for at least `least` cycles now, in one sentence.
fn held(state: SystemState, cycles: &[u32; EvidenceKind::ALL.len()], least: u32, s: &Situation<'_>) -> Option<String> {
    let mut held = seen(s)
        .filter_map(|seen| seen.limit(state).map(|limit| (seen, limit)))
        .filter(|(seen, limit)| seen.over(*limit) && cycles[seen.kind as usize] >= least);
    let (first, limit) = held.next()?;
    let cause = format!("{} for {} cycles", first.against(limit.enter), cycles[first.kind as usize]);
    Some(match held.count() {
        0 => cause,
        more => format!("{cause}, and {more} more"),
    })
}

/// The evidence that lies nearest to its limit.
fn nearest(s: &Situation<'_>, limit: impl Fn(&Seen) -> Option<f64>) -> String {
    let nearest = seen(s)
        .filter_map(|seen| limit(&seen).map(|limit| (seen, limit)))
        .min_by(|(a, to_a), (b, to_b)| (a.value - to_a).abs().total_cmp(&(b.value - to_b).abs()));
    match nearest {
        Some((seen, limit)) => format!("nearest {}", seen.against(limit)),
        None => "nothing measured".to_owned(),
    }
}

/// Four digits after the point at most: enough to see which side of a limit a ratio is on.
fn shown(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// What counting one cycle against one state's limits found.
struct Counted {
    /// Some limit was entered before this cycle.
    before: bool,
    /// Anything was measured; any limit is entered; one is that was not.
    measured: bool,
    over: bool,
    entered: bool,
}

impl Counted {
    fn new(cycles: &[u32]) -> Counted {
        let before = cycles.iter().any(|cycles| *cycles > 0);
        Counted { before, measured: false, over: false, entered: false }
    }

    fn count(&mut self, cycles: &mut u32, over: bool) {
        self.measured = true;
        self.over |= over;
        self.entered |= over && *cycles == 0;
        *cycles = if over { cycles.saturating_add(1) } else { 0 };
    }

    fn rose(&self) -> bool {
        self.over && !self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LimitPair, Parameters, States};
    use crate::feedback::effect::splitmix64;
    use EvidenceKind::*;
    use SystemState::{Critical, Degraded, Healthy, Optimizing, Recovering};
    use std::collections::BTreeSet;

    /// The machine at its own pace: each cycle comes after the interval of the state's row.
    struct Run {
        at: StateSince,
        now: Timestamp,
        states: States,
        moves: Vec<Transition>,
    }

    impl Run {
        fn new() -> Run {
            let now = Timestamp::from_secs(1_700_000_000);
            Run { at: StateSince::new(now), now, states: States::default(), moves: Vec::new() }
        }

        fn with(kind: impl FnOnce(&mut StateLimits) -> &mut LimitPair, enter: f64, leave: f64) -> Run {
            let mut run = Run::new();
            kind(&mut run.states.limits).degraded = Limit { enter, leave };
            run
        }

        /// One cycle; the state that it ends in.
        fn cycle(&mut self, seen: &[(EvidenceKind, f64)], learning_waiting: bool) -> SystemState {
            let row: Parameters = self.states.rows()[self.at.state as usize].1;
            self.cycle_after(row.monitoring_interval, seen, learning_waiting)
        }

        fn cycle_after(&mut self, wait: Span, seen: &[(EvidenceKind, f64)], learning_waiting: bool) -> SystemState {
            self.now = self.now + wait;
            let evidence = evidence(seen);
            let situation =
                Situation { evidence: &evidence, learning_waiting, limits: &self.states.limits, now: self.now };
            let (next, moved) = self.at.next(&situation);
            assert_eq!(moved.is_some(), next.state != self.at.state, "a move is a change of state");
            self.at = next;
            self.moves.extend(moved);
            self.at.state
        }

        fn cycles(&mut self, count: usize, seen: &[(EvidenceKind, f64)], waiting: bool) -> Vec<SystemState> {
            (0..count).map(|_| self.cycle(seen, waiting)).collect()
        }

        fn last_cause(&self) -> &str {
            &self.moves.last().expect("a move").cause
        }
    }

    fn evidence(seen: &[(EvidenceKind, f64)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (kind, value) in seen {
            evidence.set(*kind, Some(*value));
        }
        evidence
    }

    fn uniform(chance: &mut u64) -> f64 {
        (splitmix64(chance) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Twelve uniforms make a bell, near enough.
    fn bell(chance: &mut u64) -> f64 {
        (0..12).map(|_| uniform(chance)).sum::<f64>() - 6.0
    }

    #[test]
    fn states_are_known_by_their_names() {
        for state in SystemState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let error = "panic".parse::<SystemState>().expect_err("no state");
        assert_eq!(
            error.to_string(),
            "`panic` is no state; the states are healthy, optimizing, degraded, critical and recovering"
        );
    }

    #[test]
    fn the_limits_come_in_the_order_of_the_evidence() {
        for (kind, (name, _, _)) in EvidenceKind::ALL.into_iter().zip(StateLimits::default().pairs()) {
            assert_eq!(kind.as_str(), name);
        }
    }

    #[test]
    fn learning_work_raises_a_healthy_engine_to_optimizing_until_it_is_done() {
        let mut run = Run::new();
        assert_eq!(run.cycle(&[(HostProcessor, 0.41)], false), Healthy);
        assert_eq!(run.cycle(&[(HostProcessor, 0.41)], true), Optimizing);
        assert_eq!(run.last_cause(), "learning work is waiting; host_processor 0.41 under 0.6");
        assert_eq!(run.cycle(&[(HostProcessor, 0.70)], true), Optimizing);
        assert_eq!(run.cycle(&[(HostProcessor, 0.70)], false), Healthy);
        assert_eq!(run.last_cause(), "the learning work is done");
    }

    #[test]
    fn nothing_is_optimized_on_a_busy_host_or_with_degraded_evidence() {
        let mut run = Run::new();
        assert_eq!(run.cycle(&[(HostProcessor, 0.60)], true), Healthy, "equal is not under");
        assert_eq!(run.cycle(&[(HostProcessor, 0.55)], true), Healthy, "under, but within the margin");
        assert_eq!(run.cycle(&[(HostProcessor, 0.50)], true), Healthy, "room, for one cycle so far");
        assert_eq!(run.cycle(&[(HostProcessor, 0.50)], true), Optimizing, "room for 60 s");

        let mut run = Run::new();
        assert_eq!(run.cycle(&[(HostProcessor, 0.2), (HostMemory, 0.86)], true), Healthy);
        assert_eq!(run.cycle(&[(HostProcessor, 0.2), (HostMemory, 0.84)], true), Optimizing);
    }

    #[test]
    fn endless_work_holds_the_raised_pace_half_of_the_time() {
        let mut run = Run::new();
        let mut optimizing = 0;
        let start = run.now;
        while run.now.since(start) < Span::hours(10) {
            let before = run.now;
            let state = run.at.state;
            run.cycle(&[(HostProcessor, 0.2)], true);
            optimizing += if state == Optimizing { run.now.since(before).millis() } else { 0 };
        }
        let share = optimizing as f64 / Span::hours(10).millis() as f64;
        assert!((0.45..=0.55).contains(&share), "{share}");
        assert_eq!(run.moves.len(), 60, "every ten minutes");
        assert!(run.moves.iter().any(|m| m.cause.starts_with("optimizing for 10m, the longest stretch")));
    }

    #[test]
    fn a_degraded_limit_has_to_hold_for_three_cycles() {
        let mut run = Run::new();
        let high = [(HostProcessor, 0.9), (OwnMemory, 0.2)];
        assert_eq!(run.cycles(2, &high, false), [Healthy, Healthy]);
        assert_eq!(run.cycle(&[(HostProcessor, 0.80)], false), Healthy, "not over: the count starts again");
        assert_eq!(run.cycles(3, &high, false), [Healthy, Healthy, Degraded]);
        assert_eq!(run.last_cause(), "host_processor 0.9 over 0.85 for 3 cycles");

        let mut run = Run::new();
        run.cycle(&[], true);
        assert_eq!(run.cycles(3, &[(DecisionQuality, 0.55)], true), [Optimizing, Optimizing, Degraded]);
        assert_eq!(run.last_cause(), "decision_quality 0.55 under 0.6 for 3 cycles");
    }

    #[test]
    fn it_is_one_limit_that_holds_not_several_in_turn() {
        let mut run = Run::new();
        for turn in 0..30 {
            let kind = [OwnMemory, HostProcessor, HostMemory][turn % 3];
            let mut seen = vec![(OwnMemory, 0.1), (HostProcessor, 0.1), (HostMemory, 0.1)];
            seen.push((kind, 0.9));
            assert_eq!(run.cycle(&seen, false), Healthy);
        }
    }

    #[test]
    fn a_processor_at_99_percent_is_critical_within_two_cycles_from_any_state() {
        for start in SystemState::ALL {
            let mut run = Run::new();
            run.at.state = start;
            let state = run.cycle(&[(HostProcessor, 0.99)], true);
            if start == Critical {
                assert!(!run.at.wants_early_cycle(), "it is there already");
                continue;
            }
            assert_ne!(state, Critical);
            assert!(run.at.wants_early_cycle(), "{start}: the next cycle should not wait");
            assert_eq!(run.cycle_after(Span::from_secs(1), &[(HostProcessor, 0.99)], true), Critical);
            assert_eq!(run.last_cause(), "host_processor 0.99 over 0.97 for 2 cycles");
            assert!(!run.at.wants_early_cycle());
        }
    }

    #[test]
    fn one_critical_reading_brings_the_next_cycle_forward_once() {
        let mut run = Run::new();
        run.cycle(&[(HostMemory, 0.96)], false);
        assert!(run.at.wants_early_cycle());
        run.cycle(&[(HostMemory, 0.5)], false);
        assert!(!run.at.wants_early_cycle());
        run.cycle(&[(HostMemory, 0.96)], false);
        run.cycle(&[], false);
        assert!(!run.at.wants_early_cycle(), "nothing measured, nothing entered");
    }

    #[test]
    fn degraded_recovers_after_a_minute_of_clear_limits_and_is_healthy_after_five_calm_ones() {
        let mut run = Run::new();
        run.cycles(3, &[(HostProcessor, 0.9)], false);
        assert_eq!(run.cycles(20, &[(HostProcessor, 0.80)], false), [Degraded; 20], "between leave and enter it stays");
        assert_eq!(run.cycles(3, &[(HostProcessor, 0.6)], false), [Degraded, Degraded, Recovering]);
        assert_eq!(
            run.last_cause(),
            "all degraded limits behind their leave values for 1m, nearest host_processor 0.6 under 0.75"
        );
        assert_eq!(run.cycles(15, &[(HostProcessor, 0.80)], false)[13..], [Recovering, Healthy], "15 cycles of 20 s");
        assert_eq!(run.last_cause(), "no degraded evidence for 5m, nearest host_processor 0.8 under 0.85");
    }

    #[test]
    fn recovering_falls_back_to_degraded_after_three_cycles_also_when_it_came_from_critical() {
        let mut run = Run::new();
        run.cycles(2, &[(HostProcessor, 0.99)], false);
        assert_eq!(run.at.state, Critical);
        // Behind the critical limit's leave value (0.90), over the degraded one's enter value (0.85).
        let states = run.cycles(10, &[(HostProcessor, 0.88)], false);
        assert_eq!(states[..7], [Critical, Critical, Critical, Critical, Critical, Critical, Recovering]);
        assert_eq!(states[7..], [Recovering, Recovering, Degraded]);
        let moves: Vec<_> = run.moves.iter().map(|m| (m.from, m.to)).collect();
        assert_eq!(moves, [(Healthy, Critical), (Critical, Recovering), (Recovering, Degraded)]);
    }

    #[test]
    fn each_return_over_the_limit_doubles_the_wait_and_calm_forgives_it() {
        let mut run = Run::new();
        let (high, low) = ([(HostProcessor, 0.9)], [(HostProcessor, 0.2)]);
        run.cycles(3, &high, false);
        run.cycle(&low, false);
        run.cycle(&high, false);
        // One return: two minutes of clear limits, which are five cycles 30 s apart.
        assert_eq!(run.cycles(5, &low, false), [Degraded, Degraded, Degraded, Degraded, Recovering]);
        run.cycles(3, &high, false);
        assert_eq!(run.at.state, Degraded);
        let until_out = (1..).find(|_| run.cycle(&low, false) == Recovering).expect("it is left");
        assert_eq!(until_out, 9, "two returns: four minutes");
        for _ in 0..100 {
            run.cycle(&low, false);
        }
        assert_eq!((run.at.state, run.at.degraded_rises), (Healthy, 0));
    }

    #[test]
    fn the_wait_never_passes_sixteen_minutes() {
        let mut run = Run::new();
        run.cycles(3, &[(HostProcessor, 0.9)], false);
        for turn in 0..200 {
            run.cycle(&[(HostProcessor, if turn % 2 == 0 { 0.2 } else { 0.9 })], false);
        }
        assert_eq!(run.at.state, Degraded);
        assert_eq!(run.cycles(33, &[(HostProcessor, 0.2)], false)[31..], [Degraded, Recovering]);
    }

    #[test]
    fn all_limits_at_once_is_critical_and_names_the_first() {
        let mut run = Run::new();
        let all = [
            (CycleLatency, 2.0),
            (OwnMemory, 0.99),
            (HostProcessor, 0.99),
            (HostMemory, 0.99),
            (BreachShare, 0.5),
            (DecisionQuality, 0.1),
            (FalseShare, 0.9),
        ];
        assert_eq!(run.cycles(2, &all, true), [Healthy, Critical]);
        assert_eq!(run.last_cause(), "cycle_latency 2 over 1 for 2 cycles, and 5 more");
        assert_eq!(run.moves[0].evidence.iter().count(), 7);
    }

    #[test]
    fn false_pages_alone_degrade_and_are_never_critical() {
        let mut run = Run::new();
        assert_eq!(run.cycles(50, &[(FalseShare, 1.0)], false)[2..], [Degraded; 48]);
    }

    #[test]
    fn where_all_evidence_is_absent_the_state_stands_still() {
        for state in [Healthy, Degraded, Critical, Recovering] {
            let mut run = Run::new();
            run.at.state = state;
            assert_eq!(run.cycles(500, &[], false), vec![state; 500]);
        }
        let mut run = Run::new();
        assert_eq!(run.cycle(&[], true), Optimizing, "an unknown processor does not speak against work");
        assert_eq!(run.cycle(&[], false), Healthy);
    }

    #[test]
    fn absent_evidence_neither_completes_nor_breaks_a_count() {
        let mut run = Run::new();
        run.cycles(2, &[(HostProcessor, 0.9)], false);
        assert_eq!(run.cycles(50, &[(HostMemory, 0.1)], false), [Healthy; 50]);
        assert_eq!(run.cycle(&[(HostProcessor, 0.9)], false), Degraded);

        run.cycle(&[(HostProcessor, 0.5)], false);
        assert_eq!(run.cycles(50, &[], false), [Degraded; 50], "silence is no recovery");
        assert_eq!(run.cycle(&[(HostMemory, 0.1)], false), Recovering, "what is measured decides");
    }

    /// 1,000 cycles of a processor around 0.60, for 100 seeds: how many moves in each run, and how often the machine was
    /// in optimizing at all.
    fn moves_around_60(run: fn() -> Run, noise: fn(&mut u64) -> f64, waiting_share: f64) -> Vec<usize> {
        (1..=100)
            .map(|seed| {
                let (mut chance, mut run) = (seed, run());
                for _ in 0..1000 {
                    let waiting = uniform(&mut chance) < waiting_share;
                    run.cycle(&[(HostProcessor, 0.60 + noise(&mut chance))], waiting);
                }
                run.moves.len()
            })
            .collect()
    }

    fn uniform_3_percent(chance: &mut u64) -> f64 {
        (uniform(chance) * 2.0 - 1.0) * 0.03
    }

    #[test]
    fn noise_around_the_processors_limit_for_optimizing_makes_at_most_two_moves() {
        for waiting_share in [0.05, 0.5, 1.0] {
            let moves = moves_around_60(Run::new, uniform_3_percent, waiting_share);
            assert!(moves.iter().all(|moves| *moves <= 2), "waiting {waiting_share}: {moves:?}");
        }
    }

    #[test]
    fn noise_around_a_degraded_limit_makes_at_most_two_moves() {
        let wide = || Run::with(|limits| &mut limits.host_processor, 0.60, 0.50);
        let narrow = || Run::with(|limits| &mut limits.host_processor, 0.60, 0.58);
        for run in [wide as fn() -> Run, narrow] {
            let moves = moves_around_60(run, uniform_3_percent, 0.0);
            assert!(moves.iter().all(|moves| *moves <= 2), "{moves:?}");
        }
        // A bell with that spread reaches much further. One run in a hundred may see a clear minute by chance.
        let moves = moves_around_60(narrow, |chance| bell(chance) * 0.03, 0.0);
        assert!(moves.iter().filter(|moves| **moves > 2).count() <= 2, "{moves:?}");
        assert!(moves.iter().all(|moves| *moves <= 6), "{moves:?}");
    }

    #[test]
    fn an_operator_holds_a_state_whatever_the_evidence_and_then_the_machine_decides() {
        let mut run = Run::new();
        let until = run.now + Span::minutes(15);
        let (at, moved) = run.at.force(Healthy, until, &evidence(&[(HostProcessor, 0.99)]), run.now);
        assert_eq!((moved.from, moved.to, moved.forced_until), (Healthy, Healthy, Some(until)));
        assert_eq!(moved.cause, "forced to healthy by an operator until 2023-11-14T22:28:20.000Z");
        run.at = at;
        assert_eq!(run.cycles(14, &[(HostProcessor, 0.99)], true), [Healthy; 14]);
        assert!(!run.at.wants_early_cycle(), "no cycle can move it");
        assert_eq!(run.cycle(&[(HostProcessor, 0.99)], true), Critical, "the fifteenth minute is over");
        assert_eq!(run.at.forced_until, None);
        assert_eq!(run.last_cause(), "host_processor 0.99 over 0.97 for 15 cycles");
    }

    #[test]
    fn a_forced_state_without_reason_is_left_by_the_usual_way() {
        let mut run = Run::new();
        let (at, moved) = run.at.force(Critical, run.now + Span::minutes(15), &Evidence::default(), run.now);
        assert_eq!((moved.from, moved.to), (Healthy, Critical));
        run.at = at;
        let states = run.cycles(90, &[(HostProcessor, 0.1)], false);
        assert_eq!(states[88..], [Critical, Recovering], "15 min of 10 s cycles");

        let mut run = Run::new();
        run.at = run.at.force(Optimizing, run.now + Span::minutes(1), &Evidence::default(), run.now).0;
        assert_eq!(run.cycles(2, &[], false), [Optimizing, Healthy]);
    }

    #[test]
    fn every_legal_move_is_reached_and_no_other() {
        let legal: BTreeSet<_> = [
            (Healthy, Optimizing),
            (Healthy, Degraded),
            (Healthy, Critical),
            (Optimizing, Healthy),
            (Optimizing, Degraded),
            (Optimizing, Critical),
            (Degraded, Critical),
            (Degraded, Recovering),
            (Critical, Recovering),
            (Recovering, Healthy),
            (Recovering, Degraded),
            (Recovering, Critical),
        ]
        .into();
        let mut run = Run::new();
        let mut chance = 7;
        // Spells of up to 50 cycles: some kinds are absent, one may be bad, to a degree that the spell sets.
        let mut cycles = 0;
        while cycles < 100_000 {
            let worst = EvidenceKind::ALL[(uniform(&mut chance) * 7.0) as usize];
            let level = uniform(&mut chance) * 1.2;
            let absent = uniform(&mut chance);
            let waiting = uniform(&mut chance) < 0.5;
            for _ in 0..(uniform(&mut chance) * 50.0) as usize {
                cycles += 1;
                let mut seen = Vec::new();
                for kind in EvidenceKind::ALL {
                    let bad = if kind == worst { level - uniform(&mut chance) * 0.2 } else { 0.01 };
                    if uniform(&mut chance) >= absent {
                        seen.push((kind, if kind == DecisionQuality { 1.0 - bad } else { bad }));
                    }
                }
                run.cycle(&seen, waiting);
            }
        }
        let seen: BTreeSet<_> = run.moves.iter().map(|m| (m.from, m.to)).collect();
        assert_eq!(seen, legal);
        for moved in &run.moves {
            assert!(!moved.cause.is_empty() && !moved.cause.contains('\n') && moved.forced_until.is_none());
        }
    }

    #[test]
    fn the_machine_survives_a_snapshot_in_the_middle_of_a_count() {
        let mut run = Run::new();
        run.cycles(2, &[(HostProcessor, 0.9)], false);
        let text = serde_json::to_string(&run.at).unwrap();
        run.at = serde_json::from_str(&text).unwrap();
        assert_eq!(run.cycle(&[(HostProcessor, 0.9)], false), Degraded);
    }
}
