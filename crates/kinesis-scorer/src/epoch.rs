//! Which region has the say over a stream, as far as this process knows.
//!
//! It is read once, before the first shard is restored. After that every commit has the condition that no newer epoch has
//! begun where it is made, so that a warm batch has no call more; a commit that is refused makes the process read it again.
//! Without another region nothing is read and no commit has the condition.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anomaly_core::Timestamp;
use platform::model::{Epoch, EpochGuard, ShardId};
use platform::ports::{LoadEpoch, StoreError};

use crate::restore::Warm;

/// What this region is to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The newest epoch that is known; 0 when nobody was ever told to take over.
    pub epoch: u64,
    /// Whether this region has the say: it is the one named, or nobody was ever named.
    pub active: bool,
    /// When the epoch began.
    pub since: Timestamp,
}

impl Standing {
    /// Before the first epoch.
    pub const NONE: Self = Self { epoch: 0, active: true, since: Timestamp::MIN };

    /// Of a region in an epoch.
    #[must_use]
    pub fn of(region: &str, epoch: Option<&Epoch>) -> Self {
        epoch.map_or(Self::NONE, |epoch| Self {
            epoch: epoch.epoch,
            active: epoch.active == region && !epoch.is_fenced,
            since: epoch.since,
        })
    }
}

/// The standings that a process knows, by stream. A function reads one stream, so there is one, rarely two.
#[derive(Debug, Default)]
pub(crate) struct Standings(Mutex<BTreeMap<String, Standing>>);

impl Standings {
    /// What is known, or what is read now; and the calls it took.
    pub(crate) async fn of<W: LoadEpoch + Sync>(
        &self,
        world: &W,
        shard: &ShardId,
    ) -> Result<(Standing, u64), StoreError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&shard.stream).copied();
        if let Some(known) = known {
            return Ok((known, 0));
        }
        let read = Standing::of(&shard.region, world.load_epoch(&shard.stream).await?.as_ref());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(shard.stream.clone(), read);
        Ok((read, 1))
    }

    /// A newer epoch has begun than the one that was known.
    pub(crate) fn forget(&self, stream: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(stream);
    }
}

/// The condition of a commit of this state, where there is another region.
pub(crate) fn guard<'s>(shard: &'s ShardId, warm: &Warm, peer: Option<&str>) -> Option<EpochGuard<'s>> {
    let guard = EpochGuard { stream: &shard.stream, newest: warm.newest };
    peer.filter(|_| !tooth!("stale-epoch-commits")).map(|_| guard)
}

/// The epoch that device states are made in which come from this state: one of an older epoch never replaces one of a newer.
pub(crate) fn made_in(warm: &Warm) -> u64 {
    if tooth!("states-of-any-epoch") { 0 } else { warm.epoch }
}
