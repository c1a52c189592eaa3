//! Who tells people, and where devices send to.
//!
//! Devices hear of a move by a message that the broker keeps: `tenants/{tenant}/region`, which every device of the tenant may
//! subscribe to, in both Regions; also from when on they are to send once more what they have sent. One that loses its
//! connection finds the other Region by the endpoint that it was given when it was brought on, and learns there which of the two to
//! stay with.

use anomaly_core::Timestamp;
use futures_util::{StreamExt as _, stream};
use platform::ports::StoreError;
use serde::Serialize;
use tokio::time::Instant;

use super::{Evidence, done, warned};
use crate::error::MoveError;
use crate::mover::Mover;
use crate::record::Move;
use crate::side::{Reach, Stores, within};

/// Tenants that are told at once.
const AT_ONCE: usize = 16;

/// The topic on which a tenant's devices hear where to send.
#[must_use]
fn topic(tenant: &str) -> String {
    format!("tenants/{tenant}/region")
}

/// What devices hear.
#[derive(Debug, Serialize)]
struct Word<'m> {
    /// The Region to send to.
    region: &'m str,
    /// Its endpoint, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'m str>,
    /// The epoch: of two messages the one with the higher number holds.
    epoch: u64,
    /// Since when, milliseconds since 1970.
    since: i64,
    /// What was sent from then on, milliseconds since 1970, is to be sent once more: the Region that is left may have taken it
    /// and not handed it on. Absent: all that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    resend_from: Option<i64>,
}

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    pub(super) async fn alerting(&self, record: &Move) -> Result<Evidence, MoveError> {
        let to = &self.to.region;
        let switched = alert_fanout::active::switch(&self.to.stores, to, record.since).await?;
        let there = alert_fanout::active::switch(&self.from.stores, to, record.since);
        let words = if switched { "tells people" } else { "told people already" };
        Ok(match self.ask_from("switch alerting", there).await {
            Ok(_) => done(format!("{to} {words}; {} knows", self.from.region)),
            Err(cause) => warned(format!(
                "{to} {words}; {} does not answer ({cause}): until it hears of it, both may tell of what the other has not seen",
                self.from.region
            )),
        })
    }

    pub(super) async fn devices(&self, record: &Move) -> Result<Evidence, MoveError> {
        let (tenants, card) = (self.tenants().await?, self.card().await?);
        let endpoint = card.as_ref().and_then(|card| card.regions.get(&record.to)).map(|side| &*side.devices_endpoint);
        let word = Word {
            region: &record.to,
            endpoint,
            epoch: record.epoch,
            since: record.since.millis(),
            resend_from: record.resend_from.map(Timestamp::millis),
        };
        let payload = serde_json::to_vec(&word)
            .map_err(|error| StoreError::permanent("tell devices", record.to.clone(), error.to_string()))?;
        let topics: Vec<String> = tenants.iter().map(|tenant| topic(tenant)).collect();
        let deadline = Instant::now() + self.bounds.drain;
        let here = stream::iter(&topics).map(|topic| {
            let patience = self.bounds.answer.min(deadline.saturating_duration_since(Instant::now()));
            within(patience, "tell devices", &record.to, self.to.reach.publish_retained(topic, &payload))
        });
        let here: Vec<Result<(), StoreError>> = here.buffer_unordered(AT_ONCE).collect().await;
        let failed: Vec<StoreError> = here.into_iter().filter_map(Result::err).collect();
        // Devices that are still connected to the Region that is left hear of it there, as long as it answers.
        let mut told = stream::iter(&topics)
            .map(|topic| self.ask_from("tell devices", self.from.reach.publish_retained(topic, &payload)))
            .buffer_unordered(AT_ONCE);
        let mut there = Ok(());
        while let Some(one) = told.next().await {
            let is_silent = one.as_ref().is_err_and(StoreError::is_transient);
            there = there.and(one);
            if is_silent {
                break;
            }
        }
        let count = tenants.len();
        let again = record
            .resend_from
            .map_or_else(|| "all that they keep".to_owned(), |from| format!("what they have sent from {from} on"));
        Ok(match (failed.first(), there) {
            (Some(first), _) => warned(format!(
                "devices of {} of {count} tenants could not be told in {}: {first}; run the command again \
                 when its broker answers",
                failed.len(),
                record.to
            )),
            (None, Err(cause)) => warned(format!(
                "devices of {count} tenants are told in {}, to send {again} once more; not all in {} ({cause}): run the command again \
                 when it answers, or its broker keeps the former word for who connects there",
                record.to, self.from.region
            )),
            (None, Ok(())) => {
                done(format!("devices of {count} tenants are told in both Regions, to send {again} once more"))
            }
        })
    }

    /// The schedule does the same within a minute, so that a failure holds nothing up.
    pub(super) async fn tick(&self) -> Evidence {
        match within(self.bounds.verify, "tick", &self.to.region, self.to.reach.tick_alerts()).await {
            Ok(()) => done("what was found and not told is told"),
            Err(error) => warned(format!("{error}; its schedule does the same within a minute")),
        }
    }
}
