//! The checkpoints of an environment beside those of a backup.
//!
//! After a restore none is as it was, so that each is compared with what a restore makes of it: a shard that the stream has begins
//! with the very snapshot that the backup's states give, byte for byte, as long as it has no record of its own; any other former shard
//! is left as the end of its batches. An epoch has been followed by one in which the Region has the say.

use std::collections::BTreeMap;

use kinesis_scorer::succeed;
use platform::model::{Checkpoint, HashRange, ShardId, ShardInfo};
use telemetry::sequence::SequenceNumber;

use super::{Comparison, Part};
use crate::heritage::{Begun, Heritage};
use crate::item::{self, Item, Record};
use crate::manifest::Manifest;
use crate::objects::Objects;
use crate::restore::Target;
use crate::scan::{ItemStore, Table};
use crate::tables;
use crate::{BackupError, Step, Watch};

/// Whether a checkpoint is the end of the batches that the backup's led to, whichever restore has left it.
pub(crate) fn is_end_of(live: &Checkpoint, was: &Checkpoint) -> bool {
    live.version > was.version && *live == Checkpoint { version: live.version, ..succeed::end_of(was) }
}

/// Compares them.
pub(super) async fn compare<P: Objects + Sync, O: Objects + Sync, S: ItemStore>(
    place: &P,
    manifest: &Manifest,
    target: &Target<'_, O, S>,
    watch: Watch<'_>,
) -> Result<Part, BackupError> {
    let table = Table::Checkpoints;
    let heritage = Heritage::of(place, manifest).await?;
    let side = Side { heritage: &heritage, target };
    let mut live = all(target.items).await?;
    let standing: Vec<ShardId> = live.values().filter_map(standing).collect();
    let mut part = Part::new(table.name());
    for blob in manifest.tables.table(table.name()).into_iter().flat_map(|table| &table.parts) {
        for row in tables::rows(place, blob).await? {
            let row = row?;
            let name = item::name(&row.item);
            let how = match live.remove(&name) {
                None => Comparison::Missing,
                Some(there) if there == row.item => Comparison::Equal,
                Some(there) => side.of_item(&row.item, &there).await?,
            };
            part.note(&name, how);
            watch(Step { what: table.name(), count: part.equal, bytes: 0 });
        }
    }
    for info in target.open_shards() {
        let shard = target.shard(info);
        if heritage.namesake(&shard).is_some() {
            continue;
        }
        let there = live.remove(&shard.partition_key()).map(|item| item::of_checkpoints(&item));
        let how = match there {
            Some(Ok(Record::Checkpoint(_, is))) if is.last_seq == SequenceNumber::ZERO => side.begun(info, &is).await?,
            Some(_) => Comparison::Newer,
            // Its devices stand where they stood, or there are none.
            None if side.parents(info).all(|parent| standing.contains(parent)) => continue,
            None => Comparison::Missing,
        };
        part.note(&shard.to_string(), how);
    }
    for (name, item) in live {
        match item::of_checkpoints(&item) {
            // Another restore's ends, and epochs, say nothing of data.
            Ok(Record::Checkpoint(_, is)) if is.last_seq == SequenceNumber::ZERO => {}
            Ok(Record::Epoch(..)) => {}
            Ok(Record::Checkpoint(shard, _)) if shard.region != target.region => part.note(&name, Comparison::MovedOn),
            _ => part.note(&name, Comparison::Newer),
        }
    }
    Ok(part)
}

/// All checkpoints and epochs that are live: some for each shard.
async fn all(store: &impl ItemStore) -> Result<BTreeMap<String, Item>, BackupError> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let (items, next) = store.scan(Table::Checkpoints, (0, 1), after).await?;
        all.extend(items.into_iter().map(|item| (item::name(&item), item)));
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// The shard of a checkpoint that goes on with its stream.
fn standing(item: &Item) -> Option<ShardId> {
    match item::of_checkpoints(item) {
        Ok(Record::Checkpoint(shard, checkpoint)) if checkpoint.last_seq > SequenceNumber::ZERO => Some(shard),
        _ => None,
    }
}

/// Both sides of a comparison.
struct Side<'s, 't, P, O, S> {
    heritage: &'s Heritage<'s, P>,
    target: &'s Target<'t, O, S>,
}

impl<P: Objects + Sync, O: Objects + Sync, S: ItemStore> Side<'_, '_, P, O, S> {
    /// How an item compares with the live one, which is another.
    async fn of_item(&self, item: &Item, live: &Item) -> Result<Comparison, BackupError> {
        Ok(match (item::of_checkpoints(item), item::of_checkpoints(live)) {
            (Ok(Record::Checkpoint(shard, was)), Ok(Record::Checkpoint(_, is))) => {
                self.of_shard(&shard, &was, &is).await?
            }
            (Ok(Record::Epoch(_, was)), Ok(Record::Epoch(_, is))) if is.epoch > was.epoch => {
                if is.active == self.target.region { Comparison::Equal } else { Comparison::MovedOn }
            }
            _ => Comparison::Differs,
        })
    }

    async fn of_shard(&self, shard: &ShardId, was: &Checkpoint, is: &Checkpoint) -> Result<Comparison, BackupError> {
        if let Some(info) = self.target.open(shard) {
            let has_begun = is.last_seq > SequenceNumber::ZERO;
            return if has_begun { Ok(Comparison::Differs) } else { self.begun(info, is).await };
        }
        Ok(if is_end_of(is, was) {
            Comparison::Equal
        } else if has_moved_on(is, was) {
            Comparison::MovedOn
        } else {
            Comparison::Differs
        })
    }

    /// How a shard without a record compares with what it would begin with.
    async fn begun(&self, info: &ShardInfo, is: &Checkpoint) -> Result<Comparison, BackupError> {
        Ok(match self.target.look(self.heritage, info, is).await? {
            Begun::So => Comparison::Equal,
            Begun::Otherwise { .. } => Comparison::Differs,
        })
    }

    /// The shards from which a shard's devices come.
    fn parents(&self, info: &ShardInfo) -> impl Iterator<Item = &ShardId> {
        let range = HashRange::from(info.hash_range);
        let holds = move |one: &Checkpoint| one.hash_range.unwrap_or(HashRange::ALL).overlap(range).is_some();
        self.heritage.living.iter().filter(move |(_, one)| holds(one)).map(|(shard, _)| shard)
    }
}

/// Whether a checkpoint of a shard that no restore writes to stands behind the backup's.
pub(crate) fn has_moved_on(live: &Checkpoint, was: &Checkpoint) -> bool {
    live.last_seq > SequenceNumber::ZERO && live.version > was.version
}
