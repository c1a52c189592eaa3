//! A move from its first step to its last: which epoch it begins, which steps are still to do, and what is kept of each.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::ports::{StoreError, StoreErrorKind};

use crate::card::PairCard;
use crate::error::MoveError;
use crate::record::{self, Done, Kept, Move, Outcome, Purpose, Step};
use crate::side::{Reach, Side, Stores, within};
use crate::standing::Standing;

/// How long is waited, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// For the first answer of the Region that is left. It may be lost: a call that hangs must not hold up the move.
    pub answer: Duration,
    /// For each further one, after one that did not come.
    pub answer_again: Duration,
    /// For what that Region committed to arrive: the steps `reconcile`, `drain` and `pieces` each.
    pub drain: Duration,
    /// How long nothing more must have arrived from a Region that does not answer, to be taken for all there is.
    pub quiet: Duration,
    /// For the Region that takes over to score and commit a pulse in each shard.
    pub verify: Duration,
    /// Between two looks.
    pub look: Duration,
}

impl Default for Bounds {
    /// What lets the epoch begin within half a minute where the other Region is lost, and a move end within a minute if the scorer is
    /// well.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(3),
            answer_again: Duration::from_millis(500),
            drain: Duration::from_secs(10),
            quiet: Duration::from_secs(2),
            verify: Duration::from_mins(2),
            look: Duration::from_millis(250),
        }
    }
}

/// Who moves, what, and where to.
#[derive(Debug)]
pub struct Mover<'s, S, R> {
    /// The Region that is left.
    pub from: &'s Side<S, R>,
    /// The Region that takes over.
    pub to: &'s Side<S, R>,
    /// The stream, which has the same name in both.
    pub stream: String,
    /// Why.
    pub purpose: Purpose,
    /// Whether an unfinished move to the other side is given up.
    pub abandon: bool,
    /// How long is waited.
    pub bounds: Bounds,
    /// The clock.
    pub now: fn() -> Timestamp,
    /// Whether the Region that is left has not answered in time once.
    pub(crate) is_silent: AtomicBool,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The move; the former one, or none of its steps, where the Region had the say already.
    pub record: Move,
    /// Whether there was anything to do.
    pub was_needed: bool,
    /// Whether the other Region was asked who has the say, and answered. If not, it may have moved without this one's hearing of it.
    pub other_answered: bool,
}

impl<'s, S: Stores, R: Reach> Mover<'s, S, R> {
    /// From one Region to the other, with the usual bounds and by this clock.
    pub fn new(
        from: &'s Side<S, R>,
        to: &'s Side<S, R>,
        stream: impl Into<String>,
        purpose: Purpose,
        now: fn() -> Timestamp,
    ) -> Self {
        let (stream, bounds) = (stream.into(), Bounds::default());
        Self { from, to, stream, purpose, abandon: false, bounds, now, is_silent: AtomicBool::new(false) }
    }

    /// Moves: begins, or goes on with what was begun. `tell` hears of each step before it begins (`None`) and when it is done.
    ///
    /// # Errors
    /// [`MoveError`]; what was done until then is kept, and the next run goes on from there.
    pub async fn run(&self, mut tell: impl FnMut(Step, Option<&Done>)) -> Result<Ran, MoveError> {
        let standing = self.standing().await?;
        let other_answered = standing.other_answered;
        let mut kept = match self.former(&standing)? {
            Some(former) => former.clone(),
            None if standing.is_active(&self.to.region) => return self.already(standing, tell).await,
            None => self.begin(standing).await?,
        };
        let has_taken_over = kept.record.done(Step::TakeOver).is_some();
        if !has_taken_over {
            // What was waited for then says nothing of now: until the epoch begins each run waits anew.
            kept.record.since = (self.now)();
        }
        for step in Step::of(self.purpose) {
            if let Some(done) = kept.record.done(step).filter(|_| has_taken_over) {
                tell(step, Some(done));
                continue;
            }
            self.take(step, &mut kept, &mut tell).await?;
        }
        kept.record.ended = Some((self.now)());
        record::save(&self.to.stores, &mut kept).await?;
        Ok(Ran { record: kept.record, was_needed: true, other_answered })
    }

    /// Does a step, and keeps what came of it in place of what came of it before.
    async fn take(
        &self,
        step: Step,
        kept: &mut Kept,
        tell: &mut impl FnMut(Step, Option<&Done>),
    ) -> Result<(), MoveError> {
        tell(step, None);
        let began = (self.now)();
        let (outcome, evidence) = self.step(step, &mut kept.record).await?;
        kept.record.steps.retain(|done| done.step != step);
        kept.record.steps.push(Done { step, began, ended: (self.now)(), outcome, evidence });
        kept.record.steps.sort_by_key(|done| done.step);
        record::save(&self.to.stores, kept).await?;
        tell(step, kept.record.done(step));
        Ok(())
    }

    /// Nothing is moved. What the move that gave the Region the say could only warn of is done again, and it is proven anew that
    /// the Region commits.
    async fn already(&self, standing: Standing, mut tell: impl FnMut(Step, Option<&Done>)) -> Result<Ran, MoveError> {
        let (epoch, other_answered) = (standing.epoch(), standing.other_answered);
        let since = standing.known.as_ref().map_or_else(self.now, |epoch| epoch.since);
        let is_its =
            |last: &Kept| last.record.to == self.to.region && last.record.epoch == epoch && !last.record.abandoned;
        let Some(mut kept) = standing.last.filter(is_its) else {
            let mut record = Move { ended: Some(since), ..self.fresh(epoch, since) };
            self.step(Step::Verify, &mut record).await?;
            return Ok(Ran { record, was_needed: false, other_answered });
        };
        let again = [Step::Alerting, Step::Devices, Step::Tick];
        let is_warned = |done: &Done| done.outcome == Outcome::Warned && again.contains(&done.step);
        let warned: Vec<Step> = kept.record.steps.iter().filter(|done| is_warned(done)).map(|done| done.step).collect();
        for step in &warned {
            self.take(*step, &mut kept, &mut tell).await?;
        }
        self.step(Step::Verify, &mut kept.record).await?;
        Ok(Ran { record: kept.record, was_needed: !warned.is_empty(), other_answered })
    }

    /// One answer of the Region that is left, in time or not at all.
    pub(crate) async fn ask_from<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let is_silent = self.is_silent.load(Ordering::Relaxed);
        let patience = if is_silent { self.bounds.answer_again } else { self.bounds.answer };
        let answer = within(patience, verb, &self.from.region, call).await;
        let is_late = answer.as_ref().is_err_and(|error| error.kind == StoreErrorKind::Unavailable);
        self.is_silent.store(is_late, Ordering::Relaxed);
        answer
    }

    /// Tenants whose devices are told: those of the card, and those with a profile.
    pub(crate) async fn tenants(&self) -> Result<BTreeSet<String>, StoreError> {
        const TENANTS_MAX: usize = 10_000;
        let mut tenants: BTreeSet<String> =
            self.to.stores.list_folders("config/", TENANTS_MAX).await?.into_iter().collect();
        tenants.extend(self.card().await?.into_iter().flat_map(|card| card.tenants));
        Ok(tenants)
    }

    /// The pair's card, if one was written.
    pub(crate) async fn card(&self) -> Result<Option<PairCard>, StoreError> {
        Ok(crate::card::load(&self.to.stores).await?.map(|(card, _)| card))
    }

    fn fresh(&self, epoch: u64, began: Timestamp) -> Move {
        Move {
            stream: self.stream.clone(),
            epoch,
            purpose: self.purpose,
            from: self.from.region.clone(),
            to: self.to.region.clone(),
            began,
            since: began,
            resend_from: None,
            steps: Vec::new(),
            ended: None,
            abandoned: false,
        }
    }

    async fn begin(&self, standing: Standing) -> Result<Kept, MoveError> {
        let record = self.fresh(standing.next_epoch(), (self.now)());
        if let Some(unfinished) = standing.last.filter(|last| last.record.ended.is_none()) {
            self.give_up(unfinished).await;
        }
        let mut kept = Kept { record, version: None };
        record::save(&self.to.stores, &mut kept).await?;
        Ok(kept)
    }

    /// Marks a move as given up, where it is kept. If that cannot be done now it stays unfinished under an epoch that is out of
    /// date, which holds nobody up.
    async fn give_up(&self, mut unfinished: Kept) {
        unfinished.record.ended = Some((self.now)());
        unfinished.record.abandoned = true;
        let side = if unfinished.record.to == self.to.region { self.to } else { self.from };
        let saved = tokio::time::timeout(self.bounds.answer, record::save(&side.stores, &mut unfinished)).await;
        let failed = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::warn!(
            region = side.region,
            epoch = unfinished.record.epoch,
            failed,
            "a move that was given up is not marked so"
        );
    }
}
