//! What an error of SQLite or of the file system means for the caller, and what a person can do about it.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::ErrorCode;

use crate::ports::{StoreError, StoreErrorKind};

const DISK_FULL: &str = "the disk is full: free space, or go on in a folder on another disk with --dir";
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
    use StoreErrorKind::{Permanent, Unavailable};
    let (kind, remedy) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Permanent, DISK_FULL.to_owned()),
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
    };
    StoreError { kind, verb, target: target.to_string(), remedy, source: Some(Box::new(error)) }
}

pub(super) fn of_sqlite(verb: &'static str, target: &dyn Display, error: rusqlite::Error) -> StoreError {
    use StoreErrorKind::{Permanent, Throttled, Unavailable};
    let (kind, remedy) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Throttled, "another process holds the database: wait until it is done".to_owned())
        }
        Some(ErrorCode::DiskFull) => (Permanent, DISK_FULL.to_owned()),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (Permanent, READ_ONLY.to_owned()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (Permanent, "millrace.db is damaged: restore it together with lake/ from one backup".to_owned())
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => {
            (Unavailable, format!("the database failed ({error}): if it does so again, check the disk"))
        }
        _ => (Permanent, format!("the database refused ({error})")),
    };
    StoreError { kind, verb, target: target.to_string(), remedy, source: Some(Box::new(error)) }
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
            "put object `bronze/x`: the disk is full: free space, or go on in a folder on another disk with --dir"
        );
    }

    #[test]
    fn an_unknown_error_of_the_disk_is_worth_another_try() {
        assert!(of_io("get object", &"x", io::Error::from(ErrorKind::TimedOut)).is_transient());
    }
}
