//! Novelty: how rare a metric's present is in its own history, season of the day included.
//!
//! Two quantised views of the same signal must agree, because what one of them finds rare by the accident of where its
//! buckets begin, the other does not. Each view looks at the residual from what is usual at this time of the day (means by
//! time-of-day bucket, the neighbours' included) and at how far the recent course, averaged over four spans, is from the
//! courses seen so far (a small set of prototypes). Both are calibrated by rank in a histogram of the metric's own past,
//! over maxima of blocks of 8 readings, because readings in a row are not independent evidence (Coles, "An Introduction to
//! Statistical Modeling of Extreme Values", 2001, chapter 3). What is rare in a short history is less remarkable than what
//! is rare in a long one, so age is taken off.
//!
//! It ranks surprises well and is no fault monitor: it gets used to a fault within some hundred readings.

mod histogram;
mod view;

use serde::{Deserialize, Serialize};

use view::View;

/// Readings before it has an opinion.
const WARM_UP: u32 = 100;
/// Scale of the surprise: its alarm line for a history that is neither short nor long.
const SCALE: f64 = 0.92;
/// What a tenfold longer history takes off, in units of a tenfold rarer reading.
const AGE: f64 = 0.75;
const AGE_MIN: f64 = 300.0;
const AGE_MAX: f64 = 12_000.0;
/// After a surprise was told, another is not before this many readings, or this part of the history while that is short.
const REFRACTORY: u32 = 150;
const REFRACTORY_PART: f64 = 0.1;
/// Readings below the line before the next surprise can be told.
const CALM: u8 = 8;
/// A course of surprise this strong may be told, at a sensitivity that asks for it.
pub(crate) const ARMED_FROM: f64 = 0.92;

/// State of the novelty detector: 4.4 KiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Novelty {
    seen: u32,
    magnitude: f64,
    views: [View; 2],
    calm: u8,
    is_armed: bool,
    told: u32,
    /// Strength of the surprise that was told last, while it lasts.
    course: f64,
}

/// What it makes of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Surprise {
    /// How rare, 1.0 being rare enough in a benchmark of single metrics.
    pub(crate) strength: f64,
    /// Whether it is a new surprise, not the continuation of one.
    pub(crate) is_new: bool,
    /// Share of the history that was as rare, as far as ranks can tell.
    pub(crate) tail: f64,
}

impl Default for Novelty {
    fn default() -> Self {
        Self {
            seen: 0,
            magnitude: 0.0,
            views: [View::new(96, 0.0, [2.0, 8.0, 24.0, 72.0]), View::new(64, 0.5, [4.0, 10.0, 30.0, 100.0])],
            calm: CALM,
            is_armed: true,
            told: 0,
            course: 0.0,
        }
    }
}

impl Novelty {
    /// Takes the next reading, measured so many milliseconds after midnight of UTC.
    pub(crate) fn observe(&mut self, value: f64, millis_of_day: i64) -> Surprise {
        let rate = (1.0 / (f64::from(self.seen) + 1.0)).max(1.0 / 4_096.0);
        self.magnitude += rate * (value.abs() - self.magnitude);
        let course = if self.magnitude > 0.0 { libm::asinh(value / self.magnitude) } else { 0.0 };
        let nothing = 1e-9 * (value.abs() + self.magnitude);
        let day = millis_of_day as f64 / 86_400_000.0;
        let [first, second] = &mut self.views;
        let surprise = first.observe(day, value, course, nothing).min(second.observe(day, value, course, nothing));
        self.seen = self.seen.saturating_add(1);
        if self.seen < WARM_UP {
            return Surprise::default();
        }
        let age = AGE * libm::log10(f64::from(self.seen).clamp(AGE_MIN, AGE_MAX) / 1_000.0);
        let strength = ((surprise - age) / SCALE).max(0.0);
        Surprise { strength, is_new: self.follow(strength), tail: libm::exp10(-surprise) }
    }

    /// Follows the course of a surprise: told once when it begins, and again when it crosses the line after having begun
    /// below.
    fn follow(&mut self, strength: f64) -> bool {
        if strength < ARMED_FROM {
            self.calm = self.calm.saturating_add(1);
            if self.calm >= CALM {
                (self.is_armed, self.course) = (true, 0.0);
            }
            return false;
        }
        self.calm = 0;
        if self.course > 0.0 && self.course < 1.0 && strength >= 1.0 {
            self.course = strength;
            return true;
        }
        let pause = REFRACTORY.min((REFRACTORY_PART * f64::from(self.seen)) as u32);
        let is_new = self.is_armed && (self.told == 0 || self.seen - self.told > pause);
        self.is_armed = false;
        if is_new {
            (self.told, self.course) = (self.seen, strength);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::joint::tests::noise;

    fn told(values: impl Iterator<Item = f64>) -> Vec<usize> {
        let mut novelty = Novelty::default();
        let mut told = Vec::new();
        for (row, value) in values.enumerate() {
            let surprise = novelty.observe(value, row as i64 * 300_000 % 86_400_000);
            if surprise.is_new && surprise.strength >= 1.0 {
                told.push(row);
            }
        }
        told
    }

    #[test]
    fn a_missing_peak_of_the_day_is_a_surprise_though_its_value_is_usual() {
        let day = |row: usize| if (100..140).contains(&(row % 288)) { 10.0 } else { 1.0 };
        let values = noise(1).take(288 * 14).enumerate().map(|(row, noise)| {
            let skipped = (288 * 12..288 * 13).contains(&row);
            0.2 * noise + if skipped { 1.0 } else { day(row) }
        });
        let told = told(values);
        assert!(told.iter().any(|row| (288 * 12 + 100..288 * 12 + 140).contains(row)), "{told:?}");
    }

    #[test]
    fn a_surprise_is_told_once_while_it_lasts() {
        let values = noise(3).take(3_000).enumerate().map(|(row, noise)| noise + if row >= 2_500 { 30.0 } else { 0.0 });
        let told = told(values);
        assert_eq!(told.iter().filter(|row| **row >= 2_500).count(), 1, "{told:?}");
    }
}
