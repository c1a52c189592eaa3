//! What a move needs of a Region: stores, and ways to reach devices, functions and the stream.

use std::future::Future;
use std::time::Duration;

use platform::model::ShardInfo;
use platform::ports::{
    BeginEpoch, ChangeEntries, CommitTransaction, FindAnomalies, GetObject, ListCheckpoints, ListEntries, ListFolders,
    ListShards, LoadEntry, LoadEpoch, StoreError, StoreErrorKind,
};

/// The stores of a Region.
pub trait Stores:
    ListCheckpoints
    + LoadEpoch
    + BeginEpoch
    + LoadEntry
    + ListEntries
    + ChangeEntries
    + CommitTransaction
    + FindAnomalies
    + GetObject
    + ListFolders
    + ListShards
    + Send
    + Sync
{
}

impl<S> Stores for S where
    S: ListCheckpoints
        + LoadEpoch
        + BeginEpoch
        + LoadEntry
        + ListEntries
        + ChangeEntries
        + CommitTransaction
        + FindAnomalies
        + GetObject
        + ListFolders
        + ListShards
        + Send
        + Sync
{
}

/// What is reached in a Region beside its stores.
pub trait Reach: Send + Sync {
    /// Puts a pulse into a shard: a record without readings, at which the scorer wakes, restores and commits.
    fn pulse(&self, stream: &str, shard: &ShardInfo) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Publishes a message that is kept for those who subscribe later. Safe to repeat.
    fn publish_retained(&self, topic: &str, payload: &[u8]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets the function that tells people look for what is due, as its schedule does every minute. Safe to repeat.
    fn tick_alerts(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// One Region of the pair.
#[derive(Debug, Clone)]
pub struct Side<S, R> {
    /// Its name.
    pub region: String,
    /// Its stores.
    pub stores: S,
    /// What else is reached.
    pub reach: R,
}

/// An answer of a Region that may be lost: `Err` when there was none in time, or it was an error.
///
/// # Errors
/// The store's, or [`StoreErrorKind::Unavailable`] when `patience` is over.
pub(crate) async fn within<T>(
    patience: Duration,
    verb: &'static str,
    region: &str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(patience, call).await.unwrap_or_else(|_| {
        Err(StoreError {
            kind: StoreErrorKind::Unavailable,
            verb,
            target: region.to_owned(),
            remedy: format!("no answer within {} ms", patience.as_millis()),
            source: None,
        })
    })
}
