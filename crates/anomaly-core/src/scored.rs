//! What the engine says of one observation.

use crate::{Anomaly, DeviceStatus, ReadingVerdict};

/// Raised on the row on which somebody should hear of it.
pub type Alert = Box<Anomaly>;

/// What the engine says of one observation. Reused from row to row; [`crate::Engine::observe`] clears it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// How abnormal the device is now: 1.0 and more means abnormal, and it stays there while the fault lasts.
    pub score: f64,
    /// Set only on a row where an alert is raised.
    pub alert: Option<Alert>,
    /// Strength, below 1, of a surprise on this row that only a higher sensitivity would tell; 0 without one.
    pub hint: f64,
    /// How the device is after this row.
    pub status: DeviceStatus,
    /// Whether the status differs from before this row.
    pub changed: bool,
    /// One entry a reading, in the order of the observation.
    pub readings: Vec<ReadingVerdict>,
}

impl Default for Scored {
    fn default() -> Self {
        Self { score: 0.0, alert: None, hint: 0.0, status: DeviceStatus::Warming, changed: false, readings: Vec::new() }
    }
}

impl Scored {
    /// Strength of the alert raised on this row, 0 when none was.
    #[must_use]
    pub fn alert_strength(&self) -> f64 {
        self.alert.as_ref().map_or(0.0, |anomaly| anomaly.score)
    }

    /// The same for all sensitivities at once: 1 and more for an alert that is raised, less for one that a higher
    /// sensitivity would raise.
    #[must_use]
    pub fn alert_rank(&self) -> f64 {
        self.alert_strength().max(self.hint)
    }
}
