//! How much a signal's averages wander, at every span, learned from the signal itself.
//!
//! A cascade of block averages: two neighbouring averages over 2ˡ values differ by what the signal does at that span (half
//! the mean square of the difference is the Allan variance, IEEE Std 1139). Their sum from a span upwards is the variance
//! of an average over that span, whatever the noise: white, wandering, or periodic. Constant cost a value (two levels on
//! average), ten levels.

use serde::{Deserialize, Serialize};

/// Levels of the cascade: block averages of 1 to 512 values.
pub(super) const LEVELS: usize = 10;
/// Longest memory of a level, in pairs.
const PAIRS_MAX: f32 = 2_048.0;
/// How many pairs' worth of white noise a level is believed to have from the level below, until it has its own.
const POOL: f32 = 8.0;

/// The cascade of one signal: 84 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Haar {
    /// How many values were pushed; its bits say which levels wait for the second of a pair.
    count: u32,
    waiting: [f32; LEVELS],
    allan: [f32; LEVELS],
}

/// What is known of an average over some span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// Its variance.
    pub(super) variance: f32,
    /// How many degrees of freedom that is known with.
    pub(super) freedom: f32,
}

impl Haar {
    /// How many values it has learned from.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Learns from the next value.
    pub(super) fn push(&mut self, value: f32) {
        let mut average = value;
        for level in 0..LEVELS {
            if self.count & (1 << level) == 0 {
                self.waiting[level] = average;
                break;
            }
            let difference = average - self.waiting[level];
            let pairs = self.pairs(level) + 1.0;
            self.allan[level] += (0.5 * difference * difference - self.allan[level]) / pairs.min(PAIRS_MAX);
            average = 0.5 * (average + self.waiting[level]);
        }
        self.count = self.count.wrapping_add(1);
    }

    /// Counts as if it had learned from `count_max` values at most.
    pub(super) fn forget(&mut self, count_max: u32) {
        self.count = self.count.min(count_max);
    }

    fn pairs(&self, level: usize) -> f32 {
        (self.count >> (level + 1)) as f32
    }

    /// Variance of averages over 2^`from` values for every `from`, top level first known last.
    pub(super) fn spreads(&self) -> [Spread; LEVELS] {
        let mut pooled = [0.0_f32; LEVELS];
        for level in 0..LEVELS {
            let (own, pairs) = (self.allan[level], self.pairs(level));
            // One-sided: noise that wanders more than white noise is believed at once, less only with evidence.
            let below = if level == 0 { own } else { 0.5 * pooled[level - 1] };
            pooled[level] = own.max((pairs * own + POOL * below) / (pairs + POOL));
        }
        // Beyond the top the last two levels say how it goes on.
        let [.., before, top] = pooled;
        let ratio = if before > 0.0 { (top / before).clamp(0.5, 2.0) } else { 0.5 };
        let mut variance = 0.5 * top * ratio * (1.0 + ratio + ratio * ratio);
        let mut uncertainty = variance * variance;
        let mut spreads = [Spread { variance: 0.0, freedom: 1.0 }; LEVELS];
        for level in (0..LEVELS).rev() {
            let part = 0.5 * pooled[level];
            variance += part;
            uncertainty += part * part / self.pairs(level).clamp(1.0, PAIRS_MAX);
            // Degrees of freedom of a sum of variances (Satterthwaite, Biometrics Bulletin 1946).
            let freedom = if uncertainty > 0.0 { variance * variance / uncertainty } else { 1.0 };
            spreads[level] = Spread { variance, freedom };
        }
        spreads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::joint::tests::noise;

    #[test]
    fn averages_of_white_noise_have_the_variance_of_the_mean() {
        let mut haar = Haar::default();
        noise(1).take(100_000).for_each(|value| haar.push(value as f32));
        let spreads = haar.spreads();
        for level in [0, 2, 4, 6] {
            let expected = 1.0 / f32::from(1_u16 << level);
            assert!((spreads[level].variance / expected - 1.0).abs() < 0.15, "{level}: {:?}", spreads[level]);
        }
    }

    #[test]
    fn a_signal_that_wanders_has_wider_averages_than_white_noise_of_the_same_variance() {
        let (mut haar, mut level) = (Haar::default(), 0.0);
        for value in noise(2).take(50_000) {
            level += 0.02 * (value - level);
            haar.push((level / 0.1) as f32);
        }
        let spreads = haar.spreads();
        assert!(spreads[4].variance > 0.5 * spreads[0].variance);
    }
}
