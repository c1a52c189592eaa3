//! One metric within the monitor: its level, its charts, what is expected of it.

use serde::{Deserialize, Serialize};

use super::Share;
use super::adopted::Adopted;
use super::chart::Chart;
use super::spike::Leaps;
use crate::detector::DetectorId;

/// Readings that only settle mean and spread.
const SETTLE: u32 = 32;
/// Longest memory, in readings.
const MEMORY: u32 = 8_192;
/// Values count for at most so many standard deviations, residuals for half as many again.
const CLIP: f64 = 8.0;
const RESIDUAL_CLIP: f64 = 1.5 * CLIP;
/// While it settles, a value counts for at most so many times the distance from the median within which nine in ten are:
/// a sentinel among the first readings must not blind the charts.
const SETTLE_ROOM: f64 = 5.0;
const SETTLE_PART: f64 = 0.9;
/// How much the mean of a signal that does nothing but wander follows it, a reading: so slowly that a working day is not
/// followed minute by minute.
const FOLLOW: f32 = 1.0 / 512.0;
/// Within an episode it follows at a quarter of that.
const FOLLOW_WITHIN: f64 = 0.25;
/// A metric that was absent for so many rows is gone: nothing waits for it any more.
const GONE_ROWS: u32 = 4_096;
/// A lone reading so many standard deviations off, and so many times as far as any before, is a spike: of the value and of
/// the residual.
const SPIKE: (f32, f32) = (8.0, 2.0);
const RESIDUAL_SPIKE: (f32, f32) = (6.0, 1.7);
const OFF_MAX: f64 = 1e6;
/// A step so many times the usual one is a move of the metric itself.
const MOVE: f32 = 5.0;
/// What the usual step is at least, in standard deviations.
const STEP_MIN: f32 = 1e-3;
/// Slowest rate at which the usual step is learned, beside the rate of everything else.
const STEP_RATE: f32 = 0.01;
/// A spread below this part of the level is numerical dust.
const DUST: f64 = 1e-6;
/// A metric whose level is so many standard deviations from zero, and which now is below this part of it, is at rest.
const REST_DEVIATIONS: f64 = 2.0;
const REST_SHARE: f64 = 0.05;

/// State of one metric.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Metric {
    seen: u32,
    /// The first readings, until there are enough to settle on a mean and a spread.
    settling: Vec<f64>,
    mean: f64,
    variance: f64,
    /// Standardised value of the last reading, and how many rows ago it was.
    last: f32,
    age: u32,
    /// Usual size of a step between readings, and the last one in units of it.
    usual_step: f32,
    step: f32,
    /// Mean roughness, and the residual of the row before.
    roughness: f32,
    residual_before: f32,
    /// The last value in standard deviations from the mean, not clipped.
    off: f32,
    value_leaps: Leaps,
    residual_leaps: Leaps,
    adopted: Adopted,
    /// How quickly the mean follows a signal that wanders by nature, a reading.
    follow: f32,
    level: Chart,
    residual: Chart,
    steps: Chart,
}

/// What the charts make of one reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charted {
    /// The furthest of the metric's charts along the way to its limit.
    pub(super) strength: f32,
    kind: DetectorId,
    spike: f32,
    /// The residual and its step from the row before, and how far the residual's chart is.
    pub(super) residual: f32,
    pub(super) step: f32,
    pub(super) residual_way: f32,
}

/// How fast covariances follow while a metric has this much history.
pub(super) fn covariance_rate(seen: u32) -> f64 {
    (2.0 / (f64::from(seen.min(MEMORY)) - f64::from(SETTLE) + 2.0).max(2.0)).min(1.0)
}

/// The value below which this part of them is; 0 for none.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = (part * values.len().saturating_sub(1) as f64) as usize;
    values.get(place).copied().unwrap_or(0.0)
}

impl Metric {
    /// How many readings it has learned from or watched.
    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// Counts for at most `count_max` readings of history from now on.
    pub(super) fn forget(&mut self, count_max: u32) {
        self.seen = self.seen.min(count_max);
        for chart in [&mut self.level, &mut self.residual, &mut self.steps] {
            chart.forget(count_max);
        }
    }

    fn spread(&self) -> f64 {
        let dust = DUST * self.mean.abs();
        libm::sqrt(self.variance + dust * dust).max(f64::MIN_POSITIVE)
    }

    /// The value in standard deviations from the mean, from which mean and spread are learned; `None` while it settles.
    pub(super) fn standardise(&mut self, value: f64, rate: f64) -> Option<f64> {
        if self.seen < SETTLE {
            self.seen += 1;
            self.age = 0;
            self.settling.push(value);
            self.settle();
            return None;
        }
        let spread = self.spread();
        let z = self.measure(value)?;
        let count = f64::from(self.seen.min(MEMORY));
        let follow = f64::from(self.follow) * if rate > 0.0 { 1.0 } else { FOLLOW_WITHIN };
        self.mean += z * spread * (rate / count).max(follow);
        self.variance *= 1.0 + rate * 2.0 / (count + 1.0) * (z * z - 1.0);
        Some(z)
    }

    /// The value in standard deviations from the mean, of which nothing is learned; `None` while it settles.
    pub(super) fn measure(&mut self, value: f64) -> Option<f64> {
        self.age = 0;
        if self.seen < SETTLE {
            return None;
        }
        self.seen = self.seen.saturating_add(1);
        let off = (value - self.mean) / self.spread();
        self.off = off.clamp(-OFF_MAX, OFF_MAX) as f32;
        Some(off.clamp(-CLIP, CLIP))
    }

    /// Mean and spread of the readings so far, each counted as far as its distance from their median is believable.
    fn settle(&mut self) {
        let mut distances = self.settling.clone();
        let middle = quantile(&mut distances, 0.5);
        for value in &mut distances {
            *value = (*value - middle).abs();
        }
        let room = match SETTLE_ROOM * quantile(&mut distances, SETTLE_PART) {
            room if room > 0.0 => room,
            _ => f64::INFINITY,
        };
        let (mut mean, mut variance) = (0.0, 0.0);
        for (value, count) in self.settling.iter().zip(1_u32..) {
            let off = value.clamp(middle - room, middle + room) - mean;
            mean += off / f64::from(count);
            variance += (off * off * f64::from(count - 1) / f64::from(count) - variance) / f64::from(count);
        }
        (self.mean, self.variance) = (mean, variance);
        if self.seen == SETTLE {
            self.settling = Vec::new();
        }
    }

    /// The standardised value of its last reading, if that is at most `rows_max` rows old; called once a row without one.
    pub(super) fn held(&mut self, rows_max: u32) -> Option<f64> {
        self.age = self.age.saturating_add(1);
        (self.seen > SETTLE && self.age <= rows_max).then_some(f64::from(self.last))
    }

    /// Whether it has been absent for so long that nothing waits for it.
    pub(super) fn is_gone(&self) -> bool {
        self.age > GONE_ROWS
    }

    /// Whether a metric that is usually far from zero is near it.
    pub(super) fn is_at_rest(&self, value: f64) -> bool {
        value.abs() < REST_SHARE * self.mean.abs()
            && self.seen > SETTLE
            && self.mean.abs() > REST_DEVIATIONS * self.spread()
    }

    /// Share of a residual's variance that is not the uncertainty of a regression on so many others.
    pub(super) fn trust(&self, inputs: usize) -> f64 {
        let effective = 0.75 * (f64::from(self.seen.min(MEMORY)) - f64::from(SETTLE)) + 1.0;
        let inputs = inputs as f64;
        ((effective - inputs) / (effective + inputs)).max(0.05)
    }

    /// Puts one reading on the charts. `has_residual` is false for a device of one metric.
    pub(super) fn chart(
        &mut self,
        z: f64,
        residual: f64,
        rate: f32,
        has_residual: bool,
        counts: impl Fn(DetectorId, f64) -> bool,
    ) -> Charted {
        self.measure_step(z as f32, rate);
        let spike = self.spike(residual as f32, has_residual);
        let residual = residual.clamp(-RESIDUAL_CLIP, RESIDUAL_CLIP) as f32;
        let step = residual - self.residual_before;
        self.residual_before = residual;
        let rough = libm::sqrtf(step.abs());
        self.roughness += rate / (self.seen.min(MEMORY) - SETTLE) as f32 * (rough - self.roughness);
        let rough = rough - self.roughness;

        let mut charted = Charted { strength: 0.0, kind: DetectorId::Level, spike, residual, step, residual_way: 0.0 };
        let mut take = |way: f32, sign: f32, kind: DetectorId| {
            if way > charted.strength && counts(kind, f64::from(sign)) {
                (charted.strength, charted.kind) = (way, kind);
            }
        };
        let (way, sign) = self.level.push::<0, 4>(z as f32);
        take(way, sign, DetectorId::Level);
        let mut residual_way = 0.0;
        if has_residual {
            let (way, sign) = self.residual.push::<0, 4>(residual);
            residual_way = way;
            take(way, sign, DetectorId::Relation);
        }
        let (way, sign) = self.steps.push::<1, 3>(rough);
        take(way, sign, DetectorId::Roughness);
        charted.residual_way = residual_way;
        if rate >= 1.0 {
            self.level.learn(z as f32);
            self.steps.learn(rough);
            if has_residual {
                self.residual.learn(residual);
            }
        }
        charted
    }

    /// Measures the step to this standardised value in units of the usual one.
    fn measure_step(&mut self, z: f32, rate: f32) {
        let step = (z - self.last).abs();
        self.last = z;
        self.step = step / (self.usual_step + STEP_MIN);
        self.usual_step += rate.max(STEP_RATE) / self.seen.min(MEMORY) as f32 * (step - self.usual_step);
    }

    /// Whether the last reading was a leap of the metric itself, beside what it usually does from reading to reading.
    pub(super) fn has_moved(&self) -> bool {
        self.step > MOVE
    }

    /// How far a lone reading is on the way to a spike's line, with its sign: beside its own level, or beside what the other
    /// metrics make one expect.
    fn spike(&mut self, residual: f32, has_residual: bool) -> f32 {
        let own = self.value_leaps.push(self.off, 0.0, SPIKE.0, SPIKE.1);
        if !has_residual {
            return own;
        }
        let left = self.residual_leaps.push(residual, self.adopted.level(), RESIDUAL_SPIKE.0, RESIDUAL_SPIKE.1);
        if left.abs() > own.abs() { left } else { own }
    }

    /// Residual of the last reading.
    pub(super) fn last_residual(&self) -> f32 {
        self.residual_before
    }

    /// Follows the residual within an episode, of which this is row number `row`; how far it goes beyond what the episode
    /// has come to.
    pub(super) fn follow_episode(&mut self, row: u32) -> f32 {
        let [fast, slower, ..] = self.residual.reach();
        self.adopted.follow(self.residual_before, row, [fast, slower])
    }

    /// No episode is on.
    pub(super) fn end_episode(&mut self) {
        self.adopted.end();
    }

    /// Recomputes what its charts allow.
    pub(super) fn refresh(&mut self, line: f32, roughness_line: f32, tests: f32) {
        self.level.refresh(line, tests);
        self.residual.refresh(line, tests);
        self.steps.refresh(roughness_line, tests);
        let wander = self.level.wander();
        self.follow = FOLLOW * wander * wander;
    }

    /// What the charts mean in the metric's own unit. `expected_z` is what the other metrics make one expect, and
    /// `deviation` one standard deviation around it, both in standard deviations of the metric.
    pub(super) fn share(&self, charted: Charted, expected_z: f64, deviation: f64) -> Share {
        let spread = self.spread();
        let (expected, spread) = match charted.kind {
            DetectorId::Level => (self.mean, spread),
            _ => (self.mean + spread * expected_z, spread * deviation),
        };
        let (strength, spike) = (f64::from(charted.strength), f64::from(charted.spike));
        Share { strength, kind: charted.kind, spike, expected, spread }
    }

    /// What is said of a metric that is settling, at rest, or not there.
    pub(super) fn absent(&self) -> Share {
        Share { strength: 0.0, kind: DetectorId::Level, spike: 0.0, expected: self.mean, spread: self.spread() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::joint::tests::noise;

    #[test]
    fn a_sentinel_among_the_first_readings_does_not_blind_the_charts() {
        let spread_of = |sentinel: f64| {
            let mut metric = Metric::default();
            for (reading, value) in noise(1).take(SETTLE as usize).enumerate() {
                metric.standardise(if reading == 5 { sentinel } else { 20.0 + value }, 1.0);
            }
            metric.spread()
        };
        let (clean, with_sentinel) = (spread_of(20.0), spread_of(-9_999.0));
        assert!((0.5..2.0).contains(&(with_sentinel / clean)), "{clean} and {with_sentinel}");
    }

    #[test]
    fn a_metric_at_rest_is_one_that_is_usually_far_from_zero() {
        let settled = |level: f64| {
            let mut metric = Metric::default();
            for value in noise(2).take(100) {
                metric.standardise(level + value, 1.0);
            }
            metric
        };
        assert!(settled(1_500.0).is_at_rest(0.0));
        assert!(!settled(1_500.0).is_at_rest(900.0));
        assert!(!settled(0.5).is_at_rest(0.0));
    }
}
