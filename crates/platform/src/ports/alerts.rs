//! The verbs of alerting: documents kept under a version, what is due, and what has changed.

use std::future::Future;

use anomaly_core::Timestamp;

use super::{
    FindAnomalies, GetDeviceState, GetObject, GetTagged, ListCheckpoints, ListObjects, LoadCheckpoint, LoadEpoch,
    StoreError, StoreErrorKind,
};
use crate::model::{Entry, EntryChange, EntryKey, TRANSACTION_ITEMS_MAX, TableChange};

/// Reads one entry, strongly consistent for what was written in this region.
pub trait LoadEntry {
    /// `None`: there is no entry of that key.
    fn load_entry(&self, key: &EntryKey) -> impl Future<Output = Result<Option<Entry>, StoreError>> + Send;
}

/// In which order of their sort keys entries are listed. Keys that begin with a time are in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// The lowest sort key first.
    OldestFirst,
    /// The highest sort key first.
    NewestFirst,
}

/// Lists the entries of a partition whose sort keys begin so, strongly consistent for what was written in this region.
pub trait ListEntries {
    /// At most `count_max`, in the order asked for. An empty beginning stands for all. Anomalies and states are not among
    /// them.
    fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
}

/// Why no entry was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else changed these: load them and decide anew. Indexes into the changes. It may be that an earlier try of
    /// one's own has happened, whose answer was lost.
    #[error("{} entries are not as expected: somebody else changed them", .0.len())]
    Moved(Vec<usize>),
    /// More than [`TRANSACTION_ITEMS_MAX`] changes, or none.
    #[error("a transaction changes 1 to {TRANSACTION_ITEMS_MAX} entries, not {0}")]
    Size(usize),
    /// The store failed, or an entry does not keep its bounds (permanent). When transient, it may have happened all the
    /// same: the versions tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChangeError {
    /// Whether trying the same again can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// Changes entries: all of them or none.
///
/// Conditions: each entry has the expected version, or is not there where none is expected. Applying the same changes again
/// is refused by the conditions, so that repeating is safe. One change alone costs half of what it costs in a transaction.
///
/// Conditions hold where the change is made: what another region has written counts once it is replicated.
pub trait ChangeEntries {
    /// Tries once.
    fn change_entries(&self, changes: &[EntryChange<'_>]) -> impl Future<Output = Result<(), ChangeError>> + Send;
}

/// Finds entries that something is to be done about. It may be late: the index follows the table within a second or so, so
/// an entry may be missing that has just become due, or be found as it was before its last change. Whoever acts on it
/// changes it on condition of its version.
pub trait FindDue {
    /// Entries of this queue that are due at `until` or before: at most `count_max`, the earliest first.
    fn find_due(
        &self,
        queue: &str,
        until: Timestamp,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
}

/// Lists the entries of a day whose sort keys begin so. It may be late, as [`FindDue`]. What else is found by that day,
/// anomalies above all, is read and passed over: a day of many anomalies is paid for.
pub trait ListDay {
    /// At most `count_max`, the newest first. An empty beginning stands for all.
    fn list_day(
        &self,
        day: &str,
        sk_prefix: &str,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
}

/// Reads the changes of the results table (anomalies, states, entries) in order. Where DynamoDB's stream brings them, this
/// is not needed.
///
/// A change is there as soon as what it tells was committed, and not before. An item that was written as it was is no change.
pub trait ReadChanges {
    /// Those with a number above `after`, at most `count_max`. 0 stands for the oldest that is kept.
    fn read_changes(
        &self,
        after: u64,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<TableChange>, StoreError>> + Send;
}

/// Forgets changes that nobody will read any more. Safe to repeat. Numbers go on rising.
pub trait ForgetChanges {
    /// Those up to and with the number `through`.
    fn forget_changes(&self, through: u64) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// All that alerting needs.
pub trait AlertWorld:
    LoadEntry
    + LoadEpoch
    + ListEntries
    + ChangeEntries
    + FindDue
    + ListDay
    + FindAnomalies
    + GetDeviceState
    + GetObject
    + GetTagged
    + ListObjects
    + ListCheckpoints
    + LoadCheckpoint
    + Send
    + Sync
{
}

impl<W> AlertWorld for W where
    W: LoadEntry
        + LoadEpoch
        + ListEntries
        + ChangeEntries
        + FindDue
        + ListDay
        + FindAnomalies
        + GetDeviceState
        + GetObject
        + GetTagged
        + ListObjects
        + ListCheckpoints
        + LoadCheckpoint
        + Send
        + Sync
{
}

/// What every store checks before it looks at what is there: how many changes there are, and [`EntryChange::check_all`].
///
/// # Errors
/// [`ChangeError::Size`], or a permanent error that names the key and the bound.
pub fn check_changes(changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
    if !(1..=TRANSACTION_ITEMS_MAX).contains(&changes.len()) {
        return Err(ChangeError::Size(changes.len()));
    }
    EntryChange::check_all(changes).map_err(|(key, error)| {
        ChangeError::Store(StoreError {
            kind: StoreErrorKind::Permanent,
            verb: "change entries",
            target: key.to_string(),
            remedy: error.to_string(),
            source: Some(Box::new(error)),
        })
    })
}
