//! Departures that came and went before: the handover of every morning, a product that returns.
//!
//! A departure that ended by itself is remembered by its shape, which is the direction of the metrics' residuals, by its
//! size and by how much evidence it gathered. When one of the same shape and size comes again, it has to last longer than
//! it did before to be told; and what was told is not told again within a day. What is much larger, of another shape, or
//! lasts, is told as ever.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Departures that are remembered; the one seen longest ago makes room.
const KNOWN_MAX: usize = 6;
/// Two shapes are alike from this cosine on, if the newer is at most so many times as large.
const ALIKE: f32 = 0.8;
const LARGER: f32 = 1.3;
/// Evidence from which on the size of a departure is known, in rows.
const SIZED_FROM: f64 = 2.0;
/// A familiar departure has to gather so much more evidence than it did before.
const FACTOR: f64 = 1.5;
/// A strong departure is familiar from this time on.
const HABIT: u8 = 3;
/// One that gathered more than this was no nuisance but a matter of its own: what it lasted is no measure for the next.
const EVIDENCE_MAX: f64 = 256.0;
/// How fast size and evidence of what comes again and again are forgotten, and how fast its shape follows.
const FADE: f32 = 0.8;
const FOLLOW: f32 = 0.5;
const DAY_MS: i64 = 86_400_000;
/// How long it is remembered, and how long what was told is not told again, milliseconds.
const REMEMBERED_MS: i64 = 28 * DAY_MS;
const TOLD_MS: i64 = DAY_MS;

/// What a device remembers: up to 6 departures of 4 bytes a metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Familiar {
    known: Vec<Known>,
    /// The departure that goes on: its residuals, summed by evidence, its evidence, whether it was told.
    sum: Vec<f32>,
    /// The largest that its mean residual was.
    largest: f32,
    evidence: f64,
    is_told: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    /// Of length 1.
    shape: Vec<f32>,
    /// Largest length of the mean residual, standard deviations.
    size: f32,
    evidence: f64,
    /// When it ended last, milliseconds.
    seen_ms: i64,
    is_told: bool,
    /// How often it came.
    times: u8,
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Familiar {
    /// A departure begins.
    pub(crate) fn begin(&mut self) {
        self.sum.clear();
        (self.largest, self.evidence, self.is_told) = (0.0, 0.0, false);
    }

    /// It goes on, by a row with these residuals.
    pub(crate) fn follow(&mut self, residuals: impl Iterator<Item = f32>, evidence: f64) {
        // Its quiet end is not its shape.
        let weight = evidence as f32;
        for (metric, residual) in residuals.enumerate() {
            match self.sum.get_mut(metric) {
                Some(sum) => *sum += residual * weight,
                None => self.sum.push(residual * weight),
            }
        }
        self.evidence += evidence;
        if self.evidence >= SIZED_FROM {
            self.largest = self.largest.max(self.size());
        }
    }

    /// It was told.
    pub(crate) fn tell(&mut self) {
        self.is_told = true;
    }

    /// Length of its mean residual.
    fn size(&self) -> f32 {
        libm::sqrtf(dot(&self.sum, &self.sum)) / (self.evidence as f32).max(f32::MIN_POSITIVE)
    }

    fn is(&self, known: &Known) -> bool {
        let length = libm::sqrtf(dot(&self.sum, &self.sum));
        self.size() <= LARGER * known.size && dot(&self.sum, &known.shape) > ALIKE * length
    }

    fn recalled(&self, now: Timestamp, within_ms: i64) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(move |known| now.millis() - known.seen_ms < within_ms && self.is(known))
    }

    /// How much evidence the present departure has to gather at least, because it is familiar; 0 if it is not. A strong one
    /// has to come several times before it is.
    pub(crate) fn asks(&self, now: Timestamp, is_strong: bool) -> f64 {
        let times_min = if is_strong { HABIT } else { 1 };
        let familiar = self.recalled(now, REMEMBERED_MS).filter(|known| known.times >= times_min);
        familiar.map(|known| FACTOR * known.evidence).fold(0.0, f64::max)
    }

    /// Whether the same was told a moment ago.
    pub(crate) fn was_told(&self, now: Timestamp) -> bool {
        self.recalled(now, TOLD_MS).any(|known| known.is_told)
    }

    /// The departure ended by itself.
    pub(crate) fn end(&mut self, now: Timestamp) {
        let (size, seen_ms) = (self.largest.max(self.size()), now.millis());
        let length = libm::sqrtf(dot(&self.sum, &self.sum)).max(f32::MIN_POSITIVE);
        let shape: Vec<f32> = self.sum.iter().map(|sum| sum / length).collect();
        let evidence = if self.evidence > EVIDENCE_MAX { 0.0 } else { self.evidence };
        let is_told = self.is_told;
        if let Some(place) = self.known.iter().position(|known| self.is(known)) {
            let known = &mut self.known[place];
            known.size = size.max(known.size * FADE);
            known.evidence = evidence.max(known.evidence * f64::from(FADE));
            known.is_told = is_told || (known.is_told && seen_ms - known.seen_ms < TOLD_MS);
            known.seen_ms = seen_ms;
            known.times = known.times.saturating_add(1);
            known.shape.resize(shape.len(), 0.0);
            for (mine, new) in known.shape.iter_mut().zip(&shape) {
                *mine += FOLLOW * (new - *mine);
            }
            return;
        }
        if self.known.len() >= KNOWN_MAX {
            let oldest = self.known.iter().enumerate().min_by_key(|(_, known)| known.seen_ms).map(|(place, _)| place);
            oldest.map(|place| self.known.swap_remove(place));
        }
        self.known.push(Known { shape, size, evidence, seen_ms, is_told, times: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + hour * 3_600_000).unwrap()
    }

    /// Lets a departure of so many rows with these residuals come and go.
    fn pass(familiar: &mut Familiar, residuals: [f32; 2], rows: u32, hour: i64) {
        begin(familiar, residuals, rows);
        familiar.end(at(hour));
    }

    fn begin(familiar: &mut Familiar, residuals: [f32; 2], rows: u32) {
        familiar.begin();
        (0..rows).for_each(|_| familiar.follow(residuals.into_iter(), 1.0));
    }

    #[test]
    fn what_comes_every_morning_has_to_last_longer_than_it_ever_did() {
        let mut familiar = Familiar::default();
        pass(&mut familiar, [5.0, 1.0], 30, 0);
        begin(&mut familiar, [5.2, 0.9], 3);
        assert!((familiar.asks(at(24), false) - 45.0).abs() < 1e-9);
    }

    #[test]
    fn another_metric_a_larger_departure_and_one_long_ago_are_not_familiar() {
        let mut familiar = Familiar::default();
        pass(&mut familiar, [5.0, 0.0], 30, 0);
        for (residuals, hour) in [([0.0, 5.0], 24), ([-5.0, 0.0], 24), ([8.0, 0.0], 24), ([5.0, 0.0], 24 * 29)] {
            begin(&mut familiar, residuals, 3);
            assert!(familiar.asks(at(hour), false) < 1e-9, "{residuals:?} {hour}");
        }
    }

    #[test]
    fn a_strong_departure_is_familiar_after_it_came_several_times() {
        let mut familiar = Familiar::default();
        for day in 0..4 {
            begin(&mut familiar, [5.0, 1.0], 30);
            assert_eq!(familiar.asks(at(24 * day), true) > 0.0, day >= 3, "day {day}");
            familiar.end(at(24 * day));
        }
    }

    #[test]
    fn what_was_told_is_not_told_again_within_a_day() {
        let mut familiar = Familiar::default();
        begin(&mut familiar, [5.0, 0.0], 400);
        familiar.tell();
        familiar.end(at(0));
        begin(&mut familiar, [5.0, 0.0], 3);
        assert!(familiar.was_told(at(23)) && !familiar.was_told(at(25)));
        assert!(familiar.asks(at(23), false) < 1e-9, "a long one is no measure");
    }

    #[test]
    fn only_the_newest_are_remembered() {
        let mut familiar = Familiar::default();
        for (hour, turn) in (0..20_u8).enumerate() {
            let angle = f32::from(turn) * 0.9;
            pass(&mut familiar, [5.0 * angle.cos(), 5.0 * angle.sin()], 10, hour as i64);
        }
        assert!(familiar.known.len() <= KNOWN_MAX);
    }
}
