//! What one check has found: of what, in which direction, the verdict, and what it goes by.

use std::fmt;
use std::str::FromStr;

use account::{Kind as TroubleKind, Trouble};
use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

/// What became of a check. Ordered from good to bad: the worst of several is the greatest.
///
/// A failure to look is never [`Self::Ok`]: nobody knows what would have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was looked at is there, or younger than the limit for being late.
    Ok,
    /// Something is on its way for longer than [`crate::Limits::late_after`].
    Late,
    /// It could not be looked at: no permission, no answer, too many calls.
    Unknown,
    /// It is on both sides and not the same.
    Drifted,
    /// It is on one side alone, for longer than [`crate::Limits::missing_after`] where its age is known.
    Missing,
}

impl Verdict {
    /// From good to bad.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Late, Self::Unknown, Self::Drifted, Self::Missing];

    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Late => "late",
            Self::Unknown => "unknown",
            Self::Drifted => "drifted",
            Self::Missing => "missing",
        }
    }

    /// How a command ends whose worst check this is: 0 ok, 3 late, 4 unknown, 5 drifted, 6 missing. 1 and 2 are left to a
    /// command that failed, or was told nonsense.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Late => 3,
            Self::Unknown => 4,
            Self::Drifted => 5,
            Self::Missing => 6,
        }
    }

    /// Of a failure to look: a bucket that is not there is missing, all else is unknown.
    #[must_use]
    pub fn of_trouble(trouble: &Trouble) -> Self {
        if trouble.kind == TroubleKind::Missing { Self::Missing } else { Self::Unknown }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Objects with a counter, written on one side and read on the other.
    LakeCanary,
    /// The same in the results table.
    ResultsCanary,
    /// The same in the checkpoints table.
    CheckpointsCanary,
    /// Yesterday's and today's objects.
    LakeListing,
    /// What S3 says of single objects.
    LakeStatus,
    /// The tables' replicas.
    Replica,
    /// The stream.
    Stream,
    /// Models that were published to the lake.
    Artifact,
    /// Models in `SageMaker`.
    Model,
    /// Endpoint configurations in `SageMaker`.
    EndpointConfig,
    /// Things of AWS `IoT`.
    Thing,
    /// Certificates of devices.
    Certificate,
    /// Which certificate is attached to which thing; without it a device is not let in.
    Attachment,
    /// Policies of certificates.
    Policy,
    /// Rules that take messages in.
    Rule,
    /// Code of functions.
    Function,
    /// Profiles of tenants.
    Profile,
    /// The other Region's checker.
    Checker,
}

impl Kind {
    /// All, in the order of the report.
    pub const ALL: [Self; 18] = [
        Self::LakeCanary,
        Self::ResultsCanary,
        Self::CheckpointsCanary,
        Self::LakeListing,
        Self::LakeStatus,
        Self::Replica,
        Self::Stream,
        Self::Artifact,
        Self::Model,
        Self::EndpointConfig,
        Self::Thing,
        Self::Certificate,
        Self::Attachment,
        Self::Policy,
        Self::Rule,
        Self::Function,
        Self::Profile,
        Self::Checker,
    ];

    /// In a word, as settings and reports have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LakeCanary => "lake-canary",
            Self::ResultsCanary => "results-canary",
            Self::CheckpointsCanary => "checkpoints-canary",
            Self::LakeListing => "lake-listing",
            Self::LakeStatus => "lake-status",
            Self::Replica => "replica",
            Self::Stream => "stream",
            Self::Artifact => "artifact",
            Self::Model => "model",
            Self::EndpointConfig => "endpoint-config",
            Self::Thing => "thing",
            Self::Certificate => "certificate",
            Self::Attachment => "attachment",
            Self::Policy => "policy",
            Self::Rule => "rule",
            Self::Function => "function",
            Self::Profile => "profile",
            Self::Checker => "checker",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The word is none of [`Kind::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no check; there are {}", .0.escape_debug(), words())]
pub struct UnknownKind(String);

/// The words of all kinds.
#[must_use]
pub fn words() -> String {
    Kind::ALL.map(Kind::word).join(", ")
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// From which Region to which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Direction {
    /// Where it is, or comes from.
    pub from: String,
    /// Where it is not, or goes to.
    pub to: String,
    /// Whether it is as true the other way round.
    pub is_mutual: bool,
}

impl Direction {
    /// From one to the other.
    #[must_use]
    pub fn one_way(from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), is_mutual: false }
    }

    /// Between the two.
    #[must_use]
    pub fn mutual(here: &str, there: &str) -> Self {
        Self { from: here.to_owned(), to: there.to_owned(), is_mutual: true }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.from, if self.is_mutual { "↔" } else { "→" }, self.to)
    }
}

/// How late replication was, of the canaries that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Canaries that have arrived.
    pub arrived: usize,
    /// Half of them had arrived after this time, milliseconds: from before the writing until they were seen, so at most this.
    pub p50_ms: i64,
    /// 99 of a hundred of them, likewise.
    pub p99_ms: i64,
    /// All of them, likewise.
    pub max_ms: i64,
    /// By how much the time of the one that is known worst may be too high, milliseconds: from the last look that did not find it
    /// to the first that did. Both times are of the checker's own clock, so that no other clock counts.
    pub error_ms: i64,
}

/// The oldest that has not arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oldest {
    /// Which.
    pub name: String,
    /// Since when it is there, where that is known.
    pub since: Option<Timestamp>,
}

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub kind: Kind,
    /// Of which: a prefix, a table, a stream; empty where the kind says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// From where to where.
    pub direction: Direction,
    /// What became of it.
    pub verdict: Verdict,
    /// What it goes by.
    pub evidence: String,
    /// How late, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// What is missing for longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_missing: Option<Oldest>,
    /// What a bound has left out of the look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

impl Check {
    /// A check without lag, without anything missing, and whole.
    #[must_use]
    pub fn new(kind: Kind, subject: &str, direction: Direction, verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            direction,
            verdict,
            evidence: evidence.into(),
            lag: None,
            oldest_missing: None,
            cut: None,
        }
    }

    /// Of a look that failed at `region`. The direction ends there: what is there is not known.
    #[must_use]
    pub fn unseen(kind: Kind, subject: &str, other: &str, region: &str, trouble: &Trouble) -> Self {
        let evidence = format!("could not look at {region}: {trouble}");
        Self::new(kind, subject, Direction::one_way(other, region), Verdict::of_trouble(trouble), evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_to_look_is_never_ok() {
        for kind in [
            TroubleKind::Transient,
            TroubleKind::Missing,
            TroubleKind::AlreadyThere,
            TroubleKind::Forbidden,
            TroubleKind::Refused,
        ] {
            let trouble =
                Trouble { action: "ListObjectsV2", subject: "bronze/".to_owned(), kind, message: "no".to_owned() };
            let check = Check::unseen(Kind::LakeListing, "bronze/", "a", "b", &trouble);
            assert!(check.verdict > Verdict::Late, "{kind:?}");
            assert!(check.evidence.contains("ListObjectsV2"), "{}", check.evidence);
        }
    }

    #[test]
    fn the_worst_has_the_highest_exit_code_and_only_ok_has_none() {
        for pair in Verdict::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].exit_code() < pair[1].exit_code());
        }
        assert_eq!(Verdict::ALL.iter().filter(|verdict| verdict.exit_code() == 0).count(), 1);
        assert!(Verdict::ALL.iter().all(|verdict| ![1, 2].contains(&verdict.exit_code())));
    }

    #[test]
    fn the_word_of_a_kind_is_what_the_report_has() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        let error = "lake".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("`lake` is no check") && error.contains("lake-canary"), "{error}");
    }
}
