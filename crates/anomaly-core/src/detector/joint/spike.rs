//! One reading far from all others: plain to see, and gone with the next row.
//!
//! How far is far is told by what the metric did before: the furthest leap so far, forgotten slowly. A leap that was told is
//! part of that, so that the next has to be further still.

use serde::{Deserialize, Serialize};

/// Beyond this, further is no stronger: a metric that was constant has no standard deviation to speak of.
const MAX: f32 = 100.0;
/// No leap, however far, sets the mark higher than this.
const MARK_MAX: f32 = 30.0;
/// How fast the furthest leap is forgotten, a reading.
const FORGET: f32 = 1.0 - 1.0 / 4_000.0;

/// How far a signal leaps: 8 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Leaps {
    before: f32,
    furthest: f32,
}

impl Leaps {
    /// Takes the signal's next value and says how far it is on the way to being a spike, with its sign. It has to be far
    /// from where it was a row ago and from `usual`, in the same direction. The line is `least`, or `factor` times the
    /// furthest leap before.
    pub(super) fn push(&mut self, value: f32, usual: f32, least: f32, factor: f32) -> f32 {
        let (leap, off) = (value - self.before, value - usual);
        self.before = value;
        let far = if leap * off > 0.0 { leap.abs().min(off.abs()) } else { 0.0 };
        let way = (far / least.max(factor * self.furthest)).min(MAX);
        self.furthest = (self.furthest * FORGET).max(far.min(MARK_MAX));
        way.copysign(off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_a_spike_once_and_the_next_must_be_further() {
        let mut leaps = Leaps::default();
        let found: Vec<bool> = [0.0, 1.0, 9.0, 0.0, 9.0, 0.0, 40.0]
            .into_iter()
            .map(|value| leaps.push(value, 0.0, 6.0, 2.0).abs() >= 1.0)
            .collect();
        assert_eq!(found, [false, false, true, false, false, false, true]);
    }

    #[test]
    fn a_slow_way_out_and_the_way_back_are_no_spikes() {
        let mut leaps = Leaps::default();
        let way = (0..40).map(|step| step as f32).chain([0.0]);
        assert!(way.into_iter().all(|value| leaps.push(value, 0.0, 6.0, 2.0).abs() < 1.0));
    }
}
