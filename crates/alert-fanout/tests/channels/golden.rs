//! What each channel sends, kept as files: as it arrived at the receiver, for the turns that look different.
//!
//! `INSTA_UPDATE=always cargo nextest run -p alert-fanout golden` writes them anew.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use alert_fanout::channel::Channel as _;
use alert_fanout::channel::console::Console;
use alert_fanout::channel::smtp::Encryption;
use alert_fanout::message::{Course, Message};
use insta::{assert_snapshot, with_settings};

use crate::support::Vault;
use crate::support::http::{Reply, Server};
use crate::support::messages::{digest, hostile, incident, test};
use crate::support::network::plain;
use crate::support::relay::{Relay, Rules};

/// The messages whose form differs in every channel.
fn forms() -> [(&'static str, Message); 5] {
    [
        ("opened", incident(Course::Opened)),
        ("acknowledged", incident(Course::Acknowledged)),
        ("resolved", incident(Course::Resolved)),
        ("digest", digest()),
        ("hostile", hostile()),
    ]
}

pub(crate) fn keep(name: &str, text: &str) {
    with_settings!({snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true}, {
        assert_snapshot!(name, text);
    });
}

/// The requests as they came, the body indented.
fn requests(server: &Server) -> String {
    let mut text = String::new();
    for request in server.received() {
        writeln!(text, "POST {}", request.path).unwrap();
        for name in ["content-type", "user-agent", "millrace-signature"] {
            if !request.header(name).is_empty() {
                writeln!(text, "{name}: {}", request.header(name)).unwrap();
            }
        }
        writeln!(text, "\n{}", indented(std::str::from_utf8(&request.body).unwrap())).unwrap();
    }
    text
}

/// JSON with a line for each member, in the order it came.
pub(crate) fn indented(json: &str) -> String {
    let (mut text, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    for c in json.chars() {
        if in_string {
            text.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                depth += 1;
                text.push(c);
                text.push('\n');
                text.push_str(&"  ".repeat(depth));
            }
            '}' | ']' => {
                depth -= 1;
                text.push('\n');
                text.push_str(&"  ".repeat(depth));
                text.push(c);
            }
            ',' => {
                text.push_str(",\n");
                text.push_str(&"  ".repeat(depth));
            }
            ':' => text.push_str(": "),
            '"' => {
                in_string = true;
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    text
}

#[test]
fn texts_of_every_turn() {
    let all = Course::ALL.map(incident).into_iter().chain([digest(), test(), hostile()]);
    let whole: Vec<String> = all
        .map(|message| {
            format!(
                "== {} ==\nsubject: {}\nsms: {}\nline: {}\n\n{}",
                message.state(),
                message.subject(),
                message.sms(),
                message.one_line(),
                message.body()
            )
        })
        .collect();
    keep("text", &whole.join("\n"));
}

#[test]
fn json_of_every_form() {
    let whole: Vec<String> = forms()
        .iter()
        .map(|(name, message)| {
            format!("== {name} ==\n{}\n", indented(&serde_json::to_string(&message.json()).unwrap()))
        })
        .collect();
    keep("json", &whole.join("\n"));
}

#[tokio::test]
async fn slack() {
    for (name, message) in forms() {
        let server = Server::start(|_| Reply::with_body(200, "ok")).await;
        let channel = crate::slack::slack(&Vault::with("slack", &server.url("/services/T/B/x")));
        channel.send(&message).await.unwrap();
        keep(&format!("slack-{name}"), &requests(&server));
    }
}

#[tokio::test]
async fn pagerduty() {
    for (name, message) in forms() {
        let (server, _) = crate::pagerduty::service().await;
        let channel = crate::pagerduty::pagerduty(&server, &Vault::with("pd", "0123456789abcdef0123456789abcdef"));
        channel.send(&message).await.unwrap();
        keep(&format!("pagerduty-{name}"), &requests(&server));
    }
}

#[tokio::test]
async fn webhook() {
    for (name, message) in forms() {
        let server = Server::start(|_| Reply::status(204)).await;
        let channel = crate::webhook::webhook(&server, &Vault::with("hook", crate::webhook::KEY), crate::webhook::now);
        channel.send(&message).await.unwrap();
        keep(&format!("webhook-{name}"), &requests(&server));
    }
}

#[tokio::test]
async fn smtp() {
    for (name, message) in forms() {
        let relay = Relay::start(Rules::default()).await;
        let channel = crate::smtp::smtp(crate::smtp::settings("127.0.0.1", &relay, Encryption::None), plain());
        channel.send(&message).await.unwrap();
        let mail = &relay.kept()[0];
        keep(
            &format!("smtp-{name}"),
            &format!("MAIL FROM {}\nRCPT TO {}\n\n{}", mail.from, mail.to.join(" "), mail.data),
        );
    }
}

/// Standard output of a test.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn console() {
    let screen = Screen::default();
    let channel = Console::new("console", screen.clone());
    for (_, message) in forms() {
        channel.send(&message).await.unwrap();
    }
    let lines = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
    assert_eq!(lines.lines().count(), forms().len(), "a line each");
    keep("console", &lines);
}
