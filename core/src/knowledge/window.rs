//! What is remembered of the samples of one series, in order of time: bounded by count and by age.
//!
//! The newest are held as they came, the others in blocks behind them: packed, bit by bit what they were; or, where there is less
//! memory, one sketch for each hour, or one for all in which older ones count for less. Of a sketch samples are given that are
//! distributed as those it took in, so that whoever reads a window reads samples.

mod block;
mod iter;
mod packed;
mod stored;

use crate::time::{Span, Timestamp};
use block::Block;
pub use iter::Iter;
use serde::{Deserialize, Serialize};
use thin_vec::ThinVec;

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
    /// Oldest first.
    blocks: ThinVec<Block>,
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
        let (at, value) = match self.blocks.first() {
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
        // Never for more than it may hold: with a million series half of the room would be empty.
        let wanted = (self.tail.len() + GROWTH).min(self.tier.tail_max());
        if self.tail.capacity() > wanted {
            // Not made smaller where it lies: an allocator may leave it as large as it was.
            let mut tail = Vec::with_capacity(wanted);
            tail.extend_from_slice(&self.tail);
            self.tail = tail;
        }
        self.tail.reserve_exact(wanted - self.tail.len());
    }

    /// The first `count` of the tail, of which none fell out, become a block, or part of one.
    fn put_away(&mut self, count: usize, age_max: Span) {
        let grown = block::put_away(&mut self.blocks, &self.tail[..count], self.tier, age_max);
        self.in_blocks = self.in_blocks.saturating_add_signed(grown);
        self.tail.drain(..count);
    }

    /// Lets go of the oldest, so many; of a sketch all or nothing.
    fn let_go(&mut self, mut count: usize) {
        let (mut whole, mut fallen) = (0, usize::from(self.fallen));
        while count > 0
            && let Some(block) = self.blocks.get(whole)
        {
            let left = block.len() - fallen;
            if left > count {
                // A sketch has no oldest sample: it stays until all of it may go.
                fallen += if block.is_packed() { count } else { 0 };
                count = 0;
                break;
            }
            (count, fallen, whole) = (count - left, 0, whole + 1);
        }
        self.drop_first(whole);
        self.fallen = fallen as u16;
        if count > 0 {
            self.fallen += count.min(self.tail.len() - fallen) as u16;
        }
        if usize::from(self.fallen) >= GROWTH && self.blocks.is_empty() {
            self.tail.drain(..usize::from(std::mem::take(&mut self.fallen)));
        }
    }

    /// Lets go of the first blocks, so many.
    fn drop_first(&mut self, count: usize) {
        if count > 0 {
            self.in_blocks -= self.blocks.drain(..count).map(|block| block.len() as u32).sum::<u32>();
            self.fallen = 0;
        }
    }

    #[cold]
    fn let_go_of_older(&mut self, oldest_allowed: i64, len_min: usize) {
        let mut over = self.len().saturating_sub(len_min);
        let (mut old, mut fallen) = (0, usize::from(self.fallen));
        while let Some(block) = self.blocks.get(old) {
            let left = block.len() - fallen;
            if block.newest() >= oldest_allowed || left > over {
                break;
            }
            (over, fallen, old) = (over - left, 0, old + 1);
        }
        self.drop_first(old);
        let fallen = usize::from(self.fallen);
        let old = match self.blocks.first() {
            Some(block) => block.older_than(oldest_allowed).saturating_sub(fallen),
            None => self.tail[fallen..].partition_point(|(at, _)| *at < oldest_allowed),
        };
        self.let_go(old.min(over));
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
            let mut blocks = ThinVec::new();
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
        Iter::new(self, count)
    }

    /// Those of the last `count` that are held as they came.
    pub fn last_exact(&self, count: usize) -> Iter<'_> {
        let mut exact = self.tail.len();
        let mut blocks = self.blocks.iter().rev();
        while exact < count {
            match blocks.next().filter(|block| block.is_packed()) {
                Some(block) => exact += block.len(),
                None => break,
            }
        }
        // Of the first piece some fell out, which `last` leaves out where it comes to that.
        self.last(count.min(exact))
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

#[cfg(test)]
mod tests;
