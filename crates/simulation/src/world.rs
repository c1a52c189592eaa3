//! The stores as one process sees them: those of `platform::sim`, behind the gate, with a seeded bug where one is asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::metrics::{BatchMetrics, EmitMetrics};
use platform::model::{Checkpoint, Epoch, Key, ShardId, ShardInfo, Transaction};
use platform::ports::{
    AskError, AskModel, CommitError, CommitTransaction, GetObject, GetTagged, ListCheckpoints, ListObjects, ListShards,
    Listed, LoadCheckpoint, LoadEpoch, PutError, PutIfAbsent, StoreError, Stored, Tagged,
};
use platform::sim::{Fault, SimWorld, When};

use crate::flaw::Flaws;
use crate::gate::Gate;
use crate::ledger::Ledger;

/// The world of one process. The stores behind it are shared by all.
#[derive(Clone)]
pub struct World {
    store: SimWorld,
    gate: Gate,
    process: u32,
    flaws: Flaws,
    ledger: Ledger,
}

impl World {
    /// The view of a process.
    #[must_use]
    pub fn new(store: &SimWorld, gate: &Gate, process: u32, flaws: &Flaws, ledger: &Ledger) -> Self {
        Self { store: store.clone(), gate: gate.clone(), process, flaws: flaws.clone(), ledger: ledger.clone() }
    }

    /// Lets `fault` happen to the next call of the store.
    fn arm(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.store.on_call(When::matching(|_| true), fault);
        }
    }
}

impl LoadCheckpoint for World {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "load checkpoint", &shard.shard).await;
        self.arm(fault);
        let answer = self.store.load_checkpoint(&self.flaws.shard(shard)).await;
        let answer = self.flaws.loaded(shard, answer);
        ticket.hear().await;
        answer
    }
}

impl ListCheckpoints for World {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "list checkpoints", region).await;
        self.arm(fault);
        let answer = self.flaws.peers(self.store.list_checkpoints(region, stream).await);
        if let Ok(listed) = &answer {
            self.ledger.listed(listed);
        }
        ticket.hear().await;
        answer
    }
}

impl LoadEpoch for World {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "load epoch", stream).await;
        self.arm(fault);
        let answer = self.store.load_epoch(stream).await;
        ticket.hear().await;
        answer
    }
}

impl CommitTransaction for World {
    async fn commit(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        if let Some(change) = &transaction.checkpoint {
            self.ledger.tried(change.shard, change.next);
        }
        let target = transaction.checkpoint.map_or("results", |change| change.shard.shard.as_str());
        // One part, unless the seeded bug is that there are two.
        for part in self.flaws.parts(transaction) {
            let (fault, ticket) = self.gate.ask(self.process, "commit", target).await;
            let answer = self.flaws.commit(&self.store, &part, || self.arm(fault)).await;
            ticket.hear().await;
            answer?;
        }
        self.flaws.after_commit(&self.store, self.process);
        Ok(())
    }
}

impl PutIfAbsent for World {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        let (fault, ticket) = self.gate.ask(self.process, "put object", key.as_str()).await;
        let answer = self.flaws.put(&self.store, self.process, (key, body), || self.arm(fault)).await;
        ticket.hear().await;
        answer
    }
}

impl GetObject for World {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "get object", key.as_str()).await;
        self.arm(fault);
        let answer = self.store.get_object(key, bytes_max).await;
        if matches!(answer, Ok(None)) {
            self.ledger.missed(key);
        }
        ticket.hear().await;
        answer
    }
}

impl GetTagged for World {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "get object", key.as_str()).await;
        self.arm(fault);
        let answer = self.store.get_tagged(key, bytes_max).await;
        ticket.hear().await;
        answer
    }
}

impl ListObjects for World {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "list objects", prefix).await;
        self.arm(fault);
        let answer = self.flaws.listed(self.store.list_objects(prefix, count_max).await);
        ticket.hear().await;
        answer
    }
}

impl ListShards for World {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        let (fault, ticket) = self.gate.ask(self.process, "list shards", stream).await;
        self.arm(fault);
        let answer = self.flaws.shards(self.store.list_shards(stream).await);
        ticket.hear().await;
        answer
    }
}

impl AskModel for World {
    async fn ask_model(&self, rows: &[u8], within: Duration) -> Result<Vec<u8>, AskError> {
        let (fault, ticket) = self.gate.ask(self.process, "ask model", "second").await;
        self.arm(fault);
        let answer = self.store.ask_model(rows, within).await;
        ticket.hear().await;
        answer
    }
}

/// Sums up what the processes report of their batches.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<(u64, u64)>>);

impl Meter {
    /// Batches and readings reported so far.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EmitMetrics for Meter {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        let mut total = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        total.0 += 1;
        total.1 += metrics.readings;
    }
}
