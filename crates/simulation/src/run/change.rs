//! What changes on purpose: shards split and merge, profiles are written.

use platform::model::Key;

use super::{Placed, Run, STREAM};
use crate::plan::Change;

/// Most shards that a run ever has.
const SHARDS_MAX: usize = 12;

impl Run {
    /// Notes when every shard has a checkpoint.
    pub(super) fn look_whether_all_began(&mut self) {
        let began = |shard: &str| self.store.checkpoint(&self.shard_id(shard)).is_some();
        if self.all_began.is_none() && self.stream.shards().iter().all(|info| began(&info.shard)) {
            self.all_began = Some(self.next_task);
        }
    }

    /// Makes the changes that are due before the next record.
    pub(super) fn make_changes(&mut self) {
        while let Some((at, change)) = self.plan.changes.get(self.next_change).cloned() {
            if at > self.sent.len() {
                return;
            }
            self.next_change += 1;
            match change {
                Change::Split { shard, at } => self.split(shard, at),
                Change::Merge { shard } => self.merge(shard),
                Change::Profile { tenant, text } => self.place(tenant, text),
            }
        }
    }

    /// The open shards, by hash range.
    fn open_shards(&self) -> Vec<(String, (u128, u128))> {
        let shards = self.stream.shards();
        let is_parent = |name: &String| {
            shards.iter().any(|info| info.parent.as_ref() == Some(name) || info.adjacent_parent.as_ref() == Some(name))
        };
        let open = shards.iter().filter(|info| !is_parent(&info.shard));
        let mut open: Vec<_> = open.map(|info| (info.shard.clone(), info.hash_range)).collect();
        open.sort_by_key(|(_, range)| *range);
        open
    }

    fn split(&mut self, shard: u64, at: u64) {
        let open = self.open_shards();
        let (name, range) = open[shard as usize % open.len()].clone();
        // At the hash key of a partition key, so that both children get some of the devices.
        let mut keys: Vec<u128> = self
            .plan
            .records
            .iter()
            .map(|planned| platform::embedded::stream::hash_key(&planned.key))
            .filter(|key| (range.0 + 1..=range.1).contains(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() || self.stream.shards().len() + 2 > SHARDS_MAX {
            return;
        }
        let at = keys[at as usize % keys.len()];
        if let Ok([low, high]) = self.stream.split(&name, at) {
            self.note(&format!("{name} is split into {low} and {high}"));
            self.store.define_shards(STREAM, &self.stream.shards());
        }
    }

    fn merge(&mut self, shard: u64) {
        let open = self.open_shards();
        if open.len() < 2 || self.stream.shards().len() + 1 > SHARDS_MAX {
            return;
        }
        let first = shard as usize % (open.len() - 1);
        let (low, high) = (&open[first].0, &open[first + 1].0);
        // Either of the two may be named first.
        let (parent, adjacent) = if shard.is_multiple_of(2) { (low, high) } else { (high, low) };
        if let Ok(merged) = self.stream.merge(parent, adjacent) {
            self.note(&format!("{parent} and {adjacent} are merged into {merged}"));
            self.store.define_shards(STREAM, &self.stream.shards());
        }
    }

    fn place(&mut self, tenant: String, text: Option<String>) {
        let Ok(key) = Key::new(format!("config/{tenant}/profile.toml")) else { return };
        self.note(&format!("the profile of {tenant} becomes {text:?}"));
        match &text {
            Some(text) => self.store.place_object(key, text.as_bytes()),
            None => self.store.remove_object(&key),
        }
        let (records, commits) = (self.sent.len(), self.store.commits().len());
        let after_all_began = self.all_began.is_some_and(|first| self.tasks.iter().all(|task| task.number >= first));
        self.placed.push(Placed { records, commits, after_all_began, tenant, text });
    }
}
