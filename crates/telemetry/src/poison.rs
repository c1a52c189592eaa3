//! Why a record, or one user record of an aggregate, cannot become readings.
//!
//! Poison costs only the message it is found in: the message goes to quarantine under the reason's name and the stream
//! goes on. The names are part of the stored format, so they never change. The detail is for a person; it is bounded and
//! escaped and shows at most the start of one name or text of the payload. Faults of the network or of AWS are not poison.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

pub use anomaly_core::METRICS_MAX;

/// Largest record, in bytes after base64: what Kinesis takes unless asked for more.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of JSON objects and arrays, the outermost counted as 1.
pub const DEPTH_MAX: usize = 16;
/// Most keys of one JSON object, counted at its top level.
pub const KEYS_MAX: usize = 256;
/// Most user records of one KPL aggregate.
pub const KPL_RECORDS_MAX: usize = 10_000;
/// Most records of one SenML pack.
pub const SENML_RECORDS_MAX: usize = 4_096;
/// Most metrics of one Sparkplug payload, counted over all its times and types.
pub const SPARKPLUG_METRICS_MAX: usize = 4_096;
/// Most Sparkplug nodes and devices whose BIRTH one shard remembers.
pub const BIRTHS_MAX: usize = 1_024;
/// Longest [`Poison::detail`], in bytes.
pub const DETAIL_BYTES_MAX: usize = 200;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is wrong with a message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum PoisonReason {
            $($(#[$doc])* $name,)*
        }

        impl PoisonReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name that quarantine, metrics and logs use; stable.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// Text that is not UTF-8.
    NotUtf8 = "not_utf8",
    /// Text that is not JSON, or no text at all.
    NotJson = "not_json",
    /// JSON nested deeper than [`DEPTH_MAX`].
    TooDeep = "too_deep",
    /// More than [`RECORD_BYTES_MAX`] bytes.
    TooLarge = "too_large",
    /// Neither the topic nor the payload names a device.
    NoDevice = "no_device",
    /// Well-formed, and not one of the accepted shapes: there is no number to score.
    UnknownShape = "unknown_shape",
    /// A tenant, device or metric name that breaks the rules of `anomaly_core`'s names (1 to 64 or 128 bytes, safe characters).
    BadName = "bad_name",
    /// A value that is infinite or not a number, as a number or as text.
    NotFinite = "not_finite",
    /// A time outside 1980 to 2200, or in none of the accepted forms.
    TimeImpossible = "time_impossible",
    /// One device at one instant with more than [`METRICS_MAX`] metrics, a JSON object with more than [`KEYS_MAX`] keys, or a
    /// Sparkplug payload with more than [`SPARKPLUG_METRICS_MAX`] metrics.
    TooManyMetrics = "too_many_metrics",
    /// The payload names another tenant than the one it arrived for.
    OtherTenant = "other_tenant",
    /// The payload names another device than its topic.
    OtherDevice = "other_device",
    /// A KPL aggregate whose MD5 does not fit its bytes.
    BadChecksum = "bad_checksum",
    /// Bytes of a form that is not read here: compressed, UTF-16, broken base64, broken protobuf, an envelope with a part missing.
    WrongEncoding = "wrong_encoding",
    /// One key twice in an object, or one metric twice for one device and instant: which value is meant is not known.
    DuplicateKey = "duplicate_key",
    /// More user records than [`KPL_RECORDS_MAX`], or more SenML records than [`SENML_RECORDS_MAX`].
    TooManyRecords = "too_many_records",
    /// Sparkplug data for which no BIRTH has told the metric's name, or its type where that decides the value.
    UnknownAlias = "unknown_alias",
    /// More Sparkplug nodes and devices than [`BIRTHS_MAX`], or more devices than a shard's engine takes.
    TooManyDevices = "too_many_devices",
}

impl fmt::Display for PoisonReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Poison {
    reason: PoisonReason,
    detail: String,
}

impl Poison {
    /// Refuses a message. `detail` says what was found, the limit and the remedy; it is escaped and cut at
    /// [`DETAIL_BYTES_MAX`].
    pub fn new(reason: PoisonReason, detail: impl fmt::Display) -> Self {
        let mut bounded = Bounded(String::new());
        // The only error is "full", and then what fits is kept.
        let _full = write!(bounded, "{detail}");
        Self { reason, detail: bounded.0 }
    }

    /// What is wrong.
    #[must_use]
    pub const fn reason(&self) -> PoisonReason {
        self.reason
    }

    /// The particulars, for a person: printable, at most [`DETAIL_BYTES_MAX`] bytes.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Keeps the printable form of what is written to it until it is full.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const CUT: char = '…';
        for c in text.chars() {
            // Quotes and backslashes stay, so that what a caller has escaped is not escaped again.
            let escaped = !matches!(c, '"' | '\'' | '\\');
            let bytes = if escaped { c.escape_debug().map(char::len_utf8).sum() } else { 1 };
            if self.0.len() + bytes + CUT.len_utf8() > DETAIL_BYTES_MAX {
                self.0.push(CUT);
                return Err(fmt::Error);
            }
            if escaped { self.0.extend(c.escape_debug()) } else { self.0.push(c) }
        }
        Ok(())
    }
}

/// The start of a text from the payload, for a detail.
pub(crate) struct Shown<'t>(pub(crate) &'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARS_MAX: usize = 40;
        let end = self.0.char_indices().nth(CHARS_MAX).map_or(self.0.len(), |(at, _)| at);
        f.write_str(&self.0[..end])?;
        if end < self.0.len() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_name_everywhere() {
        for reason in PoisonReason::ALL {
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{}\"", reason.as_str()));
        }
    }

    #[test]
    fn a_detail_is_escaped_and_bounded() {
        let poison = Poison::new(PoisonReason::BadName, format!("`{}`", Shown("evil\u{1b}[31m\u{202e}")));
        assert_eq!(poison.detail(), r"`evil\u{1b}[31m\u{202e}`");
        for long in ["x".repeat(1000), "\u{1b}".repeat(1000), "ü".repeat(1000)] {
            let poison = Poison::new(PoisonReason::BadName, long);
            assert!(poison.detail().len() <= DETAIL_BYTES_MAX && poison.detail().ends_with('…'), "{poison}");
        }
    }
}
