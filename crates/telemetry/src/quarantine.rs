//! Quarantine: what could not become readings, kept with its reason, its place and its bytes.
//!
//! The form is that of [`crate::bronze`] with three more keys before the payload:
//!
//! ```text
//! {"seq":"<56 digits>","arrived":1700000000123,"pk":"pump-7","sub":0,"reason":"not_json","detail":"…","b64":"AAEC"}
//! ```
//!
//! Several lines may carry one sequence number: an aggregate can hold more than one bad user record, told apart by `sub`.
//! What this does not do: decide what is poison, or count it.

use std::borrow::Cow;

use anomaly_core::Timestamp;

use crate::bronze::LakeError;
use crate::bronze::frame::{self, LineBuffer};
use crate::bronze::line::{self, Lines};
use crate::sequence::SequenceNumber;

const WHAT: &str = "quarantine";

/// A message that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRecord<'a> {
    /// The record's place in the shard.
    pub seq: SequenceNumber,
    /// When Kinesis took it.
    pub arrived: Timestamp,
    /// What it was put with.
    pub partition_key: Cow<'a, str>,
    /// Which user record of an aggregate, from 0; 0 for a record that is none.
    pub sub: u32,
    /// The name of what is wrong with it, for example `not_json`.
    pub reason: Cow<'a, str>,
    /// The particulars, for a person.
    pub detail: Cow<'a, str>,
    /// The refused bytes, unchanged.
    pub data: Cow<'a, [u8]>,
}

/// Collects the refused messages of a batch.
#[derive(Debug, Default)]
pub struct QuarantineWriter {
    lines: LineBuffer,
}

impl QuarantineWriter {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message. `embeds_as_json` says that its bytes are one JSON value.
    pub fn push(&mut self, record: &QuarantineRecord<'_>, embeds_as_json: bool) {
        self.lines.append(|out| {
            line::open(out, &record.seq, record.arrived, &record.partition_key);
            out.extend_from_slice(b",\"sub\":");
            line::number(out, record.sub.into());
            out.extend_from_slice(b",\"reason\":");
            line::text(out, &record.reason);
            out.extend_from_slice(b",\"detail\":");
            line::text(out, &record.detail);
            line::close(out, &record.data, embeds_as_json);
        });
    }

    /// How many messages were pushed since the last object.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.lines.lines()
    }

    /// Whether none was: then no object is written.
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
    /// [`LakeError::LineTooLong`] when a message is larger than Kinesis gives, [`LakeError::Compress`].
    pub fn finish(&mut self) -> Result<Vec<u8>, LakeError> {
        self.lines.finish(WHAT)
    }
}

/// An unpacked object.
#[derive(Debug)]
pub struct QuarantineReader {
    text: Vec<u8>,
}

impl QuarantineReader {
    /// Unpacks an object to at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`LakeError::Damaged`], [`LakeError::TooLarge`].
    pub fn new(object: &[u8], bytes_max: usize) -> Result<Self, LakeError> {
        Ok(Self { text: frame::decompress(WHAT, object, bytes_max)? })
    }

    /// The lines.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The messages in the order in which they were written. The first that cannot be read is the last that is returned.
    pub fn records(&self) -> impl Iterator<Item = Result<QuarantineRecord<'_>, LakeError>> {
        let mut lines = Lines::new(WHAT, &self.text);
        std::iter::from_fn(move || {
            lines.next(|cursor| {
                let (seq, arrived, partition_key) = cursor.opening()?;
                cursor.token(",\"sub\":")?;
                let sub = cursor.unsigned()?;
                cursor.token(",\"reason\":")?;
                let reason = cursor.text()?;
                cursor.token(",\"detail\":")?;
                let detail = cursor.text()?;
                Ok(QuarantineRecord { seq, arrived, partition_key, sub, reason, detail, data: cursor.payload()? })
            })
        })
    }
}
