//! A store in memory that takes the time that a service is assumed to take, and forgets what nobody will read.
//!
//! Time is tokio's, paused: a wait costs nothing, and calls that are made at once wait at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use platform::cost::prices::{Amount, Assumed};
use platform::model::{Checkpoint, Epoch, Key, ShardId, ShardInfo, Transaction};
use platform::ports::{
    CommitError, CommitTransaction, GetObject, GetTagged, ListCheckpoints, ListObjects, ListShards, Listed,
    LoadCheckpoint, LoadEpoch, PutError, PutIfAbsent, StoreError, Stored, Tagged,
};
use platform::sim::SimWorld;

/// The store.
#[derive(Clone)]
pub struct Waiting {
    store: SimWorld,
    assumed: Assumed,
    counts: Arc<Counts>,
}

/// What is of interest beside usage.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    snapshots: AtomicU64,
    snapshot_bytes: AtomicU64,
}

impl Waiting {
    /// An empty store whose answers take as long as `assumed` says.
    #[must_use]
    pub fn new(assumed: Assumed) -> Self {
        Self { store: SimWorld::new(), assumed, counts: Arc::default() }
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// Snapshots written so far and their bytes.
    #[must_use]
    pub fn snapshots(&self) -> (u64, u64) {
        (self.counts.snapshots.load(Ordering::Relaxed), self.counts.snapshot_bytes.load(Ordering::Relaxed))
    }

    /// Drops every object: a warm process reads none of them again, and ten million readings would fill the memory.
    pub fn forget_objects(&self) {
        for key in self.store.objects().into_keys() {
            self.store.remove_object(&key);
        }
    }

    async fn wait(&self, ms: Amount, bytes: usize) {
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        let seconds = ms.get() / 1_000.0 + bytes as f64 / self.assumed.bytes_per_second.get().max(1.0);
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
}

impl LoadCheckpoint for Waiting {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        self.wait(self.assumed.dynamodb_item_wait_ms, 0).await;
        self.store.load_checkpoint(shard).await
    }
}

impl ListCheckpoints for Waiting {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        self.wait(self.assumed.dynamodb_item_wait_ms, 0).await;
        self.store.list_checkpoints(region, stream).await
    }
}

impl LoadEpoch for Waiting {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        self.wait(self.assumed.dynamodb_item_wait_ms, 0).await;
        self.store.load_epoch(stream).await
    }
}

impl CommitTransaction for Waiting {
    async fn commit(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        self.wait(self.assumed.dynamodb_transaction_wait_ms, 0).await;
        self.store.commit(transaction).await
    }
}

impl PutIfAbsent for Waiting {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        if key.as_str().starts_with("state/") {
            self.counts.snapshots.fetch_add(1, Ordering::Relaxed);
            self.counts.snapshot_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
        self.wait(self.assumed.s3_wait_ms, body.len()).await;
        self.store.put_if_absent(key, body).await
    }
}

impl GetObject for Waiting {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.store.get_object(key, bytes_max).await;
        let bytes = found.as_ref().ok().and_then(Option::as_ref).map_or(0, Vec::len);
        self.wait(self.assumed.s3_wait_ms, bytes).await;
        found
    }
}

impl GetTagged for Waiting {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let found = self.store.get_tagged(key, bytes_max).await;
        let bytes = found.as_ref().ok().and_then(Option::as_ref).map_or(0, |found| found.bytes.len());
        self.wait(self.assumed.s3_wait_ms, bytes).await;
        found
    }
}

impl ListObjects for Waiting {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        self.wait(self.assumed.s3_wait_ms, 0).await;
        self.store.list_objects(prefix, count_max).await
    }
}

impl ListShards for Waiting {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        self.wait(self.assumed.kinesis_wait_ms, 0).await;
        self.store.list_shards(stream).await
    }
}
