//! The ports, each a call that may fail.

use std::sync::Arc;

use anomaly_core::Timestamp;

use super::SimWorld;
use super::state::{Commit, Expected, State};
use crate::metrics::{BatchMetrics, EmitMetrics};
use crate::model::{AnomalyRecord, Checkpoint, Epoch, Key, ShardId, ShardInfo, StateRecord, Transaction};
use crate::ports::{
    AnomalyQuery, BeginEpoch, CommitError, CommitTransaction, FindAnomalies, GetDeviceState, GetObject, GetTagged,
    ListCheckpoints, ListObjects, ListShards, Listed, LoadCheckpoint, LoadEpoch, PutError, PutIfAbsent, StoreError,
    Stored, Tagged,
};

impl LoadCheckpoint for SimWorld {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        let pk = shard.partition_key();
        self.call("load checkpoint", pk.clone(), move |state| {
            Ok(state.checkpoints.get(&pk).map(|(_, checkpoint)| checkpoint.clone()))
        })
        .await
    }
}

impl ListCheckpoints for SimWorld {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let (of, name) = (region.to_owned(), stream.to_owned());
        let list = move |state: &mut State| Ok(state.list_checkpoints(&of, &name));
        self.call("list checkpoints", format!("{region}#{stream}#"), list).await
    }
}

impl LoadEpoch for SimWorld {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        let owned = stream.to_owned();
        self.call("load epoch", stream.to_owned(), move |state| Ok(state.epochs.get(&owned).cloned())).await
    }
}

impl BeginEpoch for SimWorld {
    async fn begin_epoch(&self, stream: &str, next: &Epoch) -> Result<bool, StoreError> {
        let (owned, next) = (stream.to_owned(), next.clone());
        self.call("begin epoch", stream.to_owned(), move |state| Ok(state.begin_epoch(&owned, &next))).await
    }
}

impl CommitTransaction for SimWorld {
    async fn commit(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        let commit = Commit::of(transaction)?;
        let target = commit.checkpoint.as_ref().map_or_else(|| "results".to_owned(), |(pk, _)| pk.partition_key());
        let expected = Expected::of(transaction);
        self.call("commit", target, move |state| state.commit(commit, &expected)).await
    }
}

impl PutIfAbsent for SimWorld {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        let (owned, body) = (key.clone(), Arc::from(body));
        self.call("put object", key.to_string(), move |state| state.put_if_absent(owned, body)).await
    }
}

impl GetObject for SimWorld {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let owned = key.clone();
        self.call("get object", key.to_string(), move |state| state.get_object(&owned, bytes_max)).await
    }
}

impl GetTagged for SimWorld {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let owned = key.clone();
        self.call("get object", key.to_string(), move |state| state.get_tagged(&owned, bytes_max)).await
    }
}

impl ListObjects for SimWorld {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        let owned = prefix.to_owned();
        self.call("list objects", prefix.to_owned(), move |state| state.list_objects(&owned, count_max)).await
    }
}

impl ListShards for SimWorld {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        let owned = stream.to_owned();
        let list = move |state: &mut State| Ok(state.shards.get(&owned).cloned().unwrap_or_default());
        self.call("list shards", stream.to_owned(), list).await
    }
}

impl FindAnomalies for SimWorld {
    async fn find_anomalies(&self, query: &AnomalyQuery, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        let owned = query.clone();
        let target = format!("{query:?}");
        self.call("find anomalies", target, move |state| Ok(state.find_anomalies(&owned, count_max))).await
    }
}

impl GetDeviceState for SimWorld {
    async fn device_state(&self, tenant: &str, device: &str) -> Result<Option<StateRecord>, StoreError> {
        let pk = format!("{tenant}#{device}");
        self.call("get device state", pk.clone(), move |state| {
            Ok(state.states.get(&pk).map(|(_, state)| state.clone()))
        })
        .await
    }
}

impl EmitMetrics for SimWorld {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        self.inside().metrics.push(*metrics);
    }
}
