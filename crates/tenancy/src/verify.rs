//! Shows that a tenant's readings arrive, and that its devices can do nothing else: a reading is sent as a device sends it, and
//! followed to the end.
//!
//! It is sent by a thing of the tenant's own, `TENANT-verify`, and not by a machine: a machine's connection would be taken over
//! (one client id has one connection), and its learned state would get a reading that is none. The reading has one metric,
//! `verify`, and always the same time in the past: the first is a device's first reading, every later one is a repeated reading,
//! which the engine counts and does not score. So nothing is learned however often it is done, no cadence is ever known whose
//! end would be a silence, and no alert can follow. A text beside it, which decoders pass over, tells one try from another.
//!
//! What cannot be looked at, for want of a permission, is `unknown` and never well.

mod evidence;
mod identity;
mod mqtt;
mod run;
mod seen;
mod trail;

use std::future::Future;

use serde::{Deserialize, Serialize};

pub use evidence::{Arrival, DeviceState, Position, Witness};
pub use mqtt::{Broker, BrokerError};
pub use run::{Case, verify};

/// The metric of the reading.
pub const METRIC: &str = "verify";
/// The time of the reading: 2023-11-14T22:13:20Z, in milliseconds.
pub const READ_AT_MS: i64 = 1_700_000_000_000;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// As expected.
    Ok,
    /// Otherwise.
    Failed,
    /// It could not be looked at.
    Unknown,
    /// Otherwise, but readings arrive all the same.
    Warning,
    /// A step before it failed, or there is nothing to look at.
    NotChecked,
}

impl StepResult {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::NotChecked => "not checked",
        }
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was looked at.
    pub step: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub seen: String,
    /// How long it took.
    pub milliseconds: u64,
    /// How it ended.
    pub result: StepResult,
    /// What to do; empty where it is well.
    pub remedy: String,
}

/// All steps of one try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// When: RFC 3339.
    pub at: String,
    /// As which device.
    pub device: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Validation {
    /// Whether all that is needed is well. The other Region's steps are not checked where there is none.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let needed = |step: &&Step| {
            step.result != StepResult::Warning && step.step != OTHER_REGION
                || matches!(step.result, StepResult::Failed | StepResult::Unknown)
        };
        self.steps.iter().filter(needed).all(|step| step.result == StepResult::Ok)
    }
}

/// The step that only a pair of Regions has.
pub const OTHER_REGION: &str = "other region";

/// What a broker makes of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was let in, or taken.
    Granted(String),
    /// It was not; how that was seen.
    Refused(String),
}

/// A device's line to the broker. Every call is a connection of its own.
pub trait Line {
    /// Shakes hands. What the broker showed of itself.
    ///
    /// # Errors
    /// The broker does not answer, is not who it says, or does not take the certificate; in words.
    fn shake_hands(&self) -> impl Future<Output = Result<String, String>>;
    /// Connects under this name.
    ///
    /// # Errors
    /// It got no answer, neither yes nor no.
    fn connect(&self, client_id: &str) -> impl Future<Output = Result<Answer, String>>;
    /// Connects, and publishes.
    ///
    /// # Errors
    /// It got no answer, neither yes nor no.
    fn publish(&self, client_id: &str, topic: &str, payload: &str) -> impl Future<Output = Result<Answer, String>>;
}
