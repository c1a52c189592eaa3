//! What was done of a move, kept in the Region that takes over.
//!
//! The record is one entry of the results table under its version: two who move at once do not both go on. A step that was done
//! and whose record was lost is done again, which changes nothing.

use anomaly_core::Timestamp;
use platform::model::{Entry, EntryChange, EntryKey};
use platform::ports::{ChangeEntries, ChangeError, ListEntries, LoadEntry, Order, StoreError};
use serde::{Deserialize, Serialize};

use crate::error::MoveError;

/// Why it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The other Region is lost, or is to be left.
    Failover,
    /// Back to the Region it came from, which is well again.
    Failback,
}

impl Purpose {
    /// Its name, as it is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Failback => "failback",
        }
    }
}

/// The steps of a move, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// What both Regions saw is brought together. Only on the way back.
    Reconcile,
    /// The Region that is left learns that it has not the say any more, if it answers.
    Fence,
    /// What it has committed is waited for, within a bound.
    Drain,
    /// The bytes that its checkpoints stand on are looked at, and waited for within a bound.
    Pieces,
    /// The Region that takes over has the say: its scorer adopts.
    TakeOver,
    /// It tells people from here on.
    Alerting,
    /// Devices learn where to send.
    Devices,
    /// A pulse in each shard is scored and committed in the new epoch.
    Verify,
    /// What was found and not told is told.
    Tick,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Reconcile,
        Self::Fence,
        Self::Drain,
        Self::Pieces,
        Self::TakeOver,
        Self::Alerting,
        Self::Devices,
        Self::Verify,
        Self::Tick,
    ];

    /// Those of a purpose.
    pub fn of(purpose: Purpose) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |step| purpose == Purpose::Failback || *step != Self::Reconcile)
    }

    /// Its name, as it is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reconcile => "reconcile",
            Self::Fence => "fence",
            Self::Drain => "drain",
            Self::Pieces => "pieces",
            Self::TakeOver => "take-over",
            Self::Alerting => "alerting",
            Self::Devices => "devices",
            Self::Verify => "verify",
            Self::Tick => "tick",
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Done,
    /// The move goes on without it; the evidence says what is missing and what to do.
    Warned,
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub step: Step,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
    /// What was seen.
    pub evidence: String,
}

/// A move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The stream that is moved.
    pub stream: String,
    /// The epoch that it begins.
    pub epoch: u64,
    /// Why.
    pub purpose: Purpose,
    /// The Region that is left.
    pub from: String,
    /// The Region that takes over.
    pub to: String,
    /// When it began.
    pub began: Timestamp,
    /// When the run began that took over, or the newest that did not yet: since then the Region has the say. The scorer's patience
    /// with pieces that are missing counts from here, because the move has waited for them.
    pub since: Timestamp,
    /// From when on devices send once more what they have sent: what the other Region's stream took later may be nowhere else.
    /// `None`: not known yet, or nothing says so, and they send all that they keep.
    #[serde(default)]
    pub resend_from: Option<Timestamp>,
    /// What was done, in order.
    pub steps: Vec<Done>,
    /// When it was done, or given up for another one.
    pub ended: Option<Timestamp>,
    /// Given up for another one before it was done.
    #[serde(default)]
    pub abandoned: bool,
}

const PARTITION: &str = "#move";

impl Move {
    fn key(stream: &str, epoch: u64) -> EntryKey {
        EntryKey::new(PARTITION, format!("{stream}#{epoch:020}"))
    }

    /// What became of a step, if it was done.
    #[must_use]
    pub fn done(&self, step: Step) -> Option<&Done> {
        self.steps.iter().find(|done| done.step == step)
    }
}

/// A move as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The move.
    pub record: Move,
    /// The version it is kept under; `None`: not yet.
    pub version: Option<u64>,
}

/// The newest moves of a stream, as a Region knows them: at most `count_max`.
///
/// # Errors
/// The store's, or a permanent one for a record that cannot be read.
pub async fn newest<S: ListEntries + Sync>(
    stores: &S,
    stream: &str,
    count_max: usize,
) -> Result<Vec<Kept>, StoreError> {
    let entries = stores.list_entries(PARTITION, &format!("{stream}#"), Order::NewestFirst, count_max).await?;
    entries.into_iter().map(kept).collect()
}

fn kept(entry: Entry) -> Result<Kept, StoreError> {
    let (key, version) = (entry.key.to_string(), Some(entry.version));
    let record = serde_json::from_value(entry.body).map_err(|error| {
        StoreError::permanent("read a move", key, format!("{error}; it was written by another release: use that one"))
    })?;
    Ok(Kept { record, version })
}

/// Keeps a move as it is now.
///
/// # Errors
/// [`MoveError::Busy`] when somebody else has changed it, or the store's.
pub(crate) async fn save<S>(stores: &S, kept: &mut Kept) -> Result<(), MoveError>
where
    S: LoadEntry + ChangeEntries + Sync,
{
    let key = Move::key(&kept.record.stream, kept.record.epoch);
    let body = serde_json::to_value(&kept.record)
        .map_err(|error| StoreError::permanent("write a move", key.to_string(), error.to_string()))?;
    let version = kept.version.unwrap_or(0) + 1;
    let entry = Entry { key, version, due: None, day: None, expires_at: None, body };
    match stores.change_entries(&[EntryChange { entry: &entry, expected: kept.version }]).await {
        Ok(()) => {}
        // It may be one's own write, whose answer was lost.
        Err(ChangeError::Moved(_)) => {
            let there = stores.load_entry(&entry.key).await?;
            if there.is_none_or(|there| there.version != version || there.body != entry.body) {
                return Err(MoveError::Busy { to: kept.record.to.clone(), epoch: kept.record.epoch });
            }
        }
        Err(ChangeError::Store(error)) => return Err(error.into()),
        Err(size @ ChangeError::Size(_)) => {
            return Err(StoreError::permanent("write a move", entry.key.to_string(), size.to_string()).into());
        }
    }
    kept.version = Some(version);
    Ok(())
}
