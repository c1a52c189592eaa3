//! Chance that a seed decides: the only source of it in a run. Not for secrets.

use rand_pcg::{Pcg64Mcg, rand_core::Rng};

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Chance(Pcg64Mcg);

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The golden ratio spreads small seeds over the upper half of the state.
        Self(Pcg64Mcg::new(u128::from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(seed)))
    }

    /// Uniform in `0..2^64`.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..count`; 0 for a count of 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// A part of `0..length` of at most `longest`, maybe empty.
    pub fn part(&mut self, length: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let end = start + self.below((length - start).min(longest) + 1);
        start..end
    }

    /// One of them; `None` of none.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        let index = self.below(of.len());
        of.get(index)
    }
}
