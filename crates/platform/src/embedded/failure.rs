//! What an error of SQLite or of the file system means for the caller, and what a person can do about it.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::ErrorCode;

use crate::ports::{StoreError, StoreErrorKind};

/// Room can lack in bytes or, on file systems with a fixed table of them, in files.
const DISK_FULL: &str = "the disk is full: free space or files, or move the folder to a larger disk";
const TOO_LARGE: &str = "the file would be larger than this process may write: raise its limit (`ulimit -f`)";
const READ_ONLY: &str = "it cannot be written: it was opened to look only, or the folder or disk is read-only";

/// A failure that another try will not mend.
pub(super) fn permanent(verb: &'static str, target: &dyn Display, remedy: impl Into<String>) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Permanent,
        verb,
        target: target.to_string(),
        remedy: remedy.into(),
        source: None,
    }
}

pub(super) fn read_only(verb: &'static str, target: &dyn Display) -> StoreError {
    permanent(verb, target, READ_ONLY)
}

pub(super) fn of_io(verb: &'static str, target: &dyn Display, error: io::Error) -> StoreError {
    let (kind, remedy) = meaning_of_io(&error);
    StoreError { kind, verb, target: target.to_string(), remedy, source: Some(Box::new(error)) }
}

/// As [`of_io`], for an object of so many bytes: who has to make room must know how much.
pub(super) fn of_write(verb: &'static str, target: &dyn Display, bytes: usize, error: io::Error) -> StoreError {
    let lacks_room =
        matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge);
    let error = of_io(verb, target, error);
    if lacks_room { StoreError { remedy: format!("{} (it has {bytes} bytes)", error.remedy), ..error } } else { error }
}

/// What to think of an error of the file system, and what to do.
pub(super) fn meaning_of_io(error: &io::Error) -> (StoreErrorKind, String) {
    use StoreErrorKind::{Permanent, Unavailable};
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Permanent, DISK_FULL.to_owned()),
        ErrorKind::FileTooLarge => (Permanent, TOO_LARGE.to_owned()),
        ErrorKind::ReadOnlyFilesystem => (Permanent, READ_ONLY.to_owned()),
        ErrorKind::PermissionDenied => {
            (Permanent, "the folder's permissions forbid it: give this user read and write access".to_owned())
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            (Permanent, "in a folder a name is an object or a prefix of others, not both: rename one".to_owned())
        }
        ErrorKind::InvalidFilename | ErrorKind::Unsupported | ErrorKind::CrossesDevices => {
            (Permanent, format!("the file system does not bear it ({error}): use a folder on another one"))
        }
        _ => (Unavailable, format!("the file system failed ({error}): if it does so again, check the disk")),
    }
}

pub(super) fn of_sqlite(verb: &'static str, target: &dyn Display, error: rusqlite::Error) -> StoreError {
    let (kind, remedy) = meaning_of_sqlite(&error);
    StoreError { kind, verb, target: target.to_string(), remedy, source: Some(Box::new(error)) }
}

/// What to think of an error of the database, and what to do.
pub(super) fn meaning_of_sqlite(error: &rusqlite::Error) -> (StoreErrorKind, String) {
    use StoreErrorKind::{Permanent, Throttled, Unavailable};
    // The file of shared memory is the first that grows; that this fails is not told apart as a full disk is.
    let grows = error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Throttled, "another process holds the database: wait until it is done".to_owned())
        }
        Some(ErrorCode::DiskFull) => (Permanent, DISK_FULL.to_owned()),
        Some(ErrorCode::SystemIoFailure) if grows => (Permanent, format!("{DISK_FULL}; or {TOO_LARGE}")),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (Permanent, READ_ONLY.to_owned()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (Permanent, "millrace.db is damaged: restore it together with lake/ from one backup".to_owned())
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => {
            let what =
                "if it does so again, check the disk, its free space and files, and this user's limits (`ulimit -a`)";
            (Unavailable, format!("the database failed ({error}): {what}"))
        }
        _ => (Permanent, format!("the database refused ({error})")),
    }
}

/// A stored document that this version cannot read.
pub(super) fn unreadable(verb: &'static str, target: &dyn Display, error: serde_json::Error) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Permanent,
        verb,
        target: target.to_string(),
        remedy: format!("what is stored there does not read as JSON of the expected shape ({error}): restore a backup"),
        source: Some(Box::new(error)),
    }
}

pub(super) fn shutting_down(dir: &Path, error: tokio::task::JoinError) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Unavailable,
        verb: "use",
        target: dir.display().to_string(),
        remedy: "the program is shutting down".to_owned(),
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_permanent_and_says_what_to_do() {
        let error = of_io("put object", &"bronze/x", io::Error::from(ErrorKind::StorageFull));
        assert_eq!(error.kind, StoreErrorKind::Permanent);
        assert_eq!(
            error.to_string(),
            "put object `bronze/x`: the disk is full: free space or files, or move the folder to a larger disk"
        );
    }

    #[test]
    fn who_has_to_make_room_is_told_how_much() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge] {
            let error = of_write("put object", &"bronze/x", 4_711, io::Error::from(kind));
            assert!(!error.is_transient() && error.to_string().ends_with("(it has 4711 bytes)"), "{error}");
        }
        let error = of_write("put object", &"bronze/x", 4_711, io::Error::from(ErrorKind::PermissionDenied));
        assert!(!error.to_string().contains("4711"), "{error}");
    }

    #[test]
    fn an_unknown_error_of_the_disk_is_worth_another_try() {
        assert!(of_io("get object", &"x", io::Error::from(ErrorKind::TimedOut)).is_transient());
    }
}
