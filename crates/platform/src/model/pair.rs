//! What two regions that stand in for each other must agree on: whose word counts, and which devices live where.

use std::fmt;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Which region has the say over a stream, and since which change of it. A stream without one has its epoch 0: nobody was
/// ever told to take over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts the changes. It only rises.
    pub epoch: u64,
    /// The region that producers send to from here on.
    pub active: String,
    /// It was told that another is to take over, which has not yet: nobody has the say, and who tells people stays who it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_fenced: bool,
    /// When it began, by the clock of whoever wrote it.
    pub since: Timestamp,
}

impl Epoch {
    /// Key of a stream's epoch among the checkpoints. A stream's name holds no `#`, so no checkpoint has this key.
    #[must_use]
    pub fn partition_key(stream: &str) -> &str {
        stream
    }
}

/// In a transaction: it holds only while nobody has begun a newer epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochGuard<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The newest epoch that is known to who commits. A newer one in the store refuses the transaction.
    pub newest: u64,
}

/// Hash keys (MD5 of a partition key as a 128-bit number) from the first to the last, both included.
///
/// Stored as text, `first-last` in hexadecimal: a number of DynamoDB has 38 digits, a hash key up to 39.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashRange {
    /// The first.
    pub first: u128,
    /// The last.
    pub last: u128,
}

/// The text is no range of hash keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no range of hash keys: two hexadecimal numbers with a `-` between, the first not above the last", .0.escape_debug())]
pub struct HashRangeError(String);

impl HashRange {
    /// Every hash key.
    pub const ALL: Self = Self { first: 0, last: u128::MAX };

    /// The hash keys that are in both.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        let both = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        (both.first <= both.last).then_some(both)
    }

    /// What is left without the other's: nothing, one range or two.
    pub fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let below = other.first.checked_sub(1).map(|last| Self { first: self.first, last: self.last.min(last) });
        let above = other.last.checked_add(1).map(|first| Self { first: self.first.max(first), last: self.last });
        below.into_iter().chain(above).filter(|range| range.first <= range.last)
    }
}

impl From<(u128, u128)> for HashRange {
    fn from((first, last): (u128, u128)) -> Self {
        Self { first, last }
    }
}

impl fmt::Display for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.first, self.last)
    }
}

impl From<HashRange> for String {
    fn from(range: HashRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for HashRange {
    type Error = HashRangeError;
    fn try_from(text: String) -> Result<Self, HashRangeError> {
        let number = |digits: &str| u128::from_str_radix(digits, 16).ok();
        let ends = text.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
        ends.filter(|(first, last)| first <= last).map(Self::from).ok_or(HashRangeError(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range() -> impl Strategy<Value = HashRange> {
        let end = prop_oneof![0..20_u128, (u128::MAX - 20)..=u128::MAX];
        (end.clone(), end).prop_map(|(a, b)| HashRange { first: a.min(b), last: a.max(b) })
    }

    proptest! {
        #[test]
        fn a_range_is_what_it_shares_with_another_and_what_it_does_not(a in range(), b in range(), key in prop_oneof![0..21_u128, (u128::MAX - 21)..=u128::MAX]) {
            let has = |range: HashRange| (range.first..=range.last).contains(&key);
            prop_assert_eq!(a.overlap(b).is_some_and(has), has(a) && has(b));
            prop_assert_eq!(a.without(b).filter(|part| has(*part)).count(), usize::from(has(a) && !has(b)));
        }

        #[test]
        fn text_gives_the_range_back(a in range()) {
            prop_assert_eq!(HashRange::try_from(String::from(a)), Ok(a));
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "1", "2-1", "g-h", "-1", "1-", "0-100000000000000000000000000000000"] {
            assert!(HashRange::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
