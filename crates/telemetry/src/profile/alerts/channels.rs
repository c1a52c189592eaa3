//! `[channels.NAME]`: the ways to tell somebody.
//!
//! What an address leads to is not looked at here. A secret must not be here at all: a text that looks like one is refused, and
//! no message repeats it.

use std::collections::BTreeMap;

use anomaly_core::incident::{ChannelSettings, SmtpTls};
use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::super::mistake::{Mistakes, quoted};
use super::super::read::unknown;
use super::super::value::{self, Value};
use super::super::{ADDRESS_BYTES_MAX, CHANNELS_MAX, RECEIVERS_MAX};

const TLS: [(&str, SmtpTls); 3] =
    [("starttls", SmtpTls::StartTls), ("implicit", SmtpTls::Implicit), ("none", SmtpTls::None)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sns,
    Slack,
    PagerDuty,
    Webhook,
    Smtp,
    Console,
}

const KINDS: [(&str, Kind); 6] = [
    ("sns", Kind::Sns),
    ("slack", Kind::Slack),
    ("pagerduty", Kind::PagerDuty),
    ("webhook", Kind::Webhook),
    ("smtp", Kind::Smtp),
    ("console", Kind::Console),
];

impl Kind {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Sns => &["type", "topic"],
            Self::Slack => &["type", "secret"],
            Self::PagerDuty => &["type", "secret", "url"],
            Self::Webhook => &["type", "url", "secret", "allow_private"],
            Self::Smtp => &["type", "server", "port", "tls", "from", "to", "username", "secret"],
            Self::Console => &["type"],
        }
    }
}

pub(super) fn channels(mistakes: &mut Mistakes, entry: &Value<'_>) -> BTreeMap<String, ChannelSettings> {
    let example = "[channels.ops]";
    let Some(table) = value::table(mistakes, entry, "`channels`", example) else { return BTreeMap::new() };
    if table.len() > CHANNELS_MAX {
        mistakes.at(&entry.span(), format!("there are {} channels, the limit is {CHANNELS_MAX}", table.len()));
        return BTreeMap::new();
    }
    let mut channels = BTreeMap::new();
    for (key, entry) in table {
        value::plain_name(mistakes, key, "a channel");
        if let Some(table) = value::table(mistakes, entry, "a channel", example)
            && let Some(channel) = channel(mistakes, key, table)
        {
            channels.insert(key.get_ref().as_ref().to_owned(), channel);
        }
    }
    channels
}

fn channel(mistakes: &mut Mistakes, key: &Spanned<DeString<'_>>, table: &DeTable<'_>) -> Option<ChannelSettings> {
    let Some(entry) = table.get("type") else {
        let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let message = format!("channel {} has no `type`; known are `{}`", quoted(key.get_ref()), known.join("`, `"));
        mistakes.at(&key.span(), message);
        return None;
    };
    let kind = value::word(mistakes, entry, "`type`", &KINDS)?;
    let name = KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
    for key in table.keys().filter(|key| !kind.keys().contains(&key.get_ref().as_ref())) {
        unknown(mistakes, key, &format!("a channel of type `{name}`"), kind.keys());
    }
    let mut read = Reader { mistakes, key, table };
    match kind {
        Kind::Sns => Some(ChannelSettings::Sns { topic: read.needs("topic", topic)? }),
        Kind::Slack => Some(ChannelSettings::Slack { secret: read.needs("secret", secret)? }),
        Kind::PagerDuty => {
            let (secret, url) = (read.needs("secret", secret), read.may("url", url));
            Some(ChannelSettings::PagerDuty { secret: secret?, url })
        }
        Kind::Webhook => {
            let (url, secret) = (read.needs("url", url), read.may("secret", secret));
            let allow_private =
                read.may("allow_private", |mistakes, entry| value::flag(mistakes, entry, "`allow_private`"));
            Some(ChannelSettings::Webhook { url: url?, secret, allow_private: allow_private.unwrap_or_default() })
        }
        Kind::Smtp => read.smtp(),
        Kind::Console => Some(ChannelSettings::Console),
    }
}

/// The settings of one channel.
struct Reader<'r, 'k, 't> {
    mistakes: &'r mut Mistakes,
    key: &'k Spanned<DeString<'t>>,
    table: &'k DeTable<'t>,
}

impl<'k, 't> Reader<'_, 'k, 't> {
    fn may<T>(&mut self, name: &str, read: impl Fn(&mut Mistakes, &'k Value<'t>) -> Option<T>) -> Option<T> {
        read(self.mistakes, self.table.get(name)?)
    }

    fn needs<T>(&mut self, name: &str, read: impl Fn(&mut Mistakes, &'k Value<'t>) -> Option<T>) -> Option<T> {
        if self.table.get(name).is_none() {
            let message = format!("channel {} has no `{name}`; add it", quoted(self.key.get_ref()));
            self.mistakes.at(&self.key.span(), message);
        }
        self.may(name, read)
    }

    fn smtp(&mut self) -> Option<ChannelSettings> {
        let server = self.needs("server", |mistakes, entry| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
            address(mistakes, entry, ("`server`", "mail.example.com"), |text| text.chars().all(fits))
        });
        let from = self.needs("from", |mistakes, entry| mail(mistakes, entry, "`from`"));
        let to = self.needs("to", receivers);
        let port = self.may("port", |mistakes, entry| {
            value::whole(mistakes, entry, ("`port`", "as the number of a port"), 1..=65_535)
        });
        let tls = self.may("tls", |mistakes, entry| value::word(mistakes, entry, "`tls`", &TLS));
        let username = self.may("username", |mistakes, entry| {
            address(mistakes, entry, ("`username`", "alerts@example.com"), |_| true)
        });
        let secret = self.may("secret", secret);
        let is_set = |name| self.table.get(name).is_some();
        if is_set("username") != is_set("secret") {
            let message = format!(
                "channel {} has only one of `username` and `secret`; set both to sign in, or neither",
                quoted(self.key.get_ref())
            );
            self.mistakes.at(&self.key.span(), message);
        }
        Some(ChannelSettings::Smtp {
            server: server?,
            port: port.and_then(|port| u16::try_from(port).ok()),
            tls: tls.unwrap_or_default(),
            from: from?,
            to: to?,
            username,
            secret,
        })
    }
}

/// A text without white space that `fits`.
fn address(
    mistakes: &mut Mistakes,
    entry: &Value<'_>,
    (what, example): (&str, &str),
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = value::text(mistakes, entry, what, example)?;
    let is_plain = !text.is_empty()
        && text.len() <= ADDRESS_BYTES_MAX
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if is_plain && fits(text) {
        return Some(text.to_owned());
    }
    let message =
        format!("{what} must be 1 to {ADDRESS_BYTES_MAX} bytes without white space, as in `{example}`; this is not");
    mistakes.at(&entry.span(), message);
    None
}

fn topic(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<String> {
    let example = ("`topic`", "arn:aws:sns:eu-central-1:123456789012:alerts");
    address(mistakes, entry, example, |text| text.starts_with("arn:") && text.split(':').count() == 6)
}

fn url(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<String> {
    let rest =
        |text: &str| ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme).map(str::to_owned));
    let url = address(mistakes, entry, ("`url`", "https://example.com/alerts"), |text| rest(text).is_some())?;
    let host = rest(&url).unwrap_or_default();
    if host.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) {
        let message = "`url` holds a name or a password before `@`; take it out, and sign with a `secret` instead";
        mistakes.at(&entry.span(), message.to_owned());
        return None;
    }
    Some(url)
}

fn mail(mistakes: &mut Mistakes, entry: &Value<'_>, what: &str) -> Option<String> {
    let fits = |text: &str| {
        text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
    };
    address(mistakes, entry, (what, "alerts@example.com"), fits)
}

fn receivers(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<Vec<String>> {
    let list = value::list(mistakes, entry, ("`to`", r#"to = ["ann@example.com"]"#), RECEIVERS_MAX)?;
    if list.is_empty() {
        mistakes.at(&entry.span(), "`to` is empty; add whoever is to be told".to_owned());
        return None;
    }
    list.iter().map(|entry| mail(mistakes, entry, "an address in `to`")).collect()
}

/// The name of a secret.
fn secret(mistakes: &mut Mistakes, entry: &Value<'_>) -> Option<String> {
    let name = value::text(mistakes, entry, "`secret`", "millrace/ops")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '=' | '.' | '@' | '-' | ':');
    let is_name = !name.is_empty() && name.len() <= ADDRESS_BYTES_MAX && name.chars().all(fits);
    if is_name && !is_itself_secret(name) {
        return Some(name.to_owned());
    }
    let message = format!(
        "`secret` must be the name under which the secret is kept, 1 to {ADDRESS_BYTES_MAX} ASCII letters, digits and \
         `/_+=.@-:`, and this looks like the secret itself; keep it in Secrets Manager, write its name as in `millrace/ops`, and \
         replace a secret that has been in a file"
    );
    mistakes.at(&entry.span(), message);
    None
}

/// Whether a text is more likely a secret than its name: an address, a Slack token, or 32 characters of no word as PagerDuty's
/// keys are.
fn is_itself_secret(text: &str) -> bool {
    let is_key = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_address = text.contains("://") || text.starts_with("hooks.");
    is_address || text.starts_with("xox") || (is_key && text.bytes().any(|byte| byte.is_ascii_digit()))
}
