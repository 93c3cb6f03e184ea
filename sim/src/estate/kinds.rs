//! What there is to watch in the fleet, and in which ranges each month draws how it lives, what disturbs it, and how it fails.
//!
//! The ranges are wide on purpose: what is learned here must hold for a month that was drawn by somebody else. Heights and
//! levels are in literals of the published rule (see [`super::shape`]), times in minutes.

use super::shape::{HOUR, Life, Outline};

/// What a signal measures; each has a rule of its own in [`super::rules`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    NodeCpu,
    NodeMemory,
    NodeDisk,
    NodeIo,
    NodeNetwork,
    ContainerCpu,
    ContainerMemory,
    ContainerThrottled,
    ContainerRestarts,
    HttpErrors,
    HttpLatency,
    HttpRate,
    MysqlConnections,
    MysqlSlow,
    PostgresLag,
    RedisMemory,
    QueueReady,
    QueueUnacked,
    QueueConsumers,
    KafkaLag,
    /// A target that does not answer.
    Down,
}

/// What comes back by the clock, and is ordinary.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Routine {
    /// Backups, at one time of the night.
    Nightly,
    /// A cron job: every hour, or every few.
    Hourly,
    /// On working days, in office hours, at no fixed time.
    Deploys,
    /// One night a week.
    Weekly,
}

/// A routine that a signal may have: the chance that it has, how high it drives, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    pub routine: Routine,
    pub chance: f64,
    pub height: (f64, f64),
    pub minutes: (f64, f64),
}

#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub kind: Kind,
    pub life: Life,
    /// What cannot be exceeded: all processors, all memory.
    pub cap: f64,
    /// The level of most, and of those that live close to the literal.
    pub quiet: (f64, f64),
    pub close: (f64, f64),
    pub close_chance: f64,
    pub depth: (f64, f64),
    pub slow: (f64, f64),
    pub fast: (f64, f64),
    /// Short bursts a day, their heights, and the median of their minutes.
    pub bursts: (f64, f64),
    pub burst_height: (f64, f64),
    pub burst_minutes: (f64, f64),
    pub habits: &'static [Habit],
    /// True incidents in 28 days over the whole fleet, how high, how long, in which outlines.
    pub incidents: usize,
    pub height: (f64, f64),
    pub minutes: (f64, f64),
    pub outlines: &'static [Outline],
    /// The share of incidents that stay under the literal, on signals that ordinarily are far under it.
    pub weak: f64,
}

const fn habit(routine: Routine, chance: f64, height: (f64, f64), minutes: (f64, f64)) -> Habit {
    Habit { routine, chance, height, minutes }
}

use Routine::{Deploys, Hourly, Nightly, Weekly};

const PLATEAUS: &[Outline] = &[
    Outline::Step,
    Outline::Step,
    Outline::Ramp { climb: 0.1 },
    Outline::Ramp { climb: 0.3 },
    Outline::Ramp { climb: 0.6 },
    Outline::Waves { minutes: 23.0 },
];
const LEAKS: &[Outline] = &[Outline::Leak, Outline::Ramp { climb: 0.5 }, Outline::Ramp { climb: 0.8 }];
const BACKLOGS: &[Outline] = &[Outline::Decay, Outline::Ramp { climb: 0.6 }, Outline::Leak, Outline::Step];

/// What most share; each kind says where it differs.
const LOAD: Spec = Spec {
    kind: Kind::NodeCpu,
    life: Life::Load,
    cap: 1.25,
    quiet: (0.1, 0.5),
    close: (0.65, 0.88),
    close_chance: 0.12,
    depth: (0.2, 0.7),
    slow: (0.04, 0.18),
    fast: (0.02, 0.08),
    bursts: (0.5, 10.0),
    burst_height: (0.7, 1.25),
    burst_minutes: (1.5, 4.0),
    habits: &[],
    incidents: 6,
    height: (1.05, 1.24),
    minutes: (12.0, 300.0),
    outlines: PLATEAUS,
    weak: 0.3,
};
const FLOOR: Spec = Spec { life: Life::Floor, depth: (0.0, 0.5), slow: (0.1, 0.4), fast: (0.1, 0.4), ..LOAD };
const FILLS: Spec = Spec {
    life: Life::Saw { minutes: (400.0, 3000.0) },
    depth: (0.08, 0.3),
    slow: (0.005, 0.02),
    fast: (0.001, 0.006),
    bursts: (0.05, 0.8),
    outlines: LEAKS,
    ..LOAD
};

pub const SPECS: [Spec; 21] = [
    Spec {
        habits: &[
            habit(Nightly, 0.4, (0.6, 1.08), (15.0, 50.0)),
            habit(Hourly, 0.10, (0.6, 1.1), (2.0, 5.0)),
            habit(Weekly, 0.2, (0.8, 1.1), (60.0, 200.0)),
        ],
        incidents: 9,
        ..LOAD
    },
    Spec {
        kind: Kind::NodeMemory,
        cap: 1.1,
        quiet: (0.4, 0.85),
        close: (0.95, 1.01),
        burst_height: (0.95, 1.03),
        incidents: 5,
        height: (1.04, 1.095),
        minutes: (50.0, 360.0),
        ..FILLS
    },
    Spec {
        kind: Kind::NodeDisk,
        life: Life::Saw { minutes: (1000.0, 8000.0) },
        cap: 1.105,
        quiet: (0.3, 0.85),
        close: (0.97, 1.015),
        depth: (0.02, 0.1),
        slow: (0.001, 0.003),
        fast: (0.0, 0.0001),
        bursts: (0.02, 0.2),
        burst_height: (0.95, 1.03),
        habits: &[habit(Nightly, 0.2, (0.95, 1.04), (20.0, 60.0))],
        incidents: 6,
        height: (1.045, 1.1),
        minutes: (90.0, 360.0),
        ..FILLS
    },
    Spec {
        kind: Kind::NodeIo,
        cap: 2.0,
        quiet: (0.05, 0.4),
        bursts: (1.0, 12.0),
        burst_height: (0.8, 1.9),
        habits: &[
            habit(Nightly, 0.6, (0.9, 1.5), (20.0, 70.0)),
            habit(Weekly, 0.3, (0.9, 1.5), (60.0, 240.0)),
            habit(Hourly, 0.07, (0.8, 1.6), (2.0, 6.0)),
        ],
        incidents: 7,
        height: (1.4, 1.98),
        ..LOAD
    },
    Spec {
        kind: Kind::NodeNetwork,
        cap: 1.19,
        quiet: (0.02, 0.35),
        close_chance: 0.1,
        bursts: (0.3, 4.0),
        burst_height: (0.6, 1.15),
        habits: &[habit(Nightly, 0.5, (0.75, 1.08), (15.0, 60.0)), habit(Weekly, 0.2, (0.8, 1.08), (60.0, 200.0))],
        height: (1.03, 1.18),
        ..LOAD
    },
    Spec {
        kind: Kind::ContainerCpu,
        cap: 4.0,
        quiet: (0.1, 0.6),
        close: (0.7, 0.95),
        bursts: (1.0, 12.0),
        burst_height: (0.8, 1.7),
        habits: &[habit(Deploys, 0.5, (0.9, 1.5), (2.0, 7.0)), habit(Hourly, 0.10, (0.8, 1.4), (2.0, 6.0))],
        incidents: 7,
        height: (1.3, 2.8),
        ..LOAD
    },
    Spec {
        kind: Kind::ContainerMemory,
        life: Life::Saw { minutes: (30.0, 700.0) },
        cap: 1.25,
        quiet: (0.4, 0.9),
        close: (0.95, 1.05),
        close_chance: 0.15,
        depth: (0.15, 0.5),
        slow: (0.01, 0.04),
        incidents: 7,
        height: (1.12, 1.245),
        minutes: (40.0, 360.0),
        ..FILLS
    },
    Spec {
        kind: Kind::ContainerThrottled,
        cap: 4.0,
        quiet: (0.02, 0.4),
        close: (0.5, 0.85),
        close_chance: 0.15,
        bursts: (1.0, 12.0),
        burst_height: (0.8, 2.6),
        habits: &[habit(Hourly, 0.15, (0.8, 2.0), (2.0, 6.0)), habit(Deploys, 0.3, (0.8, 2.4), (2.0, 7.0))],
        incidents: 5,
        height: (1.5, 3.7),
        ..FLOOR
    },
    Spec {
        kind: Kind::ContainerRestarts,
        cap: 6.0,
        quiet: (0.0001, 0.001),
        close: (0.002, 0.01),
        bursts: (0.01, 0.15),
        burst_height: (0.5, 1.8),
        burst_minutes: (3.0, 6.0),
        habits: &[habit(Deploys, 0.4, (0.8, 2.0), (3.0, 7.0))],
        incidents: 6,
        height: (2.0, 4.5),
        minutes: (20.0, 240.0),
        outlines: &[Outline::Step, Outline::Waves { minutes: 30.0 }],
        weak: 0.0,
        ..FLOOR
    },
    Spec {
        kind: Kind::HttpErrors,
        cap: 20.0,
        quiet: (0.01, 0.2),
        close: (0.35, 0.65),
        bursts: (1.0, 14.0),
        burst_height: (0.8, 5.0),
        habits: &[habit(Deploys, 0.6, (0.8, 5.0), (3.0, 8.0)), habit(Nightly, 0.2, (0.8, 2.0), (10.0, 40.0))],
        incidents: 8,
        height: (1.7, 14.0),
        ..FLOOR
    },
    Spec {
        kind: Kind::HttpLatency,
        cap: 9.5,
        quiet: (0.1, 0.5),
        close: (0.6, 0.9),
        close_chance: 0.2,
        bursts: (1.0, 14.0),
        burst_height: (0.8, 3.0),
        habits: &[
            habit(Deploys, 0.5, (0.8, 3.0), (3.0, 8.0)),
            habit(Hourly, 0.12, (0.8, 2.0), (2.0, 5.0)),
            habit(Nightly, 0.3, (0.8, 1.6), (15.0, 60.0)),
        ],
        incidents: 8,
        height: (1.6, 7.0),
        ..LOAD
    },
    Spec {
        kind: Kind::HttpRate,
        cap: 6.0,
        quiet: (0.05, 0.5),
        depth: (0.5, 0.8),
        bursts: (0.5, 8.0),
        burst_height: (0.8, 1.7),
        habits: &[habit(Weekly, 0.3, (0.8, 1.4), (30.0, 120.0)), habit(Hourly, 0.07, (0.8, 1.5), (2.0, 4.0))],
        incidents: 5,
        height: (1.5, 4.5),
        ..LOAD
    },
    Spec {
        kind: Kind::MysqlConnections,
        quiet: (0.2, 0.6),
        close: (0.75, 0.95),
        bursts: (0.5, 8.0),
        burst_height: (0.8, 1.2),
        habits: &[habit(Nightly, 0.3, (0.8, 1.1), (15.0, 60.0)), habit(Hourly, 0.15, (0.8, 1.2), (2.0, 6.0))],
        height: (1.12, 1.25),
        ..LOAD
    },
    Spec {
        kind: Kind::MysqlSlow,
        cap: 60.0,
        quiet: (0.0001, 0.0008),
        close: (0.001, 0.002),
        bursts: (0.01, 0.1),
        burst_height: (1.0, 6.0),
        burst_minutes: (2.0, 4.0),
        incidents: 4,
        height: (5.0, 50.0),
        outlines: &[Outline::Step, Outline::Ramp { climb: 0.1 }],
        weak: 0.0,
        ..FLOOR
    },
    Spec {
        kind: Kind::PostgresLag,
        cap: 300.0,
        quiet: (0.005, 0.1),
        close: (0.2, 0.45),
        bursts: (1.0, 10.0),
        burst_height: (0.7, 4.0),
        habits: &[habit(Nightly, 0.5, (1.0, 5.0), (10.0, 45.0)), habit(Weekly, 0.2, (1.0, 5.0), (40.0, 160.0))],
        height: (3.0, 60.0),
        outlines: BACKLOGS,
        ..FLOOR
    },
    Spec {
        kind: Kind::RedisMemory,
        life: Life::Saw { minutes: (60.0, 900.0) },
        cap: 1.11,
        quiet: (0.3, 0.85),
        close: (0.97, 1.02),
        close_chance: 0.3,
        depth: (0.05, 0.2),
        burst_height: (0.95, 1.04),
        incidents: 4,
        height: (1.05, 1.105),
        minutes: (40.0, 300.0),
        ..FILLS
    },
    Spec {
        kind: Kind::QueueReady,
        cap: 1000.0,
        quiet: (0.005, 0.3),
        close: (0.4, 0.8),
        bursts: (1.0, 12.0),
        burst_height: (0.9, 4.0),
        habits: &[habit(Nightly, 0.5, (1.0, 6.0), (20.0, 60.0)), habit(Hourly, 0.10, (0.8, 3.0), (2.0, 6.0))],
        incidents: 7,
        height: (5.0, 80.0),
        outlines: BACKLOGS,
        ..FLOOR
    },
    Spec {
        kind: Kind::QueueUnacked,
        cap: 1000.0,
        quiet: (0.005, 0.3),
        close: (0.4, 0.7),
        bursts: (0.5, 6.0),
        burst_height: (0.8, 3.0),
        habits: &[habit(Deploys, 0.3, (0.8, 3.0), (3.0, 8.0))],
        incidents: 5,
        height: (2.5, 30.0),
        outlines: BACKLOGS,
        ..FLOOR
    },
    Spec {
        kind: Kind::QueueConsumers,
        cap: 1.0,
        quiet: (0.0, 0.0),
        close: (0.0, 0.0),
        bursts: (0.0, 0.03),
        burst_height: (1.0, 1.0),
        burst_minutes: (1.0, 2.0),
        incidents: 4,
        height: (1.0, 1.0),
        outlines: &[Outline::Step],
        weak: 0.0,
        ..FLOOR
    },
    Spec {
        kind: Kind::KafkaLag,
        cap: 1e5,
        quiet: (0.05, 0.4),
        close: (0.4, 3.0),
        close_chance: 0.2,
        bursts: (1.0, 14.0),
        burst_height: (0.8, 30.0),
        habits: &[habit(Nightly, 0.5, (10.0, 60.0), (15.0, 60.0)), habit(Hourly, 0.15, (3.0, 30.0), (2.0, 6.0))],
        height: (80.0, 900.0),
        outlines: BACKLOGS,
        weak: 0.0,
        ..FLOOR
    },
    Spec {
        kind: Kind::Down,
        cap: 1.0,
        quiet: (0.0, 0.0),
        close: (0.0, 0.0),
        bursts: (0.0, 0.02),
        burst_height: (1.0, 1.0),
        burst_minutes: (1.0, 1.5),
        incidents: 4,
        height: (1.0, 1.0),
        minutes: (10.0, 2.0 * HOUR as f64),
        outlines: &[Outline::Step],
        weak: 0.0,
        ..FLOOR
    },
];
