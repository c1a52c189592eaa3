//! Checkpoints, anomalies, states and shards in SQLite.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Params, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::changes::{image, note};
use super::epochs;
use super::failure;
use crate::model::{AnomalyRecord, Checkpoint, ShardInfo, StateRecord, TRANSACTION_ITEMS_MAX, Transaction};
use crate::ports::{AnomalyQuery, CommitError, StoreError};

const COMMIT: &str = "commit";

// An index of a table without row ids ends with the table's key, so each of these orders is that of an index.
const OF_DEVICE: &str = "SELECT body FROM anomalies WHERE pk = ?1 ORDER BY sk DESC LIMIT ?2";
const OF_DAY: &str = "SELECT body FROM anomalies WHERE day = ?1 ORDER BY onset DESC, pk DESC, sk DESC LIMIT ?2";
const OF_TENANT: &str = "SELECT body FROM anomalies WHERE tenant = ?1 ORDER BY onset DESC, pk DESC, sk DESC LIMIT ?2";
const OF_ALL: &str = "SELECT body FROM anomalies ORDER BY onset DESC, pk DESC, sk DESC LIMIT ?1";
/// No hexadecimal digit comes after `f`, so what lies from a beginning up to it and a `g` is what begins so. No sign has
/// a meaning of its own here, as it would with LIKE.
const OF_IDS: &str = "SELECT body FROM anomalies WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id, pk, sk LIMIT ?2";

/// The database. One connection: SQLite has one writer at a time, and reads take microseconds.
#[derive(Debug)]
pub(super) struct Tables(Mutex<Connection>);

/// A transaction as rows, owned, so that it can go to another thread.
#[derive(Debug)]
pub(super) struct Change {
    checkpoint: Option<CheckpointRow>,
    /// Keys of checkpoints and the versions that they must have.
    expected: Vec<(String, Option<i64>)>,
    /// A stream and the newest epoch that it may have.
    epoch: Option<(String, i64)>,
    anomalies: Vec<AnomalyRow>,
    states: Vec<StateRow>,
}

#[derive(Debug)]
struct CheckpointRow {
    pk: String,
    version: i64,
    body: String,
}

#[derive(Debug)]
struct AnomalyRow {
    pk: String,
    sk: String,
    tenant: String,
    day: String,
    onset: i64,
    id: String,
    body: String,
}

#[derive(Debug)]
struct StateRow {
    pk: String,
    /// What tells newer states from older ones.
    seq: String,
    body: String,
}

fn body(target: &str, record: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| failure::unreadable(COMMIT, &target, error))
}

pub(super) fn record<T: DeserializeOwned>(verb: &'static str, target: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| failure::unreadable(verb, &target, error))
}

impl Change {
    pub(super) fn of(transaction: &Transaction<'_>) -> Result<Self, CommitError> {
        if !(1..=TRANSACTION_ITEMS_MAX).contains(&transaction.len()) {
            return Err(CommitError::Size(transaction.len()));
        }
        let checkpoint = transaction.checkpoint.map(|change| {
            let pk = change.shard.partition_key();
            let body = body(&pk, change.next)?;
            // SQLite's integers are signed. Versions count from 1, and equal ones stay equal.
            Ok::<_, StoreError>(CheckpointRow { pk, version: change.next.version.cast_signed(), body })
        });
        let change = transaction.checkpoint.map(|change| (change.shard, change.expected));
        let guard = transaction.guard.map(|guard| (guard.shard, guard.expected));
        let expected = change.into_iter().chain(guard);
        let expected = expected.map(|(shard, version)| (shard.partition_key(), version.map(u64::cast_signed)));
        let anomalies = transaction.anomalies.iter().map(|anomaly| {
            let pk = anomaly.partition_key();
            let body = body(&pk, anomaly)?;
            let (sk, day, onset) = (anomaly.sort_key(), anomaly.day(), anomaly.anomaly.onset.millis());
            let (tenant, id) = (anomaly.anomaly.tenant.clone(), anomaly.anomaly.id.to_string());
            Ok::<_, StoreError>(AnomalyRow { pk, sk, tenant, day, onset, id, body })
        });
        let states = transaction.states.iter().map(|state| {
            let pk = state.partition_key();
            let body = body(&pk, state)?;
            Ok::<_, StoreError>(StateRow { pk, seq: epochs::state_order(state), body })
        });
        let change = Self {
            checkpoint: checkpoint.transpose()?,
            expected: expected.collect(),
            epoch: transaction.epoch.map(|guard| (guard.stream.to_owned(), guard.newest.cast_signed())),
            anomalies: anomalies.collect::<Result<_, _>>()?,
            states: states.collect::<Result<_, _>>()?,
        };
        change.check_distinct()?;
        Ok(change)
    }

    fn check_distinct(&self) -> Result<(), StoreError> {
        let mut keys = HashSet::new();
        let anomalies = self.anomalies.iter().map(|row| (row.pk.as_str(), row.sk.as_str()));
        let states = self.states.iter().map(|row| (row.pk.as_str(), StateRecord::SORT_KEY));
        match anomalies.chain(states).find(|key| !keys.insert(*key)) {
            None => Ok(()),
            Some((pk, sk)) => Err(failure::permanent(
                COMMIT,
                &format_args!("{pk} {sk}"),
                "a transaction changes an item once; leave out the older change",
            )),
        }
    }

    fn target(&self) -> &str {
        self.checkpoint.as_ref().map_or("results", |row| &row.pk)
    }
}

impl Tables {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Mutex::new(connection))
    }

    /// A panic in another call has rolled its transaction back, so the connection is good.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn load_checkpoint(&self, pk: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.document("load checkpoint", "SELECT body FROM checkpoints WHERE pk = ?1", pk)
    }

    pub(super) fn device_state(&self, pk: &str) -> Result<Option<StateRecord>, StoreError> {
        self.document("get device state", "SELECT body FROM states WHERE pk = ?1", pk)
    }

    pub(super) fn document<T: DeserializeOwned>(
        &self,
        verb: &'static str,
        sql: &str,
        pk: &str,
    ) -> Result<Option<T>, StoreError> {
        let connection = self.connection();
        let body: Option<String> = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([pk], |row| row.get(0)).optional())
            .map_err(|error| failure::of_sqlite(verb, &pk, error))?;
        body.map(|body| record(verb, pk, &body)).transpose()
    }

    pub(super) fn commit(&self, change: &Change) -> Result<(), CommitError> {
        let failed = |error| CommitError::from(failure::of_sqlite(COMMIT, &change.target(), error));
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if !checkpoints_are_expected(&transaction, change).map_err(failed)? {
            return Err(CommitError::CheckpointMoved);
        }
        if let Some((stream, newest)) = &change.epoch
            && epochs::is_newer(&transaction, stream, *newest).map_err(failed)?
        {
            return Err(CommitError::EpochMoved);
        }
        let (anomalies, states) = already_there(&transaction, change).map_err(failed)?;
        if !(anomalies.is_empty() && states.is_empty()) {
            return Err(CommitError::AlreadyThere { anomalies, states });
        }
        write(&transaction, change).and_then(|()| transaction.commit()).map_err(failed)
    }

    pub(super) fn find_anomalies(
        &self,
        query: &AnomalyQuery,
        count_max: usize,
    ) -> Result<Vec<AnomalyRecord>, StoreError> {
        let (sql, key) = match query {
            AnomalyQuery::Device { tenant, device } => (OF_DEVICE, format!("{tenant}#{device}")),
            AnomalyQuery::Day { tenant, day } => (OF_DAY, format!("{tenant}#{day}")),
        };
        self.anomalies(&key, sql, params![key, limit(count_max)])
    }

    pub(super) fn recent_anomalies(
        &self,
        tenant: Option<&str>,
        count_max: usize,
    ) -> Result<Vec<AnomalyRecord>, StoreError> {
        match tenant {
            Some(tenant) => self.anomalies(tenant, OF_TENANT, params![tenant, limit(count_max)]),
            None => self.anomalies("all tenants", OF_ALL, params![limit(count_max)]),
        }
    }

    pub(super) fn anomalies_by_id(&self, beginning: &str, count_max: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
        self.anomalies(beginning, OF_IDS, params![beginning, limit(count_max)])
    }

    fn anomalies(&self, target: &str, sql: &str, params: impl Params) -> Result<Vec<AnomalyRecord>, StoreError> {
        const VERB: &str = "find anomalies";
        let connection = self.connection();
        let bodies: Vec<String> = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, |row| row.get(0))?.collect())
            .map_err(|error| failure::of_sqlite(VERB, &target, error))?;
        bodies.iter().map(|body| record(VERB, target, body)).collect()
    }

    pub(super) fn define_shards(&self, stream: &str, shards: &[ShardInfo]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let mut define = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM shards WHERE stream = ?1", [stream])?;
            for shard in shards {
                let (first, last) = shard.hash_range;
                transaction.execute(
                    "INSERT INTO shards VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        stream,
                        shard.shard,
                        shard.parent,
                        shard.adjacent_parent,
                        first.to_string(),
                        last.to_string()
                    ],
                )?;
            }
            transaction.commit()
        };
        define().map_err(|error| failure::of_sqlite("define shards", &stream, error))
    }

    pub(super) fn list_shards(&self, stream: &str) -> Result<Vec<ShardInfo>, StoreError> {
        let connection = self.connection();
        let list = || {
            let mut statement = connection.prepare_cached(
                "SELECT shard, parent, adjacent_parent, hash_first, hash_last FROM shards WHERE stream = ?1",
            )?;
            let rows = statement.query_map([stream], |row| {
                Ok(ShardInfo {
                    shard: row.get(0)?,
                    parent: row.get(1)?,
                    adjacent_parent: row.get(2)?,
                    hash_range: (hash_key(row, 3)?, hash_key(row, 4)?),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        list().map_err(|error| failure::of_sqlite("list shards", &stream, error))
    }
}

pub(super) fn limit(count_max: usize) -> i64 {
    i64::try_from(count_max).unwrap_or(i64::MAX)
}

fn hash_key(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u128> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn checkpoints_are_expected(connection: &Connection, change: &Change) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached("SELECT version FROM checkpoints WHERE pk = ?1")?;
    for (pk, expected) in &change.expected {
        let found: Option<i64> = find.query_row([pk], |row| row.get(0)).optional()?;
        if found != *expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Indexes of the anomalies that are stored, and of the states that are not newer than the one that is stored.
fn already_there(connection: &Connection, change: &Change) -> rusqlite::Result<(Vec<usize>, Vec<usize>)> {
    let mut anomalies = Vec::new();
    let mut find = connection.prepare_cached("SELECT 1 FROM anomalies WHERE pk = ?1 AND sk = ?2")?;
    for (index, row) in change.anomalies.iter().enumerate() {
        if find.exists(params![row.pk, row.sk])? {
            anomalies.push(index);
        }
    }
    let mut states = Vec::new();
    let mut find = connection.prepare_cached("SELECT 1 FROM states WHERE pk = ?1 AND seq >= ?2")?;
    for (index, row) in change.states.iter().enumerate() {
        if find.exists(params![row.pk, row.seq])? {
            states.push(index);
        }
    }
    Ok((anomalies, states))
}

fn write(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    if let Some(row) = &change.checkpoint {
        connection.prepare_cached("INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2, ?3)")?.execute(params![
            row.pk,
            row.version,
            row.body
        ])?;
    }
    let mut insert = connection.prepare_cached("INSERT INTO anomalies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in &change.anomalies {
        insert.execute(params![row.pk, row.sk, row.tenant, row.day, row.onset, row.id, row.body])?;
        note(connection, &row.pk, &row.sk, None, Some(&image("anomaly", &row.body)))?;
    }
    let mut find = connection.prepare_cached("SELECT body FROM states WHERE pk = ?1")?;
    let mut replace = connection.prepare_cached("INSERT OR REPLACE INTO states VALUES (?1, ?2, ?3)")?;
    for row in &change.states {
        let old: Option<String> = find.query_row([&row.pk], |row| row.get(0)).optional()?;
        replace.execute(params![row.pk, row.seq, row.body])?;
        let old = old.map(|body| image("state", &body));
        note(connection, &row.pk, StateRecord::SORT_KEY, old.as_deref(), Some(&image("state", &row.body)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
