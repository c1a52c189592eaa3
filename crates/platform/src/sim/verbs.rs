//! The ports, each a call that may fail.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anomaly_core::Timestamp;

use super::SimWorld;
use super::entries::OwnedChanges;
use super::state::{Commit, Expected, State};
use crate::metrics::{BatchMetrics, EmitMetrics};
use crate::model::{
    AnomalyRecord, Checkpoint, Entry, EntryChange, EntryKey, Epoch, Key, ShardId, ShardInfo, StateRecord, TableChange,
    Transaction,
};
use crate::ports::{
    AnomalyQuery, AskError, AskErrorKind, AskModel, BeginEpoch, ChangeEntries, ChangeError, CommitError,
    CommitTransaction, FindAnomalies, FindDue, ForgetChanges, GetDeviceState, GetObject, GetTagged, ListCheckpoints,
    ListDay, ListEntries, ListFolders, ListObjects, ListShards, Listed, LoadCheckpoint, LoadEntry, LoadEpoch, Order,
    PutError, PutIfAbsent, ReadChanges, ReadRange, StoreError, Stored, Stretch, Tagged,
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

impl ReadRange for SimWorld {
    async fn read_range(&self, key: &Key, offset: u64, bytes_max: usize) -> Result<Option<Stretch>, StoreError> {
        let owned = key.clone();
        self.call("get object", key.to_string(), move |state| Ok(state.read_range(&owned, offset, bytes_max))).await
    }
}

impl ListFolders for SimWorld {
    async fn list_folders(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        let owned = prefix.to_owned();
        self.call("list folders", prefix.to_owned(), move |state| state.list_folders(&owned, count_max)).await
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
        self.call("get device state", pk.clone(), move |state| Ok(state.states.get(&pk).cloned())).await
    }
}

impl AskModel for SimWorld {
    async fn ask_model(&self, rows: &[u8], _: Duration) -> Result<Vec<u8>, AskError> {
        let (model, rows) = (self.inside().model.clone(), rows.to_vec());
        let ask = move |_: &mut State| match model {
            Some(model) => (model.lock().unwrap_or_else(PoisonError::into_inner))(&rows),
            None => Err(AskError {
                kind: AskErrorKind::Unreachable,
                target: "model".to_owned(),
                remedy: "no model was defined by the test".to_owned(),
                source: None,
            }),
        };
        self.call("ask model", "model".to_owned(), ask).await
    }
}

impl LoadEntry for SimWorld {
    async fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        let owned = key.clone();
        self.call("load entry", key.to_string(), move |state| Ok(state.entries.get(&owned).cloned())).await
    }
}

impl ListEntries for SimWorld {
    async fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (owned, prefix) = (pk.to_owned(), sk_prefix.to_owned());
        let list = move |state: &mut State| Ok(state.list_entries(&owned, &prefix, order, count_max));
        self.call("list entries", format!("{pk} {sk_prefix}"), list).await
    }
}

impl ChangeEntries for SimWorld {
    async fn change_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        let changes = OwnedChanges::of(changes)?;
        self.call("change entries", changes.target(), move |state| state.change_entries(changes)).await
    }
}

impl FindDue for SimWorld {
    async fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        let owned = queue.to_owned();
        let find = move |state: &mut State| Ok(state.find_due(&owned, until, count_max));
        self.call("find due", queue.to_owned(), find).await
    }
}

impl ListDay for SimWorld {
    async fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        let (owned, prefix) = (day.to_owned(), sk_prefix.to_owned());
        let list = move |state: &mut State| Ok(state.list_day(&owned, &prefix, count_max));
        self.call("list day", format!("{day} {sk_prefix}"), list).await
    }
}

impl ReadChanges for SimWorld {
    async fn read_changes(&self, after: u64, count_max: usize) -> Result<Vec<TableChange>, StoreError> {
        self.call("read changes", after.to_string(), move |state| Ok(state.changes.read(after, count_max))).await
    }
}

impl ForgetChanges for SimWorld {
    async fn forget_changes(&self, through: u64) -> Result<(), StoreError> {
        let forget = move |state: &mut State| {
            state.changes.forget(through);
            Ok(())
        };
        self.call("forget changes", through.to_string(), forget).await
    }
}

impl EmitMetrics for SimWorld {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        self.inside().metrics.push(*metrics);
    }
}
