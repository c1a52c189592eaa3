//! Where a mapping begins to read.

use anomaly_core::Timestamp;

/// Where in a shard a new mapping begins (AWS Lambda API Reference, `CreateEventSourceMapping`, `StartingPosition`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartingPosition {
    /// At the oldest record that is kept.
    #[default]
    TrimHorizon,
    /// After the records that are there at the first poll. Shards that open later are read from their beginning.
    Latest,
    /// At the first record that arrived at this instant or after it.
    AtTimestamp(Timestamp),
}
