//! What the function answers to the event source mapping (`ReportBatchItemFailures`).

use serde::{Deserialize, Serialize};

use crate::sequence::SequenceNumber;

/// Success, or where the mapping has to go on. The mapping takes the lowest number named and sends everything from there
/// again; an unknown or empty number counts as the failure of the whole batch, so only numbers of the event belong here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// Empty for success.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// One record that has to come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its sequence number as the event gave it.
    pub item_identifier: String,
}

impl BatchResponse {
    /// Every record is committed.
    #[must_use]
    pub const fn success() -> Self {
        Self { batch_item_failures: Vec::new() }
    }

    /// Everything before `first` is committed; `first` and what follows must come again.
    #[must_use]
    pub fn again_from(first: SequenceNumber) -> Self {
        Self { batch_item_failures: vec![BatchItemFailure { item_identifier: first.trimmed().to_owned() }] }
    }
}
