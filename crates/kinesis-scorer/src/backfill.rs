//! History into a shard's memory, so that a new tenant's detectors are warm when the stream begins.
//!
//! History is folded as the stream would have been ([`Learned`]), and what came of it is committed as a snapshot of the shard's
//! state with the devices beside those that it knows: the checkpoint's version rises by one and its last record stays. A scorer
//! that runs meanwhile finds that the checkpoint has moved, drops what it remembers, and restores the shard with them.
//!
//! Nothing is told and nothing goes into the lake's layers: what history would have raised is past. A device that the shard knows
//! stays as it is, so that a second time changes nothing; so does a run after one that was killed. What this does not do: read
//! files, or choose what history is.

use std::collections::BTreeMap;
use std::sync::Arc;

use anomaly_core::{
    DEVICES_MAX, DeviceName, Engine, Observation, Outcome, ProfileSet, Refused, Scored, TenantName, Timestamp,
};
use platform::model::{Checkpoint, CheckpointChange, ContentHash, EpochGuard, Key, ShardId, ShardInfo, SnapshotRef};
use platform::ports::{GetTagged, ListObjects, Listed, PutError, PutIfAbsent, ScorerWorld, StoreError, Stored, Tagged};
use telemetry::sequence::SequenceNumber;

use crate::commit::{self, Committed, Items};
use crate::epoch::Standing;
use crate::fold::Tenancy;
use crate::layout::{self, BEGINNING};
use crate::profiles::Profiles;
use crate::restore;
use crate::state::{ShardState, hash_key};

/// How often it begins again because the scorer has committed meanwhile.
const ATTEMPTS_MAX: u32 = 8;

/// Why history was not put into a shard.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The stream has no shard for a device.
    #[error("the stream `{stream}` has no open shard for the device `{device}`: name a stream that is there")]
    NoShard {
        /// The stream.
        stream: String,
        /// The device.
        device: String,
    },
    /// History reaches beyond what the stream has brought: it would come again, as late.
    #[error(
        "`{device}` has history up to {at}, and {shard} has come to {bound} alone: leave out what is newer (--until), since the stream \
         brings it"
    )]
    Newer {
        /// The shard.
        shard: ShardId,
        /// A device.
        device: String,
        /// Its newest reading.
        at: Timestamp,
        /// How far the stream is.
        bound: Timestamp,
    },
    /// The shard comes from others and has not committed anything: what it begins with is not decided.
    #[error("{0} has parents and has committed nothing yet: run this again after its first batch")]
    Young(ShardId),
    /// Another region has the say over the stream.
    #[error(
        "the stream `{stream}` is not active in {region}: run this in the region that is, or after the first batch here"
    )]
    Elsewhere {
        /// The stream.
        stream: String,
        /// This region.
        region: String,
    },
    /// More devices than a shard may have.
    #[error("{shard} would have {devices} devices, and {DEVICES_MAX} are the most: split it first")]
    TooManyDevices {
        /// The shard.
        shard: ShardId,
        /// With those of history.
        devices: usize,
    },
    /// The scorer commits faster than the shard can be restored.
    #[error(
        "{0} was changed by the scorer {ATTEMPTS_MAX} times while this was at work: run it again when less arrives"
    )]
    Busy(ShardId),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What history says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Whose it is.
    pub tenant: String,
    /// The device.
    pub device: String,
    /// Readings that its detectors have learned from.
    pub readings: u64,
    /// Readings that they have not: out of order, repeated, of bad quality.
    pub left_out: u64,
    /// Its first and its last time.
    pub span: (Timestamp, Timestamp),
}

/// Detectors that have learned from history, in the shards in which their devices live.
#[derive(Debug)]
pub struct Learned {
    stream: String,
    shards: Vec<OfShard>,
    profiles: Arc<ProfileSet>,
    fingerprint: String,
    scored: Scored,
}

/// What was learned of the devices of a shard.
#[derive(Debug)]
struct OfShard {
    info: ShardInfo,
    engine: Engine,
    devices: BTreeMap<(String, String), Course>,
}

/// What became of the history of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The shard.
    pub shard: ShardId,
    /// Devices that it has now, or would have.
    pub added: Vec<Course>,
    /// Devices that it knew and that stay as they are.
    pub known: Vec<Course>,
    /// The version that was committed; none where nothing was.
    pub version: Option<u64>,
}

impl Learned {
    /// Nothing yet, with the profiles that the lake has now. `shards` are those of the stream as it is.
    ///
    /// With `is_rehearsal` nothing is written; otherwise the profiles are stored by content, as the scorer does.
    ///
    /// # Errors
    /// The store's.
    pub async fn new<W: ScorerWorld>(
        world: &W,
        stream: &str,
        shards: Vec<ShardInfo>,
        now: Timestamp,
        is_rehearsal: bool,
    ) -> Result<Self, StoreError> {
        let mut profiles = Profiles::default();
        if is_rehearsal {
            profiles.refresh(&Unwritten(world), now).await?
        } else {
            profiles.refresh(world, now).await?
        };
        let is_parent = |info: &ShardInfo| {
            let of = |child: &ShardInfo| [&child.parent, &child.adjacent_parent].contains(&&Some(info.shard.clone()));
            shards.iter().any(of)
        };
        let open = shards.iter().filter(|info| !is_parent(info)).cloned();
        let shards = open.map(|info| OfShard { info, engine: Engine::default(), devices: BTreeMap::new() }).collect();
        let (set, fingerprint) = (profiles.set(), profiles.fingerprint().to_owned());
        Ok(Self { stream: stream.to_owned(), shards, profiles: set, fingerprint, scored: Scored::default() })
    }

    /// Takes a row of history; those of a device in order of time. Its partition key is taken to be its name, as the rules of
    /// `infra/tenant.yaml` have it.
    ///
    /// # Errors
    /// [`BackfillError::NoShard`], and [`Refused`] as what the store would say of it.
    pub fn take(&mut self, row: &Observation<'_>) -> Result<(), BackfillError> {
        let key = hash_key(row.device.as_str());
        let lives_here = |shard: &&mut OfShard| (shard.info.hash_range.0..=shard.info.hash_range.1).contains(&key);
        let Some(shard) = self.shards.iter_mut().find(lives_here) else {
            return Err(BackfillError::NoShard { stream: self.stream.clone(), device: row.device.to_string() });
        };
        // As the fold has it: first who has fallen silent, then the row.
        shard.engine.look_for_silence(row.arrived, &self.profiles, |_, _| {});
        let refused = |refused: Refused| StoreError::permanent("learn", row.device.to_string(), refused.to_string());
        shard.engine.observe(row, &self.profiles, &mut self.scored).map_err(refused)?;
        let (tenant, device) = (row.tenant.to_string(), row.device.to_string());
        let course = shard.devices.entry((tenant, device)).or_insert_with_key(|(tenant, device)| Course {
            tenant: tenant.clone(),
            device: device.clone(),
            readings: 0,
            left_out: 0,
            span: (row.at, row.at),
        });
        course.span = (course.span.0.min(row.at), course.span.1.max(row.at));
        for reading in &self.scored.readings {
            let is_learned = matches!(reading.outcome, Outcome::Scored | Outcome::Warming);
            *(if is_learned { &mut course.readings } else { &mut course.left_out }) += 1;
        }
        Ok(())
    }

    /// What was learned, a device each, in order of shard.
    pub fn courses(&self) -> impl Iterator<Item = &Course> {
        self.shards.iter().flat_map(|shard| shard.devices.values())
    }

    /// Puts what was learned into the shards. `begins` is when the stream begins to bring these devices' readings: a device whose
    /// history has ended so long before that it counts as silent is not told of. With `is_rehearsal` nothing is written.
    ///
    /// Safe to repeat, and to be killed anywhere.
    ///
    /// # Errors
    /// [`BackfillError`]. Shards before the one that it is about are done.
    pub async fn put<W: ScorerWorld>(
        mut self,
        world: &W,
        region: &str,
        tenancy: &Tenancy,
        begins: Timestamp,
        is_rehearsal: bool,
    ) -> Result<Vec<Put>, BackfillError> {
        let mut done = Vec::new();
        for of_shard in self.shards.iter_mut().filter(|shard| !shard.devices.is_empty()) {
            of_shard.engine.look_for_silence(begins, &self.profiles, |_, _| {});
            let shard =
                ShardId { region: region.to_owned(), stream: self.stream.clone(), shard: of_shard.info.shard.clone() };
            let mut attempts = 0;
            let put = loop {
                let tried = of_shard.put(world, &shard, tenancy, begins, &self.fingerprint, is_rehearsal).await?;
                if let Some(put) = tried {
                    break put;
                }
                attempts += 1;
                if attempts == ATTEMPTS_MAX {
                    return Err(BackfillError::Busy(shard));
                }
            };
            done.push(put);
        }
        Ok(done)
    }
}

impl OfShard {
    /// One try; `None`: the scorer was quicker.
    async fn put<W: ScorerWorld>(
        &self,
        world: &W,
        shard: &ShardId,
        tenancy: &Tenancy,
        begins: Timestamp,
        fingerprint: &str,
        is_rehearsal: bool,
    ) -> Result<Option<Put>, BackfillError> {
        let standing = Standing::of(&shard.region, world.load_epoch(&shard.stream).await?.as_ref());
        let before = self.before(world, shard, tenancy).await?;
        let made_in = before.as_ref().map_or(0, |(checkpoint, _, _)| checkpoint.epoch);
        if !standing.active || made_in != standing.epoch {
            return Err(BackfillError::Elsewhere { stream: shard.stream.clone(), region: shard.region.clone() });
        }
        let (before, mut state, profiles) = match before {
            Some((checkpoint, state, profiles)) => (Some(checkpoint), state, profiles),
            None => (None, ShardState::default(), None),
        };
        let (known, added): (Vec<&Course>, Vec<&Course>) =
            self.devices.values().partition(|course| knows(&state.engine, course));
        let mut put = Put {
            shard: shard.clone(),
            added: added.iter().copied().cloned().collect(),
            known: known.into_iter().cloned().collect(),
            version: None,
        };
        // Before its first record a shard has come nowhere.
        let came_to = before.as_ref().filter(|before| before.last_seq > SequenceNumber::ZERO);
        let bound = came_to.map_or(begins, |before| before.stream_time);
        if let Some(newer) = added.iter().find(|course| course.span.1 > bound) {
            let (device, at) = (newer.device.clone(), newer.span.1);
            return Err(BackfillError::Newer { shard: shard.clone(), device, at, bound });
        }
        let devices = state.engine.len() + added.len();
        if devices > DEVICES_MAX {
            return Err(BackfillError::TooManyDevices { shard: shard.clone(), devices });
        }
        if added.is_empty() || is_rehearsal {
            return Ok(Some(put));
        }
        // What both know stays as it is in the shard.
        state.engine.absorb(self.engine.clone());
        let profiles = profiles.unwrap_or_else(|| fingerprint.to_owned());
        let mut next = before.clone().unwrap_or_else(|| beginning(&self.info));
        next.version = before.as_ref().map_or(1, |before| before.version + 1);
        let encoded = state.to_snapshot(next.last_seq, next.stream_time, &profiles);
        let bytes =
            encoded.map_err(|error| StoreError::permanent("encode snapshot", shard.to_string(), error.to_string()))?;
        let name = |suffix: &str| layout::snapshot_key(shard, next.last_seq, next.version, suffix);
        let (object, _) = commit::put(world, &bytes, ContentHash::of(&bytes), name).await?;
        next.snapshot = Some(SnapshotRef { object, at: next.stream_time });
        next.segments.clear();
        let change = CheckpointChange { shard, next: &next, expected: before.as_ref().map(|before| before.version) };
        let guard = EpochGuard { stream: &shard.stream, newest: standing.epoch };
        match commit::commit(world, change, Some(guard), &Items::default()).await?.0 {
            Committed::Done => put.version = Some(next.version),
            Committed::Moved | Committed::NewEpoch => return Ok(None),
        }
        Ok(Some(put))
    }

    /// What the shard has; `None`: nothing was ever committed.
    async fn before<W: ScorerWorld>(
        &self,
        world: &W,
        shard: &ShardId,
        tenancy: &Tenancy,
    ) -> Result<Option<(Checkpoint, ShardState, Option<String>)>, BackfillError> {
        match world.load_checkpoint(shard).await? {
            None if self.info.parent.is_some() => Err(BackfillError::Young(shard.clone())),
            None => Ok(None),
            // The state has to be that of this very version: the commit is on its condition.
            Some(checkpoint) => {
                let restored = restore::whole_state_at(world, &checkpoint, tenancy).await?;
                Ok(Some((checkpoint, restored.state, restored.profiles)))
            }
        }
    }
}

/// The checkpoint of a shard to which nothing has come. The next batch is the first of the shard's chain; the hours of the lake
/// wait for it, as they wait for a shard without a checkpoint.
fn beginning(info: &ShardInfo) -> Checkpoint {
    Checkpoint {
        version: 0,
        last_seq: SequenceNumber::ZERO,
        stream_time: Timestamp::MIN,
        batch: BEGINNING.to_owned(),
        snapshot: None,
        segments: Vec::new(),
        epoch: 0,
        hash_range: Some(info.hash_range.into()),
    }
}

fn knows(engine: &Engine, course: &Course) -> bool {
    let names = TenantName::new(&course.tenant).ok().zip(DeviceName::new(&course.device).ok());
    names.is_some_and(|(tenant, device)| engine.device(tenant, device).is_some())
}

/// A world to look at: what would be written is not.
struct Unwritten<'w, W>(&'w W);

impl<W: ListObjects + Sync> ListObjects for Unwritten<'_, W> {
    async fn list_objects(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, StoreError> {
        self.0.list_objects(prefix, count_max).await
    }
}

impl<W: GetTagged + Sync> GetTagged for Unwritten<'_, W> {
    async fn get_tagged(&self, key: &Key, bytes_max: usize) -> Result<Option<Tagged>, StoreError> {
        self.0.get_tagged(key, bytes_max).await
    }
}

impl<W: Sync> PutIfAbsent for Unwritten<'_, W> {
    async fn put_if_absent(&self, _: &Key, _: &[u8]) -> Result<Stored, PutError> {
        Ok(Stored::New)
    }
}
