//! When nothing is told: a silence that a person has set, or a maintenance window of the profile.
//!
//! Quiet holds back messages and nothing else: the incident opens, changes and closes all the same, and what is still open when
//! the quiet ends is told then.

use serde::{Deserialize, Serialize};

use super::ZonedWindow;
use crate::profile::matches_pattern;
use crate::{Severity, Timestamp};

/// That nothing is told, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// Why.
    pub cause: QuietCause,
    /// Until then, exclusively.
    pub until: Timestamp,
}

/// Why nothing is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuietCause {
    /// The silence with this id.
    Silence(String),
    /// The maintenance window of this name.
    Maintenance(String),
}

/// A person wants to hear nothing of some incidents of a tenant for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Identity within the tenant.
    pub id: String,
    /// Of which incidents.
    pub matcher: Matcher,
    /// Until then, exclusively.
    pub until: Timestamp,
    /// Who has set it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Which incidents are meant: those for which all that is said here holds; all of the tenant if nothing is said. In a pattern
/// `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Matcher {
    /// Pattern of the device's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Pattern that each of the incident's metrics must match. A device that is silent as a whole has none, and is not meant:
    /// what is silenced is one metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What is more urgent than this is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_max: Option<Severity>,
}

impl Matcher {
    /// Whether an incident is meant.
    #[must_use]
    pub fn covers(&self, device: &str, metrics: &[&str], severity: Severity) -> bool {
        let all_match = |pattern: &String| !metrics.is_empty() && metrics.iter().all(|m| matches_pattern(pattern, m));
        self.device.as_ref().is_none_or(|pattern| matches_pattern(pattern, device))
            && self.metric.as_ref().is_none_or(all_match)
            && self.severity_max.is_none_or(|max| severity <= max)
    }
}

/// Whether nothing is to be told of an incident of `device` now. Of several reasons the one that lasts longest; of equals a
/// silence, then the first.
#[must_use]
pub fn quiet_at(
    silences: &[Silence],
    windows: &[ZonedWindow<'_>],
    device: &str,
    metrics: &[&str],
    severity: Severity,
    now: Timestamp,
) -> Option<Quiet> {
    let asked_for = silences
        .iter()
        .filter(|silence| silence.until > now && silence.matcher.covers(device, metrics, severity))
        .map(|silence| Quiet { cause: QuietCause::Silence(silence.id.clone()), until: silence.until });
    let maintained = windows.iter().filter_map(|window| {
        let until = window.until(device, now)?;
        Some(Quiet { cause: QuietCause::Maintenance(window.name().to_owned()), until })
    });
    // The last of equals is kept, hence backwards.
    let all: Vec<Quiet> = asked_for.chain(maintained).collect();
    all.into_iter().rev().max_by_key(|quiet| quiet.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000).unwrap()
    }

    fn silence(id: &str, until: i64, matcher: Matcher) -> Silence {
        Silence { id: id.into(), matcher, until: at(until), by: "ann".into(), reason: "belt is changed".into() }
    }

    fn matcher(device: Option<&str>, metric: Option<&str>, severity_max: Option<Severity>) -> Matcher {
        Matcher { device: device.map(Into::into), metric: metric.map(Into::into), severity_max }
    }

    #[test]
    fn a_silence_means_what_all_of_its_words_say() {
        let covers = |m: &Matcher, metrics: &[&str]| m.covers("pump-7", metrics, Severity::Warning);
        assert!(covers(&matcher(None, None, None), &[]));
        assert!(covers(&matcher(Some("pump-*"), Some("vib*"), Some(Severity::Warning)), &["vibration"]));
        assert!(!covers(&matcher(Some("fan-*"), None, None), &["vibration"]));
        assert!(!covers(&matcher(None, None, Some(Severity::Info)), &["vibration"]));
    }

    #[test]
    fn a_silence_of_one_metric_hides_no_other_and_no_silent_device() {
        let vibration = matcher(None, Some("vibration"), None);
        assert!(!vibration.covers("d", &["vibration", "temperature"], Severity::Info));
        assert!(!vibration.covers("d", &[], Severity::Info));
    }

    #[test]
    fn the_reason_that_lasts_longest_is_named_and_an_end_is_an_end() {
        let silences = [silence("a", 5, Matcher::default()), silence("b", 9, Matcher::default())];
        let named = |now| quiet_at(&silences, &[], "d", &[], Severity::Info, at(now)).map(|quiet| quiet.cause);
        assert_eq!(named(0), Some(QuietCause::Silence("b".into())));
        assert_eq!(named(8), Some(QuietCause::Silence("b".into())));
        assert_eq!(named(9), None);
    }
}
