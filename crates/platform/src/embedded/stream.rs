//! An in-process stream with the semantics of Kinesis, and a faithful event source mapping over it.
//!
//! [`Stream`] is the shards: hash ranges, sequence numbers, split and merge. [`Mapping`] is what stands between a stream
//! and a function: it cuts batches, keeps order, retries, bisects and discards as the AWS Lambda Developer Guide says
//! ("Using AWS Lambda with Amazon Kinesis"). Both are plain data: time is an argument, nothing waits, nothing is random,
//! so that a test drives them step by step. [`drive`] and [`run`] drive them in real time. A stream can also be the mirror
//! of one from elsewhere ([`Stream::mirror`]).
//!
//! What it does not do: tumbling windows, enhanced fan-out, and records that survive the process. A producer that puts
//! the same records in the same order gives them the same numbers in every run, so a restart goes on after the last
//! committed number.

mod discarded;
mod driver;
mod filter;
mod handle;
mod lane;
mod mapping;
mod mirror;
mod origin;
mod outcome;
mod position;
mod progress;
mod settings;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use anomaly_core::Timestamp;
use md5::{Digest as _, Md5};
use telemetry::sequence::SequenceNumber;

use crate::model::{ShardId, ShardInfo};

pub use discarded::{DiscardReason, Discarded};
pub use driver::{Consumer, drive, run};
pub use filter::{FILTER_CHARS_MAX, FILTERS_MAX, FilterCriteria, FilterError};
pub use handle::StreamHandle;
pub use mapping::{EVENT_BYTES_MAX, Invocation, Mapping, StaleInvocation};
pub use mirror::AppendError;
pub use origin::Origin;
pub use outcome::Outcome;
pub use position::StartingPosition;
pub use settings::{MappingSettings, SettingsError};

/// Most bytes of one record, payload and partition key together (Amazon Kinesis Data Streams Developer Guide, "Quotas
/// and limits").
pub const RECORD_BYTES_MAX: usize = 1_048_576;

/// Most characters of a partition key.
pub const PARTITION_KEY_CHARS_MAX: usize = 256;

/// Most shards a stream begins with.
pub const SHARDS_MAX: u32 = 10_000;

/// The region of every stream that is made here.
pub const REGION: &str = "local";

/// One record in a shard. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its position in the shard.
    pub sequence: SequenceNumber,
    /// What decided its shard.
    pub partition_key: Arc<str>,
    /// The payload.
    pub data: Arc<[u8]>,
    /// When the stream took it.
    pub arrived: Timestamp,
}

/// Why a stream does not take a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutRecordError {
    /// Larger than Kinesis takes.
    #[error("a record has {bytes} bytes with its partition key, the limit is {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Payload and partition key.
        bytes: usize,
    },
    /// Not 1 to 256 characters.
    #[error("a partition key has {chars} characters, expected 1 to {PARTITION_KEY_CHARS_MAX}")]
    PartitionKey {
        /// How many it has.
        chars: usize,
    },
    /// Its readers are behind; nothing is lost. Put it again when they have read on.
    #[error("the stream holds {bytes} bytes that were not read yet, the limit is {bytes_max}")]
    Full {
        /// Held now.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// [`Stream::end`] was called.
    #[error("the stream has ended; it takes no more records")]
    Ended,
}

/// Why shards cannot be split or merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReshardError {
    /// There is none of that name, or it is closed.
    #[error("`{0}` is no open shard of this stream")]
    NotOpen(String),
    /// The hash key is not inside the shard.
    #[error("{at} is no place to split `{shard}`: it must be above {first} and at most {last}")]
    NotInside {
        /// The shard.
        shard: String,
        /// Where the second child would start.
        at: u128,
        /// First hash key of the shard.
        first: u128,
        /// Last hash key of the shard.
        last: u128,
    },
    /// Their hash ranges do not touch.
    #[error("`{0}` and `{1}` are not neighbours: only shards whose hash ranges touch can be merged")]
    NotNeighbours(String, String),
}

#[derive(Debug)]
struct Shard {
    id: Arc<str>,
    info: ShardInfo,
    number: u64,
    open: bool,
    /// Records ever put.
    count: u64,
    /// Bytes of records that are kept.
    bytes: usize,
    /// The number taken last.
    last: Option<SequenceNumber>,
    /// Nothing up to here is kept.
    trimmed: Option<SequenceNumber>,
    records: VecDeque<Record>,
}

/// The shards of a stream and the records that were not trimmed.
#[derive(Debug)]
pub struct Stream {
    name: String,
    origin: Origin,
    shards: Vec<Shard>,
    bytes: usize,
    bound: Bound,
    ended: bool,
}

/// Most bytes that wait to be read.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// In all shards together.
    Stream(usize),
    /// In each of them.
    Shard(usize),
}

impl Bound {
    /// Refuses `bytes` more for a shard of a stream that holds `held` bytes. One record always fits.
    fn check(self, held: usize, shard: &Shard, bytes: usize) -> Result<(), PutRecordError> {
        let (held, bytes_max) = match self {
            Self::Stream(bytes_max) => (held, bytes_max),
            Self::Shard(bytes_max) => (shard.bytes, bytes_max),
        };
        let full = held > 0 && held + bytes > bytes_max;
        if full { Err(PutRecordError::Full { bytes: held, bytes_max }) } else { Ok(()) }
    }
}

impl Record {
    fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }
}

impl Shard {
    /// Keeps a record unless it was trimmed in advance, and says how many bytes that takes.
    fn take(&mut self, record: Record) -> usize {
        self.count += 1;
        self.last = Some(record.sequence);
        if self.trimmed.is_some_and(|trimmed| record.sequence <= trimmed) {
            return 0;
        }
        let bytes = record.bytes();
        self.records.push_back(record);
        self.bytes += bytes;
        bytes
    }
}

/// Where a partition key falls: its MD5 as a number (Kinesis API Reference, `PutRecord`).
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

impl Stream {
    /// A stream of 1 to [`SHARDS_MAX`] shards (fewer or more become the nearer of these) with hash ranges of equal size,
    /// that holds about `bytes_max` bytes of records that nobody has read yet, and at least one record.
    #[must_use]
    pub fn new(name: &str, shards: u32, bytes_max: usize) -> Self {
        let bound = Bound::Stream(bytes_max);
        let origin = Origin::default();
        let mut stream = Self { name: name.to_owned(), origin, shards: Vec::new(), bytes: 0, bound, ended: false };
        let count = u128::from(shards.clamp(1, SHARDS_MAX));
        // The start of a shard is its index times 2^128 / count, rounded down; 2^128 itself does not fit.
        let start = |index: u128| index * (u128::MAX / count) + index * (u128::MAX % count + 1) / count;
        for index in 0..count {
            let last = if index + 1 == count { u128::MAX } else { start(index + 1) - 1 };
            stream.open_shard((start(index), last), None, None);
        }
        stream
    }

    fn open_shard(&mut self, hash_range: (u128, u128), parent: Option<String>, adjacent: Option<String>) -> Arc<str> {
        let number = self.shards.len() as u64;
        let id: Arc<str> = format!("shardId-{number:012}").into();
        let info = ShardInfo { shard: id.to_string(), parent, adjacent_parent: adjacent, hash_range };
        self.shards.push(Shard {
            id: Arc::clone(&id),
            info,
            number,
            open: true,
            count: 0,
            bytes: 0,
            last: None,
            trimmed: None,
            records: VecDeque::new(),
        });
        id
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The identity of one of its shards.
    #[must_use]
    pub fn shard_id(&self, shard: &str) -> ShardId {
        ShardId { region: self.origin.region.clone(), stream: self.name.clone(), shard: shard.to_owned() }
    }

    /// All shards, closed ones included, oldest first.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardInfo> {
        self.shards.iter().map(|shard| shard.info.clone()).collect()
    }

    /// Puts a record and says which shard took it and under which number. The number depends on nothing but the shard
    /// and the count of records put to it before.
    ///
    /// # Errors
    /// [`PutRecordError`] when the record breaks a limit, the stream is full, or it has ended.
    pub fn put(
        &mut self,
        partition_key: &str,
        data: &[u8],
        arrived: Timestamp,
    ) -> Result<(Arc<str>, SequenceNumber), PutRecordError> {
        let chars = partition_key.chars().count();
        if !(1..=PARTITION_KEY_CHARS_MAX).contains(&chars) {
            return Err(PutRecordError::PartitionKey { chars });
        }
        let bytes = data.len() + partition_key.len();
        if bytes > RECORD_BYTES_MAX {
            return Err(PutRecordError::TooLarge { bytes });
        }
        if self.ended {
            return Err(PutRecordError::Ended);
        }
        let hash = hash_key(partition_key);
        let holds =
            |shard: &&mut Shard| shard.open && (shard.info.hash_range.0..=shard.info.hash_range.1).contains(&hash);
        // The open shards cover every hash key, so there always is one.
        let held = self.bytes;
        let Some(shard) = self.shards.iter_mut().find(holds) else { return Err(PutRecordError::Ended) };
        self.bound.check(held, shard, bytes)?;
        let sequence = sequence_number(shard.number, shard.count);
        self.bytes += shard.take(Record { sequence, partition_key: partition_key.into(), data: data.into(), arrived });
        Ok((Arc::clone(&shard.id), sequence))
    }

    /// Says that no more records come: readers finish what there is and do not wait for batches to fill.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether [`Self::end`] was called.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Closes a shard and opens two in its place; the second starts at hash key `at`.
    ///
    /// # Errors
    /// [`ReshardError`] when the shard is not open or `at` is not inside it.
    pub fn split(&mut self, shard: &str, at: u128) -> Result<[Arc<str>; 2], ReshardError> {
        let parent = self.open_by_name(shard)?;
        let (first, last) = parent.info.hash_range;
        if at <= first || at > last {
            return Err(ReshardError::NotInside { shard: shard.to_owned(), at, first, last });
        }
        parent.open = false;
        let parent = Some(shard.to_owned());
        Ok([self.open_shard((first, at - 1), parent.clone(), None), self.open_shard((at, last), parent, None)])
    }

    /// Closes two neighbours and opens one in their place.
    ///
    /// # Errors
    /// [`ReshardError`] when one of them is not open or their hash ranges do not touch.
    pub fn merge(&mut self, shard: &str, adjacent: &str) -> Result<Arc<str>, ReshardError> {
        let a = self.open_by_name(shard)?.info.hash_range;
        let b = self.open_by_name(adjacent)?.info.hash_range;
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        if low.1.checked_add(1) != Some(high.0) {
            return Err(ReshardError::NotNeighbours(shard.to_owned(), adjacent.to_owned()));
        }
        for name in [shard, adjacent] {
            self.open_by_name(name)?.open = false;
        }
        Ok(self.open_shard((low.0, high.1), Some(shard.to_owned()), Some(adjacent.to_owned())))
    }

    fn open_by_name(&mut self, name: &str) -> Result<&mut Shard, ReshardError> {
        let open = self.shards.iter_mut().find(|shard| shard.open && *shard.id == *name);
        open.ok_or_else(|| ReshardError::NotOpen(name.to_owned()))
    }

    /// Drops the records up to `through`, those that are yet to come under such numbers included. Unknown shards are
    /// left alone.
    pub fn trim(&mut self, shard: &str, through: SequenceNumber) {
        let Some(shard) = self.shards.iter_mut().find(|known| *known.id == *shard) else { return };
        shard.trimmed = shard.trimmed.max(Some(through));
        while let Some(record) = shard.records.pop_front_if(|record| record.sequence <= through) {
            shard.bytes -= record.bytes();
            self.bytes -= record.bytes();
        }
    }

    /// Records of a shard after `position`, in order; all that are kept for `None`.
    pub fn records_after(&self, shard: &str, position: Option<SequenceNumber>) -> impl Iterator<Item = &Record> {
        let shard = self.shards.iter().find(|known| *known.id == *shard);
        shard.into_iter().flat_map(move |shard| {
            let skip = position.map_or(0, |at| shard.records.partition_point(|record| record.sequence <= at));
            shard.records.range(skip..)
        })
    }

    /// Bytes of records that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// 56 digits like those of Kinesis: `49`, the number of the shard, the count. A child has a higher number than its
/// parents, so that numbers rise along a line of descent too.
fn sequence_number(shard: u64, count: u64) -> SequenceNumber {
    let mut digits = String::with_capacity(56);
    // Writing to a String cannot fail.
    let _ = write!(digits, "49{shard:014}{count:040}");
    // 56 digits by construction; the end of the order otherwise, which would be seen at once.
    digits.parse().unwrap_or(SequenceNumber::ZERO)
}

#[cfg(test)]
mod tests;
