//! Which region tells people.
//!
//! In a pair of regions both have every anomaly, by replication or because both find it. One of them tells: the one that the
//! item says. It alone writes incidents too, because of two writers to a global table the later one wins, whatever the
//! conditions said (DynamoDB Developer Guide, "Global tables"). The other has its incidents by replication, so that after a switch
//! it knows what was told.

use anomaly_core::Timestamp;
use platform::model::{Entry, EntryChange};
use platform::ports::{ChangeEntries, ChangeError, LoadEntry, LoadEpoch, StoreError};
use serde::{Deserialize, Serialize};

use crate::body::body;
use crate::place;

/// Who has the say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// The region that tells people.
    pub region: String,
    /// Counts the switches.
    pub epoch: u64,
    /// Since when.
    pub since: Timestamp,
}

/// Who has the say; `None` where there was never more than one region.
///
/// # Errors
/// The store's, or a permanent one when the item is not to be read.
pub async fn load<W: LoadEntry + Sync>(world: &W) -> Result<Option<(Active, u64)>, StoreError> {
    let Some(entry) = world.load_entry(&place::active()).await? else { return Ok(None) };
    let active = serde_json::from_value(entry.body).map_err(|error| {
        StoreError::permanent("read the active region", place::active().pk, format!("{error}; write the item anew"))
    })?;
    Ok(Some((active, entry.version)))
}

/// Who is to tell people, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The region; `None` where there was never more than one.
    pub region: Option<String>,
    /// The newest epoch of the stream that is known; 0 before the first.
    pub epoch: u64,
    /// Since when that region is to tell them.
    pub since: Option<Timestamp>,
}

impl Known {
    /// Whether this knows of a later move.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.epoch, self.since) > (other.epoch, other.since)
    }
}

/// The region that is to tell people.
///
/// A move writes twice who has the say: here, and as the epoch of the stream, in another table. The newer of the two holds, so that
/// a region that was cut off is quiet as soon as either has reached it.
///
/// # Errors
/// As [`load`].
pub async fn who_has_say<W>(world: &W, stream: Option<&str>) -> Result<Known, StoreError>
where
    W: LoadEntry + LoadEpoch + Sync,
{
    let epoch = match stream {
        Some(stream) => world.load_epoch(stream).await?,
        None => None,
    };
    let number = epoch.as_ref().map_or(0, |epoch| epoch.epoch);
    let active = load(world).await?.map(|(active, _)| (active.region, active.since));
    let epoch = epoch.map(|epoch| (epoch.active, epoch.since));
    let newest = match (active, epoch) {
        (Some(active), Some(epoch)) => Some(if epoch.1 >= active.1 { epoch } else { active }),
        (active, epoch) => active.or(epoch),
    };
    let (region, since) = newest.unzip();
    Ok(Known { region, epoch: number, since })
}

/// Gives a region the say. `false`: it has it already. Safe to repeat.
///
/// # Errors
/// The store's; a transient one where somebody else switches at the same time.
pub async fn switch<W>(world: &W, region: &str, now: Timestamp) -> Result<bool, StoreError>
where
    W: LoadEntry + ChangeEntries + Sync,
{
    let before = load(world).await?;
    if before.as_ref().is_some_and(|(active, _)| active.region == region) {
        return Ok(false);
    }
    let epoch = before.as_ref().map_or(1, |(active, _)| active.epoch + 1);
    let expected = before.map(|(_, version)| version);
    let active = Active { region: region.to_owned(), epoch, since: now };
    let key = place::active();
    let body = body(&key, &active)?;
    let entry = Entry { key, version: expected.unwrap_or(0) + 1, due: None, day: None, expires_at: None, body };
    match world.change_entries(&[EntryChange { entry: &entry, expected }]).await {
        Ok(()) => Ok(true),
        Err(ChangeError::Store(error)) => Err(error),
        Err(other) => Err(StoreError {
            kind: platform::ports::StoreErrorKind::Throttled,
            ..StoreError::permanent("switch the active region", region, other.to_string())
        }),
    }
}
