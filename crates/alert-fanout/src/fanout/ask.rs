//! Asking the other region itself, in the tables of that region, which are read consistently there.
//!
//! Replication brings who has the say, and what was told, a second or so later and in no order (DynamoDB Developer Guide, "How
//! DynamoDB global tables work"); it may be much later where it has to catch up. A read across regions takes a tenth of a second. It is
//! made before people are told, which is seldom; so it costs next to nothing.
//!
//! - *Who has the say*: a region that was cut off, and goes on where it was, is quiet from its first message on.
//! - *What was told*: a region that has got the say, or has it again, waits until what the other one has told of the same anomalies is
//!   known here. What is late, what the other one has found, and the first minute after a move are looked at in this way.
//! - *What is to be told*: a message is sent when its claim is known over there, so that a region that is lost right after it leaves the
//!   other one the same incident and the same number. That one may send it again, and whoever gets both knows them for one.
//!
//! Who cannot be asked may be gone: see [`super::listen`] for what is done then.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anomaly_core::Timestamp;
use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesUnordered;
use platform::model::{Change, EntryKey, Image};
use platform::ports::{LoadEntry, LoadEpoch, StoreError, StoreErrorKind};
use tokio::time::{Instant, sleep, timeout};

use super::READS_AT_ONCE;
use crate::active::{Known, who_has_say};
use crate::delivery::Claimed;
use crate::place;

/// How long an answer is waited for. A read across regions takes some tenths of a second at the most.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Reads across regions at the same time: what a full batch tells of is read several times over within the time for an answer.
const ACROSS_AT_ONCE: usize = 64;
/// How long one that did not answer is not asked again, and one that replication is late to not waited for: most of a backlog is not
/// told in the time for asking.
const LEFT_ALONE: Duration = Duration::from_secs(20);
/// How long what the other region is known to have told is waited for.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// How long after a move what the other region has told may be on its way still.
const FRESH: Duration = Duration::from_mins(1);
/// How long a message waits until it is known over there, commonly a second or less.
const ARRIVE_MAX: Duration = Duration::from_secs(5);
/// Who has not looked for so long looks once more who has the say: the process may have stood still.
pub(super) const STOOD_STILL: Duration = Duration::from_secs(2);
/// How much later than its time an answer is given up on a busy machine. Whoever finds that more has passed has stood still.
const GIVEN_UP_WITHIN: Duration = Duration::from_millis(500);
/// How often a question is put, at the most, where the process stands still over it each time.
pub(super) const TRIES_MAX: u32 = 3;
/// Between two looks at what has not arrived.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The other region of a pair.
#[derive(Debug)]
pub(super) struct Peer<W> {
    world: W,
    /// Until when it is left alone, in milliseconds.
    alone_until: AtomicI64,
    /// Until when nothing is waited for to arrive there, in milliseconds: replication is late.
    late_until: AtomicI64,
}

impl<W: LoadEntry + LoadEpoch + Sync> Peer<W> {
    pub(super) fn new(world: W) -> Self {
        Self { world, alone_until: AtomicI64::new(i64::MIN), late_until: AtomicI64::new(i64::MIN) }
    }

    /// Who tells people, as far as it is known over there. `None`: there is no answer.
    pub(super) async fn ask(&self, stream: Option<&str>, now: Timestamp, remaining: Duration) -> Option<Known> {
        if is_before(now, &self.alone_until) {
            return None;
        }
        self.answer(|| who_has_say(&self.world, stream), now, remaining).await
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
        let unknown = missing(here, witnesses(changes), READS_AT_ONCE).await?;
        if unknown.is_empty() {
            return Ok(());
        }
        let asking = || missing(&self.world, unknown.clone(), ACROSS_AT_ONCE);
        let Some(untold) = self.answer(asking, now, remaining).await else { return Ok(()) };
        let mut awaited: BTreeSet<EntryKey> = unknown.difference(&untold).cloned().collect();
        let told = awaited.len();
        while !awaited.is_empty() && Instant::now() < until {
            sleep(LOOK_EVERY).await;
            awaited = missing(here, awaited, READS_AT_ONCE).await?;
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

    /// Waits until what is to be sent is known over there: the claims, and the incidents that they were written with. Where it does
    /// not arrive in time, or nobody answers, it is sent all the same.
    pub(super) async fn until_known(&self, claimed: &[Claimed], now: Timestamp, remaining: Duration) {
        if claimed.is_empty() || is_before(now, &self.alone_until) || is_before(now, &self.late_until) {
            return;
        }
        let until = Instant::now() + ARRIVE_MAX.min(remaining / 4);
        let mut under_way: BTreeMap<EntryKey, u64> = claimed.iter().flat_map(Claimed::written).collect();
        loop {
            let asking = || not_yet(&self.world, under_way.clone(), ACROSS_AT_ONCE);
            let Some(left) = self.answer(asking, now, remaining).await else { return };
            if left.is_empty() {
                return;
            }
            if Instant::now() >= until {
                tracing::warn!(
                    messages = claimed.len(),
                    missing = left.len(),
                    "replication is late: people are told of what the other region does not know yet"
                );
                leave(&self.late_until, now);
                return;
            }
            under_way = left;
            sleep(LOOK_EVERY).await;
        }
    }

    /// An answer of the other region. Who stands still over a question, as a machine that is cut off may, finds an old answer in its
    /// hands or its time over, and has learnt nothing either way: it asks again.
    async fn answer<T, A>(&self, asking: impl Fn() -> A, now: Timestamp, remaining: Duration) -> Option<T>
    where
        A: Future<Output = Result<T, StoreError>>,
    {
        let bound = ANSWER_MAX.min(remaining / 4);
        for _ in 0..TRIES_MAX {
            let began = Instant::now();
            let answer = timeout(bound, asking()).await;
            if began.elapsed() > bound + GIVEN_UP_WITHIN {
                tracing::warn!("this process stood still over a question to the other region");
                continue;
            }
            match answer {
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
            leave(&self.alone_until, now);
            return None;
        }
        None
    }
}

fn is_before(now: Timestamp, until: &AtomicI64) -> bool {
    now.millis() < until.load(Ordering::Relaxed)
}

fn leave(until: &AtomicI64, now: Timestamp) {
    until.store(now.millis().saturating_add(LEFT_ALONE.as_millis() as i64), Ordering::Relaxed);
}

/// When it was last asked who has the say. What was found is as old as the question.
#[derive(Debug, Default)]
pub(super) struct Confirmed(Mutex<Option<(Instant, Timestamp)>>);

impl Confirmed {
    /// It was asked when `began` was, about `now`, and people may be told.
    pub(super) fn confirm(&self, began: Instant, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((began, now));
    }

    /// The time it is by now, if that was too long ago.
    pub(super) fn outdated(&self) -> Option<Timestamp> {
        let (at, now) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = at.elapsed();
        let millis = now.millis().saturating_add(passed.as_millis() as i64);
        (passed >= STOOD_STILL).then(|| Timestamp::from_millis(millis).unwrap_or(now))
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

/// Those of the entries that are not there.
async fn missing<W: LoadEntry + Sync>(
    world: &W,
    keys: BTreeSet<EntryKey>,
    at_once: usize,
) -> Result<BTreeSet<EntryKey>, StoreError> {
    let any = keys.into_iter().map(|key| (key, 0)).collect();
    Ok(not_yet(world, any, at_once).await?.into_keys().collect())
}

/// Those of the entries that are not there in their version or a later one, read some at a time.
async fn not_yet<W: LoadEntry + Sync>(
    world: &W,
    entries: BTreeMap<EntryKey, u64>,
    at_once: usize,
) -> Result<BTreeMap<EntryKey, u64>, StoreError> {
    let (mut reading, mut left) = (FuturesUnordered::new(), BTreeMap::new());
    for (key, version) in entries {
        if reading.len() >= at_once {
            left.extend(reading.try_next().await?.flatten());
        }
        reading.push(async move {
            let there = world.load_entry(&key).await?;
            Ok::<_, StoreError>(there.is_none_or(|there| there.version < version).then_some((key, version)))
        });
    }
    while let Some(read) = reading.try_next().await? {
        left.extend(read);
    }
    Ok(left)
}
