//! The fact that is stored when an alert is raised, and its identity.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{DetectorId, Explanation, Timestamp, identity};

/// How urgent an anomaly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look today.
    Warning,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Severity by strength alone: from twice the alarm line on it is critical.
    #[must_use]
    pub fn of_strength(strength: f64) -> Self {
        if strength >= 2.0 { Self::Critical } else { Self::Warning }
    }
}

/// Identity of an anomaly: the same finding has the same id wherever and however often it is found.
///
/// [Derived](identity::derive) from tenant, device, detector, onset and the metrics in order: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnomalyId(String);

impl AnomalyId {
    /// Derives the id. `metrics` may come in any order.
    #[must_use]
    pub fn of(tenant: &str, device: &str, metrics: &[&str], detector: DetectorId, onset: Timestamp) -> Self {
        let mut sorted = metrics.to_vec();
        sorted.sort_unstable();
        let onset = onset.millis().to_string();
        let parts = [tenant, device, detector.as_str(), &onset];
        Self(identity::derive(parts.into_iter().chain(sorted)))
    }

    /// The id as text: 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AnomalyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One finding, as the engine hands it over for storing. Immutable from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Identity.
    pub id: AnomalyId,
    /// Whose device it is.
    pub tenant: String,
    /// The device.
    pub device: String,
    /// The metrics that speak for it, strongest first.
    pub metrics: Vec<String>,
    /// The detector that spoke loudest.
    pub detector: DetectorId,
    /// When it began: the time of the reading that crossed the line.
    pub onset: Timestamp,
    /// Strength in units of the alarm line, 1.0 and more.
    pub score: f64,
    /// How urgent.
    pub severity: Severity,
    /// Why.
    pub explanation: Explanation,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn the_id_depends_on_each_part_and_on_nothing_else() {
        let id = |t, d, m: &[&str], k, ms| AnomalyId::of(t, d, m, k, at(ms));
        let one = id("t", "d", &["a", "b"], DetectorId::Level, 1_700_000_000_000);
        assert_eq!(one, id("t", "d", &["b", "a"], DetectorId::Level, 1_700_000_000_000));
        for other in [
            id("u", "d", &["a", "b"], DetectorId::Level, 1_700_000_000_000),
            id("t", "e", &["a", "b"], DetectorId::Level, 1_700_000_000_000),
            id("t", "d", &["ab"], DetectorId::Level, 1_700_000_000_000),
            id("t", "d", &["a", "b"], DetectorId::Limit, 1_700_000_000_000),
            id("t", "d", &["a", "b"], DetectorId::Level, 1_700_000_000_001),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(one.as_str().len(), 32);
    }

    #[test]
    fn the_id_is_what_it_was_in_the_first_release() {
        let id = AnomalyId::of("acme", "pump-7", &["temperature"], DetectorId::Limit, at(1_700_000_000_000));
        assert_eq!(id.as_str(), GOLDEN);
    }

    const GOLDEN: &str = "08f4060f0ff7012f1d0f737735fc04a4";
}
