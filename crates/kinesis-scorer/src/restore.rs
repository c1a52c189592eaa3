//! State from what was committed: the newest snapshot, then the segments committed since, replayed in order. A shard
//! without a checkpoint starts with what its parents knew. What another region knew is for [`crate::adopt`].

use std::collections::BTreeMap;
use std::sync::Arc;

use anomaly_core::ProfileSet;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::{Checkpoint, HashRange, Key, ObjectRef, Segment, ShardId, ShardInfo};
use platform::ports::{self, GetObject, ListShards, LoadCheckpoint, StoreError, find_verified};
use telemetry::bronze::BronzeReader;

use crate::fold::{Discard, Fold, RawRecord, Tenancy};
use crate::opinion;
use crate::profiles;
use crate::state::ShardState;

/// Largest segment, in bytes before compression: 10,000 records of the largest event and room for their envelopes.
pub const SEGMENT_BYTES_MAX: usize = 64 << 20;
/// Largest stored object that a restore reads, in bytes.
const OBJECT_BYTES_MAX: usize = 512 << 20;
/// Largest silver object whose opinions are replayed, in bytes as rows: some two million of them.
const SILVER_BYTES_MAX: usize = 512 << 20;
/// Segments fetched at once while the ones before are replayed.
const FETCH_AHEAD: usize = 8;
/// Most ancestors looked at for one new shard.
const ANCESTORS_MAX: usize = 64;

/// A shard's state in memory and the checkpoint it belongs to.
#[derive(Debug, Clone)]
pub struct Warm {
    /// What was committed last; `None` before the shard's first commit.
    pub checkpoint: Option<Checkpoint>,
    /// The fold of everything up to it.
    pub state: ShardState,
    /// Fingerprint of the profiles that the last committed batch was scored with; `None` where nothing is known.
    pub profiles: Option<String>,
    /// The epoch that the state is of, which the next commit notes.
    pub epoch: u64,
    /// The newest epoch that was known when this was restored: with a newer one it is out of date.
    pub newest: u64,
    /// The state is not the fold of the shard's own segments, so that the next commit needs a snapshot.
    pub adopted: bool,
    /// The hash keys that live in the shard, where there is another region.
    pub hash_range: Option<HashRange>,
}

impl Warm {
    /// Of a shard that no other region may take over.
    fn alone(checkpoint: Option<Checkpoint>, state: ShardState, profiles: Option<String>) -> Self {
        let epoch = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.epoch);
        Self { checkpoint, state, profiles, epoch, newest: 0, adopted: false, hash_range: None }
    }
}

/// What a checkpoint stands for, as far as it is here.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) state: ShardState,
    /// The profiles it was last scored with.
    pub(crate) profiles: Option<String>,
    /// The first piece that is not here; nothing after it is in the state.
    pub(crate) missing: Option<Missing>,
    /// The calls it took.
    pub(crate) calls: u64,
}

/// A piece that a checkpoint stands on and that is not here.
#[derive(Debug)]
pub(crate) enum Missing {
    /// The snapshot: nothing is here.
    Snapshot(Key),
    /// A segment.
    Segment(Key),
    /// The profiles of a segment.
    Profiles(Key),
    /// The silver object of a segment, with a second model's opinions.
    Opinions(Key),
}

impl Missing {
    pub(crate) fn key(&self) -> &Key {
        let (Self::Snapshot(key) | Self::Segment(key) | Self::Profiles(key) | Self::Opinions(key)) = self;
        key
    }
}

/// Something that was committed cannot be read back.
fn broken(verb: &'static str, target: &impl ToString, problem: &impl std::fmt::Display) -> StoreError {
    StoreError::permanent(verb, target.to_string(), problem.to_string())
}

/// Restores a shard that no other region may take over. Returns the calls it took beside the state.
///
/// # Errors
/// The store's; permanent ones for a snapshot or segment that is gone, changed, or of an unknown version.
pub async fn restore<W>(world: &W, shard: &ShardId, tenancy: &Tenancy) -> Result<(Warm, u64), StoreError>
where
    W: LoadCheckpoint + GetObject + ListShards + Sync,
{
    let known = world.load_checkpoint(shard).await?;
    let Some(checkpoint) = known.as_ref().filter(|checkpoint| !checkpoint.is_former()) else {
        let infos = world.list_shards(&shard.stream).await?;
        let (parts, calls) = inherit(world, shard, &infos, tenancy).await?;
        let (mut state, mut profiles) = (ShardState::default(), None);
        for part in parts {
            profiles = profiles.or(part.profiles);
            state.absorb(part.state);
        }
        if !state.engine.is_empty() {
            tracing::info!(%shard, devices = state.engine.len(), "parents adopted");
        }
        return Ok((Warm::alone(known, state, profiles), calls + 2));
    };
    let restored = whole_state_at(world, checkpoint, tenancy).await?;
    Ok((Warm::alone(known, restored.state, restored.profiles), restored.calls + 1))
}

/// The state that a checkpoint stands for; a piece that is not here is an error.
pub(crate) async fn whole_state_at<W>(
    world: &W,
    checkpoint: &Checkpoint,
    tenancy: &Tenancy,
) -> Result<Restored, StoreError>
where
    W: GetObject + Sync,
{
    let restored = state_at(world, checkpoint, tenancy).await?;
    match &restored.missing {
        None => Ok(restored),
        Some(Missing::Profiles(key)) => Err(profiles::gone(key)),
        Some(Missing::Snapshot(key) | Missing::Segment(key) | Missing::Opinions(key)) => Err(ports::gone(key)),
    }
}

/// The state that a checkpoint stands for, up to the first piece that is not here.
pub(crate) async fn state_at<W>(world: &W, checkpoint: &Checkpoint, tenancy: &Tenancy) -> Result<Restored, StoreError>
where
    W: GetObject + Sync,
{
    let mut restored = Restored::default();
    if let Some(snapshot) = &checkpoint.snapshot {
        let object = &snapshot.object;
        restored.calls += 1;
        let Some(bytes) = find_verified(world, &object.key, &object.sha256, OBJECT_BYTES_MAX).await? else {
            restored.missing = Some(Missing::Snapshot(object.key.clone()));
            return Ok(restored);
        };
        let (header, state) =
            ShardState::from_snapshot(&bytes).map_err(|error| broken("restore snapshot", &object.key, &error))?;
        (restored.state, restored.profiles) = (state, Some(header.profiles));
        if tooth!("replay-without-snapshot") && !checkpoint.segments.is_empty() {
            restored.state = ShardState::default();
        }
    }
    let mut sets: BTreeMap<&str, Arc<ProfileSet>> = BTreeMap::new();
    let mut replayed: Vec<&Segment> = checkpoint.segments.iter().collect();
    if tooth!("replay-skips-last") {
        replayed.pop();
    }
    if tooth!("replay-backwards") {
        replayed.reverse();
    }
    let fetches: Vec<_> = replayed.into_iter().map(|segment| fetch(world, segment)).collect();
    let mut segments = stream::iter(fetches).buffered(FETCH_AHEAD);
    while let Some(Fetched { segment, bronze, opinions, calls }) = segments.try_next().await? {
        restored.calls += calls;
        let bytes = match (bronze, &opinions) {
            (None, _) => {
                restored.missing = Some(Missing::Segment(segment.object.key.clone()));
                return Ok(restored);
            }
            (_, Some((object, None))) => {
                restored.missing = Some(Missing::Opinions(object.key.clone()));
                return Ok(restored);
            }
            (Some(bytes), _) => bytes,
        };
        if !sets.contains_key(segment.profiles.as_str()) {
            restored.calls += profiles::bundle_calls(&segment.profiles);
            let Some(bundle) = profiles::find_bundle(world, &segment.profiles).await? else {
                restored.missing = Some(Missing::Profiles(profiles::bundle_key(&segment.profiles)?));
                return Ok(restored);
            };
            sets.insert(&segment.profiles, profiles::compile(&bundle)?);
        }
        if let Some(set) = sets.get(segment.profiles.as_str()) {
            replay(&mut restored.state, segment, &bytes, set, tenancy)?;
        }
        if let Some((object, Some(silver))) = opinions {
            opinion::replay(&mut restored.state.opinions, silver, SILVER_BYTES_MAX)
                .map_err(|error| broken("replay opinions", &object.key, &error))?;
        }
        restored.profiles = Some(segment.profiles.clone());
    }
    Ok(restored)
}

/// The objects of a segment, as far as they are here.
struct Fetched<'s> {
    segment: &'s Segment,
    bronze: Option<Vec<u8>>,
    /// Silver, where opinions are in it.
    opinions: Option<(&'s ObjectRef, Option<Vec<u8>>)>,
    calls: u64,
}

async fn fetch<'s, W: GetObject + Sync>(world: &W, segment: &'s Segment) -> Result<Fetched<'s>, StoreError> {
    let find = |object: &'s ObjectRef| find_verified(world, &object.key, &object.sha256, OBJECT_BYTES_MAX);
    let Some(silver) = &segment.opinions else {
        return Ok(Fetched { segment, bronze: find(&segment.object).await?, opinions: None, calls: 1 });
    };
    let (bronze, opinions) = tokio::try_join!(find(&segment.object), find(silver))?;
    Ok(Fetched { segment, bronze, opinions: Some((silver, opinions)), calls: 2 })
}

/// Replays one committed segment over the state.
fn replay(
    state: &mut ShardState,
    segment: &Segment,
    bytes: &[u8],
    profiles: &ProfileSet,
    tenancy: &Tenancy,
) -> Result<(), StoreError> {
    let wrong = |problem: &dyn std::fmt::Display| broken("replay segment", &segment.object.key, &problem);
    let reader = BronzeReader::new(bytes, SEGMENT_BYTES_MAX).map_err(|error| wrong(&error))?;
    let (mut fold, mut counted) = (Fold::default(), Discard::default());
    for record in reader.records() {
        let record = record.map_err(|error| wrong(&error))?;
        let raw = RawRecord {
            seq: record.seq,
            arrived: record.arrived,
            partition_key: &record.partition_key,
            data: Ok(&record.data),
        };
        fold.take(state, &raw, profiles, tenancy, &mut counted);
    }
    if counted.readings != u64::from(segment.readings) {
        // The bytes are those that were committed, so the code or the configuration has changed since. Going on is right:
        // nothing is lost, and what the detectors learn differs by what the change was meant to change.
        tracing::warn!(
            key = segment.object.key.as_str(),
            committed = segment.readings,
            replayed = counted.readings,
            "a segment is read otherwise than when it was committed: by another release, or other tenants in the settings"
        );
    }
    Ok(())
}

/// What the nearest ancestor with a checkpoint knew of a part of a new shard.
pub(crate) struct Part {
    /// The part.
    pub(crate) range: HashRange,
    pub(crate) state: ShardState,
    pub(crate) profiles: Option<String>,
    /// The epoch that the ancestor's state is of; `None` where no ancestor has a checkpoint.
    pub(crate) epoch: Option<u64>,
}

/// What a shard without a checkpoint starts from: the final states of its nearest ancestors that have one, less the
/// devices that now live elsewhere. The event source mapping delivers a child only after its parents are finished
/// (AWS Lambda Developer Guide, "Using AWS Lambda with Amazon Kinesis"), so those states are final. The profiles are those
/// that the first of them was scored with last, so that one that is bad now has a good one to fall back on.
///
/// Together the parts are the shard's hash range; there are none where the stream does not list the shard.
pub(crate) async fn inherit<W>(
    world: &W,
    shard: &ShardId,
    infos: &[ShardInfo],
    tenancy: &Tenancy,
) -> Result<(Vec<Part>, u64), StoreError>
where
    W: LoadCheckpoint + GetObject + Sync,
{
    let find = |name: &str| infos.iter().find(|info| info.shard == name);
    let (mut parts, mut calls) = (Vec::new(), 0);
    let Some(own) = find(&shard.shard).filter(|_| !tooth!("child-starts-empty")) else {
        return Ok((parts, calls));
    };
    let nobody = |range: HashRange| Part { range, state: ShardState::default(), profiles: None, epoch: None };
    let mut ancestors = parents_of(own, own.hash_range.into());
    if ancestors.is_empty() {
        parts.push(nobody(own.hash_range.into()));
    }
    if tooth!("one-parent-only") {
        ancestors.truncate(1);
    }
    let mut looked_at = 0;
    while let Some((name, range)) = ancestors.pop() {
        looked_at += 1;
        if looked_at > ANCESTORS_MAX {
            return Err(broken(
                "adopt parents",
                shard,
                &format!("more than {ANCESTORS_MAX} ancestors without a checkpoint"),
            ));
        }
        let info = find(&name);
        // Of two shards that were merged, a child of the one they became may lie in one alone.
        let Some(within) = info.map_or(Some(range), |info| range.overlap(info.hash_range.into())) else { continue };
        calls += 1;
        let checkpoint = world.load_checkpoint(&shard.sibling(&name)).await?;
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| !checkpoint.is_former()) {
            let Restored { mut state, profiles, calls: more, .. } = whole_state_at(world, &checkpoint, tenancy).await?;
            calls += more;
            // Only what lived on the way from there to here: a sibling may know the rest better.
            if !tooth!("child-keeps-everything") {
                state.keep_range((range.first, range.last));
            }
            parts.push(Part { range: within, state, profiles, epoch: Some(checkpoint.epoch) });
            continue;
        }
        let further = info.filter(|_| !tooth!("parents-only")).map(|info| parents_of(info, within));
        match further.filter(|further| !further.is_empty()) {
            Some(further) => ancestors.extend(further),
            None => parts.push(nobody(within)),
        }
    }
    Ok((parts, calls))
}

/// Parents in the order in which they are taken from the end, each with the hash keys that are wanted from it.
fn parents_of(info: &ShardInfo, range: HashRange) -> Vec<(String, HashRange)> {
    info.adjacent_parent.iter().chain(&info.parent).map(|name| (name.clone(), range)).collect()
}
