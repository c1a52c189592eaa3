//! Readings that are older than the newest of their metric: late on their way, sent once more, or of a clock that was set back.
//!
//! Only of the last is anything to be learned. A clock goes at one pace wherever it was set to, so that from reading to reading
//! their arrivals advance as their times do. A gateway that sends once more what it has kept is faster than that.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// So many readings in a row that are late, but in order among themselves and not sent faster than twice as they were measured,
/// mean that the device's clock was set back: from then on they are scored again.
pub const LATE_RUN_ACCEPTED: u8 = 32;

/// Most readings of a run that are counted.
const COUNT_MAX: u8 = 0x7f;
/// Marks, in the stored count, a run that is stored in full: it was not before version 3 of a shard's state.
const IN_FULL: u8 = 0x80;

/// The current run of late readings of one metric, if there is one: 8 bytes and mostly nothing behind them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late(Option<Box<Run>>);

/// Late readings in order. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
struct Run {
    readings: u8,
    /// Of the first one: when it was measured, and when it arrived.
    first: i64,
    first_arrived: i64,
    newest: i64,
}

impl Late {
    /// Takes one that is late. Whether it is the clock by now: then the run is over.
    pub(crate) fn is_set_back(&mut self, at: Timestamp, arrived: Timestamp) -> bool {
        let (at, arrived) = (at.millis(), arrived.millis());
        let run = match &mut self.0 {
            Some(run) if at > run.newest => {
                run.readings = (run.readings + 1).min(COUNT_MAX);
                run.newest = at;
                run
            }
            over => over.insert(Box::new(Run { readings: 1, first: at, first_arrived: arrived, newest: at })),
        };
        let [took, measured] = [arrived.saturating_sub(run.first_arrived), at.saturating_sub(run.first)];
        let is_clock = run.readings >= LATE_RUN_ACCEPTED && took.saturating_mul(2) >= measured;
        if is_clock {
            self.end();
        }
        is_clock
    }

    /// A reading that is not late has come.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }
}

impl Serialize for Late {
    /// Two numbers for no run, as every version has it; four for one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => (0_i64, 0_u8).serialize(serializer),
            Some(run) => (run.newest, IN_FULL | run.readings, run.first, run.first_arrived).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Late {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(4, Stored)
    }
}

struct Stored;

impl<'de> Visitor<'de> for Stored {
    type Value = Late;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run of late readings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Late, A::Error> {
        let short = || A::Error::custom("a run of late readings has two numbers or four");
        let newest: i64 = numbers.next_element()?.ok_or_else(short)?;
        let readings: u8 = numbers.next_element()?.ok_or_else(short)?;
        if readings & IN_FULL == 0 {
            // One that an earlier version was in the middle of begins anew.
            return Ok(Late::default());
        }
        let first = numbers.next_element()?.ok_or_else(short)?;
        let first_arrived = numbers.next_element()?.ok_or_else(short)?;
        Ok(Late(Some(Box::new(Run { readings: readings & COUNT_MAX, first, first_arrived, newest }))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_700_000_000_000;

    fn at(offset: i64) -> Timestamp {
        Timestamp::from_millis(T0 + offset).unwrap()
    }

    #[test]
    fn a_run_is_stored_and_goes_on() {
        let mut late = Late::default();
        let accepted = (0..40).find(|i| {
            late = serde_json::from_str(&serde_json::to_string(&late).unwrap()).unwrap();
            late.is_set_back(at(i * 1_000), at(i * 1_000 + 300))
        });
        assert_eq!(accepted, Some(i64::from(LATE_RUN_ACCEPTED) - 1));
        assert_eq!(serde_json::to_string(&late).unwrap(), "[0,0]");
    }

    #[test]
    fn a_run_of_an_earlier_version_begins_anew() {
        let mut late: Late = serde_json::from_str("[1700000000000,31]").unwrap();
        assert!(!late.is_set_back(at(1_000), at(1_000)));
        assert!(serde_json::from_str::<Late>("[1700000000000,160]").is_err());
    }

    #[test]
    fn times_that_nobody_measured_are_no_pace() {
        let stored = format!("[{},255,{},{}]", i64::MIN, i64::MIN, i64::MAX);
        let mut late: Late = serde_json::from_str(&stored).unwrap();
        assert!(!late.is_set_back(at(0), at(0)));
    }
}
