//! One machine: SQLite for the tables, a folder for the lake, and an in-process stream.
//!
//! [`Local`] keeps all it has in one folder: `millrace.db` (checkpoints, anomalies, states, entries, their changes, shards),
//! `lake/` (an object is a file whose path is its key) and `millrace.lock`. One process writes to it; others may look. What was acknowledged
//! survives the loss of the process and of power. It does not expire anything and does not replicate.
//!
//! Every call runs on tokio's pool of blocking threads: a durable write waits milliseconds for the disk, and the shards
//! that share a worker thread must not wait with it. The price is a copy of what is written. A call whose future is
//! dropped may still happen, as with any store.

mod changes;
mod entries;
mod epochs;
mod failure;
mod lake;
mod open;
mod schema;
pub mod stream;
mod tables;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anomaly_core::Timestamp;

use crate::model::{
    AnomalyRecord, Checkpoint, Entry, EntryChange, EntryKey, Epoch, Key, ShardId, ShardInfo, StateRecord, TableChange,
    Transaction,
};
use crate::ports::{
    AnomalyQuery, BeginEpoch, ChangeEntries, ChangeError, CommitError, CommitTransaction, FindAnomalies, FindDue,
    ForgetChanges, GetDeviceState, GetObject, GetTagged, ListCheckpoints, ListDay, ListEntries, ListFolders,
    ListObjects, ListShards, Listed, LoadCheckpoint, LoadEntry, LoadEpoch, Order, PutError, PutIfAbsent, ReadChanges,
    ReadRange, StoreError, Stored, Stretch, Tagged,
};
use lake::Lake;
use tables::{Change, Tables};

pub use changes::CHANGES_KEPT_MAX;
pub use open::OpenError;

/// All stores on one machine, in one folder. Clones share it.
#[derive(Debug, Clone)]
pub struct Local {
    stores: Arc<Stores>,
}

/// Held by every clone and by every call that is under way, so that the lock outlives the last write.
#[derive(Debug)]
struct Stores {
    dir: PathBuf,
    tables: Tables,
    lake: Lake,
    /// Held by the one process that may write.
    lock: Option<File>,
}

impl Stores {
    fn check_writable(&self, verb: &'static str) -> Result<(), StoreError> {
        if self.lock.is_some() { Ok(()) } else { Err(failure::read_only(verb, &self.dir.display())) }
    }
}

impl Local {
    /// Opens `dir` for reading and writing, and makes it when it is not there. Sweeps what killed processes left half
    /// written.
    ///
    /// # Errors
    /// [`OpenError`] when another process has it open for writing, it is not writable, or a newer Millrace made it.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let lock = open::lock(dir)?;
        let tables = Tables::new(open::database(dir)?);
        let lake = open::lake(dir)?;
        Ok(Self { stores: Arc::new(Stores { dir: dir.to_owned(), tables, lake, lock: Some(lock) }) })
    }

    /// Opens `dir` to look only, beside a process that writes or without one. What would write is refused.
    ///
    /// # Errors
    /// [`OpenError`] when there is no data, it is not readable, or a newer Millrace made it.
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let tables = Tables::new(open::database_read_only(dir)?);
        let lake = Lake::read_only(open::lake_folder(dir));
        Ok(Self { stores: Arc::new(Stores { dir: dir.to_owned(), tables, lake, lock: None }) })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.stores.dir
    }

    /// Says which shards `stream` has, in place of what was said before.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn define_shards(&self, stream: &str, shards: &[ShardInfo]) -> Result<(), StoreError> {
        self.stores.check_writable("define shards")?;
        let (stream, shards) = (stream.to_owned(), shards.to_vec());
        self.blocking(move |stores| stores.tables.define_shards(&stream, &shards)).await
    }

    /// Anomalies of all devices of a tenant, or of all tenants: at most `count_max`, newest onset first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn recent_anomalies(
        &self,
        tenant: Option<&str>,
        count_max: usize,
    ) -> Result<Vec<AnomalyRecord>, StoreError> {
        let tenant = tenant.map(str::to_owned);
        self.blocking(move |stores| stores.tables.recent_anomalies(tenant.as_deref(), count_max)).await
    }

    /// Anomalies of all tenants whose id begins with these digits (lower case, as ids are stored): at most `count_max`,
    /// in order of their ids.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn anomalies_by_id(&self, beginning: &str, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        let beginning = beginning.to_owned();
        self.blocking(move |stores| stores.tables.anomalies_by_id(&beginning, count_max)).await
    }

    async fn blocking<T, E>(&self, job: impl FnOnce(&Stores) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let stores = Arc::clone(&self.stores);
        let joined = tokio::task::spawn_blocking(move || job(&stores)).await;
        joined.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(failure::shutting_down(&self.stores.dir, cancelled).into()),
        })
    }
}

impl LoadCheckpoint for Local {
    async fn load_checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, StoreError> {
        let pk = shard.partition_key();
        self.blocking(move |stores| stores.tables.load_checkpoint(&pk)).await
    }
}

impl ListCheckpoints for Local {
    async fn list_checkpoints(&self, region: &str, stream: &str) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let any = ShardId { region: region.to_owned(), stream: stream.to_owned(), shard: String::new() };
        self.blocking(move |stores| stores.tables.list_checkpoints(&any)).await
    }
}

impl LoadEpoch for Local {
    async fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        let stream = stream.to_owned();
        self.blocking(move |stores| stores.tables.load_epoch(&stream)).await
    }
}

impl BeginEpoch for Local {
    async fn begin_epoch(&self, stream: &str, next: &Epoch) -> Result<bool, StoreError> {
        self.stores.check_writable("begin epoch")?;
        let (stream, next) = (stream.to_owned(), next.clone());
        self.blocking(move |stores| stores.tables.begin_epoch(&stream, &next)).await
    }
}

impl CommitTransaction for Local {
    async fn commit(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        self.stores.check_writable("commit")?;
        let change = Change::of(transaction)?;
        self.blocking(move |stores| stores.tables.commit(&change)).await
    }
}

impl PutIfAbsent for Local {
    async fn put_if_absent(&self, key: &Key, body: &[u8]) -> Result<Stored, PutError> {
        let (key, body) = (key.clone(), body.to_vec());
        self.blocking(move |stores| stores.lake.put_if_absent(&key, &body)).await
    }
}

impl GetObject for Local {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key.clone();
        self.blocking(move |stores| stores.lake.get(&key, bytes_max)).await
    }
}

impl GetTagged for Local {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let key = key.clone();
        self.blocking(move |stores| stores.lake.get_tagged(&key, bytes_max)).await
    }
}

impl ReadRange for Local {
    async fn read_range(&self, key: &Key, offset: u64, bytes_max: usize) -> Result<Option<Stretch>, StoreError> {
        let key = key.clone();
        self.blocking(move |stores| stores.lake.read_range(&key, offset, bytes_max)).await
    }
}

impl ListFolders for Local {
    async fn list_folders(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        let prefix = prefix.to_owned();
        self.blocking(move |stores| stores.lake.list_folders(&prefix, count_max)).await
    }
}

impl ListObjects for Local {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        let prefix = prefix.to_owned();
        self.blocking(move |stores| stores.lake.list(&prefix, count_max)).await
    }
}

impl ListShards for Local {
    async fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        let stream = stream.to_owned();
        self.blocking(move |stores| stores.tables.list_shards(&stream)).await
    }
}

impl FindAnomalies for Local {
    async fn find_anomalies(&self, query: &AnomalyQuery, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        let query = query.clone();
        self.blocking(move |stores| stores.tables.find_anomalies(&query, count_max)).await
    }
}

impl GetDeviceState for Local {
    async fn device_state(&self, tenant: &str, device: &str) -> Result<Option<StateRecord>, StoreError> {
        let pk = format!("{tenant}#{device}");
        self.blocking(move |stores| stores.tables.device_state(&pk)).await
    }
}

impl LoadEntry for Local {
    async fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        let key = key.clone();
        self.blocking(move |stores| stores.tables.load_entry(&key)).await
    }
}

impl ListEntries for Local {
    async fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (pk, sk_prefix) = (pk.to_owned(), sk_prefix.to_owned());
        self.blocking(move |stores| stores.tables.list_entries(&pk, &sk_prefix, order, count_max)).await
    }
}

impl ChangeEntries for Local {
    async fn change_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        self.stores.check_writable(entries::CHANGE)?;
        let changes = entries::Changes::of(changes)?;
        self.blocking(move |stores| stores.tables.change_entries(&changes)).await
    }
}

impl FindDue for Local {
    async fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        let queue = queue.to_owned();
        self.blocking(move |stores| stores.tables.find_due(&queue, until, count_max)).await
    }
}

impl ListDay for Local {
    async fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        let (day, sk_prefix) = (day.to_owned(), sk_prefix.to_owned());
        self.blocking(move |stores| stores.tables.list_day(&day, &sk_prefix, count_max)).await
    }
}

impl ReadChanges for Local {
    async fn read_changes(&self, after: u64, count_max: usize) -> Result<Vec<TableChange>, StoreError> {
        self.blocking(move |stores| stores.tables.read_changes(after, count_max)).await
    }
}

impl ForgetChanges for Local {
    async fn forget_changes(&self, through: u64) -> Result<(), StoreError> {
        self.stores.check_writable("forget changes")?;
        self.blocking(move |stores| stores.tables.forget_changes(through)).await
    }
}

#[cfg(test)]
mod tests;
