//! A month of a fleet under the alert rules that people publish: what the rule doctor is tried on.
//!
//! Nodes, containers, services, databases and queues, measured once a minute for four weeks, with daily and weekly loads,
//! levels of their own, noise that has a memory, counters that start anew and scrapes that are missing. More than a hundred
//! true incidents are known by start, end and labels; bursts, backups, deploys and cron jobs, which are none, make the rules
//! page hundreds of times a week. All of it from a seed. Nothing here knows how a literal is learned.

pub mod fleet;
pub mod kinds;
pub mod leaf;
pub mod month;
pub mod openmetrics;
pub mod rules;
pub mod shape;
pub mod trial;

use fleet::{Raw, Size};
use homeostat::replay::Labels;
use homeostat::time::Timestamp;
use kinds::Kind;

/// Monday, 2 March 2026, midnight UTC.
pub const START: Timestamp = Timestamp::from_secs(1_772_409_600);
/// Four weeks.
pub const MINUTES: usize = 4 * shape::WEEK;

/// A true incident: a page with its labels, around its time, is a true page.
#[derive(Clone, PartialEq, Debug)]
pub struct Incident {
    pub kind: Kind,
    pub labels: Labels,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// What was scraped, and what was truly wrong.
pub struct Estate {
    pub raws: Vec<Raw>,
    /// In the order of their start.
    pub incidents: Vec<Incident>,
}

impl Estate {
    pub fn new(seed: u64, size: &Size) -> Estate {
        let (signals, troubles) = month::signals(seed, MINUTES, |kind| size.owners(kind));
        let at = |minute: usize| Timestamp::from_millis(START.millis() + minute as i64 * 60_000);
        let incident = |trouble: &month::Trouble| Incident {
            kind: trouble.kind,
            labels: fleet::whose(trouble.kind, trouble.owner),
            start: at(trouble.start),
            end: at(trouble.start + trouble.minutes),
        };
        Estate { raws: fleet::raws(seed, MINUTES, size, &signals), incidents: troubles.iter().map(incident).collect() }
    }

    /// The raw series, ready to be asked for what the rules look at.
    pub fn history(&self) -> leaf::History<'_> {
        leaf::History::new(&self.raws, START)
    }
}
