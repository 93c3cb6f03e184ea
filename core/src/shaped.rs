//! Plain data as bytes that say what they are. The values of a structure stand by place, and the names of their fields once, in a table
//! that many structures of one shape share: a later version reads what an earlier one wrote, as from a form with names, and does not
//! read the same names again for each of a million series.
//!
//! The table comes first: how many shapes there are, and of each how many fields and their names; how many variants there are, and
//! their names. Then one value. A value begins with a [`mark`]; whole numbers after it are of variable length ([`crate::varint`]).
//!
//! A structure is read by the places of its fields among those that its type knows: an alias of a field would shift them, so a field
//! that changes its name is read by a type of its own.

mod read;
mod write;

pub(crate) use read::from_bytes;
pub(crate) use write::to_bytes;

/// Names of fields in a table at most, over all shapes: some twenty times as many as there are in all of memory.
const NAMES_MAX: usize = 1 << 16;

/// What a value begins with. A byte below all of these is the number itself.
mod mark {
    pub const NONE: u8 = 0x80;
    pub const FALSE: u8 = 0x81;
    pub const TRUE: u8 = 0x82;
    /// A whole number; or how far one is below minus one.
    pub const WHOLE: u8 = 0x83;
    pub const BELOW: u8 = 0x84;
    /// Eight bytes, the least significant first.
    pub const REAL: u8 = 0x85;
    /// A length, and so many bytes.
    pub const TEXT: u8 = 0x86;
    pub const BYTES: u8 = 0x87;
    /// How many, and so many values, or pairs of them.
    pub const LIST: u8 = 0x88;
    pub const MAP: u8 = 0x89;
    /// Which shape (two bytes, the least significant first), and a value for each of its fields.
    pub const STRUCTURE: u8 = 0x8a;
    /// Of a structure: this field has none.
    pub const ABSENT: u8 = 0x8b;
    /// Which variant, and for the second what it holds.
    pub const BARE_VARIANT: u8 = 0x8c;
    pub const VARIANT: u8 = 0x8d;
}

/// Why data cannot be written so, or these bytes are none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(String);

impl serde::ser::Error for Error {
    fn custom<T: std::fmt::Display>(reason: T) -> Error {
        Error(reason.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(reason: T) -> Error {
        Error(reason.to_string())
    }
}

#[cfg(test)]
mod tests;
