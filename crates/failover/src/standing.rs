//! What both Regions say before anything is done: who has the say, and which move was begun.

use std::cmp::Ordering;

use platform::model::Epoch;

use crate::error::MoveError;
use crate::mover::Mover;
use crate::record::{self, Kept, Purpose, Step};
use crate::side::{Reach, Stores};

/// What the Regions say before anything is done.
pub(crate) struct Standing {
    /// The newest epoch that either knows; `None` before the first.
    pub(crate) known: Option<Epoch>,
    /// The newest move that either knows.
    pub(crate) last: Option<Kept>,
    /// Whether the Region that is left answered.
    pub(crate) other_answered: bool,
}

impl Standing {
    pub(crate) fn epoch(&self) -> u64 {
        self.known.as_ref().map_or(0, |epoch| epoch.epoch)
    }

    /// One that no move has used, also none that was given up. The one before it is the fence, in which nobody has the say.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.epoch().max(self.last.as_ref().map_or(0, |last| last.record.epoch)) + 2
    }

    pub(crate) fn is_active(&self, region: &str) -> bool {
        self.known.as_ref().is_some_and(|epoch| epoch.active == region && !epoch.is_fenced)
    }

    /// The newest move, if it can still be ended: no newer epoch has begun, and none of its own number for the other side.
    fn unfinished(&self) -> Option<&Kept> {
        let can_end = |last: &&Kept| match last.record.epoch.cmp(&self.epoch()) {
            Ordering::Greater => true,
            Ordering::Equal => self.is_active(&last.record.to),
            Ordering::Less => false,
        };
        self.last.as_ref().filter(|last| last.record.ended.is_none()).filter(can_end)
    }
}

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    /// The move that is to be gone on with, if any.
    pub(crate) fn former<'k>(&self, standing: &'k Standing) -> Result<Option<&'k Kept>, MoveError> {
        let Some(last) = standing.unfinished() else { return Ok(None) };
        let record = &last.record;
        if record.to == self.to.region && record.purpose == self.purpose {
            return Ok(Some(last));
        }
        // Who cannot go back because the Region is lost moves on, and nothing was moved yet.
        let is_way_on = record.to == self.to.region && record.done(Step::TakeOver).is_none();
        if self.abandon || (is_way_on && self.purpose == Purpose::Failover) {
            return Ok(None);
        }
        let next = Step::of(record.purpose).find(|step| record.done(*step).is_none());
        Err(MoveError::Unfinished {
            purpose: record.purpose.name(),
            to: record.to.clone(),
            epoch: record.epoch,
            began: record.began,
            next: next.map_or("end", Step::name),
        })
    }

    /// Asks both.
    pub(crate) async fn standing(&self) -> Result<Standing, MoveError> {
        let (stores, stream) = (&self.to.stores, &self.stream);
        let (epoch, last) =
            (stores.load_epoch(stream).await?, record::newest(stores, stream, 1).await?.into_iter().next());
        let there = self.ask_from("load epoch", self.from.stores.load_epoch(stream)).await;
        let other_answered = there.is_ok();
        let others =
            self.ask_from("list moves", record::newest(&self.from.stores, stream, 1)).await.unwrap_or_default();
        let known = [epoch, there.ok().flatten()].into_iter().flatten().max_by_key(|epoch| epoch.epoch);
        // The same move is in both, and the copy that replication brought is late: it is read where it is written.
        let is_newer = |other: &Kept| {
            let is_written_there = other.record.to == self.from.region;
            last.as_ref().is_none_or(|own: &Kept| match own.record.epoch.cmp(&other.record.epoch) {
                Ordering::Less => true,
                Ordering::Equal => is_written_there,
                Ordering::Greater => false,
            })
        };
        let other = others.into_iter().next().filter(is_newer);
        Ok(Standing { known, last: other.or(last), other_answered })
    }
}
