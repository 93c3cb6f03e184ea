//! Bytes turned into data. They may come from anywhere: what they claim is held against how many there are, and how deep they
//! go is bounded.

use super::{Error, NAMES_MAX, mark};
use crate::varint;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, Visitor};
use std::rc::Rc;

/// How many values may lie within each other: more than any memory has.
const DEPTH_MAX: u32 = 64;

/// A field that the type does not know: beyond all places of its fields.
const UNKNOWN: u64 = u64::MAX;

/// The data that bytes are.
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let mut reader = Reader { all: bytes.len(), rest: bytes, shapes: Vec::new(), variants: Vec::new(), depth: 0 };
    reader.table()?;
    let data = T::deserialize(&mut reader)?;
    match reader.rest.is_empty() {
        true => Ok(data),
        false => Err(reader.wrong("more than one value")),
    }
}

struct Reader<'de> {
    /// How many bytes there were in all, to say where something is wrong.
    all: usize,
    rest: &'de [u8],
    shapes: Vec<Shape<'de>>,
    variants: Vec<&'de str>,
    depth: u32,
}

struct Shape<'de> {
    names: Rc<[Name<'de>]>,
    /// Of each type that was read from this shape the fields it knows, and where among those the ones of the shape are. Mostly one.
    known: Vec<(&'static [&'static str], Rc<[u64]>)>,
}

/// The name of a field, for who reads a structure as a map.
#[derive(Clone, Copy)]
struct Name<'de>(&'de str);

impl<'de> IntoDeserializer<'de, Error> for Name<'de> {
    type Deserializer = BorrowedStrDeserializer<'de, Error>;

    fn into_deserializer(self) -> Self::Deserializer {
        BorrowedStrDeserializer::new(self.0)
    }
}

impl Shape<'_> {
    fn places(&mut self, known: &'static [&'static str]) -> Rc<[u64]> {
        if let Some((_, places)) = self.known.iter().find(|(fields, _)| std::ptr::eq(*fields, known)) {
            return Rc::clone(places);
        }
        let place = |name: &Name| known.iter().position(|field| *field == name.0).map_or(UNKNOWN, |place| place as u64);
        let places: Rc<[u64]> = self.names.iter().map(place).collect();
        self.known.push((known, Rc::clone(&places)));
        places
    }
}

impl<'de> Reader<'de> {
    #[cold]
    fn wrong(&self, what: &str) -> Error {
        Error(format!("{what} at byte {} of {}", self.all - self.rest.len(), self.all))
    }

    fn table(&mut self) -> Result<(), Error> {
        let mut all = 0;
        for _ in 0..self.count()? {
            let count = self.count()?;
            all += count;
            // One without any takes room as well.
            if all + self.shapes.len() > NAMES_MAX {
                return Err(self.wrong("more names than any memory has"));
            }
            let names = (0..count).map(|_| self.text().map(Name)).collect::<Result<_, Error>>()?;
            self.shapes.push(Shape { names, known: Vec::new() });
        }
        let variants = self.count()?;
        if variants > NAMES_MAX {
            return Err(self.wrong("more variants than any memory has"));
        }
        for _ in 0..variants {
            let variant = self.text()?;
            self.variants.push(variant);
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.wrong("an end"))?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Error> {
        varint::take(&mut self.rest).ok_or_else(|| self.wrong("no whole number"))
    }

    /// How many follow. Each takes a byte at least.
    fn count(&mut self) -> Result<usize, Error> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(self.wrong(&format!("a count of {count} and fewer bytes"))),
        }
    }

    fn bytes(&mut self) -> Result<&'de [u8], Error> {
        let len = self.count()?;
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.wrong("bytes that are no text"))
    }

    fn real(&mut self) -> Result<f64, Error> {
        let (eight, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong("half a number"))?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*eight))
    }

    fn shape(&mut self) -> Result<usize, Error> {
        let (two, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong("an end"))?;
        self.rest = rest;
        let shape = usize::from(u16::from_le_bytes(*two));
        match self.shapes.get(shape) {
            Some(known) if known.names.len() <= self.rest.len() => Ok(shape),
            Some(_) => Err(self.wrong("a structure of which fields are missing")),
            None => Err(self.wrong(&format!("shape {shape}, which is not in the table"))),
        }
    }

    fn variant(&mut self) -> Result<&'de str, Error> {
        let place = self.number()?;
        let known = usize::try_from(place).ok().and_then(|place| self.variants.get(place));
        known.copied().ok_or_else(|| self.wrong(&format!("variant {place}, which is not in the table")))
    }

    /// Reads what lies within a value.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong(&format!("more than {DEPTH_MAX} values within each other")));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn fields<K, V>(&mut self, keys: &[K], visitor: V) -> Result<V::Value, Error>
    where
        K: Copy + IntoDeserializer<'de, Error>,
        V: Visitor<'de>,
    {
        self.within(|reader| {
            let mut fields = Fields { reader, keys };
            let value = visitor.visit_map(&mut fields)?;
            fields.ended().map(|()| value)
        })
    }

    fn value<V: Visitor<'de>>(&mut self, mark: u8, visitor: V) -> Result<V::Value, Error> {
        match mark {
            0..mark::NONE => visitor.visit_u64(u64::from(mark)),
            mark::NONE => visitor.visit_unit(),
            mark::FALSE => visitor.visit_bool(false),
            mark::TRUE => visitor.visit_bool(true),
            mark::WHOLE => visitor.visit_u64(self.number()?),
            mark::BELOW => match i64::try_from(self.number()?) {
                Ok(below) => visitor.visit_i64(!below),
                Err(_) => Err(self.wrong("a number below all that there are")),
            },
            mark::REAL => visitor.visit_f64(self.real()?),
            mark::TEXT => visitor.visit_borrowed_str(self.text()?),
            mark::BYTES => visitor.visit_borrowed_bytes(self.bytes()?),
            mark::LIST => {
                let left = self.count()?;
                self.within(|reader| {
                    let mut list = Many { reader, left };
                    let value = visitor.visit_seq(&mut list)?;
                    list.ended().map(|()| value)
                })
            }
            mark::MAP => {
                let left = self.count()?;
                self.within(|reader| {
                    let mut map = Many { reader, left };
                    let value = visitor.visit_map(&mut map)?;
                    map.ended().map(|()| value)
                })
            }
            mark::STRUCTURE => {
                let shape = self.shape()?;
                let names = Rc::clone(&self.shapes[shape].names);
                self.fields(&names, visitor)
            }
            mark::BARE_VARIANT => visitor.visit_borrowed_str(self.variant()?),
            mark::VARIANT => {
                let name = self.variant()?;
                self.within(|reader| visitor.visit_map(Single { reader, name: Some(name) }))
            }
            other => Err(self.wrong(&format!("no value begins with {other:#x}, as one does"))),
        }
    }

    /// Goes past a value.
    fn skip(&mut self) -> Result<(), Error> {
        let values = match self.byte()? {
            0..=mark::TRUE | mark::ABSENT => 0,
            mark::WHOLE | mark::BELOW | mark::BARE_VARIANT => self.number().map(|_| 0)?,
            mark::REAL => self.real().map(|_| 0)?,
            mark::TEXT | mark::BYTES => self.bytes().map(|_| 0)?,
            mark::LIST => self.count()?,
            mark::MAP => 2 * self.count()?,
            mark::STRUCTURE => {
                let shape = self.shape()?;
                self.shapes[shape].names.len()
            }
            mark::VARIANT => self.number().map(|_| 1)?,
            other => return Err(self.wrong(&format!("no value begins with {other:#x}, as one does"))),
        };
        if values == 0 {
            return Ok(());
        }
        self.within(|reader| (0..values).try_for_each(|_| reader.skip()))
    }
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mark = self.byte()?;
        self.value(mark, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.rest.split_first() {
            Some((&mark::NONE, rest)) => {
                self.rest = rest;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.byte()? {
            mark::STRUCTURE => {
                let shape = self.shape()?;
                let places = self.shapes[shape].places(fields);
                self.fields(&places, visitor)
            }
            other => self.value(other, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.byte()? {
            mark::BARE_VARIANT => visitor.visit_enum(BorrowedStrDeserializer::new(self.variant()?)),
            mark::VARIANT => {
                let name = self.variant()?;
                self.within(|reader| visitor.visit_enum(Variant { reader, name }))
            }
            other => self.value(other, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map identifier
    }
}

/// The fields of a structure: by their places among those that the type knows, or by their names, for who reads it as a map.
struct Fields<'a, 'de, K> {
    reader: &'a mut Reader<'de>,
    keys: &'a [K],
}

impl<K: Copy> Fields<'_, '_, K> {
    /// The next field that has a value.
    fn next(&mut self) -> Option<K> {
        loop {
            let (key, keys) = self.keys.split_first()?;
            self.keys = keys;
            match self.reader.rest.split_first() {
                Some((&mark::ABSENT, rest)) => self.reader.rest = rest,
                _ => return Some(*key),
            }
        }
    }

    fn ended(mut self) -> Result<(), Error> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(self.reader.wrong("more fields than were read")),
        }
    }
}

impl<'de, K: Copy + IntoDeserializer<'de, Error>> de::MapAccess<'de> for &mut Fields<'_, 'de, K> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next().map(|key| seed.deserialize(key.into_deserializer())).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }
}

/// The values of a list, or the pairs of a map.
struct Many<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl Many<'_, '_> {
    fn ended(self) -> Result<(), Error> {
        match self.left {
            0 => Ok(()),
            left => Err(self.reader.wrong(&format!("{left} more than were read"))),
        }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Many<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for &mut Many<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant and what it holds.
struct Variant<'a, 'de> {
    reader: &'a mut Reader<'de>,
    name: &'de str,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Error;
    type Variant = &'a mut Reader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Error> {
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.name))?;
        Ok((name, self.reader))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Reader<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}

/// A variant and what it holds, for who reads it as a map.
struct Single<'a, 'de> {
    reader: &'a mut Reader<'de>,
    name: Option<&'de str>,
}

impl<'de> de::MapAccess<'de> for Single<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.name.take().map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }
}
