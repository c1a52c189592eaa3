//! A move from its first step to its last: which epoch it begins, which steps are still to do, and what is kept of each.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::model::Epoch;
use platform::ports::{StoreError, StoreErrorKind};

use crate::card::PairCard;
use crate::pieces;
use crate::record::{self, Done, Kept, Move, Purpose, Step};
use crate::side::{Reach, Side, Stores, within};

/// How long is waited, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// For the first answer of the Region that is left. It may be lost: a call that hangs must not hold up the move.
    pub answer: Duration,
    /// For each further one, after one that did not come.
    pub answer_again: Duration,
    /// For what that Region committed to arrive: the steps `drain` and `pieces` together, and `reconcile` as long again.
    pub drain: Duration,
    /// How long nothing more must have arrived from a Region that does not answer, to be taken for all there is.
    pub quiet: Duration,
    /// For the Region that takes over to score and commit a pulse in each shard.
    pub verify: Duration,
    /// Between two looks.
    pub look: Duration,
}

impl Default for Bounds {
    /// What lets a move end within a minute where the other Region is lost.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(3),
            answer_again: Duration::from_millis(500),
            drain: Duration::from_secs(10),
            quiet: Duration::from_secs(2),
            verify: Duration::from_secs(120),
            look: Duration::from_millis(250),
        }
    }
}

/// Why a move stopped. It can be gone on with, but where another has taken its place.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// A store or service of the Region that takes over failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another move is under way.
    #[error(
        "a {purpose} to {to} (epoch {epoch}) was begun at {began} and not ended: it stopped before the step `{next}`; \
         finish it by `millrace dr {purpose} --to {to}`, or give it up with --abandon"
    )]
    Unfinished {
        /// Why it was moved.
        purpose: &'static str,
        /// Where to.
        to: String,
        /// The epoch it begins.
        epoch: u64,
        /// When it began.
        began: Timestamp,
        /// The first step that is not done.
        next: &'static str,
    },
    /// Somebody else moves the same.
    #[error(
        "somebody else is moving to {to} (epoch {epoch}), too: let one of you finish, then look with `millrace dr moves`"
    )]
    Busy {
        /// Where to.
        to: String,
        /// The epoch.
        epoch: u64,
    },
    /// A newer epoch has begun.
    #[error(
        "epoch {newer} has begun, in which {active} has the say: this move (epoch {epoch}) is out of date, begin a new one"
    )]
    Superseded {
        /// The epoch of this move.
        epoch: u64,
        /// The one that is there.
        newer: u64,
        /// Who has the say in it.
        active: String,
    },
    /// The Region to go back from does not answer.
    #[error(
        "{region} does not answer ({cause}): what it has seen cannot be brought together; if it is lost, `millrace dr failover --to {to}`"
    )]
    Unreachable {
        /// The Region.
        region: String,
        /// Where to.
        to: String,
        /// What it said.
        cause: StoreError,
    },
    /// No scorer took the pulses.
    #[error(
        "{to} has the say, and {} of {shards} shards have committed nothing in epoch {epoch} within {seconds} s, `{}` first: is the \
         mapping of kinesis-scorer in {to} enabled, and what does the function's log say? Run the command again when it is mended",
        waiting.len(), waiting.first().map_or("", String::as_str)
    )]
    NotTaken {
        /// Where.
        to: String,
        /// The epoch.
        epoch: u64,
        /// Open shards of the stream.
        shards: usize,
        /// Those without a commit.
        waiting: Vec<String>,
        /// How long was waited.
        seconds: u64,
    },
    /// The stream has no shard that could take anything.
    #[error(
        "the stream `{stream}` in {to} has no open shard: deploy the pipeline there (`millrace deploy --region {to}`)"
    )]
    NoShards {
        /// Where.
        to: String,
        /// The stream.
        stream: String,
    },
}

/// What a move would do, as far as it can be seen without doing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// In words.
    pub would: String,
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

/// What the Regions say before anything is done.
struct Standing {
    /// The newest epoch that either knows; `None` before the first.
    known: Option<Epoch>,
    /// The newest move that either knows.
    last: Option<Kept>,
    /// Whether the Region that is left answered.
    other_answered: bool,
}

impl Standing {
    fn epoch(&self) -> u64 {
        self.known.as_ref().map_or(0, |epoch| epoch.epoch)
    }

    /// One that no move has used, also none that was given up.
    fn next_epoch(&self) -> u64 {
        self.epoch().max(self.last.as_ref().map_or(0, |last| last.record.epoch)) + 1
    }

    fn is_active(&self, region: &str) -> bool {
        self.known.as_ref().is_some_and(|epoch| epoch.active == region)
    }

    fn unfinished(&self) -> Option<&Kept> {
        self.last.as_ref().filter(|last| last.record.ended.is_none() && last.record.epoch >= self.epoch())
    }
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
            None if standing.is_active(&self.to.region) => return Ok(self.already(standing)),
            None => self.begin(standing).await?,
        };
        for step in Step::of(self.purpose) {
            if let Some(done) = kept.record.done(step) {
                tell(step, Some(done));
                continue;
            }
            tell(step, None);
            let began = (self.now)();
            let (outcome, evidence) = self.step(step, &kept.record).await?;
            kept.record.steps.push(Done { step, began, ended: (self.now)(), outcome, evidence });
            record::save(&self.to.stores, &mut kept).await?;
            tell(step, kept.record.done(step));
        }
        kept.record.ended = Some((self.now)());
        record::save(&self.to.stores, &mut kept).await?;
        Ok(Ran { record: kept.record, was_needed: true, other_answered })
    }

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
        let mut planned = Vec::new();
        for step in Step::of(self.purpose) {
            let would = match former.and_then(|kept| kept.record.done(step)) {
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
                    format!("begin epoch {epoch} in {from}, which answers: its commits as the one with the say end")
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
                pieces::look(&self.to.stores, pieces::of(&counted), &mut seen).await?;
                format!("{to} would adopt what {from} knew; now: {seen}")
            }
            Step::TakeOver => format!("begin epoch {epoch} in {to}: its scorer has the say and adopts"),
            Step::Alerting => format!("let {to} tell people, and {from} no more"),
            Step::Devices => format!("tell the devices of {} tenants to send to {to}", self.tenants().await?.len()),
            Step::Verify => format!(
                "put a pulse into each of {} open shards in {to}, and wait for its commit",
                self.open_shards().await?.len()
            ),
            Step::Tick => format!("let alert-fanout in {to} tell what was found and not told"),
        })
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

    /// Nothing is moved, and nothing is written: the answer is the move that gave the Region the say.
    fn already(&self, standing: Standing) -> Ran {
        let since = standing.known.as_ref().map_or_else(self.now, |epoch| epoch.since);
        let last = standing.last.as_ref().map(|last| &last.record).filter(|last| last.to == self.to.region);
        let record =
            last.cloned().unwrap_or_else(|| Move { ended: Some(since), ..self.fresh(standing.epoch(), since) });
        Ran { record, was_needed: false, other_answered: standing.other_answered }
    }

    fn fresh(&self, epoch: u64, began: Timestamp) -> Move {
        Move {
            stream: self.stream.clone(),
            epoch,
            purpose: self.purpose,
            from: self.from.region.clone(),
            to: self.to.region.clone(),
            began,
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

    /// The move that is to be gone on with, if any.
    fn former<'k>(&self, standing: &'k Standing) -> Result<Option<&'k Kept>, MoveError> {
        let Some(last) = standing.unfinished() else { return Ok(None) };
        let record = &last.record;
        if record.to == self.to.region && record.purpose == self.purpose {
            return Ok(Some(last));
        }
        if self.abandon {
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

    async fn standing(&self) -> Result<Standing, MoveError> {
        let (stores, stream) = (&self.to.stores, &self.stream);
        let (epoch, last) =
            (stores.load_epoch(stream).await?, record::newest(stores, stream, 1).await?.into_iter().next());
        let there = self.ask_from("load epoch", self.from.stores.load_epoch(stream)).await;
        let other_answered = there.is_ok();
        let others =
            self.ask_from("list moves", record::newest(&self.from.stores, stream, 1)).await.unwrap_or_default();
        let known = [epoch, there.ok().flatten()].into_iter().flatten().max_by_key(|epoch| epoch.epoch);
        // The same move in both is read where it is written: here.
        let other = others
            .into_iter()
            .next()
            .filter(|other| last.as_ref().is_none_or(|own: &Kept| own.record.epoch < other.record.epoch));
        Ok(Standing { known, last: other.or(last), other_answered })
    }
}
