//! Names and values of JSON as far as a row is concerned, without a tree of them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};

/// A text, borrowed where it has no escapes.
pub(super) struct Text<'l>(pub(super) Cow<'l, str>);

impl<'l> de::Deserialize<'l> for Text<'l> {
    fn deserialize<D: de::Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'l> Visitor<'l> for Borrowed {
            type Value = Text<'l>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Text<'l>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'l>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowed)
    }
}

/// A value.
pub(super) enum Member<'l> {
    Number(f64),
    Text(Cow<'l, str>),
    Other,
}

impl<'l> de::Deserialize<'l> for Member<'l> {
    fn deserialize<D: de::Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyMember)
    }
}

struct AnyMember;

impl<'l> Visitor<'l> for AnyMember {
    type Value = Member<'l>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_f64<E>(self, value: f64) -> Result<Member<'l>, E> {
        Ok(Member::Number(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Member<'l>, E> {
        Ok(Member::Number(value as f64))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Member<'l>, E> {
        Ok(Member::Number(value as f64))
    }
    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Member<'l>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Member<'l>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Member<'l>, E> {
        Ok(Member::Other)
    }
    fn visit_unit<E>(self) -> Result<Member<'l>, E> {
        Ok(Member::Other)
    }
    fn visit_seq<S: de::SeqAccess<'l>>(self, mut sequence: S) -> Result<Member<'l>, S::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
    fn visit_map<M: MapAccess<'l>>(self, mut map: M) -> Result<Member<'l>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}
