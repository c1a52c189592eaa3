//! Opening the folder: the lock, the database and the lake, and every way in which that can fail.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::lake::Lake;
use super::{failure, schema};

/// How long a call waits for another process that reads or writes the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error(
        "`{}` is in use by another process{}: wait for it, stop it, or use another folder with --dir",
        dir.display(),
        process.map_or_else(String::new, |process| format!(" (process id {process})"))
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Who has it, where that can be known.
        process: Option<u32>,
    },
    /// It cannot be made or written.
    #[error("`{}` cannot be written ({source}): {}", dir.display(), remedy(source))]
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
    #[error("`{}` cannot be opened as a database ({source}): {}", path.display(), failure::meaning_of_sqlite(source).1)]
    Database {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
}

fn remedy(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "there is a file where a folder must be: name another folder with --dir".to_owned()
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "give this user write access, or use another folder with --dir".to_owned()
        }
        _ => failure::meaning_of_io(error).1,
    }
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
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(dir.join("millrace.lock"))
        .map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => sign(&mut file).map(|()| file).map_err(not_writable),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned(), process: holder(&mut file) }),
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
    }
}

/// Digits of a process id in the lock file, padded, so that one write replaces another whole and needs no more room.
const DIGITS: usize = 10;

/// Says in the lock file who holds it. It is for people: the lock itself is the operating system's.
fn sign(file: &mut File) -> io::Result<()> {
    let mut line = String::with_capacity(DIGITS + 1);
    // Writing to a String cannot fail.
    let _ = writeln!(line, "{:>DIGITS$}", std::process::id());
    file.write_all(line.as_bytes())
}

/// Who has signed the lock file. `None` where it was not signed yet, or by a process that is gone: then whoever holds the
/// lock has only just got it.
fn holder(file: &mut File) -> Option<u32> {
    let mut line = String::new();
    file.rewind().and_then(|()| file.take(DIGITS as u64 + 1).read_to_string(&mut line)).ok()?;
    let process: u32 = line.trim().parse().ok()?;
    let processes = Path::new("/proc/self");
    let is_gone = processes.exists() && !processes.with_file_name(process.to_string()).exists();
    (!is_gone).then_some(process)
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
        found => {
            known_version(dir, found)?;
            schema::upgrade(&mut connection, found).map_err(failed)?;
        }
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
