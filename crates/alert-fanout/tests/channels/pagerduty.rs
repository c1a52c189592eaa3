//! A service of PagerDuty: the server checks what the Events API v2 checks, and keeps one incident for each `dedup_key`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alert_fanout::channel::pagerduty::PagerDuty;
use alert_fanout::channel::{Channel as _, FailureKind};
use alert_fanout::message::Course;
use alert_fanout::network::{Endpoint, Reach};
use serde_json::{Value, json};

use crate::support::http::{Reply, Server};
use crate::support::messages::{digest, hostile, incident, test};
use crate::support::network::plain;
use crate::support::{Vault, reference, send};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Incidents by `dedup_key`: each state they went through.
type Incidents = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

pub(crate) async fn service() -> (Server, Incidents) {
    let incidents = Incidents::default();
    let kept = Arc::clone(&incidents);
    let server = Server::start(move |request| {
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        let errors = mistakes(&event);
        if !errors.is_empty() {
            let refusal = json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
            return Reply::with_body(400, &refusal.to_string());
        }
        let dedup_key = event["dedup_key"].as_str().unwrap().to_owned();
        let mut incidents = kept.lock().unwrap();
        let course = incidents.entry(dedup_key.clone()).or_default();
        let state = match event["event_action"].as_str().unwrap() {
            "trigger" => "triggered",
            "acknowledge" => "acknowledged",
            _ => "resolved",
        };
        if course.last().map(String::as_str) != Some(state) {
            course.push(state.to_owned());
        }
        Reply::with_body(
            202,
            &json!({"status": "success", "message": "Event processed", "dedup_key": dedup_key}).to_string(),
        )
    })
    .await;
    (server, incidents)
}

fn mistakes(event: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    match event["routing_key"].as_str() {
        Some(KEY) => {}
        Some(other) => errors.push(format!("Invalid routing key {other}")),
        None => errors.push("'routing_key' is missing".to_owned()),
    }
    let action = event["event_action"].as_str().unwrap_or_default();
    if !["trigger", "acknowledge", "resolve"].contains(&action) {
        errors.push("'event_action' is invalid".to_owned());
    }
    if event["dedup_key"].as_str().is_none_or(|key| key.is_empty() || key.len() > 255) {
        errors.push("'dedup_key' is missing or too long".to_owned());
    }
    if action == "trigger" {
        let payload = &event["payload"];
        if payload["summary"].as_str().is_none_or(|text| text.is_empty() || text.chars().count() > 1_024) {
            errors.push("'payload.summary' is missing or too long".to_owned());
        }
        if payload["source"].as_str().is_none_or(str::is_empty) {
            errors.push("'payload.source' is missing".to_owned());
        }
        if !["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap_or_default()) {
            errors.push("'payload.severity' is invalid".to_owned());
        }
    }
    errors
}

pub(crate) fn pagerduty(server: &Server, vault: &Vault) -> PagerDuty<Vault> {
    let endpoint = Endpoint::new(&server.url("/v2/enqueue"), Reach::Anywhere).unwrap();
    PagerDuty::new("pd", endpoint, reference("pd"), vault.keyring(), plain())
}

#[tokio::test]
async fn an_incident_is_triggered_once_acknowledged_and_resolved() {
    let (server, incidents) = service().await;
    let channel = pagerduty(&server, &Vault::with("pd", KEY));
    for course in
        [Course::Opened, Course::Opened, Course::Worse, Course::Acknowledged, Course::Resolved, Course::Resolved]
    {
        let receipt = send(&channel, &incident(course), &[]).await.unwrap();
        assert_eq!(receipt.id.as_deref(), Some("millrace:acme:3f9c2a7be1d04c55a1b2c3d4e5f60718"));
    }
    let incidents = incidents.lock().unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(incidents.values().next().unwrap(), &["triggered", "acknowledged", "resolved"]);
    assert!(channel.deduplicates());
}

#[tokio::test]
async fn whatever_is_told_is_a_valid_event() {
    let (server, incidents) = service().await;
    let channel = pagerduty(&server, &Vault::with("pd", KEY));
    for message in Course::ALL.map(incident).iter().chain([&digest(), &test(), &hostile()]) {
        send(&channel, message, &[]).await.unwrap();
    }
    assert_eq!(incidents.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_wrong_key_is_said_without_showing_it_and_heals_when_it_is_replaced() {
    let (server, incidents) = service().await;
    let wrong = "ffffffffffffffffffffffffffffffff";
    let vault = Vault::with("pd", wrong);
    let channel = pagerduty(&server, &vault);
    let error = send(&channel, &incident(Course::Opened), &[wrong]).await.unwrap_err();
    assert!(error.is_auth_failure() && error.to_string().contains("(key)"), "{error}");
    vault.store("pd", KEY);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    send(&channel, &incident(Course::Opened), &[KEY, wrong]).await.unwrap();
    assert_eq!(incidents.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_refused_with_the_reason() {
    let refusal =
        json!({"status": "invalid event", "message": "Event object is invalid", "errors": ["'payload.class' is odd"]});
    let server = Server::start(move |_| Reply::with_body(400, &refusal.to_string())).await;
    let error =
        send(&pagerduty(&server, &Vault::with("pd", KEY)), &incident(Course::Opened), &[KEY]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Refused);
    assert!(error.what().contains("'payload.class' is odd"), "{error}");
}
