//! The device as a whole: signals that no metric has alone.
//!
//! How far the row is from the centre of all rows, how large the residuals are together, how large their steps; and many
//! small shifts at once, none of which would be remarkable.

use serde::{Deserialize, Serialize};

use super::chart::Chart;
use super::episode::ACCEPT_MAX;

/// Alarm line of the sum of small shifts, in standard deviations.
const SHIFTS_LINE: f32 = 4.2;
/// Signals of the device as a whole: a distance, the sum of squared residuals, the sum of squared steps.
const AGGREGATES: usize = 3;

/// State: 0.5 KiB.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Whole {
    charts: [Chart; AGGREGATES],
    means: [f32; AGGREGATES],
    /// Mean and variance of the sum of small shifts while all is well.
    shifts: (f32, f32),
}

/// One row, summed over its metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    /// Squared distance from the centre.
    pub(super) distance: f32,
    /// Squares of the residuals and of their steps.
    pub(super) residuals: f32,
    pub(super) steps: f32,
    /// Squares of how far the residual charts are.
    pub(super) shifts: f32,
}

impl Whole {
    /// Takes a row, the device's `rows`-th; says how far the furthest signal is on the way to its limit.
    pub(super) fn chart(&mut self, sums: Sums, rows: u32, rate: f32) -> f32 {
        let mut reached = 0.0_f32;
        let weight = rate / rows.min(ACCEPT_MAX) as f32;
        for (index, sum) in [sums.distance, sums.residuals, sums.steps].into_iter().enumerate() {
            // The cube root of a sum of squares is nearly Gaussian (Wilson and Hilferty, PNAS 1931).
            let value = libm::cbrtf(sum.max(0.0));
            self.means[index] += weight * (value - self.means[index]);
            let value = value - self.means[index];
            let (way, sign) = self.charts[index].push::<0, 4>(value);
            // Less than usual is no fault: a plant that stands still.
            if sign > 0.0 {
                reached = reached.max(way);
            }
            if rate >= 1.0 {
                self.charts[index].learn(value);
            }
        }
        let value = libm::cbrtf(sums.shifts);
        let (mean, variance) = &mut self.shifts;
        let standing = if *variance > 0.0 { (value - *mean) / libm::sqrtf(*variance) } else { 0.0 };
        *mean += weight * (value - *mean);
        *variance += weight * ((value - *mean) * (value - *mean) - *variance);
        reached.max(standing / (SHIFTS_LINE + 1.0))
    }

    /// Recomputes what its charts allow.
    pub(super) fn refresh(&mut self, line: f32, tests: f32) {
        self.charts.iter_mut().for_each(|chart| chart.refresh(line, tests));
    }

    /// Counts for at most `count_max` rows of history from now on.
    pub(super) fn forget(&mut self, count_max: u32) {
        self.charts.iter_mut().for_each(|chart| chart.forget(count_max));
    }
}
