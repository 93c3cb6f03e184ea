//! What is remembered of the samples of one series, in order of time: bounded by count and by age.
//!
//! The newest are held as they came, the others in blocks behind them: packed, bit by bit what they were; or, where there is less
//! memory, one sketch for each hour, or one for all in which older ones count for less. Of a sketch samples are given that are
//! distributed as those it took in, so that whoever reads a window reads samples.

mod block;
mod packed;

use crate::stats::varint;
use crate::time::{Span, Timestamp};
use block::Block;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;

/// How much is remembered of a series, as `limits.memory_max` allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Every sample of its window.
    #[default]
    Exact,
    /// How the samples of each hour were distributed.
    Hourly,
    /// How all of them were, older ones for less.
    Faded,
    /// The same, and no detector: bounds alone say what is an alert.
    Bounds,
}

impl Tier {
    pub const ALL: [Tier; 4] = [Tier::Exact, Tier::Hourly, Tier::Faded, Tier::Bounds];

    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Exact => "exact",
            Tier::Hourly => "hourly",
            Tier::Faded => "faded",
            Tier::Bounds => "bounds",
        }
    }

    /// How many samples become a block at once; [`STAY`] others stay as they came.
    const fn at_once(self) -> usize {
        match self {
            Tier::Exact => packed::BLOCK,
            Tier::Hourly => 64,
            Tier::Faded | Tier::Bounds => 16,
        }
    }

    const fn tail_max(self) -> usize {
        STAY + self.at_once()
    }
}

/// By which part of its age a window with blocks may hold what is older: looking at the oldest with every sample would cost more than
/// the sample.
const LATE: u64 = 256;

/// So many of the newest are always as they came.
const STAY: usize = 16;

/// Room for so many samples is asked for at once.
const GROWTH: usize = 32;

#[derive(Clone, Debug, Default)]
pub struct Window {
    /// The newest, oldest first.
    tail: Vec<(i64, f64)>,
    /// Milliseconds: when the first sample came, or as far back as a window reaches.
    since: i64,
    blocks: VecDeque<Block>,
    /// Samples that the blocks give.
    in_blocks: u32,
    /// Of the first block, or of the tail where there is none, so many fell out.
    fallen: u16,
    tier: Tier,
}

/// Two windows are the same that hold the same samples, whatever in.
impl PartialEq for Window {
    fn eq(&self, other: &Window) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Window {
    pub fn len(&self) -> usize {
        self.in_blocks as usize + self.tail.len() - usize::from(self.fallen)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn tier(&self) -> Tier {
        self.tier
    }

    #[inline]
    pub fn newest(&self) -> Option<(Timestamp, f64)> {
        self.tail.last().map(|(at, value)| (Timestamp::from_millis(*at), *value))
    }

    pub fn oldest(&self) -> Option<(Timestamp, f64)> {
        let fallen = usize::from(self.fallen);
        let (at, value) = match self.blocks.front() {
            Some(block) => block.sample(fallen)?,
            None => *self.tail.get(fallen)?,
        };
        Some((Timestamp::from_millis(at), value))
    }

    /// Since when the series is seen, as far back as a window reaches: no look at far memory. None: it is empty.
    #[inline]
    pub(crate) fn since(&self) -> Option<Timestamp> {
        (!self.tail.is_empty()).then(|| Timestamp::from_millis(self.since))
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
    #[inline]
    pub(crate) fn push(&mut self, at: Timestamp, value: f64, len_max: usize, age_max: Span, len_min: usize) {
        debug_assert!(self.newest().is_none_or(|(newest, _)| at > newest), "a window is in order of time");
        self.append(at, value, age_max);
        if self.len() > len_max {
            self.let_go(self.len() - len_max);
        }
        let oldest_allowed = (at - age_max).millis();
        let late = if self.blocks.is_empty() { 0 } else { (age_max.millis() / LATE) as i64 };
        if self.since < oldest_allowed.saturating_sub(late) {
            self.let_go_of_older(oldest_allowed, len_min);
        }
    }

    #[inline]
    fn append(&mut self, at: Timestamp, value: f64, age_max: Span) {
        if self.tail.len() == self.tail.capacity() || self.tail.len() >= self.tier.tail_max() {
            self.make_room(age_max);
        }
        if self.tail.is_empty() {
            self.since = at.millis();
        }
        self.tail.push((at.millis(), value));
    }

    /// What the tail holds too many of becomes a block, or part of one; and there is room for some more.
    #[cold]
    fn make_room(&mut self, age_max: Span) {
        if self.blocks.is_empty() {
            self.tail.drain(..usize::from(std::mem::take(&mut self.fallen)));
        }
        while self.tail.len() >= self.tier.tail_max() {
            self.put_away(self.tier.at_once(), age_max);
        }
        self.tail.shrink_to(self.tail.len());
        self.tail.reserve_exact(GROWTH);
    }

    /// The first `count` of the tail, of which none fell out, become a block, or part of one.
    fn put_away(&mut self, count: usize, age_max: Span) {
        let grown = block::put_away(&mut self.blocks, &self.tail[..count], self.tier, age_max);
        self.in_blocks = self.in_blocks.saturating_add_signed(grown);
        self.tail.drain(..count);
    }

    /// Lets go of the oldest, so many; of a sketch all or nothing.
    fn let_go(&mut self, mut count: usize) {
        while count > 0 {
            let Some(block) = self.blocks.front() else {
                self.fallen += count.min(self.tail.len() - usize::from(self.fallen)) as u16;
                break;
            };
            let left = block.len() - usize::from(self.fallen);
            if left > count {
                // A sketch has no oldest sample: it stays until all of it may go.
                self.fallen += if block.is_packed() { count as u16 } else { 0 };
                return;
            }
            count -= left;
            self.drop_first();
        }
        if usize::from(self.fallen) >= GROWTH && self.blocks.is_empty() {
            self.tail.drain(..usize::from(std::mem::take(&mut self.fallen)));
        }
    }

    fn drop_first(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.in_blocks -= block.len() as u32;
            self.fallen = 0;
        }
    }

    #[cold]
    fn let_go_of_older(&mut self, oldest_allowed: i64, len_min: usize) {
        let over = |window: &Window| window.len().saturating_sub(len_min);
        while let Some(block) = self.blocks.front() {
            let left = block.len() - usize::from(self.fallen);
            if block.newest() >= oldest_allowed || left > over(self) {
                break;
            }
            self.drop_first();
        }
        let fallen = usize::from(self.fallen);
        let old = match self.blocks.front() {
            Some(block) => block.older_than(oldest_allowed).saturating_sub(fallen),
            None => self.tail[fallen..].partition_point(|(at, _)| *at < oldest_allowed),
        };
        self.let_go(old.min(over(self)));
        self.since = self.since.max(oldest_allowed);
    }

    /// Puts samples before the oldest; `older` is in order of time and all older than what is held. Returns how many fit.
    pub(crate) fn push_front(&mut self, older: &[(Timestamp, f64)], len_max: usize, age_max: Span) -> usize {
        let room = len_max.saturating_sub(self.len()).min(older.len());
        if room == 0 {
            return 0;
        }
        let older = &older[older.len() - room..];
        // What a sketch gives is no sample: sketches stay, and what is older becomes sketches before them.
        if !self.blocks.iter().all(Block::is_packed) {
            let samples: Vec<(i64, f64)> = older.iter().map(|(at, value)| (at.millis(), *value)).collect();
            let mut blocks = VecDeque::new();
            block::put_away(&mut blocks, &samples, Tier::Hourly, age_max);
            self.in_blocks += blocks.iter().map(|block| block.len() as u32).sum::<u32>();
            blocks.append(&mut self.blocks);
            self.blocks = blocks;
            self.since = self.since.min(samples[0].0);
            return room;
        }
        let held = std::mem::replace(self, Window { tier: self.tier, ..Window::default() });
        older.iter().for_each(|(at, value)| self.append(*at, *value, age_max));
        held.iter().for_each(|(at, value)| self.append(at, value, age_max));
        room
    }

    /// Remembers more or less of its samples from now on; less at once, more as they come.
    pub(crate) fn move_to(&mut self, tier: Tier, age_max: Span) {
        let before = std::mem::replace(&mut self.tier, tier);
        if tier <= before {
            return;
        }
        if self.blocks.is_empty() {
            self.tail.drain(..usize::from(std::mem::take(&mut self.fallen)));
        }
        let fallen = usize::from(std::mem::take(&mut self.fallen));
        self.blocks = block::made_less(std::mem::take(&mut self.blocks), fallen, tier, age_max);
        self.blocks.shrink_to_fit();
        self.in_blocks = self.blocks.iter().map(|block| block.len() as u32).sum();
        self.make_room(age_max);
    }

    /// Oldest first.
    pub fn iter(&self) -> Iter<'_> {
        self.last(self.len())
    }

    /// The last `count`, oldest first; fewer when there are fewer.
    pub fn last(&self, count: usize) -> Iter<'_> {
        let count = count.min(self.len());
        let mut iter =
            Iter { window: self, front: Piece::default(), back: Piece::default(), next: 0, behind: 0, left: count };
        iter.begin(self.len() - count);
        iter
    }

    /// Those of the last `count` that are held as they came.
    pub fn last_exact(&self, count: usize) -> Iter<'_> {
        let blocks = self.blocks.iter().rev().take_while(|block| block.is_packed());
        let fallen = usize::from(self.fallen);
        let all = self.tail.len() + blocks.map(Block::len).sum::<usize>();
        let whole = self.blocks.iter().all(Block::is_packed);
        self.last(count.min(if whole { all - fallen } else { all }))
    }

    /// Copies times (milliseconds) and values into `at` and `values`, which are emptied first.
    pub fn copy_into(&self, at: &mut Vec<i64>, values: &mut Vec<f64>) {
        at.clear();
        values.clear();
        for block in &self.blocks {
            block.read(at, values);
        }
        at.extend(self.tail.iter().map(|(at, _)| *at));
        values.extend(self.tail.iter().map(|(_, value)| *value));
        let fallen = usize::from(self.fallen).min(at.len());
        at.drain(..fallen);
        values.drain(..fallen);
    }

    /// About how many bytes it takes beside itself; the same for the same samples, however they came to be held.
    pub fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|block| block.bytes() + 40).sum();
        let fallen = if self.blocks.is_empty() { usize::from(self.fallen) } else { 0 };
        16 * (self.tail.len() - fallen + GROWTH / 2) + blocks
    }
}

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

impl Iter<'_> {
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

/// The tail first, its times as differences (variable length) and its values as they are, which once was all of a window; then the
/// blocks, each with its kind and length; then since when, how many fell out, and the tier.
impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // How the tail came to hold what fell out of it is no part of a window.
        let (fallen, from) = if self.blocks.is_empty() { (0, usize::from(self.fallen)) } else { (self.fallen, 0) };
        let mut tail = Vec::with_capacity(8 + self.tail.len() * 11);
        let mut before = 0_i64;
        for (at, _) in &self.tail[from..] {
            varint::put(at.wrapping_sub(before) as u64, &mut tail);
            before = *at;
        }
        let times = tail.len() as u64;
        for (_, value) in &self.tail[from..] {
            tail.extend_from_slice(&value.to_le_bytes());
        }
        let mut blocks = Vec::new();
        for block in &self.blocks {
            let (kind, stored) = block.stored();
            blocks.push(kind);
            varint::put(stored.len() as u64, &mut blocks);
            blocks.extend_from_slice(stored);
        }
        let bytes = serde_bytes::Bytes::new;
        (times, bytes(&tail), bytes(&blocks), (self.since, fallen, self.tier)).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Window, D::Error> {
        struct Parts;
        impl<'de> serde::de::Visitor<'de> for Parts {
            type Value = Option<Window>;

            fn expecting(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
                to.write_str("a window")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut parts: A) -> Result<Option<Window>, A::Error> {
                let times: Option<u64> = parts.next_element()?;
                let tail: Option<serde_bytes::ByteBuf> = parts.next_element()?;
                let blocks: Option<serde_bytes::ByteBuf> = parts.next_element()?;
                let rest: Option<(i64, u16, Tier)> = parts.next_element()?;
                let read = times.zip(tail).and_then(|(times, tail)| tail_of(times, &tail));
                Ok(match (read, blocks, rest) {
                    (Some(tail), Some(blocks), Some(rest)) => Window::of(tail, &blocks, rest),
                    // All in the tail: a window as it once was.
                    (Some(tail), None, None) => Some(Window::exact(&tail)),
                    _ => None,
                })
            }
        }
        from.deserialize_seq(Parts)?.ok_or_else(|| serde::de::Error::custom("a stored window is damaged"))
    }
}

/// None: these bytes are no samples in order of time.
fn tail_of(times: u64, bytes: &[u8]) -> Option<Vec<(i64, f64)>> {
    let (mut times, values) = bytes.split_at_checked(usize::try_from(times).ok()?)?;
    let (mut tail, mut before) = (Vec::with_capacity(values.len() / 8), 0_i64);
    let (eights, rest) = values.as_chunks::<8>();
    for eight in eights {
        before = before.wrapping_add(varint::take(&mut times)? as i64);
        tail.push((before, f64::from_le_bytes(*eight)));
    }
    let in_order = tail.is_sorted_by(|one, other| one.0 < other.0);
    let sound = in_order && tail.iter().all(|(_, value)| value.is_finite());
    (times.is_empty() && rest.is_empty() && sound).then_some(tail)
}

impl Window {
    fn exact(samples: &[(i64, f64)]) -> Window {
        let mut window = Window::default();
        samples.iter().for_each(|(at, value)| window.append(Timestamp::from_millis(*at), *value, Span::ZERO));
        window
    }

    fn of(tail: Vec<(i64, f64)>, mut stored: &[u8], (since, fallen, tier): (i64, u16, Tier)) -> Option<Window> {
        let mut blocks = VecDeque::new();
        let mut newest = None;
        while let Some((kind, rest)) = stored.split_first() {
            stored = rest;
            let len = usize::try_from(varint::take(&mut stored)?).ok()?;
            let (bytes, rest) = stored.split_at_checked(len)?;
            stored = rest;
            let block = Block::read_back(*kind, bytes.into())?;
            if newest.is_some_and(|newest| block.sample(0).is_none_or(|(at, _)| at <= newest)) {
                return None;
            }
            newest = Some(block.newest());
            blocks.push_back(block);
        }
        blocks.shrink_to_fit();
        let first = blocks.front().map_or(tail.len(), Block::len);
        let in_order = newest.is_none_or(|newest| tail.first().is_some_and(|(at, _)| *at > newest));
        let in_blocks = u32::try_from(blocks.iter().map(Block::len).sum::<usize>()).ok()?;
        let sound =
            in_order && usize::from(fallen) <= first && (fallen == 0 || blocks.front().is_none_or(Block::is_packed));
        sound.then_some(Window { tail, since, blocks, in_blocks, fallen, tier })
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
    fn a_window_of_the_form_before_blocks_comes_back() {
        let (mut bytes, mut before) = (Vec::new(), 0);
        for n in 0..1000_i64 {
            varint::put((n * 60_000 - before) as u64, &mut bytes);
            before = n * 60_000;
        }
        let times = bytes.len() as u64;
        (0..1000).for_each(|n| bytes.extend_from_slice(&(f64::from(n) * 0.1 - 3.0).to_le_bytes()));
        let stored = rmp_serde::to_vec_named(&(times, serde_bytes::Bytes::new(&bytes))).expect("encodes");
        let window: Window = rmp_serde::from_slice(&stored).expect("decodes");
        assert_eq!(window, filled(1000));
        assert!(window.bytes() < 1000 * 9, "{}", window.bytes());
    }

    /// A window as plainly as it can be said.
    #[derive(Default)]
    struct Plain(VecDeque<(i64, f64)>);

    impl Plain {
        fn push(&mut self, at: i64, value: f64, len_max: usize, oldest: i64, len_min: usize) {
            self.0.push_back((at, value));
            while self.0.len() > len_max
                || (self.0.len() > len_min && self.0.front().is_some_and(|(at, _)| *at < oldest))
            {
                self.0.pop_front();
            }
        }
    }

    fn encoded(window: &Window) -> Vec<u8> {
        rmp_serde::to_vec_named(window).expect("encodes")
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
        #[test]
        fn a_window_gives_what_it_took_whatever_it_is_held_in(
            steps in proptest::collection::vec((1..200_000_i64, -1000..1000_i32), 1..1500),
            len_max in 20..1200_usize,
            restored_at in 0..1500_usize,
            skip in 0..300_usize,
        ) {
            let age = Span::hours(10);
            let (mut window, mut plain, mut restored, mut at) = (Window::default(), Plain::default(), None, 0);
            for (n, (step, value)) in steps.into_iter().enumerate() {
                at += step;
                let value = f64::from(value) / 8.0;
                window.push(Timestamp::from_millis(at), value, len_max, age, 10);
                plain.push(at, value, len_max, i64::MIN, 10);
                if let Some(other) = &mut restored {
                    Window::push(other, Timestamp::from_millis(at), value, len_max, age, 10);
                } else if n == restored_at {
                    restored = Some(rmp_serde::from_slice::<Window>(&encoded(&window)).expect("decodes"));
                }
            }
            let late = (age.millis() + age.millis() / LATE) as i64;
            let held: Vec<(i64, f64)> = window.iter().map(|(at, value)| (at.millis(), value)).collect();
            // The newest of what came, as many as there may be.
            let all: Vec<(i64, f64)> = plain.0.iter().copied().collect();
            proptest::prop_assert!(all.ends_with(&held) && window.len() == held.len() && held.len() <= len_max);
            let young = all.iter().filter(|(then, _)| *then >= at - age.millis() as i64).count();
            proptest::prop_assert!(held.len() >= young.max(10.min(all.len())));
            proptest::prop_assert!(held.len() <= 10 || held[0].0 >= at - late - 200_000);
            proptest::prop_assert_eq!(window.oldest().map(|(at, value)| (at.millis(), value)), held.first().copied());
            proptest::prop_assert_eq!(window.newest().map(|(at, value)| (at.millis(), value)), held.last().copied());
            let backwards: Vec<(i64, f64)> = window.iter().rev().map(|(at, value)| (at.millis(), value)).collect();
            proptest::prop_assert!(backwards.iter().rev().eq(held.iter()));
            let last: Vec<(i64, f64)> = window.last(skip).map(|(at, value)| (at.millis(), value)).collect();
            proptest::prop_assert_eq!(&held[held.len() - skip.min(held.len())..], &last[..]);
            // From both ends in turn.
            let (mut iter, mut low, mut high) = (window.iter(), 0, held.len());
            while low < high {
                proptest::prop_assert_eq!(iter.next().map(|(at, value)| (at.millis(), value)), Some(held[low]));
                low += 1;
                if low < high {
                    high -= 1;
                    proptest::prop_assert_eq!(iter.next_back().map(|(at, value)| (at.millis(), value)), Some(held[high]));
                }
            }
            proptest::prop_assert!(iter.next().is_none() && iter.next_back().is_none());
            let (mut times, mut values) = (Vec::new(), Vec::new());
            window.copy_into(&mut times, &mut values);
            proptest::prop_assert!(times.into_iter().zip(values).eq(held));
            if let Some(restored) = restored {
                proptest::prop_assert_eq!(encoded(&restored), encoded(&window));
            }
        }

        #[test]
        fn a_lower_tier_takes_less_and_gives_samples_like_those_it_took(
            seed in 0..1000_u64,
            to in proptest::sample::select(vec![Tier::Hourly, Tier::Faded, Tier::Bounds]),
            moved_at in 0..3000_i64,
        ) {
            let age = Span::hours(24);
            let (mut window, mut exact) = (Window::default(), Window::default());
            let mut noise = crate::stats::noise::Noise::new(seed);
            for n in 0..3000_i64 {
                let at = Timestamp::from_secs(n * 30);
                let value = 1000.0 + noise.bell();
                window.push(at, value, 10_000, age, 10);
                exact.push(at, value, 10_000, age, 10);
                if n == moved_at {
                    window.move_to(to, age);
                    let again: Window = rmp_serde::from_slice(&encoded(&window)).expect("decodes");
                    proptest::prop_assert_eq!(encoded(&again), encoded(&window));
                }
            }
            proptest::prop_assert_eq!(window.len(), window.iter().count());
            proptest::prop_assert!(window.iter().is_sorted_by(|one, other| one.0 < other.0));
            let most = if to == Tier::Hourly { 8_000 } else { 1_600 };
            proptest::prop_assert!(window.bytes() < most, "{} of {}", window.bytes(), exact.bytes());
            let at = |window: &Window, share: f64| {
                let mut values: Vec<f64> = window.iter().map(|(_, value)| value).collect();
                values.sort_by(f64::total_cmp);
                values[(values.len() as f64 * share) as usize]
            };
            for share in [0.025, 0.25, 0.5, 0.75, 0.975] {
                let (is, was) = (at(&window, share), at(&exact, share));
                let near = if (0.2..0.8).contains(&share) { 0.25 } else { 0.5 };
                proptest::prop_assert!((is - was).abs() < near, "{share}: {is} for {was}");
            }
            // Back up it takes samples as they come again, and lets go of the sketches as they age.
            window.move_to(Tier::Exact, age);
            for n in 3000..6200_i64 {
                window.push(Timestamp::from_secs(n * 30), 1.0, 10_000, age, 10);
            }
            proptest::prop_assert_eq!(window.last_exact(10_000).len(), window.len());
        }
    }

    #[test]
    fn history_before_sketches_becomes_sketches_and_all_stays_in_order() {
        let age = Span::hours(240);
        for tier in [Tier::Hourly, Tier::Faded] {
            for count in [1, 192, 193, 200, 208, 500_i64] {
                let mut window = Window::default();
                (5_000..6_000_i64).for_each(|n| window.push(Timestamp::from_secs(n * 60), n as f64, 10_000, age, 10));
                window.move_to(tier, age);
                window.move_to(Tier::Exact, age);
                (6_000..6_300_i64).for_each(|n| window.push(Timestamp::from_secs(n * 60), n as f64, 10_000, age, 10));
                for before in [4_000, 3_000] {
                    let older: Vec<(Timestamp, f64)> =
                        (before..before + count).map(|n| (Timestamp::from_secs(n * 60), n as f64)).collect();
                    assert_eq!(window.push_front(&older, 10_000, age), count as usize);
                }
                let ordered = |window: &Window| window.iter().is_sorted_by(|one, other| one.0 < other.0);
                assert!(ordered(&window) && window.len() == window.iter().count(), "{tier:?}, {count}");
                let again: Window = rmp_serde::from_slice(&encoded(&window)).expect("decodes");
                assert_eq!(again, window);
                window.move_to(tier, age);
                assert!(ordered(&window) && window.len() == window.iter().count(), "{tier:?}, {count}");
                assert!(rmp_serde::from_slice::<Window>(&encoded(&window)).is_ok());
            }
        }
    }

    #[test]
    fn older_samples_go_in_front_as_far_as_there_is_room() {
        let mut window = filled(998);
        let older: Vec<_> = (-5..0).map(|n| (Timestamp::from_secs(n * 60), n as f64)).collect();
        assert_eq!(window.push_front(&older, 1000, Span::hours(24)), 2);
        assert_eq!(window.oldest(), Some((Timestamp::from_secs(-120), -2.0)));
        assert_eq!(
            window.last(2).map(|(_, v)| v).collect::<Vec<_>>(),
            window.iter().map(|(_, v)| v).skip(998).collect::<Vec<_>>()
        );
    }
}
