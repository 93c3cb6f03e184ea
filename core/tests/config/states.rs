//! What the keys of `states` change: the limits, and the rows of parameters.

use crate::world::{World, certain, numbers};
use homeostat::config::{Config, Limit};
use homeostat::execute::Verification;
use homeostat::feedback::Verdict;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::Sample;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::time::Span;
use homeostat::units::Ratio;

// --- states.limits --------------------------------------------------------------------------------------------------

/// Evidence of any kind, shown to an engine as it would come.
struct Shown {
    world: World,
    kind: EvidenceKind,
    series: Vec<SeriesId>,
    /// How many series are in breach now.
    out: usize,
}

const SERIES: usize = 20;

impl Shown {
    fn new(kind: EvidenceKind, config: Config) -> Shown {
        let mut world = World::new(config);
        let mut series = Vec::new();
        if kind == EvidenceKind::BreachShare {
            series = (0..SERIES).map(|n| world.intern(&format!("series_{n}"))).collect();
        }
        if kind == EvidenceKind::FalseShare {
            // An alert that goes on, to be judged.
            let id = world.learn("paged", 200);
            (0..3).for_each(|_| world.sample(id, 1e4));
            assert!(world.series(id).alert_since().is_some());
        }
        let mut shown = Shown { world, kind, series, out: 0 };
        if kind == EvidenceKind::BreachShare {
            shown.samples(100);
            shown.world.cycles(3);
        }
        shown
    }

    fn samples(&mut self, count: usize) {
        for _ in 0..count {
            self.world.now = self.world.now + Span::from_secs(5);
            for (n, series) in self.series.iter().enumerate() {
                let calm = 100.0 + self.world.bell().clamp(-1.5, 1.5);
                let sample =
                    Sample { series: *series, at: self.world.now, value: if n < self.out { 500.0 } else { calm } };
                let _ = self.world.engine.observe(&[sample], self.world.now);
            }
        }
    }

    /// A cycle that decides from this value; the state after it.
    fn cycle(&mut self, value: f64) -> SystemState {
        match self.kind {
            EvidenceKind::BreachShare => {
                let out = (value * SERIES as f64).round() as usize;
                if out != self.out {
                    self.out = out;
                    self.samples(10);
                }
            }
            EvidenceKind::DecisionQuality => {
                let verification =
                    |n: usize| if (n as f64) < value * 100.0 { Verification::Met } else { Verification::Failed };
                (0..100).for_each(|n| self.world.outcome(verification(n), "elsewhere's"));
            }
            EvidenceKind::FalseShare => {
                for n in 0..50 {
                    let verdict = if (n as f64) < value * 50.0 { Verdict::False } else { Verdict::True };
                    self.world.verdict("paged", verdict);
                }
            }
            kind => _ = self.world.evidence(kind, value),
        }
        // Regular cycles, also where a verdict would have brought the next one forward.
        self.world.now = self.world.now + Span::from_secs(30);
        self.world.cycle();
        self.world.state()
    }
}

/// A configuration in which no limit is ever reached, all limits of all kinds can be left at once, and parameters stay.
fn out_of_reach() -> Config {
    let mut config = certain();
    let limits = &mut config.states.limits;
    for pair in [
        &mut limits.cycle_latency,
        &mut limits.own_memory,
        &mut limits.host_processor,
        &mut limits.host_memory,
        &mut limits.breach_share,
        &mut limits.false_share,
    ] {
        pair.degraded = Limit { enter: 10.0, leave: 9.0 };
        pair.critical = Some(Limit { enter: 10.0, leave: 9.0 });
    }
    limits.decision_quality.degraded = Limit { enter: -9.0, leave: -8.0 };
    limits.decision_quality.critical = Some(Limit { enter: -9.0, leave: -8.0 });
    // No work that would raise the state by itself.
    limits.optimizing_processor_max = Ratio::ZERO;
    config.learning.optimization_interval = Span::hours(1_000);
    config
}

fn limit<'a>(config: &'a mut Config, kind: &str, state: &str) -> &'a mut Limit {
    let limits = &mut config.states.limits;
    let pair = match kind {
        "cycle_latency" => &mut limits.cycle_latency,
        "own_memory" => &mut limits.own_memory,
        "host_processor" => &mut limits.host_processor,
        "host_memory" => &mut limits.host_memory,
        "breach_share" => &mut limits.breach_share,
        "decision_quality" => &mut limits.decision_quality,
        "false_share" => &mut limits.false_share,
        _ => panic!("{kind} is no evidence"),
    };
    match state {
        "degraded" => &mut pair.degraded,
        _ => pair.critical.get_or_insert(Limit { enter: 10.0, leave: 9.0 }),
    }
}

/// `states.limits.KIND.STATE.enter` or `.leave`.
pub fn state_limit(key: &str) {
    let [_, _, kind, state, side] = key.split('.').collect::<Vec<_>>()[..] else { panic!("{key}") };
    let evidence = EvidenceKind::ALL.into_iter().find(|known| known.as_str() == kind).expect(kind);
    let bad = SystemState::parse(state).expect(state);
    // Where low is bad everything is upside down.
    let side_up = |value: f64| if evidence == EvidenceKind::DecisionQuality { 1.0 - value } else { value };
    let set = |config: &mut Config, enter: f64, leave: f64| {
        *limit(config, kind, state) = Limit { enter: side_up(enter), leave: side_up(leave) };
    };
    let mut config = out_of_reach();
    let enters = side == "enter";
    set(&mut config, if enters { 10.0 } else { 0.3 }, 0.05);
    let mut shown = Shown::new(evidence, config);
    let calm = |state| matches!(state, SystemState::Healthy | SystemState::Optimizing);
    if enters {
        for _ in 0..6 {
            assert!(calm(shown.cycle(side_up(0.4))), "{key}");
        }
        shown.world.reconfigure(|config| set(config, 0.3, 0.05));
        let states: Vec<SystemState> = (0..4).map(|_| shown.cycle(side_up(0.4))).collect();
        assert!(states.contains(&bad), "{key}: {states:?}");
    } else {
        let states: Vec<SystemState> = (0..6).map(|_| shown.cycle(side_up(0.4))).collect();
        assert_eq!(states.last(), Some(&bad), "{key}: {states:?}");
        for _ in 0..8 {
            assert_eq!(shown.cycle(side_up(0.2)), bad, "{key}: not behind the leave value");
        }
        shown.world.reconfigure(|config| set(config, 0.3, 0.25));
        let states: Vec<SystemState> = (0..8).map(|_| shown.cycle(side_up(0.2))).collect();
        assert!(states.contains(&SystemState::Recovering), "{key}: {states:?}");
    }
}

pub fn optimizing_processor_max(_: &str) {
    let mut world = World::new(certain());
    let ripe = |world: &mut World, series: &str| {
        let id = world.intern(series);
        let history: Vec<_> =
            (0..150_u64).map(|n| (world.now + Span::from_millis(n), 100.0 + (n * 7 % 11) as f64 + 0.5)).collect();
        let _ = world.engine.backfill(id, &history, world.now);
        world.cycles_under(EvidenceKind::HostProcessor, 0.5, 1)
    };
    world.reconfigure(|config| config.states.limits.optimizing_processor_max = Ratio::clamped(0.4));
    assert_eq!(ripe(&mut world, "first"), SystemState::Healthy);
    world.reconfigure(|config| config.states.limits.optimizing_processor_max = Ratio::clamped(0.8));
    world.cycles_under(EvidenceKind::HostProcessor, 0.5, 3);
    assert_eq!(ripe(&mut world, "second"), SystemState::Optimizing);
}

// --- states: the rows -----------------------------------------------------------------------------------------------

/// `states.STATE.PARAMETER`. What each parameter does is watched in `parameters.rs`; here, that each key reaches it.
pub fn row(key: &str) {
    let [_, state, parameter] = key.split('.').collect::<Vec<_>>()[..] else { panic!("{key}") };
    let held = SystemState::parse(state).expect(state);
    let mut world = World::new(certain());
    world.force(held);
    world.cycles(60);
    assert_eq!(world.parameters(), numbers(&world.engine.knowledge().row()));
    let before = world.parameters();
    let mut wanted = before;
    let changed = |row: &mut serde_json::Value, value: serde_json::Value| row[parameter] = value;
    let mut json = serde_json::to_value(world.engine.knowledge().config()).expect("a configuration is JSON");
    let row = &mut json["states"][state];
    match parameter {
        "monitoring_interval" => {
            changed(row, "7s".into());
            wanted[0] = 7.0;
        }
        "analysis_depth" => {
            changed(row, 77.into());
            wanted[1] = 77.0;
        }
        "planning_lookahead" => {
            changed(row, "777s".into());
            wanted[2] = 777.0;
        }
        "execution_parallelism" if held == SystemState::Critical => {
            // One value alone is allowed, and whoever writes another is told.
            changed(row, 2.into());
            let config: Config = serde_json::from_value(json).expect("readable");
            let error = world.engine.reconfigure(config, world.now).expect_err("refused");
            assert_eq!(error.key, key);
            return;
        }
        "execution_parallelism" => {
            changed(row, 7.into());
            wanted[3] = 7.0;
        }
        "learning_rate" => {
            changed(row, 0.77.into());
            wanted[4] = 0.77;
        }
        _ => panic!("{key} is no parameter that is known here"),
    }
    let config: Config = serde_json::from_value(json).expect("readable");
    world.reconfigure(|running| *running = config);
    world.cycles(80);
    assert_eq!(world.parameters(), wanted, "{key}");
    let gap = world.engine.next_cycle().since(world.engine.knowledge().last_cycle());
    assert_eq!(gap.secs(), wanted[0]);
}
