//! A receiver of one's own. It checks the signature from the documentation alone, with none of the code under test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use alert_fanout::channel::webhook::Webhook;
use alert_fanout::channel::{Channel as _, FailureKind};
use alert_fanout::message::Course;
use alert_fanout::network::{Endpoint, Reach};
use anomaly_core::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::support::http::{Received, Reply, Server};
use crate::support::messages::{digest, hostile, incident, test};
use crate::support::network::plain;
use crate::support::{Vault, reference, send};

/// 2026-11-21 10:20:00 UTC.
const NOW: i64 = 1_795_256_400;
pub(crate) const KEY: &str = "a shared key of many characters";
const OLD_KEY: &str = "the key that it had before that";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1_000).unwrap()
}

fn an_hour_ago() -> Timestamp {
    Timestamp::from_millis((NOW - 3_600) * 1_000).unwrap()
}

/// What a receiver with this key and clock says of a request.
fn verdict(request: &Received, key: &str) -> Result<(), &'static str> {
    let header = request.header("millrace-signature");
    let parts: Vec<(&str, &str)> = header.split(',').filter_map(|part| part.split_once('=')).collect();
    let t = parts.iter().find(|(name, _)| *name == "t").ok_or("no time")?.1;
    if (t.parse::<i64>().map_err(|_| "time is no number")? - NOW).abs() > 300 {
        return Err("too old");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(t.as_bytes());
    mac.update(b".");
    mac.update(&request.body);
    let expected = mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    if parts.iter().any(|(name, value)| *name == "v1" && *value == expected) { Ok(()) } else { Err("forged") }
}

/// A receiver that keeps the ids of events it accepted.
async fn receiver(key: &'static str) -> (Server, Arc<Mutex<BTreeSet<String>>>) {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let ids = Arc::clone(&seen);
    let server = Server::start(move |request| match verdict(request, key) {
        Ok(()) => {
            ids.lock().unwrap().insert(request.json()["id"].as_str().unwrap().to_owned());
            Reply::status(204)
        }
        Err(_) => Reply::status(401),
    })
    .await;
    (server, seen)
}

pub(crate) fn webhook(server: &Server, vault: &Vault, clock: fn() -> Timestamp) -> Webhook<Vault> {
    let endpoint = Endpoint::new(&server.url("/alerts?token=geheim"), Reach::Anywhere).unwrap();
    Webhook::new("hook", endpoint, Some(reference("hook")), vault.keyring(), plain(), clock)
}

#[tokio::test]
async fn a_signed_event_is_accepted_and_keeps_its_id() {
    let (server, seen) = receiver(KEY).await;
    let channel = webhook(&server, &Vault::with("hook", KEY), now);
    for message in
        [incident(Course::Opened), incident(Course::Opened), incident(Course::Resolved), digest(), test(), hostile()]
    {
        send(&channel, &message, &[]).await.unwrap();
    }
    assert_eq!(seen.lock().unwrap().len(), 5, "what was sent twice has one id");
    assert!(channel.deduplicates());
}

#[tokio::test]
async fn an_event_has_what_cloudevents_requires() {
    let (server, _) = receiver(KEY).await;
    send(&webhook(&server, &Vault::with("hook", KEY), now), &hostile(), &[]).await.unwrap();
    let request = &server.received()[0];
    assert!(request.header("content-type").starts_with("application/cloudevents+json"));
    let event = request.json();
    assert_eq!(event["specversion"], "1.0");
    for attribute in ["id", "source", "type"] {
        let value = event[attribute].as_str().unwrap();
        assert!(!value.is_empty() && !value.chars().any(char::is_control), "{attribute}: {value}");
    }
    assert_eq!(event["data"]["version"], 1);
}

#[tokio::test]
async fn a_request_that_was_recorded_an_hour_ago_is_not_accepted() {
    let (server, seen) = receiver(KEY).await;
    let channel = webhook(&server, &Vault::with("hook", KEY), an_hour_ago);
    let error = send(&channel, &incident(Course::Opened), &["geheim", KEY]).await.unwrap_err();
    assert!(error.is_auth_failure(), "{error}");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn while_a_key_is_exchanged_both_are_accepted() {
    let both = format!("{KEY}\n{OLD_KEY}\n");
    for receiver_has in [KEY, OLD_KEY] {
        let (server, seen) = receiver(receiver_has).await;
        send(&webhook(&server, &Vault::with("hook", &both), now), &incident(Course::Opened), &[]).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_key_that_was_exchanged_heals_by_itself() {
    let (server, seen) = receiver(KEY).await;
    let vault = Vault::with("hook", OLD_KEY);
    let channel = webhook(&server, &vault, now);
    assert!(send(&channel, &incident(Course::Opened), &[OLD_KEY]).await.unwrap_err().is_auth_failure());
    vault.store("hook", KEY);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    send(&channel, &incident(Course::Opened), &[OLD_KEY, KEY]).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn keys_that_protect_nothing_are_not_used() {
    let (server, _) = receiver(KEY).await;
    let three = format!("{KEY}\n{KEY}\n{KEY}");
    for content in ["short", three.as_str()] {
        let error =
            send(&webhook(&server, &Vault::with("hook", content), now), &incident(Course::Opened), &[content]).await;
        assert_eq!(error.unwrap_err().kind(), FailureKind::Misconfigured);
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn without_a_key_events_go_unsigned() {
    let server = Server::start(|_| Reply::status(204)).await;
    let endpoint = Endpoint::new(&server.url("/alerts"), Reach::Anywhere).unwrap();
    let channel = Webhook::new("hook", endpoint, None, Vault::default().keyring(), plain(), now);
    send(&channel, &incident(Course::Opened), &[]).await.unwrap();
    assert_eq!(server.received()[0].header("millrace-signature"), "");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_to_be_set_right() {
    for status in [404, 410] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let error =
            send(&webhook(&server, &Vault::with("hook", KEY), now), &incident(Course::Opened), &["geheim"]).await;
        assert_eq!(error.unwrap_err().kind(), FailureKind::Misconfigured);
    }
}
