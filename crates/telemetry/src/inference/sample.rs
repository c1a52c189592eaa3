//! A bounded sample of scores, each with the same chance, and the same one each time: it depends on which there are
//! and on nothing else, neither on their order nor on how they were cut into parts.
//!
//! Whether one is in the sample follows from a hash of its number: those with the smallest hashes are (bottom-k
//! sampling; Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). Samples of two sets make the sample of
//! both.

use std::collections::BTreeMap;

/// Scores with the smallest hashes of their numbers.
#[derive(Debug, Clone)]
pub struct Sample {
    kept: BTreeMap<u64, f64>,
    count_max: usize,
    seen: u64,
    seed: u64,
    /// No hash above this one is in the sample any more.
    highest: u64,
}

impl Sample {
    /// Of `count_max` scores at most. Another seed chooses others.
    #[must_use]
    pub fn new(count_max: usize, seed: u64) -> Self {
        Self { kept: BTreeMap::new(), count_max, seen: 0, seed, highest: u64::MAX }
    }

    /// Takes note of the score with this number. Of several with one number the highest counts.
    pub fn add(&mut self, number: u64, score: f64) {
        self.seen += 1;
        let hash = mix(number ^ mix(self.seed));
        if hash <= self.highest {
            self.keep(hash, score);
        }
    }

    /// The same for scores that are numbered as they come.
    pub fn push(&mut self, score: f64) {
        self.add(self.seen + 1, score);
    }

    fn keep(&mut self, hash: u64, score: f64) {
        self.kept.entry(hash).and_modify(|known| *known = known.max(score)).or_insert(score);
        if self.kept.len() > self.count_max {
            self.kept.pop_last();
            self.highest = self.kept.last_key_value().map_or(0, |(hash, _)| *hash);
        }
    }

    /// Adds all that the other one, of the same size and seed, has seen.
    pub fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        for (hash, score) in other.kept {
            self.keep(hash, score);
        }
    }

    /// How many scores came by.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What is in the sample, in ascending order.
    #[must_use]
    pub fn sorted(&self) -> Vec<f64> {
        let mut scores: Vec<f64> = self.kept.values().copied().collect();
        scores.sort_unstable_by(f64::total_cmp);
        scores
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). It is
/// a bijection: different numbers have different hashes.
#[must_use]
pub fn mix(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 16_384;

    fn of(numbers: impl IntoIterator<Item = u64>, seed: u64) -> Sample {
        let mut sample = Sample::new(KEPT, seed);
        for number in numbers {
            sample.add(number, number as f64);
        }
        sample
    }

    #[test]
    fn a_small_set_is_its_own_sample() {
        assert_eq!(of([2, 0, 1], 0).sorted(), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn order_and_cuts_do_not_matter_and_the_seed_does() {
        let numbers = 60_000;
        let whole = of(0..numbers, 7);
        let mut cut = of((0..17).rev(), 7);
        cut.merge(of((17..numbers).rev(), 7));
        assert_eq!((cut.seen(), cut.sorted()), (whole.seen(), whole.sorted()));
        assert_eq!(whole.sorted().len(), KEPT);
        assert_ne!(whole.sorted(), of(0..numbers, 8).sorted());
        let mut pushed = Sample::new(KEPT, 7);
        (1..=numbers).for_each(|number| pushed.push(number as f64));
        assert_eq!(pushed.sorted(), of(1..=numbers, 7).sorted());
    }

    #[test]
    fn of_one_number_the_highest_score_counts_wherever_it_was_seen() {
        let mut sample = Sample::new(2, 0);
        for (number, score) in [(1, 3.0), (2, 5.0), (1, 4.0), (2, 1.0)] {
            sample.add(number, score);
        }
        let mut other = Sample::new(2, 0);
        other.add(2, 9.0);
        sample.merge(other);
        assert_eq!((sample.sorted(), sample.seen()), (vec![4.0, 9.0], 5));
    }

    #[test]
    fn a_sample_is_like_the_whole() {
        let sorted = of(0..1_000_000, 0).sorted();
        for tenth in 1..10 {
            let (expected, found) = (f64::from(tenth) * 100_000.0, sorted[KEPT * tenth as usize / 10]);
            // Three standard deviations of the median of 16,384 uniform numbers are .012 of their range.
            assert!((found - expected).abs() < 12_000.0, "{found} for {expected}");
        }
    }
}
