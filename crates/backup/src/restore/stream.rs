//! The checkpoints of a stream that was made anew, and the epoch in which they count.

use kinesis_scorer::succeed::{self, Successor};
use platform::model::{Checkpoint, Epoch, HashRange, ShardId, ShardInfo};
use platform::ports::StoreError;
use telemetry::sequence::SequenceNumber;

use super::{Means, Target, Went};
use crate::heritage::{Begun, Heritage};
use crate::item::{self, Item, Record};
use crate::manifest::Manifest;
use crate::objects::Objects;
use crate::scan::{ItemStore, Over, Table};
use crate::tables;
use crate::world::LakeOf;
use crate::{BackupError, Step, Watch};

/// How often a shard's checkpoint is tried that its scorer changes meanwhile.
const ATTEMPTS_MAX: u32 = 8;

/// Where the backup or the environment knows epochs, a new one begins in which this Region has the say: what it restores counts
/// more than what the other Region of a pair may still have.
pub(super) async fn begin_epoch<O: Objects + Sync, S: ItemStore>(
    place: &impl Objects,
    manifest: &Manifest,
    target: &Target<'_, O, S>,
) -> Result<u64, BackupError> {
    let newest = tables::epoch(place, &manifest.tables).await?.map_or(0, |epoch| epoch.epoch);
    let key = Item::from_iter([("pk".to_owned(), item::of_text(Epoch::partition_key(&target.stream)))]);
    let live = target.items.get(Table::Checkpoints, vec![key.clone()]).await?;
    let live = live.first().and_then(|item| match item::of_checkpoints(item) {
        Ok(Record::Epoch(_, epoch)) => Some(epoch),
        _ => None,
    });
    match live {
        Some(live) if live.epoch > newest && live.active == target.region => return Ok(live.epoch),
        None if newest == 0 => return Ok(0),
        _ => {}
    }
    let epoch = newest.max(live.map_or(0, |live| live.epoch)) + 1;
    let next = Epoch { epoch, active: target.region.clone(), is_fenced: false, since: target.now };
    let fields = serde_json::to_value(&next).map_err(|error| BackupError::damaged("an epoch", error))?;
    let fields = fields.as_object().cloned().unwrap_or_default();
    let item: Item = fields.iter().map(|(name, value)| (name.clone(), item::of_json(value))).chain(key).collect();
    target.items.put(Table::Checkpoints, &item, Over::Anything).await?;
    Ok(epoch)
}

impl<O: Objects + Sync, S: ItemStore> Target<'_, O, S> {
    pub(crate) fn shard(&self, info: &ShardInfo) -> ShardId {
        ShardId { region: self.region.clone(), stream: self.stream.clone(), shard: info.shard.clone() }
    }

    /// Shards that no other comes from.
    pub(crate) fn open_shards(&self) -> impl Iterator<Item = &ShardInfo> {
        let is_parent = |info: &ShardInfo| {
            let of = |child: &ShardInfo| [&child.parent, &child.adjacent_parent].contains(&&Some(info.shard.clone()));
            self.shards.iter().any(of)
        };
        self.shards.iter().filter(move |info| !is_parent(info))
    }

    /// The shard, if it is one of those.
    pub(crate) fn open(&self, shard: &ShardId) -> Option<&ShardInfo> {
        self.open_shards().find(|info| self.shard(info) == *shard)
    }

    /// How a shard that has no record yet stands to what the backup gives it.
    pub(crate) async fn look<P: Objects + Sync>(
        &self,
        heritage: &Heritage<'_, P>,
        info: &ShardInfo,
        live: &Checkpoint,
    ) -> Result<Begun, BackupError> {
        let snapshot = match &live.snapshot {
            Some(snapshot) => self.lake.read(snapshot.object.key.as_str()).await?,
            None => None,
        };
        let (shard, range) = (self.shard(info), HashRange::from(info.hash_range));
        heritage.look(&shard, range, live, snapshot.as_deref(), &self.tenancy).await
    }

    pub(super) async fn checkpoint(&self, shard: &ShardId) -> Result<Option<Checkpoint>, BackupError> {
        let key = Item::from_iter([("pk".to_owned(), item::of_text(&shard.partition_key()))]);
        let found = self.items.get(Table::Checkpoints, vec![key]).await?;
        let Some(item) = found.first() else { return Ok(None) };
        match item::of_checkpoints(item) {
            Ok(Record::Checkpoint(_, checkpoint)) => Ok(Some(*checkpoint)),
            Ok(_) => Ok(None),
            Err(reason) => Err(BackupError::damaged(shard.partition_key(), reason)),
        }
    }

    /// The end of a former shard's batches. What a peer's shard has committed, or one that lives here, stays in any case.
    pub(super) async fn put_end(&self, shard: &ShardId, end: &Checkpoint, means: Means) -> Result<(), BackupError> {
        let over = match self.checkpoint(shard).await? {
            Some(live) if means.overwrite && shard.region == self.region && is_restored(&live) => {
                Over::Version(live.version)
            }
            _ => Over::Nothing,
        };
        let item = encode(shard, end)?;
        self.items.put(Table::Checkpoints, &item, over).await?;
        Ok(())
    }

    /// One shard begins with what the former ones knew.
    pub(super) async fn succeed<P: Objects + Sync>(
        &self,
        info: &ShardInfo,
        heritage: &Heritage<'_, P>,
        epoch: u64,
        watch: Watch<'_>,
    ) -> Result<Went, BackupError> {
        let shard = self.shard(info);
        let namesake = heritage.namesake(&shard);
        for _ in 0..ATTEMPTS_MAX {
            let mut live = self.checkpoint(&shard).await?;
            let expected = live.as_ref().map(|live| live.version);
            let mut replaced = 0;
            if let Some(live) = live.as_mut().filter(|live| live.last_seq == SequenceNumber::ZERO)
                && let Begun::Otherwise { devices, .. } = self.look(heritage, info, live).await?
            {
                replaced = devices;
                // It goes, and need not be there to be read.
                live.snapshot = None;
            }
            let range = HashRange::from(info.hash_range);
            let successor = Successor { shard: shard.clone(), range, live: live.clone(), epoch };
            let world = LakeOf(self.lake);
            let done = succeed::succeed(&world, &heritage.living, namesake, &successor, &self.tenancy).await?;
            watch(Step { what: &info.shard, count: done.devices as u64, bytes: 0 });
            let went = Went { shard: info.shard.clone(), devices: done.devices, newer: done.newer, replaced };
            if live.as_ref() == Some(&done.next) {
                return Ok(went);
            }
            let over = expected.map_or(Over::Nothing, Over::Version);
            if self.items.put(Table::Checkpoints, &encode(&shard, &done.next)?, over).await? {
                return Ok(went);
            }
        }
        Err(BackupError::Refused(format!(
            "{shard} was changed by its scorer {ATTEMPTS_MAX} times meanwhile: let nothing arrive (`millrace deploy` without tenants) \
             and run the same command again"
        )))
    }
}

/// Whether a shard has committed nothing since a restore wrote its checkpoint.
fn is_restored(live: &Checkpoint) -> bool {
    live.is_former() || live.last_seq == SequenceNumber::ZERO
}

fn encode(shard: &ShardId, checkpoint: &Checkpoint) -> Result<Item, BackupError> {
    let encoded = item::of_checkpoint(shard, checkpoint);
    encoded.map_err(|error| StoreError::permanent("encode checkpoint", shard.to_string(), error.to_string()).into())
}
