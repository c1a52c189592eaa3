//! Counts what goes through the ports of any store.
//!
//! Calls are counted when they are made, so that one whose answer never comes is not forgotten. What the SDK repeats on
//! its own is below the ports and not seen.

mod entries;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Usage, item};
use crate::model::{Checkpoint, EntryKey, Epoch, Key, ShardId, ShardInfo, Transaction};
use crate::ports::{
    CommitError, CommitTransaction, GetObject, GetTagged, ListCheckpoints, ListObjects, ListShards, Listed,
    LoadCheckpoint, LoadEpoch, PutError, PutIfAbsent, StoreError, Stored, Tagged,
};

/// Keys of one page of a listing (Amazon S3 API Reference, `ListObjectsV2`).
const PAGE_KEYS: u64 = 1000;
/// Items of a transaction are written twice: prepared and committed (Amazon DynamoDB Developer Guide, "Amazon DynamoDB
/// Transactions: How it works").
const TRANSACTION_FACTOR: u64 = 2;
/// Shards whose checkpoints' sizes are remembered; a process serves a few.
const SHARDS_MAX: usize = 1024;

/// The counts. Shared between the adapter and whoever reports.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    usage: Usage,
    /// Bytes of each checkpoint as it is stored: replacing an item is charged by the larger of the two (Amazon DynamoDB
    /// Developer Guide, "DynamoDB read and write operations").
    checkpoints: HashMap<ShardId, u64>,
    /// As they were loaded or changed last.
    entries: HashMap<EntryKey, entries::Known>,
}

impl Meter {
    /// What was used since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Usage {
        std::mem::take(&mut self.counts().usage)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, used: impl FnOnce(&mut Usage)) {
        used(&mut self.counts().usage);
    }
}

impl Counts {
    fn remember(&mut self, shard: &ShardId, bytes: u64) {
        if let Some(known) = self.checkpoints.get_mut(shard) {
            *known = bytes;
            return;
        }
        if self.checkpoints.len() >= SHARDS_MAX {
            self.checkpoints.clear();
        }
        self.checkpoints.insert(shard.clone(), bytes);
    }

    fn known(&self, shard: &ShardId) -> u64 {
        self.checkpoints.get(shard).copied().unwrap_or(0)
    }

    /// Counts a transaction; answers the bytes of its checkpoint. A transaction whose conditions fail is charged all the
    /// same. The state that is replaced has the size of the one that replaces it, but for the name of its status.
    fn transaction(&mut self, transaction: &Transaction<'_>) -> u64 {
        let checkpoint = transaction.checkpoint.map(|change| item::checkpoint_bytes(change.shard, change.next));
        let replaced = transaction.checkpoint.map_or(0, |change| self.known(change.shard));
        let guarded = transaction.guard.map(|guard| item::write_units(self.known(guard.shard)));
        let (mut units, mut index_units) = (guarded.unwrap_or(0), 0);
        // An epoch is far smaller than a unit.
        units += transaction.epoch.map_or(0, |_| item::write_units(0));
        units += checkpoint.map_or(0, |bytes| item::write_units(bytes.max(replaced)));
        for anomaly in &transaction.anomalies {
            let once = item::write_units(item::anomaly_bytes(anomaly));
            units += once;
            // The whole item is in the index by day as well.
            index_units += once;
        }
        units += transaction.states.iter().map(|state| item::write_units(item::state_bytes(state))).sum::<u64>();
        self.usage.dynamodb_calls += 1;
        self.usage.dynamodb_write_units += units * TRANSACTION_FACTOR;
        self.usage.dynamodb_index_write_units += index_units;
        checkpoint.unwrap_or(0)
    }
}

/// A store whose use is counted. It answers what the store answers.
#[derive(Debug)]
pub struct Metered<W> {
    inner: W,
    meter: Arc<Meter>,
}

impl<W> Metered<W> {
    /// Counts `inner`'s use on `meter`.
    pub fn new(inner: W, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }

    /// The store.
    pub fn inner(&self) -> &W {
        &self.inner
    }
}

impl<W: LoadCheckpoint + Sync> LoadCheckpoint for Metered<W> {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        self.meter.count(|used| used.dynamodb_calls += 1);
        let found = self.inner.load_checkpoint(shard).await?;
        let bytes = found.as_ref().map_or(0, |checkpoint| item::checkpoint_bytes(shard, checkpoint));
        let mut counts = self.meter.counts();
        counts.usage.dynamodb_read_units += item::read_units(bytes);
        counts.remember(shard, bytes);
        Ok(found)
    }
}

impl<W: ListCheckpoints + Sync> ListCheckpoints for Metered<W> {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        self.meter.count(|used| used.dynamodb_calls += 1);
        let found = self.inner.list_checkpoints(region, stream).await?;
        // A scan is charged by what it reads; what it read and left out is not seen here.
        let bytes = found.iter().map(|(shard, checkpoint)| item::checkpoint_bytes(shard, checkpoint)).sum();
        self.meter.count(|used| used.dynamodb_read_units += item::read_units(bytes));
        Ok(found)
    }
}

impl<W: LoadEpoch + Sync> LoadEpoch for Metered<W> {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        self.meter.count(|used| {
            used.dynamodb_calls += 1;
            used.dynamodb_read_units += item::read_units(0);
        });
        self.inner.load_epoch(stream).await
    }
}

impl<W: CommitTransaction + Sync> CommitTransaction for Metered<W> {
    async fn commit(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        let bytes = self.meter.counts().transaction(transaction);
        self.inner.commit(transaction).await?;
        if let Some(change) = transaction.checkpoint {
            self.meter.counts().remember(change.shard, bytes);
        }
        Ok(())
    }
}

impl<W: PutIfAbsent + Sync> PutIfAbsent for Metered<W> {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        self.meter.count(|used| {
            used.s3_puts += 1;
            used.s3_bytes_put += body.len() as u64;
        });
        let stored = self.inner.put_if_absent(key, body).await;
        // What is there already is read, to see whether it is the same.
        if matches!(stored, Ok(Stored::AlreadyThere) | Err(PutError::Conflict(_))) {
            self.meter.count(|used| used.s3_gets += 1);
        }
        stored
    }
}

impl<W: GetObject + Sync> GetObject for Metered<W> {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.meter.count(|used| used.s3_gets += 1);
        let found = self.inner.get_object(key, bytes_max).await?;
        self.meter.count(|used| used.s3_bytes_got += found.as_ref().map_or(0, Vec::len) as u64);
        Ok(found)
    }
}

impl<W: GetTagged + Sync> GetTagged for Metered<W> {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        self.meter.count(|used| used.s3_gets += 1);
        let found = self.inner.get_tagged(key, bytes_max).await?;
        self.meter.count(|used| used.s3_bytes_got += found.as_ref().map_or(0, |found| found.bytes.len()) as u64);
        Ok(found)
    }
}

impl<W: ListObjects + Sync> ListObjects for Metered<W> {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        self.meter.count(|used| used.s3_lists += 1);
        let listed = self.inner.list_objects(prefix, count_max).await?;
        let pages = (listed.len() as u64).div_ceil(PAGE_KEYS);
        self.meter.count(|used| used.s3_lists += pages.saturating_sub(1));
        Ok(listed)
    }
}

impl<W: ListShards + Sync> ListShards for Metered<W> {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        self.meter.count(|used| used.kinesis_calls += 1);
        self.inner.list_shards(stream).await
    }
}

#[cfg(test)]
#[cfg(feature = "sim")]
mod tests;
