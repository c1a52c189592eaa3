//! Mean and spread of a run of values, one at a time (Welford, "Note on a method for calculating corrected sums of squares and
//! products", Technometrics 1962; merged after Chan, Golub and `LeVeque`, "Updating formulae and a pairwise algorithm for computing
//! sample variances", 1979).

/// Beyond this a value counts as this: its square would be no number.
const VALUE_MAX: f64 = 1e150;

/// What is kept of some values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// Their mean; 0 of none.
    pub mean: f64,
    /// Sum of squared departures from the mean.
    squares: f64,
    /// The lowest; 0 of none.
    pub low: f64,
    /// The highest; 0 of none.
    pub high: f64,
}

impl Moments {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
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
        let off = other.mean - self.mean;
        let own = self.count as f64;
        self.count += other.count;
        let share = other.count as f64 / self.count as f64;
        self.mean += off * share;
        self.squares += other.squares + off * off * own * share;
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
        assert_eq!((of(&[]).deviation(), of(&[3.0]).deviation(), of(&[-3.0]).high), (0.0, 0.0, -3.0));
    }

    #[test]
    fn values_of_any_size_have_finite_moments() {
        let mut moments = of(&[f64::MAX, f64::MIN, 1.0]);
        moments.merge(&of(&[f64::MIN; 3]));
        assert!(moments.mean.is_finite() && moments.deviation().is_finite(), "{moments:?}");
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
