//! Documents kept under a version in the results table, beside anomalies and states: an incident, a delivery, a silence, a
//! digest, which region alerts.
//!
//! What a document says is for who keeps it; here is where it lies, what finds it, and how large it may be. The bounds are
//! DynamoDB's (Developer Guide, "Quotas in Amazon DynamoDB"), and hold in every store, so that what one machine bears is
//! borne by AWS as well.

use std::collections::HashSet;
use std::fmt;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StateRecord;
use crate::cost::item;

/// Longest partition key, also that of an index, in bytes.
pub const PARTITION_KEY_BYTES_MAX: usize = 2048;
/// Longest sort key, in bytes.
pub const SORT_KEY_BYTES_MAX: usize = 1024;
/// Largest body, in bytes as DynamoDB counts them ([`item::json_bytes`]): an item has 400 KB, keys and names included.
pub const ENTRY_BODY_BYTES_MAX: u64 = 300 * 1024;
/// Deepest lists and maps of a body: an item nests 32 levels, one of which holds the body.
pub const ENTRY_BODY_LEVELS_MAX: usize = 30;
/// Largest sum of a transaction's entries, in bytes: DynamoDB's limit is 4 MB.
pub const ENTRY_TRANSACTION_BYTES_MAX: u64 = 4_000_000;

/// Key in the results table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryKey {
    /// Partition key, 1 to 2,048 bytes.
    pub pk: String,
    /// Sort key, 1 to 1,024 bytes. `S` and what begins with `A#` belong to states and anomalies.
    pub sk: String,
}

impl EntryKey {
    /// Both parts.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

/// When something is to be done about an entry. One without it is not in the index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Due {
    /// Partition of the index, for example `due#3`; 1 to 2,048 bytes.
    pub queue: String,
    /// Not before this.
    pub at: Timestamp,
}

/// Where an entry stands among those of a day, in the index that anomalies are in as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DayPlace {
    /// Partition of the index, `{tenant}#{yyyy-mm-dd}`; 1 to 2,048 bytes.
    pub day: String,
    /// Its place on the day.
    pub at: Timestamp,
}

/// A document kept under a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it lies.
    pub key: EntryKey,
    /// Counts changes, from 1.
    pub version: u64,
    /// When something is to be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// The day that it is found by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<DayPlace>,
    /// When the store may forget it, seconds since 1970; `None`: never. DynamoDB forgets some days late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// What it says. Numbers keep their value; whether 1 was written as `1` or `1.0`, and the sign of 0, are not kept.
    pub body: Value,
}

/// An entry as it is to become, and the version that it replaces.
#[derive(Debug, Clone, Copy)]
pub struct EntryChange<'a> {
    /// What it becomes. Its version is higher than the expected one.
    pub entry: &'a Entry,
    /// The version that must still be there; `None`: there must be no entry of that key.
    pub expected: Option<u64>,
}

/// Why a change is never made, whatever is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A key that DynamoDB does not take.
    #[error("`{name}` has {bytes} bytes, it must have 1 to {max}")]
    KeyLength {
        /// Which: `pk`, `sk`, `queue` or `day`.
        name: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// The key of a state or an anomaly.
    #[error("a sort key `S` or `A#…` belongs to states and anomalies: give the entry another one")]
    KeyTaken,
    /// A version that would not tell this change from what it replaces.
    #[error("version {version} must be higher than {expected}, the one it replaces: count each change")]
    Version {
        /// The version it has.
        version: u64,
        /// The version it expects, 0 for none.
        expected: u64,
    },
    /// A body beyond [`ENTRY_BODY_BYTES_MAX`].
    #[error("the body has {0} bytes, the limit is {ENTRY_BODY_BYTES_MAX}: keep less in it")]
    BodyBytes(u64),
    /// A body beyond [`ENTRY_BODY_LEVELS_MAX`].
    #[error("the body nests deeper than {ENTRY_BODY_LEVELS_MAX} levels, the limit: make it flatter")]
    BodyLevels,
    /// A map with an empty name, which DynamoDB does not take.
    #[error("a map in the body has an empty name: name every field")]
    EmptyName,
    /// The same key twice.
    #[error("a transaction changes an entry once: leave out the older change")]
    Twice,
    /// Entries that are too large together.
    #[error("the transaction has {0} bytes, the limit is {ENTRY_TRANSACTION_BYTES_MAX}: split it")]
    TransactionBytes(u64),
}

impl EntryChange<'_> {
    /// Checks what does not depend on what is stored.
    ///
    /// # Errors
    /// [`EntryError`] where a bound is not kept.
    pub fn check(&self) -> Result<(), EntryError> {
        let Entry { key, version, due, day, body, .. } = self.entry;
        check_length("pk", &key.pk, PARTITION_KEY_BYTES_MAX)?;
        check_length("sk", &key.sk, SORT_KEY_BYTES_MAX)?;
        if key.sk == StateRecord::SORT_KEY || key.sk.starts_with("A#") {
            return Err(EntryError::KeyTaken);
        }
        due.as_ref().map_or(Ok(()), |due| check_length("queue", &due.queue, PARTITION_KEY_BYTES_MAX))?;
        day.as_ref().map_or(Ok(()), |place| check_length("day", &place.day, PARTITION_KEY_BYTES_MAX))?;
        let expected = self.expected.unwrap_or(0);
        if *version <= expected {
            return Err(EntryError::Version { version: *version, expected });
        }
        check_levels(body, ENTRY_BODY_LEVELS_MAX)?;
        match item::json_bytes(body) {
            bytes if bytes > ENTRY_BODY_BYTES_MAX => Err(EntryError::BodyBytes(bytes)),
            _ => Ok(()),
        }
    }

    /// Checks changes that are to be made together. How many there are is for the port.
    ///
    /// # Errors
    /// The key that does not keep a bound, and which. For all of them together it is the first.
    pub fn check_all<'a>(changes: &'a [EntryChange<'_>]) -> Result<(), (&'a EntryKey, EntryError)> {
        let mut keys = HashSet::new();
        let mut bytes = 0;
        for change in changes {
            let key = &change.entry.key;
            change.check().map_err(|error| (key, error))?;
            if !keys.insert(key) {
                return Err((key, EntryError::Twice));
            }
            bytes += item::entry_bytes(change.entry);
        }
        match changes.first() {
            Some(first) if bytes > ENTRY_TRANSACTION_BYTES_MAX => {
                Err((&first.entry.key, EntryError::TransactionBytes(bytes)))
            }
            _ => Ok(()),
        }
    }
}

fn check_length(name: &'static str, key: &str, max: usize) -> Result<(), EntryError> {
    if (1..=max).contains(&key.len()) { Ok(()) } else { Err(EntryError::KeyLength { name, bytes: key.len(), max }) }
}

fn check_levels(value: &Value, levels: usize) -> Result<(), EntryError> {
    let below = || levels.checked_sub(1).ok_or(EntryError::BodyLevels);
    match value {
        Value::Array(values) => {
            let levels = below()?;
            values.iter().try_for_each(|value| check_levels(value, levels))
        }
        Value::Object(fields) => {
            let levels = below()?;
            fields.iter().try_for_each(|(name, value)| match name.as_str() {
                "" => Err(EntryError::EmptyName),
                _ => check_levels(value, levels),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(body: Value) -> Entry {
        Entry { key: EntryKey::new("acme#pump-1", "I#1"), version: 1, due: None, day: None, expires_at: None, body }
    }

    fn refused(change: impl FnOnce(&mut Entry)) -> EntryError {
        let mut entry = entry(json!({}));
        change(&mut entry);
        EntryChange { entry: &entry, expected: None }.check().unwrap_err()
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inner, _| json!([inner]))
    }

    #[test]
    fn what_a_store_would_not_take_is_refused_by_name() {
        let at = Timestamp::MIN;
        for (name, max, error) in [
            ("pk", 2048, refused(|entry| entry.key.pk = "x".repeat(2049))),
            ("sk", 1024, refused(|entry| entry.key.sk = "ä".repeat(513))),
            ("queue", 2048, refused(|entry| entry.due = Some(Due { queue: String::new(), at }))),
            ("day", 2048, refused(|entry| entry.day = Some(DayPlace { day: String::new(), at }))),
        ] {
            assert!(matches!(error, EntryError::KeyLength { name: n, max: m, .. } if (n, m) == (name, max)), "{error}");
        }
        for taken in ["S", "A#", "A#2026"] {
            assert_eq!(refused(|entry| entry.key.sk = taken.to_owned()), EntryError::KeyTaken);
        }
        assert_eq!(refused(|entry| entry.body = json!({"a": [{"": 1}]})), EntryError::EmptyName);
        assert_eq!(refused(|entry| entry.body = nested(31)), EntryError::BodyLevels);
        let error = refused(|entry| entry.body = json!("x".repeat(307_201)));
        assert_eq!(error.to_string(), "the body has 307201 bytes, the limit is 307200: keep less in it");
    }

    #[test]
    fn what_is_just_within_the_bounds_is_taken() {
        let mut entry = entry(nested(30));
        entry.key = EntryKey::new("x".repeat(2048), "x".repeat(1024));
        EntryChange { entry: &entry, expected: None }.check().unwrap();
        entry.body = json!("x".repeat(307_200));
        EntryChange { entry: &entry, expected: None }.check().unwrap();
    }

    #[test]
    fn each_change_has_a_higher_version() {
        let mut entry = entry(json!(null));
        for (version, expected, taken) in [(0, None, false), (1, None, true), (7, Some(7), false), (8, Some(7), true)] {
            entry.version = version;
            assert_eq!(EntryChange { entry: &entry, expected }.check().is_ok(), taken, "{version} {expected:?}");
        }
    }

    #[test]
    fn a_transaction_has_each_key_once_and_4_mb() {
        let entries: Vec<Entry> = (0..14)
            .map(|index| Entry { key: EntryKey::new("t", format!("I#{index}")), ..entry(json!("x".repeat(300_000))) })
            .collect();
        let mut changes: Vec<_> = entries.iter().map(|entry| EntryChange { entry, expected: None }).collect();
        assert!(matches!(EntryChange::check_all(&changes), Err((_, EntryError::TransactionBytes(4_200_000..)))));
        changes.pop();
        EntryChange::check_all(&changes).unwrap();
        changes[1] = changes[0];
        assert_eq!(EntryChange::check_all(&changes), Err((&entries[0].key, EntryError::Twice)));
    }
}
