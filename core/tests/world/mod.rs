//! A small world that feeds one engine and keeps what it decided.
#![allow(dead_code, reason = "each test file uses its own part")]

use homeostat::config::{Config, Parameters};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::execute::{Change, Expectation, Knob, Measure, Outcome, Setting, Verification};
use homeostat::feedback::{LoopKind, ParameterKind, Signal, Subject, Verdict};
use homeostat::knowledge::LoopMemory;
use homeostat::knowledge::SeriesId;
use homeostat::knowledge::series::Series;
use homeostat::monitor::Sample;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use homeostat::units::Ratio;

pub struct World {
    pub engine: Engine,
    pub now: Timestamp,
    pub events: Vec<Event>,
    noise: u64,
    /// Numbers of changes and outcomes that the world makes up.
    made_up: u64,
}

/// The default configuration, in which chance withholds nothing: what a loop wants is what it does.
pub fn certain() -> Config {
    let mut config = Config::default();
    config.feedback.withhold = Ratio::ZERO;
    config
}

/// The same where alerts are what lies beyond learned bounds, not a detector's.
pub fn by_bounds() -> Config {
    let mut config = certain();
    config.learning.strategy = "adaptive".into();
    config
}

pub fn name(text: &str) -> SeriesName {
    SeriesName::parse(text).expect(text)
}

impl World {
    pub fn new(config: Config) -> World {
        let now = Timestamp::from_secs(1_700_000_000);
        World { engine: Engine::new(config, now), now, events: Vec::new(), noise: 7, made_up: 1_000_000 }
    }

    pub fn seeded(config: Config, seed: u64) -> World {
        World { noise: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, ..World::new(config) }
    }

    /// Even over 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly a bell around 0 with sigma 1: the sum of twelve uniform numbers.
    pub fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    pub fn intern(&mut self, name: &str) -> SeriesId {
        self.engine.intern(&self::name(name), None, self.now).expect("there is room")
    }

    /// Changes some keys of the running engine's configuration.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = self.engine.knowledge().config().clone();
        change(&mut config);
        self.events.extend(self.engine.reconfigure(config, self.now).expect("a usable configuration"));
    }

    pub fn series(&self, id: SeriesId) -> &Series {
        self.engine.knowledge().get(id).expect("held")
    }

    /// A sample ten seconds after the last, and a cycle when one is due.
    pub fn sample(&mut self, series: SeriesId, value: f64) {
        self.now = self.now + Span::from_secs(10);
        let observed = self.engine.observe(&[Sample { series, at: self.now, value }], self.now);
        self.events.extend(observed.events);
        if self.now >= self.engine.next_cycle() {
            self.cycle();
        }
    }

    /// The next cycle, waiting for it when it is not due.
    pub fn cycle(&mut self) {
        self.now = self.now.max(self.engine.next_cycle());
        self.events.extend(self.engine.cycle(self.now).events);
    }

    /// Lets time pass, with the cycles that come due in it.
    pub fn wait(&mut self, span: Span) {
        let until = self.now + span;
        while self.engine.next_cycle() <= until {
            self.cycle();
        }
        self.now = until;
    }

    pub fn cycles(&mut self, count: usize) {
        (0..count).for_each(|_| self.cycle());
    }

    /// Cycles with a measurement before each, and the state after the last.
    pub fn cycles_under(&mut self, kind: EvidenceKind, value: f64, count: usize) -> SystemState {
        for _ in 0..count {
            self.evidence(kind, value);
            self.cycle();
        }
        self.state()
    }

    /// A bell around 100.
    pub fn learn(&mut self, name: &str, samples: usize) -> SeriesId {
        let id = self.intern(name);
        for _ in 0..samples {
            let value = 100.0 + self.bell();
            self.sample(id, value);
        }
        id
    }

    pub fn upper(&self, id: SeriesId) -> f64 {
        self.series(id).in_force().and_then(|threshold| threshold.bounds.at(self.now).1).expect("an upper bound")
    }

    pub fn verdict(&mut self, name: &str, verdict: Verdict) -> u64 {
        self.signal(LoopKind::AnomalyFeedback, "verdict", 1.0, Some(self::name(name)), Some(verdict))
    }

    /// A measurement, told to the loop that acts on it.
    pub fn evidence(&mut self, kind: EvidenceKind, value: f64) -> u64 {
        let of = match kind {
            EvidenceKind::CycleLatency => LoopKind::PerformanceAdaptation,
            EvidenceKind::OwnMemory | EvidenceKind::HostProcessor | EvidenceKind::HostMemory => {
                LoopKind::ResourceOptimization
            }
            EvidenceKind::BreachShare | EvidenceKind::DecisionQuality | EvidenceKind::FalseShare => {
                panic!("{} is not measured from outside", kind.as_str())
            }
        };
        self.measure(of, kind.as_str(), value)
    }

    /// What came of a change of a series that is not held here, by this strategy.
    pub fn outcome(&mut self, verification: Verification, strategy: &str) {
        self.made_up += 1;
        let outcome = Outcome {
            change: self.made_up,
            at: self.now,
            knob: Knob::Threshold(name("elsewhere")),
            by: None,
            strategy: Some(strategy.to_owned().into()),
            verification,
            measured: None,
        };
        self.events.extend(self.engine.settle(outcome, self.now));
    }

    /// Puts a factor where no loop would, as an event of the journal does.
    pub fn set_factor(&mut self, parameter: ParameterKind, value: f64) {
        self.made_up += 1;
        let expect = Expectation {
            of: Measure::Evidence(EvidenceKind::CycleLatency),
            at_least: 0.0,
            at_most: 1.0,
            due: self.now + Span::hours(24),
        };
        let change = Change {
            id: self.made_up,
            at: self.now,
            knob: Knob::Factor(parameter),
            from: Setting::Number(1.0),
            to: Setting::Number(value),
            because: "the test says so".into(),
            by: None,
            expect,
            situation: 0,
        };
        self.engine.replay(&Event::ChangeDispatched { change }, self.now);
    }

    /// Cycles, with a factor as if it had just been set in each.
    pub fn cycles_with_factor(&mut self, parameter: ParameterKind, value: f64, count: usize) {
        for _ in 0..count {
            self.now = self.now.max(self.engine.next_cycle());
            self.set_factor(parameter, value);
            self.cycle();
        }
    }

    /// Holds a state for a day.
    pub fn force(&mut self, state: SystemState) {
        self.events.extend(self.engine.force(state, Span::hours(24), self.now));
    }

    pub fn state(&self) -> SystemState {
        self.engine.knowledge().state().state
    }

    pub fn factor(&self, parameter: ParameterKind) -> f64 {
        self.engine.knowledge().factors().at(parameter, self.now)
    }

    pub fn memory(&self, of: LoopKind) -> &LoopMemory {
        self.engine.knowledge().loop_memory(of)
    }

    /// The parameters' numbers in the order of [`ParameterKind`], spans in seconds.
    pub fn parameters(&self) -> [f64; 5] {
        numbers(self.engine.knowledge().parameters())
    }

    pub fn measure(&mut self, of: LoopKind, source: &'static str, value: f64) -> u64 {
        self.signal(of, source, value, None, None)
    }

    /// A person says something of a time of a series.
    pub fn say(&mut self, series: &str, verdict: Verdict, about: Subject) {
        self.imply(series, verdict, about, None);
    }

    /// The same of what was done, where it has a weight.
    pub fn imply(&mut self, series: &str, verdict: Verdict, about: Subject, weight: Option<f64>) {
        let weight = weight.map(|weight| Ratio::new(weight).expect("a ratio"));
        let signal = Signal {
            id: 0,
            at: self.now,
            of: LoopKind::AnomalyFeedback,
            source: "verdict".into(),
            value: 0.0,
            series: Some(name(series)),
            verdict: Some(verdict),
            about: Some(about),
            weight,
            metadata: Default::default(),
        };
        let event = self.engine.signal(signal, self.now);
        self.events.push(event);
    }

    pub fn signal(
        &mut self,
        of: LoopKind,
        source: &'static str,
        value: f64,
        series: Option<SeriesName>,
        verdict: Option<Verdict>,
    ) -> u64 {
        let signal = Signal { series, verdict, ..Signal::new(of, source, value, self.now) };
        let event = self.engine.signal(signal, self.now);
        let Event::Signalled { signal } = &event else { panic!("a signal gives a signalled event") };
        let id = signal.id;
        self.events.push(event);
        id
    }
}

/// A row's numbers in the order of [`ParameterKind`], spans in seconds.
pub fn numbers(row: &Parameters) -> [f64; 5] {
    [
        row.monitoring_interval.secs(),
        f64::from(row.analysis_depth),
        row.planning_lookahead.secs(),
        f64::from(row.execution_parallelism),
        row.learning_rate.get(),
    ]
}
