//! A walk over protobuf's wire form that copies nothing: field by field, with the place of every piece in the whole.
//!
//! <https://protobuf.dev/programming-guides/encoding/>. Bytes come from outside: every length is checked against what is left, and
//! a walk takes no longer than its bytes are many.

use homeostat::varint;
use std::ops::Range;

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    /// Nothing that is read here has four bytes.
    Fixed32,
    /// Text, bytes, a message or packed numbers.
    Len(Message<'a>),
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    #[error("it is cut off")]
    Truncated,
    #[error("a number has more than ten bytes")]
    Varint,
    #[error("a field has the number {0}, which there is not")]
    Field(u64),
    #[error("a field has the wire type {0}, which is not in use")]
    WireType(u8),
    #[error("it has another wire type than its field")]
    OtherType,
}

/// A stretch of the whole that holds fields.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    all: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Message<'a> {
    pub fn new(all: &'a [u8]) -> Message<'a> {
        Message { all, at: 0, end: all.len() }
    }

    /// The next field and its number; none at the end.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Wrong> {
        if self.at == self.end { Ok(None) } else { self.field().map(Some) }
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Wrong> {
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).ok().filter(|field| (1..1 << 29).contains(field));
        let field = field.ok_or(Wrong::Field(key >> 3))?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Wrong::Truncated)?;
                let end = self.at.checked_add(len).filter(|end| *end <= self.end).ok_or(Wrong::Truncated)?;
                let inner = Message { all: self.all, at: self.at, end };
                self.at = end;
                Value::Len(inner)
            }
            5 => {
                let _: [u8; 4] = self.array()?;
                Value::Fixed32
            }
            other => return Err(Wrong::WireType(other as u8)),
        };
        Ok((field, value))
    }

    /// The next field, if it begins with this key and holds bytes whose length takes a byte or two: what most of a request is, without
    /// the general way. None says nothing: [`next`](Message::next) tells what is there.
    #[inline(always)]
    pub fn take(&mut self, key: u8) -> Option<Message<'a>> {
        let (len, head) = match *self.bytes() {
            [first, len, ..] if first == key && len < 0x80 => (usize::from(len), 2),
            [first, low, high, ..] if first == key && high < 0x80 => {
                (usize::from(high) << 7 | usize::from(low & 0x7f), 3)
            }
            _ => return None,
        };
        let begin = self.at + head;
        let end = begin + len;
        if end > self.end {
            return None;
        }
        self.at = end;
        Some(Message { all: self.all, at: begin, end })
    }

    /// The same for eight bytes.
    #[inline(always)]
    pub fn take_fixed64(&mut self, key: u8) -> Option<u64> {
        let (first, rest) = self.bytes().split_first()?;
        let array = rest.first_chunk().filter(|_| *first == key)?;
        self.at += 9;
        Some(u64::from_le_bytes(*array))
    }

    /// The same for a number.
    #[inline(always)]
    pub fn take_varint(&mut self, key: u8) -> Option<u64> {
        let (_, rest) = self.bytes().split_first().filter(|(first, _)| **first == key)?;
        let (mut value, mut shift) = (0, 0);
        // Of ten bytes one bit of the last would fit: that is left to the general way.
        for (byte, len) in rest.iter().take(9).zip(2..) {
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                self.at += len;
                return Some(value);
            }
            shift += 7;
        }
        None
    }

    /// The next of numbers that stand without keys; none at the end.
    pub fn packed_varint(&mut self) -> Result<Option<u64>, Wrong> {
        if self.at == self.end { Ok(None) } else { self.varint().map(Some) }
    }

    pub fn packed_fixed64(&mut self) -> Result<Option<u64>, Wrong> {
        if self.at == self.end { Ok(None) } else { Ok(Some(u64::from_le_bytes(self.array()?))) }
    }

    /// What is left of it.
    pub fn bytes(&self) -> &'a [u8] {
        &self.all[self.at..self.end]
    }

    /// Where what is left stands in the whole.
    pub fn range(&self) -> Range<usize> {
        self.at..self.end
    }

    /// Where in the whole the next field begins.
    pub fn at(&self) -> usize {
        self.at
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let array = self.bytes().first_chunk().ok_or(Wrong::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    /// Passes over fields with this key, one behind the other, whose lengths take a byte each. Where they stand.
    #[inline]
    pub fn run(&mut self, key: u8) -> Range<usize> {
        let (first, bytes) = (self.at, self.bytes());
        let mut len = 0;
        while let Some([begins, inner, ..]) = bytes.get(len..)
            && *begins == key
            && *inner < 0x80
        {
            let end = len + 2 + usize::from(*inner);
            if end > bytes.len() {
                break;
            }
            len = end;
        }
        self.at += len;
        first..self.at
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Wrong> {
        // Keys and lengths mostly have one byte.
        match self.all.get(self.at) {
            Some(byte) if *byte < 0x80 && self.at < self.end => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.longer_varint(),
        }
    }

    fn longer_varint(&mut self) -> Result<u64, Wrong> {
        let mut value = 0;
        for (n, byte) in self.bytes().iter().take(10).enumerate() {
            // Of the tenth byte one bit fits; others are lost, as everywhere.
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                self.at += n + 1;
                return Ok(value);
            }
        }
        Err(if self.end - self.at < 10 { Wrong::Truncated } else { Wrong::Varint })
    }
}

impl<'a> Value<'a> {
    pub fn message(self) -> Result<Message<'a>, Wrong> {
        match self {
            Value::Len(message) => Ok(message),
            _ => Err(Wrong::OtherType),
        }
    }

    pub fn varint(self) -> Result<u64, Wrong> {
        match self {
            Value::Varint(value) => Ok(value),
            _ => Err(Wrong::OtherType),
        }
    }

    pub fn fixed64(self) -> Result<u64, Wrong> {
        match self {
            Value::Fixed64(value) => Ok(value),
            _ => Err(Wrong::OtherType),
        }
    }

    pub fn double(self) -> Result<f64, Wrong> {
        self.fixed64().map(f64::from_bits)
    }
}

/// A field of bytes with their length, written.
pub fn put(into: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(into, u64::from(field << 3 | 2));
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

pub fn put_varint(into: &mut Vec<u8>, value: u64) {
    varint::put(value, into);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_read_to_their_limits() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = vec![8];
            put_varint(&mut bytes, value);
            let mut message = Message::new(&bytes);
            let (field, read) = message.next().expect("whole").expect("a field");
            assert_eq!((field, read.varint()), (1, Ok(value)));
            assert!(message.next().expect("the end").is_none());
        }
        let mut bytes = Vec::new();
        put(&mut bytes, 3, b"abc");
        assert_eq!(bytes, b"\x1a\x03abc");
        let (field, value) = Message::new(&bytes).next().expect("whole").expect("a field");
        let inner = value.message().expect("bytes");
        assert_eq!((field, inner.bytes(), inner.range()), (3, b"abc".as_slice(), 2..5));
        assert_eq!(value.varint(), Err(Wrong::OtherType));
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let wrong = |bytes: &[u8]| Message::new(bytes).next().expect_err("no message");
        assert_eq!(wrong(&[0x0a, 5, 1]), Wrong::Truncated);
        assert_eq!(wrong(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Wrong::Truncated);
        assert_eq!(wrong(&[0x09, 0, 0]), Wrong::Truncated);
        assert_eq!(wrong(&[0x80]), Wrong::Truncated);
        assert_eq!(wrong(&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]), Wrong::Varint);
        assert_eq!(wrong(&[0x02]), Wrong::Field(0));
        assert_eq!(wrong(&[0x0b]), Wrong::WireType(3));
        assert_eq!(wrong(&[0x0f]), Wrong::WireType(7));
    }
}
