//! What has changed, in order: noted in the transaction that changes it, so that neither is there without the other.

use rusqlite::{Connection, params};

use super::failure;
use super::tables::{Tables, limit, record};
use crate::model::{Change, EntryKey, Image, TableChange};
use crate::ports::StoreError;

/// How many changes are kept when nobody forgets them: a folder that nobody reads for alerts does not grow by them for ever.
/// DynamoDB keeps 24 hours. Who falls further behind sees the numbers skip.
pub const CHANGES_KEPT_MAX: u32 = 1_000_000;

const READ: &str = "SELECT number, pk, sk, old, new FROM changes WHERE number > ?1 ORDER BY number LIMIT ?2";

/// The tag of an image's kind around a stored document, as [`Image`] has it.
pub(super) fn image(kind: &str, body: &str) -> String {
    format!("{{\"{kind}\":{body}}}")
}

/// Notes a change, unless nothing has changed. The images are those of [`image`].
pub(super) fn note(
    connection: &Connection,
    pk: &str,
    sk: &str,
    old: Option<&str>,
    new: Option<&str>,
) -> rusqlite::Result<()> {
    if old == new {
        return Ok(());
    }
    connection
        .prepare_cached("INSERT INTO changes (pk, sk, old, new) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![pk, sk, old, new])?;
    let forgotten = connection.last_insert_rowid() - i64::from(CHANGES_KEPT_MAX);
    forget(connection, forgotten)
}

fn forget(connection: &Connection, through: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM changes WHERE number <= ?1")?.execute([through]).map(drop)
}

/// A row as it is stored.
struct Row {
    number: i64,
    key: EntryKey,
    old: Option<String>,
    new: Option<String>,
}

impl Row {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let key = EntryKey { pk: row.get(1)?, sk: row.get(2)? };
        Ok(Self { number: row.get(0)?, key, old: row.get(3)?, new: row.get(4)? })
    }

    fn change(self) -> Result<TableChange, StoreError> {
        let target = self.key.to_string();
        let image = |body: Option<String>| -> Result<Option<Image>, StoreError> {
            body.map(|body| record("read changes", &target, &body)).transpose()
        };
        let (old, new) = (image(self.old)?, image(self.new)?);
        Ok(TableChange { number: self.number.cast_unsigned(), change: Change { key: self.key, old, new } })
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Tables {
    pub(super) fn read_changes(&self, after: u64, count_max: usize) -> Result<Vec<TableChange>, StoreError> {
        let rows: Vec<Row> = self
            .rows_of_alerts(READ, params![number(after), limit(count_max)], Row::of)
            .map_err(|error| failure::of_sqlite("read changes", &after, error))?;
        rows.into_iter().map(Row::change).collect()
    }

    pub(super) fn forget_changes(&self, through: u64) -> Result<(), StoreError> {
        let forgotten = forget(&self.connection(), number(through));
        forgotten.map_err(|error| failure::of_sqlite("forget changes", &through, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::schema;

    fn numbers(connection: &Connection) -> Vec<i64> {
        let mut select = connection.prepare("SELECT number FROM changes ORDER BY number").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn changes_that_nobody_forgets_are_kept_up_to_a_bound() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::create(&mut connection).unwrap();
        note(&connection, "t", "a", None, Some("1")).unwrap();
        note(&connection, "t", "a", Some("1"), Some("1")).unwrap();
        assert_eq!(numbers(&connection), [1], "what is as it was is no change");
        let last = i64::from(CHANGES_KEPT_MAX);
        connection.execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'changes'", [last - 1]).unwrap();
        note(&connection, "t", "b", None, Some("1")).unwrap();
        assert_eq!(numbers(&connection), [1, last]);
        note(&connection, "t", "c", None, Some("1")).unwrap();
        assert_eq!(numbers(&connection), [last, last + 1]);
    }

    #[test]
    fn changes_are_read_in_the_order_of_their_numbers_without_sorting() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::create(&mut connection).unwrap();
        let plan: String = connection
            .query_row(&format!("EXPLAIN QUERY PLAN {READ}"), params![0, 1], |row| row.get("detail"))
            .unwrap();
        assert!(plan.contains("INTEGER PRIMARY KEY") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
