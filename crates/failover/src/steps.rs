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
    pub(crate) async fn step(&self, step: Step, record: &mut Move) -> Result<Evidence, MoveError> {
        match step {
            Step::Reconcile => self.reconcile(record).await,
            Step::Fence => self.fence(record).await,
            Step::Drain => self.drain().await,
            Step::Pieces => self.pieces(record).await,
            Step::TakeOver => self.take_over(record).await,
            Step::Alerting => self.alerting(record).await,
            Step::Devices => self.devices(record).await,
            Step::Verify => self.verify(record).await,
            Step::Tick => Ok(self.tick().await),
        }
    }

    /// The epoch of the move.
    fn epoch(record: &Move) -> Epoch {
        Epoch { epoch: record.epoch, active: record.to.clone(), is_fenced: false, since: record.since }
    }

    /// The one before it, in which nobody has the say: if it named the Region that takes over, the scorer there would adopt as soon
    /// as replication brings it, before what it is to adopt has arrived. People are told by who told them until now.
    fn fencing(&self, record: &Move, former: Option<Epoch>) -> Epoch {
        let (active, since) = former.map_or((self.from.region.clone(), Timestamp::MIN), |it| (it.active, it.since));
        Epoch { epoch: record.epoch - 1, active, is_fenced: true, since }
    }

    /// Best effort: a Region that does not answer learns of the epoch from the tables, and until it has, commits into its own
    /// part of the lake what replication brings or does not (ADR 0010).
    async fn fence(&self, record: &Move) -> Result<Evidence, MoveError> {
        let (stores, region) = (&self.from.stores, &self.from.region);
        let silent = |cause: StoreError| {
            let epoch = record.epoch;
            warned(format!(
                "{region} does not answer ({cause}); it is fenced when epoch {epoch} reaches it by replication"
            ))
        };
        let former = match self.ask_from("load epoch", stores.load_epoch(&self.stream)).await {
            Ok(former) => former,
            Err(cause) => return Ok(silent(cause)),
        };
        not_superseded(record, former.as_ref())?;
        let next = self.fencing(record, former);
        Ok(match self.ask_from("begin epoch", stores.begin_epoch(&self.stream, &next)).await {
            Ok(true) => done(format!("{region} is fenced by epoch {}", next.epoch)),
            Ok(false) => done(format!("{region} was fenced already")),
            Err(cause) => silent(cause),
        })
    }

    async fn take_over(&self, record: &Move) -> Result<Evidence, MoveError> {
        let (stores, region) = (&self.to.stores, &self.to.region);
        if stores.begin_epoch(&self.stream, &Self::epoch(record)).await? {
            return Ok(done(format!("{region} has the say in epoch {}", record.epoch)));
        }
        not_superseded(record, stores.load_epoch(&self.stream).await?.as_ref())?;
        Ok(done(format!("{region} had the say in epoch {} already", record.epoch)))
    }

    /// The checkpoints of the Region that is left, as far as they have arrived, that speak for some hash key.
    pub(crate) async fn peer_checkpoints(&self) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let all = self.to.stores.list_checkpoints(&self.from.region, &self.stream).await?;
        Ok(pieces::that_count(all))
    }
}

/// Whether the epoch that is there is not a newer one, nor one of the same number for the other side: two moves that were begun in
/// two Regions which did not hear of each other.
fn not_superseded(record: &Move, there: Option<&Epoch>) -> Result<(), MoveError> {
    let is_other = |there: &&Epoch| {
        there.epoch > record.epoch || (there.epoch == record.epoch && (there.active != record.to || there.is_fenced))
    };
    match there.filter(is_other) {
        Some(there) => {
            Err(MoveError::Superseded { epoch: record.epoch, newer: there.epoch, active: there.active.clone() })
        }
        None => Ok(()),
    }
}
