//! The metrics of a device together: small shifts, slow drifts, changed roughness, and relations that broke.
//!
//! Three signals a metric are charted: its standardised level, the residual of its regression on the other metrics (a
//! temperature that rises with the load is fine, one that rises alone is not), and its roughness from row to row. More
//! belong to the device as a whole ([`whole`]). Each has averages over four spans, and each average a limit that is
//! learned from the signal's own wandering at that span ([`haar`]), with Student's t where little has been seen yet.
//! Standardised control charts of regression residuals are those of Hawkins, "Multivariate quality control based on
//! regression-adjusted variables" (Technometrics 1991).
//!
//! A regression is only as good as its data: a residual counts for less the further the *other* metrics are from where they
//! ever were, because there the regression extrapolates (the leverage of Belsley, Kuh and Welsch, "Regression
//! Diagnostics", 1980). A machine that is switched off is judged by nothing but its limits until it runs again.
//!
//! It learns while all is well, slowly when in doubt, and not at all during an episode, so that a fault is not learned
//! away; a departure that outlasts its history becomes the new normal ([`episode`]).

mod adopted;
mod chart;
mod covariance;
mod episode;
mod haar;
mod metric;
mod regression;
mod spike;
mod whole;

use serde::{Deserialize, Serialize};

use super::DetectorId;
use crate::Timestamp;
use covariance::Covariance;
use episode::Episode;
use metric::Metric;
use regression::Regression;
use whole::{Sums, Whole};

/// Alarm lines, in standard deviations of a Gaussian, before the budget is shared out: levels, residuals and aggregates;
/// roughness.
const LINE: f32 = 4.2;
const ROUGHNESS_LINE: f32 = 4.6;
/// They hold for rows a minute apart. Rows that come more rarely are fewer in a week, so each may be believed more: by the
/// tail of a Gaussian, whose logarithm is half the square of the line.
const LINE_INTERVAL_MS: f64 = 60_000.0;
const RARER_MAX: f64 = 10.0;
/// A single metric's share in the sum of small shifts is bounded, so that one alone cannot fill it.
const SHIFT_MAX: f32 = 8.0;
/// Rows before it has an opinion, and rows for each metric.
const WARM_UP: u32 = 100;
const WARM_UP_PER_METRIC: u32 = 6;
/// Of the history, what has become the new normal leaves so many rows.
const ACCEPTED_COUNT: u32 = 256;
/// The other metrics may be so many times as far from their centre, squared, as on average, before a residual counts less.
const LEVERAGE_FREE: f64 = 2.0;
/// At least so many metrics at rest, and this part of those that are there, mean that the machine is switched off.
const REST_MIN: usize = 2;
const REST_PART: f64 = 0.4;
/// How long after a rest nothing is told: it runs up, and what was cold becomes warm.
const RUN_UP_MS: i64 = 2 * 3_600_000;
/// Where a row has less than this part of a device's metrics on average, over so many rows, each message carries some of
/// them: the last value of another stands for it, for so many rows a metric.
const SPARSE: f32 = 0.5;
const PRESENCE_ROWS: u32 = 256;
const HELD_ROWS: usize = 4;

/// What the monitor makes of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Joint {
    /// The furthest along the way to its limit, of everything; 1.0 is the alarm line.
    pub(crate) best: f64,
    /// Where this row stands to an episode.
    pub(crate) phase: Phase,
    /// Within an episode, how far the row goes beyond what the episode had come to, in units of the alarm line.
    pub(crate) beyond: f64,
    /// The machine has just been switched on: what is seen now is told to nobody.
    pub(crate) is_running_up: bool,
}

/// Where a row stands to an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    Outside,
    /// It begins with this row.
    Opens,
    /// It goes on.
    Within,
    /// It ended with this row.
    Closes,
}

impl Phase {
    fn of(was_on: bool, is_on: bool) -> Self {
        match (was_on, is_on) {
            (false, false) => Self::Outside,
            (false, true) => Self::Opens,
            (true, true) => Self::Within,
            (true, false) => Self::Closes,
        }
    }
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

/// State of the monitor: 0.6 KiB for each metric, 45 bytes for each pair, and 0.6 KiB for the device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Monitor {
    metrics: Vec<Metric>,
    covariance: Covariance,
    regression: Regression,
    whole: Whole,
    rows: u32,
    refresh_at: u32,
    best: f32,
    /// Part of the metrics that a row has on average.
    presence: f32,
    episode: Episode,
    /// When a machine that was switched off will have run up, milliseconds; 0 for one that never was.
    runs_from: i64,
    #[serde(skip)]
    row: Row,
}

/// Values of one row; reused.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Standardised values, predicted or held where a metric is absent.
    z: Vec<f64>,
    /// Inverse covariance times `z`.
    u: Vec<f64>,
    present: Vec<bool>,
    /// Present, or held from a row before.
    known: Vec<bool>,
    /// How fast the covariances of each metric follow.
    rates: Vec<f64>,
    shares: Vec<Share>,
}

/// What one metric's regression says of the row.
struct Fit {
    /// Expected value, and one standard deviation around it, in standard deviations of the metric.
    expected: f64,
    deviation: f64,
    /// The residual in units of that, as far as it is to be believed.
    residual: f64,
    trust: f64,
}

impl Monitor {
    /// Whether it has an opinion.
    pub(crate) fn is_warm(&self) -> bool {
        self.rows >= WARM_UP.max(WARM_UP_PER_METRIC * self.metrics.len() as u32)
    }

    /// Rows that it has taken.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether an episode is on.
    pub(crate) fn is_on(&self) -> bool {
        self.episode.is_on()
    }

    /// What the last row meant for a metric; `None` where it was absent.
    pub(crate) fn share(&self, metric: usize) -> Option<Share> {
        let present = self.row.present.get(metric).copied().unwrap_or(false);
        self.row.shares.get(metric).copied().filter(|_| present)
    }

    /// Residuals of all metrics as of their last readings, in standard deviations.
    pub(crate) fn residuals(&self) -> impl Iterator<Item = f32> + '_ {
        self.metrics.iter().map(Metric::last_residual)
    }

    /// Takes one row: `(metric, value)` for the metrics that are there, each metric once. `sensitivity` is the expected
    /// number of false alerts a device and week, `interval_ms` the usual time between rows; `counts(metric, kind,
    /// departure)` says whether a departure of that kind and sign matters.
    pub(crate) fn observe(
        &mut self,
        values: impl Iterator<Item = (usize, f64)> + Clone,
        at: Timestamp,
        sensitivity: f64,
        interval_ms: f64,
        counts: impl Fn(usize, DetectorId, f64) -> bool,
    ) -> Joint {
        let size = values.clone().map(|(metric, _)| metric + 1).max().unwrap_or(0).max(self.metrics.len());
        self.metrics.resize_with(size, Metric::default);
        self.covariance.grow(size);
        self.regression.grow(size);
        self.rows = self.rows.saturating_add(1);
        let rests = self.is_warm() && self.rests(values.clone());
        if rests {
            self.runs_from = at.millis().saturating_add(RUN_UP_MS);
        }
        let is_running_up = at.millis() < self.runs_from;
        let rate = if rests { None } else { Some(self.learning_rate()) };
        self.standardise(values, rate);
        self.regression.set(&self.row.z, at.millis());
        let was_on = self.episode.is_on();
        if let Some(rate) = rate {
            self.chart(rate, counts);
            if is_running_up {
                self.row.shares.iter_mut().for_each(|share| share.spike = 0.0);
            }
            if rate > 0.0 {
                self.learn(rate);
                if self.rows >= self.refresh_at {
                    self.refresh(sensitivity, interval_ms);
                }
            }
            if !self.is_warm() {
                self.best = 0.0;
            }
            self.episode.follow(self.best);
        } else {
            self.rest();
        }
        Joint {
            best: f64::from(self.best),
            phase: Phase::of(was_on, self.episode.is_on()),
            beyond: f64::from(self.beyond_episode()),
            is_running_up,
        }
    }

    /// Whether the machine is switched off: metrics that are usually far from zero are near it together.
    fn rests(&self, values: impl Iterator<Item = (usize, f64)>) -> bool {
        let (mut present, mut at_rest) = (0_usize, 0_usize);
        for (metric, value) in values {
            present += 1;
            at_rest += usize::from(self.metrics[metric].is_at_rest(value));
        }
        at_rest >= REST_MIN && at_rest as f64 >= REST_PART * present as f64
    }

    /// Nothing is charted or learned of a machine that is switched off.
    fn rest(&mut self) {
        self.row.shares.clear();
        self.row.shares.extend(self.metrics.iter().map(Metric::absent));
        self.best = 0.0;
        self.episode.drop();
    }

    fn learning_rate(&mut self) -> f32 {
        if !self.is_warm() {
            return 1.0;
        }
        let history = self.metrics.iter().map(Metric::seen).max().unwrap_or(0);
        let learning = self.episode.learning(self.best, history);
        if learning.accepts {
            self.metrics.iter_mut().for_each(|metric| metric.forget(ACCEPTED_COUNT));
            self.whole.forget(ACCEPTED_COUNT);
        }
        learning.rate
    }

    /// Sets the row. Without a `rate` nothing at all is learned of it.
    fn standardise(&mut self, values: impl Iterator<Item = (usize, f64)>, rate: Option<f32>) {
        let size = self.metrics.len();
        let row = &mut self.row;
        row.z.clear();
        row.z.resize(size, 0.0);
        row.present.clear();
        row.present.resize(size, false);
        for (metric, value) in values {
            let state = &mut self.metrics[metric];
            if state.is_gone() {
                // Since it went, its place among the inputs was filled by what the others made one expect.
                self.regression.restart(size);
            }
            let z = match rate {
                Some(rate) => state.standardise(value, f64::from(rate)),
                None => state.measure(value),
            };
            if let Some(z) = z {
                row.z[metric] = z;
                row.present[metric] = true;
            }
        }
        let live = row.present.iter().filter(|present| **present).count();
        self.presence += (live as f32 / size as f32 - self.presence) / self.rows.clamp(1, PRESENCE_ROWS) as f32;
        row.known.clone_from(&row.present);
        if live == size {
            return self.covariance.solve(&row.z, &mut row.u);
        }
        let is_sparse = self.presence < SPARSE;
        for metric in (0..size).filter(|metric| !row.present[*metric]) {
            if let Some(z) = self.metrics[metric].held((HELD_ROWS * size) as u32).filter(|_| is_sparse) {
                (row.z[metric], row.known[metric]) = (z, true);
            }
        }
        self.covariance.solve(&row.z, &mut row.u);
        // What is not known is what the others say: then its own residual is nothing.
        for metric in (0..size).filter(|metric| !row.known[*metric]) {
            row.z[metric] -= row.u[metric] / self.covariance.precision(metric, metric);
        }
        self.covariance.solve(&row.z, &mut row.u);
    }

    /// What the other metrics make one expect of a metric, and how much of what is left is to be believed. `distance` is
    /// the squared distance of the whole row from its centre, `live` how many metrics it has.
    fn fit(&self, metric: usize, live: usize, distance: f64) -> Fit {
        let own = self.covariance.precision(metric, metric);
        let (z, u) = (self.row.z[metric], self.row.u[metric]);
        let (expected, deviation) =
            self.regression.expected(metric).unwrap_or_else(|| (z - u / own, 1.0 / libm::sqrt(own)));
        let trust = self.metrics[metric].trust(self.regression.inputs_of_one().unwrap_or(live));
        let residual = (z - expected) / deviation * libm::sqrt(trust);
        // The squared distance of the others from their centre is what this metric's own part leaves of the whole.
        let others = (distance - u * u / own) / (self.metrics.len() - 1) as f64;
        let leverage = 1.0 + (others - LEVERAGE_FREE).max(0.0);
        Fit { expected, deviation, residual: residual / libm::sqrt(leverage), trust }
    }

    fn chart(&mut self, rate: f32, counts: impl Fn(usize, DetectorId, f64) -> bool) {
        let size = self.metrics.len();
        let live = self.row.present.iter().filter(|present| **present).count();
        let distance: f64 = self.row.z.iter().zip(&self.row.u).map(|(z, u)| z * u).sum();
        let mut best = 0.0_f32;
        let mut sums = Sums::default();
        self.row.shares.clear();
        for metric in 0..size {
            if !self.row.present[metric] {
                self.row.shares.push(self.metrics[metric].absent());
                continue;
            }
            let (z, u) = (self.row.z[metric], self.row.u[metric]);
            let fit = if size > 1 {
                self.fit(metric, live, distance)
            } else {
                Fit { expected: 0.0, deviation: 1.0, residual: z, trust: 1.0 }
            };
            let state = &mut self.metrics[metric];
            let charted =
                state.chart(z, fit.residual, rate, size > 1, |kind, departure| counts(metric, kind, departure));
            sums.distance += (z * u * fit.trust) as f32;
            sums.residuals += charted.residual * charted.residual;
            sums.steps += charted.step * charted.step;
            let reached = (charted.residual_way * LINE).min(SHIFT_MAX);
            sums.shifts += reached * reached;
            best = best.max(charted.strength);
            self.row.shares.push(state.share(charted, fit.expected, fit.deviation));
        }
        self.keep_lone_spike();
        let awaited = self.metrics.iter().filter(|metric| !metric.is_gone()).count();
        if size > 1 && live == awaited && (0..size).any(|metric| counts(metric, DetectorId::Relation, 1.0)) {
            let whole = self.whole.chart(sums, self.rows, rate);
            if self.is_warm() && whole > best {
                self.spread_blame(whole);
                best = whole;
            }
        }
        self.best = best;
    }

    /// What several metrics do at once is the machine doing something else, not a spike in one of them; what a single
    /// metric does alone is for its history to judge; and where an episode has just begun, a spike is part of it.
    fn keep_lone_spike(&mut self) {
        let moved =
            self.metrics.iter().zip(&self.row.present).filter(|(metric, present)| **present && metric.has_moved());
        let is_new = (1..adopted::AFTER).contains(&self.episode.rows());
        let most = if self.metrics.len() > 1 && moved.count() <= 1 && !is_new {
            self.row.shares.iter().map(|share| share.spike.abs()).fold(0.0, f64::max)
        } else {
            f64::INFINITY
        };
        self.row.shares.iter_mut().filter(|share| share.spike.abs() < most).for_each(|share| share.spike = 0.0);
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
        let Row { z, present, known, rates, .. } = &mut self.row;
        rates.clear();
        rates.extend(self.metrics.iter().map(|metric| metric::covariance_rate(metric.seen()) * f64::from(rate)));
        if present.iter().all(|present| *present) {
            self.covariance.learn_all(z, rates);
        } else {
            let learns = |row: usize, column: usize| known[row] && known[column] && (present[row] || present[column]);
            self.covariance.learn(z, rates, learns);
        }
        if known.iter().zip(&self.metrics).all(|(known, metric)| *known || metric.is_gone()) {
            let history = self.metrics.iter().map(Metric::seen).min().unwrap_or(0);
            self.regression.learn(metric::covariance_rate(history) * f64::from(rate));
        }
    }

    fn refresh(&mut self, sensitivity: f64, interval_ms: f64) {
        self.covariance.refresh();
        self.regression.refresh();
        let size = self.metrics.len();
        let tests = if size == 1 { 2.0 } else { 3.0 * size as f32 };
        let rarer = 2.0 * libm::log((interval_ms / LINE_INTERVAL_MS).clamp(1.0, RARER_MAX));
        let budget = (libm::log(crate::profile::SENSITIVITY_DEFAULT / sensitivity) - rarer) as f32;
        let line = |line: f32| libm::sqrtf((line * line + budget).max(4.0));
        for metric in &mut self.metrics {
            metric.refresh(line(LINE), line(ROUGHNESS_LINE), tests);
        }
        self.whole.refresh(line(LINE), tests);
        self.refresh_at = self.rows + (self.rows / 16).clamp(16, 2_048);
    }

    /// How far the row goes beyond what the episode has come to; 0 outside an episode.
    fn beyond_episode(&mut self) -> f32 {
        let row = self.episode.rows();
        if row == 0 {
            self.metrics.iter_mut().for_each(Metric::end_episode);
            return 0.0;
        }
        let present = self.metrics.iter_mut().zip(&self.row.present).filter(|(_, present)| **present);
        present.map(|(metric, _)| metric.follow_episode(row)).fold(0.0, f32::max)
    }
}

#[cfg(test)]
pub(crate) mod tests;
