//! Why an object of the lake could not be written or read: what, where, the limit, and what to do.

use std::io;

use crate::silver::Misshapen;

/// A fault in a bronze, silver or quarantine object. None of them is passed over: a reader that skips loses data unseen.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The compressor failed, which means that memory ran out.
    #[error("could not compress the {what} object: {source}")]
    Compress {
        /// `bronze`, `quarantine` or `silver`.
        what: &'static str,
        /// What zstd says.
        source: io::Error,
    },
    /// The bytes are not a whole zstd frame with a fitting checksum.
    #[error("the {what} object is damaged or not zstd ({source}); fetch it again or restore an earlier version of it")]
    Damaged {
        /// `bronze` or `quarantine`.
        what: &'static str,
        /// What zstd says.
        source: io::Error,
    },
    /// More would come out of the object than the caller has room for.
    #[error(
        "the {what} object unpacks to more than {bytes_max} bytes and is not read; if it is known to be good, raise the limit"
    )]
    TooLarge {
        /// `bronze`, `quarantine` or `silver`.
        what: &'static str,
        /// The limit that was given.
        bytes_max: usize,
    },
    /// One line is longer than any record can make it.
    #[error("line {line} of the {what} object has {bytes} bytes, the limit is {bytes_max}")]
    LineTooLong {
        /// `bronze` or `quarantine`.
        what: &'static str,
        /// Counted from 1.
        line: u64,
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A line is not in the stored form.
    #[error(
        "line {line} of the {what} object, byte {column}: expected {expected}; it was changed after it was written"
    )]
    Line {
        /// `bronze` or `quarantine`.
        what: &'static str,
        /// Counted from 1.
        line: u64,
        /// Byte of the line, counted from 1.
        column: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The Parquet library refused to write or read.
    #[error("the silver object: {0}; if it was being read, fetch it again or restore an earlier version of it")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Footer or headers of a Parquet file are not what the format says.
    #[error(
        "the silver object: {0}; it is damaged or was not written by Millrace: fetch it again or restore an earlier version"
    )]
    Misshapen(#[from] Misshapen),
    /// A Parquet file of another schema.
    #[error("the Parquet file has no column `{column}` of {expected}; it was not written by Millrace's silver writer")]
    Column {
        /// The column that is missing or of another type.
        column: &'static str,
        /// Its type.
        expected: &'static str,
    },
    /// A cell that the silver writer never writes.
    #[error("row {row} of the Parquet file, column `{column}`: expected {expected}")]
    Cell {
        /// Counted from 1.
        row: usize,
        /// The column.
        column: &'static str,
        /// What should stand there.
        expected: &'static str,
    },
}
