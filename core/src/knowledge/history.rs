//! The last so many of something, oldest first; what falls out is counted.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct History<T> {
    kept: VecDeque<T>,
    len_max: usize,
    /// How many ever came, those that fell out included.
    total: u64,
}

impl<T> History<T> {
    /// Keeps the last `len_max`, which must not be 0.
    pub fn new(len_max: usize) -> History<T> {
        assert!(len_max > 0, "a history keeps at least one");
        History { kept: VecDeque::new(), len_max, total: 0 }
    }

    pub fn push(&mut self, item: T) {
        if self.kept.len() == self.len_max {
            self.kept.pop_front();
        }
        self.kept.push_back(item);
        self.total += 1;
    }

    /// Keeps the last `len_max` from now on; the oldest beyond it fall out at once.
    pub fn resize(&mut self, len_max: usize) {
        assert!(len_max > 0, "a history keeps at least one");
        self.len_max = len_max;
        let over = self.kept.len().saturating_sub(len_max);
        self.kept.drain(..over);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.kept.iter()
    }

    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.kept.iter_mut()
    }

    pub fn last(&self) -> Option<&T> {
        self.kept.back()
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_falls_out_and_is_still_counted() {
        let mut history = History::new(3);
        (1..=5).for_each(|n| history.push(n));
        assert_eq!(history.iter().copied().collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!((history.len(), history.total(), history.last()), (3, 5, Some(&5)));
        history.resize(1);
        assert_eq!(history.iter().copied().collect::<Vec<_>>(), [5]);
    }
}
