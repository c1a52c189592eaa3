//! Listening before telling what is late, or what another region has found.
//!
//! A region that was cut off goes on where it was: with a backlog, and believing that it has the say. That another region has it
//! now comes by replication, a second or so after the two hear each other again, in no order with what that region has found
//! meanwhile (DynamoDB Developer Guide, "How DynamoDB global tables work": items are replicated one by one). Who would tell of the
//! one before it has heard the other tells what has been told.
//!
//! What a region missed is late when it comes, or comes from the other one, so that this is where it listens: it waits, and asks once
//! more who has the say. What it found itself and tells in time is never held up by this, and a region without a peer does not listen.
//! Devices that publish to both are found by both, and here first: a finding takes as long to be replicated as anything.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::model::{Change, Image};

/// From this age on a finding is late: some ten times what lies between a reading's arrival and its message.
const LATE: Duration = Duration::from_secs(10);
/// From this on something due is: the schedule looks every minute.
const OVERDUE: Duration = Duration::from_secs(90);
/// How long is listened: some times what replication takes, commonly a second or less (same guide).
const LISTEN: Duration = Duration::from_secs(5);
/// How long what was heard counts. A backlog is not listened through once a batch.
const HEARD: Duration = Duration::from_secs(30);

/// What of this function's memory is about listening.
#[derive(Debug)]
pub(super) struct Listening(AtomicI64);

impl Default for Listening {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Listening {
    /// Whether there is something among the changes that is late, or that was not found `here`.
    pub(super) fn is_due_for(&self, changes: &[Change], here: &str, now: Timestamp) -> bool {
        let found = changes.iter().filter_map(|change| match (&change.old, &change.new) {
            (None, Some(Image::Anomaly(found))) => {
                let is_here = found.shard.split('/').next() == Some(here);
                Some(if is_here { found.detected_at } else { Timestamp::MIN })
            }
            _ => None,
        });
        self.is_due(found, LATE, now)
    }

    /// The same for things that were due at these times.
    pub(super) fn is_due_since(&self, due: impl Iterator<Item = Timestamp>, now: Timestamp) -> bool {
        self.is_due(due, OVERDUE, now)
    }

    fn is_due(&self, times: impl Iterator<Item = Timestamp>, bound: Duration, now: Timestamp) -> bool {
        let is_past = |from_ms: i64, bound: Duration| {
            u128::try_from(now.millis().saturating_sub(from_ms)).is_ok_and(|age_ms| age_ms >= bound.as_millis())
        };
        is_past(self.0.load(Ordering::Relaxed), HEARD)
            && times.min().is_some_and(|oldest| is_past(oldest.millis(), bound))
    }

    /// Waits, for a part of the time that there is at the most.
    pub(super) async fn listen(&self, now: Timestamp, remaining: Duration) {
        let pause = LISTEN.min(remaining / 4);
        tracing::info!(
            pause_ms = pause.as_millis() as u64,
            "something is late: listening who has the say before it is told"
        );
        tokio::time::sleep(pause).await;
        self.0.store(now.millis(), Ordering::Relaxed);
    }
}
