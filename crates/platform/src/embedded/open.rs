//! Opening the folder: the lock, the database and the lake, and every way in which that can fail.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::lake::Lake;
use super::schema;

/// How long a call waits for another process that reads or writes the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error("`{}` is in use by another process: wait for it, stop it, or use another folder with --dir", .0.display())]
    InUse(PathBuf),
    /// It cannot be made or written.
    #[error("`{}` cannot be written ({source}): give this user write access, or use another folder with --dir", dir.display())]
    NotWritable {
        /// The folder.
        dir: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is nothing to look at.
    #[error("`{}` has no data of Millrace: run `millrace demo` first, or name the folder with --dir", .0.display())]
    NoData(PathBuf),
    /// A newer Millrace made it.
    #[error(
        "`{}` has tables of version {found}, this Millrace knows up to {known}: use the newer Millrace that made it, or \
         another folder with --dir",
        dir.display()
    )]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// SQLite cannot open it.
    #[error("`{}` cannot be opened as a database ({source}): restore it from a backup, or use another folder with --dir", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
}

fn database_path(dir: &Path) -> PathBuf {
    dir.join("millrace.db")
}

pub(super) fn lake_folder(dir: &Path) -> PathBuf {
    dir.join("lake")
}

/// Makes the folder and takes its lock. The lock goes with the process, however that ends.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let not_writable = |source| OpenError::NotWritable { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(not_writable)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(dir.join("millrace.lock"))
        .map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
    }
}

/// Opens the database for writing: a write-ahead log, and a commit is on disk before it is acknowledged.
pub(super) fn database(dir: &Path) -> Result<Connection, OpenError> {
    let path = database_path(dir);
    let failed = |source| OpenError::Database { path: path.clone(), source };
    let mut connection = Connection::open(&path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    match schema::version(&connection).map_err(failed)? {
        0 => schema::create(&mut connection).map_err(failed)?,
        found => known_version(dir, found)?,
    }
    Ok(connection)
}

/// Opens the database to look only.
pub(super) fn database_read_only(dir: &Path) -> Result<Connection, OpenError> {
    let path = database_path(dir);
    if !path.is_file() {
        return Err(OpenError::NoData(dir.to_owned()));
    }
    let failed = |source| OpenError::Database { path: path.clone(), source };
    let (connection, found) = read_only(&path).or_else(|error| immutable(&path).ok_or(error)).map_err(failed)?;
    match found {
        0 => Err(OpenError::NoData(dir.to_owned())),
        found => known_version(dir, found).map(|()| connection),
    }
}

fn read_only(path: &Path) -> rusqlite::Result<(Connection, u32)> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let found = schema::version(&connection)?;
    Ok((connection, found))
}

/// A reader of a write-ahead log shares memory with others through a file, which it cannot make in a folder that it may
/// not write to. Where nothing is left in the log, the database can be read as a file that does not change (SQLite,
/// "Write-Ahead Logging", section "Read-Only Databases").
fn immutable(path: &Path) -> Option<(Connection, u32)> {
    let log = path.with_extension("db-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return None;
    }
    let escaped = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).ok()?;
    let found = schema::version(&connection).ok()?;
    Some((connection, found))
}

fn known_version(dir: &Path, found: u32) -> Result<(), OpenError> {
    let known = schema::VERSION;
    if found <= known { Ok(()) } else { Err(OpenError::Newer { dir: dir.to_owned(), found, known }) }
}

pub(super) fn lake(dir: &Path) -> Result<Lake, OpenError> {
    Lake::open(lake_folder(dir)).map_err(|source| OpenError::NotWritable { dir: dir.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_may_not_be_written_can_be_read_when_its_log_is_empty() {
        let dir = tempfile::TempDir::new().unwrap();
        let writer = database(dir.path()).unwrap();
        let path = database_path(dir.path());
        assert!(immutable(&path).is_none(), "the tables are still in the log only");
        drop(writer);
        let (_, found) = immutable(&path).unwrap();
        assert_eq!(found, schema::VERSION);
    }
}
