//! What a fault does to the readings of its device.
//!
//! Everything is a function of the sound signals and of how far the fault has come, so that the readings outside a fault
//! are those of a machine that never had one. Two things have a memory: a stuck sensor's value is held here, and heat is
//! held by the machine.

use crate::fault::FaultKind;
use crate::machine::Signals;
use crate::metric::{METRICS, Metric};
use crate::schedule::Planned;

/// What the sensors of a device report at one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Values at sensor resolution, by [`Metric`].
    pub(crate) values: [f64; METRICS],
    /// Whether each metric is reported at all.
    pub(crate) present: [bool; METRICS],
}

impl Sample {
    /// Whether no metric is reported, so that nothing is sent.
    pub(crate) fn is_silent(&self) -> bool {
        self.present == [false; METRICS]
    }
}

/// How far the planned fault has come at `step`: 0 at its first step, below 1 at its last; `None` outside.
fn progress(fault: &Planned, step: i64) -> Option<f64> {
    (fault.from..fault.until).contains(&step).then(|| (step - fault.from) as f64 / (fault.until - fault.from) as f64)
}

/// The share of its cooling that the fault takes from the machine at `step`, as a factor on the thermal resistance.
pub(crate) fn cooling_lost(fault: &Planned, step: i64) -> f64 {
    match progress(fault, step) {
        Some(progress) if fault.kind == FaultKind::Overheating => fault.magnitude * (progress * 4.0).min(1.0),
        _ => 0.0,
    }
}

/// Turns signals into what the sensors report at `step`. `held` keeps a stuck sensor's value between steps.
pub(crate) fn sample(signals: &Signals, fault: &Planned, step: i64, held: &mut f64) -> Sample {
    let mut values = signals.level;
    for (value, noise) in values.iter_mut().zip(signals.noise) {
        *value += noise;
    }
    let mut present = [true; METRICS];
    let Some(progress) = progress(fault, step) else {
        return Sample { values: reported(values), present };
    };
    match (fault.kind, fault.metric) {
        (FaultKind::Drift, Some(metric)) => {
            // Counted from the step after the last sound one, so that the first affected reading is affected.
            let steps = (fault.until - fault.from) as f64;
            values[metric as usize] += fault.magnitude * (progress + 1.0 / steps);
        }
        (FaultKind::Spike | FaultKind::LevelShift, Some(metric)) => values[metric as usize] += fault.magnitude,
        (FaultKind::Stuck, Some(metric)) => {
            if step == fault.from {
                *held = values[metric as usize];
            }
            values[metric as usize] = *held;
        }
        (FaultKind::Imbalance, Some(metric)) => {
            let grown = (0.2 + 8.0 * progress).min(1.0);
            values[metric as usize] += fault.magnitude * grown * signals.speed * signals.speed;
        }
        (FaultKind::NoiseIncrease, Some(metric)) => {
            let i = metric as usize;
            values[i] = signals.level[i] + fault.magnitude * signals.noise[i];
        }
        (FaultKind::Dropout, Some(metric)) => present[metric as usize] = false,
        (FaultKind::Dropout, None) => present = [false; METRICS],
        // Heat is in the signals already; the other kinds always have a metric.
        (FaultKind::Overheating, _) | (_, None) => {}
    }
    Sample { values: reported(values), present }
}

/// What sensors show: nothing below zero, no more digits than they resolve.
fn reported(mut values: [f64; METRICS]) -> [f64; METRICS] {
    for (value, metric) in values.iter_mut().zip(Metric::ALL) {
        let physical = if metric == Metric::Temperature { *value } else { value.max(0.0) };
        *value = metric.resolve(physical);
    }
    values
}
