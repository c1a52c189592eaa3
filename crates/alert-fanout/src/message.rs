//! What is told: one notice of an incident, a digest of many, or a test.
//!
//! The fields are plain data of whatever origin: names, sentences and links may come from a device. Nothing checks them
//! on their way in. Rendering is here, once for every medium, and cleans and bounds each part while it does, so that no
//! channel has to. What it does not do: decide who is told, or when.

mod clean;
mod json;
mod key;
mod text;

use anomaly_core::{Severity, Timestamp};
use serde::{Deserialize, Serialize};

pub use json::MessageJson;
pub use text::{ONE_LINE_CHARS_MAX, SMS_CHARS_MAX, SUBJECT_CHARS_MAX};

pub(crate) use clean::{ascii, clean};

/// Sentences of an explanation that are told; more are left out.
pub const EXPLANATION_MAX: usize = 5;

/// Metrics that are told; more are counted.
pub const METRICS_TOLD_MAX: usize = 8;

/// Devices that a digest names; more are left out, the count says how many there are.
pub const SAMPLE_MAX: usize = 10;

/// One notice, as it goes to every channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Whose devices these are.
    pub tenant: String,
    /// The incident; of a digest or a test, an id of its own that stays the same when the message is sent again.
    pub incident: String,
    /// Number of this notice within the incident.
    pub notice: u32,
    /// How bad it is now; of a digest, the worst in it.
    pub severity: Severity,
    /// When the incident opened; of a digest, the start of what it covers.
    pub opened: Timestamp,
    /// When what is told came to be.
    pub at: Timestamp,
    /// What happened, in one sentence.
    pub summary: String,
    /// Where to read on; told only if it is an `http` or `https` address.
    pub link: Option<String>,
    /// What is told.
    pub news: News,
}

/// What a message tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// An incident's course.
    Incident(Course, Finding),
    /// Many openings in one message, because there were more than a tenant's people should get one by one.
    Digest(Digest),
    /// A person tries the channel.
    Test,
}

/// What became of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// It began.
    Opened,
    /// Its severity rose.
    Worse,
    /// Its severity fell.
    Better,
    /// It comes and goes; nothing more is said until it stops.
    Flapping,
    /// It no longer comes and goes.
    Steady,
    /// Nobody acknowledged it in time.
    Escalated,
    /// Somebody takes care of it.
    Acknowledged,
    /// It is over.
    Resolved,
}

/// What was found at the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The device.
    pub device: String,
    /// How abnormal it is; 1.0 is the alarm line. Told only if finite.
    pub score: f64,
    /// What is abnormal, the strongest first.
    pub metrics: Vec<String>,
    /// What found it.
    pub detector: String,
    /// Why it was told, a sentence each, the strongest first.
    pub explanation: Vec<String>,
}

/// Openings that were held back and are told at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Incidents.
    pub count: u64,
    /// Critical ones among them.
    pub critical: u64,
    /// Warnings among them.
    pub warning: u64,
    /// Informations among them.
    pub info: u64,
    /// Some of the devices, the worst first.
    pub devices: Vec<String>,
}

impl Message {
    /// The state's name, as in SNS attributes and JSON.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match &self.news {
            News::Incident(course, _) => course.as_str(),
            News::Digest(_) => "digest",
            News::Test => "test",
        }
    }

    /// The finding, where there is one device.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match &self.news {
            News::Incident(_, finding) => Some(finding),
            News::Digest(_) | News::Test => None,
        }
    }

    /// What to type to see more. Holds nothing that a shell would take for more than a word.
    #[must_use]
    pub fn command(&self) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        let shown = !self.incident.is_empty()
            && self.incident.len() <= 128
            && !self.incident.starts_with('-')
            && self.incident.chars().all(is_word);
        match &self.news {
            News::Incident(..) if shown => format!("millrace alerts show {}", self.incident),
            _ => "millrace alerts list".to_owned(),
        }
    }
}

impl Course {
    /// Every course an incident can take.
    pub const ALL: [Self; 8] = [
        Self::Opened,
        Self::Worse,
        Self::Better,
        Self::Flapping,
        Self::Steady,
        Self::Escalated,
        Self::Acknowledged,
        Self::Resolved,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::Escalated => "escalated",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}
