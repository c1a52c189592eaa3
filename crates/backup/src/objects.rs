//! Where objects lie: a lake, or the place of backups; a bucket, or a folder.
//!
//! One set of verbs for both sides of a copy. What it does not do: hold an object larger than [`OBJECT_BYTES_MAX`].

use std::future::Future;

use anomaly_core::Timestamp;
use platform::ports::StoreError;

/// Largest object that is copied, in bytes: it is held in memory while its hash is made.
pub const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Changes whenever the content does: the `ETag` on S3, size and time in a folder.
    pub tag: String,
    /// When it was last written, by the store's clock.
    pub changed: Timestamp,
}

/// What a put does with an object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Leaves it as it is.
    New,
    /// Takes its place.
    Replace,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// The bytes are there.
    Stored,
    /// Something of that name was there, and still is.
    Taken,
}

/// Objects by key. Every verb is safe to repeat.
pub trait Objects {
    /// For people: `s3://bucket/prefix`, or the folder.
    fn name(&self) -> String;

    /// Objects whose keys begin with `prefix` and lie behind `after`, in order of key, at most `count_max`. Fewer than that only
    /// at the end.
    fn page(
        &self,
        prefix: &str,
        after: &str,
        count_max: usize,
    ) -> impl Future<Output = Result<Vec<Found>, StoreError>> + Send;

    /// Folders right below a prefix, which is empty or ends with `/`: names without slashes, in order.
    fn folders(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// The object whole; `None`: there is none. One above [`OBJECT_BYTES_MAX`] is a permanent error.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// Its size; `None`: there is none.
    fn measure(&self, key: &str) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Stores an object whole or not at all. After `Ok` it survives the loss of the process.
    fn put(&self, key: &str, body: &[u8], how: Put) -> impl Future<Output = Result<Became, StoreError>> + Send;

    /// Removes an object; none is no error.
    fn remove(&self, key: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}
