//! Data turned into bytes.

use super::{Error, mark};
use crate::varint;
use serde::ser::{self, Serialize};
use std::collections::HashMap;

/// Data as bytes. An error where it is of more shapes than a part of any memory has, or does not know how long it is.
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
        Shapes { steps: vec![Step { field: "", before: BEGIN, next: Vec::new(), shape: None }], ends: Vec::new() }
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
        let shape =
            u16::try_from(self.ends.len()).map_err(|_| Error("more shapes than can be told apart".to_owned()))?;
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

    fn many(&mut self, mark: u8, len: Option<usize>) -> Result<(), Error> {
        let len = len.ok_or_else(|| Error("how many there are has to be known before they are written".to_owned()))?;
        self.marked(mark, len as u64);
        Ok(())
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
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
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

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, Error> {
        self.many(mark::LIST, len)?;
        Ok(self)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Self, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, Error> {
        self.variant(mark::VARIANT, variant);
        self.serialize_seq(Some(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self, Error> {
        self.many(mark::MAP, len)?;
        Ok(self)
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

impl ser::SerializeSeq for &mut Writer {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeTuple for &mut Writer {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeTupleStruct for &mut Writer {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeTupleVariant for &mut Writer {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeMap for &mut Writer {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
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

impl ser::SerializeStruct for Structure<'_> {
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

impl ser::SerializeStructVariant for Structure<'_> {
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
