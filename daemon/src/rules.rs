//! Alert rules that people already have: read from files and live servers, understood, and changed in place.
//!
//! `file` and `live` read, `compare` finds what could be tuned and `judge` what is better left alone, `formula` takes an
//! expression apart for replay, `spell`, `mention`, `place` and `change` write back.

pub mod change;
pub mod compare;
pub mod expr;
pub mod file;
pub mod formula;
pub mod judge;
pub mod live;
pub mod mention;
pub mod place;
pub mod reason;
mod scalar;
pub mod spell;
#[cfg(test)]
mod tests;
pub mod tiers;
mod yaml;
