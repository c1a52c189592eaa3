//! What a look brought, and looking until there is something.

use std::time::Duration;

use tokio::time::Instant;

use super::StepResult;
use account::{Kind, Trouble};

/// Between two looks. A shard gives five reads a second to all that read it.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was seen, and what to do about it.
pub(super) struct Seen(pub(super) StepResult, pub(super) String, pub(super) &'static str);

impl Seen {
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self(StepResult::Ok, what.into(), "")
    }

    pub(super) fn failed(what: impl Into<String>, remedy: &'static str) -> Self {
        Self(StepResult::Failed, what.into(), remedy)
    }

    pub(super) fn trouble(trouble: &Trouble) -> Self {
        let remedy = match trouble.kind {
            Kind::Forbidden => "run it with credentials that may do this; without, nothing is known of this step",
            _ => "run it again; without an answer nothing is known of this step",
        };
        Self(StepResult::Unknown, trouble.to_string(), remedy)
    }

    pub(super) fn not_checked(why: &str) -> Self {
        Self(StepResult::NotChecked, why.to_owned(), "mend the step before it")
    }

    pub(super) fn is_ok(&self) -> bool {
        self.0 == StepResult::Ok
    }
}

/// Looks until there is something, for at most `patience`. `Err`: the last look found a trouble that does not pass.
pub(super) async fn until<T>(
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Trouble>,
) -> Result<Option<T>, Trouble> {
    let ends = Instant::now() + patience;
    loop {
        let found = match look().await {
            Err(trouble) if trouble.kind == Kind::Transient && Instant::now() < ends => None,
            other => other?,
        };
        if found.is_some() || Instant::now() >= ends {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
