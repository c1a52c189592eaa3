//! What crosses the ports.

mod change;
mod entry;
mod pair;

use std::fmt;

use anomaly_core::{Anomaly, DeviceStatus, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use telemetry::sequence::SequenceNumber;

pub use change::{Change, Image, TableChange};
pub use entry::{
    DayPlace, Due, ENTRY_BODY_BYTES_MAX, ENTRY_BODY_LEVELS_MAX, ENTRY_TRANSACTION_BYTES_MAX, Entry, EntryChange,
    EntryError, EntryKey, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX,
};
pub use pair::{Epoch, EpochGuard, HashRange, HashRangeError};

/// Most items one transaction may change (Amazon DynamoDB Developer Guide, on `TransactWriteItems`).
pub const TRANSACTION_ITEMS_MAX: usize = 100;

/// One shard of one stream in one region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// Region, for example `eu-west-1`; `local` on one machine.
    pub region: String,
    /// Name of the stream.
    pub stream: String,
    /// Name of the shard, for example `shardId-000000000000`.
    pub shard: String,
}

impl ShardId {
    /// Key of the shard's checkpoint.
    #[must_use]
    pub fn partition_key(&self) -> String {
        format!("{}#{}#{}", self.region, self.stream, self.shard)
    }

    /// Another shard of the same stream.
    #[must_use]
    pub fn sibling(&self, shard: &str) -> Self {
        Self { shard: shard.to_owned(), ..self.clone() }
    }
}

/// `region/stream/shard`: how the lake's keys name a shard.
impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.region, self.stream, self.shard)
    }
}

/// SHA-256 of an object's bytes as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(String);

impl ContentHash {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = <[u8; 32]>::from(Sha256::digest(bytes));
        let half = |bytes: &[u8]| bytes.iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        Self(format!("{:032x}{:032x}", half(&digest[..16]), half(&digest[16..])))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key of an object in the lake: `/`-separated, without empty, `.` or `..` segments, 1 to 1,024 bytes of printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// The text is no object key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no object key: 1 to 1024 bytes of printable ASCII, segments between `/` neither empty nor `.` nor `..`", .0.escape_debug())]
pub struct KeyError(String);

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    /// [`KeyError`] when the text could lead out of a folder or is no S3 key.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
        let segments = text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if (1..=1024).contains(&text.len()) && printable && segments { Ok(Self(text)) } else { Err(KeyError(text)) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stored object whose bytes are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Where it is.
    pub key: Key,
    /// What it must be.
    pub sha256: ContentHash,
}

/// State up to a sequence number, in one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// The object.
    pub object: ObjectRef,
    /// Stream time of the last record in it; the next snapshot is due by this.
    pub at: Timestamp,
}

/// The raw records of one committed batch, to be replayed over the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The bronze object.
    pub object: ObjectRef,
    /// Last sequence number in it.
    pub last_seq: SequenceNumber,
    /// Readings in it: what a replay costs.
    pub readings: u32,
    /// Fingerprint of the profiles in force, 16 hexadecimal digits; all zeros for none.
    pub profiles: String,
    /// The silver object, where a second model's opinions are in it: a replay takes them from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinions: Option<ObjectRef>,
}

/// All that is committed of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Counts commits; every commit is on condition that it has not moved.
    pub version: u64,
    /// Last sequence number that was committed.
    pub last_seq: SequenceNumber,
    /// Newest arrival time committed.
    pub stream_time: Timestamp,
    /// Identity of the batch committed last, as its objects' names have it; empty before the first. It is derived from the
    /// batch's objects and the batch before it, so that no other batch has it.
    #[serde(default)]
    pub batch: String,
    /// The newest snapshot; `None` while the segments hold everything since the stream began.
    pub snapshot: Option<SnapshotRef>,
    /// Committed since the snapshot, in order.
    pub segments: Vec<Segment>,
    /// The epoch that the state was made in: the newest in which this region had the say when it committed. 0 before the
    /// first, and always where there is no other region.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u64,
    /// The hash keys that live in the shard, for the other region, which cannot ask this one's stream; `None` where there is
    /// no other region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_range: Option<HashRange>,
}

impl Checkpoint {
    /// Whether it says no more than where the batches of a former stream end: a restore leaves one for each shard of that stream
    /// which the new stream has not. A shard of that name that comes to be later begins as any new one does, and its batches go on
    /// from there.
    #[must_use]
    pub fn is_former(&self) -> bool {
        self.last_seq == SequenceNumber::ZERO && self.snapshot.is_none() && self.segments.is_empty()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(epoch: &u64) -> bool {
    *epoch == 0
}

/// A new checkpoint and the version it replaces.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointChange<'a> {
    /// The shard.
    pub shard: &'a ShardId,
    /// What it becomes.
    pub next: &'a Checkpoint,
    /// The version that must still be there; `None`: there must be no checkpoint.
    pub expected: Option<u64>,
}

/// A checkpoint that must not have moved, and that is not changed.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointGuard<'a> {
    /// The shard.
    pub shard: &'a ShardId,
    /// The version that must be there; `None`: there must be no checkpoint.
    pub expected: Option<u64>,
}

/// An anomaly as stored: written once, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnomalyRecord {
    /// The finding.
    #[serde(flatten)]
    pub anomaly: Anomaly,
    /// When the reading that raised it arrived.
    pub detected_at: Timestamp,
    /// The record it was found in.
    pub seq: SequenceNumber,
    /// `region/stream/shard` it was found in.
    pub shard: String,
    /// Fingerprint of the profiles in force.
    pub profiles: String,
    /// When the store may forget it, seconds since 1970 (DynamoDB's unit for time to live).
    pub expires_at: i64,
}

impl AnomalyRecord {
    /// Partition key: `{tenant}#{device}`.
    #[must_use]
    pub fn partition_key(&self) -> String {
        format!("{}#{}", self.anomaly.tenant, self.anomaly.device)
    }

    /// Sort key: `A#{onset}#{id}`, so that a device's anomalies are in order of time.
    #[must_use]
    pub fn sort_key(&self) -> String {
        format!("A#{}#{}", self.anomaly.onset, self.anomaly.id)
    }

    /// Partition of the index by day: `{tenant}#{yyyy-mm-dd}`.
    #[must_use]
    pub fn day(&self) -> String {
        format!("{}#{}", self.anomaly.tenant, self.anomaly.onset.date())
    }
}

/// How a device is, as stored: the newest by epoch, then by sequence number, stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateRecord {
    /// Whose device it is.
    pub tenant: String,
    /// The device.
    pub device: String,
    /// How it is.
    pub status: DeviceStatus,
    /// Since when.
    pub since: Timestamp,
    /// Score of the reading that changed it.
    pub score: f64,
    /// The record that changed it.
    pub seq: SequenceNumber,
    /// The epoch that it was made in; 0 before the first, and always where there is no other region. Two regions' streams
    /// count their records apart, so that numbers are compared within one epoch only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u64,
    /// When the store may forget it, seconds since 1970.
    pub expires_at: i64,
}

impl StateRecord {
    /// Sort key of every state.
    pub const SORT_KEY: &str = "S";

    /// Partition key: `{tenant}#{device}`. The sort key is [`Self::SORT_KEY`].
    #[must_use]
    pub fn partition_key(&self) -> String {
        format!("{}#{}", self.tenant, self.device)
    }

    /// Whether it replaces `other`, which is of the same device.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.epoch, self.seq) > (other.epoch, other.seq)
    }
}

/// Changes that happen together or not at all, at most [`TRANSACTION_ITEMS_MAX`] items, guards included.
#[derive(Debug, Clone, Default)]
pub struct Transaction<'a> {
    /// The commit itself; absent in the chunks that go before it.
    pub checkpoint: Option<CheckpointChange<'a>>,
    /// In a chunk that goes before: the checkpoint that its findings were made from.
    pub guard: Option<CheckpointGuard<'a>>,
    /// Where another region may take over: that it has not. `None` where there is none.
    pub epoch: Option<EpochGuard<'a>>,
    /// Anomalies that must not be there yet.
    pub anomalies: Vec<&'a AnomalyRecord>,
    /// States; each must be newer than the one that is there. At most one a device.
    pub states: Vec<&'a StateRecord>,
}

impl Transaction<'_> {
    /// How many items it names: each guard is one of them.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.guard.is_some()) + usize::from(self.epoch.is_some()) + self.changes()
    }

    fn changes(&self) -> usize {
        usize::from(self.checkpoint.is_some()) + self.anomalies.len() + self.states.len()
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes() == 0
    }
}

/// One shard as the stream describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Name of the shard.
    pub shard: String,
    /// The shard it was split from, or the first of the two it was merged from.
    pub parent: Option<String>,
    /// The second of the two it was merged from.
    pub adjacent_parent: Option<String>,
    /// First and last hash key (MD5 of the partition key as a 128-bit number) that it holds.
    pub hash_range: (u128, u128),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_without_another_region_is_stored_as_ever() {
        let text =
            r#"{"version":3,"last_seq":"7","stream_time":1700000000000,"batch":"b","snapshot":null,"segments":[]}"#;
        let mut checkpoint: Checkpoint = serde_json::from_str(text).unwrap();
        let back = serde_json::to_value(&checkpoint).unwrap();
        let fields: Vec<&String> = back.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["batch", "last_seq", "segments", "snapshot", "stream_time", "version"]);
        (checkpoint.epoch, checkpoint.hash_range) = (2, Some(HashRange::ALL));
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
    }

    #[test]
    fn a_segment_without_opinions_is_stored_as_ever() {
        let hash = "0".repeat(64);
        let text = format!(
            r#"{{"object":{{"key":"bronze/1","sha256":"{hash}"}},"last_seq":"7","readings":3,"profiles":"0123456789abcdef"}}"#
        );
        let mut segment: Segment = serde_json::from_str(&text).unwrap();
        let back = serde_json::to_value(&segment).unwrap();
        let fields: Vec<&String> = back.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["last_seq", "object", "profiles", "readings"]);
        segment.opinions = Some(segment.object.clone());
        let text = serde_json::to_string(&segment).unwrap();
        assert_eq!(serde_json::from_str::<Segment>(&text).unwrap(), segment);
    }

    #[test]
    fn keys_that_lead_out_of_the_lake_are_refused() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\\b", "a\nb", "ä", &"x".repeat(1025)] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
        for good in ["bronze/dt=2026-11-21/hour=07/x", "a", "...", "a b"] {
            assert!(Key::new(good).is_ok(), "{good}");
        }
    }
}
