//! The world in a bottle: plants, workloads, scenarios and a judge, for an engine that has no clock of its own.

pub mod chance;
pub mod judge;
pub mod plant;
pub mod random;
pub mod scenario;
pub mod workload;
pub mod world;
