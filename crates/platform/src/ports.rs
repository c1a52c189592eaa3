//! The verbs. Each says what it promises, what is safe to repeat, and what its errors mean to the caller.

mod alerts;
mod ask;

use std::error::Error;
use std::future::Future;

use crate::model::{AnomalyRecord, Checkpoint, ContentHash, Epoch, Key, ShardId, ShardInfo, StateRecord, Transaction};

pub use alerts::{
    AlertWorld, ChangeEntries, ChangeError, FindDue, ForgetChanges, ListDay, ListEntries, LoadEntry, Order,
    ReadChanges, check_changes,
};
pub use ask::{AskError, AskErrorKind, AskModel};

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// Told to slow down; nothing happened. Try again later.
    Throttled,
    /// No answer, or a server's fault. It may have happened all the same. Try again; every verb here bears it.
    Unavailable,
    /// It will not work until somebody changes something: a permission, a name, a full disk, a broken object.
    Permanent,
}

/// A store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{verb} `{target}`: {remedy}")]
pub struct StoreError {
    /// What it means for the caller.
    pub kind: StoreErrorKind,
    /// What was tried, for example `get object`.
    pub verb: &'static str,
    /// On what: a table, a key, a path.
    pub target: String,
    /// What went wrong and what to do.
    pub remedy: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// Something that trying again does not mend.
    #[must_use]
    pub fn permanent(verb: &'static str, target: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Permanent, verb, target: target.into(), remedy: remedy.into(), source: None }
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind != StoreErrorKind::Permanent
    }
}

/// Reads the checkpoint of a shard, strongly consistent: it shows every commit that was acknowledged before the call.
pub trait LoadCheckpoint {
    /// `None`: nothing was ever committed.
    fn load_checkpoint(&self, shard: &ShardId) -> impl Future<Output = Result<Option<Checkpoint>, StoreError>> + Send;
}

/// Lists the checkpoints of one stream in one region: this one, or another whose tables are replicated here. Strongly
/// consistent for what was committed here; what another region committed is as old as replication is late.
pub trait ListCheckpoints {
    /// In order of shard. Empty when nothing was ever committed.
    fn list_checkpoints(
        &self,
        region: &str,
        stream: &str,
    ) -> impl Future<Output = Result<Vec<(ShardId, Checkpoint)>, StoreError>> + Send;
}

/// Reads the epoch of a stream, strongly consistent for what was written in this region.
pub trait LoadEpoch {
    /// `None`: epoch 0, nobody was ever told to take over.
    fn load_epoch(&self, stream: &str) -> impl Future<Output = Result<Option<Epoch>, StoreError>> + Send;
}

/// Begins an epoch: what a person does who moves a stream to the other region. Safe to repeat.
pub trait BeginEpoch {
    /// `false`: the epoch that is there is not older; nothing was changed.
    fn begin_epoch(&self, stream: &str, next: &Epoch) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Why a transaction changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The checkpoint is not the expected version: somebody else committed.
    #[error("the checkpoint has moved: another invocation committed this shard")]
    CheckpointMoved,
    /// A newer epoch has begun than who commits knows of: another region has the say, or this one has it anew.
    #[error("the stream has a newer epoch: find out which region is active")]
    EpochMoved,
    /// Some items are there already: leave them out and commit again. Indexes into the transaction's lists.
    #[error("{} anomalies are stored already and {} states are as new or newer", anomalies.len(), states.len())]
    AlreadyThere {
        /// Anomalies of that key that are stored.
        anomalies: Vec<usize>,
        /// States for which the store has an equally new or newer one.
        states: Vec<usize>,
    },
    /// More than [`crate::model::TRANSACTION_ITEMS_MAX`] items, or none.
    #[error("a transaction changes 1 to 100 items, not {0}")]
    Size(usize),
    /// The store failed. When transient, it may have happened all the same: the checkpoint tells.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies a transaction: everything or nothing.
///
/// Conditions: the checkpoint, or that of the guard, still has the expected version; the stream has no newer epoch than that
/// of the epoch guard; no anomaly of that key is there; no state with an equal or higher sequence number is there, and with
/// an epoch guard none of a newer epoch, while one of an older epoch is replaced in any case. A moved checkpoint is reported
/// before anything else, then a newer epoch. Applying the same transaction again is refused by the conditions, so that
/// repeating is safe.
///
/// Conditions hold where the transaction is made: what another region has written counts once it is replicated.
pub trait CommitTransaction {
    /// Tries once.
    fn commit(&self, transaction: &Transaction<'_>) -> impl Future<Output = Result<(), CommitError>> + Send;
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The object is new.
    New,
    /// An object of that name with equal bytes was there already.
    AlreadyThere,
}

/// Why a put stored nothing.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// An object of that name with other bytes is there; it is left as it is.
    #[error("`{0}` exists with other content; objects of the lake are never overwritten")]
    Conflict(Key),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores an object unless one of that name exists. Never overwrites. Safe to repeat: the second time answers
/// [`Stored::AlreadyThere`]. After `Ok` the bytes survive the loss of the process.
pub trait PutIfAbsent {
    /// Tries once.
    fn put_if_absent(&self, key: &Key, body: &[u8]) -> impl Future<Output = Result<Stored, PutError>> + Send;
}

/// Reads an object whole, at most `bytes_max`; a larger one is a permanent error.
pub trait GetObject {
    /// `None`: there is none of that name.
    fn get_object(
        &self,
        key: &Key,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Changes whenever the content does: the `ETag` on S3, a hash or size and time elsewhere.
    pub tag: String,
}

/// Lists objects below a prefix (which ends with `/`), in order of key. `count_max` bounds it; more is a permanent error.
pub trait ListObjects {
    /// Empty when there are none.
    fn list_objects(
        &self,
        prefix: &str,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<Listed>, StoreError>> + Send;
}

/// Lists the folders right below a prefix (which ends with `/`): the next level of the objects' keys, where they have a
/// further one. `count_max` bounds it; more is a permanent error.
pub trait ListFolders {
    /// Names without slashes, in order. Empty when there are none.
    fn list_folders(
        &self,
        prefix: &str,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;
}

/// What was read, and the tag that a listing shows for exactly this content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The object.
    pub bytes: Vec<u8>,
    /// As [`Listed::tag`].
    pub tag: String,
}

/// Reads an object with its tag, at most `bytes_max`; a larger one is a permanent error.
///
/// For what people overwrite: between a listing and the reading the content may change, and change back later. Whoever
/// remembers by the tag what he has read needs the tag of what he has read.
pub trait GetTagged {
    /// `None`: there is none of that name.
    fn get_tagged(
        &self,
        key: &Key,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Option<Tagged>, StoreError>> + Send;
}

/// A stretch of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The bytes; fewer than were asked for only where the object ends.
    pub bytes: Vec<u8>,
    /// How long the object is.
    pub object_bytes: u64,
    /// As [`Listed::tag`]. Who reads on compares it: another tag is another object.
    pub tag: String,
}

/// Reads a stretch of an object: for those that are larger than memory.
pub trait ReadRange {
    /// The bytes from `offset` on, at most `bytes_max`; none at the end and beyond. `None`: there is none of that name.
    fn read_range(
        &self,
        key: &Key,
        offset: u64,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Option<Stretch>, StoreError>> + Send;
}

/// Describes the shards of a stream, those that are closed but not yet expired included.
pub trait ListShards {
    /// In no particular order.
    fn list_shards(&self, stream: &str) -> impl Future<Output = Result<Vec<ShardInfo>, StoreError>> + Send;
}

/// Puts one record into one shard, which is open. Not safe to repeat: each try that arrives is a record.
pub trait PutRecord {
    /// Tries once. The record's partition key is `partition_key`; where it goes is decided by the shard's range alone.
    fn put_record(
        &self,
        stream: &str,
        shard: &ShardInfo,
        partition_key: &str,
        data: &[u8],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Which anomalies to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnomalyQuery {
    /// Of one device.
    Device {
        /// The tenant.
        tenant: String,
        /// The device.
        device: String,
    },
    /// Of one tenant's day (UTC, `yyyy-mm-dd`).
    Day {
        /// The tenant.
        tenant: String,
        /// The day.
        day: String,
    },
}

/// Finds stored anomalies.
pub trait FindAnomalies {
    /// At most `count_max`, newest onset first.
    fn find_anomalies(
        &self,
        query: &AnomalyQuery,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<AnomalyRecord>, StoreError>> + Send;
}

/// Reads one device's stored state.
pub trait GetDeviceState {
    /// `None`: no change of state was ever stored.
    fn device_state(
        &self,
        tenant: &str,
        device: &str,
    ) -> impl Future<Output = Result<Option<StateRecord>, StoreError>> + Send;
}

/// All that the scorer needs.
pub trait ScorerWorld:
    LoadCheckpoint
    + ListCheckpoints
    + LoadEpoch
    + CommitTransaction
    + PutIfAbsent
    + GetObject
    + GetTagged
    + ListObjects
    + ListShards
    + Send
    + Sync
{
}

impl<W> ScorerWorld for W where
    W: LoadCheckpoint
        + ListCheckpoints
        + LoadEpoch
        + CommitTransaction
        + PutIfAbsent
        + GetObject
        + GetTagged
        + ListObjects
        + ListShards
        + Send
        + Sync
{
}

/// Reads an object and checks that it is the one that was committed. `None`: it is not here.
///
/// # Errors
/// The store's, or a permanent one when its bytes are not those that were committed.
pub async fn find_verified<S: GetObject + Sync>(
    store: &S,
    key: &Key,
    sha256: &ContentHash,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(bytes) = store.get_object(key, bytes_max).await? else { return Ok(None) };
    let found = ContentHash::of(&bytes);
    if found == *sha256 {
        return Ok(Some(bytes));
    }
    let remedy = format!("its SHA-256 is {found}, the checkpoint says {sha256}; restore the right version of it");
    Err(StoreError::permanent("get object", key.as_str(), remedy))
}

/// Reads an object and checks that it is the one that was committed.
///
/// # Errors
/// The store's, or a permanent one when the object is gone or its bytes are not those that were committed.
pub async fn get_verified<S: GetObject + Sync>(
    store: &S,
    key: &Key,
    sha256: &ContentHash,
    bytes_max: usize,
) -> Result<Vec<u8>, StoreError> {
    find_verified(store, key, sha256, bytes_max).await?.ok_or_else(|| gone(key))
}

/// An object that a checkpoint of this region names and that is not there.
#[must_use]
pub fn gone(key: &Key) -> StoreError {
    let remedy = "the checkpoint names it, but it is gone; restore it from versioning or a replica";
    StoreError::permanent("get object", key.as_str(), remedy)
}
