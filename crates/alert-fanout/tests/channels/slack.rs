//! An incoming webhook of Slack.

use alert_fanout::channel::slack::Slack;
use alert_fanout::channel::{Channel as _, FailureKind};
use alert_fanout::message::Course;
use alert_fanout::network::Reach;

use crate::support::http::{Reply, Server};
use crate::support::messages::{hostile, incident};
use crate::support::network::plain;
use crate::support::{Vault, reference, send};

const TOKEN: &str = "T0000/B0000/geheimes-wort";

pub(crate) fn slack(vault: &Vault) -> Slack<Vault> {
    Slack::new("slack-ops", reference("slack"), vault.keyring(), plain(), Reach::Anywhere)
}

/// A channel to a server whose webhook has the path of [`TOKEN`].
fn to(server: &Server) -> (Slack<Vault>, Vault) {
    let vault = Vault::with("slack", &server.url(&format!("/services/{TOKEN}")));
    (slack(&vault), vault)
}

#[tokio::test]
async fn a_message_arrives_as_blocks_with_a_fallback() {
    let server = Server::start(|_| Reply::with_body(200, "ok")).await;
    let (slack, _) = to(&server);
    send(&slack, &incident(Course::Opened), &[]).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].path, format!("/services/{TOKEN}"));
    assert_eq!(received[0].header("content-type"), "application/json");
    let json = received[0].json();
    assert!(json["text"].as_str().unwrap().contains("pump-7") || json["text"].as_str().unwrap().contains("Bearing"));
    assert_eq!(json["blocks"][0]["type"], "header");
    assert!(!slack.deduplicates());
}

#[tokio::test]
async fn a_hostile_name_mentions_nobody_and_links_nowhere() {
    let server = Server::start(|_| Reply::with_body(200, "ok")).await;
    let (slack, _) = to(&server);
    send(&slack, &hostile(), &[]).await.unwrap();
    let json = server.received()[0].json();
    let text = json.to_string();
    assert!(!text.contains("<!") && !text.contains("<http") && !text.contains("javascript"), "{text}");
    assert!(!text.contains(r"\u001b") && !text.contains('\u{202e}'), "{text}");
    let blocks = json["blocks"].as_array().unwrap();
    assert_eq!(blocks.last().unwrap()["elements"][0]["text"], "`millrace alerts list`", "what is typed holds no name");
    for block in blocks {
        let text = block["text"]["text"].as_str().unwrap_or_default();
        let bound = if block["type"] == "header" { 150 } else { 3_000 };
        assert!(text.chars().count() <= bound, "{} of {bound}", text.chars().count());
        for field in block["fields"].as_array().into_iter().flatten() {
            assert!(field["text"].as_str().unwrap().chars().count() <= 2_000);
        }
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let server = Server::start(|_| Reply::with_header(429, "retry-after", "30")).await;
    let error = send(&to(&server).0, &incident(Course::Opened), &[TOKEN]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Retry { after: Some(std::time::Duration::from_secs(30)) });
}

#[tokio::test]
async fn what_slack_says_decides() {
    for (status, said, expected) in [
        (400, "invalid_payload", FailureKind::Refused),
        (403, "action_prohibited", FailureKind::Misconfigured),
        (404, "no_service", FailureKind::Misconfigured),
        (410, "channel_is_archived", FailureKind::Misconfigured),
        (500, "rollup_error", FailureKind::Retry { after: None }),
    ] {
        let server = Server::start(move |_| Reply::with_body(status, said)).await;
        let error = send(&to(&server).0, &incident(Course::Opened), &[TOKEN]).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.what().contains(said), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_address_is_not_repeated() {
    let server = Server::start(|request| Reply::with_body(400, &request.path)).await;
    let error = send(&to(&server).0, &incident(Course::Opened), &[TOKEN]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Refused);
}

#[tokio::test]
async fn a_webhook_that_was_made_anew_heals_by_itself() {
    let server = Server::start(|request| {
        if request.path.ends_with("/new") { Reply::with_body(200, "ok") } else { Reply::with_body(404, "no_service") }
    })
    .await;
    let (slack, vault) = to(&server);
    assert!(send(&slack, &incident(Course::Opened), &[TOKEN]).await.unwrap_err().is_auth_failure());
    vault.store("slack", &server.url("/services/new"));
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    send(&slack, &incident(Course::Opened), &[TOKEN]).await.unwrap();
    let paths: Vec<_> = server.received().iter().map(|one| one.path.clone()).collect();
    assert_eq!(paths.last().unwrap(), "/services/new");
    assert_eq!(paths.len(), 3, "one try with the old address, then one with the new: {paths:?}");
}

#[tokio::test]
async fn a_secret_that_is_no_address_is_said_without_showing_it() {
    for content in ["geheim", "ftp://geheim/x", "https://user:geheim@hooks.example/"] {
        let error =
            send(&slack(&Vault::with("slack", content)), &incident(Course::Opened), &["geheim"]).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Misconfigured, "{error}");
    }
    let error = send(&slack(&Vault::default()), &incident(Course::Opened), &[]).await.unwrap_err();
    assert!(error.to_string().contains("secret `slack` is not there"), "{error}");
}
