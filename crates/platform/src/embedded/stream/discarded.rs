//! What a mapping gave up on: the document that Lambda sends to an on-failure destination, with the records.

use std::sync::Arc;

use telemetry::sequence::SequenceNumber;

use super::mapping::event_of;
use super::{Origin, Record};

/// Why records were discarded; the names are those of the destination's `condition`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiscardReason {
    /// `RetryAttemptsExhausted`: the function failed once more than `retries_max`.
    RetryAttemptsExhausted,
    /// `RecordAgeExceeded`: older than `record_age_max`.
    RecordAgeExceeded,
}

impl DiscardReason {
    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// Records that will not come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// Their shard.
    pub shard: Arc<str>,
    /// Why.
    pub reason: DiscardReason,
    /// How often the function failed on them; failures that halved their event are not counted.
    pub attempts: u32,
    /// What the function said last, where it was invoked.
    pub error: Option<String>,
    /// The records, in order, at least one.
    pub records: Vec<Record>,
}

impl Discarded {
    /// First and last sequence number.
    #[must_use]
    pub fn range(&self) -> (SequenceNumber, SequenceNumber) {
        let at = |record: Option<&Record>| record.map_or(SequenceNumber::ZERO, |record| record.sequence);
        (at(self.records.first()), at(self.records.last()))
    }

    /// The records as an event, as they would come to the function.
    #[must_use]
    pub fn event_from(&self, stream: &str, origin: &Origin) -> Vec<u8> {
        event_of(&self.records, &origin.source(stream, &self.shard))
    }
}
