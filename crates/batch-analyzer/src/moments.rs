//! Mean and spread of a run of values, one at a time (Welford, Technometrics 1962; merged after Chan and others,
//! "Updating formulae and a pairwise algorithm", 1979).

use serde::{Deserialize, Serialize};

/// What is known of some values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared departures from the mean.
    squares: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Moments {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        if self.count == 0 {
            (self.low, self.high) = (value, value);
        }
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    /// Adds all that the other one has seen.
    pub fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if other.count > 0 {
                *self = *other;
            }
            return;
        }
        let (own, more) = (self.count as f64, other.count as f64);
        let off = other.mean - self.mean;
        self.count += other.count;
        self.mean += off * more / (own + more);
        self.squares += other.squares + off * off * own * more / (own + more);
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// Standard deviation of the values themselves (not of a population that they were drawn from).
    #[must_use]
    pub fn deviation(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).max(0.0).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        for value in values {
            moments.add(*value);
        }
        moments
    }

    #[test]
    fn known_values_have_their_known_moments() {
        let moments = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((moments.mean, moments.deviation(), moments.low, moments.high), (5.0, 2.0, 2.0, 9.0));
        assert!(of(&[]).deviation().abs() < f64::EPSILON);
    }

    proptest::proptest! {
        #[test]
        fn merged_is_as_if_seen_together(
            one in proptest::collection::vec(-1e6..1e6_f64, 0..50), two in proptest::collection::vec(-1e6..1e6_f64, 0..50)
        ) {
            let (mut merged, whole) = (of(&one), of(&[one.clone(), two.clone()].concat()));
            merged.merge(&of(&two));
            proptest::prop_assert_eq!((merged.count, merged.low, merged.high), (whole.count, whole.low, whole.high));
            proptest::prop_assert!((merged.mean - whole.mean).abs() < 1e-6);
            proptest::prop_assert!((merged.deviation() - whole.deviation()).abs() < 1e-6);
        }
    }
}
