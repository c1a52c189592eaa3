//! Documents kept under a version, in SQLite: found by key, by what is due, and by day.

use anomaly_core::Timestamp;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Params, Row, TransactionBehavior, params};

use super::changes::{image, note};
use super::tables::{Tables, limit, record};
use super::{failure, schema};
use crate::model::{Entry, EntryChange, EntryKey};
use crate::ports::{ChangeError, Order, StoreError, check_changes};

/// The verb, as errors name it.
pub(super) const CHANGE: &str = "change entries";

// An index of a table without row ids ends with the table's key, so each of these orders is that of an index.
const BY_KEY: &str = "SELECT body FROM entries WHERE pk = ?1 AND sk = ?2";
const OLDEST: &str = "SELECT body FROM entries WHERE pk = ?1 AND sk >= ?2 AND sk < ?3 ORDER BY sk LIMIT ?4";
const NEWEST: &str = "SELECT body FROM entries WHERE pk = ?1 AND sk >= ?2 AND sk < ?3 ORDER BY sk DESC LIMIT ?4";
const DUE: &str = "SELECT body FROM entries WHERE queue = ?1 AND due <= ?2 ORDER BY due, pk, sk LIMIT ?3";
const OF_DAY: &str = "SELECT body FROM entries WHERE day = ?1 AND sk >= ?2 AND sk < ?3 \
                      ORDER BY at DESC, pk DESC, sk DESC LIMIT ?4";

/// Changes as rows, owned, so that they can go to another thread.
#[derive(Debug)]
pub(super) struct Changes(Vec<EntryRow>);

#[derive(Debug)]
struct EntryRow {
    key: EntryKey,
    expected: Option<i64>,
    version: i64,
    due: Option<(String, i64)>,
    day: Option<(String, i64)>,
    body: String,
}

impl Changes {
    pub(super) fn of(changes: &[EntryChange<'_>]) -> Result<Self, ChangeError> {
        check_changes(changes)?;
        let rows = changes.iter().map(|EntryChange { entry, expected }| {
            let body = serde_json::to_string(entry);
            let body = body.map_err(|error| failure::unreadable(CHANGE, &entry.key, error))?;
            Ok(EntryRow {
                key: entry.key.clone(),
                // SQLite's integers are signed. Versions count from 1, and equal ones stay equal.
                expected: expected.map(u64::cast_signed),
                version: entry.version.cast_signed(),
                due: entry.due.as_ref().map(|due| (due.queue.clone(), due.at.millis())),
                day: entry.day.as_ref().map(|place| (place.day.clone(), place.at.millis())),
                body,
            })
        });
        rows.collect::<Result<_, StoreError>>().map(Self).map_err(ChangeError::from)
    }

    fn target(&self) -> String {
        self.0.first().map(|row| row.key.to_string()).unwrap_or_default()
    }
}

/// What comes after every text that begins so. A blob comes after every text (SQLite, "Datatypes In SQLite", section "Sort
/// Order").
fn after(prefix: &str) -> Value {
    let mut beginning = prefix.to_owned();
    while let Some(last) = beginning.pop() {
        // The numbers of the surrogates are no characters.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            beginning.push(next);
            return Value::Text(beginning);
        }
    }
    Value::Blob(Vec::new())
}

impl Tables {
    /// Rows of a table that databases of the first version do not have: nothing is in it then. Such a database is opened to
    /// look only; whoever may write brings it up.
    pub(super) fn rows_of_alerts<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let connection = self.connection();
        if schema::version(&connection)? < schema::ALERTS_SINCE {
            return Ok(Vec::new());
        }
        connection.prepare_cached(sql)?.query_map(params, row)?.collect()
    }

    fn entries(
        &self,
        verb: &'static str,
        target: &str,
        sql: &str,
        params: impl Params,
    ) -> Result<Vec<Entry>, StoreError> {
        let bodies: Vec<String> = self
            .rows_of_alerts(sql, params, |row| row.get(0))
            .map_err(|error| failure::of_sqlite(verb, &target, error))?;
        bodies.iter().map(|body| record(verb, target, body)).collect()
    }

    pub(super) fn load_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        let found = self.entries("load entry", &key.to_string(), BY_KEY, params![key.pk, key.sk]);
        found.map(|entries| entries.into_iter().next())
    }

    pub(super) fn list_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = match order {
            Order::OldestFirst => OLDEST,
            Order::NewestFirst => NEWEST,
        };
        self.entries("list entries", pk, sql, params![pk, sk_prefix, after(sk_prefix), limit(count_max)])
    }

    pub(super) fn find_due(&self, queue: &str, until: Timestamp, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.entries("find due", queue, DUE, params![queue, until.millis(), limit(count_max)])
    }

    pub(super) fn list_day(&self, day: &str, sk_prefix: &str, count_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.entries("list day", day, OF_DAY, params![day, sk_prefix, after(sk_prefix), limit(count_max)])
    }

    pub(super) fn change_entries(&self, changes: &Changes) -> Result<(), ChangeError> {
        let failed = |error| ChangeError::from(failure::of_sqlite(CHANGE, &changes.target(), error));
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let there = there(&transaction, changes).map_err(failed)?;
        let version = |found: &Option<(i64, String)>| found.as_ref().map(|(version, _)| *version);
        let pairs = changes.0.iter().zip(&there).enumerate();
        let moved: Vec<usize> =
            pairs.filter(|(_, (row, found))| version(found) != row.expected).map(|(index, _)| index).collect();
        if !moved.is_empty() {
            return Err(ChangeError::Moved(moved));
        }
        write(&transaction, changes, &there).and_then(|()| transaction.commit()).map_err(failed)
    }
}

/// Version and document of each entry that is there, in the order of the changes.
fn there(connection: &rusqlite::Connection, changes: &Changes) -> rusqlite::Result<Vec<Option<(i64, String)>>> {
    let mut find = connection.prepare_cached("SELECT version, body FROM entries WHERE pk = ?1 AND sk = ?2")?;
    let mut find = |key: &EntryKey| find.query_row([&key.pk, &key.sk], |row| Ok((row.get(0)?, row.get(1)?))).optional();
    changes.0.iter().map(|row| find(&row.key)).collect()
}

fn write(
    connection: &rusqlite::Connection,
    changes: &Changes,
    there: &[Option<(i64, String)>],
) -> rusqlite::Result<()> {
    let mut replace =
        connection.prepare_cached("INSERT OR REPLACE INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (EntryRow { key, version, due, day, body, .. }, found) in changes.0.iter().zip(there) {
        let (queue, due) = due.as_ref().map(|(queue, at)| (queue, at)).unzip();
        let (day, at) = day.as_ref().map(|(day, at)| (day, at)).unzip();
        replace.execute(params![key.pk, key.sk, version, queue, due, day, at, body])?;
        let old = found.as_ref().map(|(_, body)| image("entry", body));
        note(connection, &key.pk, &key.sk, old.as_deref(), Some(&image("entry", body)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn every_question_is_answered_in_the_order_of_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::create(&mut connection).unwrap();
        for (sql, index) in [
            (BY_KEY, "PRIMARY KEY"),
            (OLDEST, "PRIMARY KEY"),
            (NEWEST, "PRIMARY KEY"),
            (DUE, "entries_by_due"),
            (OF_DAY, "entries_by_day"),
        ] {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: rusqlite::Result<Vec<String>> = explain.raw_query().mapped(|row| row.get("detail")).collect();
            let plan = plan.unwrap().join("; ");
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }

    proptest! {
        #[test]
        fn what_lies_in_the_range_of_a_beginning_is_what_begins_so(
            key in "[#A\u{d7ff}\u{e000}\u{10ffff}]{0,4}",
            beginning in "[#A\u{d7ff}\u{e000}\u{10ffff}]{0,2}",
        ) {
            let connection = Connection::open_in_memory().unwrap();
            let in_range: bool = connection
                .query_row("SELECT ?1 >= ?2 AND ?1 < ?3", params![key, beginning, after(&beginning)], |row| row.get(0))
                .unwrap();
            prop_assert_eq!(in_range, key.starts_with(&beginning));
        }
    }
}
