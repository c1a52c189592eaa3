//! What every channel over HTTP makes of a far side that fails: shown with the webhook, whose path they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alert_fanout::channel::webhook::Webhook;
use alert_fanout::channel::{Channel as _, FailureKind, RETRY_AFTER_MAX};
use alert_fanout::message::Course;
use alert_fanout::network::{Endpoint, Reach};
use rustls::RootCertStore;

use crate::support::http::{Reply, Server, nobody, raw};
use crate::support::messages::incident;
use crate::support::network::{Scripted, plain};
use crate::support::{Vault, certificate, reference, send};
use crate::webhook::{KEY, now, webhook};

const RETRY: FailureKind = FailureKind::Retry { after: None };

fn at(url: &str, outbound: alert_fanout::network::Outbound) -> Webhook<Vault> {
    let endpoint = Endpoint::new(url, Reach::Anywhere).unwrap();
    Webhook::new("hook", endpoint, Some(reference("hook")), Vault::with("hook", KEY).keyring(), outbound, now)
}

/// What comes of a server that does this with every request.
async fn outcome(reply: Reply) -> Result<(), FailureKind> {
    let server = Server::start(move |_| reply.clone()).await;
    let channel = webhook(&server, &Vault::with("hook", KEY), now);
    send(&channel, &incident(Course::Opened), &["geheim", KEY]).await.map(|_| ()).map_err(|error| error.kind())
}

#[tokio::test]
async fn a_status_says_what_to_do() {
    for status in [200, 201, 202, 204] {
        assert_eq!(outcome(Reply::status(status)).await, Ok(()), "{status}");
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        assert_eq!(outcome(Reply::status(status)).await, Err(RETRY), "{status}");
    }
    for status in [400, 405, 409, 413, 415, 422] {
        assert_eq!(outcome(Reply::status(status)).await, Err(FailureKind::Refused), "{status}");
    }
    for status in [301, 302, 303, 307, 308, 401, 403, 404, 410] {
        assert_eq!(outcome(Reply::status(status)).await, Err(FailureKind::Misconfigured), "{status}");
    }
}

#[tokio::test]
async fn patience_that_is_asked_for_is_given_up_to_a_bound() {
    let after = |seconds| FailureKind::Retry { after: Some(Duration::from_secs(seconds)) };
    assert_eq!(outcome(Reply::with_header(429, "retry-after", "7")).await, Err(after(7)));
    assert_eq!(outcome(Reply::with_header(503, "retry-after", "120")).await, Err(after(120)));
    assert_eq!(outcome(Reply::with_header(503, "retry-after", "86400")).await, Err(after(RETRY_AFTER_MAX.as_secs())));
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    assert_eq!(outcome(Reply::Reset).await, Err(RETRY));
    let refused = at(&format!("http://{}/geheim", nobody().await), plain());
    assert_eq!(send(&refused, &incident(Course::Opened), &["geheim"]).await.unwrap_err().kind(), RETRY);
    let babble = at(&format!("http://{}/geheim", raw(b"SSH-2.0-OpenSSH\r\n".to_vec()).await), plain());
    assert_eq!(send(&babble, &incident(Course::Opened), &["geheim"]).await.unwrap_err().kind(), RETRY);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_not_repeated() {
    let metadata = "http://169.254.169.254/latest/meta-data/iam/geheim";
    for status in [301, 302, 307, 308] {
        let server = Server::start(move |_| Reply::with_header(status, "location", metadata)).await;
        let network = Scripted::new(&[], Some(server.address));
        let channel = at("http://93.184.215.14/x", network.outbound(RootCertStore::empty()));
        let error = send(&channel, &incident(Course::Opened), &["169.254", "geheim"]).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Misconfigured, "{error}");
        assert_eq!(network.log(), ["connect 93.184.215.14:80"]);
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn an_endless_answer_is_read_to_its_bound() {
    for (status, expected) in [(200, Ok(())), (500, Err(RETRY))] {
        let given = Arc::new(AtomicU64::new(0));
        assert_eq!(outcome(Reply::Endless(status, Arc::clone(&given))).await, expected);
        // Beside what is read, buffers of both sides were filled.
        let mebibytes = given.load(Ordering::Relaxed) / 64;
        assert!(mebibytes < 16, "{mebibytes} MiB were taken");
    }
}

#[tokio::test]
async fn an_answer_that_stalls_after_its_status_counts() {
    assert_eq!(outcome(Reply::Stalling(202)).await, Ok(()));
    assert_eq!(outcome(Reply::Stalling(400)).await, Err(FailureKind::Refused));
}

#[tokio::test]
async fn an_answer_with_an_endless_head_is_given_up() {
    let mut head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    head.extend(std::iter::repeat_n(b'x', 300_000));
    let channel = at(&format!("http://{}/geheim", raw(head).await), plain());
    let error = send(&channel, &incident(Course::Opened), &["geheim"]).await.unwrap_err();
    assert_eq!(error.kind(), RETRY);
    assert!(error.what().contains("64 KiB"), "{error}");
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_left_after_ten_seconds() {
    let server = Server::start(|_| Reply::Silence).await;
    let channel = webhook(&server, &Vault::with("hook", KEY), now);
    let message = incident(Course::Opened);
    let sending = send(&channel, &message, &["geheim"]);
    let (outcome, ()) = tokio::join!(sending, async {
        server.got_one().await;
        // From here on nobody does anything but wait, and the clock jumps to the end of the waiting.
        tokio::time::pause();
    });
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), RETRY);
    assert!(error.what().contains("10 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_stands_is_left_after_five_seconds() {
    let network = Scripted::new(&[&["93.184.215.14", "93.184.215.15"]], None);
    let channel = at("https://hooks.example/geheim", network.outbound(RootCertStore::empty()));
    let start = tokio::time::Instant::now();
    let error = send(&channel, &incident(Course::Opened), &["geheim"]).await.unwrap_err();
    assert_eq!(error.kind(), RETRY);
    assert!(error.what().contains("5 s"), "{error}");
    assert!(start.elapsed() <= Duration::from_millis(5_010), "{:?}", start.elapsed());
    assert_eq!(network.log().len(), 3, "both addresses were tried: {:?}", network.log());
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_tried_again() {
    let network = Scripted::new(&[], None);
    let channel = at("https://hooks.example/geheim", network.outbound(RootCertStore::empty()));
    assert_eq!(send(&channel, &incident(Course::Opened), &["geheim"]).await.unwrap_err().kind(), RETRY);
}

#[tokio::test]
async fn a_certificate_of_another_or_of_nobody_is_not_accepted() {
    let (acceptor, roots) = certificate(&["other.example"]);
    let server = Server::start_tls(acceptor, |_| Reply::status(204)).await;
    for roots in [roots, RootCertStore::empty()] {
        let network = Scripted::new(&[&["93.184.215.14"]], Some(server.address));
        let channel = at("https://hooks.example/geheim", network.outbound(roots));
        let error = send(&channel, &incident(Course::Opened), &["geheim"]).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Misconfigured, "{error}");
        assert!(error.what().contains("certificate"), "{error}");
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_dead_receiver_is_no_reason_to_log_its_address() {
    let channel = at(&format!("http://{}/geheim?token=geheim", nobody().await), plain());
    assert!(!format!("{channel:?}").contains("geheim"), "{channel:?}");
    assert_eq!(channel.name(), "hook");
}
