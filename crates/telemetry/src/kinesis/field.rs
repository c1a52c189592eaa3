//! A field of the event's envelope, of whatever type it turns out to be.
//!
//! A wrong type in one record must not fail the other records, so the type is looked at later. What is neither text nor
//! number is skipped, not kept.

use std::{borrow::Cow, fmt};

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Default)]
pub(super) enum Field<'e> {
    Text(Cow<'e, str>),
    Number(f64),
    #[default]
    Other,
}

impl<'e> Field<'e> {
    pub(super) fn text(self) -> Option<Cow<'e, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }
}

impl<'de: 'e, 'e> Deserialize<'de> for Field<'e> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of a Kinesis record")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
