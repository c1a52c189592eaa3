//! What one region's stores have written, as replication carries it to another: item by item and object by object, late, in
//! any order, and never as the transaction that it was written in.
//!
//! Of two writes to one item the last one stays (Amazon DynamoDB Developer Guide, "Global tables: How it works"). Which is
//! last is told by what the items count (version, epoch, sequence number), not by clocks: a region whose clock is ahead can
//! do worse than this. When something arrives is for the test to say.

use std::sync::Arc;

use super::state::State;
use crate::model::{AnomalyRecord, Checkpoint, Epoch, Key, ShardId, StateRecord};

/// One item or object that was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// A checkpoint.
    Checkpoint(ShardId, Checkpoint),
    /// An anomaly.
    Anomaly(AnomalyRecord),
    /// A device's state and the epoch that it was made in.
    State(u64, StateRecord),
    /// A stream's epoch.
    Epoch(String, Epoch),
    /// An object.
    Object(Key, Arc<[u8]>),
}

impl State {
    /// Puts in place what was written here or elsewhere, unless what is there is newer.
    pub(super) fn apply(&mut self, written: Written) {
        match written {
            Written::Checkpoint(shard, checkpoint) => {
                let pk = shard.partition_key();
                let newer = |there: &(ShardId, Checkpoint)| there.1.version > checkpoint.version;
                if !self.checkpoints.get(&pk).is_some_and(newer) {
                    self.checkpoints.insert(pk, (shard, checkpoint));
                }
            }
            Written::Anomaly(record) => {
                self.anomalies.entry((record.partition_key(), record.sort_key())).or_insert(record);
            }
            Written::State(epoch, record) => {
                let there = self.states.get(&record.partition_key());
                if there.is_none_or(|(other, there)| (*other, there.seq) < (epoch, record.seq)) {
                    self.states.insert(record.partition_key(), (epoch, record));
                }
            }
            Written::Epoch(stream, epoch) => {
                if self.epochs.get(&stream).is_none_or(|there| there.epoch < epoch.epoch) {
                    self.epochs.insert(stream, epoch);
                }
            }
            Written::Object(key, body) => {
                self.objects.entry(key).or_insert(body);
            }
        }
    }
}
