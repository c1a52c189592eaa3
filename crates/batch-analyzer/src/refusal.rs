//! Why a row or a part counts for nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use telemetry::inference::RowError;

/// Longest piece of a line that is shown in a detail, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// The reasons, as reports and quarantine name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A line has more than [`telemetry::inference::LINE_BYTES_MAX`] bytes.
    TooLong,
    /// A row is not in the form that the job says.
    BadRow,
    /// A row names another tenant than the job's.
    ForeignTenant,
    /// A device that the model was not trained on, or a name that no device has.
    UnknownDevice,
    /// A time that no working clock shows, or none.
    BadTime,
    /// A row that is older than the one before of its device.
    OutOfOrder,
    /// A result in which there is no score.
    NoScore,
    /// A score that is no finite number.
    BadScore,
    /// More devices, assets or names of metrics than are told apart.
    TooMany,
    /// A part whose results are not as many as its rows: which belongs to which is not known.
    Unmatched,
    /// A part that cannot be read to its end.
    Damaged,
    /// A part that is not there.
    Missing,
}

impl Reason {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::BadRow => "bad_row",
            Self::ForeignTenant => "foreign_tenant",
            Self::UnknownDevice => "unknown_device",
            Self::BadTime => "bad_time",
            Self::OutOfOrder => "out_of_order",
            Self::NoScore => "no_score",
            Self::BadScore => "bad_score",
            Self::TooMany => "too_many",
            Self::Unmatched => "unmatched",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

/// A row that counts for nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// More of it, fit for people.
    pub detail: String,
}

impl Refusal {
    /// With a detail.
    pub(crate) fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { reason, detail: detail.to_string() }
    }
}

impl From<RowError> for Refusal {
    fn from(error: RowError) -> Self {
        let reason = match &error {
            RowError::TooLong => Reason::TooLong,
            RowError::Misshapen(_) => Reason::BadRow,
            RowError::ForeignTenant => Reason::ForeignTenant,
            RowError::Device(_) => Reason::UnknownDevice,
            RowError::Time => Reason::BadTime,
            RowError::TooMany(_) => Reason::TooMany,
        };
        Self::new(reason, error)
    }
}

/// The start of a line, escaped.
pub(crate) struct Shown<'t>(pub(crate) &'t [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.0[..self.0.len().min(4 * SHOWN_CHARS_MAX)];
        let text = String::from_utf8_lossy(head);
        for character in text.chars().take(SHOWN_CHARS_MAX) {
            write!(f, "{}", character.escape_debug())?;
        }
        if text.chars().nth(SHOWN_CHARS_MAX).is_some() { f.write_str("…") } else { Ok(()) }
    }
}
