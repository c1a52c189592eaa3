//! Silver: one row a reading with what the engine made of it, as Parquet that Athena and `DuckDB` read in place.
//!
//! | column | type | what |
//! |---|---|---|
//! | `tenant`, `device`, `metric` | UTF-8 | whose reading; the metric under the profile's name |
//! | `ts` | milliseconds, UTC | when it was measured |
//! | `value` | double | exact |
//! | `score` | float | how strongly the reading speaks for a fault, 1.0 is the alarm line; kept to 1 part in 128 |
//! | `alert` | float | strength of the alert raised with this reading, 0 for none; kept like `score` |
//! | `expected` | double | what was expected; kept to 1 part in 64 of the distance to `value` |
//! | `outcome`, `quality` | UTF-8 | the stored names of [`anomaly_core::Outcome`] and [`anomaly_core::Quality`] |
//! | `seq` | 24 bytes | the sequence number as a big-endian number, so that byte order is number order |
//! | `sub` | int | which user record of an aggregate |
//! | `arrived` | milliseconds, UTC | when Kinesis took the record |
//! | `opinion` | float, or nothing | what a second model said of the device at that time, 1.0 is its alarm line; exact. Objects of batches without any lack the column |
//!
//! Rows stand in the order of the stream. `score`, `alert` and `expected` lose the end of their fraction, toward zero: those
//! digits mean nothing to anybody and would be a third of the file. The alarm line is never crossed by it, and the side on
//! which a value stood of what was expected stays. Equal rows give equal objects: no time and no version of a library is
//! written.
//!
//! What this does not do: read Parquet of any other schema, or drop readings that two objects share.

mod encode;
mod file;
mod names;
mod opinions;
mod packed;
mod read;
mod schema;
mod shape;
mod thrift;
mod values;
mod write;

use anomaly_core::{Outcome, Quality, Timestamp};

pub use self::read::SilverReader;
pub use self::schema::{OPINION, SCHEMA};
pub use self::shape::Misshapen;
pub use self::write::{SilverCell, SilverHead, SilverWriter};
use crate::sequence::SequenceNumber;

/// One reading, scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SilverRow<'a> {
    /// Whose device it is.
    pub tenant: &'a str,
    /// The device.
    pub device: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// When it was measured.
    pub at: Timestamp,
    /// The value, in the metric's unit.
    pub value: f64,
    /// How strongly the reading speaks for a fault, in units of the alarm line.
    pub score: f32,
    /// Strength of the alert raised with this reading; 0 for none.
    pub alert: f32,
    /// What was expected, in the metric's unit.
    pub expected: f64,
    /// What became of the reading.
    pub outcome: Outcome,
    /// What the source said of it.
    pub quality: Quality,
    /// The record it came in.
    pub seq: SequenceNumber,
    /// Which user record of an aggregate, from 0.
    pub sub: u32,
    /// When Kinesis took the record.
    pub arrived: Timestamp,
    /// What a second model said of the device at that time, in units of its alarm line; `None` where it was not asked or did
    /// not answer.
    pub opinion: Option<f32>,
}

impl SilverRow<'_> {
    /// The row as it is kept: the fractions of `score`, `alert` and `expected` cut.
    #[must_use]
    pub fn kept(self) -> Self {
        Self {
            score: cut_score(self.score),
            alert: cut_score(self.alert),
            expected: cut_expected(self.expected, self.value),
            ..self
        }
    }
}

/// Keeps 7 of the 23 bits of the fraction.
fn cut_score(score: f32) -> f32 {
    f32::from_bits(score.to_bits() & (u32::MAX << 16))
}

/// Keeps of the fraction what tells `expected` to 1 part in 64 of how far off the value was: few bits where readings vary
/// by a tenth of their level, more where they vary by a thousandth, all where they hardly vary.
fn cut_expected(expected: f64, value: f64) -> f64 {
    const BITS: i64 = 6;
    let exponent = |number: f64| (number.to_bits() >> 52 & 0x7ff) as i64;
    let kept = (exponent(expected) - exponent(value - expected) + BITS).clamp(0, 52);
    f64::from_bits(expected.to_bits() & (u64::MAX << (52 - kept)))
}

/// The stored name: the one that serde reads, which a test holds.
const fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "good",
        Quality::Uncertain => "uncertain",
        Quality::Bad => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quality_has_the_name_that_serde_reads() {
        for quality in [Quality::Good, Quality::Uncertain, Quality::Bad] {
            assert_eq!(serde_json::to_string(&quality).unwrap(), format!("\"{}\"", quality_name(quality)));
        }
    }

    #[test]
    fn cutting_a_score_never_crosses_the_alarm_line_and_moves_it_little() {
        for score in [0.0_f32, 0.999, 0.999_99, 1.0, 1.000_001, 1.5, 40.0, 1e30] {
            assert_eq!(cut_score(score) >= 1.0, score >= 1.0, "{score}");
            assert!(score - cut_score(score) <= score / 128.0, "{score}");
        }
    }

    #[test]
    fn cutting_what_was_expected_keeps_how_far_off_the_value_was() {
        for (expected, value) in [
            (80.123_456_789, 83.2),
            (101_325.321, 101_320.0),
            (-3.3, 0.1),
            (0.1, 1e6),
            (0.0, 5.0),
            (25.1, 25.1),
            (5e-324, 1.0),
            (1.0, 1.000_000_000_000_000_2),
        ] {
            let kept = cut_expected(expected, value);
            let (off, off_kept) = (value - expected, value - kept);
            assert!((off - off_kept).abs() <= off.abs() / 32.0, "{expected} {kept} {value}");
            assert!(off == 0.0 || off.signum() == off_kept.signum(), "{expected} {kept} {value}");
        }
    }
}
