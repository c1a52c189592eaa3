//! What a move would do, without doing it.

use tokio::time::Instant;

use crate::error::MoveError;
use crate::mover::Mover;
use crate::pieces;
use crate::record::Step;
use crate::side::{Reach, Stores};

/// What a move would do, as far as it can be seen without doing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// In words.
    pub would: String,
}

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    /// What [`Self::run`] would do now; nothing where the Region has the say already. Nothing is written.
    ///
    /// # Errors
    /// As [`Self::run`], where it would not begin.
    pub async fn plan(&self) -> Result<Vec<Planned>, MoveError> {
        let standing = self.standing().await?;
        let former = self.former(&standing)?;
        if former.is_none() && standing.is_active(&self.to.region) {
            return Ok(Vec::new());
        }
        let epoch = former.map_or(standing.next_epoch(), |kept| kept.record.epoch);
        // As a run does: what was waited for before the epoch began is waited for anew.
        let settled = former.map(|kept| &kept.record).filter(|record| record.done(Step::TakeOver).is_some());
        let mut planned = Vec::new();
        for step in Step::of(self.purpose) {
            let would = match settled.and_then(|record| record.done(step)) {
                Some(done) => format!("nothing: done at {}, {}", done.ended, done.evidence),
                None => self.would(step, epoch).await?,
            };
            planned.push(Planned { step, would });
        }
        Ok(planned)
    }

    /// What one step would do.
    async fn would(&self, step: Step, epoch: u64) -> Result<String, MoveError> {
        let (from, to) = (&self.from.region, &self.to.region);
        Ok(match step {
            Step::Reconcile => {
                format!("compare the anomalies of {from} and {to} since the last move, copy those that one lacks")
            }
            Step::Fence => match self.ask_from("load epoch", self.from.stores.load_epoch(&self.stream)).await {
                Ok(_) => {
                    format!("begin epoch {} in {from}, which answers: it has the say no more", epoch - 1)
                }
                Err(cause) => {
                    format!("nothing: {from} does not answer ({cause}), and learns of epoch {epoch} from {to}'s tables")
                }
            },
            Step::Drain => {
                format!("wait until what {from} has committed is in {to}, {} s at most", self.bounds.drain.as_secs())
            }
            Step::Pieces => {
                let counted = self.peer_checkpoints().await?;
                let mut seen = pieces::Seen { shards: counted.len(), ..pieces::Seen::default() };
                let deadline = Instant::now() + self.bounds.drain;
                pieces::look(&self.to.stores, pieces::of(&counted), deadline, &mut seen).await;
                format!("{to} would adopt what {from} knew; now: {seen}")
            }
            Step::TakeOver => format!("begin epoch {epoch} in {to}: its scorer has the say and adopts"),
            Step::Alerting => format!("let {to} tell people, and {from} no more"),
            Step::Devices => format!(
                "tell the devices of {} tenants to send to {to}, and once more what {from} may not have handed on",
                self.tenants().await?.len()
            ),
            Step::Verify => format!(
                "put a pulse into each of {} open shards in {to}, and wait for its commit",
                self.open_shards().await?.len()
            ),
            Step::Tick => format!("let alert-fanout in {to} tell what was found and not told"),
        })
    }
}
