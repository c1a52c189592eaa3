//! Level: a metric's own mean and spread, watched by exponentially weighted averages over several spans at once.
//!
//! One value far away is a spike, many values a little away are a shift or a drift; an average over m values sees a shift
//! √m times smaller than a single value does (Roberts, "Control chart tests based on geometric moving averages",
//! Technometrics 1959). How much each average wanders while all is well is learned from the metric itself, not derived
//! from an assumption of independent noise: a metric that wanders gets wide limits by itself.
//!
//! What it cannot see: a broken relation between metrics, a season (until it has lived through one its slow averages
//! alarm or widen), a value that is stuck.

use serde::{Deserialize, Serialize};

use super::{Detector, DetectorId, Evidence, Input};

/// Spans of the averages, in readings. The first is the reading itself.
const SPANS: [f64; 4] = [1.0, 4.0, 16.0, 64.0];
/// Alarm line of each average, in its own standard deviations, for one metric at the default sensitivity. The reading
/// itself gets more room, because single readings have heavier tails than averages (central limit theorem).
const LINES: [f64; 4] = [5.5, 4.8, 4.5, 4.5];
/// Readings before it has an opinion.
pub const WARM_UP: u32 = 64;
/// Readings before deviations mean anything: the mean and spread settle first.
const SETTLE: u32 = 16;
/// Longest memory of mean, spread and wander, in readings.
const MEMORY: u32 = 8_192;
/// Deviations count for at most so many standard deviations, so that one absurd value cannot fill the slow averages.
const CLIP: f64 = 8.0;
/// Above this strength it learns at a tenth of its rate, from the line on not at all: a fault must not become the new
/// normal by lasting.
const CAUTION: f64 = 0.7;
/// How fast the recent level follows, a reading: what is taken over when a departure is accepted.
const RECENT: f64 = 1.0 / 32.0;
/// A departure that lasts this many times the history (within the bounds) is the new normal.
const ACCEPT_FACTOR: u32 = 2;
const ACCEPT_MIN: u32 = 512;
const ACCEPT_MAX: u32 = 4_096;
/// An average may go this much further than it ever went while all was well.
const HEADROOM: f64 = 1.2;
/// How fast the largest normal excursion is forgotten, a reading.
const PEAK_DECAY: f64 = 1.0 - 1.0 / 4_096.0;
/// A spread below this part of the level is numerical dust.
const DUST: f64 = 1e-6;

/// State of the level detector: 2 counters and 15 numbers, 128 bytes in memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    seen: u32,
    /// Readings since the last one below the line.
    away: u32,
    mean: f64,
    variance: f64,
    recent: f64,
    average: [f64; 4],
    wander: [f64; 4],
    peak: [f64; 4],
}

impl Level {
    fn spread(&self) -> f64 {
        let dust = DUST * self.mean.abs();
        libm::sqrt(self.variance + dust * dust).max(f64::MIN_POSITIVE)
    }

    /// Moves mean and spread; `weight` 1 learns fully.
    fn learn(&mut self, value: f64, weight: f64) {
        let rate = weight / f64::from(self.seen.clamp(1, MEMORY));
        let before = value - self.mean;
        self.mean += rate * before;
        self.variance += rate * (before * (value - self.mean) - self.variance);
    }

    /// Remembers how far the averages go while all is well.
    fn learn_wander(&mut self, weight: f64) {
        let rate = weight / f64::from((self.seen - SETTLE).min(MEMORY));
        for k in 0..SPANS.len() {
            self.wander[k] += rate * (self.average[k] * self.average[k] - self.wander[k]);
            self.peak[k] *= PEAK_DECAY;
            if weight >= 1.0 {
                self.peak[k] = self.peak[k].max(self.average[k].abs());
            }
        }
    }

    /// Starts over from where the metric is now.
    fn accept(&mut self) {
        self.mean = self.recent;
        self.average = [0.0; 4];
        self.seen = SETTLE;
        self.away = 0;
    }
}

impl Detector for Level {
    fn observe(&mut self, input: &Input<'_>) -> Evidence {
        let value = input.value;
        self.seen = self.seen.saturating_add(1);
        self.recent += RECENT.max(1.0 / f64::from(self.seen)) * (value - self.recent);
        if self.seen <= SETTLE {
            self.learn(value, 1.0);
            return Evidence::none(DetectorId::Level, self.mean);
        }
        let (expected, spread) = (self.mean, self.spread());
        let deviation = ((value - expected) / spread).clamp(-CLIP, CLIP);
        // The device's budget of false alerts is shared by its metrics; a Gaussian tail turns a factor of k in
        // probability into 2 ln k in the square of the line.
        let share = 2.0
            * libm::log(input.metrics.max(1) as f64 * crate::profile::SENSITIVITY_DEFAULT / input.settings.sensitivity);

        let seen = f64::from(self.seen);
        let (mut strength, mut line_of_strongest) = (0.0, LINES[0]);
        for (k, span) in SPANS.into_iter().enumerate() {
            let gain = 2.0 / (span + 1.0);
            self.average[k] += gain * (deviation - self.average[k]);
            let independent = gain / (2.0 - gain);
            let deviations = libm::sqrt(self.wander[k].max(independent));
            let line = libm::sqrt((LINES[k] * LINES[k] + share).max(4.0));
            // Few independent spans seen so far: the wander is known roughly, so the limit is wider.
            let room = (line * deviations * (1.0 + 2.0 * span / seen)).max(HEADROOM * self.peak[k]);
            let reached = self.average[k].abs() / room;
            if reached > strength && input.settings.direction.covers(self.average[k]) {
                (strength, line_of_strongest) = (reached, line);
            }
        }
        let warming = self.seen <= WARM_UP;
        let weight = match strength {
            s if s < CAUTION || warming => 1.0,
            s if s < 1.0 => 0.1,
            _ => 0.0,
        };
        self.learn(value.clamp(expected - CLIP * spread, expected + CLIP * spread), weight);
        self.learn_wander(weight);
        if warming {
            return Evidence::none(DetectorId::Level, expected);
        }
        self.away = if strength < 1.0 { 0 } else { self.away + 1 };
        if self.away > (ACCEPT_FACTOR * self.seen).clamp(ACCEPT_MIN, ACCEPT_MAX) {
            self.accept();
        }
        let tail = libm::erfc(strength * line_of_strongest / std::f64::consts::SQRT_2);
        Evidence { detector: DetectorId::Level, strength, expected, spread, tail }
    }

    fn is_warm(&self) -> bool {
        self.seen > WARM_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MetricSettings, Timestamp};

    /// Noise with a standard deviation of one, from a fixed seed (`SplitMix64` and the sum of twelve uniform numbers).
    fn noise(seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            let uniform = || {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
            };
            std::iter::repeat_with(uniform).take(12).sum::<f64>() - 6.0
        })
    }

    fn strengths(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let settings = MetricSettings::default();
        let mut level = Level::default();
        values
            .into_iter()
            .map(|value| level.observe(&Input { value, at: Timestamp::MIN, settings: &settings, metrics: 1 }).strength)
            .collect()
    }

    #[test]
    fn a_lone_spike_is_reported_and_the_next_value_is_not() {
        let mut values: Vec<f64> = noise(1).take(600).map(|x| 50.0 + x).collect();
        values[500] += 12.0;
        let found = strengths(values);
        assert!(found[500] >= 1.0 && found[..500].iter().chain(&found[520..]).all(|s| *s < 1.0));
    }

    #[test]
    fn a_small_lasting_shift_is_reported_though_no_single_value_stands_out() {
        let values = noise(2).take(1_400).enumerate().map(|(i, x)| x + if i >= 1_000 { 2.0 } else { 0.0 });
        let found = strengths(values);
        assert!(found[..1_000].iter().all(|s| *s < 1.0));
        assert!(found[1_000..1_060].iter().any(|s| *s >= 1.0));
    }

    #[test]
    fn plain_noise_is_left_alone() {
        let false_alarms: usize =
            (10..30).map(|seed| strengths(noise(seed).take(5_000)).iter().filter(|s| **s >= 1.0).count()).sum();
        assert!(false_alarms <= 2, "{false_alarms} rows of 100,000");
    }

    #[test]
    fn a_fault_is_not_learned_away_within_its_first_hours_but_a_new_normal_is_accepted() {
        let values = noise(3).take(12_000).enumerate().map(|(i, x)| x + if i >= 1_000 { 20.0 } else { 0.0 });
        let found = strengths(values);
        assert!(found[1_000..1_500].iter().all(|s| *s >= 1.0));
        assert!(found[11_000..].iter().all(|s| *s < 1.0));
    }

    #[test]
    fn a_constant_metric_is_normal_until_it_moves() {
        let found = strengths(std::iter::repeat_n(7.0, 300).chain([7.5]));
        assert!(found[..300].iter().all(|s| *s < 1.0) && found[300] >= 1.0);
    }
}
