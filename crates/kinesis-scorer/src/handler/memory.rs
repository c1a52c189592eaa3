//! What a process remembers between batches, and what it leaves behind when it ends.

use std::error::Error;
use std::sync::PoisonError;

use platform::model::{Checkpoint, CheckpointChange, ContentHash, ShardId, SnapshotRef};
use platform::ports::{ScorerWorld, StoreError};

use super::{Scorer, unencodable};
use crate::restore::Warm;
use crate::{commit, layout};

/// Shards whose state one process keeps warm; the one unused longest goes first.
const WARM_SHARDS_MAX: usize = 16;

impl<W: ScorerWorld, M: Sync> Scorer<W, M> {
    /// Writes a snapshot of every warm shard that has segments to replay, so that the next process starts quickly. Called
    /// when the process is told to end; what does not get done costs a replay and nothing else.
    pub async fn shut_down(&self) {
        let warm = std::mem::take(&mut *self.memory.lock().unwrap_or_else(PoisonError::into_inner));
        for (shard, warm) in warm {
            if let Err(error) = self.put_snapshot(&shard, &warm).await {
                tracing::warn!(%shard, error = &error as &dyn Error, "no snapshot at shutdown, the next start replays");
            }
        }
    }

    async fn put_snapshot(&self, shard: &ShardId, warm: &Warm) -> Result<(), StoreError> {
        let Some(before) = warm.checkpoint.as_ref().filter(|checkpoint| !checkpoint.segments.is_empty()) else {
            return Ok(());
        };
        let profiles = warm.profiles.as_deref().unwrap_or_default();
        let bytes = warm.state.to_snapshot(before.last_seq, before.stream_time, profiles).map_err(unencodable)?;
        let version = before.version + 1;
        let name = |suffix: &str| layout::snapshot_key(shard, before.last_seq, version, suffix);
        let (object, _) = commit::put(&self.world, &bytes, ContentHash::of(&bytes), name).await?;
        let snapshot = Some(SnapshotRef { object, at: before.stream_time });
        let mut next = Checkpoint { version, snapshot, segments: Vec::new(), ..before.clone() };
        if tooth!("shutdown-forgets-batch") {
            next.batch.clear();
        }
        let change = CheckpointChange { shard, next: &next, expected: Some(before.version) };
        commit::commit(&self.world, change, &[], &[]).await.map(|_| ())
    }

    pub(super) fn take(&self, shard: &ShardId) -> Option<Warm> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &ShardId| known == shard || (tooth!("memory-of-any-shard") && known.stream == shard.stream);
        let index = memory.iter().position(|(known, _)| same(known))?;
        memory.remove(index).map(|(_, warm)| warm)
    }

    pub(super) fn keep(&self, shard: &ShardId, warm: Warm) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|(known, _)| known != shard);
        memory.push_back((shard.clone(), warm));
        while memory.len() > WARM_SHARDS_MAX {
            memory.pop_front();
        }
    }
}
