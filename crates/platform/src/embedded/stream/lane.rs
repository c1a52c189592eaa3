//! One line of events of a shard: at most one is under way, and the next waits until it is done.
//!
//! A shard has as many lanes as the parallelization factor; a partition key always takes the same one.

use std::collections::VecDeque;
use std::time::Duration;

use anomaly_core::Timestamp;

use super::{MappingSettings, Outcome, Record};

/// Records that go, or went, to the function together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    /// How often the function failed on it.
    pub(super) failures: u32,
    /// How often the function was not reached with it since then.
    not_invoked: u32,
    /// It does not come again before this.
    not_before: Timestamp,
    /// What the function said last.
    pub(super) error: Option<String>,
}

impl Batch {
    fn new(records: Vec<Record>, now: Timestamp) -> Self {
        Self { records, failures: 0, not_invoked: 0, not_before: now, error: None }
    }
}

#[derive(Debug)]
struct Waiting {
    record: Record,
    bytes: usize,
    since: Timestamp,
}

/// What a lane does with time.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<Waiting>,
    /// Before those that wait, in order.
    again: VecDeque<Batch>,
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    id: u64,
    batch: Batch,
}

/// What follows from the end of an invocation.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Records that are done.
    pub(super) done: Vec<Record>,
    /// Records that are given up.
    pub(super) given_up: Option<Batch>,
    /// Records that are done without anybody having taken note of it, in order: they go back to those that wait.
    pub(super) unnoted: Vec<Record>,
}

/// What goes to the function.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) records: Vec<Record>,
    /// 1 for the first.
    pub(super) attempt: u32,
    pub(super) comes_again: bool,
}

impl Lane {
    pub(super) fn is_full(&self, settings: &MappingSettings) -> bool {
        self.waiting.len() >= settings.batch_size
    }

    pub(super) fn push(&mut self, record: Record, bytes: usize, now: Timestamp) {
        self.waiting.push_back(Waiting { record, bytes, since: now });
    }

    /// Puts a record back before those that wait.
    pub(super) fn push_back_in(&mut self, record: Record, bytes: usize, now: Timestamp) {
        self.waiting.push_front(Waiting { record, bytes, since: now });
    }

    /// Takes out the records that are older than the limit, from the front: ages fall along a shard.
    pub(super) fn expire(&mut self, settings: &MappingSettings, now: Timestamp) -> Vec<Batch> {
        let Some(age_max) = settings.record_age_max else { return Vec::new() };
        let expired = |record: &Record| older_than(record, age_max, now);
        let mut batches = Vec::new();
        if self.under_way.is_some() {
            return batches;
        }
        while let Some(batch) = self.again.front_mut() {
            let count = batch.records.iter().take_while(|record| expired(record)).count();
            if count > 0 {
                let records = batch.records.drain(..count).collect();
                let (failures, error) = (batch.failures, batch.error.clone());
                batches.push(Batch { failures, error, ..Batch::new(records, now) });
            }
            if !batch.records.is_empty() {
                return batches;
            }
            self.again.pop_front();
        }
        let mut records = Vec::new();
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| expired(&waiting.record)) {
            records.push(waiting.record);
        }
        if !records.is_empty() {
            batches.push(Batch::new(records, now));
        }
        batches
    }

    /// The records that go next, under `id`.
    pub(super) fn start(
        &mut self,
        id: u64,
        settings: &MappingSettings,
        bytes_max: usize,
        flush: bool,
        now: Timestamp,
    ) -> Option<Started> {
        if self.under_way.is_some() {
            return None;
        }
        let (batch, comes_again) = match self.again.front() {
            Some(batch) if batch.not_before > now => return None,
            Some(_) => (self.again.pop_front()?, true),
            None => (self.cut(settings, bytes_max, flush, now)?, false),
        };
        let started = Started { records: batch.records.clone(), attempt: batch.failures + 1, comes_again };
        self.under_way = Some(UnderWay { id, batch });
        Some(started)
    }

    /// Cuts a batch when it is full, its window is over, or nothing more comes.
    fn cut(&mut self, settings: &MappingSettings, bytes_max: usize, flush: bool, now: Timestamp) -> Option<Batch> {
        let first = self.waiting.front()?;
        let window_is_over = plus(first.since, settings.batch_window) <= now;
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes;
            bytes <= bytes_max
        };
        // A record that is too large for an event goes alone; the function will not be reached with it.
        let count = self.waiting.iter().take(settings.batch_size).take_while(fits).count().max(1);
        let full = count == settings.batch_size || count < self.waiting.len();
        if !(full || window_is_over || flush) {
            return None;
        }
        let records = self.waiting.drain(..count).map(|waiting| waiting.record).collect();
        Some(Batch::new(records, now))
    }

    /// Ends the invocation `id`; `None` when it is not the one under way.
    pub(super) fn settle(
        &mut self,
        id: u64,
        outcome: Outcome,
        settings: &MappingSettings,
        now: Timestamp,
    ) -> Option<Settled> {
        let mut batch = self.under_way.take_if(|under_way| under_way.id == id)?.batch;
        let (error, done_before) = match outcome {
            Outcome::Success => return Some(Settled { done: batch.records, ..Settled::default() }),
            Outcome::NotInvoked => {
                batch.not_invoked += 1;
                self.retry(batch, settings, now);
                return Some(Settled::default());
            }
            // The records before others that wait to come again must stay before them.
            Outcome::Unnoted if self.again.is_empty() => {
                return Some(Settled { unnoted: batch.records, ..Settled::default() });
            }
            Outcome::Unnoted => {
                self.again.push_front(batch);
                return Some(Settled::default());
            }
            Outcome::FailedFrom(first) => (
                format!("the function reported {}", first.trimmed()),
                batch.records.partition_point(|record| record.sequence < first),
            ),
            Outcome::Failure { error } => (error, 0),
        };
        batch.error = Some(error);
        if done_before > 0 {
            // The guide says that the batch is cut here and the rest comes again. Its first record was not known to be
            // bad before, so its retries begin anew.
            let rest = batch.records.split_off(done_before);
            if !rest.is_empty() {
                self.retry(Batch { error: batch.error, ..Batch::new(rest, now) }, settings, now);
            }
            return Some(Settled { done: batch.records, ..Settled::default() });
        }
        let given_up = self.failed(batch, settings, now);
        Some(Settled { given_up, ..Settled::default() })
    }

    /// Halves a failed batch (which uses up no retry), sends it again, or gives it up.
    fn failed(&mut self, mut batch: Batch, settings: &MappingSettings, now: Timestamp) -> Option<Batch> {
        if settings.bisect_on_error && batch.records.len() > 1 {
            let second = batch.records.split_off(batch.records.len().div_ceil(2));
            let (failures, error) = (batch.failures, batch.error.clone());
            self.retry(Batch { failures, error, ..Batch::new(second, now) }, settings, now);
            self.retry(batch, settings, now);
            return None;
        }
        batch.failures += 1;
        batch.not_invoked = 0;
        if settings.retries_max.is_some_and(|retries| batch.failures > retries) {
            return Some(batch);
        }
        self.retry(batch, settings, now);
        None
    }

    fn retry(&mut self, mut batch: Batch, settings: &MappingSettings, now: Timestamp) {
        batch.not_before = plus(now, settings.pause_after(batch.failures + batch.not_invoked));
        self.again.push_front(batch);
    }

    /// When there is something to do that is not yet due.
    pub(super) fn wake_at(&self, settings: &MappingSettings) -> Option<Timestamp> {
        if self.under_way.is_some() {
            return None;
        }
        let again = self.again.front().map(|batch| batch.not_before);
        again.or_else(|| self.waiting.front().map(|first| plus(first.since, settings.batch_window)))
    }

    pub(super) fn has(&self, id: u64) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.id == id)
    }
}

fn older_than(record: &Record, age_max: Duration, now: Timestamp) -> bool {
    plus(record.arrived, age_max) < now
}

fn plus(at: Timestamp, duration: Duration) -> Timestamp {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.millis().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}
