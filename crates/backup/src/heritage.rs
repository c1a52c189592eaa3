//! What the shards of an environment begin with when this backup is brought back: put together from the place of backups alone, so
//! that it is known before anything is written, and proven by its hash afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use kinesis_scorer::fold::Tenancy;
use kinesis_scorer::state::ShardState;
use kinesis_scorer::succeed::{self, Successor};
use platform::model::{Checkpoint, ContentHash, HashRange, Key, ShardId};
use platform::ports::{GetObject, PutError, PutIfAbsent, StoreError, Stored};
use telemetry::sequence::SequenceNumber;

use crate::area::{self, PROFILES};
use crate::list::Cursor;
use crate::manifest::Manifest;
use crate::objects::Objects;
use crate::place::{self, Blob};
use crate::{BackupError, tables};

/// Devices by tenant and name.
type Devices = BTreeSet<(String, String)>;

/// What a backup hands on.
#[derive(Debug)]
pub(crate) struct Heritage<'h, P> {
    /// All of its checkpoints.
    pub(crate) all: Vec<(ShardId, Checkpoint)>,
    /// Those that the new shards succeed.
    pub(crate) living: Vec<(ShardId, Checkpoint)>,
    place: &'h P,
    /// What they stand on, by its name in the lake.
    objects: BTreeMap<String, ContentHash>,
}

/// How the state of a shard that has no record yet stands to what it would begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is that.
    So,
    /// It is another: of `backfill`, or of another restore.
    Otherwise {
        /// Devices that it has; none where its state is not there any more.
        devices: usize,
        /// Those of them that the backup has not, as `tenant/device`.
        more: Vec<String>,
    },
}

impl<'h, P: Objects + Sync> Heritage<'h, P> {
    /// That of a backup.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], and the place's.
    pub(crate) async fn of(place: &'h P, manifest: &Manifest) -> Result<Self, BackupError> {
        let all = tables::checkpoints(place, &manifest.tables, &manifest.subject).await?;
        let active = tables::epoch(place, &manifest.tables).await?.map(|epoch| epoch.active);
        let living = of_stream(tables::living(&all, &manifest.subject), manifest, active.as_deref());
        let mut objects = area::named(&living);
        for one in manifest.lake.iter().filter(|one| one.name == PROFILES) {
            let mut cursor = Cursor::new(place, &one.lists);
            while let Some(line) = cursor.take().await? {
                objects.insert(line.key, line.sha256);
            }
        }
        Ok(Self { all, living, place, objects })
    }

    /// The former shard of the same key.
    pub(crate) fn namesake(&self, shard: &ShardId) -> Option<&Checkpoint> {
        self.all.iter().find(|(former, _)| former == shard).map(|(_, checkpoint)| checkpoint)
    }

    /// Whether the place has all that the new shards' states are made of.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] where it has not, and the place's.
    pub(crate) async fn check(&self) -> Result<(), BackupError> {
        for (key, sha256) in &self.objects {
            if self.place.measure(&place::content(sha256)).await?.is_none() {
                let reason = "the backup has it not, and a checkpoint stands on it: its shard could not go on";
                return Err(BackupError::damaged(key, reason));
            }
        }
        Ok(())
    }

    /// How the checkpoint of a shard stands, which is before its first record; `snapshot` is what the lake has of its own.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], and the place's; permanent ones where the backup lacks what its checkpoints stand on.
    pub(crate) async fn look(
        &self,
        shard: &ShardId,
        range: HashRange,
        live: &Checkpoint,
        snapshot: Option<&[u8]>,
        tenancy: &Tenancy,
    ) -> Result<Begun, BackupError> {
        debug_assert_eq!(live.last_seq, SequenceNumber::ZERO);
        let archive = Archive { heritage: self, put: Mutex::default() };
        // Without what it has now, so that nothing of that is in what is expected.
        let successor = Successor { shard: shard.clone(), range, live: None, epoch: live.epoch };
        let namesake = self.namesake(shard);
        let expected = succeed::succeed(&archive, &self.living, namesake, &successor, tenancy).await?.next;
        let hash = |checkpoint: &Checkpoint| checkpoint.snapshot.as_ref().map(|one| one.object.sha256.clone());
        let is_there = snapshot.map(ContentHash::of) == hash(live);
        let is_so = is_there
            && hash(live) == hash(&expected)
            && live.batch == expected.batch
            && live.stream_time == expected.stream_time
            && live.segments.is_empty()
            && live.hash_range == expected.hash_range;
        if is_so {
            return Ok(Begun::So);
        }
        let put = archive.put.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (has, known) = (devices(shard, snapshot.filter(|_| is_there))?, devices(shard, put.as_deref())?);
        let more = has.difference(&known).map(|(tenant, device)| format!("{tenant}/{device}"));
        Ok(Begun::Otherwise { devices: has.len(), more: more.collect() })
    }
}

/// Those of the stream that the backup is of, in the Region that had the say over it; where the stream is not known, all. Without a
/// checkpoint of that Region the backup has only what its own had.
fn of_stream(
    mut living: Vec<(ShardId, Checkpoint)>,
    manifest: &Manifest,
    active: Option<&str>,
) -> Vec<(ShardId, Checkpoint)> {
    if let Some(stream) = &manifest.subject.stream {
        living.retain(|(shard, _)| shard.stream == stream.name);
        let is_known = |region: &&str| living.iter().any(|(shard, _)| shard.region == *region);
        let region = active.filter(is_known).unwrap_or(&manifest.subject.region).to_owned();
        living.retain(|(shard, _)| shard.region == region);
    }
    living
}

/// The devices of a snapshot.
fn devices(shard: &ShardId, snapshot: Option<&[u8]>) -> Result<Devices, BackupError> {
    let Some(snapshot) = snapshot else { return Ok(Devices::new()) };
    let decoded = ShardState::from_snapshot(snapshot);
    let (_, mut state) =
        decoded.map_err(|error| BackupError::damaged(format!("the snapshot of {shard}"), error.to_string()))?;
    let mut devices = Devices::new();
    state.engine.retain(|tenant, device| devices.insert((tenant.to_owned(), device.to_owned())));
    Ok(devices)
}

/// The lake as the backup has it. What is put is kept here, and nowhere else.
struct Archive<'a, 'h, P> {
    heritage: &'a Heritage<'h, P>,
    put: Mutex<Option<Vec<u8>>>,
}

impl<P: Objects + Sync> GetObject for Archive<'_, '_, P> {
    async fn get_object(&self, key: &Key, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(sha256) = self.heritage.objects.get(key.as_str()) else { return Ok(None) };
        let blob = Blob { key: place::content(sha256), bytes: 0, sha256: sha256.clone() };
        // A backup may say that the lake had lost it.
        if self.heritage.place.measure(&blob.key).await?.is_none() {
            return Ok(None);
        }
        match place::read(self.heritage.place, &blob).await {
            Ok(bytes) if bytes.len() > bytes_max => {
                let remedy = format!("it has {} bytes, the limit is {bytes_max}", bytes.len());
                Err(StoreError::permanent("read backup", key.as_str(), remedy))
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(BackupError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::permanent("read backup", key.as_str(), error.to_string())),
        }
    }
}

impl<P: Objects + Sync> PutIfAbsent for Archive<'_, '_, P> {
    async fn put_if_absent(&self, _: &Key, body: &[u8]) -> Result<Stored, PutError> {
        *self.put.lock().unwrap_or_else(PoisonError::into_inner) = Some(body.to_vec());
        Ok(Stored::New)
    }
}
