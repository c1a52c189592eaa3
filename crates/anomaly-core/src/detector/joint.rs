//! The metrics of a device together: small shifts, slow drifts, changed roughness, and relations that broke.
//!
//! Three signals a metric are charted: its standardised level, the residual of its regression on the other metrics (a
//! temperature that rises with the load is fine, one that rises alone is not), and its roughness from row to row. Three
//! more belong to the device as a whole. Each has averages over four spans, and each average a limit that is learned from
//! the signal's own wandering at that span ([`haar`]), with Student's t where little has been seen yet. Standardised
//! control charts of regression residuals are those of Hawkins, "Multivariate quality control based on regression-adjusted
//! variables" (Technometrics 1991).
//!
//! It learns while all is well, slowly when in doubt, and not at all during an episode, so that a fault is not learned
//! away; a departure that outlasts its history becomes the new normal. It knows no seasons of its own: what all metrics do
//! together, the regression explains.

mod chart;
mod covariance;
mod haar;
mod metric;

use serde::{Deserialize, Serialize};

use super::DetectorId;
use chart::Chart;
use covariance::Covariance;
use metric::Metric;

/// Alarm lines, in standard deviations of a Gaussian, before the budget is shared out: levels and residuals, roughness, the
/// sum of small shifts, aggregates.
const LINE: f32 = 4.2;
const ROUGHNESS_LINE: f32 = 4.6;
const SHIFTS_LINE: f32 = 4.2;
/// A single metric's share in the sum of small shifts is bounded, so that one alone cannot fill it.
const SHIFT_MAX: f32 = 8.0;
/// Rows before it has an opinion, and rows for each metric.
const WARM_UP: u32 = 100;
const WARM_UP_PER_METRIC: u32 = 6;
/// Above this it learns at a tenth of its rate; after this many rows in a row there it learns fully again.
const CAUTION: f32 = 0.7;
const LIMBO_MAX: u32 = 1_024;
/// A departure that lasts twice the history, within these bounds, is the new normal, and the history counts for so much.
const ACCEPT_MIN: u32 = 512;
const ACCEPT_MAX: u32 = 4_096;
const ACCEPTED_COUNT: u32 = 256;
/// Rows below the closing line that end an episode.
const HOLD: u8 = 16;

/// What the monitor makes of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Joint {
    /// The furthest along the way to its limit, of everything; 1.0 is the alarm line.
    pub(crate) best: f64,
    /// Whether an episode is on after this row.
    pub(crate) is_on: bool,
    /// Whether it began with this row.
    pub(crate) opens: bool,
}

/// What the monitor makes of one metric of the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    /// In units of the alarm line.
    pub(crate) strength: f64,
    /// Which kind of departure.
    pub(crate) kind: DetectorId,
    /// The same for a reading that stands out all alone, with its sign: plain to see, and gone with the next row.
    pub(crate) spike: f64,
    /// What the other metrics and the history make one expect.
    pub(crate) expected: f64,
    /// One standard deviation around that.
    pub(crate) spread: f64,
}

/// Signals of the device as a whole: a distance, the sum of squared residuals, the sum of squared steps.
const AGGREGATES: usize = 3;

/// State of the monitor: 0.6 KiB for each metric and 0.5 KiB for the device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Monitor {
    metrics: Vec<Metric>,
    covariance: Covariance,
    aggregates: [Chart; AGGREGATES],
    aggregate_means: [f32; AGGREGATES],
    /// Mean and variance of the sum of small shifts while all is well.
    shifts: (f32, f32),
    rows: u32,
    refresh_at: u32,
    best: f32,
    limbo: u32,
    is_on: bool,
    /// The episode has outlasted the history: it is becoming the new normal.
    is_accepted: bool,
    on_rows: u32,
    quiet: u8,
    /// Slow level of `best` within the episode, and its peak.
    level: f32,
    peak: f32,
    /// Line for opening again: the closing line of the last episode, decaying to 1.
    reopen: f32,
    #[serde(skip)]
    row: Row,
}

/// Values of one row; reused.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Standardised values, predicted where a metric is absent.
    z: Vec<f64>,
    /// Inverse covariance times `z`.
    u: Vec<f64>,
    present: Vec<bool>,
    shares: Vec<Share>,
}

impl Monitor {
    /// Whether it has an opinion.
    pub(crate) fn is_warm(&self) -> bool {
        self.rows >= WARM_UP.max(WARM_UP_PER_METRIC * self.metrics.len() as u32)
    }

    /// Whether an episode is on.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// What the last row meant for a metric; `None` where it was absent.
    pub(crate) fn share(&self, metric: usize) -> Option<Share> {
        let present = self.row.present.get(metric).copied().unwrap_or(false);
        self.row.shares.get(metric).copied().filter(|_| present)
    }

    /// Takes one row: `(metric, value)` for the metrics that are there, each metric once. `sensitivity` is the expected
    /// number of false alerts a device and week; `counts(metric, kind, departure)` says whether a departure of that kind and
    /// sign matters.
    pub(crate) fn observe(
        &mut self,
        values: impl Iterator<Item = (usize, f64)> + Clone,
        sensitivity: f64,
        counts: impl Fn(usize, DetectorId, f64) -> bool,
    ) -> Joint {
        let size = values.clone().map(|(metric, _)| metric + 1).max().unwrap_or(0).max(self.metrics.len());
        self.metrics.resize_with(size, Metric::default);
        self.covariance.grow(size);
        self.rows = self.rows.saturating_add(1);
        let rate = self.learning_rate();
        self.standardise(values, rate);
        self.chart(rate, counts);
        if rate > 0.0 {
            self.learn(rate);
            if self.rows >= self.refresh_at {
                self.refresh(sensitivity);
            }
        }
        if !self.is_warm() {
            self.best = 0.0;
        }
        let was_on = self.is_on;
        self.follow_episode();
        Joint { best: f64::from(self.best), is_on: self.is_on, opens: self.is_on && !was_on }
    }

    /// 1 while all is well or warming up, less in doubt, 0 within an episode until it has become the new normal.
    fn learning_rate(&mut self) -> f32 {
        if !self.is_warm() {
            return 1.0;
        }
        if self.is_on {
            let history = self.metrics.iter().map(Metric::seen).max().unwrap_or(0);
            let patience = (2 * history.saturating_sub(self.on_rows)).clamp(ACCEPT_MIN, ACCEPT_MAX);
            if self.on_rows >= patience && !self.is_accepted {
                self.is_accepted = true;
                self.metrics.iter_mut().for_each(|metric| metric.forget(ACCEPTED_COUNT));
                self.aggregates.iter_mut().for_each(|chart| chart.forget(ACCEPTED_COUNT));
            }
            return f32::from(u8::from(self.is_accepted));
        }
        if self.best < CAUTION || self.limbo > LIMBO_MAX { 1.0 } else { 0.1 }
    }

    fn standardise(&mut self, values: impl Iterator<Item = (usize, f64)>, rate: f32) {
        let size = self.metrics.len();
        let row = &mut self.row;
        row.z.clear();
        row.z.resize(size, 0.0);
        row.present.clear();
        row.present.resize(size, false);
        for (metric, value) in values {
            if let Some(z) = self.metrics[metric].standardise(value, f64::from(rate)) {
                row.z[metric] = z;
                row.present[metric] = true;
            }
        }
        self.covariance.solve(&row.z, &mut row.u);
        if row.present.iter().all(|present| *present) {
            return;
        }
        // What is absent is what the others say: then its own residual is nothing.
        for metric in (0..size).filter(|metric| !row.present[*metric]) {
            let own = self.covariance.precision(metric, metric);
            row.z[metric] -= row.u[metric] / own;
        }
        self.covariance.solve(&row.z, &mut row.u);
    }

    fn chart(&mut self, rate: f32, counts: impl Fn(usize, DetectorId, f64) -> bool) {
        let size = self.metrics.len();
        let live = self.row.present.iter().filter(|present| **present).count();
        let mut best = 0.0_f32;
        let mut sums = [0.0_f32; AGGREGATES];
        let mut shifts = 0.0_f32;
        self.row.shares.clear();
        for metric in 0..size {
            let state = &mut self.metrics[metric];
            if !self.row.present[metric] {
                self.row.shares.push(state.absent());
                continue;
            }
            let own = self.covariance.precision(metric, metric);
            let (z, u) = (self.row.z[metric], self.row.u[metric]);
            let trust = state.trust(live);
            let residual = if size == 1 { z } else { u / libm::sqrt(own) * libm::sqrt(trust) };
            let charted = state.chart(z, residual, rate, size > 1, |kind, departure| counts(metric, kind, departure));
            sums[0] += (z * u * trust) as f32;
            sums[1] += charted.residual * charted.residual;
            sums[2] += charted.step * charted.step;
            let reached = (charted.residual_way * LINE).min(SHIFT_MAX);
            shifts += reached * reached;
            best = best.max(charted.strength);
            self.row.shares.push(state.share(charted, z - u / own, own));
        }
        // What all metrics do at once is the machine doing something else, not a spike in one of them; and what a single
        // metric does alone is for its history to judge.
        if size == 1
            || self
                .metrics
                .iter()
                .zip(&self.row.present)
                .filter(|(metric, present)| **present && metric.has_moved())
                .count()
                > 1
        {
            self.row.shares.iter_mut().for_each(|share| share.spike = 0.0);
        }
        if size > 1 && live == size && (0..size).any(|metric| counts(metric, DetectorId::Relation, 1.0)) {
            let whole = self.chart_whole(sums, shifts, rate);
            if whole > best {
                self.spread_blame(whole);
                best = whole;
            }
        }
        self.best = best;
    }

    /// Charts the device as a whole; returns how far the furthest of it is.
    fn chart_whole(&mut self, sums: [f32; AGGREGATES], shifts: f32, rate: f32) -> f32 {
        let mut reached = 0.0_f32;
        let weight = rate / (self.rows.min(ACCEPT_MAX) as f32);
        for (index, sum) in sums.into_iter().enumerate() {
            // The cube root of a sum of squares is nearly Gaussian (Wilson and Hilferty, PNAS 1931).
            let value = libm::cbrtf(sum.max(0.0));
            self.aggregate_means[index] += weight * (value - self.aggregate_means[index]);
            let value = value - self.aggregate_means[index];
            let (way, sign) = self.aggregates[index].push(value, 0..4);
            // Less than usual is no fault: a plant that stands still.
            if sign > 0.0 {
                reached = reached.max(way);
            }
            if rate >= 1.0 {
                self.aggregates[index].learn(value);
            }
        }
        let value = libm::cbrtf(shifts);
        let (mean, variance) = &mut self.shifts;
        let standing = if *variance > 0.0 { (value - *mean) / libm::sqrtf(*variance) } else { 0.0 };
        *mean += weight * (value - *mean);
        *variance += weight * ((value - *mean) * (value - *mean) - *variance);
        if self.is_warm() { reached.max(standing / (SHIFTS_LINE + 1.0)) } else { 0.0 }
    }

    /// The whole is abnormal and no metric alone is: the residuals' squares say whose part it is.
    fn spread_blame(&mut self, whole: f32) {
        let size = self.metrics.len();
        let part = |metric: usize| self.row.z[metric] * self.row.u[metric];
        let most = (0..size).map(part).fold(f64::MIN_POSITIVE, f64::max);
        for metric in 0..size {
            let blame = f64::from(whole) * libm::sqrt((part(metric) / most).clamp(0.0, 1.0));
            let share = &mut self.row.shares[metric];
            if blame > share.strength {
                (share.strength, share.kind) = (blame, DetectorId::Relation);
            }
        }
    }

    fn learn(&mut self, rate: f32) {
        for row in 0..self.metrics.len() {
            if !self.row.present[row] {
                continue;
            }
            for column in 0..=row {
                if !self.row.present[column] {
                    continue;
                }
                let history = self.metrics[row].seen().min(self.metrics[column].seen());
                let product = self.row.z[row] * self.row.z[column];
                self.covariance.learn(row, column, product, metric::covariance_rate(history) * f64::from(rate));
            }
        }
    }

    fn refresh(&mut self, sensitivity: f64) {
        self.covariance.refresh();
        let size = self.metrics.len();
        let tests = if size == 1 { 2.0 } else { 3.0 * size as f32 };
        let budget = libm::log(crate::profile::SENSITIVITY_DEFAULT / sensitivity) as f32;
        let line = |line: f32| libm::sqrtf((line * line + budget).max(4.0));
        for metric in &mut self.metrics {
            metric.refresh(line(LINE), line(ROUGHNESS_LINE), tests);
        }
        for chart in &mut self.aggregates {
            chart.refresh(line(LINE), tests);
        }
        self.refresh_at = self.rows + (self.rows / 16).clamp(16, 2_048);
    }

    fn follow_episode(&mut self) {
        self.limbo = if self.best < CAUTION || self.is_on { 0 } else { self.limbo + 1 };
        if !self.is_on {
            self.reopen = 1.0 + (self.reopen - 1.0).max(0.0) * (1.0 - 1.0 / 256.0);
            if self.best >= self.reopen {
                (self.is_on, self.is_accepted, self.on_rows, self.quiet) = (true, false, 0, 0);
                (self.level, self.peak) = (self.best, self.best);
            }
            return;
        }
        self.on_rows += 1;
        self.level += (self.best - self.level) / 8.0;
        self.peak = self.peak.max(self.level);
        let closing = libm::sqrtf(self.peak.max(1.0));
        self.quiet = if self.best < closing { self.quiet + 1 } else { 0 };
        if self.quiet >= HOLD {
            self.is_on = false;
            self.reopen = closing;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Noise with a standard deviation of one, from a fixed seed (`SplitMix64` and the sum of twelve uniform numbers).
    pub(crate) fn noise(seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed.wrapping_mul(0xd129_0d5b_ce5f_3a2b);
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

    /// Runs rows through a fresh monitor; returns `(best, is_on)` of each.
    fn run(rows: impl IntoIterator<Item = Vec<f64>>) -> Vec<(f64, bool)> {
        let mut monitor = Monitor::default();
        rows.into_iter()
            .map(|row| {
                let values: Vec<(usize, f64)> = row.into_iter().enumerate().filter(|(_, x)| x.is_finite()).collect();
                let joint = monitor.observe(values.into_iter(), crate::profile::SENSITIVITY_DEFAULT, |_, _, _| true);
                (joint.best, joint.is_on)
            })
            .collect()
    }

    fn alarms(found: &[(f64, bool)]) -> usize {
        found.windows(2).filter(|pair| pair[1].1 && !pair[0].1).count()
    }

    #[test]
    fn a_single_metric_that_shifts_by_two_deviations_is_found_soon() {
        let found = run(noise(2).take(1_400).enumerate().map(|(i, x)| vec![x + if i >= 1_000 { 2.0 } else { 0.0 }]));
        assert_eq!(alarms(&found[..1_000]), 0);
        assert!(found[1_000..1_040].iter().any(|(_, on)| *on));
    }

    #[test]
    fn plain_noise_is_left_alone() {
        let count: usize = (10..20).map(|seed| alarms(&run(noise(seed).take(10_000).map(|x| vec![x])))).sum();
        assert!(count <= 2, "{count} episodes in 100,000 rows");
    }

    /// A load that wanders, and three metrics that follow it.
    fn plant(seed: u64) -> impl Iterator<Item = Vec<f64>> {
        let (mut values, mut load) = (noise(seed), 0.0);
        std::iter::repeat_with(move || {
            let mut next = || values.next().unwrap_or(0.0);
            load += 0.05 * (next() - load);
            let shared = load * 6.0;
            vec![shared + 0.2 * next(), 2.0 * shared + 0.3 * next(), -shared + 0.2 * next()]
        })
    }

    #[test]
    fn a_relation_that_breaks_is_found_though_every_metric_alone_is_in_its_range() {
        let rows = plant(3).take(3_000).enumerate().map(|(i, mut row)| {
            if i >= 2_500 {
                row[2] = -row[2];
            }
            row
        });
        let found = run(rows);
        assert_eq!(alarms(&found[..2_500]), 0);
        assert!(found[2_500..2_560].iter().any(|(_, on)| *on));
    }

    #[test]
    fn metrics_that_wander_together_are_left_alone() {
        let count: usize = (30..40).map(|seed| alarms(&run(plant(seed).take(8_000)))).sum();
        assert!(count <= 3, "{count} episodes in 80,000 rows");
    }

    #[test]
    fn missing_values_do_not_alarm() {
        let rows = plant(5).take(6_000).enumerate().map(|(i, mut row)| {
            row[i % 3] = if i * 7 % 10 < 3 { f64::NAN } else { row[i % 3] };
            row
        });
        let count = alarms(&run(rows));
        assert!(count <= 2, "{count} episodes in 6,000 rows of which three in ten lack a value");
    }

    #[test]
    fn a_lasting_change_is_abnormal_for_its_first_hours_and_normal_in_the_end() {
        let found = run(noise(6).take(9_000).enumerate().map(|(i, x)| vec![x + if i >= 1_000 { 8.0 } else { 0.0 }]));
        assert!(found[1_010..1_500].iter().all(|(_, on)| *on));
        assert!(found[8_500..].iter().all(|(_, on)| !on));
    }
}
