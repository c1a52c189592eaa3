//! What a second region needs of the tables: epochs, the checkpoints of a stream, and states in order of epoch.
//!
//! One machine has no other region. What is here holds for two streams that share a folder, and for tests.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::failure;
use super::tables::{Tables, record};
use crate::model::{Checkpoint, Epoch, ShardId, StateRecord};
use crate::ports::StoreError;

/// Text that is in the order of epoch and sequence number. Without an epoch it is the number alone, and every text with one
/// comes after that.
pub(super) fn state_order(state: &StateRecord) -> String {
    let StateRecord { epoch, seq, .. } = state;
    if *epoch == 0 { seq.to_string() } else { format!("e{epoch:020}.{seq}") }
}

/// Whether a stream has a newer epoch than `newest`.
pub(super) fn is_newer(connection: &Connection, stream: &str, newest: i64) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached("SELECT version FROM checkpoints WHERE pk = ?1")?;
    let found: Option<i64> = find.query_row([Epoch::partition_key(stream)], |row| row.get(0)).optional()?;
    Ok(found.is_some_and(|found| found > newest))
}

impl Tables {
    /// Checkpoints of the shards of the region and stream of `any`.
    pub(super) fn list_checkpoints(&self, any: &ShardId) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        const VERB: &str = "list checkpoints";
        let beginning = ShardId { shard: String::new(), ..any.clone() }.partition_key();
        let connection = self.connection();
        // `$` is the sign after `#`, with which the beginning ends.
        let end = format!("{}$", beginning.trim_end_matches('#'));
        let rows: Vec<(String, String)> = connection
            .prepare_cached("SELECT pk, body FROM checkpoints WHERE pk >= ?1 AND pk < ?2 ORDER BY pk")
            .and_then(|mut statement| {
                statement.query_map([&beginning, &end], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(|error| failure::of_sqlite(VERB, &beginning, error))?;
        let shard = |pk: &str| any.sibling(pk.get(beginning.len()..).unwrap_or_default());
        rows.iter().map(|(pk, body)| Ok((shard(pk), record(VERB, pk, body)?))).collect()
    }

    pub(super) fn load_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        self.document("load epoch", "SELECT body FROM checkpoints WHERE pk = ?1", Epoch::partition_key(stream))
    }

    pub(super) fn begin_epoch(&self, stream: &str, next: &Epoch) -> Result<bool, StoreError> {
        const VERB: &str = "begin epoch";
        let body = serde_json::to_string(next).map_err(|error| failure::unreadable(VERB, &stream, error))?;
        let written = self.connection().execute(
            "INSERT INTO checkpoints VALUES (?1, ?2, ?3) ON CONFLICT (pk) DO UPDATE \
             SET version = excluded.version, body = excluded.body WHERE version < excluded.version",
            params![Epoch::partition_key(stream), next.epoch.cast_signed(), body],
        );
        written.map(|rows| rows > 0).map_err(|error| failure::of_sqlite(VERB, &stream, error))
    }
}
