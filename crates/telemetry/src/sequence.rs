//! Sequence numbers of Kinesis, in the one form that every store compares alike.
//!
//! They have up to 56 decimal digits: more than `u128` or a DynamoDB number holds. Padded with zeros to 56 digits, text
//! order is number order, in memory, in a DynamoDB condition and in the name of an object.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::payload::text::any_byte;

/// Digits of a padded sequence number.
pub const DIGITS: usize = 56;

/// A position in a shard. Ordered as the number it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber([u8; DIGITS]);

/// Text that is not a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// There is no digit.
    #[error("a sequence number is empty; expected 1 to {DIGITS} decimal digits")]
    Empty,
    /// Something else than a digit.
    #[error("a sequence number has {found:?} at byte {at}; expected 1 to {DIGITS} decimal digits")]
    NotADigit {
        /// Where, counted from 0.
        at: usize,
        /// What.
        found: char,
    },
    /// More digits than Kinesis gives.
    #[error("a sequence number has {bytes} digits; the limit is {DIGITS}")]
    TooLong {
        /// How many.
        bytes: usize,
    },
}

impl SequenceNumber {
    /// Before every record.
    pub const ZERO: Self = Self([b'0'; DIGITS]);

    /// All 56 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits are ASCII by construction, so the empty default never shows.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// All 56 digits, as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; DIGITS] {
        &self.0
    }

    /// Without leading zeros, as Kinesis gives it and as a batch response must name it.
    #[must_use]
    pub fn trimmed(&self) -> &str {
        let zeros = self.0.iter().take_while(|digit| **digit == b'0').count();
        &self.as_str()[zeros.min(DIGITS - 1)..]
    }
}

impl FromStr for SequenceNumber {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, SequenceError> {
        if text.is_empty() {
            return Err(SequenceError::Empty);
        }
        if any_byte(text.as_bytes(), |byte| !byte.is_ascii_digit())
            && let Some((at, found)) = text.char_indices().find(|(_, c)| !c.is_ascii_digit())
        {
            return Err(SequenceError::NotADigit { at, found });
        }
        let Some(zeros) = DIGITS.checked_sub(text.len()) else {
            return Err(SequenceError::TooLong { bytes: text.len() });
        };
        let mut digits = [b'0'; DIGITS];
        digits[zeros..].copy_from_slice(text.as_bytes());
        Ok(Self(digits))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SequenceNumber({})", self.trimmed())
    }
}

impl Serialize for SequenceNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SequenceNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl de::Visitor<'_> for Digits {
            type Value = SequenceNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "1 to {DIGITS} decimal digits as text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SequenceNumber, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().unwrap()
    }

    #[test]
    fn padded_and_trimmed_text_is_the_same_number() {
        let text = "49545115243490985018280067714973144582180062593244200961";
        assert_eq!(number(text).as_str(), text);
        assert_eq!(number("7").as_str().len(), DIGITS);
        assert_eq!(number(number("7").as_str()).trimmed(), "7");
        assert_eq!(number("0"), SequenceNumber::ZERO);
        assert_eq!(SequenceNumber::ZERO.trimmed(), "0");
    }

    #[test]
    fn other_text_is_refused() {
        assert_eq!("".parse::<SequenceNumber>(), Err(SequenceError::Empty));
        assert_eq!("12x".parse::<SequenceNumber>(), Err(SequenceError::NotADigit { at: 2, found: 'x' }));
        assert!("-1".parse::<SequenceNumber>().is_err() && "٣".parse::<SequenceNumber>().is_err());
        assert_eq!("1".repeat(57).parse::<SequenceNumber>(), Err(SequenceError::TooLong { bytes: 57 }));
    }

    proptest! {
        #[test]
        fn order_as_text_is_order_as_number(a: u128, b: u128, shift in 0_usize..=17) {
            let zeros = "0".repeat(shift);
            let (x, y) = (number(&format!("{a}{zeros}")), number(&format!("{b}{zeros}")));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.as_str().cmp(y.as_str()), a.cmp(&b));
        }

        #[test]
        fn serde_gives_back_what_it_took(a: u128) {
            let x = number(&a.to_string());
            let json = serde_json::to_string(&x).unwrap();
            prop_assert_eq!(serde_json::from_str::<SequenceNumber>(&json).unwrap(), x);
        }
    }
}
