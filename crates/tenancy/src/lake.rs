//! What is asked of the lake: objects by key.

use std::future::Future;

use account::Trouble;

/// A bucket.
pub trait Lake {
    /// The object, or `None`.
    fn get(&self, bucket: &str, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Trouble>>;
    /// Stores it, whatever is there.
    fn put(&self, bucket: &str, key: &str, body: Vec<u8>) -> impl Future<Output = Result<(), Trouble>>;
    /// Stores it unless an object of that name is there. Whether it did.
    fn put_if_absent(&self, bucket: &str, key: &str, body: Vec<u8>) -> impl Future<Output = Result<bool, Trouble>>;
    /// Keys that begin so, sorted, at most so many.
    fn keys(&self, bucket: &str, prefix: &str, count_max: usize) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// The parts up to the next `/` of keys that begin so, sorted.
    fn folders(&self, bucket: &str, prefix: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
    /// Deletes an object; the bucket keeps the version. It is no trouble if there is none.
    fn delete(&self, bucket: &str, key: &str) -> impl Future<Output = Result<(), Trouble>>;
}
