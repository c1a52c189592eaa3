//! Instants as data: milliseconds of UTC, within the span that a working clock can show.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An instant in milliseconds since 1970-01-01T00:00:00Z, from 1980 up to 2200.
///
/// A device whose clock was never set reports 1970; such a time is refused where it is parsed and never reaches a
/// detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// A time that no working clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} ms since 1970 is outside 1980-01-01 to 2200-01-01; send milliseconds or seconds of UTC, or RFC 3339")]
pub struct TimeError(pub i64);

/// Milliseconds of one day.
const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// 1980-01-01T00:00:00Z.
    pub const MIN: Self = Self(315_532_800_000);
    /// 2200-01-01T00:00:00Z.
    pub const MAX: Self = Self(7_258_118_400_000);

    /// Takes milliseconds since 1970.
    ///
    /// # Errors
    /// [`TimeError`] outside 1980 to 2200.
    pub const fn from_millis(millis: i64) -> Result<Self, TimeError> {
        if millis < Self::MIN.0 || millis > Self::MAX.0 { Err(TimeError(millis)) } else { Ok(Self(millis)) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Milliseconds since the last midnight of UTC, 0 to 86,399,999.
    #[must_use]
    pub const fn millis_of_day(self) -> i64 {
        self.0.rem_euclid(DAY_MS)
    }

    /// Whole hours since 1970: the unit of the lake's partitions.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000)
    }

    /// `YYYY-MM-DD` of UTC.
    #[must_use]
    pub fn date(self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = TimeError;
    fn try_from(millis: i64) -> Result<Self, TimeError> {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for i64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

/// RFC 3339 in UTC with milliseconds, so that text order is time order.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_span_are_inside_and_beyond_is_outside() {
        assert_eq!(Timestamp::MIN.to_string(), "1980-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "2200-01-01T00:00:00.000Z");
        assert!(Timestamp::from_millis(Timestamp::MIN.millis() - 1).is_err());
        assert!(Timestamp::from_millis(Timestamp::MAX.millis() + 1).is_err());
        assert!(Timestamp::from_millis(0).is_err());
    }

    #[test]
    fn time_of_day_and_date_are_those_of_utc() {
        let at = Timestamp::from_millis(1_700_000_000_123).unwrap();
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(at.date(), "2023-11-14");
        assert_eq!(at.millis_of_day(), (22 * 3600 + 13 * 60 + 20) * 1000 + 123);
    }
}
