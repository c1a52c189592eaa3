//! Asking the other region itself, in the tables of that region, which are read consistently there.
//!
//! Replication brings who has the say, and what was told, a second or so later and in no order (DynamoDB Developer Guide, "How
//! DynamoDB global tables work"); it may be much later where it has to catch up. A read across regions takes a tenth of a second. It is
//! made before people are told, which is seldom; so it costs next to nothing.
//!
//! - *Who has the say*: a region that was cut off, and goes on where it was, is quiet from its first message on.
//! - *What was told*: a region that has got the say, or has it again, waits until what the other one has told of the same anomalies is
//!   known here. What is late, what the other one has found, and the first minute after a move are looked at in this way.
//!
//! Who cannot be asked may be gone: see [`super::listen`] for what is done then.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesUnordered;
use platform::model::{Change, EntryKey, Image};
use platform::ports::{LoadEntry, LoadEpoch, StoreError, StoreErrorKind};
use tokio::time::{Instant, sleep, timeout};

use super::READS_AT_ONCE;
use crate::active::{Known, who_has_say};
use crate::place;

/// How long an answer is waited for. A read across regions takes some tenths of a second at the most.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long one that did not answer is not asked again: most of a backlog is not told in the time for asking.
const LEFT_ALONE: Duration = Duration::from_secs(20);
/// How long what the other region is known to have told is waited for.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// How long after a move what the other region has told may be on its way still.
const FRESH: Duration = Duration::from_mins(1);
/// Between two looks at what has not arrived.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The other region of a pair.
#[derive(Debug)]
pub(super) struct Peer<W> {
    world: W,
    /// Until when it is left alone, in milliseconds.
    alone_until: AtomicI64,
}

impl<W: LoadEntry + LoadEpoch + Sync> Peer<W> {
    pub(super) fn new(world: W) -> Self {
        Self { world, alone_until: AtomicI64::new(i64::MIN) }
    }

    /// Who tells people, as far as it is known over there. `None`: there is no answer.
    pub(super) async fn ask(&self, stream: Option<&str>, now: Timestamp, remaining: Duration) -> Option<Known> {
        if now.millis() < self.alone_until.load(Ordering::Relaxed) {
            return None;
        }
        self.answer(who_has_say(&self.world, stream), now, remaining).await
    }

    /// Waits until what the other region has told of these changes is known here: its witnesses, and the incidents that were written
    /// with them. They are bound to arrive as long as that region is there. What has not arrived in time is told, again.
    ///
    /// # Errors
    /// The store's, of this region.
    pub(super) async fn catch_up(
        &self,
        here: &W,
        changes: &[Change],
        now: Timestamp,
        remaining: Duration,
    ) -> Result<(), StoreError> {
        let until = Instant::now() + CATCH_UP_MAX.min(remaining / 3);
        let unknown = missing(here, witnesses(changes)).await?;
        if unknown.is_empty() {
            return Ok(());
        }
        let Some(untold) = self.answer(missing(&self.world, unknown.clone()), now, remaining).await else {
            return Ok(());
        };
        let mut awaited: BTreeSet<EntryKey> = unknown.difference(&untold).cloned().collect();
        let told = awaited.len();
        while !awaited.is_empty() && Instant::now() < until {
            sleep(LOOK_EVERY).await;
            awaited = missing(here, awaited).await?;
        }
        if !awaited.is_empty() {
            tracing::warn!(
                told,
                missing = awaited.len(),
                "the other region has told of anomalies, and that has not been replicated"
            );
        }
        Ok(())
    }

    async fn answer<T>(
        &self,
        asking: impl Future<Output = Result<T, StoreError>>,
        now: Timestamp,
        remaining: Duration,
    ) -> Option<T> {
        match timeout(ANSWER_MAX.min(remaining / 4), asking).await {
            Ok(Ok(answer)) => return Some(answer),
            // Nobody is gone: a permission or a name is wrong.
            Ok(Err(error)) if error.kind == StoreErrorKind::Permanent => {
                tracing::error!(error = &error as &dyn StdError, "the other region must not be asked");
            }
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn StdError, "the other region does not say what it knows");
            }
            Err(_elapsed) => tracing::warn!("the other region does not say what it knows in time"),
        }
        self.alone_until.store(now.millis().saturating_add(LEFT_ALONE.as_millis() as i64), Ordering::Relaxed);
        None
    }
}

/// Whether the say was given to whoever has it only just now.
pub(super) fn is_fresh(known: &Known, now: Timestamp) -> bool {
    let age_ms = known.since.map_or(i64::MAX, |since| now.millis().saturating_sub(since.millis()));
    u128::try_from(age_ms).is_ok_and(|age_ms| age_ms < FRESH.as_millis())
}

/// Where it would stand that somebody was told of the anomalies among the changes.
fn witnesses(changes: &[Change]) -> BTreeSet<EntryKey> {
    let found = changes.iter().filter_map(|change| match (&change.old, &change.new) {
        (None, Some(Image::Anomaly(found))) => Some(&found.anomaly),
        _ => None,
    });
    found.map(|anomaly| place::witness(&anomaly.tenant, &anomaly.device, &anomaly.id)).collect()
}

/// Those of the entries that are not there, read some at a time.
async fn missing<W: LoadEntry + Sync>(world: &W, keys: BTreeSet<EntryKey>) -> Result<BTreeSet<EntryKey>, StoreError> {
    let (mut reading, mut missing) = (FuturesUnordered::new(), BTreeSet::new());
    for key in keys {
        if reading.len() >= READS_AT_ONCE {
            missing.extend(reading.try_next().await?.flatten());
        }
        reading.push(async move { Ok::<_, StoreError>(world.load_entry(&key).await?.is_none().then_some(key)) });
    }
    while let Some(read) = reading.try_next().await? {
        missing.extend(read);
    }
    Ok(missing)
}
