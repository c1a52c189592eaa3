//! The tables, and which version of them a database has (`PRAGMA user_version`).
//!
//! Records are kept as JSON documents; what a condition or an order needs stands beside them in columns of its own.

use rusqlite::Connection;

/// Version of the tables. Raised with every change of them, together with the step that brings older databases up.
pub(super) const VERSION: u32 = 2;

/// The version since which there are [`ALERTS`].
pub(super) const ALERTS_SINCE: u32 = 2;

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

/// Entries by key, by what is due and by day; instants are milliseconds since 1970. The changes of anomalies, states and
/// entries have numbers that are never used again, whatever is forgotten (SQLite, "SQLite Autoincrement").
const ALERTS: &str = "
    CREATE TABLE entries (
        pk      TEXT NOT NULL,
        sk      TEXT NOT NULL,
        version INTEGER NOT NULL,
        queue   TEXT,
        due     INTEGER,
        day     TEXT,
        at      INTEGER,
        body    TEXT NOT NULL,
        PRIMARY KEY (pk, sk)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_by_due ON entries (queue, due) WHERE queue IS NOT NULL;
    CREATE INDEX entries_by_day ON entries (day, at) WHERE day IS NOT NULL;
    CREATE TABLE changes (
        number  INTEGER PRIMARY KEY AUTOINCREMENT,
        pk      TEXT NOT NULL,
        sk      TEXT NOT NULL,
        old     TEXT,
        new     TEXT
    ) STRICT;
";

/// Makes the tables in an empty database.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    step_to(connection, VERSION, &[TABLES, ALERTS])
}

/// Brings a database of an older version up to [`VERSION`]; what is stored in it stays. What was stored before there were
/// changes is not told as one.
pub(super) fn upgrade(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    if found < ALERTS_SINCE {
        step_to(connection, ALERTS_SINCE, &[ALERTS])?;
    }
    Ok(())
}

/// All of a step or nothing of it.
fn step_to(connection: &mut Connection, version: u32, batches: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for batch in batches {
        transaction.execute_batch(batch)?;
    }
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// The version of a database; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
