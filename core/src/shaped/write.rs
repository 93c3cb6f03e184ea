//! Data turned into bytes.

use super::{Error, NAMES_MAX, mark};
use crate::varint;
use serde::ser::{self, Serialize};
use std::collections::HashMap;

/// Data as bytes. An error where it is of more shapes than any memory has.
pub fn to_bytes<T: Serialize + ?Sized>(data: &T) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { values: Vec::new(), shapes: Shapes::new(), variants: HashMap::new() };
    data.serialize(&mut writer)?;
    let mut bytes = Vec::with_capacity(writer.values.len() + 4_096);
    writer.shapes.table(&mut bytes);
    let mut variants: Vec<(&str, u64)> = writer.variants.into_iter().collect();
    variants.sort_by_key(|(_, place)| *place);
    varint::put(variants.len() as u64, &mut bytes);
    variants.iter().for_each(|(name, _)| put_text(name, &mut bytes));
    bytes.extend_from_slice(&writer.values);
    Ok(bytes)
}

struct Writer {
    values: Vec<u8>,
    shapes: Shapes,
    /// Names of variants, and their places in the table.
    variants: HashMap<&'static str, u64>,
}

/// Shapes by their fields, one after the other: which it is, is known when its last field was written.
struct Shapes {
    steps: Vec<Step>,
    /// The steps that shapes end with.
    ends: Vec<usize>,
    /// Of all of them.
    names: usize,
}

struct Step {
    field: &'static str,
    before: usize,
    next: Vec<usize>,
    /// The shape that ends here.
    shape: Option<u16>,
}

/// The step before any field.
const BEGIN: usize = 0;

impl Shapes {
    fn new() -> Shapes {
        Shapes {
            steps: vec![Step { field: "", before: BEGIN, next: Vec::new(), shape: None }],
            ends: Vec::new(),
            names: 0,
        }
    }

    fn step(&mut self, from: usize, field: &'static str) -> usize {
        let known = self.steps[from].next.iter().find(|next| self.steps[**next].field == field);
        if let Some(known) = known {
            return *known;
        }
        let step = self.steps.len();
        self.steps.push(Step { field, before: from, next: Vec::new(), shape: None });
        self.steps[from].next.push(step);
        step
    }

    fn ended(&mut self, at: usize) -> Result<u16, Error> {
        if let Some(shape) = self.steps[at].shape {
            return Ok(shape);
        }
        let mut before = at;
        while before != BEGIN {
            self.names += 1;
            before = self.steps[before].before;
        }
        let fits = self.names + self.ends.len() <= NAMES_MAX;
        let shape = u16::try_from(self.ends.len()).ok().filter(|_| fits);
        let shape = shape.ok_or_else(|| Error("more shapes than any memory has".to_owned()))?;
        self.ends.push(at);
        self.steps[at].shape = Some(shape);
        Ok(shape)
    }

    fn table(&self, to: &mut Vec<u8>) {
        varint::put(self.ends.len() as u64, to);
        for end in &self.ends {
            let mut fields = Vec::new();
            let mut at = *end;
            while at != BEGIN {
                fields.push(self.steps[at].field);
                at = self.steps[at].before;
            }
            varint::put(fields.len() as u64, to);
            fields.iter().rev().for_each(|field| put_text(field, to));
        }
    }
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    varint::put(text.len() as u64, to);
    to.extend_from_slice(text.as_bytes());
}

impl Writer {
    fn mark(&mut self, mark: u8) {
        self.values.push(mark);
    }

    fn marked(&mut self, mark: u8, number: u64) {
        self.values.push(mark);
        varint::put(number, &mut self.values);
    }

    fn many(&mut self, mark: u8, len: Option<usize>) -> Many<'_> {
        let count_at = self.values.len() + 1;
        match len {
            Some(len) => self.marked(mark, len as u64),
            None => {
                self.mark(mark);
                self.values.extend_from_slice(&[0; COUNT_LATER]);
            }
        }
        Many { writer: self, count_at: len.is_none().then_some(count_at), count: 0 }
    }

    fn variant(&mut self, mark: u8, name: &'static str) {
        let next = self.variants.len() as u64;
        let place = *self.variants.entry(name).or_insert(next);
        self.marked(mark, place);
    }

    fn structure(&mut self) -> Structure<'_> {
        self.mark(mark::STRUCTURE);
        let shape_at = self.values.len();
        self.values.extend_from_slice(&[0; 2]);
        Structure { writer: self, shape_at, step: BEGIN }
    }
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Many<'a>;
    type SerializeTuple = Many<'a>;
    type SerializeTupleStruct = Many<'a>;
    type SerializeTupleVariant = Many<'a>;
    type SerializeMap = Many<'a>;
    type SerializeStruct = Structure<'a>;
    type SerializeStructVariant = Structure<'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.mark(if value { mark::TRUE } else { mark::FALSE });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        match u64::try_from(value) {
            Ok(whole) => self.serialize_u64(whole),
            Err(_) => {
                self.marked(mark::BELOW, !value as u64);
                Ok(())
            }
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        match u8::try_from(value) {
            Ok(small) if small < mark::NONE => self.mark(small),
            _ => self.marked(mark::WHOLE, value),
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.mark(mark::REAL);
        self.values.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.mark(mark::TEXT);
        put_text(value, &mut self.values);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.marked(mark::BYTES, value.len() as u64);
        self.values.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.mark(mark::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.variant(mark::BARE_VARIANT, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(mark::VARIANT, variant);
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Many<'a>, Error> {
        Ok(self.many(mark::LIST, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Many<'a>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Many<'a>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Many<'a>, Error> {
        self.variant(mark::VARIANT, variant);
        self.serialize_seq(Some(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Many<'a>, Error> {
        Ok(self.many(mark::MAP, len))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Structure<'a>, Error> {
        Ok(self.structure())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Structure<'a>, Error> {
        self.variant(mark::VARIANT, variant);
        Ok(self.structure())
    }
}

/// Bytes of a count that is not known before what it counts.
const COUNT_LATER: usize = 5;

/// A list, or the pairs of a map.
struct Many<'a> {
    writer: &'a mut Writer,
    /// Where their count will stand, when it was not known.
    count_at: Option<usize>,
    count: u64,
}

impl Many<'_> {
    fn one<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.count += 1;
        value.serialize(&mut *self.writer)
    }

    /// What belongs to the one before.
    fn other<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)
    }

    fn ended(self) {
        let Some(at) = self.count_at else { return };
        let place = &mut self.writer.values[at..][..COUNT_LATER];
        for (seven, byte) in place.iter_mut().enumerate() {
            // All but the last say that another one follows.
            let more = if seven + 1 < COUNT_LATER { 0x80 } else { 0 };
            *byte = (self.count >> (7 * seven)) as u8 & 0x7f | more;
        }
    }
}

/// One value after the other, whatever it is called that they are part of.
macro_rules! one_after_the_other {
    ($($part_of:ident $write:ident),*) => {$(
        impl ser::$part_of for Many<'_> {
            type Ok = ();
            type Error = Error;

            fn $write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.one(value)
            }

            fn end(self) -> Result<(), Error> {
                self.ended();
                Ok(())
            }
        }
    )*};
}

one_after_the_other!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

impl ser::SerializeMap for Many<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.one(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.other(value)
    }

    fn end(self) -> Result<(), Error> {
        self.ended();
        Ok(())
    }
}

/// A structure of which the shape is not known yet.
struct Structure<'a> {
    writer: &'a mut Writer,
    /// Where its shape will stand among the values.
    shape_at: usize,
    step: usize,
}

impl Structure<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Error> {
        self.step = self.writer.shapes.step(self.step, field);
        value.serialize(&mut *self.writer)
    }

    /// A field without a value leaves the shape as it is with one.
    fn absent(&mut self, field: &'static str) {
        self.step = self.writer.shapes.step(self.step, field);
        self.writer.mark(mark::ABSENT);
    }

    fn ended(self) -> Result<(), Error> {
        let shape = self.writer.shapes.ended(self.step)?;
        self.writer.values[self.shape_at..][..2].copy_from_slice(&shape.to_le_bytes());
        Ok(())
    }
}

/// The same of fields.
macro_rules! field_after_field {
    ($($part_of:ident),*) => {$(
        impl ser::$part_of for Structure<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Error> {
                self.field(field, value)
            }

            fn skip_field(&mut self, field: &'static str) -> Result<(), Error> {
                self.absent(field);
                Ok(())
            }

            fn end(self) -> Result<(), Error> {
                self.ended()
            }
        }
    )*};
}

field_after_field!(SerializeStruct, SerializeStructVariant);
