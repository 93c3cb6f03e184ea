//! The samples of a window one after the other, from both ends, a block at a time.

use super::Window;
use crate::time::Timestamp;

/// Samples in order of time, from both ends.
pub struct Iter<'a> {
    window: &'a Window,
    front: Piece,
    back: Piece,
    /// The piece after that in front, and the one that is behind the back, counted from the oldest block; the tail is the last.
    next: usize,
    behind: usize,
    left: usize,
}

/// The samples of one block, or of the tail.
#[derive(Default)]
struct Piece {
    at: Vec<i64>,
    values: Vec<f64>,
    /// Which of them are still to come.
    from: usize,
    to: usize,
}

impl Piece {
    fn read(&mut self, window: &Window, place: usize) {
        self.at.clear();
        self.values.clear();
        match window.blocks.get(place) {
            Some(block) => block.read(&mut self.at, &mut self.values),
            None => {
                self.at.extend(window.tail.iter().map(|(at, _)| *at));
                self.values.extend(window.tail.iter().map(|(_, value)| *value));
            }
        }
        (self.from, self.to) = (if place == 0 { usize::from(window.fallen) } else { 0 }, self.at.len());
    }

    fn get(&self, place: usize) -> (Timestamp, f64) {
        (Timestamp::from_millis(self.at[place]), self.values[place])
    }
}

impl<'a> Iter<'a> {
    /// The last `count`; there are as many.
    pub(super) fn new(window: &'a Window, count: usize) -> Iter<'a> {
        let (front, back) = (Piece::default(), Piece::default());
        let mut iter = Iter { window, front, back, next: 0, behind: 0, left: count };
        iter.begin(window.len() - count);
        iter
    }

    /// Skips so many of the oldest.
    fn begin(&mut self, mut skip: usize) {
        let blocks = &self.window.blocks;
        self.behind = blocks.len() + 1;
        let mut fallen = usize::from(self.window.fallen);
        while let Some(block) = blocks.get(self.next) {
            let len = block.len() - fallen;
            if len > skip {
                break;
            }
            (skip, fallen) = (skip - len, 0);
            self.next += 1;
        }
        if skip > 0 {
            self.front.read(self.window, self.next);
            self.front.from += skip;
            self.next += 1;
        }
    }
}

impl Iterator for Iter<'_> {
    type Item = (Timestamp, f64);

    #[inline]
    fn next(&mut self) -> Option<(Timestamp, f64)> {
        if self.left == 0 {
            return None;
        }
        while self.front.from == self.front.to {
            if self.next >= self.behind {
                // What is left was read from the other end.
                std::mem::swap(&mut self.front, &mut self.back);
                if self.front.from == self.front.to {
                    return None;
                }
                break;
            }
            self.front.read(self.window, self.next);
            self.next += 1;
        }
        self.left -= 1;
        self.front.from += 1;
        Some(self.front.get(self.front.from - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<(Timestamp, f64)> {
        if self.left == 0 {
            return None;
        }
        while self.back.from == self.back.to {
            if self.behind <= self.next {
                std::mem::swap(&mut self.front, &mut self.back);
                if self.back.from == self.back.to {
                    return None;
                }
                break;
            }
            self.behind -= 1;
            self.back.read(self.window, self.behind);
        }
        self.left -= 1;
        self.back.to -= 1;
        Some(self.back.get(self.back.to))
    }
}

impl ExactSizeIterator for Iter<'_> {}
