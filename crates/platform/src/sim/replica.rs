//! What one region's stores have written, as replication carries it to another: item by item and object by object, late, in
//! any order, and never as the transaction that it was written in.
//!
//! Of two writes to one item the last one stays (Amazon DynamoDB Developer Guide, "Global tables: How it works"). Which is
//! last is told by what the items count (version, epoch, sequence number), not by clocks: a region whose clock is ahead can
//! do worse than this. When something arrives is for the test to say.

use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use super::state::State;
use crate::model::{AnomalyRecord, Checkpoint, Entry, EntryKey, Epoch, Image, Key, ShardId, StateRecord};

/// One item or object that was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// A checkpoint.
    Checkpoint(ShardId, Checkpoint),
    /// An anomaly.
    Anomaly(AnomalyRecord),
    /// A device's state.
    State(StateRecord),
    /// An entry.
    Entry(Entry),
    /// A stream's epoch.
    Epoch(String, Epoch),
    /// An object.
    Object(Key, Arc<[u8]>),
}

impl State {
    /// Puts in place what was written here or elsewhere, unless what is there is newer. The stream of each region tells what
    /// changes in it, wherever it was written.
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
                let (pk, sk) = (record.partition_key(), record.sort_key());
                if let Place::Vacant(place) = self.anomalies.entry((pk.clone(), sk.clone())) {
                    let new = Image::Anomaly(Box::new(record.clone()));
                    place.insert(record);
                    self.changes.note(EntryKey { pk, sk }, None, Some(new));
                }
            }
            Written::State(record) => {
                let there = self.states.get(&record.partition_key());
                if there.is_none_or(|there| record.is_newer_than(there)) {
                    let key = EntryKey::new(record.partition_key(), StateRecord::SORT_KEY);
                    let new = Image::State(record.clone());
                    let old = self.states.insert(record.partition_key(), record);
                    self.changes.note(key, old.map(Image::State), Some(new));
                }
            }
            Written::Entry(entry) => self.apply_entry(entry),
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
