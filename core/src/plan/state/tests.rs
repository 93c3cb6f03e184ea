//! The machine of states at its own pace: when it moves, when it stays, and what it never does.

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
        let situation = Situation { evidence: &evidence, learning_waiting, limits: &self.states.limits, now: self.now };
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
    assert_eq!(run.at.leaves_at(), None, "nobody knows how long it stays there");
    assert_eq!(run.cycle(&[(HostProcessor, 0.6)], false), Degraded);
    assert_eq!(run.at.leaves_at(), Some(run.now + Span::minutes(1)));
    assert_eq!(run.cycles(2, &[(HostProcessor, 0.6)], false), [Degraded, Recovering]);
    assert_eq!(run.at.leaves_at(), Some(run.now + Span::minutes(5)));
    assert_eq!(
        run.last_cause(),
        "all degraded limits behind their leave values for 1m, nearest host_processor 0.6 under 0.75"
    );
    assert_eq!(run.cycles(15, &[(HostProcessor, 0.80)], false)[13..], [Recovering, Healthy], "15 cycles of 20 s");
    assert_eq!(run.last_cause(), "no degraded evidence for 5m, nearest host_processor 0.8 under 0.85");
    assert_eq!(run.at.leaves_at(), None, "healthy waits for nothing");
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
    let until = run.now + Span::minutes(15);
    run.cycle(&[(HostProcessor, 0.1)], false);
    assert_eq!(run.at.leaves_at(), Some(until), "an operator holds it for longer than the evidence");
    let states = run.cycles(89, &[(HostProcessor, 0.1)], false);
    assert_eq!(states[87..], [Critical, Recovering], "15 min of 10 s cycles");

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
