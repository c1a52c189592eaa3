//! Why batches are not committed, and when to stop trying.
//!
//! The answer of a function to its event source mapping names a record and gives no reason; the scorer logs the reason.
//! [`Faults`] listens to that log. A record is never given up for the ones behind it: the run stops instead, at once where
//! trying again cannot help, else after a few attempts. What is committed stays, and the next run goes on from there.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use platform::ports::StoreError;
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Attempts in a row, none of which has committed anything, before a run stops.
const ATTEMPTS_MAX: u32 = 8;

/// Hears of faults. Clones share what they have heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    last: Mutex<Option<String>>,
    attempts: AtomicU32,
    is_over: Notify,
}

/// Batches could not be committed, and the run has stopped.
#[derive(Debug, thiserror::Error)]
#[error(
    "the demo has stopped, because a batch or an incident could not be committed; what is committed is safe: mend this and \
     run the same command again, it goes on from there\n  {}", .0
)]
pub(super) struct Stopped(String);

impl Faults {
    /// An attempt at a batch begins.
    pub(super) fn attempt(&self) {
        if self.0.attempts.fetch_add(1, Ordering::Relaxed) >= ATTEMPTS_MAX {
            self.0.is_over.notify_one();
        }
    }

    /// An attempt has ended with a commit.
    pub(super) fn committed(&self) {
        self.0.attempts.store(0, Ordering::Relaxed);
    }

    /// An attempt has ended with `words` and without a commit.
    pub(super) fn failed(&self, words: &str) {
        *self.last() = Some(words.to_owned());
    }

    /// Waits until there is no point in trying on.
    pub(super) async fn are_too_many(&self) -> Stopped {
        self.0.is_over.notified().await;
        Stopped(self.last().clone().unwrap_or_else(|| "the scorer panicked, see above".to_owned()))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scorer's log: nothing but errors, and nothing of where they come from.
impl Subscriber for Faults {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut entry = Entry::default();
        event.record(&mut entry);
        let Entry { shard, error, is_lasting } = entry;
        // What follows from batches, the incidents, is of no shard.
        self.failed(&if shard.is_empty() { error } else { format!("{shard}: {error}") });
        if is_lasting {
            self.0.is_over.notify_one();
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is read of an entry of the log.
#[derive(Debug, Default)]
struct Entry {
    shard: String,
    error: String,
    /// Trying again does not help.
    is_lasting: bool,
}

impl Visit for Entry {
    fn record_error(&mut self, _: &Field, error: &(dyn Error + 'static)) {
        self.is_lasting = error.downcast_ref::<StoreError>().is_some_and(|error| !error.is_transient());
        self.error = error.to_string();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "shard" {
            // Writing to a String cannot fail.
            let _ = write!(self.shard, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::ports::StoreErrorKind;

    /// What the run says after the scorer's log has had this; `None` when it goes on.
    async fn after(kind: StoreErrorKind, attempts: u32) -> Option<String> {
        let faults = Faults::default();
        let _listening = tracing::subscriber::set_default(faults.clone());
        for _ in 0..attempts {
            faults.attempt();
            let error = StoreError { kind, ..StoreError::permanent("put object", "bronze/x", "the disk is full") };
            let error: &dyn Error = &error;
            tracing::error!(shard = %"local#demo#0", error, "batch not committed");
        }
        tokio::select! {
            biased;
            stopped = faults.are_too_many() => Some(stopped.to_string()),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn a_fault_that_lasts_stops_the_run_at_once_and_is_named() {
        let words = after(StoreErrorKind::Permanent, 1).await.unwrap();
        assert!(words.contains("local#demo#0: put object `bronze/x`: the disk is full"), "{words}");
        assert!(words.contains("run the same command again"), "{words}");
    }

    #[tokio::test]
    async fn a_fault_that_may_pass_is_borne_for_a_while() {
        assert_eq!(after(StoreErrorKind::Unavailable, ATTEMPTS_MAX).await, None);
        assert!(after(StoreErrorKind::Unavailable, ATTEMPTS_MAX + 1).await.unwrap().contains("bronze/x"));
    }

    #[tokio::test]
    async fn a_commit_begins_the_count_anew() {
        let faults = Faults::default();
        for _ in 0..10 * ATTEMPTS_MAX {
            faults.attempt();
            faults.committed();
        }
        tokio::select! {
            biased;
            stopped = faults.are_too_many() => panic!("{stopped}"),
            () = std::future::ready(()) => {}
        }
    }
}
