//! A self-tuning MAPE-K engine: it learns thresholds from metrics, judges every sample, and tunes its own loop.

pub mod analyze;
pub mod budget;
pub mod calendar;
pub mod config;
pub mod doctor;
pub mod engine;
pub mod event;
pub mod execute;
pub mod feedback;
pub mod knowledge;
pub mod monitor;
pub mod plan;
pub mod replay;
pub mod rollout;
pub mod series;
mod shaped;
pub mod shared_text;
mod side_by_side;
pub mod stats;
pub mod threshold;
pub mod time;
pub mod units;
pub mod varint;
pub mod versus;

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
