//! The pair's card: what the two Regions are called and where they are found.
//!
//! Names come from stacks, and stacks from a control plane. In the hour of need neither may answer, so the card is written when
//! all is well (`millrace dr sync`), lies in the results table of both Regions, and is all that a move reads.

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::Timestamp;
use platform::model::{Entry, EntryChange, EntryKey};
use platform::ports::{ChangeEntries, ChangeError, LoadEntry, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};

/// Both Regions of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCard {
    /// The environment.
    pub environment: String,
    /// When this was written.
    pub written: Timestamp,
    /// By the Region's name.
    pub regions: BTreeMap<String, RegionCard>,
    /// Tenants whose devices are told.
    pub tenants: BTreeSet<String>,
}

/// One Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionCard {
    /// The lake.
    pub lake: String,
    /// The stream.
    pub stream: String,
    /// Where devices connect to: `DescribeEndpoint` of `iot:Data-ATS`.
    pub devices_endpoint: String,
    /// The function that tells people.
    pub fanout: String,
}

/// Where the card lies. No tenant's name begins with `#`.
#[must_use]
pub fn place() -> EntryKey {
    EntryKey::new("#pair", "card")
}

/// The card, and the version it is kept under.
///
/// # Errors
/// The store's, or a permanent one when it cannot be read.
pub async fn load<S: LoadEntry + Sync>(stores: &S) -> Result<Option<(PairCard, u64)>, StoreError> {
    let Some(entry) = stores.load_entry(&place()).await? else { return Ok(None) };
    let card = serde_json::from_value(entry.body).map_err(|error| {
        StoreError::permanent(
            "read the pair's card",
            place().to_string(),
            format!("{error}; write it anew by `millrace dr sync`"),
        )
    })?;
    Ok(Some((card, entry.version)))
}

/// Keeps the card, unless one that says the same is there. `false`: it is.
///
/// # Errors
/// The store's; a transient one where somebody else writes at the same time.
pub async fn save<S: LoadEntry + ChangeEntries + Sync>(stores: &S, card: &PairCard) -> Result<bool, StoreError> {
    // What cannot be read is written over: that is its remedy.
    let there = stores.load_entry(&place()).await?;
    let former = there.as_ref().and_then(|entry| serde_json::from_value::<PairCard>(entry.body.clone()).ok());
    if former.is_some_and(|former| PairCard { written: card.written, ..former } == *card) {
        return Ok(false);
    }
    let body = serde_json::to_value(card)
        .map_err(|error| StoreError::permanent("write the pair's card", place().to_string(), error.to_string()))?;
    let expected = there.map(|entry| entry.version);
    let entry =
        Entry { key: place(), version: expected.unwrap_or(0) + 1, due: None, day: None, expires_at: None, body };
    match stores.change_entries(&[EntryChange { entry: &entry, expected }]).await {
        Ok(()) => Ok(true),
        Err(ChangeError::Store(error)) => Err(error),
        Err(other) => Err(StoreError {
            kind: StoreErrorKind::Throttled,
            ..StoreError::permanent("write the pair's card", place().to_string(), other.to_string())
        }),
    }
}
