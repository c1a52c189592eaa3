//! A service of PagerDuty, by its Events API v2. The routing key is the key.
//!
//! PagerDuty keeps one incident for each `dedup_key`: what comes again while it is open is added to it, so that sending
//! twice tells once. A test message opens an incident of severity `info`, which a person resolves.

use std::fmt;
use std::sync::Arc;

use anomaly_core::Severity;
use serde::{Deserialize, Serialize};

use super::{Channel, Receipt, SendError, in_time};
use crate::message::{Course, Message, MessageJson, News, clean};
use crate::network::{Answer, Body, Endpoint, Outbound};
use crate::secret::{Keyring, Secret, SecretRef, Secrets};

/// Where events go (Events API v2, "Send an alert event"); `events.eu.pagerduty.com` in the European region.
pub const ENDPOINT: &str = "https://events.pagerduty.com/v2/enqueue";

/// Bound of `payload.summary`, in characters (the same page).
const SUMMARY_MAX: usize = 1_024;

/// Sends events to a service.
pub struct PagerDuty<S> {
    name: String,
    endpoint: Endpoint,
    routing_key: SecretRef,
    keyring: Arc<Keyring<S>>,
    outbound: Outbound,
}

impl<S: Secrets> PagerDuty<S> {
    /// `routing_key` is the secret that holds the integration's key; `endpoint` is usually [`ENDPOINT`].
    pub fn new(
        name: &str,
        endpoint: Endpoint,
        routing_key: SecretRef,
        keyring: Arc<Keyring<S>>,
        outbound: Outbound,
    ) -> Self {
        Self { name: name.to_owned(), endpoint, routing_key, keyring, outbound }
    }

    async fn post(&self, key: Secret, message: &Message) -> Result<Receipt, SendError> {
        let bytes = serde_json::to_vec(&event(key.reveal(), message)).map_err(|error| {
            SendError::refused(&self.name, format!("the event cannot be written as JSON: {error}"), "report it")
        })?;
        let answer = self
            .outbound
            .post(&self.name, &self.endpoint, Body { media: "application/json", header: None, bytes })
            .await?;
        if answer.is_success() { Ok(Receipt::with_id(&message.dedup_key())) } else { Err(self.failure(&answer, &key)) }
    }

    fn failure(&self, answer: &Answer, key: &Secret) -> SendError {
        let said = said(answer.body(), key);
        let concerns_key = said.as_deref().is_some_and(|said| {
            let said = said.to_ascii_lowercase();
            said.contains("routing_key") || said.contains("routing key")
        });
        if answer.status() == 400 && concerns_key {
            let what = format!("HTTP status 400, `{}`", said.unwrap_or_default());
            return SendError::auth(
                &self.name,
                what,
                "store the integration key of the service (Events API v2) in the secret",
            );
        }
        answer.failure(&self.name, said.as_deref())
    }
}

impl<S: Secrets> Channel for PagerDuty<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn deduplicates(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        in_time(&self.name, self.keyring.sending(&self.name, &self.routing_key, |key| self.post(key, message))).await
    }
}

impl<S> fmt::Debug for PagerDuty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What PagerDuty says of an event that it did not take, without the key that it may repeat.
fn said(body: &[u8], key: &Secret) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: Vec<String>,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let whole = std::iter::once(refusal.message).chain(refusal.errors).filter(|part| !part.is_empty());
    let whole = whole.collect::<Vec<_>>().join("; ").replace(key.reveal(), "(key)");
    (!whole.is_empty()).then(|| clean(&whole, super::SAID_CHARS_MAX))
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    #[serde(rename = "event_action")]
    action: &'static str,
    dedup_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    client: &'static str,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    group: String,
    class: String,
    custom_details: MessageJson,
}

#[derive(Serialize)]
struct Link {
    href: String,
    text: &'static str,
}

fn event<'a>(routing_key: &'a str, message: &Message) -> Event<'a> {
    let action = match message.news {
        News::Incident(Course::Acknowledged, _) => "acknowledge",
        News::Incident(Course::Resolved, _) => "resolve",
        News::Incident(..) | News::Digest(_) | News::Test => "trigger",
    };
    Event {
        routing_key,
        action,
        dedup_key: message.dedup_key(),
        payload: (action == "trigger").then(|| payload(message)),
        links: message.shown_link().map(|href| Link { href, text: "Open" }).into_iter().collect(),
        client: "Millrace",
    }
}

fn payload(message: &Message) -> Payload {
    let finding = message.finding();
    let severity = match (&message.news, message.severity) {
        (News::Test, _) | (_, Severity::Info) => "info",
        (_, Severity::Warning) => "warning",
        (_, Severity::Critical) => "critical",
    };
    Payload {
        summary: clean(&format!("{} - {}", message.headline(), message.shown_summary()), SUMMARY_MAX),
        source: finding.map_or_else(|| message.shown_tenant(), crate::message::Finding::shown_device),
        severity,
        timestamp: message.at.to_string(),
        component: finding.filter(|finding| !finding.metrics.is_empty()).map(crate::message::Finding::shown_metrics),
        group: message.shown_tenant(),
        class: finding.map_or_else(|| message.state().to_owned(), |finding| clean(&finding.detector, 128)),
        custom_details: message.json(),
    }
}
