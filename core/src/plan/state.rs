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

    /// When degraded, critical or recovering is left at the earliest, if the evidence stays behind the limits that hold it; none
    /// while some of it is not, and in the other states.
    pub fn leaves_at(&self) -> Option<Timestamp> {
        let at = match self.state {
            SystemState::Healthy | SystemState::Optimizing => return None,
            SystemState::Degraded | SystemState::Critical => self.clear_since? + self.clear_wait(),
            SystemState::Recovering => self.calm_since? + CALM,
        };
        Some(self.forced_until.map_or(at, |until| at.max(until)))
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
mod tests;
