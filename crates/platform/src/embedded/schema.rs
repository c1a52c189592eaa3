//! The tables, and which version of them a database has (`PRAGMA user_version`).
//!
//! Records are kept as JSON documents; what a condition or an order needs stands beside them in columns of its own.

use rusqlite::Connection;

/// Version of [`TABLES`]. Raised with every change of them, together with the step that brings older databases up.
pub(super) const VERSION: u32 = 1;

/// Sequence numbers are padded, so that text order is their order; an epoch above 0 goes before a state's and after all
/// digits (`epochs::state_order`). Hash keys have 128 bits and are text in decimal. A stream's epoch lies among the
/// checkpoints, as it does in DynamoDB: its key is the stream, its version the epoch.
const TABLES: &str = "
    CREATE TABLE checkpoints (
        pk      TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        body    TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE anomalies (
        pk      TEXT NOT NULL,
        sk      TEXT NOT NULL,
        tenant  TEXT NOT NULL,
        day     TEXT NOT NULL,
        onset   INTEGER NOT NULL,
        id      TEXT NOT NULL,
        body    TEXT NOT NULL,
        PRIMARY KEY (pk, sk)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX anomalies_by_day ON anomalies (day, onset);
    CREATE INDEX anomalies_by_tenant ON anomalies (tenant, onset);
    CREATE INDEX anomalies_by_onset ON anomalies (onset);
    CREATE INDEX anomalies_by_id ON anomalies (id);
    CREATE TABLE states (
        pk      TEXT PRIMARY KEY,
        seq     TEXT NOT NULL,
        body    TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE shards (
        stream          TEXT NOT NULL,
        shard           TEXT NOT NULL,
        parent          TEXT,
        adjacent_parent TEXT,
        hash_first      TEXT NOT NULL,
        hash_last       TEXT NOT NULL,
        PRIMARY KEY (stream, shard)
    ) STRICT, WITHOUT ROWID;
";

/// Makes the tables in an empty database.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// The version of a database; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
