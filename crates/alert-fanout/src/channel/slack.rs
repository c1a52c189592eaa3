//! An incoming webhook of Slack (or of what speaks like it). Its address is the key: whoever has it may post.
//!
//! The channel's secret holds the whole address. Slack forgets nothing it was told, so a message that is sent again is
//! seen twice.

use std::fmt;
use std::sync::Arc;

use anomaly_core::Severity;
use serde::Serialize;

use super::{Channel, Receipt, SendError, in_time};
use crate::message::{Course, Message, News, clean};
use crate::network::{Answer, Body, Endpoint, Outbound, Reach};
use crate::secret::{Keyring, Secret, SecretRef, Secrets};

/// Bounds of Slack's Block Kit reference, in characters: text of a header, of a section, of a field; elements of a
/// context; fields of a section.
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3_000;
const FIELD_MAX: usize = 2_000;
const FIELDS_MAX: usize = 10;

/// Posts to a Slack channel.
pub struct Slack<S> {
    name: String,
    url: SecretRef,
    keyring: Arc<Keyring<S>>,
    outbound: Outbound,
    reach: Reach,
}

impl<S: Secrets> Slack<S> {
    /// `url` is the secret that holds the webhook's address. `reach` is [`Reach::Public`] for Slack itself.
    pub fn new(name: &str, url: SecretRef, keyring: Arc<Keyring<S>>, outbound: Outbound, reach: Reach) -> Self {
        Self { name: name.to_owned(), url, keyring, outbound, reach }
    }

    async fn post(&self, url: Secret, message: &Message) -> Result<Receipt, SendError> {
        let endpoint = Endpoint::new(url.reveal(), self.reach).map_err(|error| {
            let what = format!("secret `{}` is not the address of a webhook: {error}", self.url);
            SendError::auth(&self.name, what, "store the address that Slack shows under Incoming Webhooks")
        })?;
        let bytes = payload(message, &self.name)?;
        let answer =
            self.outbound.post(&self.name, &endpoint, Body { media: "application/json", header: None, bytes }).await?;
        if answer.is_success() { Ok(Receipt::default()) } else { Err(self.failure(&answer)) }
    }

    fn failure(&self, answer: &Answer) -> SendError {
        let said = word(answer.body());
        match answer.status() {
            // `invalid_token`, `no_service`, `channel_is_archived`: another address may be in the secret by now.
            status @ (401 | 403 | 404 | 410) => {
                let what = format!("HTTP status {status}, `{}`", said.unwrap_or("no reason given"));
                SendError::auth(&self.name, what, "make a new incoming webhook and store its address in the secret")
            }
            _ => answer.failure(&self.name, said),
        }
    }
}

impl<S: Secrets> Channel for Slack<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn deduplicates(&self) -> bool {
        false
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        in_time(&self.name, self.keyring.sending(&self.name, &self.url, |url| self.post(url, message))).await
    }
}

impl<S> fmt::Debug for Slack<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Slack's reason is one word of lower-case letters; anything else is not repeated.
fn word(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_word =
        !text.is_empty() && text.len() <= 60 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_word.then_some(text)
}

#[derive(Serialize)]
struct Payload {
    /// Shown where blocks are not: in notifications.
    text: String,
    blocks: Vec<Block>,
    unfurl_links: bool,
    unfurl_media: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header {
        text: Text,
    },
    Section {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
    },
    Context {
        elements: Vec<Text>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Text {
    PlainText {
        text: String,
        emoji: bool,
    },
    /// `verbatim`: names of channels and addresses in it are not made into links.
    Mrkdwn {
        text: String,
        verbatim: bool,
    },
}

fn payload(message: &Message, channel: &str) -> Result<Vec<u8>, SendError> {
    let mut blocks = vec![
        Block::Header { text: Text::PlainText { text: clean(&headline(message), HEADER_MAX), emoji: false } },
        Block::Section { text: Some(mrkdwn(&escaped(&message.shown_summary(), SECTION_MAX))), fields: Vec::new() },
    ];
    let fields = message.facts().into_iter().take(FIELDS_MAX);
    blocks.push(Block::Section {
        text: None,
        fields: fields.map(|(name, value)| mrkdwn(&format!("*{name}*\n{}", escaped(&value, FIELD_MAX - 40)))).collect(),
    });
    let why = message.reasons();
    if !why.is_empty() {
        // Five sentences of 400 characters, each at most fivefold by escaping, are cut to their share.
        let share = SECTION_MAX / why.len() - 3;
        let lines: Vec<String> = why.iter().map(|sentence| format!("• {}", escaped(sentence, share))).collect();
        blocks.push(Block::Section { text: Some(mrkdwn(&lines.join("\n"))), fields: Vec::new() });
    }
    let mut footer = vec![mrkdwn(&format!("`{}`", escaped(&message.command(), FIELD_MAX)))];
    if let Some(link) = message.shown_link() {
        footer.push(mrkdwn(&format!("<{}|Open>", escaped_link(&link))));
    }
    blocks.push(Block::Context { elements: footer });
    let payload =
        Payload { text: escaped(&message.one_line(), SECTION_MAX), blocks, unfurl_links: false, unfurl_media: false };
    serde_json::to_vec(&payload).map_err(|error| {
        SendError::refused(channel, format!("the message cannot be written as JSON: {error}"), "report it")
    })
}

/// A sign that can be told apart without colour, and the headline.
fn headline(message: &Message) -> String {
    let is_over = matches!(message.news, News::Incident(Course::Resolved, _));
    let sign = match message.severity {
        _ if is_over => "\u{2705}",
        Severity::Critical => "\u{1f6a8}",
        Severity::Warning => "\u{26a0}\u{fe0f}",
        Severity::Info => "\u{2139}\u{fe0f}",
    };
    // Plain text knows no markup, says Slack; should it ever, there is none in it.
    format!("{sign} {}", message.headline().replace('<', "‹").replace('>', "›"))
}

fn mrkdwn(text: &str) -> Text {
    Text::Mrkdwn { text: text.to_owned(), verbatim: true }
}

/// `text` with Slack's three characters escaped ("Formatting text for app surfaces"), which leaves no mention, link or
/// command in it, and what would make it bold, struck or code turned into look-alikes. At most `chars_max` characters,
/// never cut within an escape.
fn escaped(text: &str, chars_max: usize) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut room = chars_max;
    for c in text.chars() {
        let written = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '*' => "∗",
            '`' => "ˋ",
            '~' => "∼",
            _ => "",
        };
        let width = written.chars().count().max(1);
        if width > room {
            break;
        }
        room -= width;
        if written.is_empty() { safe.push(c) } else { safe.push_str(written) }
    }
    safe
}

/// An address within `<…|…>`. `Url` has percent-encoded `<`, `>` and spaces; `|` would end it, `&` is escaped as text is.
fn escaped_link(link: &str) -> String {
    link.replace('&', "&amp;").replace('|', "%7C").replace('<', "%3C").replace('>', "%3E")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaped_text_holds_no_markup_and_no_half_escape(text in "[<>&*`~a-z!@|]{0,40}", bound in 0_usize..60) {
            let safe = escaped(&text, bound);
            prop_assert!(safe.chars().count() <= bound);
            prop_assert!(!safe.contains(['<', '>', '*', '`', '~']));
            let unescaped = safe.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!unescaped.contains('&'), "{}", safe);
        }
    }

    #[test]
    fn a_link_cannot_leave_its_brackets() {
        assert_eq!(escaped_link("https://a.example/?a=1&b=|<!here>"), "https://a.example/?a=1&amp;b=%7C%3C!here%3E");
    }
}
