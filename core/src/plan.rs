//! P: from an analysis to a plan in which nothing is left to decide.
pub mod state;
