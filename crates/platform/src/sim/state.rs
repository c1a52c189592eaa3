//! What the world has stored, and the verbs without their faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{
    AnomalyRecord, Checkpoint, ContentHash, Key, ShardId, ShardInfo, StateRecord, TRANSACTION_ITEMS_MAX, Transaction,
};
use crate::ports::{AnomalyQuery, CommitError, Listed, PutError, StoreError, StoreErrorKind, Stored};

/// A transaction, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The shard and its new checkpoint; absent in the chunks before it.
    pub checkpoint: Option<(ShardId, Checkpoint)>,
    /// The anomalies it stored.
    pub anomalies: Vec<AnomalyRecord>,
    /// The states it stored.
    pub states: Vec<StateRecord>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) checkpoints: BTreeMap<String, Checkpoint>,
    /// By partition key and sort key.
    pub(super) anomalies: BTreeMap<(String, String), AnomalyRecord>,
    /// By partition key.
    pub(super) states: BTreeMap<String, StateRecord>,
    pub(super) objects: BTreeMap<Key, Arc<[u8]>>,
    pub(super) shards: BTreeMap<String, Vec<ShardInfo>>,
    pub(super) commits: Vec<Commit>,
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
        let states = transaction.states.iter().map(|state| (state.partition_key(), "S".to_owned()));
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
        })
    }
}

/// Indexes of the items that are there.
fn indexes<T>(items: &[T], is_there: impl Fn(&T) -> bool) -> Vec<usize> {
    items.iter().enumerate().filter(|(_, item)| is_there(item)).map(|(index, _)| index).collect()
}

impl State {
    /// `expected`: keys of checkpoints and the versions that they must have.
    pub(super) fn commit(&mut self, commit: Commit, expected: &[(String, Option<u64>)]) -> Result<(), CommitError> {
        let holds = |(pk, version): &(String, Option<u64>)| {
            self.checkpoints.get(pk).map(|checkpoint| checkpoint.version) == *version
        };
        if !expected.iter().all(holds) {
            return Err(CommitError::CheckpointMoved);
        }
        let anomalies = indexes(&commit.anomalies, |anomaly| {
            self.anomalies.contains_key(&(anomaly.partition_key(), anomaly.sort_key()))
        });
        let states = indexes(&commit.states, |state| {
            self.states.get(&state.partition_key()).is_some_and(|stored| stored.seq >= state.seq)
        });
        if !(anomalies.is_empty() && states.is_empty()) {
            return Err(CommitError::AlreadyThere { anomalies, states });
        }
        if let Some((shard, checkpoint)) = &commit.checkpoint {
            self.checkpoints.insert(shard.partition_key(), checkpoint.clone());
        }
        for anomaly in &commit.anomalies {
            self.anomalies.insert((anomaly.partition_key(), anomaly.sort_key()), anomaly.clone());
        }
        for state in &commit.states {
            self.states.insert(state.partition_key(), state.clone());
        }
        self.commits.push(commit);
        Ok(())
    }

    pub(super) fn put_if_absent(&mut self, key: Key, body: Arc<[u8]>) -> Result<Stored, PutError> {
        match self.objects.get(&key) {
            None => {
                self.objects.insert(key, body);
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

    pub(super) fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        if !prefix.ends_with('/') {
            return Err(permanent("list objects", &prefix, "a prefix ends with `/`".to_owned()));
        }
        let below = self.objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        let listed: Vec<Listed> = below
            .map(|(key, body)| Listed { key: key.clone(), tag: ContentHash::of(body).as_str().to_owned() })
            .collect();
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
