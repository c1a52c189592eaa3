//! What is asked of the services behind the broker, to follow a reading.

use std::future::Future;

use account::Trouble;

/// A place in a shard, from where on records are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The shard.
    pub shard: String,
    /// Kinesis' own word for the place.
    pub iterator: Option<String>,
}

/// A record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its sequence number.
    pub sequence: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A device's state in the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Such as `normal`.
    pub status: String,
    /// Since when.
    pub since: String,
}

/// Who has seen the reading pass.
pub trait Witness {
    /// The end of the shard that a partition key belongs to.
    fn position(&self, stream: &str, partition_key: &str) -> impl Future<Output = Result<Position, Trouble>>;
    /// Records after the position, which is moved on.
    fn arrivals(&self, position: &mut Position) -> impl Future<Output = Result<Vec<Arrival>, Trouble>>;
    /// The last sequence number that was committed under a checkpoint's key, 56 digits, or `None` before the first.
    fn committed(&self, table: &str, key: &str) -> impl Future<Output = Result<Option<String>, Trouble>>;
    /// The state of a device, or `None`.
    fn device_state(
        &self,
        table: &str,
        tenant: &str,
        device: &str,
    ) -> impl Future<Output = Result<Option<DeviceState>, Trouble>>;
    /// Lines of a log since then, milliseconds since 1970, that have this word.
    fn log_lines(&self, group: &str, since_ms: i64, word: &str) -> impl Future<Output = Result<Vec<String>, Trouble>>;
}
