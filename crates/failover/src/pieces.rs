//! Whether what the checkpoints of the Region that is left stand on has arrived: which of them count, and whether each object is
//! there with the bytes that were committed.
//!
//! The scorer looks at the same again when it adopts (ADR 0010). Here it is looked at before it has to, so that whoever moves
//! knows what would be missing, and the pieces have had their time to arrive.

use std::fmt;

use anomaly_core::Timestamp;
use futures_util::{StreamExt as _, stream};
use platform::model::{Checkpoint, HashRange, ObjectRef, ShardId};
use platform::ports::{GetObject, find_verified};
use tokio::time::{Instant, timeout_at};

/// Largest object that is read, in bytes.
const OBJECT_BYTES_MAX: usize = 512 << 20;
/// Objects that are read at once.
const AT_ONCE: usize = 4;

/// An object that a checkpoint stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The shard.
    pub shard: ShardId,
    /// The object.
    pub object: ObjectRef,
    /// Readings that are not in the adopted state without it; `None` for a snapshot, without which nothing is.
    pub readings: Option<u32>,
}

/// What was seen of the pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Shards whose checkpoints count.
    pub shards: usize,
    /// Objects that are there as they were committed.
    pub whole: usize,
    /// Objects that are not there.
    pub missing: Vec<Piece>,
    /// Objects with other bytes than were committed, and what was said of them.
    pub wrong: Vec<(Piece, String)>,
    /// Objects that could not be looked at, for a time-out or a throttle, or for want of time.
    pub unseen: Vec<Piece>,
}

impl Seen {
    /// Whether everything is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.wrong.is_empty() && self.unseen.is_empty()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shards, whole, missing, wrong, unseen } = self;
        write!(f, "{shards} shards, {whole} objects whole")?;
        if let Some(first) = missing.first() {
            let readings: u64 = missing.iter().filter_map(|piece| piece.readings).map(u64::from).sum();
            let snapshots = missing.iter().filter(|piece| piece.readings.is_none()).count();
            write!(
                f,
                ", {} missing ({snapshots} snapshots; segments with {readings} readings), first `{}`",
                missing.len(),
                first.object.key
            )?;
        }
        if let Some((first, why)) = wrong.first() {
            write!(f, ", {} with other bytes, first `{}`: {why}", wrong.len(), first.object.key)?;
        }
        if !unseen.is_empty() {
            write!(f, ", {} not looked at", unseen.len())?;
        }
        Ok(())
    }
}

/// The checkpoints that speak for some hash key: of those that hold it the newest, by epoch and last number, as the scorer
/// chooses them. A parent whose children cover it is none of them.
#[must_use]
pub fn that_count(mut checkpoints: Vec<(ShardId, Checkpoint)>) -> Vec<(ShardId, Checkpoint)> {
    // What a restore has left of a former stream says no more than where its batches end.
    checkpoints.retain(|(_, checkpoint)| !checkpoint.is_former());
    checkpoints.sort_by_key(|(_, checkpoint)| std::cmp::Reverse((checkpoint.epoch, checkpoint.last_seq)));
    let mut open = vec![HashRange::ALL];
    checkpoints.retain(|(_, checkpoint)| {
        let held = checkpoint.hash_range.unwrap_or(HashRange::ALL);
        let counts = open.iter().any(|range| range.overlap(held).is_some());
        if checkpoint.hash_range.is_some() {
            open = open.iter().flat_map(|range| range.without(held)).collect();
        }
        counts
    });
    checkpoints
}

/// Everything that these checkpoints stand on.
#[must_use]
pub fn of(checkpoints: &[(ShardId, Checkpoint)]) -> Vec<Piece> {
    let pieces = checkpoints.iter().flat_map(|(shard, checkpoint)| {
        let piece = |object: &ObjectRef, readings| Piece { shard: shard.clone(), object: object.clone(), readings };
        let snapshot = checkpoint.snapshot.iter().map(move |snapshot| piece(&snapshot.object, None));
        let segments = checkpoint.segments.iter().flat_map(move |segment| {
            let bronze = piece(&segment.object, Some(segment.readings));
            std::iter::once(bronze).chain(segment.opinions.iter().map(move |silver| piece(silver, Some(0))))
        });
        snapshot.chain(segments)
    });
    pieces.collect()
}

/// Before what arrival everything that these checkpoints tell of is there; `None` where nothing says so.
///
/// What had arrived later in any shard may be in the stream of the Region that is left and nowhere else. A shard without its
/// snapshot, or with none and a segment missing, says nothing; one without a segment, what its snapshot does.
#[must_use]
pub fn known_until(checkpoints: &[(ShardId, Checkpoint)], seen: &Seen) -> Option<Timestamp> {
    let lacks = |shard: &ShardId, object: &ObjectRef| {
        let wrong = seen.wrong.iter().map(|(piece, _)| piece);
        seen.missing.iter().chain(wrong).chain(&seen.unseen).any(|it| it.shard == *shard && it.object == *object)
    };
    let of_one = |(shard, checkpoint): &(ShardId, Checkpoint)| {
        let snapshot = checkpoint.snapshot.as_ref();
        if snapshot.is_some_and(|snapshot| lacks(shard, &snapshot.object)) {
            return None;
        }
        let is_whole = !checkpoint.segments.iter().any(|segment| lacks(shard, &segment.object));
        if is_whole { Some(checkpoint.stream_time) } else { snapshot.map(|snapshot| snapshot.at) }
    };
    checkpoints.iter().map(of_one).min().flatten()
}

/// Looks whether pieces are there, until `deadline`.
pub async fn look<S: GetObject + Sync>(stores: &S, pieces: Vec<Piece>, deadline: Instant, seen: &mut Seen) {
    let looks: Vec<_> = pieces
        .into_iter()
        .map(|piece| async {
            let found = find_verified(stores, &piece.object.key, &piece.object.sha256, OBJECT_BYTES_MAX);
            let found = timeout_at(deadline, found).await.map(|found| found.map(|bytes| bytes.is_some()));
            (piece, found)
        })
        .collect();
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    while let Some((piece, found)) = looks.next().await {
        match found {
            Ok(Ok(true)) => seen.whole += 1,
            Ok(Ok(false)) => seen.missing.push(piece),
            Ok(Err(error)) if !error.is_transient() => seen.wrong.push((piece, error.to_string())),
            Ok(Err(_)) | Err(_) => seen.unseen.push(piece),
        }
    }
}
