//! Why something about the lake could not be done.

use platform::model::{Key, ShardId};
use platform::ports::{PutError, StoreError};
use telemetry::sequence::SequenceNumber;

use crate::hour::Hour;

/// Why something about the lake could not be done.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object is there with other content than what would be written.
    #[error(
        "`{0}` is there with other content: it was sealed when another was committed, or changed by hand; \
         `millrace lake verify` says which objects differ"
    )]
    Changed(Key),
    /// A committed batch has no object in the lake, so nobody can say what an hour holds.
    #[error(transparent)]
    Gap(Box<Gap>),
    /// An object cannot be read as what it is.
    #[error("`{place}`: {reason}")]
    Damaged {
        /// Which, and where in it.
        place: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A text of SQL is not one.
    #[error("{reason}{}", at(*.line, *.column, .excerpt))]
    Sql {
        /// What is wrong.
        reason: String,
        /// Line, from 1; 0 where it is not known.
        line: u64,
        /// Column, from 1; 0 where it is not known.
        column: u64,
        /// The line of the text, with a mark below; empty where it is not known.
        excerpt: String,
    },
    /// There is no such table.
    #[error("there is no table `{name}`; there are {known}")]
    NoTable {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A question has no such parameter, lacks one, or has one of another type.
    #[error("{0}")]
    Parameter(String),
    /// The memory that the question may take does not suffice.
    #[error("the question needs more than {} MiB of memory: ask for fewer dates (dt), or allow more with --memory-mib", .0 >> 20)]
    Memory(usize),
    /// The engine failed.
    #[error("the question could not be answered: {0}")]
    Engine(String),
}

/// A committed batch without an object in the lake.
#[derive(Debug, thiserror::Error)]
#[error(
    "{shard}: the committed batch {batch}, which ends at record {last}, is gone, so that the hours up to {hour} cannot be sealed: \
     restore its objects, or begin with a later hour (--from)"
)]
pub struct Gap {
    /// Where it was.
    pub shard: ShardId,
    /// Its identity.
    pub batch: String,
    /// Its last record.
    pub last: SequenceNumber,
    /// The first hour that a later batch of the shard is in.
    pub hour: Hour,
}

fn at(line: u64, column: u64, excerpt: &str) -> String {
    match (line, excerpt) {
        (0, _) => String::new(),
        (_, "") => format!(", at line {line}, column {column}"),
        _ => format!(", at line {line}, column {column}:\n{excerpt}"),
    }
}

impl From<PutError> for LakeError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Conflict(key) => Self::Changed(key),
            PutError::Store(error) => Self::Store(error),
        }
    }
}
