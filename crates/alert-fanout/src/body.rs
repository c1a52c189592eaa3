//! What an entry of the table holds, as JSON.

use platform::model::EntryKey;
use platform::ports::StoreError;
use serde::Serialize;
use serde_json::Value;

/// What is kept under a key, as the table takes it. What has no form in JSON is refused: an empty entry in its place would
/// be one that nobody can read any more.
///
/// # Errors
/// A permanent one that names the key.
pub(crate) fn body(key: &EntryKey, kept: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(kept).map_err(|error| {
        let target = format!("{} {}", key.pk, key.sk);
        let remedy = format!("{error}; nothing was stored: report what was in it");
        StoreError { source: Some(Box::new(error)), ..StoreError::permanent("write as JSON", target, remedy) }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::place;

    #[test]
    fn what_has_no_form_in_json_is_refused_and_not_stored_empty() {
        let key = place::budget("acme");
        assert!(body(&key, &[1, 2]).is_ok());
        let error = body(&key, &BTreeMap::from([((1, 2), "a key of two numbers")])).unwrap_err();
        assert!(!error.is_transient());
        assert!(error.to_string().contains("acme B"), "{error}");
    }
}
