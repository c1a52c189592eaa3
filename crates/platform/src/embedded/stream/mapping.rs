//! The event source mapping: which records go to the function next, and what follows from its answer.
//!
//! Shards are taken in turn. A shard is read only after its parents are finished, so that a device's readings stay in
//! order through a split or a merge.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use anomaly_core::Timestamp;
use telemetry::kinesis::{RecordOut, Source, write_event};
use telemetry::sequence::SequenceNumber;

use super::lane::{Batch, Lane, Started};
use super::progress::Progress;
use super::{
    DiscardReason, Discarded, MappingSettings, Origin, Outcome, Record, SettingsError, StartingPosition, Stream,
    hash_key,
};

/// Most bytes of an event (AWS Lambda Developer Guide, "Lambda quotas": synchronous invocation payload).
pub const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What an event has besides its records: `{"Records":[` and `]}`.
const EVENT_FRAME_BYTES: usize = 14;

/// One event for the function: records of one shard in order.
#[derive(Debug, Clone)]
pub struct Invocation {
    id: u64,
    /// The shard.
    pub shard: Arc<str>,
    /// The records, at least one.
    pub records: Vec<Record>,
    /// 1 for the first.
    pub attempt: u32,
    /// Whether it is made of records that went to the function before and did not get through.
    pub comes_again: bool,
}

/// [`Mapping::complete`] was told twice of one invocation, or of one of another mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invocation is not under way: it was completed before, or belongs to another mapping")]
pub struct StaleInvocation;

/// Decides whether a record goes to the function; those that do not count as done.
type Filter = Box<dyn Fn(&Record) -> bool + Send>;

/// A mapping of a stream to a function. Plain data: time is an argument.
pub struct Mapping {
    settings: MappingSettings,
    filter: Option<Filter>,
    position: StartingPosition,
    has_begun: bool,
    start_after: BTreeMap<String, SequenceNumber>,
    readers: BTreeMap<Arc<str>, Reader>,
    discarded: Vec<Discarded>,
    invocations: u64,
    /// The shard that had the last turn.
    last: Arc<str>,
}

#[derive(Debug)]
struct Reader {
    progress: Progress,
    lanes: Vec<Lane>,
    /// Bytes of a record's envelope in an event.
    envelope_bytes: usize,
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("settings", &self.settings)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

impl Invocation {
    /// The event as Lambda would hand it over, for a stream of this process.
    #[must_use]
    pub fn event(&self, stream: &str) -> Vec<u8> {
        self.event_from(stream, &Origin::default())
    }

    /// The event as Lambda would hand it over.
    #[must_use]
    pub fn event_from(&self, stream: &str, origin: &Origin) -> Vec<u8> {
        event_of(&self.records, &origin.source(stream, &self.shard))
    }
}

/// An event of these records of one shard.
pub(super) fn event_of(records: &[Record], source: &Source<'_>) -> Vec<u8> {
    let bytes: usize = records.iter().map(|record| record.data.len() * 4 / 3 + 700).sum();
    let mut event = Vec::with_capacity(bytes);
    write_event(records.iter().map(record_out), source, &mut event);
    event
}

fn record_out(record: &Record) -> RecordOut<'_> {
    RecordOut {
        sequence: record.sequence,
        partition_key: &record.partition_key,
        data: &record.data,
        arrived: record.arrived,
    }
}

impl Mapping {
    /// A mapping that starts every shard at the oldest record that is kept (`TRIM_HORIZON`).
    ///
    /// # Errors
    /// [`SettingsError`] for a setting that Lambda would refuse.
    pub fn new(settings: MappingSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            settings,
            filter: None,
            position: StartingPosition::TrimHorizon,
            has_begun: false,
            start_after: BTreeMap::new(),
            readers: BTreeMap::new(),
            discarded: Vec::new(),
            invocations: 0,
            last: Arc::from(""),
        })
    }

    /// Starts elsewhere. To be said before the first poll.
    #[must_use]
    pub fn starting_at(mut self, position: StartingPosition) -> Self {
        self.position = position;
        self
    }

    /// Starts `shard` after `sequence` (`AFTER_SEQUENCE_NUMBER`). To be said before the first poll.
    #[must_use]
    pub fn starting_after(mut self, shard: &str, sequence: SequenceNumber) -> Self {
        self.start_after.insert(shard.to_owned(), sequence);
        self
    }

    /// Passes over records for which `filter` says no: they count as done.
    #[must_use]
    pub fn with_filter(mut self, filter: impl Fn(&Record) -> bool + Send + 'static) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &MappingSettings {
        &self.settings
    }

    /// The next event that is due, if there is one. Poll until there is none: shards and lanes go in parallel.
    pub fn poll(&mut self, stream: &Stream, now: Timestamp) -> Option<Invocation> {
        if !self.has_begun {
            self.begin(stream);
        }
        self.open_readers(stream);
        let after = (Bound::Excluded(&*self.last), Bound::Unbounded);
        let up_to = (Bound::Unbounded, Bound::Included(&*self.last));
        let turn: Vec<Arc<str>> = self
            .readers
            .range::<str, _>(after)
            .chain(self.readers.range::<str, _>(up_to))
            .map(|(id, _)| id.clone())
            .collect();
        for shard in turn {
            let Some(reader) = self.readers.get_mut(&shard) else { continue };
            reader.fetch(stream, &shard, &self.settings, self.position, self.filter.as_ref(), now);
            self.discarded.extend(reader.expire(&shard, &self.settings, now));
            self.invocations += 1;
            let id = self.invocations;
            if let Some(Started { records, attempt, comes_again }) =
                reader.start(id, &self.settings, stream.has_ended(), now)
            {
                self.last = Arc::clone(&shard);
                return Some(Invocation { id, shard, records, attempt, comes_again });
            }
        }
        None
    }

    fn begin(&mut self, stream: &Stream) {
        self.has_begun = true;
        if self.position != StartingPosition::Latest {
            return;
        }
        for shard in &stream.shards {
            if let Some(last) = shard.last {
                self.start_after.entry(shard.id.to_string()).or_insert(last);
            }
        }
    }

    /// Reads those shards that are not read yet and whose parents are finished. Parents have lower numbers.
    fn open_readers(&mut self, stream: &Stream) {
        for shard in &stream.shards {
            if self.readers.contains_key(&shard.id) {
                continue;
            }
            let parents = [&shard.info.parent, &shard.info.adjacent_parent];
            if parents.into_iter().flatten().all(|parent| self.is_finished(stream, parent)) {
                let start = self.start_after.get(&*shard.id).copied();
                let lanes = (0..self.settings.parallelization_factor).map(|_| Lane::default()).collect();
                let envelope_bytes = envelope_bytes(stream, &shard.id);
                let reader = Reader { progress: Progress::starting_after(start), lanes, envelope_bytes };
                self.readers.insert(Arc::clone(&shard.id), reader);
            }
        }
    }

    /// Whether `shard` is closed and everything in it is done. A shard that the stream does not know has expired.
    fn is_finished(&self, stream: &Stream, shard: &str) -> bool {
        let open = stream.shards.iter().any(|known| known.open && *known.id == *shard);
        let unread = || stream.shards.iter().any(|known| *known.id == *shard) && !self.readers.contains_key(shard);
        !open && !unread() && self.is_caught_up(stream, shard)
    }

    fn is_caught_up(&self, stream: &Stream, shard: &str) -> bool {
        self.readers.get(shard).is_none_or(|reader| {
            let progress = &reader.progress;
            progress.is_caught_up() && stream.records_after(shard, progress.read_up_to()).next().is_none()
        })
    }

    /// Whether every record of every shard is done.
    #[must_use]
    pub fn is_drained(&self, stream: &Stream) -> bool {
        stream.shards.iter().all(|shard| self.readers.contains_key(&shard.id) && self.is_caught_up(stream, &shard.id))
    }

    /// Takes note of what became of an invocation.
    ///
    /// # Errors
    /// [`StaleInvocation`] when it is not under way; nothing changes.
    pub fn complete(
        &mut self,
        invocation: &Invocation,
        now: Timestamp,
        outcome: Outcome,
    ) -> Result<(), StaleInvocation> {
        let Invocation { id, shard, .. } = invocation;
        let reader = self.readers.get_mut(shard).ok_or(StaleInvocation)?;
        let lane = reader.lanes.iter_mut().find(|lane| lane.has(*id)).ok_or(StaleInvocation)?;
        let settled = lane.settle(*id, outcome, &self.settings, now).ok_or(StaleInvocation)?;
        for record in &settled.done {
            reader.progress.mark_done(record.sequence);
        }
        // Not noted as done: they are read again, before those that wait.
        for record in settled.unnoted.into_iter().rev() {
            let bytes = reader.envelope_bytes + text_bytes(&record);
            lane.push_back_in(record, bytes, now);
        }
        if let Some(batch) = settled.given_up {
            self.discarded.push(reader.discard(shard, DiscardReason::RetryAttemptsExhausted, batch));
        }
        Ok(())
    }

    /// Reads the answer of the function by the settings and takes note of it.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub fn complete_with(
        &mut self,
        invocation: &Invocation,
        now: Timestamp,
        response: &Result<Vec<u8>, String>,
    ) -> Result<(), StaleInvocation> {
        let outcome = Outcome::of_response(response, &invocation.records, self.settings.report_batch_item_failures);
        self.complete(invocation, now, outcome)
    }

    /// What was discarded since this was last asked: it belongs to the on-failure destination.
    #[must_use]
    pub fn take_discarded(&mut self) -> Vec<Discarded> {
        std::mem::take(&mut self.discarded)
    }

    /// Everything of `shard` up to here is done.
    #[must_use]
    pub fn checkpoint(&self, shard: &str) -> Option<SequenceNumber> {
        self.readers.get(shard).map_or_else(|| self.start_after.get(shard).copied(), |reader| reader.progress.done())
    }

    /// When a poll may give something that it does not give now, if no record is put and no invocation ends before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let lanes = self.readers.values().flat_map(|reader| &reader.lanes);
        lanes.filter_map(|lane| lane.wake_at(&self.settings)).min()
    }
}

impl Reader {
    /// Reads on until the lane of the next record is full.
    fn fetch(
        &mut self,
        stream: &Stream,
        shard: &str,
        settings: &MappingSettings,
        position: StartingPosition,
        filter: Option<&Filter>,
        now: Timestamp,
    ) {
        let is_before = |record: &Record| match position {
            StartingPosition::AtTimestamp(at) => record.arrived < at,
            StartingPosition::TrimHorizon | StartingPosition::Latest => false,
        };
        let lanes = self.lanes.len() as u128;
        for record in stream.records_after(shard, self.progress.read_up_to()) {
            let lane = if lanes == 1 { 0 } else { (hash_key(&record.partition_key) % lanes) as usize };
            let Some(lane) = self.lanes.get_mut(lane) else { return };
            if lane.is_full(settings) {
                return;
            }
            self.progress.push_read(record.sequence);
            if !is_before(record) && filter.is_none_or(|filter| filter(record)) {
                lane.push(record.clone(), self.envelope_bytes + text_bytes(record), now);
            } else {
                self.progress.mark_done(record.sequence);
            }
        }
    }

    fn expire(&mut self, shard: &Arc<str>, settings: &MappingSettings, now: Timestamp) -> Vec<Discarded> {
        let expired: Vec<Batch> = self.lanes.iter_mut().flat_map(|lane| lane.expire(settings, now)).collect();
        expired.into_iter().map(|batch| self.discard(shard, DiscardReason::RecordAgeExceeded, batch)).collect()
    }

    fn discard(&mut self, shard: &Arc<str>, reason: DiscardReason, batch: Batch) -> Discarded {
        for record in &batch.records {
            self.progress.mark_done(record.sequence);
        }
        let Batch { records, failures: attempts, error, .. } = batch;
        Discarded { shard: Arc::clone(shard), reason, attempts, error, records }
    }

    fn start(&mut self, id: u64, settings: &MappingSettings, flush: bool, now: Timestamp) -> Option<Started> {
        let bytes_max = EVENT_BYTES_MAX - EVENT_FRAME_BYTES;
        self.lanes.iter_mut().find_map(|lane| lane.start(id, settings, bytes_max, flush, now))
    }
}

/// Bytes of a record's envelope with an empty payload and key, the comma after it, and a time of any length.
fn envelope_bytes(stream: &Stream, shard: &str) -> usize {
    const COMMA_AND_LONGEST_TIME: usize = 1 + 8;
    let record =
        RecordOut { sequence: super::sequence_number(0, 0), partition_key: "", data: &[], arrived: Timestamp::MIN };
    let mut event = Vec::new();
    write_event([record], &stream.origin.source(&stream.name, shard), &mut event);
    event.len() - EVENT_FRAME_BYTES + COMMA_AND_LONGEST_TIME
}

/// Bytes of payload and key as they stand in an event: base64, and JSON's escapes at their longest.
fn text_bytes(record: &Record) -> usize {
    let plain = record.partition_key.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    let key = record.partition_key.len() * if plain { 1 } else { 6 };
    record.data.len().div_ceil(3) * 4 + key
}
