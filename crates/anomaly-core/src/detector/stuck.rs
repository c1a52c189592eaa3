//! Stuck: a sensor that says the same thing again and again, more often than it ever did.
//!
//! How surprising a run of equal values is depends on how often this metric repeats itself anyway: a counter of rounds
//! does it all the time, a temperature with two decimals hardly ever. So the metric's own rate of repeats decides, and the
//! longest run it had while all was well. Zero does not count: a machine that is switched off says it for hours, and a sensor
//! that falls to zero while its machine runs is plain to see for all other detectors.

use serde::{Deserialize, Serialize};

use super::{Detector, DetectorId, Evidence, Input, Rarity};

/// Readings before it has an opinion.
const WARM_UP: u32 = 100;
/// Shorter runs say nothing.
const RUN_MIN: u32 = 6;
/// Surprise of a run, in natural units, that is the alarm line: a chance of 1 in 33,000.
const SURPRISE: f64 = 10.4;

/// State of the stuck detector: 24 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stuck {
    last: f64,
    seen: u32,
    /// Repeats in runs that have ended.
    repeats: u32,
    /// Repeats in the run that goes on.
    run: u32,
    /// The longest run that is known to be normal.
    longest: u32,
}

impl Stuck {
    /// The last value; 0 before the first.
    pub(crate) fn last(&self) -> f64 {
        self.last
    }

    fn strength(&self) -> f64 {
        if self.run < RUN_MIN {
            return 0.0;
        }
        let ended = f64::from(self.seen - self.run);
        let rate = (f64::from(self.repeats) + 0.5) / (ended + 1.0);
        let surprise = -f64::from(self.run) * libm::log(rate.min(0.999)) / SURPRISE;
        surprise.min(f64::from(self.run) / (3.0 * f64::from(self.longest) + 4.0))
    }
}

impl Detector for Stuck {
    fn observe(&mut self, input: &Input<'_>) -> Evidence {
        let repeats = self.seen > 0 && input.value != 0.0 && input.value.to_bits() == self.last.to_bits();
        self.seen = self.seen.saturating_add(1);
        if repeats {
            self.run += 1;
        } else {
            self.longest = self.longest.max(if self.strength() < 1.0 { self.run } else { 0 });
            self.repeats = self.repeats.saturating_add(self.run);
            self.run = 0;
        }
        self.last = input.value;
        // A run that began while this was still warming up is how the metric is.
        if self.seen - self.run <= WARM_UP {
            self.longest = self.longest.max(self.run);
        }
        let mut evidence = Evidence::none(DetectorId::Stuck, input.value);
        if self.is_warm() {
            evidence.strength = self.strength();
            evidence.rarity = Rarity::Tail(libm::exp(-SURPRISE * evidence.strength));
        }
        evidence
    }

    fn is_warm(&self) -> bool {
        self.seen > WARM_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MetricSettings, Timestamp};

    fn strengths(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let settings = MetricSettings::default();
        let mut stuck = Stuck::default();
        values
            .into_iter()
            .map(|value| stuck.observe(&Input { value, at: Timestamp::MIN, settings: &settings }).strength)
            .collect()
    }

    #[test]
    fn a_sensor_that_freezes_is_reported_within_some_readings() {
        let found = strengths((0..300).map(|i| f64::from(i * 37 % 101)).chain(std::iter::repeat_n(5.0, 30)));
        assert!(found[..300].iter().all(|s| *s < 1.0));
        let first = found.iter().position(|s| *s >= 1.0).unwrap();
        assert!((305..=310).contains(&first), "{first}");
    }

    #[test]
    fn a_machine_that_is_switched_off_is_not_stuck() {
        let found = strengths((0..300).map(|i| f64::from(i * 37 % 101)).chain(std::iter::repeat_n(0.0, 300)));
        assert!(found.iter().all(|s| *s < 1.0));
    }

    #[test]
    fn a_metric_that_is_constant_by_nature_is_left_alone() {
        assert!(strengths(std::iter::repeat_n(1.0, 5_000)).iter().all(|s| *s < 1.0));
    }

    #[test]
    fn a_metric_that_repeats_itself_often_may_do_so() {
        let found = strengths((0..5_000).map(|i| f64::from(i / 9 % 3)));
        assert!(found.iter().all(|s| *s < 1.0));
    }
}
