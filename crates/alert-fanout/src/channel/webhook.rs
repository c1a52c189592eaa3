//! A receiver of one's own: a `CloudEvents` 1.0 event in JSON, signed.
//!
//! # How a receiver checks the signature
//! The header `Millrace-Signature` is `t={seconds since 1970},v1={hexadecimal}`, with a second `,v1=` while a key is
//! being exchanged.
//! 1. Refuse when `t` is more than 300 s from the receiver's clock: a request that was recorded cannot be sent again later.
//! 2. Compute HMAC-SHA256 (RFC 2104) over `t`, a full stop, and the body's bytes as they came; the key is the shared secret.
//! 3. Accept if one `v1` is equal, compared in constant time; ignore other parts.
//! 4. Drop an event whose `id` was seen before: the same message keeps its `id` however often it is sent.
//!
//! To exchange a key, store two lines in the secret, the new key first: each request is signed with both until the second
//! line is taken out.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use anomaly_core::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use sha2::Sha256;

use super::{Channel, Receipt, SendError, in_time};
use crate::message::{Message, MessageJson};
use crate::network::{Body, Endpoint, Outbound};
use crate::secret::{Keyring, Secret, SecretRef, Secrets};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "millrace-signature";

/// Keys that sign at once: the new one and the old one.
pub const KEYS_MAX: usize = 2;

/// A shorter key could be guessed.
pub const KEY_BYTES_MIN: usize = 16;

/// Tells the time, for the signature.
pub type Clock = fn() -> Timestamp;

/// Posts events to an address.
pub struct Webhook<S> {
    name: String,
    endpoint: Endpoint,
    key: Option<SecretRef>,
    keyring: Arc<Keyring<S>>,
    outbound: Outbound,
    clock: Clock,
}

impl<S: Secrets> Webhook<S> {
    /// `key` is the secret shared with the receiver; without one, events go unsigned, and anybody can send the receiver
    /// others. `clock` is the wall clock.
    pub fn new(
        name: &str,
        endpoint: Endpoint,
        key: Option<SecretRef>,
        keyring: Arc<Keyring<S>>,
        outbound: Outbound,
        clock: Clock,
    ) -> Self {
        Self { name: name.to_owned(), endpoint, key, keyring, outbound, clock }
    }

    async fn post(&self, key: Option<Secret>, message: &Message) -> Result<Receipt, SendError> {
        let event = event(&self.name, message);
        let bytes = serde_json::to_vec(&event).map_err(|error| {
            SendError::refused(&self.name, format!("the event cannot be written as JSON: {error}"), "report it")
        })?;
        let header = match key {
            Some(key) => Some((HeaderName::from_static(SIGNATURE_HEADER), self.signature(&key, &bytes)?)),
            None => None,
        };
        let body = Body { media: "application/cloudevents+json; charset=utf-8", header, bytes };
        let answer = self.outbound.post(&self.name, &self.endpoint, body).await?;
        // What the receiver says of it is not repeated: it is anybody's text.
        if answer.is_success() { Ok(Receipt::with_id(&event.id)) } else { Err(answer.failure(&self.name, None)) }
    }

    fn shown_key(&self) -> &str {
        self.key.as_ref().map_or("", SecretRef::as_str)
    }

    fn signature(&self, key: &Secret, body: &[u8]) -> Result<HeaderValue, SendError> {
        let unusable = |what: String| {
            SendError::auth(
                &self.name,
                what,
                "store a key of 32 or more random characters; while it is exchanged, the new and the old on a line each",
            )
        };
        let keys: Vec<&str> = key.reveal().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(unusable(format!(
                "secret `{}` has {} keys, the limit is {KEYS_MAX}",
                self.shown_key(),
                keys.len()
            )));
        }
        if keys.iter().any(|key| key.len() < KEY_BYTES_MIN) {
            return Err(unusable(format!(
                "secret `{}` has a key of less than {KEY_BYTES_MIN} bytes",
                self.shown_key()
            )));
        }
        let seconds = (self.clock)().millis().div_euclid(1_000);
        let mut header = format!("t={seconds}");
        for key in keys {
            let _ = write!(header, ",v1={}", mac(key, seconds, body));
        }
        HeaderValue::try_from(header).map_err(|_| unusable("the signature is no header".to_owned()))
    }
}

impl<S: Secrets> Channel for Webhook<S> {
    fn name(&self) -> &str {
        &self.name
    }

    /// By the event's `id`, if the receiver does what `CloudEvents` asks of it.
    fn deduplicates(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let sending = async {
            match &self.key {
                Some(key) => self.keyring.sending(&self.name, key, |key| self.post(Some(key), message)).await,
                None => self.post(None, message).await,
            }
        };
        in_time(&self.name, sending).await
    }
}

impl<S> fmt::Debug for Webhook<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// HMAC-SHA256 over `{seconds}.{body}`, in hexadecimal.
fn mac(key: &str, seconds: i64, body: &[u8]) -> String {
    // A key of any length will do for HMAC; the error cannot come, and an empty signature would be refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// `CloudEvents` 1.0, JSON format, structured mode.
#[derive(Serialize)]
struct Event {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    data: MessageJson,
}

fn event(channel: &str, message: &Message) -> Event {
    Event {
        specversion: "1.0",
        id: message.idempotency_key(channel),
        source: format!("/millrace/{}", message.shown_tenant().replace(' ', "%20")),
        kind: format!("millrace.alert.{}", message.state()),
        subject: message.finding().map(crate::message::Finding::shown_device),
        time: message.at.to_string(),
        datacontenttype: "application/json",
        data: message.json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231 has no case of this form; this one was computed with Python: hmac.new(b"k" * 16, b"1700000000.{}", "sha256").
        assert_eq!(
            mac("kkkkkkkkkkkkkkkk", 1_700_000_000, b"{}"),
            "6d58fb78491a4cd45b0a5944663cf2020c2185a67defd8caec14059846f09e3d"
        );
    }
}
