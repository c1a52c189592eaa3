//! One notice on its way over one channel: from the claim to the end, kept in the table.
//!
//! A delivery is written together with the change of the incident that it tells of, so that there is none without the other.
//! Who wrote it has claimed it: until the claim runs out nobody else sends. After that, or when a try has failed, the tick
//! claims it anew. So a message is sent at least once, and by two at a time only if a sender outlives its claim.

use std::time::Duration;

use anomaly_core::Timestamp;
use platform::model::{Entry, EntryKey};
use platform::ports::StoreError;
use serde::{Deserialize, Serialize};

use crate::body::body;
use crate::channel::{FailureKind, Receipt, SendError};
use crate::message::Message;
use crate::place;

/// How long it is tried: after that nobody would look at the message any more.
pub const TRIED_FOR: Duration = Duration::from_hours(6);
/// The first pause; each is twice the one before.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest pause, and the pause after a mistake that a person has to mend.
const PAUSE_MAX: Duration = Duration::from_mins(15);
/// How long what became of it is kept.
const KEPT_DAYS: i64 = 30;

/// What is kept of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Over which channel, as the profile calls it.
    pub channel: String,
    /// What is told.
    pub message: Message,
    /// When it was written.
    pub created: Timestamp,
    /// How often it was claimed, the one under way included.
    pub tries: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not taken over yet: somebody has claimed it, or it waits for its next try.
    Pending,
    /// The far side has taken it over.
    Sent {
        /// When.
        at: Timestamp,
        /// What the far side calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
    },
    /// It is not tried any more.
    Failed {
        /// Since when.
        at: Timestamp,
    },
}

/// A delivery where it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Where.
    pub key: EntryKey,
    /// The version that it has there.
    pub version: u64,
    /// It.
    pub delivery: Delivery,
    /// What it is written with, an incident or a tenant's budget, and the version that this has then; a claim alone has nothing.
    pub beside: Option<(EntryKey, u64)>,
}

impl Claimed {
    /// A new one, claimed by who writes it, and what it is written with.
    #[must_use]
    pub fn new(key: EntryKey, channel: &str, message: Message, beside: (EntryKey, u64), now: Timestamp) -> Self {
        let delivery = Delivery {
            channel: channel.to_owned(),
            message,
            created: now,
            tries: 1,
            state: DeliveryState::Pending,
            error: None,
        };
        Self { key, version: 1, delivery, beside: Some(beside) }
    }

    /// The claim of one that is stored, of what was due by then; `None` where there is nothing left to send, or somebody else has it.
    ///
    /// # Errors
    /// What is stored is no delivery.
    pub fn again(entry: &Entry, then: Timestamp) -> Result<Option<Self>, serde_json::Error> {
        let mut delivery: Delivery = serde_json::from_value(entry.body.clone())?;
        let is_due = entry.due.as_ref().is_some_and(|due| due.at <= then);
        if delivery.state != DeliveryState::Pending || !is_due {
            return Ok(None);
        }
        delivery.tries = delivery.tries.saturating_add(1);
        Ok(Some(Self { key: entry.key.clone(), version: entry.version + 1, delivery, beside: None }))
    }

    /// Where what was written stands, with its versions.
    pub fn written(&self) -> impl Iterator<Item = (EntryKey, u64)> {
        std::iter::once((self.key.clone(), self.version)).chain(self.beside.clone())
    }

    /// As it is stored while it is claimed; `claim` is how long the claim holds.
    ///
    /// # Errors
    /// A permanent one where it has no form in JSON.
    pub fn entry(&self, now: Timestamp, claim: Duration) -> Result<Entry, StoreError> {
        let due = later(now, claim);
        self.stored(if tooth!("never-due-again") { None } else { Some(due) }, now)
    }

    /// Given back without a try: whoever comes next may have it.
    ///
    /// # Errors
    /// A permanent one where it has no form in JSON.
    pub fn released(&self, now: Timestamp) -> Result<Entry, StoreError> {
        let mut after = Self { version: self.version + 1, ..self.clone() };
        after.delivery.tries = after.delivery.tries.saturating_sub(1);
        after.stored(Some(now), now)
    }

    /// What came of the try.
    ///
    /// # Errors
    /// A permanent one where it has no form in JSON.
    pub fn settled(&self, outcome: Result<Receipt, SendError>, now: Timestamp) -> Result<Entry, StoreError> {
        let mut after = Self { version: self.version + 1, ..self.clone() };
        let next = match outcome {
            Ok(receipt) => {
                after.delivery.state = DeliveryState::Sent { at: now, receipt: receipt.id };
                after.delivery.error = receipt.note;
                None
            }
            Err(error) => {
                after.delivery.error = Some(error.to_string());
                let next = self.pause(error.kind()).map(|pause| later(now, pause));
                let last = later(self.delivery.created, TRIED_FOR);
                let next = next.filter(|next| *next <= last);
                if next.is_none() {
                    after.delivery.state = DeliveryState::Failed { at: now };
                }
                next
            }
        };
        after.stored(next, now)
    }

    /// How long to wait after a failure; `None`: trying again is no use.
    ///
    /// Pauses of deliveries that failed together are spread by a quarter, by their keys, so that they do not come together
    /// again.
    fn pause(&self, kind: FailureKind) -> Option<Duration> {
        let doubled = PAUSE_MIN.saturating_mul(1 << self.delivery.tries.saturating_sub(1).min(10));
        let pause = match kind {
            FailureKind::Refused => return None,
            FailureKind::Misconfigured => PAUSE_MAX,
            FailureKind::Retry { after } => doubled.min(PAUSE_MAX).max(after.unwrap_or_default()),
        };
        let spread = self
            .key
            .sk
            .bytes()
            .chain(self.key.pk.bytes())
            .fold(self.delivery.tries, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Some(pause + pause.mul_f64(f64::from(spread % 256) / 1_024.0))
    }

    fn stored(&self, due: Option<Timestamp>, now: Timestamp) -> Result<Entry, StoreError> {
        let tenant = &self.delivery.message.tenant;
        // Found by day only if a person may have to look at it.
        let troubled = self.delivery.error.is_some();
        Ok(Entry {
            key: self.key.clone(),
            version: self.version,
            due: due.map(|at| place::due(tenant, at)),
            day: troubled.then(|| place::day(tenant, self.delivery.created)),
            expires_at: Some(now.millis() / 1_000 + KEPT_DAYS * 86_400),
            body: body(&self.key, &self.delivery)?,
        })
    }
}

/// An instant after another; the last one that there is where it would be beyond.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.millis().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}
