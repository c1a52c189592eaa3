//! Count, mean, spread and ends of numbers that come one by one (Welford, "Note on a method for calculating corrected sums of
//! squares and products", Technometrics 1962).

use serde::{Deserialize, Serialize};

/// What is kept of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Moments {
    /// Adds a finite number. Beyond 1e150 it counts as that: its square would be no number.
    pub(crate) fn add(&mut self, value: f64) {
        let value = value.clamp(-1e150, 1e150);
        self.count += 1;
        let from_before = value - self.mean;
        self.mean += from_before / self.count as f64;
        self.squares += from_before * (value - self.mean);
        (self.low, self.high) = (self.low.min(value), self.high.max(value));
    }

    /// Adds all numbers of the other one (Chan, Golub and `LeVeque`, "Updating formulae and a pairwise algorithm for computing
    /// sample variances", 1979).
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.squares += other.squares + apart * apart * self.count as f64 * share;
        self.mean += apart * share;
        self.count = count;
        (self.low, self.high) = (self.low.min(other.low), self.high.max(other.high));
    }

    /// The standard deviation of the sample; 0 of fewer than two numbers.
    pub(crate) fn deviation(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / (self.count - 1) as f64).max(0.0).sqrt() }
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
    fn mean_and_deviation_are_those_of_the_textbook() {
        let moments = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert!((moments.mean - 5.0).abs() < 1e-12 && (moments.deviation() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!((moments.low, moments.high, of(&[3.0]).deviation()), (2.0, 9.0, 0.0));
    }

    #[test]
    fn two_halves_make_the_whole() {
        let values = [1e6, 1e6 + 1.0, 1e6 + 4.0, -3.0, 8.5];
        let (mut left, right) = (of(&values[..2]), of(&values[2..]));
        left.merge(&right);
        left.merge(&Moments::default());
        let whole = of(&values);
        assert!((left.mean - whole.mean).abs() < 1e-6 && (left.deviation() / whole.deviation() - 1.0).abs() < 1e-12);
        assert_eq!((left.count, left.low, left.high), (5, -3.0, 1e6 + 4.0));
    }
}
