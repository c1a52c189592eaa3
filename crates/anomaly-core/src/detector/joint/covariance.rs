//! How the metrics of a device move together: covariance of their standardised values, and its inverse.

use serde::{Deserialize, Serialize};

/// Share by which correlations are shrunk towards none, so that the inverse exists.
const SHRINK: f64 = 3e-3;
/// Added to the diagonal for the same reason.
const RIDGE: f64 = 1e-6;

/// Devices of so many metrics need no memory for a refresh.
const SMALL: usize = 24;

/// A symmetric matrix that grows with the device, lower triangle by rows, and its inverse as of the last refresh.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Covariance {
    size: usize,
    lower: Vec<f32>,
    inverse: Vec<f32>,
}

fn place(row: usize, column: usize) -> usize {
    let (row, column) = if row >= column { (row, column) } else { (column, row) };
    row * (row + 1) / 2 + column
}

impl Covariance {
    /// Makes room for `size` metrics; new ones are on their own.
    pub(super) fn grow(&mut self, size: usize) {
        while self.size < size {
            for triangle in [&mut self.lower, &mut self.inverse] {
                triangle.extend(std::iter::repeat_n(0.0, self.size));
                triangle.push(1.0);
            }
            self.size += 1;
        }
    }

    /// Moves all covariances towards the products of the `values`, each by the rate of the two that is known for less long.
    pub(super) fn learn_all(&mut self, values: &[f64], rates: &[f64]) {
        let mut rest = self.lower.as_mut_slice();
        for (row, (value, rate)) in values.iter().zip(rates).enumerate() {
            let (entries, after) = rest.split_at_mut(row + 1);
            rest = after;
            for (entry, (other, other_rate)) in entries.iter_mut().zip(values.iter().zip(rates)) {
                let rate = if rate > other_rate { rate } else { other_rate };
                *entry += (rate * (value * other - f64::from(*entry))) as f32;
            }
        }
    }

    /// [`Self::learn_all`] where `counts(row, column)` holds.
    pub(super) fn learn(&mut self, values: &[f64], rates: &[f64], counts: impl Fn(usize, usize) -> bool) {
        for row in 0..values.len() {
            for column in (0..=row).filter(|column| counts(row, *column)) {
                let entry = &mut self.lower[place(row, column)];
                let product = values[row] * values[column];
                *entry += (rates[row].max(rates[column]) * (product - f64::from(*entry))) as f32;
            }
        }
    }

    /// Entry of the inverse.
    pub(super) fn precision(&self, row: usize, column: usize) -> f64 {
        f64::from(self.inverse[place(row, column)])
    }

    /// `out` = inverse × `values`.
    pub(super) fn solve(&self, values: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.resize(values.len(), 0.0);
        let mut entries = self.inverse.iter();
        for row in 0..values.len() {
            for column in 0..row {
                let Some(entry) = entries.next() else { return };
                out[row] += f64::from(*entry) * values[column];
                out[column] += f64::from(*entry) * values[row];
            }
            let Some(entry) = entries.next() else { return };
            out[row] += f64::from(*entry) * values[row];
        }
    }

    /// Computes the inverse anew by Cholesky's method. Where numbers fail, the metrics are on their own until the next time.
    pub(super) fn refresh(&mut self) {
        let size = self.size;
        // On the stack, for all but the largest devices: this comes often while a device is new.
        let (mut small, mut large) = ([0.0; SMALL * SMALL + SMALL], Vec::new());
        let room = if size <= SMALL {
            &mut small[..]
        } else {
            large.resize(size * size + size, 0.0);
            &mut large[..]
        };
        let (factor, column) = room.split_at_mut(size * size);
        let column = &mut column[..size];
        for row in 0..size {
            for column in 0..=row {
                let entry = f64::from(self.lower[place(row, column)]);
                let mut sum = if row == column { entry + RIDGE } else { (1.0 - SHRINK) * entry };
                for k in 0..column {
                    sum -= factor[row * size + k] * factor[column * size + k];
                }
                if row == column {
                    if sum.is_nan() || sum <= RIDGE * 0.5 {
                        return self.stand_alone();
                    }
                    factor[row * size + row] = libm::sqrt(sum);
                } else {
                    factor[row * size + column] = sum / factor[column * size + column];
                }
            }
        }
        for unit in 0..size {
            column.fill(0.0);
            column[unit] = 1.0;
            for row in 0..size {
                let mut sum = column[row];
                for k in unit..row {
                    sum -= factor[row * size + k] * column[k];
                }
                column[row] = if row < unit { 0.0 } else { sum / factor[row * size + row] };
            }
            for row in (0..size).rev() {
                let mut sum = column[row];
                for k in row + 1..size {
                    sum -= factor[k * size + row] * column[k];
                }
                column[row] = sum / factor[row * size + row];
            }
            for (row, entry) in column.iter().enumerate().skip(unit) {
                self.inverse[place(row, unit)] = *entry as f32;
            }
        }
    }

    fn stand_alone(&mut self) {
        for row in 0..self.size {
            for column in 0..=row {
                self.inverse[place(row, column)] = f32::from(u8::from(row == column));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_times_the_matrix_is_one() {
        let entries = [[1.0, 0.8, 0.3], [0.8, 1.0, 0.1], [0.3, 0.1, 1.0]];
        let mut covariance = Covariance::default();
        covariance.grow(3);
        for (row, line) in entries.iter().enumerate() {
            for (column, entry) in line.iter().enumerate().take(row + 1) {
                covariance.lower[place(row, column)] = *entry as f32;
            }
        }
        covariance.refresh();
        let mut out = Vec::new();
        for column in 0..3 {
            let values: Vec<f64> = entries.iter().map(|line| line[column]).collect();
            covariance.solve(&values, &mut out);
            for (row, found) in out.iter().enumerate() {
                let expected = f64::from(u8::from(row == column));
                assert!((found - expected).abs() < 0.02, "{row} {column}: {found}");
            }
        }
    }

    #[test]
    fn rows_of_all_metrics_are_learned_as_rows_of_some_would_be() {
        let (mut all, mut some) = (Covariance::default(), Covariance::default());
        all.grow(3);
        some.grow(3);
        for row in 0..10 {
            let values = [0.1 * f64::from(row), 1.0, -0.3 * f64::from(row)];
            all.learn_all(&values, &[0.1, 0.2, 0.05]);
            some.learn(&values, &[0.1, 0.2, 0.05], |_, _| true);
        }
        assert_eq!(all, some);
    }

    #[test]
    fn two_metrics_that_are_one_do_not_break_it() {
        let mut covariance = Covariance::default();
        covariance.grow(2);
        covariance.learn_all(&[1.0, 1.0], &[1.0, 1.0]);
        covariance.refresh();
        assert!(covariance.precision(0, 0).is_finite() && covariance.precision(0, 0) > 1.0);
    }
}
