//! How large DynamoDB takes an item to be, and how many units that is.
//!
//! Rules: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats". The sum of the attributes' names and values:
//! text by its UTF-8 bytes; a number half a byte a significant digit and one more; true, false and null one; a list or map
//! three and one more for each element. The guide calls numbers approximate, so a unit's border can be off by a few bytes.
//!
//! Sizes are counted from the records themselves, through [`serde`], without building the item: the running function does
//! this for every batch. A test holds them against the items that are really sent.

use std::fmt::{self, Write};

use anomaly_core::Timestamp;
use serde::ser::{self, Serialize};
use serde_json::Value;

use crate::model::{AnomalyRecord, Checkpoint, Entry, ShardId, StateRecord};

/// Bytes of a write unit.
const WRITE_UNIT_BYTES: u64 = 1024;
/// Bytes of a strongly consistent read unit.
const READ_UNIT_BYTES: u64 = 4096;

/// Units of writing an item of `bytes` once; a transaction takes twice as many.
#[must_use]
pub fn write_units(bytes: u64) -> u64 {
    bytes.div_ceil(WRITE_UNIT_BYTES).max(1)
}

/// Units of reading an item of `bytes`, strongly consistent; 0 stands for an item that is not there, and costs one.
#[must_use]
pub fn read_units(bytes: u64) -> u64 {
    bytes.div_ceil(READ_UNIT_BYTES).max(1)
}

/// Bytes of a checkpoint's item.
#[must_use]
pub fn checkpoint_bytes(shard: &ShardId, checkpoint: &Checkpoint) -> u64 {
    let key = (shard.region.len() + shard.stream.len() + shard.shard.len() + 2) as u64;
    fields(checkpoint) + attribute("pk", key)
}

/// Bytes of an anomaly's item, which is also what its entry in the index by day has.
#[must_use]
pub fn anomaly_bytes(record: &AnomalyRecord) -> u64 {
    let anomaly = &record.anomaly;
    let onset = written(format_args!("{}", anomaly.onset));
    let sort_key = 3 + onset + anomaly.id.as_str().len() as u64;
    let day = anomaly.tenant.len() as u64 + 1 + "yyyy-mm-dd".len() as u64;
    fields(record)
        + device_key(&anomaly.tenant, &anomaly.device)
        + attribute("sk", sort_key)
        + attribute("kind", "anomaly".len() as u64)
        + attribute("day", day)
        + attribute("at", onset)
}

/// Bytes of the item of a device's state.
#[must_use]
pub fn state_bytes(record: &StateRecord) -> u64 {
    let keys = device_key(&record.tenant, &record.device) + attribute("sk", 1);
    fields(record) + keys + attribute("kind", "state".len() as u64)
}

/// Bytes of an entry's item, which is also what it has in each index that it is in.
#[must_use]
pub fn entry_bytes(entry: &Entry) -> u64 {
    let due = entry.due.as_ref().map_or(0, |due| attribute("queue", due.queue.len() as u64) + instant("due", due.at));
    let day = entry.day.as_ref().map_or(0, |place| attribute("day", place.day.len() as u64) + instant("at", place.at));
    let expires_at = entry.expires_at.map_or(0, |at| attribute("expires_at", number_bytes(format_args!("{at:e}"))));
    attribute("pk", entry.key.pk.len() as u64)
        + attribute("sk", entry.key.sk.len() as u64)
        + attribute("kind", "entry".len() as u64)
        + attribute("version", number_bytes(format_args!("{:e}", entry.version)))
        + attribute("body", json_bytes(&entry.body))
        + due
        + day
        + expires_at
}

/// Bytes of a JSON value as an attribute's value.
#[must_use]
pub fn json_bytes(value: &Value) -> u64 {
    // Sizes of plain values cannot fail.
    value_bytes(value).unwrap_or(0)
}

fn instant(name: &str, at: Timestamp) -> u64 {
    attribute(name, written(format_args!("{at}")))
}

fn device_key(tenant: &str, device: &str) -> u64 {
    attribute("pk", (tenant.len() + 1 + device.len()) as u64)
}

fn attribute(name: &str, value_bytes: u64) -> u64 {
    name.len() as u64 + value_bytes
}

/// Counts what is written to it.
#[derive(Debug, Default)]
struct Count {
    bytes: u64,
    /// Digits before the exponent.
    digits: u64,
    in_exponent: bool,
}

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len() as u64;
        for byte in text.bytes() {
            self.in_exponent |= byte == b'e';
            self.digits += u64::from(byte.is_ascii_digit() && !self.in_exponent);
        }
        Ok(())
    }
}

fn count(text: fmt::Arguments<'_>) -> Count {
    let mut count = Count::default();
    // Counting cannot fail.
    let _ = count.write_fmt(text);
    count
}

fn written(text: fmt::Arguments<'_>) -> u64 {
    count(text).bytes
}

/// Bytes of a number, from its shortest scientific notation, which has no zeros at its ends.
fn number_bytes(scientific: fmt::Arguments<'_>) -> u64 {
    count(scientific).digits.div_ceil(2) + 1
}

/// Bytes of a number that may be too small or large for DynamoDB; then it is stored as the map `{"f64": "1e-138"}`.
fn float_bytes(number: f64) -> u64 {
    let fits = number == 0.0 || FITS.contains(&number.abs());
    if fits {
        number_bytes(format_args!("{number:e}"))
    } else {
        COMPOUND_BYTES + ELEMENT_BYTES + attribute("f64", written(format_args!("{number:e}")))
    }
}

/// Magnitudes that are stored as numbers, as in `aws::items`.
const FITS: std::ops::Range<f64> = 1e-128..1e125;
/// A list or map, whatever it holds.
const COMPOUND_BYTES: u64 = 3;
/// Each element of a list or map.
const ELEMENT_BYTES: u64 = 1;

/// Bytes of a record's fields as attributes at the top level. The records of [`crate::model`] are structures of plain
/// values, so nothing can go wrong.
fn fields(record: &impl Serialize) -> u64 {
    record.serialize(Sizer { top: true }).unwrap_or(0)
}

fn value_bytes(value: &(impl Serialize + ?Sized)) -> Result<u64, fmt::Error> {
    value.serialize(Sizer { top: false })
}

/// Sums up sizes.
#[derive(Debug, Clone, Copy)]
struct Sizer {
    /// The item itself, whose attributes need nothing beside their names.
    top: bool,
}

/// A list, map or structure under way.
#[derive(Debug)]
struct Compound {
    bytes: u64,
    element_bytes: u64,
}

impl Sizer {
    fn compound(self) -> Compound {
        if self.top {
            Compound { bytes: 0, element_bytes: 0 }
        } else {
            Compound { bytes: COMPOUND_BYTES, element_bytes: ELEMENT_BYTES }
        }
    }

    fn variant(self, name: &str) -> Compound {
        let mut outer = self.compound();
        outer.bytes += outer.element_bytes + name.len() as u64 + COMPOUND_BYTES;
        outer.element_bytes = ELEMENT_BYTES;
        outer
    }
}

impl Compound {
    fn element(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), fmt::Error> {
        self.bytes += self.element_bytes + name.len() as u64 + value_bytes(value)?;
        Ok(())
    }
}

type Sized64 = Result<u64, fmt::Error>;

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, number: $type) -> Sized64 {
            Ok(number_bytes(format_args!("{number:e}")))
        })*
    };
}

impl ser::Serializer for Sizer {
    type Ok = u64;
    type Error = fmt::Error;
    type SerializeSeq = Compound;
    type SerializeTuple = Compound;
    type SerializeTupleStruct = Compound;
    type SerializeTupleVariant = Compound;
    type SerializeMap = Compound;
    type SerializeStruct = Compound;
    type SerializeStructVariant = Compound;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    numbers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32);

    fn serialize_f64(self, number: f64) -> Sized64 {
        Ok(float_bytes(number))
    }

    fn serialize_bool(self, _: bool) -> Sized64 {
        Ok(1)
    }

    fn serialize_char(self, character: char) -> Sized64 {
        Ok(character.len_utf8() as u64)
    }

    fn serialize_str(self, text: &str) -> Sized64 {
        Ok(text.len() as u64)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Sized64 {
        Ok(bytes.len() as u64)
    }

    fn serialize_none(self) -> Sized64 {
        Ok(1)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Sized64 {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Sized64 {
        Ok(1)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Sized64 {
        Ok(1)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Sized64 {
        Ok(variant.len() as u64)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Sized64 {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Sized64 {
        let mut outer = self.compound();
        outer.element(variant, value)?;
        Ok(outer.bytes)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound, fmt::Error> {
        Ok(self.compound())
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound, fmt::Error> {
        Ok(self.compound())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound, fmt::Error> {
        Ok(self.compound())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound, fmt::Error> {
        Ok(self.variant(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound, fmt::Error> {
        Ok(self.compound())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound, fmt::Error> {
        Ok(self.compound())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound, fmt::Error> {
        Ok(self.variant(variant))
    }
}

macro_rules! lists {
    ($($trait:ident: $method:ident),*) => {
        $(impl ser::$trait for Compound {
            type Ok = u64;
            type Error = fmt::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
                self.element("", value)
            }

            fn end(self) -> Sized64 {
                Ok(self.bytes)
            }
        })*
    };
}

macro_rules! structures {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Compound {
            type Ok = u64;
            type Error = fmt::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), fmt::Error> {
                self.element(name, value)
            }

            fn end(self) -> Sized64 {
                Ok(self.bytes)
            }
        })*
    };
}

lists!(SerializeSeq: serialize_element, SerializeTuple: serialize_element);
lists!(SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);
structures!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound {
    type Ok = u64;
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), fmt::Error> {
        self.bytes += self.element_bytes + value_bytes(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        self.bytes += value_bytes(value)?;
        Ok(())
    }

    fn end(self) -> Sized64 {
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests;
