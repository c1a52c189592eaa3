//! What can be set on an event source mapping, with the names, defaults and limits of Lambda.

use std::time::Duration;

/// Settings of a [`super::Mapping`] (AWS Lambda Developer Guide, "Lambda parameters for Amazon Kinesis Data Streams event
/// source mappings").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSettings {
    /// Most records of one event: 1 to 10,000, default 100.
    pub batch_size: usize,
    /// How long an event that is not full waits for more records: up to 300 s, default none. Once the stream
    /// has ended, nothing is waited for.
    pub batch_window: Duration,
    /// Events of one shard that may be under way at a time: 1 to 10, default 1. Records of one partition key stay in
    /// order whatever it is.
    pub parallelization_factor: usize,
    /// Whether the answer of the function is read: off, every answer is a success. Default off.
    pub report_batch_item_failures: bool,
    /// Whether a failed event is halved until the bad record is alone. Default off.
    pub bisect_on_error: bool,
    /// How often a failed event comes again, up to 10,000; `None`, the default: until it works.
    pub retries_max: Option<u32>,
    /// Records older than this are discarded: 60 s to 7 days; `None`, the default: none are.
    pub record_age_max: Option<Duration>,
    /// How long an event that failed, or did not reach the function, waits before it comes again; doubles each time up to
    /// 64 times this. Default none.
    /// Lambda's own pauses are not documented.
    pub retry_pause: Duration,
}

impl Default for MappingSettings {
    fn default() -> Self {
        Self {
            batch_size: 100,
            batch_window: Duration::ZERO,
            parallelization_factor: 1,
            report_batch_item_failures: false,
            bisect_on_error: false,
            retries_max: None,
            record_age_max: None,
            retry_pause: Duration::ZERO,
        }
    }
}

/// A setting that Lambda would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be {expected}, got {found}")]
pub struct SettingsError {
    /// Name of the setting.
    pub name: &'static str,
    /// What it may be.
    pub expected: &'static str,
    /// What it is.
    pub found: String,
}

impl MappingSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let refuse = |name, expected, found: String| Err(SettingsError { name, expected, found });
        if !(1..=10_000).contains(&self.batch_size) {
            return refuse("batch_size", "1 to 10000", self.batch_size.to_string());
        }
        if self.batch_window > Duration::from_mins(5) {
            return refuse("batch_window", "at most 300 s", format!("{} s", self.batch_window.as_secs()));
        }
        if !(1..=10).contains(&self.parallelization_factor) {
            return refuse("parallelization_factor", "1 to 10", self.parallelization_factor.to_string());
        }
        match self.retries_max {
            Some(retries) if retries > 10_000 => {
                return refuse("retries_max", "at most 10000, or none", retries.to_string());
            }
            _ => {}
        }
        match self.record_age_max {
            Some(age) if !(60..=604_800).contains(&age.as_secs()) => {
                refuse("record_age_max", "60 s to 604800 s, or none", format!("{} s", age.as_secs()))
            }
            _ => Ok(()),
        }
    }

    /// How long a batch waits that has failed `failures` times.
    pub(super) fn pause_after(&self, failures: u32) -> Duration {
        self.retry_pause * (1 << failures.saturating_sub(1).min(6))
    }
}
