//! Ranks by order of magnitude: a histogram with two bins an octave, that forgets.

use serde::{Deserialize, Serialize};

/// Bins: 32 octaves.
const BINS: usize = 64;
/// Bins an octave.
const PER_OCTAVE: f64 = 2.0;
/// At this many entries all counts are halved.
const TOTAL_MAX: f32 = 1_500.0;

/// Counts of magnitudes: 264 bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Histogram {
    /// Index of the lowest bin, in bins from magnitude 1; `None` before the first entry.
    lowest: Option<i32>,
    counts: Vec<f32>,
    /// Sums of the counts above each bin, as long as they hold.
    #[serde(skip)]
    above: Vec<f64>,
}

/// The place of a magnitude: looked up once for all histograms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place(Option<f64>);

impl Place {
    /// Where a magnitude belongs.
    pub(super) fn of(magnitude: f64) -> Self {
        Self(place(magnitude))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { lowest: None, counts: vec![0.0; BINS], above: Vec::new() }
    }
}

/// Place of a magnitude in bins from 1, or nothing for 0.
fn place(magnitude: f64) -> Option<f64> {
    (magnitude > 0.0).then(|| PER_OCTAVE * libm::log2(magnitude))
}

impl Histogram {
    /// Counts a magnitude. What is below the lowest bin counts there; above the highest, the bins move up.
    pub(super) fn add(&mut self, magnitude: f64) {
        let bin = match place(magnitude) {
            None => 0,
            Some(place) => {
                let place = libm::floor(place) as i32;
                let lowest = *self.lowest.get_or_insert(place - BINS as i32 / 2);
                let above = place - (lowest + BINS as i32 - 1);
                if above > 0 {
                    self.move_up(above as usize);
                    self.lowest = Some(lowest + above);
                }
                (place - self.lowest.unwrap_or(lowest)).clamp(0, BINS as i32 - 1) as usize
            }
        };
        self.counts[bin] += 1.0;
        self.above.clear();
    }

    fn move_up(&mut self, bins: usize) {
        let bins = bins.min(BINS);
        let swallowed: f32 = self.counts[..bins].iter().sum();
        self.counts.rotate_left(bins);
        self.counts[BINS - bins..].fill(0.0);
        self.counts[0] += swallowed;
    }

    /// Halves every count.
    pub(super) fn halve(&mut self) {
        self.counts.iter_mut().for_each(|count| *count *= 0.5);
        self.above.clear();
    }

    /// Whether a total has grown so far that counts are to be halved.
    pub(super) fn is_full(total: f32) -> bool {
        total >= TOTAL_MAX
    }

    /// How many entries are at least so large; within a bin they count as evenly spread.
    pub(super) fn at_least(&mut self, place: Place) -> f64 {
        if self.above.is_empty() {
            self.above.resize(BINS, 0.0);
            for bin in (1..BINS).rev() {
                self.above[bin - 1] = self.above[bin] + f64::from(self.counts[bin]);
            }
        }
        let within = match (place.0, self.lowest) {
            (Some(place), Some(lowest)) => place - f64::from(lowest),
            _ => -1.0,
        };
        if within < 0.0 {
            return self.above[0] + f64::from(self.counts[0]);
        }
        let bin = within as usize;
        if bin >= BINS {
            return 0.0;
        }
        self.above[bin] + f64::from(self.counts[bin]) * (1.0 - (within - bin as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_values_are_rarer_and_the_largest_so_far_is_rarest() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|value| histogram.add(f64::from(value)));
        assert!((histogram.at_least(Place::of(500.0)) / 500.0 - 1.0).abs() < 0.1);
        assert!(histogram.at_least(Place::of(1_500.0)) <= 1e-9);
        assert!((histogram.at_least(Place::of(0.0)) - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn magnitudes_of_any_size_find_a_place() {
        let mut histogram = Histogram::default();
        for magnitude in [1e-300, 0.0, 1e300, 1.0, f64::MAX] {
            histogram.add(magnitude);
        }
        assert!((histogram.at_least(Place::of(0.0)) - 5.0).abs() < 1e-9);
    }
}
