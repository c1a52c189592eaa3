//! What a process remembers between batches, and what it leaves behind when it ends.

use std::error::Error;
use std::sync::PoisonError;

use anomaly_core::Timestamp;
use platform::model::{Checkpoint, CheckpointChange, ContentHash, ShardId, SnapshotRef};
use platform::ports::{ScorerWorld, StoreError};

use super::{Progress, Scorer, unencodable};
use crate::adopt::{self, Pair};
use crate::commit::Items;
use crate::epoch::Standing;
use crate::restore::{Warm, restore};
use crate::{commit, layout};

/// Shards whose state one process keeps warm; the one unused longest goes first.
const WARM_SHARDS_MAX: usize = 16;

impl<W: ScorerWorld, M: Sync, A: Sync> Scorer<W, M, A> {
    /// Writes a snapshot of every warm shard that has segments to replay, so that the next process starts quickly. Called
    /// when the process is told to end; what does not get done costs a replay and nothing else.
    ///
    /// Where another region may take over, none is written: processes end when a stream is moved away, and a checkpoint that
    /// then names a snapshot of this very moment makes the other region wait for it, or begin without it.
    pub async fn shut_down(&self) {
        let warm = std::mem::take(&mut *self.memory.lock().unwrap_or_else(PoisonError::into_inner));
        if self.config.peer_region.is_some() {
            return;
        }
        for (shard, warm) in warm {
            if let Err(error) = self.put_snapshot(&shard, &warm).await {
                tracing::warn!(%shard, error = &error as &dyn Error, "no snapshot at shutdown, the next start replays");
            }
        }
    }

    async fn put_snapshot(&self, shard: &ShardId, warm: &Warm) -> Result<(), StoreError> {
        let replays = |checkpoint: &&Checkpoint| !checkpoint.segments.is_empty();
        let Some(before) = warm.checkpoint.as_ref().filter(replays) else { return Ok(()) };
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
        commit::commit(&self.world, change, None, &Items::default()).await.map(|_| ())
    }

    /// The shard's state: what this process remembers, or what was committed, or what another region knew.
    pub(super) async fn recall(
        &self,
        shard: &ShardId,
        now: Timestamp,
        progress: &mut Progress,
    ) -> Result<Warm, StoreError> {
        let Some(peer) = self.config.peer_region.as_deref() else {
            if let Some(warm) = self.take(shard, Standing::NONE) {
                return Ok(warm);
            }
            let (warm, calls) = restore(&self.world, shard, &self.tenancy).await?;
            progress.metrics.calls += calls;
            return Ok(warm);
        };
        if peer == shard.region {
            let remedy = "MILLRACE_PEER_REGION names the region of the stream itself; name the other one, or none";
            return Err(StoreError::permanent("adopt", shard.to_string(), remedy));
        }
        let (standing, calls) = self.standings.of(&self.world, shard).await?;
        progress.metrics.calls += calls;
        if let Some(warm) = self.take(shard, standing) {
            return Ok(warm);
        }
        let patience_seconds = self.config.adopt_patience_seconds;
        let pair = Pair { peer, standing, patience_seconds, now };
        let (warm, calls) = adopt::restore(&self.world, shard, &self.tenancy, &pair).await?;
        progress.metrics.calls += calls;
        Ok(warm)
    }

    /// What is remembered of a shard, unless a newer epoch is known than when it was restored.
    fn take(&self, shard: &ShardId, standing: Standing) -> Option<Warm> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &ShardId| known == shard || (tooth!("memory-of-any-shard") && known.stream == shard.stream);
        let index = memory.iter().position(|(known, _)| same(known))?;
        let (_, mut warm) = memory.remove(index)?;
        if tooth!("memory-across-epochs") {
            warm.newest = standing.epoch;
        }
        (warm.newest == standing.epoch).then_some(warm)
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
