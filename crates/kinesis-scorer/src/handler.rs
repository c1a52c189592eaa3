//! A batch from event bytes to the response.
//!
//! A fault of the network or a store never skips a record: the batch, or what is left of it, is reported as failed from the
//! first record that is not committed, and comes again. Poison is not a fault; it costs only itself.

mod memory;
mod second;
mod store;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anomaly_core::{ProfileSet, Timestamp};
use platform::metrics::{BatchMetrics, EmitMetrics};
use platform::model::{CheckpointChange, ShardId};
use platform::ports::{AskModel, ScorerWorld, StoreError, StoreErrorKind};
use telemetry::kinesis::{BatchResponse, EventError, KinesisEvent, KinesisRecord};
use telemetry::sequence::SequenceNumber;

use crate::Config;
use crate::commit::{self, Committed, Items};
use crate::epoch::{self, Standings};
use crate::fold::{Batch, Fold, RawRecord, Tenancy};
use crate::profiles::{self, Profiles};
use crate::restore::Warm;
use second::Second;

/// How often a batch starts over because somebody else had committed.
const ATTEMPTS_MAX: u32 = 4;
/// The deadline is looked at once in so many records.
const DEADLINE_STRIDE: usize = 64;
/// With less time than this nothing is begun.
const RESERVE_MIN: Duration = Duration::from_millis(100);

/// When a batch is handled, and how much time is left for it.
pub struct Invocation<'i> {
    /// Now.
    pub now: Timestamp,
    /// Time left until the invocation is ended from outside.
    pub remaining: &'i (dyn Fn() -> Duration + Sync),
    /// Identity of the request, for logs.
    pub request_id: &'i str,
}

/// The scorer: a world to keep things in, a place for metrics, a second model where there is one, and what one process
/// remembers.
#[derive(Debug)]
pub struct Scorer<W, M, A = Infallible> {
    world: W,
    metrics: M,
    config: Config,
    tenancy: Tenancy,
    /// Warm shards, the one used last at the end. Taken out while a batch is handled, so that a batch that fails or is
    /// dropped half-way leaves nothing behind that could be wrong.
    memory: Mutex<VecDeque<(ShardId, Warm)>>,
    bench: Mutex<Option<Workbench>>,
    profiles: tokio::sync::Mutex<Option<Profiles>>,
    standings: Standings,
    second: Option<Second<A>>,
}

/// Why a try at a batch did not end in a commit.
enum Failed {
    /// Somebody else committed.
    Moved,
    /// A store failed.
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Room to work in, kept from batch to batch: what a batch leaves in it is cleared before the next.
#[derive(Debug, Default)]
struct Workbench {
    fold: Fold,
    batch: Batch,
    bytes: Vec<u8>,
}

/// What is known of a try while it runs.
#[derive(Debug, Default)]
struct Progress {
    /// First record that is not known to be committed.
    first_open: Option<SequenceNumber>,
    /// Time that was left when the invocation began.
    began_with: Duration,
    /// Time that was spent on asking a second model.
    asked_for: Duration,
    metrics: BatchMetrics,
}

impl<W, M> Scorer<W, M> {
    /// A scorer that remembers nothing yet, and asks nobody.
    pub fn new(world: W, metrics: M, config: Config) -> Self {
        let tenancy = Tenancy::new(config.stream_tenant.as_deref(), &config.default_tenant);
        Self {
            world,
            metrics,
            config,
            tenancy,
            memory: Mutex::default(),
            bench: Mutex::default(),
            profiles: tokio::sync::Mutex::default(),
            standings: Standings::default(),
            second: None,
        }
    }

    /// The same, asking `model` as the configuration says; nobody where it names none, or there is none.
    #[must_use]
    pub fn with_second_opinion<A: AskModel + Sync>(self, model: Option<A>) -> Scorer<W, M, A> {
        let second = model.zip(self.config.opinion.clone()).map(|(model, settings)| Second::new(model, settings));
        let Self { world, metrics, config, tenancy, memory, bench, profiles, standings, .. } = self;
        Scorer { world, metrics, config, tenancy, memory, bench, profiles, standings, second }
    }
}

impl<W: ScorerWorld, M: EmitMetrics + Sync, A: AskModel + Sync> Scorer<W, M, A> {
    /// The stores.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// Handles one event.
    ///
    /// # Errors
    /// [`EventError`] only when the event itself cannot be read, so that no record can be named: then the whole batch comes
    /// again. Every other fault is in the response.
    pub async fn handle(&self, event: &[u8], invocation: &Invocation<'_>) -> Result<BatchResponse, EventError> {
        let began_with = (invocation.remaining)();
        let event = KinesisEvent::parse(event)?;
        let Some(source) = event.source()? else { return Ok(BatchResponse::success()) };
        let shard = ShardId {
            region: source.region.to_owned(),
            stream: source.stream.to_owned(),
            shard: source.shard.to_owned(),
        };
        let first_open = event.records.first().map(|record| record.sequence);
        let mut progress = Progress { first_open, began_with, ..Progress::default() };
        for attempt in 1..=ATTEMPTS_MAX {
            match self.attempt(&shard, &event.records, invocation, &mut progress).await {
                Ok(None) => return Ok(BatchResponse::success()),
                Ok(Some(open)) => return Ok(BatchResponse::again_from(open)),
                Err(Failed::Moved) => {
                    progress.metrics.conflicts += 1;
                    tracing::info!(%shard, attempt, request_id = invocation.request_id, "somebody else committed, starting over");
                }
                Err(Failed::Store(error)) => {
                    let error: &dyn Error = &error;
                    tracing::error!(%shard, request_id = invocation.request_id, error, "batch not committed, it will come again");
                    if tooth!("success-on-fault") {
                        return Ok(BatchResponse::success());
                    }
                    break;
                }
            }
        }
        Ok(progress.first_open.map_or_else(BatchResponse::success, BatchResponse::again_from))
    }

    /// One try at a batch. `Some(seq)`: committed up to the record before `seq`, the rest did not fit into the time.
    async fn attempt(
        &self,
        shard: &ShardId,
        records: &[KinesisRecord<'_>],
        invocation: &Invocation<'_>,
        progress: &mut Progress,
    ) -> Result<Option<SequenceNumber>, Failed> {
        let BatchMetrics { conflicts, opinions, .. } = progress.metrics;
        progress.metrics = BatchMetrics { conflicts, opinions, ..BatchMetrics::default() };
        let mut warm = self.recall(shard, invocation.now, progress).await?;
        let last = warm.checkpoint.as_ref().map(|checkpoint| checkpoint.last_seq);
        let is_fresh = |record: &&KinesisRecord<'_>| {
            if tooth!("nothing-is-old") {
                return true;
            }
            if tooth!("last-comes-twice") {
                return last.is_none_or(|last| record.sequence >= last);
            }
            if tooth!("numbers-as-floats") {
                let float = |seq: SequenceNumber| seq.as_str().parse::<f64>().unwrap_or(0.0);
                return last.is_none_or(|last| float(record.sequence) > float(last));
            }
            last.is_none_or(|last| record.sequence > last)
        };
        let mut fresh: Vec<&KinesisRecord<'_>> = records.iter().filter(is_fresh).collect();
        if tooth!("first-is-skipped") && last.is_some() && fresh.len() > 1 {
            fresh.remove(0);
        }
        // Delivered in order and once each, as a rule; the fold must not depend on it.
        fresh.sort_by_key(|record| record.sequence);
        fresh.dedup_by_key(|record| record.sequence);
        progress.first_open = fresh.first().map(|record| record.sequence);
        if fresh.is_empty() {
            self.keep(shard, warm);
            return Ok(None);
        }
        let newest_ms = fresh.last().map_or(0, |record| record.arrived.millis());
        let snapshot_near = warm.adopted
            || commit::snapshot_is_due(warm.checkpoint.as_ref(), 0, newest_ms, self.config.snapshot_seconds);
        let (profiles, fingerprint) = self.profiles_in_force(&warm, invocation.now, snapshot_near, progress).await?;

        let unscored = tooth!("snapshot-before-batch").then(|| warm.state.clone());
        let mut bench = self.bench.lock().map_or_else(|_| None, |mut bench| bench.take()).unwrap_or_default();
        // A reserve larger than the whole time would let no record through.
        let half = (invocation.remaining)() / 2;
        let reserve = Duration::from_millis(u64::from(self.config.reserve_ms)).min(half).max(RESERVE_MIN);
        bench.batch.begin(self.second.as_ref().map(|second| second.candidates(invocation)));
        let open = self.score(&mut warm, &fresh, &profiles, invocation, reserve, &mut bench);
        let batch = &mut bench.batch;
        if let Some(second) = &self.second {
            second.look(batch, &mut warm.state.opinions, invocation, reserve, progress).await;
        }
        let open = if tooth!("rest-is-forgotten") { None } else { open };
        if tooth!("metrics-before-commit") {
            self.report(batch, invocation, progress).await;
        }
        let Some(last_seq) = batch.last_seq else {
            self.keep(shard, warm);
            return Ok(open);
        };
        let scored = unscored.map(|unscored| std::mem::replace(&mut warm.state, unscored));
        let next = self.store(shard, &warm, batch, last_seq, &fingerprint, progress).await;
        if let Some(scored) = scored {
            warm.state = scored;
        }
        let next = match next {
            Err(error) if tooth!("memory-after-fault") => {
                self.keep(shard, warm);
                return Err(error.into());
            }
            next => next?,
        };

        let expected = warm.checkpoint.as_ref().map(|checkpoint| checkpoint.version);
        let change = CheckpointChange { shard, next: &next, expected };
        let anomalies = batch.anomalies(shard, &fingerprint, self.config.ttl_days);
        let states = batch.states(epoch::made_in(&warm), self.config.ttl_days);
        let guard = epoch::guard(shard, &warm, self.config.peer_region.as_deref());
        let told = batch.told(shard, &fingerprint, self.config.ttl_days);
        let items = Items { anomalies: &anomalies, states: &states, told: &told };
        let (committed, calls) = commit::commit(&self.world, change, guard, &items).await?;
        progress.metrics.calls += calls;
        if committed == Committed::NewEpoch {
            tracing::warn!(%shard, epoch = warm.newest, "a newer epoch has begun, reading which region has the say");
            self.standings.forget(&shard.stream);
            return Err(Failed::Moved);
        }
        if committed == Committed::Moved {
            if tooth!("memory-after-move") {
                self.keep(shard, warm);
            }
            return Err(Failed::Moved);
        }
        warm.checkpoint = Some(next);
        warm.profiles = Some(fingerprint);
        warm.adopted = false;
        self.keep(shard, warm);
        self.report(batch, invocation, progress).await;
        if let Ok(mut idle) = self.bench.lock() {
            *idle = Some(bench);
        }
        progress.first_open = open;
        Ok(open)
    }

    /// Scores records in order until they or the time run out. Pure but for the clock that it is handed.
    fn score(
        &self,
        warm: &mut Warm,
        records: &[&KinesisRecord<'_>],
        profiles: &ProfileSet,
        invocation: &Invocation<'_>,
        reserve: Duration,
        bench: &mut Workbench,
    ) -> Option<SequenceNumber> {
        let Workbench { fold, batch, bytes } = bench;
        for (index, record) in records.iter().enumerate() {
            if index % DEADLINE_STRIDE == 0 && (invocation.remaining)() < reserve {
                tracing::warn!(scored = index, of = records.len(), "time is running out, committing what is scored");
                return Some(record.sequence);
            }
            let decoded = record.payload_bytes(bytes);
            let raw = RawRecord {
                seq: record.sequence,
                arrived: record.arrived,
                partition_key: &record.partition_key,
                data: decoded.as_ref().map(|()| bytes.as_slice()).map_err(|poison| (poison, record.data.as_bytes())),
            };
            let form = fold.take(&mut warm.state, &raw, profiles, &self.tenancy, batch);
            batch.keep_raw(&raw, form);
        }
        None
    }

    /// The profiles to score with. They are looked at anew when that is due, but not in a batch that writes a snapshot, so
    /// that no batch has more calls than it needs.
    async fn profiles_in_force(
        &self,
        warm: &Warm,
        now: Timestamp,
        snapshot_near: bool,
        progress: &mut Progress,
    ) -> Result<(Arc<ProfileSet>, String), StoreError> {
        let mut slot = self.profiles.lock().await;
        let profiles = match &mut *slot {
            Some(profiles) => profiles,
            none => none.insert(match &warm.profiles {
                Some(fingerprint) => {
                    progress.metrics.calls += profiles::bundle_calls(fingerprint);
                    Profiles::resume(&self.world, fingerprint).await?
                }
                None => Profiles::default(),
            }),
        };
        let never = profiles.never_looked();
        if tooth!("profiles-once") && !never {
            return Ok((profiles.set(), profiles.fingerprint().to_owned()));
        }
        let every = self.config.profile_refresh_seconds;
        // Where every batch writes a snapshot, they are looked at all the same.
        if never || (!snapshot_near && profiles.is_due(now, every)) || profiles.is_due(now, every.saturating_mul(2)) {
            match profiles.refresh(&self.world, now).await {
                Ok(calls) => progress.metrics.calls += calls,
                Err(error) if never => return Err(error),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "profiles not looked at, those in force stay");
                }
            }
        }
        Ok((profiles.set(), profiles.fingerprint().to_owned()))
    }

    async fn report(&self, batch: &Batch, invocation: &Invocation<'_>, progress: &mut Progress) {
        let metrics = &mut progress.metrics;
        metrics.readings = batch.readings;
        metrics.anomalies = batch.found() as u64;
        metrics.quarantined = batch.quarantined;
        metrics.unscored = batch.unscored;
        let elapsed = progress.began_with.saturating_sub((invocation.remaining)());
        metrics.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        metrics.lag_ms = u64::try_from(invocation.now.millis() - batch.newest.millis()).unwrap_or(0);
        self.metrics.emit(metrics, &self.config.environment, invocation.now).await;
        tracing::info!(
            request_id = invocation.request_id,
            readings = metrics.readings,
            anomalies = metrics.anomalies,
            quarantined = metrics.quarantined,
            calls = metrics.calls,
            lag_ms = metrics.lag_ms,
            "batch committed"
        );
    }
}

/// What was scored cannot be written in its stored form: a bound of the format is broken.
fn unencodable(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Permanent,
        verb: "encode",
        target: "batch".to_owned(),
        remedy: error.to_string(),
        source: Some(Box::new(error)),
    }
}
