//! What came of a run.

use std::time::Duration;

/// Counts and extremes. A record that comes again is counted again as delivered, once as done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Records that the source gave.
    pub records_read: u64,
    /// Records that the source gave twice, and that were read once.
    pub records_repeated: u64,
    /// Records that the source could not read.
    pub records_unreadable: u64,
    /// What was wrong with the first of those.
    pub unreadable: Vec<String>,
    /// Records that the filter passed over.
    pub records_filtered: u64,
    /// Records in all events together.
    pub records_delivered: u64,
    /// Records that the function has done.
    pub records_done: u64,
    /// Records that were given up.
    pub records_discarded: u64,
    /// Events that were handed over, or were to be.
    pub invocations: u64,
    /// Those that were made of records that had not got through before.
    pub retries: u64,
    /// Answers that named a failed record.
    pub partial_failures: u64,
    /// Answers that named failed records while the rules do not read them: those records are lost.
    pub failures_ignored: u64,
    /// Failures that the function has reported, answers that cannot be understood included.
    pub function_errors: u64,
    /// Failures by time.
    pub timeouts: u64,
    /// Failures by the end of the process.
    pub crashes: u64,
    /// Events that did not reach the function.
    pub not_invoked: u64,
    /// Failed events that were halved.
    pub bisects: u64,
    /// Events that were sent again although they were done.
    pub duplicates: u64,
    /// The oldest that the last record of an event was when it was handed over.
    pub iterator_age_max: Duration,
    /// Time of all invocations together.
    pub duration_total: Duration,
    /// The longest invocation.
    pub duration_max: Duration,
    /// Starts of a process.
    pub cold_starts: u64,
    /// The longest start.
    pub init_max: Option<Duration>,
    /// The most memory that a process has had.
    pub memory_bytes_max: Option<u64>,
}

impl Report {
    /// Whether every record of the source was done, or passed over by the filter.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.records_discarded == 0
            && self.records_unreadable == 0
            && self.records_done + self.records_filtered == self.records_read
    }

    /// The mean time of an invocation.
    #[must_use]
    pub fn duration_mean(&self) -> Option<Duration> {
        let invoked = u32::try_from(self.invocations - self.not_invoked).ok().filter(|count| *count > 0)?;
        Some(self.duration_total / invoked)
    }
}
