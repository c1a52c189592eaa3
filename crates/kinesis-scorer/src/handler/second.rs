//! Asking a second model about a batch, so that nothing it does or does not do is more than counted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platform::metrics::OpinionMetrics;
use platform::ports::{AskError, AskModel};

use super::{Invocation, Progress};
use crate::fold::Batch;
use crate::opinion::answer::{Answer, AnswerError};
use crate::opinion::breaker::Change;
use crate::opinion::{Breaker, Candidates, Episodes, OpinionSettings};

/// With less time than this nobody is asked.
const WITHIN_MIN: Duration = Duration::from_millis(20);

/// A second model, and what a process knows of it.
#[derive(Debug)]
pub(super) struct Second<A> {
    model: A,
    settings: OpinionSettings,
    breaker: Mutex<Breaker>,
}

/// Why there is no opinion of any row.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Asked(#[from] AskError),
    #[error("no answer within {} ms (MILLRACE_OPINION_BUDGET_MS, or what the invocation has left)", .0.as_millis())]
    Slow(Duration),
    #[error(transparent)]
    Answered(#[from] AnswerError),
}

impl<A: AskModel + Sync> Second<A> {
    pub(super) fn new(model: A, settings: OpinionSettings) -> Self {
        Self { model, settings, breaker: Mutex::default() }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a batch is to look for. While nobody may ask it only counts.
    pub(super) fn candidates(&self, invocation: &Invocation<'_>) -> Candidates {
        let rows = if self.breaker().admits(invocation.now) { self.settings.rows as usize } else { 0 };
        Candidates::new(self.settings.watch, rows)
    }

    /// Asks about a batch's candidates, once, and records what the model said. Takes no longer than the budget, of which
    /// earlier tries of the batch have used some, and leaves `reserve` of the invocation's time.
    pub(super) async fn look(
        &self,
        batch: &mut Batch,
        episodes: &mut Episodes,
        invocation: &Invocation<'_>,
        reserve: Duration,
        progress: &mut Progress,
    ) {
        let Some(candidates) = batch.candidates() else { return };
        let counts = progress.metrics.opinions.get_or_insert_default();
        counts.skipped += candidates.left_out();
        if candidates.is_empty() {
            return;
        }
        let rows = candidates.len() as u64;
        let left = (invocation.remaining)();
        let budget = Duration::from_millis(u64::from(self.settings.budget_ms)).saturating_sub(progress.asked_for);
        let within = budget.min(left.saturating_sub(reserve));
        if within < WITHIN_MIN || !self.breaker().admit(invocation.now) {
            counts.skipped += rows;
            return;
        }
        let asked = self.ask(candidates, within).await;
        progress.asked_for += left.saturating_sub((invocation.remaining)());
        let answered = match asked {
            Ok(answer) => {
                if let Some(why) = &answer.misread {
                    tracing::debug!(why, "a line of the second model's answer cannot be read");
                }
                if self.breaker().succeeded() == Some(Change::Closed) {
                    tracing::info!(model = self.settings.endpoint, "the second model answers again");
                }
                batch.take_opinions(&answer.strengths, episodes, &self.settings.endpoint)
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "no second opinions on this batch");
                if self.breaker().failed(invocation.now) == Some(Change::Opened) {
                    tracing::warn!(
                        model = self.settings.endpoint,
                        error,
                        "the second model fails again and again, batches go without it for a while"
                    );
                }
                0
            }
        };
        *counts += OpinionMetrics { asked: rows, answered, failed: rows - answered, skipped: 0 };
    }

    /// The answer, checked. What stands behind the port may not keep to its time: it is dropped then.
    async fn ask(&self, candidates: &Candidates, within: Duration) -> Result<Answer, Unanswered> {
        let asked = tokio::time::timeout(within, self.model.ask_model(candidates.body(), within)).await;
        let text = asked.map_err(|_| Unanswered::Slow(within))??;
        Ok(Answer::read(&text, candidates.len(), self.settings.line)?)
    }
}
