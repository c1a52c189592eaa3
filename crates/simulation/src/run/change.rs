//! What changes on purpose: shards split and merge, profiles are written, the stream is moved.

use platform::embedded::stream::Stream;
use platform::model::Key;

use super::{Placed, REGIONS, Run, STREAM, Site};
use crate::plan::Change;

/// Most shards that a run ever has.
const SHARDS_MAX: usize = 12;

impl Run {
    /// Notes when every shard has a checkpoint.
    pub(super) fn look_whether_all_began(&mut self) {
        if self.all_began.is_some() {
            return;
        }
        let began = |site: &Site| site.shard_ids().iter().all(|shard| site.store.checkpoint(shard).is_some());
        if self.regions.iter().all(|region| began(&region.site)) {
            self.all_began = Some(self.next_task);
        }
    }

    /// Makes the changes that are due before the next record. `false` while one of them has to wait.
    pub(super) fn make_changes(&mut self) -> bool {
        while let Some((at, change)) = self.plan.changes.get(self.next_change).cloned() {
            if at > self.put {
                return true;
            }
            let moved = match change {
                Change::FailOver { calm, lost } => self.switch(1, calm, lost),
                Change::FailBack { calm, lost } => self.switch(0, calm, lost),
                _ => true,
            };
            if !moved {
                return false;
            }
            self.next_change += 1;
            match change {
                Change::FailOver { .. } | Change::FailBack { .. } => {}
                Change::Split { shard, at } => self.split(shard, at),
                Change::Merge { shard } => self.merge(shard),
                Change::Profile { tenant, text } => self.place(tenant, text),
            }
        }
        true
    }

    /// The region whose shards are split or merged.
    fn chosen(&self, bits: u64) -> usize {
        (bits >> 40) as usize % self.regions.len()
    }

    /// The open shards, by hash range.
    fn open_shards(stream: &Stream) -> Vec<(String, (u128, u128))> {
        let shards = stream.shards();
        let is_parent = |name: &String| {
            shards.iter().any(|info| info.parent.as_ref() == Some(name) || info.adjacent_parent.as_ref() == Some(name))
        };
        let open = shards.iter().filter(|info| !is_parent(&info.shard));
        let mut open: Vec<_> = open.map(|info| (info.shard.clone(), info.hash_range)).collect();
        open.sort_by_key(|(_, range)| *range);
        open
    }

    fn split(&mut self, shard: u64, at: u64) {
        let region = self.chosen(shard);
        let site = &mut self.regions[region].site;
        let open = Self::open_shards(&site.stream);
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
        if keys.is_empty() || site.stream.shards().len() + 2 > SHARDS_MAX {
            return;
        }
        let at = keys[at as usize % keys.len()];
        if let Ok([low, high]) = site.stream.split(&name, at) {
            site.store.define_shards(STREAM, &site.stream.shards());
            self.note(&format!("{}: {name} is split into {low} and {high}", REGIONS[region]));
        }
    }

    fn merge(&mut self, shard: u64) {
        let region = self.chosen(shard);
        let site = &mut self.regions[region].site;
        let open = Self::open_shards(&site.stream);
        if open.len() < 2 || site.stream.shards().len() + 1 > SHARDS_MAX {
            return;
        }
        let first = shard as usize % (open.len() - 1);
        let (low, high) = (&open[first].0, &open[first + 1].0);
        // Either of the two may be named first.
        let (parent, adjacent) = if shard.is_multiple_of(2) { (low, high) } else { (high, low) };
        if let Ok(merged) = site.stream.merge(parent, adjacent) {
            site.store.define_shards(STREAM, &site.stream.shards());
            self.note(&format!("{}: {parent} and {adjacent} are merged into {merged}", REGIONS[region]));
        }
    }

    fn place(&mut self, tenant: String, text: Option<String>) {
        let Ok(key) = Key::new(format!("config/{tenant}/profile.toml")) else { return };
        self.note(&format!("the profile of {tenant} becomes {text:?}"));
        // Who changes a profile changes it in both regions.
        for region in &self.regions {
            match &text {
                Some(text) => region.site.store.place_object(key.clone(), text.as_bytes()),
                None => region.site.store.remove_object(&key),
            }
        }
        self.note_commits();
        let (records, commits) = (self.sent.len(), self.commits.len());
        let after_all_began = self.all_began.is_some_and(|first| self.tasks.iter().all(|task| task.number >= first));
        self.placed.push(Placed { records, commits, after_all_began, tenant, text });
    }
}
