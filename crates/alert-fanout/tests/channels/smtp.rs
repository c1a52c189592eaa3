//! Mail, handed to a relay that keeps it.

use std::sync::{Arc, Mutex};

use alert_fanout::channel::smtp::{Encryption, Smtp, SmtpSettings};
use alert_fanout::channel::{Channel as _, FailureKind};
use alert_fanout::message::Course;
use alert_fanout::network::{Outbound, Reach};
use rustls::RootCertStore;

use crate::support::http::raw;
use crate::support::messages::{hostile, incident};
use crate::support::network::{Scripted, plain};
use crate::support::relay::{Relay, Rules};
use crate::support::{Vault, certificate, reference, send};

const RETRY: FailureKind = FailureKind::Retry { after: None };
const PASSWORD: &str = "sehr-geheim";
/// `\0millrace\0sehr-geheim` in base64 (RFC 4616).
const LOGIN: &str = "AG1pbGxyYWNlAHNlaHItZ2VoZWlt";

pub(crate) fn settings(host: &str, relay: &Relay, encryption: Encryption) -> SmtpSettings {
    SmtpSettings {
        host: host.to_owned(),
        port: relay.address.port(),
        encryption,
        reach: Reach::Anywhere,
        from: "Millrace <alerts@acme.example>".to_owned(),
        to: vec!["Shift <shift@acme.example>".to_owned(), "ops@acme.example".to_owned()],
        login: None,
    }
}

pub(crate) fn smtp(settings: SmtpSettings, outbound: Outbound) -> Smtp<Vault> {
    Smtp::new("mail", settings, Vault::with("smtp", PASSWORD).keyring(), outbound).unwrap()
}

/// A channel to a relay on this machine without encryption.
fn local(relay: &Relay) -> Smtp<Vault> {
    smtp(settings("127.0.0.1", relay, Encryption::None), plain())
}

/// A relay by these rules whose certificate is of `relay.example`, and a channel to it.
async fn encrypted(rules: Rules, encryption: Encryption, login: bool) -> (Relay, Smtp<Vault>, Vault) {
    let (acceptor, roots) = certificate(&["relay.example"]);
    let relay =
        Relay::start(Rules { acceptor: Some(acceptor), tls_from_the_start: encryption == Encryption::Tls, ..rules })
            .await;
    let network = Scripted::new(&[&["93.184.215.14"][..]; 3], Some(relay.address));
    let login = login.then(|| ("millrace".to_owned(), reference("smtp")));
    let settings = SmtpSettings { login, ..settings("relay.example", &relay, encryption) };
    let vault = Vault::with("smtp", PASSWORD);
    let channel = Smtp::new("mail", settings, vault.keyring(), network.outbound(roots)).unwrap();
    (relay, channel, vault)
}

#[tokio::test]
async fn a_mail_arrives_for_everybody() {
    let relay = Relay::start(Rules::default()).await;
    let channel = local(&relay);
    let receipt = send(&channel, &incident(Course::Opened), &[]).await.unwrap();
    let kept = relay.kept();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].from, "alerts@acme.example");
    assert_eq!(kept[0].to, ["shift@acme.example", "ops@acme.example"]);
    assert_eq!(Some(kept[0].header("Message-ID")), receipt.id.as_deref());
    assert!(kept[0].header("Subject").starts_with("CRITICAL pump-7 is abnormal"), "{}", kept[0].data);
    assert_eq!(kept[0].header("Auto-Submitted"), "auto-generated");
    assert!(!channel.deduplicates());
}

#[tokio::test]
async fn mails_of_an_incident_are_one_conversation() {
    let relay = Relay::start(Rules::default()).await;
    let channel = local(&relay);
    for course in [Course::Opened, Course::Opened, Course::Resolved] {
        send(&channel, &incident(course), &[]).await.unwrap();
    }
    let kept = relay.kept();
    let ids: Vec<&str> = kept.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids[0], ids[1], "a mail that is sent again keeps its id");
    assert_eq!(kept[0].data, kept[1].data);
    assert_ne!(ids[0], ids[2]);
    for mail in &kept {
        assert_eq!(mail.header("References"), kept[0].header("References"));
        assert_eq!(mail.header("In-Reply-To"), kept[0].header("References"));
        assert!(mail.header("References").ends_with("@acme.example>"));
    }
}

#[tokio::test]
async fn a_hostile_name_adds_no_header_and_ends_no_mail() {
    let relay = Relay::start(Rules::default()).await;
    let mut message = hostile();
    message.summary = "a\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n.".to_owned();
    send(&local(&relay), &message, &[]).await.unwrap();
    let kept = relay.kept();
    assert_eq!((kept.len(), kept[0].to.len()), (1, 2));
    let names: Vec<&str> = kept[0]
        .headers()
        .iter()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert!(!names.contains(&"Bcc"), "{names:?}");
    assert!(kept[0].headers().iter().all(|line| line.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
}

#[tokio::test]
async fn a_relay_with_tls_is_reached_both_ways() {
    for encryption in [Encryption::StartTls, Encryption::Tls] {
        let (relay, channel, _) = encrypted(Rules::default(), encryption, false).await;
        send(&channel, &incident(Course::Opened), &[]).await.unwrap();
        assert!(relay.kept()[0].encrypted, "{encryption:?}");
    }
}

#[tokio::test]
async fn a_login_happens_inside_the_encryption_and_heals_when_rotated() {
    let login = Arc::new(Mutex::new(LOGIN.to_owned()));
    let rules = Rules { login: Some(Arc::clone(&login)), ..Rules::default() };
    let (relay, channel, vault) = encrypted(rules, Encryption::StartTls, true).await;
    send(&channel, &incident(Course::Opened), &[]).await.unwrap();
    assert!(relay.kept()[0].logged_in && relay.kept()[0].encrypted);

    // `\0millrace\0neu`
    *login.lock().unwrap() = "AG1pbGxyYWNlAG5ldQ==".to_owned();
    vault.store("smtp", "neu");
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    send(&channel, &incident(Course::Worse), &[PASSWORD, LOGIN]).await.unwrap();
    assert_eq!(relay.kept().len(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_said_without_showing_it() {
    let rules = Rules { login: Some(Arc::new(Mutex::new("another".to_owned()))), ..Rules::default() };
    let (relay, channel, _) = encrypted(rules, Encryption::Tls, true).await;
    let error = send(&channel, &incident(Course::Opened), &[PASSWORD, LOGIN]).await.unwrap_err();
    assert!(error.is_auth_failure() && error.what().contains("535"), "{error}");
    assert!(relay.kept().is_empty());
}

#[tokio::test]
async fn a_relay_that_offers_no_encryption_gets_nothing() {
    let relay = Relay::start(Rules::default()).await;
    let channel = smtp(settings("127.0.0.1", &relay, Encryption::StartTls), plain());
    let error = send(&channel, &incident(Course::Opened), &[]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Misconfigured);
    assert!(error.what().contains("STARTTLS"), "{error}");
    assert!(relay.kept().is_empty());
}

#[tokio::test]
async fn words_slipped_in_before_the_encryption_end_the_line() {
    let (relay, channel, _) = encrypted(Rules { injects: true, ..Rules::default() }, Encryption::StartTls, false).await;
    let error = send(&channel, &incident(Course::Opened), &[]).await.unwrap_err();
    assert!(error.what().contains("out of turn"), "{error}");
    assert!(relay.kept().is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_is_not_accepted() {
    let (acceptor, roots) = certificate(&["other.example"]);
    let relay = Relay::start(Rules { acceptor: Some(acceptor), ..Rules::default() }).await;
    let network = Scripted::new(&[&["93.184.215.14"]], Some(relay.address));
    let channel = smtp(settings("relay.example", &relay, Encryption::StartTls), network.outbound(roots));
    let error = send(&channel, &incident(Course::Opened), &[]).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Misconfigured, "{error}");
    assert!(relay.kept().is_empty());
}

#[tokio::test]
async fn nothing_goes_to_another_machine_without_encryption() {
    let relay = Relay::start(Rules::default()).await;
    for elsewhere in ["93.184.215.14", "10.0.0.7", "169.254.169.254"] {
        let network = Scripted::new(&[&[elsewhere]], Some(relay.address));
        let settings = settings("relay.example", &relay, Encryption::None);
        let channel = smtp(settings, network.outbound(RootCertStore::empty()));
        let error = send(&channel, &incident(Course::Opened), &[]).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Misconfigured, "{error}");
        assert_eq!(network.log(), ["resolve relay.example"]);
    }
    assert!(relay.kept().is_empty());
}

#[tokio::test]
async fn what_the_relay_says_decides() {
    for (refusal, expected) in [
        (("MAIL", "451 4.3.0 later"), RETRY),
        (("MAIL", "550 5.7.1 not from you"), FailureKind::Refused),
        (("MAIL", "530 5.7.0 log in first"), FailureKind::Misconfigured),
        (("RCPT", "450 4.2.1 mailbox busy"), RETRY),
        (("RCPT", "550 5.1.1 nobody of that name"), FailureKind::Refused),
        (("DATA", "452 4.3.1 disk full"), RETRY),
        (("DATA", "554 5.7.1 spam"), FailureKind::Refused),
        (("EHLO", "421 4.3.2 closing"), RETRY),
    ] {
        let relay = Relay::start(Rules { refusals: vec![refusal], ..Rules::default() }).await;
        let error = send(&local(&relay), &incident(Course::Opened), &[]).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{refusal:?}: {error}");
        assert!(relay.kept().is_empty());
    }
}

#[tokio::test]
async fn a_relay_that_never_ends_its_line_is_left_at_the_bound() {
    let mut greeting = b"220-".to_vec();
    greeting.resize(1_000_000, b'x');
    let address = raw(greeting).await;
    let relay = Relay::start(Rules::default()).await;
    let settings = SmtpSettings { port: address.port(), ..settings("127.0.0.1", &relay, Encryption::None) };
    let error = send(&smtp(settings, plain()), &incident(Course::Opened), &[]).await.unwrap_err();
    assert_eq!(error.kind(), RETRY);
    assert!(error.what().contains("64 KiB"), "{error}");
}

#[tokio::test]
async fn a_recipient_who_is_refused_costs_only_himself() {
    let refusals = vec![("RCPT TO:<shift@", "550 5.1.1 nobody of that name")];
    let relay = Relay::start(Rules { refusals, ..Rules::default() }).await;
    let receipt = send(&local(&relay), &incident(Course::Opened), &[]).await.unwrap();
    assert_eq!(relay.kept()[0].to, ["ops@acme.example"]);
    let note = receipt.note.unwrap();
    assert!(note.contains("1 of 2") && note.contains("550"), "{note}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_at_once() {
    let relay = Relay::start(Rules::default()).await;
    let good = settings("127.0.0.1", &relay, Encryption::None);
    for bad in [
        SmtpSettings { from: "nobody".to_owned(), ..good.clone() },
        SmtpSettings { to: vec!["a@b.example\r\nBcc: c@d.example".to_owned()], ..good.clone() },
        SmtpSettings { to: Vec::new(), ..good.clone() },
        SmtpSettings { to: vec!["a@b.example".to_owned(); 51], ..good.clone() },
        SmtpSettings { reach: Reach::Public, ..good.clone() },
        SmtpSettings { host: "a b".to_owned(), ..good.clone() },
    ] {
        assert!(Smtp::new("mail", bad.clone(), Vault::default().keyring(), plain()).is_err(), "{bad:?}");
    }
}
