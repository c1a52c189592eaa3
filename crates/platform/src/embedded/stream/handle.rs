//! A stream that producers and a mapping share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anomaly_core::Timestamp;
use telemetry::sequence::SequenceNumber;
use tokio::sync::Notify;

use super::{AppendError, Origin, PutRecordError, Record, ReshardError, Stream};
use crate::model::ShardInfo;

/// A shared stream. Clones are the same stream.
#[derive(Debug, Clone)]
pub struct StreamHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: Mutex<Stream>,
    /// Something was put, resharded or ended.
    changed: Notify,
    /// Something was trimmed.
    room: Notify,
}

impl StreamHandle {
    /// Shares a stream.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self(Arc::new(Shared { stream: Mutex::new(stream), changed: Notify::new(), room: Notify::new() }))
    }

    /// Every change is complete before the lock is let go, so a panic elsewhere leaves the stream whole.
    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record; waits while the stream is full.
    ///
    /// # Errors
    /// [`PutRecordError`] when the record breaks a limit or the stream has ended.
    pub async fn put(
        &self,
        partition_key: &str,
        data: &[u8],
        arrived: Timestamp,
    ) -> Result<(Arc<str>, SequenceNumber), PutRecordError> {
        loop {
            let mut room = std::pin::pin!(self.0.room.notified());
            room.as_mut().enable();
            match self.try_put(partition_key, data, arrived) {
                Err(PutRecordError::Full { .. }) => room.await,
                answer => return answer,
            }
        }
    }

    /// Puts a record unless the stream is full.
    ///
    /// # Errors
    /// As [`Stream::put`].
    pub fn try_put(
        &self,
        partition_key: &str,
        data: &[u8],
        arrived: Timestamp,
    ) -> Result<(Arc<str>, SequenceNumber), PutRecordError> {
        self.change(|stream| stream.put(partition_key, data, arrived))
    }

    /// Repeats a record; waits while its shard is full.
    ///
    /// # Errors
    /// [`AppendError`] when the shard is not open, the number does not rise, or the stream has ended.
    pub async fn append(&self, shard: &str, record: Record) -> Result<(), AppendError> {
        loop {
            let mut room = std::pin::pin!(self.0.room.notified());
            room.as_mut().enable();
            match self.try_append(shard, record.clone()) {
                Err(AppendError::Put(PutRecordError::Full { .. })) => room.await,
                answer => return answer,
            }
        }
    }

    /// Repeats a record unless its shard is full.
    ///
    /// # Errors
    /// As [`Stream::append`].
    pub fn try_append(&self, shard: &str, record: Record) -> Result<(), AppendError> {
        self.change(|stream| stream.append(shard, record))
    }

    /// As [`Stream::adopt`].
    pub fn adopt(&self, info: ShardInfo) {
        self.change(|stream| stream.adopt(info));
    }

    /// As [`Stream::close`].
    pub fn close(&self, shard: &str) {
        self.change(|stream| stream.close(shard));
    }

    /// As [`Stream::split`].
    ///
    /// # Errors
    /// As [`Stream::split`].
    pub fn split(&self, shard: &str, at: u128) -> Result<[Arc<str>; 2], ReshardError> {
        self.change(|stream| stream.split(shard, at))
    }

    /// As [`Stream::merge`].
    ///
    /// # Errors
    /// As [`Stream::merge`].
    pub fn merge(&self, shard: &str, adjacent: &str) -> Result<Arc<str>, ReshardError> {
        self.change(|stream| stream.merge(shard, adjacent))
    }

    /// As [`Stream::end`]. Who waits to put is told so.
    pub fn end(&self) {
        self.change(Stream::end);
        self.0.room.notify_waiters();
    }

    /// As [`Stream::name`].
    #[must_use]
    pub fn name(&self) -> String {
        self.look(|stream| stream.name().to_owned())
    }

    /// As [`Stream::origin`].
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.look(|stream| stream.origin().clone())
    }

    /// The open shards, as [`Stream::open_shards`].
    #[must_use]
    pub fn open_shards(&self) -> Vec<Arc<str>> {
        self.look(|stream| stream.open_shards().cloned().collect())
    }

    /// As [`Stream::shards`].
    #[must_use]
    pub fn shards(&self) -> Vec<ShardInfo> {
        self.lock().shards()
    }

    /// As [`Stream::bytes`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Stream) -> T) -> T {
        let answer = change(&mut self.lock());
        self.0.changed.notify_waiters();
        answer
    }

    /// Looks at the stream; producers wait meanwhile.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Stream) -> T) -> T {
        look(&self.lock())
    }

    pub(super) fn trim(&self, shard: &str, through: SequenceNumber) {
        self.lock().trim(shard, through);
        self.0.room.notify_waiters();
    }

    /// Resolves at the next change after the first poll of it or `enable`.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.changed.notified()
    }
}
