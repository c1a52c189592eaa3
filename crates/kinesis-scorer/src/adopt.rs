//! A shard whose region takes over: it goes on with what the other region knew of the devices that live in it.
//!
//! What the other region committed is replicated here, late and in pieces. Its checkpoints say what there is; the newest
//! that holds a hash key speaks for the devices of that key, those of a newer epoch before those of an older, a child before
//! its parents. What this region knew itself is the base for devices that the other never had, and stays for those of which
//! it has taken more, as of each that publishes to both. Nothing is adopted twice in an epoch: the first commit has the epoch
//! and a snapshot (`docs/adr/0010-adopting-the-other-region.md`).

use std::error::Error;

use anomaly_core::Timestamp;
use platform::model::{Checkpoint, HashRange, ShardId, ShardInfo};
use platform::ports::{GetObject, ListCheckpoints, ListShards, LoadCheckpoint, StoreError, StoreErrorKind};

use crate::epoch::Standing;
use crate::fold::Tenancy;
use crate::profiles;
use crate::restore::{Missing, Part, Restored, Warm, inherit, state_at, whole_state_at};
use crate::state::ShardState;

/// What is known of the other region when a shard is restored.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'p> {
    /// The other region.
    pub peer: &'p str,
    /// Which of the two has the say.
    pub standing: Standing,
    /// How long after the beginning of the epoch a piece that is not here yet is waited for, seconds.
    pub patience_seconds: u32,
    /// Now.
    pub now: Timestamp,
}

/// Restores a shard of a stream that two regions have. Returns the calls it took beside the state.
///
/// # Errors
/// The store's. An unavailable one while a piece of what the other region committed has not been replicated.
pub async fn restore<W>(
    world: &W,
    shard: &ShardId,
    tenancy: &Tenancy,
    pair: &Pair<'_>,
) -> Result<(Warm, u64), StoreError>
where
    W: LoadCheckpoint + ListCheckpoints + GetObject + ListShards + Sync,
{
    let Standing { epoch: newest, active, .. } = pair.standing;
    let takes_over = (active || tooth!("adopts-while-passive")) && newest > 0;
    let checkpoint = world.load_checkpoint(shard).await?;
    let mut calls = 1;
    let known = checkpoint.as_ref().and_then(|checkpoint| checkpoint.hash_range);
    let infos = if known.is_some() {
        Vec::new()
    } else {
        calls += 1;
        world.list_shards(&shard.stream).await?
    };
    let listed = infos.iter().find(|info: &&ShardInfo| info.shard == shard.shard);
    let hash_range = known.or(listed.map(|info| info.hash_range.into()));
    let warm = |checkpoint, taken: Taken| Warm {
        checkpoint,
        state: taken.state,
        profiles: taken.profiles,
        epoch: taken.epoch,
        newest,
        adopted: taken.adopted,
        hash_range,
    };
    let parts = match checkpoint.as_ref().filter(|checkpoint| !checkpoint.is_former()) {
        Some(own) if !takes_over || own.epoch >= newest => {
            let Restored { state, profiles, calls: more, .. } = whole_state_at(world, own, tenancy).await?;
            let taken = Taken { state, profiles, epoch: own.epoch, adopted: false };
            return Ok((warm(checkpoint, taken), calls + more));
        }
        _ if takes_over && hash_range.is_none() => {
            let remedy = "the stream does not list this shard, so that nothing says which devices live in it";
            return Err(StoreError::permanent("adopt", shard.to_string(), remedy));
        }
        Some(own) => {
            let (part, more) = base(world, shard, own, hash_range, tenancy).await?;
            calls += more;
            vec![part]
        }
        None => {
            let (parts, more) = inherit(world, shard, &infos, tenancy).await?;
            calls += more;
            parts
        }
    };
    // A new shard of a region that has not the say is of the epoch of its newest parent; the others are brought up to that.
    let of_parts = parts.iter().filter_map(|part| part.epoch).max().unwrap_or(0);
    let mut taken = Taken { epoch: if takes_over { newest } else { of_parts }, ..Taken::default() };
    calls += taken.adopt(world, shard, parts, tenancy, pair).await?;
    Ok((warm(checkpoint, taken), calls))
}

/// What this region knew itself in an older epoch. It may be long ago: what the lake has forgotten since is no reason not
/// to take over.
async fn base<W: GetObject + Sync>(
    world: &W,
    shard: &ShardId,
    own: &Checkpoint,
    hash_range: Option<HashRange>,
    tenancy: &Tenancy,
) -> Result<(Part, u64), StoreError> {
    let restored = state_at(world, own, tenancy).await?;
    if let Some(missing) = &restored.missing {
        let key = missing.key().as_str();
        tracing::error!(%shard, key, "a piece of what this region knew before is gone: devices that the other never had start anew");
    }
    let range = hash_range.unwrap_or(HashRange::ALL);
    let Restored { state, profiles, calls, .. } = restored;
    Ok((Part { range, state, profiles, epoch: Some(own.epoch) }, calls))
}

/// A state that is put together.
#[derive(Default)]
struct Taken {
    state: ShardState,
    profiles: Option<String>,
    epoch: u64,
    adopted: bool,
}

impl Taken {
    /// Takes what is not known yet.
    fn take(&mut self, state: ShardState, profiles: Option<String>) {
        self.state.absorb(state);
        self.profiles = self.profiles.take().or(profiles);
    }

    /// Puts a shard's state together from what the other region knew and what this one knew itself. Returns the calls.
    async fn adopt<W>(
        &mut self,
        world: &W,
        shard: &ShardId,
        parts: Vec<Part>,
        tenancy: &Tenancy,
        pair: &Pair<'_>,
    ) -> Result<u64, StoreError>
    where
        W: ListCheckpoints + GetObject + Sync,
    {
        // A parent of this epoch has adopted for its children.
        let (current, stale): (Vec<Part>, Vec<Part>) =
            parts.into_iter().partition(|part| part.epoch.unwrap_or(0) == self.epoch);
        for part in current {
            self.take(part.state, part.profiles);
        }
        if stale.is_empty() {
            return Ok(0);
        }
        self.adopted = true;
        let mut open: Vec<(HashRange, Option<u64>)> = stale.iter().map(|part| (part.range, part.epoch)).collect();
        let mut base = stale.into_iter();
        if tooth!("own-state-wins") {
            for part in base.by_ref() {
                self.take(part.state, part.profiles);
            }
        }
        let mut peers = world.list_checkpoints(pair.peer, &shard.stream).await?;
        let mut calls = 1;
        peers.retain(|(_, checkpoint)| !checkpoint.is_former());
        peers.sort_by_key(|(_, checkpoint)| std::cmp::Reverse((checkpoint.epoch, checkpoint.last_seq)));
        if tooth!("oldest-peer-first") {
            peers.reverse();
        }
        let before = self.state.engine.len();
        for (peer, checkpoint) in &peers {
            let held = checkpoint.hash_range.unwrap_or(HashRange::ALL);
            // What this region knew in a newer epoch than the other is the newest there is.
            let wanted = open.iter().filter(|(_, own)| own.is_none_or(|own| own <= checkpoint.epoch));
            let wanted: Vec<HashRange> = wanted.filter_map(|(range, _)| range.overlap(held)).collect();
            if wanted.is_empty() {
                continue;
            }
            let (restored, more) = as_far_as_here(world, shard, peer, checkpoint, tenancy, pair).await?;
            calls += more;
            let Some(Restored { state, profiles, .. }) = restored else { continue };
            for range in wanted {
                let mut lives_here = state.clone();
                if !tooth!("adopts-every-device") {
                    lives_here.keep_range((range.first, range.last));
                }
                if !tooth!("adopts-what-is-older") {
                    for own in base.as_slice() {
                        lives_here.leave_to(&own.state);
                    }
                }
                self.take(lives_here, profiles.clone());
            }
            if checkpoint.hash_range.is_some() {
                let rest = open.into_iter().flat_map(|(range, own)| range.without(held).map(move |rest| (rest, own)));
                open = rest.collect();
            }
        }
        let adopted = self.state.engine.len() - before;
        for part in base {
            self.take(part.state, part.profiles);
        }
        let (epoch, devices) = (self.epoch, self.state.engine.len());
        tracing::info!(%shard, peer = pair.peer, epoch, adopted, devices, "the other region's devices adopted");
        Ok(calls)
    }
}

/// The state of a shard of the other region. While it is not whole and there is still time, an error that makes the batch
/// come again; after that the part that is whole, or `None` where the snapshot is missing.
async fn as_far_as_here<W: GetObject + Sync>(
    world: &W,
    shard: &ShardId,
    peer: &ShardId,
    checkpoint: &Checkpoint,
    tenancy: &Tenancy,
    pair: &Pair<'_>,
) -> Result<(Option<Restored>, u64), StoreError> {
    let mut restored = state_at(world, checkpoint, tenancy).await?;
    let mut calls = restored.calls;
    // What the next batch falls back on when a profile is bad now.
    if let (None, Some(fingerprint)) = (&restored.missing, &restored.profiles) {
        calls += profiles::bundle_calls(fingerprint);
        if profiles::find_bundle(world, fingerprint).await?.is_none() {
            restored.missing = Some(Missing::Profiles(profiles::bundle_key(fingerprint)?));
            restored.profiles = None;
        }
    }
    let Some(missing) = &restored.missing else { return Ok((Some(restored), calls)) };
    let waited_ms = pair.now.millis() - pair.standing.since.millis();
    let still_waits = waited_ms < i64::from(pair.patience_seconds) * 1_000;
    let why = StoreError {
        kind: StoreErrorKind::Unavailable,
        verb: "adopt",
        target: peer.to_string(),
        remedy: format!(
            "`{}` has not been replicated yet; it is waited for until {} s after the epoch began \
             (MILLRACE_ADOPT_PATIENCE_SECONDS)",
            missing.key(),
            pair.patience_seconds
        ),
        source: None,
    };
    if still_waits && !tooth!("adopts-what-is-here") {
        return Err(why);
    }
    let nothing = matches!(missing, Missing::Snapshot(_));
    tracing::error!(%shard, nothing, error = &why as &dyn Error, "the other region's state is not whole, adopting what is");
    Ok(((!nothing).then_some(restored), calls))
}
