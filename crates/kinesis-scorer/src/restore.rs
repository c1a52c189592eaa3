//! State from what was committed: the newest snapshot, then the segments committed since, replayed in order. A shard
//! without a checkpoint starts with what its parents knew.

use std::collections::BTreeMap;
use std::sync::Arc;

use anomaly_core::ProfileSet;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use platform::model::{Checkpoint, Segment, ShardId, ShardInfo};
use platform::ports::{GetObject, ListShards, LoadCheckpoint, StoreError, get_verified};
use telemetry::bronze::BronzeReader;

use crate::fold::{Discard, Fold, RawRecord, Tenancy};
use crate::profiles;
use crate::state::ShardState;

/// Largest segment, in bytes before compression: 10,000 records of the largest event and room for their envelopes.
pub const SEGMENT_BYTES_MAX: usize = 64 << 20;
/// Largest stored object that a restore reads, in bytes.
const OBJECT_BYTES_MAX: usize = 512 << 20;
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
}

/// Something that was committed cannot be read back.
fn broken(verb: &'static str, target: &impl ToString, problem: &impl std::fmt::Display) -> StoreError {
    StoreError::permanent(verb, target.to_string(), problem.to_string())
}

/// Restores a shard. Returns the calls it took beside the state.
///
/// # Errors
/// The store's; permanent ones for a snapshot or segment that is gone, changed, or of an unknown version.
pub async fn restore<W>(world: &W, shard: &ShardId, tenancy: &Tenancy) -> Result<(Warm, u64), StoreError>
where
    W: LoadCheckpoint + GetObject + ListShards + Sync,
{
    let Some(checkpoint) = world.load_checkpoint(shard).await? else {
        let (state, profiles, calls) = inherit(world, shard, tenancy).await?;
        return Ok((Warm { checkpoint: None, state, profiles }, calls + 1));
    };
    let (state, profiles, calls) = state_at(world, &checkpoint, tenancy).await?;
    Ok((Warm { checkpoint: Some(checkpoint), state, profiles }, calls + 1))
}

/// The state that a checkpoint stands for, the profiles it was last scored with, and the calls it took.
async fn state_at<W>(
    world: &W,
    checkpoint: &Checkpoint,
    tenancy: &Tenancy,
) -> Result<(ShardState, Option<String>, u64), StoreError>
where
    W: GetObject + Sync,
{
    let mut calls = 0;
    let (mut state, mut in_force) = (ShardState::default(), None);
    if let Some(snapshot) = &checkpoint.snapshot {
        let object = &snapshot.object;
        let bytes = get_verified(world, &object.key, &object.sha256, OBJECT_BYTES_MAX).await?;
        calls += 1;
        let (header, restored) =
            ShardState::from_snapshot(&bytes).map_err(|error| broken("restore snapshot", &object.key, &error))?;
        (state, in_force) = (restored, Some(header.profiles));
        if tooth!("replay-without-snapshot") && !checkpoint.segments.is_empty() {
            state = ShardState::default();
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
    while let Some((segment, bytes)) = segments.try_next().await? {
        calls += 1;
        if !sets.contains_key(segment.profiles.as_str()) {
            let bundle = profiles::load_bundle(world, &segment.profiles).await?;
            calls += 1;
            sets.insert(&segment.profiles, profiles::compile(&bundle)?);
        }
        if let Some(set) = sets.get(segment.profiles.as_str()) {
            replay(&mut state, segment, &bytes, set, tenancy)?;
        }
        in_force = Some(segment.profiles.clone());
    }
    Ok((state, in_force, calls))
}

async fn fetch<'s, W: GetObject + Sync>(world: &W, segment: &'s Segment) -> Result<(&'s Segment, Vec<u8>), StoreError> {
    let object = &segment.object;
    let bytes = get_verified(world, &object.key, &object.sha256, OBJECT_BYTES_MAX).await?;
    Ok((segment, bytes))
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

/// What a shard without a checkpoint starts from: the final states of its nearest ancestors that have one, less the
/// devices that now live elsewhere. The event source mapping delivers a child only after its parents are finished
/// (AWS Lambda Developer Guide, "Using AWS Lambda with Amazon Kinesis"), so those states are final. The profiles are those
/// that the first of them was scored with last, so that one that is bad now has a good one to fall back on.
async fn inherit<W>(
    world: &W,
    shard: &ShardId,
    tenancy: &Tenancy,
) -> Result<(ShardState, Option<String>, u64), StoreError>
where
    W: LoadCheckpoint + GetObject + ListShards + Sync,
{
    let infos = world.list_shards(&shard.stream).await?;
    let find = |name: &str| infos.iter().find(|info| info.shard == name);
    let mut calls = 1;
    let (mut state, mut profiles) = (ShardState::default(), None);
    let Some(own) = find(&shard.shard).filter(|_| !tooth!("child-starts-empty")) else {
        return Ok((state, profiles, calls));
    };
    let mut ancestors = parents(own, own.hash_range);
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
        calls += 1;
        if let Some(checkpoint) = world.load_checkpoint(&shard.sibling(&name)).await? {
            let (mut inherited, in_force, more) = state_at(world, &checkpoint, tenancy).await?;
            calls += more;
            profiles = profiles.or(in_force);
            // Only what lived on the way from there to here: a sibling may know the rest better.
            if !tooth!("child-keeps-everything") {
                inherited.keep_range(range);
            }
            state.absorb(inherited);
        } else if !tooth!("parents-only") {
            let within = |info: &ShardInfo| (range.0.max(info.hash_range.0), range.1.min(info.hash_range.1));
            ancestors.extend(find(&name).map(|info| parents(info, within(info))).unwrap_or_default());
        }
    }
    if !state.engine.is_empty() {
        tracing::info!(%shard, devices = state.engine.len(), "parents adopted");
    }
    Ok((state, profiles, calls))
}

/// Parents in the order in which they are taken from the end, each with the hash keys that are wanted from it.
fn parents(info: &ShardInfo, range: (u128, u128)) -> Vec<(String, (u128, u128))> {
    info.adjacent_parent.iter().chain(&info.parent).map(|name| (name.clone(), range)).collect()
}
