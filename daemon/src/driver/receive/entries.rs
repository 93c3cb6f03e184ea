//! Series by the hash of their labels as they are sent.
//!
//! Whoever sends series sends them in the same order again, so the one that follows is mostly the one that followed before: then nothing
//! is looked up, and what is read lies side by side.

use super::Member;
use homeostat::knowledge::SeriesId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A series as it is sent.
#[derive(Clone, Copy)]
pub struct Entry {
    pub hash: u64,
    /// None while only replicas send it that another one stands for.
    pub id: Option<SeriesId>,
    pub member: Option<Member>,
    /// Who brought it.
    pub sender: u32,
}

#[derive(Default)]
pub struct Entries {
    /// In the order in which they came first.
    all: Vec<Entry>,
    at: HashMap<u64, u32, BuildHasherDefault<Seeded>>,
    /// Where the one stands that is looked for next, if all is as it was.
    next: usize,
}

/// Keys are hashes already, with a seed that nobody outside knows.
#[derive(Default)]
struct Seeded(u64);

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

impl Entries {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    #[inline]
    pub fn find(&mut self, hash: u64) -> Option<Entry> {
        let at = match self.all.get(self.next) {
            Some(entry) if entry.hash == hash => self.next,
            _ => *self.at.get(&hash)? as usize,
        };
        self.next = at + 1;
        self.all.get(at).copied()
    }

    /// Puts one in the place of the one with its hash, or behind all.
    pub fn put(&mut self, entry: Entry) {
        match self.at.get(&entry.hash) {
            Some(at) => self.all[*at as usize] = entry,
            None => {
                self.at.insert(entry.hash, self.all.len() as u32);
                self.all.push(entry);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.all.iter()
    }

    pub fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        self.all.retain(keep);
        self.at = self.all.iter().zip(0..).map(|(entry, at)| (entry.hash, at)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_in_any_order_until_it_is_let_go() {
        let mut entries = Entries::default();
        let entry = |hash: u64| Entry { hash, id: None, member: None, sender: hash as u32 };
        (0..100).for_each(|hash| entries.put(entry(hash * 7)));
        entries.put(Entry { sender: 1_000, ..entry(21) });
        assert_eq!(entries.len(), 100);
        for order in
            [(0..100).collect::<Vec<u64>>(), (0..100).rev().collect(), (0..100).map(|n| n * 37 % 100).collect()]
        {
            for n in order {
                let wanted = if n == 3 { 1_000 } else { n as u32 * 7 };
                assert_eq!(entries.find(n * 7).map(|entry| entry.sender), Some(wanted));
                assert!(entries.find(n * 7 + 1).is_none());
            }
        }
        entries.retain(|entry| entry.hash.is_multiple_of(2));
        assert_eq!(entries.len(), 50);
        assert!(entries.find(7).is_none() && entries.find(14).is_some());
    }
}
