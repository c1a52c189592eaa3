//! What the stream of the results table tells: that an item was changed, and how it was before and after.

use serde::{Deserialize, Serialize};

use super::{AnomalyRecord, Entry, EntryKey, StateRecord};

/// An item at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// An anomaly.
    Anomaly(Box<AnomalyRecord>),
    /// A device's state.
    State(StateRecord),
    /// A document kept under a version.
    Entry(Entry),
    /// An item of a kind that this version does not know.
    Unknown,
}

/// A change of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its key.
    pub key: EntryKey,
    /// Before; `None`: it was not there.
    pub old: Option<Image>,
    /// After; `None`: it was removed, for example because it expired.
    pub new: Option<Image>,
}

/// A change and its place among the changes of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableChange {
    /// Rises with every change; no two have the same.
    pub number: u64,
    /// The change.
    pub change: Change,
}
