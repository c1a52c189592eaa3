//! That the Region that took over scores and commits: a pulse in each of its open shards, and the commits in the new epoch
//! that follow. It wakes the scorer, too, so that states are adopted before the first reading needs them.

use std::collections::BTreeMap;

use alert_fanout::pulse::is_open;
use futures_util::future::try_join_all;
use platform::model::{Checkpoint, ShardInfo};
use platform::ports::StoreError;
use tokio::time::Instant;

use super::{Evidence, done};
use crate::error::MoveError;
use crate::mover::Mover;
use crate::record::Move;
use crate::side::{Reach, Stores};

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    pub(crate) async fn open_shards(&self) -> Result<Vec<ShardInfo>, StoreError> {
        let shards = self.to.stores.list_shards(&self.stream).await?;
        Ok(shards.iter().filter(|shard| is_open(shard, &shards)).cloned().collect())
    }

    pub(super) async fn verify(&self, record: &Move) -> Result<Evidence, MoveError> {
        let open = self.open_shards().await?;
        if open.is_empty() {
            return Err(MoveError::NoShards { to: record.to.clone(), stream: self.stream.clone() });
        }
        let began = Instant::now();
        try_join_all(open.iter().map(|shard| self.to.reach.pulse(&self.stream, shard))).await?;
        loop {
            let committed = self.committed().await?;
            let has_taken_over =
                |shard: &&ShardInfo| committed.get(&shard.shard).is_some_and(|there| there.epoch >= record.epoch);
            let waiting: Vec<&ShardInfo> = open.iter().filter(|shard| !has_taken_over(shard)).collect();
            if waiting.is_empty() {
                return Ok(done(format!(
                    "{} shards commit in epoch {}, the last after {} ms",
                    open.len(),
                    record.epoch,
                    began.elapsed().as_millis()
                )));
            }
            if began.elapsed() >= self.bounds.verify {
                return Err(MoveError::NotTaken {
                    to: record.to.clone(),
                    epoch: record.epoch,
                    shards: open.len(),
                    waiting: waiting.iter().map(|shard| shard.shard.clone()).collect(),
                    seconds: self.bounds.verify.as_secs(),
                });
            }
            tokio::time::sleep(self.bounds.look).await;
        }
    }

    /// What the Region that takes over has committed, by shard.
    async fn committed(&self) -> Result<BTreeMap<String, Checkpoint>, StoreError> {
        let found = self.to.stores.list_checkpoints(&self.to.region, &self.stream).await?;
        Ok(found.into_iter().map(|(shard, checkpoint)| (shard.shard, checkpoint)).collect())
    }
}
