//! JSON values as far as telemetry needs them: numbers and texts; what is nested is skipped, its depth counted.
//!
//! `serde_json` would descend 128 levels; the bound here is lower, and a record that breaks it costs its first
//! [`DEPTH_MAX`] levels, not its length. The depth is counted while the text is read, never by a second pass.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::payload::text::{Arena, Text};
use crate::poison::{DEPTH_MAX, Poison, PoisonReason};

/// A value of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'p> {
    Number(f64),
    Text(Text<'p>),
    Bool,
    Null,
    Nested,
}

/// What the visitors of one text share.
#[derive(Debug)]
pub(crate) struct State<'r> {
    pub(crate) arena: &'r mut Arena,
    /// The first thing that makes the message poison although it is well-formed so far; reading goes on.
    pub(crate) fault: Option<Poison>,
    /// Why reading was given up.
    pub(crate) stop: Option<Poison>,
}

impl<'r> State<'r> {
    pub(crate) fn new(arena: &'r mut Arena) -> Self {
        Self { arena, fault: None, stop: None }
    }

    pub(crate) fn fault(&mut self, reason: PoisonReason, detail: impl fmt::Display) {
        if self.fault.is_none() {
            self.fault = Some(Poison::new(reason, detail));
        }
    }

    /// Gives up: the error only unwinds the parser, the poison is what is reported.
    pub(crate) fn stop<E: de::Error>(&mut self, reason: PoisonReason, detail: impl fmt::Display) -> E {
        self.stop.get_or_insert(Poison::new(reason, detail));
        E::custom("given up")
    }
}

/// Reads a key.
pub(crate) struct Key<'s, 'r>(pub(crate) &'s mut State<'r>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Text<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(self.0.arena.keep(text))
    }
}

/// Reads a value. `depth` is that of the object or array it stands in.
pub(crate) struct Value<'s, 'r> {
    pub(crate) state: &'s mut State<'r>,
    pub(crate) depth: usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Text::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(self.state.arena.keep(text)))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
        Skip { state: self.state, depth: self.depth + 1 }.visit_map(map).map(|()| Scalar::Nested)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar<'de>, A::Error> {
        Skip { state: self.state, depth: self.depth + 1 }.visit_seq(seq).map(|()| Scalar::Nested)
    }
}

/// Skips a value and all that is in it. `depth` is what the value has if it is an object or array.
pub(crate) struct Skip<'s, 'r> {
    pub(crate) state: &'s mut State<'r>,
    pub(crate) depth: usize,
}

impl Skip<'_, '_> {
    fn check<E: de::Error>(&mut self) -> Result<(), E> {
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(self.state.stop(
            PoisonReason::TooDeep,
            format_args!("objects and arrays nested deeper than {DEPTH_MAX}; send readings at the top level"),
        ))
    }
}

impl<'de> DeserializeSeed<'de> for Skip<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.check()?;
        while map.next_key_seed(Skip { state: self.state, depth: self.depth })?.is_some() {
            map.next_value_seed(Skip { state: self.state, depth: self.depth + 1 })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.check()?;
        while seq.next_element_seed(Skip { state: self.state, depth: self.depth + 1 })?.is_some() {}
        Ok(())
    }
}
