//! The faults a plant injects and the truth it tells about them.
//!
//! How faults are drawn is in `schedule`, what they do to readings in `injection`.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::change::Change;
use crate::config::PlantConfig;
use crate::metric::Metric;

/// What goes wrong, and what [`Fault::magnitude`] means for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// One metric moves away steadily. Magnitude: the offset reached at the end, in the metric's unit.
    Drift,
    /// One metric jumps for one to three readings. Magnitude: the offset, in the metric's unit.
    Spike,
    /// One sensor repeats exactly one value. Magnitude 0.
    Stuck,
    /// The rotor is out of balance: vibration with the square of speed, growing over the first tenth. Magnitude: mm/s at
    /// rated speed.
    Imbalance,
    /// Cooling is lost, over the first quarter: temperature climbs through the machine's heat balance. Magnitude: the
    /// increase of its thermal resistance, 1 = twice. The fault ends with the repair; the housing cools down after it.
    Overheating,
    /// The device, or one metric of it, is silent. Magnitude 0.
    Dropout,
    /// One metric moves to another level at once. Magnitude: the offset, in the metric's unit.
    LevelShift,
    /// One sensor becomes noisy. Magnitude: the factor on its noise, so nothing shows in a plant without noise.
    NoiseIncrease,
}

impl FaultKind {
    /// Every kind of fault.
    pub const ALL: [Self; 8] = [
        Self::Drift,
        Self::Spike,
        Self::Stuck,
        Self::Imbalance,
        Self::Overheating,
        Self::Dropout,
        Self::LevelShift,
        Self::NoiseIncrease,
    ];

    /// The name in tables and in the truth, for example `level_shift`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Spike => "spike",
            Self::Stuck => "stuck",
            Self::Imbalance => "imbalance",
            Self::Overheating => "overheating",
            Self::Dropout => "dropout",
            Self::LevelShift => "level_shift",
            Self::NoiseIncrease => "noise_increase",
        }
    }
}

/// One injected fault. It affects the readings with `start_ms <= at_ms < end_ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Index of the device.
    pub device: u32,
    /// Name of the device, as in its payloads.
    pub device_name: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// The metrics affected, in the order of payloads; all of the device's when it falls silent.
    #[serde(deserialize_with = "known_metrics")]
    pub metrics: Vec<&'static str>,
    /// Time of the first affected reading, UTC milliseconds.
    pub start_ms: i64,
    /// Time of the first reading that is sound again, UTC milliseconds, or the end of the run if that comes first.
    pub end_ms: i64,
    /// How strong it is; the meaning depends on the [`kind`](Self::kind).
    pub magnitude: f64,
}

impl Fault {
    /// Whether a reading of this device at that time is affected.
    #[must_use]
    pub fn covers(&self, at_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&at_ms)
    }
}

/// Everything to be known about a run: how it was made, what was injected, how much of it was poison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// What the plant was made of.
    pub config: PlantConfig,
    /// Every fault of the run, by start and then device.
    pub faults: Vec<Fault>,
    /// Every planned stop and run of a new product, by start and then device; none of them is a fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Poison payloads emitted up to the moment the truth was taken.
    pub poison_emitted: u64,
}

/// Reads metric names back as the names this crate gave out.
fn known_metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
    Vec::<Metric>::deserialize(deserializer)
        .map(|metrics| metrics.into_iter().map(Metric::name).collect())
        .map_err(|error| D::Error::custom(format_args!("metrics of a fault: {error}")))
}
