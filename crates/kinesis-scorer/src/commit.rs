//! Objects first, then one transaction: nothing is visible that the commit does not name.

use std::time::Duration;

use platform::model::{
    AnomalyRecord, Checkpoint, CheckpointChange, CheckpointGuard, ContentHash, EpochGuard, Key, KeyError, ObjectRef,
    StateRecord, TRANSACTION_ITEMS_MAX, Transaction,
};
use platform::ports::{CommitError, CommitTransaction, LoadCheckpoint, PutError, PutIfAbsent, StoreError};

use crate::layout;

/// Tries of one transaction before the batch is handed back to come again.
const TRIES_MAX: u32 = 4;
/// Rounds of leaving out what is stored already: the store may name the items one at a time.
const ROUNDS_MAX: usize = TRANSACTION_ITEMS_MAX + 1;
/// Pause before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(50);

/// What a commit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The checkpoint is now what was asked for.
    Done,
    /// Somebody else committed this shard: memory is out of date.
    Moved,
    /// A newer epoch has begun: which region has the say is to be read again, and memory is out of date.
    NewEpoch,
}

/// What a commit stores beside the checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Items<'f> {
    /// Anomalies, which scoring the batch again finds again: where there are too many, some go ahead of the checkpoint.
    pub anomalies: &'f [AnomalyRecord],
    /// Changed states, likewise.
    pub states: &'f [StateRecord],
    /// Anomalies that a second model told, and tells otherwise when it is asked again: they go with the checkpoint or not at
    /// all. At most [`crate::fold::TOLD_MAX`].
    pub told: &'f [AnomalyRecord],
}

/// Stores bytes, whose hash is `sha256`, under the name that `name` gives for an empty suffix. Where other bytes have that
/// name already, the name gets a suffix from the content. Returns the calls beside the reference.
///
/// # Errors
/// The store's; a permanent one for a name that is no key.
pub async fn put<W: PutIfAbsent + Sync>(
    world: &W,
    bytes: &[u8],
    sha256: ContentHash,
    name: impl Fn(&str) -> Result<Key, KeyError>,
) -> Result<(ObjectRef, u64), StoreError> {
    let mut calls = 0;
    for suffix in [String::new(), layout::suffix(&sha256)] {
        let key =
            name(&suffix).map_err(|error| StoreError::permanent("name object", suffix.clone(), error.to_string()))?;
        calls += 1;
        match world.put_if_absent(&key, bytes).await {
            Ok(_) => return Ok((ObjectRef { key, sha256 }, calls)),
            Err(PutError::Conflict(key)) => {
                tracing::info!(key = key.as_str(), "an orphan has the name, taking another");
            }
            Err(PutError::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::permanent(
        "put object",
        sha256.to_string(),
        "two objects of different content have names of the same content hash; the lake was changed by hand",
    ))
}

/// Commits a batch. Returns the calls it took beside the outcome.
///
/// More items than a transaction may change go first, in chunks that are safe to repeat, each on condition that the
/// checkpoint has not moved; the checkpoint is in the last one, with what must not go ahead of it. An answer that never came is
/// settled by reading the checkpoint: it is ours, or still the old one, or has moved.
///
/// # Errors
/// The store's, after bounded tries. It is then unknown whether the batch is committed; when it comes again, the checkpoint
/// tells.
pub async fn commit<W>(
    world: &W,
    change: CheckpointChange<'_>,
    epoch: Option<EpochGuard<'_>>,
    items: &Items<'_>,
) -> Result<(Committed, u64), StoreError>
where
    W: CommitTransaction + LoadCheckpoint + Sync,
{
    let mut calls = 0;
    let mut anomalies: Vec<&AnomalyRecord> = items.anomalies.iter().collect();
    let mut states: Vec<&StateRecord> = items.states.iter().collect();
    let mut told: Vec<&AnomalyRecord> = items.told.iter().collect();
    // Beside the checkpoint, or the guard in its place.
    let room = TRANSACTION_ITEMS_MAX - 1 - usize::from(epoch.is_some());
    while anomalies.len() + states.len() + told.len() > room {
        let first = anomalies.len().min(room);
        let then = states.len().min(room - first);
        // What a memory that is out of date has found must not go ahead.
        let guard = CheckpointGuard { shard: change.shard, expected: change.expected };
        let chunk = Transaction {
            checkpoint: None,
            guard: Some(guard),
            epoch,
            anomalies: anomalies.drain(..first).collect(),
            states: states.drain(..then).collect(),
        };
        let outcome = apply(world, chunk, &mut calls).await?;
        if outcome != Committed::Done {
            return Ok((outcome, calls));
        }
    }
    anomalies.append(&mut told);
    let last = Transaction { checkpoint: Some(change), guard: None, epoch, anomalies, states };
    let outcome = apply(world, last, &mut calls).await?;
    Ok((outcome, calls))
}

async fn apply<W>(world: &W, mut transaction: Transaction<'_>, calls: &mut u64) -> Result<Committed, StoreError>
where
    W: CommitTransaction + LoadCheckpoint + Sync,
{
    let (mut tries, mut rounds) = (0, 0);
    loop {
        if transaction.is_empty() {
            return Ok(Committed::Done);
        }
        *calls += 1;
        let error = match world.commit(&transaction).await {
            Ok(()) => return Ok(Committed::Done),
            Err(CommitError::AlreadyThere { anomalies, states }) if rounds < ROUNDS_MAX => {
                rounds += 1;
                if tooth!("states-left-out-too") {
                    transaction.states.clear();
                }
                leave_out(&mut transaction.anomalies, &anomalies);
                leave_out(&mut transaction.states, &states);
                continue;
            }
            // An earlier try has not landed, or the checkpoint would have been told before, and will not any more.
            Err(CommitError::EpochMoved) => return Ok(Committed::NewEpoch),
            Err(CommitError::CheckpointMoved) => return settle(world, &transaction, calls).await,
            Err(CommitError::Store(error)) if error.is_transient() => error,
            Err(CommitError::Store(error)) => return Err(error),
            Err(error @ (CommitError::AlreadyThere { .. } | CommitError::Size(_))) => {
                return Err(StoreError::permanent(
                    "commit",
                    transaction.checkpoint.map_or_else(String::new, |change| change.shard.to_string()),
                    error.to_string(),
                ));
            }
        };
        tries += 1;
        if tries == TRIES_MAX {
            return Err(error);
        }
        tracing::warn!(tries, error = &error as &dyn std::error::Error, "commit unanswered, trying again");
        tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1)).await;
    }
}

/// The checkpoint is not what was expected: either an earlier try of this very commit has landed, or somebody else's has.
async fn settle<W: LoadCheckpoint + Sync>(
    world: &W,
    transaction: &Transaction<'_>,
    calls: &mut u64,
) -> Result<Committed, StoreError> {
    // A chunk goes before its checkpoint, so it was somebody else who moved that.
    let Some(change) = transaction.checkpoint else { return Ok(Committed::Moved) };
    *calls += 1;
    let found = world.load_checkpoint(change.shard).await?;
    if tooth!("settled-by-version") && found.as_ref().is_some_and(|found| found.version == change.next.version) {
        return Ok(Committed::Done);
    }
    if tooth!("settled-by-last") && found.as_ref().is_some_and(|found| found.last_seq >= change.next.last_seq) {
        return Ok(Committed::Done);
    }
    Ok(if found.as_ref() == Some(change.next) { Committed::Done } else { Committed::Moved })
}

fn leave_out<T>(items: &mut Vec<T>, indexes: &[usize]) {
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        !indexes.contains(&(index - 1))
    });
}

/// Whether replay from `next` would grow past its bound with the batch just scored, so that a snapshot is due.
#[must_use]
pub fn snapshot_is_due(before: Option<&Checkpoint>, readings: u64, stream_time_ms: i64, every_seconds: u32) -> bool {
    let Some(before) = before else { return true };
    let Some(snapshot) = &before.snapshot else { return true };
    let replayed: u64 = before.segments.iter().map(|segment| u64::from(segment.readings)).sum();
    before.segments.len() + 1 > SEGMENTS_MAX
        || replayed + readings > READINGS_MAX
        || stream_time_ms - snapshot.at.millis() >= i64::from(every_seconds) * 1_000
}

/// Most segments a cold start replays.
pub const SEGMENTS_MAX: usize = 64;
/// Most readings a cold start replays.
pub const READINGS_MAX: u64 = 250_000;
