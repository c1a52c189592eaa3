//! How many messages a tenant has had, and what is held for its digest: one document a tenant.
//!
//! It is written in the transaction of the incidents that it counts, so that a digest counts each of them once whatever fails.
//! Where two write at once, one of them is refused and counts anew.

use anomaly_core::Timestamp;
use anomaly_core::incident::{Budget, Digest};
use platform::model::Entry;
use platform::ports::StoreError;
use serde::{Deserialize, Serialize};

use crate::body::body;
use crate::place;

/// How long a budget is kept that nobody has touched.
const KEPT_DAYS: i64 = 7;

/// A tenant's budget where it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantBudget {
    tenant: String,
    stored: Option<u64>,
    /// The counts and what is held of them.
    pub kept: Kept,
}

/// What is kept of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The counts.
    pub budget: Budget,
    /// What no digest has told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Digest>,
}

impl TenantBudget {
    /// From what is stored. What cannot be read is counted anew: nobody goes without a message for it.
    #[must_use]
    pub fn new(tenant: &str, stored: Option<&Entry>) -> Self {
        let read = |entry: &Entry| match serde_json::from_value(entry.body.clone()) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(
                    tenant,
                    error = &error as &dyn std::error::Error,
                    "a budget that cannot be read begins anew"
                );
                Kept::default()
            }
        };
        let kept = stored.map(read).unwrap_or_default();
        Self { tenant: tenant.to_owned(), stored: stored.map(|entry| entry.version), kept }
    }

    /// Holds more.
    pub fn hold(&mut self, more: Digest) {
        self.kept.held = Some(match self.kept.held.take() {
            Some(held) => held.merge(more),
            None => more,
        });
    }

    /// As it is to be stored, and the version that must be there.
    ///
    /// # Errors
    /// A permanent one where it has no form in JSON.
    pub fn entry(&self, now: Timestamp) -> Result<(Entry, Option<u64>), StoreError> {
        let key = place::budget(&self.tenant);
        let body = body(&key, &self.kept)?;
        let entry = Entry {
            key,
            version: self.stored.unwrap_or(0) + 1,
            due: self.kept.budget.due().map(|at| place::due(&self.tenant, at)),
            day: None,
            expires_at: Some(now.millis() / 1_000 + KEPT_DAYS * 86_400),
            body,
        };
        Ok((entry, self.stored))
    }
}
