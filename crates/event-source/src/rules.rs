//! The settings of a mapping, checked together against AWS's limits.
//!
//! Limits and defaults: AWS Lambda Developer Guide, "Lambda parameters for Amazon Kinesis Data Streams event source
//! mappings", and API Reference, `CreateEventSourceMapping` and `CreateFunction` (time-out).

use std::fmt;
use std::time::Duration;

use platform::embedded::stream::{FilterCriteria, MappingSettings};

pub use platform::embedded::stream::StartingPosition;

/// Longest time-out of a function, and its default.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(15);
/// What AWS gives a function that says nothing.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);

/// What was asked for, not yet checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Most records of an event. Default 100.
    pub batch_size: u64,
    /// How long an event that is not full waits. Default none.
    pub batch_window: Duration,
    /// Whether a failed event is halved. Default off.
    pub bisect: bool,
    /// Whether the answer's `batchItemFailures` counts. Default off.
    pub report_batch_item_failures: bool,
    /// Retries; -1, the default: until the records expire.
    pub retries: i64,
    /// Records older than this are discarded; `None`, the default: none are.
    pub record_age_max: Option<Duration>,
    /// Events of one shard at a time. Default 1.
    pub parallelization: u64,
    /// Filter patterns. Default none.
    pub filters: Vec<String>,
    /// Where to begin. Default the oldest record.
    pub position: StartingPosition,
    /// How long an invocation may take. Default 3 s.
    pub timeout: Duration,
    /// Pause before what failed comes again; it doubles up to 64 times this. AWS does not document its own. Default
    /// 100 ms.
    pub retry_pause: Duration,
    /// How often an event that was done comes again all the same, 0 to 1. Default never.
    pub duplicate_rate: f64,
    /// What chance starts from.
    pub seed: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            batch_size: 100,
            batch_window: Duration::ZERO,
            bisect: false,
            report_batch_item_failures: false,
            retries: -1,
            record_age_max: None,
            parallelization: 1,
            filters: Vec::new(),
            position: StartingPosition::TrimHorizon,
            timeout: TIMEOUT_DEFAULT,
            retry_pause: Duration::from_millis(100),
            duplicate_rate: 0.0,
            seed: 1,
        }
    }
}

/// Everything that is wrong with the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError(pub Vec<String>);

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n       "))
    }
}

impl std::error::Error for RulesError {}

/// Rules that AWS would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub(crate) settings: MappingSettings,
    pub(crate) filter: FilterCriteria,
    pub(crate) position: StartingPosition,
    pub(crate) timeout: Duration,
    pub(crate) duplicate_rate: f64,
    pub(crate) seed: u64,
}

impl Checked {
    /// How long an invocation may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The mapping's settings.
    #[must_use]
    pub fn settings(&self) -> &MappingSettings {
        &self.settings
    }
}

impl Rules {
    /// Checks all of them.
    ///
    /// # Errors
    /// [`RulesError`] with every mistake: which option, its limits, what was found, what to do.
    pub fn check(&self) -> Result<Checked, RulesError> {
        let mut mistakes = Vec::new();
        let mut expect = |good: bool, said: &dyn Fn() -> String| {
            if !good {
                mistakes.push(said());
            }
        };
        expect((1..=10_000).contains(&self.batch_size), &|| {
            format!("--batch-size must be 1 to 10000 records, got {}", self.batch_size)
        });
        expect(self.batch_window <= Duration::from_mins(5), &|| {
            format!("--batch-window must be at most 300s, got {:?}", self.batch_window)
        });
        expect((-1..=10_000).contains(&self.retries), &|| {
            format!("--retries must be 0 to 10000, or -1 to retry until the records expire, got {}", self.retries)
        });
        let age_limits = Duration::from_mins(1)..=Duration::from_hours(7 * 24);
        expect(self.record_age_max.is_none_or(|age| age_limits.contains(&age)), &|| {
            let age = self.record_age_max.unwrap_or_default();
            format!(
                "--maximum-record-age must be 60s to 604800s (7 days), got {age:?}; leave it out to keep every record"
            )
        });
        expect((1..=10).contains(&self.parallelization), &|| {
            format!("--parallelization must be 1 to 10 events of a shard at a time, got {}", self.parallelization)
        });
        expect((Duration::from_millis(1)..=TIMEOUT_MAX).contains(&self.timeout), &|| {
            format!("--timeout must be at most 900s, got {:?}", self.timeout)
        });
        expect(self.retry_pause <= Duration::from_mins(1), &|| {
            format!("--retry-pause must be at most 60s (it doubles up to 64 times), got {:?}", self.retry_pause)
        });
        expect((0.0..=1.0).contains(&self.duplicate_rate), &|| {
            format!("--duplicate must be 0 to 1, got {}", self.duplicate_rate)
        });
        // At a rate of 1 an event would come for ever.
        expect(self.duplicate_rate < 1.0, &|| "--duplicate 1 would never end: every event would come again".to_owned());
        let filter = FilterCriteria::parse(self.filters.iter().map(String::as_str)).unwrap_or_else(|error| {
            mistakes.push(format!("--filter: {error}"));
            FilterCriteria::default()
        });
        if !mistakes.is_empty() {
            return Err(RulesError(mistakes));
        }
        let settings = MappingSettings {
            batch_size: self.batch_size as usize,
            batch_window: self.batch_window,
            parallelization_factor: self.parallelization as usize,
            report_batch_item_failures: self.report_batch_item_failures,
            bisect_on_error: self.bisect,
            retries_max: u32::try_from(self.retries).ok(),
            record_age_max: self.record_age_max,
            retry_pause: self.retry_pause,
        };
        let &Self { position, timeout, duplicate_rate, seed, .. } = self;
        Ok(Checked { settings, filter, position, timeout, duplicate_rate, seed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_aws() {
        let checked = Rules::default().check().unwrap();
        let expected = MappingSettings { retry_pause: Duration::from_millis(100), ..MappingSettings::default() };
        assert_eq!(checked.settings, expected);
        assert_eq!((checked.settings.batch_size, checked.settings.retries_max), (100, None));
        assert_eq!(checked.timeout, Duration::from_secs(3));
    }

    #[test]
    fn every_mistake_is_said_at_once_with_its_option_and_limit() {
        let rules = Rules {
            batch_size: 10_001,
            batch_window: Duration::from_secs(301),
            retries: -2,
            record_age_max: Some(Duration::from_secs(59)),
            parallelization: 11,
            filters: vec!["x".to_owned()],
            timeout: Duration::from_secs(901),
            duplicate_rate: 1.5,
            ..Rules::default()
        };
        let RulesError(mistakes) = rules.check().unwrap_err();
        for part in [
            "--batch-size must be 1 to 10000 records, got 10001",
            "--batch-window must be at most 300s, got 301s",
            "--retries must be 0 to 10000, or -1",
            "--maximum-record-age must be 60s to 604800s",
            "--parallelization must be 1 to 10",
            "--filter: the filter is not JSON",
            "--timeout must be at most 900s",
            "--duplicate must be 0 to 1, got 1.5",
        ] {
            assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "`{part}` is not in {mistakes:?}");
        }
    }

    #[test]
    fn the_limits_themselves_are_taken() {
        let most = Rules {
            batch_size: 10_000,
            batch_window: Duration::from_mins(5),
            retries: 10_000,
            record_age_max: Some(Duration::from_hours(168)),
            parallelization: 10,
            timeout: Duration::from_mins(15),
            duplicate_rate: 0.99,
            ..Rules::default()
        };
        assert_eq!(most.check().unwrap().settings.retries_max, Some(10_000));
        let least =
            Rules { batch_size: 1, record_age_max: Some(Duration::from_mins(1)), retries: 0, ..Rules::default() };
        assert_eq!(least.check().unwrap().settings.retries_max, Some(0));
    }
}
