//! What was counted since the last time, summed up to what was counted altogether: as the engine, like Prometheus, reads counters.
//!
//! A request may be sent again when its answer was lost: what a point covers is added once. What a request adds is noted first and
//! counts when it was taken; otherwise the next try would be left out.

use homeostat::time::{Span, Timestamp};
use std::collections::HashMap;

/// A series without a point for so long gives way to a new one when all places are taken.
const IDLE: Span = Span::hours(1);

/// So much before all places are taken is looked for idle ones again.
const LOOK_EVERY: Span = Span::minutes(1);

/// The sums of all series that are sent as differences.
#[derive(Debug)]
pub struct Deltas {
    max: usize,
    sums: HashMap<u64, Sum>,
    /// What the request at hand came to.
    noted: HashMap<u64, Sum>,
    looked: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Sum {
    value: f64,
    /// Up to when everything is in it.
    up_to: Timestamp,
    /// When a point of it came.
    came: Timestamp,
}

/// Why a difference is not added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAdded {
    /// Everything up to its time is in the sum already.
    Before,
    /// So many series are summed up, and all are alive.
    NoRoom(usize),
}

impl Deltas {
    pub fn new(max: usize) -> Deltas {
        Deltas { max, sums: HashMap::new(), noted: HashMap::new(), looked: None }
    }

    /// Forgets what was noted for a request that was not taken.
    pub fn begin(&mut self) {
        self.noted.clear();
    }

    /// The sum with a difference that reaches up to `at`. It counts once the request is [`Deltas::done`].
    pub fn add(&mut self, series: u64, at: Timestamp, delta: f64, now: Timestamp) -> Result<f64, NotAdded> {
        let before = self.noted.get(&series).or_else(|| self.sums.get(&series)).copied();
        let sum = match before {
            Some(before) if at <= before.up_to => return Err(NotAdded::Before),
            Some(before) => Sum { value: before.value + delta, up_to: at, came: now },
            None => {
                self.make_room(now)?;
                Sum { value: delta, up_to: at, came: now }
            }
        };
        self.noted.insert(series, sum);
        Ok(sum.value)
    }

    /// The request was taken.
    pub fn done(&mut self) {
        self.sums.extend(self.noted.drain());
    }

    fn make_room(&mut self, now: Timestamp) -> Result<(), NotAdded> {
        if self.sums.len() + self.noted.len() < self.max {
            return Ok(());
        }
        if self.looked.is_none_or(|at| now.since(at) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.sums.retain(|_, sum| now.since(sum.came) < IDLE);
        }
        match self.sums.len() + self.noted.len() < self.max {
            true => Ok(()),
            false => Err(NotAdded::NoRoom(self.max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    #[test]
    fn differences_are_summed_up_once_each() {
        let mut deltas = Deltas::new(10);
        deltas.begin();
        assert_eq!(deltas.add(1, at(10), 5.0, at(10)), Ok(5.0));
        assert_eq!(deltas.add(1, at(20), 2.0, at(10)), Ok(7.0), "two in one request");
        deltas.done();
        // The answer was lost, and it comes again.
        deltas.begin();
        assert_eq!(deltas.add(1, at(10), 5.0, at(11)), Err(NotAdded::Before));
        assert_eq!(deltas.add(1, at(20), 2.0, at(11)), Err(NotAdded::Before));
        deltas.done();
        // A request that was not taken leaves nothing behind.
        deltas.begin();
        assert_eq!(deltas.add(1, at(30), 100.0, at(30)), Ok(107.0));
        deltas.begin();
        assert_eq!(deltas.add(1, at(30), 3.0, at(31)), Ok(10.0));
        deltas.done();
        assert_eq!(deltas.add(1, at(40), 0.0, at(40)), Ok(10.0));
    }

    #[test]
    fn sums_are_bounded_and_idle_ones_give_way() {
        let mut deltas = Deltas::new(3);
        for series in 0..3 {
            assert_eq!(deltas.add(series, at(0), 1.0, at(0)), Ok(1.0));
        }
        assert_eq!(deltas.add(9, at(0), 1.0, at(0)), Err(NotAdded::NoRoom(3)));
        deltas.done();
        deltas.begin();
        assert_eq!(deltas.add(1, at(3000), 1.0, at(3000)), Ok(2.0));
        deltas.done();
        assert_eq!(deltas.add(9, at(3000), 1.0, at(3000)), Err(NotAdded::NoRoom(3)));
        assert_eq!(deltas.add(9, at(3700), 1.0, at(3700)), Ok(1.0), "two were idle for an hour");
        deltas.done();
        assert_eq!(deltas.add(1, at(3800), 1.0, at(3800)), Ok(3.0), "one was not");
        assert!(deltas.sums.len() <= 3);
    }
}
