//! What the other metrics make one expect of a metric: from what they are now, what they were a moment and a while ago,
//! and the time of the day.
//!
//! A housing is as warm as the load of the last half hour made it, and the hall adds a season that no other metric knows.
//! So the inputs of the regression are the other metrics' values, two running averages of each, and the first harmonic of
//! the day; a metric's own past is left out, because it would explain a fault by the fault. Ordinary least squares from
//! running second moments, with a ridge (Hoerl and Kennard, Technometrics 1970), solved anew when the monitor refreshes.
//!
//! It speaks once it has seen ten rows for each input; before that, and for devices of very many metrics, the inverse
//! covariance of the present alone does ([`super::covariance`]).

use serde::{Deserialize, Serialize};

/// Devices with more metrics are regressed on the present alone: the moments grow with the square.
const METRICS_MAX: usize = 12;
/// Each metric as it is, and its averages over so many rows.
const LAGS: usize = 3;
const SPANS: [f32; LAGS] = [1.0, 8.0, 40.0];
/// Sine and cosine of the time of the day.
const SEASON: usize = 2;
/// Most inputs of all metrics.
const INPUTS_MAX: usize = LAGS * METRICS_MAX + SEASON;
/// A season is only known once it has come again.
const SEASON_AFTER_MS: i64 = 2 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Rows for each input before it speaks.
const ROWS_PER_INPUT: usize = 10;
/// Share of an input's own variance that is added to it, and the least that is, so that the system has a solution.
const RIDGE: f64 = 3e-3;
const FLOOR: f64 = 1e-6;
/// A pivot below this means that the inputs are not independent even so.
const PIVOT_MIN: f64 = 1e-12;

/// State of the regressions of all metrics of a device: 12 floats a metric and 4.5 for each pair, twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Regression {
    size: usize,
    /// Second moments of all inputs, lower triangle by rows.
    moments: Vec<f32>,
    /// Inputs of the present row: values, short averages, long averages, season.
    inputs: Vec<f32>,
    /// Weights of the inputs for each metric; 0 for its own.
    weights: Vec<f32>,
    /// Standard deviation of what the regression leaves, for each metric.
    spreads: Vec<f32>,
    learned: u32,
    first_ms: Option<i64>,
    is_ready: bool,
}

fn place(row: usize, column: usize) -> usize {
    let (row, column) = if row >= column { (row, column) } else { (column, row) };
    row * (row + 1) / 2 + column
}

impl Regression {
    /// Makes room for `size` metrics. A metric that appears makes it begin anew: what it knew lacks an input.
    pub(super) fn grow(&mut self, size: usize) {
        if size != self.size {
            self.restart(size);
        }
    }

    /// Begins anew, for `size` metrics.
    pub(super) fn restart(&mut self, size: usize) {
        *self = Self { size, first_ms: self.first_ms, ..Self::default() };
        if self.is_used() {
            let inputs = self.inputs_len();
            self.moments = vec![0.0; inputs * (inputs + 1) / 2];
            self.inputs = vec![0.0; inputs];
            self.weights = vec![0.0; size * inputs];
            self.spreads = vec![1.0; size];
        }
    }

    fn is_used(&self) -> bool {
        (2..=METRICS_MAX).contains(&self.size)
    }

    fn inputs_len(&self) -> usize {
        LAGS * self.size + SEASON
    }

    /// How many inputs the expectation of one metric has, `None` while it does not speak.
    pub(super) fn inputs_of_one(&self) -> Option<usize> {
        self.is_ready.then(|| LAGS * (self.size - 1) + SEASON)
    }

    /// How many rows it has learned from.
    #[cfg(test)]
    pub(super) fn learned(&self) -> u32 {
        self.learned
    }

    /// Sets the inputs of a row measured at `at_ms`. `z` are standardised values.
    pub(super) fn set(&mut self, z: &[f64], at_ms: i64) {
        if !self.is_used() {
            return;
        }
        let first = *self.first_ms.get_or_insert(at_ms);
        for (lag, span) in SPANS.into_iter().enumerate() {
            let averages = &mut self.inputs[lag * self.size..(lag + 1) * self.size];
            for (average, value) in averages.iter_mut().zip(z) {
                *average += 2.0 / (span + 1.0) * (*value as f32 - *average);
            }
        }
        if at_ms - first > SEASON_AFTER_MS {
            let turn = at_ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64 * std::f64::consts::TAU;
            let (sine, cosine) = libm::sincos(turn);
            let season = LAGS * self.size;
            (self.inputs[season], self.inputs[season + 1]) = (sine as f32, cosine as f32);
        }
    }

    /// What the other metrics make one expect of `metric`, and one standard deviation around it, both in standard deviations
    /// of the metric; `None` while it does not speak.
    pub(super) fn expected(&self, metric: usize) -> Option<(f64, f64)> {
        if !self.is_ready {
            return None;
        }
        let inputs = self.inputs_len();
        let weights = &self.weights[metric * inputs..(metric + 1) * inputs];
        let expected: f32 = weights.iter().zip(&self.inputs).map(|(weight, input)| weight * input).sum();
        Some((f64::from(expected), f64::from(self.spreads[metric])))
    }

    /// Learns from the present row, of which every metric must be known.
    pub(super) fn learn(&mut self, rate: f64) {
        if !self.is_used() {
            return;
        }
        self.learned = self.learned.saturating_add(1);
        let rate = rate.max(1.0 / f64::from(self.learned)) as f32;
        let mut rest = self.moments.as_mut_slice();
        for (row, value) in self.inputs.iter().enumerate() {
            let (moments, after) = rest.split_at_mut(row + 1);
            rest = after;
            learn_row(moments, &self.inputs[..=row], *value, rate);
        }
    }

    /// Solves the regressions anew. Where the numbers do not allow it, a metric keeps the solution it has.
    pub(super) fn refresh(&mut self) {
        if !self.is_used() || (self.learned as usize) < ROWS_PER_INPUT * LAGS * self.size {
            return;
        }
        for metric in 0..self.size {
            self.solve(metric);
        }
    }

    fn solve(&mut self, metric: usize) {
        let (size, inputs) = (self.size, self.inputs_len());
        let moment = |row, column| f64::from(self.moments[place(row, column)]);
        // On the stack: this comes often while a device is new.
        let (mut used, mut right, mut matrix) = ([0; INPUTS_MAX], [0.0; INPUTS_MAX], [0.0; INPUTS_MAX * INPUTS_MAX]);
        let mut count = 0;
        for input in (0..inputs).filter(|i| *i >= LAGS * size || i % size != metric) {
            (used[count], right[count]) = (input, moment(input, metric));
            count += 1;
        }
        let (used, right, matrix) = (&used[..count], &right[..count], &mut matrix[..count * count]);
        for (row, line) in matrix.chunks_exact_mut(count).enumerate() {
            let own = &self.moments[place(used[row], 0)..];
            line.iter_mut().zip(&used[..=row]).for_each(|(entry, input)| *entry = f64::from(own[*input]));
            line[row] = line[row] * (1.0 + RIDGE) + FLOOR;
        }
        let mut solution = [0.0; INPUTS_MAX];
        solution[..count].copy_from_slice(right);
        let solution = &mut solution[..count];
        if !cholesky_solve(matrix, solution) {
            return;
        }
        let explained: f64 = solution.iter().zip(right).map(|(weight, moment)| weight * moment).sum();
        self.spreads[metric] = libm::sqrt((moment(metric, metric) - explained).max(FLOOR)) as f32;
        let weights = &mut self.weights[metric * inputs..(metric + 1) * inputs];
        weights.fill(0.0);
        for (input, weight) in used.iter().zip(&*solution) {
            weights[*input] = *weight as f32;
        }
        self.is_ready = true;
    }
}

/// Moves the moments of one input with itself and those before it towards their products with its value. In fours, which a
/// processor takes at once: the rows are too short for what a compiler makes of them by itself. The last four may have been
/// among those before, so they are worked out first.
fn learn_row(moments: &mut [f32], inputs: &[f32], value: f32, rate: f32) {
    let learned = |moment: f32, input: f32| moment + rate * (value * input - moment);
    let four = |moments: [f32; 4], inputs: [f32; 4]| -> [f32; 4] {
        std::array::from_fn(|place| learned(moments[place], inputs[place]))
    };
    let (Some(last), Some(last_inputs)) = (moments.last_chunk(), inputs.last_chunk()) else {
        return moments.iter_mut().zip(inputs).for_each(|(moment, input)| *moment = learned(*moment, *input));
    };
    let last = four(*last, *last_inputs);
    for (moments, inputs) in moments.as_chunks_mut().0.iter_mut().zip(inputs.as_chunks().0) {
        *moments = four(*moments, *inputs);
    }
    if let Some(place) = moments.last_chunk_mut() {
        *place = last;
    }
}

/// Solves a symmetric system of equations, given by the lower triangle of `factor`, by Cholesky's method in place, and the
/// right side in `solution`, which it becomes. Says whether it could: not where the matrix is not positive definite.
fn cholesky_solve(factor: &mut [f64], solution: &mut [f64]) -> bool {
    let size = solution.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for row in 0..size {
        let (above, rest) = factor.split_at_mut(row * size);
        let own = &mut rest[..=row];
        for (column, other) in above.chunks_exact(size).enumerate() {
            own[column] = (own[column] - dot(&own[..column], &other[..column])) / other[column];
        }
        let left = own[row] - dot(&own[..row], &own[..row]);
        if left.is_nan() || left <= PIVOT_MIN {
            return false;
        }
        own[row] = libm::sqrt(left);
    }
    for (row, factors) in factor.chunks_exact(size).enumerate() {
        solution[row] = (solution[row] - dot(&factors[..row], &solution[..row])) / factors[row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|k| factor[k * size + row] * solution[k]).sum();
        solution[row] = (solution[row] - known) / factor[row * size + row];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::joint::tests::noise;

    const MINUTE_MS: i64 = 60_000;

    /// Learns from rows a minute apart and refreshes at the end.
    fn learned(rows: impl Iterator<Item = Vec<f64>>) -> Regression {
        let mut regression = Regression::default();
        for (row, z) in rows.enumerate() {
            regression.grow(z.len());
            regression.set(&z, row as i64 * MINUTE_MS);
            regression.learn(1.0 / 4_000.0);
        }
        regression.refresh();
        regression
    }

    #[test]
    fn a_temperature_that_lags_behind_the_load_is_expected_to() {
        let (mut values, mut load, mut heat) = (noise(1), 0.0, 0.0);
        let mut rows = std::iter::repeat_with(move || {
            load += 0.05 * (values.next().unwrap_or(0.0) - load);
            heat += 0.1 * (4.0 * load - heat);
            vec![4.0 * load, heat]
        });
        let mut regression = learned(rows.by_ref().take(20_000));
        let mut left = 0.0;
        for (row, z) in rows.take(500).enumerate() {
            regression.set(&z, (20_000 + row as i64) * MINUTE_MS);
            let (expected, _) = regression.expected(1).unwrap();
            left += (z[1] - expected) * (z[1] - expected) / 500.0;
        }
        assert!(left < 0.02, "what is left of a variance of about 0.3: {left}");
    }

    #[test]
    fn the_season_of_the_day_is_known_from_its_third_day_on() {
        let day = |row: usize| libm::sin(row as f64 / 1_440.0 * std::f64::consts::TAU);
        let rows = noise(2).enumerate().map(|(row, noise)| vec![noise, day(row)]);
        let regression = learned(rows.take(1_440 * 8 + 360));
        let (expected, spread) = regression.expected(1).unwrap();
        assert!((expected - day(360)).abs() < 0.2 && spread < 0.5, "{expected} ± {spread}");
    }

    #[test]
    fn a_metric_is_not_explained_by_its_own_past() {
        let mut values = noise(3);
        let mut own = 0.0;
        let rows = std::iter::repeat_with(move || {
            own += 0.01 * (values.next().unwrap_or(0.0) - own);
            vec![values.next().unwrap_or(0.0), 10.0 * own]
        });
        let regression = learned(rows.take(20_000));
        assert!(regression.expected(1).unwrap().0.abs() < 0.2);
    }

    #[test]
    fn two_metrics_that_are_one_do_not_break_it() {
        let regression = learned(noise(4).take(1_000).map(|value| vec![value, value]));
        let (expected, spread) = regression.expected(0).unwrap();
        assert!(expected.is_finite() && spread.is_finite() && spread > 0.0);
    }

    #[test]
    fn it_says_nothing_before_it_has_ten_rows_for_each_input() {
        assert!(learned(noise(5).take(59).map(|value| vec![value, -value])).expected(0).is_none());
        assert!(learned(noise(5).take(60).map(|value| vec![value, -value])).expected(0).is_some());
    }
}
