//! Sending what is claimed, and writing down what came of it.
//!
//! Channels do not wait for one another. One that fails twice in a row is left alone for the rest of the invocation, so that the
//! time is for the others: its deliveries are due again when their claims run out.

use std::collections::BTreeMap;
use std::time::Duration;

use anomaly_core::Timestamp;
use futures_util::{StreamExt as _, stream};
use platform::model::{Entry, EntryChange};
use platform::ports::{AlertWorld, ChangeError, StoreError};

use super::{Done, Fanout};
use crate::channel::{FailureKind, Receipt, SEND_TIMEOUT, SendError};
use crate::delivery::Claimed;
use crate::dispatch::Dispatch;

/// Channels that send at the same time.
const CHANNELS_AT_ONCE: usize = 16;
/// Failures in a row after which a channel is left alone.
const FAILURES_MAX: u32 = 2;
/// Time that is kept back for writing down what came of a try.
const RESERVE: Duration = Duration::from_secs(5);

impl<W: AlertWorld, D: Dispatch> Fanout<W, D> {
    /// Leaves deliveries to the next tick. Where that fails they are due when their claims run out.
    pub(super) async fn release(&self, claimed: Vec<Claimed>, now: Timestamp) {
        for claimed in claimed {
            if let Err(error) = self.change(&claimed, claimed.released(now)).await {
                tracing::warn!(
                    sk = claimed.key.sk,
                    error = &error as &dyn std::error::Error,
                    "a message is sent later"
                );
            }
        }
    }

    /// Sends, channel by channel, as long as there is time, when the other region knows of it.
    pub(super) async fn send(
        &self,
        claimed: Vec<Claimed>,
        now: Timestamp,
        remaining: &(dyn Fn() -> Duration + Sync),
    ) -> Done {
        if let Some(peer) = &self.peer {
            peer.until_known(&claimed, now, remaining()).await;
        }
        let mut channels: BTreeMap<(String, String), Vec<Claimed>> = BTreeMap::new();
        for one in claimed {
            let of = (one.delivery.message.tenant.clone(), one.delivery.channel.clone());
            channels.entry(of).or_default().push(one);
        }
        let sending = channels.into_iter().map(|((tenant, channel), waiting)| async move {
            self.send_over(&tenant, &channel, waiting, now, remaining).await
        });
        let mut all = stream::iter(sending).buffer_unordered(CHANNELS_AT_ONCE);
        let mut done = Done::default();
        while let Some(of_one) = all.next().await {
            done.add(of_one);
        }
        done
    }

    async fn send_over(
        &self,
        tenant: &str,
        channel: &str,
        waiting: Vec<Claimed>,
        now: Timestamp,
        remaining: &(dyn Fn() -> Duration + Sync),
    ) -> Done {
        let in_force = self.tenants.in_force(&self.world, tenant, now).await;
        let settings = match &in_force {
            Ok(in_force) => in_force.channel(channel).ok_or_else(|| SendError::gone(channel)),
            Err(error) => Err(SendError::unknown(channel, &error.to_string())),
        };
        let (mut done, mut failures) = (Done::default(), 0);
        for claimed in waiting {
            if failures >= FAILURES_MAX || remaining() < SEND_TIMEOUT + RESERVE {
                done.unsent += 1;
                continue;
            }
            if let Err(error) = self.is_ours_yet().await {
                tracing::warn!(tenant, channel, error = &error as &dyn std::error::Error, "a message is not sent");
                done.unsent += 1;
                continue;
            }
            if tooth!("result-before-sending") {
                self.settle(&claimed, Ok(Receipt::default()), now).await;
            }
            let outcome = match &settings {
                Ok(settings) => self.dispatch.dispatch(tenant, channel, settings, &claimed.delivery.message).await,
                Err(error) => Err(error.clone()),
            };
            let outcome = if tooth!("failed-send-is-sent") { Ok(outcome.unwrap_or_default()) } else { outcome };
            match &outcome {
                Ok(_) => (done.sent, failures) = (done.sent + 1, 0),
                Err(error) => {
                    let kind = error.kind();
                    tracing::warn!(
                        tenant,
                        channel,
                        error = error as &dyn std::error::Error,
                        "a message was not taken over"
                    );
                    done.unsent += 1;
                    // A message that is refused says nothing of the next one.
                    failures = if kind == FailureKind::Refused { failures } else { failures + 1 };
                }
            }
            self.settle(&claimed, outcome, now).await;
        }
        done
    }

    /// Writes down what came of a try. If that fails, the claim runs out and it is sent once more: a message too many is
    /// better than none.
    async fn settle(&self, claimed: &Claimed, outcome: Result<Receipt, SendError>, now: Timestamp) {
        match self.change(claimed, claimed.settled(outcome, now)).await {
            Ok(()) => {}
            Err(ChangeError::Moved(_)) => {
                tracing::warn!(
                    sk = claimed.key.sk,
                    "a claim ran out while a message was sent; it may have been sent twice"
                );
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(sk = claimed.key.sk, error, "what came of a message was not noted; it is sent again");
            }
        }
    }

    /// Stores what is to follow a claim, if it still holds.
    async fn change(&self, claimed: &Claimed, next: Result<Entry, StoreError>) -> Result<(), ChangeError> {
        let entry = next?;
        self.world.change_entries(&[EntryChange { entry: &entry, expected: Some(claimed.version) }]).await
    }
}
