//! Between an anomaly and a message stands the incident: what is wrong with one device, from its onset until it is over, and
//! what people have been told of it.
//!
//! An anomaly is a fact, a message is an interruption. [`Incident::follow`] groups the anomalies of a device into incidents and
//! keeps the facts; what is to be told follows from comparing the facts with what was told last, so that whatever the order of
//! events nothing is told twice and nothing that was told is left without its end. Notices wait in the incident until they are
//! delivered: whoever stores the incident stores them with it.
//!
//! Two clocks meet here. `onset` and [`Status::since`] are the device's; every other instant is `now` as the caller gives it,
//! because a device's clock may be an hour off and nobody should wait for it.
//!
//! What this does not do: store, send, look up who is told, or read a clock.

mod course;
mod digest;
mod notice;
mod policy;
mod quiet;
mod settings;
mod storm;
mod telling;
mod window;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::course::{Change, Event};
pub use self::digest::{Digest, DigestDevice, METRICS_KEPT, SAMPLE_MAX};
pub use self::notice::{NOTICES_MAX, Notice, NoticeKind};
pub use self::policy::{AlertPolicy, ESCALATIONS_MAX, FLAPS_MAX};
pub use self::quiet::{Matcher, Quiet, QuietCause, Silence, quiet_at};
pub use self::settings::{AlertSettings, ChannelSettings, Route, SmtpTls, UnknownZone};
pub use self::storm::{Budget, Manner, Storm};
pub use self::window::{MaintenanceWindow, WallTime, ZonedWindow};
use crate::{Anomaly, AnomalyId, DetectorId, Severity, Timestamp, identity};

/// Most metrics an incident names; the weakest fall out.
pub const INCIDENT_METRICS_MAX: usize = 64;
/// Most sentences of the strongest anomaly that are kept.
pub const SENTENCES_MAX: usize = 5;
/// Longest sentence, name of a person or note that is kept, in bytes; a longer one is cut.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Identity of an incident: [derived](identity::derive) from tenant, device and the anomaly that opened it, 32 hexadecimal
/// digits. A replay opens the same incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// Derives the id.
    #[must_use]
    pub fn of(tenant: &str, device: &str, opening: &AnomalyId) -> Self {
        Self(identity::derive([tenant, device, opening.as_str()]))
    }

    /// The id as text: 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with one device, and what was told of it. The store adds a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Identity.
    pub id: IncidentId,
    /// Whose device it is.
    pub tenant: String,
    /// The device.
    pub device: String,
    /// Onset of the anomaly that opened it. Part of the stored key: it never changes, not even for an older anomaly.
    pub opened: Timestamp,
    /// The earliest onset of its anomalies.
    pub first_onset: Timestamp,
    /// When it was opened, or opened again.
    pub since: Timestamp,
    /// When it was opened again after it had closed, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<Timestamp>,
    /// Where it stands.
    pub phase: Phase,
    /// How urgent it is.
    pub severity: Severity,
    /// When each severity was last called for.
    pub(crate) called_for: CalledFor,
    /// Its severity has been raised because it lasted; that happens once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_worn: bool,
    /// Score of the strongest anomaly, in units of the alarm line.
    pub peak: f64,
    /// The detector that spoke loudest in the strongest anomaly.
    pub detector: DetectorId,
    /// The strongest anomaly in one sentence.
    pub summary: String,
    /// Why the strongest anomaly was raised: a sentence for each of its strongest metrics, at most [`SENTENCES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<String>,
    /// The metrics that speak for it, strongest first, at most [`INCIDENT_METRICS_MAX`].
    pub metrics: Vec<IncidentMetric>,
    /// How many anomalies it holds.
    pub anomalies: u32,
    /// The anomaly that came last.
    pub last_anomaly: AnomalyId,
    /// When an anomaly came last.
    pub last_detected: Timestamp,
    /// What the device said of itself last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Heard>,
    /// Who takes care of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// How often it was escalated: the highest level that was told, 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: u8,
    /// When it came back after it seemed over, the latest [`FLAPS_MAX`] within the time in which that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Timestamp>,
    /// Why something was not told when it could have been; forgotten when anything is told or the quiet is over. It stays
    /// with an incident that closed before anybody was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// What was told; `None` while nobody has heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// How many notices there have been: the number of the last.
    pub numbered: u32,
    /// Notices that are not delivered yet, in the order of their numbers, at most [`NOTICES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
}

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Something is wrong.
    Open,
    /// The device says that it is normal, and has not said so for long enough.
    Recovering {
        /// When that was heard.
        since: Timestamp,
    },
    /// It is over, unless it comes back soon.
    Closed {
        /// When it was closed.
        at: Timestamp,
        /// Why.
        by: ClosedBy,
    },
}

/// Why an incident was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// The device has been normal for long enough.
    Recovered,
    /// Nothing was heard of it for so long that it cannot matter.
    TimedOut,
    /// This person said so.
    Person(String),
}

/// A metric of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentMetric {
    /// Name, in the profile's spelling.
    pub name: String,
    /// The strongest it was, in units of the alarm line.
    pub strength: f64,
}

/// How a device says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// It is within an episode. One that is still warming up is not.
    pub is_abnormal: bool,
    /// Since when, by the device's clock.
    pub since: Timestamp,
    /// The epoch that it was made in; 0 where there is no other region. The newer epoch decides which of two statuses is newer,
    /// because two regions' streams number their records apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u64,
    /// Sequence number of the record that changed it, padded so that text order is number order; empty if unknown. Within an
    /// epoch it decides which of two is newer, because a device that sends what it kept while it was silent goes back in time;
    /// where one of them has none, `since` decides.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seq: String,
}

impl Status {
    /// Whether it replaces `other`, which is of the same device. Of statuses with numbers any two are in one order.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let in_epoch = if self.seq.is_empty() || other.seq.is_empty() {
            self.since.cmp(&other.since)
        } else {
            self.seq.cmp(&other.seq)
        };
        self.epoch.cmp(&other.epoch).then(in_epoch).is_gt()
    }
}

/// A status, and when it was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// What was said.
    #[serde(flatten)]
    pub status: Status,
    /// When it was heard.
    pub at: Timestamp,
}

/// Somebody takes care of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How urgent it was then. It holds for nothing worse, once the incident has closed and opened again.
    pub severity: Severity,
}

/// What people believe, because it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one thing whether it was told, and they go together in any way"
)]
pub struct Told {
    /// When it was told that it is open, the last time.
    pub at: Timestamp,
    /// Since when people are waited for, before it is escalated.
    pub waiting_since: Timestamp,
    /// How urgent it was told to be.
    pub severity: Severity,
    /// The most urgent it was told to be since it was told as open: who heard of it hears the end of it.
    pub reach: Severity,
    /// It was told as open and not yet as over.
    pub is_open: bool,
    /// It was told that it comes and goes: until it is steady no opening and no end is told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_flapping: bool,
    /// The acknowledgement was told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_acknowledged: bool,
    /// Its opening was held for a digest; so is all that is not urgent after it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_held: bool,
}

/// When each severity was last called for: by an anomaly, by the number of metrics, or because it lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct CalledFor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warning: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    critical: Option<Timestamp>,
}

impl CalledFor {
    fn slot(&mut self, severity: Severity) -> &mut Option<Timestamp> {
        match severity {
            Severity::Info => &mut self.info,
            Severity::Warning => &mut self.warning,
            Severity::Critical => &mut self.critical,
        }
    }

    fn call(&mut self, severity: Severity, now: Timestamp) {
        let slot = self.slot(severity);
        *slot = (*slot).max(Some(now));
    }

    /// When what is below the highest has been called for since: the highest, and when it was called for last. It can fall.
    fn falling(&self) -> Option<(Severity, Timestamp)> {
        match (self.info, self.warning, self.critical) {
            (info, warning, Some(at)) => (info.max(warning) > Some(at)).then_some((Severity::Critical, at)),
            (info, Some(at), None) => (info > Some(at)).then_some((Severity::Warning, at)),
            _ => None,
        }
    }

    fn highest(&self) -> Severity {
        match (self.warning, self.critical) {
            (_, Some(_)) => Severity::Critical,
            (Some(_), None) => Severity::Warning,
            (None, None) => Severity::Info,
        }
    }
}

impl Incident {
    /// Whether it is not closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Closed { .. })
    }

    /// The names of its metrics, strongest first.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|metric| metric.name.as_str())
    }

    /// Whether an anomaly of its device belongs to it: it is not closed, was closed less than the policy's `reopen_minutes`
    /// ago, or has this very anomaly already.
    #[must_use]
    pub fn joins(&self, anomaly: &Anomaly, policy: &AlertPolicy, now: Timestamp) -> bool {
        self.last_anomaly == anomaly.id || self.is_within_reach(policy, now)
    }
}

/// The start of a text, at most [`TEXT_BYTES_MAX`] bytes.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text[..end].to_owned()
}

fn minutes_after(at: Timestamp, minutes: u32) -> Timestamp {
    Timestamp::from_millis(at.millis() + i64::from(minutes) * 60_000).unwrap_or(Timestamp::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero<N: Default + PartialEq>(value: &N) -> bool {
    *value == N::default()
}
