//! How a window is written down and read again.

use super::block::Block;
use super::{Tier, Window};
use crate::time::{Span, Timestamp};
use crate::varint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thin_vec::ThinVec;

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
        let mut blocks = ThinVec::new();
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
            blocks.push(block);
        }
        blocks.shrink_to_fit();
        let first = blocks.first().map_or(tail.len(), Block::len);
        let in_order = newest.is_none_or(|newest| tail.first().is_some_and(|(at, _)| *at > newest));
        let in_blocks = u32::try_from(blocks.iter().map(Block::len).sum::<usize>()).ok()?;
        let sound =
            in_order && usize::from(fallen) <= first && (fallen == 0 || blocks.first().is_none_or(Block::is_packed));
        sound.then_some(Window { tail, since, blocks, in_blocks, fallen, tier })
    }
}
