//! The course of an episode: when it opens, when it is over, and how much is learned meanwhile.
//!
//! The line for closing follows the episode's own peak, so that a fault that flickers stays one episode and the slow way
//! back to normal is not part of it. A departure that outlasts the history becomes the new normal.

use serde::{Deserialize, Serialize};

/// Above this it learns at a tenth of its rate; after this many rows in a row there it learns fully again.
const CAUTION: f32 = 0.7;
const CAUTIOUS_RATE: f32 = 0.1;
const LIMBO_MAX: u32 = 1_024;
/// A departure that lasts twice the history, within these bounds, is the new normal.
const ACCEPT_MIN: u32 = 512;
pub(super) const ACCEPT_MAX: u32 = 4_096;
/// Rows below the closing line that end an episode.
const HOLD: u8 = 16;
/// Rows over which the episode's level is averaged, and over which the line for opening again comes back to 1.
const LEVEL_ROWS: f32 = 8.0;
const REOPEN_ROWS: f32 = 256.0;

/// State: 27 bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Episode {
    is_on: bool,
    /// It has outlasted the history: it is becoming the new normal.
    is_accepted: bool,
    rows: u32,
    quiet: u8,
    /// Slow level of the strength within the episode, and its peak.
    level: f32,
    peak: f32,
    /// Line for opening again: the closing line of the last episode, decaying to 1.
    reopen: f32,
    /// Rows in a row that were close to the line without an episode.
    limbo: u32,
}

/// How the next row is learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Learning {
    /// 1 while all is well, less in doubt, 0 within an episode until it has become the new normal.
    pub(super) rate: f32,
    /// The episode becomes the new normal with this row: most of the history is to be forgotten.
    pub(super) accepts: bool,
}

impl Episode {
    /// Whether one is on.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Rows since it opened, this one included; 0 outside.
    pub(super) fn rows(&self) -> u32 {
        if self.is_on { self.rows + 1 } else { 0 }
    }

    /// How to learn from the next row, given the strength of the last one and how many rows were learned from in all.
    pub(super) fn learning(&mut self, strength: f32, history: u32) -> Learning {
        if !self.is_on {
            let is_calm = strength < CAUTION || self.limbo > LIMBO_MAX;
            return Learning { rate: if is_calm { 1.0 } else { CAUTIOUS_RATE }, accepts: false };
        }
        let patience = (2 * history.saturating_sub(self.rows)).clamp(ACCEPT_MIN, ACCEPT_MAX);
        let accepts = self.rows >= patience && !self.is_accepted;
        self.is_accepted |= accepts;
        Learning { rate: f32::from(u8::from(self.is_accepted)), accepts }
    }

    /// Takes the strength of a row.
    pub(super) fn follow(&mut self, strength: f32) {
        self.limbo = if strength < CAUTION || self.is_on { 0 } else { self.limbo + 1 };
        if !self.is_on {
            self.reopen = 1.0 + (self.reopen - 1.0).max(0.0) * (1.0 - 1.0 / REOPEN_ROWS);
            if strength >= self.reopen {
                *self = Self { is_on: true, level: strength, peak: strength, reopen: self.reopen, ..Self::default() };
            }
            return;
        }
        self.rows = self.rows.saturating_add(1);
        self.level += (strength - self.level) / LEVEL_ROWS;
        self.peak = self.peak.max(self.level);
        let closing = libm::sqrtf(self.peak.max(1.0));
        self.quiet = if strength < closing { self.quiet + 1 } else { 0 };
        if self.quiet >= HOLD {
            (self.is_on, self.reopen) = (false, closing);
        }
    }

    /// Ends it at once: the machine is switched off.
    pub(super) fn drop(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_flickers_is_one_episode_and_its_echo_is_none() {
        let mut episode = Episode::default();
        let mut opened = 0;
        let flicker = (0..400).map(|row| if row % 5 == 0 { 0.9 } else { 4.0 });
        let echo = std::iter::repeat_n(1.5, 40);
        for strength in flicker.chain(echo) {
            let was_on = episode.is_on();
            episode.follow(strength);
            opened += usize::from(episode.is_on() && !was_on);
        }
        assert_eq!((opened, episode.is_on()), (1, false));
    }

    #[test]
    fn what_lasts_longer_than_the_history_becomes_normal() {
        let mut episode = Episode::default();
        let mut accepted = Vec::new();
        for row in 0..3_000_u32 {
            episode.follow(2.0);
            if episode.learning(2.0, 600 + row).accepts {
                accepted.push(row);
            }
        }
        assert_eq!(accepted.len(), 1);
        assert!((1_150..1_250).contains(&accepted[0]), "{accepted:?}");
    }
}
