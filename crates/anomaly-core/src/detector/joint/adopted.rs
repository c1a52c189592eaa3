//! Within an episode: what the metric has come to, and whether it now leaves that as well.
//!
//! An episode can last for days, a product that was never made before for instance, and a sensor can break within it. So a
//! while after its beginning the episode's own level is taken as the usual one, for this purpose alone: the episode stays
//! on, and only what goes beyond it again is new.

use serde::{Deserialize, Serialize};

/// Rows after which the episode's level is adopted.
pub(super) const AFTER: u32 = 32;
/// Rows over which the level is averaged until then, and how slowly it follows afterwards, in rows.
const SETTLE: u32 = 16;
const FOLLOW: f32 = 64.0;
/// Weight of a new value in the fast and the slower average of what leaves it: spans of 4 and 16 rows.
const GAINS: [f32; 2] = [2.0 / 5.0, 2.0 / 17.0];

/// What the residual of one metric has come to: 12 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Adopted {
    level: f32,
    averages: [f32; 2],
}

impl Adopted {
    /// The level that counts as usual: 0 outside an episode.
    pub(super) fn level(&self) -> f32 {
        self.level
    }

    /// Forgets the episode.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Follows the residual in the episode's row number `row`, from 1. Says how far it is on the way to `limits`, those of
    /// its averages over 4 and 16 rows. The way back to normal is none.
    pub(super) fn follow(&mut self, residual: f32, row: u32, limits: [f32; 2]) -> f32 {
        let off = residual - self.level;
        if row < AFTER {
            self.level += off / row.clamp(1, SETTLE) as f32;
            return 0.0;
        }
        self.level += off / FOLLOW;
        for (average, gain) in self.averages.iter_mut().zip(GAINS) {
            *average += gain * (off - *average);
        }
        let [fast, slower] = self.averages;
        let returns = fast * self.level < 0.0 && (fast + self.level).abs() < self.level.abs();
        if returns || limits[0] <= 0.0 { 0.0 } else { (fast.abs() / limits[0]).max(slower.abs() / limits[1]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn furthest(residuals: impl Iterator<Item = f32>) -> f32 {
        let mut adopted = Adopted::default();
        residuals.zip(1..).map(|(residual, row)| adopted.follow(residual, row, [2.0, 1.0])).fold(0.0, f32::max)
    }

    #[test]
    fn what_an_episode_has_come_to_is_not_new() {
        assert!(furthest(std::iter::repeat_n(5.0, 500)) < 0.1);
    }

    #[test]
    fn going_further_is_new_and_coming_back_is_not() {
        let begin = || std::iter::repeat_n(5.0, 200);
        assert!(furthest(begin().chain(std::iter::repeat_n(9.0, 20))) > 1.0);
        assert!(furthest(begin().chain(std::iter::repeat_n(0.0, 20))) < 1.0);
    }
}
