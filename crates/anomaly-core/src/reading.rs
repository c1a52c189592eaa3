//! What enters the engine: values that are finite, names that are bounded, a device at an instant.

use serde::{Deserialize, Serialize};

use crate::{DeviceName, MetricName, TenantName, Timestamp};

/// Most metrics one observation, and one device over its life, may have.
pub const METRICS_MAX: usize = 64;

/// A number that is neither infinite nor NaN; `-0.0` becomes `0.0`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Finite(f64);

/// The value was infinite or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reading must be a finite number")]
pub struct NotFinite;

impl Finite {
    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Finite {
    type Error = NotFinite;
    fn try_from(value: f64) -> Result<Self, NotFinite> {
        // Adding zero turns -0.0 into 0.0 and changes nothing else.
        if value.is_finite() { Ok(Self(value + 0.0)) } else { Err(NotFinite) }
    }
}

/// What the source says of a value (OPC UA and Sparkplug B send it; most others do not, which counts as good).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Fit for scoring.
    #[default]
    Good,
    /// Stored, scored, and marked.
    Uncertain,
    /// Stored and not scored.
    Bad,
}

/// One metric's value at the instant of its observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<'a> {
    /// Name of the metric, in the profile's spelling or an alias of it.
    pub metric: MetricName<'a>,
    /// The value, in the metric's unit.
    pub value: Finite,
    /// What the source says of it.
    pub quality: Quality,
}

/// All that one device reported for one instant.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// Whose device it is: from where the message arrived, never from what it says.
    pub tenant: TenantName<'a>,
    /// The device.
    pub device: DeviceName<'a>,
    /// When it was measured.
    pub at: Timestamp,
    /// When it arrived at the stream; the engine's only notion of "now".
    pub arrived: Timestamp,
    /// One entry a metric, at most [`METRICS_MAX`].
    pub readings: &'a [Reading<'a>],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_numbers_pass_and_minus_zero_becomes_zero() {
        assert!(Finite::try_from(f64::NAN).is_err());
        assert!(Finite::try_from(f64::INFINITY).is_err());
        assert_eq!(Finite::try_from(-0.0).unwrap().get().to_bits(), 0.0_f64.to_bits());
        assert_eq!(Finite::try_from(-1.5).unwrap().get().to_bits(), (-1.5_f64).to_bits());
    }
}
