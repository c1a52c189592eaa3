//! Bronze: every record of the stream as it came, in order, so that anything later can be made again.
//!
//! An object is NDJSON in one zstd frame with a checksum, one line a record:
//!
//! ```text
//! {"seq":"<56 digits>","arrived":1700000000123,"pk":"pump-7","json":{"ts":1700000000,"temperature":83.2}}
//! {"seq":"<56 digits>","arrived":1700000000124,"pk":"pump-8","b64":"AAEC"}
//! ```
//!
//! The order of the keys is part of the format. A payload that is JSON on one line stands there verbatim, so that SQL
//! reads it in place; any other is base64. Reading gives back the very bytes either way. Equal records give equal
//! objects, so that a retry can tell its own earlier write from a foreign one by its hash.
//!
//! What this does not do: look into payloads, name objects, or drop records that two objects share.

mod error;
pub(crate) mod frame;
pub(crate) mod line;

use std::borrow::Cow;

use anomaly_core::Timestamp;

pub use self::error::LakeError;
use self::frame::LineBuffer;
pub use self::line::LINE_BYTES_MAX;
use self::line::Lines;
use crate::sequence::SequenceNumber;

const WHAT: &str = "bronze";

/// Collects the records of a batch. Its buffer is kept from batch to batch: nothing is allocated for a record.
#[derive(Debug, Default)]
pub struct BronzeWriter {
    lines: LineBuffer,
}

impl BronzeWriter {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a record. `embeds_as_json` says that `data` is one JSON value; where it spans lines it is stored as base64
    /// nevertheless.
    pub fn push(
        &mut self,
        seq: &SequenceNumber,
        arrived: Timestamp,
        partition_key: &str,
        data: &[u8],
        embeds_as_json: bool,
    ) {
        self.lines.append(|out| {
            line::open(out, seq, arrived, partition_key);
            line::close(out, data, embeds_as_json);
        });
    }

    /// How many records were pushed since the last object.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.lines.lines()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.lines() == 0
    }

    /// Forgets what was pushed.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// The object of what was pushed; the writer is empty afterwards.
    ///
    /// # Errors
    /// [`LakeError::LineTooLong`] when a record is larger than Kinesis gives, [`LakeError::Compress`].
    pub fn finish(&mut self) -> Result<Vec<u8>, LakeError> {
        self.lines.finish(WHAT)
    }
}

/// One record, as it came from the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BronzeRecord<'a> {
    /// Its place in the shard.
    pub seq: SequenceNumber,
    /// When Kinesis took it.
    pub arrived: Timestamp,
    /// What it was put with.
    pub partition_key: Cow<'a, str>,
    /// Its bytes, unchanged.
    pub data: Cow<'a, [u8]>,
}

/// An unpacked object.
#[derive(Debug)]
pub struct BronzeReader {
    text: Vec<u8>,
}

impl BronzeReader {
    /// Unpacks an object to at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`LakeError::Damaged`], [`LakeError::TooLarge`].
    pub fn new(object: &[u8], bytes_max: usize) -> Result<Self, LakeError> {
        Ok(Self { text: frame::decompress(WHAT, object, bytes_max)? })
    }

    /// Takes lines that are not compressed.
    #[must_use]
    pub fn from_text(text: Vec<u8>) -> Self {
        Self { text }
    }

    /// The lines.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The records in the order in which they were written. The first that cannot be read is the last that is returned.
    pub fn records(&self) -> impl Iterator<Item = Result<BronzeRecord<'_>, LakeError>> {
        let mut lines = Lines::new(WHAT, &self.text);
        std::iter::from_fn(move || {
            lines.next(|cursor| {
                let (seq, arrived, partition_key) = cursor.opening()?;
                Ok(BronzeRecord { seq, arrived, partition_key, data: cursor.payload()? })
            })
        })
    }
}
