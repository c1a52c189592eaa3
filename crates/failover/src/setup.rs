//! The first epoch of a pair.
//!
//! Before it both Regions have the say: both tell people, and nobody knows whose states count. So who makes a pair of two Regions
//! says which of them begins, once; after that it is a move that changes it.

use anomaly_core::Timestamp;
use platform::model::Epoch;
use platform::ports::{BeginEpoch, ChangeEntries, LoadEntry, LoadEpoch, StoreError};

/// Gives a Region the say if none ever had it, in this Region's tables; replication takes it to the other's. Safe to repeat.
/// The Region that has it, and whether that is new.
///
/// # Errors
/// The store's.
pub async fn begin<S>(stores: &S, stream: &str, region: &str, now: Timestamp) -> Result<(String, bool), StoreError>
where
    S: LoadEpoch + BeginEpoch + LoadEntry + ChangeEntries + Sync,
{
    let there = stores.load_epoch(stream).await?;
    let is_new = there.is_none();
    let active = there.map_or_else(|| region.to_owned(), |epoch| epoch.active);
    if is_new {
        stores.begin_epoch(stream, &Epoch { epoch: 1, active: active.clone(), is_fenced: false, since: now }).await?;
    }
    // Apart from the epoch: a run that was cut between the two is finished by the next.
    let has_teller = alert_fanout::active::load(stores).await?.is_some();
    if !has_teller {
        alert_fanout::active::switch(stores, &active, now).await?;
    }
    Ok((active, is_new || !has_teller))
}
