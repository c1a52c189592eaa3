//! A bounded sample of what comes by, each with the same chance, and the same one each time.
//!
//! Whether something is in the sample follows from a hash of its number: those with the smallest hashes are (bottom-k
//! sampling; Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). No generator has to be carried along,
//! and the order in which things come does not matter.

use std::collections::BTreeMap;

/// Things with the smallest hashes of their numbers.
#[derive(Debug)]
pub(crate) struct Sample<T> {
    kept: BTreeMap<u64, T>,
    count_max: usize,
    number: u64,
    seed: u64,
}

impl<T> Sample<T> {
    pub(crate) fn new(count_max: usize, seed: u64) -> Self {
        Self { kept: BTreeMap::new(), count_max, number: 0, seed }
    }

    /// Takes note of the next one; `make` is asked for it only where it is in the sample for now.
    pub(crate) fn add(&mut self, make: impl FnOnce() -> T) {
        self.number += 1;
        let hash = mix(self.number ^ mix(self.seed));
        if self.kept.len() >= self.count_max {
            let Some(highest) = self.kept.last_entry().filter(|entry| *entry.key() > hash) else { return };
            highest.remove();
        }
        self.kept.insert(hash, make());
    }

    /// What is in the sample, in no order that means anything, but always in the same.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &T> {
        self.kept.values()
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). It is
/// a bijection: different numbers have different hashes.
pub(crate) fn mix(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Scores at these shares from below; `None` without scores.
pub(crate) fn quantiles<const N: usize>(scores: impl Iterator<Item = f64>, shares: [f64; N]) -> Option<[f64; N]> {
    let mut sorted: Vec<f64> = scores.filter(|score| score.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(shares.map(|share| sorted[(share * last as f64).round() as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_bounded_even_and_the_same_each_time() {
        let of = |seed| {
            let mut sample = Sample::new(1_000, seed);
            for number in 0..100_000 {
                sample.add(|| number);
            }
            sample.kept().copied().collect::<Vec<i32>>()
        };
        let first = of(1);
        assert_eq!((first.len(), &first), (1_000, &of(1)));
        assert_ne!(first, of(2));
        let early = first.iter().filter(|number| **number < 50_000).count();
        assert!((400..600).contains(&early), "{early} of 1000 are of the first half");
    }

    #[test]
    fn quantiles_lie_between_the_lowest_and_the_highest() {
        let scores = (0..=100).rev().map(f64::from).chain([f64::NAN]);
        assert_eq!(quantiles(scores, [0.0, 0.5, 0.99, 1.0]), Some([0.0, 50.0, 99.0, 100.0]));
        assert_eq!(quantiles(std::iter::empty(), [0.5]), None);
    }
}
