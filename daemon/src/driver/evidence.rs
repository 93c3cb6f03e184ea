//! What the driver measures beside the engine, as the loops hear it.

use homeostat::feedback::{LoopKind, Signal};
use homeostat::plan::state::EvidenceKind;
use homeostat::time::Timestamp;
use std::collections::BTreeMap;

/// A value of now that a loop is to hear of; the engine gives it its number.
pub(super) fn measured(of: LoopKind, kind: EvidenceKind, value: f64, now: Timestamp) -> Signal {
    Signal {
        id: 0,
        at: now,
        of,
        source: kind.as_str().into(),
        value,
        series: None,
        verdict: None,
        about: None,
        weight: None,
        metadata: BTreeMap::new(),
    }
}
