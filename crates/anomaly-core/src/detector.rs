//! The seam at which detectors are added, and the evidence that all of them give.
//!
//! A detector says how strongly the newest value speaks for a fault, in units of its own alarm line: 1.0 is the line. It
//! also says what it expected, so that every verdict can be explained. One that looks at a metric alone implements
//! [`Detector`] and is named in `Series::look`; what needs the metrics together belongs to `joint`. The state version
//! rises with each.

pub(crate) mod joint;
pub mod limit;
pub(crate) mod novelty;
pub mod stuck;

use serde::{Deserialize, Serialize};

use crate::{MetricSettings, Timestamp};

/// Which detector spoke. The text form is stored with anomalies and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorId {
    /// A value outside the profile's limits.
    Limit,
    /// A value, or a run of values, away from the metric's own level.
    Level,
    /// A value that does not fit the device's other metrics.
    Relation,
    /// Readings that differ from one to the next more, or less, than they used to.
    Roughness,
    /// One value again and again.
    Stuck,
    /// One reading far from everything before.
    Spike,
    /// A value or a course that is rare in the metric's own history.
    Novelty,
    /// A metric, or the whole device, that stopped reporting, beside how often it usually does.
    Silence,
    /// The score of a trained model, from batch inference. The engine has no such detector.
    Model,
}

impl DetectorId {
    /// Those of the engine, in the order in which ties are decided.
    pub const ALL: [Self; 8] = [
        Self::Limit,
        Self::Silence,
        Self::Stuck,
        Self::Spike,
        Self::Novelty,
        Self::Level,
        Self::Relation,
        Self::Roughness,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Level => "level",
            Self::Relation => "relation",
            Self::Roughness => "roughness",
            Self::Stuck => "stuck",
            Self::Spike => "spike",
            Self::Novelty => "novelty",
            Self::Silence => "silence",
            Self::Model => "model",
        }
    }

    /// Its bit in a set of the engine's detectors.
    #[must_use]
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Model => 0,
            engine => 1 << engine as u8,
        }
    }
}

/// What a detector is given.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The value; finite.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
    /// What the profile says of the metric.
    pub settings: &'a MetricSettings,
}

/// How a detector knows how rare its evidence is while all is well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Rarity {
    /// It does not.
    Unknown,
    /// It has learned it.
    Tail(f64),
    /// Its alarm line stands for so many standard deviations of a Gaussian.
    Deviations,
}

/// Standard deviations of a Gaussian that the alarm line of the charts stands for, before the budget is shared out.
const LINE_DEVIATIONS: f64 = 4.2;
/// Tails below this are all the same to people, and some stores hold no smaller number (DynamoDB ends at 1e-130).
pub(crate) const TAIL_MIN: f64 = 1e-100;

/// What one detector makes of one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who speaks.
    pub detector: DetectorId,
    /// In units of the alarm line: 1.0 and more is abnormal.
    pub strength: f64,
    /// What was expected: the level, or the limit that was crossed.
    pub expected: f64,
    /// One standard deviation of what is usual, in the metric's unit; 0 where the detector has no such notion.
    pub spread: f64,
    pub(crate) rarity: Rarity,
}

impl Evidence {
    /// Probability of something at least this far off while all is well, as far as the detector has learned it; 1 where it
    /// has no opinion. Worked out when asked for: few readings are explained.
    #[must_use]
    pub fn tail(&self) -> f64 {
        match self.rarity {
            Rarity::Unknown => 1.0,
            Rarity::Tail(tail) => tail.clamp(TAIL_MIN, 1.0),
            Rarity::Deviations => libm::erfc(self.strength * LINE_DEVIATIONS / std::f64::consts::SQRT_2).max(TAIL_MIN),
        }
    }

    /// No opinion.
    #[must_use]
    pub fn none(detector: DetectorId, expected: f64) -> Self {
        Self { detector, strength: 0.0, expected, spread: 0.0, rarity: Rarity::Unknown }
    }
}

/// One way of looking at one metric. Its state is its fields: small, bounded, serialisable.
pub trait Detector {
    /// Takes the next value and says how strongly it speaks for a fault. Called once a value, in the order of time.
    fn observe(&mut self, input: &Input<'_>) -> Evidence;

    /// Whether it has seen enough to have an opinion.
    fn is_warm(&self) -> bool;
}
