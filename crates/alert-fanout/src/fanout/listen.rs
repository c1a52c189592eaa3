//! Listening before telling what another region has found, or what is late, where that region cannot be asked (see [`super::ask`]).
//!
//! A region that was cut off goes on where it was: with a backlog, and believing that it has the say. That another region has it
//! now comes by replication, a second or so after the two hear each other again, in no order with what that region has found
//! meanwhile. Who would tell of the one before it has heard the other tells what has been told.
//!
//! - *What another region has found* was committed together with a checkpoint of its shard, which says in which epoch that region had
//!   the say. It is told when that checkpoint is here, a moment later, and not by a region that it shows to have lost the say.
//! - *What is late* may be so because this region was away. It listens for some seconds, and asks once more who has the say.
//!
//! Both are bounded: nobody goes without a message because a region is gone. What this region finds itself and tells in time is never
//! held up, and a region without a peer does not listen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::model::{Change, Image, ShardId};
use platform::ports::{LoadCheckpoint, StoreError};
use telemetry::sequence::SequenceNumber;
use tokio::time::{Instant, sleep};

use super::ask::STOOD_STILL;

/// From this age on a finding is late: some times what lies between a reading's arrival and its message.
const LATE: Duration = Duration::from_secs(10);
/// From this on something due is: the schedule looks every minute.
const OVERDUE: Duration = Duration::from_secs(90);
/// How long is listened: some times what replication takes, commonly a second or less (same guide).
const LISTEN: Duration = Duration::from_secs(5);
/// Between two looks at a checkpoint that has not arrived.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pauses that are made again because the process stood still, and nothing came in meanwhile.
const PAUSES_MAX: u32 = 3;

/// What of this function's memory is about listening: until when it has listened, in milliseconds. A backlog is not listened
/// through once a batch.
#[derive(Debug)]
pub(super) struct Listening(AtomicI64);

impl Default for Listening {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

/// Whether there is something late among the changes.
pub(super) fn is_late(changes: &[Change], now: Timestamp) -> bool {
    changes.iter().any(|change| match (&change.old, &change.new) {
        (None, Some(Image::Anomaly(found))) => is_past(found.detected_at.millis(), LATE, now),
        _ => false,
    })
}

/// Whether one of the times at which something was due is long past.
pub(super) fn is_overdue(mut due: impl Iterator<Item = Timestamp>, now: Timestamp) -> bool {
    due.any(|at| is_past(at.millis(), OVERDUE, now))
}

fn is_past(from_ms: i64, bound: Duration, now: Timestamp) -> bool {
    u128::try_from(now.millis().saturating_sub(from_ms)).is_ok_and(|age_ms| age_ms >= bound.as_millis())
}

impl Listening {
    /// Whether it has not been listened a moment ago.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        is_past(self.0.load(Ordering::Relaxed), LATE, now)
    }

    /// Waits, for a part of the time that there is at the most.
    pub(super) async fn listen(&self, now: Timestamp, remaining: Duration) {
        let (began, pause) = (Instant::now(), LISTEN.min(remaining / 4));
        let pause_ms = pause.as_millis() as u64;
        tracing::info!(pause_ms, "something is late: listening who has the say before it is told");
        for _ in 0..PAUSES_MAX {
            let began = Instant::now();
            sleep(pause).await;
            if began.elapsed() < pause + STOOD_STILL {
                break;
            }
        }
        self.0.store(now.millis().saturating_add(began.elapsed().as_millis() as i64), Ordering::Relaxed);
    }
}

/// Of each shard that `stream` has in another region than `here`: the newest record in which something among the changes was found.
pub(super) fn found_elsewhere(changes: &[Change], here: &str, stream: &str) -> BTreeMap<ShardId, SequenceNumber> {
    let mut newest: BTreeMap<ShardId, SequenceNumber> = BTreeMap::new();
    for change in changes {
        if let (None, Some(Image::Anomaly(found))) = (&change.old, &change.new)
            && let Some(shard) = shard_of(&found.shard).filter(|shard| shard.region != here && shard.stream == stream)
        {
            let seq = newest.entry(shard).or_insert(found.seq);
            *seq = found.seq.max(*seq);
        }
    }
    newest
}

/// Waits until the checkpoints of these records are here, for some seconds at the most. The newest epoch that they tell of.
pub(super) async fn hear<W: LoadCheckpoint + Sync>(
    world: &W,
    found: &BTreeMap<ShardId, SequenceNumber>,
    remaining: Duration,
) -> Result<u64, StoreError> {
    let until = Instant::now() + LISTEN.min(remaining / 4);
    loop {
        let (mut newest, mut is_heard) = (0, true);
        for (shard, seq) in found {
            let checkpoint = world.load_checkpoint(shard).await?;
            is_heard &= checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.last_seq >= *seq);
            newest = newest.max(checkpoint.map_or(0, |checkpoint| checkpoint.epoch));
        }
        if is_heard || Instant::now() >= until {
            return Ok(newest);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// `region/stream/shard`, as a finding names it. What batch inference has found is of no shard, and of no epoch.
fn shard_of(name: &str) -> Option<ShardId> {
    let mut parts = name.splitn(3, '/').map(str::to_owned);
    let (region, stream, shard) = (parts.next()?, parts.next()?, parts.next()?);
    Some(ShardId { region, stream, shard })
}
