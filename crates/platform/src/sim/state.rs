//! What the world has stored, and the verbs without their faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::entries::Changes;
use super::replica::Written;
use crate::model::{
    AnomalyRecord, Checkpoint, ContentHash, Entry, EntryKey, Epoch, EpochGuard, Key, ShardId, ShardInfo, StateRecord,
    TRANSACTION_ITEMS_MAX, Transaction,
};
use crate::ports::{AnomalyQuery, CommitError, Listed, PutError, StoreError, StoreErrorKind, Stored, Stretch, Tagged};

/// A transaction, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The shard and its new checkpoint; absent in the chunks before it.
    pub checkpoint: Option<(ShardId, Checkpoint)>,
    /// The anomalies it stored.
    pub anomalies: Vec<AnomalyRecord>,
    /// The states it stored.
    pub states: Vec<StateRecord>,
    /// The newest epoch that was known to who committed; `None` without a guard.
    pub epoch: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) checkpoints: BTreeMap<String, (ShardId, Checkpoint)>,
    /// By stream.
    pub(super) epochs: BTreeMap<String, Epoch>,
    /// By partition key and sort key.
    pub(super) anomalies: BTreeMap<(String, String), AnomalyRecord>,
    /// By partition key.
    pub(super) states: BTreeMap<String, StateRecord>,
    pub(super) entries: BTreeMap<EntryKey, Entry>,
    /// Of anomalies, states and entries.
    pub(super) changes: Changes,
    pub(super) objects: BTreeMap<Key, Arc<[u8]>>,
    pub(super) shards: BTreeMap<String, Vec<ShardInfo>>,
    pub(super) commits: Vec<Commit>,
    /// What was written here, in order, where somebody replicates it.
    pub(super) journal: Option<Vec<Written>>,
}

/// What a transaction expects to find.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Keys of checkpoints and the versions that they must have.
    pub(super) versions: Vec<(String, Option<u64>)>,
    /// A stream and the newest epoch that it may have.
    pub(super) epoch: Option<(String, u64)>,
}

impl Expected {
    pub(super) fn of(transaction: &Transaction<'_>) -> Self {
        let change = transaction.checkpoint.map(|change| (change.shard, change.expected));
        let guard = transaction.guard.map(|guard| (guard.shard, guard.expected));
        let versions = change.into_iter().chain(guard).map(|(shard, version)| (shard.partition_key(), version));
        let epoch = transaction.epoch.map(|EpochGuard { stream, newest }| (stream.to_owned(), newest));
        Self { versions: versions.collect(), epoch }
    }
}

fn permanent(verb: &'static str, target: &impl ToString, remedy: String) -> StoreError {
    StoreError { kind: StoreErrorKind::Permanent, verb, target: target.to_string(), remedy, source: None }
}

impl Commit {
    pub(super) fn of(transaction: &Transaction<'_>) -> Result<Self, CommitError> {
        if !(1..=TRANSACTION_ITEMS_MAX).contains(&transaction.len()) {
            return Err(CommitError::Size(transaction.len()));
        }
        let mut keys = BTreeSet::new();
        let anomalies = transaction.anomalies.iter().map(|anomaly| (anomaly.partition_key(), anomaly.sort_key()));
        let states = transaction.states.iter().map(|state| (state.partition_key(), StateRecord::SORT_KEY.to_owned()));
        for (pk, sk) in anomalies.chain(states) {
            let target = format!("{pk} {sk}");
            if !keys.insert((pk, sk)) {
                let remedy = "a transaction changes an item once; leave out the older change".to_owned();
                return Err(permanent("commit", &target, remedy).into());
            }
        }
        Ok(Self {
            checkpoint: transaction.checkpoint.map(|change| (change.shard.clone(), change.next.clone())),
            anomalies: transaction.anomalies.iter().copied().cloned().collect(),
            states: transaction.states.iter().copied().cloned().collect(),
            epoch: transaction.epoch.map(|guard| guard.newest),
        })
    }
}

/// Indexes of the items that are there.
fn indexes<T>(items: &[T], is_there: impl Fn(&T) -> bool) -> Vec<usize> {
    items.iter().enumerate().filter(|(_, item)| is_there(item)).map(|(index, _)| index).collect()
}

impl State {
    pub(super) fn commit(&mut self, commit: Commit, expected: &Expected) -> Result<(), CommitError> {
        let holds = |(pk, version): &(String, Option<u64>)| {
            self.checkpoints.get(pk).map(|(_, checkpoint)| checkpoint.version) == *version
        };
        if !expected.versions.iter().all(holds) {
            return Err(CommitError::CheckpointMoved);
        }
        let newer =
            |(stream, newest): &(String, u64)| self.epochs.get(stream).is_some_and(|there| there.epoch > *newest);
        if expected.epoch.as_ref().is_some_and(newer) {
            return Err(CommitError::EpochMoved);
        }
        let anomalies = indexes(&commit.anomalies, |anomaly| {
            self.anomalies.contains_key(&(anomaly.partition_key(), anomaly.sort_key()))
        });
        let states = indexes(&commit.states, |state| {
            let stored = self.states.get(&state.partition_key());
            stored.is_some_and(|stored| !state.is_newer_than(stored))
        });
        if !(anomalies.is_empty() && states.is_empty()) {
            return Err(CommitError::AlreadyThere { anomalies, states });
        }
        if let Some((shard, checkpoint)) = &commit.checkpoint {
            self.write(Written::Checkpoint(shard.clone(), checkpoint.clone()));
        }
        for anomaly in &commit.anomalies {
            self.write(Written::Anomaly(anomaly.clone()));
        }
        for state in &commit.states {
            self.write(Written::State(state.clone()));
        }
        self.commits.push(commit);
        Ok(())
    }

    /// Writes here, for this region and for those that it is replicated to.
    pub(super) fn write(&mut self, written: Written) {
        if let Some(journal) = &mut self.journal {
            journal.push(written.clone());
        }
        // Its conditions have held: it replaces what is there, whatever that is.
        if let Written::Checkpoint(shard, _) = &written {
            self.checkpoints.remove(&shard.partition_key());
        }
        self.apply(written);
    }

    pub(super) fn begin_epoch(&mut self, stream: &str, next: &Epoch) -> bool {
        let newer = self.epochs.get(stream).is_none_or(|there| there.epoch < next.epoch);
        if newer {
            self.write(Written::Epoch(stream.to_owned(), next.clone()));
        }
        newer
    }

    pub(super) fn list_checkpoints(&self, region: &str, stream: &str) -> Vec<(ShardId, Checkpoint)> {
        let of = |(shard, _): &&(ShardId, Checkpoint)| shard.region == region && shard.stream == stream;
        self.checkpoints.values().filter(of).cloned().collect()
    }

    pub(super) fn put_if_absent(&mut self, key: Key, body: Arc<[u8]>) -> Result<Stored, PutError> {
        match self.objects.get(&key) {
            None => {
                self.write(Written::Object(key, body));
                Ok(Stored::New)
            }
            Some(stored) if *stored == body => Ok(Stored::AlreadyThere),
            Some(_) => Err(PutError::Conflict(key)),
        }
    }

    pub(super) fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        match self.objects.get(key) {
            Some(body) if body.len() > bytes_max => {
                let remedy = format!("it has {} bytes, the limit is {bytes_max}", body.len());
                Err(permanent("get object", key, remedy))
            }
            stored => Ok(stored.map(|body| body.to_vec())),
        }
    }

    pub(super) fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        let stored = self.get_object(key, bytes_max)?;
        Ok(stored.map(|bytes| Tagged { tag: tag(&bytes), bytes }))
    }

    pub(super) fn read_range(&self, key: &Key, offset: u64, bytes_max: usize) -> Option<Stretch> {
        let body = self.objects.get(key)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(body.len());
        let bytes = body[from..].iter().take(bytes_max).copied().collect();
        Some(Stretch { bytes, object_bytes: body.len() as u64, tag: tag(body) })
    }

    pub(super) fn list_folders(&self, prefix: &str, count_max: usize) -> Result<Vec<String>, StoreError> {
        if !prefix.ends_with('/') {
            return Err(permanent("list folders", &prefix, "a prefix ends with `/`".to_owned()));
        }
        let below = |key: &Key| Some(key.as_str().strip_prefix(prefix)?.split_once('/')?.0.to_owned());
        let names: BTreeSet<String> = self.objects.keys().filter_map(below).collect();
        if names.len() > count_max {
            let remedy = format!("there are more than {count_max} folders, the limit: remove some");
            return Err(permanent("list folders", &prefix, remedy));
        }
        Ok(names.into_iter().collect())
    }

    pub(super) fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        if !prefix.ends_with('/') {
            return Err(permanent("list objects", &prefix, "a prefix ends with `/`".to_owned()));
        }
        let below = self.objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        let listed: Vec<Listed> = below.map(|(key, body)| Listed { key: key.clone(), tag: tag(body) }).collect();
        if listed.len() > count_max {
            let remedy = format!("there are more than {count_max} objects, the limit: remove some");
            return Err(permanent("list objects", &prefix, remedy));
        }
        Ok(listed)
    }

    pub(super) fn find_anomalies(&self, query: &AnomalyQuery, count_max: usize) -> Vec<AnomalyRecord> {
        let mut found: Vec<&AnomalyRecord> = match query {
            AnomalyQuery::Device { tenant, device } => {
                let pk = format!("{tenant}#{device}");
                self.anomalies.iter().filter(|(key, _)| key.0 == pk).map(|(_, anomaly)| anomaly).collect()
            }
            AnomalyQuery::Day { tenant, day } => {
                let day = format!("{tenant}#{day}");
                self.anomalies.values().filter(|anomaly| anomaly.day() == day).collect()
            }
        };
        found.sort_by_key(|anomaly| (anomaly.anomaly.onset, anomaly.partition_key(), anomaly.sort_key()));
        found.into_iter().rev().take(count_max).cloned().collect()
    }
}

/// As S3 has it: equal content, equal tag.
fn tag(body: &[u8]) -> String {
    ContentHash::of(body).as_str().to_owned()
}
