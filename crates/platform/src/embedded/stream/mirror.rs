//! A stream that repeats one from elsewhere: its shards, its sequence numbers, its records, as they were there.
//!
//! Who fills it keeps the order: a shard is adopted before its first record and closed after its last.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Bound, Origin, PutRecordError, Record, Shard, Stream};
use crate::model::ShardInfo;

/// Why a record cannot be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream does not take it now, or never.
    #[error(transparent)]
    Put(#[from] PutRecordError),
    /// The shard was not adopted, or it is closed.
    #[error("shard `{0}` is not open: adopt it before its first record, close it after its last")]
    NotOpen(String),
    /// The number is not above that of the record before it.
    #[error(
        "record {found} of shard `{shard}` does not come after {last}: a shard is repeated in order, each record once"
    )]
    NotAfter {
        /// The shard.
        shard: String,
        /// The number that was taken last.
        last: String,
        /// The number of this one.
        found: String,
    },
}

impl Stream {
    /// A stream without shards, for [`Self::adopt`] and [`Self::append`]. Each shard holds about `shard_bytes_max` bytes
    /// of records that nobody has read yet, so that a shard whose records fail does not hold up the others.
    #[must_use]
    pub fn mirror(name: &str, origin: Origin, shard_bytes_max: usize) -> Self {
        Self {
            name: name.to_owned(),
            origin,
            shards: Vec::new(),
            bytes: 0,
            bound: Bound::Shard(shard_bytes_max),
            ended: false,
        }
    }

    /// Takes over a shard, open, without records. One that is known already is left as it is. A parent that is never
    /// adopted counts as expired: its children are read at once.
    pub fn adopt(&mut self, info: ShardInfo) {
        if self.shards.iter().any(|shard| *shard.id == *info.shard) {
            return;
        }
        self.shards.push(Shard {
            id: info.shard.as_str().into(),
            number: self.shards.len() as u64,
            info,
            open: true,
            count: 0,
            bytes: 0,
            last: None,
            trimmed: None,
            records: VecDeque::new(),
        });
    }

    /// Says that no more records come to a shard, as after a split or a merge. Unknown shards are left alone.
    pub fn close(&mut self, shard: &str) {
        if let Some(shard) = self.shards.iter_mut().find(|known| *known.id == *shard) {
            shard.open = false;
        }
    }

    /// Takes a record under the number it has. Limits of a record are those of where it comes from.
    ///
    /// # Errors
    /// [`AppendError`] when the shard is full or not open, the number does not rise, or the stream has ended.
    pub fn append(&mut self, shard: &str, record: Record) -> Result<(), AppendError> {
        if self.ended {
            return Err(PutRecordError::Ended.into());
        }
        let bytes = record.bytes();
        let held = self.bytes;
        let Some(shard) = self.shards.iter_mut().find(|known| known.open && *known.id == *shard) else {
            return Err(AppendError::NotOpen(shard.to_owned()));
        };
        if let Some(last) = shard.last.filter(|last| record.sequence <= *last) {
            let (last, found) = (last.trimmed().to_owned(), record.sequence.trimmed().to_owned());
            return Err(AppendError::NotAfter { shard: shard.id.to_string(), last, found });
        }
        self.bound.check(held, shard, bytes)?;
        self.bytes += shard.take(record);
        Ok(())
    }

    /// The identities of the shards that take records.
    pub fn open_shards(&self) -> impl Iterator<Item = &Arc<str>> {
        self.shards.iter().filter(|shard| shard.open).map(|shard| &shard.id)
    }
}
