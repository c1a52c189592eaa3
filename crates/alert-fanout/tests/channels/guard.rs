//! Addresses inside are not reached, whatever a name says, and what is reached is what was checked.

use alert_fanout::channel::FailureKind;
use alert_fanout::channel::webhook::Webhook;
use alert_fanout::message::Course;
use alert_fanout::network::{Endpoint, Reach};
use rustls::RootCertStore;

use crate::support::http::{Reply, Server};
use crate::support::messages::incident;
use crate::support::network::Scripted;
use crate::support::{Vault, certificate, reference, send};
use crate::webhook::{KEY, now};

fn public(url: &str, network: &std::sync::Arc<Scripted>, roots: RootCertStore) -> Webhook<Vault> {
    let endpoint = Endpoint::new(url, Reach::Public).unwrap();
    Webhook::new(
        "hook",
        endpoint,
        Some(reference("hook")),
        Vault::with("hook", KEY).keyring(),
        network.outbound(roots),
        now,
    )
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_reached() {
    for inside in [
        "127.0.0.1",
        "10.0.0.7",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "::1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.7",
        "fd00:ec2::254",
        "fe80::1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:7::1",
    ] {
        let network = Scripted::new(&[&[inside]], None);
        let channel = public("https://hooks.example/x", &network, RootCertStore::empty());
        let error = send(&channel, &incident(Course::Opened), &[inside, KEY]).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Misconfigured, "{inside}: {error}");
        assert!(error.to_string().contains("allow_private"), "{error}");
        assert_eq!(network.log(), ["resolve hooks.example"], "{inside} was dialled");
    }
}

#[tokio::test]
async fn one_address_inside_among_others_spoils_the_answer() {
    let network = Scripted::new(&[&["93.184.215.14", "10.0.0.7"]], None);
    let channel = public("https://hooks.example/x", &network, RootCertStore::empty());
    let error = send(&channel, &incident(Course::Opened), &[]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Misconfigured);
    assert_eq!(network.log(), ["resolve hooks.example"]);
}

#[tokio::test]
async fn a_name_that_changes_between_look_ups_reaches_only_what_was_checked() {
    let (acceptor, roots) = certificate(&["hooks.example"]);
    let server = Server::start_tls(acceptor, |_| Reply::status(204)).await;
    let network = Scripted::new(&[&["93.184.215.14"], &["127.0.0.1"]], Some(server.address));
    let channel = public("https://hooks.example/x", &network, roots);
    send(&channel, &incident(Course::Opened), &[]).await.unwrap();
    assert_eq!(
        network.log(),
        ["resolve hooks.example", "connect 93.184.215.14:443"],
        "resolved once, connected to that"
    );
    let error = send(&channel, &incident(Course::Worse), &[]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Misconfigured);
    assert_eq!(network.log().last().unwrap(), "resolve hooks.example", "the second answer was dialled");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_request_over_tls_carries_the_name_and_arrives_whole() {
    let (acceptor, roots) = certificate(&["hooks.example"]);
    let server = Server::start_tls(acceptor, |_| Reply::status(204)).await;
    let network = Scripted::new(&[&["2606:2800:21f::1", "93.184.215.14"]], Some(server.address));
    let channel = public("https://hooks.example:8443/a/b?c=d", &network, roots);
    send(&channel, &incident(Course::Opened), &[]).await.unwrap();
    let request = &server.received()[0];
    assert_eq!((request.path.as_str(), request.header("host")), ("/a/b?c=d", "hooks.example:8443"));
    assert_eq!(request.json()["data"]["device"], "pump-7");
}

#[tokio::test]
async fn an_address_in_the_clothes_of_another_is_dialled_as_what_it_is() {
    let (acceptor, roots) = certificate(&["hooks.example"]);
    let server = Server::start_tls(acceptor, |_| Reply::status(204)).await;
    let network = Scripted::new(&[&["::ffff:93.184.215.14"]], Some(server.address));
    send(&public("https://hooks.example/x", &network, roots), &incident(Course::Opened), &[]).await.unwrap();
    assert_eq!(network.log(), ["resolve hooks.example", "connect 93.184.215.14:443"]);
}
