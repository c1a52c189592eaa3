//! What a plant is made of, and the bounds within which that makes sense.
//!
//! Nothing here reads a file or the environment: the caller fills the fields and learns every mistake at once.

use serde::{Deserialize, Serialize};

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// The most devices one plant can have.
pub const DEVICES_MAX: u32 = 100_000;

/// Monday 2026-01-05T00:00:00Z.
const START_DEFAULT_MS: i64 = 1_767_571_200_000;
/// 1970-01-01 and 2200-01-01: outside, a payload's time would not be told from a mistake.
const START_RANGE_MS: (i64, i64) = (0, 7_258_118_400_000);
const DURATION_MAX_MS: i64 = 3_660 * DAY_MS;
const FAULT_RATE_MAX: f64 = 20.0;
const CHANGE_RATE_MAX: f64 = 20.0;
const NOISE_MAX: f64 = 10.0;
const TENANT_BYTES_MAX: usize = 64;

/// Everything that determines a plant's readings. The same configuration gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlantConfig {
    /// Chooses machines, noise, faults and poison. Default 1.
    pub seed: u64,
    /// How many devices, 1 to [`DEVICES_MAX`]. Default 10. Adding devices leaves those that were there unchanged.
    pub devices: u32,
    /// First instant, UTC milliseconds since 1970, up to 2200. Default 2026-01-05T00:00:00Z, a Monday.
    pub start: i64,
    /// How long the plant runs, in milliseconds, from 1 to ten years. Default 4 days. A longer run continues a shorter one.
    pub duration_ms: i64,
    /// Time between two emissions of a device, 1 ms to 1 day. Default 60 s. Each device has a phase of its own within it.
    pub cadence_ms: i64,
    /// Expected faults per device and week of healthy running once [`quiet_ms`](Self::quiet_ms) has passed, 0 (never) to
    /// 20. Default 5: four devices of five have a fault within three days. A device's faults never overlap, and six hours
    /// or more lie between one fault's end and the next.
    pub fault_rate: f64,
    /// Fault-free span at the beginning in which a detector can learn, in milliseconds from 0. Default 1 day.
    pub quiet_ms: i64,
    /// Whose plant it is: 1 to 64 of `a-z A-Z 0-9 - _`. Default `demo`. Does not influence values.
    pub tenant: String,
    /// Expected unreadable payloads per million emissions, 0 to 1,000,000. Default 0. Does not influence values or faults.
    pub poison_per_million: u32,
    /// Multiplier of every sensor's noise, 0 (none) to 10. Default 1; up to there, healthy values stay in the default limits,
    /// with stops or new products up to 2.
    pub noise: f64,
    /// Expected planned stops per device and week, 0 (never) to 20. Default 0. The machine is switched off for one to eight
    /// hours and started again: healthy behaviour, which is no fault and moves none.
    pub stops_per_week: f64,
    /// Expected new products per device and week of making usual ones, 0 (never) to 20. Default 0. A product that was never
    /// made before has its own load, speed, pressure and heat; it is made for 8 to 72 hours, and half of such products once
    /// more after a while. Healthy behaviour, which is no fault and moves none.
    pub new_products_per_week: f64,
    /// Stops and new products happen only from the start + this on, in milliseconds from 0. Default 0.
    pub changes_from_ms: i64,
}

impl Default for PlantConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            devices: 10,
            start: START_DEFAULT_MS,
            duration_ms: 4 * DAY_MS,
            cadence_ms: 60_000,
            fault_rate: 5.0,
            quiet_ms: DAY_MS,
            tenant: "demo".to_owned(),
            poison_per_million: 0,
            noise: 1.0,
            stops_per_week: 0.0,
            new_products_per_week: 0.0,
            changes_from_ms: 0,
        }
    }
}

/// One setting that is out of its bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A whole number outside its range.
    #[error("{field} must be {min} to {max}, got `{got}`")]
    OutOfRange {
        /// The field of [`PlantConfig`].
        field: &'static str,
        /// Smallest value accepted.
        min: i64,
        /// Largest value accepted.
        max: i64,
        /// The value that was given.
        got: i64,
    },
    /// A fraction outside its range, or not a number.
    #[error("{field} must be a number from {min} to {max}, got `{got}`")]
    NotInRange {
        /// The field of [`PlantConfig`].
        field: &'static str,
        /// Smallest value accepted.
        min: f64,
        /// Largest value accepted.
        max: f64,
        /// The value that was given.
        got: f64,
    },
    /// A tenant that could not stand in a topic.
    #[error("tenant must be 1 to 64 of the characters a-z A-Z 0-9 - _, got `{}`", got.escape_debug())]
    Tenant {
        /// The name that was given.
        got: String,
    },
}

/// Every mistake of a configuration, in the order of its fields.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("invalid plant: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl PlantConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// All mistakes at once, in the order of the fields.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let whole = |field, got, min, max| {
            (!(min..=max).contains(&got)).then_some(ConfigError::OutOfRange { field, min, max, got })
        };
        let fraction = |field, got: f64, max| {
            (!(0.0..=max).contains(&got)).then_some(ConfigError::NotInRange { field, min: 0.0, max, got })
        };
        let mistakes: Vec<_> = [
            whole("devices", self.devices.into(), 1, DEVICES_MAX.into()),
            whole("start", self.start, START_RANGE_MS.0, START_RANGE_MS.1),
            whole("duration_ms", self.duration_ms, 1, DURATION_MAX_MS),
            whole("cadence_ms", self.cadence_ms, 1, DAY_MS),
            fraction("fault_rate", self.fault_rate, FAULT_RATE_MAX),
            whole("quiet_ms", self.quiet_ms, 0, DURATION_MAX_MS),
            (!is_name(&self.tenant)).then(|| ConfigError::Tenant { got: self.tenant.clone() }),
            whole("poison_per_million", self.poison_per_million.into(), 0, 1_000_000),
            fraction("noise", self.noise, NOISE_MAX),
            fraction("stops_per_week", self.stops_per_week, CHANGE_RATE_MAX),
            fraction("new_products_per_week", self.new_products_per_week, CHANGE_RATE_MAX),
            whole("changes_from_ms", self.changes_from_ms, 0, DURATION_MAX_MS),
        ]
        .into_iter()
        .flatten()
        .collect();
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// The first instant after the run, UTC milliseconds.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration_ms)
    }
}

fn is_name(text: &str) -> bool {
    (1..=TENANT_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(PlantConfig::default().validate(), Ok(()));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let wrong = PlantConfig {
            seed: 0,
            devices: 0,
            start: -1,
            duration_ms: 0,
            cadence_ms: 0,
            fault_rate: f64::NAN,
            quiet_ms: -1,
            tenant: "a/b".to_owned(),
            poison_per_million: 1_000_001,
            noise: f64::INFINITY,
            stops_per_week: -1.0,
            new_products_per_week: 21.0,
            changes_from_ms: -1,
        };
        let mistakes = wrong.validate().unwrap_err();
        assert_eq!(mistakes.len(), 12);
        let text = ConfigErrors(mistakes).to_string();
        assert!(text.starts_with("invalid plant: devices must be 1 to 100000, got `0`; start must be"), "{text}");
        assert!(text.contains("fault_rate must be a number from 0 to 20, got `NaN`"), "{text}");
        assert!(text.contains("tenant must be 1 to 64 of the characters a-z A-Z 0-9 - _, got `a/b`"), "{text}");
    }

    #[test]
    fn a_configuration_survives_being_stored() {
        let config = PlantConfig { seed: u64::MAX, tenant: "acme".to_owned(), ..PlantConfig::default() };
        let stored = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<PlantConfig>(&stored).unwrap(), config);
    }

    #[test]
    fn a_configuration_from_before_there_were_changes_has_none() {
        let config: PlantConfig = serde_json::from_str(r#"{"seed":7,"noise":2.0}"#).unwrap();
        assert_eq!((config.stops_per_week, config.new_products_per_week, config.changes_from_ms), (0.0, 0.0, 0));
    }
}
