//! What a model says of itself: what it is, and what it has learned from.
//!
//! It has no time of day in it: the same data make the same card.

use std::collections::BTreeMap;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

/// What kind a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The engine of the warm path, warmed up. Scores are in units of the alarm line.
    Engine,
    /// A random cut forest for each type of asset. Scores have no unit.
    Forest,
}

impl Kind {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Forest => "forest",
        }
    }
}

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Whose rows it has learned from, and whose it scores.
    pub tenant: String,
    /// What the training was told.
    pub hyperparameters: BTreeMap<String, String>,
    /// The tenant's profile in force: the text of `profile.toml`.
    pub profile: Option<String>,
    /// Its fingerprint, as snapshots and jobs name it.
    pub profile_fingerprint: String,
    /// Columns of CSV to score.
    pub columns: Vec<String>,
    /// Rows that it has learned from.
    pub rows: u64,
    /// Lines that were no rows.
    pub refused: u64,
    /// Rows of other tenants, or of devices that it was not to learn from.
    pub passed_over: u64,
    /// Rows of no use to an engine: not newer than one before of their device.
    pub late: u64,
    /// Time of the first and of the last row.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// How many devices it knows.
    pub device_count: u64,
    /// Patterns of the devices that it can score; empty where they are too many to name: then it says so row by row.
    pub devices: Vec<String>,
    /// By type of asset and metric.
    pub statistics: BTreeMap<String, BTreeMap<String, Statistics>>,
    /// By type of asset: the score that so few stretches of six hours exceed in the training data as the profile puts up with
    /// false alerts. Of an engine 1, by definition. A job of batch inference takes them
    /// before it draws lines of its own, and an answer to a row has its type's beside the score.
    pub lines: BTreeMap<String, f64>,
    /// Its scores of what it has learned from. `None`: it was still warming up.
    pub scores: Option<Scores>,
    /// Its scores of the channel `validation`, if there was one.
    pub validation: Option<Scores>,
}

impl Card {
    /// Name and version as one: the `model` of a job of batch inference.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}@{}", self.model, self.version)
    }
}

/// A metric in the training data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Readings.
    pub readings: u64,
    /// Mean, in the metric's unit.
    pub mean: f64,
    /// Standard deviation, in the metric's unit.
    pub deviation: f64,
    /// The lowest reading.
    pub low: f64,
    /// The highest reading.
    pub high: f64,
}

/// How scores are spread: of a bounded sample of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Half of the rows have less.
    pub p50: f64,
    /// Nine tenths of the rows have less.
    pub p90: f64,
    /// All but one in a hundred have less.
    pub p99: f64,
    /// All but one in a thousand have less.
    pub p999: f64,
    /// The highest.
    pub max: f64,
}
