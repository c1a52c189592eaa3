//! Which shards may be read next, and whether all have been.

use std::collections::{BTreeMap, BTreeSet};

use platform::model::ShardInfo;

/// The shards, and how far each of them is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    shards: BTreeMap<String, ShardInfo>,
    started: BTreeSet<String>,
    pub(super) ended: BTreeSet<String>,
    pub(super) at_tip: BTreeSet<String>,
}

impl Progress {
    /// Takes note of shards; those that were known stay as they are.
    pub(super) fn learn(&mut self, shards: Vec<ShardInfo>) {
        self.shards.extend(shards.into_iter().map(|shard| (shard.shard.clone(), shard)));
    }

    /// The shards whose parents have been read to their end, or expired. Each is given once.
    pub(super) fn next(&mut self) -> Vec<ShardInfo> {
        let done = |parent: &Option<String>| {
            parent.as_ref().is_none_or(|parent| self.ended.contains(parent) || !self.shards.contains_key(parent))
        };
        let ready = |shard: &&ShardInfo| {
            !self.started.contains(&shard.shard) && done(&shard.parent) && done(&shard.adjacent_parent)
        };
        let next: Vec<ShardInfo> = self.shards.values().filter(ready).cloned().collect();
        self.started.extend(next.iter().map(|shard| shard.shard.clone()));
        next
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.shards.keys().all(|shard| self.ended.contains(shard) || self.at_tip.contains(shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(number: u32, parents: &[u32]) -> ShardInfo {
        let name = |number: &u32| format!("shardId-{number:012}");
        ShardInfo {
            shard: name(&number),
            parent: parents.first().map(name),
            adjacent_parent: parents.get(1).map(name),
            hash_range: (0, u128::MAX),
        }
    }

    fn numbers(shards: &[ShardInfo]) -> Vec<&str> {
        shards.iter().map(|shard| shard.shard.trim_start_matches("shardId-").trim_start_matches('0')).collect()
    }

    #[test]
    fn a_child_is_read_when_both_parents_have_been_and_expired_parents_hold_up_nobody() {
        let shards = [shard(2, &[1]), shard(3, &[]), shard(4, &[2, 3]), shard(5, &[4])];
        let mut progress = Progress::default();
        progress.learn(shards.into());
        assert_eq!(numbers(&progress.next()), ["2", "3"]);
        progress.ended.insert(shard(2, &[]).shard);
        assert!(progress.next().is_empty());
        progress.ended.insert(shard(3, &[]).shard);
        assert_eq!(numbers(&progress.next()), ["4"]);
        assert!(!progress.is_caught_up());
        progress.ended.insert(shard(4, &[]).shard);
        assert_eq!(numbers(&progress.next()), ["5"]);
        progress.at_tip.insert(shard(5, &[]).shard);
        assert!(progress.is_caught_up());
    }
}
