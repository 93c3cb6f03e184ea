//! Series by the hash of their labels as they are sent.

use super::Member;
use crate::recurring::Recurring;
use homeostat::knowledge::SeriesId;
use std::hash::{BuildHasherDefault, Hasher};

/// A series as it is sent.
#[derive(Clone, Copy)]
pub struct Entry {
    /// None while only replicas send it that another one stands for.
    pub id: Option<SeriesId>,
    pub member: Option<Member>,
    /// Who brought it.
    pub sender: u32,
}

pub type Entries = Recurring<u64, Entry, BuildHasherDefault<Seeded>>;

/// Keys are hashes already, with a seed that nobody outside knows.
#[derive(Default)]
pub struct Seeded(u64);

impl Hasher for Seeded {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
