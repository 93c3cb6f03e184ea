//! K: all memory. Two doors: samples by `record`, everything else by `apply(event)`.
pub mod history;
pub mod window;

/// Where a series is held. Only the engine that gave it out can read it; it is not stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesId {
    pub(crate) shard: u16,
    pub(crate) generation: u16,
    pub(crate) slot: u32,
}

/// All memory of the engine.
#[derive(Debug)]
pub struct Knowledge {}
