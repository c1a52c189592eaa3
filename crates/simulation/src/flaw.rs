//! Bugs of the stores, and of how they are used, that can be seeded to learn whether the checks have teeth.
//!
//! Each stands for a mistake that somebody could make in an adapter or in the protocol and that shows at a port: a
//! condition left out, an answer misread, an order turned round. Without one, every function here passes things through.

mod telling;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::model::{Checkpoint, CheckpointChange, EpochGuard, Key, ShardId, ShardInfo, Transaction};
use platform::ports::{
    CommitError, CommitTransaction, Listed, PutError, PutIfAbsent, StoreError, StoreErrorKind, Stored,
};
use platform::sim::SimWorld;

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A bug at a port.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PortFlaw {
            $($(#[$doc])* $name,)*
        }

        impl PortFlaw {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

flaws! {
    /// The checkpoint is written whatever version is there.
    CommitWithoutVersion = "commit-without-version",
    /// The checkpoint and what belongs to it are two transactions, the checkpoint first.
    CheckpointThenFindings = "checkpoint-then-findings",
    /// The checkpoint and what belongs to it are two transactions, the findings first and without a condition.
    FindingsThenCheckpoint = "findings-then-checkpoint",
    /// Findings that do not fit into the transaction go before it without a condition.
    ChunksUnguarded = "chunks-unguarded",
    /// Anomalies are put, not put if absent.
    AnomaliesOverwrite = "anomalies-overwrite",
    /// A state is written over a newer one.
    StatesOverwrite = "states-overwrite",
    /// A moved checkpoint is taken for success.
    MovedIsDone = "moved-is-done",
    /// A throttled transaction is taken for success.
    ThrottledCommitIsDone = "throttled-commit-is-done",
    /// A transaction without an answer is taken for success.
    UnansweredCommitIsDone = "unanswered-commit-is-done",
    /// Where one anomaly is there already, all are said to be.
    AlreadyThereNamesAll = "already-there-names-all",
    /// The states of a transaction are left out when it has anomalies.
    StatesForgotten = "states-forgotten",
    /// The second half of a transaction's anomalies is left out.
    AnomaliesForgotten = "anomalies-forgotten",
    /// An object is written over one of that name.
    PutOverwrites = "put-overwrites",
    /// That the name is taken is read as: the same bytes are there.
    ConflictIsThere = "conflict-is-there",
    /// A throttled put is taken for success.
    ThrottledPutIsDone = "throttled-put-is-done",
    /// A put without an answer is taken for success.
    UnansweredPutIsDone = "unanswered-put-is-done",
    /// Objects are written after the commit that names them.
    CommitBeforePut = "commit-before-put",
    /// The checkpoint is read from a replica that lags behind.
    StaleCheckpoint = "stale-checkpoint",
    /// A failed read of the checkpoint is taken for: there is none.
    FailedCheckpointIsNone = "failed-checkpoint-is-none",
    /// All shards share the checkpoint of the first.
    CheckpointWithoutShard = "checkpoint-key-without-shard",
    /// A failed listing of the profiles is taken for: there are none.
    FailedListIsEmpty = "failed-list-is-empty",
    /// A failed listing of the shards is taken for: there are none.
    FailedShardsAreNone = "failed-shards-are-none",
    /// The shards are listed without their parents.
    ShardsWithoutParents = "shards-without-parents",
    /// The shards are listed with one parent at most.
    ShardsWithOneParent = "shards-with-one-parent",
    /// The shards' hash ranges end at half of where they do.
    HashRangesTooShort = "hash-ranges-too-short",
    /// A failed listing of the other region's checkpoints is taken for: there are none.
    FailedPeersAreNone = "failed-peers-are-none",
    /// The other region's checkpoints are listed but for the last one.
    OnePeerTooFew = "one-peer-too-few",
    /// Commits are not refused when a newer epoch has begun.
    EpochUnguarded = "epoch-unguarded",
    /// The states of two tenants' devices of one name share a key.
    StatesOfOthers = "states-without-tenant",
    /// Entries are changed whatever version is there.
    EntriesUnconditioned = "entries-without-version",
    /// A tenant's budget is changed whatever version is there.
    BudgetUnconditioned = "budget-without-version",
    /// A transaction of entries is one for each of them.
    EntriesOneByOne = "entries-one-by-one",
    /// The last entry of a transaction is left out.
    LastEntryForgotten = "last-entry-forgotten",
    /// Entries that have moved are taken for changed.
    MovedEntriesAreDone = "moved-entries-are-done",
    /// Throttled entries are taken for changed.
    ThrottledEntriesAreDone = "throttled-entries-are-done",
    /// Entries without an answer are taken for changed.
    UnansweredEntriesAreDone = "unanswered-entries-are-done",
    /// Incidents are listed from an index that lags behind.
    StaleIncident = "stale-incident",
    /// A failed read of an entry is taken for: there is none.
    FailedEntryIsNone = "failed-entry-is-none",
    /// Two parts of what is due are never looked at.
    DueForgotten = "due-forgotten",
}

#[derive(Default)]
struct Memory {
    /// Checkpoints as they were read, by shard.
    read: BTreeMap<String, Vec<Checkpoint>>,
    loads: usize,
    /// How often incidents were listed.
    lists: usize,
    /// Objects that wait for a commit, by process.
    held: BTreeMap<u32, Vec<(Key, Vec<u8>)>>,
}

struct Active {
    flaw: PortFlaw,
    memory: Mutex<Memory>,
}

/// The bug that is seeded in a run, if any. Clones share what it remembers.
#[derive(Clone, Default)]
pub struct Flaws(Option<Arc<Active>>);

impl Flaws {
    /// With one bug, or none.
    #[must_use]
    pub fn new(flaw: Option<PortFlaw>) -> Self {
        Self(flaw.map(|flaw| Arc::new(Active { flaw, memory: Mutex::default() })))
    }

    /// Whether this bug is seeded.
    #[must_use]
    pub fn has(&self, flaw: PortFlaw) -> bool {
        self.0.as_ref().is_some_and(|active| active.flaw == flaw)
    }

    fn memory(&self) -> Option<MutexGuard<'_, Memory>> {
        self.0.as_ref().map(|active| active.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shard whose checkpoint is meant.
    pub(crate) fn shard(&self, shard: &ShardId) -> ShardId {
        if self.has(PortFlaw::CheckpointWithoutShard) { shard.sibling("shardId-000000000000") } else { shard.clone() }
    }

    pub(crate) fn loaded(
        &self,
        shard: &ShardId,
        answer: Result<Option<Checkpoint>, StoreError>,
    ) -> Result<Option<Checkpoint>, StoreError> {
        match answer {
            Err(_) if self.has(PortFlaw::FailedCheckpointIsNone) => Ok(None),
            Ok(Some(found)) if self.has(PortFlaw::StaleCheckpoint) => {
                let Some(mut memory) = self.memory() else { return Ok(Some(found)) };
                memory.loads += 1;
                let lags = memory.loads.is_multiple_of(3);
                let read = memory.read.entry(shard.partition_key()).or_default();
                if read.last() != Some(&found) {
                    read.push(found.clone());
                }
                let before = read.len().checked_sub(2).and_then(|index| read.get(index)).cloned();
                Ok(Some(if lags { before.unwrap_or(found) } else { found }))
            }
            answer => answer,
        }
    }

    /// Splits a transaction in two where the bug is that it is not one.
    pub(crate) fn parts<'t>(&self, whole: &Transaction<'t>) -> Vec<Transaction<'t>> {
        let checkpoint = Transaction { checkpoint: whole.checkpoint, ..Transaction::default() };
        let findings = Transaction { checkpoint: None, ..whole.clone() };
        let apart = whole.checkpoint.is_some() && !findings.is_empty();
        if apart && self.has(PortFlaw::CheckpointThenFindings) {
            vec![checkpoint, findings]
        } else if apart && self.has(PortFlaw::FindingsThenCheckpoint) {
            vec![findings, checkpoint]
        } else {
            vec![whole.clone()]
        }
    }

    /// Commits with what is wrong, and reads the answer with what is wrong.
    pub(crate) async fn commit(
        &self,
        store: &SimWorld,
        transaction: &Transaction<'_>,
        arm: impl FnOnce(),
    ) -> Result<(), CommitError> {
        let shard = transaction.checkpoint.map(|change| self.shard(change.shard));
        let mut changed = transaction.clone();
        if let (Some(change), Some(shard)) = (&mut changed.checkpoint, &shard) {
            let found = store.checkpoint(shard).map(|checkpoint| checkpoint.version);
            let expected = if self.has(PortFlaw::CommitWithoutVersion) { found } else { change.expected };
            *change = CheckpointChange { shard, expected, ..*change };
        }
        if self.has(PortFlaw::ChunksUnguarded) {
            changed.guard = None;
        }
        if self.has(PortFlaw::EpochUnguarded) {
            changed.epoch = changed.epoch.map(|guard| EpochGuard { newest: u64::MAX, ..guard });
        }
        if self.has(PortFlaw::AnomaliesOverwrite) {
            changed.anomalies.iter().for_each(|anomaly| store.remove_anomaly(anomaly));
        }
        if self.has(PortFlaw::StatesOverwrite) {
            changed.states.iter().for_each(|state| store.remove_state(state));
        }
        if self.has(PortFlaw::StatesForgotten) && !changed.anomalies.is_empty() {
            changed.states.clear();
        }
        if self.has(PortFlaw::AnomaliesForgotten) {
            changed.anomalies.truncate(changed.anomalies.len().div_ceil(2));
        }
        if self.has(PortFlaw::StatesOfOthers) {
            let stored = store.states();
            changed.states.retain(|state| {
                !stored.iter().any(|other| other.device == state.device && other.tenant != state.tenant)
            });
        }
        if changed.is_empty() {
            return Ok(());
        }
        arm();
        let answer = store.commit(&changed).await;
        self.committed(answer, transaction)
    }

    fn committed(&self, answer: Result<(), CommitError>, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        match answer {
            Err(CommitError::CheckpointMoved) if self.has(PortFlaw::MovedIsDone) => Ok(()),
            Err(CommitError::Store(error))
                if (error.kind == StoreErrorKind::Throttled && self.has(PortFlaw::ThrottledCommitIsDone))
                    || (error.kind == StoreErrorKind::Unavailable && self.has(PortFlaw::UnansweredCommitIsDone)) =>
            {
                Ok(())
            }
            Err(CommitError::AlreadyThere { states, .. }) if self.has(PortFlaw::AlreadyThereNamesAll) => {
                Err(CommitError::AlreadyThere { anomalies: (0..transaction.anomalies.len()).collect(), states })
            }
            answer => answer,
        }
    }

    /// Writes what `process` held back until after its commit.
    pub(crate) fn after_commit(&self, store: &SimWorld, process: u32) {
        let held = self.memory().and_then(|mut memory| memory.held.remove(&process)).unwrap_or_default();
        for (key, body) in held {
            if store.object(&key).is_none() {
                store.place_object(key, body);
            }
        }
    }

    pub(crate) async fn put(
        &self,
        store: &SimWorld,
        process: u32,
        (key, body): (&Key, &[u8]),
        arm: impl FnOnce(),
    ) -> Result<Stored, PutError> {
        if self.has(PortFlaw::CommitBeforePut) {
            if let Some(mut memory) = self.memory() {
                memory.held.entry(process).or_default().push((key.clone(), body.to_vec()));
            }
            return Ok(Stored::New);
        }
        arm();
        match store.put_if_absent(key, body).await {
            Err(PutError::Conflict(key)) if self.has(PortFlaw::PutOverwrites) => {
                store.place_object(key, body);
                Ok(Stored::New)
            }
            Err(PutError::Conflict(_)) if self.has(PortFlaw::ConflictIsThere) => Ok(Stored::AlreadyThere),
            Err(PutError::Store(error))
                if (error.kind == StoreErrorKind::Throttled && self.has(PortFlaw::ThrottledPutIsDone))
                    || (error.kind == StoreErrorKind::Unavailable && self.has(PortFlaw::UnansweredPutIsDone)) =>
            {
                Ok(Stored::New)
            }
            answer => answer,
        }
    }

    pub(crate) fn listed(&self, answer: Result<Vec<Listed>, StoreError>) -> Result<Vec<Listed>, StoreError> {
        if self.has(PortFlaw::FailedListIsEmpty) { Ok(answer.unwrap_or_default()) } else { answer }
    }

    pub(crate) fn peers(
        &self,
        answer: Result<Vec<(ShardId, Checkpoint)>, StoreError>,
    ) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let mut peers = if self.has(PortFlaw::FailedPeersAreNone) { answer.unwrap_or_default() } else { answer? };
        if self.has(PortFlaw::OnePeerTooFew) {
            peers.pop();
        }
        Ok(peers)
    }

    pub(crate) fn shards(&self, answer: Result<Vec<ShardInfo>, StoreError>) -> Result<Vec<ShardInfo>, StoreError> {
        let mut shards = match answer {
            Err(_) if self.has(PortFlaw::FailedShardsAreNone) => Vec::new(),
            answer => answer?,
        };
        for info in &mut shards {
            if self.has(PortFlaw::ShardsWithoutParents) {
                (info.parent, info.adjacent_parent) = (None, None);
            }
            if self.has(PortFlaw::ShardsWithOneParent) {
                info.adjacent_parent = None;
            }
            if self.has(PortFlaw::HashRangesTooShort) {
                info.hash_range.1 /= 2;
            }
        }
        Ok(shards)
    }
}
