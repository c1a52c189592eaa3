//! The forms in which devices write a time.

use anomaly_core::Timestamp;

use crate::poison::{Poison, PoisonReason, Shown};

/// Below this a number is seconds, from it on milliseconds: 1e11 seconds is the year 5138, 1e11 milliseconds is 1973.
const MILLIS_FROM: f64 = 1e11;

/// Seconds, which may have a fraction, or milliseconds since 1970.
///
/// # Errors
/// [`PoisonReason::TimeImpossible`] outside 1980 to 2200.
pub(crate) fn from_number(number: f64) -> Result<Timestamp, Poison> {
    let millis = if number.abs() < MILLIS_FROM { number * 1000.0 } else { number };
    // The conversion saturates, and what saturates is out of range.
    Timestamp::from_millis(millis.round() as i64).map_err(|error| Poison::new(PoisonReason::TimeImpossible, error))
}

/// RFC 3339, with any offset.
///
/// # Errors
/// [`PoisonReason::TimeImpossible`] for any other text, and outside 1980 to 2200.
pub(crate) fn from_text(text: &str) -> Result<Timestamp, Poison> {
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        Poison::new(
            PoisonReason::TimeImpossible,
            format_args!(
                "`{}` is not a time; send seconds or milliseconds of UTC as a number, or RFC 3339",
                Shown(text)
            ),
        )
    })?;
    Timestamp::from_millis(at.as_millisecond()).map_err(|error| Poison::new(PoisonReason::TimeImpossible, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_rfc_3339_are_the_same_instant() {
        let at = Timestamp::from_millis(1_793_534_400_250).unwrap();
        assert_eq!(from_number(1_793_534_400.25), Ok(at));
        assert_eq!(from_number(1_793_534_400_250.0), Ok(at));
        assert_eq!(from_text("2026-11-01T12:00:00.250Z"), Ok(at));
        assert_eq!(from_text("2026-11-01T13:00:00.25+01:00"), Ok(at));
    }

    #[test]
    fn a_clock_that_was_never_set_is_impossible() {
        for number in [0.0, 86_400.0, -1.0, 9e15, f64::MAX] {
            assert_eq!(from_number(number).unwrap_err().reason(), PoisonReason::TimeImpossible, "{number}");
        }
        for text in ["", "yesterday", "1970-01-01T00:00:00Z", "2026-11-01", "2026-13-01T00:00:00Z"] {
            assert_eq!(from_text(text).unwrap_err().reason(), PoisonReason::TimeImpossible, "{text}");
        }
    }
}
