//! What each step does. Each may be done twice, and is whenever its record was lost.

mod arrive;
mod tell;
mod verify;

use anomaly_core::Timestamp;
use platform::model::{Checkpoint, Epoch, ShardId};
use platform::ports::StoreError;

use crate::error::MoveError;
use crate::mover::Mover;
use crate::pieces;
use crate::record::{Move, Outcome, Step};
use crate::side::{Reach, Stores};

/// What became of a step, and what was seen.
type Evidence = (Outcome, String);

fn done(evidence: impl Into<String>) -> Evidence {
    (Outcome::Done, evidence.into())
}

fn warned(evidence: impl Into<String>) -> Evidence {
    (Outcome::Warned, evidence.into())
}

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    pub(crate) async fn step(&self, step: Step, record: &Move) -> Result<Evidence, MoveError> {
        match step {
            Step::Reconcile => self.reconcile(record).await,
            Step::Fence => self.fence(record).await,
            Step::Drain => self.drain().await,
            Step::Pieces => self.pieces().await,
            Step::TakeOver => self.take_over(record).await,
            Step::Alerting => self.alerting(record).await,
            Step::Devices => self.devices(record).await,
            Step::Verify => self.verify(record).await,
            Step::Tick => Ok(self.tick().await),
        }
    }

    /// The epoch of the move.
    fn epoch(record: &Move) -> Epoch {
        Epoch { epoch: record.epoch, active: record.to.clone(), since: record.since }
    }

    /// The one before it, in which nobody has the say: if the fence named the Region that takes over, its scorer would adopt as soon
    /// as replication brings it, before what it is to adopt has arrived. It is of no time, so that who tells people stays who it is.
    fn fencing(record: &Move) -> Epoch {
        Epoch { epoch: record.epoch - 1, active: String::new(), since: Timestamp::MIN }
    }

    /// Best effort: a Region that does not answer learns of the epoch from the tables, and until it has, commits into its own
    /// part of the lake what replication brings or does not (ADR 0010).
    async fn fence(&self, record: &Move) -> Result<Evidence, MoveError> {
        let (stores, region) = (&self.from.stores, &self.from.region);
        let begun = self.ask_from("begin epoch", stores.begin_epoch(&self.stream, &Self::fencing(record))).await;
        match begun {
            Ok(true) => Ok(done(format!("{region} is fenced by epoch {}", record.epoch - 1))),
            Ok(false) => match self.ask_from("load epoch", stores.load_epoch(&self.stream)).await {
                Ok(there) => {
                    not_superseded(record, there)?;
                    Ok(done(format!("{region} was fenced already")))
                }
                Err(cause) => Ok(warned(format!("{region} has an epoch that could not be read: {cause}"))),
            },
            Err(cause) => Ok(warned(format!(
                "{region} does not answer ({cause}); it is fenced when epoch {} reaches it by replication",
                record.epoch
            ))),
        }
    }

    async fn take_over(&self, record: &Move) -> Result<Evidence, MoveError> {
        let (stores, region) = (&self.to.stores, &self.to.region);
        if stores.begin_epoch(&self.stream, &Self::epoch(record)).await? {
            return Ok(done(format!("{region} has the say in epoch {}", record.epoch)));
        }
        not_superseded(record, stores.load_epoch(&self.stream).await?)?;
        Ok(done(format!("{region} had the say in epoch {} already", record.epoch)))
    }

    /// The checkpoints of the Region that is left, as far as they have arrived, that speak for some hash key.
    pub(crate) async fn peer_checkpoints(&self) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let all = self.to.stores.list_checkpoints(&self.from.region, &self.stream).await?;
        Ok(pieces::that_count(all))
    }
}

/// Whether the epoch that is there is not a newer one.
fn not_superseded(record: &Move, there: Option<Epoch>) -> Result<(), MoveError> {
    match there {
        Some(there) if there.epoch > record.epoch => {
            Err(MoveError::Superseded { epoch: record.epoch, newer: there.epoch, active: there.active })
        }
        // The same number for the other side: two moves were begun in two Regions that did not hear of each other.
        Some(there) if there.epoch == record.epoch && there.active != record.to => {
            Err(MoveError::Superseded { epoch: record.epoch, newer: there.epoch, active: there.active })
        }
        _ => Ok(()),
    }
}
