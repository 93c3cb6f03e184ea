//! Texts that say the same of many series are held once.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// How many of the latest texts each thread knows, each in the place that its hash says.
const KNOWN: usize = 256;

thread_local! {
    static LATEST: RefCell<Vec<Option<Arc<str>>>> = const { RefCell::new(Vec::new()) };
}

/// A text that is cheap to clone. One that was made lately, with the same words, is the same in memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SharedText(Arc<str>);

impl From<&str> for SharedText {
    fn from(text: &str) -> SharedText {
        let place = xxhash_rust::xxh3::xxh3_64(text.as_bytes()) as usize % KNOWN;
        LATEST.with_borrow_mut(|latest| {
            latest.resize(KNOWN, None);
            match &latest[place] {
                Some(known) if **known == *text => SharedText(Arc::clone(known)),
                _ => SharedText(Arc::clone(latest[place].insert(text.into()))),
            }
        })
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> SharedText {
        text.as_str().into()
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self)
    }
}

impl Serialize for SharedText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SharedText, D::Error> {
        read(from, "a text", |text| Ok::<_, Infallible>(text.into()))
    }
}

/// Reads a text where it lies, and makes something of it.
pub(crate) fn read<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    from: D,
    what: &'static str,
    make: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<M>(&'static str, M);

    impl<T, E: fmt::Display, M: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<M> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<F: Error>(self, text: &str) -> Result<T, F> {
            (self.1)(text).map_err(F::custom)
        }
    }

    from.deserialize_str(Text(what, make))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_words_are_held_once_and_others_are_what_they_are() {
        let texts: Vec<String> = (0..1_000).map(|n| format!("over {} samples", n % 10)).collect();
        let shared: Vec<SharedText> = texts.iter().map(|text| text.as_str().into()).collect();
        assert!(shared.iter().zip(&texts).all(|(shared, text)| **shared == **text));
        let read: Vec<SharedText> =
            texts.iter().map(|text| serde_json::from_str(&format!("\"{text}\"")).expect("a text")).collect();
        assert!(read == shared);
        // Two that share a place take turns there: that happens to some, hardly to most.
        let held: BTreeSet<*const u8> = shared.iter().chain(&read).map(|text| text.as_ptr()).collect();
        assert!(held.len() < 1_000, "{} times in memory", held.len());
        // More than are known at once.
        let many: Vec<String> = (0..10_000).map(|n| format!("{n}")).collect();
        assert!(many.iter().all(|text| *SharedText::from(text.as_str()) == **text));
    }
}
