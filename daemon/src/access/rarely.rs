//! What somebody outside can bring about as often as they like is told some times a minute, and then counted.

use homeostat::time::{Span, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;

const MINUTE: Span = Span::minutes(1);

/// Those that are told apart; who comes when there is no room is not told.
const KEYS_MAX: usize = 1024;

/// Tells each so many times a minute.
#[derive(Debug)]
pub struct Rarely<K> {
    most: u32,
    of: HashMap<K, Told>,
}

#[derive(Debug)]
struct Told {
    since: Timestamp,
    told: u32,
    /// Not told since one was.
    kept_back: u64,
}

/// Each once a minute.
impl<K: Hash + Eq> Default for Rarely<K> {
    fn default() -> Rarely<K> {
        Rarely::new(1)
    }
}

impl<K: Hash + Eq> Rarely<K> {
    pub fn new(most: u32) -> Rarely<K> {
        Rarely { most, of: HashMap::new() }
    }

    /// Whether this one is told, and how many were not since the last one that was.
    pub fn tell(&mut self, key: K, now: Timestamp) -> Option<u64> {
        if self.of.len() >= KEYS_MAX && !self.of.contains_key(&key) {
            self.of.retain(|_, told| now.since(told.since) < MINUTE);
            if self.of.len() >= KEYS_MAX {
                return None;
            }
        }
        let told = self.of.entry(key).or_insert(Told { since: now, told: 0, kept_back: 0 });
        if now.since(told.since) >= MINUTE {
            (told.since, told.told) = (now, 0);
        }
        if told.told == self.most {
            told.kept_back += 1;
            return None;
        }
        told.told += 1;
        Some(std::mem::take(&mut told.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_some_times_a_minute_and_the_rest_is_counted() {
        let mut rarely = Rarely::new(2);
        let at = |secs: i64| Timestamp::from_secs(1_700_000_000 + secs);
        let told: Vec<Option<u64>> = (0..5).map(|n| rarely.tell("a", at(n))).collect();
        assert_eq!(told, [Some(0), Some(0), None, None, None]);
        assert_eq!(rarely.tell("b", at(5)), Some(0), "others are none of its business");
        assert_eq!(rarely.tell("a", at(59)), None);
        assert_eq!(rarely.tell("a", at(60)), Some(4));
        assert_eq!(rarely.tell("a", at(61)), Some(0));
    }

    #[test]
    fn however_many_there_are_memory_is_bounded_and_comes_back() {
        let mut rarely = Rarely::new(1);
        let at = |secs: i64| Timestamp::from_secs(1_700_000_000 + secs);
        let told = (0..5000).filter(|n| rarely.tell(*n, at(0)).is_some()).count();
        assert_eq!((told, rarely.of.len()), (KEYS_MAX, KEYS_MAX));
        assert_eq!(rarely.tell(9999, at(60)), Some(0));
        assert_eq!(rarely.of.len(), 1);
    }
}
