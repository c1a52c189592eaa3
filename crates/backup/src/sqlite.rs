//! The database of one machine: taken as it is at one instant, looked into, and brought back in one transaction.
//!
//! It is read beside the process that writes it, if there is one (SQLite, "VACUUM", section on `INTO`).

use std::fs;
use std::path::{Path, PathBuf};

use anomaly_core::Timestamp;
use platform::embedded::Local;
use platform::model::{AnomalyRecord, Checkpoint, HashRange, ShardId, StateRecord};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::item::shard;
use crate::objects::Objects;
use crate::place::{self, Id};
use crate::tables::{How, TableParts, TakeTables, Taken};
use crate::{BackupError, Step, Watch};

/// The file, in a folder and in a backup.
pub const NAME: &str = "millrace.db";
/// Bytes of a part.
const PART_BYTES: usize = 32 << 20;
/// What is in it. The order is that in which it is brought back.
const TABLES: [&str; 6] = ["shards", "entries", "changes", "states", "anomalies", "checkpoints"];

/// The file in a folder.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

fn failed(path: &Path) -> impl FnOnce(rusqlite::Error) -> BackupError {
    let path = path.display().to_string();
    move |source| BackupError::Database { path, source }
}

fn look(path: &Path) -> Result<Connection, BackupError> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed(path))
}

/// A folder's database.
#[derive(Debug, Clone)]
pub struct Database {
    dir: PathBuf,
}

impl Database {
    /// That of `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn snapshot(&self) -> Result<TempDir, BackupError> {
        let path = path(&self.dir);
        let temporary = tempfile::tempdir()?;
        let into = self::path(temporary.path());
        let connection = look(&path)?;
        let vacuum = connection.execute("VACUUM INTO ?1", [into.to_string_lossy()]);
        vacuum.map_err(failed(&path))?;
        Ok(temporary)
    }
}

impl TakeTables for Database {
    async fn take<P: Objects + Sync>(
        &self,
        place: &P,
        id: &Id,
        begun: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Taken, BackupError> {
        let snapshot = self.snapshot()?;
        let file = path(snapshot.path());
        let rows = counts(&file)?.into_iter().map(|(_, rows)| rows).sum();
        let mut reader = fs::File::open(&file)?;
        let (mut parts, mut bytes) = (Vec::new(), 0);
        loop {
            let mut chunk = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(&mut reader, PART_BYTES as u64), &mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            bytes += chunk.len() as u64;
            parts.push(place::write(place, id.key(&format!("tables/{NAME}.{:06}", parts.len())), &chunk).await?);
            watch(Step { what: NAME, count: rows, bytes });
        }
        Ok(Taken { how: How::Database, at: begun, tables: vec![TableParts { name: NAME.to_owned(), rows, parts }] })
    }
}

/// The database of a backup, in a folder for the time being.
///
/// # Errors
/// [`BackupError::Damaged`], and the place's.
pub async fn assemble(place: &impl Objects, taken: &Taken) -> Result<TempDir, BackupError> {
    let temporary = tempfile::tempdir()?;
    let mut file = fs::File::create(path(temporary.path()))?;
    for part in taken.table(NAME).into_iter().flat_map(|table| &table.parts) {
        std::io::Write::write_all(&mut file, &place::read(place, part).await?)?;
    }
    Ok(temporary)
}

/// Rows of each table that the database has.
///
/// # Errors
/// It cannot be read.
pub fn counts(path: &Path) -> Result<Vec<(&'static str, u64)>, BackupError> {
    let connection = look(path)?;
    let mut counts = Vec::new();
    for table in TABLES {
        if has_table(&connection, table).map_err(failed(path))? {
            let count = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
            counts.push((table, count.map_err(failed(path))?.cast_unsigned()));
        }
    }
    Ok(counts)
}

fn has_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    connection.query_row(sql, [table], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

fn texts(
    path: &Path,
    sql: &str,
    mut each: impl FnMut(String, String) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let connection = look(path)?;
    let mut statement = connection.prepare(sql).map_err(failed(path))?;
    let mut rows = statement.query([]).map_err(failed(path))?;
    while let Some(row) = rows.next().map_err(failed(path))? {
        let two = row.get(0).and_then(|a| Ok((a, row.get(1)?)));
        let (a, b) = two.map_err(failed(path))?;
        each(a, b)?;
    }
    Ok(())
}

/// All checkpoints, with the hash keys of their shards.
///
/// # Errors
/// The database cannot be read, or a checkpoint is none.
pub fn checkpoints(path: &Path) -> Result<Vec<(ShardId, Checkpoint)>, BackupError> {
    let mut ranges: Vec<(String, HashRange)> = Vec::new();
    let of_shards = "SELECT stream || '#' || shard, hash_first || '-' || hash_last FROM shards";
    texts(path, of_shards, |name, range| {
        let ends = range.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        ranges.extend(ends.map(|(first, last)| (name, HashRange { first, last })));
        Ok(())
    })?;
    let mut found = Vec::new();
    texts(path, "SELECT pk, body FROM checkpoints", |pk, body| {
        let Some(shard) = shard(&pk) else { return Ok(()) };
        let checkpoint: Checkpoint =
            serde_json::from_str(&body).map_err(|error| BackupError::damaged(NAME, format!("{pk}: {error}")))?;
        let range = ranges.iter().find(|(name, _)| *name == format!("{}#{}", shard.stream, shard.shard));
        let hash_range = checkpoint.hash_range.or(range.map(|(_, range)| *range));
        found.push((shard, Checkpoint { hash_range, ..checkpoint }));
        Ok(())
    })?;
    Ok(found)
}

/// Reads every finding and state; whether the file itself is sound.
///
/// # Errors
/// What cannot be read.
pub fn check(path: &Path) -> Result<(), BackupError> {
    let connection = look(path)?;
    let said: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(failed(path))?;
    if said != "ok" {
        return Err(BackupError::damaged(NAME, said));
    }
    let wrong = |pk: &str, error: serde_json::Error| BackupError::damaged(NAME, format!("{pk}: {error}"));
    texts(path, "SELECT pk || ' ' || sk, body FROM anomalies", |pk, body| {
        serde_json::from_str::<AnomalyRecord>(&body).map(drop).map_err(|error| wrong(&pk, error))
    })?;
    texts(path, "SELECT pk, body FROM states", |pk, body| {
        serde_json::from_str::<StateRecord>(&body).map(drop).map_err(|error| wrong(&pk, error))
    })
}

/// What two databases have alike and what not, a table each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// Rows that both have.
    pub equal: u64,
    /// Rows of the first that the second lacks, or has otherwise.
    pub missing: u64,
    /// Rows of the second that the first lacks, or has otherwise.
    pub more: u64,
}

/// Compares a backup's database with another.
///
/// # Errors
/// One of them cannot be read.
pub fn compare(backup: &Path, live: &Path) -> Result<Vec<Difference>, BackupError> {
    let connection = look(backup)?;
    let failed = |error| failed(live)(error);
    connection.execute("ATTACH ?1 AS live", [live.to_string_lossy()]).map_err(failed)?;
    let mut differences = Vec::new();
    for table in TABLES {
        if !has_table(&connection, table).map_err(failed)? {
            continue;
        }
        let count = |sql: String| {
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned).map_err(failed)
        };
        let missing =
            count(format!("SELECT count(*) FROM (SELECT * FROM main.{table} EXCEPT SELECT * FROM live.{table})"))?;
        let more =
            count(format!("SELECT count(*) FROM (SELECT * FROM live.{table} EXCEPT SELECT * FROM main.{table})"))?;
        let all = count(format!("SELECT count(*) FROM main.{table}"))?;
        differences.push(Difference { table, equal: all - missing, missing, more });
    }
    Ok(differences)
}

/// Takes a folder for a restore: until what is returned is dropped, or given to [`restore`], whoever else writes to it is refused.
///
/// # Errors
/// [`BackupError::Newer`] where the folder has what the backup has not, unless `overwrite`; [`BackupError::Refused`] where somebody
/// writes to it.
pub fn own(backup: &Path, dir: &Path, overwrite: bool) -> Result<Local, BackupError> {
    let refused = |error: platform::embedded::OpenError| BackupError::Refused(error.to_string());
    // Opening it brings a database of an earlier release up to the tables of this one.
    drop(Local::open(backup.parent().unwrap_or(backup)).map_err(refused)?);
    let own = Local::open(dir).map_err(refused)?;
    let target = path(dir);
    let newer: Vec<Difference> = compare(backup, &target)?.into_iter().filter(|one| one.more > 0).collect();
    if !newer.is_empty() && !overwrite {
        let names = newer.iter().map(|one| format!("{} rows of {}", one.more, one.table)).collect();
        return Err(BackupError::Newer { count: newer.iter().map(|one| one.more).sum(), names });
    }
    Ok(own)
}

/// Brings a backup's database back into a folder that is [`own`]: all of it or nothing.
///
/// # Errors
/// The folder cannot be written.
pub fn restore(backup: &Path, dir: &Path, own: Local) -> Result<(), BackupError> {
    let target = path(dir);
    let mut connection = Connection::open(&target).map_err(failed(&target))?;
    let restored = (|| {
        connection.execute("ATTACH ?1 AS backup", [backup.to_string_lossy()])?;
        let transaction = connection.transaction()?;
        for table in TABLES {
            transaction.execute(&format!("DELETE FROM main.{table}"), [])?;
            transaction.execute(&format!("INSERT INTO main.{table} SELECT * FROM backup.{table}"), [])?;
        }
        // Numbers of changes are never used again.
        transaction.execute("DELETE FROM main.sqlite_sequence", [])?;
        transaction.execute("INSERT INTO main.sqlite_sequence SELECT * FROM backup.sqlite_sequence", [])?;
        transaction.commit()
    })();
    drop(own);
    restored.map_err(failed(&target))
}
