//! A sample of scores that depends on which rows there are and on nothing else: not on their order, nor on how they were
//! cut into parts.
//!
//! Each row has a number by hash; those with the smallest numbers are the sample (bottom-k sampling; Cohen and Kaplan,
//! "Summarizing data using bottom-k sketches", PODC 2007). Samples of two sets make the sample of both.

use std::collections::BinaryHeap;
use std::hash::Hasher as _;

use foldhash::fast::FixedState;

/// Scores in a sample at most: enough for a tail probability of one in a thousand to rest on sixteen of them.
pub const SAMPLE_MAX: usize = 16_384;

/// Scores of some rows, chosen by chance that is the same each time.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The largest number on top.
    kept: BinaryHeap<Kept>,
    rows: u64,
}

/// Ordered by the number; the score's bits decide between equal ones, so that the order is total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    number: u64,
    score_bits: u64,
}

impl Sample {
    /// Adds the score of the row at a line of a part, both counted from 0.
    pub fn add(&mut self, part: usize, line: u64, score: f64) {
        self.rows += 1;
        self.keep(Kept { number: number(part as u64, line), score_bits: score.to_bits() });
    }

    fn keep(&mut self, one: Kept) {
        if self.kept.len() < SAMPLE_MAX {
            self.kept.push(one);
        } else if let Some(mut largest) = self.kept.peek_mut()
            && one < *largest
        {
            *largest = one;
        }
    }

    /// Adds all that the other one has seen.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for one in other.kept {
            self.keep(one);
        }
    }

    /// How many rows were seen.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The sampled scores in ascending order.
    #[must_use]
    pub fn sorted(&self) -> Vec<f64> {
        let mut scores: Vec<f64> = self.kept.iter().map(|one| f64::from_bits(one.score_bits)).collect();
        scores.sort_unstable_by(f64::total_cmp);
        scores
    }
}

fn number(part: u64, line: u64) -> u64 {
    use std::hash::BuildHasher as _;
    // The seed is fixed: the same rows are chosen each time. Nobody gains by choosing which.
    let mut hasher = FixedState::with_seed(0x6d69_6c6c_7261_6365).build_hasher();
    hasher.write_u64(part);
    hasher.write_u64(line);
    // The hash is made for tables, whose lower bits matter; a sample is chosen by all of them.
    let mixed = (hasher.finish() ^ (hasher.finish() >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: impl IntoIterator<Item = u64>) -> Sample {
        let mut sample = Sample::default();
        for line in rows {
            sample.add(3, line, line as f64);
        }
        sample
    }

    #[test]
    fn a_small_set_is_its_own_sample() {
        assert_eq!(of([2, 0, 1]).sorted(), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn order_and_cuts_do_not_matter() {
        let rows = 60_000;
        let whole = of(0..rows);
        let mut cut = of((0..17).rev());
        cut.merge(of((17..rows).rev()));
        assert_eq!((cut.rows(), cut.sorted()), (whole.rows(), whole.sorted()));
        assert_eq!(whole.sorted().len(), SAMPLE_MAX);
    }

    #[test]
    fn a_sample_is_like_the_whole() {
        let sorted = of(0..1_000_000).sorted();
        for tenth in 1..10 {
            let expected = f64::from(tenth) * 100_000.0;
            let found = sorted[SAMPLE_MAX * tenth as usize / 10];
            // Three standard deviations of the median of 16,384 uniform numbers are .012 of their range.
            assert!((found - expected).abs() < 12_000.0, "{found} for {expected}");
        }
    }
}
