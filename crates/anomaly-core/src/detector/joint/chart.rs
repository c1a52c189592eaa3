//! A chart: one signal, its averages over four spans, and how far each may go.

use serde::{Deserialize, Serialize};

use super::haar::Haar;

/// Spans of the averages, in values, as powers of two, and as numbers.
pub(super) const LEVEL: [usize; 4] = [2, 4, 6, 8];
const SPAN: [f32; 4] = [4.0, 16.0, 64.0, 256.0];
/// Weight of a new value in each average: 2 / (span + 1).
const GAIN: [f32; 4] = [2.0 / 5.0, 2.0 / 17.0, 2.0 / 65.0, 2.0 / 257.0];
/// An average stays this near, in standard deviations, to the next faster one: so that it recovers with it.
const CLAMP: f32 = 2.5;
/// An average may go this much further than it ever went while all was well.
const HEADROOM: f32 = 1.3;
/// How fast the largest normal excursion is forgotten, a value.
const FORGET: f32 = 1.0 - 1.0 / 4_000.0;

/// State of one chart: 148 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Chart {
    average: [f32; 4],
    /// How far each average may go, as of the last refresh; 0 before the first.
    limit: [f32; 4],
    /// Standard deviation of each average, as of the last refresh.
    deviation: [f32; 4],
    peak: [f32; 4],
    haar: Haar,
}

impl Chart {
    /// Takes the next value for the averages over the spans `FROM` to `TO`. Returns how far the furthest of them is along the
    /// way to its limit, and the sign of it.
    pub(super) fn push<const FROM: usize, const TO: usize>(&mut self, value: f32) -> (f32, f32) {
        let mut average = self.average;
        for span in FROM..TO {
            average[span] += GAIN[span] * (value - average[span]);
        }
        for span in FROM + 1..TO {
            if self.deviation[span - 1] > 0.0 {
                let room = CLAMP * self.deviation[span - 1];
                let faster = average[span - 1];
                average[span] = average[span].max(faster - room).min(faster + room);
            }
        }
        self.average = average;
        // The furthest so far as a fraction: comparing fractions needs no division, of which there would be one an average.
        let (mut far, mut allowed, mut furthest) = (0.0, 1.0, 1.0_f32);
        for (span, average) in average.into_iter().enumerate().take(TO).skip(FROM) {
            if self.limit[span] > 0.0 {
                let (size, limit) = (average.abs(), self.limit[span].max(HEADROOM * self.peak[span]));
                if size * allowed > far * limit {
                    (far, allowed, furthest) = (size, limit, average);
                }
            }
        }
        (far / allowed, furthest.signum())
    }

    /// How far each average may go; 0 before the first refresh.
    pub(super) fn reach(&self) -> [f32; 4] {
        std::array::from_fn(|span| match self.limit[span] {
            limit if limit > 0.0 => limit.max(HEADROOM * self.peak[span]),
            _ => 0.0,
        })
    }

    /// Learns from a value while all is well.
    pub(super) fn learn(&mut self, value: f32) {
        self.haar.push(value);
        for (peak, average) in self.peak.iter_mut().zip(self.average) {
            *peak = (*peak * FORGET).max(average.abs());
        }
    }

    /// Recomputes the limits. `line` is the alarm line in standard deviations of a Gaussian, `tests` how many charts share
    /// the device's budget.
    pub(super) fn refresh(&mut self, line: f32, tests: f32) {
        let count = self.haar.count() as f32;
        if count < 2.0 {
            return;
        }
        let spreads = self.haar.spreads();
        let age = 2.0 * libm::logf((count / 1_000.0).max(1.0));
        for (span, level) in LEVEL.into_iter().enumerate() {
            let spread = spreads[level];
            let variance = spread.variance.max(0.02 / SPAN[span]);
            let deviation = libm::sqrtf(variance);
            // A Student's t limit of the same tail, for a spread that is known with few degrees of freedom.
            let square = line * line + libm::logf(tests) + age;
            let student = libm::sqrtf(spread.freedom * libm::expm1f((square / spread.freedom).min(30.0)));
            self.deviation[span] = deviation;
            self.limit[span] = deviation * student * libm::sqrtf(1.0 + 150.0 / count);
        }
    }

    /// How much of the signal is slow wandering: variance of averages over 256 values beside that of single values, 0 to 1.
    pub(super) fn wander(&self) -> f32 {
        let spreads = self.haar.spreads();
        if spreads[0].variance > 0.0 { (spreads[LEVEL[3]].variance / spreads[0].variance).min(1.0) } else { 0.0 }
    }

    /// Forgets most of what was learned, so that the present soon counts for more.
    pub(super) fn forget(&mut self, count_max: u32) {
        self.haar.forget(count_max);
        self.peak = [0.0; 4];
    }
}
