//! The client against a server that misbehaves in each way that one does. Time passes when the client sleeps, and at once.

use super::budget::QueryBudget;
use super::clock::{Clock, TestClock};
use super::endpoint::Endpoint;
use super::fake::{Fake, Reply, Request, count, error, json, matrix, reply, wave};
use super::progress::{Advance, Progress, Silent};
use super::range::RangeQuery;
use super::{Client, QueryError};
use homeostat::replay::Labels;
use homeostat::time::{Span, Timestamp};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod misbehaving;
mod ranges;

/// A week after the epoch and later: no time is negative.
const START: Timestamp = Timestamp::from_secs(600_000);

fn asking(steps: i64) -> RangeQuery {
    let end = Timestamp::from_secs(600_000 + (steps - 1) * 60);
    RangeQuery { expr: "m > 0".to_owned(), start: START, end, step: Span::minutes(1) }
}

/// Long after all of it.
const NOW: Timestamp = Timestamp::from_secs(100_000_000);

fn labels(series: &str) -> Labels {
    Labels::new([("__name__", "m"), ("s", series)])
}

/// The same cases in each run.
pub fn settings() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..proptest::test_runner::Config::default()
    }
}
