//! The last samples of one series, in order of time: bounded by count and by age.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Window {
    at: VecDeque<i64>,
    values: VecDeque<f64>,
}

impl Window {
    pub fn len(&self) -> usize {
        self.at.len()
    }

    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub fn newest(&self) -> Option<(Timestamp, f64)> {
        Some((Timestamp::from_millis(*self.at.back()?), *self.values.back()?))
    }

    pub fn oldest(&self) -> Option<(Timestamp, f64)> {
        Some((Timestamp::from_millis(*self.at.front()?), *self.values.front()?))
    }

    /// From the oldest sample to the newest.
    pub fn span(&self) -> Span {
        match (self.oldest(), self.newest()) {
            (Some((oldest, _)), Some((newest, _))) => newest.since(oldest),
            _ => Span::ZERO,
        }
    }

    /// Appends a sample newer than the newest, and lets go of what is over `len_max`, then of what is older than
    /// `age_max` as long as `len_min` remain.
    pub(crate) fn push(&mut self, at: Timestamp, value: f64, len_max: usize, age_max: Span, len_min: usize) {
        debug_assert!(self.newest().is_none_or(|(newest, _)| at > newest), "a window is in order of time");
        if self.at.len() >= len_max {
            let over = self.at.len() + 1 - len_max;
            self.at.drain(..over);
            self.values.drain(..over);
        }
        // Growing by a quarter, not by doubling: with many windows the spare half would be most of the memory.
        if self.at.len() == self.at.capacity() {
            let more = (self.at.len() / 4).clamp(64, len_max.max(64));
            self.at.reserve_exact(more);
            self.values.reserve_exact(more);
        }
        self.at.push_back(at.millis());
        self.values.push_back(value);
        let oldest_allowed = (at - age_max).millis();
        while self.at.len() > len_min && self.at.front().is_some_and(|at| *at < oldest_allowed) {
            self.at.pop_front();
            self.values.pop_front();
        }
    }

    /// Puts samples before the oldest; `older` is in order of time and all older than what is held. Returns how many fit.
    pub(crate) fn push_front(&mut self, older: &[(Timestamp, f64)], len_max: usize) -> usize {
        let room = len_max.saturating_sub(self.len()).min(older.len());
        for (at, value) in older.iter().rev().take(room) {
            self.at.push_front(at.millis());
            self.values.push_front(*value);
        }
        room
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> + ExactSizeIterator + '_ {
        self.at.iter().zip(&self.values).map(|(at, value)| (Timestamp::from_millis(*at), *value))
    }

    /// The last `count`, oldest first; fewer when there are fewer.
    pub fn last(&self, count: usize) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> + ExactSizeIterator + '_ {
        let skip = self.len().saturating_sub(count);
        self.at.range(skip..).zip(self.values.range(skip..)).map(|(at, value)| (Timestamp::from_millis(*at), *value))
    }

    /// Copies times (milliseconds) and values into `at` and `values`, which are emptied first.
    pub fn copy_into(&self, at: &mut Vec<i64>, values: &mut Vec<f64>) {
        at.clear();
        values.clear();
        let (front, back) = self.at.as_slices();
        at.extend_from_slice(front);
        at.extend_from_slice(back);
        let (front, back) = self.values.as_slices();
        values.extend_from_slice(front);
        values.extend_from_slice(back);
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        8 * (self.at.capacity() + self.values.capacity())
    }
}

/// Times as differences (variable length), values as they are: about ten bytes a sample.
impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(8 + self.len() * 11);
        let mut before = 0_i64;
        for at in &self.at {
            let mut rest = at.wrapping_sub(before) as u64;
            before = *at;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        let times = bytes.len() as u64;
        for value in &self.values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        (times, serde_bytes::Bytes::new(&bytes)).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Window, D::Error> {
        let error = || serde::de::Error::custom("a stored window is damaged");
        let (times, bytes): (u64, serde_bytes::ByteBuf) = Deserialize::deserialize(from)?;
        let split = usize::try_from(times).ok().filter(|split| *split <= bytes.len()).ok_or_else(error)?;
        let (times, values) = bytes.split_at(split);
        let mut window = Window::default();
        let (mut before, mut delta, mut shift) = (0_i64, 0_u64, 0_u32);
        for byte in times {
            if shift > 63 {
                return Err(error());
            }
            delta |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                before = before.wrapping_add(delta as i64);
                window.at.push_back(before);
                (delta, shift) = (0, 0);
            }
        }
        if values.len() != window.at.len() * 8 {
            return Err(error());
        }
        window
            .values
            .extend(values.chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().expect("chunks of eight"))));
        let in_order = window.at.iter().zip(window.at.iter().skip(1)).all(|(a, b)| a < b);
        if in_order && window.values.iter().all(|value| value.is_finite()) { Ok(window) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: i64) -> Window {
        let mut window = Window::default();
        for n in 0..count {
            window.push(Timestamp::from_secs(n * 60), n as f64 * 0.1 - 3.0, 1000, Span::hours(24), 10);
        }
        window
    }

    #[test]
    fn the_oldest_falls_out_by_count_and_by_age_but_never_under_the_minimum() {
        let mut window = filled(1500);
        assert_eq!(window.len(), 1000);
        assert_eq!(window.oldest().map(|(at, _)| at), Some(Timestamp::from_secs(500 * 60)));
        window.push(Timestamp::from_secs(10_000_000), 1.0, 1000, Span::hours(1), 10);
        assert_eq!(window.len(), 10, "age alone leaves the minimum");
    }

    #[test]
    fn a_stored_window_comes_back_the_same_and_damage_is_noticed() {
        let window = filled(300);
        let mut bytes = rmp_serde::to_vec_named(&window).expect("encodes");
        assert!(bytes.len() < 300 * 12);
        assert_eq!(rmp_serde::from_slice::<Window>(&bytes).expect("decodes"), window);
        let middle = bytes.len() / 2;
        bytes.truncate(middle);
        assert!(rmp_serde::from_slice::<Window>(&bytes).is_err());
    }

    #[test]
    fn older_samples_go_in_front_as_far_as_there_is_room() {
        let mut window = filled(998);
        let older: Vec<_> = (-5..0).map(|n| (Timestamp::from_secs(n * 60), n as f64)).collect();
        assert_eq!(window.push_front(&older, 1000), 2);
        assert_eq!(window.oldest(), Some((Timestamp::from_secs(-120), -2.0)));
        assert_eq!(
            window.last(2).map(|(_, v)| v).collect::<Vec<_>>(),
            window.iter().map(|(_, v)| v).skip(998).collect::<Vec<_>>()
        );
    }
}
