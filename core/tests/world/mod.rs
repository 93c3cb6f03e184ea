//! A small world that feeds one engine and keeps what it decided.
#![allow(dead_code, reason = "each test file uses its own part")]

use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::feedback::{LoopKind, Signal, Verdict};
use homeostat::knowledge::SeriesId;
use homeostat::knowledge::series::Series;
use homeostat::monitor::Sample;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};

pub struct World {
    pub engine: Engine,
    pub now: Timestamp,
    pub events: Vec<Event>,
    noise: u64,
}

impl World {
    pub fn new(config: Config) -> World {
        let now = Timestamp::from_secs(1_700_000_000);
        World { engine: Engine::new(config, now), now, events: Vec::new(), noise: 7 }
    }

    /// Roughly a bell around 0 with sigma 1: the sum of twelve uniform numbers.
    pub fn bell(&mut self) -> f64 {
        let mut sum = -6.0;
        for _ in 0..12 {
            self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.noise >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    }

    pub fn intern(&mut self, name: &str) -> SeriesId {
        let name = SeriesName::parse(name).expect(name);
        self.engine.intern(&name, None, self.now).expect("there is room")
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
        let series = Some(SeriesName::parse(name).expect(name));
        self.signal(LoopKind::AnomalyFeedback, "verdict", 1.0, series, Some(verdict))
    }

    pub fn measure(&mut self, of: LoopKind, source: &'static str, value: f64) -> u64 {
        self.signal(of, source, value, None, None)
    }

    fn signal(
        &mut self,
        of: LoopKind,
        source: &'static str,
        value: f64,
        series: Option<SeriesName>,
        verdict: Option<Verdict>,
    ) -> u64 {
        let at = self.now;
        let signal =
            Signal { id: 0, at, of, source: source.into(), value, series, verdict, metadata: Default::default() };
        let event = self.engine.signal(signal, self.now);
        let Event::Signalled { signal } = &event else { panic!("a signal gives a signalled event") };
        let id = signal.id;
        self.events.push(event);
        id
    }
}
