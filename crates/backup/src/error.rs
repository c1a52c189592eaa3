//! Why a backup, or what is done with one, came to an end.

use platform::ports::StoreError;

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A store failed. The same command goes on from there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something of a backup is not what was written.
    #[error(
        "{place} is damaged: {reason}; use another backup (`millrace backup list`), or make a new one with \
         `millrace backup create --reread`, which writes anew what is damaged"
    )]
    Damaged {
        /// The object.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A backup of a later release.
    #[error("{place} has format {found}, this millrace knows {known}: use the newer millrace that made it")]
    Format {
        /// The manifest.
        place: String,
        /// The version found.
        found: u64,
        /// The version known.
        known: u32,
    },
    /// There is no such backup.
    #[error("{place} has no whole backup{}: `millrace backup list` shows what there is", .id.as_ref().map_or_else(String::new, |id| format!(" `{id}`")))]
    None {
        /// The place.
        place: String,
        /// Which was asked for.
        id: Option<String>,
    },
    /// A backup of one machine for AWS, or the other way round.
    #[error("the backup is {backup}, and cannot be brought back into {target}")]
    Kind {
        /// What it is of.
        backup: &'static str,
        /// What was named.
        target: &'static str,
    },
    /// What is there is not what the backup has.
    #[error(
        "{count} there are other than in the backup, and would be lost: {}{}. Restore into an empty environment or folder, or say \
         --overwrite",
        .names.join(", "),
        if *.count > .names.len() as u64 { ", …" } else { "" }
    )]
    Newer {
        /// How many.
        count: u64,
        /// Some of them.
        names: Vec<String>,
    },
    /// It is there, and not as it should be.
    #[error("{0}")]
    Refused(String),
    /// The database of one machine.
    #[error("the database `{path}`: {source}")]
    Database {
        /// The file.
        path: String,
        /// The cause.
        source: rusqlite::Error,
    },
    /// A file for the time being.
    #[error("a temporary file cannot be written: {0}; TMPDIR says where they lie")]
    Temporary(#[from] std::io::Error),
}

impl BackupError {
    /// Something that is not what was written.
    pub(crate) fn damaged(place: impl Into<String>, reason: impl Into<Reason>) -> Self {
        let Reason(reason) = reason.into();
        Self::Damaged { place: place.into(), reason }
    }
}

/// Why something is damaged.
pub(crate) struct Reason(String);

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for Reason {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl From<serde_json::Error> for Reason {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Reason {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
