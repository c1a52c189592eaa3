//! One metric within the monitor: its level, its charts, what is expected of it.

use serde::{Deserialize, Serialize};

use super::Share;
use super::chart::Chart;
use crate::detector::DetectorId;

/// Readings that only settle mean and spread.
const SETTLE: u32 = 32;
/// Longest memory, in readings.
const MEMORY: u32 = 8_192;
/// Values count for at most so many standard deviations.
const CLIP: f64 = 8.0;
/// A lone reading this many standard deviations off, and twice as far as any before, is a spike.
const SPIKE_MIN: f32 = 8.0;
const SPIKE_FACTOR: f32 = 2.0;
/// Beyond this, further is no stronger: a metric that was constant has no standard deviation to speak of.
const SPIKE_MAX: f32 = 100.0;
const OFF_MAX: f64 = 1e6;
/// How fast the furthest normal reading is forgotten, a reading.
const FORGET: f32 = 1.0 - 1.0 / 4_000.0;
/// A spread below this part of the level is numerical dust.
const DUST: f64 = 1e-6;

/// State of one metric.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Metric {
    seen: u32,
    mean: f64,
    variance: f64,
    /// Mean roughness, and the residual of the row before.
    roughness: f32,
    before: f32,
    /// The last value, and the furthest normal one, in standard deviations from the mean.
    off: f32,
    furthest: f32,
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

    /// The value in standard deviations from the mean, and what was learned from it; `None` while it settles.
    pub(super) fn standardise(&mut self, value: f64, rate: f64) -> Option<f64> {
        self.seen = self.seen.saturating_add(1);
        if self.seen <= SETTLE {
            let off = value - self.mean;
            self.mean += off / f64::from(self.seen);
            self.variance += (off * (value - self.mean) - self.variance) / f64::from(self.seen);
            return None;
        }
        let spread = self.spread();
        let off = (value - self.mean) / spread;
        let z = off.clamp(-CLIP, CLIP);
        self.off = off.clamp(-OFF_MAX, OFF_MAX) as f32;
        let count = f64::from(self.seen.min(MEMORY));
        self.mean += z * spread * (rate / count).max(f64::from(self.follow) * if rate > 0.0 { 1.0 } else { 0.25 });
        self.variance *= 1.0 + rate * 2.0 / (count + 1.0) * (z * z - 1.0);
        Some(z)
    }

    /// Share of a residual's variance that is not the regression's own uncertainty, with `live` metrics in it.
    pub(super) fn trust(&self, live: usize) -> f64 {
        let effective = 0.75 * (f64::from(self.seen.min(MEMORY)) - f64::from(SETTLE)) + 1.0;
        let live = live as f64;
        ((effective - live) / (effective + live)).max(0.05)
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
        let spike = self.spike(rate);
        let residual = residual.clamp(-1.5 * CLIP, 1.5 * CLIP) as f32;
        let step = residual - self.before;
        self.before = residual;
        let rough = libm::sqrtf(step.abs());
        self.roughness += rate / (self.seen.min(MEMORY) - SETTLE) as f32 * (rough - self.roughness);
        let rough = rough - self.roughness;

        let mut charted = Charted { strength: 0.0, kind: DetectorId::Level, spike, residual, step, residual_way: 0.0 };
        let mut take = |way: f32, sign: f32, kind: DetectorId| {
            if way > charted.strength && counts(kind, f64::from(sign)) {
                (charted.strength, charted.kind) = (way, kind);
            }
        };
        let (way, sign) = self.level.push(z as f32, 0..4);
        take(way, sign, DetectorId::Level);
        let mut residual_way = 0.0;
        if has_residual {
            let (way, sign) = self.residual.push(residual, 0..4);
            residual_way = way;
            take(way, sign, DetectorId::Relation);
        }
        let (way, sign) = self.steps.push(rough, 1..3);
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

    /// Whether the last reading was clearly away from the metric's level.
    pub(super) fn has_moved(&self) -> bool {
        self.off.abs() >= 0.5 * SPIKE_MIN
    }

    /// How far a lone reading is on the way to a spike's line: beside what noise does, and beside the furthest that was
    /// normal for this metric.
    fn spike(&mut self, rate: f32) -> f32 {
        let off = self.off;
        let spike = (off.abs() / SPIKE_MIN.max(SPIKE_FACTOR * self.furthest)).min(SPIKE_MAX);
        self.furthest *= FORGET;
        if rate > 0.0 && spike < 1.0 {
            self.furthest = self.furthest.max(off.abs());
        }
        spike.copysign(off)
    }

    /// Recomputes what its charts allow.
    pub(super) fn refresh(&mut self, line: f32, roughness_line: f32, tests: f32) {
        self.level.refresh(line, tests);
        self.residual.refresh(line, tests);
        self.steps.refresh(roughness_line, tests);
        let wander = self.level.wander();
        self.follow = wander * wander / 16.0;
    }

    /// What the charts mean in the metric's own unit. `expected_z` is what the other metrics make one expect, in standard
    /// deviations from the mean, and `precision` how precisely they do.
    pub(super) fn share(&self, charted: Charted, expected_z: f64, precision: f64) -> Share {
        let spread = self.spread();
        let (expected, spread) = match charted.kind {
            DetectorId::Level => (self.mean, spread),
            _ => (self.mean + spread * expected_z, spread / libm::sqrt(precision.max(f64::MIN_POSITIVE))),
        };
        let (strength, spike) = (f64::from(charted.strength), f64::from(charted.spike));
        Share { strength, kind: charted.kind, spike, expected, spread }
    }

    /// What is said of a metric that is settling or not there.
    pub(super) fn absent(&self) -> Share {
        Share { strength: 0.0, kind: DetectorId::Level, spike: 0.0, expected: self.mean, spread: self.spread() }
    }
}
