//! Middle and spread of the bulk of numbers that come one by one, in bounded memory.
//!
//! Mean and standard deviation answer for everything: a machine that is switched off for a twentieth of the time doubles the
//! one and moves the other. Quartiles do not notice. They are those of an even sample: a number is kept if a hash of its
//! place is below a limit, which is halved whenever the sample is full.

use telemetry::inference::mix;

/// Most numbers that are kept: the spread is then known to a tenth.
const KEPT_MAX: usize = 256;
/// Between the quartiles of a normal distribution lie so many standard deviations.
const DEVIATIONS_BETWEEN_QUARTILES: f64 = 1.349;

/// An even sample.
#[derive(Debug, Clone, Default)]
pub(crate) struct Middle {
    kept: Vec<(u32, f32)>,
    count: u64,
    /// How often the limit was halved.
    halvings: u32,
}

impl Middle {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        let hash = (mix(self.count) >> 32) as u32;
        if hash > self.limit() {
            return;
        }
        self.kept.push((hash, value as f32));
        while self.kept.len() > KEPT_MAX {
            self.halvings += 1;
            let limit = self.limit();
            self.kept.retain(|(hash, _)| *hash <= limit);
        }
    }

    fn limit(&self) -> u32 {
        u32::MAX.checked_shr(self.halvings).unwrap_or(0)
    }

    /// The median, and what the standard deviation would be if all were like the middle half; none of fewer than four.
    pub(crate) fn median_and_spread(&self) -> Option<(f64, f64)> {
        let mut sorted: Vec<f32> = self.kept.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f32::total_cmp);
        let last = sorted.len().checked_sub(1).filter(|last| *last >= 3)?;
        let [lower, median, upper] =
            [0.25, 0.5, 0.75].map(|share| f64::from(sorted[(share * last as f64).round() as usize]));
        Some((median, (upper - lower) / DEVIATIONS_BETWEEN_QUARTILES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bulk_is_found_whatever_else_there_is() {
        let mut middle = Middle::default();
        for number in 0..100_000_u32 {
            // A twentieth of the time it is off; else it is even between 90 and 110.
            middle.add(if number % 20 == 0 { 0.0 } else { 90.0 + f64::from(number * 7 % 2_000) / 100.0 });
        }
        assert!(middle.kept.len() <= KEPT_MAX && middle.kept.len() > KEPT_MAX / 3);
        let (median, spread) = middle.median_and_spread().unwrap();
        assert!((97.0..103.0).contains(&median) && (5.5..10.0).contains(&spread), "{median} {spread}");
    }

    #[test]
    fn few_numbers_have_no_middle() {
        let mut middle = Middle::default();
        assert_eq!(middle.median_and_spread(), None);
        for _ in 0..4 {
            middle.add(3.0);
        }
        assert_eq!(middle.median_and_spread(), Some((3.0, 0.0)));
    }
}
