//! Whether a loop's adjustments help: what came after those that happened, against those withheld by chance.
use crate::feedback::Target;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One adjustment whose effect is awaited: it happened, or was withheld by chance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// The change's id, or the withheld adjustment's.
    pub id: u64,
    pub target: Target,
    /// The aim when it was decided, in its own unit; lower is better.
    pub before: f64,
    pub due: Timestamp,
    pub withheld: bool,
}

/// A trial whose aim was measured again when it was due.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub before: f64,
    /// before − after: positive is better.
    pub improvement: f64,
    pub withheld: bool,
}
