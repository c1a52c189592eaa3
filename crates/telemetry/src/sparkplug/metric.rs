//! One metric of a Sparkplug B payload, read where it stands.
//!
//! Field and type numbers are those of `sparkplug_b.proto`. Integers of every signed type are sent in the unsigned fields as
//! two's complement, so the type decides the value, and DATA messages usually leave the type to the BIRTH.

use anomaly_core::Quality;

use super::{Birth, SESSION};
use crate::payload::protobuf::{Field, Fields, Malformed};
use crate::poison::{Poison, PoisonReason, Shown};

/// Numbers of the types that are readings: 1 to 4 signed of 8 to 64 bits, 5 to 8 unsigned, 9 and 10 floats.
const NUMERIC: std::ops::RangeInclusive<u32> = 1..=10;
/// The number of `DateTime`, which is sent as an integer.
const DATE: u32 = 13;
/// The property that says how far a value can be trusted.
const QUALITY: &[u8] = b"Quality";

#[derive(Debug, Default)]
pub(super) struct Metric<'p> {
    pub(super) name: Option<&'p str>,
    pub(super) alias: Option<u64>,
    pub(super) timestamp: Option<u64>,
    pub(super) datatype: Option<u32>,
    pub(super) quality: Quality,
    value: Option<Value>,
    is_null: bool,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Whole(u64),
    Real(f64),
    /// A truth value, a text, or something larger.
    Other,
}

impl<'p> Metric<'p> {
    pub(super) fn read(message: &'p [u8]) -> Result<Self, Malformed> {
        let mut metric = Self::default();
        for field in Fields::of(message) {
            match field? {
                (1, name) => metric.name = Some(name.text()?),
                (2, alias) => metric.alias = Some(alias.varint()?),
                (3, millis) => metric.timestamp = Some(millis.varint()?),
                // 32-bit fields keep the low bits, as protobuf asks.
                (4, datatype) => metric.datatype = Some(datatype.varint()? as u32),
                (7, null) => metric.is_null = null.varint()? != 0,
                (9, properties) => metric.quality = quality(properties.bytes()?)?,
                (10, value) => metric.value = Some(Value::Whole(u64::from(value.varint()? as u32))),
                (11, value) => metric.value = Some(Value::Whole(value.varint()?)),
                (12, value) => metric.value = Some(Value::Real(f64::from(value.float()?))),
                (13, value) => metric.value = Some(Value::Real(value.double()?)),
                (14..=19, _) => metric.value = Some(Value::Other),
                _ => {}
            }
        }
        Ok(metric)
    }

    /// Whether a metric of this name is the protocol's own, not the machine's.
    pub(super) fn is_protocol(name: &str) -> bool {
        name == SESSION || name.starts_with("Node Control/") || name.starts_with("Device Control/")
    }

    /// Whether it is no reading although its values stand in the fields of numbers.
    pub(super) fn is_protocol_or_date(&self, name: &str) -> bool {
        Self::is_protocol(name) || self.datatype == Some(DATE)
    }

    pub(super) fn is_numeric(&self) -> bool {
        match (self.datatype, self.value) {
            (Some(datatype), _) => NUMERIC.contains(&datatype),
            (None, value) => matches!(value, Some(Value::Whole(_) | Value::Real(_))),
        }
    }

    /// The value as it stands in an integer field.
    pub(super) fn whole(&self) -> Option<u64> {
        if let Some(Value::Whole(bits)) = self.value { Some(bits) } else { None }
    }

    /// Name and value, with the help of the BIRTH where the metric does not tell them; none if it is no reading.
    pub(super) fn reading<'m>(&self, birth: Option<&'m Birth>) -> Result<Option<(&'m str, f64)>, Poison>
    where
        'p: 'm,
    {
        let told = birth.and_then(|birth| birth.find(self.name, self.alias));
        let datatype = self.datatype.or(told.map(|(_, datatype)| datatype));
        let value = match self.value {
            None | Some(Value::Other) => return Ok(None),
            Some(_) if self.is_null || datatype.is_some_and(|datatype| !NUMERIC.contains(&datatype)) => {
                return Ok(None);
            }
            Some(value) => value,
        };
        let Some(name) = self.name.or(told.map(|(name, _)| name)) else {
            return match birth {
                Some(birth) if self.alias.is_some_and(|alias| birth.is_no_number(alias)) => Ok(None),
                _ => Err(self.unknown()),
            };
        };
        if Self::is_protocol(name) {
            return Ok(None);
        }
        let number = match (value, datatype) {
            (Value::Real(number), _) => number,
            (Value::Whole(bits), Some(1)) => f64::from(bits as i8),
            (Value::Whole(bits), Some(2)) => f64::from(bits as i16),
            (Value::Whole(bits), Some(3)) => f64::from(bits as i32),
            (Value::Whole(bits), Some(4)) => bits as i64 as f64,
            (Value::Whole(bits), Some(_)) => bits as f64,
            // Below 2^31 every integer type means the same.
            (Value::Whole(bits), None) if bits < 1 << 31 => bits as f64,
            (Value::Whole(_), None) => return Err(self.unknown()),
            (Value::Other, _) => return Ok(None),
        };
        Ok(Some((name, number)))
    }

    fn unknown(&self) -> Poison {
        const REMEDY: &str = "is told by no BIRTH; send Node Control/Rebirth to the edge node";
        match (self.name, self.alias) {
            (Some(name), _) => {
                Poison::new(PoisonReason::UnknownAlias, format_args!("the type of `{}` {REMEDY}", Shown(name)))
            }
            (None, Some(alias)) => {
                Poison::new(PoisonReason::UnknownAlias, format_args!("the metric with alias {alias} {REMEDY}"))
            }
            (None, None) => Poison::new(PoisonReason::UnknownAlias, "a metric has neither name nor alias"),
        }
    }
}

/// The quality in a property set: keys and values are two lists that go together.
fn quality(set: &[u8]) -> Result<Quality, Malformed> {
    let (mut keys, mut values) = (0, 0);
    let mut at = None;
    for field in Fields::of(set) {
        if let (1, Field::Bytes(key)) = field? {
            if key == QUALITY {
                at = Some(keys);
            }
            keys += 1;
        }
    }
    let Some(at) = at else { return Ok(Quality::Good) };
    for field in Fields::of(set) {
        if let (2, Field::Bytes(value)) = field? {
            if values == at {
                return quality_value(value);
            }
            values += 1;
        }
    }
    Ok(Quality::Good)
}

fn quality_value(value: &[u8]) -> Result<Quality, Malformed> {
    let mut quality = Quality::Good;
    for field in Fields::of(value) {
        if let (3 | 4, code) = field? {
            quality = match code.varint()? {
                0 => Quality::Bad,
                192 => Quality::Good,
                // 500 is stale; any other code is none of Sparkplug's, so the value is not fully trusted.
                _ => Quality::Uncertain,
            };
        }
    }
    Ok(quality)
}
