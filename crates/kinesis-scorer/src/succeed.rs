//! A stream that was made anew: its shards go on with what those of the former one knew.
//!
//! After a restore the stream is another one. Its sequence numbers cannot be compared with the former one's, its shards may have the
//! names of former ones, or not, and lie in another Region. So no checkpoint can stay as it is: one with the former stream's last
//! number would drop every record below it, without a word. Each new shard gets a checkpoint of its own: a snapshot of the devices
//! that live in it, whoever had them, before its first record. The former shard of its name, if there was one, hands on the end of
//! its batches, so that readers of the lake find all of them (`docs/adr/0017-backup-and-restore.md`).
//!
//! What it does not do: commit, or decide whether what a shard has learned since may be passed over.

use anomaly_core::Timestamp;
use platform::model::{Checkpoint, ContentHash, HashRange, ShardId, SnapshotRef};
use platform::ports::{GetObject, PutIfAbsent, StoreError};
use telemetry::sequence::SequenceNumber;

use crate::commit;
use crate::fold::Tenancy;
use crate::layout::{self, BEGINNING};
use crate::profiles::Profiles;
use crate::restore::whole_state_at;
use crate::state::ShardState;

/// A shard of the new stream.
#[derive(Debug, Clone)]
pub struct Successor {
    /// The shard.
    pub shard: ShardId,
    /// The hash keys that live in it.
    pub range: HashRange,
    /// What it has committed since it was made: pulses, or readings.
    pub live: Option<Checkpoint>,
    /// The epoch in which the states count; 0 where there is none.
    pub epoch: u64,
}

/// What a shard begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Succession {
    /// The checkpoint, on condition that the shard's own has not moved.
    pub next: Checkpoint,
    /// Devices of the former stream in it.
    pub devices: usize,
    /// Devices that the shard had learned of itself, which stay as they are.
    pub newer: usize,
}

/// Checkpoints of a stream without those that nobody needs any more, the newest first: a shard's children know all that it
/// knew. Only where the hash keys of a shard are known can that be told.
#[must_use]
pub fn living(mut former: Vec<(ShardId, Checkpoint)>) -> Vec<(ShardId, Checkpoint)> {
    former.retain(|(_, checkpoint)| !checkpoint.is_former());
    former.sort_by_key(|(_, one)| std::cmp::Reverse((one.epoch, one.last_seq, one.stream_time)));
    let mut open = vec![HashRange::ALL];
    former.retain(|(_, checkpoint)| {
        let held = checkpoint.hash_range.unwrap_or(HashRange::ALL);
        let is_wanted = open.iter().any(|range| range.overlap(held).is_some());
        if checkpoint.hash_range.is_some() {
            open = open.iter().flat_map(|range| range.without(held)).collect();
        }
        is_wanted
    });
    former
}

/// The end of a former shard's batches, for a shard that the new stream has not.
#[must_use]
pub fn end_of(former: &Checkpoint) -> Checkpoint {
    Checkpoint {
        version: former.version + 1,
        last_seq: SequenceNumber::ZERO,
        snapshot: None,
        segments: Vec::new(),
        epoch: 0,
        hash_range: None,
        ..former.clone()
    }
}

/// How many devices a checkpoint's state has.
///
/// # Errors
/// The store's; permanent ones for a snapshot or segment that is gone, changed, or of an unknown version.
pub async fn devices<W: GetObject + Sync>(
    world: &W,
    checkpoint: &Checkpoint,
    tenancy: &Tenancy,
) -> Result<usize, StoreError> {
    Ok(whole_state_at(world, checkpoint, tenancy).await?.state.engine.len())
}

/// Puts together what `successor` begins with, and writes its snapshot. `former` are checkpoints as [`living`] leaves them, whose
/// objects are in the lake; `namesake` is the former shard of the same key, whether it is living or not.
///
/// Safe to repeat: what the shard has from an earlier time is known by its content, and stays. Pulses that the shard has committed
/// meanwhile, and from which it has learned nothing, are passed over, as is what another restore gave it before its first record.
///
/// # Errors
/// The store's; permanent ones for a snapshot or segment that is gone, changed, or of an unknown version.
pub async fn succeed<W: GetObject + PutIfAbsent + Sync>(
    world: &W,
    former: &[(ShardId, Checkpoint)],
    namesake: Option<&Checkpoint>,
    successor: &Successor,
    tenancy: &Tenancy,
) -> Result<Succession, StoreError> {
    let Successor { shard, range, live, epoch } = successor;
    let mut own = Known::default();
    if let Some(live) = live {
        let restored = whole_state_at(world, live, tenancy).await?;
        own = Known { state: restored.state, profiles: restored.profiles, stream_time: Some(live.stream_time) };
    }
    if live.as_ref().is_some_and(|live| live.last_seq == SequenceNumber::ZERO) {
        let (known, bytes) = Known::default().with(world, former, namesake, successor, tenancy).await?;
        let is_it = |live: &&Checkpoint| {
            let snapshot = live.snapshot.as_ref().map(|snapshot| &snapshot.object.sha256);
            snapshot == Some(&ContentHash::of(&bytes)) && live.batch == end(namesake)
        };
        if let Some(done) = live.as_ref().filter(is_it) {
            return Ok(Succession { next: done.clone(), devices: known.state.engine.len(), newer: 0 });
        }
        // Of another restore, and nothing was learned since.
        own = Known::default();
    }
    let newer = own.state.engine.len();
    let chain = live.as_ref().filter(|_| newer > 0);
    let base = if newer > 0 { own } else { Known::default() };
    let version = [live.as_ref(), namesake].into_iter().flatten().map(|one| one.version).max().unwrap_or(0) + 1;
    let last_seq = chain.map_or(SequenceNumber::ZERO, |live| live.last_seq);
    let (known, bytes) = base.with(world, former, namesake, successor, tenancy).await?;
    let name = |suffix: &str| layout::snapshot_key(shard, last_seq, version, suffix);
    let (object, _) = commit::put(world, &bytes, ContentHash::of(&bytes), name).await?;
    let stream_time = known.stream_time();
    let next = Checkpoint {
        version,
        last_seq,
        stream_time,
        batch: chain.map_or_else(|| end(namesake), |live| live.batch.clone()),
        snapshot: Some(SnapshotRef { object, at: stream_time }),
        segments: Vec::new(),
        epoch: *epoch,
        hash_range: Some(*range),
    };
    Ok(Succession { next, devices: known.state.engine.len() - newer, newer })
}

/// The batch that the shard's own follow.
fn end(namesake: Option<&Checkpoint>) -> String {
    namesake.map_or_else(|| BEGINNING.to_owned(), |namesake| namesake.batch.clone())
}

/// What is known of a shard's devices.
#[derive(Default)]
struct Known {
    state: ShardState,
    profiles: Option<String>,
    stream_time: Option<Timestamp>,
}

impl Known {
    /// It chooses the hour of the next objects, which must not lie before those that there are.
    fn stream_time(&self) -> Timestamp {
        self.stream_time.unwrap_or(Timestamp::MIN)
    }

    /// What the former shards knew beside it, and all of it as a snapshot. What is known already stays as it is.
    async fn with<W: GetObject + Sync>(
        mut self,
        world: &W,
        former: &[(ShardId, Checkpoint)],
        namesake: Option<&Checkpoint>,
        successor: &Successor,
        tenancy: &Tenancy,
    ) -> Result<(Self, Vec<u8>), StoreError> {
        let last_seq = successor.live.as_ref().filter(|_| !self.state.engine.is_empty()).map(|live| live.last_seq);
        for (_, checkpoint) in former {
            let held = checkpoint.hash_range.unwrap_or(HashRange::ALL);
            let Some(both) = successor.range.overlap(held) else { continue };
            let mut restored = whole_state_at(world, checkpoint, tenancy).await?;
            restored.state.keep_range((both.first, both.last));
            self.state.absorb(restored.state);
            self.profiles = self.profiles.or(restored.profiles);
            self.stream_time = self.stream_time.max(Some(checkpoint.stream_time));
        }
        self.stream_time = self.stream_time.max(namesake.map(|one| one.stream_time));
        let none = Profiles::default();
        let profiles = self.profiles.as_deref().unwrap_or(none.fingerprint());
        let bytes = self.state.to_snapshot(last_seq.unwrap_or(SequenceNumber::ZERO), self.stream_time(), profiles);
        let bytes = bytes.map_err(|error| {
            StoreError::permanent("encode snapshot", successor.shard.to_string(), error.to_string())
        })?;
        Ok((self, bytes))
    }
}
