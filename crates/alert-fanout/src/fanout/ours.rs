//! Whether this region is to tell people.

use std::time::Duration;

use anomaly_core::Timestamp;
use platform::model::Change;
use platform::ports::{AlertWorld, StoreError, StoreErrorKind};
use tokio::time::Instant;

use super::Fanout;
use super::ask::{TRIES_MAX, is_fresh};
use super::listen::{found_elsewhere, hear, is_late};
use crate::active::{self, Known};
use crate::dispatch::Dispatch;

/// What an invocation has left, at the least, when it is looked once more who has the say.
const PATIENCE: Duration = Duration::from_secs(8);

/// Who tells people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// There is no other region.
    Alone,
    /// This region.
    Ours,
    /// The other one.
    Theirs,
}

impl<W: AlertWorld, D: Dispatch> Fanout<W, D> {
    pub(super) async fn say(&self) -> Result<Say, StoreError> {
        Ok(self.say_of(&self.known().await?))
    }

    pub(super) fn say_of(&self, known: &Known) -> Say {
        match &known.region {
            None => Say::Alone,
            Some(region) if *region == self.config.region || tooth!("active-not-looked-at") => Say::Ours,
            Some(_) => Say::Theirs,
        }
    }

    /// Who tells people, as far as it is known here.
    pub(super) async fn known(&self) -> Result<Known, StoreError> {
        active::who_has_say(&self.world, self.config.stream.as_deref()).await
    }

    /// Whether this region is to tell of these changes, after the other one was asked or what there is to hear was heard.
    pub(super) async fn is_ours(
        &self,
        changes: &[Change],
        now: Timestamp,
        remaining: &(dyn Fn() -> Duration + Sync),
    ) -> Result<bool, StoreError> {
        let known = self.known().await?;
        if self.say_of(&known) != Say::Ours {
            return Ok(self.say_of(&known) == Say::Alone);
        }
        let stream = self.config.stream.as_deref();
        let elsewhere = stream.map(|stream| found_elsewhere(changes, &self.config.region, stream)).unwrap_or_default();
        let is_late = is_late(changes, now);
        if let Some(says) = self.ask(&known, now, remaining()).await {
            let Some(peer) = self.peer.as_ref().filter(|_| says) else { return Ok(false) };
            if is_late || !elsewhere.is_empty() || is_fresh(&known, now) {
                peer.catch_up(&self.world, changes, now, remaining()).await?;
            }
            // It may have taken a while.
            return Ok(self.say().await? != Say::Theirs);
        }
        if !elsewhere.is_empty() {
            let newest = hear(&self.world, &elsewhere, remaining()).await?;
            if newest > known.epoch {
                let known = self.known().await?;
                tracing::warn!(
                    newest,
                    known = known.epoch,
                    "the other region has found something in a newer epoch than was known"
                );
                // Who has the say in it tells of these changes.
                return Ok(self.say_of(&known) == Say::Ours && newest <= known.epoch);
            }
        }
        self.is_ours_still(is_late, now, remaining).await
    }

    /// Whether this region is still to tell people of what is late or overdue, after it has listened: see [`super::listen`].
    pub(super) async fn is_ours_still(
        &self,
        is_late: bool,
        now: Timestamp,
        remaining: &(dyn Fn() -> Duration + Sync),
    ) -> Result<bool, StoreError> {
        if is_late && self.listening.is_due(now) {
            self.listening.listen(now, remaining()).await;
        }
        Ok(self.say().await? != Say::Theirs)
    }

    /// Whether people may be told still: whoever has stood still since it was looked who has the say looks again. Another region may
    /// have told them meanwhile.
    ///
    /// # Errors
    /// The store's, or a transient one that says that another region has the say.
    pub(super) async fn is_ours_yet(&self) -> Result<(), StoreError> {
        // Once more where it stood still over that as well.
        for _ in 0..TRIES_MAX {
            let Some(now) = self.confirmed.outdated() else { break };
            let began = Instant::now();
            let known = self.known().await?;
            let is_ours = match self.say_of(&known) {
                Say::Ours => self.ask(&known, now, PATIENCE).await.unwrap_or(true),
                say => say == Say::Alone,
            };
            if !is_ours {
                let remedy = "this process stood still, and another region was given the say meanwhile";
                return Err(StoreError {
                    kind: StoreErrorKind::Throttled,
                    ..StoreError::permanent("tell people", self.config.region.clone(), remedy)
                });
            }
            self.confirmed.confirm(began, now);
        }
        Ok(())
    }

    /// Whether this region has the say, as the other one knows it. `None`: there is no other one, or it does not answer.
    pub(super) async fn ask(&self, known: &Known, now: Timestamp, remaining: Duration) -> Option<bool> {
        let theirs = self.peer.as_ref()?.ask(self.config.stream.as_deref(), now, remaining).await?;
        let is_ours = !theirs.is_later_than(known) || self.say_of(&theirs) == Say::Ours;
        if !is_ours {
            tracing::warn!(
                known = known.epoch,
                theirs = theirs.epoch,
                region = theirs.region,
                "the say was given to another region, which was not known here"
            );
        }
        Some(is_ours)
    }
}
